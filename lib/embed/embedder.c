/* SPDX-License-Identifier: MIT */
#include "embed/embedder.h"

#include <string.h>

#include "base/num.h"
#include "base/scan.h"
#include "embed/hash.h"

int embedder_init(struct embedder *e, const char *spec, uint32_t dim, struct err *err)
{
	uint64_t v = dim ? dim : EMBED_HASH_DIM;
	if (strncmp(spec, "hash", 4) != 0 || (spec[4] && spec[4] != ':'))
		return err_set(err, ERR_USAGE, "unknown embedder '%s', expected hash or hash:DIM",
			       spec);
	if (spec[4] && num_u64(span_of(spec + 5), 1, EMBED_HASH_MAX_DIM, &v) != 0)
		return err_set(err, ERR_USAGE, "bad dimension '%s' of the embedder, expected 1..%d",
			       spec + 5, EMBED_HASH_MAX_DIM);
	e->dim = (uint32_t)v;
	return 0;
}

int embedder_run(const struct embedder *e, struct span text, float *out, struct err *err)
{
	return embed_hash(text, out, e->dim, err);
}

int text_line_parse(struct text_line *t, struct span line, struct err *err)
{
	struct scan s;
	struct span key, raw;
	bool text = false;
	buf_clear(&t->id);
	buf_clear(&t->text);
	t->has_id = false;
	scan_init(&s, line);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "id")) {
				t->has_id = true;
				if (scan_peek(&s) == '"' && scan_string(&s, &raw))
					scan_decode(raw, &t->id);
				else if (scan_peek(&s) == '0' && scan_skip(&s, &raw))
					buf_addspan(&t->id, raw);
				else
					scan_fail(&s, "expected a string or a number as id");
			} else if (span_is(key, "text")) {
				text = scan_string(&s, &raw);
				if (text)
					scan_decode(raw, &t->text);
			} else {
				scan_skip(&s, NULL);
			}
		}
	if (!scan_end(&s))
		return scan_err(&s, err);
	if (!text)
		return err_set(err, ERR_DATA, "has no key 'text'");
	return buf_ok(&t->id, err) == 0 ? buf_ok(&t->text, err) : -1;
}

void text_line_release(struct text_line *t)
{
	buf_release(&t->id);
	buf_release(&t->text);
}
