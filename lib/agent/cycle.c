/* SPDX-License-Identifier: MIT */
/* One trial, and what becomes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cycle_internal.h"
#include "base/clock.h"
#include "tune/decide.h"

#define ATTEMPTS 3 /* while somebody else promotes */

bool cycle_may_pass(const struct err *why)
{
	return why->code == ERR_CONFLICT || why->code == ERR_TEMP || why->code == ERR_ENV;
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
	    cycle_choose_eval_set(c, err) != 0 ||
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

/* What promote is told: the note, who is expected to be promoted before, and the Trial's id. */
struct promotion_words {
	struct buf note, expect, id;
};

static void words_release(struct promotion_words *p)
{
	buf_release(&p->note);
	buf_release(&p->expect);
	buf_release(&p->id);
}

/* ${was}: the champion's figures. */
static int words_init(struct promotion_words *p, const struct cycle *c, const struct trial *t,
		      const struct metrics *was, struct err *err)
{
	*p = (struct promotion_words){BUF_INIT, BUF_INIT, BUF_INIT};
	buf_addf(&p->note, "auto-promote: recall=%.3f p50=%.0fus (was %.3f/%.0fus)",
		 t->metrics.recall_at_k, t->metrics.search_latency_p50_us, was->recall_at_k,
		 was->search_latency_p50_us);
	buf_adds(&p->expect, "");
	scan_decode(current_id(&c->past), &p->expect);
	scan_decode(t->id, &p->id);
	return buf_ok(&p->note, err) != 0 || buf_ok(&p->expect, err) != 0 ? -1
									  : buf_ok(&p->id, err);
}

/* The floor; by a goal its target is that. */
static void add_floor(struct cycle *c, struct cycle_command *w, char text[static 32])
{
	const struct agent_settings *s = &c->agent->settings;
	snprintf(text, 32, "%.9g", s->min_recall);
	if (!c->by_goal) {
		cycle_add(w, "--min-recall");
		cycle_add(w, text);
	}
	cycle_add_goal(c, w);
	if (s->trust_stored)
		cycle_add(w, "--trust-stored");
	else if (s->prove)
		cycle_add(w, "--prove");
}

/* Run promote, with --dry-run if nothing is to be changed.  ERR_NO: a gate was not met. */
static int run_promote(struct cycle *c, const struct promotion_words *p, bool dry_run,
		       struct span verdict, struct err *err)
{
	struct buf out = BUF_INIT;
	char floor[32];
	struct cycle_command w = cycle_command(c, "promote");
	cycle_add(&w, "--unattended");
	cycle_add(&w, "--by");
	cycle_add(&w, "agent");
	cycle_add(&w, "--note");
	cycle_add(&w, p->note.data);
	add_floor(c, &w, floor);
	cycle_add(&w, "--expect");
	cycle_add(&w, p->expect.data);
	if (dry_run)
		cycle_add(&w, "--dry-run");
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

/* Whether the gates are open that no comparison is needed for. */
static int check_gates(struct cycle *c, const struct trial *t, struct err *err)
{
	struct promotion_words p;
	const struct metrics none = {0};
	int ret = words_init(&p, c, t, &none, err);
	if (ret == 0)
		ret = run_promote(c, &p, true, span_of(""), err);
	words_release(&p);
	return ret;
}

/* Promote it; in place of a champion, unless figures are trusted, if it wins a duel. */
static int promote(struct cycle *c, const struct trial *t, const struct trial *champion,
		   struct err *err)
{
	struct promotion_words p;
	struct buf verdict = BUF_INIT;
	const struct metrics none = {0};
	int ret = words_init(&p, c, t, champion ? &champion->metrics : &none, err);
	if (ret == 0 && champion && !c->agent->settings.trust_stored) {
		ret = cycle_choose_eval_set(c, err);
		if (ret == 0)
			ret = cycle_duel(c, t, &c->past.champion, &verdict, err);
	}
	if (ret == 0)
		ret = run_promote(c, &p, false, buf_span(&verdict), err);
	buf_release(&verdict);
	words_release(&p);
	return ret;
}

/* By the original's rule: the Trial of this cycle, if it beats the champion by its figures. */
static int decide_by_rule(struct cycle *c, const struct trial *t, struct err *err)
{
	struct trial champion;
	struct buf line = BUF_INIT;
	int has = -1, ret = -1;
	if (check_gates(c, t, err) == 0)
		has = champion_figures(c, t, &champion, &line, err);
	if (has > 0 && !trial_beats(&t->metrics, &champion.metrics))
		err_set(err, ERR_NO, "it does not beat the champion: recall=%.4f p50=%.0fus",
			champion.metrics.recall_at_k, champion.metrics.search_latency_p50_us);
	else if (has >= 0)
		ret = promote(c, t, has ? &champion : NULL, err);
	buf_release(&line);
	return ret;
}

/* By the goal: the cheapest of all that meets it, whose Trial is in ${winner} then. */
static int decide_by_goal(struct cycle *c, const struct trial *t, struct buf *winner,
			  struct err *err)
{
	struct past *p = &c->past;
	const struct config *now = p->has_champion ? &p->champion : NULL;
	struct tune_choice choice;
	struct trial chosen, champion;
	for (size_t i = 0; i < p->promotion.n_rolled_back; i++) {
		const struct config *config = &p->promotion.rolled_back[i]->config;
		if (promotion_rolled_back(&p->promotion, config, t->vectors_digest))
			tune_history_forget(&p->history, config);
	}
	if (tune_challenger(&p->history, &c->goal, now, now != NULL, &choice, err) != 0)
		return -1;
	if (now && config_same(now, &choice.best[0].config))
		return err_set(err, ERR_NO, "nothing that meets the goal is cheaper than the champion "
					    "by more than 3 %%");
	if (trial_parse(&chosen, buf_span(&choice.best[0].timing->line), err) != 0 ||
	    (p->has_champion &&
	     trial_parse(&champion, buf_span(&p->line[p->promoted]), err) != 0) ||
	    check_gates(c, &chosen, err) != 0)
		return -1;
	buf_clear(winner);
	buf_addspan(winner, chosen.line);
	return buf_ok(winner, err) != 0
		   ? -1
		   : promote(c, &chosen, p->has_champion ? &champion : NULL, err);
}

/*
 * Promote what may be, and beats the champion.  1: promoted, ${winner} has the Trial if it is perhaps
 * another; 0: not, ${err} says why; -1: ERR_CONFLICT, again.
 */
static int decide(struct cycle *c, const struct trial *t, struct buf *winner, struct err *err)
{
	if (span_same(current_id(&c->past), t->id))
		return 1; /* before an interruption */
	int ret = c->by_goal ? decide_by_goal(c, t, winner, err) : decide_by_rule(c, t, err);
	return ret == 0 ? 1 : err->code == ERR_NO ? 0 : -1;
}

/* What the log tells of a Trial. */
#define DETAIL_MAX (CYCLE_CONFIG_MAX + 64)
static void detail_text(const struct cycle *c, const struct trial *t, char out[static DETAIL_MAX])
{
	char config[CYCLE_CONFIG_MAX];
	cycle_config_text(c, &t->config, config);
	snprintf(out, DETAIL_MAX, "config=%s recall=%.3f p50=%.0fus", config,
		 t->metrics.recall_at_k, t->metrics.search_latency_p50_us);
}

/* ${promoted}: what decide() returned; ${why} is its error then. */
static int log_outcome(struct cycle *c, const struct trial *t, int promoted,
		       const struct buf *winner, const struct err *why, struct err *err)
{
	struct agent_event *e = c->event;
	struct trial w;
	struct err ignored;
	char detail[2][DETAIL_MAX];
	detail_text(c, t, detail[0]);
	struct agent_entry entry[2] = {{.kind = AGENT_TRIAL_COMPLETED,
					.index_name = e->index_name,
					.detail = detail[0],
					.event = e->name,
					.trial_id = t->id}};
	entry[1] = entry[0];
	entry[1].kind = promoted < 0 ? AGENT_TRIAL_ERROR : AGENT_PROMOTED;
	if (promoted < 0)
		entry[1].detail = why->msg;
	if (promoted == 0)
		entry[0].not_promoted = why->msg;
	if (promoted > 0 && winner->len && trial_parse(&w, buf_span(winner), &ignored) == 0) {
		detail_text(c, &w, detail[1]);
		entry[1].detail = detail[1];
		entry[1].trial_id = w.id;
	}
	return agent_log(c->agent, entry, promoted ? 2 : 1, err);
}

/* Append, decide, log.  A decision that failed for a reason that may pass is made later. */
static int finish(struct cycle *c, struct err *err)
{
	struct agent_event *e = c->event;
	struct trial t;
	struct err why;
	struct buf winner = BUF_INIT;
	int promoted = -1, ret = -1;
	if (trial_parse(&t, buf_span(&e->trial), err) != 0 || cycle_append(c, &e->trial, err) != 0)
		return -1;
	why.code = ERR_CONFLICT;
	for (int i = 0; i < ATTEMPTS && promoted < 0 && why.code == ERR_CONFLICT; i++)
		if ((i == 0 && !c->by_goal) ||
		    past_read(c, t.vectors_digest, t.eval_digest, &why) == 0)
			promoted = decide(c, &t, &winner, &why);
	if (promoted < 0 && cycle_may_pass(&why))
		*err = why;
	else
		ret = log_outcome(c, &t, promoted, &winner, &why, err);
	buf_release(&winner);
	return ret;
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

/* The goal, if there is one: the index's own, else that of the settings; and the strategy. */
static int take_goal(struct cycle *c, struct err *err)
{
	const struct tune_goal unsaid = TUNE_GOAL_UNSAID;
	const struct agent_settings *s = &c->agent->settings;
	bool model = strcmp(s->strategy, "model") == 0;
	c->goal = unsaid;
	if (catalog_index_goal(&c->index.meta, &c->goal, err) < 0)
		return -1;
	tune_goal_fill(&c->goal, &s->goal);
	c->by_goal = tune_goal_said(&c->goal) || model;
	c->strategy = s->strategy[0] ? s->strategy : c->by_goal ? "model" : "egreedy";
	tune_goal_complete(&c->goal);
	return tune_goal_check(&c->goal, err);
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
		       cache_path(c, ".champion.hnsw", &c->champion_path, err) != 0 ||
		       cache_path(c, ".json", &c->record_path, err) != 0 ||
		       cache_path(c, ".champion.json", &c->champion_record_path, err) != 0
		   ? -1
		   : take_goal(c, err);
}

int agent_cycle(struct agent *a, struct agent_event *e, struct err *err)
{
	struct cycle c = {.agent = a, .event = e};
	int ret = cycle_init(&c, err);
	if (ret == 0)
		ret = past_read(&c, (struct span){0}, (struct span){0}, err);
	if (ret == 0 && e->trial.len == 0)
		ret = cycle_try(&c, err);
	if (ret == 0)
		ret = finish(&c, err);
	cycle_clean(&c);
	past_release(&c.past);
	free(c.eval_set);
	catalog_index_release(&c.index);
	buf_release(&c.vectors_path);
	buf_release(&c.index_path);
	buf_release(&c.champion_path);
	buf_release(&c.record_path);
	buf_release(&c.champion_record_path);
	buf_release(&c.note);
	return ret;
}
