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
	float *half;	/* l2: half their squared lengths; else 0 */
	double longest; /* length of a row so far */
	float *raw;	/* one row, for the second look */
	uint64_t *keys; /* n x keep */
	float *bound;	/* n: scores above it are of no use */
	uint32_t *count;
	struct err err;
	bool failed;
};

struct scan_job {
	const struct truth_job *job;
	uint32_t keep, block_rows;
	size_t stride;
	float *queries; /* n x stride, padded and normalised for cosine */
	double *length; /* of each */
	float *origin;	/* l2: row 0 */
	double longest; /* of all rows, once they were scanned */
	struct scan_thread *thread;
	uint32_t *rows;
	uint64_t done;
};

/* Half the squared distance of the two when they have unit length. */
static double cosine_rank(const float *a, const float *b, size_t dim)
{
	double s = 0, aa = 0, bb = 0;
	for (size_t i = 0; i < dim; i++) {
		aa += (double)a[i] * a[i];
		bb += (double)b[i] * b[i];
	}
	if (!(aa > 0 && bb > 0))
		return 1;
	aa = 1 / sqrt(aa);
	bb = 1 / sqrt(bb);
	for (size_t i = 0; i < dim; i++) {
		double d = a[i] * aa - b[i] * bb;
		s += d * d;
	}
	return s / 2;
}

double truth_rank(enum vec_metric metric, const float *a, const float *b, size_t dim)
{
	double s = 0;
	if (metric == VEC_COSINE)
		return cosine_rank(a, b, dim);
	for (size_t i = 0; i < dim; i++) {
		double x = a[i], y = b[i];
		s += metric == VEC_L2 ? (x - y) * (x - y) : -x * y;
	}
	return s;
}

/* Unit length for cosine.  For l2 take an origin among the rows: distances are the same, and
 * sums of squares lose nothing where all rows lie together, far from zero. */
static void prepare(const struct scan_job *s, float *v)
{
	size_t dim = s->job->base->dim;
	if (s->job->metric == VEC_COSINE)
		vec_normalise(v, dim);
	for (size_t i = 0; s->origin && i < dim; i++)
		v[i] -= s->origin[i];
}

/* Load row ${i} as the float pass wants it. */
static int load_row(const struct scan_job *s, uint64_t i, float *out, struct err *err)
{
	const struct truth_job *j = s->job;
	size_t dim = j->base->dim;
	if (vec_set_row(j->base, i, out, err) != 0)
		return -1;
	memset(out + dim, 0, (s->stride - dim) * sizeof *out);
	prepare(s, out);
	return 0;
}

/*
 * The float pass orders rows by a score that grows with the distance and is little more than a
 * dot product: half the squared length less the product for l2, the product negated for others.
 */
static double score_of(const struct scan_job *s, uint64_t q, double rank)
{
	if (s->job->metric == VEC_L2)
		return (rank - s->length[q] * s->length[q]) / 2;
	return s->job->metric == VEC_COSINE ? rank - 1 : rank;
}

/* How far a score may be off. */
static double score_error(const struct scan_job *s, uint64_t q)
{
	double share = ((double)s->job->base->dim / 16 + 16) * 0x1p-24, longest = s->longest;
	return share *
	       (s->length[q] * longest + (s->job->metric == VEC_L2	  ? longest * longest
					  : s->job->metric == VEC_COSINE ? 1
									 : 0));
}

static int load_block(const struct scan_job *s, struct scan_thread *t, uint64_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		float *row = t->block + i * s->stride;
		if (load_row(s, first + i, row, &t->err) != 0)
			return -1;
		double square = 0;
		for (uint32_t k = 0; k < s->job->base->dim; k++)
			square += (double)row[k] * row[k];
		t->longest = fmax(t->longest, sqrt(square));
		t->half[i] = s->job->metric == VEC_L2 ? (float)(square / 2) : 0;
	}
	return 0;
}

/* Scores of queries from q on, a tile (those that there are) with the rows of a block. */
static void score_block(const struct scan_job *s, struct scan_thread *t, uint64_t q, uint64_t first,
			uint32_t n)
{
	const struct truth_job *j = s->job;
	const float *query[DIST_TILE], *row[4];
	uint32_t queries = j->n - q < DIST_TILE ? (uint32_t)(j->n - q) : DIST_TILE;
	for (uint32_t a = 0; a < DIST_TILE; a++)
		query[a] = s->queries + (q + (a < queries ? a : 0)) * s->stride;
	for (uint32_t i = 0; i < n; i += 4) {
		float dot[4 * DIST_TILE];
		uint32_t rows = n - i < 4 ? n - i : 4;
		for (uint32_t b = 0; b < 4; b++)
			row[b] = t->block + (i + (b < rows ? b : 0)) * s->stride;
		j->kernels->dot_tile(query, row, j->base->dim, dot);
		for (uint32_t a = 0; a < queries; a++) {
			struct topk top = {t->keys + (q + a) * s->keep, t->count[q + a], s->keep};
			uint32_t skip = j->exclude ? j->exclude[q + a] : UINT32_MAX;
			for (uint32_t b = 0; b < rows; b++) {
				float score = t->half[i + b] - dot[4 * a + b];
				/* Most are turned away here. */
				if (score > t->bound[q + a] || first + i + b == skip)
					continue;
				topk_add(&top, topk_key(score, (uint32_t)(first + i + b)));
				if (top.count == s->keep)
					t->bound[q + a] = topk_distance(top.key[s->keep - 1]);
			}
			t->count[q + a] = (uint32_t)top.count;
		}
	}
}

/* Blocks begin..end-1 of the base against every query. */
static void scan_blocks(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct scan_job *s = ctx;
	const struct truth_job *j = s->job;
	struct scan_thread *t = &s->thread[thread];
	for (uint64_t b = begin; b < end && !t->failed; b++) {
		uint64_t first = b * s->block_rows, left = j->base->rows - first;
		uint32_t n = left < s->block_rows ? (uint32_t)left : s->block_rows;
		if (load_block(s, t, first, n) != 0) {
			t->failed = true;
			return;
		}
		for (uint64_t q = 0; q < j->n; q += DIST_TILE)
			score_block(s, t, q, first, n);
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
	double d = truth_rank(j->metric, j->queries + q * j->base->dim, t->raw, j->base->dim);
	exact_add(list, count, j->k, (struct exact){d, row});
	return 0;
}

/* Every row whose score is at most ${limit}, in double.  For queries with more near
 * ties than there was room for. */
static int scan_all(const struct scan_job *s, struct scan_thread *t, uint64_t q, double limit,
		    struct exact *list, uint32_t *count)
{
	const struct truth_job *j = s->job;
	*count = 0;
	for (uint64_t i = 0; i < j->base->rows; i++) {
		if (j->exclude && j->exclude[q] == i)
			continue;
		if (load_block(s, t, i, 1) != 0)
			return -1;
		const float *query = s->queries + q * s->stride;
		float score = t->half[0] - j->kernels->dot(query, t->block, j->base->dim);
		if (score <= limit && look_again(s, t, q, (uint32_t)i, list, count) != 0)
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
			/* Whoever is not among the candidates, could he belong to the answers? */
			double limit = score_of(s, q, list[j->k - 1].distance) + score_error(s, q);
			if (topk_distance(keys[s->keep - 1]) <= limit)
				t->failed = scan_all(s, t, q, limit, list, &count) != 0;
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
	for (int i = 0; i < threads; i++)
		s->longest = fmax(s->longest, s->thread[i].longest);
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
	s.length = mem_array(job->n, sizeof *s.length, err);
	if (!s.queries || !s.thread || !s.length)
		goto out;
	if (job->metric == VEC_L2 && job->base->rows) {
		float *origin = mem_array(s.stride, sizeof *origin, err);
		if (!origin || vec_set_row(job->base, 0, origin, err) != 0) {
			free(origin);
			goto out;
		}
		s.origin = origin;
	}
	for (uint64_t q = 0; q < job->n; q++) {
		float *query = s.queries + q * s.stride;
		double square = 0;
		memcpy(query, job->queries + q * dim, dim * sizeof *query);
		prepare(&s, query);
		for (size_t i = 0; i < dim; i++)
			square += (double)query[i] * query[i];
		s.length[q] = sqrt(square);
	}
	for (int i = 0; i < threads; i++) {
		struct scan_thread *t = &s.thread[i];
		t->block = mem_array(s.block_rows, s.stride * sizeof *t->block, err);
		t->half = mem_array(s.block_rows, sizeof *t->half, err);
		t->raw = mem_array(s.stride, sizeof *t->raw, err);
		t->bound = mem_array(job->n, sizeof *t->bound, err);
		t->keys = mem_array(job->n, s.keep * sizeof *t->keys, err);
		t->count = mem_zeroed(job->n, sizeof *t->count, err);
		if (!t->bound || !t->half || !t->block || !t->raw || !t->keys || !t->count)
			goto out;
		for (uint64_t q = 0; q < job->n; q++)
			t->bound[q] = INFINITY;
	}
	ret = run(&s, err);
out:
	for (int i = 0; s.thread && i < threads; i++) {
		free(s.thread[i].block);
		free(s.thread[i].half);
		free(s.thread[i].bound);
		free(s.thread[i].raw);
		free(s.thread[i].keys);
		free(s.thread[i].count);
	}
	free(s.thread);
	free(s.queries);
	free(s.length);
	free(s.origin);
	return ret;
}
