/* SPDX-License-Identifier: MIT */
#ifndef JSON_WRITE_H
#define JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Build compact JSON in a buffer.  The caller opens and closes in order; commas are put
 * in by themselves.  Does not check that a key is not repeated.
 */
struct json_out {
	struct buf *b;
	bool comma;
};

void json_open(struct json_out *j, char bracket);  /* '{' or '[' */
void json_close(struct json_out *j, char bracket); /* '}' or ']' */
void json_key(struct json_out *j, const char *key);

void json_null(struct json_out *j);
void json_bool(struct json_out *j, bool v);
void json_u64(struct json_out *j, uint64_t v);
void json_f64(struct json_out *j, double v); /* finite; else null */
void json_f32(struct json_out *j, float v);  /* the shortest text that reads back the same */
void json_str(struct json_out *j, struct span text);
void json_raw(struct json_out *j, struct span json); /* a value that is JSON already */

/* key and value */
void json_kv_u64(struct json_out *j, const char *key, uint64_t v);
void json_kv_f64(struct json_out *j, const char *key, double v);
void json_kv_str(struct json_out *j, const char *key, struct span text);
void json_kv_cstr(struct json_out *j, const char *key, const char *text);
void json_kv_raw(struct json_out *j, const char *key, struct span json);

#endif
