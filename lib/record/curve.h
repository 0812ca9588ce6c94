/* SPDX-License-Identifier: MIT */
#ifndef RECORD_CURVE_H
#define RECORD_CURVE_H

#include "base/scan.h"
#include "json/write.h"

#define CURVE_POINTS_MAX 256

/* What an index gives at one ef_search. */
struct curve_point {
	uint32_t ef;
	double recall;	  /* recall_at_k */
	double lower;	  /* its lower bound */
	double at_target; /* share of the queries whose recall is the target at least */
	double distances; /* a query */
};

/*
 * What an index gives at every ef_search, by some of them; what lies between is read by
 * curve_at().  All Trials of a build carry it, since one search of a query gives all of it.
 */
struct curve {
	struct curve_point *point; /* ef increasing, recall and distances not falling */
	size_t n;
	double confidence; /* of ${lower} */
	double target;	   /* of ${at_target} */
};

/* The widths to measure for a curve from ${lo} to ${hi}, increasing steps of about a twelfth;
 * returns how many, at most CURVE_POINTS_MAX. */
size_t curve_widths(uint32_t lo, uint32_t hi, uint32_t out[static CURVE_POINTS_MAX]);

/*
 * Read the raw object of a record.  ERR_DATA: lists of different lengths, too many points, an
 * ef_search that does not increase, a share outside 0..1.
 */
int curve_parse(struct curve *c, struct span json, struct err *err) MUST_CHECK;
void curve_write(struct json_out *j, const struct curve *c);
void curve_release(struct curve *c);

/* The point at ${ef}, between its neighbours by straight lines; beyond the ends: the end. */
struct curve_point curve_at(const struct curve *c, uint32_t ef);

#endif
