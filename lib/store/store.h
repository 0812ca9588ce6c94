/* SPDX-License-Identifier: MIT */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define STORE_KEY_MAX 1024
#define STORE_BLOB_MAX ((size_t)4 << 30) /* largest blob that is read into memory */

/*
 * Named blobs.  A key is a path of parts with '/' between; no part is empty or begins
 * with a dot.  A blob is seen whole or not at all, and a put is durable when it
 * returns.  Backends: a directory (keys are files below it).
 *
 * Every function sets ERR_ENV for I/O failures and ERR_TEMP for what may pass.
 */
struct store;

/* Names the content that a blob had when it was read. */
struct store_tag {
	char text[72];
};

/* ${url}: a directory, which need not exist yet.  ERR_USAGE: a scheme that is not known. */
struct store *store_open(const char *url, struct err *err) MUST_CHECK;
void store_close(struct store *s);
const char *store_url(const struct store *s);

/*
 * How long STORE_WAIT is, in store_lock() and store_swap(): at first STORE_PATIENCE_MS.  ${w} is
 * told whom a lock is waited for, after a second of it.
 */
#define STORE_PATIENCE_MS 60000
#define STORE_WAIT (-1)
void store_be_patient(struct store *s, int wait_ms, const struct warn_to *w);

/* Append the blob to ${out}; ${tag} may be NULL.  1: there; 0: no such blob; -1. */
int store_get(struct store *s, const char *key, struct buf *out, struct store_tag *tag,
	      struct err *err) MUST_CHECK;

/* Create; never overwrites.  0: done; 1: the key is taken; -1. */
int store_create(struct store *s, const char *key, struct span data, struct err *err) MUST_CHECK;

/* Write whatever was there. */
int store_put(struct store *s, const char *key, struct span data, struct err *err) MUST_CHECK;

/*
 * Compare and swap: write only if the blob still is what ${expect} was read from (NULL: if
 * there is none).  0: done; 1: it is something else by now; -1: also ERR_TEMP as from
 * store_lock(), since it holds the key's lock meanwhile.
 */
int store_swap(struct store *s, const char *key, const struct store_tag *expect, struct span data,
	       struct err *err) MUST_CHECK;

/*
 * Remove; a key that is not there is no failure.  Not durable, for it is not waited for: after a
 * power failure the key may be there again.
 */
int store_delete(struct store *s, const char *key, struct err *err) MUST_CHECK;

/* Names below a prefix, in byte order. */
struct store_names {
	char **name;
	size_t count, cap;
};

/*
 * The first parts of all keys that begin with ${prefix} followed by '/' ("" lists the
 * whole store): blobs, or prefixes of further keys if ${prefixes}.  None: an empty list.
 */
int store_list(struct store *s, const char *prefix, bool prefixes, struct store_names *out,
	       struct err *err) MUST_CHECK;
int store_names_add(struct store_names *n, const char *name, struct err *err) MUST_CHECK;
void store_names_sort(struct store_names *n);
void store_names_sort_unique(struct store_names *n); /* and leave out what comes again */
/* Keep those that ${good} holds for, given ${ctx}; it may shorten them. */
void store_names_keep(struct store_names *n, bool (*good)(void *ctx, char *name), void *ctx);
void store_names_release(struct store_names *n);

/*
 * Hold the lock of that key, which need not be a blob, until store_unlock() or the end of the
 * process.  Waits at most ${wait_ms}, or STORE_WAIT.  NULL: ERR_TEMP if someone else holds it.
 */
struct store_lock;
struct store_lock *store_lock(struct store *s, const char *key, int wait_ms,
			      struct err *err) MUST_CHECK;

/* The same, shared with others who ask for it so; only store_lock() excludes them. */
struct store_lock *store_lock_shared(struct store *s, const char *key, int wait_ms,
				     struct err *err) MUST_CHECK;
void store_unlock(struct store_lock *l);

/* Let a program that this process executes hold the lock on, until it and its children end. */
int store_lock_inherit(struct store_lock *l, struct err *err) MUST_CHECK;

/*
 * A local file that holds the blob, to be mapped; ${out} gets its path.  1: there; 0: no
 * such blob; -1.
 */
int store_path(struct store *s, const char *key, struct buf *out, struct err *err) MUST_CHECK;

/*
 * A local file where something that can be made again from the blobs may be kept; ${out} gets its
 * path, whose directory exists.  Nobody else's keys meet it.
 */
int store_cache_path(struct store *s, const char *key, struct buf *out, struct err *err) MUST_CHECK;

/*
 * Make durable which blobs and prefixes are seen at a prefix, and above it, though someone else is
 * still writing them, or died before they were.  Whoever acknowledges what was there already, or
 * writes where a blob says, needs it.  Nothing there: nothing to do.
 */
int store_sync(struct store *s, const char *prefix, struct err *err) MUST_CHECK;

/* ---- blobs too large for memory; keys that end in ".zst" are compressed on the way ---- */

/*
 * Read a blob in pieces: ${piece} is called with each, and stops it by returning non-zero
 * (its error is then in ${err}).  1: read to the end; 0: no such blob; -1.
 */
typedef int store_piece_fn(void *ctx, struct span piece, struct err *err);
int store_read(struct store *s, const char *key, store_piece_fn *piece, void *ctx,
	       struct err *err) MUST_CHECK;

/* A blob being written.  Nothing is seen of it before store_stage_commit(). */
struct store_stage;
struct store_stage *store_stage_open(struct store *s, const char *key, struct err *err) MUST_CHECK;
int store_stage_add(struct store_stage *st, struct span data, struct err *err) MUST_CHECK;

/* To write the plain bytes by other means than store_stage_add(). */
int store_stage_fd(const struct store_stage *st);

/* 0: done; 1: the key is taken and not to be replaced (then another may be tried); -1. */
int store_stage_commit(struct store_stage *st, const char *key, bool replace,
		       struct err *err) MUST_CHECK;
void store_stage_free(struct store_stage *st);

/* ---- buckets: the parts of a store ---- */

/*
 * A store's root and the stores of its buckets.  A bucket is the directory of that
 * name, unless buckets.json at the root maps it to another URL; there, a relative path is
 * relative to the root.
 */
struct buckets;

/* ${url}: of the root.  Reads buckets.json; ERR_DATA if it is malformed. */
struct buckets *buckets_open(const char *url, struct err *err) MUST_CHECK;
void buckets_close(struct buckets *b);
const char *buckets_url(const struct buckets *b);

/* store_be_patient() for every store of these. */
void buckets_be_patient(struct buckets *b, int wait_ms, const struct warn_to *w);

/* False if there is nothing at the root yet. */
bool buckets_exist(const struct buckets *b);

/* The store of a bucket; belongs to ${b}.  The bucket need not exist yet. */
struct store *buckets_get(struct buckets *b, const char *name, struct err *err) MUST_CHECK;

/* How a bucket is at this moment. */
struct bucket_state {
	struct buf url;
	bool reachable; /* else ${why} tells why not */
	bool empty;	/* nothing is in it, or it is not there yet */
	struct err why;
};

/* buf_release() its url. */
int buckets_probe(struct buckets *b, const char *name, struct bucket_state *out,
		  struct err *err) MUST_CHECK;

/* Names of all buckets, "primary" always among them, in byte order. */
int buckets_list(struct buckets *b, struct store_names *out, struct err *err) MUST_CHECK;

#endif
