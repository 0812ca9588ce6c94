/* SPDX-License-Identifier: MIT */
#ifndef EMBED_TEXTS_H
#define EMBED_TEXTS_H

#include "embed/embedder.h"

/* One text with its vector; all of it lives until the function that takes it returns. */
struct text_row {
	bool has_id;
	struct span id, text;
	uint64_t number; /* of the text, from 0 on */
	uint64_t line;	 /* of its file, from 1 on */
	const float *v;
	uint32_t dim;
};

typedef int text_row_fn(void *ctx, const struct text_row *row, struct err *err);

/* Texts of any number of files, a line each, embedded and handed on in their order. */
struct texts {
	struct embedder *embedder;
	bool plain;	/* lines are texts, in UTF-8; else they are {"id":"x","text":"..."}, the id a string,
			   a number or absent, and blank lines are none */
	uint64_t limit; /* stop after so many; 0: no limit */
	text_row_fn *row;
	void *ctx;
	uint64_t count; /* so far */
};

/*
 * Read from a descriptor to its end, or a file ("-" is stdin).  ERR_DATA "'x.jsonl' line 3: ...";
 * the texts before that line were handed on.
 */
int texts_read_fd(struct texts *t, int fd, const char *name, struct err *err) MUST_CHECK;
int texts_read_file(struct texts *t, const char *path, struct err *err) MUST_CHECK;

#endif
