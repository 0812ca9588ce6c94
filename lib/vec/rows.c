/* SPDX-License-Identifier: MIT */
/* Rows that come one by one, from lines or from whoever makes them. */
#include <stdlib.h>

#include "base/mem.h"
#include "vec/format_internal.h"

float *vec_rows_next(struct vec_rows *r, struct err *err)
{
	if (r->rows == VEC_MAX_ROWS) {
		err_set(err, ERR_DATA, "more than %u rows", VEC_MAX_ROWS);
		return NULL;
	}
	if (r->rows == r->cap) {
		uint64_t cap = r->cap ? r->cap + r->cap / 2 + 1 : 256;
		float *data = mem_resize(r->data, cap, r->dim * sizeof *data, err);
		if (!data)
			return NULL;
		r->data = data;
		r->cap = cap;
	}
	return r->data + r->rows++ * r->dim;
}

int vec_rows_id(struct vec_rows *r, struct err *err)
{
	if (buf_ok(&r->id_text, err) != 0)
		return -1;
	if (r->rows > r->id_cap) {
		uint64_t cap = r->id_cap ? r->id_cap + r->id_cap / 2 + 1 : 256;
		uint64_t *end = mem_resize(r->id_end, cap, sizeof *end, err);
		if (!end)
			return -1;
		r->id_end = end;
		r->id_cap = cap;
	}
	uint64_t prev = r->rows > 1 ? r->id_end[r->rows - 2] : 0;
	r->id_end[r->rows - 1] = r->id_text.len;
	return vec_id_check((struct span){buf_span(&r->id_text).p + prev, r->id_text.len - prev}, err);
}

void vec_rows_line(struct vec_rows *r, uint64_t line)
{
	if (r->rows == 1)
		r->first_line = line;
	else if (line != r->first_line + r->rows - 1)
		r->first_line = 0;
}

int vec_check_dim(struct vec_rows *r, uint32_t dim, struct err *err)
{
	if (dim < 1 || dim > VEC_MAX_DIM)
		return err_set(err, ERR_DATA, "has dimension %u, expected 1 to %d", dim,
			       VEC_MAX_DIM);
	if (r->rows == 0 && r->dim == 0)
		r->dim = dim;
	if (dim != r->dim)
		return err_set(err, ERR_DATA, "has dimension %u, expected %u", dim, r->dim);
	return 0;
}

void vec_rows_release(struct vec_rows *r)
{
	free(r->data);
	free(r->id_end);
	buf_release(&r->id_text);
	*r = (struct vec_rows){0};
}

void vec_rows_found(struct vec_rows *r, struct vec_found *f)
{
	*f = (struct vec_found){
	    .type = VEC_F32,
	    .dim = r->dim,
	    .rows = r->rows,
	    .stride = r->dim * sizeof *r->data,
	    .data = (const unsigned char *)r->data,
	    .owned = r->data,
	    .first_line = r->first_line,
	    .id_text = r->id_text,
	    .id_end = r->id_end,
	};
	*r = (struct vec_rows){0};
}
