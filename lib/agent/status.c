/* SPDX-License-Identifier: MIT */
#include "agent/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/presence.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/show.h"

#define LAST_LINES 8 /* of the log, for people */
#define SECOND_US 1000000u

struct state {
	struct agent *agent;
	/* those that run */
	unsigned running;
	struct buf started_at; /* raw, of the one that runs longest */
	struct buf config;     /* its settings, as JSON */
	/* the log */
	uint64_t trials, promotions;
	struct buf last[LAST_LINES]; /* a ring */
	uint64_t logged;
	struct agent_history history;
	/* the queue */
	struct store_names queue;
	bool in_hand; /* somebody holds AGENT_LOCK */
};

/* ---- gathering ---- */

static int take_running(void *ctx, unsigned slot, struct span said, struct err *err)
{
	struct state *s = ctx;
	struct scan sc;
	struct span key, started = {0}, config = {0};
	(void)slot;
	scan_init(&sc, said);
	if (scan_object(&sc))
		while (scan_member(&sc, &key)) {
			if (span_is(key, "started_at"))
				scan_string(&sc, &started);
			else if (span_is(key, "config"))
				scan_skip(&sc, &config);
			else
				scan_skip(&sc, NULL);
		}
	if (!scan_end(&sc))
		return scan_err(&sc, err);
	s->running++;
	if (s->running > 1 && strncmp(buf_span(&s->started_at).p, started.p, started.n) <= 0)
		return 0;
	buf_clear(&s->started_at);
	buf_clear(&s->config);
	buf_addspan(&s->started_at, started);
	buf_addspan(&s->config, config);
	return buf_ok(&s->started_at, err) != 0 ? -1 : buf_ok(&s->config, err);
}

static int take_logged(void *ctx, const struct agent_logged *l, struct err *err)
{
	struct state *s = ctx;
	struct buf *last = &s->last[s->logged++ % LAST_LINES];
	s->trials += l->kind == AGENT_TRIAL_COMPLETED;
	s->promotions += l->kind == AGENT_PROMOTED;
	buf_clear(last);
	buf_addspan(last, l->line);
	return buf_ok(last, err);
}

static int gather(struct state *s, struct err *err)
{
	struct agent *a = s->agent;
	struct err ignored;
	struct json_out j = {.b = &s->config};
	if (agent_each_running(a->primary, take_running, s, err) != 0 ||
	    agent_log_read(a->primary, 0, take_logged, s, &a->catalog->warn, err) != 0 ||
	    agent_history_read(a->primary, &s->history, &a->catalog->warn, err) != 0 ||
	    agent_queue_list(a->primary, &s->queue, err) != 0)
		return -1;
	if (!s->running)
		agent_settings_write(&j, &a->settings);
	struct store_lock *lock = store_lock(a->primary, AGENT_LOCK, 20, &ignored);
	s->in_hand = !lock;
	store_unlock(lock);
	return buf_ok(&s->config, err);
}

static void state_release(struct state *s)
{
	buf_release(&s->started_at);
	buf_release(&s->config);
	for (size_t i = 0; i < LAST_LINES; i++)
		buf_release(&s->last[i]);
	agent_history_release(&s->history);
	store_names_release(&s->queue);
}

/* The settings that count: of the one that runs longest, else those given here. */
static struct agent_settings settings_of(const struct state *s)
{
	struct agent_settings set = s->agent->settings;
	struct scan sc;
	struct span key, value;
	struct err ignored;
	scan_init(&sc, buf_span(&s->config));
	if (scan_object(&sc))
		while (scan_member(&sc, &key)) {
			bool text = scan_peek(&sc) == '"';
			if ((text ? scan_string(&sc, &value) : scan_skip(&sc, &value)) &&
			    agent_settings_set(&set, key, value, &ignored) != 0)
				return s->agent->settings;
		}
	return set;
}

/* ---- an event that waits ---- */

enum waits { IN_HAND, RATE, COOL, NEW_ROWS, RETRY, READY, WAITS };
static const char *const waits_names[WAITS] = {"in_hand",  "rate_limit", "cooldown",
					       "new_rows", "retry",	 "ready"};

/* ${secs}: for how long, at least. */
static enum waits waits_for(const struct state *s, const struct agent_settings *set,
			    struct agent_event *e, uint64_t *secs)
{
	uint64_t us = agent_event_wait(e, s->history.now_us), have, want;
	enum waits w = READY;
	*secs = 0;
	if (us)
		w = RETRY;
	else if (e->started_at && s->in_hand)
		return IN_HAND;
	else if (e->trial.len)
		return READY;
	else if (agent_event_waits_for_rows(s->agent->catalog, e, set->min_new_rows, &have, &want))
		return NEW_ROWS;
	else if ((us = agent_wait_for_rate(&s->history, set->max_trials_per_hour)) > 0)
		w = RATE;
	else if ((us = agent_wait_for_cooldown(&s->history, e->index_name,
					       set->cooldown_between_trials_secs)) > 0)
		w = COOL;
	*secs = (us + SECOND_US - 1) / SECOND_US;
	return w;
}

typedef void event_fn(struct buf *out, struct json_out *j, const struct agent_event *e,
		      enum waits w, uint64_t secs);

static int each_event(struct state *s, event_fn *fn, struct buf *out, struct json_out *j,
		      struct err *err)
{
	struct agent_settings set = settings_of(s);
	for (size_t i = 0; i < s->queue.count; i++) {
		struct agent_event e;
		uint64_t secs;
		int there = agent_queue_get(s->agent->primary, s->queue.name[i], &e, err);
		if (there < 0 && err->code != ERR_DATA)
			return -1;
		if (there <= 0)
			continue; /* done meanwhile, or to be thrown out */
		enum waits w = waits_for(s, &set, &e, &secs);
		fn(out, j, &e, w, secs);
		agent_event_release(&e);
	}
	return buf_ok(out, err);
}

/* ---- as JSON ---- */

static void event_json(struct buf *out, struct json_out *j, const struct agent_event *e,
		       enum waits w, uint64_t secs)
{
	struct buf reason = BUF_INIT;
	(void)out;
	agent_reason_text(&reason, e);
	json_open(j, '{');
	json_kv_cstr(j, "event", e->name);
	json_kv_cstr(j, "index_name", e->index_name);
	json_kv_str(j, "reason", buf_span(&reason));
	json_kv_cstr(j, "enqueued_at", e->enqueued_at);
	json_kv_cstr(j, "state", waits_names[w]);
	json_kv_u64(j, "wait_secs", secs);
	json_kv_u64(j, "attempts", e->attempts);
	json_close(j, '}');
	buf_release(&reason);
}

static int status_json(struct state *s, struct buf *out, struct err *err)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	json_key(&j, "running");
	json_bool(&j, s->running > 0);
	json_kv_raw(&j, "config", buf_span(&s->config));
	json_kv_u64(&j, "queue_depth", s->queue.count);
	json_kv_u64(&j, "trials_run", s->trials);
	json_kv_u64(&j, "promotions", s->promotions);
	json_kv_u64(&j, "trials_in_last_hour", agent_history_last_hour(&s->history));
	json_key(&j, "last_event");
	if (s->logged)
		json_raw(&j, buf_span(&s->last[(s->logged - 1) % LAST_LINES]));
	else
		json_null(&j);
	json_key(&j, "started_at");
	if (s->running)
		json_str(&j, buf_span(&s->started_at));
	else
		json_null(&j);
	json_kv_u64(&j, "agents", s->running);
	json_key(&j, "queue");
	json_open(&j, '[');
	int ret = each_event(s, event_json, out, &j, err);
	json_close(&j, ']');
	json_close(&j, '}');
	buf_addc(out, '\n');
	return ret;
}

/* ---- for people ---- */

/* "2026-11-20 12:03:04" */
static void add_time(struct buf *out, struct span at)
{
	for (size_t i = 0; i < at.n && i < 19; i++)
		buf_addc(out, at.p[i] == 'T' ? ' ' : at.p[i]);
}

static void add_wait(struct buf *out, uint64_t secs)
{
	if (secs < 90)
		buf_addf(out, "%" PRIu64 " s", secs);
	else
		buf_addf(out, "%" PRIu64 " min", (secs + 59) / 60);
}

static void event_text(struct buf *out, struct json_out *j, const struct agent_event *e,
		       enum waits w, uint64_t secs)
{
	size_t from = out->len;
	(void)j;
	buf_addf(out, "  %s: ", e->index_name);
	agent_reason_text(out, e);
	buf_adds(out, ", since ");
	add_time(out, span_of(e->enqueued_at));
	switch (w) {
	case IN_HAND:
		buf_adds(out, ": in hand");
		break;
	case RATE:
		buf_adds(out, ": waits for the limit of trials an hour, ");
		add_wait(out, secs);
		break;
	case COOL:
		buf_adds(out, ": waits for the cooldown of the index, ");
		add_wait(out, secs);
		break;
	case NEW_ROWS:
		buf_adds(out, ": waits for more new rows");
		break;
	case RETRY:
		buf_addf(out, ": failed %" PRIu64 " times, is tried again in ", e->attempts);
		add_wait(out, secs);
		break;
	default:
		buf_adds(out, ": ready");
		break;
	}
	show_from(out, from);
	buf_addc(out, '\n');
}

/* One line of the log. */
static void logged_text(struct buf *out, struct span line)
{
	struct scan sc;
	struct span key, at = {0}, part[5] = {{0}};
	size_t from = out->len;
	static const char *const keys[5] = {"index_name", "kind", "detail", "not_promoted",
					    "retry_at"};
	static const char *const before[5] = {" ", ": ", " ", "; not promoted: ", "; again at "};
	scan_init(&sc, line);
	if (scan_object(&sc))
		while (scan_member(&sc, &key)) {
			int i = 0;
			while (i < 5 && !span_is(key, keys[i]))
				i++;
			if (i < 5)
				scan_optional(&sc, &part[i]);
			else if (span_is(key, "at"))
				scan_string(&sc, &at);
			else
				scan_skip(&sc, NULL);
		}
	buf_adds(out, "  ");
	add_time(out, at);
	for (int i = 0; i < 5; i++) {
		if (i >= 3 && !part[i].p)
			continue;
		buf_adds(out, before[i]);
		scan_decode(part[i].p ? part[i] : span_of(""), out);
	}
	show_from(out, from);
	buf_addc(out, '\n');
}

/* Why nothing happens, if nothing does. */
static void reason_text(struct buf *out, const struct state *s, const struct agent_settings *set)
{
	uint64_t last_hour = agent_history_last_hour(&s->history);
	if (s->in_hand)
		buf_adds(out, "a trial is in hand\n");
	else if (!s->running && s->queue.count)
		buf_adds(
		    out,
		    "nothing is done about them: no agent runs (autotune-agent run, or once)\n");
	else if (!s->running)
		buf_adds(out, "nothing is done: no agent runs and nothing waits\n");
	else if (last_hour >= set->max_trials_per_hour)
		buf_addf(out, "nothing is done now: all %" PRIu64 " trials of this hour are used\n",
			 set->max_trials_per_hour);
	else if (!s->queue.count)
		buf_addf(out, "nothing waits; the next wake comes within %" PRIu64 " s\n",
			 set->cycle_interval_secs);
}

static int status_text(struct state *s, struct buf *out, struct err *err)
{
	struct agent_settings set = settings_of(s);
	if (s->running) {
		size_t from = out->len;
		buf_addf(out, "%u agent%s running since ", s->running, s->running > 1 ? "s" : "");
		add_time(out, buf_span(&s->started_at));
		show_from(out, from);
		buf_addc(out, '\n');
	} else {
		buf_adds(out, "no agent is running\n");
	}
	buf_addf(out,
		 "settings: a wake every %" PRIu64 " s, %" PRIu64
		 " s between trials of an index, at most %" PRIu64
		 " trials an hour, promotes from recall %g%s\n",
		 set.cycle_interval_secs, set.cooldown_between_trials_secs, set.max_trials_per_hour,
		 set.min_recall, set.trust_stored ? ", by the figures as they are" : "");
	buf_addf(out,
		 "done: %" PRIu64 " trials, %" PRIu64 " promotions; %" PRIu64
		 " trials started in the last hour\n",
		 s->trials, s->promotions, agent_history_last_hour(&s->history));
	if (s->queue.count)
		buf_addf(out, "waiting: %zu of %d\n", s->queue.count, AGENT_QUEUE_MAX);
	if (each_event(s, event_text, out, NULL, err) != 0)
		return -1;
	reason_text(out, s, &set);
	if (s->logged)
		buf_adds(out, "last:\n");
	uint64_t from = s->logged > LAST_LINES ? s->logged - LAST_LINES : 0;
	for (uint64_t i = from; i < s->logged; i++)
		logged_text(out, buf_span(&s->last[i % LAST_LINES]));
	return buf_ok(out, err);
}

int agent_status(struct agent *a, bool text, struct buf *out, struct err *err)
{
	struct state s = {.agent = a};
	int ret = gather(&s, err);
	if (ret == 0)
		ret = text ? status_text(&s, out, err) : status_json(&s, out, err);
	if (ret == 0)
		ret = buf_ok(out, err);
	state_release(&s);
	return ret;
}
