/* SPDX-License-Identifier: MIT */
/*
 * What embedding servers answer, and segments of the cache.  The first byte: form of the answer
 * and number of texts, or a segment; the rest is its text.
 */
#include <math.h>

#include "embed/answer.h"
#include "embed/segment_internal.h"
#include "tests/fuzz/fuzz.h"

#define DIM 3

static void answer(enum answer_form form, size_t n, uint32_t dim, struct span body)
{
	struct answer a = {0};
	struct buf said = BUF_INIT;
	struct err err;
	if (answer_parse(&a, form, body, n, dim, &err) == 0) {
		MUST(a.dim >= 1 && (dim == 0 || a.dim == dim));
		for (size_t i = 0; i < n * a.dim; i++)
			MUST(isfinite(a.v[i]));
	}
	answer_error(body, &said);
	buf_release(&said);
	answer_release(&a);
}

static void segment(const uint8_t *data, size_t size)
{
	struct segment g = {0};
	struct err err;
	if (io_map_open(&g.map, fuzz_file(data, size), &err) != 0)
		return;
	if (segment_read(&g)) {
		for (uint64_t i = 0; i < g.rows; i++)
			(void)segment_find(&g, g.keys[i].key);
		MUST(!g.rows || (const uint8_t *)(g.v + g.rows * g.dim) <= g.map.data + g.map.size);
	}
	segment_release(&g);
}

/* What is written is read, and every vector found. */
static void round_trip(const uint8_t *data, size_t size)
{
	struct segment_entry e[16];
	float v[16][DIM];
	struct digest key[16];
	size_t n = size / 4 < 16 ? size / 4 : 16;
	struct segment g = {0};
	struct err err;
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		key[i] = (struct digest){data[4 * i], data[4 * i + 1]};
		for (int j = 0; j < DIM; j++)
			v[i][j] = (float)(data[4 * i] * 3 + data[4 * i + 1] * 5 + j);
		e[i] = (struct segment_entry){segment_key(key[i], v[i], DIM), v[i]};
	}
	int fd = memfd_create("segment", 0);
	MUST(fd >= 0 && segment_write(fd, e, n, DIM, &err) == 0);
	MUST(io_map_fd(&g.map, fd, "segment", &err) == 0 && segment_read(&g));
	for (size_t i = 0; i < n; i++) {
		const float *found = segment_find(&g, key[i]);
		MUST(found && memcmp(found, v[i], sizeof v[i]) == 0);
	}
	segment_release(&g);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct span body = {(const char *)data + 1, size - 1};
	size_t n = 1 + data[0] / 4 % 4;
	switch (data[0] % 4) {
	case 0:
		answer(ANSWER_OLLAMA, n, data[0] & 16 ? DIM : 0, body);
		break;
	case 1:
		answer(ANSWER_OPENAI, n, data[0] & 16 ? DIM : 0, body);
		break;
	case 2:
		segment(data + 1, size - 1);
		break;
	default:
		round_trip(data + 1, size - 1);
	}
	return 0;
}
