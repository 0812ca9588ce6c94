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

/* What the gates look at. */
struct gates {
	struct catalog *c;
	const struct catalog_index *x;
	const struct promotion *p;
	const struct promote_request *r;
	const struct tune_goal *goal; /* that holds here; NULL: none */
};

static int not_better(const struct metrics *challenger, const struct metrics *champion,
		      struct err *err)
{
	return err_set(
	    err, ERR_NO,
	    "recall=%.4f p50=%.1fus does not beat the champion's recall=%.4f p50=%.1fus",
	    challenger->recall_at_k, challenger->search_latency_p50_us, champion->recall_at_k,
	    champion->search_latency_p50_us);
}

/* ERR_NO unless the Trial's figures beat the champion's, on equal data. */
static int check_stored(const struct gates *g, struct err *err)
{
	const struct trial *t = g->r->trial;
	struct buf id = BUF_INIT, line = BUF_INIT;
	struct trial champion;
	int ret = 0;
	scan_decode(g->p->current->trial_id, &id);
	int found = buf_ok(&id, err) != 0
			? -1
			: trial_log_find(g->x->bucket, g->x->name, buf_span(&id), &line, &champion,
					 &g->c->warn, err);
	if (found < 0)
		ret = -1;
	else if (found == 0)
		warn(&g->c->warn, "the champion's Trial '%s' is not in the journal: counts as none",
		     id.data);
	else if (!trial_comparable(t, &champion))
		ret = err_set(err, ERR_NO,
			      "the champion %s was measured on other vectors or another eval set: "
			      "measure it again first",
			      id.data);
	else if (g->goal ? !tune_goal_beats(g->goal, t, &champion)
			 : !trial_beats(&t->metrics, &champion.metrics))
		ret = not_better(&t->metrics, &champion.metrics, err);
	buf_release(&id);
	buf_release(&line);
	return ret;
}

/* ERR_NO unless the verdict is by the goal that holds here, or by none if none does. */
static int check_rule(const struct gates *g, struct err *err)
{
	const struct verdict *v = g->r->verdict;
	struct tune_goal by;
	if (!v->goal.p || !g->goal)
		return !v->goal.p == !g->goal
			   ? 0
			   : err_set(err, ERR_NO,
				     v->goal.p ? "the verdict is by a goal, and '%s' has none"
					       : "the verdict is not by the goal of '%s'",
				     g->x->name);
	if (tune_goal_parse(&by, v->goal, err) != 0)
		return err_prefix(err, "the verdict's goal");
	tune_goal_complete(&by);
	return tune_goal_same(&by, g->goal)
		   ? 0
		   : err_set(err, ERR_NO, "the verdict is by another goal than that of '%s'",
			     g->x->name);
}

/* ERR_NO unless the Trial beats the champion, if there is one. */
static int check_better(const struct gates *g, struct err *err)
{
	const struct promote_request *r = g->r;
	if (!g->p->current)
		return 0;
	if (r->trust_stored)
		return check_stored(g, err);
	if (!r->verdict)
		return err_set(
		    err, ERR_NO,
		    "it is not confirmed that it beats the champion: let trial-duel tell "
		    "(--confirm), or compare the stored figures (--trust-stored)");
	if (check_rule(g, err) != 0)
		return -1;
	return verdict_confirms(r->verdict, r->trial, &g->p->current->config, err);
}

/* What is to be reached, and how far the Trial comes. */
struct reach {
	const char *what, *name; /* "recall", "floor" */
	double want, mean, lower;
};

/* ERR_NO: why what the mean reaches is not proven. */
static int not_proven(const struct reach *f, uint64_t queries, struct err *err)
{
	uint64_t needed = stat_needed(f->mean, f->lower, queries, f->want);
	if (needed == 0)
		return err_set(err, ERR_NO,
			       "%s=%.4f is not above the %s of %g, so no number of queries "
			       "proves that it is reached",
			       f->what, f->mean, f->name, f->want);
	return err_set(err, ERR_NO,
		       "%s=%.4f of %llu queries proves no more than %.4f, below the %s of %g: "
		       "about %llu queries are needed",
		       f->what, f->mean, (unsigned long long)queries, f->lower, f->name, f->want,
		       (unsigned long long)needed);
}

/* ERR_NO unless it is reached. */
static int check_reach(const struct gates *g, const struct reach *f, enum promotion_floor *floor,
		       struct err *err)
{
	uint64_t queries = g->r->trial->metrics.eval_queries;
	struct err why;
	if (!((float)f->mean >= (float)f->want))
		return err_set(err, ERR_NO, "%s=%.4f is below the %s of %g", f->what, f->mean,
			       f->name, f->want);
	if (g->r->trust_stored)
		return 0;
	bool proven = f->lower >= f->want;
	if (*floor != PROMOTION_FLOOR_NOT_PROVEN)
		*floor = proven ? PROMOTION_FLOOR_PROVEN : PROMOTION_FLOOR_NOT_PROVEN;
	if (proven)
		return 0;
	if (g->p->current || g->r->prove)
		return not_proven(f, queries, err);
	(void)not_proven(f, queries, &why);
	warn(&g->c->warn, "the first champion, by its mean: %s", why.msg);
	return 0;
}

/* ERR_NO unless the Trial reaches the floor, and meets the goal where that counts. */
static int check_floor(const struct gates *g, enum promotion_floor *floor, struct err *err)
{
	const struct promote_request *r = g->r;
	*floor = PROMOTION_NO_FLOOR;
	if (r->min_recall > 0) {
		struct reach f = {"recall", "floor", r->min_recall, r->trial->metrics.recall_at_k,
				  trial_recall_lower(r->trial)};
		if (check_reach(g, &f, floor, err) != 0)
			return -1;
	}
	if (!g->goal || !(r->goal || r->unattended || r->if_better))
		return 0;
	struct reach f = {.what = g->goal->target_queries > 0 ? "queries_at_target" : "recall",
			  .name = "target",
			  .want = tune_goal_target(g->goal)};
	f.lower = tune_goal_proven(g->goal, r->trial, &f.mean);
	if (check_reach(g, &f, floor, err) != 0)
		return -1;
	return tune_goal_limits(g->goal, r->trial, err);
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

int catalog_promotion_unpinned(const struct promotion *p, bool by_goal, struct err *err)
{
	const struct promotion_entry *e = p->current;
	if (!e || e->pin == PROMOTION_NOT_PINNED ||
	    (e->pin == PROMOTION_PINNED_WITHOUT_GOAL && by_goal))
		return 0;
	return err_set(err, ERR_NO,
		       e->pin == PROMOTION_PINNED
			   ? "%.*s, which %.*s promoted, is pinned: promote --unpin lets it go"
			   : "%.*s, which %.*s promoted by hand or for a goal, stays where there "
			     "is no goal: set one, or promote --unpin",
		       (int)e->trial_id.n, e->trial_id.p, (int)e->promoted_by.n,
		       e->promoted_by.p ? e->promoted_by.p : "");
}

static int check_gates(const struct gates *g, enum promotion_floor *floor, struct err *err)
{
	const struct promote_request *r = g->r;
	const struct trial *t = r->trial;
	if (check_whole(t, err) != 0 || check_expect(g->p, r->expect, err) != 0 ||
	    (r->unattended && catalog_promotion_unpinned(g->p, g->goal != NULL, err) != 0) || check_floor(g, floor, err) != 0)
		return -1;
	if (r->unattended && promotion_rolled_back(g->p, &t->config, t->vectors_digest))
		return err_set(err, ERR_NO, "this config was rolled back on the same vectors");
	return r->if_better ? check_better(g, err) : 0;
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

/* The goal that holds: 1, and ${out} is complete; 0: none; -1. */
static int goal_of(const struct catalog_index *x, const struct promote_request *r,
		   struct tune_goal *out, struct err *err)
{
	const struct tune_goal unsaid = TUNE_GOAL_UNSAID;
	*out = r->goal ? *r->goal : unsaid;
	int has = catalog_index_goal(&x->meta, out, err);
	tune_goal_complete(out);
	return has > 0 && tune_goal_check(out, err) != 0 ? -1 : has;
}

/* 0; 1: somebody else changed the file first; -1. */
static int promote_once(struct gates *g, struct promotion_new *entry, struct buf *state,
			struct err *err)
{
	const struct promote_request *r = g->r;
	struct promotion p;
	struct store_tag tag;
	int there = catalog_promotion_get(g->x, &p, &tag, err), ret = -1;
	g->p = &p;
	if (there >= 0 && check_gates(g, &entry->floor, err) == 0) {
		bool again = entry->pin == PROMOTION_PINNED && p.current &&
			     span_same(p.current->trial_id, r->trial->id);
		ret = again ? promotion_set_pin(&p, entry->pin, err) : promotion_push(&p, entry, err);
	}
	if (ret == 0)
		ret = put(g->x, &p, there ? &tag : NULL, r->dry_run, state, err);
	promotion_release(&p);
	return ret;
}

int catalog_promote(struct catalog *c, const struct catalog_index *x,
		    const struct promote_request *r, struct buf *state, struct err *err)
{
	const struct trial *t = r->trial;
	struct promotion_new entry = {.config = t->config,
				      .trial_id = t->id,
				      .vectors_digest = t->vectors_digest,
				      .by = r->by,
				      .note = r->note,
				      .pin = r->pin};
	struct tune_goal goal;
	int has = goal_of(x, r, &goal, err), ret = has < 0 ? -1 : 1;
	struct gates g = {.c = c, .x = x, .r = r, .goal = has > 0 ? &goal : NULL};
	/* Nor does whoever has no goal undo what was promoted by one. */
	if (has > 0 && r->unattended && entry.pin == PROMOTION_NOT_PINNED)
		entry.pin = PROMOTION_PINNED_WITHOUT_GOAL;
	for (int i = 0; i < ATTEMPTS && ret == 1; i++)
		ret = promote_once(&g, &entry, state, err);
	return ret == 1 ? busy(x->name, err) : ret;
}

int catalog_unpin(const struct catalog_index *x, const char *expect, bool dry_run,
		  struct buf *state, struct err *err)
{
	int ret = 1;
	for (int i = 0; i < ATTEMPTS && ret == 1; i++) {
		struct promotion p;
		struct store_tag tag;
		int there = catalog_promotion_get(x, &p, &tag, err);
		ret = there < 0 || check_expect(&p, expect, err) != 0 ? -1
		      : !p.current ? err_set(err, ERR_NO, "nothing is promoted for '%s'", x->name)
				   : promotion_set_pin(&p, PROMOTION_NOT_PINNED, err);
		if (ret == 0)
			ret = put(x, &p, there ? &tag : NULL, dry_run, state, err);
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
