/* SPDX-License-Identifier: MIT */
#ifndef EMBED_HASH_H
#define EMBED_HASH_H

#include "base/buf.h"

#define EMBED_HASH_DIM 256 /* when none is given */
#define EMBED_HASH_MAX_DIM 65536

/*
 * The built-in embedder, which needs no model: every word, and every run of 3 to 5
 * characters of a word with its ends marked, adds +1 or -1 at a place given by its hash;
 * the sum is scaled to unit length.  Letters count in lower case (ASCII only).  A text
 * without words gives the zero vector.  Deterministic.
 *
 * ${out}: ${dim} floats.  Source: Weinberger et al., "Feature hashing for large scale
 * multitask learning", ICML 2009; character runs as in Bojanowski et al., TACL 2017.
 */
int embed_hash(struct span text, float *out, size_t dim, struct err *err) MUST_CHECK;

#endif
