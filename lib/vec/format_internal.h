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
	void *owned; /* freed by the caller; if there is one, ${data} points into it */
	uint64_t first_line; /* that of row 0, the others follow it; 0: rows are no lines */
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

/* Whether a token of a text file is a finite number; padded as a line is. */
bool vec_text_number(struct span token, float *v);

/* Whether a line of a text file may be a header, "rows dimension". */
bool vec_text_header(struct span line, uint64_t *rows, uint64_t *dim);

/* Take the dimension of a row that comes, or compare it with that of the first.  ERR_DATA. */
int vec_check_dim(struct vec_rows *r, uint32_t dim, struct err *err) MUST_CHECK;

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
