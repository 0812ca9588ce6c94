/* SPDX-License-Identifier: MIT */
#ifndef RECORD_TRIAL_LOG_H
#define RECORD_TRIAL_LOG_H

#include "journal/journal.h"
#include "record/trial.h"

/* Where they are: _hnsw_trials/<index>, appended to ${key}. */
int trial_log_key(struct buf *key, const char *index, struct err *err) MUST_CHECK;

/* And where the ids of their batches are remembered, see trial_writer.h. */
int trial_log_ids_key(struct buf *key, const char *index, struct err *err) MUST_CHECK;

/*
 * The Trials of an index: a journal below _hnsw_trials/<index> of its bucket.  ${bucket} is
 * the bucket's store.
 */

typedef int trial_fn(void *ctx, const struct trial *t, struct err *err);

/*
 * Hand every Trial to ${fn}, oldest first, until it returns non-zero; that value is
 * returned, else 0, or -1.  Malformed lines are reported to ${w} with batch and line number
 * and skipped.  ${unique}: each id once (costs 32 bytes a Trial); without it a Trial may come
 * twice if a compaction is under way.
 */
int trial_log_read(struct store *bucket, const char *index, bool unique, trial_fn *fn, void *ctx,
		   const struct warn_to *w, struct err *err) MUST_CHECK;

/* The same for Trials as lines of a descriptor. */
int trial_stream_read(int fd, const char *name, bool unique, trial_fn *fn, void *ctx,
		      const struct warn_to *w, struct err *err) MUST_CHECK;

/* Find one by id.  1: found, its line is in ${line} and ${t} points into it; 0; -1. */
int trial_log_find(struct store *bucket, const char *index, struct span id, struct buf *line,
		   struct trial *t, const struct warn_to *w, struct err *err) MUST_CHECK;

/* Merge the batches of the journal, dropping repeated ids. */
int trial_log_compact(struct store *bucket, const char *index, bool zstd, bool dry_run,
		      struct journal_compaction *out, struct err *err) MUST_CHECK;

#endif
