/* SPDX-License-Identifier: MIT */
/* Tables (tuner_table) of data sets, and what is taken for true of them. */
#ifndef BENCH_TUNER_WORLD_H
#define BENCH_TUNER_WORLD_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tune/decide.h"
#include "tune/law.h"
#include "tune/strategy.h"

#define POINTS_MAX 64
#define LINES_MAX 512
#define LADDER_MAX 16
#define QUERIES 1000
#define SPREAD 0.02 /* sd of the logarithms of builds' true times around the law */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct line {
	struct config config;
	unsigned long long rows, all;
	double seconds, memory;
	struct curve curve;
	double timed[POINTS_MAX]; /* microseconds as measured, 0: not */
	double off;		  /* log(true time / law) */
	char *json;
	size_t len;
};

/* One data set, built with one seed. */
struct world {
	char set[48];
	unsigned long long seed;
	struct line line[LINES_MAX];
	size_t n;
	double unit; /* seconds of a build-equivalent */
	struct tune_law law;
	uint32_t m[LADDER_MAX], ec[LADDER_MAX];
	size_t n_m, n_ec;
};

static struct rng rng = {20261125};

static double uniform(void)
{
	return ((double)(rng_next(&rng) >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "tuner_replay: %s\n", what);
	exit(3);
}

/* ---- reading ---- */

static bool read_line(FILE *f, struct line *l, unsigned long long *seed)
{
	size_t n;
	*l = (struct line){.config = CONFIG_DEFAULT};
	if (fscanf(f, "%u %u %llu %llu %llu %lf %lf %zu", &l->config.m, &l->config.ef_construction,
		   seed, &l->rows, &l->all, &l->seconds, &l->memory, &n) != 8)
		return false;
	if (n > POINTS_MAX)
		die("too many points");
	l->config.rung = l->rows < l->all ? (uint32_t)l->rows : 0;
	l->curve = (struct curve){.point = calloc(n, sizeof *l->curve.point),
				  .n = n,
				  .confidence = 0.99,
				  .target = 0.9};
	for (size_t i = 0; i < n; i++) {
		struct curve_point *p = &l->curve.point[i];
		if (fscanf(f, "%u %lf %lf %lf %lf", &p->ef, &p->recall, &p->lower, &p->distances,
			   &l->timed[i]) != 5)
			die("a line is short");
	}
	struct buf b = BUF_INIT;
	struct json_out j = {.b = &b};
	curve_write(&j, &l->curve);
	l->json = b.data;
	l->len = b.len;
	return true;
}

static void add_step(uint32_t *ladder, size_t *n, uint32_t v)
{
	size_t at = 0;
	while (at < *n && ladder[at] < v)
		at++;
	if ((at < *n && ladder[at] == v) || *n == LADDER_MAX)
		return;
	memmove(ladder + at + 1, ladder + at, (*n - at) * sizeof *ladder);
	ladder[at] = v;
	++*n;
}

/* The law of what was timed of whole builds. */
static struct tune_law law_of(const struct world *w)
{
	static struct tune_timing timing[LINES_MAX][POINTS_MAX];
	static struct tune_build build[LINES_MAX];
	struct tune_history h = {.build = build};
	for (size_t i = 0; i < w->n; i++) {
		const struct line *l = &w->line[i];
		if (l->config.rung)
			continue;
		struct tune_build *b = &build[h.n];
		*b = (struct tune_build){.timing = timing[h.n]};
		h.n++;
		for (size_t p = 0; p < l->curve.n; p++)
			if (l->timed[p] > 0)
				b->timing[b->n++] = (struct tune_timing){
				    .ef = l->curve.point[p].ef,
				    .count = 1,
				    .log_us = log(l->timed[p]),
				    .distances = l->curve.point[p].distances};
	}
	return tune_law_fit(&h);
}

/* What the times of a line are off the law, on average; NAN: none was timed. */
static double off_law(const struct world *w, const struct line *l)
{
	double sum = 0, n = 0;
	for (size_t p = 0; p < l->curve.n; p++) {
		const struct curve_point *c = &l->curve.point[p];
		if (l->timed[p] > 0) {
			sum += log(l->timed[p] / tune_law_us(&w->law, c->ef, c->distances));
			n++;
		}
	}
	return n > 0 ? sum / n : NAN;
}

/*
 * Times of a table made on a machine that does other things too scatter from build to build, by
 * more than the builds do.  What is taken for true is the law of the whole table, times what the
 * build is off it, shrunk so that it scatters by 2 %, as it does on quiet machines.  Rungs all
 * share one factor: less of them misses the cache.
 */
static void find_truth(struct world *w)
{
	double squares = 0, n = 0, rungs = 0, n_rungs = 0;
	w->law = law_of(w);
	for (size_t i = 0; i < w->n; i++) {
		struct line *l = &w->line[i];
		l->off = off_law(w, l);
		if (l->config.rung && !isnan(l->off)) {
			rungs += l->off;
			n_rungs++;
		} else if (!l->config.rung) {
			squares += l->off * l->off;
			n++;
		}
	}
	double part = fmin(1, SPREAD / sqrt(squares / n));
	for (size_t i = 0; i < w->n; i++) {
		struct line *l = &w->line[i];
		l->off = !l->config.rung ? part * l->off : n_rungs > 0 ? rungs / n_rungs : 0;
	}
}

/* From a file NAME.SEED.tab */
static struct world *world_read(const char *path)
{
	struct world *w = calloc(1, sizeof *w);
	FILE *f = fopen(path, "r");
	const char *name = strrchr(path, '/');
	if (!f || !w)
		die("cannot read a table");
	snprintf(w->set, sizeof w->set, "%s", name ? name + 1 : path);
	w->set[strcspn(w->set, ".")] = 0;
	while (w->n < LINES_MAX && read_line(f, &w->line[w->n], &w->seed)) {
		const struct line *l = &w->line[w->n++];
		if (l->config.rung)
			continue;
		add_step(w->m, &w->n_m, l->config.m);
		add_step(w->ec, &w->n_ec, l->config.ef_construction);
		if (l->config.m == 16 && l->config.ef_construction == 400)
			w->unit = l->seconds;
	}
	fclose(f);
	if (w->unit <= 0)
		die("a table lacks m 16, ef_construction 400");
	find_truth(w);
	return w;
}

/* ---- what is so ---- */

static const struct line *world_find(const struct world *w, const struct config *c)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->line[i].config.m == c->m &&
		    w->line[i].config.ef_construction == c->ef_construction &&
		    w->line[i].config.rung == c->rung)
			return &w->line[i];
	return NULL;
}

static double true_us(const struct world *w, const struct line *l, uint32_t ef)
{
	struct curve_point p = curve_at(&l->curve, ef);
	return tune_law_us(&w->law, ef, p.distances) * exp(l->off);
}

static double true_cost(const struct world *w, const struct tune_goal *g, const struct line *l,
			uint32_t ef)
{
	return g->minimise == TUNE_DISTANCES ? curve_at(&l->curve, ef).distances
					     : true_us(w, l, ef);
}

/* The least ef_search that reaches the target, or 0. */
static uint32_t reach(const struct line *l, const struct tune_goal *g)
{
	struct tune_build b = {.curve = l->curve, .queries = QUERIES};
	return tune_reach(g, &b);
}

/* The cost of a config with the least ef_search that does; INFINITY: none does. */
static double cost_at_target(const struct world *w, const struct tune_goal *g,
			     const struct config *c)
{
	const struct line *l = world_find(w, c);
	uint32_t ef = l ? reach(l, g) : 0;
	return ef ? true_cost(w, g, l, ef) : INFINITY;
}

static struct config number(const struct world *w, size_t i)
{
	struct config c = CONFIG_DEFAULT;
	c.m = w->m[i / w->n_ec];
	c.ef_construction = w->ec[i % w->n_ec];
	return c;
}

static double optimum(const struct world *w, const struct tune_goal *g)
{
	double best = INFINITY;
	for (size_t i = 0; i < w->n_m * w->n_ec; i++) {
		struct config c = number(w, i);
		best = fmin(best, cost_at_target(w, g, &c));
	}
	return best;
}

/* The mean over the worlds of a set, all but one of the seeds, of log cost; INFINITY: not all do. */
static double mean_cost(struct world *const *all, size_t n, const char *set,
			const struct world *but, const struct tune_goal *g, const struct config *c)
{
	double sum = 0, count = 0;
	for (size_t i = 0; i < n; i++)
		if (all[i] != but && strcmp(all[i]->set, set) == 0) {
			sum += log(cost_at_target(all[i], g, c));
			count++;
		}
	return count > 0 ? exp(sum / count) : INFINITY;
}

#endif
