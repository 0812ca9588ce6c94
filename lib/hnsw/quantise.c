/* SPDX-License-Identifier: MIT */
/* Choosing the unit and the centre of codes of 8 bits, and making them. */
#include "hnsw/codec_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS (1 << 12)	 /* of the histogram by which the range of codes is chosen: */
#define BIN_SHIFT 19	 /* the exponent of a float and the first four bits after its point */
#define CUT_BINS 48	 /* at most three octaves are cut off */
#define SIZED_ROWS 65536 /* rows that enter the histogram, about */

struct hnsw_tally {
	double squares;	 /* largest sum of squares of a row */
	bool beyond[2];	 /* some component is no whole number of -128..127; of 0..255 */
	uint32_t most;	 /* largest distance of a component from its centre: the float's bits */
	uint64_t *count; /* of such distances, by their first bits */
	float *row;
};

/* ---- the first look ---- */

int hnsw_survey_init(struct hnsw_survey *s, const struct hnsw *h, bool on, int threads,
		     struct err *err)
{
	size_t n = (size_t)threads, stride = h->head.stride;
	*s = (struct hnsw_survey){.h = h, .on = on, .threads = threads};
	s->sum = mem_zeroed(HNSW_SURVEY_BLOCKS, h->head.dim * sizeof *s->sum, err);
	s->tally = mem_zeroed(n, sizeof *s->tally, err);
	s->count = mem_zeroed(n, BINS * sizeof *s->count, err);
	s->row = mem_array(n, stride * sizeof *s->row, err);
	if (!s->sum || !s->tally || !s->count || !s->row) {
		hnsw_survey_release(s);
		return -1;
	}
	for (size_t t = 0; t < n; t++) {
		s->tally[t].count = s->count + t * BINS;
		s->tally[t].row = s->row + t * stride;
		/* Codes of inner products are proportional to what they stand for. */
		s->tally[t].beyond[1] = h->head.metric != VEC_L2;
		s->tally[t].beyond[0] = h->head.metric == VEC_COSINE;
	}
	return 0;
}

void hnsw_survey_release(struct hnsw_survey *s)
{
	free(s->sum);
	free(s->tally);
	free(s->count);
	free(s->row);
	*s = (struct hnsw_survey){0};
}

void hnsw_survey_row(struct hnsw_survey *s, uint64_t block, int thread, const float *v)
{
	struct hnsw_tally *t = &s->tally[thread];
	uint32_t dim = s->h->head.dim;
	double *sum = s->sum + block * dim;
	if (!s->on)
		return;
	for (uint32_t k = 0; k < dim; k++)
		sum[k] += (double)v[k];
	if (!t->beyond[0] || !t->beyond[1]) {
		int part = 0, low = 0, high = 0, negative = 0, large = 0;
		for (uint32_t k = 0; k < dim; k++) {
			part |= v[k] + 0x1.8p23f - 0x1.8p23f != v[k];
			low |= v[k] < -128;
			high |= v[k] > 127;
			negative |= v[k] < 0;
			large |= v[k] > 255;
		}
		t->beyond[0] |= part || low || high;
		t->beyond[1] |= part || negative || large;
	}
	if (s->h->head.metric == VEC_IP) {
		double squares = 0;
		for (uint32_t k = 0; k < dim; k++)
			squares += (double)v[k] * v[k];
		t->squares = squares > t->squares ? squares : t->squares;
	}
}

/* ---- the range of codes ---- */

struct range_job {
	struct hnsw_survey *survey;
	const float *centre;
	uint64_t every; /* rows of which one enters the histogram */
};

static void find_range(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct range_job *j = ctx;
	const struct hnsw *h = j->survey->h;
	struct hnsw_tally *t = &j->survey->tally[thread];
	uint32_t dim = h->head.dim, *size = (uint32_t *)(void *)t->row;
	for (uint64_t i = begin; i < end; i++) {
		uint32_t most = 0;
		hnsw_read_row(h, (uint32_t)i, t->row);
		for (uint32_t k = 0; k < dim; k++) {
			float part = fabsf(t->row[k] - j->centre[k]);
			memcpy(&size[k], &part, sizeof part);
			/* Signed: that comparison all vector units have. */
			most = (int32_t)size[k] > (int32_t)most ? size[k] : most;
		}
		t->most = most > t->most ? most : t->most;
		if (i % j->every == 0)
			for (uint32_t k = 0; k < dim; k++)
				t->count[size[k] >> BIN_SHIFT]++;
	}
}

/* The value in the middle of a bin. */
static double bin_value(uint32_t bin)
{
	uint32_t bits = (bin << BIN_SHIFT) + (1u << (BIN_SHIFT - 1));
	float value;
	memcpy(&value, &bits, sizeof value);
	return bin ? (double)value : 0;
}

/*
 * The unit with which the squared error over all components is least: a few large ones are
 * better cut off than let coarsen all others.  ${error}: that error's root mean square.
 */
static float best_unit(const uint64_t count[BINS], float most, float *error)
{
	double best = INFINITY, unit = 1, total = 0;
	uint32_t last = 0;
	for (uint32_t b = 0; b < BINS; b++) {
		total += (double)count[b];
		last = count[b] ? b : last;
	}
	for (uint32_t cut = 0; cut < CUT_BINS && cut <= last; cut++) {
		double at = cut ? bin_value(last - cut) : (double)most, step = at / 127, sum = 0;
		for (uint32_t b = 0; b <= last; b++) {
			double beyond = bin_value(b) - at;
			sum += (double)count[b] * (beyond > 0 ? beyond * beyond : step * step / 12);
		}
		if (step > 0 && sum < best) {
			best = sum;
			unit = step;
		}
	}
	*error = (float)sqrt(best / total);
	return (float)unit;
}

/* The means of all components. */
static void find_means(struct hnsw_survey *s, float *centre)
{
	size_t dim = s->h->head.dim;
	for (size_t k = 0; k < dim; k++) {
		double sum = 0;
		for (size_t b = 0; b < HNSW_SURVEY_BLOCKS; b++)
			sum += s->sum[b * dim + k];
		centre[k] = (float)(sum / (double)s->h->head.rows);
	}
}

/* Set what all codes have, once the threads' tallies are brought together. */
static int begin_codes(struct hnsw *h, struct hnsw_survey *s, struct err *err)
{
	struct hnsw_head *d = &h->head;
	struct hnsw_tally *all = &s->tally[0];
	for (int t = 1; t < s->threads; t++) {
		const struct hnsw_tally *one = &s->tally[t];
		all->beyond[0] |= one->beyond[0];
		all->beyond[1] |= one->beyond[1];
		all->squares = one->squares > all->squares ? one->squares : all->squares;
	}
	d->code_stride = (uint32_t)num_round_up(d->dim, DIST_CODE_PAD);
	d->reach = (float)sqrt(all->squares);
	h->centre = hnsw_block(h, d->stride, sizeof *h->centre, err);
	return h->centre ? 0 : -1;
}

int hnsw_choose_exact(struct hnsw *h, struct hnsw_survey *s, struct par *par, struct err *err)
{
	(void)par;
	if (begin_codes(h, s, err) != 0)
		return -1;
	const struct hnsw_tally *all = &s->tally[0];
	float *centre = (float *)(uintptr_t)h->centre;
	if (all->beyond[0] && all->beyond[1])
		return err_set(err, ERR_USAGE,
			       "storage u8 would lose something: that needs metric l2 and whole "
			       "numbers of 0..255 or -128..127, or metric ip and the latter");
	for (uint32_t k = 0; k < h->head.dim && !all->beyond[1]; k++)
		centre[k] = 128;
	h->head.unit = 1;
	return 0;
}

/* The largest distance of a component from its centre, and a histogram of all, in the tally. */
static float survey_range(struct hnsw_survey *s, const float *centre, struct par *par)
{
	struct hnsw_tally *all = &s->tally[0];
	uint64_t rows = s->h->head.rows;
	struct range_job j = {s, centre, rows / SIZED_ROWS + 1};
	float most;
	par_run(par, rows, 256, find_range, &j);
	for (int t = 1; t < s->threads; t++) {
		const struct hnsw_tally *one = &s->tally[t];
		all->most = one->most > all->most ? one->most : all->most;
		for (uint32_t b = 0; b < BINS; b++)
			all->count[b] += one->count[b];
	}
	memcpy(&most, &all->most, sizeof most);
	return most;
}

int hnsw_choose_rounded(struct hnsw *h, struct hnsw_survey *s, struct par *par, struct err *err)
{
	struct hnsw_head *d = &h->head;
	if (begin_codes(h, s, err) != 0)
		return -1;
	if (d->metric != VEC_IP)
		find_means(s, (float *)(uintptr_t)h->centre);
	float most = survey_range(s, h->centre, par);
	/* The squares of very small or large ones would leave the floats. */
	if (most != 0 && !(most > 1e-15f && most < 1e15f))
		return err_set(err, ERR_USAGE, "storage sq8 cannot hold components as %s as %g",
			       most < 1 ? "small" : "large", (double)most);
	if (d->metric == VEC_IP) {
		/* The largest rows answer most, and no component of theirs may be cut off; the
		 * small ones need a finer unit. */
		d->flags |= HNSW_ROW_UNITS;
		d->unit = most > 0 ? most / 127 : 1;
		d->error = d->unit / sqrtf(12);
	} else {
		d->unit = most > 0 ? best_unit(s->tally[0].count, most, &d->error) : 1;
	}
	return 0;
}

/* ---- codes ---- */

struct quantise_job {
	const struct hnsw *h;
	struct hnsw_survey *survey;
	const uint32_t *node_of;
	uint8_t *codes;
	uint32_t *norms;
	const struct dist_kernels *kernels;
};

static void quantise_rows(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct quantise_job *j = ctx;
	const struct hnsw_head *d = &j->h->head;
	float *v = j->survey->tally[thread].row;
	for (uint64_t i = begin; i < end; i++) {
		uint32_t node = j->node_of[i];
		if (node == HNSW_NONE)
			continue;
		uint8_t *code = j->codes + (size_t)node * d->code_stride;
		struct dist_code made = {.code = (int8_t *)code};
		hnsw_read_row(j->h, hnsw_first_row(j->h) + (uint32_t)i, v);
		float unit = d->unit;
		if (d->flags & HNSW_ROW_UNITS) {
			float most = j->kernels->code_reach(v, j->h->centre, d->dim);
			unit = most > 0 ? fmaxf(most / 127, 1e-30f) : unit;
		}
		j->kernels->code_make(v, j->h->centre, unit, d->dim, &made);
		for (uint32_t k = 0; k < d->dim; k++)
			code[k] ^= 0x80;
		memset(code + d->dim, 128, d->code_stride - d->dim);
		j->norms[node] = made.norm;
		if (d->flags & HNSW_ROW_UNITS)
			memcpy(&j->norms[node], &unit, sizeof unit);
	}
}

void hnsw_quantise(const struct hnsw *h, struct hnsw_survey *s, const uint32_t *node_of,
		   uint8_t *codes, uint32_t *norms, const struct dist_kernels *kernels,
		   struct par *par)
{
	struct quantise_job j = {h, s, node_of, codes, norms, kernels};
	par_run(par, h->set->rows, 256, quantise_rows, &j);
}
