/* SPDX-License-Identifier: MIT */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom
 * number generators", OOPSLA 2014): a bijection of 64-bit values that mixes well.
 */
static inline uint64_t rng_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

/* A hash of (seed, item): the same on every machine, independent of any order. */
static inline uint64_t rng_hash(uint64_t seed, uint64_t item)
{
	return rng_mix(rng_mix(seed + 0x9E3779B97F4A7C15u) ^ (item + 1) * 0x9E3779B97F4A7C15u);
}

/* SplitMix64 as a stream. */
struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	return rng_mix(r->state += 0x9E3779B97F4A7C15u);
}

/* Uniform in 0..bound-1, without bias (D. Lemire, arXiv:1805.10941).  bound >= 1. */
uint64_t rng_below(struct rng *r, uint64_t bound);

/* A seeded permutation of 0..n-1 into ${out} (Fisher-Yates). */
void rng_permutation(uint64_t seed, uint32_t *out, uint32_t n);

/* Unpredictable bytes from the system. */
int rng_system(void *out, size_t len, struct err *err) MUST_CHECK;

#endif
