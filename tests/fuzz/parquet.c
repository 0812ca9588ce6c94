/* SPDX-License-Identifier: MIT */
/* Parquet files. */
#include "tests/fuzz/fuzz.h"
#include "vec/set.h"

static void read_rows(const struct vec_set *s)
{
	struct err err;
	char tmp[VEC_ID_TEXT_MAX];
	float *row = malloc((s->dim + 1) * sizeof *row);
	MUST(row);
	MUST(s->rows == 0 || s->dim > 0);
	for (uint64_t i = 0; i < s->rows; i++) {
		(void)!vec_set_row(s, i, row, &err);
		MUST(vec_set_id(s, i, tmp).n <= VEC_ID_MAX);
	}
	free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err;
	struct vec_set s;
	const struct vec_input how = {.format = VEC_PARQUET};
	const char *path = fuzz_file(data, size);
	if (vec_set_open(&s, &path, 1, &how, &err) != 0)
		return 0;
	read_rows(&s);
	vec_set_release(&s);
	return 0;
}
