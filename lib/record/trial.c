/* SPDX-License-Identifier: MIT */
#include "record/trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/rng.h"
#include "stat/mean.h"

static const struct {
	const char *name;
	size_t offset;
	bool whole;
} metric_keys[] = {
    {"build_time_secs", offsetof(struct metrics, build_time_secs), false},
    {"search_latency_p50_us", offsetof(struct metrics, search_latency_p50_us), false},
    {"search_latency_p95_us", offsetof(struct metrics, search_latency_p95_us), false},
    {"search_latency_p99_us", offsetof(struct metrics, search_latency_p99_us), false},
    {"recall_at_k", offsetof(struct metrics, recall_at_k), false},
    {"memory_bytes", offsetof(struct metrics, memory_bytes), true},
    {"vectors", offsetof(struct metrics, vectors), true},
    {"eval_queries", offsetof(struct metrics, eval_queries), true},
    {"brute_force_latency_us", offsetof(struct metrics, brute_force_latency_us), false},
};

#define N_METRICS (sizeof metric_keys / sizeof metric_keys[0])

static const struct {
	const char *name;
	size_t offset;
} figure_keys[] = {
    {"recall_lcb", offsetof(struct trial, recall_lcb)},
    {"distances_per_query", offsetof(struct trial, distances_per_query)},
    {"target_recall", offsetof(struct trial, target_recall)},
    {"queries_at_target", offsetof(struct trial, at_target)},
};

/* Figures of ours that may be absent, or be something else in records of others. */
static void scan_figure(struct scan *s, struct span key, struct trial *t)
{
	for (size_t i = 0; i < sizeof figure_keys / sizeof figure_keys[0]; i++)
		if (span_is(key, figure_keys[i].name) && scan_peek(s) == '0') {
			scan_f64(s, (double *)(void *)((char *)t + figure_keys[i].offset));
			return;
		}
	scan_skip(s, NULL);
}

/* Returns a bit for each metric that was there. */
static unsigned scan_metrics(struct scan *s, struct trial *t)
{
	struct metrics *m = &t->metrics;
	unsigned seen = 0, keys = 0;
	size_t i = N_METRICS - 1;
	struct span key;
	if (!scan_object(s))
		return 0;
	while (scan_member(s, &key)) {
		/* They mostly come in their order. */
		size_t tried = 0;
		do
			i = i + 1 < N_METRICS ? i + 1 : 0;
		while (!scan_key_is(s, key, metric_keys[i].name, &keys, (unsigned)i) &&
		       ++tried < N_METRICS);
		if (tried == N_METRICS) {
			scan_figure(s, key, t);
			continue;
		}
		char *at = (char *)m + metric_keys[i].offset;
		if (metric_keys[i].whole ? scan_u64(s, (uint64_t *)(void *)at)
					 : scan_f64(s, (double *)(void *)at))
			seen |= 1u << i;
	}
	return seen;
}

static void scan_provenance(struct scan *s, struct trial *t)
{
	struct span key;
	if (scan_null(s) || !scan_object(s))
		return;
	while (scan_member(s, &key)) {
		if (scan_peek(s) != '"')
			scan_skip(s, NULL);
		else if (span_is(key, "vectors_digest"))
			scan_string(s, &t->vectors_digest);
		else if (span_is(key, "eval_digest"))
			scan_string(s, &t->eval_digest);
		else if (span_is(key, "graph_digest"))
			scan_string(s, &t->graph_digest);
		else if (span_is(key, "host"))
			scan_string(s, &t->host);
		else
			scan_string(s, NULL);
	}
}

/* What a rung is the beginning of. */
static void scan_whole(struct scan *s, struct trial *t)
{
	struct span key;
	if (scan_peek(s) != '{' || !scan_object(s)) {
		scan_skip(s, NULL);
		return;
	}
	while (scan_member(s, &key))
		if (span_is(key, "vectors_digest") && scan_peek(s) == '"')
			scan_string(s, &t->whole_digest);
		else
			scan_skip(s, NULL);
}

/* A key that others may use for something else. */
static void scan_count(struct scan *s, uint64_t *n)
{
	struct span v;
	if (scan_skip(s, &v) && num_u64(v, 0, CONFIG_SEED_MAX, n) != 0)
		*n = 0;
}

static int missing(const char *key, struct err *err)
{
	return err_set(err, ERR_DATA, "has no key '%s'", key);
}

/* What was there of a Trial so far. */
struct parts {
	bool config;
	unsigned metrics; /* a bit for each */
	unsigned keys;	  /* likewise */
};

static void scan_trial_key(struct scan *s, struct span key, struct trial *t, struct parts *parts)
{
	unsigned *seen = &parts->keys;
	if (scan_key_is(s, key, "metrics", seen, 0))
		parts->metrics = scan_metrics(s, t);
	else if (scan_key_is(s, key, "config", seen, 1))
		parts->config = config_scan(s, &t->config);
	else if (scan_key_is(s, key, "id", seen, 2))
		scan_string(s, &t->id);
	else if (scan_key_is(s, key, "index_name", seen, 3))
		scan_string(s, &t->index_name);
	else if (scan_key_is(s, key, "eval_set", seen, 4))
		scan_string(s, &t->eval_set);
	else if (scan_key_is(s, key, "created_at", seen, 5))
		scan_string(s, &t->created_at);
	else if (scan_key_is(s, key, "note", seen, 6))
		scan_optional(s, &t->note);
	else if (span_is(key, "provenance"))
		scan_provenance(s, t);
	else if (span_is(key, "rung_of"))
		scan_whole(s, t);
	else if (span_is(key, "appended_to"))
		scan_count(s, &t->appended_to);
	else if (span_is(key, "query_source") && scan_peek(s) == '"')
		scan_string(s, &t->query_source);
	else if (span_is(key, "metric") && scan_peek(s) == '"')
		scan_string(s, &t->metric);
	else if (span_is(key, "curve") && scan_peek(s) == '{')
		scan_skip(s, &t->curve);
	else
		scan_skip(s, NULL);
}

int trial_parse(struct trial *t, struct span line, struct err *err)
{
	struct scan s;
	struct span key;
	struct parts parts = {0};
	memset(t, 0, sizeof *t);
	t->recall_lcb = t->distances_per_query = t->target_recall = t->at_target = NAN;
	scan_init(&s, line);
	t->line = (struct span){s.begin, (size_t)(s.end - s.begin)}; /* without a byte order mark */
	if (scan_object(&s))
		while (scan_member(&s, &key))
			scan_trial_key(&s, key, t, &parts);
	if (!scan_end(&s))
		return scan_err(&s, err);
	t->loose = s.loose;
	t->loose_column = s.loose ? (size_t)(s.loose_at - s.begin) + 1 : 0;
	if (!t->id.p)
		return missing("id", err);
	if (t->id.n == 0)
		return err_set(err, ERR_DATA, "the id is empty");
	if (!t->index_name.p)
		return missing("index_name", err);
	if (!t->eval_set.p)
		return missing("eval_set", err);
	if (!t->created_at.p)
		return missing("created_at", err);
	if (!parts.config)
		return missing("config", err);
	for (size_t i = 0; i < N_METRICS; i++)
		if (!(parts.metrics >> i & 1))
			return err_set(err, ERR_DATA, "has no key 'metrics.%s'",
				       metric_keys[i].name);
	return 0;
}

int trial_check_strict(const struct trial *t, struct err *err)
{
	return t->loose ? err_set(err, ERR_DATA, "column %zu: %s", t->loose_column, t->loose) : 0;
}

int trial_check_metrics(const struct trial *t, struct err *err)
{
	for (size_t i = 0; i < N_METRICS; i++) {
		const char *at = (const char *)&t->metrics + metric_keys[i].offset;
		double v = metric_keys[i].whole ? 0 : *(const double *)(const void *)at;
		if (v < 0)
			return err_set(err, ERR_DATA, "metrics.%s is %g, expected 0 or more",
				       metric_keys[i].name, v);
	}
	if (t->metrics.recall_at_k > 1)
		return err_set(err, ERR_DATA, "metrics.recall_at_k is %.17g, expected 0..1",
			       t->metrics.recall_at_k);
	return 0;
}

int trial_new_id(char out[static TRIAL_ID_MAX], struct err *err)
{
	uint32_t r;
	uint64_t now;
	if (clock_now(&now, err) != 0 || rng_system(&r, sizeof r, err) != 0)
		return -1;
	snprintf(out, TRIAL_ID_MAX, "trial-%llu-%08x", (unsigned long long)now / 1000, r);
	return 0;
}

uint64_t trial_id_stamp(struct span id)
{
	uint64_t ms;
	if (id.n < 6 + 1 + 1 + 8 || memcmp(id.p, "trial-", 6) != 0 || id.p[id.n - 9] != '-')
		return 0;
	if (num_u64((struct span){id.p + 6, id.n - 6 - 9}, 1, UINT64_MAX / 1000, &ms) != 0)
		return 0;
	return ms * 1000;
}

static void optional(struct json_out *j, const char *key, const char *text)
{
	json_key(j, key);
	if (text)
		json_str(j, span_of(text));
	else
		json_null(j);
}

int trial_write(struct buf *out, const struct trial_new *t, struct err *err)
{
	struct json_out j = {.b = out};
	char id[TRIAL_ID_MAX], now[CLOCK_TEXT_MAX];
	if (trial_new_id(id, err) != 0 || clock_now_text(now, err) != 0)
		return -1;
	json_open(&j, '{');
	json_kv_cstr(&j, "id", id);
	json_kv_cstr(&j, "index_name", t->index_name);
	json_kv_cstr(&j, "eval_set", t->eval_set);
	json_key(&j, "config");
	config_write(&j, &t->config);
	json_key(&j, "metrics");
	json_open(&j, '{');
	for (size_t i = 0; i < N_METRICS; i++) {
		const char *at = (const char *)&t->metrics + metric_keys[i].offset;
		if (metric_keys[i].whole)
			json_kv_u64(&j, metric_keys[i].name, *(const uint64_t *)(const void *)at);
		else
			json_kv_f64(&j, metric_keys[i].name, *(const double *)(const void *)at);
	}
	json_kv_u64(&j, "k", t->k);
	json_kv_f64(&j, "recall_at_k_ties", t->recall_at_k_ties);
	json_kv_f64(&j, "qps", t->qps);
	json_kv_f64(&j, "distances_per_query", t->distances_per_query);
	json_kv_f64(&j, "recall_lcb", t->recall_lcb);
	json_kv_f64(&j, "recall_p5", t->recall_p5);
	json_kv_f64(&j, "target_recall", t->target_recall);
	json_kv_f64(&j, "queries_at_target", t->at_target);
	json_kv_u64(&j, "queries_needed", t->queries_needed);
	json_kv_f64(&j, "search_latency_p50_low_us", t->p50_low_us);
	json_kv_f64(&j, "search_latency_p50_high_us", t->p50_high_us);
	json_kv_u64(&j, "rounds", t->rounds);
	if (t->disk_bytes) {
		json_kv_u64(&j, "disk_bytes", t->disk_bytes);
		json_kv_u64(&j, "disk_cached_bytes", t->disk_cached_bytes);
	}
	json_close(&j, '}');
	if (t->whole_digest) {
		json_key(&j, "rung_of");
		json_open(&j, '{');
		json_kv_u64(&j, "vectors", t->whole_rows);
		json_kv_cstr(&j, "vectors_digest", t->whole_digest);
		json_close(&j, '}');
	}
	if (t->appended_to)
		json_kv_u64(&j, "appended_to", t->appended_to);
	if (t->curve) {
		json_key(&j, "curve");
		curve_write(&j, t->curve);
	}
	json_kv_cstr(&j, "created_at", now);
	optional(&j, "note", t->note);
	if (t->query_source)
		json_kv_cstr(&j, "query_source", t->query_source);
	if (t->metric)
		json_kv_cstr(&j, "metric", t->metric);
	json_key(&j, "provenance");
	json_open(&j, '{');
	optional(&j, "vectors_digest", t->vectors_digest);
	optional(&j, "eval_digest", t->eval_digest);
	optional(&j, "graph_digest", t->graph_digest);
	optional(&j, "host", t->host);
	optional(&j, "cpu", t->cpu);
	json_kv_u64(&j, "threads", t->threads);
	optional(&j, "version", t->version);
	optional(&j, "flags", t->flags);
	optional(&j, "kernel", t->kernel);
	json_key(&j, "pinned");
	if (t->pinned < 0)
		json_null(&j);
	else
		json_u64(&j, (uint64_t)t->pinned);
	json_close(&j, '}');
	json_close(&j, '}');
	buf_addc(out, '\n');
	return buf_ok(out, err);
}

bool trial_beats(const struct metrics *challenger, const struct metrics *champion)
{
	float r1 = (float)challenger->recall_at_k, r0 = (float)champion->recall_at_k;
	float p1 = (float)challenger->search_latency_p50_us,
	      p0 = (float)champion->search_latency_p50_us;
	return r1 > r0 || (fabsf(r1 - r0) < 1e-4f && p1 < p0);
}

double trial_recall_lower(const struct trial *t)
{
	if (!isnan(t->recall_lcb))
		return t->recall_lcb;
	double mean = fmax(0, fmin(1, t->metrics.recall_at_k));
	return t->metrics.eval_queries
		   ? stat_mean_lower_known(mean, t->metrics.eval_queries, STAT_RECALL_ALPHA)
		   : 0;
}

static bool same_or_both_absent(struct span a, struct span b)
{
	return (a.p != NULL) == (b.p != NULL) && span_same(a, b);
}

bool trial_comparable(const struct trial *a, const struct trial *b)
{
	return same_or_both_absent(a->vectors_digest, b->vectors_digest) &&
	       same_or_both_absent(a->eval_digest, b->eval_digest);
}
