/* SPDX-License-Identifier: MIT */
/*
 * The proposer that needs few builds.  First rungs: builds of the first sixteenth of the rows, whose
 * curves tell which M and ef_construction matter.  Then whole builds, each the one with the
 * greatest expected saving for its price, by Gaussian processes of what is minimised, of the
 * ef_search that is needed and of the seconds of a build.  Where the index was tuned before, with
 * fewer rows, those builds take the place of rungs; if it has grown by a little and the cheapest of
 * then still does, there is nothing to look for.  It ends when no build is expected to save what the
 * goal calls worth it.
 *
 * A pure function of the history and the goal.  exp, log and erf of another C library may differ
 * in the last bit; that matters only where two candidates are equal to 15 digits.
 */
#include <math.h>
#include <stdio.h>

#include "tune/decide.h"
#include "tune/gp.h"
#include "tune/law.h"
#include "tune/model_internal.h"

#define RUNG_SHARE 16
#define RUNG_LEAST 1000 /* rows: fewer tell nothing of more */
#define ENOUGH 3	/* older builds: rungs tell nothing more */
#define SEED 42
#define PRICE 0.15 /* log cost that a whole build-equivalent more is worth at the first build */
#define RISK 1.5   /* and weight of the chance that ef_search does not do */
#define OVERHEAD 0.1 /* build-equivalents that every try costs */
#define TAIL_MOST 4.0 /* log of the greatest factor that a curve is continued by */
#define TAIL_SLOPE 0.15 /* least fall of log(1 - recall) by log(ef_search) */

#define GROWN 1.5    /* times the rows of before: more may have changed what is the cheapest */
#define DEARER 0.1   /* log distances that it may need more than growth explains */

static const uint32_t ladder_m[] = {4, 6, 8, 12, 16, 24, 32, 48, 64, 96};
static const uint32_t ladder_ec[] = {10,  14,  20,  28,	 40,  57,  80,	113,
				     160, 226, 320, 400, 566, 800, 1000};
static const struct {
	uint32_t m, ec;
} rungs[] = {{16, 80}, {32, 160}, {8, 80}, {48, 57}, {48, 226}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The cheapest build that meets the goal. */
struct standing {
	const struct tune_build *build; /* NULL: none */
	double cost, distances; /* logs */
};

struct model {
	const struct tune_history *h;
	const struct tune_goal *g;
	struct tune_law law;
	struct gp cost, ef, seconds;
	double unit;   /* log seconds of a build-equivalent: M 16, ef_construction 400 */
	struct standing now, before;
	double best;   /* log cost of the cheapest whole build that meets the goal, pending ones too */
	size_t whole;  /* whole builds, those pending too */
	bool met;
};

static const struct gp_params cost_params = {.sd = 0.35,
					     .length = {1.6, 3.5, 0.8, 1},
					     .level = 3,
					     .kind_sd = 0.06,
					     .kind_level = 0.5,
					     .noise = 0.02};
static const struct gp_params ef_params = {.sd = 0.35,
					   .length = {1.6, 3.5, 0.8, 1},
					   .level = 3,
					   .kind_sd = 0.12,
					   .kind_level = 0.5,
					   .noise = 0.02};
static const struct gp_params seconds_params = {.sd = 0.25,
						.length = {2, 3, 1, 1},
						.level = 3,
						.kind_sd = 0.1,
						.kind_level = 0.3,
						.noise = 0.05};

/* Kinds of points: of all rows, of the first, of what the index was before. */
enum kind { WHOLE, RUNG, OLDER };

static struct gp_point point_of(const struct config *c)
{
	return (struct gp_point){
	    .x = {log2(c->m), log2(c->ef_construction), c->ef_construction <= c->m,
		  c->storage == HNSW_AUTO ? 0 : 1 + (double)c->storage},
	    .kind = c->rung != 0 ? RUNG : WHOLE,
	};
}

/* What every data set has of seconds: they go about with the beam, and a little with M. */
static double usual_seconds(const struct config *c)
{
	return log(c->ef_construction + c->m + 20.0);
}

/* And of cost: a greater ef_construction makes a better graph, ever less so. */
static double usual_cost(const struct config *c)
{
	return 2.5 / (double)c->ef_construction + 0.9 * pow(c->ef_construction, -0.6);
}

/*
 * What fewer rows need, lifted to what the same build of all rows does: with each doubling more, the
 * more the less ef_construction and M are.
 */
static void lift(const struct config *c, double doublings, double *log_ef, double *log_distances)
{
	*log_distances += doublings * (0.25 + 0.6 / (double)c->ef_construction +
				       0.018 * pow(8.0 / (double)c->m, 4));
	*log_ef += doublings *
		   (0.15 + 1.25 / (double)c->ef_construction + 0.05 * log2(24.0 / (double)c->m));
}

static uint32_t round_to_u32(double v, struct tune_range r)
{
	return v <= r.min ? r.min : v >= r.max ? r.max : (uint32_t)lround(v);
}

/* Log of the ef_search that meets the goal; beyond the curve by the slope of its tail. */
static double log_ef(const struct tune_goal *g, const struct tune_build *b, double *log_distances)
{
	uint32_t reach = tune_reach(g, b), last = g->space.es.max;
	if (reach) {
		*log_distances = log(curve_at(&b->curve, reach).distances);
		return log(reach);
	}
	struct curve_point p = curve_at(&b->curve, last), q = curve_at(&b->curve, last / 2);
	double missed = fmax(1 - tune_goal_reached(g, &b->curve, &p, b->queries), 1e-6),
	       before = fmax(1 - tune_goal_reached(g, &b->curve, &q, b->queries), missed),
	       slope = fmax(log(before / missed) / log(2), TAIL_SLOPE),
	       allowed = fmax(1 - tune_goal_target(g), 1e-6),
	       more = fmin(fmax(log(missed / allowed), 0) / slope + 0.05, TAIL_MOST);
	*log_distances = log(p.distances) + more;
	return log(last) + more;
}

/* Log of what is minimised; of a rung as if it had all rows. */
static double log_cost(const struct model *m, const struct tune_build *b, double lef, double ldist)
{
	double share = (double)m->h->rows / (double)b->rows;
	switch (m->g->minimise) {
	case TUNE_BUILD:
		return log(b->build_secs * share + 1e-9);
	case TUNE_MEMORY:
		return log(b->memory_bytes * share);
	case TUNE_DISTANCES:
		return ldist;
	case TUNE_LATENCY:
		break;
	}
	double us = m->law.per_distance * exp(ldist) + m->law.per_ef * exp(lef) + m->law.fixed;
	uint32_t near = round_to_u32(exp(lef), m->g->space.es);
	if (us <= 0)
		return ldist;
	if (b->config.rung || b->rows != m->h->rows)
		return log(us);
	double measured = tune_law_build_us(&m->law, b, near, exp(ldist));
	return log(isnan(measured) ? us : measured);
}

static bool over_limit(const struct tune_goal *g, double most, double v)
{
	(void)g;
	return most > 0 && v > most;
}

static bool meets(const struct tune_goal *g, const struct tune_build *b, double lef, double lcost)
{
	return exp(lef) <= g->space.es.max + 0.5 && !over_limit(g, g->max_memory, b->memory_bytes) &&
	       !over_limit(g, g->max_build, b->build_secs) &&
	       !(g->minimise == TUNE_LATENCY && over_limit(g, g->max_latency, exp(lcost)));
}

static void stand(struct standing *s, const struct tune_build *b, double lcost, double ldist)
{
	if (!s->build || lcost < s->cost)
		*s = (struct standing){b, lcost, ldist};
}

static void add_build(struct model *m, const struct tune_build *b, bool older)
{
	struct gp_point p = point_of(&b->config);
	double share = (double)m->h->rows / (double)b->rows, ldist;
	if (older)
		p.kind = OLDER;
	m->whole += p.kind == WHOLE;
	if (b->build_secs > 0)
		gp_add(&m->seconds, &p,
		       log(b->build_secs * share) - usual_seconds(&b->config));
	if (b->curve.n == 0)
		return;
	double lef = log_ef(m->g, b, &ldist);
	if (p.kind != WHOLE)
		lift(&b->config, log2(share), &lef, &ldist);
	double lcost = log_cost(m, b, lef, ldist);
	if (!isfinite(lcost) || !isfinite(lef))
		return;
	gp_add(&m->ef, &p, lef - usual_cost(&b->config));
	gp_add(&m->cost, &p, lcost - usual_cost(&b->config));
	if (p.kind != RUNG && meets(m->g, b, lef, lcost))
		stand(older ? &m->before : &m->now, b, lcost, ldist);
}

/* What a candidate is expected to be. */
struct outlook {
	double cost, cost_sd, ef, ef_sd, seconds;
	double price; /* build-equivalents */
	double likely; /* probability that ef_search does */
};

static double normal_below(double z)
{
	return 0.5 * erfc(-z / sqrt(2));
}

static struct outlook look(const struct model *m, const struct config *c)
{
	struct gp_point p = point_of(c);
	struct outlook o;
	double sd;
	gp_at(&m->cost, &p, &o.cost, &o.cost_sd);
	gp_at(&m->ef, &p, &o.ef, &o.ef_sd);
	gp_at(&m->seconds, &p, &o.seconds, &sd);
	o.cost += usual_cost(c);
	o.ef += usual_cost(c);
	o.seconds += usual_seconds(c);
	o.price = exp(o.seconds - m->unit);
	o.likely = normal_below((log(m->g->space.es.max) - o.ef) / fmax(o.ef_sd, 0.02));
	if (over_limit(m->g, m->g->max_build, exp(o.seconds)))
		o.likely *= 0.01;
	return o;
}

/* Expected saving, as a share, of one whose log cost is normal. */
static double expected_saving(const struct model *m, const struct outlook *o)
{
	double sd = fmax(o->cost_sd, 1e-4), z = (m->best - o->cost) / sd;
	return sd * (z * normal_below(z) + exp(-z * z / 2) / sqrt(2 * acos(-1)));
}

/* A pending build counts as one that turns out as expected. */
static void believe(struct model *m, const struct config *c)
{
	struct outlook o = look(m, c);
	struct gp_point p = point_of(c);
	gp_add(&m->cost, &p, o.cost - usual_cost(c));
	gp_add(&m->ef, &p, o.ef - usual_cost(c));
	gp_fit(&m->cost);
	gp_fit(&m->ef);
	if (c->rung)
		return;
	m->whole++;
	if (o.likely > 0.5) {
		m->best = m->met ? fmin(m->best, o.cost) : o.cost;
		m->met = true;
	}
}

static void learn(struct model *m, const struct tune_history *h, const struct tune_goal *g)
{
	struct config unit = {.m = 16, .ef_construction = 400, .storage = HNSW_AUTO};
	*m = (struct model){.h = h, .g = g, .law = tune_law_fit(h)};
	m->cost.params = cost_params;
	m->ef.params = ef_params;
	m->seconds.params = seconds_params;
	for (size_t i = 0; i < h->n; i++)
		if (h->build[i].rows)
			add_build(m, &h->build[i], false);
	for (size_t i = 0; i < h->n_older; i++)
		if (h->older[i].rows)
			add_build(m, &h->older[i], true);
	gp_fit(&m->cost);
	gp_fit(&m->ef);
	gp_fit(&m->seconds);
	m->met = m->now.build != NULL;
	m->best = m->now.cost;
	m->unit = look(m, &unit).seconds;
	for (size_t i = 0; i < h->n_pending; i++)
		believe(m, &h->pending[i]);
}

/* ---- candidates ---- */

static uint32_t clamp(uint32_t v, struct tune_range r)
{
	return v < r.min ? r.min : v > r.max ? r.max : v;
}

/* The numbers of a ladder in a range, or its middle if there are none. */
static size_t in_range(const uint32_t *ladder, size_t n, struct tune_range r, uint32_t *out)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		if (ladder[i] >= r.min && ladder[i] <= r.max)
			out[count++] = ladder[i];
	if (count == 0)
		out[count++] = r.min + (r.max - r.min) / 2;
	return count;
}

static enum hnsw_storage first_storage(const struct tune_goal *g)
{
	if (g->space.storages >> HNSW_AUTO & 1)
		return HNSW_AUTO;
	unsigned s = 0;
	while (!(g->space.storages >> s & 1))
		s++;
	return (enum hnsw_storage)s;
}

/* Older builds that say what rungs would. */
static size_t taught(const struct tune_history *h)
{
	size_t n = 0;
	for (size_t i = 0; i < h->n_older; i++)
		n += h->older[i].curve.n > 0;
	return n;
}

/* Whether the index has grown by a little, and what was the cheapest before is about as cheap still. */
static bool settled(const struct model *m)
{
	const struct tune_build *now = m->now.build, *before = m->before.build;
	return now && before && m->g->within > 0 && config_same_build(&now->config, &before->config) &&
	       before->curve.target == m->g->target_recall &&
	       (double)now->rows <= GROWN * (double)before->rows &&
	       m->now.distances <= m->before.distances + DEARER;
}

/* The next rung that was not built, if rungs are of use; false: none. */
static bool next_rung(const struct tune_history *h, const struct tune_goal *g, struct config *c)
{
	if (h->rows / RUNG_SHARE < RUNG_LEAST || taught(h) >= ENOUGH)
		return false;
	for (size_t i = 0; i < COUNT(rungs); i++) {
		*c = (struct config){.m = clamp(rungs[i].m, g->space.m),
				     .ef_construction = clamp(rungs[i].ec, g->space.ec),
				     .ef_search = g->space.es.min,
				     .seed = SEED,
				     .storage = first_storage(g),
				     .rung = (uint32_t)(h->rows / RUNG_SHARE)};
		if (!tune_history_has(h, c))
			return true;
	}
	return false;
}

struct found {
	struct config config;
	struct outlook outlook;
	double worth, saving;
	bool any;
};

static void weigh(const struct model *m, const struct config *c, struct found *f)
{
	struct outlook o = look(m, c);
	double saving = m->met ? expected_saving(m, &o) * o.likely : 0, worth;
	if (m->met)
		worth = saving / (o.price + OVERHEAD);
	else
		worth = -(o.cost + PRICE * o.price - RISK * log(fmax(o.likely, 1e-9)));
	if (saving > f->saving)
		f->saving = saving;
	if (f->any && worth <= f->worth)
		return;
	f->any = true;
	f->worth = worth;
	f->config = *c;
	f->outlook = o;
}

/* Fewer candidates than links: such graphs are never the cheapest to search, and little of others
 * tells how bad they are. */
static bool wasted(const struct tune_goal *g, const struct config *c)
{
	return g->minimise <= TUNE_DISTANCES && c->ef_construction <= c->m &&
	       g->space.ec.max > g->space.m.min;
}

static struct found search(const struct model *m)
{
	uint32_t ms[COUNT(ladder_m)], ecs[COUNT(ladder_ec)];
	size_t n_m = in_range(ladder_m, COUNT(ladder_m), m->g->space.m, ms),
	       n_ec = in_range(ladder_ec, COUNT(ladder_ec), m->g->space.ec, ecs);
	struct found f = {0};
	for (int s = 0; s <= HNSW_AUTO; s++)
		for (size_t i = 0; m->g->space.storages >> s & 1 && i < n_m; i++)
			for (size_t j = 0; j < n_ec; j++) {
				struct config c = {.m = ms[i],
						   .ef_construction = ecs[j],
						   .ef_search = m->g->space.es.min,
						   .seed = SEED,
						   .storage = (enum hnsw_storage)s};
				if (!tune_history_has(m->h, &c) && (!wasted(m->g, &c) || n_m * n_ec == 1))
					weigh(m, &c, &f);
			}
	return f;
}

#define HOPELESS 0.02 /* chance of meeting the goal at all below which nothing is built */

static int nothing(const struct model *m, const struct found *f, struct err *err)
{
	if (!f->any)
		return err_set(err, ERR_NO, "search space exhausted");
	if (!m->met)
		return err_set(err, ERR_NO,
			       "nothing is worth trying: no build is likely to reach the target "
			       "with ef_search up to %u",
			       m->g->space.es.max);
	return err_set(err, ERR_NO,
		       "nothing is worth trying: no build is expected to save %.2g %%",
		       100 * m->g->within);
}

int tune_model_next(struct tune_history *h, const struct tune_goal *g, struct tune_proposal *out,
		    struct err *err)
{
	struct model m;
	if (tune_goal_check(g, err) != 0)
		return -1;
	*out = (struct tune_proposal){0};
	learn(&m, h, g);
	if (settled(&m))
		return err_set(err, ERR_NO, "nothing is worth trying: what was the cheapest before "
					    "the index grew still is, as far as one build tells");
	if (next_rung(h, g, &out->config)) {
		snprintf(out->why, sizeof out->why, "a rung, to see what m and ef_construction do");
		return tune_history_pending(h, &out->config, err);
	}
	struct found f = search(&m);
	if (!f.any || (m.met && f.saving < g->within) ||
	    (!m.met && m.whole && f.outlook.likely < HOPELESS))
		return nothing(&m, &f, err);
	out->config = f.config;
	out->config.ef_search = round_to_u32(exp(f.outlook.ef), g->space.es);
	out->seconds = m.seconds.n ? exp(f.outlook.seconds) : 0;
	out->cost = m.cost.n ? exp(f.outlook.cost) : 0;
	if (m.met)
		snprintf(out->why, sizeof out->why, "expected to save %.2g %%", 100 * f.saving);
	else
		snprintf(out->why, sizeof out->why, "the cheapest that is likely to do");
	return tune_history_pending(h, &out->config, err);
}

bool tune_model_expect(const struct tune_history *h, const struct tune_goal *g,
		       const struct config *c, double *ef_search, double *cost)
{
	struct model m;
	learn(&m, h, g);
	struct outlook o = look(&m, c);
	*ef_search = exp(o.ef);
	*cost = exp(o.cost);
	return m.cost.n >= ENOUGH;
}
