/* SPDX-License-Identifier: MIT */
/*
 * Inserting nodes into a graph, deterministically and in parallel: they are inserted in batches.
 * Every node of a batch searches the graph as it was before the batch and writes only its own rows
 * of links; then the links back are merged, each destination by one thread, from a list sorted by
 * (distance, node).  No step depends on which thread does it. (The scheme of ParlayANN, Dobson et
 * al., PPoPP 2024.)
 *
 * Batches grow with the graph up to a fixed number, so where they end depends only on
 * what is already there, not on how much will come.  The larger they are, the more threads find
 * work in them; that the nodes of one do not find each other costs nothing as long as they are few
 * of all.
 *
 * Where it is as good, most nodes are linked on layer 0 in bulk instead (bulk.c); batches then only
 * insert them into the layers above.
 */
#include "hnsw/build_internal.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_SHARE 64 /* a batch is at most this part of the graph, */
#define BATCH_MAX 8192 /* and at most so many nodes */

/* ---- rows of links ---- */

int hnsw_layer_alloc(struct hnsw *h, struct layer *l, size_t rows, bool upper, struct err *err)
{
	l->stride = upper ? h->head.stride_upper : h->head.stride0;
	l->room = upper ? h->head.m : h->head.m0;
	l->links = hnsw_block(h, rows, l->stride * sizeof *l->links, err);
	if (!l->links ||
	    mem_block_alloc(&l->dist_block, rows * l->stride * sizeof *l->dist + 64, err) != 0)
		return -1;
	l->dist = l->dist_block.p;
	l->diverse = mem_zeroed(rows, sizeof *l->diverse, err);
	return l->diverse ? 0 : -1;
}

void hnsw_layer_release(struct layer *l)
{
	mem_block_release(&l->dist_block);
	free(l->diverse);
}

/* ${diverse}: how many, at the front, were found to be diverse. */
static void write_row(const struct layer *l, size_t row, const uint64_t *key, size_t count,
		      size_t diverse)
{
	uint32_t *links = l->links + row * l->stride;
	float *dist = l->dist + row * l->stride;
	for (size_t i = 0; i < count; i++) {
		links[i] = pool_node(key[i]);
		dist[i] = topk_distance(key[i]);
	}
	for (size_t i = count; i < l->stride; i++)
		links[i] = HNSW_NONE;
	l->diverse[row] = (uint16_t)diverse;
}

/* ---- phase one: each node of the batch finds its neighbours ---- */

void hnsw_link_node(struct build *b, struct hnsw_scratch *s, uint32_t level, size_t row,
		    size_t count)
{
	const struct hnsw_head *d = &b->h->head;
	bool upper = level > 0;
	size_t m = !upper && d->flags & HNSW_KEEP_PRUNED ? d->m0 : d->m, diverse = 0;
	for (size_t i = 0; i < count; i++)
		s->pool[i] &= ~(uint64_t)1; /* it was expanded; here it would be diverse */
	if (count > m)
		count = hnsw_choose(b->h, s, upper, s->pool, count, m, &diverse);
	write_row(upper ? &b->upper : &b->base, row, s->pool, count, diverse);
}

static void insert_node(struct build *b, struct hnsw_scratch *s, uint32_t node)
{
	const struct hnsw *h = b->h;
	struct hnsw_point p;
	size_t ef = h->head.ef_construction, count;
	uint32_t level = b->level[node], top = h->head.upper ? h->head.max_level : 0;
	uint32_t upper_row = level ? h->upper_first[b->upper_of[node - b->done]] : 0;
	if (b->bulk && !level)
		return;
	hnsw_point_node(h, s, node, 0, &p);
	if (top) {
		s->pool[0] = hnsw_descend(h, s, &p, level < top ? level : top);
		for (uint32_t l = level < top ? level : top; l > 0; l--) {
			count = hnsw_beam(h, s, &p, l, 1, ef);
			uint64_t nearest = s->pool[0];
			hnsw_link_node(b, s, l, upper_row + l - 1, count);
			s->pool[0] = nearest & ~(uint64_t)1;
		}
		s->pool[0] =
		    pool_key(topk_distance(s->pool[0]), h->upper_node[pool_node(s->pool[0])]);
	} else {
		uint32_t first = 0;
		float d;
		hnsw_distances(h, s, &p, &first, 1, &d);
		s->pool[0] = pool_key(d, first);
	}
	for (uint32_t l = top + 1; l <= level; l++)
		write_row(&b->upper, upper_row + l - 1, NULL, 0, 0);
	if (b->bulk)
		return;
	count = hnsw_beam(h, s, &p, 0, 1, ef);
	hnsw_link_node(b, s, 0, node, count);
}

static void insert_nodes(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct build *b = ctx;
	for (uint64_t i = begin; i < end; i++)
		insert_node(b, &b->scratch[thread], b->done + (uint32_t)i);
}

/* ---- phase two: links back ---- */

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

void hnsw_sort_keys(uint64_t *key, size_t count)
{
	if (count > 64) {
		qsort(key, count, sizeof *key, by_key);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		uint64_t k = key[i];
		size_t j = i;
		for (; j && key[j - 1] > k; j--)
			key[j] = key[j - 1];
		key[j] = k;
	}
}

/* Add ${count} links to the row of ${to}; if they do not fit, choose anew among all. */
static void merge_links(struct build *b, struct hnsw_scratch *s, const struct back_link *r,
			size_t count)
{
	uint64_t *key = s->pool;
	const struct layer *l = b->merge_layer;
	size_t row = r->to, have = 0;
	uint32_t *links = l->links + row * l->stride;
	float *dist = l->dist + row * l->stride;
	while (have < l->room && links[have] != HNSW_NONE)
		have++;
	if (have + count <= l->room) {
		for (size_t i = 0; i < count; i++) {
			links[have + i] = r[i].from;
			dist[have + i] = r[i].distance;
		}
		return;
	}
	size_t n = 0;
	/* Those that are known to be diverse need not be compared with each other again. */
	size_t diverse = l->diverse[row];
	for (size_t i = 0; i < have; i++)
		key[n++] = pool_key(dist[i], links[i]) | (i < diverse);
	for (size_t i = 0; i < count; i++)
		key[n++] = pool_key(r[i].distance, r[i].from);
	hnsw_sort_keys(key, n);
	n = hnsw_choose(b->h, s, b->merge_upper, key, n, l->room, &diverse);
	write_row(l, row, key, n, diverse);
}

static int by_distance(const void *a, const void *b)
{
	const struct back_link *x = a, *y = b;
	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

/* Sort a group from near to far; one of a hub may hold a whole batch. */
static void sort_group(struct back_link *r, size_t count)
{
	if (count > 64) {
		qsort(r, count, sizeof *r, by_distance);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		struct back_link one = r[i];
		size_t j = i;
		for (; j && by_distance(&one, &r[j - 1]) < 0; j--)
			r[j] = r[j - 1];
		r[j] = one;
	}
}

static void merge_groups(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct build *b = ctx;
	for (uint64_t g = begin; g < end; g++) {
		struct back_link *r = b->request + b->group[g];
		size_t count = b->group[g + 1] - b->group[g];
		sort_group(r, count);
		merge_links(b, &b->scratch[thread], r, count);
	}
}

/* Order ${n} requests by destination: by one byte of its number after the other. */
static void order_by_destination(struct build *b, size_t n)
{
	uint32_t most = 0;
	for (size_t i = 0; i < n; i++)
		most |= b->request[i].to;
	for (int shift = 0; shift < 32 && most >> shift; shift += 8) {
		size_t at[256] = {0}, sum = 0;
		for (size_t i = 0; i < n; i++)
			at[b->request[i].to >> shift & 255]++;
		for (int k = 0; k < 256; k++) {
			size_t count = at[k];
			at[k] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			b->other[at[b->request[i].to >> shift & 255]++] = b->request[i];
		struct back_link *swap = b->request;
		b->request = b->other;
		b->other = swap;
	}
}

/* Group ${n} requests by destination, and merge them. */
static void merge_all(struct build *b, const struct layer *l, bool upper, size_t n)
{
	size_t groups = 0;
	order_by_destination(b, n);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || b->request[i].to != b->request[i - 1].to)
			b->group[groups++] = (uint32_t)i;
	b->group[groups] = (uint32_t)n;
	b->merge_layer = l;
	b->merge_upper = upper;
	par_run(b->par, groups, 4, merge_groups, b);
}

/* Whether a row has a link. */
static bool has_link(const struct layer *l, size_t row, uint32_t to)
{
	const uint32_t *links = l->links + row * l->stride;
	for (size_t i = 0; i < l->room && links[i] != HNSW_NONE; i++)
		if (links[i] == to)
			return true;
	return false;
}

/* Ask for the links back that are not there. */
static size_t collect(struct build *b, const struct layer *l, size_t row, uint32_t from, size_t n)
{
	const uint32_t *links = l->links + row * l->stride;
	const float *dist = l->dist + row * l->stride;
	for (size_t i = 0; i < l->room && links[i] != HNSW_NONE; i++)
		if (!b->bulk || l == &b->upper || !has_link(l, links[i], from))
			b->request[n++] = (struct back_link){links[i], from, dist[i]};
	return n;
}

uint32_t hnsw_batch_size(uint32_t done)
{
	uint32_t size = done / BATCH_SHARE;
	return size < 1 ? 1 : size > BATCH_MAX ? BATCH_MAX : size;
}

/* Links back on layer 0 of the nodes from ${first} to before ${end}. */
static void link_back_base(struct build *b, uint32_t first, uint32_t end)
{
	size_t n = 0;
	for (uint32_t node = first; node < end; node++)
		n = collect(b, &b->base, node, node, n);
	merge_all(b, &b->base, false, n);
}

void hnsw_link_back_all(struct build *b, uint32_t first)
{
	/* So many at once as there is room for their requests. */
	uint32_t nodes = b->h->head.nodes, most = hnsw_batch_size(nodes);
	for (; first < nodes; first += most)
		link_back_base(b, first, nodes - first < most ? nodes : first + most);
}

static void link_back(struct build *b)
{
	const struct hnsw *h = b->h;
	size_t n = 0;
	if (!b->bulk)
		link_back_base(b, b->done, b->batch_end);
	for (uint32_t l = 1; l <= h->head.max_level; l++) {
		n = 0;
		for (uint32_t node = b->done; node < b->batch_end; node++) {
			uint32_t u = b->upper_of[node - b->done];
			if (b->level[node] < l)
				continue;
			size_t before = n;
			n = collect(b, &b->upper, h->upper_first[u] + l - 1, u, n);
			/* Name the destination by its row on this layer. */
			for (size_t i = before; i < n; i++)
				b->request[i].to = h->upper_first[b->request[i].to] + l - 1;
		}
		if (n)
			merge_all(b, &b->upper, true, n);
	}
}

/* ---- batches ---- */

void hnsw_next_batch(struct build *b)
{
	const struct hnsw *h = b->h;
	uint32_t size = hnsw_batch_size(b->done), end = b->done, u = h->head.upper;
	uint32_t top = u ? h->head.max_level : 0;
	while (end < h->head.nodes && end - b->done < size) {
		/* A new entry point is linked before anything starts from it. */
		bool rises = b->level[end] > top;
		if (rises && end > b->done)
			break;
		b->upper_of[end - b->done] = b->level[end] ? u++ : HNSW_NONE;
		end++;
		if (rises)
			break;
	}
	b->batch_end = end;
}

void hnsw_insert_batch(struct build *b)
{
	struct hnsw_head *head = &b->h->head;
	uint32_t last = b->batch_end - 1, upper = head->upper;
	if (b->done == 0) {
		/* The first node has no neighbours. */
		write_row(&b->base, 0, NULL, 0, 0);
		for (uint32_t l = 0; l < b->level[0]; l++)
			write_row(&b->upper, l, NULL, 0, 0);
	} else {
		par_run(b->par, b->batch_end - b->done, 1, insert_nodes, b);
		link_back(b);
	}
	for (uint32_t node = b->done; node < b->batch_end; node++)
		upper += b->level[node] > 0;
	if (upper && (head->upper == 0 || b->level[last] > head->max_level)) {
		head->max_level = b->level[last];
		head->entry = b->upper_of[last - b->done];
	}
	head->upper = upper;
	b->done = b->batch_end;
}
