/* SPDX-License-Identifier: MIT */
#ifndef RECORD_SETTINGS_H
#define RECORD_SETTINGS_H

#include "record/config.h"
#include "vec/elem.h"

/* A config in the words of other engines; settings_engines.inc has what is known of each. */

/* Names of the engines, NULL at the end. */
extern const char *const settings_engines[];

struct settings {
	struct config config;
	enum vec_metric metric;
	uint64_t dimensions; /* 0: not known */
	uint32_t k;	     /* neighbours a query asks for */
};

/*
 * Append the settings of ${engine} (its place among the names) that mean what ${s} means, ready to
 * paste, with comments on what was clamped and on what means something else there.
 * ERR_NO: the engine cannot be told that.
 */
int settings_write(struct buf *out, int engine, const struct settings *s,
		   struct err *err) MUST_CHECK;

#endif
