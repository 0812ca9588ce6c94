/* SPDX-License-Identifier: MIT */
#ifndef VEC_DIST_INTERNAL_H
#define VEC_DIST_INTERNAL_H

#include "vec/dist.h"

/* Loops over the rows of a group: unrolled, the sums stay in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define UNROLL_ALL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 4")
#define UNROLL_ALL _Pragma("GCC unroll 32")
#endif

/* Each stands in a file of its own, compiled with its own flags. */
extern const struct dist_kernels dist_portable;
#if defined(__x86_64__)
extern const struct dist_kernels dist_avx2, dist_avx512;
#endif
#if defined(__aarch64__)
extern const struct dist_kernels dist_neon;
#endif

#endif
