/* SPDX-License-Identifier: MIT */
#ifndef BASE_CHUNK_H
#define BASE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/io.h"

/*
 * Binary files made of named chunks, meant to be mapped.  hnsw-index(5) has the
 * layout:
 *
 *	0   magic "\x89HNSW\r\n\x1a"
 *	8   u32 kind, u32 version, u64 size of the file, u32 number of chunks, u32 0
 *	32  per chunk: u32 name, u32 0, u64 offset, u64 size, u64 XXH64 of its bytes
 *	    u64 XXH64 of all the above
 *	    the chunks, in order, each at a multiple of 64, gaps zero
 *
 * Numbers are little-endian.  A name or kind is four ASCII characters.
 */
#define CHUNK_MAX 32
#define CHUNK_ALIGN 64
#define CHUNK_NAME(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* Where the content of a chunk comes from that does not lie in memory: items of ${bytes} bytes,
 * which divide its size. */
struct chunk_source {
	size_t bytes;
	/* The items ${first}..${first}+${count}-1. */
	void (*read)(void *ctx, uint64_t first, size_t count, void *out);
	void *ctx;
};

struct chunk {
	uint32_t name;
	const void *data;
	const struct chunk_source *source; /* instead of data; only to be written */
	uint64_t size;
	uint64_t xxh64;
};

struct chunk_set {
	uint32_t version;
	uint32_t count;
	struct chunk chunk[CHUNK_MAX];
};

/* The first bytes of any such file. */
extern const unsigned char chunk_magic[8];

/* Append to a set that will be written; ${data} stays the caller's. */
void chunk_add(struct chunk_set *c, uint32_t name, const void *data, uint64_t size);

/* The same, but of items that are made while it is written; then only to a regular file. */
void chunk_add_source(struct chunk_set *c, uint32_t name, const struct chunk_source *source,
		      uint64_t size);

/* Write all of it to a descriptor; the checksums are computed here. */
int chunk_write(struct chunk_set *c, uint32_t kind, int fd, const char *name,
		struct err *err) MUST_CHECK;

/*
 * Read the table of contents of a mapped file and check all of it: magic, kind,
 * version 1..${max_version}, sizes, order, alignment, own checksum; ERR_DATA if
 * anything is off.  Nothing is allocated; the chunks point into ${map}.  Chunk
 * contents are checked by chunk_verify() only.
 */
int chunk_read(struct chunk_set *c, const struct io_map *map, uint32_t kind, uint32_t max_version,
	       const char *name, struct err *err) MUST_CHECK;

/* The checksum of a file's table of contents, which stands for all of its content. */
int chunk_seal(const char *path, uint64_t *out, struct err *err) MUST_CHECK;

/* Size of the whole file that chunk_write() makes. */
uint64_t chunk_file_size(const struct chunk_set *c);

/* The chunk of that name, or NULL. */
const struct chunk *chunk_find(const struct chunk_set *c, uint32_t name);

/* Compare every checksum; ERR_DATA names the first chunk that differs. */
int chunk_verify(const struct chunk_set *c, const char *name, struct err *err) MUST_CHECK;

#endif
