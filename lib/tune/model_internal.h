/* SPDX-License-Identifier: MIT */
#ifndef TUNE_MODEL_INTERNAL_H
#define TUNE_MODEL_INTERNAL_H

#include "tune/strategy.h"

/* The strategy "model", see model.c. */
int tune_model_next(struct tune_history *h, const struct tune_goal *g, struct tune_proposal *out,
		    struct err *err);

/*
 * What a build with the parameters of ${c} is expected to need to meet the goal: ef_search, which may be
 * beyond the space, and what is minimised.  False: too little was measured to tell.
 */
bool tune_model_expect(const struct tune_history *h, const struct tune_goal *g,
		       const struct config *c, double *ef_search, double *cost);

#endif
