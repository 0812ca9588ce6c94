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

/*
 * Cut a part into the runs of rows that stay: those of which ${left_out}, by their number in the
 * set, is false.  ${first}: number of the next row that stays.  Returns how many runs; at least
 * one, though it may be empty, that has what the part owned.
 */
size_t vec_part_cut(struct vec_part *run, const struct vec_part *p, const bool *left_out,
		    uint64_t *first);

/* Leave out each row whose id comes again after it. */
int vec_set_keep_newest(struct vec_set *s, struct err *err) MUST_CHECK;

#endif
