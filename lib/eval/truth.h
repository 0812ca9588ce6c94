/* SPDX-License-Identifier: MIT */
#ifndef EVAL_TRUTH_H
#define EVAL_TRUTH_H

#include "base/par.h"
#include "vec/dist.h"
#include "vec/set.h"

/* Exact nearest neighbours of many queries. */
struct truth_job {
	const struct vec_set *base;
	enum vec_metric metric;
	const float *queries; /* n x dim, row-major; need not be normalised */
	uint64_t n;
	uint32_t k;
	const uint32_t *exclude; /* per query a row that is no answer, or UINT32_MAX; NULL: none */
	struct par *par;
	const struct dist_kernels *kernels;
	/* Called now and then from one thread, if not NULL. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};

/*
 * For each query the k nearest rows in order of (rank, row) into ${rows} (n x k,
 * row-major, padded with UINT32_MAX) by brute force: all distances in float, then those that
 * could matter again in double, so the order is exact for the rows as floats.
 *
 * ERR_DATA: a row that is not finite.  Cost: n * rows distances; memory beside the result:
 * threads * n * (k + 32) * 8 bytes.
 */
int truth_compute(const struct truth_job *job, uint32_t *rows, struct err *err) MUST_CHECK;

/* What two rows of floats are ranked by in the metric, as dist_to_rows() has it, in double. */
double truth_rank(enum vec_metric metric, const float *a, const float *b, size_t dim);

#endif
