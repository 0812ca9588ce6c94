#!/bin/sh
# The example makefile: a sweep, and only what is missing is made again.
. "$(dirname "$0")/lib.sh"

vectors 800 12 1 >base.jsonl
evalset -q -N 50 -o eval.json base.jsonl
sweep="make -f $root/scripts/sweep.mk VECTORS=base.jsonl EVAL=eval.json EF_SEARCH=10,20"
unset MAKEFLAGS MFLAGS MAKELEVEL
check "a sweep" "$sweep M='4 8' EF_CONSTRUCTION='20 40'"
check "one target a build" "ls sweep/*.trials | wc -l | grep -qx 4 && cat sweep/*.trials | test \$(wc -l) -eq 8"
check "its best" "jq -e .config.m sweep/best"
check "nothing is made again" "$sweep M='4 8' EF_CONSTRUCTION='20 40' | grep -q 'Nothing to be done'"
check "one more value builds just that" "$sweep M='4 8' EF_CONSTRUCTION='20 40 60' >log; grep -c '^hnsw-build' log | grep -qx 2"
check "what was lost is made again, alone" "rm sweep/m4-c20.trials sweep/m4-c20.json; $sweep M='4 8' EF_CONSTRUCTION='20 40 60' >log; grep -c '^hnsw-build' log | grep -qx 1"
check "a frontier as a table" "$sweep -s M='4 8' EF_CONSTRUCTION='20 40 60' frontier | awk 'NF == 5 {n++} END {exit !n}'"
check "no index files are left" 'test -z "$(ls sweep/*.hnsw 2>/dev/null)"'
finish
