/* SPDX-License-Identifier: MIT */
#ifndef EMBED_EMBEDDER_H
#define EMBED_EMBEDDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "record/embedding.h"

/* What a command line says of an embedder; the same for all programs (CLI_OPTS_EMBED). */
struct embed_options {
	const char *embedder; /* hash, ollama or openai, each with or without :DIM; NULL: hash */
	const char *url, *model;
	const char *prefix; /* put before every text; NULL: none */
	const char *key_file;
	int encoding; /* of embed_encodings */
	bool truncate, no_cache;
	uint32_t batch, parallel, retries;
	double timeout_s, deadline_s;
};

#define EMBED_OPTIONS_INIT                                                               \
	{                                                                                \
		.batch = 32, .parallel = 4, .retries = 5, .timeout_s = 120 \
	}

enum embed_encoding { EMBED_FLOAT, EMBED_BASE64 };

/* Names by number, NULL at the end. */
extern const char *const embed_encodings[];

struct embed_setup {
	const struct embed_options *options;
	/* From the environment, as EMBED_SETUP_ENV does; each may be NULL. */
	const char *hnsw_key, *openai_key, *ca_file;
	const char *store_url; /* where the cache is */
	bool make_store;       /* else there is no cache where there is no store */
	bool dry_run;	       /* nothing is written */
	uint32_t dim;	       /* that every vector must have, where the spec has none; 0: any */
	struct warn_to warn;
};

/* For commands, which alone read the environment. */
#define EMBED_SETUP_ENV                                                             \
	.hnsw_key = getenv("HNSW_API_KEY"), .openai_key = getenv("OPENAI_API_KEY"), \
	.ca_file = getenv("CURL_CA_BUNDLE")

/*
 * What turns texts into vectors: the built-in feature hashing, or a server that is asked over HTTP,
 * with a cache in the store.
 */
struct embedder;

/* ERR_USAGE: options that cannot be meant. */
struct embedder *embedder_new(const struct embed_setup *setup, struct err *err) MUST_CHECK;
void embedder_free(struct embedder *e);

/* What is to be known of its vectors; release it. */
int embedder_about(const struct embedder *e, struct embedding *out, struct err *err) MUST_CHECK;

/*
 * Let options that say no embedder mean the one that made vectors of before.  Its strings stay
 * those of ${from}.  ERR_DATA if they say another embedder or model; the prefix of queries may be
 * another.  ${what}: "dataset 'x'".
 */
int embed_options_follow(struct embed_options *o, const struct embedding *from, const char *what,
			 struct err *err) MUST_CHECK;

/* How many texts are best embedded by one call. */
size_t embedder_window(const struct embedder *e);

struct embed_rows {
	const float *v; /* n x dim, the embedder's, until the next call */
	uint32_t dim;
};

/*
 * Embed ${n} texts.  What was answered before a failure is in the cache.  ERR_TEMP: no answer,
 * after all attempts; ERR_DATA: a bad answer, or a text that the server refuses or fails on; then
 * ${bad}, otherwise SIZE_MAX, is the number of the text, and ${out} has those before it.
 */
int embedder_run(struct embedder *e, const struct span *text, size_t n, struct embed_rows *out,
		 size_t *bad, struct err *err) MUST_CHECK;

#endif
