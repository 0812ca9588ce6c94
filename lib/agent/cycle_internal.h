/* SPDX-License-Identifier: MIT */
#ifndef AGENT_CYCLE_INTERNAL_H
#define AGENT_CYCLE_INTERNAL_H

#include "agent/agent.h"
#include "tune/strategy.h"

/* What the journal says of an index. */
struct past {
	struct tune_history history;
	char *eval_set; /* of the latest Trial */
	struct promotion promotion;
	bool has_champion; /* the journal has the Trial that is promoted */
	struct config champion;
	/* Trials of the champion's config, oldest first, and which of them is promoted */
	struct buf *line;
	size_t lines, promoted;
};

struct cycle {
	struct agent *agent;
	struct agent_event *event;
	struct catalog_index index; /* which stays where it is while it is tuned */
	struct past past;
	bool by_goal;
	struct tune_goal goal;	  /* complete */
	const char *strategy;	  /* its name, or a command */
	char goal_text[7][32];	  /* what the goal's options say */
	char *eval_set;
	struct buf note; /* of its Trials */
	/*
	 * Files in the cache: the vectors, as they were when the trial was begun, the index, and
	 * in a duel that of the champion, and the build records of both.
	 */
	struct buf vectors_path, index_path, champion_path, record_path, champion_record_path;
	const char *metric;	      /* of the index, NULL if nobody said */
	char digest[DIGEST_TEXT_MAX]; /* of these vectors; empty before they are there */
};

/* Whether trying again may help: nothing is wrong with what was asked for, or with the data. */
bool cycle_may_pass(const struct err *why);

/*
 * Read it anew.  Only Trials of these vectors and that eval set (digests, raw; p NULL: of any) count
 * for what is tried or chosen by a goal.
 */
int past_read(struct cycle *c, struct span vectors, struct span eval, struct err *err) MUST_CHECK;
void past_release(struct past *p);

/* Propose, build, measure; the event has the Trial then. */
int cycle_try(struct cycle *c, struct err *err) MUST_CHECK;

/* The index's own eval set, else that of its latest Trial; again does nothing. */
int cycle_choose_eval_set(struct cycle *c, struct err *err) MUST_CHECK;

/* "ec80/es30", and by a goal "m16/ec80/es30". */
#define CYCLE_CONFIG_MAX 64
void cycle_config_text(const struct cycle *c, const struct config *config,
		       char out[static CYCLE_CONFIG_MAX]);

/* A command line of one of our programs. */
#define CYCLE_WORDS_MAX 48
struct cycle_command {
	const char *word[CYCLE_WORDS_MAX];
	size_t n;
};

/* "PROGRAM -q -S STORE", to which the rest is added. */
struct cycle_command cycle_command(const struct cycle *c, const char *program);
void cycle_add(struct cycle_command *w, const char *word);

/* The options that say the goal, if there is one. */
void cycle_add_goal(struct cycle *c, struct cycle_command *w);
int cycle_run(struct cycle *c, const struct cycle_command *w, struct span in, struct buf *out,
	      struct err *err) MUST_CHECK;

/* The vectors as they are now: their number and digest. */
int cycle_survey(struct cycle *c, uint64_t *rows, char digest[static DIGEST_TEXT_MAX],
		 struct err *err) MUST_CHECK;

/*
 * Build an index with that config over the vectors of the cycle, measure it, by a goal where that
 * is reached, and append the Trial's line, without newline, to ${line}; what else was measured is
 * in the journal then.  The eval set's answers are made to fit.
 */
int cycle_measure(struct cycle *c, const struct config *config, struct buf *line,
		  struct err *err) MUST_CHECK;

/*
 * Build both and let them fight; ${verdict} gets what trial-duel says, whoever won.  ERR_NO: the
 * data is no longer that of the Trial.
 */
int cycle_duel(struct cycle *c, const struct trial *t, const struct config *champion,
	       struct buf *verdict, struct err *err) MUST_CHECK;

/* Make a Trial durable. */
int cycle_append(struct cycle *c, const struct buf *line, struct err *err) MUST_CHECK;

/* Remove the files of the cycle. */
void cycle_clean(struct cycle *c);

#endif
