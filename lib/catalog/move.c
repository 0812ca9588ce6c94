/* SPDX-License-Identifier: MIT */
/*
 * Moving an index to another bucket.  Everything is copied before the IndexMeta names the new
 * bucket, so whoever looks the index up sees it whole in the one or the other, and a move that
 * was interrupted can be run again.  Nothing is removed from the old bucket.
 */
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "record/trial_writer.h"

#define TRIALS_HELD 1000

struct move {
	struct catalog *catalog;
	const char *index;
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

/* The served generations, the pointer to them last. */
static int copy_generations(struct move *m, struct err *err)
{
	struct store_names gens = {0}, files = {0};
	struct buf base = BUF_INIT, dir = BUF_INIT, key = BUF_INIT;
	int ret = join(&base, "_hnsw_active/", m->index, "/", err);
	if (ret == 0)
		ret = join(&dir, "_hnsw_active/", m->index, "", err);
	if (ret == 0)
		ret = store_list(m->from, dir.data, true, &gens, err);
	for (size_t g = 0; ret == 0 && g < gens.count; g++) {
		ret = join(&dir, base.data, gens.name[g], "", err);
		if (ret == 0)
			ret = store_list(m->from, dir.data, false, &files, err);
		for (size_t f = 0; ret == 0 && !m->dry_run && f < files.count; f++) {
			ret = join(&key, dir.data, "/", files.name[f], err);
			if (ret == 0 && copy_blob(m, key.data, err) < 0)
				ret = -1;
		}
		store_names_release(&files);
		m->done->generations += ret == 0;
	}
	if (ret == 0 && gens.count && !m->dry_run) {
		ret = join(&key, base.data, "current.json", "", err);
		if (ret == 0 && copy_blob(m, key.data, err) < 0)
			ret = -1;
	}
	store_names_release(&gens);
	buf_release(&base);
	buf_release(&dir);
	buf_release(&key);
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
	int ret = store_list(m->from, "_hnsw_evals", false, &names, err);
	if (ret != 0)
		return -1;
	for (size_t i = 0; ret == 0 && i < names.count; i++) {
		size_t n = strlen(names.name[i]);
		if (n <= 5 || strcmp(names.name[i] + n - 5, ".json") != 0)
			continue;
		ret = join(&key, "_hnsw_evals/", names.name[i], "", err);
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

/* Hold everybody off the promotions while they are copied and the IndexMeta is changed. */
static int copy_promotions_and_switch(struct move *m, struct index_meta *meta, const char *bucket,
				      struct err *err)
{
	struct buf key = BUF_INIT;
	struct store_lock *lock = NULL;
	int ret = join(&key, "_hnsw_promotions/", m->index, ".json", err);
	if (ret == 0 && !m->dry_run && !(lock = store_lock(m->from, key.data, STORE_WAIT, err)))
		ret = -1;
	if (ret == 0) {
		struct buf text = BUF_INIT;
		int there = store_get(m->from, key.data, &text, NULL, err);
		m->done->promotion = there > 0;
		if (there < 0)
			ret = -1;
		else if (!m->dry_run)
			ret = there ? store_put(m->to, key.data, buf_span(&text), err)
				    : store_delete(m->to, key.data, err);
		buf_release(&text);
	}
	if (ret == 0 && !m->dry_run) {
		ret = index_meta_set(&meta->bucket, bucket, err);
		if (ret == 0)
			ret = catalog_index_put(m->catalog, meta, err);
	}
	store_unlock(lock);
	buf_release(&key);
	return ret;
}

static int move(struct move *m, struct index_meta *meta, const char *bucket, struct err *err)
{
	struct store_lock *lock = NULL;
	if (!m->dry_run && !(lock = catalog_index_lock(m->catalog, m->index, 0, err)))
		return -1;
	int ret = copy_generations(m, err);
	if (ret == 0)
		ret = copy_evalsets(m, meta->eval_set, err);
	if (ret == 0)
		ret = copy_trials(m, err);
	if (ret == 0)
		ret = copy_promotions_and_switch(m, meta, bucket, err);
	/* What was appended to the old journal meanwhile. */
	if (ret == 0 && !m->dry_run)
		ret = copy_trials(m, err);
	store_unlock(lock);
	return ret;
}

int catalog_index_move(struct catalog *c, const char *index, const char *bucket, bool dry_run,
		       struct index_moved *out, struct err *err)
{
	struct index_meta meta;
	int known = catalog_index_get(c, index, &meta, err), ret = -1;
	*out = (struct index_moved){0};
	if (known <= 0)
		return known < 0 ? -1
				 : err_set(err, ERR_NO,
					   "index '%s' is not registered: register it first with "
					   "index-add",
					   index);
	const char *from = meta.bucket && meta.bucket[0] ? meta.bucket : META_BUCKET_DEFAULT;
	struct move m = {.catalog = c, .index = index, .dry_run = dry_run, .done = out};
	out->from = span_dup(span_of(from));
	if (!out->from)
		err_nomem(err);
	else if (strcmp(from, bucket) == 0)
		ret = 0;
	else if ((m.from = buckets_get(c->buckets, from, err)) &&
		 (m.to = buckets_get(c->buckets, bucket, err)))
		ret = move(&m, &meta, bucket, err);
	index_meta_release(&meta);
	return ret;
}
