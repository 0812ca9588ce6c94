/* SPDX-License-Identifier: MIT */
/*
 * What is acknowledged is on the disk, and what happens between two system calls of another
 * process.  The Makefile links this test with --wrap, so these calls come through here first; a
 * model of what a power cut would lose is kept beside the file system.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/queue.h"
#include "base/io.h"
#include "catalog/operand.h"
#include "journal/journal.h"
#include "record/trial_writer.h"
#include "tests/unit/tap.h"

static struct err err;
static char root[] = "/tmp/hnsw-unit-XXXXXX";

/* ---- the model: what is not on the disk yet ---- */

#define THINGS 4096

/* A file or directory: whether its content may be lost, or its entry in a directory. */
static struct thing {
	dev_t dev;
	ino_t ino, in;
	bool content, entry;
} thing[THINGS];
static size_t things;

/* Directories are not synced, as if the process was killed before it came to that. */
static bool no_dir_sync;

static struct thing *thing_of(const struct stat *st)
{
	for (size_t i = 0; i < things; i++)
		if (thing[i].ino == st->st_ino && thing[i].dev == st->st_dev)
			return &thing[i];
	if (things == THINGS)
		abort();
	thing[things] = (struct thing){.dev = st->st_dev, .ino = st->st_ino};
	return &thing[things++];
}

/* ${path}, relative to the directory, is a new entry. */
static void note_entry(int dir, const char *path)
{
	struct stat st, above;
	char *up = span_dup(span_of(path)), *slash = up ? strrchr(up, '/') : NULL;
	if (slash)
		*slash = 0;
	if (!up || fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fstatat(dir, slash ? up : ".", &above, 0) != 0)
		abort();
	free(up);
	struct thing *t = thing_of(&st);
	t->entry = true;
	t->in = above.st_ino;
	if (S_ISDIR(st.st_mode))
		t->content = false; /* whatever had that inode before */
}

static void note_synced(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || (no_dir_sync && S_ISDIR(st.st_mode)))
		return;
	thing_of(&st)->content = false;
	for (size_t i = 0; i < things; i++)
		if (thing[i].in == st.st_ino && thing[i].dev == st.st_dev)
			thing[i].entry = false;
}

static void note_written(int fd)
{
	struct stat st;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		thing_of(&st)->content = true;
}

/* Whether a power cut now would leave that path and its content. */
static bool is_safe(const char *path)
{
	char *copy = span_dup(span_of(path));
	bool safe = copy != NULL;
	while (safe && strlen(copy) > strlen(root)) {
		struct stat st;
		safe = stat(copy, &st) == 0 && !thing_of(&st)->content && !thing_of(&st)->entry;
		if (!safe)
			printf("# '%s' may be lost by '%s'\n", path, copy);
		*strrchr(copy, '/') = 0;
	}
	free(copy);
	return safe;
}

/* ---- the calls ---- */

static void (*at_rename)(void), (*at_open)(const char *path), (*at_readdir)(void);

int __real_fsync(int fd);
int __wrap_fsync(int fd);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_linkat(int from_dir, const char *from, int dir, const char *to, int flags);
int __wrap_linkat(int from_dir, const char *from, int dir, const char *to, int flags);
int __real_renameat(int from_dir, const char *from, int dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int dir, const char *to);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap___open_2(const char *path, int flags);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
struct dirent *__real_readdir(DIR *d);
struct dirent *__wrap_readdir(DIR *d);

int __wrap_fsync(int fd)
{
	int ret = __real_fsync(fd);
	if (ret == 0)
		note_synced(fd);
	return ret;
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	note_written(fd);
	return __real_write(fd, p, n);
}

int __wrap_linkat(int from_dir, const char *from, int dir, const char *to, int flags)
{
	int ret = __real_linkat(from_dir, from, dir, to, flags);
	if (ret == 0)
		note_entry(dir, to);
	return ret;
}

int __wrap_renameat(int from_dir, const char *from, int dir, const char *to)
{
	void (*hook)(void) = at_rename;
	at_rename = NULL;
	if (hook)
		hook();
	int ret = __real_renameat(from_dir, from, dir, to);
	if (ret == 0)
		note_entry(dir, to);
	return ret;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	int fd = __real_open(path, flags, mode);
	if (fd >= 0 && at_open)
		at_open(path);
	return fd;
}

/* What open() is called where _FORTIFY_SOURCE is on by default, as on Ubuntu. */
int __wrap___open_2(const char *path, int flags)
{
	return __wrap_open(path, flags);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	int ret = __real_mkdir(path, mode);
	if (ret == 0)
		note_entry(AT_FDCWD, path);
	return ret;
}

/*
 * The hook is called when a listing has begun, and then the listing is at its end: the entries
 * that were there have gone, and the new ones stand before the place where it was.
 */
struct dirent *__wrap_readdir(DIR *d)
{
	void (*hook)(void) = at_readdir;
	at_readdir = NULL;
	if (!hook)
		return __real_readdir(d);
	hook();
	while (__real_readdir(d))
		;
	errno = 0;
	return NULL;
}

/* ---- what is acknowledged ---- */

static struct span text(const char *s)
{
	return span_of(s);
}

/* root/name, for one of a few calls. */
static const char *below(const char *name)
{
	static char path[4][512];
	static int turn;
	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", root, name);
	return path[turn];
}

static void test_files(void)
{
	static const enum io_commit how[] = {IO_CREATE, IO_REPLACE, IO_REPLACE};
	const char *path = below("file");
	for (size_t i = 0; i < 3; i++) {
		struct io_file f;
		bool good = io_file_open(&f, path, &err) == 0 &&
			    io_file_write(&f, "content", 7, &err) == 0;
		struct stat st;
		ok(good && fstat(f.fd, &st) == 0 && thing_of(&st)->content,
		   "what is written may be lost");
		ok(io_file_commit(&f, how[i], &err) == 0 && is_safe(path),
		   "what is committed may not");
		io_file_release(&f);
	}
}

static void test_blobs(void)
{
	struct store *s = store_open(below("blobs/deep/store"), &err);
	struct store_tag tag;
	struct buf b = BUF_INIT;
	ok(store_put(s, "a/b/put", text("1"), &err) == 0 &&
	       is_safe(below("blobs/deep/store/a/b/put")),
	   "put, with all directories that it made");
	ok(store_put(s, "a/b/put", text("2"), &err) == 0 &&
	       is_safe(below("blobs/deep/store/a/b/put")),
	   "put over another");
	ok(store_create(s, "c/new", text("1"), &err) == 0 &&
	       is_safe(below("blobs/deep/store/c/new")),
	   "create");
	ok(store_swap(s, "d/swapped", NULL, text("1"), &err) == 0 &&
	       is_safe(below("blobs/deep/store/d/swapped")),
	   "swap for nothing");
	ok(store_get(s, "d/swapped", &b, &tag, &err) == 1 &&
	       store_swap(s, "d/swapped", &tag, text("2"), &err) == 0 &&
	       is_safe(below("blobs/deep/store/d/swapped")),
	   "swap");
	struct store_stage *st = store_stage_open(s, "e/large.zst", &err);
	ok(st && store_stage_add(st, text("large"), &err) == 0 &&
	       store_stage_commit(st, "e/large.zst", false, &err) == 0 &&
	       is_safe(below("blobs/deep/store/e/large.zst")),
	   "a large one");
	store_stage_free(st);
	buf_release(&b);
	store_close(s);
}

static void test_journal(void)
{
	struct store *s = store_open(below("journal"), &err);
	struct journal_compaction done;
	char name[JOURNAL_NAME_MAX], path[256];
	for (int i = 0; i < 3; i++) {
		bool good = journal_append(s, "j/x", text("line\n"), 0, name, &err) == 0;
		snprintf(path, sizeof path, "%s/journal/j/x/%s", root, name);
		ok(good && is_safe(path), "a batch");
	}
	bool good = journal_compact(s, "j/x", 0, false, false, NULL, NULL, &done, &err) == 0;
	snprintf(path, sizeof path, "%s/journal/j/x/%s", root, done.into);
	ok(good && done.lines == 3 && is_safe(path), "what was compacted");
	store_close(s);
}

/* Directories that another process made, and did not live to sync. */
static void test_foreign_directories(void)
{
	ok(mkdir(below("foreign"), 0777) == 0 && mkdir(below("foreign/a"), 0777) == 0 &&
	       mkdir(below("foreign/a/b"), 0777) == 0 && !is_safe(below("foreign/a/b")),
	   "directories that another made may be lost");
	struct store *s = store_open(below("foreign"), &err);
	ok(io_mkdirs(below("foreign/a/b"), &err) == 0 &&
	       store_put(s, "a/b/c", text("1"), &err) == 0 && is_safe(below("foreign/a/b/c")),
	   "until something is acknowledged in them");
	store_close(s);
}

/* ---- what is acknowledged because it was there ---- */

static int append_rows(const char *store, const char *rows, struct dataset_appended *done)
{
	struct catalog c = {0};
	struct vec_set set = VEC_SET_INIT;
	int ret = catalog_open(&c, store, false, &err);
	if (ret == 0)
		ret = vec_set_open(&set, &rows, 1, &(struct vec_input){.format = VEC_JSONL}, &err);
	struct dataset_append a = {.dataset = "d", .batch_id = "first", .rows = &set};
	if (ret == 0)
		ret = catalog_dataset_append(&c, &a, done, &err);
	vec_set_release(&set);
	catalog_close(&c);
	return ret;
}

static void test_repeated_batch(void)
{
	static const char lines[] = "{\"id\":\"a\",\"vector\":[1,2]}\n{\"id\":\"b\",\"vector\":[3,4]}\n";
	const char *rows = below("rows.jsonl"), *store = below("batches");
	struct dataset_appended done;
	char path[1024];
	int fd = open(rows, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	ok(io_write_all(fd, lines, sizeof lines - 1) == 0, "rows");
	close(fd);
	no_dir_sync = true;
	ok(append_rows(store, rows, &done) == 0 && !done.repeated, "a batch");
	no_dir_sync = false;
	snprintf(path, sizeof path, "%s/primary/vectors/d/%s", store, done.batch);
	ok(!is_safe(path), "may be lost while its writer is at it");
	ok(append_rows(store, rows, &done) == 0 && done.repeated && is_safe(path),
	   "but not once it is called repeated");
}

static int push(const char *url, struct agent_event *e)
{
	struct store *s = store_open(url, &err);
	*e = (struct agent_event){.reason = AGENT_MANUAL, .index_name = span_dup(span_of("x"))};
	int ret = agent_queue_push(s, e, &err);
	store_close(s);
	return ret;
}

static void test_waiting_event(void)
{
	const char *url = below("queue");
	struct agent_event e, again;
	char path[512];
	no_dir_sync = true;
	ok(push(url, &e) == 0, "an event");
	no_dir_sync = false;
	snprintf(path, sizeof path, "%s/_hnsw_agent/queue/%s", url, e.name);
	ok(!is_safe(path), "may be lost while its writer is at it");
	ok(push(url, &again) >= 0 && strcmp(e.name, again.name) == 0 && is_safe(path),
	   "but not once it is told that it waits");
	agent_event_release(&e);
	agent_event_release(&again);
}

static int append_trial(const char *url)
{
	static const char line[] =
	    "{\"id\":\"t\",\"index_name\":\"x\",\"eval_set\":\"e\",\"config\":{\"ef_construction\":8,"
	    "\"ef_search\":3,\"seed\":42,\"m\":16},\"metrics\":{\"build_time_secs\":1.5,"
	    "\"search_latency_p50_us\":1,\"search_latency_p95_us\":1,\"search_latency_p99_us\":1,"
	    "\"recall_at_k\":0.9,\"memory_bytes\":1000,\"vectors\":100,\"eval_queries\":10,"
	    "\"brute_force_latency_us\":0},\"created_at\":\"2026-04-16T15:26:21.123456Z\"}";
	struct store *s = store_open(url, &err);
	struct trial_writer w;
	struct trial t;
	int ret = trial_writer_init(&w, s, "x", &err);
	if (ret == 0)
		ret = trial_parse(&t, text(line), &err);
	if (ret == 0) {
		trial_writer_hold(&w, &t);
		ret = trial_writer_flush(&w, &err);
	}
	trial_writer_release(&w);
	store_close(s);
	return ret;
}

static void test_repeated_trial(void)
{
	const char *url = below("trials");
	struct store *s = store_open(url, &err);
	struct store_names n;
	char path[512] = "";
	no_dir_sync = true;
	ok(append_trial(url) == 0, "a Trial: %s", err.msg);
	no_dir_sync = false;
	if (store_list(s, "_hnsw_trials/x", false, &n, &err) == 0 && n.count == 1)
		snprintf(path, sizeof path, "%s/_hnsw_trials/x/%s", url, n.name[0]);
	ok(!is_safe(path), "may be lost while its writer is at it");
	ok(append_trial(url) == 0 && is_safe(path), "but not once it is acknowledged again");
	store_names_release(&n);
	store_close(s);
}

static int set_far(void *ctx, struct index_meta *m, bool registered, struct err *e)
{
	(void)ctx;
	(void)registered;
	return index_meta_set(&m->index_name, "x", e) || index_meta_set(&m->bucket, "far", e) ? -1
											       : 0;
}

/* What another process puts in bucket "far", where its record says index x is, and is killed. */
static bool put_and_die(const char *url, const char *evalset)
{
	struct catalog c = {0};
	struct index_meta m = {0};
	no_dir_sync = true;
	bool good = catalog_open(&c, url, false, &err) == 0 &&
		    catalog_index_change(&c, "x", false, set_far, NULL, &m, &err) == 0;
	struct store *far = good ? buckets_get(c.buckets, "far", &err) : NULL;
	good = far && store_put(far, evalset, text("{}"), &err) == 0;
	no_dir_sync = false;
	index_meta_release(&m);
	catalog_close(&c);
	return good;
}

static void test_where_a_record_says(void)
{
	const char *url = below("catalog"), *meta = below("catalog/primary/vectors/meta/x.json");
	const char *evalset = below("catalog/far/_hnsw_evals/e.json");
	struct index_moved moved;
	for (int i = 0; i < 3; i++) {
		struct catalog c = {0};
		struct catalog_index x = {0};
		ok(put_and_die(url, "_hnsw_evals/e.json") && !is_safe(meta) && !is_safe(evalset) &&
		       catalog_open(&c, url, true, &err) == 0,
		   "an index elsewhere and its eval set may be lost");
		if (i == 0)
			ok(catalog_index_hold(&c, "x", &x, &err) == 0 && is_safe(meta),
			   "but not where it is once somebody writes there");
		catalog_index_release(&x);
		if (i == 1) {
			ok(catalog_index_move(&c, "x", "far", false, &moved, &err) == 0 &&
			       is_safe(meta),
			   "or a move finds it there already");
			free(moved.from);
		}
		if (i == 2)
			ok(catalog_evalset_sync(&c, "x", &err) == 0 && is_safe(meta) &&
			       is_safe(evalset),
			   "nor the eval set once it is called fresh");
		catalog_close(&c);
	}
}

/* ---- what killed processes leave ---- */

static int make_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static void test_dead_files(void)
{
	static const char *const stays[] = {"dead/.tmp-0123456789abcde", "dead/.tmp-note",
					    "dead/.tmp-0123456789abcdefg", "dead/tmp"};
	struct store *s = store_open(below("dead"), &err);
	ok(store_put(s, "k", text("1"), &err) == 0, "a blob");
	int dead = make_file(below("dead/.tmp-0123456789abcdef"));
	int alive = make_file(below("dead/.tmp-fedcba9876543210"));
	ok(dead >= 0 && alive >= 0 && flock(alive, LOCK_EX) == 0,
	   "a temporary file of a dead process, one of a process that lives");
	close(dead);
	for (size_t i = 0; i < sizeof stays / sizeof stays[0]; i++)
		close(make_file(below(stays[i])));
	ok(store_put(s, "k", text("2"), &err) == 0 &&
	       access(below("dead/.tmp-0123456789abcdef"), F_OK) != 0,
	   "the next writer removes the one");
	bool all = access(below("dead/.tmp-fedcba9876543210"), F_OK) == 0;
	for (size_t i = 0; i < sizeof stays / sizeof stays[0]; i++)
		all &= access(below(stays[i]), F_OK) == 0;
	ok(all, "and nothing else");
	close(alive);
	store_close(s);
}

/* ---- between two calls of another process ---- */

static struct store_tag seen;
static int rival_status;

/* Another process swaps the same blob, which was read when the first one read it. */
static void swap_meanwhile(void)
{
	pid_t child = fork();
	if (child == 0) {
		struct store *s = store_open(below("swap"), &err);
		store_be_patient(s, 0, &(struct warn_to){0});
		int ret = store_swap(s, "k", &seen, text("rival"), &err);
		_exit(ret == -1 && err.code == ERR_TEMP ? 0 : 1);
	}
	waitpid(child, &rival_status, 0);
}

static void test_swap(void)
{
	struct store *s = store_open(below("swap"), &err);
	struct buf b = BUF_INIT;
	ok(store_put(s, "k", text("old"), &err) == 0 && store_get(s, "k", &b, &seen, &err) == 1,
	   "a blob");
	rival_status = -1;
	at_rename = swap_meanwhile;
	ok(store_swap(s, "k", &seen, text("mine"), &err) == 0, "swap it");
	ok(WIFEXITED(rival_status) && WEXITSTATUS(rival_status) == 0,
	   "nobody else can between the comparison and the renaming");
	buf_clear(&b);
	ok(store_get(s, "k", &b, NULL, &err) == 1 && span_is(buf_span(&b), "mine"),
	   "and what was acknowledged stays");
	buf_release(&b);
	store_close(s);
}

/* Another process compacts the journal. */
static void compact_meanwhile(void)
{
	pid_t child = fork();
	if (child == 0) {
		struct store *s = store_open(below("list"), &err);
		struct journal_compaction done;
		int ret = journal_compact(s, "j", 0, false, false, NULL, NULL, &done, &err);
		_exit(ret == 0 && done.batches == 3 ? 0 : 1);
	}
	waitpid(child, &rival_status, 0);
}

static int note_line(void *ctx, struct span line, const struct journal_place *where, struct err *e)
{
	unsigned *mask = ctx;
	(void)where;
	(void)e;
	*mask |= 1u << (line.p[0] - '0');
	return 0;
}

static void test_listing(void)
{
	struct store *s = store_open(below("list"), &err);
	char name[JOURNAL_NAME_MAX];
	unsigned mask = 0;
	ok(journal_append(s, "j", text("0\n"), 0, name, &err) == 0 &&
	       journal_append(s, "j", text("1\n"), 0, name, &err) == 0 &&
	       journal_append(s, "j", text("2\n"), 0, name, &err) == 0,
	   "three batches");
	rival_status = -1;
	at_readdir = compact_meanwhile;
	int ret = journal_read(s, "j", 0, NULL, note_line, &mask, &err);
	ok(WIFEXITED(rival_status) && WEXITSTATUS(rival_status) == 0,
	   "are compacted amidst the listing");
	ok(ret == 0 && mask == 7, "and the reader misses none");
	store_close(s);
}

#define POINTER "served/primary/_hnsw_active/x/current.json"

static void point_to(const char *json)
{
	struct store *s = store_open(below("served/primary"), &err);
	ok(store_put(s, "_hnsw_active/x/current.json", text(json), &err) == 0, "a pointer");
	store_close(s);
}

/* Another generation is served from now on, though the old pointer is open already. */
static void serve_another(const char *path)
{
	if (strcmp(path, below(POINTER)) != 0)
		return;
	at_open = NULL;
	point_to("{\"generation\":\"gen_1\"}");
}

/* Neither generation is there, so the error tells which was taken last. */
static void test_moved_pointer(void)
{
	struct operands o = {.store_url = below("served")};
	point_to("{\"generation\":\"gen_0\"}");
	at_open = serve_another;
	ok(operand_index(&o, "x", HNSW_LOAD, &err) == NULL && at_open == NULL,
	   "the pointer moves once it is open");
	ok(strstr(err.msg, "generation 'gen_1'") != NULL, "the reader looks again: %s", err.msg);
	operands_release(&o);
}

int main(void)
{
	char command[64];
	if (!mkdtemp(root))
		return 1;
	test_files();
	test_blobs();
	test_journal();
	test_foreign_directories();
	test_repeated_batch();
	test_waiting_event();
	test_repeated_trial();
	test_where_a_record_says();
	test_dead_files();
	test_swap();
	test_listing();
	test_moved_pointer();
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command) != 0 || tap_end();
}
