/* SPDX-License-Identifier: MIT */
/*
 * jq programs.  The parent collects records into batches and sends one while it collects the
 * next; the child runs libjq and answers a batch only once it has all of it, and the parent
 * reads that answer before it sends another, so that the two never both wait to write.
 */
#include "json/filter.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jq.h>
#include <jv.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

#define BATCH_BYTES ((size_t)256 << 10)
#define WHY_MAX 500	  /* of what a program says of a record */
#define STATUS_NOMEM 99	  /* of the child */
#define STATUS_REFUSED 98 /* it could not give up its rights */
#define SOCKET 3	  /* in the child */

/* Records of one round, or the answers to them: each has a head and then ${size} bytes. */
struct head {
	double value; /* answers only; valid if ${size} is 0 */
	uint64_t size;
};

struct batch {
	struct buf data;
	uint64_t count;
};

struct json_filter {
	pid_t child;
	int fd; /* a socket to it */
	json_filter_fn *fn;
	void *ctx;
	struct batch filling, running;
	struct buf answer;
};

/* ---- both sides ---- */

/* As io_write_all(), but no signal if the other side is gone. */
static int send_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* 0; -1: it ended before ${len} bytes. */
static int receive_all(int fd, void *data, size_t len)
{
	char *p = data;
	while (len) {
		ssize_t n = recv(fd, p, len, 0);
		if (n == 0 || (n < 0 && errno != EINTR))
			return -1;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* A count, a size, and so many bytes. */
static int send_batch(int fd, const struct batch *b)
{
	uint64_t head[2] = {b->count, b->data.len};
	return send_all(fd, head, sizeof head) == 0 ? send_all(fd, b->data.data, b->data.len) : -1;
}

/* -1 as well if it has more than ${max} bytes, or there is no memory: errno tells. */
static int receive_batch(int fd, struct batch *b, uint64_t max)
{
	uint64_t head[2];
	buf_clear(&b->data);
	errno = 0;
	if (receive_all(fd, head, sizeof head) != 0 || head[1] > max)
		return -1;
	if (!buf_reserve(&b->data, head[1])) {
		errno = ENOMEM;
		return -1;
	}
	b->count = head[0];
	b->data.len = head[1];
	return receive_all(fd, b->data.data, head[1]);
}

/* The next of a batch, of which ${rest} is left: false if it is cut short. */
static bool take_next(struct span *rest, struct head *h, struct span *body)
{
	if (rest->n < sizeof *h)
		return false;
	memcpy(h, rest->p, sizeof *h);
	if (h->size > rest->n - sizeof *h)
		return false;
	*body = (struct span){rest->p + sizeof *h, h->size};
	rest->p += sizeof *h + h->size;
	rest->n -= sizeof *h + h->size;
	return true;
}

static void add_next(struct batch *b, double value, struct span body)
{
	struct head h = {value, body.n};
	buf_add(&b->data, &h, sizeof h);
	buf_addspan(&b->data, body);
	b->count++;
}

/* ---- the child ---- */

_Noreturn static void no_memory(void *ctx)
{
	(void)ctx;
	_exit(STATUS_NOMEM);
}

static int set_limit(int which, rlim_t most)
{
	struct rlimit r;
	if (getrlimit((__rlimit_resource_t)which, &r) != 0)
		return -1;
	r.rlim_cur = most < r.rlim_max ? most : r.rlim_max;
	return setrlimit((__rlimit_resource_t)which, &r);
}

static double cpu_seconds(void)
{
	struct timespec t = {0};
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* From now on there is that much time again.  The kernel then sends SIGXCPU. */
static void wind_up(double *wound_at)
{
	double now = cpu_seconds();
	if (*wound_at >= 0 && now - *wound_at < 0.5)
		return;
	*wound_at = now;
	if (set_limit(RLIMIT_CPU, (rlim_t)ceil(now) + JSON_FILTER_SECONDS) != 0)
		_exit(STATUS_REFUSED);
}

/* Bytes of address space that this process has; 0 if that is not known. */
static rlim_t address_space(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f) {
		if (fscanf(f, "%lu", &pages) != 1)
			pages = 0;
		(void)fclose(f);
	}
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Keep the socket only, as number 3; what libjq says goes nowhere. */
static void close_others(int fd)
{
	int null;
	IO_RETRY(null, open("/dev/null", O_RDWR | O_CLOEXEC));
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    (fd != SOCKET && dup2(fd, SOCKET) < 0))
		_exit(STATUS_REFUSED);
	/* Kernels before 5.9 know no close_range(2). */
	if (close_range(SOCKET + 1, UINT_MAX, 0) != 0)
		for (int other = (int)sysconf(_SC_OPEN_MAX); other > SOCKET; other--)
			close(other);
}

/* Give up whatever a program must not have. */
static void confine(int fd, pid_t parent)
{
	static char *nothing[] = {NULL};
	sigset_t none;
	rlim_t most = address_space() + ((rlim_t)JSON_FILTER_MEMORY_MIB << 20);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(STATUS_REFUSED);
	close_others(fd);
	environ = nothing;
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* With RLIMIT_NOFILE nothing can be opened, so nothing can be imported either. */
	if (set_limit(RLIMIT_CORE, 0) != 0 || set_limit(RLIMIT_FSIZE, 0) != 0 ||
	    set_limit(RLIMIT_NOFILE, 0) != 0 || set_limit(RLIMIT_AS, most) != 0)
		_exit(STATUS_REFUSED);
}

/* Keep the first line of the first message. */
static void on_message(void *ctx, jv message)
{
	struct err *why = ctx;
	if (why->code == ERR_NONE && jv_get_kind(message) == JV_KIND_STRING)
		err_set(why, ERR_USAGE, "%.*s", (int)strcspn(jv_string_value(message), "\n"),
			jv_string_value(message));
	jv_free(message);
}

/* The program has one record; "input" finds no other. */
static jv no_input(jq_state *jq, void *ctx)
{
	(void)jq;
	(void)ctx;
	return jv_invalid();
}

/* libjq aborts where these are not set. */
static void set_surroundings(jq_state *jq)
{
	jq_set_attr(jq, jv_string("JQ_ORIGIN"), jv_string("."));
	jq_set_attr(jq, jv_string("PROGRAM_ORIGIN"), jv_string("."));
	jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
	jq_set_input_cb(jq, no_input, NULL);
}

/* The first result as an answer. */
static void answer(struct batch *out, jv result)
{
	struct err why;
	if (jv_get_kind(result) == JV_KIND_NUMBER && isfinite(jv_number_value(result))) {
		add_next(out, jv_number_value(result), (struct span){0});
		jv_free(result);
		return;
	}
	if (jv_is_valid(result)) {
		err_set(&why, ERR_DATA, "the jq program gives %s, expected a number",
			jv_kind_name(jv_get_kind(result)));
	} else if (jv_invalid_has_msg(jv_copy(result))) {
		jv message = jv_invalid_get_msg(jv_copy(result));
		err_set(&why, ERR_DATA, "jq: %.*s", WHY_MAX,
			jv_get_kind(message) == JV_KIND_STRING ? jv_string_value(message)
							       : "error");
		jv_free(message);
	} else {
		err_set(&why, ERR_DATA, "the jq program gives nothing, expected a number");
	}
	jv_free(result);
	add_next(out, 0, span_of(why.msg));
}

static void run_record(jq_state *jq, struct span record, struct batch *out)
{
	jv input = jv_parse_sized(record.p, (int)record.n);
	if (!jv_is_valid(input)) {
		jv_free(input);
		add_next(out, 0, span_of("not JSON"));
		return;
	}
	jq_start(jq, input, 0);
	answer(out, jq_next(jq));
}

/* Compile the program, say how that went, and answer batches until there are no more. */
_Noreturn static void serve(const char *program)
{
	struct batch in = {0}, out = {0};
	struct err why = {ERR_NONE, ""};
	double wound_at = -1;
	wind_up(&wound_at);
	jq_state *jq = jq_init();
	if (!jq)
		_exit(STATUS_NOMEM);
	jq_set_nomem_handler(jq, no_memory, NULL);
	set_surroundings(jq);
	jq_set_error_cb(jq, on_message, &why);
	int good = jq_compile(jq, program);
	/* Messages of a program at work are part of its result. */
	jq_set_error_cb(jq, on_message, &(struct err){ERR_USAGE, ""});
	add_next(&out, 0, good ? (struct span){0} : span_of(why.msg[0] ? why.msg : "error"));
	while (!out.data.failed && send_batch(SOCKET, &out) == 0 &&
	       receive_batch(SOCKET, &in, SIZE_MAX) == 0) {
		struct span rest = buf_span(&in.data), record;
		struct head h;
		buf_clear(&out.data);
		for (out.count = 0; take_next(&rest, &h, &record);) {
			wind_up(&wound_at);
			run_record(jq, record, &out);
		}
	}
	_exit(out.data.failed || errno == ENOMEM ? STATUS_NOMEM : 0);
}

/* ---- the parent ---- */

/* End the child if it has not ended, and learn how it did; -1: that is not known. */
static int reap(struct json_filter *f, bool kill_it)
{
	int status = 0;
	pid_t got;
	if (kill_it)
		(void)kill(f->child, SIGKILL);
	do
		got = waitpid(f->child, &status, 0);
	while (got < 0 && errno == EINTR);
	f->child = 0;
	return got < 0 ? -1 : status;
}

/* The child does not answer: say why. */
static int tell_end(struct json_filter *f, struct err *err)
{
	int status = reap(f, false);
	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		return err_set(err, ERR_ENV, "the jq program takes more than %d s",
			       JSON_FILTER_SECONDS);
	if (status >= 0 && WIFSIGNALED(status))
		return err_set(err, ERR_ENV, "the jq program was ended by signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (status >= 0 && WEXITSTATUS(status) == STATUS_NOMEM)
		return err_set(err, ERR_ENV,
			       "the jq program needs more memory than there is, or than %d MiB",
			       JSON_FILTER_MEMORY_MIB);
	if (status >= 0 && WEXITSTATUS(status) == STATUS_REFUSED)
		return err_set(err, ERR_ENV, "the jq program cannot be confined");
	return err_set(err, ERR_ENV, "the jq program ended");
}

/* Read the answer to a batch of ${count} records. */
static int receive_answer(struct json_filter *f, uint64_t count, struct batch *out, struct err *err)
{
	uint64_t max = count * (sizeof(struct head) + ERR_MSG_MAX);
	if (receive_batch(f->fd, out, max) == 0 && out->count == count)
		return 0;
	/* Whatever else it sends is no answer of ours. */
	if (errno == ENOMEM)
		return err_nomem(err);
	(void)shutdown(f->fd, SHUT_RDWR);
	return tell_end(f, err);
}

/* Hand out the next answer. */
static int hand_out(struct json_filter *f, struct span record, struct span *answers,
		    struct err *err)
{
	struct head h;
	struct span why;
	char text[ERR_MSG_MAX];
	if (!take_next(answers, &h, &why) || (why.n == 0 && !isfinite(h.value)))
		return err_set(err, ERR_ENV, "the jq program gives no proper answer");
	snprintf(text, sizeof text, "%.*s", (int)why.n, why.n ? why.p : "");
	return f->fn(f->ctx, record, h.value, why.n ? text : NULL, err);
}

/* Hand out what the child says of the batch that it has. */
static int collect(struct json_filter *f, struct err *err)
{
	struct batch got = {f->answer, 0};
	struct span records = buf_span(&f->running.data), answers, record;
	struct head h;
	if (f->running.count == 0)
		return 0;
	int ret = receive_answer(f, f->running.count, &got, err);
	f->answer = got.data;
	answers = buf_span(&got.data);
	while (ret == 0 && take_next(&records, &h, &record))
		ret = hand_out(f, record, &answers, err);
	f->running.count = 0;
	buf_clear(&f->running.data);
	return ret;
}

/* Collect the batch that is under way, send the one that is full. */
static int turn(struct json_filter *f, struct err *err)
{
	int ret = collect(f, err);
	if (ret != 0 || f->filling.count == 0)
		return ret;
	if (buf_ok(&f->filling.data, err) != 0)
		return -1;
	struct batch sent = f->filling;
	f->filling = f->running;
	f->running = sent;
	return send_batch(f->fd, &f->running) == 0 ? 0 : tell_end(f, err);
}

int json_filter_add(struct json_filter *f, struct span record, struct err *err)
{
	if (record.n > INT_MAX)
		return err_set(err, ERR_DATA, "record is too long");
	add_next(&f->filling, 0, record);
	return f->filling.data.failed || f->filling.data.len >= BATCH_BYTES ? turn(f, err) : 0;
}

int json_filter_finish(struct json_filter *f, struct err *err)
{
	int ret = turn(f, err);
	return ret == 0 ? collect(f, err) : ret;
}

/*
 * Modules stand before all else.  libjq could not open one, but it would say so in words that
 * make people look for their file.
 */
static int refuse_modules(const char *program, struct err *err)
{
	static const char *const words[] = {"import", "include", "module"};
	const char *p = program;
	while (isspace((unsigned char)*p) || *p == '#')
		p += *p == '#' ? strcspn(p, "\n") : 1;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t n = strlen(words[i]);
		if (strncmp(p, words[i], n) == 0 && !isalnum((unsigned char)p[n]) && p[n] != '_' &&
		    p[n] != ':')
			return err_set(err, ERR_USAGE,
				       "cannot compile jq program '%s': there are no modules here, "
				       "so no '%s'",
				       program, words[i]);
	}
	return 0;
}

/* Whether the child could compile the program. */
static int await_compiled(struct json_filter *f, const char *program, struct err *err)
{
	struct batch got = {0};
	struct span answers, why;
	struct head h;
	int ret = receive_answer(f, 1, &got, err);
	answers = buf_span(&got.data);
	if (ret == 0 && !take_next(&answers, &h, &why))
		ret = err_set(err, ERR_ENV, "the jq program gives no proper answer");
	else if (ret == 0 && why.n)
		ret = err_set(err, ERR_USAGE, "cannot compile jq program '%s': %.*s", program,
			      (int)why.n, why.p);
	buf_release(&got.data);
	return ret;
}

struct json_filter *json_filter_new(const char *program, json_filter_fn *fn, void *ctx,
				    struct err *err)
{
	int pair[2];
	pid_t parent = getpid();
	if (refuse_modules(program, err) != 0)
		return NULL;
	struct json_filter *f = mem_zeroed(1, sizeof *f, err);
	if (!f)
		return NULL;
	f->fn = fn;
	f->ctx = ctx;
	f->fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		err_sys(err, "cannot make a socket");
		goto fail;
	}
	f->child = fork();
	if (f->child == 0) {
		confine(pair[1], parent);
		serve(program);
	}
	f->fd = pair[0];
	close(pair[1]);
	if (f->child < 0) {
		f->child = 0;
		err_sys(err, "cannot start a process for the jq program");
		goto fail;
	}
	if (await_compiled(f, program, err) == 0)
		return f;
fail:
	json_filter_free(f);
	return NULL;
}

void json_filter_free(struct json_filter *f)
{
	if (!f)
		return;
	if (f->child > 0)
		(void)reap(f, true);
	if (f->fd >= 0)
		close(f->fd);
	buf_release(&f->filling.data);
	buf_release(&f->running.data);
	buf_release(&f->answer);
	free(f);
}
