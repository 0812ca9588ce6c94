/* SPDX-License-Identifier: MIT */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define SCAN_MAX_DEPTH 262144 /* of what is skipped */
#define SCAN_NAME_MAX 40

/*
 * A strict pull reader of one JSON text (RFC 8259) that allocates nothing and
 * hands out spans of the text itself, so that whatever is not changed can be
 * written again byte by byte.  (libjq 1.6 would round integers above 2^53, print
 * 0.96 as 0.95999999999999996, and accept NaN.)
 *
 * A byte order mark before the text is left out; one of UTF-16 is an error.
 *
 * Every function skips blanks first.  Those that return bool return false on an
 * error as well as on a "no"; scan_failed() tells which.  After an error every
 * further call fails.
 *
 *	scan_init(&s, text);
 *	if (scan_object(&s))
 *		while (scan_member(&s, &key))
 *			if (span_is(key, "id"))
 *				scan_string(&s, &id);
 *			else
 *				scan_skip(&s, NULL);
 *	if (!scan_end(&s))
 *		... s.why, scan_column(&s)
 */
struct scan {
	const char *p, *begin, *end;
	const char *why; /* a constant string once something failed, else NULL */
	bool first;	 /* no member or item of the innermost container was read yet */
	/* The first thing, if any, that we read and stricter readers do not, and where it is. */
	const char *loose, *loose_at;
	char name[SCAN_NAME_MAX]; /* a key whose escapes were undone */
};

void scan_init(struct scan *s, struct span text);

/* One of { [ " 0 t f n, standing for the kind of value that comes next; 0: none. */
char scan_peek(struct scan *s);

bool scan_object(struct scan *s);		    /* take '{' */

/*
 * The next key; false: took the '}'.  If all its escapes stand for letters, digits or '_', they
 * are undone, and the key lives until the next call; else it is as written.
 */
bool scan_member(struct scan *s, struct span *key);
bool scan_array(struct scan *s);		    /* take '[' */
bool scan_item(struct scan *s);			    /* another item follows; false: took ']' */
bool scan_string(struct scan *s, struct span *raw); /* inside of the quotes, as written */
bool scan_f64(struct scan *s, double *v);	    /* finite */
bool scan_u64(struct scan *s, uint64_t *v);	    /* a whole number, 0..2^53; loose if it is */
						    /* not written in digits only: 80.0, 1e2 */
bool scan_bool(struct scan *s, bool *v);
bool scan_null(struct scan *s);			  /* takes null if it is next */
bool scan_skip(struct scan *s, struct span *raw); /* any value; ${raw} may be NULL */

/* A string, or null, which leaves ${raw} alone. */
bool scan_optional(struct scan *s, struct span *raw);

/* The same as a decoded copy that replaces (and frees) ${out}; no NUL may be in it. */
bool scan_copy(struct scan *s, char **out);

bool scan_end(struct scan *s); /* only blanks are left, and no error */

static inline bool scan_failed(const struct scan *s)
{
	return s->why != NULL;
}

/* Mark the text as not what was expected; ${why} is a constant string. */
void scan_fail(struct scan *s, const char *why);

/* The ${why} where there is no memory, which is not the text's fault. */
extern const char scan_no_memory[];

/* Note that what begins at ${at} is read though stricter readers do not; ${why} is constant. */
void scan_note(struct scan *s, const char *at, const char *why);

/* Whether a key is that one; ${seen} has a bit for each of those before, and one that comes again is
 * noted. */
static inline bool scan_key_is(struct scan *s, struct span key, const char *name, unsigned *seen,
			       unsigned bit)
{
	if (!span_is(key, name))
		return false;
	if (*seen & 1u << bit)
		scan_note(s, s->p, "a key given twice");
	*seen |= 1u << bit;
	return true;
}

/* 1-based column of the point reached. */
size_t scan_column(const struct scan *s);

/* ERR_DATA "column 17: expected ':'", or ERR_ENV if there was no memory. */
int scan_err(const struct scan *s, struct err *err);

/* Append the decoded form of a raw string; it was checked by scan_string(). */
void scan_decode(struct span raw, struct buf *out);

/* Append ${text} as a quoted JSON string; bytes that are no UTF-8 become U+FFFD. */
void scan_quote(struct buf *out, struct span text);

/* Length of the valid UTF-8 sequence at ${p}, or 0. */
size_t scan_utf8_len(const char *p, const char *end);

bool scan_is_utf8(struct span text);

/* The raw JSON string says the same as ${text}. */
bool scan_text_is(struct span raw, struct span text);

#endif
