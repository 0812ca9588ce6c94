/* SPDX-License-Identifier: MIT */
#ifndef HNSW_SEARCH_INTERNAL_H
#define HNSW_SEARCH_INTERNAL_H

#include "hnsw/codec_internal.h"
#include "vec/topk.h"

/* Walking a graph, and choosing and mending its links: what builds and searches have in common. */

/* One entry of the search pool: order of (distance, node), lowest bit: expanded. */
static inline uint64_t pool_key(float distance, uint32_t node)
{
	return topk_key(distance, node << 1);
}

static inline uint32_t pool_node(uint64_t key)
{
	return (uint32_t)key >> 1;
}

/* Greedy descent (Algorithm 2 with ef = 1) from the entry point to layer ${level} >= 1;
 * the nearest upper there, as key of (distance, upper). */
uint64_t hnsw_descend(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		      uint32_t level);

/*
 * Beam search (Algorithm 2) on layer ${level} from ${count} entries in s->pool, sorted; leaves up
 * to ${ef} keys there in increasing order and returns how many.  On layers above 0
 * entries and results are uppers.
 */
size_t hnsw_beam(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		 uint32_t level, size_t count, size_t ef);

/*
 * Algorithm 4, without extending: walk the candidates from near to far and keep one if it is
 * nearer to the base than to every kept one; then, if the index asks for that, the nearest of the
 * others as far as there is room.  ${key}: ${count} keys in order; those with bit 0 set are known
 * to be diverse among themselves. The kept ones are moved to the front, the first ${diverse} of
 * them mutually diverse.  Returns how many, at most ${room}.
 */
size_t hnsw_choose(const struct hnsw *h, struct hnsw_scratch *s, bool upper, uint64_t *key,
		   size_t count, size_t room, size_t *diverse);

/*
 * Widths at which a beam that is wider is asked what narrower ones would have found.  A beam of
 * width e pops and admits what a wider one does, in the same order, until the first e entries of
 * the pool are all expanded; that is where it stops.  So the wider one passes through the results
 * of all narrower ones.
 */
struct hnsw_stops {
	const size_t *ef; /* increasing */
	size_t n, next;
	size_t
	    lowest; /* place in the pool where something came in since the last stop, or SIZE_MAX */
	/* ef[next] is reached: its pool is the beginning of s->pool, which has ${count} entries. */
	void (*reached)(struct hnsw_stops *stops, size_t count);
};

/* Beam search on layer 0 of the greatest width, with stops. */
size_t hnsw_beam_stops(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		       size_t count, struct hnsw_stops *stops);

/* Ask for the vectors of nodes from memory, before exact distances. */
void hnsw_ask_for_vectors(const struct hnsw *h, const uint32_t *nodes, size_t count);

/*
 * Find what the entry point does not lead to on layer 0.  With ${add}, a node of that gets a link
 * from a near one that is reached and has a free place, but not where the metric leaves most nodes
 * out.  No link is ever taken away: those that nothing near has a place for become strays.  ${links}: h->links0, writable.
 */
int hnsw_repair(struct hnsw *h, uint32_t *links, bool add, struct hnsw_scratch *s,
		struct err *err) MUST_CHECK;

/*
 * Mark what layer 0 reaches from ${from} in ${reached} (a bit a node).  ${queue}: room for all
 * nodes.  Returns how many were newly reached.
 */
uint32_t hnsw_reach(const struct hnsw *h, uint32_t from, uint64_t *reached, uint32_t *queue);

/*
 * Find where a search of layer 0 starts: the ${starts} nodes of layer 1 that are nearest to the
 * point, and the entry point, in order, at the front of s->pool, which has room for all of these.
 * How many, at most ${ef}.
 */
size_t hnsw_find_start(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		       uint32_t starts, size_t ef);

/*
 * Choose from how many nodes of layer 1 searches start, by a trial on the finished graph; an index
 * that is continued by less than itself keeps its number.  ${scratch}: one a thread.
 */
int hnsw_choose_starts(struct hnsw *h, struct hnsw_scratch *scratch, struct par *par,
		       struct err *err) MUST_CHECK;

#endif
