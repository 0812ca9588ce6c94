/* SPDX-License-Identifier: MIT */
/* Building and measuring, by the programs that a person would use. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cycle_internal.h"
#include "base/clock.h"
#include "base/io.h"
#include "catalog/operand.h"
#include "record/build.h"

struct cycle_command cycle_command(const struct cycle *c, const char *program)
{
	return (struct cycle_command){{program, "-q", "-S", c->agent->store_url}, 4};
}

void cycle_add(struct cycle_command *w, const char *word)
{
	w->word[w->n++] = word;
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

/*
 * Copy the vectors of the index as they are now.  Data may arrive all the time, and what is built,
 * the answers, and the champion's figures are to be of the same.
 */
static int copy_vectors(struct cycle *c, struct err *err)
{
	struct catalog *catalog = c->agent->catalog;
	struct operands operands = {.store_url = c->agent->store_url,
				    .warn = catalog->warn,
				    .catalog = *catalog,
				    .open = true};
	const char *index = c->event->index_name;
	struct vec_set set;
	struct index_meta m;
	if (operand_vectors(&operands, &index, 1, &(struct vec_input){0}, &set, &m, err) != 0)
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
		memcpy(c->digest, r.vectors_digest, sizeof c->digest);
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

static int bench(struct cycle *c, const struct config *config, const struct buf *record,
		 struct buf *line, struct err *err)
{
	char ef[16];
	struct cycle_command w = cycle_command(c, "hnsw-bench");
	snprintf(ef, sizeof ef, "%u", config->ef_search);
	cycle_add(&w, "--index");
	cycle_add(&w, c->event->index_name);
	cycle_add(&w, "--note");
	cycle_add(&w, c->note.data);
	cycle_add(&w, "-s");
	cycle_add(&w, ef);
	cycle_add(&w, "--");
	cycle_add(&w, "-");
	cycle_add(&w, c->eval_set);
	int ret = run_timed(c, &w, buf_span(record), line, err);
	while (line->len && line->data[line->len - 1] == '\n')
		line->len--;
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
		ret = bench(c, config, &record, line, err);
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
	cycle_add(&w, "--min-recall");
	cycle_add(&w, floor);
	cycle_add(&w, "-s");
	cycle_add(&w, ef);
	cycle_add(&w, "--");
	cycle_add(&w, c->champion_path.data);
	cycle_add(&w, c->index_path.data);
	cycle_add(&w, c->eval_set);
	int ret = run_timed(c, &w, span_of(""), verdict, err);
	/* That the champion stays is a verdict too. */
	return ret != 0 && err->code == ERR_NO && verdict->len ? 0 : ret;
}

int cycle_duel(struct cycle *c, const struct trial *t, const struct config *champion,
	       struct buf *verdict, struct err *err)
{
	struct buf record = BUF_INIT;
	int fit = 0, ret = build(c, &t->config, c->index_path.data, &record, err);
	if (ret == 0 && t->vectors_digest.p && span_is(t->vectors_digest, c->digest) &&
	    (fit = answers_fit(c, err)) < 0)
		ret = -1;
	if (ret == 0 && !fit)
		ret = err_set(err, ERR_NO, "the data is no longer what the Trial was measured on");
	buf_clear(&record);
	if (ret == 0)
		ret = build(c, champion, c->champion_path.data, &record, err);
	if (ret == 0)
		ret = fight(c, champion, &t->config, verdict, err);
	buf_release(&record);
	return ret;
}

int cycle_append(struct cycle *c, const struct buf *line, struct err *err)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct cycle_command w = cycle_command(c, "trial-append");
	cycle_add(&w, "--");
	cycle_add(&w, c->event->index_name);
	buf_addspan(&in, buf_span(line));
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
	const struct buf *file[] = {&c->vectors_path, &c->index_path, &c->champion_path};
	for (size_t i = 0; i < sizeof file / sizeof file[0]; i++)
		if (file[i]->len)
			(void)unlink(file[i]->data);
}
