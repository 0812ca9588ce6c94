/* SPDX-License-Identifier: MIT */
/* trial-append - make Trials durable, then echo them */
#include <string.h>

#include "base/clock.h"
#include "catalog/catalog.h"
#include "cli/cli.h"
#include "record/trial_writer.h"

#define PAUSE_MS 50 /* of the input: then what is held is written */

static struct {
	uint32_t batch;
	const char *store;
} o = {.batch = 4};

static const struct cli_opt opts[] = {
    {0, "batch", "N", "write a batch when N Trials are held (default 4)", CLI_U32, &o.batch, 1,
     1000000, NULL},
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[--batch N] [NAME]",
    .about =
	"Append the Trials on stdin to the journal of index NAME (default: the index that each\n"
	"names) and echo each once it is durable.  A batch is written when N are held, the\n"
	"input pauses for 50 ms, or ends.  A Trial whose id is in the journal is echoed only.",
    CLI_OPTS(opts),
};

struct state {
	struct catalog catalog;
	const char *only;	    /* the index that every Trial must be of, or NULL */
	struct trial_writer writer; /* of the index in hand; index is NULL at first */
	int status;		    /* of lines that were refused */
};

/* Append what is held where the index lives now. */
static int append_held(struct state *s, struct err *err)
{
	struct catalog_index x;
	int ret = catalog_index_hold(&s->catalog, s->writer.index, &x, err);
	if (ret != 0 && err->code == ERR_DATA) {
		/* Of this index nothing can be appended; others may follow. */
		err_prefix(err, "%zu Trials of '%s' are not appended", s->writer.count,
			   s->writer.index);
		s->status = cli_error(&cli, err);
		trial_writer_drop(&s->writer);
		return 0;
	}
	if (ret == 0) {
		trial_writer_follow(&s->writer, x.bucket);
		ret = trial_writer_flush(&s->writer, err);
	}
	catalog_index_release(&x);
	return ret;
}

/* Make what is held durable and echo it. */
static int flush_held(struct state *s, struct err *err)
{
	size_t before = cli_out.b.len;
	int status = s->status;
	if (s->writer.count == 0)
		return 0;
	buf_addspan(&cli_out.b, buf_span(&s->writer.held));
	s->status = 0;
	int ret = append_held(s, err);
	if (ret != 0 || s->status)
		cli_out.b.len = before;
	if (status)
		s->status = status;
	return ret ? ret : io_sink_flush(&cli_out, err);
}

/* Get ready to hold Trials of that index. */
static int turn_to(struct state *s, struct span raw_name, struct err *err)
{
	struct buf name = BUF_INIT;
	if (s->writer.index && scan_text_is(raw_name, span_of(s->writer.index)))
		return 0;
	buf_adds(&name, "");
	scan_decode(raw_name, &name);
	int ret = buf_ok(&name, err);
	if (ret == 0)
		ret = flush_held(s, err);
	if (ret == 0)
		ret = catalog_check_name("index", name.data, err);
	if (ret == 0) {
		trial_writer_release(&s->writer);
		ret = trial_writer_init(&s->writer, NULL, name.data, err);
	}
	buf_release(&name);
	return ret;
}

/* Hold a line.  What is wrong with it is ERR_DATA and the next line can still be taken. */
static int take_line(struct state *s, struct span line, struct err *err)
{
	struct trial t;
	uint64_t at;
	if (trial_parse(&t, line, err) != 0 || trial_check_metrics(&t, err) != 0 ||
	    trial_check_strict(&t, err) != 0)
		return -1;
	if (clock_parse(t.created_at, &at) != 0)
		return err_set(err, ERR_DATA,
			       "created_at is '%.*s', expected a time as 2026-04-16T15:26:21Z",
			       (int)(t.created_at.n < 100 ? t.created_at.n : 100), t.created_at.p);
	if (s->only && !scan_text_is(t.index_name, span_of(s->only)))
		return err_set(err, ERR_DATA,
			       "is of index '%.*s', expected '%s' (hnsw-bench --index sets it)",
			       (int)t.index_name.n, t.index_name.p, s->only);
	if (turn_to(s, t.index_name, err) != 0)
		return -1;
	trial_writer_hold(&s->writer, &t);
	return s->writer.count >= o.batch ? flush_held(s, err) : 0;
}

/* The input cannot be read on; what it had before counts. */
static int end_early(struct state *s, struct err *err)
{
	struct err why = *err;
	if (flush_held(s, err) == 0)
		*err = why;
	return -1;
}

static int run(struct state *s, struct io_lines *lines, struct err *err)
{
	struct span line;
	for (;;) {
		if (s->writer.count) {
			int ready = io_lines_wait(lines, PAUSE_MS, err);
			if (ready < 0 || (ready == 0 && flush_held(s, err) != 0))
				return -1;
		}
		int got = io_lines_next(lines, &line, err);
		if (got < 0)
			return end_early(s, err);
		if (got == 0)
			return flush_held(s, err);
		if (line.n == 0 || take_line(s, line, err) == 0)
			continue;
		if (err->code != ERR_DATA && err->code != ERR_USAGE)
			return -1;
		err->code = ERR_DATA;
		err_prefix(err, "stdin: line %llu", (unsigned long long)lines->number);
		s->status = cli_error(&cli, err);
	}
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct state s = {0};
	struct io_lines lines;
	cli_parse(&cli, argc, argv, 0, 1);
	s.only = cli.n_operands ? cli.operand[0] : NULL;
	s.catalog.warn = cli_warn_to(&cli);
	int ret = s.only ? catalog_check_name("index", s.only, &err) : 0;
	if (ret == 0)
		ret = catalog_open(&s.catalog, cli_store(o.store), false, &err);
	if (ret == 0 && (ret = io_lines_init(&lines, 0, "stdin", TRIAL_LINE_MAX, &err)) == 0) {
		ret = run(&s, &lines, &err);
		io_lines_release(&lines);
	}
	int status = ret == 0 ? s.status : cli_error(&cli, &err);
	trial_writer_release(&s.writer);
	catalog_close(&s.catalog);
	return cli_finish(&cli, status);
}
