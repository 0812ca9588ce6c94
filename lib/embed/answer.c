/* SPDX-License-Identifier: MIT */
#include "embed/answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scan.h"
#include "vec/elem.h"

#define ERROR_BODY_BYTES 4096

void answer_release(struct answer *a)
{
	free(a->v);
	free(a->seen);
	buf_release(&a->text);
	*a = (struct answer){0};
}

/* Room for ${count} floats. */
static bool reserve(struct answer *a, size_t count)
{
	struct err ignored;
	if (count <= a->cap)
		return true;
	size_t cap = a->cap ? a->cap : 1024;
	while (cap < count)
		cap *= 2;
	float *grown = mem_resize(a->v, cap, sizeof *grown, &ignored);
	if (!grown)
		return false;
	a->v = grown;
	a->cap = cap;
	return true;
}

/* It is the text, as the server can make no vector of it. */
static void fail_text(struct scan *s, struct answer *a, const char *why)
{
	scan_fail(s, why);
	a->unfit = true;
}

static void take_array(struct scan *s, struct answer *a, size_t at)
{
	uint32_t n = 0;
	double v;
	if (scan_null(s))
		fail_text(s, a, "expected a vector, not null");
	if (!scan_array(s))
		return;
	while (scan_item(s)) {
		if (!scan_f64(s, &v)) {
			a->unfit = s->p < s->end; /* NaN, Infinity, null; not an answer cut short */
			return;
		}
		if (!isfinite((float)v))
			fail_text(s, a, "number too large for a float");
		else if (n == (a->dim ? a->dim : VEC_MAX_DIM))
			scan_fail(s, "a vector with more values than expected");
		else if (!reserve(a, at + n + 1))
			scan_fail(s, scan_no_memory);
		else
			a->v[at + n++] = (float)v;
	}
	if (scan_failed(s))
		return;
	if (n == 0)
		fail_text(s, a, "an empty vector");
	else if (a->dim && n != a->dim)
		scan_fail(s, "a vector with fewer values than expected");
	else
		a->dim = n;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decode ${b} in place (RFC 4648, with its padding); false if it is malformed. */
static bool base64_decode(struct buf *b)
{
	size_t n = b->len, out = 0;
	unsigned char *p = (unsigned char *)b->data;
	if (n % 4 || n == 0)
		return false;
	size_t pad = b->data[n - 1] != '=' ? 0 : b->data[n - 2] != '=' ? 1 : 2;
	for (size_t i = 0; i < n; i += 4) {
		size_t used = i + 4 == n ? 4 - pad : 4;
		uint32_t bits = 0;
		for (size_t j = 0; j < 4; j++) {
			int d = j < used ? base64_digit(b->data[i + j]) : 0;
			if (d < 0)
				return false;
			bits = bits << 6 | (uint32_t)d;
		}
		for (size_t j = 0; j + 1 < used; j++)
			p[out++] = (unsigned char)(bits >> (16 - 8 * j));
	}
	b->len = out;
	return true;
}

static void take_base64(struct scan *s, struct answer *a, size_t at)
{
	struct span raw;
	if (!scan_string(s, &raw))
		return;
	buf_clear(&a->text);
	scan_decode(raw, &a->text);
	if (a->text.failed) {
		scan_fail(s, scan_no_memory);
		return;
	}
	if (!base64_decode(&a->text) || a->text.len % sizeof(float)) {
		scan_fail(s, "expected base64 of floats");
		return;
	}
	size_t n = a->text.len / sizeof(float);
	if (n > VEC_MAX_DIM || (a->dim && n != a->dim)) {
		scan_fail(s, "a vector of another dimension than expected");
		return;
	}
	if (!reserve(a, at + n)) {
		scan_fail(s, scan_no_memory);
		return;
	}
	memcpy(a->v + at, a->text.data, a->text.len);
	for (size_t i = 0; i < n; i++)
		if (!isfinite(a->v[at + i]))
			fail_text(s, a, "expected finite numbers");
	a->dim = (uint32_t)n;
}

static void take_ollama(struct scan *s, struct answer *a, size_t n)
{
	size_t count = 0;
	if (!scan_array(s))
		return;
	while (scan_item(s)) {
		if (count == n)
			scan_fail(s, "more vectors than texts");
		else
			take_array(s, a, count++ * a->dim);
	}
	if (!scan_failed(s) && count < n)
		scan_fail(s, "fewer vectors than texts");
}

/* One {"index":i,"embedding":...}.  The vector is read behind all others (the first, before its
 * dimension is known, in front of them), then put in its place. */
static void take_item(struct scan *s, struct answer *a, size_t n)
{
	struct span key;
	uint64_t index = UINT64_MAX;
	size_t at = SIZE_MAX;
	if (!scan_object(s))
		return;
	while (scan_member(s, &key)) {
		if (span_is(key, "index")) {
			if (scan_u64(s, &index) && index >= n)
				scan_fail(s, "an index beyond the number of texts");
		} else if (span_is(key, "embedding")) {
			at = n * a->dim;
			if (scan_peek(s) == '"')
				take_base64(s, a, at);
			else
				take_array(s, a, at);
		} else {
			scan_skip(s, NULL);
		}
	}
	if (scan_failed(s))
		return;
	if (at == SIZE_MAX || index >= n)
		scan_fail(s, "expected the keys 'index' and 'embedding'");
	else if (a->seen[index])
		scan_fail(s, "an index given twice");
	else if (!reserve(a, (n + 1) * a->dim))
		scan_fail(s, scan_no_memory);
	else {
		memmove(a->v + index * a->dim, a->v + at, a->dim * sizeof *a->v);
		a->seen[index] = true;
	}
}

static void take_openai(struct scan *s, struct answer *a, size_t n)
{
	size_t count = 0;
	if (!scan_array(s))
		return;
	while (scan_item(s)) {
		if (count++ == n)
			scan_fail(s, "more vectors than texts");
		else
			take_item(s, a, n);
	}
	if (!scan_failed(s) && count < n)
		scan_fail(s, "fewer vectors than texts");
}

int answer_parse(struct answer *a, enum answer_form form, struct span body, size_t n, uint32_t dim,
		 struct err *err)
{
	const char *wanted = form == ANSWER_OLLAMA ? "embeddings" : "data";
	struct scan s;
	struct span key;
	bool found = false;
	free(a->seen);
	a->seen = mem_zeroed(n, sizeof *a->seen, err);
	if (!a->seen)
		return -1;
	a->dim = dim;
	a->unfit = false;
	scan_init(&s, body);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (!span_is(key, wanted))
				scan_skip(&s, NULL);
			else if (found)
				scan_fail(&s, "vectors given twice");
			else if (form == ANSWER_OLLAMA)
				take_ollama(&s, a, n);
			else
				take_openai(&s, a, n);
			found |= span_is(key, wanted);
		}
	if (!scan_end(&s))
		return scan_err(&s, err);
	return found ? 0 : err_set(err, ERR_DATA, "no key '%s'", wanted);
}

/* ---- failures ---- */

/* The text of the value that comes next: a string, or the string "message" of an object. */
static bool error_text(struct scan *s, struct span *raw)
{
	struct span key;
	bool found = false;
	if (scan_peek(s) == '"')
		return scan_string(s, raw);
	if (scan_peek(s) != '{')
		return scan_skip(s, NULL) && false;
	if (scan_object(s))
		while (scan_member(s, &key)) {
			if (span_is(key, "message") && scan_peek(s) == '"')
				found = scan_string(s, raw);
			else
				scan_skip(s, NULL);
		}
	return found;
}

void answer_error(struct span body, struct buf *out)
{
	struct scan s;
	struct span key, raw = {0};
	bool found = false;
	scan_init(&s, body);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "error"))
				found = error_text(&s, &raw);
			else
				scan_skip(&s, NULL);
		}
	if (scan_end(&s) && found)
		scan_decode(raw, out);
	else
		buf_add(out, body.p, body.n < ERROR_BODY_BYTES ? body.n : ERROR_BODY_BYTES);
	if (out->len == 0)
		buf_adds(out, "(no explanation)");
}
