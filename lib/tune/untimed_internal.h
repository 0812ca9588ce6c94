/* SPDX-License-Identifier: MIT */
#ifndef TUNE_UNTIMED_INTERNAL_H
#define TUNE_UNTIMED_INTERNAL_H

#include "tune/strategy.h"

/* The strategy "untimed", see untimed.c. */
int tune_untimed_next(struct tune_history *h, const struct tune_goal *g, struct tune_proposal *out,
		      struct err *err);

#endif
