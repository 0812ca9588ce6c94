/* SPDX-License-Identifier: MIT */
#include "eval/make.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "eval/idmap.h"

static struct span id_of(const void *ctx, uint64_t row, char *tmp)
{
	return vec_set_id(ctx, row, tmp);
}

/* Copy the ids of the rows found into the queries. */
static int keep_answers(struct evalset *e, const struct vec_set *base, const uint32_t *query,
			uint64_t n, const uint32_t *rows, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	for (uint64_t i = 0; i < n; i++) {
		struct evalset_query *q = &e->query[query[i]];
		evalset_clear_truth(q);
		q->truth = mem_array(e->k, sizeof *q->truth, err);
		if (!q->truth)
			return -1;
		for (uint32_t t = 0; t < e->k && rows[i * e->k + t] != UINT32_MAX; t++) {
			q->truth[t] = span_dup(vec_set_id(base, rows[i * e->k + t], tmp));
			if (!q->truth[t])
				return err_nomem(err);
			q->n_truth++;
		}
	}
	return 0;
}

int evalset_make_truth(struct evalset *e, const struct make_truth *how, struct err *err)
{
	struct id_source source = {how->base->rows, id_of, how->base};
	struct eval_rows ids = {0};
	struct digest digest;
	uint64_t n = 0;
	int ret = -1;
	if (e->dim && e->dim != how->base->dim)
		return err_set(err, ERR_DATA, "the queries have dimension %u, the vectors have %u",
			       e->dim, how->base->dim);
	size_t dim = how->base->dim ? how->base->dim : 1;
	uint32_t *query = mem_array(e->n, sizeof *query, err),
		 *exclude = mem_array(e->n, sizeof *exclude, err);
	uint32_t *rows = mem_array(e->n, e->k * sizeof *rows, err);
	float *vectors = mem_array(e->n, dim * sizeof *vectors, err);
	if (!query || !exclude || !rows || !vectors || eval_rows_find(&ids, e, &source, err) != 0)
		goto out;
	/* Queries without a vector are left out. */
	for (uint32_t i = 0; i < e->n; i++) {
		if (!e->query[i].has_vector)
			continue;
		memcpy(vectors + n * dim, e->vectors + i * dim, dim * sizeof *vectors);
		exclude[n] = ids.exclude[i];
		query[n++] = i;
	}
	struct truth_job job = {.base = how->base,
				.metric = how->metric,
				.queries = vectors,
				.n = n,
				.k = e->k,
				.exclude = exclude,
				.par = how->par,
				.kernels = how->kernels,
				.progress = how->progress,
				.ctx = how->ctx};
	if (vec_set_digest(how->base, how->par, &digest, err) != 0 ||
	    truth_compute(&job, rows, err) != 0 ||
	    keep_answers(e, how->base, query, n, rows, err) != 0)
		goto out;
	digest_text(digest, e->vectors_digest);
	e->metric = how->metric;
	e->has_metric = true;
	e->truth_built = n > 0;
	ret = 0;
out:
	free(query);
	free(exclude);
	free(rows);
	free(vectors);
	eval_rows_release(&ids);
	return ret;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

uint32_t *evalset_sample(uint64_t seed, uint32_t rows, uint32_t count, struct err *err)
{
	uint32_t *all = mem_array(rows, sizeof *all, err);
	if (!all)
		return NULL;
	rng_permutation(rng_mix(seed) + 1, all, rows);
	qsort(all, count, sizeof *all, by_number);
	return all;
}

int evalset_query_from_row(struct evalset *e, uint64_t i, const struct vec_set *set, uint64_t row,
			   struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	if (vec_set_row(set, row, e->vectors + i * e->dim, err) != 0)
		return -1;
	e->query[i].id = span_dup(vec_set_id(set, row, tmp));
	e->query[i].has_vector = true;
	return e->query[i].id ? 0 : err_nomem(err);
}
