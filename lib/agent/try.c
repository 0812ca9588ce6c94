/* SPDX-License-Identifier: MIT */
/* What is tried next, by which strategy, and the trial itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cycle_internal.h"
#include "base/clock.h"

#define RUNGS_MAX 16 /* of one cycle */

/* ---- the eval set ---- */

int cycle_choose_eval_set(struct cycle *c, struct err *err)
{
	if (c->eval_set)
		return 0;
	const char *index = c->event->index_name, *own = c->index.meta.eval_set;
	const char *name = own && own[0] ? own : c->past.eval_set;
	if (!name || !name[0])
		return err_set(err, ERR_NO, "index '%s' has no eval set", index);
	const char *fault = name_fault(span_of(name));
	if (fault)
		return err_set(err, ERR_DATA,
			       "the latest Trial of '%s' has the eval_set '%.100s', expected the "
			       "name of an eval set, but it %s",
			       index, name, fault);
	c->eval_set = span_dup(span_of(name));
	return c->eval_set ? 0 : err_nomem(err);
}

/* ---- what to try ---- */

void cycle_config_text(const struct cycle *c, const struct config *config,
		       char out[static CYCLE_CONFIG_MAX])
{
	size_t n = 0;
	if (c->by_goal)
		n = (size_t)snprintf(out, CYCLE_CONFIG_MAX, "m%u/", config->m);
	snprintf(out + n, CYCLE_CONFIG_MAX - n, "ec%u/es%u", config->ef_construction,
		 config->ef_search);
}

/* A command of the user's, which propose runs. */
static int ask_command(struct cycle *c, struct tune_proposal *out, struct err *err)
{
	struct buf line = BUF_INIT;
	struct cycle_command w = cycle_command(c, "propose");
	cycle_add(&w, "--strategy");
	cycle_add(&w, c->strategy);
	cycle_add_goal(c, &w);
	cycle_add(&w, "--");
	cycle_add(&w, c->event->index_name);
	int ret = cycle_run(c, &w, span_of(""), &line, err);
	struct span text = buf_span(&line);
	while (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	if (ret == 0)
		ret = config_parse(text, &out->config, err);
	buf_release(&line);
	return ret;
}

/* The champion, if it is not known what it is worth on these vectors: they have grown. */
static bool champion_first(struct cycle *c, struct tune_proposal *out)
{
	if (!c->by_goal || !c->past.has_champion ||
	    tune_history_find(&c->past.history, &c->past.champion))
		return false;
	out->config = c->past.champion;
	return true;
}

/* ERR_NO: there is nothing worth trying. */
static int propose(struct cycle *c, struct tune_proposal *out, struct err *err)
{
	*out = (struct tune_proposal){0};
	if (champion_first(c, out))
		return tune_space_check(&tune_space_widest, &out->config, err);
	if (strchr(c->strategy, '/'))
		return ask_command(c, out, err);
	const struct tune_strategy *s = tune_strategy_find(c->strategy, err);
	if (!s)
		return -1;
	if (strcmp(s->name, "egreedy") == 0 && c->past.history.pairs.trials == 0)
		return err_set(err, ERR_NO,
			       "no trials yet for '%s': seed with at least one trial first",
			       c->event->index_name);
	return s->next(&c->past.history, &c->goal, out, err);
}

/* ---- the trial ---- */

static int mark_started(struct cycle *c, const struct config *config, struct err *err)
{
	char now[CLOCK_TEXT_MAX], text[CYCLE_CONFIG_MAX], detail[CYCLE_CONFIG_MAX + 8];
	struct agent_event *e = c->event;
	struct agent_entry entry = {.kind = AGENT_TRIAL_STARTED,
				    .index_name = e->index_name,
				    .detail = detail,
				    .event = e->name};
	cycle_config_text(c, config, text);
	snprintf(detail, sizeof detail, "config=%s", text);
	if (agent_log(c->agent, &entry, 1, err) != 0)
		return -1;
	if (clock_now_text(now, err) != 0)
		return -1;
	free(e->started_at);
	e->started_at = span_dup(span_of(now));
	return e->started_at ? agent_queue_put(c->agent->primary, e, err) : err_nomem(err);
}

/* Look at what is to be tried, with what is known of the vectors as they are now. */
static int look(struct cycle *c, struct tune_proposal *p, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];
	uint64_t rows;
	if (c->by_goal) {
		if (cycle_survey(c, &rows, digest, err) != 0 ||
		    past_read(c, span_of(digest), (struct span){0}, err) != 0)
			return -1;
		c->past.history.rows = rows;
	}
	return propose(c, p, err);
}

/* A rung is a Trial on the way to that of this cycle. */
static int try_rung(struct cycle *c, const struct config *config, struct err *err)
{
	struct buf line = BUF_INIT;
	int ret = cycle_measure(c, config, &line, err);
	if (ret == 0)
		ret = cycle_append(c, &line, err);
	buf_release(&line);
	return ret;
}

int cycle_try(struct cycle *c, struct err *err)
{
	struct tune_proposal p;
	bool started = false;
	for (int rungs = 0;; rungs++) {
		if (look(c, &p, err) != 0 || cycle_choose_eval_set(c, err) != 0 ||
		    (!started && mark_started(c, &p.config, err) != 0))
			return -1;
		started = true;
		if (!p.config.rung)
			break;
		if (rungs == RUNGS_MAX)
			return err_set(err, ERR_NO, "strategy '%s' proposes rungs only", c->strategy);
		if (try_rung(c, &p.config, err) != 0)
			return -1;
	}
	if (cycle_measure(c, &p.config, &c->event->trial, err) != 0)
		return -1;
	return agent_queue_put(c->agent->primary, c->event, err);
}
