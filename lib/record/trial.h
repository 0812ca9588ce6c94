/* SPDX-License-Identifier: MIT */
#ifndef RECORD_TRIAL_H
#define RECORD_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"
#include "record/config.h"
#include "record/curve.h"

#define TRIAL_ID_MAX 48
#define TRIAL_LINE_MAX JOURNAL_LINE_MAX

struct metrics {
	double build_time_secs;
	double search_latency_p50_us, search_latency_p95_us, search_latency_p99_us;
	double recall_at_k;
	uint64_t memory_bytes, vectors, eval_queries;
	double brute_force_latency_us;
};

/*
 * One build and its measurement.  The spans are raw JSON strings (without quotes) inside
 * the line they were read from; p is NULL where a key is absent or null.
 */
struct trial {
	struct span line;
	struct span id, index_name, eval_set, created_at, note;
	struct span vectors_digest, eval_digest, graph_digest, host;
	struct span whole_digest; /* of all vectors, where config.rung says that it has some only */
	struct span metric;	  /* of the distances */
	struct span query_source; /* for query_source_parse() */
	struct span curve;	  /* JSON, for curve_parse() */
	struct config config;
	struct metrics metrics;
	uint64_t appended_to; /* rows of the index before others were inserted; 0: a build of its own */
	/* NAN: absent */
	double recall_lcb; /* lower bound of recall, with an error of STAT_RECALL_ALPHA */
	double distances_per_query;
	double target_recall, at_target; /* share of the queries whose recall is that at least */
	/* What we read and the original does not, which skips such a line, or NULL; and where. */
	const char *loose;
	size_t loose_column;
};

/*
 * Read one line; all of it is checked.  ERR_DATA: "column 17: ..." or "has no key
 * 'metrics.recall_at_k'".  The line must outlive the trial.
 */
int trial_parse(struct trial *t, struct span line, struct err *err) MUST_CHECK;

/* ERR_DATA if a metric is what none can be: below 0, or a recall above 1. */
int trial_check_metrics(const struct trial *t, struct err *err) MUST_CHECK;

/* ERR_DATA if it cannot be written so that the original reads it: a whole number as 80.0, a key
 * twice. */
int trial_check_strict(const struct trial *t, struct err *err) MUST_CHECK;

/* "trial-<UTC milliseconds>-<8 hex digits>" */
int trial_new_id(char out[static TRIAL_ID_MAX], struct err *err) MUST_CHECK;

/* The microsecond stamp inside such an id, or 0 for ids of another form. */
uint64_t trial_id_stamp(struct span id);

/* ---- writing ---- */

/* What a new Trial is made of; texts may be NULL where they are not known. */
struct trial_new {
	const char *index_name, *eval_set, *note;
	const char *query_source; /* of query_source_names */
	const char *metric;
	struct config config;
	struct metrics metrics;
	/* figures of ours beside those that the original knows */
	double recall_at_k_ties, qps, distances_per_query;
	double recall_lcb, recall_p5, target_recall, at_target, p50_low_us, p50_high_us;
	uint64_t k, rounds, queries_needed;
	uint64_t disk_bytes, disk_cached_bytes; /* of the vectors, if they were left on disk */
	const char *vectors_digest, *eval_digest, *graph_digest, *host, *cpu, *version, *flags,
	    *kernel;
	const char *whole_digest; /* of a rung only: of all vectors, and their number */
	uint64_t whole_rows;
	uint64_t appended_to; /* the build record's */
	const struct curve *curve; /* or NULL */
	uint64_t threads;
	int pinned; /* number of the processor, -1: to none */
};

/* Append it as one line, with a new id and the time of now. */
int trial_write(struct buf *out, const struct trial_new *t, struct err *err) MUST_CHECK;

/* ---- comparing ---- */

/*
 * The rule by which a challenger beats a champion: recall strictly greater; or recall
 * equal within 1e-4 and p50 strictly lower.  In 32-bit floats, as the original does.
 */
bool trial_beats(const struct metrics *challenger, const struct metrics *champion);

/*
 * What recall is at least, with an error of STAT_RECALL_ALPHA: what the Trial says, else what
 * recall_at_k of so many queries proves.
 */
double trial_recall_lower(const struct trial *t);

/* Whether the figures of both belong to the same vectors and the same eval set. */
bool trial_comparable(const struct trial *a, const struct trial *b);

#endif
