/* SPDX-License-Identifier: MIT */
/* hnsw-build - build an HNSW index from vectors */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "catalog/operand.h"
#include "cli/cli.h"
#include "record/build.h"

static struct {
	uint32_t m, ef_construction, ef_search, threads;
	uint64_t seed;
	int metric, format, storage, like;
	const char *config, *output, *store;
} o = {.seed = UINT64_MAX, .metric = -1, .storage = HNSW_AUTO, .like = -1};

/* The original's library: M is a constant of it, 64 links on layer 0. */
static const char *const like_names[] = {"instant-distance", NULL};
static const struct config like_config = {
    .ef_construction = 100, .ef_search = 100, .m = 32, .seed = 42};

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
    CLI_OPT_FORMAT(&o.format),
    CLI_OPT_THREADS(&o.threads, "all cores"),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] [--config FILE|-] VECTORS... -o INDEX",
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

static bool on_progress(void *ctx, uint64_t done, uint64_t total)
{
	cli_progress_show(ctx, done, total);
	return cli_interrupted();
}

static struct hnsw *build(const struct vec_set *set, const struct config *c, enum vec_metric metric,
			  struct par *par, double *seconds, struct err *err)
{
	struct hnsw_params params = {.metric = metric,
				     .m = c->m,
				     .ef_construction = c->ef_construction,
				     .ef_search = c->ef_search,
				     .seed = c->seed,
				     .storage = (enum hnsw_storage)o.storage,
				     .keep_pruned = o.like >= 0};
	struct cli_progress progress;
	struct hnsw_build_opts how = {.par = par, .progress = on_progress, .ctx = &progress};
	how.kernels = dist_choose(getenv("HNSW_KERNEL"), err);
	if (!how.kernels)
		return NULL;
	cli_progress_start(&progress, &cli, "inserted");
	uint64_t start = clock_mono_ns();
	struct hnsw *h = hnsw_build(set, &params, &how, err);
	*seconds = (double)(clock_mono_ns() - start) / 1e9;
	cli_progress_end(&progress);
	return h;
}

static void print_record(const struct hnsw *h, const struct config *c, double seconds)
{
	struct hnsw_info info;
	hnsw_info(h, false, &info);
	struct build_record r = {
	    .index = (char *)(uintptr_t)o.output,
	    .config = *c,
	    .vectors = info.rows,
	    .dimensions = info.dim,
	    .metric = info.params.metric,
	    .storage = info.params.storage,
	    .build_time_secs = seconds,
	    .memory_bytes = info.total_bytes,
	    .threads = (uint64_t)cli_threads(o.threads),
	    .keep_pruned = info.params.keep_pruned,
	};
	digest_text(info.vectors_digest, r.vectors_digest);
	digest_text(info.graph_digest, r.graph_digest);
	build_record_write(&cli_out.b, &r);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct config c = CONFIG_DEFAULT;
	struct vec_set set = VEC_SET_INIT;
	struct index_meta meta = {0};
	struct par *par = NULL;
	struct hnsw *h = NULL;
	double seconds;
	int ret = -1;
	cli_parse(&cli, argc, argv, 1, SIZE_MAX);
	if (!o.output || strcmp(o.output, "-") == 0)
		cli_usage(&cli, "%s: say -o INDEX",
			  o.output ? "an index cannot be written to standard output"
				   : "no output file");
	struct operands operands = {.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	cli_catch_signals();
	if (o.like >= 0)
		c = like_config;
	if (o.config && read_config(&c, &err) != 0)
		goto out;
	c.m = o.m ? o.m : c.m;
	c.ef_construction = o.ef_construction ? o.ef_construction : c.ef_construction;
	c.ef_search = o.ef_search ? o.ef_search : c.ef_search;
	c.seed = o.seed != UINT64_MAX ? o.seed : c.seed;
	if (operand_vectors(&operands, cli.operand, cli.n_operands, (enum vec_format)o.format, &set,
			    &meta, &err) != 0)
		goto out;
	enum vec_metric metric = o.metric >= 0	   ? (enum vec_metric)o.metric
				 : meta.has_metric ? meta.metric
						   : VEC_COSINE;
	par = par_new(cli_threads(o.threads), &err);
	if (!par || !(h = build(&set, &c, metric, par, &seconds, &err)))
		goto out;
	if (hnsw_write(h, o.output, &err) != 0)
		goto out;
	print_record(h, &c, seconds);
	ret = 0;
out:
	hnsw_free(h);
	par_free(par);
	vec_set_release(&set);
	index_meta_release(&meta);
	operands_release(&operands);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
