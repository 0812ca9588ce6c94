/* SPDX-License-Identifier: MIT */
/* Files: reading them whole, mapped or by lines, and writing them so that a crash loses nothing. */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "base/rng.h"

#define READ_CHUNK ((size_t)256 << 10)
/* Times of files are coarse, and what is written through a mapping is told late. */
#define FRESH_NS ((uint64_t)60 * 1000000000u)
#define SINK_FULL ((size_t)64 << 10)
#define TMP_PREFIX ".tmp-"
#define TMP_NAME_MAX 32
#define SETTLED_S 300 /* systems write a directory back within half a minute or so */

/* ---- reading ---- */

bool io_missing(void)
{
	return errno == ENOENT || errno == ENOTDIR;
}

/* Devices such as /dev/zero: they have a position, though they are no files. */
static bool is_endless(int fd, const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return true;
	return S_ISCHR(st->st_mode) && st->st_rdev != makedev(1, 3) && lseek(fd, 0, SEEK_CUR) >= 0;
}

static int open_as(const char *path, bool input, struct err *err)
{
	struct stat st;
	int fd, ret;
	IO_RETRY(fd, open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (input ? 0 : O_NONBLOCK)));
	if (fd < 0 && errno == ENXIO) /* a socket */
		goto refuse;
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	IO_RETRY(ret, fstat(fd, &st));
	if (ret != 0) {
		err_sys(err, "cannot stat '%s'", path);
		ret = errno;
		close(fd);
		errno = ret;
		return -1;
	}
	if (S_ISREG(st.st_mode) || (input && !S_ISDIR(st.st_mode) && !is_endless(fd, &st)))
		return fd;
	close(fd);
refuse:
	err_set(err, ERR_ENV, "cannot read '%s': %s", path,
		fd >= 0 && S_ISDIR(st.st_mode) ? "is a directory"
		: input			       ? "neither a file nor a stream"
					       : "not a regular file");
	errno = 0;
	return -1;
}

int io_open(const char *path, struct err *err)
{
	return open_as(path, false, err);
}

int io_open_input(const char *path, struct err *err)
{
	return open_as(path, true, err);
}

static int too_large(const char *name, size_t max, struct err *err)
{
	return err_set(err, ERR_DATA, "'%s' is larger than %zu bytes", name, max);
}

int io_read_fd(int fd, const char *name, size_t max, struct buf *out, struct err *err)
{
	struct stat st;
	size_t start = out->len;
	if (fstat(fd, &st) == 0) {
		if (is_endless(fd, &st))
			return err_set(err, ERR_ENV, "cannot read '%s': it never ends", name);
		if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size > max &&
		    lseek(fd, 0, SEEK_CUR) == 0)
			return too_large(name, max, err);
	}
	for (;;) {
		ssize_t n;
		if (!buf_reserve(out, READ_CHUNK))
			return err_nomem(err);
		IO_RETRY(n, read(fd, out->data + out->len, out->cap - out->len - 1));
		if (n < 0)
			return err_sys(err, "cannot read '%s'", name);
		if (n == 0)
			break;
		out->len += (size_t)n;
		if (out->len - start > max)
			return too_large(name, max, err);
	}
	out->data[out->len] = 0;
	return 0;
}

int io_read_file(const char *path, size_t max, struct buf *out, struct err *err)
{
	int fd = io_open_input(path, err);
	if (fd < 0)
		return -1;
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
	if (ns_of(st.st_ctim) != m->changed_ns)
		return IO_TOUCHED;
	return m->fresh ? IO_UNSURE : IO_SAME;
}

int io_read_at(int fd, const char *name, void *p, size_t size, off_t offset, size_t *got,
	       struct err *err)
{
	for (*got = 0; *got < size;) {
		ssize_t n;
		IO_RETRY(n, pread(fd, (char *)p + *got, size - *got, offset + (off_t)*got));
		if (n < 0)
			return err_sys(err, "cannot read '%s'", name);
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return 0;
}

int io_map_fd(struct io_map *m, int fd, const char *name, struct err *err)
{
	struct stat st;
	int ret;
	*m = (struct io_map){0};
	IO_RETRY(ret, fstat(fd, &st));
	if (ret != 0)
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
	int fd = io_open(path, err);
	if (fd < 0)
		return -1;
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
	IO_RETRY(n, read(l->fd, l->data + l->len, l->cap - l->len));
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
		int n;
		IO_RETRY(n, poll(&p, 1, timeout_ms));
		if (n == 0)
			return 0;
		if (n < 0)
			return err_sys(err, "cannot wait for '%s'", l->name);
		if (fill(l, err) < 0)
			return -1;
	}
}

/* ---- writing ---- */

int io_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len) {
		ssize_t n;
		IO_RETRY(n, write(fd, p, len < ((size_t)1 << 30) ? len : (size_t)1 << 30));
		if (n < 0)
			return -1;
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

/* ---- temporary names ---- */

static bool is_temporary(const char *name)
{
	return strncmp(name, TMP_PREFIX, strlen(TMP_PREFIX)) == 0 &&
	       strspn(name + strlen(TMP_PREFIX), "0123456789abcdef") == 16 &&
	       !name[strlen(TMP_PREFIX) + 16];
}

static int make_temporary_name(char name[static TMP_NAME_MAX], struct err *err)
{
	uint64_t r;
	if (rng_system(&r, sizeof r, err) != 0)
		return -1;
	snprintf(name, TMP_NAME_MAX, TMP_PREFIX "%016llx", (unsigned long long)r);
	return 0;
}

/* 1: the file is locked, and has a name yet; 0: somebody has it; -1: it cannot be locked. */
static int lock_temporary(int fd)
{
	struct stat st;
	int ret;
	IO_RETRY(ret, flock(fd, LOCK_EX | LOCK_NB));
	if (ret != 0)
		return errno == EWOULDBLOCK ? 0 : -1;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 0;
}

/* Remove a temporary name if its file is locked by nobody: then its process is dead. */
static void remove_if_dead(int dir_fd, const char *name)
{
	struct stat st, named;
	int fd;
	IO_RETRY(fd, openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
	if (fd < 0)
		return;
	if (lock_temporary(fd) > 0 && fstat(fd, &st) == 0 &&
	    fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == named.st_ino)
		(void)unlinkat(dir_fd, name, 0);
	close(fd);
}

/* What processes left in the directory that were killed.  Whoever needs a temporary name looks. */
static void remove_dead(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d)))
		if (is_temporary(e->d_name))
			remove_if_dead(dir_fd, e->d_name);
	if (d)
		closedir(d);
}

/* An unnamed file in the directory; -1 where that cannot be had. */
static int open_unnamed(int dir_fd)
{
#ifdef O_TMPFILE
	char proc[64];
	int fd;
	IO_RETRY(fd, openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
	if (fd < 0)
		return -1;
	/* It can only be given a name through /proc. */
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	if (access(proc, F_OK) == 0)
		return fd;
	close(fd);
#endif
	return -1;
}

/* An unnamed file in the directory; or a temporary name in it. */
static int open_temporary(struct io_file *f, struct err *err)
{
	f->fd = open_unnamed(f->dir_fd);
	if (f->fd >= 0)
		return 0;
	remove_dead(f->dir_fd);
	for (int i = 0; i < 100; i++) {
		char name[TMP_NAME_MAX];
		if (make_temporary_name(name, err) != 0)
			return -1;
		IO_RETRY(f->fd, openat(f->dir_fd, name,
				       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
		if (f->fd < 0 && errno == EEXIST)
			continue;
		if (f->fd < 0)
			break;
		f->tmp = span_dup(span_of(name));
		if (!f->tmp) {
			(void)unlinkat(f->dir_fd, name, 0);
			return err_nomem(err);
		}
		/* Another may have taken it for dead just now. */
		if (lock_temporary(f->fd) != 0)
			return 0;
		close(f->fd);
		f->fd = -1;
		free(f->tmp);
		f->tmp = NULL;
	}
	return err_sys(err, "cannot create '%s'", f->shown);
}

int io_file_open_at(struct io_file *f, int dir_fd, const char *name, struct err *err)
{
	*f = (struct io_file){.fd = -1, .dir_fd = -1};
	f->base = span_dup(span_of(name));
	f->shown = span_dup(span_of(name));
	IO_RETRY(f->dir_fd, fcntl(dir_fd, F_DUPFD_CLOEXEC, 3));
	int ret = !f->base || !f->shown ? err_nomem(err)
		  : f->dir_fd < 0	? err_sys(err, "cannot open the directory of '%s'", name)
					: open_temporary(f, err);
	if (ret != 0)
		io_file_release(f);
	return ret;
}

/* What is no regular file is written as it is. */
static int open_direct(struct io_file *f, const char *path, mode_t mode, struct err *err)
{
	if (S_ISDIR(mode))
		return err_set(err, ERR_ENV, "cannot write '%s': is a directory", path);
	f->direct = true;
	IO_RETRY(f->fd, open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC));
	return f->fd < 0 ? err_sys(err, "cannot open '%s'", path) : 0;
}

/* Write a file in the directory where ${target} is. */
static int open_beside(struct io_file *f, const char *target, struct err *err)
{
	const char *slash = strrchr(target, '/');
	size_t n = slash == target ? 1 : slash ? (size_t)(slash - target) : 0;
	char *dir = slash ? span_dup((struct span){target, n}) : span_dup(span_of("."));
	int ret = -1;
	f->base = span_dup(span_of(slash ? slash + 1 : target));
	if (!dir || !f->base)
		err_nomem(err);
	else if (!f->base[0])
		err_set(err, ERR_USAGE, "'%s' names no file", f->shown);
	else if ((f->dir_fd = io_open_dir(dir, err)) >= 0)
		ret = open_temporary(f, err);
	free(dir);
	return ret;
}

int io_file_open(struct io_file *f, const char *path, struct err *err)
{
	struct stat st;
	char *real = NULL;
	int there, ret = -1;
	*f = (struct io_file){.fd = -1, .dir_fd = -1};
	f->shown = span_dup(span_of(path));
	IO_RETRY(there, stat(path, &st));
	if (!f->shown)
		err_nomem(err);
	else if (there != 0 && !io_missing())
		err_sys(err, "cannot stat '%s'", path);
	else if (there != 0)
		ret = open_beside(f, path, err);
	else if (!S_ISREG(st.st_mode))
		ret = open_direct(f, path, st.st_mode, err);
	/* Write through a symbolic link, as any other writer would. */
	else if (!(real = realpath(path, NULL)))
		err_sys(err, "cannot find where '%s' is", path);
	else
		ret = open_beside(f, real, err);
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
	char proc[64];
	int ret;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", f->fd);
	if (f->tmp)
		IO_RETRY(ret, linkat(f->dir_fd, f->tmp, f->dir_fd, to, 0));
	else
		IO_RETRY(ret, linkat(AT_FDCWD, proc, f->dir_fd, to, AT_SYMLINK_FOLLOW));
	return ret;
}

/* Renaming needs a name to rename from.  The lock says that we live, before others can look. */
static int name_temporarily(struct io_file *f, struct err *err)
{
	char name[TMP_NAME_MAX];
	remove_dead(f->dir_fd);
	(void)lock_temporary(f->fd);
	if (make_temporary_name(name, err) != 0)
		return -1;
	char *copy = span_dup(span_of(name));
	if (!copy)
		return err_nomem(err);
	if (link_as(f, name) != 0) {
		free(copy);
		return err_sys(err, "cannot create '%s'", f->shown);
	}
	f->tmp = copy;
	return 0;
}

static int put_in_place(struct io_file *f, enum io_commit how, struct err *err)
{
	int ret;
	if (link_as(f, f->base) == 0) {
		if (f->tmp)
			(void)unlinkat(f->dir_fd, f->tmp, 0);
		return 0;
	}
	if (errno != EEXIST)
		return err_sys(err, "cannot create '%s'", f->shown);
	if (how == IO_CREATE)
		return 1;
	if (!f->tmp && name_temporarily(f, err) != 0)
		return -1;
	IO_RETRY(ret, renameat(f->dir_fd, f->tmp, f->dir_fd, f->base));
	return ret == 0 ? 0 : err_sys(err, "cannot replace '%s'", f->shown);
}

/* What is replaced keeps its permissions. */
static int keep_permissions(const struct io_file *f, struct err *err)
{
	struct stat old;
	int ret;
	IO_RETRY(ret, fstatat(f->dir_fd, f->base, &old, 0));
	if (ret != 0)
		return io_missing() ? 0 : err_sys(err, "cannot stat '%s'", f->shown);
	IO_RETRY(ret, fchmod(f->fd, old.st_mode & 07777));
	return ret == 0 ? 0 : err_sys(err, "cannot set the permissions of '%s'", f->shown);
}

/* Linux has closed a descriptor whatever close() says. */
static int close_written(struct io_file *f, struct err *err)
{
	int fd = f->fd;
	f->fd = -1;
	return close(fd) == 0 || errno == EINTR ? 0 : err_sys(err, "cannot write '%s'", f->shown);
}

int io_file_commit(struct io_file *f, enum io_commit how, struct err *err)
{
	int ret;
	if (f->direct)
		return close_written(f, err);
	IO_RETRY(ret, fsync(f->fd));
	if (ret != 0)
		return err_sys(err, "cannot write '%s'", f->shown);
	if (how == IO_REPLACE && keep_permissions(f, err) != 0)
		return -1;
	ret = put_in_place(f, how, err);
	if (ret != 0)
		return ret;
	free(f->tmp);
	f->tmp = NULL;
	return io_sync_dir(f->dir_fd, f->shown, err) == 0 ? close_written(f, err) : -1;
}

void io_file_release(struct io_file *f)
{
	if (f->tmp)
		(void)unlinkat(f->dir_fd, f->tmp, 0);
	if (f->fd >= 0)
		close(f->fd);
	if (f->dir_fd >= 0)
		close(f->dir_fd);
	free(f->tmp);
	free(f->base);
	free(f->shown);
	*f = (struct io_file){.fd = -1, .dir_fd = -1};
}

/* ---- directories ---- */

int io_open_dir(const char *path, struct err *err)
{
	int fd;
	IO_RETRY(fd, open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC));
	return fd >= 0 ? fd : err_sys(err, "cannot open directory '%s'", path);
}

int io_sync_dir(int dir_fd, const char *name, struct err *err)
{
	int ret;
	IO_RETRY(ret, fsync(dir_fd));
	/* Some file systems cannot do it and say so; then there is nothing to be done. */
	if (ret != 0 && errno != EINVAL && errno != ENOTSUP)
		return err_sys(err, "cannot make '%s' durable", name);
	return 0;
}

/* Go up from ${*fd}, which is closed if ${own}: 1; 0: that is as far as it goes; -1. */
static int go_up(int *fd, bool own, struct stat *st, const char *name, struct err *err)
{
	struct stat below = *st;
	int up, ret;
	IO_RETRY(up, openat(*fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (own)
		close(*fd);
	*fd = up;
	/* Where we may not look we made nothing either. */
	if (up < 0)
		return errno == EACCES ? 0 : err_sys(err, "cannot open what '%s' is in", name);
	IO_RETRY(ret, fstat(up, st));
	if (ret != 0)
		return err_sys(err, "cannot stat what '%s' is in", name);
	return st->st_dev == below.st_dev && st->st_ino != below.st_ino;
}

static bool is_settled(const struct stat *st)
{
	time_t now = time(NULL);
	return st->st_ctime < now && now - st->st_ctime > SETTLED_S;
}

int io_sync_new(int dir_fd, const char *name, struct err *err)
{
	struct stat st;
	return fstat(dir_fd, &st) == 0 && is_settled(&st) ? 0 : io_sync_dir(dir_fd, name, err);
}

int io_sync_above(int dir_fd, const char *name, struct err *err)
{
	struct stat st;
	int fd = dir_fd, ret;
	IO_RETRY(ret, fstat(fd, &st));
	if (ret != 0)
		return err_sys(err, "cannot stat '%s'", name);
	while ((ret = go_up(&fd, fd != dir_fd, &st, name, err)) > 0 && !is_settled(&st))
		if ((ret = io_sync_dir(fd, name, err)) != 0)
			break;
	if (fd >= 0 && fd != dir_fd)
		close(fd);
	return ret < 0 ? -1 : 0;
}

int io_mkdirs(const char *path, struct err *err)
{
	char *copy = span_dup(span_of(path));
	int ret = copy ? 0 : err_nomem(err);
	for (char *p = copy ? copy + 1 : NULL; ret == 0 && p; p++) {
		char c = *p;
		if (c && c != '/')
			continue;
		*p = 0;
		IO_RETRY(ret, mkdir(copy, 0777));
		if (ret != 0 && errno == EEXIST)
			ret = 0;
		if (ret != 0)
			err_sys(err, "cannot create directory '%s'", copy);
		*p = c;
		if (!c)
			break;
	}
	free(copy);
	return ret;
}

static int stat_operand(const char *path, int standard, struct stat *st)
{
	if (!path)
		return -1;
	return strcmp(path, "-") == 0 ? fstat(standard, st) : stat(path, st);
}

int io_check_output(const char *output, const char *input, struct err *err)
{
	struct stat out, in;
	if (stat_operand(output, 1, &out) != 0 || stat_operand(input, 0, &in) != 0 ||
	    !S_ISREG(out.st_mode) || out.st_dev != in.st_dev || out.st_ino != in.st_ino)
		return 0;
	return err_set(err, ERR_USAGE, "'%s' is the input '%s': it cannot be written", output,
		       input);
}
