/* SPDX-License-Identifier: MIT */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdint.h>

#include "base/buf.h"

#define HTTP_MAX_PARALLEL 64

/* POST requests with JSON bodies to one URL, several at once, each retried with back-off. */
struct http;

struct http_setup {
	const char *url;
	const char *key;     /* sent as "Authorization: Bearer", or NULL */
	const char *ca_file; /* certificates to trust instead of the system\'s, or NULL */
	uint32_t parallel;   /* requests under way at once, 1..HTTP_MAX_PARALLEL */
	uint32_t retries;    /* attempts after the first */
	double timeout_s;    /* of one attempt */
	double deadline_s;   /* of everything from http_new() on; 0: none */
};

struct http_request {
	struct buf body;
	size_t max_answer; /* bytes that are taken of the answer's body */
	uint32_t retries;  /* attempts after the first; next() finds those of the setup */
	uint64_t tag[2];   /* the caller's */
};

struct http_answer {
	int status;
	const char *type; /* Content-Type, or NULL */
	struct span body;
	uint32_t attempts;
};

struct http_work {
	/* Fill in the next request, whose body is empty: 1; 0: none is left for now; -1. */
	int (*next)(void *ctx, struct http_request *r, struct err *err);
	/*
	 * Take the answer of any status: 0; -1 to give up.  One of 408, 429 or 5xx comes only
	 * when no attempt is left.  Afterwards next() may have more to do.
	 */
	int (*take)(void *ctx, const struct http_request *r, const struct http_answer *a,
		    struct err *err);
	void *ctx;
};

/* ERR_USAGE: a URL that is not http or https, or has a user in it; a key that is no token. */
struct http *http_new(const struct http_setup *setup, struct err *err) MUST_CHECK;
void http_free(struct http *h);

/* The URL without its query, which may hold a secret: for messages and records. */
const char *http_shown(const struct http *h);

/*
 * Do all requests of ${work}.  An attempt that times out, cannot connect, breaks off, or is
 * answered by 408, 429 or 5xx is made again after a pause that doubles each time, half of it
 * random, or after the Retry-After of the answer if that is longer.  Redirections are not
 * followed.  ERR_TEMP: no attempt is left, or the deadline passed; ERR_DATA: an answer that is
 * no HTTP or too large; ERR_ENV: the server's certificate is not trusted.
 */
int http_post_all(struct http *h, const struct http_work *work, struct err *err) MUST_CHECK;

#endif
