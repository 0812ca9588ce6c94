/* SPDX-License-Identifier: MIT */
#ifndef TUNE_LAW_H
#define TUNE_LAW_H

#include "tune/history.h"

/*
 * What a search takes: us = fixed + per_distance * distances + per_ef * ef_search, for all builds
 * of one data set on one machine; times a factor for rungs, and one for older builds.
 */
struct tune_law {
	double fixed, per_distance, per_ef; /* all 0: nothing was timed */
	/* log of what times of rungs, and of older builds, are to the law: less misses the cache */
	double rung, older;
	double spread; /* of log(measured / law) over timings, at least 0.01 */
};

/*
 * Fit it to the timings of all builds, by relative least squares in which outliers weigh less, no
 * coefficient below 0.
 */
struct tune_law tune_law_fit(const struct tune_history *h);

/* NAN if nothing was timed. */
double tune_law_us(const struct tune_law *l, uint32_t ef, double distances);

/* The same for this build: the law, moved towards the build's own timings, the nearest most. */
double tune_law_build_us(const struct tune_law *l, const struct tune_build *b, uint32_t ef,
			 double distances);

#endif
