/* SPDX-License-Identifier: MIT */
#include "vec/format_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/chunk.h"
#include "base/mem.h"
#include "base/num.h"
#include "vec/hvec.h"

static int bad_dim(uint32_t dim, const char *name, struct err *err)
{
	return err_set(err, ERR_DATA, "'%s' has dimension %u, expected 1 to %d", name, dim,
		       VEC_MAX_DIM);
}

int vec_read_xvecs(struct vec_found *f, enum vec_type type, struct span data, const char *name,
		   struct err *err)
{
	uint32_t dim, d;
	*f = (struct vec_found){.type = type};
	if (data.n == 0)
		return 0;
	if (data.n < 4)
		return err_set(err, ERR_DATA, "'%s' is too short: %zu bytes", name, data.n);
	memcpy(&dim, data.p, 4);
	if (dim < 1 || dim > VEC_MAX_DIM)
		return bad_dim(dim, name, err);
	size_t row = 4 + dim * vec_type_bytes(type);
	uint64_t rows = data.n / row;
	for (uint64_t i = 0; i < rows; i++) {
		memcpy(&d, data.p + i * row, 4);
		if (d != dim)
			return err_set(err, ERR_DATA,
				       "'%s' row %llu: has dimension %u, expected %u", name,
				       (unsigned long long)i, d, dim);
	}
	if (data.n % row)
		return err_set(
		    err, ERR_DATA,
		    "'%s' is truncated: %zu bytes are left after row %llu of dimension %u", name,
		    data.n % row, (unsigned long long)rows - 1, dim);
	*f = (struct vec_found){.type = type, .dim = dim, .rows = rows, .stride = row};
	f->data = (const unsigned char *)data.p + 4;
	return 0;
}

int vec_read_bin(struct vec_found *f, enum vec_type type, struct span data, const char *name,
		 struct err *err)
{
	uint32_t rows, dim;
	if (data.n < 8)
		return err_set(err, ERR_DATA, "'%s' is too short: %zu bytes", name, data.n);
	memcpy(&rows, data.p, 4);
	memcpy(&dim, data.p + 4, 4);
	if (dim < 1 || dim > VEC_MAX_DIM)
		return bad_dim(dim, name, err);
	uint64_t stride = dim * vec_type_bytes(type), want = 8 + rows * stride;
	if (data.n != want)
		return err_set(
		    err, ERR_DATA,
		    "'%s' has %zu bytes, its header (%u rows of dimension %u) asks for %llu", name,
		    data.n, rows, dim, (unsigned long long)want);
	*f = (struct vec_found){.type = type, .dim = dim, .rows = rows, .stride = stride};
	f->data = (const unsigned char *)data.p + 8;
	return 0;
}

int vec_read_hvec(struct vec_found *f, struct span data, const char *name, struct err *err)
{
	struct io_map map = {.data = (const unsigned char *)data.p, .size = data.n};
	struct chunk_set c;
	struct hvec_head head;
	if (chunk_read(&c, &map, HVEC_KIND, HVEC_VERSION, name, err) != 0)
		return -1;
	if (chunk_verify(&c, name, err) != 0)
		return -1;
	const struct chunk *h = chunk_find(&c, HVEC_HEAD), *v = chunk_find(&c, HVEC_VECTORS),
			   *ends = chunk_find(&c, HVEC_ID_ENDS),
			   *text = chunk_find(&c, HVEC_ID_TEXT);
	if (!h || !v || h->size < sizeof head)
		return err_set(err, ERR_DATA, "'%s' lacks a chunk", name);
	memcpy(&head, h->data, sizeof head);
	if (head.type >= VEC_TYPES)
		return err_set(err, ERR_DATA, "'%s' has unknown element type %u", name, head.type);
	if (head.dim < 1 || head.dim > VEC_MAX_DIM)
		return bad_dim(head.dim, name, err);
	size_t stride = head.dim * vec_type_bytes((enum vec_type)head.type), bytes;
	if (!num_mul(head.rows, stride, &bytes) || bytes != v->size)
		return err_set(err, ERR_DATA,
			       "'%s' has %llu bytes of vectors, its header (%llu rows of dimension "
			       "%u) asks for more or less",
			       name, (unsigned long long)v->size, (unsigned long long)head.rows,
			       head.dim);
	*f = (struct vec_found){
	    .type = (enum vec_type)head.type, .dim = head.dim, .rows = head.rows, .stride = stride};
	f->data = v->data;
	if (!ends)
		return 0;
	if (!text || ends->size != head.rows * 8)
		return err_set(err, ERR_DATA, "'%s' has a bad table of ids", name);
	/* Checked is what was copied: the file may change. */
	uint64_t *end = f->id_end = mem_array(head.rows, sizeof *f->id_end, err), prev = 0;
	if (!end)
		return -1;
	if (head.rows)
		memcpy(end, ends->data, head.rows * sizeof *end);
	for (uint64_t i = 0; i < head.rows; i++) {
		if (end[i] < prev || end[i] > text->size || end[i] - prev > VEC_ID_MAX)
			return err_set(err, ERR_DATA, "'%s' has a bad table of ids: row %llu", name,
				       (unsigned long long)i);
		prev = end[i];
	}
	buf_add(&f->id_text, text->data, text->size);
	return buf_ok(&f->id_text, err);
}
