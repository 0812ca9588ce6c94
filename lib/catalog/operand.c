/* SPDX-License-Identifier: MIT */
#include "catalog/operand.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

bool operand_is_file(const char *operand)
{
	struct stat st;
	if (strchr(operand, '/') || strcmp(operand, "-") == 0)
		return true;
	return stat(operand, &st) == 0 && !S_ISDIR(st.st_mode);
}

struct catalog *operands_catalog(struct operands *o, struct err *err)
{
	if (!o->open) {
		o->catalog.warn = o->warn;
		if (catalog_open(&o->catalog, o->store_url, true, err) != 0)
			return NULL;
		o->open = true;
	}
	return &o->catalog;
}

void operands_release(struct operands *o)
{
	if (o->open)
		catalog_close(&o->catalog);
	o->open = false;
}

/* For a name that may as well have been meant as a file. */
static struct catalog *catalog_for(struct operands *o, const char *kind, const char *name,
				   struct err *err)
{
	if (catalog_check_name(kind, name, err) != 0)
		return NULL;
	struct catalog *c = operands_catalog(o, err);
	if (!c)
		err_prefix(err, "'%s' is no file, and as a name", name);
	return c;
}

/* Add the files of a named dataset to ${paths}. */
static int dataset_files(struct operands *o, const char *name, struct store_names *paths,
			 struct index_meta *meta, struct err *err)
{
	struct catalog *c = catalog_for(o, "dataset", name, err);
	if (!c)
		return -1;
	int known = catalog_index_get(c, name, meta, err);
	if (known < 0)
		return -1;
	const char *dataset = known && meta->source && meta->source[0] ? meta->source : name;
	if (catalog_dataset_files(c, dataset, paths, err) != 0)
		return -1;
	if (paths->count)
		return 0;
	return known
		   ? err_set(err, ERR_NO, "dataset '%s' of index '%s' has no vectors in store '%s'",
			     dataset, name, o->store_url)
		   : err_set(err, ERR_NO, "'%s' is no file, and no index or dataset in store '%s'",
			     name, o->store_url);
}

int operand_vectors(struct operands *o, const char *const *operand, size_t count,
		    enum vec_format format, struct vec_set *out, struct index_meta *meta,
		    struct err *err)
{
	struct index_meta own = {0};
	*out = (struct vec_set)VEC_SET_INIT;
	if (meta)
		*meta = (struct index_meta){0};
	if (count != 1 || operand_is_file(operand[0])) {
		for (size_t i = 0; i < count; i++)
			if (count > 1 && !operand_is_file(operand[i]))
				return err_set(err, ERR_USAGE,
					       "'%s' is no file; a name in the store stands alone",
					       operand[i]);
		return vec_set_open(out, operand, count, format, err);
	}
	struct store_names paths = {0};
	int ret = dataset_files(o, operand[0], &paths, &own, err);
	if (ret == 0)
		ret =
		    vec_set_open(out, (const char *const *)paths.name, paths.count, VEC_HVEC, err);
	if (meta && ret == 0)
		*meta = own;
	else
		index_meta_release(&own);
	store_names_release(&paths);
	return ret;
}

struct hnsw *operand_index(struct operands *o, const char *operand, enum hnsw_open_mode mode,
			   struct err *err)
{
	if (operand_is_file(operand))
		return hnsw_open(operand, mode, err);
	struct catalog *c = catalog_for(o, "index", operand, err);
	struct buf path = BUF_INIT;
	struct hnsw *h = NULL;
	int found = c ? catalog_active_path(c, operand, &path, err) : -1;
	if (found > 0)
		h = hnsw_open(path.data, mode, err);
	else if (found == 0)
		err_set(err, ERR_NO,
			"'%s' is no file, and store '%s' serves no index of that name (activate "
			"makes it)",
			operand, o->store_url);
	buf_release(&path);
	return h;
}

int operand_evalset(struct operands *o, const char *operand, const char *index, struct evalset *out,
		    struct err *err)
{
	*out = (struct evalset){0};
	if (operand_is_file(operand)) {
		struct buf text = BUF_INIT;
		int ret = strcmp(operand, "-") == 0
			      ? io_read_fd(0, "stdin", STORE_BLOB_MAX, &text, err)
			      : io_read_file(operand, STORE_BLOB_MAX, &text, err);
		if (ret == 0 && evalset_parse(out, buf_span(&text), err) != 0)
			ret = err_prefix(err, "eval set '%s'", operand);
		buf_release(&text);
		return ret;
	}
	struct catalog *c = catalog_for(o, "eval set", operand, err);
	int found = c ? catalog_evalset_get(c, operand, index, out, err) : -1;
	if (found == 0)
		return err_set(err, ERR_NO, "'%s' is no file, and no eval set in store '%s'",
			       operand, o->store_url);
	return found < 0 ? -1 : 0;
}

bool operand_is_records(const char *operand)
{
	char c = 0;
	if (strcmp(operand, "-") == 0)
		return true;
	int fd = operand_is_file(operand) ? open(operand, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return false;
	bool records = read(fd, &c, 1) == 1 && c == '{';
	close(fd);
	return records;
}
