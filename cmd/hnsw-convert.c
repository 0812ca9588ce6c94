/* SPDX-License-Identifier: MIT */
/* hnsw-convert - convert vectors between file formats */
#include <string.h>

#include "cli/cli.h"
#include "vec/set.h"

static struct {
	int from, to, type;
	const char *output, *ids;
	bool header;
	uint64_t skip, count;
} o = {.type = -1, .count = UINT64_MAX};

static const struct cli_opt opts[] = {
    {'o', "output", "FILE", "where to write (default: stdout)", CLI_STR, &o.output, 0, 0, NULL},
    {0, "from", "NAME", "format of the input (default: by suffix; stdin: jsonl)", CLI_NAME, &o.from,
     0, 0, vec_format_names},
    {0, "to", "NAME", "format of the output (default: by suffix; stdout: jsonl)", CLI_NAME, &o.to,
     0, 0, vec_format_names},
    {0, "type", "NAME", "element type in npy and hvec (default: that of the input)", CLI_NAME,
     &o.type, 0, 0, vec_type_names},
    {0, "ids", "FILE", "take the ids of the rows from the lines of FILE", CLI_STR, &o.ids, 0, 0,
     NULL},
    {0, "header", NULL, "begin a text file with \"rows dimension\", as word2vec does", CLI_FLAG,
     &o.header, 0, 0, NULL},
    {0, "skip", "N", "leave out the first N rows", CLI_U64, &o.skip, 0, 2147483647.0, NULL},
    {'N', "count", "N", "write at most N rows", CLI_U64, &o.count, 0, 2147483647.0, NULL},
};

static struct cli cli = {
    .usage = "[options] INPUT... [-o OUTPUT]",
    .about = "Convert vectors between file formats.  Several inputs are joined; - is stdin.",
    CLI_OPTS(opts),
};

static int write_output(const struct vec_set *set, struct err *err)
{
	struct vec_write how = {.header = o.header};
	const char *path = o.output ? o.output : "-";
	struct io_file f;
	how.format = (enum vec_format)o.to;
	if (o.to == VEC_BY_SUFFIX && vec_format_of_path(path, &how.format) != 0)
		return err_set(err, ERR_USAGE,
			       "cannot tell the format of '%s' by its suffix: say --to", path);
	how.type = o.type >= 0 ? (enum vec_type)o.type : vec_set_type(set);
	if (o.skip > set->rows)
		o.skip = set->rows;
	if (o.count > set->rows - o.skip)
		o.count = set->rows - o.skip;
	if (strcmp(path, "-") == 0)
		return vec_set_write(set, &how, NULL, o.skip, o.count, 1, "standard output", err);
	if (io_file_open(&f, path, err) != 0)
		return -1;
	int ret = vec_set_write(set, &how, NULL, o.skip, o.count, f.fd, path, err);
	if (ret == 0)
		ret = io_file_commit(&f, IO_REPLACE, err);
	io_file_release(&f);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct vec_set set;
	cli_parse(&cli, argc, argv, 1, SIZE_MAX);
	int ret = vec_set_open(&set, cli.operand, cli.n_operands, (enum vec_format)o.from, &err);
	if (ret == 0 && o.ids)
		ret = vec_set_read_ids(&set, o.ids, &err);
	if (ret == 0)
		ret = write_output(&set, &err);
	vec_set_release(&set);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
