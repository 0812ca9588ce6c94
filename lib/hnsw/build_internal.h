/* SPDX-License-Identifier: MIT */
#ifndef HNSW_BUILD_INTERNAL_H
#define HNSW_BUILD_INTERNAL_H

#include "hnsw/search_internal.h"

/* A graph that is being built: nodes come in by batches. */

/* Links carry their distance while building. */
struct layer {
	uint32_t *links;
	float *dist;
	uint16_t *diverse; /* a row: how many of its first links are mutually diverse */
	uint32_t stride, room;
	struct mem_block dist_block;
};

/* Asks the row ${to} (a node; above layer 0 the number of the row) for a link to ${from}. */
struct back_link {
	uint32_t to, from;
	float distance;
};

struct build {
	struct hnsw *h; /* head.upper counts the uppers that were inserted so far */
	struct layer base, upper;
	uint8_t *level; /* a node */
	struct par *par;
	struct hnsw_scratch *scratch; /* one a thread */
	uint32_t *upper_of;	      /* of the batch's nodes: number as upper */
	uint32_t done;		      /* nodes inserted; the batch is done .. batch_end-1 */
	uint32_t batch_end;
	struct back_link *request, *other;
	uint32_t *group; /* where the requests of a destination begin */
	const struct layer *merge_layer;
	bool merge_upper;
	uint32_t *rung_nodes; /* of the rungs: how many nodes each has */
	size_t rung;	      /* the next one */
	bool bulk;	      /* layer 0 is linked already; only layers above are left */
};

/* Rows of links for layer 0 or the layers above, in blocks of ${h}. */
int hnsw_layer_alloc(struct hnsw *h, struct layer *l, size_t rows, bool upper,
		     struct err *err) MUST_CHECK;
void hnsw_layer_release(struct layer *l);

/* Link a node on a layer to some of what was found, ${count} keys in the pool. */
void hnsw_link_node(struct build *b, struct hnsw_scratch *s, uint32_t level, size_t row,
		    size_t count);

/* Merge the links back on layer 0 of all nodes from ${first} on, where there is none yet. */
void hnsw_link_back_all(struct build *b, uint32_t first);

/* Sort keys; a few, as a rule. */
void hnsw_sort_keys(uint64_t *key, size_t count);

/* Nodes of the batch that follows ${done} ones, unless it ends before. */
uint32_t hnsw_batch_size(uint32_t done);

/* Find where the batch that begins at ${b}->done ends. */
void hnsw_next_batch(struct build *b);

/* Insert the batch. */
void hnsw_insert_batch(struct build *b);

/*
 * Make the graph of ${h}, whose rows are loaded: levels, links, repair, digest.  If it continues
 * an older index, the nodes of that are taken over, and the others inserted.
 */
int hnsw_link_all(struct hnsw *h, const struct hnsw_build_opts *opts, struct err *err) MUST_CHECK;

/* ---- layer 0 in bulk ---- */

/* How many nodes are inserted before the others may be linked in bulk; all, if they may not. */
uint32_t hnsw_bulk_first(const struct hnsw *h, const struct hnsw_build_opts *opts);

/* Link the nodes from ${b}->done on to each other and to those before on layer 0, and set
 * ${b}->bulk; do nothing if that is not as good as inserting them. */
int hnsw_bulk(struct build *b, const struct hnsw_build_opts *opts, struct err *err) MUST_CHECK;

/* ---- rungs ---- */

/* ERR_USAGE unless the rungs that are asked for increase and lie below the number of rows. */
int hnsw_check_rungs(const struct hnsw_build_opts *opts, uint64_t rows, struct err *err) MUST_CHECK;

/* How many nodes each rung has, into ${nodes}. */
int hnsw_count_rungs(const struct hnsw *h, const struct hnsw_build_opts *opts, uint32_t *nodes,
		     struct err *err) MUST_CHECK;

/* Hand out the next rung, if the batch reaches it, and those after it. */
int hnsw_pass_rungs(struct build *b, const struct hnsw_build_opts *opts,
		    struct err *err) MUST_CHECK;

/* ---- going on with an older index ---- */

/* Take the links of the older index over, and compute their distances. */
void hnsw_take_links(struct build *b);

#endif
