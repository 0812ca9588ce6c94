/* SPDX-License-Identifier: MIT */
#include "catalog/datasets_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/chunk.h"
#include "base/mem.h"
#include "base/num.h"

#define VECTORS "vectors/"

int dataset_prefix(struct buf *out, const char *dataset, struct err *err)
{
	buf_adds(out, VECTORS);
	buf_adds(out, dataset);
	return buf_ok(out, err);
}

static bool is_batch(void *ctx, char *name)
{
	(void)ctx;
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
	store_names_keep(out, is_batch, NULL);
	return 0;
}

/* ---- finding ---- */

void dataset_place_release(struct dataset_place *p)
{
	store_names_release(&p->batches);
	free(p->bucket);
	free(p->unreachable);
	*p = (struct dataset_place){0};
}

static int keep_name(char **to, const char *name, struct err *err)
{
	*to = span_dup(span_of(name));
	return *to ? 0 : err_nomem(err);
}

/* 1: it is in this bucket; 0: it is not, or the bucket cannot be reached; -1. */
static int look_into(struct catalog *c, const char *dataset, const char *bucket,
		     struct dataset_place *place, struct err *err)
{
	struct err why = {0};
	struct store *s = buckets_get(c->buckets, bucket, &why);
	if (!s || list_batches(s, dataset, &place->batches, &why) != 0) {
		warn(&c->warn, "leaving out bucket '%s': %s", bucket, why.msg);
		return place->unreachable ? 0 : keep_name(&place->unreachable, bucket, err);
	}
	if (place->batches.count == 0) {
		store_names_release(&place->batches);
		return 0;
	}
	place->store = s;
	return keep_name(&place->bucket, bucket, err) == 0 ? 1 : -1;
}

int dataset_find(struct catalog *c, const char *dataset, const char *first,
		 struct dataset_place *place, struct err *err)
{
	struct store_names all;
	*place = (struct dataset_place){0};
	if (!first || !first[0])
		first = META_BUCKET_DEFAULT;
	int found = look_into(c, dataset, first, place, err);
	bool primary = strcmp(first, META_BUCKET_DEFAULT) == 0;
	if (found == 0 && !primary)
		found = look_into(c, dataset, META_BUCKET_DEFAULT, place, err);
	if (found == 0) {
		found = buckets_list(c->buckets, &all, err);
		for (size_t i = 0; found == 0 && i < all.count; i++)
			if (strcmp(all.name[i], first) != 0 &&
			    strcmp(all.name[i], META_BUCKET_DEFAULT) != 0)
				found = look_into(c, dataset, all.name[i], place, err);
		if (found >= 0)
			store_names_release(&all);
	}
	if (found < 0)
		dataset_place_release(place);
	return found < 0 ? -1 : 0;
}

int dataset_batch_path(struct store *s, const char *dataset, const char *batch, struct buf *path,
		       struct err *err)
{
	struct buf key = BUF_INIT;
	int ret = dataset_prefix(&key, dataset, err);
	buf_addc(&key, '/');
	buf_adds(&key, batch);
	if (ret == 0)
		ret = buf_ok(&key, err);
	buf_clear(path);
	if (ret == 0 && (ret = store_path(s, key.data, path, err)) == 0)
		ret = err_set(err, ERR_ENV, "batch '%s' of dataset '%s' is gone", batch, dataset);
	buf_release(&key);
	return ret > 0 ? 0 : -1;
}

uint64_t catalog_batch_stamp(const char *batch)
{
	uint64_t stamp = 0;
	size_t prefix = strlen("batch_");
	if (strlen(batch) < prefix + 20 ||
	    num_u64((struct span){batch + prefix, 20}, 0, UINT64_MAX, &stamp) != 0)
		return 0;
	return stamp;
}

static int batch_rows(const struct dataset_place *p, const char *dataset, const char *batch,
		      uint64_t *rows, struct err *err)
{
	struct buf path = BUF_INIT;
	struct vec_set set;
	int ret = dataset_batch_path(p->store, dataset, batch, &path, err);
	const char *one = path.data;
	if (ret == 0)
		ret = vec_set_open(&set, &one, 1, &(struct vec_input){.format = VEC_HVEC}, err);
	if (ret == 0) {
		*rows += set.rows;
		vec_set_release(&set);
	}
	buf_release(&path);
	return ret;
}

int catalog_dataset_rows_since(struct catalog *c, const char *dataset, uint64_t stamp,
			       uint64_t *rows, struct err *err)
{
	struct dataset_place p;
	*rows = 0;
	int ret = dataset_find(c, dataset, NULL, &p, err);
	if (ret != 0)
		return -1;
	for (size_t i = p.batches.count; ret == 0 && i-- > 0;) {
		if (catalog_batch_stamp(p.batches.name[i]) < stamp)
			break;
		ret = batch_rows(&p, dataset, p.batches.name[i], rows, err);
	}
	dataset_place_release(&p);
	return ret;
}

/* ---- the cache: all batches up to some one in a single file ---- */

/* The batches as local files, and what names the content of those up to each. */
struct batch_list {
	struct store_names path;
	char (*name)[DIGEST_TEXT_MAX]; /* of the cache file that has 0..i */
};

static void batch_list_release(struct batch_list *l)
{
	store_names_release(&l->path);
	free(l->name);
}

static int batch_list_init(struct batch_list *l, struct store *s, const char *dataset,
			   const struct store_names *batches, struct err *err)
{
	struct digest_seq seq = {0};
	struct buf path = BUF_INIT;
	*l = (struct batch_list){0};
	l->name = mem_array(batches->count, sizeof *l->name, err);
	int ret = l->name ? 0 : -1;
	for (size_t i = 0; ret == 0 && i < batches->count; i++) {
		const char *name = batches->name[i];
		uint64_t seal;
		ret = dataset_batch_path(s, dataset, name, &path, err);
		if (ret == 0)
			ret = store_names_add(&l->path, path.data, err);
		if (ret == 0)
			ret = chunk_seal(path.data, &seal, err);
		if (ret == 0) {
			digest_seq_add(&seq, name, strlen(name));
			digest_seq_add(&seq, &seal, sizeof seal);
			digest_text(digest_seq_end(&seq), l->name[i]);
		}
	}
	buf_release(&path);
	return ret;
}

/* The directory with the cache of a dataset, as a store of its own; NULL if it cannot be. */
static struct store *cache_open(struct store *s, const char *dataset)
{
	struct buf key = BUF_INIT, path = BUF_INIT;
	struct err ignored;
	struct store *cache = NULL;
	if (dataset_prefix(&key, dataset, &ignored) == 0 &&
	    (buf_adds(&key, "/-"), buf_ok(&key, &ignored)) == 0 &&
	    store_cache_path(s, key.data, &path, &ignored) == 0) {
		path.data[path.len - 2] = 0;
		cache = store_open(path.data, &ignored);
	}
	buf_release(&key);
	buf_release(&path);
	return cache;
}

/* How many batches the best file of the cache has; its path is in ${path}. */
static size_t cache_find(struct store *cache, const struct batch_list *l, struct buf *path)
{
	struct err ignored;
	struct buf key = BUF_INIT;
	size_t n = l->path.count;
	for (bool found = false; n > 0; n--) {
		buf_clear(&key);
		buf_adds(&key, l->name[n - 1]);
		buf_adds(&key, ".hvec");
		found =
		    buf_ok(&key, &ignored) == 0 && store_path(cache, key.data, path, &ignored) > 0;
		if (found)
			break;
	}
	buf_release(&key);
	return n;
}

/* Keep the whole dataset as one file, in place of all others.  One process does it; if it
 * fails, the batches are read another time. */
static void cache_make(struct store *cache, const struct vec_set *all, const char *name)
{
	struct vec_write how = {.format = VEC_HVEC, .type = vec_set_type(all)};
	struct store_names old = {0};
	struct buf key = BUF_INIT;
	struct err ignored;
	struct store_lock *lock = store_lock(cache, "making", 0, &ignored);
	struct store_stage *st = NULL;
	buf_adds(&key, name);
	buf_adds(&key, ".hvec");
	if (lock && buf_ok(&key, &ignored) == 0 &&
	    (st = store_stage_open(cache, key.data, &ignored)) &&
	    vec_set_write(all, &how, NULL, 0, all->rows, store_stage_fd(st), name, &ignored) == 0 &&
	    store_stage_commit(st, key.data, true, &ignored) == 0 &&
	    store_list(cache, "", false, &old, &ignored) == 0)
		for (size_t i = 0; i < old.count; i++)
			if (strcmp(old.name[i], key.data) != 0 &&
			    store_delete(cache, old.name[i], &ignored) != 0)
				break;
	store_stage_free(st);
	store_unlock(lock);
	store_names_release(&old);
	buf_release(&key);
}

/* Open what the cache has in one file and the batches after it. */
static int open_from(const struct batch_list *l, size_t cached, const char *cache_path,
		     struct vec_set *out, struct err *err)
{
	size_t n = l->path.count - cached + (cached > 0), at = 0;
	const char **file = mem_array(n, sizeof *file, err);
	if (!file)
		return -1;
	if (cached)
		file[at++] = cache_path;
	for (size_t i = cached; i < l->path.count; i++)
		file[at++] = l->path.name[i];
	int ret = vec_set_open_newest(out, file, n, &(struct vec_input){.format = VEC_HVEC}, err);
	free(file);
	return ret;
}

int dataset_open_batches(struct store *s, const char *dataset, const struct store_names *batches,
			 size_t loose, struct vec_set *out, struct err *err)
{
	struct batch_list l;
	struct buf path = BUF_INIT;
	struct store *cache = NULL;
	struct err ignored;
	size_t cached = 0;
	int ret = batch_list_init(&l, s, dataset, batches, err);
	*out = (struct vec_set)VEC_SET_INIT;
	if (ret != 0)
		goto out;
	if (batches->count > 1 && (cache = cache_open(s, dataset)))
		cached = cache_find(cache, &l, &path);
	/* A cache that is damaged, or was removed just now, is as good as none. */
	if (cached && open_from(&l, cached, path.data, out, &ignored) != 0)
		cached = 0;
	if (!cached)
		ret = open_from(&l, 0, NULL, out, err);
	if (ret == 0 && cache && batches->count - cached > loose)
		cache_make(cache, out, l.name[batches->count - 1]);
out:
	store_close(cache);
	buf_release(&path);
	batch_list_release(&l);
	return ret;
}

int catalog_dataset_open(struct catalog *c, const char *dataset, const char *bucket,
			 struct vec_set *out, struct err *err)
{
	struct dataset_place place;
	*out = (struct vec_set)VEC_SET_INIT;
	if (dataset_find(c, dataset, bucket, &place, err) != 0)
		return -1;
	int ret = 0;
	if (place.store)
		ret = dataset_open_batches(place.store, dataset, &place.batches, 0, out, err) == 0
			  ? 1
			  : -1;
	else if (place.unreachable)
		ret = err_set(err, ERR_ENV,
			      "dataset '%s' is in no bucket that can be reached; '%s' cannot",
			      dataset, place.unreachable);
	dataset_place_release(&place);
	return ret;
}
