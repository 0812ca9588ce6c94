/* SPDX-License-Identifier: MIT */
#include "base/digest.h"

#include <stdio.h>
#include <string.h>

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

static uint64_t rotl(uint64_t x, int r)
{
	return (x << r) | (x >> (64 - r));
}

static uint64_t read64(const unsigned char *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return v;
}

static uint32_t read32(const unsigned char *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return v;
}

static uint64_t mix_lane(uint64_t acc, uint64_t input)
{
	return rotl(acc + input * P2, 31) * P1;
}

static uint64_t merge(uint64_t acc, uint64_t lane)
{
	return (acc ^ mix_lane(0, lane)) * P1 + P4;
}

void digest_stream_init(struct digest_stream *s, uint64_t seed)
{
	*s = (struct digest_stream){
	    .lane = {seed + P1 + P2, seed + P2, seed, seed - P1},
	    .seed = seed,
	};
}

/* Whole 32-byte stripes. */
static void stripes(uint64_t lane[4], const unsigned char *p, size_t count)
{
	uint64_t a = lane[0], b = lane[1], c = lane[2], d = lane[3];
	for (; count; count--, p += 32) {
		a = mix_lane(a, read64(p));
		b = mix_lane(b, read64(p + 8));
		c = mix_lane(c, read64(p + 16));
		d = mix_lane(d, read64(p + 24));
	}
	lane[0] = a;
	lane[1] = b;
	lane[2] = c;
	lane[3] = d;
}

void digest_stream_add(struct digest_stream *s, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t held = (size_t)(s->total % 32);
	s->total += len;
	if (held) {
		size_t take = len < 32 - held ? len : 32 - held;
		memcpy(s->pending + held, p, take);
		p += take;
		len -= take;
		if (held + take < 32)
			return;
		stripes(s->lane, s->pending, 1);
	}
	stripes(s->lane, p, len / 32);
	if (len % 32)
		memcpy(s->pending, p + len / 32 * 32, len % 32);
}

uint64_t digest_stream_end(const struct digest_stream *s)
{
	const unsigned char *p = s->pending, *end = p + s->total % 32;
	uint64_t h = s->seed + P5;
	if (s->total >= 32) {
		h = rotl(s->lane[0], 1) + rotl(s->lane[1], 7) + rotl(s->lane[2], 12) +
		    rotl(s->lane[3], 18);
		for (int i = 0; i < 4; i++)
			h = merge(h, s->lane[i]);
	}
	h += s->total;
	for (; end - p >= 8; p += 8)
		h = rotl(h ^ mix_lane(0, read64(p)), 27) * P1 + P4;
	if (end - p >= 4) {
		h = rotl(h ^ read32(p) * P1, 23) * P2 + P3;
		p += 4;
	}
	for (; p < end; p++)
		h = rotl(h ^ *p * P5, 11) * P1;
	h = (h ^ (h >> 33)) * P2;
	h = (h ^ (h >> 29)) * P3;
	return h ^ (h >> 32);
}

uint64_t digest_xxh64(const void *data, size_t len, uint64_t seed)
{
	struct digest_stream s;
	digest_stream_init(&s, seed);
	digest_stream_add(&s, data, len);
	return digest_stream_end(&s);
}

#define SEED_HI 0x243F6A8885A308D3u
#define SEED_LO 0x13198A2E03707344u

struct digest digest_of(const void *data, size_t len)
{
	return (struct digest){digest_xxh64(data, len, SEED_HI), digest_xxh64(data, len, SEED_LO)};
}

void digest_seq_add(struct digest_seq *s, const void *data, size_t len)
{
	s->state.hi = digest_xxh64(data, len, s->state.hi ^ SEED_HI);
	s->state.lo = digest_xxh64(data, len, s->state.lo ^ SEED_LO);
	s->count++;
}

struct digest digest_seq_end(const struct digest_seq *s)
{
	uint64_t all[3] = {s->state.hi, s->state.lo, s->count};
	return digest_of(all, sizeof all);
}

void digest_text(struct digest d, char out[static DIGEST_TEXT_MAX])
{
	snprintf(out, DIGEST_TEXT_MAX, "%016llx%016llx", (unsigned long long)d.hi,
		 (unsigned long long)d.lo);
}
