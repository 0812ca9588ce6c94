/* SPDX-License-Identifier: MIT */
/* hnsw-convert - convert vectors and indexes between file formats */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "hnsw/interchange.h"
#include "vec/set.h"

enum { FORMAT_INDEX = VEC_FORMATS }; /* --from and --to: index formats come after these */

/* "row" or "id": what the elements of another library's index are called. */
static const char *const label_names[] = {"id", "row", NULL};
static const char *format_names[VEC_FORMATS + HNSW_FORMATS + 1];

static struct {
	struct vec_input in;
	int to, type, metric, labels;
	const char *output, *ids;
	bool header;
	uint64_t skip, count, sample, seed;
} o = {.type = -1, .metric = -1, .count = UINT64_MAX, .seed = UINT64_MAX};

static const struct cli_opt opts[] = {
    {'o', "output", "FILE", "where to write (default: stdout; an index needs a file)", CLI_STR,
     &o.output, 0, 0, NULL},
    {0, "from", "NAME", "format of the input (default: by suffix; stdin: jsonl)", CLI_NAME,
     &o.in.format, 0, 0, format_names},
    CLI_OPTS_COLUMNS(o.in),
    {0, "to", "NAME", "format of the output (default: by suffix; stdout: jsonl)", CLI_NAME, &o.to,
     0, 0, format_names},
    {0, "type", "NAME", "element type in npy and hvec (default: that of the input)", CLI_NAME,
     &o.type, 0, 0, vec_type_names},
    {0, "metric", "NAME", "metric of an index that does not tell it, as hnswlib's", CLI_NAME,
     &o.metric, 0, 0, vec_metric_names},
    {0, "ids", "FILE", "take the ids of the rows from the lines of FILE", CLI_STR, &o.ids, 0, 0,
     NULL},
    {0, "labels", "NAME", "what to write as labels or keys of an index: id (default) or row",
     CLI_NAME, &o.labels, 0, 0, label_names},
    {0, "header", NULL, "begin a text file with \"rows dimension\", as word2vec does", CLI_FLAG,
     &o.header, 0, 0, NULL},
    {0, "skip", "N", "leave out the first N rows", CLI_U64, &o.skip, 0, 2147483647.0, NULL},
    {'N', "count", "N", "write at most N rows", CLI_U64, &o.count, 0, 2147483647.0, NULL},
    {0, "sample", "N", "write the N rows that hnsw-build inserts first, in order of row", CLI_U64,
     &o.sample, 1, 2147483647.0, NULL},
    CLI_OPT_SEED(&o.seed),
};

static struct cli cli = {
    .usage = "[options] INPUT... [-o OUTPUT]\n[options] INDEX -o OUTPUT",
    .about = "Convert vectors between file formats, and indexes between this package, hnswlib,\n"
	     "Faiss and usearch.  Several inputs of vectors are joined; - is stdin.",
    CLI_OPTS(opts),
};

static const char *output(void)
{
	return o.output ? o.output : "-";
}

static int write_vectors(const struct vec_set *set, struct err *err)
{
	struct vec_write how = {.header = o.header};
	const char *path = output();
	struct io_file f;
	how.format = (enum vec_format)o.to;
	if (o.to == VEC_BY_SUFFIX && vec_format_of_path(path, &how.format) != 0)
		return err_set(err, ERR_USAGE,
			       "cannot tell the format of '%s' by its suffix: say --to", path);
	if (o.sample && !vec_format_keeps_ids(how.format))
		return err_set(err, ERR_USAGE,
			       "a sample has the ids of its rows, which format %s does not keep: "
			       "write jsonl, text-words or hvec",
			       vec_format_names[how.format]);
	if (!vec_format_is_written(how.format))
		return err_set(err, ERR_USAGE, "format %s is only read, not written",
			       vec_format_names[how.format]);
	how.type = o.type >= 0 ? (enum vec_type)o.type : vec_set_type(set);
	if (o.skip > set->rows)
		o.skip = set->rows;
	if (o.count > set->rows - o.skip)
		o.count = set->rows - o.skip;
	if (strcmp(path, "-") == 0)
		return vec_set_write(set, &how, NULL, o.skip, o.count, 1, "standard output", err) ==
			       0
			   ? vec_set_unchanged(set, 0, NULL, err)
			   : -1;
	if (io_file_open(&f, path, err) != 0)
		return -1;
	int ret = vec_set_write(set, &how, NULL, o.skip, o.count, f.fd, path, err);
	if (ret == 0)
		ret = vec_set_unchanged(set, 0, NULL, err);
	if (ret == 0)
		ret = io_file_commit(&f, IO_REPLACE, err);
	io_file_release(&f);
	return ret;
}

/* The rows that were asked for: all, or a sample. */
static int write_rows(const struct vec_set *set, struct err *err)
{
	struct vec_set sample;
	uint64_t seed = o.seed != UINT64_MAX ? o.seed : 42;
	if (!o.sample)
		return write_vectors(set, err);
	if (vec_set_sample(set, seed, o.sample, NULL, &sample, err) != 0)
		return -1;
	int ret = write_vectors(&sample, err);
	vec_set_release(&sample);
	return ret;
}

static int convert_vectors(struct err *err)
{
	struct vec_set set;
	int ret = vec_set_open(&set, cli.operand, cli.n_operands, &o.in, err);
	if (ret == 0)
		ret = vec_set_check_output(&set, output(), err);
	if (ret == 0 && o.ids)
		ret = vec_set_read_ids(&set, o.ids, err);
	if (ret == 0)
		ret = write_rows(&set, err);
	vec_set_release(&set);
	return ret;
}

static bool is_cosine(const struct hnsw *h)
{
	struct hnsw_info info;
	hnsw_info(h, false, &info);
	return info.params.metric == VEC_COSINE;
}

static int convert_index(enum hnsw_format from, struct err *err)
{
	struct hnsw_import how = {.metric = o.metric, .ids = o.ids};
	struct vec_set set = VEC_SET_INIT;
	how.kernels = dist_choose(getenv("HNSW_KERNEL"), err);
	struct hnsw *h = how.kernels ? hnsw_import(cli.operand[0], from, &how, err) : NULL;
	int ret = h ? io_check_output(output(), cli.operand[0], err) : -1;
	if (ret != 0)
		goto out;
	if (o.to >= FORMAT_INDEX) {
		enum hnsw_format to = (enum hnsw_format)(o.to - FORMAT_INDEX);
		ret = hnsw_export(h, to, o.labels == 1, o.output, err);
		if (ret == 0 && to != HNSW_OURS && is_cosine(h))
			cli_note(&cli,
				 "cosine is written as inner product of unit vectors: search it "
				 "with queries of unit length, and read it back with --metric "
				 "cosine");
	} else {
		ret = hnsw_vectors(h, cli.operand[0], &set, err);
		if (ret == 0)
			ret = write_rows(&set, err);
		vec_set_release(&set);
	}
out:
	hnsw_free(h);
	return ret;
}

/* Index formats go by suffix as well, unless the option says it. */
static void add_suffix(int *format, const char *path)
{
	enum hnsw_format f;
	if (*format == VEC_BY_SUFFIX && path && hnsw_format_of_path(path, &f) == 0)
		*format = FORMAT_INDEX + (int)f;
}

static void check_options(void)
{
	bool from = o.in.format >= FORMAT_INDEX, to = o.to >= FORMAT_INDEX;
	if (to && !from)
		cli_usage(&cli, "vectors do not become an index here: use hnsw-build");
	if (from && (cli.n_operands != 1 || strcmp(cli.operand[0], "-") == 0))
		cli_usage(&cli, "an index is read from one file");
	if (to && (!o.output || strcmp(o.output, "-") == 0))
		cli_usage(&cli, "an index cannot be written to standard output: say -o FILE");
	if (to && (o.skip || o.count != UINT64_MAX || o.sample || o.type >= 0 || o.header))
		cli_usage(&cli, "--skip, --count, --sample, --type and --header are for vectors");
	if (from && (o.in.column || o.in.id_column))
		cli_usage(&cli, "--column and --id-column are for files of vectors");
	if (o.seed != UINT64_MAX && !o.sample)
		cli_usage(&cli, "--seed is that of a --sample");
	if (!to && o.labels)
		cli_usage(&cli, "--labels is for writing an index");
	if (o.metric >= 0 && (!from || o.in.format == FORMAT_INDEX + HNSW_OURS))
		cli_usage(&cli, "--metric is for reading an index of another library");
	if (o.ids && o.in.format == FORMAT_INDEX + HNSW_OURS)
		cli_usage(&cli, "the index has its ids: --ids cannot change them");
}

int main(int argc, char **argv)
{
	struct err err = {0};
	memcpy(format_names, vec_format_names, VEC_FORMATS * sizeof *format_names);
	memcpy(format_names + FORMAT_INDEX, hnsw_format_names, HNSW_FORMATS * sizeof *format_names);
	cli_parse(&cli, argc, argv, 1, SIZE_MAX);
	add_suffix(&o.in.format, cli.operand[0]);
	add_suffix(&o.to, o.output);
	check_options();
	int ret = io_check_output(output(), o.ids, &err);
	if (ret == 0)
		ret = o.in.format >= FORMAT_INDEX
			  ? convert_index((enum hnsw_format)(o.in.format - FORMAT_INDEX), &err)
			  : convert_vectors(&err);
	return cli_finish(&cli, ret == 0 ? 0 : cli_error(&cli, &err));
}
