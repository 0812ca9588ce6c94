/* SPDX-License-Identifier: MIT */
#include "record/evalset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *const query_source_names[QUERY_SOURCES] = {NULL, "sampled", "given", "log"};

enum query_source query_source_parse(struct span name)
{
	for (int i = 1; i < QUERY_SOURCES; i++)
		if (name.p && span_is(name, query_source_names[i]))
			return (enum query_source)i;
	return QUERIES_UNKNOWN;
}

void evalset_clear_truth(struct evalset_query *q)
{
	for (uint32_t i = 0; i < q->n_truth; i++)
		free(q->truth[i]);
	free(q->truth);
	q->truth = NULL;
	q->n_truth = 0;
}

void evalset_release(struct evalset *e)
{
	for (uint64_t i = 0; e->query && i < e->n; i++) {
		struct evalset_query *q = &e->query[i];
		free(q->id);
		free(q->text);
		free(q->exclude);
		evalset_clear_truth(q);
		extra_release(&q->extra);
	}
	free(e->query);
	free(e->vectors);
	free(e->name);
	free(e->index_name);
	free(e->created_at);
	extra_release(&e->extra);
	*e = (struct evalset){0};
}

int evalset_init(struct evalset *e, uint64_t n, uint32_t dim, struct err *err)
{
	*e = (struct evalset){.n = n, .dim = dim};
	e->query = mem_zeroed(n, sizeof *e->query, err);
	e->vectors = mem_zeroed(n, (dim ? dim : 1) * sizeof *e->vectors, err);
	if (!e->query || !e->vectors) {
		evalset_release(e);
		return -1;
	}
	return 0;
}

struct evalset_query *evalset_add(struct evalset *e, struct err *err)
{
	if (e->n == EVALSET_MAX_QUERIES) {
		err_set(err, ERR_DATA, "more than %d queries", EVALSET_MAX_QUERIES);
		return NULL;
	}
	if (e->n >= e->room) {
		uint64_t room = e->n ? 2 * e->n : 64;
		struct evalset_query *query = mem_resize(e->query, room, sizeof *query, err);
		if (!query)
			return NULL;
		e->query = query;
		float *vectors = mem_resize(e->vectors, room, e->dim * sizeof *vectors, err);
		if (!vectors)
			return NULL;
		e->vectors = vectors;
		e->room = room;
	}
	e->query[e->n] = (struct evalset_query){0};
	return &e->query[e->n++];
}

int evalset_set_vector(struct evalset *e, uint64_t i, const float *v, uint32_t dim, struct err *err)
{
	if (e->dim == 0) {
		float *vectors = mem_zeroed(e->n, dim * sizeof *vectors, err);
		if (!vectors)
			return -1;
		free(e->vectors);
		e->vectors = vectors;
		e->dim = dim;
	}
	if (dim != e->dim)
		return err_set(err, ERR_DATA,
			       "a vector has dimension %u, the other queries have %u", dim, e->dim);
	memcpy(e->vectors + i * dim, v, dim * sizeof *v);
	e->query[i].has_vector = true;
	e->truth_built = false;
	return 0;
}

uint64_t evalset_without_vector(const struct evalset *e, bool with_text)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < e->n; i++) {
		const struct evalset_query *q = &e->query[i];
		n += !q->has_vector && (!with_text || (q->text && q->text[0]));
	}
	return n;
}

/* ---- reading ---- */

static void scan_truth(struct scan *s, struct evalset_query *q)
{
	uint32_t room = 0;
	evalset_clear_truth(q);
	if (scan_null(s) || !scan_array(s))
		return;
	struct err ignored;
	q->truth = mem_array(1, sizeof *q->truth, &ignored);
	while (scan_item(s)) {
		if (q->n_truth >= EVALSET_MAX_K) {
			scan_fail(s, "more than 1000 answers");
			return;
		}
		if (q->n_truth == room) {
			room = room ? 2 * room : 16;
			char **grown = mem_resize(q->truth, room, sizeof *grown, &ignored);
			if (!grown) {
				scan_fail(s, scan_no_memory);
				return;
			}
			q->truth = grown;
		}
		char *id = NULL;
		scan_copy(s, &id);
		if (!id) {
			scan_fail(s, "expected an id");
			return;
		}
		q->truth[q->n_truth++] = id;
	}
}

/* Floats of the query in hand, before it is known how many queries there are. */
struct floats {
	float *v;
	size_t n, cap;
};

static bool push_float(struct floats *f, float v)
{
	if (f->n == f->cap) {
		struct err ignored;
		size_t cap = f->cap ? 2 * f->cap : 1024;
		float *grown = mem_resize(f->v, cap, sizeof *grown, &ignored);
		if (!grown)
			return false;
		f->v = grown;
		f->cap = cap;
	}
	f->v[f->n++] = v;
	return true;
}

/*
 * Queries without a vector have zeros in its place.  A file in which these would be very many
 * more than what is written there is refused, so that a small one does not take all memory.
 */
#define FLOATS_PER_BYTE 64

static bool pad(struct scan *s, struct floats *f, uint64_t count)
{
	if (count > (uint64_t)(s->end - s->begin) * FLOATS_PER_BYTE) {
		scan_fail(s, "too few of the queries have a query_embedding");
		return false;
	}
	while (f->n < count)
		if (!push_float(f, 0)) {
			scan_fail(s, scan_no_memory);
			return false;
		}
	return true;
}

/* The vector of query number e->n; all vectors have the dimension of the first. */
static void scan_vector(struct scan *s, struct evalset *e, struct evalset_query *q,
			struct floats *f)
{
	if (scan_null(s) || !scan_array(s))
		return;
	size_t before = f->n;
	while (scan_item(s)) {
		double v;
		if (!scan_f64(s, &v))
			return;
		if (!isfinite((float)v)) {
			scan_fail(s, "value too large for a float");
			return;
		}
		if (f->n - before >= VEC_MAX_DIM) {
			scan_fail(s, "more than 65536 values");
			return;
		}
		if (!push_float(f, (float)v)) {
			scan_fail(s, scan_no_memory);
			return;
		}
	}
	if (scan_failed(s))
		return;
	size_t dim = f->n - before;
	if (dim == 0) {
		scan_fail(s, "empty query_embedding");
		return;
	}
	if (e->dim == 0) {
		e->dim = (uint32_t)dim;
		/* Queries before this one had none. */
		if (!pad(s, f, (e->n + 1) * dim))
			return;
		memmove(f->v + e->n * dim, f->v, dim * sizeof *f->v);
		memset(f->v, 0, e->n * dim * sizeof *f->v);
	} else if (dim != e->dim) {
		scan_fail(s, "query_embedding of another dimension than those before");
		return;
	}
	q->has_vector = true;
}

static void scan_query(struct scan *s, struct evalset *e, struct evalset_query *q, struct floats *f)
{
	struct span key;
	if (!scan_object(s))
		return;
	while (scan_member(s, &key)) {
		if (span_is(key, "id"))
			scan_copy(s, &q->id);
		else if (span_is(key, "query_text"))
			scan_copy(s, &q->text);
		else if (span_is(key, "exclude"))
			scan_copy(s, &q->exclude);
		else if (span_is(key, "ground_truth"))
			scan_truth(s, q);
		else if (span_is(key, "query_embedding")) {
			if (q->has_vector)
				scan_fail(s, "query_embedding given twice");
			else
				scan_vector(s, e, q, f);
		} else {
			extra_take(&q->extra, s, key);
		}
	}
	if (!scan_failed(s) && !q->id)
		scan_fail(s, "the query has no 'id'");
	if (!scan_failed(s) && e->dim)
		pad(s, f, (e->n + 1) * e->dim);
}

static void scan_queries(struct scan *s, struct evalset *e)
{
	struct floats f = {0};
	uint64_t room = 0;
	struct err ignored;
	if (!scan_array(s))
		return;
	if (e->query) {
		scan_fail(s, "queries given twice");
		return;
	}
	while (!scan_failed(s) && scan_item(s)) {
		if (e->n == room) {
			room = room ? 2 * room : 64;
			bool fits = room <= 2 * (uint64_t)EVALSET_MAX_QUERIES;
			struct evalset_query *grown =
			    fits ? mem_resize(e->query, room, sizeof *grown, &ignored) : NULL;
			if (!grown) {
				scan_fail(s, fits ? scan_no_memory : "too many queries");
				break;
			}
			e->query = grown;
		}
		struct evalset_query *q = &e->query[e->n];
		*q = (struct evalset_query){0};
		scan_query(s, e, q, &f);
		e->n++;
	}
	e->vectors = f.v;
}

static void scan_digest(struct scan *s, char out[static DIGEST_TEXT_MAX])
{
	struct span v;
	if (scan_null(s) || !scan_string(s, &v))
		return;
	/* With an escape it would be longer each time that it is written. */
	if (v.n >= DIGEST_TEXT_MAX || memchr(v.p, '\\', v.n))
		scan_fail(s, "expected a digest");
	else
		memcpy(out, v.p, v.n);
}

static void scan_query_source(struct scan *s, struct evalset *e)
{
	struct span v;
	if (scan_null(s) || !scan_string(s, &v))
		return;
	e->query_source = query_source_parse(v);
	if (e->query_source == QUERIES_UNKNOWN)
		scan_fail(s, "expected query_source sampled, given or log");
}

int evalset_parse(struct evalset *e, struct span text, struct err *err)
{
	struct scan s;
	struct span key, v;
	uint64_t k = 0;
	*e = (struct evalset){0};
	scan_init(&s, text);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "name"))
				scan_copy(&s, &e->name);
			else if (span_is(key, "index_name"))
				scan_copy(&s, &e->index_name);
			else if (span_is(key, "created_at"))
				scan_copy(&s, &e->created_at);
			else if (span_is(key, "k"))
				scan_u64(&s, &k);
			else if (span_is(key, "ground_truth_built"))
				scan_bool(&s, &e->truth_built);
			else if (span_is(key, "queries"))
				scan_queries(&s, e);
			else if (span_is(key, "vectors_digest"))
				scan_digest(&s, e->vectors_digest);
			else if (span_is(key, "ids_digest"))
				scan_digest(&s, e->ids_digest);
			else if (span_is(key, "truth_digest"))
				scan_digest(&s, e->truth_digest);
			else if (span_is(key, "query_source"))
				scan_query_source(&s, e);
			else if (span_is(key, "metric")) {
				if (!scan_null(&s) && scan_string(&s, &v)) {
					e->has_metric = vec_metric_parse(v, &e->metric) == 0;
					if (!e->has_metric)
						scan_fail(&s, "expected metric cosine, l2 or ip");
				}
			} else {
				extra_take(&e->extra, &s, key);
			}
		}
	if (!scan_failed(&s) && !e->name)
		scan_fail(&s, "no key 'name'");
	if (!scan_failed(&s) && !e->query && e->n == 0)
		scan_fail(&s, "no queries");
	if (!scan_failed(&s) && (k < 1 || k > EVALSET_MAX_K))
		scan_fail(&s, "expected k in 1..1000");
	if (!scan_end(&s)) {
		scan_err(&s, err);
		evalset_release(e);
		return -1;
	}
	e->k = (uint32_t)k;
	return 0;
}

/* ---- writing ---- */

static void write_query(struct json_out *j, const struct evalset *e, uint64_t i)
{
	const struct evalset_query *q = &e->query[i];
	json_open(j, '{');
	json_kv_cstr(j, "id", q->id);
	json_kv_cstr(j, "query_text", q->text ? q->text : ""); /* the original wants a string */
	json_key(j, "ground_truth");
	if (q->truth) {
		json_open(j, '[');
		for (uint32_t t = 0; t < q->n_truth; t++)
			json_str(j, span_of(q->truth[t]));
		json_close(j, ']');
	} else {
		json_null(j);
	}
	json_key(j, "query_embedding");
	if (q->has_vector) {
		json_open(j, '[');
		for (uint32_t d = 0; d < e->dim; d++)
			json_f32(j, e->vectors[i * e->dim + d]);
		json_close(j, ']');
	} else {
		json_null(j);
	}
	if (q->exclude)
		json_kv_cstr(j, "exclude", q->exclude);
	extra_write(j, &q->extra);
	json_close(j, '}');
}

void evalset_write(struct buf *out, const struct evalset *e)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	json_kv_cstr(&j, "name", e->name);
	json_kv_cstr(&j, "index_name", e->index_name ? e->index_name : "");
	json_kv_u64(&j, "k", e->k);
	json_key(&j, "queries");
	json_open(&j, '[');
	for (uint64_t i = 0; i < e->n; i++)
		write_query(&j, e, i);
	json_close(&j, ']');
	json_kv_cstr(&j, "created_at", e->created_at ? e->created_at : "");
	json_key(&j, "ground_truth_built");
	json_bool(&j, e->truth_built);
	if (e->vectors_digest[0])
		json_kv_cstr(&j, "vectors_digest", e->vectors_digest);
	if (e->ids_digest[0])
		json_kv_cstr(&j, "ids_digest", e->ids_digest);
	if (e->truth_digest[0])
		json_kv_cstr(&j, "truth_digest", e->truth_digest);
	if (e->has_metric)
		json_kv_cstr(&j, "metric", vec_metric_name(e->metric));
	if (e->query_source != QUERIES_UNKNOWN)
		json_kv_cstr(&j, "query_source", query_source_names[e->query_source]);
	extra_write(&j, &e->extra);
	json_close(&j, '}');
	buf_addc(out, '\n');
}

int evalset_limit_k(struct evalset *e, uint32_t k, struct err *err)
{
	if (k > e->k)
		return err_set(err, ERR_DATA, "eval set '%s' has answers up to k=%u, not %u",
			       e->name, e->k, k);
	e->k = k;
	for (uint64_t i = 0; i < e->n; i++) {
		struct evalset_query *q = &e->query[i];
		while (q->n_truth > k)
			free(q->truth[--q->n_truth]);
	}
	return 0;
}

struct digest evalset_digest(const struct evalset *e)
{
	struct digest_seq seq = {0};
	uint64_t head[4] = {e->k, e->n, e->dim, e->has_metric ? e->metric + 1u : 0};
	digest_seq_add(&seq, head, sizeof head);
	for (uint64_t i = 0; i < e->n; i++) {
		const struct evalset_query *q = &e->query[i];
		if (q->has_vector)
			digest_seq_add(&seq, e->vectors + i * e->dim, e->dim * sizeof(float));
		const char *exclude = q->exclude ? q->exclude : "";
		digest_seq_add(&seq, exclude, strlen(exclude));
		for (uint32_t t = 0; t < q->n_truth; t++)
			digest_seq_add(&seq, q->truth[t], strlen(q->truth[t]));
		digest_seq_add(&seq, &q->n_truth, sizeof q->n_truth);
	}
	return digest_seq_end(&seq);
}
