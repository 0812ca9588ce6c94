/* SPDX-License-Identifier: MIT */
/* What was: the journal and the promotions of the index that is tuned. */
#include <stdlib.h>
#include <string.h>

#include "agent/cycle_internal.h"
#include "base/mem.h"

static int keep_line(struct past *p, const struct trial *t, struct err *err)
{
	struct buf *grown = mem_resize(p->line, p->lines + 1, sizeof *grown, err);
	if (!grown)
		return -1;
	p->line = grown;
	grown[p->lines] = (struct buf)BUF_INIT;
	buf_addspan(&grown[p->lines], t->line);
	return buf_ok(&grown[p->lines++], err);
}

static int take_trial(void *ctx, const struct trial *t, struct err *err)
{
	struct past *p = ctx;
	const struct promotion_entry *current = p->promotion.current;
	if (tune_history_add(&p->history, t, err) != 0)
		return -1;
	if (t->config.rung)
		return 0;
	free(p->eval_set);
	struct buf name = BUF_INIT;
	buf_adds(&name, "");
	scan_decode(t->eval_set, &name);
	if (buf_ok(&name, err) != 0)
		return -1;
	p->eval_set = name.data;
	if (!current)
		return 0;
	if (span_same(t->id, current->trial_id)) {
		p->has_champion = true;
		p->champion = t->config;
		p->promoted = p->lines;
	} else if (!config_same(&t->config, &current->config)) {
		return 0;
	}
	return keep_line(p, t, err);
}

void past_release(struct past *p)
{
	for (size_t i = 0; i < p->lines; i++)
		buf_release(&p->line[i]);
	free(p->line);
	free(p->eval_set);
	tune_history_release(&p->history);
	promotion_release(&p->promotion);
	*p = (struct past){0};
}

/* A raw string as a text; NULL where there is none. */
static const char *decoded(struct span raw, struct buf *out)
{
	if (!raw.p)
		return NULL;
	buf_adds(out, "");
	scan_decode(raw, out);
	return out->failed ? NULL : out->data;
}

/* By a goal Trials of other data do not count. */
static int only(struct cycle *c, struct span vectors, struct span eval, struct err *err)
{
	struct buf v = BUF_INIT, e = BUF_INIT;
	struct tune_history *h = &c->past.history;
	h->keep_lines = c->by_goal;
	int ret = c->by_goal ? tune_history_only(h, decoded(vectors, &v), decoded(eval, &e), err) : 0;
	buf_release(&v);
	buf_release(&e);
	return ret;
}

int past_read(struct cycle *c, struct span vectors, struct span eval, struct err *err)
{
	struct catalog *catalog = c->agent->catalog;
	struct past *p = &c->past;
	const char *index = c->event->index_name;
	past_release(p);
	if (only(c, vectors, eval, err) != 0 ||
	    catalog_promotion_get(&c->index, &p->promotion, NULL, err) < 0 ||
	    trial_log_read(c->index.bucket, index, true, take_trial, p, &catalog->warn, err) != 0)
		return -1;
	tune_history_end(&p->history);
	p->history.pairs.has_champion = p->has_champion;
	p->history.pairs.champion = p->champion;
	return 0;
}
