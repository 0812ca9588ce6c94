/* SPDX-License-Identifier: MIT */
/* Storages f32, f16 and bf16: the vectors as floats, from which all distances are computed. */
#include "hnsw/codec_internal.h"

#include <stdlib.h>
#include <string.h>

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
	enum half half = j->h->codec->half;
	float *row = j->row + (size_t)thread * d->stride;
	for (uint64_t i = begin; i < end; i++) {
		if (j->node_of[i] == HNSW_NONE)
			continue;
		void *to = j->vectors + j->node_of[i] * j->h->row_bytes;
		hnsw_read_row(j->h, hnsw_first_row(j->h) + (uint32_t)i, half ? row : to);
		if (half)
			half_make(half, row, to, d->stride);
	}
}

static int encode(struct hnsw *h, struct hnsw_survey *s, const uint32_t *node_of,
		  const struct hnsw_build_opts *opts, struct err *err)
{
	struct par *par = opts->par;
	struct copy j = {h, node_of, hnsw_block(h, h->head.nodes, h->row_bytes, err),
			 mem_array((size_t)par_threads(par), h->head.stride * sizeof *j.row, err)};
	(void)s;
	if (j.vectors && h->older)
		memcpy(j.vectors, h->older->vectors, h->older->head.nodes * h->row_bytes);
	if (j.vectors && j.row)
		par_run(par, h->set->rows, 256, copy_rows, &j);
	h->vectors = j.vectors;
	int ret = j.vectors && j.row ? 0 : -1;
	free(j.row);
	return ret;
}

static int admit_f16(const struct hnsw *h, uint32_t row, float most, struct err *err)
{
	if (most <= HALF_F16_MAX)
		return 0;
	return vec_set_fail(h->set, row, err,
			    "has a component beyond %d, which storage f16 cannot hold: "
			    "say bf16 or f32",
			    HALF_F16_MAX);
}

static void point_node(const struct hnsw *h, struct hnsw_scratch *s, uint32_t node, int i,
		       struct hnsw_point *p)
{
	*p = (struct hnsw_point){.vector = hnsw_vector(h, node, s->wide[i]), .exact = true};
}

const struct hnsw_codec hnsw_codec_f32 = {
    .vectors = true,
    .encode = encode,
    .point_node = point_node,
    .distances = hnsw_exact_distances,
};

const struct hnsw_codec hnsw_codec_f16 = {
    .vectors = true,
    .half = HALF_F16,
    .admit = admit_f16,
    .encode = encode,
    .point_node = point_node,
    .distances = hnsw_exact_distances,
};

const struct hnsw_codec hnsw_codec_bf16 = {
    .vectors = true,
    .half = HALF_BF16,
    .encode = encode,
    .point_node = point_node,
    .distances = hnsw_exact_distances,
};
