/* SPDX-License-Identifier: MIT */
/*
 * Reading the vectors that an index is built from.  They are not copied: what is made of them,
 * codes or floats, is made while the rows go by in the order of their files, and a row is read
 * again where it is needed once more.  If the index continues an older one, the rows of that come
 * before those of the set.
 */
#include "hnsw/codec_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* ---- the first time they go by ---- */

struct look {
	struct hnsw *h;
	struct hnsw_survey *survey;
	uint64_t *hash; /* of the older index's nodes, then of the rows of the set */
	struct look_worker {
		struct digest sum;
		float *row;
		uint64_t bad; /* row that err is about, if it failed */
		bool failed;
		struct err err;
	} * worker; /* one a thread */
};

/* ERR_DATA if the row of the set cannot be in an index. */
static int look_at_row(const struct look *j, struct look_worker *w, uint32_t row)
{
	const struct vec_set *set = j->h->set;
	const struct hnsw_codec *codec = j->h->codec;
	uint32_t number = hnsw_first_row(j->h) + row;
	float *v = w->row, most = 0;
	if (vec_set_row(set, row, v, &w->err) != 0)
		return -1;
	for (uint32_t k = 0; k < set->dim; k++)
		v[k] += 0.0f;
	digest_add(&w->sum, vec_row_digest(v, set->dim, number));
	hnsw_bring_into_form(j->h, v);
	for (uint32_t k = 0; k < set->dim; k++)
		most = fabsf(v[k]) > most ? fabsf(v[k]) : most;
	if (codec->admit && codec->admit(j->h, row, most, &w->err) != 0)
		return -1;
	/* No sum of squares of a difference may leave the floats. */
	if ((double)most * most * set->dim > 8e37)
		return vec_set_fail(
		    set, row, &w->err,
		    "has a component of size %g: distances from it would be infinite",
		    (double)most);
	j->hash[hnsw_first_node(j->h) + row] = digest_xxh64(v, set->dim * sizeof *v, 0);
	return 0;
}

static void look_at_blocks(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct look *j = ctx;
	struct look_worker *w = &j->worker[thread];
	uint64_t rows = j->h->set->rows;
	for (uint64_t b = begin; b < end; b++)
		for (uint64_t i = rows * b / HNSW_SURVEY_BLOCKS;
		     i < rows * (b + 1) / HNSW_SURVEY_BLOCKS && !w->failed; i++) {
			w->failed = look_at_row(j, w, (uint32_t)i) != 0;
			w->bad = i;
			if (!w->failed)
				hnsw_survey_row(j->survey, b, thread, w->row);
		}
}

/* Look at all rows; what is wrong is told of the first one. */
static int look_at_all(struct look *j, struct par *par, struct err *err)
{
	const struct look_worker *first = NULL;
	const struct hnsw *older = j->h->older;
	struct hnsw_head *d = &j->h->head;
	par_run(par, HNSW_SURVEY_BLOCKS, 1, look_at_blocks, j);
	d->vectors_digest = vec_shape_digest(d->dim, d->rows);
	if (older) {
		digest_add(&d->vectors_digest, older->head.vectors_digest);
		digest_take(&d->vectors_digest, vec_shape_digest(d->dim, older->head.rows));
	}
	for (int t = 0; t < par_threads(par); t++) {
		const struct look_worker *w = &j->worker[t];
		digest_add(&d->vectors_digest, w->sum);
		if (w->failed && (!first || w->bad < first->bad))
			first = w;
	}
	if (first)
		*err = first->err;
	return first ? -1 : 0;
}

/* ---- nodes ---- */

static void hash_older(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct look *j = ctx;
	const struct hnsw *older = j->h->older;
	for (uint64_t i = begin; i < end; i++)
		j->hash[i] = digest_xxh64(hnsw_vector(older, (uint32_t)i, j->worker[thread].row),
					  older->head.dim * sizeof(float), 0);
}

/* What nodes are made of, and what they are found by. */
struct numbering {
	struct hnsw *h;
	const uint32_t *order; /* of the rows of the set */
	const uint64_t *hash;  /* of the older index's nodes, then of the rows of the set */
	uint32_t *table;       /* nodes by their hash */
	size_t mask;
	uint32_t *node_row, (*dup)[2];
	float *pair;
};

static uint64_t hash_of_node(const struct numbering *n, uint32_t node)
{
	uint32_t first = hnsw_first_node(n->h);
	return n->hash[node < first ? node : first + n->node_row[node] - hnsw_first_row(n->h)];
}

static bool has_vector_of(const struct numbering *n, uint32_t node, uint32_t row)
{
	size_t stride = n->h->head.stride;
	hnsw_read_row(n->h, row, n->pair);
	return memcmp(n->pair, hnsw_vector(n->h, node, n->pair + stride),
		      stride * sizeof *n->pair) == 0;
}

/* The place in the table of the node that has the vector of a row; HNSW_NONE is there if none
 * has. */
static size_t find_place(const struct numbering *n, uint32_t row, uint64_t hash)
{
	size_t at = hash & n->mask;
	while (n->table[at] != HNSW_NONE &&
	       !(hash_of_node(n, n->table[at]) == hash && has_vector_of(n, n->table[at], row)))
		at = (at + 1) & n->mask;
	return at;
}

static void take_older_nodes(const struct numbering *n)
{
	const struct hnsw *older = n->h->older;
	memcpy(n->node_row, older->node_row, older->head.nodes * sizeof *n->node_row);
	for (uint32_t i = 0; i < older->head.dups; i++) {
		n->dup[i][0] = older->dup_node[i];
		n->dup[i][1] = older->dup_row[i];
	}
	for (uint32_t node = 0; node < older->head.nodes; node++) {
		size_t at = n->hash[node] & n->mask;
		while (n->table[at] != HNSW_NONE)
			at = (at + 1) & n->mask;
		n->table[at] = node;
	}
}

/*
 * Rows whose vectors are equal become one node: identical points would only link to each
 * other and wall each other off.  Fills node_row, ${node_of} (a row of the set; HNSW_NONE if it
 * is not the first of its node) and the pairs of a node and a further row of it.
 */
static int number_nodes(struct numbering *n, uint32_t *node_of, struct err *err)
{
	struct hnsw *h = n->h;
	size_t slots = 16;
	uint32_t nodes = hnsw_first_node(h), dups = hnsw_first_row(h) - nodes;
	while (slots < 2 * (size_t)h->head.rows)
		slots *= 2;
	n->mask = slots - 1;
	n->table = mem_array(slots, sizeof *n->table, err);
	n->pair = mem_array(2, h->head.stride * sizeof *n->pair, err);
	if (!n->table || !n->pair)
		return -1;
	memset(n->table, 0xff, slots * sizeof *n->table);
	if (h->older)
		take_older_nodes(n);
	for (uint64_t i = 0; i < h->set->rows; i++) {
		uint32_t row = hnsw_first_row(h) + n->order[i];
		size_t at = find_place(n, row, n->hash[hnsw_first_node(h) + n->order[i]]);
		node_of[n->order[i]] = HNSW_NONE;
		if (n->table[at] != HNSW_NONE) {
			n->dup[dups][0] = n->table[at];
			n->dup[dups++][1] = row;
			continue;
		}
		n->table[at] = node_of[n->order[i]] = nodes;
		n->node_row[nodes++] = row;
	}
	h->head.nodes = nodes;
	h->head.dups = dups;
	return 0;
}

static int by_node_and_row(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return x[1] < y[1] ? -1 : x[1] > y[1];
}

/* The list of duplicates as two arrays in order of (node, row). */
static int keep_duplicates(struct hnsw *h, uint32_t (*dup)[2], struct err *err)
{
	uint32_t n = h->head.dups, *node = hnsw_block(h, n, 2 * sizeof *node, err);
	if (!node)
		return -1;
	if (n)
		qsort(dup, n, sizeof *dup, by_node_and_row);
	for (uint32_t i = 0; i < n; i++) {
		node[i] = dup[i][0];
		node[n + i] = dup[i][1];
	}
	h->dup_node = node;
	h->dup_row = node + n;
	return 0;
}

/*
 * Read all rows of the set: check and survey them, and number the nodes.  Sets vectors_digest,
 * nodes, node_row and the duplicates, and ${node_of}: the node that a row of the set stands for,
 * or HNSW_NONE if an equal one does.
 */
static int load_rows(struct hnsw *h, struct hnsw_survey *survey, uint32_t *node_of, struct par *par,
		     struct err *err)
{
	uint32_t rows = (uint32_t)h->head.rows, *order = NULL;
	size_t threads = (size_t)par_threads(par), stride = h->head.stride;
	struct look j = {.h = h, .survey = survey};
	struct numbering n = {.h = h};
	int ret = -1;
	j.hash = mem_array(hnsw_first_node(h) + h->set->rows, sizeof *j.hash, err);
	j.worker = mem_zeroed(threads, sizeof *j.worker, err);
	float *row = mem_array(threads, stride * sizeof *row, err);
	if (!j.hash || !j.worker || !row)
		goto out;
	for (size_t t = 0; t < threads; t++)
		j.worker[t].row = row + t * stride;
	if (look_at_all(&j, par, err) != 0)
		goto out;
	par_run(par, hnsw_first_node(h), 256, hash_older, &j);
	order = mem_array(h->set->rows, sizeof *order, err);
	n.dup = mem_array(rows, sizeof *n.dup, err);
	n.node_row = hnsw_block(h, rows, sizeof *n.node_row, err);
	if (!order || !n.dup || !n.node_row)
		goto out;
	rng_permutation(h->head.seed, order, (uint32_t)h->set->rows);
	n.order = order;
	n.hash = j.hash;
	h->node_row = n.node_row;
	if (number_nodes(&n, node_of, err) != 0 || keep_duplicates(h, n.dup, err) != 0)
		goto out;
	ret = 0;
out:
	free(order);
	free(n.table);
	free(n.pair);
	free(n.dup);
	free(j.hash);
	free(j.worker);
	free(row);
	return ret;
}

/* ---- what the index holds of them ---- */

/* What is made with a storage that will not do. */
static void drop_codes(struct hnsw *h)
{
	hnsw_drop_block(h, h->codes);
	hnsw_drop_block(h, h->norms);
	hnsw_drop_block(h, h->centre);
	h->codes = NULL;
	h->norms = NULL;
	h->centre = NULL;
	h->head.flags &= ~HNSW_ROW_UNITS;
	h->head.code_stride = 0;
	h->head.unit = h->head.error = h->head.reach = 0;
}

/* Choose what the storage depends on, and hold the rows so. */
static int hold(struct hnsw *h, struct hnsw_survey *survey, const uint32_t *node_of,
		const struct hnsw_build_opts *opts, struct err *err)
{
	if (h->codec->choose && h->codec->choose(h, survey, opts->par, err) != 0)
		return -1;
	return h->codec->encode(h, survey, node_of, opts, err);
}

/* Hold the rows in the first storage that will do. */
static int hold_auto(struct hnsw *h, struct hnsw_survey *survey, const uint32_t *node_of,
		     const struct hnsw_build_opts *opts, struct err *err)
{
	static const enum hnsw_storage order[] = {HNSW_U8, HNSW_SQ8, HNSW_F32};
	struct err why;
	for (size_t i = 0;; i++) {
		bool good = true;
		hnsw_use_storage(h, order[i]);
		int ret = hold(h, survey, node_of, opts, &why);
		if (ret == 0 && h->codec->lossy)
			ret = hnsw_try_codes(h, opts->kernels, opts->par, &good, &why);
		if (ret == 0 && good)
			return 0;
		if (ret != 0 && why.code != ERR_USAGE) {
			*err = why;
			return -1;
		}
		drop_codes(h);
	}
}

/* Hold the rows as the older index does. */
static int hold_more(struct hnsw *h, struct hnsw_survey *survey, const uint32_t *node_of,
		     const struct hnsw_build_opts *opts, struct err *err)
{
	if (h->codec->encode(h, survey, node_of, opts, err) != 0)
		return -1;
	return h->codec->extended ? h->codec->extended(h, opts, err) : 0;
}

int hnsw_load(struct hnsw *h, enum hnsw_storage want, const struct hnsw_build_opts *opts,
	      struct err *err)
{
	struct hnsw_survey survey = {0};
	uint32_t *node_of = mem_array(h->set->rows, sizeof *node_of, err);
	int ret = -1;
	/* Until auto has chosen, rows are read as they are. */
	hnsw_use_storage(h, want == HNSW_AUTO ? HNSW_F32 : want);
	bool choose = !h->older && (want == HNSW_AUTO || h->codec->choose);
	if (node_of && hnsw_survey_init(&survey, h, choose, par_threads(opts->par), err) == 0 &&
	    load_rows(h, &survey, node_of, opts->par, err) == 0)
		ret = (h->older		   ? hold_more
		       : want == HNSW_AUTO ? hold_auto
					   : hold)(h, &survey, node_of, opts, err);
	vec_set_forget(h->set);
	hnsw_survey_release(&survey);
	free(node_of);
	return ret;
}
