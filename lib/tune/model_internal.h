/* SPDX-License-Identifier: MIT */
#ifndef TUNE_MODEL_INTERNAL_H
#define TUNE_MODEL_INTERNAL_H

#include "tune/strategy.h"

/* The strategy "model", see model.c. */
int tune_model_next(struct tune_history *h, const struct tune_goal *g, struct tune_proposal *out,
		    struct err *err);

#endif
