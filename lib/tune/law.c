/* SPDX-License-Identifier: MIT */
/* The latency law: one line of distances and ef_search for all builds of a data set. */
#include "tune/law.h"

#include <math.h>

#define TERMS 3
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

/* Sums of the normal equations of relative errors, 1 = sum of x[i] * term[i] / us. */
static int add_up(const struct tune_history *h, double a[TERMS][TERMS + 1])
{
	int n = 0;
	for (size_t b = 0; b < h->n; b++)
		for (size_t i = 0; i < h->build[b].n; i++) {
			const struct tune_timing *t = &h->build[b].timing[i];
			if (!t->count || isnan(t->distances))
				continue;
			double us = exp(t->log_us),
			       term[TERMS] = {1 / us, t->distances / us, t->ef / us};
			for (int r = 0; r < TERMS; r++) {
				for (int c = 0; c < TERMS; c++)
					a[r][c] += term[r] * term[c];
				a[r][TERMS] += term[r];
			}
			n++;
		}
	return n;
}

static double spread_of(const struct tune_history *h, const struct tune_law *l)
{
	double sum = 1e-4, n = 1;
	for (size_t b = 0; b < h->n; b++)
		for (size_t i = 0; i < h->build[b].n; i++) {
			const struct tune_timing *t = &h->build[b].timing[i];
			if (!t->count || isnan(t->distances))
				continue;
			double off = t->log_us - log(tune_law_us(l, t->ef, t->distances));
			sum += off * off;
			n++;
		}
	return fmax(0.01, sqrt(sum / n));
}

struct tune_law tune_law_fit(const struct tune_history *h)
{
	double sums[TERMS][TERMS + 1] = {{0}}, x[TERMS] = {0};
	bool used[TERMS] = {true, true, true};
	if (add_up(h, sums) == 0)
		return (struct tune_law){0};
	/* Towards a search of which a tenth is fixed, the rest distances and a little the beam. */
	static const double share[TERMS] = {0.1, 0.75, 0.15};
	for (int i = 0; i < TERMS; i++) {
		double typical = share[i] / (sums[i][TERMS] / sums[i][i] > 0
						 ? sums[i][i] / sums[i][TERMS]
						 : 1);
		sums[i][TERMS] += RIDGE * sums[i][i] * typical;
		sums[i][i] *= 1 + RIDGE;
	}
	/* What comes out below 0 is left out. */
	for (int again = 1; again;) {
		double a[TERMS][TERMS + 1];
		again = 0;
		for (int i = 0; i < TERMS; i++)
			for (int j = 0; j <= TERMS; j++)
				a[i][j] = sums[i][j];
		solve(a, used, x);
		for (int i = 0; i < TERMS; i++)
			if (x[i] < 0) {
				used[i] = false;
				again = 1;
			}
	}
	struct tune_law l = {x[0], x[1], x[2], 0};
	l.spread = spread_of(h, &l);
	return l;
}

double tune_law_us(const struct tune_law *l, uint32_t ef, double distances)
{
	double us = l->fixed + l->per_distance * distances + l->per_ef * ef;
	return us > 0 ? us : NAN;
}

#define TRUST 0.7 /* in a build's own times, as much as that of their distance to the law */

double tune_law_build_us(const struct tune_law *l, const struct tune_build *b, uint32_t ef,
			 double distances)
{
	double off = 0, weights = 0, us = tune_law_us(l, ef, distances);
	for (size_t i = 0; i < b->n; i++) {
		const struct tune_timing *t = &b->timing[i];
		double law = isnan(t->distances) ? NAN : tune_law_us(l, t->ef, t->distances);
		if (!t->count || isnan(law))
			continue;
		double near = exp(-2 * fabs(log((double)t->ef / ef)));
		off += near * (t->log_us - log(law));
		weights += near;
	}
	return weights > 0 ? us * exp(TRUST * off / weights) : us;
}
