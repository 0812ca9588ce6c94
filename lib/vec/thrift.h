/* SPDX-License-Identifier: MIT */
#ifndef VEC_THRIFT_H
#define VEC_THRIFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * A pull reader of Thrift's compact protocol, in which Parquet writes what it says of itself
 * (github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).  It allocates
 * nothing.  After an error every call gives zeros and "no more"; look at ${failed} at the end.
 *
 *	struct thrift_field f = {0};
 *	while (thrift_field(&t, &f))
 *		if (f.id == 1)
 *			x = thrift_int(&t, &f);
 *		else
 *			thrift_skip(&t, f.type);
 */
struct thrift {
	const unsigned char *p, *end;
	bool failed;
};

enum thrift_type {
	THRIFT_STOP,
	THRIFT_TRUE, /* the value of a field stands in its type */
	THRIFT_FALSE,
	THRIFT_I8,
	THRIFT_I16,
	THRIFT_I32,
	THRIFT_I64,
	THRIFT_DOUBLE,
	THRIFT_BINARY,
	THRIFT_LIST,
	THRIFT_SET,
	THRIFT_MAP,
	THRIFT_STRUCT,
};

struct thrift_field {
	enum thrift_type type;
	int64_t id; /* at first 0 */
};

void thrift_init(struct thrift *t, struct span data);

/* The next field of a struct; false at its end. */
bool thrift_field(struct thrift *t, struct thrift_field *f);

/* A value; an error if the field has another type. */
int64_t thrift_int(struct thrift *t, const struct thrift_field *f);
bool thrift_bool(struct thrift *t, const struct thrift_field *f);
struct span thrift_text(struct thrift *t, const struct thrift_field *f);

/* Whether the field is a struct, whose fields come next; an error if not. */
bool thrift_struct(struct thrift *t, const struct thrift_field *f);

/* How many elements of that type a list has; they come next.  There are at most as many as bytes
 * left. */
uint64_t thrift_list(struct thrift *t, const struct thrift_field *f, enum thrift_type type);

void thrift_skip(struct thrift *t, enum thrift_type type);

/* The unsigned number at ${t}, 7 bits a byte; and one whose lowest bit is its sign. */
uint64_t thrift_varint(struct thrift *t);
int64_t thrift_zigzag(struct thrift *t);

#endif
