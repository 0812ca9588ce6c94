/* SPDX-License-Identifier: MIT */
/* What somebody needs of an index, and where to look for it. */
#include "tune/goal.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/num.h"
#include "stat/mean.h"

const char *const tune_cost_names[] = {"latency", "distances", "build", "memory", NULL};

const struct tune_space tune_space_default = {
    {8, 64},
    {CONFIG_EF_CONSTRUCTION_MIN, CONFIG_EF_CONSTRUCTION_MAX},
    {CONFIG_EF_SEARCH_MIN, CONFIG_EF_SEARCH_MAX},
    1u << HNSW_AUTO};

const struct tune_space tune_space_widest = {{CONFIG_M_MIN, CONFIG_M_MAX},
					     {CONFIG_EF_CONSTRUCTION_MIN, 1000},
					     {CONFIG_EF_SEARCH_MIN, 2000},
					     (2u << HNSW_AUTO) - 1};

static int parse_range(struct span word, struct tune_range widest, struct tune_range *out,
		       struct err *err)
{
	const char *equals = memchr(word.p, '=', word.n);
	struct span from = {equals + 1, (size_t)(word.p + word.n - equals) - 1}, to = from;
	const char *colon = memchr(from.p, ':', from.n);
	uint64_t lo, hi;
	if (colon) {
		to = (struct span){colon + 1, (size_t)(from.p + from.n - colon) - 1};
		from.n = (size_t)(colon - from.p);
	}
	if (num_u64(from, 0, UINT32_MAX, &lo) != 0 || num_u64(to, 0, UINT32_MAX, &hi) != 0)
		return err_set(err, ERR_USAGE, "space '%.*s': expected LO:HI", (int)word.n, word.p);
	if (lo < widest.min || hi > widest.max || lo > hi)
		return err_set(err, ERR_USAGE, "space '%.*s' is not a range within %u:%u",
			       (int)word.n, word.p, widest.min, widest.max);
	*out = (struct tune_range){(uint32_t)lo, (uint32_t)hi};
	return 0;
}

static int parse_storages(struct span list, unsigned *out, struct err *err)
{
	*out = 0;
	while (true) {
		const char *comma = memchr(list.p, ',', list.n);
		struct span name = {list.p, comma ? (size_t)(comma - list.p) : list.n};
		int i = 0;
		while (hnsw_storage_names[i] && !span_is(name, hnsw_storage_names[i]))
			i++;
		if (!hnsw_storage_names[i])
			return err_set(err, ERR_USAGE,
				       "space: unknown storage '%.*s', expected f32, u8, sq8, f16, "
				       "bf16 or auto",
				       (int)name.n, name.p);
		*out |= 1u << i;
		if (!comma)
			return 0;
		list = (struct span){comma + 1, list.n - name.n - 1};
	}
}

static bool named(struct span word, const char *name)
{
	size_t n = strlen(name);
	return word.n > n && memcmp(word.p, name, n) == 0 && word.p[n] == '=';
}

static int parse_word(struct span word, struct tune_space *s, struct err *err)
{
	if (named(word, "m"))
		return parse_range(word, tune_space_widest.m, &s->m, err);
	if (named(word, "ec"))
		return parse_range(word, tune_space_widest.ec, &s->ec, err);
	if (named(word, "es"))
		return parse_range(word, tune_space_widest.es, &s->es, err);
	if (named(word, "storage"))
		return parse_storages((struct span){word.p + 8, word.n - 8}, &s->storages, err);
	return err_set(err, ERR_USAGE, "space '%.*s': expected m=, ec=, es= or storage=",
		       (int)word.n, word.p);
}

int tune_space_parse(struct span text, struct tune_space *out, struct err *err)
{
	struct tune_space s = *out;
	for (size_t at = 0, end; at < text.n; at = end) {
		while (at < text.n && strchr(" \t\n", text.p[at]))
			at++;
		for (end = at; end < text.n && !strchr(" \t\n", text.p[end]);)
			end++;
		if (end > at && parse_word((struct span){text.p + at, end - at}, &s, err) != 0)
			return -1;
	}
	*out = s;
	return 0;
}

int tune_goal_check(const struct tune_goal *g, struct err *err)
{
	if (!(g->target_recall > 0 && g->target_recall <= 1))
		return err_set(err, ERR_USAGE,
			       "a target recall of %g: expected more than 0, at most 1",
			       g->target_recall);
	if (!(g->target_queries >= 0 && g->target_queries <= 1))
		return err_set(err, ERR_USAGE, "a target share of queries of %g: expected 0..1",
			       g->target_queries);
	if (tune_goal_target(g) == 1 && g->confidence > 0.5)
		return err_set(err, ERR_USAGE,
			       "no number of queries proves a target of 1: aim for less, or go by "
			       "the mean with --confidence 0.5");
	if (!(g->confidence >= 0 && g->confidence < 1))
		return err_set(err, ERR_USAGE, "a confidence of %g: expected less than 1",
			       g->confidence);
	if (!(g->max_memory >= 0 && g->max_build >= 0 && g->max_latency >= 0 && g->within >= 0))
		return err_set(err, ERR_USAGE, "a limit of the goal is below 0");
	if (!g->space.storages || g->space.m.min > g->space.m.max ||
	    g->space.ec.min > g->space.ec.max || g->space.es.min > g->space.es.max)
		return err_set(err, ERR_USAGE, "the space is empty");
	return 0;
}

/* ---- what is said, and what is not ---- */

/* Its numbers; all are 0 at least where they are said. */
static const struct {
	const char *key;
	size_t offset;
	bool required; /* a part of what is required, not of how to look for it */
} numbers[] = {
    {"target_recall", offsetof(struct tune_goal, target_recall), true},
    {"target_queries", offsetof(struct tune_goal, target_queries), true},
    {"max_memory", offsetof(struct tune_goal, max_memory), true},
    {"max_build", offsetof(struct tune_goal, max_build), true},
    {"max_latency", offsetof(struct tune_goal, max_latency), true},
    {"confidence", offsetof(struct tune_goal, confidence), true},
    {"within", offsetof(struct tune_goal, within), false},
};

#define NUMBERS (sizeof numbers / sizeof numbers[0])

static double *number(struct tune_goal *g, size_t i)
{
	return (double *)(void *)((char *)g + numbers[i].offset);
}

static double number_of(const struct tune_goal *g, size_t i)
{
	return *(const double *)(const void *)((const char *)g + numbers[i].offset);
}

/* The ranges of a space. */
enum { RANGES = 3 };
static const char *const range_names[RANGES] = {"m", "ec", "es"};

static struct tune_range *range(struct tune_space *s, int i)
{
	return i == 0 ? &s->m : i == 1 ? &s->ec : &s->es;
}

static bool space_said(const struct tune_space *s)
{
	return s->m.max || s->ec.max || s->es.max || s->storages;
}

bool tune_goal_said(const struct tune_goal *g)
{
	for (size_t i = 0; i < NUMBERS; i++)
		if (number_of(g, i) >= 0)
			return true;
	return g->minimise != TUNE_COST_UNSAID || space_said(&g->space);
}

void tune_goal_fill(struct tune_goal *g, const struct tune_goal *under)
{
	struct tune_goal below = *under;
	for (size_t i = 0; i < NUMBERS; i++)
		if (number_of(g, i) < 0)
			*number(g, i) = number_of(under, i);
	if (g->minimise == TUNE_COST_UNSAID)
		g->minimise = under->minimise;
	for (int i = 0; i < RANGES; i++)
		if (range(&g->space, i)->max == 0)
			*range(&g->space, i) = *range(&below.space, i);
	if (!g->space.storages)
		g->space.storages = under->space.storages;
}

void tune_goal_complete(struct tune_goal *g)
{
	const struct tune_goal usual = TUNE_GOAL_DEFAULT;
	tune_goal_fill(g, &usual);
}

bool tune_goal_same(const struct tune_goal *a, const struct tune_goal *b)
{
	for (size_t i = 0; i < NUMBERS; i++)
		if (numbers[i].required && fabs(number_of(a, i) - number_of(b, i)) >
					       1e-12 * fabs(number_of(a, i)))
			return false;
	return a->minimise == b->minimise;
}

/* ---- as a record ---- */

static void scan_number(struct scan *s, double *v)
{
	if (!scan_null(s) && scan_f64(s, v) && *v < 0)
		scan_fail(s, "expected a number from 0 on");
}

static const char cost_expected[] = "expected latency, distances, build or memory";

static bool cost_named(struct span name, enum tune_cost *cost)
{
	for (int i = 0; tune_cost_names[i]; i++)
		if (span_is(name, tune_cost_names[i])) {
			*cost = (enum tune_cost)i;
			return true;
		}
	return false;
}

static void scan_minimise(struct scan *s, enum tune_cost *cost)
{
	struct span name;
	if (!scan_null(s) && scan_string(s, &name) && !cost_named(name, cost))
		scan_fail(s, cost_expected);
}

static void scan_space(struct scan *s, struct tune_space *space)
{
	struct span text;
	struct err why;
	if (!scan_null(s) && scan_string(s, &text) && tune_space_parse(text, space, &why) != 0)
		scan_fail(s, "expected a space like 'm=8:64 ec=10:400 es=10:200 storage=auto'");
}

static void scan_one(struct scan *s, struct tune_goal *g, struct span key)
{
	for (size_t i = 0; i < NUMBERS; i++)
		if (span_is(key, numbers[i].key)) {
			scan_number(s, number(g, i));
			return;
		}
	if (span_is(key, "minimise"))
		scan_minimise(s, &g->minimise);
	else if (span_is(key, "space"))
		scan_space(s, &g->space);
	else
		scan_fail(s, "unknown key of a goal");
}

/* ERR_DATA unless it can be met, as far as it says anything. */
static int check_said(const struct tune_goal *g, struct err *err)
{
	struct tune_goal whole = *g;
	tune_goal_complete(&whole);
	if (tune_goal_check(&whole, err) == 0)
		return 0;
	err->code = ERR_DATA;
	return -1;
}

int tune_goal_set(struct tune_goal *g, struct span name, struct span value, struct err *err)
{
	size_t i = 0;
	while (i < NUMBERS && !span_is(name, numbers[i].key))
		i++;
	if (i < NUMBERS) {
		if (num_f64(value, 0, 1e18, number(g, i)) != 0)
			return err_set(err, ERR_DATA, "expected a number from 0 on");
	} else if (span_is(name, "minimise")) {
		if (!cost_named(value, &g->minimise))
			return err_set(err, ERR_DATA, "%s", cost_expected);
	} else if (span_is(name, "space")) {
		if (tune_space_parse(value, &g->space, err) != 0) {
			err->code = ERR_DATA;
			return -1;
		}
	} else {
		return 0;
	}
	return check_said(g, err) != 0 ? -1 : 1;
}

int tune_goal_parse(struct tune_goal *g, struct span text, struct err *err)
{
	const struct tune_goal unsaid = TUNE_GOAL_UNSAID;
	struct scan s;
	struct span key;
	*g = unsaid;
	scan_init(&s, text);
	if (scan_object(&s))
		while (scan_member(&s, &key))
			scan_one(&s, g, key);
	if (!scan_end(&s))
		return scan_err(&s, err);
	return check_said(g, err);
}

static void write_space(struct json_out *j, const struct tune_space *space)
{
	struct tune_space s = *space;
	struct buf text = BUF_INIT;
	for (int i = 0; i < RANGES; i++)
		if (range(&s, i)->max)
			buf_addf(&text, "%s%s=%u:%u", text.len ? " " : "", range_names[i],
				 range(&s, i)->min, range(&s, i)->max);
	for (int i = 0, any = 0; hnsw_storage_names[i]; i++)
		if (s.storages >> i & 1)
			buf_addf(&text, "%s%s", any++ ? "," : text.len ? " storage=" : "storage=",
				 hnsw_storage_names[i]);
	j->b->failed |= text.failed;
	json_key(j, "space");
	json_str(j, buf_span(&text));
	buf_release(&text);
}

void tune_goal_write(struct json_out *j, const struct tune_goal *g)
{
	json_open(j, '{');
	for (size_t i = 0; i < NUMBERS; i++)
		if (number_of(g, i) >= 0)
			json_kv_f64(j, numbers[i].key, number_of(g, i));
	if (g->minimise != TUNE_COST_UNSAID)
		json_kv_cstr(j, "minimise", tune_cost_names[g->minimise]);
	if (space_said(&g->space))
		write_space(j, &g->space);
	json_close(j, '}');
}

/* ---- what it asks of a config ---- */

static int check(const char *name, uint32_t v, struct tune_range r, struct err *err)
{
	if (v >= r.min && v <= r.max)
		return 0;
	return err_set(err, ERR_DATA, "proposed %s=%u out of bounds %u..%u", name, v, r.min, r.max);
}

int tune_space_check(const struct tune_space *s, const struct config *c, struct err *err)
{
	if (check("ef_construction", c->ef_construction, s->ec, err) != 0 ||
	    check("ef_search", c->ef_search, s->es, err) != 0 || check("m", c->m, s->m, err) != 0)
		return -1;
	if (!(s->storages >> c->storage & 1))
		return err_set(err, ERR_DATA, "proposed storage=%s is not in the space",
			       hnsw_storage_names[c->storage]);
	return 0;
}

double tune_goal_target(const struct tune_goal *g)
{
	return g->target_queries > 0 ? g->target_queries : g->target_recall;
}

double tune_goal_reached(const struct tune_goal *g, const struct curve *c,
			 const struct curve_point *p, uint64_t queries)
{
	double error = 1 - g->confidence;
	if (g->target_queries > 0) {
		if (!(fabs(c->target - g->target_recall) < 1e-9) || queries == 0)
			return NAN;
		return g->confidence <= 0.5
			   ? p->at_target
			   : stat_mean_lower_known(p->at_target, queries, error);
	}
	if (g->confidence <= 0.5)
		return p->recall;
	if (isnan(p->lower) || !(c->confidence > 0.5 && c->confidence < 1))
		return queries ? stat_mean_lower_known(p->recall, queries, error) : 0;
	/* The width of such a bound goes with the root of log(1/error). */
	return p->recall - (p->recall - p->lower) * sqrt(log(error) / log(1 - c->confidence));
}

/* ---- of a Trial ---- */

double tune_goal_proven(const struct tune_goal *g, const struct trial *t, double *mean)
{
	struct curve c = {0}, like = {.confidence = 1 - STAT_RECALL_ALPHA, .target = t->target_recall};
	struct curve_point p = {t->config.ef_search, t->metrics.recall_at_k, t->recall_lcb, t->at_target,
				t->distances_per_query};
	struct err ignored;
	bool fits = !(g->target_queries > 0) || fabs(like.target - g->target_recall) < 1e-9;
	if (!fits && t->curve.p && curve_parse(&c, t->curve, &ignored) == 0 && c.n) {
		like = (struct curve){.confidence = c.confidence, .target = c.target};
		p = curve_at(&c, t->config.ef_search);
	}
	curve_release(&c);
	if (mean)
		*mean = g->target_queries > 0 ? p.at_target : p.recall;
	return tune_goal_reached(g, &like, &p, t->metrics.eval_queries);
}

int tune_goal_limits(const struct tune_goal *g, const struct trial *t, struct err *err)
{
	const struct metrics *m = &t->metrics;
	const struct {
		const char *name;
		double is, max;
	} limits[] = {
	    {"memory_bytes", (double)m->memory_bytes, g->max_memory},
	    {"build_time_secs", m->build_time_secs, g->max_build},
	    {"search_latency_p50_us", m->search_latency_p50_us, g->max_latency},
	};
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		if (limits[i].max > 0 && limits[i].is > limits[i].max)
			return err_set(err, ERR_NO, "%s=%.15g exceeds the goal's limit of %.15g",
				       limits[i].name, limits[i].is, limits[i].max);
	return 0;
}

static double cost(const struct tune_goal *g, const struct trial *t)
{
	switch (g->minimise) {
	case TUNE_DISTANCES:
		return t->distances_per_query;
	case TUNE_BUILD:
		return t->metrics.build_time_secs;
	case TUNE_MEMORY:
		return (double)t->metrics.memory_bytes;
	default:
		return t->metrics.search_latency_p50_us;
	}
}

static bool meets(const struct tune_goal *g, const struct trial *t)
{
	struct err ignored;
	double mean;
	(void)tune_goal_proven(g, t, &mean);
	return mean >= tune_goal_target(g) && tune_goal_limits(g, t, &ignored) == 0;
}

bool tune_goal_beats(const struct tune_goal *g, const struct trial *challenger,
		     const struct trial *champion)
{
	return meets(g, challenger) &&
	       (!meets(g, champion) || cost(g, challenger) < cost(g, champion));
}
