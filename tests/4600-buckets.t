#!/bin/sh
# Buckets: where they are, which one an index lives in, moving it, one that cannot be reached.
. "$(dirname "$0")/lib.sh"

vectors 60 6 1 >v.jsonl
trial t1 80 30 0.9 500 first | trial-append >o1
promote first t1 >o1

# ---- where buckets are ----
same primary "a store has the bucket primary" "bucket-list | jq -r 'select(.reachable) | .bucket'"
mkdir store/local && ln -s loop loop
echo '{"cold":"../cold","gone":"../loop/x","far":"'"$PWD"'/far"}' >store/buckets.json
check "bucket-list prints directories and what buckets.json names" "bucket-list | jq -r .bucket | tr '\n' ' ' | grep -qx 'cold far gone local primary '"
check "and which one can be reached" "bucket-list | jq -se 'map(select(.reachable | not)) | map(.bucket) == [\"gone\"] and (.[0].error | test(\"Too many levels\"))'"
check "where it is" "bucket-list cold far | jq -se 'map(.url) == [\"./store/../cold\", \"$PWD/far\"] and all(.[]; .empty and .reachable and .error == null)'"
status 1 "one that is none" bucket-list nothing
says "store './store' has no bucket 'nothing'" "is told of"
check "the others are still printed" "bucket-list nothing cold; test \$? -eq 1 && jq -e '.bucket == \"cold\"' out.new"
: >afile
check "a file is no bucket" "echo '{\"file\":\"../afile\"}' >b.json; mkdir -p other/primary && cp b.json other/buckets.json && bucket-list -S other file | jq -e '(.reachable | not) and (.error | test(\"Not a directory\"))'"
for bad in '[]' '{"a":1}' '{"a":"b"' '{"a/b":"c"}' '{".a":"c"}' '{"":"c"}'; do
	echo "$bad" >other/buckets.json
	status 3 "a malformed map: $bad" bucket-list -S other
	says "'other/buckets.json'" "is named"
done

# ---- the index's bucket decides ----
check "an index in another bucket" "index-add --bucket cold docs --eval-set ev | jq -e '.bucket == \"cold\"'"
check "its vectors go there" "ingest docs v.jsonl >o1 && ls cold/vectors/docs/batch_* && test ! -e store/primary/vectors/docs"
status 4 "not elsewhere" "vectors 1 6 2 n | ingest --bucket primary docs"
says "dataset 'docs' is in bucket 'cold'" "which is said"
check "its eval set" "evalset -q -N 20 --save ev docs && test -e cold/_hnsw_evals/ev.json"
check "its journal and promotions" "autotune --trust-stored --grid 20/20,40/20 docs >o1 && ls cold/_hnsw_trials/docs/batch_* && test -e cold/_hnsw_promotions/docs.json"
check "and what is served" "activate docs >o1 && ls -d cold/_hnsw_active/docs/gen_*"
check "nothing of it is in primary but what is registered" "test \"\$(find store -name '*docs*' ! -path '*/.locks/*' | sort)\" = store/primary/vectors/meta/docs.json"
check "bucket-list tells who lives where" "bucket-list cold | jq -e '.indexes == [\"docs\"] and (.empty | not)'"
check "--bucket for a first batch" "vectors 5 6 1 | ingest --bucket local loose >o1 && ls store/local/vectors/loose/batch_* && vectors 5 6 2 n | ingest loose | jq -e '.total == 10'"
check "first batches to two buckets at once: one dataset" "for b in cold local cold local cold local; do (vectors 3 6 1 \$b | ingest --batch-id x --bucket \$b race >>race.acks 2>/dev/null) & done; wait; test \$(ls -d cold/vectors/race store/local/vectors/race 2>/dev/null | wc -l) -eq 1 && hnsw-info --vectors race | jq -e '.vectors == 3'"

# ---- who waited for the lock of a bucket that the index has left since ----
ours=cold/_hnsw_tuning/docs
before=primary/_hnsw_tuning/docs
for command in "autotune --trust-stored --grid 20/20 docs" "evalset -q --index docs --refresh ev docs"; do
	status 5 "${command%% *} under another lock" "hnsw-store lock $before -- hnsw-store lock $ours -- env HNSW_TUNING=$before $command"
	says "locked by another process" "which is said"
done
check "under the right one" "hnsw-store lock $ours -- env HNSW_TUNING=$ours evalset -q --index docs --refresh ev docs && hnsw-store lock $ours -- env HNSW_TUNING=$ours activate docs >o1"
# until_true COMMAND: within 20 seconds
until_true() {
	i=0
	until eval "$1" || [ $i -gt 400 ]; do
		sleep 0.05
		i=$((i + 1))
	done
}
index-add --bucket primary docs >o1
hnsw-store lock $before -- sh -c ': >held; until [ -e go ]; do sleep 0.05; done' &
until_true 'test -e held'
activate docs >o2 2>err2 &
until_true "grep -q 'locked by' err2"
index-add --bucket cold docs >o1
check "an activation that waited goes on to wait for the other lock" "hnsw-store lock $ours -- sh -c ': >go; sleep 1.5; test ! -s o2'"
wait
check "and then is done" "test -s o2 && jq -e .generation o2"

# ---- moving ----
hnsw-search -k 3 docs v.jsonl >hits
trial-list docs >trials
promoted --full docs >promotions
status 1 "an index that is not registered" index-move first cold
says "index 'first' is not registered" "is told of"
check "a dry run changes nothing" "index-move -n docs far | jq -e '.from == \"cold\" and .to == \"far\" and .trials == 2 and .promotion and .eval_sets == 1 and .generations == 1' && test ! -e far && index-list docs | jq -e '.bucket == \"cold\"'"
status 5 "not while it is being tuned" "hnsw-store lock cold/_hnsw_tuning/docs -- index-move --wait 0 docs far"
says "'_hnsw_tuning/docs' is locked by another process" "says why"
status 5 "nor while its record is being changed" "hnsw-store lock primary/vectors/meta/docs.json -- index-add --wait 0.1 docs"
says "'vectors/meta/docs.json' is locked by another process" "says why"
check "which is waited for" "hnsw-store lock primary/vectors/meta/docs.json -- sleep 1 & sleep 0.2; index-add docs && wait"
cp -R cold before
check "move" "index-move docs far | jq -e '.trials == 2 and .promotion and .eval_sets == 1 and .generations == 1'"
check "it lives there now" "index-list docs | jq -e '.bucket == \"far\"' && bucket-list far | jq -e '.indexes == [\"docs\"]'"
check "with its Trials" "trial-list docs | cmp - trials"
check "its promotions" "promoted --full docs | cmp - promotions"
check "its eval set" "cmp cold/_hnsw_evals/ev.json far/_hnsw_evals/ev.json"
check "and its served index" "hnsw-search -k 3 docs v.jsonl | cmp - hits && activate docs 2>&1 | grep -q 'is served already'"
check "the old bucket is as it was" "for f in \$(cd before && find . -type f ! -path './.*'); do cmp before/\$f cold/\$f || exit 1; done"
check "its dataset stays where it is" "vectors 2 6 5 m | ingest docs | jq -e '.total == 62' && test ! -e far/vectors/docs && ls cold/vectors/docs/*.hvec | test \$(wc -l) -eq 2"
check "once more: nothing to do" index-move docs far
says "'docs' lives in bucket 'far' already" "which is said"
check "new Trials go to the new bucket" "trial t9 80 30 0.9 500 docs | trial-append >o1; trial-list docs | test \$(wc -l) -eq 3; cat cold/_hnsw_trials/docs/*.jsonl | cmp - trials"
check "and back again, with what was added" "promote docs t9 >o1; index-move docs cold >o1 && trial-list docs | test \$(wc -l) -eq 3 && promoted --full docs | jq -e '.current.trial_id == \"t9\" and (.history | length) == 1'"
check "a move that died is run again" "
	for i in 1 2 3 4 5 6; do index-move docs local >o1 & pid=\$!; sleep 0.00\$i; kill -9 \$pid; wait \$pid; hnsw-search -k 1 docs v.jsonl >o2 || exit 1; test \$(trial-list docs | wc -l) -eq 3 || exit 1; done 2>err1
	index-move docs local >o1; index-list docs | jq -e '.bucket == \"local\"' && trial-list docs | test \$(wc -l) -eq 3 && promoted --full docs | jq -e '.current.trial_id == \"t9\"' && test -z \"\$(find store cold -name '.tmp-*')\""
check "another index's eval set of the same name is not overwritten" "mkdir -p far/_hnsw_evals; jq -c '.index_name = \"other\"' far/_hnsw_evals/ev.json >e; cp e far/_hnsw_evals/ev.json; index-move docs far; test \$? -eq 4 && cmp e far/_hnsw_evals/ev.json && index-list docs | jq -e '.bucket == \"local\"'"
check "index-add --bucket only says where it lives from now on" "index-add --bucket primary docs >o1; trial-list docs | test \$(wc -l) -eq 0"
says "index-move takes it along" "and says so"
index-add -q --bucket local docs >o1
check "readers while it is moved never fail" "
	rm far/_hnsw_evals/ev.json
	(for b in far cold local far cold local; do index-move -q docs \$b >/dev/null || echo bad; done) >bad & pid=\$!
	while kill -0 \$pid 2>/dev/null; do hnsw-search -k 3 docs v.jsonl | cmp - hits || exit 1; promoted docs >o1 || exit 1; done; wait; test ! -s bad"

# ---- a bucket that cannot be reached ----
check "promoted --list scans every bucket, each index once" "mkdir -p store/local/_hnsw_promotions && cp store/primary/_hnsw_promotions/first.json store/local/_hnsw_promotions/; promoted --list >l 2>w; jq -r .index_name l | tr '\n' ' ' | grep -qx 'docs first '"
check "one bucket that is left out is told of once" "test \$(grep -c \"leaving out bucket 'gone'\" w) -eq 1"
check "an index that lives there" "index-add --bucket gone lost | jq -e '.bucket == \"gone\"'"
for c in "trial-list lost" "promoted lost" "rollback lost" "activate lost" "hnsw-search lost v.jsonl" "hnsw-info lost" "propose lost" "index-move lost cold"; do
	status 6 "is an error: $c" "$c"
done
status 6 "so is appending" "trial x 80 30 0.9 5 lost | trial-append"
check "for that one only" "promoted docs && trial-list docs && hnsw-search -k 1 docs v.jsonl && index-list | test \$(wc -l) -eq 2 && promoted --list | test \$(wc -l) -eq 2"
status 6 "a new dataset might be in it" "vectors 2 6 1 | ingest brandnew"
says "dataset 'brandnew' may be in bucket 'gone', which cannot be reached" "which is said"
check "unless one says where it is to be" "vectors 2 6 1 | ingest --bucket cold brandnew"
check "one that is found is no error" "vectors 2 6 9 q | ingest docs"
echo '{' >store/local/_hnsw_promotions/docs.json
check "one malformed file does not hide the others" "promoted --list >l; test \$? -eq 3 && jq -e '.index_name == \"first\"' l"
finish
