#!/bin/sh
# Indexes of hnswlib, Faiss and usearch: ours there and back, theirs here; what is wrong
# with them.  Those libraries themselves take part where Python has them.
. "$(dirname "$0")/lib.sh"

python=
for p in /usr/bin/python3 python3; do
	[ -n "$python" ] || ! "$p" -c 'import numpy' 2>/dev/null || python=$p
done
peers() { "$python" "$root/tests/data/peers.py" "$@"; }
there=
for library in hnswlib faiss; do
	[ -z "$python" ] || ! peers has $library 2>/dev/null || there="$there $library"
done
has() { case "$there " in *" $1 "*) ;; *) return 1 ;; esac; }

vectors 2000 16 1 >v.jsonl
vectors 100 16 2 q >q.jsonl
hnsw-convert v.jsonl -o ids.npy
hnsw-convert q.jsonl -o q.npy
hnsw-convert ids.npy -o v.fvecs

ours() { hnsw-search -t 1 -k 10 "$@" q.npy | jq -c '[.hits[].id | tonumber]'; }
# recall GOT WANT: of arrays of ids, a line each
recall() {
	jq -n --slurpfile a "$1" --slurpfile b "$2" \
		'[range($b | length) as $i | ($b[$i] - ($b[$i] - $a[$i]) | length) / ($b[$i] | length)] | add / length'
}
# agree WHAT GOT WANT EXACT: the same recall, and nearly the same answers
agree() {
	a=$(recall "$2" "$4") b=$(recall "$3" "$4") c=$(recall "$2" "$3")
	check "$1 (recall $a and $b)" \
		"jq -en '($a - $b | fabs) < 0.003 and $c > 0.995 and $a > 0.5 and $a < 0.999'"
}
suffix() { case $1 in hnswlib) echo bin ;; *) echo "$1" ;; esac; }

# ---- ours there and back ----
for metric in l2 cosine ip; do
	hnsw-build -q --storage f32 --metric $metric -m 8 -c 60 v.fvecs -o a.hnsw >build.json
	ours --exact a.hnsw >exact
	ours -s 15 a.hnsw >answers
	for library in hnswlib faiss usearch; do
		f=a.$(suffix $library)
		say=
		[ $library-$metric = usearch-cosine ] || [ $metric = l2 -a $library = faiss ] || say="--metric $metric"
		check "$metric to $library" hnsw-convert a.hnsw -o "$f"
		check "$metric from $library" "hnsw-convert $say $f -o b.hnsw && hnsw-info --check b.hnsw"
		check "m, layers and entry are the same" "hnsw-info a.hnsw b.hnsw | jq -s -e '(.[0] | [.metric, .m, .m0, .vectors, .nodes_by_top_layer, .mean_degree]) == (.[1] | [.metric, .m, .m0, .vectors, .nodes_by_top_layer, .mean_degree])'"
		ours -s 15 b.hnsw >back
		check "and the answers" cmp answers back
		check "writing it again gives the same file" "hnsw-convert b.hnsw --to $library -o again && if [ $library = usearch ]; then cmp $f again; else test \$(cmp -l $f again | wc -l) -le 16; fi"
		[ $library != usearch ] || continue
		if ! has $library; then
			report 0 "$library answers as we do # SKIP Python has no $library"
			continue
		fi
		check "$library reads it" "peers search $library $metric $f q.npy 15 10 >got"
		agree "$metric: $library answers as we do" got answers exact
	done
done
check "l2 keeps the vectors' digest" "hnsw-build -q --storage f32 --metric l2 -m 8 v.fvecs -o a.hnsw | jq .vectors_digest >want; hnsw-convert a.hnsw -o a.faiss; hnsw-convert a.faiss -o b.hnsw; hnsw-info b.hnsw | jq .vectors_digest | cmp - want"
check "from one of theirs to another" "hnsw-convert a.hnsw -o a.usearch && hnsw-convert a.faiss -o b.usearch && cmp a.usearch b.usearch"

# ---- vectors held in 16 bits ----
for s in f16 bf16; do
	hnsw-build -q --storage $s --metric l2 -m 8 -c 60 v.fvecs -o half.hnsw >out
	ours -s 15 half.hnsw >want
	for library in hnswlib faiss usearch; do
		f=half.$(suffix $library)
		check "$s to $library and back: the same answers" "hnsw-convert half.hnsw -o $f && hnsw-convert --metric l2 $f -o b.hnsw && hnsw-info --check b.hnsw | jq -e '.storage == \"f32\"' && ours -s 15 b.hnsw | cmp - want"
	done
done

# ---- vectors held in bytes ----
awk 'BEGIN {srand(8); for (i = 0; i < 1000; i++) {printf "["; for (j = 0; j < 8; j++) printf "%s%d", j ? "," : "", rand() * 256; print "]"}}' >u.jsonl
hnsw-build -q --metric l2 u.jsonl -o u8.hnsw >out
head -n 50 u.jsonl >uq.jsonl
hnsw-search -s 20 u8.hnsw uq.jsonl >want
check "of whole numbers nothing is lost" "hnsw-info u8.hnsw | jq -e '.storage == \"u8\"' && hnsw-convert u8.hnsw -o u8.bin && hnsw-convert --metric l2 u8.bin -o f.hnsw && hnsw-search -s 20 f.hnsw uq.jsonl | cmp - want"
check "the vectors are the same" "hnsw-convert u8.hnsw --to fvecs -o u8.fvecs && hnsw-info --vectors u8.fvecs >got && hnsw-info --vectors u.jsonl | cmp - got"
check "beside codes the floats are taken" "hnsw-build -q --metric l2 --storage sq8 v.fvecs -o sq8.hnsw >out && hnsw-convert sq8.hnsw -o sq8.faiss && hnsw-convert sq8.faiss -o f.hnsw && hnsw-convert f.hnsw --to fvecs | cmp - v.fvecs"

# ---- theirs here ----
for library in hnswlib faiss; do
	if ! has $library; then
		report 0 "indexes of $library # SKIP Python has no $library"
		continue
	fi
	for metric in l2 cosine ip; do
		f=t.$(suffix $library)
		peers write $library $metric ids.npy "$f" q.npy 15 10 >got
		check "$metric from $library's own" "hnsw-convert --metric $metric $f -o t.hnsw && hnsw-info --check t.hnsw | jq -e '.vectors == 2000 and .m == 8 and .m0 == 16 and .ef_construction == 60'"
		ours --exact t.hnsw >exact
		ours -s 15 t.hnsw >answers
		agree "$metric: we answer as $library does" answers got exact
	done
done
if has hnswlib; then
	check "labels are ids" "peers write hnswlib l2 ids.npy t.bin && hnsw-convert --metric l2 t.bin -o t.hnsw && hnsw-convert t.hnsw | head -n 1 | jq -e '.id == \"1000\"'"
	check "deleted elements are left out" "peers write hnswlib l2 ids.npy t.bin deleted && hnsw-convert --metric l2 t.bin -o t.hnsw && hnsw-info --check t.hnsw | jq -e '.vectors == 1600' && ! hnsw-convert t.hnsw | jq -r .id | grep -qx 1005"
fi

# ---- ids ----
hnsw-build -q --storage f32 --metric l2 -m 8 v.jsonl -o text.hnsw >out
for f in bin faiss usearch; do
	status 3 "ids that are no numbers, to $f" hnsw-convert text.hnsw -o "text.$f"
	says "row 0 has id 'd0', expected a whole number" "are told of"
	check "nothing was written" "test ! -e text.$f"
	check "the rows instead" hnsw-convert --labels row text.hnsw -o "text.$f"
	check "and ids from a file" "jq -r .id v.jsonl >ids; hnsw-convert --metric l2 --ids ids text.$f -o back.hnsw && hnsw-search -k 3 -s 30 back.hnsw q.jsonl >got && hnsw-search -k 3 text.hnsw q.jsonl | cmp - got"
done
jq -c '.id |= (.[1:] | tonumber * 3 + 5 | tostring)' v.jsonl >n.jsonl
hnsw-build -q --storage f32 --metric l2 -m 8 n.jsonl -o n.hnsw >out
hnsw-search -k 3 n.hnsw q.jsonl >want
for f in bin faiss usearch; do
	check "numbers as ids, through $f" "hnsw-convert n.hnsw -o n.$f && hnsw-convert --metric l2 n.$f -o back.hnsw && hnsw-search -k 3 -s 30 back.hnsw q.jsonl | cmp - want"
done
if has faiss; then
	check "Faiss has them" "peers search faiss l2 n.faiss q.npy 30 3 | head -n 1 | jq -e 'all(. % 3 == 2)'"
fi
echo '{"id":"007","vector":[1,2]}' | hnsw-build -q --storage f32 --metric l2 - -o zeros.hnsw >out
status 3 "an id with leading zeros is no number" hnsw-convert zeros.hnsw -o zeros.bin
check "the vectors of an index" "hnsw-convert text.hnsw -o x.hvec && hnsw-info --vectors v.jsonl >want && hnsw-info --vectors x.hvec | cmp - want"
check "with their ids" "hnsw-convert x.hvec | jq -r .id | cmp - ids"

# Faiss's ids have a sign.
jq -c '.id |= (700 - (.[1:] | tonumber) | tostring)' v.jsonl >s.jsonl
hnsw-build -q --storage f32 --metric l2 -m 8 s.jsonl -o s.hnsw >out
hnsw-search -k 3 s.hnsw q.jsonl >want
check "ids below 0, through faiss" "hnsw-convert s.hnsw -o s.faiss && hnsw-convert s.faiss -o back.hnsw && hnsw-search -k 3 -s 30 back.hnsw q.jsonl | cmp - want && hnsw-convert back.hnsw | jq -r .id | grep -q '^-'"
status 3 "of which hnswlib has none" hnsw-convert s.hnsw -o s.bin
if has faiss; then
	check "Faiss has them" "peers search faiss l2 s.faiss q.npy 30 3 | head -n 20 | jq -se 'flatten | any(. < 0) and all(. <= 700)'"
fi

# ---- usearch's bytes ----
# bytes TYPE LENGTH FILE: the vectors of an index of usearch as i8 or u8, scaled as it does, or 0: as they are
bytes() {
	perl -e 'local $/; binmode STDIN; binmode STDOUT; $_ = <STDIN>; ($type, $long) = @ARGV;
		($n, $b) = unpack "VV"; $d = $b / 4; print pack "VV", $n, $d;
		for $i (0 .. $n - 1) {
			@v = unpack "f<$d", substr $_, 8 + $i * $b, $b;
			$l = 0; $l += $_ * $_ for @v; $s = $long ? $long / sqrt($l || 1) : 1;
			print pack $type eq "u8" ? "C*" : "c*", map {int $_ * $s} @v;
		}
		$h = substr $_, 8 + $n * $b; substr($h, 14, 1) = chr($type eq "u8" ? 17 : 23); print $h' "$1" "$2" <"$3"
}
awk 'BEGIN {srand(8); for (i = 0; i < 300; i++) {printf "["; for (j = 0; j < 6; j++) printf "%s%d", j ? "," : "", rand() * 120; print "]"}}' >whole.jsonl
for metric in l2 ip cosine; do
	hnsw-build -q --storage f32 --metric $metric -m 8 whole.jsonl -o w.hnsw >out
	hnsw-convert -q w.hnsw -o w.usearch
	for type in i8 u8; do
		[ $type = u8 ] && long=255 || long=127
		bytes $type $long w.usearch >scaled.usearch
		[ $metric = cosine ] || bytes $type 0 w.usearch >plain.usearch
		if [ $metric = cosine ]; then
			check "vectors scaled to $type, by cosine" "hnsw-convert scaled.usearch -o b.hnsw && hnsw-info --check b.hnsw && hnsw-search --exact -k 1 w.hnsw whole.jsonl | jq -c '.hits[0].id' >want && hnsw-search --exact -k 1 b.hnsw whole.jsonl | jq -c '.hits[0].id' >got && test \$(diff want got | grep -c '^<') -lt 15"
			continue
		fi
		status 3 "vectors scaled to $type, by $metric" hnsw-convert scaled.usearch -o b.hnsw
		says "'scaled.usearch' holds vectors in $type that usearch scaled to one length" "why is said"
		check "whole numbers in $type, by $metric" "hnsw-convert plain.usearch -o b.hnsw && hnsw-search --exact -k 3 w.hnsw whole.jsonl >want && hnsw-search --exact -k 3 b.hnsw whole.jsonl | cmp - want"
	done
done

# ---- equal vectors ----
awk 'BEGIN {srand(5); for (i = 0; i < 400; i++) {r = i % 4 ? rand() : 0; printf "[%.3f,%.3f,%.3f]\n", r, r * rand(), r ? rand() : 0}; for (i = 0; i < 2; i++) print "[9,9,9]"}' >dup.jsonl
hnsw-build -q --storage f32 --metric l2 -m 4 dup.jsonl -o dup.hnsw >out
hnsw-convert dup.jsonl -o dup.npy
for library in hnswlib faiss usearch; do
	f=dup.$(suffix $library)
	check "equal vectors to $library and back" "hnsw-convert dup.hnsw -o $f && hnsw-convert --metric l2 $f -o d.hnsw && hnsw-info --check d.hnsw | jq -e '.vectors == 402 and .distinct_vectors == 402'"
	check "each is found" "echo '[0,0,0]' | hnsw-search -k 100 -s 100 d.hnsw | jq -e '[.hits[] | select(.distance == 0)] | length == 100'"
	check "and with all others" "echo '[0,0,0]' | hnsw-search -k 402 d.hnsw | jq -e '[.hits[].id] | unique | length == 402'"
	[ $library != usearch ] || continue
	has $library || continue
	check "$library finds each" "peers search $library l2 $f dup.npy 402 402 | head -n 20 | jq -se 'all(unique | length == 402)'"
	check "$library finds those that are equal" "peers search $library l2 $f dup.npy 110 100 | head -n 1 | jq -e 'map(select(. % 4 == 0 and . < 400)) | length == 100'"
done
for n in 1 2 3; do
	check "$n vectors" "head -n $n v.jsonl | hnsw-convert - --to npy -o s.npy && hnsw-build -q --storage f32 --metric l2 s.npy -o s.hnsw && for f in bin faiss usearch; do hnsw-convert s.hnsw -o s.\$f && hnsw-convert --metric l2 s.\$f -o t.hnsw && hnsw-info --check t.hnsw | jq -e '.vectors == $n' || exit 1; done"
done

# ---- options ----
hnsw-build -q --storage f32 --metric l2 -m 8 v.fvecs -o a.hnsw >out
for f in bin faiss usearch; do hnsw-convert a.hnsw -o a.$f; done
status 2 "hnswlib's without a metric" hnsw-convert a.bin -o x.hnsw
says "'a.bin' does not tell its metric: say --metric" "is told"
status 2 "another metric than the file's" hnsw-convert --metric ip a.faiss -o x.hnsw
says "'a.faiss' is an index of metric l2, not of ip" "is told"
status 3 "cosine without unit vectors" hnsw-convert --metric cosine a.bin -o x.hnsw
says "'a.bin' row 0: the vector has length" "is told"
status 2 "vectors to an index" hnsw-convert v.jsonl -o x.bin
status 2 "an index from standard input" "hnsw-convert --from faiss - -o x.hnsw <a.faiss"
status 2 "an index to standard output" hnsw-convert a.hnsw --to faiss
status 2 "two indexes" hnsw-convert a.hnsw a.hnsw -o x.bin
status 2 "some rows of an index" hnsw-convert -N 3 a.hnsw -o x.bin
status 3 "an index of another kind" hnsw-convert --from faiss a.usearch -o x.hnsw
status 3 "hnswlib's is not Faiss's" hnsw-convert --from faiss a.bin -o x.hnsw
status 3 "Faiss's is not hnswlib's" hnsw-convert --from hnswlib --metric l2 a.faiss -o x.hnsw
says "'a.faiss' is no index of hnswlib, or is damaged" "is told"
printf 'IxF2' | cat - a.faiss >flat.faiss
status 3 "another index of Faiss" hnsw-convert flat.faiss -o x.hnsw
says "expected 'IHNf'" "is told"

# ---- damage ----
head -n 60 v.jsonl | hnsw-convert - --to npy -o s.npy
hnsw-build -q --storage f32 --metric l2 -m 3 s.npy -o s.hnsw >out
for f in bin faiss usearch; do
	hnsw-convert s.hnsw -o s.$f
	size=$(wc -c <s.$f)
	for n in 0 1 7 8 40 95 96 100 1000 $((size / 2)) $((size - 5)) $((size - 1)); do
		head -c "$n" s.$f >cut.$f
		status 3 "$f cut to $n bytes" hnsw-convert --metric l2 cut.$f -o x.hnsw
	done
	(cat s.$f; echo x) >cut.$f
	status 3 "$f with bytes at its end" hnsw-convert --metric l2 cut.$f -o x.hnsw
done
poke() { # FILE OFFSET BYTES
	cp "s.$1" "bad.$1"
	# shellcheck disable=SC2059
	printf "$3" | dd of="bad.$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
	status 3 "$1: $4" hnsw-convert --metric l2 "bad.$1" -o x.hnsw
}
poke bin 16 '\377\377\377\377\377\377\377\177' "2^63 elements"
poke bin 16 '\377\377\377\177\0\0\0\0' "2^31 - 1 elements that are not there"
says "fewer elements than its head says" "is told"
poke bin 24 '\377\377\377\377\377\377\377\377' "elements of 2^64 bytes"
poke bin 48 '\037' "a higher layer than there is"
poke bin 52 '\377\377\377\377' "an entry point that is not there"
poke bin 64 '\377\377' "room for 65535 links"
poke bin 96 '\377\377' "more links than there is room"
poke bin 100 '\377\377\377\377' "a link to nowhere"
says "links to 4294967295, there are 60 elements" "is told"
poke bin 124 '\0\0\300\177' "NaN"
says "'bad.bin' row 0: value 0 is not finite" "is told"
poke bin 188 '\1' "a label twice"
says "id '1' was already given to row" "is told"
poke faiss 4 '\377\377\377\377' "dimension -1"
poke faiss 8 '\377\377\377\377\377\377\377\377' "-1 rows"
poke faiss 8 '\377\377\377\177' "2^31 - 1 rows that are not there"
poke faiss 33 '\2' "another metric"
poke faiss 37 '\377\377\377\377\377\377\377\377' "2^64 - 1 levels"
poke usearch 0 '\377\377\377\377\377\377\377\377' "a matrix of 2^64 bytes"
poke usearch 3848 'U' "no magic"
poke usearch 3855 '\3' "another version"
says "is of usearch 3.10" "is told"
poke usearch 3861 'h' "another metric"
poke usearch 3862 '\1' "bits"
poke usearch 3912 '\377\377\377\377\377\377\377\377' "2^64 - 1 nodes"
poke usearch 3936 '\377' "a higher layer than there is"
check "nothing was written" 'test ! -e x.hnsw && test -z "$(find . -name ".tmp*")"'

signals=0
for f in bin faiss usearch; do
	size=$(wc -c <s.$f)
	for at in $(awk -v size="$size" 'BEGIN {srand(4); for (i = 0; i < 25; i++) print int(rand() * size)}'); do
		cp s.$f flip.$f
		printf '\377' | dd of=flip.$f bs=1 seek="$at" conv=notrunc 2>/dev/null
		hnsw-convert --metric l2 flip.$f -o y.hnsw >out 2>err
		rc=$?
		[ $rc -eq 0 ] || [ $rc -eq 3 ] || signals=$((signals + 1))
		[ $rc -ne 0 ] || hnsw-info --check y.hnsw >out 2>err || signals=$((signals + 1))
	done
done
test $signals -eq 0
report $? "flipped bytes: refused, or a sound index"

# ---- built as instant-distance builds ----
check "--like instant-distance" "hnsw-build -q --storage f32 --like instant-distance v.fvecs -o like.hnsw | jq -e '.config == {ef_construction: 100, ef_search: 100, seed: 42, m: 32, storage: \"f32\"} and .keep_pruned'"
check "rows of links are full" "hnsw-info --check like.hnsw | jq -e '.keep_pruned and .m0 == 64 and .mean_degree > 63'"
check "threads do not matter" "hnsw-build -q --storage f32 -t 1 --like instant-distance v.fvecs -o b.hnsw && cmp like.hnsw b.hnsw"
check "options go before it" "hnsw-build -q --storage f32 --like instant-distance -m 6 -c 40 -s 50 v.fvecs -o b.hnsw | jq -e '.config == {ef_construction: 40, ef_search: 50, seed: 42, m: 6, storage: \"f32\"} and .keep_pruned'"
check "so does a config" "echo '{\"ef_construction\":33,\"ef_search\":44}' | hnsw-build -q --storage f32 --like instant-distance --config - v.fvecs -o b.hnsw | jq -e '.config == {ef_construction: 33, ef_search: 44, seed: 42, m: 32, storage: \"f32\"}'"
check "otherwise pruned links are not kept" "hnsw-info a.hnsw | jq -e '.keep_pruned | not'"
finish
