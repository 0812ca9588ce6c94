/* SPDX-License-Identifier: MIT */
/* Distances from what an index holds of its vectors. */
#include "hnsw/graph_internal.h"

#include <math.h>
#include <string.h>

#define SLACK 4 /* standard deviations */

const float *hnsw_vector(const struct hnsw *h, uint32_t node, float *tmp)
{
	const struct hnsw_head *d = &h->head;
	if (h->vectors && !hnsw_half(d))
		return hnsw_row(h, node);
	if (h->vectors) {
		half_read(hnsw_half(d), hnsw_row(h, node), tmp, d->stride);
		return tmp;
	}
	if (node < hnsw_first_node(h))
		return hnsw_vector(h->older, node, tmp);
	if (h->set) {
		hnsw_read_row(h, h->node_row[node], tmp);
		return tmp;
	}
	const uint8_t *code = hnsw_code(h, node);
	for (uint32_t k = 0; k < d->dim; k++)
		tmp[k] = h->centre[k] + d->unit * (float)((int32_t)code[k] - 128);
	memset(tmp + d->dim, 0, (d->stride - d->dim) * sizeof *tmp);
	return tmp;
}

/* ---- points ---- */

void hnsw_point_node(const struct hnsw *h, struct hnsw_scratch *s, uint32_t node, int i,
		     struct hnsw_point *p)
{
	const struct hnsw_head *d = &h->head;
	*p = (struct hnsw_point){.code = s->code[i], .exact = true};
	if (!h->codes) {
		p->vector = hnsw_vector(h, node, s->wide[i]);
		return;
	}
	p->bias = 128 * s->kernels->code_turn(hnsw_code(h, node), d->code_stride, s->code[i]);
	p->unit = hnsw_code_unit(h, node);
	p->norm = h->norms[node]; /* no use, if it is a unit */
}

void hnsw_point_query(const struct hnsw *h, struct hnsw_scratch *s, const float *query,
		      struct hnsw_point *p)
{
	const struct hnsw_head *d = &h->head;
	struct dist_code made = {.code = s->code[0], .exact = false};
	float *v = s->query;
	memset(v, 0, d->stride * sizeof *v);
	memcpy(v, query, d->dim * sizeof *v);
	if (d->metric == VEC_COSINE)
		vec_normalise(v, d->dim);
	*p = (struct hnsw_point){.vector = v, .code = made.code, .exact = !h->codes};
	if (!h->codes)
		return;
	p->unit = d->unit;
	if (d->storage == HNSW_U8)
		s->kernels->code_make(v, h->centre, p->unit, d->dim, &made);
	if (!made.exact) {
		/* The query's own unit is finer than the index's. */
		float most = s->kernels->code_reach(v, h->centre, d->dim);
		p->unit = most > 0 ? fmaxf(most / 127, 1e-30f) : 1;
		s->kernels->code_make(v, h->centre, p->unit, d->dim, &made);
		made.exact = false;
	}
	memset(made.code + d->dim, 0, d->code_stride - d->dim);
	p->exact = made.exact;
	p->bias = 128 * made.sum;
	p->norm = made.norm;
}

/*
 * Rounding to codes moves a component by up to half a unit, evenly distributed: variance
 * unit^2 / 12 (for the index the measured one is used, which also counts what was cut off).
 * Over many components that makes an error of the estimate near to normal.  Inner product:
 * variance |q|^2 v + |x|^2 w, with v and w those of the index and of the query.  Squared distance:
 * 4 d (v + w) about a mean of dim (v + w).
 */
float hnsw_slack(const struct hnsw *h, const struct hnsw_point *p, float distance)
{
	const struct hnsw_head *d = &h->head;
	float v = d->error * d->error, w = p->unit * p->unit / 12;
	if (d->metric == VEC_IP)
		return SLACK *
		       sqrtf(p->unit * p->unit * (float)p->norm * v + d->reach * d->reach * w);
	float scale = d->metric == VEC_COSINE ? 0.5f : 1, square = fmaxf(distance, 0) / scale;
	return scale * ((float)d->dim * (v + w) + SLACK * 2 * sqrtf(square * (v + w)));
}

/* ---- distances ---- */

void hnsw_exact_distances(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
			  const uint32_t *nodes, size_t count, float *out)
{
	const struct hnsw_head *d = &h->head;
	enum vec_metric metric = (enum vec_metric)d->metric;
	struct dist_rows rows = {h->vectors, hnsw_row_bytes(d), d->dim, hnsw_half(d)};
	s->distances += count;
	if (h->vectors) {
		dist_to_rows(s->kernels, metric, p->vector, &rows, nodes, count, out);
		return;
	}
	rows.base = s->row;
	for (size_t i = 0; i < count; i++) {
		hnsw_vector(h, nodes[i], s->row);
		dist_to_rows(s->kernels, metric, p->vector, &rows, NULL, 1, out + i);
	}
}

void hnsw_distances(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		    const uint32_t *nodes, size_t count, float *out)
{
	const struct hnsw_head *d = &h->head;
	int32_t dot[2 * HNSW_MAX_M];
	if (!h->codes) {
		hnsw_exact_distances(h, s, p, nodes, count, out);
		return;
	}
	struct dist_rows rows = {h->codes, d->code_stride, d->code_stride, HALF_NONE};
	s->kernels->code_rows(p->code, &rows, nodes, count, dot);
	s->distances += count;
	if (d->flags & HNSW_ROW_UNITS) {
		s->kernels->code_products(p->unit, p->bias, dot, h->norms, nodes, count, out);
		return;
	}
	float scale = d->metric == VEC_COSINE ? 0.5f : 1, product = d->unit * p->unit;
	struct dist_terms t = {0, 0, product, p->bias};
	if (d->metric != VEC_IP && p->unit == d->unit) {
		/* Whole numbers: the sum is not negative, and less than 2^32. */
		s->kernels->code_squares(scale * product, p->norm + 2 * (uint32_t)p->bias, dot,
					 h->norms, nodes, count, out);
		return;
	}
	if (d->metric != VEC_IP)
		t = (struct dist_terms){scale * p->unit * p->unit * (float)p->norm,
					scale * d->unit * d->unit, 2 * scale * product, p->bias};
	s->kernels->code_distances(&t, dot, h->norms, nodes, count, out);
}
