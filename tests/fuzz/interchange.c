/* SPDX-License-Identifier: MIT */
/* Indexes of other libraries: the first byte is format and metric, the rest is the file. */
#include "hnsw/interchange.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err;
	struct hnsw_import how = {.kernels = dist_choose("portable", &err)};
	if (size == 0)
		return 0;
	enum hnsw_format format = (enum hnsw_format)(HNSW_HNSWLIB + data[0] % 3);
	how.metric = data[0] / 3 % 4 - 1;
	const char *path = fuzz_file(data + 1, size - 1);
	struct hnsw *h = hnsw_import(path, format, &how, &err);
	if (!h)
		return 0;
	/* Whatever was taken in is right. */
	MUST(hnsw_check(h, &err) == 0);
	for (int f = HNSW_HNSWLIB; f < HNSW_FORMATS; f++)
		(void)!hnsw_export(h, (enum hnsw_format)f, false, "/dev/null", &err);
	hnsw_free(h);
	return 0;
}
