/* SPDX-License-Identifier: MIT */
#ifndef VEC_FORMAT_INTERNAL_H
#define VEC_FORMAT_INTERNAL_H

#include "vec/set.h"

/* What a reader finds in one file. */
struct vec_found {
	enum vec_type type;
	uint32_t dim;
	uint64_t rows;
	size_t stride;
	const unsigned char *data;
	void *owned; /* freed by the caller; ${data} points into it, or into the file */
	bool by_line;
	struct buf id_text; /* if id_end is not NULL */
	uint64_t *id_end;
};

/* Binary formats: ${data} is the whole file. */
int vec_read_xvecs(struct vec_found *f, enum vec_type type, struct span data, const char *name,
		   struct err *err) MUST_CHECK;
int vec_read_bin(struct vec_found *f, enum vec_type type, struct span data, const char *name,
		 struct err *err) MUST_CHECK;
int vec_read_npy(struct vec_found *f, struct span data, const char *name,
		 struct err *err) MUST_CHECK;
int vec_read_hvec(struct vec_found *f, struct span data, const char *name,
		  struct err *err) MUST_CHECK;

/* Text formats: read from a descriptor to its end. */
int vec_read_jsonl(struct vec_found *f, int fd, const char *name, struct err *err) MUST_CHECK;
int vec_read_text(struct vec_found *f, bool words, int fd, const char *name,
		  struct err *err) MUST_CHECK;

void vec_rows_found(struct vec_rows *r, struct vec_found *f); /* hand over what was read */

#endif
