/* SPDX-License-Identifier: MIT */
#ifndef STORE_BACKEND_INTERNAL_H
#define STORE_BACKEND_INTERNAL_H

#include "base/io.h"
#include "store/store.h"

enum store_put_mode { STORE_PUT_CREATE, STORE_PUT_ALWAYS };

/* What a backend does; each function has the contract of the store_*() of its name. */
struct store_backend {
	int (*get)(struct store *s, const char *key, struct buf *out, struct store_tag *tag,
		   struct err *err);
	int (*put)(struct store *s, const char *key, struct span data, enum store_put_mode mode,
		   struct err *err);
	int (*swap)(struct store *s, const char *key, const struct store_tag *expect,
		    struct span data, struct err *err);
	int (*remove)(struct store *s, const char *key, struct err *err);
	int (*list)(struct store *s, const char *prefix, bool prefixes, struct store_names *out,
		    struct err *err);
	/* ${wait_ms} is a number of milliseconds. */
	struct store_lock *(*lock)(struct store *s, const char *key, bool shared, int wait_ms,
				   struct err *err);
	void (*unlock)(struct store_lock *l);
	int (*lock_inherit)(struct store_lock *l, struct err *err);
	int (*path)(struct store *s, const char *key, struct buf *out, struct err *err);
	int (*cache_path)(struct store *s, const char *key, struct buf *out, struct err *err);
	int (*sync)(struct store *s, const char *prefix, struct err *err);
	/* Open a file to write the blob into, and make it the blob (0, 1 if taken, -1). */
	int (*stage)(struct store *s, const char *key, struct io_file *f, struct err *err);
	int (*publish)(struct store *s, const char *key, struct io_file *f,
		       enum store_put_mode mode, struct err *err);
	void (*close)(struct store *s);
};

/* A backend's own structs begin with these. */
struct store {
	const struct store_backend *backend;
	char *url;
	int patience_ms;
	struct warn_to warn;
};

struct store_lock {
	const struct store_backend *backend;
};

struct store *store_dir_open(const char *path, struct err *err) MUST_CHECK;

int store_key_check(const char *key, struct err *err) MUST_CHECK;

#endif
