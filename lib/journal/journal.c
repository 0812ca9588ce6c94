/* SPDX-License-Identifier: MIT */
/* Batches of lines: appending them, reading them in order, merging them. */
#include "journal/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"

#define STAMP_DIGITS 20
#define READ_TRIES 100 /* each after a compaction of its own */

/* A batch by its name. */
struct batch {
	const char *name;
	uint64_t stamp;
	bool compacted;
};

struct batches {
	struct store_names names;
	struct batch *batch;
	size_t count;
};

/* 1; 0: the name is of no batch; -1: of one with a stamp above CLOCK_STAMP_MAX. */
static int parse_name(const char *name, struct batch *b)
{
	const char *p = name;
	*b = (struct batch){.name = name};
	if (strncmp(p, "batch_", 6) != 0)
		return false;
	p += 6;
	if (strncmp(p, "compacted_", 10) == 0) {
		b->compacted = true;
		p += 10;
	}
	struct span stamp = {p, strspn(p, "0123456789")};
	p += stamp.n;
	if (stamp.n != STAMP_DIGITS ||
	    (strcmp(p, ".jsonl") != 0 && !(b->compacted && strcmp(p, ".jsonl.zst") == 0)))
		return 0;
	return num_u64(stamp, 0, CLOCK_STAMP_MAX, &b->stamp) == 0 ? 1 : -1;
}

/*
 * What was compacted first, the newest before all, which has the lines of the others in their
 * order; then by stamp.  So it does not matter which of the inputs are left after a crash.
 */
static int in_order(const void *a, const void *b)
{
	const struct batch *x = a, *y = b;
	if (x->compacted != y->compacted)
		return y->compacted - x->compacted;
	if (x->stamp != y->stamp)
		return (x->stamp < y->stamp ? -1 : 1) * (x->compacted ? -1 : 1);
	return strcmp(x->name, y->name);
}

uint64_t journal_stamp(const char *batch)
{
	struct batch b;
	return parse_name(batch, &b) > 0 ? b.stamp : 0;
}

uint64_t journal_stamp_after(uint64_t newest)
{
	return newest < CLOCK_STAMP_MAX ? newest + 1 : 0;
}

static uint64_t newest_stamp(const struct batches *list)
{
	uint64_t newest = 0;
	for (size_t i = 0; i < list->count; i++)
		if (list->batch[i].stamp > newest)
			newest = list->batch[i].stamp;
	return newest;
}

static void batches_release(struct batches *b)
{
	free(b->batch);
	store_names_release(&b->names);
	*b = (struct batches){0};
}

static int list_batches(struct store *s, const char *prefix, uint64_t since, struct batches *out,
			struct err *err)
{
	*out = (struct batches){0};
	if (store_list(s, prefix, false, &out->names, err) != 0)
		return -1;
	out->batch = mem_array(out->names.count, sizeof *out->batch, err);
	if (!out->batch) {
		batches_release(out);
		return -1;
	}
	for (size_t i = 0; i < out->names.count; i++) {
		struct batch b;
		int is = parse_name(out->names.name[i], &b);
		if (is < 0) {
			err_set(err, ERR_DATA, "'%s' in '%s' has a stamp above %" PRIu64,
				out->names.name[i], prefix, CLOCK_STAMP_MAX);
			batches_release(out);
			return -1;
		}
		if (is && b.stamp >= since)
			out->batch[out->count++] = b;
	}
	if (out->count)
		qsort(out->batch, out->count, sizeof *out->batch, in_order);
	return 0;
}

static int make_key(struct buf *key, const char *prefix, const char *name, struct err *err)
{
	buf_clear(key);
	buf_adds(key, prefix);
	buf_addc(key, '/');
	buf_adds(key, name);
	return buf_ok(key, err);
}

static int no_stamp_left(const char *what, struct err *err)
{
	return err_set(err, ERR_DATA, "'%s' has the last stamp that there is", what);
}

int journal_append(struct store *s, const char *prefix, struct span lines, uint64_t min_stamp,
		   char name[static JOURNAL_NAME_MAX], struct err *err)
{
	struct buf key = BUF_INIT;
	uint64_t stamp;
	int ret = clock_now(&stamp, err) == 0 ? 1 : -1;
	if (ret > 0 && stamp < min_stamp)
		stamp = min_stamp;
	while (ret == 1) {
		if (stamp > CLOCK_STAMP_MAX) {
			ret = no_stamp_left(prefix, err);
			break;
		}
		snprintf(name, JOURNAL_NAME_MAX, "batch_%0*" PRIu64 ".jsonl", STAMP_DIGITS,
			 stamp++);
		ret = make_key(&key, prefix, name, err);
		if (ret == 0)
			ret = store_create(s, key.data, lines, err);
	}
	buf_release(&key);
	return ret;
}

/* ---- reading ---- */

struct reader {
	journal_want_fn *want;
	journal_fn *fn;
	void *ctx;
	struct journal_place where;
	struct buf partial; /* of a line that goes on in the next piece */
	int stopped;
};

static int hand_out(struct reader *r, struct span line, struct err *err)
{
	r->where.line++;
	r->where.cut = line.n > JOURNAL_LINE_MAX;
	if (r->where.cut)
		line.n = JOURNAL_LINE_MAX;
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n == 0)
		return 0;
	r->stopped = r->fn(r->ctx, line, &r->where, err);
	return r->stopped;
}

/*
 * Keep the beginning of a line.  One byte more than JOURNAL_LINE_MAX shows that it is too long; what
 * follows is dropped, so a line takes no more memory however much it unpacks to.
 */
static int add_partial(struct reader *r, struct span part, struct err *err)
{
	size_t room = JOURNAL_LINE_MAX + 1 - r->partial.len;
	buf_add(&r->partial, part.p, part.n < room ? part.n : room);
	return buf_ok(&r->partial, err);
}

static int take_piece(void *ctx, struct span piece, struct err *err)
{
	struct reader *r = ctx;
	while (piece.n) {
		const char *nl = memchr(piece.p, '\n', piece.n);
		size_t n = nl ? (size_t)(nl - piece.p) : piece.n;
		if (!nl)
			return add_partial(r, piece, err);
		int stop;
		if (r->partial.len) {
			if (add_partial(r, (struct span){piece.p, n}, err) != 0)
				return -1;
			stop = hand_out(r, buf_span(&r->partial), err);
			buf_clear(&r->partial);
		} else {
			stop = hand_out(r, (struct span){piece.p, n}, err);
		}
		if (stop)
			return stop;
		piece.p += n + 1;
		piece.n -= n + 1;
	}
	return 0;
}

/* A last line without its newline. */
static int take_rest(struct reader *r, struct err *err)
{
	int stop = r->partial.len ? hand_out(r, buf_span(&r->partial), err) : 0;
	buf_clear(&r->partial);
	return stop;
}

/* 1: read; 0: the batch is gone; -1: stopped or failed. */
static int read_batch(struct store *s, const char *key, const struct batch *b, struct reader *r,
		      struct err *err)
{
	r->where = (struct journal_place){.batch = b->name};
	buf_clear(&r->partial);
	int got = store_read(s, key, take_piece, r, err);
	if (got > 0 && take_rest(r, err) != 0)
		got = -1;
	return got;
}

static bool has_name(const struct batches *b, const char *name)
{
	for (size_t i = 0; i < b->count; i++)
		if (strcmp(b->batch[i].name, name) == 0)
			return true;
	return false;
}

/* Whether a compaction finished since ${before} was listed. */
static int was_compacted(struct store *s, const char *prefix, uint64_t since,
			 const struct batches *before, struct err *err)
{
	struct batches now;
	if (list_batches(s, prefix, since, &now, err) != 0)
		return -1;
	int found = 0;
	for (size_t i = 0; i < now.count && !found; i++)
		found = now.batch[i].compacted && !has_name(before, now.batch[i].name);
	batches_release(&now);
	return found;
}

/* Visit every line once; 1: done, 0: start over, -1. */
static int read_once(struct store *s, const char *prefix, uint64_t since, struct reader *r,
		     struct err *err)
{
	struct batches list;
	struct buf key = BUF_INIT;
	if (list_batches(s, prefix, since, &list, err) != 0)
		return -1;
	int got = 1;
	for (size_t i = 0; i < list.count && got > 0; i++) {
		if (r->want && !r->want(r->ctx, list.batch[i].name, list.batch[i].stamp))
			continue;
		got = make_key(&key, prefix, list.batch[i].name, err);
		if (got == 0)
			got = read_batch(s, key.data, &list.batch[i], r, err);
	}
	if (got > 0) {
		int compacted = was_compacted(s, prefix, since, &list, err);
		got = compacted < 0 ? -1 : !compacted;
	}
	buf_release(&key);
	batches_release(&list);
	return got;
}

int journal_read(struct store *s, const char *prefix, uint64_t since, journal_want_fn *want,
		 journal_fn *fn, void *ctx, struct err *err)
{
	struct reader r = {.want = want, .fn = fn, .ctx = ctx};
	int got = 0;
	for (int i = 0; got == 0 && i < READ_TRIES; i++)
		got = read_once(s, prefix, since, &r, err);
	if (got == 0)
		got = err_set(err, ERR_TEMP, "the batches of '%s' keep changing", prefix);
	buf_release(&r.partial);
	return got > 0 ? 0 : r.stopped ? r.stopped : -1;
}

int journal_newest(struct store *s, const char *prefix, uint64_t *stamp, struct err *err)
{
	struct batches list;
	if (list_batches(s, prefix, 0, &list, err) != 0)
		return -1;
	*stamp = newest_stamp(&list);
	batches_release(&list);
	return 0;
}

/* ---- compacting ---- */

struct copy {
	struct store_stage *stage;
	journal_keep_fn *keep;
	void *ctx;
	struct buf out;
	uint64_t lines;
};

static int copy_line(void *ctx, struct span line, const struct journal_place *where,
		     struct err *err)
{
	struct copy *c = ctx;
	if (where->cut)
		return err_set(err, ERR_DATA, "'%s' line %" PRIu64 " is longer than %zu bytes",
			       where->batch, where->line, JOURNAL_LINE_MAX);
	if (c->keep && !c->keep(c->ctx, line))
		return 0;
	c->lines++;
	buf_addspan(&c->out, line);
	buf_addc(&c->out, '\n');
	if (c->out.len < (size_t)1 << 20)
		return 0;
	if (buf_ok(&c->out, err) != 0 || store_stage_add(c->stage, buf_span(&c->out), err) != 0)
		return -1;
	buf_clear(&c->out);
	return 0;
}

/* Copy every batch of the list. */
static int copy_batches(struct store *s, const char *prefix, const struct batches *list,
			struct copy *c, struct err *err)
{
	struct reader r = {.fn = copy_line, .ctx = c};
	struct buf key = BUF_INIT;
	int got = 1;
	for (size_t i = 0; i < list->count && got > 0; i++) {
		got = make_key(&key, prefix, list->batch[i].name, err);
		if (got == 0)
			got = read_batch(s, key.data, &list->batch[i], &r, err);
		if (got == 0)
			got =
			    err_set(err, ERR_CONFLICT, "batch '%s' vanished", list->batch[i].name);
	}
	if (got > 0 &&
	    (buf_ok(&c->out, err) != 0 || store_stage_add(c->stage, buf_span(&c->out), err) != 0))
		got = -1;
	buf_release(&key);
	buf_release(&r.partial);
	return got > 0 ? 0 : -1;
}

static int remove_batches(struct store *s, const char *prefix, const struct batches *list,
			  struct err *err)
{
	struct buf key = BUF_INIT;
	int ret = 0;
	for (size_t i = list->count; i-- > 0 && ret == 0;) {
		ret = make_key(&key, prefix, list->batch[i].name, err);
		if (ret == 0)
			ret = store_delete(s, key.data, err);
	}
	buf_release(&key);
	return ret;
}

static void compacted_name(char *out, size_t size, uint64_t stamp, bool zstd)
{
	snprintf(out, size, "batch_compacted_%0*" PRIu64 ".jsonl%s", STAMP_DIGITS, stamp,
		 zstd ? ".zst" : "");
}

/* Write what the list holds under the stamp of its newest, or the next free one. */
static int write_compacted(struct store *s, const char *prefix, const struct batches *list,
			   bool zstd, struct copy *c, struct journal_compaction *out,
			   struct err *err)
{
	struct buf key = BUF_INIT;
	uint64_t stamp = newest_stamp(list);
	int ret = -1;
	compacted_name(out->into, sizeof out->into, stamp, zstd);
	if (make_key(&key, prefix, out->into, err) != 0)
		goto out;
	c->stage = store_stage_open(s, key.data, err);
	if (!c->stage || copy_batches(s, prefix, list, c, err) != 0)
		goto out;
	while ((ret = store_stage_commit(c->stage, key.data, false, err)) == 1) {
		if (stamp == CLOCK_STAMP_MAX) {
			ret = no_stamp_left(key.data, err);
			goto out;
		}
		compacted_name(out->into, sizeof out->into, ++stamp, zstd);
		if (make_key(&key, prefix, out->into, err) != 0) {
			ret = -1;
			goto out;
		}
	}
out:
	store_stage_free(c->stage);
	buf_release(&c->out);
	buf_release(&key);
	return ret;
}

int journal_compact(struct store *s, const char *prefix, int wait_ms, bool zstd, bool dry_run,
		    journal_keep_fn *keep, void *ctx, struct journal_compaction *out,
		    struct err *err)
{
	struct batches list = {0};
	struct copy c = {.keep = keep, .ctx = ctx};
	int ret = -1;
	*out = (struct journal_compaction){0};
	struct store_lock *lock = store_lock(s, prefix, wait_ms, err);
	if (!lock || list_batches(s, prefix, 0, &list, err) != 0)
		goto out;
	ret = 0;
	/* One batch that is compacted already, in the form asked for, is all there is to reach. */
	if (list.count == 0 || (list.count == 1 && list.batch[0].compacted &&
				zstd == (strstr(list.batch[0].name, ".zst") != NULL))) {
		if (list.count)
			snprintf(out->into, sizeof out->into, "%s", list.batch[0].name);
		goto out;
	}
	out->batches = list.count;
	if (dry_run)
		goto out;
	ret = write_compacted(s, prefix, &list, zstd, &c, out, err);
	out->lines = c.lines;
	if (ret == 0)
		ret = remove_batches(s, prefix, &list, err);
out:
	batches_release(&list);
	store_unlock(lock);
	return ret;
}
