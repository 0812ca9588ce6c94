/* SPDX-License-Identifier: MIT */
#include "agent/agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/presence.h"
#include "base/clock.h"
#include "journal/journal.h"
#include "tests/unit/tap.h"

static struct err err;

/* ---- settings ---- */

static bool refused(const char *text, const char *why)
{
	struct agent_settings s = AGENT_SETTINGS_DEFAULT;
	return agent_settings_read(&s, span_of(text), &err) == -1 && err.code == ERR_DATA &&
	       strstr(err.msg, why);
}

static void test_settings(void)
{
	struct agent_settings s = AGENT_SETTINGS_DEFAULT;
	ok(agent_settings_read(&s,
			       span_of("# mine\n\n enabled = true\r\nmin_recall=0.95\n"
				       "cycle_interval_secs=5\ncooldown_between_trials_secs=0\n"
				       "max_trials_per_hour=1000\ntrust_stored=true"),
			       &err) == 0 &&
	       s.enabled && s.min_recall == 0.95 && s.cycle_interval_secs == 5 &&
	       s.cooldown_between_trials_secs == 0 && s.max_trials_per_hour == 1000 &&
	       s.trust_stored,
	   "all settings, a comment, blanks, no newline at the end");
	ok(agent_settings_read(&s, span_of(""), &err) == 0, "none");
	ok(refused("enabled=true\nmin_recal=1\n", "line 2: unknown setting 'min_recal'"),
	   "an unknown one: %s", err.msg);
	ok(refused("\nmin_recall=1.1", "line 2: bad value '1.1' for min_recall"),
	   "out of range: %s", err.msg);
	ok(refused("min_recall=nan", "line 1"), "no number: %s", err.msg);
	ok(refused("cycle_interval_secs=0", "line 1"), "0 s: %s", err.msg);
	ok(refused("max_trials_per_hour=-1", "line 1"), "negative: %s", err.msg);
	ok(refused("enabled=yes", "true or false"), "yes: %s", err.msg);
	ok(refused("enabled", "expected KEY=VALUE"), "no value: %s", err.msg);
	ok(refused("min_recall=1\n#\nmin_recall=1", "line 3: min_recall is set in line 1 already"),
	   "twice: %s", err.msg);
}

/* ---- the queue ---- */

static int push(struct store *s, const char *index, enum agent_reason reason, const char *dataset)
{
	struct agent_event e = {.reason = reason,
				.index_name = span_dup(span_of(index)),
				.dataset = dataset ? span_dup(span_of(dataset)) : NULL};
	int ret = agent_queue_push(s, &e, &err);
	agent_event_release(&e);
	return ret;
}

static void test_queue(struct store *s)
{
	struct store_names n;
	struct agent_event e;
	ok(push(s, "x", AGENT_MANUAL, NULL) == 0 &&
	       push(s, "x", AGENT_DATASET_APPENDED, "d") == 0 &&
	       push(s, "x", AGENT_DATASET_APPENDED, "d2") == 0 &&
	       push(s, "y", AGENT_MANUAL, NULL) == 0,
	   "events of different index or reason");
	ok(push(s, "x", AGENT_MANUAL, NULL) == 1 && push(s, "x", AGENT_DATASET_APPENDED, "d") == 1,
	   "equal ones wait once");
	ok(agent_queue_list(s, &n, &err) == 0 && n.count == 4, "four wait");
	ok(agent_queue_get(s, n.name[1], &e, &err) == 1 && strcmp(e.index_name, "x") == 0 &&
	       e.reason == AGENT_DATASET_APPENDED && strcmp(e.dataset, "d") == 0 && !e.started_at,
	   "the second");
	/* While a trial of it is under way, data that arrives is another matter. */
	e.started_at = span_dup(span_of("2026-11-20T12:00:00Z"));
	buf_adds(&e.trial, "{\"id\":\"t\"}");
	ok(agent_queue_put(s, &e, &err) == 0, "it is begun");
	ok(push(s, "x", AGENT_DATASET_APPENDED, "d") == 1,
	   "but nobody has it in hand: it waits to be begun again");
	struct store_lock *lock = store_lock(s, AGENT_LOCK, 0, &err);
	ok(lock && push(s, "x", AGENT_DATASET_APPENDED, "d") == 0 &&
	       push(s, "x", AGENT_DATASET_APPENDED, "d") == 1,
	   "somebody has: one more waits, and just one");
	store_unlock(lock);
	agent_event_release(&e);
	ok(agent_queue_get(s, n.name[1], &e, &err) == 1 && e.trial.len == 10 && e.started_at,
	   "what was written back is there");
	agent_event_release(&e);
	for (size_t i = 0; i < n.count; i++)
		if (agent_queue_remove(s, n.name[i], &err) != 0)
			ok(false, "remove: %s", err.msg);
	store_names_release(&n);
	ok(agent_queue_list(s, &n, &err) == 0 && n.count == 1, "one is left");
	ok(store_put(s,
		     "_hnsw_agent/queue/00000000000000000001-0123456789abcdef0123456789abcdef."
		     "json",
		     span_of("{\"index_name\":1}"), &err) == 0 &&
	       agent_queue_get(s, "00000000000000000001-0123456789abcdef0123456789abcdef.json", &e,
			       &err) == -1 &&
	       err.code == ERR_DATA,
	   "a malformed one: %s", err.msg);
	store_names_release(&n);
}

/* ---- many events, with cycles that cost nothing ---- */

struct tally {
	uint64_t next; /* expected index, by number */
	bool in_order;
};

static struct tally tally;

static int count_event(struct agent *a, struct agent_event *e, struct err *why)
{
	char want[32];
	(void)a;
	(void)why;
	snprintf(want, sizeof want, "i%llu", (unsigned long long)tally.next++);
	tally.in_order &= strcmp(want, e->index_name) == 0;
	return 0;
}

static void ignore(void *ctx, struct span lines)
{
	(void)ctx;
	(void)lines;
}

static void drain(struct agent *a)
{
	enum agent_turn what = AGENT_DONE;
	while (what == AGENT_DONE)
		if (agent_turn(a, AGENT_NO_WAKE, &what, &err) != 0)
			what = AGENT_BUSY;
	ok(what == AGENT_NOTHING, "the queue is empty");
}

static void test_many(struct agent *a, uint64_t events)
{
	uint64_t start = clock_mono_ns(), pushed = 0;
	char name[32];
	tally = (struct tally){.in_order = true};
	while (pushed < events) {
		/* Fill it up, try one more, and do some. */
		int got = 0;
		while (pushed < events && got == 0) {
			snprintf(name, sizeof name, "i%llu", (unsigned long long)pushed);
			got = push(a->primary, name, AGENT_MANUAL, NULL);
			pushed += got == 0;
		}
		if (got && (err.code != ERR_TEMP || pushed - tally.next != AGENT_QUEUE_MAX)) {
			ok(false, "push: %s", err.msg);
			return;
		}
		enum agent_turn what = AGENT_DONE;
		for (int i = 0; got && i < 37 && what == AGENT_DONE; i++)
			if (agent_turn(a, AGENT_NO_WAKE, &what, &err) != 0)
				what = AGENT_BUSY;
	}
	drain(a);
	ok(tally.in_order && tally.next == events,
	   "%llu events went through in order, none was lost, the 257th waiting was refused",
	   (unsigned long long)events);
	printf("# %.1f us an event\n",
	       (double)(clock_mono_ns() - start) / 1e3 / (double)(events ? events : 1));
}

/* ---- limits ---- */

static void log_started(struct store *s, const char *index, int64_t ago_us)
{
	char at[CLOCK_TEXT_MAX], prefix[64], name[JOURNAL_NAME_MAX];
	struct buf line = BUF_INIT;
	clock_format(clock_wall_us() - (uint64_t)ago_us, at);
	snprintf(prefix, sizeof prefix, "_hnsw_agent/events/%.10s", at);
	buf_addf(&line, "{\"at\":\"%s\",\"kind\":\"trial_started\",\"index_name\":\"%s\"}\n", at,
		 index);
	if (journal_append(s, prefix, buf_span(&line), 0, name, &err) != 0)
		ok(false, "append: %s", err.msg);
	buf_release(&line);
}

#define SECOND ((int64_t)1000000)
#define HOUR (3600 * SECOND)

static void test_limits(struct store *s)
{
	struct agent_history h;
	struct warn_to quiet = {0};
	ok(agent_history_read(s, &h, &quiet, &err) == 0 && h.count == 0, "nothing was started");
	agent_history_release(&h);
	log_started(s, "x", 61 * 60 * SECOND);
	log_started(s, "y", 30 * 60 * SECOND);
	log_started(s, "x", 10 * SECOND);
	log_started(s, "z", -3 * HOUR);
	log_started(s, "far", -400 * 24 * HOUR);
	ok(agent_history_read(s, &h, &quiet, &err) == 0 && agent_history_last_hour(&h) == 3,
	   "three in the last hour, one of them in the future");
	uint64_t rate = agent_wait_for_rate(&h, 3);
	ok(agent_wait_for_rate(&h, 4) == 0 && rate > 29 * 60 * (uint64_t)SECOND &&
	       rate <= 30 * 60 * (uint64_t)SECOND,
	   "the third is let go when the oldest is an hour old");
	ok(agent_wait_for_rate(&h, 0) > 0, "a limit of none");
	uint64_t cool = agent_wait_for_cooldown(&h, "x", 30);
	ok(cool > 19 * (uint64_t)SECOND && cool <= 20 * (uint64_t)SECOND, "x cools for 20 s");
	ok(agent_wait_for_cooldown(&h, "y", 30) == 0, "y does not");
	ok(agent_wait_for_cooldown(&h, "y", 86400) > 0, "but for a day");
	ok(agent_wait_for_cooldown(&h, "z", 30) == 30 * (uint64_t)SECOND,
	   "a stamp in the future counts as now");
	ok(agent_wait_for_cooldown(&h, "far", 30) == 0, "more than a day ahead is a wrong clock");
	ok(agent_wait_for_cooldown(&h, "new", 30) == 0, "an index without trials");
	ok(h.ahead && strcmp(h.ahead, "z") == 0, "it is the one that is ahead");
	agent_history_release(&h);
}

/* The clock was ahead by ${ahead_us} and was set back. */
static void test_clock_back(struct store *s, int64_t ahead_us)
{
	struct agent_history h;
	struct warn_to quiet = {0};
	struct buf lines = BUF_INIT;
	struct agent_entry seen = {
	    .kind = AGENT_SKIPPED_COOLDOWN, .index_name = "z", .detail = "now"};
	log_started(s, "z", -ahead_us);
	ok(agent_history_read(s, &h, &quiet, &err) == 0 && h.ahead &&
	       agent_wait_for_cooldown(&h, "z", 30) == 30 * (uint64_t)SECOND &&
	       agent_wait_for_rate(&h, 1) == (uint64_t)HOUR &&
	       agent_wait_for_interval(&h, 60) == 60 * (uint64_t)SECOND,
	   "%lld s ahead: as if begun now", (long long)(ahead_us / SECOND));
	agent_history_release(&h);
	uint64_t written = clock_wall_us();
	ok(agent_log_append(s, &seen, 1, &lines, &err) == 0, "which is written down");
	usleep(20000);
	ok(agent_history_read(s, &h, &quiet, &err) == 0 && !h.ahead &&
	       agent_wait_for_cooldown(&h, "z", 30) + (clock_wall_us() - written) >=
		   30 * (uint64_t)SECOND &&
	       agent_wait_for_cooldown(&h, "z", 30) <= 30 * (uint64_t)SECOND - 20000 &&
	       agent_wait_for_rate(&h, 1) <= (uint64_t)HOUR - 20000,
	   "and does not move on");
	agent_history_release(&h);
	buf_release(&lines);
}

/* ---- failures ---- */

static enum err_code fail_with;

static int fail(struct agent *a, struct agent_event *e, struct err *why)
{
	(void)a;
	if (strcmp(e->index_name, "bad") != 0)
		return 0;
	return err_set(why, fail_with, "as the test wants");
}

static size_t waiting(struct store *s)
{
	struct store_names n;
	if (agent_queue_list(s, &n, &err) != 0)
		return SIZE_MAX;
	size_t count = n.count;
	store_names_release(&n);
	return count;
}

/* Whether one turn ends with that, the queue having so many events then. */
static bool turns(struct agent *a, enum agent_turn what, size_t left)
{
	enum agent_turn got;
	return agent_turn(a, AGENT_NO_WAKE, &got, &err) == 0 && got == what &&
	       waiting(a->primary) == left;
}

static void test_failures(struct agent *a)
{
	static const enum err_code passing[] = {ERR_CONFLICT, ERR_TEMP, ERR_ENV},
				   final[] = {ERR_NO, ERR_USAGE, ERR_DATA};
	struct store *s = a->primary;
	struct store_names n;
	struct agent_event e;
	a->cycle = fail;
	for (int i = 0; i < 3; i++) {
		fail_with = final[i];
		ok(push(s, "bad", AGENT_MANUAL, NULL) == 0 && turns(a, AGENT_FAILED, 0),
		   "status %d cannot succeed: given up", (int) final[i]);
	}
	for (int i = 0; i < 3; i++) {
		fail_with = passing[i];
		ok(push(s, "bad", AGENT_MANUAL, NULL) == 0 && turns(a, AGENT_FAILED, 1) &&
		       turns(a, AGENT_WAITING, 1),
		   "status %d may pass: put off", (int)passing[i]);
		ok(push(s, "good", AGENT_MANUAL, NULL) == 0 && turns(a, AGENT_DONE, 1),
		   "another index is not held up");
		usleep(1100000);
		ok(turns(a, AGENT_FAILED, 1), "tried again after a second");
		ok(agent_queue_list(s, &n, &err) == 0 && n.count == 1 &&
		       agent_queue_get(s, n.name[0], &e, &err) == 1 && e.attempts == 2 &&
		       agent_event_wait(&e, clock_wall_us()) > (uint64_t)SECOND,
		   "the second time for longer, which is on disk");
		/* A clock that was ahead. */
		e.retry_us += 86400 * (uint64_t)SECOND;
		ok(agent_queue_put(s, &e, &err) == 0 && turns(a, AGENT_WAITING, 1) &&
		       usleep(2100000) == 0,
		   "put off by a clock a day ahead");
		agent_event_release(&e);
		fail_with = ERR_NO;
		ok(turns(a, AGENT_FAILED, 0), "waits no longer than it was put off for");
		store_names_release(&n);
	}
	e = (struct agent_event){0};
	uint64_t sum = 0, wait = 0;
	for (int i = 0; i < 70; i++) {
		agent_event_put_off(&e, 1000);
		wait = agent_event_wait(&e, 1000);
		sum += wait;
	}
	ok(wait == 900 * (uint64_t)SECOND && sum == (1023 + 60 * 900) * (uint64_t)SECOND,
	   "never for longer than a quarter of an hour");
}

static int count_lines(void *ctx, const struct agent_logged *l, struct err *e)
{
	(void)l;
	(void)e;
	++*(unsigned *)ctx;
	return 0;
}

static void test_tidy(struct store *s)
{
	struct warn_to quiet = {0};
	struct store_names n;
	unsigned before = 0, after = 0;
	char day[CLOCK_TEXT_MAX], prefix[64];
	for (int i = 0; i < 5; i++)
		log_started(s, "old", 50 * HOUR + i * SECOND);
	clock_format(clock_wall_us() - (uint64_t)(50 * HOUR), day);
	snprintf(prefix, sizeof prefix, "_hnsw_agent/events/%.10s", day);
	ok(agent_log_read(s, 0, count_lines, &before, &quiet, &err) == 0 &&
	       agent_log_tidy(s, &err) == 0 &&
	       agent_log_read(s, 0, count_lines, &after, &quiet, &err) == 0 && before == after,
	   "tidying loses no line: %u", after);
	ok(store_list(s, prefix, false, &n, &err) == 0 && n.count == 1, "a day is one file");
	store_names_release(&n);
}

/* ---- presence ---- */

static void test_presence(struct store *s)
{
	struct agent_settings set = AGENT_SETTINGS_DEFAULT;
	struct agent_presence p, q;
	unsigned count;
	ok(agent_stop_all(s, 0, &count, &err) == 0 && count == 0, "nobody runs");
	ok(agent_enter(s, &set, clock_wall_us(), &p, &err) == 0 &&
	       agent_enter(s, &set, clock_wall_us(), &q, &err) == 0 && p.slot != q.slot,
	   "two run");
	ok(agent_stop_asked(s, &p, &err) == 0, "nobody asked");
	ok(agent_stop_all(s, 0, &count, &err) == 0 && count == 2 &&
	       agent_stop_asked(s, &p, &err) == 1 && agent_stop_asked(s, &q, &err) == 1,
	   "both are asked to stop");
	agent_leave(&p);
	ok(agent_stop_all(s, 0, &count, &err) == 0 && count == 1, "one has gone");
	ok(agent_enter(s, &set, clock_wall_us(), &p, &err) == 0 &&
	       agent_stop_asked(s, &p, &err) == 0,
	   "who takes its slot is not meant");
	ok(agent_present(s, &p, &err) == 1, "it is there");
	ok(store_put(s, "_hnsw_agent/agents/1.json", span_of("{}"), &err) == 0 &&
	       agent_present(s, &p, &err) == 0 && err.code == ERR_ENV,
	   "%s", err.msg);
	ok(store_delete(s, "_hnsw_agent/agents/1.json", &err) == 0 &&
	       agent_present(s, &p, &err) == 0 && err.code == ERR_ENV,
	   "%s", err.msg);
	agent_leave(&p);
	agent_leave(&q);
	/* Nobody runs, but one was started before. */
	uint64_t before = clock_wall_us();
	ok(agent_stop_all(s, 0, &count, &err) == 0 && count == 0 &&
	       agent_enter(s, &set, before, &p, &err) == 0 && agent_stop_asked(s, &p, &err) == 1,
	   "who was starting meanwhile is asked to stop");
	agent_leave(&p);
	ok(agent_enter(s, &set, clock_wall_us(), &p, &err) == 0 &&
	       agent_stop_asked(s, &p, &err) == 0,
	   "who is started later is not");
	agent_leave(&p);
}

int main(void)
{
	/* Events are durable, which memory is not slow at. */
	char dir[64], command[96];
	const char *many = getenv("HNSW_TEST_EVENTS");
	snprintf(dir, sizeof dir, "%s/hnsw-unit-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	struct catalog c = {0};
	struct agent a = {.catalog = &c,
			  .settings = AGENT_SETTINGS_DEFAULT,
			  .cycle = count_event,
			  .tell = ignore};
	test_settings();
	if (catalog_open(&c, dir, false, &err) != 0 ||
	    !(a.primary = buckets_get(c.buckets, "primary", &err))) {
		ok(false, "%s", err.msg);
		return tap_end();
	}
	test_limits(a.primary);
	test_tidy(a.primary);
	test_presence(a.primary);
	snprintf(command, sizeof command, "rm -rf %s/primary", dir);
	ok(system(command) == 0, "a fresh store");
	test_clock_back(a.primary, 3600 * SECOND);
	ok(system(command) == 0, "a fresh store");
	test_clock_back(a.primary, 86000 * SECOND);
	ok(system(command) == 0, "a fresh store");
	a.settings.cooldown_between_trials_secs = 0;
	test_failures(&a);
	a.cycle = count_event;
	ok(system(command) == 0, "a fresh store");
	test_many(&a, many ? strtoull(many, NULL, 10) : 3000);
	test_queue(a.primary);
	catalog_close(&c);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) != 0 || tap_end();
}
