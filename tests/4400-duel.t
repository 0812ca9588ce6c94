#!/bin/sh
# A fair fight: trial-duel, and promotions that need its verdict and a proof of the floor.
. "$(dirname "$0")/lib.sh"

vectors 1500 16 1 >v.jsonl
vectors 400 16 2 q >q.jsonl
evalset -q --metric l2 --queries q.jsonl -o ev.json v.jsonl
hnsw-build -q --metric l2 -c 80 -s 400 v.jsonl -o slow.hnsw >slow.json
hnsw-build -q --metric l2 -c 80 -s 100 v.jsonl -o fast.hnsw >fast.json
hnsw-build -q --metric l2 -m 4 -c 10 -s 10 v.jsonl -o poor.hnsw >poor.json

# ---- verdicts ----
check "the champion cannot beat itself" "trial-duel slow.json slow.json ev.json >v1; test \$? -eq 1 && jq -se 'length == 1 and .[0].winner == \"champion\" and (.[0].reason == \"not faster\" or (.[0].reason | startswith(\"undecided\")))' v1"
check "a challenger that is as good and far faster wins" "trial-duel slow.json fast.json ev.json >v2 && jq -e '.winner == \"challenger\" and .reason == \"faster\" and .speedup > 1.05 and .speedup_low <= .speedup and .speedup <= .speedup_high and .evidence >= 20000' v2"
check "not the other way round" "trial-duel fast.json slow.json ev.json >v3; test \$? -eq 1 && jq -e '.winner == \"champion\" and .champion.config.ef_search == 100 and .challenger.config.ef_search == 400' v3"
check "recall that is lower loses at once, however fast" "trial-duel slow.json poor.json ev.json >v4; test \$? -eq 1 && jq -e '.reason == \"recall is lower\" and .speedup > 1 and .blocks == 20' v4"
check "recall that is greater wins, however slow" "trial-duel poor.json slow.json ev.json >v5 && jq -e '.reason == \"recall is greater\" and .speedup < 1 and .recall_evidence >= 20000' v5"
check "six queries prove no greater recall, and it says that" "vectors 6 16 2 q | evalset -q --metric l2 --queries - -o six.json v.jsonl; trial-duel poor.json slow.json six.json >v8; test \$? -eq 1 && jq -e '.reason == \"greater recall is not proven, and it is not faster\"' v8"
check "a floor that is not proven" "trial-duel --min-recall 0.999 slow.json fast.json ev.json >v6; test \$? -eq 1 && jq -e '(.reason | test(\"floor\")) and .queries_needed > .eval_queries' v6"
check "no time: the champion stays" "trial-duel --seconds 0 --effect 9 --alpha 1e-12 --margin 1 slow.hnsw slow.hnsw ev.json >v7; test \$? -eq 1 && jq -e '.winner == \"champion\"' v7"
check "beam widths by hand, index files" "trial-duel -s 400,100 slow.hnsw slow.hnsw ev.json | jq -e '.champion.config.ef_search == 400 and .challenger.config.ef_search == 100 and .champion.graph_digest == .challenger.graph_digest and .winner == \"challenger\"'"
check "a record on stdin" "trial-duel slow.json - ev.json <fast.json | jq -e '.challenger.index == \"fast.hnsw\"'"
check "a recall that is worth less than that is equal" "hnsw-bench -q --seconds 0 -s 20,400 slow.hnsw ev.json | jq -s '.[1].metrics.recall_at_k - .[0].metrics.recall_at_k + 0.001' >gap; trial-duel --recall-tie \$(cat gap) -s 400,20 slow.hnsw slow.hnsw ev.json | jq -e '.reason == \"faster\"'"

# ---- bad input ----
status 2 "two records on stdin" "trial-duel - - ev.json <fast.json"
status 2 "an effect within the margin" trial-duel --effect 0.01 slow.json fast.json ev.json
status 2 "three beam widths" trial-duel -s 1,2,3 slow.json fast.json ev.json
status 3 "two records in one file" "cat slow.json fast.json >two.json; trial-duel two.json fast.json ev.json"
says "'two.json': not one build record" "named"
status 3 "a record of another graph" "jq -c '.index = \"poor.hnsw\"' fast.json >wrong.json; trial-duel slow.json wrong.json ev.json"
says "the build record of 'poor.hnsw' is of another graph" "named"
vectors 1500 16 3 >other.jsonl
hnsw-build -q --metric l2 other.jsonl -o other.hnsw >other.json
status 3 "indexes of different vectors" trial-duel slow.json other.json ev.json
says "'slow.json' and 'other.json' are indexes of different vectors" "named"
status 3 "answers that belong to other vectors" trial-duel other.json other.json ev.json
says "the answers belong to other vectors" "named"
status 6 "an index that is not there" trial-duel slow.json ./none.hnsw ev.json

# ---- promotions ----
t() { hnsw-bench -q --seconds 0 --index x "$1" ev.json | trial-append x | jq -r .id; }
slow=$(t slow.json)
fast=$(t fast.json)
poor=$(t poor.json)
check "without a champion no duel is needed, the floor is" "promote -n --if-better --min-recall 0.9 x $slow && promote --if-better x $slow"
status 1 "a win that nobody confirms" promote --if-better x "$fast"
says "not confirmed that it beats the champion" "is none"
status 1 "the champion won" promote --confirm v1 x "$slow"
says "the champion won the duel: " "and it says so"
status 1 "a verdict on another challenger" promote --confirm v2 x "$poor"
says "the verdict is on another challenger" "is told of"
status 1 "a verdict on another champion" promote --confirm v5 x "$slow"
says "the verdict is on another champion" "is told of"
check "on another graph of that config" "jq -c '.challenger.graph_digest = \"0\"' v2 >v8; promote --confirm v8 x $fast; test \$? -eq 1"
check "on other vectors" "jq -c '.vectors_digest = \"0\"' v2 >v8; promote --confirm v8 x $fast; test \$? -eq 1"
check "on another eval set" "jq -c '.eval_digest = \"0\"' v2 >v8; promote --confirm v8 x $fast; test \$? -eq 1"
for bad in '' '{' '[]' '{}' 'null' "$(jq -c 'del(.winner)' v2)" "$(jq -c '.winner = "x"' v2)" "$(jq -c 'del(.champion.config)' v2)" "$(jq -c '.challenger = 1' v2)" "$(cat v2 v2)"; do
	printf '%s\n' "$bad" >bad
	status 3 "a malformed verdict: $(printf '%.30s' "$bad")" promote --confirm bad x "$fast"
done
status 2 "both ways at once" promote --confirm v2 --trust-stored x "$fast"
status 2 "verdict and Trials on stdin" "promote --confirm - x <v2"
check "the verdict of this duel" "trial-duel slow.json fast.json ev.json | promote --confirm - x $fast | jq -e '.current.trial_id == \"$fast\"'"
check "the figures as they are, on request" "promote --trust-stored --if-better x $slow; test \$? -le 1"

# ---- the floor ----
trial ten 20 30 1.0 100 f | sed 's/"eval_queries":10/"eval_queries":9/' | trial-append f >o2
status 1 "nine perfect queries prove little" promote --prove --min-recall 0.9 f ten
says "recall=1.0000 of 9 queries proves no more than 0.5995, below the floor of 0.9: about 44 queries are needed" "and it tells how many would do"
check "of a first champion the mean is enough" "promote --min-recall 0.9 f ten | jq -e '.current.floor_proven == false'"
says "the first champion, by its mean: recall=1.0000 of 9 queries proves no more than 0.5995" "with a warning"
status 1 "a mean below the floor is not" "rollback f >o2; trial low 20 30 0.89 100 f | trial-append f >o2; promote --min-recall 0.9 f low"
check "the figure itself, on request" "promote --trust-stored --min-recall 0.9 f ten | jq -e '.current | has(\"floor_proven\") | not'"
status 1 "a champion is not replaced without proof" promote --min-recall 0.9 f ten
status 2 "proof and no proof" promote --prove --trust-stored --min-recall 0.9 f ten
trial many 20 30 0.95 100 f | sed 's/"eval_queries":10/"eval_queries":1000/' | trial-append f >o2
check "many prove more" "promote --min-recall 0.9 f many | jq -e .current.floor_proven"
status 1 "but not a floor that the mean just reaches" promote --min-recall 0.95 f many
says "not above the floor of 0.95, so no number of queries" "and it says so"
trial told 20 30 0.95 100 f | sed 's/"recall_at_k"/"recall_lcb":0.94,"recall_at_k"/' | trial-append f >o2
check "a Trial may tell its own bound" promote --min-recall 0.93 f told
trial odd 20 30 0.95 100 f | sed 's/"recall_at_k"/"recall_lcb":"x","recall_at_k"/' | trial-append f >o2
status 1 "a key of ours with other content is no bound" promote --min-recall 0.93 f odd
check "hnsw-bench tells it" "hnsw-bench -q --seconds 0 --target-recall 1 fast.json ev.json | jq -e '.metrics | .recall_lcb > 0.9 and .recall_lcb < .recall_at_k and .recall_p5 <= 1 and .queries_at_target <= 1 and .target_recall == 1 and .rounds >= 6 and .search_latency_p50_low_us <= .search_latency_p50_us and .search_latency_p50_us <= .search_latency_p50_high_us'"
check "and how many queries would prove the target" "hnsw-bench -q --seconds 0 --target-recall 0.9995 fast.json ev.json | jq -e '.metrics | if .recall_at_k > .target_recall then .queries_needed > .eval_queries else .queries_needed == 0 end'; hnsw-bench -q --seconds 0 --target-recall 0.5 fast.json ev.json | jq -e '.metrics | .queries_needed == .eval_queries'"
check "and where the figures come from" "hnsw-bench -q --seconds 0 fast.json ev.json | jq -e '.provenance | (.flags | length) > 0 and (.kernel | length) > 0 and has(\"pinned\") and .threads == 1 and (.vectors_digest | length) == 32'"

check "fewer queries may be timed, all count for recall" "hnsw-bench -q --seconds 0 --timed 50 fast.json ev.json >a; hnsw-bench -q --seconds 0 fast.json ev.json | jq -e --slurpfile a a '[.metrics | .recall_at_k, .eval_queries] == [\$a[0].metrics | .recall_at_k, .eval_queries]'"

# ---- autotune ----
ingest docs v.jsonl >o2
index-add --metric l2 docs >o2
evalset -q --metric l2 --queries q.jsonl --index docs --save docs-ev docs
evalset -q --metric l2 -N 10 --index docs --save small docs
status 1 "too few queries to prove the floor" autotune -q --prove --grid 80/100 docs small
check "it tells how many are needed" "jq -e '.promoted == false and (.reason | test(\"queries are needed\"))' out"
status 1 "nothing was promoted" promoted docs
check "the first champion goes by its mean" "autotune -q --grid 80/99 -m 5 docs small | jq -e .promoted && promoted --full docs | jq -e '.current.floor_proven == false' && rollback docs >o2"
check "the figures as they are, on request" "autotune -q --trust-stored --grid 80/101 docs small | jq -e .promoted; rollback docs >o2"
check "enough of them" "autotune -q --grid 10/10 -m 4 --min-recall 0.2 docs docs-ev | jq -e .promoted"
check "a champion is beaten in a duel" "autotune --min-recall 0.2 --grid 80/100 docs docs-ev | jq -e '.promoted and .winner.config.ef_search == 100'"
says "a duel: champion ef_construction=10" "which is told"
# A Trial of another seed whose latency was a stroke of luck.
echo '{"ef_construction":80,"ef_search":100,"seed":43,"m":16}' | hnsw-build -q --config - docs -o lucky.hnsw >lucky.json
hnsw-bench -q --seconds 0 --index docs lucky.json docs-ev | jq -c '.metrics.recall_at_k = 1 | .metrics.search_latency_p50_us /= 9' | trial-append docs >o2
check "a win that is not confirmed changes nothing" "autotune --seed 43 --grid 80/100 docs docs-ev | jq -e '.promoted == false and (.reason | startswith(\"a win over the champion is not confirmed: \"))' && promoted docs | jq -e '.seed == 42'"
says "the champion stays: a win" "and it says so"
check "on request the luck counts" "autotune -q --trust-stored --seed 43 --grid 80/100 docs docs-ev | jq -e '.promoted and .winner.config.seed == 43'"
finish
