#!/bin/sh
# Searching: against the exact answer, shapes of input, refusals.
. "$(dirname "$0")/lib.sh"

vectors 3000 16 1 >v.jsonl
vectors 40 16 2 q >q.jsonl
for metric in cosine l2 ip; do
	hnsw-build --metric $metric v.jsonl -o $metric.hnsw >out
	check "$metric: a beam as wide as the index is exact" "hnsw-search -k 20 -s 3000 $metric.hnsw <q.jsonl >wide; hnsw-search -k 20 --exact $metric.hnsw <q.jsonl >exact; cmp wide exact"
	check "$metric: k = n finds every row once" "head -n 3 q.jsonl | hnsw-search -k 3000 $metric.hnsw | jq -e '(.hits | length) == 3000 and (.hits | map(.id) | unique | length) == 3000 and (.hits | map(.distance) | . == sort)'"
	check "$metric: more than n asked for" "head -n 1 q.jsonl | hnsw-search -k 999999 $metric.hnsw | jq -e '(.hits | length) == 3000'"
	check "$metric: ef below k counts as k" "hnsw-search -k 10 -s 1 $metric.hnsw <q.jsonl | jq -se 'all(.[]; (.hits | length) == 10)'"
done
check "distances: l2 is squared" "echo '[0,0]' | hnsw-build --metric l2 - -o d.hnsw && echo '[3,4]' | hnsw-search d.hnsw | jq -e '.hits[0].distance == 25'"
check "cosine is 1 - cos" "echo '[2,0]' | hnsw-build - -o d.hnsw && echo '[0,5]' | hnsw-search d.hnsw | jq -e '.hits[0].distance == 1' && echo '[-3,0]' | hnsw-search d.hnsw | jq -e '.hits[0].distance == 2'"
check "ip is 1 - <x,y>" "echo '[2,3]' | hnsw-build --metric ip - -o d.hnsw && echo '[5,7]' | hnsw-search d.hnsw | jq -e '.hits[0].distance == -30'"
hnsw-search -k 5 l2.hnsw <q.jsonl >want
check "threads do not change the answers" "hnsw-convert q.jsonl -o q.fbin; hnsw-convert q.fbin | hnsw-search -k 5 l2.hnsw | jq -c .hits >a; hnsw-search -t 4 -k 5 l2.hnsw q.fbin | jq -c .hits | cmp - a"
check "--load neither" "hnsw-search --load -k 5 l2.hnsw q.jsonl | cmp - want"
check "vectors on disk neither" "hnsw-search --vectors disk -k 5 l2.hnsw q.jsonl | cmp - want && hnsw-search --vectors disk --load --exact -k 5 l2.hnsw q.jsonl >a; hnsw-search --exact -k 5 l2.hnsw q.jsonl | cmp - a"
jq -c '.vector |= map(. * 100 | floor | fabs | . % 256)' v.jsonl >whole.jsonl
for s in f32 u8 f16 bf16; do
	check "so with storage $s" "hnsw-build --metric l2 --storage $s whole.jsonl -o s.hnsw; hnsw-search -k 5 s.hnsw q.jsonl >a; hnsw-search --vectors disk -k 5 s.hnsw q.jsonl | cmp - a"
done
status 2 "vectors elsewhere" hnsw-search --vectors tape l2.hnsw q.jsonl
check "kernels neither" "HNSW_KERNEL=portable hnsw-search -k 5 l2.hnsw q.jsonl | cmp - want"
check "ids of queries are kept" "head -n 1 want | jq -e '.id == \"q0\"'"
check "lines are answered as they come" "mkfifo to from; hnsw-search -k 1 l2.hnsw <to >from & exec 3>to 4<from; head -n 1 q.jsonl >&3; read -r line <&4; exec 3>&- 4<&-; wait; echo \"\$line\" | jq -e '.id == \"q0\"'"
check "no queries, no answers" "hnsw-search l2.hnsw </dev/null | test \$(wc -c) -eq 0"
status 3 "a query of another dimension" "echo '[1,2]' | hnsw-search l2.hnsw"
says "'stdin' line 1: has dimension 2, expected 16" "is told of"
status 3 "so in a file" "echo '[1,2]' >two.jsonl; hnsw-search l2.hnsw two.jsonl"
status 3 "NaN in a query" "echo '[1,nan]' | hnsw-search l2.hnsw"
check "what came before it was answered" "(head -n 2 q.jsonl; echo '[1]') | hnsw-search l2.hnsw 2>err | test \$(wc -l) -eq 2"
vectors 2600 16 9 r | sed '5s/^/\n \t\n/' >many.jsonl
hnsw-convert many.jsonl -o many.npy
check "more than are answered at once: the same with four threads" "hnsw-search -k 3 l2.hnsw many.jsonl >a && test \$(wc -l <a) -eq 2600 && hnsw-search -t 4 -k 3 l2.hnsw many.jsonl | cmp - a && hnsw-search -t 4 -k 3 l2.hnsw <many.jsonl | cmp - a"
check "and from an array" "hnsw-search -t 4 -k 3 l2.hnsw many.npy | jq -c .hits >b; jq -c .hits a | cmp - b"
status 3 "a bad line after many" "sed '2001s/.*/[1]/' many.jsonl | hnsw-search -t 4 -k 3 l2.hnsw >b"
says "'stdin' line 2001: has dimension 1, expected 16" "is named"
check "and those before it were answered" "head -n 1998 a | cmp - b"

# ---- hits as an array ----
check "-o writes rows: ivecs" "hnsw-search -k 3 -o n.ivecs l2.hnsw many.npy >out.n && test ! -s out.n && hnsw-convert n.ivecs | jq -c .vector | head -n 2600 >b; hnsw-search -k 3 l2.hnsw many.npy | jq -c '.hits | map(.id | ltrimstr(\"d\") | tonumber)' | cmp - b"
check "and npy" "hnsw-search -t 3 -k 3 -o n.npy l2.hnsw many.npy && hnsw-convert n.npy | jq -c .vector | cmp - b"
status 2 "another format" hnsw-search -o n.fvecs l2.hnsw many.npy
says "cannot write hits to 'n.fvecs': expected .ivecs or .npy" "is refused"
status 2 "not over the queries" hnsw-search -o many.npy l2.hnsw many.npy
check "which are whole" "test \$(hnsw-convert many.npy | wc -l) -eq 2600"

# ---- the log of queries ----
check "--log keeps the queries" "hnsw-search -k 1 --log log l2.hnsw <q.jsonl >out.n && cmp log q.jsonl"
check "in a file that others do not read" "test \$(stat -c %a log) = 600"
check "a last line cut short is left as it is" "printf '{\"id\":\"torn' >>log; hnsw-search -k 1 --log log l2.hnsw many.npy >out.n && test \$(sed -n '\$=' log) -eq \$((\$(wc -l <q.jsonl) + 2601)) && tail -n 2600 log | hnsw-convert - -o b.fvecs && hnsw-convert many.npy -o a.fvecs && cmp a.fvecs b.fvecs"
check "--sample keeps a share" "rm log; hnsw-search -k 1 --log log --sample 0.1 l2.hnsw many.jsonl >out.n; n=\$(wc -l <log) && test \$n -gt 150 -a \$n -lt 400 && grep -vxF -f many.jsonl log | wc -l | grep -qx 0"
status 2 "--sample is of a log" hnsw-search --sample 0.1 l2.hnsw q.jsonl
status 2 "a log over the queries" hnsw-search --log many.jsonl l2.hnsw many.jsonl
status 2 "nor is it the hits" hnsw-search --log b.npy -o b.npy l2.hnsw q.jsonl
[ ! -w /dev/full ] || status 6 "no room for the log" hnsw-search --log /dev/full l2.hnsw q.jsonl

status 1 "an index that is not served" "mkdir -p store/primary; hnsw-search nothing <q.jsonl"
says "'nothing' is no file, and store './store' serves no index of that name" "is told of"

# ---- real vectors: no worse than hnswlib at the same M, ef_construction and ef_search ----
if [ -r "$data/labse-sentences/base-30000.f16.npy" ] && [ -z "${SAN:-}" ]; then
	b=$data/labse-sentences/base-30000.f16.npy
	hnsw-convert -N 1000 "$data/labse-sentences/query-2000.f16.npy" -o lq.fbin
	evalset -q --queries lq.fbin -o le.json "$b"
	recall() { # EFC LIST WANT: recall is at least that
		efc=$1 list=$2 want=$3
		hnsw-build -q -c $efc "$b" -o l.hnsw >l.json
		check "labse, ef_construction $efc" "hnsw-bench --seconds 0 -s $list l.json le.json >m && jq -se --argjson want $want 'map(.metrics.recall_at_k_ties) as \$got | all(range(0; \$want | length); \$got[.] >= \$want[.] - 0.005)' m"
		hnsw-info --check l.hnsw >out 2>err
		report $? "and it passes the check"
	}
	recall 80 30,80,120,200 '[0.834,0.924,0.950,0.966]'
	recall 200 30,80,120,200,400,800 '[0.892,0.965,0.980,0.990,0.996,0.998]'
else
	report 0 "labse # SKIP no data, or an instrumented build"
fi
if [ -r "$data/fashion-mnist/train.u8bin" ] && [ -z "${SAN:-}" ]; then
	b=$data/fashion-mnist/train.u8bin
	hnsw-convert -N 1000 "$data/fashion-mnist/test.u8bin" -o fq.u8bin
	evalset -q --metric l2 --queries fq.u8bin -o fe.json "$b"
	hnsw-build -q --metric l2 "$b" -o f.hnsw >f.json
	check "fashion-mnist: recall@10 of 0.98 at ef_search 30, 0.99 at 60" "hnsw-bench --seconds 0 -s 30,60 f.json fe.json | jq -se '.[0].metrics.recall_at_k >= 0.98 and .[1].metrics.recall_at_k >= 0.99'"
else
	report 0 "fashion-mnist # SKIP no data, or an instrumented build"
fi
finish
