/* SPDX-License-Identifier: MIT */
/* Answers that somebody else computed: checked on a sample, then taken over. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eval/given.h"

#define SAMPLE 20     /* queries that are answered again */
#define ROUNDING 4e-6 /* what single precision may be wrong by, in squared lengths of both */

struct check {
	const struct evalset *e;
	const struct make_truth *how;
	const struct given_answers *given;
	uint32_t n, query[SAMPLE];
	float *row, *queries;
	double *answer;		 /* a row of the file */
	uint32_t *exact, *taken; /* n x k, k */
};

static int fail(const struct check *c, uint64_t query, struct err *err, const char *why)
{
	return err_set(err, ERR_DATA, "'%s' row %llu: %s", c->given->name,
		       (unsigned long long)query, why);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* The first k answers of a query as row numbers, in ${c->taken}. */
static int load_answers(struct check *c, uint64_t query, struct err *err)
{
	uint32_t k = c->e->k;
	vec_set_row_f64(c->given->rows, query, c->answer);
	for (uint32_t i = 0; i < k; i++) {
		if (!(c->answer[i] >= 0 && c->answer[i] < (double)c->how->base->rows) ||
		    c->answer[i] != floor(c->answer[i]))
			return fail(c, query, err, "has an answer that is the number of no vector");
		c->taken[i] = (uint32_t)c->answer[i];
	}
	return 0;
}

/* ERR_DATA if a row comes twice among the answers of a query; ${sorted}: room for k. */
static int check_distinct(const struct check *c, uint64_t query, uint32_t *sorted, struct err *err)
{
	uint32_t k = c->e->k;
	memcpy(sorted, c->taken, k * sizeof *sorted);
	qsort(sorted, k, sizeof *sorted, by_number);
	for (uint32_t i = 1; i < k; i++)
		if (sorted[i] == sorted[i - 1])
			return fail(c, query, err, "has an answer twice");
	return 0;
}

static double square(const float *v, size_t dim)
{
	double s = 0;
	for (size_t i = 0; i < dim; i++)
		s += (double)v[i] * v[i];
	return s;
}

/* Whether a row is as near to a query as the exact answer of that place; 1, 0, -1. */
static int is_as_near(struct check *c, enum vec_metric metric, const float *query, uint32_t row,
		      uint32_t exact, struct err *err)
{
	size_t dim = c->e->dim;
	if (vec_set_row(c->how->base, exact, c->row, err) != 0)
		return -1;
	double want = truth_rank(metric, query, c->row, dim);
	if (vec_set_row(c->how->base, row, c->row, err) != 0)
		return -1;
	double got = truth_rank(metric, query, c->row, dim);
	double scale = metric == VEC_COSINE ? 1 : square(query, dim) + square(c->row, dim);
	return fabs(got - want) <= ROUNDING * scale;
}

/* Whether the sample's answers are those of a metric: 1; 0, and ${err} says what is not; -1. */
static int agrees(struct check *c, enum vec_metric metric, struct err *err)
{
	uint32_t k = c->e->k;
	struct truth_job job = {.base = c->how->base,
				.metric = metric,
				.queries = c->queries,
				.n = c->n,
				.k = k,
				.par = c->how->par,
				.kernels = c->how->kernels};
	if (truth_compute(&job, c->exact, err) != 0)
		return -1;
	for (uint32_t q = 0; q < c->n; q++) {
		if (load_answers(c, c->query[q], err) != 0)
			return -1;
		for (uint32_t i = 0; i < k; i++) {
			uint32_t exact = c->exact[q * k + i];
			int near = is_as_near(c, metric, c->queries + q * c->e->dim, c->taken[i],
					      exact, err);
			if (near > 0)
				continue;
			if (near == 0)
				err_set(err, ERR_DATA,
					"'%s' row %u: answer %u is row %u, but by %s row %u is, of "
					"these vectors",
					c->given->name, c->query[q], i, c->taken[i],
					vec_metric_name(metric), exact);
			return near;
		}
	}
	return 1;
}

/* Queries spread over all of them. */
static void choose_sample(struct check *c)
{
	const struct evalset *e = c->e;
	c->n = e->n < SAMPLE ? (uint32_t)e->n : SAMPLE;
	for (uint32_t i = 0; i < c->n; i++) {
		c->query[i] = (uint32_t)(i * e->n / c->n);
		memcpy(c->queries + i * e->dim, e->vectors + c->query[i] * (uint64_t)e->dim,
		       e->dim * sizeof *c->queries);
	}
}

static int settle_metric(struct check *c, const struct given_answers *given,
			 enum vec_metric *metric, struct err *err)
{
	static const enum vec_metric likely[] = {VEC_COSINE, VEC_L2, VEC_IP};
	struct err why = {0};
	choose_sample(c);
	if (given->metric_known) {
		int same = agrees(c, *metric, err);
		return same > 0 ? 0 : -1;
	}
	for (size_t i = 0; i < sizeof likely / sizeof likely[0]; i++) {
		int same = agrees(c, likely[i], i ? &why : err);
		*metric = likely[i];
		if (same < 0 && i)
			*err = why;
		if (same != 0)
			return same < 0 ? -1 : 0;
	}
	return err_prefix(err, "the answers are those of no metric");
}

static int take_over(struct evalset *e, struct check *c, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	for (uint64_t q = 0; q < e->n; q++) {
		struct evalset_query *to = &e->query[q];
		if (load_answers(c, q, err) != 0 || check_distinct(c, q, c->exact, err) != 0)
			return -1;
		to->truth = mem_array(e->k, sizeof *to->truth, err);
		for (uint32_t i = 0; to->truth && i < e->k; i++) {
			to->truth[i] = span_dup(vec_set_id(c->how->base, c->taken[i], tmp));
			if (!to->truth[i])
				return err_nomem(err);
			to->n_truth++;
		}
		if (!to->truth)
			return -1;
	}
	return 0;
}

static int check_shape(const struct evalset *e, const struct make_truth *how,
		       const struct given_answers *given, struct err *err)
{
	const struct vec_set *rows = given->rows;
	if (rows->rows < e->n)
		return err_set(err, ERR_DATA, "'%s' has answers of %llu queries, there are %llu",
			       given->name, (unsigned long long)rows->rows,
			       (unsigned long long)e->n);
	if (rows->dim < e->k)
		return err_set(err, ERR_DATA, "'%s' has %u answers a query, k is %u", given->name,
			       rows->dim, e->k);
	if (e->dim != how->base->dim)
		return err_set(err, ERR_DATA, "the queries have dimension %u, the vectors have %u",
			       e->dim, how->base->dim);
	return 0;
}

int evalset_take_truth(struct evalset *e, struct make_truth *how, const struct given_answers *given,
		       struct err *err)
{
	struct check c = {.e = e, .how = how, .given = given};
	int ret = -1;
	if (check_shape(e, how, given, err) != 0)
		return -1;
	c.row = mem_array(e->dim, sizeof *c.row, err);
	c.queries = mem_array(SAMPLE, e->dim * sizeof *c.queries, err);
	c.answer = mem_array(given->rows->dim, sizeof *c.answer, err);
	c.exact = mem_array(SAMPLE, e->k * sizeof *c.exact, err);
	c.taken = mem_array(e->k, sizeof *c.taken, err);
	if (c.row && c.queries && c.answer && c.exact && c.taken &&
	    settle_metric(&c, given, &how->metric, err) == 0 && take_over(e, &c, err) == 0)
		ret = evalset_seal_truth(e, how, err);
	free(c.row);
	free(c.queries);
	free(c.answer);
	free(c.exact);
	free(c.taken);
	return ret;
}
