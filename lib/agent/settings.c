/* SPDX-License-Identifier: MIT */
#include "agent/settings.h"

#include <string.h>

#include "base/num.h"
#include "base/scan.h"
#include "tune/strategy.h"

/* From GOAL on those of tune_goal_set(). */
enum {
	ENABLED,
	CYCLE_INTERVAL,
	COOLDOWN,
	MIN_RECALL,
	MAX_TRIALS,
	TRUST_STORED,
	PROVE,
	STRATEGY,
	MIN_NEW_ROWS,
	GOAL
};

const char *const agent_setting_names[AGENT_SETTINGS] = {
    [ENABLED] = "enabled",
    [CYCLE_INTERVAL] = "cycle_interval_secs",
    [COOLDOWN] = "cooldown_between_trials_secs",
    [MIN_RECALL] = "min_recall",
    [MAX_TRIALS] = "max_trials_per_hour",
    [TRUST_STORED] = "trust_stored",
    [PROVE] = "prove",
    [STRATEGY] = "strategy",
    [MIN_NEW_ROWS] = "min_new_rows",
    [GOAL] = "target_recall",
    "target_queries",
    "minimise",
    "max_memory",
    "max_build",
    "max_latency",
    "space",
    "confidence",
};

static int bad_value(struct span name, struct span value, const char *expected, struct err *err)
{
	return err_set(err, ERR_DATA, "bad value '%.*s' for %.*s: expected %s",
		       (int)(value.n < 100 ? value.n : 100), value.p, (int)name.n, name.p,
		       expected);
}

static int unknown_name(struct span name, struct err *err)
{
	struct buf all = BUF_INIT;
	for (int i = 0; i < AGENT_SETTINGS; i++)
		buf_addf(&all, "%s%s", i ? ", " : "", agent_setting_names[i]);
	err_set(err, ERR_DATA, "unknown setting '%.*s', expected one of %s",
		(int)(name.n < 100 ? name.n : 100), name.p, buf_span(&all).p);
	buf_release(&all);
	return -1;
}

static int set_flag(bool *flag, struct span name, struct span value, struct err *err)
{
	if (!span_is(value, "true") && !span_is(value, "false"))
		return bad_value(name, value, "true or false", err);
	*flag = span_is(value, "true");
	return 0;
}

static int set_strategy(struct agent_settings *s, struct span name, struct span value,
			struct err *err)
{
	char text[AGENT_STRATEGY_MAX];
	if (value.n == 0 || value.n >= sizeof text)
		return bad_value(name, value, "a name, or a command of less than 256 bytes", err);
	memcpy(text, value.p, value.n);
	text[value.n] = 0;
	if (!strchr(text, '/') && !tune_strategy_find(text, err)) {
		err->code = ERR_DATA;
		return -1;
	}
	memcpy(s->strategy, text, sizeof text);
	return 0;
}

static int set_goal(struct agent_settings *s, struct span name, struct span value, struct err *err)
{
	struct tune_goal g = s->goal;
	struct err why;
	int known = tune_goal_set(&g, name, value, &why);
	if (known == 0)
		return unknown_name(name, err);
	if (known < 0)
		return err_set(err, ERR_DATA, "bad value '%.*s' for %.*s: %s",
			       (int)(value.n < 100 ? value.n : 100), value.p, (int)name.n, name.p,
			       why.msg);
	s->goal = g;
	return 0;
}

/* Which it is; AGENT_SETTINGS if none. */
static int index_of(struct span name)
{
	int i = 0;
	while (i < AGENT_SETTINGS && !span_is(name, agent_setting_names[i]))
		i++;
	return i;
}

int agent_settings_set(struct agent_settings *s, struct span name, struct span value,
		       struct err *err)
{
	switch (index_of(name)) {
	case ENABLED:
		return set_flag(&s->enabled, name, value, err);
	case CYCLE_INTERVAL:
		return num_u64(value, 1, 86400, &s->cycle_interval_secs) == 0
			   ? 0
			   : bad_value(name, value, "a whole number in 1..86400", err);
	case COOLDOWN:
		return num_u64(value, 0, AGENT_COOLDOWN_MAX_SECS,
			       &s->cooldown_between_trials_secs) == 0
			   ? 0
			   : bad_value(name, value, "a whole number in 0..86400", err);
	case MIN_RECALL:
		return num_f64(value, 0, 1, &s->min_recall) == 0
			   ? 0
			   : bad_value(name, value, "a number in 0..1", err);
	case MAX_TRIALS:
		return num_u64(value, 0, 1000000, &s->max_trials_per_hour) == 0
			   ? 0
			   : bad_value(name, value, "a whole number in 0..1000000", err);
	case TRUST_STORED:
		return set_flag(&s->trust_stored, name, value, err);
	case PROVE:
		return set_flag(&s->prove, name, value, err);
	case STRATEGY:
		return set_strategy(s, name, value, err);
	case MIN_NEW_ROWS:
		return num_u64(value, 0, (uint64_t)1 << 40, &s->min_new_rows) == 0
			   ? 0
			   : bad_value(name, value, "a whole number", err);
	case AGENT_SETTINGS:
		return unknown_name(name, err);
	default:
		return set_goal(s, name, value, err);
	}
}

static struct span trimmed(struct span s)
{
	while (s.n && strchr(" \t\r", s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && strchr(" \t\r", s.p[s.n - 1]))
		s.n--;
	return s;
}

/* ${seen}: the line that each was set in, 0 if none. */
static int read_line(struct agent_settings *s, struct span line, unsigned number, unsigned *seen,
		     struct err *err)
{
	const char *equals = memchr(line.p, '=', line.n);
	if (!equals)
		return err_set(err, ERR_DATA, "expected KEY=VALUE");
	struct span name = trimmed((struct span){line.p, (size_t)(equals - line.p)});
	struct span value =
	    trimmed((struct span){equals + 1, (size_t)(line.p + line.n - equals - 1)});
	if (agent_settings_set(s, name, value, err) != 0)
		return -1;
	unsigned *first = &seen[index_of(name)];
	if (*first)
		return err_set(err, ERR_DATA, "%.*s is set in line %u already", (int)name.n, name.p,
			       *first);
	*first = number;
	return 0;
}

int agent_settings_read(struct agent_settings *s, struct span text, struct err *err)
{
	unsigned seen[AGENT_SETTINGS] = {0}, number = 0;
	size_t mark = text_mark(text);
	if (mark == TEXT_MARK_WIDE)
		return err_set(err, ERR_DATA, "text in UTF-16, expected UTF-8");
	text.p += mark;
	text.n -= mark;
	while (text.n) {
		const char *nl = memchr(text.p, '\n', text.n);
		size_t n = nl ? (size_t)(nl - text.p) : text.n;
		struct span line = trimmed((struct span){text.p, n});
		number++;
		if (line.n && line.p[0] != '#' && read_line(s, line, number, seen, err) != 0)
			return err_prefix(err, "line %u", number);
		n += nl != NULL;
		text.p += n;
		text.n -= n;
	}
	return 0;
}

static void write_goal(struct json_out *j, const struct tune_goal *g)
{
	struct buf text = BUF_INIT;
	struct json_out object = {.b = &text};
	struct scan s;
	struct span key, value;
	tune_goal_write(&object, g);
	j->b->failed |= text.failed;
	scan_init(&s, buf_span(&text));
	if (scan_object(&s))
		while (scan_member(&s, &key) && scan_skip(&s, &value))
			json_kv_raw(j, agent_setting_names[index_of(key)], value);
	buf_release(&text);
}

void agent_settings_write(struct json_out *j, const struct agent_settings *s)
{
	json_open(j, '{');
	json_key(j, agent_setting_names[ENABLED]);
	json_bool(j, s->enabled);
	json_kv_u64(j, agent_setting_names[CYCLE_INTERVAL], s->cycle_interval_secs);
	json_kv_u64(j, agent_setting_names[COOLDOWN], s->cooldown_between_trials_secs);
	json_kv_f64(j, agent_setting_names[MIN_RECALL], s->min_recall);
	json_kv_u64(j, agent_setting_names[MAX_TRIALS], s->max_trials_per_hour);
	json_key(j, agent_setting_names[TRUST_STORED]);
	json_bool(j, s->trust_stored);
	json_key(j, agent_setting_names[PROVE]);
	json_bool(j, s->prove);
	if (s->strategy[0])
		json_kv_cstr(j, agent_setting_names[STRATEGY], s->strategy);
	if (s->min_new_rows != AGENT_NEW_ROWS_SHARE)
		json_kv_u64(j, agent_setting_names[MIN_NEW_ROWS], s->min_new_rows);
	write_goal(j, &s->goal);
	json_close(j, '}');
}
