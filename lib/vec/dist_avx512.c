/* SPDX-License-Identifier: MIT */
#include "vec/dist_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

static inline __m512 step(__m512 q, __m512 x, __m512 acc, int is_l2)
{
	if (is_l2) {
		__m512 d = _mm512_sub_ps(q, x);
		return _mm512_fmadd_ps(d, d, acc);
	}
	return _mm512_fmadd_ps(q, x, acc);
}

/* Sixteen elements of a row, from number ${at} on. */
static inline __m512 load(const void *row, size_t at, enum half half)
{
	if (half == HALF_NONE)
		return _mm512_loadu_ps((const float *)row + at);
	__m256i x = _mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)row + at));
	return half == HALF_F16
		   ? _mm512_cvtph_ps(x)
		   : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

/* Those of a mask, the others 0. */
static inline __m512 load_some(__mmask16 m, const void *row, size_t at, enum half half)
{
	if (half == HALF_NONE)
		return _mm512_maskz_loadu_ps(m, (const float *)row + at);
	__m256i x = _mm256_maskz_loadu_epi16(m, (const uint16_t *)row + at);
	return half == HALF_F16
		   ? _mm512_cvtph_ps(x)
		   : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

/* Sums of sixteen lanes. */
static inline float sum_one(__m512 s)
{
	__m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(s),
				  _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(s), 1)));
	__m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
	s4 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
	return _mm_cvtss_f32(_mm_add_ss(s4, _mm_movehdup_ps(s4)));
}

/* The same additions for four at once: halves are put side by side before they are added. */
static inline __m128 sum_four(const __m512 s[4])
{
	__m512 a = _mm512_add_ps(_mm512_shuffle_f32x4(s[0], s[1], 0x44),
				 _mm512_shuffle_f32x4(s[0], s[1], 0xee)); /* 0: 8 lanes, 1: 8 */
	__m512 b = _mm512_add_ps(_mm512_shuffle_f32x4(s[2], s[3], 0x44),
				 _mm512_shuffle_f32x4(s[2], s[3], 0xee));
	__m512 c = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88),
				 _mm512_shuffle_f32x4(a, b, 0xdd)); /* 4 lanes of each */
	c = _mm512_add_ps(c, _mm512_permute_ps(c, 0x4e));
	c = _mm512_add_ps(c, _mm512_permute_ps(c, 0xb1));
	/* The first lane of every four. */
	return _mm512_castps512_ps128(_mm512_permutexvar_ps(
	    _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0), c));
}

static inline __attribute__((always_inline)) void group(const float *q, const void *const *row,
							int count, size_t dim, float *out,
							int is_l2, enum half half)
{
	__m512 even[4], odd[4];
	size_t i = 0;
	UNROLL
	for (int j = 0; j < count; j++)
		even[j] = odd[j] = _mm512_setzero_ps();
	for (; i + 32 <= dim; i += 32) {
		__m512 q0 = _mm512_loadu_ps(q + i), q1 = _mm512_loadu_ps(q + i + 16);
		UNROLL
		for (int j = 0; j < count; j++) {
			even[j] = step(q0, load(row[j], i, half), even[j], is_l2);
			odd[j] = step(q1, load(row[j], i + 16, half), odd[j], is_l2);
		}
	}
	if (i < dim) {
		/* What is left, up to 31 elements: masked, so nothing else is read. */
		uint32_t left = (1u << (dim - i)) - 1;
		__mmask16 m0 = (__mmask16)left, m1 = (__mmask16)(left >> 16);
		__m512 q0 = _mm512_maskz_loadu_ps(m0, q + i);
		__m512 q1 = _mm512_maskz_loadu_ps(m1, q + i + 16);
		UNROLL
		for (int j = 0; j < count; j++) {
			even[j] = step(q0, load_some(m0, row[j], i, half), even[j], is_l2);
			odd[j] = step(q1, load_some(m1, row[j], i + 16, half), odd[j], is_l2);
		}
	}
	UNROLL
	for (int j = 0; j < count; j++)
		even[j] = _mm512_add_ps(even[j], odd[j]);
	if (count == 4) {
		_mm_storeu_ps(out, sum_four(even));
		return;
	}
	UNROLL
	for (int j = 0; j < count; j++)
		out[j] = sum_one(even[j]);
}

/* As sum_four does it. */
static inline __m128i sum_four_whole(const __m512i s[4])
{
	__m512i a = _mm512_add_epi32(_mm512_shuffle_i32x4(s[0], s[1], 0x44),
				     _mm512_shuffle_i32x4(s[0], s[1], 0xee));
	__m512i b = _mm512_add_epi32(_mm512_shuffle_i32x4(s[2], s[3], 0x44),
				     _mm512_shuffle_i32x4(s[2], s[3], 0xee));
	__m512i c =
	    _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
	c = _mm512_add_epi32(c, _mm512_shuffle_epi32(c, 0x4e));
	c = _mm512_add_epi32(c, _mm512_shuffle_epi32(c, 0xb1));
	return _mm512_castsi512_si128(_mm512_permutexvar_epi32(
	    _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0), c));
}

static inline __attribute__((always_inline)) void
code_group(const int8_t *q, const uint8_t *const *row, int count, size_t dim, int32_t *out)
{
	__m512i sum[4];
	UNROLL
	for (int j = 0; j < count; j++)
		sum[j] = _mm512_setzero_si512();
	for (size_t i = 0; i < dim; i += 64) {
		__m512i q0 = _mm512_loadu_si512(q + i);
		UNROLL
		for (int j = 0; j < count; j++)
			sum[j] = _mm512_dpbusd_epi32(sum[j], _mm512_loadu_si512(row[j] + i), q0);
	}
	if (count == 1) {
		out[0] = _mm512_reduce_add_epi32(sum[0]);
		return;
	}
	_mm_storeu_si128((__m128i *)out, sum_four_whole(sum));
}

/* One step of a tile: 16 elements, or those of a mask. */
static inline __attribute__((always_inline)) void tile_step(const float *const q[DIST_TILE],
							    const float *const row[4], size_t i,
							    __mmask16 m, __m512 sum[4 * DIST_TILE])
{
	__m512 x[4];
	UNROLL
	for (int j = 0; j < 4; j++)
		x[j] = _mm512_maskz_loadu_ps(m, row[j] + i);
	UNROLL_ALL
	for (int k = 0; k < DIST_TILE; k++) {
		__m512 y = _mm512_maskz_loadu_ps(m, q[k] + i);
		UNROLL
		for (int j = 0; j < 4; j++)
			sum[4 * k + j] = _mm512_fmadd_ps(y, x[j], sum[4 * k + j]);
	}
}

#define HAVE_TILE
static void dot_tile(const float *const q[DIST_TILE], const float *const row[4], size_t dim,
		     float out[4 * DIST_TILE])
{
	__m512 sum[4 * DIST_TILE];
	size_t i = 0;
	UNROLL_ALL
	for (int j = 0; j < 4 * DIST_TILE; j++)
		sum[j] = _mm512_setzero_ps();
	for (; i + 16 <= dim; i += 16)
		tile_step(q, row, i, 0xffff, sum);
	if (i < dim)
		tile_step(q, row, i, (__mmask16)((1u << (dim - i)) - 1), sum);
	UNROLL_ALL
	for (int j = 0; j < DIST_TILE; j++)
		_mm_storeu_ps(out + 4 * j, sum_four(sum + 4 * j));
}

#define HAVE_CODE_TILE
static void code_tile(const int16_t *const q[DIST_TILE], const int16_t *const row[4], size_t dim,
		      int32_t out[4 * DIST_TILE])
{
	__m512i sum[4 * DIST_TILE], x[4];
	UNROLL_ALL
	for (int j = 0; j < 4 * DIST_TILE; j++)
		sum[j] = _mm512_setzero_si512();
	for (size_t i = 0; i < dim; i += 32) {
		UNROLL
		for (int j = 0; j < 4; j++)
			x[j] = _mm512_loadu_si512(row[j] + i);
		UNROLL_ALL
		for (int k = 0; k < DIST_TILE; k++) {
			__m512i y = _mm512_loadu_si512(q[k] + i);
			UNROLL
			for (int j = 0; j < 4; j++)
				sum[4 * k + j] = _mm512_dpwssd_epi32(sum[4 * k + j], y, x[j]);
		}
	}
	UNROLL_ALL
	for (int k = 0; k < DIST_TILE; k++)
		_mm_storeu_si128((__m128i *)(void *)(out + 4 * k), sum_four_whole(sum + 4 * k));
}

#define HAVE_UNVISITED
static size_t unvisited(const uint64_t *bits, const uint32_t *number, size_t count, uint32_t total,
			uint32_t *out)
{
	const __m512i one = _mm512_set1_epi32(1), low = _mm512_set1_epi32(31);
	size_t n = 0;
	for (size_t i = 0; i < count; i += 16) {
		__mmask16 here = count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : 0xffff;
		__m512i x = _mm512_maskz_loadu_epi32(here, number + i);
		__mmask16 good =
		    _mm512_mask_cmplt_epu32_mask(here, x, _mm512_set1_epi32((int)total));
		/* Only those before the first that is not. */
		good &= (__mmask16)(~good & (good + 1u)) - 1;
		__m512i word = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), good,
							   _mm512_srli_epi32(x, 5), bits, 4);
		__m512i bit = _mm512_sllv_epi32(one, _mm512_and_si512(x, low));
		__mmask16 fresh = _mm512_mask_testn_epi32_mask(good, word, bit);
		_mm512_storeu_si512(out + n, _mm512_maskz_compress_epi32(fresh, x));
		n += (size_t)__builtin_popcount(fresh);
		if (good != 0xffff)
			break;
	}
	return n;
}

#define HAVE_INSERT
static size_t insert(uint64_t *keys, size_t count, uint64_t key)
{
	const __m512i k = _mm512_set1_epi64((long long)key);
	/* From the end on, eight at a time: what is greater moves up. */
	while (count) {
		size_t n = count < 8 ? count : 8;
		uint64_t *p = keys + count - n;
		__mmask8 here = (__mmask8)(0xffu >> (8 - n));
		__m512i x = _mm512_maskz_loadu_epi64(here, p);
		__mmask8 greater = _mm512_mask_cmpgt_epu64_mask(here, x, k);
		_mm512_mask_storeu_epi64(p + 1, greater, x);
		if (greater != here) {
			size_t at = count - (size_t)__builtin_popcount(greater);
			keys[at] = key;
			return at;
		}
		count -= n;
	}
	keys[0] = key;
	return 0;
}

#define VARIANT avx512
#include "vec/dist_variant.inc"
#endif
