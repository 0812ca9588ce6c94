/* SPDX-License-Identifier: MIT */
#ifndef VEC_ELEM_H
#define VEC_ELEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define VEC_MAX_DIM 65536
#define VEC_MAX_ROWS 0x7fffffffu /* rows are numbered in 31 bits */

enum vec_type { VEC_F32, VEC_F64, VEC_F16, VEC_U8, VEC_I8, VEC_I32, VEC_TYPES };

enum vec_metric { VEC_L2, VEC_COSINE, VEC_IP, VEC_METRICS };

/* Names by number, NULL at the end; one that has several has blanks between them. */
extern const char *const vec_type_names[];
extern const char *const vec_metric_names[];

size_t vec_type_bytes(enum vec_type t);
const char *vec_type_name(enum vec_type t);

const char *vec_metric_name(enum vec_metric m);
int vec_metric_parse(struct span name, enum vec_metric *out);

/* Convert ${n} elements at ${src} (any alignment) to float, to nearest. */
void vec_to_f32(enum vec_type t, const void *src, float *out, size_t n);

/* The same to double; exact for every type. */
void vec_to_f64(enum vec_type t, const void *src, double *out, size_t n);

/*
 * Convert ${n} doubles to elements of type ${t} at ${out}.  Floating types round to
 * nearest.  Returns the index of the first value that does not fit (an integer type
 * given a fraction or a value out of range, a floating type overflowing), or ${n}.
 */
size_t vec_from_f64(enum vec_type t, const double *src, void *out, size_t n);

/* Index of the first element that is NaN or infinite, or ${n}. */
size_t vec_first_nonfinite(const float *v, size_t n);

/*
 * Scale to unit Euclidean length; the norm is computed in double.  A zero vector
 * stays as it is.
 */
void vec_normalise(float *v, size_t n);

#endif
