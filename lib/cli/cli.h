/* SPDX-License-Identifier: MIT */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/io.h"

/* Command lines, messages and output, the same for all programs.  Only cmd/ uses this. */

enum cli_kind {
	CLI_FLAG, /* bool */
	CLI_STR,  /* const char * */
	CLI_U32,  /* uint32_t in min..max */
	CLI_U64,  /* uint64_t in min..max */
	CLI_F64,  /* double in min..max */
	CLI_LIST, /* struct cli_list of numbers in min..max: 10,20,40 or LO:HI */
	CLI_NAME, /* int: which of ${names} it is */
};

struct cli_list {
	uint32_t *v;
	size_t n;
	bool given; /* perhaps without numbers */
};

struct cli_opt {
	char letter; /* 0: none */
	const char *name;
	/* What the help calls its argument; NULL for CLI_FLAG.  "[=WHAT]": it may be left out. */
	const char *arg;
	const char *help;
	enum cli_kind kind;
	void *to;
	double min, max;
	/* CLI_NAME only; ends with NULL.  Several names of the same have blanks between. */
	const char *const *names;
};

/* Options that several programs share, so that they are spelled and explained alike. */
#define CLI_OPT_STORE(to)                                                                       \
	{                                                                                       \
		'S', "store", "URL", "where the records are (default: $HNSW_STORE or ./store)", \
		    CLI_STR, to, 0, 0, NULL                                                     \
	}
#define CLI_OPT_M(to)                                                                            \
	{                                                                                        \
		'm', "m", "N", "links a new node asks for (2..512; default 16)", CLI_U32, to, 2, \
		    512, NULL                                                                    \
	}
#define CLI_OPT_EF_CONSTRUCTION(to)                                                             \
	{                                                                                       \
		'c', "ef-construction", "N", "beam width while building (default 80)", CLI_U32, \
		    to, 1, 1000000, NULL                                                        \
	}
#define CLI_OPT_EF_SEARCH(to)                                                                    \
	{                                                                                        \
		's', "ef-search", "N", "beam width of a search (default 30, kept in the index)", \
		    CLI_U32, to, 1, 1000000, NULL                                                \
	}
#define CLI_OPT_SEED(to)                                                                  \
	{                                                                                 \
		0, "seed", "N", "seed of everything random (default 42)", CLI_U64, to, 0, \
		    9007199254740991.0, NULL                                              \
	}
#define CLI_OPT_METRIC(to)                                                                   \
	{                                                                                    \
		0, "metric", "NAME", "cosine, l2 or ip (default: the index's, else cosine)", \
		    CLI_NAME, to, 0, 0, vec_metric_names                                     \
	}
/* 0: memory, 1: disk. */
#define CLI_OPT_VECTORS(to)                                                                      \
	{                                                                                        \
		0, "vectors", "NAME",                                                            \
		    "memory (default), or disk: read all but the vectors into memory", CLI_NAME, \
		    to, 0, 0, (const char *const[])                                              \
		{                                                                                \
			"memory", "disk", NULL                                                   \
		}                                                                                \
	}
/* How vectors are read; ${in} is a struct vec_input. */
#define CLI_OPTS_INPUT(in)                                                                         \
	CLI_OPT(0, "format", "NAME", "format of the vectors (default: by suffix; stdin: jsonl)",   \
		CLI_NAME, &(in).format, 0, 0, vec_format_names),                                   \
	    CLI_OPTS_COLUMNS(in)
#define CLI_OPTS_COLUMNS(in)                                                                       \
	CLI_OPT(0, "column", "NAME",                                                               \
		"the column (data set, tensor, array) of the vectors, where there are several",    \
		CLI_STR, &(in).column, 0, 0, NULL),                                                \
	    CLI_OPT(0, "key", "NAME", "the same of jsonl (default: vector)", CLI_STR,              \
		    &(in).column, 0, 0, NULL),                                                     \
	    CLI_OPT(0, "id-column", "NAME", "the column or key of the ids (default: id); '' for none", CLI_STR,         \
		    &(in).id_column, 0, 0, NULL)
#define CLI_OPT_THREADS(to, why)                                                              \
	{                                                                                     \
		't', "threads", "N", "threads (default: " why ")", CLI_U32, to, 1, 1024, NULL \
	}
#define CLI_OPT_WAIT(to, standard)                                                            \
	{                                                                                     \
		0, "wait", "S",                                                               \
		    "seconds to wait for whoever holds a lock (default " standard ")",        \
		    CLI_F64, to, 0, 1000000, NULL                                             \
	}
#define CLI_OPT_DRY_RUN(to)                                                                      \
	{                                                                                        \
		'n', "dry-run", NULL, "say what would be done, change nothing", CLI_FLAG, to, 0, \
		    0, NULL                                                                      \
	}

#define CLI_OPT(letter, name, arg, help, kind, to, min, max, names) \
	{                                                           \
		letter, name, arg, help, kind, to, min, max, names  \
	}

/* What turns texts into vectors; ${o} is a struct embed_options. */
#define CLI_OPTS_EMBED(o)                                                                          \
	CLI_OPT(0, "embedder", "SPEC",                                                             \
		"hash (built in; default), or the servers ollama or openai; each may have :DIM",   \
		CLI_STR, &(o).embedder, 0, 0, NULL),                                               \
	    CLI_OPT(0, "url", "URL", "of the server (ollama: default http://127.0.0.1:11434)",     \
		    CLI_STR, &(o).url, 0, 0, NULL),                                                \
	    CLI_OPT(0, "model", "NAME", "the server's model", CLI_STR, &(o).model, 0, 0, NULL),    \
	    CLI_OPT(0, "prefix", "TEXT", "put TEXT before every text", CLI_STR, &(o).prefix, 0, 0, \
		    NULL),                                                                         \
	    CLI_OPT(0, "encoding", "NAME", "openai: ask for float or base64 (default float)",      \
		    CLI_NAME, &(o).encoding, 0, 0, embed_encodings),                               \
	    CLI_OPT(0, "truncate", NULL, "ollama: let the server cut texts that are too long",     \
		    CLI_FLAG, &(o).truncate, 0, 0, NULL),                                          \
	    CLI_OPT(0, "batch", "N", "texts a request (default 32)", CLI_U32, &(o).batch, 1, 2048, \
		    NULL),                                                                         \
	    CLI_OPT(0, "parallel", "N", "requests under way at once (default 4)", CLI_U32,         \
		    &(o).parallel, 1, 64, NULL),                                                   \
	    CLI_OPT(0, "retries", "N", "further attempts of a request that fails (default 5)",     \
		    CLI_U32, &(o).retries, 0, 100, NULL),                                          \
	    CLI_OPT(0, "timeout", "S", "seconds that an attempt may take (default 120)", CLI_F64,  \
		    &(o).timeout_s, 0.001, 86400, NULL),                                           \
	    CLI_OPT(0, "deadline", "S", "seconds that all of it may take (default 0: no limit)",   \
		    CLI_F64, &(o).deadline_s, 0, 1e9, NULL),                                       \
	    CLI_OPT(0, "api-key-file", "FILE",                                                     \
		    "the API key is in FILE (default: $HNSW_API_KEY, for openai else "             \
		    "$OPENAI_API_KEY)",                                                            \
		    CLI_STR, &(o).key_file, 0, 0, NULL),                                           \
	    CLI_OPT(0, "no-cache", NULL, "do without the cache of vectors in the store", CLI_FLAG, \
		    &(o).no_cache, 0, 0, NULL)

struct cli {
	const char *usage; /* what follows the program's name; more forms after newlines */
	const char *about; /* one sentence or a few */
	const struct cli_opt *opts;
	size_t n_opts;
	/* set by cli_parse() */
	const char *called; /* argv[0] */
	const char *name;   /* its last part */
	const char *prog;   /* the same, as it is shown */
	bool quiet;
	int verbose;
	uint64_t start_ns;
	const char **operand;
	size_t n_operands;
};

#define CLI_OPTS(array) .opts = array, .n_opts = sizeof(array) / sizeof(array)[0]

/*
 * Parse the command line; options may stand anywhere, names are not abbreviated.  -h, -V, -q and -v
 * are added.  Exits for --help and --version (0) and for what is wrong (2).  ${min}..${max}
 * operands are wanted.
 */
void cli_parse(struct cli *c, int argc, char **argv, size_t min, size_t max);

/* Exit with status 2, "prog: <message>" and "try 'prog --help'". */
_Noreturn void cli_usage(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Print the error; returns the exit status it asks for. */
int cli_error(const struct cli *c, const struct err *err);

/* A remark on stderr, "prog: <text>", unless -q. */
void cli_note(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* For libraries' warnings, which -q does not silence. */
struct warn_to cli_warn_to(const struct cli *c);

/* The store that options and environment name. */
const char *cli_store(const char *option);

/* Whether one of them names it, so that it may be created for what is only a help. */
bool cli_store_named(const char *option);

/* ---- standard output ---- */

extern struct io_sink cli_out;

/*
 * Write out what cli_out holds and return the exit status: ${status}, or 6 if it could not
 * be delivered.
 */
int cli_finish(const struct cli *c, int status);

/* ---- progress ---- */

/* A line on stderr that tells rate, share done and time left; only on a terminal and
 * without -q. */
struct cli_progress {
	const struct cli *cli;
	const char *doing; /* "inserted" */
	bool shown;
	uint64_t start_ns, last_ns;
};

void cli_progress_start(struct cli_progress *p, const struct cli *c, const char *doing);
/* ${total}: 0 if it is not known. */
void cli_progress_show(struct cli_progress *p, uint64_t done, uint64_t total);
void cli_progress_end(struct cli_progress *p);

/* ---- interruption ---- */

/* From now on SIGINT and SIGTERM only set a flag, so that work can end in order. */
void cli_catch_signals(void);
bool cli_interrupted(void);

/* ---- other programs ---- */

/*
 * Where the other programs are: what to put before their plain names.  They are beside this one,
 * if that was called by a path, else in PATH, and have what this one's name has before ${own}.
 */
int cli_programs(const struct cli *c, const char *own, struct buf *prefix,
		 struct err *err) MUST_CHECK;

/*
 * Run one and wait for it: ${argv} ends with NULL, its first is the plain name.  Its standard
 * input is ${in}, its standard output is appended to ${out}.  It is out of reach of the terminal's
 * signals, and ends when this process does.  -1: its status was not 0; that is the code, and the
 * last line that it said on stderr is the message.
 */
int cli_run(const char *prefix, const char *const argv[], struct span in, struct buf *out,
	    struct err *err) MUST_CHECK;

/* Threads to use: the option, or all cores if it is 0. */
int cli_threads(uint32_t option);

#endif
