/* SPDX-License-Identifier: MIT */
#ifndef CATALOG_OPERAND_H
#define CATALOG_OPERAND_H

#include "catalog/catalog.h"
#include "hnsw/hnsw.h"
#include "vec/set.h"

/*
 * What the operands of a command mean: one that has a slash, is "-", or names an existing
 * file is a file; any other is a name in the store, which is opened only then.
 */
struct operands {
	const char *store_url;
	struct warn_to warn;
	struct catalog catalog;
	bool open;
};

/* 1; 0: it is a name; -1: that cannot be known. */
int operand_is_file(const char *operand, struct err *err) MUST_CHECK;

/* The store of these operands, opened at the first call. */
struct catalog *operands_catalog(struct operands *o, struct err *err) MUST_CHECK;
void operands_release(struct operands *o);

/*
 * Vectors: files, or the dataset of a registered index, or a dataset.  ${meta}, if not NULL,
 * is filled if the first operand is a registered index, else empty; release it.
 */
int operand_vectors(struct operands *o, const char *const *operand, size_t count,
		    const struct vec_input *how, struct vec_set *out, struct index_meta *meta,
		    struct err *err) MUST_CHECK;

/* Where the vectors of a registered index or a dataset of that name come from; release it.  1; 0: it
 * is not known; -1. */
int operand_embedding(struct operands *o, const char *name, struct embedding *out,
		      struct err *err) MUST_CHECK;

/* An index: a file, or the served generation of a registered index. */
struct hnsw *operand_index(struct operands *o, const char *operand, enum hnsw_open_mode mode,
			   struct err *err) MUST_CHECK;

/* Whether an operand is a file of build records rather than an index: stdin, a pipe, of which
 * nothing is read yet and which could not be mapped, or a file whose first byte is '{'. */
bool operand_is_records(const char *operand);

/* An eval set: a file, or one in the store; ${index} (may be NULL) is whose it is. */
int operand_evalset(struct operands *o, const char *operand, const char *index, struct evalset *out,
		    struct err *err) MUST_CHECK;

#endif
