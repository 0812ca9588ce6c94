#!/bin/sh
# autotune and activate: the loop on a directory.
. "$(dirname "$0")/lib.sh"

vectors 1200 12 1 >v.jsonl
ingest docs v.jsonl >out
index-add --metric l2 docs >out
status 2 "no eval set" autotune docs
says "has no eval set of its own" "is told of"
check "an eval set for it" evalset -q -N 100 --save ev docs
check "it has the index's metric and name" "jq -e '.metric == \"l2\" and .index_name == \"docs\" and .name == \"ev\"' store/primary/_hnsw_evals/ev.json"
index-add --eval-set ev docs >out
check "a dry run shows the grid" "autotune --by winner -n docs | jq -sc 'map([.ef_construction, .ef_search, .seed, .m])' | grep -qxF '[[20,30,42,16],[40,30,42,16],[80,30,42,16],[80,60,42,16],[160,30,42,16]]'"
check "and does nothing" "test ! -e store/primary/_hnsw_trials"
check "the default grid" autotune --by winner --trust-stored docs
cp out result
check "one line tells what came of it" "jq -se 'length == 1 and .[0].promoted and .[0].trials == 5 and .[0].index_name == \"docs\" and (.[0].reason | test(\"^autotune winner: recall=[01].[0-9]{3} p50=[0-9]+us$\"))' result"
check "five Trials" "trial-list docs | jq -sce 'map([.config.ef_construction, .config.ef_search]) | sort == [[20,30],[40,30],[80,30],[80,60],[160,30]]'"
check "two of them from one build" "trial-list docs | jq -se 'map(select(.config.ef_construction == 80)) | .[0].metrics.build_time_secs == .[1].metrics.build_time_secs and .[0].provenance.graph_digest == .[1].provenance.graph_digest'"
check "the winner is promoted" "promoted --full docs | jq -e --slurpfile r result '.current.trial_id == \$r[0].winner.id and .current.promoted_by == \"autotune\" and .current.note == \$r[0].reason'"
check "it is the winner by the rule" "trial-best --by winner docs | jq -r .id >a; jq -r .winner.id result | cmp - a"
check "again: nothing is measured twice, nothing changes" "cp store/primary/_hnsw_promotions/docs.json p; autotune --by winner --trust-stored docs | jq -e '.promoted == false and .reason == \"the winner is promoted already\"' && trial-list docs | test \$(wc -l) -eq 5 && cmp p store/primary/_hnsw_promotions/docs.json"
says "the champion stays" "and it says so"
check "a grid of one's own" "autotune --trust-stored --grid 50/20,50/40 docs | jq -e '.trials == 3'"
check "m and seed of each" "autotune -n --grid 51/20,60/20/8,60/20/8/7 docs | jq -sc 'map([.m, .seed])' | grep -qxF '[[8,7],[8,42],[16,42]]'"
check "the champion joined it" "trial-list docs | test \$(wc -l) -eq 7"
vectors 2000 40 3 | ingest hard >out
evalset -q -N 100 --save hard-ev hard
status 1 "a floor that none reaches" autotune --trust-stored --min-recall 1 --grid 10/10 -m 4 hard hard-ev
says "nothing promoted: no config reaches recall 1" "and it says so"
check "the answer names the best all the same" "jq -e '.promoted == false and .winner.id != null' out"
for bad in 50/20/3 50/20/8/x 50/20/8/7/6 5/30 401/30 80/9 80/201 80 80/ x/y 80/30, ""; do
	status 2 "a bad grid: $bad" autotune --trust-stored --grid "$bad" docs
done
status 2 "m out of bounds" autotune -m 3 docs
status 2 "a floor beyond 1" autotune --min-recall 1.05 docs
status 1 "an index that is nowhere" autotune nowhere ev
status 1 "an eval set that is nowhere" autotune --trust-stored docs nowhere
check "a dead run is resumed" "rm -rf store/primary/_hnsw_trials store/primary/_hnsw_promotions; (autotune -q --by winner --trust-stored docs >/dev/null 2>&1 & pid=\$!; while ! ls store/primary/_hnsw_trials/docs/* >/dev/null 2>&1; do sleep 0.01; done; kill -9 \$pid; wait \$pid) 2>/dev/null; autotune --by winner --trust-stored --wait docs | jq -e '.promoted and .trials == 5' && trial-list docs | jq -s 'map([.config.ef_construction, .config.ef_search]) | unique | length' | grep -qx 5"
says "of the Trials are in the journal already" "without measuring again"

mkdir tmp
status 5 "a run that is interrupted" "TMPDIR=$PWD/tmp autotune -q --trust-stored --grid 70/20,71/20,72/20,73/20 docs & pid=\$!; while test -z \"\$(ls tmp)\"; do sleep 0.01; done; kill -TERM \$pid; wait \$pid"
check "leaves nothing behind" rmdir tmp

# ---- one at a time ----
hnsw-store lock primary/_hnsw_tuning/docs -- sleep 3 &
sleep 0.3
status 5 "a second run" autotune --trust-stored docs
says "is locked by another process" "is told of"
check "or waits" autotune --by winner --trust-stored --wait docs
wait
check "a variable that was exported by accident does not open the lock" "HNSW_TUNING=primary/_hnsw_tuning/docs autotune --by winner --trust-stored docs"

# ---- what was rolled back stays so ----
check "roll the winner back" "promoted --full docs | jq -r .current.trial_id >gone; rollback docs >o2; autotune --by winner --trust-stored docs | jq -e --rawfile gone gone '.promoted and .winner.id != (\$gone | rtrimstr(\"\\n\"))'"
check "on other vectors it may come again" "vectors 10 12 7 n | ingest docs >o2; evalset -q --refresh ev >o2; index-add docs >o2; autotune --by winner --trust-stored docs | jq -e '.trials >= 5'"

# ---- an index without registry ----
evalset -q --metric l2 -N 50 -o loose.json v.jsonl
check "vectors from a file" "autotune --trust-stored --vectors v.jsonl --metric l2 --grid 20/20,40/20 loose ./loose.json | jq -e '.index_name == \"loose\" and .trials == 2'"

# ---- activate ----
active=store/primary/_hnsw_active/docs
check "a dry run" activate -n docs
says "would build HNSW ef_construction=" "says what it would build"
check "and does nothing" "test ! -e $active"
check "build and serve" activate docs
says "building HNSW ef_construction=" "says what it builds"
cp out first
check "what is promoted" "promoted docs | jq -c . >a; jq -c .config first | cmp - a"
check "hnsw-search by name" "head -n 1 v.jsonl | hnsw-search -k 1 docs | jq -e '.hits[0].id == \"d0\" and .hits[0].distance == 0'"
check "hnsw-bench by name" "hnsw-bench -q --seconds 0 docs ev | jq -e '.index_name == \"docs\"'"
check "hnsw-info by name" hnsw-info --check docs
check "again: reused" activate docs
says "is served already" "which is said"
g1=$(jq -r .generation first)
status 3 "a promoted config that no index can have" "trial one 20 30 1 1 odd | sed 's/\"m\":16/\"m\":1/' | trial-append | promote odd >o2; ingest odd v.jsonl >o2; activate odd"
says "m=1 is out of range 2..512" "is told of"
check "another config" "trial-list docs | jq -r 'select(.config.ef_construction == 20) | .id' | tail -n 1 >id; promote --no-pin docs \$(cat id) >o2; activate --min-recall 0.1 docs | jq -e --arg g1 $g1 '.previous == \$g1 and .generation != \$g1 and .config.ef_construction == 20'"
cp $active/$g1/index.hnsw kept
check "rollback and activate return to the very file" "rollback docs >o2; activate docs | jq -e --arg g1 $g1 '.generation == \$g1' && cmp kept $active/$g1/index.hnsw"
check "old generations go" "for ec in 31 32 33 34; do autotune -q --trust-stored --min-recall 0 --grid \$ec/30 docs >o2; id=\$(trial-list docs | jq -r \"select(.config.ef_construction == \$ec) | .id\" | tail -n 1); promote --no-pin docs \$id >o2; activate -q docs >o3 || exit 1; done; test \$(ls -d $active/gen_* | wc -l) -eq 2 && hnsw-info --check docs >o2"
check "as many as asked for stay" "id=\$(trial-list docs | jq -r \"select(.config.ef_construction == 31) | .id\" | tail -n 1); promote --no-pin docs \$id >o2; activate -q --keep 0 docs >o2; test \$(ls -d $active/gen_* | wc -l) -eq 1"
status 1 "too little recall is not served" "autotune -q --trust-stored --min-recall 0 --grid 10/10 -m 4 docs >o2; id=\$(trial-list docs | jq -r 'select(.config.m == 4) | .id' | tail -n 1); promote docs \$id >o2; activate --min-recall 0.999999 docs"
says "not served: recall" "and it says so"
check "what was served still is" "hnsw-info --check docs | jq -e '.m == 16'"
status 1 "no vectors" activate nowhere
check "nothing promoted: the default" "ingest fresh v.jsonl >o2; index-add fresh >o2; activate fresh | jq -e '.config == {ef_construction: 80, ef_search: 30, seed: 42, m: 16}'"
check "readers during activations never fail" "
	(for i in 1 2 3 4; do trial t\$i \$((20 + i)) 30 0.9 100 fresh | trial-append >/dev/null; promote fresh t\$i >/dev/null; activate -q --keep 2 fresh >/dev/null || echo bad; done) >bad & pid=\$!
	while kill -0 \$pid 2>/dev/null; do head -n 1 v.jsonl | hnsw-search -k 1 fresh | grep -q '\"d0\"' || exit 1; done; wait; test ! -s bad"

# ---- what a record holds does not matter to the shell ----
promote --unpin docs >out
status 1 "what is pinned is noticed before anything is built" "promote --pin docs \$(trial-list docs | tail -n 1 | jq -r .id) >o2; trial-list docs | wc -l >n; autotune --by winner --trust-stored --grid 99/30 docs"
check "and nothing is" "jq -e '.promoted == false and .builds == 0' out && trial-list docs | test \$(wc -l) -eq \$(cat n)"
promote --unpin docs >out
check "blanks in an id and in a config" "trial-list docs | jq -c 'select(.config.ef_construction == 160)' | tail -n 1 |
	jq -c '.id = \"an  odd\\\\nid \" | .config.remark = \"a b  c\" | .metrics.search_latency_p50_us = 0.001 | .metrics.recall_at_k = 1' | trial-append docs >o2
	promote --unpin docs >o2; autotune --by winner --trust-stored docs | jq -e '.promoted and .winner.id == \"an  odd\\\\nid \"' && promoted --full docs | jq -e '.current.trial_id == \"an  odd\\\\nid \"'"
mkdir -p store/primary/_hnsw_active/docs/others/files
echo >store/primary/_hnsw_active/docs/others/files/build.json
echo '{"generation":"others/files"}' >store/primary/_hnsw_active/docs/current.json
check "a generation that is none" "promote --trust-stored docs \$(trial-list docs | jq -r 'select(.config.ef_construction == 20) | .id' | tail -n 1) >o2; activate --keep 0 docs | jq -e '.previous == \"\"'"
check "is no reason to delete a file" test -e store/primary/_hnsw_active/docs/others/files/build.json
finish
