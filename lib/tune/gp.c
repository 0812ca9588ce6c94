/* SPDX-License-Identifier: MIT */
/* Gaussian process regression over a handful of builds, their rungs, and older ones. */
#include "tune/gp.h"

#include <math.h>

static double matern(const struct gp_params *p, const double *a, const double *b)
{
	double r2 = 0;
	for (int i = 0; i < GP_AXES; i++) {
		double d = (a[i] - b[i]) / p->length[i];
		r2 += d * d;
	}
	double r = sqrt(5 * r2);
	return (1 + r + r * r / 3) * exp(-r);
}

static double kernel(const struct gp_params *p, const struct gp_point *a, const struct gp_point *b)
{
	double k = matern(p, a->x, b->x), v = p->level * p->level + p->sd * p->sd * k;
	if (a->kind && a->kind == b->kind)
		v += p->kind_level * p->kind_level + p->kind_sd * p->kind_sd * k;
	return v;
}

void gp_add(struct gp *g, const struct gp_point *p, double y)
{
	if (g->n == GP_POINTS)
		return;
	g->point[g->n] = *p;
	g->y[g->n++] = y;
}

/* Forward substitution: L x = b. */
static void forward(const struct gp *g, const double *b, double *x)
{
	for (size_t i = 0; i < g->n; i++) {
		double sum = b[i];
		for (size_t j = 0; j < i; j++)
			sum -= g->chol[i][j] * x[j];
		x[i] = sum / g->chol[i][i];
	}
}

void gp_fit(struct gp *g)
{
	const struct gp_params *p = &g->params;
	double half[GP_POINTS];
	for (size_t i = 0; i < g->n; i++)
		for (size_t j = 0; j <= i; j++) {
			double sum = kernel(p, &g->point[i], &g->point[j]);
			if (i == j)
				sum += p->noise * p->noise;
			for (size_t k = 0; k < j; k++)
				sum -= g->chol[i][k] * g->chol[j][k];
			g->chol[i][j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / g->chol[j][j];
		}
	forward(g, g->y, half);
	for (size_t i = g->n; i-- > 0;) {
		double sum = half[i];
		for (size_t j = i + 1; j < g->n; j++)
			sum -= g->chol[j][i] * g->weight[j];
		g->weight[i] = sum / g->chol[i][i];
	}
}

void gp_at(const struct gp *g, const struct gp_point *p, double *mean, double *sd)
{
	double k[GP_POINTS] = {0}, half[GP_POINTS], var = kernel(&g->params, p, p);
	*mean = 0;
	for (size_t i = 0; i < g->n; i++) {
		k[i] = kernel(&g->params, p, &g->point[i]);
		*mean += k[i] * g->weight[i];
	}
	forward(g, k, half);
	for (size_t i = 0; i < g->n; i++)
		var -= half[i] * half[i];
	*sd = sqrt(fmax(var, 0));
}
