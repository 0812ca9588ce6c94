/* SPDX-License-Identifier: MIT */
/* hnsw-bench - measure an index against an eval set */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "base/mem.h"
#include "catalog/operand.h"
#include "cli/cli.h"
#include "cli/version.h"
#include "eval/bench.h"
#include "record/build.h"
#include "stat/mean.h"

/* The curve's widths, if none are named. */
#define FIRST_EF 10
#define LAST_EF 200
#define COUNT_EF (LAST_EF - FIRST_EF + 1)

static struct {
	struct cli_list ef, curve;
	uint32_t threads, k;
	struct bench_opts bench;
	double target, target_queries;
	double confidence;
	const char *index, *note, *store;
	int vectors;
	bool map, at_target;
} o = {.bench = {.min_seconds = 0.3, .target_recall = 0.9}, .target = -1, .confidence = 0.99};

static const struct cli_opt opts[] = {
    {'s', "ef-search", "LIST", "beam widths to measure, 10,20,40 or LO:HI (default: the index's)",
     CLI_LIST, &o.ef, 1, 1000000, NULL},
    {0, "curve", "[=LO:HI]",
     "recall and distances at every ef_search (default 10:200), from one pass, not timed", CLI_LIST,
     &o.curve, 1, 1000000, NULL},
    {'k', "k", "K", "neighbours to find, up to the eval set's k (default: that)", CLI_U32, &o.k, 1,
     EVALSET_MAX_K, NULL},
    {0, "index", "NAME",
     "index_name of the Trials (default: the operand, if a name, else the eval set's)", CLI_STR,
     &o.index, 0, 0, NULL},
    {0, "note", "TEXT", "note of the Trials", CLI_STR, &o.note, 0, 0, NULL},
    {0, "seconds", "S", "measure each at least so long, and at least 6 rounds (default 0.3)",
     CLI_F64, &o.bench.min_seconds, 0, 3600, NULL},
    {0, "timed", "N", "time only so many of the queries, always the same (default: all)", CLI_U64,
     &o.bench.timed, 1, 4294967295.0, NULL},
    {0, "target-recall", "R", "recall that a query, and the curve, should reach (default 0.9)",
     CLI_F64, &o.target, 0, 1, NULL},
    {0, "target-queries", "SHARE",
     "at-target: such a share of the queries is to reach it, each (default: their mean is to)",
     CLI_F64, &o.target_queries, 0, 1, NULL},
    {0, "at-target", NULL,
     "measure at the least ef_search (10..200, or within -s LO:HI) that reaches the target, and at "
     "1.8 times that",
     CLI_FLAG, &o.at_target, 0, 0, NULL},
    {0, "confidence", "P",
     "certainty of the curve's lower bounds, and that the target is reached (default 0.99)",
     CLI_F64, &o.confidence, 0.5, 0.999999, NULL},
    {0, "map", NULL, "map the index file instead of reading it into memory", CLI_FLAG, &o.map, 0, 0,
     NULL},
    CLI_OPT_VECTORS(&o.vectors),
    CLI_OPT_THREADS(&o.threads, "1"),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] INDEX EVALSET",
    .about =
	"Measure recall and latency and print one Trial for each ef_search.  INDEX is an index\n"
	"file, a served index, or build records (a file of them, or - for stdin); only\n"
	"these tell how long the build took.  EVALSET is a file or a name in the store.",
    CLI_OPTS(opts),
};

/* What all Trials of this run have in common. */
struct run {
	struct operands operands;
	const struct dist_kernels *kernels;
	struct par *par;
	struct evalset set;
	int pinned;
	char eval_digest[DIGEST_TEXT_MAX], host[HOST_TEXT_MAX], cpu[HOST_TEXT_MAX];
};

/* The name for Trials of an index file: its own without directory and suffix. */
static char *name_of_file(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path,
		   *dot = strrchr(base, '.');
	return span_dup(
	    (struct span){base, dot && dot != base ? (size_t)(dot - base) : strlen(base)});
}

static const char *index_name(const struct run *r, const char *operand, char **owned,
			      struct err *err)
{
	if (o.index)
		return o.index;
	int file = operand_is_file(operand, err);
	if (file <= 0)
		return file < 0 ? NULL : operand;
	if (r->set.index_name && r->set.index_name[0])
		return r->set.index_name;
	*owned = name_of_file(operand);
	if (!*owned)
		err_nomem(err);
	return *owned;
}

static int measure(struct run *r, struct bench *b, const struct hnsw_info *info, const char *name,
		   const struct build_record *rec, const struct bench_curve *curve,
		   const struct curve *compact, uint32_t ef, struct err *err)
{
	struct bench_result m;
	char vectors[DIGEST_TEXT_MAX], graph[DIGEST_TEXT_MAX];
	if (bench_run(b, curve, bench_curve_find(curve, ef), &o.bench, &m, err) != 0 ||
	    hnsw_unchanged(b->index, true, err) != 0)
		return -1;
	digest_text(info->vectors_digest, vectors);
	digest_text(info->graph_digest, graph);
	struct trial_new t = {
	    .curve = compact,
	    .whole_digest = rec && rec->whole_digest[0] ? rec->whole_digest : NULL,
	    .whole_rows = rec ? rec->whole_rows : 0,
	    .appended_to = rec ? rec->appended_to : 0,
	    .index_name = name,
	    .eval_set = r->set.name,
	    .note = o.note,
	    .query_source = query_source_names[r->set.query_source],
	    .metric = vec_metric_name(info->params.metric),
	    .config = build_config(info, rec, ef),
	    .metrics = {.build_time_secs = rec ? rec->build_time_secs : 0,
			.search_latency_p50_us = m.p50_us,
			.search_latency_p95_us = m.p95_us,
			.search_latency_p99_us = m.p99_us,
			.recall_at_k = m.recall_at_k,
			.memory_bytes = m.memory_bytes,
			.vectors = info->rows,
			.eval_queries = m.queries,
			.brute_force_latency_us = b->brute_force_us},
	    .recall_at_k_ties = m.recall_at_k_ties,
	    .qps = m.qps,
	    .distances_per_query = m.distances_per_query,
	    .recall_lcb = m.recall_lcb,
	    .recall_p5 = m.recall_p5,
	    .target_recall = o.bench.target_recall,
	    .at_target = m.at_target,
	    .p50_low_us = m.p50_low_us,
	    .p50_high_us = m.p50_high_us,
	    .queries_needed =
		stat_needed(m.recall_at_k, m.recall_lcb, m.queries, o.bench.target_recall),
	    .rounds = m.rounds,
	    .disk_bytes = m.disk_bytes,
	    .disk_cached_bytes = m.disk_cached_bytes,
	    .k = r->set.k,
	    .vectors_digest = vectors,
	    .eval_digest = r->eval_digest,
	    .graph_digest = graph,
	    .host = r->host,
	    .cpu = r->cpu,
	    .version = cli_version,
	    .flags = cli_flags,
	    .kernel = r->kernels->name,
	    .pinned = r->pinned,
	    .threads = (uint64_t)par_threads(r->par),
	};
	if (trial_write(&cli_out.b, &t, err) != 0)
		return -1;
	return io_sink_flush(&cli_out, err);
}

/* Whether a point of a curve reaches the target, as sure as is wanted. */
static bool reaches(const struct bench *b, const struct curve_point *p)
{
	bool mean = o.confidence <= 0.5;
	if (o.target_queries > 0)
		return (mean ? p->at_target
			     : stat_mean_lower_known(p->at_target, b->n, 1 - o.confidence)) >=
		       o.target_queries;
	return (mean ? p->recall : p->lower) >= o.bench.target_recall;
}

/* The curve that each Trial carries. */
static int compact_curve(const struct bench *b, const struct bench_curve *all, const uint32_t *width,
			 size_t n, struct curve *out, struct err *err)
{
	*out = (struct curve){.point = mem_zeroed(n, sizeof *out->point, err),
			      .n = n,
			      .confidence = o.confidence,
			      .target = o.bench.target_recall};
	for (size_t i = 0; out->point && i < n; i++)
		if (bench_curve_point(b, all, bench_curve_find(all, width[i]), o.bench.target_recall,
				      1 - o.confidence, &out->point[i], err) != 0) {
			curve_release(out);
			return -1;
		}
	return out->point ? 0 : -1;
}

/* What is measured of one build. */
struct measures {
	uint32_t lo, hi;	/* of the curve */
	struct curve compact;
	uint32_t two[2];
	const uint32_t *ef;	/* to time */
	size_t n;
	struct bench_curve all; /* has what is to be timed */
};

/* One pass over the widths of the compact curve, and over those to time if they are known. */
static int measure_curve(struct bench *b, struct measures *m, struct err *err)
{
	uint32_t width[CURVE_POINTS_MAX];
	size_t points = curve_widths(m->lo, m->hi, width);
	uint32_t *all = mem_array(m->n + points, sizeof *all, err);
	if (!all)
		return -1;
	memcpy(all, width, points * sizeof *all);
	if (m->n)
		memcpy(all + points, m->ef, m->n * sizeof *all);
	int ret = bench_curve(b, all, m->n + points, &m->all, err);
	if (ret == 0)
		ret = compact_curve(b, &m->all, width, points, &m->compact, err);
	free(all);
	return ret;
}

/* The second width to time: further on, else before. */
static uint32_t second(const struct measures *m, uint32_t ef)
{
	uint32_t more = (uint32_t)(ef * 1.8), less = ef * 5 / 9;
	return more <= m->hi ? more : less > m->lo ? less : m->lo;
}

/* Every width between the point of the compact curve that reaches and the one before, each with its
 * second; returns how many. */
static size_t bracket(const struct bench *b, const struct measures *m, uint32_t **out,
		      struct err *err)
{
	const struct curve *c = &m->compact;
	size_t at = 0, n = 0;
	while (at + 1 < c->n && !reaches(b, &c->point[at]))
		at++;
	uint32_t last = c->point[at].ef, from = at ? c->point[at - 1].ef + 1 : last;
	*out = mem_array(last - from + 1, 2 * sizeof **out, err);
	for (uint32_t ef = from; *out && ef <= last; ef++) {
		(*out)[n++] = ef;
		(*out)[n++] = second(m, ef);
	}
	return n;
}

/* The least width that reaches the target, the greatest if none does; and a second. */
static int find_target(struct bench *b, struct measures *m, struct err *err)
{
	uint32_t *width;
	struct curve_point p;
	size_t n = bracket(b, m, &width, err);
	bench_curve_release(&m->all);
	int ret = n ? bench_curve(b, width, n, &m->all, err) : -1;
	m->ef = m->two;
	for (size_t i = 0; ret == 0 && i < n; i += 2) {
		m->two[0] = width[i];
		m->two[1] = width[i + 1];
		ret = bench_curve_point(b, &m->all, bench_curve_find(&m->all, width[i]),
					o.bench.target_recall, 1 - o.confidence, &p, err);
		if (ret == 0 && reaches(b, &p))
			break;
	}
	m->n = m->two[0] == m->two[1] ? 1 : 2;
	free(width);
	return ret;
}

/* Timed Trials, and the curve that all of them carry. */
static int measure_all(struct run *r, struct bench *b, const struct hnsw_info *info,
		       const char *name, const struct build_record *rec, struct err *err)
{
	struct measures m = {.lo = FIRST_EF, .hi = LAST_EF};
	if (!o.at_target) {
		m.ef = o.ef.n ? o.ef.v : &info->params.ef_search;
		m.n = o.ef.n ? o.ef.n : 1;
	} else if (o.ef.n) {
		m.lo = UINT32_MAX;
		m.hi = 0;
		for (size_t i = 0; i < o.ef.n; i++) {
			m.lo = o.ef.v[i] < m.lo ? o.ef.v[i] : m.lo;
			m.hi = o.ef.v[i] > m.hi ? o.ef.v[i] : m.hi;
		}
	}
	int ret = measure_curve(b, &m, err);
	if (ret == 0 && o.at_target)
		ret = find_target(b, &m, err);
	for (size_t i = 0; ret == 0 && i < m.n; i++)
		ret = measure(r, b, info, name, rec, &m.all, &m.compact, m.ef[i], err);
	bench_curve_release(&m.all);
	curve_release(&m.compact);
	return ret;
}

/* One line about width number ${at}, or none; led by the target if it is that which was asked for.
 */
static void print_point(const struct bench *b, const struct bench_curve *c, size_t at,
			const struct hnsw_info *info, bool target)
{
	struct json_out j = {.b = &cli_out.b};
	double ties, recall;
	json_open(&j, '{');
	if (target)
		json_kv_f64(&j, "target_recall", o.bench.target_recall);
	if (at < c->n) {
		recall = bench_curve_recall(b, c, at, &ties);
		json_kv_u64(&j, "ef_search", c->ef[at]);
		json_kv_f64(&j, "recall_at_k", recall);
		json_kv_f64(&j, "recall_at_k_ties", ties);
		json_kv_f64(&j, "distances_per_query", (double)c->distances[at] / (double)b->n);
	} else {
		json_key(&j, "ef_search");
		json_null(&j);
	}
	json_kv_u64(&j, "k", b->set->k);
	json_kv_u64(&j, "ef_construction", info->params.ef_construction);
	json_kv_u64(&j, "m", info->params.m);
	json_kv_u64(&j, "seed", info->params.seed);
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
}

/* A line for each width, and if a target was named one for the smallest that reaches it. */
static int print_curve(struct bench *b, const struct hnsw_info *info, struct err *err)
{
	struct bench_curve c;
	struct cli_list all = o.curve;
	uint32_t range[COUNT_EF];
	size_t reached = SIZE_MAX;
	double ties;
	if (all.n == 0) {
		all = (struct cli_list){.v = range};
		for (uint32_t ef = FIRST_EF; ef <= LAST_EF; ef++)
			range[all.n++] = ef;
	}
	if (bench_curve(b, all.v, all.n, &c, err) != 0)
		return -1;
	if (hnsw_unchanged(b->index, true, err) != 0) {
		bench_curve_release(&c);
		return -1;
	}
	for (size_t i = 0; i < c.n; i++) {
		print_point(b, &c, i, info, false);
		if (reached == SIZE_MAX &&
		    bench_curve_recall(b, &c, i, &ties) >= o.bench.target_recall - 1e-12)
			reached = i;
	}
	if (o.target >= 0)
		print_point(b, &c, reached, info, true);
	bench_curve_release(&c);
	if (o.target >= 0 && reached == SIZE_MAX)
		return err_set(err, ERR_NO, "no ef_search up to %u reaches recall %g",
			       all.v[all.n - 1], o.target);
	return 0;
}

/* The answers may be of all vectors, then those among the rung's rows are found; or be of these. */
static int init_rung(struct run *r, struct bench *b, const struct hnsw *h,
		     const struct build_record *rec, struct err *err)
{
	if (strcmp(r->set.vectors_digest, rec->whole_digest) != 0)
		return bench_init(b, h, &r->set, r->kernels, r->par, err);
	return bench_init_own(b, h, &r->set, r->kernels, r->par, err);
}

/* Measure one index at every ef_search asked for. */
static int bench_index(struct run *r, const char *operand, const struct build_record *rec,
		       struct err *err)
{
	enum hnsw_open_mode mode = o.map ? HNSW_MAP : o.vectors ? HNSW_DISK : HNSW_LOAD;
	struct hnsw *h = operand_index(&r->operands, operand, mode, err);
	struct bench b = {0};
	struct hnsw_info info;
	char *owned = NULL, graph[DIGEST_TEXT_MAX];
	if (!h)
		return -1;
	hnsw_info(h, false, &info);
	digest_text(info.graph_digest, graph);
	const char *name = index_name(r, operand, &owned, err);
	int ret = 0;
	if (rec && rec->graph_digest[0] && strcmp(rec->graph_digest, graph) != 0)
		ret =
		    err_set(err, ERR_DATA, "the build record of '%s' is of another graph", operand);
	else
		ret = !name			    ? -1
		      : rec && rec->whole_digest[0] ? init_rung(r, &b, h, rec, err)
						    : bench_init(&b, h, &r->set, r->kernels, r->par, err);
	if (ret != 0 && err->code == ERR_DATA)
		(void)err_prefix(err, "eval set '%s', index '%s'", cli.operand[1], operand);
	if (ret == 0 && o.curve.given)
		ret = print_curve(&b, &info, err);
	else if (ret == 0)
		ret = measure_all(r, &b, &info, name, rec, err);
	bench_release(&b);
	hnsw_free(h);
	free(owned);
	return ret;
}

/* Every build record of a descriptor. */
static int bench_records(struct run *r, int fd, const char *name, struct err *err)
{
	struct io_lines lines;
	struct span line;
	int got;
	if (io_lines_init(&lines, fd, name, 1 << 20, err) != 0)
		return -1;
	uint64_t n = 0;
	while ((got = io_lines_next(&lines, &line, err)) > 0) {
		struct build_record rec;
		if (line.n == 0)
			continue;
		if (build_record_parse(&rec, line, err) != 0) {
			got = err_prefix(err, "'%s' line %llu: not a build record", name,
					 (unsigned long long)lines.number);
			break;
		}
		int ret = bench_index(r, rec.index, &rec, err);
		build_record_release(&rec);
		if (ret != 0) {
			got = -1;
			break;
		}
		n++;
	}
	io_lines_release(&lines);
	return got == 0 && n == 0 ? err_set(err, ERR_DATA, "'%s' has no build record", name) : got;
}

static int bench_operand(struct run *r, const char *operand, struct err *err)
{
	if (strcmp(operand, "-") == 0)
		return bench_records(r, 0, "stdin", err);
	if (operand_is_records(operand)) {
		int fd = io_open_input(operand, err);
		int ret = fd < 0 ? -1 : bench_records(r, fd, operand, err);
		if (fd >= 0)
			close(fd);
		return ret;
	}
	if (!o.curve.given)
		cli_note(&cli,
			 "build_time_secs is not known and recorded as 0: give the build record "
			 "instead of '%s'",
			 operand);
	return bench_index(r, operand, NULL, err);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct run r = {0};
	cli_parse(&cli, argc, argv, 2, 2);
	const char *index = cli.operand[0];
	if (o.curve.given && o.ef.n)
		cli_usage(&cli, "only one of --curve and --ef-search can be meant");
	if (o.map && o.vectors)
		cli_usage(&cli, "only one of --map and --vectors disk can be meant");
	if (o.target_queries > 0 && !o.at_target)
		cli_usage(&cli, "--target-queries belongs to --at-target");
	if (o.target >= 0)
		o.bench.target_recall = o.target;
	if (o.index && catalog_check_name("index", o.index, &err) != 0)
		cli_usage(&cli, "%s", err.msg);
	r.operands = (struct operands){.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	r.kernels = dist_choose(getenv("HNSW_KERNEL"), &err);
	r.par = par_new(o.threads ? (int)o.threads : 1, &err);
	r.pinned = r.par && par_threads(r.par) == 1 ? host_pin() : -1;
	host_name(r.host);
	host_cpu(r.cpu);
	int ret = -1, file = r.kernels && r.par ? operand_is_file(index, &err) : -1;
	if (file >= 0)
		ret = operand_evalset(&r.operands, cli.operand[1],
				      o.index ? o.index
				      : file  ? NULL
					      : index,
				      &r.set, &err);
	if (ret == 0 && o.k)
		ret = evalset_limit_k(&r.set, o.k, &err);
	if (ret == 0) {
		digest_text(evalset_digest(&r.set), r.eval_digest);
		ret = bench_operand(&r, index, &err);
	}
	int status = ret == 0 ? 0 : cli_error(&cli, &err);
	evalset_release(&r.set);
	par_free(r.par);
	operands_release(&r.operands);
	free(o.ef.v);
	free(o.curve.v);
	return cli_finish(&cli, status);
}
