/* SPDX-License-Identifier: MIT */
#ifndef TUNE_GOAL_H
#define TUNE_GOAL_H

#include "record/trial.h"

/* What is to be as little as can be. */
enum tune_cost {
	TUNE_LATENCY,	/* search_latency_p50_us */
	TUNE_DISTANCES, /* distances_per_query: the same on every machine */
	TUNE_BUILD,	/* build_time_secs */
	TUNE_MEMORY,	/* memory_bytes */
};

#define TUNE_COST_UNSAID ((enum tune_cost) - 1)

/* Names by number, NULL at the end: latency, distances, build, memory. */
extern const char *const tune_cost_names[];

struct tune_range {
	uint32_t min, max;
};

/* Where to look. */
struct tune_space {
	struct tune_range m, ec, es; /* max 0: not said */
	unsigned storages; /* bit 1 << enum hnsw_storage, HNSW_AUTO included; 0: not said */
};

/* The space if nobody asks for another, and the most that may be asked for. */
extern const struct tune_space tune_space_default, tune_space_widest;

/* What somebody needs of an index. */
struct tune_goal {
	double target_recall;  /* 0..1, that the lower bound of the mean recall reaches */
	double target_queries; /* > 0: the target is instead that such a share of the queries has
				* target_recall each */
	enum tune_cost minimise;
	double max_memory, max_build, max_latency; /* bytes, seconds, microseconds; 0: any */
	/* Of the lower bound: the error is 1 minus that; 0.5 and less: the mean itself. */
	double confidence;
	double within; /* nothing is worth trying that is expected to save a smaller share */
	struct tune_space space;
};

#define TUNE_RECALL 0.9 /* the recall that is wanted if nobody says which */

/* What says nothing: to be filled by options, by a record, and by what is usual. */
#define TUNE_GOAL_UNSAID                                                                           \
	{                                                                                          \
		.target_recall = -1, .target_queries = -1, .minimise = TUNE_COST_UNSAID,           \
		.max_memory = -1, .max_build = -1, .max_latency = -1, .confidence = -1,            \
		.within = -1                                                                       \
	}
#define TUNE_GOAL_DEFAULT                                                                          \
	{                                                                                          \
		.target_recall = TUNE_RECALL, .confidence = 0.99, .within = 0.01,                          \
		.space = {{8, 64}, {10, 400}, {10, 200}, 1u << HNSW_AUTO}                          \
	}

/*
 * Rows of a command's table of options for the goal ${g}, to be used where cli/cli.h is.
 */
#define TUNE_GOAL_OPTIONS(g)                                                                       \
	CLI_OPT(0, "target-recall", "R", "recall to reach (default 0.9)", CLI_F64,                 \
		&(g).target_recall, 0, 1, NULL),                                                   \
	    CLI_OPT(0, "target-queries", "SHARE",                                                  \
		    "share of the queries that are to reach it, each (default: their mean is to)", \
		    CLI_F64, &(g).target_queries, 0, 1, NULL),                                     \
	    CLI_OPT(0, "minimise", "WHAT", "latency (default), distances, build or memory",        \
		    CLI_NAME, &(g).minimise, 0, 0, tune_cost_names),                               \
	    CLI_OPT(0, "max-memory", "BYTES", "memory that the index may take (default: any)",     \
		    CLI_F64, &(g).max_memory, 1, 1e18, NULL),                                      \
	    CLI_OPT(0, "max-build", "S", "seconds that a build may take (default: any)", CLI_F64,  \
		    &(g).max_build, 1e-6, 1e9, NULL),                                              \
	    CLI_OPT(0, "max-latency", "US",                                                        \
		    "microseconds that the median search may take (default: any)", CLI_F64,        \
		    &(g).max_latency, 1e-3, 1e9, NULL),                                            \
	    CLI_OPT(0, "confidence", "P",                                                          \
		    "certainty that the recall is reached (default 0.99); 0.5: by its mean",       \
		    CLI_F64, &(g).confidence, 0, 0.999999, NULL)

/* Rows for what only who looks for a config needs; ${space} is a const char *, for
 * tune_space_parse(). */
#define TUNE_SEARCH_OPTIONS(g, space)                                                              \
	CLI_OPT(0, "within", "SHARE", "stop when no build is expected to save more (default 0.01)", \
		CLI_F64, &(g).within, 0, 1, NULL),                                                 \
	    CLI_OPT(0, "space", "RANGES",                                                          \
		    "where to look (default 'm=8:64 ec=10:400 es=10:200 storage=auto')", CLI_STR,  \
		    &(space), 0, 0, NULL)

/*
 * Read ranges as 'm=4:96 ec=10:400 es=10:200 storage=auto,f32', in any order, blanks between; what
 * is not named stays as it is in ${out}.  ERR_USAGE naming the word and what was expected.
 */
int tune_space_parse(struct span text, struct tune_space *out, struct err *err) MUST_CHECK;

/* Whether it says anything. */
bool tune_goal_said(const struct tune_goal *g);

/* What ${g} does not say is as ${under} says. */
void tune_goal_fill(struct tune_goal *g, const struct tune_goal *under);

/* What it does not say is as usual (TUNE_GOAL_DEFAULT). */
void tune_goal_complete(struct tune_goal *g);

/* ERR_USAGE: a goal that nothing can meet.  It must be complete. */
int tune_goal_check(const struct tune_goal *g, struct err *err) MUST_CHECK;

/*
 * Read {"target_recall":0.95,"space":"m=8:64",...}: the options' names with underscores, null for
 * what is not said.  ERR_DATA: malformed, an unknown key, since a requirement that is not understood
 * cannot be met, or a goal that nothing can meet.
 */
int tune_goal_parse(struct tune_goal *g, struct span text, struct err *err) MUST_CHECK;

/* Set what a setting of such a name says.  1; 0: there is no such name; -1: ERR_DATA, "expected ..." */
int tune_goal_set(struct tune_goal *g, struct span name, struct span value,
		  struct err *err) MUST_CHECK;

/* What it says, as such an object. */
void tune_goal_write(struct json_out *j, const struct tune_goal *g);

/* The same requirement: where to look for it (space, within) does not count. */
bool tune_goal_same(const struct tune_goal *a, const struct tune_goal *b);

/* 0, or ERR_DATA "proposed ef_construction=5 out of bounds 10..400". */
int tune_space_check(const struct tune_space *s, const struct config *c,
		     struct err *err) MUST_CHECK;

/* The lower bound of the goal's recall at a point of a curve that ${queries} queries gave; NAN if
 * the curve does not tell. */
double tune_goal_reached(const struct tune_goal *g, const struct curve *c,
			 const struct curve_point *p, uint64_t queries);

/* The same of a Trial, and in ${mean} (may be NULL) what is reached in the queries measured. */
double tune_goal_proven(const struct tune_goal *g, const struct trial *t, double *mean);

/* ERR_NO, naming it, if a Trial exceeds a limit. */
int tune_goal_limits(const struct tune_goal *g, const struct trial *t, struct err *err) MUST_CHECK;

/* By their figures as they are: whether the challenger meets the goal, and the champion does not or
 * costs more. */
bool tune_goal_beats(const struct tune_goal *g, const struct trial *challenger,
		     const struct trial *champion);

/* What that is to be: target_recall, or target_queries. */
double tune_goal_target(const struct tune_goal *g);

#endif
