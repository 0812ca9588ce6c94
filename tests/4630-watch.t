#!/bin/sh
# recall-watch: recall of what is served, by the queries of a log.
. "$(dirname "$0")/lib.sh"

vectors 400 6 1 >v.jsonl
vectors 300 6 2 q >log
ingest d <v.jsonl >out
index-add d >out

# waiting: how many events of d wait for the agent
waiting() {
	autotune-agent status | jq '[.queue[]? | select(.index_name == "d")] | length'
}
# drain: take what waits out of the queue
drain() {
	hnsw-store list primary/_hnsw_agent/queue | while IFS= read -r event; do
		hnsw-store delete "primary/_hnsw_agent/queue/$event"
	done
}

# ---- wrong inputs ----
status 2 "no name" recall-watch --log log
status 2 "no log" recall-watch d
says "no --log" "which is said"
status 2 "two names" recall-watch --log log d e
status 2 "a floor that is none" recall-watch --log log --min-recall 1.5 d
status 2 "no queries at all" recall-watch --log log -N 0 d
status 2 "no time between rounds" recall-watch --log log --every 0 d
status 2 "stdin again and again" recall-watch --log - --every 1 d
status 2 "a name that is none" recall-watch --log log ../d
status 2 "an option that is not known" recall-watch --nothing --log log d
status 6 "no store" recall-watch -S nowhere --log log d
status 1 "an index that is not served" recall-watch --log log d
says "index 'd' is not served" "which is said"
status 1 "one that is not there" recall-watch --log log nobody
check "nothing was triggered" "test ! -e store/primary/_hnsw_agent/queue || test -z \"\$(hnsw-store list primary/_hnsw_agent/queue)\""

activate -q d >out
drain
status 6 "a log that is not there" recall-watch --log nowhere d
status 3 "an empty log" recall-watch --log /dev/null d
vectors 9 5 3 >other
status 3 "a log of another dimension" recall-watch --log other d
says "has no query of dimension 6" "which is said"
check "nothing was triggered by these" "test \$(waiting) -eq 0"

# ---- the floor holds ----
status 0 "a floor that holds" "recall-watch --log log --min-recall 0.8 d >line"
check "one line" "test \$(wc -l <line) -eq 1 && test ! -s err"
check "with the figures" "jq -e --arg g \"\$(jq -r .generation store/primary/_hnsw_active/d/current.json)\" 'keys_unsorted == [\"index_name\",\"generation\",\"queries\",\"recall_at_k\",\"recall_lcb\",\"min_recall\",\"holds\",\"at\"] and
	.index_name == \"d\" and .generation == \$g and .queries == 300 and .recall_lcb >= 0.8 and .recall_lcb < .recall_at_k and .min_recall == 0.8 and .holds and (.at | endswith(\"Z\"))' line"
check "by what is served, at its ef_search" "evalset -q --from-log log d -o e.json && hnsw-bench -q --seconds 0 -s 30 store/primary/_hnsw_active/d/gen_*/index.hnsw e.json | jq .metrics.recall_at_k >want && jq .recall_at_k line | cmp - want"
check "nothing was triggered" "test \$(waiting) -eq 0"
check "a log on stdin, the newest of it" "recall-watch --log - -N 250 --min-recall .8 d <log | jq -e '.queries == 250 and .min_recall == 0.8'"
check "torn lines are left out" "cp log torn && printf '{\"id\":\"x\",\"vec\n[1,2]\n' >>torn && head -n 3 v.jsonl >>torn && printf '[0.1,0.2' >>torn && recall-watch --log torn --min-recall 0.8 d | jq -e '.queries == 303'"
says "2 of 306 lines left out, malformed" "which is said"
says "1 of 306 lines left out, of another dimension" "that of the dimension, too"
check "the k of the eval set of the index" "evalset -q -k 3 -N 30 --save e d && index-add -q --eval-set e d >out && recall-watch --log log --min-recall 0.8 d | jq .recall_at_k >k3 && recall-watch -k 3 --log log --min-recall 0.8 d | jq .recall_at_k | cmp - k3 && recall-watch -k 10 --log log --min-recall 0.8 d | jq .recall_at_k | cmp - want"

# ---- it does not hold ----
status 1 "too few queries to prove it" recall-watch --log log -N 20 d
says "20 queries do not prove that it is 0.9 or more; about" "which is said, and how many would do"
check "the line says so, too" "jq -e '.queries == 20 and .recall_at_k >= .9 and .holds == false' out"
check "the agent is woken" "test \$(waiting) -eq 1"
status 1 "again" recall-watch -q --log log -N 20 d
check "one event waits" "test \$(waiting) -eq 1 && test ! -s err"
drain
status 1 "--dry-run" recall-watch -n --log log -N 20 d
check "wakes nobody" "test \$(waiting) -eq 0"
index-add -q --target-recall 0.9999 d >out
status 1 "the floor of a goal" recall-watch -n --log log d
check "is taken" "jq -e '.min_recall == 0.9999' out"
vectors 400 6 7 new | ingest d >out
drain
status 1 "vectors that are not served yet" recall-watch --log log --min-recall 0.9 d
says "is below 0.9" "count as missed"
check "half of the answers, about" "jq -e '.recall_at_k > 0.35 and .recall_at_k < 0.65' out"
check "the agent is woken" "test \$(waiting) -eq 1"
activate -q d >out
status 0 "served, they are found" recall-watch --log log --min-recall 0.8 d

# ---- for ever ----
# until_lines N: wait until the watch printed so many
until_lines() {
	i=0
	while [ "$(wc -l <lines)" -lt "$1" ] && [ $i -lt 300 ]; do
		sleep 0.1
		i=$((i + 1))
	done
	[ "$(wc -l <lines)" -ge "$1" ]
}
: >lines
: >said
recall-watch --log log --min-recall 0.8 --every 1 d >>lines 2>>said &
watch=$!
check "--every goes on" "until_lines 2"
mv store gone
check "a store that is gone is told of" "i=0; while ! grep -q 'this round ended with status 6; the next one is in 1 s' said && test \$i -lt 200; do sleep 0.1; i=\$((i + 1)); done; grep -q 'status 6' said"
mv gone store
n=$(wc -l <lines)
promoted=$(hnsw-build -q -m 8 -c 40 d -o i.hnsw >i.json && hnsw-bench -q --seconds 0 --index d i.json e | trial-append d | promote -q --by me d | jq -r .current.trial_id)
activate -q d >new
check "and the watch goes on by what is served then" "until_lines $((n + 2)) && tail -n 1 lines | jq -e --slurpfile new new '.generation == \$new[0].generation' && test -n '$promoted'"
kill $watch
wait $watch
check "a signal ends it with status 5" "test $? -eq 5"
check "every line is one" "jq -se 'all(.[]; .index_name == \"d\")' lines"
status 2 "what no round can mend ends it" "timeout 60 recall-watch --log log --every 1 ../d"
status 6 "no room for output" "recall-watch --log log --min-recall 0.8 d >/dev/full"
finish
