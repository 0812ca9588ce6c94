/* SPDX-License-Identifier: MIT */
#include "base/chunk.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/num.h"

#define HEADER_BYTES 32
#define ENTRY_BYTES 32

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

uint64_t chunk_file_size(const struct chunk_set *c)
{
	uint64_t at = table_bytes(c->count);
	for (uint32_t i = 0; i < c->count; i++)
		at = num_round_up(at, CHUNK_ALIGN) + c->chunk[i].size;
	return at;
}

int chunk_write(struct chunk_set *c, uint32_t kind, int fd, const char *name, struct err *err)
{
	unsigned char table[HEADER_BYTES + CHUNK_MAX * ENTRY_BYTES + 8] = {0};
	static const unsigned char zeros[CHUNK_ALIGN];
	uint64_t total = chunk_file_size(c), at = table_bytes(c->count);
	memcpy(table, chunk_magic, 8);
	memcpy(table + 8, &kind, 4);
	memcpy(table + 12, &c->version, 4);
	memcpy(table + 16, &total, 8);
	memcpy(table + 24, &c->count, 4);
	for (uint32_t i = 0; i < c->count; i++) {
		struct chunk *k = &c->chunk[i];
		unsigned char *e = table + HEADER_BYTES + (size_t)i * ENTRY_BYTES;
		uint64_t offset = num_round_up(at, CHUNK_ALIGN);
		k->xxh64 = digest_xxh64(k->data, k->size, 0);
		memcpy(e, &k->name, 4);
		memcpy(e + 8, &offset, 8);
		memcpy(e + 16, &k->size, 8);
		memcpy(e + 24, &k->xxh64, 8);
		at = offset + k->size;
	}
	at = table_bytes(c->count);
	uint64_t sum = digest_xxh64(table, at - 8, 0);
	memcpy(table + at - 8, &sum, 8);
	if (io_write_all(fd, table, at) != 0)
		return err_sys(err, "cannot write '%s'", name);
	for (uint32_t i = 0; i < c->count; i++) {
		const struct chunk *k = &c->chunk[i];
		size_t gap = num_round_up(at, CHUNK_ALIGN) - at;
		if (io_write_all(fd, zeros, gap) != 0 || io_write_all(fd, k->data, k->size) != 0)
			return err_sys(err, "cannot write '%s'", name);
		at += gap + k->size;
	}
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

int chunk_seal(const char *path, uint64_t *out, struct err *err)
{
	unsigned char head[HEADER_BYTES];
	uint32_t count = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	bool whole = pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
		     memcmp(head, chunk_magic, sizeof chunk_magic) == 0;
	if (whole) {
		memcpy(&count, head + 24, 4);
		whole = count <= CHUNK_MAX &&
			pread(fd, out, sizeof *out, (off_t)table_bytes(count) - 8) == sizeof *out;
	}
	close(fd);
	return whole ? 0 : err_set(err, ERR_DATA, "'%s' is not a file of hnsw-tools", path);
}
