/* SPDX-License-Identifier: MIT */
/*
 * Vectors for benchmarks: points of a random linear map of a low-dimensional mixture of
 * Gaussians, plus noise.
 *
 *	generate ROWS DIM CLUSTERS LATENT NOISE SEED OUT.fbin
 *
 * CLUSTERS 0: uniform in a cube instead.  Equal arguments give equal bytes.  The clusters
 * depend on DIM, CLUSTERS, LATENT and SEED only when SEED is below 1000; seeds S and
 * S + 1000 draw different points of the same mixture, so one can serve as queries.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"

static double uniform(struct rng *r)
{
	return (double)(rng_next(r) >> 11) * 0x1p-53;
}

/* Box and Muller. */
static double gauss(struct rng *r)
{
	double u = uniform(r), v = uniform(r);
	return sqrt(-2 * log(u + 1e-300)) * cos(6.283185307179586 * v);
}

static double *normal_array(struct rng *r, size_t n)
{
	double *a = malloc(n * sizeof *a);
	for (size_t i = 0; a && i < n; i++)
		a[i] = gauss(r);
	return a;
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		fprintf(stderr, "usage: generate ROWS DIM CLUSTERS LATENT NOISE SEED OUT.fbin\n");
		return 2;
	}
	uint32_t rows = (uint32_t)strtoul(argv[1], NULL, 10), dim = (uint32_t)strtoul(argv[2], NULL, 10);
	size_t clusters = strtoul(argv[3], NULL, 10), latent = strtoul(argv[4], NULL, 10);
	double noise = strtod(argv[5], NULL);
	uint64_t seed = strtoull(argv[6], NULL, 10);
	struct rng shape = {seed % 1000}, draw = {rng_mix(seed + 77)};
	double *centre = normal_array(&shape, clusters * latent + 1);
	double *map = normal_array(&shape, latent * dim + 1), *z = malloc((latent + 1) * sizeof *z);
	float *row = malloc(dim * sizeof *row);
	FILE *f = fopen(argv[7], "wb");
	if (!centre || !map || !z || !row || !f || fwrite(&rows, 4, 1, f) != 1 || fwrite(&dim, 4, 1, f) != 1) {
		perror("generate");
		return 6;
	}
	for (uint32_t i = 0; i < rows; i++) {
		size_t c = clusters ? rng_below(&draw, clusters) : 0;
		for (size_t l = 0; l < latent; l++)
			z[l] = 2 * centre[c * latent + l] + gauss(&draw) / sqrt((double)l + 1);
		for (uint32_t d = 0; d < dim; d++) {
			double v = clusters ? 0 : uniform(&draw);
			for (size_t l = 0; clusters && l < latent; l++)
				v += z[l] * map[l * dim + d];
			row[d] = (float)(v + (clusters ? noise * sqrt((double)latent) * gauss(&draw) : 0));
		}
		if (fwrite(row, sizeof *row, dim, f) != dim) {
			perror("generate");
			return 6;
		}
	}
	free(centre);
	free(map);
	free(z);
	free(row);
	return fclose(f) == 0 ? 0 : 6;
}
