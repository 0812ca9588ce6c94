/* SPDX-License-Identifier: MIT */
/*
 * Going on with an index: its nodes stay what they are, further ones are inserted as in a build.
 * Rows are held as the old index holds its own, whose floats are not copied either.
 */
#include "hnsw/build_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOSS_MAX 8 /* times what rounding to its unit loses, the codes may lose of the new rows */

/* ---- codes ---- */

struct losses {
	const struct hnsw *h;
	double *loss; /* a node: mean square of what its code loses of a component */
	struct loss_worker {
		float *row;
		double squares; /* largest sum of squares of a row */
	} * worker;		/* one a thread */
};

static void measure_losses(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct losses *j = ctx;
	const struct hnsw *h = j->h;
	const struct hnsw_head *d = &h->head;
	struct loss_worker *w = &j->worker[thread];
	for (uint64_t i = begin; i < end; i++) {
		const float *v = hnsw_vector(h, (uint32_t)i, w->row);
		const uint8_t *code = hnsw_code(h, (uint32_t)i);
		double lost = 0, squares = 0, unit = (double)hnsw_code_unit(h, (uint32_t)i);
		for (uint32_t k = 0; k < d->dim; k++) {
			double held = (double)h->centre[k] + unit * (code[k] - 128);
			lost += (v[k] - held) * (v[k] - held);
			squares += (double)v[k] * v[k];
		}
		j->loss[i] = lost / d->dim;
		w->squares = squares > w->squares ? squares : w->squares;
	}
}

/* ERR_DATA, about the first such row, if bytes do not hold all rows as they are. */
static int check_exact(const struct losses *j, struct err *err)
{
	const struct hnsw *h = j->h;
	uint32_t first = HNSW_NONE;
	for (uint32_t i = hnsw_first_node(h); i < h->head.nodes; i++)
		if (j->loss[i] > 0 && h->node_row[i] < first)
			first = h->node_row[i];
	if (first == HNSW_NONE)
		return 0;
	return vec_set_fail(h->set, first - hnsw_first_row(h), err,
			    "the bytes of index '%s' (storage u8) do not hold this vector: build "
			    "an index of all vectors anew",
			    h->older->name ? h->older->name : "old");
}

/*
 * The error bounds how far a search looks beyond the k-th by the codes.  It stays, unless the code
 * of a new row loses more than that of any old one; then it grows in that proportion, or to
 * what is lost of that row, if that is less.  ERR_DATA if too much is lost of the new rows: that is
 * measured by the unit, which no number of small steps moves.
 */
static int set_error(struct hnsw *h, const struct losses *j, struct err *err)
{
	uint32_t first = hnsw_first_node(h);
	if (h->head.flags & HNSW_ROW_UNITS) {
		for (uint32_t i = first; i < h->head.nodes; i++)
			h->head.unit = fmaxf(h->head.unit, hnsw_code_unit(h, i));
		h->head.error = h->head.unit / sqrtf(12);
		return 0;
	}
	double old_most = 0, most = 0, sum = 0, error = (double)h->head.error;
	double rounding = (double)h->head.unit * (double)h->head.unit / 12;
	for (uint32_t i = 0; i < first; i++)
		old_most = fmax(old_most, j->loss[i]);
	for (uint32_t i = first; i < h->head.nodes; i++) {
		most = fmax(most, j->loss[i]);
		sum += j->loss[i];
	}
	if (sum > LOSS_MAX * LOSS_MAX * rounding * (h->head.nodes - first))
		return err_set(
		    err, ERR_DATA,
		    "the new vectors lie far outside of what index '%s' (storage sq8) "
		    "can tell apart: build an index of all vectors anew; one that begins "
		    "with a few rows had better have storage f32",
		    h->older->name ? h->older->name : "old");
	if (most > old_most && sqrt(most) > error)
		h->head.error = (float)fmin(sqrt(most), error * sqrt(most / old_most));
	return 0;
}

static int check_codes(struct hnsw *h, const struct hnsw_build_opts *opts, struct err *err)
{
	size_t threads = (size_t)par_threads(opts->par), stride = h->head.stride;
	struct losses j = {.h = h};
	int ret = -1;
	j.loss = mem_array(h->head.nodes, sizeof *j.loss, err);
	j.worker = mem_zeroed(threads, sizeof *j.worker, err);
	float *rows = mem_array(threads, stride * sizeof *rows, err);
	if (!j.loss || !j.worker || !rows)
		goto out;
	for (size_t t = 0; t < threads; t++)
		j.worker[t].row = rows + t * stride;
	par_run(opts->par, h->head.nodes, 256, measure_losses, &j);
	for (size_t t = 0; t < threads && h->head.metric == VEC_IP; t++)
		h->head.reach = fmaxf(h->head.reach, (float)sqrt(j.worker[t].squares));
	ret = h->head.storage == HNSW_U8 ? check_exact(&j, err) : set_error(h, &j, err);
out:
	free(j.loss);
	free(j.worker);
	free(rows);
	return ret;
}

static int make_codes(struct hnsw *h, struct hnsw_survey *survey, const uint32_t *node_of,
		      const struct hnsw_build_opts *opts, struct err *err)
{
	const struct hnsw_head *d = &h->head;
	const struct hnsw *older = h->older;
	uint8_t *codes = hnsw_block(h, d->nodes, d->code_stride, err);
	uint32_t *norms = hnsw_block(h, d->nodes, sizeof *norms, err);
	if (!codes || !norms)
		return -1;
	memcpy(codes, older->codes, (size_t)older->head.nodes * d->code_stride);
	memcpy(norms, older->norms, older->head.nodes * sizeof *norms);
	h->codes = codes;
	h->norms = norms;
	h->centre = older->centre;
	hnsw_quantise(h, survey, node_of, codes, norms, opts->kernels, opts->par);
	return check_codes(h, opts, err);
}

static int load(struct hnsw *h, const struct hnsw_build_opts *opts, struct err *err)
{
	struct hnsw_survey survey = {0}; /* finds nothing out: the storage is settled */
	uint32_t *node_of = mem_array(h->set->rows, sizeof *node_of, err);
	int ret = -1;
	if (node_of && hnsw_survey_init(&survey, h, HNSW_F32, par_threads(opts->par), err) == 0 &&
	    hnsw_load_rows(h, &survey, node_of, opts->par, err) == 0)
		ret = !hnsw_has_codes(&h->head) ? hnsw_load_vectors(h, node_of, opts->par, err)
						: make_codes(h, &survey, node_of, opts, err);
	hnsw_survey_release(&survey);
	free(node_of);
	return ret;
}

/* ---- links ---- */

static void measure_row(const struct build *b, struct hnsw_scratch *s, const struct hnsw_point *p,
			const struct layer *l, size_t row, bool upper)
{
	uint32_t nodes[2 * HNSW_MAX_M], n = 0;
	const uint32_t *links = l->links + row * l->stride;
	for (; n < l->room && links[n] != HNSW_NONE; n++)
		nodes[n] = upper ? b->h->upper_node[links[n]] : links[n];
	hnsw_distances(b->h, s, p, nodes, n, l->dist + row * l->stride);
}

static void measure_nodes(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct build *b = ctx;
	struct hnsw_scratch *s = &b->scratch[thread];
	struct hnsw_point p;
	for (uint64_t i = begin; i < end; i++) {
		hnsw_point_node(b->h, s, (uint32_t)i, 0, &p);
		measure_row(b, s, &p, &b->base, i, false);
	}
}

static void measure_uppers(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct build *b = ctx;
	const struct hnsw *h = b->h;
	struct hnsw_scratch *s = &b->scratch[thread];
	struct hnsw_point p;
	for (uint64_t u = begin; u < end; u++) {
		hnsw_point_node(h, s, h->upper_node[u], 0, &p);
		for (uint32_t row = h->upper_first[u]; row < h->upper_first[u + 1]; row++)
			measure_row(b, s, &p, &b->upper, row, true);
	}
}

void hnsw_take_links(struct build *b)
{
	const struct hnsw *older = b->h->older;
	const struct hnsw_head *d = &older->head;
	memcpy(b->base.links, older->links0, (size_t)d->nodes * d->stride0 * sizeof *older->links0);
	memcpy(b->upper.links, older->upper_links,
	       (size_t)d->upper_rows * d->stride_upper * sizeof *older->upper_links);
	par_run(b->par, d->nodes, 256, measure_nodes, b);
	par_run(b->par, d->upper, 256, measure_uppers, b);
	b->done = d->nodes;
}

/* ---- ids ---- */

/* The ids of an index, or its row numbers, and then those of a set. */
static int join_ids(struct vec_set *joined, const struct hnsw *h, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	struct buf text = BUF_INIT;
	uint32_t first = hnsw_first_row(h);
	joined->id_end = mem_array(joined->rows, sizeof *joined->id_end, err);
	if (!joined->id_end)
		return -1;
	for (uint32_t i = 0; i < joined->rows; i++) {
		if (i < first)
			buf_addspan(&text, hnsw_id(h->older, i, tmp));
		else if (h->set->id_end)
			buf_addspan(&text, vec_set_id(h->set, i - first, tmp));
		else
			buf_addf(&text, "%u", i);
		joined->id_end[i] = text.len;
	}
	/* An empty text is not NULL. */
	buf_addc(&text, 0);
	joined->id_text = text.data;
	return buf_ok(&text, err);
}

static int keep_ids(struct hnsw *h, struct err *err)
{
	const struct vec_set *set = h->set;
	struct vec_set joined = {.dim = h->head.dim, .rows = h->head.rows};
	static char old[] = "old";
	int ret = -1;
	if (!h->older->id_end && !(set->id_end && set->rows))
		return 0;
	/* The parts are for messages only. */
	joined.part = mem_array(set->parts + 1, sizeof *joined.part, err);
	if (!joined.part)
		return -1;
	joined.part[0] = (struct vec_part){.rows = h->older->head.rows,
					   .name = h->older->name ? h->older->name : old,
					   .borrowed = true};
	for (joined.parts = 1; joined.parts <= set->parts; joined.parts++) {
		struct vec_part *p = &joined.part[joined.parts];
		*p = set->part[joined.parts - 1];
		p->first += h->older->head.rows;
		p->borrowed = true;
	}
	if (join_ids(&joined, h, err) == 0 && vec_set_check_ids(&joined, err) == 0)
		ret = hnsw_keep_ids(h, &joined, err);
	vec_set_release(&joined);
	return ret;
}

/* ---- the whole ---- */

static int check_fit(const struct hnsw *old, const struct vec_set *set,
		     const struct hnsw_build_opts *opts, struct err *err)
{
	if (opts->n_rungs)
		return err_set(err, ERR_USAGE, "rungs are for an index that is built anew");
	if (set->rows && set->dim != old->head.dim)
		return err_set(err, ERR_DATA, "'%s' has dimension %u, expected %u as in index '%s'",
			       set->part[0].name, set->dim, old->head.dim,
			       old->name ? old->name : "old");
	if (set->rows > VEC_MAX_ROWS - old->head.rows)
		return err_set(err, ERR_DATA, "more than %u rows", VEC_MAX_ROWS);
	return hnsw_check(old, err);
}

struct hnsw *hnsw_append(const struct hnsw *old, const struct vec_set *set, uint32_t ef_search,
			 const struct hnsw_build_opts *opts, struct err *err)
{
	if (check_fit(old, set, opts, err) != 0)
		return NULL;
	struct hnsw *h = mem_zeroed(1, sizeof *h, err);
	if (!h)
		return NULL;
	h->head = old->head;
	h->head.ef_search = ef_search;
	h->head.strays = 0;
	h->head.rows += set->rows;
	h->older = old;
	h->set = set;
	if (load(h, opts, err) != 0 || keep_ids(h, err) != 0 || hnsw_link_all(h, opts, err) != 0) {
		hnsw_free(h);
		return NULL;
	}
	return h;
}
