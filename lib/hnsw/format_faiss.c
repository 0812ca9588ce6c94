/* SPDX-License-Identifier: MIT */
/* Files of Faiss (IndexHNSWFlat), read and written. */
#include <math.h>
#include <stdlib.h>

#include "hnsw/foreign_internal.h"

/*
 * Source: faiss, impl/index_write.cpp and index_read.cpp.  An index begins with four letters
 * and a header.  IHNf (IndexHNSWFlat) goes on with the graph, then the index that stores the
 * vectors, IxF2, IxFI or IxFl (IndexFlat).  IxMp and IxM2 (IndexIDMap) wrap another one
 * and end with its ids.
 */
#define FOURCC(s) CHUNK_NAME((s)[0], (s)[1], (s)[2], (s)[3])
#define DUMMY ((int64_t)1 << 20)
#define MIN_PROBABILITY 1e-9 /* levels less likely have no entry */

enum faiss_metric { FAISS_IP, FAISS_L2 };

struct header {
	int32_t dim;
	int64_t rows;
	int32_t metric;
};

static int bad(const struct foreign *f, struct err *err, const char *what)
{
	return foreign_bad(f, HNSW_FAISS, err, what);
}

static bool get_header(struct cursor *c, struct header *h)
{
	int64_t dummy[2];
	uint8_t trained;
	return cursor_get(c, &h->dim, 4) && cursor_get(c, &h->rows, 8) &&
	       cursor_get(c, dummy, sizeof dummy) && cursor_get(c, &trained, 1) &&
	       cursor_get(c, &h->metric, 4);
}

/* A vector of items: u64 number, then the items. */
static const unsigned char *get_vector(struct cursor *c, size_t size, uint64_t *count)
{
	size_t bytes;
	if (!cursor_get(c, count, sizeof *count) || !num_mul(*count, size, &bytes))
		return NULL;
	return cursor_take(c, bytes);
}

static int32_t i32_at(const unsigned char *p, uint64_t i)
{
	int32_t v;
	memcpy(&v, p + i * sizeof v, sizeof v);
	return v;
}

static uint64_t u64_at(const unsigned char *p, uint64_t i)
{
	uint64_t v;
	memcpy(&v, p + i * sizeof v, sizeof v);
	return v;
}

/* Links of a layer end at the first -1. */
static uint32_t links(const struct foreign *f, uint32_t node, uint32_t layer, uint32_t *out)
{
	uint32_t room = layer ? f->m : f->m0, n = 0;
	uint64_t first = f->at[node] + (layer ? f->m0 + (uint64_t)(layer - 1) * f->m : 0);
	memcpy(out, f->graph + 4 * first, room * sizeof *out);
	while (n < room && out[n] != UINT32_MAX)
		n++;
	return n;
}

/* How many links each layer has room for: one number for layer 0, one for all others. */
static bool get_rooms(struct cursor *c, uint64_t *layers, uint64_t *m0, uint64_t *m)
{
	uint64_t n;
	const unsigned char *sum = get_vector(c, 4, &n);
	if (!sum || n < 2 || n > HNSW_MAX_LEVEL + 2 || i32_at(sum, 0) != 0)
		return false;
	*layers = n - 1;
	*m0 = (uint64_t)i32_at(sum, 1);
	*m = n > 2 ? (uint64_t)i32_at(sum, 2) - *m0 : *m0 / 2;
	for (uint64_t l = 2; l < n; l++)
		if ((uint64_t)i32_at(sum, l) - (uint64_t)i32_at(sum, l - 1) != *m)
			return false;
	return true;
}

static int read_links(struct foreign *f, struct cursor *c, uint64_t layers, struct err *err)
{
	uint64_t n, ends, total, end = 0;
	const unsigned char *levels = get_vector(c, 4, &n), *offsets = NULL;
	if (levels && n == f->nodes)
		offsets = get_vector(c, 8, &ends);
	if (!offsets || ends != (uint64_t)f->nodes + 1)
		return bad(f, err, "tables of levels and offsets");
	f->graph = get_vector(c, 4, &total);
	if (!f->graph || u64_at(offsets, 0) != 0 || u64_at(offsets, f->nodes) != total)
		return bad(f, err, "table of neighbours");
	f->level = mem_array(f->nodes, sizeof *f->level, err);
	f->at = mem_array(f->nodes, sizeof *f->at, err);
	if (!f->level || !f->at)
		return -1;
	for (uint32_t i = 0; i < f->nodes; i++) {
		int32_t level = i32_at(levels, i); /* counted from 1 */
		uint64_t next = u64_at(offsets, i + 1);
		f->at[i] = i ? end : 0;
		end = next;
		if (level < 1 || (uint64_t)level > layers ||
		    next - f->at[i] != f->m0 + (uint64_t)(level - 1) * f->m || next > total)
			return bad(f, err, "level or offset of a node");
		f->level[i] = (uint8_t)(level - 1);
	}
	return 0;
}

static int read_graph(struct foreign *f, struct cursor *c, const struct header *h, struct err *err)
{
	uint64_t n, layers, m0, m;
	int32_t tail[5]; /* entry, max_level, efConstruction, efSearch, upper_beam */
	if (h->metric != FAISS_IP && h->metric != FAISS_L2)
		return err_set(err, ERR_DATA,
			       "'%s' has Faiss's metric %d, expected 0 (ip) or 1 (l2)", f->name,
			       h->metric);
	if (!get_vector(c, 8, &n) || !get_rooms(c, &layers, &m0, &m))
		return bad(f, err, "numbers of neighbours");
	if (foreign_check_head(f, (uint64_t)h->rows, (uint64_t)(int64_t)h->dim, m, m0, err) != 0)
		return -1;
	f->nodes = (uint32_t)h->rows;
	f->dim = (uint32_t)h->dim;
	f->m = (uint32_t)m;
	f->m0 = (uint32_t)m0;
	if (read_links(f, c, layers, err) != 0)
		return -1;
	if (!cursor_get(c, tail, sizeof tail))
		return bad(f, err, "it is cut short");
	if (tail[0] < 0 || tail[0] >= h->rows || tail[1] < 0 || tail[1] > HNSW_MAX_LEVEL)
		return bad(f, err, "entry point");
	f->entry = (uint32_t)tail[0];
	f->max_level = (uint32_t)tail[1];
	f->ef_construction = tail[2] < 0 ? 0 : (uint32_t)tail[2];
	f->ef_search = tail[3] < 0 ? 0 : (uint32_t)tail[3];
	f->metric = h->metric == FAISS_IP ? VEC_IP : VEC_L2;
	f->has_metric = true;
	f->links = links;
	return 0;
}

static int read_storage(struct foreign *f, struct cursor *c, const struct header *h,
			struct err *err)
{
	uint32_t kind;
	struct header s;
	uint64_t floats;
	if (!cursor_get(c, &kind, sizeof kind))
		return bad(f, err, "it is cut short");
	if (kind != FOURCC("IxF2") && kind != FOURCC("IxFI") && kind != FOURCC("IxFl"))
		return err_set(
		    err, ERR_DATA,
		    "'%s' stores its vectors as '%.4s', expected 'IxF2', 'IxFI' or 'IxFl'", f->name,
		    (const char *)&kind);
	if (!get_header(c, &s) || s.dim != h->dim || s.rows != h->rows || s.metric != h->metric)
		return bad(f, err, "header of the vectors");
	f->vectors = get_vector(c, 4, &floats);
	if (!f->vectors || floats != (uint64_t)f->nodes * f->dim)
		return bad(f, err, "size of the vectors");
	f->type = VEC_F32;
	f->vector_stride = 4 * (size_t)f->dim;
	return 0;
}

static int read_ids(struct foreign *f, struct cursor *c, struct err *err)
{
	uint64_t n;
	const unsigned char *ids = get_vector(c, 8, &n);
	if (!ids || n != f->nodes)
		return bad(f, err, "table of ids");
	f->key = mem_array(n, sizeof *f->key, err);
	if (!f->key)
		return -1;
	memcpy(f->key, ids, n * sizeof *f->key);
	f->signed_keys = true;
	return 0;
}

int foreign_read_faiss(struct foreign *f, struct cursor c, struct err *err)
{
	uint32_t kind;
	struct header h;
	bool mapped = false;
	if (!cursor_get(&c, &kind, sizeof kind) || !get_header(&c, &h))
		return bad(f, err, "it is too short");
	if (kind == FOURCC("IxMp") || kind == FOURCC("IxM2")) {
		mapped = true;
		if (!cursor_get(&c, &kind, sizeof kind) || !get_header(&c, &h))
			return bad(f, err, "it is too short");
	}
	if (kind != FOURCC("IHNf"))
		return err_set(err, ERR_DATA,
			       "'%s' is of kind '%.4s', expected 'IHNf', Faiss's IndexHNSWFlat",
			       f->name, (const char *)&kind);
	if (read_graph(f, &c, &h, err) != 0 || read_storage(f, &c, &h, err) != 0 ||
	    (mapped && read_ids(f, &c, err) != 0))
		return -1;
	return c.left ? bad(f, err, "bytes are left at its end") : 0;
}

/* ---- writing ---- */

static void add_header(const struct foreign *f, const char *kind, struct buf *b)
{
	int32_t dim = (int32_t)f->dim, metric = f->metric == VEC_L2 ? FAISS_L2 : FAISS_IP;
	int64_t rows = f->nodes, dummy[2] = {DUMMY, DUMMY};
	buf_add(b, kind, 4);
	buf_add(b, &dim, sizeof dim);
	buf_add(b, &rows, sizeof rows);
	buf_add(b, dummy, sizeof dummy);
	buf_addc(b, 1); /* trained */
	buf_add(b, &metric, sizeof metric);
}

static void add_u64(struct buf *b, uint64_t v)
{
	buf_add(b, &v, sizeof v);
}

static void add_i32(struct buf *b, int32_t v)
{
	buf_add(b, &v, sizeof v);
}

/* The probability of each level, and room for links up to each; as many levels as Faiss
 * would have, and all that are used. */
static void add_levels(const struct foreign *f, struct buf *b)
{
	double probability[HNSW_MAX_LEVEL + 1], mult = 1 / log(f->m);
	uint32_t n = 0;
	for (; n <= HNSW_MAX_LEVEL; n++) {
		probability[n] = exp(-(double)n / mult) * (1 - exp(-1 / mult));
		if (n > f->max_level && probability[n] < MIN_PROBABILITY)
			break;
	}
	add_u64(b, n);
	buf_add(b, probability, n * sizeof *probability);
	add_u64(b, n + 1);
	add_i32(b, 0);
	for (uint32_t l = 0; l < n; l++)
		add_i32(b, (int32_t)(f->m0 + l * f->m));
}

static int add_graph(const struct foreign *f, struct io_sink *out, struct err *err)
{
	uint32_t row[2 * HNSW_MAX_M];
	uint64_t total = 0;
	add_levels(f, &out->b);
	add_u64(&out->b, f->nodes);
	for (uint32_t i = 0; i < f->nodes; i++)
		add_i32(&out->b, f->level[i] + 1);
	add_u64(&out->b, (uint64_t)f->nodes + 1);
	add_u64(&out->b, 0);
	for (uint32_t i = 0; i < f->nodes; i++)
		add_u64(&out->b, total += f->m0 + (uint64_t)f->level[i] * f->m);
	add_u64(&out->b, total);
	for (uint32_t i = 0; i < f->nodes; i++) {
		for (uint32_t l = 0; l <= f->level[i]; l++) {
			memset(row, 0xff, sizeof row);
			f->links(f, i, l, row);
			buf_add(&out->b, row, (l ? f->m : f->m0) * sizeof *row);
		}
		if (io_sink_spill(out, err) != 0)
			return -1;
	}
	add_i32(&out->b, (int32_t)f->entry);
	add_i32(&out->b, (int32_t)f->max_level);
	add_i32(&out->b, (int32_t)f->ef_construction);
	add_i32(&out->b, (int32_t)f->ef_search);
	add_i32(&out->b, 1); /* upper_beam, which is used no more */
	return 0;
}

int foreign_write_faiss(const struct foreign *f, struct io_sink *out, struct err *err)
{
	if (f->key)
		add_header(f, "IxMp", &out->b);
	add_header(f, "IHNf", &out->b);
	if (add_graph(f, out, err) != 0)
		return -1;
	add_header(f, f->metric == VEC_L2 ? "IxF2" : "IxFI", &out->b);
	add_u64(&out->b, (uint64_t)f->nodes * f->dim);
	if (foreign_write_vectors(f, out, err) != 0)
		return -1;
	if (f->key) {
		add_u64(&out->b, f->nodes);
		buf_add(&out->b, f->key, f->nodes * sizeof *f->key);
	}
	return 0;
}
