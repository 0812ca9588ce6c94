/* SPDX-License-Identifier: MIT */
/*
 * Vectors in text, as word2vec, GloVe and fastText write it: a row a line, its values between
 * blanks, after a word or not; before the first row perhaps a header, "rows dimension".
 *
 * A word may hold blanks (some of GloVe's do), so what is a word and what a value has to be found
 * out.  In doubt a line is refused: two lines that became one, or a value too many, must not turn
 * into a word.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/format_internal.h"

#define SHOWN 40 /* bytes of a token in a message */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool vec_line_blank(struct span line)
{
	size_t n = 0;
	while (n < line.n && is_blank(line.p[n]))
		n++;
	return n == line.n;
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

/* The token before the end of the line. */
static struct span last_token(struct span *line)
{
	while (line->n && is_blank(line->p[line->n - 1]))
		line->n--;
	size_t end = line->n;
	while (line->n && !is_blank(line->p[line->n - 1]))
		line->n--;
	return (struct span){line->p + line->n, end - line->n};
}

static uint32_t count_tokens(struct span line)
{
	uint32_t n = 0;
	while (n <= 2 * VEC_MAX_DIM && next_token(&line).n)
		n++;
	return n;
}

bool vec_text_number(struct span t, float *v)
{
	const char *end = num_json_f32(t.p, v);
	if (end != t.p + t.n) {
		/* Not JSON's grammar, but "+1", ".5" and "1." are numbers too. */
		char copy[64], *stop;
		if (t.n == 0 || t.n >= sizeof copy)
			return false;
		for (size_t i = 0; i < t.n; i++)
			if (!memchr("0123456789+-.eE", t.p[i], 15))
				return false;
		memcpy(copy, t.p, t.n);
		copy[t.n] = 0;
		*v = strtof(copy, &stop);
		if (*stop)
			return false;
	}
	return isfinite(*v);
}

static bool is_number(struct span t)
{
	float ignored;
	return vec_text_number(t, &ignored);
}

/* A token that begins as a number does, or stands for one: "3c", "1,5", "nan". */
static bool is_like_number(struct span t)
{
	static const char *const names[] = {"nan", "inf", "infinity"};
	if (t.n && (*t.p == '-' || *t.p == '+')) {
		t.p++;
		t.n--;
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (t.n == strlen(names[i]) && strncasecmp(t.p, names[i], t.n) == 0)
			return true;
	size_t digit = t.n > 1 && *t.p == '.';
	return t.n && t.p[digit] >= '0' && t.p[digit] <= '9';
}

bool vec_text_header(struct span line, uint64_t *rows, uint64_t *dim)
{
	bool indented = line.n && is_blank(*line.p);
	struct span a = next_token(&line), b = next_token(&line);
	return !indented && next_token(&line).n == 0 && num_u64(a, 1, VEC_MAX_ROWS, rows) == 0 &&
	       num_u64(b, 1, VEC_MAX_DIM, dim) == 0;
}

struct text_reader {
	struct vec_rows rows;
	bool words;	      /* lines begin with a word */
	bool named;	      /* the format was named text-words */
	uint64_t header_rows; /* 0: no header */
};

/* ---- a line as most are ---- */

/* The values of a line that has just so many, and its word if there are words; false if the line
 * is any other. */
static bool read_plain(const struct text_reader *t, struct span line, struct span *word, float *out)
{
	const char *end = line.p + line.n;
	if (t->words && (*word = next_token(&line)).n == 0)
		return false;
	const char *p = line.p;
	for (uint32_t i = 0; i < t->rows.dim; i++) {
		while (p < end && is_blank(*p))
			p++;
		const char *stop = num_json_f32(p, &out[i]);
		if (!stop || (stop < end && !is_blank(*stop)) || !isfinite(out[i])) {
			struct span rest = {p, (size_t)(end - p)}, token = next_token(&rest);
			if (!vec_text_number(token, &out[i]))
				return false;
			stop = token.p + token.n;
		}
		p = stop;
	}
	return vec_line_blank((struct span){p, (size_t)(end - p)});
}

/* ---- any line ---- */

static uint32_t count_numbers(struct span line)
{
	uint32_t n = 0;
	for (struct span t; (t = next_token(&line)).n;)
		n += is_number(t);
	return n;
}

/* ERR_DATA unless what stands before the values can be a word. */
static int check_word(const struct text_reader *t, struct span line, uint32_t tokens,
		      struct err *err)
{
	uint32_t in_word = tokens - t->rows.dim, numbers = 0, like = 0;
	struct span rest = line;
	for (uint32_t i = 0; i < in_word; i++) {
		struct span token = next_token(&rest);
		numbers += is_number(token);
		like += i ? is_like_number(token) : is_number(token);
	}
	bool sure = t->named && t->header_rows; /* the dimension is not to be found out */
	if (in_word == 1 || (sure ? numbers < in_word : !like && t->rows.dim > 1) ||
	    (t->header_rows && !like))
		return 0;
	return err_set(err, ERR_DATA, "has %u numbers, expected a word and %u%s",
		       count_numbers(line), t->rows.dim,
		       sure ? ""
			    : " (words that hold a number after a blank need format text-words and a "
			      "header)");
}

/* Find out of the first row whether there are words, and the dimension. */
static int take_shape(struct text_reader *t, struct span line, uint32_t tokens, struct err *err)
{
	struct span rest = line, first = next_token(&rest), last = {0};
	uint32_t dim = 0;
	if (t->rows.dim) { /* by the header */
		t->words |= tokens > t->rows.dim;
		return 0;
	}
	t->words |= !is_number(first);
	if (t->words && tokens < 2)
		return err_set(err, ERR_DATA, "has no values after its word");
	if (t->words && is_blank(line.p[0]) && is_number(first))
		return err_set(err, ERR_DATA, "begins with a blank where a word is expected");
	rest = line;
	while (dim < tokens && is_number(last = last_token(&rest)))
		dim++;
	if (!t->words)
		dim = tokens;
	else if (dim == tokens)
		dim--;
	else if (dim == 0)
		return err_set(err, ERR_DATA, "value %u is '%.*s', expected a finite number",
			       tokens - 1, (int)(last.n < SHOWN ? last.n : SHOWN), last.p);
	return vec_check_dim(&t->rows, dim, err);
}

/* A line with a word of several tokens; or what is wrong with it. */
static int read_odd(const struct text_reader *t, struct span line, struct span *word, float *out,
		    struct err *err)
{
	uint32_t tokens = count_tokens(line), dim = t->rows.dim, before = t->words;
	struct span rest = line;
	if (t->words && tokens == dim && (is_blank(line.p[0]) || is_number(next_token(&rest))))
		return err_set(err, ERR_DATA, "has %u values and no word before them", dim);
	if (t->words && tokens < 2)
		return err_set(err, ERR_DATA, "has no values after its word");
	if (!t->words && tokens == dim + 1)
		return err_set(err, ERR_DATA,
			       "has %u values, expected %u (if lines begin with a word, use format "
			       "text-words)",
			       tokens, dim);
	if (t->words && tokens > dim) {
		if (check_word(t, line, tokens, err) != 0)
			return -1;
		before = tokens - dim;
	}
	if (tokens - before != dim)
		return err_set(err, ERR_DATA, "has dimension %u, expected %u", tokens - before, dim);
	rest = line;
	if (before) {
		struct span first = next_token(&rest), last = first;
		while (--before)
			last = next_token(&rest);
		*word = (struct span){first.p, (size_t)(last.p + last.n - first.p)};
	}
	for (uint32_t i = 0; i < dim; i++) {
		struct span token = next_token(&rest);
		if (!vec_text_number(token, &out[i]))
			return err_set(err, ERR_DATA,
				       "value %u is '%.*s', expected a finite number", i + 1,
				       (int)(token.n < SHOWN ? token.n : SHOWN), token.p);
	}
	return 0;
}

static int take_line(struct text_reader *t, struct span line, uint64_t number, struct err *err)
{
	struct vec_rows *r = &t->rows;
	struct span word = {0};
	if (r->rows == 0 && take_shape(t, line, count_tokens(line), err) != 0)
		return -1;
	float *row = vec_rows_next(r, err);
	if (!row || (!read_plain(t, line, &word, row) && read_odd(t, line, &word, row, err) != 0))
		return -1;
	if (t->words) {
		buf_addspan(&r->id_text, word);
		if (vec_rows_id(r, err) != 0)
			return -1;
	}
	vec_rows_line(r, number);
	return 0;
}

/* ---- the whole ---- */

/* Whether a line "rows ${dim}" is a header, from the line that follows it. */
static bool goes_with_header(struct span line, uint64_t dim)
{
	uint32_t tokens = count_tokens(line), numbers = 0;
	if (tokens == dim || tokens == dim + 1)
		return true;
	/* A word with blanks; were the first line a row, this one would have its length. */
	if (tokens <= dim || tokens == 2 || is_number(next_token(&(struct span){line.p, line.n})))
		return false;
	while (numbers < dim && is_number(last_token(&line)))
		numbers++;
	return numbers == dim;
}

/* The next line that is not blank. */
static int next_line(struct io_lines *lines, struct span *line, struct err *err)
{
	int got;
	do
		got = io_lines_next(lines, line, err);
	while (got > 0 && vec_line_blank(*line));
	return got;
}

/* The same of the line before the one in hand. */
static int fail_at(const struct io_lines *lines, uint64_t number, struct err *err)
{
	struct io_lines at = {.name = lines->name, .number = number};
	return vec_line_fails(&at, err);
}

/* The first line: a header, or a row. */
static int take_first_lines(struct text_reader *t, struct io_lines *lines, struct err *err)
{
	struct span line;
	uint64_t rows, dim;
	int got = next_line(lines, &line, err);
	uint64_t number = lines->number;
	char *copy = NULL;
	if (got <= 0)
		return got;
	if (vec_text_header(line, &rows, &dim)) {
		/* It lives until the next one is read. */
		copy = mem_zeroed(line.n + NUM_PADDING, 1, err);
		if (!copy)
			return -1;
		struct span first = {memcpy(copy, line.p, line.n), line.n};
		got = next_line(lines, &line, err);
		if (got > 0 && goes_with_header(line, dim)) {
			t->header_rows = rows;
			t->rows.dim = (uint32_t)dim;
		} else if (got >= 0 && take_line(t, first, number, err) != 0) {
			got = fail_at(lines, number, err);
		}
	}
	if (got > 0 && take_line(t, line, lines->number, err) != 0)
		got = vec_line_fails(lines, err);
	free(copy);
	return got;
}

int vec_read_text(struct vec_found *f, bool words, struct io_lines *lines, struct err *err)
{
	struct text_reader t = {.words = words, .named = words};
	struct span line;
	int got = take_first_lines(&t, lines, err);
	while (got > 0 && (got = next_line(lines, &line, err)) > 0)
		if (take_line(&t, line, lines->number, err) != 0)
			got = vec_line_fails(lines, err);
	if (got == 0 && t.header_rows && t.header_rows != t.rows.rows)
		got = err_set(err, ERR_DATA, "'%s' has %llu rows, its first line says %llu", lines->name,
			      (unsigned long long)t.rows.rows, (unsigned long long)t.header_rows);
	if (got == 0)
		vec_rows_found(&t.rows, f);
	vec_rows_release(&t.rows);
	return got;
}
