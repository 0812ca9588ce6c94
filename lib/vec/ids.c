/* SPDX-License-Identifier: MIT */
/* Ids of rows: reading them, and what to do if one comes twice. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/scan.h"
#include "vec/format_internal.h"

int vec_id_check(struct span id, struct err *err)
{
	if (id.n > VEC_ID_MAX)
		return err_set(err, ERR_DATA, "id is longer than %d bytes", VEC_ID_MAX);
	if (memchr(id.p, 0, id.n))
		return err_set(err, ERR_DATA, "id has a NUL");
	return scan_is_utf8(id) ? 0 : err_set(err, ERR_DATA, "id has bytes that are no UTF-8");
}

/* Take a line of a file of ids. */
static int take_id(struct buf *ids, struct span line, struct err *err)
{
	if (memchr(line.p, '\r', line.n))
		return err_set(err, ERR_DATA,
			       "has a carriage return within it, expected lines that end in LF or "
			       "CRLF");
	buf_addspan(ids, line);
	return vec_id_check(line, err);
}

static int read_ids(const char *path, uint64_t rows, struct buf *ids, uint64_t *end,
		    struct err *err)
{
	struct io_lines lines;
	struct span line;
	int got = -1, fd;
	IO_RETRY(fd, open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (io_lines_init(&lines, fd, path, VEC_LINE_MAX_BYTES, err) == 0) {
		while ((got = io_lines_next(&lines, &line, err)) > 0) {
			if (lines.number > rows)
				continue;
			if (take_id(ids, line, err) != 0) {
				got = err_prefix(err, "'%s' line %llu", path,
						 (unsigned long long)lines.number);
				break;
			}
			end[lines.number - 1] = ids->len;
		}
		if (got == 0 && lines.number != rows)
			got = err_set(err, ERR_DATA,
				      "'%s' has %llu lines, expected an id for each of %llu rows",
				      path, (unsigned long long)lines.number,
				      (unsigned long long)rows);
		io_lines_release(&lines);
	}
	close(fd);
	return got;
}

int vec_set_read_ids(struct vec_set *s, const char *path, struct err *err)
{
	struct buf ids = BUF_INIT;
	uint64_t *end = mem_array(s->rows, sizeof *end, err);
	int ret = end ? read_ids(path, s->rows, &ids, end, err) : -1;
	/* An empty text is not NULL. */
	buf_addc(&ids, 0);
	if (ret == 0)
		ret = buf_ok(&ids, err);
	if (ret != 0) {
		free(end);
		buf_release(&ids);
		return -1;
	}
	free(s->id_text);
	free(s->id_end);
	s->id_text = ids.data;
	s->id_end = end;
	return vec_set_check_ids(s, err);
}

/* Rows by id: open addressing, at most half full; an entry is a row number plus one. */
struct id_table {
	const struct vec_set *set;
	uint32_t *entry;
	uint64_t slots;
};

static int table_init(struct id_table *t, const struct vec_set *s, struct err *err)
{
	*t = (struct id_table){.set = s, .slots = 16};
	while (t->slots < 2 * s->rows)
		t->slots *= 2;
	t->entry = mem_zeroed(t->slots, sizeof *t->entry, err);
	return t->entry ? 0 : -1;
}

/* True if no row of that id was taken before; else ${other} is that row. */
static bool table_take(struct id_table *t, uint64_t row, uint64_t *other)
{
	char tmp[VEC_ID_TEXT_MAX], other_tmp[VEC_ID_TEXT_MAX];
	struct span id = vec_set_id(t->set, row, tmp);
	uint64_t h = digest_xxh64(id.p, id.n, 0) & (t->slots - 1);
	for (; t->entry[h]; h = (h + 1) & (t->slots - 1)) {
		*other = t->entry[h] - 1u;
		if (span_same(vec_set_id(t->set, *other, other_tmp), id))
			return false;
	}
	t->entry[h] = (uint32_t)row + 1;
	return true;
}

int vec_set_check_ids(const struct vec_set *s, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	struct id_table t;
	uint64_t other;
	if (!s->id_end || s->rows == 0)
		return 0;
	if (table_init(&t, s, err) != 0)
		return -1;
	int ret = 0;
	for (uint64_t i = 0; i < s->rows && ret == 0; i++)
		if (!table_take(&t, i, &other)) {
			struct span id = vec_set_id(s, i, tmp);
			ret = vec_set_fail(s, i, err, "id '%.*s' was already given to row %llu",
					   (int)(id.n < 100 ? id.n : 100), id.p,
					   (unsigned long long)other);
		}
	free(t.entry);
	return ret;
}

/* ---- the newest of each id ---- */

size_t vec_part_cut(struct vec_part *run, const struct vec_part *p, const bool *old,
		    uint64_t *first)
{
	size_t n = 0;
	uint64_t i = 0;
	do {
		while (i < p->rows && old[p->first + i])
			i++;
		uint64_t begin = i;
		while (i < p->rows && !old[p->first + i])
			i++;
		if (begin == i && n)
			break;
		run[n] = *p;
		run[n].data = p->data ? p->data + begin * p->stride : NULL;
		run[n].rows = i - begin;
		run[n].first = *first;
		run[n].skipped = p->skipped + begin;
		run[n].borrowed = p->borrowed || n;
		*first += run[n].rows;
		n++;
	} while (i < p->rows);
	return n;
}

static int drop_rows(struct vec_set *s, const bool *old, uint64_t dropped, struct err *err)
{
	struct vec_part *run = mem_array(s->parts + dropped, sizeof *run, err);
	uint64_t first = 0, kept = 0, text = 0, from = 0;
	size_t runs = 0;
	if (!run)
		return -1;
	for (size_t p = 0; p < s->parts; p++)
		runs += vec_part_cut(run + runs, &s->part[p], old, &first);
	for (uint64_t i = 0; i < s->rows; i++) {
		uint64_t end = s->id_end[i];
		if (!old[i]) {
			memmove(s->id_text + text, s->id_text + from, end - from);
			text += end - from;
			s->id_end[kept++] = text;
		}
		from = end;
	}
	free(s->part);
	s->part = run;
	s->parts = runs;
	s->rows = kept;
	return 0;
}

int vec_set_keep_newest(struct vec_set *s, struct err *err)
{
	struct id_table t;
	uint64_t newer, dropped = 0;
	if (!s->id_end || s->rows == 0)
		return 0;
	if (table_init(&t, s, err) != 0)
		return -1;
	bool *old = mem_zeroed(s->rows, sizeof *old, err);
	int ret = old ? 0 : -1;
	for (uint64_t i = s->rows; ret == 0 && i-- > 0;) {
		old[i] = !table_take(&t, i, &newer);
		dropped += old[i];
	}
	free(t.entry);
	if (ret == 0 && dropped)
		ret = drop_rows(s, old, dropped, err);
	free(old);
	return ret;
}
