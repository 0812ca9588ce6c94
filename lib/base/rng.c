/* SPDX-License-Identifier: MIT */
#include "base/rng.h"

#include <errno.h>
#include <sys/random.h>

uint64_t rng_below(struct rng *r, uint64_t bound)
{
	unsigned __int128 m = (unsigned __int128)rng_next(r) * bound;
	if ((uint64_t)m < bound) {
		uint64_t reject = (0 - bound) % bound;
		while ((uint64_t)m < reject)
			m = (unsigned __int128)rng_next(r) * bound;
	}
	return (uint64_t)(m >> 64);
}

void rng_permutation(uint64_t seed, uint32_t *out, uint32_t n)
{
	struct rng r = {rng_mix(seed ^ 0x6a09e667f3bcc908u)};
	for (uint32_t i = 0; i < n; i++)
		out[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j = (uint32_t)rng_below(&r, i), t = out[i - 1];
		out[i - 1] = out[j];
		out[j] = t;
	}
}

int rng_system(void *out, size_t len, struct err *err)
{
	char *p = out;
	while (len) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, "cannot read random bytes");
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
