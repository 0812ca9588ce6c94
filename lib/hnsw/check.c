/* SPDX-License-Identifier: MIT */
/* hnsw_check(): everything that a file may be wrong in. */
#include "hnsw/search_internal.h"

#include <stdlib.h>
#include <string.h>

static int fail(const struct hnsw *h, struct err *err, const char *what, uint64_t where)
{
	return err_set(err, ERR_DATA, "'%s' is damaged: %s %llu", h->name ? h->name : "index", what,
		       (unsigned long long)where);
}

/* A row: numbers below ${total}, none its own or twice, then end marks only. */
static bool good_row(const uint32_t *row, uint32_t room, uint32_t stride, uint32_t total,
		     uint32_t own)
{
	uint32_t n = 0;
	for (; n < room && row[n] != HNSW_NONE; n++) {
		if (row[n] >= total || row[n] == own)
			return false;
		for (uint32_t i = 0; i < n; i++)
			if (row[i] == row[n])
				return false;
	}
	for (; n < stride; n++)
		if (row[n] != HNSW_NONE)
			return false;
	return true;
}

static int check_links(const struct hnsw *h, struct err *err)
{
	const struct hnsw_head *d = &h->head;
	for (uint32_t i = 0; i < d->nodes; i++)
		if (!good_row(hnsw_row0(h, i), d->m0, d->stride0, d->nodes, i))
			return fail(h, err, "bad links on layer 0 of node", i);
	for (uint32_t u = 0; u < d->upper; u++) {
		uint32_t levels = h->upper_first[u + 1] - h->upper_first[u];
		for (uint32_t l = 1; l <= levels; l++) {
			const uint32_t *row = hnsw_row_upper(h, u, l);
			if (!good_row(row, d->m, d->stride_upper, d->upper, u))
				return fail(h, err, "bad links on an upper layer of node",
					    h->upper_node[u]);
			for (uint32_t i = 0; i < d->m && row[i] != HNSW_NONE; i++)
				if (!hnsw_row_upper(h, row[i], l))
					return fail(
					    h, err,
					    "a link to a node that is not on its layer from node",
					    h->upper_node[u]);
		}
		if (levels > d->max_level)
			return fail(h, err, "level above the entry point's at node",
				    h->upper_node[u]);
	}
	if (d->upper && h->upper_first[d->entry + 1] - h->upper_first[d->entry] != d->max_level)
		return fail(h, err, "the entry point is not on layer", d->max_level);
	return 0;
}

static int check_vectors(const struct hnsw *h, struct err *err)
{
	uint32_t stride = h->head.stride;
	float *row = mem_array(stride, sizeof *row, err);
	bool finite = true;
	if (!row)
		return -1;
	for (uint32_t i = 0; finite && h->vectors && i < h->head.nodes; i++) {
		finite = vec_first_nonfinite(hnsw_vector(h, i, row), stride) == stride;
		if (!finite)
			fail(h, err, "a value that is not finite in node", i);
	}
	free(row);
	if (!finite)
		return -1;
	for (uint32_t i = 0; h->codec->find_fault && i < h->head.nodes; i++) {
		const char *fault = h->codec->find_fault(h, i);
		if (fault)
			return fail(h, err, fault, i);
	}
	return 0;
}

/* Every row belongs to exactly one node; ids lie in their text. */
static int check_rows(const struct hnsw *h, uint64_t *seen, struct err *err)
{
	const struct hnsw_head *d = &h->head;
	for (uint64_t i = 0; i < d->rows; i++) {
		uint32_t row = i < d->nodes ? h->node_row[i] : h->dup_row[i - d->nodes];
		if (row >= d->rows || seen[row >> 6] >> (row & 63) & 1)
			return fail(h, err, "wrong or repeated row", row);
		seen[row >> 6] |= (uint64_t)1 << (row & 63);
	}
	for (uint64_t i = 0; h->id_end && i < d->rows; i++)
		if (h->id_end[i] < (i ? h->id_end[i - 1] : 0) || h->id_end[i] > h->id_text_bytes)
			return fail(h, err, "bad id of row", i);
	return 0;
}

static int check_reach(const struct hnsw *h, uint64_t *reached, struct err *err)
{
	uint32_t *queue = mem_array(h->head.nodes, sizeof *queue, err);
	if (!queue)
		return -1;
	uint32_t count = hnsw_reach(h, hnsw_entry_node(h), reached, queue);
	for (uint32_t i = 0; i < h->head.strays && h->stray[i] < h->head.nodes; i++)
		count += hnsw_reach(h, h->stray[i], reached, queue);
	free(queue);
	if (count == h->head.nodes)
		return 0;
	uint32_t i = 0;
	while (reached[i >> 6] >> (i & 63) & 1)
		i++;
	return fail(h, err, "layer 0 does not reach node", i);
}

int hnsw_check(const struct hnsw *h, struct err *err)
{
	size_t words = h->head.rows / 64 + 1;
	uint64_t *bits = mem_zeroed(words, sizeof *bits, err);
	int ret = -1;
	if (!bits)
		return -1;
	if (chunk_verify(&h->chunks, h->name ? h->name : "index", err) != 0 ||
	    check_links(h, err) != 0 || check_vectors(h, err) != 0 || check_rows(h, bits, err) != 0)
		goto out;
	memset(bits, 0, words * sizeof *bits);
	if (check_reach(h, bits, err) != 0)
		goto out;
	struct digest d = hnsw_graph_digest(h);
	if (d.hi != h->head.graph_digest.hi || d.lo != h->head.graph_digest.lo) {
		err_set(err, ERR_DATA, "'%s' is damaged: the digest of its graph differs",
			h->name ? h->name : "index");
		goto out;
	}
	ret = 0;
out:
	free(bits);
	return ret;
}
