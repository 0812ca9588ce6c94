/* SPDX-License-Identifier: MIT */
/*
 * Small grammars, in records and on command lines: times, numbers, names of rules and metrics,
 * spaces of configs, embedders and URLs; curves, configs and Trials as proposers read them.  The
 * first byte is the kind, the rest is the text.
 */
#include <math.h>

#include "base/clock.h"
#include "base/num.h"
#include "embed/embedder.h"
#include "embed/remote.h"
#include "json/filter.h"
#include "record/build.h"
#include "record/trial.h"
#include "tests/fuzz/fuzz.h"
#include "tune/best.h"
#include "tune/goal.h"
#include "tune/history.h"

/* A time that was read is written as the same time. */
static void when(struct span text)
{
	char shown[CLOCK_TEXT_MAX];
	uint64_t us, again;
	if (clock_parse(text, &us) != 0)
		return;
	clock_format(us, shown);
	MUST(clock_parse(span_of(shown), &again) == 0 && again == us);
}

/* Numbers of options mean what they mean in C. */
static void number(struct span text)
{
	char copy[64];
	uint64_t u;
	double v;
	if (text.n >= sizeof copy)
		return;
	memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	if (num_u64(text, 5, 1000000, &u) == 0)
		MUST(u >= 5 && u <= 1000000 && u == strtoull(copy, NULL, 10));
	if (num_f64(text, -1e6, 1e6, &v) == 0)
		MUST(v >= -1e6 && v <= 1e6 && v == strtod(copy, NULL));
}

static void check_range(struct tune_range is, struct tune_range widest)
{
	MUST(is.min <= is.max && is.min >= widest.min && is.max <= widest.max);
}

/* A space is not empty, nor wider than can be; one that is refused changes nothing. */
static void space(struct span text)
{
	struct tune_space s = tune_space_default, before = s;
	struct err err;
	if (tune_space_parse(text, &s, &err) != 0)
		MUST(memcmp(&s, &before, sizeof s) == 0);
	check_range(s.m, tune_space_widest.m);
	check_range(s.ec, tune_space_widest.ec);
	check_range(s.es, tune_space_widest.es);
	MUST(s.storages != 0);
	struct tune_goal g = TUNE_GOAL_DEFAULT;
	g.space = s;
	MUST(tune_goal_check(&g, &err) == 0);
}

static void name(struct span text)
{
	enum best_rule rule;
	enum vec_metric metric;
	(void)!best_rule_parse(text, &rule);
	(void)!vec_metric_parse(text, &metric);
}

/* Written and read, a curve is the same, and it can be asked anywhere. */
static void curve(struct span text)
{
	struct curve c;
	struct err err;
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct json_out a = {.b = &once}, b = {.b = &twice};
	if (curve_parse(&c, text, &err) != 0)
		return;
	for (uint32_t ef = 1; ef < 2000; ef += 97) {
		struct curve_point p = curve_at(&c, ef);
		MUST(p.recall >= 0 && p.recall <= 1);
	}
	curve_write(&a, &c);
	curve_release(&c);
	MUST(curve_parse(&c, buf_span(&once), &err) == 0);
	curve_write(&b, &c);
	curve_release(&c);
	MUST(span_same(buf_span(&once), buf_span(&twice)));
	buf_release(&once);
	buf_release(&twice);
}

static void config(struct span text)
{
	struct config c, again;
	struct err err;
	struct buf b = BUF_INIT;
	struct json_out j = {.b = &b};
	if (config_parse(text, &c, &err) != 0)
		return;
	config_write(&j, &c);
	MUST(config_parse(buf_span(&b), &again, &err) == 0 && config_same(&c, &again));
	buf_release(&b);
}

/* What is proposed after these Trials, a line each, is within the space, or nothing is. */
static void history(struct span text)
{
	struct tune_history h = TUNE_HISTORY_INIT;
	struct err err;
	struct trial t;
	for (size_t at = 0; at < text.n;) {
		const char *end = memchr(text.p + at, '\n', text.n - at);
		size_t n = end ? (size_t)(end - text.p) - at : text.n - at;
		if (trial_parse(&t, (struct span){text.p + at, n}, &err) == 0) {
			(void)!trial_check_metrics(&t, &err);
			(void)!trial_check_strict(&t, &err);
			(void)trial_recall_lower(&t);
			(void)trial_id_stamp(t.id);
			if (tune_history_add(&h, &t, &err) != 0)
				break;
		}
		at += n + 1;
	}
	tune_history_end(&h);
	for (size_t i = 0; i < h.n; i++)
		MUST(tune_history_find(&h, &h.build[i].config) != NULL);
	tune_history_release(&h);
}

/* Half an embedder, half its URL. */
static void embedder(struct span text)
{
	const char *zero = memchr(text.p, 0, text.n);
	size_t n = zero ? (size_t)(zero - text.p) : text.n;
	char *spec = span_dup((struct span){text.p, n});
	char *url = span_dup(zero ? (struct span){zero + 1, text.n - n - 1} : (struct span){"", 0});
	MUST(spec && url);
	struct embed_options o = EMBED_OPTIONS_INIT;
	struct embed_setup setup = {.options = &o, .hnsw_key = "k"};
	struct err err;
	o.embedder = spec;
	o.no_cache = true;
	if (zero) {
		o.model = "m";
		o.url = url;
	}
	struct embedder *e = embedder_new(&setup, &err);
	struct embedding about = {0};
	if (e && embedder_about(e, &about, &err) == 0) {
		struct buf b = BUF_INIT;
		struct embedding again;
		embedding_write(&b, &about);
		MUST(embedding_parse(&again, buf_span(&b), &err) == 0);
		MUST(embedding_check(&about, &again, "x", &err) == 0);
		embedding_release(&again);
		buf_release(&b);
	} else {
		MUST(err.code == ERR_USAGE || err.code == ERR_DATA);
	}
	embedding_release(&about);
	embedder_free(e);
	free(spec);
	free(url);
}

static int take_number(void *ctx, struct span record, double value, const char *why, struct err *err)
{
	(void)err;
	(void)record;
	MUST(why || isfinite(value));
	++*(int *)ctx;
	return 0;
}

/* Of every record there is a number, or why there is none. */
static void filtered(struct span text)
{
	static struct json_filter *f;
	static int taken, given;
	struct err err;
	if (!f) {
		f = json_filter_new(".", take_number, &taken, &err);
		MUST(f);
	}
	given++;
	if (json_filter_add(f, text, &err) == 0 && json_filter_finish(f, &err) == 0) {
		MUST(taken == given);
		return;
	}
	/* Too much for it: another one. */
	json_filter_free(f);
	f = NULL;
	taken = given = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct span) = {when,   number,  space,	name,	  curve,
						     config, history, embedder, filtered};
	if (size == 0)
		return 0;
	/* Texts are followed by bytes that may be read. */
	char *copy = calloc(size + 64, 1);
	MUST(copy);
	memcpy(copy, data + 1, size - 1);
	kinds[data[0] % (sizeof kinds / sizeof kinds[0])]((struct span){copy, size - 1});
	free(copy);
	return 0;
}
