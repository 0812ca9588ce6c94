/* SPDX-License-Identifier: MIT */
/* Files of USearch, read and written. */
#include <math.h>
#include <stdlib.h>

#include "hnsw/foreign_internal.h"

/*
 * Source: usearch, include/usearch/index_dense.hpp and index.hpp, save_to_stream().
 * The matrix: u32 rows, u32 bytes a row (or both u64), the rows.  A head of 64 bytes.
 * The head of the graph, an i16 level a node, then the nodes: u64 key, i16 level, and a
 * row for each layer: u32 number of links, u32 links (room for m0, above layer 0 m).
 */
#define HEAD_BYTES 64
#define NODE_HEAD_BYTES 10
#define FREE_KEY UINT64_MAX /* of a node that was removed */
#define KEY_U64 14
#define SLOT_U32 15
#define SCALAR_BF16 4
#define SCALAR_F32 11
#define VERSION_MAJOR 2
#define VERSION_MINOR 10 /* types were numbered otherwise before */
/* It does not keep them; these are its defaults. */
#define EF_CONSTRUCTION 128
#define EF_SEARCH 64

static const char magic[7] = {'u', 's', 'e', 'a', 'r', 'c', 'h'};

struct graph_head {
	uint64_t nodes, m, m0, max_level, entry;
};

struct info {
	unsigned metric, scalar, key, slot;
	uint16_t version[3];
	uint64_t dim;
};

static const struct {
	char letter;
	enum vec_metric metric;
} metrics[] = {{'e', VEC_L2}, {'c', VEC_COSINE}, {'i', VEC_IP}};

static const struct {
	unsigned char number;
	enum vec_type type;
} scalars[] = {{10, VEC_F64}, {SCALAR_F32, VEC_F32}, {12, VEC_F16},
	       {17, VEC_U8},  {21, VEC_I32},	     {23, VEC_I8}};

static size_t row_bytes(const struct foreign *f, uint32_t layer)
{
	return 4 + 4 * (size_t)(layer ? f->m : f->m0);
}

static const unsigned char *row_of(const struct foreign *f, uint32_t node, uint32_t layer)
{
	const unsigned char *p = f->graph + f->at[node] + NODE_HEAD_BYTES;
	return layer ? p + row_bytes(f, 0) + (layer - 1) * row_bytes(f, 1) : p;
}

static uint32_t links(const struct foreign *f, uint32_t node, uint32_t layer, uint32_t *out)
{
	const unsigned char *p = row_of(f, node, layer);
	uint32_t n;
	memcpy(&n, p, sizeof n);
	/* It was checked, but others may write into the file. */
	n = foreign_links_at_most(f, layer, n);
	memcpy(out, p + 4, n * sizeof *out);
	return n;
}

static int bad(const struct foreign *f, struct err *err, const char *what)
{
	return foreign_bad(f, HNSW_USEARCH, err, what);
}

/* The matrix may be missing, or have its sizes in 32 or 64 bits: the magic follows it. */
static bool find_head(struct cursor c, uint64_t *rows, uint64_t *bytes, struct cursor *head)
{
	for (int wide = 0; wide < 2; wide++) {
		uint32_t narrow[2];
		struct cursor at = c;
		size_t total;
		bool got = wide ? cursor_get(&at, rows, 8) && cursor_get(&at, bytes, 8)
				: cursor_get(&at, narrow, 8);
		if (!got)
			return false;
		if (!wide) {
			*rows = narrow[0];
			*bytes = narrow[1];
		}
		if (num_mul(*rows, *bytes, &total) && cursor_take(&at, total) &&
		    at.left >= HEAD_BYTES && memcmp(at.p, magic, sizeof magic) == 0) {
			*head = at;
			return true;
		}
	}
	return false;
}

static void read_info(const unsigned char *p, struct info *d)
{
	memcpy(d->version, p + 7, sizeof d->version);
	d->metric = p[13];
	d->scalar = p[14];
	d->key = p[15];
	d->slot = p[16];
	memcpy(&d->dim, p + 33, sizeof d->dim);
}

/* bfloat16 is the upper half of a float. */
static int widen(struct foreign *f, struct err *err)
{
	size_t n = (size_t)f->nodes * f->dim;
	f->widened = mem_array(n, sizeof *f->widened, err);
	if (!f->widened)
		return -1;
	for (size_t i = 0; i < n; i++) {
		unsigned char half[4] = {0, 0, f->vectors[2 * i], f->vectors[2 * i + 1]};
		memcpy(&f->widened[i], half, sizeof half);
	}
	f->type = VEC_F32;
	f->vectors = (const unsigned char *)f->widened;
	f->vector_stride = f->dim * sizeof(float);
	return 0;
}

static int read_info_types(struct foreign *f, const struct info *d, struct err *err)
{
	if (d->version[0] != VERSION_MAJOR || d->version[1] < VERSION_MINOR)
		return err_set(err, ERR_DATA, "'%s' is of usearch %u.%u, expected 2.%d or later",
			       f->name, d->version[0], d->version[1], VERSION_MINOR);
	if (d->key != KEY_U64 || d->slot != SLOT_U32)
		return err_set(
		    err, ERR_DATA,
		    "'%s' has keys of type %u and slots of type %u, expected u64 and u32", f->name,
		    d->key, d->slot);
	for (size_t i = 0; i < sizeof metrics / sizeof metrics[0] && !f->has_metric; i++)
		if (d->metric == (unsigned char)metrics[i].letter) {
			f->metric = metrics[i].metric;
			f->has_metric = true;
		}
	if (!f->has_metric)
		return err_set(err, ERR_DATA, "'%s' has metric '%c', expected cos, l2sq or ip",
			       f->name, (int)d->metric);
	f->type = VEC_TYPES;
	for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++)
		if (d->scalar == scalars[i].number)
			f->type = scalars[i].type;
	if (f->type == VEC_TYPES && d->scalar != SCALAR_BF16)
		return err_set(err, ERR_DATA, "'%s' has vectors of a type that is not read: %u",
			       f->name, d->scalar);
	return 0;
}

/*
 * What usearch is given as floats and keeps in bytes it scales to the greatest length that they
 * have, rounding towards 0 (index_plugins.hpp, cast_to_i8_gt), and queries likewise.  Whether that
 * was done the file does not tell, but the lengths of all vectors do.
 */
static bool is_scaled(const struct foreign *f)
{
	uint32_t most = f->type == VEC_I8 ? INT8_MAX : UINT8_MAX;
	double least = most - sqrt(f->dim);
	uint64_t scaled = 0;
	for (uint32_t i = 0; i < f->nodes; i++) {
		uint64_t sum = 0;
		const unsigned char *v = f->vectors + i * f->vector_stride;
		for (uint32_t k = 0; k < f->dim; k++) {
			int32_t x = f->type == VEC_I8 ? (int8_t)v[k] : v[k];
			sum += (uint64_t)(x * x);
		}
		double length = sqrt((double)sum);
		if (sum && (length > most || length < least))
			return false;
		scaled += sum > 0;
	}
	return scaled > 0;
}

/* Only the cosine does not depend on lengths that are gone. */
static int check_scaling(const struct foreign *f, struct err *err)
{
	if ((f->type != VEC_I8 && f->type != VEC_U8) || f->metric == VEC_COSINE || !is_scaled(f))
		return 0;
	return err_set(err, ERR_DATA,
		       "'%s' holds vectors in %s that usearch scaled to one length, with which "
		       "metric %s is not that of the vectors it was given: build the index again "
		       "of these",
		       f->name, vec_type_name(f->type), vec_metric_name(f->metric));
}

/* Keys, levels and where each node is. */
static int read_nodes(struct foreign *f, struct cursor c, struct err *err)
{
	const unsigned char *levels = cursor_take(&c, 2 * (uint64_t)f->nodes);
	if (!levels)
		return bad(f, err, "it is cut short");
	f->graph = c.p;
	f->level = mem_array(f->nodes, sizeof *f->level, err);
	f->key = mem_array(f->nodes, sizeof *f->key, err);
	f->at = mem_array(f->nodes, sizeof *f->at, err);
	f->gone = mem_zeroed((size_t)f->nodes / 64 + 1, sizeof *f->gone, err);
	if (!f->level || !f->key || !f->at || !f->gone)
		return -1;
	for (uint32_t i = 0; i < f->nodes; i++) {
		int16_t level;
		memcpy(&level, levels + 2 * (size_t)i, sizeof level);
		if (level < 0 || level > HNSW_MAX_LEVEL)
			return bad(f, err, "level of a node");
		f->level[i] = (uint8_t)level;
		f->at[i] = (uint64_t)(c.p - f->graph);
		const unsigned char *p = cursor_take(&c, NODE_HEAD_BYTES + row_bytes(f, 0) +
							     (size_t)level * row_bytes(f, 1));
		if (!p)
			return bad(f, err, "it is cut short");
		memcpy(&f->key[i], p, sizeof f->key[i]);
		if (f->key[i] == FREE_KEY)
			f->gone[i >> 6] |= (uint64_t)1 << (i & 63);
		for (uint32_t l = 0; l <= f->level[i]; l++) {
			uint32_t n;
			memcpy(&n, row_of(f, i, l), sizeof n);
			if (n > (l ? f->m : f->m0))
				return bad(f, err, "number of links");
		}
	}
	return c.left ? bad(f, err, "bytes are left at its end") : 0;
}

int foreign_read_usearch(struct foreign *f, struct cursor c, struct err *err)
{
	uint64_t rows, bytes;
	struct cursor at;
	struct info d;
	struct graph_head g;
	if (c.left >= sizeof magic && memcmp(c.p, magic, sizeof magic) == 0)
		return err_set(err, ERR_DATA, "'%s' was saved without its vectors", f->name);
	if (!find_head(c, &rows, &bytes, &at))
		return bad(f, err, "no head follows the vectors");
	read_info(cursor_take(&at, HEAD_BYTES), &d);
	if (read_info_types(f, &d, err) != 0)
		return -1;
	if (!cursor_get(&at, &g, sizeof g))
		return bad(f, err, "it is too short");
	if (foreign_check_head(f, g.nodes, d.dim, g.m, g.m0, err) != 0)
		return -1;
	uint64_t element = d.scalar == SCALAR_BF16 ? 2 : vec_type_bytes(f->type);
	if (rows != g.nodes || bytes != d.dim * element)
		return bad(f, err, "size of the vectors");
	if (g.max_level > HNSW_MAX_LEVEL || g.entry >= g.nodes)
		return bad(f, err, "entry point");
	f->dim = (uint32_t)d.dim;
	f->m = (uint32_t)g.m;
	f->m0 = (uint32_t)g.m0;
	f->nodes = (uint32_t)g.nodes;
	f->entry = (uint32_t)g.entry;
	f->max_level = (uint32_t)g.max_level;
	f->ef_construction = EF_CONSTRUCTION;
	f->ef_search = EF_SEARCH;
	f->vectors = at.p - sizeof g - HEAD_BYTES - rows * bytes;
	f->vector_stride = bytes;
	f->links = links;
	if (d.scalar == SCALAR_BF16 && widen(f, err) != 0)
		return -1;
	return check_scaling(f, err) == 0 ? read_nodes(f, at, err) : -1;
}

static void add_row(const struct foreign *f, uint32_t node, uint32_t layer, struct buf *b)
{
	uint32_t row[1 + 2 * HNSW_MAX_M] = {0};
	row[0] = f->links(f, node, layer, row + 1);
	buf_add(b, row, row_bytes(f, layer));
}

int foreign_write_usearch(const struct foreign *f, struct io_sink *out, struct err *err)
{
	uint32_t matrix[2] = {f->nodes, f->dim * 4};
	uint16_t version[3] = {VERSION_MAJOR, VERSION_MINOR, 0};
	uint64_t counts[3] = {f->nodes, 0, f->dim};
	unsigned char head[HEAD_BYTES] = {0};
	struct graph_head g = {f->nodes, f->m, f->m0, f->max_level, f->entry};
	memcpy(head, magic, sizeof magic);
	memcpy(head + 7, version, sizeof version);
	for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
		if (metrics[i].metric == f->metric)
			head[13] = (unsigned char)metrics[i].letter;
	head[14] = SCALAR_F32;
	head[15] = KEY_U64;
	head[16] = SLOT_U32;
	memcpy(head + 17, counts, sizeof counts);
	buf_add(&out->b, matrix, sizeof matrix);
	if (foreign_write_vectors(f, out, err) != 0)
		return -1;
	buf_add(&out->b, head, sizeof head);
	buf_add(&out->b, &g, sizeof g);
	for (uint32_t i = 0; i < f->nodes; i++) {
		int16_t level = f->level[i];
		buf_add(&out->b, &level, sizeof level);
	}
	for (uint32_t i = 0; i < f->nodes; i++) {
		uint64_t key = f->key ? f->key[i] : i;
		int16_t level = f->level[i];
		buf_add(&out->b, &key, sizeof key);
		buf_add(&out->b, &level, sizeof level);
		for (uint32_t l = 0; l <= f->level[i]; l++)
			add_row(f, i, l, &out->b);
		if (io_sink_spill(out, err) != 0)
			return -1;
	}
	return 0;
}
