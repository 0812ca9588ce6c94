/* SPDX-License-Identifier: MIT */
/* evalset - make an eval set and compute its exact answers */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "catalog/operand.h"
#include "cli/cli.h"
#include "embed/texts.h"
#include "eval/given.h"
#include "eval/idmap.h"
#include "eval/make.h"
#include "eval/querylog.h"
#include "stat/mean.h"

#define DEFAULT_K 10
#define DEFAULT_SAMPLE 1000

static struct {
	const char *output, *save, *index, *queries, *texts, *hold_out, *refresh, *info, *store;
	const char *from, *from_log, *answers;
	uint32_t k, threads;
	uint64_t count, seed;
	int metric;
	double prove, confidence;
	struct vec_input in;
	bool if_stale;
	struct embed_options embed;
} o = {.seed = 42, .metric = -1, .confidence = 0.99, .embed = EMBED_OPTIONS_INIT};

static struct embedding known; /* where the vectors come from */

static const struct cli_opt opts[] = {
    {'o', "output", "FILE", "write the eval set here (default: stdout)", CLI_STR, &o.output, 0, 0,
     NULL},
    {0, "save", "NAME", "keep it in the store under this name", CLI_STR, &o.save, 0, 0, NULL},
    {0, "index", "NAME", "the index it is for", CLI_STR, &o.index, 0, 0, NULL},
    {'k', "k", "K", "answers a query (default 10)", CLI_U32, &o.k, 1, EVALSET_MAX_K, NULL},
    {'N', "count", "N",
     "queries (default: all of --queries or --texts; else the newest 1000 of a log, or a sample of "
     "1000, at most half the rows); refresh: add rows to a sample until it has so many",
     CLI_U64, &o.count, 1, EVALSET_MAX_QUERIES, NULL},
    {0, "queries", "FILE", "take the queries from a file of vectors", CLI_STR, &o.queries, 0, 0,
     NULL},
    {0, "answers", "FILE",
     "of --queries: take their answers from a file of row numbers (ivecs, hdf5), after a check",
     CLI_STR, &o.answers, 0, 0, NULL},
    {0, "from", "FILE",
     "take queries and answers from an HDF5 file of ann-benchmarks; vectors too, if none are named",
     CLI_STR, &o.from, 0, 0, NULL},
    {0, "from-log", "FILE", "take the newest queries of a log that hnsw-search --log keeps", CLI_STR,
     &o.from_log, 0, 0, NULL},
    {0, "texts", "FILE", "take the queries from JSONL texts, {\"id\":...,\"text\":...}", CLI_STR,
     &o.texts, 0, 0, NULL},
    CLI_OPTS_EMBED(o.embed),
    {0, "hold-out", "REST", "take the sampled rows out of the vectors and write the others to REST",
     CLI_STR, &o.hold_out, 0, 0, NULL},
    {0, "refresh", "EVALSET", "compute the answers of an eval set again", CLI_STR, &o.refresh, 0, 0,
     NULL},
    {0, "if-stale", NULL, "refresh: only if the answers are missing or belong to other vectors",
     CLI_FLAG, &o.if_stale, 0, 0, NULL},
    {0, "prove", "R",
     "refresh: if even perfect answers to its queries could not prove a recall of R, add rows until "
     "they can",
     CLI_F64, &o.prove, 0, 0.99999, NULL},
    {0, "confidence", "P", "of that proof (default 0.99)", CLI_F64, &o.confidence, 0.5, 0.999999,
     NULL},
    {0, "info", "EVALSET", "print size and digests of an eval set as JSON", CLI_STR, &o.info, 0, 0,
     NULL},
    CLI_OPT_METRIC(&o.metric),
    CLI_OPT_SEED(&o.seed),
    CLI_OPTS_INPUT(o.in),
    CLI_OPT_THREADS(&o.threads, "all cores"),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] VECTORS...\n[options] --from FILE [VECTORS...]\n"
	     "[options] --refresh EVALSET [VECTORS...]\n--info EVALSET",
    .about =
	"Make an eval set: queries with their exact nearest neighbours among VECTORS (files, or\n"
	"the name of a registered index or of a dataset).  Queries are sampled from VECTORS\n"
	"unless --queries, --from-log or --texts gives them; a sampled one is no answer to itself.",
    CLI_OPTS(opts),
};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	cli_progress_show(ctx, done, total);
}

/* ---- where queries come from ---- */

static int from_rows(struct evalset *e, const struct vec_set *set, const uint32_t *rows, uint64_t n,
		     bool exclude, struct err *err)
{
	if (evalset_init(e, n, set->dim, err) != 0)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		if (evalset_query_from_row(e, i, set, rows ? rows[i] : i, err) != 0)
			return -1;
		if (exclude && !(e->query[i].exclude = span_dup(span_of(e->query[i].id))))
			return err_nomem(err);
	}
	return 0;
}

static uint64_t sample_size(const struct vec_set *set)
{
	uint64_t half = set->rows / 2, want = o.count ? o.count : DEFAULT_SAMPLE;
	return want < half ? want : half;
}

/* A sample that stays among the vectors. */
static int sample(struct evalset *e, const struct vec_set *set, struct err *err)
{
	uint64_t n = sample_size(set);
	if (n == 0)
		return err_set(err, ERR_DATA,
			       "there are too few vectors to sample queries from: %llu",
			       (unsigned long long)set->rows);
	uint32_t *rows = evalset_sample(o.seed, (uint32_t)set->rows, (uint32_t)n, err);
	int ret = rows ? from_rows(e, set, rows, n, true, err) : -1;
	free(rows);
	return ret;
}

/* Write the rows that are not in ${rows} (increasing) to the file REST. */
static int write_rest(const struct vec_set *set, const uint32_t *rows, uint64_t n, struct err *err)
{
	struct vec_write how = {.type = vec_set_type(set)};
	struct io_file f;
	if (vec_format_of_path(o.hold_out, &how.format) != 0 ||
	    !vec_format_is_written(how.format))
		return err_set(err, ERR_USAGE, "cannot tell a format to write '%s' in by its suffix",
			       o.hold_out);
	uint64_t *rest = malloc((set->rows - n) * sizeof *rest), kept = 0, next = 0;
	if (!rest)
		return err_nomem(err);
	for (uint64_t i = 0; i < set->rows; i++) {
		if (next < n && rows[next] == i)
			next++;
		else
			rest[kept++] = i;
	}
	int ret = io_file_open(&f, o.hold_out, err);
	if (ret == 0) {
		ret = vec_set_write(set, &how, rest, 0, kept, f.fd, o.hold_out, err);
		if (ret == 0)
			ret = io_file_commit(&f, IO_REPLACE, err);
		io_file_release(&f);
	}
	free(rest);
	return ret;
}

/* A sample that is taken out; ${set} becomes what is left, read back from REST. */
static int hold_out(struct evalset *e, struct vec_set *set, struct err *err)
{
	uint64_t n = sample_size(set);
	if (n == 0)
		return err_set(err, ERR_DATA, "there are too few vectors to hold queries out: %llu",
			       (unsigned long long)set->rows);
	uint32_t *rows = evalset_sample(o.seed, (uint32_t)set->rows, (uint32_t)n, err);
	int ret = rows ? from_rows(e, set, rows, n, false, err) : -1;
	if (ret == 0)
		ret = write_rest(set, rows, n, err);
	free(rows);
	if (ret == 0) {
		vec_set_release(set);
		ret = vec_set_open(set, &o.hold_out, 1, &(struct vec_input){0}, err);
	}
	return ret;
}

/* The format of the queries' file is its own; columns are named for both, as far as both have
 * any. */
static struct vec_input queries_input(void)
{
	enum vec_format format;
	struct vec_input how = {0};
	if (o.from)
		return (struct vec_input){.format = VEC_HDF5, .column = "test"};
	if (vec_format_of_path(o.queries, &format) == 0 && vec_format_has_columns(format)) {
		how.column = o.in.column;
		how.id_column = o.in.id_column;
	}
	return how;
}

static int from_file(struct evalset *e, struct err *err)
{
	struct vec_set queries;
	struct vec_input how = queries_input();
	int ret = vec_set_open(&queries, &o.queries, 1, &how, err);
	if (ret == 0 && queries.rows == 0)
		ret = err_set(err, ERR_DATA, "'%s' has no queries", o.queries);
	if (ret == 0)
		ret = from_rows(e, &queries, NULL,
				!o.count || queries.rows < o.count ? queries.rows : o.count, false,
				err);
	vec_set_release(&queries);
	return ret;
}

static int from_log(struct evalset *e, const struct vec_set *set, struct err *err)
{
	bool in = strcmp(o.from_log, "-") == 0;
	struct query_log log = {.fd = in ? 0 : io_open_input(o.from_log, err),
				.name = in ? "stdin" : o.from_log,
				.in = {.column = o.in.column, .id_column = o.in.id_column},
				.dim = set->dim,
				.keep = o.count ? o.count : DEFAULT_SAMPLE,
				.warn = cli_warn_to(&cli)};
	int ret = log.fd < 0 ? -1
		  : set->rows == 0
		      ? err_set(err, ERR_DATA, "there are no vectors to answer the queries with")
		      : evalset_from_log(e, &log, err);
	if (log.fd > 0)
		close(log.fd);
	return ret;
}

/* Where the vectors come from: of a name what is kept of its dataset, of files what is kept of that
 * of the index that the eval set is for, if it is known. */
static int find_known(struct operands *operands, const char *const *vectors, size_t n,
		      const char *index, struct err *err)
{
	int file = n == 1 ? operand_is_file(vectors[0], err) : 1;
	if (file < 0)
		return -1;
	bool named = !file;
	const char *name = named ? vectors[0] : o.index ? o.index : index;
	struct err why = {0};
	if (!name || !name[0] || operand_embedding(operands, name, &known, &why) >= 0 || !named)
		return name && name[0]
			   ? embed_options_follow(&o.embed, &known, "the dataset", err)
			   : 0;
	*err = why;
	return -1;
}

/* What turns texts into vectors that go with these. */
static struct embedder *open_embedder(const struct vec_set *set, struct err *err)
{
	struct embed_setup setup = {.options = &o.embed,
				    EMBED_SETUP_ENV,
				    .store_url = cli_store(o.store),
				    .make_store = cli_store_named(o.store),
				    .dim = set->dim,
				    .warn = cli_warn_to(&cli)};
	return embedder_new(&setup, err);
}

static int take_text(void *ctx, const struct text_row *row, struct err *err)
{
	struct evalset *e = ctx;
	char number[VEC_ID_TEXT_MAX];
	struct vec_set numbers = VEC_SET_INIT;
	e->dim = row->dim;
	struct evalset_query *q = evalset_add(e, err);
	if (!q)
		return -1;
	q->id = span_dup(row->has_id ? row->id : vec_set_id(&numbers, row->number, number));
	q->text = span_dup(row->text);
	q->has_vector = true;
	memcpy(e->vectors + (e->n - 1) * e->dim, row->v, e->dim * sizeof *row->v);
	return q->id && q->text ? 0 : err_nomem(err);
}

static int from_texts(struct evalset *e, const struct vec_set *set, struct err *err)
{
	struct texts t = {.limit = o.count, .row = take_text, .ctx = e};
	t.embedder = open_embedder(set, err);
	int ret = t.embedder ? texts_read_file(&t, o.texts, err) : -1;
	embedder_free(t.embedder);
	if (ret == 0 && e->n == 0)
		ret = err_set(err, ERR_DATA, "'%s' has no queries", o.texts);
	return ret;
}

/* Give the queries that have a text but no vector one. */
static int embed_missing(struct evalset *e, const struct vec_set *set, struct err *err)
{
	struct embedder *embedder = open_embedder(set, err);
	size_t window = embedder ? embedder_window(embedder) : 1, bad;
	struct span *text = mem_array(window, sizeof *text, err);
	uint64_t *query = mem_array(window, sizeof *query, err);
	struct embed_rows rows;
	int ret = embedder && text && query ? 0 : -1;
	for (uint64_t i = 0; ret == 0 && i < e->n;) {
		size_t n = 0;
		for (; i < e->n && n < window; i++)
			if (!e->query[i].has_vector && e->query[i].text && e->query[i].text[0]) {
				query[n] = i;
				text[n++] = span_of(e->query[i].text);
			}
		ret = embedder_run(embedder, text, n, &rows, &bad, err);
		if (ret != 0 && bad != SIZE_MAX)
			err_prefix(err, "query '%.100s'", e->query[query[bad]].id);
		for (size_t q = 0; ret == 0 && q < n; q++)
			ret = evalset_set_vector(e, query[q], rows.v + q * rows.dim, rows.dim, err);
	}
	embedder_free(embedder);
	free(text);
	free(query);
	return ret;
}

/* Embed what the eval set has as text only, if it is known how; say what is lacking.  ERR_DATA if
 * that is everything. */
static int complete(struct evalset *e, const struct vec_set *set, struct err *err)
{
	uint64_t texts = evalset_without_vector(e, true);
	if (texts && o.embed.embedder && embed_missing(e, set, err) != 0)
		return -1;
	uint64_t left = evalset_without_vector(e, false);
	const char *why = texts && !o.embed.embedder
			      ? "have a text and no vector, and no embedder is known: say --embedder"
			      : "have neither a vector nor a text";
	if (left && left == e->n)
		return err_set(err, ERR_DATA, "the %llu queries of eval set '%s' %s",
			       (unsigned long long)left, e->name, why);
	struct warn_to w = cli_warn_to(&cli);
	if (left)
		warn(&w, "%llu of %llu queries %s; they get no answers", (unsigned long long)left,
		     (unsigned long long)e->n, why);
	return 0;
}

static int make_queries(struct evalset *e, struct vec_set *set, struct err *err)
{
	int ret = o.queries    ? from_file(e, err)
		  : o.from_log ? from_log(e, set, err)
		  : o.texts    ? from_texts(e, set, err)
		  : o.hold_out ? hold_out(e, set, err)
			       : sample(e, set, err);
	e->query_source = o.queries || o.texts ? QUERIES_GIVEN
			  : o.from_log	       ? QUERIES_LOGGED
					       : QUERIES_SAMPLED;
	return ret;
}

/* ---- answers that are given ---- */

static int take_given(struct evalset *e, struct make_truth *how, bool metric_known, struct err *err)
{
	struct vec_input in = {0};
	struct vec_set rows;
	if (o.from)
		in = (struct vec_input){.format = VEC_HDF5, .column = "neighbors"};
	int ret = vec_set_open(&rows, &o.answers, 1, &in, err);
	if (ret == 0)
		ret = evalset_take_truth(
		    e, how, &(struct given_answers){&rows, o.answers, metric_known}, err);
	vec_set_release(&rows);
	return ret;
}

/* ---- the rest of the record ---- */

static int set_text(char **to, const char *text, struct err *err)
{
	free(*to);
	*to = span_dup(span_of(text));
	return *to ? 0 : err_nomem(err);
}

static int describe(struct evalset *e, const char *index, struct err *err)
{
	char now[CLOCK_TEXT_MAX];
	const char *name = o.save;
	if (!name && o.output) {
		const char *slash = strrchr(o.output, '/');
		name = slash ? slash + 1 : o.output;
	}
	if (clock_now_text(now, err) != 0)
		return -1;
	e->k = o.k ? o.k : DEFAULT_K;
	if (set_text(&e->name, name ? name : "eval", err) != 0 ||
	    set_text(&e->created_at, now, err) != 0)
		return -1;
	char *suffix = o.save ? NULL : strrchr(e->name, '.');
	if (suffix && suffix != e->name && strcmp(suffix, ".json") == 0)
		*suffix = 0;
	return set_text(&e->index_name, o.index ? o.index : index ? index : "", err);
}

static int save_set(struct operands *operands, const struct evalset *e, struct err *err)
{
	/* The first write of a store makes it. */
	struct catalog c = {.warn = operands->warn};
	if (catalog_open(&c, operands->store_url, false, err) != 0)
		return -1;
	const char *index = o.index ? o.index : e->index_name;
	int ret = o.save ? catalog_evalset_put(&c, e, err)
			 : catalog_evalset_replace(&c, e, index && index[0] ? index : NULL, err);
	catalog_close(&c);
	return ret;
}

/* It is there as it should be; whoever wrote it may not have come to the end of it. */
static int confirm_saved(struct operands *operands, struct err *err)
{
	struct catalog *c = operands_catalog(operands, err);
	return c ? catalog_evalset_sync(c, o.index, err) : -1;
}

static int write_out(const struct evalset *e, struct err *err)
{
	struct io_file f;
	evalset_write(&cli_out.b, e);
	if (!o.output || strcmp(o.output, "-") == 0)
		return buf_ok(&cli_out.b, err);
	if (buf_ok(&cli_out.b, err) != 0 || io_file_open(&f, o.output, err) != 0) {
		buf_clear(&cli_out.b);
		return -1;
	}
	int ret = io_file_write(&f, cli_out.b.data, cli_out.b.len, err);
	if (ret == 0)
		ret = io_file_commit(&f, IO_REPLACE, err);
	io_file_release(&f);
	buf_clear(&cli_out.b);
	return ret;
}

/* What stands where the result will go: its answers may serve again.  Empty if it is of no use. */
static void read_before(struct operands *operands, struct evalset *before, const struct evalset *e)
{
	struct err ignored;
	const char *place = o.save ? o.save : o.output;
	if (!place || strcmp(place, "-") == 0 || (o.output && access(o.output, R_OK) != 0))
		return;
	if (operand_evalset(operands, place, e->index_name, before, &ignored) != 0) {
		evalset_release(before);
		*before = (struct evalset){0};
	}
}

static int print_info(struct operands *operands, struct evalset *e, struct err *err)
{
	struct json_out j = {.b = &cli_out.b};
	char digest[DIGEST_TEXT_MAX];
	if (operand_evalset(operands, o.info, o.index, e, err) != 0)
		return -1;
	digest_text(evalset_digest(e), digest);
	json_open(&j, '{');
	json_kv_cstr(&j, "name", e->name);
	json_kv_cstr(&j, "index_name", e->index_name ? e->index_name : "");
	json_kv_u64(&j, "k", e->k);
	json_kv_u64(&j, "queries", e->n);
	json_key(&j, "query_source");
	if (e->query_source == QUERIES_UNKNOWN)
		json_null(&j);
	else
		json_str(&j, span_of(query_source_names[e->query_source]));
	json_kv_u64(&j, "dimensions", e->dim);
	json_key(&j, "ground_truth_built");
	json_bool(&j, e->truth_built);
	json_key(&j, "metric");
	if (e->has_metric)
		json_str(&j, span_of(vec_metric_name(e->metric)));
	else
		json_null(&j);
	json_kv_cstr(&j, "vectors_digest", e->vectors_digest);
	json_kv_cstr(&j, "eval_digest", digest);
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
	return 0;
}

/* ERR_USAGE if what is to be written is one of the files that are read. */
static int check_output(const char *output, const struct vec_set *set, struct err *err)
{
	if (io_check_output(output, o.queries, err) != 0 ||
	    io_check_output(output, o.from_log, err) != 0 ||
	    io_check_output(output, o.texts, err) != 0)
		return -1;
	return vec_set_check_output(set, output, err);
}

static int check_outputs(const struct vec_set *set, struct err *err)
{
	const char *output = o.output || o.save ? o.output : "-";
	if (o.hold_out && (io_check_output(o.hold_out, output, err) != 0 ||
			   check_output(o.hold_out, set, err) != 0))
		return -1;
	return check_output(output, set, err);
}

static void check_options(void)
{
	int sources = !!o.queries + !!o.texts + !!o.hold_out + !!o.refresh + !!o.info + !!o.from +
		      !!o.from_log;
	struct err err;
	if (sources > 1)
		cli_usage(&cli, "only one of --queries, --from, --from-log, --texts, --hold-out, "
				"--refresh and --info can be meant");
	if (o.answers && !o.queries)
		cli_usage(&cli, "--answers are those of --queries");
	if (o.save && o.output)
		cli_usage(&cli, "only one of --save and --output can be meant");
	if (o.save && catalog_check_name("eval set", o.save, &err) != 0)
		cli_usage(&cli, "%s", err.msg);
	if (o.index && catalog_check_name("index", o.index, &err) != 0)
		cli_usage(&cli, "%s", err.msg);
	if (!o.refresh && !o.info && !o.from && cli.n_operands == 0)
		cli_usage(&cli, "no operand");
	if ((o.embed.embedder || o.embed.url) && !o.texts && !o.refresh)
		cli_usage(&cli, "--embedder and --url are for --texts and --refresh");
	if (o.prove > 0 && (!o.refresh || o.count))
		cli_usage(&cli, "--prove goes with --refresh, and without --count");
	if (o.if_stale && !o.refresh)
		cli_usage(&cli, "--if-stale goes with --refresh");
	if (o.info && cli.n_operands)
		cli_usage(&cli, "--info takes no operand");
}

/* ---- refreshing ---- */

/* Read the eval set and settle over which vectors it is. */
static int open_refreshed(struct operands *operands, struct evalset *e, uint32_t *known_k,
			  bool *save, const char *const **vectors, size_t *n_vectors,
			  struct err *err)
{
	int file = operand_is_file(o.refresh, err);
	if (file < 0 || operand_evalset(operands, o.refresh, o.index, e, err) != 0)
		return -1;
	*save |= !o.output && !file;
	*known_k = e->k;
	e->k = o.k ? o.k : e->k;
	if (o.save && set_text(&e->name, o.save, err) != 0)
		return -1;
	if (*n_vectors == 0 && e->index_name && e->index_name[0]) {
		*vectors = (const char *const *)&e->index_name;
		*n_vectors = 1;
	}
	if (*n_vectors == 0)
		cli_usage(&cli, "'%s' names no index: say which vectors", o.refresh);
	return 0;
}

/* What was measured on such queries is no promise to users. */
static void remark_on_source(const struct evalset *e)
{
	if (e->query_source == QUERIES_SAMPLED)
		cli_note(&cli, "queries sampled from the data flatter: recall with queries of users "
			       "may be lower; give them with --queries or --from-log");
}

/* ERR_NO if it is to grow, and cannot. */
static int enlarge(struct evalset *e, const struct vec_set *set, struct err *err)
{
	uint64_t least = o.prove > 0 ? stat_provable(o.prove, 1, 1 - o.confidence) : 0, want = o.count;
	if (e->n < least)
		want = stat_provable(o.prove, (1 + o.prove) / 2, 1 - o.confidence);
	if (set->rows < least)
		err_set(err, ERR_NO, "the vectors are too few for more");
	else if (evalset_enlarge(e, set, want, o.seed, err) == 0)
		return 0;
	return e->n < least && err->code == ERR_NO
		   ? err_prefix(err, "%llu queries prove no recall of %g, %llu would",
				(unsigned long long)e->n, o.prove, (unsigned long long)want)
		   : -1;
}

/*
 * While the answers that an index is measured with are replaced, nobody may measure: hold its
 * lock, unless the script that started this holds it.
 */
static int lock_index(struct operands *operands, const struct evalset *e, struct store_lock **lock,
		      struct err *err)
{
	const char *index = o.index ? o.index : e->index_name, *held = getenv("HNSW_TUNING");
	struct buf name = BUF_INIT;
	struct err busy;
	if (!index || !index[0])
		return 0;
	struct catalog *c = operands_catalog(operands, err);
	if (!c)
		return -1;
	*lock = catalog_index_lock(c, index, 0, &busy);
	if (*lock)
		return 0;
	bool ours = busy.code == ERR_TEMP && held &&
		    catalog_index_lock_name(c, index, &name, &busy) == 0 &&
		    strcmp(held, name.data) == 0;
	buf_release(&name);
	return ours ? 0 : err_copy(err, &busy);
}

static struct span id_of_row(const void *set, uint64_t row, char *tmp)
{
	return vec_set_id(set, row, tmp);
}

/* 1: the answers are there and belong to these vectors; 0; -1. */
static int is_fresh(const struct evalset *e, const struct make_truth *how, struct err *err)
{
	struct digest d;
	char text[DIGEST_TEXT_MAX];
	if (!e->truth_built || how->known_k != e->k || (e->has_metric && e->metric != how->metric))
		return 0;
	if (!e->vectors_digest[0])
		return 1;
	if (vec_set_digest(how->base, how->par, &d, err) != 0)
		return -1;
	digest_text(d, text);
	if (strcmp(text, e->vectors_digest) != 0 || !e->ids_digest[0])
		return strcmp(text, e->vectors_digest) == 0;
	struct id_source ids = {how->base->rows, id_of_row, how->base};
	eval_ids_digest(&ids, how->base->id_end != NULL, text);
	return strcmp(text, e->ids_digest) == 0;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct vec_set set = VEC_SET_INIT;
	struct index_meta meta = {0};
	struct evalset e = {0}, before = {0};
	struct par *par = NULL;
	struct store_lock *lock = NULL;
	struct cli_progress progress;
	cli_parse(&cli, argc, argv, 0, SIZE_MAX);
	check_options();
	struct operands operands = {.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	const char *const *vectors = cli.operand;
	size_t n_vectors = cli.n_operands;
	uint32_t known_k = 0;
	uint64_t known_n = 0;
	bool save = o.save != NULL;
	int ret = -1;
	if (o.info) {
		ret = print_info(&operands, &e, &err);
		goto out;
	}
	if (o.from) {
		o.queries = o.answers = o.from;
		if (n_vectors == 0) {
			vectors = &o.from;
			n_vectors = 1;
			o.in.format = VEC_HDF5;
		}
	}
	if (o.refresh &&
	    (open_refreshed(&operands, &e, &known_k, &save, &vectors, &n_vectors, &err) != 0 ||
	     (save && lock_index(&operands, &e, &lock, &err) != 0)))
		goto out;
	if (operand_vectors(&operands, vectors, n_vectors, &o.in, &set, &meta,
			    &err) != 0 ||
	    check_outputs(&set, &err) != 0)
		goto out;
	if ((o.refresh || o.texts) &&
	    find_known(&operands, vectors, n_vectors, e.index_name, &err) != 0)
		goto out;
	if (o.refresh && o.embed.url && !o.embed.embedder)
		cli_usage(&cli, "--url is for texts: say which --embedder");
	if (!o.refresh &&
	    (make_queries(&e, &set, &err) != 0 || describe(&e, meta.index_name, &err) != 0))
		goto out;
	known_n = e.n;
	if (o.refresh && (complete(&e, &set, &err) != 0 ||
			  enlarge(&e, &set, &err) != 0))
		goto out;
	struct make_truth how = {.base = &set, .progress = on_progress, .ctx = &progress};
	how.metric = o.metric >= 0     ? (enum vec_metric)o.metric
		     : meta.has_metric ? meta.metric
		     : e.has_metric    ? e.metric
				       : VEC_COSINE;
	if (!o.refresh) {
		read_before(&operands, &before, &e);
		known_k = before.k;
	}
	how.known = o.refresh ? &e : &before;
	how.known_k = known_k;
	how.kernels = dist_choose(getenv("HNSW_KERNEL"), &err);
	how.par = par = par_new(cli_threads(o.threads), &err);
	if (!how.kernels || !par)
		goto out;
	int fresh = o.if_stale ? is_fresh(&e, &how, &err) : 0;
	ret = fresh < 0 ? -1 : 0;
	if (fresh == 0) {
		cli_progress_start(&progress, &cli, "compared rows:");
		ret = o.answers
			  ? take_given(&e, &how, o.metric >= 0 || meta.has_metric, &err)
			  : evalset_make_truth(&e, &how, &err);
		cli_progress_end(&progress);
	}
	if (ret == 0 && (!save || o.save || !fresh))
		ret = save ? save_set(&operands, &e, &err) : write_out(&e, &err);
	else if (ret == 0)
		ret = confirm_saved(&operands, &err);
	if (ret == 0 && !fresh)
		cli_note(&cli, "%llu queries, k=%u, metric %s, over %llu vectors%s",
			 (unsigned long long)e.n, e.k, vec_metric_name(e.metric),
			 (unsigned long long)set.rows, how.reused  ? ": answers known already"
			 : o.answers ? ": answers given, and checked"
				     : "");
	if (ret == 0 && (!o.refresh || e.n > known_n))
		remark_on_source(&e);
out:
	evalset_release(&e);
	embedding_release(&known);
	evalset_release(&before);
	vec_set_release(&set);
	index_meta_release(&meta);
	par_free(par);
	store_unlock(lock);
	operands_release(&operands);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
