/* SPDX-License-Identifier: MIT */
#ifndef HNSW_GRAPH_INTERNAL_H
#define HNSW_GRAPH_INTERNAL_H

#include "base/chunk.h"
#include "base/mem.h"
#include "base/num.h"
#include "hnsw/hnsw.h"

/* An index in memory: its parts, how they are reached, and what they lie in. */

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
	uint32_t code_stride; /* bytes a row of codes; 0 if there are none */
	float unit;	      /* a code u stands for centre + unit * (u - 128); the coarsest one,
			       * where rows have their own */
	float error;	      /* root mean square of what the codes lose of a component */
	float reach;	      /* largest Euclidean length of a vector, for inner products */
	uint32_t flags;
	uint32_t strays; /* nodes that no path on layer 0 leads to; see struct hnsw */
};

#define HNSW_MAX_STARTS 64 /* from which searches may start */

#define HNSW_KEEP_PRUNED 1u /* flag: how the links were chosen */
#define HNSW_ROW_UNITS 2u   /* flag: each row of codes has a unit of its own, see norms */

struct hnsw_codec;
struct hnsw_point;

/*
 * The graph, in memory or mapped.  Layer 0 links nodes.  The layers above link
 * "uppers", which number the nodes that have such layers in order of node, so that
 * they stay small: upper u is node upper_node[u] and owns the rows
 * upper_first[u] .. upper_first[u+1]-1 of upper_links, layer 1 first.
 */
struct hnsw {
	struct hnsw_head head;
	const struct hnsw_codec *codec; /* of head.storage: see hnsw/codec_internal.h */
	size_t row_bytes;		/* of a row of vectors */
	const void *vectors;	    /* nodes x stride floats, as codec->half says, zeros
				     * after dim; unit length if cosine; none if the codes are
				     * exact, or just built from a set */
	const uint8_t *codes;	    /* nodes x code_stride, 128 after dim; none for floats only */
	const uint32_t *norms;	    /* nodes: sums of squares of (code - 128), if there are codes;
				     * with HNSW_ROW_UNITS the bits of the row's unit, a float */
	const float *centre;	    /* stride, if there are codes */
	const uint32_t *links0;	    /* nodes x stride0; the first m0 are used */
	const uint32_t *upper_node; /* upper */
	const uint32_t *upper_first; /* upper + 1 */
	const uint32_t *upper_links; /* upper_rows x stride_upper; the first m are used */
	const uint32_t *node_row;    /* nodes */
	const uint32_t *dup_node;    /* dups, increasing: further rows of a node */
	const uint32_t *dup_row;     /* dups, increasing for equal nodes */
	/*
	 * Increasing; with what they lead to, all that the entry point does not lead to.  A beam
	 * starts from them when everything else is expanded and its pool is not full yet.
	 */
	const uint32_t *stray;
	const uint64_t *id_end; /* rows, or NULL */
	const char *id_text;
	uint64_t id_text_bytes;
	const struct vec_set *set; /* where floats are read from that are in no file yet */
	/* The index that this one continues, or NULL.  Its nodes and rows are the first ones
	 * here; those of the set come after. */
	const struct hnsw *older;
	bool on_disk;	 /* the vectors are pages of the file */
	uint32_t starts; /* nodes of layer 1 that searches start from, 1..HNSW_MAX_STARTS */
	/* What the above lies in. */
	struct io_map map;
	struct mem_block block[16];
	size_t blocks;
	struct chunk_set chunks;
	char *name;
};

/* How many nodes, and rows, are those of the older index. */
static inline uint32_t hnsw_first_node(const struct hnsw *h)
{
	return h->older ? h->older->head.nodes : 0;
}

static inline uint32_t hnsw_first_row(const struct hnsw *h)
{
	return h->older ? (uint32_t)h->older->head.rows : 0;
}

/* A zeroed block of ${count} x ${size} bytes that lives as long as the index, or NULL. */
void *hnsw_block(struct hnsw *h, size_t count, size_t size, struct err *err) MUST_CHECK;

/* Give the block that begins at ${p} back. */
void hnsw_drop_block(struct hnsw *h, const void *p);

/* Ask the system for the vectors of ${count} nodes that lie on disk, before they are read. */
void hnsw_ask_disk(const struct hnsw *h, uint32_t node, uint32_t count);

/* Copy the ids of a set, if it has any. */
int hnsw_keep_ids(struct hnsw *h, const struct vec_set *set, struct err *err) MUST_CHECK;

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

/* The node that a search of layer 0 can always start from. */
static inline uint32_t hnsw_entry_node(const struct hnsw *h)
{
	return h->head.upper ? h->upper_node[h->head.entry] : 0;
}

static inline const uint8_t *hnsw_code(const struct hnsw *h, uint32_t node)
{
	return h->codes + (size_t)node * h->head.code_stride;
}

/* The unit of a node's code. */
static inline float hnsw_code_unit(const struct hnsw *h, uint32_t node)
{
	float unit = h->head.unit;
	if (h->head.flags & HNSW_ROW_UNITS)
		memcpy(&unit, h->norms + node, sizeof unit);
	return unit;
}

/* A row of h->vectors. */
static inline const void *hnsw_row(const struct hnsw *h, uint32_t node)
{
	return (const char *)h->vectors + node * h->row_bytes;
}

/* A node's vector, padded; where it is not at hand as floats it is put together in ${tmp}, a stride
 * long, from what there is. */
const float *hnsw_vector(const struct hnsw *h, uint32_t node, float *tmp);

/* Row ${row}, one of the set that an index is built from, as the index has it: a stride long,
 * padded, of unit length if cosine, rounded if it will be held in 16 bits. */
void hnsw_read_row(const struct hnsw *h, uint32_t row, float *out);

/* Make of a vector, a stride long, what the index has of it. */
void hnsw_bring_into_form(const struct hnsw *h, float *v);

/*
 * Read all rows of ${h}->set, number the nodes, and hold them as the older index does, or as is
 * wanted.  Sets vectors_digest, nodes, node_row, the duplicates, and what the codec makes.
 */
int hnsw_load(struct hnsw *h, enum hnsw_storage want, const struct hnsw_build_opts *opts,
	      struct err *err) MUST_CHECK;

/* Digest of everything but the vectors, the ids and ef_search. */
struct digest hnsw_graph_digest(const struct hnsw *h);

#define HNSW_TOUCHED_MAX 8192 /* beyond that, clearing all visited bits is as cheap */

/* Room for ${keys} keys in s->pool. */
int hnsw_scratch_reserve(struct hnsw_scratch *s, size_t keys, struct err *err) MUST_CHECK;

#endif
