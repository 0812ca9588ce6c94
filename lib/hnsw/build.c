/* SPDX-License-Identifier: MIT */
/*
 * Building an index: its rows are loaded, nodes inserted one batch after the other, or linked in
 * bulk where that is as good, rungs handed out on the way, and the finished graph repaired.
 */
#include "hnsw/build_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* ---- levels ---- */

/*
 * The level of a row is the number of l >= 1 with hash(seed, row) < 2^64 / m^l: the paper's
 * floor(-ln(U) / ln(m)) without a logarithm, so it is the same on every machine.
 */
static uint32_t level_of(const struct hnsw *h, uint32_t node, const uint64_t *threshold)
{
	uint64_t x = rng_hash(h->head.seed, h->node_row[node]);
	uint32_t l = 0;
	while (l < HNSW_MAX_LEVEL && x < threshold[l])
		l++;
	return l;
}

static void old_levels(const struct hnsw *older, uint8_t *level)
{
	memset(level, 0, older->head.nodes);
	for (uint32_t u = 0; u < older->head.upper; u++)
		level[older->upper_node[u]] =
		    (uint8_t)(older->upper_first[u + 1] - older->upper_first[u]);
}

static int assign_levels(struct build *b, struct err *err)
{
	struct hnsw *h = b->h;
	uint64_t threshold[HNSW_MAX_LEVEL];
	uint32_t nodes = h->head.nodes, upper = 0;
	uint64_t rows = 0;
	threshold[0] = UINT64_MAX / h->head.m;
	for (int l = 1; l < HNSW_MAX_LEVEL; l++)
		threshold[l] = threshold[l - 1] / h->head.m;
	b->level = mem_array(nodes, sizeof *b->level, err);
	if (!b->level)
		return -1;
	if (h->older)
		old_levels(h->older, b->level);
	for (uint32_t i = 0; i < nodes; i++) {
		if (i >= hnsw_first_node(h))
			b->level[i] = (uint8_t)level_of(h, i, threshold);
		upper += b->level[i] > 0;
		rows += b->level[i];
	}
	if (rows > UINT32_MAX)
		return err_set(err, ERR_USAGE, "m=%u gives too many rows on upper layers",
			       h->head.m);
	uint32_t *upper_node = hnsw_block(h, upper, sizeof *upper_node, err);
	uint32_t *first = hnsw_block(h, (size_t)upper + 1, sizeof *first, err);
	if (!upper_node || !first)
		return -1;
	uint32_t u = 0, row = 0;
	for (uint32_t i = 0; i < nodes; i++)
		if (b->level[i]) {
			upper_node[u] = i;
			first[u++] = row;
			row += b->level[i];
		}
	first[u] = row;
	h->upper_node = upper_node;
	h->upper_first = first;
	h->head.upper_rows = row;
	h->head.upper = h->older ? h->older->head.upper : 0;
	return 0;
}

/* ---- links ---- */

/* Insert nodes up to number ${end}. */
static int insert_all(struct build *b, uint32_t end, const struct hnsw_build_opts *opts,
		      struct err *err)
{
	uint32_t nodes = b->h->head.nodes, first = hnsw_first_node(b->h);
	while (b->done < end) {
		hnsw_next_batch(b);
		if (hnsw_pass_rungs(b, opts, err) != 0)
			return -1;
		hnsw_insert_batch(b);
		if (!b->bulk && opts->progress &&
		    opts->progress(opts->ctx, b->done - first, nodes - first))
			return err_set(err, ERR_TEMP, "build was interrupted");
	}
	return 0;
}

/* What the insertion works with. */
static int prepare(struct build *b, const struct hnsw_build_opts *opts, struct err *err)
{
	struct hnsw *h = b->h;
	const struct hnsw_head *head = &h->head;
	size_t most = hnsw_batch_size(head->nodes), requests = most * head->m0;
	size_t threads = (size_t)par_threads(b->par);
	if (assign_levels(b, err) != 0 ||
	    hnsw_layer_alloc(h, &b->base, head->nodes, false, err) != 0 ||
	    hnsw_layer_alloc(h, &b->upper, head->upper_rows, true, err) != 0)
		return -1;
	h->links0 = b->base.links;
	h->upper_links = b->upper.links;
	b->upper_of = mem_array(most, sizeof *b->upper_of, err);
	b->request = mem_array(requests, sizeof *b->request, err);
	b->other = mem_array(requests, sizeof *b->other, err);
	b->group = mem_array(requests + 1, sizeof *b->group, err);
	b->scratch = mem_zeroed(threads, sizeof *b->scratch, err);
	b->rung_nodes = mem_array(opts->n_rungs, sizeof *b->rung_nodes, err);
	if (!b->upper_of || !b->request || !b->other || !b->group || !b->scratch || !b->rung_nodes)
		return -1;
	/* The pool also holds the candidates of a merge: a full row and a whole batch. */
	size_t merged = head->m0 + most;
	size_t keys = head->ef_construction > merged ? head->ef_construction : merged;
	for (size_t t = 0; t < threads; t++)
		if (hnsw_scratch_init(&b->scratch[t], h, opts->kernels, err) != 0 ||
		    hnsw_scratch_reserve(&b->scratch[t], keys, err) != 0)
			return -1;
	return hnsw_count_rungs(h, opts, b->rung_nodes, err);
}

/* Insert all nodes, the later ones in bulk where that is as good. */
static int insert_or_bulk(struct build *b, const struct hnsw_build_opts *opts, struct err *err)
{
	uint32_t nodes = b->h->head.nodes, some = hnsw_bulk_first(b->h, opts);
	if (insert_all(b, some, opts, err) != 0)
		return -1;
	if (b->done < nodes && hnsw_bulk(b, opts, err) != 0)
		return -1;
	/* All the rest; or what is left of it, the layers above. */
	return insert_all(b, nodes, opts, err);
}

int hnsw_link_all(struct hnsw *h, const struct hnsw_build_opts *opts, struct err *err)
{
	struct build b = {.h = h, .par = opts->par};
	int ret = prepare(&b, opts, err);
	if (ret == 0 && h->older)
		hnsw_take_links(&b);
	if (ret == 0)
		ret = insert_or_bulk(&b, opts, err);
	if (ret == 0)
		ret = hnsw_repair(h, b.base.links, true, &b.scratch[0], err);
	if (ret == 0)
		ret = hnsw_choose_starts(h, b.scratch, b.par, err);
	if (ret == 0)
		h->head.graph_digest = hnsw_graph_digest(h);
	for (int t = 0; b.scratch && t < par_threads(b.par); t++)
		hnsw_scratch_release(&b.scratch[t]);
	free(b.scratch);
	free(b.level);
	free(b.upper_of);
	free(b.request);
	free(b.other);
	free(b.group);
	free(b.rung_nodes);
	hnsw_layer_release(&b.base);
	hnsw_layer_release(&b.upper);
	return ret;
}

/* ---- the whole ---- */

static int check_params(const struct vec_set *set, const struct hnsw_params *p, struct err *err)
{
	if (set->rows == 0)
		return err_set(err, ERR_DATA, "there are no vectors to build from");
	if (p->m < HNSW_MIN_M || p->m > HNSW_MAX_M)
		return err_set(err, ERR_USAGE, "m=%u is out of range %d..%d", p->m, HNSW_MIN_M,
			       HNSW_MAX_M);
	if (p->ef_construction < 1 || p->ef_construction > HNSW_MAX_EF)
		return err_set(err, ERR_USAGE, "ef_construction=%u is out of range 1..%d",
			       p->ef_construction, HNSW_MAX_EF);
	if (p->ef_search < 1 || p->ef_search > HNSW_MAX_EF)
		return err_set(err, ERR_USAGE, "ef_search=%u is out of range 1..%d", p->ef_search,
			       HNSW_MAX_EF);
	return 0;
}

struct hnsw *hnsw_build(const struct vec_set *set, const struct hnsw_params *params,
			const struct hnsw_build_opts *opts, struct err *err)
{
	if (check_params(set, params, err) != 0 || hnsw_check_rungs(opts, set->rows, err) != 0)
		return NULL;
	struct hnsw *h = mem_zeroed(1, sizeof *h, err);
	if (!h)
		return NULL;
	h->head = (struct hnsw_head){
	    .metric = params->metric,
	    .dim = set->dim,
	    .stride = (uint32_t)num_round_up(set->dim, HNSW_ROW_PAD),
	    .m = params->m,
	    .m0 = 2 * params->m,
	    .stride0 = (uint32_t)num_round_up(2 * params->m, HNSW_ROW_PAD),
	    .stride_upper = (uint32_t)num_round_up(params->m, HNSW_ROW_PAD),
	    .ef_construction = params->ef_construction,
	    .ef_search = params->ef_search,
	    .rows = set->rows,
	    .seed = params->seed,
	    .flags = params->keep_pruned ? HNSW_KEEP_PRUNED : 0,
	};
	h->set = set;
	if (hnsw_load(h, params->storage, opts, err) != 0 || hnsw_link_all(h, opts, err) != 0 ||
	    hnsw_keep_ids(h, set, err) != 0) {
		hnsw_free(h);
		return NULL;
	}
	return h;
}
