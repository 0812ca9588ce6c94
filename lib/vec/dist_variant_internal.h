/* SPDX-License-Identifier: MIT */
/*
 * The kernels of one variant.  The file that includes this has defined
 *
 *	static inline void group(const float *q, const float *const *row, int count,
 *	                         size_t dim, float *out, int is_l2)
 *	static inline void code_group(const int8_t *q, const uint8_t *const *row, int count,
			      size_t dim, int32_t *out)
 *
 * for a ${count} of 1..4 that is known where they are inlined, and VARIANT, the name of the
 * struct dist_kernels.
 */
#include <string.h>

#include "vec/dist_internal.h"

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

static inline const char *row_at(const struct dist_rows *r, const uint32_t *number, size_t i)
{
	return (const char *)r->base + (number ? number[i] : i) * r->stride;
}

/* Four rows at a time: FOUR and ONE are called with the query, the rows, the dimension and where
 * the results go.  What is left over fills up four with
 * its last row: that costs less than going one by one. */
#define MANY(TYPE, RESULT, FOUR, ONE)                                                              \
	const TYPE *row[4];                                                                        \
	size_t dim = rows->dim, i = 0;                                                             \
	for (; i + 4 <= count; i += 4) {                                                           \
		for (size_t j = 0; j < 4; j++)                                                     \
			row[j] = (const TYPE *)row_at(rows, number, i + j);                        \
		FOUR(q, row, dim, out + i);                                                        \
	}                                                                                          \
	if (i + 1 == count) {                                                                      \
		row[0] = (const TYPE *)row_at(rows, number, i);                                    \
		ONE(q, row, dim, out + i);                                                         \
	} else if (i < count) {                                                                    \
		RESULT last[4];                                                                    \
		for (size_t j = 0; j < 4; j++)                                                     \
			row[j] =                                                                   \
			    (const TYPE *)row_at(rows, number, i + j < count ? i + j : count - 1); \
		FOUR(q, row, dim, last);                                                           \
		memcpy(out + i, last, (count - i) * sizeof *last);                                 \
	}

/* Out of line, so that the loops around them do not crowd their registers. */
#define OUT_OF_LINE(NAME, QUERY, TYPE, RESULT, CALL)                                       \
	static __attribute__((noinline)) void NAME(const QUERY *q, const TYPE *const *row, \
						   size_t dim, RESULT *out)                \
	{                                                                                  \
		CALL;                                                                      \
	}

OUT_OF_LINE(l2_four, float, float, float, group(q, row, 4, dim, out, 1))
OUT_OF_LINE(l2_one, float, float, float, group(q, row, 1, dim, out, 1))
OUT_OF_LINE(dot_four, float, float, float, group(q, row, 4, dim, out, 0))
OUT_OF_LINE(dot_one, float, float, float, group(q, row, 1, dim, out, 0))
OUT_OF_LINE(code_four, int8_t, uint8_t, int32_t, code_group(q, row, 4, dim, out))
OUT_OF_LINE(code_one, int8_t, uint8_t, int32_t, code_group(q, row, 1, dim, out))

static void l2_rows(const float *q, const struct dist_rows *rows, const uint32_t *number,
		    size_t count, float *out)
{
	MANY(float, float, l2_four, l2_one)
}

static void dot_rows(const float *q, const struct dist_rows *rows, const uint32_t *number,
		     size_t count, float *out)
{
	MANY(float, float, dot_four, dot_one)
}

static void code_rows(const int8_t *q, const struct dist_rows *rows, const uint32_t *number,
		      size_t count, int32_t *out)
{
	MANY(uint8_t, int32_t, code_four, code_one)
}

static int32_t code_turn(const uint8_t *code, size_t dim, int8_t *out)
{
	int32_t sum = 0;
	for (size_t i = 0; i < dim; i += DIST_CODE_PAD)
		for (size_t j = 0; j < DIST_CODE_PAD; j++) {
			out[i + j] = (int8_t)(code[i + j] ^ 0x80);
			sum += out[i + j];
		}
	return sum;
}

#define VARIANT_NAME_(v) #v
#define VARIANT_NAME(v) VARIANT_NAME_(v)
#define VARIANT_SYMBOL_(v) dist_##v
#define VARIANT_SYMBOL(v) VARIANT_SYMBOL_(v)

const struct dist_kernels VARIANT_SYMBOL(VARIANT) = {
    VARIANT_NAME(VARIANT), l2, dot, l2_rows, dot_rows, code_rows, code_turn};
