/* SPDX-License-Identifier: MIT */
/* promote - make a Trial's config the champion of its index */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cli/cli.h"

#define VERDICT_MAX ((size_t)1 << 20)

static struct {
	const char *by, *note, *expect, *confirm, *store;
	double min_recall, wait;
	struct tune_goal goal;
	bool if_better, prove, trust_stored, unattended, pin, no_pin, unpin, dry_run;
} o = {.wait = 60, .goal = TUNE_GOAL_UNSAID};

static const struct cli_opt opts[] = {
    {0, "by", "WHO", "who promotes (default: the user's name)", CLI_STR, &o.by, 0, 0, NULL},
    {0, "note", "TEXT", "why", CLI_STR, &o.note, 0, 0, NULL},
    {0, "expect", "TRIAL_ID", "only if this one is promoted now (\"\": nothing is)", CLI_STR,
     &o.expect, 0, 0, NULL},
    {0, "if-better", NULL, "only if it is confirmed that it beats the champion", CLI_FLAG,
     &o.if_better, 0, 0, NULL},
    {0, "confirm", "FILE", "by this verdict of trial-duel (- for stdin); means --if-better",
     CLI_STR, &o.confirm, 0, 0, NULL},
    {0, "min-recall", "R", "only if its recall is proven to be at least R", CLI_F64, &o.min_recall,
     0, 1, NULL},
    {0, "prove", NULL, "--min-recall: proven even where nothing is promoted yet", CLI_FLAG, &o.prove,
     0, 0, NULL},
    {0, "trust-stored", NULL, "take the figures of the Trials as they are for both of these",
     CLI_FLAG, &o.trust_stored, 0, 0, NULL},
    {0, "unattended", NULL,
     "not if its config was rolled back on the same vectors, nor in place of what is pinned",
     CLI_FLAG, &o.unattended, 0, 0, NULL},
    {0, "pin", NULL, "nothing is promoted unattended in its place", CLI_FLAG, &o.pin, 0, 0, NULL},
    {0, "no-pin", NULL, "even without a goal (see the manual) something may be", CLI_FLAG,
     &o.no_pin, 0, 0, NULL},
    {0, "unpin", NULL, "promote nothing: let what is promoted now be replaced", CLI_FLAG, &o.unpin,
     0, 0, NULL},
    TUNE_GOAL_OPTIONS(o.goal),
    CLI_OPT_WAIT(&o.wait, "60"),
    CLI_OPT_DRY_RUN(&o.dry_run),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] NAME [TRIAL_ID]\n--unpin NAME",
    .about =
	"Promote a Trial of index NAME, by its id or as JSON lines on stdin, and print the new\n"
	"state.  The one before goes on the history (see rollback).",
    CLI_OPTS(opts),
};

/*
 * The effective user's name: from /etc/passwd, else what the login said.  Not by getpwuid(), since
 * glibc's name services crash where memory is short.
 */
static const char *user_name(void)
{
	static char text[16384];
	static struct passwd entry;
	struct passwd *pw = NULL;
	FILE *file = fopen("/etc/passwd", "re");
	while (file && fgetpwent_r(file, &entry, text, sizeof text, &pw) == 0 &&
	       pw->pw_uid != geteuid())
		pw = NULL;
	if (file)
		fclose(file);
	const char *name = pw ? pw->pw_name : getenv("LOGNAME");
	return name && name[0] ? name : "unknown";
}

/* What --confirm names. */
static struct {
	struct buf text;
	struct verdict verdict;
} confirm;

static int read_verdict(struct err *err)
{
	bool in = strcmp(o.confirm, "-") == 0;
	int ret = in ? io_read_fd(0, "stdin", VERDICT_MAX, &confirm.text, err)
		     : io_read_file(o.confirm, VERDICT_MAX, &confirm.text, err);
	if (ret == 0 && verdict_parse(&confirm.verdict, buf_span(&confirm.text), err) != 0)
		ret = err_prefix(err, "'%s': not one verdict", in ? "stdin" : o.confirm);
	return ret;
}

/* What a person chose stays, where nothing tells a program what would be better. */
static enum promotion_pin choose_pin(void)
{
	bool by_rule = o.unattended || o.if_better || o.confirm;
	return o.pin			? PROMOTION_PINNED
	       : o.no_pin || by_rule	? PROMOTION_NOT_PINNED
					: PROMOTION_PINNED_WITHOUT_GOAL;
}

/* What is proven of rows of the data is not proven of what users look for; said once. */
static void remark_on_source(const struct trial *t)
{
	static bool said;
	if (said || query_source_parse(t->query_source) != QUERIES_SAMPLED)
		return;
	said = true;
	cli_note(&cli, "measured with queries sampled from the data: recall with queries of users may "
		       "be lower (see evalset --from-log)");
}

static int promote(struct catalog *c, const struct catalog_index *x, const struct trial *t,
		   struct err *err)
{
	struct promote_request r = {
	    .trial = t,
	    .by = o.by ? o.by : user_name(),
	    .note = o.note,
	    .expect = o.expect,
	    .if_better = o.if_better || o.confirm,
	    .trust_stored = o.trust_stored,
	    .verdict = o.confirm ? &confirm.verdict : NULL,
	    .unattended = o.unattended,
	    .goal = tune_goal_said(&o.goal) ? &o.goal : NULL,
	    .pin = choose_pin(),
	    .min_recall = o.min_recall,
	    .prove = o.prove,
	    .dry_run = o.dry_run,
	};
	int ret = catalog_promote(c, x, &r, &cli_out.b, err);
	if (ret == 0 && !o.dry_run)
		remark_on_source(t);
	return ret;
}

/* The index, which stays where it is until it is released. */
static int hold(struct catalog *c, const char *index, struct catalog_index *x, struct err *err)
{
	return (o.dry_run ? catalog_index_open : catalog_index_hold)(c, index, x, err);
}

static int by_id(struct catalog *c, const char *index, const char *id, struct err *err)
{
	struct buf line = BUF_INIT;
	struct trial t;
	struct catalog_index x;
	int found = hold(c, index, &x, err);
	if (found == 0 && (found = trial_log_find(x.bucket, index, span_of(id), &line, &t, &c->warn,
						  err)) == 0)
		found = err_set(err, ERR_NO, "there is no Trial '%s' in the journal of '%s'", id,
				index);
	int ret = found > 0 ? promote(c, &x, &t, err) : -1;
	catalog_index_release(&x);
	buf_release(&line);
	return ret;
}

static int unpin(struct catalog *c, const char *index, struct err *err)
{
	struct catalog_index x;
	int ret = hold(c, index, &x, err);
	if (ret == 0)
		ret = catalog_unpin(&x, o.expect, o.dry_run, &cli_out.b, err);
	catalog_index_release(&x);
	return ret;
}

/* Trials on stdin, one after the other; those that do not pass the gates are told of. */
struct stream {
	struct catalog *catalog;
	const char *index;
	uint64_t seen, promoted;
};

static int take_trial(void *ctx, const struct trial *t, struct err *err)
{
	struct stream *s = ctx;
	s->seen++;
	if (!scan_text_is(t->index_name, span_of(s->index)))
		return err_set(
		    err, ERR_DATA,
		    "Trial '%.*s' is of index '%.*s', expected '%s' (hnsw-bench --index sets it)",
		    (int)t->id.n, t->id.p, (int)t->index_name.n, t->index_name.p, s->index);
	struct catalog_index x;
	int ret = hold(s->catalog, s->index, &x, err);
	if (ret == 0)
		ret = promote(s->catalog, &x, t, err);
	catalog_index_release(&x);
	if (ret == 0) {
		s->promoted++;
		return io_sink_flush(&cli_out, err);
	}
	if (err->code != ERR_NO)
		return -1;
	cli_note(&cli, "not promoted: %.*s: %s", (int)t->id.n, t->id.p, err->msg);
	return 0;
}

static int from_stdin(struct catalog *c, const char *index, struct err *err)
{
	struct stream s = {.catalog = c, .index = index};
	int ret = trial_stream_read(0, "stdin", true, take_trial, &s, &c->warn, err);
	if (ret != 0)
		return -1;
	if (s.seen == 0)
		return err_set(err, ERR_DATA, "there is no Trial on stdin");
	return s.promoted ? 0 : err_set(err, ERR_NO, "nothing was promoted");
}

/* Of a goal that options give; with that of the index it is checked again. */
static int check_goal(struct err *err)
{
	struct tune_goal whole = o.goal;
	tune_goal_complete(&whole);
	return tune_goal_check(&whole, err);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	cli_parse(&cli, argc, argv, 1, 2);
	const char *index = cli.operand[0];
	if (o.prove && o.trust_stored)
		cli_usage(&cli, "only one of --prove and --trust-stored can be meant");
	if (o.confirm && o.trust_stored)
		cli_usage(&cli, "only one of --confirm and --trust-stored can be meant");
	if (o.confirm && strcmp(o.confirm, "-") == 0 && cli.n_operands == 1)
		cli_usage(&cli, "stdin cannot be both the verdict and the Trials");
	if (o.pin + o.no_pin + o.unpin > 1)
		cli_usage(&cli, "only one of --pin, --no-pin and --unpin can be meant");
	if (o.unpin && cli.n_operands == 2)
		cli_usage(&cli, "--unpin promotes nothing: no TRIAL_ID");
	c.warn = cli_warn_to(&cli);
	int ret = catalog_check_name("index", index, &err);
	if (ret == 0)
		ret = check_goal(&err);
	if (ret == 0 && o.confirm)
		ret = read_verdict(&err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), o.unpin || cli.n_operands == 2, &err);
	if (ret == 0)
		catalog_be_patient(&c, o.wait);
	if (ret == 0)
		ret = o.unpin		    ? unpin(&c, index, &err)
		      : cli.n_operands == 2 ? by_id(&c, index, cli.operand[1], &err)
					    : from_stdin(&c, index, &err);
	buf_release(&confirm.text);
	catalog_close(&c);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
