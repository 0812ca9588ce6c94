/* SPDX-License-Identifier: MIT */
/* hnsw-search - print the nearest neighbours of queries */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "catalog/operand.h"
#include "cli/cli.h"
#include "json/write.h"
#include "pack/pack.h"

#define BLOCK 1024	       /* queries that are answered together */
#define CHUNK 4		       /* of these by a thread at a time */
#define TEXT_ENOUGH (4u << 20) /* bytes of lines that are answered together */
#define TEXTS_MAX ((size_t)1 << 30)

static struct {
	uint32_t k, ef, threads;
	struct vec_input in;
	int vectors;
	double sample;
	bool exact, load, texts;
	const char *prefix, *output, *log, *store;
} o = {.k = 10, .sample = 1};

static const struct cli_opt opts[] = {
    {'k', "k", "N", "hits a query (default 10)", CLI_U32, &o.k, 1, 1000000, NULL},
    {'s', "ef-search", "N", "beam width (default: the index's)", CLI_U32, &o.ef, 1, 1000000, NULL},
    {0, "exact", NULL, "compute every distance instead of searching the graph", CLI_FLAG, &o.exact,
     0, 0, NULL},
    {0, "load", NULL, "read the index into memory first: better for many queries", CLI_FLAG,
     &o.load, 0, 0, NULL},
    {0, "texts", NULL,
     "the queries are texts, {\"id\":...,\"text\":...}: embed them as the dataset was", CLI_FLAG,
     &o.texts, 0, 0, NULL},
    {0, "prefix", "TEXT", "texts: put TEXT before each (default: as it was for the dataset)",
     CLI_STR, &o.prefix, 0, 0, NULL},
    {'o', "output", "FILE",
     "write the row numbers of the hits to FILE (.ivecs or .npy), print nothing", CLI_STR,
     &o.output, 0, 0, NULL},
    {0, "log", "FILE", "append the queries to FILE, as JSONL", CLI_STR, &o.log, 0, 0, NULL},
    {0, "sample", "SHARE", "log only this share of them, drawn at random (default 1)", CLI_F64,
     &o.sample, 0, 1, NULL},
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

/* What a thread answers queries with. */
struct worker {
	struct hnsw_scratch scratch;
	struct vec_line *line;
	float *row;
	struct hnsw_hit *hit;
	size_t failed; /* the first query in hand that it could not answer, for the reason in err */
	struct err err;
};

/* Queries in hand: rows of a set, or lines of JSONL. */
struct block {
	const struct hnsw *index;
	uint32_t dim;
	size_t n;
	uint64_t first; /* number of the first one */
	const struct vec_set *set;
	const char *name;	/* of what the lines come from */
	struct buf text;	/* the lines, each with its newline */
	size_t begin[BLOCK];	/* of each line in it */
	uint64_t number[BLOCK]; /* of each line, for messages */
	struct buf out[BLOCK];	/* what is to be printed of each */
	uint32_t *near;		/* for -o: the rows of its hits, k each */
	struct worker *worker;
	struct par *par;
};

/* Where hits and queries go beside standard output. */
static struct {
	struct buf near; /* for -o: rows of hits, 32 bits each */
	int log;	 /* descriptor, -1: none */
	struct rng rng;
} also = {.log = -1};

static int worker_init(struct worker *w, const struct hnsw *index, uint32_t dim,
		       const struct dist_kernels *kernels, struct err *err)
{
	w->line = vec_line_new(&o.in, err);
	w->row = mem_array(dim, sizeof *w->row, err);
	w->hit = mem_array(o.k, sizeof *w->hit, err);
	return w->line && w->row && w->hit ? hnsw_scratch_init(&w->scratch, index, kernels, err)
					   : -1;
}

static int block_init(struct block *b, const struct hnsw *index, struct err *err)
{
	struct hnsw_info info;
	const struct dist_kernels *kernels = dist_choose(getenv("HNSW_KERNEL"), err);
	size_t threads = o.threads ? o.threads : 1;
	hnsw_info(index, false, &info);
	*b = (struct block){.index = index, .dim = info.dim};
	if (o.k > info.rows)
		o.k = (uint32_t)info.rows;
	b->worker = mem_zeroed(threads, sizeof *b->worker, err);
	b->par = b->worker ? par_new((int)threads, err) : NULL;
	if (!kernels || !b->par ||
	    (o.output && !(b->near = mem_array(BLOCK, o.k * sizeof *b->near, err))))
		return -1;
	for (size_t t = 0; t < threads; t++)
		if (worker_init(&b->worker[t], index, info.dim, kernels, err) != 0)
			return -1;
	return 0;
}

static void block_release(struct block *b)
{
	for (int t = 0; b->worker && b->par && t < par_threads(b->par); t++) {
		hnsw_scratch_release(&b->worker[t].scratch);
		vec_line_free(b->worker[t].line);
		free(b->worker[t].row);
		free(b->worker[t].hit);
	}
	for (size_t i = 0; i < BLOCK; i++)
		buf_release(&b->out[i]);
	buf_release(&b->text);
	free(b->near);
	free(b->worker);
	par_free(b->par);
}

/* ---- answering ---- */

static int read_query(const struct block *b, struct worker *w, size_t i, const float **v,
		      struct span *id, char *tmp)
{
	static const struct vec_set numbers = VEC_SET_INIT;
	if (b->set) {
		*v = w->row;
		*id = vec_set_id(b->set, b->first + i, tmp);
		return vec_set_row(b->set, b->first + i, w->row, &w->err);
	}
	size_t end = i + 1 < b->n ? b->begin[i + 1] : b->text.len;
	struct span line = {b->text.data + b->begin[i], end - b->begin[i] - 1};
	if (vec_line_read(w->line, line, b->dim, v, id, &w->err) != 0)
		return err_prefix(&w->err, "'%s' line %llu", b->name,
				  (unsigned long long)b->number[i]);
	if (!id->p)
		*id = vec_set_id(&numbers, b->first + i, tmp);
	return 0;
}

static void print_hits(struct buf *out, const struct hnsw *index, struct span id,
		       const struct hnsw_hit *hits, int found)
{
	struct json_out j = {.b = out};
	char tmp[VEC_ID_TEXT_MAX];
	json_open(&j, '{');
	json_kv_str(&j, "id", id);
	json_key(&j, "hits");
	json_open(&j, '[');
	for (int h = 0; h < found; h++) {
		json_open(&j, '{');
		json_kv_str(&j, "id", hnsw_id(index, hits[h].row, tmp));
		json_key(&j, "distance");
		json_f32(&j, hits[h].distance);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	buf_addc(out, '\n');
}

static int answer(struct block *b, struct worker *w, size_t i)
{
	const float *v;
	struct span id;
	char tmp[VEC_ID_TEXT_MAX];
	if (read_query(b, w, i, &v, &id, tmp) != 0)
		return -1;
	int found = o.exact ? hnsw_search_exact(b->index, v, o.k, &w->scratch, w->hit, &w->err)
			    : hnsw_search(b->index, v, o.k, o.ef, &w->scratch, w->hit, &w->err);
	if (found < 0)
		return -1;
	buf_clear(&b->out[i]);
	if (!o.output)
		print_hits(&b->out[i], b->index, id, w->hit, found);
	for (uint32_t h = 0; o.output && h < o.k; h++)
		b->near[i * o.k + h] = h < (uint32_t)found ? w->hit[h].row : UINT32_MAX;
	return buf_ok(&b->out[i], &w->err);
}

static void answer_some(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct block *b = ctx;
	struct worker *w = &b->worker[thread];
	for (size_t i = begin; i < end && w->failed == SIZE_MAX; i++)
		if (answer(b, w, i) != 0)
			w->failed = i;
}

/* The worker with the first query that was not answered, or NULL. */
static const struct worker *first_failure(const struct block *b)
{
	const struct worker *first = NULL;
	for (int t = 0; t < par_threads(b->par); t++)
		if (b->worker[t].failed != SIZE_MAX &&
		    (!first || b->worker[t].failed < first->failed))
			first = &b->worker[t];
	return first;
}

/* ---- the log ---- */

/* A log whose last line was cut short goes on in a new one. */
static int log_open(struct err *err)
{
	char last = '\n';
	if (!o.log)
		return 0;
	also.log = open(o.log, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	off_t end = also.log < 0 ? -1 : lseek(also.log, 0, SEEK_END);
	if (end < 0 || (end > 0 && pread(also.log, &last, 1, end - 1) != 1) ||
	    (last != '\n' && io_write_all(also.log, "\n", 1) != 0))
		return err_sys(err, "cannot write to '%s'", o.log);
	return rng_system(&also.rng.state, sizeof also.rng.state, err);
}

static void log_query(struct buf *lines, const struct block *b, size_t i, const float *v)
{
	struct json_out j = {.b = lines};
	char tmp[VEC_ID_TEXT_MAX];
	if (!b->set) {
		size_t end = i + 1 < b->n ? b->begin[i + 1] : b->text.len;
		buf_add(lines, b->text.data + b->begin[i], end - b->begin[i]);
		return;
	}
	json_open(&j, '{');
	json_kv_str(&j, "id", vec_set_id(b->set, b->first + i, tmp));
	json_key(&j, "vector");
	json_open(&j, '[');
	for (uint32_t d = 0; d < b->dim; d++)
		json_f32(&j, v[d]);
	json_close(&j, ']');
	json_close(&j, '}');
	buf_addc(lines, '\n');
}

/* A sample of the first ${n} queries in hand, in one write. */
static int log_queries(const struct block *b, size_t n, struct err *err)
{
	struct buf lines = BUF_INIT;
	float *row = b->worker->row;
	int ret = 0;
	for (size_t i = 0; ret == 0 && also.log >= 0 && i < n; i++)
		if ((double)(rng_next(&also.rng) >> 11) * 0x1p-53 < o.sample) {
			ret = b->set ? vec_set_row(b->set, b->first + i, row, err) : 0;
			log_query(&lines, b, i, row);
		}
	if (ret == 0)
		ret = buf_ok(&lines, err);
	if (ret == 0 && lines.len && io_write_all(also.log, lines.data, lines.len) != 0)
		ret = err_sys(err, "cannot write to '%s'", o.log);
	buf_release(&lines);
	return ret;
}

/* ---- blocks ---- */

/* Answer what is in hand; what comes before a query that cannot be answered is printed. */
static int block_run(struct block *b, struct err *err)
{
	for (int t = 0; t < par_threads(b->par); t++)
		b->worker[t].failed = SIZE_MAX;
	par_run(b->par, b->n, CHUNK, answer_some, b);
	if (hnsw_unchanged(b->index, false, err) != 0)
		return -1;
	const struct worker *failed = first_failure(b);
	size_t n = failed ? failed->failed : b->n;
	for (size_t i = 0; i < n; i++)
		buf_addspan(&cli_out.b, buf_span(&b->out[i]));
	if (o.output)
		buf_add(&also.near, b->near, n * o.k * sizeof *b->near);
	int ret = io_sink_spill(&cli_out, err) != 0 || buf_ok(&also.near, err) != 0
		      ? -1
		      : log_queries(b, n, err);
	if (ret == 0 && failed) {
		*err = failed->err;
		ret = -1;
	}
	b->first += b->n;
	b->n = 0;
	buf_clear(&b->text);
	return ret;
}

static int answer_file(struct block *b, const char *path, struct err *err)
{
	struct vec_set set;
	int ret = vec_set_open(&set, &path, 1, &o.in, err);
	if (ret == 0 && set.rows && set.dim != b->dim)
		ret = err_set(err, ERR_DATA, "'%s' has dimension %u, the index has %u", path,
			      set.dim, b->dim);
	b->set = &set;
	while (ret == 0 && b->first < set.rows) {
		uint64_t left = set.rows - b->first;
		b->n = left < BLOCK ? (size_t)left : BLOCK;
		ret = block_run(b, err);
	}
	vec_set_release(&set);
	return ret;
}

static void take_line(struct block *b, const struct io_lines *lines, struct span line)
{
	b->begin[b->n] = b->text.len;
	b->number[b->n++] = lines->number;
	buf_addspan(&b->text, line);
	buf_addc(&b->text, '\n');
}

/* Lines of JSONL; what has come so far is answered before waiting for more. */
static int answer_stream(struct block *b, int fd, const char *name, struct err *err)
{
	struct io_lines lines;
	struct span line;
	int got = io_lines_init(&lines, fd, name, VEC_LINE_MAX_BYTES, err) == 0 ? 1 : -1;
	b->name = name;
	while (got > 0) {
		bool full = b->n == BLOCK || b->text.len > TEXT_ENOUGH;
		int ready = full ? 0 : io_lines_wait(&lines, 0, err);
		if (ready == 0 && (block_run(b, err) != 0 || io_sink_flush(&cli_out, err) != 0))
			ready = -1;
		got = ready < 0 ? -1 : io_lines_next(&lines, &line, err);
		if (got > 0 && !vec_line_blank(line))
			take_line(b, &lines, line);
		if (!buf_reserve(&b->text, NUM_PADDING))
			got = err_nomem(err);
	}
	if (got == 0)
		got = block_run(b, err);
	else if (err->code == ERR_DATA && block_run(b, &(struct err){0}) != 0)
		got = -1; /* what came before the bad line was answered if it could be */
	io_lines_release(&lines);
	return got;
}

/* ---- -o ---- */

/* Rows of one query each, numbers of rows of the index; -1 where there are fewer hits. */
static int write_near(struct err *err)
{
	struct vec_part part = {.type = VEC_I32,
				.data = (const unsigned char *)also.near.data,
				.stride = o.k * sizeof(uint32_t),
				.rows = also.near.len / (o.k * sizeof(uint32_t)),
				.name = (char *)(uintptr_t)o.output};
	struct vec_set set = {.dim = o.k, .rows = part.rows, .part = &part, .parts = 1};
	struct vec_write how = {.type = VEC_I32};
	struct io_file f;
	if (vec_format_of_path(o.output, &how.format) != 0 || io_file_open(&f, o.output, err) != 0)
		return -1;
	int ret = vec_set_write(&set, &how, NULL, 0, set.rows, f.fd, o.output, err);
	if (ret == 0)
		ret = io_file_commit(&f, IO_REPLACE, err);
	io_file_release(&f);
	return ret;
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

static int answer_lines(struct block *b, struct span lines, struct err *err)
{
	int fd = memfd_create("vectors", MFD_CLOEXEC);
	int ret = fd < 0 || io_write_all(fd, lines.p, lines.n) != 0 || lseek(fd, 0, SEEK_SET) < 0
		      ? err_sys(err, "cannot write to a file in memory")
		      : answer_stream(b, fd, "the vectors of the texts", err);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int answer_texts(struct block *b, struct operands *operands, const char *queries,
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

/* JSONL is read line by line, whatever it comes from; the rest is mapped. */
static int answer_queries(struct block *b, const char *queries, struct err *err)
{
	enum vec_format format = (enum vec_format)o.in.format;
	size_t ignored;
	bool from_stdin = strcmp(queries, "-") == 0;
	if (format == VEC_BY_SUFFIX && vec_format_of_path(queries, &format) != 0)
		format = VEC_BY_SUFFIX;
	if (format != VEC_JSONL || pack_of_path(queries, &ignored) != PACK_NONE)
		return answer_file(b, queries, err);
	int fd = from_stdin ? 0 : io_open_input(queries, err);
	int ret = fd < 0 ? -1 : answer_stream(b, fd, from_stdin ? "stdin" : queries, err);
	if (fd > 0)
		close(fd);
	return ret;
}

/* ERR_USAGE if the file ${output}, of that option, is of no format, or one that is read. */
static int check_output(const char *queries, struct err *err)
{
	enum vec_format format;
	if (o.output && (vec_format_of_path(o.output, &format) != 0 ||
			 (format != VEC_IVECS && format != VEC_NPY)))
		return err_set(err, ERR_USAGE, "cannot write hits to '%s': expected .ivecs or .npy",
			       o.output);
	const char *read[] = {queries, cli.operand[0]};
	for (size_t i = 0; i < 2; i++)
		if ((o.output && io_check_output(o.output, read[i], err) != 0) ||
		    (o.log && io_check_output(o.log, read[i], err) != 0))
			return -1;
	if (o.output && o.log && strcmp(o.output, o.log) == 0)
		return err_set(err, ERR_USAGE, "hits and log cannot both be '%s'", o.log);
	return o.output && o.log ? io_check_output(o.output, o.log, err) : 0;
}

static void check_options(void)
{
	struct err err;
	if (o.texts && (o.in.format || o.in.column || o.in.id_column))
		cli_usage(&cli, "--format, --column and --id-column are for vectors, not for texts");
	if (o.texts && operand_is_file(cli.operand[0], &err) > 0)
		cli_usage(&cli, "--texts is for an index of the store, not for a file: let embed "
				"make vectors of them");
	if (o.prefix && !o.texts)
		cli_usage(&cli, "--prefix is for --texts");
	if (o.sample != 1 && !o.log)
		cli_usage(&cli, "--sample goes with --log");
}

int main(int argc, char **argv)
{
	struct err err = {0};
	static struct block b;
	cli_parse(&cli, argc, argv, 1, 2);
	check_options();
	struct operands operands = {.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	const char *queries = cli.n_operands > 1 ? cli.operand[1] : "-";
	enum hnsw_open_mode mode = o.vectors ? HNSW_DISK : o.load ? HNSW_LOAD : HNSW_MAP;
	struct hnsw *h = NULL;
	int ret = check_output(queries, &err);
	if (ret == 0)
		ret = (h = operand_index(&operands, cli.operand[0], mode, &err)) ? 0 : -1;
	if (ret == 0)
		ret = block_init(&b, h, &err) != 0 ? -1 : log_open(&err);
	if (ret == 0)
		ret = o.texts ? answer_texts(&b, &operands, queries, &err)
			      : answer_queries(&b, queries, &err);
	if (ret == 0)
		ret = hnsw_unchanged(h, true, &err);
	if (ret == 0 && o.output)
		ret = write_near(&err);
	if (also.log >= 0 && close(also.log) != 0 && ret == 0)
		ret = err_sys(&err, "cannot write to '%s'", o.log);
	int status = ret == 0 ? 0 : cli_error(&cli, &err);
	block_release(&b);
	buf_release(&also.near);
	hnsw_free(h);
	operands_release(&operands);
	return cli_finish(&cli, status);
}
