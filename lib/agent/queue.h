/* SPDX-License-Identifier: MIT */
#ifndef AGENT_QUEUE_H
#define AGENT_QUEUE_H

#include "agent/settings.h"
#include "catalog/catalog.h"

#define AGENT_QUEUE_MAX 256
#define AGENT_EVENT_NAME_MAX 64

/* Held by whoever has an event in hand, so that there is one trial at a time on a store. */
#define AGENT_LOCK "_hnsw_agent/trial"

/* Why an index is to be looked at. */
enum agent_reason { AGENT_DATASET_APPENDED, AGENT_MANUAL, AGENT_PERIODIC };

/*
 * An event: a blob <20-digit sequence>-<digest of index and reason>.json below
 * _hnsw_agent/queue of the bucket primary.  It stays there, waiting or in hand, until it is done.
 */
struct agent_event {
	char name[AGENT_EVENT_NAME_MAX]; /* of the blob; empty before it is pushed */
	char *index_name;
	enum agent_reason reason;
	char *dataset; /* of AGENT_DATASET_APPENDED, else NULL */
	uint64_t since; /* and the stamp of the batch that it is of, 0: not known, ... */
	uint64_t rows;	/* ... with which the dataset has so many rows */
	char *enqueued_at;
	/* that it waits for these is in the log */
	bool noted_rate_limit, noted_cooldown, noted_new_rows;
	char *started_at;		       /* NULL: waiting; else a trial of it was begun */
	uint64_t attempts;		       /* that failed for a reason that may pass */
	uint64_t retry_us;		       /* when to try again; 0: now */
	struct buf trial;		       /* its Trial's line, once it was measured */
};

void agent_event_release(struct agent_event *e);

/*
 * An attempt failed: note when to try again, 1 s from now after the first one, and twice as long
 * after each more, up to a quarter of an hour.
 */
void agent_event_put_off(struct agent_event *e, uint64_t now_us);

/*
 * Microseconds until it may be tried again, 0: it may.  They are never more than was put off for:
 * if the clock was set back since, that begins anew, and ${e} is changed.
 */
uint64_t agent_event_wait(struct agent_event *e, uint64_t now_us);

/* Append "manual", "periodic" or "dataset_appended(docs)". */
void agent_reason_text(struct buf *out, const struct agent_event *e);

/*
 * Put an event of that index, reason and dataset at the end of the queue, durable on return;
 * its name, or that of the equal one that waits already, is set.  0: done; 1: an equal one waits
 * already; -1: ERR_TEMP, the queue is full.
 */
int agent_queue_push(struct store *primary, struct agent_event *e, struct err *err) MUST_CHECK;

/* Names of the events, first to last. */
int agent_queue_list(struct store *primary, struct store_names *out, struct err *err) MUST_CHECK;

/* 1: there; 0: gone; -1: ERR_DATA, malformed. */
int agent_queue_get(struct store *primary, const char *name, struct agent_event *e,
		    struct err *err) MUST_CHECK;

/* Write it back, and take it out; for the holder of AGENT_LOCK. */
int agent_queue_put(struct store *primary, const struct agent_event *e, struct err *err) MUST_CHECK;
int agent_queue_remove(struct store *primary, const char *name, struct err *err) MUST_CHECK;

/*
 * A batch was appended to a dataset: push an event for every registered index over it.
 * ERR_TEMP: the queue was full for some.
 */
int agent_dataset_appended(struct catalog *c, const char *dataset,
			   const struct dataset_appended *batch, struct err *err) MUST_CHECK;

/*
 * Whether an event of appended data waits for more of it: ${have} rows came with its batch and since,
 * of ${want}, which is ${min_new_rows} (AGENT_NEW_ROWS_SHARE: a hundredth of all rows, at least
 * one).  What cannot be counted does not wait.
 */
bool agent_event_waits_for_rows(struct catalog *c, const struct agent_event *e,
				uint64_t min_new_rows, uint64_t *have, uint64_t *want);

#endif
