/* SPDX-License-Identifier: MIT */
/* Choosing links among candidates. */
#include "hnsw/search_internal.h"

#define GROUP 4 /* kept ones that a candidate is compared with at once */

/* Those that a candidate is compared with. */
struct kept {
	uint32_t node[2 * HNSW_MAX_M];
	size_t count;
};

/* Whether a candidate is nearer to the base than to each of those. */
static bool is_diverse(const struct hnsw *h, struct hnsw_scratch *s, const struct kept *k,
		       uint32_t node, float to_base)
{
	struct hnsw_point p;
	float d[GROUP];
	bool good = true;
	if (!k->count)
		return true;
	hnsw_point_node(h, s, node, 1, &p);
	for (size_t j = 0; good && j < k->count; j += GROUP) {
		size_t n = k->count - j < GROUP ? k->count - j : GROUP;
		hnsw_distances(h, s, &p, k->node + j, n, d);
		for (size_t i = 0; i < n; i++)
			good &= !(d[i] < to_base);
	}
	return good;
}

size_t hnsw_choose(const struct hnsw *h, struct hnsw_scratch *s, bool upper, uint64_t *key,
		   size_t count, size_t room, size_t *diverse)
{
	struct kept all = {.count = 0}, new = {.count = 0};
	uint64_t pruned[2 * HNSW_MAX_M];
	size_t spare = 0, want_pruned = h->head.flags & HNSW_KEEP_PRUNED ? room : 0;
	for (size_t i = 0; i < count && all.count < room; i++) {
		uint32_t node = upper ? h->upper_node[pool_node(key[i])] : pool_node(key[i]);
		bool old = key[i] & 1;
		if (is_diverse(h, s, old ? &new : &all, node, topk_distance(key[i]))) {
			key[all.count] = key[i];
			all.node[all.count++] = node;
			if (!old)
				new.node[new.count++] = node;
		} else if (spare < want_pruned) {
			pruned[spare++] = key[i];
		}
	}
	size_t kept = *diverse = all.count;
	for (size_t i = 0; i < spare && kept < room; i++)
		key[kept++] = pruned[i];
	return kept;
}
