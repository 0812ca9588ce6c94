/* SPDX-License-Identifier: MIT */
/* Choosing how an index holds its vectors, and making 8-bit codes of them. */
#include "hnsw/graph_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const hnsw_storage_names[] = {"f32", "u8", "sq8", "auto", NULL};

#define BINS 4096	 /* of the histogram by which the range of codes is chosen */
#define MEAN_BLOCKS 256	 /* parts in which means are summed, whatever the threads */
#define TRIAL_QUERIES 32 /* of the trial whether codes tell near from far */
#define TRIAL_ROWS 8192
#define TRIAL_NEAR 10
#define TRIAL_BLOCK 64 /* rows at once */
#define TRIAL_SHARE 0.9

struct tally {
	double squares; /* largest sum of squares of a row */
	float most;	/* largest distance of a component from its centre */
	bool lossy;	/* some component is not made of whole units */
	uint64_t count[BINS];
};

struct survey {
	const struct hnsw *h;
	const float *centre;
	double *sum; /* MEAN_BLOCKS x dim */
	struct tally *tally;
	float most;
};

static const float *row_of(const struct survey *s, uint64_t i)
{
	return s->h->vectors + i * s->h->head.stride;
}

static void sum_block(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct survey *s = ctx;
	uint64_t nodes = s->h->head.nodes, dim = s->h->head.dim;
	(void)thread;
	for (uint64_t b = begin; b < end; b++) {
		double *sum = s->sum + b * dim;
		for (uint64_t i = nodes * b / MEAN_BLOCKS; i < nodes * (b + 1) / MEAN_BLOCKS; i++)
			for (uint64_t k = 0; k < dim; k++)
				sum[k] += (double)row_of(s, i)[k];
	}
}

static void find_range(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct survey *s = ctx;
	struct tally *t = &s->tally[thread];
	for (uint64_t i = begin; i < end; i++) {
		const float *v = row_of(s, i);
		double squares = 0;
		for (uint32_t k = 0; k < s->h->head.dim; k++) {
			float size = fabsf(v[k] - s->centre[k]);
			t->most = size > t->most ? size : t->most;
			squares += (double)v[k] * v[k];
		}
		t->squares = squares > t->squares ? squares : t->squares;
	}
}

static void find_losses(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct survey *s = ctx;
	struct tally *t = &s->tally[thread];
	for (uint64_t i = begin; i < end && !t->lossy; i++)
		t->lossy = !hnsw_is_coded(row_of(s, i), s->centre, 1, s->h->head.dim);
}

static void count_sizes(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct survey *s = ctx;
	uint64_t *count = s->tally[thread].count;
	for (uint64_t i = begin; i < end; i++)
		for (uint32_t k = 0; k < s->h->head.dim; k++) {
			float part = fabsf(row_of(s, i)[k] - s->centre[k]) / s->most;
			uint32_t bin = (uint32_t)(part * BINS);
			count[bin < BINS ? bin : BINS - 1]++;
		}
}

/* The means of all components. */
static int find_means(struct survey *s, float *centre, struct par *par, struct err *err)
{
	size_t dim = s->h->head.dim;
	s->sum = mem_zeroed(MEAN_BLOCKS, dim * sizeof *s->sum, err);
	if (!s->sum)
		return -1;
	par_run(par, MEAN_BLOCKS, 1, sum_block, s);
	for (size_t k = 0; k < dim; k++) {
		for (size_t b = 1; b < MEAN_BLOCKS; b++)
			s->sum[k] += s->sum[b * dim + k];
		centre[k] = (float)(s->sum[k] / s->h->head.nodes);
	}
	free(s->sum);
	return 0;
}

/*
 * The unit with which the squared error over all components is least: a few large ones are
 * better cut off than let coarsen all others.  ${error}: that error's root mean square.
 */
static float best_unit(struct survey *s, float *error, struct par *par)
{
	int threads = par_threads(par);
	double best = INFINITY, unit = 1, total = 0;
	par_run(par, s->h->head.nodes, 256, count_sizes, s);
	for (int b = 0; b < BINS; b++) {
		for (int t = 1; t < threads; t++)
			s->tally[0].count[b] += s->tally[t].count[b];
		total += (double)s->tally[0].count[b];
	}
	for (int cut = BINS; cut >= BINS / 8; cut -= BINS / 64) {
		double at = (double)s->most * cut / BINS, step = at / 127, sum = 0;
		for (int b = 0; b < BINS; b++) {
			double beyond = ((double)b + 0.5) * (double)s->most / BINS - at;
			sum += (double)s->tally[0].count[b] *
			       (beyond > 0 ? beyond * beyond : step * step / 12);
		}
		if (sum < best) {
			best = sum;
			unit = step;
		}
	}
	*error = (float)sqrt(best / total);
	return (float)unit;
}

/* Whole numbers of 0..255 or -128..127. */
static bool whole_bytes(struct survey *s, float *centre, struct par *par)
{
	const struct hnsw_head *d = &s->h->head;
	int threads = par_threads(par);
	/* Inner products need codes that are proportional to what they stand for. */
	for (int pass = d->metric == VEC_L2 ? 0 : 1; pass < 2; pass++) {
		bool lossy = false;
		for (uint32_t k = 0; k < d->dim; k++)
			centre[k] = pass ? 0 : 128;
		for (int t = 0; t < threads; t++)
			s->tally[t].lossy = false;
		par_run(par, d->nodes, 256, find_losses, s);
		for (int t = 0; t < threads; t++)
			lossy |= s->tally[t].lossy;
		if (!lossy)
			return true;
	}
	return false;
}

static int choose(struct hnsw *h, struct survey *s, enum hnsw_storage want, float *centre,
		  struct par *par, struct err *err)
{
	struct hnsw_head *d = &h->head;
	int threads = par_threads(par);
	double squares = 0;
	if (want != HNSW_SQ8 && d->metric != VEC_COSINE && whole_bytes(s, centre, par)) {
		d->storage = HNSW_U8;
		d->unit = 1;
	}
	if (want == HNSW_U8 && d->storage != HNSW_U8)
		return err_set(err, ERR_USAGE,
			       "storage u8 would lose something: that needs metric l2 and whole "
			       "numbers of 0..255 or -128..127, or metric ip and the latter");
	memset(centre + d->dim, 0, (d->stride - d->dim) * sizeof *centre);
	if (d->storage != HNSW_U8) {
		memset(centre, 0, d->dim * sizeof *centre);
		if (d->metric != VEC_IP && find_means(s, centre, par, err) != 0)
			return -1;
	}
	par_run(par, d->nodes, 256, find_range, s);
	for (int t = 0; t < threads; t++) {
		s->most = s->tally[t].most > s->most ? s->tally[t].most : s->most;
		squares = s->tally[t].squares > squares ? s->tally[t].squares : squares;
	}
	d->reach = (float)sqrt(squares);
	if (d->storage == HNSW_U8)
		return 0;
	/* The squares of very small or large ones would leave the floats. */
	if (s->most == 0 || (s->most > 1e-15f && s->most < 1e15f)) {
		d->storage = HNSW_SQ8;
		d->unit = s->most > 0 ? best_unit(s, &d->error, par) : 1;
		return 0;
	}
	d->reach = 0;
	if (want == HNSW_SQ8)
		return err_set(err, ERR_USAGE, "storage sq8 cannot hold components as %s as %g",
			       s->most < 1 ? "small" : "large", (double)s->most);
	return 0;
}

int hnsw_choose_storage(struct hnsw *h, enum hnsw_storage want, float *centre, struct par *par,
			struct err *err)
{
	struct survey s = {.h = h, .centre = centre};
	h->head.storage = HNSW_F32;
	if (want == HNSW_F32)
		return 0;
	s.tally = mem_zeroed((size_t)par_threads(par), sizeof *s.tally, err);
	if (!s.tally)
		return -1;
	int ret = choose(h, &s, want, centre, par, err);
	if (h->head.storage != HNSW_F32)
		h->head.code_stride = (uint32_t)num_round_up(h->head.dim, DIST_CODE_PAD);
	free(s.tally);
	return ret;
}

struct quantise_job {
	const struct hnsw *h;
	uint8_t *codes;
	uint32_t *norms;
};

static void quantise_rows(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct quantise_job *j = ctx;
	const struct hnsw_head *d = &j->h->head;
	(void)thread;
	for (uint64_t i = begin; i < end; i++) {
		const float *v = j->h->vectors + i * d->stride;
		uint8_t *code = j->codes + i * d->code_stride;
		uint32_t norm = 0;
		for (uint32_t k = 0; k < d->dim; k++) {
			int32_t c = hnsw_code_of((v[k] - j->h->centre[k]) / d->unit);
			code[k] = (uint8_t)(c + 128);
			norm += (uint32_t)(c * c);
		}
		memset(code + d->dim, 128, d->code_stride - d->dim);
		j->norms[i] = norm;
	}
}

void hnsw_quantise(const struct hnsw *h, uint8_t *codes, uint32_t *norms, struct par *par)
{
	struct quantise_job j = {h, codes, norms};
	par_run(par, h->head.nodes, 256, quantise_rows, &j);
}

bool hnsw_codes_tell(const struct hnsw *h, struct hnsw_scratch *s)
{
	const struct hnsw_head *d = &h->head;
	uint32_t rows = d->nodes < TRIAL_ROWS ? d->nodes : TRIAL_ROWS, found = 0, wanted = 0;
	uint32_t queries = rows < TRIAL_QUERIES ? rows : TRIAL_QUERIES;
	for (uint32_t q = 0; q < queries; q++) {
		uint64_t near_key[TRIAL_NEAR], far_key[2 * TRIAL_NEAR];
		struct topk near = {near_key, 0, TRIAL_NEAR}, guess = {far_key, 0, 2 * TRIAL_NEAR};
		struct hnsw_point p;
		uint32_t self = (uint32_t)((uint64_t)rows * q / queries);
		hnsw_point_query(h, s, h->vectors + (size_t)self * d->stride, &p);
		for (uint32_t i = 0; i < rows;) {
			uint32_t nodes[TRIAL_BLOCK], n = 0;
			float exact[TRIAL_BLOCK], estimate[TRIAL_BLOCK];
			while (n < TRIAL_BLOCK && i < rows)
				nodes[n++] = i++;
			hnsw_exact_distances(h, s, &p, nodes, n, exact);
			hnsw_distances(h, s, &p, nodes, n, estimate);
			for (uint32_t j = 0; j < n; j++) {
				topk_add(&near, topk_key(exact[j], nodes[j]));
				topk_add(&guess, topk_key(estimate[j], nodes[j]));
			}
		}
		for (size_t i = 0; i < near.count; i++)
			for (size_t j = 0; j < guess.count; j++)
				found += topk_number(near_key[i]) == topk_number(far_key[j]);
		wanted += (uint32_t)near.count;
	}
	return found >= TRIAL_SHARE * wanted;
}
