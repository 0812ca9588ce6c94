/* SPDX-License-Identifier: MIT */
/* Test Anything Protocol from C. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static void ok(bool good, const char *fmt, ...)
{
	va_list ap;
	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	tap_failed += !good;
}

__attribute__((unused)) static int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

/* A new directory in TMPDIR. */
__attribute__((unused)) static bool tap_dir(char *path, size_t size)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(path, size, "%s/hnsw-unit-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	return n > 0 && (size_t)n < size && mkdtemp(path);
}

#endif
