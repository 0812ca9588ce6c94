/* SPDX-License-Identifier: MIT */
/* The reference: plain C.  Where the processor has no fused multiply-add, fmaf is a
 * slow library call, which is the price of equal results. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "vec/half.h"

static inline float value(const void *row, size_t i, enum half half)
{
	if (half == HALF_NONE)
		return ((const float *)row)[i];
	uint16_t x = ((const uint16_t *)row)[i];
	return half == HALF_F16 ? half_from_f16(x) : half_from_bf16(x);
}

static inline void group(const float *q, const void *const *row, int count, size_t dim, float *out,
			 int is_l2, enum half half)
{
	for (int j = 0; j < count; j++) {
		float lane[32] = {0};
		for (size_t i = 0; i < dim; i++) {
			float a = q[i], b = value(row[j], i, half);
			if (is_l2)
				a = b = a - b;
			lane[i % 32] = fmaf(a, b, lane[i % 32]);
		}
		for (int step = 16; step; step /= 2)
			for (int l = 0; l < step; l++)
				lane[l] += lane[l + step];
		out[j] = lane[0];
	}
}

static inline void code_group(const int8_t *q, const uint8_t *const *row, int count, size_t dim,
			      int32_t *out)
{
	for (int j = 0; j < count; j++) {
		int32_t sum = 0;
		for (size_t i = 0; i < dim; i++)
			sum += q[i] * row[j][i];
		out[j] = sum;
	}
}

#define VARIANT portable
#include "vec/dist_variant.inc"
