/* SPDX-License-Identifier: MIT */
/* Answers of embedding servers, and the cache of vectors. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "embed/answer.h"
#include "embed/cache.h"
#include "tests/unit/tap.h"

static struct err err;

static const char ollama[] =
    "{\"model\":\"m\",\"embeddings\":[[1,2.5,-3e-1],[4,5,6]],\"total_duration\":12}";
static const char openai[] =
    "{\"object\":\"list\",\"data\":[{\"index\":1,\"embedding\":[4,5,6]},"
    "{\"embedding\":[1,2.5,-3e-1],\"object\":\"embedding\",\"index\":0}],\"usage\":{\"n\":[1]}}";
/* 1, 2.5, -0.3 and 4, 5, 6 */
static const char base64[] = "{\"data\":[{\"index\":0,\"embedding\":\"AACAPwAAIECamZm+\"},"
			     "{\"index\":1,\"embedding\":\"AACAQAAAoEAAAMBA\"}]}";

static int parse(struct answer *a, enum answer_form form, struct span text, size_t n, uint32_t dim)
{
	return answer_parse(a, form, text, n, dim, &err);
}

static void test_good(struct answer *a, enum answer_form form, const char *text, const char *what)
{
	static const float want[6] = {1, 2.5f, -0.3f, 4, 5, 6};
	ok(parse(a, form, span_of(text), 2, 0) == 0 && a->dim == 3 &&
	       memcmp(a->v, want, sizeof want) == 0,
	   "%s: vectors in their places", what);
	ok(parse(a, form, span_of(text), 2, 3) == 0, "%s: of the dimension expected", what);
	ok(parse(a, form, span_of(text), 2, 4) != 0 && err.code == ERR_DATA,
	   "%s: of another dimension", what);
	ok(parse(a, form, span_of(text), 3, 0) != 0, "%s: too few", what);
	ok(parse(a, form, span_of(text), 1, 0) != 0, "%s: too many", what);
}

/* Whatever is cut off or changed: a failure or an answer, never more (the sanitizers tell). */
static void test_damage(struct answer *a, enum answer_form form, const char *text, const char *what)
{
	size_t n = strlen(text), taken = 0;
	struct rng rng = {1};
	for (size_t cut = 0; cut < n; cut++) {
		/* A block of its own, so that reading beyond is seen. */
		char *copy = malloc(cut + 1);
		memcpy(copy, text, cut);
		copy[cut] = 0;
		taken += parse(a, form, (struct span){copy, cut}, 2, 0) == 0;
		free(copy);
	}
	ok(taken == 0, "%s: no part of it is an answer", what);
	bool refused = false;
	for (int i = 0; i < 20000; i++) {
		char *copy = span_dup(span_of(text));
		for (int k = 0; k < 2; k++)
			copy[rng_below(&rng, n)] = "\"[]{},:0919eE-+.=/Az\\ "[rng_below(&rng, 23)];
		refused |= parse(a, form, span_of(copy), 2, i % 4 ? 0 : 3) != 0;
		free(copy);
	}
	ok(refused, "%s: changed bytes", what);
}

static void test_padding(struct answer *a)
{
	static const char *const bad[] = {"AACAPwAAIECamZm",
					  "AACAPwAAIECamZ==",
					  "AACA=wAAIECamZm+",
					  "=ACAPwAAIECamZm+",
					  "",
					  "====",
					  "AACAPwAAIECamZm+AACAPwAAIECamZm+AA=="};
	static const char *const good[] = {"AACAPw==", "AACAPwAAIEA=", "AACAPwAAIECamZm+"};
	struct buf b = BUF_INIT;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		buf_clear(&b);
		buf_addf(&b, "{\"data\":[{\"index\":0,\"embedding\":\"%s\"}]}", bad[i]);
		ok(parse(a, ANSWER_OPENAI, buf_span(&b), 1, 0) != 0, "no base64 of floats: '%s'",
		   bad[i]);
	}
	for (uint32_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		buf_clear(&b);
		buf_addf(&b, "{\"data\":[{\"index\":0,\"embedding\":\"%s\"}]}", good[i]);
		ok(parse(a, ANSWER_OPENAI, buf_span(&b), 1, 0) == 0 && a->dim == i + 1 &&
		       a->v[0] == 1,
		   "base64 with %u bytes of padding", 2 - i);
	}
	buf_release(&b);
}

/* ---- the cache ---- */

#define ROWS 1200
#define DIM 5

static struct digest key_of(uint32_t i)
{
	return digest_of(&i, sizeof i);
}

static void vector_of(uint32_t i, float v[DIM])
{
	for (uint32_t d = 0; d < DIM; d++)
		v[d] = (float)(i * 7 + d);
}

static struct embed_cache *open_cache(struct store *s, bool keep)
{
	static const struct warn_to nobody = {0};
	return embed_cache_open(s, span_of("{}"), keep, &nobody, &err);
}

static size_t count_found(struct store *s, uint32_t dim)
{
	struct embed_cache *c = open_cache(s, false);
	size_t found = 0;
	float want[DIM];
	for (uint32_t i = 0; i < ROWS; i++) {
		uint32_t d = dim;
		const float *v = embed_cache_find(c, key_of(i), &d);
		vector_of(i, want);
		found += v && d == DIM && memcmp(v, want, sizeof want) == 0;
	}
	embed_cache_close(c);
	return found;
}

/* Segments of all sizes, written by two at once that add some of the same. */
static void test_cache(const char *dir)
{
	struct store *s = store_open(dir, &err);
	uint32_t at = 0;
	float v[DIM];
	for (uint32_t size = 1; at < ROWS; size = size % 61 + 1) {
		struct embed_cache *one = open_cache(s, true), *two = open_cache(s, true);
		for (uint32_t i = 0; i < size && at < ROWS; i++, at++) {
			vector_of(at, v);
			embed_cache_add(one, key_of(at), v, DIM);
			if (at % 3 == 0)
				embed_cache_add(two, key_of(at), v, DIM);
		}
		embed_cache_close(one);
		embed_cache_close(two);
	}
	ok(count_found(s, 0) == ROWS, "every vector is found");
	ok(count_found(s, DIM) == ROWS, "by its dimension too");
	ok(count_found(s, DIM + 1) == 0, "and not by another");
	struct store_names dirs, names;
	size_t segments = 0;
	if (store_list(s, "_hnsw_embeddings", true, &dirs, &err) == 0 && dirs.count == 1) {
		char prefix[128];
		snprintf(prefix, sizeof prefix, "_hnsw_embeddings/%s", dirs.name[0]);
		if (store_list(s, prefix, false, &names, &err) == 0)
			segments = names.count;
		store_names_release(&names);
	}
	store_names_release(&dirs);
	ok(segments > 0 && segments < 5 * 8, "in few segments: %zu", segments);
	struct embed_cache *reader = open_cache(s, false);
	embed_cache_add(reader, key_of(ROWS), v, DIM);
	embed_cache_close(reader);
	uint32_t any = 0;
	reader = open_cache(s, false);
	ok(!embed_cache_find(reader, key_of(ROWS), &any), "a reader writes nothing");
	embed_cache_close(reader);
	store_close(s);
}

int main(void)
{
	char dir[256];
	struct answer a = {0};
	test_good(&a, ANSWER_OLLAMA, ollama, "Ollama");
	test_good(&a, ANSWER_OPENAI, openai, "OpenAI");
	test_good(&a, ANSWER_OPENAI, base64, "base64");
	test_damage(&a, ANSWER_OLLAMA, ollama, "Ollama");
	test_damage(&a, ANSWER_OPENAI, openai, "OpenAI");
	test_damage(&a, ANSWER_OPENAI, base64, "base64");
	test_padding(&a);
	answer_release(&a);
	if (!tap_dir(dir, sizeof dir))
		return 1;
	test_cache(dir);
	char remove[280];
	snprintf(remove, sizeof remove, "rm -rf %s", dir);
	return system(remove) != 0 || tap_end();
}
