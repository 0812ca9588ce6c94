/* SPDX-License-Identifier: MIT */
#ifndef HNSW_HNSW_H
#define HNSW_HNSW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/par.h"
#include "vec/dist.h"
#include "vec/set.h"

/*
 * Hierarchical navigable small world graphs: Malkov and Yashunin, "Efficient and
 * robust approximate nearest neighbor search using hierarchical navigable small
 * world graphs", arXiv:1603.09320.
 *
 * Rows are the vectors as they were given, 0..rows-1.  Rows whose vectors are equal
 * share one node of the graph; nodes are numbered in the order of insertion, a
 * seeded permutation.  Distances: l2 squared Euclidean, cosine 1 - cos, ip 1 - <x,y>.  Rows are
 * ranked by what these would be without the rounding of the difference, see dist_to_rows().
 */
#define HNSW_MIN_M 2
#define HNSW_MAX_M 512
#define HNSW_MAX_EF 1000000
#define HNSW_MAX_LEVEL 31

/*
 * How an index holds its vectors.  In the 8-bit forms a component is stored as a number u
 * of 0..255 that stands for centre + unit * (u - 128); each component has its own centre.
 */
enum hnsw_storage {
	HNSW_F32,  /* floats, as given (unit length for cosine) */
	HNSW_U8,   /* 8 bits that hold every component exactly; whole numbers, as a rule */
	HNSW_SQ8,  /* 8 bits to find the way by, and the floats to rank what was found */
	HNSW_F16,  /* floats of 16 bits, the nearest ones: IEEE binary16 */
	HNSW_BF16, /* and bfloat16 */
	HNSW_STORAGES,
	HNSW_AUTO = HNSW_STORAGES /* build only: u8 if it is exact, else sq8 */
};

/* Names by number, "auto" the last, then NULL. */
extern const char *const hnsw_storage_names[];

struct hnsw_params {
	enum vec_metric metric;
	uint32_t m;		  /* links a new node asks for; a row on layer 0 has room for 2m */
	uint32_t ef_construction; /* beam width while building */
	uint32_t ef_search;	  /* beam width of a search that names none */
	uint64_t seed;		  /* of the insertion order and the levels */
	enum hnsw_storage storage;
	/* Fill rows of links with the nearest candidates that are not diverse (Algorithm 4's
	 * keepPrunedConnections); a new node then asks for 2m on layer 0. */
	bool keep_pruned;
};

#define HNSW_PARAMS_DEFAULT                                                                        \
	{                                                                                          \
		.metric = VEC_COSINE, .m = 16, .ef_construction = 80, .ef_search = 30, .seed = 42, \
		.storage = HNSW_AUTO                                                               \
	}

struct hnsw;

/* How a build runs; nothing but rungs changes the result. */
struct hnsw_build_opts {
	struct par *par;
	const struct dist_kernels *kernels;
	/* Called now and then from the building thread, if not NULL; true: give up, and
	 * the build returns ERR_TEMP. */
	bool (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
	/*
	 * While building: numbers of rows, increasing and less than those of the set.  When so many
	 * rows of the permutation are in, ${rung} is given an index of just these, which lives
	 * until it returns; -1 ends the build.  Its rows are those of vec_set_sample().  With rungs
	 * all rows are inserted, none linked in bulk.
	 */
	const uint32_t *rungs;
	size_t n_rungs;
	int (*rung)(void *ctx, const struct hnsw *h, struct err *err);
};

/*
 * Build an index over all rows of ${set}.  The same vectors, parameters and seed give
 * the same bytes in hnsw_write(), whatever the threads and kernels.  The graph after r
 * insertions does not depend on the rows that follow in the permutation; layer 0 may be linked in
 * bulk, where that is as good (hnsw/bulk).
 *
 * The index reads the set as long as it lives: floats that rank what codes found are not
 * copied.  NULL: ERR_DATA (no rows, a value that is not finite or beyond f16), ERR_USAGE (a
 * parameter out of range), ERR_ENV (memory).  Cost: about rows * log(rows) * ef_construction * m
 * distances; memory a row: its code (as floats, if there are no codes), 16 m bytes of links, and 40
 * more.
 */
struct hnsw *hnsw_build(const struct vec_set *set, const struct hnsw_params *params,
			const struct hnsw_build_opts *opts, struct err *err) MUST_CHECK;

/*
 * Build an index that continues ${old} with all rows of ${set}: with its parameters and seed, its
 * storage and, with sq8, its quantiser.  Row i of the set becomes row i after those of the old
 * one; rows are inserted in the order of a permutation of theirs.  If only one of the two has ids,
 * those of the other are its row numbers.  ${ef_search}: as in hnsw_params.
 *
 * The result reads ${old} and ${set} as long as it lives.  NULL: ERR_DATA (${old} is damaged, a
 * value that is not finite, another dimension, an id that is there already, what 8 bits of
 * the old index cannot hold), ERR_ENV.  The cost is that of inserting the new rows, of
 * checking the old ones, and of the distances of their links.
 */
struct hnsw *hnsw_append(const struct hnsw *old, const struct vec_set *set, uint32_t ef_search,
			 const struct hnsw_build_opts *opts, struct err *err) MUST_CHECK;

/* Write to a file, whole or not at all; format: hnsw-index(5).  ERR_CONFLICT: the files that it was
 * built from were changed meanwhile. */
int hnsw_write(const struct hnsw *h, const char *path, struct err *err) MUST_CHECK;

enum hnsw_open_mode {
	HNSW_MAP,  /* map the file: opens at once, pages come as they are touched */
	HNSW_LOAD, /* read it into memory on huge pages: faster to search */
	HNSW_DISK, /* the same, but map the vectors: their rows are read as they are ranked */
};

/*
 * Open an index file.  Everything that a search relies on is either checked here or
 * bounded while searching, so a hostile file gives wrong answers at worst; checksums
 * and the whole graph are checked by hnsw_check() only.  NULL: ERR_ENV, ERR_DATA.
 */
struct hnsw *hnsw_open(const char *path, enum hnsw_open_mode mode, struct err *err) MUST_CHECK;

void hnsw_free(struct hnsw *h);

/*
 * ERR_CONFLICT if the file was changed since it was opened, so that what was read of the index may
 * be of two states.  ${deep}: where the times of the file do not tell, though somebody had it in
 * hand, its checksums do.
 */
int hnsw_unchanged(const struct hnsw *h, bool deep, struct err *err) MUST_CHECK;

struct hnsw_info {
	struct hnsw_params params;
	uint32_t dim;
	uint64_t rows, nodes; /* nodes < rows when vectors are equal */
	uint32_t m0;	      /* room in a row of layer 0 */
	uint32_t max_level;
	uint32_t starts;	       /* nodes of layer 1 that searches start from */
	uint64_t level_nodes[HNSW_MAX_LEVEL + 1]; /* nodes whose highest layer it is */
	uint64_t links, upper_links;		  /* links on layer 0 and above */
	uint32_t max_degree;			  /* on layer 0 */
	uint64_t vector_bytes, code_bytes, link_bytes, id_bytes, total_bytes;
	uint64_t disk_bytes; /* of the vectors, if opened with HNSW_DISK */
	struct digest vectors_digest, graph_digest;
};

/* Header figures, and if ${deep} also those that need a pass over the graph. */
void hnsw_info(const struct hnsw *h, bool deep, struct hnsw_info *out);

/* How much of the vectors of an index that was opened with HNSW_DISK the system holds in memory,
 * in whole pages; all of it where the system does not tell. */
uint64_t hnsw_cached_bytes(const struct hnsw *h);

/*
 * Check everything: checksums, ids of links in range and without repetition, levels,
 * rows, finite vectors, and that every node is reached from the entry point on layer 0.
 * 0, or -1 with ERR_DATA saying what is wrong first.
 */
int hnsw_check(const struct hnsw *h, struct err *err) MUST_CHECK;

/* ---- searching ---- */

struct hnsw_hit {
	float distance; /* in the metric */
	float rank;	/* what hits are ordered by */
	uint32_t row;
};

/* What one searching thread needs; grows with ef and is reused. */
struct hnsw_scratch {
	const struct dist_kernels *kernels;
	float *query;	 /* padded copy */
	float *row;	 /* a row that is not held as floats */
	int8_t *code[2]; /* of the query or node in hand, and of a candidate for a link */
	float *wide[2];	 /* the same of floats of 16 bits */
	uint64_t *pool;
	size_t pool_cap;
	uint64_t *visited; /* a bit a node */
	uint32_t *touched; /* nodes whose bit is set, as far as there is room */
	size_t n_touched;
	uint64_t *memo; /* of exact distances, while several widths are looked at */
	size_t memo_mask;
	bool overflow;	    /* there were more */
	uint32_t ask_disk;  /* so many more searches ask for vectors ahead, as one had to wait */
	uint64_t distances; /* computed so far, over all searches */
	uint64_t hops;	    /* nodes expanded so far */
	size_t bytes;	    /* of all this */
};

int hnsw_scratch_init(struct hnsw_scratch *s, const struct hnsw *h,
		      const struct dist_kernels *kernels, struct err *err) MUST_CHECK;
void hnsw_scratch_release(struct hnsw_scratch *s);

/*
 * Find the ${k} approximate nearest rows of one query.
 *
 * ${query}: dim floats, finite; any alignment; normalised here if the metric is cosine.
 * ${k} >= 1.  ${ef}: beam width, 0 takes the index's ef_search; less than k counts as k.
 * ${hits}: room for k, the caller's; in increasing (rank, row).
 *
 * Returns the number of hits (less than k only if there are fewer rows), or -1 when
 * memory for a larger ef runs out.  ${h} is only read: any number of threads may
 * search it, each with its own scratch.  A zero vector has cosine distance 1 to
 * everything.  Source: arXiv:1603.09320, Algorithms 2 and 5.
 */
int hnsw_search(const struct hnsw *h, const float *query, size_t k, size_t ef,
		struct hnsw_scratch *s, struct hnsw_hit *hits, struct err *err) MUST_CHECK;

/* What hnsw_search_curve is to tell of each width, and where it puts the hits. */
struct hnsw_curve {
	struct hnsw_hit *hits; /* room for k */
	/*
	 * Width number ${i}: there are ${n} hits, and a search of this width computes
	 * ${distances} distances.  ${same}: the hits are those of the width before.
	 */
	void (*point)(void *ctx, size_t i, int n, uint64_t distances, bool same);
	void *ctx;
};

/*
 * What hnsw_search finds at each of ${n} >= 1 increasing beam widths, each at least 1, and how
 * many distances it computes for that, all from one search at the greatest.  0, or -1 when
 * memory runs out.
 */
int hnsw_search_curve(const struct hnsw *h, const float *query, size_t k, const uint32_t *ef,
		      size_t n, struct hnsw_scratch *s, const struct hnsw_curve *to,
		      struct err *err) MUST_CHECK;

/* The k exactly nearest rows, by computing every distance. */
int hnsw_search_exact(const struct hnsw *h, const float *query, size_t k, struct hnsw_scratch *s,
		      struct hnsw_hit *hits, struct err *err) MUST_CHECK;

/* The node of every row into ${out}, rows long. */
void hnsw_row_nodes(const struct hnsw *h, uint32_t *out);

/* The rank that a node has as a hit of a query (dim floats). */
float hnsw_node_rank(const struct hnsw *h, const float *query, uint32_t node,
		     struct hnsw_scratch *s);

/* The id of a row; ${tmp} holds it if ids are row numbers. */
struct span hnsw_id(const struct hnsw *h, uint32_t row, char tmp[static VEC_ID_TEXT_MAX]);

#endif
