/* SPDX-License-Identifier: MIT */
#include "eval/duel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stat/faster.h"
#include "stat/mean.h"

#define BLOCK_US 5000.0 /* what one side of a block is to take ... */
#define BLOCK_MIN 16	/* ... with at least so many queries, so that there is a median */
#define BLOCK_MAX 512
#define WARM_US 100000.0
#define NS 1e9

const char *const duel_reason_text[DUEL_REASONS] = {
    [DUEL_FASTER] = "faster",
    [DUEL_RECALL] = "recall is greater",
    [DUEL_NOT_FASTER] = "not faster",
    [DUEL_NOT_PROVEN] = "greater recall is not proven, and it is not faster",
    [DUEL_RECALL_LOWER] = "recall is lower",
    [DUEL_FLOOR] = "recall is not proven to reach the floor",
    [DUEL_UNDECIDED] = "undecided in the time given",
    [DUEL_MEETS] = "it meets the goal, which the champion does not",
    [DUEL_CHEAPER] = "cheaper, and it meets the goal",
    [DUEL_NOT_REACHED] = "recall is not proven to reach the target",
    [DUEL_OVER_LIMIT] = "it exceeds a limit of the goal",
    [DUEL_NOT_CHEAPER] = "not cheaper",
    [DUEL_UNKNOWN_COST] = "what the goal is to minimise is not known of both",
};

struct duel {
	struct bench *side;
	const uint32_t *ef;
	const struct duel_opts *opts;
	struct duel_result *out;
	struct rng rng;
	uint32_t *order; /* the queries, shuffled again whenever all were drawn */
	uint64_t drawn, n;
	double *times;	   /* of one side of a block */
	double *median[2]; /* one a block */
	double *ratio;	   /* logs, one a block */
	uint64_t room;
};

/* ---- recall ---- */

/* One side's figures; recall of each query, 0..1, into ${recall}. */
static int count_recall(struct duel *d, int side, double *recall, struct err *err)
{
	struct duel_side *o = &d->out->side[side];
	struct bench *b = &d->side[side];
	struct bench_curve c;
	if (bench_curve(b, &d->ef[side], 1, &c, err) != 0)
		return -1;
	o->recall_at_k = bench_curve_recall(b, &c, 0, &o->recall_at_k_ties);
	o->distances_per_query = (double)c.distances[0] / (double)d->n;
	o->memory_bytes = (double)bench_memory_bytes(b);
	o->build_secs = d->opts->build_secs[side];
	for (uint64_t i = 0; i < d->n; i++)
		recall[i] = fmin(c.recall[i] / b->set->k, 1);
	bench_curve_release(&c);
	return stat_mean_lower(recall, d->n, STAT_RECALL_ALPHA, &o->recall_lcb, err);
}

/* What of the goal's recall is proven of one side; ${recall} of its queries, which is changed. */
static int bound(const struct duel *d, struct duel_side *side, double *recall, struct err *err)
{
	const struct tune_goal *g = d->opts->goal;
	double sum = 0;
	for (uint64_t i = 0; i < d->n; i++) {
		if (g->target_queries > 0)
			recall[i] = recall[i] >= g->target_recall - 1e-12;
		sum += recall[i];
	}
	if (g->confidence > 0.5)
		return stat_mean_lower(recall, d->n, 1 - g->confidence, &side->reached, err);
	side->reached = sum / (double)d->n;
	return 0;
}

/* By how much the challenger's recall is greater. */
static double recall_gain(const struct duel *d)
{
	const struct duel_side *side = d->out->side;
	return (float)side[1].recall_at_k - (float)side[0].recall_at_k;
}

/* ---- by a goal ---- */

static bool within_limits(const struct duel *d, int side)
{
	const struct tune_goal *g = d->opts->goal;
	const struct duel_side *s = &d->out->side[side];
	return !(g->max_memory > 0 && s->memory_bytes > g->max_memory) &&
	       !(g->max_build > 0 && s->build_secs > g->max_build) &&
	       !(g->max_latency > 0 && s->p50_us > g->max_latency);
}

static bool reaches(const struct duel *d, int side)
{
	return d->out->side[side].reached >= tune_goal_target(d->opts->goal);
}

/* What is to be little, of what is counted. */
static double counted(const struct duel *d, int side)
{
	const struct duel_side *s = &d->out->side[side];
	switch (d->opts->goal->minimise) {
	case TUNE_DISTANCES:
		return s->distances_per_query;
	case TUNE_BUILD:
		return s->build_secs;
	default:
		return s->memory_bytes;
	}
}

/* What is known without times; true: that decides, unless the limit of latency does. */
static bool by_goal(struct duel *d)
{
	struct duel_result *o = d->out;
	const struct duel_side *challenger = &o->side[1];
	o->won = false;
	if (!reaches(d, 1)) {
		o->reason = DUEL_NOT_REACHED;
		o->queries_needed = stat_needed(
		    d->opts->goal->target_queries > 0 ? challenger->reached : challenger->recall_at_k,
		    challenger->reached, d->n, tune_goal_target(d->opts->goal));
	} else if (!within_limits(d, 1)) {
		o->reason = DUEL_OVER_LIMIT;
	} else if (!reaches(d, 0) || !within_limits(d, 0)) {
		o->reason = DUEL_MEETS;
		o->won = true;
	} else if (d->opts->goal->minimise == TUNE_LATENCY) {
		return false;
	} else if (!(counted(d, 0) > 0 && counted(d, 1) > 0)) {
		o->reason = DUEL_UNKNOWN_COST;
	} else {
		o->won = counted(d, 1) * (1 + d->opts->margin) < counted(d, 0);
		o->reason = o->won ? DUEL_CHEAPER : DUEL_NOT_CHEAPER;
	}
	return true;
}

/* The limit of latency, once there are times. */
static void by_limit_of_latency(struct duel *d)
{
	struct duel_result *o = d->out;
	if (!reaches(d, 1) || o->reason == DUEL_FLOOR)
		return;
	if (!within_limits(d, 1)) {
		o->won = false;
		o->reason = DUEL_OVER_LIMIT;
	} else if (!o->won && !within_limits(d, 0)) {
		o->won = true;
		o->reason = DUEL_MEETS;
	}
}

/* ---- what is known without times ---- */

/* What recall alone decides: true if it does. */
static bool by_recall(struct duel *d)
{
	struct duel_result *o = d->out;
	const struct duel_side *challenger = &o->side[1];
	if (challenger->recall_lcb < d->opts->min_recall) {
		o->reason = DUEL_FLOOR;
		o->queries_needed = stat_needed(challenger->recall_at_k, challenger->recall_lcb,
						d->n, d->opts->min_recall);
		return true;
	}
	if (d->opts->goal)
		return by_goal(d);
	if (recall_gain(d) <= -d->opts->recall_tie) {
		o->reason = DUEL_RECALL_LOWER;
		return true;
	}
	o->won = recall_gain(d) >= d->opts->recall_tie && o->recall_evidence * d->opts->alpha >= 2;
	if (o->won)
		o->reason = DUEL_RECALL;
	return o->won;
}

static int compare_recall(struct duel *d, bool *decided, struct err *err)
{
	double *recall = mem_array(d->n, 3 * sizeof *recall, err), *gain;
	int ret = recall ? 0 : -1;
	for (int s = 0; s < 2 && ret == 0; s++)
		ret = count_recall(d, s, recall + (uint64_t)s * d->n, err);
	if (ret == 0) {
		gain = recall + 2 * d->n;
		for (uint64_t i = 0; i < d->n; i++)
			gain[i] = recall[d->n + i] - recall[i];
		d->out->recall_evidence = exp(fmin(stat_mean_positive(gain, d->n), 700));
	}
	for (int s = 0; s < 2 && ret == 0 && d->opts->goal; s++)
		ret = bound(d, &d->out->side[s], recall + (uint64_t)s * d->n, err);
	if (ret == 0)
		*decided = by_recall(d);
	free(recall);
	return ret;
}

/* ---- time ---- */

static void shuffle(struct duel *d)
{
	rng_permutation(rng_next(&d->rng), d->order, (uint32_t)d->n);
	d->drawn = 0;
}

/* Search both, without counting, until the caches are as they will be; the slower one's
 * time a query gives the size of a block. */
static int warm_up(struct duel *d, struct err *err)
{
	double slowest = 0;
	for (int s = 0; s < 2; s++) {
		double spent = 0;
		uint64_t n = 0;
		while (n < d->n && (n < BLOCK_MIN || spent < WARM_US)) {
			double us;
			if (bench_time(&d->side[s], d->order[n], d->ef[s], &us, err) != 0)
				return -1;
			spent += us;
			n++;
		}
		slowest = fmax(slowest, spent / (double)n);
	}
	double size = fmax(BLOCK_MIN, fmin(BLOCK_MAX, BLOCK_US / fmax(slowest, 0.001)));
	d->out->block_queries = (uint64_t)fmin(size, (double)d->n);
	return 0;
}

static int run_block(struct duel *d, struct err *err)
{
	uint64_t b = d->out->blocks, size = d->out->block_queries;
	int first = (int)(rng_next(&d->rng) >> 63);
	if (d->drawn + size > d->n)
		shuffle(d);
	for (int turn = 0; turn < 2; turn++) {
		int s = first ^ turn;
		for (uint64_t i = 0; i < size; i++)
			if (bench_time(&d->side[s], d->order[d->drawn + i], d->ef[s], &d->times[i],
				       err) != 0)
				return -1;
		d->median[s][b] = fmax(bench_median(d->times, size), 0.001);
	}
	d->ratio[b] = log(d->median[0][b] / d->median[1][b]);
	d->drawn += size;
	d->out->blocks++;
	return 0;
}

static int make_room(struct duel *d, struct err *err)
{
	double **column[] = {&d->median[0], &d->median[1], &d->ratio};
	if (d->out->blocks < d->room)
		return 0;
	uint64_t room = d->room ? 2 * d->room : 1024;
	for (int i = 0; i < 3; i++) {
		double *grown = mem_resize(*column[i], room, sizeof *grown, err);
		if (!grown)
			return -1;
		*column[i] = grown;
	}
	d->room = room;
	return 0;
}

/* Blocks until there is a verdict, or the time is over; a few in any case. */
static int compare_time(struct duel *d, bool decided, struct err *err)
{
	struct duel_result *o = d->out;
	struct stat_faster test;
	enum stat_verdict v = STAT_UNDECIDED;
	uint64_t start = clock_mono_ns();
	stat_faster_init(&test, d->opts->goal ? d->opts->alpha : d->opts->alpha / 2, DUEL_BETA, d->opts->margin, d->opts->effect);
	while (o->blocks < DUEL_MIN_BLOCKS ||
	       (!decided && v == STAT_UNDECIDED && o->seconds < d->opts->seconds)) {
		if (make_room(d, err) != 0 || run_block(d, err) != 0)
			return -1;
		if (v == STAT_UNDECIDED)
			v = stat_faster_add(&test, d->ratio[o->blocks - 1]);
		o->seconds = (double)(clock_mono_ns() - start) / NS;
	}
	o->evidence = stat_faster_evidence(&test);
	if (!decided) {
		o->won = v == STAT_FASTER;
		bool more = !d->opts->goal && recall_gain(d) >= d->opts->recall_tie;
		o->reason = o->won		  ? DUEL_FASTER
			    : v == STAT_UNDECIDED ? DUEL_UNDECIDED
			    : more		  ? DUEL_NOT_PROVEN
						  : DUEL_NOT_FASTER;
	}
	return 0;
}

static void sum_up(struct duel *d)
{
	struct duel_result *o = d->out;
	uint64_t lo, hi;
	for (int s = 0; s < 2; s++)
		o->side[s].p50_us = bench_median(d->median[s], o->blocks);
	o->speedup = exp(bench_median(d->ratio, o->blocks));
	stat_median_ranks(o->blocks, &lo, &hi);
	o->speedup_low = exp(d->ratio[lo]);
	o->speedup_high = exp(d->ratio[hi]);
}

int duel_run(struct bench side[2], const uint32_t ef[2], const struct duel_opts *opts,
	     struct duel_result *out, struct err *err)
{
	struct duel d = {.side = side,
			 .ef = ef,
			 .opts = opts,
			 .out = out,
			 .rng = {rng_mix(opts->seed)},
			 .n = side[0].n};
	bool decided;
	int ret = -1;
	*out = (struct duel_result){.queries = d.n};
	d.order = mem_array(d.n, sizeof *d.order, err);
	d.times = mem_array(BLOCK_MAX, sizeof *d.times, err);
	if (!d.order || !d.times)
		goto out;
	shuffle(&d);
	if (compare_recall(&d, &decided, err) != 0 || warm_up(&d, err) != 0 ||
	    compare_time(&d, decided, err) != 0)
		goto out;
	sum_up(&d);
	if (opts->goal)
		by_limit_of_latency(&d);
	ret = 0;
out:
	free(d.order);
	free(d.times);
	free(d.median[0]);
	free(d.median[1]);
	free(d.ratio);
	return ret;
}
