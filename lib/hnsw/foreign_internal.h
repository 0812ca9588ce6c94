/* SPDX-License-Identifier: MIT */
#ifndef HNSW_FOREIGN_INTERNAL_H
#define HNSW_FOREIGN_INTERNAL_H

#include <string.h>

#include "hnsw/graph_internal.h"
#include "hnsw/interchange.h"

/*
 * An index as the other libraries have it: nodes with a vector, a key and links on the
 * layers 0..level.  Readers point into the mapped file; everything that ${links} follows was
 * checked by them, but not where the links lead.
 */
struct foreign {
	const char *name; /* of the file, for messages */
	bool has_metric;  /* the file says it */
	enum vec_metric metric;
	uint32_t dim, m, m0, ef_construction, ef_search;
	uint32_t nodes, entry, max_level;
	uint8_t *level;
	uint64_t *key;	/* NULL: a node's number */
	bool signed_keys; /* they are int64_t */
	uint64_t *gone; /* a bit a node that was deleted; NULL: none */

	/* Copy the links of a node on one of its layers, at most m0 on layer 0 and m above;
	 * returns how many. */
	uint32_t (*links)(const struct foreign *f, uint32_t node, uint32_t layer, uint32_t *out);

	/* Reading: the vectors; and what ${links} needs. */
	enum vec_type type;
	const unsigned char *vectors;
	size_t vector_stride;
	float *widened; /* vectors of a type that we have not */
	const unsigned char *graph;
	uint64_t *at; /* a node: where its links are */

	/* Writing. */
	void (*vector)(const struct foreign *f, uint32_t node, float *out);
	const void *ctx;
};

void foreign_release(struct foreign *f);

/* What is left of a file. */
struct cursor {
	const unsigned char *p;
	size_t left;
};

/* The next ${n} bytes, or NULL if there are fewer. */
static inline const unsigned char *cursor_take(struct cursor *c, uint64_t n)
{
	const unsigned char *p = c->p;
	if (n > c->left)
		return NULL;
	c->p += n;
	c->left -= n;
	return p;
}

static inline bool cursor_get(struct cursor *c, void *out, size_t n)
{
	const unsigned char *p = cursor_take(c, n);
	if (p)
		memcpy(out, p, n);
	return p != NULL;
}

/* A number of links read again. */
static inline uint32_t foreign_links_at_most(const struct foreign *f, uint32_t layer, uint32_t n)
{
	uint32_t room = layer ? f->m : f->m0;
	return n < room ? n : room;
}

/* ERR_DATA "'x.bin' is no index of hnswlib, or is damaged: <what>". */
int foreign_bad(const struct foreign *f, enum hnsw_format format, struct err *err,
		const char *what);

/* The numbers of nodes and links, dimension and beam widths are ones that we can have. */
int foreign_check_head(const struct foreign *f, uint64_t nodes, uint64_t dim, uint64_t m,
		       uint64_t m0, struct err *err) MUST_CHECK;

/* An index of ours with that graph. */
struct hnsw *foreign_assemble(const struct foreign *f, const struct hnsw_import *how,
			      struct err *err) MUST_CHECK;

int foreign_read_hnswlib(struct foreign *f, struct cursor c, struct err *err) MUST_CHECK;
int foreign_read_faiss(struct foreign *f, struct cursor c, struct err *err) MUST_CHECK;
int foreign_read_usearch(struct foreign *f, struct cursor c, struct err *err) MUST_CHECK;

int foreign_write_hnswlib(const struct foreign *f, struct io_sink *out, struct err *err) MUST_CHECK;
int foreign_write_faiss(const struct foreign *f, struct io_sink *out, struct err *err) MUST_CHECK;
int foreign_write_usearch(const struct foreign *f, struct io_sink *out, struct err *err) MUST_CHECK;

/* ${count} vectors, f32, one after the other. */
int foreign_write_vectors(const struct foreign *f, struct io_sink *out, struct err *err) MUST_CHECK;

#endif
