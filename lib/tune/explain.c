/* SPDX-License-Identifier: MIT */
/* What was chosen, how sure that is, what it costs, in plain words. */
#include "tune/explain.h"

#include <math.h>
#include <string.h>

#include "record/evalset.h"
#include "tune/law.h"
#include "tune/model_internal.h"

/* All that the words are about. */
struct story {
	const struct tune_history *h;
	const struct tune_goal *g;
	const struct tune_choice *choice;
	struct tune_law law;
	struct buf *out;
};

static void add_us(struct buf *b, double us)
{
	buf_addf(b, us < 100 ? "%.1f us" : "%.0f us", us);
}

static void add_seconds(struct buf *b, double s)
{
	buf_addf(b, s < 10 ? "%.2f s" : "%.0f s", s);
}

static void add_percent(struct buf *b, double share)
{
	/* What is not all is never shown as 100. */
	double v = share >= 1 ? 100 : fmin(100 * share, 99.99);
	buf_addf(b, v > 99.8 && v < 100 ? "%.2f %%" : "%.1f %%", v);
}

static void add_build(struct buf *b, const struct config *c)
{
	buf_addf(b, "M %u, ef_construction %u", c->m, c->ef_construction);
	if (c->storage != HNSW_AUTO)
		buf_addf(b, ", storage %s", hnsw_storage_names[c->storage]);
}

static bool is_chosen(const struct story *s, const struct tune_build *b)
{
	return s->choice->n && s->choice->best[0].build == b;
}

/* What was measured, where it was; the law only compares. */
static double shown_us(const struct tune_candidate *c)
{
	return c->timing && c->timing->count ? exp(c->timing->log_us) : c->us;
}

/* What is said of a build: the chosen ef_search of the one chosen, the best of any other. */
static enum tune_verdict row_of(const struct story *s, const struct tune_build *b,
				struct tune_candidate *c)
{
	enum tune_verdict v = s->choice->verdict;
	if (is_chosen(s, b))
		*c = s->choice->best[0];
	else
		v = tune_decide_build(s->g, &s->law, b, c);
	if (v != TUNE_NOTHING)
		c->us = shown_us(c);
	return v;
}

static void add_row(const struct story *s, const struct tune_build *b)
{
	struct tune_candidate c;
	enum tune_verdict v = row_of(s, b, &c);
	if (v == TUNE_NOTHING)
		return;
	buf_addf(s->out, "%3u %15u %9u %7.4f %8.4f", c.config.m, c.config.ef_construction,
		 c.config.ef_search, c.recall, c.lower);
	buf_addf(s->out, isnan(c.us) ? "       -" : "%8.1f", c.us);
	buf_addf(s->out, "%9.2f %7.1f  %s\n", b->build_secs, b->memory_bytes / 1048576,
		 b->config.rung	      ? "part"
		 : is_chosen(s, b)    ? "chosen"
		 : v == TUNE_REACHED  ? "yes"
		 : v == TUNE_UNPROVEN ? "unproven"
				      : "no");
}

static void add_table(const struct story *s)
{
	buf_addf(s->out, "%3s %15s %9s %7s %8s %7s %8s %7s  %s\n", "M", "ef_construction",
		 "ef_search", "recall", "at least", "us", "build s", "MiB", "goal");
	for (int rungs = 1; rungs >= 0; rungs--)
		for (size_t i = 0; i < s->h->n; i++)
			if ((s->h->build[i].config.rung != 0) == rungs && !is_chosen(s, &s->h->build[i]))
				add_row(s, &s->h->build[i]);
	if (s->choice->n)
		add_row(s, s->choice->best[0].build);
	buf_addc(s->out, '\n');
}

/* ---- the paragraph ---- */

static void tell_recall(const struct story *s, const struct tune_candidate *c)
{
	struct buf *b = s->out;
	double target = tune_goal_target(s->g);
	if (s->g->target_queries > 0) {
		buf_addf(b, "Of %llu test queries, ", (unsigned long long)c->build->queries);
		add_percent(b, c->recall);
		buf_adds(b, " find ");
		add_percent(b, s->g->target_recall);
		buf_adds(b, " of their true neighbours or more");
	} else {
		buf_addf(b, "On %llu test queries it finds ",
			 (unsigned long long)c->build->queries);
		add_percent(b, c->recall);
		buf_adds(b, " of the true neighbours");
	}
	if (s->g->confidence > 0.5 && c->lower >= target) {
		buf_addf(b, "; for further queries of that kind it is at least ");
		add_percent(b, c->lower);
		buf_addf(b, ", with a certainty of %.6g %%", 100 * s->g->confidence);
	} else if (c->recall >= target) {
		buf_adds(b, "; that is an average, which luck may have a part in");
	}
	buf_adds(b, " (the target is ");
	add_percent(b, target);
	buf_adds(b, "). ");
}

/* That a recall of rows of the data is not that of users' queries. */
static void tell_queries(const struct story *s, const struct tune_candidate *c)
{
	const struct tune_timing *of = c->timing    ? c->timing
				       : c->build->n ? c->build->timing
						     : NULL;
	struct trial t;
	struct err ignored;
	if (of && of->line.len && trial_parse(&t, buf_span(&of->line), &ignored) == 0 &&
	    query_source_parse(t.query_source) == QUERIES_SAMPLED)
		buf_adds(s->out, "The queries are sampled from the data; with those of users recall may "
				 "be lower. ");
}

static void tell_cost(const struct story *s, const struct tune_candidate *c)
{
	struct buf *b = s->out;
	struct trial t;
	struct err ignored;
	double us = shown_us(c);
	buf_adds(b, "A search takes ");
	add_us(b, us);
	if (c->timing && c->timing->line.len &&
	    trial_parse(&t, buf_span(&c->timing->line), &ignored) == 0 &&
	    t.metrics.brute_force_latency_us > us) {
		double less = t.metrics.brute_force_latency_us / us;
		buf_addf(b, ", %.*f times less than comparing all rows", less < 10 ? 1 : 0, less);
	}
	buf_adds(b, "; the index takes ");
	if (c->build->build_secs > 0) {
		add_seconds(b, c->build->build_secs);
		buf_adds(b, " to build and ");
	}
	buf_addf(b, "%.1f MiB of memory. ", c->build->memory_bytes / 1048576);
}

/* The cost ${other} beside that of the choice. */
static void tell_difference(const struct story *s, double other, double chosen)
{
	double more = 100 * (other / chosen - 1);
	if (fabs(more) < 0.5)
		buf_adds(s->out, "as much");
	else
		buf_addf(s->out, "%.0f %% %s", fabs(more), more > 0 ? "more" : "less");
}

/* By enum tune_cost. */
static const char *const costs[] = {"time a search", "distances a search", "time to build", "memory"};

static void tell_runner_up(const struct story *s, const struct tune_candidate *c)
{
	struct tune_candidate best = {.cost = INFINITY}, other;
	for (size_t i = 0; i < s->h->n; i++) {
		const struct tune_build *b = &s->h->build[i];
		if (b->config.rung || is_chosen(s, b) ||
		    tune_decide_build(s->g, &s->law, b, &other) != s->choice->verdict)
			continue;
		if (other.cost < best.cost)
			best = other;
	}
	if (!best.build) {
		buf_adds(s->out, "No other index that was built meets the target. ");
		return;
	}
	buf_adds(s->out, "The runner-up, ");
	add_build(s->out, &best.config);
	buf_addf(s->out, ", ef_search %u, takes ", best.config.ef_search);
	tell_difference(s, best.cost, c->cost);
	buf_addf(s->out, " %s. ", costs[s->g->minimise]);
}

/* The default was not built: what it is expected to take for the same goal. */
static void tell_expected(const struct story *s, const struct config *usual,
			  const struct tune_candidate *c)
{
	struct tune_goal g = *s->g;
	double ef, cost;
	if (g.space.es.max > tune_space_widest.es.max)
		g.space = tune_space_default; /* anything will do: for a choice, not for a look ahead */
	buf_adds(s->out, "was not built");
	if (s->choice->verdict == TUNE_IMPOSSIBLE || !tune_model_expect(s->h, &g, usual, &ef, &cost))
		buf_adds(s->out, ". ");
	else if (ef > g.space.es.max)
		buf_addf(s->out, "; it is expected to miss the target with any ef_search up to %u. ",
			 g.space.es.max);
	else {
		buf_addf(s->out, "; to meet the target it is expected to need ef_search %.0f and ",
			 ceil(ef));
		tell_difference(s, cost, c->cost);
		buf_addf(s->out, " %s. ", costs[s->g->minimise]);
	}
}

/* What the config that is used where nothing is promoted gives instead. */
static void tell_default(const struct story *s, const struct tune_candidate *c)
{
	const struct config usual = CONFIG_DEFAULT;
	struct buf *b = s->out;
	if (config_same(&usual, &c->config)) {
		buf_adds(b, "It is the default config. ");
		return;
	}
	buf_adds(b, "The default (");
	add_build(b, &usual);
	buf_addf(b, ", ef_search %u) ", usual.ef_search);
	const struct tune_build *build = tune_history_find(s->h, &usual);
	if (!build || build->curve.n == 0) {
		tell_expected(s, &usual, c);
		return;
	}
	struct curve_point p = curve_at(&build->curve, usual.ef_search);
	double us = tune_law_build_us(&s->law, build, usual.ef_search, p.distances);
	buf_adds(b, "finds ");
	add_percent(b, p.recall);
	if (!isnan(us)) {
		buf_adds(b, " in ");
		add_us(b, us);
		buf_adds(b, ", ");
		tell_difference(s, us, c->us);
		buf_adds(b, " time");
	}
	buf_addf(b, ", and builds in ");
	add_seconds(b, build->build_secs);
	buf_adds(b, ". ");
}

static void tell_effort(const struct story *s)
{
	size_t rungs = 0;
	for (size_t i = 0; i < s->h->n; i++)
		rungs += s->h->build[i].config.rung != 0;
	buf_addf(s->out, "Built and measured: %zu index%s", s->h->n - rungs,
		 s->h->n - rungs == 1 ? "" : "es");
	if (rungs)
		buf_addf(s->out,
			 ", and %zu of a part of the rows, which tell cheaply what is not worth "
			 "building whole",
			 rungs);
	buf_adds(s->out, ".\n");
}

static void tell_failure(const struct story *s)
{
	buf_adds(s->out, s->choice->verdict == TUNE_UNPROVEN
			     ? "The target is met on average, but that is not proven: "
			     : "The goal is not met: ");
	buf_addf(s->out, "%s. ", s->choice->reason);
	if (s->choice->advice[0])
		buf_addf(s->out, "What helps: %s. ", s->choice->advice);
}

static void add_paragraph(const struct story *s)
{
	const struct tune_candidate *c = &s->choice->best[0];
	if (s->choice->verdict != TUNE_REACHED)
		tell_failure(s);
	if (s->choice->n) {
		buf_adds(s->out, s->choice->verdict == TUNE_IMPOSSIBLE ? "The nearest: " : "Chosen: ");
		add_build(s->out, &c->config);
		buf_addf(s->out, ", ef_search %u. ", c->config.ef_search);
		tell_recall(s, c);
		tell_queries(s, c);
		if (!isnan(c->us))
			tell_cost(s, c);
		if (s->choice->verdict != TUNE_IMPOSSIBLE)
			tell_runner_up(s, c);
		tell_default(s, c);
	}
	tell_effort(s);
}

int tune_explain(const struct tune_history *h, const struct tune_goal *g,
		 const struct tune_choice *choice, struct buf *out, struct err *err)
{
	struct story s = {h, g, choice, tune_law_fit(h), out};
	if (h->n)
		add_table(&s);
	add_paragraph(&s);
	return buf_ok(out, err);
}
