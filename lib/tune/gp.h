/* SPDX-License-Identifier: MIT */
#ifndef TUNE_GP_H
#define TUNE_GP_H

#include <stddef.h>

#define GP_POINTS 64 /* the latest that count */
#define GP_AXES 4

/*
 * Gaussian process regression: C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine
 * Learning", MIT Press 2006, Algorithm 2.1, with a Matern 5/2 kernel.  Points are of kinds; those of
 * a kind other than 0 differ from the function by a level that all of the kind share and by a smooth
 * function of the kind's own.
 */
struct gp_params {
	double sd, length[GP_AXES];	 /* of the function */
	double level;			 /* sd of a constant */
	double kind_sd, kind_level, noise; /* sds */
};

struct gp_point {
	double x[GP_AXES];
	int kind;
};

struct gp {
	struct gp_params params;
	struct gp_point point[GP_POINTS];
	double y[GP_POINTS];
	size_t n;
	/* made by gp_fit() */
	double chol[GP_POINTS][GP_POINTS], weight[GP_POINTS];
};

/* Add a point; when full, nothing. */
void gp_add(struct gp *g, const struct gp_point *p, double y);
void gp_fit(struct gp *g);

/* Mean and standard deviation of the function at a point. */
void gp_at(const struct gp *g, const struct gp_point *p, double *mean, double *sd);

#endif
