/* SPDX-License-Identifier: MIT */
/* NumPy's .npy files, versions 1 to 3: numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/format_internal.h"

#define HEADER_MAX 65536
#define TILE 64 /* rows that are turned at once */

/* What the header says of the array. */
struct array {
	enum vec_type type;
	bool big_endian, by_column;
	unsigned long long rows, dim;
};

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* The text of the value of a key, or NULL. */
static const char *value_of(const char *header, const char *key)
{
	const char *p = strstr(header, key);
	if (!p || p == header || (p[-1] != '\'' && p[-1] != '"') || p[strlen(key)] != p[-1])
		return NULL;
	p = skip_blanks(p + strlen(key) + 1);
	return *p == ':' ? skip_blanks(p + 1) : NULL;
}

/* A quoted type, as '<f4': the order of its bytes, then what it is. */
static bool read_type(const char *p, struct array *a)
{
	static const struct {
		const char *name;
		enum vec_type type;
	} types[] = {{"f4", VEC_F32}, {"f8", VEC_F64}, {"f2", VEC_F16},
		     {"u1", VEC_U8},  {"i1", VEC_I8},  {"i4", VEC_I32}};
	if ((*p != '\'' && *p != '"') || !p[1] || !strchr("<>=|", p[1]))
		return false;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strncmp(p + 2, types[i].name, 2) == 0 && p[4] == p[0]) {
			a->type = types[i].type;
			a->big_endian = p[1] == '>';
			return p[1] != '|' || vec_type_bytes(a->type) == 1;
		}
	return false;
}

/* A whole number; NumPy on Python 2 wrote it with an L. */
static const char *read_size(const char *p, unsigned long long *out)
{
	char *end;
	p = skip_blanks(p);
	if (*p < '0' || *p > '9')
		return NULL;
	*out = strtoull(p, &end, 10);
	return skip_blanks(end + (*end == 'L'));
}

/* A tuple of two sizes. */
static bool read_shape(const char *p, struct array *a)
{
	if (*p != '(' || !(p = read_size(p + 1, &a->rows)) || *p != ',' ||
	    !(p = read_size(p + 1, &a->dim)))
		return false;
	return *skip_blanks(p + (*p == ',')) == ')';
}

static int read_header(const char *header, struct array *a, const char *name, struct err *err)
{
	const char *descr = value_of(header, "descr"), *order = value_of(header, "fortran_order"),
		   *shape = value_of(header, "shape");
	if (!descr || !order || !shape ||
	    (strncmp(order, "False", 5) != 0 && strncmp(order, "True", 4) != 0))
		return err_set(err, ERR_DATA, "'%s' has a bad .npy header", name);
	a->by_column = order[0] == 'T';
	if (!read_type(descr, a))
		return err_set(err, ERR_DATA,
			       "'%s' has element type %.8s, expected f4, f8, f2, u1, i1 or i4",
			       name, descr);
	if (!read_shape(shape, a))
		return err_set(err, ERR_DATA, "'%s' has shape %.40s, expected (rows, dimension)",
			       name, shape);
	if (a->dim < 1 || a->dim > VEC_MAX_DIM)
		return err_set(err, ERR_DATA, "'%s' has dimension %llu, expected 1 to %d", name,
			       a->dim, VEC_MAX_DIM);
	return 0;
}

static void copy_element(unsigned char *to, const unsigned char *from, size_t bytes, bool swap)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = from[swap ? bytes - 1 - i : i];
}

/* The values row by row and little-endian, as all others are. */
static unsigned char *bring_into_order(const struct array *a, const unsigned char *data,
				       struct err *err)
{
	size_t bytes = vec_type_bytes(a->type), rows = a->rows, dim = a->dim;
	unsigned char *out = mem_array(rows, dim * bytes, err);
	for (size_t from = 0; out && from < rows; from += TILE)
		for (size_t k = 0; k < dim; k++)
			for (size_t i = from; i < rows && i < from + TILE; i++)
				copy_element(out + (i * dim + k) * bytes,
					     data + (a->by_column ? k * rows + i : i * dim + k) *
							bytes,
					     bytes, a->big_endian);
	return out;
}

int vec_read_npy(struct vec_found *f, struct span data, const char *name, struct err *err)
{
	struct array a = {0};
	uint16_t len16;
	uint32_t len32;
	if (data.n < 12 || memcmp(data.p, "\x93NUMPY", 6) != 0)
		return err_set(err, ERR_DATA, "'%s' is not a .npy file", name);
	unsigned char version = (unsigned char)data.p[6];
	if (version < 1 || version > 3)
		return err_set(err, ERR_DATA, "'%s' has .npy version %d, expected 1 to 3", name,
			       version);
	memcpy(&len16, data.p + 8, 2);
	memcpy(&len32, data.p + 8, 4);
	size_t start = version == 1 ? 10 : 12, len = version == 1 ? len16 : len32;
	if (len > data.n - start || len > HEADER_MAX)
		return err_set(err, ERR_DATA, "'%s' has a bad .npy header: %zu bytes long", name,
			       len);
	char *header = span_dup((struct span){data.p + start, len});
	if (!header)
		return err_nomem(err);
	int ret = read_header(header, &a, name, err);
	free(header);
	if (ret != 0)
		return -1;
	start += len;
	size_t stride = a.dim * vec_type_bytes(a.type), bytes;
	if (!num_mul(a.rows, stride, &bytes) || bytes != data.n - start)
		return err_set(
		    err, ERR_DATA,
		    "'%s' has %zu bytes of data, its header (%llu rows of dimension %llu) asks "
		    "for more or less",
		    name, data.n - start, a.rows, a.dim);
	*f = (struct vec_found){
	    .type = a.type, .dim = (uint32_t)a.dim, .rows = a.rows, .stride = stride};
	f->data = (const unsigned char *)data.p + start;
	if (a.by_column || (a.big_endian && vec_type_bytes(a.type) > 1)) {
		f->data = f->owned = bring_into_order(&a, f->data, err);
		return f->owned ? 0 : -1;
	}
	return 0;
}
