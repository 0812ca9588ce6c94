/* SPDX-License-Identifier: MIT */
#include "tune/propose.h"

#define ATTEMPTS 32
#define EXPLORE_PERCENT 25
#define SEED 42

/* Position of the pair's bit, or -1 if it is out of bounds (then it cannot be proposed). */
static int bit_of(const struct config *c)
{
	if (c->ef_construction < CONFIG_EF_CONSTRUCTION_MIN ||
	    c->ef_construction > CONFIG_EF_CONSTRUCTION_MAX ||
	    c->ef_search < CONFIG_EF_SEARCH_MIN || c->ef_search > CONFIG_EF_SEARCH_MAX)
		return -1;
	return (int)((c->ef_construction - CONFIG_EF_CONSTRUCTION_MIN) * PROPOSE_SEARCH_RANGE +
		     (c->ef_search - CONFIG_EF_SEARCH_MIN));
}

void propose_add_pending(struct propose_history *h, const struct config *c)
{
	int bit = c->rung ? -1 : bit_of(c);
	if (bit >= 0)
		h->tried[bit / 8] |= (unsigned char)(1 << bit % 8);
}

void propose_add_trial(struct propose_history *h, const struct config *c)
{
	if (c->rung)
		return;
	h->trials++;
	h->has_last = true;
	h->last = *c;
	propose_add_pending(h, c);
}

static uint64_t next(uint64_t *rng)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng;
}

static uint32_t clamp(int64_t v, int64_t min, int64_t max)
{
	return (uint32_t)(v < min ? min : v > max ? max : v);
}

bool propose_egreedy(struct propose_history *h, struct config *out)
{
	static const int step_construction[] = {-40, -20, -10, 10, 20, 40};
	static const int step_search[] = {-20, -10, -5, 5, 10, 20};
	struct config base = CONFIG_DEFAULT;
	if (h->has_champion)
		base = h->champion;
	else if (h->has_last)
		base = h->last;
	uint64_t rng = (h->trials * 0x9E3779B97F4A7C15u) | 1;
	for (int i = 0; i < ATTEMPTS; i++) {
		int64_t ec, es;
		if (next(&rng) % 100 < EXPLORE_PERCENT) {
			ec = CONFIG_EF_CONSTRUCTION_MIN +
			     (int64_t)(next(&rng) % PROPOSE_CONSTRUCTION_RANGE);
			es = CONFIG_EF_SEARCH_MIN + (int64_t)(next(&rng) % PROPOSE_SEARCH_RANGE);
		} else {
			ec = (int64_t)base.ef_construction + step_construction[next(&rng) % 6];
			es = (int64_t)base.ef_search + step_search[next(&rng) % 6];
		}
		struct config c = {
		    .ef_construction =
			clamp(ec, CONFIG_EF_CONSTRUCTION_MIN, CONFIG_EF_CONSTRUCTION_MAX),
		    .ef_search = clamp(es, CONFIG_EF_SEARCH_MIN, CONFIG_EF_SEARCH_MAX),
		    .m = base.m,
		    .seed = SEED,
		    .storage = base.storage,
		};
		int bit = bit_of(&c);
		if (h->tried[bit / 8] >> bit % 8 & 1)
			continue;
		propose_add_pending(h, &c);
		h->trials++;
		*out = c;
		return true;
	}
	return false;
}
