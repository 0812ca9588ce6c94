/* SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

/*
 * A growable run of bytes.  Appending never fails at once: when memory runs out
 * the buffer is marked and further appends do nothing; check buf_ok() before
 * using the content.  Always NUL-terminated (the NUL is not counted) once
 * something was appended.
 */
struct buf {
	char *data;
	size_t len, cap;
	bool failed;
};

#define BUF_INIT  \
	{         \
		0 \
	}

/* A run of bytes that someone else owns. */
struct span {
	const char *p;
	size_t n;
};

void buf_release(struct buf *b);
void buf_clear(struct buf *b);

/* Make room for ${more} further bytes; false when memory runs out. */
bool buf_reserve(struct buf *b, size_t more);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, const char *s);
void buf_addspan(struct buf *b, struct span s);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* 0, or -1 with ERR_ENV when an append failed for want of memory. */
int buf_ok(const struct buf *b, struct err *err) MUST_CHECK;

struct span buf_span(const struct buf *b);
struct span span_of(const char *s);

/* Inline, so that the length of a constant is no work. */
static inline bool span_is(struct span a, const char *s)
{
	return a.p && strlen(s) == a.n && memcmp(a.p, s, a.n) == 0;
}

bool span_same(struct span a, struct span b);

/* Whether it is one of the words of a text with blanks between. */
bool span_is_word(struct span a, const char *words);

/*
 * Length of the byte order mark of UTF-8 that a text begins with, 0 if there is none, or
 * TEXT_MARK_WIDE if the text begins with that of UTF-16 (or UTF-32).
 */
#define TEXT_MARK_WIDE SIZE_MAX
size_t text_mark(struct span s);

/* A NUL-terminated copy, or NULL when memory runs out.  Free with free(). */
char *span_dup(struct span s);

#endif
