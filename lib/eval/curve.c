/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eval/bench_internal.h"
#include "stat/mean.h"

struct curve_job {
	struct bench *b;
	struct bench_curve *c;
	_Atomic int failed; /* number of the thread, from 1 */
};

/* One query. */
struct curve_query {
	struct curve_job *j;
	uint64_t i;
	const struct hnsw_hit *hits;
	uint64_t *distances; /* of each width */
	double recall, ties;
};

static void on_point(void *ctx, size_t at, int n, uint64_t distances, bool same)
{
	struct curve_query *q = ctx;
	const struct bench *b = q->j->b;
	if (!same)
		bench_count(b, q->i, q->hits, n, &q->recall, &q->ties);
	q->j->c->recall[at * b->n + q->i] = q->recall;
	q->j->c->ties[at * b->n + q->i] = q->ties;
	q->distances[at] += distances;
}

static void search_queries(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct curve_job *j = ctx;
	struct bench *b = j->b;
	struct hnsw_hit *hits = b->hits + (size_t)thread * (b->set->k + 1);
	struct curve_query q = {
	    .j = j, .hits = hits, .distances = j->c->distances + (size_t)thread * j->c->n};
	struct hnsw_curve to = {.hits = hits, .point = on_point, .ctx = &q};
	for (q.i = begin; q.i < end && !j->failed; q.i++)
		if (hnsw_search_curve(b->index, bench_query(b, q.i), bench_wanted(b, q.i), j->c->ef,
				      j->c->n, &b->scratch[thread], &to, &b->err[thread]) != 0)
			j->failed = thread + 1;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

int bench_curve(struct bench *b, const uint32_t *ef, size_t n, struct bench_curve *out,
		struct err *err)
{
	size_t threads = (size_t)par_threads(b->par);
	*out = (struct bench_curve){.ef = mem_array(n, sizeof *ef, err)};
	if (!out->ef)
		return -1;
	memcpy(out->ef, ef, n * sizeof *ef);
	qsort(out->ef, n, sizeof *ef, by_value);
	for (size_t i = 0; i < n; i++)
		if (out->n == 0 || out->ef[out->n - 1] != out->ef[i])
			out->ef[out->n++] = out->ef[i];
	struct curve_job j = {.b = b, .c = out};
	out->recall = mem_array(out->n, b->n * sizeof *out->recall, err);
	out->ties = mem_array(out->n, b->n * sizeof *out->ties, err);
	out->distances = mem_zeroed(threads, out->n * sizeof *out->distances, err);
	if (out->recall && out->ties && out->distances) {
		par_run(b->par, b->n, 16, search_queries, &j);
		if (!j.failed) {
			for (size_t t = 1; t < threads; t++)
				for (size_t i = 0; i < out->n; i++)
					out->distances[i] += out->distances[t * out->n + i];
			return 0;
		}
		*err = b->err[j.failed - 1];
	}
	bench_curve_release(out);
	return -1;
}

void bench_curve_release(struct bench_curve *c)
{
	free(c->ef);
	free(c->recall);
	free(c->ties);
	free(c->distances);
	*c = (struct bench_curve){0};
}

size_t bench_curve_find(const struct bench_curve *c, uint32_t ef)
{
	const uint32_t *at = bsearch(&ef, c->ef, c->n, sizeof ef, by_value);
	return (size_t)(at - c->ef);
}

int bench_curve_point(const struct bench *b, const struct bench_curve *c, size_t at, double target,
		      double alpha, struct curve_point *out, struct err *err)
{
	double *recall = mem_array(b->n, sizeof *recall, err), ties;
	if (!recall)
		return -1;
	*out = (struct curve_point){.ef = c->ef[at],
				    .recall = bench_curve_recall(b, c, at, &ties),
				    .distances = (double)c->distances[at] / (double)b->n};
	for (uint64_t i = 0; i < b->n; i++) {
		recall[i] = fmin(c->recall[at * b->n + i] / b->set->k, 1);
		out->at_target += recall[i] >= target - 1e-12;
	}
	out->at_target /= (double)b->n;
	int ret = stat_mean_lower(recall, b->n, alpha, &out->lower, err);
	free(recall);
	return ret;
}

double bench_curve_recall(const struct bench *b, const struct bench_curve *c, size_t at,
			  double *ties)
{
	double all = (double)b->n * b->set->k, recall = 0;
	*ties = 0;
	for (uint64_t i = 0; i < b->n; i++) {
		recall += c->recall[at * b->n + i];
		*ties += c->ties[at * b->n + i];
	}
	*ties /= all;
	return recall / all;
}
