#!/bin/sh
# The command line that all programs share.
. "$(dirname "$0")/lib.sh"

for program in "$bin"/*; do
	name=${program##*/}
	check "$name --help" "$name --help"
	prints "usage: $name" "$name --help shows its usage"
	check "$name -V" "$name -V"
	prints "(hnsw-tools) $(cat "$root/VERSION")" "$name -V tells the version"
	status 2 "$name --no-such-option" "$name --no-such-option </dev/null"
	says "try '$name --help'" "$name: where help is"
	status 6 "$name --help to a full disk" "$name --help >/dev/full"
done
status 2 "a beginning of an option's name is none" hnsw-build --metr l2 x -o y
says "did you mean '--metric'" "and it says which was meant"
status 2 "an option without its value" hnsw-build x -o
says "option '-o' needs a value" "is told of"
status 2 "a value out of range" hnsw-build -m 1 x -o y
says "bad value '1' for --m: expected a whole number in 2..512" "with its range"
status 2 "a number with letters" hnsw-build -m 16x x -o y
status 2 "a sign" hnsw-build -m -16 x -o y
status 2 "an unknown name" hnsw-build --metric euclid x -o y
says "expected one of l2, euclidean, cosine, angular, ip" "with those that there are"
status 2 "no operand" hnsw-build -o y
status 2 "one operand too many" trial-list a b
vectors 20 4 1 >v.jsonl
check "options after operands" hnsw-build v.jsonl -o i.hnsw -m 4 --metric=l2
check "joined short options" hnsw-build -qm4 -oi.hnsw v.jsonl
check "operands after --" 'cp v.jsonl ./-v.jsonl && hnsw-build -o i.hnsw -- ./-v.jsonl'
check "-v tells time and memory" hnsw-build -v v.jsonl -o i.hnsw
says "memory at most" "on stderr"
status 6 "a full disk behind stdout" 'hnsw-convert v.jsonl >/dev/full'
says "cannot write standard output: No space left on device" "is told of"
status 6 "a closed stdout" 'hnsw-convert v.jsonl >&-'
check "a reader that goes away ends a filter quietly" 'vectors 20000 8 1 | hnsw-convert - 2>errors | head -n 1; test ! -s errors'
status 6 "a missing file" hnsw-build ./none.npy -o i.hnsw
says "hnsw-build: cannot open './none.npy': No such file or directory" "named with the reason"
status 2 "a name that cannot be one" trial-list a/b
says "bad index name 'a/b': has a slash" "with the reason"
for bad in .hidden "" "$(printf 'a\nb')" "$(printf '\377')"; do
	status 2 "a bad name" trial-list "$bad"
done
status 2 "a scheme that is not known" trial-list -S ftp://x y
status 6 "no store there" trial-list -S ./none y
says "there is no store at './none'" "is told of"
check "reading made no store" 'test ! -e none'

# ---- text for a terminal ----
odd=$(printf 'p\033\302\205\342\200\256q')
ln -s "$bin/hnsw-build" "./$odd"
status 2 "a name that a terminal obeys" "./p*q"
says "try 'p???q --help'" "is not shown so in messages"
check "nor in the help" "./p*q --help | grep -qF 'usage: p???q'"
check "nor with the version" "./p*q -V | grep -qF 'p???q (hnsw-tools)'"
mkdir -p s/primary
echo x >"s/primary/$odd"
same "$odd" "hnsw-store list prints names for scripts" hnsw-store -S s list primary
if command -v script >/dev/null; then
	check "and for people" "script -qc \"'$bin/hnsw-store' -S s list primary\" tty >o2 </dev/null; tr -d '\\r' <o2 | grep -qFx 'p???q'"
	check "the progress line" "vectors 20000 16 1 >many.jsonl; script -qc './p*q -c 200 -o i.hnsw many.jsonl' tty >o2 </dev/null; grep -qF 'p???q: ' o2 && ! grep -qF \"\$odd\" o2"
else
	report 0 "on a terminal # SKIP no script"
fi
finish
