/* SPDX-License-Identifier: MIT */
/*
 * fault.so - stands between a program and the C library (LD_PRELOAD): lets one call fail, or be
 * the last one, and logs what a power cut could take away again.
 *
 *	FAULT_BIN    only programs in this directory are touched (of those that are executed)
 *	FAULT_STATE  a file of STATE_BYTES that all processes of a run share: calls so far by
 *		     class, and who met the fault.  Without FAULT calls are only counted.
 *	FAULT	     CLASS:N:WAY, the Nth call of that class goes wrong; with a + behind, all
 *		     that follow do, too.  WAY: an errno by name; SHORT, half of the bytes; KILL,
 *		     SIGKILL in place of the call; KILLED, after it; STOP, SIGSTOP before it.
 *		     Class "any": all of them but allocations; "change": those that change files.
 *	FAULT_LOG    file that every change is appended to, see log_change()
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* name, whether it changes files */
#define CLASSES(X)                                                                     \
	X(open, 1) X(read, 0) X(write, 1) X(sync, 1) X(link, 1) X(rename, 1)           \
	X(unlink, 1) X(mkdir, 1) X(rmdir, 1) X(truncate, 1) X(chmod, 1) X(close, 0)    \
	X(lock, 0) X(fcntl, 0) X(stat, 0) X(seek, 0) X(opendir, 0) X(readdir, 0)       \
	X(mmap, 0) X(madvise, 0) X(process, 0) X(thread, 0) X(alloc, 0) X(any, 0) X(change, 0)

#define AS_ENUM(name, changes) C_##name,
enum class { CLASSES(AS_ENUM) N_CLASSES };
#define AS_NAME(name, changes) #name,
static const char *const class_name[] = {CLASSES(AS_NAME)};
#define AS_BOOL(name, changes) changes,
static const bool changes_files[] = {CLASSES(AS_BOOL)};

static const struct {
	const char *name;
	int number;
} errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},	      {"EINTR", EINTR},	  {"EDQUOT", EDQUOT},
	      {"ENOMEM", ENOMEM}, {"EACCES", EACCES}, {"EMFILE", EMFILE}, {"ENOLCK", ENOLCK},
	      {"EAGAIN", EAGAIN}, {"EPERM", EPERM}};

/* The shared file; tests/faults/campaign reads it. */
static struct state {
	struct {
		char name[16];
		atomic_ullong calls;
	} count[32];
	atomic_ullong met;
	char who[32]; /* program that met the fault first */
} *state;

static struct {
	int class, error;
	unsigned long long n;
	bool onwards;
	enum { FAIL, SHORT, KILL, KILLED, STOP } way;
} fault = {.class = -1};

static int log_fd = -1;
static _Thread_local bool dies_now;

/* ---- set-up ---- */

static int raw_open(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0644);
}

static void parse(const char *spec)
{
	char class[16], way[16], more[2] = "";
	if (sscanf(spec, "%15[a-z]:%llu:%15[A-Z]%1[+]", class, &fault.n, way, more) < 3)
		return;
	fault.onwards = more[0];
	fault.way = !strcmp(way, "SHORT")    ? SHORT
		    : !strcmp(way, "KILL")   ? KILL
		    : !strcmp(way, "KILLED") ? KILLED
		    : !strcmp(way, "STOP")   ? STOP
					     : FAIL;
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (!strcmp(errors[i].name, way))
			fault.error = errors[i].number;
	for (int i = 0; i < N_CLASSES; i++)
		if (!strcmp(class_name[i], class))
			fault.class = i;
}

/* Whether this process runs a program in FAULT_BIN. */
static bool is_ours(void)
{
	char self[PATH_MAX] = "";
	const char *bin = getenv("FAULT_BIN");
	size_t n = bin ? strlen(bin) : 0;
	ssize_t got = readlink("/proc/self/exe", self, sizeof self - 1);
	return n && got > (ssize_t)n && !strncmp(self, bin, n) && self[n] == '/';
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_STATE"), *log = getenv("FAULT_LOG");
	if (log) {
		int fd = raw_open(log, O_WRONLY | O_APPEND | O_CREAT);
		log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
		syscall(SYS_close, fd);
	}
	int fd = path && is_ours() ? raw_open(path, O_RDWR) : -1;
	if (fd < 0)
		return;
	void *m = (void *)syscall(SYS_mmap, NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED,
				  fd, 0);
	syscall(SYS_close, fd);
	if (m == MAP_FAILED)
		return;
	if (getenv("FAULT"))
		parse(getenv("FAULT"));
	struct state *s = m;
	for (int i = 0; i < N_CLASSES; i++)
		strcpy(s->count[i].name, class_name[i]);
	state = s;
}

/* ---- the fault ---- */

static void meet(void)
{
	if (atomic_fetch_add(&state->met, 1) == 0)
		strncpy(state->who, program_invocation_short_name, sizeof state->who - 1);
	if (fault.way == KILL)
		syscall(SYS_kill, getpid(), SIGKILL);
	if (fault.way == STOP)
		syscall(SYS_kill, getpid(), SIGSTOP);
	dies_now = fault.way == KILLED;
}

static unsigned long long count(enum class c)
{
	return atomic_fetch_add(&state->count[c].calls, 1) + 1;
}

/* Count a call; whether it is the one. */
static bool is_the_one(enum class c)
{
	if (!state)
		return false;
	unsigned long long n[N_CLASSES] = {0};
	n[c] = count(c);
	if (c != C_alloc)
		n[C_any] = count(C_any);
	if (changes_files[c])
		n[C_change] = count(C_change);
	unsigned long long mine = fault.class < 0 ? 0 : n[fault.class];
	if (mine == 0 || (mine != fault.n && !(fault.onwards && mine > fault.n)))
		return false;
	meet();
	return true;
}

/* Whether the call is to fail; errno is set then. */
static bool fails(enum class c)
{
	if (!is_the_one(c) || fault.way != FAIL)
		return false;
	errno = fault.error;
	return true;
}

/* The same for a transfer of ${n} bytes, which may be halved instead. */
static bool transfer_fails(enum class c, size_t *n)
{
	if (!is_the_one(c))
		return false;
	if (fault.way == SHORT && *n > 1)
		*n /= 2;
	errno = fault.error;
	return fault.way == FAIL;
}

/* The end of a call that was made. */
static void made(void)
{
	if (dies_now)
		syscall(SYS_kill, getpid(), SIGKILL);
}

/* ---- the log ---- */

struct change {
	const char *op;
	unsigned long ino, dir, dir2;
	const char *name, *name2;
	long long at; /* or size */
	const void *data;
	size_t len;
};

/* One line, fields with tabs between, then the data. */
static void log_change(const struct change *c)
{
	char head[2 * PATH_MAX];
	int saved = errno;
	if (log_fd < 0)
		return;
	int n = snprintf(head, sizeof head, "%s\t%lu\t%lu\t%s\t%lu\t%s\t%lld\t%zu\n", c->op, c->ino,
			 c->dir, c->name ? c->name : "", c->dir2, c->name2 ? c->name2 : "", c->at,
			 c->len);
	struct iovec v[2] = {{head, (size_t)n}, {(void *)(size_t)c->data, c->len}};
	syscall(SYS_writev, log_fd, v, 2);
	errno = saved;
}

static unsigned long inode_at(int dir, const char *path, int flags)
{
	struct stat st;
	int saved = errno;
	unsigned long ino = syscall(SYS_newfstatat, dir, path, &st, flags) == 0 ? st.st_ino : 0;
	errno = saved;
	return ino;
}

static unsigned long inode(int fd)
{
	return inode_at(fd, "", AT_EMPTY_PATH);
}

/* Inode of the directory that a path lies in; ${last}: its last part. */
static unsigned long parent(int dir, const char *path, const char **last)
{
	char up[PATH_MAX];
	const char *slash = strrchr(path, '/');
	*last = slash ? slash + 1 : path;
	if (!slash)
		return inode_at(dir, dir == AT_FDCWD ? "." : "", dir == AT_FDCWD ? 0 : AT_EMPTY_PATH);
	snprintf(up, sizeof up, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return inode_at(dir, up, 0);
}

static void log_entry(const char *op, int dir, const char *path)
{
	struct change c = {.op = op};
	if (log_fd < 0)
		return;
	c.dir = parent(dir, path, &c.name);
	c.ino = inode_at(dir, path, AT_SYMLINK_NOFOLLOW);
	log_change(&c);
}

/* ---- files ---- */

#define NEXT(f)                         \
	static __typeof__(&f) next;     \
	if (!next)                      \
	next = (__typeof__(&f))dlsym(RTLD_NEXT, #f)

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
	if (fails(C_open))
		return -1;
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	bool was = log_fd >= 0 && (flags & O_CREAT) && inode_at(dir, path, 0);
	int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	if (fd >= 0 && log_fd >= 0) {
		if (unnamed)
			log_change(&(struct change){.op = "new", .ino = inode(fd)});
		else if ((flags & O_CREAT) && !was)
			log_entry("create", dir, path);
		else if (flags & O_TRUNC)
			log_change(&(struct change){.op = "truncate", .ino = inode(fd)});
	}
	made();
	return fd;
}

#define WITH_MODE                                                              \
	va_list ap;                                                            \
	va_start(ap, flags);                                                   \
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;  \
	va_end(ap)

int open(const char *path, int flags, ...)
{
	WITH_MODE;
	return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	WITH_MODE;
	return open_any(dir, path, flags, mode);
}

ssize_t read(int fd, void *p, size_t n)
{
	ssize_t r = transfer_fails(C_read, &n) ? -1 : syscall(SYS_read, fd, p, n);
	made();
	return r;
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	ssize_t r = transfer_fails(C_read, &n) ? -1 : syscall(SYS_pread64, fd, p, n, at);
	made();
	return r;
}

static ssize_t written(int fd, const void *p, ssize_t n, long long at)
{
	if (n > 0 && log_fd >= 0)
		log_change(&(struct change){
		    .op = "write", .ino = inode(fd), .at = at, .data = p, .len = (size_t)n});
	made();
	return n;
}

/* What goes to the standard error is left alone: without it, nothing can be told. */
ssize_t write(int fd, const void *p, size_t n)
{
	ssize_t r = fd != 2 && transfer_fails(C_write, &n) ? -1 : syscall(SYS_write, fd, p, n);
	int saved = errno;
	long long end = log_fd >= 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : 0;
	errno = saved;
	return written(fd, p, r, end - r);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t r = transfer_fails(C_write, &n) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
	return written(fd, p, r, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	for (int i = 0; i < n; i++)
		if (v[i].iov_len)
			return write(fd, v[i].iov_base, v[i].iov_len);
	return 0;
}

static int sync_any(long call, int fd)
{
	int r = fails(C_sync) ? -1 : (int)syscall(call, fd);
	if (r == 0 && log_fd >= 0)
		log_change(&(struct change){.op = "sync", .ino = inode(fd)});
	made();
	return r;
}

int fsync(int fd)
{
	return sync_any(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_any(SYS_fdatasync, fd);
}

int linkat(int dir, const char *path, int dir2, const char *path2, int flags)
{
	int r = fails(C_link) ? -1 : (int)syscall(SYS_linkat, dir, path, dir2, path2, flags);
	if (r == 0)
		log_entry("link", dir2, path2);
	made();
	return r;
}

int link(const char *path, const char *path2)
{
	return linkat(AT_FDCWD, path, AT_FDCWD, path2, 0);
}

int renameat(int dir, const char *path, int dir2, const char *path2)
{
	struct change c = {.op = "rename"};
	if (log_fd >= 0) {
		c.dir = parent(dir, path, &c.name);
		c.dir2 = parent(dir2, path2, &c.name2);
		c.ino = inode_at(dir, path, AT_SYMLINK_NOFOLLOW);
	}
	int r = fails(C_rename) ? -1 : (int)syscall(SYS_renameat2, dir, path, dir2, path2, 0);
	if (r == 0)
		log_change(&c);
	made();
	return r;
}

int rename(const char *path, const char *path2)
{
	return renameat(AT_FDCWD, path, AT_FDCWD, path2);
}

static int remove_any(enum class class, int dir, const char *path, int flags)
{
	struct change c = {.op = "unlink"};
	int r = fails(class) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
	if (r == 0 && log_fd >= 0) {
		c.dir = parent(dir, path, &c.name);
		log_change(&c);
	}
	made();
	return r;
}

int unlinkat(int dir, const char *path, int flags)
{
	return remove_any(flags & AT_REMOVEDIR ? C_rmdir : C_unlink, dir, path, flags);
}

int unlink(const char *path)
{
	return remove_any(C_unlink, AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return remove_any(C_rmdir, AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	int r = fails(C_mkdir) ? -1 : (int)syscall(SYS_mkdirat, dir, path, mode);
	if (r == 0)
		log_entry("mkdir", dir, path);
	made();
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int ftruncate(int fd, off_t n)
{
	int r = fails(C_truncate) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
	if (r == 0 && log_fd >= 0)
		log_change(&(struct change){.op = "truncate", .ino = inode(fd), .at = n});
	made();
	return r;
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	return fails(C_truncate) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, n);
}

int fchmod(int fd, mode_t mode)
{
	return fails(C_chmod) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

/* One that fails has closed nevertheless. */
int close(int fd)
{
	if (fd >= 0 && fd == log_fd)
		return 0;
	bool bad = fails(C_close);
	int saved = errno, r = (int)syscall(SYS_close, fd);
	made();
	if (bad)
		errno = saved;
	return bad ? -1 : r;
}

int flock(int fd, int how)
{
	return fails(C_lock) ? -1 : (int)syscall(SYS_flock, fd, how);
}

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	va_start(ap, cmd);
	long arg = va_arg(ap, long);
	va_end(ap);
	bool locks = cmd == F_SETLK || cmd == F_SETLKW || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	return fails(locks ? C_lock : C_fcntl) ? -1 : (int)syscall(SYS_fcntl, fd, cmd, arg);
}

off_t lseek(int fd, off_t at, int how)
{
	return fails(C_seek) ? -1 : syscall(SYS_lseek, fd, at, how);
}

int fstatat(int dir, const char *path, struct stat *st, int flags)
{
	return fails(C_stat) ? -1 : (int)syscall(SYS_newfstatat, dir, path, st, flags);
}

int stat(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, path, st, 0);
}

int lstat(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int fstat(int fd, struct stat *st)
{
	return fstatat(fd, "", st, AT_EMPTY_PATH);
}

DIR *opendir(const char *path)
{
	NEXT(opendir);
	return fails(C_opendir) ? NULL : next(path);
}

DIR *fdopendir(int fd)
{
	NEXT(fdopendir);
	return fails(C_opendir) ? NULL : next(fd);
}

struct dirent *readdir(DIR *d)
{
	NEXT(readdir);
	return fails(C_readdir) ? NULL : next(d);
}

/* The same under the names that programs for large files and hardened ones use. */
#define SAME(name, as) __asm__(".globl " #as "\n.set " #as ", " #name)
SAME(open, open64);
SAME(openat, openat64);
SAME(pread, pread64);
SAME(pwrite, pwrite64);
SAME(ftruncate, ftruncate64);
SAME(fallocate, fallocate64);
SAME(fcntl, fcntl64);
SAME(lseek, lseek64);
SAME(stat, stat64);
SAME(lstat, lstat64);
SAME(fstat, fstat64);
SAME(fstatat, fstatat64);
SAME(readdir, readdir64);
SAME(open, __open_2);
SAME(open, __open64_2);
SAME(read, __read_chk);
SAME(pread, __pread_chk);
SAME(pread, __pread64_chk);

/* ---- memory, processes ---- */

void *mmap(void *p, size_t n, int prot, int flags, int fd, off_t at)
{
	return fails(C_mmap) ? MAP_FAILED : (void *)syscall(SYS_mmap, p, n, prot, flags, fd, at);
}
SAME(mmap, mmap64);

int madvise(void *p, size_t n, int how)
{
	return fails(C_madvise) ? -1 : (int)syscall(SYS_madvise, p, n, how);
}

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
	return fails(C_alloc) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(C_alloc) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(C_alloc) ? NULL : __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return fails(C_alloc) ? NULL : __libc_memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	*p = fails(C_alloc) ? NULL : __libc_memalign(align, n);
	return *p ? 0 : ENOMEM;
}

pid_t fork(void)
{
	NEXT(fork);
	return fails(C_process) ? -1 : next();
}

int execvp(const char *file, char *const argv[])
{
	NEXT(execvp);
	return fails(C_process) ? -1 : next(file, argv);
}

int execve(const char *file, char *const argv[], char *const envp[])
{
	NEXT(execve);
	return fails(C_process) ? -1 : next(file, argv, envp);
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	NEXT(pthread_create);
	return fails(C_thread) ? fault.error : next(t, attr, run, arg);
}
