/* SPDX-License-Identifier: MIT */
#ifndef JSON_FILTER_H
#define JSON_FILTER_H

#include "base/buf.h"

/*
 * A jq program that gives a number for a record, run by libjq.  One thread only: libjq
 * 1.6 is not safe with several.
 */
struct json_filter;

/* NULL: ERR_USAGE if the program does not compile (about 20 ms either way). */
struct json_filter *json_filter_new(const char *program, struct err *err) MUST_CHECK;
void json_filter_free(struct json_filter *f);

/*
 * The first result of the program for one JSON text.  1: a finite number, in ${out}; 0: none, a
 * null, another type, or an error at run time, said in ${err}.
 */
int json_filter_number(struct json_filter *f, struct span record, double *out,
		       struct err *err) MUST_CHECK;

#endif
