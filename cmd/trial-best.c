/* SPDX-License-Identifier: MIT */
/* trial-best - print the best Trial of an index, or the frontier */
#include <string.h>

#include "catalog/catalog.h"
#include "cli/cli.h"
#include "json/filter.h"
#include "tune/best.h"
#include "tune/explain.h"

static struct {
	const char *by, *jq, *exclude, *champion, *store, *space;
	double min_recall;
	bool explain;
	struct tune_goal goal;
} o = {.goal = TUNE_GOAL_UNSAID};

static const struct cli_opt opts[] = {
    {0, "by", "RULE", "recall, latency, pareto, winner or frontier (default: the index's goal, else pareto)", CLI_STR,
     &o.by, 0, 0, NULL},
    {0, "jq", "EXPR", "greatest value of a jq expression over the Trial", CLI_STR, &o.jq, 0, 0,
     NULL},
    {0, "min-recall", "R", "only Trials with at least this recall_at_k", CLI_F64, &o.min_recall, 0,
     1, NULL},
    {0, "exclude", "FILE", "no Trial with one of these configs (JSON lines)", CLI_STR, &o.exclude,
     0, 0, NULL},
    {0, "champion", "FILE",
     "by a goal: what is to be promoted where this config (JSON; an empty file: none) is now",
     CLI_STR, &o.champion, 0, 0, NULL},
    TUNE_GOAL_OPTIONS(o.goal),
    {0, "space", "RANGES", "only configs of such a space, see propose (default: any)", CLI_STR,
     &o.space, 0, 0, NULL},
    {0, "explain", NULL, "print a table and a paragraph about the choice instead of the Trial",
     CLI_FLAG, &o.explain, 0, 0, NULL},
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[--by RULE | --jq EXPR | --target-recall R ...] NAME",
    .about = "Print the best Trial of index NAME, or of those on stdin (NAME is -), by a rule, or by\n"
	     "a goal (the index's own by default) the cheapest that meets it.  Exits 1 if there is none, and by a goal tells why.",
    CLI_OPTS(opts),
};

struct state {
	bool front, by_goal;
	struct tune_history history; /* by goal */
	struct best best;
	struct frontier frontier;
	struct json_filter *filter;
	double greatest; /* of the jq expression */
	struct config_list excluded, champion;
};

static bool admitted(const struct state *s, const struct trial *t)
{
	/* A rung has some of the rows only: its figures are those of another, easier index, which a
	 * goal knows. */
	if ((float)t->metrics.recall_at_k < (float)o.min_recall)
		return false;
	/* The curve of what is not to be chosen still tells of its build: see choose(). */
	return s->by_goal || (!t->config.rung && !config_list_has(&s->excluded, &t->config));
}

static void skip(const struct trial *t, const char *why)
{
	cli_note(&cli, "skipping Trial '%.*s': %s", (int)t->id.n, t->id.p, why);
}

/* What the jq expression gives for a Trial. */
static int take_value(void *ctx, struct span line, double v, const char *why, struct err *err)
{
	struct state *s = ctx;
	struct trial t;
	if (why) {
		if (trial_parse(&t, line, err) != 0)
			return -1;
		skip(&t, why);
		return 0;
	}
	if (s->best.any && v <= s->greatest)
		return 0;
	s->greatest = v;
	s->best.any = true;
	buf_clear(&s->best.line);
	buf_addspan(&s->best.line, line);
	return buf_ok(&s->best.line, err);
}

static int take_trial(void *ctx, const struct trial *t, struct err *err)
{
	struct state *s = ctx;
	struct err why;
	if (trial_check_metrics(t, &why) != 0) {
		skip(t, why.msg);
		return 0;
	}
	if (!admitted(s, t))
		return 0;
	if (s->filter)
		return json_filter_add(s->filter, t->line, err);
	if (s->by_goal)
		return tune_history_add(&s->history, t, err);
	return s->front ? frontier_consider(&s->frontier, t, err) : best_consider(&s->best, t, err);
}

/* Go by the goal, if there is one; what it does not say is as usual, but that it is chosen anywhere. */
static int take_goal(struct state *s, struct err *err)
{
	struct tune_goal usual = TUNE_GOAL_DEFAULT;
	const struct tune_range any = {1, UINT32_MAX};
	s->by_goal = s->history.keep_lines = tune_goal_said(&o.goal);
	if (!s->by_goal && (o.explain || o.champion))
		return err_set(err, ERR_USAGE, "--%s is for a choice by a goal",
			       o.explain ? "explain" : "champion");
	if (!s->by_goal)
		return 0;
	usual.space = (struct tune_space){any, any, any, tune_space_widest.storages};
	tune_goal_fill(&o.goal, &usual);
	return tune_goal_check(&o.goal, err);
}

static int prepare(struct state *s, struct err *err)
{
	enum best_rule rule = BEST_PARETO;
	if (o.space && tune_space_parse(span_of(o.space), &o.goal.space, err) != 0)
		return -1;
	if ((o.by != NULL) + (o.jq != NULL) + tune_goal_said(&o.goal) > 1)
		cli_usage(&cli, "only one of --by, --jq and a goal can be meant");
	s->front = o.by && strcmp(o.by, "frontier") == 0;
	if (o.by && !s->front && best_rule_parse(span_of(o.by), &rule) != 0)
		cli_usage(&cli, "unknown rule '%s', expected one of %s", o.by, best_rule_names);
	best_init(&s->best, rule);
	if (o.jq && !(s->filter = json_filter_new(o.jq, take_value, s, err)))
		return -1;
	return o.exclude && config_list_read(&s->excluded, o.exclude, err) != 0     ? -1
	       : o.champion && config_list_read(&s->champion, o.champion, err) != 0 ? -1
										   : 0;
}

static int read_trials(struct state *s, const char *name, struct err *err)
{
	struct catalog c = {.warn = cli_warn_to(&cli)};
	if (strcmp(name, "-") == 0)
		return take_goal(s, err) != 0
			   ? -1
			   : trial_stream_read(0, "stdin", s->by_goal, take_trial, s, &c.warn, err);
	if (catalog_check_name("index", name, err) != 0 ||
	    catalog_open(&c, cli_store(o.store), true, err) != 0)
		return -1;
	struct catalog_index x;
	int ret = catalog_index_open(&c, name, &x, err);
	if (ret == 0 && !o.by && !o.jq && catalog_index_goal(&x.meta, &o.goal, err) < 0)
		ret = -1;
	if (ret == 0)
		ret = take_goal(s, err);
	if (ret == 0)
		ret = trial_log_read(x.bucket, name, s->by_goal, take_trial, s, &c.warn, err);
	catalog_index_release(&x);
	catalog_close(&c);
	return ret;
}

/*
 * By the goal: the Trial becomes the best, or the choice is explained; ERR_NO and why if there is none.
 * Without --champion nobody said that nothing is promoted, so it is to be proven.
 */
static int choose(struct state *s, struct err *err)
{
	struct tune_choice choice;
	const struct config *champion = s->champion.n ? &s->champion.v[0] : NULL;
	tune_history_end(&s->history);
	if (s->history.others)
		cli_note(&cli, "%llu Trials of other vectors or another eval set do not count",
			 (unsigned long long)s->history.others);
	for (size_t i = 0; i < s->excluded.n; i++)
		tune_history_forget(&s->history, &s->excluded.v[i]);
	int ret = tune_challenger(&s->history, &o.goal, champion, champion || !o.champion, &choice, err);
	if (ret != 0 && err->code != ERR_NO)
		return -1;
	if (o.explain) {
		struct err why;
		return tune_explain(&s->history, &o.goal, &choice, &cli_out.b, &why) != 0
			   ? (*err = why, -1)
			   : ret;
	}
	if (ret != 0)
		return -1;
	s->best.any = true;
	buf_addspan(&s->best.line, buf_span(&choice.best[0].timing->line));
	return buf_ok(&s->best.line, err);
}

/* Print the answer; false if there is none. */
static bool print_answer(struct state *s)
{
	/* The fastest first. */
	for (size_t i = s->frontier.count; i-- > 0;) {
		buf_add(&cli_out.b, s->frontier.point[i].line, s->frontier.point[i].len);
		buf_addc(&cli_out.b, '\n');
	}
	if (s->best.any) {
		buf_addspan(&cli_out.b, buf_span(&s->best.line));
		buf_addc(&cli_out.b, '\n');
	}
	return s->best.any || s->frontier.count || o.explain;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct state s = {0};
	cli_parse(&cli, argc, argv, 1, 1);
	int ret = prepare(&s, &err);
	if (ret == 0)
		ret = read_trials(&s, cli.operand[0], &err);
	if (ret == 0 && s.filter)
		ret = json_filter_finish(s.filter, &err);
	if (ret == 0)
		ret = s.by_goal ? choose(&s, &err) : best_end(&s.best, &err);
	int status = ret != 0 ? cli_error(&cli, &err) : print_answer(&s) ? 0 : ERR_NO;
	best_release(&s.best);
	frontier_release(&s.frontier);
	tune_history_release(&s.history);
	json_filter_free(s.filter);
	config_list_release(&s.excluded);
	config_list_release(&s.champion);
	return cli_finish(&cli, status);
}
