/* SPDX-License-Identifier: MIT */
/* A store in a directory: keys are files, locks are flock(2) on files below .locks. */
#include "store/backend_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/mem.h"

#define READ_BYTES ((size_t)64 << 10)
#define PLACES 4

struct dir_store {
	struct store base;
	char *path;
	/* Directories whose place is durable, the last ones; that they are open keeps their inode
	 * from being another's. */
	struct place {
		dev_t dev;
		ino_t ino;
		int fd;
	} place[PLACES];
	size_t places;
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
		ssize_t n;
		IO_RETRY(n, read(fd, out->data + out->len, room));
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

/* That there is nothing at that path: 0; or that a link there leads to nothing: -1. */
static int told_missing(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return io_missing() ? 0 : err_sys(err, "cannot stat '%s'", path);
	return S_ISLNK(st.st_mode)
		   ? err_set(err, ERR_ENV, "'%s' is a link to what does not exist", path)
		   : 0; /* it came just now */
}

static int dir_get(struct store *s, const char *key, struct buf *out, struct store_tag *tag,
		   struct err *err)
{
	char *path = full_path(s, key, err);
	if (!path)
		return -1;
	struct err why;
	int ret = -1, fd = io_open(path, &why);
	size_t start = out->len;
	if (fd < 0) {
		ret = io_missing() ? told_missing(path, err) : err_copy(err, &why);
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
	struct err why;
	int fd = io_open_dir(path, &why);
	if (fd < 0 && errno != ENOENT)
		*err = why;
	else if (fd < 0 && io_mkdirs(path, err) == 0)
		fd = io_open_dir(path, err);
	*slash = '/';
	return fd;
}

/*
 * Make durable that the directory is where it is: a process that was killed may have made it, or
 * one that is still at it.  Once for each directory, since a journal gets many batches.
 */
static int settle(struct dir_store *d, int dir, const char *name, struct err *err)
{
	struct stat st;
	if (fstat(dir, &st) != 0)
		return err_sys(err, "cannot stat the directory of '%s'", name);
	for (size_t i = 0; i < PLACES && i < d->places; i++)
		if (d->place[i].ino == st.st_ino && d->place[i].dev == st.st_dev)
			return 0;
	if (io_sync_above(dir, name, err) != 0)
		return -1;
	struct place *p = &d->place[d->places % PLACES];
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return 0; /* then it is done again the next time */
	if (d->places++ >= PLACES)
		close(p->fd);
	*p = (struct place){st.st_dev, st.st_ino, fd};
	return 0;
}

static int dir_stage(struct store *s, const char *key, struct io_file *f, struct err *err)
{
	char *path = full_path(s, key, err);
	const char *name;
	if (!path)
		return -1;
	int dir = open_parent(path, &name, err), ret = -1;
	if (dir >= 0) {
		ret = settle(self(s), dir, name, err);
		if (ret == 0)
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

/* Open the file that is locked. */
static int open_lock(struct store *s, const char *key, struct err *err)
{
	struct buf name = BUF_INIT;
	struct stat st;
	const char *last;
	int dir = -1, fd = -1;
	buf_adds(&name, ".locks/");
	buf_adds(&name, key);
	char *path = buf_ok(&name, err) == 0 ? full_path(s, name.data, err) : NULL;
	if (!path || (dir = open_parent(path, &last, err)) < 0)
		goto out;
	IO_RETRY(fd, openat(dir, last, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			    0666));
	if (fd < 0) {
		err_sys(err, "cannot open lock '%s'", path);
		goto out;
	}
	bool known = fstat(fd, &st) == 0;
	if (!known)
		err_sys(err, "cannot stat lock '%s'", path);
	else if (!S_ISREG(st.st_mode))
		err_set(err, ERR_ENV, "cannot lock '%s': not a regular file", path);
	if (!known || !S_ISREG(st.st_mode)) {
		close(fd);
		fd = -1;
	}
out:
	if (dir >= 0)
		close(dir);
	buf_release(&name);
	free(path);
	return fd;
}

static struct store_lock *dir_lock(struct store *s, const char *key, bool shared, int wait_ms,
				   struct err *err)
{
	struct dir_lock *l = mem_zeroed(1, sizeof *l, err);
	if (!l)
		return NULL;
	l->base.backend = s->backend;
	l->fd = -1;
	/* Nobody can change what is on a file system that is read-only. */
	if (shared && access(self(s)->path, W_OK) != 0 && errno == EROFS)
		return &l->base;
	l->fd = open_lock(s, key, err);
	if (l->fd >= 0 && lock_file(l->fd, shared, key, wait_ms, &s->warn, err) == 0)
		return &l->base;
	if (l->fd >= 0)
		close(l->fd);
	free(l);
	return NULL;
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
	struct store_lock *l = dir_lock(s, key, false, s->patience_ms, err);
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
	int ret;
	IO_RETRY(ret, unlink(path));
	if (ret != 0 && io_missing())
		ret = 0;
	if (ret != 0)
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

/* 1: a directory entry is a directory; 0: it is not, or leads nowhere, or vanished; -1. */
static int is_dir(int dir, const struct dirent *e, struct err *err)
{
	struct stat st;
	int ret;
	if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
		return e->d_type == DT_DIR;
	IO_RETRY(ret, fstatat(dir, e->d_name, &st, 0));
	if (ret == 0)
		return S_ISDIR(st.st_mode);
	return io_missing() || errno == ELOOP || errno == EACCES
		   ? 0
		   : err_sys(err, "cannot stat '%s'", e->d_name);
}

/* The next entry, whatever signals come; NULL and errno 0 at the end. */
static struct dirent *next_entry(DIR *d)
{
	struct dirent *e;
	do {
		errno = 0;
		e = readdir(d);
	} while (!e && errno == EINTR);
	return e;
}

static int dir_list(struct store *s, const char *prefix, bool prefixes, struct store_names *out,
		    struct err *err)
{
	char *path = full_path(s, prefix, err);
	if (!path)
		return -1;
	struct err why;
	int ret = -1, is, fd = io_open_dir(path, &why);
	DIR *d = NULL;
	if (fd < 0) {
		/* A root that is there but is no directory is no empty store. */
		ret = errno == ENOENT || (errno == ENOTDIR && prefix[0]) ? told_missing(path, err)
									 : err_copy(err, &why);
		goto out;
	}
	d = fdopendir(fd);
	if (!d) {
		err_sys(err, "cannot open directory '%s'", path);
		close(fd);
		goto out;
	}
	struct dirent *e;
	while ((e = next_entry(d))) {
		if (e->d_name[0] == '.')
			continue;
		if ((is = is_dir(dirfd(d), e, err)) < 0)
			goto out;
		if (is == prefixes && store_names_add(out, e->d_name, err) != 0)
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
	int ret;
	IO_RETRY(ret, stat(path, &st));
	if (ret != 0)
		ret = io_missing() ? told_missing(path, err)
				   : err_sys(err, "cannot stat '%s'", path);
	else if (!S_ISREG(st.st_mode))
		ret = err_set(err, ERR_ENV, "cannot read '%s': not a regular file", path);
	else
		ret = 1;
	if (ret > 0)
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
	struct err why;
	int fd = path ? io_open_dir(path, &why) : -1, ret = -1;
	if (fd >= 0) {
		ret = settle(self(s), fd, prefix, err);
		if (ret == 0)
			ret = io_sync_new(fd, path, err);
		close(fd);
	} else if (path) {
		ret = io_missing() ? 0 : err_copy(err, &why);
	}
	free(path);
	return ret;
}

static void dir_close(struct store *s)
{
	for (size_t i = 0; i < PLACES && i < self(s)->places; i++)
		close(self(s)->place[i].fd);
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
	d->base.patience_ms = STORE_PATIENCE_MS;
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
