/* SPDX-License-Identifier: MIT */
#include "record/promotion.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static void entry_free(struct promotion_entry *e)
{
	if (e) {
		free(e->json);
		free(e);
	}
}

static void entries_free(struct promotion_entry **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		entry_free(list[i]);
	free(list);
}

static const char *const pin_names[] = {
    [PROMOTION_PINNED_WITHOUT_GOAL] = "without_goal",
    [PROMOTION_PINNED] = "always",
};

static void scan_pin(struct scan *s, enum promotion_pin *pin)
{
	struct span name;
	if (scan_null(s) || !scan_string(s, &name))
		return;
	for (int i = PROMOTION_PINNED_WITHOUT_GOAL; i <= PROMOTION_PINNED; i++)
		if (span_is(name, pin_names[i])) {
			*pin = (enum promotion_pin)i;
			return;
		}
	scan_fail(s, "expected pinned 'always' or 'without_goal'");
}

/* An entry from its JSON, which is copied. */
static struct promotion_entry *entry_new(struct span json, struct err *err)
{
	struct promotion_entry *e = mem_zeroed(1, sizeof *e, err);
	if (!e)
		return NULL;
	e->json = span_dup(json);
	e->len = json.n;
	if (!e->json) {
		entry_free(e);
		err_nomem(err);
		return NULL;
	}
	struct scan s;
	struct span key;
	bool config = false;
	scan_init(&s, (struct span){e->json, e->len});
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "config"))
				config = config_scan(&s, &e->config);
			else if (span_is(key, "trial_id"))
				scan_string(&s, &e->trial_id);
			else if (span_is(key, "promoted_at"))
				scan_string(&s, &e->promoted_at);
			else if (span_is(key, "promoted_by"))
				scan_string(&s, &e->promoted_by);
			else if (span_is(key, "note"))
				scan_optional(&s, &e->note);
			else if (span_is(key, "pinned"))
				scan_pin(&s, &e->pin);
			else if (span_is(key, "vectors_digest"))
				scan_optional(&s, &e->vectors_digest);
			else
				scan_skip(&s, NULL);
		}
	if (!scan_failed(&s) && (!config || !e->trial_id.p))
		scan_fail(&s, config ? "the entry has no 'trial_id'" : "the entry has no 'config'");
	if (!scan_failed(&s) && e->config.rung)
		scan_fail(&s, "the config is of a rung, expected one of all rows");
	if (!scan_end(&s)) {
		scan_err(&s, err);
		entry_free(e);
		return NULL;
	}
	return e;
}

/* Append to a list; the entry becomes the list's, even on failure. */
static int append(struct promotion_entry ***list, size_t *n, struct promotion_entry *e,
		  struct err *err)
{
	struct promotion_entry **grown = e ? mem_resize(*list, *n + 1, sizeof *grown, err) : NULL;
	if (!grown) {
		entry_free(e);
		return -1;
	}
	*list = grown;
	grown[(*n)++] = e;
	return 0;
}

/* Drop the oldest beyond the cap. */
static void cap(struct promotion_entry **list, size_t *n)
{
	while (*n > PROMOTION_HISTORY_MAX) {
		entry_free(list[0]);
		memmove(list, list + 1, --*n * sizeof *list);
	}
}

static int read_entries(struct scan *s, struct promotion_entry ***list, size_t *n, struct err *err)
{
	struct span json;
	if (scan_null(s) || !scan_array(s))
		return 0;
	while (scan_item(s))
		if (scan_skip(s, &json) && append(list, n, entry_new(json, err), err) != 0)
			return -1;
	return 0;
}

int promotion_init(struct promotion *p, const char *index, struct err *err)
{
	*p = (struct promotion){.index_name = span_dup(span_of(index))};
	return p->index_name ? 0 : err_nomem(err);
}

int promotion_parse(struct promotion *p, struct span text, struct err *err)
{
	struct scan s;
	struct span key, v;
	struct buf name = BUF_INIT;
	int ret = 0;
	*p = (struct promotion){0};
	scan_init(&s, text);
	if (scan_object(&s))
		while (ret == 0 && scan_member(&s, &key)) {
			if (span_is(key, "index_name")) {
				if (scan_string(&s, &v)) {
					buf_clear(&name);
					scan_decode(v, &name);
				}
			} else if (span_is(key, "current")) {
				if (!scan_null(&s) && scan_skip(&s, &v)) {
					entry_free(p->current);
					p->current = entry_new(v, err);
					ret = p->current ? 0 : -1;
				}
			} else if (span_is(key, "history")) {
				ret = read_entries(&s, &p->history, &p->n_history, err);
			} else if (span_is(key, "rolled_back")) {
				ret = read_entries(&s, &p->rolled_back, &p->n_rolled_back, err);
			} else if (span_is(key, "revision")) {
				scan_u64(&s, &p->revision);
			} else {
				extra_take(&p->extra, &s, key);
			}
		}
	if (ret == 0 && !scan_end(&s))
		ret = scan_err(&s, err);
	if (ret == 0) {
		p->index_name = span_dup(buf_span(&name));
		ret = p->index_name ? buf_ok(&name, err) : err_nomem(err);
	}
	buf_release(&name);
	if (ret != 0)
		promotion_release(p);
	return ret;
}

static void write_entry(struct json_out *j, const struct promotion_entry *e)
{
	json_raw(j, (struct span){e->json, e->len});
}

static void write_entries(struct json_out *j, const char *key, struct promotion_entry *const *list,
			  size_t n)
{
	json_key(j, key);
	json_open(j, '[');
	for (size_t i = 0; i < n; i++)
		write_entry(j, list[i]);
	json_close(j, ']');
}

void promotion_write(struct buf *out, const struct promotion *p)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	json_kv_cstr(&j, "index_name", p->index_name);
	json_key(&j, "current");
	if (p->current)
		write_entry(&j, p->current);
	else
		json_null(&j);
	write_entries(&j, "history", p->history, p->n_history);
	json_kv_u64(&j, "revision", p->revision);
	write_entries(&j, "rolled_back", p->rolled_back, p->n_rolled_back);
	extra_write(&j, &p->extra);
	json_close(&j, '}');
}

void promotion_release(struct promotion *p)
{
	free(p->index_name);
	entry_free(p->current);
	entries_free(p->history, p->n_history);
	entries_free(p->rolled_back, p->n_rolled_back);
	extra_release(&p->extra);
	*p = (struct promotion){0};
}

static void raw_string(struct json_out *j, const char *key, struct span raw)
{
	json_key(j, key);
	if (!raw.p) {
		json_null(j);
		return;
	}
	json_raw(j, span_of("\""));
	buf_addspan(j->b, raw);
	buf_addc(j->b, '"');
}

int promotion_push(struct promotion *p, const struct promotion_new *n, struct err *err)
{
	struct buf b = BUF_INIT;
	struct json_out j = {.b = &b};
	char now[CLOCK_TEXT_MAX];
	if (clock_now_text(now, err) != 0)
		return -1;
	json_open(&j, '{');
	json_key(&j, "config");
	config_write(&j, &n->config);
	raw_string(&j, "trial_id", n->trial_id);
	json_kv_cstr(&j, "promoted_at", now);
	json_kv_cstr(&j, "promoted_by", n->by);
	json_key(&j, "note");
	if (n->note)
		json_str(&j, span_of(n->note));
	else
		json_null(&j);
	if (n->vectors_digest.p)
		raw_string(&j, "vectors_digest", n->vectors_digest);
	if (n->floor != PROMOTION_NO_FLOOR) {
		json_key(&j, "floor_proven");
		json_bool(&j, n->floor == PROMOTION_FLOOR_PROVEN);
	}
	if (n->pin != PROMOTION_NOT_PINNED)
		json_kv_cstr(&j, "pinned", pin_names[n->pin]);
	json_close(&j, '}');
	int ret = buf_ok(&b, err);
	struct promotion_entry *e = ret == 0 ? entry_new(buf_span(&b), err) : NULL;
	buf_release(&b);
	if (!e)
		return -1;
	if (p->current) {
		struct promotion_entry *before = p->current;
		p->current = NULL;
		if (append(&p->history, &p->n_history, before, err) != 0) {
			entry_free(e);
			return -1;
		}
		cap(p->history, &p->n_history);
	}
	p->current = e;
	return 0;
}

int promotion_set_pin(struct promotion *p, enum promotion_pin pin, struct err *err)
{
	struct extra others = {0};
	struct buf b = BUF_INIT;
	struct json_out j = {.b = &b};
	struct scan s;
	struct span key;
	if (!p->current || p->current->pin == pin)
		return 0;
	scan_init(&s, (struct span){p->current->json, p->current->len});
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "pinned"))
				scan_skip(&s, NULL);
			else
				extra_take(&others, &s, key);
		}
	json_open(&j, '{');
	extra_write(&j, &others);
	if (pin != PROMOTION_NOT_PINNED)
		json_kv_cstr(&j, "pinned", pin_names[pin]);
	json_close(&j, '}');
	struct promotion_entry *e =
	    !scan_end(&s) ? (scan_err(&s, err), NULL)
			  : buf_ok(&b, err) == 0 ? entry_new(buf_span(&b), err) : NULL;
	extra_release(&others);
	buf_release(&b);
	if (!e)
		return -1;
	entry_free(p->current);
	p->current = e;
	return 0;
}

int promotion_pop(struct promotion *p, struct err *err)
{
	if (!p->current)
		return 0;
	struct promotion_entry *gone = p->current;
	p->current = NULL;
	if (append(&p->rolled_back, &p->n_rolled_back, gone, err) != 0)
		return -1;
	cap(p->rolled_back, &p->n_rolled_back);
	if (p->n_history)
		p->current = p->history[--p->n_history];
	return 1;
}

bool promotion_rolled_back(const struct promotion *p, const struct config *c,
			   struct span vectors_digest)
{
	for (size_t i = 0; i < p->n_rolled_back; i++) {
		const struct promotion_entry *e = p->rolled_back[i];
		if (config_same(&e->config, c) && (!e->vectors_digest.p || !vectors_digest.p ||
						   span_same(e->vectors_digest, vectors_digest)))
			return true;
	}
	return false;
}
