#!/bin/sh
# Vector lines in JSON: strict, with line and reason.
. "$(dirname "$0")/lib.sh"

# refused LINE WHY: as the second of two lines
refused() {
	printf '{"id":"a","vector":[1,2]}\n%s\n' "$1" >t.jsonl
	status 3 "refused: $(printf '%.50s' "$1")" hnsw-convert t.jsonl
	says "'t.jsonl' line 2: " "its line"
	says "$2" "and why: $2"
}
refused '{"id":"b","vector":[1]}' "has dimension 1, expected 2"
refused '{"id":"b","vector":[1,2,3]}' "has dimension 3, expected 2"
refused '{"id":"b","vector":[]}' "has dimension 0"
refused '{"id":"b","vector":[1,NaN]}' "column 23: expected a finite number"
refused '{"id":"b","vector":[1,nan]}' "expected a finite number"
refused '{"id":"b","vector":[1,Infinity]}' "expected a finite number"
refused '{"id":"b","vector":[1,1e999]}' "number too large for a float"
refused '{"id":"b","vector":[1,1e39]}' "number too large for a float"
refused '{"id":"b","vector":[1,null]}' "expected a finite number"
refused '{"id":"b","vector":[1,"2"]}' "expected a finite number"
refused '{"id":"b","vector":[1,01]}' "expected ',' or ']'"
refused '{"id":"b","vector":[1,2,]}' "expected a finite number"
refused '{"id":"b","vector":[1 2]}' "expected ',' or ']'"
refused '{"id":"b","vector":[1,2}' "expected ',' or ']'"
refused '{"id":"b","vector":[1,2]' "expected ',' or '}'"
refused '{"id":"b","vector":null}' "expected an array"
refused '{"id":"b"}' "has no key 'vector'"
refused '{"id":"b","text":"x"}' "texts become vectors with embed"
refused '{"vector":[1,2]}' "has no key 'id', though lines before it have"
refused '{"id":null,"vector":[1,2]}' "expected a string or a number as id"
refused '{"id":["b"],"vector":[1,2]}' "expected a string or a number as id"
refused '{"id":"a","vector":[1,2]}' "id 'a' was already given"
refused '{"id":"b\q","vector":[1,2]}' "bad escape"
refused "$(printf '{"id":"\377","vector":[1,2]}')" "bytes that are no UTF-8"
refused '{"id":"b","vector":[1,2]} x' "trailing text"
refused 'hello' "expected an object"
refused '{"id":"b","x":[[[[1]]],"vector":[1,2]}' "column"
refused '{"id":"b","id":"c","vector":[1,2]}' "key 'id' given twice"
refused '{"id":"b","vector":[1,2],"vector":[1,2]}' "key 'vector' given twice"
refused '{"id":"b","\u0076ector":[1,2],"vector":[1,2]}' "key 'vector' given twice"
refused '{"id":"a\u0000","vector":[1,2]}' "id has a NUL"
refused "$(printf '{"id":"b","vector":[1,2]}\r{"id":"c","vector":[1,2]}')" "trailing text"
refused '{"id":"b","vector":["1","2"]}' "expected a finite number"
refused '{"id":"b","vector":[0x1,2]}' "expected ',' or ']'"
printf '{"vector":[1,2]}\n{"id":"b","vector":[1,2]}\n' >t.jsonl
status 3 "an id where lines before had none" hnsw-convert t.jsonl
says "has an id, though lines before it have none" "is told of"
status 3 "a very long id" "awk 'BEGIN {printf \"{\\\"id\\\":\\\"\"; for (i = 0; i < 2000; i++) printf \"x\"; print \"\\\",\\\"vector\\\":[1]}\"}' | hnsw-convert -"
status 3 "too many dimensions" "awk 'BEGIN {printf \"[0\"; for (i = 0; i < 70000; i++) printf \",1\"; print \"]\"}' | hnsw-convert -"

accepted() {
	printf '%s\n' "$1" >t.jsonl
	same "$2" "accepted: $(printf '%.50s' "$1")" hnsw-convert t.jsonl
}
accepted '{"id":"a","vector":[1,-2.5e-3]}' '{"id":"a","vector":[1,-0.0025]}'
accepted ' { "vector" : [ 1 , 2 ] , "id" : 7 } ' '{"id":"7","vector":[1,2]}'
accepted '{"x":{"vector":[9]},"id":"é\u0041\n","vector":[0.1]}' '{"id":"éA\n","vector":[0.1]}'
accepted '[1,2]' '{"id":"0","vector":[1,2]}'
accepted '{"id":"a","vector":[1.00000000000000000000000000000000001,1e-50]}' '{"id":"a","vector":[1,0]}'
accepted '{"id":"a","vector":[0.1000000014901161193847656250,3.4028234663852886e38]}' '{"id":"a","vector":[0.1,3.4028235e+38]}'
accepted '{"\u0069d":"a","vect\u006fr":[1]}' '{"id":"a","vector":[1]}'
accepted "$(printf '\357\273\277{"id":"a","vector":[1]}')" '{"id":"a","vector":[1]}'
check "keys that are not known may be deep" "perl -e 'print q({\"x\":), q([{\"y\":) x 60000, 1, q(}]) x 60000, q(,\"vector\":[1]}), qq(\n)' | hnsw-convert - | grep -qx '{\"id\":\"0\",\"vector\":\[1\]}'"
status 3 "but not without end" "perl -e 'print q([) x 1000000' | sed 's/^/{\"x\":/' | hnsw-convert -"
says "nested too deep" "named"
check "a mark in the middle, of a file put behind another" "printf '\357\273\277[1]\n\357\273\277[2]\n' | hnsw-convert - | test \$(wc -l) -eq 2"
status 3 "UTF-16" "printf '\377\376[\0001\000]\000' | hnsw-convert -"
says "'stdin' begins with a byte order mark of UTF-16, expected UTF-8" "named"
check "blank lines are left out" "printf '[1]\n\n  \n[2]\n' | hnsw-convert - | test \$(wc -l) -eq 2"
check "a last line without its newline" "printf '[1]\n[2]' | hnsw-convert - | test \$(wc -l) -eq 2"
check "CRLF" "printf '[1]\r\n[2]\r\n' | hnsw-convert - | test \$(wc -l) -eq 2"
status 3 "a file of zeros" "head -c 1000 /dev/zero | hnsw-convert -"
status 3 "no rows to build from" "hnsw-build - -o x.hnsw </dev/null"
finish
