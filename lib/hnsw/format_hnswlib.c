/* SPDX-License-Identifier: MIT */
/* Files of hnswlib, read and written. */
#include <math.h>
#include <stdlib.h>

#include "hnsw/foreign_internal.h"

/*
 * Source: hnswlib, hnswalg.h, saveIndex() and loadIndex(), the same in 0.4.0 to 0.8.0.
 * After the head, for every element: u16 number of links, u8 flags, u8 0, u32 links on
 * layer 0 (room for m0), vector, u64 label.  Then for every element: u32 bytes, and a row
 * for each upper layer: u32 number of links, u32 links (room for m).
 */
struct head {
	uint64_t offset0, max_elements, count, element_bytes, label_at, vector_at;
	int32_t max_level;
	uint32_t entry;
	uint64_t m_upper, m0, m;
	double mult;
	uint64_t ef_construction;
};

_Static_assert(sizeof(struct head) == 96, "the head is read and written as it is");

#define DELETED 1

static uint32_t links(const struct foreign *f, uint32_t node, uint32_t layer, uint32_t *out)
{
	const unsigned char *p = f->graph + node * f->vector_stride;
	uint16_t counted;
	if (layer)
		p = f->graph + f->at[node] + (layer - 1) * (4 + 4 * (size_t)f->m);
	memcpy(&counted, p, sizeof counted);
	/* It was checked, but others may write into the file. */
	uint32_t n = foreign_links_at_most(f, layer, counted);
	memcpy(out, p + 4, n * sizeof *out);
	return n;
}

static int bad(const struct foreign *f, struct err *err, const char *what)
{
	return foreign_bad(f, HNSW_HNSWLIB, err, what);
}

/* Labels, deletions and numbers of links on layer 0. */
static int read_elements(struct foreign *f, const struct head *d, struct err *err)
{
	uint64_t *gone = mem_zeroed((size_t)f->nodes / 64 + 1, sizeof *gone, err);
	f->gone = gone;
	f->key = mem_array(f->nodes, sizeof *f->key, err);
	if (!gone || !f->key)
		return -1;
	for (uint32_t i = 0; i < f->nodes; i++) {
		const unsigned char *p = f->graph + i * d->element_bytes;
		uint16_t n;
		memcpy(&n, p, sizeof n);
		if (n > d->m0)
			return bad(f, err, "number of links");
		if (p[2] & DELETED)
			gone[i >> 6] |= (uint64_t)1 << (i & 63);
		memcpy(&f->key[i], p + d->label_at, sizeof f->key[i]);
	}
	return 0;
}

static int read_upper(struct foreign *f, struct cursor c, struct err *err)
{
	uint32_t row = 4 + 4 * f->m;
	f->level = mem_array(f->nodes, sizeof *f->level, err);
	f->at = mem_array(f->nodes, sizeof *f->at, err);
	if (!f->level || !f->at)
		return -1;
	for (uint32_t i = 0; i < f->nodes; i++) {
		uint32_t bytes, n;
		if (!cursor_get(&c, &bytes, sizeof bytes) || bytes > c.left)
			return bad(f, err, "it is cut short");
		if (bytes % row || bytes / row > HNSW_MAX_LEVEL)
			return bad(f, err, "size of the upper links");
		f->level[i] = (uint8_t)(bytes / row);
		f->at[i] = (uint64_t)(c.p - f->graph);
		const unsigned char *p = cursor_take(&c, bytes);
		for (uint32_t l = 0; l < f->level[i]; l++) {
			memcpy(&n, p + (size_t)l * row, sizeof n);
			if (n > f->m)
				return bad(f, err, "number of upper links");
		}
	}
	return c.left ? bad(f, err, "bytes are left at its end") : 0;
}

int foreign_read_hnswlib(struct foreign *f, struct cursor c, struct err *err)
{
	struct head d;
	if (!cursor_get(&c, &d, sizeof d))
		return bad(f, err, "it is too short");
	/* There is no magic; these sums must be right. */
	if (d.offset0 != 0 || d.m0 > UINT16_MAX || d.vector_at != 4 + 4 * d.m0 ||
	    d.label_at <= d.vector_at || d.label_at % 4 || d.element_bytes != d.label_at + 8 ||
	    d.label_at - d.vector_at > 4 * (uint64_t)VEC_MAX_DIM)
		return bad(f, err, "sizes in its head");
	if (foreign_check_head(f, d.count, (d.label_at - d.vector_at) / 4, d.m_upper, d.m0, err) !=
	    0)
		return -1;
	if (d.max_level < 0 || d.max_level > HNSW_MAX_LEVEL || d.entry >= d.count)
		return bad(f, err, "entry point");
	f->dim = (uint32_t)(d.label_at - d.vector_at) / 4;
	f->m = (uint32_t)d.m_upper;
	f->m0 = (uint32_t)d.m0;
	f->nodes = (uint32_t)d.count;
	f->entry = d.entry;
	f->max_level = (uint32_t)d.max_level;
	f->ef_construction =
	    d.ef_construction < HNSW_MAX_EF ? (uint32_t)d.ef_construction : HNSW_MAX_EF;
	f->graph = cursor_take(&c, d.count * d.element_bytes); /* below 2^31 * 2^19 */
	if (!f->graph)
		return bad(f, err, "it has fewer elements than its head says");
	f->type = VEC_F32;
	f->vectors = f->graph + d.vector_at;
	f->vector_stride = d.element_bytes;
	f->links = links;
	return read_elements(f, &d, err) == 0 ? read_upper(f, c, err) : -1;
}

static void add_row(const struct foreign *f, uint32_t node, uint32_t layer, struct buf *b)
{
	uint32_t row[1 + 2 * HNSW_MAX_M] = {0}, room = layer ? f->m : f->m0;
	row[0] = f->links(f, node, layer, row + 1);
	buf_add(b, row, (1 + room) * sizeof *row);
}

int foreign_write_hnswlib(const struct foreign *f, struct io_sink *out, struct err *err)
{
	struct head d = {.max_elements = f->nodes,
			 .count = f->nodes,
			 .vector_at = 4 + 4 * (uint64_t)f->m0,
			 .max_level = (int32_t)f->max_level,
			 .entry = f->entry,
			 .m_upper = f->m,
			 .m0 = f->m0,
			 .m = f->m,
			 .mult = 1 / log(f->m),
			 .ef_construction = f->ef_construction};
	float *v = mem_array(f->dim, sizeof *v, err);
	int ret = -1;
	if (!v)
		return -1;
	d.label_at = d.vector_at + 4 * (uint64_t)f->dim;
	d.element_bytes = d.label_at + 8;
	buf_add(&out->b, &d, sizeof d);
	for (uint32_t i = 0; i < f->nodes; i++) {
		uint64_t key = f->key ? f->key[i] : i;
		add_row(f, i, 0, &out->b);
		f->vector(f, i, v);
		buf_add(&out->b, v, f->dim * sizeof *v);
		buf_add(&out->b, &key, sizeof key);
		if (io_sink_spill(out, err) != 0)
			goto out;
	}
	for (uint32_t i = 0; i < f->nodes; i++) {
		uint32_t bytes = f->level[i] * (4 + 4 * f->m);
		buf_add(&out->b, &bytes, sizeof bytes);
		for (uint32_t l = 1; l <= f->level[i]; l++)
			add_row(f, i, l, &out->b);
		if (io_sink_spill(out, err) != 0)
			goto out;
	}
	ret = 0;
out:
	free(v);
	return ret;
}
