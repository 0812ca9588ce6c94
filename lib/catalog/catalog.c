/* SPDX-License-Identifier: MIT */
/* A store as a whole, its eval sets, and which generation of an index is served. */
#include <stdlib.h>
#include <string.h>

#include "catalog/index_internal.h"
#include "catalog/layout.h"

int catalog_open(struct catalog *c, const char *url, bool must_exist, struct err *err)
{
	c->buckets = buckets_open(url, err);
	if (!c->buckets)
		return -1;
	if (must_exist && !buckets_exist(c->buckets)) {
		catalog_close(c);
		return err_set(err, ERR_ENV, "there is no store at '%s'", url);
	}
	buckets_be_patient(c->buckets, STORE_PATIENCE_MS, &c->warn);
	return 0;
}

void catalog_be_patient(struct catalog *c, double seconds)
{
	buckets_be_patient(c->buckets, (int)(seconds * 1000), &c->warn);
}

void catalog_close(struct catalog *c)
{
	buckets_close(c->buckets);
	c->buckets = NULL;
}

int catalog_check_name(const char *kind, const char *name, struct err *err)
{
	const char *fault = name_fault(span_of(name));
	if (!fault && strcmp(kind, "dataset") == 0 && strcmp(name, "meta") == 0)
		fault = "is reserved";
	return fault ? err_set(err, ERR_USAGE, "bad %s name '%.100s': %s", kind, name, fault) : 0;
}

struct store *catalog_primary(struct catalog *c, struct err *err)
{
	return buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
}

/* ---- eval sets ---- */

/* 1: there is one in that bucket; 0; -1. */
static int get_evalset(struct store *s, const char *name, struct evalset *e, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	int ret = layout_key(&key, LAYOUT_EVALSET, name, err);
	if (ret == 0)
		ret = store_get(s, key.data, &text, NULL, err);
	if (ret > 0 && evalset_parse(e, buf_span(&text), err) != 0)
		ret = err_prefix(err, "eval set '%s'", name);
	if (ret > 0 && (layout_check_own(key.data, "name", name, e->name ? e->name : "", err) != 0 ||
			catalog_evalset_check(key.data, e, err) != 0)) {
		evalset_release(e);
		ret = -1;
	}
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int catalog_evalset_check(const char *file, const struct evalset *e, struct err *err)
{
	return e->index_name && e->index_name[0]
		   ? layout_check_name(file, "index_name", "index", e->index_name, err)
		   : 0;
}

int catalog_evalset_get(struct catalog *c, const char *name, const struct catalog_index *x,
			struct evalset *e, struct err *err)
{
	struct store *primary = catalog_primary(c, err);
	*e = (struct evalset){0};
	if (!primary)
		return -1;
	int ret = x ? get_evalset(x->bucket, name, e, err) : 0;
	return ret == 0 && (!x || x->bucket != primary) ? get_evalset(primary, name, e, err) : ret;
}

static int put_evalset(struct store *s, const struct evalset *e, struct err *err)
{
	struct buf text = BUF_INIT, key = BUF_INIT;
	evalset_write(&text, e);
	int ret = buf_ok(&text, err) != 0 ? -1 : layout_key(&key, LAYOUT_EVALSET, e->name, err);
	if (ret == 0)
		ret = store_put(s, key.data, buf_span(&text), err);
	buf_release(&text);
	buf_release(&key);
	return ret;
}

int catalog_evalset_put(struct catalog *c, const struct evalset *e, struct err *err)
{
	struct catalog_index x;
	struct store *primary = catalog_primary(c, err);
	if (!primary)
		return -1;
	if (!e->index_name || !e->index_name[0])
		return put_evalset(primary, e, err);
	int ret = catalog_index_hold(c, e->index_name, &x, err);
	if (ret == 0)
		ret = put_evalset(x.bucket, e, err);
	catalog_index_release(&x);
	return ret;
}

int catalog_evalset_replace(struct catalog *c, const struct evalset *e, const char *index,
			    struct err *err)
{
	struct catalog_index x = {0};
	struct buf text = BUF_INIT, key = BUF_INIT;
	struct store *primary = catalog_primary(c, err);
	int ret = -1;
	if (!primary || (index && catalog_index_hold(c, index, &x, err) != 0) ||
	    layout_key(&key, LAYOUT_EVALSET, e->name, err) != 0)
		goto out;
	int there = index ? store_get(x.bucket, key.data, &text, NULL, err) : 0;
	if (there >= 0)
		ret = put_evalset(there ? x.bucket : primary, e, err);
out:
	catalog_index_release(&x);
	buf_release(&text);
	buf_release(&key);
	return ret;
}

int catalog_evalset_sync(struct catalog *c, const char *index, struct err *err)
{
	struct catalog_index x = {0};
	struct store *primary = catalog_primary(c, err);
	int ret = primary ? store_sync(primary, "_hnsw_evals", err) : -1;
	if (ret == 0 && index)
		ret = catalog_index_hold(c, index, &x, err);
	if (ret == 0 && index && x.bucket != primary)
		ret = store_sync(x.bucket, "_hnsw_evals", err);
	catalog_index_release(&x);
	return ret;
}

/* ---- the served index ---- */

static int scan_pointer(struct span text, char **generation, struct err *err)
{
	struct scan s;
	struct span name;
	scan_init(&s, text);
	if (scan_object(&s))
		while (scan_member(&s, &name)) {
			if (span_is(name, "generation"))
				scan_copy(&s, generation);
			else
				scan_skip(&s, NULL);
		}
	if (!scan_failed(&s) && !*generation)
		scan_fail(&s, "no key 'generation'");
	return scan_end(&s) ? 0 : scan_err(&s, err);
}

int catalog_active_get(const struct catalog_index *x, char **generation, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	*generation = NULL;
	int ret = layout_key(&key, LAYOUT_CURRENT, x->name, err);
	if (ret == 0)
		ret = store_get(x->bucket, key.data, &text, NULL, err);
	if (ret > 0 && scan_pointer(buf_span(&text), generation, err) != 0)
		ret = err_prefix(err, "the pointer to the served generation of '%s' is malformed",
				 x->name);
	if (ret > 0 &&
	    layout_check_name(key.data, "generation", "generation", *generation, err) != 0)
		ret = -1;
	if (ret <= 0) {
		free(*generation);
		*generation = NULL;
	}
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int catalog_active_path(const struct catalog_index *x, const char *generation, struct buf *path,
			struct err *err)
{
	struct buf key = BUF_INIT;
	int ret = layout_key(&key, LAYOUT_SERVED, x->name, err);
	buf_addc(&key, '/');
	buf_adds(&key, generation);
	buf_adds(&key, "/index.hnsw");
	if (ret == 0)
		ret = buf_ok(&key, err);
	if (ret == 0 && (ret = store_path(x->bucket, key.data, path, err)) == 0)
		ret = err_set(err, ERR_DATA, "generation '%s' of index '%s' is gone", generation,
			      x->name);
	buf_release(&key);
	return ret < 0 ? -1 : 0;
}
