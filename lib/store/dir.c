/* SPDX-License-Identifier: MIT */
/* A store in a directory: keys are files, locks are flock(2) on files below .locks. */
#include "store/backend_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/io.h"
#include "base/mem.h"

#define READ_BYTES ((size_t)64 << 10)

struct dir_store {
	struct store base;
	char *path;
};

struct dir_lock {
	struct store_lock base;
	int fd;
};

static struct dir_store *self(struct store *s)
{
	return (struct dir_store *)s;
}

/* root/key, or NULL. */
static char *full_path(struct store *s, const char *key, struct err *err)
{
	struct buf b = BUF_INIT;
	buf_adds(&b, self(s)->path);
	if (key[0]) {
		buf_addc(&b, '/');
		buf_adds(&b, key);
	}
	if (buf_ok(&b, err) != 0) {
		buf_release(&b);
		return NULL;
	}
	return b.data;
}

static bool missing(int error)
{
	return error == ENOENT || error == ENOTDIR;
}

static void tag_of(struct span data, struct store_tag *tag)
{
	digest_text(digest_of(data.p, data.n), tag->text);
}

/*
 * Append a file.  One that gives less than was asked for has ended: journals are read by
 * the thousand, and asking again would cost a third more.
 */
static int read_whole(int fd, const char *path, struct buf *out, struct err *err)
{
	size_t start = out->len;
	for (;;) {
		if (!buf_reserve(out, READ_BYTES))
			return err_nomem(err);
		size_t room = out->cap - out->len - 1;
		ssize_t n = read(fd, out->data + out->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot read '%s'", path);
		out->len += (size_t)n;
		out->data[out->len] = 0;
		if (out->len - start > STORE_BLOB_MAX)
			return err_set(err, ERR_DATA, "'%s' is larger than %zu bytes", path,
				       STORE_BLOB_MAX);
		if ((size_t)n < room)
			return 0;
	}
}

static int dir_get(struct store *s, const char *key, struct buf *out, struct store_tag *tag,
		   struct err *err)
{
	char *path = full_path(s, key, err);
	if (!path)
		return -1;
	int ret = -1, fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t start = out->len;
	if (fd < 0) {
		ret = missing(errno) ? 0 : err_sys(err, "cannot open '%s'", path);
		goto out;
	}
	if (read_whole(fd, path, out, err) != 0)
		goto out;
	if (tag)
		tag_of((struct span){out->data + start, out->len - start}, tag);
	ret = 1;
out:
	if (fd >= 0)
		close(fd);
	free(path);
	return ret;
}

/* Open the directory that ${path} lies in, making it if need be; ${name} is what follows. */
static int open_parent(char *path, const char **name, struct err *err)
{
	char *slash = strrchr(path, '/');
	*name = slash + 1;
	*slash = 0;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (io_mkdirs(path, err) != 0)
			return -1;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		err_sys(err, "cannot open directory '%s'", path);
	*slash = '/';
	return fd;
}

static int dir_stage(struct store *s, const char *key, struct io_file *f, struct err *err)
{
	char *path = full_path(s, key, err);
	const char *name;
	if (!path)
		return -1;
	int dir = open_parent(path, &name, err), ret = -1;
	if (dir >= 0) {
		ret = io_file_open_at(f, dir, name, err);
		close(dir);
	}
	free(path);
	return ret;
}

/* Only the last part of the key may differ from that of dir_stage(). */
static int dir_publish(struct store *s, const char *key, struct io_file *f,
		       enum store_put_mode mode, struct err *err)
{
	const char *slash = strrchr(key, '/');
	int ret = io_file_rename(f, slash ? slash + 1 : key, err);
	if (ret == 0)
		ret = io_file_commit(f, mode == STORE_PUT_CREATE ? IO_CREATE : IO_REPLACE, err);
	return ret < 0 ? err_prefix(err, "store '%s'", s->url) : ret;
}

static int dir_put(struct store *s, const char *key, struct span data, enum store_put_mode mode,
		   struct err *err)
{
	struct io_file f = {.fd = -1, .dir_fd = -1};
	int ret = dir_stage(s, key, &f, err);
	if (ret == 0)
		ret = io_file_write(&f, data.p, data.n, err);
	if (ret == 0)
		ret = dir_publish(s, key, &f, mode, err);
	io_file_release(&f);
	return ret;
}

static int flock_wait(int fd, bool shared, int wait_ms)
{
	struct timespec pause = {0, 5000000};
	uint64_t deadline = clock_mono_ns() + (uint64_t)(wait_ms > 0 ? wait_ms : 0) * 1000000u;
	for (;;) {
		int r = flock(fd, (shared ? LOCK_SH : LOCK_EX) | (wait_ms < 0 ? 0 : LOCK_NB));
		if (r == 0 || (errno != EINTR && errno != EWOULDBLOCK))
			return r;
		if (errno == EWOULDBLOCK) {
			if (clock_mono_ns() >= deadline) {
				errno = EWOULDBLOCK;
				return -1;
			}
			nanosleep(&pause, NULL);
		}
	}
}

static struct store_lock *dir_lock(struct store *s, const char *key, bool shared, int wait_ms,
				   struct err *err)
{
	struct buf name = BUF_INIT;
	struct dir_lock *l = NULL;
	char *path = NULL;
	const char *last;
	int dir = -1, fd = -1;
	/* Nobody can change what is on a file system that is read-only. */
	if (shared && access(self(s)->path, W_OK) != 0 && errno == EROFS)
		goto held;
	buf_adds(&name, ".locks/");
	buf_adds(&name, key);
	if (buf_ok(&name, err) != 0 || !(path = full_path(s, name.data, err)) ||
	    (dir = open_parent(path, &last, err)) < 0)
		goto out;
	fd = openat(dir, last, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0) {
		err_sys(err, "cannot open lock '%s'", path);
		goto out;
	}
	if (flock_wait(fd, shared, wait_ms) != 0) {
		if (errno == EWOULDBLOCK)
			err_set(err, ERR_TEMP, "'%s' is locked by another process", key);
		else
			err_sys(err, "cannot lock '%s'", path);
		goto out;
	}
held:
	l = mem_zeroed(1, sizeof *l, err);
	if (l) {
		l->base.backend = s->backend;
		l->fd = fd;
		fd = -1;
	}
out:
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	buf_release(&name);
	free(path);
	return l ? &l->base : NULL;
}

static void dir_unlock(struct store_lock *l)
{
	int fd = ((struct dir_lock *)l)->fd;
	if (fd >= 0)
		close(fd);
	free(l);
}

static int dir_lock_inherit(struct store_lock *l, struct err *err)
{
	if (fcntl(((struct dir_lock *)l)->fd, F_SETFD, 0) != 0)
		return err_sys(err, "cannot hand on a lock");
	return 0;
}

static int dir_swap(struct store *s, const char *key, const struct store_tag *expect,
		    struct span data, struct err *err)
{
	struct store_lock *l = dir_lock(s, key, false, -1, err);
	struct buf now = BUF_INIT;
	struct store_tag tag;
	int ret = -1;
	if (!l)
		return -1;
	int there = dir_get(s, key, &now, &tag, err);
	if (there < 0)
		goto out;
	if (there != (expect != NULL) || (expect && strcmp(expect->text, tag.text) != 0))
		ret = 1;
	else
		ret = dir_put(s, key, data, STORE_PUT_ALWAYS, err);
out:
	buf_release(&now);
	dir_unlock(l);
	return ret;
}

static int dir_remove(struct store *s, const char *key, struct err *err)
{
	char *path = full_path(s, key, err);
	if (!path)
		return -1;
	int ret = 0;
	if (unlink(path) != 0 && !missing(errno))
		ret = err_sys(err, "cannot remove '%s'", path);
	/* A prefix without keys is no prefix: directories go with their last file. */
	char *slash = strrchr(path, '/');
	for (size_t root = strlen(self(s)->path); ret == 0 && slash; slash = strrchr(path, '/')) {
		*slash = 0;
		if (strlen(path) <= root || rmdir(path) != 0)
			break;
	}
	free(path);
	return ret;
}

/* Whether a directory entry is a directory; false too if it vanished meanwhile. */
static bool is_dir(int dir, const struct dirent *e)
{
	struct stat st;
	if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
		return e->d_type == DT_DIR;
	return fstatat(dir, e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int dir_list(struct store *s, const char *prefix, bool prefixes, struct store_names *out,
		    struct err *err)
{
	char *path = full_path(s, prefix, err);
	if (!path)
		return -1;
	int ret = -1;
	DIR *d = opendir(path);
	if (!d) {
		/* A root that is there but is no directory is no empty store. */
		bool none = missing(errno) && (errno == ENOENT || prefix[0]);
		ret = none ? 0 : err_sys(err, "cannot open directory '%s'", path);
		goto out;
	}
	for (;;) {
		errno = 0;
		struct dirent *e = readdir(d);
		if (!e)
			break;
		if (e->d_name[0] == '.' || is_dir(dirfd(d), e) != prefixes)
			continue;
		if (store_names_add(out, e->d_name, err) != 0)
			goto out;
	}
	ret = errno ? err_sys(err, "cannot read directory '%s'", path) : 0;
out:
	if (d)
		closedir(d);
	free(path);
	return ret;
}

static int dir_path(struct store *s, const char *key, struct buf *out, struct err *err)
{
	struct stat st;
	char *path = full_path(s, key, err);
	if (!path)
		return -1;
	int ret = 1;
	if (stat(path, &st) != 0)
		ret = missing(errno) ? 0 : err_sys(err, "cannot stat '%s'", path);
	else
		buf_adds(out, path);
	free(path);
	return ret < 0 || buf_ok(out, err) != 0 ? -1 : ret;
}

static int dir_cache_path(struct store *s, const char *key, struct buf *out, struct err *err)
{
	struct buf hidden = BUF_INIT;
	const char *name;
	buf_adds(&hidden, ".cache/");
	buf_adds(&hidden, key);
	char *path = buf_ok(&hidden, err) == 0 ? full_path(s, hidden.data, err) : NULL;
	int dir = path ? open_parent(path, &name, err) : -1;
	if (dir >= 0) {
		close(dir);
		buf_adds(out, path);
	}
	free(path);
	buf_release(&hidden);
	return dir < 0 ? -1 : buf_ok(out, err);
}

static int dir_sync(struct store *s, const char *prefix, struct err *err)
{
	char *path = full_path(s, prefix, err);
	int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, ret = -1;
	if (fd >= 0) {
		ret = io_sync_dir(fd, path, err);
		close(fd);
	} else if (path) {
		err_sys(err, "cannot open directory '%s'", path);
	}
	free(path);
	return ret;
}

static void dir_close(struct store *s)
{
	free(self(s)->path);
	free(s);
}

static const struct store_backend dir_backend = {
    .get = dir_get,
    .put = dir_put,
    .swap = dir_swap,
    .remove = dir_remove,
    .list = dir_list,
    .lock = dir_lock,
    .unlock = dir_unlock,
    .lock_inherit = dir_lock_inherit,
    .path = dir_path,
    .cache_path = dir_cache_path,
    .sync = dir_sync,
    .stage = dir_stage,
    .publish = dir_publish,
    .close = dir_close,
};

struct store *store_dir_open(const char *path, struct err *err)
{
	struct dir_store *d = mem_zeroed(1, sizeof *d, err);
	if (!d)
		return NULL;
	d->base.backend = &dir_backend;
	d->base.url = span_dup(span_of(path));
	d->path = span_dup(span_of(path));
	if (!d->base.url || !d->path) {
		store_close(&d->base);
		err_nomem(err);
		return NULL;
	}
	/* No slash at the end, but "/" stays. */
	for (size_t n = strlen(d->path); n > 1 && d->path[n - 1] == '/'; n--)
		d->path[n - 1] = 0;
	return &d->base;
}
