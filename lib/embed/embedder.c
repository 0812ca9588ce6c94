/* SPDX-License-Identifier: MIT */
#include "embed/embedder.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "embed/cache.h"
#include "embed/hash.h"
#include "embed/remote.h"
#include "vec/elem.h"

#define HASH_WINDOW 256
#define KEY_MAX_BYTES 4096
/* Requests a slot that a window is worth: at its end slots wait for the last one. */
#define REMOTE_ROUNDS 4

_Static_assert(EMBED_HASH_MAX_DIM == VEC_MAX_DIM, "one bound of dimensions");

const char *const embed_encodings[] = {"float", "base64", NULL};

enum embed_kind { EMBED_HASH, EMBED_OLLAMA, EMBED_OPENAI, EMBED_KINDS };

static const char *const kind_names[EMBED_KINDS] = {"hash", "ollama", "openai"};

struct embedder {
	enum embed_kind kind;
	const struct embed_options *options;
	uint32_t dim; /* 0: not known yet */
	char *key;
	struct remote *remote;
	struct buckets *buckets;
	struct embed_cache *cache; /* or NULL */
	/* the run in hand, or the last */
	struct buf full; /* the texts with their prefix */
	struct span *text;
	struct digest *digest;
	size_t *missing;
	size_t n, room;
	float *v;
	size_t v_room;
};

/* ---- setting up ---- */

/* "hash", "ollama:256", ... */
static int parse_spec(const char *spec, enum embed_kind *kind, uint32_t *dim, struct err *err)
{
	size_t n = strcspn(spec, ":");
	uint64_t v = 0;
	*kind = EMBED_KINDS;
	for (int i = 0; i < EMBED_KINDS; i++)
		if (strlen(kind_names[i]) == n && strncmp(spec, kind_names[i], n) == 0)
			*kind = (enum embed_kind)i;
	if (*kind == EMBED_KINDS)
		return err_set(err, ERR_USAGE,
			       "unknown embedder '%s', expected hash, ollama or openai, or one of "
			       "them with :DIM",
			       spec);
	if (spec[n] && num_u64(span_of(spec + n + 1), 1, VEC_MAX_DIM, &v) != 0)
		return err_set(err, ERR_USAGE, "bad dimension '%s' of the embedder, expected 1..%d",
			       spec + n + 1, VEC_MAX_DIM);
	*dim = (uint32_t)v;
	return 0;
}

static int check_options(const struct embed_options *o, enum embed_kind kind, struct err *err)
{
	if (kind == EMBED_HASH && (o->url || o->model || o->key_file))
		return err_set(err, ERR_USAGE,
			       "--url, --model and --api-key-file are for the embedders ollama and "
			       "openai");
	if (kind == EMBED_HASH)
		return 0;
	if (!o->model || !o->model[0])
		return err_set(err, ERR_USAGE, "embedder '%s' needs --model", kind_names[kind]);
	if (kind == EMBED_OPENAI && !o->url)
		return err_set(err, ERR_USAGE, "embedder 'openai' needs --url");
	if (o->truncate && kind != EMBED_OLLAMA)
		return err_set(err, ERR_USAGE, "--truncate is for the embedder ollama");
	if (o->encoding != EMBED_FLOAT && kind != EMBED_OPENAI)
		return err_set(err, ERR_USAGE, "--encoding is for the embedder openai");
	return 0;
}

/* The API key, from the file if one is named, else from the environment. */
static int read_key(struct embedder *e, const struct embed_setup *s, struct err *err)
{
	const char *path = s->options->key_file, *from_env = s->hnsw_key;
	struct buf text = BUF_INIT;
	if (!path) {
		if ((!from_env || !from_env[0]) && e->kind == EMBED_OPENAI)
			from_env = s->openai_key;
		if (!from_env || !from_env[0])
			return 0;
		e->key = span_dup(span_of(from_env));
		return e->key ? 0 : err_nomem(err);
	}
	int ret = io_read_file(path, KEY_MAX_BYTES, &text, err);
	if (ret == 0) {
		e->key =
		    span_dup((struct span){buf_span(&text).p, strcspn(buf_span(&text).p, "\r\n")});
		if (!e->key)
			ret = err_nomem(err);
		else if (!e->key[0])
			ret = err_set(err, ERR_DATA, "'%s' has no API key", path);
	}
	buf_release(&text);
	return ret;
}

static int open_cache(struct embedder *e, const struct embed_setup *s, struct err *err)
{
	struct buf about = BUF_INIT;
	int ret = -1;
	e->buckets = buckets_open(s->store_url, err);
	if (!e->buckets && !s->make_store) {
		/* A store that nobody named must not be in the way. */
		warn(&s->warn, "going on without the cache of embeddings: %s", err->msg);
		return 0;
	}
	if (!e->buckets)
		return -1;
	if (!buckets_exist(e->buckets) && (!s->make_store || s->dry_run))
		return 0;
	struct store *primary = buckets_get(e->buckets, "primary", err);
	if (primary && remote_about(e->remote, &about, err) == 0) {
		e->cache = embed_cache_open(primary, buf_span(&about), !s->dry_run, &s->warn, err);
		ret = e->cache ? 0 : -1;
	}
	buf_release(&about);
	return ret;
}

static int open_remote(struct embedder *e, const struct embed_setup *s, struct err *err)
{
	struct remote_setup r = {.form = e->kind == EMBED_OLLAMA ? ANSWER_OLLAMA : ANSWER_OPENAI,
				 .options = s->options,
				 .ca_file = s->ca_file,
				 .ask_dim = e->dim,
				 .dim = s->dim};
	if (read_key(e, s, err) != 0)
		return -1;
	r.key = e->key;
	e->remote = remote_new(&r, err);
	if (!e->remote)
		return -1;
	e->dim = remote_dim(e->remote);
	return s->options->no_cache ? 0 : open_cache(e, s, err);
}

struct embedder *embedder_new(const struct embed_setup *setup, struct err *err)
{
	const struct embed_options *o = setup->options;
	struct embedder *e = mem_zeroed(1, sizeof *e, err);
	if (!e)
		return NULL;
	e->options = o;
	if (parse_spec(o->embedder ? o->embedder : "hash", &e->kind, &e->dim, err) != 0 ||
	    check_options(o, e->kind, err) != 0)
		goto fail;
	if (e->kind != EMBED_HASH) {
		if (open_remote(e, setup, err) != 0)
			goto fail;
	} else if (!e->dim) {
		e->dim = setup->dim ? setup->dim : EMBED_HASH_DIM;
	}
	return e;
fail:
	embedder_free(e);
	return NULL;
}

void embedder_free(struct embedder *e)
{
	if (!e)
		return;
	embed_cache_close(e->cache);
	buckets_close(e->buckets);
	remote_free(e->remote);
	buf_release(&e->full);
	free(e->text);
	free(e->digest);
	free(e->missing);
	free(e->v);
	free(e->key);
	free(e);
}

static int keep(char **to, const char *text, struct err *err)
{
	*to = text ? span_dup(span_of(text)) : NULL;
	return text && !*to ? err_nomem(err) : 0;
}

int embedder_about(const struct embedder *e, struct embedding *out, struct err *err)
{
	const struct embed_options *o = e->options;
	const char *spec = o->embedder ? o->embedder : kind_names[EMBED_HASH];
	*out = (struct embedding){.dimensions = e->dim};
	if (e->kind == EMBED_HASH)
		spec = kind_names[EMBED_HASH];
	/* What follows a question mark may be a secret. */
	if (keep(&out->embedder, spec, err) != 0 || keep(&out->model, o->model, err) != 0 ||
	    keep(&out->prefix, o->prefix ? o->prefix : "", err) != 0 ||
	    keep(&out->url, o->url, err) != 0) {
		embedding_release(out);
		return -1;
	}
	if (out->url)
		out->url[strcspn(out->url, "?#")] = 0;
	return 0;
}

int embed_options_follow(struct embed_options *o, const struct embedding *from, const char *what,
			 struct err *err)
{
	struct embedding said = {.embedder = (char *)(uintptr_t)o->embedder,
				 .model = (char *)(uintptr_t)o->model,
				 .prefix = from->prefix};
	if (!from->embedder)
		return 0;
	if (o->embedder && (o->model || !from->model))
		return embedding_check(from, &said, what, err);
	if (!o->embedder)
		o->embedder = from->embedder;
	if (!o->model)
		o->model = from->model;
	if (!o->url)
		o->url = from->url;
	if (!o->prefix)
		o->prefix = from->prefix;
	said.embedder = (char *)(uintptr_t)o->embedder;
	said.model = (char *)(uintptr_t)o->model;
	return embedding_check(from, &said, what, err);
}

size_t embedder_window(const struct embedder *e)
{
	const struct embed_options *o = e->options;
	return e->kind == EMBED_HASH ? HASH_WINDOW : (size_t)o->batch * o->parallel * REMOTE_ROUNDS;
}

/* ---- running ---- */

/* Put the prefix before the texts. */
static int take_texts(struct embedder *e, const struct span *text, size_t n, struct err *err)
{
	struct span prefix = span_of(e->options->prefix ? e->options->prefix : "");
	if (n > e->room) {
		free(e->text);
		free(e->digest);
		free(e->missing);
		e->room = 0;
		e->text = mem_array(n, sizeof *e->text, err);
		e->digest = mem_array(n, sizeof *e->digest, err);
		e->missing = mem_array(n, sizeof *e->missing, err);
		if (!e->text || !e->digest || !e->missing)
			return -1;
		e->room = n;
	}
	e->n = n;
	buf_clear(&e->full);
	for (size_t i = 0; i < n; i++) {
		buf_addspan(&e->full, prefix);
		buf_addspan(&e->full, text[i]);
	}
	if (buf_ok(&e->full, err) != 0)
		return -1;
	const char *p = buf_span(&e->full).p;
	for (size_t i = 0; i < n; i++) {
		e->text[i] = (struct span){p, prefix.n + text[i].n};
		p += e->text[i].n;
	}
	return 0;
}

/* Room for the vectors, once their dimension is known. */
static int reserve_rows(struct embedder *e, uint32_t dim, struct err *err)
{
	e->dim = dim;
	if (e->n <= e->v_room / dim)
		return 0;
	float *grown = mem_resize(e->v, e->n, dim * sizeof *grown, err);
	if (!grown)
		return -1;
	e->v = grown;
	e->v_room = e->n * dim;
	return 0;
}

static int keep_row(void *ctx, size_t i, const float *v, uint32_t dim, struct err *err)
{
	struct embedder *e = ctx;
	if (reserve_rows(e, dim, err) != 0)
		return -1;
	memcpy(e->v + i * dim, v, dim * sizeof *v);
	if (e->cache)
		embed_cache_add(e->cache, e->digest[i], v, dim);
	return 0;
}

/* Take what the cache has; returns how many texts are missing, or -1. */
static int look_up(struct embedder *e, size_t *n_missing, struct err *err)
{
	*n_missing = 0;
	for (size_t i = 0; i < e->n; i++) {
		const float *v = NULL;
		if (e->cache) {
			e->digest[i] = digest_of(e->text[i].p, e->text[i].n);
			v = embed_cache_find(e->cache, e->digest[i], &e->dim);
		}
		if (!v) {
			e->missing[(*n_missing)++] = i;
			continue;
		}
		if (reserve_rows(e, e->dim, err) != 0)
			return -1;
		memcpy(e->v + i * e->dim, v, e->dim * sizeof *v);
	}
	return 0;
}

static int run_remote(struct embedder *e, size_t *bad, struct err *err)
{
	size_t n_missing;
	if (look_up(e, &n_missing, err) != 0)
		return -1;
	if (n_missing == 0)
		return 0;
	if (e->dim)
		remote_expect(e->remote, e->dim);
	return remote_run(e->remote, e->text, e->missing, n_missing, keep_row, e, bad, err);
}

static int run_hash(struct embedder *e, struct err *err)
{
	if (reserve_rows(e, e->dim, err) != 0)
		return -1;
	for (size_t i = 0; i < e->n; i++)
		if (embed_hash(e->text[i], e->v + i * e->dim, e->dim, err) != 0)
			return -1;
	return 0;
}

int embedder_run(struct embedder *e, const struct span *text, size_t n, struct embed_rows *out,
		 size_t *bad, struct err *err)
{
	*bad = SIZE_MAX;
	*out = (struct embed_rows){0};
	if (n == 0)
		return 0;
	if (take_texts(e, text, n, err) != 0)
		return -1;
	int ret = e->kind == EMBED_HASH ? run_hash(e, err) : run_remote(e, bad, err);
	*out = (struct embed_rows){e->v, e->dim};
	return ret;
}
