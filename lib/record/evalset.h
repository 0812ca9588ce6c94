/* SPDX-License-Identifier: MIT */
#ifndef RECORD_EVALSET_H
#define RECORD_EVALSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "record/extra.h"
#include "vec/elem.h"

#define EVALSET_MAX_K 1000
#define EVALSET_MAX_QUERIES 10000000

/* Where the queries of an eval set come from; QUERIES_UNKNOWN: its record does not say. */
enum query_source {
	QUERIES_UNKNOWN,
	QUERIES_SAMPLED, /* rows of the data, held out or not */
	QUERIES_GIVEN,	 /* by whoever made it */
	QUERIES_LOGGED,	 /* by users: of a log */
	QUERY_SOURCES
};
extern const char *const query_source_names[QUERY_SOURCES]; /* NULL: unknown */

/* What a record says; what is none of the names is not known. */
enum query_source query_source_parse(struct span name);

struct evalset_query {
	char *id;
	char *text;    /* NULL or "": none; written as "" */
	char *exclude; /* an id that is no answer, or NULL */
	char **truth;  /* ids of the nearest, nearest first; NULL: not computed */
	uint32_t n_truth;
	bool has_vector; /* its row of ${vectors} is set */
	struct extra extra;
};

/* Queries and their exact answers. */
struct evalset {
	char *name, *index_name, *created_at;
	uint32_t k;
	uint64_t n;
	struct evalset_query *query;
	uint32_t dim;	/* 0: no query has a vector */
	float *vectors; /* n x dim */
	uint64_t room;	/* of evalset_add() */
	bool truth_built;
	char vectors_digest[DIGEST_TEXT_MAX]; /* of the vectors that the answers belong to, or "" */
	char ids_digest[DIGEST_TEXT_MAX]; /* of the ids of these, or "" */
	/* of what the answers were computed from, and of them: whether they still hold; or "" */
	char truth_digest[DIGEST_TEXT_MAX];
	bool has_metric;
	enum vec_metric metric;
	enum query_source query_source;
	struct extra extra;
};

/* ERR_DATA: malformed, dimensions that differ, a value that is not finite. */
int evalset_parse(struct evalset *e, struct span text, struct err *err) MUST_CHECK;
void evalset_write(struct buf *out, const struct evalset *e);
void evalset_release(struct evalset *e);

/* Room for ${n} queries without content, of dimension ${dim}. */
int evalset_init(struct evalset *e, uint64_t n, uint32_t dim, struct err *err) MUST_CHECK;

/* One more query without content; e->dim was set before the first.  ERR_DATA: too many. */
struct evalset_query *evalset_add(struct evalset *e, struct err *err) MUST_CHECK;

/* Give query ${i} a vector; answers are then to be computed.  ERR_DATA: another dimension than that
 * of the others. */
int evalset_set_vector(struct evalset *e, uint64_t i, const float *v, uint32_t dim,
		       struct err *err) MUST_CHECK;

/* How many queries have no vector; ${with_text}: but a text. */
uint64_t evalset_without_vector(const struct evalset *e, bool with_text);

/* Forget the answers of a query. */
void evalset_clear_truth(struct evalset_query *q);

/*
 * Make it the eval set of a smaller k, whose answers are the first of each query; the digest is
 * then that of one which was made so.  ERR_DATA: it has answers for fewer than ${k}.
 */
int evalset_limit_k(struct evalset *e, uint32_t k, struct err *err) MUST_CHECK;

/* Digest of k, metric, the queries' vectors, their answers and what they exclude. */
struct digest evalset_digest(const struct evalset *e);

#endif
