#!/bin/sh
# Indexes that grow: rungs on the way of a build, and rows inserted into an index.
. "$(dirname "$0")/lib.sh"

vectors 3000 24 1 >plain.jsonl
head -n 40 plain.jsonl | sed 's/"id":"/&twin-/' >>plain.jsonl
hnsw-convert plain.jsonl -o v.jsonl
hnsw-build v.jsonl -o plain.hnsw >plain.json

# ---- rungs ----
check "a build with rungs" hnsw-build --rungs 1,2,700,701,3039 v.jsonl -o a.hnsw
cp out a.json
check "a record for each, smaller ones first" "jq -se 'map([.index, .vectors]) == [[\"a.1.hnsw\", 1], [\"a.2.hnsw\", 2], [\"a.700.hnsw\", 700], [\"a.701.hnsw\", 701], [\"a.3039.hnsw\", 3039], [\"a.hnsw\", 3040]] and
	(map(.build_time_secs) | . == sort) and all(.[]; (.config | del(.rung)) == {ef_construction: 80, ef_search: 30, seed: 42, m: 16} and .storage == \"sq8\") and
	all(.[]; .config.rung == if .vectors < 3040 then .vectors else null end)' a.json"
check "the index is the same with and without" cmp a.hnsw plain.hnsw
check "rungs are whole indexes" hnsw-info --check a.1.hnsw a.2.hnsw a.700.hnsw a.701.hnsw a.3039.hnsw
for how in '-t 1' '-t 3' 'HNSW_KERNEL=portable'; do
	case $how in
	-t*) check "the same with $how" "hnsw-build $how --rungs 2,700,3039 v.jsonl -o b.hnsw" ;;
	*) check "the same with $how" "env $how hnsw-build --rungs 2,700,3039 v.jsonl -o b.hnsw" ;;
	esac
	check "all files of it" "cmp a.hnsw b.hnsw && for r in 2 700 3039; do cmp a.\$r.hnsw b.\$r.hnsw || exit; done"
done
hnsw-build --seed 7 --metric l2 --rungs 700 v.jsonl -o l2.hnsw >l2.json
check "its rows are those of hnsw-convert --sample" "hnsw-convert --sample 700 --seed 7 v.jsonl -o s.jsonl && jq -r .id s.jsonl >want && hnsw-convert l2.700.hnsw | jq -r .id | cmp - want && grep -Fxf s.jsonl v.jsonl | cmp - s.jsonl"
check "and the digest of the vectors is theirs" "test \$(hnsw-info --vectors s.jsonl | jq .vectors_digest) = \$(hnsw-info l2.700.hnsw | jq .vectors_digest)"
check "so an eval set over them fits" "vectors 30 24 2 q >q.jsonl; evalset -q --metric l2 --queries q.jsonl -o s.json s.jsonl && hnsw-bench -q --seconds 0 -s 700 l2.700.hnsw s.json | jq -e '.metrics.recall_at_k == 1 and .metrics.vectors == 700'"
status 3 "but not to the whole" hnsw-bench --seconds 0 l2.hnsw s.json
check "records go through a pipe" "hnsw-build -q --seed 7 --metric l2 --rungs 700 s.jsonl v.jsonl -o x.hnsw 2>err; head -n 1 l2.json | hnsw-bench -q --seconds 0 - s.json | jq -e .metrics.build_time_secs"
for s in f32 f16 sq8; do
	for metric in cosine l2 ip; do
		hnsw-build -q --storage $s --metric $metric --rungs 1500 v.jsonl -o r.hnsw >r.json
		hnsw-convert --sample 1500 v.jsonl -o s.hvec
		hnsw-build -q --storage $s --metric $metric s.hvec -o fresh.hnsw >fresh.json
		check "$metric, $s: recall is that of a build" "hnsw-info --check r.1500.hnsw && evalset -q --metric $metric --queries q.jsonl -o s.json s.hvec && hnsw-bench -q --seconds 0 -s 40 fresh.hnsw s.json | jq .metrics.recall_at_k >f && hnsw-bench -q --seconds 0 -s 40 r.1500.hnsw s.json | jq .metrics.recall_at_k | paste - f | awk '{exit !(\$1 > \$2 - 0.02)}'"
	done
done
check "without ids the row numbers become ids" "hnsw-convert v.jsonl -o v.fbin && hnsw-build -q --rungs 9 v.fbin -o n.hnsw && hnsw-convert --sample 9 v.fbin | jq -r .id >want && hnsw-convert n.9.hnsw | jq -r .id | cmp - want && test \$(sort -u want | wc -l) -eq 9 && ! sort -n want | tail -n 1 | grep -qx 8"
check "rungs that end among duplicates" "awk 'BEGIN {for (i = 0; i < 300; i++) print \"[\" i % 3 \",1]\"}' >dup.jsonl; hnsw-build -q --metric l2 --rungs 1,2,5,100,299 dup.jsonl -o dup.hnsw && hnsw-info --check dup.*.hnsw | jq -se 'map(.vectors) | sort == [1, 2, 5, 100, 299]'"
check "a name without suffix" "mkdir d.ir && hnsw-build -q --rungs 5 v.jsonl -o d.ir/x && test -e d.ir/x.5 && hnsw-build -q --rungs 5 v.jsonl -o d.ir/.x && test -e d.ir/.x.5"
status 2 "as many rows as there are" hnsw-build --rungs 3040 v.jsonl -o c.hnsw
says "a rung of 3040 rows is no beginning of 3040 rows" "is told of"
status 2 "rungs that do not increase" hnsw-build --rungs 5,5 v.jsonl -o c.hnsw
status 2 "a rung of none" hnsw-build --rungs 0 v.jsonl -o c.hnsw
check "nothing was written" "! ls c.*"
status 2 "a sample of an index as an index" hnsw-convert --sample 5 a.hnsw -o c.bin
status 2 "a seed without a sample" hnsw-convert --seed 5 v.jsonl -o c.jsonl
check "a sample of more than there is" "hnsw-convert --sample 9999 v.jsonl | cmp - v.jsonl"

# ---- --append ----
head -n 2000 v.jsonl >old.jsonl
tail -n 1040 v.jsonl >new.jsonl
hnsw-build --rungs 5 old.jsonl -o old.hnsw >old.json
cp old.hnsw kept.hnsw
check "rows are inserted" hnsw-build --append old.hnsw new.jsonl -o grown.hnsw
cp out grown.json
check "the record counts all" "jq -e '.index == \"grown.hnsw\" and .vectors == 3040 and .config == {ef_construction: 80, ef_search: 30, seed: 42, m: 16} and .build_time_secs > 0' grown.json"
check "the old index stays as it is" cmp old.hnsw kept.hnsw
check "the result is whole, with equal vectors on one node" "hnsw-info --check grown.hnsw | jq -e '.vectors == 3040 and .distinct_vectors == 3000'"
same "$(jq .vectors_digest plain.json)" "and has the digest of all vectors" jq .vectors_digest grown.json
check "ids go on" "hnsw-convert grown.hnsw | jq -r .id >ids && jq -r .id v.jsonl | cmp - ids"
check "an equal row is found with the old one" "head -n 1 v.jsonl | jq -c .vector | hnsw-search -k 2 grown.hnsw | jq -e '[.hits[].id] == [\"d0\", \"twin-d0\"]'"
for how in '-t 1' '-t 3' 'HNSW_KERNEL=portable'; do
	case $how in
	-t*) check "the same with $how" "hnsw-build $how --append old.hnsw new.jsonl -o b.hnsw && cmp b.hnsw grown.hnsw" ;;
	*) check "the same with $how" "env $how hnsw-build --append old.hnsw new.jsonl -o b.hnsw && cmp b.hnsw grown.hnsw" ;;
	esac
done
check "its seconds are said to be of an insertion" "jq -e '.appended_to == 2000' grown.json && jq -e '.appended_to == null' plain.json"
check "and in a Trial" "evalset -q --queries q.jsonl -o e.json v.jsonl && hnsw-bench -q --seconds 0 - e.json <grown.json | jq -e '.appended_to == 2000 and .metrics.build_time_secs > 0' && hnsw-bench -q --seconds 0 - e.json <plain.json | jq -e '.appended_to == null'"
check "the result may take the old one's place" "cp old.hnsw in.hnsw && hnsw-build -q --append in.hnsw new.jsonl -o in.hnsw && cmp in.hnsw grown.hnsw"
check "nothing inserted: the same index" "hnsw-build -q --append old.hnsw --format jsonl /dev/null -o same.hnsw && cmp same.hnsw old.hnsw"
check "but another ef_search" "hnsw-build -q --append old.hnsw -s 77 --format jsonl /dev/null -o same.hnsw | jq -e '.config.ef_search == 77' && test \$(hnsw-info same.hnsw | jq .graph_digest) = \$(hnsw-info old.hnsw | jq .graph_digest)"
check "one row after the other" "head -n 1 old.jsonl | hnsw-build -q --storage f32 - -o one.hnsw && for i in 2 3 4 5 6 7 8 9; do sed -n \${i}p old.jsonl | hnsw-build -q --append one.hnsw - -o one.hnsw || exit; done && hnsw-info --check one.hnsw | jq -e '.vectors == 9' && sed -n 7p old.jsonl | hnsw-search -k 1 one.hnsw | jq -e '.hits[0].id == \"d6\"'"
check "a rung can grow" "hnsw-build -q --storage f32 --rungs 500 old.jsonl -o part.hnsw >out && hnsw-build -q --append part.500.hnsw new.jsonl -o part.hnsw && hnsw-info --check part.hnsw | jq -e '.vectors == 1540'"
check "kept pruned neighbours stay so" "hnsw-build -q --like instant-distance -m 8 old.jsonl -o like.hnsw && hnsw-build -q --append like.hnsw new.jsonl -o like.hnsw | jq -e '.keep_pruned and .config.m == 8' && hnsw-info --check like.hnsw"

# Whole numbers of -60..60, and the same as bytes.
jq -c '.vector |= map(. * 60 | round)' v.jsonl >w.jsonl
jq -c '.vector |= map(. * 60 | round)' q.jsonl >wq.jsonl
for c in v,q,cosine,f32 v,q,l2,f32 v,q,ip,f32 v,q,l2,f16 v,q,cosine,sq8 v,q,l2,sq8 v,q,ip,sq8 w,wq,l2,u8 w,wq,ip,u8; do
	base=${c%%,*} c=${c#*,}
	queries=${c%%,*} c=${c#*,}
	metric=${c%,*} s=${c#*,}
	evalset -q --metric $metric --queries $queries.jsonl -o e.json $base.jsonl
	hnsw-build -q --metric $metric --storage $s $base.jsonl -o fresh.hnsw >fresh.json
	head -n 1500 $base.jsonl | hnsw-build -q --metric $metric --storage $s - -o part.hnsw >part.json
	check "$metric, $s: grown by as much again" "tail -n 1540 $base.jsonl | hnsw-build -q --append part.hnsw - -o grown2.hnsw >g.json && hnsw-info --check grown2.hnsw && test \$(jq .vectors_digest g.json) = \$(jq .vectors_digest fresh.json)"
	check "recall is that of a build of all" "for i in fresh grown2; do hnsw-bench -q --seconds 0 -s 15,30,60 \$i.hnsw e.json | jq -s 'map(.metrics.recall_at_k) | add / 3'; done | paste - - | awk '{exit !(\$2 > \$1 - 0.01)}'"
	check "the exact answers too" "test \$(hnsw-bench -q --seconds 0 -s 3040 grown2.hnsw e.json | jq '.metrics.recall_at_k_ties == 1') = true"
done

# ---- ids ----
status 3 "an id that is there" "(sed -n 1,3p new.jsonl; sed -n 9p old.jsonl) | hnsw-build --append old.hnsw - -o c.hnsw"
says "'stdin' line 4: id 'd8' was already given to row 8" "is named"
check "no ids on either side" "hnsw-convert old.jsonl -o old.fbin && hnsw-convert new.jsonl -o new.fbin && hnsw-build -q old.fbin -o num.hnsw && hnsw-build -q --append num.hnsw new.fbin -o num2.hnsw && hnsw-info num2.hnsw | jq -e '.id_bytes == 0' && sed -n 5p new.jsonl | jq -c .vector | hnsw-search -k 1 num2.hnsw | jq -e '.hits[0].id == \"2004\"'"
check "only the new ones have ids" "hnsw-build -q --append num.hnsw new.jsonl -o num3.hnsw && hnsw-convert num3.hnsw | jq -r .id >ids && sed -n '1p;2000p;2001p' ids | tr '\n' ' ' | grep -qx '0 1999 d2000 '"
check "only the old ones have ids" "hnsw-build -q --append old.hnsw new.fbin -o num4.hnsw && hnsw-convert num4.hnsw | jq -r .id >ids && sed -n '1p;2000p;2001p' ids | tr '\n' ' ' | grep -qx 'd0 d1999 2000 '"
check "many small steps away are refused as one is" "hnsw-build -q --metric l2 --storage sq8 old.jsonl -o drift.hnsw && rc=0; for i in \$(seq 1 40); do jq -c --argjson i \$i '.id = \"s\\(\$i)-\" + .id | .vector |= map(. + \$i * 0.5)' old.jsonl | head -n 200 | hnsw-build -q --append drift.hnsw - -o drift.hnsw >out 2>err || { rc=\$?; break; }; done; test \$rc -eq 3 && grep -q 'far outside' err"
cp old.jsonl in.7.jsonl
status 2 "a rung is not written where vectors are read from" hnsw-build -q --rungs 7 in.7.jsonl -o in.jsonl
check "and these are still there" cmp old.jsonl in.7.jsonl
check "an index keeps its permissions" "hnsw-build -q --storage f32 old.jsonl -o mode.hnsw && chmod 600 mode.hnsw && hnsw-build -q --append mode.hnsw new.jsonl -o mode.hnsw && test \$(stat -c %a mode.hnsw) = 600"
check "two at once: one goes on, the other is told to wait" "hnsw-build -q --storage f32 old.jsonl -o both.hnsw && flock both.hnsw sh -c 'hnsw-build -q --append both.hnsw new.jsonl -o both.hnsw; test \$? -eq 5' 2>err && grep -q 'another process' err"
status 3 "unless one of them is such a number" "echo '{\"id\":\"2\",\"vector\":[1,2]}' | hnsw-build --storage f32 - -o two.hnsw >out; (echo '[3,4]'; echo '[5,6]') | hnsw-build --append two.hnsw - -o c.hnsw"
says "line 2: id '2' was already given to row 0" "which is told"

# ---- what does not fit ----
hnsw-build -q --metric l2 w.jsonl -o w.hnsw >out
status 3 "what bytes do not hold" "(sed -n 1,2p w.jsonl | sed 's/\"d/\"x/'; sed -n 3p v.jsonl | sed 's/\"d/\"x/') | hnsw-build --append w.hnsw - -o c.hnsw"
says "'stdin' line 3: the bytes of index 'w.hnsw' (storage u8) do not hold this vector: build an index of all vectors anew" "is told, and what to do"
jq -c '.id = "far-" + .id | .vector |= map(. + 5)' new.jsonl >far.jsonl
hnsw-build -q --metric l2 old.jsonl -o l2.hnsw >out
status 3 "what lies far outside of the codes" hnsw-build --append l2.hnsw far.jsonl -o c.hnsw
says "the new vectors lie far outside of what index 'l2.hnsw' (storage sq8) can tell apart" "is told"
check "floats hold it" "hnsw-build -q --storage f32 --metric l2 old.jsonl -o f.hnsw && hnsw-build -q --append f.hnsw far.jsonl -o f2.hnsw && hnsw-info --check f2.hnsw"
jq -c '.id = "far-" + .id | .vector |= map(. * 1.1)' new.jsonl >wide.jsonl
for metric in l2 ip; do
	hnsw-build -q --storage sq8 --metric $metric old.jsonl -o part.hnsw >out
	check "$metric: a little outside they are found, by a larger error" "hnsw-build -q --append part.hnsw wide.jsonl -o c2.hnsw && evalset -q --metric $metric --queries wide.jsonl -o e.json old.jsonl wide.jsonl && hnsw-bench -q --seconds 0 -s 3040 c2.hnsw e.json | jq -e '.metrics.recall_at_k > 0.999'"
done
status 3 "another dimension" "echo '{\"id\":\"x\",\"vector\":[1,2]}' | hnsw-build --append old.hnsw - -o c.hnsw"
says "'stdin' has dimension 2, expected 24 as in index 'old.hnsw'" "is told"
status 3 "a value that is not finite" "(sed -n 1p new.fbin >/dev/null; head -n 2 new.jsonl | jq -c '.vector'; jq -nc '[range(24) | 1e39]') | hnsw-build --append num.hnsw - -o c.hnsw"
for option in '-m 8' '-c 9' '--seed 1' '--metric l2' '--storage f32'; do
	status 2 "another parameter: $option" hnsw-build $option --append old.hnsw new.jsonl -o c.hnsw
	says "contradicts index 'old.hnsw', which has " "is told"
done
check "the same parameters are none" "hnsw-build -q -m 16 -c 80 --seed 42 --metric cosine --storage sq8 --append old.hnsw new.jsonl -o same.hnsw && cmp same.hnsw grown.hnsw"
for option in '--config old.json' '--like instant-distance' '--rungs 5'; do
	status 2 "$option" hnsw-build $option --append old.hnsw new.jsonl -o c.hnsw
done
status 6 "an index that is not there" hnsw-build --append none.hnsw new.jsonl -o c.hnsw
status 3 "no index" hnsw-build --append new.jsonl new.jsonl -o c.hnsw
# One byte in the middle becomes another.
check "a damaged index" "cp old.hnsw bad.hnsw && size=\$(wc -c <bad.hnsw) && at=\$((size / 2)) && byte=\$(od -A n -t u1 -j \$at -N 1 bad.hnsw) && printf \"\\\\\$(printf %o \$(((byte + 1) % 256)))\" | dd of=bad.hnsw bs=1 seek=\$at conv=notrunc 2>/dev/null; hnsw-build --append bad.hnsw new.jsonl -o c.hnsw; test \$? -eq 3"
says "'bad.hnsw' is damaged" "is refused"
check "nothing was written" "! ls c.hnsw"

# ---- interruption ----
awk 'BEGIN {srand(1); for (i = 0; i < 40000; i++) {printf "["; for (j = 0; j < 32; j++) printf "%s%.4f", j ? "," : "", rand(); print "]"}}' >slow.jsonl
hnsw-convert -N 3000 slow.jsonl -o begin.fbin
hnsw-convert slow.jsonl -o slow.fbin
hnsw-build -q -c 800 -m 48 begin.fbin -o t.hnsw >out
cp t.hnsw t.kept
for sig in TERM KILL; do
	check "SIG$sig while appending leaves the old index" "hnsw-build -q --append t.hnsw slow.fbin -o t.hnsw & pid=\$!; sleep 1.2; kill -$sig \$pid; wait \$pid; test \$? -ne 0 && cmp t.hnsw t.kept && test -z \"\$(ls -A | grep '^.tmp')\""
	check "SIG$sig after a rung leaves it whole" "rm -f s.*hnsw; hnsw-build -q -c 800 -m 48 --rungs 300,39999 slow.fbin -o s.hnsw >rec & pid=\$!; sleep 1.2; kill -$sig \$pid; wait \$pid; test \$? -ne 0 && hnsw-info --check s.300.hnsw && test ! -e s.hnsw -a ! -e s.39999.hnsw && jq -e '.vectors == 300' rec && test -z \"\$(ls -A | grep '^.tmp')\""
done
finish
