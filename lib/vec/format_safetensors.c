/* SPDX-License-Identifier: MIT */
/* A tensor out of a safetensors file (huggingface.co/docs/safetensors): JSON that says where each
 * is, then their values. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/scan.h"
#include "vec/format_internal.h"
#include "vec/half.h"

#define HEADER_MAX ((uint64_t)100 << 20) /* what the format allows */

struct tensor {
	struct span name, type;
	uint64_t rows, dim, begin, end;
	unsigned rank;
};

/* Which one is to be read, and what there is. */
struct search {
	const char *wanted; /* NULL: the only one of two dimensions */
	struct tensor found;
	size_t n;
	struct buf names;
};

static void read_shape(struct scan *s, struct tensor *t)
{
	uint64_t size;
	if (!scan_array(s))
		return;
	while (scan_item(s) && scan_u64(s, &size)) {
		if (t->rank++ == 0)
			t->rows = size;
		else
			t->dim = size;
	}
}

static void read_offsets(struct scan *s, struct tensor *t)
{
	unsigned n = 0;
	if (!scan_array(s))
		return;
	while (scan_item(s) && scan_u64(s, n ? &t->end : &t->begin))
		n++;
	if (n != 2)
		scan_fail(s, "expected two offsets");
}

static void read_tensor(struct scan *s, struct tensor *t)
{
	struct span key;
	if (!scan_object(s))
		return;
	while (scan_member(s, &key)) {
		if (span_is(key, "dtype"))
			scan_string(s, &t->type);
		else if (span_is(key, "shape"))
			read_shape(s, t);
		else if (span_is(key, "data_offsets"))
			read_offsets(s, t);
		else
			scan_skip(s, NULL);
	}
}

static void take_tensor(struct search *q, const struct tensor *t)
{
	if (q->wanted ? !scan_text_is(t->name, span_of(q->wanted)) : t->rank != 2)
		return;
	if (q->n++ == 0)
		q->found = *t;
	if (q->names.len < 200)
		buf_addf(&q->names, "%s'%.*s'", q->n > 1 ? ", " : "",
			 (int)(t->name.n < 50 ? t->name.n : 50), t->name.p);
}

static int read_header(struct search *q, struct span header, struct err *err)
{
	struct scan s;
	scan_init(&s, header);
	if (scan_object(&s)) {
		struct tensor t = {0};
		while (scan_member(&s, &t.name)) {
			if (span_is(t.name, "__metadata__")) {
				scan_skip(&s, NULL);
				continue;
			}
			read_tensor(&s, &t);
			if (!scan_failed(&s))
				take_tensor(q, &t);
			t = (struct tensor){0};
		}
	}
	if (!scan_end(&s))
		return err_prefix((scan_err(&s, err), err), "has a bad header");
	if (q->n == 1)
		return 0;
	if (q->n == 0)
		return err_set(err, q->wanted ? ERR_USAGE : ERR_DATA, "has no tensor %s%.100s",
			       q->wanted ? "" : "of two dimensions", q->wanted ? q->wanted : "");
	if (buf_ok(&q->names, err) != 0)
		return -1;
	return err_set(err, ERR_USAGE,
		       "has %zu tensors that could be meant, %s: name one with --column", q->n,
		       q->names.data);
}

/* Element types; those that are not ours are read as what holds them. */
static const struct {
	const char *name;
	size_t bytes;
	enum vec_type type;
	bool bf16;
} types[] = {{"F32", 4, VEC_F32, false}, {"F64", 8, VEC_F64, false}, {"F16", 2, VEC_F16, false},
	     {"BF16", 2, VEC_F32, true}, {"U8", 1, VEC_U8, false},   {"I8", 1, VEC_I8, false},
	     {"I32", 4, VEC_I32, false}};

static int type_of(struct span name)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (span_is(name, types[i].name))
			return (int)i;
	return -1;
}

static int widen(struct vec_found *f, struct err *err)
{
	const unsigned char *from = f->data;
	float *to = mem_array(f->rows, f->dim * sizeof *to, err);
	if (!to)
		return -1;
	for (uint64_t i = 0; i < f->rows * f->dim; i++) {
		uint16_t half;
		memcpy(&half, from + i * sizeof half, sizeof half);
		to[i] = half_from_bf16(half);
	}
	f->stride = f->dim * sizeof *to;
	f->owned = to;
	f->data = f->owned;
	return 0;
}

static int find_values(const struct tensor *t, struct span values, struct vec_found *f,
		       struct err *err)
{
	int type = type_of(t->type);
	size_t bytes;
	if (type < 0)
		return err_set(err, ERR_DATA,
			       "has element type %.*s, expected F32, F64, F16, BF16, U8, I8 or I32",
			       (int)(t->type.n < 20 ? t->type.n : 20), t->type.p ? t->type.p : "");
	if (t->rank != 2 || t->dim < 1 || t->dim > VEC_MAX_DIM)
		return err_set(
		    err, ERR_DATA,
		    "tensor '%.*s' has %u dimensions, the last %llu, expected rows of 1 to "
		    "%d values",
		    (int)(t->name.n < 50 ? t->name.n : 50), t->name.p, t->rank,
		    (unsigned long long)t->dim, VEC_MAX_DIM);
	if (!num_mul(t->rows, t->dim * types[type].bytes, &bytes) || t->begin > t->end ||
	    t->end > values.n || bytes != t->end - t->begin)
		return err_set(err, ERR_DATA, "has a tensor whose place does not fit its shape");
	*f = (struct vec_found){.type = types[type].type, .dim = (uint32_t)t->dim, .rows = t->rows};
	f->stride = t->dim * types[type].bytes;
	f->data = (const unsigned char *)values.p + t->begin;
	return types[type].bf16 ? widen(f, err) : 0;
}

int vec_read_safetensors(struct vec_found *f, struct span data, const struct vec_input *how,
			 const char *name, struct err *err)
{
	struct search q = {.wanted = how->column};
	uint64_t size = UINT64_MAX;
	char *header = NULL;
	if (data.n >= sizeof size)
		memcpy(&size, data.p, sizeof size);
	if (size > HEADER_MAX || size > data.n - sizeof size)
		return err_set(err, ERR_DATA, "'%s' is not a safetensors file, or is truncated",
			       name);
	header = span_dup((struct span){data.p + sizeof size, size});
	if (!header)
		return err_nomem(err);
	struct span values = {data.p + sizeof size + size, data.n - sizeof size - size};
	int ret = read_header(&q, (struct span){header, size}, err);
	if (ret == 0)
		ret = find_values(&q.found, values, f, err);
	free(header);
	buf_release(&q.names);
	return ret == 0 || err->code == ERR_ENV ? ret : err_prefix(err, "'%s'", name);
}
