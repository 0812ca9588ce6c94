/* SPDX-License-Identifier: MIT */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "base/name.h"
#include "record/embedding.h"
#include "record/evalset.h"
#include "record/meta.h"
#include "record/promotion.h"
#include "record/trial_log.h"
#include "record/verdict.h"
#include "store/store.h"
#include "tune/goal.h"
#include "vec/set.h"

#define CATALOG_NAME_MAX NAME_BYTES_MAX

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

/* 1: registered; 0: not, ${m} is empty; -1. */
int catalog_index_get(struct catalog *c, const char *index, struct index_meta *m,
		      struct err *err) MUST_CHECK;

/*
 * The goal that holds for an index, of which ${m} is what is registered: what ${g} says (options),
 * else what the index's own goal says; tune_goal_complete() adds what is usual.  1; 0: neither says
 * anything, so there is no goal; -1.
 */
int catalog_index_goal(const struct index_meta *m, struct tune_goal *g, struct err *err) MUST_CHECK;

/* Names of the registered indexes, in byte order. */
int catalog_index_list(struct catalog *c, struct store_names *out, struct err *err) MUST_CHECK;

/*
 * Change what is registered of an index: ${change} is given its record (empty if it is not
 * ${registered}), and again if somebody else changed it meanwhile.  ${dry_run}: nothing is
 * written.  ${out} gets the result; release it.
 */
typedef int catalog_change_fn(void *ctx, struct index_meta *m, bool registered, struct err *err);
int catalog_index_change(struct catalog *c, const char *index, bool dry_run,
			 catalog_change_fn *change, void *ctx, struct index_meta *out,
			 struct err *err) MUST_CHECK;

/* The same for a change of the bucket: whoever writes for the index goes on in the new one. */
int catalog_index_change_bucket(struct catalog *c, const char *index, bool dry_run,
				catalog_change_fn *change, void *ctx, struct index_meta *out,
				struct err *err) MUST_CHECK;

/*
 * An index, and the bucket that it lives in: that of its IndexMeta, else primary.  It may move at
 * any time, unless it is held.
 */
struct catalog_index {
	char *name;
	bool registered;
	struct index_meta meta; /* empty if it is not registered */
	struct store *bucket;
	struct store_lock *place; /* NULL if it is not held */
};

int catalog_index_open(struct catalog *c, const char *name, struct catalog_index *x,
		       struct err *err) MUST_CHECK;

/*
 * The same for whoever writes for it, until it is acknowledged: nobody takes the index to another
 * bucket before it is released.  Not for long work.  ERR_TEMP: it is being moved.
 */
int catalog_index_hold(struct catalog *c, const char *name, struct catalog_index *x,
		       struct err *err) MUST_CHECK;
void catalog_index_release(struct catalog_index *x);

/* Make durable what is registered of all indexes, as catalog_index_hold() does: whoever wrote it
 * may not have come to the end of it. */
int catalog_index_sync(struct catalog *c, struct err *err) MUST_CHECK;

/*
 * The lock that whoever tunes, serves or moves an index holds, in the bucket that it lives in as
 * long as that is held; see store_lock().
 */
struct store_lock *catalog_index_lock(struct catalog *c, const char *index, int wait_ms,
				      struct err *err) MUST_CHECK;

/*
 * Append the name of that lock as hnsw-store lock takes it, "primary/_hnsw_tuning/docs".  Whoever
 * holds it and runs programs of ours hands it to them as HNSW_TUNING; after the index was moved it
 * is that of another.
 */
int catalog_index_lock_name(struct catalog *c, const char *index, struct buf *out,
			    struct err *err) MUST_CHECK;

struct index_moved {
	char *from; /* the bucket where it was; free() it */
	uint64_t trials, evalsets, generations;
	bool promotion;
};

/*
 * Take an index to another bucket: everything but its dataset is copied, then its IndexMeta is
 * changed.  Does nothing if it lives there.  ERR_NO: it is not registered; ERR_TEMP: it is being
 * tuned, or written for without a pause; ERR_CONFLICT: the bucket has another index's eval set of
 * the same name, or somebody else gave the index another bucket.
 */
int catalog_index_move(struct catalog *c, const char *index, const char *bucket, bool dry_run,
		       struct index_moved *out, struct err *err) MUST_CHECK;

/* ---- eval sets ---- */

/* From the bucket of ${x} (may be NULL), else primary.  1: found; 0; -1. */
int catalog_evalset_get(struct catalog *c, const char *name, const struct catalog_index *x,
			struct evalset *e, struct err *err) MUST_CHECK;

/* ERR_DATA, naming ${file}, if the index that it is for has no name that one can have. */
int catalog_evalset_check(const char *file, const struct evalset *e, struct err *err) MUST_CHECK;

/* Into the bucket of the index that it is for, else primary. */
int catalog_evalset_put(struct catalog *c, const struct evalset *e, struct err *err) MUST_CHECK;

/* In place of the one that catalog_evalset_get() of that ${index} (may be NULL) finds. */
int catalog_evalset_replace(struct catalog *c, const struct evalset *e, const char *index,
			    struct err *err) MUST_CHECK;

/* Make durable that the eval set that catalog_evalset_get() of the same ${index} finds is there. */
int catalog_evalset_sync(struct catalog *c, const char *index, struct err *err) MUST_CHECK;

/* ---- datasets ---- */

/*
 * All rows of a dataset, each in its newest version; it is looked for in ${bucket} (may be
 * NULL) first.  Many batches are kept as one file in a cache, so that they are read once.
 * 1; 0: there is no such dataset; -1.
 */
int catalog_dataset_open(struct catalog *c, const char *dataset, const char *bucket,
			 struct vec_set *out, struct err *err) MUST_CHECK;

/* The stamp of a batch, by its name, which all that come later exceed. */
uint64_t catalog_batch_stamp(const char *batch);

/* How many rows the batches from that stamp on have, new versions of rows included. */
int catalog_dataset_rows_since(struct catalog *c, const char *dataset, uint64_t stamp,
			       uint64_t *rows, struct err *err) MUST_CHECK;

struct dataset_append {
	const char *dataset;
	const char *bucket; /* for the first batch; NULL: where the dataset is, else where an
			       index of it is, else primary */
	const char
	    *batch_id; /* names the batch, so that appending it again does nothing; or NULL */
	const struct vec_set *rows;
	const struct embedding *from; /* what is known of where they come from, or NULL */
	bool replace; /* rows may be newer versions of rows that are there */
	bool dry_run;
};

struct dataset_appended {
	char batch[CATALOG_NAME_MAX + 64]; /* name of the batch */
	bool repeated;			   /* it was there already */
	uint64_t rows, total;		   /* in the batch, in the dataset now */
	uint64_t replaced;		   /* of these rows, newer versions of others */
	struct embedding taken_for; /* what they are taken for, of which nothing was said, as the
				       dataset is that; release it */
};

/* Where the vectors of a dataset come from; release it.  1; 0: it is not known; -1. */
int catalog_embedding_get(struct catalog *c, const char *dataset, const char *bucket,
			  struct embedding *out, struct err *err) MUST_CHECK;

/*
 * Append one write-once batch, durable on return.  The first one settles where the vectors of the
 * dataset come from.  ERR_DATA: rows without ids, an id that the dataset has, another dimension,
 * vectors of another embedder, model, prefix or metric.  ERR_CONFLICT: it lies in another bucket, or has a batch
 * of that id with other rows.
 */
int catalog_dataset_append(struct catalog *c, const struct dataset_append *a,
			   struct dataset_appended *out, struct err *err) MUST_CHECK;

/* ---- the served index ---- */

/* Which generation is served; free() its name.  1; 0: nothing was activated; -1. */
int catalog_active_get(const struct catalog_index *x, char **generation,
		       struct err *err) MUST_CHECK;

/* Path of a generation's index file.  ERR_DATA if it is gone. */
int catalog_active_path(const struct catalog_index *x, const char *generation, struct buf *path,
			struct err *err) MUST_CHECK;

/* ---- promotions ---- */

/* 1: there is a promotion file; 0: none, ${p} is empty; -1. */
int catalog_promotion_get(const struct catalog_index *x, struct promotion *p,
			  struct store_tag *tag, struct err *err) MUST_CHECK;

/* Names of all indexes that have a promotion file in any bucket, each once. */
int catalog_promotion_list(struct catalog *c, struct store_names *out, struct err *err) MUST_CHECK;

/* ERR_NO, and how to let it go, if what is promoted is pinned against who promotes unattended, by a goal
 * or without one. */
int catalog_promotion_unpinned(const struct promotion *p, bool by_goal, struct err *err) MUST_CHECK;

struct promote_request {
	const struct trial *trial;
	const char *by, *note; /* note may be NULL */
	const char *expect;    /* trial id that must be current ("" : none), or NULL */
	bool if_better;	       /* only if it beats the champion: by ${verdict}, or by ... */
	bool trust_stored;     /* ... the figures of the Trials; these count for the floor too */
	const struct verdict *verdict; /* of a duel with the champion, or NULL */
	/* Not if its config was rolled back on the same vectors, nor in place of what is pinned. */
	bool unattended;
	/*
	 * What options say of a goal; NULL: nothing.  With the index's own it is the goal that the
	 * Trial must meet, if this or ${unattended} or ${if_better} is set, and that the verdict
	 * must be by; it beats the champion then if that does not meet it, or costs more.
	 */
	const struct tune_goal *goal;
	enum promotion_pin pin; /* what becomes of it; if it is current already and pinned now, no
				 * more than that */
	/*
	 * Only if its recall is proven to be at least this; 0: no floor.  Where nothing is promoted,
	 * nothing can become worse: then the mean is enough unless ${prove}, with a warning, and the
	 * entry says so.
	 */
	double min_recall;
	bool prove;
	bool dry_run;
};

/*
 * Promote a Trial of ${x}, which is held unless ${dry_run}.  The file's new state (with
 * ${dry_run}: what it would be) is appended to ${state}.  -1: ERR_NO, a gate was not met (the message says which); ERR_CONFLICT, what
 * is current is not what was expected.
 */
int catalog_promote(struct catalog *c, const struct catalog_index *x,
		    const struct promote_request *r, struct buf *state,
		    struct err *err) MUST_CHECK;

/* Let go of what is pinned, see promotion_set_pin().  ERR_NO: nothing is promoted. */
int catalog_unpin(const struct catalog_index *x, const char *expect, bool dry_run,
		  struct buf *state, struct err *err) MUST_CHECK;

/* Take the promotion before back.  ERR_NO: nothing is promoted. */
int catalog_rollback(struct catalog *c, const char *index, const char *expect, bool dry_run,
		     struct buf *state, struct err *err) MUST_CHECK;

#endif
