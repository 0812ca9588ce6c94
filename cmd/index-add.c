/* SPDX-License-Identifier: MIT */
/* index-add - register an index, or change what is registered */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "catalog/operand.h"
#include "cli/cli.h"

static struct {
	const char *source, *bucket, *eval_set, *model, *model_version, *store;
	uint64_t dimensions;
	int metric;
	const char *space;
	struct tune_goal goal;
	double wait;
	bool no_goal, dry_run;
} o = {.metric = -1, .wait = 60, .goal = TUNE_GOAL_UNSAID};

static const struct cli_opt opts[] = {
    {0, "source", "DATASET", "where its vectors are (default: the dataset of the same name)",
     CLI_STR, &o.source, 0, 0, NULL},
    {0, "metric", "NAME", "cosine, l2 or ip (default cosine)", CLI_NAME, &o.metric, 0, 0,
     vec_metric_names},
    {0, "eval-set", "NAME", "its canonical eval set", CLI_STR, &o.eval_set, 0, 0, NULL},
    {0, "bucket", "NAME", "the bucket it lives in (default primary)", CLI_STR, &o.bucket, 0, 0,
     NULL},
    {0, "dimensions", "N", "of its vectors (default: as in the dataset)", CLI_U64, &o.dimensions, 1,
     VEC_MAX_DIM, NULL},
    {0, "model-name", "NAME", "the model its vectors come from", CLI_STR, &o.model, 0, 0, NULL},
    {0, "model-version", "TEXT", "and its version", CLI_STR, &o.model_version, 0, 0, NULL},
    TUNE_GOAL_OPTIONS(o.goal),
    TUNE_SEARCH_OPTIONS(o.goal, o.space),
    {0, "no-goal", NULL, "forget its goal; with the others of these: all that they do not say",
     CLI_FLAG, &o.no_goal, 0, 0, NULL},
    CLI_OPT_WAIT(&o.wait, "60"),
    CLI_OPT_DRY_RUN(&o.dry_run),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[options] NAME",
    .about =
	"Register index NAME, or change what is registered of it: what is not said stays.  Prints\n"
	"its IndexMeta.",
    CLI_OPTS(opts),
};

static int set_if(char **member, const char *text, struct err *err)
{
	return text ? index_meta_set(member, text, err) : 0;
}

static int set_source(struct index_meta *m, struct err *err)
{
	struct buf key = BUF_INIT;
	if (!o.source)
		return 0;
	buf_adds(&key, "vectors/");
	buf_adds(&key, o.source);
	int ret = buf_ok(&key, err);
	if (ret == 0)
		ret = index_meta_set(&m->source, o.source, err);
	if (ret == 0)
		ret = index_meta_set(&m->storage_key, key.data, err);
	buf_release(&key);
	return ret;
}

/* Members that a new index has without being told. */
static int defaults(struct index_meta *m, const char *name, struct err *err)
{
	char now[CLOCK_TEXT_MAX];
	struct buf key = BUF_INIT;
	if (clock_now_text(now, err) != 0)
		return -1;
	buf_adds(&key, "vectors/");
	buf_adds(&key, name);
	int ret = buf_ok(&key, err);
	if (ret == 0)
		ret = index_meta_set(&m->index_name, name, err) ||
		      index_meta_set(&m->source, name, err) ||
		      index_meta_set(&m->bucket, META_BUCKET_DEFAULT, err) ||
		      index_meta_set(&m->created_at, now, err) ||
		      index_meta_set(&m->storage_key, key.data, err);
	m->metric = VEC_COSINE;
	m->has_metric = true;
	buf_release(&key);
	return ret ? -1 : 0;
}

/* What the dataset itself tells, if it is there. */
static int measure_dataset(struct catalog *c, struct index_meta *m, struct err *err)
{
	struct vec_set set;
	int ret = catalog_dataset_open(c, m->source, m->bucket, &set, err);
	if (ret < 0 && err->code != ERR_ENV)
		return -1;
	/* It may lie where nothing can be reached just now. */
	if (ret < 0)
		cli_note(&cli, "its vectors were not counted: %s", err->msg);
	if (ret >= 0 && set.rows == 0)
		cli_note(&cli, "dataset '%s' has no rows yet", m->source);
	ret = 0;
	if (set.rows) {
		if (o.dimensions && o.dimensions != set.dim)
			ret = err_set(err, ERR_DATA, "dataset '%s' has dimension %u, not %llu",
				      m->source, set.dim, (unsigned long long)o.dimensions);
		m->dimensions = set.dim;
		m->chunk_count = m->doc_count = set.rows;
	} else if (o.dimensions) {
		m->dimensions = o.dimensions;
	}
	vec_set_release(&set);
	return ret;
}

/* Where its vectors come from is shown beside what the options say. */
static int show_embedding(struct catalog *c, struct index_meta *m, bool registered, struct err *err)
{
	struct embedding e, said = {.has_metric = o.metric >= 0};
	struct err why = {0};
	char what[CATALOG_NAME_MAX + 16];
	int found = catalog_embedding_get(c, m->source, m->bucket, &e, &why);
	if (found < 0 && why.code != ERR_ENV)
		*err = why;
	if (found <= 0)
		return found < 0 && why.code != ERR_ENV ? -1 : 0;
	if (said.has_metric)
		said.metric = (enum vec_metric)o.metric;
	snprintf(what, sizeof what, "dataset '%s'", m->source);
	int ret = embedding_check(&e, &said, what, err);
	if (!registered && o.metric < 0 && e.has_metric)
		m->metric = e.metric;
	if (ret == 0 && e.embedder) {
		const char *model = e.model && e.model[0] ? e.model : e.embedder;
		ret = index_meta_set(&m->embedder, e.embedder, err) ||
		      set_if(&m->prefix, e.prefix, err) ||
		      (!o.model && index_meta_set(&m->model_name, model, err));
	}
	embedding_release(&e);
	return ret ? -1 : 0;
}

/* It may be made later; or the name is mistyped. */
static int look_for_evalset(struct catalog *c, const struct index_meta *m, struct err *err)
{
	struct evalset e = {0};
	struct catalog_index x;
	int found = catalog_index_open(c, m->index_name, &x, err);
	if (found == 0)
		found = catalog_evalset_get(c, o.eval_set, &x, &e, err);
	catalog_index_release(&x);
	if (found > 0)
		evalset_release(&e);
	else if (found == 0)
		cli_note(&cli, "there is no eval set '%s' yet", o.eval_set);
	return found < 0 ? -1 : 0;
}

/* Its own goal, with what the options say. */
static int set_goal(struct index_meta *m, struct err *err)
{
	struct tune_goal g = o.goal, whole;
	struct buf text = BUF_INIT;
	struct json_out j = {.b = &text};
	if (o.no_goal) {
		free(m->goal);
		m->goal = NULL;
	}
	if (!tune_goal_said(&o.goal))
		return 0;
	if (catalog_index_goal(m, &g, err) < 0)
		return -1;
	whole = g;
	tune_goal_complete(&whole);
	if (tune_goal_check(&whole, err) != 0)
		return -1;
	tune_goal_write(&j, &g);
	int ret = buf_ok(&text, err) != 0 ? -1 : index_meta_set(&m->goal, text.data, err);
	buf_release(&text);
	return ret;
}

/* What is registered, with what the options say. */
static int change(void *ctx, struct index_meta *m, bool registered, struct err *err)
{
	struct catalog *c = ctx;
	if (!registered && defaults(m, cli.operand[0], err) != 0)
		return -1;
	if (registered && o.bucket && m->bucket && strcmp(m->bucket, o.bucket) != 0)
		cli_note(&cli,
			 "what '%s' has in bucket '%s' stays there; index-move takes it along",
			 m->index_name, m->bucket[0] ? m->bucket : META_BUCKET_DEFAULT);
	if (set_source(m, err) != 0 || set_if(&m->bucket, o.bucket, err) != 0 ||
	    set_if(&m->eval_set, o.eval_set, err) != 0 ||
	    set_if(&m->model_name, o.model, err) != 0 ||
	    set_if(&m->model_version, o.model_version, err) != 0 || set_goal(m, err) != 0)
		return -1;
	if (o.metric >= 0) {
		m->metric = (enum vec_metric)o.metric;
		m->has_metric = true;
	}
	if (m->source && m->source[0] &&
	    (measure_dataset(c, m, err) != 0 || show_embedding(c, m, registered, err) != 0))
		return -1;
	return o.eval_set ? look_for_evalset(c, m, err) : 0;
}

static int add(struct catalog *c, const char *name, struct err *err)
{
	struct index_meta m;
	int ret = (o.bucket ? catalog_index_change_bucket : catalog_index_change)(
	    c, name, o.dry_run, change, c, &m, err);
	if (ret == 0)
		index_meta_write(&cli_out.b, &m);
	index_meta_release(&m);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct catalog c = {0};
	cli_parse(&cli, argc, argv, 1, 1);
	c.warn = cli_warn_to(&cli);
	int ret = catalog_check_name("index", cli.operand[0], &err);
	if (ret == 0 && o.source)
		ret = catalog_check_name("dataset", o.source, &err);
	if (ret == 0 && o.bucket)
		ret = catalog_check_name("bucket", o.bucket, &err);
	if (ret == 0 && o.eval_set)
		ret = catalog_check_name("eval set", o.eval_set, &err);
	if (ret == 0 && o.space)
		ret = tune_space_parse(span_of(o.space), &o.goal.space, &err);
	if (ret == 0)
		ret = catalog_open(&c, cli_store(o.store), false, &err);
	if (ret == 0)
		catalog_be_patient(&c, o.wait);
	if (ret == 0)
		ret = add(&c, cli.operand[0], &err);
	catalog_close(&c);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
