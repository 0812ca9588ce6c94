/* SPDX-License-Identifier: MIT */
#ifndef EVAL_MAKE_H
#define EVAL_MAKE_H

#include "eval/truth.h"
#include "record/evalset.h"

/* How answers are computed. */
struct make_truth {
	const struct vec_set *base;
	enum vec_metric metric;
	struct par *par;
	const struct dist_kernels *kernels;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
	/* Answers of before (may be the same eval set): taken over if its truth_digest proves
	 * that they are those of these queries, for as many answers at least; or NULL. */
	const struct evalset *known;
	uint32_t known_k;
	bool reused; /* set if they were */
};

/*
 * Compute the exact answers of every query that has a vector, and set metric,
 * vectors_digest, truth_digest and truth_built.  ERR_DATA: a dimension that differs.
 */
int evalset_make_truth(struct evalset *e, struct make_truth *how, struct err *err) MUST_CHECK;

/* The same without computing: the answers that ${e} has are taken for those of how->metric. */
int evalset_seal_truth(struct evalset *e, const struct make_truth *how,
		       struct err *err) MUST_CHECK;

/* Row numbers of a seeded sample of ${count} of ${rows}, increasing; free() it. */
uint32_t *evalset_sample(uint64_t seed, uint32_t rows, uint32_t count, struct err *err) MUST_CHECK;

/*
 * Add further rows of a set, by a seeded sample, to an eval set whose queries are such rows, until it
 * has ${want} or all of them; its queries are then known to be sampled, and its answers to be
 * computed.  ERR_NO: its queries are not rows
 * that are no answers to themselves, so nothing of their kind can be added.
 */
int evalset_enlarge(struct evalset *e, const struct vec_set *set, uint64_t want, uint64_t seed,
		    struct err *err) MUST_CHECK;

/* Make query ${i} out of a row of a set: its id and vector. */
int evalset_query_from_row(struct evalset *e, uint64_t i, const struct vec_set *set, uint64_t row,
			   struct err *err) MUST_CHECK;

#endif
