/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/par.h"
#include "base/show.h"
#include "cli/version.h"

struct io_sink cli_out = IO_SINK_INIT(1, "standard output");

/* Options that every program has. */
enum { OPT_FIRST = 256 };

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* ---- messages ---- */

static void say(const struct cli *c, const char *text)
{
	/* One write, so that lines of several processes do not mix, and no memory of its own. */
	char line[ERR_MSG_MAX + 256];
	snprintf(line, sizeof line - 1, "%.200s: %s", c->prog, text);
	show_text(line);
	size_t len = strlen(line);
	line[len++] = '\n';
	if (io_write_all(2, line, len) != 0) {
		/* There is nowhere left to say it. */
	}
}

void cli_usage(const struct cli *c, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	say(c, text);
	fprintf(stderr, "try '%s --help'\n", c->prog);
	exit(ERR_USAGE);
}

int cli_error(const struct cli *c, const struct err *err)
{
	say(c, err->msg);
	return (int)err->code;
}

void cli_note(const struct cli *c, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;
	if (c->quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	say(c, text);
}

static void print_warning(void *ctx, const char *text)
{
	say(ctx, text);
}

struct warn_to cli_warn_to(const struct cli *c)
{
	return (struct warn_to){print_warning, (void *)(uintptr_t)c};
}

const char *cli_store(const char *option)
{
	const char *env = getenv("HNSW_STORE");
	return option ? option : env && env[0] ? env : "./store";
}

bool cli_store_named(const char *option)
{
	const char *env = getenv("HNSW_STORE");
	return option || (env && env[0]);
}

/* ---- help ---- */

/* Whether the argument may be left out. */
static bool is_optional(const struct cli_opt *o)
{
	return o->arg && o->arg[0] == '[';
}

static void print_option(const struct cli_opt *o)
{
	char left[64];
	snprintf(left, sizeof left, "%c%c%c --%s%s%s", o->letter ? '-' : ' ',
		 o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
		 o->arg && !is_optional(o) ? " " : "", o->arg ? o->arg : "");
	if (strlen(left) > 27)
		printf("  %s\n  %-27s  %s\n", left, "", o->help);
	else
		printf("  %-27s  %s\n", left, o->help);
}

static const struct cli_opt common[] = {
    {'q', "quiet", NULL, "no remarks and no progress", CLI_FLAG, NULL, 0, 0, NULL},
    {'v', "verbose", NULL, "tell time and memory used at the end", CLI_FLAG, NULL, 0, 0, NULL},
    {'h', "help", NULL, "print this", CLI_FLAG, NULL, 0, 0, NULL},
    {'V', "version", NULL, "print the version (with -v before it, how it was built)", CLI_FLAG,
     NULL, 0, 0, NULL},
};

#define N_COMMON (sizeof common / sizeof common[0])

static void print_help(const struct cli *c)
{
	const char *p = c->usage;
	const char *lead = "usage:";
	while (*p) {
		int n = (int)strcspn(p, "\n");
		printf("%s %s %.*s\n", lead, c->prog, n, p);
		lead = "      ";
		p += n + (p[n] == '\n');
	}
	printf("%s\n\n", c->about);
	for (size_t i = 0; i < c->n_opts; i++)
		print_option(&c->opts[i]);
	for (size_t i = 0; i < N_COMMON; i++)
		print_option(&common[i]);
}

_Noreturn static void end_after_printing(const struct cli *c)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		struct err err;
		err_sys(&err, "cannot write standard output");
		exit(cli_error(c, &err));
	}
	exit(0);
}

static void print_version(const struct cli *c)
{
	printf("%s (hnsw-tools) %s\n", c->prog, cli_version);
	if (c->verbose)
		printf("%s\n", cli_build_flags);
}

/* ---- options ---- */

#define LIST_MAX 100000 /* values of LO:HI */

static void parse_list(const struct cli *c, const struct cli_opt *o, const char *text)
{
	struct cli_list *list = o->to;
	uint64_t min = (uint64_t)o->min, max = (uint64_t)o->max, lo, hi;
	const char *colon = text ? strchr(text, ':') : NULL;
	struct err err;
	free(list->v);
	*list = (struct cli_list){.given = true};
	if (!text)
		return;
	if (colon) {
		if (num_u64((struct span){text, (size_t)(colon - text)}, min, max, &lo) != 0 ||
		    num_u64(span_of(colon + 1), lo, max, &hi) != 0 || hi - lo >= LIST_MAX)
			cli_usage(c,
				  "bad value '%s' for --%s: expected LO:HI in %llu..%llu, of at "
				  "most %d values",
				  text, o->name, (unsigned long long)min, (unsigned long long)max,
				  LIST_MAX);
		list->v = malloc((hi - lo + 1) * sizeof *list->v);
		for (uint64_t v = lo; list->v && v <= hi; v++)
			list->v[list->n++] = (uint32_t)v;
	} else {
		size_t n = 1;
		for (const char *p = text; *p; p++)
			n += *p == ',';
		list->v = malloc(n * sizeof *list->v);
		for (const char *p = text; list->v && list->n < n;) {
			size_t len = strcspn(p, ",");
			if (num_u64((struct span){p, len}, min, max, &lo) != 0)
				cli_usage(c,
					  "bad value '%s' for --%s: expected numbers in %llu..%llu "
					  "with ',' between, or LO:HI",
					  text, o->name, (unsigned long long)min,
					  (unsigned long long)max);
			list->v[list->n++] = (uint32_t)lo;
			p += len + 1;
		}
	}
	if (!list->v) {
		err_nomem(&err);
		exit(cli_error(c, &err));
	}
}

/* The names of one value, for a message. */
static void add_names(struct buf *out, const char *names)
{
	while (*names) {
		size_t n = strcspn(names, " ");
		buf_addf(out, "%s%.*s", out->len ? ", " : "", (int)n, names);
		names += n + (names[n] == ' ');
	}
}

static void parse_one_of(const struct cli *c, const struct cli_opt *o, const char *text)
{
	struct buf all = BUF_INIT;
	for (int i = 0; o->names[i]; i++) {
		if (span_is_word(span_of(text), o->names[i])) {
			*(int *)o->to = i;
			buf_release(&all);
			return;
		}
		add_names(&all, o->names[i]);
	}
	cli_usage(c, "bad value '%s' for --%s: expected one of %s", text, o->name,
		  buf_span(&all).p);
}

static void set_option(const struct cli *c, const struct cli_opt *o, const char *text)
{
	uint64_t u;
	double d;
	switch (o->kind) {
	case CLI_FLAG:
		*(bool *)o->to = true;
		return;
	case CLI_STR:
		*(const char **)o->to = text;
		return;
	case CLI_U32:
	case CLI_U64:
		if (num_u64(span_of(text), (uint64_t)o->min, (uint64_t)o->max, &u) != 0)
			cli_usage(c,
				  "bad value '%s' for --%s: expected a whole number in %.0f..%.0f",
				  text, o->name, o->min, o->max);
		if (o->kind == CLI_U32)
			*(uint32_t *)o->to = (uint32_t)u;
		else
			*(uint64_t *)o->to = u;
		return;
	case CLI_F64:
		if (num_f64(span_of(text), o->min, o->max, &d) != 0)
			cli_usage(c, "bad value '%s' for --%s: expected a number in %g..%g", text,
				  o->name, o->min, o->max);
		*(double *)o->to = d;
		return;
	case CLI_LIST:
		parse_list(c, o, text);
		return;
	case CLI_NAME:
		parse_one_of(c, o, text);
		return;
	}
}

/* The table as getopt_long wants it, ours first. */
static const struct cli_opt *table_entry(const struct cli *c, size_t i)
{
	return i < c->n_opts ? &c->opts[i] : &common[i - c->n_opts];
}

static void common_option(struct cli *c, char letter)
{
	switch (letter) {
	case 'q':
		c->quiet = true;
		break;
	case 'v':
		c->verbose++;
		break;
	case 'h':
		print_help(c);
		end_after_printing(c);
	default:
		print_version(c);
		end_after_printing(c);
	}
}

/* getopt_long takes any beginning of a name; a script that relies on one would break
 * when an option is added. */
static void refuse_abbreviation(const struct cli *c, const char *arg, const char *name)
{
	size_t n = strcspn(arg + 2, "=");
	if (strlen(name) != n || strncmp(arg + 2, name, n) != 0)
		cli_usage(c, "unknown option '%.*s' (did you mean '--%s'?)", (int)n + 2, arg, name);
}

/* ---- files that lose what is mapped of them ---- */

static char *bus_text; /* all that is said then: nothing may be allocated */

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code == BUS_ADRERR) {
		if (bus_text && write(2, bus_text, strlen(bus_text)) < 0) {
			/* There is nowhere left to say it. */
		}
		_exit(ERR_ENV);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

/* A mapped file that is cut short while it is read must end in words, not in a signal. */
static void watch_maps(const struct cli *c)
{
	struct sigaction a = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	struct buf b = BUF_INIT;
	buf_addf(&b,
		 "%s: a file was truncated while it was in use, or cannot be read any more\n",
		 c->prog);
	bus_text = b.data; /* until the end */
	sigemptyset(&a.sa_mask);
	sigaction(SIGBUS, &a, NULL);
}

void cli_parse(struct cli *c, int argc, char **argv, size_t min, size_t max)
{
	size_t n = c->n_opts + N_COMMON;
	struct option *longs = calloc(n + 1, sizeof *longs);
	char *shorts = calloc(2 * n + 3, 1), *p = shorts;
	/* A file that may not grow further is a failed write, and told as one. */
	(void)signal(SIGXFSZ, SIG_IGN);
	c->start_ns = clock_mono_ns();
	c->called = argc > 0 && argv[0] ? argv[0] : "hnsw-tools";
	c->prog = c->name = base_name(c->called);
	char *shown = strdup(c->name);
	c->operand = calloc((size_t)argc + 1, sizeof *c->operand);
	if (!longs || !shorts || !shown || !c->operand) {
		struct err err;
		err_nomem(&err);
		exit(cli_error(c, &err));
	}
	show_text(shown);
	c->prog = shown;
	watch_maps(c);
	*p++ = '-'; /* operands come in their place */
	*p++ = ':';
	for (size_t i = 0; i < n; i++) {
		const struct cli_opt *o = table_entry(c, i);
		int has_arg = o->kind == CLI_FLAG ? no_argument
			      : is_optional(o)	  ? optional_argument
						  : required_argument;
		longs[i] = (struct option){o->name, has_arg, NULL, OPT_FIRST + (int)i};
		if (o->letter) {
			*p++ = o->letter;
			if (o->kind != CLI_FLAG)
				*p++ = ':';
		}
	}
	opterr = 0;
	for (;;) {
		int at = optind < argc ? optind : argc - 1, index = -1;
		int r = getopt_long(argc, argv, shorts, longs, &index);
		if (r == -1)
			break;
		if (r == 1) {
			c->operand[c->n_operands++] = optarg;
			continue;
		}
		if (r == ':')
			cli_usage(c, "option '%s' needs a value", argv[optind - 1]);
		if (r == '?') {
			if (optopt >= OPT_FIRST)
				cli_usage(c, "option '--%s' takes no value",
					  longs[optopt - OPT_FIRST].name);
			if (optopt)
				cli_usage(c, "unknown option '-%c'", optopt);
			cli_usage(c, "unknown option '%s'", argv[at]);
		}
		size_t i = 0;
		if (r >= OPT_FIRST) {
			i = (size_t)(r - OPT_FIRST);
			refuse_abbreviation(c, argv[at], longs[i].name);
		} else {
			while (table_entry(c, i)->letter != r)
				i++;
		}
		if (i >= c->n_opts)
			common_option(c, table_entry(c, i)->letter);
		else
			set_option(c, &c->opts[i], optarg);
	}
	while (optind < argc)
		c->operand[c->n_operands++] = argv[optind++];
	free(longs);
	free(shorts);
	if (c->n_operands < min)
		cli_usage(c, c->n_operands ? "too few operands" : "no operand");
	if (c->n_operands > max)
		cli_usage(c, "one operand too many: '%s'", c->operand[max]);
}

/* ---- output ---- */

static void print_usage_of_machine(const struct cli *c)
{
	struct rusage ru;
	if (getrusage(RUSAGE_SELF, &ru) != 0)
		return;
	char text[128];
	snprintf(text, sizeof text, "%.3f s, processors %.3f s, memory at most %.1f MiB",
		 (double)(clock_mono_ns() - c->start_ns) / 1e9,
		 (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		     (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6,
		 (double)ru.ru_maxrss / 1024);
	say(c, text);
}

int cli_finish(const struct cli *c, int status)
{
	struct err err;
	if (c->verbose)
		print_usage_of_machine(c);
	if (io_sink_flush(&cli_out, &err) != 0)
		return cli_error(c, &err);
	/* A descriptor that was never open is no failure if nothing was to be written. */
	if (close(1) != 0 && errno != EBADF) {
		err_sys(&err, "cannot write standard output");
		return cli_error(c, &err);
	}
	return status;
}

int cli_threads(uint32_t option)
{
	return option ? (int)option : par_cores();
}
