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

/* The text after "key": in a .npy header, blanks skipped; NULL if the key is missing. */
static const char *npy_value(const char *header, const char *key)
{
	const char *p = strstr(header, key);
	if (!p)
		return NULL;
	p += strlen(key);
	while (*p == ' ' || *p == ':')
		p++;
	return p;
}

int vec_read_npy(struct vec_found *f, struct span data, const char *name, struct err *err)
{
	static const struct {
		const char *descr;
		enum vec_type type;
	} descrs[] = {{"'<f4'", VEC_F32}, {"'<f8'", VEC_F64}, {"'<f2'", VEC_F16},
		      {"'|u1'", VEC_U8},  {"'|i1'", VEC_I8},  {"'<i4'", VEC_I32}};
	if (data.n < 12 || memcmp(data.p, "\x93NUMPY", 6) != 0)
		return err_set(err, ERR_DATA, "'%s' is not a .npy file", name);
	size_t start = data.p[6] == 1 ? 10 : 12, len;
	if (data.p[6] < 1 || data.p[6] > 3)
		return err_set(err, ERR_DATA, "'%s' has .npy version %d, expected 1 to 3", name,
			       data.p[6]);
	uint16_t len16;
	uint32_t len32;
	memcpy(&len16, data.p + 8, 2);
	memcpy(&len32, data.p + 8, 4);
	len = data.p[6] == 1 ? len16 : len32;
	if (len > data.n - start || len > 65536)
		return err_set(err, ERR_DATA, "'%s' has a bad .npy header: %zu bytes long", name,
			       len);
	char *header = span_dup((struct span){data.p + start, len});
	if (!header)
		return err_nomem(err);
	int ret = -1;
	const char *descr = npy_value(header, "'descr'"),
		   *order = npy_value(header, "'fortran_order'"),
		   *shape = npy_value(header, "'shape'");
	if (!descr || !order || !shape) {
		err_set(err, ERR_DATA, "'%s' has a bad .npy header", name);
		goto out;
	}
	size_t i, n = sizeof descrs / sizeof descrs[0];
	for (i = 0; i < n; i++)
		if (strncmp(descr, descrs[i].descr, 5) == 0)
			break;
	if (i == n) {
		err_set(err, ERR_DATA,
			"'%s' has element type %.8s, expected '<f4', '<f8', '<f2', '|u1', '|i1' or "
			"'<i4'",
			name, descr);
		goto out;
	}
	if (strncmp(order, "False", 5) != 0) {
		err_set(err, ERR_DATA, "'%s' is in column (Fortran) order, expected row order",
			name);
		goto out;
	}
	char *end;
	unsigned long long rows, dim;
	if (*shape != '(' || (rows = strtoull(shape + 1, &end, 10), *end != ',') ||
	    (dim = strtoull(end + 1, &end, 10), *end != ')') || dim == 0 || strchr(shape, '-')) {
		err_set(err, ERR_DATA, "'%s' has shape %.40s, expected (rows, dimension)", name,
			shape);
		goto out;
	}
	if (dim < 1 || dim > VEC_MAX_DIM) {
		bad_dim(dim > UINT32_MAX ? UINT32_MAX : (uint32_t)dim, name, err);
		goto out;
	}
	size_t stride = dim * vec_type_bytes(descrs[i].type), bytes;
	if (!num_mul(rows, stride, &bytes) || bytes != data.n - start - len) {
		err_set(err, ERR_DATA,
			"'%s' has %zu bytes of data, its header (%llu rows of dimension %llu) asks "
			"for more or less",
			name, data.n - start - len, rows, dim);
		goto out;
	}
	*f = (struct vec_found){
	    .type = descrs[i].type, .dim = (uint32_t)dim, .rows = rows, .stride = stride};
	f->data = (const unsigned char *)data.p + start + len;
	ret = 0;
out:
	free(header);
	return ret;
}

int vec_read_hvec(struct vec_found *f, struct span data, const char *name, struct err *err)
{
	struct io_map map = {(const unsigned char *)data.p, data.n};
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
	const uint64_t *end = ends->data; /* chunks are aligned */
	uint64_t prev = 0;
	for (uint64_t i = 0; i < head.rows; i++) {
		if (end[i] < prev || end[i] > text->size || end[i] - prev > VEC_ID_MAX)
			return err_set(err, ERR_DATA, "'%s' has a bad table of ids: row %llu", name,
				       (unsigned long long)i);
		prev = end[i];
	}
	f->id_end = mem_array(head.rows, sizeof *f->id_end, err);
	if (!f->id_end)
		return -1;
	if (head.rows)
		memcpy(f->id_end, end, head.rows * sizeof *end);
	buf_add(&f->id_text, text->data, text->size);
	return buf_ok(&f->id_text, err);
}
