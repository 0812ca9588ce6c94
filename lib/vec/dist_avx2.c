/* SPDX-License-Identifier: MIT */
#include "vec/dist_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* Sixteen lanes: two registers. */
struct lanes {
	__m256 lo, hi;
};

static inline struct lanes lanes_zero(void)
{
	return (struct lanes){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

/* Eight elements of a row, from number ${at} on. */
static inline __m256 load(const void *row, size_t at, enum half half)
{
	if (half == HALF_NONE)
		return _mm256_loadu_ps((const float *)row + at);
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)row + at));
	return half == HALF_F16
		   ? _mm256_cvtph_ps(x)
		   : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}

static inline struct lanes step(const float *q, const void *x, struct lanes acc, int is_l2,
				enum half half)
{
	__m256 q0 = _mm256_loadu_ps(q), q1 = _mm256_loadu_ps(q + 8);
	__m256 x0 = load(x, 0, half), x1 = load(x, 8, half);
	if (is_l2) {
		x0 = q0 = _mm256_sub_ps(q0, x0);
		x1 = q1 = _mm256_sub_ps(q1, x1);
	}
	acc.lo = _mm256_fmadd_ps(q0, x0, acc.lo);
	acc.hi = _mm256_fmadd_ps(q1, x1, acc.hi);
	return acc;
}

static inline float sum_lanes(struct lanes even, struct lanes odd)
{
	__m256 s8 = _mm256_add_ps(_mm256_add_ps(even.lo, odd.lo), _mm256_add_ps(even.hi, odd.hi));
	__m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
	s4 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
	return _mm_cvtss_f32(_mm_add_ss(s4, _mm_movehdup_ps(s4)));
}

#include "vec/dist_pairs.inc"

static inline __attribute__((always_inline)) void
code_group(const int8_t *q, const uint8_t *const *row, int count, size_t dim, int32_t *out)
{
	__m256i sum[4];
	UNROLL
	for (int j = 0; j < count; j++)
		sum[j] = _mm256_setzero_si256();
	/* By way of 16 bits: products of bytes do not saturate there. */
	for (size_t i = 0; i < dim; i += 16) {
		__m256i q0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(q + i)));
		UNROLL
		for (int j = 0; j < count; j++) {
			__m128i x = _mm_loadu_si128((const __m128i *)(row[j] + i));
			sum[j] = _mm256_add_epi32(sum[j],
						  _mm256_madd_epi16(_mm256_cvtepu8_epi16(x), q0));
		}
	}
	UNROLL
	for (int j = 0; j < count; j++) {
		__m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum[j]),
					  _mm256_extracti128_si256(sum[j], 1));
		s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
		out[j] = _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
	}
}

/* Sums of the lanes of four. */
static inline __m128i sum_four_whole(const __m256i s[4])
{
	__m256i a = _mm256_hadd_epi32(s[0], s[1]), b = _mm256_hadd_epi32(s[2], s[3]);
	__m256i c = _mm256_hadd_epi32(a, b);
	return _mm_add_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
}

/* Two rows with four: as many sums as the registers hold, with what they are made of. */
static inline __attribute__((always_inline)) void
tile_two(const int16_t *const *q, const int16_t *const row[4], size_t dim, int32_t *out)
{
	__m256i sum[8];
	UNROLL_ALL
	for (int j = 0; j < 8; j++)
		sum[j] = _mm256_setzero_si256();
	for (size_t i = 0; i < dim; i += 16) {
		__m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(q[0] + i));
		__m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(q[1] + i));
		UNROLL
		for (int j = 0; j < 4; j++) {
			__m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(row[j] + i));
			sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(a, x));
			sum[4 + j] = _mm256_add_epi32(sum[4 + j], _mm256_madd_epi16(b, x));
		}
	}
	_mm_storeu_si128((__m128i *)(void *)out, sum_four_whole(sum));
	_mm_storeu_si128((__m128i *)(void *)(out + 4), sum_four_whole(sum + 4));
}

#define HAVE_CODE_TILE
static void code_tile(const int16_t *const q[DIST_TILE], const int16_t *const row[4], size_t dim,
		      int32_t out[4 * DIST_TILE])
{
	for (int i = 0; i < DIST_TILE; i += 2)
		tile_two(q + i, row, dim, out + 4 * i);
}

#define VARIANT avx2
#include "vec/dist_variant.inc"
#endif
