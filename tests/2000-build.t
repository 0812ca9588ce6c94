#!/bin/sh
# Building: without a store, the same file whatever the threads and kernels, what it says.
. "$(dirname "$0")/lib.sh"

vectors 2000 24 1 >v.jsonl
check "build without a store" hnsw-build v.jsonl -o a.hnsw
check "one record" "test \$(wc -l <out) -eq 1 && jq -e '.index == \"a.hnsw\" and .vectors == 2000 and .dimensions == 24 and
	.metric == \"cosine\" and .storage == \"sq8\" and .build_time_secs > 0 and .memory_bytes > 192000 and
	.config == {ef_construction: 80, ef_search: 30, seed: 42, m: 16} and (.vectors_digest | length) == 32 and
	(.graph_digest | length) == 32' out"
check "no store was made" 'test ! -e store'
for t in 1 2 3 8; do
	check "$t threads" "hnsw-build -t $t v.jsonl -o b.hnsw && cmp a.hnsw b.hnsw"
done
for k in avx512 avx2 neon portable; do
	HNSW_KERNEL=$k hnsw-build v.jsonl -o b.hnsw >out 2>err
	rc=$?
	if [ $rc -eq 2 ]; then
		report 0 "kernel $k # SKIP not on this processor"
	else
		check "kernel $k makes the same file" cmp a.hnsw b.hnsw
	fi
done
check "the format of the input does not matter" "hnsw-convert v.jsonl -o v.hvec && hnsw-build v.hvec -o b.hnsw && cmp a.hnsw b.hnsw"
for s in f32 sq8 f16 bf16; do
	check "storage $s" "hnsw-build --storage $s v.jsonl -o b.hnsw | jq -e '.storage == \"$s\"' && hnsw-info --check b.hnsw | jq -e '.storage == \"$s\"'"
done
for s in f16 bf16; do
	hnsw-build --storage $s v.jsonl -o half.hnsw >out
	check "$s: half the memory for vectors" "test \$(hnsw-info b.hnsw half.hnsw | jq .vector_bytes | tr '\n' ' ' | cut -d' ' -f2) -eq \$((2000 * 32 * 2))"
	for k in avx512 avx2 neon portable; do
		HNSW_KERNEL=$k hnsw-build -t 3 --storage $s v.jsonl -o c.hnsw >out 2>err
		rc=$?
		if [ $rc -eq 2 ]; then
			report 0 "$s: kernel $k # SKIP not on this processor"
		else
			check "$s: kernel $k makes the same file" cmp half.hnsw c.hnsw
		fi
	done
done
echo '{"id":"much","vector":[1,65520]}' >much.jsonl
status 3 "more than f16 holds" hnsw-build --metric l2 --storage f16 much.jsonl -o c.hnsw
says "'much.jsonl' line 1: has a component beyond 65504, which storage f16 cannot hold: say bf16 or f32" "is told of"
check "bf16 holds it" hnsw-build --metric l2 --storage bf16 much.jsonl -o c.hnsw
check "so does f16 at unit length" hnsw-build --storage f16 much.jsonl -o c.hnsw
check "rows that are equal when rounded share a node" "printf '[1,1]\n[1.00001,1]\n[1.1,1]\n' | hnsw-build --metric l2 --storage f16 - -o c.hnsw && hnsw-info --check c.hnsw | jq -e '.distinct_vectors == 2' && echo '[1,1]' | hnsw-search c.hnsw | jq -e '.hits | map(.id) == [\"0\",\"1\",\"2\"] and .[1].distance == 0'"
status 2 "storage u8 would lose something" hnsw-build --storage u8 v.jsonl -o b.hnsw
says "would lose something" "says so"
jq -c '.vector |= map(. * 100 | floor | fabs | . % 256)' v.jsonl >whole.jsonl
check "whole numbers are held in bytes" "hnsw-build --metric l2 whole.jsonl -o b.hnsw | jq -e '.storage == \"u8\"' && hnsw-info --check b.hnsw | jq -e '.vector_bytes == 0'"
(cat v.jsonl; echo '{"id":"far","vector":[1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9]}') >far.jsonl
check "an outlier that would coarsen all codes" "hnsw-build --metric l2 far.jsonl -o b.hnsw | jq -e '.storage == \"f32\"'"
check "another seed makes another graph" "hnsw-build --seed 43 v.jsonl -o b.hnsw && ! cmp -s a.hnsw b.hnsw"
check "all files pass the check" hnsw-info --check a.hnsw b.hnsw
check "hnsw-info tells the parameters" "hnsw-info a.hnsw | jq -e '.m == 16 and .ef_construction == 80 and .ef_search == 30 and
	.seed == 42 and .metric == \"cosine\" and .vectors == 2000 and .distinct_vectors == 2000 and .max_degree <= 32 and
	(.nodes_by_top_layer | add) == 2000'"
same "$(hnsw-info a.hnsw | jq -c '[.vectors_digest, .graph_digest]')" "and the record's digests" \
	"hnsw-build v.jsonl -o b.hnsw | jq -c '[.vectors_digest, .graph_digest]'"
same "$(hnsw-info --vectors v.jsonl | jq .vectors_digest)" "vectors_digest is that of the vectors" "hnsw-info a.hnsw | jq .vectors_digest"
check "ef_search is no part of the graph" "test \$(hnsw-build -s 99 v.jsonl -o c.hnsw | jq .graph_digest) = \$(hnsw-info a.hnsw | jq .graph_digest)"

check "a config on stdin" "echo '{\"ef_construction\":33,\"ef_search\":44,\"seed\":7,\"m\":5}' | hnsw-build --config - v.jsonl -o c.hnsw | jq -e '.config == {ef_construction: 33, ef_search: 44, seed: 7, m: 5}'"
check "without m it is 32, without a seed 42" "echo '{\"ef_construction\":33,\"ef_search\":44,\"seed\":null}' | hnsw-build --config - v.jsonl -o c.hnsw | jq -e '.config == {ef_construction: 33, ef_search: 44, seed: 42, m: 32}'"
check "options go before it" "echo '{\"ef_construction\":33,\"ef_search\":44,\"m\":5}' >c.json; hnsw-build --config c.json -m 6 v.jsonl -o c.hnsw | jq -e '.config.m == 6'"
for bad in '"m":1' '"m":513' '"m":16,"ef_construction":1000001' '"m":16,"ef_search":1000001'; do
	status 3 "a config out of range: $bad" "echo '{\"ef_construction\":33,\"ef_search\":44,$bad}' >bad.json; hnsw-build --config bad.json v.jsonl -o bad.hnsw"
	says "config 'bad.json': " "is named"
	says " is out of range " "and what is wrong with it"
done
check "unless an option replaces it" "echo '{\"ef_construction\":33,\"ef_search\":44,\"m\":1}' | hnsw-build --config - -m 6 v.jsonl -o c.hnsw | jq -e '.config.m == 6'"
status 3 "a config without ef_search" "echo '{\"ef_construction\":33}' | hnsw-build --config - v.jsonl -o c.hnsw"
says "has no 'ef_search'" "is told of"
status 3 "a config of text" "echo '{\"ef_construction\":\"x\",\"ef_search\":1}' | hnsw-build --config - v.jsonl -o c.hnsw"

awk 'BEGIN {for (i = 0; i < 300; i++) print "{\"id\":\"x" i "\",\"vector\":[" i % 3 ",1]}"}' >dup.jsonl
check "duplicates share a node" "hnsw-build --metric l2 dup.jsonl -o d.hnsw && hnsw-info --check d.hnsw | jq -e '.vectors == 300 and .distinct_vectors == 3'"
check "and are all found" "echo '[1,1]' | hnsw-search -k 300 d.hnsw | jq -e '(.hits | length) == 300 and .hits[0].id == \"x1\" and (.hits | map(.id) | unique | length) == 300'"
check "in order of row" "echo '[1,1]' | hnsw-search -k 100 d.hnsw | jq -e '[.hits[].id[1:] | tonumber] | . == sort'"
for metric in cosine l2 ip; do
	check "$metric of equal vectors, one of them zero" "echo '[0,0]' | cat - dup.jsonl | hnsw-convert --from text - 2>/dev/null; (echo '{\"id\":\"zero\",\"vector\":[0,0]}'; cat dup.jsonl) | hnsw-build --metric $metric - -o z.hnsw && hnsw-info --check z.hnsw"
done
check "a zero vector has cosine distance 1 to all, itself too" "(echo '{\"id\":\"zero\",\"vector\":[0,0]}'; cat dup.jsonl) | hnsw-build - -o z.hnsw; echo '[0,0]' | hnsw-search -k 5 z.hnsw | jq -e 'all(.hits[]; .distance == 1)'"
check "one vector" "echo '[1,2]' | hnsw-build - -o one.hnsw && echo '[1,2]' | hnsw-search one.hnsw | jq -e '.hits[0] | .id == \"0\" and .distance < 1e-6'"

# ---- writing ----
check "an old file is replaced whole" "hnsw-build -m 4 v.jsonl -o a2.hnsw && hnsw-build -m 8 v.jsonl -o a2.hnsw && hnsw-info --check a2.hnsw | jq -e '.m == 8'"
mkdir ro && chmod 555 ro
if [ "$(id -u)" -ne 0 ]; then
	status 6 "a directory that cannot be written" hnsw-build v.jsonl -o ro/x.hnsw
fi
status 6 "a directory that is not there" hnsw-build v.jsonl -o none/x.hnsw
status 6 "a directory's name" hnsw-build v.jsonl -o ro
status 2 "standard output" hnsw-build v.jsonl -o -
hnsw-convert v.jsonl v.jsonl -o big.fbin 2>err || hnsw-convert v.jsonl -o big.fbin
check "SIGTERM leaves no file" "awk 'BEGIN {srand(1); for (i = 0; i < 40000; i++) {printf \"[\"; for (j = 0; j < 32; j++) printf \"%s%.4f\", j ? \",\" : \"\", rand(); print \"]\"}}' >slow.jsonl
	hnsw-build -c 800 -m 48 slow.jsonl -o t.hnsw & pid=\$!; sleep 1.2; kill \$pid; wait \$pid; test \$? -eq 5 -a ! -e t.hnsw"
check "kill -9 neither" "hnsw-build -c 800 -m 48 slow.jsonl -o t.hnsw & pid=\$!; sleep 1.2; kill -9 \$pid; wait \$pid; test ! -e t.hnsw && test -z \"\$(ls -A | grep '^.tmp')\""
finish
