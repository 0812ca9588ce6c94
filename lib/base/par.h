/* SPDX-License-Identifier: MIT */
#ifndef BASE_PAR_H
#define BASE_PAR_H

#include <stdint.h>

#include "base/err.h"

#define PAR_MAX_THREADS 1024

/* A pool of threads that work through index ranges. */
struct par;

/* Work on items ${begin}..${end}-1; ${thread} is 0..threads-1 and names scratch space. */
typedef void par_fn(void *ctx, uint64_t begin, uint64_t end, int thread);

/* ${threads}: 1..PAR_MAX_THREADS; 1 starts none and runs everything in the caller. */
struct par *par_new(int threads, struct err *err) MUST_CHECK;
void par_free(struct par *p);
int par_threads(const struct par *p);

/*
 * Call ${fn} for chunks of at most ${chunk} items until all ${count} are done;
 * returns when they are.  Threads take chunks as they become free, so ${fn} must
 * not depend on which thread has which chunk.
 */
void par_run(struct par *p, uint64_t count, uint64_t chunk, par_fn *fn, void *ctx);

/* Number of processors this process may use; at least 1. */
int par_cores(void);

#endif
