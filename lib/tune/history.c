/* SPDX-License-Identifier: MIT */
/* The Trials of an index by build: what every proposal and every choice looks at. */
#include "tune/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"

/* Vectors and eval set by their digests, and the host of the timings. */
struct tune_group {
	struct digest vectors, eval;
	bool any_vectors, any_eval;
	uint64_t trials;
};

static struct digest digest_of_span(struct span s)
{
	return s.p ? digest_of(s.p, s.n) : (struct digest){0, 0};
}

static bool digests_same(struct digest a, struct digest b)
{
	return a.hi == b.hi && a.lo == b.lo;
}

/* The group number of these, which is added if it is new, after group 0; -1: no memory. */
static int group_of(struct tune_history *h, struct digest vectors, struct digest eval,
		    struct err *err)
{
	for (size_t i = h->n_groups; i-- > 1;)
		if (digests_same(h->group[i].vectors, vectors) && digests_same(h->group[i].eval, eval))
			return (int)i;
	struct tune_group *grown = mem_resize(h->group, h->n_groups + 1, sizeof *grown, err);
	if (!grown)
		return -1;
	h->group = grown;
	grown[h->n_groups] = (struct tune_group){.vectors = vectors, .eval = eval};
	return (int)h->n_groups++;
}

int tune_history_only(struct tune_history *h, const char *vectors_digest, const char *eval_digest,
		      struct err *err)
{
	struct tune_group *first = mem_zeroed(1, sizeof *first, err);
	if (!first)
		return -1;
	if (vectors_digest)
		first->vectors = digest_of_span(span_of(vectors_digest));
	if (eval_digest)
		first->eval = digest_of_span(span_of(eval_digest));
	first->any_vectors = !vectors_digest;
	first->any_eval = !eval_digest;
	h->group = first;
	h->n_groups = 1;
	return 0;
}

static bool is_wanted(const struct tune_history *h, int group)
{
	const struct tune_group *w = &h->group[0], *g = &h->group[group];
	return (w->any_vectors || digests_same(w->vectors, g->vectors)) &&
	       (w->any_eval || digests_same(w->eval, g->eval));
}

struct tune_build *tune_history_find(const struct tune_history *h, const struct config *c)
{
	for (size_t i = 0; i < h->n; i++)
		if (config_same_build(&h->build[i].config, c))
			return &h->build[i];
	return NULL;
}

/* Where the build is in the table, or would be. */
static size_t *slot_of(const struct tune_history *h, const struct config *c, int group)
{
	const uint32_t parts[] = {c->ef_construction, c->m, (uint32_t)c->storage, c->rung,
				  (uint32_t)group};
	uint64_t x = c->seed;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		x = (x ^ parts[i]) * 0x9E3779B97F4A7C15u;
		x ^= x >> 32;
	}
	size_t at = (size_t)x & (h->n_slots - 1);
	for (; h->slot[at]; at = (at + 1) & (h->n_slots - 1)) {
		const struct tune_build *b = &h->build[h->slot[at] - 1];
		if (b->group == group && config_same_build(&b->config, c))
			break;
	}
	return &h->slot[at];
}

/* Room for one more in the table. */
static int grow_slots(struct tune_history *h, struct err *err)
{
	if (2 * (h->n + 1) <= h->n_slots)
		return 0;
	size_t n = h->n_slots ? 2 * h->n_slots : 64;
	size_t *grown = mem_zeroed(n, sizeof *grown, err);
	if (!grown)
		return -1;
	free(h->slot);
	h->slot = grown;
	h->n_slots = n;
	for (size_t i = 0; i < h->n; i++)
		*slot_of(h, &h->build[i].config, h->build[i].group) = i + 1;
	return 0;
}

static struct tune_build *build_of(struct tune_history *h, const struct config *c, int group,
				   struct err *err)
{
	if (grow_slots(h, err) != 0)
		return NULL;
	size_t *slot = slot_of(h, c, group);
	if (*slot)
		return &h->build[*slot - 1];
	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 32;
		struct tune_build *grown = mem_resize(h->build, cap, sizeof *grown, err);
		if (!grown)
			return NULL;
		h->build = grown;
		h->cap = cap;
	}
	struct tune_build *b = &h->build[h->n++];
	*slot = h->n;
	*b = (struct tune_build){.config = *c, .group = group};
	return b;
}

/* The timing with ${ef}, which is added if it is new. */
static struct tune_timing *timing_of(struct tune_build *b, uint32_t ef, struct err *err)
{
	size_t at = 0;
	while (at < b->n && b->timing[at].ef < ef)
		at++;
	if (at < b->n && b->timing[at].ef == ef)
		return &b->timing[at];
	if (b->n == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 4;
		struct tune_timing *grown = mem_resize(b->timing, cap, sizeof *grown, err);
		if (!grown)
			return NULL;
		b->timing = grown;
		b->cap = cap;
	}
	memmove(b->timing + at + 1, b->timing + at, (b->n - at) * sizeof *b->timing);
	b->timing[at] = (struct tune_timing){.ef = ef};
	b->n++;
	return &b->timing[at];
}

/* A time of another host starts anew: only those of one can be compared. */
static void add_time(struct tune_timing *t, double us, struct digest host)
{
	if (!digests_same(t->host, host))
		t->count = 0;
	t->host = host;
	if (us > 0) {
		t->log_us = (t->log_us * t->count + log(us)) / (t->count + 1.0);
		t->count++;
	}
}

static int keep_line(struct tune_timing *at, struct span line, struct err *err)
{
	buf_clear(&at->line);
	buf_addspan(&at->line, line);
	return buf_ok(&at->line, err);
}

static int add_to_build(struct tune_history *h, struct tune_build *b, const struct trial *t,
			struct curve *curve, struct digest host, struct err *err)
{
	struct tune_timing *at = timing_of(b, t->config.ef_search, err);
	if (!at || (h->keep_lines && keep_line(at, t->line, err) != 0))
		return -1;
	add_time(at, t->metrics.search_latency_p50_us, host);
	at->recall = t->metrics.recall_at_k;
	at->lower = t->recall_lcb;
	at->at_target = t->at_target;
	at->target = t->target_recall;
	at->distances = t->distances_per_query;
	b->config.ef_search = t->config.ef_search;
	b->rows = t->metrics.vectors;
	b->queries = t->metrics.eval_queries;
	b->memory_bytes = (double)t->metrics.memory_bytes;
	/* 0: of an index file alone, which does not tell. */
	if (t->metrics.build_time_secs > 0)
		b->build_secs = t->metrics.build_time_secs;
	if (curve->n) {
		curve_release(&b->curve);
		b->curve = *curve;
		*curve = (struct curve){0};
	}
	return 0;
}

int tune_history_add(struct tune_history *h, const struct trial *t, struct err *err)
{
	struct curve curve = {0};
	struct err why;
	bool rung = t->config.rung != 0;
	propose_add_trial(&h->pairs, &t->config);
	if (trial_check_metrics(t, &why) != 0 || (t->curve.p && curve_parse(&curve, t->curve, &why) != 0)) {
		h->broken++;
		return why.code == ERR_ENV ? (*err = why, -1) : 0;
	}
	int ret = -1;
	if (!h->group && tune_history_only(h, NULL, NULL, err) != 0)
		goto out;
	int group = group_of(h, digest_of_span(rung ? t->whole_digest : t->vectors_digest),
			     digest_of_span(t->eval_digest), err);
	struct tune_build *b = group < 0 ? NULL : build_of(h, &t->config, group, err);
	struct digest host = digest_of_span(t->host);
	if (!b || add_to_build(h, b, t, &curve, host, err) != 0)
		goto out;
	h->group[group].trials++;
	h->host = host;
	if (is_wanted(h, group)) {
		h->chosen = group;
		if (!rung)
			h->rows = t->metrics.vectors;
	}
	ret = 0;
out:
	curve_release(&curve);
	return ret;
}

static void build_release(struct tune_build *b)
{
	curve_release(&b->curve);
	for (size_t i = 0; i < b->n; i++)
		buf_release(&b->timing[i].line);
	free(b->timing);
}

void tune_history_end(struct tune_history *h)
{
	size_t kept = 0;
	for (size_t i = 1; i < h->n_groups; i++)
		h->others += (int)i == h->chosen ? 0 : h->group[i].trials;
	for (size_t i = 0; i < h->n; i++) {
		struct tune_build b = h->build[i];
		if (b.group != h->chosen || !h->chosen) {
			build_release(&b);
			continue;
		}
		for (size_t j = 0; j < b.n; j++)
			if (!digests_same(b.timing[j].host, h->host))
				b.timing[j].count = 0;
		h->build[kept++] = b;
	}
	h->n = kept;
	free(h->slot);
	h->slot = NULL;
	h->n_slots = 0;
}

int tune_history_pending(struct tune_history *h, const struct config *c, struct err *err)
{
	propose_add_pending(&h->pairs, c);
	if (h->n_pending == h->pending_cap) {
		size_t cap = h->pending_cap ? 2 * h->pending_cap : 16;
		struct config *grown = mem_resize(h->pending, cap, sizeof *grown, err);
		if (!grown)
			return -1;
		h->pending = grown;
		h->pending_cap = cap;
	}
	h->pending[h->n_pending++] = *c;
	return 0;
}

void tune_history_forget(struct tune_history *h, const struct config *c)
{
	struct tune_build *b = tune_history_find(h, c);
	for (size_t i = 0; b && i < b->n; i++)
		if (b->timing[i].ef == c->ef_search) {
			buf_release(&b->timing[i].line);
			b->n--;
			memmove(b->timing + i, b->timing + i + 1, (b->n - i) * sizeof *b->timing);
			return;
		}
}

bool tune_history_has(const struct tune_history *h, const struct config *c)
{
	for (size_t i = 0; i < h->n_pending; i++)
		if (config_same_build(&h->pending[i], c))
			return true;
	return tune_history_find(h, c) != NULL;
}

bool tune_history_tried(const struct tune_history *h, const struct config *c)
{
	const struct tune_build *b = tune_history_find(h, c);
	for (size_t i = 0; i < h->n_pending; i++)
		if (config_same(&h->pending[i], c))
			return true;
	for (size_t i = 0; b && i < b->n; i++)
		if (b->timing[i].ef == c->ef_search)
			return true;
	return false;
}

void tune_history_release(struct tune_history *h)
{
	for (size_t i = 0; i < h->n; i++)
		build_release(&h->build[i]);
	free(h->build);
	free(h->pending);
	free(h->slot);
	free(h->group);
	*h = (struct tune_history)TUNE_HISTORY_INIT;
}
