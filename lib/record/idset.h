/* SPDX-License-Identifier: MIT */
#ifndef RECORD_IDSET_H
#define RECORD_IDSET_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/digest.h"

/* A set of texts, kept as 128-bit digests. */
struct idset {
	struct digest *slot; /* all zero: free */
	size_t slots, count;
};

#define IDSET_INIT \
	{          \
		0  \
	}

bool idset_has(const struct idset *s, struct span id);

/* 1: it was there; 0: it was not; -1: out of memory. */
int idset_add(struct idset *s, struct span id, struct err *err) MUST_CHECK;

/* The same for a digest that idset_digest() gave. */
struct digest idset_digest(struct span id);
bool idset_has_digest(const struct idset *s, struct digest d);
int idset_add_digest(struct idset *s, struct digest d, struct err *err) MUST_CHECK;
void idset_release(struct idset *s);

#endif
