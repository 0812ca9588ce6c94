/* SPDX-License-Identifier: MIT */
#include "vec/elem.h"

#include <math.h>
#include <string.h>

#include "vec/half.h"

const char *const vec_type_names[] = {"f32", "f64", "f16", "u8", "i8", "i32", NULL};
const char *const vec_metric_names[] = {"l2 euclidean", "cosine angular", "ip", NULL};

static const char *const metric_names[VEC_METRICS] = {"l2", "cosine", "ip"};

static const size_t type_bytes[VEC_TYPES] = {4, 8, 2, 1, 1, 4};

size_t vec_type_bytes(enum vec_type t)
{
	return type_bytes[t];
}

const char *vec_type_name(enum vec_type t)
{
	return vec_type_names[t];
}

const char *vec_metric_name(enum vec_metric m)
{
	return metric_names[m];
}

int vec_metric_parse(struct span name, enum vec_metric *out)
{
	for (int i = 0; i < VEC_METRICS; i++)
		if (span_is_word(name, vec_metric_names[i])) {
			*out = (enum vec_metric)i;
			return 0;
		}
	return -1;
}

#define CONVERT(TYPE, EXPR)                             \
	for (size_t i = 0; i < n; i++) {                \
		TYPE x;                                 \
		memcpy(&x, p + i * sizeof x, sizeof x); \
		out[i] = EXPR;                          \
	}

void vec_to_f32(enum vec_type t, const void *src, float *out, size_t n)
{
	const unsigned char *p = src;
	switch (t) {
	case VEC_F32:
		memcpy(out, p, n * 4);
		break;
	case VEC_F64:
		CONVERT(double, (float)x);
		break;
	case VEC_F16:
		CONVERT(uint16_t, half_from_f16(x));
		break;
	case VEC_U8:
		CONVERT(uint8_t, (float)x);
		break;
	case VEC_I8:
		CONVERT(int8_t, (float)x);
		break;
	case VEC_I32:
		CONVERT(int32_t, (float)x);
		break;
	case VEC_TYPES:
		break;
	}
}

void vec_to_f64(enum vec_type t, const void *src, double *out, size_t n)
{
	const unsigned char *p = src;
	switch (t) {
	case VEC_F32:
		CONVERT(float, (double)x);
		break;
	case VEC_F64:
		memcpy(out, p, n * 8);
		break;
	case VEC_F16:
		CONVERT(uint16_t, (double)half_from_f16(x));
		break;
	case VEC_U8:
		CONVERT(uint8_t, (double)x);
		break;
	case VEC_I8:
		CONVERT(int8_t, (double)x);
		break;
	case VEC_I32:
		CONVERT(int32_t, (double)x);
		break;
	case VEC_TYPES:
		break;
	}
}

#define STORE(TYPE, LO, HI)                                                             \
	for (size_t i = 0; i < n; i++) {                                                \
		if (!(src[i] >= (LO) && src[i] <= (HI)) || src[i] != nearbyint(src[i])) \
			return i;                                                       \
		TYPE x = (TYPE)src[i];                                                  \
		memcpy(p + i * sizeof x, &x, sizeof x);                                 \
	}

size_t vec_from_f64(enum vec_type t, const double *src, void *out, size_t n)
{
	unsigned char *p = out;
	switch (t) {
	case VEC_F64:
		memcpy(p, src, n * 8);
		break;
	case VEC_F32:
		for (size_t i = 0; i < n; i++) {
			float x = (float)src[i];
			if (isinf(x) && !isinf(src[i]))
				return i;
			memcpy(p + i * 4, &x, 4);
		}
		break;
	case VEC_F16:
		for (size_t i = 0; i < n; i++) {
			uint16_t x = half_to_f16((float)src[i]);
			if ((x & 0x7fff) == 0x7c00 && !isinf(src[i]))
				return i;
			memcpy(p + i * 2, &x, 2);
		}
		break;
	case VEC_U8:
		STORE(uint8_t, 0, 255);
		break;
	case VEC_I8:
		STORE(int8_t, -128, 127);
		break;
	case VEC_I32:
		STORE(int32_t, -2147483648.0, 2147483647.0);
		break;
	case VEC_TYPES:
		break;
	}
	return n;
}

size_t vec_first_nonfinite(const float *v, size_t n)
{
	uint32_t bad = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t b;
		memcpy(&b, v + i, 4);
		bad |= (b & 0x7f800000u) == 0x7f800000u;
	}
	if (!bad)
		return n;
	for (size_t i = 0; i < n; i++)
		if (!isfinite(v[i]))
			return i;
	return n;
}

void vec_normalise(float *v, size_t n)
{
	/* Four sums in a fixed order: the same bits everywhere, and no long chain. */
	double s[4] = {0, 0, 0, 0};
	size_t i = 0;
	for (; i + 4 <= n; i += 4)
		for (size_t j = 0; j < 4; j++)
			s[j] += (double)v[i + j] * (double)v[i + j];
	for (; i < n; i++)
		s[0] += (double)v[i] * (double)v[i];
	double norm = sqrt((s[0] + s[1]) + (s[2] + s[3]));
	if (norm == 0)
		return;
	double scale = 1 / norm;
	for (i = 0; i < n; i++)
		v[i] = (float)((double)v[i] * scale);
}
