/* SPDX-License-Identifier: MIT */
/* Appending batches to a dataset. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "catalog/datasets_internal.h"
#include "record/idset.h"

#define LOOSE_BATCHES 64 /* an append reads at most so many files beside the cache */

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

/* The digest of all values; ERR_DATA if one is not finite. */
static int digest_rows(const struct vec_set *rows, struct digest *out, struct err *err)
{
	struct par *one = par_new(1, err);
	int ret = one ? vec_set_digest(rows, one, out, err) : -1;
	par_free(one);
	return ret;
}

static bool same_ids(const struct vec_set *a, const struct vec_set *b)
{
	char x[VEC_ID_TEXT_MAX], y[VEC_ID_TEXT_MAX];
	for (uint64_t i = 0; i < a->rows; i++)
		if (!span_same(vec_set_id(a, i, x), vec_set_id(b, i, y)))
			return false;
	return true;
}

/* ERR_CONFLICT unless the batch that is there has just these rows. */
static int check_repeated(struct store *s, const struct dataset_append *a, const char *batch,
			  struct err *err)
{
	struct buf path = BUF_INIT;
	struct vec_set there = VEC_SET_INIT;
	struct digest mine, its;
	int ret = dataset_batch_path(s, a->dataset, batch, &path, err);
	const char *file = path.data;
	if (ret == 0)
		ret = vec_set_open(&there, &file, 1, &(struct vec_input){.format = VEC_HVEC}, err);
	if (ret == 0)
		ret = digest_rows(a->rows, &mine, err) || digest_rows(&there, &its, err) ? -1 : 0;
	if (ret == 0 && (there.rows != a->rows->rows || mine.hi != its.hi || mine.lo != its.lo ||
			 !same_ids(&there, a->rows)))
		ret = err_set(err, ERR_CONFLICT,
			      "batch '%s' of dataset '%s' is there with other content", a->batch_id,
			      a->dataset);
	vec_set_release(&there);
	buf_release(&path);
	return ret;
}

/* Count the rows that the new ones replace; unless that is wanted there must be none. */
static int check_against(const struct vec_set *have, const struct dataset_append *a,
			 uint64_t *replaced, struct err *err)
{
	const struct vec_set *rows = a->rows;
	struct idset ids = IDSET_INIT;
	char tmp[VEC_ID_TEXT_MAX];
	int ret = 0;
	if (have->rows && have->dim != rows->dim)
		return err_set(err, ERR_DATA, "the rows have dimension %u, dataset '%s' has %u",
			       rows->dim, a->dataset, have->dim);
	for (uint64_t i = 0; i < have->rows && ret >= 0; i++)
		ret = idset_add(&ids, vec_set_id(have, i, tmp), err);
	for (uint64_t i = 0; i < rows->rows && ret >= 0; i++) {
		struct span id = vec_set_id(rows, i, tmp);
		if (!idset_has(&ids, id))
			continue;
		*replaced += 1;
		if (!a->replace)
			ret = vec_set_fail(rows, i, err, "id '%.*s' is in dataset '%s' already",
					   (int)(id.n < 100 ? id.n : 100), id.p, a->dataset);
	}
	idset_release(&ids);
	return ret < 0 ? -1 : 0;
}

/* A stamp later than every batch's, wherever the clock stands: the newest version of a row is
 * that in the last batch. */
static int next_stamp(const struct store_names *batches, const char *dataset, uint64_t *out,
		      struct err *err)
{
	uint64_t now, last = 0;
	const char *name = batches->count ? batches->name[batches->count - 1] : NULL;
	if (clock_now(&now, err) != 0)
		return -1;
	if (name &&
	    num_u64((struct span){name + strlen("batch_"), 20}, 0, CLOCK_STAMP_MAX - 1, &last) != 0)
		return err_set(err, ERR_DATA,
			       "'%s' of dataset '%s' has the last stamp that there is, or one "
			       "beyond: no batch can follow it",
			       name, dataset);
	*out = now > last ? now : last + 1;
	return 0;
}

static int write_batch(struct store *s, const struct dataset_append *a, uint64_t stamp,
		       struct dataset_appended *out, struct err *err)
{
	const struct vec_set *rows = a->rows;
	struct vec_write how = {.format = VEC_HVEC, .type = vec_set_type(rows)};
	struct buf key = BUF_INIT;
	struct store_stage *st = NULL;
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
			if (!st ||
			    vec_set_write(rows, &how, NULL, 0, rows->rows, store_stage_fd(st),
					  out->batch, err) != 0 ||
			    vec_set_unchanged(rows, 0, NULL, err) != 0)
				ret = -1;
		}
		if (ret == 0)
			ret = store_stage_commit(st, key.data, false, err);
	}
	store_stage_free(st);
	buf_release(&key);
	return ret;
}

/* The bucket of a registered index that has this dataset as its source; else NULL. */
static int registered_bucket(struct catalog *c, const char *dataset, char **bucket, struct err *err)
{
	struct store_names all;
	int ret = catalog_index_list(c, &all, err);
	if (ret != 0)
		return -1;
	*bucket = NULL;
	for (size_t i = 0; ret == 0 && !*bucket && i < all.count; i++) {
		struct index_meta m;
		struct err why = {0};
		if (catalog_index_get(c, all.name[i], &m, &why) < 0) {
			warn(&c->warn, "%s", why.msg);
			continue;
		}
		if (m.source && strcmp(m.source[0] ? m.source : all.name[i], dataset) == 0 &&
		    m.bucket && m.bucket[0] && !(*bucket = span_dup(span_of(m.bucket))))
			ret = err_nomem(err);
		index_meta_release(&m);
	}
	store_names_release(&all);
	return ret;
}

/* Settle where the batch goes. */
static int choose_place(struct catalog *c, const struct dataset_append *a,
			struct dataset_place *place, struct err *err)
{
	char *home = NULL;
	*place = (struct dataset_place){0};
	if (!a->bucket && registered_bucket(c, a->dataset, &home, err) != 0)
		return -1;
	const char *want = a->bucket ? a->bucket : home;
	int ret = dataset_find(c, a->dataset, want, place, err);
	if (ret == 0 && place->store && a->bucket && strcmp(a->bucket, place->bucket) != 0)
		ret = err_set(err, ERR_CONFLICT, "dataset '%s' is in bucket '%s'", a->dataset,
			      place->bucket);
	if (ret == 0 && !place->store && place->unreachable && !want)
		ret = err_set(err, ERR_ENV,
			      "dataset '%s' may be in bucket '%s', which cannot be reached",
			      a->dataset, place->unreachable);
	if (ret == 0 && !place->store &&
	    !(place->store = buckets_get(c->buckets, want ? want : META_BUCKET_DEFAULT, err)))
		ret = -1;
	free(home);
	return ret;
}

static int sync_dataset(struct store *s, const char *dataset, struct err *err)
{
	struct buf key = BUF_INIT;
	int ret = dataset_prefix(&key, dataset, err);
	if (ret == 0)
		ret = store_sync(s, key.data, err);
	buf_release(&key);
	return ret;
}

static int append_locked(struct catalog *c, const struct dataset_append *a,
			 struct dataset_appended *out, struct err *err)
{
	struct dataset_place place;
	struct vec_set have = VEC_SET_INIT;
	struct embedding is = {0};
	const char *again = NULL;
	uint64_t replaced = 0, stamp = 0;
	int ret = choose_place(c, a, &place, err);
	if (ret == 0 && place.batches.count)
		ret = dataset_open_batches(place.store, a->dataset, &place.batches, LOOSE_BATCHES,
					   &have, err);
	if (ret != 0)
		goto out;
	ret = -1;
	out->total = have.rows;
	if (a->batch_id)
		again = named_batch(&place.batches, a->batch_id);
	if (again) {
		snprintf(out->batch, sizeof out->batch, "%s", again);
		out->repeated = true;
		ret = check_repeated(place.store, a, again, err);
		/* Whoever put it there may not have come to the end of it. */
		if (ret == 0 && !a->dry_run)
			ret = sync_dataset(place.store, a->dataset, err);
		goto out;
	}
	int known = dataset_check_embedding(&place, a, &is, err);
	if (known < 0 || check_against(&have, a, &replaced, err) != 0 ||
	    next_stamp(&place.batches, a->dataset, &stamp, err) != 0 ||
	    (!known && !a->dry_run && dataset_keep_embedding(&place, a, err) != 0))
		goto out;
	if (is.embedder && !(a->from && a->from->embedder)) {
		out->taken_for = is;
		is = (struct embedding){0};
	}
	if (!a->dry_run && write_batch(place.store, a, stamp, out, err) != 0)
		goto out;
	out->rows = a->rows->rows;
	out->replaced = replaced;
	out->total += out->rows - replaced;
	ret = 0;
out:
	embedding_release(&is);
	vec_set_release(&have);
	dataset_place_release(&place);
	return ret;
}

int catalog_dataset_append(struct catalog *c, const struct dataset_append *a,
			   struct dataset_appended *out, struct err *err)
{
	struct store *primary;
	struct store_lock *lock = NULL;
	struct buf key = BUF_INIT;
	struct digest ignored;
	*out = (struct dataset_appended){0};
	if (a->rows->rows == 0)
		return err_set(err, ERR_DATA, "there are no rows to append");
	if (!a->rows->id_end)
		return err_set(err, ERR_DATA, "the rows have no ids, which a dataset needs: say --ids FILE, an id a line");
	if (digest_rows(a->rows, &ignored, err) != 0)
		return -1;
	/* One lock whatever the bucket, so that two first batches cannot go to two of them.
	 */
	primary = buckets_get(c->buckets, META_BUCKET_DEFAULT, err);
	int ret = primary ? dataset_prefix(&key, a->dataset, err) : -1;
	if (ret == 0 && !a->dry_run && !(lock = store_lock(primary, key.data, STORE_WAIT, err)))
		ret = -1;
	if (ret == 0)
		ret = append_locked(c, a, out, err);
	store_unlock(lock);
	buf_release(&key);
	return ret;
}
