#!/bin/sh
# Formats that other programs write, and that are only read: Parquet, HDF5, safetensors, .npz, tables
# of text, compressed files.
. "$(dirname "$0")/lib.sh"
make="perl $root/tests/data/formats.pl"

# expected ROWS DIM [PREFIX]: what formats.pl makes, as it is to be read
expected() {
	awk -v n="$1" -v d="$2" -v p="${3-}" 'BEGIN {
		for (i = 0; i < n; i++) {
			printf "{\"id\":\"%s%d\",\"vector\":[", p, i
			for (j = 0; j < d; j++) printf "%s%s", j ? "," : "", ((37 * i + 11 * j) % 256 - 128) / 16
			print "]}"
		}
	}'
}
expected 10 4 doc- >named
expected 10 4 >numbered
expected 100 40 doc- >large

# ---- Parquet ----
# reads EXPECTED [OPTION...]: a Parquet file made so is read right
reads() {
	want=$1
	shift
	$make parquet "$@" >p.parquet
	check "Parquet with ${*:-plain floats}" "hnsw-convert p.parquet | cmp - $want"
}
reads named
for type in double half binary fixed; do
	reads named type=$type
	reads named type=$type v2=1 group=3
done
for codec in snappy lz4_raw gzip zstd; do
	reads named codec=$codec
	reads named codec=$codec v2=1 group=4 page=6
	reads large codec=$codec rows=100 dim=40 page=333
done
for encoding in dict mixed split; do
	reads named encoding=$encoding page=6
	reads large encoding=$encoding rows=100 dim=40 page=777 v2=1 packed=1
done
reads named type=double encoding=split
reads named packed=1 page=3
reads large page=7 rows=100 dim=40 group=9
reads numbered ids=none
reads named id=_id
$make parquet ids=int >p.parquet
same "-3 -2 -1 0 1 2 3 4 5 6 " "ids that are whole numbers" "hnsw-convert p.parquet | jq -r .id | tr '\n' ' '"
$make parquet ids=uuid rows=2 >p.parquet
same '00000000-0000-0000-0000-000000000001' "ids that are UUIDs" "hnsw-convert p.parquet | jq -r .id | tail -n 1"
check "ids left out" "hnsw-convert -N 1 --id-column '' p.parquet | jq -e '.id == \"0\"'"
$make parquet id=title >p.parquet
check "ids of an unusual name" "hnsw-convert --id-column title p.parquet | cmp - named"
check "which is not taken unasked" "hnsw-convert p.parquet | cmp - numbered"
check "a whole file through a pipe" "hnsw-convert --from parquet --id-column title - <p.parquet | cmp - named"
$make parquet columns=title_vec,body_vec >two.parquet
status 2 "two columns of vectors" hnsw-convert two.parquet
says "has 2 columns that could be meant, 'title_vec', 'body_vec': name one with --column" "are named"
check "one of them" "hnsw-convert --column body_vec two.parquet | cmp - named"
$make parquet columns=a,b type=binary >blobs.parquet
status 2 "two binary columns" hnsw-convert blobs.parquet
status 2 "a column that is not there" hnsw-convert --column x two.parquet
says "has no column 'x' of lists of floats or binary vectors: the columns are 'id', 'title_vec', 'body_vec'" "what there is is told"
status 2 "a column of texts is none of vectors" hnsw-convert --column id two.parquet
status 2 "npy has no columns" "hnsw-convert named --from jsonl --to npy -o v.npy; hnsw-convert --column x v.npy"
status 2 "Parquet is not written" hnsw-convert named --from jsonl -o x.parquet
says "format parquet is only read" "and why"

# refuses OPTIONS WHY
refuses() {
	# shellcheck disable=SC2086
	$make parquet $1 >p.parquet
	status 3 "Parquet with $1" hnsw-info --vectors p.parquet
	says "$2" "and why: $2"
}
refuses break=null:5 "row 5 has null as vector"
refuses break=empty:5 "row 5 has an empty list as vector"
refuses break=value:5 "row 5: value 2 is null"
refuses break=ragged:5 "row 5 has dimension 3, expected 4"
refuses break=nan:5 "row 5: value 0 is not finite"
refuses break=id:5 "row 5 has null as id"
refuses "break=null:5 group=4 page=3 v2=1" "row 5 has null as vector"
refuses "break=ragged:5 type=binary" "row 5 has dimension 3, expected 4"
refuses "break=null:5 type=fixed" "row 5 has null as vector"
refuses codec=brotli "compressed with brotli, which is not read"
refuses encoding_number=5 "encoding DELTA_BINARY_PACKED, which is not read"
refuses encoding_number=99 "unknown encoding 99"
$make parquet codec=snappy encoding=mixed page=9 group=4 >whole.parquet
size=$(wc -c <whole.parquet)
for n in 0 3 11 12 $((size / 2)) $((size - 5)) $((size - 1)); do
	head -c $n whole.parquet >cut.parquet
	status 3 "Parquet cut to $n of $size bytes" hnsw-info --vectors cut.parquet
done
says "is truncated" "and says so"
{ head -c $((size - 8)) whole.parquet; printf '\377\377\377\177PAR1'; } >long.parquet
status 3 "a footer longer than the file" hnsw-info --vectors long.parquet
sed '1s/^PAR1/PARE/' whole.parquet >locked.parquet
status 3 "an encrypted file" hnsw-info --vectors locked.parquet
says "is encrypted" "and says so"
check "an index is built of one" "$make parquet rows=60 >b.parquet; hnsw-build -q b.parquet -o b.hnsw && hnsw-search -k 1 b.hnsw b.parquet | jq -se 'length == 60 and .[7].hits[0].id == \"doc-7\"'"
check "and a dataset" "ingest -q docs b.parquet && hnsw-info --vectors docs | jq -e '.vectors == 60'"

# ---- HDF5 ----
for o in version=0 version=2 version=3 "version=0 continued=1" "version=3 continued=1" type=double type=half type=big; do
	# shellcheck disable=SC2086
	$make hdf5 $o >a.hdf5
	check "HDF5 with $o" "hnsw-convert a.hdf5 | cmp - numbered"
	check "its answers" "evalset -q -k 5 --from a.hdf5 | jq -e '.queries[2].ground_truth[0] == \"3\" and .ground_truth_built'"
done
check "another data set" "hnsw-convert --column test a.hdf5 | head -n 1 | jq -e '.vector == [-5.6875,-5,-4.3125,-3.625]'"
check "whole numbers of 64 bits" "hnsw-convert --column neighbors a.hdf5 | head -n 1 | jq -e '.vector[0] == 1'"
status 2 "a data set that is not there" hnsw-convert --column nothing a.hdf5
says "there are 'neighbors', 'test', 'train'" "what there is is told"
$make hdf5 chunked=1 >c.hdf5
status 3 "one in chunks" hnsw-convert c.hdf5
says "h5repack -l CONTI -f NONE" "and what helps"
$make hdf5 type=text >t.hdf5
status 3 "one of texts" hnsw-convert t.hdf5
for n in 0 7 40 95 300 500 $(($(wc -c <a.hdf5) / 2)); do
	head -c "$n" a.hdf5 >cut.hdf5
	status 3 "HDF5 cut to $n bytes" hnsw-convert cut.hdf5
done
$make hdf5 wrong=1 rows=40 dim=3 >w.hdf5
status 3 "answers that are wrong" evalset -q --from w.hdf5 -k 5
says "the answers are those of no metric" "are found out"
$make hdf5 rows=200 dim=5 >l2.hdf5
check "given answers are the computed ones" "hnsw-convert --column test l2.hdf5 >q.jsonl
	evalset -q --metric l2 -k 5 --from l2.hdf5 -o e.json && evalset -q --metric l2 -k 5 --queries q.jsonl -o f.json l2.hdf5 &&
	jq -c .queries[].ground_truth e.json >a && jq -c .queries[].ground_truth f.json | cmp a -"
check "of the metric that fits" "evalset -q -k 5 --from l2.hdf5 | jq -e '.metric == \"l2\"'"
hnsw-convert --column neighbors l2.hdf5 -o gt.ivecs
check "from ivecs" "evalset -q -k 5 --queries q.jsonl --answers gt.ivecs l2.hdf5 | jq -c .queries[].ground_truth | cmp a -"
status 3 "too few for k" evalset -q -k 6 --queries q.jsonl --answers gt.ivecs l2.hdf5
echo '[0,1,2,3,900]' | hnsw-convert - -o far.ivecs
status 3 "a row that is not there" evalset -q -N 1 -k 5 --queries q.jsonl --answers far.ivecs l2.hdf5
status 2 "answers of no queries" evalset -q --answers gt.ivecs l2.hdf5

# ---- tensors and arrays ----
for type in float double half bf16; do
	$make safetensors type=$type >t.safetensors
	check "safetensors of $type" "hnsw-convert t.safetensors | cmp - numbered"
done
$make safetensors columns=a,b >two.safetensors
status 2 "two tensors" hnsw-convert two.safetensors
check "one of them" "hnsw-convert --column b two.safetensors | cmp - numbered"
for n in 0 7 20 200; do
	head -c $n two.safetensors >cut.safetensors
	status 3 "safetensors cut to $n bytes" hnsw-convert cut.safetensors
done
for o in columns=emb deflate=1 zip64=1; do
	$make npz $o >a.npz
	check "npz with $o" "hnsw-convert a.npz | cmp - numbered"
done
$make npz columns=a,b >two.npz
status 2 "two arrays" hnsw-convert two.npz
check "one of them" "hnsw-convert --column b two.npz | cmp - numbered"
head -c 300 two.npz >cut.npz
status 3 "npz cut off" hnsw-convert cut.npz

# ---- tables of text ----
vectors='{"id":"a","vector":[0.5,-2]}
{"id":"b","vector":[1,0.25]}'
printf 'a\t[0.5,-2]\nb\t[1,0.25]\n' >t.pg
same "$vectors" "pgvector's text" hnsw-convert --from pgvector t.pg
same "$(echo "$vectors" | sed 's/"a"/"0"/; s/"b"/"1"/')" "without ids" "cut -f 2 t.pg | hnsw-convert --from pgvector -"
printf 'a\t[0.5,-2]\nb\t\\N\n' >null.pg
status 3 "a null" hnsw-convert --from pgvector null.pg
says "'null.pg' line 2: has a null" "is named"
printf 'id,text,embedding\na,"x, ""y""","[0.5, -2]"\nb,,"{1,0.25}"\n' >t.csv
same "$vectors" "CSV with a field of vectors" hnsw-convert t.csv
printf 'x,y,doc_id\n0.5,-2,a\n1,.25,b\n' >v.csv
same "$vectors" "CSV with a field a value" hnsw-convert v.csv
printf 'a\t0.5\t-2\nb\t1\t0.25\n' >t.tsv
same "$vectors" "TSV without a header" hnsw-convert t.tsv
printf '[1],[2],x\n' >two.csv
status 2 "two vectors a line" hnsw-convert two.csv
check "columns by their numbers" "hnsw-convert --column 2 --id-column 3 two.csv | jq -e '.id == \"x\" and .vector == [2]'"
printf 'a,0.5,-2\nb,1\n' >short.csv
status 3 "a field missing" hnsw-convert short.csv
says "'short.csv' line 2: has 2 fields, expected 3" "is named"
printf 'a,"[1,2\n' >open.csv
status 3 "a quote that stays open" hnsw-convert open.csv
printf 'a,[1,x]\n' >word.tsv
status 3 "no number" "printf 'a\t[1,x]\n' | hnsw-convert --from tsv -"
says "value 1 is 'x'" "is named"

# ---- compressed ----
for f in t.csv named.jsonl; do
	[ $f = t.csv ] || cp named $f
	hnsw-convert $f >want
	gzip -k $f && check "$f.gz" "hnsw-convert $f.gz | cmp - want"
	zstd -q $f && check "$f.zst" "hnsw-convert $f.zst | cmp - want"
	head -c 60 $f.gz >cut-$f.gz
	status 3 "$f.gz cut off" hnsw-convert cut-$f.gz
	says "is damaged" "and says so"
	head -c 40 $f.zst >cut-$f.zst
	status 3 "$f.zst cut off" hnsw-convert cut-$f.zst
done
check "gzip in pieces" "{ head -n 3 named | gzip; tail -n +4 named | gzip; } >p.jsonl.gz; hnsw-convert p.jsonl.gz | cmp - named"
check "binary formats too" "gzip v.npy && hnsw-convert v.npy.gz | cmp - numbered"
check "what unpacks to too much is refused" "head -c 300000000 /dev/zero | zstd -q >bomb.npy.zst; hnsw-info --vectors bomb.npy.zst; test \$? -eq 3"
says "unpacks to more than 1024 times its size" "and why"

# ---- keys and metrics ----
echo '{"_id":"q","values":[1,2],"vector":"x"}' >k.jsonl
same '{"id":"q","vector":[1,2]}' "a key of another name" hnsw-convert --key values --id-column _id k.jsonl
status 3 "unknown without it" "echo '{\"values\":[1]}' | hnsw-convert -"
says "(--key names another)" "which is told"
check "the same for queries" "hnsw-build -q --metric euclidean t.csv -o k.hnsw && hnsw-search -k 1 --key values k.hnsw <k.jsonl | jq -e '.hits[0].id == \"b\"'"
check "euclidean is l2" "hnsw-info k.hnsw | jq -e '.metric == \"l2\"'"
check "angular is cosine" "hnsw-build -q --metric angular t.csv -o c.hnsw | jq -e '.metric == \"cosine\"'"

# ---- files of other writers, where they are ----
if [ -r "$data/parquet/base-778x384.f32.npy" ]; then
	hnsw-convert "$data/parquet/base-778x384.f32.npy" -o base.fvecs
	hnsw-convert -N 300 base.fvecs -o 300.fvecs
	for f in "$data"/parquet/*.parquet; do
		name=$(basename "$f")
		case $name in
		*bad_nulls*)
			status 3 "$name" hnsw-convert "$f"
			says "row 10 has null as vector" "and why"
			;;
		*)
			check "$name, bit by bit" "hnsw-convert '$f' --to fvecs >v.fvecs && { cmp v.fvecs base.fvecs || cmp v.fvecs 300.fvecs; }"
			check "its ids" "hnsw-convert '$f' | head -n 1 | grep -q '\"local-btp-fiori-tools-0-chunk-0\"'"
			;;
		esac
	done
	a=$data/hdf5/fiori-384-angular.hdf5
	check "HDF5 of h5py, bit by bit" "hnsw-convert '$a' --to fvecs >v.fvecs && hnsw-convert -N 700 base.fvecs -o w.fvecs && cmp v.fvecs w.fvecs"
	check "its queries" "hnsw-convert --column test '$a' --to fvecs >v.fvecs && hnsw-convert --skip 700 base.fvecs -o w.fvecs && cmp v.fvecs w.fvecs"
	check "its answers" "evalset -q --from '$a' -k 100 | jq -e '.metric == \"cosine\" and (.queries | length == 78)'"
	status 3 "answers of other vectors" evalset -q --from "$a" base.fvecs
	status 3 "one that is chunked" hnsw-convert "$data/hdf5/fiori-384-chunked-gzip.hdf5"
else
	check "files of other writers # SKIP not in $data" true
fi
finish
