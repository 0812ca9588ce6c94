/* SPDX-License-Identifier: MIT */
/*
 * LD_PRELOAD for tests/faults/interleave: the process stops before its STOP_AT-th call that reads
 * or changes what others see, until it is sent SIGCONT.  STOP_COUNT=FILE: the number of such
 * calls is written there instead.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static long calls;

static void point(void)
{
	const char *at = getenv("STOP_AT");
	calls++;
	if (at && calls == atol(at))
		raise(SIGSTOP);
}

__attribute__((destructor)) static void count(void)
{
	const char *path = getenv("STOP_COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;
	if (f) {
		fprintf(f, "%ld\n", calls);
		fclose(f);
	}
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static int mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, int) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	int mode = mode_of(flags, ap);
	va_end(ap);
	point();
	return ((int (*)(const char *, int, ...))next("open"))(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	int mode = mode_of(flags, ap);
	va_end(ap);
	point();
	return ((int (*)(int, const char *, int, ...))next("openat"))(dir, path, flags, mode);
}

int flock(int fd, int how)
{
	point();
	return ((int (*)(int, int))next("flock"))(fd, how);
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
	point();
	return ((int (*)(int, const char *, int, const char *, int))next("linkat"))(a, from, b, to,
										     flags);
}

int renameat(int a, const char *from, int b, const char *to)
{
	point();
	return ((int (*)(int, const char *, int, const char *))next("renameat"))(a, from, b, to);
}

int unlink(const char *path)
{
	point();
	return ((int (*)(const char *))next("unlink"))(path);
}

int close(int fd)
{
	point();
	return ((int (*)(int))next("close"))(fd);
}
