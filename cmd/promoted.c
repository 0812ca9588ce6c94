/* SPDX-License-Identifier: MIT */
/* promoted - print the promoted config of an index */
#include "catalog/catalog.h"
#include "cli/cli.h"

static struct {
	const char *or_config, *rolled_back, *store;
	bool full, list;
} o;

static const struct cli_opt opts[] = {
    {0, "or", "CONFIG", "print this config (JSON) if nothing is promoted", CLI_STR, &o.or_config, 0,
     0, NULL},
    {0, "full", NULL, "print the whole promotion file: current, history, rolled back", CLI_FLAG,
     &o.full, 0, 0, NULL},
    {0, "rolled-back", "DIGEST",
     "print the configs that were rolled back on these vectors (\"\": on any)", CLI_STR,
     &o.rolled_back, 0, 0, NULL},
    {0, "list", NULL, "print the promotion files of all indexes", CLI_FLAG, &o.list, 0, 0, NULL},
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[--or CONFIG | --full | --rolled-back DIGEST] NAME\n--list",
    .about = "Print the config that is promoted for index NAME: what the next build is to use.  "
	     "Exits 1,\n"
	     "silently, if nothing is and no --or is given.",
    CLI_OPTS(opts),
};

static void print_config(const struct config *c)
{
	struct json_out j = {.b = &cli_out.b};
	config_write(&j, c);
	buf_addc(&cli_out.b, '\n');
}

static void print_file(const struct promotion *p)
{
	promotion_write(&cli_out.b, p);
	buf_addc(&cli_out.b, '\n');
}

/* 0: printed; 1: nothing is promoted; -1. */
/* 1: there is a promotion file; 0; -1. */
static int get(struct catalog *c, const char *index, struct promotion *p, struct err *err)
{
	struct catalog_index x;
	*p = (struct promotion){0};
	int there = catalog_index_open(c, index, &x, err);
	if (there == 0)
		there = catalog_promotion_get(&x, p, NULL, err);
	catalog_index_release(&x);
	return there;
}

/* What the unattended are not to promote again, see promotion_rolled_back(). */
static void print_rolled_back(const struct promotion *p)
{
	for (size_t i = 0; i < p->n_rolled_back; i++) {
		const struct promotion_entry *e = p->rolled_back[i];
		if (!o.rolled_back[0] || !e->vectors_digest.p ||
		    scan_text_is(e->vectors_digest, span_of(o.rolled_back)))
			print_config(&e->config);
	}
}

static int show(struct catalog *c, const char *index, struct err *err)
{
	struct promotion p;
	int there = get(c, index, &p, err);
	int ret = there < 0 ? -1 : 0;
	if (there >= 0 && o.rolled_back) {
		print_rolled_back(&p);
	} else if (there >= 0 && o.full) {
		if (there)
			print_file(&p);
		else
			ret = 1;
	} else if (there >= 0 && p.current) {
		print_config(&p.current->config);
	} else if (there >= 0) {
		ret = 1;
	}
	promotion_release(&p);
	return ret;
}

static int show_default(struct err *err)
{
	struct config c;
	if (config_parse(span_of(o.or_config), &c, err) != 0)
		return err_prefix(err, "--or");
	print_config(&c);
	return 0;
}

/* Every index on its own: one that cannot be read does not hide the others. */
static int list(struct catalog *c, int *status, struct err *err)
{
	struct store_names indexes;
	int ret = catalog_promotion_list(c, &indexes, err);
	for (size_t i = 0; ret == 0 && i < indexes.count; i++) {
		struct promotion p;
		struct err why = {0};
		int there = get(c, indexes.name[i], &p, &why);
		if (there < 0)
			*status = cli_error(&cli, &why);
		else if (there)
			print_file(&p);
		promotion_release(&p);
		ret = io_sink_spill(&cli_out, err);
	}
	store_names_release(&indexes);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	int status = 0;
	cli_parse(&cli, argc, argv, 0, 1);
	if (o.list && (o.or_config || o.full))
		cli_usage(&cli, "--list goes with neither --or nor --full");
	if (o.rolled_back && (o.list || o.full || o.or_config))
		cli_usage(&cli, "--rolled-back goes with none of --list, --full and --or");
	if (o.list == (cli.n_operands == 1))
		cli_usage(&cli, o.list ? "--list takes no operand" : "no operand");
	c.warn = cli_warn_to(&cli);
	int ret = o.list ? 0 : catalog_check_name("index", cli.operand[0], &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), !o.or_config, &err);
	if (ret == 0)
		ret = o.list ? list(&c, &status, &err) : show(&c, cli.operand[0], &err);
	if (ret == 1 && o.or_config && !o.full)
		ret = show_default(&err);
	catalog_close(&c);
	return cli_finish(&cli, ret < 0 ? cli_error(&cli, &err) : ret ? ret : status);
}
