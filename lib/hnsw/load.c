/* SPDX-License-Identifier: MIT */
/*
 * Reading the vectors that an index is built from.  They are not copied: what is made of them,
 * codes or floats, is made while the rows go by in the order of their files, and a row is read
 * again where it is needed once more.
 */
#include "hnsw/graph_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

void hnsw_read_row(const struct hnsw *h, uint32_t row, float *out)
{
	const struct hnsw_head *d = &h->head;
	vec_set_values(h->set, row, out);
	if (d->metric == VEC_COSINE)
		vec_normalise(out, d->dim);
	for (uint32_t k = 0; k < d->dim; k++)
		out[k] += 0.0f; /* -0 and 0 are equal */
	if (hnsw_half(d))
		half_round(hnsw_half(d), out, d->dim);
	memset(out + d->dim, 0, (d->stride - d->dim) * sizeof *out);
}

/* ---- the first time they go by ---- */

struct look {
	struct hnsw *h;
	struct hnsw_survey *survey;
	uint64_t *hash; /* of every row as the index has it */
	struct look_worker {
		struct digest sum;
		float *row;
		uint64_t bad; /* row that err is about, if it failed */
		bool failed;
		struct err err;
	} * worker; /* one a thread */
};

/* ERR_DATA if the row cannot be in an index. */
static int look_at_row(const struct look *j, struct look_worker *w, uint32_t row)
{
	const struct vec_set *set = j->h->set;
	float *v = w->row, most = 0;
	if (vec_set_row(set, row, v, &w->err) != 0)
		return -1;
	for (uint32_t k = 0; k < set->dim; k++)
		v[k] += 0.0f;
	digest_add(&w->sum, vec_row_digest(v, set->dim, row));
	if (j->h->head.metric == VEC_COSINE || hnsw_half(&j->h->head))
		hnsw_read_row(j->h, row, v);
	for (uint32_t k = 0; k < set->dim; k++)
		most = fabsf(v[k]) > most ? fabsf(v[k]) : most;
	if (j->h->head.storage == HNSW_F16 && most > HALF_F16_MAX)
		return vec_set_fail(set, row, &w->err,
				    "has a component beyond %d, which storage f16 cannot hold: "
				    "say bf16 or f32",
				    HALF_F16_MAX);
	/* No sum of squares of a difference may leave the floats. */
	if ((double)most * most * set->dim > 8e37)
		return vec_set_fail(
		    set, row, &w->err,
		    "has a component of size %g: distances from it would be infinite",
		    (double)most);
	j->hash[row] = digest_xxh64(v, set->dim * sizeof *v, 0);
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
	struct hnsw_head *d = &j->h->head;
	par_run(par, HNSW_SURVEY_BLOCKS, 1, look_at_blocks, j);
	d->vectors_digest = vec_shape_digest(d->dim, d->rows);
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

/*
 * Rows whose vectors are equal become one node: identical points would only link to each
 * other and wall each other off.  Fills node_row, ${node_of} (a row; HNSW_NONE if it is not the
 * first of its node) and ${dup}, pairs of a node and a further row of it, in order of insertion.
 */
static int number_nodes(struct hnsw *h, const uint32_t *order, const uint64_t *hash,
			uint32_t *node_row, uint32_t *node_of, uint32_t (*dup)[2], struct err *err)
{
	size_t slots = 16, stride = h->head.stride;
	uint32_t rows = (uint32_t)h->head.rows, nodes = 0, dups = 0;
	while (slots < 2 * (size_t)rows)
		slots *= 2;
	uint32_t *table = mem_array(slots, sizeof *table, err);
	float *pair = mem_array(2 * stride, sizeof *pair, err);
	if (!table || !pair) {
		free(table);
		free(pair);
		return -1;
	}
	memset(table, 0xff, slots * sizeof *table);
	for (uint32_t i = 0; i < rows; i++) {
		uint32_t row = order[i];
		size_t at = hash[row] & (slots - 1);
		for (; table[at] != HNSW_NONE; at = (at + 1) & (slots - 1)) {
			uint32_t other = node_row[table[at]];
			if (hash[other] != hash[row])
				continue;
			hnsw_read_row(h, row, pair);
			hnsw_read_row(h, other, pair + stride);
			if (memcmp(pair, pair + stride, stride * sizeof *pair) == 0)
				break;
		}
		node_of[row] = HNSW_NONE;
		if (table[at] != HNSW_NONE) {
			dup[dups][0] = table[at];
			dup[dups++][1] = row;
			continue;
		}
		table[at] = node_of[row] = nodes;
		node_row[nodes++] = row;
	}
	free(table);
	free(pair);
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

int hnsw_load_rows(struct hnsw *h, struct hnsw_survey *survey, uint32_t *node_of, struct par *par,
		   struct err *err)
{
	uint32_t rows = (uint32_t)h->head.rows, *order = NULL, (*dup)[2] = NULL;
	size_t threads = (size_t)par_threads(par), stride = h->head.stride;
	struct look j = {.h = h, .survey = survey};
	int ret = -1;
	j.hash = mem_array(rows, sizeof *j.hash, err);
	j.worker = mem_zeroed(threads, sizeof *j.worker, err);
	float *row = mem_array(threads, stride * sizeof *row, err);
	if (!j.hash || !j.worker || !row)
		goto out;
	for (size_t t = 0; t < threads; t++)
		j.worker[t].row = row + t * stride;
	if (look_at_all(&j, par, err) != 0)
		goto out;
	order = mem_array(rows, sizeof *order, err);
	dup = mem_array(rows, sizeof *dup, err);
	uint32_t *node_row = hnsw_block(h, rows, sizeof *node_row, err);
	if (!order || !dup || !node_row)
		goto out;
	rng_permutation(h->head.seed, order, rows);
	if (number_nodes(h, order, j.hash, node_row, node_of, dup, err) != 0 ||
	    keep_duplicates(h, dup, err) != 0)
		goto out;
	h->node_row = node_row;
	ret = 0;
out:
	free(order);
	free(dup);
	free(j.hash);
	free(j.worker);
	free(row);
	return ret;
}

/* ---- floats ---- */

struct copy {
	const struct hnsw *h;
	const uint32_t *node_of;
	char *vectors;
	float *row; /* one a thread */
};

static void copy_rows(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct copy *j = ctx;
	const struct hnsw_head *d = &j->h->head;
	float *row = j->row + (size_t)thread * d->stride;
	for (uint64_t i = begin; i < end; i++) {
		if (j->node_of[i] == HNSW_NONE)
			continue;
		void *to = j->vectors + j->node_of[i] * hnsw_row_bytes(d);
		hnsw_read_row(j->h, (uint32_t)i, hnsw_half(d) ? row : to);
		if (hnsw_half(d))
			half_make(hnsw_half(d), row, to, d->stride);
	}
}

int hnsw_load_vectors(struct hnsw *h, const uint32_t *node_of, struct par *par, struct err *err)
{
	struct copy j = {h, node_of, hnsw_block(h, h->head.nodes, hnsw_row_bytes(&h->head), err),
			 mem_array((size_t)par_threads(par), h->head.stride * sizeof *j.row, err)};
	if (j.vectors && j.row)
		par_run(par, h->head.rows, 256, copy_rows, &j);
	h->vectors = j.vectors;
	int ret = j.vectors && j.row ? 0 : -1;
	free(j.row);
	return ret;
}
