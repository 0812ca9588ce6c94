/* SPDX-License-Identifier: MIT */
#ifndef JSON_FILTER_H
#define JSON_FILTER_H

#include "base/buf.h"

/* What a jq program may use. */
#define JSON_FILTER_MEMORY_MIB 1024 /* beyond what the process has when it begins */
#define JSON_FILTER_SECONDS 10	    /* of processor time, to compile or for one record */

/*
 * A jq program that gives a number for each record.  libjq runs it in a process of its own,
 * which has no environment, opens no file, imports no module, and ends when it needs more than
 * the above, or when libjq aborts, as it does where memory is short.  For one thread.
 */
struct json_filter;

/*
 * Takes what the program gave for ${record}: ${why} is NULL and ${value} finite; or it gave no
 * number, a null, another type, or an error, which ${why} tells.  Non-zero ends the reading.
 */
typedef int json_filter_fn(void *ctx, struct span record, double value, const char *why,
			   struct err *err);

/* NULL: ERR_USAGE if the program does not compile or names modules (about 20 ms either way). */
struct json_filter *json_filter_new(const char *program, json_filter_fn *fn, void *ctx,
				    struct err *err) MUST_CHECK;
void json_filter_free(struct json_filter *f);

/*
 * Run the program for a copy of one JSON text.  Records are run by the hundred, so ${fn} is
 * called later, for one after the other, by this or json_filter_finish().  ERR_ENV: the process
 * died; else what ${fn} gave.
 */
int json_filter_add(struct json_filter *f, struct span record, struct err *err) MUST_CHECK;

/* See to it that ${fn} was called for every record. */
int json_filter_finish(struct json_filter *f, struct err *err) MUST_CHECK;

#endif
