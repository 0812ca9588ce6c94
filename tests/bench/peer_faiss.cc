// SPDX-License-Identifier: MIT
// Builds and searches with Faiss' IndexHNSWFlat as it is installed.
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/index_io.h>
#include <omp.h>

#include <memory>

#include "peer.h"

static void build(const BuildArgs &a)
{
	omp_set_num_threads((int)a.threads);
	auto start = Clock::now();
	/* Of unit vectors the nearest are the same by l2 and by cosine, and l2 is its faster side. */
	faiss::IndexHNSWFlat index((int)a.base.dim, (int)a.m,
	                           a.metric == "ip" ? faiss::METRIC_INNER_PRODUCT : faiss::METRIC_L2);
	index.hnsw.efConstruction = (int)a.ef;
	index.add(a.base.rows, a.base.data.data());
	double took = seconds_since(start);
	faiss::write_index(&index, a.out);
	size_t bytes = (size_t)a.base.rows * a.base.dim * sizeof(float) +
	               index.hnsw.neighbors.size() * sizeof(faiss::HNSW::storage_idx_t) +
	               index.hnsw.offsets.size() * sizeof(size_t) + index.hnsw.levels.size() * sizeof(int);
	std::printf("{\"build_time_secs\":%.6f,\"memory_bytes\":%zu}\n", took, bytes);
}

static void search(const SearchArgs &a)
{
	omp_set_num_threads(1);
	std::unique_ptr<faiss::Index> loaded(faiss::read_index(a.index));
	auto *index = dynamic_cast<faiss::IndexHNSW *>(loaded.get());
	if (!index)
		die("no IndexHNSW");
	std::vector<float> d(1024);
	for (size_t ef : a.efs) {
		index->hnsw.efSearch = (int)ef;
		measure(ef, a.metric == "l2", a.base, a.queries, a.truth, a.min_seconds,
		        [&](const float *q, size_t k, int64_t *ids) {
			        d.resize(k);
			        index->search(1, q, (int64_t)k, d.data(), ids);
			        return k;
		        });
	}
}

int main(int argc, char **argv)
{
	return peer_main(argc, argv, build, search);
}
