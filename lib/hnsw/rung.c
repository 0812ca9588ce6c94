/* SPDX-License-Identifier: MIT */
/*
 * Rungs: indexes of the first rows of the permutation, handed out while that of all rows is built.
 * The graph after r insertions does not depend on what follows, so it is what a rung has to be;
 * it is copied, together with what insertion works with, and the copy inserts what the rung
 * has of the batch that comes next.  The build itself goes on as if there were none.
 */
#include "hnsw/build_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

int hnsw_check_rungs(const struct hnsw_build_opts *opts, uint64_t rows, struct err *err)
{
	uint32_t before = 0;
	for (size_t i = 0; i < opts->n_rungs; i++) {
		uint32_t rung = opts->rungs[i];
		if (rung <= before)
			return err_set(err, ERR_USAGE, "rungs must increase: %u follows %u", rung,
				       before);
		if (rung >= rows)
			return err_set(err, ERR_USAGE,
				       "a rung of %u rows is no beginning of %llu rows", rung,
				       (unsigned long long)rows);
		before = rung;
	}
	return 0;
}

int hnsw_count_rungs(const struct hnsw *h, const struct hnsw_build_opts *opts, uint32_t *nodes,
		     struct err *err)
{
	if (!opts->n_rungs)
		return 0;
	uint32_t *order = mem_array(h->head.rows, sizeof *order, err), n = 0;
	if (!order)
		return -1;
	rng_permutation(h->head.seed, order, (uint32_t)h->head.rows);
	for (uint32_t i = 0, rung = 0; rung < opts->n_rungs; i++) {
		n += n < h->head.nodes && h->node_row[n] == order[i];
		if (i + 1 == opts->rungs[rung])
			nodes[rung++] = n;
	}
	free(order);
	return 0;
}

/* Nodes and duplicates by the numbers that their rows have in the rung. */
static int take_rows(struct hnsw *h, const struct hnsw *all, const uint32_t *number,
		     struct err *err)
{
	uint32_t nodes = h->head.nodes, dups = (uint32_t)h->head.rows - nodes, n = 0;
	uint32_t *node_row = hnsw_block(h, nodes, sizeof *node_row, err);
	uint32_t *dup = hnsw_block(h, dups, 2 * sizeof *dup, err);
	if (!node_row || !dup)
		return -1;
	for (uint32_t i = 0; i < nodes; i++)
		node_row[i] = number[all->node_row[i]];
	for (uint32_t i = 0; i < all->head.dups; i++)
		if (number[all->dup_row[i]] != UINT32_MAX) {
			dup[n] = all->dup_node[i];
			dup[dups + n++] = number[all->dup_row[i]];
		}
	h->node_row = node_row;
	h->dup_node = dup;
	h->dup_row = dup + dups;
	h->head.dups = dups;
	return 0;
}

/* A copy of the first ${have} rows of links, with room for ${rows}. */
static int copy_layer(struct hnsw *h, struct layer *l, const struct layer *from, bool upper,
		      size_t have, size_t rows, struct err *err)
{
	*l = (struct layer){0};
	if (hnsw_layer_alloc(h, l, rows, upper, err) != 0)
		return -1;
	memcpy(l->links, from->links, have * l->stride * sizeof *l->links);
	memcpy(l->dist, from->dist, have * l->stride * sizeof *l->dist);
	memcpy(l->diverse, from->diverse, have * sizeof *l->diverse);
	return 0;
}

/* Give ${h} the graph of its nodes: what is there by now, and the rest of them inserted. */
static int take_graph(struct hnsw *h, const struct build *all, struct err *err)
{
	struct build b = *all;
	uint32_t nodes = h->head.nodes, upper = h->head.upper;
	b.h = h;
	b.batch_end = nodes;
	b.base = b.upper = (struct layer){0};
	for (uint32_t i = b.done; i < nodes; i++)
		upper += b.level[i] > 0;
	h->head.upper_rows = h->upper_first[upper];
	int ret = -1;
	if (copy_layer(h, &b.base, &all->base, false, b.done, nodes, err) == 0 &&
	    copy_layer(h, &b.upper, &all->upper, true, h->upper_first[h->head.upper],
		       h->head.upper_rows, err) == 0) {
		h->links0 = b.base.links;
		h->upper_links = b.upper.links;
		hnsw_insert_batch(&b);
		ret = hnsw_repair(h, b.base.links, true, &b.scratch[0], err);
	}
	if (ret == 0)
		ret = hnsw_choose_starts(h, b.scratch, b.par, err);
	hnsw_layer_release(&b.base);
	hnsw_layer_release(&b.upper);
	return ret;
}

static int hand_out(const struct build *all, uint32_t rows, uint32_t nodes,
		    const struct hnsw_build_opts *opts, struct err *err)
{
	struct vec_set set = VEC_SET_INIT;
	struct hnsw *h = mem_zeroed(1, sizeof *h, err);
	uint32_t *number = mem_array(all->h->head.rows, sizeof *number, err);
	int ret = -1;
	if (!h || !number ||
	    vec_set_sample(all->h->set, all->h->head.seed, rows, number, &set, err) != 0)
		goto out;
	*h = *all->h;
	h->blocks = 0; /* what is not copied stays with the whole index */
	h->set = &set;
	h->head.rows = rows;
	h->head.nodes = nodes;
	if (take_rows(h, all->h, number, err) != 0 || take_graph(h, all, err) != 0 ||
	    hnsw_keep_ids(h, &set, err) != 0 ||
	    vec_set_digest(&set, all->par, &h->head.vectors_digest, err) != 0)
		goto out;
	h->head.graph_digest = hnsw_graph_digest(h);
	ret = opts->rung(opts->ctx, h, err);
out:
	hnsw_free(h);
	vec_set_release(&set);
	free(number);
	return ret;
}

int hnsw_pass_rungs(struct build *b, const struct hnsw_build_opts *opts, struct err *err)
{
	for (; b->rung < opts->n_rungs && b->rung_nodes[b->rung] <= b->batch_end; b->rung++)
		if (hand_out(b, opts->rungs[b->rung], b->rung_nodes[b->rung], opts, err) != 0)
			return -1;
	return 0;
}
