/* SPDX-License-Identifier: MIT */
#ifndef VEC_DIST_H
#define VEC_DIST_H

#include <stddef.h>

#include "base/err.h"

/*
 * Distance kernels over float rows.  ${dim} is 1..VEC_MAX_DIM; any alignment (rows
 * aligned to 64 bytes and padded with zeros to a multiple of 16 are fastest).
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
	/* The same of ${q} with four rows at once; out[j] belongs to row[j]. */
	void (*l2_4)(const float *q, const float *const row[4], size_t dim, float out[4]);
	void (*dot_4)(const float *q, const float *const row[4], size_t dim, float out[4]);
};

/*
 * The variant of that name: "avx512", "avx2", "neon", "portable"; NULL or "" is the fastest
 * one.  Only those count that this processor runs and that agree with the portable one on
 * a self-test.  NULL: ERR_USAGE if there is none.
 */
const struct dist_kernels *dist_choose(const char *name, struct err *err) MUST_CHECK;

#endif
