/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Lock an open file with flock(2), ${shared} or alone, which lasts until every descriptor of this opening is closed.
 * Waits ${wait_ms} at most; after a second of that, ${w} (may be NULL) is told who holds it.
 * ${name}: for messages.  0, or -1: ERR_TEMP, somebody else holds it, and the message says who, as
 * far as that can be known; ERR_ENV, it cannot be locked.
 */
int lock_file(int fd, bool shared, const char *name, int wait_ms, const struct warn_to *w,
	      struct err *err) MUST_CHECK;

#endif
