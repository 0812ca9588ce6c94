/* SPDX-License-Identifier: MIT */
#ifndef CATALOG_INDEX_INTERNAL_H
#define CATALOG_INDEX_INTERNAL_H

#include "catalog/catalog.h"

/* The bucket that everything registered is in. */
struct store *catalog_primary(struct catalog *c, struct err *err) MUST_CHECK;

/* The bucket that an IndexMeta names, which may be empty. */
const char *catalog_home(const struct index_meta *m);

/*
 * Keep an index in its bucket, as whoever writes for it does, or, ${alone}, let nobody write for
 * it.  NULL: ERR_TEMP if that takes longer than STORE_WAIT.
 */
struct store_lock *catalog_place_lock(struct catalog *c, const char *index, bool alone,
				      struct err *err) MUST_CHECK;

#endif
