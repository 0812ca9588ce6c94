/* SPDX-License-Identifier: MIT */
#include "vec/set.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "vec/format_internal.h"

#define STDIN_NAME "stdin" /* name of the part that was read there */
#define STDIN_MAX ((size_t)1 << 40)

const char *const vec_format_names[] = {
    "auto", "fvecs", "bvecs",	   "ivecs", "fbin", "u8bin", "i8bin",
    "npy",  "text",  "text-words", "jsonl", "hvec", NULL,
};

/* With their dots, blanks between. */
static const char *const suffixes[VEC_FORMATS] = {
    [VEC_BY_SUFFIX] = "",
    [VEC_FVECS] = ".fvecs",
    [VEC_BVECS] = ".bvecs",
    [VEC_IVECS] = ".ivecs",
    [VEC_FBIN] = ".fbin",
    [VEC_U8BIN] = ".u8bin",
    [VEC_I8BIN] = ".i8bin",
    [VEC_NPY] = ".npy",
    [VEC_TEXT] = ".txt .vec .text",
    [VEC_TEXT_WORDS] = "",
    [VEC_JSONL] = ".jsonl .json .ndjson",
    [VEC_HVEC] = ".hvec",
};

_Static_assert(sizeof vec_format_names / sizeof vec_format_names[0] == VEC_FORMATS + 1,
	       "every format has a name");

int vec_format_of_path(const char *path, enum vec_format *out)
{
	if (strcmp(path, "-") == 0) {
		*out = VEC_JSONL;
		return 0;
	}
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
	if (!dot)
		return -1;
	for (int i = VEC_BY_SUFFIX + 1; i < VEC_FORMATS; i++) {
		const char *p = suffixes[i];
		while (*p) {
			size_t n = strcspn(p, " ");
			if (strlen(dot) == n && strncmp(dot, p, n) == 0) {
				*out = (enum vec_format)i;
				return 0;
			}
			p += n + (p[n] == ' ');
		}
	}
	return -1;
}

bool vec_format_keeps_ids(enum vec_format format)
{
	return format == VEC_JSONL || format == VEC_HVEC || format == VEC_TEXT ||
	       format == VEC_TEXT_WORDS;
}

static int read_binary(struct vec_found *f, enum vec_format format, struct span data,
		       const char *name, struct err *err)
{
	switch (format) {
	case VEC_FVECS:
		return vec_read_xvecs(f, VEC_F32, data, name, err);
	case VEC_BVECS:
		return vec_read_xvecs(f, VEC_U8, data, name, err);
	case VEC_IVECS:
		return vec_read_xvecs(f, VEC_I32, data, name, err);
	case VEC_FBIN:
		return vec_read_bin(f, VEC_F32, data, name, err);
	case VEC_U8BIN:
		return vec_read_bin(f, VEC_U8, data, name, err);
	case VEC_I8BIN:
		return vec_read_bin(f, VEC_I8, data, name, err);
	case VEC_NPY:
		return vec_read_npy(f, data, name, err);
	default:
		return vec_read_hvec(f, data, name, err);
	}
}

static void found_release(struct vec_found *f)
{
	free(f->owned);
	free(f->id_end);
	buf_release(&f->id_text);
}

/* Whose rows a function makes. */
struct maker {
	vec_rows_fn *read; /* NULL: the files are vectors */
	void *ctx;
};

static int make_rows(const struct maker *m, struct vec_found *f, int fd, const char *name,
		     struct err *err)
{
	struct vec_rows rows = {0};
	int ret = m->read(m->ctx, fd, name, &rows, err);
	if (ret == 0)
		vec_rows_found(&rows, f);
	vec_rows_release(&rows);
	return ret;
}

/* Read one file into ${p} and ${f}. */
static int read_part(struct vec_part *p, struct vec_found *f, int fd, enum vec_format format,
		     const struct maker *m, struct err *err)
{
	if (m->read)
		return make_rows(m, f, fd, p->name, err);
	if (format == VEC_JSONL)
		return vec_read_jsonl(f, fd, p->name, err);
	if (format == VEC_TEXT || format == VEC_TEXT_WORDS)
		return vec_read_text(f, format == VEC_TEXT_WORDS, fd, p->name, err);
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(err, "cannot stat '%s'", p->name);
	struct span data;
	struct buf b = BUF_INIT;
	if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0) {
		if (io_map_fd(&p->map, fd, p->name, err) != 0)
			return -1;
		data = (struct span){(const char *)p->map.data, p->map.size};
	} else {
		if (io_read_fd(fd, p->name, STDIN_MAX, &b, err) != 0) {
			buf_release(&b);
			return -1;
		}
		data = buf_span(&b);
	}
	int ret = read_binary(f, format, data, p->name, err);
	if (ret == 0 && b.data && !f->owned)
		f->owned = b.data;
	else
		buf_release(&b);
	return ret;
}

/* Append the ids of a file, or the numbers of its rows when only others have ids. */
static int merge_ids(struct vec_set *s, struct buf *text, const struct vec_found *f,
		     struct err *err)
{
	char tmp[VEC_ID_TEXT_MAX];
	uint64_t *end = mem_resize(s->id_end, s->rows + f->rows, sizeof *end, err);
	if (!end)
		return -1;
	s->id_end = end;
	for (uint64_t i = 0; i < f->rows; i++) {
		if (f->id_end) {
			uint64_t from = i ? f->id_end[i - 1] : 0;
			buf_add(text, f->id_text.data + from, f->id_end[i] - from);
		} else {
			snprintf(tmp, sizeof tmp, "%llu", (unsigned long long)(s->rows + i));
			buf_adds(text, tmp);
		}
		s->id_end[s->rows + i] = text->len;
	}
	return buf_ok(text, err);
}

static int add_part(struct vec_set *s, struct buf *ids, const char *path, enum vec_format format,
		    const struct maker *m, struct err *err)
{
	struct vec_part *p = &s->part[s->parts];
	struct vec_found f = {0};
	int ret = -1, fd = -1;
	bool is_stdin = strcmp(path, "-") == 0;
	*p = (struct vec_part){.name = span_dup(span_of(is_stdin ? STDIN_NAME : path))};
	s->parts++;
	if (!p->name)
		return err_nomem(err);
	fd = is_stdin ? dup(0) : io_open_input(path, err);
	if (fd < 0)
		return is_stdin ? err_sys(err, "cannot open '%s'", p->name) : -1;
	if (!m->read && format == VEC_BY_SUFFIX && vec_format_of_path(path, &format) != 0) {
		err_set(err, ERR_USAGE,
			"cannot tell the format of vectors '%s' by its suffix: name it", path);
		goto out;
	}
	if (read_part(p, &f, fd, format, m, err) != 0)
		goto out;
	p->type = f.type;
	p->data = f.data;
	p->stride = f.stride;
	p->rows = f.rows;
	p->first = s->rows;
	p->first_line = f.first_line;
	p->owned = f.owned;
	f.owned = NULL;
	if (f.rows && s->dim == 0)
		s->dim = f.dim;
	if (f.rows && f.dim != s->dim) {
		err_set(err, ERR_DATA, "'%s' has dimension %u, expected %u as in '%s'", p->name,
			f.dim, s->dim, s->part[0].name);
		goto out;
	}
	if (f.rows > VEC_MAX_ROWS - s->rows) {
		err_set(err, ERR_DATA, "more than %u rows", VEC_MAX_ROWS);
		goto out;
	}
	if (f.id_end && !s->id_end && s->rows) {
		struct vec_found before = {.rows = s->rows};
		s->rows = 0;
		if (merge_ids(s, ids, &before, err) != 0)
			goto out;
		s->rows = before.rows;
	}
	if ((f.id_end || s->id_end) && merge_ids(s, ids, &f, err) != 0)
		goto out;
	s->rows += f.rows;
	ret = 0;
out:
	if (fd >= 0)
		close(fd);
	found_release(&f);
	return ret;
}

/* Open all files; ids may be given more than once. */
static int open_parts(struct vec_set *s, const char *const *paths, size_t count,
		      enum vec_format format, const struct maker *m, struct err *err)
{
	struct buf ids = BUF_INIT;
	*s = (struct vec_set)VEC_SET_INIT;
	s->part = mem_zeroed(count, sizeof *s->part, err);
	if (!s->part)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (add_part(s, &ids, paths[i], format, m, err) != 0)
			goto fail;
	if (s->id_end) {
		/* An empty text is not NULL. */
		buf_addc(&ids, 0);
		if (buf_ok(&ids, err) != 0)
			goto fail;
		s->id_text = ids.data;
	}
	return 0;
fail:
	buf_release(&ids);
	vec_set_release(s);
	return -1;
}

static int check_opened(struct vec_set *s, struct err *err)
{
	if (vec_set_check_ids(s, err) == 0)
		return 0;
	vec_set_release(s);
	return -1;
}

int vec_set_open(struct vec_set *s, const char *const *paths, size_t count, enum vec_format format,
		 struct err *err)
{
	struct maker none = {0};
	return open_parts(s, paths, count, format, &none, err) == 0 ? check_opened(s, err) : -1;
}

int vec_set_read(struct vec_set *s, const char *const *paths, size_t count, vec_rows_fn *read,
		 void *ctx, struct err *err)
{
	struct maker m = {read, ctx};
	return open_parts(s, paths, count, VEC_BY_SUFFIX, &m, err) == 0 ? check_opened(s, err) : -1;
}

int vec_set_open_newest(struct vec_set *s, const char *const *paths, size_t count,
			enum vec_format format, struct err *err)
{
	struct maker none = {0};
	if (open_parts(s, paths, count, format, &none, err) != 0)
		return -1;
	if (vec_set_keep_newest(s, err) == 0)
		return 0;
	vec_set_release(s);
	return -1;
}

void vec_set_release(struct vec_set *s)
{
	for (size_t i = 0; i < s->parts; i++) {
		if (s->part[i].borrowed)
			continue;
		io_map_close(&s->part[i].map);
		free(s->part[i].owned);
		free(s->part[i].name);
	}
	free(s->part);
	free(s->id_text);
	free(s->id_end);
	*s = (struct vec_set)VEC_SET_INIT;
}

int vec_set_check_output(const struct vec_set *s, const char *output, struct err *err)
{
	for (size_t i = 0; i < s->parts; i++) {
		const char *name = s->part[i].name;
		if (io_check_output(output, name, err) != 0 ||
		    (strcmp(name, STDIN_NAME) == 0 && io_check_output(output, "-", err) != 0))
			return -1;
	}
	return 0;
}

void vec_set_forget(const struct vec_set *s)
{
	for (size_t i = 0; i < s->parts; i++)
		io_map_forget(&s->part[i].map);
}

static const struct vec_part *part_of(const struct vec_set *s, uint64_t row)
{
	size_t lo = 0, hi = s->parts;
	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;
		if (s->part[mid].first <= row)
			lo = mid;
		else
			hi = mid;
	}
	return &s->part[lo];
}

int vec_set_fail(const struct vec_set *s, uint64_t row, struct err *err, const char *fmt, ...)
{
	const struct vec_part *p = part_of(s, row);
	va_list ap;
	char why[256];
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(err, ERR_DATA, "'%s' %s %llu: %s", p->name,
		       p->first_line ? "line" : "row",
		       (unsigned long long)(row - p->first + p->skipped + p->first_line), why);
}

void vec_set_values(const struct vec_set *s, uint64_t row, float *out)
{
	const struct vec_part *p = part_of(s, row);
	vec_to_f32(p->type, p->data + (row - p->first) * p->stride, out, s->dim);
}

int vec_set_row(const struct vec_set *s, uint64_t row, float *out, struct err *err)
{
	vec_set_values(s, row, out);
	size_t bad = vec_first_nonfinite(out, s->dim);
	if (bad != s->dim)
		return vec_set_fail(s, row, err, "value %zu is not finite", bad);
	return 0;
}

void vec_set_row_f64(const struct vec_set *s, uint64_t row, double *out)
{
	const struct vec_part *p = part_of(s, row);
	vec_to_f64(p->type, p->data + (row - p->first) * p->stride, out, s->dim);
}

enum vec_type vec_set_type(const struct vec_set *s)
{
	enum vec_type t = s->parts ? s->part[0].type : VEC_F32;
	for (size_t i = 1; i < s->parts; i++)
		if (s->part[i].type != t)
			return VEC_F64;
	return t;
}

struct span vec_set_id(const struct vec_set *s, uint64_t row, char tmp[static VEC_ID_TEXT_MAX])
{
	if (!s->id_end) {
		int n = snprintf(tmp, VEC_ID_TEXT_MAX, "%llu", (unsigned long long)row);
		return (struct span){tmp, (size_t)n};
	}
	uint64_t from = row ? s->id_end[row - 1] : 0;
	return (struct span){s->id_text + from, s->id_end[row] - from};
}

/* ---- digest ---- */

struct digest vec_row_digest(const float *v, uint32_t dim, uint64_t row)
{
	struct digest d = digest_of(v, dim * sizeof *v);
	uint64_t all[] = {d.hi, d.lo, row};
	return digest_of(all, sizeof all);
}

struct digest vec_shape_digest(uint32_t dim, uint64_t rows)
{
	uint64_t shape[] = {dim, rows};
	return digest_of(shape, sizeof shape);
}

struct digest_job {
	const struct vec_set *set;
	uint64_t first; /* number of row 0 */
	struct digest_worker {
		struct digest sum;
		float *row;
		struct err err;
		bool failed;
	} * worker; /* one a thread */
};

static void digest_rows(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct digest_job *j = ctx;
	struct digest_worker *w = &j->worker[thread];
	for (uint64_t i = begin; i < end && !w->failed; i++) {
		w->failed = vec_set_row(j->set, i, w->row, &w->err) != 0;
		for (uint32_t k = 0; k < j->set->dim; k++)
			w->row[k] += 0.0f;
		digest_add(&w->sum, vec_row_digest(w->row, j->set->dim, j->first + i));
	}
}

/* Add the digests of the rows, whose numbers begin with ${first}, to ${out}. */
static int add_rows(const struct vec_set *s, uint64_t first, struct par *par, struct digest *out,
		    struct err *err)
{
	size_t threads = (size_t)par_threads(par), dim = s->dim ? s->dim : 1;
	struct digest_job j = {s, first, mem_zeroed(threads, sizeof *j.worker, err)};
	float *rows = mem_array(threads, dim * sizeof *rows, err);
	int ret = j.worker && rows ? 0 : -1;
	for (size_t t = 0; ret == 0 && t < threads; t++)
		j.worker[t].row = rows + t * dim;
	if (ret == 0)
		par_run(par, s->rows, 256, digest_rows, &j);
	for (size_t t = 0; ret == 0 && t < threads; t++) {
		digest_add(out, j.worker[t].sum);
		if (j.worker[t].failed) {
			*err = j.worker[t].err;
			ret = -1;
		}
	}
	free(rows);
	free(j.worker);
	return ret;
}

int vec_set_digest(const struct vec_set *s, struct par *par, struct digest *out, struct err *err)
{
	*out = vec_shape_digest(s->dim, s->rows);
	return add_rows(s, 0, par, out, err);
}

/* ---- changes ---- */

static int changed(const char *name, struct err *err)
{
	return err_set(err, ERR_CONFLICT, "'%s' was changed while it was read", name);
}

/* 1; 0: they are others, or no longer values; -1: it cannot be known. */
static int has_rows(const struct vec_set *s, uint64_t first, const struct digest *rows,
		    struct err *err)
{
	struct digest now = {0};
	struct par *par = par_new(par_cores(), err);
	int ret = par ? add_rows(s, first, par, &now, err) : -1;
	par_free(par);
	if (ret != 0)
		return err->code == ERR_DATA ? 0 : -1;
	return now.hi == rows->hi && now.lo == rows->lo;
}

int vec_set_unchanged(const struct vec_set *s, uint64_t first, const struct digest *rows,
		      struct err *err)
{
	const struct vec_part *unsure = NULL;
	for (size_t i = 0; i < s->parts; i++) {
		const struct vec_part *p = &s->part[i];
		if (i && p->map.data == p[-1].map.data)
			continue; /* runs of one file */
		enum io_state state = io_map_state(&p->map, p->name);
		if (state == IO_CHANGED)
			return changed(p->name, err);
		unsure = state != IO_SAME ? p : unsure;
	}
	if (!unsure || !rows)
		return 0;
	int same = has_rows(s, first, rows, err);
	return same == 0 ? changed(unsure->name, err) : same < 0 ? -1 : 0;
}
