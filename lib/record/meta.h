/* SPDX-License-Identifier: MIT */
#ifndef RECORD_META_H
#define RECORD_META_H

#include <stdbool.h>
#include <stdint.h>

#include "record/extra.h"
#include "vec/elem.h"

/* An IndexMeta: what is registered of an index.  Strings are copies; NULL: absent. */
struct index_meta {
	char *index_name, *source, *model_name, *model_version, *storage_key, *created_at, *bucket;
	char *eval_set; /* the canonical eval set */
	char *embedder, *prefix; /* that its vectors were made with */
	uint64_t dimensions, chunk_count, doc_count, chunk_size, overlap;
	double build_time_secs, chunks_per_sec;
	bool has_metric;
	enum vec_metric metric;
	char *goal; /* what is needed of it, a JSON object for tune_goal_parse() */
	struct extra extra;
};

#define META_BUCKET_DEFAULT "primary"

int index_meta_parse(struct index_meta *m, struct span text, struct err *err) MUST_CHECK;
void index_meta_write(struct buf *out, const struct index_meta *m);
void index_meta_release(struct index_meta *m);

/* Replace a string member. */
int index_meta_set(char **member, const char *text, struct err *err) MUST_CHECK;

#endif
