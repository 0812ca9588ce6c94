#!/bin/sh
# The journal: what is acknowledged is there, verbatim, once, in order.
. "$(dirname "$0")/lib.sh"

j=store/primary/_hnsw_trials
trial a 80 30 0.9 500 >one
check "append echoes" "trial-append x <one | cmp - one"
check "and makes the store" "test -d $j/x"
check "list prints it byte for byte" "trial-list x | cmp - one"
check "a batch has the name it should" "ls $j/x | grep -Eqx 'batch_[0-9]{20}.jsonl'"
check "again: acknowledged, not written again" "trial-append x <one | cmp - one && trial-list x | cmp - one && test \$(ls $j/x | wc -l) -eq 1"
check "twice in one stream neither" "(trial b 1 1 1 1; trial b 1 1 1 1; trial c 1 1 1 1) | trial-append x | test \$(wc -l) -eq 3 && trial-list x | jq -r .id | tr '\n' ' ' | grep -qx 'a b c '"
check "without a name: the index that each names" "(trial d 1 1 1 1 y; trial e 1 1 1 1 z; trial f 1 1 1 1 y) | trial-append | jq -r .id | tr '\n' ' ' | grep -qx 'd e f ' && trial-list y | test \$(wc -l) -eq 2 && trial-list z | test \$(wc -l) -eq 1"
status 3 "a Trial of another index" "trial g 1 1 1 1 y | trial-append x"
says "stdin: line 1: is of index 'y', expected 'x'" "is told of"
check "keys that we do not know are kept byte by byte" "printf '%s\n' '{ \"extra\" : [1.50,2e3, 12345678901234567890], \"id\":\"odd\",\"index_name\":\"x\",\"eval_set\":\"e\",\"config\":{\"ef_construction\":1,\"ef_search\":1,\"mystery\":null},\"metrics\":{\"build_time_secs\":1,\"search_latency_p50_us\":1,\"search_latency_p95_us\":1,\"search_latency_p99_us\":1,\"recall_at_k\":0.96,\"memory_bytes\":1,\"vectors\":1,\"eval_queries\":1,\"brute_force_latency_us\":0},\"created_at\":\"2026-04-16T15:26:21.123456789Z\"}' >odd; trial-append x <odd | cmp - odd && trial-list x | tail -n 1 | cmp - odd"
check "a batch of four by default" "for i in 1 2 3 4 5 6 7 8 9; do trial n\$i 1 1 1 1 batch; done >nine; trial-append batch <nine >out2; ls $j/batch | test \$(wc -l) -eq 3; for f in $j/batch/*; do wc -l <\$f; done | tr '\n' ' ' | grep -qx '4 4 1 '"
check "a pause flushes" "mkfifo to; trial-append pause <to >echoed & exec 3>to; trial p1 1 1 1 1 pause >&3; i=0; while test ! -s echoed -a \$i -lt 100; do sleep 0.05; i=\$((i + 1)); done; test -s echoed; rc=\$?; exec 3>&-; wait; test \$rc -eq 0"

# ---- malformed lines ----
trial good1 1 1 1 1 m >good1
trial good2 1 1 1 1 m >good2
for bad in 'nonsense' '{}' '{"id":"x"}' '[]' "$(trial t 1 1 nan 1 m)" "$(trial t 1 1 1e999 1 m)" "$(trial t 1 1 '"1"' 1 m)" "$(trial t -1 1 1 1 m)" "$(trial t 1.5 1 1 1 m)" "$(trial t 1 1 1.0001 1 m)" "$(trial t 1 1 -0.5 1 m)" "$(trial t 1 1 1 -1 m)" "$(trial t 1 1 1 1 m | sed 's/"build_time_secs":1.5/"build_time_secs":-1/')" "$(trial t 1 1 1 1 m | sed 's/"memory_bytes":1000/"memory_bytes":-1/')" "$(trial t 1 1 1 1 m | sed 's/2026-04-16T/yesterday/')" "$(trial '' 1 1 1 1 m)" "$(trial t 1 1 1 1 m | sed 's/"recall_at_k":[^,]*,//')" "$(trial t 1 1 1 1 m | cut -c1-200)"; do
	printf '%s\n' "$bad" >bad
	status 3 "refused: $(printf '%.40s' "$bad")" "cat good1 bad good2 | trial-append m"
	says "stdin: line 2: " "its line"
	check "what stands around it is kept" "cat good1 good2 | cmp - out && trial-list m | cat good1 good2 | cmp - out"
done
# What we could read and the original skips: serde takes whole numbers in digits only, and no key twice.
strict() { # WHY SED-SCRIPT
	trial t 1 1 1 1 m | sed "$2" >bad
	status 3 "not as the original reads it: $(printf '%s' "$2" | tr '\\' /)" "cat good1 bad good2 | trial-append m"
	says "stdin: line 2: " "its line"
	says "$1" "and why: $1"
	check "what stands around it is kept" "cat good1 good2 | cmp - out"
}
for n in 1000.0 1e3 10e2 1E3; do
	strict 'a whole number that is not written in digits only' "s/\"memory_bytes\":1000/\"memory_bytes\":$n/"
done
for k in vectors eval_queries ef_construction ef_search seed; do
	strict 'a whole number that is not written in digits only' "s/\"$k\":[0-9]*/&.0/"
done
strict 'a whole number that is not written in digits only' 's/"seed":42/"seed":-0/'
for k in id index_name eval_set created_at note; do
	strict 'a key given twice' "s/^{/{\"$k\":\"m\",/;s/\"id\":\"m\",\"id\"/\"id\":\"t\",\"id\"/"
done
strict 'a key given twice' 's/"config":/"config":{"ef_construction":1,"ef_search":1},&/'
strict 'a key given twice' 's/"ef_search":/"ef_search":1,&/'
strict 'a key given twice' 's/"vectors":/"vectors":1,&/'
strict 'a key given twice' 's/"id":/"\\u0069d":"t",&/'
for day in 2026-02-30 2026-02-29 2026-04-31 2026-13-01 2026-00-10; do
	strict "created_at is '$day" "s/2026-04-16/$day/"
done
check "a leap day is a day" "trial leap 1 1 1 1 strict | sed 's/2026-04-16/2028-02-29/' | trial-append strict"
check "escaped keys are keys" "trial esc 7 1 1 1 strict | sed 's/\"m\":/\"\\\\u006d\":/;s/\"id\":/\"i\\\\u0064\":/' >esc; grep -q u006d esc && trial-append strict <esc | cmp - esc && trial-best --by recall strict 2>&1 | grep -q u0064"
check "members that are not known may be deep" "trial deep 1 1 1 1 strict | perl -pe '\$d = q([) x 3000 . q(]) x 3000; s/^\{/{\"x\":\$d,/' >deep; trial-append strict <deep | cmp - deep && trial-list strict | tail -n 1 | cmp - deep"
{ printf '\357\273\277'; trial marked 1 1 1 1 strict; } >marked
check "a byte order mark is left out" "trial-append strict <marked | tail -c +1 >o; sed '1s/^\xEF\xBB\xBF//' marked | cmp - o"
check "and CRLF" "trial crlf 1 1 1 1 strict | sed 's/\$/\r/' | cat - >c; printf '\r\n' >>c; trial-append strict <c | tr -d '\r' | wc -l | grep -qx 1 && ! grep -l \"\$(printf '\r')\" $j/strict/*"
check "what is in a journal is read all the same" "trial old 1 1 1 1 old | sed 's/1000/1000.0/' >old && mkdir -p $j/old && cp old $j/old/batch_00000000000000000007.jsonl && trial-list old | cmp - old"
check "the metric that is missing is named" "cat err >e; trial t 1 1 1 1 m | sed 's/\"recall_at_k\":[^,]*,//' | trial-append m 2>e; grep -q \"has no key 'metrics.recall_at_k'\" e"
check "so is the id that is empty" "trial '' 1 1 1 1 m | trial-append m 2>e; grep -q 'the id is empty' e"
# A Trial that is N bytes long, by its note.
long() { trial long 1 1 1 1 m | tr -d '\n' | awk -v n="$1" '{ head = $0; sub(/null}$/, "\"", head); printf "%s", head; for (i = length(head) + 2; i < n; i += 64) printf "%.*s", n - i, "                                                                "; print "\"}" }'; }
status 3 "a line above 16 MiB" "(cat good1; long 16777217) | trial-append m"
says "stdin: line 2 is longer than 16777216 bytes" "is refused"
check "what came before it is kept" "cat good1 | cmp - out"
status 3 "so it is without its newline" "long 16777217 | tr -d '\n' | trial-append m"
check "one of 16 MiB is taken" "long 16777216 | sed 's/_name\":\"m/_name\":\"l/' | trial-append l | test \$(wc -c) -eq 16777217"
printf 'torn {\n' >"$j/m/batch_00000000000000000005.jsonl"
printf '{"id":"cut' >"$j/m/batch_00000000000000000006.jsonl"
check "torn lines in the store are skipped" "cat good1 good2 >both; trial-list m 2>warn | cmp - both"
check "and reported with file and line" "grep -q \"skipping 'batch_00000000000000000005.jsonl' line 1: \" warn && grep -q \"'batch_00000000000000000006.jsonl' line 1\" warn"
check "files of other names are left alone" "echo junk >$j/m/notes.txt; echo junk >$j/m/batch_1.jsonl; trial-list m 2>/dev/null | cmp - both"

# ---- what is no file ----
mkdir -p $j/odd
trial o1 1 1 1 1 odd >$j/odd/batch_00000000000000000010.jsonl
mkfifo $j/odd/batch_00000000000000000020.jsonl
status 6 "a FIFO as batch" timeout 10 trial-list odd
says "batch_00000000000000000020.jsonl': not a regular file" "is named"
for to in nowhere batch_00000000000000000020.jsonl /dev/zero /; do
	rm $j/odd/batch_00000000000000000020.jsonl
	ln -s $to $j/odd/batch_00000000000000000020.jsonl
	[ "$to" = / ] || status 6 "a batch that links to $to" timeout 10 trial-list odd
done
check "one that links to a directory is none" "trial-list odd | cmp - $j/odd/batch_00000000000000000010.jsonl"

# ---- order ----
mkdir -p $j/order
trial third 1 1 1 1 order >$j/order/batch_00000000000000000030.jsonl
(trial first 1 1 1 1 order; trial second 1 1 1 1 order) >$j/order/batch_00000000000000000010.jsonl
check "order is by stamp, then by line" "trial-list order | jq -r .id | tr '\n' ' ' | grep -qx 'first second third '"
check "a batch is never overwritten" "before=\$(ls $j/order); trial fourth 1 1 1 1 order | trial-append order >o2; test \$(ls $j/order | wc -l) -eq 3"

# The clock was ahead when the last batch was written.
mkdir $j/ahead
trial a1 1 1 1 1 ahead >$j/ahead/batch_00004102444800000000.jsonl
check "stamps increase though the clock was set back" "for n in 2 3; do trial a\$n 1 1 1 1 ahead | trial-append ahead >/dev/null || exit 1; done; ls $j/ahead | tr '\n' ' ' | grep -qx 'batch_00004102444800000000.jsonl batch_00004102444800000001.jsonl batch_00004102444800000002.jsonl '"
check "and so does the order" "trial-list ahead | jq -r .id | tr '\n' ' ' | grep -qx 'a1 a2 a3 '"
check "also after a compaction" "trial-compact ahead && trial a4 1 1 1 1 ahead | trial-append ahead && trial-list ahead | jq -r .id | tr '\n' ' ' | grep -qx 'a1 a2 a3 a4 '"

# ---- a limit of file sizes ----
status 6 "a batch above ulimit -f" "for i in 1 2 3 4; do trial f\$i 1 1 1 1 full; done >four; ulimit -f 1; trial-append full <four"
says "File too large" "says why"
check "nothing of it is there" "test -z \"\$(ls -A $j/full)\""

for last in 18446744073709551616 99999999999999999999; do
	trial last 1 1 1 1 order >$j/order/batch_$last.jsonl
	ls $j/order >l1
	for program in trial-list trial-compact trial-append; do
		status 3 "$program: a stamp that is no number of 63 bits" "trial a 1 1 1 1 order | $program order"
		says "'batch_$last.jsonl' in '_hnsw_trials/order' has a stamp above 9223372036854775807" "is named"
	done
	check "nothing was changed" "ls $j/order | cmp - l1"
	rm $j/order/batch_$last.jsonl
done
trial last 1 1 1 1 order >$j/order/batch_09223372036854775807.jsonl
check "the last stamp that there is" "trial-list order >before; trial-compact order && trial-list order | cmp - before && trial a2 1 1 1 1 order | trial-append order && trial-list order >before && test \$(wc -l <before) -eq 6"
status 3 "nothing comes after it" trial-compact order
says "batch_compacted_09223372036854775807.jsonl' has the last stamp that there is" "and it is named"
check "nothing was lost" "trial-list order | cmp - before"

# ---- two writers at once, and a reader ----
writer() { for i in $(seq 100); do trial "$1-$i" 1 1 1 1 race; done | trial-append --batch 3 race >"ack-$1"; }
check "eight writers lose nothing" "for w in 1 2 3 4 5 6 7 8; do writer \$w & done; wait; cat ack-* | jq -r .id | sort >want; trial-list race | jq -r .id | sort >got; test \$(wc -l <got) -eq 800 && cmp want got"
check "each writer's order is kept" "for w in 1 5 8; do trial-list race | jq -r .id | grep \"^\$w-\" | cut -d- -f2 | sort -nc || exit 1; done"
check "kill -9 loses nothing acknowledged" "for i in 1 2 3 4 5; do (for n in \$(seq 3000); do trial k\$i-\$n 1 1 1 1 kill; done | trial-append --batch 2 kill >acked-\$i) & pid=\$!; sleep 0.2; pkill -9 -P \$pid trial-append; wait; done 2>/dev/null; cat acked-* | jq -r .id | sort -u >want; trial-list kill | jq -r .id | sort >got; test -s want && test -z \"\$(comm -23 want got)\" && test -z \"\$(uniq -d got)\""

# ---- compaction ----
trial-list race >before
check "compacting keeps every line" "trial-compact race | jq -e '.lines == 800 and .batches > 200' && trial-list race | cmp - before"
check "in one file" "ls $j/race | grep -Eqx 'batch_compacted_[0-9]{20}.jsonl' && test \$(ls $j/race | wc -l) -eq 1"
check "with the stamp of the newest" "trial z 1 1 1 1 race | trial-append race >o2; trial-list race | tail -n 1 | jq -e '.id == \"z\"'"
check "to zstd" "trial-list race >before; trial-compact --zstd race >o2 && ls $j/race | grep -Eqx 'batch_compacted_[0-9]{20}.jsonl.zst' && trial-list race | cmp - before && zstd -dcq $j/race/*.zst | cmp - before"
check "and back" "trial-compact race >o2 && trial-list race | cmp - before && ls $j/race | grep -Eqx 'batch_compacted_[0-9]{20}.jsonl'"
check "nothing left to do" "trial-compact race | jq -e '.batches == 0'"
check "malformed lines are copied too" "trial-compact m >o2 2>/dev/null; grep -q 'torn {' $j/m/batch_compacted_*"
check "a dry run changes nothing" "ls $j/batch >l1; trial-compact -n batch | jq -e '.batches == 3' && ls $j/batch | cmp - l1"
status 1 "no journal" trial-compact nothing
status 5 "not while another compacts it" "hnsw-store lock primary/_hnsw_trials/batch -- trial-compact --wait 0 batch"
says "'_hnsw_trials/batch' is locked by another process" "says why"
check "which is waited for" "hnsw-store lock primary/_hnsw_trials/batch -- sleep 1 & sleep 0.2; trial-compact -n batch && wait"
# What a crash leaves: the new batch and the oldest of its inputs.
mkdir $j/crash
trial c1 1 1 1 1 crash >$j/crash/batch_00000000000000000001.jsonl
trial c2 1 1 1 1 crash >$j/crash/batch_00000000000000000002.jsonl
trial c3 1 1 1 1 crash >$j/crash/batch_00000000000000000003.jsonl
cat $j/crash/batch_0* >$j/crash/batch_compacted_00000000000000000003.jsonl
for left in 3 2 1; do
	check "$left inputs left behind: each Trial once, in order" "trial-list crash | jq -r .id | tr '\n' ' ' | grep -qx 'c1 c2 c3 '"
	rm $j/crash/batch_0000000000000000000$left.jsonl
done
# A power cut may undo removals in any order.
for left in 1 2 3 '1 2' '1 3' '2 3' '1 2 3'; do
	for n in $left; do trial c$n 1 1 1 1 crash >$j/crash/batch_0000000000000000000$n.jsonl; done
	check "inputs $left left behind: each Trial once, in order" "trial-list crash | jq -r .id | tr '\\n' ' ' | grep -qx 'c1 c2 c3 '"
	rm $j/crash/batch_0*
done
trial c1 1 1 1 1 crash >$j/crash/batch_00000000000000000001.jsonl
check "the next compaction drops what is there twice" "trial-compact crash | jq -e '.lines == 3' && trial-list crash | test \$(wc -l) -eq 3"
check "readers during compactions see every Trial once" "
	for i in \$(seq 300); do trial r\$i 1 1 1 1 busy; done | trial-append --batch 1 busy >/dev/null
	(for i in 1 2 3 4 5 6; do trial-compact \$(test \$((i % 2)) -eq 0 || echo --zstd) busy >/dev/null; for n in 1 2 3 4 5 6 7 8; do trial s\$i-\$n 1 1 1 1 busy; done | trial-append --batch 1 busy >/dev/null; done) & pid=\$!
	while kill -0 \$pid 2>/dev/null; do
		trial-list busy >seen || exit 1
		test -z \"\$(jq -r .id seen | sort | uniq -d)\" || exit 1
		test \$(jq -r .id seen | grep -c '^r') -eq 300 || exit 1
	done; wait; trial-list busy | test \$(wc -l) -eq 348"
check "an idempotent append after compaction" "trial-list busy | head -n 200 | trial-append busy >o2 && trial-list busy | test \$(wc -l) -eq 348"
check "a zstd batch has a checksum" "trial-compact --zstd busy >o2; f=\$(ls $j/busy/*.zst); cp \$f whole; zstd -lv whole | grep -q XXH64"
: >empty
head -c 100 whole >cut
head -c -4 whole >nosum
# The last byte of the checksum, and one amidst the compressed data.
flip() { head -c $(($1 - 1)) whole; tail -c "+$1" whole | head -c 1 | tr '\000-\377' '\001-\377\000'; tail -c "+$(($1 + 1))" whole; }
flip "$(wc -c <whole)" >badsum
flip $(($(wc -c <whole) / 2)) >flipped
batch=$(ls $j/busy/*.zst)
for damage in empty cut nosum badsum flipped; do
	cp $damage "$batch"
	status 3 "a damaged zstd batch: $damage" trial-list busy
	says "${batch##*/}' is damaged" "it is named"
	status 3 "which a compaction refuses" trial-compact busy
	check "and leaves alone" "cmp $damage $batch && test \$(ls $j/busy | wc -l) -eq 1"
done
zstd -dcq whole >plain
zstd -q --no-check -c plain >"$batch"
check "one that others wrote without a checksum is read" "trial-list busy | cmp - plain"

# ---- nothing there ----
status 1 "no such index" trial-list nothing
says "there is no index 'nothing'" "is told of"
check "a registered index without Trials" "index-add empty >o2; trial-list empty && test ! -s out"
status 1 "no best of nothing" trial-best nothing
check "silently" 'test ! -s out -a ! -s err'

# ---- lines without bounds ----
# One line of 200 MB in 20 kB, between two Trials.
mkdir -p store/primary/_hnsw_trials/huge
head -n 1 plain >line1
sed -n 2p plain >line2
{ cat line1; head -c 200000000 /dev/zero | tr '\0' x; echo; cat line2; } |
	zstd -qc >store/primary/_hnsw_trials/huge/batch_compacted_00000000000000000001.jsonl.zst
check "a line that unpacks to more than any Trial takes no memory, the others are read" \
	"(ulimit -v 200000; trial-list huge) >got; cat line1 line2 | cmp - got"
says "line 2: longer than 16777216 bytes" "it is named"
check "another batch beside it" "sed -n '3s/\"busy\"/\"huge\"/p' plain | trial-append huge"
status 3 "a compaction refuses it" trial-compact huge
says "line 2 is longer than 16777216 bytes" "naming it"
check "and removes nothing" "test \$(ls $j/huge | wc -l) -eq 2"
finish
