/* SPDX-License-Identifier: MIT */
#include "record/idset.h"

#include <stdlib.h>

#include "base/mem.h"

static bool is_free(const struct digest *d)
{
	return d->hi == 0 && d->lo == 0;
}

static struct digest *find(const struct idset *s, struct digest d)
{
	size_t at = d.hi & (s->slots - 1);
	while (!is_free(&s->slot[at]) && (s->slot[at].hi != d.hi || s->slot[at].lo != d.lo))
		at = (at + 1) & (s->slots - 1);
	return &s->slot[at];
}

struct digest idset_digest(struct span id)
{
	struct digest d = digest_of(id.p, id.n);
	d.lo |= 1; /* never looks free */
	return d;
}

bool idset_has_digest(const struct idset *s, struct digest d)
{
	return s->slots && !is_free(find(s, d));
}

bool idset_has(const struct idset *s, struct span id)
{
	return idset_has_digest(s, idset_digest(id));
}

static int grow(struct idset *s, struct err *err)
{
	struct idset bigger = {.slots = s->slots ? 2 * s->slots : 64, .count = s->count};
	bigger.slot = mem_zeroed(bigger.slots, sizeof *bigger.slot, err);
	if (!bigger.slot)
		return -1;
	for (size_t i = 0; i < s->slots; i++)
		if (!is_free(&s->slot[i]))
			*find(&bigger, s->slot[i]) = s->slot[i];
	free(s->slot);
	*s = bigger;
	return 0;
}

int idset_add(struct idset *s, struct span id, struct err *err)
{
	return idset_add_digest(s, idset_digest(id), err);
}

int idset_add_digest(struct idset *s, struct digest d, struct err *err)
{
	if (2 * (s->count + 1) > s->slots && grow(s, err) != 0)
		return -1;
	struct digest *at = find(s, d);
	if (!is_free(at))
		return 1;
	*at = d;
	s->count++;
	return 0;
}

void idset_release(struct idset *s)
{
	free(s->slot);
	*s = (struct idset)IDSET_INIT;
}
