/* SPDX-License-Identifier: MIT */
#include "vec/dist_internal.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/rng.h"

#define TEST_ROWS 7
#define TEST_CODES (3 * DIST_CODE_PAD)
#define TEST_DIM 93 /* two full rounds of 32 lanes, one of 16, and a tail */

/* Best first; the portable one is always there. */
static const struct dist_kernels *usable[4];
static int n_usable;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Same bits as the portable kernel, for every length of tail and size of group. */
static bool self_test(const struct dist_kernels *k)
{
	float a[TEST_DIM], b[TEST_ROWS][TEST_DIM], out[TEST_ROWS];
	uint16_t halves[TEST_ROWS][TEST_DIM];
	struct rng r = {1};
	uint8_t codes[TEST_ROWS][TEST_CODES];
	int8_t q[TEST_CODES];
	int32_t dots[TEST_ROWS], want[TEST_ROWS];
	for (int i = 0; i < TEST_DIM; i++) {
		a[i] = (float)(int32_t)rng_next(&r) * 0x1p-20f;
		for (int j = 0; j < TEST_ROWS; j++)
			b[j][i] = (float)(int32_t)rng_next(&r) * 0x1p-25f;
	}
	for (size_t dim = 1; dim <= TEST_DIM; dim++) {
		struct dist_rows rows = {b, sizeof b[0], dim, HALF_NONE};
		k->l2_rows(a, &rows, NULL, TEST_ROWS, out);
		for (int j = 0; j < TEST_ROWS; j++)
			if (out[j] != dist_portable.l2(a, b[j], dim) ||
			    out[j] != k->l2(a, b[j], dim))
				return false;
		k->dot_rows(a, &rows, NULL, TEST_ROWS, out);
		for (int j = 0; j < TEST_ROWS; j++)
			if (out[j] != dist_portable.dot(a, b[j], dim) ||
			    out[j] != k->dot(a, b[j], dim))
				return false;
	}
	for (enum half half = HALF_F16; half <= HALF_BF16; half++) {
		for (int j = 0; j < TEST_ROWS; j++)
			half_make(half, b[j], halves[j], TEST_DIM);
		for (size_t dim = 1; dim <= TEST_DIM; dim++) {
			struct dist_rows rows = {halves, sizeof halves[0], dim, half};
			float want_f[TEST_ROWS];
			k->l2_rows(a, &rows, NULL, TEST_ROWS, out);
			dist_portable.l2_rows(a, &rows, NULL, TEST_ROWS, want_f);
			if (memcmp(out, want_f, sizeof out) != 0)
				return false;
			k->dot_rows(a, &rows, NULL, TEST_ROWS, out);
			dist_portable.dot_rows(a, &rows, NULL, TEST_ROWS, want_f);
			if (memcmp(out, want_f, sizeof out) != 0)
				return false;
		}
	}
	const float *some[] = {b[0], b[1], b[2], b[3], b[4], b[5]};
	float tile[4 * DIST_TILE];
	k->dot_tile(some, some, TEST_DIM, tile);
	for (int i = 0; i < 4 * DIST_TILE; i++)
		if (!(fabsf(tile[i] - dist_portable.dot(some[i / 4], some[i % 4], TEST_DIM)) <=
		      1e-5f * sqrtf(dist_portable.dot(some[i / 4], some[i / 4], TEST_DIM) *
				    dist_portable.dot(some[i % 4], some[i % 4], TEST_DIM))))
			return false;
	for (int i = 0; i < TEST_CODES; i++) {
		q[i] = (int8_t)rng_below(&r, 256);
		for (int j = 0; j < TEST_ROWS; j++)
			codes[j][i] = (uint8_t)(i < 64 ? 255 : rng_below(&r, 256));
	}
	for (size_t dim = DIST_CODE_PAD; dim <= TEST_CODES; dim += DIST_CODE_PAD) {
		struct dist_rows rows = {codes, sizeof codes[0], dim, HALF_NONE};
		k->code_rows(q, &rows, NULL, TEST_ROWS, dots);
		dist_portable.code_rows(q, &rows, NULL, TEST_ROWS, want);
		if (memcmp(dots, want, sizeof want) != 0)
			return false;
	}
	int16_t wide[TEST_ROWS][TEST_CODES];
	const int16_t *rows[TEST_ROWS];
	int32_t tiles[2][4 * DIST_TILE];
	for (int j = 0; j < TEST_ROWS; j++) {
		k->code_widen(codes[j], TEST_CODES, wide[j]);
		rows[j] = wide[j];
	}
	for (size_t dim = DIST_WIDE_PAD; dim <= TEST_CODES; dim += DIST_WIDE_PAD) {
		k->code_tile(rows, rows + 3, dim, tiles[0]);
		dist_portable.code_tile(rows, rows + 3, dim, tiles[1]);
		if (memcmp(tiles[0], tiles[1], sizeof tiles[0]) != 0)
			return false;
	}
	uint64_t keys[2][TEST_ROWS + 1], bits = 0x5a5a5a5a5a5a5a5a;
	uint32_t number[40], fresh[2][56];
	for (uint32_t i = 0; i < 40; i++)
		number[i] = (uint32_t)rng_below(&r, 64);
	for (size_t i = 0; i <= TEST_ROWS; i++) {
		uint64_t key = rng_next(&r);
		if (k->insert(keys[0], i, key) != dist_portable.insert(keys[1], i, key))
			return false;
	}
	size_t n = dist_portable.unvisited(&bits, number, 40, 60, fresh[1]);
	return k->unvisited(&bits, number, 40, 60, fresh[0]) == n &&
	       memcmp(fresh[0], fresh[1], n * sizeof *number) == 0 &&
	       memcmp(keys[0], keys[1], sizeof keys[0]) == 0;
}

static void consider(const struct dist_kernels *k, bool supported)
{
	if (supported && self_test(k))
		usable[n_usable++] = k;
}

#if defined(__x86_64__)
/* Not every compiler's __builtin_cpu_supports() knows it. */
static bool has_f16c(void)
{
	unsigned a, b, c, d;
	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}
#endif

static void find_usable(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	consider(&dist_avx512,
		 __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
		     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
		     __builtin_cpu_supports("avx512vnni"));
	consider(&dist_avx2,
		 __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c());
#endif
#if defined(__aarch64__)
	consider(&dist_neon, true);
#endif
	usable[n_usable++] = &dist_portable;
}

const struct dist_kernels *dist_choose(const char *name, struct err *err)
{
	pthread_once(&once, find_usable);
	if (!name || !name[0])
		return usable[0];
	for (int i = 0; i < n_usable; i++)
		if (strcmp(usable[i]->name, name) == 0)
			return usable[i];
	err_set(err, ERR_USAGE, "no distance kernel '%s' for this processor, the best is '%s'",
		name, usable[0]->name);
	return NULL;
}

/* Whether a row of floats is all zero. */
static bool is_zero(const void *row, size_t dim, enum half half)
{
	size_t i = 0;
	if (half)
		while (i < dim && !(((const uint16_t *)row)[i] & 0x7fff))
			i++;
	else
		while (i < dim && ((const float *)row)[i] == 0)
			i++;
	return i == dim;
}

/*
 * Half the squared distances of unit vectors, which is 1 - cos without the rounding that makes
 * near ones equal.  Those of a zero vector, whose cosine is 0 by definition, are set right: half
 * the squared distance from it is 1/2, so only about that it is looked for.
 */
static void cosine_to_rows(const struct dist_kernels *k, const float *q,
			   const struct dist_rows *rows, const uint32_t *number, size_t count,
			   float *out)
{
	bool zero = is_zero(q, rows->dim, HALF_NONE);
	k->l2_rows(q, rows, number, count, out);
	for (size_t i = 0; i < count; i++) {
		const char *row = (const char *)rows->base + (number ? number[i] : i) * rows->stride;
		out[i] *= 0.5f;
		if (zero || (fabsf(out[i] - 0.5f) < 0.02f && is_zero(row, rows->dim, rows->half)))
			out[i] = 1;
	}
}

void dist_to_rows(const struct dist_kernels *k, enum vec_metric metric, const float *q,
		  const struct dist_rows *rows, const uint32_t *number, size_t count, float *out)
{
	if (metric == VEC_L2) {
		k->l2_rows(q, rows, number, count, out);
		return;
	}
	if (metric == VEC_COSINE) {
		cosine_to_rows(k, q, rows, number, count, out);
		return;
	}
	k->dot_rows(q, rows, number, count, out);
	for (size_t i = 0; i < count; i++)
		out[i] = -out[i];
}
