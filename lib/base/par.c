/* SPDX-License-Identifier: MIT */
#include "base/par.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#define TURNS 2000 /* some ten microseconds */

struct worker {
	struct par *pool;
	pthread_t thread;
	int number;
};

struct par {
	int threads;
	struct worker *workers;
	int started;
	pthread_mutex_t lock;
	pthread_cond_t wake, idle;
	_Atomic uint64_t round; /* grows with every par_run */
	_Atomic int busy;
	bool quit;
	int turns; /* to wait before going to sleep */
	/* the job in hand */
	par_fn *fn;
	void *ctx;
	uint64_t count, chunk;
	_Atomic uint64_t next;
};

static void work(struct par *p, int number)
{
	for (;;) {
		uint64_t begin =
		    atomic_fetch_add_explicit(&p->next, p->chunk, memory_order_relaxed);
		if (begin >= p->count)
			return;
		uint64_t end = p->count - begin < p->chunk ? p->count : begin + p->chunk;
		p->fn(p->ctx, begin, end, number);
	}
}

/* Let some nanoseconds go by. */
static inline void pause_briefly(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Wait for a round after ${seen}; false: there will be none. */
static bool next_round(struct par *p, uint64_t seen)
{
	/* The next one often follows at once, and waking up takes longer than that. */
	for (int i = 0; i < p->turns; i++) {
		if (p->round != seen)
			break;
		pause_briefly();
	}
	pthread_mutex_lock(&p->lock);
	while (!p->quit && p->round == seen)
		pthread_cond_wait(&p->wake, &p->lock);
	bool more = !p->quit;
	pthread_mutex_unlock(&p->lock);
	return more;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct par *p = w->pool;
	for (uint64_t seen = 0; next_round(p, seen);) {
		seen = p->round;
		work(p, w->number);
		if (--p->busy == 0) {
			pthread_mutex_lock(&p->lock);
			pthread_cond_signal(&p->idle);
			pthread_mutex_unlock(&p->lock);
		}
	}
	return NULL;
}

struct par *par_new(int threads, struct err *err)
{
	struct par *p = mem_zeroed(1, sizeof *p, err);
	if (!p)
		return NULL;
	p->threads = threads < 1 ? 1 : threads > PAR_MAX_THREADS ? PAR_MAX_THREADS : threads;
	/* Who has no core to himself had better leave it to others. */
	p->turns = p->threads <= par_cores() ? TURNS : 0;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->idle, NULL);
	p->workers = mem_zeroed((size_t)p->threads, sizeof *p->workers, err);
	if (!p->workers)
		goto fail;
	for (int i = 1; i < p->threads; i++) {
		struct worker *w = &p->workers[i];
		*w = (struct worker){.pool = p, .number = i};
		if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
			err_set(err, ERR_ENV, "cannot start thread %d of %d", i + 1, p->threads);
			goto fail;
		}
		p->started = i;
	}
	return p;
fail:
	par_free(p);
	return NULL;
}

void par_free(struct par *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (int i = 1; i <= p->started; i++)
		pthread_join(p->workers[i].thread, NULL);
	pthread_cond_destroy(&p->idle);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}

int par_threads(const struct par *p)
{
	return p->threads;
}

void par_run(struct par *p, uint64_t count, uint64_t chunk, par_fn *fn, void *ctx)
{
	if (chunk == 0)
		chunk = 1;
	if (p->threads == 1 || count <= chunk) {
		for (uint64_t i = 0; i < count; i += chunk)
			fn(ctx, i, count - i < chunk ? count : i + chunk, 0);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->fn = fn;
	p->ctx = ctx;
	p->count = count;
	p->chunk = chunk;
	atomic_store_explicit(&p->next, 0, memory_order_relaxed);
	p->busy = p->threads - 1;
	p->round++;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	work(p, 0);
	for (int i = 0; i < p->turns && p->busy; i++)
		pause_briefly();
	pthread_mutex_lock(&p->lock);
	while (p->busy)
		pthread_cond_wait(&p->idle, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

int par_cores(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
		return CPU_COUNT(&set);
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > PAR_MAX_THREADS ? PAR_MAX_THREADS : (int)n;
}
