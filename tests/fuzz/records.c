/* SPDX-License-Identifier: MIT */
/* JSON: the first byte is the kind of record, the rest is its text. */
#include "base/num.h"
#include "base/scan.h"
#include "record/build.h"
#include "record/evalset.h"
#include "record/meta.h"
#include "record/promotion.h"
#include "record/trial.h"
#include "tests/fuzz/fuzz.h"

static void trial(struct span text)
{
	struct err err;
	struct trial t;
	if (trial_parse(&t, text, &err) == 0)
		MUST(t.id.p >= text.p && t.id.p + t.id.n <= text.p + text.n);
}

static void config(struct span text)
{
	struct err err;
	struct config c;
	if (config_parse(text, &c, &err) == 0)
		(void)!config_check_bounds(&c, &err);
}

static void build(struct span text)
{
	struct err err;
	struct build_record r;
	if (build_record_parse(&r, text, &err) == 0)
		build_record_release(&r);
}

/* What was written is read, and written the same again. */
#define FIXPOINT(name, parse, write, release)                       \
	static void name(struct span text)                          \
	{                                                           \
		struct err err;                                     \
		struct name r;                                      \
		struct buf once = BUF_INIT, twice = BUF_INIT;       \
		if (parse(&r, text, &err) != 0)                     \
			return;                                     \
		write(&once, &r);                                   \
		release(&r);                                        \
		MUST(parse(&r, buf_span(&once), &err) == 0);        \
		write(&twice, &r);                                  \
		release(&r);                                        \
		MUST(span_same(buf_span(&once), buf_span(&twice))); \
		buf_release(&once);                                 \
		buf_release(&twice);                                \
	}
FIXPOINT(evalset, evalset_parse, evalset_write, evalset_release)
FIXPOINT(promotion, promotion_parse, promotion_write, promotion_release)
FIXPOINT(index_meta, index_meta_parse, index_meta_write, index_meta_release)

/* Any JSON: every string, decoded and quoted again, says the same. */
static void value(struct scan *s, int depth)
{
	struct span raw, key;
	double v;
	bool b;
	switch (scan_peek(s)) {
	case '{':
		if (depth < 100 && scan_object(s)) {
			while (scan_member(s, &key))
				value(s, depth + 1);
			return;
		}
		break;
	case '[':
		if (depth < 100 && scan_array(s)) {
			while (scan_item(s))
				value(s, depth + 1);
			return;
		}
		break;
	case '"':
		if (scan_string(s, &raw)) {
			struct buf plain = BUF_INIT, quoted = BUF_INIT;
			scan_decode(raw, &plain);
			scan_quote(&quoted, buf_span(&plain));
			struct span inside = {quoted.data + 1, quoted.len - 2};
			MUST(scan_text_is(inside, buf_span(&plain)));
			buf_release(&plain);
			buf_release(&quoted);
		}
		return;
	case '0':
		if (scan_f64(s, &v)) {
			char shown[NUM_TEXT_MAX];
			double again;
			size_t n = num_format_f64(shown, v);
			MUST(n < NUM_TEXT_MAX);
			shown[n] = 0;
			again = strtod(shown, NULL);
			MUST(again == v);
		}
		return;
	case 't':
	case 'f':
		scan_bool(s, &b);
		return;
	default:
		break;
	}
	scan_skip(s, NULL);
}

static void any(struct span text)
{
	struct scan s;
	scan_init(&s, text);
	value(&s, 0);
	if (!scan_end(&s))
		MUST(scan_column(&s) >= 1 && scan_column(&s) <= text.n + 1);
}

/* A number alone means what it means in C. */
static void number(struct span text)
{
	char copy[512 + NUM_PADDING] = {0};
	double v;
	if (text.n > 512)
		return;
	memcpy(copy, text.p, text.n);
	const char *end = num_json_f64(copy, &v);
	if (!end)
		return;
	char *stop;
	double want = strtod(copy, &stop);
	/* strtod also takes hexadecimal numbers and the like, after what JSON takes. */
	if (stop == end)
		MUST(memcmp(&want, &v, sizeof v) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct span) = {trial,  evalset, promotion, index_meta,
						     config, build,   any,	 number};
	if (size == 0)
		return 0;
	struct span text = {(const char *)data + 1, size - 1};
	kinds[data[0] % (sizeof kinds / sizeof kinds[0])](text);
	return 0;
}
