/* SPDX-License-Identifier: MIT */
#ifndef EVAL_IDMAP_H
#define EVAL_IDMAP_H

#include <stdint.h>

#include "record/evalset.h"
#include "vec/set.h"

#define IDMAP_NONE UINT32_MAX

/* Where the rows of a collection are by id. */
struct id_source {
	uint64_t rows;
	/* The id of a row; ${tmp} has room for a number. */
	struct span (*id)(const void *ctx, uint64_t row, char *tmp);
	const void *ctx;
};

/*
 * Digest of the ids of all rows in their order; of ids that are the numbers of the rows, said or
 * not, it is that of their number.  ${said}: there may be others.
 */
void eval_ids_digest(const struct id_source *source, bool said, char out[static DIGEST_TEXT_MAX]);

/* The ids of an eval set as row numbers; IDMAP_NONE where there is no such row. */
struct eval_rows {
	uint32_t *truth;   /* n x k, padded with IDMAP_NONE */
	uint32_t *exclude; /* n */
};

/* Look up all ids that ${e} names in one pass over the rows. */
int eval_rows_find(struct eval_rows *r, const struct evalset *e, const struct id_source *source,
		   struct err *err) MUST_CHECK;
void eval_rows_release(struct eval_rows *r);

#endif
