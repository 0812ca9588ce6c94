/* SPDX-License-Identifier: MIT */
/* Vectors in memory as a set; one at a time. */
#ifndef TESTS_SET_H
#define TESTS_SET_H

#include "vec/set.h"

/* Good for as long as not 64 more are asked for. */
static const struct vec_set *set_of(float *data, uint64_t rows, uint32_t dim)
{
	static struct vec_set set[64];
	static struct vec_part part[64];
	static char name[] = "memory";
	static int last;
	int i = last++ % 64;
	part[i] = (struct vec_part){.type = VEC_F32,
				    .data = (const unsigned char *)data,
				    .stride = dim * sizeof *data,
				    .rows = rows,
				    .name = name};
	set[i] = (struct vec_set){.dim = dim, .rows = rows, .part = &part[i], .parts = 1};
	return &set[i];
}

#endif
