/* SPDX-License-Identifier: MIT */
#ifndef TUNE_HISTORY_H
#define TUNE_HISTORY_H

#include "base/digest.h"
#include "record/curve.h"
#include "record/trial.h"
#include "tune/propose.h"

/* What searches with one ef_search took, over all Trials that measured it. */
struct tune_timing {
	uint32_t ef;
	uint32_t count; /* 0: not timed on the host of the latest Trial */
	double log_us;	  /* mean of the logarithms of their p50 */
	double recall, lower, at_target, target; /* of the latest; NAN: not said */
	double distances; /* a query; NAN: not said */
	struct digest host; /* internal: of its name */
	struct buf line; /* the latest Trial, verbatim, if the history keeps lines */
};

/* One build, or rung of a build, and what its Trials measured. */
struct tune_build {
	struct config config; /* ef_search: of the latest Trial */
	uint64_t rows;	      /* in the index */
	double build_secs, memory_bytes;
	uint64_t queries;
	struct curve curve; /* n 0: no Trial had one */
	struct tune_timing *timing; /* ef increasing */
	size_t n, cap;
	int group; /* internal: which vectors and eval set */
};

/*
 * All that a proposal or a choice depends on, read once: Trials as they come from a journal or a
 * stream, oldest first, and the configs that are being tried.
 */
struct tune_history {
	struct propose_history pairs; /* what the original's rule looks at: all Trials */
	/* Those of the same vectors and eval set, with sound metrics, by build. */
	struct tune_build *build;
	size_t n, cap;
	uint64_t rows;	 /* of the index that is tuned; 0: no Trial */
	uint64_t others; /* Trials of other vectors or another eval set, left out */
	uint64_t broken; /* Trials with metrics or a curve that cannot be, left out */
	struct config *pending;
	size_t n_pending, pending_cap;
	bool keep_lines; /* set before the first Trial */
	/* internal */
	struct tune_group *group;
	size_t n_groups;
	size_t *slot; /* open addressing: 1 + the number of the build; until the end */
	size_t n_slots; /* a power of 2 */
	int chosen; /* 0: none, as group 0 says which are wanted */
	struct digest host; /* of the latest Trial */
};

#define TUNE_HISTORY_INIT \
	{                 \
		0         \
	}

/*
 * Count only Trials of these vectors and this eval set (digests; NULL: of any, then the latest
 * Trial decides).  Before the first Trial.
 */
int tune_history_only(struct tune_history *h, const char *vectors_digest, const char *eval_digest,
		      struct err *err) MUST_CHECK;

/* The next Trial; ids must not repeat.  Nothing of it is kept but what is copied. */
int tune_history_add(struct tune_history *h, const struct trial *t, struct err *err) MUST_CHECK;

/* All were added: drop what is of other vectors, another eval set, or timed on another host. */
void tune_history_end(struct tune_history *h);

/* Leave out of it what was measured with this very config: it is not to be chosen. */
void tune_history_forget(struct tune_history *h, const struct config *c);

/* A config that is being tried: not to be proposed again. */
int tune_history_pending(struct tune_history *h, const struct config *c,
			 struct err *err) MUST_CHECK;

void tune_history_release(struct tune_history *h);

/* The build of such a config, whatever its ef_search; NULL: none. */
struct tune_build *tune_history_find(const struct tune_history *h, const struct config *c);

/* Whether a Trial has this very config, ef_search too, or it is pending. */
bool tune_history_tried(const struct tune_history *h, const struct config *c);

/* Whether it is pending, or was built. */
bool tune_history_has(const struct tune_history *h, const struct config *c);

#endif
