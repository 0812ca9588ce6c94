/* SPDX-License-Identifier: MIT */
/* What somebody needs of an index, and where to look for it. */
#include "tune/goal.h"

#include <math.h>
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
