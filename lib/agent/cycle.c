/* SPDX-License-Identifier: MIT */
/* One trial: what is tried, and what becomes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cycle_internal.h"
#include "base/clock.h"
#include "base/mem.h"

#define ATTEMPTS 3 /* while somebody else promotes */

bool cycle_may_pass(const struct err *why)
{
	return why->code == ERR_CONFLICT || why->code == ERR_TEMP || why->code == ERR_ENV;
}

/* ---- what was ---- */

static int keep_line(struct past *p, const struct trial *t, struct err *err)
{
	struct buf *grown = mem_resize(p->line, p->lines + 1, sizeof *grown, err);
	if (!grown)
		return -1;
	p->line = grown;
	grown[p->lines] = (struct buf)BUF_INIT;
	buf_addspan(&grown[p->lines], t->line);
	return buf_ok(&grown[p->lines++], err);
}

static int take_trial(void *ctx, const struct trial *t, struct err *err)
{
	struct past *p = ctx;
	const struct promotion_entry *current = p->promotion.current;
	if (t->config.rung)
		return 0;
	propose_add_trial(&p->proposals, &t->config);
	free(p->eval_set);
	struct buf name = BUF_INIT;
	buf_adds(&name, "");
	scan_decode(t->eval_set, &name);
	if (buf_ok(&name, err) != 0)
		return -1;
	p->eval_set = name.data;
	if (!current)
		return 0;
	if (span_same(t->id, current->trial_id)) {
		p->has_champion = true;
		p->champion = t->config;
		p->promoted = p->lines;
	} else if (!config_same(&t->config, &current->config)) {
		return 0;
	}
	return keep_line(p, t, err);
}

static void past_release(struct past *p)
{
	for (size_t i = 0; i < p->lines; i++)
		buf_release(&p->line[i]);
	free(p->line);
	free(p->eval_set);
	promotion_release(&p->promotion);
	*p = (struct past){0};
}

static int read_past(struct cycle *c, struct err *err)
{
	struct catalog *catalog = c->agent->catalog;
	struct past *p = &c->past;
	const char *index = c->event->index_name;
	past_release(p);
	if (catalog_promotion_get(&c->index, &p->promotion, NULL, err) < 0 ||
	    trial_log_read(c->index.bucket, index, true, take_trial, p, &catalog->warn, err) != 0)
		return -1;
	p->proposals.has_champion = p->has_champion;
	p->proposals.champion = p->champion;
	return 0;
}

/* The index's own eval set, else that of its latest Trial. */
static int choose_eval_set(struct cycle *c, struct err *err)
{
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

/* ---- the trial ---- */

static int mark_started(struct cycle *c, const struct config *config, struct err *err)
{
	char now[CLOCK_TEXT_MAX], detail[64];
	struct agent_event *e = c->event;
	struct agent_entry entry = {.kind = AGENT_TRIAL_STARTED,
				    .index_name = e->index_name,
				    .detail = detail,
				    .event = e->name};
	snprintf(detail, sizeof detail, "config=ec%u/es%u", config->ef_construction,
		 config->ef_search);
	if (agent_log(c->agent, &entry, 1, err) != 0)
		return -1;
	if (clock_now_text(now, err) != 0)
		return -1;
	free(e->started_at);
	e->started_at = span_dup(span_of(now));
	return e->started_at ? agent_queue_put(c->agent->primary, e, err) : err_nomem(err);
}

/* Propose and measure; the event has the Trial then. */
static int do_trial(struct cycle *c, struct err *err)
{
	struct config config;
	const char *index = c->event->index_name;
	if (c->past.proposals.trials == 0)
		return err_set(err, ERR_NO,
			       "no trials yet for '%s': seed with at least one trial first", index);
	if (!propose_egreedy(&c->past.proposals, &config))
		return err_set(err, ERR_NO, "search space exhausted");
	if (config_check_bounds(&config, err) != 0 || choose_eval_set(c, err) != 0 ||
	    mark_started(c, &config, err) != 0 ||
	    cycle_measure(c, &config, &c->event->trial, err) != 0)
		return -1;
	return agent_queue_put(c->agent->primary, c->event, err);
}

/* ---- the champion ---- */

/*
 * The champion's figures on the data of ${t}: from the journal, or measured now.  1: ${line} has
 * them; 0: there is no champion; -1.
 */
static int champion_figures(struct cycle *c, const struct trial *t, struct trial *champion,
			    struct buf *line, struct err *err)
{
	struct past *p = &c->past;
	if (!p->has_champion)
		return 0;
	/* The one promoted is the first choice, then the latest. */
	for (size_t i = p->lines + 1; i-- > 0;)
		if (trial_parse(champion, buf_span(&p->line[i < p->lines ? i : p->promoted]),
				err) == 0 &&
		    trial_comparable(champion, t))
			return 1;
	if (config_check_bounds(&p->champion, err) != 0 ||
	    (!c->eval_set && choose_eval_set(c, err) != 0) ||
	    cycle_measure(c, &p->champion, line, err) != 0 || cycle_append(c, line, err) != 0 ||
	    trial_parse(champion, buf_span(line), err) != 0)
		return err_prefix(err, "cannot measure the champion again");
	if (!trial_comparable(champion, t))
		return err_set(err, ERR_NO,
			       "the data changed while the champion was measured again");
	return 1;
}

/* What is promoted now; "" if nothing is. */
static struct span current_id(const struct past *p)
{
	return p->promotion.current ? p->promotion.current->trial_id : span_of("");
}

/* The note of the promotion, who is expected to be promoted before, and the Trial's id. */
struct promotion_words {
	struct buf note, expect, id;
};

static int promotion_words(struct promotion_words *p, const struct cycle *c, const struct trial *t,
			   const struct metrics *was, struct err *err)
{
	buf_addf(&p->note, "auto-promote: recall=%.3f p50=%.0fus (was %.3f/%.0fus)",
		 t->metrics.recall_at_k, t->metrics.search_latency_p50_us, was->recall_at_k,
		 was->search_latency_p50_us);
	buf_adds(&p->expect, "");
	scan_decode(current_id(&c->past), &p->expect);
	scan_decode(t->id, &p->id);
	return buf_ok(&p->note, err) != 0 || buf_ok(&p->expect, err) != 0 ? -1
									  : buf_ok(&p->id, err);
}

/* Run promote, with the option ${how}, or NULL.  ERR_NO: a gate was not met. */
static int run_promote(struct cycle *c, const struct promotion_words *p, const char *how,
		       struct span verdict, struct err *err)
{
	struct buf out = BUF_INIT;
	char floor[32];
	struct cycle_command w = cycle_command(c, "promote");
	snprintf(floor, sizeof floor, "%.9g", c->agent->settings.min_recall);
	cycle_add(&w, "--unattended");
	cycle_add(&w, "--by");
	cycle_add(&w, "agent");
	cycle_add(&w, "--note");
	cycle_add(&w, p->note.data);
	cycle_add(&w, "--min-recall");
	cycle_add(&w, floor);
	if (c->agent->settings.prove && !c->agent->settings.trust_stored)
		cycle_add(&w, "--prove");
	cycle_add(&w, "--expect");
	cycle_add(&w, p->expect.data);
	if (how)
		cycle_add(&w, how);
	if (verdict.n) {
		cycle_add(&w, "--confirm");
		cycle_add(&w, "-");
	}
	cycle_add(&w, "--");
	cycle_add(&w, c->event->index_name);
	cycle_add(&w, p->id.data);
	int ret = cycle_run(c, &w, verdict, &out, err);
	buf_release(&out);
	return ret;
}

/* A duel, unless the other gates are closed anyway, and the promotion if it was won. */
static int duel_and_promote(struct cycle *c, const struct trial *t, const struct promotion_words *p,
			    struct err *err)
{
	struct buf verdict = BUF_INIT;
	int ret = run_promote(c, p, "--dry-run", span_of(""), err);
	if (ret == 0 && !c->eval_set)
		ret = choose_eval_set(c, err);
	if (ret == 0)
		ret = cycle_duel(c, t, &c->past.champion, &verdict, err);
	if (ret == 0)
		ret = run_promote(c, p, NULL, buf_span(&verdict), err);
	buf_release(&verdict);
	return ret;
}

/* ${champion}: NULL if there is none.  1: promoted; 0: not, ${err} says why; -1. */
static int promote(struct cycle *c, const struct trial *t, const struct trial *champion,
		   struct err *err)
{
	struct promotion_words p = {BUF_INIT, BUF_INIT, BUF_INIT};
	bool trust = c->agent->settings.trust_stored;
	const struct metrics none = {0};
	int ret = promotion_words(&p, c, t, champion ? &champion->metrics : &none, err);
	if (ret == 0 && champion && !trust)
		ret = duel_and_promote(c, t, &p, err);
	else if (ret == 0)
		ret = run_promote(c, &p, trust ? "--trust-stored" : NULL, span_of(""), err);
	buf_release(&p.note);
	buf_release(&p.expect);
	buf_release(&p.id);
	return ret == 0 ? 1 : err->code == ERR_NO ? 0 : -1;
}

/*
 * Promote it if it may be, and beats the champion.  1: promoted; 0: not, ${err} says why; -1:
 * ERR_CONFLICT, again.
 */
static int decide(struct cycle *c, const struct trial *t, struct err *err)
{
	struct trial champion;
	struct buf line = BUF_INIT;
	int ret = 0;
	if (span_same(current_id(&c->past), t->id))
		return 1; /* before an interruption */
	if ((float)t->metrics.recall_at_k < (float)c->agent->settings.min_recall) {
		err_set(err, ERR_NO, "recall=%.4f is below the floor of %g", t->metrics.recall_at_k,
			c->agent->settings.min_recall);
		return 0;
	}
	int has = champion_figures(c, t, &champion, &line, err);
	if (has < 0)
		ret = -1;
	else if (!has || trial_beats(&t->metrics, &champion.metrics))
		ret = promote(c, t, has ? &champion : NULL, err);
	else
		err_set(err, ERR_NO, "it does not beat the champion: recall=%.4f p50=%.0fus",
			champion.metrics.recall_at_k, champion.metrics.search_latency_p50_us);
	buf_release(&line);
	return ret;
}

/* Append, decide, log.  A decision that failed for a reason that may pass is made later. */
static int finish(struct cycle *c, struct err *err)
{
	struct agent_event *e = c->event;
	struct trial t;
	struct err why;
	char detail[128];
	int promoted = -1;
	if (trial_parse(&t, buf_span(&e->trial), err) != 0 || cycle_append(c, &e->trial, err) != 0)
		return -1;
	why.code = ERR_CONFLICT;
	for (int i = 0; i < ATTEMPTS && promoted < 0 && why.code == ERR_CONFLICT; i++)
		if (i == 0 || read_past(c, &why) == 0)
			promoted = decide(c, &t, &why);
	if (promoted < 0 && cycle_may_pass(&why)) {
		*err = why;
		return -1;
	}
	snprintf(detail, sizeof detail, "config=ec%u/es%u recall=%.3f p50=%.0fus",
		 t.config.ef_construction, t.config.ef_search, t.metrics.recall_at_k,
		 t.metrics.search_latency_p50_us);
	struct agent_entry entry[2] = {{.kind = AGENT_TRIAL_COMPLETED,
					.index_name = e->index_name,
					.detail = detail,
					.event = e->name,
					.trial_id = t.id}};
	entry[1] = entry[0];
	entry[1].kind = promoted < 0 ? AGENT_TRIAL_ERROR : AGENT_PROMOTED;
	if (promoted < 0)
		entry[1].detail = why.msg;
	if (promoted == 0)
		entry[0].not_promoted = why.msg;
	return agent_log(c->agent, entry, promoted ? 2 : 1, err);
}

/* A file for this index in the cache. */
static int cache_path(struct cycle *c, const char *suffix, struct buf *path, struct err *err)
{
	struct buf key = BUF_INIT;
	buf_addf(&key, "_hnsw_agent/%s%s", c->event->index_name, suffix);
	int ret = buf_ok(&key, err);
	if (ret == 0)
		ret = store_cache_path(c->index.bucket, key.data, path, err);
	buf_release(&key);
	return ret;
}

static int cycle_init(struct cycle *c, struct err *err)
{
	c->agent->work_ns = 0;
	int ret = catalog_index_open(c->agent->catalog, c->event->index_name, &c->index, err);
	buf_adds(&c->note, "agent: ");
	agent_reason_text(&c->note, c->event);
	return ret != 0 || buf_ok(&c->note, err) != 0 ||
		       cache_path(c, ".hvec", &c->vectors_path, err) != 0 ||
		       cache_path(c, ".hnsw", &c->index_path, err) != 0 ||
		       cache_path(c, ".champion.hnsw", &c->champion_path, err) != 0
		   ? -1
		   : 0;
}

int agent_cycle(struct agent *a, struct agent_event *e, struct err *err)
{
	struct cycle c = {.agent = a, .event = e};
	int ret = cycle_init(&c, err);
	if (ret == 0)
		ret = read_past(&c, err);
	if (ret == 0 && e->trial.len == 0)
		ret = do_trial(&c, err);
	if (ret == 0)
		ret = finish(&c, err);
	cycle_clean(&c);
	past_release(&c.past);
	free(c.eval_set);
	catalog_index_release(&c.index);
	buf_release(&c.vectors_path);
	buf_release(&c.index_path);
	buf_release(&c.champion_path);
	buf_release(&c.note);
	return ret;
}
