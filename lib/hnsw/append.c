/* SPDX-License-Identifier: MIT */
/*
 * Going on with an index: its nodes stay what they are, further ones are inserted as in a build.
 * Rows are held as the old index holds its own, whose floats are not copied either.
 */
#include "hnsw/build_internal.h"


/* ---- ids ---- */

/* The ids of an index, or its row numbers, and then those of a set. */
static int join_ids(struct vec_set *joined, const struct hnsw *h, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	struct buf text = BUF_INIT;
	uint32_t first = hnsw_first_row(h);
	joined->id_end = mem_array(joined->rows, sizeof *joined->id_end, err);
	if (!joined->id_end)
		return -1;
	for (uint32_t i = 0; i < joined->rows; i++) {
		if (i < first)
			buf_addspan(&text, hnsw_id(h->older, i, tmp));
		else if (h->set->id_end)
			buf_addspan(&text, vec_set_id(h->set, i - first, tmp));
		else
			buf_addf(&text, "%u", i);
		joined->id_end[i] = text.len;
	}
	/* An empty text is not NULL. */
	buf_addc(&text, 0);
	joined->id_text = text.data;
	return buf_ok(&text, err);
}

static int keep_ids(struct hnsw *h, struct err *err)
{
	const struct vec_set *set = h->set;
	struct vec_set joined = {.dim = h->head.dim, .rows = h->head.rows};
	static char old[] = "old";
	int ret = -1;
	if (!h->older->id_end && !(set->id_end && set->rows))
		return 0;
	/* The parts are for messages only. */
	joined.part = mem_array(set->parts + 1, sizeof *joined.part, err);
	if (!joined.part)
		return -1;
	joined.part[0] = (struct vec_part){.rows = h->older->head.rows,
					   .name = h->older->name ? h->older->name : old,
					   .borrowed = true};
	for (joined.parts = 1; joined.parts <= set->parts; joined.parts++) {
		struct vec_part *p = &joined.part[joined.parts];
		*p = set->part[joined.parts - 1];
		p->first += h->older->head.rows;
		p->borrowed = true;
	}
	if (join_ids(&joined, h, err) == 0 && vec_set_check_ids(&joined, err) == 0)
		ret = hnsw_keep_ids(h, &joined, err);
	vec_set_release(&joined);
	return ret;
}

/* ---- the whole ---- */

static int check_fit(const struct hnsw *old, const struct vec_set *set,
		     const struct hnsw_build_opts *opts, struct err *err)
{
	if (opts->n_rungs)
		return err_set(err, ERR_USAGE, "rungs are for an index that is built anew");
	if (set->rows && set->dim != old->head.dim)
		return err_set(err, ERR_DATA, "'%s' has dimension %u, expected %u as in index '%s'",
			       set->part[0].name, set->dim, old->head.dim,
			       old->name ? old->name : "old");
	if (set->rows > VEC_MAX_ROWS - old->head.rows)
		return err_set(err, ERR_DATA, "more than %u rows", VEC_MAX_ROWS);
	return hnsw_check(old, err);
}

struct hnsw *hnsw_append(const struct hnsw *old, const struct vec_set *set, uint32_t ef_search,
			 const struct hnsw_build_opts *opts, struct err *err)
{
	if (check_fit(old, set, opts, err) != 0)
		return NULL;
	struct hnsw *h = mem_zeroed(1, sizeof *h, err);
	if (!h)
		return NULL;
	h->head = old->head;
	h->head.ef_search = ef_search;
	h->head.strays = 0;
	h->head.rows += set->rows;
	h->older = old;
	h->set = set;
	if (hnsw_load(h, old->head.storage, opts, err) != 0 || keep_ids(h, err) != 0 || hnsw_link_all(h, opts, err) != 0) {
		hnsw_free(h);
		return NULL;
	}
	return h;
}
