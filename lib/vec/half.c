/* SPDX-License-Identifier: MIT */
#include "vec/half.h"

uint16_t half_to_f16(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, 4);
	uint32_t sign = bits >> 16 & 0x8000, mag = bits & 0x7fffffff;
	if (mag > 0x7f800000)
		return (uint16_t)(sign | 0x7e00);
	if (mag >= 0x477ff000)
		return (uint16_t)(sign | 0x7c00);
	if (mag < 0x38800000) {
		/* Subnormal: let the adder round at the right place. */
		float a;
		memcpy(&a, &mag, 4);
		a += 0.5f;
		memcpy(&mag, &a, 4);
		return (uint16_t)(sign | (mag - 0x3f000000));
	}
	mag += ((uint32_t)(15 - 127) << 23) + 0xfff + (mag >> 13 & 1);
	return (uint16_t)(sign | mag >> 13);
}

static inline uint16_t to_bf16(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, 4);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void half_read(enum half type, const uint16_t *in, float *out, size_t n)
{
	if (type == HALF_F16)
		for (size_t i = 0; i < n; i++)
			out[i] = half_from_f16(in[i]);
	else
		for (size_t i = 0; i < n; i++)
			out[i] = half_from_bf16(in[i]);
}

void half_make(enum half type, const float *in, uint16_t *out, size_t n)
{
	if (type == HALF_F16)
		for (size_t i = 0; i < n; i++)
			out[i] = half_to_f16(in[i]);
	else
		for (size_t i = 0; i < n; i++)
			out[i] = to_bf16(in[i]);
}

void half_round(enum half type, float *v, size_t n)
{
	if (type == HALF_F16)
		for (size_t i = 0; i < n; i++)
			v[i] = half_from_f16(half_to_f16(v[i])) + 0.0f;
	else
		for (size_t i = 0; i < n; i++)
			v[i] = half_from_bf16(to_bf16(v[i])) + 0.0f;
}
