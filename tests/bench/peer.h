// SPDX-License-Identifier: MIT
// What the programs that measure other libraries have in common: reading the files, timing,
// counting recall, and what they print.
//
//   PEER build METRIC M EF_CONSTRUCTION THREADS BASE.fbin OUT
//   PEER search METRIC INDEX BASE.fbin QUERIES.fbin TRUTH.ivecs SECONDS EF...
//
// They print JSON lines like those of ours: {"build_time_secs":...,"memory_bytes":...} and
// {"ef_search":...,"recall_at_k_ties":...,"qps":...,"p50_us":...,"p99_us":...}.
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

static double seconds_since(Clock::time_point start)
{
	return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] static void die(const std::string &what)
{
	std::fprintf(stderr, "peer: %s\n", what.c_str());
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

static double distance(bool l2, const float *a, const float *b, size_t dim)
{
	double s = 0;
	for (size_t i = 0; i < dim; i++)
		s += l2 ? ((double)a[i] - b[i]) * ((double)a[i] - b[i]) : (double)a[i] * b[i];
	return l2 ? s : 1 - s;
}

static double percentile(std::vector<double> v, double p)
{
	std::sort(v.begin(), v.end());
	return v[(size_t)std::llround((double)(v.size() - 1) * p)];
}

// Measure find(query, k, ids) at one ef, which is set already: one round to count recall, then at
// least three and as long as asked for.
template <class Find>
static void measure(size_t ef, bool l2, const Matrix &base, const Matrix &queries,
                    const std::vector<std::vector<int32_t>> &truth, double min_seconds, Find find)
{
	size_t n = std::min<size_t>(queries.rows, truth.size()), k = truth.at(0).size(), good = 0;
	std::vector<double> us(n), qps, p50, p99;
	std::vector<int64_t> ids(k);
	double spent = 0;
	for (int round = 0; round < 4 || spent < min_seconds; round++) {
		auto round_start = Clock::now();
		for (size_t i = 0; i < n; i++) {
			auto start = Clock::now();
			size_t found = find(queries.row(i), k, ids.data());
			us[i] = seconds_since(start) * 1e6;
			if (round > 0)
				continue;
			double d = distance(l2, queries.row(i), base.row((size_t)truth[i].back()), base.dim);
			double limit = d + 1e-6 * (l2 ? std::fabs(d) : std::fabs(d) + 1);
			for (size_t j = 0; j < found; j++)
				good += ids[j] >= 0 &&
				        distance(l2, queries.row(i), base.row((size_t)ids[j]), base.dim) <= limit;
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

struct BuildArgs {
	std::string metric;
	size_t m, ef, threads;
	Matrix base;
	const char *out;
};

struct SearchArgs {
	std::string metric;
	const char *index;
	Matrix base, queries;
	std::vector<std::vector<int32_t>> truth;
	double min_seconds;
	std::vector<size_t> efs;
};

template <class Build, class Search>
static int peer_main(int argc, char **argv, Build build, Search search)
{
	if (argc == 8 && std::string(argv[1]) == "build") {
		std::string metric = argv[2];
		build(BuildArgs{metric, std::strtoul(argv[3], nullptr, 10), std::strtoul(argv[4], nullptr, 10),
		                std::strtoul(argv[5], nullptr, 10), read_fbin(argv[6], metric == "cosine"),
		                argv[7]});
		return 0;
	}
	if (argc > 8 && std::string(argv[1]) == "search") {
		std::string metric = argv[2];
		bool cosine = metric == "cosine";
		SearchArgs a{metric, argv[3], read_fbin(argv[4], cosine), read_fbin(argv[5], cosine),
		             read_ivecs(argv[6]), std::strtod(argv[7], nullptr), {}};
		for (int i = 8; i < argc; i++)
			a.efs.push_back(std::strtoul(argv[i], nullptr, 10));
		search(a);
		return 0;
	}
	std::fprintf(stderr, "usage: %s build METRIC M EFC THREADS BASE OUT\n"
	                     "       %s search METRIC INDEX BASE QUERIES TRUTH SECONDS EF...\n",
	             argv[0], argv[0]);
	return 2;
}

#endif
