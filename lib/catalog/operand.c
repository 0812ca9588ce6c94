/* SPDX-License-Identifier: MIT */
#include "catalog/operand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

int operand_is_file(const char *operand, struct err *err)
{
	struct stat st;
	if (strchr(operand, '/') || strcmp(operand, "-") == 0)
		return 1;
	if (stat(operand, &st) == 0)
		return !S_ISDIR(st.st_mode);
	return io_missing() || errno == ENAMETOOLONG
		   ? 0
		   : err_sys(err, "cannot look for a file '%s'", operand);
}

/* Every one of several operands, or the only one, is a file: 1; 0: the only one is a name; -1. */
static int all_files(const char *const *operand, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		int file = operand_is_file(operand[i], err);
		if (file < 0 || (file == 0 && count == 1))
			return file;
		if (file == 0)
			return err_set(err, ERR_USAGE,
				       "'%s' is no file; a name in the store stands alone",
				       operand[i]);
	}
	return 1;
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

/* Open the dataset of that name, or of the index of that name. */
static int open_dataset(struct operands *o, const char *name, struct vec_set *out,
			struct index_meta *meta, struct err *err)
{
	struct catalog *c = catalog_for(o, "dataset", name, err);
	int known = c ? catalog_index_get(c, name, meta, err) : -1;
	if (known < 0)
		return -1;
	const char *dataset = known && meta->source && meta->source[0] ? meta->source : name;
	int found = catalog_dataset_open(c, dataset, known ? meta->bucket : NULL, out, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	return known
		   ? err_set(err, ERR_NO, "dataset '%s' of index '%s' has no vectors in store '%s'",
			     dataset, name, o->store_url)
		   : err_set(err, ERR_NO, "'%s' is no file, and no index or dataset in store '%s'",
			     name, o->store_url);
}

int operand_embedding(struct operands *o, const char *name, struct embedding *out, struct err *err)
{
	struct index_meta meta = {0};
	*out = (struct embedding){0};
	struct catalog *c = catalog_for(o, "dataset", name, err);
	int known = c ? catalog_index_get(c, name, &meta, err) : -1;
	const char *dataset = known > 0 && meta.source && meta.source[0] ? meta.source : name;
	int found = known < 0 ? -1 : catalog_embedding_get(c, dataset, meta.bucket, out, err);
	index_meta_release(&meta);
	return found;
}

int operand_vectors(struct operands *o, const char *const *operand, size_t count,
		    const struct vec_input *how, struct vec_set *out, struct index_meta *meta,
		    struct err *err)
{
	struct index_meta own = {0};
	*out = (struct vec_set)VEC_SET_INIT;
	if (meta)
		*meta = (struct index_meta){0};
	int files = all_files(operand, count, err);
	if (files != 0)
		return files < 0 ? -1 : vec_set_open(out, operand, count, how, err);
	if (how->column || how->id_column)
		return err_set(err, ERR_USAGE, "'%s' is no file, which columns are named of",
			       operand[0]);
	int ret = open_dataset(o, operand[0], out, &own, err);
	if (meta && ret == 0)
		*meta = own;
	else
		index_meta_release(&own);
	return ret;
}

/*
 * Open the served generation.  One that vanished after the pointer was read has been replaced,
 * and the pointer tells another one by now; if it does not, the failure is real.  1; 0: nothing
 * is served; -1.
 */
static int open_served(struct catalog *c, const char *index, enum hnsw_open_mode mode,
		       struct hnsw **out, struct err *err)
{
	char *failed = NULL, *generation;
	int found;
	struct catalog_index x;
	while ((found = catalog_index_open(c, index, &x, err)) == 0 &&
	       (found = catalog_active_get(&x, &generation, err)) > 0) {
		struct buf path = BUF_INIT;
		struct err why = {0};
		if (catalog_active_path(&x, generation, &path, &why) == 0)
			*out = hnsw_open(path.data, mode, &why);
		buf_release(&path);
		catalog_index_release(&x);
		if (!*out && failed && strcmp(failed, generation) == 0) {
			*err = why;
			found = -1;
		}
		free(failed);
		failed = generation;
		if (*out || found < 0)
			break;
	}
	catalog_index_release(&x);
	free(failed);
	return found;
}

struct hnsw *operand_index(struct operands *o, const char *operand, enum hnsw_open_mode mode,
			   struct err *err)
{
	int file = operand_is_file(operand, err);
	if (file != 0)
		return file < 0 ? NULL : hnsw_open(operand, mode, err);
	struct catalog *c = catalog_for(o, "index", operand, err);
	struct hnsw *h = NULL;
	int found = c ? open_served(c, operand, mode, &h, err) : -1;
	if (found == 0)
		err_set(err, ERR_NO,
			"'%s' is no file, and store '%s' serves no index of that name (activate "
			"makes it)",
			operand, o->store_url);
	return h;
}

int operand_evalset(struct operands *o, const char *operand, const char *index, struct evalset *out,
		    struct err *err)
{
	*out = (struct evalset){0};
	int file = operand_is_file(operand, err);
	if (file < 0)
		return -1;
	if (file) {
		struct buf text = BUF_INIT;
		int ret = strcmp(operand, "-") == 0
			      ? io_read_fd(0, "stdin", STORE_BLOB_MAX, &text, err)
			      : io_read_file(operand, STORE_BLOB_MAX, &text, err);
		if (ret == 0 && evalset_parse(out, buf_span(&text), err) != 0)
			ret = err_prefix(err, "eval set '%s'", operand);
		if (ret == 0)
			ret = catalog_evalset_check(operand, out, err);
		buf_release(&text);
		return ret;
	}
	struct catalog *c = catalog_for(o, "eval set", operand, err);
	struct catalog_index x = {0};
	int found = !c || (index && index[0] && catalog_index_open(c, index, &x, err) != 0)
			? -1
			: catalog_evalset_get(c, operand, x.bucket ? &x : NULL, out, err);
	catalog_index_release(&x);
	if (found == 0)
		return err_set(err, ERR_NO, "'%s' is no file, and no eval set in store '%s'",
			       operand, o->store_url);
	return found < 0 ? -1 : 0;
}

bool operand_is_records(const char *operand)
{
	struct stat st;
	struct err ignored;
	char c = 0;
	size_t got;
	if (strcmp(operand, "-") == 0)
		return true;
	if (operand_is_file(operand, &ignored) <= 0 || stat(operand, &st) != 0 || S_ISDIR(st.st_mode))
		return false;
	if (!S_ISREG(st.st_mode))
		return true;
	int fd = io_open(operand, &ignored);
	if (fd < 0)
		return false;
	bool records = io_read_at(fd, operand, &c, 1, 0, &got, &ignored) == 0 && c == '{';
	close(fd);
	return records;
}
