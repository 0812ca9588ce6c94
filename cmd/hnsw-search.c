/* SPDX-License-Identifier: MIT */
/* hnsw-search - print the nearest neighbours of queries */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "catalog/operand.h"
#include "cli/cli.h"
#include "json/write.h"

#define BATCH 256 /* queries that are searched together */
#define TEXTS_MAX ((size_t)1 << 30)

static struct {
	uint32_t k, ef, threads;
	struct vec_input in;
	int vectors;
	bool exact, load, texts;
	const char *prefix, *store;
} o = {.k = 10};

static const struct cli_opt opts[] = {
    {'k', "k", "N", "hits a query (default 10)", CLI_U32, &o.k, 1, 1000000, NULL},
    {'s', "ef-search", "N", "beam width (default: the index's)", CLI_U32, &o.ef, 1, 1000000, NULL},
    {0, "exact", NULL, "compute every distance instead of searching the graph", CLI_FLAG, &o.exact,
     0, 0, NULL},
    {0, "load", NULL, "read the index into memory first: better for many queries", CLI_FLAG,
     &o.load, 0, 0, NULL},
    {0, "texts", NULL, "the queries are texts, {\"id\":...,\"text\":...}: embed them as the dataset was",
     CLI_FLAG, &o.texts, 0, 0, NULL},
    {0, "prefix", "TEXT", "texts: put TEXT before each (default: as it was for the dataset)", CLI_STR,
     &o.prefix, 0, 0, NULL},
    CLI_OPT_VECTORS(&o.vectors),
    CLI_OPTS_INPUT(o.in),
    CLI_OPT_THREADS(&o.threads, "1"),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] INDEX [QUERIES]",
    .about =
	"Print {\"id\":...,\"hits\":[{\"id\":...,\"distance\":...},...]} for each query, nearest\n"
	"first.  INDEX is a file or the name of a served index; QUERIES a file of vectors\n"
	"(default: stdin, JSONL, answered line by line).",
    CLI_OPTS(opts),
};

/* Queries in hand and their hits. */
struct batch {
	const struct hnsw *index;
	uint32_t dim;
	size_t n;
	float *query; /* BATCH x dim */
	char *id[BATCH];
	struct hnsw_hit *hit; /* BATCH x k */
	int found[BATCH];
	struct hnsw_scratch *scratch; /* one a thread */
	struct err *err;	      /* one a thread */
	struct par *par;
};

static int batch_init(struct batch *b, const struct hnsw *index, struct err *err)
{
	struct hnsw_info info;
	const struct dist_kernels *kernels = dist_choose(getenv("HNSW_KERNEL"), err);
	size_t threads = o.threads ? o.threads : 1;
	hnsw_info(index, false, &info);
	*b = (struct batch){.index = index, .dim = info.dim};
	if (o.k > info.rows)
		o.k = (uint32_t)info.rows;
	b->query = mem_array(BATCH, info.dim * sizeof *b->query, err);
	b->hit = mem_array(BATCH, o.k * sizeof *b->hit, err);
	b->scratch = mem_zeroed(threads, sizeof *b->scratch, err);
	b->err = mem_zeroed(threads, sizeof *b->err, err);
	b->par = par_new((int)threads, err);
	if (!kernels || !b->query || !b->hit || !b->scratch || !b->err || !b->par)
		return -1;
	for (size_t t = 0; t < threads; t++)
		if (hnsw_scratch_init(&b->scratch[t], index, kernels, err) != 0)
			return -1;
	return 0;
}

static void batch_release(struct batch *b)
{
	for (int t = 0; b->scratch && b->par && t < par_threads(b->par); t++)
		hnsw_scratch_release(&b->scratch[t]);
	for (size_t i = 0; i < b->n; i++)
		free(b->id[i]);
	free(b->query);
	free(b->hit);
	free(b->scratch);
	free(b->err);
	par_free(b->par);
}

static int batch_add(struct batch *b, const float *v, struct span id, struct err *err)
{
	memcpy(b->query + b->n * b->dim, v, b->dim * sizeof *v);
	b->id[b->n] = span_dup(id);
	return b->id[b->n++] ? 0 : err_nomem(err);
}

static void search_some(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct batch *b = ctx;
	for (uint64_t i = begin; i < end; i++) {
		const float *q = b->query + i * b->dim;
		struct hnsw_hit *hits = b->hit + i * o.k;
		struct hnsw_scratch *s = &b->scratch[thread];
		b->found[i] = o.exact
				  ? hnsw_search_exact(b->index, q, o.k, s, hits, &b->err[thread])
				  : hnsw_search(b->index, q, o.k, o.ef, s, hits, &b->err[thread]);
	}
}

static void print_hits(const struct batch *b, size_t i)
{
	struct json_out j = {.b = &cli_out.b};
	char tmp[VEC_ID_TEXT_MAX];
	json_open(&j, '{');
	json_kv_cstr(&j, "id", b->id[i]);
	json_key(&j, "hits");
	json_open(&j, '[');
	for (int h = 0; h < b->found[i]; h++) {
		const struct hnsw_hit *hit = &b->hit[i * o.k + (size_t)h];
		json_open(&j, '{');
		json_kv_str(&j, "id", hnsw_id(b->index, hit->row, tmp));
		json_key(&j, "distance");
		json_f32(&j, hit->distance);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
}

/* Answer what is in hand. */
static int batch_run(struct batch *b, struct err *err)
{
	par_run(b->par, b->n, 4, search_some, b);
	for (size_t i = 0; i < b->n; i++) {
		if (b->found[i] < 0)
			return err_nomem(err);
		print_hits(b, i);
		free(b->id[i]);
	}
	b->n = 0;
	return io_sink_spill(&cli_out, err);
}

static int answer_file(struct batch *b, const char *path, struct err *err)
{
	struct vec_set set;
	float *v = NULL;
	char tmp[VEC_ID_TEXT_MAX];
	int ret = vec_set_open(&set, &path, 1, &o.in, err);
	if (ret == 0 && set.rows && set.dim != b->dim)
		ret = err_set(err, ERR_DATA, "'%s' has dimension %u, the index has %u", path,
			      set.dim, b->dim);
	if (ret == 0 && !(v = mem_array(b->dim, sizeof *v, err)))
		ret = -1;
	for (uint64_t i = 0; ret == 0 && i < set.rows; i++) {
		ret = vec_set_row(&set, i, v, err);
		if (ret == 0)
			ret = batch_add(b, v, vec_set_id(&set, i, tmp), err);
		if (ret == 0 && b->n == BATCH)
			ret = batch_run(b, err);
	}
	if (ret == 0)
		ret = batch_run(b, err);
	free(v);
	vec_set_release(&set);
	return ret;
}

/* Lines from stdin; what has come so far is answered before waiting for more. */
static int answer_stream(struct batch *b, int fd, const char *name, struct err *err)
{
	struct vec_stream *s = vec_stream_new(fd, name, &o.in, err);
	const float *v;
	struct span id;
	int got = s ? 1 : -1;
	while (got > 0) {
		int ready = b->n == BATCH ? 0 : vec_stream_ready(s, err);
		if (ready == 0 && (batch_run(b, err) != 0 || io_sink_flush(&cli_out, err) != 0))
			ready = -1;
		got = ready < 0 ? -1 : vec_stream_next(s, b->dim, &v, &id, err);
		if (got > 0 && batch_add(b, v, id, err) != 0)
			got = -1;
	}
	if (got == 0)
		got = batch_run(b, err);
	else if (err->code == ERR_DATA && batch_run(b, &(struct err){0}) != 0)
		got = -1; /* what came before the bad line was answered if it could be */
	vec_stream_free(s);
	return got;
}

/* ---- texts ---- */

/* Have embed turn the texts into lines of vectors, as ${e} tells. */
static int embed_texts(const struct embedding *e, const char *queries, struct buf *lines,
		       struct err *err)
{
	const char *argv[20] = {"embed", "-S", cli_store(o.store), "--embedder"};
	const char *prefix = o.prefix ? o.prefix : e->prefix;
	struct buf programs = BUF_INIT, spec = BUF_INIT, in = BUF_INIT;
	size_t n = 4;
	buf_adds(&spec, e->embedder);
	if (!strchr(e->embedder, ':') && !e->model)
		buf_addf(&spec, ":%llu", (unsigned long long)e->dimensions);
	const char *const options[][2] = {
	    {"--model", e->model}, {"--url", e->url}, {"--prefix", prefix}};
	argv[n++] = buf_span(&spec).p;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (options[i][1]) {
			argv[n++] = options[i][0];
			argv[n++] = options[i][1];
		}
	argv[n++] = "--";
	if (strcmp(queries, "-") != 0)
		argv[n++] = queries;
	int ret = buf_ok(&spec, err) == 0 && cli_programs(&cli, "hnsw-search", &programs, err) == 0
		      ? 0
		      : -1;
	if (ret == 0 && strcmp(queries, "-") == 0)
		ret = io_read_fd(0, "stdin", TEXTS_MAX, &in, err);
	if (ret == 0)
		ret = cli_run(programs.data, argv, buf_span(&in), lines, err);
	buf_release(&programs);
	buf_release(&spec);
	buf_release(&in);
	return ret;
}

static int answer_lines(struct batch *b, struct span lines, struct err *err)
{
	int fd = memfd_create("vectors", MFD_CLOEXEC);
	int ret = fd < 0 || io_write_all(fd, lines.p, lines.n) != 0 || lseek(fd, 0, SEEK_SET) < 0
		      ? err_sys(err, "cannot write to a file in memory")
		      : answer_stream(b, fd, "the vectors of the texts", err);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int answer_texts(struct batch *b, struct operands *operands, const char *queries,
			struct err *err)
{
	struct embedding e;
	struct buf lines = BUF_INIT;
	const char *name = cli.operand[0];
	int ret = operand_embedding(operands, name, &e, err);
	if (ret >= 0 && !e.embedder)
		ret = err_set(err, ERR_DATA,
			      "it is not known how the vectors of index '%s' were embedded: let "
			      "embed make vectors of the texts",
			      name);
	if (ret > 0)
		ret = embed_texts(&e, queries, &lines, err);
	if (ret == 0)
		ret = answer_lines(b, buf_span(&lines), err);
	embedding_release(&e);
	buf_release(&lines);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct batch b = {0};
	cli_parse(&cli, argc, argv, 1, 2);
	if (o.texts && (o.in.format || o.in.column || o.in.id_column))
		cli_usage(&cli, "--format, --column and --id-column are for vectors, not for texts");
	if (o.texts && operand_is_file(cli.operand[0], &err) > 0)
		cli_usage(&cli, "--texts is for an index of the store, not for a file: let embed "
				"make vectors of them");
	if (o.prefix && !o.texts)
		cli_usage(&cli, "--prefix is for --texts");
	struct operands operands = {.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	const char *queries = cli.n_operands > 1 ? cli.operand[1] : "-";
	enum hnsw_open_mode mode = o.vectors ? HNSW_DISK : o.load ? HNSW_LOAD : HNSW_MAP;
	struct hnsw *h = operand_index(&operands, cli.operand[0], mode, &err);
	int ret = h ? batch_init(&b, h, &err) : -1;
	if (ret == 0)
		ret = o.texts ? answer_texts(&b, &operands, queries, &err)
		      : strcmp(queries, "-") == 0 && o.in.format == VEC_BY_SUFFIX
			  ? answer_stream(&b, 0, "stdin", &err)
			  : answer_file(&b, queries, &err);
	int status = ret == 0 ? 0 : cli_error(&cli, &err);
	batch_release(&b);
	hnsw_free(h);
	operands_release(&operands);
	return cli_finish(&cli, status);
}
