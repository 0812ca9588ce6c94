/* SPDX-License-Identifier: MIT */
#ifndef VEC_DIST_H
#define VEC_DIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vec/elem.h"
#include "vec/half.h"

#define DIST_TILE 6	 /* queries that are compared with four rows at once */
#define DIST_CODE_PAD 64 /* rows of codes are multiples of this many bytes */
#define DIST_WIDE_PAD 32 /* rows of codes in 16 bits are multiples of this many */

/* Rows of floats or of codes, ${stride} bytes apart. */
struct dist_rows {
	const void *base;
	size_t stride, dim;
	enum half half; /* the floats have 16 bits */
};

/* A vector's codes, their sum and the sum of their squares. */
struct dist_code {
	int8_t *code;
	int32_t sum;
	uint32_t norm;
	bool exact; /* centre[i] + unit * code[i] is v[i] */
};

struct dist_terms {
	float base, per_norm, per_dot;
	int32_t bias;
};

/*
 * Distance kernels over rows of floats and of 8-bit codes.  ${dim} is 1..VEC_MAX_DIM; any alignment
 * (rows aligned to 64 bytes and padded with zeros to a multiple of 16 are fastest).
 *
 * Every variant gives the same bits: element i is added to lane i mod 32 with one
 * fused multiply-add, the 32 lanes are summed pairwise in a fixed tree (lane j with
 * j+16, then j+8, +4, +2, +1).  Padding with zeros changes nothing.
 *
 * Inputs must be finite; that is checked where vectors are read.
 */
struct dist_kernels {
	const char *name;
	/* sum((a[i]-b[i])^2) */
	float (*l2)(const float *a, const float *b, size_t dim);
	/* sum(a[i]*b[i]) */
	float (*dot)(const float *a, const float *b, size_t dim);
	/*
	 * The same of ${q} with many rows: out[i] belongs to row number[i], or to row i if
	 * ${number} is NULL.  Floats of 16 bits are widened first, which is exact.
	 */
	void (*l2_rows)(const float *q, const struct dist_rows *rows, const uint32_t *number,
			size_t count, float *out);
	void (*dot_rows)(const float *q, const struct dist_rows *rows, const uint32_t *number,
			 size_t count, float *out);
	/*
	 * out[4 * i + j] = sum(q[i][.] * row[j][.]), for comparing many with many: as fast as the
	 * processor multiplies, but the order of the additions, and so the last bits, depend on
	 * the variant.  The error is at most (dim / 16 + 8) 2^-24 |q[i]| |row[j]|.
	 */
	void (*dot_tile)(const float *const q[DIST_TILE], const float *const row[4], size_t dim,
			 float out[4 * DIST_TILE]);
	/*
	 * sum(q[i]*x[i]) of whole numbers, exact, ${dim} a multiple of DIST_CODE_PAD up to
	 * VEC_MAX_DIM: so it fits.
	 */
	void (*code_rows)(const int8_t *q, const struct dist_rows *rows, const uint32_t *number,
			  size_t count, int32_t *out);
	/* A row of codes as code_tile() takes it: out[i] = code[i] - 128, in 16 bits. */
	void (*code_widen)(const uint8_t *code, size_t dim, int16_t *out);
	/*
	 * out[4 * i + j] = sum(q[i][.] * row[j][.]) of whole numbers of -128..127, exact, ${dim} a
	 * multiple of DIST_WIDE_PAD: for comparing many with many.
	 */
	void (*code_tile)(const int16_t *const q[DIST_TILE], const int16_t *const row[4],
			  size_t dim, int32_t out[4 * DIST_TILE]);
	/* The largest of |v[i] - centre[i]|; any number if some are NaN. */
	float (*code_reach)(const float *v, const float *centre, size_t dim);
	/*
	 * Codes of a vector: out[i] is the whole number nearest to (v[i] - centre[i]) / unit, the
	 * even one of two, within -128..127; of a NaN it is -128.
	 */
	void (*code_make)(const float *v, const float *centre, float unit, size_t dim,
			  struct dist_code *out);
	/*
	 * Distances from products: out[i] = base + per_norm * norm - per_dot * (dot[i] - bias),
	 * with norm = norms[number[i]].
	 */
	void (*code_distances)(const struct dist_terms *t, const int32_t *dot,
			       const uint32_t *norms, const uint32_t *number, size_t count,
			       float *out);
	/* The same of whole numbers: out[i] = unit * (norm_q + norm - 2 * dot[i]). */
	void (*code_squares)(float unit, uint32_t norm_q, const int32_t *dot, const uint32_t *norms,
			     const uint32_t *number, size_t count, float *out);
	/* Products where rows have units, whose bits are units[number[i]], of their own:
	 * out[i] = -(unit * unit of the row) * (dot[i] - bias). */
	void (*code_products)(float unit, int32_t bias, const int32_t *dot, const uint32_t *units,
			      const uint32_t *number, size_t count, float *out);
	/*
	 * Of the numbers before the first that is not less than ${total}, at most ${count}, those
	 * whose bit is not set: into ${out}, which has room for ${count} and 16 more.  How many.
	 */
	size_t (*unvisited)(const uint64_t *bits, const uint32_t *number, size_t count,
			    uint32_t total, uint32_t *out);
	/*
	 * Put ${key} into an array of ${count} increasing ones, which has room for one more.
	 * Where.
	 */
	size_t (*insert)(uint64_t *keys, size_t count, uint64_t key);
	/* A row of codes as query: out[i] = code[i] - 128.  Returns their sum. */
	int32_t (*code_turn)(const uint8_t *code, size_t dim, int8_t *out);
};

/*
 * The variant of that name: "avx512", "avx2", "neon", "portable"; NULL or "" is the fastest
 * one.  Only those count that this processor runs and that agree with the portable one on
 * a self-test.  NULL: ERR_USAGE if there is none.
 */
const struct dist_kernels *dist_choose(const char *name, struct err *err) MUST_CHECK;

/*
 * What vectors are ranked by: l2 the squared distance, ip -<q,x>, cosine half the squared distance,
 * where all have unit length or are zero; 1 if one is.  1 - <q,x> would round short vectors, and
 * 1 - cos near ones, to equal numbers.  Rows as ${k}->l2_rows takes them.
 */
void dist_to_rows(const struct dist_kernels *k, enum vec_metric metric, const float *q,
		  const struct dist_rows *rows, const uint32_t *number, size_t count, float *out);

#endif
