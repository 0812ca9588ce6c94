/* SPDX-License-Identifier: MIT */
#include "embed/hash.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"

#define RUN_MIN 3
#define RUN_MAX 5
#define WORD_SEED 1
#define RUN_SEED 2

static void add_feature(int32_t *sum, size_t dim, struct span f, uint64_t seed)
{
	uint64_t h = digest_xxh64(f.p, f.n, seed);
	sum[(h >> 1) % dim] += h & 1 ? 1 : -1;
}

/* Letters, digits and everything beyond ASCII make words. */
static bool in_word(unsigned char c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

/* First byte of a character; the others of UTF-8 are 10xxxxxx. */
static bool starts_char(char c)
{
	return ((unsigned char)c & 0xC0) != 0x80;
}

/* ${w}: '<', the word, '>'. */
static void add_word(int32_t *sum, size_t dim, struct span w)
{
	add_feature(sum, dim, (struct span){w.p + 1, w.n - 2}, WORD_SEED);
	for (size_t from = 0; from < w.n; from++) {
		if (!starts_char(w.p[from]))
			continue;
		size_t to = from;
		for (int chars = 1; chars <= RUN_MAX && to < w.n; chars++) {
			to++;
			while (to < w.n && !starts_char(w.p[to]))
				to++;
			if (chars >= RUN_MIN)
				add_feature(sum, dim, (struct span){w.p + from, to - from},
					    RUN_SEED);
		}
	}
}

int embed_hash(struct span text, float *out, size_t dim, struct err *err)
{
	int32_t *sum = mem_zeroed(dim, sizeof *sum, err);
	struct buf word = BUF_INIT;
	if (!sum)
		return -1;
	for (size_t i = 0; i < text.n;) {
		if (!in_word((unsigned char)text.p[i])) {
			i++;
			continue;
		}
		buf_clear(&word);
		buf_addc(&word, '<');
		for (; i < text.n && in_word((unsigned char)text.p[i]); i++) {
			char c = text.p[i];
			buf_addc(&word, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
		}
		buf_addc(&word, '>');
		if (word.failed)
			break;
		add_word(sum, dim, buf_span(&word));
	}
	double norm = 0;
	for (size_t d = 0; d < dim; d++)
		norm += (double)sum[d] * sum[d];
	norm = sqrt(norm);
	for (size_t d = 0; d < dim; d++)
		out[d] = norm > 0 ? (float)(sum[d] / norm) : 0;
	int ret = buf_ok(&word, err);
	buf_release(&word);
	free(sum);
	return ret;
}
