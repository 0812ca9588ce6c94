/* SPDX-License-Identifier: MIT */
/* The keys of a store, and the names in them. */
#include "catalog/layout.h"

#include <string.h>

#include "base/name.h"

static const struct {
	const char *dir, *end;
} layout[] = {
    [LAYOUT_META] = {"vectors/meta", ".json"},
    [LAYOUT_PROMOTIONS] = {"_hnsw_promotions", ".json"},
    [LAYOUT_EVALSET] = {"_hnsw_evals", ".json"},
    [LAYOUT_DATASET] = {"vectors", ""},
    [LAYOUT_EMBEDDING] = {"vectors", "/embedding.json"},
    [LAYOUT_SERVED] = {"_hnsw_active", ""},
    [LAYOUT_CURRENT] = {"_hnsw_active", "/current.json"},
    [LAYOUT_TUNING] = {"_hnsw_tuning", ""},
    [LAYOUT_PLACE] = {"_hnsw_place", ""},
    [LAYOUT_GATE] = {"_hnsw_gate", ""},
};

int layout_key(struct buf *key, enum layout what, const char *name, struct err *err)
{
	const char *fault = name_fault(span_of(name));
	if (fault)
		return err_set(err, ERR_DATA, "'%.100s' is no name in '%s/': it %s", name,
			       layout[what].dir, fault);
	buf_clear(key);
	buf_adds(key, layout[what].dir);
	buf_addc(key, '/');
	buf_adds(key, name);
	buf_adds(key, layout[what].end);
	return buf_ok(key, err);
}

/* Whether a file's name ends in ${end}, which is taken off. */
static bool cut_end(void *end, char *name)
{
	size_t n = strlen(name), tail = strlen(end);
	if (n <= tail || strcmp(name + n - tail, end) != 0)
		return false;
	name[n - tail] = 0;
	return true;
}

int layout_list(struct store *s, enum layout what, struct store_names *out, struct err *err)
{
	if (store_list(s, layout[what].dir, false, out, err) != 0)
		return -1;
	store_names_keep(out, cut_end, (void *)(uintptr_t)layout[what].end);
	store_names_sort(out);
	return 0;
}

int layout_check_name(const char *key, const char *member, const char *kind, const char *name,
		      struct err *err)
{
	const char *fault = name_fault(span_of(name));
	return fault
		   ? err_set(err, ERR_DATA,
			     "'%s' has the %s '%.100s', expected the name of %s %s, but it %s", key,
			     member, name, strchr("aeiou", kind[0]) ? "an" : "a", kind, fault)
		   : 0;
}

int layout_check_own(const char *key, const char *member, const char *expected, const char *name,
		     struct err *err)
{
	return strcmp(name, expected) != 0
		   ? err_set(err, ERR_DATA, "'%s' has the %s '%.100s', expected '%s'", key, member,
			     name, expected)
		   : 0;
}
