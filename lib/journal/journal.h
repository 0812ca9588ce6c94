/* SPDX-License-Identifier: MIT */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "store/store.h"

/*
 * An append-only log of opaque lines on a store.  An append writes a new blob and never
 * touches another, so writers need no lock and cannot damage each other:
 *
 *	<prefix>/batch_<20-digit UTC microseconds>.jsonl
 *	<prefix>/batch_compacted_<20-digit stamp of its newest input>.jsonl[.zst]
 *
 * The order is that of the stamps, then of the lines.  What was compacted stands before the batches
 * that are not newer than it: these are its inputs, if they are still there, whichever of them are.
 */

#define JOURNAL_NAME_MAX 64

/*
 * Append lines, each ending in a newline, as one batch; durable on return.  The stamp is the
 * time now, but at least ${min_stamp}, and the next free one if it is taken.  It should be above
 * those of all batches, however the clock was set: see journal_stamp_after().  ${name} gets the
 * batch's name.  ERR_DATA: there is no stamp left; ERR_ENV: also a clock that is not set.
 */
int journal_append(struct store *s, const char *prefix, struct span lines, uint64_t min_stamp,
		   char name[static JOURNAL_NAME_MAX], struct err *err) MUST_CHECK;

/* Longest line that is read whole. */
#define JOURNAL_LINE_MAX ((size_t)16 << 20)

/* Where a line stands: the batch's name and the line's number in it, from 1. */
struct journal_place {
	const char *batch;
	uint64_t line;
	bool cut; /* only its first JOURNAL_LINE_MAX bytes were kept */
};

/* One line, without its newline.  Non-zero stops the reading; for an error ${err} is set. */
typedef int journal_fn(void *ctx, struct span line, const struct journal_place *where,
		       struct err *err);

/* Whether to read a batch. */
typedef bool journal_want_fn(void *ctx, const char *batch, uint64_t stamp);

/*
 * Hand every line of the batches with a stamp of at least ${since}, and that ${want} (if
 * not NULL) asks for, to ${fn}, oldest first;
 * blank lines are left out.  Takes no lock and misses nothing that was acknowledged before it
 * began: if a compaction comes in between, it starts over, so a line may be handed out more than
 * once; ERR_TEMP if that goes on and on.  Returns what ${fn} stopped it with, else 0; -1 on an error.
 */
int journal_read(struct store *s, const char *prefix, uint64_t since, journal_want_fn *want,
		 journal_fn *fn, void *ctx, struct err *err) MUST_CHECK;

/* The stamp in a batch's name; 0 if it is none. */
uint64_t journal_stamp(const char *batch);

/* The one for a batch that follows; 0, so the time counts, if none can. */
uint64_t journal_stamp_after(uint64_t newest);

/* The stamp of the newest batch, 0 if there is none. */
int journal_newest(struct store *s, const char *prefix, uint64_t *stamp,
		   struct err *err) MUST_CHECK;

struct journal_compaction {
	uint64_t batches; /* merged; 0: there was nothing to do */
	uint64_t lines;
	char into[80]; /* the new batch, or the one that is all there is; empty: no journal */
};

/*
 * Merge all batches into one, copying lines byte by byte, then remove them, newest first,
 * so that what is left of them at any moment is the beginning of the log.  ${keep}, if not
 * NULL, says whether to copy a line (it drops repeated ones).  ${dry_run}: only count.
 * ERR_TEMP: another compaction is under way, and was for ${wait_ms} (or STORE_WAIT); ERR_DATA: a
 * line is longer than JOURNAL_LINE_MAX (nothing is removed then).
 */
typedef bool journal_keep_fn(void *ctx, struct span line);
int journal_compact(struct store *s, const char *prefix, int wait_ms, bool zstd, bool dry_run,
		    journal_keep_fn *keep, void *ctx, struct journal_compaction *out,
		    struct err *err) MUST_CHECK;

#endif
