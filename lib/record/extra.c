/* SPDX-License-Identifier: MIT */
#include "record/extra.h"

void extra_take(struct extra *x, struct scan *s, struct span key)
{
	struct span value;
	if (!scan_skip(s, &value))
		return;
	if (x->text.len)
		buf_addc(&x->text, ',');
	buf_addc(&x->text, '"');
	buf_addspan(&x->text, key);
	buf_adds(&x->text, "\":");
	buf_addspan(&x->text, value);
}

void extra_write(struct json_out *j, const struct extra *x)
{
	if (x->text.failed)
		j->b->failed = true;
	if (x->text.len)
		json_raw(j, buf_span(&x->text));
}

void extra_release(struct extra *x)
{
	buf_release(&x->text);
}
