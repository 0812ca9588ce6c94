/* SPDX-License-Identifier: MIT */
#ifndef VEC_PARQUET_INTERNAL_H
#define VEC_PARQUET_INTERNAL_H

#include "vec/format_internal.h"

/*
 * What is read of Apache Parquet (github.com/apache/parquet-format): the columns of a file
 * that hold vectors or ids.
 *
 *	parquet_footer  what the file says of itself
 *	parquet_page    the pages of one column in one row group, one by one
 *	parquet_values  values out of their encodings
 *	format_parquet  which columns these are; rows out of values
 */

/* Types of values, as they are numbered in files. */
enum pq_type {
	PQ_BOOLEAN,
	PQ_INT32,
	PQ_INT64,
	PQ_INT96,
	PQ_FLOAT,
	PQ_DOUBLE,
	PQ_BYTES, /* each has its own length */
	PQ_FIXED, /* all have the same length */
	PQ_TYPES
};

/* What a schema says that a type stands for. */
enum pq_meaning { PQ_ITSELF, PQ_TEXT, PQ_UNSIGNED, PQ_FLOAT16, PQ_UUID, PQ_OTHER };

/*
 * A column: a leaf of the schema.  Each of its values comes with two levels: the repetition level
 * is 0 where a row begins; the definition level is that of the column if there is a value, and
 * less if it, its list or the row has none.
 */
struct pq_column {
	char *name; /* the path down to the list, or to the value if there is no list; with dots */
	enum pq_type type;
	enum pq_meaning meaning;
	uint32_t width;	   /* bytes of a value; 0: they differ */
	uint32_t max_def;  /* definition level of a value */
	uint32_t list_def; /* lists: that of an element that is null; one less: an empty list */
	uint32_t lists;	   /* how many lists are around each other */
	bool alone;	   /* the elements of the list have nothing else in them */
};

/* Where a column has its pages in one row group. */
struct pq_chunk {
	uint64_t start, size, values;
	int64_t codec;
	bool elsewhere; /* in another file, or encrypted */
};

struct pq_file {
	struct span data;	  /* the whole file */
	const struct io_map *map; /* perhaps mapped there: forgets what was read */
	size_t unforgotten;
	struct pq_column *column;
	size_t columns;
	uint64_t *group_rows;
	size_t groups;
	struct pq_chunk *chunk; /* groups x columns */
	/* What all that is read may unpack to, in bytes: files that say little and mean a lot end
	 * here. */
	uint64_t budget;
	uint64_t seen; /* bytes of chunks that were read, none twice */
};

/* Read the footer.  ERR_DATA naming the file.  Release it in any case. */
int pq_open(struct pq_file *f, struct span data, const char *name, struct err *err) MUST_CHECK;
void pq_release(struct pq_file *f);

/* ERR_DATA if ${bytes} more are too much for a file of this size. */
int pq_spend(struct pq_file *f, uint64_t bytes, struct err *err) MUST_CHECK;

/* Values of a page. */
struct pq_values {
	uint64_t n;
	const unsigned char *data; /* one after the other, if the column has a width */
	const struct span *item;   /* else */
};

/* What takes the content of a column. */
struct pq_sink {
	/* The levels of the next ${n} values, which are all the same. */
	int (*levels)(void *ctx, uint32_t rep, uint32_t def, uint64_t n, struct err *err);
	/* And these, page by page, after their levels; good until it returns. */
	int (*values)(void *ctx, const struct pq_values *v, struct err *err);
	void *ctx;
};

/* Read one column of one row group.  The sink's levels have refused what is no value. */
int pq_read_chunk(struct pq_file *f, const struct pq_column *c, const struct pq_chunk *chunk,
		  const struct pq_sink *sink, struct err *err) MUST_CHECK;

/* ---- encodings ---- */

/* Memory that is used again. */
struct pq_room {
	void *p;
	size_t bytes;
};

void *pq_room(struct pq_room *r, size_t count, size_t size, struct err *err) MUST_CHECK;

/*
 * Runs of equal numbers and packed numbers, mixed: levels and numbers of dictionary entries
 * (parquet-format/Encodings.md, "RLE").
 */
struct pq_hybrid {
	const unsigned char *p, *end;
	unsigned width;	  /* bits of a number, 0..32 */
	uint32_t value;	  /* of the run */
	uint64_t repeats; /* left of the run */
	const unsigned char *bits;
	uint64_t packed, bit; /* numbers left of those that are packed, and where the next is */
};

void pq_hybrid_init(struct pq_hybrid *h, struct span data, unsigned width);

/* The next number and how often it comes, at most ${most} times; 0: there is none. */
uint64_t pq_hybrid_run(struct pq_hybrid *h, uint64_t most, uint32_t *value);

/* What is needed to decode the values of a column. */
struct pq_decoder {
	struct pq_file *file;
	const struct pq_column *column;
	struct pq_values dictionary;
	struct pq_room dictionary_items, data, items, text, lengths;
};

void pq_decoder_release(struct pq_decoder *d);

/* Take over the page of a dictionary: its values stay where they are. */
int pq_take_dictionary(struct pq_decoder *d, int64_t encoding, struct span page, uint64_t n,
		       struct err *err) MUST_CHECK;

/* ${n} values from ${page}.  ERR_DATA: the page is damaged, or has an encoding that is not read. */
int pq_decode(struct pq_decoder *d, int64_t encoding, struct span page, uint64_t n,
	      struct pq_values *out, struct err *err) MUST_CHECK;

#endif
