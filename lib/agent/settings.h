/* SPDX-License-Identifier: MIT */
#ifndef AGENT_SETTINGS_H
#define AGENT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "json/write.h"

/* What the agent may do, and how often. */
struct agent_settings {
	bool enabled;			       /* or it does not run at all */
	uint64_t cycle_interval_secs;	       /* between wakes that nobody asked for */
	uint64_t cooldown_between_trials_secs; /* of one index */
	double min_recall;		       /* below it nothing is promoted */
	uint64_t max_trials_per_hour;	       /* of all indexes */
	bool trust_stored;		       /* promote without a proof and a duel */
	bool prove; /* the floor even where nothing is promoted yet */
};

#define AGENT_SETTINGS_DEFAULT                                                                    \
	{                                                                                         \
		.cycle_interval_secs = 60, .cooldown_between_trials_secs = 30, .min_recall = 0.9, \
		.max_trials_per_hour = 30                                                         \
	}
#define AGENT_COOLDOWN_MAX_SECS 86400

enum { AGENT_SETTINGS = 7 };
extern const char *const agent_setting_names[AGENT_SETTINGS];

/* Set one by its name.  ERR_DATA: an unknown name, or a value out of range. */
int agent_settings_set(struct agent_settings *s, struct span name, struct span value,
		       struct err *err) MUST_CHECK;

/*
 * Set what a text of KEY=VALUE lines says; blank lines and those that begin with '#' are
 * left out.  ERR_DATA: "line 3: ...", also for a key that comes twice.
 */
int agent_settings_read(struct agent_settings *s, struct span text, struct err *err) MUST_CHECK;

/* As an object. */
void agent_settings_write(struct json_out *j, const struct agent_settings *s);

#endif
