/* SPDX-License-Identifier: MIT */
#include "record/trial_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"

#define DAY_US ((uint64_t)86400 * 1000000)
#define LOOK_AGAIN_US 1000000 /* at what others append while we do */

/*
 * One entry of the cache file: the batch of that name has that id.  A batch without any
 * has one entry with the id all zero.
 */
struct cached_id {
	struct digest batch, id;
	uint64_t check; /* XXH64 of the above */
};

int trial_writer_init(struct trial_writer *w, struct store *bucket, const char *index,
		      struct err *err)
{
	*w = (struct trial_writer){.bucket = bucket, .covered = UINT64_MAX};
	w->index = span_dup(span_of(index));
	return w->index ? 0 : err_nomem(err);
}

void trial_writer_release(struct trial_writer *w)
{
	free(w->index);
	free(w->cached);
	buf_release(&w->held);
	buf_release(&w->news);
	idset_release(&w->present);
	idset_release(&w->batches);
	*w = (struct trial_writer){0};
}

void trial_writer_follow(struct trial_writer *w, struct store *bucket)
{
	if (bucket == w->bucket)
		return;
	w->bucket = bucket;
	free(w->cached);
	w->cached = NULL;
	w->n_cached = 0;
	w->looked_us = 0;
	w->covered = UINT64_MAX;
	buf_clear(&w->news);
	idset_release(&w->present);
	idset_release(&w->batches);
}

void trial_writer_drop(struct trial_writer *w)
{
	buf_clear(&w->held);
	w->count = 0;
}

void trial_writer_hold(struct trial_writer *w, const struct trial *t)
{
	buf_addspan(&w->held, t->line);
	buf_addc(&w->held, '\n');
	w->count++;
}

/* ---- the cache ---- */

static uint64_t check_of(const struct cached_id *c)
{
	return digest_xxh64(c, offsetof(struct cached_id, check), 0);
}

static int cache_path(const struct trial_writer *w, struct buf *path, struct err *err)
{
	struct buf key = BUF_INIT;
	int ret = trial_log_ids_key(&key, w->index, err);
	if (ret == 0)
		ret = store_cache_path(w->bucket, key.data, path, err);
	buf_release(&key);
	return ret;
}

/* Read the cache; one that is damaged is thrown away. */
static void load_cache(struct trial_writer *w)
{
	struct buf path = BUF_INIT, data = BUF_INIT;
	struct err ignored;
	if (cache_path(w, &path, &ignored) != 0 ||
	    io_read_file(path.data, (size_t)1 << 30, &data, &ignored) != 0)
		goto out;
	size_t n = data.len / sizeof *w->cached, good = 0;
	w->cached = mem_array(n, sizeof *w->cached, &ignored);
	if (!w->cached)
		goto out;
	if (n)
		memcpy(w->cached, data.data, n * sizeof *w->cached);
	while (good < n && w->cached[good].check == check_of(&w->cached[good]))
		good++;
	if (good != n || data.len % sizeof *w->cached)
		(void)unlink(path.data);
	w->n_cached = good;
out:
	buf_release(&path);
	buf_release(&data);
}

/* Remember that the batch has the id. */
static void note_for_cache(struct trial_writer *w, struct digest batch, struct digest id)
{
	struct cached_id c = {.batch = batch, .id = id};
	c.check = check_of(&c);
	buf_add(&w->news, &c, sizeof c);
}

/* Write the news out.  Losing them costs time only. */
static void save_cache(struct trial_writer *w)
{
	struct buf path = BUF_INIT;
	struct err ignored;
	if (w->news.len && !w->news.failed && cache_path(w, &path, &ignored) == 0) {
		int fd = open(path.data,
			      O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			      0666);
		if (fd >= 0) {
			(void)!io_write_all(fd, w->news.data, w->news.len);
			close(fd);
		}
	}
	buf_clear(&w->news);
	buf_release(&path);
}

/* ---- which ids are there ---- */

/* What the ids of the Trials held say of where they can be. */
struct window {
	uint64_t now, since, newest;
};

/* Call ${fn} with each Trial that is held. */
static int each_held(const struct trial_writer *w, trial_fn *fn, void *ctx, struct err *err)
{
	struct span rest = buf_span(&w->held);
	while (rest.n) {
		size_t n = (size_t)((const char *)memchr(rest.p, '\n', rest.n) - rest.p);
		struct trial t;
		if (trial_parse(&t, (struct span){rest.p, n}, err) != 0 || fn(ctx, &t, err) != 0)
			return -1;
		rest.p += n + 1;
		rest.n -= n + 1;
	}
	return 0;
}

/*
 * A batch's stamp is never below that of the ids in it (short of a day, against broken
 * clocks), so an id can only be in batches from its own time on.
 */
static int widen(void *ctx, const struct trial *t, struct err *err)
{
	struct window *v = ctx;
	uint64_t stamp = trial_id_stamp(t->id);
	(void)err;
	if (stamp > v->now + DAY_US)
		stamp = 0;
	if (stamp < v->since)
		v->since = stamp;
	if (stamp > v->newest)
		v->newest = stamp;
	return 0;
}

/* Batches on their way through a look. */
struct look {
	struct trial_writer *writer;
	struct idset alive; /* batches in the cache that are there */
	struct idset read;  /* batches that were not */
	struct idset names; /* all that the cache has */
	struct err *err;
	bool failed;
};

static bool want_batch(void *ctx, const char *name, uint64_t stamp)
{
	struct look *l = ctx;
	struct span batch = span_of(name);
	if (stamp > l->writer->newest)
		l->writer->newest = stamp;
	if (l->failed || idset_has(&l->writer->batches, batch))
		return false;
	bool cached = idset_has(&l->names, batch);
	if (idset_add(cached ? &l->alive : &l->read, batch, l->err) < 0)
		l->failed = true;
	if (!cached) /* also when none of its lines is a Trial */
		note_for_cache(l->writer, idset_digest(batch), (struct digest){0});
	return !cached && !l->failed;
}

static int take_line(void *ctx, struct span line, const struct journal_place *where,
		     struct err *err)
{
	struct look *l = ctx;
	struct trial t;
	struct err ignored;
	if (trial_parse(&t, line, &ignored) != 0)
		return 0;
	note_for_cache(l->writer, idset_digest(span_of(where->batch)), idset_digest(t.id));
	return idset_add(&l->writer->present, t.id, err) < 0 ? -1 : 0;
}

static int add_all(struct idset *to, const struct idset *from, struct err *err)
{
	for (size_t i = 0; i < from->slots; i++)
		if ((from->slot[i].hi || from->slot[i].lo) &&
		    idset_add_digest(to, from->slot[i], err) < 0)
			return -1;
	return 0;
}

/* Take over what the cache knows of batches that are there. */
static int use_cached(struct look *l, struct err *err)
{
	struct trial_writer *w = l->writer;
	size_t kept = 0;
	for (size_t i = 0; i < w->n_cached; i++) {
		struct cached_id c = w->cached[i];
		if (!idset_has_digest(&l->alive, c.batch))
			w->cached[kept++] = c;
		else if ((c.id.hi || c.id.lo) && idset_add_digest(&w->present, c.id, err) < 0)
			return -1;
	}
	w->n_cached = kept;
	return 0;
}

/* Learn which ids are in the journal from ${v->since} on. */
static int look(struct trial_writer *w, const char *key, const struct window *v, struct err *err)
{
	struct look l = {.writer = w, .err = err};
	int ret = -1;
	if (v->since >= w->covered && v->now - w->looked_us < LOOK_AGAIN_US)
		return 0;
	if (w->looked_us == 0)
		load_cache(w);
	uint64_t since = v->since < w->covered ? v->since : w->covered;
	for (size_t i = 0; i < w->n_cached; i++)
		if (idset_add_digest(&l.names, w->cached[i].batch, err) < 0)
			goto out;
	if (journal_read(w->bucket, key, since, want_batch, take_line, &l, err) != 0 || l.failed)
		goto out;
	if (use_cached(&l, err) != 0 || add_all(&w->batches, &l.alive, err) != 0 ||
	    add_all(&w->batches, &l.read, err) != 0)
		goto out;
	w->covered = since;
	w->looked_us = v->now;
	ret = 0;
out:
	idset_release(&l.alive);
	idset_release(&l.read);
	idset_release(&l.names);
	return ret;
}

/* ---- appending ---- */

struct keep {
	struct trial_writer *writer;
	struct buf lines;
	struct idset ids; /* of these lines */
	bool left_out;	  /* some were there already */
};

static int keep_new(void *ctx, const struct trial *t, struct err *err)
{
	struct keep *k = ctx;
	int seen = idset_add(&k->writer->present, t->id, err);
	if (seen < 0)
		return -1;
	if (seen) {
		k->left_out = true;
		return 0;
	}
	buf_addspan(&k->lines, t->line);
	buf_addc(&k->lines, '\n');
	return idset_add(&k->ids, t->id, err) < 0 ? -1 : 0;
}

/* ${newest}: of the stamps in the ids. */
static int write_batch(struct trial_writer *w, const char *key, const struct keep *k,
		       uint64_t newest, struct err *err)
{
	char name[JOURNAL_NAME_MAX];
	uint64_t after = journal_stamp_after(w->newest);
	if (journal_append(w->bucket, key, buf_span(&k->lines), after > newest ? after : newest,
			   name, err) != 0)
		return -1;
	if (after)
		w->newest = journal_stamp(name);
	struct digest batch = idset_digest(span_of(name));
	for (size_t i = 0; i < k->ids.slots; i++)
		if (k->ids.slot[i].hi || k->ids.slot[i].lo)
			note_for_cache(w, batch, k->ids.slot[i]);
	return idset_add_digest(&w->batches, batch, err) < 0 ? -1 : 0;
}

int trial_writer_flush(struct trial_writer *w, struct err *err)
{
	struct window v = {.now = clock_wall_us(), .since = UINT64_MAX};
	struct keep k = {.writer = w};
	struct buf key = BUF_INIT;
	int ret = -1;
	if (w->count == 0)
		return 0;
	if (buf_ok(&w->held, err) != 0 || trial_log_key(&key, w->index, err) != 0 ||
	    each_held(w, widen, &v, err) != 0 || look(w, key.data, &v, err) != 0 ||
	    each_held(w, keep_new, &k, err) != 0 || buf_ok(&k.lines, err) != 0)
		goto out;
	/* Whoever wrote what is there already may not have come to the end of it. */
	if (k.left_out && k.lines.len == 0 && store_sync(w->bucket, key.data, err) != 0)
		goto out;
	if (k.lines.len && write_batch(w, key.data, &k, v.newest, err) != 0)
		goto out;
	save_cache(w);
	trial_writer_drop(w);
	ret = 0;
out:
	idset_release(&k.ids);
	buf_release(&k.lines);
	buf_release(&key);
	return ret;
}
