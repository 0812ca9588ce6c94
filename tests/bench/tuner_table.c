/* SPDX-License-Identifier: MIT */
/*
 * The exact table that tuners are replayed against: what every build of a data set gives at
 * every ef_search, and what it costs.
 *
 *	tuner_table VECTORS QUERIES METRIC SEED [ROWS] >TABLE
 *
 * ROWS: a random sample of so many.  A line a build, and a line a rung (the first 1/16, 1/8, 1/2 of the rows) of it:
 *
 *	M EF_CONSTRUCTION SEED ROWS ALL_ROWS SECONDS MEMORY_BYTES POINTS, and for each point
 *	EF_SEARCH RECALL LOWER DISTANCES P50_US (0: not timed)
 *
 * Seconds are processor time of one thread, so that other load does not count.  Each time of a
 * search is divided by one of a reference index in the same moment, for the same reason.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "eval/truth.h"
#include "hnsw/hnsw.h"
#include "stat/mean.h"

#define K 10
#define QUERIES 1000
#define TIMED 250 /* of the queries, in each of so many rounds: */
#define ROUNDS 3
#define POINTS 64
#define REFERENCE_EF 40
#define TIMED_EACH 6 /* point of a build is timed; of the least rung every other of them */

static const uint32_t all_m[] = {16, 8, 12, 24, 32, 48};
static const uint32_t all_ec[] = {80, 10, 14, 20, 28, 40, 57, 113, 160, 226, 320, 400};
static const uint32_t shares[] = {16, 8, 2, 1};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct table {
	struct vec_set set, rung[COUNT(shares)];
	enum vec_metric metric;
	uint64_t seed, n;
	float *queries;
	uint32_t *truth[COUNT(shares)];
	struct par *par;
	const struct dist_kernels *kernels;
	struct hnsw *reference;
	struct hnsw_scratch reference_scratch;
	double reference_us; /* what its times are taken to be */
	uint32_t ef[POINTS];
	size_t points;
	/* of the build in hand */
	double started, aside; /* processor time */
	struct hnsw_params params;
} t;

static _Noreturn void die(const struct err *err)
{
	fprintf(stderr, "tuner_table: %s\n", err->msg);
	exit(err->code);
}

static double cpu_seconds(void)
{
	struct timespec s;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &s);
	return (double)s.tv_sec + (double)s.tv_nsec / 1e9;
}

static void check(bool good, const struct err *err)
{
	if (!good)
		die(err);
}

static const float *query(uint64_t i)
{
	return t.queries + i * t.set.dim;
}

/* ---- recall ---- */

struct sums {
	const struct hnsw_hit *hits;
	const uint32_t *truth;
	double recall[POINTS][QUERIES], distances[POINTS];
	uint64_t query;
	double found;
};

static void on_point(void *ctx, size_t i, int n, uint64_t distances, bool same)
{
	struct sums *s = ctx;
	if (!same) {
		s->found = 0;
		for (int h = 0; h < n; h++)
			for (int k = 0; k < K; k++)
				s->found += s->hits[h].row == s->truth[k];
	}
	s->recall[i][s->query] = s->found / K;
	s->distances[i] += (double)distances;
}

/* ---- time ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, by_value);
	return v[n / 2];
}

static double time_round(const struct hnsw *h, struct hnsw_scratch *s, uint32_t ef)
{
	struct err err;
	struct hnsw_hit hits[K];
	double us[TIMED];
	for (uint64_t i = 0; i < TIMED; i++) {
		uint64_t before = clock_mono_ns();
		check(hnsw_search(h, query(i * 7 % t.n), K, ef, s, hits, &err) >= 0, &err);
		us[i] = (double)(clock_mono_ns() - before) / 1000;
	}
	return median(us, TIMED);
}

/* Relative to the reference, whose time a second ago may have been another. */
static double time_point(const struct hnsw *h, struct hnsw_scratch *s, uint32_t ef)
{
	double ratio[ROUNDS];
	for (int r = 0; r < ROUNDS; r++) {
		double a = time_round(t.reference, &t.reference_scratch, REFERENCE_EF);
		double us = time_round(h, s, ef);
		double b = time_round(t.reference, &t.reference_scratch, REFERENCE_EF);
		ratio[r] = us / (a < b ? a : b);
	}
	return median(ratio, ROUNDS) * t.reference_us;
}

static bool is_timed(size_t share, size_t point)
{
	if (shares[share] == 1)
		return point % TIMED_EACH == 0;
	return t.reference && share == 0 && point % (2 * TIMED_EACH) == 0;
}

/* ---- a line ---- */

static void print_line(const struct hnsw *h, size_t share, double seconds)
{
	static struct sums s;
	struct hnsw_info info;
	struct hnsw_scratch scratch = {0};
	struct hnsw_hit hits[K];
	struct hnsw_curve to = {.hits = hits, .point = on_point, .ctx = &s};
	struct err err;
	hnsw_info(h, false, &info);
	memset(&s, 0, sizeof s);
	s.hits = hits;
	check(hnsw_scratch_init(&scratch, h, t.kernels, &err) == 0, &err);
	for (s.query = 0; s.query < t.n; s.query++) {
		s.truth = t.truth[share] + s.query * K;
		check(hnsw_search_curve(h, query(s.query), K, t.ef, t.points, &scratch, &to, &err) == 0,
		      &err);
	}
	printf("%u %u %llu %llu %llu %.4f %llu %zu", t.params.m, t.params.ef_construction,
	       (unsigned long long)t.seed, (unsigned long long)info.rows,
	       (unsigned long long)t.set.rows, seconds, (unsigned long long)info.total_bytes, t.points);
	for (size_t i = 0; i < t.points; i++) {
		double recall = 0, lower;
		for (uint64_t q = 0; q < t.n; q++)
			recall += s.recall[i][q];
		check(stat_mean_lower(s.recall[i], t.n, STAT_RECALL_ALPHA, &lower, &err) == 0, &err);
		double us = is_timed(share, i) ? time_point(h, &scratch, t.ef[i]) : 0;
		printf(" %u %.5f %.5f %.2f %.3f", t.ef[i], recall / (double)t.n, lower,
		       s.distances[i] / (double)t.n, us);
	}
	putchar('\n');
	fflush(stdout);
	hnsw_scratch_release(&scratch);
}

static int on_rung(void *ctx, const struct hnsw *h, struct err *err)
{
	double seconds = cpu_seconds() - t.started - t.aside;
	struct hnsw_info info;
	(void)ctx, (void)err;
	hnsw_info(h, false, &info);
	for (size_t i = 0; i + 1 < COUNT(shares); i++)
		if (info.rows == t.set.rows / shares[i])
			print_line(h, i, seconds);
	t.aside = cpu_seconds() - t.started - seconds;
	return 0;
}

static void build(uint32_t m, uint32_t ec)
{
	struct err err;
	uint32_t rungs[COUNT(shares) - 1];
	for (size_t i = 0; i < COUNT(rungs); i++)
		rungs[i] = (uint32_t)(t.set.rows / shares[i]);
	struct hnsw_build_opts how = {.par = t.par, .kernels = t.kernels};
	t.params = (struct hnsw_params)HNSW_PARAMS_DEFAULT;
	t.params.metric = t.metric;
	t.params.m = m;
	t.params.ef_construction = ec;
	t.params.seed = t.seed;
	if (!t.reference) {
		t.reference = hnsw_build(&t.set, &t.params, &how, &err);
		check(t.reference != NULL, &err);
		check(hnsw_scratch_init(&t.reference_scratch, t.reference, t.kernels, &err) == 0, &err);
		double us[21];
		for (size_t i = 0; i < COUNT(us); i++)
			us[i] = time_round(t.reference, &t.reference_scratch, REFERENCE_EF);
		qsort(us, COUNT(us), sizeof *us, by_value);
		t.reference_us = us[COUNT(us) / 4];
	}
	how.rungs = rungs;
	how.n_rungs = COUNT(rungs);
	how.rung = on_rung;
	t.aside = 0;
	t.started = cpu_seconds();
	struct hnsw *h = hnsw_build(&t.set, &t.params, &how, &err);
	check(h != NULL, &err);
	print_line(h, COUNT(shares) - 1, cpu_seconds() - t.started - t.aside);
	hnsw_free(h);
}

static void find_answers(size_t share)
{
	struct err err;
	const struct vec_set *base = &t.set;
	if (shares[share] > 1) {
		check(vec_set_sample(&t.set, t.seed, t.set.rows / shares[share], NULL, &t.rung[share],
				     &err) == 0,
		      &err);
		base = &t.rung[share];
	}
	t.truth[share] = mem_array(t.n * K, sizeof **t.truth, &err);
	check(t.truth[share] != NULL, &err);
	struct truth_job job = {.base = base,
				.metric = t.metric,
				.queries = t.queries,
				.n = t.n,
				.k = K,
				.par = t.par,
				.kernels = t.kernels};
	check(truth_compute(&job, t.truth[share], &err) == 0, &err);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct vec_set queries, all;
	if (argc != 5 && argc != 6) {
		fprintf(stderr, "usage: tuner_table VECTORS QUERIES METRIC SEED [ROWS]\n");
		return 2;
	}
	t.metric = strcmp(argv[3], "l2") == 0 ? VEC_L2 : VEC_COSINE;
	t.seed = strtoull(argv[4], NULL, 10);
	const char *base = argv[1], *asked = argv[2];
	t.kernels = dist_choose(NULL, &err);
	t.par = par_new(1, &err);
	check(t.kernels && t.par && vec_set_open(&t.set, &base, 1, &(struct vec_input){0}, &err) == 0 &&
		  vec_set_open(&queries, &asked, 1, &(struct vec_input){0}, &err) == 0,
	      &err);
	if (argc > 5) {
		all = t.set;
		check(vec_set_sample(&all, 1, strtoull(argv[5], NULL, 10), NULL, &t.set, &err) == 0,
		      &err);
	}
	t.n = queries.rows < QUERIES ? queries.rows : QUERIES;
	t.queries = mem_array(t.n * t.set.dim, sizeof *t.queries, &err);
	check(t.queries != NULL, &err);
	for (uint64_t i = 0; i < t.n; i++)
		vec_set_values(&queries, i, t.queries + i * t.set.dim);
	for (uint32_t ef = 10; ef <= 200; ef += ef / 12 ? ef / 12 : 1)
		t.ef[t.points++] = ef;
	t.ef[t.points++] = 200;
	for (size_t i = 0; i < COUNT(shares); i++)
		find_answers(i);
	for (size_t i = 0; i < COUNT(all_m); i++)
		for (size_t j = 0; j < COUNT(all_ec); j++)
			build(all_m[i], all_ec[j]);
	return 0;
}
