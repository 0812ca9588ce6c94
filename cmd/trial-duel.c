/* SPDX-License-Identifier: MIT */
/* trial-duel - champion against challenger, interleaved, one verdict */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/host.h"
#include "catalog/operand.h"
#include "cli/cli.h"
#include "cli/version.h"
#include "eval/duel.h"
#include "json/write.h"
#include "record/build.h"

#define RECORD_MAX ((size_t)1 << 20)

static struct {
	struct cli_list ef;
	uint32_t k;
	struct duel_opts duel;
	struct tune_goal goal;
	const char *index, *store;
} o = {.goal = TUNE_GOAL_UNSAID,
       .duel = {.seconds = 60,
		.alpha = 1e-4,
		.margin = 0.02,
		.effect = 0.05,
		.recall_tie = 1e-4,
		.seed = 42}};

static const struct cli_opt opts[] = {
    {'s', "ef-search", "LIST",
     "beam widths of the two, or one for both (default: their records', else the indexes')",
     CLI_LIST, &o.ef, 1, 1000000, NULL},
    {'k', "k", "K", "neighbours to find, up to the eval set's k (default: that)", CLI_U32, &o.k, 1,
     EVALSET_MAX_K, NULL},
    {0, "min-recall", "R", "the challenger's recall must be proven to be at least R", CLI_F64,
     &o.duel.min_recall, 0, 1, NULL},
    {0, "alpha", "P", "probability that a challenger wins that is no better (default 0.0001)",
     CLI_F64, &o.duel.alpha, 1e-12, 0.5, NULL},
    {0, "margin", "R", "faster by no more than this is not faster (default 0.02)", CLI_F64,
     &o.duel.margin, 0, 1, NULL},
    {0, "effect", "R", "give up what is not faster by this much (default 0.05)", CLI_F64,
     &o.duel.effect, 0, 10, NULL},
    {0, "recall-tie", "R", "recalls that differ by less are equal (default 0.0001)", CLI_F64,
     &o.duel.recall_tie, 1e-9, 1, NULL},
    {0, "seconds", "S", "of measuring at most; then the champion stays (default 60)", CLI_F64,
     &o.duel.seconds, 0, 86400, NULL},
    {0, "index", "NAME", "the index whose eval set it is, and whose goal", CLI_STR, &o.index, 0, 0,
     NULL},
    TUNE_GOAL_OPTIONS(o.goal),
    CLI_OPT_SEED(&o.duel.seed),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] CHAMPION CHALLENGER EVALSET",
    .about =
	"Measure two indexes over the same vectors side by side until it is confirmed, or given\n"
	"up, that the challenger is better, or by a goal that it meets it and is cheaper, and\n"
	"print one verdict.  CHAMPION and CHALLENGER are\n"
	"index files, served indexes, or files of one build record each (- for stdin); EVALSET\n"
	"is a file or a name in the store.  Exits 0 if the challenger wins, 1 if it does not.",
    CLI_OPTS(opts),
};

/* One of the two. */
struct side {
	const char *operand;
	struct build_record record; /* if it was given as one */
	bool has_record;
	struct hnsw *index;
	struct hnsw_info info;
	uint32_t ef;
	char vectors[DIGEST_TEXT_MAX], graph[DIGEST_TEXT_MAX];
};

static int read_record(struct side *s, struct err *err)
{
	const char *name = strcmp(s->operand, "-") == 0 ? "stdin" : s->operand;
	struct buf text = BUF_INIT;
	int ret = name == s->operand ? io_read_file(name, RECORD_MAX, &text, err)
				     : io_read_fd(0, name, RECORD_MAX, &text, err);
	if (ret == 0 && text.len == 0)
		ret = err_set(err, ERR_DATA, "'%s' has no build record", name);
	if (ret == 0 && build_record_parse(&s->record, buf_span(&text), err) != 0)
		ret = err_prefix(err, "'%s': not one build record", name);
	s->has_record = ret == 0;
	buf_release(&text);
	return ret;
}

/* Open one of the two; ${ef}: its beam width, or 0. */
static int open_side(struct side *s, struct operands *from, const char *operand, uint32_t ef,
		     struct err *err)
{
	s->operand = operand;
	if (operand_is_records(operand) && read_record(s, err) != 0)
		return -1;
	s->index = operand_index(from, s->has_record ? s->record.index : operand, HNSW_LOAD, err);
	if (!s->index)
		return -1;
	hnsw_info(s->index, false, &s->info);
	digest_text(s->info.vectors_digest, s->vectors);
	digest_text(s->info.graph_digest, s->graph);
	if (s->has_record && s->record.graph_digest[0] &&
	    strcmp(s->record.graph_digest, s->graph) != 0)
		return err_set(err, ERR_DATA, "the build record of '%s' is of another graph",
			       s->record.index);
	s->ef = ef					? ef
		: s->has_record && s->record.has_config ? s->record.config.ef_search
							: s->info.params.ef_search;
	return 0;
}

static void close_side(struct side *s)
{
	hnsw_free(s->index);
	build_record_release(&s->record);
}

static double rounded(double v, double parts)
{
	return round(v * parts) / parts;
}

/* Evidence as it is read: no more than three digits behind the point. */
static double shown(double evidence)
{
	return evidence < 1e12 ? rounded(evidence, 1000) : 1e12;
}

static void write_side(struct json_out *j, const char *key, const struct side *s,
		       const struct duel_side *d)
{
	struct config config = build_config(&s->info, s->has_record ? &s->record : NULL, s->ef);
	json_key(j, key);
	json_open(j, '{');
	json_kv_cstr(j, "index", s->has_record ? s->record.index : s->operand);
	json_key(j, "config");
	config_write(j, &config);
	json_kv_cstr(j, "graph_digest", s->graph);
	json_kv_f64(j, "recall_at_k", d->recall_at_k);
	json_kv_f64(j, "recall_at_k_ties", d->recall_at_k_ties);
	json_kv_f64(j, "recall_lcb", d->recall_lcb);
	json_kv_f64(j, "search_latency_p50_us", rounded(d->p50_us, 1000));
	json_kv_f64(j, "distances_per_query", d->distances_per_query);
	json_kv_f64(j, "memory_bytes", d->memory_bytes);
	if (d->build_secs > 0)
		json_kv_f64(j, "build_time_secs", d->build_secs);
	if (o.duel.goal)
		json_kv_f64(j, "reached", d->reached);
	json_close(j, '}');
}

/* The goal that it was decided by; where to look for a config is no part of that. */
static void write_goal(struct json_out *j)
{
	struct tune_goal g = *o.duel.goal;
	g.space = (struct tune_space){0};
	g.within = -1;
	json_key(j, "goal");
	tune_goal_write(j, &g);
}

static int write_verdict(const struct side side[2], const struct evalset *set,
			 const struct duel_result *r, int pinned, struct err *err)
{
	struct json_out j = {.b = &cli_out.b};
	char digest[DIGEST_TEXT_MAX], now[CLOCK_TEXT_MAX], host[HOST_TEXT_MAX], cpu[HOST_TEXT_MAX];
	digest_text(evalset_digest(set), digest);
	if (clock_now_text(now, err) != 0)
		return -1;
	host_name(host);
	host_cpu(cpu);
	json_open(&j, '{');
	json_kv_cstr(&j, "winner", r->won ? "challenger" : "champion");
	json_kv_cstr(&j, "reason", duel_reason_text[r->reason]);
	write_side(&j, "champion", &side[0], &r->side[0]);
	write_side(&j, "challenger", &side[1], &r->side[1]);
	json_kv_f64(&j, "speedup", rounded(r->speedup, 10000));
	json_kv_f64(&j, "speedup_low", rounded(r->speedup_low, 10000));
	json_kv_f64(&j, "speedup_high", rounded(r->speedup_high, 10000));
	json_kv_f64(&j, "evidence", shown(r->evidence));
	json_kv_f64(&j, "recall_evidence", shown(r->recall_evidence));
	json_kv_u64(&j, "blocks", r->blocks);
	json_kv_u64(&j, "block_queries", r->block_queries);
	json_kv_f64(&j, "seconds", rounded(r->seconds, 1000));
	json_kv_f64(&j, "alpha", o.duel.alpha);
	json_kv_f64(&j, "margin", o.duel.margin);
	json_kv_f64(&j, "effect", o.duel.effect);
	json_kv_f64(&j, "recall_tie", o.duel.recall_tie);
	json_kv_f64(&j, "min_recall", o.duel.min_recall);
	if (o.duel.goal)
		write_goal(&j);
	json_kv_u64(&j, "eval_queries", r->queries);
	json_key(&j, "queries_needed");
	if (r->queries_needed)
		json_u64(&j, r->queries_needed);
	else
		json_null(&j);
	json_kv_u64(&j, "k", set->k);
	json_kv_cstr(&j, "eval_set", set->name);
	json_kv_cstr(&j, "vectors_digest", side[0].vectors);
	json_kv_cstr(&j, "eval_digest", digest);
	json_kv_cstr(&j, "host", host);
	json_kv_cstr(&j, "cpu", cpu);
	json_key(&j, "pinned");
	if (pinned < 0)
		json_null(&j);
	else
		json_u64(&j, (uint64_t)pinned);
	json_kv_cstr(&j, "version", cli_version);
	json_kv_cstr(&j, "created_at", now);
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
	return buf_ok(&cli_out.b, err);
}

static int fight(struct side side[2], const struct evalset *set, struct duel_result *result,
		 struct err *err)
{
	const struct dist_kernels *kernels = dist_choose(getenv("HNSW_KERNEL"), err);
	struct par *par = kernels ? par_new(1, err) : NULL;
	struct bench bench[2] = {{0}, {0}};
	const uint32_t ef[2] = {side[0].ef, side[1].ef};
	int pinned = host_pin(), ret = par ? 0 : -1;
	for (int s = 0; s < 2 && ret == 0; s++)
		ret = bench_init(&bench[s], side[s].index, set, kernels, par, err);
	if (ret == 0)
		ret = duel_run(bench, ef, &o.duel, result, err);
	if (ret == 0)
		ret = write_verdict(side, set, result, pinned, err);
	for (int s = 0; s < 2; s++)
		if (bench[s].index)
			bench_release(&bench[s]);
	par_free(par);
	return ret;
}

/* The goal, if there is one: what the options say, else that of the index. */
static int take_goal(struct operands *operands, struct err *err)
{
	struct catalog *c = o.index ? operands_catalog(operands, err) : NULL;
	struct index_meta m = {0};
	/* An eval set that is a file needs no store. */
	if (o.index && !c && operand_is_file(cli.operand[2], err) != 1)
		return -1;
	int has = c && catalog_index_get(c, o.index, &m, err) < 0 ? -1
								    : catalog_index_goal(&m, &o.goal, err);
	index_meta_release(&m);
	if (has <= 0)
		return has;
	tune_goal_complete(&o.goal);
	o.duel.goal = &o.goal;
	return tune_goal_check(&o.goal, err);
}

static void check_options(void)
{
	if (o.ef.n > 2)
		cli_usage(&cli, "--ef-search has %zu beam widths, expected one or two", o.ef.n);
	if (o.duel.effect <= o.duel.margin)
		cli_usage(&cli, "--effect %g is not above --margin %g", o.duel.effect,
			  o.duel.margin);
	if (strcmp(cli.operand[0], "-") == 0 && strcmp(cli.operand[1], "-") == 0)
		cli_usage(&cli, "only one of CHAMPION and CHALLENGER can be stdin");
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct side side[2] = {{0}, {0}};
	struct evalset set = {0};
	struct duel_result result = {0};
	cli_parse(&cli, argc, argv, 3, 3);
	check_options();
	struct operands operands = {.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	int ret = take_goal(&operands, &err);
	if (ret == 0)
		ret = operand_evalset(&operands, cli.operand[2], o.index, &set, &err);
	if (ret == 0 && o.k)
		ret = evalset_limit_k(&set, o.k, &err);
	for (size_t s = 0; s < 2 && ret == 0; s++) {
		ret = open_side(&side[s], &operands, cli.operand[s],
				o.ef.n ? o.ef.v[o.ef.n == 2 ? s : 0] : 0, &err);
		o.duel.build_secs[s] = side[s].has_record ? side[s].record.build_time_secs : 0;
	}
	if (ret == 0 && strcmp(side[0].vectors, side[1].vectors) != 0)
		ret = err_set(&err, ERR_DATA, "'%s' and '%s' are indexes of different vectors",
			      side[0].operand, side[1].operand);
	if (ret == 0)
		ret = fight(side, &set, &result, &err);
	int status = ret != 0 ? cli_error(&cli, &err) : result.won ? 0 : ERR_NO;
	evalset_release(&set);
	close_side(&side[0]);
	close_side(&side[1]);
	operands_release(&operands);
	free(o.ef.v);
	return cli_finish(&cli, status);
}
