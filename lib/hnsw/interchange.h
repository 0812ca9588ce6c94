/* SPDX-License-Identifier: MIT */
#ifndef HNSW_INTERCHANGE_H
#define HNSW_INTERCHANGE_H

#include "hnsw/hnsw.h"

/*
 * Index files of other libraries.  hnsw-convert(1) tells what each of them keeps.
 *
 *	hnswlib  saveIndex() of versions 0.4 to 0.8, 32-bit floats
 *	faiss    write_index() of an IndexHNSWFlat, also inside an IndexIDMap
 *	usearch  save() of version 2.10 or later, of vectors of numbers
 */
enum hnsw_format { HNSW_OURS, HNSW_HNSWLIB, HNSW_FAISS, HNSW_USEARCH, HNSW_FORMATS };

/* Names by number, NULL at the end. */
extern const char *const hnsw_format_names[];

/* The format that the suffix of a path tells.  -1: none of these. */
int hnsw_format_of_path(const char *path, enum hnsw_format *out);

struct hnsw_import {
	/* An enum vec_metric, or -1: what the file says; hnswlib's say nothing.  An index of
	 * ip over unit vectors may be called cosine. */
	int metric;
	const char *ids; /* file with an id a line for every row, or NULL: the file's own */
	const struct dist_kernels *kernels;
};

/*
 * Read an index; of ours it is hnsw_open() and a check, and ${how} is not looked at.  Links and
 * layers are taken over as they are, but links to deleted elements are replaced by what
 * those link to, and nodes that layer 0 does not reach are linked (hnsw_check() finds
 * nothing wrong with the result).  Vectors are held as floats.  Row i is the element whose key is i
 * if the keys are just 0..rows-1, else the i-th element, and the keys are the ids.
 *
 * Everything is checked against the size of the file before anything is allocated.
 * NULL: ERR_DATA (a damaged or unsuitable file, a key that comes twice), ERR_USAGE (the metric),
 * ERR_ENV.
 */
struct hnsw *hnsw_import(const char *path, enum hnsw_format format, const struct hnsw_import *how,
			 struct err *err) MUST_CHECK;

/*
 * Write an index to a file, whole or not at all.  Element i is row i; a row whose vector
 * equals another's becomes an element of its own, next to that one.  Keys are the ids, which
 * must be whole numbers below 2^63 (Faiss: of either sign), or if ${row_keys} the numbers of the rows.
 *
 * ERR_DATA: ${h} is damaged, or an id is no such number.
 */
int hnsw_export(const struct hnsw *h, enum hnsw_format format, bool row_keys, const char *path,
		struct err *err) MUST_CHECK;

/* The vectors of an index, in order of row, with its ids; unit vectors if the metric is
 * cosine.  ${name} is for messages.  Release it; it does not need ${h}. */
int hnsw_vectors(const struct hnsw *h, const char *name, struct vec_set *out,
		 struct err *err) MUST_CHECK;

#endif
