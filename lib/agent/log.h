/* SPDX-License-Identifier: MIT */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include "store/store.h"

/*
 * What agents did: a journal of lines for each UTC day, _hnsw_agent/events/<YYYY-MM-DD> of the
 * bucket primary, so that a look at the last hour does not cost more every day.
 */

enum agent_kind {
	AGENT_TRIAL_STARTED,
	AGENT_TRIAL_COMPLETED,
	AGENT_PROMOTED,
	AGENT_SKIPPED_RATE_LIMIT,
	AGENT_SKIPPED_COOLDOWN,
	AGENT_SKIPPED_NEW_ROWS,
	AGENT_TRIAL_ERROR,
	AGENT_KINDS
};

/* One line to be written; ${event} and ${trial_id} may be NULL. */
struct agent_entry {
	enum agent_kind kind;
	const char *index_name, *detail;
	const char *event;	  /* its name in the queue */
	struct span trial_id;	  /* raw; p NULL: none */
	const char *not_promoted; /* of a completed trial: why, or NULL */
	const char *retry_at;	  /* of an error: when it is tried again; NULL: it is given up */
};

/* Append lines, durable on return; ${lines} gets them. */
int agent_log_append(struct store *primary, const struct agent_entry *e, size_t count,
		     struct buf *lines, struct err *err) MUST_CHECK;

/* One line that was read; the spans are raw strings in ${line}. */
struct agent_logged {
	struct span line, index_name, detail, event, trial_id;
	uint64_t at_us;
	enum agent_kind kind; /* AGENT_KINDS: one that we do not know */
};

typedef int agent_log_fn(void *ctx, const struct agent_logged *l, struct err *err);

/*
 * Hand the lines of the days from that of ${since_us} on to ${fn}, oldest first; malformed ones are
 * reported to ${w}.  A non-zero result of ${fn} ends it.
 */
int agent_log_read(struct store *primary, uint64_t since_us, agent_log_fn *fn, void *ctx,
		   const struct warn_to *w, struct err *err) MUST_CHECK;

/* Make one file of each day that is over. */
int agent_log_tidy(struct store *primary, struct err *err) MUST_CHECK;

/* ---- limits ---- */

/* Trials that were started within the last day, as far as limits ask. */
struct agent_history {
	struct agent_started {
		uint64_t at_us;	    /* at most ${now_us} */
		uint64_t before_us; /* the earliest stamp of the lines behind it */
		char *index_name;
	} * started;
	size_t count, cap;
	uint64_t now_us;
	const char *ahead; /* an index with a trial that is taken for begun now; NULL: none */
};

/*
 * Lines are in the order in which they were written, so a trial was begun no later than any line
 * behind it says: its own stamp may be of a clock that was ahead.  One without such a line that
 * is in the future still is taken for begun now; whoever appends a line then, of whatever kind,
 * sees to it that this "now" does not move on.  Those of more than a day ahead are left out.
 */
int agent_history_read(struct store *primary, struct agent_history *h, const struct warn_to *w,
		       struct err *err) MUST_CHECK;
void agent_history_release(struct agent_history *h);

uint64_t agent_history_last_hour(const struct agent_history *h);

/* Microseconds until the limit lets another trial start; 0: it does. */
uint64_t agent_wait_for_rate(const struct agent_history *h, uint64_t max_per_hour);
uint64_t agent_wait_for_cooldown(const struct agent_history *h, const char *index,
				 uint64_t cooldown_secs);

/* The same for the time between trials of any index. */
uint64_t agent_wait_for_interval(const struct agent_history *h, uint64_t interval_secs);

#endif
