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
sed 's/False/Maybe/' v.npy >order.npy
status 3 "npy in an order that is none" hnsw-info --vectors order.npy
sed "s/<f4/|f4/" v.npy >endian.npy
status 3 "npy of floats in no byte order" hnsw-info --vectors endian.npy
sed "s/<f4/<c8/" v.npy >complex.npy
status 3 "npy of complex numbers" hnsw-info --vectors complex.npy
says "has element type '<c8'," "named"
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
# ---- NumPy's other ways: column order, big-endian, shapes as they were ever written ----
npy() { # DESCR ORDER SHAPE PACK VALUES...: on stdout
	perl -e '($d, $o, $s, $p, @v) = @ARGV; $h = "{\x27descr\x27: \x27$d\x27, \x27fortran_order\x27: $o, \x27shape\x27: $s, }";
		$h .= " " x (63 - (10 + length $h) % 64) . "\n"; print "\x93NUMPY\1\0", pack("v", length $h), $h, pack("$p*", @v)' "$@"
}
rows='[1,2] [3,4] [5,6] '
for shape in '(3, 2)' '(3L, 2L)' '(3, 2,)' '( 3 , 2 )' '(3,2)'; do
	npy '<f4' False "$shape" 'f<' 1 2 3 4 5 6 >s.npy
	same "$rows" "npy of shape $shape" "hnsw-convert s.npy | jq -c .vector | tr '\n' ' '"
done
for shape in '(3, 2' '(3, 2, 1)' '(3 2)' '(,)' '()' '(3, 2L x)'; do
	npy '<f4' False "$shape" 'f<' 1 2 3 4 5 6 >s.npy
	status 3 "npy of shape $shape" hnsw-convert s.npy
done
for type in 'f4 f' 'f8 d' 'i4 l'; do
	for order in '< False 1 2 3 4 5 6' '> False 1 2 3 4 5 6' '< True 1 3 5 2 4 6' '> True 1 3 5 2 4 6'; do
		set -- $order
		end=$1 way=$2
		shift 2
		npy "$end${type% *}" "$way" '(3, 2)' "${type#* }$end" "$@" >s.npy
		same "$rows" "npy of $end${type% *}, columns first: $way" "hnsw-convert s.npy | jq -c .vector | tr '\n' ' '"
	done
done
npy '>f2' True '(2, 2)' 'n' 15360 16896 16384 17408 >s.npy
same '[1,2] [3,4] ' "npy of >f2 in columns" "hnsw-convert s.npy | jq -c .vector | tr '\n' ' '"
for t in 'u1 C' 'i1 c'; do
	npy "|${t% *}" True '(3, 2)' "${t#* }" 1 3 5 2 4 6 >s.npy
	same "$rows" "npy of |${t% *} in columns" "hnsw-convert s.npy | jq -c .vector | tr '\n' ' '"
done
same "$rows" "in columns from stdin" "npy '>f4' True '(3, 2)' 'f>' 1 3 5 2 4 6 | hnsw-convert --from npy - | jq -c .vector | tr '\n' ' '"
status 3 "npy in columns that lacks some" "npy '<f4' True '(3, 2)' 'f<' 1 2 3 4 5 >s.npy; hnsw-convert s.npy"

# ---- what is a word, and what is a value ----
plain() { printf '%s' "$1" | tr '\\' /; } # for names of tests
# reads FORMAT TEXT WANT: ids and vectors; refuses FORMAT TEXT WHY
reads() {
	printf "$2" >t.txt
	same "$3" "$1 reads $(plain "$2")" "hnsw-convert --from $1 t.txt | jq -c '[.id] + .vector' | tr '\n' ' '"
}
refuses() {
	printf "$2" >t.txt
	status 3 "$1 refuses $(plain "$2")" hnsw-convert --from "$1" t.txt
	says "'t.txt' $3" "because: $3"
}
for f in text text-words; do
	reads $f '3 2\nUnited States 1 2\nWorld War II 3 4\nParis 5 6\n' '["United States",1,2] ["World War II",3,4] ["Paris",5,6] '
	reads $f 'United States 1 2\nParis 5 6\n' '["United States",1,2] ["Paris",5,6] '
	reads $f 'a\t1 \t 2  \nb 3 4' '["a",1,2] ["b",3,4] '
	reads $f '\n\na 1 2\n \t\nb 3 4\n\n' '["a",1,2] ["b",3,4] '
	reads $f '\302\240 1 2\nb 3 4\n' '[" ",1,2] ["b",3,4] '
	reads $f '\357\273\2772 2\r\na 1 2\r\nb 3 4\r\n' '["a",1,2] ["b",3,4] '
	reads $f 'a 1 2\n42 3 4\n' "$(test $f = text && echo '["a",1,2] ["42",3,4] ' || echo '["a",1,2] ["42",3,4] ')"
	refuses $f 'a 1 2\nb 3 4c 5 6\nd 7 8\n' 'line 2: has 3 numbers, expected a word and 2'
	refuses $f 'a 1 2\nb 3 4 5\n' 'line 2: has 3 numbers'
	refuses $f 'a 1 2\nb 3 4 c 5 6\n' 'line 2: has 4 numbers'
	refuses $f 'a 1 2 b 3 4\nc 5 6\n' 'line 1: has 4 numbers'
	refuses $f 'b 3\nc 5d 6\n' 'line 2: has 1 numbers'
	refuses $f '2 2\na 1 2b 3 4\n' "$(test $f = text && echo 'line 2: has' || echo 'has 1 rows, its first line says 2')"
	refuses $f 'a 1 nan 3\nb 2 3\n' 'line 1: has'
	refuses $f 'a 1 2\nb 1e999 2\n' "line 2: value 1 is '1e999'"
	refuses $f 'a 1 2\nb 0x1 2\n' "line 2: value 1 is '0x1'"
	refuses $f 'a 1 2\nb 3 inf\n' "line 2: value 2 is 'inf'"
	refuses $f 'a 1 2\nb 1,5 2,5\n' "line 2: value 1 is '1,5'"
	refuses $f 'a 1 2\nb 1\0132 3\n' "line 2: value 1 is '1"
	refuses $f 'a 1 2\rb 3 4\r' 'line 1: '
	refuses $f 'a 1 2\n  3 4\n' 'line 2: has 2 values and no word'
	refuses $f 'a 1 2\nb\000c 3 4\n' 'line 2: id has a NUL'
	refuses $f 'w\377 1 2\nw\376 4 5\n' 'line 1: id has bytes that are no UTF-8'
	refuses $f '2 2\na 1 2\nb 3 4\nc 5 6\n' 'has 3 rows, its first line says 2'
	refuses $f '3 2\na 1 2\n\nb 3 4\nb 5 6\n' "row 2: id 'b' was already"
	refuses $f '3 2\na 1 2\nb 3 4\nb 5 6\n' "line 4: id 'b' was already"
	refuses $f '\377\376a\000' 'begins with a byte order mark of UTF-16'
done
refuses text 'word\n' 'line 1: has no values after its word'
refuses text '1.5 2\n3 4 5\n' 'line 2: has 3 values, expected 2'
refuses text '1 2\r3 4' "line 1: value 2 is '2"
refuses text-words '  1 2\nb 3 4\n' 'line 1: begins with a blank'
refuses text-words '2 2\n  1 2\nb 3 4\n' 'line 2: has 2 values and no word'
refuses text '2 2\nApollo 11 1 2\nb 3 4\n' 'line 2: has 3 numbers'
reads text-words '2 2\nApollo 11 1 2\nb 3 4\n' '["Apollo 11",1,2] ["b",3,4] '
refuses text-words '2 2\n7 8 1 2\nb 3 4\n' 'line 2: has 4 numbers'
reads text '1\n2\n3' '["0",1] ["1",2] ["2",3] '
reads text '1 2.5\n3 4' '["0",1,2.5] ["1",3,4] '
reads text '+1 .5 3.\n1e2 +0 0' '["0",1,0.5,3] ["1",100,0,0] '

# ---- what is written is read again ----
for v in '{"id":"0","vector":[1,2]} {"id":"1","vector":[3,4]}' '{"id":"7","vector":[5]} {"id":"b","vector":[6]}' \
	'{"id":"1e5","vector":[5,6,7]}' '[2,2] [3,4]' '[1,2] [3,4]' '[3,1] [3,4]' '[1] [2]' '{"id":"nan","vector":[1,2]}' \
	'{"id":"-","vector":[1,2]} {"id":"é","vector":[3,4]}'; do
	printf '%s\n' $v | hnsw-convert - >want
	check "as text and back: $(plain "$v")" "hnsw-convert want -o t.txt --from jsonl && hnsw-convert t.txt | cmp - want"
done
for id in '' 'a b' 'a\tb' 'a\rb' 'a\nb' '\ufeffa'; do
	status 3 "no word of a text file: '$(plain "$id")'" "echo '{\"id\":\"$id\",\"vector\":[1,2]}' | hnsw-convert --to text -"
done
check "nothing of nothing" "hnsw-convert -N 0 v.npy --header --to text | hnsw-convert --from text - | test \$(wc -l) -eq 0"
status 3 "NaN does not go into text" hnsw-convert nan.fbin --to text
says "'nan.fbin' row 3: value 2 is not finite" "named"

# ---- ids from a file ----
printf '[1,2]\n[3,4]\n' >two.jsonl
for ids in 'a\nb\n' 'a\nb' 'a\r\nb\r\n' '\357\273\277a\nb\n' 'a\n\357\273\277b\n'; do
	printf "$ids" >ids
	same '"a" "b" ' "ids of $(plain "$ids")" "hnsw-convert --ids ids two.jsonl | jq -c .id | tr '\n' ' '"
done
bad_ids() {
	printf "$1" >ids
	status 3 "no ids: $(plain "$1")" hnsw-convert --ids ids two.jsonl
	says "'ids' $2" "named"
}
bad_ids 'w\nw\377\n' 'line 2: id has bytes that are no UTF-8'
bad_ids 'a\nb\000\n' 'line 2: id has a NUL'
bad_ids 'a\rb\n' 'line 1: has a carriage return'
bad_ids 'a\nb\n\n' 'has 3 lines'
bad_ids '\376\377\000a' 'begins with a byte order mark of UTF-16'

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
