/* SPDX-License-Identifier: MIT */
#ifndef TUNE_DECIDE_H
#define TUNE_DECIDE_H

#include "tune/goal.h"
#include "tune/history.h"

#define TUNE_FINALISTS 8

enum tune_verdict {
	TUNE_REACHED,	/* there is a config whose lower bound reaches the target */
	TUNE_UNPROVEN,	/* only by its mean: more queries would prove it, or not */
	TUNE_IMPOSSIBLE, /* none of those tried */
	TUNE_NOTHING,	/* no Trial counts */
};

/* A config that was measured, or that a curve tells of. */
struct tune_candidate {
	const struct tune_build *build;
	struct config config;
	const struct tune_timing *timing; /* of this very ef_search; NULL: no Trial has it */
	double recall, lower; /* of what the goal is about */
	double us, distances; /* us: by the Trials, else by the latency law; NAN: not known */
	double cost;	      /* of what is minimised */
	uint64_t queries_needed; /* to prove it; 0: it is proven, or no number of them will do */
};

struct tune_choice {
	enum tune_verdict verdict;
	/* The cheapest first, then those within 3 % of it: who is best is for a duel to tell.  With
	 * TUNE_IMPOSSIBLE the one that comes nearest, alone. */
	struct tune_candidate best[TUNE_FINALISTS];
	size_t n;
	/* A sentence on what the choice is and what limits it; then what would help, or "". */
	char reason[256], advice[256];
};

/* The least ef_search in the space at which the build's curve meets the goal; 0: none. */
uint32_t tune_reach(const struct tune_goal *g, const struct tune_build *b);

/*
 * The same for one build, of all that its Trials and its curve tell; ${law}: fitted to the history.
 * TUNE_NOTHING: ${out} is not set.  A rung is treated as any other.
 */
struct tune_law;
enum tune_verdict tune_decide_build(const struct tune_goal *g, const struct tune_law *law,
				    const struct tune_build *b, struct tune_candidate *out);

/*
 * The cheapest config that meets the goal, among all that the history knows.  ${timed_only}: only
 * ef_search that a Trial has measured; else the least that the curve of each build allows.
 */
int tune_decide(const struct tune_history *h, const struct tune_goal *g, bool timed_only,
		struct tune_choice *out, struct err *err) MUST_CHECK;

/*
 * What is to be promoted: the cheapest that Trials have measured and that meets the goal, unless
 * ${proven} by its mean; the champion itself (NULL: there is none) if it meets the goal and nothing is
 * cheaper by more than 3 %.  What must not be chosen was forgotten (tune_history_forget()).  0: the first of
 * ${out}; -1, ERR_NO: nothing is, and why; ${out} has what comes nearest.  Whether it is better is for
 * a duel to tell, whether it may be promoted for catalog_promote().
 */
int tune_challenger(const struct tune_history *h, const struct tune_goal *g,
		    const struct config *champion, bool proven, struct tune_choice *out,
		    struct err *err) MUST_CHECK;

#endif
