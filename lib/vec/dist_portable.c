/* SPDX-License-Identifier: MIT */
/* The reference: plain C.  Where the processor has no fused multiply-add, fmaf is a
 * slow library call, which is the price of equal results. */
#include "vec/dist_internal.h"

#include <math.h>

static float sum_lanes(float lane[32])
{
	for (int step = 16; step; step /= 2)
		for (int j = 0; j < step; j++)
			lane[j] += lane[j + step];
	return lane[0];
}

static float l2(const float *a, const float *b, size_t dim)
{
	float lane[32] = {0};
	for (size_t i = 0; i < dim; i++) {
		float d = a[i] - b[i];
		lane[i % 32] = fmaf(d, d, lane[i % 32]);
	}
	return sum_lanes(lane);
}

static float dot(const float *a, const float *b, size_t dim)
{
	float lane[32] = {0};
	for (size_t i = 0; i < dim; i++)
		lane[i % 32] = fmaf(a[i], b[i], lane[i % 32]);
	return sum_lanes(lane);
}

static void l2_4(const float *q, const float *const row[4], size_t dim, float out[4])
{
	for (int j = 0; j < 4; j++)
		out[j] = l2(q, row[j], dim);
}

static void dot_4(const float *q, const float *const row[4], size_t dim, float out[4])
{
	for (int j = 0; j < 4; j++)
		out[j] = dot(q, row[j], dim);
}

const struct dist_kernels dist_portable = {"portable", l2, dot, l2_4, dot_4};
