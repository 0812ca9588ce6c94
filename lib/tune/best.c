/* SPDX-License-Identifier: MIT */
#include "tune/best.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define TIE 1e-4f

static const char *const rules[BEST_RULES] = {
    [BEST_RECALL] = "recall",
    [BEST_LATENCY] = "latency",
    [BEST_PARETO] = "pareto",
    [BEST_WINNER] = "winner",
};

const char best_rule_names[] = "recall, latency, pareto, winner, frontier";

int best_rule_parse(struct span name, enum best_rule *out)
{
	for (int i = 0; i < BEST_RULES; i++)
		if (span_is(name, rules[i])) {
			*out = (enum best_rule)i;
			return 0;
		}
	return -1;
}

struct best_candidate {
	float recall, p50, build;
	char *line;
	size_t len;
};

void best_init(struct best *b, enum best_rule rule)
{
	*b = (struct best){.rule = rule};
}

void best_release(struct best *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->candidate[i].line);
	free(b->candidate);
	buf_release(&b->line);
	*b = (struct best){0};
}

static float score(enum best_rule rule, const struct metrics *m)
{
	float recall = (float)m->recall_at_k, p95 = (float)m->search_latency_p95_us;
	switch (rule) {
	case BEST_LATENCY:
		return -p95;
	case BEST_PARETO:
		return recall - 0.2f * fminf(p95 / 1000.0f, 1.0f);
	default:
		return recall;
	}
}

static int keep_line(struct best *b, struct span line, struct err *err)
{
	buf_clear(&b->line);
	buf_addspan(&b->line, line);
	b->any = true;
	return buf_ok(&b->line, err);
}

/* Whether ${a} wins over ${b} where their recalls are equal; else who came first does. */
static bool cheaper(const struct best_candidate *a, const struct best_candidate *b)
{
	return a->p50 < b->p50 || (a->p50 == b->p50 && a->build < b->build);
}

/* Drop what the new one rules out: recall too low, or no more recall and not cheaper. */
static void prune(struct best *b, const struct best_candidate *new)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->count; i++) {
		const struct best_candidate *c = &b->candidate[i];
		if (b->score - c->recall < TIE && (c->recall > new->recall || !cheaper(new, c)))
			b->candidate[kept++] = *c;
		else
			free(c->line);
	}
	b->count = kept;
}

/*
 * Keep what is within the tie of the greatest recall so far and may still win when that
 * grows: one that has no more recall than another and is not cheaper cannot.
 */
static int add_candidate(struct best *b, const struct trial *t, float recall, struct err *err)
{
	struct best_candidate new = {.recall = recall,
				     .p50 = (float)t->metrics.search_latency_p50_us,
				     .build = (float)t->metrics.build_time_secs,
				     .len = t->line.n};
	if (b->count && b->score - recall >= TIE)
		return 0;
	for (size_t i = 0; i < b->count; i++)
		if (b->candidate[i].recall >= recall && !cheaper(&new, &b->candidate[i]))
			return 0;
	if (!b->count || recall > b->score)
		b->score = recall;
	prune(b, &new);
	if (b->count == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 16;
		struct best_candidate *grown = mem_resize(b->candidate, cap, sizeof *grown, err);
		if (!grown)
			return -1;
		b->candidate = grown;
		b->cap = cap;
	}
	new.line = span_dup(t->line);
	if (!new.line)
		return err_nomem(err);
	b->candidate[b->count++] = new;
	return 0;
}

int best_consider(struct best *b, const struct trial *t, struct err *err)
{
	float s = score(b->rule, &t->metrics);
	if (b->rule == BEST_WINNER)
		return add_candidate(b, t, s, err);
	bool latest = b->rule != BEST_LATENCY;
	if (b->any && !(latest ? s >= b->score : s > b->score))
		return 0;
	b->score = s;
	return keep_line(b, t->line, err);
}

int best_end(struct best *b, struct err *err)
{
	const struct best_candidate *w = NULL;
	if (b->rule != BEST_WINNER)
		return 0;
	for (size_t i = 0; i < b->count; i++) {
		const struct best_candidate *c = &b->candidate[i];
		if (!w || c->p50 < w->p50 || (c->p50 == w->p50 && c->build < w->build))
			w = c;
	}
	return w ? keep_line(b, (struct span){w->line, w->len}, err) : 0;
}

/* ---- frontier ---- */

/* Index of the first point with less recall than ${recall}. */
static size_t below(const struct frontier *f, float recall)
{
	size_t lo = 0, hi = f->count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (f->point[mid].recall >= recall)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool dominates(const struct frontier_point *a, float recall, float p50)
{
	return a->recall >= recall && a->p50 <= p50 && (a->recall > recall || a->p50 < p50);
}

int frontier_consider(struct frontier *f, const struct trial *t, struct err *err)
{
	struct frontier_point p = {.recall = (float)t->metrics.recall_at_k,
				   .p50 = (float)t->metrics.search_latency_p50_us,
				   .len = t->line.n,
				   .id = digest_of(t->id.p, t->id.n)};
	size_t at = below(f, p.recall), end = at, start = at;
	/* Of those with at least this recall the last is the fastest. */
	if (at && dominates(&f->point[at - 1], p.recall, p.p50))
		return 0;
	/* Equals stand right before; the same Trial may come twice. */
	for (size_t i = at; i-- > 0 && f->point[i].recall == p.recall;) {
		if (f->point[i].id.hi == p.id.hi && f->point[i].id.lo == p.id.lo)
			return 0;
		if (f->point[i].p50 > p.p50)
			start = i;
	}
	while (end < f->count && f->point[end].p50 >= p.p50)
		end++;
	p.line = span_dup(t->line);
	if (!p.line)
		return err_nomem(err);
	for (size_t i = start; i < end; i++)
		free(f->point[i].line);
	if (start == end && f->count == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		struct frontier_point *grown = mem_resize(f->point, cap, sizeof *grown, err);
		if (!grown) {
			free(p.line);
			return -1;
		}
		f->point = grown;
		f->cap = cap;
	}
	memmove(f->point + start + 1, f->point + end, (f->count - end) * sizeof *f->point);
	f->count = f->count - (end - start) + 1;
	f->point[start] = p;
	return 0;
}

void frontier_release(struct frontier *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->point[i].line);
	free(f->point);
	*f = (struct frontier)FRONTIER_INIT;
}
