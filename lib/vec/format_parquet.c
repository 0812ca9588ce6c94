/* SPDX-License-Identifier: MIT */
/*
 * Vectors and ids out of Apache Parquet: a column of lists of floats, or of binary values that are
 * floats one after the other, and one of ids.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/parquet_internal.h"

#define SHOWN_COLUMNS 8 /* in a message */
#define UUID_BYTES 16

/* What is made of the columns, row group by row group. */
struct table {
	struct pq_file file;
	const struct pq_column *vectors, *ids;
	enum vec_type type; /* of the values */
	/* Rows so far.  The last one may go on in the next page. */
	uint64_t rows, in_row;
	bool open;
	uint32_t dim; /* 0: not known yet */
	unsigned char *data;
	size_t bytes, room;
	struct vec_rows text; /* rows without values, with ids */
};

/* ---- which columns ---- */

static bool is_float(const struct pq_column *c)
{
	return c->type == PQ_FLOAT || c->type == PQ_DOUBLE || c->meaning == PQ_FLOAT16;
}

static bool is_list(const struct pq_column *c)
{
	return c->lists == 1 && c->alone && is_float(c);
}

/* Floats of 32 bits, one after the other. */
static bool is_binary(const struct pq_column *c)
{
	return c->lists == 0 && c->meaning == PQ_ITSELF &&
	       (c->type == PQ_BYTES || (c->type == PQ_FIXED && c->width % sizeof(float) == 0));
}

static bool is_id_type(const struct pq_column *c)
{
	return c->lists == 0 &&
	       ((c->type == PQ_BYTES && (c->meaning == PQ_TEXT || c->meaning == PQ_ITSELF)) ||
		((c->type == PQ_INT32 || c->type == PQ_INT64) && c->meaning != PQ_OTHER) ||
		c->meaning == PQ_UUID);
}

static bool has_id_name(const struct pq_column *c)
{
	return is_id_type(c) && (strcmp(c->name, "id") == 0 || strcmp(c->name, "_id") == 0 ||
				 strcmp(c->name, "doc_id") == 0);
}

static bool is_blob(const struct pq_column *c)
{
	return is_binary(c) && !has_id_name(c);
}

typedef bool column_test(const struct pq_column *c);

/* The names of columns, for a message. */
static void list_names(const struct pq_file *f, column_test *test, struct buf *out)
{
	size_t n = 0;
	for (size_t i = 0; i < f->columns; i++)
		if (!test || test(&f->column[i]))
			if (n++ < SHOWN_COLUMNS)
				buf_addf(out, "%s'%.100s'", n > 1 ? ", " : "", f->column[i].name);
	if (n > SHOWN_COLUMNS)
		buf_addf(out, " and %zu more", n - SHOWN_COLUMNS);
	buf_addc(out, 0);
}

/* The only column of a kind: 1; 0: there is none; ERR_USAGE: there are several. */
static int only(const struct pq_file *f, column_test *test, const char *option,
		const struct pq_column **out, struct err *err)
{
	struct buf names = BUF_INIT;
	size_t n = 0;
	for (size_t i = 0; i < f->columns; i++)
		if (test(&f->column[i]) && n++ == 0)
			*out = &f->column[i];
	if (n < 2)
		return (int)n;
	list_names(f, test, &names);
	if (buf_ok(&names, err) == 0)
		err_set(err, ERR_USAGE, "has %zu columns that could be meant, %s: name one with %s",
			n, names.data, option);
	buf_release(&names);
	return -1;
}

/* ERR_USAGE, with the names of what there is. */
static int no_column(const struct pq_file *f, const char *name, const char *what,
		     const char *option, struct err *err)
{
	struct buf names = BUF_INIT;
	list_names(f, NULL, &names);
	if (buf_ok(&names, err) == 0 && name)
		err_set(err, ERR_USAGE, "has no column '%.100s' of %s: the columns are %s", name,
			what, names.data);
	else if (buf_ok(&names, err) == 0)
		err_set(err, ERR_DATA, "has no column of %s: the columns are %s (%s names one)",
			what, names.data, option);
	buf_release(&names);
	return -1;
}

static const struct pq_column *named(const struct pq_file *f, const char *name, column_test *test)
{
	for (size_t i = 0; i < f->columns; i++)
		if (strcmp(f->column[i].name, name) == 0 && test(&f->column[i]))
			return &f->column[i];
	return NULL;
}

static int choose_vectors(struct table *t, const char *name, struct err *err)
{
	static const char what[] = "lists of floats or binary vectors";
	const struct pq_file *f = &t->file;
	if (name) {
		t->vectors = named(f, name, is_list);
		if (!t->vectors)
			t->vectors = named(f, name, is_binary);
		return t->vectors ? 0 : no_column(f, name, what, "--column", err);
	}
	int found = only(f, is_list, "--column", &t->vectors, err);
	if (found == 0)
		found = only(f, is_blob, "--column", &t->vectors, err);
	return found == 0 ? no_column(f, NULL, what, "--column", err) : found < 0 ? -1 : 0;
}

static int choose_ids(struct table *t, const char *name, struct err *err)
{
	if (name && !name[0])
		return 0;
	if (!name)
		return only(&t->file, has_id_name, "--id-column", &t->ids, err) < 0 ? -1 : 0;
	t->ids = named(&t->file, name, is_id_type);
	return t->ids ? 0 : no_column(&t->file, name, "texts or whole numbers", NULL, err);
}

/* ---- vectors ---- */

static int row_fails(uint64_t row, struct err *err, const char *why)
{
	return err_set(err, ERR_DATA, "row %" PRIu64 " %s", row, why);
}

/* The row that is open has ended. */
static int end_row(struct table *t, struct err *err)
{
	if (!t->open)
		return 0;
	if (t->dim == 0)
		t->dim = (uint32_t)t->in_row;
	if (t->in_row != t->dim)
		return err_set(err, ERR_DATA,
			       "row %" PRIu64 " has dimension %" PRIu64 ", expected %u", t->rows,
			       t->in_row, t->dim);
	t->rows++;
	t->open = false;
	return 0;
}

static int extend_row(struct table *t, uint64_t n, struct err *err)
{
	if (n > VEC_MAX_DIM - t->in_row)
		return err_set(err, ERR_DATA, "row %" PRIu64 " has more than %d values", t->rows,
			       VEC_MAX_DIM);
	t->in_row += n;
	return 0;
}

/* ${n} rows begin, all of them but the last with one value. */
static int begin_rows(struct table *t, uint64_t n, struct err *err)
{
	if (end_row(t, err) != 0)
		return -1;
	t->open = true;
	t->in_row = 1;
	if (n == 1)
		return 0;
	if (end_row(t, err) != 0)
		return -1;
	if (n - 2 > VEC_MAX_ROWS)
		return err_set(err, ERR_DATA, "has more than %u rows", VEC_MAX_ROWS);
	t->rows += n - 2;
	t->open = true;
	return 0;
}

/* Why there is no value where one should be. */
static int no_value(struct table *t, uint32_t rep, uint32_t def, struct err *err)
{
	const struct pq_column *c = t->vectors;
	if (rep == 0 && end_row(t, err) != 0)
		return -1;
	if (c->lists && def >= c->list_def)
		return err_set(err, ERR_DATA, "row %" PRIu64 ": value %" PRIu64 " is null", t->rows,
			       rep ? t->in_row : 0);
	return row_fails(t->rows, err,
			 c->lists && def + 1 == c->list_def ? "has an empty list as vector"
							    : "has null as vector");
}

static int list_levels(void *ctx, uint32_t rep, uint32_t def, uint64_t n, struct err *err)
{
	struct table *t = ctx;
	if (rep > 0 && !t->open)
		return err_set(err, ERR_DATA, "the levels of a page are damaged");
	if (def != t->vectors->max_def)
		return no_value(t, rep, def, err);
	return rep == 0 ? begin_rows(t, n, err) : extend_row(t, n, err);
}

/* Binary values: a row each, which is counted when its length is known. */
static int binary_levels(void *ctx, uint32_t rep, uint32_t def, uint64_t n, struct err *err)
{
	struct table *t = ctx;
	if (def != t->vectors->max_def) {
		/* Rows before it in the same page are not counted yet. */
		t->rows += t->in_row;
		return no_value(t, rep, def, err);
	}
	t->in_row += n;
	return 0;
}

static int append(struct table *t, const void *data, size_t bytes, struct err *err)
{
	if (bytes > t->room - t->bytes) {
		size_t room = t->room + t->room / 2;
		if (bytes > SIZE_MAX / 2 - t->bytes)
			return err_nomem(err);
		room = room > t->bytes + bytes ? room : t->bytes + bytes;
		unsigned char *grown = mem_resize(t->data, room, 1, err);
		if (!grown)
			return -1;
		t->data = grown;
		t->room = room;
	}
	memcpy(t->data + t->bytes, data, bytes);
	t->bytes += bytes;
	return 0;
}

static int list_values(void *ctx, const struct pq_values *v, struct err *err)
{
	struct table *t = ctx;
	size_t bytes = v->n * t->vectors->width;
	if (v->n == 0)
		return 0;
	return pq_spend(&t->file, bytes, err) == 0 ? append(t, v->data, bytes, err) : -1;
}

static int binary_values(void *ctx, const struct pq_values *v, struct err *err)
{
	struct table *t = ctx;
	size_t width = t->vectors->width;
	t->in_row = 0;
	for (uint64_t i = 0; i < v->n; i++) {
		struct span item =
		    width ? (struct span){(const char *)v->data + i * width, width} : v->item[i];
		if (item.n == 0 || item.n % sizeof(float))
			return err_set(err, ERR_DATA,
				       "row %" PRIu64
				       " has %zu bytes as vector, expected floats of 4",
				       t->rows, item.n);
		t->open = true;
		if (extend_row(t, item.n / sizeof(float), err) != 0 || end_row(t, err) != 0 ||
		    pq_spend(&t->file, item.n, err) != 0 || append(t, item.p, item.n, err) != 0)
			return -1;
		t->in_row = 0;
	}
	return 0;
}

/* ---- ids ---- */

static int id_levels(void *ctx, uint32_t rep, uint32_t def, uint64_t n, struct err *err)
{
	struct table *t = ctx;
	(void)rep;
	if (def != t->ids->max_def)
		return row_fails(t->text.rows + t->in_row, err, "has null as id");
	t->in_row += n;
	return 0;
}

static void add_number(struct buf *b, const struct pq_column *c, const unsigned char *p)
{
	int64_t v = 0;
	int32_t low;
	memcpy(&v, p, c->width);
	memcpy(&low, p, sizeof low);
	if (c->meaning == PQ_UNSIGNED)
		buf_addf(b, "%" PRIu64, (uint64_t)v);
	else
		buf_addf(b, "%" PRId64, c->width == sizeof low ? low : v);
}

static void add_uuid(struct buf *b, const unsigned char *p)
{
	for (int i = 0; i < UUID_BYTES; i++)
		buf_addf(b, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", p[i]);
}

static int id_values(void *ctx, const struct pq_values *v, struct err *err)
{
	struct table *t = ctx;
	const struct pq_column *c = t->ids;
	t->in_row = 0;
	for (uint64_t i = 0; i < v->n; i++) {
		size_t before = t->text.id_text.len;
		if (c->type == PQ_BYTES)
			buf_addspan(&t->text.id_text, v->item[i]);
		else if (c->meaning == PQ_UUID)
			add_uuid(&t->text.id_text, v->data + i * c->width);
		else
			add_number(&t->text.id_text, c, v->data + i * c->width);
		t->text.rows++;
		if (vec_rows_id(&t->text, err) != 0)
			return err->code == ERR_DATA
				   ? err_prefix(err, "row %" PRIu64, t->text.rows - 1)
				   : -1;
		if (pq_spend(&t->file, t->text.id_text.len - before, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- the whole ---- */

static int read_column(struct table *t, const struct pq_column *c, size_t group,
		       const struct pq_sink *sink, uint64_t *rows, struct err *err)
{
	struct pq_file *f = &t->file;
	size_t number = (size_t)(c - f->column);
	uint64_t before = *rows;
	t->in_row = 0;
	t->open = false;
	if (pq_read_chunk(f, c, &f->chunk[group * f->columns + number], sink, err) != 0 ||
	    (c == t->vectors && end_row(t, err) != 0))
		return err->code == ERR_DATA
			   ? err_prefix(err, "column '%.100s', row group %zu", c->name, group)
			   : -1;
	if (*rows - before != f->group_rows[group])
		return err_set(err, ERR_DATA,
			       "column '%.100s' has %" PRIu64 " rows in row group %zu, its footer "
			       "says %" PRIu64,
			       c->name, *rows - before, group, f->group_rows[group]);
	return 0;
}

static int read_groups(struct table *t, struct err *err)
{
	const bool list = t->vectors->lists > 0;
	const struct pq_sink vectors = {list ? list_levels : binary_levels,
					list ? list_values : binary_values, t};
	const struct pq_sink ids = {id_levels, id_values, t};
	for (size_t g = 0; g < t->file.groups; g++)
		if (read_column(t, t->vectors, g, &vectors, &t->rows, err) != 0 ||
		    (t->ids && read_column(t, t->ids, g, &ids, &t->text.rows, err) != 0))
			return -1;
	return 0;
}

/* Room for all values that the footer speaks of, if it is no more than a file may hold. */
static int reserve(struct table *t, struct err *err)
{
	struct pq_file *f = &t->file;
	size_t values = 0, bytes, most = 0;
	for (size_t g = 0; g < f->groups; g++)
		if (!num_add(values,
			     f->chunk[g * f->columns + (size_t)(t->vectors - f->column)].values,
			     &values))
			return 0;
	if (!num_mul(values, t->vectors->width, &bytes) || !num_mul(f->data.n, 16, &most) ||
	    bytes == 0 || bytes > most)
		return 0;
	t->data = mem_array(bytes, 1, err);
	t->room = t->data ? bytes : 0;
	return t->data ? 0 : -1;
}

static void take_found(struct table *t, struct vec_found *f)
{
	*f = (struct vec_found){.type = t->type,
				.dim = t->dim,
				.rows = t->rows,
				.stride = t->dim * vec_type_bytes(t->type),
				.data = t->data,
				.owned = t->data};
	t->data = NULL;
	if (!t->ids)
		return;
	f->id_text = t->text.id_text;
	f->id_end = t->text.id_end;
	t->text = (struct vec_rows){0};
}

int vec_read_parquet(struct vec_found *f, struct span data, const struct io_map *map,
		     const struct vec_input *how, const char *name, struct err *err)
{
	struct table t = {0};
	int ret = pq_open(&t.file, data, name, err);
	t.file.map = map;
	if (ret == 0 && (choose_vectors(&t, how->column, err) != 0 ||
			 choose_ids(&t, how->id_column, err) != 0 || reserve(&t, err) != 0 ||
			 read_groups(&t, err) != 0))
		ret = err->code == ERR_ENV ? -1 : err_prefix(err, "'%s'", name);
	if (ret == 0) {
		t.type = t.vectors->type == PQ_DOUBLE	    ? VEC_F64
			 : t.vectors->meaning == PQ_FLOAT16 ? VEC_F16
							    : VEC_F32;
		take_found(&t, f);
	}
	pq_release(&t.file);
	free(t.data);
	vec_rows_release(&t.text);
	return ret;
}
