/* SPDX-License-Identifier: MIT */
/* propose - print the next configs to try */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cli/cli.h"
#include "tune/grid.h"
#include "tune/strategy.h"

static struct {
	const char *history, *champion, *pending, *first, *store, *strategy, *space, *grid, *digest;
	struct tune_goal goal;
	struct config like; /* m and seed of the grid */
	double timeout;
	uint64_t count, rows;
} o = {.count = 1,
       .strategy = "egreedy",
       .timeout = 60,
       .goal = TUNE_GOAL_UNSAID,
       .like = CONFIG_DEFAULT};

static const struct cli_opt opts[] = {
    {0, "history", "FILE",
     "read Trials from JSON lines, oldest first, instead of a journal (- is stdin)", CLI_STR,
     &o.history, 0, 0, NULL},
    {0, "champion", "TRIAL_ID", "the champion in such a history", CLI_STR, &o.champion, 0, 0, NULL},
    {0, "pending", "FILE", "configs in flight (JSON lines), not to be proposed", CLI_STR,
     &o.pending, 0, 0, NULL},
    {0, "first", "FILE", "configs (JSON lines) to be tried before all others, as the champion's",
     CLI_STR, &o.first, 0, 0, NULL},
    {0, "grid", "LIST",
     "no strategy: the configs of a list of ef_construction/ef_search[/m[/seed]], "
     "20/30,80/60/16/7",
     CLI_STR, &o.grid, 0, 0, NULL},
    {'m', "m", "N", "m of the grid, where an item has none (default 16)", CLI_U32, &o.like.m,
     CONFIG_M_MIN, CONFIG_M_MAX, NULL},
    {0, "seed", "N", "and the seed (default 42)", CLI_U64, &o.like.seed, 0,
     (double)CONFIG_SEED_MAX, NULL},
    {0, "strategy", "NAME",
     "egreedy (default), model, untimed, or with a slash in it a command: Trials on its stdin, configs on "
     "its stdout",
     CLI_STR, &o.strategy, 0, 0, NULL},
    {0, "timeout", "S", "seconds that such a command may take (default 60)", CLI_F64, &o.timeout,
     0.001, 86400, NULL},
    {0, "rows", "N", "rows of the index, for model, where no Trial tells it yet", CLI_U64, &o.rows,
     0, 2147483647.0, NULL},
    {0, "vectors-digest", "DIGEST",
     "of the index's vectors (default: those of the latest Trial): what is of others only teaches",
     CLI_STR, &o.digest, 0, 0, NULL},
    TUNE_GOAL_OPTIONS(o.goal),
    TUNE_SEARCH_OPTIONS(o.goal, o.space),
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
	struct tune_history h;
	const struct tune_strategy *strategy; /* NULL: a command */
	struct buf champion;		      /* its Trial's id; empty: none */
	struct buf lines;		      /* the Trials, for a command */
	uint64_t printed;
};

static int take_trial(void *ctx, const struct trial *t, struct err *err)
{
	struct state *s = ctx;
	if (s->champion.len && scan_text_is(t->id, buf_span(&s->champion))) {
		s->h.pairs.has_champion = true;
		s->h.pairs.champion = t->config;
	}
	if (!s->strategy && !o.grid) {
		buf_addspan(&s->lines, t->line);
		buf_addc(&s->lines, '\n');
		if (buf_ok(&s->lines, err) != 0)
			return -1;
	}
	return tune_history_add(&s->h, t, err);
}

/* What no option says of the goal is as the index's own says, and then as usual. */
static int take_goal(const struct index_meta *m, struct err *err)
{
	if (m && catalog_index_goal(m, &o.goal, err) < 0)
		return -1;
	tune_goal_complete(&o.goal);
	return tune_goal_check(&o.goal, err);
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
	if (ret == 0)
		ret = take_goal(&x.meta, err);
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
	int fd = in ? 0 : io_open_input(o.history, err);
	if (fd < 0)
		return -1;
	if (o.champion)
		buf_adds(&s->champion, o.champion);
	int ret = buf_ok(&s->champion, err);
	if (ret == 0)
		ret = take_goal(NULL, err);
	if (ret == 0)
		ret = trial_stream_read(fd, in ? "stdin" : o.history, true, take_trial, s, &warn,
					err);
	if (!in)
		close(fd);
	return ret;
}

/* Hand the configs of a file to ${take}, which adds the file's name and line to its errors. */
static int read_configs(struct state *s, const char *file,
			int (*take)(struct state *s, const struct config *c, struct err *err),
			struct err *err)
{
	struct io_lines lines;
	struct span line;
	bool in = strcmp(file, "-") == 0;
	int fd = in ? 0 : io_open_input(file, err), got = -1;
	if (fd < 0)
		return -1;
	if (io_lines_init(&lines, fd, file, TRIAL_LINE_MAX, err) == 0) {
		while ((got = io_lines_next(&lines, &line, err)) > 0) {
			struct config c;
			if (line.n == 0)
				continue;
			if (config_parse(line, &c, err) != 0 || take(s, &c, err) != 0) {
				got = err_prefix(err, "'%s' line %llu", file,
						 (unsigned long long)lines.number);
				break;
			}
		}
		io_lines_release(&lines);
	}
	if (!in)
		close(fd);
	return got;
}

static int take_pending(struct state *s, const struct config *c, struct err *err)
{
	return tune_history_pending(&s->h, c, err);
}

static void print_config(struct state *s, const struct config *c)
{
	struct json_out j = {.b = &cli_out.b};
	config_write(&j, c);
	buf_addc(&cli_out.b, '\n');
	s->printed++;
}

/* One of a list: propose it, unless it was tried or enough were proposed. */
static int propose_listed(struct state *s, const struct config *c, struct err *err)
{
	if (s->printed == o.count || tune_history_tried(&s->h, c))
		return 0;
	print_config(s, c);
	return tune_history_pending(&s->h, c, err);
}

static bool has_curve(const struct state *s, const struct config *c)
{
	const struct tune_build *b = tune_history_find(&s->h, c);
	return b && b->curve.n > 0;
}

/* Of --first: for a strategy that goes by curves each of a build is as good as all of them. */
static int take_first(struct state *s, const struct config *c, struct err *err)
{
	if (o.grid ? config_check_bounds(c, err) : tune_space_check(&tune_space_widest, c, err))
		return -1;
	return s->strategy && s->strategy->by_curve && has_curve(s, c) ? 0
								      : propose_listed(s, c, err);
}

static int propose_grid(struct state *s, struct err *err)
{
	struct config *c;
	size_t n;
	int ret = tune_grid_parse(span_of(o.grid), &o.like, &c, &n, err);
	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = propose_listed(s, &c[i], err);
	if (ret == 0 && s->printed == 0)
		ret = err_set(err, ERR_NO, "all of the grid was tried");
	free(c);
	return ret;
}

/* As many as there are; ERR_NO if there is not even one. */
static int ask_strategy(struct state *s, struct err *err)
{
	struct tune_proposal p;
	while (s->printed < o.count) {
		if (s->strategy->next(&s->h, &o.goal, &p, err) != 0)
			return s->printed && err->code == ERR_NO ? 0 : -1;
		if (cli.verbose)
			cli_note(&cli, "%s", p.why);
		print_config(s, &p.config);
	}
	return 0;
}

/* What a command of the user's is run by: statuses of the one table, and a time limit. */
static const char runner[] =
    "timeout -k 1 \"$1\" sh -c \"$2\"; s=$?; case $s in 0 | 1) exit $s ;; "
    "124) echo \"no answer within $1 s\" >&2; exit 5 ;; "
    "137) echo \"it was killed\" >&2; exit 6 ;; "
    "*) echo \"it ended with status $s\" >&2; exit 6 ;; esac";

/* One line of what it printed. */
static int take_answer(struct state *s, struct span line, uint64_t number, struct err *err)
{
	struct config c;
	if (config_parse(line, &c, err) != 0)
		return err_prefix(err, "line %llu is no config", (unsigned long long)number);
	if (tune_space_check(&o.goal.space, &c, err) != 0)
		return -1;
	return propose_listed(s, &c, err);
}

/* What a command proposes, but what was tried. */
static int ask_command(struct state *s, struct err *err)
{
	char seconds[32];
	const char *argv[] = {"sh", "-c", runner, "sh", seconds, o.strategy, NULL};
	struct buf out = BUF_INIT;
	uint64_t number = 0;
	snprintf(seconds, sizeof seconds, "%.9g", o.timeout);
	int ret = cli_run("", argv, buf_span(&s->lines), &out, err);
	if (ret != 0 && err->code == ERR_NO)
		ret = err_set(err, ERR_NO, "it has nothing to propose");
	for (size_t at = 0; ret == 0 && at < out.len && s->printed < o.count;) {
		const char *from = out.data + at, *end = memchr(from, '\n', out.len - at);
		struct span line = {from, end ? (size_t)(end - from) : out.len - at};
		at += line.n + 1;
		number++;
		if (line.n)
			ret = take_answer(s, line, number, err);
	}
	if (ret == 0 && s->printed == 0)
		ret = err_set(err, ERR_NO, "it proposed nothing that was not tried");
	buf_release(&out);
	return ret == 0 ? 0 : err_prefix(err, "strategy '%s'", o.strategy);
}

/* The strategy by name, or by its slash a command; the goal is checked. */
static int prepare(struct state *s, struct err *err)
{
	if (o.space && tune_space_parse(span_of(o.space), &o.goal.space, err) != 0)
		return -1;
	if (o.digest && tune_history_only(&s->h, o.digest, NULL, err) != 0)
		return -1;
	if (o.grid)
		return 0;
	if (!strchr(o.strategy, '/') && !(s->strategy = tune_strategy_find(o.strategy, err)))
		return -1;
	return 0;
}

/* What the history leaves out. */
static void tell_left_out(const struct state *s)
{
	if (s->h.others)
		cli_note(&cli, "%llu Trials of other vectors or another eval set do not count",
			 (unsigned long long)s->h.others);
	if (s->h.broken)
		cli_note(&cli, "%llu Trials with impossible figures do not count",
			 (unsigned long long)s->h.broken);
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
	if (o.pending && o.first && strcmp(o.pending, "-") == 0 && strcmp(o.first, "-") == 0)
		cli_usage(&cli, "only one of --pending and --first can be stdin");
	int ret = prepare(&s, &err);
	if (ret == 0)
		ret = o.history ? from_history(&s, &err) : from_store(&s, cli.operand[0], &err);
	if (ret == 0)
		tune_history_end(&s.h);
	if (ret == 0 && s.h.rows == 0)
		s.h.rows = o.rows;
	if (ret == 0 && o.pending)
		ret = read_configs(&s, o.pending, take_pending, &err);
	if (ret == 0 && s.h.pairs.trials == 0 && s.h.n == 0 && s.strategy)
		cli_note(&cli, "there are no Trials yet: proposing around the default");
	if (ret == 0 && (o.grid || strcmp(o.strategy, "egreedy") != 0))
		tell_left_out(&s);
	if (ret == 0 && o.first)
		ret = read_configs(&s, o.first, take_first, &err);
	if (ret == 0 && s.printed < o.count)
		ret = o.grid	   ? propose_grid(&s, &err)
		      : s.strategy ? ask_strategy(&s, &err)
				   : ask_command(&s, &err);
	buf_release(&s.champion);
	buf_release(&s.lines);
	tune_history_release(&s.h);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
