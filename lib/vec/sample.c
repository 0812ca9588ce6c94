/* SPDX-License-Identifier: MIT */
/* Some rows of a set as a set, which reads them where they lie. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "vec/format_internal.h"

/* The rows that stay as runs of their files, all of them borrowed. */
static int view_parts(const struct vec_set *s, const bool *left_out, struct vec_set *out,
		      struct err *err)
{
	uint64_t dropped = s->rows - out->rows, first = 0;
	out->part = mem_array(s->parts + (dropped < out->rows ? dropped : out->rows),
			      sizeof *out->part, err);
	if (!out->part)
		return -1;
	for (size_t p = 0; p < s->parts; p++)
		out->parts += vec_part_cut(out->part + out->parts, &s->part[p], left_out, &first);
	for (size_t i = 0; i < out->parts; i++)
		out->part[i].borrowed = true;
	return 0;
}

static int copy_ids(const struct vec_set *s, const bool *left_out, struct vec_set *out,
		    struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	struct buf text = BUF_INIT;
	uint64_t n = 0;
	out->id_end = mem_array(out->rows, sizeof *out->id_end, err);
	if (!out->id_end)
		return -1;
	for (uint64_t i = 0; i < s->rows; i++) {
		if (left_out[i])
			continue;
		buf_addspan(&text, vec_set_id(s, i, tmp));
		out->id_end[n++] = text.len;
	}
	/* An empty text is not NULL. */
	buf_addc(&text, 0);
	out->id_text = text.data;
	return buf_ok(&text, err);
}

int vec_set_sample(const struct vec_set *s, uint64_t seed, uint64_t rows, uint32_t *number,
		   struct vec_set *out, struct err *err)
{
	int ret = -1;
	*out = (struct vec_set){.dim = s->dim, .rows = rows < s->rows ? rows : s->rows};
	uint32_t *order = mem_array(s->rows, sizeof *order, err);
	bool *left_out = mem_array(s->rows, sizeof *left_out, err);
	if (!order || !left_out)
		goto out;
	rng_permutation(seed, order, (uint32_t)s->rows);
	memset(left_out, true, s->rows * sizeof *left_out);
	for (uint64_t i = 0; i < out->rows; i++)
		left_out[order[i]] = false;
	for (uint32_t i = 0, n = 0; number && i < s->rows; i++)
		number[i] = left_out[i] ? UINT32_MAX : n++;
	if (view_parts(s, left_out, out, err) != 0 || copy_ids(s, left_out, out, err) != 0)
		goto out;
	ret = 0;
out:
	free(order);
	free(left_out);
	if (ret != 0)
		vec_set_release(out);
	return ret;
}
