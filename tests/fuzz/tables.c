/* SPDX-License-Identifier: MIT */
/*
 * Tables, tensors and arrays: the first byte is the format and, by its high bit, whether columns
 * are named; the rest is the file.  Two more formats are what gzip and zstd packed.
 */
#include <fcntl.h>

#include "pack/pack.h"
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

static void unpack(enum pack_codec codec, const char *path)
{
	struct err err;
	char out[4096];
	size_t got = 1;
	int fd = open(path, O_RDONLY);
	struct pack_stream *s = pack_stream_new(codec, fd, "x", &err);
	MUST(s);
	while (got && pack_stream_read(s, out, sizeof out, &got, &err) == 0)
		MUST(got <= sizeof out);
	pack_stream_free(s);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err;
	struct vec_set s;
	struct vec_input how = {0};
	if (size == 0)
		return 0;
	how.format = VEC_SAFETENSORS + (data[0] & 127) % (VEC_FORMATS + 2 - VEC_SAFETENSORS);
	if (data[0] & 128) {
		how.column = "a";
		how.id_column = how.format >= VEC_PGVECTOR ? "b" : NULL;
	}
	const char *path = fuzz_file(data + 1, size - 1);
	if (how.format >= VEC_FORMATS) {
		unpack(how.format == VEC_FORMATS ? PACK_GZIP : PACK_ZSTD, path);
		return 0;
	}
	if (vec_set_open(&s, &path, 1, &how, &err) != 0)
		return 0;
	read_rows(&s);
	vec_set_release(&s);
	return 0;
}
