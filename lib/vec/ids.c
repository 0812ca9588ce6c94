/* SPDX-License-Identifier: MIT */
/* Ids of rows: reading them, and what to do if one comes twice. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vec/format_internal.h"

int vec_set_read_ids(struct vec_set *s, const char *path, struct err *err)
{
	struct buf text = BUF_INIT, ids = BUF_INIT;
	int ret = -1;
	uint64_t *end = mem_array(s->rows, sizeof *end, err), n = 0;
	if (!end || io_read_file(path, SIZE_MAX / 2, &text, err) != 0)
		goto out;
	for (char *p = text.data, *stop = text.data + text.len; p < stop; n++) {
		char *nl = memchr(p, '\n', (size_t)(stop - p));
		size_t len = (size_t)((nl ? nl : stop) - p);
		if (len > VEC_ID_MAX) {
			err_set(err, ERR_DATA, "'%s' line %llu: id is longer than %d bytes", path,
				(unsigned long long)n + 1, VEC_ID_MAX);
			goto out;
		}
		buf_add(&ids, p, len);
		if (n < s->rows)
			end[n] = ids.len;
		p += len + 1;
	}
	if (n != s->rows) {
		err_set(err, ERR_DATA, "'%s' has %llu lines, expected an id for each of %llu rows",
			path, (unsigned long long)n, (unsigned long long)s->rows);
		goto out;
	}
	buf_addc(&ids, 0);
	if (buf_ok(&ids, err) != 0)
		goto out;
	free(s->id_text);
	free(s->id_end);
	s->id_text = ids.data;
	s->id_end = end;
	ids = (struct buf)BUF_INIT;
	end = NULL;
	ret = vec_set_check_ids(s, err);
out:
	free(end);
	buf_release(&text);
	buf_release(&ids);
	return ret;
}

/* Rows by id: open addressing, at most half full; an entry is a row number plus one. */
struct id_table {
	const struct vec_set *set;
	uint32_t *entry;
	uint64_t slots;
};

static int table_init(struct id_table *t, const struct vec_set *s, struct err *err)
{
	*t = (struct id_table){.set = s, .slots = 16};
	while (t->slots < 2 * s->rows)
		t->slots *= 2;
	t->entry = mem_zeroed(t->slots, sizeof *t->entry, err);
	return t->entry ? 0 : -1;
}

/* True if no row of that id was taken before; else ${other} is that row. */
static bool table_take(struct id_table *t, uint64_t row, uint64_t *other)
{
	char tmp[VEC_ID_TEXT_MAX], other_tmp[VEC_ID_TEXT_MAX];
	struct span id = vec_set_id(t->set, row, tmp);
	uint64_t h = digest_xxh64(id.p, id.n, 0) & (t->slots - 1);
	for (; t->entry[h]; h = (h + 1) & (t->slots - 1)) {
		*other = t->entry[h] - 1u;
		if (span_same(vec_set_id(t->set, *other, other_tmp), id))
			return false;
	}
	t->entry[h] = (uint32_t)row + 1;
	return true;
}

int vec_set_check_ids(const struct vec_set *s, struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	struct id_table t;
	uint64_t other;
	if (!s->id_end || s->rows == 0)
		return 0;
	if (table_init(&t, s, err) != 0)
		return -1;
	int ret = 0;
	for (uint64_t i = 0; i < s->rows && ret == 0; i++)
		if (!table_take(&t, i, &other)) {
			struct span id = vec_set_id(s, i, tmp);
			ret = vec_set_fail(s, i, err, "id '%.*s' was already given to row %llu",
					   (int)(id.n < 100 ? id.n : 100), id.p,
					   (unsigned long long)other);
		}
	free(t.entry);
	return ret;
}

/* ---- the newest of each id ---- */

size_t vec_part_cut(struct vec_part *run, const struct vec_part *p, const bool *old,
		    uint64_t *first)
{
	size_t n = 0;
	uint64_t i = 0;
	do {
		while (i < p->rows && old[p->first + i])
			i++;
		uint64_t begin = i;
		while (i < p->rows && !old[p->first + i])
			i++;
		if (begin == i && n)
			break;
		run[n] = *p;
		run[n].data = p->data ? p->data + begin * p->stride : NULL;
		run[n].rows = i - begin;
		run[n].first = *first;
		run[n].skipped = p->skipped + begin;
		run[n].borrowed = p->borrowed || n;
		*first += run[n].rows;
		n++;
	} while (i < p->rows);
	return n;
}

static int drop_rows(struct vec_set *s, const bool *old, uint64_t dropped, struct err *err)
{
	struct vec_part *run = mem_array(s->parts + dropped, sizeof *run, err);
	uint64_t first = 0, kept = 0, text = 0, from = 0;
	size_t runs = 0;
	if (!run)
		return -1;
	for (size_t p = 0; p < s->parts; p++)
		runs += vec_part_cut(run + runs, &s->part[p], old, &first);
	for (uint64_t i = 0; i < s->rows; i++) {
		uint64_t end = s->id_end[i];
		if (!old[i]) {
			memmove(s->id_text + text, s->id_text + from, end - from);
			text += end - from;
			s->id_end[kept++] = text;
		}
		from = end;
	}
	free(s->part);
	s->part = run;
	s->parts = runs;
	s->rows = kept;
	return 0;
}

int vec_set_keep_newest(struct vec_set *s, struct err *err)
{
	struct id_table t;
	uint64_t newer, dropped = 0;
	if (!s->id_end || s->rows == 0)
		return 0;
	if (table_init(&t, s, err) != 0)
		return -1;
	bool *old = mem_zeroed(s->rows, sizeof *old, err);
	int ret = old ? 0 : -1;
	for (uint64_t i = s->rows; ret == 0 && i-- > 0;) {
		old[i] = !table_take(&t, i, &newer);
		dropped += old[i];
	}
	free(t.entry);
	if (ret == 0 && dropped)
		ret = drop_rows(s, old, dropped, err);
	free(old);
	return ret;
}
