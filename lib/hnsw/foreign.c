/* SPDX-License-Identifier: MIT */
/* Formats of other libraries: which one a file has, and what they share. */
#include <inttypes.h>
#include <stdlib.h>

#include "hnsw/foreign_internal.h"

const char *const hnsw_format_names[] = {"hnsw", "hnswlib", "faiss", "usearch", NULL};

static const char *const suffixes[HNSW_FORMATS] = {".hnsw", ".bin", ".faiss", ".usearch"};

int hnsw_format_of_path(const char *path, enum hnsw_format *out)
{
	size_t n = strlen(path);
	for (int i = 0; i < HNSW_FORMATS; i++) {
		size_t len = strlen(suffixes[i]);
		if (n > len && strcmp(path + n - len, suffixes[i]) == 0) {
			*out = (enum hnsw_format)i;
			return 0;
		}
	}
	return -1;
}

void foreign_release(struct foreign *f)
{
	free(f->level);
	free(f->key);
	free(f->gone);
	free(f->at);
	free(f->widened);
}

int foreign_bad(const struct foreign *f, enum hnsw_format format, struct err *err, const char *what)
{
	return err_set(err, ERR_DATA, "'%s' is no index of %s, or is damaged: %s", f->name,
		       hnsw_format_names[format], what);
}

int foreign_check_head(const struct foreign *f, uint64_t nodes, uint64_t dim, uint64_t m,
		       uint64_t m0, struct err *err)
{
	if (nodes < 1 || nodes > VEC_MAX_ROWS)
		return err_set(err, ERR_DATA, "'%s' has %" PRIu64 " vectors, expected 1 to %u",
			       f->name, nodes, VEC_MAX_ROWS);
	if (dim < 1 || dim > VEC_MAX_DIM)
		return err_set(err, ERR_DATA, "'%s' has dimension %" PRIu64 ", expected 1 to %d",
			       f->name, dim, VEC_MAX_DIM);
	if (m < HNSW_MIN_M || m > HNSW_MAX_M || m0 < m || m0 > 2 * HNSW_MAX_M)
		return err_set(err, ERR_DATA,
			       "'%s' has room for %" PRIu64 " links a node and %" PRIu64
			       " on layer 0, expected %d to %d, and up to %d",
			       f->name, m, m0, HNSW_MIN_M, HNSW_MAX_M, 2 * HNSW_MAX_M);
	return 0;
}

static int read_foreign(struct foreign *f, enum hnsw_format format, struct cursor c,
			struct err *err)
{
	switch (format) {
	case HNSW_HNSWLIB:
		return foreign_read_hnswlib(f, c, err);
	case HNSW_FAISS:
		return foreign_read_faiss(f, c, err);
	default:
		return foreign_read_usearch(f, c, err);
	}
}

static struct hnsw *open_ours(const char *path, struct err *err)
{
	struct hnsw *h = hnsw_open(path, HNSW_MAP, err);
	if (h && hnsw_check(h, err) != 0) {
		hnsw_free(h);
		return NULL;
	}
	return h;
}

struct hnsw *hnsw_import(const char *path, enum hnsw_format format, const struct hnsw_import *how,
			 struct err *err)
{
	struct io_map map;
	struct hnsw *h = NULL;
	struct foreign f = {.name = path};
	if (format == HNSW_OURS)
		return open_ours(path, err);
	if (io_map_open(&map, path, err) != 0)
		return NULL;
	if (read_foreign(&f, format, (struct cursor){map.data, map.size}, err) == 0)
		h = foreign_assemble(&f, how, err);
	if (h && io_map_state(&map, path) == IO_CHANGED) {
		err_set(err, ERR_CONFLICT, "'%s' was changed while it was read", path);
		hnsw_free(h);
		h = NULL;
	}
	foreign_release(&f);
	io_map_close(&map);
	return h;
}
