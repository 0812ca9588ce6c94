/* SPDX-License-Identifier: MIT */
/*
 * Replay strategies against exact tables (tuner_table): how far above the cheapest config is what
 * they would choose, by build-equivalents spent (the build at M 16, ef_construction 400).
 *
 *	tuner_replay ROUNDS TABLE...
 *
 * Each time is disturbed by noise of 3 %; regret is of the true times.  What does not reach the
 * target counts as 100 %, as does having nothing yet.
 */
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
#define NOISE 0.03
#define BUILDS_MAX 72
#define PART 0.25

static const double budgets[] = {0.5, 1, 2, 3.5, 5};
static const double targets[] = {0.9, 0.95, 0.98, 0.99};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct line {
	struct config config;
	unsigned long long rows, all;
	double seconds, memory;
	size_t n;
	struct curve curve;
	double log_us[POINTS_MAX];
	char *json;
	size_t len;
};

struct table {
	struct line line[LINES_MAX];
	size_t n;
	double unit;
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

/* ---- tables ---- */

static bool read_line(FILE *f, struct line *l)
{
	unsigned long long seed;
	*l = (struct line){.config = CONFIG_DEFAULT};
	if (fscanf(f, "%u %u %llu %llu %llu %lf %lf %zu", &l->config.m, &l->config.ef_construction,
		   &seed, &l->rows, &l->all, &l->seconds, &l->memory, &l->n) != 8)
		return false;
	if (l->n > POINTS_MAX)
		die("too many points");
	l->config.rung = l->rows < l->all ? (uint32_t)l->rows : 0;
	l->curve = (struct curve){.point = calloc(l->n, sizeof *l->curve.point),
				  .n = l->n,
				  .confidence = 0.99,
				  .target = 0.9};
	for (size_t i = 0; i < l->n; i++) {
		struct curve_point *p = &l->curve.point[i];
		double us;
		if (fscanf(f, "%u %lf %lf %lf %lf", &p->ef, &p->recall, &p->lower, &p->distances,
			   &us) != 5)
			die("a line is short");
		l->log_us[i] = us > 0 ? log(us) : NAN;
	}
	/* Every other point was timed. */
	for (size_t i = 0; i < l->n; i++)
		if (isnan(l->log_us[i]))
			l->log_us[i] = i + 1 < l->n ? (l->log_us[i - 1] + l->log_us[i + 1]) / 2
						    : l->log_us[i - 1];
	struct buf b = BUF_INIT;
	struct json_out j = {.b = &b};
	curve_write(&j, &l->curve);
	l->json = b.data;
	l->len = b.len;
	return true;
}

/*
 * Times of a table made on a machine that did other things too scatter by a tenth from build to
 * build, more than the builds do.  What is taken for true is the law of the whole table, moved by a
 * part of what each point is off.
 */
static void smooth(struct table *t)
{
	struct tune_build *b = calloc(t->n, sizeof *b);
	struct tune_history h = {.build = b};
	if (!b)
		die("out of memory");
	for (size_t i = 0; i < t->n; i++) {
		const struct line *l = &t->line[i];
		if (l->config.rung && l->rows * 8 != l->all)
			continue;
		struct tune_build *to = &b[h.n++];
		to->timing = calloc(l->n, sizeof *to->timing);
		for (to->n = 0; to->n < l->n; to->n++)
			to->timing[to->n] = (struct tune_timing){
			    .ef = l->curve.point[to->n].ef,
			    .count = 1,
			    .log_us = l->log_us[to->n],
			    .distances = l->curve.point[to->n].distances};
	}
	struct tune_law law = tune_law_fit(&h);
	for (size_t i = 0; i < t->n; i++)
		for (size_t p = 0; p < t->line[i].n; p++) {
			const struct curve_point *c = &t->line[i].curve.point[p];
			double by_law = log(tune_law_us(&law, c->ef, c->distances));
			t->line[i].log_us[p] = by_law + PART * (t->line[i].log_us[p] - by_law);
		}
	for (size_t i = 0; i < h.n; i++)
		free(b[i].timing);
	free(b);
}

static struct table *read_table(const char *path)
{
	struct table *t = calloc(1, sizeof *t);
	FILE *f = fopen(path, "r");
	if (!f || !t)
		die("cannot read a table");
	while (t->n < LINES_MAX && read_line(f, &t->line[t->n])) {
		const struct line *l = &t->line[t->n++];
		if (!l->config.rung && l->config.m == 16 && l->config.ef_construction == 400)
			t->unit = l->seconds;
	}
	fclose(f);
	smooth(t);
	return t;
}

static const struct line *find_line(const struct table *t, const struct config *c)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->line[i].config.m == c->m &&
		    t->line[i].config.ef_construction == c->ef_construction &&
		    t->line[i].config.rung == c->rung)
			return &t->line[i];
	return NULL;
}

static double true_us(const struct line *l, uint32_t ef)
{
	size_t i = 1;
	while (i + 1 < l->n && l->curve.point[i].ef < ef)
		i++;
	double a = l->curve.point[i - 1].ef, b = l->curve.point[i].ef;
	return exp(l->log_us[i - 1] + (l->log_us[i] - l->log_us[i - 1]) * (ef - a) / (b - a));
}

/* The least ef_search that reaches the target, or 0. */
static uint32_t reach(const struct line *l, const struct tune_goal *g)
{
	struct tune_build b = {.curve = l->curve, .queries = 1000};
	return tune_reach(g, &b);
}

static double optimum(const struct table *t, const struct tune_goal *g)
{
	double best = INFINITY;
	for (size_t i = 0; i < t->n; i++)
		if (!t->line[i].config.rung) {
			uint32_t ef = reach(&t->line[i], g);
			if (ef)
				best = fmin(best, true_us(&t->line[i], ef));
		}
	return best;
}

/* ---- players ---- */

struct game {
	const struct table *t;
	const struct tune_goal *g;
	struct tune_history h;
	uint64_t step;
	uint32_t order[BUILDS_MAX];
	double low_m, high_m; /* of CHAT */
	double spent;
};

typedef bool player_fn(struct game *game, struct config *out);

static const uint32_t all_m[] = {8, 12, 16, 24, 32, 48};
static const uint32_t all_ec[] = {10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 400};

static bool play_model(struct game *a, struct config *out)
{
	struct tune_proposal p;
	struct err err;
	if (tune_strategy_find("model", &err)->next(&a->h, a->g, &p, &err) != 0)
		return false;
	a->h.n_pending = 0;
	*out = p.config;
	return true;
}

static bool play_original(struct game *a, struct config *out)
{
	static const uint32_t ec[] = {20, 40, 80, 160};
	if (a->step >= COUNT(ec))
		return false;
	out->m = 16;
	out->ef_construction = ec[a->step];
	return true;
}

static void number(uint32_t n, struct config *out)
{
	out->m = all_m[n / COUNT(all_ec)];
	out->ef_construction = all_ec[n % COUNT(all_ec)];
}

static bool play_random(struct game *a, struct config *out)
{
	if (a->step == 0)
		rng_permutation(rng_next(&rng), a->order, BUILDS_MAX);
	if (a->step >= BUILDS_MAX)
		return false;
	number(a->order[a->step], out);
	return true;
}

static bool play_grid(struct game *a, struct config *out)
{
	if (a->step >= BUILDS_MAX)
		return false;
	number((uint32_t)a->step, out);
	return true;
}

/* What a build that was played costs at the target by its measured times. */
static double played(const struct game *a, uint32_t m, uint32_t ec)
{
	struct config c = CONFIG_DEFAULT;
	c.m = m;
	c.ef_construction = ec;
	const struct tune_build *b = tune_history_find(&a->h, &c);
	if (!b)
		return NAN;
	uint32_t ef = tune_reach(a->g, b);
	return ef ? exp(b->timing[0].log_us) : INFINITY;
}

/* Ternary search over ef_construction at one M: the next build it wants, or the best. */
static bool ternary_ec(const struct game *a, uint32_t m, uint32_t *ec, double *best)
{
	int lo = 0, hi = (int)COUNT(all_ec) - 1;
	*best = INFINITY;
	while (lo <= hi) {
		int p = lo + (hi - lo) / 3, q = hi - (hi - lo) / 3;
		double x = played(a, m, all_ec[p]), y = played(a, m, all_ec[q]);
		if (isnan(x) || isnan(y)) {
			*ec = all_ec[isnan(x) ? p : q];
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

/* CHAT, arXiv 2607.04630, from its description: nested ternary searches of M and ef_construction,
 * ef_search where the constraint is met. */
static bool play_chat(struct game *a, struct config *out)
{
	int lo = 0, hi = (int)COUNT(all_m) - 1;
	while (lo <= hi) {
		int p = lo + (hi - lo) / 3, q = hi - (hi - lo) / 3;
		double x, y;
		out->m = all_m[p];
		if (ternary_ec(a, all_m[p], &out->ef_construction, &x))
			return true;
		out->m = all_m[q];
		if (ternary_ec(a, all_m[q], &out->ef_construction, &y))
			return true;
		if (y < x)
			lo = p + 1;
		else
			hi = q - 1;
	}
	return false;
}

static const struct {
	const char *name;
	player_fn *play;
} players[] = {
    {"model (ours)", play_model},     {"original's grid + curve", play_original},
    {"random + curve", play_random},  {"full grid + curve", play_grid},
    {"CHAT + curve", play_chat},
};

/* ---- a game ---- */

static void measure(struct game *a, const struct line *l, uint32_t ef)
{
	struct err err;
	struct curve_point p = curve_at(&l->curve, ef);
	struct trial t = {.id = span_of("x"),
			  .vectors_digest = span_of("v"),
			  .whole_digest = span_of("v"),
			  .eval_digest = span_of("e"),
			  .curve = {l->json, l->len},
			  .config = l->config,
			  .recall_lcb = p.lower,
			  .distances_per_query = p.distances,
			  .target_recall = NAN,
			  .at_target = NAN};
	t.config.ef_search = ef;
	t.metrics = (struct metrics){.build_time_secs = l->seconds,
				     .search_latency_p50_us = true_us(l, ef) * exp(NOISE * normal()),
				     .recall_at_k = p.recall,
				     .memory_bytes = (uint64_t)l->memory,
				     .vectors = l->rows,
				     .eval_queries = 1000};
	if (tune_history_add(&a->h, &t, &err) != 0)
		die(err.msg);
}

static double regret(const struct game *a, double best)
{
	struct tune_choice c;
	struct err err;
	if (tune_decide(&a->h, a->g, false, &c, &err) != 0)
		die(err.msg);
	if (c.verdict != TUNE_REACHED)
		return 1;
	return true_us(find_line(a->t, &c.best[0].build->config), c.best[0].config.ef_search) / best -
	       1;
}

/* Plays one; the regret at each budget, and at the end. */
static void play(const struct table *t, const struct tune_goal *g, player_fn *player,
		 double *out, double *spent)
{
	struct game a = {.t = t, .g = g};
	double best = optimum(t, g), now = 1;
	size_t b = 0;
	for (; a.spent < 8; a.step++) {
		struct config c = CONFIG_DEFAULT;
		/* The model sees rows only after a first Trial: it is told of them. */
		a.h.rows = t->line[0].all;
		if (!player(&a, &c))
			break;
		const struct line *l = find_line(t, &c);
		if (!l)
			die("a config that the table lacks");
		a.spent += l->seconds / t->unit;
		while (b < COUNT(budgets) && a.spent > budgets[b])
			out[b++] = now;
		uint32_t ef = reach(l, g);
		ef = ef ? ef : g->space.es.max;
		measure(&a, l, ef);
		uint32_t second = (uint32_t)(ef * 1.8);
		measure(&a, l, second <= g->space.es.max ? second : g->space.es.max * 5 / 9);
		now = regret(&a, best);
	}
	while (b < COUNT(budgets))
		out[b++] = now;
	out[b] = now;
	*spent = a.spent;
	tune_history_release(&a.h);
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

int main(int argc, char **argv)
{
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, n_tables = argc > 2 ? (size_t)argc - 2 : 0;
	if (!rounds || !n_tables) {
		fprintf(stderr, "usage: tuner_replay ROUNDS TABLE...\n");
		return 2;
	}
	size_t most = rounds * n_tables * COUNT(targets);
	double *all = malloc((COUNT(budgets) + 2) * most * sizeof *all);
	struct table **t = malloc(n_tables * sizeof(struct table *));
	if (!all || !t)
		die("out of memory");
	for (size_t i = 0; i < n_tables; i++)
		t[i] = read_table(argv[i + 2]);
	printf("%-26s", "regret %, median / p95 at");
	for (size_t b = 0; b < COUNT(budgets); b++)
		printf(" %9.1f BE", budgets[b]);
	printf("  %12s %12s\n", "its end", "BE spent");
	for (size_t p = 0; p < COUNT(players); p++) {
		size_t n = 0;
		for (size_t i = 0; i < n_tables; i++)
			for (size_t j = 0; j < COUNT(targets); j++) {
				struct tune_goal g = TUNE_GOAL_DEFAULT;
				g.target_recall = targets[j];
				g.confidence = 0.5;
				g.space.m = (struct tune_range){8, 48};
				if (isinf(optimum(t[i], &g)))
					continue;
				for (size_t r = 0; r < rounds; r++, n++) {
					double out[COUNT(budgets) + 1], spent;
					play(t[i], &g, players[p].play, out, &spent);
					for (size_t b = 0; b <= COUNT(budgets); b++)
						all[b * most + n] = out[b];
					all[(COUNT(budgets) + 1) * most + n] = spent;
				}
			}
		printf("%-26s", players[p].name);
		for (size_t b = 0; b <= COUNT(budgets) + 1; b++) {
			double *v = all + b * most, scale = b <= COUNT(budgets) ? 100 : 1;
			printf(b <= COUNT(budgets) ? " %5.1f/%-6.1f" : " %5.2f/%-5.2f",
			       scale * quantile(v, n, 0.5), scale * quantile(v, n, 0.95));
		}
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}
