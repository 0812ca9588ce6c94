/* SPDX-License-Identifier: MIT */
#ifndef HNSW_BULK_INTERNAL_H
#define HNSW_BULK_INTERNAL_H

#include "hnsw/build_internal.h"

/* What the bulk way works with: distances of many to many, and leaves. */

/* ---- distances of many nodes to many (pairs.c) ---- */

/* Some nodes.  ${wide}: their codes in 16 bits, hnsw_wide_dim() each; not used for floats. */
struct hnsw_some {
	const uint32_t *node;
	size_t count;
	const int16_t *wide;
};

/* How many elements a code in 16 bits has; 0 if there are no codes. */
size_t hnsw_wide_dim(const struct hnsw *h);

/* Fill ${wide} with the codes of ${count} nodes in 16 bits. */
void hnsw_widen(const struct hnsw *h, const struct dist_kernels *k, const uint32_t *node,
		size_t count, int16_t *wide);

/*
 * out[i * stride + j]: the distance of from.node[i] to to.node[j], the very one that
 * hnsw_distances() has.  Not for inner products.
 */
void hnsw_many_distances(const struct hnsw *h, struct hnsw_scratch *s,
			 const struct hnsw_some *from, const struct hnsw_some *to, float *out,
			 size_t stride);

/* The distances of some nodes among each other, ${count} x ${count}. */
void hnsw_mutual_distances(const struct hnsw *h, struct hnsw_scratch *s,
			   const struct hnsw_some *some, float *out);

/* ---- leaves (leaves.c) ---- */

#define HNSW_FAN_MAX 8 /* leaves a node is in, at most */

/*
 * Overlapping groups of nodes that lie near each other: each node is a member of ${fan} leaves,
 * those of its nearest leaders.
 */
struct hnsw_leaves {
	uint32_t fan, size; /* wanted; no leaf has more than hnsw_leaf_max() */
	uint32_t *member;   /* nodes x fan */
	uint8_t *rank;	    /* of each member: this is its 0th, 1st, ... nearest leaf */
	uint32_t *end;	    /* of each leaf, among the members */
	size_t count, room;
};

/* The most members that a leaf has. */
static inline size_t hnsw_leaf_max(const struct hnsw_leaves *l)
{
	return 2 * (size_t)l->size;
}

int hnsw_make_leaves(const struct build *b, struct hnsw_leaves *l, struct err *err) MUST_CHECK;

/* Into ${out}: the ${l}->fan leaders of each of ${count} nodes, before there are leaves. */
int hnsw_find_leaders(const struct build *b, const struct hnsw_leaves *l, const uint32_t *node,
		      size_t count, uint32_t *out, struct err *err) MUST_CHECK;
void hnsw_leaves_release(struct hnsw_leaves *l);

/* The first member of leaf ${i}, and how many there are. */
static inline size_t hnsw_leaf(const struct hnsw_leaves *l, size_t i, size_t *count)
{
	size_t first = i ? l->end[i - 1] : 0;
	*count = l->end[i] - first;
	return first;
}

#endif
