/* SPDX-License-Identifier: MIT */
/*
 * A trial whether codes tell near from far.  The nearest of a query by the codes are found among
 * all nodes, and compared by their vectors. Where codes cannot tell near from far, those are any
 * ones of many, and their order by vectors is another.
 */
#include "hnsw/search_internal.h"

#include <stdlib.h>
#include <string.h>

#define QUERIES 32
#define NEAR 10
#define SOME 128 /* nearest by the codes, among which the nearest by floats are looked for */
#define BLOCK 64 /* rows at once */
#define SHARE 0.97

struct trial {
	const struct hnsw *h;
	struct hnsw_scratch *scratch; /* one a thread */
	float *query;		      /* two strides a thread */
	uint32_t queries;
	uint32_t found[QUERIES]; /* of the nearest, among twice as many by the codes */
};

/* How many of ${a} are in ${b}. */
static uint32_t in_common(const struct topk *a, const struct topk *b)
{
	uint32_t n = 0;
	for (size_t i = 0; i < a->count; i++)
		for (size_t j = 0; j < b->count; j++)
			n += topk_number(a->key[i]) == topk_number(b->key[j]);
	return n;
}

/* Of the nodes that belong to query ${q}, the one with the coarsest unit: the largest, about. */
static uint32_t largest_node(const struct trial *t, uint64_t q)
{
	uint64_t nodes = t->h->head.nodes, end = nodes * (q + 1) / t->queries;
	uint32_t best = (uint32_t)(nodes * q / t->queries);
	for (uint32_t i = best; i < end; i++)
		if (hnsw_code_unit(t->h, i) > hnsw_code_unit(t->h, best))
			best = i;
	return best;
}

/* A query: a node's vector.  By inner product queries may be unlike all rows, and large rows are
 * what answers: so also the difference of two directions, and large ones. */
static const float *make_query(const struct trial *t, uint64_t q, float *tmp)
{
	const struct hnsw *h = t->h;
	uint32_t node = (uint32_t)((uint64_t)h->head.nodes * q / t->queries), dim = h->head.dim;
	float *other = tmp + h->head.stride;
	if (h->head.metric != VEC_IP || q % 3 == 0)
		return hnsw_vector(h, node, tmp);
	if (q % 3 == 1)
		return hnsw_vector(h, largest_node(t, q), tmp);
	memmove(tmp, hnsw_vector(h, node, tmp), dim * sizeof *tmp);
	memmove(other, hnsw_vector(h, (node + h->head.nodes / 2) % h->head.nodes, other),
		dim * sizeof *tmp);
	vec_normalise(tmp, dim);
	vec_normalise(other, dim);
	for (uint32_t k = 0; k < dim; k++)
		tmp[k] -= other[k];
	return tmp;
}

/* The nearest nodes by the codes. */
static void scan_codes(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		       struct topk *top)
{
	for (uint32_t i = 0; i < h->head.nodes;) {
		uint32_t nodes[BLOCK], n = 0;
		float d[BLOCK];
		while (n < BLOCK && i < h->head.nodes)
			nodes[n++] = i++;
		hnsw_distances(h, s, p, nodes, n, d);
		for (uint32_t j = 0; j < n; j++)
			topk_add(top, topk_key(d[j], nodes[j]));
	}
}

static void try_queries(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct trial *t = ctx;
	const struct hnsw *h = t->h;
	struct hnsw_scratch *s = &t->scratch[thread];
	float *tmp = t->query + (size_t)thread * 2 * h->head.stride;
	for (uint64_t q = begin; q < end; q++) {
		uint64_t near_key[NEAR], some_key[SOME];
		struct topk near = {near_key, 0, NEAR}, some = {some_key, 0, SOME};
		struct hnsw_point p;
		hnsw_point_query(h, s, make_query(t, q, tmp), &p);
		scan_codes(h, s, &p, &some);
		for (size_t i = 0; i < some.count; i++) {
			uint32_t node = topk_number(some_key[i]);
			float d;
			hnsw_exact_distances(h, s, &p, &node, 1, &d);
			topk_add(&near, topk_key(d, node));
		}
		some.count = some.count < 2 * NEAR ? some.count : 2 * NEAR;
		t->found[q] = in_common(&near, &some);
	}
}

int hnsw_try_codes(const struct hnsw *h, const struct dist_kernels *kernels, struct par *par,
		   bool *tell, struct err *err)
{
	uint32_t nodes = h->head.nodes, found = 0;
	struct trial t = {.h = h, .queries = nodes < QUERIES ? nodes : QUERIES};
	int threads = par_threads(par);
	t.scratch = mem_zeroed((size_t)threads, sizeof *t.scratch, err);
	t.query = mem_array((size_t)threads, 2 * h->head.stride * sizeof *t.query, err);
	int ret = t.scratch && t.query ? 0 : -1;
	for (int i = 0; ret == 0 && i < threads; i++)
		ret = hnsw_scratch_init(&t.scratch[i], h, kernels, err);
	if (ret == 0)
		par_run(par, t.queries, 1, try_queries, &t);
	for (uint32_t q = 0; ret == 0 && q < t.queries; q++)
		found += t.found[q];
	*tell = found >= SHARE * t.queries * (nodes < NEAR ? nodes : NEAR);
	for (int i = 0; t.scratch && i < threads; i++)
		hnsw_scratch_release(&t.scratch[i]);
	free(t.scratch);
	free(t.query);
	return ret;
}
