/* SPDX-License-Identifier: MIT */
#include "eval/bench_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stat/faster.h"
#include "stat/mean.h"

#define MAX_ROUNDS 1000
#define LONGEST 3   /* times the seconds asked for, where rounds differ much */
#define STABLE 0.01 /* half the width of the interval of the median, relative */
#define BRUTE_QUERIES 32
#define BRUTE_SECONDS 0.3
#define NS 1e9

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void sort_values(double *v, uint64_t n)
{
	if (n)
		qsort(v, n, sizeof *v, by_value);
}

double bench_percentile(const double *sorted, uint64_t n, double p)
{
	uint64_t i = (uint64_t)llround((double)(n - 1) * p);
	return sorted[i < n ? i : n - 1];
}

double bench_median(double *v, uint64_t n)
{
	sort_values(v, n);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double rounded(double v, double parts)
{
	return round(v * parts) / parts;
}

/* ---- preparing ---- */

static int check_fit(const struct evalset *e, const struct hnsw_info *info, bool same_rows, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];
	digest_text(info->vectors_digest, digest);
	if (e->dim && e->dim != info->dim)
		return err_set(err, ERR_DATA, "the queries have dimension %u, the index has %u",
			       e->dim, info->dim);
	if (e->has_metric && e->metric != info->params.metric)
		return err_set(err, ERR_DATA, "the answers are by metric %s, the index has %s",
			       vec_metric_name(e->metric), vec_metric_name(info->params.metric));
	if (same_rows && e->vectors_digest[0] && strcmp(e->vectors_digest, digest) != 0)
		return err_set(err, ERR_DATA,
			       "the answers belong to other vectors (digest %s, the index has %s): "
			       "compute them again with evalset --refresh",
			       e->vectors_digest, digest);
	return 0;
}

static struct span id_of(const void *ctx, uint64_t row, char *tmp)
{
	return hnsw_id(ctx, (uint32_t)row, tmp);
}

const float *bench_query(const struct bench *b, uint64_t i)
{
	return b->set->vectors + (size_t)b->query[i] * b->set->dim;
}

/* Median time of an exact search, over some of the queries, on one thread. */
static int time_brute_force(struct bench *b, struct err *err)
{
	double t[BRUTE_QUERIES];
	uint64_t n = 0, start = clock_mono_ns();
	while (n < b->n && n < BRUTE_QUERIES &&
	       (n < 3 || (double)(clock_mono_ns() - start) < BRUTE_SECONDS * NS)) {
		uint64_t before = clock_mono_ns();
		if (hnsw_search_exact(b->index, bench_query(b, n), b->set->k, &b->scratch[0],
				      b->hits, err) < 0)
			return -1;
		t[n++] = (double)(clock_mono_ns() - before) / 1000;
	}
	b->brute_force_us = rounded(bench_median(t, n), 1000);
	return 0;
}

/* How many answers of query number ${q} of the set count. */
static uint32_t n_answers(const struct bench *b, uint32_t q)
{
	uint32_t n = b->set->query[q].n_truth;
	return n < b->set->k ? n : b->set->k;
}

static int find_limits(struct bench *b, const struct hnsw_info *info, struct err *err)
{
	uint32_t *node = mem_array(info->rows, sizeof *node, err);
	if (!node)
		return -1;
	hnsw_row_nodes(b->index, node);
	for (uint64_t i = 0; i < b->n; i++) {
		uint32_t q = b->query[i],
			 row = b->rows.truth[(size_t)q * b->set->k + n_answers(b, q) - 1];
		b->limit[i] = -INFINITY;
		if (row == IDMAP_NONE)
			continue;
		double d = hnsw_node_rank(b->index, bench_query(b, i), node[row], &b->scratch[0]);
		b->limit[i] = d + 1e-6 * fabs(d);
		/* Making vectors of unit length has rounded them. */
		if (info->params.metric == VEC_COSINE)
			b->limit[i] += 1e-7 * sqrt(2 * fabs(d));
	}
	free(node);
	return 0;
}

/* The same vectors under other ids: answers would name rows that they are not. */
static int check_ids(const struct bench *b, const struct hnsw_info *info,
		     const struct id_source *source, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];
	const struct evalset *e = b->set;
	if (!e->ids_digest[0])
		return 0;
	eval_ids_digest(source, info->id_bytes > 0, digest);
	return strcmp(digest, e->ids_digest) == 0
		   ? 0
		   : err_set(err, ERR_DATA,
			     "the answers were computed over the same vectors under other ids "
			     "(digest of the ids %s, the index has %s): make the eval set of "
			     "vectors with the index's ids",
			     e->ids_digest, digest);
}

/* Replace the answers by those among the rows of the index. */
static int find_own(struct bench *b, struct err *err)
{
	for (uint64_t i = 0; i < b->n; i++) {
		uint32_t q = b->query[i], n = 0, *truth = b->rows.truth + (size_t)q * b->set->k;
		int got = hnsw_search_exact(b->index, bench_query(b, i), bench_wanted(b, i),
					    &b->scratch[0], b->hits, err);
		if (got < 0)
			return -1;
		for (int h = 0; h < got && n < b->set->k; h++)
			if (b->hits[h].row != b->rows.exclude[q])
				truth[n++] = b->hits[h].row;
		while (n < b->set->k)
			truth[n++] = IDMAP_NONE;
	}
	return 0;
}

static int init(struct bench *b, const struct hnsw *index, const struct evalset *set, bool own,
		const struct dist_kernels *kernels, struct par *par, struct err *err)
{
	struct hnsw_info info;
	size_t threads = (size_t)par_threads(par);
	*b = (struct bench){.index = index, .set = set, .kernels = kernels, .par = par};
	hnsw_info(index, false, &info);
	if (check_fit(set, &info, !own, err) != 0)
		return -1;
	struct id_source source = {info.rows, id_of, index};
	b->query = mem_array(set->n, sizeof *b->query, err);
	b->scratch = mem_zeroed(threads, sizeof *b->scratch, err);
	b->hits = mem_array(threads, ((size_t)set->k + 1) * sizeof *b->hits, err);
	b->err = mem_zeroed(threads, sizeof *b->err, err);
	b->limit = mem_array(set->n, sizeof *b->limit, err);
	b->order = mem_array(set->n, sizeof *b->order, err);
	if (!b->order || !b->limit || !b->query || !b->scratch || !b->hits || !b->err)
		goto fail;
	for (uint32_t i = 0; i < set->n; i++)
		if (set->query[i].has_vector && set->query[i].n_truth)
			b->query[b->n++] = i;
	if (b->n == 0) {
		err_set(
		    err, ERR_DATA,
		    "no query has both a vector and answers: compute them with evalset --refresh");
		goto fail;
	}
	if (eval_rows_find(&b->rows, set, &source, err) != 0)
		goto fail;
	if (!own && check_ids(b, &info, &source, err) != 0)
		goto fail;
	for (size_t t = 0; t < threads; t++)
		if (hnsw_scratch_init(&b->scratch[t], index, kernels, err) != 0)
			goto fail;
	if ((own && find_own(b, err) != 0) || find_limits(b, &info, err) != 0)
		goto fail;
	return 0;
fail:
	bench_release(b);
	return -1;
}

int bench_init(struct bench *b, const struct hnsw *index, const struct evalset *set,
	       const struct dist_kernels *kernels, struct par *par, struct err *err)
{
	return init(b, index, set, false, kernels, par, err);
}

int bench_init_own(struct bench *b, const struct hnsw *index, const struct evalset *set,
		   const struct dist_kernels *kernels, struct par *par, struct err *err)
{
	return init(b, index, set, true, kernels, par, err);
}

void bench_release(struct bench *b)
{
	for (int t = 0; b->scratch && t < par_threads(b->par); t++)
		hnsw_scratch_release(&b->scratch[t]);
	free(b->scratch);
	free(b->hits);
	free(b->err);
	free(b->query);
	free(b->limit);
	free(b->order);
	eval_rows_release(&b->rows);
	*b = (struct bench){0};
}

/* ---- measuring ---- */

struct round {
	struct bench *b;
	uint32_t ef;
	uint64_t n;	    /* of the queries, evenly spaced, are timed */
	double *latency_us; /* n */
	_Atomic int failed; /* number of the thread, from 1 */
};

size_t bench_wanted(const struct bench *b, uint64_t i)
{
	return b->set->k + (b->rows.exclude[b->query[i]] != IDMAP_NONE);
}

static int search(const struct bench *b, uint64_t i, uint32_t ef, struct hnsw_scratch *s,
		  struct hnsw_hit *hits, struct err *err)
{
	return hnsw_search(b->index, bench_query(b, i), bench_wanted(b, i), ef, s, hits, err);
}

void bench_count(const struct bench *b, uint64_t i, const struct hnsw_hit *hits, int n,
		 double *recall, double *ties)
{
	uint32_t q = b->query[i], n_true = n_answers(b, q), found = 0, near = 0, seen = 0;
	const uint32_t *truth = b->rows.truth + (size_t)q * b->set->k;
	for (int h = 0; h < n && seen < b->set->k; h++) {
		if (hits[h].row == b->rows.exclude[q])
			continue;
		seen++;
		for (uint32_t t = 0; t < n_true; t++)
			if (truth[t] == hits[h].row) {
				found++;
				break;
			}
		near += hits[h].rank <= b->limit[i];
	}
	/* In k-ths of a query: whole numbers, unless there are fewer than k answers. */
	*recall = (double)found * b->set->k / n_true;
	*ties = (double)(near < n_true ? near : n_true) * b->set->k / n_true;
}

static void search_queries(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct round *r = ctx;
	struct bench *b = r->b;
	struct hnsw_scratch *s = &b->scratch[thread];
	struct hnsw_hit *hits = b->hits + (size_t)thread * (b->set->k + 1);
	for (uint64_t at = begin; at < end && !r->failed; at++) {
		uint64_t i = b->order[at] * b->n / r->n, before = clock_mono_ns();
		int n = search(b, i, r->ef, s, hits, &b->err[thread]);
		if (n < 0)
			r->failed = thread + 1;
		else
			r->latency_us[at] = (double)(clock_mono_ns() - before) / 1000;
	}
}

static double run_round(struct round *r)
{
	rng_permutation(rng_next(&r->b->rng), r->b->order, (uint32_t)r->n);
	uint64_t start = clock_mono_ns();
	par_run(r->b->par, r->n, 16, search_queries, r);
	return (double)(clock_mono_ns() - start) / NS;
}

static uint64_t scratch_bytes(const struct bench *b)
{
	uint64_t bytes = 0;
	for (int t = 0; t < par_threads(b->par); t++)
		bytes += b->scratch[t].bytes;
	return bytes;
}

uint64_t bench_memory_bytes(const struct bench *b)
{
	struct hnsw_info info;
	hnsw_info(b->index, false, &info);
	return info.total_bytes - info.disk_bytes + scratch_bytes(b);
}

int bench_time(struct bench *b, uint64_t i, uint32_t ef_search, double *us, struct err *err)
{
	uint64_t before = clock_mono_ns();
	int n = search(b, i, ef_search, &b->scratch[0], b->hits, err);
	*us = (double)(clock_mono_ns() - before) / 1000;
	return n < 0 ? -1 : 0;
}

/* What the curve says at its width number ${at}. */
static int read_curve(const struct bench *b, const struct bench_curve *c, size_t at, double target,
		      struct bench_result *out, struct err *err)
{
	double *recall = mem_array(b->n, sizeof *recall, err);
	int ret = -1;
	if (!recall)
		return -1;
	memcpy(recall, c->recall + at * b->n, b->n * sizeof *recall);
	out->distances_per_query = (double)c->distances[at] / (double)b->n;
	out->recall_at_k = bench_curve_recall(b, c, at, &out->recall_at_k_ties);
	out->at_target = 0;
	for (uint64_t i = 0; i < b->n; i++) {
		recall[i] = fmin(recall[i] / b->set->k, 1);
		/* 9 of 10 are 0.9, whatever the last bit says. */
		out->at_target += recall[i] >= target - 1e-12;
	}
	out->at_target /= (double)b->n;
	if (stat_mean_lower(recall, b->n, STAT_RECALL_ALPHA, &out->recall_lcb, err) != 0)
		goto out;
	sort_values(recall, b->n);
	out->recall_p5 = bench_percentile(recall, b->n, 0.05);
	ret = 0;
out:
	free(recall);
	return ret;
}

/* Figures of the rounds so far. */
struct rounds {
	double *p50, *p95, *p99, *qps, *sorted;
	uint64_t n;
};

/* Whether the median of the rounds is known well enough; its interval goes to ${out}. */
static bool is_stable(struct rounds *p, struct bench_result *out)
{
	uint64_t lo, hi;
	memcpy(p->sorted, p->p50, p->n * sizeof *p->sorted);
	double m = bench_median(p->sorted, p->n);
	stat_median_ranks(p->n, &lo, &hi);
	out->p50_low_us = rounded(p->sorted[lo], 1000);
	out->p50_high_us = rounded(p->sorted[hi], 1000);
	return p->sorted[hi] - p->sorted[lo] <= 2 * STABLE * m;
}

static int time_rounds(struct bench *b, uint32_t ef, const struct bench_opts *opts,
		       struct rounds *p, struct bench_result *out, struct err *err)
{
	struct round r = {.b = b, .ef = ef, .n = b->n};
	double min_seconds = opts->min_seconds;
	double spent = 0;
	bool done = false;
	if (opts->timed && opts->timed < r.n)
		r.n = opts->timed;
	r.latency_us = mem_array(r.n, sizeof *r.latency_us, err);
	if (!r.latency_us)
		return -1;
	while (!r.failed && !done) {
		double seconds = run_round(&r);
		spent += seconds;
		sort_values(r.latency_us, r.n);
		p->p50[p->n] = bench_percentile(r.latency_us, r.n, 0.50);
		p->p95[p->n] = bench_percentile(r.latency_us, r.n, 0.95);
		p->p99[p->n] = bench_percentile(r.latency_us, r.n, 0.99);
		p->qps[p->n++] = (double)r.n / seconds;
		if (p->n >= BENCH_MIN_ROUNDS && spent >= min_seconds)
			done = is_stable(p, out) || spent >= LONGEST * min_seconds;
		done = done || p->n == MAX_ROUNDS;
	}
	if (r.failed)
		*err = b->err[r.failed - 1];
	free(r.latency_us);
	return r.failed ? -1 : 0;
}

int bench_run(struct bench *b, const struct bench_curve *curve, size_t at,
	      const struct bench_opts *opts, struct bench_result *out, struct err *err)
{
	struct hnsw_info info;
	double *all = mem_array(MAX_ROUNDS, 5 * sizeof *all, err);
	struct rounds p = {
	    all, all + MAX_ROUNDS, all + 2 * MAX_ROUNDS, all + 3 * MAX_ROUNDS, all + 4 * MAX_ROUNDS,
	    0};
	int ret = -1;
	*out = (struct bench_result){.queries = b->n};
	if (!all || (b->brute_force_us == 0 && time_brute_force(b, err) != 0) ||
	    read_curve(b, curve, at, opts->target_recall, out, err) != 0 ||
	    time_rounds(b, curve->ef[at], opts, &p, out, err) != 0)
		goto out;
	(void)is_stable(&p, out);
	out->rounds = p.n;
	/* The clock tells nanoseconds; further digits would only look exact. */
	out->p50_us = rounded(bench_median(p.p50, p.n), 1000);
	out->p95_us = rounded(bench_median(p.p95, p.n), 1000);
	out->p99_us = rounded(bench_median(p.p99, p.n), 1000);
	out->qps = rounded(bench_median(p.qps, p.n), 10);
	hnsw_info(b->index, false, &info);
	out->memory_bytes = bench_memory_bytes(b);
	out->disk_bytes = info.disk_bytes;
	out->disk_cached_bytes = hnsw_cached_bytes(b->index);
	ret = 0;
out:
	free(all);
	return ret;
}
