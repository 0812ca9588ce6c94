/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define EVERY_NS 100000000u

void cli_progress_start(struct cli_progress *p, const struct cli *c, const char *doing)
{
	*p = (struct cli_progress){.cli = c, .doing = doing};
	p->shown = !c->quiet && isatty(2);
	p->start_ns = p->last_ns = clock_mono_ns();
}

static void seconds_text(char *out, size_t size, double s)
{
	if (s < 90)
		snprintf(out, size, "%.0f s", s);
	else if (s < 5400)
		snprintf(out, size, "%.0f min", s / 60);
	else
		snprintf(out, size, "%.1f h", s / 3600);
}

void cli_progress_show(struct cli_progress *p, uint64_t done, uint64_t total)
{
	uint64_t now = clock_mono_ns();
	if (!p->shown || now - p->last_ns < EVERY_NS || done == 0)
		return;
	double spent = (double)(now - p->start_ns) / 1e9, rate = (double)done / spent;
	char left[32];
	p->last_ns = now;
	if (total == 0) {
		fprintf(stderr, "\r%s: %s %llu, %.0f/s\033[K", p->cli->prog, p->doing,
			(unsigned long long)done, rate);
		return;
	}
	seconds_text(left, sizeof left, (double)(total - done) / rate);
	fprintf(stderr, "\r%s: %s %llu of %llu (%.0f%%), %.0f/s, %s left\033[K", p->cli->prog,
		p->doing, (unsigned long long)done, (unsigned long long)total,
		100.0 * (double)done / (double)total, rate, left);
}

void cli_progress_end(struct cli_progress *p)
{
	if (p->shown && p->last_ns != p->start_ns)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

void cli_catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	sigemptyset(&sa.sa_mask);
	/* A second one ends the process at once. */
	sa.sa_flags = (int)SA_RESETHAND;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

bool cli_interrupted(void)
{
	return interrupted != 0;
}
