/* SPDX-License-Identifier: MIT */
#include "embed/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "embed/segment_internal.h"

#define PENDING_ROWS 4096
#define PENDING_BYTES ((size_t)64 << 20)
#define PENDING_NS (10 * (uint64_t)1000000000)
#define MERGE_COUNT 8
#define SIZE_CLASSES 22 /* 8^21 is 2^63 */
#define LIST_TRIES 3

struct embed_cache {
	struct store *store;
	struct warn_to warn;
	char prefix[sizeof EMBED_CACHE_PREFIX + DIGEST_TEXT_MAX];
	char *about;
	bool off, keep, described;
	struct segment *seg;
	size_t n_seg, cap_seg;
	/* added and not yet written */
	uint32_t dim;
	struct segment_key *key;
	float *v;
	size_t pending, room;
	uint64_t written_ns;
};

static void give_up(struct embed_cache *c, const struct err *err)
{
	warn(&c->warn, "going on without the cache of embeddings: %s", err->msg);
	c->off = true;
}

static int make_key(struct buf *key, const struct embed_cache *c, const char *name, struct err *err)
{
	buf_clear(key);
	buf_addf(key, "%s/%s", c->prefix, name);
	return buf_ok(key, err);
}

/* ---- segments ---- */

/* Map one more segment; a damaged one is left out.  1; 0: it is gone; -1. */
static int add_segment(struct embed_cache *c, const char *name, struct err *err)
{
	struct buf key = BUF_INIT, path = BUF_INIT;
	struct segment g = {0};
	int ret = make_key(&key, c, name, err);
	if (c->n_seg == c->cap_seg) {
		size_t cap = c->cap_seg ? 2 * c->cap_seg : 16;
		struct segment *grown = mem_resize(c->seg, cap, sizeof *grown, err);
		if (!grown) {
			ret = -1;
			goto out;
		}
		c->seg = grown;
		c->cap_seg = cap;
	}
	if (ret == 0)
		ret = store_path(c->store, key.data, &path, err);
	if (ret <= 0)
		goto out;
	if (io_map_open(&g.map, path.data, err) != 0) {
		ret = 0; /* removed just now */
		goto out;
	}
	if (!segment_read(&g)) {
		warn(&c->warn, "leaving out '%s': damaged", path.data);
		goto out;
	}
	g.name = span_dup(span_of(name));
	if (!g.name) {
		ret = err_nomem(err);
		goto out;
	}
	c->seg[c->n_seg++] = g;
	g = (struct segment){0};
out:
	segment_release(&g);
	buf_release(&key);
	buf_release(&path);
	return ret;
}

static void drop_segments(struct embed_cache *c)
{
	for (size_t i = 0; i < c->n_seg; i++)
		segment_release(&c->seg[i]);
	c->n_seg = 0;
}

static bool is_segment(const char *name)
{
	return strncmp(name, "seg_", 4) == 0 && strspn(name + 4, "0123456789") == 20 && !name[24];
}

/* Another process may merge segments meanwhile; what is not found then is embedded again. */
static int map_all(struct embed_cache *c, struct err *err)
{
	bool gone = true;
	int ret = 0;
	for (int i = 0; i < LIST_TRIES && gone && ret == 0; i++) {
		struct store_names names;
		gone = false;
		drop_segments(c);
		ret = store_list(c->store, c->prefix, false, &names, err);
		for (size_t n = 0; ret == 0 && n < names.count; n++) {
			int got =
			    is_segment(names.name[n]) ? add_segment(c, names.name[n], err) : 1;
			gone |= got == 0;
			ret = got < 0 ? -1 : 0;
		}
		store_names_release(&names);
	}
	return ret;
}

struct embed_cache *embed_cache_open(struct store *s, struct span about, bool keep,
				     const struct warn_to *w, struct err *err)
{
	struct embed_cache *c = mem_zeroed(1, sizeof *c, err);
	char name[DIGEST_TEXT_MAX];
	struct err why;
	if (!c)
		return NULL;
	c->about = span_dup(about);
	if (!c->about) {
		embed_cache_close(c);
		err_nomem(err);
		return NULL;
	}
	digest_text(digest_of(about.p, about.n), name);
	snprintf(c->prefix, sizeof c->prefix, EMBED_CACHE_PREFIX "%s", name);
	c->store = s;
	c->keep = keep;
	c->warn = *w;
	c->written_ns = clock_mono_ns();
	if (map_all(c, &why) != 0)
		give_up(c, &why);
	return c;
}

const float *embed_cache_find(struct embed_cache *c, struct digest key, uint32_t *dim)
{
	for (size_t i = 0; i < c->n_seg && !c->off; i++) {
		const struct segment *g = &c->seg[i];
		const float *v = *dim && g->dim != *dim ? NULL : segment_find(g, key);
		if (!v)
			continue;
		*dim = g->dim;
		return v;
	}
	return NULL;
}

/* ---- writing ---- */

/* Write a segment under a fresh name, and map it. */
static int write_segment(struct embed_cache *c, struct segment_entry *e, size_t n, uint32_t dim,
			 struct err *err)
{
	struct buf key = BUF_INIT;
	struct store_stage *st = NULL;
	char name[32];
	uint64_t stamp = clock_wall_us();
	int ret = 1;
	while (ret == 1) {
		snprintf(name, sizeof name, "seg_%020" PRIu64, stamp++);
		ret = make_key(&key, c, name, err);
		if (ret == 0 && !st) {
			st = store_stage_open(c->store, key.data, err);
			if (!st) {
				ret = -1;
				break;
			}
			ret = segment_write(store_stage_fd(st), e, n, dim, err);
		}
		if (ret == 0)
			ret = store_stage_commit(st, key.data, false, err);
	}
	store_stage_free(st);
	buf_release(&key);
	return ret == 0 && add_segment(c, name, err) >= 0 ? 0 : -1;
}

/* Of segments within a factor of eight. */
static int size_class(uint64_t rows)
{
	int class = 0;
	while (rows >= 8) {
		rows /= 8;
		class ++;
	}
	return class;
}

static bool mergeable(const struct embed_cache *c, const struct segment *g, int class)
{
	return g->dim == c->dim && size_class(g->rows) == class;
}

/* Make one segment of all of that class, and remove them.  Whoever still reads one has it mapped.
 */
static int merge_class(struct embed_cache *c, int class, uint64_t rows, struct err *err)
{
	struct segment_entry *e = mem_array(rows, sizeof *e, err);
	struct buf key = BUF_INIT;
	size_t n = 0, before = c->n_seg, kept = 0;
	if (!e)
		return -1;
	for (size_t i = 0; i < c->n_seg; i++) {
		const struct segment *g = &c->seg[i];
		for (uint64_t r = 0; r < g->rows && mergeable(c, g, class); r++)
			e[n++] = (struct segment_entry){g->keys[r], g->v + r * g->dim};
	}
	int ret = write_segment(c, e, n, c->dim, err);
	free(e);
	if (ret != 0)
		return -1;
	for (size_t i = 0; i < c->n_seg; i++) {
		struct segment g = c->seg[i];
		if (i >= before || !mergeable(c, &g, class)) {
			c->seg[kept++] = g;
			continue;
		}
		if (ret == 0 && make_key(&key, c, g.name, err) == 0)
			ret = store_delete(c->store, key.data, err);
		segment_release(&g);
	}
	c->n_seg = kept;
	buf_release(&key);
	return ret;
}

/* How many segments are of that class, and their rows. */
static size_t count_class(const struct embed_cache *c, int class, uint64_t *rows)
{
	size_t count = 0;
	*rows = 0;
	for (size_t i = 0; i < c->n_seg; i++)
		if (mergeable(c, &c->seg[i], class)) {
			count++;
			*rows += c->seg[i].rows;
		}
	return count;
}

/* Merge where eight segments are of one class.  One process does, the others go on. */
static int merge(struct embed_cache *c, struct err *err)
{
	struct store_lock *lock = NULL;
	struct err busy;
	uint64_t rows;
	int ret = 0;
	for (int class = 0; class < SIZE_CLASSES && ret == 0; class ++) {
		if (count_class(c, class, &rows) < MERGE_COUNT)
			continue;
		if (!lock) {
			lock = store_lock(c->store, c->prefix, 0, &busy);
			if (!lock)
				break;
			/* Another may have merged them just before. */
			ret = map_all(c, err);
			class = -1;
			continue;
		}
		ret = merge_class(c, class, rows, err);
	}
	store_unlock(lock);
	return ret;
}

/* For people: what the vectors below this prefix are. */
static int describe(struct embed_cache *c, struct err *err)
{
	struct buf key = BUF_INIT;
	int ret = make_key(&key, c, "about.json", err);
	if (ret == 0)
		ret = store_create(c->store, key.data, span_of(c->about), err);
	buf_release(&key);
	c->described = ret >= 0;
	return ret < 0 ? -1 : 0;
}

static int write_pending(struct embed_cache *c, struct err *err)
{
	struct segment_entry *e = mem_array(c->pending, sizeof *e, err);
	if (!e || (!c->described && describe(c, err) != 0)) {
		free(e);
		return -1;
	}
	for (size_t i = 0; i < c->pending; i++)
		e[i] = (struct segment_entry){c->key[i], c->v + i * c->dim};
	int ret = write_segment(c, e, c->pending, c->dim, err);
	free(e);
	c->pending = 0;
	c->written_ns = clock_mono_ns();
	return ret == 0 ? merge(c, err) : -1;
}

static int reserve(struct embed_cache *c, uint32_t dim, struct err *err)
{
	if (c->key)
		return 0;
	size_t rows = PENDING_BYTES / (dim * sizeof *c->v);
	c->room = rows > PENDING_ROWS ? PENDING_ROWS : rows;
	c->dim = dim;
	c->key = mem_array(c->room, sizeof *c->key, err);
	c->v = mem_array(c->room, dim * sizeof *c->v, err);
	return c->key && c->v ? 0 : -1;
}

void embed_cache_add(struct embed_cache *c, struct digest key, const float *v, uint32_t dim)
{
	struct err err;
	if (c->off || !c->keep)
		return;
	if (reserve(c, dim, &err) != 0) {
		give_up(c, &err);
		return;
	}
	size_t bytes = dim * sizeof *v;
	c->key[c->pending] = segment_key(key, v, dim);
	memcpy(c->v + c->pending * dim, v, bytes);
	c->pending++;
	if ((c->pending == c->room || clock_mono_ns() - c->written_ns > PENDING_NS) &&
	    write_pending(c, &err) != 0)
		give_up(c, &err);
}

void embed_cache_close(struct embed_cache *c)
{
	struct err err;
	if (!c)
		return;
	if (c->pending && !c->off && write_pending(c, &err) != 0)
		give_up(c, &err);
	drop_segments(c);
	free(c->seg);
	free(c->key);
	free(c->v);
	free(c->about);
	free(c);
}
