/* SPDX-License-Identifier: MIT */
/* Vectors as floats, wherever they lie, and exact distances from them. */
#include "hnsw/codec_internal.h"

#include <string.h>

void hnsw_bring_into_form(const struct hnsw *h, float *v)
{
	const struct hnsw_head *d = &h->head;
	if (d->metric == VEC_COSINE)
		vec_normalise(v, d->dim);
	for (uint32_t k = 0; k < d->dim; k++)
		v[k] += 0.0f; /* -0 and 0 are equal */
	if (h->codec->half)
		half_round(h->codec->half, v, d->dim);
	memset(v + d->dim, 0, (d->stride - d->dim) * sizeof *v);
}

void hnsw_read_row(const struct hnsw *h, uint32_t row, float *out)
{
	vec_set_values(h->set, row - hnsw_first_row(h), out);
	hnsw_bring_into_form(h, out);
}

const float *hnsw_vector(const struct hnsw *h, uint32_t node, float *tmp)
{
	const struct hnsw_head *d = &h->head;
	if (h->vectors && !h->codec->half)
		return hnsw_row(h, node);
	if (h->vectors) {
		half_read(h->codec->half, hnsw_row(h, node), tmp, d->stride);
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

void hnsw_exact_distances(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
			  const uint32_t *nodes, size_t count, float *out)
{
	const struct hnsw_head *d = &h->head;
	enum vec_metric metric = (enum vec_metric)d->metric;
	struct dist_rows rows = {h->vectors, h->row_bytes, d->dim, h->codec->half};
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
