/* SPDX-License-Identifier: MIT */
#ifndef VEC_TOPK_H
#define VEC_TOPK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A distance and a 32-bit number in one integer whose order is that of (distance,
 * number).  The distance must not be NaN; -0 orders before +0.
 */
static inline uint64_t topk_key(float distance, uint32_t number)
{
	uint32_t b;
	memcpy(&b, &distance, sizeof b);
	b ^= b >> 31 ? 0xffffffffu : 0x80000000u;
	return (uint64_t)b << 32 | number;
}

static inline float topk_distance(uint64_t key)
{
	uint32_t b = (uint32_t)(key >> 32);
	float distance;
	b ^= b >> 31 ? 0x80000000u : 0xffffffffu;
	memcpy(&distance, &b, sizeof distance);
	return distance;
}

static inline uint32_t topk_number(uint64_t key)
{
	return (uint32_t)key;
}

/* The ${k} least keys seen, in increasing order in key[0..count-1]. */
struct topk {
	uint64_t *key; /* the caller's, room for ${k} */
	size_t count, k;
};

/* Keys at or above this are not taken. */
static inline uint64_t topk_bound(const struct topk *t)
{
	return t->count < t->k ? UINT64_MAX : t->key[t->k - 1];
}

static inline void topk_add(struct topk *t, uint64_t key)
{
	if (key >= topk_bound(t))
		return;
	size_t lo = 0, hi = t->count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (t->key[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (t->count < t->k)
		t->count++;
	memmove(t->key + lo + 1, t->key + lo, (t->count - 1 - lo) * sizeof *t->key);
	t->key[lo] = key;
}

#endif
