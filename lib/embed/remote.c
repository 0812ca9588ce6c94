/* SPDX-License-Identifier: MIT */
#include "embed/remote.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http.h"
#include "json/write.h"
#include "vec/elem.h"

#define OLLAMA_URL "http://127.0.0.1:11434"
#define BODY_MAX_BYTES ((size_t)4 << 20)
#define ANSWER_ROOM ((size_t)1 << 20) /* beside the vectors */
#define VALUE_BYTES 64		      /* more than any server prints for one value */
#define SAID_BYTES 300

/* Asked of a server that has answered nothing yet but that it failed: whether it is down, or
 * cannot take a text. */
#define PROBE_TEXT "a"

struct range {
	size_t from, to; /* of the pick; PROBE: no text of it */
	bool failed;	 /* a part of what the server failed on, after all attempts */
};

static const struct range PROBE = {SIZE_MAX, SIZE_MAX, true};

struct remote {
	struct remote_setup setup;
	struct http *http;
	char *url;
	size_t batch;
	uint32_t dim;
	struct answer answer;
	/* the run in hand */
	const struct span *text;
	const size_t *pick;
	size_t n, at;
	struct range *again; /* halves of what was refused */
	size_t n_again, room;
	bool answered;
	enum { PROBE_NONE, PROBE_DUE, PROBE_SENT } probe; /* nothing else is sent meanwhile */
	size_t first_bad; /* what the server refuses, or SIZE_MAX; nothing beyond is asked for */
	struct err why;
	remote_row_fn *row;
	void *ctx;
};

/* ---- setting up ---- */

static bool ends_in(struct span s, const char *end)
{
	size_t n = strlen(end);
	return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

/* The server's URL, completed unless it has the path already. */
static char *endpoint(enum answer_form form, const char *url, struct err *err)
{
	struct buf b = BUF_INIT;
	struct span path = {url, strcspn(url, "?")};
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	buf_addspan(&b, path);
	if (form == ANSWER_OLLAMA)
		buf_adds(&b, ends_in(path, "/api/embed") ? "" : "/api/embed");
	else if (!ends_in(path, "/embeddings"))
		buf_adds(&b, ends_in(path, "/v1") ? "/embeddings" : "/v1/embeddings");
	buf_adds(&b, url + strcspn(url, "?"));
	if (buf_ok(&b, err) != 0)
		buf_release(&b);
	return b.data;
}

struct remote *remote_new(const struct remote_setup *s, struct err *err)
{
	const struct embed_options *o = s->options;
	struct remote *r = mem_zeroed(1, sizeof *r, err);
	if (!r)
		return NULL;
	r->setup = *s;
	r->dim = s->ask_dim ? s->ask_dim : s->dim;
	r->batch = o->batch;
	r->url = endpoint(s->form, o->url ? o->url : OLLAMA_URL, err);
	if (r->url)
		r->http = http_new(&(struct http_setup){.url = r->url,
							.key = s->key,
							.ca_file = s->ca_file,
							.parallel = o->parallel,
							.retries = o->retries,
							.timeout_s = o->timeout_s,
							.deadline_s = o->deadline_s},
				   err);
	if (!r->http) {
		remote_free(r);
		return NULL;
	}
	return r;
}

void remote_free(struct remote *r)
{
	if (!r)
		return;
	http_free(r->http);
	answer_release(&r->answer);
	free(r->again);
	free(r->url);
	free(r);
}

int remote_about(const struct remote *r, struct buf *out, struct err *err)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	json_kv_cstr(&j, "embedder", r->setup.form == ANSWER_OLLAMA ? "ollama" : "openai");
	json_kv_cstr(&j, "url", http_shown(r->http));
	json_kv_cstr(&j, "model", r->setup.options->model);
	json_kv_u64(&j, "dimensions", r->setup.ask_dim);
	json_key(&j, "truncate");
	json_bool(&j, r->setup.options->truncate);
	json_close(&j, '}');
	buf_addc(out, '\n');
	return buf_ok(out, err);
}

uint32_t remote_dim(const struct remote *r)
{
	return r->dim;
}

void remote_expect(struct remote *r, uint32_t dim)
{
	r->dim = dim;
}

/* ---- asking ---- */

static void write_body(const struct remote *r, struct range g, struct buf *body)
{
	struct json_out j = {.b = body};
	json_open(&j, '{');
	json_kv_cstr(&j, "model", r->setup.options->model);
	json_key(&j, "input");
	json_open(&j, '[');
	if (g.from == PROBE.from)
		json_str(&j, span_of(PROBE_TEXT));
	for (size_t i = g.from; i < g.to; i++)
		json_str(&j, r->text[r->pick[i]]);
	json_close(&j, ']');
	if (r->setup.form == ANSWER_OLLAMA) {
		/* Left out, it means true: what is too long would be cut in silence. */
		json_key(&j, "truncate");
		json_bool(&j, r->setup.options->truncate);
	} else {
		json_kv_cstr(&j, "encoding_format", embed_encodings[r->setup.options->encoding]);
	}
	if (r->setup.ask_dim)
		json_kv_u64(&j, "dimensions", r->setup.ask_dim);
	json_close(&j, '}');
}

/* As many of the texts that come next as one request is to have. */
static struct range next_batch(struct remote *r)
{
	struct range g = {r->at, r->at, false};
	size_t bytes = 0;
	while (g.to < r->n && g.to - g.from < r->batch &&
	       (g.to == g.from || bytes < BODY_MAX_BYTES))
		bytes += r->text[r->pick[g.to++]].n;
	r->at = g.to;
	return g;
}

/* The next range that is still wanted: 1; 0: none. */
static int next_range(struct remote *r, struct range *g)
{
	if (r->probe != PROBE_NONE) {
		bool due = r->probe == PROBE_DUE;
		*g = PROBE;
		r->probe = PROBE_SENT;
		return due;
	}
	while (r->n_again) {
		*g = r->again[--r->n_again];
		if (g->from < r->first_bad)
			return 1;
	}
	if (r->at == r->n || r->at >= r->first_bad)
		return 0;
	*g = next_batch(r);
	return 1;
}

static int next_request(void *ctx, struct http_request *q, struct err *err)
{
	struct remote *r = ctx;
	struct range g;
	(void)err;
	if (!next_range(r, &g))
		return 0;
	write_body(r, g, &q->body);
	q->max_answer =
	    ANSWER_ROOM + (g.to - g.from + 1) * (r->dim ? r->dim : VEC_MAX_DIM) * VALUE_BYTES;
	if (g.failed && q->retries > 1)
		q->retries = 1;
	q->tag[0] = g.from;
	q->tag[1] = g.to;
	return 1;
}

/* ---- answers ---- */

static int take_vectors(struct remote *r, struct range g, const struct http_answer *a,
			struct err *err)
{
	const char *shown = http_shown(r->http);
	size_t n = g.to - g.from;
	if (a->type && !strcasestr(a->type, "json"))
		return err_set(err, ERR_DATA, "%s answers with '%.60s', expected JSON", shown,
			       a->type);
	if (answer_parse(&r->answer, r->setup.form, a->body, n, r->dim, err) != 0)
		return err->code == ERR_DATA && r->dim
			   ? err_prefix(err, "%s: bad answer for %zu text%s, dimension %u", shown, n,
					n == 1 ? "" : "s", r->dim)
			   : err_prefix(err, "%s: bad answer for %zu text%s", shown, n,
					n == 1 ? "" : "s");
	r->dim = r->answer.dim;
	for (size_t i = g.from; i < g.to; i++)
		if (r->row(r->ctx, r->pick[i], r->answer.v + (i - g.from) * r->dim, r->dim, err) !=
		    0)
			return -1;
	return 0;
}

static int ask_again(struct remote *r, struct range g, struct err *err)
{
	if (r->n_again == r->room) {
		size_t room = r->room ? 2 * r->room : 64;
		struct range *grown = mem_resize(r->again, room, sizeof *grown, err);
		if (!grown)
			return -1;
		r->again = grown;
		r->room = room;
	}
	r->again[r->n_again++] = g;
	return 0;
}

/* The second half lies below the first, so texts are tried in order. */
static int ask_halves(struct remote *r, struct range g, bool failed, struct err *err)
{
	size_t mid = g.from + (g.to - g.from) / 2;
	return ask_again(r, (struct range){mid, g.to, failed}, err) == 0
		   ? ask_again(r, (struct range){g.from, mid, failed}, err)
		   : -1;
}

/* A server may repeat the key that it refuses. */
static void hide_key(const struct remote *r, char *text)
{
	const char *key = r->setup.key;
	for (char *p = text; key && key[0] && (p = strstr(p, key));)
		memset(p, '*', strlen(key));
}

static int refuse(struct remote *r, const struct http_answer *a, struct err *err)
{
	struct buf said = BUF_INIT;
	enum err_code code = ERR_DATA;
	answer_error(a->body, &said);
	if (buf_ok(&said, err) != 0) {
		buf_release(&said);
		return -1;
	}
	hide_key(r, said.data);
	if (a->status == 408 || a->status == 429 || a->status >= 500)
		code = ERR_TEMP;
	else if (a->status == 401 || a->status == 403 || a->status == 407)
		code = ERR_ENV;
	err_set(err, code, "%s answers %d%s: %.*s", http_shown(r->http), a->status,
		code == ERR_TEMP ? " to the last attempt" : "", SAID_BYTES, said.data);
	buf_release(&said);
	return -1;
}

/* A text that is refused; what stands before it is still asked for. */
static void set_bad(struct remote *r, size_t at, const struct err *why)
{
	if (at >= r->first_bad)
		return;
	r->first_bad = at;
	r->why = *why;
	r->why.code = ERR_DATA;
}

/* A range on which the server failed is cut in halves once it is known that it is not down. */
static int take_failure(struct remote *r, struct range g, const struct http_answer *a,
			struct err *err)
{
	struct err why;
	if (r->answered && g.to - g.from > 1)
		return ask_halves(r, g, true, err);
	if (r->answered) {
		if (refuse(r, a, &why) != 0)
			set_bad(r, g.from, &why);
		return 0;
	}
	g.failed = true;
	if (r->probe == PROBE_NONE)
		r->probe = PROBE_DUE;
	return ask_again(r, g, err);
}

/* The same for an answer with a text of which there is no vector. */
static int take_success(struct remote *r, struct range g, const struct http_answer *a,
			struct err *err)
{
	r->answer.unfit = false;
	if (take_vectors(r, g, a, err) == 0)
		return 0;
	if (!r->answer.unfit)
		return -1;
	if (g.to - g.from > 1)
		return ask_halves(r, g, false, err);
	set_bad(r, g.from, err);
	return 0;
}

static int take_answer(void *ctx, const struct http_request *q, const struct http_answer *a,
		       struct err *err)
{
	struct remote *r = ctx;
	struct range g = {(size_t)q->tag[0], (size_t)q->tag[1], false};
	bool about_texts = a->status == 400 || a->status == 413 || a->status == 422;
	bool failed = a->status == 500; /* some say so of a text that is too long, or gives NaN */
	r->answered |= a->status == 200;
	if (g.from == PROBE.from) {
		r->probe = PROBE_NONE;
		return r->answered ? 0 : refuse(r, a, err);
	}
	if (a->status == 200)
		return take_success(r, g, a, err);
	if (failed)
		return take_failure(r, g, a, err);
	if (!about_texts)
		return refuse(r, a, err);
	if (g.to - g.from > 1) {
		if (a->status == 413)
			r->batch = (g.to - g.from + 1) / 2;
		return ask_halves(r, g, false, err);
	}
	struct err why;
	if (refuse(r, a, &why) != 0)
		set_bad(r, g.from, &why);
	return 0;
}

int remote_run(struct remote *r, const struct span *text, const size_t *pick, size_t n,
	       remote_row_fn *row, void *ctx, size_t *bad, struct err *err)
{
	struct http_work work = {next_request, take_answer, r};
	r->text = text;
	r->pick = pick;
	r->n = n;
	r->at = 0;
	r->n_again = 0;
	r->row = row;
	r->ctx = ctx;
	r->first_bad = SIZE_MAX;
	r->probe = PROBE_NONE;
	int ret = http_post_all(r->http, &work, err);
	if (ret == 0 && r->first_bad == SIZE_MAX)
		return 0;
	if (ret == 0) {
		*bad = pick[r->first_bad];
		*err = r->why;
	}
	hide_key(r, err->msg);
	return -1;
}
