#!/bin/sh
# propose: the egreedy rule bit for bit, beside a second implementation.
. "$(dirname "$0")/lib.sh"

second="perl $root/tests/data/egreedy.pl"
perl -MJSON::PP -MMath::BigInt -e 1 2>/dev/null || skip_all "no JSON::PP or Math::BigInt"

# history SEED COUNT: random Trials within and beyond the bounds, some without m
history() {
	awk -v seed="$1" -v n="$2" 'BEGIN {
		srand(seed)
		for (i = 0; i < n; i++) {
			ec = 10 + int(rand() * 391); es = 10 + int(rand() * 191)
			if (rand() < 0.3) { ec = 80 + int(rand() * 9) * 10 - 40; es = 30 + int(rand() * 9) * 5 - 20 }
			if (rand() < 0.05) ec = 5 + int(rand() * 600)
			m = rand() < 0.2 ? "" : ",\"m\":" int(4 + rand() * 60)
			printf "{\"id\":\"t%d\",\"index_name\":\"x\",\"eval_set\":\"e\",\"config\":{\"ef_construction\":%d,\"ef_search\":%d,\"seed\":42%s},\"metrics\":{\"build_time_secs\":1,\"search_latency_p50_us\":1,\"search_latency_p95_us\":1,\"search_latency_p99_us\":1,\"recall_at_k\":1,\"memory_bytes\":1,\"vectors\":1,\"eval_queries\":1,\"brute_force_latency_us\":1},\"created_at\":\"2026-04-16T15:26:21Z\"}\n",
				rand() < 0.05 && i ? int(rand() * i) : i, ec, es, m
		}
	}'
}
compare() { # WHAT OURS THEIRS
	eval "$2" >ours
	eval "$3" >theirs
	check "$1" "cmp ours theirs"
}
compare "no history" 'propose --history - -N 20 </dev/null 2>err' "$second -n 20 </dev/null"
for seed in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	history $seed $((seed * seed)) >h
	compare "history $seed, one" 'propose --history h' "$second <h"
	compare "history $seed, thirty" 'propose --history - -N 30 <h' "$second -n 30 <h"
	compare "history $seed, around a champion" "propose --history h --champion t$((seed / 2)) -N 10" "$second -n 10 -c t$((seed / 2)) <h"
	propose --history h -N 7 >pending
	compare "history $seed, with some pending" 'propose --history h --pending pending -N 5' "$second -n 5 -p pending <h"
done
check "a champion that is not in the history counts as none" "propose --history h --champion nobody >a; propose --history h | cmp - a"
check "ids that repeat count once" "cat h h >hh; propose --history hh -N 5 >a; propose --history h -N 5 | cmp - a"
check "malformed lines do not count" "(echo '{'; cat h; echo x) >hb; propose --history hb -N 5 >a 2>err; propose --history h -N 5 | cmp - a"
check "item i is as if those before it had been tried" "propose --history h -N 6 >six; (cat h; n=0; while read -r c; do n=\$((n + 1)); trial new\$n 1 1 1 1 | jq -c --argjson c \"\$c\" '.config = \$c'; done <six | head -n 5) >h6; base=\$(tail -n 1 h | jq -r .id); propose --history h6 --champion \$base | cmp - \$(tail -n 1 six >l; echo l)"
check "Trials of rungs do not count" "(trial r1 300 99 1 1 | jq -c '.config.rung = 50'; cat h; trial r2 300 99 1 1 | jq -c '.config.rung = 50 | .config.m = 5') >hr; propose --history hr -N 20 >a; propose --history h -N 20 | cmp - a; jq -c '.rung = 50' a >pr; propose --history h --pending pr -N 20 | cmp - a"

# The original's test: what was tried is not proposed.
(trial a 80 30 1.0 500; trial b 100 30 1.0 520) >dup
check "a config that was tried is not proposed" "propose --history dup --champion a | jq -e '.ef_construction != 100 or .ef_search != 30'"
check "nor ever, until nothing is left" "awk 'BEGIN {for (ec = 10; ec <= 400; ec++) for (es = 10; es <= 200; es++) if (ec != 123 || es != 45) printf \"{\\\"ef_construction\\\":%d,\\\"ef_search\\\":%d}\\n\", ec, es}' >all; propose --history h --pending all -N 1 2>err; test \$? -eq 1 && grep -q 'search space exhausted' err"
check "all proposals are within the bounds and different" "propose --history h -N 500 >p500; jq -se 'length == 500 and all(.[]; .ef_construction >= 10 and .ef_construction <= 400 and .ef_search >= 10 and .ef_search <= 200) and (map([.ef_construction, .ef_search]) | unique | length) == 500' p500"
status 3 "an m out of bounds is not carried on" "trial a 80 30 1 1 | sed 's/\"m\":16/\"m\":200/' | propose --history -"
says "proposed m=200 out of bounds 4..96" "is told of"

# ---- on a journal ----
trial-append x <dup >out
check "around the latest Trial" "propose x >a; propose --history dup | cmp - a"
promote x a >out
check "around the promoted one" "propose x >a; propose --history dup --champion a | cmp - a"
check "the journal stays as it is" "trial-list x | cmp - dup"
vectors 200 4 1 >v.jsonl
check "propose | hnsw-build --config -" "propose x | hnsw-build --config - v.jsonl -o t.hnsw | jq -c .config >a; propose x | jq -c . | cmp - a"
status 2 "neither name nor history" propose
status 2 "both" propose --history h x
status 2 "an unknown strategy" propose --strategy random x
status 3 "pending lines that are none" "echo x | propose --history h --pending -"
finish
