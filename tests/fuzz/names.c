/* SPDX-License-Identifier: MIT */
/*
 * Names and small texts that say where things are: names, settings of the agent, buckets.json,
 * verdicts, goals.  The first byte is the kind, the rest is the text.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/settings.h"
#include "catalog/catalog.h"
#include "tests/fuzz/fuzz.h"

static char root[64];

/* What is taken for a name is one part of a path, and can be shown. */
static void name(struct span text)
{
	static const char *const kinds[] = {"index", "dataset", "bucket", "eval set"};
	struct err err;
	char *copy = span_dup(text);
	MUST(copy);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (catalog_check_name(kinds[i], copy, &err) != 0)
			continue;
		size_t n = strlen(copy);
		MUST(n >= 1 && n <= CATALOG_NAME_MAX && copy[0] != '.' && !strchr(copy, '/'));
		for (size_t c = 0; c < n; c++)
			MUST((unsigned char)copy[c] >= 0x20 && copy[c] != 0x7f);
	}
	free(copy);
}

/* Settings written are settings read. */
static void settings(struct span text)
{
	struct agent_settings s = AGENT_SETTINGS_DEFAULT;
	struct err err;
	if (agent_settings_read(&s, text, &err) == 0)
		MUST(s.min_recall >= 0 && s.min_recall <= 1);
}

static void remove_root(void)
{
	char path[96];
	snprintf(path, sizeof path, "%s/buckets.json", root);
	unlink(path);
	rmdir(root);
}

static void buckets(struct span text)
{
	struct err err;
	char path[96];
	if (!root[0]) {
		snprintf(root, sizeof root, "/dev/shm/hnsw-fuzz.XXXXXX");
		MUST(mkdtemp(root));
		atexit(remove_root);
	}
	snprintf(path, sizeof path, "%s/buckets.json", root);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	MUST(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	close(fd);
	struct buckets *b = buckets_open(root, &err);
	struct store_names names = {0};
	if (b && buckets_list(b, &names, &err) == 0) {
		bool primary = false;
		for (size_t i = 0; i < names.count; i++)
			primary |= strcmp(names.name[i], META_BUCKET_DEFAULT) == 0;
		MUST(primary);
	}
	store_names_release(&names);
	buckets_close(b);
}

/* The spans lie in the text. */
static void verdict(struct span text)
{
	struct verdict v;
	struct err err;
	if (verdict_parse(&v, text, &err) != 0)
		return;
	MUST(!v.reason.p || (v.reason.p >= text.p && v.reason.p + v.reason.n <= text.p + text.n));
	MUST(!v.graph_digest.p ||
	     (v.graph_digest.p >= text.p && v.graph_digest.p + v.graph_digest.n <= text.p + text.n));
}

/* A goal that was read is read the same when it was written. */
static void goal(struct span text)
{
	struct tune_goal g, again;
	struct err err;
	struct buf out = BUF_INIT;
	struct json_out j = {.b = &out};
	if (tune_goal_parse(&g, text, &err) != 0)
		return;
	tune_goal_write(&j, &g);
	MUST(!out.failed && tune_goal_parse(&again, buf_span(&out), &err) == 0);
	MUST(tune_goal_same(&g, &again) && tune_goal_said(&g) == tune_goal_said(&again));
	tune_goal_complete(&g);
	MUST(tune_goal_check(&g, &err) == 0);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct span) = {name, settings, buckets, verdict, goal};
	if (size == 0)
		return 0;
	/* Records are followed by bytes that may be read. */
	char *copy = calloc(size + 64, 1);
	MUST(copy);
	memcpy(copy, data + 1, size - 1);
	kinds[data[0] % (sizeof kinds / sizeof kinds[0])]((struct span){copy, size - 1});
	free(copy);
	return 0;
}
