/* SPDX-License-Identifier: MIT */
#ifndef EVAL_BENCH_H
#define EVAL_BENCH_H

#include "eval/idmap.h"
#include "hnsw/hnsw.h"

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
	double brute_force_us; /* measured once */
	/* one a thread */
	struct hnsw_scratch *scratch;
	struct hnsw_hit *hits;
	struct err *err;
};

struct bench_result {
	/* of each round a percentile over the queries; here the median over the rounds */
	double p50_us, p95_us, p99_us;
	double qps;		 /* queries / wall time, median round, all threads together */
	double recall_at_k;	 /* mean over queries of |found and true| / min(k, |true|) */
	double recall_at_k_ties; /* the same counting whatever is as near as the k-th true one */
	double distances_per_query, hops_per_query;
	uint64_t queries, rounds;
	uint64_t memory_bytes; /* of the index with everything that a searching thread needs */
};

/*
 * Prepare: look up the answers' ids, measure brute force.  ERR_DATA: dimension, metric or
 * vectors_digest of the eval set do not fit the index, or it has no answers.
 */
int bench_init(struct bench *b, const struct hnsw *index, const struct evalset *set,
	       const struct dist_kernels *kernels, struct par *par, struct err *err) MUST_CHECK;
void bench_release(struct bench *b);

/*
 * Measure at one ef_search: a round to warm up and to count recall, then rounds over all
 * queries until at least three are done and ${min_seconds} have passed.
 */
int bench_run(struct bench *b, uint32_t ef_search, double min_seconds, struct bench_result *out,
	      struct err *err) MUST_CHECK;

/* The percentile ${p} (0..1) of ${n} >= 1 values in increasing order: that at index
 * round((n-1)*p). */
double bench_percentile(const double *sorted, uint64_t n, double p);

#endif
