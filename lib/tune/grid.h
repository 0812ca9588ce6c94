/* SPDX-License-Identifier: MIT */
#ifndef TUNE_GRID_H
#define TUNE_GRID_H

#include "record/config.h"

/* The grid of the original. */
#define TUNE_GRID_DEFAULT "20/30,40/30,80/30,80/60,160/30"

/*
 * Read a list "ef_construction/ef_search[/m[/seed]],..."; m, seed and storage that an item does not
 * name are those of ${like}.  What one build serves stands together: ordered by m, ef_construction,
 * seed, ef_search; each config once.  free() ${out}.  ERR_USAGE: naming the item, or the bound that
 * it is out of.
 */
int tune_grid_parse(struct span list, const struct config *like, struct config **out, size_t *n,
		    struct err *err) MUST_CHECK;

#endif
