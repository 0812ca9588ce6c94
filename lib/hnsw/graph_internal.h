/* SPDX-License-Identifier: MIT */
#ifndef HNSW_GRAPH_INTERNAL_H
#define HNSW_GRAPH_INTERNAL_H

#include "base/chunk.h"
#include "base/mem.h"
#include "base/num.h"
#include "hnsw/hnsw.h"
#include "vec/topk.h"

#define HNSW_KIND CHUNK_NAME('h', 'n', 's', 'w')
#define HNSW_VERSION 1
#define HNSW_NONE UINT32_MAX /* ends a row of links that is not full */
#define HNSW_ROW_PAD 16	     /* rows of links and vectors are multiples of 64 bytes */

/* Chunk 'head': fixed layout, little-endian, no padding. */
struct hnsw_head {
	uint32_t metric, storage, dim, stride;
	uint32_t m, m0, stride0, stride_upper;
	uint32_t ef_construction, ef_search, max_level, entry;
	uint32_t nodes, upper, upper_rows, dups;
	uint64_t rows, seed;
	struct digest vectors_digest, graph_digest;
	uint32_t flags, reserved;
};

#define HNSW_KEEP_PRUNED 1u /* flag: how the links were chosen */

/*
 * The graph, in memory or mapped.  Layer 0 links nodes.  The layers above link
 * "uppers", which number the nodes that have such layers in order of node, so that
 * they stay small: upper u is node upper_node[u] and owns the rows
 * upper_first[u] .. upper_first[u+1]-1 of upper_links, layer 1 first.
 */
struct hnsw {
	struct hnsw_head head;
	const float *vectors;	     /* nodes x stride, zeros after dim; unit length if cosine */
	const uint32_t *links0;	     /* nodes x stride0; the first m0 are used */
	const uint32_t *upper_node;  /* upper */
	const uint32_t *upper_first; /* upper + 1 */
	const uint32_t *upper_links; /* upper_rows x stride_upper; the first m are used */
	const uint32_t *node_row;    /* nodes */
	const uint32_t *dup_node;    /* dups, increasing: further rows of a node */
	const uint32_t *dup_row;     /* dups, increasing for equal nodes */
	const uint64_t *id_end;	     /* rows, or NULL */
	const char *id_text;
	uint64_t id_text_bytes;
	/* What the above lies in. */
	struct io_map map;
	struct mem_block block[10];
	size_t blocks;
	struct chunk_set chunks;
	char *name;
};

/* A node's row of links on layer 0. */
static inline const uint32_t *hnsw_row0(const struct hnsw *h, uint32_t node)
{
	return h->links0 + (size_t)node * h->head.stride0;
}

/* A row of layer ${level} >= 1, or NULL if the file lies about its levels. */
static inline const uint32_t *hnsw_row_upper(const struct hnsw *h, uint32_t upper, uint32_t level)
{
	uint64_t row = (uint64_t)h->upper_first[upper] + level - 1;
	return row < h->upper_first[upper + 1] ? h->upper_links + row * h->head.stride_upper : NULL;
}

static inline const float *hnsw_vector(const struct hnsw *h, uint32_t node)
{
	return h->vectors + (size_t)node * h->head.stride;
}

/* One entry of the search pool: order of (distance, node), lowest bit: expanded. */
static inline uint64_t pool_key(float distance, uint32_t node)
{
	return topk_key(distance, node << 1);
}

static inline uint32_t pool_node(uint64_t key)
{
	return (uint32_t)key >> 1;
}

/*
 * Distances of the query in the scratch to ${count} nodes; ${count} rows were or are
 * being prefetched.
 */
void hnsw_distances(const struct hnsw *h, struct hnsw_scratch *s, const float *query,
		    const uint32_t *nodes, size_t count, float *out);

/* Greedy descent (Algorithm 2 with ef = 1) from the entry point to layer ${level} >= 1;
 * the nearest upper there, as key of (distance, upper). */
uint64_t hnsw_descend(const struct hnsw *h, struct hnsw_scratch *s, const float *query,
		      uint32_t level);

/* Room for ${keys} keys in s->pool. */
int hnsw_scratch_reserve(struct hnsw_scratch *s, size_t keys, struct err *err) MUST_CHECK;

/*
 * Beam search (Algorithm 2) on layer ${level} from ${count} entries in s->pool, sorted; leaves up
 * to ${ef} keys there in increasing order and returns how many.  On layers above 0
 * entries and results are uppers.
 */
size_t hnsw_beam(const struct hnsw *h, struct hnsw_scratch *s, const float *query, uint32_t level,
		 size_t count, size_t ef);

/*
 * Make every node reachable from the entry point on layer 0: each that is not gets a link
 * from a near node that is, in a free place or in that of a link which no path found
 * depends on.  ${links}: h->links0, writable.
 */
int hnsw_repair(struct hnsw *h, uint32_t *links, struct hnsw_scratch *s,
		struct err *err) MUST_CHECK;

/* Digest of everything but the vectors, the ids and ef_search. */
struct digest hnsw_graph_digest(const struct hnsw *h);

/*
 * Mark what layer 0 reaches from ${from} in ${reached} (a bit a node), along with the
 * node each was reached from if ${parent} is not NULL.  ${queue}: room for all nodes.
 * Returns how many were newly reached.
 */
uint32_t hnsw_reach(const struct hnsw *h, uint32_t from, uint64_t *reached, uint32_t *parent,
		    uint32_t *queue);

/* The node that a search of layer 0 can always start from. */
uint32_t hnsw_entry_node(const struct hnsw *h);

#endif
