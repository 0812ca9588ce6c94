/* SPDX-License-Identifier: MIT */
#ifndef EMBED_EMBEDDER_H
#define EMBED_EMBEDDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* What turns texts into vectors. */
struct embedder {
	uint32_t dim;
};

/* ${spec}: "hash" or "hash:DIM"; ${dim}, if not 0, is the dimension when the spec has none.
 * ERR_USAGE. */
int embedder_init(struct embedder *e, const char *spec, uint32_t dim, struct err *err) MUST_CHECK;

/* One text to e->dim floats. */
int embedder_run(const struct embedder *e, struct span text, float *out,
		 struct err *err) MUST_CHECK;

/* One line of texts: decoded copies. */
struct text_line {
	struct buf id; /* empty: none */
	bool has_id;
	struct buf text;
};

/* {"id":"x","text":"..."}, the id a string or a number or absent; ERR_DATA "column 3: ...". */
int text_line_parse(struct text_line *t, struct span line, struct err *err) MUST_CHECK;
void text_line_release(struct text_line *t);

#endif
