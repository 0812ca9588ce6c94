/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)1 << 30)
#define NOT_RUN 127

int cli_programs(const struct cli *c, const char *own, struct buf *prefix, struct err *err)
{
	size_t n = strlen(c->name), rest = strlen(own);
	/* Beside the name that was called, not beside what a link leads to. */
	char *dir = span_dup((struct span){c->called, strlen(c->called) - n});
	if (!dir)
		return err_nomem(err);
	char *found = dir[0] ? realpath(dir, NULL) : NULL;
	if (dir[0] && !found) {
		err_sys(err, "cannot find the programs in '%s'", dir);
		free(dir);
		return -1;
	}
	if (found) {
		buf_adds(prefix, found);
		buf_addc(prefix, '/');
	}
	free(dir);
	free(found);
	buf_adds(prefix, "");
	if (n > rest && strcmp(c->name + n - rest, own) == 0)
		buf_add(prefix, c->name, n - rest);
	return buf_ok(prefix, err);
}

/* In the child: become the program. */
_Noreturn static void become(const char *path, const char *const argv[], const int fd[3],
			     pid_t parent)
{
	/* Whoever starts after us finds nothing of ours still working. */
	if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(NOT_RUN);
	/* One that has its place already, where ours was closed, must not close with the rest. */
	for (int i = 0; i < 3; i++)
		if (dup2(fd[i], i) < 0 || fcntl(i, F_SETFD, 0) < 0)
			_exit(NOT_RUN);
	execvp(path, (char *const *)(uintptr_t)argv);
	_exit(NOT_RUN);
}

/* Wait for its end, whatever comes in between. */
static int wait_for(pid_t child, int *status)
{
	pid_t got;
	do
		got = waitpid(child, status, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -1 : 0;
}

static int read_back(int fd, const char *name, struct buf *out, struct err *err)
{
	return lseek(fd, 0, SEEK_SET) < 0 ? err_sys(err, "cannot read '%s'", name)
					  : io_read_fd(fd, name, OUTPUT_MAX, out, err);
}

/* The last line of what it said, without its name. */
static struct span last_line(const struct buf *said, const char *prog)
{
	struct span s = buf_span(said);
	size_t n = strlen(prog);
	while (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	for (size_t i = s.n; i-- > 0;)
		if (s.p[i] == '\n') {
			s.p += i + 1;
			s.n -= i + 1;
			break;
		}
	if (s.n > n + 2 && strncmp(s.p, prog, n) == 0 && s.p[n] == ':') {
		s.p += n + 2;
		s.n -= n + 2;
	}
	return s;
}

/* What its end means. */
static int judge(const char *path, const char *name, int status, const struct buf *said,
		 struct err *err)
{
	const char *slash = strrchr(path, '/');
	struct span why = last_line(said, slash ? slash + 1 : path);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_ENV, "%s was killed by signal %d", name, WTERMSIG(status));
	int code = WEXITSTATUS(status);
	if (code == 0)
		return 0;
	if (code == NOT_RUN && said->len == 0)
		return err_set(err, ERR_ENV, "cannot run '%s'", path);
	if (why.n == 0)
		return err_set(err, code <= ERR_ENV ? (enum err_code)code : ERR_ENV,
			       "%s ended with status %d", name, code);
	return err_set(err, code <= ERR_ENV ? (enum err_code)code : ERR_ENV, "%.*s",
		       (int)(why.n < ERR_MSG_MAX ? why.n : ERR_MSG_MAX), why.p);
}

int cli_run(const char *prefix, const char *const argv[], struct span in, struct buf *out,
	    struct err *err)
{
	static const char *const names[3] = {"in", "out", "err"};
	struct buf path = BUF_INIT, said = BUF_INIT;
	int fd[3] = {-1, -1, -1}, status, ret = -1;
	pid_t parent = getpid(), child;
	buf_adds(&path, prefix);
	buf_adds(&path, argv[0]);
	if (buf_ok(&path, err) != 0)
		goto out;
	/* Files in memory: nothing blocks, however much is said. */
	for (int i = 0; i < 3; i++)
		if ((fd[i] = memfd_create(names[i], MFD_CLOEXEC)) < 0) {
			err_sys(err, "cannot make a file in memory");
			goto out;
		}
	if (io_write_all(fd[0], in.p, in.n) != 0 || lseek(fd[0], 0, SEEK_SET) < 0) {
		err_sys(err, "cannot write to a file in memory");
		goto out;
	}
	child = fork();
	if (child == 0)
		become(path.data, argv, fd, parent);
	if (child < 0 || wait_for(child, &status) != 0) {
		err_sys(err, "cannot run '%s'", path.data);
		goto out;
	}
	if (read_back(fd[1], "stdout", out, err) != 0 ||
	    read_back(fd[2], "stderr", &said, err) != 0)
		goto out;
	ret = judge(path.data, argv[0], status, &said, err);
	/* Warnings; a failure is told by whoever asked for it. */
	if (ret == 0 && said.len && io_write_all(2, said.data, said.len) != 0) {
		/* There is nowhere left to say it. */
	}
out:
	for (int i = 0; i < 3; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	buf_release(&path);
	buf_release(&said);
	return ret;
}
