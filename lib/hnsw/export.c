/* SPDX-License-Identifier: MIT */
/* Writing an index as a file of another library. */
#include <stdlib.h>

#include "hnsw/foreign_internal.h"

/*
 * Other libraries have no node that stands for several rows.  The further rows of a node
 * become elements of their own on layer 0, in a chain that begins at the first one: each
 * links to the next, to the one before and to where the first one links.  Where the first
 * one's links leave no room for the chain, its last link moves to the second, which is found
 * at the same distance; so every element is reached that was reached before.
 */
struct exporter {
	const struct hnsw *h;
	uint32_t *node_of;  /* a row */
	uint32_t *dup_at;   /* a row: its place among the duplicates; HNSW_NONE: it has a node */
	uint32_t *next;	    /* a node: place of its first duplicate, or HNSW_NONE */
	uint32_t *upper_of; /* a node: its number as upper, or HNSW_NONE */
	float *row;	    /* a vector that is put together of its code */
};

/* Append a link unless the row is full or has it. */
static uint32_t add(uint32_t *row, uint32_t n, uint32_t room, uint32_t to)
{
	if (n == room)
		return n;
	for (uint32_t i = 0; i < n; i++)
		if (row[i] == to)
			return n;
	row[n] = to;
	return n + 1;
}

/* The row's links on layer 0 without those to duplicates. */
static uint32_t node_links(const struct exporter *e, uint32_t node, uint32_t *out)
{
	const struct hnsw *h = e->h;
	const uint32_t *row = hnsw_row0(h, node);
	uint32_t n = 0;
	for (; n < h->head.m0 && row[n] != HNSW_NONE; n++)
		out[n] = h->node_row[row[n]];
	return n;
}

/* Layer 0 of the row that a node was made of. */
static uint32_t first_links(const struct exporter *e, uint32_t node, uint32_t *out)
{
	uint32_t n = node_links(e, node, out);
	if (e->next[node] == HNSW_NONE)
		return n;
	if (n == e->h->head.m0)
		n--;
	out[n] = e->h->dup_row[e->next[node]];
	return n + 1;
}

/* Layer 0 of a duplicate. */
static uint32_t dup_links(const struct exporter *e, uint32_t at, uint32_t *out)
{
	const struct hnsw *h = e->h;
	uint32_t links[2 * HNSW_MAX_M], node = h->dup_node[at], room = h->head.m0, n = 0;
	uint32_t count = node_links(e, node, links);
	if (at + 1 < h->head.dups && h->dup_node[at + 1] == node)
		out[n++] = h->dup_row[at + 1];
	if (at == e->next[node]) {
		if (count == room)
			out[n++] = links[count - 1];
		n = add(out, n, room, h->node_row[node]);
	} else {
		n = add(out, n, room, h->dup_row[at - 1]);
	}
	for (uint32_t i = 0; i < count; i++)
		n = add(out, n, room, links[i]);
	return n;
}

static uint32_t links(const struct foreign *f, uint32_t row, uint32_t layer, uint32_t *out)
{
	const struct exporter *e = f->ctx;
	const struct hnsw *h = e->h;
	uint32_t node = e->node_of[row], n = 0;
	if (layer == 0)
		return e->dup_at[row] == HNSW_NONE ? first_links(e, node, out)
						   : dup_links(e, e->dup_at[row], out);
	const uint32_t *upper = hnsw_row_upper(h, e->upper_of[node], layer);
	for (; n < h->head.m && upper[n] != HNSW_NONE; n++)
		out[n] = h->node_row[h->upper_node[upper[n]]];
	return n;
}

static void vector(const struct foreign *f, uint32_t row, float *out)
{
	const struct exporter *e = f->ctx;
	memcpy(out, hnsw_vector(e->h, e->node_of[row], e->row), e->h->head.dim * sizeof *out);
}

static int index_rows(struct exporter *e, struct err *err)
{
	const struct hnsw *h = e->h;
	e->node_of = mem_array(h->head.rows, sizeof *e->node_of, err);
	e->dup_at = mem_array(h->head.rows, sizeof *e->dup_at, err);
	e->next = mem_array(h->head.nodes, sizeof *e->next, err);
	e->upper_of = mem_array(h->head.nodes, sizeof *e->upper_of, err);
	e->row = mem_array(h->head.stride, sizeof *e->row, err);
	if (!e->node_of || !e->dup_at || !e->next || !e->upper_of || !e->row)
		return -1;
	hnsw_row_nodes(h, e->node_of);
	memset(e->dup_at, 0xff, h->head.rows * sizeof *e->dup_at);
	memset(e->next, 0xff, h->head.nodes * sizeof *e->next);
	memset(e->upper_of, 0xff, h->head.nodes * sizeof *e->upper_of);
	for (uint32_t i = h->head.dups; i-- > 0;) {
		e->dup_at[h->dup_row[i]] = i;
		e->next[h->dup_node[i]] = i;
	}
	for (uint32_t u = 0; u < h->head.upper; u++)
		e->upper_of[h->upper_node[u]] = u;
	return 0;
}

/* An id as the key that other libraries have; negative only where keys have a sign. */
static int read_key(const struct foreign *f, struct span id, uint64_t *key)
{
	bool minus = f->signed_keys && id.n > 1 && id.p[0] == '-';
	struct span digits = {id.p + minus, id.n - minus};
	if (num_u64(digits, minus, (uint64_t)INT64_MAX + minus, key) != 0 ||
	    (digits.n > 1 && digits.p[0] == '0'))
		return -1;
	if (minus)
		*key = 0 - *key;
	return 0;
}

static int read_keys(struct foreign *f, const struct hnsw *h, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	f->key = mem_array(h->head.rows, sizeof *f->key, err);
	if (!f->key)
		return -1;
	for (uint32_t i = 0; i < h->head.rows; i++) {
		struct span id = hnsw_id(h, i, tmp);
		if (read_key(f, id, &f->key[i]) != 0)
			return err_set(err, ERR_DATA,
				       "row %u has id '%.*s', expected a whole number below 2^63 "
				       "as key: say --labels row to use the numbers of the rows",
				       i, (int)(id.n < 100 ? id.n : 100), id.p);
	}
	return 0;
}

int foreign_write_vectors(const struct foreign *f, struct io_sink *out, struct err *err)
{
	float *v = mem_array(f->dim, sizeof *v, err);
	int ret = v ? 0 : -1;
	for (uint32_t i = 0; ret == 0 && i < f->nodes; i++) {
		f->vector(f, i, v);
		buf_add(&out->b, v, f->dim * sizeof *v);
		ret = io_sink_spill(out, err);
	}
	free(v);
	return ret;
}

static int write_foreign(const struct foreign *f, enum hnsw_format format, struct io_sink *out,
			 struct err *err)
{
	switch (format) {
	case HNSW_HNSWLIB:
		return foreign_write_hnswlib(f, out, err);
	case HNSW_FAISS:
		return foreign_write_faiss(f, out, err);
	default:
		return foreign_write_usearch(f, out, err);
	}
}

static int write_file(const struct foreign *f, const struct hnsw *h, enum hnsw_format format,
		      struct err *err)
{
	struct io_file file;
	if (io_file_open(&file, f->name, err) != 0)
		return -1;
	struct io_sink out = IO_SINK_INIT(file.fd, f->name);
	int ret = write_foreign(f, format, &out, err);
	if (ret == 0)
		ret = io_sink_flush(&out, err);
	if (ret == 0)
		ret = hnsw_unchanged(h, true, err);
	if (ret == 0)
		ret = io_file_commit(&file, IO_REPLACE, err);
	io_sink_release(&out);
	io_file_release(&file);
	return ret;
}

int hnsw_export(const struct hnsw *h, enum hnsw_format format, bool row_keys, const char *path,
		struct err *err)
{
	const struct hnsw_head *d = &h->head;
	struct exporter e = {.h = h};
	struct foreign f = {.name = path, .ctx = &e, .links = links, .vector = vector};
	int ret = -1;
	if (format == HNSW_OURS)
		return hnsw_write(h, path, err);
	f.metric = (enum vec_metric)d->metric;
	f.dim = d->dim;
	f.signed_keys = format == HNSW_FAISS;
	f.m = d->m;
	f.m0 = d->m0;
	f.ef_construction = d->ef_construction;
	f.ef_search = d->ef_search;
	f.nodes = (uint32_t)d->rows;
	f.max_level = d->max_level;
	f.level = mem_zeroed(d->rows, sizeof *f.level, err);
	if (!f.level || hnsw_check(h, err) != 0 || index_rows(&e, err) != 0)
		goto out;
	f.entry = h->node_row[hnsw_entry_node(h)];
	for (uint32_t u = 0; u < d->upper; u++)
		f.level[h->node_row[h->upper_node[u]]] =
		    (uint8_t)(h->upper_first[u + 1] - h->upper_first[u]);
	if (h->id_end && !row_keys && read_keys(&f, h, err) != 0)
		goto out;
	ret = write_file(&f, h, format, err);
out:
	foreign_release(&f);
	free(e.node_of);
	free(e.dup_at);
	free(e.next);
	free(e.upper_of);
	free(e.row);
	return ret;
}

int hnsw_vectors(const struct hnsw *h, const char *name, struct vec_set *out, struct err *err)
{
	uint64_t rows = h->head.rows;
	uint32_t dim = h->head.dim, *node_of = mem_array(rows, sizeof *node_of, err);
	float *v = mem_array(rows, dim * sizeof *v, err);
	float *row = mem_array(h->head.stride, sizeof *row, err);
	*out = (struct vec_set){.dim = dim, .rows = rows};
	out->part = mem_zeroed(1, sizeof *out->part, err);
	if (!node_of || !v || !row || !out->part)
		goto fail;
	out->parts = 1;
	*out->part = (struct vec_part){.type = VEC_F32,
				       .data = (unsigned char *)v,
				       .stride = dim * sizeof *v,
				       .rows = rows,
				       .name = span_dup(span_of(name)),
				       .owned = v};
	hnsw_row_nodes(h, node_of);
	for (uint64_t i = 0; i < rows; i++)
		memcpy(v + i * dim, hnsw_vector(h, node_of[i], row), dim * sizeof *v);
	free(node_of);
	free(row);
	node_of = NULL;
	v = row = NULL;
	if (!out->part->name) {
		err_nomem(err);
		goto fail;
	}
	if (!h->id_end)
		goto done;
	out->id_end = mem_array(rows, sizeof *out->id_end, err);
	out->id_text = mem_array(h->id_text_bytes + 1, 1, err);
	if (!out->id_end || !out->id_text)
		goto fail;
	memcpy(out->id_end, h->id_end, rows * sizeof *out->id_end);
	memcpy(out->id_text, h->id_text, h->id_text_bytes);
done:
	if (hnsw_unchanged(h, true, err) == 0)
		return 0;
fail:
	free(node_of);
	free(v);
	free(row);
	vec_set_release(out);
	return -1;
}
