/* SPDX-License-Identifier: MIT */
/* The statistics of measuring and of the duel: simulated, seeded. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "stat/faster.h"
#include "stat/mean.h"
#include "tests/unit/tap.h"

#define ALPHA 1e-4 /* what trial-duel has for the latency ... */
#define BETA 0.01  /* ... and for giving up a challenger that is as fast as it looks for */
#define MARGIN 0.02
#define EFFECT 0.05
#define BLOCKS 3000 /* 60 s of blocks of 10 ms each side */

static struct rng rng = {20261120};

static double uniform(void)
{
	return ((double)(rng_next(&rng) >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* ---- a machine ---- */

enum tails { NORMAL, STUDENT, OUTLIERS };

/* How it disturbs what is measured on it. */
struct machine {
	double sigma; /* of the log of one time */
	enum tails tails;
	double drift;  /* speed wanders by this share and back within 500 blocks */
	double second; /* the second half of a block is slower by this share */
};

static double noise(const struct machine *m)
{
	double z = normal();
	if (m->tails == STUDENT) /* 3 degrees of freedom, scaled to variance 1 */
		z /= sqrt((pow(normal(), 2) + pow(normal(), 2) + pow(normal(), 2)) / 3) * sqrt(3);
	if (m->tails == OUTLIERS && uniform() < 0.03)
		return m->sigma * z + uniform() * 2; /* up to seven times as long */
	return m->sigma * z;
}

/* The log ratio of one block; ${advantage} of the challenger as a log ratio. */
static double block(const struct machine *m, double advantage, uint64_t number)
{
	double wave = m->drift * sin((double)number * 6.283185307179586 / 500);
	double slower =
	    m->drift * 6.283185307179586 / 500 / 2 * cos((double)number * 6.283185307179586 / 500);
	double first = wave + noise(m), last = wave + slower + m->second + noise(m);
	return rng_next(&rng) & 1 ? first - last + advantage : last - first + advantage;
}

static enum stat_verdict duel(const struct machine *m, double advantage, double alpha,
			      double margin, uint64_t max_blocks, uint64_t *blocks)
{
	struct stat_faster s;
	enum stat_verdict v = STAT_UNDECIDED;
	stat_faster_init(&s, alpha, BETA, margin, EFFECT);
	while (v == STAT_UNDECIDED && s.blocks < max_blocks)
		v = stat_faster_add(&s, block(m, advantage, s.blocks));
	*blocks += s.blocks;
	return v;
}

static const struct machine machines[] = {
    {0.01, NORMAL, 0.08, 0.005},  {0.03, NORMAL, 0.08, 0.005},	{0.10, NORMAL, 0.08, 0.005},
    {0.01, STUDENT, 0.08, 0.005}, {0.03, STUDENT, 0.08, 0.02},	{0.10, STUDENT, 0.08, 0.02},
    {0.03, OUTLIERS, 0.08, 0.02}, {0.10, OUTLIERS, 0.08, 0.02},
};
#define MACHINES ((int)(sizeof machines / sizeof machines[0]))

static const char *const tails[] = {"normal", "Student's t", "with outliers"};

/* A life is 100 challengers that are equal to the champion. */
static void test_equal(double margin, int each)
{
	int lives = 0, bad = 0;
	uint64_t blocks = 0;
	for (int m = 0; m < MACHINES; m++)
		for (int life = 0; life < each; life++, lives++) {
			int promoted = 0;
			for (int i = 0; i < 100; i++)
				promoted += duel(&machines[m], 0, ALPHA, margin, BLOCKS, &blocks) ==
					    STAT_FASTER;
			bad += promoted > 0;
		}
	ok(bad * 100 <= lives,
	   "margin %g: %d of %d lives of 100 equal challengers promote one (%.0f blocks a duel)",
	   margin, bad, lives, (double)blocks / lives / 100);
}

/* At the margin itself the stated error must hold as well; a large one can be counted. */
static void test_margin(void)
{
	const double alpha = 0.05;
	for (int m = 0; m < MACHINES; m++) {
		int wins = 0, n = 2000;
		uint64_t blocks = 0;
		for (int i = 0; i < n; i++)
			wins += duel(&machines[m], log1p(MARGIN), alpha, MARGIN, 400, &blocks) ==
				STAT_FASTER;
		/* Three standard deviations above the stated error. */
		ok(wins > 0 && wins <= n * alpha + 3 * sqrt(n * alpha * (1 - alpha)),
		   "noise of %.0f %%, %s: at the margin %d of %d are confirmed, stated %.0f",
		   machines[m].sigma * 100, tails[machines[m].tails], wins, n, n * alpha);
	}
}

static void test_power(void)
{
	for (int m = 0; m < MACHINES; m++) {
		int wins = 0, n = 300;
		uint64_t blocks = 0;
		for (int i = 0; i < n; i++)
			wins += duel(&machines[m], log1p(EFFECT), ALPHA, MARGIN, BLOCKS, &blocks) ==
				STAT_FASTER;
		ok(wins >= n * 0.95,
		   "noise of %.0f %%, %s: %d of %d that are 5 %% faster are promoted (%.0f blocks)",
		   machines[m].sigma * 100, tails[machines[m].tails], wins, n, (double)blocks / n);
	}
}

/* ---- recall ---- */

/* A population of queries: most find all of 10, some few. */
static double query_recall(double mean)
{
	double hard = 1.6 * (1 - mean) < 0.9 ? 1.6 * (1 - mean) : 0.9, p = 1;
	int hits = 0;
	if (uniform() < hard) /* these have (1 - mean) / hard missing on average */
		p = 1 - (1 - mean) / hard;
	for (int i = 0; i < 10; i++)
		hits += uniform() < p;
	return hits / 10.0;
}

static double lower_of(const double *v, uint64_t n)
{
	double lower = -1;
	struct err err;
	return stat_mean_lower(v, n, STAT_RECALL_ALPHA, &lower, &err) == 0 ? lower : -1;
}

static void test_floor(void)
{
	static double v[5000];
	const double floors[] = {0.9, 0.95, 0.99};
	const uint64_t sizes[] = {20, 100, 1000, 5000};
	for (size_t f = 0; f < 3; f++)
		for (size_t s = 0; s < 4; s++) {
			int passed = 0, passed_known = 0, n = 1000;
			for (int i = 0; i < n; i++) {
				double mean = 0;
				for (uint64_t q = 0; q < sizes[s]; q++)
					mean += v[q] = query_recall(floors[f] - 0.005);
				mean /= (double)sizes[s];
				passed += lower_of(v, sizes[s]) >= floors[f];
				passed_known += stat_mean_lower_known(
						    mean, sizes[s], STAT_RECALL_ALPHA) >= floors[f];
			}
			ok(passed <= n / 100 && passed_known <= n / 100,
			   "recall 0.005 under a floor of %g, %d queries: %d of %d pass (%d by the "
			   "mean alone)",
			   floors[f], (int)sizes[s], passed, n, passed_known);
		}
	int passed = 0;
	for (int i = 0; i < 200; i++) {
		for (int q = 0; q < 1000; q++)
			v[q] = query_recall(0.95);
		passed += lower_of(v, 1000) >= 0.91;
	}
	ok(passed >= 190, "recall 0.95, floor 0.91, 1000 queries: %d of 200 pass", passed);
}

static void test_lower(void)
{
	double v[1000];
	for (int i = 0; i < 1000; i++)
		v[i] = 1;
	double ten = lower_of(v, 10), thousand = lower_of(v, 1000);
	ok(ten > 0.4 && ten < 0.6, "ten perfect queries prove little: %.3f", ten);
	uint64_t needed = stat_needed(1, ten, 10, 0.9);
	ok(needed > 10 && needed < 1000 && lower_of(v, needed) >= 0.9 - 1e-9,
	   "%d are needed for 0.9, and do", (int)needed);
	ok(lower_of(v, needed - 1) < 0.9, "one less does not");
	ok(thousand > 0.99 && thousand < 1, "a thousand perfect ones: %.4f, never 1", thousand);
	double known = stat_mean_lower_known(1, 10, STAT_RECALL_ALPHA);
	ok(known > ten && fabs(known - pow(STAT_RECALL_ALPHA, 0.1)) < 1e-6,
	   "of ten perfect ones the mean tells all: alpha^(1/n)");
	v[0] = 0;
	ok(lower_of(v, 1) < 1e-9, "one query that finds nothing");
	ok(stat_needed(0.9, 0.8, 100, 0.9) == 0 && stat_needed(0.8, 0.7, 100, 0.9) == 0,
	   "no number of queries lifts a mean over itself");
	ok(stat_needed(0.95, 0.93, 1000, 0.92) == 1000, "enough is enough");
}

static void test_gain(void)
{
	static double d[1000];
	int wins = 0, found = 0, n = 2000;
	for (int i = 0; i < n; i++) {
		for (int q = 0; q < 1000; q++)
			d[q] = query_recall(0.95) - query_recall(0.95);
		wins += stat_mean_positive(d, 1000) >= log(20);
	}
	ok(wins <= n * 0.05 + 3 * sqrt(n * 0.05),
	   "equal recalls: %d of %d gains at an error of 0.05", wins, n);
	for (int i = 0; i < 100; i++) {
		for (int q = 0; q < 1000; q++)
			d[q] = query_recall(0.99) - query_recall(0.94);
		found += stat_mean_positive(d, 1000) >= log(2 / ALPHA);
	}
	ok(found >= 95, "0.99 against 0.94 with 1000 queries: %d of 100 are confirmed", found);
}

static void test_ranks(void)
{
	uint64_t lo, hi;
	stat_median_ranks(1, &lo, &hi);
	ok(lo == 0 && hi == 0, "one value");
	stat_median_ranks(6, &lo, &hi);
	ok(lo == 0 && hi == 5, "of six all");
	stat_median_ranks(10, &lo, &hi);
	ok(lo == 1 && hi == 8, "of ten the second to the ninth");
	stat_median_ranks(100, &lo, &hi);
	ok(lo == 39 && hi == 60, "of a hundred the 40th to the 61st");
	stat_median_ranks(1000, &lo, &hi);
	ok(lo >= 466 && lo <= 469 && hi == 999 - lo, "of a thousand by the normal distribution");
}

int main(void)
{
	test_equal(MARGIN, 250);
	test_equal(0, 125);
	test_margin();
	test_power();
	test_floor();
	test_lower();
	test_gain();
	test_ranks();
	return tap_end();
}
