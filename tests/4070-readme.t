#!/bin/sh
# README's way from a file of vectors to settings of another engine, typed as it stands there.
. "$(dirname "$0")/lib.sh"
make="perl $root/tests/data/formats.pl"

block() { # TITLE: the commands below it
	sed -n "/^\\*\\*$1/,/^\\*\\*/s/^    //p" "$root/README.md"
}
block 'From a file to settings' >commands
check "six commands at most" "test \$(wc -l <commands) -ge 3 -a \$(wc -l <commands) -le 6"
$make parquet rows=250 dim=16 >base.parquet
$make parquet rows=60 dim=16 >queries.parquet
check "from Parquet to settings of pgvector" "sh -e commands >said"
check "with what was promoted" "promoted docs | jq -r '\"m = \\(.m), ef_construction = \\(if .ef_construction < 2 * .m then 2 * .m else .ef_construction end)\"' >want && grep -qF -f want said && grep -q 'SET hnsw.ef_search = [0-9]*;' said"

rm -rf store
$make hdf5 rows=250 dim=16 >ann.hdf5
check "and from a file of ann-benchmarks" "evalset -q -k 5 --from ann.hdf5 -o eval.json && sed -e '/^evalset/d' -e 's/base.parquet/ann.hdf5/' commands >c2 && sh -e c2 | grep -q 'CREATE INDEX ON items USING hnsw (embedding vector_l2_ops)'"

# ---- the rest of "Use it", as far as it needs no server ----
rm -rf store
vectors 400 8 1 >vectors.jsonl
vectors 20 8 2 q >queries.jsonl
block 'Keep a dataset' | grep -v rollback >commands
check "a dataset is kept" "test \$(wc -l <commands) -ge 9 && sh -e commands >said"
check "tuned, and served" "index-status --json docs | jq -e '.served.as_promoted and .next == null'"
hnsw-convert vectors.jsonl -o base.npy
block 'Build an index' | sed 's/queries.npy/queries.jsonl/' >commands
check "an index is built and searched" "test \$(wc -l <commands) -eq 2 && sh -e commands | tail -n 20 | jq -se 'map(select(.hits)) | length == 20'"
evalset -q -N 50 -o eval.json base.npy
block 'Know how good' >commands
check "measured" "test -s commands && sh -e commands | grep -c . | grep -qx 4"
block 'Put the parts' >commands
check "and put together by hand" "test -s commands && { sh commands >said 2>err2 || test \$? -le 1; } && ! grep -v '^promote: \|^propose: ' err2"
finish
