/* SPDX-License-Identifier: MIT */
/* The curve of a build: recall and distances by ef_search, as a Trial carries it. */
#include "record/curve.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "hnsw/hnsw.h"

#define STEPS 12 /* a factor of e has about so many widths */

static const struct {
	const char *name;
	size_t offset;
	double max, unit; /* unit: what it is rounded to when written */
} lists[] = {
    {"recall_at_k", offsetof(struct curve_point, recall), 1, 1e-6},
    {"recall_lcb", offsetof(struct curve_point, lower), 1, 1e-6},
    {"queries_at_target", offsetof(struct curve_point, at_target), 1, 1e-6},
    {"distances_per_query", offsetof(struct curve_point, distances), 1e15, 1e-2},
};

#define N_LISTS (sizeof lists / sizeof lists[0])

size_t curve_widths(uint32_t lo, uint32_t hi, uint32_t out[static CURVE_POINTS_MAX])
{
	size_t n = 0;
	for (uint64_t ef = lo; ef < hi && n + 1 < CURVE_POINTS_MAX;
	     ef += ef / STEPS ? ef / STEPS : 1)
		out[n++] = (uint32_t)ef;
	out[n++] = hi;
	return n;
}

static double *member(struct curve_point *p, size_t list)
{
	return (double *)(void *)((char *)p + lists[list].offset);
}

/* Room for the points that the first list has; the others must have as many. */
static bool scan_list(struct scan *s, struct curve *c, size_t list, size_t *count)
{
	size_t n = 0;
	double v;
	if (!scan_array(s))
		return false;
	while (scan_item(s)) {
		if (!scan_f64(s, &v))
			return false;
		if (n == CURVE_POINTS_MAX) {
			scan_fail(s, "too many points of a curve");
			return false;
		}
		if (list == N_LISTS ? v < 1 || v > HNSW_MAX_EF || v != floor(v)
				    : v < 0 || v > lists[list].max) {
			scan_fail(s, "a value of the curve is out of range");
			return false;
		}
		if (list == N_LISTS)
			c->point[n++].ef = (uint32_t)v;
		else
			*member(&c->point[n++], list) = v;
	}
	*count = n;
	return !scan_failed(s);
}

static void scan_lists(struct scan *s, struct curve *c, size_t count[static N_LISTS + 1])
{
	struct span key;
	if (!scan_object(s))
		return;
	while (scan_member(s, &key)) {
		size_t i = 0;
		while (i < N_LISTS && !span_is(key, lists[i].name))
			i++;
		if (i < N_LISTS || span_is(key, "ef_search"))
			scan_list(s, c, i, &count[i]);
		else if (span_is(key, "confidence"))
			scan_f64(s, &c->confidence);
		else if (span_is(key, "target_recall"))
			scan_f64(s, &c->target);
		else
			scan_skip(s, NULL);
	}
}

static void check_lists(struct scan *s, struct curve *c, const size_t count[static N_LISTS + 1])
{
	c->n = count[N_LISTS];
	for (size_t i = 0; i < N_LISTS && !scan_failed(s); i++)
		if (count[i] != c->n)
			scan_fail(s, "the lists of the curve differ in length");
	for (size_t i = 1; i < c->n && !scan_failed(s); i++)
		if (c->point[i].ef <= c->point[i - 1].ef)
			scan_fail(s, "ef_search of the curve does not increase");
	if (!scan_failed(s) && c->n == 0)
		scan_fail(s, "the curve has no points");
}

int curve_parse(struct curve *c, struct span json, struct err *err)
{
	struct scan s;
	size_t count[N_LISTS + 1] = {0};
	*c = (struct curve){.confidence = 0.99, .target = NAN};
	c->point = mem_zeroed(CURVE_POINTS_MAX, sizeof *c->point, err);
	if (!c->point)
		return -1;
	scan_init(&s, json);
	scan_lists(&s, c, count);
	if (!scan_failed(&s))
		check_lists(&s, c, count);
	if (!scan_end(&s)) {
		curve_release(c);
		return scan_err(&s, err);
	}
	struct curve_point *fitting = realloc(c->point, c->n * sizeof *c->point);
	c->point = fitting ? fitting : c->point;
	return 0;
}

void curve_write(struct json_out *j, const struct curve *c)
{
	json_open(j, '{');
	json_kv_f64(j, "confidence", c->confidence);
	json_kv_f64(j, "target_recall", c->target);
	json_key(j, "ef_search");
	json_open(j, '[');
	for (size_t i = 0; i < c->n; i++)
		json_u64(j, c->point[i].ef);
	json_close(j, ']');
	for (size_t l = 0; l < N_LISTS; l++) {
		json_key(j, lists[l].name);
		json_open(j, '[');
		for (size_t i = 0; i < c->n; i++) {
			double scale = 1 / lists[l].unit;
			json_f64(j, round(*member(&c->point[i], l) * scale) / scale);
		}
		json_close(j, ']');
	}
	json_close(j, '}');
}

void curve_release(struct curve *c)
{
	free(c->point);
	*c = (struct curve){0};
}

struct curve_point curve_at(const struct curve *c, uint32_t ef)
{
	size_t i = 1;
	while (i < c->n && c->point[i].ef < ef)
		i++;
	if (i >= c->n || ef <= c->point[0].ef) {
		struct curve_point end = c->point[ef <= c->point[0].ef ? 0 : c->n - 1];
		end.ef = ef;
		return end;
	}
	struct curve_point a = c->point[i - 1], b = c->point[i], p = {.ef = ef};
	double t = (double)(ef - a.ef) / (double)(b.ef - a.ef);
	for (size_t l = 0; l < N_LISTS; l++)
		*member(&p, l) = *member(&a, l) + t * (*member(&b, l) - *member(&a, l));
	return p;
}
