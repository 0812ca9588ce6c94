/* SPDX-License-Identifier: MIT */
/* Making an index of what was read of another library's. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "hnsw/search_internal.h"
#include "hnsw/foreign_internal.h"

#define REPAIR_EF 200	    /* a file may ask for a beam as wide as it likes */
#define UNIT_TOLERANCE 1e-3 /* of the squared length of a unit vector of floats */

struct import {
	const struct foreign *f;
	const struct hnsw_import *how;
	enum vec_metric metric;
	struct hnsw *h;
	uint32_t nodes;	   /* that were not deleted */
	uint32_t *from;	   /* the element that is node i */
	uint32_t *node_of; /* the node of each element, HNSW_NONE if it was deleted */
	uint32_t *upper_of;
	struct vec_set rows;
};

static bool is_gone(const struct foreign *f, uint32_t element)
{
	return f->gone && f->gone[element >> 6] >> (element & 63) & 1;
}

static int choose_metric(struct import *im, struct err *err)
{
	const struct foreign *f = im->f;
	int asked = im->how->metric;
	if (!f->has_metric && asked < 0)
		return err_set(err, ERR_USAGE, "'%s' does not tell its metric: say --metric",
			       f->name);
	im->metric = asked < 0 ? f->metric : (enum vec_metric)asked;
	if (f->has_metric && im->metric != f->metric &&
	    !(f->metric == VEC_IP && im->metric == VEC_COSINE))
		return err_set(err, ERR_USAGE, "'%s' is an index of metric %s, not of %s", f->name,
			       vec_metric_name(f->metric), vec_metric_name(im->metric));
	return 0;
}

/* ---- elements, nodes and rows ---- */

static int check_levels(const struct foreign *f, struct err *err)
{
	for (uint32_t i = 0; i < f->nodes; i++)
		if (f->level[i] > f->max_level)
			return err_set(err, ERR_DATA,
				       "'%s' is damaged: element %u is on layer %u, above the "
				       "highest, %u",
				       f->name, i, f->level[i], f->max_level);
	if (f->level[f->entry] != f->max_level)
		return err_set(err, ERR_DATA,
			       "'%s' is damaged: the entry point, element %u, is not on layer %u",
			       f->name, f->entry, f->max_level);
	return 0;
}

/* The element where searches start: the entry point, or if that was deleted the first one of
 * those on the highest layer. */
static uint32_t choose_entry(const struct foreign *f)
{
	uint32_t best = f->entry;
	for (uint32_t i = 0; i < f->nodes; i++)
		if (!is_gone(f, i) && (is_gone(f, best) || f->level[i] > f->level[best]))
			best = i;
	return best;
}

/* Elements become nodes in their order, but without upper layers the entry is node 0. */
static int number_nodes(struct import *im, uint32_t entry, struct err *err)
{
	const struct foreign *f = im->f;
	uint32_t n = 0;
	im->from = mem_array(f->nodes, sizeof *im->from, err);
	im->node_of = mem_array(f->nodes, sizeof *im->node_of, err);
	if (!im->from || !im->node_of)
		return -1;
	memset(im->node_of, 0xff, f->nodes * sizeof *im->node_of);
	if (is_gone(f, entry))
		return err_set(err, ERR_DATA, "'%s' has no vectors: all were deleted", f->name);
	if (f->level[entry] == 0) {
		im->node_of[entry] = n;
		im->from[n++] = entry;
	}
	for (uint32_t i = 0; i < f->nodes; i++)
		if (!is_gone(f, i) && im->node_of[i] == HNSW_NONE) {
			im->node_of[i] = n;
			im->from[n++] = i;
		}
	im->nodes = n;
	return 0;
}

/*
 * The element of each row.  If the keys are 0..rows-1 in some order, they are the numbers of
 * the rows; returns whether that is so.  Else rows are elements in their order.
 */
static bool order_rows(const struct import *im, uint32_t *element)
{
	const struct foreign *f = im->f;
	bool by_key = f->key != NULL;
	uint32_t n = 0;
	memset(element, 0xff, im->nodes * sizeof *element);
	for (uint32_t i = 0; by_key && i < f->nodes; i++) {
		if (is_gone(f, i))
			continue;
		by_key = f->key[i] < im->nodes && element[f->key[i]] == HNSW_NONE;
		if (by_key)
			element[f->key[i]] = i;
	}
	for (uint32_t i = 0; !by_key && i < f->nodes; i++)
		if (!is_gone(f, i))
			element[n++] = i;
	return by_key;
}

static int add_ids(struct import *im, const uint32_t *element, struct err *err)
{
	struct vec_set *s = &im->rows;
	struct buf text = BUF_INIT;
	s->id_end = mem_array(s->rows, sizeof *s->id_end, err);
	if (!s->id_end)
		return -1;
	for (uint64_t i = 0; i < s->rows; i++) {
		uint64_t key = im->f->key[element[i]];
		if (im->f->signed_keys)
			buf_addf(&text, "%" PRId64, (int64_t)key);
		else
			buf_addf(&text, "%" PRIu64, key);
		s->id_end[i] = text.len;
	}
	if (buf_ok(&text, err) != 0) {
		buf_release(&text);
		return -1;
	}
	s->id_text = text.data;
	return vec_set_check_ids(s, err);
}

/* The vectors as a set of rows: those of the file, or a copy in another order. */
static int make_rows(struct import *im, uint32_t *element, struct err *err)
{
	const struct foreign *f = im->f;
	struct vec_set *s = &im->rows;
	bool by_key = order_rows(im, element), in_order = true;
	s->part = mem_zeroed(1, sizeof *s->part, err);
	if (!s->part)
		return -1;
	s->parts = 1;
	s->rows = im->nodes;
	s->dim = f->dim;
	*s->part = (struct vec_part){.type = f->type,
				     .data = f->vectors,
				     .stride = f->vector_stride,
				     .rows = s->rows,
				     .name = span_dup(span_of(f->name))};
	if (!s->part->name)
		return err_nomem(err);
	for (uint32_t i = 0; i < im->nodes; i++)
		in_order &= element[i] == i;
	if (!in_order) {
		size_t bytes = f->dim * vec_type_bytes(f->type);
		unsigned char *copy = mem_array(im->nodes, bytes, err);
		if (!copy)
			return -1;
		for (uint32_t i = 0; i < im->nodes; i++)
			memcpy(copy + i * bytes, f->vectors + element[i] * f->vector_stride, bytes);
		s->part->data = s->part->owned = copy;
		s->part->stride = bytes;
	}
	if (im->how->ids)
		return vec_set_read_ids(s, im->how->ids, err);
	return f->key && !by_key ? add_ids(im, element, err) : 0;
}

/* ---- what an index is made of ---- */

/* Cosine needs unit vectors, which the others' indexes of inner products have if they were
 * meant so. */
static int unit_vector(const struct import *im, uint32_t row, float *v, struct err *err)
{
	double sum = 0;
	for (uint32_t i = 0; i < im->f->dim; i++)
		sum += (double)v[i] * (double)v[i];
	if (sum == 0 || fabs(sum - 1) <= UNIT_TOLERANCE)
		return 0;
	if (!im->f->has_metric || im->f->metric != VEC_COSINE)
		return vec_set_fail(&im->rows, row, err,
				    "the vector has length %.6g, expected 1 in an index of cosine",
				    sqrt(sum));
	vec_normalise(v, im->f->dim);
	return 0;
}

static int load_vectors(struct import *im, const uint32_t *element, struct err *err)
{
	struct hnsw *h = im->h;
	float *vectors = hnsw_block(h, im->nodes, h->head.stride * sizeof *vectors, err);
	uint32_t *node_row = hnsw_block(h, im->nodes, sizeof *node_row, err);
	if (!vectors || !node_row)
		return -1;
	for (uint32_t row = 0; row < im->nodes; row++) {
		uint32_t node = im->node_of[element[row]];
		float *v = vectors + (size_t)node * h->head.stride;
		if (vec_set_row(&im->rows, row, v, err) != 0 ||
		    (im->metric == VEC_COSINE && unit_vector(im, row, v, err) != 0))
			return -1;
		for (uint32_t i = 0; i < h->head.dim; i++)
			v[i] += 0.0f; /* -0 and 0 are equal */
		node_row[node] = row;
	}
	h->vectors = vectors;
	h->node_row = node_row;
	return 0;
}

static int number_uppers(struct import *im, uint32_t entry, struct err *err)
{
	struct hnsw *h = im->h;
	uint64_t rows = 0;
	uint32_t upper = 0;
	for (uint32_t i = 0; i < im->nodes; i++) {
		uint8_t level = im->f->level[im->from[i]];
		upper += level > 0;
		rows += level;
	}
	if (rows > UINT32_MAX)
		return err_set(err, ERR_DATA, "'%s' has too many links on upper layers",
			       im->f->name);
	uint32_t *node = hnsw_block(h, upper, sizeof *node, err);
	uint32_t *first = hnsw_block(h, (size_t)upper + 1, sizeof *first, err);
	im->upper_of = mem_array(im->nodes, sizeof *im->upper_of, err);
	if (!node || !first || !im->upper_of)
		return -1;
	h->head.upper_rows = (uint32_t)rows;
	for (uint32_t i = 0, at = 0; i < im->nodes; i++) {
		uint8_t level = im->f->level[im->from[i]];
		if (!level)
			continue;
		im->upper_of[i] = h->head.upper;
		node[h->head.upper] = i;
		first[h->head.upper++] = at;
		at += level;
	}
	first[upper] = h->head.upper_rows;
	h->upper_node = node;
	h->upper_first = first;
	h->head.max_level = im->f->level[entry];
	h->head.entry = upper ? im->upper_of[im->node_of[entry]] : 0;
	return 0;
}

/* ---- links ---- */

static int check_link(const struct foreign *f, uint32_t element, uint32_t layer, uint32_t to,
		      struct err *err)
{
	if (to >= f->nodes)
		return err_set(err, ERR_DATA,
			       "'%s' is damaged: element %u links to %u, there are %u elements",
			       f->name, element, to, f->nodes);
	if (f->level[to] < layer)
		return err_set(err, ERR_DATA,
			       "'%s' is damaged: element %u links to %u, which is not on layer %u",
			       f->name, element, to, layer);
	return 0;
}

/* Add the node of an element to a row, if there is room and it is not in it already. */
static void add_link(const struct import *im, uint32_t *row, uint32_t *n, uint32_t room,
		     uint32_t own, uint32_t layer, uint32_t element)
{
	uint32_t to = im->node_of[element];
	if (to == own || *n == room)
		return;
	if (layer)
		to = im->upper_of[to];
	for (uint32_t i = 0; i < *n; i++)
		if (row[i] == to)
			return;
	row[(*n)++] = to;
}

/* The links of a node on one layer.  Those to deleted elements are replaced by what these
 * link to, as far as there is room. */
static int load_row(const struct import *im, uint32_t node, uint32_t layer, uint32_t *row,
		    struct err *err)
{
	const struct foreign *f = im->f;
	uint32_t links[2 * HNSW_MAX_M], beyond[2 * HNSW_MAX_M], n = 0;
	uint32_t room = layer ? f->m : f->m0, element = im->from[node];
	uint32_t count = f->links(f, element, layer, links);
	for (uint32_t i = 0; i < count; i++) {
		if (check_link(f, element, layer, links[i], err) != 0)
			return -1;
		if (!is_gone(f, links[i]))
			add_link(im, row, &n, room, node, layer, links[i]);
	}
	for (uint32_t i = 0; f->gone && i < count; i++) {
		if (!is_gone(f, links[i]))
			continue;
		uint32_t more = f->links(f, links[i], layer, beyond);
		for (uint32_t j = 0; j < more; j++) {
			if (check_link(f, links[i], layer, beyond[j], err) != 0)
				return -1;
			if (!is_gone(f, beyond[j]))
				add_link(im, row, &n, room, node, layer, beyond[j]);
		}
	}
	return 0;
}

static int load_links(struct import *im, struct err *err)
{
	struct hnsw *h = im->h;
	struct hnsw_head *d = &h->head;
	size_t base_bytes = d->stride0 * sizeof(uint32_t),
	       upper_bytes = d->stride_upper * sizeof(uint32_t);
	uint32_t *base = hnsw_block(h, d->nodes, base_bytes, err);
	uint32_t *upper = hnsw_block(h, d->upper_rows, upper_bytes, err);
	struct hnsw_scratch scratch = {0};
	int ret = -1;
	if (!base || !upper)
		return -1;
	memset(base, 0xff, d->nodes * base_bytes);
	memset(upper, 0xff, d->upper_rows * upper_bytes);
	h->links0 = base;
	h->upper_links = upper;
	for (uint32_t i = 0; i < d->nodes; i++)
		for (uint32_t l = 0; l <= im->f->level[im->from[i]]; l++) {
			uint32_t *row = base + (size_t)i * d->stride0;
			if (l)
				row = upper + ((size_t)h->upper_first[im->upper_of[i]] + l - 1) *
						  d->stride_upper;
			if (load_row(im, i, l, row, err) != 0)
				return -1;
		}
	uint32_t ef = d->ef_construction;
	if (d->ef_construction > REPAIR_EF)
		d->ef_construction = REPAIR_EF;
	if (hnsw_scratch_init(&scratch, h, im->how->kernels, err) == 0 &&
	    hnsw_scratch_reserve(&scratch, REPAIR_EF, err) == 0)
		ret = hnsw_repair(h, base, im->f->gone != NULL, &scratch, err);
	d->ef_construction = ef;
	hnsw_scratch_release(&scratch);
	return ret;
}

/* ---- the whole ---- */

static void fill_head(struct import *im)
{
	const struct foreign *f = im->f;
	struct hnsw_params defaults = HNSW_PARAMS_DEFAULT;
	im->h->head = (struct hnsw_head){
	    .metric = im->metric,
	    .dim = f->dim,
	    .stride = (uint32_t)num_round_up(f->dim, HNSW_ROW_PAD),
	    .m = f->m,
	    .m0 = f->m0,
	    .stride0 = (uint32_t)num_round_up(f->m0, HNSW_ROW_PAD),
	    .stride_upper = (uint32_t)num_round_up(f->m, HNSW_ROW_PAD),
	    .ef_construction = f->ef_construction ? f->ef_construction : defaults.ef_construction,
	    .ef_search = f->ef_search ? f->ef_search : defaults.ef_search,
	    .nodes = im->nodes,
	    .rows = im->nodes,
	};
	hnsw_use_storage(im->h, HNSW_F32);
	im->h->starts = 1;
	if (im->h->head.ef_construction > HNSW_MAX_EF)
		im->h->head.ef_construction = HNSW_MAX_EF;
	if (im->h->head.ef_search > HNSW_MAX_EF)
		im->h->head.ef_search = HNSW_MAX_EF;
}

static int digest_rows(struct import *im, struct err *err)
{
	struct par *par = par_new(1, err);
	int ret = par ? vec_set_digest(&im->rows, par, &im->h->head.vectors_digest, err) : -1;
	par_free(par);
	return ret;
}

struct hnsw *foreign_assemble(const struct foreign *f, const struct hnsw_import *how,
			      struct err *err)
{
	struct import im = {.f = f, .how = how, .rows = VEC_SET_INIT};
	uint32_t *element = NULL, entry;
	int ret = -1;
	if (choose_metric(&im, err) != 0 || check_levels(f, err) != 0)
		return NULL;
	entry = choose_entry(f);
	im.h = mem_zeroed(1, sizeof *im.h, err);
	if (!im.h || number_nodes(&im, entry, err) != 0)
		goto out;
	element = mem_array(im.nodes, sizeof *element, err);
	if (!element || make_rows(&im, element, err) != 0)
		goto out;
	fill_head(&im);
	if (load_vectors(&im, element, err) != 0 || digest_rows(&im, err) != 0 ||
	    hnsw_keep_ids(im.h, &im.rows, err) != 0 || number_uppers(&im, entry, err) != 0 ||
	    load_links(&im, err) != 0)
		goto out;
	im.h->head.graph_digest = hnsw_graph_digest(im.h);
	ret = 0;
out:
	free(element);
	free(im.from);
	free(im.node_of);
	free(im.upper_of);
	vec_set_release(&im.rows);
	if (ret != 0) {
		hnsw_free(im.h);
		return NULL;
	}
	return im.h;
}
