/* SPDX-License-Identifier: MIT */
#ifndef EMBED_ANSWER_H
#define EMBED_ANSWER_H

#include "base/buf.h"

/*
 * What embedding servers answer:
 *	Ollama, POST /api/embed:          {"embeddings":[[...],...], ...}, in order
 *	OpenAI's form, /v1/embeddings:    {"data":[{"index":0,"embedding":[...]},...], ...},
 *	                                  in any order, or base64 of little-endian floats
 */
enum answer_form { ANSWER_OLLAMA, ANSWER_OPENAI };

/* Vectors of one answer; kept from answer to answer. */
struct answer {
	float *v; /* n x dim */
	uint32_t dim;
	size_t cap;
	struct buf text;
	bool *seen; /* by index */
	bool unfit; /* answer_parse() failed on a text that has no vector of finite numbers */
};

/*
 * Read an answer with the vectors of ${n} texts, n >= 1, of dimension ${dim} (0: that of the
 * first).  ERR_DATA: malformed, another number of vectors, an index out of range or twice,
 * dimensions that differ, a value that is not finite (a->unfit).
 */
int answer_parse(struct answer *a, enum answer_form form, struct span body, size_t n, uint32_t dim,
		 struct err *err) MUST_CHECK;
void answer_release(struct answer *a);

/* Append what a server says of a failure: {"error":"..."}, {"error":{"message":"..."}}, or how
 * the body begins. */
void answer_error(struct span body, struct buf *out);

#endif
