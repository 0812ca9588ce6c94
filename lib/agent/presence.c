/* SPDX-License-Identifier: MIT */
#include "agent/presence.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/host.h"
#include "base/num.h"
#include "base/scan.h"

#define AGENTS "_hnsw_agent/agents"
#define SLOTS 10000
#define PROBE_MS 100			 /* others who look hold the lock for a moment */
#define STARTING AGENTS "/starting.stop" /* when those that were starting were asked to stop */
#define LOOK_NS 20000000

static int slot_key(struct buf *key, unsigned slot, const char *suffix, struct err *err)
{
	buf_clear(key);
	buf_addf(key, AGENTS "/%u%s", slot, suffix);
	return buf_ok(key, err);
}

static void describe(struct buf *out, const struct agent_settings *settings, const char *now)
{
	struct json_out j = {.b = out};
	char host[HOST_TEXT_MAX];
	host_name(host);
	json_open(&j, '{');
	json_kv_cstr(&j, "started_at", now);
	json_kv_cstr(&j, "host", host);
	json_kv_u64(&j, "pid", (uint64_t)getpid());
	json_key(&j, "config");
	agent_settings_write(&j, settings);
	json_close(&j, '}');
	buf_addc(out, '\n');
}

static int ask(struct store *primary, unsigned slot, struct span started_at, struct err *err)
{
	struct buf key = BUF_INIT;
	int ret = slot_key(&key, slot, ".stop", err);
	if (ret == 0)
		ret = store_put(primary, key.data, started_at, err);
	buf_release(&key);
	return ret;
}

/* Whoever found nobody running after ${since_us} meant this one. */
static int heed_starting(struct store *primary, const struct agent_presence *p, uint64_t since_us,
			 struct err *err)
{
	struct buf text = BUF_INIT;
	uint64_t at = 0;
	int ret = store_get(primary, STARTING, &text, NULL, err);
	if (ret > 0 && clock_parse(buf_span(&text), &at) == 0 && at >= since_us &&
	    at <= clock_wall_us())
		ret = ask(primary, p->slot, span_of(p->started_at), err);
	buf_release(&text);
	return ret < 0 ? -1 : 0;
}

int agent_enter(struct store *primary, const struct agent_settings *settings, uint64_t since_us,
		struct agent_presence *p, struct err *err)
{
	struct buf key = BUF_INIT;
	char now[CLOCK_TEXT_MAX];
	*p = (struct agent_presence){.said = BUF_INIT};
	if (clock_now_text(now, err) != 0)
		return -1;
	p->started_at = span_dup(span_of(now));
	describe(&p->said, settings, now);
	int ret = p->started_at ? buf_ok(&p->said, err) : err_nomem(err);
	while (ret == 0 && !p->lock && p->slot < SLOTS) {
		ret = slot_key(&key, ++p->slot, "", err);
		if (ret != 0 || (p->lock = store_lock(primary, key.data, 0, err)))
			break;
		ret = err->code == ERR_TEMP ? 0 : -1;
	}
	if (ret == 0 && !p->lock)
		ret = -1;
	if (ret == 0)
		ret = slot_key(&key, p->slot, ".json", err);
	if (ret == 0)
		ret = store_put(primary, key.data, buf_span(&p->said), err);
	/* Only now: who asks later finds this one running. */
	if (ret == 0)
		ret = heed_starting(primary, p, since_us, err);
	if (ret != 0)
		agent_leave(p);
	buf_release(&key);
	return ret;
}

void agent_leave(struct agent_presence *p)
{
	store_unlock(p->lock);
	free(p->started_at);
	buf_release(&p->said);
	*p = (struct agent_presence){0};
}

int agent_present(struct store *primary, const struct agent_presence *p, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	int ret = slot_key(&key, p->slot, ".json", err);
	if (ret == 0)
		ret = store_get(primary, key.data, &text, NULL, err);
	if (ret == 0)
		err_set(err, ERR_ENV, "'%s' is gone from the store '%s'", key.data,
			store_url(primary));
	if (ret > 0 && !span_same(buf_span(&text), buf_span(&p->said))) {
		err_set(err, ERR_ENV, "'%s' in the store '%s' is of another agent", key.data,
			store_url(primary));
		ret = 0;
	}
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int agent_stop_asked(struct store *primary, const struct agent_presence *p, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	int ret = slot_key(&key, p->slot, ".stop", err);
	if (ret == 0)
		ret = store_get(primary, key.data, &text, NULL, err);
	/* An old request was to somebody else. */
	if (ret > 0)
		ret = span_is(buf_span(&text), p->started_at);
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int agent_said_parse(struct agent_said *a, unsigned slot, struct span text, struct err *err)
{
	struct scan s;
	struct span key;
	*a = (struct agent_said){0};
	scan_init(&s, text);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "started_at"))
				scan_string(&s, &a->started_at);
			else if (span_is(key, "config"))
				scan_skip(&s, &a->config);
			else
				scan_skip(&s, NULL);
		}
	if (!scan_failed(&s) && (!a->started_at.p || !a->config.p))
		scan_fail(&s, a->config.p ? "no key 'started_at'" : "no key 'config'");
	if (scan_end(&s))
		return 0;
	scan_err(&s, err);
	return err_prefix(err, "what the agent of slot %u says", slot);
}

static int visit(struct store *primary, const char *name, agent_running_fn *fn, void *ctx,
		 struct err *err)
{
	size_t digits = strspn(name, "0123456789");
	uint64_t slot;
	struct buf key = BUF_INIT, text = BUF_INIT;
	struct store_lock *lock = NULL;
	if (strcmp(name + digits, ".json") != 0 ||
	    num_u64((struct span){name, digits}, 1, SLOTS, &slot) != 0)
		return 0;
	int ret = slot_key(&key, (unsigned)slot, "", err);
	if (ret != 0)
		goto out;
	lock = store_lock(primary, key.data, PROBE_MS, err);
	if (lock || err->code != ERR_TEMP) {
		ret = lock ? 0 : -1;
		goto out;
	}
	ret = slot_key(&key, (unsigned)slot, ".json", err);
	if (ret == 0 && (ret = store_get(primary, key.data, &text, NULL, err)) > 0)
		ret = fn(ctx, (unsigned)slot, buf_span(&text), err);
out:
	store_unlock(lock);
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int agent_each_running(struct store *primary, agent_running_fn *fn, void *ctx, struct err *err)
{
	struct store_names names;
	if (store_list(primary, AGENTS, false, &names, err) != 0)
		return -1;
	int ret = 0;
	for (size_t i = 0; i < names.count && ret == 0; i++)
		ret = visit(primary, names.name[i], fn, ctx, err);
	store_names_release(&names);
	return ret;
}

struct stopping {
	struct store *primary;
	unsigned count;
};

static int ask_to_stop(void *ctx, unsigned slot, struct span said, struct err *err)
{
	struct stopping *st = ctx;
	struct agent_said a;
	int ret = agent_said_parse(&a, slot, said, err);
	if (ret == 0)
		ret = ask(st->primary, slot, a.started_at, err);
	st->count += ret == 0;
	return ret;
}

int agent_stop_all(struct store *primary, uint64_t deadline_ns, unsigned *count, struct err *err)
{
	const struct timespec pause = {0, LOOK_NS};
	struct stopping st = {.primary = primary};
	char now[CLOCK_TEXT_MAX];
	int ret = agent_each_running(primary, ask_to_stop, &st, err);
	while (ret == 0 && st.count == 0 && clock_mono_ns() < deadline_ns) {
		nanosleep(&pause, NULL);
		ret = agent_each_running(primary, ask_to_stop, &st, err);
	}
	if (ret == 0 && st.count == 0) {
		clock_format(clock_wall_us(), now);
		ret = store_put(primary, STARTING, span_of(now), err);
	}
	/* One that came meanwhile may not have seen that. */
	if (ret == 0 && st.count == 0)
		ret = agent_each_running(primary, ask_to_stop, &st, err);
	*count = st.count;
	return ret;
}
