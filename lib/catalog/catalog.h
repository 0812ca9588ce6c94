/* SPDX-License-Identifier: MIT */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "record/evalset.h"
#include "record/meta.h"
#include "record/promotion.h"
#include "record/trial_log.h"
#include "record/verdict.h"
#include "store/store.h"
#include "vec/set.h"

#define CATALOG_NAME_MAX 200

/*
 * What a store holds, by name: indexes, datasets, eval sets, promotions, served
 * generations.  hnsw-store(5) has the layout.
 */
struct catalog {
	struct buckets *buckets;
	struct warn_to warn;
};

/* ERR_ENV if ${must_exist} and there is nothing at that URL. */
int catalog_open(struct catalog *c, const char *url, bool must_exist, struct err *err) MUST_CHECK;
void catalog_close(struct catalog *c);

/* Wait so long for whoever holds a lock, in place of a minute; ${c->warn} is told whom for. */
void catalog_be_patient(struct catalog *c, double seconds);

/* No slash, no leading dot, no control characters, UTF-8, 1..200 bytes; ERR_USAGE "bad index
 * name '...': ...".  ${kind}: "index", "dataset", ... */
int catalog_check_name(const char *kind, const char *name, struct err *err) MUST_CHECK;

/* ---- indexes ---- */

/* 1: registered; 0: not; -1. */
int catalog_index_get(struct catalog *c, const char *index, struct index_meta *m,
		      struct err *err) MUST_CHECK;
int catalog_index_put(struct catalog *c, const struct index_meta *m, struct err *err) MUST_CHECK;

/* Names of the registered indexes, in byte order. */
int catalog_index_list(struct catalog *c, struct store_names *out, struct err *err) MUST_CHECK;

/* The lock that whoever tunes or serves an index holds; see store_lock(). */
struct store_lock *catalog_index_lock(struct catalog *c, const char *index, int wait_ms,
				      struct err *err) MUST_CHECK;

/* The store of the bucket that an index lives in: its IndexMeta's, else primary. */
struct store *catalog_bucket_of(struct catalog *c, const char *index, struct err *err) MUST_CHECK;

struct index_moved {
	char *from; /* the bucket where it was; free() it */
	uint64_t trials, evalsets, generations;
	bool promotion;
};

/*
 * Take an index to another bucket: everything but its dataset is copied, then its IndexMeta is
 * changed.  Does nothing if it lives there.  ERR_NO: it is not registered; ERR_TEMP: it is being
 * tuned; ERR_CONFLICT: the bucket has another index's eval set of the same name.
 */
int catalog_index_move(struct catalog *c, const char *index, const char *bucket, bool dry_run,
		       struct index_moved *out, struct err *err) MUST_CHECK;

/* ---- eval sets ---- */

/* From the bucket of ${index} (may be NULL), else primary.  1: found; 0; -1. */
int catalog_evalset_get(struct catalog *c, const char *name, const char *index, struct evalset *e,
			struct err *err) MUST_CHECK;

/* Into the bucket of the index that it is for, else primary. */
int catalog_evalset_put(struct catalog *c, const struct evalset *e, struct err *err) MUST_CHECK;

/* In place of the one that catalog_evalset_get() of the same ${index} finds. */
int catalog_evalset_replace(struct catalog *c, const struct evalset *e, const char *index,
			    struct err *err) MUST_CHECK;

/* ---- datasets ---- */

/*
 * All rows of a dataset, each in its newest version; it is looked for in ${bucket} (may be
 * NULL) first.  Many batches are kept as one file in a cache, so that they are read once.
 * 1; 0: there is no such dataset; -1.
 */
int catalog_dataset_open(struct catalog *c, const char *dataset, const char *bucket,
			 struct vec_set *out, struct err *err) MUST_CHECK;

struct dataset_append {
	const char *dataset;
	const char *bucket; /* for the first batch; NULL: where the dataset is, else where an
			       index of it is, else primary */
	const char
	    *batch_id; /* names the batch, so that appending it again does nothing; or NULL */
	const struct vec_set *rows;
	bool replace; /* rows may be newer versions of rows that are there */
	bool dry_run;
};

struct dataset_appended {
	char batch[CATALOG_NAME_MAX + 64]; /* name of the batch */
	bool repeated;			   /* it was there already */
	uint64_t rows, total;		   /* in the batch, in the dataset now */
	uint64_t replaced;		   /* of these rows, newer versions of others */
};

/*
 * Append one write-once batch, durable on return.  ERR_DATA: rows without ids, an id that
 * the dataset has, another dimension.  ERR_CONFLICT: it lies in another bucket, or has a batch
 * of that id with other rows.
 */
int catalog_dataset_append(struct catalog *c, const struct dataset_append *a,
			   struct dataset_appended *out, struct err *err) MUST_CHECK;

/* ---- the served index ---- */

/* Which generation is served; free() its name.  1; 0: nothing was activated; -1. */
int catalog_active_get(struct catalog *c, const char *index, char **generation,
		       struct err *err) MUST_CHECK;

/* Path of a generation's index file.  ERR_DATA if it is gone. */
int catalog_active_path(struct catalog *c, const char *index, const char *generation,
			struct buf *path, struct err *err) MUST_CHECK;

/* ---- promotions ---- */

/* 1: there is a promotion file; 0: none, ${p} is empty; -1. */
int catalog_promotion_get(struct catalog *c, const char *index, struct promotion *p,
			  struct store_tag *tag, struct err *err) MUST_CHECK;

/* Names of all indexes that have a promotion file in any bucket, each once. */
int catalog_promotion_list(struct catalog *c, struct store_names *out, struct err *err) MUST_CHECK;

struct promote_request {
	const char *index;
	const struct trial *trial;
	const char *by, *note; /* note may be NULL */
	const char *expect;    /* trial id that must be current ("" : none), or NULL */
	bool if_better;	       /* only if it beats the champion: by ${verdict}, or by ... */
	bool trust_stored;     /* ... the figures of the Trials; these count for the floor too */
	const struct verdict *verdict; /* of a duel with the champion, or NULL */
	bool unattended;	       /* not if its config was rolled back on the same vectors */
	double min_recall; /* only if its recall is proven to be at least this; 0: no floor */
	bool dry_run;
};

/*
 * Promote a Trial.  The file's new state (with ${dry_run}: what it would be) is appended
 * to ${state}.  -1: ERR_NO, a gate was not met (the message says which); ERR_CONFLICT, what
 * is current is not what was expected.
 */
int catalog_promote(struct catalog *c, const struct promote_request *r, struct buf *state,
		    struct err *err) MUST_CHECK;

/* Take the promotion before back.  ERR_NO: nothing is promoted. */
int catalog_rollback(struct catalog *c, const char *index, const char *expect, bool dry_run,
		     struct buf *state, struct err *err) MUST_CHECK;

#endif
