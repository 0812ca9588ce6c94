/* SPDX-License-Identifier: MIT */
/*
 * What fuzz targets share.  A target is one file with LLVMFuzzerTestOneInput(); it is linked
 * with libFuzzer (make fuzz) or with replay.c (scripts/check).
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/chunk.h"
#include "base/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define MUST(x)                                                                 \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)

/* A file in memory with these bytes; the path is good until the next call. */
__attribute__((unused)) static const char *fuzz_file(const void *data, size_t size)
{
	static int fd = -1;
	static char path[32];
	if (fd >= 0)
		close(fd);
	fd = memfd_create("fuzz", 0);
	MUST(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	MUST(size == 0 || pwrite(fd, data, size, 0) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return path;
}

static char fuzz_root_path[64];

__attribute__((unused)) static void fuzz_remove_root(void)
{
	char command[96];
	snprintf(command, sizeof command, "rm -rf %s", fuzz_root_path);
	(void)!system(command);
}

/* A directory in memory, where that can be had, which goes when the program ends. */
__attribute__((unused)) static const char *fuzz_root(void)
{
	if (fuzz_root_path[0])
		return fuzz_root_path;
	snprintf(fuzz_root_path, sizeof fuzz_root_path, "/dev/shm/hnsw-fuzz.XXXXXX");
	if (!mkdtemp(fuzz_root_path)) {
		snprintf(fuzz_root_path, sizeof fuzz_root_path, "/tmp/hnsw-fuzz.XXXXXX");
		MUST(mkdtemp(fuzz_root_path));
	}
	MUST(atexit(fuzz_remove_root) == 0);
	return fuzz_root_path;
}

/*
 * Mend size and checksums of a file of chunks, so that what is behind them is reached.
 * Inputs whose first byte after the magic is not that of a file of ours stay as they are.
 */
__attribute__((unused)) static void fuzz_mend_chunks(uint8_t *p, size_t size)
{
	uint32_t count;
	uint64_t total = size, sum;
	if (size < 40)
		return;
	memcpy(p, chunk_magic, sizeof chunk_magic);
	memcpy(p + 16, &total, 8);
	memcpy(&count, p + 24, 4);
	if (count > CHUNK_MAX || 40 + 32 * (size_t)count > size)
		return;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *entry = p + 32 + 32 * (size_t)i;
		uint64_t offset, bytes;
		memcpy(&offset, entry + 8, 8);
		memcpy(&bytes, entry + 16, 8);
		if (offset > size || bytes > size - offset)
			continue;
		sum = digest_xxh64(p + offset, bytes, 0);
		memcpy(entry + 24, &sum, 8);
	}
	sum = digest_xxh64(p, 32 + 32 * (size_t)count, 0);
	memcpy(p + 32 + 32 * (size_t)count, &sum, 8);
}

#endif
