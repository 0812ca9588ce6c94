/* SPDX-License-Identifier: MIT */
#include "stat/mean.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BETS 8	 /* shares of the wealth that are bet: 1, 1/2, 1/4 ... */
#define STEPS 50 /* of a bisection */

/* A value and how often it came. */
struct weight {
	double value, count;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* log((e^v[0] + ... + e^v[n-1]) / n) without overflow. */
static double log_mean_exp(const double *v, int n)
{
	double greatest = -INFINITY, sum = 0;
	for (int i = 0; i < n; i++)
		greatest = fmax(greatest, v[i]);
	if (!isfinite(greatest))
		return greatest;
	for (int i = 0; i < n; i++)
		sum += exp(v[i] - greatest);
	return greatest + log(sum / n);
}

/*
 * Log of the wealth of one who bets that the mean is above m: a share c of the wealth is
 * put on each value, which pays value / m.  If the mean is m or less, no bet gains on
 * average.  It falls as m grows.
 */
static double log_wealth(const struct weight *w, uint64_t n, double m)
{
	double bet[BETS];
	for (int b = 0; b < BETS; b++) {
		double share = ldexp(1, -b);
		bet[b] = 0;
		for (uint64_t i = 0; i < n; i++)
			bet[b] += w[i].count * log(1 - share + share * w[i].value / m);
	}
	return log_mean_exp(bet, BETS);
}

int stat_mean_lower(const double *v, uint64_t n, double alpha, double *lower, struct err *err)
{
	double *sorted = mem_array(n, sizeof *sorted, err), need = -log(alpha), lo = 0, hi = 1;
	struct weight *w = mem_array(n, sizeof *w, err);
	int ret = -1;
	uint64_t kinds = 0;
	if (!sorted || !w)
		goto out;
	memcpy(sorted, v, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, by_value);
	for (uint64_t i = 0; i < n; i++) {
		if (kinds == 0 || sorted[i] > w[kinds - 1].value)
			w[kinds++] = (struct weight){.value = sorted[i]};
		w[kinds - 1].count++;
	}
	for (int i = 0; i < STEPS; i++) {
		double m = (lo + hi) / 2;
		if (log_wealth(w, kinds, m) >= need)
			lo = m;
		else
			hi = m;
	}
	/* More digits would only look exact; down, so that it stays a bound. */
	*lower = floor(lo * 1e6) / 1e6;
	ret = 0;
out:
	free(sorted);
	free(w);
	return ret;
}

/* Kullback-Leibler divergence of two coins. */
static double divergence(double p, double q)
{
	double a = p > 0 ? p * log(p / q) : 0, b = p < 1 ? (1 - p) * log((1 - p) / (1 - q)) : 0;
	return a + b;
}

double stat_mean_lower_known(double mean, uint64_t n, double alpha)
{
	double lo = 0, hi = mean, need = -log(alpha) / (double)n;
	for (int i = 0; i < STEPS; i++) {
		double m = (lo + hi) / 2;
		if (divergence(mean, m) >= need)
			lo = m;
		else
			hi = m;
	}
	return lo;
}

uint64_t stat_needed(double mean, double lower, uint64_t n, double floor)
{
	if (mean <= floor || floor >= 1)
		return 0;
	if (lower >= floor)
		return n;
	if (floor <= 0)
		return 1;
	double more = divergence(mean, fmax(lower, 1e-9)) / divergence(mean, floor),
	       needed = ceil((double)n * more);
	return needed < 1e15 ? (uint64_t)needed : (uint64_t)1e15;
}

uint64_t stat_provable(double floor, double mean, double alpha)
{
	double needed = floor <= 0 ? 1 : ceil(log(BETS / alpha) / divergence(mean, floor));
	return needed < 1e15 ? (uint64_t)needed : (uint64_t)1e15;
}

double stat_mean_positive(const double *v, uint64_t n)
{
	double bet[BETS];
	for (int b = 0; b < BETS; b++) {
		/* Not all of it, so that one -1 does not end everything. */
		double share = ldexp(0.9, -b);
		bet[b] = 0;
		for (uint64_t i = 0; i < n; i++)
			bet[b] += log1p(share * v[i]);
	}
	return log_mean_exp(bet, BETS);
}
