/* SPDX-License-Identifier: MIT */
#ifndef RECORD_PROMOTION_H
#define RECORD_PROMOTION_H

#include <stdbool.h>
#include <stdint.h>

#include "record/config.h"
#include "record/extra.h"

#define PROMOTION_HISTORY_MAX 50

/* Whether whoever promotes unattended may put something in its place. */
enum promotion_pin {
	PROMOTION_NOT_PINNED,
	PROMOTION_PINNED_WITHOUT_GOAL, /* by a goal it may: "without_goal" */
	PROMOTION_PINNED,	       /* nobody may: "always" */
};

/* One promotion; ${json} is the whole entry as it stands in the file, the rest points into it. */
struct promotion_entry {
	char *json;
	size_t len;
	struct config config;
	struct span trial_id, promoted_at, promoted_by, note; /* raw strings; p NULL: absent */
	struct span vectors_digest; /* of the Trial, kept beside it; p NULL in others' files */
	enum promotion_pin pin;
};

/* The promotion file of an index. */
struct promotion {
	char *index_name;
	struct promotion_entry *current;  /* NULL: none */
	struct promotion_entry **history; /* oldest first */
	size_t n_history;
	struct promotion_entry **rolled_back; /* oldest first */
	size_t n_rolled_back;
	uint64_t revision; /* 0: never written by us */
	struct extra extra;
};

/* Nothing promoted yet. */
int promotion_init(struct promotion *p, const char *index, struct err *err) MUST_CHECK;

/* ERR_DATA: malformed. */
int promotion_parse(struct promotion *p, struct span text, struct err *err) MUST_CHECK;
void promotion_write(struct buf *out, const struct promotion *p);
void promotion_release(struct promotion *p);

/* What was known of a floor of recall when a Trial was promoted. */
enum promotion_floor {
	PROMOTION_NO_FLOOR, /* there was none, or the figures counted as they are */
	PROMOTION_FLOOR_PROVEN,
	PROMOTION_FLOOR_NOT_PROVEN, /* reached by the mean, but the queries are too few */
};

/* What a new entry is made of; note may be NULL. */
struct promotion_new {
	enum promotion_floor floor;
	enum promotion_pin pin;
	struct config config;
	struct span trial_id, vectors_digest; /* raw strings; p may be NULL */
	const char *by, *note;
};

/* Make ${n} current; the one before goes on the history. */
int promotion_push(struct promotion *p, const struct promotion_new *n, struct err *err) MUST_CHECK;

/* Pin the current one, or not, if there is one; the rest of it stays. */
int promotion_set_pin(struct promotion *p, enum promotion_pin pin, struct err *err) MUST_CHECK;

/* Take the newest of the history back; the current one joins the rolled back.  1: done;
 * 0: nothing is current. */
int promotion_pop(struct promotion *p, struct err *err) MUST_CHECK;

/* Whether that config was rolled back on the same vectors (or it is not known on which). */
bool promotion_rolled_back(const struct promotion *p, const struct config *c,
			   struct span vectors_digest);

#endif
