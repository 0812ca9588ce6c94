/* SPDX-License-Identifier: MIT */
#include "json/write.h"

#include <math.h>

#include "base/num.h"
#include "base/scan.h"

static void separate(struct json_out *j)
{
	if (j->comma)
		buf_addc(j->b, ',');
	j->comma = true;
}

void json_open(struct json_out *j, char bracket)
{
	separate(j);
	buf_addc(j->b, bracket);
	j->comma = false;
}

void json_close(struct json_out *j, char bracket)
{
	buf_addc(j->b, bracket);
	j->comma = true;
}

void json_key(struct json_out *j, const char *key)
{
	separate(j);
	scan_quote(j->b, span_of(key));
	buf_addc(j->b, ':');
	j->comma = false;
}

void json_raw(struct json_out *j, struct span json)
{
	separate(j);
	buf_addspan(j->b, json);
}

void json_null(struct json_out *j)
{
	json_raw(j, span_of("null"));
}

void json_bool(struct json_out *j, bool v)
{
	json_raw(j, span_of(v ? "true" : "false"));
}

void json_u64(struct json_out *j, uint64_t v)
{
	separate(j);
	buf_addf(j->b, "%llu", (unsigned long long)v);
}

void json_f64(struct json_out *j, double v)
{
	char text[NUM_TEXT_MAX];
	if (!isfinite(v)) {
		json_null(j);
		return;
	}
	size_t n = num_format_f64(text, v);
	json_raw(j, (struct span){text, n});
}

void json_f32(struct json_out *j, float v)
{
	char text[NUM_TEXT_MAX];
	if (!isfinite(v)) {
		json_null(j);
		return;
	}
	size_t n = num_format_f32(text, v);
	json_raw(j, (struct span){text, n});
}

void json_str(struct json_out *j, struct span text)
{
	separate(j);
	scan_quote(j->b, text);
}

void json_kv_u64(struct json_out *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_u64(j, v);
}

void json_kv_f64(struct json_out *j, const char *key, double v)
{
	json_key(j, key);
	json_f64(j, v);
}

void json_kv_str(struct json_out *j, const char *key, struct span text)
{
	json_key(j, key);
	json_str(j, text);
}

void json_kv_cstr(struct json_out *j, const char *key, const char *text)
{
	json_kv_str(j, key, span_of(text));
}

void json_kv_raw(struct json_out *j, const char *key, struct span json)
{
	json_key(j, key);
	json_raw(j, json);
}
