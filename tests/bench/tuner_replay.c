/* SPDX-License-Identifier: MIT */
/*
 * Replay strategies against exact tables (tuner_table): how far above the cheapest config is what
 * they would choose, by build-equivalents spent (the build at M 16, ef_construction 400).
 *
 *	tuner_replay ROUNDS latency|distances [-v] NAME.SEED.tab...
 *
 * Each time that a player sees is disturbed by noise of 3 %; distances are exact.  After each
 * build the player's Trials are decided upon, and finalists within 3 % fight a duel, which the
 * champion loses to one that is faster by 2 %, as it does in a tuning run.  Regret is of the true
 * cost of the graph that is chosen over that of the best of all graphs of the same seed, that is,
 * the luck of single graphs is held against a player.  Below that the same as configs: the mean
 * over the seeds of a set, each with the least ef_search that does.  What does not reach the target
 * counts as 100 %, as does having nothing yet.  -v: each set and target apart, for the first player.
 */
#include "tests/bench/tuner_players.h"

#define NOISE 0.03
#define FASTER 1.02 /* what a duel can tell */

static const double budgets[] = {0.5, 1, 2, 3.5, 5, 8};
static const double targets[] = {0.9, 0.95, 0.98};
#define SHOWN 3 /* budget whose cells -v shows */

/* ---- a game ---- */

static void measure_as(struct game *a, const struct line *l, uint32_t ef, const char *vectors,
		       struct config config)
{
	struct err err;
	struct curve_point p = curve_at(&l->curve, ef);
	struct trial t = {.id = span_of("x"),
			  .vectors_digest = span_of(vectors),
			  .whole_digest = span_of(vectors),
			  .eval_digest = span_of("e"),
			  .config = config,
			  .recall_lcb = p.lower,
			  .distances_per_query = p.distances,
			  .target_recall = NAN,
			  .at_target = NAN};
	t.config.ef_search = ef;
	if (a->player->curve)
		t.curve = (struct span){l->json, l->len};
	t.metrics =
	    (struct metrics){.build_time_secs = l->seconds,
			     .search_latency_p50_us = true_us(a->w, l, ef) * exp(NOISE * normal()),
			     .recall_at_k = p.recall,
			     .memory_bytes = (uint64_t)l->memory,
			     .vectors = l->rows,
			     .eval_queries = QUERIES};
	if (tune_history_add(&a->h, &t, &err) != 0)
		die(err.msg);
}

static void measure(struct game *a, const struct line *l, uint32_t ef)
{
	measure_as(a, l, ef, "now", l->config);
}

/* As hnsw-bench does with --at-target: the least ef_search that reaches it, and 1.8 times that. */
static void measure_at_target(struct game *a, const struct line *l)
{
	uint32_t most = a->g->space.es.max, ef = reach(l, a->g), second;
	ef = ef ? ef : most;
	second = (uint32_t)(ef * 1.8);
	measure(a, l, second <= most ? second : most * 5 / 9);
	measure(a, l, ef);
}

static const struct tune_timing *greatest_recall(const struct game *a,
						 const struct tune_build **of)
{
	const struct tune_timing *best = NULL;
	for (size_t i = 0; i < a->h.n; i++)
		for (size_t j = 0; j < a->h.build[i].n; j++) {
			const struct tune_timing *t = &a->h.build[i].timing[j];
			if (best && !(t->recall > best->recall + 1e-4 ||
				      (t->recall > best->recall - 1e-4 && t->log_us < best->log_us)))
				continue;
			best = t;
			*of = &a->h.build[i];
		}
	return best;
}

struct chosen {
	struct config config;
	bool any;
};

static double chosen_cost(const struct game *a, const struct config *c)
{
	return true_cost(a->w, a->g, world_find(a->w, c), c->ef_search);
}

static struct chosen choose(const struct game *a)
{
	struct chosen out = {.any = false};
	struct tune_choice c;
	struct err err;
	if (a->player->rule == GREATEST_RECALL) {
		const struct tune_build *b;
		const struct tune_timing *t = greatest_recall(a, &b);
		if (!t || t->recall < a->g->target_recall)
			return out;
		out = (struct chosen){b->config, true};
		out.config.ef_search = t->ef;
		return out;
	}
	if (tune_decide(&a->h, a->g, false, &c, &err) != 0)
		die(err.msg);
	if (c.verdict != TUNE_REACHED)
		return out;
	out = (struct chosen){c.best[0].config, true};
	for (size_t i = 1; i < c.n; i++)
		if (chosen_cost(a, &c.best[i].config) * FASTER < chosen_cost(a, &out.config))
			out.config = c.best[i].config;
	return out;
}

struct result {
	double graph[COUNT(budgets) + 1]; /* regret; the last: at its end */
	double config[COUNT(budgets) + 1];
	double spent;
};

/* What the best of all configs costs. */
struct best {
	double graph, config;
};

static void note(struct result *r, size_t i, double graph, double config)
{
	r->graph[i] = graph;
	r->config[i] = config;
}

static void regret(const struct game *a, const struct best *best, double *graph, double *config)
{
	struct chosen c = choose(a);
	*graph = *config = 1;
	if (!c.any)
		return;
	*graph = chosen_cost(a, &c.config) / best->graph - 1;
	*config = mean_cost(a->all, a->n_all, a->w->set, NULL, a->g, &c.config) / best->config - 1;
	if (isinf(*config))
		*config = 1;
}

/* How far the latency law of a game is off, of builds that the game did not make: of what was
 * measured where they are near the target, of that anywhere, and of what is taken for true there. */
static struct errors {
	double *off;
	size_t n, cap;
} near_target, anywhere_off, true_off;

static void note_error(struct errors *e, double off)
{
	if (e->n == e->cap) {
		e->cap = e->cap ? 2 * e->cap : 1024;
		e->off = realloc(e->off, e->cap * sizeof *e->off);
		if (!e->off)
			die("out of memory");
	}
	e->off[e->n++] = fabs(off);
}

static void check_law(const struct game *a)
{
	struct tune_law law = tune_law_fit(&a->h);
	for (size_t i = 0; i < a->w->n; i++) {
		const struct line *l = &a->w->line[i];
		uint32_t target = reach(l, a->g);
		if (l->config.rung || !target || tune_history_find(&a->h, &l->config))
			continue;
		for (size_t p = 0; p < l->curve.n; p++) {
			const struct curve_point *c = &l->curve.point[p];
			double by_law = tune_law_us(&law, c->ef, c->distances);
			bool near = c->ef > target / 2 && c->ef < 2 * target;
			if (near)
				note_error(&true_off, log(by_law / true_us(a->w, l, c->ef)));
			if (l->timed[p] > 0)
				note_error(near ? &near_target : &anywhere_off,
					   log(by_law / l->timed[p]));
		}
	}
}

static double quantile(double *v, size_t n, double p);

static void print_errors(const char *of, struct errors *e)
{
	if (e->n)
		printf("latency law off by %.1f/%.1f %% of %s\n", 100 * quantile(e->off, e->n, 0.5),
		       100 * quantile(e->off, e->n, 0.95), of);
}

/* What a tuning run has built, when the index had half of the rows. */
static void recall_first_run(struct game *a)
{
	struct err err;
	struct config done[STEPS_MAX];
	size_t n = 0;
	if (!a->player->second)
		return;
	if (tune_history_only(&a->h, "now", NULL, &err) != 0)
		die(err.msg);
	struct game first = {.w = a->w, .g = a->g, .player = players};
	struct config c = CONFIG_DEFAULT;
	for (; play_model(&first, &c) && n < STEPS_MAX; first.step++) {
		const struct line *l = world_find(a->w, &c);
		if (!l)
			die("a config that the table lacks");
		measure_at_target(&first, l);
		if (!c.rung)
			done[n++] = c;
	}
	tune_history_release(&first.h);
	for (size_t i = 0; i < n; i++) {
		struct config half = done[i];
		half.rung = (uint32_t)(a->w->line[0].all / 2);
		const struct line *l = world_find(a->w, &half);
		uint32_t ef = l ? reach(l, a->g) : 0;
		if (!l)
			die("a table lacks half of the rows");
		ef = ef ? ef : a->g->space.es.max;
		measure_as(a, l, ef, "before", done[i]);
		measure_as(a, l, ef * 5 / 9 < 10 ? 2 * ef : ef * 5 / 9, "before", done[i]);
	}
	tune_history_end(&a->h);
}

static void play(struct game *a, const struct best *best, struct result *r)
{
	double graph = 1, config = 1;
	size_t b = 0;
	recall_first_run(a);
	for (; a->step < STEPS_MAX; a->step++) {
		struct config c = CONFIG_DEFAULT;
		if (!a->player->play(a, &c))
			break;
		const struct line *l = world_find(a->w, &c);
		if (!l)
			die("a config that the table lacks");
		/* With curves nothing is built twice. */
		double price = a->player->curve && tune_history_find(&a->h, &c)
				   ? 0
				   : l->seconds / a->w->unit;
		if (a->spent + price > budgets[COUNT(budgets) - 1])
			break;
		a->spent += price;
		while (b < COUNT(budgets) && a->spent > budgets[b])
			note(r, b++, graph, config);
		if (a->player->curve)
			measure_at_target(a, l);
		else
			measure(a, l, c.ef_search);
		a->h.pairs.last.ef_search = c.ef_search;
		regret(a, best, &graph, &config);
	}
	while (b <= COUNT(budgets))
		note(r, b++, graph, config);
	r->spent = a->spent;
	if (a->player == players && a->g->minimise == TUNE_LATENCY)
		check_law(a);
	tune_history_release(&a->h);
}

/* ---- all games ---- */

static struct world **worlds;
static size_t n_worlds;

static struct best best_of(const struct world *w, const struct tune_goal *g)
{
	struct best b = {optimum(w, g), INFINITY};
	for (size_t i = 0; i < w->n_m * w->n_ec; i++) {
		struct config c = number(w, i);
		b.config = fmin(b.config, mean_cost(worlds, n_worlds, w->set, NULL, g, &c));
	}
	return b;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double quantile(double *v, size_t n, double p)
{
	qsort(v, n, sizeof *v, by_value);
	return v[(size_t)((double)(n - 1) * p + 0.5)];
}

static double at(const struct result *r, size_t n, size_t offset, double p)
{
	double *v = malloc(n * sizeof *v);
	if (!v)
		die("out of memory");
	for (size_t i = 0; i < n; i++)
		memcpy(&v[i], (const char *)&r[i] + offset, sizeof *v);
	double q = quantile(v, n, p);
	free(v);
	return q;
}

static void print_row(const char *name, const struct result *r, size_t n, size_t column)
{
	printf("%-26s", name);
	for (size_t b = 0; b <= COUNT(budgets); b++) {
		size_t offset = column + b * sizeof(double);
		printf(" %6.1f/%-6.1f", 100 * at(r, n, offset, 0.5), 100 * at(r, n, offset, 0.95));
	}
	printf(" %5.2f/%-5.2f\n", at(r, n, offsetof(struct result, spent), 0.5),
	       at(r, n, offsetof(struct result, spent), 0.95));
	fflush(stdout);
}

static void print_cell(const struct world *w, double target, const struct result *r, size_t n)
{
	printf("  %s.%llu at %.2f:", w->set, w->seed, target);
	for (size_t b = 0; b <= COUNT(budgets); b++)
		printf(" %.1f/%.1f", 100 * at(r, n, b * sizeof(double), 0.5),
		       100 * at(r, n, b * sizeof(double), 0.95));
	putchar('\n');
}

/* All games of one player; returns how many. */
static size_t play_all(const struct player *p, enum tune_cost minimise, size_t rounds,
		       bool detail, struct result *out)
{
	size_t n = 0;
	for (size_t i = 0; i < n_worlds; i++)
		for (size_t j = 0; j < COUNT(targets); j++) {
			const struct world *w = worlds[i];
			struct tune_goal g = TUNE_GOAL_DEFAULT;
			g.target_recall = targets[j];
			g.minimise = minimise;
			g.confidence = 0.5;
			g.space.m = (struct tune_range){w->m[0], w->m[w->n_m - 1]};
			struct best best = best_of(w, &g);
			if (isinf(best.graph))
				continue;
			size_t from = n;
			for (size_t r = 0; r < rounds; r += p->slow) {
				struct game a = {.w = w,
						 .g = &g,
						 .player = p,
						 .all = worlds,
						 .n_all = n_worlds};
				play(&a, &best, &out[n++]);
			}
			if (detail)
				print_cell(w, targets[j], out + from, n - from);
		}
	return n;
}

static void print_head(const char *what)
{
	printf("%-26s", what);
	for (size_t b = 0; b < COUNT(budgets); b++)
		printf(" %10.1f BE", budgets[b]);
	printf(" %13s %11s\n", "at its end", "BE spent");
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 3 ? strtoul(argv[1], NULL, 10) : 0;
	bool detail = argc > 3 && strcmp(argv[3], "-v") == 0;
	bool seeds = false;
	enum tune_cost minimise = TUNE_LATENCY;
	if (argc > 2 && strcmp(argv[2], "distances") == 0)
		minimise = TUNE_DISTANCES;
	n_worlds = argc > 3 + detail ? (size_t)(argc - 3 - detail) : 0;
	if (!rounds || !n_worlds) {
		fprintf(stderr,
			"usage: tuner_replay ROUNDS latency|distances [-v] NAME.SEED.tab...\n");
		return 2;
	}
	worlds = calloc(n_worlds, sizeof *worlds);
	struct result *r = calloc(rounds * n_worlds * COUNT(targets), sizeof *r);

	if (!worlds || !r)
		die("out of memory");
	for (size_t i = 0; i < n_worlds; i++)
		worlds[i] = world_read(argv[3 + detail + (int)i]);
	for (size_t i = 0; i < n_worlds; i++)
		seeds |= worlds[i]->seed != worlds[0]->seed;
	bool optuna = optuna_start(getenv("HNSW_BENCH_OPTUNA"));
	print_head("regret %, median/p95 at");
	for (size_t p = 0; p < COUNT(players); p++) {
		if (players[p].sampler && !optuna)
			continue;
		size_t n = play_all(&players[p], minimise, rounds, detail && p == 0, r);
		if (n == 0)
			continue;
		print_row(players[p].name, r, n, offsetof(struct result, graph));
		if (seeds)
			print_row("   as configs", r, n, offsetof(struct result, config));
		if (detail)
			break;
	}
	print_errors("what is true of other builds near the target", &true_off);
	print_errors("what was measured of them", &near_target);
	print_errors("what was measured at other ef_search", &anywhere_off);
	return 0;
}
