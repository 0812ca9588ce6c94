/* SPDX-License-Identifier: MIT */
#include "catalog/catalog.h"

#include <string.h>

#include "stat/mean.h"

#define ATTEMPTS 100 /* at compare-and-swap before giving up */

static int promotion_key(struct buf *key, const char *index, struct err *err)
{
	buf_adds(key, "_hnsw_promotions/");
	buf_adds(key, index);
	buf_adds(key, ".json");
	return buf_ok(key, err);
}

static int get_from(struct store *s, const char *index, struct promotion *p, struct store_tag *tag,
		    struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	*p = (struct promotion){0};
	int ret = promotion_key(&key, index, err);
	if (ret == 0)
		ret = store_get(s, key.data, &text, tag, err);
	if (ret == 0 && promotion_init(p, index, err) != 0)
		ret = -1;
	if (ret > 0 && promotion_parse(p, buf_span(&text), err) != 0)
		ret = err_prefix(err, "promotions of '%s'", index);
	if (ret > 0 && strcmp(p->index_name, index) != 0) {
		ret = err_set(err, ERR_DATA, "'%s' has the index_name '%s', expected '%s'",
			      key.data, p->index_name, index);
		promotion_release(p);
	}
	buf_release(&key);
	buf_release(&text);
	return ret;
}

int catalog_promotion_get(struct catalog *c, const char *index, struct promotion *p,
			  struct store_tag *tag, struct err *err)
{
	struct store *s = catalog_bucket_of(c, index, err);
	*p = (struct promotion){0};
	return s ? get_from(s, index, p, tag, err) : -1;
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
static int check_stored(struct catalog *c, struct store *s, const struct promotion *p,
			const struct promote_request *r, struct err *err)
{
	struct buf id = BUF_INIT, line = BUF_INIT;
	struct trial champion;
	int ret = 0;
	scan_decode(p->current->trial_id, &id);
	int found = buf_ok(&id, err) != 0 ? -1
					  : trial_log_find(s, r->index, buf_span(&id), &line,
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
static int check_better(struct catalog *c, struct store *s, const struct promotion *p,
			const struct promote_request *r, struct err *err)
{
	if (!p->current)
		return 0;
	if (r->trust_stored)
		return check_stored(c, s, p, r, err);
	if (!r->verdict)
		return err_set(
		    err, ERR_NO,
		    "it is not confirmed that it beats the champion: let trial-duel tell "
		    "(--confirm), or compare the stored figures (--trust-stored)");
	return verdict_confirms(r->verdict, r->trial, &p->current->config, err);
}

/* ERR_NO unless the recall reaches the floor. */
static int check_floor(const struct promote_request *r, struct err *err)
{
	const struct metrics *m = &r->trial->metrics;
	double lower = trial_recall_lower(r->trial), floor = r->min_recall;
	if (floor <= 0 ||
	    (r->trust_stored ? (float)m->recall_at_k >= (float)floor : lower >= floor))
		return 0;
	if ((float)m->recall_at_k < (float)floor)
		return err_set(err, ERR_NO, "recall=%.4f is below the floor of %g", m->recall_at_k,
			       floor);
	uint64_t needed = stat_needed(m->recall_at_k, lower, m->eval_queries, floor);
	if (needed == 0)
		return err_set(err, ERR_NO,
			       "recall=%.4f is not above the floor of %g, so no number of queries "
			       "proves that it is reached",
			       m->recall_at_k, floor);
	return err_set(
	    err, ERR_NO,
	    "recall=%.4f of %llu queries proves no more than %.4f, below the floor of %g: "
	    "about %llu queries are needed",
	    m->recall_at_k, (unsigned long long)m->eval_queries, lower, floor,
	    (unsigned long long)needed);
}

static int check_gates(struct catalog *c, struct store *s, const struct promotion *p,
		       const struct promote_request *r, struct err *err)
{
	const struct trial *t = r->trial;
	if (check_expect(p, r->expect, err) != 0 || check_floor(r, err) != 0)
		return -1;
	if (r->unattended && promotion_rolled_back(p, &t->config, t->vectors_digest))
		return err_set(err, ERR_NO, "this config was rolled back on the same vectors");
	return r->if_better ? check_better(c, s, p, r, err) : 0;
}

/* Write the state if the file still has the tag; 0, 1: it was changed, -1. */
static int put(struct store *s, const char *index, struct promotion *p, const struct store_tag *tag,
	       bool dry_run, struct buf *state, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	p->revision++;
	promotion_write(&text, p);
	buf_addc(&text, '\n');
	int ret = buf_ok(&text, err) != 0 ? -1 : promotion_key(&key, index, err);
	if (ret == 0 && !dry_run)
		ret = store_swap(s, key.data, tag, buf_span(&text), err);
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

int catalog_promote(struct catalog *c, const struct promote_request *r, struct buf *state,
		    struct err *err)
{
	struct store *s = catalog_bucket_to_write(c, r->index, err);
	const struct trial *t = r->trial;
	struct promotion_new entry = {.config = t->config,
				      .trial_id = t->id,
				      .vectors_digest = t->vectors_digest,
				      .by = r->by,
				      .note = r->note};
	int ret = 1;
	if (!s)
		return -1;
	for (int i = 0; i < ATTEMPTS && ret == 1; i++) {
		struct promotion p;
		struct store_tag tag;
		int there = get_from(s, r->index, &p, &tag, err);
		if (there < 0 || check_gates(c, s, &p, r, err) != 0 ||
		    promotion_push(&p, &entry, err) != 0)
			ret = -1;
		else
			ret = put(s, r->index, &p, there ? &tag : NULL, r->dry_run, state, err);
		promotion_release(&p);
	}
	return ret == 1 ? busy(r->index, err) : ret;
}

int catalog_rollback(struct catalog *c, const char *index, const char *expect, bool dry_run,
		     struct buf *state, struct err *err)
{
	struct store *s = catalog_bucket_to_write(c, index, err);
	int ret = 1;
	if (!s)
		return -1;
	for (int i = 0; i < ATTEMPTS && ret == 1; i++) {
		struct promotion p;
		struct store_tag tag;
		int there = get_from(s, index, &p, &tag, err);
		ret = -1;
		if (there >= 0 && check_expect(&p, expect, err) == 0) {
			int popped = promotion_pop(&p, err);
			if (popped == 0)
				err_set(err, ERR_NO, "nothing is promoted for '%s'", index);
			if (popped > 0)
				ret = put(s, index, &p, there ? &tag : NULL, dry_run, state, err);
		}
		promotion_release(&p);
	}
	return ret == 1 ? busy(index, err) : ret;
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
		if (!s || store_list(s, "_hnsw_promotions", false, &files, &why) != 0) {
			warn(&c->warn, "leaving out bucket '%s': %s", all.name[i], why.msg);
			continue;
		}
		for (size_t f = 0; ret == 0 && f < files.count; f++) {
			size_t n = strlen(files.name[f]);
			if (n <= 5 || strcmp(files.name[f] + n - 5, ".json") != 0)
				continue;
			files.name[f][n - 5] = 0;
			ret = store_names_add(out, files.name[f], err);
		}
		store_names_release(&files);
	}
	store_names_release(&all);
	if (ret != 0)
		store_names_release(out);
	store_names_sort_unique(out);
	return ret;
}
