/* SPDX-License-Identifier: MIT */
#include "base/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/unit/tap.h"

static bool same_f32(float a, float b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

static bool same_f64(double a, double b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

/* Texts of many kinds; compared with the C library's conversions. */
static void random_text(struct rng *r, char *s, size_t size)
{
	uint64_t a = rng_next(r);
	switch (rng_below(r, 6)) {
	case 0:
		snprintf(s, size, "%.17g", (double)a / (double)(rng_next(r) | 1));
		break;
	case 1:
		snprintf(s, size, "0.%019llu", (unsigned long long)(a % 10000000000000000000u));
		break;
	case 2:
		snprintf(s, size, "%llue%d", (unsigned long long)(a >> rng_below(r, 60)),
			 (int)rng_below(r, 120) - 70);
		break;
	case 3:
		snprintf(s, size, "-%llu.%llue-%d", (unsigned long long)(a >> 40),
			 (unsigned long long)(a & 0xffffff), (int)rng_below(r, 50));
		break;
	case 4: { /* midpoints of floats */
		uint32_t bits = (uint32_t)a & 0x7effffff;
		float f;
		memcpy(&f, &bits, sizeof f);
		snprintf(s, size, "%.17g", ((double)f + (double)nextafterf(f, INFINITY)) / 2);
		break;
	}
	default: {
		double d;
		a &= 0xffdfffffffffffffu;
		memcpy(&d, &a, sizeof d);
		snprintf(s, size, "%.*g", (int)rng_below(r, 18) + 1, isfinite(d) ? d : 1.0);
	}
	}
}

static void test_parse(void)
{
	struct rng r = {1};
	long bad = 0;
	for (long i = 0; i < 1000000; i++) {
		char s[128];
		float f;
		double d;
		memset(s, 0, sizeof s);
		random_text(&r, s, 80);
		const char *e1 = num_json_f32(s, &f), *e2 = num_json_f64(s, &d);
		bad += !e1 || *e1 || !e2 || *e2 || !same_f32(f, strtof(s, NULL)) ||
		       !same_f64(d, strtod(s, NULL));
	}
	ok(bad == 0, "a million texts read as strtof and strtod read them (%ld do not)", bad);
}

static void test_format(void)
{
	struct rng r = {2};
	long bad = 0, longer = 0;
	for (long i = 0; i < 1000000; i++) {
		uint32_t bits = (uint32_t)rng_next(&r);
		float f, back;
		char s[NUM_TEXT_MAX + NUM_PADDING] = {0};
		memcpy(&f, &bits, sizeof f);
		if (!isfinite(f))
			continue;
		size_t n = num_format_f32(s, f);
		bad += n != strlen(s) || num_json_f32(s, &back) != s + n || !same_f32(f, back);
		if (i >= 50000)
			continue;
		/* No shorter text reads back the same. */
		char shortest[40];
		int digits = 1, ours = 0, zeros = 0;
		while (snprintf(shortest, sizeof shortest, "%.*e", digits - 1, f),
		       !same_f32(strtof(shortest, NULL), f))
			digits++;
		for (const char *p = s; *p && *p != 'e'; p++)
			if (*p >= '0' && *p <= '9' && (ours || *p != '0')) {
				ours++;
				zeros = *p == '0' ? zeros + 1 : 0;
			}
		longer += ours - zeros > digits;
	}
	ok(bad == 0, "floats read back from their text");
	ok(longer == 0, "and no shorter text would do");
	char s[NUM_TEXT_MAX];
	num_format_f64(s, 0.96);
	ok(strcmp(s, "0.96") == 0, "0.96 is printed so");
	num_format_f64(s, 873);
	ok(strcmp(s, "873") == 0, "whole numbers have no point");
}

static void test_grammar(void)
{
	static const char *const bad[] = {"",	 "-",	"+1",  ".5",  "1.", "1e",
					  "1e+", "nan", "NaN", "inf", "x",  "-x"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char s[32] = {0};
		double d;
		memcpy(s, bad[i], strlen(bad[i]));
		ok(num_json_f64(s, &d) == NULL, "'%s' is no JSON number", bad[i]);
	}
	char s[32] = "01";
	double d;
	ok(num_json_f64(s, &d) == s + 1, "a number ends after a leading zero");
	char zeros[64] = "0.0000000000000000000000000000012345678901234567";
	num_json_f64(zeros, &d);
	ok(same_f64(d, strtod(zeros, NULL)), "leading zeros are no digits");
}

static void test_u64(void)
{
	uint64_t v;
	ok(num_u64(span_of("18446744073709551615"), 0, UINT64_MAX, &v) == 0 && v == UINT64_MAX,
	   "the greatest number");
	ok(num_u64(span_of("18446744073709551616"), 0, UINT64_MAX, &v) != 0, "one more is refused");
	ok(num_u64(span_of("-1"), 0, 9, &v) != 0 && num_u64(span_of(" 1"), 0, 9, &v) != 0 &&
	       num_u64(span_of(""), 0, 9, &v) != 0 && num_u64(span_of("1x"), 0, 9, &v) != 0,
	   "signs, blanks, nothing and letters are refused");
	ok(num_u64(span_of("10"), 0, 9, &v) != 0, "so is what is out of range");
	double d;
	ok(num_f64(span_of("nan"), 0, 1, &d) != 0 && num_f64(span_of("1e999"), 0, 1e308, &d) != 0 &&
	       num_f64(span_of("0x1"), 0, 9, &d) != 0,
	   "NaN, infinity and hexadecimal are refused");
}

int main(void)
{
	test_parse();
	test_format();
	test_grammar();
	test_u64();
	return tap_end();
}
