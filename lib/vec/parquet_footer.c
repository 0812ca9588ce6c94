/* SPDX-License-Identifier: MIT */
/* The footer of a Parquet file: schema, row groups, and where their columns are. */
#include "vec/parquet_internal.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/thrift.h"

#define MAGIC "PAR1"
#define MAGIC_ENCRYPTED "PARE"
#define MAGIC_BYTES 4
#define MAX_DEPTH 64 /* of a schema */
#define NAME_MAX_BYTES 4096
/* What a file may unpack to: so much, and so many times its size. */
#define BUDGET ((uint64_t)64 << 20)
#define EXPANDS 1024

int pq_spend(struct pq_file *f, uint64_t bytes, struct err *err)
{
	if (bytes > f->budget)
		return err_set(err, ERR_DATA, "unpacks to more than %d times the file's size",
			       EXPANDS);
	f->budget -= bytes;
	return 0;
}

/* ---- the schema ---- */

enum { REQUIRED, OPTIONAL, REPEATED };
enum { CONVERTED_UTF8, CONVERTED_MAP, CONVERTED_MAP_KEY_VALUE, CONVERTED_LIST };
enum {
	LOGICAL_TEXT = 1,
	LOGICAL_MAP,
	LOGICAL_LIST,
	LOGICAL_INTEGER = 10,
	LOGICAL_UUID = 14,
	LOGICAL_FLOAT16
};

/* An element of the schema, as it is written. */
struct element {
	int64_t type, width, repetition, children, converted, logical;
	bool is_unsigned;
	struct span name;
};

/* Of INTEGER: whether it is signed is field 2. */
static bool read_unsigned(struct thrift *t, const struct thrift_field *of)
{
	struct thrift_field f = {0};
	bool is_signed = true;
	if (!thrift_struct(t, of))
		return false;
	while (thrift_field(t, &f))
		if (f.id == 2)
			is_signed = thrift_bool(t, &f);
		else
			thrift_skip(t, f.type);
	return !is_signed;
}

/* A union: the field that is there says which it is. */
static void read_logical(struct thrift *t, const struct thrift_field *of, struct element *e)
{
	struct thrift_field f = {0};
	if (!thrift_struct(t, of))
		return;
	while (thrift_field(t, &f)) {
		e->logical = f.id;
		if (f.id == LOGICAL_INTEGER)
			e->is_unsigned = read_unsigned(t, &f);
		else
			thrift_skip(t, f.type);
	}
}

static void read_element(struct thrift *t, struct element *e)
{
	struct thrift_field f = {0};
	*e = (struct element){.type = -1, .converted = -1};
	while (thrift_field(t, &f)) {
		switch (f.id) {
		case 1:
			e->type = thrift_int(t, &f);
			break;
		case 2:
			e->width = thrift_int(t, &f);
			break;
		case 3:
			e->repetition = thrift_int(t, &f);
			break;
		case 4:
			e->name = thrift_text(t, &f);
			break;
		case 5:
			e->children = thrift_int(t, &f);
			break;
		case 6:
			e->converted = thrift_int(t, &f);
			break;
		case 10:
			read_logical(t, &f, e);
			break;
		default:
			thrift_skip(t, f.type);
		}
	}
}

/* A place in the tree of the schema, whose elements come in depth-first order. */
struct node {
	uint64_t left; /* children that are still to come */
	uint32_t def, lists, list_def;
	bool is_list;	  /* says so itself */
	bool alone;	  /* has no siblings below the list */
	size_t name;	  /* length of its path */
	size_t list_name; /* and of that of the list that it is in */
};

struct schema {
	struct pq_file *file;
	struct node stack[MAX_DEPTH];
	size_t depth;
	struct buf path;
	size_t room;
};

static enum pq_meaning meaning_of(const struct element *e)
{
	if (e->logical == LOGICAL_TEXT || (e->logical == 0 && e->converted == CONVERTED_UTF8))
		return PQ_TEXT;
	if (e->logical == LOGICAL_INTEGER || (e->converted >= 11 && e->converted <= 18))
		/* UINT_8 to UINT_64, INT_8 to INT_64 */
		return e->is_unsigned || (e->converted >= 11 && e->converted <= 14) ? PQ_UNSIGNED
										    : PQ_ITSELF;
	if (e->logical == LOGICAL_FLOAT16 && e->width == 2)
		return PQ_FLOAT16;
	if (e->logical == LOGICAL_UUID && e->width == 16)
		return PQ_UUID;
	return e->logical || e->converted >= 0 ? PQ_OTHER : PQ_ITSELF;
}

static uint32_t width_of(const struct element *e)
{
	static const uint32_t bytes[PQ_TYPES] = {
	    [PQ_INT32] = 4, [PQ_INT64] = 8, [PQ_INT96] = 12, [PQ_FLOAT] = 4, [PQ_DOUBLE] = 8};
	return e->type == PQ_FIXED ? (uint32_t)e->width : bytes[e->type];
}

static int add_column(struct schema *s, const struct element *e, const struct node *n,
		      struct err *err)
{
	struct pq_file *f = s->file;
	if (e->type < 0 || e->type >= PQ_TYPES ||
	    (e->type == PQ_FIXED && (e->width < 1 || e->width > INT32_MAX)))
		return err_set(err, ERR_DATA, "has a column of unknown type");
	if (f->columns == s->room) {
		size_t room = 2 * s->room + 8;
		struct pq_column *grown = mem_resize(f->column, room, sizeof *grown, err);
		if (!grown)
			return -1;
		f->column = grown;
		s->room = room;
	}
	struct span name = {s->path.data, n->lists ? n->list_name : n->name};
	struct pq_column *c = &f->column[f->columns];
	*c = (struct pq_column){.name = span_dup(name),
				.type = (enum pq_type)e->type,
				.meaning = meaning_of(e),
				.width = width_of(e),
				.max_def = n->def,
				.list_def = n->list_def,
				.lists = n->lists,
				.alone = n->alone};
	f->columns++;
	return c->name ? 0 : err_nomem(err);
}

/* What an element is by itself and by what it is in. */
static struct node node_of(const struct schema *s, const struct element *e)
{
	const struct node *parent = &s->stack[s->depth - 1];
	struct node n = *parent;
	n.left = (uint64_t)e->children;
	n.is_list = e->converted == CONVERTED_LIST || e->logical == LOGICAL_LIST;
	n.name = s->path.len;
	n.def += e->repetition != REQUIRED;
	if (e->repetition == REPEATED) {
		n.lists++;
		n.list_def = n.def;
		n.list_name = parent->is_list ? parent->name : n.name;
		n.alone = true;
	}
	n.alone &= e->children <= 1;
	return n;
}

static int add_element(struct schema *s, const struct element *e, struct err *err)
{
	while (s->depth && s->stack[s->depth - 1].left == 0)
		s->depth--;
	if (s->depth == 0)
		return err_set(err, ERR_DATA, "has a schema with more elements than it says");
	struct node *parent = &s->stack[s->depth - 1];
	parent->left--;
	s->path.len = parent->name;
	if (s->depth > 1)
		buf_addc(&s->path, '.');
	buf_addspan(&s->path, e->name);
	if (buf_ok(&s->path, err) != 0)
		return -1;
	if (e->children < 0 || e->repetition < REQUIRED || e->repetition > REPEATED ||
	    s->path.len > NAME_MAX_BYTES)
		return err_set(err, ERR_DATA, "has a bad schema");
	struct node n = node_of(s, e);
	if (e->children == 0)
		return e->type < 0 ? 0 : add_column(s, e, &n, err);
	if (s->depth == MAX_DEPTH)
		return err_set(err, ERR_DATA, "has a schema deeper than %d", MAX_DEPTH);
	s->stack[s->depth++] = n;
	return 0;
}

/* The first element is the row. */
static int read_schema(struct pq_file *f, struct thrift *t, const struct thrift_field *of,
		       struct err *err)
{
	struct schema s = {.file = f};
	struct element e;
	uint64_t n = thrift_list(t, of, THRIFT_STRUCT);
	int ret = f->columns ? err_set(err, ERR_DATA, "has two schemas") : 0;
	for (uint64_t i = 0; ret == 0 && i < n && !t->failed; i++) {
		read_element(t, &e);
		if (i > 0)
			ret = add_element(&s, &e, err);
		else if (e.children < 0)
			ret = err_set(err, ERR_DATA, "has a bad schema");
		else
			s.stack[s.depth++] = (struct node){.left = (uint64_t)e.children};
	}
	buf_release(&s.path);
	return ret;
}

/* ---- row groups ---- */

static void read_column_data(struct thrift *t, const struct thrift_field *of, struct pq_chunk *c)
{
	struct thrift_field f = {0};
	int64_t pages = 0, dictionary = 0, size = 0, values = 0;
	if (!thrift_struct(t, of))
		return;
	while (thrift_field(t, &f)) {
		if (f.id == 4)
			c->codec = thrift_int(t, &f);
		else if (f.id == 5)
			values = thrift_int(t, &f);
		else if (f.id == 7)
			size = thrift_int(t, &f);
		else if (f.id == 9)
			pages = thrift_int(t, &f);
		else if (f.id == 11)
			dictionary = thrift_int(t, &f);
		else
			thrift_skip(t, f.type);
	}
	if (pages < 0 || size < 0 || values < 0)
		t->failed = true;
	c->start = (uint64_t)(dictionary > 0 && dictionary < pages ? dictionary : pages);
	c->size = (uint64_t)size;
	c->values = (uint64_t)values;
}

static void read_chunk(struct thrift *t, struct pq_chunk *c)
{
	struct thrift_field f = {0};
	*c = (struct pq_chunk){0};
	while (thrift_field(t, &f)) {
		if (f.id == 3) {
			read_column_data(t, &f, c);
			continue;
		}
		c->elsewhere |= f.id == 1 || f.id == 8 || f.id == 9;
		thrift_skip(t, f.type);
	}
}

static int read_chunks(struct pq_file *f, struct thrift *t, const struct thrift_field *of,
		       size_t group, struct err *err)
{
	if (thrift_list(t, of, THRIFT_STRUCT) != f->columns)
		return err_set(err, ERR_DATA, "row group %zu has not the columns of the schema",
			       group);
	for (size_t i = 0; i < f->columns; i++)
		read_chunk(t, &f->chunk[group * f->columns + i]);
	return 0;
}

static int read_group(struct pq_file *f, struct thrift *t, size_t group, struct err *err)
{
	struct thrift_field at = {0};
	bool seen = false;
	int64_t rows = 0;
	while (thrift_field(t, &at)) {
		if (at.id == 1) {
			seen = true;
			if (read_chunks(f, t, &at, group, err) != 0)
				return -1;
		} else if (at.id == 3) {
			rows = thrift_int(t, &at);
		} else {
			thrift_skip(t, at.type);
		}
	}
	if (!seen || rows < 0)
		return err_set(err, ERR_DATA, "row group %zu is damaged", group);
	f->group_rows[group] = (uint64_t)rows;
	return 0;
}

static int read_groups(struct pq_file *f, struct thrift *t, const struct thrift_field *of,
		       struct err *err)
{
	uint64_t n = thrift_list(t, of, THRIFT_STRUCT);
	size_t chunks;
	if (f->columns == 0 || f->chunk)
		return err_set(err, ERR_DATA, "has row groups before a schema, or two times");
	/* A column takes a byte of each group at least. */
	if (!num_mul(n, f->columns, &chunks) || chunks > (size_t)(t->end - t->p))
		return err_set(err, ERR_DATA, "has more row groups than there is room for");
	f->chunk = mem_array(chunks, sizeof *f->chunk, err);
	f->group_rows = mem_zeroed(n, sizeof *f->group_rows, err);
	if (!f->chunk || !f->group_rows)
		return -1;
	f->groups = n;
	for (size_t i = 0; i < f->groups && !t->failed; i++)
		if (read_group(f, t, i, err) != 0)
			return -1;
	return 0;
}

static int read_footer(struct pq_file *f, struct span footer, struct err *err)
{
	struct thrift t;
	struct thrift_field at = {0};
	int ret = 0;
	thrift_init(&t, footer);
	while (ret == 0 && thrift_field(&t, &at)) {
		if (at.id == 2)
			ret = read_schema(f, &t, &at, err);
		else if (at.id == 4)
			ret = read_groups(f, &t, &at, err);
		else if (at.id == 8)
			ret = err_set(err, ERR_DATA, "is encrypted, which is not read");
		else
			thrift_skip(&t, at.type);
	}
	/* What is missing at the end is the cause of all else. */
	if (t.failed)
		return err_set(err, ERR_DATA, "has a damaged footer");
	if (ret == 0 && !f->chunk)
		return err_set(err, ERR_DATA, "has a footer without schema or row groups");
	return ret;
}

int pq_open(struct pq_file *f, struct span data, const char *name, struct err *err)
{
	uint32_t size;
	const size_t least = 2 * MAGIC_BYTES + sizeof size;
	*f = (struct pq_file){.data = data, .budget = BUDGET + EXPANDS * (uint64_t)data.n};
	if (data.n >= MAGIC_BYTES && memcmp(data.p, MAGIC_ENCRYPTED, MAGIC_BYTES) == 0)
		return err_set(err, ERR_DATA, "'%s' is encrypted, which is not read", name);
	if (data.n < least || memcmp(data.p, MAGIC, MAGIC_BYTES) != 0)
		return err_set(err, ERR_DATA, "'%s' is not a Parquet file", name);
	const char *end = data.p + data.n;
	if (memcmp(end - MAGIC_BYTES, MAGIC, MAGIC_BYTES) != 0)
		return err_set(err, ERR_DATA,
			       "'%s' is truncated: it does not end with the mark of a Parquet file",
			       name);
	memcpy(&size, end - MAGIC_BYTES - sizeof size, sizeof size);
	if (size > data.n - least)
		return err_set(err, ERR_DATA, "'%s' has a footer of %u bytes, longer than itself",
			       name, size);
	if (read_footer(f, (struct span){end - MAGIC_BYTES - sizeof size - size, size}, err) != 0)
		return err_prefix(err, "'%s'", name);
	return 0;
}

void pq_release(struct pq_file *f)
{
	for (size_t i = 0; i < f->columns; i++)
		free(f->column[i].name);
	free(f->column);
	free(f->chunk);
	free(f->group_rows);
	*f = (struct pq_file){0};
}
