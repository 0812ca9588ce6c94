/* SPDX-License-Identifier: MIT */
#include "eval/make.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "eval/idmap.h"
#include "record/idset.h"

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

/* Digest of the base with its ids, the metric, the queries, and the answers of ${known}. */
static void truth_digest(const struct evalset *e, const struct make_truth *how,
			 const struct digest *vectors, const struct evalset *known, uint32_t k,
			 char out[static DIGEST_TEXT_MAX])
{
	struct digest_seq seq = {0};
	char tmp[VEC_ID_TEXT_MAX];
	uint64_t head[4] = {how->base->rows, how->metric, e->n, k};
	digest_seq_add(&seq, head, sizeof head);
	digest_seq_add(&seq, vectors, sizeof *vectors);
	for (uint64_t i = 0; i < how->base->rows; i++) {
		struct span id = vec_set_id(how->base, i, tmp);
		digest_seq_add(&seq, id.p, id.n);
	}
	for (uint64_t i = 0; i < e->n; i++) {
		const char *exclude = e->query[i].exclude ? e->query[i].exclude : "";
		const struct evalset_query *q = &known->query[i];
		digest_seq_add(&seq, &e->query[i].has_vector, sizeof e->query[i].has_vector);
		if (e->query[i].has_vector)
			digest_seq_add(&seq, e->vectors + i * e->dim, e->dim * sizeof(float));
		digest_seq_add(&seq, exclude, strlen(exclude));
		for (uint32_t t = 0; t < q->n_truth; t++)
			digest_seq_add(&seq, q->truth[t], strlen(q->truth[t]));
		digest_seq_add(&seq, &q->n_truth, sizeof q->n_truth);
	}
	digest_text(digest_seq_end(&seq), out);
}

/* Take over what is known already: 1 if it is; 0; -1. */
static int reuse_answers(struct evalset *e, struct make_truth *how, const struct digest *vectors,
			 struct err *err)
{
	const struct evalset *known = how->known;
	char digest[DIGEST_TEXT_MAX];
	if (!known || !known->truth_digest[0] || known->n != e->n || how->known_k < e->k)
		return 0;
	truth_digest(e, how, vectors, known, how->known_k, digest);
	if (strcmp(digest, known->truth_digest) != 0)
		return 0;
	for (uint64_t i = 0; i < e->n && known != e; i++) {
		struct evalset_query *q = &e->query[i];
		const struct evalset_query *from = &known->query[i];
		evalset_clear_truth(q);
		if (!from->truth)
			continue;
		if (!(q->truth = mem_array(e->k, sizeof *q->truth, err)))
			return -1;
		for (uint32_t t = 0; t < from->n_truth && t < e->k; t++) {
			if (!(q->truth[t] = span_dup(span_of(from->truth[t]))))
				return err_nomem(err);
			q->n_truth++;
		}
	}
	how->reused = true;
	/* The same eval set with fewer answers than before. */
	uint32_t k = e->k;
	if (known == e)
		e->k = how->known_k;
	return evalset_limit_k(e, k, err) == 0 ? 1 : -1;
}

/* The answers are there: say what they are and what they belong to. */
static int seal(struct evalset *e, const struct make_truth *how, const struct digest *vectors,
		struct err *err)
{
	struct id_source source = {how->base->rows, id_of, how->base};
	struct digest sum = *vectors;
	digest_take(&sum, vec_shape_digest(how->base->dim, how->base->rows));
	if (vec_set_unchanged(how->base, 0, &sum, err) != 0)
		return -1;
	truth_digest(e, how, vectors, e, e->k, e->truth_digest);
	digest_text(*vectors, e->vectors_digest);
	eval_ids_digest(&source, how->base->id_end != NULL, e->ids_digest);
	e->metric = how->metric;
	e->has_metric = true;
	e->truth_built = evalset_without_vector(e, false) < e->n;
	return 0;
}

int evalset_seal_truth(struct evalset *e, const struct make_truth *how, struct err *err)
{
	struct digest digest;
	return vec_set_digest(how->base, how->par, &digest, err) == 0 ? seal(e, how, &digest, err)
								      : -1;
}

int evalset_make_truth(struct evalset *e, struct make_truth *how, struct err *err)
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
	if (vec_set_digest(how->base, how->par, &digest, err) != 0)
		goto out;
	int reused = reuse_answers(e, how, &digest, err);
	if (reused < 0 || (!reused && (truth_compute(&job, rows, err) != 0 ||
				       keep_answers(e, how->base, query, n, rows, err) != 0)))
		goto out;
	ret = seal(e, how, &digest, err);
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

/* The ids of the queries, all of which must be rows that are no answers to themselves. */
static int sampled_ids(const struct evalset *e, struct idset *ids, struct err *err)
{
	for (uint64_t i = 0; i < e->n; i++) {
		const struct evalset_query *q = &e->query[i];
		if (e->query_source > QUERIES_SAMPLED || !q->has_vector || !q->exclude ||
		    strcmp(q->exclude, q->id) != 0)
			return err_set(err, ERR_NO,
				       "the queries of eval set '%s' are no sample of the vectors, so "
				       "there are no more of their kind",
				       e->name);
		if (idset_add(ids, span_of(q->id), err) < 0)
			return -1;
	}
	return 0;
}

static int add_row(struct evalset *e, const struct vec_set *set, uint64_t row, struct err *err)
{
	struct evalset_query *q = evalset_add(e, err);
	if (!q || evalset_query_from_row(e, e->n - 1, set, row, err) != 0)
		return -1;
	q->exclude = span_dup(span_of(q->id));
	return q->exclude ? 0 : err_nomem(err);
}

int evalset_enlarge(struct evalset *e, const struct vec_set *set, uint64_t want, uint64_t seed,
		    struct err *err)
{
	struct idset ids = IDSET_INIT;
	uint32_t count = (uint32_t)(want < set->rows ? want : set->rows), *rows = NULL;
	int ret = -1;
	if (want <= e->n)
		return 0;
	if (sampled_ids(e, &ids, err) != 0)
		goto out;
	if (e->dim != set->dim) {
		err_set(err, ERR_DATA, "the queries have dimension %u, the vectors %u", e->dim, set->dim);
		goto out;
	}
	rows = evalset_sample(seed, (uint32_t)set->rows, count, err);
	if (!rows)
		goto out;
	ret = 0;
	/* A sample with the same seed holds the smaller one, unless rows came since. */
	for (uint32_t i = 0; ret == 0 && i < count; i++) {
		char tmp[VEC_ID_TEXT_MAX];
		if (!idset_has(&ids, vec_set_id(set, rows[i], tmp))) {
			ret = add_row(e, set, rows[i], err);
			e->truth_built = false;
			e->query_source = QUERIES_SAMPLED;
		}
	}
out:
	free(rows);
	idset_release(&ids);
	return ret;
}
