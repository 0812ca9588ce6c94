/* SPDX-License-Identifier: MIT */
#ifndef TUNE_STRATEGY_H
#define TUNE_STRATEGY_H

#include "tune/goal.h"
#include "tune/history.h"

/* The next config to try. */
struct tune_proposal {
	/* ef_search: what it is expected to need; rung: build only so many rows. */
	struct config config;
	double seconds; /* that the build is expected to take; 0: not known */
	double cost;	/* what is minimised, as expected; 0: not known */
	char why[160];	/* "rung: a cheap look at m 16", "expected to save 4 %" */
};

/*
 * How to look for a better config: a pure function of the history and the goal.  0: ${out}, which is
 * pending in ${h} from now on; -1: ERR_NO and why nothing is worth trying, or another error.
 */
struct tune_strategy {
	const char *name, *about;
	bool by_curve; /* one Trial of a build with its curve tells all of it */
	int (*next)(struct tune_history *h, const struct tune_goal *g, struct tune_proposal *out,
		    struct err *err);
};

/* All of them, and NULL. */
extern const struct tune_strategy tune_strategies[];

/* By name; NULL, ERR_USAGE "unknown strategy 'x', expected one of ...". */
const struct tune_strategy *tune_strategy_find(const char *name, struct err *err);

#endif
