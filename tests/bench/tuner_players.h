/* SPDX-License-Identifier: MIT */
/* Who takes part in the replay. */
#ifndef BENCH_TUNER_PLAYERS_H
#define BENCH_TUNER_PLAYERS_H

#include <unistd.h>

#include "tests/bench/tuner_world.h"
#include "tune/gp.h"

#define STEPS_MAX 300 /* of a game; those who repeat themselves end by it */

struct player;

struct game {
	const struct world *w;
	const struct tune_goal *g;
	const struct player *player;
	struct world *const *all; /* for the oracle */
	size_t n_all;
	struct tune_history h;
	uint64_t step;
	uint32_t order[LADDER_MAX * LADDER_MAX];
	double spent;
};

enum rule { GOAL, GREATEST_RECALL };

struct player {
	const char *name;
	/* The next config; false: nothing more. */
	bool (*play)(struct game *a, struct config *out);
	bool curve; /* is given all ef_search of a build, and our choice of it; else one */
	enum rule rule; /* by which one of the Trials is chosen */
	const char *sampler; /* of Optuna */
	unsigned slow;	     /* plays only every so many-th round */
	bool second;	     /* has the Trials of a run when the index had half of the rows */
};

/* ---- what a player can see ---- */

static uint32_t anywhere(struct tune_range r)
{
	return (uint32_t)lround(exp(log(r.min) + uniform() * (log(r.max) - log(r.min))));
}

/* What a build that was played costs at the target; INFINITY: it does not reach it, NAN: not built. */
static double played(const struct game *a, uint32_t m, uint32_t ec)
{
	struct config c = CONFIG_DEFAULT;
	c.m = m;
	c.ef_construction = ec;
	const struct tune_build *b = tune_history_find(&a->h, &c);
	uint32_t ef = b ? tune_reach(a->g, b) : 0;
	if (!b)
		return NAN;
	if (!ef)
		return INFINITY;
	return a->g->minimise == TUNE_DISTANCES ? curve_at(&b->curve, ef).distances
						: exp(b->timing[0].log_us);
}

/* ---- ours, the original's, those that do not look ---- */

static bool play_model(struct game *a, struct config *out)
{
	struct tune_proposal p;
	struct err err;
	a->h.rows = a->w->line[0].all;
	if (tune_strategy_find("model", &err)->next(&a->h, a->g, &p, &err) != 0)
		return false;
	a->h.n_pending = 0;
	*out = p.config;
	return true;
}

static bool play_original(struct game *a, struct config *out)
{
	static const uint32_t pair[][2] = {{20, 30}, {40, 30}, {80, 30}, {80, 60}, {160, 30}};
	if (a->step >= COUNT(pair))
		return false;
	out->m = 16;
	out->ef_construction = pair[a->step][0];
	out->ef_search = pair[a->step][1];
	return true;
}

static void to_ladder(const struct world *w, struct config *c)
{
	uint32_t best = w->ec[0];
	for (size_t i = 0; i < w->n_ec; i++)
		if (fabs(log((double)w->ec[i] / c->ef_construction)) <
		    fabs(log((double)best / c->ef_construction)))
			best = w->ec[i];
	c->ef_construction = best;
}

static const struct tune_timing *greatest_recall(const struct game *a,
						 const struct tune_build **of);

static bool play_egreedy(struct game *a, struct config *out)
{
	const struct tune_build *b;
	const struct tune_timing *t = greatest_recall(a, &b);
	if (t) {
		a->h.pairs.has_champion = true;
		a->h.pairs.champion = b->config;
		a->h.pairs.champion.ef_search = t->ef;
	}
	if (!propose_egreedy(&a->h.pairs, out))
		return false;
	/* The history counts its Trials itself. */
	a->h.pairs.trials--;
	to_ladder(a->w, out);
	return true;
}

static bool play_random(struct game *a, struct config *out)
{
	size_t n = a->w->n_m * a->w->n_ec;
	if (a->step == 0)
		rng_permutation(rng_next(&rng), a->order, (uint32_t)n);
	if (a->step >= n)
		return false;
	*out = number(a->w, a->order[a->step]);
	out->ef_search = anywhere(a->g->space.es);
	return true;
}

static bool play_grid(struct game *a, struct config *out)
{
	if (a->step >= a->w->n_m * a->w->n_ec)
		return false;
	*out = number(a->w, a->step);
	return true;
}

/* The build that is best on average over the other seeds: what luck of the graph leaves. */
static bool play_oracle(struct game *a, struct config *out)
{
	double best = INFINITY;
	for (size_t i = 0; i < a->w->n_m * a->w->n_ec; i++) {
		struct config c = number(a->w, i);
		double cost = mean_cost(a->all, a->n_all, a->w->set, a->w, a->g, &c);
		if (cost < best) {
			best = cost;
			*out = c;
		}
	}
	return a->step == 0 && isfinite(best);
}

/* ---- CHAT ---- */

/* Ternary search over ef_construction at one M: the next build it wants, or the best. */
static bool ternary_ec(const struct game *a, uint32_t m, uint32_t *ec, double *best)
{
	int lo = 0, hi = (int)a->w->n_ec - 1;
	*best = INFINITY;
	while (lo <= hi) {
		int p = lo + (hi - lo) / 3, q = hi - (hi - lo) / 3;
		double x = played(a, m, a->w->ec[p]), y = played(a, m, a->w->ec[q]);
		if (isnan(x) || isnan(y)) {
			*ec = a->w->ec[isnan(x) ? p : q];
			return true;
		}
		*best = fmin(*best, fmin(x, y));
		/* What cannot reach the target needs a better graph. */
		if (y < x || isinf(x))
			lo = p + 1;
		else
			hi = q - 1;
	}
	return false;
}

/* Half of the budget goes zig-zag around the best M. */
static bool zig_zag(const struct game *a, int from, struct config *out)
{
	for (int d = 0; d < (int)a->w->n_m; d++)
		for (int sign = -1; sign <= 1; sign += 2) {
			int i = from + sign * d;
			double x;
			if (i < 0 || i >= (int)a->w->n_m)
				continue;
			out->m = a->w->m[i];
			if (ternary_ec(a, out->m, &out->ef_construction, &x))
				return true;
		}
	return false;
}

/*
 * CHAT, arXiv 2607.04630, from its description: nested ternary searches of M and ef_construction,
 * ef_search where the constraint is met (which it finds by bisection, at no cost here), then
 * around the best M.
 */
static bool play_chat(struct game *a, struct config *out)
{
	int lo = 0, hi = (int)a->w->n_m - 1, best = 0;
	double least = INFINITY;
	while (lo <= hi) {
		int p = lo + (hi - lo) / 3, q = hi - (hi - lo) / 3;
		double x, y;
		out->m = a->w->m[p];
		if (ternary_ec(a, a->w->m[p], &out->ef_construction, &x))
			return true;
		out->m = a->w->m[q];
		if (ternary_ec(a, a->w->m[q], &out->ef_construction, &y))
			return true;
		if (fmin(x, y) < least) {
			least = fmin(x, y);
			best = x < y ? p : q;
		}
		if (y < x)
			lo = p + 1;
		else
			hi = q - 1;
	}
	return zig_zag(a, best, out);
}

/* ---- Bayesian optimisation as VDTuner does it ---- */

/*
 * VDTuner, arXiv 2404.10413, for one kind of index and a recall to reach: Gaussian processes of
 * cost and recall with a Matern 5/2 kernel over the unit cube of (M, ef_construction, ef_search),
 * standardised, lengths by maximum likelihood; after the default and two at random the greatest
 * constrained expected improvement.  With curves: over (M, ef_construction), costs at the target.
 */
#define BO_START 3
#define BO_NOISE 0.1

struct bo {
	struct gp cost, recall;
	double cost_mean, recall_mean, best; /* best: INFINITY, nothing reaches */
	struct game *a;
	bool curve;
};

static double in_unit(uint32_t v, struct tune_range r)
{
	return log((double)v / r.min) / log((double)r.max / r.min);
}

static struct gp_point bo_point(const struct bo *b, const struct config *c)
{
	const struct tune_space *s = &b->a->g->space;
	return (struct gp_point){.x = {in_unit(c->m, s->m), in_unit(c->ef_construction, s->ec),
				       b->curve ? 0 : in_unit(c->ef_search, s->es)}};
}

static double unrecall(double recall)
{
	return -log(1 - recall + 1e-4);
}

static double standardise(struct gp *g)
{
	double mean = 0, squares = 0;
	for (size_t i = 0; i < g->n; i++)
		mean += g->y[i] / (double)g->n;
	for (size_t i = 0; i < g->n; i++) {
		g->y[i] -= mean;
		squares += g->y[i] * g->y[i];
	}
	g->params.sd = g->n > 1 ? fmax(sqrt(squares / (double)(g->n - 1)), 1e-3) : 1;
	g->params.noise = BO_NOISE * g->params.sd;
	return g->n ? mean : 0;
}

static double log_likelihood(const struct gp *g)
{
	double sum = 0;
	for (size_t i = 0; i < g->n; i++)
		sum -= g->y[i] * g->weight[i] / 2 + log(g->chol[i][i]);
	return sum;
}

static void fit_lengths(struct gp *g)
{
	static const double choice[] = {0.25, 0.5, 1, 2};
	double best = -INFINITY;
	struct gp_params likeliest = g->params;
	for (size_t i = 0; i < 64; i++) {
		size_t part = i;
		for (int axis = 0; axis < 3; axis++, part /= 4)
			g->params.length[axis] = choice[part % 4];
		g->params.length[3] = 1;
		gp_fit(g);
		double l = log_likelihood(g);
		if (l > best) {
			best = l;
			likeliest = g->params;
		}
	}
	g->params = likeliest;
	gp_fit(g);
}

static void bo_learn(struct bo *b)
{
	const struct tune_goal *g = b->a->g;
	const struct tune_history *h = &b->a->h;
	b->best = INFINITY;
	b->cost.n = b->recall.n = 0;
	for (size_t i = 0; i < h->n; i++)
		for (size_t t = 0; t < (b->curve ? 1 : h->build[i].n); t++) {
			const struct tune_timing *at = &h->build[i].timing[t];
			struct config c = h->build[i].config;
			c.ef_search = at->ef;
			struct gp_point p = bo_point(b, &c);
			double cost = log(g->minimise == TUNE_DISTANCES ? at->distances
									 : exp(at->log_us));
			double recall = at->recall;
			if (b->curve)
				recall = curve_at(&h->build[i].curve, g->space.es.max).recall;
			gp_add(&b->recall, &p, unrecall(recall));
			if (!b->curve || recall >= g->target_recall)
				gp_add(&b->cost, &p, cost);
			if (recall >= g->target_recall)
				b->best = fmin(b->best, cost);
		}
	b->cost_mean = standardise(&b->cost);
	b->recall_mean = standardise(&b->recall);
	fit_lengths(&b->cost);
	fit_lengths(&b->recall);
}

static double below(double z)
{
	return 0.5 * erfc(-z / sqrt(2));
}

static double bo_worth(const struct bo *b, const struct config *c)
{
	struct gp_point p = bo_point(b, c);
	double mean, sd;
	gp_at(&b->recall, &p, &mean, &sd);
	double likely = below((mean + b->recall_mean - unrecall(b->a->g->target_recall)) /
			      fmax(sd, 1e-4));
	if (isinf(b->best))
		return likely;
	gp_at(&b->cost, &p, &mean, &sd);
	sd = fmax(sd, 1e-4);
	double z = (b->best - mean - b->cost_mean) / sd;
	return likely * sd * (z * below(z) + exp(-z * z / 2) / 2.5066282746310002);
}

static bool play_bo(struct game *a, struct config *out)
{
	static const uint32_t widths[] = {10, 14, 20, 28, 40, 57, 80, 113, 160, 200};
	static struct bo b;
	size_t n = a->w->n_m * a->w->n_ec;
	b.a = a;
	b.curve = a->player->curve;
	if (a->step < BO_START) {
		*out = number(a->w, rng_below(&rng, n));
		out->ef_search = anywhere(a->g->space.es);
		if (a->step == 0)
			*out = (struct config)CONFIG_DEFAULT;
		return true;
	}
	bo_learn(&b);
	double best = -1;
	for (size_t i = 0; i < n; i++)
		for (size_t e = 0; e < (b.curve ? 1 : COUNT(widths)); e++) {
			struct config c = number(a->w, i);
			c.ef_search = widths[e];
			if (b.curve ? tune_history_has(&a->h, &c) : tune_history_tried(&a->h, &c))
				continue;
			double worth = bo_worth(&b, &c);
			if (worth > best) {
				best = worth;
				*out = c;
			}
		}
	return best >= 0;
}

/* ---- Optuna ---- */

static FILE *to_optuna, *from_optuna;

/* Start the command, which may be NULL; false: without Optuna. */
static bool optuna_start(const char *command)
{
	int ask[2], answer[2];
	if (!command || !*command)
		return false;
	if (pipe(ask) != 0 || pipe(answer) != 0)
		die("no pipe");
	pid_t pid = fork();
	if (pid < 0)
		die("no process");
	if (pid == 0) {
		dup2(ask[0], 0);
		dup2(answer[1], 1);
		close(ask[1]);
		close(answer[0]);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(ask[0]);
	close(answer[1]);
	to_optuna = fdopen(ask[1], "w");
	from_optuna = fdopen(answer[0], "r");
	return to_optuna && from_optuna;
}

/* What it is told of its latest: log cost, or by how much recall is missed. */
static double told(const struct game *a)
{
	const struct tune_build *b = NULL;
	const struct tune_timing *t = NULL;
	for (size_t i = 0; i < a->h.n; i++)
		if (config_same_build(&a->h.build[i].config, &a->h.pairs.last))
			b = &a->h.build[i];
	for (size_t i = 0; b && i < b->n; i++)
		if (a->player->curve ? i == 0 : b->timing[i].ef == a->h.pairs.last.ef_search)
			t = &b->timing[i];
	double missed = a->g->target_recall - t->recall;
	return missed > 0 ? 20 + 10 * missed
			  : log(a->g->minimise == TUNE_DISTANCES ? t->distances : exp(t->log_us));
}

static bool play_optuna(struct game *a, struct config *out)
{
	unsigned m, ec, es;
	if (a->step == 0)
		fprintf(to_optuna, "new %s %u %zu %zu %d\n", a->player->sampler,
			(unsigned)rng_below(&rng, 1u << 30), a->w->n_m, a->w->n_ec,
			!a->player->curve);
	else
		fprintf(to_optuna, "tell %.9g\n", told(a));
	fprintf(to_optuna, "ask\n");
	fflush(to_optuna);
	if (fscanf(from_optuna, "%u %u %u", &m, &ec, &es) != 3 || m >= a->w->n_m ||
	    ec >= a->w->n_ec)
		die("Optuna said nothing that makes sense");
	*out = number(a->w, m * a->w->n_ec + ec);
	out->ef_search = es;
	return true;
}

static const struct player players[] = {
    {"model (ours)", play_model, true, GOAL, NULL, 1, false},
    {"model, index has doubled", play_model, true, GOAL, NULL, 1, true},
    {"original's grid, its rule", play_original, false, GREATEST_RECALL, NULL, 1, false},
    {"original's grid + curve", play_original, true, GOAL, NULL, 1, false},
    {"egreedy, its rule", play_egreedy, false, GREATEST_RECALL, NULL, 1, false},
    {"egreedy + curve", play_egreedy, true, GOAL, NULL, 1, false},
    {"random", play_random, false, GOAL, NULL, 1, false},
    {"random + curve", play_random, true, GOAL, NULL, 1, false},
    {"full grid + curve", play_grid, true, GOAL, NULL, 1, false},
    {"Optuna TPE", play_optuna, false, GOAL, "tpe", 10, false},
    {"Optuna TPE + curve", play_optuna, true, GOAL, "tpe", 10, false},
    {"Optuna CMA-ES", play_optuna, false, GOAL, "cma", 10, false},
    {"Optuna CMA-ES + curve", play_optuna, true, GOAL, "cma", 10, false},
    {"CHAT (+ curve)", play_chat, true, GOAL, NULL, 1, false},
    {"VDTuner's BO", play_bo, false, GOAL, NULL, 10, false},
    {"VDTuner's BO + curve", play_bo, true, GOAL, NULL, 10, false},
    {"oracle of other seeds", play_oracle, true, GOAL, NULL, 1, false},
};

#endif
