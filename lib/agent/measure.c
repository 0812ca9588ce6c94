/* SPDX-License-Identifier: MIT */
/* Building and measuring, by the programs that a person would use. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cycle_internal.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "catalog/operand.h"
#include "record/build.h"
#include "tune/decide.h"

struct cycle_command cycle_command(const struct cycle *c, const char *program)
{
	return (struct cycle_command){{program, "-q", "-S", c->agent->store_url}, 4};
}

void cycle_add(struct cycle_command *w, const char *word)
{
	w->word[w->n++] = word;
}

/* ${option} with what it says, written to ${text}. */
static void add_number(struct cycle_command *w, const char *option, double v, char text[static 32])
{
	text[num_format_f64(text, v)] = 0;
	cycle_add(w, option);
	cycle_add(w, text);
}

void cycle_add_goal(struct cycle *c, struct cycle_command *w)
{
	const struct tune_goal *g = &c->goal;
	const struct {
		const char *option;
		double max;
	} limits[] = {{"--max-memory", g->max_memory},
		      {"--max-build", g->max_build},
		      {"--max-latency", g->max_latency}};
	if (!c->by_goal)
		return;
	add_number(w, "--target-recall", g->target_recall, c->goal_text[0]);
	add_number(w, "--target-queries", g->target_queries, c->goal_text[1]);
	add_number(w, "--confidence", g->confidence, c->goal_text[2]);
	cycle_add(w, "--minimise");
	cycle_add(w, tune_cost_names[g->minimise]);
	for (size_t i = 0; i < 3; i++)
		if (limits[i].max > 0)
			add_number(w, limits[i].option, limits[i].max, c->goal_text[3 + i]);
}

int cycle_run(struct cycle *c, const struct cycle_command *w, struct span in, struct buf *out,
	      struct err *err)
{
	return c->agent->run(c->agent->ctx, w->word, in, out, err);
}

/* For what is not overhead. */
static int run_timed(struct cycle *c, const struct cycle_command *w, struct span in,
		     struct buf *out, struct err *err)
{
	uint64_t start = clock_mono_ns();
	int ret = cycle_run(c, w, in, out, err);
	c->agent->work_ns += clock_mono_ns() - start;
	return ret;
}

/* ---- the vectors ---- */

static int write_vectors(const struct vec_set *set, const char *path, struct err *err)
{
	struct vec_write how = {.format = VEC_HVEC, .type = vec_set_type(set)};
	struct io_file f;
	if (io_file_open(&f, path, err) != 0)
		return -1;
	int ret = vec_set_write(set, &how, NULL, 0, set->rows, f.fd, path, err);
	if (ret == 0)
		ret = io_file_commit(&f, IO_REPLACE, err);
	io_file_release(&f);
	return ret;
}

static int open_vectors(struct cycle *c, struct vec_set *set, struct index_meta *m, struct err *err)
{
	struct catalog *catalog = c->agent->catalog;
	struct operands operands = {.store_url = c->agent->store_url,
				    .warn = catalog->warn,
				    .catalog = *catalog,
				    .open = true};
	const char *index = c->event->index_name;
	return operand_vectors(&operands, &index, 1, VEC_BY_SUFFIX, set, m, err);
}

int cycle_survey(struct cycle *c, uint64_t *rows, char digest[static DIGEST_TEXT_MAX],
		 struct err *err)
{
	struct vec_set set;
	struct index_meta m;
	struct digest d;
	if (open_vectors(c, &set, &m, err) != 0)
		return -1;
	struct par *par = par_new(1, err);
	int ret = par ? vec_set_digest(&set, par, &d, err) : -1;
	if (ret == 0) {
		digest_text(d, digest);
		*rows = set.rows;
	}
	par_free(par);
	index_meta_release(&m);
	vec_set_release(&set);
	return ret;
}

/*
 * Copy the vectors of the index as they are now.  Data may arrive all the time, and what is built,
 * the answers, and the champion's figures are to be of the same.
 */
static int copy_vectors(struct cycle *c, struct err *err)
{
	struct vec_set set;
	struct index_meta m;
	if (open_vectors(c, &set, &m, err) != 0)
		return -1;
	int ret = write_vectors(&set, c->vectors_path.data, err);
	c->metric = m.has_metric ? vec_metric_name(m.metric) : NULL;
	index_meta_release(&m);
	vec_set_release(&set);
	return ret;
}

static void add_vectors(const struct cycle *c, struct cycle_command *w)
{
	if (c->metric) {
		cycle_add(w, "--metric");
		cycle_add(w, c->metric);
	}
	cycle_add(w, "--");
	cycle_add(w, c->vectors_path.data);
}

/* ---- programs ---- */

/* Into the file ${path}; the vectors are copied before the first build. */
static int build(struct cycle *c, const struct config *config, const char *path, struct buf *record,
		 struct err *err)
{
	if (!c->digest[0] && copy_vectors(c, err) != 0)
		return -1;
	struct buf line = BUF_INIT;
	struct json_out j = {.b = &line};
	struct build_record r;
	struct cycle_command w = cycle_command(c, "hnsw-build");
	if (c->agent->threads) {
		cycle_add(&w, "-t");
		cycle_add(&w, c->agent->threads);
	}
	cycle_add(&w, "--config");
	cycle_add(&w, "-");
	cycle_add(&w, "-o");
	cycle_add(&w, path);
	add_vectors(c, &w);
	config_write(&j, config);
	buf_addc(&line, '\n');
	int ret = buf_ok(&line, err);
	if (ret == 0)
		ret = run_timed(c, &w, buf_span(&line), record, err);
	if (ret == 0)
		ret = build_record_parse(&r, buf_span(record), err);
	if (ret == 0) {
		memcpy(c->digest, r.whole_digest[0] ? r.whole_digest : r.vectors_digest,
		       sizeof c->digest);
		build_record_release(&r);
	}
	buf_release(&line);
	return ret;
}

/* Whether the eval set has vectors and answers, and among these vectors: 1, 0, or -1. */
static int answers_fit(struct cycle *c, struct err *err)
{
	struct evalset e;
	int found = catalog_evalset_get(c->agent->catalog, c->eval_set, &c->index, &e, err);
	if (found == 0)
		return err_set(err, ERR_NO, "there is no eval set '%s'", c->eval_set);
	if (found < 0)
		return -1;
	int fit =
	    e.truth_built && evalset_without_vector(&e, true) == 0 &&
	    (!e.vectors_digest[0] || strcmp(e.vectors_digest, c->digest) == 0);
	evalset_release(&e);
	return fit;
}

static int refresh(struct cycle *c, struct err *err)
{
	struct buf out = BUF_INIT;
	struct cycle_command w = cycle_command(c, "evalset");
	cycle_add(&w, "--index");
	cycle_add(&w, c->event->index_name);
	cycle_add(&w, "--refresh");
	cycle_add(&w, c->eval_set);
	add_vectors(c, &w);
	int ret = run_timed(c, &w, span_of(""), &out, err);
	buf_release(&out);
	return ret;
}

/* Measure at one ef_search, or, if ${ef} is 0, at what reaches the goal and another. */
static int bench(struct cycle *c, uint32_t ef, const struct buf *record, struct buf *lines,
		 struct err *err)
{
	char widths[32];
	struct cycle_command w = cycle_command(c, "hnsw-bench");
	snprintf(widths, sizeof widths, ef ? "%u" : "%u:%u", ef ? ef : c->goal.space.es.min,
		 c->goal.space.es.max);
	cycle_add(&w, "--index");
	cycle_add(&w, c->event->index_name);
	cycle_add(&w, "--note");
	cycle_add(&w, c->note.data);
	if (c->by_goal) {
		add_number(&w, "--target-recall", c->goal.target_recall, c->goal_text[0]);
		add_number(&w, "--confidence", c->goal.confidence, c->goal_text[2]);
	}
	if (!ef)
		cycle_add(&w, "--at-target");
	cycle_add(&w, "-s");
	cycle_add(&w, widths);
	cycle_add(&w, "--");
	cycle_add(&w, "-");
	cycle_add(&w, c->eval_set);
	return run_timed(c, &w, buf_span(record), lines, err);
}

/* Move the first line, without newline, to ${line}. */
static int take_first(struct buf *lines, struct buf *line, struct err *err)
{
	const char *end = lines->len ? memchr(lines->data, '\n', lines->len) : NULL;
	size_t n = end ? (size_t)(end - lines->data) : lines->len;
	buf_add(line, lines->data, n);
	n += end != NULL;
	memmove(lines->data, lines->data + n, lines->len - n);
	lines->len -= n;
	return buf_ok(line, err);
}

/* The ef_search that the curve of a Trial needs, if that is not its own; else 0. */
static int needed(const struct cycle *c, const struct buf *line, uint32_t *ef, struct err *err)
{
	struct trial t;
	struct tune_build b = {0};
	if (trial_parse(&t, buf_span(line), err) != 0 ||
	    (t.curve.p && curve_parse(&b.curve, t.curve, err) != 0))
		return -1;
	b.queries = t.metrics.eval_queries;
	*ef = tune_reach(&c->goal, &b);
	if (*ef == t.config.ef_search)
		*ef = 0;
	curve_release(&b.curve);
	return 0;
}

/* At what reaches the goal; the Trials beside that one go to the journal. */
static int bench_at_goal(struct cycle *c, const struct buf *record, struct buf *line, struct err *err)
{
	struct buf lines = BUF_INIT, first = BUF_INIT;
	uint32_t ef = 0;
	int ret = bench(c, 0, record, &lines, err);
	if (ret == 0)
		ret = take_first(&lines, &first, err);
	if (ret == 0)
		ret = needed(c, &first, &ef, err);
	if (ret == 0 && lines.len)
		ret = cycle_append(c, &lines, err);
	if (ret == 0 && ef) {
		ret = cycle_append(c, &first, err);
		buf_clear(&first);
		buf_clear(&lines);
		if (ret == 0)
			ret = bench(c, ef, record, &lines, err);
		if (ret == 0)
			ret = take_first(&lines, &first, err);
	}
	buf_addspan(line, buf_span(&first));
	buf_release(&lines);
	buf_release(&first);
	return ret == 0 ? buf_ok(line, err) : -1;
}

static int bench_config(struct cycle *c, const struct config *config, const struct buf *record,
			struct buf *line, struct err *err)
{
	struct buf lines = BUF_INIT;
	if (c->by_goal)
		return bench_at_goal(c, record, line, err);
	int ret = bench(c, config->ef_search, record, &lines, err);
	if (ret == 0)
		ret = take_first(&lines, line, err);
	buf_release(&lines);
	return ret;
}

int cycle_measure(struct cycle *c, const struct config *config, struct buf *line, struct err *err)
{
	struct buf record = BUF_INIT;
	int ret = build(c, config, c->index_path.data, &record, err);
	int fit = ret == 0 ? answers_fit(c, err) : -1;
	if (fit < 0 || (fit == 0 && refresh(c, err) != 0))
		ret = -1;
	if (ret == 0)
		ret = bench_config(c, config, &record, line, err);
	(void)unlink(c->index_path.data);
	buf_release(&record);
	return ret;
}

static int fight(struct cycle *c, const struct config *champion, const struct config *challenger,
		 struct buf *verdict, struct err *err)
{
	char floor[32], ef[32];
	struct cycle_command w = cycle_command(c, "trial-duel");
	snprintf(floor, sizeof floor, "%.9g", c->agent->settings.min_recall);
	snprintf(ef, sizeof ef, "%u,%u", champion->ef_search, challenger->ef_search);
	cycle_add(&w, "--index");
	cycle_add(&w, c->event->index_name);
	if (!c->by_goal) {
		cycle_add(&w, "--min-recall");
		cycle_add(&w, floor);
	}
	cycle_add_goal(c, &w);
	cycle_add(&w, "-s");
	cycle_add(&w, ef);
	cycle_add(&w, "--");
	cycle_add(&w, c->champion_record_path.data);
	cycle_add(&w, c->record_path.data);
	cycle_add(&w, c->eval_set);
	int ret = run_timed(c, &w, span_of(""), verdict, err);
	/* That the champion stays is a verdict too. */
	return ret != 0 && err->code == ERR_NO && verdict->len ? 0 : ret;
}

/* Build one side of a duel, and keep its record. */
static int build_side(struct cycle *c, const struct config *config, const char *path,
		      const char *record_path, struct err *err)
{
	struct buf record = BUF_INIT;
	struct io_file f;
	int ret = build(c, config, path, &record, err);
	if (ret == 0)
		ret = io_file_open(&f, record_path, err);
	if (ret == 0) {
		ret = io_write_all(f.fd, record.data, record.len) == 0
			  ? io_file_commit(&f, IO_REPLACE, err)
			  : err_sys(err, "cannot write '%s'", record_path);
		io_file_release(&f);
	}
	buf_release(&record);
	return ret;
}

int cycle_duel(struct cycle *c, const struct trial *t, const struct config *champion,
	       struct buf *verdict, struct err *err)
{
	int fit = 0,
	    ret = build_side(c, &t->config, c->index_path.data, c->record_path.data, err);
	if (ret == 0 && t->vectors_digest.p && span_is(t->vectors_digest, c->digest) &&
	    (fit = answers_fit(c, err)) < 0)
		ret = -1;
	if (ret == 0 && !fit)
		ret = err_set(err, ERR_NO, "the data is no longer what the Trial was measured on");
	if (ret == 0)
		ret = build_side(c, champion, c->champion_path.data, c->champion_record_path.data, err);
	if (ret == 0)
		ret = fight(c, champion, &t->config, verdict, err);
	return ret;
}

int cycle_append(struct cycle *c, const struct buf *line, struct err *err)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct cycle_command w = cycle_command(c, "trial-append");
	cycle_add(&w, "--");
	cycle_add(&w, c->event->index_name);
	buf_addspan(&in, buf_span(line));
	if (line->len && line->data[line->len - 1] != '\n')
		buf_addc(&in, '\n');
	int ret = buf_ok(&in, err);
	if (ret == 0)
		ret = cycle_run(c, &w, buf_span(&in), &out, err);
	buf_release(&in);
	buf_release(&out);
	return ret;
}

void cycle_clean(struct cycle *c)
{
	const struct buf *file[] = {&c->vectors_path, &c->index_path, &c->champion_path,
				    &c->record_path, &c->champion_record_path};
	for (size_t i = 0; i < sizeof file / sizeof file[0]; i++)
		if (file[i]->len)
			(void)unlink(file[i]->data);
}
