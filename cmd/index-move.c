/* SPDX-License-Identifier: MIT */
/* index-move - take an index to another bucket */
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "cli/cli.h"
#include "json/write.h"

static struct {
	const char *store;
	double wait;
	bool dry_run;
} o = {.wait = 60};

static const struct cli_opt opts[] = {
    CLI_OPT_WAIT(&o.wait, "60"),
    CLI_OPT_DRY_RUN(&o.dry_run),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] NAME BUCKET",
    .about =
	"Take index NAME to another bucket: its Trials, promotions, eval sets and served\n"
	"generations are copied there, then it lives there.  Nothing is removed from the old\n"
	"bucket, and its dataset stays where it is.  A move that was interrupted is run again.",
    CLI_OPTS(opts),
};

static void print_result(const char *index, const char *bucket, const struct index_moved *m)
{
	struct json_out j = {.b = &cli_out.b};
	json_open(&j, '{');
	json_kv_cstr(&j, "index_name", index);
	json_kv_cstr(&j, "from", m->from);
	json_kv_cstr(&j, "to", bucket);
	json_kv_u64(&j, "trials", m->trials);
	json_key(&j, "promotion");
	json_bool(&j, m->promotion);
	json_kv_u64(&j, "eval_sets", m->evalsets);
	json_kv_u64(&j, "generations", m->generations);
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	struct index_moved moved = {0};
	cli_parse(&cli, argc, argv, 2, 2);
	const char *index = cli.operand[0], *bucket = cli.operand[1];
	c.warn = cli_warn_to(&cli);
	int ret = catalog_check_name("index", index, &err);
	if (ret == 0)
		ret = catalog_check_name("bucket", bucket, &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), true, &err);
	if (ret == 0)
		catalog_be_patient(&c, o.wait);
	if (ret == 0)
		ret = catalog_index_move(&c, index, bucket, o.dry_run, &moved, &err);
	if (ret == 0 && strcmp(moved.from, bucket) == 0)
		cli_note(&cli, "'%s' lives in bucket '%s' already", index, bucket);
	if (ret == 0)
		print_result(index, bucket, &moved);
	free(moved.from);
	catalog_close(&c);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
