/* SPDX-License-Identifier: MIT */
#include "vec/thrift.h"

#define MAX_DEPTH 32 /* of what is skipped */

void thrift_init(struct thrift *t, struct span data)
{
	const unsigned char *p = (const unsigned char *)data.p;
	*t = (struct thrift){p, p + data.n, false};
}

static uint64_t fail(struct thrift *t)
{
	t->failed = true;
	t->p = t->end;
	return 0;
}

static unsigned char take_byte(struct thrift *t)
{
	return t->p < t->end ? *t->p++ : (unsigned char)fail(t);
}

uint64_t thrift_varint(struct thrift *t)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64 && t->p < t->end; shift += 7) {
		uint64_t byte = *t->p++;
		v |= (byte & 127) << shift;
		if (byte < 128)
			return v;
	}
	return fail(t);
}

int64_t thrift_zigzag(struct thrift *t)
{
	uint64_t v = thrift_varint(t);
	return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

bool thrift_field(struct thrift *t, struct thrift_field *f)
{
	unsigned char head = take_byte(t);
	f->type = head & 15;
	if (f->type == THRIFT_STOP || f->type > THRIFT_STRUCT) {
		if (f->type != THRIFT_STOP)
			fail(t);
		return false;
	}
	f->id = head >> 4 ? f->id + (head >> 4) : thrift_zigzag(t);
	/* Ids have 16 bits; any other is one that nobody knows. */
	if (f->id < INT16_MIN || f->id > INT16_MAX)
		fail(t);
	return !t->failed;
}

int64_t thrift_int(struct thrift *t, const struct thrift_field *f)
{
	if (f->type == THRIFT_I8)
		return (signed char)take_byte(t);
	return f->type == THRIFT_I16 || f->type == THRIFT_I32 || f->type == THRIFT_I64
		   ? thrift_zigzag(t)
		   : (int64_t)fail(t);
}

bool thrift_bool(struct thrift *t, const struct thrift_field *f)
{
	if (f->type != THRIFT_TRUE && f->type != THRIFT_FALSE)
		fail(t);
	return f->type == THRIFT_TRUE;
}

static struct span take_bytes(struct thrift *t)
{
	uint64_t n = thrift_varint(t);
	if (n > (uint64_t)(t->end - t->p))
		fail(t);
	if (t->failed)
		return (struct span){"", 0};
	struct span s = {(const char *)t->p, n};
	t->p += n;
	return s;
}

struct span thrift_text(struct thrift *t, const struct thrift_field *f)
{
	if (f->type != THRIFT_BINARY)
		fail(t);
	return take_bytes(t);
}

bool thrift_struct(struct thrift *t, const struct thrift_field *f)
{
	if (f->type != THRIFT_STRUCT)
		fail(t);
	return !t->failed;
}

/* The head of a list: its length and the type of its elements. */
static uint64_t take_list(struct thrift *t, enum thrift_type *type)
{
	unsigned char head = take_byte(t);
	uint64_t n = head >> 4 == 15 ? thrift_varint(t) : (uint64_t)head >> 4;
	*type = head & 15;
	return n <= (uint64_t)(t->end - t->p) ? n : fail(t);
}

uint64_t thrift_list(struct thrift *t, const struct thrift_field *f, enum thrift_type type)
{
	enum thrift_type found;
	if (f->type != THRIFT_LIST && f->type != THRIFT_SET)
		return fail(t);
	uint64_t n = take_list(t, &found);
	return n == 0 || found == type ? n : fail(t);
}

static void skip(struct thrift *t, enum thrift_type type, int depth, bool in_list);

static void skip_elements(struct thrift *t, uint64_t n, enum thrift_type type, int depth)
{
	for (uint64_t i = 0; i < n && !t->failed; i++)
		skip(t, type, depth, true);
}

static void skip_map(struct thrift *t, int depth)
{
	uint64_t n = thrift_varint(t);
	if (n > (uint64_t)(t->end - t->p))
		fail(t);
	unsigned char types = n && !t->failed ? take_byte(t) : 0;
	for (uint64_t i = 0; i < n && !t->failed; i++) {
		skip(t, types >> 4, depth, true);
		skip(t, types & 15, depth, true);
	}
}

static void skip(struct thrift *t, enum thrift_type type, int depth, bool in_list)
{
	struct thrift_field f = {0};
	enum thrift_type of;
	uint64_t n;
	if (depth == 0)
		fail(t);
	if (t->failed)
		return;
	switch (type) {
	case THRIFT_TRUE:
	case THRIFT_FALSE:
		if (!in_list)
			return;
		take_byte(t);
		return;
	case THRIFT_I8:
		take_byte(t);
		return;
	case THRIFT_I16:
	case THRIFT_I32:
	case THRIFT_I64:
		thrift_varint(t);
		return;
	case THRIFT_DOUBLE:
		for (int i = 0; i < 8; i++)
			take_byte(t);
		return;
	case THRIFT_BINARY:
		take_bytes(t);
		return;
	case THRIFT_LIST:
	case THRIFT_SET:
		n = take_list(t, &of);
		skip_elements(t, n, of, depth - 1);
		return;
	case THRIFT_MAP:
		skip_map(t, depth - 1);
		return;
	case THRIFT_STRUCT:
		while (thrift_field(t, &f))
			skip(t, f.type, depth - 1, false);
		return;
	default:
		fail(t);
	}
}

void thrift_skip(struct thrift *t, enum thrift_type type)
{
	skip(t, type, MAX_DEPTH, false);
}
