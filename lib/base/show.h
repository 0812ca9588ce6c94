/* SPDX-License-Identifier: MIT */
#ifndef BASE_SHOW_H
#define BASE_SHOW_H

#include "base/buf.h"

/*
 * Make text fit to be shown to a person, in place: every byte that is no UTF-8 and every
 * character that a terminal obeys instead of showing it becomes '?'.  These are the control
 * characters, U+0000..U+001F and U+007F..U+009F, with tabs and newlines; the line and paragraph
 * separators U+2028 and U+2029; and what changes the direction of text, U+061C, U+200E, U+200F,
 * U+202A..U+202E and U+2066..U+2069.  A character cut short by the end is dropped.
 *
 * All text that is shown comes through here: messages, by err_set(), warn() and lib/cli, and
 * what is printed for people.  JSON does not.  scripts/common.sh has the same for the scripts.
 */
void show_text(char *s);

/* The same for what stands in ${b} from ${from} on. */
void show_from(struct buf *b, size_t from);

#endif
