/* SPDX-License-Identifier: MIT */
#include "record/embedding.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *key;
	size_t offset;
} strings[] = {
    {"embedder", offsetof(struct embedding, embedder)},
    {"model", offsetof(struct embedding, model)},
    {"prefix", offsetof(struct embedding, prefix)},
    {"url", offsetof(struct embedding, url)},
};

#define N_STRINGS (sizeof strings / sizeof strings[0])

static char **string_at(const struct embedding *e, size_t i)
{
	return (char **)(void *)((char *)(uintptr_t)e + strings[i].offset);
}

void embedding_release(struct embedding *e)
{
	for (size_t i = 0; i < N_STRINGS; i++)
		free(*string_at(e, i));
	extra_release(&e->extra);
	*e = (struct embedding){0};
}

static void scan_metric(struct scan *s, struct embedding *e)
{
	struct span v;
	if (scan_null(s) || !scan_string(s, &v))
		return;
	e->has_metric = vec_metric_parse(v, &e->metric) == 0;
	if (!e->has_metric)
		scan_fail(s, "expected metric cosine, l2 or ip");
}

int embedding_parse(struct embedding *e, struct span text, struct err *err)
{
	struct scan s;
	struct span key;
	*e = (struct embedding){0};
	scan_init(&s, text);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			size_t i = 0;
			while (i < N_STRINGS && !span_is(key, strings[i].key))
				i++;
			if (i < N_STRINGS)
				scan_copy(&s, string_at(e, i));
			else if (span_is(key, "dimensions"))
				scan_u64(&s, &e->dimensions);
			else if (span_is(key, "metric"))
				scan_metric(&s, e);
			else
				extra_take(&e->extra, &s, key);
		}
	if (scan_end(&s))
		return 0;
	scan_err(&s, err);
	embedding_release(e);
	return -1;
}

void embedding_write(struct buf *out, const struct embedding *e)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	for (size_t i = 0; i < N_STRINGS; i++) {
		const char *v = *string_at(e, i);
		json_key(&j, strings[i].key);
		if (v)
			json_str(&j, span_of(v));
		else
			json_null(&j);
	}
	json_kv_u64(&j, "dimensions", e->dimensions);
	json_key(&j, "metric");
	if (e->has_metric)
		json_str(&j, span_of(vec_metric_name(e->metric)));
	else
		json_null(&j);
	extra_write(&j, &e->extra);
	json_close(&j, '}');
	buf_addc(out, '\n');
}

/* ---- comparing ---- */

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void add_part(struct buf *out, const char *what, const char *value)
{
	buf_addf(out, "%s%s'%.200s'", out->len ? ", " : "", what, value);
}

void embedding_describe(struct buf *out, const struct embedding *e)
{
	if (e->embedder)
		add_part(out, "embedder ", e->embedder);
	if (or_empty(e->model)[0])
		add_part(out, "model ", e->model);
	if (or_empty(e->prefix)[0])
		add_part(out, "prefix ", e->prefix);
	if (e->dimensions)
		buf_addf(out, "%sdimension %llu", out->len ? ", " : "",
			 (unsigned long long)e->dimensions);
	if (e->has_metric)
		buf_addf(out, "%smetric %s", out->len ? ", " : "", vec_metric_name(e->metric));
	if (!e->embedder && !e->has_metric)
		buf_addf(out, "%sno known embedder", out->len ? ", " : "");
}

/* The dimension that is asked for is told by the vectors. */
static bool same_embedder(const char *a, const char *b)
{
	size_t n = strcspn(a, ":");
	return n == strcspn(b, ":") && strncmp(a, b, n) == 0;
}

static bool goes_with(const struct embedding *is, const struct embedding *more)
{
	if (is->dimensions && more->dimensions && is->dimensions != more->dimensions)
		return false;
	if (is->has_metric && more->has_metric && is->metric != more->metric)
		return false;
	if (!more->embedder)
		return true;
	return is->embedder && same_embedder(is->embedder, more->embedder) &&
	       strcmp(or_empty(is->model), or_empty(more->model)) == 0 &&
	       strcmp(or_empty(is->prefix), or_empty(more->prefix)) == 0;
}

int embedding_check(const struct embedding *is, const struct embedding *more, const char *what,
		    struct err *err)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	if (goes_with(is, more))
		return 0;
	embedding_describe(&a, is);
	embedding_describe(&b, more);
	int ret = buf_ok(&a, err) != 0 || buf_ok(&b, err) != 0
		      ? -1
		      : err_set(err, ERR_DATA, "%s is of %s, not of %s", what, a.data,
				b.data);
	buf_release(&a);
	buf_release(&b);
	return ret;
}
