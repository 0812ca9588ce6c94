/* SPDX-License-Identifier: MIT */
#ifndef EVAL_BENCH_H
#define EVAL_BENCH_H

#include "base/rng.h"
#include "eval/idmap.h"
#include "hnsw/hnsw.h"
#include "record/curve.h"

/* One index against one eval set. */
struct bench {
	const struct hnsw *index;
	const struct evalset *set;
	const struct dist_kernels *kernels;
	struct par *par; /* threads that search at the same time; 1 for latencies */
	struct eval_rows rows;
	uint32_t *query; /* the queries that have a vector and answers */
	uint64_t n;
	double
	    *limit; /* of each of them: up to which distance a hit is as near as the k-th answer */
	double brute_force_us; /* measured once, by the first bench_run() */
	uint32_t *order;       /* in which a round searches them */
	struct rng rng;
	/* one a thread */
	struct hnsw_scratch *scratch;
	struct hnsw_hit *hits;
	struct err *err;
};

struct bench_result {
	/* of each round a percentile over the queries; here the median over the rounds */
	double p50_us, p95_us, p99_us;
	double p50_low_us, p50_high_us; /* hold the median over the rounds with probability 0.95 */
	double qps;		 /* queries / wall time, median round, all threads together */
	double recall_at_k;	 /* mean over queries of |found and true| / min(k, |true|) */
	double recall_at_k_ties; /* the same counting whatever is as near as the k-th true one */
	double recall_lcb;	 /* what recall is at least, with an error of STAT_RECALL_ALPHA */
	double recall_p5;	 /* 5th percentile over the queries */
	double at_target;	 /* share of the queries whose recall is the target at least */
	double distances_per_query;
	uint64_t queries, rounds;
	uint64_t memory_bytes; /* of the index with everything that a searching thread needs, but
				* for what is left on disk */
	uint64_t disk_bytes, disk_cached_bytes; /* the latter at the end */
};

/*
 * Prepare: look up the answers' ids.  ERR_DATA: dimension, metric or
 * vectors_digest of the eval set do not fit the index, or it has no answers.
 */
int bench_init(struct bench *b, const struct hnsw *index, const struct evalset *set,
	       const struct dist_kernels *kernels, struct par *par, struct err *err) MUST_CHECK;

/* The same for an index of some of the rows only: the answers are searched among these, exactly. */
int bench_init_own(struct bench *b, const struct hnsw *index, const struct evalset *set,
		   const struct dist_kernels *kernels, struct par *par, struct err *err) MUST_CHECK;
void bench_release(struct bench *b);

/* How long to measure, and what a query should reach. */
struct bench_opts {
	double min_seconds;
	double target_recall;
	uint64_t timed; /* of the queries; 0: all */
};

/*
 * Recall of every query at several ef_search, and how many distances a search computes, all from
 * one search a query (hnsw_search_curve).
 */
struct bench_curve {
	uint32_t *ef; /* increasing, each once */
	size_t n;
	/* n x queries: 0..k, found answers scaled to k where there are fewer; and with ties as hits
	 */
	double *recall, *ties;
	uint64_t *distances; /* n: over all queries */
};

/* ${ef}: ${n} >= 1 numbers in any order.  ERR_ENV: memory, for n x queries numbers. */
int bench_curve(struct bench *b, const uint32_t *ef, size_t n, struct bench_curve *out,
		struct err *err) MUST_CHECK;
void bench_curve_release(struct bench_curve *c);

/* Where ${ef} stands in it; it is there. */
size_t bench_curve_find(const struct bench_curve *c, uint32_t ef);

/* What a Trial's curve says of width number ${at}: ${alpha} is the error of the lower bound. */
int bench_curve_point(const struct bench *b, const struct bench_curve *c, size_t at, double target,
		      double alpha, struct curve_point *out, struct err *err) MUST_CHECK;

/* Mean recall at width number ${at}, and the same with ties: 0..1. */
double bench_curve_recall(const struct bench *b, const struct bench_curve *c, size_t at,
			  double *ties);

/*
 * Measure at width number ${at} of a curve, which has the recall: rounds over all
 * queries, each in another random order, until at least BENCH_MIN_ROUNDS are done,
 * ${min_seconds} have passed and the median over the rounds is known within 1 %; but no
 * longer than three times ${min_seconds}.
 */
#define BENCH_MIN_ROUNDS 6 /* the least that have an interval for their median */
int bench_run(struct bench *b, const struct bench_curve *curve, size_t at,
	      const struct bench_opts *opts, struct bench_result *out, struct err *err) MUST_CHECK;

/* The memory_bytes of its results, by now. */
uint64_t bench_memory_bytes(const struct bench *b);

/* Search query number ${i} of the n once on the calling thread; microseconds into ${us}. */
int bench_time(struct bench *b, uint64_t i, uint32_t ef_search, double *us,
	       struct err *err) MUST_CHECK;

/* The median of ${n} >= 1 values, which are sorted by this. */
double bench_median(double *v, uint64_t n);

/* The percentile ${p} (0..1) of ${n} >= 1 values in increasing order: that at index
 * round((n-1)*p). */
double bench_percentile(const double *sorted, uint64_t n, double p);

#endif
