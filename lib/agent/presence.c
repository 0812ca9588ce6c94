/* SPDX-License-Identifier: MIT */
#include "agent/presence.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/host.h"
#include "base/num.h"
#include "base/scan.h"

#define AGENTS "_hnsw_agent/agents"
#define SLOTS 10000
#define PROBE_MS 100 /* others who look hold the lock for a moment */

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

int agent_enter(struct store *primary, const struct agent_settings *settings,
		struct agent_presence *p, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	char now[CLOCK_TEXT_MAX];
	*p = (struct agent_presence){0};
	if (clock_now_text(now, err) != 0)
		return -1;
	p->started_at = span_dup(span_of(now));
	describe(&text, settings, now);
	int ret = p->started_at ? buf_ok(&text, err) : err_nomem(err);
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
		ret = store_put(primary, key.data, buf_span(&text), err);
	if (ret != 0)
		agent_leave(p);
	buf_release(&key);
	buf_release(&text);
	return ret;
}

void agent_leave(struct agent_presence *p)
{
	store_unlock(p->lock);
	free(p->started_at);
	*p = (struct agent_presence){0};
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
	struct buf key = BUF_INIT;
	struct scan s;
	struct span name, started = {0};
	scan_init(&s, said);
	if (scan_object(&s))
		while (scan_member(&s, &name)) {
			if (span_is(name, "started_at"))
				scan_string(&s, &started);
			else
				scan_skip(&s, NULL);
		}
	if (!scan_end(&s) || !started.p)
		return err_set(err, ERR_DATA, "what the agent of slot %u says is malformed", slot);
	int ret = slot_key(&key, slot, ".stop", err);
	if (ret == 0)
		ret = store_put(st->primary, key.data, started, err);
	st->count += ret == 0;
	buf_release(&key);
	return ret;
}

int agent_stop_all(struct store *primary, unsigned *count, struct err *err)
{
	struct stopping st = {.primary = primary};
	int ret = agent_each_running(primary, ask_to_stop, &st, err);
	*count = st.count;
	return ret;
}
