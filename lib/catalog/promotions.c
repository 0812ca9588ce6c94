/* SPDX-License-Identifier: MIT */
/* Promotions: the gates, and the file that is compared and swapped. */
#include "catalog/catalog.h"

#include <string.h>

#include "catalog/layout.h"
#include "stat/mean.h"

#define ATTEMPTS 100 /* at compare-and-swap before giving up */

int catalog_promotion_get(const struct catalog_index *x, struct promotion *p, struct store_tag *tag,
			  struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	*p = (struct promotion){0};
	int ret = layout_key(&key, LAYOUT_PROMOTIONS, x->name, err);
	if (ret == 0)
		ret = store_get(x->bucket, key.data, &text, tag, err);
	if (ret == 0 && promotion_init(p, x->name, err) != 0)
		ret = -1;
	if (ret > 0 && promotion_parse(p, buf_span(&text), err) != 0)
		ret = err_prefix(err, "promotions of '%s'", x->name);
	if (ret > 0 &&
	    layout_check_own(key.data, "index_name", x->name, p->index_name, err) != 0) {
		promotion_release(p);
		ret = -1;
	}
	buf_release(&key);
	buf_release(&text);
	return ret;
}

static struct span current_id(const struct promotion *p)
{
	return p->current ? p->current->trial_id : (struct span){"", 0};
}

static int check_expect(const struct promotion *p, const char *expect, struct err *err)
{
	struct span id = current_id(p);
	if (!expect || scan_text_is(id, span_of(expect)))
		return 0;
	return err_set(err, ERR_CONFLICT, "'%s' has %s%.*s promoted, expected %s", p->index_name,
		       p->current ? "" : "nothing", (int)id.n, id.p,
		       expect[0] ? expect : "nothing");
}

/* ERR_NO unless the Trial's figures beat the champion's, on equal data. */
static int check_stored(struct catalog *c, const struct catalog_index *x, const struct promotion *p,
			const struct promote_request *r, struct err *err)
{
	struct buf id = BUF_INIT, line = BUF_INIT;
	struct trial champion;
	int ret = 0;
	scan_decode(p->current->trial_id, &id);
	int found = buf_ok(&id, err) != 0 ? -1
					  : trial_log_find(x->bucket, x->name, buf_span(&id), &line,
							   &champion, &c->warn, err);
	if (found < 0)
		ret = -1;
	else if (found == 0)
		warn(&c->warn, "the champion's Trial '%s' is not in the journal: counts as none",
		     id.data);
	else if (!trial_comparable(r->trial, &champion))
		ret = err_set(err, ERR_NO,
			      "the champion %s was measured on other vectors or another eval set: "
			      "measure it again first",
			      id.data);
	else if (!trial_beats(&r->trial->metrics, &champion.metrics))
		ret = err_set(
		    err, ERR_NO,
		    "recall=%.4f p50=%.1fus does not beat the champion's recall=%.4f p50=%.1fus",
		    r->trial->metrics.recall_at_k, r->trial->metrics.search_latency_p50_us,
		    champion.metrics.recall_at_k, champion.metrics.search_latency_p50_us);
	buf_release(&id);
	buf_release(&line);
	return ret;
}

/* ERR_NO unless the Trial beats the champion, if there is one. */
static int check_better(struct catalog *c, const struct catalog_index *x, const struct promotion *p,
			const struct promote_request *r, struct err *err)
{
	if (!p->current)
		return 0;
	if (r->trust_stored)
		return check_stored(c, x, p, r, err);
	if (!r->verdict)
		return err_set(
		    err, ERR_NO,
		    "it is not confirmed that it beats the champion: let trial-duel tell "
		    "(--confirm), or compare the stored figures (--trust-stored)");
	return verdict_confirms(r->verdict, r->trial, &p->current->config, err);
}

/* ERR_NO: why the recall, whose mean reaches the floor, is not proven to. */
static int not_proven(const struct promote_request *r, double lower, struct err *err)
{
	const struct metrics *m = &r->trial->metrics;
	uint64_t needed = stat_needed(m->recall_at_k, lower, m->eval_queries, r->min_recall);
	if (needed == 0)
		return err_set(err, ERR_NO,
			       "recall=%.4f is not above the floor of %g, so no number of queries "
			       "proves that it is reached",
			       m->recall_at_k, r->min_recall);
	return err_set(
	    err, ERR_NO,
	    "recall=%.4f of %llu queries proves no more than %.4f, below the floor of %g: "
	    "about %llu queries are needed",
	    m->recall_at_k, (unsigned long long)m->eval_queries, lower, r->min_recall,
	    (unsigned long long)needed);
}

/* ERR_NO unless the recall reaches the floor. */
static int check_floor(struct catalog *c, const struct promotion *p,
		       const struct promote_request *r, enum promotion_floor *floor,
		       struct err *err)
{
	const struct metrics *m = &r->trial->metrics;
	double lower = trial_recall_lower(r->trial);
	struct err why;
	*floor = PROMOTION_NO_FLOOR;
	if (r->min_recall <= 0)
		return 0;
	if ((float)m->recall_at_k < (float)r->min_recall)
		return err_set(err, ERR_NO, "recall=%.4f is below the floor of %g", m->recall_at_k,
			       r->min_recall);
	if (r->trust_stored)
		return 0;
	*floor = lower >= r->min_recall ? PROMOTION_FLOOR_PROVEN : PROMOTION_FLOOR_NOT_PROVEN;
	if (*floor == PROMOTION_FLOOR_PROVEN)
		return 0;
	if (p->current || r->prove)
		return not_proven(r, lower, err);
	(void)not_proven(r, lower, &why);
	warn(&c->warn, "the first champion, by its mean: %s", why.msg);
	return 0;
}

/* A rung has some of the rows: neither its figures nor its config are those of the index. */
static int check_whole(const struct trial *t, struct err *err)
{
	if (!t->config.rung)
		return 0;
	return err_set(err, ERR_NO,
		       "Trial '%.*s' is of a rung of %u rows, expected one of all rows of the index",
		       (int)t->id.n, t->id.p, t->config.rung);
}

static int check_gates(struct catalog *c, const struct catalog_index *x, const struct promotion *p,
		       const struct promote_request *r, enum promotion_floor *floor,
		       struct err *err)
{
	const struct trial *t = r->trial;
	if (check_whole(t, err) != 0 || check_expect(p, r->expect, err) != 0 ||
	    check_floor(c, p, r, floor, err) != 0)
		return -1;
	if (r->unattended && promotion_rolled_back(p, &t->config, t->vectors_digest))
		return err_set(err, ERR_NO, "this config was rolled back on the same vectors");
	return r->if_better ? check_better(c, x, p, r, err) : 0;
}

/* Write the state if the file still has the tag; 0, 1: it was changed, -1. */
static int put(const struct catalog_index *x, struct promotion *p, const struct store_tag *tag,
	       bool dry_run, struct buf *state, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	p->revision++;
	promotion_write(&text, p);
	buf_addc(&text, '\n');
	int ret = buf_ok(&text, err) != 0 ? -1 : layout_key(&key, LAYOUT_PROMOTIONS, x->name, err);
	if (ret == 0 && !dry_run)
		ret = store_swap(x->bucket, key.data, tag, buf_span(&text), err);
	if (ret == 0) {
		buf_addspan(state, buf_span(&text));
		ret = buf_ok(state, err);
	}
	buf_release(&key);
	buf_release(&text);
	return ret;
}

static int busy(const char *index, struct err *err)
{
	return err_set(err, ERR_TEMP, "the promotions of '%s' keep changing", index);
}

int catalog_promote(struct catalog *c, const struct catalog_index *x,
		    const struct promote_request *r, struct buf *state, struct err *err)
{
	const struct trial *t = r->trial;
	struct promotion_new entry = {.config = t->config,
				      .trial_id = t->id,
				      .vectors_digest = t->vectors_digest,
				      .by = r->by,
				      .note = r->note};
	int ret = 1;
	for (int i = 0; i < ATTEMPTS && ret == 1; i++) {
		struct promotion p;
		struct store_tag tag;
		int there = catalog_promotion_get(x, &p, &tag, err);
		if (there < 0 || check_gates(c, x, &p, r, &entry.floor, err) != 0 ||
		    promotion_push(&p, &entry, err) != 0)
			ret = -1;
		else
			ret = put(x, &p, there ? &tag : NULL, r->dry_run, state, err);
		promotion_release(&p);
	}
	return ret == 1 ? busy(x->name, err) : ret;
}

/* 0; 1: somebody else changed the file first; -1. */
static int rollback_once(const struct catalog_index *x, const char *expect, bool dry_run,
			 struct buf *state, struct err *err)
{
	struct promotion p;
	struct store_tag tag;
	int there = catalog_promotion_get(x, &p, &tag, err), ret = -1;
	if (there >= 0 && check_expect(&p, expect, err) == 0) {
		int popped = promotion_pop(&p, err);
		if (popped == 0)
			err_set(err, ERR_NO, "nothing is promoted for '%s'", x->name);
		if (popped > 0)
			ret = put(x, &p, there ? &tag : NULL, dry_run, state, err);
	}
	promotion_release(&p);
	return ret;
}

int catalog_rollback(struct catalog *c, const char *index, const char *expect, bool dry_run,
		     struct buf *state, struct err *err)
{
	struct catalog_index x;
	if ((dry_run ? catalog_index_open : catalog_index_hold)(c, index, &x, err) != 0)
		return -1;
	int ret = 1;
	for (int i = 0; i < ATTEMPTS && ret == 1; i++)
		ret = rollback_once(&x, expect, dry_run, state, err);
	if (ret == 1)
		ret = busy(index, err);
	catalog_index_release(&x);
	return ret;
}

int catalog_promotion_list(struct catalog *c, struct store_names *out, struct err *err)
{
	struct store_names all;
	*out = (struct store_names){0};
	if (buckets_list(c->buckets, &all, err) != 0)
		return -1;
	int ret = 0;
	for (size_t i = 0; i < all.count && ret == 0; i++) {
		struct store_names files = {0};
		struct err why = {0};
		struct store *s = buckets_get(c->buckets, all.name[i], &why);
		if (!s || layout_list(s, LAYOUT_PROMOTIONS, &files, &why) != 0) {
			warn(&c->warn, "leaving out bucket '%s': %s", all.name[i], why.msg);
			continue;
		}
		for (size_t f = 0; ret == 0 && f < files.count; f++)
			ret = store_names_add(out, files.name[f], err);
		store_names_release(&files);
	}
	store_names_release(&all);
	if (ret != 0)
		store_names_release(out);
	store_names_sort_unique(out);
	return ret;
}
