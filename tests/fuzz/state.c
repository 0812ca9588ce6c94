/* SPDX-License-Identifier: MIT */
/*
 * Records of a store where they lie, as whoever has write access may leave them: the first byte is
 * the place, the rest is the file, and the readers of that place, with all that they go through,
 * are the commands'.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/status.h"
#include "agent/presence.h"
#include "base/clock.h"
#include "base/scan.h"
#include "catalog/catalog.h"
#include "tests/fuzz/fuzz.h"

#define EVENT "00000000000000000001-0123456789abcdef0123456789abcdef.json"

enum place { META, EVALSET, PROMOTION, SERVED, EMBEDDING, EVENTS, LOG, PLACES };

static const char *root;
static char path[PLACES][160];
static struct catalog catalog;
static struct store *primary;

/* ---- a store ---- */

/* Make the directories of a path below the root. */
static void make_place(enum place p, const char *key)
{
	snprintf(path[p], sizeof path[p], "%s/primary/%s", root, key);
	for (char *slash = path[p] + strlen(root); (slash = strchr(slash + 1, '/'));) {
		*slash = 0;
		(void)!mkdir(path[p], 0777);
		*slash = '/';
	}
}

static void make_store(void)
{
	struct err err;
	char today[CLOCK_TEXT_MAX], key[128];
	root = fuzz_root();
	clock_format(clock_wall_us(), today);
	make_place(META, "vectors/meta/x.json");
	make_place(EVALSET, "_hnsw_evals/e.json");
	make_place(PROMOTION, "_hnsw_promotions/x.json");
	make_place(SERVED, "_hnsw_active/x/current.json");
	make_place(EMBEDDING, "vectors/d/embedding.json");
	make_place(EVENTS, "_hnsw_agent/queue/" EVENT);
	snprintf(key, sizeof key, "_hnsw_agent/events/%.10s/batch_%020d.jsonl", today, 1);
	make_place(LOG, key);
	MUST(catalog_open(&catalog, root, true, &err) == 0);
	primary = buckets_get(catalog.buckets, META_BUCKET_DEFAULT, &err);
	MUST(primary);
}

static void put(enum place p, const void *data, size_t size)
{
	int fd = open(path[p], O_WRONLY | O_CREAT | O_TRUNC, 0666);
	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* ---- what must hold ---- */

/* A name that was read is one that could have been typed. */
static void check_name(const char *name)
{
	MUST(!name || !name[0] || name_fault(span_of(name)) == NULL);
}

static void read_meta(void)
{
	struct index_meta m;
	struct err err;
	if (catalog_index_get(&catalog, "x", &m, &err) > 0) {
		MUST(strcmp(m.index_name, "x") == 0);
		check_name(m.source);
		check_name(m.bucket);
		check_name(m.eval_set);
	}
	index_meta_release(&m);
}

static void read_evalset(void)
{
	struct evalset e;
	struct err err;
	if (catalog_evalset_get(&catalog, "e", NULL, &e, &err) <= 0)
		return;
	MUST(strcmp(e.name, "e") == 0);
	check_name(e.index_name);
	(void)evalset_digest(&e);
	if (e.k > 1)
		(void)!evalset_limit_k(&e, e.k / 2, &err);
	evalset_release(&e);
}

static void read_promotion(struct catalog_index *x)
{
	struct promotion p;
	struct err err;
	if (catalog_promotion_get(x, &p, NULL, &err) > 0) {
		MUST(strcmp(p.index_name, "x") == 0);
		/* It can be taken back to the end, and what is left is written and read. */
		while (promotion_pop(&p, &err) > 0) {
		}
		struct promotion again;
		struct buf text = BUF_INIT;
		promotion_write(&text, &p);
		MUST(promotion_parse(&again, buf_span(&text), &err) == 0);
		promotion_release(&again);
		buf_release(&text);
	}
	promotion_release(&p);
}

static void read_served(struct catalog_index *x)
{
	char *generation = NULL;
	struct buf file = BUF_INIT;
	struct err err;
	if (catalog_active_get(x, &generation, &err) > 0) {
		MUST(name_fault(span_of(generation)) == NULL);
		(void)!catalog_active_path(x, generation, &file, &err);
	}
	free(generation);
	buf_release(&file);
}

static void read_embedding(void)
{
	struct embedding e;
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct err err;
	if (catalog_embedding_get(&catalog, "d", NULL, &e, &err) > 0) {
		embedding_write(&once, &e);
		embedding_describe(&twice, &e);
		MUST(embedding_check(&e, &e, "x", &err) == 0);
		buf_clear(&twice);
		embedding_release(&e);
		MUST(embedding_parse(&e, buf_span(&once), &err) == 0);
		embedding_write(&twice, &e);
		MUST(span_same(buf_span(&once), buf_span(&twice)));
	}
	embedding_release(&e);
	buf_release(&once);
	buf_release(&twice);
}

static void event_text(struct buf *out, struct agent_event *e)
{
	agent_reason_text(out, e);
	buf_addf(out, " %s %s %s %s %d %d %llu %llu ", e->index_name, e->dataset ? e->dataset : "-",
		 e->enqueued_at, e->started_at ? e->started_at : "-", e->noted_rate_limit,
		 e->noted_cooldown, (unsigned long long)e->attempts,
		 (unsigned long long)(e->attempts ? e->retry_us : 0));
	buf_addspan(out, buf_span(&e->trial));
}

/* What is written back is read the same. */
static void read_event(void)
{
	struct agent_event e;
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct err err;
	if (agent_queue_get(primary, EVENT, &e, &err) <= 0)
		return;
	check_name(e.index_name);
	event_text(&once, &e);
	MUST(agent_queue_put(primary, &e, &err) == 0);
	agent_event_release(&e);
	MUST(agent_queue_get(primary, EVENT, &e, &err) == 1);
	event_text(&twice, &e);
	MUST(span_same(buf_span(&once), buf_span(&twice)));
	agent_event_put_off(&e, 1000);
	(void)agent_event_wait(&e, 2000);
	agent_event_release(&e);
	buf_release(&once);
	buf_release(&twice);
}

/* What an agent says of itself, which is only read of one that runs; JSON is JSON. */
static void read_said(const uint8_t *data, size_t size)
{
	char *copy = calloc(size + 64, 1);
	struct agent_said a;
	struct scan s;
	struct err err;
	MUST(copy);
	memcpy(copy, data, size);
	if (agent_said_parse(&a, 1, (struct span){copy, size}, &err) == 0) {
		scan_init(&s, a.config);
		scan_skip(&s, NULL);
		MUST(scan_end(&s) && a.started_at.p);
	}
	free(copy);
}

/* Whatever lies there, the status is one JSON object, or an error. */
static void read_agents(void)
{
	struct agent a = {.catalog = &catalog, .primary = primary, .settings = AGENT_SETTINGS_DEFAULT};
	struct buf text = BUF_INIT;
	struct scan s;
	struct err err;
	if (agent_status(&a, false, &text, &err) == 0) {
		scan_init(&s, buf_span(&text));
		scan_skip(&s, NULL);
		MUST(scan_end(&s));
	}
	buf_clear(&text);
	(void)!agent_status(&a, true, &text, &err);
	buf_release(&text);
}

static void read_place(enum place p)
{
	struct catalog_index x;
	struct err err;
	switch (p) {
	case META:
		read_meta();
		break;
	case EVALSET:
		read_evalset();
		break;
	case PROMOTION:
	case SERVED:
		if (catalog_index_open(&catalog, "x", &x, &err) != 0)
			break;
		if (p == PROMOTION)
			read_promotion(&x);
		else
			read_served(&x);
		catalog_index_release(&x);
		break;
	case EMBEDDING:
		read_embedding();
		break;
	case EVENTS:
		read_event();
		read_agents();
		break;
	default:
		read_agents();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (!root)
		make_store();
	if (data[0] % (PLACES + 1) == PLACES) {
		read_said(data + 1, size - 1);
		return 0;
	}
	enum place p = (enum place)(data[0] % (PLACES + 1));
	put(p, data + 1, size - 1);
	read_place(p);
	unlink(path[p]);
	return 0;
}
