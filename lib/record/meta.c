/* SPDX-License-Identifier: MIT */
#include "record/meta.h"

#include <stddef.h>
#include <stdlib.h>

#define STRING(name)                                     \
	{                                                \
#name, offsetof(struct index_meta, name) \
	}

/* In the order in which they are written. */
static const struct {
	const char *key;
	size_t offset;
} strings[] =
    {
	STRING(index_name),  STRING(source),	 STRING(model_name), STRING(model_version),
	STRING(storage_key), STRING(created_at), STRING(bucket),
},
  numbers[] =
      {
	  STRING(dimensions), STRING(chunk_count), STRING(doc_count),
	  STRING(chunk_size), STRING(overlap),
},
  reals[] = {
      STRING(build_time_secs),
      STRING(chunks_per_sec),
};

/* Which the original does not know; written only if they are there. */
static const struct {
	const char *key;
	size_t offset;
} own[] = {
    STRING(eval_set),
    STRING(embedder),
    STRING(prefix),
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static char **string_at(struct index_meta *m, size_t offset)
{
	return (char **)(void *)((char *)m + offset);
}

/* Kept as it is written. */
static void scan_goal(struct scan *s, char **goal)
{
	struct span json;
	if (scan_null(s))
		return;
	if (scan_peek(s) != '{') {
		scan_fail(s, "expected an object");
		return;
	}
	if (!scan_skip(s, &json))
		return;
	free(*goal);
	*goal = span_dup(json);
	if (!*goal)
		scan_fail(s, scan_no_memory);
}

/* True if it was one of the known keys; then its value was read. */
static bool scan_known(struct scan *s, struct index_meta *m, struct span key)
{
	struct span v;
	for (size_t i = 0; i < COUNT(strings); i++)
		if (span_is(key, strings[i].key)) {
			scan_copy(s, string_at(m, strings[i].offset));
			return true;
		}
	for (size_t i = 0; i < COUNT(numbers); i++)
		if (span_is(key, numbers[i].key)) {
			if (!scan_null(s))
				scan_u64(s, (uint64_t *)(void *)((char *)m + numbers[i].offset));
			return true;
		}
	for (size_t i = 0; i < COUNT(reals); i++)
		if (span_is(key, reals[i].key)) {
			if (!scan_null(s))
				scan_f64(s, (double *)(void *)((char *)m + reals[i].offset));
			return true;
		}
	for (size_t i = 0; i < COUNT(own); i++)
		if (span_is(key, own[i].key)) {
			scan_copy(s, string_at(m, own[i].offset));
			return true;
		}
	if (span_is(key, "goal")) {
		scan_goal(s, &m->goal);
		return true;
	}
	if (span_is(key, "metric")) {
		if (!scan_null(s) && scan_string(s, &v)) {
			m->has_metric = vec_metric_parse(v, &m->metric) == 0;
			if (!m->has_metric)
				scan_fail(s, "expected metric cosine, l2 or ip");
		}
		return true;
	}
	return false;
}

int index_meta_parse(struct index_meta *m, struct span text, struct err *err)
{
	struct scan s;
	struct span key;
	*m = (struct index_meta){0};
	scan_init(&s, text);
	if (scan_object(&s))
		while (scan_member(&s, &key))
			if (!scan_known(&s, m, key))
				extra_take(&m->extra, &s, key);
	if (!scan_failed(&s) && !m->index_name)
		scan_fail(&s, "no key 'index_name'");
	if (!scan_end(&s)) {
		scan_err(&s, err);
		index_meta_release(m);
		return -1;
	}
	return 0;
}

void index_meta_write(struct buf *out, const struct index_meta *m)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	for (size_t i = 0; i < COUNT(strings); i++) {
		const char *v = *string_at((struct index_meta *)(uintptr_t)m, strings[i].offset);
		json_kv_cstr(&j, strings[i].key, v ? v : "");
	}
	for (size_t i = 0; i < COUNT(numbers); i++)
		json_kv_u64(&j, numbers[i].key,
			    *(const uint64_t *)(const void *)((const char *)m + numbers[i].offset));
	for (size_t i = 0; i < COUNT(reals); i++)
		json_kv_f64(&j, reals[i].key,
			    *(const double *)(const void *)((const char *)m + reals[i].offset));
	if (m->has_metric)
		json_kv_cstr(&j, "metric", vec_metric_name(m->metric));
	for (size_t i = 0; i < COUNT(own); i++) {
		const char *v = *string_at((struct index_meta *)(uintptr_t)m, own[i].offset);
		if (v)
			json_kv_cstr(&j, own[i].key, v);
	}
	if (m->goal)
		json_kv_raw(&j, "goal", span_of(m->goal));
	extra_write(&j, &m->extra);
	json_close(&j, '}');
	buf_addc(out, '\n');
}

void index_meta_release(struct index_meta *m)
{
	for (size_t i = 0; i < COUNT(strings); i++)
		free(*string_at(m, strings[i].offset));
	for (size_t i = 0; i < COUNT(own); i++)
		free(*string_at(m, own[i].offset));
	free(m->goal);
	extra_release(&m->extra);
	*m = (struct index_meta){0};
}

int index_meta_set(char **member, const char *text, struct err *err)
{
	char *copy = span_dup(span_of(text));
	if (!copy)
		return err_nomem(err);
	free(*member);
	*member = copy;
	return 0;
}
