/* SPDX-License-Identifier: MIT */
#ifndef EVAL_QUERYLOG_H
#define EVAL_QUERYLOG_H

#include "record/evalset.h"
#include "vec/set.h"

/* A log of queries, JSONL as hnsw-search keeps it: it may be torn anywhere, and go on. */
struct query_log {
	int fd;
	const char *name; /* for messages */
	struct vec_input in;
	uint32_t dim;  /* of the queries that are wanted */
	uint64_t keep; /* so many at most, the newest */
	struct warn_to warn;
};

/*
 * Make an eval set without name of its newest queries, oldest first, in memory for these alone.  A
 * line without an id has its number as id.  Lines that are malformed or have another dimension are
 * left out, with a warning that counts them.  ERR_DATA: nothing is left.
 */
int evalset_from_log(struct evalset *e, const struct query_log *log, struct err *err) MUST_CHECK;

#endif
