/* SPDX-License-Identifier: MIT */
#include "base/host.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

void host_name(char out[static HOST_TEXT_MAX])
{
	if (gethostname(out, HOST_TEXT_MAX - 1) != 0 || !out[0])
		strcpy(out, "unknown");
	out[HOST_TEXT_MAX - 1] = 0;
}

/* The value of "key : value" in the text. */
static int find_value(const char *text, const char *key, char *out)
{
	const char *p = strstr(text, key);
	if (!p || !(p = strchr(p, ':')))
		return -1;
	p += strspn(p + 1, " \t") + 1;
	snprintf(out, HOST_TEXT_MAX, "%.*s", (int)strcspn(p, "\n"), p);
	return out[0] ? 0 : -1;
}

void host_cpu(char out[static HOST_TEXT_MAX])
{
	struct buf b = BUF_INIT;
	struct err ignored;
	strcpy(out, "unknown");
	if (io_read_file("/proc/cpuinfo", (size_t)64 << 20, &b, &ignored) == 0 && b.data &&
	    find_value(b.data, "model name", out) != 0)
		(void)find_value(b.data, "CPU part", out);
	buf_release(&b);
}

int host_pin(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();
	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return -1;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof set, &set) == 0 ? cpu : -1;
}
