/* SPDX-License-Identifier: MIT */
/* Which event comes next, and what becomes of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cycle_internal.h"
#include "base/clock.h"

#define LOCK_WAIT_MS 50 /* others who look hold the lock for a moment */

int agent_log(struct agent *a, const struct agent_entry *e, size_t count, struct err *err)
{
	struct buf lines = BUF_INIT;
	int ret = agent_log_append(a->primary, e, count, &lines, err);
	if (ret == 0)
		a->tell(a->ctx, buf_span(&lines));
	buf_release(&lines);
	return ret;
}

/* ---- limits ---- */

enum limit { NO_LIMIT, RATE_LIMIT, COOLDOWN };

/* An event that waits for more new data, which is noted once.  1: it waits; 0; -1. */
static int skip_few_rows(struct agent *a, struct agent_event *e, struct err *err)
{
	char detail[100];
	struct agent_entry entry = {.kind = AGENT_SKIPPED_NEW_ROWS,
				    .index_name = e->index_name,
				    .detail = detail,
				    .event = e->name};
	uint64_t have, want;
	if (!agent_event_waits_for_rows(a->catalog, e, a->settings.min_new_rows, &have, &want))
		return 0;
	if (e->noted_new_rows)
		return 1;
	snprintf(detail, sizeof detail, "%" PRIu64 " of %" PRIu64 " new rows", have, want);
	e->noted_new_rows = true;
	return agent_log(a, &entry, 1, err) != 0 || agent_queue_put(a->primary, e, err) != 0 ? -1 : 1;
}

static enum limit meets(const struct agent *a, const struct agent_history *h, const char *index)
{
	if (agent_wait_for_rate(h, a->settings.max_trials_per_hour))
		return RATE_LIMIT;
	if (agent_wait_for_cooldown(h, index, a->settings.cooldown_between_trials_secs))
		return COOLDOWN;
	return NO_LIMIT;
}

static int log_skipped(struct agent *a, const struct agent_event *e, enum limit limit,
		       struct err *err)
{
	char detail[100];
	struct agent_entry entry = {
	    .index_name = e->index_name, .detail = detail, .event = e->name[0] ? e->name : NULL};
	if (limit == RATE_LIMIT) {
		entry.kind = AGENT_SKIPPED_RATE_LIMIT;
		snprintf(detail, sizeof detail, "hit cap of %" PRIu64 "/hour",
			 a->settings.max_trials_per_hour);
	} else {
		entry.kind = AGENT_SKIPPED_COOLDOWN;
		snprintf(detail, sizeof detail, "last trial too recent (<%" PRIu64 "s)",
			 a->settings.cooldown_between_trials_secs);
	}
	return agent_log(a, &entry, 1, err);
}

/*
 * A trial has a stamp in the future, so the clock was set back.  This line says when that was
 * found, which is what limits go by from now on.
 */
static int log_clock_back(struct agent *a, const struct agent_history *h, struct err *err)
{
	struct agent_entry entry = {
	    .kind = AGENT_SKIPPED_COOLDOWN,
	    .index_name = h->ahead,
	    .detail = "the clock was set back: its trial of the future counts as begun now"};
	return agent_log(a, &entry, 1, err);
}

/* An event that waits is noted once for each limit; a periodic one is dropped. */
static int skip(struct agent *a, struct agent_event *e, enum limit limit, struct err *err)
{
	bool *noted = limit == RATE_LIMIT ? &e->noted_rate_limit : &e->noted_cooldown;
	if (!*noted && log_skipped(a, e, limit, err) != 0)
		return -1;
	if (e->reason == AGENT_PERIODIC)
		return agent_queue_remove(a->primary, e->name, err);
	if (*noted)
		return 0;
	*noted = true;
	return agent_queue_put(a->primary, e, err);
}

/* ---- one event ---- */

/*
 * It failed: say so in the log.  What may pass is put off, for longer each time; what cannot
 * succeed is given up.
 */
static int failed(struct agent *a, struct agent_event *e, const struct err *why,
		  enum agent_turn *what, struct err *err)
{
	char at[CLOCK_TEXT_MAX];
	struct agent_entry entry = {.kind = AGENT_TRIAL_ERROR,
				    .index_name = e->index_name ? e->index_name : "",
				    .detail = why->msg,
				    .event = e->name};
	*what = AGENT_FAILED;
	if (cycle_may_pass(why)) {
		agent_event_put_off(e, clock_wall_us());
		clock_format(e->retry_us, at);
		entry.retry_at = at;
		if (agent_queue_put(a->primary, e, err) != 0)
			return -1;
	}
	if (agent_log(a, &entry, 1, err) != 0)
		return -1;
	return entry.retry_at ? 0 : agent_queue_remove(a->primary, e->name, err);
}

/* The lock of whoever builds and measures an index.  1: held; 0: somebody else has it; -1. */
static int lock_index(struct agent *a, const char *index, struct store_lock **lock, struct err *err)
{
	*lock = catalog_index_lock(a->catalog, index, LOCK_WAIT_MS, err);
	if (!*lock)
		return err->code == ERR_TEMP ? 0 : -1;
	if (store_lock_inherit(*lock, err) == 0)
		return 1;
	store_unlock(*lock);
	*lock = NULL;
	return -1;
}

/* Its cycle, under both locks.  ${why} is set if it failed. */
static int do_event(struct agent *a, struct agent_event *e, enum agent_turn *what, struct err *why,
		    struct err *err)
{
	if (a->cycle(a, e, why) != 0)
		return failed(a, e, why, what, err);
	*what = AGENT_DONE;
	return agent_queue_remove(a->primary, e->name, err);
}

/* 1: it may be tried; 0: it was put off, after a failure; -1. */
static int may_try(struct agent *a, struct agent_event *e, struct err *err)
{
	uint64_t was = e->retry_us;
	if (agent_event_wait(e, clock_wall_us()) == 0)
		return 1;
	return e->retry_us != was ? agent_queue_put(a->primary, e, err) : 0;
}

/* AGENT_WAITING: it has to wait, or could not even be read (-1). */
static int try_event(struct agent *a, const char *name, const struct agent_history *h,
		     enum agent_turn *what, struct err *why, struct err *err)
{
	struct agent_event e;
	struct store_lock *lock = NULL;
	*what = AGENT_WAITING;
	int ret = agent_queue_get(a->primary, name, &e, why);
	if (ret < 0 && cycle_may_pass(why))
		return err_set(err, why->code, "%s", why->msg);
	if (ret < 0) {
		snprintf(e.name, sizeof e.name, "%s", name);
		return failed(a, &e, why, what, err);
	}
	if (ret == 0)
		return 0;
	ret = may_try(a, &e, err);
	if (ret <= 0)
		goto out;
	ret = e.trial.len ? 0 : skip_few_rows(a, &e, err);
	if (ret != 0) {
		ret = ret < 0 ? -1 : 0;
		goto out;
	}
	/* What was measured before an interruption is no new trial. */
	enum limit limit = e.trial.len ? NO_LIMIT : meets(a, h, e.index_name);
	if (limit != NO_LIMIT) {
		ret = skip(a, &e, limit, err);
		goto out;
	}
	ret = lock_index(a, e.index_name, &lock, why);
	if (ret > 0)
		ret = do_event(a, &e, what, why, err);
	else if (ret < 0)
		ret = failed(a, &e, why, what, err);
out:
	store_unlock(lock);
	agent_event_release(&e);
	return ret;
}

/* The first of the queue that can be done; one that cannot even be read holds up no other. */
static int try_queue(struct agent *a, const struct store_names *queue,
		     const struct agent_history *h, enum agent_turn *what, struct err *why,
		     struct err *err)
{
	int unread = 0;
	for (size_t i = 0; i < queue->count; i++) {
		int ret = try_event(a, queue->name[i], h, what, why, err);
		if (*what != AGENT_WAITING)
			return ret;
		unread |= ret;
	}
	return unread;
}

/* ---- waking without being asked ---- */

struct pick {
	struct buf index;
	uint64_t at_us;
	bool promoted;
};

static uint64_t latest_trial(const struct catalog_index *x)
{
	struct buf key = BUF_INIT;
	struct err ignored;
	uint64_t stamp = 0;
	if (trial_log_key(&key, x->name, &ignored) != 0 ||
	    journal_newest(x->bucket, key.data, &stamp, &ignored) != 0)
		stamp = 0;
	buf_release(&key);
	return stamp;
}

/* When it was promoted, or, nothing being promoted, tried last; 0: never. */
static int last_touched(struct agent *a, const char *index, bool *promoted, uint64_t *at,
			struct err *err)
{
	struct promotion promotion = {0};
	struct catalog_index x;
	int ret = catalog_index_open(a->catalog, index, &x, err);
	if (ret == 0 && catalog_promotion_get(&x, &promotion, NULL, err) < 0)
		ret = -1;
	*promoted = ret == 0 && promotion.current;
	if (*promoted && clock_parse(promotion.current->promoted_at, at) != 0)
		*at = 0;
	if (ret == 0 && !*promoted)
		*at = latest_trial(&x);
	promotion_release(&promotion);
	catalog_index_release(&x);
	return ret;
}

/* Take it if it was promoted later than the pick, or, nothing being promoted, tried later. */
static void consider(struct agent *a, struct pick *p, const char *index)
{
	struct err why;
	uint64_t at = 0;
	bool promoted;
	if (last_touched(a, index, &promoted, &at, &why) != 0) {
		warn(&a->catalog->warn, "leaving out index '%s': %s", index, why.msg);
		return;
	}
	if (!promoted && (p->promoted || !at))
		return;
	if (p->index.len && promoted == p->promoted && at <= p->at_us)
		return;
	buf_clear(&p->index);
	buf_adds(&p->index, index);
	p->at_us = at;
	p->promoted = promoted;
}

/* The index that a periodic wake is for; ${p->index} stays empty if there is none. */
static int pick_index(struct agent *a, struct pick *p, struct err *err)
{
	struct store_names indexes, promoted;
	if (catalog_index_list(a->catalog, &indexes, err) != 0)
		return -1;
	int ret = catalog_promotion_list(a->catalog, &promoted, err);
	for (size_t i = 0; ret == 0 && i < promoted.count; i++)
		consider(a, p, promoted.name[i]);
	for (size_t i = 0; ret == 0 && i < indexes.count; i++)
		consider(a, p, indexes.name[i]);
	if (ret == 0)
		store_names_release(&promoted);
	store_names_release(&indexes);
	return ret == 0 ? buf_ok(&p->index, err) : ret;
}

static int periodic(struct agent *a, const struct agent_history *h, enum agent_turn *what,
		    struct err *why, struct err *err)
{
	struct pick p = {0};
	struct agent_event e = {.reason = AGENT_PERIODIC};
	int ret = pick_index(a, &p, err);
	if (ret != 0 || p.index.len == 0)
		goto out;
	e.index_name = span_dup(buf_span(&p.index));
	if (!e.index_name) {
		ret = err_nomem(err);
		goto out;
	}
	enum limit limit = meets(a, h, e.index_name);
	if (limit != NO_LIMIT) {
		*what = AGENT_WAITING;
		ret = log_skipped(a, &e, limit, err);
		goto out;
	}
	ret = agent_queue_push(a->primary, &e, err);
	if (ret >= 0)
		ret = try_event(a, e.name, h, what, why, err);
	else if (err->code == ERR_TEMP)
		ret = 0; /* the queue is full: there will be other wakes */
out:
	agent_event_release(&e);
	buf_release(&p.index);
	return ret;
}

/* ---- the turn ---- */

static int turn_locked(struct agent *a, enum agent_wake wake, enum agent_turn *what,
		       struct err *why, struct err *err)
{
	struct store_names queue;
	struct agent_history h = {0};
	*what = AGENT_NOTHING;
	if (agent_queue_list(a->primary, &queue, err) != 0)
		return -1;
	int ret = 0;
	if (queue.count || wake != AGENT_NO_WAKE)
		ret = agent_history_read(a->primary, &h, &a->catalog->warn, err);
	if (ret == 0 && h.ahead)
		ret = log_clock_back(a, &h, err);
	if (ret == 0)
		ret = try_queue(a, &queue, &h, what, why, err);
	bool due = wake == AGENT_WAKE ||
		   (wake == AGENT_WAKE_IF_DUE &&
		    agent_wait_for_interval(&h, a->settings.cycle_interval_secs) == 0);
	if (ret == 0 && due && (*what == AGENT_NOTHING || *what == AGENT_WAITING))
		ret = periodic(a, &h, what, why, err);
	agent_history_release(&h);
	store_names_release(&queue);
	return ret;
}

int agent_turn(struct agent *a, enum agent_wake wake, enum agent_turn *what, struct err *err)
{
	struct err why = {0};
	struct store_lock *lock = store_lock(a->primary, AGENT_LOCK, LOCK_WAIT_MS, err);
	if (!lock) {
		*what = AGENT_BUSY;
		return err->code == ERR_TEMP ? 0 : -1;
	}
	int ret = store_lock_inherit(lock, err);
	if (ret == 0)
		ret = turn_locked(a, wake, what, &why, err);
	if (ret == 0 && *what == AGENT_FAILED)
		*err = why;
	store_unlock(lock);
	return ret;
}
