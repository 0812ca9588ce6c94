/* SPDX-License-Identifier: MIT */
/*
 * Vectors in tables of text: CSV (RFC 4180), TSV, and what PostgreSQL's COPY writes of a column of
 * pgvector.  A vector is one field, [0.1,0.2] or {0.1,0.2}, or all fields but that of the id.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/format_internal.h"

#define SHOWN 40 /* bytes of a field in a message */
#define NONE SIZE_MAX

struct table_reader {
	enum vec_format format;
	const struct vec_input *how;
	struct vec_rows rows;
	struct buf text; /* the fields of the line in hand, a NUL after each */
	size_t *end, fields, room;
	bool null; /* ... of which one is NULL */
	/* Known from the first lines on. */
	struct buf names; /* of the columns, as the fields are */
	size_t *name_end, columns;
	size_t vector, id; /* columns; NONE: all the others are values; rows are numbered */
	float *values;
	uint32_t count, value_room;
};

/* ---- fields ---- */

static struct span field_of(const struct buf *text, const size_t *end, size_t i)
{
	size_t from = i ? end[i - 1] + 1 : 0;
	return (struct span){text->data + from, end[i] - from};
}

static struct span field(const struct table_reader *t, size_t i)
{
	return field_of(&t->text, t->end, i);
}

static int end_field(struct table_reader *t, struct err *err)
{
	if (t->fields == t->room) {
		size_t room = 2 * t->room + 16,
		       *grown = mem_resize(t->end, room, sizeof *grown, err);
		if (!grown)
			return -1;
		t->end = grown;
		t->room = room;
	}
	t->end[t->fields++] = t->text.len;
	buf_addc(&t->text, 0);
	return 0;
}

/* A field in quotes, from behind the first one; two of them stand for one.  NULL: no end. */
static const char *add_quoted(struct buf *out, const char *p, const char *end)
{
	for (;;) {
		const char *quote = p < end ? memchr(p, '"', (size_t)(end - p)) : NULL;
		if (!quote)
			return NULL;
		buf_add(out, p, (size_t)(quote - p));
		p = quote + 1;
		if (p == end || *p != '"')
			return p;
		buf_addc(out, *p++);
	}
}

/* The escapes of COPY. */
static void add_escaped(struct buf *out, const char *p, const char *end)
{
	static const char letters[] = "bfnrtv", meant[] = "\b\f\n\r\t\v";
	for (; p < end; p++) {
		const char *letter;
		if (*p != '\\' || p + 1 == end) {
			buf_addc(out, *p);
			continue;
		}
		letter = memchr(letters, *++p, sizeof letters - 1);
		buf_addc(out, letter ? meant[letter - letters] : *p);
	}
}

static int split_line(struct table_reader *t, struct span line, struct err *err)
{
	char separator = t->format == VEC_CSV ? ',' : '\t';
	const char *p = line.p, *end = line.p + line.n;
	t->fields = 0;
	t->null = false;
	buf_clear(&t->text);
	if (memchr(p, 0, line.n))
		return err_set(err, ERR_DATA, "has a NUL");
	for (;; p++) {
		if (t->format == VEC_CSV && p < end && *p == '"') {
			p = add_quoted(&t->text, p + 1, end);
			if (!p || (p < end && *p != separator))
				return err_set(err, ERR_DATA,
					       "has a quote that is not closed in the line");
		} else {
			const char *stop = memchr(p, separator, (size_t)(end - p));
			stop = stop ? stop : end;
			t->null |=
			    t->format == VEC_PGVECTOR && stop - p == 2 && memcmp(p, "\\N", 2) == 0;
			if (t->format == VEC_PGVECTOR)
				add_escaped(&t->text, p, stop);
			else
				buf_add(&t->text, p, (size_t)(stop - p));
			p = stop;
		}
		if (end_field(t, err) != 0)
			return -1;
		if (p == end)
			break;
	}
	/* Numbers are read with something behind them. */
	if (!buf_reserve(&t->text, NUM_PADDING))
		return err_nomem(err);
	return buf_ok(&t->text, err);
}

/* ---- values ---- */

static struct span trim(struct span s)
{
	while (s.n && *s.p == ' ') {
		s.p++;
		s.n--;
	}
	while (s.n && s.p[s.n - 1] == ' ')
		s.n--;
	return s;
}

static bool is_array(struct span s)
{
	s = trim(s);
	return s.n >= 2 &&
	       ((*s.p == '[' && s.p[s.n - 1] == ']') || (*s.p == '{' && s.p[s.n - 1] == '}'));
}

static bool is_number(struct span s)
{
	float ignored;
	s = trim(s);
	return vec_text_number(s, &ignored);
}

static int add_value(struct table_reader *t, struct span text, struct err *err)
{
	if (t->count == t->value_room) {
		uint32_t room = 2 * t->value_room + 256;
		if (room > 4 * VEC_MAX_DIM)
			return err_set(err, ERR_DATA, "has more than %d values", VEC_MAX_DIM);
		float *grown = mem_resize(t->values, room, sizeof *grown, err);
		if (!grown)
			return -1;
		t->values = grown;
		t->value_room = room;
	}
	text = trim(text);
	if (!vec_text_number(text, &t->values[t->count]))
		return err_set(err, ERR_DATA, "value %u is '%.*s', expected a finite number",
			       t->count, (int)(text.n < SHOWN ? text.n : SHOWN), text.p);
	t->count++;
	return 0;
}

/* [number,...] */
static int read_array(struct table_reader *t, struct span s, struct err *err)
{
	if (!is_array(s))
		return err_set(err, ERR_DATA, "has '%.*s' as vector, expected [0.1,...]",
			       (int)(s.n < SHOWN ? s.n : SHOWN), s.p);
	s = trim(s);
	for (const char *p = s.p + 1, *end = s.p + s.n - 1; p <= end;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t n = (size_t)((comma ? comma : end) - p);
		if (add_value(t, (struct span){p, n}, err) != 0)
			return -1;
		p += n + 1;
	}
	return 0;
}

static int read_vector(struct table_reader *t, struct err *err)
{
	t->count = 0;
	if (t->vector != NONE)
		return read_array(t, field(t, t->vector), err);
	for (size_t i = 0; i < t->fields; i++)
		if (i != t->id && add_value(t, field(t, i), err) != 0)
			return -1;
	return 0;
}

/* ---- columns ---- */

/* A line is a header if nothing in it can be a value. */
static bool is_header(const struct table_reader *t)
{
	for (size_t i = 0; i < t->fields; i++)
		if (is_array(field(t, i)) || is_number(field(t, i)))
			return false;
	return true;
}

/* Without a header the columns are called 1, 2 and so on. */
static bool is_named(const struct table_reader *t, size_t i, const char *name)
{
	uint64_t number;
	if (t->columns)
		return span_is(field_of(&t->names, t->name_end, i), name);
	return num_u64(span_of(name), 1, t->fields, &number) == 0 && number == i + 1;
}

static int find_named(const struct table_reader *t, const char *name, size_t *out, struct err *err)
{
	size_t found = 0;
	for (size_t i = 0; i < t->fields; i++)
		if (is_named(t, i, name) && found++ == 0)
			*out = i;
	if (found == 1)
		return 0;
	return err_set(err, ERR_USAGE, "has %s column '%.100s'%s", found ? "more than one" : "no",
		       name, t->columns ? "" : ", and no header (columns are then 1, 2, ...)");
}

static int find_vector(struct table_reader *t, struct err *err)
{
	size_t found = 0;
	t->vector = NONE;
	if (t->how->column)
		return find_named(t, t->how->column, &t->vector, err);
	for (size_t i = 0; i < t->fields; i++)
		if (is_array(field(t, i)) && found++ == 0)
			t->vector = i;
	return found < 2 ? 0
			 : err_set(err, ERR_USAGE,
				   "has %zu columns of vectors: name one with --column", found);
}

static int find_id(struct table_reader *t, struct err *err)
{
	static const char *const usual[] = {"id", "_id", "doc_id"};
	size_t found = 0;
	t->id = NONE;
	if (t->how->id_column)
		return t->how->id_column[0] ? find_named(t, t->how->id_column, &t->id, err) : 0;
	for (size_t i = 0; t->columns && i < t->fields; i++)
		for (size_t k = 0; k < sizeof usual / sizeof usual[0]; k++)
			if (is_named(t, i, usual[k]) && found++ == 0)
				t->id = i;
	if (found > 1)
		return err_set(err, ERR_USAGE,
			       "has %zu columns that could be ids: name one with --id-column",
			       found);
	/* Else it is the field before the vector, or a word before values. */
	if (!found && (t->vector == NONE ? t->fields > 1 && !is_number(field(t, 0))
					 : t->vector == 1 && t->fields == 2))
		t->id = 0;
	return 0;
}

/* The line is a header: keep it. */
static void keep_names(struct table_reader *t)
{
	free(t->name_end);
	buf_release(&t->names);
	t->names = t->text;
	t->name_end = t->end;
	t->columns = t->fields;
	t->text = (struct buf)BUF_INIT;
	t->end = NULL;
	t->room = 0;
}

/* ---- lines ---- */

static int take_id(struct table_reader *t, struct err *err)
{
	if (t->id == NONE)
		return 0;
	buf_addspan(&t->rows.id_text, field(t, t->id));
	return vec_rows_id(&t->rows, err);
}

static int take_line(struct table_reader *t, struct span line, uint64_t number, struct err *err)
{
	struct vec_rows *r = &t->rows;
	if (split_line(t, line, err) != 0)
		return -1;
	if (r->rows == 0 && !t->columns && is_header(t)) {
		keep_names(t);
		return 0;
	}
	if (r->rows == 0) {
		if (t->columns && t->fields != t->columns)
			return err_set(err, ERR_DATA, "has %zu fields, expected %zu", t->fields,
				       t->columns);
		if (find_vector(t, err) != 0 || find_id(t, err) != 0)
			return -1;
		t->columns = t->fields;
	}
	if (t->fields != t->columns)
		return err_set(err, ERR_DATA, "has %zu fields, expected %zu", t->fields,
			       t->columns);
	if (t->null)
		return err_set(err, ERR_DATA, "has a null");
	if (read_vector(t, err) != 0 || vec_check_dim(r, t->count, err) != 0)
		return -1;
	float *row = vec_rows_next(r, err);
	if (!row)
		return -1;
	memcpy(row, t->values, r->dim * sizeof *row);
	vec_rows_line(r, number);
	return take_id(t, err);
}

int vec_read_table(struct vec_found *f, const struct vec_input *how, struct io_lines *lines,
		   struct err *err)
{
	struct table_reader t = {.format = (enum vec_format)how->format, .how = how};
	struct span line;
	int got;
	while ((got = io_lines_next(lines, &line, err)) > 0) {
		/* Old dumps end so. */
		if (vec_line_blank(line) || span_is(line, "\\."))
			continue;
		if (take_line(&t, line, lines->number, err) != 0) {
			got = vec_line_fails(lines, err);
			break;
		}
	}
	if (got == 0)
		vec_rows_found(&t.rows, f);
	vec_rows_release(&t.rows);
	buf_release(&t.text);
	buf_release(&t.names);
	free(t.end);
	free(t.name_end);
	free(t.values);
	return got;
}
