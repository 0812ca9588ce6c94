/* SPDX-License-Identifier: MIT */
/* The latency law: one line of distances and ef_search for all builds of a data set. */
#include "tune/law.h"

#include <math.h>

/* The law's three, and the levels of rungs and of older builds, which may be below 0. */
enum { FIXED, DISTANCES, EF, RUNG, OLDER, TERMS };
#define RIDGE 1e-3 /* towards what one term alone would say; with many timings it vanishes */

/* Solve a symmetric positive definite system in place, by Gauss without pivots. */
static void solve(double a[TERMS][TERMS + 1], const bool used[TERMS], double x[TERMS])
{
	for (int i = 0; i < TERMS; i++)
		for (int j = i + 1; used[i] && j < TERMS; j++) {
			double f = used[j] ? a[j][i] / a[i][i] : 0;
			for (int k = i; k <= TERMS; k++)
				a[j][k] -= f * a[i][k];
		}
	for (int i = TERMS - 1; i >= 0; i--) {
		double sum = a[i][TERMS];
		for (int j = i + 1; j < TERMS; j++)
			sum -= a[i][j] * x[j];
		x[i] = used[i] ? sum / a[i][i] : 0;
	}
}

static bool is_older(const struct tune_history *h, size_t build)
{
	return build >= h->n;
}

/* Those of the history, the older ones last. */
static const struct tune_build *build_at(const struct tune_history *h, size_t i)
{
	return is_older(h, i) ? &h->older[i - h->n] : &h->build[i];
}

/* Of a timing: log of what was measured over what the law says. */
static double off_by(const struct tune_law *l, bool older, const struct tune_build *b,
		     const struct tune_timing *t)
{
	double level = older ? l->older : b->config.rung ? l->rung : 0;
	return t->log_us - level - log(tune_law_us(l, t->ef, t->distances));
}

static bool counts(const struct tune_timing *t)
{
	return t->count && !isnan(t->distances);
}

#define OUTLIER 0.02 /* what is off by more weighs less: a machine has other things to do, too */

/*
 * Sums of the normal equations of relative errors, 1 = sum of x[i] * term[i] / us.  A rung, or an
 * older build, has factor * law = us, that is 1 = law / us + (1 - 1 / factor), which is linear too.
 */
static int add_up(const struct tune_history *h, const struct tune_law *before,
		  double a[TERMS][TERMS + 1])
{
	int n = 0;
	for (size_t at = 0; at < h->n + h->n_older; at++)
		for (size_t i = 0; i < build_at(h, at)->n; i++) {
			const struct tune_build *b = build_at(h, at);
			const struct tune_timing *t = &b->timing[i];
			bool older = is_older(h, at);
			if (!counts(t))
				continue;
			double us = exp(t->log_us), weight = 1,
			       term[TERMS] = {1 / us, t->distances / us, t->ef / us,
					      !older && b->config.rung, older};
			if (before->spread > 0)
				weight = OUTLIER / fmax(OUTLIER, fabs(off_by(before, older, b, t)));
			for (int r = 0; r < TERMS; r++) {
				for (int c = 0; c < TERMS; c++)
					a[r][c] += weight * term[r] * term[c];
				a[r][TERMS] += weight * term[r];
			}
			n++;
		}
	return n;
}

static double spread_of(const struct tune_history *h, const struct tune_law *l)
{
	double sum = 1e-4, n = 1;
	for (size_t at = 0; at < h->n + h->n_older; at++)
		for (size_t i = 0; i < build_at(h, at)->n; i++)
			if (counts(&build_at(h, at)->timing[i])) {
				const struct tune_build *b = build_at(h, at);
				double off = off_by(l, is_older(h, at), b, &b->timing[i]);
				sum += off * off;
				n++;
			}
	return fmax(0.01, sqrt(sum / n));
}

/* What comes out below 0 is left out. */
static void solve_above_0(double sums[TERMS][TERMS + 1], double x[TERMS])
{
	bool used[TERMS] = {true, true, true, true, true};
	for (int again = 1; again;) {
		double a[TERMS][TERMS + 1];
		again = 0;
		for (int i = 0; i < TERMS; i++)
			for (int j = 0; j <= TERMS; j++)
				a[i][j] = sums[i][j];
		solve(a, used, x);
		for (int i = 0; i < TERMS; i++)
			if (i < RUNG && x[i] < 0) {
				used[i] = false;
				again = 1;
			}
	}
}

#define PASSES 4 /* each with the weights that the one before gave */

struct tune_law tune_law_fit(const struct tune_history *h)
{
	/* Towards a search of which a tenth is fixed, the rest distances and a little the beam. */
	static const double share[TERMS] = {0.1, 0.75, 0.15, 0, 0};
	struct tune_law l = {0};
	for (int pass = 0; pass < PASSES; pass++) {
		double sums[TERMS][TERMS + 1] = {{0}}, x[TERMS] = {0};
		if (add_up(h, &l, sums) == 0)
			return l;
		for (int i = 0; i < TERMS; i++) {
			double typical = share[i] / (sums[i][TERMS] / sums[i][i] > 0
							 ? sums[i][i] / sums[i][TERMS]
							 : 1);
			sums[i][TERMS] += RIDGE * sums[i][i] * typical;
			sums[i][i] += RIDGE * (sums[i][i] + (i >= RUNG));
		}
		solve_above_0(sums, x);
		l.fixed = x[FIXED];
		l.per_distance = x[DISTANCES];
		l.per_ef = x[EF];
		l.rung = -log(fmax(1 - x[RUNG], 0.1));
		l.older = -log(fmax(1 - x[OLDER], 0.1));
		l.spread = spread_of(h, &l);
	}
	return l;
}

double tune_law_us(const struct tune_law *l, uint32_t ef, double distances)
{
	double us = l->fixed + l->per_distance * distances + l->per_ef * ef;
	return us > 0 ? us : NAN;
}

/* How many times of a build weigh as much as the law: the square of (noise of a time / scatter of
 * builds around the law). */
#define LAW_WEIGHT 1.5

double tune_law_build_us(const struct tune_law *l, const struct tune_build *b, uint32_t ef,
			 double distances)
{
	double off = 0, weights = LAW_WEIGHT, us = tune_law_us(l, ef, distances);
	for (size_t i = 0; i < b->n; i++) {
		const struct tune_timing *t = &b->timing[i];
		if (!counts(t) || isnan(us))
			continue;
		double near = t->count * exp(-2 * fabs(log((double)t->ef / ef)));
		off += near * off_by(l, false, b, t);
		weights += near;
	}
	return us * exp(off / weights);
}
