#!/bin/sh
# The agent by a goal: it begins by itself, ends where nothing is worth trying, and keeps what is
# cheaper; and how much new data it waits for.
. "$(dirname "$0")/lib.sh"

fast="autotune-agent --cooldown-between-trials-secs 0 --max-trials-per-hour 1000"
queue=store/primary/_hnsw_agent/queue
cycle() { autotune-agent enqueue "${1:-docs}" >o2 && $fast ${how:-} once >told; }
current() { promoted --full docs | jq -r "$1"; }

vectors 1500 16 1 | ingest docs >out
vectors 400 16 2 q | evalset -q --metric l2 --queries - --index docs --save ev docs
index-add --metric l2 --eval-set ev docs >out
rm -rf $queue

# ---- from nothing ----
status 1 "without a goal a first Trial is needed" cycle
says "seed with at least one trial first" "and it says so"
check "a goal of the agent's: it begins by itself" "how='--target-recall 0.8 --minimise distances' cycle"
check "with one build, measured at the target, and its curve" "trial-list docs | jq -se 'length > 0 and all(.[]; .curve.target_recall == 0.8) and (map(.config | del(.ef_search)) | unique | length) == 1 and any(.[]; .metrics.recall_at_k < 0.95 and .metrics.recall_lcb >= 0.8)'"
check "it is promoted, as proven" "jq -se 'map(.kind) == [\"trial_started\", \"trial_completed\", \"promoted\"] and (.[1].detail | test(\"^config=m[0-9]+/ec[0-9]+/es[0-9]+ recall=\"))' told && promoted --full docs | jq -e '.current.floor_proven and .current.promoted_by == \"agent\"'"
check "the index's own goal goes before the agent's" "index-add --target-recall 0.7 --minimise distances docs >o2; how='--target-recall 0.95 --minimise build' cycle; trial-list docs | tail -n 1 | jq -e '.curve.target_recall == 0.7'"

# ---- it ends, at what is cheapest ----
# Nothing dearer is ever promoted.
check "until nothing is worth trying" "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cycle 2>why || break; done; grep -q 'worth\|expected\|exhausted' why"
status 1 "as when the search space is exhausted" "autotune-agent enqueue docs >o2; $fast once"
check "which is logged, and the event done with" "cat store/primary/_hnsw_agent/events/*/* | tail -n 1 | jq -e '.kind == \"trial_error\"' && test ! -e $queue"
check "what is promoted meets the goal" "id=\$(current .current.trial_id); trial-list docs | jq -se --arg id \$id '.[] | select(.id == \$id).metrics.recall_lcb >= 0.7'"
check "and never was a dearer one put in its place" "promoted --full docs | jq -c '[.history[], .current] | .[].trial_id' >ids; trial-list docs | jq -se --slurpfile ids ids '[\$ids[] as \$i | .[] | select(.id == \$i and .curve.target_recall == 0.7).metrics.distances_per_query] | . == (sort | reverse)'"

# ---- what a person promoted ----
check "a dearer champion that a person promoted gives way by a goal" "trial-list docs | jq -r 'select(.metrics.recall_lcb >= 0.7) | [.metrics.distances_per_query, .id] | @tsv' | sort -n | tail -n 1 | cut -f 2 >dear; promote docs \$(cat dear) >o2; trial-list docs | tail -n 1 | jq -c '.id = \"again\"' >t; mkdir -p $queue; jq -c '{index_name: \"docs\", reason: \"manual\", enqueued_at: \"2026-11-20T00:00:00Z\", started_at: \"2026-11-20T00:00:01Z\", trial: .}' t >$queue/00000000000000000007-$(printf '%032d' 7).json; $fast once | jq -se 'map(.kind) == [\"trial_completed\", \"promoted\"]'"
check "unless it is pinned" "promote --pin docs \$(cat dear) >o2; jq -c '.id = \"twice\"' t >t2; mkdir -p $queue; jq -c '{index_name: \"docs\", reason: \"manual\", enqueued_at: \"2026-11-20T00:00:00Z\", started_at: \"2026-11-20T00:00:01Z\", trial: .}' t2 >$queue/00000000000000000007-$(printf '%032d' 7).json; $fast once | jq -se '.[0].not_promoted | test(\"is pinned\")' && test \"\$(current .current.trial_id)\" = \"\$(cat dear)\""
promote --unpin docs >out

# ---- new data ----
current '.current.config | del(.ef_search)' | jq -cS . >champion
check "after growth the champion is measured first" "vectors 200 16 3 n | ingest docs >o2; $fast once >told; trial-list docs | jq -cS 'select(.metrics.vectors == 1700).config | del(.ef_search)' | head -n 1 | cmp - champion"

# ---- strategies ----
check "a command proposes" "printf '#!/bin/sh\necho {\\\\\"ef_construction\\\\\":33,\\\\\"ef_search\\\\\":44,\\\\\"m\\\\\":11}\n' >mine && chmod +x mine && how=\"--strategy $dir/mine\" cycle && trial-list docs | tail -n 1 | jq -e '.config.ef_construction == 33 and .config.m == 11'"
status 2 "an unknown strategy" $fast --strategy best status
says "unknown strategy 'best'" "is told of"
status 2 "a target that is none" $fast --target-recall 2 status
check "they are settings too" "printf 'target_recall=0.9\nminimise=memory\nspace=m=8:16\nstrategy=model\nmin_new_rows=7\n' >conf; autotune-agent --conf conf status | jq -e '.config | .target_recall == 0.9 and .minimise == \"memory\" and .space == \"m=8:16\" and .strategy == \"model\" and .min_new_rows == 7'"
check "and in the environment" "HNSW_AGENT_TARGET_RECALL=0.5 autotune-agent --conf conf status | jq -e '.config.target_recall == 0.5'"

# ---- how much new data ----
rm -rf $queue
few="$fast --min-new-rows 30"
check "few rows wait" "vectors 10 16 4 a | ingest docs >o2; $few once; test \$? -eq 1 && autotune-agent --min-new-rows 30 status | jq -e '.queue[0].state == \"new_rows\"'"
check "which is logged once" "$few once; cat store/primary/_hnsw_agent/events/*/* | jq -r 'select(.kind == \"skipped_new_rows\").detail' | tee lines; test \"\$(cat lines)\" = '10 of 30 new rows'"
check "newer versions of rows count" "vectors 10 16 5 a | ingest --replace docs >o2; $few once; test \$? -eq 1"
check "until they are enough" "vectors 10 16 6 b | ingest docs >o2; $few once && test ! -e $queue"
check "a request does not wait" "vectors 10 16 7 c | ingest docs >o2; autotune-agent enqueue docs >o2; $few once && ls $queue | test \$(wc -l) -eq 1"
check "by default a hundredth is enough" "vectors 17 16 8 f | ingest docs >o2; $fast once && test ! -e $queue"
check "and less is not" "vectors 5 16 9 e | ingest docs >o2; $fast once; test \$? -eq 1"
check "with 0 every batch is" "$fast --min-new-rows 0 once && test ! -e $queue"
finish
