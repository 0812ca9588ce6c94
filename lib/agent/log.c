/* SPDX-License-Identifier: MIT */
#include "agent/log.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/scan.h"
#include "journal/journal.h"
#include "json/write.h"

#define EVENTS "_hnsw_agent/events"
#define DAY_DIGITS 10 /* of "2026-11-20" */
#define SECOND_US ((uint64_t)1000000)
#define HOUR_US (3600 * SECOND_US)
#define DAY_US (24 * HOUR_US)

static const char *const kind_names[AGENT_KINDS] = {
    [AGENT_TRIAL_STARTED] = "trial_started",
    [AGENT_TRIAL_COMPLETED] = "trial_completed",
    [AGENT_PROMOTED] = "promoted",
    [AGENT_SKIPPED_RATE_LIMIT] = "skipped_rate_limit",
    [AGENT_SKIPPED_COOLDOWN] = "skipped_cooldown",
    [AGENT_SKIPPED_NEW_ROWS] = "skipped_new_rows",
    [AGENT_TRIAL_ERROR] = "trial_error",
};

/* ---- days ---- */

static bool is_day_since(void *since, char *name)
{
	return strlen(name) == DAY_DIGITS && strcmp(name, since) >= 0;
}

/* The days from that of ${since_us} on, in order. */
static int list_days(struct store *primary, uint64_t since_us, struct store_names *out,
		     struct err *err)
{
	char since[CLOCK_TEXT_MAX];
	clock_format(since_us, since);
	since[DAY_DIGITS] = 0;
	if (store_list(primary, EVENTS, true, out, err) != 0)
		return -1;
	store_names_keep(out, is_day_since, since);
	return 0;
}

static int day_prefix(struct buf *prefix, const char *day, struct err *err)
{
	buf_clear(prefix);
	buf_addf(prefix, EVENTS "/%s", day);
	return buf_ok(prefix, err);
}

/*
 * The day that a line of now is appended to: today, or tomorrow if that has been begun by a clock
 * that was ahead, so that lines stay in order.
 */
static int open_day(struct store *primary, uint64_t now_us, struct buf *prefix, struct err *err)
{
	struct store_names days;
	char today[CLOCK_TEXT_MAX], tomorrow[CLOCK_TEXT_MAX];
	clock_format(now_us, today);
	clock_format(now_us + DAY_US, tomorrow);
	today[DAY_DIGITS] = tomorrow[DAY_DIGITS] = 0;
	if (list_days(primary, now_us, &days, err) != 0)
		return -1;
	size_t n = days.count;
	while (n > 0 && strcmp(days.name[n - 1], tomorrow) > 0)
		n--;
	int ret = day_prefix(prefix, n ? days.name[n - 1] : today, err);
	store_names_release(&days);
	return ret;
}

/* ---- writing ---- */

static void write_entry(struct buf *out, const struct agent_entry *e, const char *now)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	json_kv_cstr(&j, "at", now);
	json_kv_cstr(&j, "kind", kind_names[e->kind]);
	json_kv_cstr(&j, "index_name", e->index_name);
	json_kv_cstr(&j, "detail", e->detail);
	if (e->event)
		json_kv_cstr(&j, "event", e->event);
	if (e->trial_id.p) {
		json_key(&j, "trial_id");
		json_raw(&j, span_of("\""));
		buf_addspan(out, e->trial_id);
		buf_addc(out, '"');
	}
	if (e->not_promoted)
		json_kv_cstr(&j, "not_promoted", e->not_promoted);
	if (e->retry_at)
		json_kv_cstr(&j, "retry_at", e->retry_at);
	json_close(&j, '}');
	buf_addc(out, '\n');
}

int agent_log_append(struct store *primary, const struct agent_entry *e, size_t count,
		     struct buf *lines, struct err *err)
{
	char now[CLOCK_TEXT_MAX], name[JOURNAL_NAME_MAX];
	struct buf prefix = BUF_INIT;
	size_t start = lines->len;
	uint64_t now_us, newest = 0;
	if (clock_now(&now_us, err) != 0)
		return -1;
	clock_format(now_us, now);
	for (size_t i = 0; i < count; i++)
		write_entry(lines, &e[i], now);
	int ret = buf_ok(lines, err);
	if (ret == 0)
		ret = open_day(primary, now_us, &prefix, err);
	if (ret == 0)
		ret = journal_newest(primary, prefix.data, &newest, err);
	if (ret == 0)
		ret = journal_append(primary, prefix.data,
				     (struct span){lines->data + start, lines->len - start},
				     journal_stamp_after(newest), name, err);
	buf_release(&prefix);
	return ret;
}

/* ---- reading ---- */

static int parse_entry(struct agent_logged *l, struct span line, struct err *err)
{
	struct scan s;
	struct span key, kind = {0}, at = {0};
	scan_init(&s, line);
	/* Without a byte order mark. */
	*l = (struct agent_logged){.line = {s.begin, (size_t)(s.end - s.begin)}, .kind = AGENT_KINDS};
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "at"))
				scan_string(&s, &at);
			else if (span_is(key, "kind"))
				scan_string(&s, &kind);
			else if (span_is(key, "index_name"))
				scan_optional(&s, &l->index_name);
			else if (span_is(key, "detail"))
				scan_optional(&s, &l->detail);
			else if (span_is(key, "event"))
				scan_optional(&s, &l->event);
			else if (span_is(key, "trial_id"))
				scan_optional(&s, &l->trial_id);
			else
				scan_skip(&s, NULL);
		}
	if (!scan_failed(&s) && (!at.p || !kind.p || clock_parse(at, &l->at_us) != 0))
		scan_fail(&s, "no time or no kind");
	if (!scan_end(&s))
		return scan_err(&s, err);
	for (int i = 0; i < AGENT_KINDS; i++)
		if (span_is(kind, kind_names[i]))
			l->kind = (enum agent_kind)i;
	return 0;
}

struct reading {
	agent_log_fn *fn;
	void *ctx;
	const struct warn_to *warn;
};

static int take_line(void *ctx, struct span line, const struct journal_place *where,
		     struct err *err)
{
	struct reading *r = ctx;
	struct agent_logged l;
	struct err why;
	if (parse_entry(&l, line, &why) == 0)
		return r->fn(r->ctx, &l, err);
	warn(r->warn, "skipping '%s' line %llu: %s", where->batch, (unsigned long long)where->line,
	     why.msg);
	return 0;
}

int agent_log_read(struct store *primary, uint64_t since_us, agent_log_fn *fn, void *ctx,
		   const struct warn_to *w, struct err *err)
{
	struct reading r = {fn, ctx, w};
	struct store_names days;
	struct buf prefix = BUF_INIT;
	if (list_days(primary, since_us, &days, err) != 0)
		return -1;
	int ret = 0;
	for (size_t i = 0; i < days.count && ret == 0; i++) {
		ret = day_prefix(&prefix, days.name[i], err);
		if (ret == 0)
			ret = journal_read(primary, prefix.data, 0, NULL, take_line, &r, err);
	}
	buf_release(&prefix);
	store_names_release(&days);
	return ret;
}

int agent_log_tidy(struct store *primary, struct err *err)
{
	struct store_names days;
	struct buf prefix = BUF_INIT;
	char today[CLOCK_TEXT_MAX];
	struct journal_compaction done = {.batches = 1};
	clock_format(clock_wall_us(), today);
	today[DAY_DIGITS] = 0;
	if (list_days(primary, 0, &days, err) != 0)
		return -1;
	int ret = 0;
	/* Newest first, as far as was not done before. */
	for (size_t i = days.count; i-- > 0 && ret == 0 && done.batches;) {
		if (strcmp(days.name[i], today) >= 0)
			continue;
		ret = day_prefix(&prefix, days.name[i], err);
		if (ret == 0)
			ret = journal_compact(primary, prefix.data, 0, false, false, NULL, NULL, &done,
					      err);
	}
	buf_release(&prefix);
	store_names_release(&days);
	return ret;
}

/* ---- limits ---- */

static int add_started(void *ctx, const struct agent_logged *l, struct err *err)
{
	struct agent_history *h = ctx;
	struct buf name = BUF_INIT;
	if (h->count && l->at_us < h->started[h->count - 1].before_us)
		h->started[h->count - 1].before_us = l->at_us;
	if (l->kind != AGENT_TRIAL_STARTED || l->at_us > h->now_us + DAY_US)
		return 0;
	if (h->count == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 64;
		struct agent_started *grown = mem_resize(h->started, cap, sizeof *grown, err);
		if (!grown)
			return -1;
		h->started = grown;
		h->cap = cap;
	}
	buf_adds(&name, "");
	scan_decode(l->index_name.p ? l->index_name : span_of(""), &name);
	if (buf_ok(&name, err) != 0) {
		buf_release(&name);
		return -1;
	}
	h->started[h->count++] = (struct agent_started){
	    .at_us = l->at_us, .before_us = UINT64_MAX, .index_name = name.data};
	return 0;
}

/* None was begun later than what was written behind it. */
static void bring_into_order(struct agent_history *h)
{
	uint64_t before = UINT64_MAX;
	for (size_t i = h->count; i-- > 0;) {
		struct agent_started *s = &h->started[i];
		if (s->before_us < before)
			before = s->before_us;
		if (before < s->at_us)
			s->at_us = before;
		before = s->at_us;
	}
}

/* Keep those of the last day; those of the future are taken for begun now. */
static void keep_recent(struct agent_history *h)
{
	size_t kept = 0;
	for (size_t i = 0; i < h->count; i++) {
		struct agent_started *s = &h->started[i];
		if (s->at_us + DAY_US < h->now_us) {
			free(s->index_name);
			continue;
		}
		if (s->at_us > h->now_us) {
			s->at_us = h->now_us;
			h->ahead = s->index_name;
		}
		h->started[kept++] = *s;
	}
	h->count = kept;
}

int agent_history_read(struct store *primary, struct agent_history *h, const struct warn_to *w,
		       struct err *err)
{
	*h = (struct agent_history){.now_us = clock_wall_us()};
	int ret = agent_log_read(primary, h->now_us - DAY_US, add_started, h, w, err);
	if (ret != 0)
		agent_history_release(h);
	bring_into_order(h);
	keep_recent(h);
	return ret;
}

void agent_history_release(struct agent_history *h)
{
	for (size_t i = 0; i < h->count; i++)
		free(h->started[i].index_name);
	free(h->started);
	*h = (struct agent_history){0};
}

uint64_t agent_history_last_hour(const struct agent_history *h)
{
	uint64_t n = 0;
	for (size_t i = 0; i < h->count; i++)
		n += h->now_us - h->started[i].at_us < HOUR_US;
	return n;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = ((const struct agent_started *)a)->at_us,
		 y = ((const struct agent_started *)b)->at_us;
	return x < y ? -1 : x > y;
}

uint64_t agent_wait_for_rate(const struct agent_history *h, uint64_t max_per_hour)
{
	uint64_t n = agent_history_last_hour(h);
	if (n < max_per_hour)
		return 0;
	if (max_per_hour == 0)
		return HOUR_US;
	/* The one that has to grow older than an hour. */
	qsort(h->started, h->count, sizeof *h->started, by_time);
	return h->started[h->count - max_per_hour].at_us + HOUR_US - h->now_us;
}

/* What is left of ${secs} since the last trial of that index, NULL for any. */
static uint64_t wait_since_last(const struct agent_history *h, const char *index, uint64_t secs)
{
	uint64_t left = 0;
	for (size_t i = 0; i < h->count; i++) {
		uint64_t age = h->now_us - h->started[i].at_us;
		if ((!index || strcmp(h->started[i].index_name, index) == 0) &&
		    age < secs * SECOND_US && secs * SECOND_US - age > left)
			left = secs * SECOND_US - age;
	}
	return left;
}

uint64_t agent_wait_for_cooldown(const struct agent_history *h, const char *index,
				 uint64_t cooldown_secs)
{
	return wait_since_last(h, index, cooldown_secs);
}

uint64_t agent_wait_for_interval(const struct agent_history *h, uint64_t interval_secs)
{
	return wait_since_last(h, NULL, interval_secs);
}
