/* SPDX-License-Identifier: MIT */
#include "vec/dist_internal.h"

#if defined(__aarch64__)
#include <arm_neon.h>

/* Sixteen lanes: four registers. */
struct lanes {
	float32x4_t r[4];
};

static inline struct lanes lanes_zero(void)
{
	float32x4_t zero = vdupq_n_f32(0);
	return (struct lanes){{zero, zero, zero, zero}};
}

/* Four elements of a row, from number ${at} on. */
static inline float32x4_t load(const void *row, int at, enum half half)
{
	if (half == HALF_NONE)
		return vld1q_f32((const float *)row + at);
	uint16x4_t x = vld1_u16((const uint16_t *)row + at);
	return half == HALF_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(x))
				: vreinterpretq_f32_u32(vshll_n_u16(x, 16));
}

static inline struct lanes step(const float *q, const void *x, struct lanes acc, int is_l2,
				enum half half)
{
	for (int k = 0; k < 4; k++) {
		float32x4_t a = vld1q_f32(q + 4 * k), b = load(x, 4 * k, half);
		if (is_l2)
			a = b = vsubq_f32(a, b);
		acc.r[k] = vfmaq_f32(acc.r[k], a, b);
	}
	return acc;
}

static inline float sum_lanes(struct lanes even, struct lanes odd)
{
	float32x4_t s[4];
	for (int k = 0; k < 4; k++)
		s[k] = vaddq_f32(even.r[k], odd.r[k]);
	float32x4_t s4 = vaddq_f32(vaddq_f32(s[0], s[2]), vaddq_f32(s[1], s[3]));
	float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
	return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}

#include "vec/dist_pairs.inc"

static inline __attribute__((always_inline)) void
code_group(const int8_t *q, const uint8_t *const *row, int count, size_t dim, int32_t *out)
{
	int32x4_t sum[4];
	for (int j = 0; j < count; j++)
		sum[j] = vdupq_n_s32(0);
	for (size_t i = 0; i < dim; i += 8) {
		int16x8_t q0 = vmovl_s8(vld1_s8(q + i));
		for (int j = 0; j < count; j++) {
			int16x8_t x = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(row[j] + i)));
			sum[j] = vmlal_s16(sum[j], vget_low_s16(x), vget_low_s16(q0));
			sum[j] = vmlal_s16(sum[j], vget_high_s16(x), vget_high_s16(q0));
		}
	}
	for (int j = 0; j < count; j++)
		out[j] = vaddvq_s32(sum[j]);
}

#define VARIANT neon
#include "vec/dist_variant.inc"
#endif
