/* SPDX-License-Identifier: MIT */
/* Whole files of gzip and zstd, read as they come. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/io.h"
#include "base/mem.h"
#include "pack/pack.h"

#define IN_BYTES ((size_t)256 << 10)
#define ZSTD_WINDOW_LOG_MAX 27 /* 128 MiB, what the zstd program unpacks by default */
#define GZIP_ONLY 16	       /* added to zlib's window bits */
/* What a stream may unpack to: so much, and so many times its size. */
#define BUDGET ((uint64_t)64 << 20)
#define EXPANDS 1024

struct pack_stream {
	enum pack_codec codec;
	int fd;
	const char *name;
	unsigned char *in;
	size_t pos, len;
	bool eof, between; /* nothing more comes; a member or frame has ended, or none has begun */
	uint64_t read, made;
	z_stream z;
	ZSTD_DStream *zstd;
};

static const struct {
	const char *suffix;
	enum pack_codec codec;
} suffixes[] = {{".gz", PACK_GZIP}, {".zst", PACK_ZSTD}};

enum pack_codec pack_of_path(const char *path, size_t *n)
{
	*n = strlen(path);
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		size_t length = strlen(suffixes[i].suffix);
		if (*n > length && strcmp(path + *n - length, suffixes[i].suffix) == 0) {
			*n -= length;
			return suffixes[i].codec;
		}
	}
	return PACK_NONE;
}

struct pack_stream *pack_stream_new(enum pack_codec codec, int fd, const char *name,
				    struct err *err)
{
	struct pack_stream *s = mem_zeroed(1, sizeof *s, err);
	if (!s)
		return NULL;
	*s = (struct pack_stream){.codec = codec, .fd = fd, .name = name, .between = true};
	s->in = mem_array(IN_BYTES, 1, err);
	bool ok = s->in;
	if (codec == PACK_ZSTD) {
		s->zstd = ZSTD_createDStream();
		ok &= s->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax,
								      ZSTD_WINDOW_LOG_MAX));
	} else {
		ok &= inflateInit2(&s->z, MAX_WBITS + GZIP_ONLY) == Z_OK;
	}
	if (ok)
		return s;
	pack_stream_free(s);
	err_nomem(err);
	return NULL;
}

void pack_stream_free(struct pack_stream *s)
{
	if (!s)
		return;
	if (s->codec != PACK_ZSTD)
		inflateEnd(&s->z);
	ZSTD_freeDStream(s->zstd);
	free(s->in);
	free(s);
}

static int damaged(const struct pack_stream *s, const char *why, struct err *err)
{
	return err_set(err, ERR_DATA, "'%s' is damaged: %s", s->name, why);
}

static int fill(struct pack_stream *s, struct err *err)
{
	ssize_t n;
	IO_RETRY(n, read(s->fd, s->in, IN_BYTES));
	if (n < 0)
		return err_sys(err, "cannot read '%s'", s->name);
	s->pos = 0;
	s->len = (size_t)n;
	s->read += s->len;
	s->eof = n == 0;
	return 0;
}

/* Unpack some of what is there; ${made}: how much came out. */
static int inflate_some(struct pack_stream *s, void *out, size_t size, size_t *made,
			struct err *err)
{
	if (s->between && inflateReset(&s->z) != Z_OK)
		return err_nomem(err);
	s->z.next_in = s->in + s->pos;
	s->z.avail_in = (uInt)(s->len - s->pos);
	s->z.next_out = out;
	s->z.avail_out = (uInt)(size < (1u << 30) ? size : 1u << 30);
	uInt room = s->z.avail_out;
	int got = inflate(&s->z, Z_NO_FLUSH);
	s->pos = s->len - s->z.avail_in;
	*made = room - s->z.avail_out;
	s->between = got == Z_STREAM_END;
	if (got == Z_MEM_ERROR)
		return err_nomem(err);
	return got == Z_OK || got == Z_STREAM_END || got == Z_BUF_ERROR
		   ? 0
		   : damaged(s, s->z.msg ? s->z.msg : "no gzip data", err);
}

static int unpack_some(struct pack_stream *s, void *out, size_t size, size_t *made, struct err *err)
{
	ZSTD_inBuffer in = {s->in, s->len, s->pos};
	ZSTD_outBuffer to = {out, size, 0};
	size_t left = ZSTD_decompressStream(s->zstd, &to, &in);
	if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation)
		return err_nomem(err);
	if (ZSTD_isError(left))
		return damaged(s, ZSTD_getErrorName(left), err);
	s->pos = in.pos;
	s->between = left == 0;
	*made = to.pos;
	return 0;
}

int pack_stream_read(void *stream, void *out, size_t size, size_t *got, struct err *err)
{
	struct pack_stream *s = stream;
	*got = 0;
	while (*got == 0) {
		if (s->pos == s->len && !s->eof && fill(s, err) != 0)
			return -1;
		if (s->eof && s->between)
			return 0;
		size_t before = s->pos;
		int ret = s->codec == PACK_ZSTD ? unpack_some(s, out, size, got, err)
						: inflate_some(s, out, size, got, err);
		if (ret != 0)
			return -1;
		if (s->eof && *got == 0 && s->pos == before)
			return damaged(s, "truncated", err);
	}
	s->made += *got;
	return s->made <= BUDGET + EXPANDS * s->read
		   ? 0
		   : err_set(err, ERR_DATA, "'%s' unpacks to more than %d times its size", s->name,
			     EXPANDS);
}
