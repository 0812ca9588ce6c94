/* SPDX-License-Identifier: MIT */
#ifndef EVAL_GIVEN_H
#define EVAL_GIVEN_H

#include "eval/make.h"

/* Answers from a file: a row a query, of row numbers, nearest first. */
struct given_answers {
	const struct vec_set *rows;
	const char *name;  /* of the file, for messages */
	bool metric_known; /* else it is found out */
};

/*
 * Take the first k answers of every query over, and set what evalset_make_truth() sets.  Twenty
 * queries are answered by brute force; theirs must be as near as the exact ones, up to single
 * precision, in how->metric or, if that is not known, in cosine, l2 or ip, the first that fits.
 * ERR_DATA: they are not; a number is that of no row, or comes twice; there are too few.
 */
int evalset_take_truth(struct evalset *e, struct make_truth *how, const struct given_answers *given,
		       struct err *err) MUST_CHECK;

#endif
