/* SPDX-License-Identifier: MIT */
#ifndef RECORD_EMBEDDING_H
#define RECORD_EMBEDDING_H

#include <stdbool.h>
#include <stdint.h>

#include "record/extra.h"
#include "vec/elem.h"

/*
 * Where the vectors of a dataset come from, so that no others are mixed with them and queries are
 * embedded alike.  Strings are copies; NULL: not known.
 */
struct embedding {
	char *embedder; /* hash, ollama or openai; with :DIM if the server is asked for so many */
	char *model, *prefix, *url;
	uint64_t dimensions; /* 0: not known */
	bool has_metric;
	enum vec_metric metric;
	struct extra extra;
};

int embedding_parse(struct embedding *e, struct span text, struct err *err) MUST_CHECK;
void embedding_write(struct buf *out, const struct embedding *e);
void embedding_release(struct embedding *e);

/* "'hash', dimension 256"; or the embedder with model and prefix. */
void embedding_describe(struct buf *out, const struct embedding *e);

/*
 * ERR_DATA, naming both, if vectors of ${more} cannot be among those of ${is}.  Vectors of which
 * nothing is known can be among any of their dimension; those of an embedder only among its own.
 * ${what}: "dataset 'x'".
 */
int embedding_check(const struct embedding *is, const struct embedding *more, const char *what,
		    struct err *err) MUST_CHECK;

#endif
