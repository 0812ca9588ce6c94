/* SPDX-License-Identifier: MIT */
/* Named blobs, whatever the backend: keys are checked here, and lists of names made. */
#include "store/backend_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct store *store_open(const char *url, struct err *err)
{
	const char *scheme = strstr(url, "://");
	if (scheme) {
		err_set(
		    err, ERR_USAGE,
		    "cannot open store '%s': no support for '%.*s' stores, expected a directory",
		    url, (int)(scheme - url), url);
		return NULL;
	}
	if (!url[0]) {
		err_set(err, ERR_USAGE, "the store's name is empty");
		return NULL;
	}
	return store_dir_open(url, err);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	free(s->url);
	s->backend->close(s);
}

const char *store_url(const struct store *s)
{
	return s->url;
}

void store_be_patient(struct store *s, int wait_ms, const struct warn_to *w)
{
	s->patience_ms = wait_ms;
	s->warn = *w;
}

/* Parts that are not empty and do not begin with a dot. */
int store_key_check(const char *key, struct err *err)
{
	size_t len = strlen(key);
	bool start = true;
	if (len == 0 || len > STORE_KEY_MAX || key[len - 1] == '/')
		return err_set(err, ERR_USAGE, "bad key '%s'", key);
	for (const char *p = key; *p; p++) {
		if (start && (*p == '/' || *p == '.'))
			return err_set(err, ERR_USAGE, "bad key '%s'", key);
		start = *p == '/';
	}
	return 0;
}

int store_get(struct store *s, const char *key, struct buf *out, struct store_tag *tag,
	      struct err *err)
{
	return store_key_check(key, err) ? -1 : s->backend->get(s, key, out, tag, err);
}

int store_create(struct store *s, const char *key, struct span data, struct err *err)
{
	return store_key_check(key, err) ? -1
					 : s->backend->put(s, key, data, STORE_PUT_CREATE, err);
}

int store_put(struct store *s, const char *key, struct span data, struct err *err)
{
	return store_key_check(key, err) ? -1
					 : s->backend->put(s, key, data, STORE_PUT_ALWAYS, err);
}

int store_swap(struct store *s, const char *key, const struct store_tag *expect, struct span data,
	       struct err *err)
{
	return store_key_check(key, err) ? -1 : s->backend->swap(s, key, expect, data, err);
}

int store_delete(struct store *s, const char *key, struct err *err)
{
	return store_key_check(key, err) ? -1 : s->backend->remove(s, key, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_list(struct store *s, const char *prefix, bool prefixes, struct store_names *out,
	       struct err *err)
{
	*out = (struct store_names){0};
	if (prefix[0] && store_key_check(prefix, err) != 0)
		return -1;
	if (s->backend->list(s, prefix, prefixes, out, err) != 0) {
		store_names_release(out);
		return -1;
	}
	store_names_sort(out);
	return 0;
}

void store_names_sort(struct store_names *n)
{
	if (n->count)
		qsort(n->name, n->count, sizeof *n->name, by_name);
}

int store_names_add(struct store_names *n, const char *name, struct err *err)
{
	if (n->count == n->cap) {
		size_t cap = n->cap ? 2 * n->cap : 64;
		char **grown = mem_resize(n->name, cap, sizeof *grown, err);
		if (!grown)
			return -1;
		n->name = grown;
		n->cap = cap;
	}
	n->name[n->count] = span_dup(span_of(name));
	if (!n->name[n->count])
		return err_nomem(err);
	n->count++;
	return 0;
}

void store_names_sort_unique(struct store_names *n)
{
	size_t kept = 0;
	store_names_sort(n);
	for (size_t i = 0; i < n->count; i++) {
		if (kept && strcmp(n->name[kept - 1], n->name[i]) == 0)
			free(n->name[i]);
		else
			n->name[kept++] = n->name[i];
	}
	n->count = kept;
}

void store_names_keep(struct store_names *n, bool (*good)(void *ctx, char *name), void *ctx)
{
	size_t kept = 0;
	for (size_t i = 0; i < n->count; i++) {
		if (good(ctx, n->name[i]))
			n->name[kept++] = n->name[i];
		else
			free(n->name[i]);
	}
	n->count = kept;
}

void store_names_release(struct store_names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
	*n = (struct store_names){0};
}

static struct store_lock *take_lock(struct store *s, const char *key, bool shared, int wait_ms,
				    struct err *err)
{
	int ms = wait_ms == STORE_WAIT ? s->patience_ms : wait_ms;
	return store_key_check(key, err) ? NULL : s->backend->lock(s, key, shared, ms, err);
}

struct store_lock *store_lock(struct store *s, const char *key, int wait_ms, struct err *err)
{
	return take_lock(s, key, false, wait_ms, err);
}

struct store_lock *store_lock_shared(struct store *s, const char *key, int wait_ms, struct err *err)
{
	return take_lock(s, key, true, wait_ms, err);
}

void store_unlock(struct store_lock *l)
{
	if (l)
		l->backend->unlock(l);
}

int store_lock_inherit(struct store_lock *l, struct err *err)
{
	return l->backend->lock_inherit(l, err);
}

int store_path(struct store *s, const char *key, struct buf *out, struct err *err)
{
	return store_key_check(key, err) ? -1 : s->backend->path(s, key, out, err);
}

int store_cache_path(struct store *s, const char *key, struct buf *out, struct err *err)
{
	return store_key_check(key, err) ? -1 : s->backend->cache_path(s, key, out, err);
}

int store_sync(struct store *s, const char *prefix, struct err *err)
{
	return store_key_check(prefix, err) ? -1 : s->backend->sync(s, prefix, err);
}
