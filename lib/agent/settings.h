/* SPDX-License-Identifier: MIT */
#ifndef AGENT_SETTINGS_H
#define AGENT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "json/write.h"
#include "tune/goal.h"

#define AGENT_STRATEGY_MAX 256

/* What the agent may do, and how often. */
struct agent_settings {
	bool enabled;			       /* or it does not run at all */
	uint64_t cycle_interval_secs;	       /* between wakes that nobody asked for */
	uint64_t cooldown_between_trials_secs; /* of one index */
	double min_recall;		       /* below it nothing is promoted */
	uint64_t max_trials_per_hour;	       /* of all indexes */
	bool trust_stored;		       /* promote without a proof and a duel */
	bool prove; /* the floor even where nothing is promoted yet */
	struct tune_goal goal; /* for indexes that do not say it themselves */
	/* Of tune/strategy.h, or a command with a slash; "": model by a goal, else egreedy. */
	char strategy[AGENT_STRATEGY_MAX];
	uint64_t min_new_rows; /* before appended data is reacted to, or: */
};

#define AGENT_NEW_ROWS_SHARE UINT64_MAX /* a hundredth of the rows, at least one */

#define AGENT_SETTINGS_DEFAULT                                                                    \
	{                                                                                         \
		.cycle_interval_secs = 60, .cooldown_between_trials_secs = 30, .min_recall = TUNE_RECALL, \
		.max_trials_per_hour = 30, .goal = TUNE_GOAL_UNSAID,                              \
		.min_new_rows = AGENT_NEW_ROWS_SHARE                                              \
	}
#define AGENT_COOLDOWN_MAX_SECS 86400

enum { AGENT_SETTINGS = 17 };
extern const char *const agent_setting_names[AGENT_SETTINGS];

/* Set one by its name.  ERR_DATA: an unknown name, or a value out of range. */
int agent_settings_set(struct agent_settings *s, struct span name, struct span value,
		       struct err *err) MUST_CHECK;

/*
 * Set what a text of KEY=VALUE lines says; blank lines and those that begin with '#' are
 * left out.  ERR_DATA: "line 3: ...", also for a key that comes twice.
 */
int agent_settings_read(struct agent_settings *s, struct span text, struct err *err) MUST_CHECK;

/* As an object; of the goal, what is said of it. */
void agent_settings_write(struct json_out *j, const struct agent_settings *s);

#endif
