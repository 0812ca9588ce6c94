/* SPDX-License-Identifier: MIT */
/*
 * replay [-m N] FILE... - run a fuzz target on files, and on N mutations of each: the same
 * ones every time.  Ends by a signal, or a sanitizer's status, if something is wrong.
 */
#include <inttypes.h>

#include "base/io.h"
#include "base/num.h"
#include "base/rng.h"
#include "tests/fuzz/fuzz.h"

static void run(const void *data, size_t size)
{
	/* Of just this size, so that a step beyond is seen. */
	uint8_t *copy = malloc(size ? size : 1);
	MUST(copy);
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

/* Change some bytes or numbers, cut the end off, or repeat a part. */
static size_t mutate(struct rng *r, uint8_t *p, size_t size)
{
	static const uint64_t odd[] = {0,	   1,	      0x7f,	  0xff,
				       0x7fff,	   0xffff,    0x7fffffff, 0x80000000,
				       0xffffffff, INT64_MAX, UINT64_MAX};
	uint64_t times = 1 + rng_below(r, 4);
	for (uint64_t i = 0; i < times && size; i++) {
		size_t at = rng_below(r, size), bytes = (size_t)1 << rng_below(r, 4);
		uint64_t v;
		switch (rng_below(r, 5)) {
		case 0:
			p[at] ^= (uint8_t)(1u << rng_below(r, 8));
			break;
		case 1:
			v = odd[rng_below(r, sizeof odd / sizeof odd[0])];
			memcpy(p + at, &v, bytes < size - at ? bytes : size - at);
			break;
		case 2:
			v = rng_below(r, 64);
			memcpy(p + at, &v, bytes < size - at ? bytes : size - at);
			break;
		case 3:
			size = rng_below(r, 4) ? size : at;
			break;
		default:
			memmove(p + at, p + rng_below(r, at + 1), size - at < 8 ? size - at : 8);
		}
	}
	return size;
}

int main(int argc, char **argv)
{
	uint64_t mutations = 0;
	int first = 1;
	if (argc > 2 && strcmp(argv[1], "-m") == 0) {
		MUST(num_u64(span_of(argv[2]), 0, 1 << 30, &mutations) == 0);
		first = 3;
	}
	for (int i = first; i < argc; i++) {
		struct buf text = BUF_INIT;
		struct err err;
		struct rng r = {(uint64_t)i};
		if (io_read_file(argv[i], 1 << 24, &text, &err) != 0) {
			fprintf(stderr, "replay: %s\n", err.msg);
			return 6;
		}
		run(text.data, text.len);
		uint8_t *copy = malloc(text.len + 1);
		MUST(copy);
		for (uint64_t m = 0; m < mutations && text.len; m++) {
			memcpy(copy, text.data, text.len);
			run(copy, mutate(&r, copy, text.len));
		}
		free(copy);
		buf_release(&text);
	}
	printf("%d files, %" PRIu64 " mutations of each\n", argc - first, mutations);
	return argc == first;
}
