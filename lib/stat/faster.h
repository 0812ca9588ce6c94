/* SPDX-License-Identifier: MIT */
#ifndef STAT_FASTER_H
#define STAT_FASTER_H

#include <stdint.h>

/*
 * A sequential test of whether a challenger is faster than a champion, from blocks in which
 * both did the same work in an order that a coin decided.  It may be looked at after every
 * block and stopped at any.
 *
 * Each block gives x = log(time of the champion / time of the challenger).  If both are
 * equal, the coin alone decides which of the two times is whose, so x and -x are equally
 * likely, given all blocks before, however the machine is disturbed, drifts, and how heavy
 * the tails of its noise are.  If the challenger is faster by the factor e^d, and noise
 * multiplies times, the same is true of x - d.  So, for every odd growing h with values in
 * -1..1, the wealth that is multiplied by 1 + h(x - d) with each block is a nonnegative
 * martingale if the advantage is d, and a supermartingale if it is less; the mean of several
 * such is another.  The probability that it ever reaches 1/alpha is alpha at most (J. Ville,
 * 1939).  Here h(y) = c tanh(l y), which is the likelihood ratio of a normal distribution
 * for c = 1, and near a sign test, deaf to outliers, for small c and large l; the mean is
 * over a grid of both.  See V. de la Pena, "A general class of exponential inequalities for
 * martingales and ratios", Ann. Probab. 27 (1999), for the symmetric case, and A. Ramdas et
 * al., "Game-theoretic statistics and safe anytime-valid inference", arXiv:2210.01948.
 *
 * Two such run at a time: one against "not faster by more than ${margin}", whose error is
 * ${alpha}: that a challenger within the margin is confirmed; and one against "faster by
 * ${effect} at least", whose error is ${beta}: that one which is so fast is given up.
 */

#define STAT_FASTER_BETS 18

struct stat_faster {
	double margin, effect; /* as log ratios */
	double alpha, beta;
	double win[STAT_FASTER_BETS], lose[STAT_FASTER_BETS]; /* wealth */
	uint64_t blocks;
};

/* ${margin} and ${effect}: 0.02 means faster by the factor 1.02; margin < effect. */
void stat_faster_init(struct stat_faster *s, double alpha, double beta, double margin,
		      double effect);

enum stat_verdict { STAT_NOT_FASTER = -1, STAT_UNDECIDED = 0, STAT_FASTER = 1 };

/* One block more; to be ended by a verdict. */
enum stat_verdict stat_faster_add(struct stat_faster *s, double log_ratio);

/* The evidence so far for "faster by more than the margin"; 1/alpha is enough. */
double stat_faster_evidence(const struct stat_faster *s);

/*
 * Ranks (from 0) of the two of ${n} >= 1 sorted values that hold the median between them
 * with probability 0.95, whatever the distribution; with less than six, the first and the
 * last.
 */
void stat_median_ranks(uint64_t n, uint64_t *lo, uint64_t *hi);

#endif
