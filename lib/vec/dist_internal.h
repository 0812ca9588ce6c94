/* SPDX-License-Identifier: MIT */
#ifndef VEC_DIST_INTERNAL_H
#define VEC_DIST_INTERNAL_H

#include "vec/dist.h"

/* Each stands in a file of its own, compiled with its own flags. */
extern const struct dist_kernels dist_portable;
#if defined(__x86_64__)
extern const struct dist_kernels dist_avx2, dist_avx512;
#endif
#if defined(__aarch64__)
extern const struct dist_kernels dist_neon;
#endif

#endif
