/* SPDX-License-Identifier: MIT */
#ifndef EMBED_REMOTE_H
#define EMBED_REMOTE_H

#include "base/digest.h"
#include "embed/answer.h"
#include "embed/embedder.h"

/* An embedding server. */
struct remote;

struct remote_setup {
	enum answer_form form;
	const struct embed_options *options;
	const char *key;     /* or NULL */
	const char *ca_file; /* as for http_new() */
	uint32_t ask_dim;    /* dimension to ask for, or 0 */
	uint32_t dim;	     /* that is expected, or 0 */
};

struct remote *remote_new(const struct remote_setup *s, struct err *err) MUST_CHECK;
void remote_free(struct remote *r);

/* One JSON object that tells what the vectors are: server, model and all that changes them. */
int remote_about(const struct remote *r, struct buf *out, struct err *err) MUST_CHECK;

/* Takes the vector of text number ${i}, which has ${dim} values. */
typedef int remote_row_fn(void *ctx, size_t i, const float *v, uint32_t dim, struct err *err);

/*
 * Ask for the vectors of the texts whose numbers are ${pick}, which increase; they come in any
 * order.  A batch that the server refuses, or on which it fails (500) after all attempts, is halved
 * until the first text that it is about is found: ${bad}; all before it are then there.
 */
int remote_run(struct remote *r, const struct span *text, const size_t *pick, size_t n,
	       remote_row_fn *row, void *ctx, size_t *bad, struct err *err) MUST_CHECK;

/* The dimension that answers have had so far, or that is expected; 0: not known. */
uint32_t remote_dim(const struct remote *r);
void remote_expect(struct remote *r, uint32_t dim);

#endif
