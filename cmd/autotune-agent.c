/* SPDX-License-Identifier: MIT */
/* autotune-agent - tune unattended */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/presence.h"
#include "agent/status.h"
#include "base/clock.h"
#include "cli/cli.h"

#define POLL_NS 500000000	       /* how often the queue is looked at */
#define START_NS (2 * SECOND_NS)       /* how long stop waits for an agent that is starting */
#define UNREADABLE_NS (60 * SECOND_NS) /* after which a store counts as gone */
#define SECOND_NS ((uint64_t)1000000000)
#define CONF_KEY "_hnsw_agent/agent.conf"
#define CONF_MAX ((size_t)1 << 20)
#define OWN_NAME "autotune-agent"

static struct {
	const char *setting[AGENT_SETTINGS]; /* as in agent_setting_names */
	const char *conf, *store;
	uint32_t threads;
	bool enabled, trust_stored, prove, text, dry_run;
} o;

static const struct cli_opt opts[] = {
    {0, "enabled", NULL, "let run run, which it does not by default", CLI_FLAG, &o.enabled, 0, 0,
     NULL},
    {0, "cycle-interval-secs", "N", "wake so often though nothing waits (default 60)", CLI_STR,
     &o.setting[1], 0, 0, NULL},
    {0, "cooldown-between-trials-secs", "N", "least time between trials of an index (default 30)",
     CLI_STR, &o.setting[2], 0, 0, NULL},
    {0, "min-recall", "R", "recall below which nothing is promoted (default 0.9)", CLI_STR,
     &o.setting[3], 0, 0, NULL},
    {0, "max-trials-per-hour", "N", "trials within any hour, of all indexes (default 30)", CLI_STR,
     &o.setting[4], 0, 0, NULL},
    {0, "prove", NULL, "prove the floor even where nothing is promoted yet", CLI_FLAG, &o.prove, 0, 0,
     NULL},
    {0, "trust-stored", NULL, "no proof and no duel: promote by the Trials' figures as they are",
     CLI_FLAG, &o.trust_stored, 0, 0, NULL},
    {0, "strategy", "NAME",
     "egreedy, model, or a command as propose has it (default: by a goal model, else egreedy)",
     CLI_STR, &o.setting[7], 0, 0, NULL},
    {0, "min-new-rows", "N",
     "react to new data after so many rows (default: a hundredth of them; 0: every batch)", CLI_STR,
     &o.setting[8], 0, 0, NULL},
    {0, "target-recall", "R", "recall to reach, for indexes without a goal of their own", CLI_STR,
     &o.setting[9], 0, 0, NULL},
    {0, "target-queries", "SHARE",
     "share of the queries that are to reach it, each (default: their mean is to)", CLI_STR,
     &o.setting[10], 0, 0, NULL},
    {0, "minimise", "WHAT", "latency (default), distances, build or memory", CLI_STR,
     &o.setting[11], 0, 0, NULL},
    {0, "max-memory", "BYTES", "memory that an index may take (default: any)", CLI_STR,
     &o.setting[12], 0, 0, NULL},
    {0, "max-build", "S", "seconds that a build may take (default: any)", CLI_STR, &o.setting[13], 0,
     0, NULL},
    {0, "max-latency", "US", "microseconds that the median search may take (default: any)", CLI_STR,
     &o.setting[14], 0, 0, NULL},
    {0, "space", "RANGES", "where to look (default 'm=8:64 ec=10:400 es=10:200 storage=auto')",
     CLI_STR, &o.setting[15], 0, 0, NULL},
    {0, "confidence", "P", "certainty that the recall is reached (default 0.99); 0.5: by its mean",
     CLI_STR, &o.setting[16], 0, 0, NULL},
    {0, "conf", "FILE",
     "settings as lines KEY=VALUE (default: $HNSW_AGENT_CONF, or agent.conf in the store)", CLI_STR,
     &o.conf, 0, 0, NULL},
    {0, "text", NULL, "status: for people, not as JSON", CLI_FLAG, &o.text, 0, 0, NULL},
    CLI_OPT_THREADS(&o.threads, "all cores"),
    CLI_OPT_DRY_RUN(&o.dry_run),
    CLI_OPT_STORE(&o.store),
};

/* When the program was started. */
static uint64_t started_us, started_ns;

static struct cli cli = {
    .usage = "[options] run\n[options] once\n[options] enqueue NAME\n[options] status\n"
	     "[options] stop",
    .about =
	"Tune unattended: one trial after the other, when data was appended, on request, and now\n"
	"and then.  run goes on until stop or a signal, and ends after the trial in hand; once\n"
	"does one, for cron; enqueue asks for one of index NAME.  run and once print what they\n"
	"did as JSON lines.",
    CLI_OPTS(opts),
};

/* ---- settings ---- */

/* ERR_USAGE: what a command line or the environment says is wrong. */
static int set_from(struct agent_settings *s, int i, const char *text, const char *where,
		    struct err *err)
{
	if (agent_settings_set(s, span_of(agent_setting_names[i]), span_of(text), err) == 0)
		return 0;
	err->code = ERR_USAGE;
	return where ? err_prefix(err, "%s", where) : -1;
}

/* HNSW_AGENT_MIN_RECALL for min_recall, and so on. */
static void variable_of(int i, char *out, size_t size)
{
	size_t n = 0;
	for (const char *p = "HNSW_AGENT_"; *p && n + 1 < size; p++)
		out[n++] = *p;
	for (const char *p = agent_setting_names[i]; *p && n + 1 < size; p++)
		out[n++] = *p == '_' ? '_' : (char)(*p - 'a' + 'A');
	out[n] = 0;
}

static int read_conf(struct agent *a, struct err *err)
{
	struct buf text = BUF_INIT;
	const char *path = o.conf ? o.conf : getenv("HNSW_AGENT_CONF");
	const char *name = path ? path : CONF_KEY;
	int got = path ? io_read_file(path, CONF_MAX, &text, err)
		       : store_get(a->primary, CONF_KEY, &text, NULL, err);
	if (got >= 0 && agent_settings_read(&a->settings, buf_span(&text), err) != 0)
		got = err_prefix(err, "'%s'", name);
	buf_release(&text);
	return got < 0 ? -1 : 0;
}

/* The command line, before the environment, before the file. */
static int read_settings(struct agent *a, struct err *err)
{
	a->settings = (struct agent_settings)AGENT_SETTINGS_DEFAULT;
	if (read_conf(a, err) != 0)
		return -1;
	o.setting[0] = o.enabled ? "true" : NULL;
	o.setting[5] = o.trust_stored ? "true" : NULL;
	o.setting[6] = o.prove ? "true" : NULL;
	for (int i = 0; i < AGENT_SETTINGS; i++) {
		char variable[64];
		variable_of(i, variable, sizeof variable);
		const char *text = getenv(variable);
		if (o.setting[i]
			? set_from(&a->settings, i, o.setting[i], NULL, err)
			: text && text[0] && set_from(&a->settings, i, text, variable, err))
			return -1;
	}
	return 0;
}

/* ---- what the agent needs of a command ---- */

static struct buf programs; /* see cli_programs() */

static int run_program(void *ctx, const char *const argv[], struct span in, struct buf *out,
		       struct err *err)
{
	(void)ctx;
	return cli_run(programs.data, argv, in, out, err);
}

static void tell(void *ctx, struct span lines)
{
	struct err *failed = ctx, err;
	buf_addspan(&cli_out.b, lines);
	if (io_sink_flush(&cli_out, &err) != 0 && failed->code == ERR_NONE)
		*failed = err;
}

/* The cycle, with what it cost beside building and measuring. */
static int timed_cycle(struct agent *a, struct agent_event *e, struct err *err)
{
	uint64_t start = clock_mono_ns();
	/* So that the programs know who holds the index's lock. */
	if (setenv("HNSW_TUNING", e->index_name, 1) != 0)
		return err_nomem(err);
	int ret = agent_cycle(a, e, err);
	if (cli.verbose)
		cli_note(&cli, "cycle of %.1f ms, %.1f ms of them not building or measuring",
			 (double)(clock_mono_ns() - start) / 1e6,
			 (double)(clock_mono_ns() - start - a->work_ns) / 1e6);
	return ret;
}

/* The store's path, which must not be relative. */
static char *absolute_store(struct err *err)
{
	const char *url = cli_store(o.store);
	struct buf b = BUF_INIT;
	bool relative = url[0] != '/' && !strstr(url, "://");
	char *here = relative ? getcwd(NULL, 0) : NULL;
	if (relative && !here) {
		err_sys(err, "cannot tell where store '%s' is", url);
		return NULL;
	}
	if (here) {
		buf_adds(&b, here);
		buf_addc(&b, '/');
	}
	free(here);
	buf_adds(&b, url);
	if (buf_ok(&b, err) != 0) {
		buf_release(&b);
		return NULL;
	}
	return b.data;
}

/* ---- verbs; each returns the exit status, or -1 ---- */

static int do_enqueue(struct agent *a, struct err *err)
{
	struct agent_event e = {.reason = AGENT_MANUAL};
	struct json_out j = {.b = &cli_out.b};
	const char *name = cli.operand[1];
	if (catalog_check_name("index", name, err) != 0)
		return -1;
	if (o.dry_run) {
		cli_note(&cli, "would enqueue a trial of '%s'", name);
		return 0;
	}
	e.index_name = span_dup(span_of(name));
	int there = e.index_name ? agent_queue_push(a->primary, &e, err) : err_nomem(err);
	if (there >= 0) {
		json_open(&j, '{');
		json_kv_cstr(&j, "event", e.name);
		json_kv_cstr(&j, "index_name", name);
		json_kv_cstr(&j, "reason", "manual");
		json_key(&j, "waiting_already");
		json_bool(&j, there == 1);
		json_close(&j, '}');
		buf_addc(&cli_out.b, '\n');
	}
	agent_event_release(&e);
	return there < 0 ? -1 : 0;
}

static int do_status(struct agent *a, struct err *err)
{
	return agent_status(a, o.text, &cli_out.b, err);
}

static int do_stop(struct agent *a, struct err *err)
{
	unsigned count;
	if (agent_stop_all(a->primary, started_ns + START_NS, &count, err) != 0)
		return -1;
	if (count == 0)
		return err_set(err, ERR_NO, "no agent is running");
	cli_note(&cli, "%u agent%s will end after the trial in hand", count, count > 1 ? "s" : "");
	return 0;
}

/* One turn, and afterwards the log of days that are over; not tidying it is no reason to end. */
static int turn(struct agent *a, enum agent_wake wake, enum agent_turn *what, struct err *err)
{
	struct err why;
	int ret = agent_turn(a, wake, what, err);
	if (*what == AGENT_DONE && agent_log_tidy(a->primary, &why) != 0 && why.code != ERR_TEMP)
		cli_error(&cli, &why);
	return ret;
}

static int do_once(struct agent *a, struct err *err)
{
	enum agent_turn what = AGENT_NOTHING;
	cli_catch_signals();
	if (turn(a, AGENT_WAKE_IF_DUE, &what, err) != 0 || what == AGENT_FAILED)
		return -1;
	switch (what) {
	case AGENT_BUSY:
		return err_set(err, ERR_TEMP, "another agent has a trial in hand");
	case AGENT_NOTHING:
		cli_note(&cli, "there is nothing to do");
		return ERR_NO;
	case AGENT_WAITING:
		cli_note(&cli, "what is to be done has to wait, see status");
		return ERR_NO;
	default:
		return 0;
	}
}

/* One look at what there is to do; false: it failed. */
static bool look(struct agent *a, bool wake, enum agent_turn *what)
{
	struct err err = {0};
	int ret = turn(a, wake ? AGENT_WAKE : AGENT_NO_WAKE, what, &err);
	/* Nothing of this is a reason to end. */
	if (ret != 0 || *what == AGENT_FAILED)
		cli_error(&cli, &err);
	return ret == 0;
}

/*
 * Whether to end: 1: somebody asked for it; 0; -1: the store is gone, or this agent from it.  One
 * that cannot be read is taken for gone after a while; ${read_ns}: when it last was.
 */
static int to_end(const struct agent *a, const struct agent_presence *p, uint64_t *read_ns,
		  struct err *err)
{
	int present = agent_present(a->primary, p, err);
	int stop = present > 0 ? agent_stop_asked(a->primary, p, err) : present;
	if (present > 0 && stop >= 0)
		*read_ns = clock_mono_ns();
	else if (present == 0 || clock_mono_ns() - *read_ns > UNREADABLE_NS)
		return -1;
	return stop > 0 || cli_interrupted();
}

/* Go on until asked to stop, or nobody hears any more what is done. */
static int loop(struct agent *a, const struct agent_presence *p, struct err *err)
{
	const struct timespec pause = {0, POLL_NS};
	const struct err *undelivered = a->ctx;
	uint64_t interval = a->settings.cycle_interval_secs * SECOND_NS, look_at = 0,
		 read_ns = clock_mono_ns(), wake_at = read_ns + interval;
	for (;;) {
		int end = to_end(a, p, &read_ns, err);
		if (end != 0)
			return end < 0 ? -1 : 0;
		if (undelivered->code != ERR_NONE)
			return err_set(err, undelivered->code, "%s", undelivered->msg);
		enum agent_turn what = AGENT_NOTHING;
		uint64_t now = clock_mono_ns();
		bool wake = now >= wake_at;
		if (now >= look_at && !look(a, wake, &what))
			look_at = clock_mono_ns() + interval;
		if (wake && what != AGENT_BUSY)
			wake_at = clock_mono_ns() + interval;
		if (what != AGENT_DONE && !cli_interrupted())
			nanosleep(&pause, NULL);
	}
}

static int do_run(struct agent *a, struct err *err)
{
	struct agent_presence p;
	if (!a->settings.enabled) {
		cli_note(&cli, "not enabled: say --enabled, or enabled=true in agent.conf");
		return 0;
	}
	if (agent_enter(a->primary, &a->settings, started_us, &p, err) != 0)
		return -1;
	cli_note(&cli, "running: a wake every %llu s, at most %llu trials an hour",
		 (unsigned long long)a->settings.cycle_interval_secs,
		 (unsigned long long)a->settings.max_trials_per_hour);
	cli_catch_signals();
	int ret = loop(a, &p, err);
	agent_leave(&p);
	if (ret == 0)
		cli_note(&cli, "stopped");
	return ret;
}

static const struct verb {
	const char *name;
	int (*run)(struct agent *a, struct err *err);
	size_t operands;
	bool dry_run, makes_store;
} verbs[] = {
    {"run", do_run, 1, false, true},	    {"once", do_once, 1, false, false},
    {"enqueue", do_enqueue, 2, true, true}, {"status", do_status, 1, false, false},
    {"stop", do_stop, 1, false, false},
};

/* An agent that is starting may be about to make the store. */
static int open_store(struct catalog *c, const char *url, const struct verb *verb, struct err *err)
{
	const struct timespec pause = {0, POLL_NS / 10};
	int ret = catalog_open(c, url, !verb->makes_store, err);
	while (ret != 0 && verb->run == do_stop && clock_mono_ns() < started_ns + START_NS) {
		nanosleep(&pause, NULL);
		ret = catalog_open(c, url, true, err);
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = {0}, undelivered = {0};
	struct catalog c = {0};
	struct agent a = {.catalog = &c,
			  .cycle = timed_cycle,
			  .run = run_program,
			  .tell = tell,
			  .ctx = &undelivered};
	char threads[16];
	size_t verb = 0, n = sizeof verbs / sizeof verbs[0];
	started_us = clock_wall_us();
	started_ns = clock_mono_ns();
	cli_parse(&cli, argc, argv, 1, 2);
	while (verb < n && strcmp(verbs[verb].name, cli.operand[0]) != 0)
		verb++;
	if (verb == n)
		cli_usage(&cli, "unknown verb '%s'", cli.operand[0]);
	if (cli.n_operands != verbs[verb].operands)
		cli_usage(&cli, cli.n_operands < 2 ? "%s needs a NAME" : "%s takes no operand",
			  verbs[verb].name);
	if (o.dry_run && !verbs[verb].dry_run)
		cli_usage(&cli, "%s does not know --dry-run", verbs[verb].name);
	c.warn = cli_warn_to(&cli);
	snprintf(threads, sizeof threads, "%u", o.threads);
	a.threads = o.threads ? threads : NULL;
	char *url = absolute_store(&err);
	int ret = url ? open_store(&c, url, &verbs[verb], &err) : -1;
	a.store_url = url;
	if (ret == 0)
		ret = (a.primary = buckets_get(c.buckets, META_BUCKET_DEFAULT, &err)) ? 0 : -1;
	if (ret == 0)
		ret = read_settings(&a, &err);
	if (ret == 0)
		ret = cli_programs(&cli, OWN_NAME, &programs, &err);
	/* Names of indexes are not to meet files that happen to be here. */
	if (ret == 0 && chdir("/") != 0)
		ret = err_sys(&err, "cannot change to '/'");
	if (ret == 0)
		ret = verbs[verb].run(&a, &err);
	int status = ret < 0 ? cli_error(&cli, &err) : ret;
	catalog_close(&c);
	free(url);
	buf_release(&programs);
	return cli_finish(&cli, status);
}
