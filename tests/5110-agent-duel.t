#!/bin/sh
# The agent promotes what is proven: a floor by enough queries, a champion beaten in a duel.
. "$(dirname "$0")/lib.sh"

fast="autotune-agent --cooldown-between-trials-secs 0 --min-recall 0.2"
queue=store/primary/_hnsw_agent/queue

# measure OPTION...: a Trial of index docs, not in the journal
measure() {
	hnsw-build -q --metric l2 -m 4 "$@" docs -o t.hnsw | hnsw-bench -q --seconds 0 --index docs - docs-ev
}
# interrupted: an event whose Trial, on stdin, was measured before the agent was killed
interrupted() {
	mkdir -p $queue
	jq -c '{index_name: "docs", reason: "manual", enqueued_at: "2026-11-20T00:00:00Z", started_at: "2026-11-20T00:00:01Z", trial: .}' \
		>"$queue/00000000000000000007-$(printf '%032d' 7).json"
}
tidy() { test -z "$(find store -path '*_hnsw_agent*' -name '*.h*')" && test ! -e $queue; }

vectors 1500 16 1 | ingest docs >out
index-add --metric l2 --eval-set small docs >out
evalset -q --metric l2 -N 10 --index docs --save small docs
vectors 400 16 2 q | evalset -q --metric l2 --queries - --index docs --save docs-ev docs

# ---- the floor ----
measure -c 10 -s 10 >poor
trial-append <poor >out
autotune-agent enqueue docs >out
check "too few queries: a Trial, no promotion" "$fast --prove --min-recall 0.9 once >told; jq -se 'map(.kind) == [\"trial_started\", \"trial_completed\"]' told"
check "it tells why" "jq -se '.[1].not_promoted | test(\"recall=.* is below the floor|queries are needed\")' told"
trial-list docs | tail -n 1 | jq -c '.id = "perfect" | .metrics.recall_at_k = 1 | del(.metrics.recall_lcb)' | interrupted
check "even if all are answered" "$fast --prove --min-recall 0.9 once | jq -se 'map(.kind) == [\"trial_completed\"] and (.[0].not_promoted | test(\"of 10 queries proves no more than .* queries are needed$\"))'"
check "for people too" "autotune-agent status --text | grep -q '; not promoted: recall=1.0000 of 10 queries proves'"
status 1 "nothing is promoted" promoted docs
index-add --eval-set docs-ev docs >out
trial-list docs | head -n 1 | jq -c '.id = "enough"' | interrupted
check "without a champion, enough queries are enough" "$fast once | jq -se 'map(.kind) == [\"trial_completed\", \"promoted\"] and all(.[]; has(\"not_promoted\") | not)'"

# ---- the duel ----
autotune-agent enqueue docs >out
check "a champion is beaten in a duel" "$fast once | jq -se 'map(.kind) == [\"trial_started\", \"trial_completed\", \"promoted\"]'"
check "the Trial that was promoted is the new one" "promoted --full docs | jq -e --arg id \"\$(trial-list docs | tail -n 1 | jq -r .id)\" '.revision == 2 and .current.trial_id == \$id and (.current.note | startswith(\"auto-promote: \"))'"
check "its files are gone" tidy
id=$(promoted --full docs | jq -r .current.trial_id)
# The champion's config with another seed, whose latency was a stroke of luck.
trial-list docs | jq -c --arg id "$id" 'select(.id == $id).config | .seed = 43' >config
hnsw-build -q --metric l2 --config config docs -o t.hnsw | hnsw-bench -q --seconds 0 --index docs - docs-ev |
	jq -c '.metrics.recall_at_k = 1 | .metrics.search_latency_p50_us /= 9' >lucky
interrupted <lucky
check "a win that a duel does not confirm is none" "$fast once | jq -se 'map(.kind) == [\"trial_completed\"] and (.[0].not_promoted | startswith(\"the champion won the duel: \"))'"
check "the champion stays" "promoted --full docs | jq -e '.current.trial_id == \"$id\"'"
check "its files are gone" tidy
measure -c 10 -s 10 | interrupted
check "nor is one worth a duel that is worse by its own figures" "$fast once | jq -se 'map(.kind) == [\"trial_completed\"] and (.[0].not_promoted | startswith(\"it does not beat the champion: \"))'"

# ---- interrupted, and the data changed ----
jq -c '.id = "trial-1776319628000-1a2b3c4d"' lucky | interrupted
vectors 20 16 9 n | ingest docs >out
check "a Trial on data that is no longer is brought to its end" "$fast once | jq -se 'map(.kind) == [\"trial_completed\"] and (.[0].not_promoted | startswith(\"the data is no longer\"))'"
check "it is in the journal" "trial-list docs | grep -q 1a2b3c4d"
check "what was appended waits" "autotune-agent status | jq -e '.queue_depth == 1 and .queue[0].reason == \"dataset_appended(docs)\"'"

# ---- the figures as they are ----
check "then the champion is measured again" "$fast once; trial-list docs | tail -n 1 | jq -e '.metrics.vectors == 1520'"
trial-list docs | jq -c --arg id "$id" 'select(.metrics.vectors == 1520 and .config.seed != 43) | .id = "by-luck" | .config.seed = 44 | .metrics.recall_at_k = 1 | .metrics.search_latency_p50_us /= 9' | tail -n 1 | interrupted
check "on request the luck counts" "HNSW_AGENT_TRUST_STORED=true $fast once | jq -se 'map(.kind) == [\"trial_completed\", \"promoted\"]' && promoted --full docs | jq -e '.current.trial_id == \"by-luck\"'"
check "status tells that it would" "autotune-agent --trust-stored status | jq -e .config.trust_stored && autotune-agent --trust-stored status --text | grep -q 'by the figures as they are'"
finish
