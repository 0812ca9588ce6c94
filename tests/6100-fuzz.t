#!/bin/sh
# The fuzz targets on their corpus and on mutations of it: none ends by a signal, and what
# they state holds.
. "$(dirname "$0")/lib.sh"
replay=${HNSW_OUT:-$bin/..}/replay
[ -x "$replay/index" ] || skip_all "the targets are not built: make replay"

for target in "$root"/tests/fuzz/*.c; do
	name=$(basename "$target" .c)
	[ "$name" != replay ] || continue
	case $name in journal) n=100 ;; *) n=500 ;; esac
	check "$name" "$replay/$name" -m $n "$root/tests/fuzz/corpus/$name"/*
done
finish
