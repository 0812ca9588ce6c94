#!/bin/sh
# Datasets: batches, newer versions of rows, the cache, many writers, and answers that are stale.
. "$(dirname "$0")/lib.sh"

info() {
	hnsw-info --vectors "$1"
}
cached() {
	ls store/primary/.cache/vectors/"$1"/*.hvec 2>/dev/null | wc -l
}

# ---- batches ----
vectors 20 4 1 >v.jsonl
check "a batch" "ingest docs v.jsonl | jq -e '.rows == 20 and .replaced == 0 and .total == 20 and (.repeated | not)'"
check "one batch needs no cache" "info docs && test \$(cached docs) -eq 0"
check "another" "vectors 5 4 2 e | ingest --batch-id tuesday docs | jq -e '.rows == 5 and .total == 25'"
check "a row per id, in the order of the batches" "info docs >i; (cat v.jsonl; vectors 5 4 2 e) | hnsw-info --vectors - | cmp - i && jq -e '.vectors == 25' i"
check "two batches are read through one file" "test \$(cached docs) -eq 1"
check "that is made once" "stat -c %i store/primary/.cache/vectors/docs/*.hvec >a; info docs | cmp - i && stat -c %i store/primary/.cache/vectors/docs/*.hvec | cmp - a"
check "the same batch again is one" "vectors 5 4 2 e | ingest --batch-id tuesday docs | jq -e '.repeated and .rows == 0 and .total == 25'"
status 4 "the same batch id with other values" "vectors 5 4 3 e | ingest --batch-id tuesday docs"
says "batch 'tuesday' of dataset 'docs' is there with other content" "is told of"
status 4 "with other ids" "vectors 5 4 2 f | ingest --batch-id tuesday docs"
status 4 "with fewer rows" "vectors 4 4 2 e | ingest --batch-id tuesday docs"
check "so nothing was appended" "info docs | cmp - i"
status 3 "an id twice in one batch" "(vectors 1 4 1 z; vectors 1 4 2 z) | ingest --replace docs"

# ---- newer versions ----
status 3 "an id that is there" "vectors 1 4 9 | ingest docs"
says "id 'd0' is in dataset 'docs' already" "is told of"
check "--replace takes a newer version, and new rows" "(vectors 3 4 9; vectors 1 4 9 new) | ingest --replace docs | jq -e '.rows == 4 and .replaced == 3 and .total == 26'"
check "readers have the newest" "info docs >i; (tail -n +4 v.jsonl; vectors 5 4 2 e; vectors 3 4 9; vectors 1 4 9 new) | hnsw-info --vectors - | cmp - i"
check "the older cache went" "test \$(cached docs) -eq 1"
check "from the cache it is the same" "info docs | cmp - i; rm -r store/primary/.cache; info docs | cmp - i"
check "an index has each id once" "hnsw-build docs -o t.hnsw && vectors 1 4 9 | hnsw-search -k 26 t.hnsw | jq -e '([.hits[].id] | length == 26 and (unique | length) == 26) and .hits[0].id == \"d0\" and .hits[0].distance < 1e-6'"
check "and once more" "vectors 1 4 10 | ingest --replace docs | jq -e '.total == 26'; hnsw-build docs -o t.hnsw; vectors 1 4 10 | hnsw-search -k 1 t.hnsw | jq -e '.hits[0].id == \"d0\" and .hits[0].distance < 1e-6'"
check "all rows of a batch" "vectors 5 4 11 e | ingest --replace docs | jq -e '.replaced == 5 and .total == 26' && info docs | jq -e '.vectors == 26'"
check "a clock that was set back makes no old version new" "for f in store/primary/vectors/docs/batch_*; do last=\$f; done; cp \$last store/primary/vectors/docs/batch_09000000000000000000.hvec; vectors 1 4 12 | ingest --replace docs | jq -e '.batch == \"batch_09000000000000000001.hvec\"'; hnsw-build docs -o t.hnsw; vectors 1 4 12 | hnsw-search -k 1 t.hnsw | jq -e '.hits[0].distance < 1e-6'"
for last in 09223372036854775807 18446744073709551615 99999999999999999999; do
	vectors 2 4 1 | ingest end >o
	mv store/primary/vectors/end/batch_* store/primary/vectors/end/batch_$last.hvec
	status 3 "after the stamp $last nothing can come" "vectors 1 4 12 | ingest --replace end"
	says "'batch_$last.hvec' of dataset 'end'" "which is named"
	check "what is there is read, and nothing was written" "info end | jq -e '.vectors == 2' && test \$(ls store/primary/vectors/end/*.hvec | wc -l) -eq 1"
	rm -r store/primary/vectors/end
done
check "batches of several element types" "printf '[1,2,3,4]\n[5,6,7,8]\n' | hnsw-convert --type u8 -o u8.npy - && printf 'a\nb\n' >ids && vectors 2 4 1 | ingest mixed && ingest --ids ids mixed u8.npy && info mixed >i && info mixed | cmp - i && jq -e '.vectors == 4' i"

# ---- the cache can be lost, damaged, or not be written ----
for damage in "rm -r store/primary/.cache" "truncate -s 100 store/primary/.cache/vectors/docs/*.hvec" ": >\$(echo store/primary/.cache/vectors/docs/*.hvec)" \
	"printf x | dd of=\$(echo store/primary/.cache/vectors/docs/*.hvec) bs=1 seek=700 conv=notrunc" "rm store/primary/.cache/vectors/docs/*; mkdir store/primary/.cache/vectors/docs/x.hvec"; do
	check "the cache after: $damage" "info docs >i; $damage 2>/dev/null; info docs | cmp - i && info docs | cmp - i"
done
check "a batch that was changed by hand is not hidden by the cache" "info docs >i; set -- store/primary/vectors/docs/batch_*; cp \$1 old; vectors 20 4 77 >w.jsonl; hnsw-convert w.jsonl -o w.hvec && cp w.hvec \$1; info docs >j; cp old \$1; ! cmp -s i j && info docs | cmp - i"
status 3 "a damaged batch" "set -- store/primary/vectors/docs/batch_*; cp \$1 old; printf x | dd of=\$1 bs=1 seek=300 conv=notrunc 2>/dev/null; rm -r store/primary/.cache; info docs; rc=\$?; cp old \$1; exit \$rc"

# ---- at once ----
check "sixteen writers and readers at once" "
	for i in 1 2 3 4 5 6 7 8; do
		(for j in 1 2 3; do vectors 5 4 \$i\$j w\$i-\$j- | ingest --batch-id b\$i-\$j many >>acks || echo failed >>bad; done) &
		(for j in 1 2 3; do info many >/dev/null 2>&1; test \$? -le 1 -o \$? -eq 6 || echo reader >>bad; done) &
	done; wait; test ! -e bad && test \$(wc -l <acks) -eq 24 && info many | jq -e '.vectors == 120'"
check "every row is there" "hnsw-build many -o m.hnsw && for i in 1 8; do vectors 5 4 \${i}3 w\$i-3- | hnsw-search -k 1 m.hnsw | jq -es 'all(.[]; .id == .hits[0].id)' || exit 1; done"
check "writers with one batch id: it is there once" "for i in 1 2 3 4 5 6; do (vectors 5 4 1 | ingest --batch-id same once >>once.acks) & done; wait; jq -se 'length == 6 and (map(select(.repeated | not)) | length) == 1' once.acks && info once | jq -e '.vectors == 5'"
check "writers that replace the same rows" "for i in 1 2 3 4 5 6; do (vectors 5 4 \$i | ingest --replace same >/dev/null) & done; wait; info same | jq -e '.vectors == 5'"
check "kill -9: what was acknowledged is there, the rest can be sent again" "
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		vectors 3 4 \$i k\$i- >kv\$i.jsonl
		ingest --batch-id k\$i killed kv\$i.jsonl >ack.\$i & pid=\$!
		sleep 0.0\$((i / 4))\$((i % 4 * 2)); kill -9 \$pid; wait \$pid
		[ ! -s ack.\$i ] || test -e store/primary/vectors/killed/\$(jq -r .batch ack.\$i) || exit 1
		info killed >o1
	done 2>err1
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ingest --batch-id k\$i killed kv\$i.jsonl >o1 || exit 1; done
	info killed | jq -e '.vectors == 36' && test -z \"\$(find store -name '.tmp-*')\""
check "kill -9 of readers that make the cache" "
	info killed >i; for i in 1 2 3 4 5 6; do rm -rf store/primary/.cache; hnsw-info --vectors killed >o1 & pid=\$!; sleep 0.00\$i; kill -9 \$pid; wait \$pid; done 2>err1
	info killed | cmp - i && info killed | cmp - i"

# ---- answers of fewer batches ----
vectors 300 8 1 >base.jsonl
ingest stale base.jsonl >o1
index-add --eval-set ev stale >o1
evalset -q -N 50 --save ev stale
hnsw-build stale -o old.hnsw >built
check "while they are fresh nothing is computed" "cp store/primary/_hnsw_evals/ev.json e; evalset --refresh ev --if-stale stale && cmp e store/primary/_hnsw_evals/ev.json"
vectors 30 8 2 n | ingest stale >o1
hnsw-build stale -o new.hnsw >built
status 3 "hnsw-bench refuses stale answers" hnsw-bench built ev
says "compute them again with evalset --refresh" "and names the command that mends it"
cp store/primary/_hnsw_evals/ev.json e
status 5 "not while the index is being tuned" "hnsw-store lock primary/_hnsw_tuning/stale -- evalset --refresh ev stale"
check "which changed nothing" "cmp e store/primary/_hnsw_evals/ev.json"
check "evalset --refresh mends it" "evalset --refresh ev --if-stale && hnsw-bench -q --seconds 0 built ev | jq -e '.metrics.vectors == 330'"
check "one asked for again is fresh" "cp store/primary/_hnsw_evals/ev.json e; evalset --refresh ev --if-stale; cmp e store/primary/_hnsw_evals/ev.json"
check "another k is computed" "evalset -q --refresh ev --if-stale -k 5 && jq -e '.k == 5 and all(.queries[]; (.ground_truth | length) == 5)' store/primary/_hnsw_evals/ev.json"
vectors 30 8 3 o | ingest stale >o1
check "autotune mends it itself" "autotune --trust-stored --grid 20/20,40/20 stale | jq -e '.trials == 2' && trial-list stale | jq -se 'all(.[]; .metrics.vectors == 360)'"
check "and saves it" "jq -r .vectors_digest store/primary/_hnsw_evals/ev.json >a; info stale | jq -r .vectors_digest | cmp - a"
vectors 30 8 4 p | ingest stale >o1
check "so does activate" "activate stale | jq -e '.vectors == 390 and .recall_at_k > 0.9'"
check "an eval set in a file is not touched" "vectors 1 8 5 q | ingest stale >o1; cp e loose.json; autotune --trust-stored --grid 20/20 stale ./loose.json >o1 && cmp e loose.json"
check "answers that were never computed" "jq -c '.ground_truth_built = false | .queries[].ground_truth = null | del(.vectors_digest)' e >store/primary/_hnsw_evals/ev.json; autotune --trust-stored --grid 20/20 stale | jq -e '.trials == 1' && jq -e '.ground_truth_built and (.queries[0].ground_truth | length) == 10' store/primary/_hnsw_evals/ev.json"
check "vectors that come while autotune works" "
	(autotune --trust-stored --grid 21/20,41/20,61/20,81/20 stale >tuned 2>said; echo \$? >rc) & pid=\$!
	i=0; while kill -0 \$pid 2>/dev/null && [ \$i -lt 3 ]; do i=\$((i + 1)); vectors 5 8 6\$i r\$i | ingest stale >/dev/null; sleep 0.2; done; wait \$pid
	grep -qx 0 rc && jq -e '.trials >= 4' tuned"
finish
