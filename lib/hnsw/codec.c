/* SPDX-License-Identifier: MIT */
/* The table of storages, and what all of them do alike. */
#include "hnsw/codec_internal.h"

#include <string.h>

const char *const hnsw_storage_names[] = {"f32", "u8", "sq8", "f16", "bf16", "auto", NULL};

const struct hnsw_codec *const hnsw_codecs[HNSW_STORAGES] = {
    [HNSW_F32] = &hnsw_codec_f32, [HNSW_U8] = &hnsw_codec_u8,	  [HNSW_SQ8] = &hnsw_codec_sq8,
    [HNSW_F16] = &hnsw_codec_f16, [HNSW_BF16] = &hnsw_codec_bf16,
};

void hnsw_use_storage(struct hnsw *h, enum hnsw_storage storage)
{
	h->codec = hnsw_codecs[storage];
	h->head.storage = storage;
	h->row_bytes = h->head.stride * (h->codec->half ? sizeof(uint16_t) : sizeof(float));
}

void hnsw_point_query(const struct hnsw *h, struct hnsw_scratch *s, const float *query,
		      struct hnsw_point *p)
{
	const struct hnsw_head *d = &h->head;
	float *v = s->query;
	memset(v, 0, d->stride * sizeof *v);
	memcpy(v, query, d->dim * sizeof *v);
	if (d->metric == VEC_COSINE)
		vec_normalise(v, d->dim);
	*p = (struct hnsw_point){.vector = v, .exact = true};
	if (h->codec->encode_query)
		h->codec->encode_query(h, s, p);
}
