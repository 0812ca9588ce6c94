/* SPDX-License-Identifier: MIT */
/* What terminals are spared. */
#include "base/show.h"

#include "base/scan.h"

/* The character of ${n} bytes at ${p}, which are UTF-8. */
static uint32_t decode(const char *p, size_t n)
{
	static const unsigned char lead[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	uint32_t c = (unsigned char)p[0] & lead[n];
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3F);
	return c;
}

static bool is_obeyed(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
	       (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* Whether ${n} bytes are the beginning of a character, which needs more. */
static bool is_cut(const char *p, size_t n)
{
	unsigned char c = (unsigned char)p[0];
	size_t whole = c >= 0xF0 && c <= 0xF4 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
	if (c > 0xF4 || n >= whole)
		return false;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)p[i] & 0xC0) != 0x80)
			return false;
	return true;
}

/* Returns the new length, which is not greater. */
static size_t clean(char *s, size_t n)
{
	size_t out = 0;
	for (size_t at = 0, len; at < n; at += len) {
		len = scan_utf8_len(s + at, s + n);
		if (len == 0 && is_cut(s + at, n - at))
			break;
		if (len == 0 || is_obeyed(decode(s + at, len))) {
			s[out++] = '?';
			len = len ? len : 1;
			continue;
		}
		memmove(s + out, s + at, len);
		out += len;
	}
	return out;
}

void show_text(char *s)
{
	s[clean(s, strlen(s))] = 0;
}

void show_from(struct buf *b, size_t from)
{
	if (b->len <= from)
		return;
	b->len = from + clean(b->data + from, b->len - from);
	b->data[b->len] = 0;
}
