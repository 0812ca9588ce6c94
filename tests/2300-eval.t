#!/bin/sh
# Eval sets and measuring.
. "$(dirname "$0")/lib.sh"

vectors 1500 8 1 >v.jsonl
vectors 30 8 2 q >q.jsonl
for metric in cosine l2 ip; do
	check "$metric: answers from a file of queries" evalset --metric $metric --queries q.jsonl -k 7 -o $metric.json v.jsonl
	# An independent computation, in 64-bit floats.
	check "$metric: they are the exact ones" "jq -sc --arg metric $metric --slurpfile v v.jsonl '
		def dot(\$a; \$b): reduce range(0; \$a | length) as \$i (0; . + \$a[\$i] * \$b[\$i]);
		def dist(\$a; \$b): if \$metric == \"l2\" then [range(0; \$a | length) as \$i | \$a[\$i] - \$b[\$i]] as \$d | dot(\$d; \$d)
			elif \$metric == \"ip\" then 1 - dot(\$a; \$b)
			else 1 - dot(\$a; \$b) / ((dot(\$a; \$a) | sqrt) * (dot(\$b; \$b) | sqrt)) end;
		.[0].queries[0:4] | all(.[]; . as \$q | [\$v[] | {id, d: dist(.vector; \$q.query_embedding)}] | sort_by(.d)[0:7] | map(.id) == \$q.ground_truth)' $metric.json >out && grep -qx true out"
done
check "the record is as it should be" "jq -e '.name == \"l2\" and .k == 7 and (.queries | length) == 30 and .ground_truth_built and .metric == \"l2\" and
	(.vectors_digest | length) == 32 and .queries[3].id == \"q3\" and .queries[0].query_text == \"\" and (.created_at | endswith(\"Z\"))' l2.json"
check "a sample is no answer to itself" "evalset -q -N 100 v.jsonl | jq -e '(.queries | length) == 100 and all(.queries[]; .exclude == .id and ([.id] - .ground_truth == [.id]))'"
check "equal seeds sample alike" "evalset -q -N 50 v.jsonl | jq -c .queries >a; evalset -q -N 50 v.jsonl | jq -c .queries | cmp - a; evalset -q -N 50 --seed 9 v.jsonl | jq -c .queries | cmp -s - a; test \$? -eq 1"
check "at most half is sampled" "head -n 5 v.jsonl | evalset -q - | jq -e '(.queries | length) == 2'"
status 6 "an eval set that cannot be written" "evalset -q -N 5 -o nodir/x.json v.jsonl"
check "is not printed either" "test ! -s out"
check "held-out queries are taken out" "evalset -q -N 200 --hold-out rest.jsonl -o held.json v.jsonl && test \$(wc -l <rest.jsonl) -eq 1300 &&
	jq -r '.queries[].id' held.json >ids && ! jq -r .id rest.jsonl | grep -qxFf ids && jq -e 'all(.queries[]; .exclude == null)' held.json"
check "and their answers are among the rest" "jq -r '.queries[].ground_truth[]' held.json | sort -u >a; jq -r .id rest.jsonl | sort >b; test -z \"\$(comm -23 a b)\""
check "texts as queries" "printf '%s\n' '{\"id\":\"a\",\"text\":\"fast web browser\"}' '{\"id\":\"b\",\"text\":\"password manager\"}' >t.jsonl; embed --embedder hash:64 t.jsonl | evalset -q --texts t.jsonl - | jq -e '.queries[0].query_text == \"fast web browser\" and .queries[0].ground_truth[0] == \"a\" and .queries[1].ground_truth[0] == \"b\"'"
check "duplicates: ties are in order of row" "(for i in 1 2 3 4 5 6 7 8 9; do echo \"{\\\"id\\\":\\\"x\$i\\\",\\\"vector\\\":[1,0]}\"; done; echo '{\"id\":\"y\",\"vector\":[0,1]}') >d.jsonl; echo '[1,0]' | evalset -q --queries - -k 3 d.jsonl | jq -e '.queries[0].ground_truth == [\"x1\",\"x2\",\"x3\"]'"
status 3 "queries of another dimension" "echo '[1]' | evalset --queries - v.jsonl"
status 3 "no queries" "evalset --queries - v.jsonl </dev/null"
status 2 "two sources of queries" evalset --queries q.jsonl --hold-out r.jsonl v.jsonl
status 3 "one vector is too few to sample" "head -n 1 v.jsonl | evalset -"

# ---- hnsw-bench ----
hnsw-build --metric l2 v.jsonl -o i.hnsw >i.json
check "a Trial for each ef_search" hnsw-bench --seconds 0 --index x --note why -s 7,20,1500 i.json l2.json
cp out trials
check "as it should be" "jq -se 'length == 3 and all(.[]; .index_name == \"x\" and .eval_set == \"l2\" and .note == \"why\" and (.id | test(\"^trial-[0-9]{13}-[0-9a-f]{8}\$\")) and
	.metrics.vectors == 1500 and .metrics.eval_queries == 30 and .metrics.build_time_secs > 0 and .metrics.brute_force_latency_us > 0 and
	.metrics.search_latency_p50_us > 0 and .metrics.search_latency_p50_us <= .metrics.search_latency_p95_us and .metrics.search_latency_p95_us <= .metrics.search_latency_p99_us and
	.metrics.memory_bytes > 1500 * 64 and .provenance.threads == 1 and (.provenance | .vectors_digest, .eval_digest, .graph_digest, .host, .cpu, .version | type == \"string\"))' trials"
check "vectors on disk are not counted, but told of" "hnsw-bench -q --seconds 0 --vectors disk -s 7,20,1500 i.json l2.json >disk && jq -se --slurpfile t trials '.[0].metrics.memory_bytes < \$t[0].metrics.memory_bytes and
	(map(.metrics.recall_at_k) == (\$t | map(.metrics.recall_at_k))) and all(.[]; .metrics | .disk_bytes == 1500 * 16 * 4 and .disk_cached_bytes >= 0) and (\$t[0].metrics | has(\"disk_bytes\") | not)' disk"
status 2 "a mapped index has them there already" hnsw-bench --map --vectors disk i.json l2.json
check "a beam as wide as the index has recall 1" "jq -se '.[2].metrics | .recall_at_k == 1 and .recall_at_k_ties == 1' trials"
check "a wider beam has no less recall" "jq -se 'map(.metrics.recall_at_k) | . == sort' trials"
check "what it prints can be appended" "trial-append <trials | cmp - trials"
check "a range of ef_search" "hnsw-bench --seconds 0 -s 10:14 i.json l2.json | jq -s 'map(.config.ef_search)' | tr -d ' \n' | grep -qx '\[10,11,12,13,14\]'"
check "build records on stdin" "cat i.json i.json | hnsw-bench --seconds 0 - l2.json | jq -se 'length == 2 and .[0].config.ef_search == 30'"
check "an index file alone: the time is not known" hnsw-bench --seconds 0 i.hnsw l2.json
says "build_time_secs is not known and recorded as 0" "which is said"
check "recall counts what is true" "hnsw-search -k 7 -s 9 i.hnsw q.jsonl >hits; jq -n --slurpfile h hits --slurpfile e l2.json '[range(0; 30) as \$i | (\$h[\$i].hits | map(.id)) as \$found | \$e[0].queries[\$i].ground_truth | map(select(. as \$t | any(\$found[]; . == \$t))) | length / 7] | add / 30' >want; hnsw-bench -q --seconds 0 -s 9 i.hnsw l2.json | jq .metrics.recall_at_k >got; paste want got | awk '{d = \$1 - \$2; exit !(d * d < 1e-18)}'"
hnsw-build --metric l2 d.jsonl -o d.hnsw >out
check "ties count beside the plain recall" "echo '[1,0]' | evalset -q --metric l2 --queries - -k 3 -o d.json d.jsonl; jq -c '.queries[0].ground_truth = [\"x7\",\"x8\",\"x9\"]' d.json >d2.json; hnsw-bench -q --seconds 0 d.hnsw d2.json | jq -e '.metrics.recall_at_k == 0 and .metrics.recall_at_k_ties == 1'"
check "fewer answers than k" "jq -c '.queries[0].ground_truth = [\"x1\"]' d.json >d3.json; hnsw-bench -q --seconds 0 d.hnsw d3.json | jq -e '.metrics.recall_at_k == 1'"

for k in 1 3 6; do
	check "recall at $k from the answers for 7, as if they were for $k" "evalset -q --metric l2 --queries q.jsonl -k $k -o k.json v.jsonl; for of in '-k $k i.json l2.json' 'i.json k.json'; do hnsw-bench -q --seconds 0 -s 7 \$of | jq -c '[.metrics.k, .metrics.recall_at_k, .metrics.recall_at_k_ties, .metrics.recall_lcb, .provenance.eval_digest]'; done >two; test \$(sort -u two | wc -l) -eq 1 && grep -q '^\[$k,' two"
done
status 3 "k beyond the answers" hnsw-bench -k 8 i.json l2.json
says "eval set 'l2' has answers up to k=7, not 8" "is told of"
status 3 "in a duel too" trial-duel -k 8 i.json i.json l2.json

# ---- answers once ----
check "made again in the same place" evalset --metric l2 --queries q.jsonl -k 7 -o l2.json v.jsonl
says "answers known already" "nothing is computed"
check "the same answers" "evalset --metric l2 --queries q.jsonl -k 7 v.jsonl | jq -c '[.queries[].ground_truth]' >a; jq -c '[.queries[].ground_truth]' l2.json | cmp - a"
check "fewer of them" "cp l2.json less-k.json; evalset --metric l2 --queries q.jsonl -k 3 -o less-k.json v.jsonl 2>note && grep -q 'known already' note && jq -e 'all(.queries[]; .ground_truth | length == 3)' less-k.json && evalset --refresh less-k.json -o less-k2.json v.jsonl 2>note && grep -q 'known already' note"
check "more of them are computed" "cp l2.json more-k.json; evalset --metric l2 --queries q.jsonl -k 9 -o more-k.json v.jsonl 2>note && ! grep -q 'known already' note && jq -e 'all(.queries[]; .ground_truth | length == 9)' more-k.json"
check "a refresh of what is fresh" "evalset --refresh l2.json -o again.json v.jsonl 2>note && grep -q 'known already' note && jq -c .queries l2.json >a && jq -c .queries again.json | cmp - a"
for change in '.queries[3].query_embedding[0] += 0.1' '.queries[3].exclude = \"d7\"' '.queries[3].ground_truth[0] = \"d1\"' 'del(.truth_digest)' '.queries[3].ground_truth = null'; do
	check "not after $change" "jq -c \"$change\" l2.json >changed.json; evalset --refresh changed.json -o again.json v.jsonl 2>note && ! grep -q 'known already' note"
done
check "not by another metric" "evalset --metric ip --refresh l2.json -o again.json v.jsonl 2>note && ! grep -q 'known already' note"
check "not with other ids" "jq -c '.id = \"z\" + .id' v.jsonl >renamed.jsonl; evalset --refresh l2.json -o again.json renamed.jsonl 2>note && ! grep -q 'known already' note && jq -e '.queries[0].ground_truth[0] | startswith(\"z\")' again.json"
check "not with other vectors" "sed '\$d' v.jsonl | evalset --refresh l2.json -o again.json - 2>note && ! grep -q 'known already' note"

# ---- where queries come from ----
same sampled "a sample is known as one" "evalset -N 20 -o sampled.json v.jsonl 2>note && jq -r .query_source sampled.json"
check "and remarked on" "grep -F 'queries sampled from the data flatter' note"
check "not with -q" "evalset -q -N 20 v.jsonl 2>note >out.n && test ! -s note"
same sampled "what is held out is sampled, too" "evalset -N 20 --hold-out rest2.jsonl v.jsonl 2>note | jq -r .query_source && grep -qF 'sampled from the data' note"
same given "queries of a file are given" "evalset --queries q.jsonl v.jsonl 2>note | jq -r .query_source && ! grep -F 'sampled from' note"
same given "texts, too" "embed --embedder hash:64 t.jsonl | evalset -q --texts t.jsonl - | jq -r .query_source"
same log "those of a log are of one" "evalset --from-log q.jsonl -o logged.json v.jsonl 2>note && jq -r .query_source logged.json && ! grep -F 'sampled from' note"
for source in sampled given log null; do
	jq -c --arg s $source 'if $s == "null" then del(.query_source) else .query_source = $s end' sampled.json >s.json
	same "$(jq -Rc 'if . == "null" then null else . end' <<-END
		$source
	END
	)" "--info: $source" "evalset --info s.json | jq -c .query_source"
	check "a refresh keeps it: $source" "evalset --refresh s.json v.jsonl 2>note | jq -c .query_source >got && evalset --info s.json | jq -c .query_source | cmp - got && ! grep -F 'sampled from' note"
	check "it is in no digest: $source" "evalset --info s.json | jq -r .eval_digest >a; evalset --info sampled.json | jq -r .eval_digest | cmp - a"
done
same sampled "what is enlarged by sampling is sampled" "jq -c 'del(.query_source)' sampled.json >s.json; evalset -N 40 --refresh s.json v.jsonl 2>note | jq -r .query_source && grep -qF 'sampled from the data' note"
status 1 "no rows are added to what is given" "jq -c '.query_source = \"given\"' sampled.json >s.json; evalset -N 40 --refresh s.json v.jsonl"
status 3 "a source that is none" "jq -c '.query_source = \"x\"' sampled.json >s.json; evalset --info s.json"
says "expected query_source sampled, given or log" "which is said"
status 3 "nor a number" "jq -c '.query_source = 1' sampled.json >s.json; evalset --info s.json"

# ---- a log ----
check "the queries of a log, oldest first" "evalset -q --from-log q.jsonl v.jsonl | jq -c '[.queries[] | {id, vector: .query_embedding}]' >a; jq -sc '[.[] | {id, vector}]' q.jsonl | cmp - a"
for n in 1 7 29 30 31; do
	check "the newest $n" "evalset -q -N $n --from-log q.jsonl v.jsonl | jq -c '[.queries[] | {id, vector: .query_embedding}]' >a; tail -n $n q.jsonl | jq -sc '[.[] | {id, vector}]' | cmp - a"
done
check "1000 by default, on stdin" "cat v.jsonl | evalset -q --from-log - v.jsonl | jq -r '.queries[].id' >a; tail -n 1000 v.jsonl | jq -r .id | cmp - a"
check "with other members, or without an id" "jq -c '{at: [1, {}], id, user: null, vector}' q.jsonl >l; head -n 2 q.jsonl | jq -c .vector >>l; evalset -q --from-log l v.jsonl | jq -c '[.queries[].id] | .[0], .[29:]' >a; printf '\"q0\"\n[\"q29\",\"31\",\"32\"]\n' | cmp - a"
check "under another key" "sed 's/\"vector\"/\"e\"/' q.jsonl >l; sed 's/\"vector\"/\"e\"/' v.jsonl >ve; evalset -q --key e --from-log l --format jsonl ve | jq -e '.queries | length == 30'"
# Lines torn by crashes, which the log goes on after; bytes that are no text; ids that are none.
{
	head -n 5 q.jsonl
	printf '{"id":"torn","vector":[0.1,0.2\n'
	sed -n 6,9p q.jsonl
	printf '\376\377\000\001\n\0\0\0\n\n   \n{"id":"no vector"}\n{"id":"\377","vector":[1,2,3,4,5,6,7,8]}\n{"id":"big","vector":[1e99,2,3,4,5,6,7,8]}\n'
	printf '[1,2,3]\n[]\n'
	sed -n 10,30p q.jsonl
	printf '{"id":"q30","vector":[0.5'
} >torn
check "what is torn is left out" "evalset -q --from-log torn v.jsonl | jq -r '.queries[].id' >a; jq -r .id q.jsonl | cmp - a"
says "'torn': 8 of 39 lines left out, malformed; the first: line 6: " "counted, with the first"
says "'torn': 1 of 39 lines left out, of another dimension; the first: line 18: has dimension 3, expected 8" "and those of another dimension"
status 3 "a log of another dimension" "vectors 5 3 1 >l; evalset --from-log l v.jsonl"
says "'l' has no query of dimension 8: line 1: has dimension 3, expected 8" "which is said"
status 3 "a log of nothing but torn lines" "printf '[1,2\n{' >l; evalset --from-log l v.jsonl"
says "'l' has no query of dimension 8: line 1: " "which is said"
status 3 "an empty log" "evalset --from-log - v.jsonl </dev/null"
says "'stdin' has no queries" "which is said"
status 6 "no log" evalset --from-log nowhere v.jsonl
status 2 "a log and a file of queries" evalset --from-log q.jsonl --queries q.jsonl v.jsonl
status 2 "an output over the log" "cp q.jsonl l; evalset --from-log l -o l v.jsonl"
check "which is as it was" "cmp l q.jsonl"
check "memory for the newest alone" "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat v.jsonl v.jsonl v.jsonl v.jsonl; done >long && evalset -q -v -N 10 --from-log - q.jsonl <long 2>note | jq -e '.queries | length == 10'"

# ---- what does not fit ----
head -n 1499 v.jsonl | hnsw-build --metric l2 - -o less.hnsw >out
status 3 "answers that belong to other vectors" hnsw-bench less.hnsw l2.json
says "compute them again with evalset --refresh" "and what mends it"
status 3 "another metric" hnsw-bench i.hnsw cosine.json
says "the answers are by metric cosine, the index has l2" "is told of"
check "refreshed, it fits" "head -n 1499 v.jsonl >less.jsonl; evalset -q --refresh l2.json -o fresh.json less.jsonl && hnsw-bench -q --seconds 0 -s 1499 less.hnsw fresh.json | jq -e '.metrics.recall_at_k == 1'"
check "unknown keys survive a refresh" "jq -c '.mine = {a: [1.50, 2e3]} | .queries[0].tag = \"t\"' l2.json >mine.json; evalset -q --refresh mine.json v.jsonl | jq -e '.mine.a[1] == 2000 and .queries[0].tag == \"t\"'"
status 3 "no answers" "jq -c '.queries[].ground_truth = null | .vectors_digest = null' l2.json >null.json; hnsw-bench i.hnsw null.json"
status 3 "queries of another dimension" "jq -c '.queries[].query_embedding |= .[0:3] | .vectors_digest = null' l2.json >dim.json; hnsw-bench i.hnsw dim.json"
says "the queries have dimension 3, the index has 8" "is told of"
status 3 "queries of several dimensions" "jq -c '.queries[3].query_embedding |= .[0:3]' l2.json >dims.json; hnsw-bench i.hnsw dims.json"
status 3 "not JSON" "hnsw-bench i.hnsw q.jsonl"
status 3 "cut short" "head -c 500 l2.json >cut.json; hnsw-bench i.hnsw cut.json"
status 3 "k of 0" "jq -c '.k = 0' l2.json >k0.json; hnsw-bench i.hnsw k0.json"
status 3 "k beyond all sense" "jq -c '.k = 1000000000' l2.json >kbig.json; hnsw-bench i.hnsw kbig.json"
status 3 "another index's build record" "jq -c '.graph_digest = \"0\"' i.json >other.json; hnsw-bench other.json l2.json"
status 3 "no build record" "echo '{}' >e.json; hnsw-bench e.json l2.json"
status 6 "a record of a file that is gone" "jq -c '.index = \"./gone.hnsw\"' i.json | hnsw-bench - l2.json"
check "answers that the index has not count as missed" "jq -c '.queries[].ground_truth = [\"nobody\"] | .vectors_digest = null' l2.json >nobody.json; hnsw-bench -q --seconds 0 i.hnsw nobody.json | jq -e '.metrics.recall_at_k == 0'"

for source in sampled given null; do
	jq -c --arg s $source 'if $s == "null" then del(.query_source) else .query_source = $s end' l2.json >s.json
	check "a Trial says where its queries come from: $source" "hnsw-bench -q --seconds 0 --index x i.json s.json >t.$source && jq -r .query_source t.$source | grep -qx $source"
	check "and keeps it in a journal" "trial-append x <t.$source >out.n && trial-list x | tail -n 1 | cmp - t.$source"
	check "promote says it of sampled ones alone: $source" "promote --by me x \$(jq -r .id t.$source) 2>note >out.n && test \$(grep -c 'measured with queries sampled from the data' note) -eq \$(test $source = sampled && echo 1 || echo 0)"
done
check "once" "cat t.sampled t.sampled | jq -c '.id += \"\(input_line_number)\"' >two; promote --by me x <two 2>note >out.n && test \$(grep -c 'sampled from the data' note) -eq 1"
check "and not with -q" "promote -q --by me x <two 2>note >out.n && test ! -s note"
check "so does an explanation" "trial-best --target-recall 0.001 --explain - <t.sampled >out.n && grep -F 'The queries are sampled from the data' out.n && trial-best --target-recall 0.001 --explain - <t.given >out.n && ! grep -F 'sampled' out.n"

# ---- the curve: one pass gives what a pass for each ef_search gives ----
vectors 3000 24 7 >cb.jsonl
vectors 60 24 8 q >cq.jsonl
jq -c '.vector |= map(. * 40 | round)' cb.jsonl >cw.jsonl
jq -c '.vector |= map(. * 40 | round)' cq.jsonl >cwq.jsonl
for set in cb,cq,cosine,sq8 cb,cq,ip,sq8 cb,cq,l2,f32 cw,cwq,l2,u8; do
	base=${set%%,*} rest=${set#*,}
	queries=${rest%%,*} rest=${rest#*,}
	metric=${rest%%,*} storage=${rest#*,}
	hnsw-build -q --storage $storage --metric $metric -m 6 -c 20 $base.jsonl -o c.hnsw >c.rec
	evalset -q --metric $metric --queries $queries.jsonl -o ce.json $base.jsonl
	for ef in 10 11 12 17 30 55 80 111 150 199 200; do
		hnsw-bench -q --seconds 0 -s $ef c.rec ce.json
	done | jq -c '[.config.ef_search, .metrics.recall_at_k, .metrics.recall_at_k_ties, .metrics.distances_per_query]' >each
	check "the curve of $storage, $metric" "hnsw-bench --curve c.rec ce.json >c.out && test \$(wc -l <c.out) -eq 191 &&
		jq -c '[.ef_search, .recall_at_k, .recall_at_k_ties, .distances_per_query]' c.out | grep -Fxf each | cmp - each"
done
check "a part of it, and the smallest ef_search that reaches a target" "hnsw-bench --curve=20:60 --target-recall 0.5 c.rec ce.json >c.out &&
	test \$(wc -l <c.out) -eq 42 && jq -es '(.[-1].ef_search as \$e | .[:-1] | map(select(.recall_at_k >= 0.5)) | .[0].ef_search == \$e) and .[-1].target_recall == 0.5' c.out"
status 1 "a target that nothing reaches" "jq -c '.queries |= map(.ground_truth[0] = \"nobody\")' ce.json >never.json; hnsw-bench --curve --target-recall 1 c.rec never.json"
check "tells so in its last line" "jq -es '.[-1] | .target_recall == 1 and .ef_search == null' out"
status 2 "a range of too many" hnsw-bench --curve=1:100001 c.rec ce.json
says "expected LO:HI in 1..1000000, of at most 100000 values" "is told of"
status 2 "curve and timed widths" hnsw-bench --curve -s 10 c.rec ce.json
finish
