/* SPDX-License-Identifier: MIT */
#ifndef AGENT_PRESENCE_H
#define AGENT_PRESENCE_H

#include "agent/settings.h"
#include "store/store.h"

/*
 * The agents that run on a store.  Each holds the lock of a slot, _hnsw_agent/agents/<n> of the
 * bucket primary, whose blob <n>.json says who it is; if the lock is free, the blob is of one that
 * has ended, however it did.
 */
struct agent_presence {
	unsigned slot;
	char *started_at;
	struct buf said; /* the blob */
	struct store_lock *lock;
};

/*
 * Take a slot and say so.  ${since_us}: when this program was started; if all that start were
 * asked to stop since, it is asked too.
 */
int agent_enter(struct store *primary, const struct agent_settings *settings, uint64_t since_us,
		struct agent_presence *p, struct err *err) MUST_CHECK;
void agent_leave(struct agent_presence *p);

/* 1: the blob is there, as it was written; 0: it is not, and ${err} says so; -1. */
int agent_present(struct store *primary, const struct agent_presence *p,
		  struct err *err) MUST_CHECK;

/* 1: somebody asked this one to stop; 0; -1. */
int agent_stop_asked(struct store *primary, const struct agent_presence *p,
		     struct err *err) MUST_CHECK;

/* What a blob says, as it is written there. */
struct agent_said {
	struct span started_at; /* a raw string */
	struct span config;	/* JSON */
};

/* ERR_DATA: malformed, or one of them is missing; ${slot}: for the message. */
int agent_said_parse(struct agent_said *a, unsigned slot, struct span text,
		     struct err *err) MUST_CHECK;

/* Call ${fn} for each that runs, with what its blob says. */
typedef int agent_running_fn(void *ctx, unsigned slot, struct span said, struct err *err);
int agent_each_running(struct store *primary, agent_running_fn *fn, void *ctx,
		       struct err *err) MUST_CHECK;

/*
 * Ask all that run to stop; ${count} gets their number.  If there is none, wait for one until
 * ${deadline_ns} of the monotonic clock, and then ask those that are not further than starting.
 */
int agent_stop_all(struct store *primary, uint64_t deadline_ns, unsigned *count,
		   struct err *err) MUST_CHECK;

#endif
