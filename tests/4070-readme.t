#!/bin/sh
# README's way from a file of vectors to settings of another engine, typed as it stands there.
. "$(dirname "$0")/lib.sh"
make="perl $root/tests/data/formats.pl"

sed -n '/^\*\*From a file to settings/,/^A file of ann-benchmarks/s/^    //p' "$root/README.md" >commands
check "six commands at most" "test \$(wc -l <commands) -ge 3 -a \$(wc -l <commands) -le 6"
$make parquet rows=250 dim=16 >base.parquet
$make parquet rows=60 dim=16 >queries.parquet
check "from Parquet to settings of pgvector" "sh -e commands >said"
check "with what was promoted" "promoted docs | jq -r '\"m = \\(.m), ef_construction = \\(if .ef_construction < 2 * .m then 2 * .m else .ef_construction end)\"' >want && grep -qF -f want said && grep -q 'SET hnsw.ef_search = [0-9]*;' said"

rm -rf store
$make hdf5 rows=250 dim=16 >ann.hdf5
check "and from a file of ann-benchmarks" "evalset -q -k 5 --from ann.hdf5 -o eval.json && sed -e '/^evalset/d' -e 's/--vectors base.parquet/--metric l2 --vectors ann.hdf5/' commands >c2 && sh -e c2 | grep -q 'CREATE INDEX ON items USING hnsw'"
finish
