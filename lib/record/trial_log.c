/* SPDX-License-Identifier: MIT */
#include "record/trial_log.h"

#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "record/idset.h"

#define DAY_US ((uint64_t)86400 * 1000000)

static int log_prefix(struct buf *key, const char *index, struct err *err)
{
	buf_adds(key, "_hnsw_trials/");
	buf_adds(key, index);
	return buf_ok(key, err);
}

/* ---- reading ---- */

struct reading {
	trial_fn *fn;
	void *ctx;
	const struct warn_to *warn;
	bool unique;
	struct idset seen;
};

/* ${what}, ${number}: where the line stands, for the warning. */
static int take_line(struct reading *r, struct span line, const char *what, uint64_t number,
		     struct err *err)
{
	struct trial t;
	struct err why;
	if (trial_parse(&t, line, &why) != 0) {
		warn(r->warn, "skipping '%s' line %llu: %s", what, (unsigned long long)number,
		     why.msg);
		return 0;
	}
	if (r->unique) {
		int seen = idset_add(&r->seen, t.id, err);
		if (seen)
			return seen < 0 ? -1 : 0;
	}
	return r->fn(r->ctx, &t, err);
}

static int take_journal_line(void *ctx, struct span line, const struct journal_place *where,
			     struct err *err)
{
	return take_line(ctx, line, where->batch, where->line, err);
}

int trial_log_read(struct store *bucket, const char *index, bool unique, trial_fn *fn, void *ctx,
		   const struct warn_to *w, struct err *err)
{
	struct reading r = {.fn = fn, .ctx = ctx, .warn = w, .unique = unique};
	struct buf key = BUF_INIT;
	int ret = log_prefix(&key, index, err);
	if (ret == 0)
		ret = journal_read(bucket, key.data, 0, take_journal_line, &r, err);
	idset_release(&r.seen);
	buf_release(&key);
	return ret;
}

int trial_stream_read(int fd, const char *name, bool unique, trial_fn *fn, void *ctx,
		      const struct warn_to *w, struct err *err)
{
	struct reading r = {.fn = fn, .ctx = ctx, .warn = w, .unique = unique};
	struct io_lines lines;
	struct span line;
	if (io_lines_init(&lines, fd, name, TRIAL_LINE_MAX, err) != 0)
		return -1;
	int got, ret = 0;
	while ((got = io_lines_next(&lines, &line, err)) > 0) {
		if (line.n == 0)
			continue;
		ret = take_line(&r, line, name, lines.number, err);
		if (ret != 0)
			break;
	}
	io_lines_release(&lines);
	idset_release(&r.seen);
	return got < 0 ? -1 : ret;
}

struct finding {
	struct span id;
	struct buf *line;
};

static int match_id(void *ctx, const struct trial *t, struct err *err)
{
	struct finding *f = ctx;
	if (!scan_text_is(t->id, f->id))
		return 0;
	buf_clear(f->line);
	buf_addspan(f->line, t->line);
	return buf_ok(f->line, err) == 0 ? 1 : -1;
}

int trial_log_find(struct store *bucket, const char *index, struct span id, struct buf *line,
		   struct trial *t, const struct warn_to *w, struct err *err)
{
	struct finding f = {id, line};
	int found = trial_log_read(bucket, index, false, match_id, &f, w, err);
	if (found > 0 && trial_parse(t, buf_span(line), err) != 0)
		return -1;
	return found;
}

/* ---- writing ---- */

void trial_batch_release(struct trial_batch *b)
{
	buf_release(&b->lines);
	b->count = 0;
}

/* Call ${fn} with each Trial of a batch. */
static int each_trial(const struct trial_batch *b, trial_fn *fn, void *ctx, struct err *err)
{
	struct span rest = buf_span(&b->lines);
	while (rest.n) {
		const char *nl = memchr(rest.p, '\n', rest.n);
		size_t n = nl ? (size_t)(nl - rest.p) : rest.n;
		struct trial t;
		if (trial_parse(&t, (struct span){rest.p, n}, err) != 0 || fn(ctx, &t, err) != 0)
			return -1;
		rest.p += n + (nl != NULL);
		rest.n -= n + (nl != NULL);
	}
	return 0;
}

struct appending {
	struct idset ids;     /* of the batch */
	struct idset present; /* of these, in the journal already or taken from the batch */
	uint64_t now, since, stamp;
	struct buf lines;
};

/*
 * A batch's stamp is never below that of the ids in it (short of a day, against broken
 * clocks), so an id can only be in batches from its own time on.
 */
static int note_id(void *ctx, const struct trial *t, struct err *err)
{
	struct appending *a = ctx;
	uint64_t stamp = trial_id_stamp(t->id);
	if (stamp > a->now + DAY_US)
		stamp = 0;
	if (stamp < a->since)
		a->since = stamp;
	if (stamp > a->stamp)
		a->stamp = stamp;
	return idset_add(&a->ids, t->id, err) < 0 ? -1 : 0;
}

static int note_present(void *ctx, struct span line, const struct journal_place *where,
			struct err *err)
{
	struct appending *a = ctx;
	struct trial t;
	struct err ignored;
	(void)where;
	if (trial_parse(&t, line, &ignored) != 0 || !idset_has(&a->ids, t.id))
		return 0;
	return idset_add(&a->present, t.id, err) < 0 ? -1 : 0;
}

static int keep_new(void *ctx, const struct trial *t, struct err *err)
{
	struct appending *a = ctx;
	int seen = idset_add(&a->present, t->id, err);
	if (seen == 0) {
		buf_addspan(&a->lines, t->line);
		buf_addc(&a->lines, '\n');
	}
	return seen < 0 ? -1 : 0;
}

int trial_log_append(struct store *bucket, const char *index, const struct trial_batch *b,
		     struct err *err)
{
	struct appending a = {.now = clock_wall_us(), .since = UINT64_MAX};
	struct buf key = BUF_INIT;
	int ret = -1;
	if (log_prefix(&key, index, err) != 0 || each_trial(b, note_id, &a, err) != 0)
		goto out;
	if (journal_read(bucket, key.data, a.since, note_present, &a, err) != 0)
		goto out;
	if (each_trial(b, keep_new, &a, err) != 0 || buf_ok(&a.lines, err) != 0)
		goto out;
	ret = a.lines.len ? journal_append(bucket, key.data, buf_span(&a.lines), a.stamp, err) : 0;
out:
	idset_release(&a.ids);
	idset_release(&a.present);
	buf_release(&a.lines);
	buf_release(&key);
	return ret;
}

/* The first line of each id; lines without one are all kept. */
static bool keep_line(void *ctx, struct span line)
{
	struct trial t;
	struct err ignored;
	return trial_parse(&t, line, &ignored) != 0 || idset_add(ctx, t.id, &ignored) <= 0;
}

int trial_log_compact(struct store *bucket, const char *index, bool zstd, bool dry_run,
		      struct journal_compaction *out, struct err *err)
{
	struct buf key = BUF_INIT;
	struct idset seen = IDSET_INIT;
	int ret = log_prefix(&key, index, err);
	if (ret == 0)
		ret = journal_compact(bucket, key.data, zstd, dry_run, keep_line, &seen, out, err);
	idset_release(&seen);
	buf_release(&key);
	return ret;
}
