/* SPDX-License-Identifier: MIT */
#ifndef TUNE_PROPOSE_H
#define TUNE_PROPOSE_H

#include <stdbool.h>

#include "record/trial.h"

#define PROPOSE_CONSTRUCTION_RANGE (CONFIG_EF_CONSTRUCTION_MAX - CONFIG_EF_CONSTRUCTION_MIN + 1)
#define PROPOSE_SEARCH_RANGE (CONFIG_EF_SEARCH_MAX - CONFIG_EF_SEARCH_MIN + 1)

/* What a proposal depends on. */
struct propose_history {
	uint64_t trials; /* with different ids */
	bool has_last, has_champion;
	struct config last; /* of the latest Trial */
	struct config champion;
	/* pairs (ef_construction, ef_search) that some Trial or pending config has */
	unsigned char tried[PROPOSE_CONSTRUCTION_RANGE * PROPOSE_SEARCH_RANGE / 8 + 1];
};

#define PROPOSE_HISTORY_INIT \
	{                    \
		0            \
	}

/* The next Trial, oldest first; ids must not repeat.  A rung is no part of the history. */
void propose_add_trial(struct propose_history *h, const struct config *c);

/* A config in flight: not to be proposed again, but no part of the history. */
void propose_add_pending(struct propose_history *h, const struct config *c);

/*
 * The original's epsilon-greedy rule, bit for bit: around the champion, or the latest
 * Trial, or the default, with a chance of 1/4 for anywhere within the bounds.  A pure
 * function of the history.  True: ${out} is something not tried yet, and counts as tried
 * and as one more Trial from now on; false: 32 attempts found nothing.
 */
bool propose_egreedy(struct propose_history *h, struct config *out);

#endif
