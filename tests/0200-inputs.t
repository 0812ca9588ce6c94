#!/bin/sh
# What is named on a command line: files, pipes, and what is neither.
. "$(dirname "$0")/lib.sh"

vectors 60 4 1 >v.jsonl
evalset -q -N 10 -o ev.json v.jsonl
hnsw-build -q v.jsonl -o v.hnsw >v.json
mkfifo pipe

# through COMMAND...: with the lines of FILE coming through the pipe
through() { cat "$1" >pipe & shift; "$@"; rc=$?; wait; return $rc; }

# ---- pipes ----
check "vectors through a pipe" "through v.jsonl hnsw-build -q --format jsonl pipe -o w.hnsw && cmp v.hnsw w.hnsw"
check "build records through a pipe, from the first byte on" "through v.json hnsw-bench -q pipe ev.json | jq -e '.config.ef_construction == 80 and .metrics.build_time_secs > 0'"
check "a build record for trial-duel" "through v.json trial-duel -q --seconds 0.2 pipe v.hnsw ev.json >duel; jq -e . duel"
check "texts" "echo '{\"id\":\"a\",\"text\":\"one\"}' >t.jsonl; through t.jsonl embed pipe | jq -e '.id == \"a\"'"
check "a history" "trial t1 20 30 0.9 100 docs >h; through h propose --history pipe | jq -e '.ef_construction > 0'"

# ---- what never ends, and what is no file ----
for program in 'hnsw-build -o x.hnsw --format jsonl' embed 'propose --history'; do
	status 6 "$program: a device without end" "timeout 10 $program /dev/zero"
	says "cannot read '/dev/zero': neither a file nor a stream" "is refused"
	status 6 "$program: a directory" "$program ./"
	says "cannot read './': is a directory" "is refused"
done

# ---- whether there is a file ----
mkdir shut
cp v.hnsw shut/plain
check "a name is that of no file if there is none" "hnsw-info plain 2>&1 | grep -q \"'plain' is no file\""
ln -s loop loop
status 6 "one that cannot be looked up is a file" hnsw-info loop
says "'loop': Too many levels of symbolic links" "and it is said why"
finish
