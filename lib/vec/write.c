/* SPDX-License-Identifier: MIT */
/* Writing a set in any format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/chunk.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/scan.h"
#include "vec/format_internal.h"
#include "vec/hvec.h"

/* Everything that writing one set needs. */
struct writer {
	const struct vec_set *set;
	const struct vec_write *how;
	const uint64_t *pick;
	uint64_t first, count;
	struct io_sink sink;
	double *row;
	unsigned char *bytes; /* one row in the output type */
};

static uint64_t row_at(const struct writer *w, uint64_t i)
{
	return w->pick ? w->pick[i] : w->first + i;
}

/* Load row number ${i} of the output, as doubles. */
static void load(struct writer *w, uint64_t i)
{
	vec_set_row_f64(w->set, row_at(w, i), w->row);
}

/* The row in hand as elements of type ${t}. */
static int encode(struct writer *w, uint64_t i, enum vec_type t, struct err *err)
{
	size_t dim = w->set->dim, bad = vec_from_f64(t, w->row, w->bytes, dim);
	if (bad != dim)
		return vec_set_fail(w->set, row_at(w, i), err,
				    "value %zu is %g, which %s cannot hold", bad, w->row[bad],
				    vec_type_name(t));
	return 0;
}

static int write_rows(struct writer *w, enum vec_type t, bool with_dim, struct err *err)
{
	uint32_t dim = w->set->dim;
	for (uint64_t i = 0; i < w->count; i++) {
		load(w, i);
		if (with_dim)
			buf_add(&w->sink.b, &dim, 4);
		if (encode(w, i, t, err) != 0)
			return -1;
		buf_add(&w->sink.b, w->bytes, dim * vec_type_bytes(t));
		if (io_sink_spill(&w->sink, err) != 0)
			return -1;
	}
	return 0;
}

static int write_bin(struct writer *w, enum vec_type t, struct err *err)
{
	uint32_t head[2] = {(uint32_t)w->count, w->set->dim};
	buf_add(&w->sink.b, head, sizeof head);
	return write_rows(w, t, false, err);
}

static int write_npy(struct writer *w, enum vec_type t, struct err *err)
{
	static const char *const descr[VEC_TYPES] = {
	    [VEC_F32] = "<f4", [VEC_F64] = "<f8", [VEC_F16] = "<f2",
	    [VEC_U8] = "|u1",  [VEC_I8] = "|i1",  [VEC_I32] = "<i4",
	};
	char dict[128];
	int n = snprintf(dict, sizeof dict,
			 "{'descr': '%s', 'fortran_order': False, 'shape': (%llu, %u), }", descr[t],
			 (unsigned long long)w->count, w->set->dim);
	/* Version 1.0: the header, newline included, ends at a multiple of 64. */
	uint16_t len = (uint16_t)(num_round_up(10 + (size_t)n + 1, 64) - 10);
	buf_add(&w->sink.b, "\x93NUMPY\x01\x00", 8);
	buf_add(&w->sink.b, &len, 2);
	buf_addf(&w->sink.b, "%-*s\n", (int)len - 1, dict);
	return write_rows(w, t, false, err);
}

static void add_number(struct buf *b, double v, enum vec_type t)
{
	char text[NUM_TEXT_MAX];
	size_t n = t == VEC_F64 ? num_format_f64(text, v) : num_format_f32(text, (float)v);
	buf_add(b, text, n);
}

static int check_finite(const struct writer *w, uint64_t i, uint32_t j, struct err *err)
{
	if (w->row[j] - w->row[j] == 0)
		return 0;
	return vec_set_fail(w->set, row_at(w, i), err,
			    "value %u is not finite, which text cannot hold", j);
}

/* ERR_DATA if an id would become another. */
static int check_id(const struct writer *w, uint64_t row, struct span id, struct err *err)
{
	struct err why;
	return vec_id_check(id, &why) == 0 ? 0 : vec_set_fail(w->set, row, err, "%s", why.msg);
}

static int write_jsonl(struct writer *w, struct err *err)
{
	enum vec_type t = vec_set_type(w->set);
	char tmp[VEC_ID_TEXT_MAX];
	struct buf *b = &w->sink.b;
	if (t == VEC_I32)
		t = VEC_F64; /* a float would round */
	for (uint64_t i = 0; i < w->count; i++) {
		struct span id = vec_set_id(w->set, row_at(w, i), tmp);
		if (check_id(w, row_at(w, i), id, err) != 0)
			return -1;
		load(w, i);
		buf_adds(b, "{\"id\":");
		scan_quote(b, id);
		buf_adds(b, ",\"vector\":");
		for (uint32_t j = 0; j < w->set->dim; j++) {
			if (check_finite(w, i, j, err) != 0)
				return -1;
			buf_addc(b, j ? ',' : '[');
			add_number(b, w->row[j], t);
		}
		buf_adds(b, "]}\n");
		if (io_sink_spill(&w->sink, err) != 0)
			return -1;
	}
	return 0;
}

/* ERR_DATA if an id cannot stand as the word of a text file. */
static int check_word(const struct writer *w, uint64_t row, struct span id, struct err *err)
{
	int shown = (int)(id.n < 100 ? id.n : 100);
	if (id.n == 0)
		return vec_set_fail(w->set, row, err,
				    "the id is empty, which a text file's word cannot be");
	for (size_t j = 0; j < id.n; j++)
		if (memchr(" \t\r\n", id.p[j], 4))
			return vec_set_fail(w->set, row, err,
					    "id '%.*s' has a blank, which a text file's word "
					    "cannot have",
					    shown, id.p);
	if (text_mark(id))
		return vec_set_fail(w->set, row, err,
				    "id '%.*s' begins with a byte order mark, which would be lost",
				    shown, id.p);
	return check_id(w, row, id, err);
}

/* A row as a line, with its word if there are words. */
static int add_text_row(struct writer *w, uint64_t i, bool words, struct buf *b, struct err *err)
{
	enum vec_type t = vec_set_type(w->set);
	char tmp[VEC_ID_TEXT_MAX];
	if (t == VEC_I32)
		t = VEC_F64;
	load(w, i);
	if (words) {
		struct span id = vec_set_id(w->set, row_at(w, i), tmp);
		if (check_word(w, row_at(w, i), id, err) != 0)
			return -1;
		buf_addspan(b, id);
		buf_addc(b, ' ');
	}
	for (uint32_t j = 0; j < w->set->dim; j++) {
		if (check_finite(w, i, j, err) != 0)
			return -1;
		if (j)
			buf_addc(b, ' ');
		add_number(b, w->row[j], t);
	}
	buf_addc(b, '\n');
	return 0;
}

/* Whether a file that began with this line would be read as another without a header. */
static bool needs_header(struct span line, bool words)
{
	uint64_t rows, dim;
	float v;
	size_t n = 0;
	if (vec_text_header((struct span){line.p, line.n - 1}, &rows, &dim))
		return true;
	while (n < line.n && line.p[n] != ' ')
		n++;
	return words && vec_text_number((struct span){line.p, n}, &v);
}

static int write_text(struct writer *w, bool words, struct err *err)
{
	struct buf *b = &w->sink.b, first = BUF_INIT;
	words |= w->set->id_end != NULL;
	if (w->count == 0)
		return 0;
	int ret = add_text_row(w, 0, words, &first, err);
	/* Numbers are read with something behind them. */
	if (ret == 0 && !buf_reserve(&first, NUM_PADDING))
		ret = err_nomem(err);
	if (ret == 0 && (w->how->header || needs_header(buf_span(&first), words)))
		buf_addf(b, "%llu %u\n", (unsigned long long)w->count, w->set->dim);
	buf_addspan(b, buf_span(&first));
	buf_release(&first);
	for (uint64_t i = 1; ret == 0 && i < w->count; i++) {
		ret = add_text_row(w, i, words, b, err);
		if (ret == 0)
			ret = io_sink_spill(&w->sink, err);
	}
	return ret;
}

static int write_hvec(struct writer *w, enum vec_type t, struct err *err)
{
	struct hvec_head head = {.type = t, .dim = w->set->dim, .rows = w->count};
	size_t dim = w->set->dim, row_bytes = dim * vec_type_bytes(t);
	struct buf rows = BUF_INIT, text = BUF_INIT;
	uint64_t *end = mem_array(w->count, sizeof *end, err);
	char tmp[VEC_ID_TEXT_MAX];
	int ret = -1;
	if (!end)
		return -1;
	/* The checksum stands before the rows, so they are needed whole; usually they are. */
	const struct vec_part *p = w->set->part;
	bool whole = w->set->parts == 1 && !w->pick && p->type == t && p->stride == row_bytes;
	struct span data = {0};
	if (whole && w->count)
		data = (struct span){(const char *)p->data + w->first * row_bytes,
				     w->count * row_bytes};
	for (uint64_t i = 0; i < w->count; i++) {
		if (!whole) {
			load(w, i);
			if (encode(w, i, t, err) != 0)
				goto out;
			buf_add(&rows, w->bytes, row_bytes);
		}
		buf_addspan(&text, vec_set_id(w->set, row_at(w, i), tmp));
		end[i] = text.len;
	}
	if (buf_ok(&rows, err) != 0 || buf_ok(&text, err) != 0)
		goto out;
	struct chunk_set c = {.version = HVEC_VERSION};
	chunk_add(&c, HVEC_HEAD, &head, sizeof head);
	if (!whole)
		data = buf_span(&rows);
	chunk_add(&c, HVEC_VECTORS, data.p, data.n);
	if (w->set->id_end || w->pick || w->first) {
		chunk_add(&c, HVEC_ID_ENDS, end, w->count * sizeof *end);
		chunk_add(&c, HVEC_ID_TEXT, buf_span(&text).p, text.len);
	}
	ret = chunk_write(&c, HVEC_KIND, w->sink.fd, w->sink.name, err);
out:
	free(end);
	buf_release(&rows);
	buf_release(&text);
	return ret;
}

static int write_format(struct writer *w, struct err *err)
{
	switch (w->how->format) {
	case VEC_FVECS:
		return write_rows(w, VEC_F32, true, err);
	case VEC_BVECS:
		return write_rows(w, VEC_U8, true, err);
	case VEC_IVECS:
		return write_rows(w, VEC_I32, true, err);
	case VEC_FBIN:
		return write_bin(w, VEC_F32, err);
	case VEC_U8BIN:
		return write_bin(w, VEC_U8, err);
	case VEC_I8BIN:
		return write_bin(w, VEC_I8, err);
	case VEC_NPY:
		return write_npy(w, w->how->type, err);
	case VEC_TEXT:
	case VEC_TEXT_WORDS:
		return write_text(w, w->how->format == VEC_TEXT_WORDS, err);
	case VEC_HVEC:
		return write_hvec(w, w->how->type, err);
	default:
		return write_jsonl(w, err);
	}
}

int vec_set_write(const struct vec_set *s, const struct vec_write *how, const uint64_t *pick,
		  uint64_t first, uint64_t count, int fd, const char *name, struct err *err)
{
	struct writer w = {.set = s,
			   .how = how,
			   .pick = pick,
			   .first = first,
			   .count = count,
			   .sink = IO_SINK_INIT(fd, name)};
	size_t dim = s->dim ? s->dim : 1;
	w.row = mem_array(dim, sizeof *w.row, err);
	w.bytes = mem_array(dim, sizeof(double), err);
	int ret = w.row && w.bytes ? write_format(&w, err) : -1;
	if (ret == 0)
		ret = io_sink_flush(&w.sink, err);
	io_sink_release(&w.sink);
	free(w.row);
	free(w.bytes);
	return ret;
}
