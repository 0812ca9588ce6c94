/* SPDX-License-Identifier: MIT */
#include "base/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

void scan_init(struct scan *s, struct span text)
{
	size_t mark = text_mark(text);
	bool wide = mark == TEXT_MARK_WIDE;
	s->p = s->begin = text.p + (wide ? 0 : mark);
	s->end = text.p + text.n;
	s->why = wide ? "text in UTF-16, expected UTF-8" : NULL;
	s->loose = s->loose_at = NULL;
	s->first = true;
}

void scan_note(struct scan *s, const char *at, const char *why)
{
	if (!s->loose) {
		s->loose = why;
		s->loose_at = at;
	}
}

void scan_fail(struct scan *s, const char *why)
{
	if (!s->why)
		s->why = why;
}

static bool fail(struct scan *s, const char *why)
{
	scan_fail(s, why);
	return false;
}

static void blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
		s->p++;
}

char scan_peek(struct scan *s)
{
	if (s->why)
		return 0;
	blanks(s);
	if (s->p == s->end)
		return 0;
	char c = *s->p;
	if (c == '-' || (c >= '0' && c <= '9'))
		return '0';
	return memchr("{[\"tfn", c, 6) ? c : 0;
}

static bool take(struct scan *s, char c, const char *why)
{
	if (s->why)
		return false;
	blanks(s);
	if (s->p == s->end || *s->p != c)
		return fail(s, why);
	s->p++;
	return true;
}

bool scan_object(struct scan *s)
{
	s->first = true;
	return take(s, '{', "expected an object");
}

bool scan_array(struct scan *s)
{
	s->first = true;
	return take(s, '[', "expected an array");
}

/* After '{' or '[' or a value: true if another element follows. */
static bool more(struct scan *s, char close, const char *why)
{
	if (s->why)
		return false;
	blanks(s);
	if (s->p < s->end && *s->p == close) {
		s->p++;
		s->first = false;
		return false;
	}
	if (!s->first && !take(s, ',', why))
		return false;
	s->first = false;
	return true;
}

static int hex4(const char *p, const char *end);

/* Undo the escapes of a key if nothing in it needs them. */
static void plain_key(struct scan *s, struct span *key)
{
	size_t n = 0;
	for (const char *p = key->p, *end = p + key->n; p < end; n++) {
		int c = (unsigned char)*p;
		if (c == '\\')
			c = p[1] == 'u' ? hex4(p + 2, end) : 0;
		p += *p == '\\' ? 6 : 1;
		if (n == sizeof s->name || !(c == '_' || (c >= '0' && c <= '9') ||
					     (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
			return;
		s->name[n] = (char)c;
	}
	*key = (struct span){s->name, n};
}

bool scan_member(struct scan *s, struct span *key)
{
	if (!more(s, '}', "expected ',' or '}'") || !scan_string(s, key))
		return false;
	if (memchr(key->p, '\\', key->n))
		plain_key(s, key);
	return take(s, ':', "expected ':'");
}

bool scan_item(struct scan *s)
{
	return more(s, ']', "expected ',' or ']'");
}

size_t scan_utf8_len(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(end - p);
	if (u[0] < 0x80)
		return 1;
	if (u[0] >= 0xC2 && u[0] <= 0xDF)
		return left >= 2 && (u[1] & 0xC0) == 0x80 ? 2 : 0;
	if (u[0] >= 0xE0 && u[0] <= 0xEF) {
		if (left < 3 || (u[1] & 0xC0) != 0x80 || (u[2] & 0xC0) != 0x80)
			return 0;
		if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F))
			return 0;
		return 3;
	}
	if (u[0] >= 0xF0 && u[0] <= 0xF4) {
		if (left < 4 || (u[1] & 0xC0) != 0x80 || (u[2] & 0xC0) != 0x80 ||
		    (u[3] & 0xC0) != 0x80)
			return 0;
		if ((u[0] == 0xF0 && u[1] < 0x90) || (u[0] == 0xF4 && u[1] > 0x8F))
			return 0;
		return 4;
	}
	return 0;
}

bool scan_is_utf8(struct span text)
{
	const char *p = text.p, *end = text.p + text.n;
	for (size_t n; p < end; p += n)
		if ((n = scan_utf8_len(p, end)) == 0)
			return false;
	return true;
}

static int hex4(const char *p, const char *end)
{
	int v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* The high bits of bytes that need a closer look inside a string: quote, backslash, controls,
 * and everything outside ASCII; eight at a time.  The lowest one set is exact. */
static uint64_t special(uint64_t v)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
	return (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (v - ones * 0x20) | v) &
	       high;
}

bool scan_string(struct scan *s, struct span *raw)
{
	if (!take(s, '"', "expected a string"))
		return false;
	const char *p = s->p, *end = s->end;
	for (;;) {
		while (end - p >= 8) {
			uint64_t v;
			memcpy(&v, p, 8);
			if ((v = special(v)) != 0) {
				p += __builtin_ctzll(v) >> 3;
				break;
			}
			p += 8;
		}
		if (p == end) {
			s->p = p;
			return fail(s, "string without end");
		}
		unsigned char c = (unsigned char)*p;
		if (c == '"')
			break;
		if (c == '\\') {
			p++;
			if (p < end && *p == 'u') {
				int u = hex4(p + 1, end);
				if (u >= 0xD800 && u < 0xDC00 && end - p >= 11 && p[5] == '\\' &&
				    p[6] == 'u') {
					int low = hex4(p + 7, end);
					u = low >= 0xDC00 && low < 0xE000 ? 0 : -1;
					p += 6;
				} else if (u >= 0xD800 && u < 0xE000) {
					u = -1;
				}
				if (u < 0) {
					s->p = p;
					return fail(s, "bad \\u escape");
				}
				p += 5;
			} else if (p < end && *p && strchr("\"\\/bfnrt", *p)) {
				p++;
			} else {
				s->p = p;
				return fail(s, "bad escape");
			}
		} else if (c < 0x20) {
			s->p = p;
			return fail(s, "control character in a string");
		} else {
			size_t n = scan_utf8_len(p, end);
			if (n == 0) {
				s->p = p;
				return fail(s, "bytes that are no UTF-8");
			}
			p += n;
		}
	}
	if (raw)
		*raw = (struct span){s->p, (size_t)(p - s->p)};
	s->p = p + 1;
	s->first = false;
	return true;
}

static bool number(struct scan *s, double *v)
{
	if (scan_peek(s) != '0')
		return fail(s, "expected a number");
	const char *p = s->p, *end = s->end;
	while (p < end && ((*p >= '0' && *p <= '9') || *p == '-' || *p == '+' || *p == '.' ||
			   (*p | 0x20) == 'e'))
		p++;
	size_t n = (size_t)(p - s->p);
	const char *stop;
	if (end - p >= NUM_PADDING) {
		stop = num_json_f64(s->p, v);
	} else {
		/* Near the end of the text: parse a copy that has something behind it. */
		char copy[512 + NUM_PADDING] = {0};
		if (n > 512)
			return fail(s, "number too long");
		memcpy(copy, s->p, n);
		stop = num_json_f64(copy, v);
		if (stop)
			stop = s->p + (stop - copy);
	}
	if (stop != p)
		return fail(s, "bad number");
	s->p = p;
	s->first = false;
	return true;
}

bool scan_f64(struct scan *s, double *v)
{
	double d;
	if (!number(s, &d))
		return false;
	if (!isfinite(d))
		return fail(s, "number too large");
	*v = d;
	return true;
}

bool scan_u64(struct scan *s, uint64_t *v)
{
	double d;
	scan_peek(s);
	const char *begin = s->p;
	if (!number(s, &d))
		return false;
	if (!(d >= 0 && d <= 9007199254740992.0) || d != (double)(uint64_t)d)
		return fail(s, "expected a whole number in 0..2^53");
	for (const char *p = begin; p < s->p && !s->loose; p++)
		if (*p < '0' || *p > '9')
			scan_note(s, p, "a whole number that is not written in digits only");
	*v = (uint64_t)d;
	return true;
}

static bool word(struct scan *s, const char *w, size_t n)
{
	if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
		return fail(s, "expected a value");
	s->p += n;
	s->first = false;
	return true;
}

bool scan_bool(struct scan *s, bool *v)
{
	char c = scan_peek(s);
	if (c != 't' && c != 'f')
		return fail(s, "expected true or false");
	*v = c == 't';
	return word(s, c == 't' ? "true" : "false", c == 't' ? 4 : 5);
}

bool scan_null(struct scan *s)
{
	return scan_peek(s) == 'n' && word(s, "null", 4);
}

static void set_bit(uint64_t *bits, uint32_t i, bool on)
{
	uint64_t bit = (uint64_t)1 << i % 64, before = i % 64 ? bits[i / 64] : 0;
	bits[i / 64] = on ? before | bit : before & ~bit;
}

bool scan_skip(struct scan *s, struct span *raw)
{
	uint64_t in_object[SCAN_MAX_DEPTH / 64]; /* a bit a level */
	uint32_t depth = 0;
	double ignored;
	bool flag;
	char c = scan_peek(s);
	const char *begin = s->p;
	for (;;) {
		switch (c) {
		case '{':
		case '[':
			if (depth == SCAN_MAX_DEPTH)
				return fail(s, "nested too deep");
			set_bit(in_object, depth++, c == '{');
			s->p++;
			s->first = true;
			break;
		case '"':
			scan_string(s, NULL);
			break;
		case '0':
			number(s, &ignored);
			break;
		case 't':
		case 'f':
			scan_bool(s, &flag);
			break;
		case 'n':
			scan_null(s);
			break;
		default:
			return fail(s, "expected a value");
		}
		/* Close what ends here; stop at the next value or when all is closed. */
		for (;;) {
			if (s->why)
				return false;
			if (depth == 0)
				goto done;
			struct span key;
			bool member = in_object[(depth - 1) / 64] >> (depth - 1) % 64 & 1;
			if (member ? scan_member(s, &key) : scan_item(s))
				break;
			depth--;
		}
		c = scan_peek(s);
	}
done:
	if (raw)
		*raw = (struct span){begin, (size_t)(s->p - begin)};
	return true;
}

bool scan_optional(struct scan *s, struct span *raw)
{
	return scan_null(s) || (!s->why && scan_string(s, raw));
}

bool scan_copy(struct scan *s, char **out)
{
	struct span raw = {0};
	if (!scan_optional(s, &raw) || !raw.p)
		return !s->why;
	struct buf b = BUF_INIT;
	scan_decode(raw, &b);
	if (!b.failed && memchr(buf_span(&b).p, 0, b.len))
		scan_fail(s, "NUL in a string");
	char *copy = b.failed ? NULL : span_dup(buf_span(&b));
	buf_release(&b);
	if (!copy)
		return fail(s, scan_no_memory);
	free(*out);
	*out = copy;
	return !s->why;
}

bool scan_end(struct scan *s)
{
	if (s->why)
		return false;
	blanks(s);
	return s->p == s->end || fail(s, "trailing text");
}

size_t scan_column(const struct scan *s)
{
	return (size_t)(s->p - s->begin) + 1;
}

const char scan_no_memory[] = "out of memory";

int scan_err(const struct scan *s, struct err *err)
{
	if (s->why == scan_no_memory)
		return err_nomem(err);
	return err_set(err, ERR_DATA, "column %zu: %s", scan_column(s),
		       s->why ? s->why : "no value");
}

static void add_utf8(struct buf *out, unsigned cp)
{
	if (cp < 0x80) {
		buf_addc(out, (char)cp);
	} else if (cp < 0x800) {
		buf_addc(out, (char)(0xC0 | cp >> 6));
		buf_addc(out, (char)(0x80 | (cp & 0x3F)));
	} else if (cp < 0x10000) {
		buf_addc(out, (char)(0xE0 | cp >> 12));
		buf_addc(out, (char)(0x80 | (cp >> 6 & 0x3F)));
		buf_addc(out, (char)(0x80 | (cp & 0x3F)));
	} else {
		buf_addc(out, (char)(0xF0 | cp >> 18));
		buf_addc(out, (char)(0x80 | (cp >> 12 & 0x3F)));
		buf_addc(out, (char)(0x80 | (cp >> 6 & 0x3F)));
		buf_addc(out, (char)(0x80 | (cp & 0x3F)));
	}
}

void scan_decode(struct span raw, struct buf *out)
{
	const char *p = raw.p, *end = raw.p + raw.n;
	while (p < end) {
		const char *slash = memchr(p, '\\', (size_t)(end - p));
		if (!slash) {
			buf_add(out, p, (size_t)(end - p));
			return;
		}
		buf_add(out, p, (size_t)(slash - p));
		p = slash + 2;
		switch (slash[1]) {
		case 'b':
			buf_addc(out, '\b');
			break;
		case 'f':
			buf_addc(out, '\f');
			break;
		case 'n':
			buf_addc(out, '\n');
			break;
		case 'r':
			buf_addc(out, '\r');
			break;
		case 't':
			buf_addc(out, '\t');
			break;
		case 'u': {
			unsigned cp = (unsigned)hex4(p, end);
			p += 4;
			if (cp >= 0xD800 && cp < 0xDC00) {
				cp = 0x10000 + ((cp - 0xD800) << 10) +
				     ((unsigned)hex4(p + 2, end) - 0xDC00);
				p += 6;
			}
			add_utf8(out, cp);
			break;
		}
		default:
			buf_addc(out, slash[1]);
		}
	}
}

void scan_quote(struct buf *out, struct span text)
{
	const char *p = text.p, *end = text.p + text.n;
	buf_addc(out, '"');
	while (p < end) {
		const char *run = p;
		size_t n = 1;
		while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\' &&
		       (n = scan_utf8_len(p, end)) != 0)
			p += n;
		buf_add(out, run, (size_t)(p - run));
		if (p == end)
			break;
		switch (*p) {
		case '"':
			buf_adds(out, "\\\"");
			break;
		case '\\':
			buf_adds(out, "\\\\");
			break;
		case '\n':
			buf_adds(out, "\\n");
			break;
		case '\r':
			buf_adds(out, "\\r");
			break;
		case '\t':
			buf_adds(out, "\\t");
			break;
		default:
			if ((unsigned char)*p < 0x20)
				buf_addf(out, "\\u%04x", (unsigned)(unsigned char)*p);
			else
				buf_adds(out, "\xEF\xBF\xBD");
		}
		p++;
	}
	buf_addc(out, '"');
}

bool scan_text_is(struct span raw, struct span text)
{
	if (!memchr(raw.p, '\\', raw.n))
		return span_same(raw, text);
	struct buf b = BUF_INIT;
	scan_decode(raw, &b);
	bool same = !b.failed && span_same(buf_span(&b), text);
	buf_release(&b);
	return same;
}
