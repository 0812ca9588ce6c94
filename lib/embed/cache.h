/* SPDX-License-Identifier: MIT */
#ifndef EMBED_CACHE_H
#define EMBED_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "store/store.h"

#define EMBED_CACHE_PREFIX "_hnsw_embeddings/"

/*
 * Vectors of texts that were embedded before, in a store, by digest.  Vectors are added to
 * segments, each a write-once blob of many with its keys sorted; hnsw-store(5) has the layout.
 * Eight segments of like size are merged into one, so there are few to look into, and a vector
 * is written again only as often as the logarithm of their number.
 *
 * A cache is worth less than what it is for: whatever goes wrong here is a warning, and from then
 * on the cache finds and keeps nothing.
 */
struct embed_cache;

/*
 * ${about}: one JSON object that tells what vectors these are; caches of different ${about} have
 * nothing in common.  ${keep}: whether anything is to be written.  The store stays the caller's.
 * NULL: no memory.
 */
struct embed_cache *embed_cache_open(struct store *s, struct span about, bool keep,
				     const struct warn_to *w, struct err *err) MUST_CHECK;

/* Write what was added, and free. */
void embed_cache_close(struct embed_cache *c);

/* The vector of that key, if there is one whose dimension is ${dim} (or any, if ${dim} is 0; then
 * it is set); it lives until the next embed_cache_add().  NULL: none. */
const float *embed_cache_find(struct embed_cache *c, struct digest key, uint32_t *dim);

/* Add a vector; all that are added have the same dimension.  Written every now and then. */
void embed_cache_add(struct embed_cache *c, struct digest key, const float *v, uint32_t dim);

#endif
