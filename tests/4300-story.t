#!/bin/sh
# One index from text to rollback: the end-to-end run of the service that this toolchain
# re-creates, with every command a person would type.
. "$(dirname "$0")/lib.sh"

awk 'BEGIN {
	who = split("attackers criminals researchers operators insiders vendors", w)
	did = split("scanned breached patched exfiltrated encrypted", d)
	what = split("mail gateways|payment terminals|water plants|hospital records|build servers|domain controllers", t, "|")
	how = split("with stolen keys|through a forgotten proxy|by phishing|over night", h, "|")
	for (i = 0; i < 54; i++)
		printf "{\"id\":\"note-%d\",\"text\":\"%s %s %s %s\"}\n", i, w[i % who + 1], d[int(i / 2) % did + 1], t[int(i / 3) % what + 1], h[i % how + 1]
}' >texts.jsonl
check "54 texts become a dataset" "embed --embedder hash:64 texts.jsonl | ingest threat_intel | jq -e '.rows == 54'"
check "the same batch twice is one" "embed --embedder hash:64 texts.jsonl | ingest --batch-id b1 twice >o2; embed --embedder hash:64 texts.jsonl | ingest --batch-id b1 twice | jq -e '.repeated and .total == 54'"
check "the index is registered" "index-add --source threat_intel --eval-set threat_intel_smoke threat_intel_v1 | jq -e '.dimensions == 64 and .chunk_count == 54'"
check "ten queries with exact answers" "head -n 10 texts.jsonl | evalset -q --texts - --save threat_intel_smoke threat_intel_v1 && evalset --info threat_intel_smoke | jq -e '.queries == 10 and .ground_truth_built and .index_name == \"threat_intel_v1\"'"
check "autotune runs five Trials and promotes" "autotune --by winner threat_intel_v1 threat_intel_smoke | jq -e '.trials == 5 and .promoted'"
check "they are in the journal, that of the winner promoted" "trial-list threat_intel_v1 | test \$(wc -l) -eq 5 && trial-best --by winner threat_intel_v1 | jq -r .id >winner && promoted --full threat_intel_v1 | jq -e --rawfile w winner '.current | .trial_id + \"\\n\" == \$w and .promoted_by == \"autotune\" and (.note | test(\"^autotune winner: recall=[01].[0-9]{3} p50=[0-9]+us\$\"))'"
winner=$(cat winner)
trial-list threat_intel_v1 | jq -r 'select(.config.ef_construction == 80 and .config.ef_search == 30) | .id' >byhand
check "promote ef_construction 80 by hand: history depth 1" "promote --by j --note 'to be sure' threat_intel_v1 \$(cat byhand) | jq -e '(.history | length) == 1 and .current.config == {ef_construction: 80, ef_search: 30, seed: 42, m: 16}'"
check "rollback: autotune's winner again" "rollback threat_intel_v1 | jq -e '.current.trial_id == \"$winner\" and .current.promoted_by == \"autotune\" and .history == []'"
check "second rollback: nothing is promoted" "rollback threat_intel_v1 | jq -e '.current == null'"
status 1 "so promoted prints the default only if it is asked for" promoted threat_intel_v1
status 1 "and there is nothing to take back" rollback threat_intel_v1
check "autotune does not bring back what was rolled back" "autotune --by winner threat_intel_v1 >tuned; jq -e --rawfile w winner '(.promoted | not) or .winner.id + \"\\n\" != \$w' tuned"
check "promote it once more" "promote --by j threat_intel_v1 \$(cat byhand)"
check "restart: another place, another day, only the files" "promoted --full threat_intel_v1 >p1; cp -R store elsewhere && (cd / && env -i PATH=\"\$PATH\" promoted -S \$OLDPWD/elsewhere --full threat_intel_v1) | cmp - p1"
check "activation" activate threat_intel_v1
says "building HNSW ef_construction=80 ef_search=30 seed=42 m=16" "builds with what was promoted, and says so"
check "it answers" "echo '{\"id\":\"q\",\"text\":\"hospital records encrypted by phishing\"}' | embed --embedder hash:64 | hnsw-search -k 3 threat_intel_v1 | jq -e '(.hits | length) == 3'"
check "everything is plain JSON for jq" "find store -name .locks -prune -o -name '*.json*' -print | while read -r f; do jq -e . \$f >/dev/null || exit 1; done"

# The parts compose without any of the scripts.
check "propose | build | bench | append | promote" "
	propose threat_intel_v1 | hnsw-build --config - threat_intel_v1 -o t.hnsw | hnsw-bench --seconds 0 --index threat_intel_v1 - threat_intel_smoke |
	trial-append | promote --trust-stored --if-better threat_intel_v1; test \$? -le 1 && trial-list threat_intel_v1 | test \$(wc -l) -eq 6"
check "and without a store" "cd \$(mktemp -d -p .) && embed --embedder hash:32 ../texts.jsonl >v.jsonl && hnsw-build v.jsonl -o i.hnsw && head -n 1 v.jsonl | hnsw-search i.hnsw && test ! -e store"

check "the journal merged, the Trials as they were" "trial-list threat_intel_v1 >l; trial-compact threat_intel_v1 && trial-list threat_intel_v1 | cmp - l"
check "the frontier, and a rule of one's own" "trial-best --by frontier threat_intel_v1 | jq -es 'length >= 1' && trial-best --jq '.metrics.recall_at_k - .metrics.memory_bytes / 1e9' threat_intel_v1 | jq -e .id"
check "what is served, verified" "hnsw-info --check threat_intel_v1 | jq -e '.check == \"ok\" and .vectors == 54 and .ef_construction == 80'"
check "the bucket it is all in" "bucket-list | jq -e '.bucket == \"primary\" and .indexes == [\"threat_intel_v1\"]'"
check "the vectors in another format" "embed --embedder hash:64 texts.jsonl | hnsw-convert -o v.npy - && hnsw-info --vectors v.npy threat_intel 2>o2 | jq -e .vectors; hnsw-info --vectors v.npy >a; hnsw-info --vectors threat_intel | cmp - a"

# ---- what is registered ----
check "index-list" "index-list | jq -se 'map(.index_name) == [\"threat_intel_v1\"]'"
check "index-list by name" "index-list threat_intel_v1 | jq -e '.source == \"threat_intel\" and .bucket == \"primary\" and .eval_set == \"threat_intel_smoke\" and .metric == \"cosine\"'"
status 1 "one that is not" index-list nobody
check "what is not said stays" "index-add --model-name m threat_intel_v1 | jq -e '.model_name == \"m\" and .eval_set == \"threat_intel_smoke\" and .source == \"threat_intel\"'"
check "unknown keys stay too" "jq -c '.mine = [1.50]' store/primary/vectors/meta/threat_intel_v1.json >m; cp m store/primary/vectors/meta/threat_intel_v1.json; index-add --model-version 2 threat_intel_v1 | jq -e '.mine == [1.5] and .model_version == \"2\"'"
status 3 "dimensions that are not those of the dataset" index-add --dimensions 7 threat_intel_v1
status 3 "rows without ids" "echo '[1,2]' | ingest x"
status 3 "an id that is there" "head -n 1 texts.jsonl | embed --embedder hash:64 | ingest threat_intel"
says "id 'note-0' is in dataset 'threat_intel' already" "named"
status 3 "another dimension" "echo '{\"id\":\"n\",\"text\":\"x\"}' | embed --embedder hash:8 | ingest threat_intel"
status 3 "no rows" "ingest x </dev/null"
status 2 "the reserved dataset" "ingest meta </dev/null"
check "eight writers at once" "for i in 1 2 3 4 5 6 7 8; do vectors 20 4 \$i w\$i- | ingest many >/dev/null & done; wait; hnsw-info --vectors many | jq -e '.vectors == 160'"
check "a dry run changes nothing" "vectors 5 4 1 n | ingest -n -S other new && test ! -e other"

# ---- embed ----
check "embed is deterministic and of unit length" "embed texts.jsonl >e1; embed texts.jsonl | cmp - e1 && jq -se 'all(.[]; (.vector | length) == 256 and ((.vector | map(. * .) | add) - 1 | . * . < 1e-10))' e1"
check "like texts are near" "printf '%s\n' 'red apple pie' 'green apple pie' 'diesel engine oil' | embed --lines | jq -sc 'map(.vector) | def dot(\$a; \$b): reduce range(0; 256) as \$i (0; . + \$a[\$i] * \$b[\$i]); dot(.[0]; .[1]) > dot(.[0]; .[2]) + 0.2' | grep -qx true"
check "a prefix goes before" "echo 'apple' | embed --lines --prefix 'pie ' >a; echo 'pie apple' | embed --lines | jq -c .vector >b; jq -c .vector a | cmp - b"
status 3 "a line that is no JSON" "echo text | embed"
status 3 "a line without text" "echo '{\"id\":1}' | embed"
says "'stdin' line 1: has no key 'text'" "named"
status 2 "an unknown embedder" "embed --embedder bert </dev/null"
finish
