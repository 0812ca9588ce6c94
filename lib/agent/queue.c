/* SPDX-License-Identifier: MIT */
#include "agent/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/num.h"

#define QUEUE "_hnsw_agent/queue"
#define SEQUENCE_DIGITS 20
#define SECOND_US ((uint64_t)1000000)
#define RETRY_MAX_US (900 * SECOND_US)

static const char *const reason_names[] = {
    [AGENT_DATASET_APPENDED] = "dataset_appended",
    [AGENT_MANUAL] = "manual",
    [AGENT_PERIODIC] = "periodic",
};

void agent_event_release(struct agent_event *e)
{
	free(e->index_name);
	free(e->dataset);
	free(e->enqueued_at);
	free(e->started_at);
	buf_release(&e->trial);
	*e = (struct agent_event){0};
}

/* How long it is put off for after so many failures. */
static uint64_t put_off_us(uint64_t attempts)
{
	uint64_t us = SECOND_US;
	while (--attempts > 0 && us < RETRY_MAX_US)
		us *= 2;
	return us < RETRY_MAX_US ? us : RETRY_MAX_US;
}

void agent_event_put_off(struct agent_event *e, uint64_t now_us)
{
	e->attempts++;
	e->retry_us = now_us + put_off_us(e->attempts);
}

uint64_t agent_event_wait(struct agent_event *e, uint64_t now_us)
{
	uint64_t most = e->attempts ? put_off_us(e->attempts) : 0;
	if (e->retry_us > now_us + most)
		e->retry_us = now_us + most;
	return e->retry_us > now_us ? e->retry_us - now_us : 0;
}

void agent_reason_text(struct buf *out, const struct agent_event *e)
{
	buf_adds(out, reason_names[e->reason]);
	if (e->dataset)
		buf_addf(out, "(%s)", e->dataset);
}

/* ---- names ---- */

static int make_key(struct buf *key, const char *name, struct err *err)
{
	buf_adds(key, QUEUE "/");
	buf_adds(key, name);
	return buf_ok(key, err);
}

/* The part of the name that events of equal index and reason share. */
static int digest_event(const struct agent_event *e, char out[static DIGEST_TEXT_MAX],
			struct err *err)
{
	struct buf b = BUF_INIT;
	agent_reason_text(&b, e);
	buf_addc(&b, '/'); /* which no name has */
	buf_adds(&b, e->index_name);
	int ret = buf_ok(&b, err);
	if (ret == 0)
		digest_text(digest_of(b.data, b.len), out);
	buf_release(&b);
	return ret;
}

static bool is_event(void *ctx, char *name)
{
	(void)ctx;
	return strspn(name, "0123456789") == SEQUENCE_DIGITS && name[SEQUENCE_DIGITS] == '-' &&
	       strspn(name + SEQUENCE_DIGITS + 1, "0123456789abcdef") == DIGEST_TEXT_MAX - 1 &&
	       strcmp(name + SEQUENCE_DIGITS + DIGEST_TEXT_MAX, ".json") == 0;
}

int agent_queue_list(struct store *primary, struct store_names *out, struct err *err)
{
	if (store_list(primary, QUEUE, false, out, err) != 0)
		return -1;
	store_names_keep(out, is_event, NULL);
	return 0;
}

/* ---- blobs ---- */

static void write_event(struct buf *out, const struct agent_event *e)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	json_kv_cstr(&j, "index_name", e->index_name);
	json_kv_cstr(&j, "reason", reason_names[e->reason]);
	if (e->dataset)
		json_kv_cstr(&j, "dataset", e->dataset);
	if (e->since) {
		json_kv_u64(&j, "since", e->since);
		json_kv_u64(&j, "rows", e->rows);
	}
	json_kv_cstr(&j, "enqueued_at", e->enqueued_at);
	if (e->noted_rate_limit) {
		json_key(&j, "noted_rate_limit");
		json_bool(&j, true);
	}
	if (e->noted_cooldown) {
		json_key(&j, "noted_cooldown");
		json_bool(&j, true);
	}
	if (e->noted_new_rows) {
		json_key(&j, "noted_new_rows");
		json_bool(&j, true);
	}
	if (e->started_at)
		json_kv_cstr(&j, "started_at", e->started_at);
	if (e->attempts) {
		char at[CLOCK_TEXT_MAX];
		clock_format(e->retry_us, at);
		json_kv_u64(&j, "attempts", e->attempts);
		json_kv_cstr(&j, "retry_at", at);
	}
	if (e->trial.len)
		json_kv_raw(&j, "trial", buf_span(&e->trial));
	json_close(&j, '}');
	buf_addc(out, '\n');
}

static void scan_reason(struct scan *s, struct agent_event *e)
{
	struct span text;
	if (!scan_string(s, &text))
		return;
	for (size_t i = 0; i < sizeof reason_names / sizeof reason_names[0]; i++)
		if (span_is(text, reason_names[i])) {
			e->reason = (enum agent_reason)i;
			return;
		}
	scan_fail(s, "unknown reason");
}

static void scan_time(struct scan *s, uint64_t *us)
{
	struct span text;
	if (scan_string(s, &text) && clock_parse(text, us) != 0)
		scan_fail(s, "malformed time");
}

static int parse_event(struct agent_event *e, struct span text, struct err *err)
{
	struct scan s;
	struct span key, trial = {0};
	scan_init(&s, text);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "index_name"))
				scan_copy(&s, &e->index_name);
			else if (span_is(key, "reason"))
				scan_reason(&s, e);
			else if (span_is(key, "dataset"))
				scan_copy(&s, &e->dataset);
			else if (span_is(key, "enqueued_at"))
				scan_copy(&s, &e->enqueued_at);
			else if (span_is(key, "noted_rate_limit"))
				scan_bool(&s, &e->noted_rate_limit);
			else if (span_is(key, "noted_cooldown"))
				scan_bool(&s, &e->noted_cooldown);
			else if (span_is(key, "noted_new_rows"))
				scan_bool(&s, &e->noted_new_rows);
			else if (span_is(key, "since"))
				scan_u64(&s, &e->since);
			else if (span_is(key, "rows"))
				scan_u64(&s, &e->rows);
			else if (span_is(key, "started_at"))
				scan_copy(&s, &e->started_at);
			else if (span_is(key, "attempts"))
				scan_u64(&s, &e->attempts);
			else if (span_is(key, "retry_at"))
				scan_time(&s, &e->retry_us);
			else if (span_is(key, "trial"))
				scan_skip(&s, &trial);
			else
				scan_skip(&s, NULL);
		}
	if (!scan_failed(&s) && (!e->index_name || !e->enqueued_at))
		scan_fail(&s, e->index_name ? "no key 'enqueued_at'" : "no key 'index_name'");
	if (!scan_failed(&s) && (e->reason == AGENT_DATASET_APPENDED) != (e->dataset != NULL))
		scan_fail(&s, "dataset and reason do not fit");
	if (!scan_end(&s))
		return scan_err(&s, err);
	buf_addspan(&e->trial, trial);
	return buf_ok(&e->trial, err);
}

int agent_queue_get(struct store *primary, const char *name, struct agent_event *e, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	*e = (struct agent_event){0};
	snprintf(e->name, sizeof e->name, "%s", name);
	int ret = make_key(&key, name, err);
	if (ret == 0)
		ret = store_get(primary, key.data, &text, NULL, err);
	if (ret > 0 && (parse_event(e, buf_span(&text), err) != 0 ||
			catalog_check_name("index", e->index_name, err) != 0)) {
		agent_event_release(e);
		if (err->code == ERR_USAGE)
			err->code = ERR_DATA;
		ret = err_prefix(err, "event '%s'", name);
	}
	buf_release(&key);
	buf_release(&text);
	return ret;
}

/* ${create}: it must not be there yet. */
static int put_event(struct store *primary, const struct agent_event *e, bool create,
		     struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	write_event(&text, e);
	int ret = buf_ok(&text, err);
	if (ret == 0)
		ret = make_key(&key, e->name, err);
	if (ret == 0)
		ret = create ? store_create(primary, key.data, buf_span(&text), err)
			     : store_put(primary, key.data, buf_span(&text), err);
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int agent_queue_put(struct store *primary, const struct agent_event *e, struct err *err)
{
	return put_event(primary, e, false, err);
}

/* Emptied directories are removed, so nobody may be creating an event meanwhile. */
int agent_queue_remove(struct store *primary, const char *name, struct err *err)
{
	struct buf key = BUF_INIT;
	struct store_lock *lock = store_lock(primary, QUEUE, STORE_WAIT, err);
	int ret = lock ? make_key(&key, name, err) : -1;
	if (ret == 0)
		ret = store_delete(primary, key.data, err);
	store_unlock(lock);
	buf_release(&key);
	return ret;
}

/* ---- pushing ---- */

/* Whether nobody has any event in hand; then one that was begun waits to be begun again. */
static bool nothing_in_hand(struct store *primary)
{
	struct err ignored;
	struct store_lock *lock = store_lock(primary, AGENT_LOCK, 0, &ignored);
	store_unlock(lock);
	return lock != NULL;
}

/* 1: one of that digest waits, ${name} is its; 0; -1. */
static int find_waiting(struct store *primary, const struct store_names *all, const char *digest,
			char name[static AGENT_EVENT_NAME_MAX], struct err *err)
{
	for (size_t i = 0; i < all->count; i++) {
		struct agent_event other;
		if (strncmp(all->name[i] + SEQUENCE_DIGITS + 1, digest, DIGEST_TEXT_MAX - 1) != 0)
			continue;
		int there = agent_queue_get(primary, all->name[i], &other, err);
		if (there < 0 && err->code == ERR_DATA)
			continue; /* which the agent throws out */
		if (there < 0)
			return -1;
		/* One in hand has perhaps read the data already. */
		bool waits = there && (!other.started_at || nothing_in_hand(primary));
		agent_event_release(&other);
		if (waits) {
			snprintf(name, AGENT_EVENT_NAME_MAX, "%s", all->name[i]);
			return 1;
		}
	}
	return 0;
}

static uint64_t next_sequence(const struct store_names *all)
{
	uint64_t now = clock_wall_us(), last;
	if (all->count &&
	    num_u64((struct span){all->name[all->count - 1], SEQUENCE_DIGITS}, 0, UINT64_MAX - 1,
		    &last) == 0 &&
	    last >= now)
		return last + 1;
	return now;
}

static int push_locked(struct store *primary, struct agent_event *e, struct err *err)
{
	struct store_names all;
	char digest[DIGEST_TEXT_MAX], now[CLOCK_TEXT_MAX];
	if (digest_event(e, digest, err) != 0 || clock_now_text(now, err) != 0 ||
	    agent_queue_list(primary, &all, err) != 0)
		return -1;
	int ret = find_waiting(primary, &all, digest, e->name, err);
	/* Whoever put it there may not have come to the end of it. */
	if (ret > 0 && store_sync(primary, QUEUE, err) != 0)
		ret = -1;
	if (ret == 0 && all.count >= AGENT_QUEUE_MAX)
		ret =
		    err_set(err, ERR_TEMP, "the queue is full: %zu events are waiting", all.count);
	if (ret == 0) {
		snprintf(e->name, sizeof e->name, "%0*" PRIu64 "-%s.json", SEQUENCE_DIGITS,
			 next_sequence(&all), digest);
		free(e->enqueued_at);
		e->enqueued_at = span_dup(span_of(now));
		ret = e->enqueued_at ? put_event(primary, e, true, err) : err_nomem(err);
	}
	store_names_release(&all);
	return ret;
}

int agent_queue_push(struct store *primary, struct agent_event *e, struct err *err)
{
	struct store_lock *lock = store_lock(primary, QUEUE, STORE_WAIT, err);
	int ret = lock ? push_locked(primary, e, err) : -1;
	store_unlock(lock);
	return ret;
}

/* Whether the index's vectors are those of that dataset. */
static bool is_over(const struct index_meta *m, const char *dataset)
{
	return strcmp(m->source && m->source[0] ? m->source : m->index_name, dataset) == 0;
}

int agent_dataset_appended(struct catalog *c, const char *dataset,
			   const struct dataset_appended *batch, struct err *err)
{
	struct store *primary = buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	struct store_names indexes;
	int ret = 0;
	if (!primary || catalog_index_list(c, &indexes, err) != 0)
		return -1;
	for (size_t i = 0; i < indexes.count; i++) {
		struct index_meta m;
		struct err why;
		int known = catalog_index_get(c, indexes.name[i], &m, &why);
		if (known > 0 && is_over(&m, dataset)) {
			struct agent_event e = {.reason = AGENT_DATASET_APPENDED,
						.index_name = span_dup(span_of(indexes.name[i])),
						.dataset = span_dup(span_of(dataset)),
						.since = catalog_batch_stamp(batch->batch),
						.rows = batch->total};
			known = !e.index_name || !e.dataset ? err_nomem(&why)
							    : agent_queue_push(primary, &e, &why);
			agent_event_release(&e);
		}
		index_meta_release(&m);
		/* The others are told all the same. */
		if (known < 0)
			ret = err_set(err, why.code, "index '%s': %s", indexes.name[i], why.msg);
	}
	store_names_release(&indexes);
	return ret;
}

bool agent_event_waits_for_rows(struct catalog *c, const struct agent_event *e,
				uint64_t min_new_rows, uint64_t *have, uint64_t *want)
{
	struct err ignored;
	*want = min_new_rows;
	if (min_new_rows == AGENT_NEW_ROWS_SHARE)
		*want = e->rows < 100 ? 1 : e->rows / 100;
	if (e->reason != AGENT_DATASET_APPENDED || !e->since || e->started_at || *want == 0)
		return false;
	return catalog_dataset_rows_since(c, e->dataset, e->since, have, &ignored) == 0 &&
	       *have < *want;
}
