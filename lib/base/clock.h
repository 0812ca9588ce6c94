/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#include "base/buf.h"

#define CLOCK_TEXT_MAX 40

/* The last stamp that the name of a batch may have: the next free one never wraps. */
#define CLOCK_STAMP_MAX (UINT64_MAX / 2)

/* Monotonic time in nanoseconds; only differences mean something. */
uint64_t clock_mono_ns(void);

/* UTC wall clock, microseconds since 1970; at least 0, and at most the end of the year 9999. */
uint64_t clock_wall_us(void);

/* The same for what is to be written down: ERR_ENV if the clock is set outside of these years. */
int clock_now(uint64_t *wall_us, struct err *err) MUST_CHECK;
int clock_now_text(char out[static CLOCK_TEXT_MAX], struct err *err) MUST_CHECK;

/* "2026-04-16T15:26:21.123456Z" (RFC 3339, UTC) into ${out}. */
void clock_format(uint64_t wall_us, char out[static CLOCK_TEXT_MAX]);

/*
 * Parse an RFC 3339 time with any number of fraction digits (digits after the
 * sixth are dropped) and Z or an offset.  Returns 0, or -1 if it is none.
 */
int clock_parse(struct span text, uint64_t *wall_us);

#endif
