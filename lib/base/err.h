/* SPDX-License-Identifier: MIT */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* The caller must look at the result. */
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define ERR_MSG_MAX 1024

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are mapped as they are, so a little-endian machine is needed"
#endif

/* Why something failed.  The values are the exit statuses of every program. */
enum err_code {
	ERR_NONE = 0,
	ERR_NO = 1,	  /* a definite "no": nothing found, a gate not met */
	ERR_USAGE = 2,	  /* the caller asked for something that cannot be meant */
	ERR_DATA = 3,	  /* input data is malformed or does not fit */
	ERR_CONFLICT = 4, /* someone else changed it first */
	ERR_TEMP = 5,	  /* busy, network, queue full: trying again may help */
	ERR_ENV = 6,	  /* I/O, memory, permission */
};

/*
 * One failure: a code and a one-line message, on the caller's stack.  Functions
 * that can fail take it as their last parameter and leave it untouched on
 * success.  Only a command prints it.
 */
struct err {
	enum err_code code;
	char msg[ERR_MSG_MAX];
};

/*
 * Where a library reports what it goes on after, such as a malformed line that was
 * skipped.  ${fn} may be NULL.
 */
struct warn_to {
	void (*fn)(void *ctx, const char *text);
	void *ctx;
};

void warn(const struct warn_to *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Record a failure.  The message says what failed first, in lower case, quotes
 * values in single quotes and has no full stop; too long a message is cut.
 * It is made fit to be shown (base/show.h), so a hostile file name or value
 * cannot reach a terminal.  Always returns -1, so that "return err_set(...)"
 * works.
 */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same with ERR_ENV and ": <text of errno>" appended; errno stays. */
int err_sys(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ERR_ENV, "out of memory". */
int err_nomem(struct err *err);

/* Make it the same as another; returns -1. */
int err_copy(struct err *err, const struct err *why);

/* Put "<text>: " in front of the message that is already there; returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
