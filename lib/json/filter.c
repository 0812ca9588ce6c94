/* SPDX-License-Identifier: MIT */
#include "json/filter.h"

#include <jq.h>
#include <jv.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct json_filter {
	jq_state *jq;
	struct err *err; /* where libjq's messages go for the moment */
};

/* Keep the first line of the first message. */
static void on_message(void *ctx, jv message)
{
	struct json_filter *f = ctx;
	if (f->err && f->err->code == ERR_NONE && jv_get_kind(message) == JV_KIND_STRING)
		err_set(f->err, ERR_USAGE, "%.*s", (int)strcspn(jv_string_value(message), "\n"),
			jv_string_value(message));
	jv_free(message);
}

/* The program has one record; "input" finds no other. */
static jv no_input(jq_state *jq, void *ctx)
{
	(void)jq;
	(void)ctx;
	return jv_invalid();
}

/* libjq aborts where these are not set.  Modules are those of the working directory. */
static void set_surroundings(jq_state *jq)
{
	jq_set_attr(jq, jv_string("JQ_ORIGIN"), jv_string("."));
	jq_set_attr(jq, jv_string("PROGRAM_ORIGIN"), jv_string("."));
	jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
	jq_set_input_cb(jq, no_input, NULL);
}

struct json_filter *json_filter_new(const char *program, struct err *err)
{
	struct json_filter *f = mem_zeroed(1, sizeof *f, err);
	struct err why = {ERR_NONE, ""};
	if (!f)
		return NULL;
	f->jq = jq_init();
	if (!f->jq) {
		err_nomem(err);
		json_filter_free(f);
		return NULL;
	}
	set_surroundings(f->jq);
	f->err = &why;
	jq_set_error_cb(f->jq, on_message, f);
	int ok = jq_compile(f->jq, program);
	f->err = NULL;
	if (!ok) {
		err_set(err, ERR_USAGE, "cannot compile jq program '%s': %s", program, why.msg);
		json_filter_free(f);
		return NULL;
	}
	return f;
}

void json_filter_free(struct json_filter *f)
{
	if (!f)
		return;
	if (f->jq)
		jq_teardown(&f->jq);
	free(f);
}

static int type_error(jv value, struct err *err)
{
	err_set(err, ERR_DATA, "the jq program gives %s, expected a number",
		jv_kind_name(jv_get_kind(value)));
	return 0;
}

int json_filter_number(struct json_filter *f, struct span record, double *out, struct err *err)
{
	if (record.n > INT_MAX) {
		err_set(err, ERR_DATA, "record is too long");
		return 0;
	}
	jv input = jv_parse_sized(record.p, (int)record.n);
	if (!jv_is_valid(input)) {
		jv_free(input);
		err_set(err, ERR_DATA, "not JSON");
		return 0;
	}
	jq_start(f->jq, input, 0);
	jv result = jq_next(f->jq);
	int ret = 0;
	if (jv_get_kind(result) == JV_KIND_NUMBER && isfinite(jv_number_value(result))) {
		*out = jv_number_value(result);
		ret = 1;
	} else if (jv_is_valid(result)) {
		type_error(result, err);
	} else if (jv_invalid_has_msg(jv_copy(result))) {
		jv message = jv_invalid_get_msg(jv_copy(result));
		if (jv_get_kind(message) == JV_KIND_STRING)
			err_set(err, ERR_DATA, "jq: %s", jv_string_value(message));
		else
			err_set(err, ERR_DATA, "jq: error");
		jv_free(message);
	} else {
		err_set(err, ERR_DATA, "the jq program gives nothing, expected a number");
	}
	jv_free(result);
	return ret;
}
