/* SPDX-License-Identifier: MIT */
/* Waiting for the lock of a file, and telling who holds it. */
#include "base/lock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#define FIRST_PAUSE_NS 50000
#define LAST_PAUSE_NS 5000000
#define SECOND_NS ((uint64_t)1000000000)
#define LOCKS_MAX ((size_t)16 << 20)
#define STAT_MAX ((size_t)4096)
#define HOLDER_MAX 128

/* ---- who holds it ---- */

/*
 * The process that the system's table of locks has for a file, or 0:
 *
 *	1: FLOCK  ADVISORY  WRITE 1556 fe:00:1076404 0 EOF
 *
 * On some file systems the device there is not that of stat(2), so the inode alone is the second
 * choice.
 */
static long find_holder(const char *table, const struct stat *st)
{
	long by_inode = 0;
	for (const char *line = table; line && *line; line = strchr(line, '\n')) {
		unsigned major_, minor_;
		unsigned long long inode;
		long pid;
		line += *line == '\n';
		if (sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%llu", &pid, &major_, &minor_,
			   &inode) != 4 ||
		    pid <= 0 || inode != st->st_ino)
			continue;
		if (major_ == major(st->st_dev) && minor_ == minor(st->st_dev))
			return pid;
		by_inode = pid;
	}
	return by_inode;
}

/* "another process, 17 (promote)", and whether it is stopped. */
static void describe_process(long pid, char out[static HOLDER_MAX])
{
	struct buf text = BUF_INIT;
	struct err ignored;
	char path[64];
	snprintf(out, HOLDER_MAX, "another process, %ld", pid);
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	/* "17 (promote) T ...", where the name may have anything in it */
	if (io_read_file(path, STAT_MAX, &text, &ignored) == 0 && text.len) {
		const char *from = strchr(text.data, '('), *to = strrchr(text.data, ')');
		if (from && to && to > from)
			snprintf(out, HOLDER_MAX, "another process, %ld %.*s%s", pid, (int)(to - from) + 1,
				 from, to[1] == ' ' && to[2] == 'T' ? ", which is stopped" : "");
	}
	buf_release(&text);
}

/* Who holds the lock of that file; "another process" if it cannot be known. */
static void describe_holder(int fd, char out[static HOLDER_MAX])
{
	struct buf table = BUF_INIT;
	struct err ignored;
	struct stat st;
	long pid = 0;
	if (fstat(fd, &st) == 0 &&
	    io_read_file("/proc/locks", LOCKS_MAX, &table, &ignored) == 0 && table.len)
		pid = find_holder(table.data, &st);
	buf_release(&table);
	if (pid)
		describe_process(pid, out);
	else
		snprintf(out, HOLDER_MAX, "another process");
}

/* ---- waiting ---- */

int lock_file(int fd, bool shared, const char *name, int wait_ms, const struct warn_to *w,
	      struct err *err)
{
	struct timespec pause = {0, FIRST_PAUSE_NS};
	uint64_t start = clock_mono_ns(), limit = (uint64_t)(wait_ms > 0 ? wait_ms : 0) * 1000000u;
	char holder[HOLDER_MAX];
	bool told = false;
	for (;;) {
		int ret;
		IO_RETRY(ret, flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB));
		if (ret == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return err_sys(err, "cannot lock '%s'", name);
		uint64_t waited = clock_mono_ns() - start;
		if (waited >= limit)
			break;
		if (waited >= SECOND_NS && !told) {
			describe_holder(fd, holder);
			warn(w, "waiting for '%s', locked by %s", name, holder);
			told = true;
		}
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < LAST_PAUSE_NS)
			pause.tv_nsec *= 2;
	}
	describe_holder(fd, holder);
	return err_set(err, ERR_TEMP, "'%s' is locked by %s", name, holder);
}
