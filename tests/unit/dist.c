/* SPDX-License-Identifier: MIT */
#include "vec/dist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/unit/tap.h"
#include "vec/elem.h"
#include "vec/topk.h"

#define DIM 1100

static float a[DIM + 1], b[4][DIM + 1];

static void fill(uint64_t seed, float scale)
{
	struct rng r = {seed};
	for (int i = 0; i <= DIM; i++) {
		a[i] = (float)(int32_t)rng_next(&r) * scale;
		for (int j = 0; j < 4; j++)
			b[j][i] = (float)(int32_t)rng_next(&r) * scale;
	}
}

/* Every variant gives the portable one's bits, at any alignment, length and number of rows. */
static bool agrees(const struct dist_kernels *k, const struct dist_kernels *p)
{
	static const uint32_t order[9] = {3, 1, 2, 0, 0, 3, 2, 1, 1};
	for (size_t dim = 1; dim < DIM; dim++)
		for (size_t shift = 0; shift < 2; shift++) {
			struct dist_rows rows = {b[0] + shift, sizeof b[0], dim, HALF_NONE};
			size_t count = dim % 10;
			float l2[9], dot[9];
			k->l2_rows(a, &rows, order, count, l2);
			k->dot_rows(a, &rows, order, count, dot);
			for (size_t j = 0; j < count; j++) {
				const float *row = b[order[j]] + shift;
				if (l2[j] != p->l2(a, row, dim) || dot[j] != p->dot(a, row, dim) ||
				    l2[j] != k->l2(a, row, dim) || dot[j] != k->dot(a, row, dim))
					return false;
			}
		}
	return true;
}

/* Rows of 16 bits: the same as of the floats that they are. */
static bool halves_agree(const struct dist_kernels *k, const struct dist_kernels *p)
{
	static const uint32_t order[9] = {3, 1, 2, 0, 0, 3, 2, 1, 1};
	static uint16_t x[4][DIM + 1];
	static float wide[4][DIM + 1];
	for (enum half half = HALF_F16; half <= HALF_BF16; half++) {
		for (int j = 0; j < 4; j++) {
			half_make(half, b[j], x[j], DIM + 1);
			half_read(half, x[j], wide[j], DIM + 1);
		}
		for (size_t dim = 1; dim < DIM; dim++) {
			size_t shift = dim % 3 % 2, count = dim % 10;
			struct dist_rows rows = {x[0] + shift, sizeof x[0], dim, half};
			float l2[9], dot[9];
			k->l2_rows(a, &rows, order, count, l2);
			k->dot_rows(a, &rows, order, count, dot);
			for (size_t j = 0; j < count; j++) {
				const float *row = wide[order[j]] + shift;
				if (l2[j] != p->l2(a, row, dim) || dot[j] != p->dot(a, row, dim))
					return false;
			}
		}
	}
	return true;
}

/* Codes: any number of rows, and the largest sums there are. */
static bool codes_agree(const struct dist_kernels *k, const struct dist_kernels *p)
{
	static const uint32_t order[9] = {3, 1, 2, 0, 0, 3, 2, 1, 1};
	static uint8_t x[4][VEC_MAX_DIM];
	static int8_t q[VEC_MAX_DIM];
	struct rng r = {5};
	for (int i = 0; i < VEC_MAX_DIM; i++) {
		q[i] = (int8_t)rng_below(&r, 256);
		for (int j = 0; j < 4; j++)
			x[j][i] = (uint8_t)rng_below(&r, 256);
	}
	for (int pass = 0; pass < 2; pass++) {
		for (size_t dim = DIST_CODE_PAD; dim <= VEC_MAX_DIM; dim *= 2) {
			struct dist_rows rows = {x, sizeof x[0], dim, HALF_NONE};
			int32_t got[9], want[9];
			for (size_t count = 0; count <= 9; count++) {
				k->code_rows(q, &rows, order, count, got);
				p->code_rows(q, &rows, order, count, want);
				if (memcmp(got, want, count * sizeof *got) != 0)
					return false;
				if (pass && count && got[0] != -128 * 255 * (int32_t)dim)
					return false;
			}
		}
		memset(q, -128, sizeof q);
		memset(x, 255, sizeof x);
	}
	return true;
}

/* Making codes, and distances from their products: the same bits. */
static bool making_agrees(const struct dist_kernels *k, const struct dist_kernels *p)
{
	float centre[DIM], v[DIM], got[40], want[40];
	int8_t code[2][DIM];
	int32_t dot[40];
	uint32_t norms[50], number[40];
	struct rng r = {8};
	for (size_t i = 0; i < DIM; i++) {
		centre[i] = (float)rng_below(&r, 100) * 0x1p-3f;
		v[i] = (float)rng_below(&r, 1000) * 0x1p-3f - 30;
	}
	for (size_t dim = 1; dim <= DIM; dim++)
		for (int pass = 0; pass < 3; pass++) {
			float unit = pass == 2 ? 0.37f : pass ? 0.5f : 1;
			struct dist_code x = {.code = code[0]}, y = {.code = code[1]};
			k->code_make(v, centre, unit, dim, &x);
			p->code_make(v, centre, unit, dim, &y);
			if (memcmp(code[0], code[1], dim) != 0 || x.sum != y.sum ||
			    x.norm != y.norm || x.exact != y.exact ||
			    k->code_reach(v, centre, dim) != p->code_reach(v, centre, dim))
				return false;
			int32_t sum = 0;
			uint32_t norm = 0;
			for (size_t i = 0; i < dim; i++) {
				double c = nearbyint((double)((v[i] - centre[i]) / unit));
				c = c < -128 ? -128 : c > 127 ? 127 : c;
				sum += code[0][i];
				norm += (uint32_t)(code[0][i] * code[0][i]);
				if (fabs(c - code[0][i]) > (pass == 2 ? 1 : 0))
					return false;
			}
			if (sum != x.sum || norm != x.norm)
				return false;
		}
	for (uint32_t i = 0; i < 50; i++)
		norms[i] = (uint32_t)rng_next(&r);
	for (int i = 0; i < 40; i++) {
		number[i] = (uint32_t)rng_below(&r, 50);
		dot[i] = (int32_t)rng_next(&r) / 2;
	}
	struct dist_terms t = {1.5f, 0.3f, 0.7f, 12345};
	for (size_t count = 0; count <= 40; count++) {
		k->code_distances(&t, dot, norms, number, count, got);
		p->code_distances(&t, dot, norms, number, count, want);
		if (memcmp(got, want, count * sizeof *got) != 0)
			return false;
		k->code_squares(0.3f, 77, dot, norms, number, count, got);
		p->code_squares(0.3f, 77, dot, norms, number, count, want);
		if (memcmp(got, want, count * sizeof *got) != 0)
			return false;
	}
	return true;
}

/* What is not marked, in order, up to the first number that is too large. */
static bool marks_agree(const struct dist_kernels *k)
{
	enum { TOTAL = 1000, MOST = 70 };
	uint64_t bits[TOTAL / 64 + 1];
	struct rng r = {9};
	for (int round = 0; round < 500; round++) {
		uint32_t number[MOST], got[MOST + 16], want[MOST];
		size_t count = rng_below(&r, MOST + 1), n = 0, end = rng_below(&r, 2 * MOST);
		for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
			bits[i] = rng_next(&r);
		for (size_t i = 0; i < count; i++)
			number[i] = i == end ? UINT32_MAX - (uint32_t)rng_below(&r, 2)
					     : (uint32_t)rng_below(&r, TOTAL);
		for (size_t i = 0; i < count && number[i] < TOTAL; i++)
			if (!(bits[number[i] / 64] >> (number[i] % 64) & 1))
				want[n++] = number[i];
		if (k->unvisited(bits, number, count, TOTAL, got) != n ||
		    memcmp(got, want, n * sizeof *got) != 0)
			return false;
	}
	return true;
}

/* Inserting keeps order, and nothing is lost. */
static bool insert_agrees(const struct dist_kernels *k)
{
	enum { MOST = 100 };
	uint64_t keys[MOST + 1], want[MOST + 1];
	struct rng r = {10};
	for (int round = 0; round < 50; round++) {
		for (size_t n = 0; n <= MOST; n++) {
			uint64_t key = rng_next(&r) >> rng_below(&r, 64);
			size_t at = 0;
			while (at < n && want[at] <= key)
				at++;
			if (at && want[at - 1] == key) {
				n--;
				continue; /* no two are equal */
			}
			memmove(want + at + 1, want + at, (n - at) * sizeof *want);
			want[at] = key;
			if (k->insert(keys, n, key) != at ||
			    memcmp(keys, want, (n + 1) * sizeof *want) != 0)
				return false;
		}
	}
	return true;
}

/* A tile: near the exact sums. */
static bool tile_agrees(const struct dist_kernels *k)
{
	const float *q[DIST_TILE] = {b[3], b[2], b[1], b[0], a, b[1]},
		    *row[4] = {b[0], b[1], b[2], b[3]};
	for (size_t dim = 1; dim < DIM; dim++) {
		float out[4 * DIST_TILE];
		k->dot_tile(q, row, dim, out);
		for (int i = 0; i < 4 * DIST_TILE; i++) {
			double exact = 0, qq = 0, xx = 0;
			for (size_t e = 0; e < dim; e++) {
				double x = q[i / 4][e], y = row[i % 4][e];
				exact += x * y;
				qq += x * x;
				xx += y * y;
			}
			if (!(fabs((double)out[i] - exact) <=
			      ((double)dim / 16 + 8) * 0x1p-24 * sqrt(qq * xx)))
				return false;
		}
	}
	return true;
}

/* A tile of codes: exactly the sums, also of the largest products. */
static bool code_tile_agrees(const struct dist_kernels *k)
{
	enum { ROWS = DIST_TILE + 4, WIDE = 320 };
	static uint8_t code[ROWS][WIDE];
	static int16_t wide[ROWS][WIDE];
	const int16_t *row[ROWS];
	struct rng r = {5};
	for (int i = 0; i < ROWS; i++) {
		for (int e = 0; e < WIDE; e++)
			code[i][e] = (uint8_t)(i % 3 ? rng_below(&r, 256) : 0);
		k->code_widen(code[i], WIDE, wide[i]);
		row[i] = wide[i];
	}
	for (size_t dim = DIST_WIDE_PAD; dim <= WIDE; dim += DIST_WIDE_PAD) {
		int32_t out[4 * DIST_TILE];
		k->code_tile(row, row + DIST_TILE, dim, out);
		for (int i = 0; i < 4 * DIST_TILE; i++) {
			int64_t exact = 0;
			for (size_t e = 0; e < dim; e++)
				exact += (code[i / 4][e] - 128) *
					 (code[DIST_TILE + i % 4][e] - 128);
			if (out[i] != exact)
				return false;
		}
	}
	return true;
}

static void test_kernels(void)
{
	static const char *const names[] = {"avx512", "avx2", "neon", "portable"};
	struct err err;
	const struct dist_kernels *p = dist_choose("portable", &err);
	for (size_t i = 0; i < 4; i++) {
		const struct dist_kernels *k = dist_choose(names[i], &err);
		if (!k) {
			ok(true, "%s # SKIP not on this processor", names[i]);
			continue;
		}
		bool good = true, halves = true;
		for (int s = 0; s < 3; s++) {
			fill((uint64_t)s, s == 0 ? 0x1p-31f : s == 1 ? 0x1p-10f : 0x1p-60f);
			good &= agrees(k, p);
			halves &= s == 1 || halves_agree(k, p);
		}
		ok(good, "%s gives the bits of portable", names[i]);
		ok(halves, "%s: so of floats of 16 bits", names[i]);
		ok(tile_agrees(k), "%s: tiles", names[i]);
		ok(code_tile_agrees(k), "%s: tiles of codes", names[i]);
		ok(codes_agree(k, p), "%s gives the sums of portable", names[i]);
		ok(making_agrees(k, p), "%s: codes and what is made of their sums", names[i]);
		ok(marks_agree(k), "%s: what was not visited", names[i]);
		ok(insert_agrees(k), "%s: inserting", names[i]);
	}
	fill(9, 0x1p-31f);
	double worst = 0;
	for (size_t dim = 1; dim <= DIM; dim++) {
		double exact = 0;
		for (size_t i = 0; i < dim; i++)
			exact += ((double)a[i] - b[0][i]) * ((double)a[i] - b[0][i]);
		double off = fabs((double)p->l2(a, b[0], dim) - exact) / exact;
		worst = off > worst ? off : worst;
	}
	ok(worst < 40 * 0x1p-24, "l2 is near the exact sum: relative %g", worst);
	ok(dist_choose("mmx", &err) == NULL && err.code == ERR_USAGE,
	   "an unknown kernel is refused");
}

static void test_padding(void)
{
	struct err err;
	const struct dist_kernels *k = dist_choose(NULL, &err);
	fill(11, 0x1p-31f);
	bool same = true;
	for (size_t dim = 1; dim < 100; dim++) {
		float x[128] = {0}, y[128] = {0};
		memcpy(x, a, dim * sizeof *x);
		memcpy(y, b[0], dim * sizeof *y);
		same &= k->l2(x, y, 128) == k->l2(a, b[0], dim) &&
			k->dot(x, y, 128) == k->dot(a, b[0], dim);
	}
	ok(same, "padding with zeros changes nothing");
}

static void test_elements(void)
{
	bool good = true;
	for (uint32_t h = 0; h < 65536; h++) {
		uint16_t in = (uint16_t)h, back;
		float f;
		double d;
		vec_to_f32(VEC_F16, &in, &f, 1);
		vec_to_f64(VEC_F16, &in, &d, 1);
		if (!isfinite(f)) {
			good &= (h & 0x7c00) == 0x7c00;
			continue;
		}
		good &= vec_from_f64(VEC_F16, &d, &back, 1) == 1 && back == in && d == (double)f;
	}
	ok(good, "every half survives the way to float and back");
	bool nearest = true;
	for (uint32_t h = 0; h < 65536; h++) {
		uint16_t in = (uint16_t)h, back[3];
		float f[3];
		half_read(HALF_BF16, &in, f, 1);
		if (!isfinite(f[0]))
			continue;
		/* Itself, midway to the next one, and beyond that. */
		uint32_t bits[3] = {h << 16, (h << 16) + 0x8000, (h << 16) + 0x8001};
		memcpy(f, bits, sizeof f);
		half_make(HALF_BF16, f, back, 3);
		nearest &= back[0] == h && back[1] == h + h % 2 && back[2] == h + 1;
		half_round(HALF_BF16, f, 3);
		half_read(HALF_BF16, back, f + 1, 1);
		nearest &= f[0] == f[1] && (f[0] != 0 || !signbit(f[0]));
	}
	ok(nearest, "bf16 is the nearest one, the even of two");
	uint16_t half;
	double v = 1.0 + 0x1p-11; /* midway between two halves: to even */
	vec_from_f64(VEC_F16, &v, &half, 1);
	ok(half == 0x3c00, "halves round to even");
	double big = 70000;
	ok(vec_from_f64(VEC_F16, &big, &half, 1) == 0, "too much for a half is refused");
	double ints[] = {0, 255, 256, -1, 1.5};
	unsigned char u[5];
	ok(vec_from_f64(VEC_U8, ints, u, 2) == 2 && vec_from_f64(VEC_U8, ints + 2, u, 1) == 0 &&
	       vec_from_f64(VEC_U8, ints + 3, u, 1) == 0 &&
	       vec_from_f64(VEC_U8, ints + 4, u, 1) == 0,
	   "u8 takes whole numbers 0..255 only");
	float x[3] = {3, 0, 4}, zero[2] = {0, 0}, tiny[2] = {1e-30f, 0}, nan[2] = {0, NAN};
	vec_normalise(x, 3);
	vec_normalise(zero, 2);
	vec_normalise(tiny, 2);
	ok(x[0] == 0.6f && x[2] == 0.8f && zero[0] == 0 && tiny[0] == 1,
	   "normalising, zero and tiny vectors too");
	ok(vec_first_nonfinite(nan, 2) == 1 && vec_first_nonfinite(x, 3) == 3, "NaN is found");
}

static void test_topk(void)
{
	float d[] = {-INFINITY, -3, -1, -0.0f, 0, 1e-40f, 0.5f, 1, 3e38f, INFINITY};
	bool rising = true;
	for (size_t i = 0; i + 1 < sizeof d / sizeof d[0]; i++)
		rising &= topk_key(d[i], 5) < topk_key(d[i + 1], 0);
	ok(rising, "keys have the order of distances");
	ok(topk_key(1, 2) < topk_key(1, 3), "then of numbers");
	ok(topk_distance(topk_key(-0.25f, 7)) == -0.25f && topk_number(topk_key(-0.25f, 7)) == 7,
	   "both can be read back");
	uint64_t keys[10];
	struct topk t = {keys, 0, 10};
	struct rng r = {3};
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < 1000; i++) {
		uint64_t k = topk_key((float)rng_below(&r, 50), (uint32_t)i);
		least = k < least ? k : least;
		topk_add(&t, k);
	}
	bool sorted = t.count == 10 && keys[0] == least;
	for (int i = 0; i < 9; i++)
		sorted &= keys[i] < keys[i + 1];
	ok(sorted, "the ten least, in order");
}

int main(void)
{
	test_kernels();
	test_padding();
	test_elements();
	test_topk();
	return tap_end();
}
