/* SPDX-License-Identifier: MIT */
/*
 * Text that comes line by line: lines as such, with marks and line ends of all kinds; ids of
 * vectors; texts to embed; Trials from a pipe; configs.  The first byte is the kind, the rest is
 * the file.
 */
#include <fcntl.h>

#include "base/scan.h"
#include "embed/texts.h"
#include "record/trial_log.h"
#include "tests/fuzz/fuzz.h"
#include "vec/set.h"

#define LINE_MAX_BYTES 1024

static int open_file(const uint8_t *data, size_t size)
{
	int fd = open(fuzz_file(data, size), O_RDONLY);
	MUST(fd >= 0);
	return fd;
}

/* Lines are in their order, and nothing of them is lost but marks and line ends. */
static void lines(const uint8_t *data, size_t size)
{
	struct io_lines l;
	struct span line;
	struct err err;
	uint64_t number = 0;
	size_t at = 0;
	int fd = open_file(data, size), got;
	MUST(io_lines_init(&l, fd, "x", LINE_MAX_BYTES, &err) == 0);
	while ((got = io_lines_next(&l, &line, &err)) > 0) {
		MUST(l.number == ++number && line.n <= LINE_MAX_BYTES);
		MUST(line.n == 0 || !memchr(line.p, '\n', line.n));
		MUST(line.p[line.n] == '\r' || line.p[line.n] == '\n' || line.p[line.n] == 0);
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t n = end ? (size_t)(end - data) - at : size - at;
		const uint8_t *found = line.n ? memmem(data + at, n, line.p, line.n) : data;
		MUST(found && n - line.n <= 4);
		at += n + 1;
	}
	MUST(got < 0 || at >= size);
	io_lines_release(&l);
	close(fd);
}

/* Ids that were taken are as many as rows, each another, and fit for every format. */
static void ids(const uint8_t *data, size_t size)
{
	static const float rows[3][2];
	struct vec_part *part = calloc(1, sizeof *part);
	MUST(part);
	*part = (struct vec_part){
	    .type = VEC_F32, .data = (const unsigned char *)rows, .stride = sizeof rows[0], .rows = 3};
	struct vec_set s = {.dim = 2, .rows = 3, .part = part, .parts = 1};
	struct err err;
	char tmp[3][VEC_ID_TEXT_MAX];
	part->name = strdup("x");
	if (vec_set_read_ids(&s, fuzz_file(data, size), &err) == 0)
		for (uint64_t i = 0; i < 3; i++) {
			struct span id = vec_set_id(&s, i, tmp[i]);
			MUST(vec_id_check(id, &err) == 0);
			MUST(i == 0 || !span_same(id, vec_set_id(&s, i - 1, tmp[i - 1])));
		}
	vec_set_release(&s);
}

static int take_text(void *ctx, const struct text_row *row, struct err *err)
{
	const struct texts *t = ctx;
	(void)err;
	MUST(row->dim == 8 && row->line >= row->number + !t->plain && row->number < t->count);
	MUST(!t->plain || (scan_is_utf8(row->text) && !memchr(row->text.p, '\r', row->text.n)));
	return 0;
}

static void texts(const uint8_t *data, size_t size, bool plain)
{
	struct embed_options o = EMBED_OPTIONS_INIT;
	struct embed_setup setup = {.options = &o};
	struct err err;
	o.embedder = "hash:8";
	struct texts t = {.embedder = embedder_new(&setup, &err), .plain = plain, .row = take_text};
	MUST(t.embedder);
	t.ctx = &t;
	int fd = open_file(data, size);
	(void)!texts_read_fd(&t, fd, "x", &err);
	close(fd);
	embedder_free(t.embedder);
}

static int count(void *ctx, const struct trial *t, struct err *err)
{
	(void)err;
	MUST(t->line.n > 0 && !memchr(t->line.p, '\n', t->line.n));
	++*(uint64_t *)ctx;
	return 0;
}

/* An id comes once. */
static void trials(const uint8_t *data, size_t size)
{
	struct warn_to quiet = {0};
	struct err err;
	uint64_t n[2] = {0};
	for (int unique = 0; unique < 2; unique++) {
		int fd = open_file(data, size);
		(void)!trial_stream_read(fd, "x", unique, count, &n[unique], &quiet, &err);
		close(fd);
	}
	MUST(n[1] <= n[0]);
}

static void configs(const uint8_t *data, size_t size)
{
	struct config_list l = {0};
	struct err err;
	if (config_list_read(&l, fuzz_file(data, size), &err) == 0)
		for (size_t i = 0; i < l.n; i++)
			MUST(config_list_has(&l, &l.v[i]));
	config_list_release(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 6) {
	case 0:
		lines(data + 1, size - 1);
		break;
	case 1:
		ids(data + 1, size - 1);
		break;
	case 2:
		texts(data + 1, size - 1, true);
		break;
	case 3:
		texts(data + 1, size - 1, false);
		break;
	case 4:
		trials(data + 1, size - 1);
		break;
	default:
		configs(data + 1, size - 1);
	}
	return 0;
}
