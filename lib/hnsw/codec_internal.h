/* SPDX-License-Identifier: MIT */
#ifndef HNSW_CODEC_INTERNAL_H
#define HNSW_CODEC_INTERNAL_H

#include "hnsw/graph_internal.h"

/*
 * How an index holds its vectors, and what it computes distances from: a table of functions for
 * each storage (enum hnsw_storage).  An index has the one of its storage as h->codec, from when its
 * rows are read or its file is opened; nothing else in the engine depends on the storage.
 */

/*
 * What distances are measured from, a node or a query, in the form that the index needs.  With
 * u - 128 a node's code and q the point's, both about the centre, and D = sum((u - 128) * q):
 *
 *	l2	unit_q^2 * norm_q + unit^2 * norm - 2 * unit * unit_q * D
 *	cosine	half of that: for vectors of unit length it is the same as 1 - cos
 *	ip	- unit * unit_q * D, the centre being 0; unit may be the row's own
 */
struct hnsw_point {
	const float *vector; /* padded; NULL for a node of which there are codes */
	const int8_t *code;
	int32_t bias; /* 128 * sum of the code */
	uint32_t norm;
	float unit;
	bool exact; /* nothing was lost by the codes */
};

struct hnsw_survey;

struct hnsw_codec {
	/* Which parts an index has in its file: h->vectors; h->codes, norms and centre. */
	bool vectors, codes;
	enum half half; /* which floats of 16 bits h->vectors has, if any */
	uint32_t flags; /* those of HNSW_ROW_UNITS that a header may have */
	/* The codes may fail to tell near from far: auto chooses them only after a trial. */
	bool lossy;

	/* ---- building ---- */

	/* ERR_DATA if row ${row} of the set, whose largest component is ${most}, cannot be held.
	 * NULL: any can. */
	int (*admit)(const struct hnsw *h, uint32_t row, float most, struct err *err) MUST_CHECK;
	/*
	 * Set what the codes depend on: h->centre, and code_stride, unit, error, reach and flags of
	 * the head.  ERR_USAGE if the rows cannot be held so.  Not called if an older index has
	 * that already.  NULL: nothing depends on the rows.
	 */
	int (*choose)(struct hnsw *h, struct hnsw_survey *s, struct par *par,
		      struct err *err) MUST_CHECK;
	/*
	 * Make h->vectors, or h->codes and h->norms, of the older index, whose are copied, and the
	 * rows of the set.  ${node_of}: the node of each of these, or HNSW_NONE.
	 */
	int (*encode)(struct hnsw *h, struct hnsw_survey *s, const uint32_t *node_of,
		      const struct hnsw_build_opts *opts, struct err *err) MUST_CHECK;
	/* ERR_DATA if too much is lost of the rows that came to those of an older index.  NULL:
	 * nothing is lost. */
	int (*extended)(struct hnsw *h, const struct hnsw_build_opts *opts,
			struct err *err) MUST_CHECK;

	/* ---- searching ---- */

	/* A node as point; what it needs is put together in ${s}->code[i] or wide[i], ${i} 0 or
	 * 1. */
	void (*point_node)(const struct hnsw *h, struct hnsw_scratch *s, uint32_t node, int i,
			   struct hnsw_point *p);
	/* Complete a query as point, p->vector being set, in ${s}->code[0].  NULL: the vector
	 * will do. */
	void (*encode_query)(const struct hnsw *h, struct hnsw_scratch *s, struct hnsw_point *p);
	/* Distances of a point to ${count} nodes, at most 2 HNSW_MAX_M at once, by the codes if
	 * there are any.  One call a node that is expanded. */
	void (*distances)(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
			  const uint32_t *nodes, size_t count, float *out);
	/* How much a distance by codes near ${d} may plausibly exceed the distance itself.  NULL:
	 * points are exact. */
	float (*slack)(const struct hnsw *h, const struct hnsw_point *p, float d);

	/* ---- checking ---- */

	/* What is wrong with the codes of a node, or NULL.  NULL: there are none. */
	const char *(*find_fault)(const struct hnsw *h, uint32_t node);
};

/* By storage. */
extern const struct hnsw_codec *const hnsw_codecs[HNSW_STORAGES];
extern const struct hnsw_codec hnsw_codec_f32, hnsw_codec_f16, hnsw_codec_bf16; /* codec_float.c */
extern const struct hnsw_codec hnsw_codec_u8, hnsw_codec_sq8;			/* codec_byte.c */

/* Hold the vectors so from now on. */
void hnsw_use_storage(struct hnsw *h, enum hnsw_storage storage);

static inline void hnsw_point_node(const struct hnsw *h, struct hnsw_scratch *s, uint32_t node,
				   int i, struct hnsw_point *p)
{
	h->codec->point_node(h, s, node, i, p);
}

/* A query (dim floats) as point, in ${s}->query and ${s}->code[0]. */
void hnsw_point_query(const struct hnsw *h, struct hnsw_scratch *s, const float *query,
		      struct hnsw_point *p);

static inline void hnsw_distances(const struct hnsw *h, struct hnsw_scratch *s,
				  const struct hnsw_point *p, const uint32_t *nodes, size_t count,
				  float *out)
{
	h->codec->distances(h, s, p, nodes, count, out);
}

/* The same by the vectors, as dist_to_rows() has them: what a search ranks by. */
void hnsw_exact_distances(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
			  const uint32_t *nodes, size_t count, float *out);

/* ---- what codes are chosen from (quantise.c) ---- */

/* Gathered while the rows go by; sums are made in a fixed number of parts, so that they do not
 * depend on the threads. */
#define HNSW_SURVEY_BLOCKS 256

struct hnsw_survey {
	const struct hnsw *h;
	bool on; /* there may be codes to choose */
	int threads;
	double *sum;		  /* HNSW_SURVEY_BLOCKS x dim */
	struct hnsw_tally *tally; /* one a thread */
	uint64_t *count;
	float *row;
};

int hnsw_survey_init(struct hnsw_survey *s, const struct hnsw *h, bool on, int threads,
		     struct err *err) MUST_CHECK;
void hnsw_survey_release(struct hnsw_survey *s);

/* Look at a row of block ${block}, which one thread has. */
void hnsw_survey_row(struct hnsw_survey *s, uint64_t block, int thread, const float *v);

/* The codes' way to choose(): 8 bits that lose nothing, and others. */
int hnsw_choose_exact(struct hnsw *h, struct hnsw_survey *s, struct par *par,
		      struct err *err) MUST_CHECK;
int hnsw_choose_rounded(struct hnsw *h, struct hnsw_survey *s, struct par *par,
			struct err *err) MUST_CHECK;

/* Fill codes and norms from the rows of the set. */
void hnsw_quantise(const struct hnsw *h, struct hnsw_survey *s, const uint32_t *node_of,
		   uint8_t *codes, uint32_t *norms, const struct dist_kernels *kernels,
		   struct par *par);

/* ---- whether they will do (trial.c) ---- */

/*
 * Whether the codes tell the nearest of a vector among all rows.  They do not where a few rows lie
 * far out and the unit is too coarse for the others, nor within clusters that are tight compared
 * with what lies between them.
 */
int hnsw_try_codes(const struct hnsw *h, const struct dist_kernels *kernels, struct par *par,
		   bool *tell, struct err *err) MUST_CHECK;

#endif
