/* SPDX-License-Identifier: MIT */
#ifndef CATALOG_LAYOUT_H
#define CATALOG_LAYOUT_H

#include "store/store.h"

/*
 * Where everything is that has a name of its own; the journal of Trials is in record/trial_log,
 * the agent's keys are in lib/agent.  A record is kept under the name that it has, so every key
 * is made of a name that was checked.
 */
enum layout {
	LAYOUT_META,	   /* of an index, in primary */
	LAYOUT_PROMOTIONS, /* of an index */
	LAYOUT_EVALSET,
	LAYOUT_DATASET, /* prefix of its batches, and its lock */
	LAYOUT_EMBEDDING, /* where its vectors come from */
	LAYOUT_SERVED,	/* prefix of an index's generations */
	LAYOUT_CURRENT, /* which of these is served */
	LAYOUT_TUNING,	/* lock: building and measuring an index */
	LAYOUT_PLACE,	/* lock, in primary: the bucket that an index lives in */
	LAYOUT_GATE,	/* lock, in primary: who comes next to that */
};

/* The key, in place of what ${key} had.  ERR_DATA if ${name} is no name. */
int layout_key(struct buf *key, enum layout what, const char *name, struct err *err) MUST_CHECK;

/* The names that a bucket has of this kind, in byte order; one whose records are single files. */
int layout_list(struct store *s, enum layout what, struct store_names *out,
		struct err *err) MUST_CHECK;

/*
 * A name that the record under ${key} has as ${member}: ERR_DATA, naming all three, if it is
 * none.  ${kind}: "index", "bucket", ...
 */
int layout_check_name(const char *key, const char *member, const char *kind, const char *name,
		      struct err *err) MUST_CHECK;

/* The same for the name that the record was looked for by. */
int layout_check_own(const char *key, const char *member, const char *expected, const char *name,
		     struct err *err) MUST_CHECK;

#endif
