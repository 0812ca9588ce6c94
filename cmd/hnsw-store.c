/* SPDX-License-Identifier: MIT */
/* hnsw-store - the blobs of a store, for scripts */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "base/show.h"
#include "cli/cli.h"
#include "store/store.h"

#define PIECE ((size_t)1 << 20)

static struct {
	const char *store;
	bool create;
	double wait;
} o;

static const struct cli_opt opts[] = {
    {0, "create", NULL, "put: fail with status 4 if the key is taken", CLI_FLAG, &o.create, 0, 0,
     NULL},
    {0, "wait", "S", "lock: wait so long for the lock (default 0)", CLI_F64, &o.wait, 0, 1000000,
     NULL},
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "list PREFIX\nget KEY\nput [--create] KEY <DATA\ndelete KEY\nsync PREFIX\npath KEY\nlock [--wait "
	     "S] KEY -- COMMAND [ARGUMENT...]",
    .about =
	"Read and write the blobs of a store by key, BUCKET/..., as hnsw-store(5) names them.\n"
	"sync makes durable what another process wrote at a prefix.  path prints where a blob can\n"
	"be read as a local file.  lock runs a command that holds the lock of a key (status 5 if\n"
	"it is taken).",
    CLI_OPTS(opts),
};

/* Scripts want the name as it is, terminals do not. */
static void print_name(const char *name, const char *end)
{
	size_t from = cli_out.b.len;
	buf_adds(&cli_out.b, name);
	if (isatty(1))
		show_from(&cli_out.b, from);
	buf_adds(&cli_out.b, end);
}

static int do_list(struct store *s, const char *key, struct err *err)
{
	struct store_names names[2];
	int ret = store_list(s, key, true, &names[0], err);
	if (ret == 0 && (ret = store_list(s, key, false, &names[1], err)) != 0)
		store_names_release(&names[0]);
	for (int i = 0; ret == 0 && i < 2; i++) {
		for (size_t n = 0; n < names[i].count; n++)
			print_name(names[i].name[n], i ? "\n" : "/\n");
		store_names_release(&names[i]);
	}
	return ret;
}

static int no_blob(const char *key, struct err *err)
{
	return err_set(err, ERR_NO, "there is no '%s'", key);
}

static int print_piece(void *ctx, struct span piece, struct err *err)
{
	(void)ctx;
	buf_addspan(&cli_out.b, piece);
	return io_sink_spill(&cli_out, err);
}

static int do_get(struct store *s, const char *key, struct err *err)
{
	int got = store_read(s, key, print_piece, NULL, err);
	return got == 0 ? no_blob(key, err) : got < 0 ? -1 : 0;
}

static int do_put(struct store *s, const char *key, struct err *err)
{
	struct store_stage *st = store_stage_open(s, key, err);
	char *piece = malloc(PIECE);
	int ret = !st ? -1 : !piece ? err_nomem(err) : 0;
	ssize_t n = 1;
	while (ret == 0 && n != 0) {
		n = read(0, piece, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		ret = n < 0 ? err_sys(err, "cannot read 'stdin'")
			    : store_stage_add(st, (struct span){piece, (size_t)n}, err);
	}
	if (ret == 0)
		ret = store_stage_commit(st, key, !o.create, err);
	if (ret == 1)
		ret = err_set(err, ERR_CONFLICT, "'%s' is taken", key);
	store_stage_free(st);
	free(piece);
	return ret;
}

static int do_delete(struct store *s, const char *key, struct err *err)
{
	return store_delete(s, key, err);
}

static int do_sync(struct store *s, const char *key, struct err *err)
{
	return store_sync(s, key, err);
}

static int do_path(struct store *s, const char *key, struct err *err)
{
	int got = store_path(s, key, &cli_out.b, err);
	buf_addc(&cli_out.b, '\n');
	if (got <= 0)
		buf_clear(&cli_out.b);
	return got == 0 ? no_blob(key, err) : got < 0 ? -1 : 0;
}

static int do_lock(struct store *s, const char *key, struct err *err)
{
	struct store_lock *l = store_lock(s, key, STORE_WAIT, err);
	if (!l || store_lock_inherit(l, err) != 0)
		return -1;
	(void)signal(SIGXFSZ, SIG_DFL);
	char **command = (char **)(uintptr_t)(cli.operand + 2);
	execvp(command[0], command);
	return err_sys(err, "cannot run '%s'", command[0]);
}

static const struct {
	const char *name;
	int (*run)(struct store *s, const char *key, struct err *err);
} verbs[] = {
    {"list", do_list},	   {"get", do_get},   {"put", do_put},
    {"delete", do_delete}, {"sync", do_sync}, {"path", do_path}, {"lock", do_lock},
};

/* The bucket's store and the rest of the key. */
static struct store *bucket_of(struct buckets *b, const char *key, const char **rest,
			       struct err *err)
{
	size_t n = strcspn(key, "/");
	char *bucket = span_dup((struct span){key, n});
	struct store *s = NULL;
	if (!bucket)
		err_nomem(err);
	else if (name_fault(span_of(bucket)))
		err_set(err, ERR_USAGE, "bad key '%s', expected BUCKET/...: the bucket's name %s",
			key, name_fault(span_of(bucket)));
	else
		s = buckets_get(b, bucket, err);
	*rest = key[n] ? key + n + 1 : "";
	free(bucket);
	return s;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	const char *rest;
	cli_parse(&cli, argc, argv, 2, SIZE_MAX);
	size_t verb = 0, n = sizeof verbs / sizeof verbs[0];
	while (verb < n && strcmp(verbs[verb].name, cli.operand[0]) != 0)
		verb++;
	if (verb == n)
		cli_usage(&cli, "unknown verb '%s'", cli.operand[0]);
	bool lock = strcmp(verbs[verb].name, "lock") == 0;
	if (lock ? cli.n_operands < 3 : cli.n_operands > 2)
		cli_usage(&cli, lock ? "lock needs a command" : "too many operands");
	struct buckets *b = buckets_open(cli_store(o.store), &err);
	bool reads = strcmp(verbs[verb].name, "put") != 0 && !lock;
	if (b && reads && !buckets_exist(b)) {
		err_set(&err, ERR_ENV, "there is no store at '%s'", cli_store(o.store));
		buckets_close(b);
		return cli_finish(&cli, cli_error(&cli, &err));
	}
	struct warn_to w = cli_warn_to(&cli);
	if (b)
		buckets_be_patient(b, (int)(o.wait * 1000), &w);
	struct store *s = b ? bucket_of(b, cli.operand[1], &rest, &err) : NULL;
	int ret = s ? verbs[verb].run(s, rest, &err) : -1;
	buckets_close(b);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
