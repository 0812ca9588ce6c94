/* SPDX-License-Identifier: MIT */
#ifndef VEC_SET_H
#define VEC_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/par.h"
#include "vec/elem.h"

#define VEC_ID_MAX 1024	   /* bytes of one id */
#define VEC_ID_TEXT_MAX 24 /* room for a row number as text */

/* File formats; vec_format_names has what --format takes. */
enum vec_format {
	VEC_BY_SUFFIX, /* by the path's suffix; stdin is JSONL */
	VEC_FVECS, /* TEXMEX corpora, corpus-texmex.irisa.fr: per row i32 dimension, then values */
	VEC_BVECS,
	VEC_IVECS,
	VEC_FBIN, /* big-ann-benchmarks.com: u32 rows, u32 dimension, then all values */
	VEC_U8BIN,
	VEC_I8BIN,
	VEC_NPY,	/* numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
	VEC_TEXT,	/* word2vec, GloVe, fastText: a line a row, with or without a first word */
	VEC_TEXT_WORDS, /* the same, every line begins with a word */
	VEC_JSONL,	/* {"id":"x","vector":[0.1,...]} or [0.1,...], a line a row */
	VEC_HVEC,	/* rows with ids in one file, hnsw-store(5) */
	VEC_PARQUET,	/* github.com/apache/parquet-format */
	VEC_HDF5,	/* ann-benchmarks.com: one of the data sets */
	VEC_SAFETENSORS, /* huggingface.co/docs/safetensors */
	VEC_NPZ,	/* arrays of NumPy in a ZIP archive */
	VEC_PGVECTOR,	/* what PostgreSQL's COPY writes of ids and vectors */
	VEC_CSV,	/* RFC 4180: a vector in one field, or its values in many */
	VEC_TSV,	/* the same with tabs and without quotes */
	VEC_FORMATS
};

/* What is said of files that are to be read; all zeros: nothing. */
struct vec_input {
	int format; /* enum vec_format */
	/* The column (data set, key) of the vectors, and that of the ids, "": there are none.  NULL:
	 * to be found. */
	const char *column, *id_column;
};

/* Rows of one file, or a run of them: ${rows} rows of the set's dimension, ${stride} bytes
 * apart. */
struct vec_part {
	enum vec_type type;
	const unsigned char *data; /* row 0; unaligned */
	size_t stride;
	uint64_t rows;
	uint64_t first;	  /* number of its row 0 in the whole set */
	uint64_t skipped; /* rows of the file before its row 0, for messages */
	char *name;	  /* for messages */
	/* For messages: the line of the file's row 0, whose others follow; 0: they say "row". */
	uint64_t first_line;
	struct io_map map;
	void *owned;
	bool borrowed; /* name, map and owned are those of a run before */
};

/*
 * Vectors of equal dimension from any number of files, numbered on over all of
 * them.  Binary files are mapped and not copied.
 */
struct vec_set {
	uint32_t dim;  /* 0 only when there are no rows */
	uint64_t rows; /* at most VEC_MAX_ROWS */
	struct vec_part *part;
	size_t parts;
	/* Ids one after the other; id i ends before id_end[i].  Both NULL if no file
	 * had ids: then a row's number is its id. */
	char *id_text;
	uint64_t *id_end;
};

#define VEC_SET_INIT \
	{            \
		0    \
	}

/*
 * Open ${count} files ("-" is stdin).  Headers, sizes and, where text is parsed,
 * every value are checked; values of mapped files are checked when they are read.
 * ERR_DATA names file and row or line, and what was expected: malformed or
 * truncated file, dimensions that differ, an id given twice.  ERR_USAGE: the format or a column
 * cannot be told, or is not there.
 */
int vec_set_open(struct vec_set *s, const char *const *paths, size_t count,
		 const struct vec_input *how, struct err *err) MUST_CHECK;
void vec_set_release(struct vec_set *s);

/* ERR_USAGE if the set reads the file ${output}, which is to be written (NULL: none is). */
int vec_set_check_output(const struct vec_set *s, const char *output, struct err *err) MUST_CHECK;

/* Let go of what was read of mapped files; it is read again when it is needed. */
void vec_set_forget(const struct vec_set *s);

/* Rows that come one by one, with or without ids. */
struct vec_rows {
	float *data;
	uint64_t rows, cap;
	uint32_t dim;
	struct buf id_text;
	uint64_t *id_end, id_cap;
	uint64_t first_line; /* vec_rows_line() */
};

/* Room for one more row of r->dim floats, or NULL. */
float *vec_rows_next(struct vec_rows *r, struct err *err) MUST_CHECK;

/* The number of the line that the row added last was; for messages. */
void vec_rows_line(struct vec_rows *r, uint64_t line);

/* ERR_DATA unless an id is UTF-8 of at most VEC_ID_MAX bytes without a NUL: only such ids stay
 * apart in every format. */
int vec_id_check(struct span id, struct err *err) MUST_CHECK;

/* The id of the row that was added last, by which id_text was extended. */
int vec_rows_id(struct vec_rows *r, struct err *err) MUST_CHECK;
void vec_rows_release(struct vec_rows *r);

/*
 * The same as vec_set_open() for files that are no vectors themselves: ${read} makes rows, all with
 * ids or all without, of what it reads from the descriptor.
 */
typedef int vec_rows_fn(void *ctx, int fd, const char *name, struct vec_rows *rows,
			struct err *err);
int vec_set_read(struct vec_set *s, const char *const *paths, size_t count, vec_rows_fn *read,
		 void *ctx, struct err *err) MUST_CHECK;

/* The same, but of rows with the same id only the last one is in the set. */
int vec_set_open_newest(struct vec_set *s, const char *const *paths, size_t count,
			const struct vec_input *how, struct err *err) MUST_CHECK;

/*
 * Row ${row} as ${dim} floats into ${out}.  ERR_DATA if a value is not finite.
 * Thread-safe.
 */
int vec_set_row(const struct vec_set *s, uint64_t row, float *out, struct err *err) MUST_CHECK;

/* The same without the check. */
void vec_set_values(const struct vec_set *s, uint64_t row, float *out);

/* The same as doubles, without rounding and without the check. */
void vec_set_row_f64(const struct vec_set *s, uint64_t row, double *out);

/* ERR_DATA "'x.npy' row 17: <why>" (or line). */
int vec_set_fail(const struct vec_set *s, uint64_t row, struct err *err, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* The id of a row; ${tmp} holds it if it is the row's number. */
struct span vec_set_id(const struct vec_set *s, uint64_t row, char tmp[static VEC_ID_TEXT_MAX]);

/* Give the rows ids, one a line of ${path}; there must be as many as rows. */
int vec_set_read_ids(struct vec_set *s, const char *path, struct err *err) MUST_CHECK;

/*
 * Some rows of a set as a set that reads them where they lie: the first ${rows} (at most all) of
 * the permutation that ${seed} makes, which an index of that seed inserts first.  They are in
 * order of row and keep their ids; where there are none, their row numbers become ids.
 * ${number}, if not NULL, gets the number of every row of ${s} in it, or UINT32_MAX.
 */
int vec_set_sample(const struct vec_set *s, uint64_t seed, uint64_t rows, uint32_t *number,
		   struct vec_set *out, struct err *err) MUST_CHECK;

/* ERR_DATA if an id occurs twice. */
int vec_set_check_ids(const struct vec_set *s, struct err *err) MUST_CHECK;

/*
 * Digest of the values: of dimension, number of rows and every value as float in
 * row order, -0 as 0, so equal vectors in equal order have equal digests whatever
 * the file format.  Ids do not enter.  It is the sum of what vec_row_digest() and
 * vec_shape_digest() give, so that of a longer set follows from that of its beginning.
 */
int vec_set_digest(const struct vec_set *s, struct par *par, struct digest *out,
		   struct err *err) MUST_CHECK;

/*
 * ERR_CONFLICT if a file was changed since it was opened, so that what was read of the set may be
 * of two states.  ${rows}, if not NULL, is the sum of vec_row_digest() over its rows, whose
 * numbers begin with ${first}: it decides where the times of the files do not.
 */
int vec_set_unchanged(const struct vec_set *s, uint64_t first, const struct digest *rows,
		      struct err *err) MUST_CHECK;

/* What row ${row} adds to the digest of a set; ${v}: ${dim} floats, -0 as 0. */
struct digest vec_row_digest(const float *v, uint32_t dim, uint64_t row);

/* And what its size adds. */
struct digest vec_shape_digest(uint32_t dim, uint64_t rows);

/*
 * Vectors that come as lines of JSONL, {"id":"x","vector":[0.1,...]} or [0.1,...].  One that reads
 * lines serves one thread.
 */
struct vec_line;

#define VEC_LINE_MAX_BYTES ((size_t)64 << 20)

/* ${how}: its keys are read, and it must outlive the reader. */
struct vec_line *vec_line_new(const struct vec_input *how, struct err *err) MUST_CHECK;
void vec_line_free(struct vec_line *l);

/*
 * Read a line, which is followed by NUM_PADDING bytes, the first a newline or NUL: its ${dim}
 * floats at ${v} and its id (p NULL: it has none), which live until the next call.  ERR_DATA: it is
 * malformed, or has another dimension, which vec_line_dim() tells.
 */
int vec_line_read(struct vec_line *l, struct span line, uint32_t dim, const float **v,
		  struct span *id, struct err *err) MUST_CHECK;

/* How many values the line read last has; 0 if it is malformed. */
uint32_t vec_line_dim(const struct vec_line *l);

/* Whether there are only blanks in it: such lines are left out. */
bool vec_line_blank(struct span line);

/* Names by number, NULL at the end. */
extern const char *const vec_format_names[];

/* The format that the suffix of a path tells, before one of compressed files; "-" is JSONL.  -1:
 * none. */
int vec_format_of_path(const char *path, enum vec_format *out);

/* Whether files of a format have the ids of their rows; whether they have columns with names;
 * whether they can be written. */
bool vec_format_keeps_ids(enum vec_format format);
bool vec_format_has_columns(enum vec_format format);
bool vec_format_is_written(enum vec_format format);

/* How vec_set_write() is to write. */
struct vec_write {
	enum vec_format format;
	enum vec_type type; /* element type, npy and hvec only */
	bool header;	    /* text only: begin with "rows dimension" */
};

/*
 * Write the rows ${first}..${first}+${count}-1 (or those listed in ${pick}, if not NULL, which
 * then has ${count} row numbers) to a descriptor.  ERR_DATA: a value does not fit the
 * type, or an id does not fit the format (a blank in a text file's word).
 */
int vec_set_write(const struct vec_set *s, const struct vec_write *how, const uint64_t *pick,
		  uint64_t first, uint64_t count, int fd, const char *name,
		  struct err *err) MUST_CHECK;

/* The element type that holds this set's values unchanged. */
enum vec_type vec_set_type(const struct vec_set *s);

#endif
