/* SPDX-License-Identifier: MIT */
/* hnsw-info - print header and statistics of an index, and check it */
#include "catalog/operand.h"
#include "cli/cli.h"
#include "json/write.h"

static struct {
	bool check, vectors;
	struct vec_input in;
	const char *store;
} o;

static const struct cli_opt opts[] = {
    {0, "check", NULL, "verify checksums, links, levels, rows, and that every node is reached",
     CLI_FLAG, &o.check, 0, 0, NULL},
    {0, "vectors", NULL, "the operands are vectors: print their number, dimension and digest",
     CLI_FLAG, &o.vectors, 0, 0, NULL},
    CLI_OPTS_INPUT(o.in),
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[--check] INDEX...\n--vectors VECTORS...",
    .about = "Print what index files hold, as one JSON line each.  INDEX is a file or the name\n"
	     "of a served index.",
    CLI_OPTS(opts),
};

static void print_info(const char *name, const struct hnsw *h)
{
	struct json_out j = {.b = &cli_out.b};
	struct hnsw_info info;
	char digest[DIGEST_TEXT_MAX];
	hnsw_info(h, true, &info);
	json_open(&j, '{');
	json_kv_cstr(&j, "index", name);
	json_kv_cstr(&j, "metric", vec_metric_name(info.params.metric));
	json_kv_cstr(&j, "storage", hnsw_storage_names[info.params.storage]);
	json_kv_u64(&j, "vectors", info.rows);
	json_kv_u64(&j, "distinct_vectors", info.nodes);
	json_kv_u64(&j, "dimensions", info.dim);
	json_kv_u64(&j, "m", info.params.m);
	json_kv_u64(&j, "m0", info.m0);
	json_kv_u64(&j, "ef_construction", info.params.ef_construction);
	json_kv_u64(&j, "ef_search", info.params.ef_search);
	json_kv_u64(&j, "seed", info.params.seed);
	json_key(&j, "keep_pruned");
	json_bool(&j, info.params.keep_pruned);
	json_key(&j, "nodes_by_top_layer");
	json_open(&j, '[');
	for (uint32_t l = 0; l <= info.max_level; l++)
		json_u64(&j, info.level_nodes[l]);
	json_close(&j, ']');
	json_kv_f64(&j, "mean_degree", (double)info.links / (double)info.nodes);
	json_kv_u64(&j, "max_degree", info.max_degree);
	json_kv_u64(&j, "starts", info.starts);
	json_kv_u64(&j, "vector_bytes", info.vector_bytes);
	json_kv_u64(&j, "code_bytes", info.code_bytes);
	json_kv_u64(&j, "link_bytes", info.link_bytes);
	json_kv_u64(&j, "id_bytes", info.id_bytes);
	json_kv_u64(&j, "memory_bytes", info.total_bytes);
	digest_text(info.vectors_digest, digest);
	json_kv_cstr(&j, "vectors_digest", digest);
	digest_text(info.graph_digest, digest);
	json_kv_cstr(&j, "graph_digest", digest);
	if (o.check)
		json_kv_cstr(&j, "check", "ok");
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
}

static int print_vectors(struct operands *operands, struct err *err)
{
	struct json_out j = {.b = &cli_out.b};
	struct vec_set set;
	struct digest d;
	char digest[DIGEST_TEXT_MAX];
	struct par *par = par_new(cli_threads(0), err);
	int ret = par ? operand_vectors(operands, cli.operand, cli.n_operands,
					&o.in, &set, NULL, err)
		      : -1;
	if (ret == 0) {
		ret = vec_set_digest(&set, par, &d, err);
		if (ret == 0) {
			digest_text(d, digest);
			json_open(&j, '{');
			json_kv_u64(&j, "vectors", set.rows);
			json_kv_u64(&j, "dimensions", set.dim);
			json_kv_cstr(&j, "vectors_digest", digest);
			json_close(&j, '}');
			buf_addc(&cli_out.b, '\n');
		}
		vec_set_release(&set);
	}
	par_free(par);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	int status = 0;
	cli_parse(&cli, argc, argv, 1, SIZE_MAX);
	if (o.vectors && o.check)
		cli_usage(&cli, "only one of --vectors and --check can be meant");
	struct operands operands = {.store_url = cli_store(o.store), .warn = cli_warn_to(&cli)};
	if (o.vectors && print_vectors(&operands, &err) != 0)
		status = cli_error(&cli, &err);
	for (size_t i = 0; !o.vectors && i < cli.n_operands; i++) {
		struct hnsw *h = operand_index(&operands, cli.operand[i], HNSW_MAP, &err);
		if (!h || (o.check && hnsw_check(h, &err) != 0))
			status = cli_error(&cli, &err);
		else
			print_info(cli.operand[i], h);
		hnsw_free(h);
	}
	operands_release(&operands);
	return cli_finish(&cli, status);
}
