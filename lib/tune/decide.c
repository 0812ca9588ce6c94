/* SPDX-License-Identifier: MIT */
/* The choice: the cheapest config that meets a goal, who is as good, and what limits it. */
#include "tune/decide.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stat/mean.h"
#include "tune/law.h"

#define FINAL 1.03    /* within that factor of the cheapest only a duel can tell */
#define HARDLY 0.3    /* of a curve's gap is closed by doubling ef_search: the graph is the limit */

uint32_t tune_reach(const struct tune_goal *g, const struct tune_build *b)
{
	double target = tune_goal_target(g);
	/* Before its first point a curve tells nothing. */
	uint32_t from = b->curve.n && b->curve.point[0].ef > g->space.es.min ? b->curve.point[0].ef
									    : g->space.es.min;
	for (size_t i = 0; i < b->curve.n; i++) {
		const struct curve_point *p = &b->curve.point[i];
		if (p->ef < g->space.es.min)
			continue;
		if (p->ef > g->space.es.max)
			break;
		if (tune_goal_reached(g, &b->curve, p, b->queries) >= target) {
			for (uint32_t ef = from; ef < p->ef; ef++) {
				struct curve_point q = curve_at(&b->curve, ef);
				if (tune_goal_reached(g, &b->curve, &q, b->queries) >= target)
					return ef;
			}
			return p->ef;
		}
		from = p->ef;
	}
	return 0;
}

/* What a Trial without a curve says, in the form of a curve's point. */
static struct curve_point point_of(const struct tune_timing *t, struct curve *like)
{
	*like = (struct curve){.confidence = 1 - STAT_RECALL_ALPHA, .target = t->target};
	return (struct curve_point){t->ef, t->recall, t->lower, t->at_target, t->distances};
}

static const struct tune_timing *timing_at(const struct tune_build *b, uint32_t ef)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->timing[i].ef == ef)
			return &b->timing[i];
	return NULL;
}

static double cost_of(const struct tune_goal *g, const struct tune_candidate *c)
{
	switch (g->minimise) {
	case TUNE_DISTANCES:
		return c->distances;
	case TUNE_BUILD:
		return c->build->build_secs;
	case TUNE_MEMORY:
		return c->build->memory_bytes;
	default:
		return c->us;
	}
}

/* The build at one ef_search, of which ${p} tells. */
static struct tune_candidate candidate(const struct tune_goal *g, const struct tune_law *law,
				       const struct tune_build *b, const struct curve *curve,
				       const struct curve_point *p)
{
	const struct tune_timing *t = timing_at(b, p->ef);
	struct tune_candidate c = {.build = b, .config = b->config, .timing = t};
	c.config.ef_search = p->ef;
	c.recall = g->target_queries > 0 ? p->at_target : p->recall;
	c.lower = tune_goal_reached(g, curve, p, b->queries);
	c.distances = p->distances;
	c.us = tune_law_build_us(law, b, p->ef, p->distances);
	if (isnan(c.us) && t && t->count)
		c.us = exp(t->log_us);
	c.cost = cost_of(g, &c);
	if (c.lower < tune_goal_target(g))
		c.queries_needed =
		    stat_needed(c.recall, c.lower, b->queries, tune_goal_target(g));
	return c;
}

static bool within_limits(const struct tune_goal *g, const struct tune_candidate *c)
{
	return !(g->max_memory > 0 && c->build->memory_bytes > g->max_memory) &&
	       !(g->max_build > 0 && c->build->build_secs > g->max_build) &&
	       !(g->max_latency > 0 && !(c->us <= g->max_latency)) && !isnan(c->cost);
}

static enum tune_verdict judge(const struct tune_goal *g, const struct tune_candidate *c)
{
	double target = tune_goal_target(g);
	if (!within_limits(g, c) || isnan(c->lower))
		return TUNE_IMPOSSIBLE;
	return c->lower >= target ? TUNE_REACHED : c->recall >= target ? TUNE_UNPROVEN
								       : TUNE_IMPOSSIBLE;
}

/* Whether ${a} goes before ${b}, both of verdict ${v}: cheaper; if neither will do, nearer. */
static bool before(enum tune_verdict v, const struct tune_candidate *a,
		   const struct tune_candidate *b)
{
	if (v == TUNE_IMPOSSIBLE)
		return a->recall > b->recall;
	return a->cost < b->cost || (a->cost == b->cost && a->us < b->us);
}

static void consider(struct tune_choice *out, enum tune_verdict v, const struct tune_candidate *c)
{
	if (v > out->verdict)
		return;
	if (v < out->verdict)
		out->n = 0;
	out->verdict = v;
	size_t at = out->n;
	while (at > 0 && before(v, c, &out->best[at - 1]))
		at--;
	if (at == TUNE_FINALISTS)
		return;
	size_t moved = out->n - at - (out->n == TUNE_FINALISTS);
	memmove(out->best + at + 1, out->best + at, moved * sizeof *c);
	out->best[at] = *c;
	out->n = at + moved + 1;
}

/* Whether a build is one of the space's, at some ef_search. */
static bool in_space(const struct tune_goal *g, const struct tune_build *b)
{
	struct config c = b->config;
	struct err ignored;
	c.ef_search = g->space.es.min;
	return !c.rung && tune_space_check(&g->space, &c, &ignored) == 0;
}

/* Every ef_search of a build that may be the answer: the least that reaches, and those timed. */
static void consider_build(const struct tune_goal *g, const struct tune_law *law,
			   const struct tune_build *b, bool timed_only, struct tune_choice *out)
{
	uint32_t reach = tune_reach(g, b);
	for (size_t i = 0; i < b->n; i++) {
		struct curve like;
		struct curve_point p = point_of(&b->timing[i], &like);
		if (p.ef < g->space.es.min || p.ef > g->space.es.max || (!timed_only && p.ef == reach))
			continue;
		struct tune_candidate c = candidate(g, law, b, &like, &p);
		consider(out, judge(g, &c), &c);
	}
	if (timed_only || b->curve.n == 0)
		return;
	struct curve_point p = curve_at(&b->curve, reach ? reach : g->space.es.max);
	struct tune_candidate c = candidate(g, law, b, &b->curve, &p);
	consider(out, judge(g, &c), &c);
}

enum tune_verdict tune_decide_build(const struct tune_goal *g, const struct tune_law *law,
				    const struct tune_build *b, struct tune_candidate *out)
{
	struct tune_choice one = {.verdict = TUNE_NOTHING};
	consider_build(g, law, b, false, &one);
	if (one.n)
		*out = one.best[0];
	return one.verdict;
}

/* ---- words ---- */

static void advise_impossible(const struct tune_goal *g, const struct tune_candidate *c,
			      struct tune_choice *out)
{
	const struct curve *v = &c->build->curve;
	struct curve_point last = {0}, half = {0};
	if (v->n) {
		last = curve_at(v, g->space.es.max);
		half = curve_at(v, g->space.es.max / 2);
	}
	if (c->recall >= tune_goal_target(g))
		snprintf(out->advice, sizeof out->advice,
			 "a limit of the goal is not met: raise it, or aim for less");
	else if (v->n && 1 - last.recall > (1 - HARDLY) * (1 - half.recall))
		snprintf(out->advice, sizeof out->advice,
			 "the graph, not ef_search, is the limit: raise M or ef_construction%s",
			 c->config.ef_construction >= g->space.ec.max ? " beyond the space" : "");
	else
		snprintf(out->advice, sizeof out->advice,
			 "a greater ef_search than %u would come nearer", g->space.es.max);
}

/* The fewest queries that would prove one of those that are met on average; 0: no number would. */
static uint64_t fewest_needed(const struct tune_choice *c)
{
	uint64_t least = 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->best[i].queries_needed && (!least || c->best[i].queries_needed < least))
			least = c->best[i].queries_needed;
	return least;
}

/* ${needed}: queries */
static void word(const struct tune_goal *g, uint64_t needed, struct tune_choice *out)
{
	const struct tune_candidate *c = &out->best[0];
	double target = tune_goal_target(g);
	switch (out->verdict) {
	case TUNE_NOTHING:
		snprintf(out->reason, sizeof out->reason, "there is no Trial to choose from");
		break;
	case TUNE_REACHED:
		snprintf(out->reason, sizeof out->reason,
			 "the cheapest of what was tried: recall %.4f, at least %.4f", c->recall,
			 c->lower);
		break;
	case TUNE_UNPROVEN:
		snprintf(out->reason, sizeof out->reason,
			 "%llu queries prove no more than %.3f of %.3f",
			 (unsigned long long)c->build->queries, c->lower, target);
		if (needed)
			snprintf(out->advice, sizeof out->advice,
				 "%llu queries are needed, or aim for %.2f",
				 (unsigned long long)needed, floor(c->lower * 100) / 100);
		break;
	case TUNE_IMPOSSIBLE:
		snprintf(out->reason, sizeof out->reason,
			 "nothing that was tried meets the goal: the nearest has %.4f of %.4f",
			 c->recall, target);
		advise_impossible(g, c, out);
		break;
	}
}

int tune_decide(const struct tune_history *h, const struct tune_goal *g, bool timed_only,
		struct tune_choice *out, struct err *err)
{
	if (tune_goal_check(g, err) != 0)
		return -1;
	struct tune_law law = tune_law_fit(h);
	*out = (struct tune_choice){.verdict = TUNE_NOTHING};
	for (size_t i = 0; i < h->n; i++)
		if (in_space(g, &h->build[i]))
			consider_build(g, &law, &h->build[i], timed_only, out);
	uint64_t needed = fewest_needed(out);
	size_t n = out->n ? 1 : 0;
	while (out->verdict != TUNE_IMPOSSIBLE && n < out->n &&
	       out->best[n].cost <= FINAL * out->best[0].cost)
		n++;
	out->n = n;
	word(g, needed, out);
	return 0;
}

/* Put the champion before those that are as good. */
static void prefer(struct tune_choice *c, const struct config *champion)
{
	for (size_t i = 1; i < c->n; i++)
		if (config_same(&c->best[i].config, champion)) {
			struct tune_candidate first = c->best[0];
			c->best[0] = c->best[i];
			c->best[i] = first;
		}
}

int tune_challenger(const struct tune_history *h, const struct tune_goal *g,
		    const struct config *champion, bool proven, struct tune_choice *out,
		    struct err *err)
{
	if (tune_decide(h, g, true, out, err) != 0)
		return -1;
	if (champion)
		prefer(out, champion);
	if (out->verdict == TUNE_REACHED || (out->verdict == TUNE_UNPROVEN && !proven))
		return 0;
	/* What is said on lack of recall is for who goes on looking. */
	bool advise = out->n && out->advice[0] && out->best[0].recall >= tune_goal_target(g);
	return err_set(err, ERR_NO, "%s%s%s", out->reason, advise ? ": " : "",
		       advise ? out->advice : "");
}
