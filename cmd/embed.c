/* SPDX-License-Identifier: MIT */
/* embed - turn texts into vectors */
#include <stdlib.h>

#include "cli/cli.h"
#include "embed/texts.h"
#include "json/write.h"

static struct {
	struct embed_options embed;
	const char *store;
	bool lines;
} o = {.embed = EMBED_OPTIONS_INIT};

static const struct cli_opt opts[] = {
    CLI_OPTS_EMBED(o.embed),
    {0, "lines", NULL, "the input is plain text, a line each; ids are row numbers", CLI_FLAG,
     &o.lines, 0, 0, NULL},
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] [TEXTS...]",
    .about = "Turn texts into vectors: reads JSONL {\"id\":...,\"text\":...} (default: stdin) and "
	     "prints\n"
	     "{\"id\":...,\"text\":...,\"vector\":[...]}.",
    CLI_OPTS(opts),
};

static int print_row(void *progress, const struct text_row *row, struct err *err)
{
	struct json_out j = {.b = &cli_out.b};
	cli_progress_show(progress, row->number + 1, 0);
	json_open(&j, '{');
	json_key(&j, "id");
	if (row->has_id) {
		json_str(&j, row->id);
	} else {
		json_raw(&j, span_of("\""));
		buf_addf(j.b, "%llu\"", (unsigned long long)row->number);
	}
	json_kv_str(&j, "text", row->text);
	json_key(&j, "vector");
	json_open(&j, '[');
	for (uint32_t d = 0; d < row->dim; d++)
		json_f32(&j, row->v[d]);
	json_close(&j, ']');
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
	return io_sink_spill(&cli_out, err);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	cli_parse(&cli, argc, argv, 0, SIZE_MAX);
	struct embed_setup setup = {.options = &o.embed,
				    EMBED_SETUP_ENV,
				    .store_url = cli_store(o.store),
				    .make_store = cli_store_named(o.store),
				    .warn = cli_warn_to(&cli)};
	struct cli_progress progress;
	struct texts t = {.plain = o.lines, .row = print_row, .ctx = &progress};
	cli_progress_start(&progress, &cli, "embedded texts:");
	t.embedder = embedder_new(&setup, &err);
	int ret = t.embedder ? 0 : -1;
	if (ret == 0 && cli.n_operands == 0)
		ret = texts_read_file(&t, "-", &err);
	for (size_t i = 0; ret == 0 && i < cli.n_operands; i++)
		ret = texts_read_file(&t, cli.operand[i], &err);
	cli_progress_end(&progress);
	embedder_free(t.embedder);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
