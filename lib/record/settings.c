/* SPDX-License-Identifier: MIT */
/* A config as the settings of another engine: clamp to its bounds, fill in its text. */
#include "record/settings.h"

#include <inttypes.h>
#include <string.h>

struct bounds {
	uint32_t min, max; /* max 0: none */
};

static const struct engine {
	const char *name;
	const char *comment; /* what begins a comment */
	struct bounds m, ef_construction, ef_search;
	uint32_t ef_construction_ms; /* ef_construction is at least so many m; 0: any */
	uint32_t ef_search_ks;	     /* ef_search is at least so many k; 0: one */
	bool m_must_fit;	     /* another m means another index */
	bool seed;		     /* it can be told the seed */
	const char *metric[VEC_METRICS];
	const char *text, *notes;
	const char *lacks; /* why it cannot be told anything */
} engines[] = {
#define ENGINE(name_, ...) {.name = name_, __VA_ARGS__},
#include "record/settings_engines.inc"
#undef ENGINE
};

const char *const settings_engines[] = {
#define ENGINE(name_, ...) name_,
#include "record/settings_engines.inc"
#undef ENGINE
    NULL,
};

/* The value that fits, with a comment if it is not the one asked for. */
static uint32_t clamp(struct buf *out, const struct engine *e, const char *knob, uint32_t value,
		      struct bounds b)
{
	uint32_t fits = value < b.min ? b.min : b.max && value > b.max ? b.max : value;
	if (fits < value)
		buf_addf(out, "%s%s = %u was measured; %s takes %u at most.\n", e->comment, knob,
			 value, e->name, b.max);
	else if (fits > value)
		buf_addf(out, "%s%s = %u was measured; %u is the least here.\n", e->comment, knob,
			 value, b.min);
	return fits;
}

static uint32_t greater(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* All knobs within the engine's bounds. */
static struct settings fit(struct buf *out, const struct engine *e, const struct settings *s)
{
	struct settings f = *s;
	struct bounds ec = e->ef_construction, es = e->ef_search;
	f.config.m = clamp(out, e, "m", s->config.m, e->m);
	ec.min = greater(ec.min, e->ef_construction_ms * f.config.m);
	es.min = greater(es.min, greater(e->ef_search_ks, 1) * s->k);
	f.config.ef_construction = clamp(out, e, "ef_construction", s->config.ef_construction, ec);
	f.config.ef_search = clamp(out, e, "ef_search", s->config.ef_search, es);
	return f;
}

static void add_value(struct buf *out, const struct engine *e, const struct settings *s,
		      struct span name)
{
	const struct config *c = &s->config;
	if (span_is(name, "metric"))
		buf_adds(out, e->metric[s->metric]);
	else if (span_is(name, "dimensions") && s->dimensions == 0)
		buf_adds(out, "DIMENSIONS");
	else
		buf_addf(out, "%" PRIu64,
			 span_is(name, "m")		    ? c->m
			 : span_is(name, "2m")		    ? 2 * (uint64_t)c->m
			 : span_is(name, "ef_construction") ? c->ef_construction
			 : span_is(name, "ef_search")	    ? c->ef_search
			 : span_is(name, "beyond_k")	    ? c->ef_search - s->k
			 : span_is(name, "k")		    ? s->k
			 : span_is(name, "seed")	    ? c->seed
							    : s->dimensions);
}

/* ${text} with what stands between two @ filled in, each line after ${before}. */
static void fill_in(struct buf *out, const struct engine *e, const struct settings *s,
		    const char *text, const char *before)
{
	bool begins = true;
	for (const char *p = text; *p; p++) {
		if (begins)
			buf_adds(out, before);
		begins = *p == '\n';
		if (*p != '@') {
			buf_addc(out, *p);
			continue;
		}
		const char *name = p + 1;
		p = strchr(name, '@');
		add_value(out, e, s, (struct span){name, (size_t)(p - name)});
	}
}

int settings_write(struct buf *out, int engine, const struct settings *s, struct err *err)
{
	const struct engine *e = &engines[engine];
	if (e->lacks)
		return err_set(err, ERR_NO, "no settings for %s: %s", e->name, e->lacks);
	if (!e->metric[s->metric])
		return err_set(err, ERR_NO, "no settings for %s: it has no metric %s", e->name,
			       vec_metric_name(s->metric));
	if (e->m_must_fit && (s->config.m < e->m.min || s->config.m > e->m.max))
		return err_set(err, ERR_NO,
			       "no settings for %s: m is %u, expected %u..%u; tune within "
			       "--space 'm=%u:%u'",
			       e->name, s->config.m, e->m.min, e->m.max, e->m.min, e->m.max);
	buf_addf(out, "%sRecall was measured with hnsw-tools' own index: measure again with %s.\n",
		 e->comment, e->name);
	struct settings f = fit(out, e, s);
	fill_in(out, e, &f, e->notes, e->comment);
	fill_in(out, e, &f, e->text, "");
	return buf_ok(out, err);
}
