/* SPDX-License-Identifier: MIT */
/* ingest - append a batch of vectors to a dataset */
#include <stdlib.h>
#include <string.h>

#include "agent/queue.h"
#include "catalog/catalog.h"
#include "cli/cli.h"
#include "embed/texts.h"
#include "json/write.h"

static struct {
	const char *batch_id, *bucket, *ids, *store;
	int format, metric;
	double wait;
	bool replace, dry_run;
	struct embed_options embed;
} o = {.wait = 600, .metric = -1, .embed = EMBED_OPTIONS_INIT};

static const struct cli_opt opts[] = {
    {0, "batch-id", "ID", "a name for the batch, so that ingesting it again does nothing", CLI_STR,
     &o.batch_id, 0, 0, NULL},
    {0, "bucket", "NAME", "bucket of a new dataset (default: its index's, else primary)", CLI_STR,
     &o.bucket, 0, 0, NULL},
    {0, "ids", "FILE", "take the ids of the rows from the lines of FILE", CLI_STR, &o.ids, 0, 0,
     NULL},
    {0, "replace", NULL, "rows may be newer versions of rows that are there", CLI_FLAG, &o.replace,
     0, 0, NULL},
    {0, "metric", "NAME", "what the vectors are made for: cosine, l2 or ip", CLI_NAME, &o.metric, 0, 0,
     vec_metric_names},
    CLI_OPT_FORMAT(&o.format),
    CLI_OPTS_EMBED(o.embed),
    CLI_OPT_WAIT(&o.wait, "600"),
    CLI_OPT_DRY_RUN(&o.dry_run),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] DATASET [VECTORS...]",
    .about =
	"Append one write-once batch of vectors with ids to a dataset (default: JSONL on stdin);\n"
	"with --embedder, of the vectors of texts, {\"id\":...,\"text\":...}.  It is durable when\n"
	"this returns.",
    CLI_OPTS(opts),
};

static void print_result(const char *dataset, const struct dataset_appended *a)
{
	struct json_out j = {.b = &cli_out.b};
	json_open(&j, '{');
	json_kv_cstr(&j, "dataset", dataset);
	json_kv_cstr(&j, "batch", a->batch);
	json_kv_u64(&j, "rows", a->rows);
	json_kv_u64(&j, "replaced", a->replaced);
	json_kv_u64(&j, "total", a->total);
	json_key(&j, "repeated");
	json_bool(&j, a->repeated);
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
}

/* Nothing was said of where the rows come from. */
static void say_what_for(const char *dataset, const struct embedding *e)
{
	struct buf b = BUF_INIT;
	embedding_describe(&b, e);
	if (!b.failed)
		cli_note(&cli, "the rows are taken for those of %s, as dataset '%s' is", b.data,
			 dataset);
	buf_release(&b);
}

/* ---- texts, embedded on the way ---- */

static struct cli_progress embedding;

static int take_row(void *ctx, const struct text_row *row, struct err *err)
{
	struct vec_rows *rows = ctx;
	cli_progress_show(&embedding, row->number + 1, 0);
	if (rows->rows > 0 && row->has_id != (rows->id_end != NULL))
		return err_set(err, ERR_DATA,
			       row->has_id ? "has an id, though lines before it have none"
					   : "has no key 'id', though lines before it have");
	rows->dim = row->dim;
	float *v = vec_rows_next(rows, err);
	if (!v)
		return -1;
	memcpy(v, row->v, row->dim * sizeof *v);
	vec_rows_line(rows, row->line);
	if (!row->has_id)
		return 0;
	buf_addspan(&rows->id_text, row->id);
	return vec_rows_id(rows, err);
}

static int read_texts(void *embedder, int fd, const char *name, struct vec_rows *rows,
		      struct err *err)
{
	struct texts t = {.embedder = embedder, .row = take_row, .ctx = rows};
	return texts_read_fd(&t, fd, name, err);
}

static int open_rows(struct vec_set *rows, const char *const *paths, size_t n,
		     struct embedding *from, struct err *err)
{
	if (!o.embed.embedder)
		return vec_set_open(rows, paths, n, (enum vec_format)o.format, err);
	struct embed_setup setup = {.options = &o.embed,
				    EMBED_SETUP_ENV,
				    .store_url = cli_store(o.store),
				    .make_store = true,
				    .dry_run = o.dry_run,
				    .warn = cli_warn_to(&cli)};
	struct embedder *e = embedder_new(&setup, err);
	cli_progress_start(&embedding, &cli, "embedded texts:");
	int ret = e ? vec_set_read(rows, paths, n, read_texts, e, err) : -1;
	if (ret == 0)
		ret = embedder_about(e, from, err);
	cli_progress_end(&embedding);
	embedder_free(e);
	return ret;
}

/* Tell autotune-agent.  The batch is there whether it can be told or not. */
static void trigger(struct catalog *c, const char *dataset, const struct dataset_appended *batch)
{
	struct err err;
	if (agent_dataset_appended(c, dataset, batch, &err) != 0)
		warn(&c->warn, "the batch is there, but not all of its indexes are to be tuned: %s",
		     err.msg);
}

int main(int argc, char **argv)
{
	static const char *const from_stdin[] = {"-"};
	struct err err = {0};
	struct catalog c = {0};
	struct vec_set rows = VEC_SET_INIT;
	struct dataset_appended done = {0};
	struct embedding from = {0};
	cli_parse(&cli, argc, argv, 1, SIZE_MAX);
	c.warn = cli_warn_to(&cli);
	if (o.embed.embedder && o.format)
		cli_usage(&cli, "--format is for vectors, not for texts");
	if (!o.embed.embedder && (o.embed.url || o.embed.model))
		cli_usage(&cli, "--url and --model are for texts: say which --embedder");
	bool files = cli.n_operands > 1;
	struct dataset_append a = {.dataset = cli.operand[0],
				   .bucket = o.bucket,
				   .batch_id = o.batch_id,
				   .rows = &rows,
				   .from = &from,
				   .replace = o.replace,
				   .dry_run = o.dry_run};
	int ret = catalog_check_name("dataset", a.dataset, &err);
	if (ret == 0 && o.bucket)
		ret = catalog_check_name("bucket", o.bucket, &err);
	if (ret == 0 && o.batch_id)
		ret = catalog_check_name("batch", o.batch_id, &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), false, &err);
	if (ret == 0)
		catalog_be_patient(&c, o.wait);
	if (ret == 0)
		ret = open_rows(&rows, files ? cli.operand + 1 : from_stdin,
				files ? cli.n_operands - 1 : 1, &from, &err);
	if (o.metric >= 0) {
		from.metric = (enum vec_metric)o.metric;
		from.has_metric = true;
	}
	if (ret == 0 && o.ids)
		ret = vec_set_read_ids(&rows, o.ids, &err);
	if (ret == 0)
		ret = catalog_dataset_append(&c, &a, &done, &err);
	if (ret == 0 && !o.dry_run)
		trigger(&c, a.dataset, &done);
	if (ret == 0)
		print_result(a.dataset, &done);
	if (ret == 0 && done.taken_for.embedder)
		say_what_for(a.dataset, &done.taken_for);
	vec_set_release(&rows);
	embedding_release(&from);
	embedding_release(&done.taken_for);
	catalog_close(&c);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
