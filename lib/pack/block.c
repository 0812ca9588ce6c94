/* SPDX-License-Identifier: MIT */
/* Blocks whose size is known before they are unpacked. */
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "pack/pack.h"

#define MAX_WINDOW_BITS 15 /* of zlib */
#define ANY_HEADER 32	   /* added to them: gzip or zlib, whichever it is */

/* Bytes that one byte can become: a copy of Snappy makes 64 of 3, one of LZ4 255 of 1, one of
 * deflate 258 of 2 bits, and a block of zstd 128 KiB of 4. */
static const uint64_t ratio[] = {
    [PACK_NONE] = 1,  [PACK_SNAPPY] = 22,  [PACK_GZIP] = 1032,
    [PACK_LZ4] = 255, [PACK_ZSTD] = 43691, [PACK_DEFLATE] = 1032,
};

uint64_t pack_bound(enum pack_codec codec, size_t n)
{
	uint64_t bound;
	return __builtin_mul_overflow(n, ratio[codec], &bound) ? UINT64_MAX : bound;
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_DATA, "damaged %s data", what);
}

/* zlib counts in 32 bits. */
static uInt piece(size_t n)
{
	return n < (1u << 30) ? (uInt)n : 1u << 30;
}

/* Unpack one member after the other until ${size} bytes are there; Z_STREAM_END if that is all. */
static int inflate_members(z_stream *z, struct span in, unsigned char *out, size_t size)
{
	const unsigned char *in_end = (const unsigned char *)in.p + in.n, *out_end = out + size;
	int got = Z_OK;
	/* zlib declares what it only reads as writable. */
	z->next_in = (Bytef *)(uintptr_t)in.p;
	z->next_out = out;
	while (got == Z_OK || (got == Z_STREAM_END && z->next_in < in_end)) {
		if (got == Z_STREAM_END && inflateReset(z) != Z_OK)
			return Z_DATA_ERROR;
		z->avail_in = piece((size_t)(in_end - z->next_in));
		z->avail_out = piece((size_t)(out_end - z->next_out));
		got = inflate(z, Z_NO_FLUSH);
	}
	return got == Z_STREAM_END && z->next_out != out_end ? Z_DATA_ERROR : got;
}

static int unpack_zlib(int bits, const char *what, struct span in, unsigned char *out, size_t size,
		       struct err *err)
{
	z_stream z = {0};
	unsigned char nothing;
	if (inflateInit2(&z, bits) != Z_OK)
		return err_nomem(err);
	int got = inflate_members(&z, in, size ? out : &nothing, size);
	inflateEnd(&z);
	if (got == Z_MEM_ERROR)
		return err_nomem(err);
	return got == Z_STREAM_END ? 0 : damaged(err, what);
}

static int unpack_zstd(struct span in, void *out, size_t size, struct err *err)
{
	size_t got = ZSTD_decompress(out, size, in.p, in.n);
	if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation)
		return err_nomem(err);
	return got == size ? 0 : damaged(err, "zstd");
}

int pack_block(enum pack_codec codec, struct span in, void *out, size_t size, struct err *err)
{
	switch (codec) {
	case PACK_SNAPPY:
		return pack_snappy(in, out, size) == 0 ? 0 : damaged(err, "snappy");
	case PACK_LZ4:
		return pack_lz4(in, out, size) == 0 ? 0 : damaged(err, "lz4");
	case PACK_GZIP:
		return unpack_zlib(MAX_WINDOW_BITS + ANY_HEADER, "gzip", in, out, size, err);
	case PACK_DEFLATE:
		return unpack_zlib(-MAX_WINDOW_BITS, "deflate", in, out, size, err);
	case PACK_ZSTD:
		return unpack_zstd(in, out, size, err);
	case PACK_NONE:
		break;
	}
	if (in.n != size)
		return err_set(err, ERR_DATA, "%zu bytes where there should be %zu", in.n, size);
	if (size)
		memcpy(out, in.p, size);
	return 0;
}
