/* SPDX-License-Identifier: MIT */
/*
 * The registry: an IndexMeta an index, changed by compare-and-swap, and where an index lives.
 *
 * Whoever writes for an index holds its place meanwhile, shared with all others who do; whoever
 * gives it another bucket holds it alone.  So what was acknowledged lies in the bucket that the
 * IndexMeta names, and nobody writes to one that the index has left.
 */
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "catalog/index_internal.h"
#include "catalog/layout.h"

#define ATTEMPTS 100 /* at compare-and-swap before giving up */

/* ---- the record ---- */

/* ERR_DATA unless every name in it is one; an empty one stands for the default. */
static int check_names(const char *key, const char *index, const struct index_meta *m,
		       struct err *err)
{
	const struct {
		const char *member, *kind, *name;
	} names[] = {
	    {"source", "dataset", m->source},
	    {"bucket", "bucket", m->bucket},
	    {"eval_set", "eval set", m->eval_set},
	};
	if (layout_check_own(key, "index_name", index, m->index_name, err) != 0)
		return -1;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].name && names[i].name[0] &&
		    layout_check_name(key, names[i].member, names[i].kind, names[i].name, err) != 0)
			return -1;
	const char *fault = m->storage_key && m->storage_key[0]
				? name_path_fault(span_of(m->storage_key))
				: NULL;
	return fault ? err_set(err, ERR_DATA,
			       "'%s' has the storage_key '%.100s', expected a key of the store, but "
			       "it %s",
			       key, m->storage_key, fault)
		     : 0;
}

/* ERR_DATA unless its goal is one. */
static int check_goal(const char *key, const struct index_meta *m, struct err *err)
{
	struct tune_goal g;
	if (!m->goal || tune_goal_parse(&g, span_of(m->goal), err) == 0)
		return 0;
	return err_prefix(err, "'%s' has a goal that is none", key);
}

/* 1: registered; 0: not; -1. */
static int get(struct store *primary, const char *index, struct index_meta *m,
	       struct store_tag *tag, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	*m = (struct index_meta){0};
	int ret = layout_key(&key, LAYOUT_META, index, err);
	if (ret == 0)
		ret = store_get(primary, key.data, &text, tag, err);
	if (ret > 0 && index_meta_parse(m, buf_span(&text), err) != 0)
		ret = err_prefix(err, "meta of index '%s'", index);
	if (ret > 0 && (check_names(key.data, index, m, err) != 0 ||
			check_goal(key.data, m, err) != 0)) {
		index_meta_release(m);
		ret = -1;
	}
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int catalog_index_get(struct catalog *c, const char *index, struct index_meta *m, struct err *err)
{
	struct store *primary = catalog_primary(c, err);
	*m = (struct index_meta){0};
	return primary ? get(primary, index, m, NULL, err) : -1;
}

int catalog_index_goal(const struct index_meta *m, struct tune_goal *g, struct err *err)
{
	struct tune_goal own;
	if (m->goal && tune_goal_parse(&own, span_of(m->goal), err) != 0)
		return -1;
	if (m->goal)
		tune_goal_fill(g, &own);
	return tune_goal_said(g);
}

int catalog_index_list(struct catalog *c, struct store_names *out, struct err *err)
{
	struct store *primary = catalog_primary(c, err);
	return primary ? layout_list(primary, LAYOUT_META, out, err) : -1;
}

const char *catalog_home(const struct index_meta *m)
{
	return m->bucket && m->bucket[0] ? m->bucket : META_BUCKET_DEFAULT;
}

/* ---- its place ---- */

struct store_lock *catalog_place_lock(struct catalog *c, const char *index, bool alone,
				      struct err *err)
{
	struct store *primary = catalog_primary(c, err);
	struct store_lock *(*lock)(struct store *, const char *, int, struct err *) =
	    alone ? store_lock : store_lock_shared;
	struct store_lock *gate = NULL, *place = NULL;
	struct buf key = BUF_INIT;
	/* Who waits to be alone keeps those who come later off, so that it is not for ever. */
	if (primary && layout_key(&key, LAYOUT_GATE, index, err) == 0 &&
	    (gate = lock(primary, key.data, STORE_WAIT, err)) &&
	    layout_key(&key, LAYOUT_PLACE, index, err) == 0)
		place = lock(primary, key.data, STORE_WAIT, err);
	if (primary && !place && err->code == ERR_TEMP)
		err_set(err, ERR_TEMP,
			alone ? "others keep writing for index '%s'"
			      : "index '%s' is being taken to another bucket",
			index);
	store_unlock(gate);
	buf_release(&key);
	return place;
}

static int open_index(struct catalog *c, const char *name, struct catalog_index *x,
		      struct err *err)
{
	x->name = span_dup(span_of(name));
	if (!x->name)
		return err_nomem(err);
	int found = catalog_index_get(c, name, &x->meta, err);
	if (found < 0)
		return -1;
	x->registered = found;
	x->bucket = buckets_get(c->buckets, catalog_home(&x->meta), err);
	return x->bucket ? 0 : -1;
}

int catalog_index_open(struct catalog *c, const char *name, struct catalog_index *x,
		       struct err *err)
{
	*x = (struct catalog_index){0};
	int ret = open_index(c, name, x, err);
	if (ret != 0)
		catalog_index_release(x);
	return ret;
}

int catalog_index_sync(struct catalog *c, struct err *err)
{
	struct store *primary = catalog_primary(c, err);
	return primary ? store_sync(primary, "vectors/meta", err) : -1;
}

int catalog_index_hold(struct catalog *c, const char *name, struct catalog_index *x,
		       struct err *err)
{
	*x = (struct catalog_index){.place = catalog_place_lock(c, name, false, err)};
	int ret = x->place ? open_index(c, name, x, err) : -1;
	if (ret == 0)
		ret = catalog_index_sync(c, err);
	if (ret != 0)
		catalog_index_release(x);
	return ret;
}

void catalog_index_release(struct catalog_index *x)
{
	free(x->name);
	index_meta_release(&x->meta);
	store_unlock(x->place);
	*x = (struct catalog_index){0};
}

/* ---- changing the record ---- */

/* 0: done; 1: somebody else changed it first; -1. */
static int change_once(struct store *primary, const char *index, bool dry_run,
		       catalog_change_fn *change, void *ctx, struct index_meta *m, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	struct store_tag tag;
	int known = get(primary, index, m, &tag, err);
	int ret = known < 0 ? -1 : change(ctx, m, known, err);
	if (ret == 0)
		ret = layout_key(&key, LAYOUT_META, index, err);
	if (ret == 0 && !dry_run) {
		index_meta_write(&text, m);
		ret = buf_ok(&text, err) != 0 ? -1
					      : store_swap(primary, key.data, known ? &tag : NULL,
							   buf_span(&text), err);
	}
	if (ret != 0)
		index_meta_release(m);
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int catalog_index_change(struct catalog *c, const char *index, bool dry_run,
			 catalog_change_fn *change, void *ctx, struct index_meta *out,
			 struct err *err)
{
	struct store *primary = catalog_primary(c, err);
	int ret = primary ? 1 : -1;
	*out = (struct index_meta){0};
	for (int i = 0; i < ATTEMPTS && ret == 1; i++)
		ret = change_once(primary, index, dry_run, change, ctx, out, err);
	return ret == 1 ? err_set(err, ERR_TEMP, "the record of index '%s' keeps changing", index)
			: ret;
}

int catalog_index_change_bucket(struct catalog *c, const char *index, bool dry_run,
				catalog_change_fn *change, void *ctx, struct index_meta *out,
				struct err *err)
{
	struct store_lock *place = NULL;
	*out = (struct index_meta){0};
	if (!dry_run && !(place = catalog_place_lock(c, index, true, err)))
		return -1;
	int ret = catalog_index_change(c, index, dry_run, change, ctx, out, err);
	store_unlock(place);
	return ret;
}

/* ---- who tunes it ---- */

/* The bucket that the index lives in now. */
static struct store *bucket_now(struct catalog *c, const char *index, struct err *err)
{
	struct index_meta m;
	struct store *s = NULL;
	if (catalog_index_get(c, index, &m, err) >= 0)
		s = buckets_get(c->buckets, catalog_home(&m), err);
	index_meta_release(&m);
	return s;
}

struct store_lock *catalog_index_lock(struct catalog *c, const char *index, int wait_ms,
				      struct err *err)
{
	struct buf key = BUF_INIT;
	struct store_lock *l = NULL;
	struct store *s;
	while ((s = bucket_now(c, index, err)) && layout_key(&key, LAYOUT_TUNING, index, err) == 0 &&
	       (l = store_lock(s, key.data, wait_ms, err)) && bucket_now(c, index, err) != s) {
		/* It was taken elsewhere while this waited. */
		store_unlock(l);
		l = NULL;
	}
	buf_release(&key);
	return l;
}
