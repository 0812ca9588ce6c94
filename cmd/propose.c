/* SPDX-License-Identifier: MIT */
/* propose - print the next configs to try */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cli/cli.h"
#include "tune/propose.h"

static const char *const strategies[] = {"egreedy", NULL};

static struct {
	const char *history, *champion, *pending, *store;
	int strategy;
	uint64_t count;
} o = {.count = 1};

static const struct cli_opt opts[] = {
    {0, "history", "FILE",
     "read Trials from JSON lines, oldest first, instead of a journal (- is stdin)", CLI_STR,
     &o.history, 0, 0, NULL},
    {0, "champion", "TRIAL_ID", "the champion in such a history", CLI_STR, &o.champion, 0, 0, NULL},
    {0, "pending", "FILE", "configs in flight (JSON lines), not to be proposed", CLI_STR,
     &o.pending, 0, 0, NULL},
    {0, "strategy", "NAME", "egreedy (default)", CLI_NAME, &o.strategy, 0, 0, strategies},
    {'N', "count", "N", "how many to propose (default 1)", CLI_U64, &o.count, 1, 100000, NULL},
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] NAME\n[options] --history FILE|- [--champion TRIAL_ID]",
    .about =
	"Print the next configs to try, one JSON line each: a pure function of the Trials so far,\n"
	"the champion and what is pending.  Exits 1 when nothing is left to try.",
    CLI_OPTS(opts),
};

struct state {
	struct propose_history h;
	struct buf champion; /* its Trial's id; empty: none */
};

static int take_trial(void *ctx, const struct trial *t, struct err *err)
{
	struct state *s = ctx;
	(void)err;
	propose_add_trial(&s->h, &t->config);
	if (s->champion.len && scan_text_is(t->id, buf_span(&s->champion))) {
		s->h.has_champion = true;
		s->h.champion = t->config;
	}
	return 0;
}

static int from_store(struct state *s, const char *index, struct err *err)
{
	struct catalog c = {.warn = cli_warn_to(&cli)};
	struct promotion p = {0};
	struct catalog_index x = {0};
	if (catalog_check_name("index", index, err) != 0 ||
	    catalog_open(&c, cli_store(o.store), true, err) != 0)
		return -1;
	int ret = catalog_index_open(&c, index, &x, err);
	if (ret == 0)
		ret = catalog_promotion_get(&x, &p, NULL, err) < 0 ? -1 : 0;
	if (ret == 0 && p.current)
		scan_decode(p.current->trial_id, &s->champion);
	if (ret == 0)
		ret = buf_ok(&s->champion, err);
	if (ret == 0)
		ret = trial_log_read(x.bucket, index, true, take_trial, s, &c.warn, err);
	promotion_release(&p);
	catalog_index_release(&x);
	catalog_close(&c);
	return ret;
}

static int from_history(struct state *s, struct err *err)
{
	struct warn_to warn = cli_warn_to(&cli);
	bool in = strcmp(o.history, "-") == 0;
	int fd = in ? 0 : open(o.history, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", o.history);
	if (o.champion)
		buf_adds(&s->champion, o.champion);
	int ret = buf_ok(&s->champion, err);
	if (ret == 0)
		ret = trial_stream_read(fd, in ? "stdin" : o.history, true, take_trial, s, &warn,
					err);
	if (!in)
		close(fd);
	return ret;
}

static int read_pending(struct state *s, struct err *err)
{
	struct io_lines lines;
	struct span line;
	bool in = strcmp(o.pending, "-") == 0;
	int fd = in ? 0 : open(o.pending, O_RDONLY | O_CLOEXEC), got = -1;
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", o.pending);
	if (io_lines_init(&lines, fd, o.pending, TRIAL_LINE_MAX, err) == 0) {
		while ((got = io_lines_next(&lines, &line, err)) > 0) {
			struct config c;
			if (line.n == 0)
				continue;
			if (config_parse(line, &c, err) != 0) {
				got = err_prefix(err, "'%s' line %llu", o.pending,
						 (unsigned long long)lines.number);
				break;
			}
			propose_add_pending(&s->h, &c);
		}
		io_lines_release(&lines);
	}
	if (!in)
		close(fd);
	return got;
}

/* Print as many as there are; ERR_NO if there is not even one. */
static int print_proposals(struct state *s, struct err *err)
{
	struct json_out j = {.b = &cli_out.b};
	struct config c;
	uint64_t n = 0;
	while (n < o.count && propose_egreedy(&s->h, &c)) {
		if (config_check_bounds(&c, err) != 0)
			return -1;
		config_write(&j, &c);
		buf_addc(&cli_out.b, '\n');
		j.comma = false;
		n++;
	}
	return n ? 0 : err_set(err, ERR_NO, "search space exhausted");
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct state s = {0};
	cli_parse(&cli, argc, argv, 0, 1);
	if (!o.history == (cli.n_operands == 0))
		cli_usage(&cli, o.history ? "--history takes no operand" : "no operand");
	if (o.champion && !o.history)
		cli_usage(&cli, "--champion belongs to --history");
	int ret = o.history ? from_history(&s, &err) : from_store(&s, cli.operand[0], &err);
	if (ret == 0 && o.pending)
		ret = read_pending(&s, &err);
	if (ret == 0 && s.h.trials == 0)
		cli_note(&cli, "there are no Trials yet: proposing around the default");
	if (ret == 0)
		ret = print_proposals(&s, &err);
	buf_release(&s.champion);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
