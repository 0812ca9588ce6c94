/* SPDX-License-Identifier: MIT */
/*
 * Going on with an index: its nodes stay what they are, further ones are inserted as in a build.
 * Rows are held as the old index holds its own, whose floats are not copied either.
 */
#include "hnsw/build_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- links ---- */

static void measure_row(const struct build *b, struct hnsw_scratch *s, const struct hnsw_point *p,
			const struct layer *l, size_t row, bool upper)
{
	uint32_t nodes[2 * HNSW_MAX_M], n = 0;
	const uint32_t *links = l->links + row * l->stride;
	for (; n < l->room && links[n] != HNSW_NONE; n++)
		nodes[n] = upper ? b->h->upper_node[links[n]] : links[n];
	hnsw_distances(b->h, s, p, nodes, n, l->dist + row * l->stride);
}

static void measure_nodes(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct build *b = ctx;
	struct hnsw_scratch *s = &b->scratch[thread];
	struct hnsw_point p;
	for (uint64_t i = begin; i < end; i++) {
		hnsw_point_node(b->h, s, (uint32_t)i, 0, &p);
		measure_row(b, s, &p, &b->base, i, false);
	}
}

static void measure_uppers(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct build *b = ctx;
	const struct hnsw *h = b->h;
	struct hnsw_scratch *s = &b->scratch[thread];
	struct hnsw_point p;
	for (uint64_t u = begin; u < end; u++) {
		hnsw_point_node(h, s, h->upper_node[u], 0, &p);
		for (uint32_t row = h->upper_first[u]; row < h->upper_first[u + 1]; row++)
			measure_row(b, s, &p, &b->upper, row, true);
	}
}

void hnsw_take_links(struct build *b)
{
	const struct hnsw *older = b->h->older;
	const struct hnsw_head *d = &older->head;
	memcpy(b->base.links, older->links0, (size_t)d->nodes * d->stride0 * sizeof *older->links0);
	memcpy(b->upper.links, older->upper_links,
	       (size_t)d->upper_rows * d->stride_upper * sizeof *older->upper_links);
	par_run(b->par, d->nodes, 256, measure_nodes, b);
	par_run(b->par, d->upper, 256, measure_uppers, b);
	b->done = d->nodes;
}

/* ---- ids ---- */

/* The ids of an index, or its row numbers, and then those of a set. */
static int join_ids(struct vec_set *joined, const struct hnsw *h, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	struct buf text = BUF_INIT;
	uint32_t first = hnsw_first_row(h);
	joined->id_end = mem_array(joined->rows, sizeof *joined->id_end, err);
	if (!joined->id_end)
		return -1;
	for (uint32_t i = 0; i < joined->rows; i++) {
		if (i < first)
			buf_addspan(&text, hnsw_id(h->older, i, tmp));
		else if (h->set->id_end)
			buf_addspan(&text, vec_set_id(h->set, i - first, tmp));
		else
			buf_addf(&text, "%u", i);
		joined->id_end[i] = text.len;
	}
	/* An empty text is not NULL. */
	buf_addc(&text, 0);
	joined->id_text = text.data;
	return buf_ok(&text, err);
}

static int keep_ids(struct hnsw *h, struct err *err)
{
	const struct vec_set *set = h->set;
	struct vec_set joined = {.dim = h->head.dim, .rows = h->head.rows};
	static char old[] = "old";
	int ret = -1;
	if (!h->older->id_end && !(set->id_end && set->rows))
		return 0;
	/* The parts are for messages only. */
	joined.part = mem_array(set->parts + 1, sizeof *joined.part, err);
	if (!joined.part)
		return -1;
	joined.part[0] = (struct vec_part){.rows = h->older->head.rows,
					   .name = h->older->name ? h->older->name : old,
					   .borrowed = true};
	for (joined.parts = 1; joined.parts <= set->parts; joined.parts++) {
		struct vec_part *p = &joined.part[joined.parts];
		*p = set->part[joined.parts - 1];
		p->first += h->older->head.rows;
		p->borrowed = true;
	}
	if (join_ids(&joined, h, err) == 0 && vec_set_check_ids(&joined, err) == 0)
		ret = hnsw_keep_ids(h, &joined, err);
	vec_set_release(&joined);
	return ret;
}

/* ---- the whole ---- */

static int check_fit(const struct hnsw *old, const struct vec_set *set,
		     const struct hnsw_build_opts *opts, struct err *err)
{
	if (opts->n_rungs)
		return err_set(err, ERR_USAGE, "rungs are for an index that is built anew");
	if (set->rows && set->dim != old->head.dim)
		return err_set(err, ERR_DATA, "'%s' has dimension %u, expected %u as in index '%s'",
			       set->part[0].name, set->dim, old->head.dim,
			       old->name ? old->name : "old");
	if (set->rows > VEC_MAX_ROWS - old->head.rows)
		return err_set(err, ERR_DATA, "more than %u rows", VEC_MAX_ROWS);
	return hnsw_check(old, err);
}

struct hnsw *hnsw_append(const struct hnsw *old, const struct vec_set *set, uint32_t ef_search,
			 const struct hnsw_build_opts *opts, struct err *err)
{
	if (check_fit(old, set, opts, err) != 0)
		return NULL;
	struct hnsw *h = mem_zeroed(1, sizeof *h, err);
	if (!h)
		return NULL;
	h->head = old->head;
	h->head.ef_search = ef_search;
	h->head.strays = 0;
	h->head.rows += set->rows;
	h->older = old;
	h->set = set;
	if (hnsw_load(h, old->head.storage, opts, err) != 0 || keep_ids(h, err) != 0 || hnsw_link_all(h, opts, err) != 0) {
		hnsw_free(h);
		return NULL;
	}
	return h;
}
