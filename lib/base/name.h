/* SPDX-License-Identifier: MIT */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include "base/buf.h"

/* Names of indexes, datasets, eval sets, buckets, batches and generations: parts of keys. */

#define NAME_BYTES_MAX 200

/*
 * What keeps ${name} from being one, to follow it in a message ("has a slash"); NULL if nothing
 * does: UTF-8 of 1..200 bytes, no slash, no leading dot, no control character.
 */
const char *name_fault(struct span name);

/* The same for a key of several parts with '/' between. */
const char *name_path_fault(struct span path);

#endif
