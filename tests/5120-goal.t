#!/bin/sh
# A goal: kept with an index, the rule of duels and promotions, and what the agent tunes by.
. "$(dirname "$0")/lib.sh"

# ---- an index has one ----
vectors 1500 16 1 >v.jsonl
vectors 400 16 2 q >q.jsonl
ingest docs v.jsonl >out
goal() { index-list docs | jq -ce .goal; }
check "it is registered" "index-add --metric l2 --target-recall 0.95 --minimise distances --space 'm=8:32 storage=auto,f32' docs"
same '{"target_recall":0.95,"minimise":"distances","space":"m=8:32 storage=f32,auto"}' "and listed" goal
check "what the options do not say stays" "index-add --max-memory 1e9 docs && index-add --minimise latency docs"
same '{"target_recall":0.95,"max_memory":1000000000,"minimise":"latency","space":"m=8:32 storage=f32,auto"}' "so" goal
check "but for --no-goal" "index-add --no-goal --target-queries 0.9 docs"
same '{"target_queries":0.9}' "so" goal
check "which alone forgets all" "index-add --no-goal docs | jq -e 'has(\"goal\") | not'"
status 2 "one that nothing can meet" index-add --target-recall 1 docs
says "no number of queries proves a target of 1" "is told of"
status 2 "a space that is none" index-add --space m=1:9999 docs
meta=store/primary/vectors/meta/docs.json
cp $meta kept
for bad in '7' '"x"' '[]' '{"target_recal":0.9}' '{"target_recall":7}' '{"target_recall":-1}' '{"minimise":"x"}' '{"space":"m=9:8"}' '{"target_recall":"0.9"}' '{"max_build":-1}'; do
	jq -c --argjson g "$bad" '.goal = $g' kept >$meta
	status 3 "a goal in the record that is none: $bad" index-list docs
done
cp kept $meta

# ---- the duel ----
evalset -q --metric l2 --queries q.jsonl --index docs --save ev docs
evalset -q --metric l2 --queries q.jsonl -o ev.json v.jsonl
b() { name=$1 && shift && hnsw-build -q --metric l2 "$@" v.jsonl -o $name.hnsw >$name.json; }
b slow -c 80 -s 400
b fast -c 80 -s 100
b poor -m 4 -c 10 -s 10
duel() { trial-duel --seconds 5 "$@" ev.json; }
won() { jq -e --arg r "$1" '.winner == "challenger" and .reason == $r' out >o2; }
lost() { jq -e --arg r "$1" '.winner == "champion" and .reason == $r' out >o2; }
check "both meet it, the faster wins though its recall is less" "duel --target-recall 0.9 slow.json fast.json | jq -e '.winner == \"challenger\" and .reason == \"faster\" and .goal == {target_recall: 0.9, target_queries: 0, max_memory: 0, max_build: 0, max_latency: 0, confidence: 0.99, minimise: \"latency\"} and .challenger.reached > 0.9'"
status 1 "a dearer one never does" duel --target-recall 0.9 fast.json slow.json
check "whatever its recall" "lost 'not faster' || lost 'undecided in the time given'"
status 1 "nor one that does not reach it, however fast" duel --target-recall 0.9 slow.json poor.json
check "it says why, and how many queries would tell" "lost 'recall is not proven to reach the target' && jq -e 'has(\"queries_needed\")' out"
check "a champion that does not meet it gives way, though faster" duel --target-recall 0.9 poor.json slow.json
check "and it says why" "won 'it meets the goal, which the champion does not'"
check "distances are counted" "duel --target-recall 0.9 --minimise distances slow.json fast.json"
check "and it says so" "won 'cheaper, and it meets the goal'"
status 1 "no cheaper" duel --target-recall 0.9 --minimise distances fast.json fast.json
check "and it says so" "lost 'not cheaper'"
status 1 "an index file tells no build time" duel --target-recall 0.9 --minimise build fast.hnsw fast.hnsw
check "and it says so" "lost 'what the goal is to minimise is not known of both'"
status 1 "over a limit" duel --target-recall 0.9 --max-memory 1 slow.json fast.json
check "of memory" "lost 'it exceeds a limit of the goal'"
status 1 "over a limit" duel --target-recall 0.9 --max-latency 0.001 slow.json fast.json
check "of latency" "lost 'it exceeds a limit of the goal'"
status 1 "by a share of the queries" duel --target-queries 0.9999 --target-recall 0.9 slow.json fast.json
check "that no such number proves" "lost 'recall is not proven to reach the target'"
check "but a smaller one" duel --target-queries 0.8 --target-recall 0.8 poor.json slow.json
check "the index's own goal" "index-add --target-recall 0.9 --minimise distances docs >o2; trial-duel --index docs slow.json fast.json ev >v1; jq -e '.goal.minimise == \"distances\" and .winner == \"challenger\"' v1"

# ---- promotions by it ----
t() { hnsw-bench -q --seconds 0 --index docs "$1.json" ev | trial-append docs | jq -r .id; }
slow=$(t slow)
fast=$(t fast)
poor=$(t poor)
status 1 "unattended nothing goes that misses it" promote --unattended docs "$poor"
says "is below the target of 0.9" "and it says so"
check "what meets it does" promote --unattended docs "$slow"
trial-duel slow.json fast.json ev.json >v2
status 1 "a verdict by no goal is none" promote --confirm v2 docs "$fast"
says "the verdict is not by the goal of 'docs'" "and it says so"
trial-duel --target-recall 0.9 slow.json fast.json ev.json >v3
status 1 "nor one by another goal" promote --confirm v3 docs "$fast"
says "the verdict is by another goal than that of 'docs'" "and it says so"
check "unless that is given" promote -n --minimise latency --confirm v3 docs "$fast"
status 1 "stored figures are held to it too" promote --if-better --trust-stored docs "$poor"
check "one by it is" promote --confirm v1 docs "$fast"
status 1 "recall that is greater does not count then" promote --if-better --trust-stored docs "$slow"
index-add --no-goal docs >o2
status 1 "a verdict by a goal where there is none" promote --confirm v1 docs "$fast"
index-add --target-recall 0.9 --minimise distances docs >o2

# ---- pins ----
pin() { promoted --full docs | jq -r '.current.pinned // "not"'; }
same not "what a rule promoted is not pinned" pin
check "what a person did is, where there is no goal" "promote docs $poor | jq -e '.current.pinned == \"without_goal\"'"
check "by a goal that it misses it gives way" promote -n --unattended docs "$fast"
index-add --no-goal docs >o2
status 1 "without one it stays" promote --unattended docs "$fast"
says "promoted by hand or for a goal, stays where there is no goal" "and it says so"
status 1 "which can be known before" promoted --unpinned rule docs
says "promoted by hand or for a goal, stays where there is no goal" "with the reason"
check "by a goal it may be replaced" promoted --unpinned goal docs
check "and nothing is printed" "test ! -s out"
status 2 "how else" promoted --unpinned luck docs
status 2 "and something to print" promoted --unpinned goal --full docs
check "a person may" promote -n docs "$fast"
check "so may all once it is let go" "promote --unpin docs && promote -n --unattended docs $fast"
same not "it is shown" pin
check "not pinned from the start" "promote --no-pin docs $fast | jq -e '.current | has(\"pinned\") | not'"
check "pinned for good" "revision=\$(promoted --full docs | jq .history[-1].trial_id); promote --pin docs $fast | jq -e --argjson r \"\$revision\" '.current.pinned == \"always\" and .history[-1].trial_id == \$r'"
index-add --target-recall 0.9 docs >o2
status 1 "then neither" promoted --unpinned goal docs
status 1 "then no goal helps" promote --unattended docs "$slow"
says "is pinned: promote --unpin lets it go" "and it says so"
check "a rollback brings back what was, with its pin" "promote --pin docs $slow && promote docs $poor && rollback docs && test \$(pin) = always"
check "the rest of the entry stays" "promoted --full docs | jq -cS .current >a; promote --unpin docs | jq -cS '.current + {pinned: \"always\"}' | cmp - a"
status 1 "nothing to unpin" promote --unpin none
status 2 "both" promote --pin --unpin docs
status 2 "a Trial that is not promoted" promote --unpin docs "$fast"
cp store/primary/_hnsw_promotions/docs.json kept
jq -c '.current.pinned = "x"' kept >store/primary/_hnsw_promotions/docs.json
status 3 "a pin that is none" promoted docs
cp kept store/primary/_hnsw_promotions/docs.json
finish
