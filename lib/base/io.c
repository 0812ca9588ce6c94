/* SPDX-License-Identifier: MIT */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "base/rng.h"

#define READ_CHUNK ((size_t)256 << 10)
/* Times of files are coarse, and what is written through a mapping is told late. */
#define FRESH_NS ((uint64_t)60 * 1000000000u)
#define SINK_FULL ((size_t)64 << 10)

/* ---- reading ---- */

int io_read_fd(int fd, const char *name, size_t max, struct buf *out, struct err *err)
{
	size_t start = out->len;
	for (;;) {
		if (!buf_reserve(out, READ_CHUNK))
			return err_nomem(err);
		ssize_t n = read(fd, out->data + out->len, out->cap - out->len - 1);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, "cannot read '%s'", name);
		}
		if (n == 0)
			break;
		out->len += (size_t)n;
		if (out->len - start > max)
			return err_set(err, ERR_DATA, "'%s' is larger than %zu bytes", name, max);
	}
	out->data[out->len] = 0;
	return 0;
}

int io_read_file(const char *path, size_t max, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	int ret = io_read_fd(fd, path, max, out, err);
	close(fd);
	return ret;
}

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void remember_times(struct io_map *m, const struct stat *st)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	m->device = st->st_dev;
	m->inode = st->st_ino;
	m->modified_ns = ns_of(st->st_mtim);
	m->changed_ns = ns_of(st->st_ctim);
	m->fresh = m->modified_ns + FRESH_NS > ns_of(now);
}

enum io_state io_map_state(const struct io_map *m, const char *path)
{
	struct stat st;
	if (!m->data)
		return IO_SAME;
	/* What another file replaced is not written to any more, as far as anybody knows. */
	if (stat(path, &st) != 0 || st.st_dev != m->device || st.st_ino != m->inode)
		return IO_UNSURE;
	if ((uintmax_t)st.st_size != m->size || ns_of(st.st_mtim) != m->modified_ns)
		return IO_CHANGED;
	return m->fresh || ns_of(st.st_ctim) != m->changed_ns ? IO_UNSURE : IO_SAME;
}

int io_map_fd(struct io_map *m, int fd, const char *name, struct err *err)
{
	struct stat st;
	*m = (struct io_map){0};
	if (fstat(fd, &st) != 0)
		return err_sys(err, "cannot stat '%s'", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_ENV, "cannot map '%s': not a regular file", name);
	if (st.st_size == 0)
		return 0;
	if ((uintmax_t)st.st_size > SIZE_MAX / 2)
		return err_set(err, ERR_ENV, "cannot map '%s': too large", name);
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(err, "cannot map '%s'", name);
	m->data = p;
	m->size = (size_t)st.st_size;
	remember_times(m, &st);
	return 0;
}

int io_map_open(struct io_map *m, const char *path, struct err *err)
{
	*m = (struct io_map){0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	int ret = io_map_fd(m, fd, path, err);
	close(fd);
	return ret;
}

void io_map_forget(const struct io_map *m)
{
	if (m->data)
		(void)madvise((void *)(uintptr_t)m->data, m->size, MADV_DONTNEED);
}

void io_map_close(struct io_map *m)
{
	if (m->data)
		munmap((void *)(uintptr_t)m->data, m->size);
	*m = (struct io_map){0};
}

int io_lines_init(struct io_lines *l, int fd, const char *name, size_t max, struct err *err)
{
	*l = (struct io_lines){.fd = fd, .name = name, .max = max, .cap = READ_CHUNK};
	l->data = malloc(l->cap + NUM_PADDING);
	return l->data ? 0 : err_nomem(err);
}

void io_lines_release(struct io_lines *l)
{
	free(l->data);
	l->data = NULL;
}

static int too_long(const struct io_lines *l, struct err *err)
{
	return err_set(err, ERR_DATA, "%s: line %llu is longer than %zu bytes", l->name,
		       (unsigned long long)l->number + 1, l->max);
}

/* Read once more: 1 something came, 0 end, -1 error. */
static int fill(struct io_lines *l, struct err *err)
{
	if (l->eof)
		return 0;
	if (l->pos) {
		memmove(l->data, l->data + l->pos, l->len - l->pos);
		l->len -= l->pos;
		l->pos = 0;
	}
	if (l->len > l->max)
		return too_long(l, err);
	if (l->len == l->cap) {
		char *data = realloc(l->data, 2 * l->cap + NUM_PADDING);
		if (!data)
			return err_nomem(err);
		l->data = data;
		l->cap *= 2;
	}
	ssize_t n;
	do
		n = read(l->fd, l->data + l->len, l->cap - l->len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "cannot read '%s'", l->name);
	if (n == 0)
		l->eof = true;
	l->len += (size_t)n;
	memset(l->data + l->len, 0, NUM_PADDING);
	return n > 0;
}

/* Leave out a byte order mark; one further down is that of a file put behind another. */
static int skip_mark(const struct io_lines *l, struct span *line, struct err *err)
{
	size_t mark = text_mark(*line);
	if (mark == TEXT_MARK_WIDE && l->number == 1)
		return err_set(err, ERR_DATA,
			       "'%s' begins with a byte order mark of UTF-16, expected UTF-8",
			       l->name);
	if (mark != TEXT_MARK_WIDE) {
		line->p += mark;
		line->n -= mark;
	}
	return 0;
}

int io_lines_next(struct io_lines *l, struct span *line, struct err *err)
{
	size_t looked = 0;
	for (;;) {
		char *from = l->data + l->pos;
		size_t have = l->len - l->pos;
		char *nl = have > looked ? memchr(from + looked, '\n', have - looked) : NULL;
		if (nl || (l->eof && have)) {
			size_t n = nl ? (size_t)(nl - from) : have;
			if (n > l->max)
				return too_long(l, err);
			*line = (struct span){from, n};
			l->pos += n + (nl != NULL);
			if (n && from[n - 1] == '\r')
				line->n--;
			l->number++;
			return skip_mark(l, line, err) == 0 ? 1 : -1;
		}
		looked = have;
		int got = fill(l, err);
		if (got < 0)
			return -1;
		if (got == 0 && l->len == l->pos)
			return 0;
	}
}

int io_lines_wait(struct io_lines *l, int timeout_ms, struct err *err)
{
	for (;;) {
		size_t have = l->len - l->pos;
		if (l->eof || (have && memchr(l->data + l->pos, '\n', have)))
			return 1;
		struct pollfd p = {.fd = l->fd, .events = POLLIN};
		int n = poll(&p, 1, timeout_ms);
		if (n == 0)
			return 0;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, "cannot wait for '%s'", l->name);
		}
		if (fill(l, err) < 0)
			return -1;
	}
}

/* ---- writing ---- */

int io_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len) {
		ssize_t n = write(fd, p, len < ((size_t)1 << 30) ? len : (size_t)1 << 30);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_sink_flush(struct io_sink *s, struct err *err)
{
	if (buf_ok(&s->b, err) != 0)
		return -1;
	if (s->b.len && io_write_all(s->fd, s->b.data, s->b.len) != 0)
		return err_sys(err, "cannot write %s", s->name);
	buf_clear(&s->b);
	return 0;
}

int io_sink_spill(struct io_sink *s, struct err *err)
{
	return s->b.failed || s->b.len >= SINK_FULL ? io_sink_flush(s, err) : 0;
}

void io_sink_release(struct io_sink *s)
{
	buf_release(&s->b);
}

/* An unnamed file in the directory; or a temporary name in it. */
static int open_temporary(struct io_file *f, struct err *err)
{
#ifdef O_TMPFILE
	f->fd = openat(f->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	if (f->fd >= 0) {
		/* It can only be given a name through /proc. */
		char proc[64];
		snprintf(proc, sizeof proc, "/proc/self/fd/%d", f->fd);
		if (access(proc, F_OK) == 0)
			return 0;
		close(f->fd);
		f->fd = -1;
	}
#endif
	for (int i = 0; i < 100; i++) {
		uint64_t r;
		if (rng_system(&r, sizeof r, err) != 0)
			return -1;
		char name[32];
		snprintf(name, sizeof name, ".tmp-%016llx", (unsigned long long)r);
		f->fd = openat(f->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (f->fd >= 0) {
			f->tmp = span_dup(span_of(name));
			return f->tmp ? 0 : err_nomem(err);
		}
		if (errno != EEXIST)
			break;
	}
	return err_sys(err, "cannot create '%s'", f->shown);
}

int io_file_open_at(struct io_file *f, int dir_fd, const char *name, struct err *err)
{
	*f = (struct io_file){.fd = -1, .dir_fd = -1};
	f->base = span_dup(span_of(name));
	f->shown = span_dup(span_of(name));
	f->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	int ret = !f->base || !f->shown ? err_nomem(err)
		  : f->dir_fd < 0	? err_sys(err, "cannot open the directory of '%s'", name)
					: open_temporary(f, err);
	if (ret != 0)
		io_file_release(f);
	return ret;
}

int io_file_open(struct io_file *f, const char *path, struct err *err)
{
	struct stat st;
	char *real = NULL;
	int ret = -1;
	*f = (struct io_file){.fd = -1, .dir_fd = -1};
	f->shown = span_dup(span_of(path));
	if (!f->shown) {
		err_nomem(err);
		goto out;
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		if (S_ISDIR(st.st_mode)) {
			err_set(err, ERR_ENV, "cannot write '%s': is a directory", path);
			goto out;
		}
		f->direct = true;
		f->fd = open(path, O_WRONLY | O_CLOEXEC);
		ret = f->fd < 0 ? err_sys(err, "cannot open '%s'", path) : 0;
		goto out;
	}
	/* Write through a symbolic link, as any other writer would. */
	real = realpath(path, NULL);
	const char *target = real ? real : path, *slash = strrchr(target, '/');
	f->base = span_dup(span_of(slash ? slash + 1 : target));
	char *dir =
	    slash ? span_dup((struct span){target, slash == target ? 1 : (size_t)(slash - target)})
		  : span_dup(span_of("."));
	if (!dir || !f->base) {
		free(dir);
		err_nomem(err);
		goto out;
	}
	f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = f->dir_fd < 0 ? err_sys(err, "cannot open directory '%s'", dir)
	      : !f->base[0] ? err_set(err, ERR_USAGE, "'%s' names no file", path)
			    : open_temporary(f, err);
	free(dir);
out:
	free(real);
	if (ret != 0)
		io_file_release(f);
	return ret;
}

int io_file_write(struct io_file *f, const void *data, size_t len, struct err *err)
{
	if (io_write_all(f->fd, data, len) != 0)
		return err_sys(err, "cannot write '%s'", f->shown);
	return 0;
}

int io_file_rename(struct io_file *f, const char *name, struct err *err)
{
	char *base = span_dup(span_of(name)), *shown = span_dup(span_of(name));
	if (!base || !shown) {
		free(base);
		free(shown);
		return err_nomem(err);
	}
	free(f->base);
	free(f->shown);
	f->base = base;
	f->shown = shown;
	return 0;
}

/* Give the file the name ${to}, which must not exist. */
static int link_as(struct io_file *f, const char *to)
{
	if (f->tmp)
		return linkat(f->dir_fd, f->tmp, f->dir_fd, to, 0);
	char proc[64];
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, proc, f->dir_fd, to, AT_SYMLINK_FOLLOW);
}

static int put_in_place(struct io_file *f, enum io_commit how, struct err *err)
{
	if (link_as(f, f->base) == 0) {
		if (f->tmp)
			unlinkat(f->dir_fd, f->tmp, 0);
		return 0;
	}
	if (errno != EEXIST)
		return err_sys(err, "cannot create '%s'", f->shown);
	if (how == IO_CREATE)
		return 1;
	if (!f->tmp) {
		/* Renaming needs a name to rename from. */
		uint64_t r;
		char name[32];
		if (rng_system(&r, sizeof r, err) != 0)
			return -1;
		snprintf(name, sizeof name, ".tmp-%016llx", (unsigned long long)r);
		if (link_as(f, name) != 0)
			return err_sys(err, "cannot create '%s'", f->shown);
		f->tmp = span_dup(span_of(name));
		if (!f->tmp)
			return err_nomem(err);
	}
	if (renameat(f->dir_fd, f->tmp, f->dir_fd, f->base) != 0)
		return err_sys(err, "cannot replace '%s'", f->shown);
	return 0;
}

int io_file_commit(struct io_file *f, enum io_commit how, struct err *err)
{
	if (f->direct) {
		if (close(f->fd) != 0) {
			f->fd = -1;
			return err_sys(err, "cannot write '%s'", f->shown);
		}
		f->fd = -1;
		return 0;
	}
	if (fsync(f->fd) != 0)
		return err_sys(err, "cannot write '%s'", f->shown);
	/* What is replaced keeps its permissions. */
	struct stat old;
	if (how == IO_REPLACE && fstatat(f->dir_fd, f->base, &old, 0) == 0 &&
	    fchmod(f->fd, old.st_mode & 07777) != 0)
		return err_sys(err, "cannot set the permissions of '%s'", f->shown);
	int ret = put_in_place(f, how, err);
	if (ret != 0)
		return ret;
	free(f->tmp);
	f->tmp = NULL;
	if (io_sync_dir(f->dir_fd, f->shown, err) != 0)
		return -1;
	int fd = f->fd;
	f->fd = -1;
	return close(fd) == 0 ? 0 : err_sys(err, "cannot write '%s'", f->shown);
}

void io_file_release(struct io_file *f)
{
	if (f->tmp)
		unlinkat(f->dir_fd, f->tmp, 0);
	if (f->fd >= 0)
		close(f->fd);
	if (f->dir_fd >= 0)
		close(f->dir_fd);
	free(f->tmp);
	free(f->base);
	free(f->shown);
	*f = (struct io_file){.fd = -1, .dir_fd = -1};
}

int io_sync_dir(int dir_fd, const char *name, struct err *err)
{
	/* Some file systems cannot do it and say so; then there is nothing to be done. */
	if (fsync(dir_fd) != 0 && errno != EINVAL && errno != ENOTSUP)
		return err_sys(err, "cannot make '%s' durable", name);
	return 0;
}

int io_mkdirs(const char *path, struct err *err)
{
	char *copy = span_dup(span_of(path));
	int ret = -1;
	if (!copy)
		return err_nomem(err);
	for (char *p = copy + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char c = *p;
		*p = 0;
		if (mkdir(copy, 0777) == 0) {
			char *slash = strrchr(copy, '/');
			int fd;
			if (slash && slash != copy) {
				*slash = 0;
				fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
				*slash = '/';
			} else {
				fd = open(slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			}
			if (fd >= 0) {
				int bad = io_sync_dir(fd, copy, err);
				close(fd);
				if (bad)
					goto out;
			}
		} else if (errno != EEXIST) {
			err_sys(err, "cannot create directory '%s'", copy);
			goto out;
		}
		*p = c;
		if (!c)
			break;
	}
	ret = 0;
out:
	free(copy);
	return ret;
}
