#!/bin/sh
# A directory as the service that this re-creates writes it: its Trials, promotions, eval sets
# and index records are read, tuned and written so that it would read them again.
. "$(dirname "$0")/lib.sh"

# ---- the directory ----
o=its
mkdir -p $o/_hnsw_trials/resumes_100k_v2 $o/_hnsw_trials/threat_intel_v1 $o/_hnsw_promotions $o/_hnsw_evals $o/vectors/meta $o/datasets/threat_intel store
echo '{"primary":"../its"}' >store/buckets.json
printf 'PAR1 not ours PAR1' >$o/vectors/threat_intel_v1.parquet
printf 'PAR1' >$o/datasets/threat_intel/part-0.parquet
echo '{"buckets":[{"name":"primary"}]}' >$o/registry.json

# its_trial ID INDEX EC ES SEED RECALL P50 BUILD_SECS VECTORS QUERIES TIME NOTE
its_trial() {
	printf '{"id":"%s","index_name":"%s","eval_set":"%s_smoke","config":{"ef_construction":%s,"ef_search":%s,"seed":%s},"metrics":{"build_time_secs":%s,"search_latency_p50_us":%s,"search_latency_p95_us":%s,"search_latency_p99_us":%s,"recall_at_k":%s,"memory_bytes":320000000,"vectors":%s,"eval_queries":%s,"brute_force_latency_us":44000.0},"created_at":"%s","note":%s}\n' \
		"$1" "$2" "${2%_v*}" "$3" "$4" "$5" "$8" "$7" "$(echo "$7" | awk '{printf "%.1f", $1 * 1.5}')" "$(echo "$7" | awk '{printf "%.1f", $1 * 2}')" "$6" "$9" "${10}" "${11}" "${12}"
}
r=resumes_100k_v2 t=threat_intel_v1
{
	its_trial trial-1776319628000-1a2b3c4d $r 20 30 null 0.96 509.0 8.1 100000 20 2026-04-16T06:07:08.123456789Z '"first"'
	its_trial trial-1776319858000-2b3c4d5e $r 80 30 null 1.0 873.0 230.0 100000 20 2026-04-16T06:10:58.000000001Z null
	its_trial trial-1776319999000-3c4d5e6f $r 200 30 42 1.0 874.0 106.0 100000 20 2026-04-16T06:13:19Z null
	echo '{"id":"half a li'
} >$o/_hnsw_trials/$r/batch_00001776319628000000.jsonl
its_trial trial-1776352581000-4d5e6f70 $t 20 30 42 1.0 64.0 0.02 54 10 2026-04-16T15:16:21.5Z '"autotune"' |
	sed 's/"note"/"gpu":{"name":"none","mem":1e3},"note"/' >$o/_hnsw_trials/$t/batch_00001776352581000000.jsonl
its_trial trial-1776352581100-5e6f7081 $t 80 30 42 1.0 70.0 0.1 54 10 2026-04-16T15:16:21.600000000Z null >$o/_hnsw_trials/$t/batch_00001776352581100000.jsonl
cat >$o/_hnsw_promotions/$t.json <<'END'
{"index_name":"threat_intel_v1","current":{"config":{"ef_construction":20,"ef_search":30,"seed":42},"trial_id":"trial-1776352581000-4d5e6f70","promoted_at":"2026-04-16T15:16:22.123456789Z","promoted_by":"autotune","note":"autotune winner: recall=1.000 p50=64us","ticket":"A-1"},"history":[{"config":{"ef_construction":80,"ef_search":30,"seed":null},"trial_id":"trial-1776352581100-5e6f7081","promoted_at":"2026-04-16T15:16:21.999999999Z","promoted_by":"j","note":null}],"owner":"j","weights":[1.50,2E0]}
END
cat >$o/vectors/meta/$t.json <<'END'
{"index_name":"threat_intel_v1","source":"threat_intel","model_name":"nomic-embed-text","model_version":"v1.5","dimensions":64,"chunk_count":54,"doc_count":54,"chunk_size":500,"overlap":50,"storage_key":"vectors/threat_intel_v1.parquet","created_at":"2026-04-10T01:02:03.000000004Z","build_time_secs":1.25,"chunks_per_sec":43.2,"bucket":"primary","tenant":{"id":7}}
END
cp $o/vectors/meta/$t.json meta.before
sed "s/$t/$r/; s/\"source\":\"threat_intel\"/\"source\":\"resumes\"/; s/,\"bucket\":\"primary\"//" meta.before >$o/vectors/meta/$r.json

awk 'BEGIN {
	split("ransomware phishing botnet rootkit worm keylogger", a)
	split("hospital bank airport refinery school mill port farm court", b)
	for (i = 0; i < 54; i++) printf "{\"id\":\"doc-%d\",\"text\":\"%s at the %s, report %d\"}\n", i, a[i % 6 + 1], b[int(i / 6) + 1], i * 7
}' >texts.jsonl
embed --embedder hash:64 texts.jsonl >v.jsonl
evalset -q --texts texts.jsonl -N 10 --index $t -o ours.json v.jsonl
# As it writes them: no digest, no metric, keys of its own.
jq -c '{name: "threat_intel_smoke", index_name, k, queries: [.queries[] | {id, query_text, ground_truth, query_embedding, tag: "x"}], created_at: "2026-04-16T15:00:00.000000001Z", ground_truth_built, autogen: true}' ours.json >$o/_hnsw_evals/threat_intel_smoke.json
jq -c '.name = "fresh" | .ground_truth_built = false | .queries[].ground_truth = null' $o/_hnsw_evals/threat_intel_smoke.json >$o/_hnsw_evals/fresh.json
cp -R $o before

# unchanged [NAME...]: every file of before, but those named, is as it was
unchanged() {
	(cd before && find . -type f) | while IFS= read -r f; do
		case " $* " in *" $f "*) continue ;; esac
		cmp "before/$f" "$o/$f" || exit 1
	done
}

# ---- reading ----
check "its Trials, byte by byte" "trial-list $r 2>w >l; head -n 3 $o/_hnsw_trials/$r/*.jsonl | cmp - l"
check "a line that it skips is skipped and told of" "grep -q \"skipping 'batch_00001776319628000000.jsonl' line 4\" w"
check "two batches in order, unknown keys and all" "trial-list $t >l; cat $o/_hnsw_trials/$t/batch_*.jsonl | cmp - l"
same trial-1776319999000-3c4d5e6f "best by recall: the latest of equal ones" "trial-best --by recall $r 2>w | jq -r .id"
same trial-1776319628000-1a2b3c4d "best by latency" "trial-best --by latency $r 2>w | jq -r .id"
same trial-1776319628000-1a2b3c4d "best by pareto" "trial-best --by pareto $r 2>w | jq -r .id"
same 2 "the frontier" "trial-best --by frontier $r 2>w | wc -l | tr -d ' '"
same '{"ef_construction":20,"ef_search":30,"seed":42,"m":32}' "what is promoted; its links are 32" promoted $t
check "who, when and why, to the nanosecond" "promoted --full $t | jq -e '.current.promoted_at == \"2026-04-16T15:16:22.123456789Z\" and .current.promoted_by == \"autotune\" and (.history | length) == 1 and .owner == \"j\"'"
check "promoted --list" "promoted --list | jq -e '.index_name == \"$t\"'"
check "its index records" "index-list | jq -se 'map([.index_name, .source, .model_name, .chunk_count]) == [[\"$r\", \"resumes\", \"nomic-embed-text\", 54], [\"$t\", \"threat_intel\", \"nomic-embed-text\", 54]]'"
check "its eval set" "evalset --info threat_intel_smoke | jq -e '.k == 10 and .queries == 10 and .dimensions == 64 and .ground_truth_built and .vectors_digest == \"\"'"
check "a proposal around its champion" "propose $t | jq -e '.m == 32 and .seed == 42'"
check "bucket-list tells where it is" "bucket-list primary | jq -e '.reachable and .indexes == [\"$r\", \"$t\"]'"
status 1 "its vectors are not read" hnsw-build $t -o x.hnsw
says "dataset 'threat_intel' of index '$t' has no vectors" "which is said"
check "reading changed nothing" "unchanged && diff -r before $o"

# ---- its vectors, once ----
hnsw-convert v.jsonl -o v.npy
jq -r .id v.jsonl >ids
check "ingested from .npy" "ingest --ids ids --batch-id its threat_intel v.npy | jq -e '.rows == 54'"
check "from JSONL it is the same batch" "ingest --batch-id its threat_intel v.jsonl | jq -e '.repeated and .total == 54'"

# ---- tuning ----
check "autotune on its eval set" "autotune --by winner $t threat_intel_smoke | jq -e '.trials == 6 and .winner.metrics.recall_at_k > 0.9'"
check "its champion's config is measured too" "trial-list $t | jq -se 'map(select(.provenance != null) | .config | [.ef_construction, .ef_search, .m]) | any(. == [20, 30, 32])'"
check "promote by hand" "promote --by j --note 'by hand' $t trial-1776352581100-5e6f7081 | jq -e '.current.trial_id == \"trial-1776352581100-5e6f7081\"'"
p=$o/_hnsw_promotions/$t.json
check "the promotion before is kept byte by byte" "grep -qF '\"promoted_at\":\"2026-04-16T15:16:21.999999999Z\",\"promoted_by\":\"j\",\"note\":null}' $p && grep -qF '\"note\":\"autotune winner: recall=1.000 p50=64us\",\"ticket\":\"A-1\"}' $p"
check "so are keys that only it knows" "grep -qF '\"owner\":\"j\"' $p && grep -qF '\"weights\":[1.50,2E0]' $p"
check "roll back until its own promotions are current again" "for i in 1 2 3; do promoted --full $t | jq -e '.current.trial_id == \"trial-1776352581000-4d5e6f70\"' >o1 && break; rollback $t >o1 || exit 1; done; promoted --full $t | jq -e '.current.promoted_at == \"2026-04-16T15:16:22.123456789Z\" and .current.ticket == \"A-1\"'"
check "and the one before it, and then none" "rollback $t | jq -e '.current.promoted_by == \"j\" and .current.config.seed == null' && rollback $t | jq -e '.current == null and .history == []'"
check "activate serves it" "promote --no-pin $t trial-1776352581000-4d5e6f70 >o1; activate $t && head -n 1 v.jsonl | hnsw-search -k 1 $t | jq -e '.hits[0].id == \"doc-0\"'"
says "building HNSW ef_construction=20 ef_search=30 seed=42 m=32" "and says what it builds"
check "an eval set of which it never computed the answers" "autotune --grid 30/30 $t fresh | jq -e '.trials >= 1' && jq -e '.ground_truth_built and .autogen and all(.queries[]; .tag == \"x\" and (.ground_truth | length) == 10)' $o/_hnsw_evals/fresh.json"
check "the agent's way, by hand" "propose $t | hnsw-build -q --config - $t -o t.hnsw | hnsw-bench --seconds 0 --index $t --note 'agent: manual' - threat_intel_smoke | trial-append | promote --if-better --min-recall 0.9 --by agent $t; test \$? -le 1"
check "an index record is changed and keeps what it has" "index-add --eval-set threat_intel_smoke $t | jq -e '.tenant == {id: 7} and .model_version == \"v1.5\" and .created_at == \"2026-04-10T01:02:03.000000004Z\" and .eval_set == \"threat_intel_smoke\" and .storage_key == \"vectors/threat_intel_v1.parquet\" and .chunks_per_sec == 43.2'"

# ---- what it would read again ----
check "whatever was not ours to write is as it was" "unchanged ./_hnsw_promotions/$t.json ./_hnsw_evals/fresh.json ./vectors/meta/$t.json"
check "batches are plain files of its names" "ls $o/_hnsw_trials/$t | grep -vxE 'batch_[0-9]{20}\.jsonl' >l; test ! -s l"
cat >shapes.jq <<'END'
def int: type == "number" and . == floor and . >= 0;
def time: type == "string" and test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\\.[0-9]+)?Z$");
def text_or_null: . == null or type == "string";
def config: (.ef_construction | int) and (.ef_search | int) and (.seed | . == null or int);
def trial: ([.id, .index_name, .eval_set] | all(type == "string")) and (.config | config) and
	([.metrics | .build_time_secs, .search_latency_p50_us, .search_latency_p95_us, .search_latency_p99_us,
		.recall_at_k, .brute_force_latency_us] | all(type == "number")) and
	([.metrics | .memory_bytes, .vectors, .eval_queries] | all(int)) and (.created_at | time) and (.note | text_or_null);
def entry: (.config | config) and ([.trial_id, .promoted_by] | all(type == "string")) and (.promoted_at | time) and (.note | text_or_null);
def promotion: (.index_name | type) == "string" and (.current | . == null or entry) and (.history | type == "array" and all(entry));
def evals: ([.name, .index_name] | all(type == "string")) and (.k | int) and (.ground_truth_built | type) == "boolean" and (.created_at | time) and
	(.queries | all((.id | type) == "string" and (.query_text | type) == "string" and
		(.ground_truth | . == null or all(type == "string")) and (.query_embedding | . == null or all(type == "number"))));
def meta: ([.index_name, .source, .model_name, .model_version, .storage_key, .created_at, .bucket] | all(type == "string")) and
	([.dimensions, .chunk_count, .doc_count, .chunk_size, .overlap] | all(int)) and ([.build_time_secs, .chunks_per_sec] | all(type == "number"));
END
check "Trials have the shape that it reads" "cat $o/_hnsw_trials/$t/*.jsonl | jq -se '$(cat shapes.jq) length >= 9 and all(.[]; trial)'"
check "whole numbers are written as such" "! cat $o/_hnsw_trials/$t/batch_*.jsonl | grep -E '\"(memory_bytes|vectors|eval_queries|ef_construction|ef_search|seed)\":[0-9]*[.eE]'"
check "so has the promotion file" "jq -e '$(cat shapes.jq) promotion' $p"
check "the eval sets" "jq -se '$(cat shapes.jq) all(.[]; evals)' $o/_hnsw_evals/*.json"
check "and the index record" "jq -e '$(cat shapes.jq) meta' $o/vectors/meta/$t.json"
check "a compacted journal too" "trial-list $t >l; trial-compact $t >o1; trial-list $t | cmp - l && ls $o/_hnsw_trials/$t | grep -qxE 'batch_compacted_[0-9]{20}\.jsonl'"
finish
