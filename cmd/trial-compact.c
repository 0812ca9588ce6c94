/* SPDX-License-Identifier: MIT */
/* trial-compact - merge the batches of a journal into one */
#include "catalog/catalog.h"
#include "cli/cli.h"
#include "json/write.h"

static struct {
	bool zstd, dry_run;
	const char *store;
	double wait;
} o = {.wait = 60};

static const struct cli_opt opts[] = {
    {0, "zstd", NULL, "compress the new batch", CLI_FLAG, &o.zstd, 0, 0, NULL},
    CLI_OPT_WAIT(&o.wait, "60"),
    CLI_OPT_DRY_RUN(&o.dry_run),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] NAME",
    .about =
	"Merge the batches of index NAME's journal into one.  Lines are copied byte for byte;\n"
	"readers and writers may go on meanwhile.",
    CLI_OPTS(opts),
};

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	struct catalog_index x = {0};
	struct journal_compaction done;
	struct json_out j = {.b = &cli_out.b};
	cli_parse(&cli, argc, argv, 1, 1);
	const char *name = cli.operand[0];
	c.warn = cli_warn_to(&cli);
	int ret = catalog_check_name("index", name, &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), true, &err);
	if (ret == 0)
		catalog_be_patient(&c, o.wait);
	if (ret == 0)
		ret = (o.dry_run ? catalog_index_open : catalog_index_hold)(&c, name, &x, &err);
	if (ret == 0)
		ret = trial_log_compact(x.bucket, name, o.zstd, o.dry_run, &done, &err);
	catalog_index_release(&x);
	if (ret == 0 && done.batches == 0 && !done.into[0])
		ret = err_set(&err, ERR_NO, "the journal of '%s' is empty", name);
	if (ret == 0) {
		json_open(&j, '{');
		json_kv_cstr(&j, "index_name", name);
		json_kv_u64(&j, "batches", done.batches);
		if (!o.dry_run && done.batches) {
			json_kv_u64(&j, "lines", done.lines);
			json_kv_cstr(&j, "into", done.into);
		}
		json_close(&j, '}');
		buf_addc(&cli_out.b, '\n');
	}
	catalog_close(&c);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
