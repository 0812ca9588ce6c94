/* SPDX-License-Identifier: MIT */
/* Vectors in JSONL: whole files, and line by line. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/scan.h"
#include "vec/format_internal.h"

static const char *skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\r')
		p++;
	return p;
}

/* Values of the line in hand; its length is known from the first line on. */
struct values {
	float *v;
	uint32_t count, cap;
};

/*
 * Read [number, ...] at the scanner's point into ${out}.  A line is followed by
 * NUM_PADDING bytes, the first a newline or NUL, so nothing here needs a bound.
 */
static int read_values(struct scan *s, struct values *out, struct err *err)
{
	if (!scan_array(s))
		return -1;
	out->count = 0;
	const char *p = skip_blanks(s->p);
	if (*p == ']') {
		s->p = p + 1;
		s->first = false;
		return 0;
	}
	for (;;) {
		float v;
		p = skip_blanks(p);
		const char *end = num_json_f32(p, &v);
		if (!end || !isfinite(v)) {
			s->p = p;
			scan_fail(s, end ? "number too large for a float"
					 : "expected a finite number");
			return -1;
		}
		if (out->count == out->cap) {
			uint32_t cap = out->cap ? 2 * out->cap : 256;
			if (cap > 4 * VEC_MAX_DIM)
				return err_set(err, ERR_DATA, "has more than %d values",
					       VEC_MAX_DIM);
			float *grown = mem_resize(out->v, cap, sizeof *grown, err);
			if (!grown)
				return -1;
			out->v = grown;
			out->cap = cap;
		}
		out->v[out->count++] = v;
		p = skip_blanks(end);
		if (*p == ',') {
			p++;
			continue;
		}
		s->p = p;
		if (*p != ']') {
			scan_fail(s, "expected ',' or ']'");
			return -1;
		}
		s->p++;
		s->first = false;
		return 0;
	}
}

/* The keys that are read; "": none. */
static const char *vector_key(const struct vec_input *how)
{
	return how->column ? how->column : "vector";
}

static const char *id_key(const struct vec_input *how)
{
	return how->id_column ? how->id_column : "id";
}

/* One line.  ${id}: as written between its quotes, or a number's text, or p NULL. */
static int read_json_line(const struct vec_input *how, struct span line, struct values *values,
			  struct span *id, bool *id_quoted, struct err *err)
{
	const char *vector = vector_key(how), *ids = id_key(how);
	struct scan s;
	struct span key;
	bool seen = false, text = false;
	*id = (struct span){0};
	*id_quoted = false;
	scan_init(&s, line);
	if (scan_peek(&s) == '[') {
		seen = true;
		if (read_values(&s, values, err) != 0 && !scan_failed(&s))
			return -1;
	} else if (scan_object(&s)) {
		while (scan_member(&s, &key)) {
			if (scan_text_is(key, span_of(vector))) {
				if (seen)
					scan_fail(&s, how->column ? "the vector's key given twice"
								  : "key 'vector' given twice");
				seen = true;
				if (read_values(&s, values, err) != 0 && !scan_failed(&s))
					return -1;
			} else if (ids[0] && scan_text_is(key, span_of(ids))) {
				if (id->p)
					scan_fail(&s, how->id_column ? "the id's key given twice"
								     : "key 'id' given twice");
				else if (scan_peek(&s) == '"')
					*id_quoted = scan_string(&s, id);
				else if (scan_peek(&s) == '0')
					scan_skip(&s, id);
				else
					scan_fail(&s, "expected a string or a number as id");
			} else {
				text |= span_is(key, "text");
				scan_skip(&s, NULL);
			}
		}
	}
	if (!scan_end(&s))
		return scan_err(&s, err);
	if (!seen)
		return err_set(err, ERR_DATA, "has no key '%.100s'%s", vector,
			       text	     ? " (texts become vectors with embed)"
			       : how->column ? ""
					     : " (--key names another)");
	return 0;
}

static int take_json_line(struct vec_rows *r, const struct vec_input *how, struct span line,
			  struct values *values, struct err *err)
{
	struct span id;
	bool quoted;
	if (read_json_line(how, line, values, &id, &quoted, err) != 0 ||
	    vec_check_dim(r, values->count, err) != 0)
		return -1;
	if (r->rows > 0 && (id.p != NULL) != (r->id_end != NULL))
		return err_set(err, ERR_DATA,
			       id.p ? "has an id, though lines before it have none%s"
				    : "has no key '%s', though lines before it have",
			       id.p ? "" : id_key(how));
	float *row = vec_rows_next(r, err);
	if (!row)
		return -1;
	memcpy(row, values->v, r->dim * sizeof *row);
	if (!id.p)
		return 0;
	if (quoted)
		scan_decode(id, &r->id_text);
	else
		buf_addspan(&r->id_text, id);
	return vec_rows_id(r, err);
}

int vec_read_jsonl(struct vec_found *f, const struct vec_input *how, struct io_lines *lines,
		   struct err *err)
{
	struct vec_rows rows = {0};
	struct values values = {0};
	struct span line;
	int got;
	while ((got = io_lines_next(lines, &line, err)) > 0) {
		if (vec_line_blank(line))
			continue;
		if (take_json_line(&rows, how, line, &values, err) != 0) {
			got = vec_line_fails(lines, err);
			break;
		}
		vec_rows_line(&rows, lines->number);
	}
	free(values.v);
	if (got == 0)
		vec_rows_found(&rows, f);
	vec_rows_release(&rows);
	return got;
}

/* ---- line by line ---- */

struct vec_line {
	const struct vec_input *how;
	struct values values;
	struct buf id;
};

struct vec_line *vec_line_new(const struct vec_input *how, struct err *err)
{
	struct vec_line *l = mem_zeroed(1, sizeof *l, err);
	if (l)
		l->how = how;
	return l;
}

void vec_line_free(struct vec_line *l)
{
	if (!l)
		return;
	free(l->values.v);
	buf_release(&l->id);
	free(l);
}

int vec_line_read(struct vec_line *l, struct span line, uint32_t dim, const float **v,
		  struct span *id, struct err *err)
{
	struct span raw;
	bool quoted;
	if (read_json_line(l->how, line, &l->values, &raw, &quoted, err) != 0) {
		l->values.count = 0;
		return -1;
	}
	if (l->values.count != dim)
		return err_set(err, ERR_DATA, "has dimension %u, expected %u", l->values.count,
			       dim);
	buf_clear(&l->id);
	if (raw.p && quoted)
		scan_decode(raw, &l->id);
	else if (raw.p)
		buf_addspan(&l->id, raw);
	*v = l->values.v;
	*id = raw.p ? (struct span){l->id.data ? l->id.data : "", l->id.len} : raw;
	return buf_ok(&l->id, err);
}

uint32_t vec_line_dim(const struct vec_line *l)
{
	return l->values.count;
}
