/* SPDX-License-Identifier: MIT */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define NUM_PADDING 16
#define NUM_TEXT_MAX 32 /* room for any number that num_format_* prints */

/* Parse a whole decimal integer in ${min}..${max}: digits only, no sign, no blanks. */
int num_u64(struct span text, uint64_t min, uint64_t max, uint64_t *out) MUST_CHECK;

/* Parse a whole finite decimal number in ${min}..${max}. */
int num_f64(struct span text, double min, double max, double *out) MUST_CHECK;

/*
 * Parse one JSON number (RFC 8259 grammar, nothing more) at ${p}.
 * The text must be followed by NUM_PADDING readable bytes, the first of which cannot
 * belong to a number; a newline or a NUL will do.
 *
 * Returns the first byte after the number, or NULL if there is none.  ${out} is the
 * nearest value, ties to even; a number too large for the type gives an infinity,
 * which callers refuse.
 * Source: D. Lemire, "Number parsing at a gigabyte per second", arXiv:2101.11408.
 */
const char *num_json_f32(const char *p, float *out);
const char *num_json_f64(const char *p, double *out);

/*
 * Print a finite value with the fewest digits that read back as the same value.
 * Returns the length.  An integral value below 1e15 has no point and no exponent.
 * Source for f32: R. Giulietti, "The Schubfach way to render doubles", 2020.
 */
size_t num_format_f32(char out[static NUM_TEXT_MAX], float v);
size_t num_format_f64(char out[static NUM_TEXT_MAX], double v);

/* a * b and a + b in size_t; false on overflow, then ${out} is untouched. */
static inline bool num_mul(size_t a, size_t b, size_t *out)
{
	size_t r;
	if (__builtin_mul_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

static inline bool num_add(size_t a, size_t b, size_t *out)
{
	size_t r;
	if (__builtin_add_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

/* ${v} rounded up to a multiple of ${unit}, a power of two.  The caller excludes overflow. */
static inline size_t num_round_up(size_t v, size_t unit)
{
	return (v + unit - 1) & ~(unit - 1);
}

#endif
