/* SPDX-License-Identifier: MIT */
#include "store/backend_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

#define PIECE ((size_t)1 << 20)
#define ZSTD_LEVEL 3
#define WINDOW_LOG_MAX 27 /* 128 MiB, what the zstd program unpacks by default */

static bool compressed(const char *key)
{
	size_t n = strlen(key);
	return n > 4 && strcmp(key + n - 4, ".zst") == 0;
}

/* ---- reading ---- */

struct unpacker {
	ZSTD_DStream *stream;
	char *out;
	size_t last; /* what ZSTD said last; 0 at the end of a frame, not before the first */
	store_piece_fn *piece;
	void *ctx;
	const char *key;
};

/* The window bounds the memory that a frame takes, whatever it says. */
static ZSTD_DStream *unpacker_new(void)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	if (z && !ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
		return z;
	ZSTD_freeDStream(z);
	return NULL;
}

static int unpack(struct unpacker *u, struct span in, struct err *err)
{
	ZSTD_inBuffer src = {in.p, in.n, 0};
	while (src.pos < src.size) {
		ZSTD_outBuffer dst = {u->out, PIECE, 0};
		u->last = ZSTD_decompressStream(u->stream, &dst, &src);
		if (ZSTD_getErrorCode(u->last) == ZSTD_error_memory_allocation)
			return err_nomem(err);
		if (ZSTD_isError(u->last))
			return err_set(err, ERR_DATA, "'%s' is damaged: %s", u->key,
				       ZSTD_getErrorName(u->last));
		if (dst.pos && u->piece(u->ctx, (struct span){u->out, dst.pos}, err) != 0)
			return -1;
	}
	return 0;
}

static int read_pieces(int fd, const char *path, struct unpacker *u, char *in, size_t room,
		       struct err *err)
{
	for (;;) {
		ssize_t n;
		IO_RETRY(n, read(fd, in, room));
		if (n < 0)
			return err_sys(err, "cannot read '%s'", path);
		if (n == 0)
			break;
		struct span got = {in, (size_t)n};
		if (u->stream ? unpack(u, got, err) : u->piece(u->ctx, got, err))
			return -1;
	}
	if (u->stream && u->last != 0)
		return err_set(err, ERR_DATA, "'%s' is damaged: truncated", u->key);
	return 1;
}

/* Bytes to read at once: those of a small blob and one more, which finds its end. */
static size_t piece_size(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size >= PIECE)
		return PIECE;
	return (size_t)st.st_size + 1;
}

int store_read(struct store *s, const char *key, store_piece_fn *piece, void *ctx, struct err *err)
{
	struct buf path = BUF_INIT;
	struct unpacker u = {.piece = piece, .ctx = ctx, .key = key};
	struct err why;
	char *in = NULL;
	int fd = -1, ret = store_path(s, key, &path, err);
	if (ret <= 0)
		goto out;
	ret = -1;
	fd = io_open(path.data, &why);
	if (fd < 0) {
		ret = io_missing() ? 0 : err_copy(err, &why);
		goto out;
	}
	size_t room = piece_size(fd);
	in = mem_array(room, 1, err);
	if (!in)
		goto out;
	if (compressed(key)) {
		u.out = mem_array(PIECE, 1, err);
		u.stream = unpacker_new();
		u.last = 1;
		if (!u.out || !u.stream) {
			err_nomem(err);
			goto out;
		}
	}
	ret = read_pieces(fd, path.data, &u, in, room, err);
out:
	if (fd >= 0)
		close(fd);
	ZSTD_freeDStream(u.stream);
	free(u.out);
	free(in);
	buf_release(&path);
	return ret;
}

/* ---- writing ---- */

struct store_stage {
	struct store *store;
	struct io_file file;
	ZSTD_CStream *stream; /* NULL: not compressed */
	char *out;
	bool finished;
};

/* A compressor whose frames tell a flipped bit by their checksum. */
static ZSTD_CStream *packer_new(void)
{
	ZSTD_CStream *z = ZSTD_createCStream();
	if (z && !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
	    !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1)))
		return z;
	ZSTD_freeCStream(z);
	return NULL;
}

struct store_stage *store_stage_open(struct store *s, const char *key, struct err *err)
{
	if (store_key_check(key, err) != 0)
		return NULL;
	struct store_stage *st = mem_zeroed(1, sizeof *st, err);
	if (!st)
		return NULL;
	st->store = s;
	st->file = (struct io_file){.fd = -1, .dir_fd = -1};
	if (compressed(key)) {
		st->out = mem_array(PIECE, 1, err);
		st->stream = packer_new();
		if (!st->out || !st->stream) {
			err_nomem(err);
			store_stage_free(st);
			return NULL;
		}
	}
	if (s->backend->stage(s, key, &st->file, err) != 0) {
		store_stage_free(st);
		return NULL;
	}
	return st;
}

int store_stage_fd(const struct store_stage *st)
{
	return st->file.fd;
}

int store_stage_add(struct store_stage *st, struct span data, struct err *err)
{
	if (!st->stream)
		return io_file_write(&st->file, data.p, data.n, err);
	ZSTD_inBuffer src = {data.p, data.n, 0};
	while (src.pos < src.size) {
		ZSTD_outBuffer dst = {st->out, PIECE, 0};
		size_t r = ZSTD_compressStream(st->stream, &dst, &src);
		if (ZSTD_isError(r))
			return err_set(err, ERR_ENV, "cannot compress: %s", ZSTD_getErrorName(r));
		if (io_file_write(&st->file, st->out, dst.pos, err) != 0)
			return -1;
	}
	return 0;
}

static int finish(struct store_stage *st, struct err *err)
{
	size_t left = 1;
	while (st->stream && !st->finished && left) {
		ZSTD_outBuffer dst = {st->out, PIECE, 0};
		left = ZSTD_endStream(st->stream, &dst);
		if (ZSTD_isError(left))
			return err_set(err, ERR_ENV, "cannot compress: %s",
				       ZSTD_getErrorName(left));
		if (io_file_write(&st->file, st->out, dst.pos, err) != 0)
			return -1;
	}
	st->finished = true;
	return 0;
}

int store_stage_commit(struct store_stage *st, const char *key, bool replace, struct err *err)
{
	if (store_key_check(key, err) != 0 || finish(st, err) != 0)
		return -1;
	return st->store->backend->publish(st->store, key, &st->file,
					   replace ? STORE_PUT_ALWAYS : STORE_PUT_CREATE, err);
}

void store_stage_free(struct store_stage *st)
{
	if (!st)
		return;
	io_file_release(&st->file);
	ZSTD_freeCStream(st->stream);
	free(st->out);
	free(st);
}
