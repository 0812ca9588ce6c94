/* SPDX-License-Identifier: MIT */
/* What only a curve tells of is not to be chosen before it was timed: a goal that differs from that
 * of the builds' Trials, or times of another host, leave such configs. */
#include "tune/untimed_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "tune/decide.h"

#define NEAR 20 /* an ef_search that differs by a 20th is as good, or by 2 */

/* Whether a Trial of this host has an ef_search that is about that of the candidate, and meets the
 * goal. */
static bool timed_nearby(const struct tune_history *h, const struct tune_goal *g,
			 const struct tune_candidate *c, struct err *err)
{
	struct tune_choice timed;
	if (tune_decide(h, g, true, &timed, err) != 0)
		return false;
	for (size_t i = 0; i < timed.n && timed.verdict <= TUNE_UNPROVEN; i++) {
		const struct tune_candidate *t = &timed.best[i];
		long off = labs((long)t->config.ef_search - (long)c->config.ef_search);
		if (t->timing && t->timing->count && config_same_build(&t->config, &c->config) &&
		    off <= 2 + (long)c->config.ef_search / NEAR)
			return true;
	}
	return false;
}

int tune_untimed_next(struct tune_history *h, const struct tune_goal *g, struct tune_proposal *out,
		      struct err *err)
{
	struct tune_choice by_curve;
	if (tune_decide(h, g, false, &by_curve, err) != 0)
		return -1;
	const struct tune_candidate *c = &by_curve.best[0];
	if (by_curve.verdict > TUNE_UNPROVEN)
		return err_set(err, ERR_NO, "%s", by_curve.reason);
	if (tune_history_tried(h, &c->config) || timed_nearby(h, g, c, err))
		return err_set(err, ERR_NO, "the cheapest was timed");
	*out = (struct tune_proposal){.config = c->config, .cost = c->cost};
	snprintf(out->why, sizeof out->why, "the cheapest by its curve, not timed yet");
	return tune_history_pending(h, &out->config, err);
}
