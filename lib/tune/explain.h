/* SPDX-License-Identifier: MIT */
#ifndef TUNE_EXPLAIN_H
#define TUNE_EXPLAIN_H

#include "tune/decide.h"

/*
 * Append a choice in words for somebody who knows the goal and nothing else: a table of what was
 * measured, an empty line, and one paragraph as one line.  The history keeps lines.
 */
int tune_explain(const struct tune_history *h, const struct tune_goal *g,
		 const struct tune_choice *choice, struct buf *out, struct err *err) MUST_CHECK;

#endif
