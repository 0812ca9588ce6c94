/* SPDX-License-Identifier: MIT */
/* rollback - return to the promotion before */
#include "catalog/catalog.h"
#include "cli/cli.h"

static struct {
	const char *expect, *store;
	double wait;
	bool dry_run;
} o = {.wait = 60};

static const struct cli_opt opts[] = {
    {0, "expect", "TRIAL_ID", "only if this one is promoted now", CLI_STR, &o.expect, 0, 0, NULL},
    CLI_OPT_WAIT(&o.wait, "60"),
    CLI_OPT_DRY_RUN(&o.dry_run),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] NAME",
    .about =
	"Make the newest entry of index NAME's promotion history current again (or nothing, if\n"
	"there is none) and print the new state.  Exits 1 if nothing is promoted.",
    CLI_OPTS(opts),
};

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	cli_parse(&cli, argc, argv, 1, 1);
	c.warn = cli_warn_to(&cli);
	int ret = catalog_check_name("index", cli.operand[0], &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), true, &err);
	if (ret == 0)
		catalog_be_patient(&c, o.wait);
	if (ret == 0)
		ret = catalog_rollback(&c, cli.operand[0], o.expect, o.dry_run, &cli_out.b, &err);
	catalog_close(&c);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
