/* SPDX-License-Identifier: MIT */
#include "http/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

#define BACKOFF_FIRST_S 0.5
#define BACKOFF_MAX_S 30.0
#define RETRY_AFTER_MAX_S 600.0 /* a server that asks for more is taken to be gone */
#define POLL_MAX_MS 1000

enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_RUNNING };

/* One of the requests that are under way at once. */
struct slot {
	CURL *easy;
	struct http_request r;
	struct buf answer;
	enum slot_state state;
	uint32_t attempts;
	uint64_t due_ns; /* waiting: when the next attempt begins */
	bool too_large;
	char why[CURL_ERROR_SIZE];
};

struct http {
	struct http_setup setup;
	char *url, *shown;
	struct curl_slist *headers;
	CURLM *multi;
	struct slot *slot;
	uint64_t deadline_ns; /* 0: none */
	struct rng rng;
};

/* ---- setting up ---- */

/* The parts of the URL that matter, and ${h}->shown. */
static int check_url(struct http *h, struct err *err)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *user = NULL, *shown = NULL;
	int ret = -1;
	if (!u)
		return err_nomem(err);
	if (curl_url_set(u, CURLUPART_URL, h->url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
		/* It may hold a password, so it is not repeated. */
		err_set(err, ERR_USAGE, "the URL is none, expected http://... or https://...");
		goto out;
	}
	if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK) {
		err_set(err, ERR_USAGE,
			"the URL has a user or password in it, which everybody sees");
		goto out;
	}
	if (curl_url_set(u, CURLUPART_QUERY, NULL, 0) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_URL, &shown, 0) != CURLUE_OK ||
	    !(h->shown = span_dup(span_of(shown)))) {
		err_nomem(err);
		goto out;
	}
	ret = 0;
out:
	curl_free(scheme);
	curl_free(user);
	curl_free(shown);
	curl_url_cleanup(u);
	return ret;
}

static int add_header(struct http *h, const char *line, struct err *err)
{
	struct curl_slist *grown = curl_slist_append(h->headers, line);
	if (!grown)
		return err_nomem(err);
	h->headers = grown;
	return 0;
}

static int make_headers(struct http *h, struct err *err)
{
	/* The empty one keeps libcurl from waiting for a "100 Continue". */
	static const char *const fixed[] = {"Content-Type: application/json",
					    "Accept: application/json", "Expect:"};
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		if (add_header(h, fixed[i], err) != 0)
			return -1;
	if (!h->setup.key)
		return 0;
	for (const char *p = h->setup.key; *p; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(err, ERR_USAGE,
				       "the API key has a character that cannot be sent");
	struct buf line = BUF_INIT;
	buf_addf(&line, "Authorization: Bearer %s", h->setup.key);
	int ret = buf_ok(&line, err);
	if (ret == 0)
		ret = add_header(h, line.data, err);
	buf_release(&line);
	return ret;
}

static size_t take_bytes(char *data, size_t one, size_t count, void *ctx)
{
	struct slot *s = ctx;
	size_t n = one * count;
	if (n > s->r.max_answer - s->answer.len) {
		s->too_large = true;
		return 0;
	}
	buf_add(&s->answer, data, n);
	return s->answer.failed ? 0 : n;
}

/*
 * CURLOPT_NOSIGNAL stays off: then libcurl ignores SIGPIPE while it writes, and a server
 * that goes away does not end the program.
 */
static int make_slot(struct http *h, struct slot *s, struct err *err)
{
	s->easy = curl_easy_init();
	if (!s->easy || curl_easy_setopt(s->easy, CURLOPT_URL, h->url) != CURLE_OK ||
	    curl_easy_setopt(s->easy, CURLOPT_USERAGENT, "hnsw-tools") != CURLE_OK)
		return err_nomem(err);
	if (h->setup.ca_file && h->setup.ca_file[0] &&
	    curl_easy_setopt(s->easy, CURLOPT_CAINFO, h->setup.ca_file) != CURLE_OK)
		return err_nomem(err);
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->why);
	curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
	return 0;
}

struct http *http_new(const struct http_setup *setup, struct err *err)
{
	struct http *h = mem_zeroed(1, sizeof *h, err);
	if (!h)
		return NULL;
	h->setup = *setup;
	if (setup->deadline_s > 0)
		h->deadline_ns = clock_mono_ns() + (uint64_t)(setup->deadline_s * 1e9);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		err_set(err, ERR_ENV, "cannot set up libcurl");
		return NULL;
	}
	h->url = span_dup(span_of(setup->url));
	h->multi = curl_multi_init();
	if (!h->url || !h->multi) {
		err_nomem(err);
		goto fail;
	}
	h->slot = mem_zeroed(setup->parallel, sizeof *h->slot, err);
	if (!h->slot || check_url(h, err) != 0 || make_headers(h, err) != 0 ||
	    rng_system(&h->rng.state, sizeof h->rng.state, err) != 0)
		goto fail;
	for (uint32_t i = 0; i < setup->parallel; i++)
		if (make_slot(h, &h->slot[i], err) != 0)
			goto fail;
	return h;
fail:
	http_free(h);
	return NULL;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	for (uint32_t i = 0; h->slot && i < h->setup.parallel; i++) {
		struct slot *s = &h->slot[i];
		curl_easy_cleanup(s->easy);
		buf_release(&s->r.body);
		buf_release(&s->answer);
	}
	free(h->slot);
	curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	free(h->url);
	free(h->shown);
	free(h);
	curl_global_cleanup();
}

const char *http_shown(const struct http *h)
{
	return h->shown;
}

/* ---- attempts ---- */

/* Milliseconds until then, rounded up; 0 if it passed. */
static long ms_until(uint64_t then_ns)
{
	uint64_t now = clock_mono_ns();
	return then_ns <= now ? 0 : (long)((then_ns - now + 999999) / 1000000);
}

static int past_deadline(const struct http *h, const char *why, struct err *err)
{
	return err_set(err, ERR_TEMP, "the deadline of %g s passed (%s: %s)", h->setup.deadline_s,
		       h->shown, why);
}

static int start(struct http *h, struct slot *s, struct err *err)
{
	long limit_ms = (long)(h->setup.timeout_s * 1000);
	if (h->deadline_ns) {
		long left_ms = ms_until(h->deadline_ns);
		if (left_ms == 0)
			return past_deadline(h, s->why[0] ? s->why : "not yet asked", err);
		if (left_ms < limit_ms)
			limit_ms = left_ms;
	}
	buf_clear(&s->answer);
	s->too_large = false;
	s->why[0] = 0;
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->r.body.len);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, s->r.body.data);
	curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, limit_ms > 0 ? limit_ms : 1);
	if (curl_multi_add_handle(h->multi, s->easy) != CURLM_OK)
		return err_nomem(err);
	s->state = SLOT_RUNNING;
	s->attempts++;
	return 0;
}

/* Plan another attempt; false if there is none left, or no time for it. */
static bool try_later(struct http *h, struct slot *s)
{
	if (s->attempts > s->r.retries)
		return false;
	double pause = BACKOFF_FIRST_S;
	for (uint32_t i = 1; i < s->attempts && pause < BACKOFF_MAX_S; i++)
		pause *= 2;
	if (pause > BACKOFF_MAX_S)
		pause = BACKOFF_MAX_S;
	pause *= 0.5 + 0.5 * (double)rng_below(&h->rng, 1 << 20) / (1 << 20);
	curl_off_t asked = 0;
	if (curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &asked) == CURLE_OK &&
	    (double)asked > pause)
		pause = (double)asked;
	if (pause > RETRY_AFTER_MAX_S)
		return false;
	s->due_ns = clock_mono_ns() + (uint64_t)(pause * 1e9);
	if (h->deadline_ns && s->due_ns >= h->deadline_ns)
		return false;
	s->state = SLOT_WAITING;
	return true;
}

static bool may_pass(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

/* An attempt that brought no answer. */
static int no_answer(struct http *h, struct slot *s, CURLcode code, struct err *err)
{
	const char *why = s->why[0] ? s->why : curl_easy_strerror(code);
	if (s->too_large)
		return err_set(err, ERR_DATA, "%s answers with more than %zu bytes", h->shown,
			       s->r.max_answer);
	if (s->answer.failed || code == CURLE_OUT_OF_MEMORY)
		return err_nomem(err);
	if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
		return err_set(err, ERR_DATA, "%s: %s", h->shown, why);
	if (!may_pass(code))
		return err_set(err, ERR_ENV, "%s: %s", h->shown, why);
	if (try_later(h, s))
		return 0;
	if (h->deadline_ns && s->attempts <= s->r.retries)
		return past_deadline(h, why, err);
	return err_set(err, ERR_TEMP, "%s: %s (attempt %u, no further ones)", h->shown, why,
		       s->attempts);
}

static bool asks_to_try_later(long status)
{
	return status == 408 || status == 429 || (status >= 500 && status <= 599);
}

static int finish(struct http *h, const struct http_work *w, struct slot *s, CURLcode code,
		  struct err *err)
{
	long status = 0;
	char *type = NULL;
	s->state = SLOT_FREE;
	if (code != CURLE_OK)
		return no_answer(h, s, code, err);
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(s->easy, CURLINFO_CONTENT_TYPE, &type);
	if (asks_to_try_later(status) && try_later(h, s))
		return 0;
	struct http_answer a = {(int)status, type, buf_span(&s->answer), s->attempts};
	return w->take(w->ctx, &s->r, &a, err);
}

/* ---- all requests ---- */

/* Give free slots work and start what is due.  1: something is under way or waiting; 0; -1. */
static int start_all(struct http *h, const struct http_work *w, struct err *err)
{
	int busy = 0, more = 1;
	for (uint32_t i = 0; i < h->setup.parallel; i++) {
		struct slot *s = &h->slot[i];
		if (s->state == SLOT_FREE && more) {
			buf_clear(&s->r.body);
			s->r.retries = h->setup.retries;
			more = w->next(w->ctx, &s->r, err);
			if (more < 0 || (more && buf_ok(&s->r.body, err) != 0))
				return -1;
			if (more) {
				s->attempts = 0;
				s->why[0] = 0;
				s->due_ns = 0;
				s->state = SLOT_WAITING;
			}
		}
		if (s->state == SLOT_WAITING && s->due_ns <= clock_mono_ns() &&
		    start(h, s, err) != 0)
			return -1;
		busy |= s->state != SLOT_FREE;
	}
	return busy;
}

/* Until something can be done. */
static int wait_some(struct http *h, struct err *err)
{
	long wait_ms = POLL_MAX_MS;
	for (uint32_t i = 0; i < h->setup.parallel; i++)
		if (h->slot[i].state == SLOT_WAITING) {
			long ms = ms_until(h->slot[i].due_ns);
			wait_ms = ms < wait_ms ? ms : wait_ms;
		}
	if (curl_multi_poll(h->multi, NULL, 0, (int)wait_ms, NULL) != CURLM_OK)
		return err_set(err, ERR_ENV, "%s: libcurl cannot wait", h->shown);
	return 0;
}

/* Number of attempts that ended, or -1. */
static int take_finished(struct http *h, const struct http_work *w, struct err *err)
{
	CURLMsg *m;
	int left, ended = 0;
	if (curl_multi_perform(h->multi, &left) != CURLM_OK)
		return err_set(err, ERR_ENV, "%s: libcurl cannot go on", h->shown);
	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct slot *s;
		CURLcode code = m->data.result;
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
		curl_multi_remove_handle(h->multi, s->easy);
		if (finish(h, w, s, code, err) != 0)
			return -1;
		ended++;
	}
	return ended;
}

int http_post_all(struct http *h, const struct http_work *work, struct err *err)
{
	int busy;
	while ((busy = start_all(h, work, err)) > 0) {
		int ended = take_finished(h, work, err);
		if (ended < 0 || (ended == 0 && wait_some(h, err) != 0)) {
			busy = -1;
			break;
		}
	}
	/* After a failure the others are abandoned. */
	for (uint32_t i = 0; i < h->setup.parallel; i++) {
		if (h->slot[i].state == SLOT_RUNNING)
			curl_multi_remove_handle(h->multi, h->slot[i].easy);
		h->slot[i].state = SLOT_FREE;
	}
	return busy;
}
