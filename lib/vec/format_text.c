/* SPDX-License-Identifier: MIT */
#include "vec/format_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/scan.h"

#define LINE_MAX_BYTES ((size_t)64 << 20)

/* ---- rows that come one by one ---- */

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
	if (r->id_text.len - prev > VEC_ID_MAX)
		return err_set(err, ERR_DATA, "id is longer than %d bytes", VEC_ID_MAX);
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
	    .by_line = true,
	    .id_text = r->id_text,
	    .id_end = r->id_end,
	};
	*r = (struct vec_rows){0};
}

/* ---- JSONL ---- */

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

/* One line.  ${id}: as written between its quotes, or a number's text, or p NULL. */
static int read_json_line(struct span line, struct values *values, struct span *id, bool *id_quoted,
			  struct err *err)
{
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
			if (span_is(key, "vector")) {
				seen = true;
				if (read_values(&s, values, err) != 0 && !scan_failed(&s))
					return -1;
			} else if (span_is(key, "id")) {
				if (scan_peek(&s) == '"')
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
		return err_set(err, ERR_DATA, "has no key 'vector'%s",
			       text ? " (texts become vectors with embed)" : "");
	return 0;
}

static bool blank(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
			return false;
	return true;
}

/* Take the line's dimension, or compare it with that of the first. */
static int check_dim(struct vec_rows *r, uint32_t dim, struct err *err)
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

static int take_json_line(struct vec_rows *r, struct span line, struct values *values,
			  struct err *err)
{
	struct span id;
	bool quoted;
	if (read_json_line(line, values, &id, &quoted, err) != 0 ||
	    check_dim(r, values->count, err) != 0)
		return -1;
	if (r->rows > 0 && (id.p != NULL) != (r->id_end != NULL))
		return err_set(err, ERR_DATA,
			       id.p ? "has an id, though lines before it have none"
				    : "has no key 'id', though lines before it have");
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

int vec_read_jsonl(struct vec_found *f, int fd, const char *name, struct err *err)
{
	struct io_lines lines;
	struct vec_rows rows = {0};
	struct values values = {0};
	struct span line;
	int got;
	if (io_lines_init(&lines, fd, name, LINE_MAX_BYTES, err) != 0)
		return -1;
	while ((got = io_lines_next(&lines, &line, err)) > 0) {
		if (blank(line))
			continue;
		if (take_json_line(&rows, line, &values, err) != 0) {
			got = err_prefix(err, "'%s' line %llu", name,
					 (unsigned long long)lines.number);
			break;
		}
	}
	io_lines_release(&lines);
	free(values.v);
	if (got == 0)
		vec_rows_found(&rows, f);
	vec_rows_release(&rows);
	return got;
}

/* ---- a stream of JSONL ---- */

struct vec_stream {
	struct io_lines lines;
	struct vec_rows row; /* the one in hand */
	struct values values;
	uint64_t count;
	char number[VEC_ID_TEXT_MAX];
};

struct vec_stream *vec_stream_new(int fd, const char *name, struct err *err)
{
	struct vec_stream *s = mem_zeroed(1, sizeof *s, err);
	if (s && io_lines_init(&s->lines, fd, name, LINE_MAX_BYTES, err) != 0) {
		free(s);
		s = NULL;
	}
	return s;
}

void vec_stream_free(struct vec_stream *s)
{
	if (!s)
		return;
	io_lines_release(&s->lines);
	vec_rows_release(&s->row);
	free(s->values.v);
	free(s);
}

int vec_stream_ready(struct vec_stream *s, struct err *err)
{
	return io_lines_wait(&s->lines, 0, err);
}

int vec_stream_next(struct vec_stream *s, uint32_t dim, const float **v, struct span *id,
		    struct err *err)
{
	struct span line;
	int got;
	do
		got = io_lines_next(&s->lines, &line, err);
	while (got > 0 && blank(line));
	if (got <= 0)
		return got;
	/* Keep the dimension, forget the row before. */
	s->row.rows = 0;
	s->row.dim = dim ? dim : s->row.dim;
	buf_clear(&s->row.id_text);
	free(s->row.id_end);
	s->row.id_end = NULL;
	s->row.id_cap = 0;
	if (take_json_line(&s->row, line, &s->values, err) != 0)
		return err_prefix(err, "'%s' line %llu", s->lines.name,
				  (unsigned long long)s->lines.number);
	*v = s->row.data;
	if (s->row.id_end) {
		*id = buf_span(&s->row.id_text);
	} else {
		struct vec_set numbers = VEC_SET_INIT;
		*id = vec_set_id(&numbers, s->count, s->number);
	}
	s->count++;
	return 1;
}

/* ---- text ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span next_token(struct span *rest)
{
	while (rest->n && is_blank(*rest->p)) {
		rest->p++;
		rest->n--;
	}
	struct span t = {rest->p, 0};
	while (t.n < rest->n && !is_blank(t.p[t.n]))
		t.n++;
	rest->p += t.n;
	rest->n -= t.n;
	return t;
}

static uint32_t count_tokens(struct span line)
{
	uint32_t n = 0;
	while (n <= 2 * VEC_MAX_DIM && next_token(&line).n)
		n++;
	return n;
}

/* A token as a finite number. */
static int token_value(struct span t, float *v)
{
	const char *end = num_json_f32(t.p, v);
	if (end != t.p + t.n) {
		/* Not JSON's grammar, but "+1", ".5" and "1." are numbers too. */
		char copy[64], *stop;
		if (t.n == 0 || t.n >= sizeof copy)
			return -1;
		memcpy(copy, t.p, t.n);
		copy[t.n] = 0;
		*v = strtof(copy, &stop);
		if (*stop)
			return -1;
	}
	return isfinite(*v) ? 0 : -1;
}

/* "rows dimension": two whole numbers. */
static bool is_header(struct span line, uint64_t *rows, uint64_t *dim)
{
	struct span a = next_token(&line), b = next_token(&line);
	return next_token(&line).n == 0 && num_u64(a, 1, VEC_MAX_ROWS, rows) == 0 &&
	       num_u64(b, 1, VEC_MAX_DIM, dim) == 0;
}

struct text_reader {
	struct vec_rows rows;
	bool words;
	uint64_t header_rows; /* 0: no header */
};

static int take_text_line(struct text_reader *t, struct span line, struct err *err)
{
	struct vec_rows *r = &t->rows;
	uint32_t tokens = count_tokens(line);
	float v;
	if (r->rows == 0) {
		struct span rest = line;
		if (r->dim) /* from the header */
			t->words |= tokens > r->dim;
		else
			t->words |= token_value(next_token(&rest), &v) != 0;
	}
	/* A word may hold blanks (some of GloVe's do): the last values are the vector. */
	uint32_t before = 0;
	if (t->words) {
		before = r->dim && tokens > r->dim ? tokens - r->dim : 1;
		if (tokens < 2)
			return err_set(err, ERR_DATA, "has no values after its word");
	}
	if (check_dim(r, tokens - before, err) != 0)
		return t->words || tokens != r->dim + 1
			   ? -1
			   : err_set(err, ERR_DATA,
				     "has %u values, expected %u (if lines begin with a word, use "
				     "format text-words)",
				     tokens, r->dim);
	float *row = vec_rows_next(r, err);
	if (!row)
		return -1;
	if (before) {
		struct span first = next_token(&line), last = first;
		while (--before)
			last = next_token(&line);
		buf_add(&r->id_text, first.p, (size_t)(last.p + last.n - first.p));
		if (vec_rows_id(r, err) != 0)
			return -1;
	}
	for (uint32_t i = 0; i < r->dim; i++) {
		struct span token = next_token(&line);
		if (token_value(token, &row[i]) != 0)
			return err_set(err, ERR_DATA,
				       "value %u is '%.*s', expected a finite number", i + 1,
				       (int)(token.n < 40 ? token.n : 40), token.p);
	}
	return 0;
}

/* The first line: a header if the second line has as many values as it says. */
static int take_first_lines(struct text_reader *t, struct io_lines *lines, struct err *err)
{
	struct span line;
	uint64_t rows, dim;
	int got = io_lines_next(lines, &line, err);
	if (got <= 0)
		return got;
	if (!is_header(line, &rows, &dim))
		return take_text_line(t, line, err) == 0 ? 1 : -1;
	char *copy = mem_zeroed(line.n + NUM_PADDING, 1, err);
	if (!copy)
		return -1;
	struct span first = {memcpy(copy, line.p, line.n), line.n};
	got = io_lines_next(lines, &line, err);
	if (got > 0) {
		uint32_t tokens = count_tokens(line);
		if (tokens == dim || tokens == dim + 1) {
			t->header_rows = rows;
			t->rows.dim = (uint32_t)dim;
		} else if (take_text_line(t, first, err) != 0) {
			lines->number--;
			got = -1;
		}
		if (got > 0 && take_text_line(t, line, err) != 0)
			got = -1;
	} else if (got == 0) {
		got = take_text_line(t, first, err) == 0 ? 0 : -1;
	}
	free(copy);
	return got;
}

int vec_read_text(struct vec_found *f, bool words, int fd, const char *name, struct err *err)
{
	struct io_lines lines;
	struct text_reader t = {.words = words};
	struct span line;
	if (io_lines_init(&lines, fd, name, LINE_MAX_BYTES, err) != 0)
		return -1;
	int got = take_first_lines(&t, &lines, err);
	while (got > 0 && (got = io_lines_next(&lines, &line, err)) > 0)
		if (!blank(line) && take_text_line(&t, line, err) != 0)
			got = -1;
	if (got < 0 && err->code == ERR_DATA)
		err_prefix(err, "'%s' line %llu", name, (unsigned long long)lines.number);
	if (got == 0 && t.header_rows && t.header_rows != t.rows.rows)
		got = err_set(err, ERR_DATA, "'%s' has %llu rows, its first line says %llu", name,
			      (unsigned long long)t.rows.rows, (unsigned long long)t.header_rows);
	io_lines_release(&lines);
	if (got == 0)
		vec_rows_found(&t.rows, f);
	vec_rows_release(&t.rows);
	return got;
}
