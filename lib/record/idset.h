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

/* 1: it was there; 0: it was not; -1: out of memory. */
int idset_has(const struct idset *s, struct span id);
int idset_add(struct idset *s, struct span id, struct err *err) MUST_CHECK;
void idset_release(struct idset *s);

#endif
