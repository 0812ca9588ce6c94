/* SPDX-License-Identifier: MIT */
/* What is known of where the vectors of a dataset come from: vectors/<dataset>/embedding.json. */
#include <stdio.h>

#include "catalog/datasets_internal.h"
#include "catalog/layout.h"

static int get(struct store *s, const char *dataset, struct embedding *out, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	int ret = layout_key(&key, LAYOUT_EMBEDDING, dataset, err);
	*out = (struct embedding){0};
	if (ret == 0)
		ret = store_get(s, key.data, &text, NULL, err);
	if (ret > 0 && embedding_parse(out, buf_span(&text), err) != 0)
		ret = err_prefix(err, "'%s'", key.data);
	buf_release(&key);
	buf_release(&text);
	return ret;
}

static int put(struct store *s, const char *dataset, const struct embedding *e, struct err *err)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	int ret = layout_key(&key, LAYOUT_EMBEDDING, dataset, err);
	embedding_write(&text, e);
	if (ret == 0)
		ret = buf_ok(&text, err);
	if (ret == 0)
		ret = store_put(s, key.data, buf_span(&text), err);
	buf_release(&key);
	buf_release(&text);
	return ret;
}

/* What is known of the rows. */
static struct embedding of_rows(const struct dataset_append *a)
{
	struct embedding e = {0};
	if (a->from)
		e = *a->from;
	e.dimensions = a->rows->dim;
	return e;
}

int dataset_check_embedding(const struct dataset_place *p, const struct dataset_append *a,
			    struct embedding *is, struct err *err)
{
	struct embedding rows = of_rows(a);
	char what[CATALOG_NAME_MAX + 16];
	*is = (struct embedding){0};
	/* What a first batch that never came left behind counts for nothing. */
	int found = p->batches.count ? get(p->store, a->dataset, is, err) : 0;
	if (found <= 0)
		return found;
	snprintf(what, sizeof what, "dataset '%s'", a->dataset);
	return embedding_check(is, &rows, what, err) == 0 ? 1 : -1;
}

int dataset_keep_embedding(const struct dataset_place *p, const struct dataset_append *a,
			   struct err *err)
{
	struct embedding rows = of_rows(a);
	/* Of batches of before this was kept nothing is known; they count as what comes now. */
	return p->batches.count && !rows.embedder ? 0 : put(p->store, a->dataset, &rows, err);
}

int catalog_embedding_get(struct catalog *c, const char *dataset, const char *bucket,
			  struct embedding *out, struct err *err)
{
	struct dataset_place place;
	*out = (struct embedding){0};
	if (dataset_find(c, dataset, bucket, &place, err) != 0)
		return -1;
	int ret = place.store ? get(place.store, dataset, out, err) : 0;
	dataset_place_release(&place);
	return ret;
}
