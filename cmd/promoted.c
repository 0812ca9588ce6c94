/* SPDX-License-Identifier: MIT */
/* promoted - print the promoted config of an index */
#include "catalog/catalog.h"
#include "cli/cli.h"
#include "record/settings.h"

static struct {
	const char *or_config, *rolled_back, *store;
	bool full, list;
	int unpinned; /* -1: not given */
	int format, metric; /* -1: not given */
	uint32_t k;
} o = {.unpinned = -1, .format = -1, .metric = -1, .k = 10};

/* How somebody wants to replace it. */
enum { BY_RULE, BY_GOAL };
static const char *const ways[] = {"rule", "goal", NULL};

static const struct cli_opt opts[] = {
    {0, "or", "CONFIG", "print this config (JSON) if nothing is promoted", CLI_STR, &o.or_config, 0,
     0, NULL},
    {0, "full", NULL, "print the whole promotion file: current, history, rolled back", CLI_FLAG,
     &o.full, 0, 0, NULL},
    {0, "rolled-back", "DIGEST",
     "print the configs that were rolled back on these vectors (\"\": on any)", CLI_STR,
     &o.rolled_back, 0, 0, NULL},
    {0, "list", NULL, "print the promotion files of all indexes", CLI_FLAG, &o.list, 0, 0, NULL},
    {0, "unpinned", "HOW",
     "print nothing; exit 1, and say why, if it is pinned against a choice by a goal, or by a rule",
     CLI_NAME, &o.unpinned, 0, 0, ways},
    {0, "format", "ENGINE", "print it as settings of pgvector, qdrant, ...: see the manual",
     CLI_NAME, &o.format, 0, 0, settings_engines},
    {'k', "k", "N", "neighbours that queries ask for (with --format; default 10)", CLI_U32, &o.k, 1,
     100000, NULL},
    CLI_OPT_METRIC(&o.metric),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[--or CONFIG] [--format ENGINE] NAME\n--full NAME\n--rolled-back DIGEST NAME\n--unpinned goal|rule NAME\n--list",
    .about = "Print the config that is promoted for index NAME: what the next build is to use.  "
	     "Exits 1,\n"
	     "silently, if nothing is and no --or is given.",
    CLI_OPTS(opts),
};

/* The metric that a promoted Trial was measured by; false: it does not tell. */
static bool trial_metric(struct catalog *c, const struct promotion_entry *e, enum vec_metric *metric)
{
	struct catalog_index x;
	struct buf line = BUF_INIT;
	struct trial t;
	struct err ignored;
	bool known = e && e->trial_id.p &&
		     catalog_index_open(c, cli.operand[0], &x, &ignored) == 0;
	if (!known)
		return false;
	known = trial_log_find(x.bucket, x.name, e->trial_id, &line, &t, &c->warn, &ignored) > 0 &&
		t.metric.p && vec_metric_parse(t.metric, metric) == 0;
	catalog_index_release(&x);
	buf_release(&line);
	return known;
}

/* The metric and dimension of the index: as said, as registered, as its dataset has them, else as
 * the promoted Trial tells. */
static int about_vectors(struct catalog *c, const char *index, const struct promotion_entry *e,
			 struct settings *s, struct err *err)
{
	struct index_meta m = {0};
	struct embedding from = {0};
	int known = catalog_index_get(c, index, &m, err);
	int data = known < 0 ? -1 : catalog_embedding_get(c, index, m.bucket, &from, err);
	s->dimensions = m.dimensions ? m.dimensions : from.dimensions;
	s->metric = m.has_metric ? m.metric : from.has_metric ? from.metric : VEC_COSINE;
	if (o.metric >= 0)
		s->metric = (enum vec_metric)o.metric;
	else if (data >= 0 && !m.has_metric && !from.has_metric && !trial_metric(c, e, &s->metric))
		cli_note(&cli, "the metric of '%s' is not known: cosine is taken; say --metric",
			 index);
	index_meta_release(&m);
	embedding_release(&from);
	return data < 0 ? -1 : 0;
}

/* ${e}: the promotion that it is of, or NULL. */
static int print_config(struct catalog *c, const struct config *config,
			const struct promotion_entry *e, struct err *err)
{
	struct settings s = {.config = *config, .k = o.k};
	struct json_out j = {.b = &cli_out.b};
	if (o.format >= 0)
		return about_vectors(c, cli.operand[0], e, &s, err) != 0
			   ? -1
			   : settings_write(&cli_out.b, o.format, &s, err);
	config_write(&j, config);
	buf_addc(&cli_out.b, '\n');
	return 0;
}

static void print_file(const struct promotion *p)
{
	promotion_write(&cli_out.b, p);
	buf_addc(&cli_out.b, '\n');
}

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
		struct json_out j = {.b = &cli_out.b};
		const struct promotion_entry *e = p->rolled_back[i];
		if (o.rolled_back[0] && e->vectors_digest.p &&
		    !scan_text_is(e->vectors_digest, span_of(o.rolled_back)))
			continue;
		config_write(&j, &e->config);
		buf_addc(&cli_out.b, '\n');
	}
}

/* 0: printed; 1: nothing is promoted; -1. */
static int show(struct catalog *c, const char *index, struct err *err)
{
	struct promotion p;
	int there = get(c, index, &p, err);
	int ret = there < 0 ? -1 : 0;
	if (there >= 0 && o.unpinned >= 0) {
		ret = catalog_promotion_unpinned(&p, o.unpinned == BY_GOAL, err);
	} else if (there >= 0 && o.rolled_back) {
		print_rolled_back(&p);
	} else if (there >= 0 && o.full) {
		if (there)
			print_file(&p);
		else
			ret = 1;
	} else if (there >= 0 && p.current) {
		ret = print_config(c, &p.current->config, p.current, err);
	} else if (there >= 0) {
		ret = 1;
	}
	promotion_release(&p);
	return ret;
}

static int show_default(struct catalog *c, struct err *err)
{
	struct config config;
	if (config_parse(span_of(o.or_config), &config, err) != 0)
		return err_prefix(err, "--or");
	return print_config(c, &config, NULL, err);
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
	if (o.rolled_back && (o.list || o.full || o.or_config || o.format >= 0))
		cli_usage(&cli, "--rolled-back goes with none of --list, --full, --or and --format");
	if (o.unpinned >= 0 && (o.list || o.full || o.or_config || o.rolled_back || o.format >= 0))
		cli_usage(&cli, "--unpinned goes with no other way to print");
	if (o.format >= 0 && (o.list || o.full))
		cli_usage(&cli, "--format goes with neither --list nor --full");
	if (o.list == (cli.n_operands == 1))
		cli_usage(&cli, o.list ? "--list takes no operand" : "no operand");
	c.warn = cli_warn_to(&cli);
	int ret = o.list ? 0 : catalog_check_name("index", cli.operand[0], &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), !o.or_config, &err);
	if (ret == 0)
		ret = o.list ? list(&c, &status, &err) : show(&c, cli.operand[0], &err);
	if (ret == 1 && o.or_config && !o.full)
		ret = show_default(&c, &err);
	catalog_close(&c);
	return cli_finish(&cli, ret < 0 ? cli_error(&cli, &err) : ret ? ret : status);
}
