/* SPDX-License-Identifier: MIT */
/* Grids: lists of configs that somebody wants to be tried, whatever the Trials say. */
#include "tune/grid.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define PARTS 4

static int bad_item(struct span item, struct err *err)
{
	return err_set(err, ERR_USAGE,
		       "bad pair '%.*s' in --grid: expected ef_construction/ef_search, and perhaps "
		       "/m/seed",
		       (int)(item.n < 60 ? item.n : 60), item.p);
}

static int parse_item(struct span item, const struct config *like, struct config *out,
		      struct err *err)
{
	uint64_t v[PARTS] = {0, 0, like->m, like->seed};
	size_t n = 0, at = 0;
	for (; at <= item.n && n < PARTS; n++) {
		const char *from = item.p + at, *slash = memchr(from, '/', item.n - at);
		size_t len = slash ? (size_t)(slash - from) : item.n - at;
		if (num_u64((struct span){from, len}, 0, n == 3 ? CONFIG_SEED_MAX : UINT32_MAX,
			    &v[n]) != 0)
			return bad_item(item, err);
		at += len + 1;
	}
	if (n < 2 || at <= item.n)
		return bad_item(item, err);
	*out = (struct config){.ef_construction = (uint32_t)v[0],
			       .ef_search = (uint32_t)v[1],
			       .m = (uint32_t)v[2],
			       .seed = v[3],
			       .storage = like->storage};
	if (config_check_bounds(out, err) != 0) {
		err->code = ERR_USAGE;
		return -1;
	}
	return 0;
}

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_build(const void *a, const void *b)
{
	const struct config *x = a, *y = b;
	int c = order(x->m, y->m);
	if (c == 0)
		c = order(x->ef_construction, y->ef_construction);
	if (c == 0)
		c = order(x->seed, y->seed);
	return c ? c : order(x->ef_search, y->ef_search);
}

int tune_grid_parse(struct span list, const struct config *like, struct config **out, size_t *n,
		    struct err *err)
{
	size_t items = 1, kept = 0;
	for (size_t i = 0; i < list.n; i++)
		items += list.p[i] == ',';
	struct config *c = mem_array(items, sizeof *c, err);
	if (!c)
		return -1;
	for (size_t i = 0, at = 0; i < items; i++) {
		const char *from = list.p + at, *comma = memchr(from, ',', list.n - at);
		size_t len = comma ? (size_t)(comma - from) : list.n - at;
		if (parse_item((struct span){from, len}, like, &c[i], err) != 0) {
			free(c);
			return -1;
		}
		at += len + 1;
	}
	qsort(c, items, sizeof *c, by_build);
	for (size_t i = 0; i < items; i++)
		if (kept == 0 || !config_same(&c[kept - 1], &c[i]))
			c[kept++] = c[i];
	*out = c;
	*n = kept;
	return 0;
}
