/* SPDX-License-Identifier: MIT */
#include "embed/texts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/scan.h"

#define LINE_MAX_BYTES ((size_t)16 << 20)
#define WINDOW_BYTES ((size_t)64 << 20)

/* A line that waits for its window to be full: where its parts begin in ${held}. */
struct line {
	bool has_id;
	size_t id, text, end;
	uint64_t number;
};

/* Texts that are embedded together. */
struct window {
	struct texts *t;
	const char *name;
	struct line *line;
	struct span *text;
	size_t n, room;
	struct buf held;
};

static int parse_line(struct window *w, struct line *l, struct span line, struct err *err)
{
	struct scan s;
	struct span key, id = {0}, text = {0};
	bool quoted = false;
	scan_init(&s, line);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "id")) {
				if (id.p)
					scan_fail(&s, "key 'id' given twice");
				quoted = scan_peek(&s) == '"';
				if (quoted)
					scan_string(&s, &id);
				else if (scan_peek(&s) == '0')
					scan_skip(&s, &id);
				else
					scan_fail(&s, "expected a string or a number as id");
			} else if (span_is(key, "text")) {
				if (text.p)
					scan_fail(&s, "key 'text' given twice");
				scan_string(&s, &text);
			} else {
				scan_skip(&s, NULL);
			}
		}
	if (!scan_end(&s))
		return scan_err(&s, err);
	if (!text.p)
		return err_set(err, ERR_DATA, "has no key 'text'");
	l->has_id = id.p != NULL;
	if (quoted)
		scan_decode(id, &w->held);
	else
		buf_addspan(&w->held, id);
	l->text = w->held.len;
	scan_decode(text, &w->held);
	return 0;
}

/* Other texts would not stay apart on their way: what a request or a record holds is UTF-8. */
static int check_plain(struct span line, struct err *err)
{
	if (!scan_is_utf8(line))
		return err_set(err, ERR_DATA, "has bytes that are no UTF-8");
	if (memchr(line.p, 0, line.n))
		return err_set(err, ERR_DATA, "has a NUL");
	return memchr(line.p, '\r', line.n)
		   ? err_set(err, ERR_DATA,
			     "has a carriage return within it, expected lines that end in LF or "
			     "CRLF")
		   : 0;
}

static int hold(struct window *w, struct span line, uint64_t number, struct err *err)
{
	struct line *l = &w->line[w->n];
	*l = (struct line){.id = w->held.len, .text = w->held.len, .number = number};
	if (w->t->plain && check_plain(line, err) != 0)
		return -1;
	if (w->t->plain)
		buf_addspan(&w->held, line);
	else if (parse_line(w, l, line, err) != 0)
		return -1;
	l->end = w->held.len;
	w->n++;
	return buf_ok(&w->held, err);
}

/* Embed what is held and hand it on. */
static int flush(struct window *w, struct err *err)
{
	const char *p = buf_span(&w->held).p;
	struct embed_rows rows;
	size_t bad, n = w->n;
	for (size_t i = 0; i < n; i++)
		w->text[i] = (struct span){p + w->line[i].text, w->line[i].end - w->line[i].text};
	w->n = 0;
	struct err refused;
	int ret = embedder_run(w->t->embedder, w->text, n, &rows, &bad, &refused);
	if (ret != 0 && bad == SIZE_MAX) {
		*err = refused;
		return -1;
	}
	/* What stands before a text that is refused is handed on first. */
	for (size_t i = 0; i < (ret == 0 ? n : bad); i++) {
		const struct line *l = &w->line[i];
		struct text_row row = {.has_id = l->has_id,
				       .id = {p + l->id, l->text - l->id},
				       .text = w->text[i],
				       .number = w->t->count++,
				       .line = l->number,
				       .v = rows.v + i * rows.dim,
				       .dim = rows.dim};
		if (w->t->row(w->t->ctx, &row, err) != 0)
			return err->code == ERR_DATA ? err_prefix(err, "'%s' line %llu", w->name,
								  (unsigned long long)l->number)
						     : -1;
	}
	buf_clear(&w->held);
	if (ret != 0) {
		*err = refused;
		return err_prefix(err, "'%s' line %llu", w->name,
				  (unsigned long long)w->line[bad].number);
	}
	return 0;
}

static bool at_limit(const struct window *w)
{
	return w->t->limit && w->t->count + w->n >= w->t->limit;
}

static int read_lines(struct window *w, struct io_lines *lines, struct err *err)
{
	struct span line;
	int got = 1;
	while (!at_limit(w) && (got = io_lines_next(lines, &line, err)) > 0) {
		if (!w->t->plain && line.n == 0)
			continue;
		if (hold(w, line, lines->number, err) != 0) {
			got = err_prefix(err, "'%s' line %llu", w->name,
					 (unsigned long long)lines->number);
			break;
		}
		if ((w->n == w->room || w->held.len > WINDOW_BYTES) && flush(w, err) != 0)
			return -1;
	}
	/* What stands before a bad line is handed on first. */
	struct err later;
	if (w->n && flush(w, &later) != 0) {
		*err = later;
		return -1;
	}
	return got < 0 ? -1 : 0;
}

int texts_read_fd(struct texts *t, int fd, const char *name, struct err *err)
{
	struct window w = {.t = t, .name = name, .room = embedder_window(t->embedder)};
	struct io_lines lines;
	int ret = -1;
	w.line = mem_array(w.room, sizeof *w.line, err);
	w.text = mem_array(w.room, sizeof *w.text, err);
	if (w.line && w.text && io_lines_init(&lines, fd, name, LINE_MAX_BYTES, err) == 0) {
		ret = read_lines(&w, &lines, err);
		io_lines_release(&lines);
	}
	free(w.line);
	free(w.text);
	buf_release(&w.held);
	return ret;
}

int texts_read_file(struct texts *t, const char *path, struct err *err)
{
	if (strcmp(path, "-") == 0)
		return texts_read_fd(t, 0, "stdin", err);
	int fd = io_open_input(path, err);
	if (fd < 0)
		return -1;
	int ret = texts_read_fd(t, fd, path, err);
	close(fd);
	return ret;
}
