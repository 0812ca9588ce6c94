/* SPDX-License-Identifier: MIT */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/log.h"
#include "agent/queue.h"
#include "agent/settings.h"

struct agent;

/*
 * Do what an event asks for: agent_cycle(), or a test's.  The caller holds AGENT_LOCK and the lock
 * of the index.  -1: it failed; it stays in the queue if that may pass.
 */
typedef int agent_cycle_fn(struct agent *a, struct agent_event *e, struct err *err);

/*
 * Run another program of ours: ${argv} ends with NULL, ${in} is its standard input, its standard
 * output is appended to ${out}.  -1: it ended with another status than 0, which is err's code.
 */
typedef int agent_run_fn(void *ctx, const char *const argv[], struct span in, struct buf *out,
			 struct err *err);

/* Lines that are in the log now. */
typedef void agent_tell_fn(void *ctx, struct span lines);

struct agent {
	struct catalog *catalog;
	struct store *primary;
	struct agent_settings settings;
	const char *store_url; /* for the programs: not relative */
	const char *threads;   /* that build, or NULL */
	agent_cycle_fn *cycle;
	agent_run_fn *run;
	agent_tell_fn *tell;
	void *ctx;	  /* of run and tell */
	uint64_t work_ns; /* spent in building and measuring */
};

enum agent_turn {
	AGENT_DONE,    /* the cycle of an event */
	AGENT_FAILED,  /* it failed; ${err} has why */
	AGENT_NOTHING, /* there is nothing to do */
	AGENT_WAITING, /* for a limit, or somebody else is tuning the index */
	AGENT_BUSY,    /* another agent has an event in hand */
};

/* Whether to do something though no event may be done. */
enum agent_wake {
	AGENT_NO_WAKE,
	AGENT_WAKE_IF_DUE, /* if no trial was begun for the interval between wakes */
	AGENT_WAKE,
};

/*
 * Do the first event that may be done.  If there is none, a wake is for the index that was promoted
 * last, or else has the latest Trial.  -1: the queue or the log is out of order.
 */
int agent_turn(struct agent *a, enum agent_wake wake, enum agent_turn *what,
	       struct err *err) MUST_CHECK;

/* Append to the log and tell. */
int agent_log(struct agent *a, const struct agent_entry *e, size_t count,
	      struct err *err) MUST_CHECK;

/*
 * One trial: propose, build, measure, append, and promote it if it beats the champion.  An event
 * that has its Trial already was interrupted behind it and is brought to its end.
 */
int agent_cycle(struct agent *a, struct agent_event *e, struct err *err) MUST_CHECK;

#endif
