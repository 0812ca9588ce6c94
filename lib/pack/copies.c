/* SPDX-License-Identifier: MIT */
/*
 * Snappy and LZ4 blocks.  Both are a list of literals and of copies of what came before; they
 * differ in how these are written.
 */
#include "pack/pack.h"

struct unpacker {
	const unsigned char *in, *in_end;
	unsigned char *begin, *out, *end;
};

static int take_literal(struct unpacker *u, size_t n)
{
	if (n > (size_t)(u->in_end - u->in) || n > (size_t)(u->end - u->out))
		return -1;
	if (n)
		memcpy(u->out, u->in, n);
	u->in += n;
	u->out += n;
	return 0;
}

/* Copy ${n} bytes from ${back} bytes before; where these overlap, they repeat. */
static int take_copy(struct unpacker *u, size_t back, size_t n)
{
	if (back == 0 || back > (size_t)(u->out - u->begin) || n > (size_t)(u->end - u->out))
		return -1;
	const unsigned char *from = u->out - back;
	if (back >= n) {
		memcpy(u->out, from, n);
		u->out += n;
		return 0;
	}
	while (n--)
		*u->out++ = *from++;
	return 0;
}

/* ${n} bytes, little-endian. */
static int take_number(struct unpacker *u, unsigned n, size_t *out)
{
	if ((size_t)(u->in_end - u->in) < n)
		return -1;
	*out = 0;
	for (unsigned i = 0; i < n; i++)
		*out |= (size_t)*u->in++ << 8 * i;
	return 0;
}

static struct unpacker unpacker_of(struct span in, unsigned char *out, size_t size)
{
	const unsigned char *p = (const unsigned char *)in.p;
	return (struct unpacker){p, p + in.n, out, out, out + size};
}

/* ---- Snappy ---- */

/* The length of what is unpacked, 7 bits a byte. */
static int take_length(struct unpacker *u, size_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 35 && u->in < u->in_end; shift += 7) {
		size_t byte = *u->in++;
		*out |= (byte & 127) << shift;
		if (byte < 128)
			return 0;
	}
	return -1;
}

static int take_element(struct unpacker *u)
{
	size_t tag = *u->in++, length = tag >> 2, low = 0;
	switch (tag & 3) {
	case 0:
		if (length >= 60 && take_number(u, (unsigned)length - 59, &length) != 0)
			return -1;
		return take_literal(u, length + 1);
	case 1:
		if (take_number(u, 1, &low) != 0)
			return -1;
		return take_copy(u, (tag >> 5) << 8 | low, (length & 7) + 4);
	default:
		if (take_number(u, (tag & 3) == 2 ? 2 : 4, &low) != 0)
			return -1;
		return take_copy(u, low, length + 1);
	}
}

int pack_snappy(struct span in, unsigned char *out, size_t size)
{
	struct unpacker u = unpacker_of(in, out, size);
	size_t length;
	if (take_length(&u, &length) != 0 || length != size)
		return -1;
	while (u.in < u.in_end)
		if (take_element(&u) != 0)
			return -1;
	return u.out == u.end ? 0 : -1;
}

/* ---- LZ4 ---- */

/* A length of 15 goes on in the bytes that follow, up to one that is not 255. */
static int take_more(struct unpacker *u, size_t *n)
{
	size_t byte = *n == 15 ? 255 : 0;
	while (byte == 255) {
		if (take_number(u, 1, &byte) != 0)
			return -1;
		*n += byte;
	}
	return 0;
}

int pack_lz4(struct span in, unsigned char *out, size_t size)
{
	struct unpacker u = unpacker_of(in, out, size);
	while (u.in < u.in_end) {
		size_t token = *u.in++, literals = token >> 4, copy = token & 15, back;
		if (take_more(&u, &literals) != 0 || take_literal(&u, literals) != 0)
			return -1;
		/* The last sequence has literals only. */
		if (u.in == u.in_end)
			break;
		if (take_number(&u, 2, &back) != 0 || take_more(&u, &copy) != 0 ||
		    take_copy(&u, back, copy + 4) != 0)
			return -1;
	}
	return u.out == u.end ? 0 : -1;
}
