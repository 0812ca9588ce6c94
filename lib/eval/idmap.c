/* SPDX-License-Identifier: MIT */
#include "eval/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Open addressing over the ids that are looked for. */
struct entry {
	const char *id; /* NULL: free */
	uint32_t row;
};

struct idmap {
	struct entry *entry;
	uint64_t slots;
};

static struct entry *find(const struct idmap *m, struct span id)
{
	uint64_t at = digest_xxh64(id.p, id.n, 0) & (m->slots - 1);
	while (m->entry[at].id && !span_is(id, m->entry[at].id))
		at = (at + 1) & (m->slots - 1);
	return &m->entry[at];
}

static void want(struct idmap *m, const char *id)
{
	struct entry *e = find(m, span_of(id));
	*e = (struct entry){id, IDMAP_NONE};
}

static uint32_t row_of(const struct idmap *m, const char *id)
{
	return find(m, span_of(id))->row;
}

int eval_rows_find(struct eval_rows *r, const struct evalset *e, const struct id_source *source,
		   struct err *err)
{
	struct idmap m = {.slots = 64};
	uint64_t ids = 0;
	char tmp[VEC_ID_MAX];
	for (uint64_t i = 0; i < e->n; i++)
		ids += e->query[i].n_truth + (e->query[i].exclude != NULL);
	while (m.slots < 2 * ids)
		m.slots *= 2;
	m.entry = mem_zeroed(m.slots, sizeof *m.entry, err);
	r->truth = mem_array(e->n, e->k * sizeof *r->truth, err);
	r->exclude = mem_array(e->n, sizeof *r->exclude, err);
	if (!m.entry || !r->truth || !r->exclude) {
		free(m.entry);
		eval_rows_release(r);
		return -1;
	}
	for (uint64_t i = 0; i < e->n; i++) {
		for (uint32_t t = 0; t < e->query[i].n_truth; t++)
			want(&m, e->query[i].truth[t]);
		if (e->query[i].exclude)
			want(&m, e->query[i].exclude);
	}
	for (uint64_t row = 0; row < source->rows; row++) {
		struct entry *found = find(&m, source->id(source->ctx, row, tmp));
		if (found->id)
			found->row = (uint32_t)row;
	}
	for (uint64_t i = 0; i < e->n; i++) {
		const struct evalset_query *q = &e->query[i];
		for (uint32_t t = 0; t < e->k; t++)
			r->truth[i * e->k + t] =
			    t < q->n_truth ? row_of(&m, q->truth[t]) : IDMAP_NONE;
		r->exclude[i] = q->exclude ? row_of(&m, q->exclude) : IDMAP_NONE;
	}
	free(m.entry);
	return 0;
}

void eval_rows_release(struct eval_rows *r)
{
	free(r->truth);
	free(r->exclude);
	*r = (struct eval_rows){0};
}

void eval_ids_digest(const struct id_source *source, bool said, char out[static DIGEST_TEXT_MAX])
{
	char tmp[VEC_ID_TEXT_MAX], number[VEC_ID_TEXT_MAX];
	struct vec_set numbers = VEC_SET_INIT;
	struct digest_seq seq = {0};
	bool others = false;
	digest_seq_add(&seq, &source->rows, sizeof source->rows);
	for (uint64_t i = 0; said && !others && i < source->rows; i++)
		others = !span_same(source->id(source->ctx, i, tmp), vec_set_id(&numbers, i, number));
	for (uint64_t i = 0; others && i < source->rows; i++) {
		struct span id = source->id(source->ctx, i, tmp);
		digest_seq_add(&seq, id.p, id.n);
	}
	digest_text(digest_seq_end(&seq), out);
}
