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
	json_kv_u64(&j, "threads", r->threads);
	json_key(&j, "keep_pruned");
	json_bool(&j, r->keep_pruned);
	json_close(&j, '}');
	buf_addc(out, '\n');
}

int build_record_parse(struct build_record *r, struct span line, struct err *err)
{
	struct scan s;
	struct span key, v;
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
				if (scan_string(&s, &v) && v.n < sizeof r->graph_digest)
					memcpy(r->graph_digest, v.p, v.n);
			} else if (span_is(key, "vectors_digest")) {
				if (scan_string(&s, &v) && v.n < sizeof r->vectors_digest)
					memcpy(r->vectors_digest, v.p, v.n);
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

void build_record_release(struct build_record *r)
{
	free(r->index);
	r->index = NULL;
}
