/* SPDX-License-Identifier: MIT */
/* index-list - print what is registered of indexes */
#include "catalog/catalog.h"
#include "cli/cli.h"

static struct {
	const char *store;
} o;

static const struct cli_opt opts[] = {
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[NAME...]",
    .about = "Print the IndexMeta of the indexes named, or of all that are registered, a JSON line "
	     "each.\n"
	     "Exits 1 if one named is not registered.",
    CLI_OPTS(opts),
};

static int print(struct catalog *c, const char *name, struct err *err)
{
	struct index_meta m;
	int known =
	    catalog_check_name("index", name, err) != 0 ? -1 : catalog_index_get(c, name, &m, err);
	if (known < 0)
		return -1;
	if (known == 0)
		return err_set(err, ERR_NO, "index '%s' is not registered in store '%s'", name,
			       buckets_url(c->buckets));
	index_meta_write(&cli_out.b, &m);
	index_meta_release(&m);
	return io_sink_spill(&cli_out, err);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	struct store_names all = {0};
	int status = 0;
	cli_parse(&cli, argc, argv, 0, SIZE_MAX);
	c.warn = cli_warn_to(&cli);
	/* Where there is no store, no index is registered: a plain no. */
	int ret = catalog_open(&c, cli_store(o.store), cli.n_operands == 0, &err);
	if (ret == 0 && cli.n_operands == 0)
		ret = catalog_index_list(&c, &all, &err);
	if (ret != 0)
		status = cli_error(&cli, &err);
	size_t n = cli.n_operands ? cli.n_operands : all.count;
	for (size_t i = 0; ret == 0 && i < n; i++)
		if (print(&c, cli.n_operands ? cli.operand[i] : all.name[i], &err) != 0)
			status = cli_error(&cli, &err);
	store_names_release(&all);
	catalog_close(&c);
	return cli_finish(&cli, status);
}
