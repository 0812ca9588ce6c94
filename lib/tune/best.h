/* SPDX-License-Identifier: MIT */
#ifndef TUNE_BEST_H
#define TUNE_BEST_H

#include "base/digest.h"
#include "record/trial.h"

/* Rules that name one Trial of many.  All compare in 32-bit floats. */
enum best_rule {
	BEST_RECALL,  /* greatest recall; ties: the latest */
	BEST_LATENCY, /* least p95; ties: the earliest */
	BEST_PARETO,  /* greatest recall - 0.2 * min(p95_us/1000, 1); ties: the latest */
	BEST_WINNER,  /* greatest recall; within 1e-4 of it least p50; then least build time; then
			 the  earliest: autotune's */
	BEST_RULES
};

int best_rule_parse(struct span name, enum best_rule *out);
extern const char best_rule_names[];

/* The best so far.  Trials are given one by one, oldest first. */
struct best {
	enum best_rule rule;
	bool any;
	struct buf line; /* the best Trial, verbatim */
	/* BEST_WINNER: all that may still win, as they came */
	struct best_candidate *candidate;
	size_t count, cap;
	float score;
};

void best_init(struct best *b, enum best_rule rule);
void best_release(struct best *b);
int best_consider(struct best *b, const struct trial *t, struct err *err) MUST_CHECK;

/* Settle; the line is then valid if ${any}. */
int best_end(struct best *b, struct err *err) MUST_CHECK;

/*
 * Every Trial that no other beats or equals in both recall and p50 while beating it in one.
 * Costs memory for these only.
 */
struct frontier {
	struct frontier_point *point; /* recall falling, p50 falling */
	size_t count, cap;
};

struct frontier_point {
	float recall, p50;
	char *line;
	size_t len;
	struct digest id;
};

#define FRONTIER_INIT \
	{             \
		0     \
	}

int frontier_consider(struct frontier *f, const struct trial *t, struct err *err) MUST_CHECK;
void frontier_release(struct frontier *f);

#endif
