#!/bin/sh
# Files that others change or cut short while they are read.
. "$(dirname "$0")/lib.sh"

vectors 8000 16 5 >v.jsonl
vectors 8000 16 6 >w.jsonl
hnsw-convert v.jsonl -o v.fvecs
hnsw-convert w.jsonl -o w.fvecs

# during FILE COMMAND...: start the command, and once it has FILE mapped, eval $change
during() {
	file=$1
	shift
	"$@" &
	pid=$!
	tries=0
	until grep -q "/$file\$" "/proc/$pid/maps" 2>/dev/null || [ $tries -gt 2000 ]; do
		tries=$((tries + 1))
		sleep 0.01
	done
	eval "$change"
	wait "$pid"
}
build() { during in.fvecs hnsw-build -q -t 1 -c 500 "$@" in.fvecs -o o.hnsw; }
# changed STATUS WHAT CHANGE [OPTION...]
changed() {
	want=$1 what=$2 change=$3
	shift 3
	cp v.fvecs in.fvecs
	touch -d '1 hour ago' in.fvecs
	rm -f o.hnsw
	status "$want" "$what" build "$@"
}
overwrite='dd if=w.fvecs of=in.fvecs bs=64k conv=notrunc 2>/dev/null'

for storage in f32 sq8 f16; do
	changed 4 "vectors overwritten while an index of $storage is built" "$overwrite" --storage $storage
	says "'in.fvecs' was changed while it was read" "are named"
	check "and nothing is written" "test ! -e o.hnsw"
done
changed 4 "one byte" "printf x | dd of=in.fvecs bs=1 seek=1000 conv=notrunc 2>/dev/null"
changed 4 "times set back" "$overwrite; touch -d '2 hours ago' in.fvecs"
changed 4 "vectors appended" "cat w.fvecs >>in.fvecs"
changed 6 "vectors cut short" ": >in.fvecs"
says "hnsw-build: a file was truncated while it was in use" "is said"
check "and nothing is written" "test ! -e o.hnsw"
changed 0 "a file that takes its place" "cp w.fvecs other && mv other in.fvecs"
changed 0 "another name of it" "ln in.fvecs other && rm other"
changed 0 "the same bytes, newly made" "touch -d '1 second ago' o.hnsw"
check "a set that was written just now" "cp v.fvecs now.fvecs && hnsw-build -q now.fvecs -o o.hnsw >rec && hnsw-info --check o.hnsw"
status 4 "an index to go on with is appended to by others" "cp o.hnsw old.hnsw; change='printf x >>old.hnsw'; during old.hnsw hnsw-build -q -t 1 --append old.hnsw w.jsonl -o new.hnsw"

# Rungs on the way are no better.
changed 4 "a rung of what was overwritten" "$overwrite" --rungs 7000
check "is not written" "test ! -e o.7000.hnsw"

# Searches in a mapped index.
hnsw-build -q v.fvecs -o cut.hnsw >rec
cut_search() {
	mkfifo queries
	hnsw-search cut.hnsw <queries &
	pid=$!
	exec 9>queries
	head -n 1 v.jsonl >&9
	sleep 0.3
	: >cut.hnsw
	head -n 100 v.jsonl >&9
	exec 9>&-
	wait $pid
}
status 6 "an index cut short while it is searched" cut_search
says "hnsw-search: a file was truncated while it was in use" "is said"

# mapped STATUS WHAT CHANGE COMMAND...: change an index that is being searched
hnsw-build -q --storage f32 v.fvecs -o one.hnsw >rec
hnsw-build -q --storage f32 w.fvecs -o two.hnsw >rec
evalset -q -N 3000 -o answers.json v.fvecs
mapped() {
	want=$1 what=$2 change=$3
	shift 3
	cp one.hnsw in.hnsw
	touch -d '1 hour ago' in.hnsw
	touch -r in.hnsw stamp
	rm -f changed
	status "$want" "$what" during in.hnsw "$@"
}
another='dd if=two.hnsw of=in.hnsw bs=64k conv=notrunc 2>/dev/null'
# Two queries, the second when the first was answered and the change was made.
mkfifo two
slow_search() {
	{
		head -n 1 v.jsonl
		until [ -e changed ]; do sleep 0.01; done
		sed -n 2p v.jsonl
	} >two &
	exec hnsw-search -k 1 "$@" in.hnsw <two
}
for how in "" "--vectors disk"; do
	# shellcheck disable=SC2086
	mapped 4 "an index overwritten while it is searched $how" "$another; : >changed" slow_search $how
	says "'in.hnsw' was changed while it was read" "is named"
	check "what came after that is not answered" "test \$(wc -l <out) -le 1"
done
mapped 4 "times set back" "$another; touch -r stamp in.hnsw; : >changed" slow_search
mapped 0 "another name of it" "ln in.hnsw other && rm other; : >changed" slow_search
mapped 0 "an index that takes its place" "cp two.hnsw other && mv other in.hnsw; : >changed" slow_search
check "both are answered" "test \$(wc -l <out) -eq 2"
mapped 4 "while it is measured" "$another" hnsw-bench --map -s 10 in.hnsw answers.json
check "nothing is printed" "test ! -s out"
mapped 4 "or its curve" "$another" hnsw-bench --map --curve in.hnsw answers.json
check "nothing is printed" "test ! -s out"

# Exact answers.
cp v.fvecs in.fvecs
touch -d '1 hour ago' in.fvecs
change=$overwrite
status 4 "vectors overwritten while answers are computed" "during in.fvecs evalset -q -t 1 -N 4000 in.fvecs -o e.json"
check "no eval set" "test ! -e e.json"
finish
