/* SPDX-License-Identifier: MIT */
#include "record/build.h"

#include <stdlib.h>
#include <string.h>

void build_record_write(struct buf *out, const struct build_record *r)
{
	struct json_out j = {.b = out};
	json_open(&j, '{');
	json_kv_cstr(&j, "index", r->index);
	json_key(&j, "config");
	config_write(&j, &r->config);
	json_kv_u64(&j, "vectors", r->vectors);
	json_kv_u64(&j, "dimensions", r->dimensions);
	json_kv_cstr(&j, "metric", vec_metric_name(r->metric));
	json_kv_cstr(&j, "storage", hnsw_storage_names[r->storage]);
	json_kv_f64(&j, "build_time_secs", r->build_time_secs);
	json_kv_u64(&j, "memory_bytes", r->memory_bytes);
	json_kv_cstr(&j, "vectors_digest", r->vectors_digest);
	json_kv_cstr(&j, "graph_digest", r->graph_digest);
	if (r->whole_digest[0]) {
		json_key(&j, "rung_of");
		json_open(&j, '{');
		json_kv_u64(&j, "vectors", r->whole_rows);
		json_kv_cstr(&j, "vectors_digest", r->whole_digest);
		json_close(&j, '}');
	}
	if (r->appended_to)
		json_kv_u64(&j, "appended_to", r->appended_to);
	json_kv_u64(&j, "threads", r->threads);
	json_key(&j, "keep_pruned");
	json_bool(&j, r->keep_pruned);
	json_close(&j, '}');
	buf_addc(out, '\n');
}

static void scan_digest(struct scan *s, char out[static DIGEST_TEXT_MAX])
{
	struct span v;
	if (scan_string(s, &v) && v.n < DIGEST_TEXT_MAX)
		memcpy(out, v.p, v.n);
}

static void scan_whole(struct scan *s, struct build_record *r)
{
	struct span key;
	if (!scan_object(s))
		return;
	while (scan_member(s, &key)) {
		if (span_is(key, "vectors"))
			scan_u64(s, &r->whole_rows);
		else if (span_is(key, "vectors_digest"))
			scan_digest(s, r->whole_digest);
		else
			scan_skip(s, NULL);
	}
}

int build_record_parse(struct build_record *r, struct span line, struct err *err)
{
	struct scan s;
	struct span key;
	bool time = false;
	*r = (struct build_record){0};
	scan_init(&s, line);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "index")) {
				scan_copy(&s, &r->index);
			} else if (span_is(key, "build_time_secs")) {
				time = scan_f64(&s, &r->build_time_secs);
			} else if (span_is(key, "config")) {
				r->has_config = config_scan(&s, &r->config);
			} else if (span_is(key, "graph_digest")) {
				scan_digest(&s, r->graph_digest);
			} else if (span_is(key, "vectors_digest")) {
				scan_digest(&s, r->vectors_digest);
			} else if (span_is(key, "rung_of")) {
				scan_whole(&s, r);
			} else if (span_is(key, "appended_to")) {
				scan_u64(&s, &r->appended_to);
			} else {
				scan_skip(&s, NULL);
			}
		}
	if (!scan_failed(&s) && (!r->index || !time))
		scan_fail(&s, r->index ? "no key 'build_time_secs'" : "no key 'index'");
	if (!scan_end(&s)) {
		scan_err(&s, err);
		build_record_release(r);
		return -1;
	}
	return 0;
}

struct config build_config(const struct hnsw_info *info, const struct build_record *r, uint32_t ef)
{
	enum hnsw_storage s = info->params.storage;
	bool known = r && r->has_config;
	return (struct config){
	    .ef_construction = info->params.ef_construction,
	    .ef_search = ef,
	    .m = info->params.m,
	    .seed = info->params.seed,
	    .storage = known				   ? r->config.storage
		       : s == HNSW_U8 || s == HNSW_SQ8 ? HNSW_AUTO
						       : s,
	    .rung = known ? r->config.rung : 0,
	};
}

void build_record_release(struct build_record *r)
{
	free(r->index);
	r->index = NULL;
}
