/* SPDX-License-Identifier: MIT */
/*
 * Moving an index to another bucket.  Most is copied while others go on writing for the index.
 * Then nobody may write for it; what came meanwhile is copied, and the IndexMeta is changed: that
 * is the moment of the move.  So whoever looks the index up sees it whole in the one bucket or
 * the other, and a move that was interrupted can be run again.  Nothing is removed from the old
 * bucket.
 */
#include <stdlib.h>
#include <string.h>

#include "catalog/index_internal.h"
#include "catalog/layout.h"
#include "record/trial_writer.h"

#define TRIALS_HELD 1000

struct move {
	struct catalog *catalog;
	const char *index;
	const char *from_name, *to_name;
	struct store *from, *to;
	bool dry_run;
	struct index_moved *done;
};

/* ---- blobs ---- */

static int stage_piece(void *ctx, struct span piece, struct err *err)
{
	return store_stage_add(ctx, piece, err);
}

/* Copy a blob as it is.  1; 0: there is none; -1. */
static int copy_blob(struct move *m, const char *key, struct err *err)
{
	struct store_stage *st = store_stage_open(m->to, key, err);
	int ret = st ? store_read(m->from, key, stage_piece, st, err) : -1;
	if (ret > 0 && store_stage_commit(st, key, true, err) != 0)
		ret = -1;
	store_stage_free(st);
	return ret;
}

static int join(struct buf *key, const char *a, const char *b, const char *c, struct err *err)
{
	buf_clear(key);
	buf_adds(key, a);
	buf_adds(key, b);
	buf_adds(key, c);
	return buf_ok(key, err);
}

/* The blob that is there now goes in place of whatever an earlier stay left. */
static int copy_or_remove(struct move *m, const char *key, struct err *err)
{
	int there = copy_blob(m, key, err);
	return there < 0 ? -1 : there ? 0 : store_delete(m->to, key, err);
}

static int copy_generation(struct move *m, const char *dir, struct err *err)
{
	struct store_names files;
	struct buf key = BUF_INIT;
	int ret = store_list(m->from, dir, false, &files, err);
	if (ret != 0)
		return -1;
	for (size_t f = 0; ret == 0 && !m->dry_run && f < files.count; f++) {
		ret = join(&key, dir, "/", files.name[f], err);
		if (ret == 0 && copy_blob(m, key.data, err) < 0)
			ret = -1;
	}
	store_names_release(&files);
	buf_release(&key);
	return ret;
}

/* The served generations, the pointer to them last. */
static int copy_generations(struct move *m, struct err *err)
{
	struct store_names gens = {0};
	struct buf base = BUF_INIT, dir = BUF_INIT, pointer = BUF_INIT;
	int ret = layout_key(&base, LAYOUT_SERVED, m->index, err);
	if (ret == 0)
		ret = store_list(m->from, base.data, true, &gens, err);
	for (size_t g = 0; ret == 0 && g < gens.count; g++) {
		ret = join(&dir, base.data, "/", gens.name[g], err);
		if (ret == 0)
			ret = copy_generation(m, dir.data, err);
	}
	if (ret == 0)
		ret = layout_key(&pointer, LAYOUT_CURRENT, m->index, err);
	if (ret == 0 && !m->dry_run)
		ret = copy_or_remove(m, pointer.data, err);
	m->done->generations = gens.count;
	store_names_release(&gens);
	buf_release(&base);
	buf_release(&dir);
	buf_release(&pointer);
	return ret;
}

/* ---- eval sets ---- */

static int get_evalset(struct store *s, const char *key, struct buf *text, struct evalset *e,
		       struct err *err)
{
	*e = (struct evalset){0};
	buf_clear(text);
	int there = store_get(s, key, text, NULL, err);
	if (there > 0 && evalset_parse(e, buf_span(text), err) != 0)
		there = err_prefix(err, "eval set '%s'", key);
	return there;
}

static bool is_of(const struct evalset *e, const char *index)
{
	return e->index_name && strcmp(e->index_name, index) == 0;
}

static int copy_evalset(struct move *m, const char *key, const char *canonical, struct err *err)
{
	struct evalset e, other = {0};
	struct buf text = BUF_INIT, other_text = BUF_INIT;
	int ret = get_evalset(m->from, key, &text, &e, err) < 0 ? -1 : 0;
	bool mine = ret == 0 && e.name &&
		    (is_of(&e, m->index) || (canonical && strcmp(e.name, canonical) == 0));
	if (mine) {
		int there = get_evalset(m->to, key, &other_text, &other, err);
		if (there < 0)
			ret = -1;
		else if (there && !is_of(&other, m->index) &&
			 (text.len != other_text.len ||
			  memcmp(text.data, other_text.data, text.len) != 0))
			ret = err_set(err, ERR_CONFLICT,
				      "the other bucket has an eval set '%s' of another index",
				      e.name);
		else if (!m->dry_run)
			ret = store_put(m->to, key, buf_span(&text), err);
		m->done->evalsets += ret == 0;
	}
	evalset_release(&e);
	evalset_release(&other);
	buf_release(&text);
	buf_release(&other_text);
	return ret;
}

static int copy_evalsets(struct move *m, const char *canonical, struct err *err)
{
	struct store_names names;
	struct buf key = BUF_INIT;
	int ret = layout_list(m->from, LAYOUT_EVALSET, &names, err);
	if (ret != 0)
		return -1;
	m->done->evalsets = 0;
	for (size_t i = 0; ret == 0 && i < names.count; i++) {
		ret = layout_key(&key, LAYOUT_EVALSET, names.name[i], err);
		if (ret == 0)
			ret = copy_evalset(m, key.data, canonical, err);
	}
	store_names_release(&names);
	buf_release(&key);
	return ret;
}

/* ---- Trials ---- */

struct carry {
	struct trial_writer *to; /* NULL: only count */
	uint64_t held, count;
};

static int carry_trial(void *ctx, const struct trial *t, struct err *err)
{
	struct carry *y = ctx;
	y->count++;
	if (!y->to)
		return 0;
	trial_writer_hold(y->to, t);
	if (++y->held < TRIALS_HELD)
		return 0;
	y->held = 0;
	return trial_writer_flush(y->to, err);
}

/* Trials that the new journal has are not written again. */
static int copy_trials(struct move *m, struct err *err)
{
	struct trial_writer w;
	struct carry y = {.to = m->dry_run ? NULL : &w};
	if (y.to && trial_writer_init(&w, m->to, m->index, err) != 0)
		return -1;
	int ret = trial_log_read(m->from, m->index, true, carry_trial, &y, &m->catalog->warn, err);
	if (ret == 0 && y.to)
		ret = trial_writer_flush(&w, err);
	if (y.to)
		trial_writer_release(&w);
	m->done->trials = y.count;
	return ret;
}

/* ---- the promotion file, and the switch ---- */

static int copy_promotions(struct move *m, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	int ret = layout_key(&key, LAYOUT_PROMOTIONS, m->index, err);
	int there = ret == 0 ? store_get(m->from, key.data, &text, NULL, err) : -1;
	m->done->promotion = there > 0;
	if (there < 0)
		ret = -1;
	else if (!m->dry_run)
		ret = copy_or_remove(m, key.data, err);
	buf_release(&key);
	buf_release(&text);
	return ret;
}

/* ERR_CONFLICT if it lives elsewhere by now. */
static int name_bucket(void *ctx, struct index_meta *meta, bool registered, struct err *err)
{
	struct move *m = ctx;
	if (!registered || strcmp(catalog_home(meta), m->from_name) != 0)
		return err_set(err, ERR_CONFLICT, "index '%s' is no longer in bucket '%s'",
			       m->index, m->from_name);
	return index_meta_set(&meta->bucket, m->to_name, err);
}

static int copy_all(struct move *m, const char *canonical, struct err *err)
{
	return copy_evalsets(m, canonical, err) != 0 || copy_trials(m, err) != 0 ||
		       copy_promotions(m, err) != 0
		   ? -1
		   : 0;
}

/* While nobody writes for it: what came meanwhile, then the change. */
static int switch_over(struct move *m, struct err *err)
{
	struct index_meta meta = {0}, now = {0};
	struct store_lock *place = catalog_place_lock(m->catalog, m->index, true, err);
	int ret = -1;
	if (!place || catalog_index_get(m->catalog, m->index, &now, err) < 0 ||
	    copy_all(m, now.eval_set, err) != 0)
		goto out;
	ret = catalog_index_change(m->catalog, m->index, false, name_bucket, m, &meta, err);
out:
	index_meta_release(&now);
	index_meta_release(&meta);
	store_unlock(place);
	return ret;
}

static int move(struct move *m, const struct catalog_index *x, struct err *err)
{
	m->from = x->bucket;
	m->to = buckets_get(m->catalog->buckets, m->to_name, err);
	if (!m->to || copy_generations(m, err) != 0 || copy_all(m, x->meta.eval_set, err) != 0)
		return -1;
	return m->dry_run ? 0 : switch_over(m, err);
}

int catalog_index_move(struct catalog *c, const char *index, const char *bucket, bool dry_run,
		       struct index_moved *out, struct err *err)
{
	struct catalog_index x = {0};
	struct store_lock *lock = NULL;
	struct move m = {.catalog = c, .index = index, .to_name = bucket, .dry_run = dry_run, .done = out};
	int ret = -1;
	*out = (struct index_moved){0};
	if (catalog_index_open(c, index, &x, err) != 0)
		return -1;
	if (!x.registered) {
		err_set(err, ERR_NO, "index '%s' is not registered: register it first with index-add",
			index);
		goto out;
	}
	if (!dry_run) {
		/* Where it lives is read again under the lock, as it may have been moved. */
		lock = catalog_index_lock(c, index, STORE_WAIT, err);
		catalog_index_release(&x);
		if (!lock || catalog_index_open(c, index, &x, err) != 0 ||
		    catalog_index_sync(c, err) != 0)
			goto out;
	}
	m.from_name = catalog_home(&x.meta);
	out->from = span_dup(span_of(m.from_name));
	if (!out->from)
		err_nomem(err);
	else
		ret = strcmp(m.from_name, bucket) == 0 ? 0 : move(&m, &x, err);
out:
	catalog_index_release(&x);
	store_unlock(lock);
	return ret;
}
