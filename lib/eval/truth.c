/* SPDX-License-Identifier: MIT */
#include "eval/truth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/topk.h"

#define BLOCK_BYTES ((size_t)512 << 10) /* of base rows: stays in the second-level cache */
#define SPARE 32			/* candidates kept beyond k, for the second look */

struct exact {
	double distance;
	uint32_t row;
};

struct scan_thread {
	float *block;	/* rows in hand, normalised for cosine */
	float *raw;	/* one row, for the second look */
	uint64_t *keys; /* n x keep */
	uint32_t *count;
	struct err err;
	bool failed;
};

struct scan_job {
	const struct truth_job *job;
	uint32_t keep, block_rows;
	size_t stride;
	float *queries; /* n x stride, padded and normalised for cosine */
	struct scan_thread *thread;
	uint32_t *rows;
	uint64_t done;
};

double truth_distance(enum vec_metric metric, const float *a, const float *b, size_t dim)
{
	double s = 0, aa = 0, bb = 0;
	for (size_t i = 0; i < dim; i++) {
		double x = a[i], y = b[i];
		if (metric == VEC_L2) {
			s += (x - y) * (x - y);
		} else {
			s += x * y;
			aa += x * x;
			bb += y * y;
		}
	}
	if (metric == VEC_L2)
		return s;
	if (metric == VEC_IP)
		return 1 - s;
	return aa > 0 && bb > 0 ? 1 - s / (sqrt(aa) * sqrt(bb)) : 1;
}

/* Load row ${i} as the float pass wants it. */
static int load_row(const struct scan_job *s, uint64_t i, float *out, struct err *err)
{
	const struct truth_job *j = s->job;
	size_t dim = j->base->dim;
	if (vec_set_row(j->base, i, out, err) != 0)
		return -1;
	memset(out + dim, 0, (s->stride - dim) * sizeof *out);
	if (j->metric == VEC_COSINE)
		vec_normalise(out, dim);
	return 0;
}

/* Distances of query ${q} to ${n} consecutive rows of a block. */
static void distances(const struct scan_job *s, const float *q, const float *block, uint32_t n,
		      float *out)
{
	struct dist_rows rows = {block, s->stride * sizeof *block, s->job->base->dim};
	dist_to_rows(s->job->kernels, s->job->metric, q, &rows, NULL, n, out);
}

/* Blocks begin..end-1 of the base against every query. */
static void scan_blocks(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct scan_job *s = ctx;
	const struct truth_job *j = s->job;
	struct scan_thread *t = &s->thread[thread];
	float d[1024];
	for (uint64_t b = begin; b < end && !t->failed; b++) {
		uint64_t first = b * s->block_rows, left = j->base->rows - first;
		uint32_t n = left < s->block_rows ? (uint32_t)left : s->block_rows;
		for (uint32_t i = 0; i < n; i++)
			if (load_row(s, first + i, t->block + i * s->stride, &t->err) != 0) {
				t->failed = true;
				return;
			}
		for (uint64_t q = 0; q < j->n; q++) {
			struct topk top = {t->keys + q * s->keep, t->count[q], s->keep};
			uint32_t skip = j->exclude ? j->exclude[q] : UINT32_MAX;
			distances(s, s->queries + q * s->stride, t->block, n, d);
			for (uint32_t i = 0; i < n; i++) {
				uint64_t key = topk_key(d[i], (uint32_t)first + i);
				if (key < topk_bound(&top) && first + i != skip)
					topk_add(&top, key);
			}
			t->count[q] = (uint32_t)top.count;
		}
		if (thread == 0 && j->progress)
			j->progress(j->ctx,
				    (b + 1) * s->block_rows < j->base->rows ? first + n
									    : j->base->rows,
				    j->base->rows);
	}
}

static void exact_add(struct exact *list, uint32_t *count, uint32_t k, struct exact e)
{
	uint32_t at = *count;
	while (at && (list[at - 1].distance > e.distance ||
		      (list[at - 1].distance == e.distance && list[at - 1].row > e.row)))
		at--;
	if (at == k)
		return;
	if (*count < k)
		(*count)++;
	memmove(list + at + 1, list + at, (*count - 1 - at) * sizeof *list);
	list[at] = e;
}

static int look_again(const struct scan_job *s, struct scan_thread *t, uint64_t q, uint32_t row,
		      struct exact *list, uint32_t *count)
{
	const struct truth_job *j = s->job;
	if (vec_set_row(j->base, row, t->raw, &t->err) != 0)
		return -1;
	double d = truth_distance(j->metric, j->queries + q * j->base->dim, t->raw, j->base->dim);
	exact_add(list, count, j->k, (struct exact){d, row});
	return 0;
}

/* How far a float distance near ${d} may be off. */
static double float_error(const struct scan_job *s, double d)
{
	double scale = s->job->metric == VEC_L2 ? fabs(d) : fabs(d) + 1;
	return scale * ((double)s->job->base->dim / 32 + 16) * 0x1p-23;
}

/* Every row whose float distance is at most ${limit}, in double.  For queries with more near
 * ties than there was room for. */
static int scan_all(const struct scan_job *s, struct scan_thread *t, uint64_t q, double limit,
		    struct exact *list, uint32_t *count)
{
	const struct truth_job *j = s->job;
	*count = 0;
	for (uint64_t i = 0; i < j->base->rows; i++) {
		float d;
		if (j->exclude && j->exclude[q] == i)
			continue;
		if (load_row(s, i, t->block, &t->err) != 0)
			return -1;
		distances(s, s->queries + q * s->stride, t->block, 1, &d);
		if (d <= limit && look_again(s, t, q, (uint32_t)i, list, count) != 0)
			return -1;
	}
	return 0;
}

/* Merge what the threads found for queries begin..end-1 and order it exactly. */
static void refine(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct scan_job *s = ctx;
	const struct truth_job *j = s->job;
	struct scan_thread *t = &s->thread[thread];
	int threads = par_threads(j->par);
	struct exact *list = mem_array((size_t)j->k + 1, sizeof *list, &t->err);
	uint64_t *keys = mem_array(s->keep, sizeof *keys, &t->err);
	if (!list || !keys)
		t->failed = true;
	for (uint64_t q = begin; q < end && !t->failed; q++) {
		struct topk top = {keys, 0, s->keep};
		uint32_t count = 0;
		for (int i = 0; i < threads; i++)
			for (uint32_t c = 0; c < s->thread[i].count[q]; c++)
				topk_add(&top, s->thread[i].keys[q * s->keep + c]);
		for (size_t c = 0; c < top.count && !t->failed; c++)
			t->failed = look_again(s, t, q, topk_number(keys[c]), list, &count) != 0;
		if (!t->failed && top.count == s->keep && count == j->k) {
			double worst = list[j->k - 1].distance, margin = float_error(s, worst);
			if (topk_distance(keys[s->keep - 1]) <= worst + margin)
				t->failed = scan_all(s, t, q, worst + margin, list, &count) != 0;
		}
		for (uint32_t i = 0; i < j->k; i++)
			s->rows[q * j->k + i] = i < count ? list[i].row : UINT32_MAX;
	}
	free(list);
	free(keys);
}

static int run(struct scan_job *s, struct err *err)
{
	const struct truth_job *j = s->job;
	int threads = par_threads(j->par);
	par_run(j->par, (j->base->rows + s->block_rows - 1) / s->block_rows, 1, scan_blocks, s);
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < threads; i++)
			if (s->thread[i].failed) {
				*err = s->thread[i].err;
				return -1;
			}
		if (pass == 0)
			par_run(j->par, j->n, 8, refine, s);
	}
	return 0;
}

int truth_compute(const struct truth_job *job, uint32_t *rows, struct err *err)
{
	struct scan_job s = {.job = job, .rows = rows, .keep = job->k + SPARE};
	int threads = par_threads(job->par), ret = -1;
	size_t dim = job->base->dim;
	s.stride = num_round_up(dim ? dim : 1, 16);
	s.block_rows = (uint32_t)(BLOCK_BYTES / (s.stride * sizeof(float)));
	s.block_rows = s.block_rows < 8 ? 8 : s.block_rows > 1024 ? 1024 : s.block_rows;
	s.queries = mem_zeroed(job->n, s.stride * sizeof *s.queries, err);
	s.thread = mem_zeroed((size_t)threads, sizeof *s.thread, err);
	if (!s.queries || !s.thread)
		goto out;
	for (uint64_t q = 0; q < job->n; q++) {
		memcpy(s.queries + q * s.stride, job->queries + q * dim, dim * sizeof *s.queries);
		if (job->metric == VEC_COSINE)
			vec_normalise(s.queries + q * s.stride, dim);
	}
	for (int i = 0; i < threads; i++) {
		struct scan_thread *t = &s.thread[i];
		t->block = mem_array(s.block_rows, s.stride * sizeof *t->block, err);
		t->raw = mem_array(s.stride, sizeof *t->raw, err);
		t->keys = mem_array(job->n, s.keep * sizeof *t->keys, err);
		t->count = mem_zeroed(job->n, sizeof *t->count, err);
		if (!t->block || !t->raw || !t->keys || !t->count)
			goto out;
	}
	ret = run(&s, err);
out:
	for (int i = 0; s.thread && i < threads; i++) {
		free(s.thread[i].block);
		free(s.thread[i].raw);
		free(s.thread[i].keys);
		free(s.thread[i].count);
	}
	free(s.thread);
	free(s.queries);
	return ret;
}
