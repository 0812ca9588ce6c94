// SPDX-License-Identifier: MIT
// Builds and searches with hnswlib as it is installed.
#include <hnswlib/hnswlib.h>

#include <atomic>
#include <memory>
#include <thread>

#include "peer.h"

static std::unique_ptr<hnswlib::SpaceInterface<float>> make_space(const std::string &metric, size_t dim)
{
	if (metric == "l2")
		return std::make_unique<hnswlib::L2Space>(dim);
	return std::make_unique<hnswlib::InnerProductSpace>(dim);
}

static void build(const BuildArgs &a)
{
	auto space = make_space(a.metric, a.base.dim);
	auto start = Clock::now();
	hnswlib::HierarchicalNSW<float> index(space.get(), a.base.rows, a.m, a.ef);
	std::atomic<size_t> next{0};
	auto work = [&] {
		for (size_t i; (i = next++) < a.base.rows;)
			index.addPoint(a.base.row(i), i);
	};
	std::vector<std::thread> pool;
	for (size_t t = 1; t < a.threads; t++)
		pool.emplace_back(work);
	work();
	for (auto &t : pool)
		t.join();
	double took = seconds_since(start);
	index.saveIndex(a.out);
	/* What it allocates per element, besides its mutexes and its table of labels. */
	std::printf("{\"build_time_secs\":%.6f,\"memory_bytes\":%zu}\n", took,
	            (size_t)a.base.rows * index.size_data_per_element_);
}

static void search(const SearchArgs &a)
{
	auto space = make_space(a.metric, a.base.dim);
	hnswlib::HierarchicalNSW<float> index(space.get(), a.index);
	for (size_t ef : a.efs) {
		index.setEf(ef);
		measure(ef, a.metric == "l2", a.base, a.queries, a.truth, a.min_seconds,
		        [&](const float *q, size_t k, int64_t *ids) {
			        auto found = index.searchKnn(q, k);
			        size_t n = 0;
			        for (; !found.empty(); found.pop())
				        ids[n++] = (int64_t)found.top().second;
			        return n;
		        });
	}
}

int main(int argc, char **argv)
{
	return peer_main(argc, argv, build, search);
}
