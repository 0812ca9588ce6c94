/* SPDX-License-Identifier: MIT */
#include "vec/dist_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

static inline float sum_lanes(__m512 even, __m512 odd)
{
	__m512 s = _mm512_add_ps(even, odd);
	__m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(s),
				  _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(s), 1)));
	__m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
	s4 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
	return _mm_cvtss_f32(_mm_add_ss(s4, _mm_movehdup_ps(s4)));
}

static inline __m512 step(__m512 q, __m512 x, __m512 acc, int is_l2)
{
	if (is_l2) {
		__m512 d = _mm512_sub_ps(q, x);
		return _mm512_fmadd_ps(d, d, acc);
	}
	return _mm512_fmadd_ps(q, x, acc);
}

/* Mask of the elements of the last, partial block of 16. */
static inline __mmask16 tail_mask(size_t left)
{
	return (__mmask16)((1u << left) - 1);
}

static inline __attribute__((always_inline)) void rows(const float *q, const float *const *row,
						       int count, size_t dim, float *out, int is_l2)
{
	__m512 even[4], odd[4];
	size_t i = 0;
	for (int j = 0; j < count; j++)
		even[j] = odd[j] = _mm512_setzero_ps();
	for (; i + 32 <= dim; i += 32) {
		__m512 q0 = _mm512_loadu_ps(q + i), q1 = _mm512_loadu_ps(q + i + 16);
		for (int j = 0; j < count; j++) {
			even[j] = step(q0, _mm512_loadu_ps(row[j] + i), even[j], is_l2);
			odd[j] = step(q1, _mm512_loadu_ps(row[j] + i + 16), odd[j], is_l2);
		}
	}
	if (i + 16 <= dim) {
		__m512 q0 = _mm512_loadu_ps(q + i);
		for (int j = 0; j < count; j++)
			even[j] = step(q0, _mm512_loadu_ps(row[j] + i), even[j], is_l2);
		i += 16;
		if (i < dim) {
			__mmask16 m = tail_mask(dim - i);
			__m512 q1 = _mm512_maskz_loadu_ps(m, q + i);
			for (int j = 0; j < count; j++)
				odd[j] =
				    step(q1, _mm512_maskz_loadu_ps(m, row[j] + i), odd[j], is_l2);
		}
	} else if (i < dim) {
		__mmask16 m = tail_mask(dim - i);
		__m512 q0 = _mm512_maskz_loadu_ps(m, q + i);
		for (int j = 0; j < count; j++)
			even[j] = step(q0, _mm512_maskz_loadu_ps(m, row[j] + i), even[j], is_l2);
	}
	for (int j = 0; j < count; j++)
		out[j] = sum_lanes(even[j], odd[j]);
}

static float l2(const float *a, const float *b, size_t dim)
{
	float out;
	rows(a, &b, 1, dim, &out, 1);
	return out;
}

static float dot(const float *a, const float *b, size_t dim)
{
	float out;
	rows(a, &b, 1, dim, &out, 0);
	return out;
}

static void l2_4(const float *q, const float *const row[4], size_t dim, float out[4])
{
	rows(q, row, 4, dim, out, 1);
}

static void dot_4(const float *q, const float *const row[4], size_t dim, float out[4])
{
	rows(q, row, 4, dim, out, 0);
}

const struct dist_kernels dist_avx512 = {"avx512", l2, dot, l2_4, dot_4};
#endif
