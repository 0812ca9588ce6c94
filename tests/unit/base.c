/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/par.h"
#include "base/rng.h"
#include "base/scan.h"
#include "base/show.h"
#include "tests/unit/tap.h"

static void test_xxh64(void)
{
	/* From the specification's own test: bytes of its generator. */
	unsigned char data[222];
	uint64_t gen = 2654435761u;
	for (size_t i = 0; i < sizeof data; i++) {
		data[i] = (unsigned char)(gen >> 56);
		gen *= 11400714785074694797u;
	}
	ok(digest_xxh64("", 0, 0) == 0xEF46DB3751D8E999u, "XXH64 of nothing");
	ok(digest_xxh64("abc", 3, 0) == 0x44BC2CF5AD770999u, "XXH64 of abc");
	ok(digest_xxh64(data, 14, 0) == 0x8282DCC4994E35C8u, "XXH64 of 14 bytes");
	ok(digest_xxh64(data, 222, 0) == 0xB641AE8CB691C174u, "XXH64 of 222 bytes");
	ok(digest_xxh64(data, 222, 2654435761u) == 0x20CB8AB7AE10C14Au, "with a seed");
	bool same = true;
	for (size_t cut = 0; cut <= sizeof data; cut++) {
		struct digest_stream s;
		digest_stream_init(&s, 5);
		digest_stream_add(&s, data, cut / 2);
		digest_stream_add(&s, data + cut / 2, cut - cut / 2);
		digest_stream_add(&s, data + cut, sizeof data - cut);
		same &= digest_stream_end(&s) == digest_xxh64(data, sizeof data, 5);
	}
	ok(same, "in pieces as in one");
}

static void test_clock(void)
{
	char text[CLOCK_TEXT_MAX];
	uint64_t us;
	clock_format(1776353181123456u, text);
	ok(strcmp(text, "2026-04-16T15:26:21.123456Z") == 0, "a time as text: %s", text);
	ok(clock_parse(span_of(text), &us) == 0 && us == 1776353181123456u, "and back");
	ok(clock_parse(span_of("2026-04-16T15:26:21.123456789Z"), &us) == 0 &&
	       us == 1776353181123456u,
	   "nanoseconds are read");
	ok(clock_parse(span_of("2026-04-16T10:26:21-05:00"), &us) == 0 && us == 1776353181000000u,
	   "offsets are read");
	ok(clock_parse(span_of("2024-02-29T00:00:00Z"), &us) == 0 && us == 1709164800000000u,
	   "leap days");
	ok(clock_parse(span_of("2026-02-30T00:00:00Z"), &us) != 0 &&
	       clock_parse(span_of("2026-02-29T00:00:00Z"), &us) != 0 &&
	       clock_parse(span_of("2100-02-29T00:00:00Z"), &us) != 0 &&
	       clock_parse(span_of("2000-02-29T00:00:00Z"), &us) == 0 &&
	       clock_parse(span_of("2026-04-31T00:00:00Z"), &us) != 0 &&
	       clock_parse(span_of("2026-08-31T00:00:00Z"), &us) == 0 &&
	       clock_parse(span_of("2026-12-31T00:00:00Z"), &us) == 0 &&
	       clock_parse(span_of("2026-09-31T00:00:00Z"), &us) != 0,
	   "days that are none");
	ok(clock_parse(span_of("2026-13-01T00:00:00Z"), &us) != 0 &&
	       clock_parse(span_of("yesterday"), &us) != 0 &&
	       clock_parse(span_of("2026-04-16T15:26:21"), &us) != 0,
	   "what is no time is refused");
}

/* The whole text is one value. */
static bool valid(const char *text)
{
	struct scan s;
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1); /* not terminated: reading past the end is found */
	memcpy(copy, text, n);
	scan_init(&s, (struct span){copy, n});
	bool good = scan_skip(&s, NULL) && scan_end(&s);
	free(copy);
	return good;
}

static void test_scan(void)
{
	static const char *const good[] = {"{}",
					   "[]",
					   "0",
					   "-0.5e-3",
					   "\"\"",
					   "null",
					   "true",
					   " [1, 2 ,{\"a\":[{}]}] ",
					   "\"\\u00e9\\ud83d\\ude00\\n\"",
					   "\"\xC3\xA9\"",
					   "{\"a\":1,\"b\":{\"c\":null}}"};
	static const char *const bad[] = {"",
					  "{",
					  "[",
					  "]",
					  "{]",
					  "[1,]",
					  "[,1]",
					  "{\"a\"}",
					  "{\"a\":}",
					  "{\"a\":1,}",
					  "{a:1}",
					  "01",
					  "1.",
					  ".5",
					  "+1",
					  "nan",
					  "NaN",
					  "Infinity",
					  "tru",
					  "nul",
					  "\"",
					  "\"\\x\"",
					  "\"\\u12\"",
					  "\"\\ud800\"",
					  "\"\\ud800\\u0041\"",
					  "\"\n\"",
					  "\"\xC3\"",
					  "\"\xFF\"",
					  "\"\xED\xA0\x80\"",
					  "\"\xC0\x80\"",
					  "1 2",
					  "[1 2]",
					  "{\"a\" 1}",
					  "'a'",
					  "\"a\" x"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ok(valid(good[i]), "is JSON: %zu", i);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ok(!valid(bad[i]), "is no JSON: %zu", i);
	static char deep[2 * SCAN_MAX_DEPTH + 3];
	memset(deep, '[', SCAN_MAX_DEPTH);
	memset(deep + SCAN_MAX_DEPTH, ']', SCAN_MAX_DEPTH);
	ok(valid(deep), "nesting may be deep");
	memset(deep, '[', SCAN_MAX_DEPTH + 1);
	memset(deep + SCAN_MAX_DEPTH + 1, ']', SCAN_MAX_DEPTH + 1);
	ok(!valid(deep), "nesting has a limit");
	ok(valid("\xEF\xBB\xBF{}") && !valid("\xFF\xFE{}"), "a byte order mark is left out");
	struct scan s;
	struct span key;
	scan_init(&s, span_of("{\"\\u006d\\u005F1\":1,\"a\\\"\":2,\"\\u00e9\":3}"));
	ok(scan_object(&s) && scan_member(&s, &key) && span_is(key, "m_1") && scan_skip(&s, NULL) &&
	       scan_member(&s, &key) && span_is(key, "a\\\"") && scan_skip(&s, NULL) &&
	       scan_member(&s, &key) && span_is(key, "\\u00e9"),
	   "escapes of a key that it does not need are undone");
	struct buf b = BUF_INIT;
	scan_decode(span_of("a\\n\\u00e9\\ud83d\\ude00\\\\"), &b);
	ok(span_is(buf_span(&b), "a\n\xC3\xA9\xF0\x9F\x98\x80\\"), "escapes are decoded");
	buf_clear(&b);
	scan_quote(&b, (struct span){"a\"\n\x01\xFF", 5});
	ok(span_is(buf_span(&b), "\"a\\\"\\n\\u0001\xEF\xBF\xBD\""), "strings are quoted");
	buf_release(&b);
}

static void test_permutation(void)
{
	enum { N = 1000 };
	uint32_t p[N], q[N];
	bool seen[N] = {false}, all = true;
	rng_permutation(42, p, N);
	rng_permutation(42, q, N);
	for (int i = 0; i < N; i++) {
		all &= p[i] < N && !seen[p[i]];
		seen[p[i] < N ? p[i] : 0] = true;
	}
	ok(all, "a permutation has every number once");
	ok(memcmp(p, q, sizeof p) == 0, "equal seeds give equal ones");
	rng_permutation(43, q, N);
	ok(memcmp(p, q, sizeof p) != 0, "other seeds others");
}

static void mark(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	unsigned char *seen = ctx;
	(void)thread;
	for (uint64_t i = begin; i < end; i++)
		seen[i]++;
}

static void test_par(void)
{
	for (int threads = 1; threads <= 5; threads += 2) {
		struct err err;
		struct par *p = par_new(threads, &err);
		bool once = true;
		for (uint64_t count = 0; p && count < 300; count += 7) {
			unsigned char seen[300] = {0};
			par_run(p, count, 3, mark, seen);
			for (uint64_t i = 0; i < 300; i++)
				once &= seen[i] == (i < count);
		}
		ok(p && once, "%d threads do every item once", threads);
		par_free(p);
	}
}

static void test_show(void)
{
	static const char *const pair[][2] = {
	    {"plain, \xC3\xA9 and \xF0\x9F\x98\x80", "plain, \xC3\xA9 and \xF0\x9F\x98\x80"},
	    {"\x1b[2J\t\n\x7f", "?[2J???"},
	    {"\xC2\x9B" "2J\xC2\x80\xC2\x9F\xC2\xA0", "?2J??\xC2\xA0"},
	    {"\x9B" "2J \xC0\x80 \xED\xA0\x80 \xFF", "?2J ?? ??? ?"},
	    {"a\xE2\x80\xAE" "b\xE2\x81\xA6" "c\xD8\x9C" "d\xE2\x80\x8F\xE2\x80\xA8", "a?b?c?d??"},
	    {"cut \xE2\x80", "cut "},
	    {"not cut \xE2" "a", "not cut ?a"},
	    {"", ""},
	};
	for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++) {
		char text[64];
		struct err err;
		snprintf(text, sizeof text, "%s", pair[i][0]);
		show_text(text);
		err_set(&err, ERR_DATA, "%s", pair[i][0]);
		ok(strcmp(text, pair[i][1]) == 0 && strcmp(err.msg, pair[i][1]) == 0,
		   "text %zu is fit to be shown, in messages too", i);
	}
	struct buf b = BUF_INIT;
	buf_adds(&b, "\n\x1b");
	show_from(&b, 1);
	ok(b.len == 2 && strcmp(b.data, "\n?") == 0, "what stands before is left alone");
	buf_release(&b);
}

int main(void)
{
	test_show();
	test_xxh64();
	test_clock();
	test_scan();
	test_permutation();
	test_par();
	return tap_end();
}
