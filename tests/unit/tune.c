/* SPDX-License-Identifier: MIT */
/* Goals, the history, the latency law, the Gaussian process, the choice and the proposers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "stat/mean.h"
#include "tests/unit/tap.h"
#include "tune/decide.h"
#include "tune/gp.h"
#include "tune/law.h"
#include "tune/strategy.h"

#define ROWS 20000

/* ---- goals ---- */

static bool parses(const char *text, struct tune_space *s)
{
	struct err err;
	*s = tune_space_default;
	return tune_space_parse(span_of(text), s, &err) == 0;
}

static void test_goals(void)
{
	struct tune_space s;
	struct err err;
	ok(parses("m=4:96 ec=10:1000 es=10:2000 storage=auto,f32", &s) && s.m.min == 4 &&
	       s.m.max == 96 && s.ec.max == 1000 && s.es.max == 2000 &&
	       s.storages == (1u << HNSW_AUTO | 1u << HNSW_F32),
	   "a space is read");
	ok(parses("  m=16 ", &s) && s.m.min == 16 && s.m.max == 16 && s.ec.max == 400,
	   "one number is a range; what is not named stays");
	static const char *const bad[] = {"m=3:8",  "m=8:97", "m=9:8", "ec=10:1001", "es=1:20", "m=",
					  "m=8:",   "q=1:2",  "m",     "storage=",   "storage=f32,",
					  "m=8:9:10", "m=-8:9", "m=8 :9"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ok(!parses(bad[i], &s), "'%s' is refused", bad[i]);
	struct tune_goal g = TUNE_GOAL_DEFAULT;
	ok(tune_goal_check(&g, &err) == 0, "the default goal is sound");
	g.target_recall = 0;
	ok(tune_goal_check(&g, &err) != 0 && err.code == ERR_USAGE, "an empty goal is refused");
	g.target_recall = NAN;
	ok(tune_goal_check(&g, &err) != 0, "NaN is refused");
	g.target_recall = 1;
	ok(tune_goal_check(&g, &err) != 0, "recall 1 cannot be proven");
	g.confidence = 0.5;
	ok(tune_goal_check(&g, &err) == 0, "but reached by the mean");
}

/* ---- a made-up data set ---- */

static struct curve_point world(const struct config *c, uint32_t ef)
{
	double graph = 1 - 2.0 / c->ef_construction - 1.0 / (c->m * c->m);
	double recall = graph * (1 - 0.9 * pow(ef / 5.0, -1.2));
	return (struct curve_point){ef, recall, recall - 0.01, recall > 0.9, 5.0 * ef + 4 * c->m};
}

static double world_us(const struct curve_point *p)
{
	return 1.5 + 0.05 * p->distances + 0.03 * p->ef;
}

static void add(struct tune_history *h, const struct config *config, const char *vectors,
		double us, bool with_curve)
{
	struct err err;
	struct buf b = BUF_INIT;
	struct json_out j = {.b = &b};
	uint32_t width[CURVE_POINTS_MAX];
	struct curve c = {.n = curve_widths(10, 200, width), .confidence = 0.99, .target = 0.9};
	c.point = calloc(c.n, sizeof *c.point);
	for (size_t i = 0; i < c.n; i++)
		c.point[i] = world(config, width[i]);
	curve_write(&j, &c);
	struct curve_point p = world(config, config->ef_search);
	struct trial t = {.id = span_of("x"),
			  .vectors_digest = span_of(vectors),
			  .whole_digest = span_of(vectors),
			  .eval_digest = span_of("e"),
			  .config = *config,
			  .recall_lcb = p.lower,
			  .distances_per_query = p.distances,
			  .at_target = NAN,
			  .target_recall = NAN};
	if (with_curve)
		t.curve = buf_span(&b);
	uint64_t rows = config->rung ? config->rung : ROWS;
	t.metrics = (struct metrics){.build_time_secs = 1e-6 * (double)rows * config->ef_construction,
				     .search_latency_p50_us = us > 0 ? us : world_us(&p),
				     .recall_at_k = p.recall,
				     .memory_bytes = rows * config->m * 8,
				     .vectors = rows,
				     .eval_queries = 1000};
	if (tune_history_add(h, &t, &err) != 0)
		ok(false, "%s", err.msg);
	curve_release(&c);
	buf_release(&b);
}

static struct config config_of(uint32_t m, uint32_t ec, uint32_t ef)
{
	struct config c = CONFIG_DEFAULT;
	c.m = m;
	c.ef_construction = ec;
	c.ef_search = ef;
	return c;
}

/* ---- the law, the process ---- */

static double law_error(const struct tune_history *h)
{
	struct tune_law law = tune_law_fit(h);
	double worst = 0;
	for (uint32_t ef = 10; ef <= 200; ef += 10) {
		struct config c = config_of(24, 200, ef);
		struct curve_point p = world(&c, ef);
		worst = fmax(worst, fabs(log(tune_law_us(&law, ef, p.distances) / world_us(&p))));
	}
	return worst;
}

static void test_law(void)
{
	struct tune_history h = TUNE_HISTORY_INIT;
	static const uint32_t m[] = {8, 16, 32, 48};
	for (size_t i = 0; i < 4; i++) {
		struct config c = config_of(m[i], 80, 20);
		add(&h, &c, "v", 0, true);
		c.ef_search = 36;
		add(&h, &c, "v", 0, true);
	}
	double worst = law_error(&h);
	ok(worst < 0.06, "the law of two times a build holds within 6 %% elsewhere (%.3f)", worst);
	for (size_t i = 0; i < 4; i++) {
		struct config c = config_of(m[i], 40, 20 + 10 * (uint32_t)i);
		struct curve_point p = world(&c, c.ef_search);
		c.rung = ROWS / 16;
		add(&h, &c, "v", 0.7 * world_us(&p), true);
	}
	worst = law_error(&h);
	ok(worst < 0.06, "rungs, which are faster, do not bend it (%.3f)", worst);
	struct config loaded = config_of(12, 160, 50);
	struct curve_point p = world(&loaded, 50);
	add(&h, &loaded, "v", 1.5 * world_us(&p), true);
	worst = law_error(&h);
	ok(worst < 0.06, "nor does a time that other load spoilt (%.3f)", worst);
	tune_history_release(&h);
	struct tune_law law = tune_law_fit(&h);
	ok(isnan(tune_law_us(&law, 10, 100)), "without times there is no law");
}

static void test_process(void)
{
	/* One point, by hand: mean k/(k + noise^2) y, variance k - k^2/(k + noise^2). */
	static struct gp g;
	g = (struct gp){.params = {.sd = 2, .length = {1, 1, 1, 1}, .noise = 1}};
	struct gp_point at = {.x = {0}}, off = {.x = {1}};
	double mean, sd;
	gp_add(&g, &at, 5);
	gp_fit(&g);
	gp_at(&g, &at, &mean, &sd);
	ok(fabs(mean - 4.0 / 5 * 5) < 1e-12 && fabs(sd - sqrt(4 - 16.0 / 5)) < 1e-12,
	   "a process of one point agrees with the formula");
	double r = sqrt(5), k = 4 * (1 + r + r * r / 3) * exp(-r);
	gp_at(&g, &off, &mean, &sd);
	ok(fabs(mean - k) < 1e-12 && fabs(sd - sqrt(4 - k * k / 5)) < 1e-12,
	   "and beside the point, by the Matern kernel");
	/* Two points: the inverse of a 2 x 2 matrix. */
	gp_add(&g, &off, 1);
	gp_fit(&g);
	gp_at(&g, &at, &mean, &sd);
	double det = 25 - k * k, a = (5 * 5 - k * 1) / det, b = (5 * 1 - k * 5) / det;
	ok(fabs(mean - (4 * a + k * b)) < 1e-12, "and of two");
	for (int i = 0; i < 1000; i++)
		gp_add(&g, &at, 5);
	gp_fit(&g);
	gp_at(&g, &at, &mean, &sd);
	ok(g.n == GP_POINTS && isfinite(mean) && fabs(mean - 5) < 0.1,
	   "equal points do no harm, and no more than fit are taken");
}

/* ---- choices ---- */

static void test_choices(void)
{
	struct tune_history h = TUNE_HISTORY_INIT;
	struct tune_goal g = TUNE_GOAL_DEFAULT;
	struct tune_choice c;
	struct err err;
	ok(tune_decide(&h, &g, false, &c, &err) == 0 && c.verdict == TUNE_NOTHING,
	   "no Trial, no choice");
	struct config one = config_of(16, 80, 20);
	for (int i = 0; i < 1000; i++)
		add(&h, &one, "v", 0, true);
	ok(h.n == 1 && h.build[0].n == 1, "the same config a thousand times is one build");
	struct config other = config_of(32, 80, 20), rung = config_of(8, 400, 10);
	rung.rung = 1250;
	add(&h, &rung, "v", 0.001, true);
	add(&h, &other, "w", 0, true);
	add(&h, &one, "v", 0, true);
	tune_history_end(&h);
	ok(h.others == 1 && h.n == 2 && h.rows == ROWS, "Trials of other vectors are left out");
	ok(tune_decide(&h, &g, false, &c, &err) == 0 && c.verdict == TUNE_REACHED &&
	       !c.best[0].config.rung && c.best[0].lower >= 0.9,
	   "a rung is never chosen");
	struct curve_point less = world(&one, c.best[0].config.ef_search - 1);
	ok(less.lower < 0.9 + 2e-4, "the least ef_search that does is");
	g.target_recall = 0.999;
	ok(tune_decide(&h, &g, false, &c, &err) == 0 && c.verdict == TUNE_IMPOSSIBLE &&
	       strstr(c.advice, "the graph, not ef_search"),
	   "where the graph is the limit, it is said");
	g = (struct tune_goal)TUNE_GOAL_DEFAULT;
	g.max_memory = 1;
	ok(tune_decide(&h, &g, false, &c, &err) == 0 && c.verdict == TUNE_IMPOSSIBLE,
	   "a limit that nothing meets");
	struct config nan = config_of(16, 80, 20);
	add(&h, &nan, "v", -1, false);
	tune_history_release(&h);
}

static void test_challenger(void)
{
	struct tune_history h = TUNE_HISTORY_INIT;
	struct tune_goal g = TUNE_GOAL_DEFAULT;
	struct tune_choice c;
	struct err err;
	struct config few = config_of(16, 80, 10), dear = config_of(16, 80, 200), cheap = dear;
	add(&h, &few, "v", 0, true);
	add(&h, &dear, "v", 0, true);
	tune_history_end(&h);
	cheap.ef_search = tune_reach(&g, &h.build[0]);
	ok(cheap.ef_search > 10 && cheap.ef_search < 190, "between the two");
	ok(tune_challenger(&h, &g, &dear, true, &c, &err) == 0 && config_same(&c.best[0].config, &dear),
	   "a champion that alone meets the goal stays");
	tune_history_release(&h);
	add(&h, &few, "v", 0, true);
	add(&h, &dear, "v", 0, true);
	add(&h, &cheap, "v", 0, true);
	tune_history_end(&h);
	ok(tune_challenger(&h, &g, &dear, true, &c, &err) == 0 && config_same(&c.best[0].config, &cheap),
	   "a dearer one is challenged by the cheapest that meets the goal");
	ok(tune_challenger(&h, &g, &few, true, &c, &err) == 0 && config_same(&c.best[0].config, &cheap),
	   "so is one that does not meet it");
	struct config near = cheap;
	near.ef_search++;
	add(&h, &near, "v", 0, true);
	tune_history_end(&h);
	ok(tune_challenger(&h, &g, &near, true, &c, &err) == 0 && config_same(&c.best[0].config, &near),
	   "one that is as good by none");
	tune_history_forget(&h, &near);
	tune_history_forget(&h, &cheap);
	ok(tune_challenger(&h, &g, NULL, true, &c, &err) == 0 && config_same(&c.best[0].config, &dear),
	   "what was forgotten is not chosen");
	g.confidence = 0.9999;
	g.target_recall = world(&dear, 200).recall - 1e-6;
	ok(tune_challenger(&h, &g, NULL, true, &c, &err) == -1 && err.code == ERR_NO &&
	       tune_challenger(&h, &g, NULL, false, &c, &err) == 0,
	   "where there is no champion the mean will do, unless proof is wanted");
	tune_history_release(&h);
}

static void test_records(void)
{
	const struct tune_goal unsaid = TUNE_GOAL_UNSAID;
	struct tune_goal g, under;
	struct err err;
	ok(!tune_goal_said(&unsaid), "a goal that says nothing");
	ok(tune_goal_parse(&g, span_of("{\"target_recall\":0.8,\"space\":\"m=4:9\"}"), &err) == 0 &&
	       tune_goal_said(&g) && g.space.m.max == 9 && g.space.ec.max == 0 && g.max_build < 0,
	   "one that says two things");
	ok(tune_goal_parse(&under, span_of("{\"target_recall\":0.7,\"minimise\":\"build\","
					   "\"space\":\"m=5:6 ec=20:30\"}"),
			   &err) == 0,
	   "another");
	tune_goal_fill(&g, &under);
	ok(g.target_recall > 0.79 && g.minimise == TUNE_BUILD && g.space.m.max == 9 &&
	       g.space.ec.max == 30 && g.space.es.max == 0,
	   "what one does not say the other does");
	tune_goal_complete(&g);
	ok(g.confidence > 0.98 && g.space.es.max == 200 && tune_goal_check(&g, &err) == 0,
	   "and the rest is as usual");
	ok(tune_goal_parse(&g, span_of("{\"target_recal\":0.8}"), &err) == -1 && err.code == ERR_DATA,
	   "an unknown key is not passed over");
}

/* ---- proposals ---- */

static void test_model(void)
{
	struct tune_goal g = TUNE_GOAL_DEFAULT;
	struct tune_history h = TUNE_HISTORY_INIT, again = TUNE_HISTORY_INIT;
	struct tune_proposal p, q;
	struct err err;
	const struct tune_strategy *model = tune_strategy_find("model", &err);
	int builds = 0, same = 1;
	h.rows = again.rows = ROWS;
	while (model->next(&h, &g, &p, &err) == 0 && builds < 60) {
		same &= model->next(&again, &g, &q, &err) == 0 && config_same(&p.config, &q.config);
		h.n_pending = again.n_pending = 0;
		if (tune_history_has(&h, &p.config))
			same = 0;
		p.config.ef_search = 20;
		add(&h, &p.config, "v", 0, true);
		add(&again, &p.config, "v", 0, true);
		builds++;
	}
	ok(same && err.code == ERR_NO, "equal histories, equal proposals, each once, then an end: %s",
	   err.msg);
	ok(builds < 20, "after %d builds and rungs", builds);
	tune_history_release(&h);
	tune_history_release(&again);
	/* Nothing can reach 0.9999: it ends as well. */
	g.target_recall = 0.9999;
	h.rows = ROWS;
	for (builds = 0; model->next(&h, &g, &p, &err) == 0 && builds < 100; builds++) {
		h.n_pending = 0;
		add(&h, &p.config, "v", 0, true);
	}
	ok(builds < 100 && strstr(err.msg, "nothing is worth trying"),
	   "an end where nothing is feasible, after %d", builds);
	tune_history_release(&h);
}

/* What an index was tuned for before it grew. */
static void test_older(void)
{
	struct tune_goal g = TUNE_GOAL_DEFAULT;
	struct tune_history h = TUNE_HISTORY_INIT;
	struct tune_proposal p;
	struct tune_choice c;
	struct err err;
	static const uint32_t m[] = {8, 16, 32, 48};
	for (size_t i = 0; i < 4; i++) {
		struct config one = config_of(m[i], 80, 20), rung = one;
		rung.rung = 1250;
		if (i == 0 && tune_history_only(&h, "new", NULL, &err) != 0)
			ok(false, "%s", err.msg);
		add(&h, &one, "before", 0, true);
		add(&h, &one, "v", 0, true);
		add(&h, &rung, "v", 0, true);
	}
	tune_history_end(&h);
	ok(h.n == 0 && h.n_older == 4 && h.others == 12 && h.older[0].rows == ROWS,
	   "whole builds of the Trials right before are kept");
	ok(tune_decide(&h, &g, false, &c, &err) == 0 && c.verdict == TUNE_NOTHING,
	   "nothing is chosen of them");
	h.rows = 2 * ROWS;
	ok(tune_strategy_find("model", &err)->next(&h, &g, &p, &err) == 0 && p.config.rung == 0,
	   "but they take the place of rungs");
	h.n_pending = 0;
	struct config one = config_of(24, 80, 20);
	add(&h, &one, "new", 0, true);
	ok(h.n == 1 && h.n_older == 4 && h.build[0].config.m == 24 && h.older[3].curve.n > 0,
	   "and stay when Trials follow");
	tune_history_release(&h);
}

/* ---- several at once ---- */

#define PROPOSERS 8

/* One that begins reads the history as it is and what is in hand, and is the first to write down
 * what it takes: whatever came of earlier ones, in whatever order. */
struct fleet {
	struct tune_history h;
	struct config hand[PROPOSERS], given[256];
	size_t n_hand, n_given;
	size_t proposals, repeated;
};

static void give(struct fleet *f, const struct config *c, bool pairs)
{
	for (size_t i = 0; i < f->n_given; i++)
		f->repeated += pairs ? config_same(&f->given[i], c)
				     : config_same_build(&f->given[i], c);
	if (f->n_given < 256)
		f->given[f->n_given++] = *c;
	f->hand[f->n_hand++] = *c;
	f->proposals++;
}

/* Some one of them comes back with its Trial. */
static void finish_one(struct fleet *f, struct rng *r)
{
	size_t i = (size_t)rng_below(r, f->n_hand);
	add(&f->h, &f->hand[i], "v", 0, true);
	f->hand[i] = f->hand[--f->n_hand];
}

static void run_fleet(const struct tune_strategy *s, struct rng *r, size_t *proposals,
		      size_t *repeated)
{
	static struct fleet f;
	struct tune_goal g = TUNE_GOAL_DEFAULT;
	struct tune_proposal p;
	struct err err;
	memset(&f, 0, sizeof f);
	g.target_recall = 0.5 + 0.45 * (double)rng_below(r, 1000) / 1000;
	g.within = 0;
	f.h.rows = ROWS;
	for (int i = 0; i < 80; i++) {
		f.h.n_pending = 0;
		for (size_t j = 0; j < f.n_hand; j++)
			if (tune_history_pending(&f.h, &f.hand[j], &err) != 0)
				ok(false, "%s", err.msg);
		if (s->next(&f.h, &g, &p, &err) != 0)
			break;
		give(&f, &p.config, strcmp(s->name, "egreedy") == 0);
		while (f.n_hand == PROPOSERS || (f.n_hand && rng_below(r, 4) == 0))
			finish_one(&f, r);
	}
	*proposals += f.proposals;
	*repeated += f.repeated;
	tune_history_release(&f.h);
}

/* HNSW_TEST_PROPOSALS: a campaign of so many proposals a strategy. */
static void test_parallel(void)
{
	const char *many = getenv("HNSW_TEST_PROPOSALS");
	size_t wanted = many ? strtoul(many, NULL, 10) : 600;
	struct rng r = {1};
	for (const struct tune_strategy *s = tune_strategies; s->name; s++) {
		size_t proposals = 0, repeated = 0, before;
		do {
			before = proposals;
			run_fleet(s, &r, &proposals, &repeated);
		} while (proposals < wanted && proposals > before);
		/* One that only looks at what there is already may have nothing to propose. */
		bool idle = strcmp(s->name, "untimed") == 0;
		ok(repeated == 0 && (idle || proposals >= wanted), "%s: %zu of %zu proposals repeated, %d proposers at once", s->name,
		   repeated, proposals, PROPOSERS);
	}
}

/* ---- the target on fresh queries ---- */

#define POPULATION 20000
#define DRAWN 1000
#define GRAPHS 4

/* Of 10 neighbours, those that a query of this difficulty finds: better graphs find more. */
static double found(double difficulty, size_t graph, uint32_t ef)
{
	double missed = floor(difficulty * (1 + 0.3 * (double)graph) * 30 / ef);
	return missed > 10 ? 0 : 1 - missed / 10;
}

static double mean_found(const double *difficulty, size_t graph, uint32_t ef)
{
	double sum = 0;
	for (size_t i = 0; i < POPULATION; i++)
		sum += found(difficulty[i], graph, ef);
	return sum / POPULATION;
}

/* The least ef_search whose lower bound reaches the target; 201: none. */
static uint32_t proven(const double *drawn, size_t graph, double target, double confidence)
{
	static double v[DRAWN];
	uint32_t lo = 10, hi = 201;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		double lower = 0;
		struct err err;
		for (size_t i = 0; i < DRAWN; i++)
			v[i] = found(drawn[i], graph, mid);
		if (stat_mean_lower(v, DRAWN, 1 - confidence, &lower, &err) != 0)
			ok(false, "%s", err.msg);
		if (lower >= target)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Each run takes of several graphs the one that costs least by its own queries. */
static void test_target(void)
{
	static double difficulty[POPULATION], drawn[DRAWN];
	const double target = 0.9;
	struct rng r = {7};
	int runs = 100, missed = 0;
	for (size_t i = 0; i < POPULATION; i++)
		difficulty[i] = -log(((double)rng_below(&r, 1u << 30) + 0.5) / (1u << 30));
	for (int run = 0; run < runs; run++) {
		uint32_t ef = 201;
		size_t graph = 0;
		double least = 1000;
		for (size_t i = 0; i < DRAWN; i++)
			drawn[i] = difficulty[rng_below(&r, POPULATION)];
		for (size_t k = 0; k < GRAPHS; k++) {
			/* A worse graph is cheaper at the same ef_search. */
			uint32_t need = proven(drawn, k, target, 0.99);
			double cost = need * (1 - 0.2 * (double)k);
			if (need > 200 || cost >= least)
				continue;
			least = cost;
			ef = need;
			graph = k;
		}
		missed += ef > 200 || mean_found(difficulty, graph, ef) < target;
	}
	ok(missed <= runs / 100, "chosen with a confidence of .99, %d of %d miss their target", missed,
	   runs);
}

int main(void)
{
	test_goals();
	test_law();
	test_process();
	test_choices();
	test_challenger();
	test_records();
	test_model();
	test_older();
	test_parallel();
	test_target();
	return tap_end();
}
