/* SPDX-License-Identifier: MIT */
#ifndef VEC_HVEC_H
#define VEC_HVEC_H

#include <stdint.h>

#include "base/chunk.h"

/* A file of vectors with ids (see base/chunk.h and hnsw-store(5)). */
#define HVEC_KIND CHUNK_NAME('v', 'e', 'c', 's')
#define HVEC_VERSION 1
#define HVEC_HEAD CHUNK_NAME('h', 'e', 'a', 'd')
#define HVEC_VECTORS                                                                              \
	CHUNK_NAME('v', 'e', 'c', 't')		    /* rows x dim elements, row-major, no padding \
						     */
#define HVEC_ID_ENDS CHUNK_NAME('i', 'd', 'e', 'n') /* u64 a row: where its id ends in the text */
#define HVEC_ID_TEXT CHUNK_NAME('i', 'd', 't', 'x') /* the ids, one after the other */

struct hvec_head {
	uint32_t type; /* enum vec_type */
	uint32_t dim;
	uint64_t rows;
};

#endif
