#!/bin/sh
# trial-best: every rule, against a plain computation with jq.
. "$(dirname "$0")/lib.sh"

(
	trial a 20 30 0.96 509
	trial b 80 30 1.0 873
	trial c 200 30 1.0 874
	trial d 10 10 0.50 100
	trial e 80 31 1.0 873
	trial f 30 30 0.96 509
	trial g 31 30 0.9599 400
) >trials
trial-append x <trials >out
best() { trial-best "$@" x | jq -r .id; }
same e "recall: the greatest, of equals the latest" best --by recall
same d "latency: the least p95" best --by latency
same g "pareto: recall - 0.2 min(p95 ms, 1)" best --by pareto
same g "and that is the default" best
same "d g f a e b" "frontier, the fastest first" "trial-best --by frontier x | jq -r .id | tr '\n' ' ' | sed 's/ \$//'"
same b "jq: the greatest value, of equals the first" best --jq .metrics.recall_at_k
same d "jq: any expression" best --jq '-.metrics.search_latency_p50_us'
same c "jq: of the config too" best --jq .config.ef_construction
check "jq: null, text and errors skip a Trial with a warning" "trial-best --jq 'if .id == \"a\" then null elif .id == \"b\" then \"x\" elif .id == \"c\" then error(\"no\") else .metrics.recall_at_k end' x 2>warn | jq -e '.id == \"e\"' && test \$(grep -c 'skipping Trial' warn) -eq 3"
status 1 "jq: nothing but nulls" trial-best -q --jq null x
status 2 "jq: what does not compile" trial-best --jq '.metrics |' x
says "cannot compile jq program" "is told of"
echo 'def twice: 2 * .;' >own.jq
for module in 'import "own" as a; 1' ' # a remark
include "own"; 1' 'include "own" {search: "/"}; 1' 'module {}; 1'; do
	status 2 "jq: no modules: $module" trial-best --jq "$module" x
	says "there are no modules here" "is told of"
done
same b "jq: a name that begins like one" best --jq 'def includes: .metrics.recall_at_k; includes'
HNSW_SECRET=1 status 1 "jq: no environment" trial-best --jq 'if (env | length) + ($ENV | length) == 0 then null else 1 end' x
status 1 "jq: no file" trial-best --jq '"'"$PWD/own"'" | modulemeta | 1' x
status 6 "jq: no memory without end" trial-best --jq '("x" * 10000000) as $s | [range(1e6) | $s + "y"] | length' x
says "the jq program needs more memory than there is, or than 1024 MiB" "is told of"
status 6 "jq: nor where there is little" "ulimit -v 1000000; trial-best --jq '(\"x\" * 10000000) as \$s | [range(1e6) | \$s + \"y\"] | length' x"
status 6 "jq: no time without end" trial-best --jq 'def f: f; f' x
says "the jq program takes more than 10 s" "is told of"
status 6 "jq: a crash of libjq" trial-best --jq 'reduce range(3000000) as $i (0; [.]) | tojson | 1' x
status 1 "jq: what it says is fit for a terminal" trial-best --jq '"\u001b[2J\u009b2J\u202e" | error' x
says "jq: ?[2J?2J?" "is shown"
for program in input input_filename input_line_number get_search_list '"a" | modulemeta' halt; do
	status 1 "jq: nothing for $program" trial-best --jq "$program" x
	says "skipping Trial 'a'" "each is skipped"
done
status 2 "an unknown rule" trial-best --by fastest x
says "unknown rule 'fastest', expected one of recall, latency, pareto, winner, frontier" "with those that there are"
status 2 "two rules" trial-best --by recall --jq . x
same b "winner: recall, ties within 1e-4 by p50, then by build time, then the first" "trial-best --by winner - <trials | jq -r .id"
same g "a floor" "trial-best --by latency --min-recall 0.9 x | jq -r .id"
status 1 "a floor that none reaches" "trial-best --min-recall 1 - <<-EOF
	\$(trial q 1 1 0.99 1)
	EOF"
same f "configs left out" "printf '%s\n' '{\"ef_construction\":31,\"ef_search\":30,\"m\":16}' '{\"ef_construction\":10,\"ef_search\":10,\"m\":16,\"seed\":42}' >no; trial-best --by latency --exclude no x | jq -r .id | sed s/a/f/"
check "a Trial is printed verbatim" "trial-best --by latency x | cmp - $(sed -n 4p trials >d; echo d)"
check "from stdin" "trial-best --by recall - <trials | jq -e '.id == \"e\"'"

check "one that others stored with an impossible recall never wins" "mkdir -p store/primary/_hnsw_trials/odd; (trial one 20 30 1 500 odd; trial two 20 30 2 500 odd; trial minus 20 30 1 -5 odd) >store/primary/_hnsw_trials/odd/batch_00000000000000000001.jsonl; for rule in recall latency pareto winner; do trial-best --by \$rule odd 2>warn | jq -e '.id == \"one\"' || exit 1; done; trial-best --jq .metrics.recall_at_k odd | jq -e '.id == \"one\"' && trial-best --by frontier odd | jq -e '.id == \"one\"'"
check "and is told of" "grep -q \"skipping Trial 'two': metrics.recall_at_k is 2, expected 0..1\" warn && grep -q \"skipping Trial 'minus'\" warn"
check "but listed" "trial-list odd | test \$(wc -l) -eq 3"

# A thousand random Trials against a plain computation.
awk 'BEGIN {srand(11); for (i = 0; i < 1000; i++) printf "%d %d %.3f %d\n", 10 + rand() * 90, 10 + rand() * 90, 0.8 + int(rand() * 200) / 1000, 100 + int(rand() * 500)}' >random
n=0
while read -r ec es recall p50; do
	n=$((n + 1))
	trial "t$n" "$ec" "$es" "$recall" "$p50" r
done <random >rtrials
trial-append r <rtrials >out
check "frontier of a thousand" "trial-best --by frontier r | jq -r .id | sort >got; jq -sr '. as \$all | map(select(. as \$t | all(\$all[]; . as \$o | ((\$o.metrics.recall_at_k >= \$t.metrics.recall_at_k) and (\$o.metrics.search_latency_p50_us <= \$t.metrics.search_latency_p50_us) and ((\$o.metrics.recall_at_k > \$t.metrics.recall_at_k) or (\$o.metrics.search_latency_p50_us < \$t.metrics.search_latency_p50_us))) | not))) | .[].id' rtrials | sort | cmp - got && test \$(wc -l <got) -gt 3"
check "recall of a thousand" "trial-best --by recall r | jq -r .id >got; jq -sr 'max_by(.metrics.recall_at_k).metrics.recall_at_k as \$m | map(select(.metrics.recall_at_k == \$m)) | last.id' rtrials | cmp - got"
check "latency of a thousand" "trial-best --by latency r | jq -r .id >got; jq -sr 'min_by(.metrics.search_latency_p95_us).id' rtrials | cmp - got"
check "winner of a thousand" "trial-best --by winner r | jq -r .id >got; jq -sr 'max_by(.metrics.recall_at_k).metrics.recall_at_k as \$m | map(select(.metrics.recall_at_k > \$m - 0.00005)) | min_by(.metrics.search_latency_p50_us).id' rtrials | cmp - got"

# ---- winner: what is not kept could not have won ----
awk 'BEGIN { srand(3); for (i = 0; i < 600; i++) printf "w%d %.5f %d %d\n", i, 0.9 + int(rand() * (i + 1) / 60) * 0.00004, 1 + rand() * 4, 1 + rand() * 3 }' |
	while read -r id recall p50 build; do trial "$id" 20 30 "$recall" "$p50" | sed "s/\"build_time_secs\":1.5/\"build_time_secs\":$build/"; done >many
for n in 10 100 300 600; do
	head -n $n many >some
	want=$(jq -s -r '(map(.metrics.recall_at_k) | max) as $r | map(select($r - .metrics.recall_at_k < 0.0001)) | to_entries | min_by([.value.metrics.search_latency_p50_us, .value.metrics.build_time_secs, .key]).value.id' some)
	same "$want" "the winner of $n, many alike" "trial-best --by winner - <some | jq -r .id"
done
check "a rung is never the best" "(trial a 80 30 0.9 500; trial b 80 30 1.0 1 | jq -c '.config.rung = 1000') | trial-best --by recall - | jq -e '.id == \"a\"'"

# ---- by a goal ----
sure() { trial "$@" | sed 's/"eval_queries":10,/"eval_queries":100000,/'; }
(
	sure slow 80 30 0.97 900
	sure good 81 30 0.95 500
	sure fast 82 30 0.89 100
	trial unproven 83 30 0.99 50
	sure big 84 30 0.96 400 | sed 's/"memory_bytes":1000/"memory_bytes":9000/'
	sure rung 85 30 0.99 1 | jq -c '.config.rung = 50'
) >goal
by_goal() { trial-best "$@" - <goal | jq -r .id; }
same big "the cheapest that proves the target" by_goal --target-recall 0.9
same slow "a greater target" by_goal --target-recall 0.965
same fast "a lesser target" by_goal --target-recall 0.8
same unproven "by the mean, without proof" by_goal --target-recall 0.9 --confidence 0.5
same good "a limit of memory" by_goal --target-recall 0.9 --max-memory 5000
same good "the target is 0.9 by default; the least memory, then the fastest" by_goal --minimise memory
same big "any option makes a goal" by_goal --minimise latency
same slow "only those that --exclude leaves" "jq -c 'select(.id == \"good\" or .id == \"big\") | .config' goal >no2; trial-best --target-recall 0.9 --exclude no2 - <goal | jq -r .id"
check "the Trial is printed verbatim" "trial-best --target-recall 0.9 - <goal >o1; grep '\"big\"' goal | cmp - o1"
check "the latest Trial of a config, from a journal" "(cat goal; sure again 84 30 0.96 410 | sed 's/\"memory_bytes\":1000/\"memory_bytes\":9000/') | sed 's/\"index_name\":\"x\"/\"index_name\":\"goal\"/' | trial-append -q goal >o1; trial-best --target-recall 0.9 goal | jq -e '.id == \"again\"'"
check "another eval set does not count" "(sure other 20 30 0.99 1 x ',\"provenance\":{\"vectors_digest\":\"1\",\"eval_digest\":\"1\"}'; cat goal) | trial-best --target-recall 0.9 - | jq -e '.id == \"big\"'"
says "1 Trials of other vectors or another eval set do not count" "which is said"
status 1 "a target that none reaches" "trial-best --target-recall 0.999 - <goal"
says "nothing that was tried meets the goal" "is told of"
status 1 "a target that is not proven" "grep unproven goal | trial-best --target-recall 0.9 -"
says "queries are needed" "is told of, and what would prove it"
status 1 "a limit that none keeps" "trial-best --target-recall 0.8 --max-latency 10 - <goal"
says "a limit of the goal is not met" "is told of"
check "and nothing is printed" "test ! -s out"
status 2 "a goal and a rule" trial-best --by recall --target-recall 0.9 x
status 2 "a goal and an expression" trial-best --jq . --minimise memory x
status 2 "a target beyond 1" trial-best --target-recall 1.1 x
status 2 "no target" trial-best --target-recall 0 x
finish
