/* SPDX-License-Identifier: MIT */
/*
 * The kernels of one variant.  The file that includes this has defined
 *
 *	static inline void group(const float *q, const float *const *row, int count,
 *	                         size_t dim, float *out, int is_l2)
 *
 * for a ${count} of 1..4 that is known where it is inlined, and VARIANT, the name of the
 * struct dist_kernels.
 */
#include "vec/dist_internal.h"

#define AHEAD 8 /* rows */

static __attribute__((noinline)) float l2(const float *a, const float *b, size_t dim)
{
	float out;
	group(a, &b, 1, dim, &out, 1);
	return out;
}

static __attribute__((noinline)) float dot(const float *a, const float *b, size_t dim)
{
	float out;
	group(a, &b, 1, dim, &out, 0);
	return out;
}

static inline const float *row_at(const struct dist_rows *r, const uint32_t *number, size_t i)
{
	return r->base + (number ? number[i] : i) * r->stride;
}

/* Ask for every line of a row, into the second-level cache: more of those requests can be
 * under way at once than of ones for the first level. */
static inline void ask_for(const float *row, size_t dim)
{
	const char *p = (const char *)row, *end = (const char *)(row + dim);
	for (; p < end; p += 64)
		__builtin_prefetch(p, 0, 2);
}

/* Four rows; out of line, so that the loop around it does not crowd its registers. */
static __attribute__((noinline)) void l2_four(const float *q, const float *const row[4], size_t dim,
					      float *out)
{
	group(q, row, 4, dim, out, 1);
}

static __attribute__((noinline)) void dot_four(const float *q, const float *const row[4],
					       size_t dim, float *out)
{
	group(q, row, 4, dim, out, 0);
}

static inline __attribute__((always_inline)) void many(const float *q, const struct dist_rows *r,
						       const uint32_t *number, size_t count,
						       float *out, int is_l2)
{
	const float *row[4];
	size_t dim = r->dim, i = 0;
	for (size_t j = 0; j < count && j < AHEAD; j++)
		ask_for(row_at(r, number, j), dim);
	for (; i + 4 <= count; i += 4) {
		for (size_t j = 0; j < 4; j++) {
			row[j] = row_at(r, number, i + j);
			if (i + j + AHEAD < count)
				ask_for(row_at(r, number, i + j + AHEAD), dim);
		}
		(is_l2 ? l2_four : dot_four)(q, row, dim, out + i);
	}
	for (; i < count; i++)
		out[i] = (is_l2 ? l2 : dot)(q, row_at(r, number, i), dim);
}

static void l2_rows(const float *q, const struct dist_rows *rows, const uint32_t *number,
		    size_t count, float *out)
{
	many(q, rows, number, count, out, 1);
}

static void dot_rows(const float *q, const struct dist_rows *rows, const uint32_t *number,
		     size_t count, float *out)
{
	many(q, rows, number, count, out, 0);
}

#define VARIANT_NAME_(v) #v
#define VARIANT_NAME(v) VARIANT_NAME_(v)
#define VARIANT_SYMBOL_(v) dist_##v
#define VARIANT_SYMBOL(v) VARIANT_SYMBOL_(v)

const struct dist_kernels VARIANT_SYMBOL(VARIANT) = {VARIANT_NAME(VARIANT), l2, dot, l2_rows,
						     dot_rows};
