/* SPDX-License-Identifier: MIT */
/* ingest - append a batch of vectors to a dataset */
#include "agent/queue.h"
#include "catalog/catalog.h"
#include "cli/cli.h"
#include "json/write.h"

static struct {
	const char *batch_id, *bucket, *ids, *store;
	int format;
	bool dry_run;
} o;

static const struct cli_opt opts[] = {
    {0, "batch-id", "ID", "a name for the batch, so that ingesting it again does nothing", CLI_STR,
     &o.batch_id, 0, 0, NULL},
    {0, "bucket", "NAME", "bucket of a new dataset (default primary)", CLI_STR, &o.bucket, 0, 0,
     NULL},
    {0, "ids", "FILE", "take the ids of the rows from the lines of FILE", CLI_STR, &o.ids, 0, 0,
     NULL},
    CLI_OPT_FORMAT(&o.format),
    CLI_OPT_DRY_RUN(&o.dry_run),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] DATASET [VECTORS...]",
    .about =
	"Append one write-once batch of vectors with ids to a dataset (default: JSONL on stdin).\n"
	"It is durable when this returns.",
    CLI_OPTS(opts),
};

static void print_result(const char *dataset, const struct dataset_appended *a)
{
	struct json_out j = {.b = &cli_out.b};
	json_open(&j, '{');
	json_kv_cstr(&j, "dataset", dataset);
	json_kv_cstr(&j, "batch", a->batch);
	json_kv_u64(&j, "rows", a->rows);
	json_kv_u64(&j, "total", a->total);
	json_key(&j, "repeated");
	json_bool(&j, a->repeated);
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
}

/* Tell autotune-agent.  The batch is there whether it can be told or not. */
static void trigger(struct catalog *c, const char *dataset)
{
	struct err err;
	if (agent_dataset_appended(c, dataset, &err) != 0)
		warn(&c->warn, "the batch is there, but not all of its indexes are to be tuned: %s",
		     err.msg);
}

int main(int argc, char **argv)
{
	static const char *const from_stdin[] = {"-"};
	struct err err = {0};
	struct catalog c = {0};
	struct vec_set rows = VEC_SET_INIT;
	struct dataset_appended done;
	cli_parse(&cli, argc, argv, 1, SIZE_MAX);
	c.warn = cli_warn_to(&cli);
	bool files = cli.n_operands > 1;
	struct dataset_append a = {.dataset = cli.operand[0],
				   .bucket = o.bucket,
				   .batch_id = o.batch_id,
				   .rows = &rows,
				   .dry_run = o.dry_run};
	int ret = catalog_check_name("dataset", a.dataset, &err);
	if (ret == 0 && o.bucket)
		ret = catalog_check_name("bucket", o.bucket, &err);
	if (ret == 0 && o.batch_id)
		ret = catalog_check_name("batch", o.batch_id, &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), false, &err);
	if (ret == 0)
		ret = vec_set_open(&rows, files ? cli.operand + 1 : from_stdin,
				   files ? cli.n_operands - 1 : 1, (enum vec_format)o.format, &err);
	if (ret == 0 && o.ids)
		ret = vec_set_read_ids(&rows, o.ids, &err);
	if (ret == 0)
		ret = catalog_dataset_append(&c, &a, &done, &err);
	if (ret == 0 && !o.dry_run)
		trigger(&c, a.dataset);
	if (ret == 0)
		print_result(a.dataset, &done);
	vec_set_release(&rows);
	catalog_close(&c);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
