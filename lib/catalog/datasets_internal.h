/* SPDX-License-Identifier: MIT */
#ifndef CATALOG_DATASETS_INTERNAL_H
#define CATALOG_DATASETS_INTERNAL_H

#include "catalog/catalog.h"

/*
 * A dataset is a directory of batches, <bucket>/vectors/<dataset>/batch_<20-digit UTC
 * microseconds>[.<batch id>].hvec, never changed once they are there.  An id may come again
 * in a later batch, which then has the newer version of that row.
 */

/* "vectors/<dataset>" is appended. */
int dataset_prefix(struct buf *out, const char *dataset, struct err *err) MUST_CHECK;

/* Where a dataset was found. */
struct dataset_place {
	struct store *store;	    /* NULL: nowhere */
	char *bucket;		    /* its name; NULL: nowhere */
	struct store_names batches; /* in order */
	char *unreachable;	    /* a bucket that could not be looked at, or NULL */
};

/* Look into ${first} (may be NULL), primary, then all other buckets. */
int dataset_find(struct catalog *c, const char *dataset, const char *first,
		 struct dataset_place *place, struct err *err) MUST_CHECK;
void dataset_place_release(struct dataset_place *p);

/* Compare the rows with what is known of the dataset, ${is}: 1; 0: nothing is; -1.  If nothing is,
 * what is known of the rows is to be kept before they are written.  Under the dataset's lock. */
int dataset_check_embedding(const struct dataset_place *p, const struct dataset_append *a,
			    struct embedding *is, struct err *err) MUST_CHECK;
int dataset_keep_embedding(const struct dataset_place *p, const struct dataset_append *a,
			   struct err *err) MUST_CHECK;

/* Local path of a batch. */
int dataset_batch_path(struct store *s, const char *dataset, const char *batch, struct buf *path,
		       struct err *err) MUST_CHECK;

/*
 * The newest version of every row.  If more than ${loose} batches are not in the cache yet,
 * it is made anew.
 */
int dataset_open_batches(struct store *s, const char *dataset, const struct store_names *batches,
			 size_t loose, struct vec_set *out, struct err *err) MUST_CHECK;

#endif
