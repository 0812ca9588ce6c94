/* SPDX-License-Identifier: MIT */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* Do a system call again for as long as a signal breaks it off. */
#define IO_RETRY(result, call)     \
	do                         \
		(result) = (call); \
	while ((result) < 0 && errno == EINTR)

/* ---- reading ---- */

/*
 * Open for reading; a descriptor, or -1 with ERR_ENV and errno (0: it is there, but of another
 * kind).  io_open() wants a regular file and never waits, which is for all that programs wrote
 * and for what is mapped.  io_open_input() also takes pipes, terminals and /dev/null, for what
 * somebody names on a command line; no devices that never end.
 */
int io_open(const char *path, struct err *err) MUST_CHECK;
int io_open_input(const char *path, struct err *err) MUST_CHECK;

/* Whether errno of a failed call says that there is no such file.  */
bool io_missing(void);

/* Append a whole file, or what is left of a descriptor, to ${out}.  More than
 * ${max} bytes is ERR_DATA.  A missing file is ERR_ENV. */
int io_read_file(const char *path, size_t max, struct buf *out, struct err *err) MUST_CHECK;
int io_read_fd(int fd, const char *name, size_t max, struct buf *out, struct err *err) MUST_CHECK;

/* Read up to ${size} bytes from ${offset} on; ${got}: how many there are. */
int io_read_at(int fd, const char *name, void *p, size_t size, off_t offset, size_t *got,
	       struct err *err) MUST_CHECK;

/* A file mapped for reading.  An empty file gives data NULL, size 0. */
struct io_map {
	const unsigned char *data;
	size_t size;
	/* What the file was when it was mapped, for io_map_state(). */
	uint64_t device, inode, modified_ns, changed_ns;
	bool fresh; /* modified so shortly before that its times may not tell of another change */
};

/*
 * Whether a mapped file is still what it was; ${path} is where it was found.  A mapping shows what
 * others write into its file.
 */
enum io_state {
	IO_SAME,
	IO_UNSURE,  /* nothing tells that it changed, or that it did not */
	IO_TOUCHED, /* the same, though somebody had it in hand: another name, times set back */
	IO_CHANGED,
};
enum io_state io_map_state(const struct io_map *m, const char *path);

int io_map_open(struct io_map *m, const char *path, struct err *err) MUST_CHECK;
int io_map_fd(struct io_map *m, int fd, const char *name, struct err *err) MUST_CHECK;

/* Let go of the pages that were read; they come again when they are touched. */
void io_map_forget(const struct io_map *m);
void io_map_close(struct io_map *m);

/*
 * Lines of a descriptor.  A line is handed out without its newline, or CR and newline, and
 * followed by at least NUM_PADDING readable bytes, the first of which is a CR, a newline or
 * NUL; it lives until the next call.  The last line may lack its newline.  A byte order mark
 * of UTF-8 before a line is left out; text that is UTF-16 by its mark is ERR_DATA.
 */
struct io_lines {
	int fd;
	const char *name; /* for messages; not copied */
	uint64_t number;  /* of the line handed out last, from 1 */
	char *data;
	size_t pos, len, cap, max;
	bool eof;
};

/* ${max}: longest line that is accepted; longer ones are ERR_DATA. */
int io_lines_init(struct io_lines *l, int fd, const char *name, size_t max,
		  struct err *err) MUST_CHECK;
void io_lines_release(struct io_lines *l);

/* 1: ${line} is set; 0: end; -1: error. */
int io_lines_next(struct io_lines *l, struct span *line, struct err *err) MUST_CHECK;

/* Wait until a whole line (or the end) can be had without blocking: 1 yes, 0 not
 * within ${timeout_ms} (-1: no limit), -1 error. */
int io_lines_wait(struct io_lines *l, int timeout_ms, struct err *err) MUST_CHECK;

/* ---- writing ---- */

int io_write_all(int fd, const void *data, size_t len) MUST_CHECK; /* -1 and errno */

/* Buffered output to a descriptor that someone else owns. */
struct io_sink {
	int fd;
	const char *name; /* for messages; not copied */
	struct buf b;
};

#define IO_SINK_INIT(fd, name)     \
	{                          \
		fd, name, BUF_INIT \
	}

/* Write out if more than a fair amount is held. */
int io_sink_spill(struct io_sink *s, struct err *err) MUST_CHECK;
int io_sink_flush(struct io_sink *s, struct err *err) MUST_CHECK;
void io_sink_release(struct io_sink *s);

/*
 * A file that appears whole or not at all.  It has no name until it is committed
 * (where the system can do that); to replace another, or where it needs one, it has
 * a name that starts with ".tmp-" and is locked for as long as its process lives, so
 * that the next writer in that directory removes what a process left that was killed.
 * If the path names something that is no regular file (a pipe, /dev/null) it is written
 * directly.
 */
struct io_file {
	int fd, dir_fd;
	char *base, *tmp;
	bool direct;
	char *shown; /* the path, for messages */
};

enum io_commit {
	IO_REPLACE, /* an existing file is replaced */
	IO_CREATE,  /* an existing file is kept, and the result is 1 */
};

int io_file_open(struct io_file *f, const char *path, struct err *err) MUST_CHECK;

/* The same below an open directory; ${name} has no slash. */
int io_file_open_at(struct io_file *f, int dir_fd, const char *name, struct err *err) MUST_CHECK;
int io_file_write(struct io_file *f, const void *data, size_t len, struct err *err) MUST_CHECK;

/* Another name to commit under, after IO_CREATE gave 1. */
int io_file_rename(struct io_file *f, const char *name, struct err *err) MUST_CHECK;

/* Make it durable under its name: 0, 1 (IO_CREATE only: name taken), -1.  May be
 * called again after 1. */
int io_file_commit(struct io_file *f, enum io_commit how, struct err *err) MUST_CHECK;

/* Forget it; after a commit this only releases memory. */
void io_file_release(struct io_file *f);

/*
 * ERR_USAGE if the file ${output}, which is to be written, is the file ${input}, by this name or
 * another one.  "-" is standard input or output; NULL and files that do not exist are no file.
 */
int io_check_output(const char *output, const char *input, struct err *err) MUST_CHECK;

/* Directories. */
int io_mkdirs(const char *path, struct err *err) MUST_CHECK; /* like mkdir -p */
int io_open_dir(const char *path, struct err *err) MUST_CHECK; /* -1: errno says why, too */
int io_sync_dir(int dir_fd, const char *name, struct err *err) MUST_CHECK;

/* The same, unless the entries have been the same for five minutes, since then they are on the
 * disk. */
int io_sync_new(int dir_fd, const char *name, struct err *err) MUST_CHECK;

/*
 * Make durable that a directory is where it is, whoever made it: sync the directories above it,
 * up to the first whose entries have been the same for five minutes, since these are on the
 * disk, or the end of the file system.
 */
int io_sync_above(int dir_fd, const char *name, struct err *err) MUST_CHECK;

#endif
