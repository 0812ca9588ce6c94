/* SPDX-License-Identifier: MIT */
/* trial-list - print all Trials of an index */
#include <string.h>

#include "base/host.h"
#include "catalog/operand.h"
#include "cli/cli.h"

static struct {
	const char *eval_set, *configs, *store;
	bool here;
} o;

static const struct cli_opt opts[] = {
    {0, "eval-set", "EVALSET",
     "only those measured on this eval set as it is now, and on the vectors of its answers",
     CLI_STR, &o.eval_set, 0, 0, NULL},
    {0, "configs", "FILE", "only those with one of these configs (JSON lines)", CLI_STR, &o.configs,
     0, 0, NULL},
    {0, "here", NULL, "only those measured on this host", CLI_FLAG, &o.here, 0, 0, NULL},
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] NAME",
    .about =
	"Print all Trials of index NAME as JSON lines, oldest first, byte for byte as they were\n"
	"appended.",
    CLI_OPTS(opts),
};

/* Which are printed: those with these digests and of this host, where they are not "". */
struct wanted {
	char vectors[DIGEST_TEXT_MAX], eval[DIGEST_TEXT_MAX], host[HOST_TEXT_MAX];
	struct config_list configs;
	uint64_t trials; /* all of them */
};

static bool is_wanted(const struct wanted *w, const struct trial *t)
{
	/* A rung's vectors are some of those that count. */
	struct span vectors = t->config.rung ? t->whole_digest : t->vectors_digest;
	if (o.eval_set && (!w->vectors[0] || !scan_text_is(vectors, span_of(w->vectors)) ||
			   !scan_text_is(t->eval_digest, span_of(w->eval))))
		return false;
	if (o.configs && !config_list_has(&w->configs, &t->config))
		return false;
	return !o.here || scan_text_is(t->host, span_of(w->host));
}

static int print(void *ctx, const struct trial *t, struct err *err)
{
	struct wanted *w = ctx;
	w->trials++;
	if (!is_wanted(w, t))
		return 0;
	buf_addspan(&cli_out.b, t->line);
	buf_addc(&cli_out.b, '\n');
	return io_sink_spill(&cli_out, err);
}

static int read_evalset(const char *index, struct wanted *w, struct err *err)
{
	struct operands operands = {.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	struct evalset set = {0};
	int ret = operand_evalset(&operands, o.eval_set, index, &set, err);
	if (ret == 0) {
		memcpy(w->vectors, set.vectors_digest, sizeof w->vectors);
		digest_text(evalset_digest(&set), w->eval);
	}
	evalset_release(&set);
	operands_release(&operands);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	struct wanted wanted = {0};
	struct catalog_index x = {0};
	cli_parse(&cli, argc, argv, 1, 1);
	const char *name = cli.operand[0];
	c.warn = cli_warn_to(&cli);
	int ret = catalog_check_name("index", name, &err);
	host_name(wanted.host);
	if (ret == 0 && o.configs)
		ret = config_list_read(&wanted.configs, o.configs, &err);
	if (ret == 0 && o.eval_set)
		ret = read_evalset(name, &wanted, &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), true, &err);
	if (ret == 0)
		ret = catalog_index_open(&c, name, &x, &err);
	if (ret == 0)
		ret = trial_log_read(x.bucket, name, true, print, &wanted, &c.warn, &err);
	/* An index that was registered may well have none yet. */
	if (ret == 0 && wanted.trials == 0 && !x.registered)
		ret = err_set(&err, ERR_NO, "there is no index '%s' in store '%s'", name,
			      cli_store(o.store));
	int status = ret == 0 ? 0 : cli_error(&cli, &err);
	config_list_release(&wanted.configs);
	catalog_index_release(&x);
	catalog_close(&c);
	return cli_finish(&cli, status);
}
