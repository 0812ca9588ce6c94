/* SPDX-License-Identifier: MIT */
/* embed - turn texts into vectors */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "embed/embedder.h"
#include "json/write.h"

#define LINE_MAX_BYTES ((size_t)16 << 20)

static struct {
	const char *embedder, *prefix;
	bool lines;
} o = {.embedder = "hash", .prefix = ""};

static const struct cli_opt opts[] = {
    {0, "embedder", "SPEC", "hash or hash:DIM, the built-in feature hashing (default hash:256)",
     CLI_STR, &o.embedder, 0, 0, NULL},
    {0, "prefix", "TEXT", "put TEXT before every text", CLI_STR, &o.prefix, 0, 0, NULL},
    {0, "lines", NULL, "the input is plain text, a line each; ids are row numbers", CLI_FLAG,
     &o.lines, 0, 0, NULL},
};

static struct cli cli = {
    .usage = "[options] [TEXTS...]",
    .about = "Turn texts into vectors: reads JSONL {\"id\":...,\"text\":...} (default: stdin) and "
	     "prints\n"
	     "{\"id\":...,\"text\":...,\"vector\":[...]}.",
    CLI_OPTS(opts),
};

struct state {
	struct embedder embedder;
	float *v;
	struct buf text;
	struct text_line line;
	uint64_t row;
};

static int take_line(struct state *s, struct span line, struct err *err)
{
	struct json_out j = {.b = &cli_out.b};
	struct span text = line;
	if (!o.lines) {
		if (text_line_parse(&s->line, line, err) != 0)
			return -1;
		text = buf_span(&s->line.text);
	}
	buf_clear(&s->text);
	buf_adds(&s->text, o.prefix);
	buf_addspan(&s->text, text);
	if (buf_ok(&s->text, err) != 0 ||
	    embedder_run(&s->embedder, buf_span(&s->text), s->v, err) != 0)
		return -1;
	json_open(&j, '{');
	json_key(&j, "id");
	if (!o.lines && s->line.has_id) {
		json_str(&j, buf_span(&s->line.id));
	} else {
		json_raw(&j, span_of("\""));
		buf_addf(j.b, "%llu\"", (unsigned long long)s->row);
	}
	json_kv_str(&j, "text", text);
	json_key(&j, "vector");
	json_open(&j, '[');
	for (uint32_t d = 0; d < s->embedder.dim; d++)
		json_f32(&j, s->v[d]);
	json_close(&j, ']');
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
	s->row++;
	return io_sink_spill(&cli_out, err);
}

static int take_file(struct state *s, const char *path, struct err *err)
{
	struct io_lines lines;
	struct span line;
	bool in = strcmp(path, "-") == 0;
	int fd = in ? 0 : open(path, O_RDONLY | O_CLOEXEC), got = -1;
	const char *name = in ? "stdin" : path;
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (io_lines_init(&lines, fd, name, LINE_MAX_BYTES, err) == 0) {
		while ((got = io_lines_next(&lines, &line, err)) > 0)
			if ((o.lines || line.n) && take_line(s, line, err) != 0) {
				got = err->code == ERR_DATA
					  ? err_prefix(err, "'%s' line %llu", name,
						       (unsigned long long)lines.number)
					  : -1;
				break;
			}
		io_lines_release(&lines);
	}
	if (!in)
		close(fd);
	return got;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct state s = {0};
	cli_parse(&cli, argc, argv, 0, SIZE_MAX);
	int ret = embedder_init(&s.embedder, o.embedder, 0, &err);
	if (ret == 0 && !(s.v = mem_array(s.embedder.dim, sizeof *s.v, &err)))
		ret = -1;
	if (ret == 0 && cli.n_operands == 0)
		ret = take_file(&s, "-", &err);
	for (size_t i = 0; ret == 0 && i < cli.n_operands; i++)
		ret = take_file(&s, cli.operand[i], &err);
	free(s.v);
	buf_release(&s.text);
	text_line_release(&s.line);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
