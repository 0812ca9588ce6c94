/* SPDX-License-Identifier: MIT */
#ifndef RECORD_BUILD_H
#define RECORD_BUILD_H

#include "base/digest.h"
#include "record/config.h"
#include "hnsw/hnsw.h"

/* What hnsw-build says of an index that it made. */
struct build_record {
	char *index; /* path of the file */
	struct config config;
	uint64_t vectors, dimensions;
	enum vec_metric metric;
	enum hnsw_storage storage;
	double build_time_secs;
	uint64_t memory_bytes;
	char vectors_digest[DIGEST_TEXT_MAX], graph_digest[DIGEST_TEXT_MAX];
	/* Of a rung (config.rung): of all vectors, and their number; "" otherwise. */
	char whole_digest[DIGEST_TEXT_MAX];
	uint64_t whole_rows;
	uint64_t appended_to; /* rows that were there before; build_time_secs is of the rest. 0: none */
	uint64_t threads;
	bool keep_pruned;
	bool has_config; /* a record that was read may lack it */
};

void build_record_write(struct buf *out, const struct build_record *r);

/* Read the path, the config, the time, the digests and what it is a rung of; the rest stands in the index. */
int build_record_parse(struct build_record *r, struct span line, struct err *err) MUST_CHECK;
/*
 * The config of a Trial or a verdict on an index, searched with ${ef}.  The file does not tell
 * whether its 8 bits were asked for or chosen, nor that it is a rung: ${r}, which may be NULL, does.
 */
struct config build_config(const struct hnsw_info *info, const struct build_record *r, uint32_t ef);
void build_record_release(struct build_record *r);

#endif
