#!/bin/sh
# index-status: what is promoted and served, how stale it is, and what is next.
. "$(dirname "$0")/lib.sh"

next() { # COMMAND WHAT
	same "$1" "$2" "index-status --json d | jq -r '.next // \"nothing\"'"
}
status 6 "no store" index-status
vectors 300 4 1 | ingest d >out
status 1 "a name that is nothing" index-status nothing
says "'nothing' is neither a registered index nor a dataset" "which is said"
check "a dataset" index-status d
prints "Index d (not registered): 300 vectors of 4 dimensions" "it is not registered"
check "without remarks" "! test -s err"
next "index-add d" "next: register it"
index-add d >out
next "index-add --eval-set d-eval d" "next: an eval set"
index-add --eval-set e d >out 2>err
check "the eval set is not there" "index-status | grep -F '  eval set  e, which is not there yet'"
next "evalset --save e d" "next: make it"
evalset -q -N 20 --save e d >out
check "where its queries come from" "index-status d | grep -Fx '  eval set  e: 20 queries, sampled from the data' && index-status --json d | jq -e '.eval_set.query_source == \"sampled\"'"
for source in 'given: 20 queries, given' 'log: 20 queries, from a log' ': 20 queries'; do
	jq -c --arg s "${source%%:*}" 'if $s == "" then del(.query_source) else .query_source = $s end' store/primary/_hnsw_evals/e.json >e2 && cp store/primary/_hnsw_evals/e.json e1 && cp e2 store/primary/_hnsw_evals/e.json
	check "or '${source%%:*}'" "index-status d | grep -Fx '  eval set  e: ${source#*: }'"
	cp e1 store/primary/_hnsw_evals/e.json
done
next "autotune d" "next: tune"
autotune -q --min-recall 0 --by winner --grid 20/20 d >out 2>err || autotune -q --min-recall 0 --grid 20/20 d >out
check "one Trial, nothing served" "index-status d >s && grep -E '^  trials    1, the last ....-..-..T..:..:..Z' s && grep -F '  served    nothing' s"
check "what is promoted, with its figures" "grep -E '^  promoted  M 16, ef_construction 20, ef_search 20: recall [01][.0-9]*, [.0-9]+ us' s"
next "activate d" "next: serve"
activate -q d >out
next nothing "all is up to date"
check "which is said" "index-status d | grep -F '  next      nothing: all is up to date'"

# ---- what grows stale ----
vectors 7 4 2 new | ingest d >out
check "rows behind" "index-status --json d | jq -e '.vectors == 307 and .promoted.behind == 7 and .served.behind == 7 and .eval_set.behind == -1 and .waiting == 1'"
next "activate d" "next: serve again"
check "for people" "index-status d | grep -F '7 vectors behind'"
check "an event waits" "index-status d | grep -F '  agent     1 event waiting'"
activate -q d >out
next "autotune d" "next: tune again"
vectors 1 4 9 new | ingest --replace d >out
check "as many, but others" "index-status --json d | jq -e '.served.behind == -1'"
check "which is said" "index-status d | grep -F 'of other vectors than those of today'"
trial hand 30 30 1.0 1 d | jq -c '.provenance = {}' | trial-append d | promote --by me d >out
activate -q d >out
promote --by me d "$(trial-list d | jq -r .id | head -n 1)" >out
check "served is not what is promoted" "index-status --json d | jq -e '.served.as_promoted == false and .promoted.promoted_by == \"me\"'"

# ---- odd names, several, another bucket ----
vectors 9 4 5 | ingest 'a b"$(x)' >out
index-add --bucket other 'a b"$(x)' >out
check "all that are registered" "index-status --json >s && jq -s 'map(.index_name) == [\"a b\\\"\$(x)\", \"d\"]' s | grep -x true"
check "one in another bucket" "index-status 'a b\"\$(x)' | grep -F 'in bucket other: 9 vectors'"
status 2 "an option that is not known" index-status --nothing
status 6 "no room for output" "index-status d >/dev/full"
finish
