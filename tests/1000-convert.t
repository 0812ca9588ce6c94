#!/bin/sh
# Vector files: every format there and back, and what is wrong with them.
. "$(dirname "$0")/lib.sh"

vectors 50 7 3 >in.jsonl
cp in.jsonl v.jsonl
hnsw-convert v.jsonl -o v.npy
digest=$(hnsw-info --vectors v.jsonl)
for f in fvecs fbin npy hvec jsonl txt; do
	check "to $f" hnsw-convert in.jsonl -o "v.$f"
	same "$digest" "$f has the same vectors" hnsw-info --vectors "v.$f"
	check "$f through pipes" "hnsw-convert v.$f --to ${f%txt} -o - >p.$f 2>/dev/null || hnsw-convert v.$f --to text >p.$f"
	same "$digest" "$f on stdin" "hnsw-info --vectors --format $(echo $f | sed s/txt/text/) - <v.$f"
done
for f in jsonl hvec; do
	check "ids survive in $f" "hnsw-convert v.$f | head -n 1 | jq -e '.id == \"d0\"'"
done
check "words are ids" "hnsw-convert v.txt | tail -n 1 | jq -e '.id == \"d49\"'"
check "rows without ids are numbered" "hnsw-convert v.npy v.npy | tail -n 1 | jq -e '.id == \"99\"'"
check "so are those beside rows with ids" "hnsw-convert v.jsonl v.npy | tail -n 1 | jq -e '.id == \"99\"'"
check "floats survive exactly" "hnsw-convert v.fbin | hnsw-convert - --to fbin | cmp - v.fbin"

awk 'BEGIN {for (i = 0; i < 30; i++) {printf "["; for (j = 0; j < 5; j++) printf "%s%d", j ? "," : "", (i * 37 + j * 11) % 128; print "]"}}' >u.jsonl
udigest=$(hnsw-info --vectors u.jsonl)
for f in bvecs ivecs u8bin i8bin fvecs; do
	check "whole numbers to $f" hnsw-convert u.jsonl -o "u.$f"
	same "$udigest" "$f has the same vectors" hnsw-info --vectors "u.$f"
done
for t in f32 f64 f16 u8 i8 i32; do
	check "npy of $t" hnsw-convert --type $t u.jsonl -o "u-$t.npy"
	same "$udigest" "npy of $t has the same vectors" hnsw-info --vectors "u-$t.npy"
	check "hvec of $t" hnsw-convert --type $t u.jsonl -o "u-$t.hvec"
	same "$udigest" "hvec of $t has the same vectors" hnsw-info --vectors "u-$t.hvec"
done
check "u8 prints as whole numbers" "hnsw-convert u.u8bin | head -n 1 | grep -q '\[0,11,22,33,44\]'"
check "i32 prints exactly" "echo '[16777217,-2147483648]' | hnsw-convert --to npy --type f64 - | hnsw-convert --from npy - | grep -q 16777216"
status 3 "a fraction does not fit u8" "echo '[0.5]' | hnsw-convert - --to u8bin"
says "value 0 is 0.5, which u8 cannot hold" "and it says so"
status 3 "300 does not fit u8" "echo '[300]' | hnsw-convert - --to u8bin"
status 3 "1e5 does not fit f16" "echo '[1e5]' | hnsw-convert - --to npy --type f16"

printf '3 2\na 1 2\nb 3 4\nc 5 6\n' >w2v.txt
check "word2vec text with a header" "hnsw-convert w2v.txt | jq -se 'length == 3 and .[1].id == \"b\" and .[1].vector == [3,4]'"
printf 'the 1.5 -2e-3\n. . . 3 4\n' >glove.txt
check "GloVe text, words with blanks too" "hnsw-convert glove.txt | jq -se '.[1].id == \". . .\" and .[0].vector == [1.5,-0.002]'"
printf '0.1 0.2 \n0.3 .4\n' >bare.txt
check "fastText's output without words" "hnsw-convert bare.txt | jq -se '.[0].id == \"0\" and .[1].vector == [0.3,0.4]'"
check "a header is written if asked for" "hnsw-convert --header w2v.txt --to text | head -n 1 | grep -qx '3 2'"
printf '5 2\na 1 2\n' >short.txt
status 3 "fewer rows than the header says" hnsw-convert short.txt
says "'short.txt' has 1 rows, its first line says 5" "named"
printf 'a 1 2\nb 3\n' >uneven.txt
status 3 "another dimension" hnsw-convert uneven.txt
says "'uneven.txt' line 2: has dimension 1, expected 2" "named"
printf 'a 1 2\nb 3 x\n' >letters.txt
status 3 "letters for a number" hnsw-convert letters.txt
says "'letters.txt' line 2: value 2 is 'x', expected a finite number" "named"
printf 'a 1 nan\n' >nan.txt
status 3 "NaN in text" hnsw-convert nan.txt
printf 'x\ny\nz\n' >three
status 3 "too few ids" hnsw-convert v.npy --ids three
says "'three' has 3 lines, expected an id for each of 50 rows" "named"
check "ids from a file" "hnsw-convert w2v.txt --ids three | head -n 1 | jq -e '.id == \"x\"'"
printf 'x\nx\nz\n' >twice
status 3 "an id twice" hnsw-convert w2v.txt --ids twice
says "id 'x' was already given to row 0" "named"
check "some rows" "hnsw-convert --skip 2 -N 3 v.jsonl | jq -r .id | tr '\n' ' ' | grep -qx 'd2 d3 d4 '"
check "no rows" "hnsw-convert -N 0 v.npy --to fvecs | hnsw-convert --from fvecs - | test \$(wc -l) -eq 0"

# ---- damaged binary files ----
cut() { head -c "$2" "$1" >"cut-$2.${1##*.}"; echo "cut-$2.${1##*.}"; }
for f in fvecs fbin npy hvec; do
	size=$(wc -c <v.$f)
	for n in 1 3 7 9 11 40 100 $((size - 1)); do
		status 3 "$f cut to $n bytes" hnsw-info --vectors "$(cut v.$f $n)"
	done
done
says "'cut-" "the file is named"
set_bytes() { cp "$1" "$2"; printf "$4" | dd of="$2" bs=1 seek="$3" conv=notrunc 2>/dev/null; }
set_bytes v.fbin big.fbin 0 '\377\377\377\377'
status 3 "four thousand million rows that are not there" hnsw-info --vectors big.fbin
says "4294967295 rows of dimension 7" "named"
set_bytes v.fbin wide.fbin 4 '\377\377\377\377'
status 3 "a dimension of four thousand million" hnsw-info --vectors wide.fbin
set_bytes v.fbin none.fbin 4 '\0\0\0\0'
status 3 "dimension 0" hnsw-info --vectors none.fbin
set_bytes v.fvecs row.fvecs 64 '\010'
status 3 "a row of another dimension" hnsw-info --vectors row.fvecs
says "'row.fvecs' row 2: has dimension 8, expected 7" "named"
set_bytes v.fvecs neg.fvecs 0 '\377\377\377\377'
status 3 "a negative dimension" hnsw-info --vectors neg.fvecs
set_bytes v.npy magic.npy 0 'X'
status 3 "npy with a wrong magic" hnsw-info --vectors magic.npy
sed 's/False/True /' v.npy >fortran.npy
status 3 "npy in column order" hnsw-info --vectors fortran.npy
says "row order" "named"
sed "s/<f4/>f4/" v.npy >endian.npy
status 3 "npy of big-endian floats" hnsw-info --vectors endian.npy
sed 's/(50, 7)/(50,)  /' v.npy >flat.npy
status 3 "npy of one dimension" hnsw-info --vectors flat.npy
sed 's/(50, 7)/(5-, 7)/' v.npy >minus.npy
status 3 "npy with a bad shape" hnsw-info --vectors minus.npy
sed 's/(50, 7)/(99999999999999999999, 7)/' v.npy >huge.npy
status 3 "npy with a shape beyond 64 bits" hnsw-info --vectors huge.npy
set_bytes v.fbin nan.fbin 100 '\000\000\300\177'
status 3 "NaN in a binary file, when it is used" hnsw-info --vectors nan.fbin
says "'nan.fbin' row 3: value 2 is not finite" "named"
status 3 "infinity" "set_bytes v.fbin inf.fbin 100 '\000\000\200\177'; hnsw-build inf.fbin -o x.hnsw"
check "nothing was written" 'test ! -e x.hnsw'
set_bytes v.hvec flip.hvec 700 'x'
status 3 "a flipped byte in an hvec" hnsw-info --vectors flip.hvec
says "checksum of chunk" "is found"
status 3 "an index is no set of vectors" "hnsw-build -q v.jsonl -o i.hnsw && hnsw-info --vectors --format hvec i.hnsw"
status 3 "files of different dimensions" hnsw-info --vectors v.npy w2v.txt
says "'w2v.txt' has dimension 2, expected 7 as in 'v.npy'" "named"
status 6 "a directory" hnsw-info --vectors --format fbin ./
status 2 "a suffix that says nothing" "cp v.npy v.dat; hnsw-info --vectors v.dat"
check "a failed conversion leaves the old file" "echo old >keep.u8bin; hnsw-convert v.jsonl -o keep.u8bin 2>/dev/null; grep -q old keep.u8bin"
check "and nothing else" 'test -z "$(find . -name ".tmp*")"'

# ---- what is written is not what is read ----
printf '{"id":"%s","vector":[1,2]}\n' a b c d >self.jsonl
cp self.jsonl self.old
ln self.jsonl hard.jsonl
ln -s self.jsonl soft.jsonl
printf '%s\n' a b c d >self.ids
hnsw-build -q self.jsonl -o self.hnsw >o2
status 2 "a file onto itself" hnsw-convert self.jsonl -o self.jsonl
says "'self.jsonl' is the input 'self.jsonl': it cannot be written" "is told"
status 2 "by another name" hnsw-convert self.jsonl -o hard.jsonl
status 2 "by a link" hnsw-convert soft.jsonl -o self.jsonl
status 2 "through standard input" "hnsw-convert - -o self.jsonl <self.jsonl"
status 2 "through standard output" "hnsw-convert self.jsonl >>hard.jsonl"
status 2 "onto its ids" hnsw-convert --ids self.ids self.jsonl --to text -o self.ids
status 2 "an index onto itself" hnsw-convert self.hnsw -o self.hnsw
status 2 "an eval set onto its vectors" evalset -N 1 -o self.jsonl self.jsonl
status 2 "onto its queries" "hnsw-convert self.jsonl -o other.npy && evalset --queries self.jsonl -o hard.jsonl other.npy"
status 2 "the rest onto the vectors" evalset -N 1 --hold-out hard.jsonl -o e.json self.jsonl
status 2 "the rest onto the eval set" "evalset -N 1 -o e.json self.jsonl && evalset -N 1 --hold-out ./e.json -o e.json self.jsonl"
status 2 "an index onto its config" "echo '{\"ef_construction\":80,\"ef_search\":30}' >c.json; hnsw-build --config c.json -o ./c.json self.jsonl"
check "none of them was touched" "cmp self.old self.jsonl && test -s self.hnsw && hnsw-info --check self.hnsw"
check "a refreshed eval set may replace itself" "evalset -N 1 -o e.json self.jsonl && evalset --refresh e.json -o e.json self.jsonl"
finish
