/* SPDX-License-Identifier: MIT */
#include "stat/faster.h"

#include <math.h>

#define SLOPES 6 /* 1, 4, 16 ...: the best is about effect / variance of a block */
#define SHARES 3
#define EXACT_MAX 500

static const double share[SHARES] = {0.1, 0.3, 0.9};

_Static_assert(SLOPES *SHARES == STAT_FASTER_BETS, "a bet for each pair");

void stat_faster_init(struct stat_faster *s, double alpha, double beta, double margin,
		      double effect)
{
	*s = (struct stat_faster){
	    .margin = log1p(margin), .effect = log1p(effect), .alpha = alpha, .beta = beta};
	for (int i = 0; i < STAT_FASTER_BETS; i++)
		s->win[i] = s->lose[i] = 1;
}

static void bet(double wealth[STAT_FASTER_BETS], double y)
{
	double slope = 1;
	for (int l = 0; l < SLOPES; l++, slope *= 4) {
		double h = tanh(slope * y);
		for (int c = 0; c < SHARES; c++)
			wealth[l * SHARES + c] *= 1 + share[c] * h;
	}
}

static double mean(const double wealth[STAT_FASTER_BETS])
{
	double sum = 0;
	for (int i = 0; i < STAT_FASTER_BETS; i++)
		sum += wealth[i];
	return sum / STAT_FASTER_BETS;
}

enum stat_verdict stat_faster_add(struct stat_faster *s, double log_ratio)
{
	s->blocks++;
	bet(s->win, log_ratio - s->margin);
	bet(s->lose, s->effect - log_ratio);
	if (mean(s->win) * s->alpha >= 1)
		return STAT_FASTER;
	return mean(s->lose) * s->beta >= 1 ? STAT_NOT_FASTER : STAT_UNDECIDED;
}

double stat_faster_evidence(const struct stat_faster *s)
{
	return mean(s->win);
}

void stat_median_ranks(uint64_t n, uint64_t *lo, uint64_t *hi)
{
	uint64_t r = 0;
	if (n > EXACT_MAX) {
		r = (uint64_t)(((double)n - 1.96 * sqrt((double)n)) / 2) - 1;
	} else {
		/* The greatest r with P(Binomial(n, 1/2) <= r) <= 0.025. */
		double term = ldexp(1, -(int)n), below = term;
		while (r + 1 < n / 2) {
			term *= (double)(n - r) / (double)(r + 1);
			below += term;
			if (below > 0.025)
				break;
			r++;
		}
	}
	*lo = r;
	*hi = n - 1 - r;
}
