/* SPDX-License-Identifier: MIT */
#include "catalog/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "record/idset.h"

/*
 * A dataset is a directory of batches, <bucket>/vectors/<dataset>/batch_<20-digit UTC
 * microseconds>[.<batch id>].hvec, never changed once they are there.
 */
#define VECTORS "vectors/"
#define LOCK_WAIT_MS 60000

static int dataset_prefix(struct buf *out, const char *dataset, struct err *err)
{
	buf_adds(out, VECTORS);
	buf_adds(out, dataset);
	return buf_ok(out, err);
}

static bool is_batch(const char *name)
{
	size_t n = strlen(name);
	return strncmp(name, "batch_", 6) == 0 && strspn(name + 6, "0123456789") == 20 && n >= 31 &&
	       strcmp(name + n - 5, ".hvec") == 0;
}

/* Names of the batches that a bucket has of a dataset. */
static int list_batches(struct store *s, const char *dataset, struct store_names *out,
			struct err *err)
{
	struct buf prefix = BUF_INIT;
	int ret = dataset_prefix(&prefix, dataset, err);
	if (ret == 0)
		ret = store_list(s, prefix.data, false, out, err);
	buf_release(&prefix);
	if (ret != 0)
		return -1;
	size_t kept = 0;
	for (size_t i = 0; i < out->count; i++) {
		if (is_batch(out->name[i]))
			out->name[kept++] = out->name[i];
		else
			free(out->name[i]);
	}
	out->count = kept;
	return 0;
}

/*
 * The bucket that has batches of the dataset and their names; primary is looked at first.
 * ${where} is NULL and the list empty if none has.
 */
static int find_dataset(struct catalog *c, const char *dataset, struct store **where, char **bucket,
			struct store_names *batches, struct err *err)
{
	struct store_names all;
	*where = NULL;
	*bucket = NULL;
	*batches = (struct store_names){0};
	if (buckets_list(c->buckets, &all, err) != 0)
		return -1;
	int ret = 0;
	for (size_t pass = 0; pass < 2 && !*where && ret == 0; pass++)
		for (size_t i = 0; i < all.count && !*where && ret == 0; i++) {
			bool primary = strcmp(all.name[i], META_BUCKET_DEFAULT) == 0;
			if (primary != (pass == 0))
				continue;
			struct store *s = buckets_get(c->buckets, all.name[i], err);
			if (!s || list_batches(s, dataset, batches, err) != 0) {
				warn(&c->warn, "leaving out bucket '%s': %s", all.name[i],
				     err->msg);
			} else if (batches->count) {
				*where = s;
				*bucket = span_dup(span_of(all.name[i]));
				if (!*bucket)
					ret = err_nomem(err);
			} else {
				store_names_release(batches);
			}
		}
	store_names_release(&all);
	return ret;
}

/* Turn names of batches into local paths. */
static int batch_paths(struct store *s, const char *dataset, struct store_names *names,
		       struct err *err)
{
	struct buf key = BUF_INIT, path = BUF_INIT;
	int ret = 0;
	for (size_t i = 0; i < names->count && ret == 0; i++) {
		buf_clear(&key);
		buf_clear(&path);
		ret = dataset_prefix(&key, dataset, err);
		buf_addc(&key, '/');
		buf_adds(&key, names->name[i]);
		if (ret == 0)
			ret = buf_ok(&key, err);
		if (ret == 0 && store_path(s, key.data, &path, err) != 1)
			ret = err_set(err, ERR_ENV, "batch '%s' of dataset '%s' is gone",
				      names->name[i], dataset);
		if (ret == 0) {
			char *copy = span_dup(buf_span(&path));
			if (!copy)
				ret = err_nomem(err);
			else {
				free(names->name[i]);
				names->name[i] = copy;
			}
		}
	}
	buf_release(&key);
	buf_release(&path);
	return ret;
}

int catalog_dataset_files(struct catalog *c, const char *dataset, struct store_names *paths,
			  struct err *err)
{
	struct store *s;
	char *bucket;
	int ret = find_dataset(c, dataset, &s, &bucket, paths, err);
	if (ret == 0 && s)
		ret = batch_paths(s, dataset, paths, err);
	free(bucket);
	if (ret != 0)
		store_names_release(paths);
	return ret;
}

/* ---- appending ---- */

/* The batch of that id among ${names}, or NULL. */
static const char *named_batch(const struct store_names *names, const char *batch_id)
{
	size_t n = strlen(batch_id);
	for (size_t i = 0; i < names->count; i++) {
		const char *name = names->name[i];
		if (name[26] == '.' && strlen(name) == 27 + n + 5 &&
		    strncmp(name + 27, batch_id, n) == 0)
			return name;
	}
	return NULL;
}

/* Dimension and ids of the new rows against what the dataset has. */
static int check_against(const struct vec_set *have, const struct vec_set *rows,
			 const char *dataset, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	struct idset ids = IDSET_INIT;
	int ret = 0;
	if (have->rows && have->dim != rows->dim)
		return err_set(err, ERR_DATA, "the rows have dimension %u, dataset '%s' has %u",
			       rows->dim, dataset, have->dim);
	for (uint64_t i = 0; i < have->rows && ret >= 0; i++)
		ret = idset_add(&ids, vec_set_id(have, i, tmp), err);
	for (uint64_t i = 0; i < rows->rows && ret >= 0; i++) {
		struct span id = vec_set_id(rows, i, tmp);
		if (idset_has(&ids, id))
			ret = vec_set_fail(rows, i, err, "id '%.*s' is in dataset '%s' already",
					   (int)(id.n < 100 ? id.n : 100), id.p, dataset);
	}
	idset_release(&ids);
	return ret < 0 ? -1 : 0;
}

static int write_batch(struct store *s, const struct dataset_append *a,
		       struct dataset_appended *out, struct err *err)
{
	const struct vec_set *rows = a->rows;
	struct vec_write how = {.format = VEC_HVEC, .type = vec_set_type(rows)};
	struct buf key = BUF_INIT;
	struct store_stage *st = NULL;
	uint64_t stamp = clock_wall_us();
	int ret = 1;
	while (ret == 1) {
		snprintf(out->batch, sizeof out->batch, "batch_%020" PRIu64 "%s%s.hvec", stamp++,
			 a->batch_id ? "." : "", a->batch_id ? a->batch_id : "");
		buf_clear(&key);
		ret = dataset_prefix(&key, a->dataset, err);
		buf_addc(&key, '/');
		buf_adds(&key, out->batch);
		if (ret == 0)
			ret = buf_ok(&key, err);
		if (ret == 0 && !st) {
			st = store_stage_open(s, key.data, err);
			if (!st || vec_set_write(rows, &how, NULL, 0, rows->rows,
						 store_stage_fd(st), out->batch, err) != 0)
				ret = -1;
		}
		if (ret == 0)
			ret = store_stage_commit(st, key.data, false, err);
	}
	store_stage_free(st);
	buf_release(&key);
	return ret;
}

static int append_locked(struct store *s, const struct dataset_append *a,
			 struct dataset_appended *out, struct err *err)
{
	struct store_names names = {0};
	struct vec_set have = VEC_SET_INIT;
	const char *again = NULL;
	int ret = -1;

	if (list_batches(s, a->dataset, &names, err) != 0)
		return -1;
	if (a->batch_id)
		again = named_batch(&names, a->batch_id);
	if (again) {
		snprintf(out->batch, sizeof out->batch, "%s", again);
		out->repeated = true;
	}
	if (batch_paths(s, a->dataset, &names, err) != 0 ||
	    vec_set_open(&have, (const char *const *)names.name, names.count, VEC_HVEC, err) != 0)
		goto out;
	out->total = have.rows;
	if (!out->repeated) {
		if (check_against(&have, a->rows, a->dataset, err) != 0)
			goto out;
		if (!a->dry_run && write_batch(s, a, out, err) != 0)
			goto out;
		out->rows = a->rows->rows;
		out->total += out->rows;
	}
	ret = 0;
out:
	vec_set_release(&have);
	store_names_release(&names);
	return ret;
}

static int check_finite(const struct vec_set *rows, struct err *err)
{
	struct par *one = par_new(1, err);
	struct digest ignored;
	int ret = one ? vec_set_digest(rows, one, &ignored, err) : -1;
	par_free(one);
	return ret;
}

int catalog_dataset_append(struct catalog *c, const struct dataset_append *a,
			   struct dataset_appended *out, struct err *err)
{
	struct store *s;
	char *bucket;
	struct store_names names;
	struct buf lock_key = BUF_INIT;
	*out = (struct dataset_appended){0};
	if (a->rows->rows == 0)
		return err_set(err, ERR_DATA, "there are no rows to append");
	if (!a->rows->id_end)
		return err_set(err, ERR_DATA, "the rows have no ids, which a dataset needs");
	if (check_finite(a->rows, err) != 0)
		return -1;
	if (find_dataset(c, a->dataset, &s, &bucket, &names, err) != 0)
		return -1;
	store_names_release(&names);
	int ret = -1;
	struct store_lock *lock = NULL;
	if (s && a->bucket && strcmp(a->bucket, bucket) != 0) {
		err_set(err, ERR_CONFLICT, "dataset '%s' is in bucket '%s'", a->dataset, bucket);
		goto out;
	}
	if (!s)
		s = buckets_get(c->buckets, a->bucket ? a->bucket : META_BUCKET_DEFAULT, err);
	if (!s || dataset_prefix(&lock_key, a->dataset, err) != 0)
		goto out;
	if (!a->dry_run)
		lock = store_lock(s, lock_key.data, LOCK_WAIT_MS, err);
	if (lock || a->dry_run)
		ret = append_locked(s, a, out, err);
out:
	store_unlock(lock);
	free(bucket);
	buf_release(&lock_key);
	return ret;
}
