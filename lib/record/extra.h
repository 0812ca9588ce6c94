/* SPDX-License-Identifier: MIT */
#ifndef RECORD_EXTRA_H
#define RECORD_EXTRA_H

#include "base/scan.h"
#include "json/write.h"

/*
 * Members of an object that we do not know, kept byte by byte so that they are still there
 * when the object is written again.
 */
struct extra {
	struct buf text; /* "key":value,"key":value */
};

/* Take the value at the scanner's point as a member named ${key} (as written). */
void extra_take(struct extra *x, struct scan *s, struct span key);
void extra_write(struct json_out *j, const struct extra *x);
void extra_release(struct extra *x);

#endif
