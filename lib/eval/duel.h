/* SPDX-License-Identifier: MIT */
#ifndef EVAL_DUEL_H
#define EVAL_DUEL_H

#include "eval/bench.h"
#include "tune/goal.h"

/*
 * Champion against challenger in one process: is it confirmed that the challenger wins by
 * the rule of trial_beats(), recall greater, or equal and faster?
 *
 * Recall: the same queries are searched in both.  The challenger's must not be lower by
 * ${recall_tie} or more.  If it is greater by that much, and the differences query by query
 * prove it (stat_mean_positive), it wins.  Else it must be faster: blocks of queries drawn
 * at random are searched in both, in an order that a coin decides for each block, and the
 * log ratio of the two medians goes to a sequential test (stat/faster.h).  Each of the two
 * ways to win has half of ${alpha}, so that is the probability that a challenger wins that
 * is neither better in recall nor faster by more than ${margin}.
 *
 * By a goal the question is another: the challenger must meet it, its recall by the goal's
 * confidence.  Then it wins if the champion does not meet it, or if it is confirmed that it is
 * cheaper by more than ${margin}: latency by that test, with all of ${alpha}; distances, memory and
 * build time are counted, so their figures are compared.
 */
#define DUEL_BETA 0.01	   /* probability of giving up one that is faster by ${effect} */
#define DUEL_MIN_BLOCKS 20 /* so that every verdict can tell times */

struct duel_opts {
	double seconds; /* of measuring at most, then it stays undecided */
	double alpha, margin, effect;
	double recall_tie;
	double min_recall; /* of which the challenger's lower bound must not be short; 0: none */
	uint64_t seed;
	const struct tune_goal *goal; /* complete; NULL: none */
	double build_secs[2];	      /* for a goal, of both sides; 0: not known */
};

enum duel_reason {
	DUEL_FASTER, /* the challenger wins by these two */
	DUEL_RECALL,
	DUEL_NOT_FASTER, /* and does not by these */
	DUEL_NOT_PROVEN, /* its recall is greater, but that is not proven, nor is it faster */
	DUEL_RECALL_LOWER,
	DUEL_FLOOR, /* its recall is not proven to reach the floor */
	DUEL_UNDECIDED,
	DUEL_MEETS, /* by a goal: the challenger wins by these two */
	DUEL_CHEAPER,
	DUEL_NOT_REACHED, /* and does not by these */
	DUEL_OVER_LIMIT,
	DUEL_NOT_CHEAPER,
	DUEL_UNKNOWN_COST,
	DUEL_REASONS
};
extern const char *const duel_reason_text[DUEL_REASONS];

struct duel_side {
	double recall_at_k, recall_at_k_ties, recall_lcb;
	double reached; /* by a goal: the lower bound of what is to reach its target */
	double distances_per_query;
	double memory_bytes, build_secs; /* 0: not known */
	double p50_us; /* median over the blocks */
};

struct duel_result {
	bool won; /* by the challenger */
	enum duel_reason reason;
	struct duel_side side[2]; /* champion, challenger */
	double speedup;		  /* median over the blocks of champion's time / challenger's */
	double speedup_low, speedup_high; /* hold it with probability 0.95 */
	double evidence;		  /* that it is faster by more than the margin */
	double recall_evidence; /* that its recall is greater; both: more than 2/alpha is enough */
	uint64_t queries,
	    queries_needed; /* for the floor; 0: no number would do, or none is asked */
	uint64_t blocks, block_queries;
	double seconds;
};

/*
 * ${side}: both over the same eval set, vectors_digests equal, one thread each, the
 * champion first; ${ef}: their beam widths.
 */
int duel_run(struct bench side[2], const uint32_t ef[2], const struct duel_opts *opts,
	     struct duel_result *out, struct err *err) MUST_CHECK;

#endif
