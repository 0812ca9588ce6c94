#!/bin/sh
# The fuzz targets on their corpus and on mutations of it: none ends by a signal, and what
# they state holds.  Every reader is behind one.
. "$(dirname "$0")/lib.sh"
replay=${HNSW_OUT:-$bin/..}/replay
[ -x "$replay/index" ] || skip_all "the targets are not built: make replay"

targets=
for target in "$root"/tests/fuzz/*.c; do
	name=$(basename "$target" .c)
	[ "$name" != replay ] || continue
	targets="$targets $name"
	case $name in
	journal | server) n=100 ;;
	*) n=500 ;;
	esac
	check "$name" "$replay/$name" -m $n "$root/tests/fuzz/corpus/$name"/*
done
# Names of the functions that headers declare.
sed -n 's/^[a-z].*[ *]\([a-z0-9_]*\)(.*/\1/p' "$root"/lib/*/*.h | sort -u >declared
grep -E '_(parse|read(_[a-z0-9]+)?)$' declared >readers
grep -v '^#' "$root/tests/fuzz/readers" >rows
cut -f 1 rows | sort >known
check "every reader has a line in tests/fuzz/readers" "comm -23 readers known | tee missing; test ! -s missing"
check "and every line a reader" "comm -13 declared known | tee stale; test ! -s stale"
printf '%s\n' - $targets >behind
check "and a target" "cut -f 2 rows | tr ' ' '\n' | grep -vxF -f behind | tee none; test ! -s none"
finish
