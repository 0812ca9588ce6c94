/* SPDX-License-Identifier: MIT */
#ifndef PACK_PACK_H
#define PACK_PACK_H

#include <stdint.h>

#include "base/buf.h"

/* Compressed data of other programs: blocks of a known size, and whole streams. */
enum pack_codec {
	PACK_NONE,
	PACK_SNAPPY, /* github.com/google/snappy/blob/main/format_description.txt */
	PACK_GZIP,   /* RFC 1952; a zlib stream (RFC 1950) is taken as well */
	PACK_LZ4,    /* one block: github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
	PACK_ZSTD,   /* RFC 8878 */
	PACK_DEFLATE /* RFC 1951, with nothing around it */
};

/* The most bytes that ${n} bytes can become.  A size beyond it is a lie. */
uint64_t pack_bound(enum pack_codec codec, size_t n);

/* Unpack all of ${in} to just ${size} bytes at ${out}.  ERR_DATA: it is damaged, or longer or
 * shorter. */
int pack_block(enum pack_codec codec, struct span in, void *out, size_t size,
	       struct err *err) MUST_CHECK;

/* The two formats of which there are no C libraries worth a dependency; -1: damaged. */
int pack_snappy(struct span in, unsigned char *out, size_t size) MUST_CHECK;
int pack_lz4(struct span in, unsigned char *out, size_t size) MUST_CHECK;

/* The codec that the suffix of a path tells, PACK_NONE if none; ${n}: length of what is before it.
 */
enum pack_codec pack_of_path(const char *path, size_t *n);

/*
 * What a descriptor gives, unpacked: gzip or zstd.  pack_stream_read() serves struct io_lines.
 * ERR_DATA: it is damaged or cut off, or unpacks to unreasonably much.
 */
struct pack_stream;

struct pack_stream *pack_stream_new(enum pack_codec codec, int fd, const char *name,
				    struct err *err) MUST_CHECK;
int pack_stream_read(void *stream, void *out, size_t size, size_t *got, struct err *err) MUST_CHECK;
void pack_stream_free(struct pack_stream *s);

#endif
