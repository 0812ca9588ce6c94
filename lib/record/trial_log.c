/* SPDX-License-Identifier: MIT */
#include "record/trial_log.h"

#include <unistd.h>

#include "base/io.h"
#include "record/idset.h"

int trial_log_key(struct buf *key, const char *index, struct err *err)
{
	buf_adds(key, "_hnsw_trials/");
	buf_adds(key, index);
	return buf_ok(key, err);
}

int trial_log_ids_key(struct buf *key, const char *index, struct err *err)
{
	return trial_log_key(key, index, err) == 0 ? (buf_adds(key, ".ids"), buf_ok(key, err)) : -1;
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
	struct reading *r = ctx;
	if (!where->cut)
		return take_line(r, line, where->batch, where->line, err);
	warn(r->warn, "skipping '%s' line %llu: longer than %zu bytes", where->batch,
	     (unsigned long long)where->line, JOURNAL_LINE_MAX);
	return 0;
}

int trial_log_read(struct store *bucket, const char *index, bool unique, trial_fn *fn, void *ctx,
		   const struct warn_to *w, struct err *err)
{
	struct reading r = {.fn = fn, .ctx = ctx, .warn = w, .unique = unique};
	struct buf key = BUF_INIT;
	int ret = trial_log_key(&key, index, err);
	if (ret == 0)
		ret = journal_read(bucket, key.data, 0, NULL, take_journal_line, &r, err);
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

/* ---- compacting ---- */

/* The first line of each id; lines without one are all kept. */
static bool keep_line(void *ctx, struct span line)
{
	struct trial t;
	struct err ignored;
	return trial_parse(&t, line, &ignored) != 0 || idset_add(ctx, t.id, &ignored) <= 0;
}

/* The remembered ids belong to batches that are gone. */
static void forget_ids(struct store *bucket, const char *index)
{
	struct buf key = BUF_INIT, path = BUF_INIT;
	struct err ignored;
	if (trial_log_ids_key(&key, index, &ignored) == 0 &&
	    store_cache_path(bucket, key.data, &path, &ignored) == 0)
		(void)unlink(path.data);
	buf_release(&key);
	buf_release(&path);
}

int trial_log_compact(struct store *bucket, const char *index, bool zstd, bool dry_run,
		      struct journal_compaction *out, struct err *err)
{
	struct buf key = BUF_INIT;
	struct idset seen = IDSET_INIT;
	int ret = trial_log_key(&key, index, err);
	if (ret == 0)
		ret = journal_compact(bucket, key.data, STORE_WAIT, zstd, dry_run, keep_line, &seen,
				      out, err);
	if (ret == 0 && !dry_run && out->batches)
		forget_ids(bucket, index);
	idset_release(&seen);
	buf_release(&key);
	return ret;
}
