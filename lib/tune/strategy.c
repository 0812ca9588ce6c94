/* SPDX-License-Identifier: MIT */
/* The table of strategies.  A further one is a function and a row. */
#include "tune/strategy.h"

#include <stdio.h>
#include <string.h>

#include "tune/model_internal.h"
#include "tune/untimed_internal.h"

static int egreedy_next(struct tune_history *h, const struct tune_goal *g,
			struct tune_proposal *out, struct err *err)
{
	(void)g;
	*out = (struct tune_proposal){0};
	if (!propose_egreedy(&h->pairs, &out->config))
		return err_set(err, ERR_NO, "search space exhausted");
	snprintf(out->why, sizeof out->why, "near the champion, or anywhere");
	return config_check_bounds(&out->config, err);
}

const struct tune_strategy tune_strategies[] = {
    {"egreedy", "the original's: around the champion, or anywhere with a chance of 1/4",
     false, egreedy_next},
    {"model", "the build with the greatest expected saving for its price", true, tune_model_next},
    {"untimed", "what is the cheapest by its curve alone", true, tune_untimed_next},
    {NULL, NULL, false, NULL},
};

const struct tune_strategy *tune_strategy_find(const char *name, struct err *err)
{
	const struct tune_strategy *s = tune_strategies;
	while (s->name && strcmp(s->name, name) != 0)
		s++;
	if (s->name)
		return s;
	err_set(err, ERR_USAGE, "unknown strategy '%s', expected egreedy, model or untimed", name);
	return NULL;
}
