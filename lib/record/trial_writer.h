/* SPDX-License-Identifier: MIT */
#ifndef RECORD_TRIAL_WRITER_H
#define RECORD_TRIAL_WRITER_H

#include "record/idset.h"
#include "record/trial_log.h"

/*
 * Appends Trials to one index's journal so that no id is written twice.
 *
 * Which ids a batch holds is remembered in a local cache, so that one process a Trial need
 * not read the whole journal: a batch is read once by anyone, and only if it can hold an id
 * in question.  The cache may be lost or deleted at any time.  What others append while
 * this one works is looked at once a second.
 */
struct trial_writer {
	struct store *bucket;
	char *index;
	struct buf held; /* lines to be appended, each with its newline */
	size_t count;
	struct idset present;	  /* ids in the batches known */
	struct idset batches;	  /* names of the batches known */
	struct cached_id *cached; /* what the cache said, until its batch is seen to exist */
	size_t n_cached;
	struct buf news;  /* for the cache */
	uint64_t covered; /* batches with a smaller stamp were not looked at */
	uint64_t looked_us;
	uint64_t newest; /* stamp of the batches known */
};

int trial_writer_init(struct trial_writer *w, struct store *bucket, const char *index,
		      struct err *err) MUST_CHECK;
void trial_writer_release(struct trial_writer *w);

/* Go on in that bucket, with what is held, if the index has moved there. */
void trial_writer_follow(struct trial_writer *w, struct store *bucket);

/* Hold a well-formed Trial. */
void trial_writer_hold(struct trial_writer *w, const struct trial *t);

/* Forget what is held. */
void trial_writer_drop(struct trial_writer *w);

/*
 * Append what is held, in order, durable on return, leaving out what is there already.
 * After a failure the writer is of no more use.
 */
int trial_writer_flush(struct trial_writer *w, struct err *err) MUST_CHECK;

#endif
