/* SPDX-License-Identifier: MIT */
/* hnsw-build - build an HNSW index from vectors, or insert vectors into one */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/lock.h"
#include "catalog/operand.h"
#include "cli/cli.h"
#include "record/build.h"

static struct {
	uint32_t rung; /* of --config: build only so many rows */
	uint32_t m, ef_construction, ef_search, threads;
	uint64_t seed;
	struct vec_input in;
	int metric, storage, like;
	const char *config, *output, *store, *append;
	struct cli_list rungs;
} o = {.seed = UINT64_MAX, .metric = -1, .storage = HNSW_AUTO, .like = -1};

/* The original's library: M is a constant of it, 64 links on layer 0. */
static const char *const like_names[] = {"instant-distance", NULL};
static const struct config like_config = {
    .ef_construction = 100, .ef_search = 100, .m = 32, .seed = 42, .storage = HNSW_AUTO};

static const struct cli_opt opts[] = {
    {'o', "output", "FILE", "the index file to write", CLI_STR, &o.output, 0, 0, NULL},
    CLI_OPT_M(&o.m),
    CLI_OPT_EF_CONSTRUCTION(&o.ef_construction),
    CLI_OPT_EF_SEARCH(&o.ef_search),
    CLI_OPT_SEED(&o.seed),
    CLI_OPT_METRIC(&o.metric),
    {0, "config", "FILE", "take the config from a JSON line, - is stdin; options go before it",
     CLI_STR, &o.config, 0, 0, NULL},
    {0, "storage", "NAME", "how the index holds vectors: f32, u8, sq8, f16, bf16, auto (default)",
     CLI_NAME, &o.storage, 0, 0, hnsw_storage_names},
    {0, "like", "NAME", "build as another library does: instant-distance", CLI_NAME, &o.like, 0, 0,
     like_names},
    {0, "rungs", "LIST",
     "on the way, write an index of the first R rows inserted, for each R of R,R,...", CLI_LIST,
     &o.rungs, 1, 2147483647.0, NULL},
    {0, "append", "OLD", "insert the vectors into the index in file OLD, which stays as it is",
     CLI_STR, &o.append, 0, 0, NULL},
    CLI_OPTS_INPUT(o.in),
    CLI_OPT_THREADS(&o.threads, "all cores"),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] [--config FILE|-] VECTORS... -o INDEX\n"
	     "[options] --append OLD VECTORS... -o INDEX",
    .about = "Build an HNSW index over vectors and print one build record.  VECTORS are files\n"
	     "(- is stdin), or the name of a registered index or of a dataset.",
    CLI_OPTS(opts),
};

/* ERR_DATA unless a value that no option replaces is in range. */
static int check_range(const char *key, uint32_t v, uint32_t min, uint32_t max, bool replaced,
		       struct err *err)
{
	if (replaced || (v >= min && v <= max))
		return 0;
	return err_set(err, ERR_DATA, "%s=%u is out of range %u..%u", key, v, min, max);
}

static int read_config(struct config *c, struct err *err)
{
	struct buf text = BUF_INIT;
	int ret = strcmp(o.config, "-") == 0 ? io_read_fd(0, "stdin", 1 << 20, &text, err)
					     : io_read_file(o.config, 1 << 20, &text, err);
	if (ret == 0 &&
	    (config_parse(buf_span(&text), c, err) != 0 ||
	     check_range("m", c->m, HNSW_MIN_M, HNSW_MAX_M, o.m, err) != 0 ||
	     check_range("ef_construction", c->ef_construction, 1, HNSW_MAX_EF, o.ef_construction,
			 err) != 0 ||
	     check_range("ef_search", c->ef_search, 1, HNSW_MAX_EF, o.ef_search, err) != 0))
		ret = err_prefix(err, "config '%s'", o.config);
	buf_release(&text);
	return ret;
}

/* Where the index of the first ${rows} goes: the number stands before the last suffix. */
static int rung_path(uint64_t rows, struct buf *path, struct err *err)
{
	const char *slash = strrchr(o.output, '/'), *base = slash ? slash + 1 : o.output;
	const char *dot = strrchr(base, '.');
	size_t stem = dot && dot > base ? (size_t)(dot - o.output) : strlen(o.output);
	buf_add(path, o.output, stem);
	buf_addf(path, ".%llu%s", (unsigned long long)rows, o.output + stem);
	return buf_ok(path, err);
}

/* All vectors, when the index has some of them. */
static char whole_digest[DIGEST_TEXT_MAX];
static uint64_t whole_rows;

static void print_record(const struct hnsw *h, const char *path, uint64_t appended_to,
			 double seconds)
{
	struct hnsw_info info;
	hnsw_info(h, false, &info);
	struct build_record r = {
	    .index = (char *)(uintptr_t)path,
	    .config = build_config(&info, NULL, info.params.ef_search),
	    .vectors = info.rows,
	    .dimensions = info.dim,
	    .metric = info.params.metric,
	    .storage = info.params.storage,
	    .build_time_secs = seconds,
	    .memory_bytes = info.total_bytes,
	    .appended_to = appended_to,
	    .threads = (uint64_t)cli_threads(o.threads),
	    .keep_pruned = info.params.keep_pruned,
	};
	if (whole_rows > info.rows) {
		r.config.rung = (uint32_t)info.rows;
		r.whole_rows = whole_rows;
		memcpy(r.whole_digest, whole_digest, sizeof whole_digest);
	}
	/* As asked for: a config that leaves it open is to stay so. */
	r.config.storage = (enum hnsw_storage)o.storage;
	digest_text(info.vectors_digest, r.vectors_digest);
	digest_text(info.graph_digest, r.graph_digest);
	build_record_write(&cli_out.b, &r);
}

struct work {
	struct cli_progress progress;
	uint64_t start_ns;
	uint64_t written_ns; /* time that writing rungs took */
};

static double seconds_of(const struct work *w)
{
	return (double)(clock_mono_ns() - w->start_ns - w->written_ns) / 1e9;
}

static bool on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct work *w = ctx;
	cli_progress_show(&w->progress, done, total);
	return cli_interrupted();
}

static int on_rung(void *ctx, const struct hnsw *h, struct err *err)
{
	struct work *w = ctx;
	struct buf path = BUF_INIT;
	struct hnsw_info info;
	double seconds = seconds_of(w);
	uint64_t start = clock_mono_ns();
	hnsw_info(h, false, &info);
	int ret = rung_path(info.rows, &path, err);
	if (ret == 0)
		ret = hnsw_write(h, path.data, err);
	if (ret == 0) {
		print_record(h, path.data, 0, seconds);
		ret = io_sink_flush(&cli_out, err);
	}
	buf_release(&path);
	w->written_ns += clock_mono_ns() - start;
	return ret;
}

/* Build an index, or go on with ${old} if there is one. */
static struct hnsw *make(const struct vec_set *set, const struct hnsw_params *params,
			 const struct hnsw *old, struct par *par, double *seconds, struct err *err)
{
	struct work w = {0};
	struct hnsw_build_opts how = {.par = par,
				      .progress = on_progress,
				      .ctx = &w,
				      .rungs = o.rungs.v,
				      .n_rungs = o.rungs.n,
				      .rung = on_rung};
	how.kernels = dist_choose(getenv("HNSW_KERNEL"), err);
	if (!how.kernels)
		return NULL;
	cli_progress_start(&w.progress, &cli, "inserted");
	w.start_ns = clock_mono_ns();
	struct hnsw *h = old ? hnsw_append(old, set, params->ef_search, &how, err)
			     : hnsw_build(set, params, &how, err);
	*seconds = seconds_of(&w);
	cli_progress_end(&w.progress);
	return h;
}

/* What --append does not go together with. */
static void check_options(void)
{
	if (!o.output || strcmp(o.output, "-") == 0)
		cli_usage(&cli, "%s: say -o INDEX",
			  o.output ? "an index cannot be written to standard output"
				   : "no output file");
	if (o.append && (o.config || o.like >= 0))
		cli_usage(&cli, "--append goes on with the config of '%s': leave out --%s",
			  o.append, o.config ? "config" : "like");
	if (o.append && o.rungs.given)
		cli_usage(&cli, "--rungs is for building, not for --append");
}

static void check_number(const char *option, bool given, uint64_t want, uint64_t has)
{
	if (given && want != has)
		cli_usage(&cli, "--%s %llu contradicts index '%s', which has %llu", option,
			  (unsigned long long)want, o.append, (unsigned long long)has);
}

static void check_name(const char *option, bool given, const char *want, const char *has)
{
	if (given && strcmp(want, has) != 0)
		cli_usage(&cli, "--%s %s contradicts index '%s', which has %s", option, want,
			  o.append, has);
}

/* Open the index to go on with; its parameters are those that count. */
static struct hnsw *open_old(struct hnsw_params *params, struct err *err)
{
	struct hnsw *old = hnsw_open(o.append, HNSW_MAP, err);
	struct hnsw_info info;
	if (!old)
		return NULL;
	hnsw_info(old, false, &info);
	*params = info.params;
	check_number("m", o.m, o.m, params->m);
	check_number("ef-construction", o.ef_construction, o.ef_construction,
		     params->ef_construction);
	check_number("seed", o.seed != UINT64_MAX, o.seed, params->seed);
	check_name("metric", o.metric >= 0, o.metric >= 0 ? vec_metric_name((enum vec_metric)o.metric) : "",
		   vec_metric_name(params->metric));
	check_name("storage", o.storage != HNSW_AUTO, hnsw_storage_names[o.storage],
		   hnsw_storage_names[params->storage]);
	params->ef_search = o.ef_search ? o.ef_search : params->ef_search;
	return old;
}

/* The parameters that options and --config say; those of the latter go after the former. */
static int choose_params(struct hnsw_params *params, struct err *err)
{
	struct config c = CONFIG_DEFAULT;
	if (o.like >= 0)
		c = like_config;
	if (o.config && read_config(&c, err) != 0)
		return -1;
	if (o.storage == HNSW_AUTO)
		o.storage = (int)c.storage;
	o.rung = c.rung;
	*params = (struct hnsw_params){
	    .m = o.m ? o.m : c.m,
	    .ef_construction = o.ef_construction ? o.ef_construction : c.ef_construction,
	    .ef_search = o.ef_search ? o.ef_search : c.ef_search,
	    .seed = o.seed != UINT64_MAX ? o.seed : c.seed,
	    .storage = (enum hnsw_storage)o.storage,
	    .keep_pruned = o.like >= 0,
	};
	return 0;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* ERR_USAGE if ${path}, which is to be written, is read as well. */
static int check_output(const char *path, const struct vec_set *set, struct err *err)
{
	return io_check_output(path, o.config, err) != 0 ? -1
							  : vec_set_check_output(set, path, err);
}

static int check_outputs(const struct vec_set *set, struct err *err)
{
	int ret = check_output(o.output, set, err);
	for (size_t i = 0; ret == 0 && i < o.rungs.n; i++) {
		struct buf path = BUF_INIT;
		ret = rung_path(o.rungs.v[i], &path, err);
		if (ret == 0)
			ret = check_output(path.data, set, err);
		buf_release(&path);
	}
	return ret;
}

/* Remember what all vectors are, and leave of them in ${set} those of the rung, if there is one. */
static int take_rung(struct vec_set *set, struct vec_set *all, uint64_t seed, struct par *par,
		     struct err *err)
{
	struct digest d;
	if (!o.rung && !o.rungs.n)
		return 0;
	if (o.rung && o.rungs.n)
		return err_set(err, ERR_USAGE, "the config is of a rung already: leave out --rungs");
	if (o.rung >= set->rows)
		return err_set(err, ERR_DATA, "a rung of %u rows is no beginning of %llu rows",
			       o.rung, (unsigned long long)set->rows);
	if (vec_set_digest(set, par, &d, err) != 0)
		return -1;
	digest_text(d, whole_digest);
	whole_rows = set->rows;
	if (!o.rung)
		return 0;
	*all = *set;
	*set = (struct vec_set)VEC_SET_INIT;
	return vec_set_sample(all, seed, o.rung, NULL, set, err);
}

/*
 * Keep others from going on with the same index where it is, until this process ends: what one
 * of them wrote would be lost.  ERR_TEMP if one is at it, or has just replaced it.
 */
static int lock_old(struct err *err)
{
	if (!same_file(o.append, o.output))
		return 0;
	int fd = io_open(o.append, err);
	struct stat held, there;
	if (fd < 0)
		return -1;
	/* The descriptor stays open, and with it the lock. */
	if (lock_file(fd, false, o.append, 0, NULL, err) == 0) {
		if (fstat(fd, &held) != 0 || stat(o.append, &there) != 0)
			err_sys(err, "cannot stat '%s'", o.append);
		else if (held.st_ino != there.st_ino)
			err_set(err, ERR_TEMP, "another process has just replaced '%s'", o.append);
		else
			return 0;
	}
	close(fd);
	return -1;
}

static uint64_t rows_of(const struct hnsw *h)
{
	struct hnsw_info info = {0};
	if (h)
		hnsw_info(h, false, &info);
	return info.rows;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct hnsw_params params;
	struct vec_set set = VEC_SET_INIT, all = VEC_SET_INIT;
	struct index_meta meta = {0};
	struct par *par = NULL;
	struct hnsw *h = NULL, *old = NULL;
	double seconds;
	int ret = -1;
	cli_parse(&cli, argc, argv, 1, SIZE_MAX);
	check_options();
	struct operands operands = {.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	cli_catch_signals();
	if (o.append && lock_old(&err) != 0)
		goto out;
	if (o.append ? !(old = open_old(&params, &err)) : choose_params(&params, &err) != 0)
		goto out;
	if (operand_vectors(&operands, cli.operand, cli.n_operands, &o.in, &set,
			    &meta, &err) != 0 ||
	    check_outputs(&set, &err) != 0)
		goto out;
	if (!old)
		params.metric = o.metric >= 0	  ? (enum vec_metric)o.metric
				: meta.has_metric ? meta.metric
						  : VEC_COSINE;
	par = par_new(cli_threads(o.threads), &err);
	if (!par || take_rung(&set, &all, params.seed, par, &err) != 0 ||
	    !(h = make(&set, &params, old, par, &seconds, &err)))
		goto out;
	if (hnsw_write(h, o.output, &err) != 0)
		goto out;
	print_record(h, o.output, rows_of(old), seconds);
	ret = 0;
out:
	hnsw_free(h);
	hnsw_free(old);
	par_free(par);
	vec_set_release(&set);
	vec_set_release(&all);
	index_meta_release(&meta);
	operands_release(&operands);
	free(o.rungs.v);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
