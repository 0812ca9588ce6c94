/* SPDX-License-Identifier: MIT */
/*
 * Storages u8 and sq8: codes of 8 bits, from which distances are computed to find the way.  With
 * sq8 what was found is ranked by the vectors, which the file has as floats.
 */
#include "hnsw/codec_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SLACK 4	   /* standard deviations */
#define LOSS_MAX 8 /* times what rounding to its unit loses, the codes may lose of the new rows */

/* ---- codes ---- */

static int encode(struct hnsw *h, struct hnsw_survey *s, const uint32_t *node_of,
		  const struct hnsw_build_opts *opts, struct err *err)
{
	const struct hnsw_head *d = &h->head;
	const struct hnsw *older = h->older;
	uint8_t *codes = hnsw_block(h, d->nodes, d->code_stride, err);
	uint32_t *norms = hnsw_block(h, d->nodes, sizeof *norms, err);
	if (!codes || !norms)
		return -1;
	if (older) {
		memcpy(codes, older->codes, (size_t)older->head.nodes * d->code_stride);
		memcpy(norms, older->norms, older->head.nodes * sizeof *norms);
		h->centre = older->centre;
	}
	h->codes = codes;
	h->norms = norms;
	hnsw_quantise(h, s, node_of, codes, norms, opts->kernels, opts->par);
	return 0;
}

/* ---- what they lose of rows that come later ---- */

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
static int check_exact(struct hnsw *h, const struct losses *j, struct err *err)
{
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

static int check_losses(struct hnsw *h, const struct hnsw_build_opts *opts,
			int (*check)(struct hnsw *h, const struct losses *j, struct err *err),
			struct err *err)
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
	ret = check(h, &j, err);
out:
	free(j.loss);
	free(j.worker);
	free(rows);
	return ret;
}

static int extended_u8(struct hnsw *h, const struct hnsw_build_opts *opts, struct err *err)
{
	return check_losses(h, opts, check_exact, err);
}

static int extended_sq8(struct hnsw *h, const struct hnsw_build_opts *opts, struct err *err)
{
	return check_losses(h, opts, set_error, err);
}

/* ---- points ---- */

static void point_node(const struct hnsw *h, struct hnsw_scratch *s, uint32_t node, int i,
		       struct hnsw_point *p)
{
	*p = (struct hnsw_point){.code = s->code[i], .exact = true};
	p->bias = 128 * s->kernels->code_turn(hnsw_code(h, node), h->head.code_stride, s->code[i]);
	p->unit = hnsw_code_unit(h, node);
	p->norm = h->norms[node]; /* no use, if it is a unit */
}

/* Complete a query whose code was made. */
static void finish_query(const struct hnsw *h, const struct dist_code *made, struct hnsw_point *p)
{
	const struct hnsw_head *d = &h->head;
	memset(made->code + d->dim, 0, d->code_stride - d->dim);
	p->code = made->code;
	p->exact = made->exact;
	p->bias = 128 * made->sum;
	p->norm = made->norm;
}

/* The query's own unit is finer than the index's. */
static void encode_query_sq8(const struct hnsw *h, struct hnsw_scratch *s, struct hnsw_point *p)
{
	struct dist_code made = {.code = s->code[0]};
	float most = s->kernels->code_reach(p->vector, h->centre, h->head.dim);
	p->unit = most > 0 ? fmaxf(most / 127, 1e-30f) : 1;
	s->kernels->code_make(p->vector, h->centre, p->unit, h->head.dim, &made);
	made.exact = false;
	finish_query(h, &made, p);
}

static void encode_query_u8(const struct hnsw *h, struct hnsw_scratch *s, struct hnsw_point *p)
{
	struct dist_code made = {.code = s->code[0]};
	p->unit = h->head.unit;
	s->kernels->code_make(p->vector, h->centre, p->unit, h->head.dim, &made);
	if (made.exact)
		finish_query(h, &made, p);
	else
		encode_query_sq8(h, s, p);
}

/*
 * Rounding to codes moves a component by up to half a unit, evenly distributed: variance
 * unit^2 / 12 (for the index the measured one is used, which also counts what was cut off).
 * Over many components that makes an error of the estimate near to normal.  Inner product:
 * variance |q|^2 v + |x|^2 w, with v and w those of the index and of the query.  Squared distance:
 * 4 d (v + w) about a mean of dim (v + w).
 */
static float slack(const struct hnsw *h, const struct hnsw_point *p, float distance)
{
	const struct hnsw_head *d = &h->head;
	float v = d->error * d->error, w = p->unit * p->unit / 12;
	if (d->metric == VEC_IP)
		return SLACK *
		       sqrtf(p->unit * p->unit * (float)p->norm * v + d->reach * d->reach * w);
	float scale = d->metric == VEC_COSINE ? 0.5f : 1, square = fmaxf(distance, 0) / scale;
	return scale * ((float)d->dim * (v + w) + SLACK * 2 * sqrtf(square * (v + w)));
}

/* ---- distances ---- */

static void distances(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		      const uint32_t *nodes, size_t count, float *out)
{
	const struct hnsw_head *d = &h->head;
	int32_t dot[2 * HNSW_MAX_M];
	struct dist_rows rows = {h->codes, d->code_stride, d->code_stride, HALF_NONE};
	s->kernels->code_rows(p->code, &rows, nodes, count, dot);
	s->distances += count;
	if (d->flags & HNSW_ROW_UNITS) {
		s->kernels->code_products(p->unit, p->bias, dot, h->norms, nodes, count, out);
		return;
	}
	float scale = d->metric == VEC_COSINE ? 0.5f : 1, product = d->unit * p->unit;
	struct dist_terms t = {0, 0, product, p->bias};
	if (d->metric != VEC_IP && p->unit == d->unit) {
		/* Whole numbers: the sum is not negative, and less than 2^32. */
		s->kernels->code_squares(scale * product, p->norm + 2 * (uint32_t)p->bias, dot,
					 h->norms, nodes, count, out);
		return;
	}
	if (d->metric != VEC_IP)
		t = (struct dist_terms){scale * p->unit * p->unit * (float)p->norm,
					scale * d->unit * d->unit, 2 * scale * product, p->bias};
	s->kernels->code_distances(&t, dot, h->norms, nodes, count, out);
}

/* ---- checking ---- */

static const char *find_fault(const struct hnsw *h, uint32_t node)
{
	const uint8_t *code = hnsw_code(h, node);
	uint32_t norm = 0;
	if (h->head.flags & HNSW_ROW_UNITS) {
		float unit = hnsw_code_unit(h, node);
		return unit > 0 && unit <= h->head.unit ? NULL : "a wrong unit of node";
	}
	for (uint32_t k = 0; k < h->head.code_stride; k++)
		norm += (uint32_t)((code[k] - 128) * (code[k] - 128));
	return norm == h->norms[node] ? NULL : "a wrong norm of node";
}

const struct hnsw_codec hnsw_codec_u8 = {
    .codes = true,
    .choose = hnsw_choose_exact,
    .encode = encode,
    .extended = extended_u8,
    .point_node = point_node,
    .encode_query = encode_query_u8,
    .distances = distances,
    .slack = slack,
    .find_fault = find_fault,
};

const struct hnsw_codec hnsw_codec_sq8 = {
    .vectors = true,
    .codes = true,
    .flags = HNSW_ROW_UNITS,
    .lossy = true,
    .choose = hnsw_choose_rounded,
    .encode = encode,
    .extended = extended_sq8,
    .point_node = point_node,
    .encode_query = encode_query_sq8,
    .distances = distances,
    .slack = slack,
    .find_fault = find_fault,
};
