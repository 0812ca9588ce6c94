/* SPDX-License-Identifier: MIT */
#include "base/num.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POW10_MIN (-64)
#define POW10_MAX 64

static const struct {
	uint64_t hi, lo;
} pow10_bits[] = {
#include "base/num_pow10.inc"
};

int num_u64(struct span text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (text.n == 0)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		unsigned d = (unsigned)(unsigned char)text.p[i] - '0';
		if (d > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, d, &v))
			return -1;
	}
	if (v < min || v > max)
		return -1;
	*out = v;
	return 0;
}

int num_f64(struct span text, double min, double max, double *out)
{
	char copy[64], *end;
	if (text.n == 0 || text.n >= sizeof copy)
		return -1;
	for (size_t i = 0; i < text.n; i++)
		if (!strchr("0123456789.+-eE", text.p[i]) || !text.p[i])
			return -1;
	memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	double v = strtod(copy, &end);
	if (*end || !isfinite(v) || v < min || v > max)
		return -1;
	*out = v;
	return 0;
}

/* Eight decimal digits, one a byte, the first in the lowest byte (W. Mula). */
static uint32_t eight_digits_value(uint64_t v)
{
	v = v * 10 + (v >> 8);
	return (uint32_t)(((v & 0x000000FF000000FFu) * 0x000F424000000064u +
			   ((v >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >>
			  32);
}

static uint64_t load8(const char *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return v;
}

static bool is_digit(char c)
{
	return (unsigned)(unsigned char)c - '0' < 10;
}

/* What the text of a number says: (negative ? -1 : 1) * mantissa * 10^exp10. */
struct decimal {
	uint64_t mantissa;
	int64_t exp10;
	bool negative, inexact; /* inexact: more than 19 digits, mantissa is of no use */
};

static const uint64_t small_pow10[] = {1,      10,	100,	  1000,	    10000,
				       100000, 1000000, 10000000, 100000000};

/* How many of the eight characters are digits before the first that is none. */
static unsigned leading_digits(uint64_t v)
{
	uint64_t t = (v & 0xF0F0F0F0F0F0F0F0u) ^ 0x3030303030303030u;
	t |= ((v + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) ^ 0x3030303030303030u;
	return t ? (unsigned)__builtin_ctzll(t) / 8 : 8;
}

/* Append the digits at ${p} to ${m}; wraps silently past 19 of them. */
static inline const char *take_digits(const char *p, uint64_t *m)
{
	uint64_t v = *m;
	for (;;) {
		uint64_t next = load8(p);
		unsigned k = leading_digits(next);
		if (k == 0)
			break;
		/* The digits at the upper end, zeros before them. */
		v = v * small_pow10[k] +
		    eight_digits_value((next ^ 0x3030303030303030u) << (64 - 8 * k));
		p += k;
		if (k < 8)
			break;
	}
	*m = v;
	return p;
}

static inline const char *read_decimal(const char *p, struct decimal *d)
{
	d->negative = *p == '-';
	p += d->negative;
	if (!is_digit(*p))
		return NULL;
	const char *first = p;
	d->mantissa = 0;
	d->exp10 = 0;
	if (*p == '0') {
		p++;
	} else {
		while (is_digit(*p))
			d->mantissa = d->mantissa * 10 + (unsigned)(*p++ - '0');
	}
	int64_t count = p - first;
	if (*p == '.') {
		const char *frac = ++p;
		p = take_digits(p, &d->mantissa);
		if (p == frac)
			return NULL;
		d->exp10 = frac - p;
		count += p - frac;
	}
	d->inexact = false;
	if (count > 19) {
		/* Leading zeros are no digits of the mantissa. */
		const char *q = first;
		while (*q == '0' || *q == '.') {
			count -= *q == '0';
			q++;
		}
		d->inexact = count > 19;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		bool minus = *p == '-';
		if (*p == '-' || *p == '+')
			p++;
		if (!is_digit(*p))
			return NULL;
		int64_t e = 0;
		for (; is_digit(*p); p++)
			if (e < 100000)
				e = e * 10 + (*p - '0');
		d->exp10 += minus ? -e : e;
	}
	return p;
}

/* The general case: too many digits, or too far from 1. */
static double slow_f64(const char *p, const char *end)
{
	char copy[128];
	size_t n = (size_t)(end - p);
	if (n < sizeof copy) {
		memcpy(copy, p, n);
		copy[n] = 0;
		return strtod(copy, NULL);
	}
	/* strtod stops by itself at the byte after the number. */
	return strtod(p, NULL);
}

static float slow_f32(const char *p, const char *end)
{
	char copy[128];
	size_t n = (size_t)(end - p);
	if (n < sizeof copy) {
		memcpy(copy, p, n);
		copy[n] = 0;
		return strtof(copy, NULL);
	}
	return strtof(p, NULL);
}

/*
 * mantissa * 10^exp10 to the nearest double, by the algorithm of Eisel and Lemire.
 * False if this cannot be decided with 128 bits or the result is subnormal.
 */
static bool eisel_lemire(uint64_t w, int64_t exp10, uint64_t *bits)
{
	if (w == 0) {
		*bits = 0;
		return true;
	}
	if (exp10 < POW10_MIN || exp10 > POW10_MAX)
		return false;
	int q = (int)exp10, lz = __builtin_clzll(w);
	w <<= lz;
	unsigned __int128 product = (unsigned __int128)w * pow10_bits[q - POW10_MIN].hi;
	uint64_t hi = (uint64_t)(product >> 64), lo = (uint64_t)product;
	if ((hi & 0x1FF) == 0x1FF) {
		uint64_t more =
		    (uint64_t)(((unsigned __int128)w * pow10_bits[q - POW10_MIN].lo) >> 64);
		lo += more;
		if (lo < more)
			hi++;
		if (lo == UINT64_MAX && (q < -27 || q > 55))
			return false;
	}
	int upper = (int)(hi >> 63);
	uint64_t m = hi >> (upper + 64 - 52 - 3);
	int power2 = ((152170 + 65536) * q >> 16) + 63 + upper - lz + 1023;
	if (power2 <= 0)
		return false;
	if (lo <= 1 && q >= -4 && q <= 23 && (m & 3) == 1 && m << (upper + 64 - 52 - 3) == hi)
		m &= ~(uint64_t)1;
	m += m & 1;
	m >>= 1;
	if (m >= (uint64_t)2 << 52) {
		m = (uint64_t)1 << 52;
		power2++;
	}
	if (power2 >= 0x7FF)
		return false;
	*bits = (m & ~((uint64_t)1 << 52)) | (uint64_t)power2 << 52;
	return true;
}

static const double exact_pow10[] = {1e0,  1e1,	 1e2,  1e3,  1e4,  1e5,	 1e6,  1e7,
				     1e8,  1e9,	 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
				     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The magnitude as the nearest double; false if that takes the slow way. */
static inline bool to_double(const struct decimal *d, double *out)
{
	/* Both operands exact, so one rounding (W. Clinger, PLDI 1990). */
	if (d->mantissa <= (uint64_t)1 << 53 && !d->inexact) {
		if (d->exp10 <= 0 && d->exp10 >= -22) {
			*out = (double)d->mantissa / exact_pow10[-d->exp10];
			return true;
		}
		if (d->exp10 > 0 && d->exp10 <= 22) {
			*out = (double)d->mantissa * exact_pow10[d->exp10];
			return true;
		}
	}
	uint64_t bits;
	if (d->inexact || !eisel_lemire(d->mantissa, d->exp10, &bits))
		return false;
	memcpy(out, &bits, sizeof bits);
	return true;
}

const char *num_json_f64(const char *p, double *out)
{
	struct decimal d;
	const char *end = read_decimal(p, &d);
	if (!end)
		return NULL;
	if (to_double(&d, out))
		*out = d.negative ? -*out : *out;
	else
		*out = slow_f64(p, end);
	return end;
}

const char *num_json_f32(const char *p, float *out)
{
	/* Short whole numbers, without a branch that depends on their length. */
	uint64_t next = load8(p);
	unsigned k = leading_digits(next);
	if ((p[k] == ',' || p[k] == ']') && k && (*p != '0' || k == 1)) {
		*out = (float)eight_digits_value((next ^ 0x3030303030303030u) << (64 - 8 * k));
		return p + k;
	}
	struct decimal d;
	const char *end = read_decimal(p, &d);
	if (!end)
		return NULL;
	/*
	 * Going through the nearest double is exact unless that double is the midpoint
	 * of two floats (then the text may lie on either side), or the float is
	 * subnormal or too large.
	 */
	double v;
	if (to_double(&d, &v)) {
		uint64_t bits;
		memcpy(&bits, &v, sizeof bits);
		if ((bits & 0x1FFFFFFF) != 0x10000000 &&
		    (v == 0 || (v >= 0x1p-126 && v < 0x1p127))) {
			*out = d.negative ? -(float)v : (float)v;
			return end;
		}
	}
	*out = slow_f32(p, end);
	return end;
}

static size_t format_u64(char *out, uint64_t v)
{
	char tmp[20];
	size_t n = 0;
	do
		tmp[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (size_t i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	return n;
}

/* digits * 10^exp10, digits > 0, without trailing zeros in it. */
static size_t format_decimal(char *out, bool negative, uint64_t digits, int exp10)
{
	char text[20], *start = out;
	while (digits % 10 == 0) {
		digits /= 10;
		exp10++;
	}
	int n = (int)format_u64(text, digits), point = n + exp10;
	if (negative)
		*out++ = '-';
	if (exp10 >= 0 && point <= 15) {
		memcpy(out, text, (size_t)n);
		memset(out + n, '0', (size_t)exp10);
		out += point;
	} else if (point > 0 && point <= 15) {
		memcpy(out, text, (size_t)point);
		out[point] = '.';
		memcpy(out + point + 1, text + point, (size_t)(n - point));
		out += n + 1;
	} else if (point <= 0 && point > -5) {
		memcpy(out, "0.", 2);
		memset(out + 2, '0', (size_t)-point);
		memcpy(out + 2 - point, text, (size_t)n);
		out += 2 - point + n;
	} else {
		*out++ = text[0];
		if (n > 1) {
			*out++ = '.';
			memcpy(out, text + 1, (size_t)n - 1);
			out += n - 1;
		}
		*out++ = 'e';
		int e = point - 1;
		*out++ = e < 0 ? '-' : '+';
		e = abs(e);
		if (e < 10)
			*out++ = '0';
		out += format_u64(out, (uint64_t)e);
	}
	*out = 0;
	return (size_t)(out - start);
}

static uint32_t round_to_odd(uint64_t g, uint64_t cp)
{
	unsigned __int128 p = (unsigned __int128)g * cp;
	uint32_t y1 = (uint32_t)(p >> 64), y0 = (uint32_t)(p >> 32);
	return y1 | (y0 > 1);
}

size_t num_format_f32(char out[static NUM_TEXT_MAX], float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof bits);
	bool negative = bits >> 31;
	uint32_t fraction = bits & 0x7FFFFF, biased = bits >> 23 & 0xFF;
	if (fraction == 0 && biased == 0) {
		memcpy(out, negative ? "-0" : "0", negative ? 3 : 2);
		return negative ? 2 : 1;
	}
	uint32_t c = biased ? fraction | 0x800000 : fraction;
	int q = biased ? (int)biased - 150 : -149;
	if (q <= 0 && q > -24 && (c & ((1u << -q) - 1)) == 0)
		return format_decimal(out, negative, c >> -q, 0);
	bool even = (c & 1) == 0, lower_closer = fraction == 0 && biased > 1;
	uint32_t cbl = 4 * c - 2 + lower_closer, cb = 4 * c, cbr = 4 * c + 2;
	int k = (q * 1262611 - (lower_closer ? 524031 : 0)) >> 22;
	int h = q + ((-k * 1741647) >> 19) + 1;
	/* The table holds truncated powers; this needs them rounded up to 64 bits. */
	uint64_t g = pow10_bits[-k - POW10_MIN].hi + (pow10_bits[-k - POW10_MIN].lo != 0);
	uint32_t vbl = round_to_odd(g, (uint64_t)cbl << h), vb = round_to_odd(g, (uint64_t)cb << h),
		 vbr = round_to_odd(g, (uint64_t)cbr << h);
	uint32_t lower = vbl + !even, upper = vbr - !even, s = vb / 4;
	if (s >= 10) {
		uint32_t sp = s / 10;
		bool up_inside = lower <= 40 * sp, wp_inside = 40 * sp + 40 <= upper;
		if (up_inside != wp_inside)
			return format_decimal(out, negative, sp + wp_inside, k + 1);
	}
	bool u_inside = lower <= 4 * s, w_inside = 4 * s + 4 <= upper;
	if (u_inside != w_inside)
		return format_decimal(out, negative, s + w_inside, k);
	uint32_t mid = 4 * s + 2;
	bool up = vb > mid || (vb == mid && (s & 1));
	return format_decimal(out, negative, s + up, k);
}

size_t num_format_f64(char out[static NUM_TEXT_MAX], double v)
{
	if (v == 0 || (fabs(v) < 1e15 && v == (double)(int64_t)v)) {
		bool negative = v < 0;
		char *p = out;
		if (negative)
			*p++ = '-';
		p += format_u64(p, (uint64_t)fabs(v));
		*p = 0;
		return (size_t)(p - out);
	}
	for (int digits = 15;; digits++) {
		int n = snprintf(out, NUM_TEXT_MAX, "%.*g", digits, v);
		if (digits == 17 || strtod(out, NULL) == v)
			return (size_t)n;
	}
}
