/* SPDX-License-Identifier: MIT */
/* Index files: opened, searched, checked, exported. */
#include "hnsw/interchange.h"
#include "tests/fuzz/fuzz.h"

static void search(const struct hnsw *h, const struct dist_kernels *k, uint32_t dim)
{
	struct hnsw_scratch s;
	struct hnsw_hit hits[8];
	struct err err;
	float *q = calloc(dim, sizeof *q);
	MUST(q && hnsw_scratch_init(&s, h, k, &err) == 0);
	q[0] = 1;
	MUST(hnsw_search(h, q, 1, 1, &s, hits, &err) <= 1);
	MUST(hnsw_search(h, q, 8, 0, &s, hits, &err) <= 8);
	MUST(hnsw_search(h, q, 8, 100, &s, hits, &err) <= 8);
	MUST(hnsw_search_exact(h, q, 8, &s, hits, &err) <= 8);
	hnsw_scratch_release(&s);
	free(q);
}

static void look(const struct hnsw *h, const struct dist_kernels *k)
{
	char tmp[VEC_ID_TEXT_MAX];
	struct hnsw_info info;
	struct vec_set set;
	struct err err;
	hnsw_info(h, true, &info);
	/* A beam as wide as a liar says takes memory and time, no more. */
	if (info.params.ef_search < 10000)
		search(h, k, info.dim);
	for (uint32_t i = 0; i < info.rows && i < 100; i++)
		hnsw_id(h, i, tmp);
	if (hnsw_check(h, &err) != 0)
		return;
	for (int f = HNSW_HNSWLIB; f < HNSW_FORMATS; f++)
		(void)!hnsw_export(h, (enum hnsw_format)f, f & 1, "/dev/null", &err);
	MUST(hnsw_vectors(h, "x", &set, &err) == 0);
	vec_set_release(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err;
	const struct dist_kernels *k = dist_choose("portable", &err);
	uint8_t *copy = malloc(size + 1);
	MUST(copy && k);
	if (size)
		memcpy(copy, data, size);
	fuzz_mend_chunks(copy, size);
	const char *path = fuzz_file(copy, size);
	for (int mode = HNSW_MAP; mode <= HNSW_DISK; mode++) {
		struct hnsw *h = hnsw_open(path, (enum hnsw_open_mode)mode, &err);
		if (h)
			look(h, k);
		hnsw_free(h);
	}
	free(copy);
	return 0;
}
