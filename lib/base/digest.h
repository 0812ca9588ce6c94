/* SPDX-License-Identifier: MIT */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_TEXT_MAX 33 /* 32 hex digits and the NUL */

/*
 * XXH64 of ${len} bytes, as `xxhsum -H1` prints it.
 * Source: the xxHash specification, github.com/Cyan4973/xxHash doc/xxhash_spec.md.
 */
uint64_t digest_xxh64(const void *data, size_t len, uint64_t seed);

/* The same over data that arrives in pieces. */
struct digest_stream {
	uint64_t lane[4], seed, total;
	unsigned char pending[32];
};

void digest_stream_init(struct digest_stream *s, uint64_t seed);
void digest_stream_add(struct digest_stream *s, const void *data, size_t len);
uint64_t digest_stream_end(const struct digest_stream *s);

/*
 * A digest of content: 128 bits from two differently seeded XXH64 streams.  It
 * names content and finds accidents; it does not resist someone who makes
 * collisions on purpose.
 */
struct digest {
	uint64_t hi, lo;
};

struct digest digest_of(const void *data, size_t len);

/* Add to a sum of digests, whose parts can come in any order. */
static inline void digest_add(struct digest *sum, struct digest d)
{
	sum->hi += d.hi;
	sum->lo += d.lo;
}

/* And take one out. */
static inline void digest_take(struct digest *sum, struct digest d)
{
	sum->hi -= d.hi;
	sum->lo -= d.lo;
}

/*
 * Digest of a sequence: feed items in order; the result depends on every item
 * and on the order.
 */
struct digest_seq {
	struct digest state;
	uint64_t count;
};

void digest_seq_add(struct digest_seq *s, const void *data, size_t len);
struct digest digest_seq_end(const struct digest_seq *s);

/* 32 lower-case hex digits. */
void digest_text(struct digest d, char out[static DIGEST_TEXT_MAX]);

#endif
