/* SPDX-License-Identifier: MIT */
#ifndef EVAL_BENCH_INTERNAL_H
#define EVAL_BENCH_INTERNAL_H

#include "eval/bench.h"

/* The vector of query number ${i} of the n. */
const float *bench_query(const struct bench *b, uint64_t i);

/* How many hits to ask for: one more if the query is itself a row and no answer. */
size_t bench_wanted(const struct bench *b, uint64_t i);

/* What ${n} hits of query number ${i} are worth: 0..k, and with ties. */
void bench_count(const struct bench *b, uint64_t i, const struct hnsw_hit *hits, int n,
		 double *recall, double *ties);

#endif
