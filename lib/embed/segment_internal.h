/* SPDX-License-Identifier: MIT */
#ifndef EMBED_SEGMENT_INTERNAL_H
#define EMBED_SEGMENT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/io.h"

struct segment_key {
	struct digest key;
	uint64_t sum; /* XXH64 of the vector, seeded with key.lo */
};

/* A segment of the cache that is mapped. */
struct segment {
	char *name;
	struct io_map map;
	uint32_t dim;
	uint64_t rows;
	const struct segment_key *keys; /* sorted */
	const float *v;
};

/* A vector that is to be written. */
struct segment_entry {
	struct segment_key k;
	const float *v;
};

struct segment_key segment_key(struct digest key, const float *v, uint32_t dim);

/* Check a mapped segment and find its parts; the vectors themselves are checked by
 * segment_find(). */
bool segment_read(struct segment *g);
void segment_release(struct segment *g);

/* The vector of that key, or NULL. */
const float *segment_find(const struct segment *g, struct digest key);

/* Write a segment; sorts the entries and drops repeated ones. */
int segment_write(int fd, struct segment_entry *e, size_t n, uint32_t dim,
		  struct err *err) MUST_CHECK;

#endif
