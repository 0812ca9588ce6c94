/* SPDX-License-Identifier: MIT */
/* Files made of named chunks: writing, mapping and checking them. */
#include "base/chunk.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/num.h"

#define HEADER_BYTES 32
#define ENTRY_BYTES 32
#define SOURCE_BYTES ((size_t)1 << 20) /* written at once */

const unsigned char chunk_magic[8] = {0x89, 'H', 'N', 'S', 'W', '\r', '\n', 0x1a};

static size_t table_bytes(uint32_t count)
{
	return HEADER_BYTES + (size_t)count * ENTRY_BYTES + 8;
}

void chunk_add(struct chunk_set *c, uint32_t name, const void *data, uint64_t size)
{
	if (c->count < CHUNK_MAX)
		c->chunk[c->count++] = (struct chunk){.name = name, .data = data, .size = size};
}

void chunk_add_source(struct chunk_set *c, uint32_t name, const struct chunk_source *source,
		      uint64_t size)
{
	chunk_add(c, name, NULL, size);
	c->chunk[c->count - 1].source = source;
}

uint64_t chunk_file_size(const struct chunk_set *c)
{
	uint64_t at = table_bytes(c->count);
	for (uint32_t i = 0; i < c->count; i++)
		at = num_round_up(at, CHUNK_ALIGN) + c->chunk[i].size;
	return at;
}

/* Write the table of contents, all of whose checksums are known; return its size or 0. */
static size_t write_table(const struct chunk_set *c, uint32_t kind, int fd)
{
	unsigned char table[HEADER_BYTES + CHUNK_MAX * ENTRY_BYTES + 8] = {0};
	uint64_t total = chunk_file_size(c), at = table_bytes(c->count);
	memcpy(table, chunk_magic, 8);
	memcpy(table + 8, &kind, 4);
	memcpy(table + 12, &c->version, 4);
	memcpy(table + 16, &total, 8);
	memcpy(table + 24, &c->count, 4);
	for (uint32_t i = 0; i < c->count; i++) {
		const struct chunk *k = &c->chunk[i];
		unsigned char *e = table + HEADER_BYTES + (size_t)i * ENTRY_BYTES;
		uint64_t offset = num_round_up(at, CHUNK_ALIGN);
		memcpy(e, &k->name, 4);
		memcpy(e + 8, &offset, 8);
		memcpy(e + 16, &k->size, 8);
		memcpy(e + 24, &k->xxh64, 8);
		at = offset + k->size;
	}
	size_t bytes = table_bytes(c->count);
	uint64_t sum = digest_xxh64(table, bytes - 8, 0);
	memcpy(table + bytes - 8, &sum, 8);
	return io_write_all(fd, table, bytes) == 0 ? bytes : 0;
}

/* Write what the source of a chunk gives, and find its checksum. */
static int write_source(struct chunk *k, int fd, const char *name, struct err *err)
{
	const struct chunk_source *s = k->source;
	size_t most = SOURCE_BYTES / s->bytes ? SOURCE_BYTES / s->bytes : 1;
	uint64_t items = k->size / s->bytes;
	struct digest_stream sum;
	char *block = mem_array(most, s->bytes, err);
	if (!block)
		return -1;
	digest_stream_init(&sum, 0);
	int ret = 0;
	for (uint64_t i = 0; ret == 0 && i < items; i += most) {
		size_t n = items - i < most ? (size_t)(items - i) : most;
		s->read(s->ctx, i, n, block);
		if (io_write_all(fd, block, n * s->bytes) != 0)
			ret = err_sys(err, "cannot write '%s'", name);
		digest_stream_add(&sum, block, n * s->bytes);
	}
	k->xxh64 = digest_stream_end(&sum);
	free(block);
	return ret;
}

int chunk_write(struct chunk_set *c, uint32_t kind, int fd, const char *name, struct err *err)
{
	static const unsigned char zeros[CHUNK_ALIGN];
	bool sources = false;
	for (uint32_t i = 0; i < c->count; i++) {
		struct chunk *k = &c->chunk[i];
		sources |= k->source != NULL;
		k->xxh64 = k->source ? 0 : digest_xxh64(k->data, k->size, 0);
	}
	uint64_t at = write_table(c, kind, fd);
	if (!at)
		return err_sys(err, "cannot write '%s'", name);
	for (uint32_t i = 0; i < c->count; i++) {
		struct chunk *k = &c->chunk[i];
		size_t gap = num_round_up(at, CHUNK_ALIGN) - at;
		if (io_write_all(fd, zeros, gap) != 0 ||
		    (!k->source && io_write_all(fd, k->data, k->size) != 0))
			return err_sys(err, "cannot write '%s'", name);
		if (k->source && write_source(k, fd, name, err) != 0)
			return -1;
		at += gap + k->size;
	}
	/* What is made on the way has its checksum only now. */
	if (sources && (lseek(fd, 0, SEEK_SET) != 0 || !write_table(c, kind, fd)))
		return err_sys(err, "cannot write '%s'", name);
	return 0;
}

int chunk_read(struct chunk_set *c, const struct io_map *map, uint32_t kind, uint32_t max_version,
	       const char *name, struct err *err)
{
	const unsigned char *p = map->data;
	uint32_t k, count;
	uint64_t size, sum;
	memset(c, 0, sizeof *c);
	if (map->size < table_bytes(0) || memcmp(p, chunk_magic, 8) != 0)
		return err_set(err, ERR_DATA, "'%s' is not a file of hnsw-tools", name);
	memcpy(&k, p + 8, 4);
	memcpy(&c->version, p + 12, 4);
	memcpy(&size, p + 16, 8);
	memcpy(&count, p + 24, 4);
	if (k != kind)
		return err_set(err, ERR_DATA, "'%s' is of kind '%.4s', expected '%.4s'", name,
			       (const char *)(p + 8), (const char *)&kind);
	if (c->version < 1 || c->version > max_version)
		return err_set(err, ERR_DATA,
			       "'%s' has format version %u, this program reads 1 to %u", name,
			       c->version, max_version);
	if (size != map->size)
		return err_set(err, ERR_DATA, "'%s' has %zu bytes, its header says %llu", name,
			       map->size, (unsigned long long)size);
	if (count > CHUNK_MAX || table_bytes(count) > map->size)
		return err_set(err, ERR_DATA, "'%s' has a bad table of contents: %u chunks", name,
			       count);
	memcpy(&sum, p + table_bytes(count) - 8, 8);
	if (sum != digest_xxh64(p, table_bytes(count) - 8, 0))
		return err_set(err, ERR_DATA, "'%s' has a damaged header: checksum differs", name);
	uint64_t at = table_bytes(count);
	for (uint32_t i = 0; i < count; i++) {
		const unsigned char *e = p + HEADER_BYTES + (size_t)i * ENTRY_BYTES;
		struct chunk *out = &c->chunk[i];
		uint64_t offset;
		memcpy(&out->name, e, 4);
		memcpy(&offset, e + 8, 8);
		memcpy(&out->size, e + 16, 8);
		memcpy(&out->xxh64, e + 24, 8);
		if (offset % CHUNK_ALIGN || offset < at || offset > size ||
		    out->size > size - offset)
			return err_set(err, ERR_DATA,
				       "'%s' has a bad table of contents: chunk '%.4s'", name,
				       (const char *)e);
		out->data = p + offset;
		at = offset + out->size;
	}
	c->count = count;
	return 0;
}

const struct chunk *chunk_find(const struct chunk_set *c, uint32_t name)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->chunk[i].name == name)
			return &c->chunk[i];
	return NULL;
}

int chunk_verify(const struct chunk_set *c, const char *name, struct err *err)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (digest_xxh64(c->chunk[i].data, c->chunk[i].size, 0) != c->chunk[i].xxh64)
			return err_set(err, ERR_DATA,
				       "'%s' is damaged: checksum of chunk '%.4s' differs", name,
				       (const char *)&c->chunk[i].name);
	return 0;
}

/* 1: there were that many bytes; 0: the file is shorter; -1. */
static int read_all(int fd, const char *path, void *p, size_t size, off_t at, struct err *err)
{
	size_t got;
	return io_read_at(fd, path, p, size, at, &got, err) != 0 ? -1 : got == size;
}

int chunk_seal(const char *path, uint64_t *out, struct err *err)
{
	unsigned char head[HEADER_BYTES];
	uint32_t count = 0;
	int fd = io_open(path, err);
	if (fd < 0)
		return -1;
	int whole = read_all(fd, path, head, sizeof head, 0, err);
	if (whole > 0) {
		memcpy(&count, head + 24, 4);
		whole = memcmp(head, chunk_magic, sizeof chunk_magic) == 0 && count <= CHUNK_MAX;
	}
	if (whole > 0)
		whole = read_all(fd, path, out, sizeof *out, (off_t)table_bytes(count) - 8, err);
	close(fd);
	return whole != 0 ? (whole > 0 ? 0 : -1)
			  : err_set(err, ERR_DATA, "'%s' is not a file of hnsw-tools", path);
}
