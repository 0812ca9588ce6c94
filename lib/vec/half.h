/* SPDX-License-Identifier: MIT */
#ifndef VEC_HALF_H
#define VEC_HALF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Floats of 16 bits: f16 is IEEE 754 binary16, with 11 significant bits and up to HALF_F16_MAX;
 * bf16 is the upper half of a binary32, with 8 significant bits and its range.
 */
enum half { HALF_NONE, HALF_F16, HALF_BF16 };

#define HALF_F16_MAX 65504

/* Exact; subnormals come out right because scaling by a power of two is exact. */
static inline float half_from_f16(uint16_t h)
{
	uint32_t em = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16, bits;
	float f;
	memcpy(&f, &em, 4);
	f *= 0x1p112f;
	memcpy(&bits, &f, 4);
	bits |= (h & 0x7fff) >= 0x7c00 ? 0x7f800000u : 0;
	bits |= sign;
	memcpy(&f, &bits, 4);
	return f;
}

static inline float half_from_bf16(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float f;
	memcpy(&f, &bits, 4);
	return f;
}

/* The nearest f16, ties to even; overflows to infinity. */
uint16_t half_to_f16(float f);

/* ${n} of them as floats. */
void half_read(enum half type, const uint16_t *in, float *out, size_t n);

/* The nearest ones of ${n} floats, none NaN; ties to even, overflow to infinity. */
void half_make(enum half type, const float *in, uint16_t *out, size_t n);

/* Floats become the nearest ones; -0 becomes 0. */
void half_round(enum half type, float *v, size_t n);

#endif
