/* SPDX-License-Identifier: MIT */
#ifndef RECORD_CONFIG_H
#define RECORD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scan.h"
#include "hnsw/hnsw.h"
#include "json/write.h"

/* An HnswConfig: what is tuned. */
struct config {
	uint32_t ef_construction, ef_search, m;
	uint64_t seed;
	enum hnsw_storage storage; /* HNSW_AUTO: a record that does not say */
	uint32_t rung; /* only so many rows, those of vec_set_sample(); 0: all */
};

#define CONFIG_DEFAULT                                                                           \
	{                                                                                        \
		.ef_construction = 80, .ef_search = 30, .m = 16, .seed = 42, .storage = HNSW_AUTO \
	}
#define CONFIG_M_UNSAID 32 /* m of a record that does not say: the original's constant */
#define CONFIG_SEED_MAX ((uint64_t)1 << 53)

/* Bounds of whatever is proposed or tried unattended, unless a space says otherwise. */
#define CONFIG_EF_CONSTRUCTION_MIN 10
#define CONFIG_EF_CONSTRUCTION_MAX 400
#define CONFIG_EF_SEARCH_MIN 10
#define CONFIG_EF_SEARCH_MAX 200
#define CONFIG_M_MIN 4
#define CONFIG_M_MAX 96

/* Read an object at the scanner's point; failures are the scanner's. */
bool config_scan(struct scan *s, struct config *c);

/* Read one line. */
int config_parse(struct span text, struct config *c, struct err *err) MUST_CHECK;

/* {"ef_construction":80,"ef_search":30,"seed":42,"m":16}, and "storage" and "rung" where they
 * are not the default. */
void config_write(struct json_out *j, const struct config *c);

/* 0, or ERR_DATA "proposed ef_construction=5 out of bounds 10..400". */
int config_check_bounds(const struct config *c, struct err *err) MUST_CHECK;

bool config_same(const struct config *a, const struct config *b);

/* The same but for ef_search: one build serves both. */
bool config_same_build(const struct config *a, const struct config *b);

/* A list of configs, as a file of JSON lines has it. */
struct config_list {
	struct config *v;
	size_t n;
};

/* Add those of a file of at most 64 MiB, empty lines skipped; on failure it is to be released, too. */
int config_list_read(struct config_list *l, const char *file, struct err *err) MUST_CHECK;
bool config_list_has(const struct config_list *l, const struct config *c);
void config_list_release(struct config_list *l);

#endif
