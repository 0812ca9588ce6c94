/* SPDX-License-Identifier: MIT */
/*
 * Dividing the nodes into overlapping leaves: some nodes are leaders, and each node joins the
 * leaves of the ${fan} leaders that are nearest to it.  What has become too large is divided
 * again, without overlapping.  Nodes are numbered in a random order, so the first ones of any
 * group are as good leaders as others.  (The ball carving of PiPNN, arXiv:2602.21247.)
 *
 * Many leaders are grouped about some of them, each in the groups of the GROUP_FAN nearest, and a
 * node looks for its own only in the nearest group: a few hundred distances find what thousands
 * would.
 */
#include "hnsw/bulk_internal.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 96	/* nodes that are compared with all leaders at once */
#define FEW_LEADERS 300 /* that need no groups */
#define GROUP_FAN 12 /* as many groups a leader is in */
#define LOOK_UP_MAX (GROUP_FAN > HNSW_FAN_MAX ? GROUP_FAN : HNSW_FAN_MAX)
#define DEPTH_MAX 8

/* ---- the nearest leaders of nodes ---- */

struct lookup {
	const struct build *b;
	const uint32_t *node;
	struct hnsw_some leaders;
	uint32_t fan, *out; /* a node: ${fan} numbers of leaders */
	struct mem_block wide;
	struct lookup_worker {
		struct mem_block wide; /* CHUNK nodes */
		float *dist;	       /* CHUNK x leaders */
	} * worker;		       /* one a thread */
};

static void take_nearest(const struct lookup *v, const float *dist, uint32_t *out)
{
	uint64_t key[LOOK_UP_MAX];
	struct topk near = {key, 0, v->fan};
	for (size_t j = 0; j < v->leaders.count; j++)
		topk_add(&near, topk_key(dist[j], (uint32_t)j));
	for (uint32_t f = 0; f < v->fan; f++)
		out[f] = topk_number(key[f]);
}

static void look_up(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct lookup *v = ctx;
	const struct hnsw *h = v->b->h;
	struct hnsw_scratch *s = &v->b->scratch[thread];
	struct lookup_worker *w = &v->worker[thread];
	struct hnsw_some from = {v->node + begin, end - begin, w->wide.p};
	hnsw_widen(h, s->kernels, from.node, from.count, w->wide.p);
	hnsw_many_distances(h, s, &from, &v->leaders, w->dist, v->leaders.count);
	for (size_t i = 0; i < from.count; i++)
		take_nearest(v, w->dist + i * v->leaders.count, v->out + (begin + i) * v->fan);
}

/* Into ${out}: the nearest ${fan} of ${leaders}, at least as many, of each of ${count} nodes. */
static int nearest_leaders(const struct build *b, const uint32_t *node, size_t count,
			   const uint32_t *leader, size_t leaders, uint32_t fan, uint32_t *out,
			   struct err *err)
{
	size_t dim = hnsw_wide_dim(b->h) * sizeof(int16_t), threads = (size_t)par_threads(b->par);
	struct lookup v = {.b = b, .node = node, .fan = fan, .out = out};
	int ret = -1;
	v.worker = mem_zeroed(threads, sizeof *v.worker, err);
	if (!v.worker || mem_block_alloc(&v.wide, leaders * dim, err) != 0)
		goto out;
	for (size_t t = 0; t < threads; t++) {
		v.worker[t].dist = mem_array(CHUNK, leaders * sizeof(float), err);
		if (!v.worker[t].dist ||
		    mem_block_alloc(&v.worker[t].wide, CHUNK * dim, err) != 0)
			goto out;
	}
	v.leaders = (struct hnsw_some){leader, leaders, v.wide.p};
	hnsw_widen(b->h, b->scratch->kernels, leader, leaders, v.wide.p);
	par_run(b->par, count, CHUNK, look_up, &v);
	ret = 0;
out:
	for (size_t t = 0; v.worker && t < threads; t++) {
		mem_block_release(&v.worker[t].wide);
		free(v.worker[t].dist);
	}
	free(v.worker);
	mem_block_release(&v.wide);
	return ret;
}

/* ---- groups ---- */

/* Members of groups, one after the other; ${begin} has one more than there are groups. */
struct groups {
	size_t count;
	uint32_t *begin, *at, *member;
};

static void groups_release(struct groups *g)
{
	free(g->begin);
	free(g->at);
	free(g->member);
}

/* Group ${n} things by ${group}, in which each has ${fan} numbers: members are places there. */
static int make_groups(struct groups *g, const uint32_t *group, size_t n, size_t count,
		       struct err *err)
{
	*g = (struct groups){.count = count};
	g->begin = mem_zeroed(count + 1, sizeof *g->begin, err);
	g->at = mem_array(count, sizeof *g->at, err);
	g->member = mem_array(n, sizeof *g->member, err);
	if (!g->begin || !g->at || !g->member)
		return -1;
	for (size_t i = 0; i < n; i++)
		g->begin[group[i] + 1]++;
	for (size_t j = 0; j < count; j++)
		g->begin[j + 1] += g->begin[j];
	memcpy(g->at, g->begin, count * sizeof *g->at);
	for (size_t i = 0; i < n; i++)
		g->member[g->at[group[i]]++] = (uint32_t)i;
	return 0;
}

/* The leaders of each node of group ${i}, from those of the same group of leaders. */
static int look_up_group(const struct build *b, const struct groups *nodes,
			 const struct groups *leaders, size_t i, size_t all, uint32_t fan,
			 uint32_t *out, struct err *err)
{
	const uint32_t *node = nodes->member + nodes->begin[i];
	size_t count = nodes->begin[i + 1] - nodes->begin[i];
	size_t some = leaders->begin[i + 1] - leaders->begin[i], n = some < fan ? all : some;
	uint32_t *leader = mem_array(n, sizeof *leader, err);
	uint32_t *found = mem_array(count, fan * sizeof *found, err);
	int ret = -1;
	if (!leader || !found)
		goto out;
	for (size_t j = 0; j < n; j++)
		leader[j] = some < fan ? (uint32_t)j
				       : leaders->member[leaders->begin[i] + j] / GROUP_FAN;
	if (nearest_leaders(b, node, count, leader, n, fan, found, err) != 0)
		goto out;
	for (size_t j = 0; j < count; j++)
		for (uint32_t f = 0; f < fan; f++)
			out[(size_t)node[j] * fan + f] = leader[found[j * fan + f]];
	ret = 0;
out:
	free(leader);
	free(found);
	return ret;
}

/* The nearest ${fan} of the first ${leaders} nodes for all ${count} nodes, by way of groups. */
static int look_up_all(const struct build *b, const uint32_t *all, size_t count, size_t leaders,
		       uint32_t fan, uint32_t *out, struct err *err)
{
	struct groups of_nodes = {0}, of_leaders = {0};
	uint32_t *near = NULL;
	size_t heads = 2 * GROUP_FAN;
	int ret = -1;
	if (leaders <= FEW_LEADERS)
		return nearest_leaders(b, all, count, all, leaders, fan, out, err);
	while (heads * heads < 4 * leaders)
		heads++;
	near = mem_array(count > leaders * GROUP_FAN ? count : leaders * GROUP_FAN, sizeof *near,
			 err);
	if (!near ||
	    nearest_leaders(b, all, leaders, all, heads, GROUP_FAN, near, err) != 0 ||
	    make_groups(&of_leaders, near, leaders * GROUP_FAN, heads, err) != 0 ||
	    nearest_leaders(b, all, count, all, heads, 1, near, err) != 0 ||
	    make_groups(&of_nodes, near, count, heads, err) != 0)
		goto out;
	for (size_t i = 0; i < heads; i++)
		if (look_up_group(b, &of_nodes, &of_leaders, i, leaders, fan, out, err) != 0)
			goto out;
	ret = 0;
out:
	groups_release(&of_nodes);
	groups_release(&of_leaders);
	free(near);
	return ret;
}

/* ---- leaves ---- */

static int add_leaf(struct hnsw_leaves *l, size_t end, struct err *err)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 256;
		uint32_t *more = mem_resize(l->end, room, sizeof *more, err);
		if (!more)
			return -1;
		l->end = more;
		l->room = room;
	}
	l->end[l->count++] = (uint32_t)end;
	return 0;
}

/* How many leaders ${count} nodes get. */
static size_t count_leaders(const struct hnsw_leaves *l, size_t count, uint32_t fan)
{
	size_t leaders = count * fan / l->size;
	return leaders < 2 * fan ? 2 * fan : leaders;
}

static int make_leaves(const struct build *b, struct hnsw_leaves *l, size_t first, size_t count,
		       int depth, struct err *err);

/* Divide ${count} members from ${first} on, in place, and make leaves of the parts. */
static int divide(const struct build *b, struct hnsw_leaves *l, size_t first, size_t count,
		  int depth, struct err *err)
{
	size_t leaders = count_leaders(l, count, 1);
	struct groups g = {0};
	uint32_t *node = mem_array(count, sizeof *node, err);
	uint32_t *near = mem_array(count, sizeof *near, err);
	uint8_t *rank = mem_array(count, 1, err);
	int ret = -1;
	if (!node || !near || !rank)
		goto out;
	memcpy(node, l->member + first, count * sizeof *node);
	memcpy(rank, l->rank + first, count);
	if (nearest_leaders(b, node, count, node, leaders, 1, near, err) != 0 ||
	    make_groups(&g, near, count, leaders, err) != 0)
		goto out;
	for (size_t i = 0; i < count; i++) {
		l->member[first + i] = node[g.member[i]];
		l->rank[first + i] = rank[g.member[i]];
	}
	for (size_t j = 0; j < leaders; j++)
		if (make_leaves(b, l, first + g.begin[j], g.begin[j + 1] - g.begin[j], depth,
				err) != 0)
			goto out;
	ret = 0;
out:
	groups_release(&g);
	free(node);
	free(near);
	free(rank);
	return ret;
}

/* Make one leaf of ${count} members, or several if these are too many. */
static int make_leaves(const struct build *b, struct hnsw_leaves *l, size_t first, size_t count,
		       int depth, struct err *err)
{
	size_t most = hnsw_leaf_max(l);
	if (count > most && depth < DEPTH_MAX)
		return divide(b, l, first, count, depth + 1, err);
	/* What no leaders tell apart is cut into pieces. */
	for (; count > most; first += most, count -= most)
		if (add_leaf(l, first + most, err) != 0)
			return -1;
	return count ? add_leaf(l, first + count, err) : 0;
}

/* A list of all nodes. */
static uint32_t *list_all(uint32_t nodes, struct err *err)
{
	uint32_t *all = mem_array(nodes, sizeof *all, err);
	for (uint32_t i = 0; all && i < nodes; i++)
		all[i] = i;
	return all;
}

int hnsw_make_leaves(const struct build *b, struct hnsw_leaves *l, struct err *err)
{
	uint32_t nodes = b->h->head.nodes, fan = l->fan;
	size_t leaders = count_leaders(l, nodes, fan), members = (size_t)nodes * fan;
	uint32_t *all = list_all(nodes, err), *near = mem_array(members, sizeof *near, err);
	struct groups g = {0};
	int ret = -1;
	l->rank = mem_array(members, 1, err);
	if (!all || !near || !l->rank ||
	    look_up_all(b, all, nodes, leaders, fan, near, err) != 0 ||
	    make_groups(&g, near, members, leaders, err) != 0)
		goto out;
	free(near);
	near = NULL;
	l->member = g.member;
	g.member = NULL;
	for (size_t i = 0; i < members; i++) {
		l->rank[i] = (uint8_t)(l->member[i] % fan);
		l->member[i] /= fan;
	}
	for (size_t j = 0; j < leaders; j++)
		if (make_leaves(b, l, g.begin[j], g.begin[j + 1] - g.begin[j], 0, err) != 0)
			goto out;
	ret = 0;
out:
	groups_release(&g);
	free(all);
	free(near);
	return ret;
}

int hnsw_find_leaders(const struct build *b, const struct hnsw_leaves *l, const uint32_t *node,
		       size_t count, uint32_t *out, struct err *err)
{
	size_t leaders = count_leaders(l, b->h->head.nodes, l->fan);
	uint32_t *all = list_all((uint32_t)leaders, err);
	int ret = all ? nearest_leaders(b, node, count, all, leaders, l->fan, out, err) : -1;
	free(all);
	return ret;
}

void hnsw_leaves_release(struct hnsw_leaves *l)
{
	free(l->member);
	free(l->rank);
	free(l->end);
	*l = (struct hnsw_leaves){0};
}
