/* SPDX-License-Identifier: MIT */
/* Queries that were logged as they came, as queries of an eval set. */
#include "eval/querylog.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Lines that were left out for one reason, and the first of them. */
struct left_out {
	uint64_t n;
	struct err first;
};

struct reading {
	const struct query_log *log;
	struct evalset *e; /* a ring once it is full */
	struct io_lines lines;
	struct vec_line *line;
	uint64_t seen, taken;
	struct left_out malformed, other_dim;
};

static void leave_out(struct reading *r, struct left_out *why, const struct err *err)
{
	if (why->n++ == 0) {
		why->first = *err;
		err_prefix(&why->first, "line %llu", (unsigned long long)r->lines.number);
	}
}

/* The query that the next one takes the place of, or a new one. */
static struct evalset_query *next_query(struct reading *r, struct err *err)
{
	if (r->e->n < r->log->keep)
		return evalset_add(r->e, err);
	struct evalset_query *q = &r->e->query[r->taken % r->log->keep];
	free(q->id);
	*q = (struct evalset_query){0};
	return q;
}

static int take_query(struct reading *r, const float *v, struct span id, struct err *err)
{
	struct buf number = BUF_INIT;
	struct evalset_query *q = next_query(r, err);
	if (!q)
		return -1;
	if (!id.p) {
		buf_addf(&number, "%llu", (unsigned long long)r->lines.number);
		id = buf_span(&number);
	}
	q->id = span_dup(id);
	buf_release(&number);
	if (!q->id)
		return err_nomem(err);
	memcpy(r->e->vectors + (size_t)(q - r->e->query) * r->e->dim, v, r->e->dim * sizeof *v);
	q->has_vector = true;
	r->taken++;
	return 0;
}

static int take_line(struct reading *r, struct span line, struct err *err)
{
	const float *v;
	struct span id;
	struct err why;
	if (vec_line_blank(line))
		return 0;
	r->seen++;
	if (vec_line_read(r->line, line, r->log->dim, &v, &id, &why) == 0 &&
	    (!id.p || vec_id_check(id, &why) == 0))
		return take_query(r, v, id, err);
	if (why.code != ERR_DATA)
		return err_copy(err, &why);
	uint32_t dim = vec_line_dim(r->line);
	leave_out(r, dim && dim != r->log->dim ? &r->other_dim : &r->malformed, &why);
	return 0;
}

static int read_lines(struct reading *r, struct err *err)
{
	struct span line;
	int got;
	do {
		uint64_t before = r->lines.number;
		got = io_lines_next(&r->lines, &line, err);
		if (got > 0 && take_line(r, line, err) != 0)
			return -1;
		/* A line that is no text, of which the end is known. */
		if (got < 0 && err->code == ERR_DATA && r->lines.number > before) {
			r->seen++;
			leave_out(r, &r->malformed, err);
			got = 1;
		}
	} while (got > 0);
	return got;
}

/* Turn the order of the queries ${begin}..${end}-1 round. */
static void reverse(struct evalset *e, uint64_t begin, uint64_t end)
{
	while (begin + 1 < end) {
		struct evalset_query *a = &e->query[begin], *b = &e->query[--end], q = *a;
		float *v = e->vectors + begin++ * e->dim, *w = e->vectors + end * e->dim;
		*a = *b;
		*b = q;
		for (uint32_t d = 0; d < e->dim; d++) {
			float x = v[d];
			v[d] = w[d];
			w[d] = x;
		}
	}
}

/* The ring as a list, oldest first. */
static void unroll(struct reading *r)
{
	uint64_t oldest = r->taken > r->e->n ? r->taken % r->e->n : 0;
	if (oldest == 0)
		return;
	reverse(r->e, 0, oldest);
	reverse(r->e, oldest, r->e->n);
	reverse(r->e, 0, r->e->n);
}

static void tell(const struct reading *r, const struct left_out *why, const char *what)
{
	if (why->n)
		warn(&r->log->warn, "'%s': %llu of %llu lines left out, %s; the first: %s",
		     r->log->name, (unsigned long long)why->n, (unsigned long long)r->seen, what,
		     why->first.msg);
}

static int nothing_left(const struct reading *r, struct err *err)
{
	const struct left_out *why = r->other_dim.n ? &r->other_dim : &r->malformed;
	if (r->seen == 0)
		return err_set(err, ERR_DATA, "'%s' has no queries", r->log->name);
	err_copy(err, &why->first);
	return err_prefix(err, "'%s' has no query of dimension %u", r->log->name, r->log->dim);
}

int evalset_from_log(struct evalset *e, const struct query_log *log, struct err *err)
{
	struct reading r = {.log = log, .e = e};
	int ret = -1;
	*e = (struct evalset){.dim = log->dim, .query_source = QUERIES_LOGGED};
	if (io_lines_init(&r.lines, log->fd, log->name, VEC_LINE_MAX_BYTES, err) != 0)
		return -1;
	r.line = vec_line_new(&log->in, err);
	if (!r.line || read_lines(&r, err) != 0)
		goto out;
	ret = r.taken ? 0 : nothing_left(&r, err);
	if (ret != 0)
		goto out;
	unroll(&r);
	tell(&r, &r.malformed, "malformed");
	tell(&r, &r.other_dim, "of another dimension");
out:
	vec_line_free(r.line);
	io_lines_release(&r.lines);
	return ret;
}
