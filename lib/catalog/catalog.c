/* SPDX-License-Identifier: MIT */
#include "catalog/catalog.h"

#include <stdlib.h>
#include <string.h>

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
	const char *why = NULL;
	size_t n = strlen(name);
	struct buf quoted = BUF_INIT;
	if (n == 0)
		why = "is empty";
	else if (n > CATALOG_NAME_MAX)
		why = "is longer than 200 bytes";
	else if (name[0] == '.')
		why = "begins with a dot";
	else if (strchr(name, '/'))
		why = "has a slash";
	for (size_t i = 0; i < n && !why; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			why = "has a control character";
	if (!why) {
		scan_quote(&quoted, span_of(name));
		if (buf_ok(&quoted, err) != 0)
			return -1;
		if (strstr(quoted.data, "\xEF\xBF\xBD"))
			why = "is not UTF-8";
	}
	buf_release(&quoted);
	if (!why && strcmp(kind, "dataset") == 0 && strcmp(name, "meta") == 0)
		why = "is reserved";
	return why ? err_set(err, ERR_USAGE, "bad %s name '%.100s': %s", kind, name, why) : 0;
}

static int make_key(struct buf *key, const char *before, const char *name, const char *after,
		    struct err *err)
{
	buf_clear(key);
	buf_adds(key, before);
	buf_adds(key, name);
	buf_adds(key, after);
	return buf_ok(key, err);
}

/* Get a blob named ${before}${name}${after} of a bucket. */
static int get_blob(struct store *s, const char *before, const char *name, const char *after,
		    struct buf *out, struct store_tag *tag, struct err *err)
{
	struct buf key = BUF_INIT;
	int ret = make_key(&key, before, name, after, err);
	if (ret == 0)
		ret = store_get(s, key.data, out, tag, err);
	buf_release(&key);
	return ret;
}

/* ---- indexes ---- */

#define META "vectors/meta/"

int catalog_index_get(struct catalog *c, const char *index, struct index_meta *m, struct err *err)
{
	struct buf text = BUF_INIT;
	struct store *primary = buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	*m = (struct index_meta){0};
	int ret = primary ? get_blob(primary, META, index, ".json", &text, NULL, err) : -1;
	if (ret > 0 && index_meta_parse(m, buf_span(&text), err) != 0)
		ret = err_prefix(err, "meta of index '%s'", index);
	buf_release(&text);
	return ret;
}

int catalog_index_put(struct catalog *c, const struct index_meta *m, struct err *err)
{
	struct buf text = BUF_INIT, key = BUF_INIT;
	struct store *primary = buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	int ret = -1;
	index_meta_write(&text, m);
	if (primary && buf_ok(&text, err) == 0 &&
	    make_key(&key, META, m->index_name, ".json", err) == 0)
		ret = store_put(primary, key.data, buf_span(&text), err);
	buf_release(&text);
	buf_release(&key);
	return ret;
}

/* Whether a name ends in .json, which is taken off. */
static bool cut_json(void *ctx, char *name)
{
	char *dot = strrchr(name, '.');
	(void)ctx;
	if (!dot || strcmp(dot, ".json") != 0)
		return false;
	*dot = 0;
	return true;
}

int catalog_index_list(struct catalog *c, struct store_names *out, struct err *err)
{
	struct store *primary = buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	if (!primary || store_list(primary, "vectors/meta", false, out, err) != 0)
		return -1;
	store_names_keep(out, cut_json, NULL);
	store_names_sort(out);
	return 0;
}

struct store *catalog_bucket_of(struct catalog *c, const char *index, struct err *err)
{
	struct index_meta m;
	struct store *s = NULL;
	int found = catalog_index_get(c, index, &m, err);
	if (found >= 0)
		s = buckets_get(c->buckets,
				found && m.bucket && m.bucket[0] ? m.bucket : META_BUCKET_DEFAULT,
				err);
	index_meta_release(&m);
	return s;
}

struct store_lock *catalog_index_lock(struct catalog *c, const char *index, int wait_ms,
				      struct err *err)
{
	struct buf key = BUF_INIT;
	struct store *s = catalog_bucket_of(c, index, err);
	struct store_lock *l = NULL;
	if (s && make_key(&key, "_hnsw_tuning/", index, "", err) == 0)
		l = store_lock(s, key.data, wait_ms, err);
	buf_release(&key);
	return l;
}

/* ---- eval sets ---- */

#define EVALS "_hnsw_evals/"

int catalog_evalset_get(struct catalog *c, const char *name, const char *index, struct evalset *e,
			struct err *err)
{
	struct buf text = BUF_INIT;
	struct store *primary = buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	struct store *s = index ? catalog_bucket_of(c, index, err) : primary;
	int ret = -1;
	*e = (struct evalset){0};
	if (!primary || !s)
		return -1;
	ret = get_blob(s, EVALS, name, ".json", &text, NULL, err);
	if (ret == 0 && s != primary)
		ret = get_blob(primary, EVALS, name, ".json", &text, NULL, err);
	if (ret > 0 && evalset_parse(e, buf_span(&text), err) != 0)
		ret = err_prefix(err, "eval set '%s'", name);
	buf_release(&text);
	return ret;
}

static int put_evalset(struct store *s, const struct evalset *e, struct err *err)
{
	struct buf text = BUF_INIT, key = BUF_INIT;
	int ret = -1;
	evalset_write(&text, e);
	if (s && buf_ok(&text, err) == 0 && make_key(&key, EVALS, e->name, ".json", err) == 0)
		ret = store_put(s, key.data, buf_span(&text), err);
	buf_release(&text);
	buf_release(&key);
	return ret;
}

int catalog_evalset_put(struct catalog *c, const struct evalset *e, struct err *err)
{
	bool owned = e->index_name && e->index_name[0];
	struct store *s = owned ? catalog_bucket_of(c, e->index_name, err)
				: buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	return put_evalset(s, e, err);
}

int catalog_evalset_replace(struct catalog *c, const struct evalset *e, const char *index,
			    struct err *err)
{
	struct buf text = BUF_INIT;
	struct store *s = index ? catalog_bucket_of(c, index, err)
				: buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	int there = s ? get_blob(s, EVALS, e->name, ".json", &text, NULL, err) : -1;
	if (there == 0)
		s = buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	buf_release(&text);
	return there < 0 ? -1 : put_evalset(s, e, err);
}

/* ---- the served index ---- */

#define ACTIVE "_hnsw_active/"

int catalog_active_get(struct catalog *c, const char *index, char **generation, struct err *err)
{
	struct buf text = BUF_INIT;
	struct store *s = catalog_bucket_of(c, index, err);
	struct scan sc;
	struct span name;
	*generation = NULL;
	int ret = s ? get_blob(s, ACTIVE, index, "/current.json", &text, NULL, err) : -1;
	if (ret > 0) {
		scan_init(&sc, buf_span(&text));
		if (scan_object(&sc))
			while (scan_member(&sc, &name)) {
				if (span_is(name, "generation"))
					scan_copy(&sc, generation);
				else
					scan_skip(&sc, NULL);
			}
		if (!scan_end(&sc) || !*generation ||
		    catalog_check_name("generation", *generation, err) != 0)
			ret = err_set(err, ERR_DATA,
				      "the pointer to the served generation of '%s' is malformed",
				      index);
	}
	if (ret <= 0) {
		free(*generation);
		*generation = NULL;
	}
	buf_release(&text);
	return ret;
}

int catalog_active_path(struct catalog *c, const char *index, const char *generation,
			struct buf *path, struct err *err)
{
	struct buf key = BUF_INIT;
	struct store *s = catalog_bucket_of(c, index, err);
	int ret = s ? make_key(&key, ACTIVE, index, "/", err) : -1;
	buf_adds(&key, generation);
	buf_adds(&key, "/index.hnsw");
	if (ret == 0)
		ret = buf_ok(&key, err);
	if (ret == 0 && (ret = store_path(s, key.data, path, err)) == 0)
		ret = err_set(err, ERR_DATA, "generation '%s' of index '%s' is gone", generation,
			      index);
	buf_release(&key);
	return ret < 0 ? -1 : 0;
}
