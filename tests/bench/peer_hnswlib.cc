// SPDX-License-Identifier: MIT
// Builds and searches with hnswlib as it is installed, for `make bench`.
//
//   peer_hnswlib build METRIC M EF_CONSTRUCTION THREADS BASE.fbin OUT
//   peer_hnswlib search METRIC INDEX BASE.fbin QUERIES.fbin TRUTH.ivecs SECONDS EF...
//
// Prints JSON lines like those of ours: {"build_time_secs":...} or
// {"ef_search":...,"recall_at_k_ties":...,"qps":...,"p50_us":...,"p99_us":...}.
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

static double seconds_since(Clock::time_point start)
{
	return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] static void die(const std::string &what)
{
	std::fprintf(stderr, "peer_hnswlib: %s\n", what.c_str());
	std::exit(6);
}

struct Matrix {
	uint32_t rows = 0, dim = 0;
	std::vector<float> data;
	const float *row(size_t i) const { return data.data() + i * dim; }
};

static Matrix read_fbin(const char *path, bool normalise)
{
	Matrix m;
	FILE *f = std::fopen(path, "rb");
	uint32_t head[2];
	if (!f || std::fread(head, 4, 2, f) != 2)
		die(std::string("cannot read ") + path);
	m.rows = head[0];
	m.dim = head[1];
	m.data.resize((size_t)m.rows * m.dim);
	if (std::fread(m.data.data(), 4, m.data.size(), f) != m.data.size())
		die(std::string("truncated ") + path);
	std::fclose(f);
	for (size_t i = 0; normalise && i < m.rows; i++) {
		float *v = m.data.data() + i * m.dim;
		double s = 0;
		for (uint32_t d = 0; d < m.dim; d++)
			s += (double)v[d] * v[d];
		for (uint32_t d = 0; s > 0 && d < m.dim; d++)
			v[d] = (float)(v[d] / std::sqrt(s));
	}
	return m;
}

static std::vector<std::vector<int32_t>> read_ivecs(const char *path)
{
	std::vector<std::vector<int32_t>> out;
	FILE *f = std::fopen(path, "rb");
	int32_t n;
	if (!f)
		die(std::string("cannot read ") + path);
	while (std::fread(&n, 4, 1, f) == 1) {
		std::vector<int32_t> row((size_t)n);
		if (std::fread(row.data(), 4, row.size(), f) != row.size())
			die(std::string("truncated ") + path);
		out.push_back(row);
	}
	std::fclose(f);
	return out;
}

static std::unique_ptr<hnswlib::SpaceInterface<float>> make_space(const std::string &metric, size_t dim)
{
	if (metric == "l2")
		return std::make_unique<hnswlib::L2Space>(dim);
	return std::make_unique<hnswlib::InnerProductSpace>(dim);
}

static int build(char **a)
{
	std::string metric = a[0];
	size_t m = std::strtoul(a[1], nullptr, 10), ef = std::strtoul(a[2], nullptr, 10),
	       threads = std::strtoul(a[3], nullptr, 10);
	Matrix base = read_fbin(a[4], metric == "cosine");
	auto space = make_space(metric, base.dim);
	auto start = Clock::now();
	hnswlib::HierarchicalNSW<float> index(space.get(), base.rows, m, ef);
	std::atomic<size_t> next{0};
	auto work = [&] {
		for (size_t i; (i = next++) < base.rows;)
			index.addPoint(base.row(i), i);
	};
	std::vector<std::thread> pool;
	for (size_t t = 1; t < threads; t++)
		pool.emplace_back(work);
	work();
	for (auto &t : pool)
		t.join();
	double took = seconds_since(start);
	index.saveIndex(a[5]);
	/* What it allocates per element, besides its mutexes and its table of labels. */
	size_t bytes = (size_t)base.rows * index.size_data_per_element_;
	std::printf("{\"build_time_secs\":%.6f,\"memory_bytes\":%zu}\n", took, bytes);
	return 0;
}

static double percentile(std::vector<double> v, double p)
{
	std::sort(v.begin(), v.end());
	return v[(size_t)std::llround((double)(v.size() - 1) * p)];
}

static int search(int n_efs, char **a)
{
	std::string metric = a[0];
	bool cosine = metric == "cosine";
	Matrix base = read_fbin(a[2], cosine), queries = read_fbin(a[3], cosine);
	auto truth = read_ivecs(a[4]);
	double min_seconds = std::strtod(a[5], nullptr);
	auto space = make_space(metric, base.dim);
	hnswlib::HierarchicalNSW<float> index(space.get(), a[1]);
	size_t n = std::min<size_t>(queries.rows, truth.size()), k = truth.at(0).size();
	auto distance = space->get_dist_func();
	void *param = space->get_dist_func_param();
	std::vector<double> limit(n);
	for (size_t i = 0; i < n; i++) {
		double d = distance(queries.row(i), base.row((size_t)truth[i].back()), param);
		limit[i] = d + 1e-6 * (metric == "l2" ? std::fabs(d) : std::fabs(d) + 1);
	}
	for (int e = 0; e < n_efs; e++) {
		size_t ef = std::strtoul(a[6 + e], nullptr, 10), good = 0;
		index.setEf(ef);
		std::vector<double> us(n), qps, p50, p99;
		double spent = 0;
		for (int round = 0; round < 4 || spent < min_seconds; round++) {
			auto round_start = Clock::now();
			for (size_t i = 0; i < n; i++) {
				auto start = Clock::now();
				auto found = index.searchKnn(queries.row(i), k);
				us[i] = seconds_since(start) * 1e6;
				if (round == 0)
					for (; !found.empty(); found.pop())
						good += found.top().first <= limit[i];
			}
			if (round == 0)
				continue;
			double took = seconds_since(round_start);
			spent += took;
			qps.push_back((double)n / took);
			p50.push_back(percentile(us, 0.5));
			p99.push_back(percentile(us, 0.99));
		}
		std::printf("{\"ef_search\":%zu,\"recall_at_k_ties\":%.6f,\"qps\":%.1f,\"p50_us\":%.3f,\"p99_us\":%.3f}\n",
		            ef, (double)good / (double)(n * k), percentile(qps, 0.5), percentile(p50, 0.5),
		            percentile(p99, 0.5));
		std::fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 8 && std::string(argv[1]) == "build")
		return build(argv + 2);
	if (argc > 8 && std::string(argv[1]) == "search")
		return search(argc - 8, argv + 2);
	std::fprintf(stderr, "usage: peer_hnswlib build METRIC M EFC THREADS BASE OUT\n"
	                     "       peer_hnswlib search METRIC INDEX BASE QUERIES TRUTH SECONDS EF...\n");
	return 2;
}
