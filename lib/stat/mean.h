/* SPDX-License-Identifier: MIT */
#ifndef STAT_MEAN_H
#define STAT_MEAN_H

#include <stdint.h>

#include "base/err.h"

/*
 * What a sample says of a mean, without any assumption on the distribution but that the
 * values are drawn independently and bounded.  All are exact for every sample size: they
 * bet on the values and use that wealth w made of fair bets exceeds 1/alpha with
 * probability alpha at most (Markov's inequality).
 * Source: I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by
 * betting", JRSS B 86 (2024), arXiv:2010.09686.
 */

#define STAT_RECALL_ALPHA 0.01 /* error of the lower bounds of recall that are recorded */

/*
 * A lower bound of the mean of values in 0..1 that exceeds the true mean with probability
 * ${alpha} at most.  ${v}: ${n} >= 1 values.  It is below 1 whatever the values.  Cost: n
 * log n, and a multiple of the number of different values.
 */
int stat_mean_lower(const double *v, uint64_t n, double alpha, double *lower,
		    struct err *err) MUST_CHECK;

/* The same where only the mean of the ${n} values is known (W. Hoeffding, 1963, theorem 1):
 * wider, as their spread might be the largest that there is. */
double stat_mean_lower_known(double mean, uint64_t n, double alpha);

/*
 * About how many values are needed for a lower bound of at least ${floor}, if further ones
 * are like the ${n} that gave ${mean} and ${lower}; 0: no number of them will do.
 */
uint64_t stat_needed(double mean, double lower, uint64_t n, double floor);

/*
 * About how many values of 0 or 1 with such a mean prove with an error of ${alpha} that it is at least
 * ${floor} (H. Chernoff's bound); with a mean of 1 the fewest that can prove it at all.  floor < mean
 * <= 1.
 */
uint64_t stat_provable(double floor, double mean, double alpha);

/*
 * Natural logarithm of the evidence that the mean of ${n} values in -1..1 is above 0: if it
 * is not, this exceeds log(1/alpha) with probability alpha at most.
 */
double stat_mean_positive(const double *v, uint64_t n);

#endif
