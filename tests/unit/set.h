/* SPDX-License-Identifier: MIT */
/* Vectors in memory as a set; one at a time. */
#ifndef TESTS_SET_H
#define TESTS_SET_H

#include "vec/set.h"

static struct vec_set set_of(float *data, uint64_t rows, uint32_t dim)
{
	static struct vec_part part;
	static char name[] = "memory";
	part = (struct vec_part){.type = VEC_F32,
				 .data = (const unsigned char *)data,
				 .stride = dim * sizeof *data,
				 .rows = rows,
				 .name = name};
	return (struct vec_set){.dim = dim, .rows = rows, .part = &part, .parts = 1};
}

#endif
