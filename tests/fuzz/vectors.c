/* SPDX-License-Identifier: MIT */
/* Vector files: the first byte is the format, the rest is the file. */
#include <fcntl.h>

#include "base/io.h"
#include "tests/fuzz/fuzz.h"
#include "vec/set.h"

static void read_rows(const struct vec_set *s)
{
	struct err err;
	char tmp[VEC_ID_TEXT_MAX];
	float *row = malloc((s->dim + 1) * sizeof *row);
	MUST(row);
	for (uint64_t i = 0; i < s->rows; i++) {
		(void)!vec_set_row(s, i, row, &err);
		MUST(vec_set_id(s, i, tmp).n <= VEC_ID_MAX);
	}
	free(row);
}

static void write_all(const struct vec_set *s, int fd)
{
	struct err err;
	for (int f = VEC_FVECS; f < VEC_FORMATS; f++) {
		struct vec_write how = {(enum vec_format)f, vec_set_type(s), true};
		(void)!vec_set_write(s, &how, NULL, 0, s->rows, fd, "x", &err);
	}
}

static void read_lines(const char *path)
{
	struct err err;
	const float *v;
	struct span id, line;
	struct io_lines lines;
	int fd = open(path, O_RDONLY);
	struct vec_line *l = vec_line_new(&err);
	MUST(l && io_lines_init(&lines, fd, "x", VEC_LINE_MAX_BYTES, &err) == 0);
	while (io_lines_next(&lines, &line, &err) == 1)
		if (!vec_line_blank(line))
			(void)!vec_line_read(l, line, 2, &v, &id, &err);
	io_lines_release(&lines);
	vec_line_free(l);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int null = -1;
	struct err err;
	struct vec_set s;
	if (null < 0)
		null = open("/dev/null", O_WRONLY);
	if (size == 0)
		return 0;
	enum vec_format format = (enum vec_format)(VEC_FVECS + data[0] % (VEC_FORMATS - 1));
	uint8_t *copy = malloc(size);
	MUST(copy);
	memcpy(copy, data + 1, size - 1);
	if (format == VEC_HVEC)
		fuzz_mend_chunks(copy, size - 1);
	const char *path = fuzz_file(copy, size - 1);
	free(copy);
	if (vec_set_open(&s, &path, 1, format, &err) == 0) {
		read_rows(&s);
		write_all(&s, null);
		vec_set_release(&s);
	}
	if (format == VEC_JSONL)
		read_lines(path);
	return 0;
}
