#!/bin/sh
# The registry: names that are read lead nowhere else, two changes at once both count, and what
# is acknowledged while an index moves is where it then lives.
. "$(dirname "$0")/lib.sh"

vectors 20 4 1 | ingest docs >o1
index-add docs >o1
for i in 1 2 3; do trial t$i 80 30 0.9 500 docs; done >trials
trial-append docs <trials >o1
promote docs t1 >o1
evalset -q -N 5 --save ev docs
cp -R store good
meta=store/primary/vectors/meta/docs.json
trial n1 80 30 0.9 500 docs >n1

# ---- names in records ----
long=$(printf '%0201d' 0)
for bad in ../../outside "$PWD/outside" .. . a/b .locks "$long" "a	b"; do
	for member in bucket source eval_set; do
		rm -rf store && cp -R good store
		jq -c --arg m $member --arg v "$bad" '.[$m] = $v' good/primary/vectors/meta/docs.json >$meta
		cp -R store before
		for c in "trial-append docs <n1" "promote docs t2" "rollback docs" "trial-list docs" "trial-compact docs" "index-list docs" "index-add docs --model-name m" "index-move docs far" "evalset -q -N 2 --index docs --save ev2 docs" "hnsw-build docs -o i.hnsw" "activate docs"; do
			status 3 "$member $(echo "$bad" | cut -c 1-12): $c" "$c"
		done
		check "file, key and what is wrong are named" "trial-list docs; grep -q \"'vectors/meta/docs.json' has the $member '.*', expected the name of\" err.new"
		check "nothing was written, nor outside" "test ! -e outside && test ! -e ../outside && find store -type f ! -path '*/.locks/*' -exec cksum {} + | sort >a; (cd before && find . -type f ! -path '*/.locks/*') | while read -r f; do cmp before/\$f store/\$f || exit 1; done && find store -name 'batch_*' | test \$(wc -l) -eq \$(find before -name 'batch_*' | wc -l)"
		rm -rf before
	done
done
rm -rf store && cp -R good store
jq -c '.index_name = "other"' good/primary/vectors/meta/docs.json >$meta
status 3 "an index_name that is not the file's" trial-list docs
says "'vectors/meta/docs.json' has the index_name 'other', expected 'docs'" "is told of"
jq -c '.storage_key = "../../x"' good/primary/vectors/meta/docs.json >$meta
status 3 "a storage_key out of the store" index-list docs
cp good/primary/vectors/meta/docs.json $meta
jq -c '.name = "../x"' good/primary/_hnsw_evals/ev.json >store/primary/_hnsw_evals/ev.json
status 3 "an eval set of another name" evalset --refresh ev
says "'_hnsw_evals/ev.json' has the name '../x', expected 'ev'" "is told of"
jq -c '.index_name = "/etc/passwd"' good/primary/_hnsw_evals/ev.json >store/primary/_hnsw_evals/ev.json
status 3 "an eval set for a path" evalset --refresh ev
says "'_hnsw_evals/ev.json' has the index_name '/etc/passwd', expected the name of an index, but it has a slash" "is told of"
mkdir -p store/primary/_hnsw_active/docs
echo '{"generation":"../../../x"}' >store/primary/_hnsw_active/docs/current.json
status 3 "a generation elsewhere" hnsw-search -k 1 docs trials
says "'_hnsw_active/docs/current.json' has the generation '../../../x', expected the name of a generation, but it begins with a dot" "is told of"
rm -rf store && cp -R good store

# ---- changes at once ----
check "index-add of different members at once: each counts" "
	for i in 1 2 3 4 5; do
		index-add --eval-set ev docs >o1 & index-add --model-name m\$i docs >o2 & index-add --model-version v\$i docs >o3 & index-add --metric l2 docs >o4 & wait
		index-list docs | jq -e --arg m m\$i --arg v v\$i '.eval_set == \"ev\" and .model_name == \$m and .model_version == \$v and .metric == \"l2\"' || exit 1
		rm -rf store && cp -R ../\${PWD##*/}/good store
	done"

# ---- a move beside those who write ----
check "a stream that outlives a move appends where the index lives" "(trial s1 80 30 0.9 500 docs; sleep 1; trial s2 80 30 0.9 500 docs; sleep .3) | trial-append docs >acks & pid=\$!; sleep .5; index-move docs far >o1; wait \$pid; trial-list docs | jq -r .id | tr '\n' ' ' | grep -qx 't1 t2 t3 s1 s2 '"
check "promotions and Trials during moves: none is lost, none given twice" "
	(for b in primary far primary far primary far primary far; do index-move -q docs \$b >/dev/null || echo \$b >>bad; done) & mover=\$!
	for w in 1 2; do (i=0; while kill -0 \$mover 2>/dev/null; do promote docs t\$w >>p\$w 2>/dev/null || echo promote >>bad; i=\$((i + 1)); trial w\$w-\$i 80 30 0.9 500 docs | trial-append docs >>acked.\$w || echo append >>bad; done) & done
	wait; test ! -s bad && jq -r .id acked.* | sort >want && trial-list docs | jq -r .id | sort >have && test -z \"\$(comm -23 want have)\" &&
	cat p1 p2 | jq -r .revision | sort -n >revs && test -z \"\$(uniq -d revs)\" && test \"\$(promoted --full docs | jq .revision)\" = \"\$(tail -n 1 revs)\""
check "a move that was killed is run again and nothing is lost" "
	index-move -q docs primary >o1
	for i in 01 02 03 04 05 06; do index-move docs far >o1 & pid=\$!; sleep 0.0\$i; trial k\$i 80 30 0.9 500 docs | trial-append docs >o2; kill -9 \$pid; wait \$pid; trial-list docs >l; grep -q k\$i l || exit 1; index-move -q docs far >o1 && trial-list docs | grep -q k\$i || exit 1; index-move -q docs primary >o1; done 2>err1"
finish
