/* SPDX-License-Identifier: MIT */
/* trial-list - print all Trials of an index */
#include "catalog/catalog.h"
#include "cli/cli.h"

static struct {
	const char *store;
} o;

static const struct cli_opt opts[] = {
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "NAME",
    .about =
	"Print all Trials of index NAME as JSON lines, oldest first, byte for byte as they were\n"
	"appended.",
    CLI_OPTS(opts),
};

struct count {
	uint64_t trials;
};

static int print(void *ctx, const struct trial *t, struct err *err)
{
	struct count *c = ctx;
	c->trials++;
	buf_addspan(&cli_out.b, t->line);
	buf_addc(&cli_out.b, '\n');
	return io_sink_spill(&cli_out, err);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	struct count count = {0};
	struct catalog_index x = {0};
	cli_parse(&cli, argc, argv, 1, 1);
	const char *name = cli.operand[0];
	c.warn = cli_warn_to(&cli);
	int ret = catalog_check_name("index", name, &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), true, &err);
	if (ret == 0)
		ret = catalog_index_open(&c, name, &x, &err);
	if (ret == 0)
		ret = trial_log_read(x.bucket, name, true, print, &count, &c.warn, &err);
	/* An index that was registered may well have none yet. */
	if (ret == 0 && count.trials == 0 && !x.registered)
		ret = err_set(&err, ERR_NO, "there is no index '%s' in store '%s'", name,
			      cli_store(o.store));
	int status = ret == 0 ? 0 : cli_error(&cli, &err);
	catalog_index_release(&x);
	catalog_close(&c);
	return cli_finish(&cli, status);
}
