/* SPDX-License-Identifier: MIT */
/*
 * One data set out of an HDF5 file, as ann-benchmarks.com distributes them: two dimensions, stored
 * contiguously and without filters.  Source: "HDF5 File Format Specification", version 3.0.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/format_internal.h"

#define SIGNATURE "\x89HDF\r\n\x1a\n"
#define DEFAULT_NAME "train"
#define UNDEFINED UINT64_MAX
#define MAX_VISITS 100000 /* of blocks, so that they may not lead back to each other for ever */
#define SHOWN_NAMES 200	  /* bytes of a message */
#define REPACK "convert it with h5repack -l CONTI -f NONE"

enum message {
	DATASPACE = 0x01,
	LINK_INFO = 0x02,
	DATATYPE = 0x03,
	LINK = 0x06,
	LAYOUT = 0x08,
	FILTERS = 0x0b,
	CONTINUATION = 0x10,
	SYMBOL_TABLE = 0x11,
};

struct file {
	const unsigned char *p;
	size_t n;
	uint64_t base; /* what addresses are counted from */
	unsigned visits;
};

/* ---- reading numbers ---- */

/* Bytes that are still to be read of something; zeros come after its end. */
struct bytes {
	const unsigned char *p;
	size_t n;
	bool failed;
};

static uint64_t take(struct bytes *b, unsigned width)
{
	uint64_t v = 0;
	if (b->n < width) {
		b->failed = true;
		b->n = 0;
		return 0;
	}
	memcpy(&v, b->p, width);
	b->p += width;
	b->n -= width;
	return v;
}

static void skip(struct bytes *b, uint64_t n)
{
	if (b->n < n) {
		b->failed = true;
		n = b->n;
	}
	if (n == 0)
		return; /* of nothing, p may be NULL */
	b->p += n;
	b->n -= n;
}

/* The next ${n} bytes by themselves. */
static struct bytes part(struct bytes *b, uint64_t n)
{
	struct bytes out = {b->p, n <= b->n ? n : 0, n > b->n};
	skip(b, n);
	return out;
}

/* What is at an address, up to the end of the file. */
static struct bytes at(const struct file *f, uint64_t address)
{
	uint64_t from;
	if (__builtin_add_overflow(f->base, address, &from) || from >= f->n)
		return (struct bytes){.failed = true};
	return (struct bytes){f->p + from, f->n - from, false};
}

static bool begins_with(struct bytes *b, const char *mark)
{
	size_t n = strlen(mark);
	if (b->n < n || memcmp(b->p, mark, n) != 0)
		return false;
	skip(b, n);
	return true;
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_DATA, "has a damaged %s", what);
}

/* ERR_DATA if there are too many blocks to be true. */
static int visit(struct file *f, struct err *err)
{
	return ++f->visits < MAX_VISITS ? 0 : damaged(err, "structure that leads in circles");
}

/* ---- object headers ---- */

/* What takes the messages of an object; ${b}: the content of one. */
typedef int message_fn(void *ctx, enum message type, struct bytes b, struct err *err);

struct messages {
	struct file *file;
	message_fn *fn;
	void *ctx;
	bool old;      /* version 1 */
	unsigned head; /* bytes before the content */
};

static int read_block(const struct messages *m, struct bytes b, struct err *err);

static int read_continuation(const struct messages *m, struct bytes b, struct err *err)
{
	uint64_t address = take(&b, 8), size = take(&b, 8);
	struct bytes there = at(m->file, address), block = part(&there, size);
	if (b.failed || block.failed || visit(m->file, err) != 0)
		return damaged(err, "object header");
	if (!m->old) {
		if (!begins_with(&block, "OCHK") || block.n < 4)
			return damaged(err, "object header");
		block.n -= 4; /* its checksum */
	}
	return read_block(m, block, err);
}

static int read_block(const struct messages *m, struct bytes b, struct err *err)
{
	while (b.n >= m->head) {
		struct bytes head = part(&b, m->head);
		unsigned type = (unsigned)take(&head, m->old ? 2 : 1);
		struct bytes content = part(&b, take(&head, 2));
		bool shared = take(&head, 1) & 2;
		if (content.failed)
			return damaged(err, "object header");
		if (shared && (type == DATATYPE || type == DATASPACE))
			return err_set(err, ERR_DATA,
				       "has a type or shape that is shared, which is not read");
		if (type == CONTINUATION ? read_continuation(m, content, err)
					 : m->fn(m->ctx, (enum message)type, content, err))
			return -1;
	}
	return 0;
}

/* Hand on the messages of the object whose header is at ${address}. */
static int read_object(struct file *f, uint64_t address, message_fn *fn, void *ctx, struct err *err)
{
	struct messages m = {f, fn, ctx, true, 8};
	struct bytes b = at(f, address), block;
	if (visit(f, err) != 0)
		return -1;
	if (begins_with(&b, "OHDR")) {
		m.old = false;
		if (take(&b, 1) != 2)
			return damaged(err, "object header");
		unsigned flags = (unsigned)take(&b, 1);
		skip(&b, (flags & 0x20 ? 16u : 0) + (flags & 0x10 ? 4u : 0));
		m.head = flags & 4 ? 6 : 4;
		block = part(&b, take(&b, 1u << (flags & 3)));
	} else {
		if (take(&b, 1) != 1)
			return damaged(err, "object header");
		skip(&b, 7);
		uint64_t size = take(&b, 4);
		skip(&b, 4);
		block = part(&b, size);
	}
	return block.failed ? damaged(err, "object header") : read_block(&m, block, err);
}

/* ---- groups ---- */

struct search {
	struct file *file;
	struct span name;
	uint64_t address; /* of the object of that name, or UNDEFINED */
	struct buf names; /* all that there are, for a message */
};

static void take_link(struct search *s, struct span name, uint64_t address)
{
	if (span_same(name, s->name))
		s->address = address;
	else if (s->names.len < SHOWN_NAMES && address != UNDEFINED)
		buf_addf(&s->names, "%s'%.*s'", s->names.len ? ", " : "",
			 (int)(name.n < 50 ? name.n : 50), name.p);
}

/* A link that stands in the header of its group. */
static int read_link(struct search *s, struct bytes b, struct err *err)
{
	unsigned version = (unsigned)take(&b, 1), flags = (unsigned)take(&b, 1);
	uint64_t kind = flags & 8 ? take(&b, 1) : 0;
	skip(&b, (flags & 4 ? 8u : 0) + (flags & 16 ? 1u : 0));
	struct bytes name = part(&b, take(&b, 1u << (flags & 3)));
	uint64_t address = kind == 0 ? take(&b, 8) : UNDEFINED;
	if (version != 1 || name.failed || b.failed)
		return damaged(err, "link");
	take_link(s, (struct span){(const char *)name.p, name.n}, address);
	return 0;
}

/* Links that are many are in a heap of their own. */
static int read_link_info(struct bytes b, struct err *err)
{
	skip(&b, 1);
	skip(&b, take(&b, 1) & 1 ? 8 : 0);
	if (take(&b, 8) != UNDEFINED && !b.failed)
		return err_set(
		    err, ERR_DATA,
		    "has a group of more links than are read (8 in the new format): copy "
		    "what is needed with h5copy");
	return b.failed ? damaged(err, "group") : 0;
}

/* The node of a B-tree that has names of links. */
static int read_names(struct search *s, struct bytes heap, uint64_t address, struct err *err)
{
	struct bytes b = at(s->file, address);
	if (!begins_with(&b, "SNOD") || take(&b, 1) != 1)
		return damaged(err, "group");
	skip(&b, 1);
	for (uint64_t n = take(&b, 2); n && !b.failed; n--) {
		struct bytes entry = part(&b, 40), name = heap;
		skip(&name, take(&entry, 8));
		const void *end = name.n ? memchr(name.p, 0, name.n) : NULL;
		if (!end || entry.failed)
			return damaged(err, "group");
		size_t length = (size_t)((const unsigned char *)end - name.p);
		take_link(s, (struct span){(const char *)name.p, length}, take(&entry, 8));
	}
	return b.failed ? damaged(err, "group") : 0;
}

static int read_tree(struct search *s, struct bytes heap, uint64_t address, unsigned above,
		     struct err *err)
{
	struct bytes b = at(s->file, address);
	if (visit(s->file, err) != 0)
		return -1;
	if (!begins_with(&b, "TREE") || take(&b, 1) != 0)
		return damaged(err, "group");
	unsigned level = (unsigned)take(&b, 1);
	uint64_t n = take(&b, 2);
	skip(&b, 16);
	if (level >= above)
		return damaged(err, "group");
	for (; n && !b.failed; n--) {
		skip(&b, 8); /* a key */
		uint64_t child = take(&b, 8);
		int ret = b.failed ? 0
			  : level  ? read_tree(s, heap, child, level, err)
				   : read_names(s, heap, child, err);
		if (ret != 0)
			return -1;
	}
	return b.failed ? damaged(err, "group") : 0;
}

static int read_symbol_table(struct search *s, struct bytes b, struct err *err)
{
	uint64_t tree = take(&b, 8);
	struct bytes heap = at(s->file, take(&b, 8));
	if (b.failed || !begins_with(&heap, "HEAP"))
		return damaged(err, "group");
	skip(&heap, 4);
	uint64_t size = take(&heap, 8);
	skip(&heap, 8);
	struct bytes content = at(s->file, take(&heap, 8)), names = part(&content, size);
	return names.failed ? damaged(err, "group") : read_tree(s, names, tree, 256, err);
}

static int take_group_message(void *ctx, enum message type, struct bytes b, struct err *err)
{
	switch (type) {
	case LINK:
		return read_link(ctx, b, err);
	case LINK_INFO:
		return read_link_info(b, err);
	case SYMBOL_TABLE:
		return read_symbol_table(ctx, b, err);
	default:
		return 0;
	}
}

/* The object of a name below that at ${address}; slashes lead on. */
static int find_object(struct file *f, uint64_t address, const char *path, uint64_t *out,
		       struct err *err)
{
	while (*path == '/')
		path++;
	struct search s = {.file = f, .name = {path, strcspn(path, "/")}, .address = UNDEFINED};
	int ret = read_object(f, address, take_group_message, &s, err);
	path += s.name.n;
	if (ret == 0 && s.address == UNDEFINED && (ret = buf_ok(&s.names, err)) == 0)
		ret = err_set(err, ERR_USAGE,
			      "has no data set '%.*s'; there are %s: --column names one",
			      (int)(s.name.n < 50 ? s.name.n : 50), s.name.p,
			      s.names.len ? s.names.data : "none");
	buf_release(&s.names);
	*out = s.address;
	return ret == 0 && *path ? find_object(f, s.address, path, out, err) : ret;
}

/* ---- data sets ---- */

enum { FIXED_POINT, FLOATING_POINT };

struct data_set {
	uint64_t rows, dim;
	unsigned rank, kind, bytes; /* of an element */
	bool has_shape, has_type, big_endian, is_signed, chunked;
	struct bytes data;
	struct file *file;
};

static int read_shape(struct data_set *d, struct bytes b, struct err *err)
{
	unsigned version = (unsigned)take(&b, 1);
	d->rank = (unsigned)take(&b, 1);
	skip(&b, version == 1 ? 6 : 2);
	if (b.failed || version < 1 || version > 2)
		return damaged(err, "shape");
	d->rows = d->rank > 0 ? take(&b, 8) : 0;
	d->dim = d->rank > 1 ? take(&b, 8) : 0;
	d->has_shape = true;
	return b.failed ? damaged(err, "shape") : 0;
}

/* Whether a floating type is one of IEEE's, of 16, 32 or 64 bits. */
static bool is_ieee(struct bytes b, unsigned bytes)
{
	static const unsigned char exponents[] = {[2] = 5, [4] = 8, [8] = 11};
	uint64_t offset = take(&b, 2), bits = take(&b, 2);
	uint64_t exponent_at = take(&b, 1), exponent = take(&b, 1);
	uint64_t mantissa_at = take(&b, 1), mantissa = take(&b, 1);
	return !b.failed && offset == 0 && bits == 8ull * bytes && mantissa_at == 0 &&
	       (bytes == 2 || bytes == 4 || bytes == 8) && exponent == exponents[bytes] &&
	       mantissa == exponent_at && exponent_at + exponent == bits - 1;
}

static int read_type(struct data_set *d, struct bytes b, struct err *err)
{
	d->kind = (unsigned)take(&b, 1) & 15;
	unsigned flags = (unsigned)take(&b, 3);
	d->bytes = (unsigned)take(&b, 4);
	d->big_endian = flags & 1;
	d->is_signed = flags & 8;
	d->has_type = true;
	if (b.failed)
		return damaged(err, "type");
	if (d->kind == FLOATING_POINT && !(flags & 0x40) && is_ieee(b, d->bytes))
		return 0;
	if (d->kind == FIXED_POINT &&
	    (d->bytes == 1 || d->bytes == 2 || d->bytes == 4 || d->bytes == 8))
		return 0;
	return err_set(
	    err, ERR_DATA,
	    "has elements of a type that is not read: whole numbers and floats of 16, 32 "
	    "or 64 bits are");
}

static int read_layout(struct data_set *d, struct bytes b, struct err *err)
{
	enum { COMPACT, CONTIGUOUS, CHUNKED };
	unsigned version = (unsigned)take(&b, 1);
	if (version < 3)
		skip(&b, 1);
	unsigned kind = (unsigned)take(&b, 1);
	if (version < 3)
		skip(&b, 5);
	if (b.failed || version < 1 || version > 4)
		return damaged(err, "layout, or a new one,");
	d->chunked |= kind >= CHUNKED;
	if (kind == COMPACT && version >= 3)
		d->data = part(&b, take(&b, 2));
	else if (kind == CONTIGUOUS)
		d->data = at(d->file, take(&b, 8));
	return 0;
}

static int take_data_message(void *ctx, enum message type, struct bytes b, struct err *err)
{
	struct data_set *d = ctx;
	switch (type) {
	case DATASPACE:
		return read_shape(d, b, err);
	case DATATYPE:
		return read_type(d, b, err);
	case LAYOUT:
		return read_layout(d, b, err);
	case FILTERS:
		d->chunked = true;
		return 0;
	default:
		return 0;
	}
}

static int check_data(const struct data_set *d, const char *what, struct err *err)
{
	size_t values, bytes;
	if (!d->has_shape || !d->has_type)
		return err_set(err, ERR_USAGE, "has no data set '%.50s', but a group", what);
	if (d->chunked)
		return err_set(
		    err, ERR_DATA,
		    "data set '%.50s' is chunked or compressed, which is not read: " REPACK, what);
	if (d->rank != 2 || d->dim < 1 || d->dim > VEC_MAX_DIM)
		return err_set(
		    err, ERR_DATA,
		    "data set '%.50s' has %u dimensions, the second %llu, expected rows of "
		    "1 to %d values",
		    what, d->rank, (unsigned long long)d->dim, VEC_MAX_DIM);
	if (!num_mul(d->rows, d->dim, &values) || !num_mul(values, d->bytes, &bytes) ||
	    bytes > d->data.n)
		return err_set(err, ERR_DATA,
			       "data set '%.50s' of %llu x %llu values is longer than the file",
			       what, (unsigned long long)d->rows, (unsigned long long)d->dim);
	return 0;
}

/* ---- values ---- */

/* The element type that has these values where they lie; -1: none has. */
static int type_in_place(const struct data_set *d)
{
	if (d->big_endian && d->bytes > 1)
		return -1;
	if (d->kind == FLOATING_POINT)
		return d->bytes == 2 ? VEC_F16 : d->bytes == 4 ? VEC_F32 : VEC_F64;
	return d->bytes == 1		       ? d->is_signed ? VEC_I8 : VEC_U8
	       : d->bytes == 4 && d->is_signed ? VEC_I32
					       : -1;
}

static uint64_t element(const struct data_set *d, uint64_t i)
{
	uint64_t v = 0;
	memcpy(&v, d->data.p + i * d->bytes, d->bytes);
	return d->big_endian ? __builtin_bswap64(v) >> (64 - 8 * d->bytes) : v;
}

/* Whole numbers of any width as i32, if they fit. */
static int copy_numbers(const struct data_set *d, int32_t *out, struct err *err)
{
	unsigned spare = 64 - 8 * d->bytes;
	for (uint64_t i = 0; i < d->rows * d->dim; i++) {
		uint64_t v = element(d, i);
		int64_t s = d->is_signed ? (int64_t)(v << spare) >> spare : (int64_t)v;
		if (s < INT32_MIN || s > INT32_MAX || (!d->is_signed && v > INT32_MAX))
			return err_set(
			    err, ERR_DATA, "row %llu: value %llu does not fit in 32 bits",
			    (unsigned long long)(i / d->dim), (unsigned long long)(i % d->dim));
		out[i] = (int32_t)s;
	}
	return 0;
}

static void copy_floats(const struct data_set *d, unsigned char *out)
{
	for (uint64_t i = 0; i < d->rows * d->dim; i++) {
		uint64_t v = element(d, i);
		memcpy(out + i * d->bytes, &v, d->bytes);
	}
}

static int find_values(const struct data_set *d, struct vec_found *f, struct err *err)
{
	int type = type_in_place(d), ret = 0;
	bool floats = d->kind == FLOATING_POINT;
	*f = (struct vec_found){.dim = (uint32_t)d->dim, .rows = d->rows, .data = d->data.p};
	if (type >= 0) {
		f->type = (enum vec_type)type;
		f->stride = d->dim * d->bytes;
		return 0;
	}
	f->type = !floats ? VEC_I32 : d->bytes == 2 ? VEC_F16 : d->bytes == 4 ? VEC_F32 : VEC_F64;
	f->stride = d->dim * vec_type_bytes(f->type);
	f->data = f->owned = mem_array(d->rows, f->stride, err);
	if (!f->owned)
		return -1;
	if (floats)
		copy_floats(d, f->owned);
	else
		ret = copy_numbers(d, f->owned, err);
	return ret;
}

/* Read the superblock: where the root group is. */
static int read_superblock(struct file *f, uint64_t *root, struct err *err)
{
	struct bytes b = {f->p, f->n, false};
	if (!begins_with(&b, SIGNATURE))
		return err_set(err, ERR_DATA, "is not an HDF5 file");
	unsigned version = (unsigned)take(&b, 1);
	if (version > 3)
		return err_set(err, ERR_DATA, "has HDF5 superblock version %u, expected 0 to 3",
			       version);
	skip(&b, version < 2 ? 4 : 0);
	unsigned offsets = (unsigned)take(&b, 1), lengths = (unsigned)take(&b, 1);
	skip(&b, version == 0 ? 9 : version == 1 ? 13 : 1);
	f->base = take(&b, 8);
	skip(&b, version < 2 ? 32 : 16);
	*root = take(&b, 8);
	if (b.failed)
		return damaged(err, "superblock");
	if (offsets != 8 || lengths != 8)
		return err_set(err, ERR_DATA, "has addresses of %u and %u bytes, expected 8",
			       offsets, lengths);
	return 0;
}

int vec_read_hdf5(struct vec_found *f, struct span data, const struct vec_input *how,
		  const char *name, struct err *err)
{
	struct file file = {(const unsigned char *)data.p, data.n, 0, 0};
	struct data_set d = {.file = &file};
	const char *what = how->column ? how->column : DEFAULT_NAME;
	uint64_t root = 0, address;
	*f = (struct vec_found){0};
	if (read_superblock(&file, &root, err) != 0 ||
	    find_object(&file, root, what, &address, err) != 0 ||
	    read_object(&file, address, take_data_message, &d, err) != 0 ||
	    check_data(&d, what, err) != 0 || find_values(&d, f, err) != 0)
		return err->code == ERR_ENV ? -1 : err_prefix(err, "'%s'", name);
	return 0;
}
