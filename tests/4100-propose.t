#!/bin/sh
# propose: the egreedy rule bit for bit, beside a second implementation.
. "$(dirname "$0")/lib.sh"

second="perl $root/tests/data/egreedy.pl"
perl -MJSON::PP -MMath::BigInt -e 1 2>/dev/null || skip_all "no JSON::PP or Math::BigInt"

# history SEED COUNT: random Trials within and beyond the bounds, some without m
history() {
	awk -v seed="$1" -v n="$2" "$random"'
	BEGIN {
		seed_random(seed)
		for (i = 0; i < n; i++) {
			ec = 10 + int(random() * 391); es = 10 + int(random() * 191)
			if (random() < 0.3) { ec = 80 + int(random() * 9) * 10 - 40; es = 30 + int(random() * 9) * 5 - 20 }
			if (random() < 0.05) ec = 5 + int(random() * 600)
			m = random() < 0.2 ? "" : ",\"m\":" int(4 + random() * 60)
			printf "{\"id\":\"t%d\",\"index_name\":\"x\",\"eval_set\":\"e\",\"config\":{\"ef_construction\":%d,\"ef_search\":%d,\"seed\":42%s},\"metrics\":{\"build_time_secs\":1,\"search_latency_p50_us\":1,\"search_latency_p95_us\":1,\"search_latency_p99_us\":1,\"recall_at_k\":1,\"memory_bytes\":1,\"vectors\":1,\"eval_queries\":1,\"brute_force_latency_us\":1},\"created_at\":\"2026-04-16T15:26:21Z\"}\n",
				random() < 0.05 && i ? int(random() * i) : i, ec, es, m
		}
	}'
}
compare() { # WHAT OURS THEIRS
	eval "$2" >ours
	eval "$3" >theirs
	check "$1" "cmp ours theirs"
}
compare "no history" 'propose --history - -N 20 </dev/null 2>err' "$second -n 20 </dev/null"
for seed in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	history $seed $((seed * seed)) >h
	compare "history $seed, one" 'propose --history h' "$second <h"
	compare "history $seed, thirty" 'propose --history - -N 30 <h' "$second -n 30 <h"
	compare "history $seed, around a champion" "propose --history h --champion t$((seed / 2)) -N 10" "$second -n 10 -c t$((seed / 2)) <h"
	propose --history h -N 7 >pending
	compare "history $seed, with some pending" 'propose --history h --pending pending -N 5' "$second -n 5 -p pending <h"
done
check "a champion that is not in the history counts as none" "propose --history h --champion nobody >a; propose --history h | cmp - a"
check "ids that repeat count once" "cat h h >hh; propose --history hh -N 5 >a; propose --history h -N 5 | cmp - a"
check "malformed lines do not count" "(echo '{'; cat h; echo x) >hb; propose --history hb -N 5 >a 2>err; propose --history h -N 5 | cmp - a"
check "item i is as if those before it had been tried" "propose --history h -N 6 >six; (cat h; n=0; while read -r c; do n=\$((n + 1)); trial new\$n 1 1 1 1 | jq -c --argjson c \"\$c\" '.config = \$c'; done <six | head -n 5) >h6; base=\$(tail -n 1 h | jq -r .id); propose --history h6 --champion \$base | cmp - \$(tail -n 1 six >l; echo l)"
check "Trials of rungs do not count" "(trial r1 300 99 1 1 | jq -c '.config.rung = 50'; cat h; trial r2 300 99 1 1 | jq -c '.config.rung = 50 | .config.m = 5') >hr; propose --history hr -N 20 >a; propose --history h -N 20 | cmp - a; jq -c '.rung = 50' a >pr; propose --history h --pending pr -N 20 | cmp - a"

# The original's test: what was tried is not proposed.
(trial a 80 30 1.0 500; trial b 100 30 1.0 520) >dup
check "a config that was tried is not proposed" "propose --history dup --champion a | jq -e '.ef_construction != 100 or .ef_search != 30'"
check "nor ever, until nothing is left" "awk 'BEGIN {for (ec = 10; ec <= 400; ec++) for (es = 10; es <= 200; es++) if (ec != 123 || es != 45) printf \"{\\\"ef_construction\\\":%d,\\\"ef_search\\\":%d}\\n\", ec, es}' >all; propose --history h --pending all -N 1 2>err; test \$? -eq 1 && grep -q 'search space exhausted' err"
check "all proposals are within the bounds and different" "propose --history h -N 500 >p500; jq -se 'length == 500 and all(.[]; .ef_construction >= 10 and .ef_construction <= 400 and .ef_search >= 10 and .ef_search <= 200) and (map([.ef_construction, .ef_search]) | unique | length) == 500' p500"
status 3 "an m out of bounds is not carried on" "trial a 80 30 1 1 | sed 's/\"m\":16/\"m\":200/' | propose --history -"
says "proposed m=200 out of bounds 4..96" "is told of"

# ---- on a journal ----
trial-append x <dup >out
check "around the latest Trial" "propose x >a; propose --history dup | cmp - a"
promote x a >out
check "around the promoted one" "propose x >a; propose --history dup --champion a | cmp - a"
check "the journal stays as it is" "trial-list x | cmp - dup"
vectors 200 4 1 >v.jsonl
check "propose | hnsw-build --config -" "propose x | hnsw-build --config - v.jsonl -o t.hnsw | jq -c .config >a; propose x | jq -c . | cmp - a"
status 2 "neither name nor history" propose
status 2 "both" propose --history h x
status 2 "an unknown strategy" propose --strategy random x
status 3 "pending lines that are none" "echo x | propose --history h --pending -"

# ---- a command as strategy ----
cat >good <<'EOF'
#!/bin/sh
cat >seen
echo '{"ef_construction":50,"ef_search":40,"m":24,"storage":"f32"}'
EOF
chmod +x good
by() { # COMMAND [OPTION...]
	command=$1
	shift
	propose --history dup "$@" --strategy "$command"
}
same '{"ef_construction":50,"ef_search":40,"seed":42,"m":24,"storage":"f32"}' "a command proposes" by ./good --space storage=f32
check "it gets the Trials on its stdin, as they are" "cmp seen dup"
check "those of a journal too" "propose --space storage=f32 --strategy ./good x && trial-list x | cmp - seen"
status 3 "a storage that is not in the space" by ./good
lines='{"ef_construction":80,"ef_search":30,"m":16}

{"ef_construction":80,"ef_search":31,"m":16}
{"ef_construction":80,"ef_search":31,"m":16}
{"ef_construction":80,"ef_search":33,"m":16}
{"ef_construction":80,"ef_search":34,"m":16}'
printf '%s\n' "$lines" >lines
check "what was tried and what repeats is dropped, -N ends it" "by '/bin/cat lines' -N 2 | jq -s 'map(.ef_search) == [31, 33]' | grep -qx true"
check "what is pending too" "sed -n 3p lines >pending1; by '/bin/cat lines' --pending pending1 | jq -e '.ef_search == 33'"
check "fewer than -N are no failure" "by '/bin/cat lines' -N 9 | test \$(wc -l) -eq 3"
status 1 "nothing new" by '/bin/cat dup | jq -c .config'
says "it proposed nothing that was not tried" "is told of"
status 1 "nothing at all" by /bin/true
status 1 "status 1: it has nothing to propose" by /bin/false
says "it has nothing to propose" "is told of"
status 6 "another status" by './good; exit 3'
says "strategy './good; exit 3': it ended with status 3" "is told of"
check "and what it printed is not" "test ! -s out"
status 6 "no such command" by ./nowhere
says "it ended with status 127" "is told of"
status 3 "rubbish" by '/bin/echo rubbish'
says "line 1 is no config: column 1: expected an object" "is told of"
status 3 "half a config" by "/bin/echo '{\"ef_construction\":50,'"
status 3 "NUL bytes" by "/bin/cat lines; printf '\\000\\n'" -N 9
for c in '"ef_construction":5,"ef_search":40' '"ef_construction":50,"ef_search":201' '"ef_construction":50,"ef_search":40,"m":7'; do
	status 3 "out of bounds: $c" by "/bin/echo '{$c}'"
	says "out of bounds" "is told of"
done
status 5 "one that hangs" by 'exec /bin/sleep 60' --timeout 0.3
says "no answer within 0.3 s" "is told of"
status 6 "one that hangs and does not hear" by "trap '' TERM; while :; do /bin/sleep 0.1; done" --timeout 0.3
status 6 "SIGKILL" by './good; kill -9 $$'
says "it was killed" "is told of"
history 7 3000 >long
check "one that does not read its stdin" "propose --history long --strategy '/bin/cat lines' | jq -e '.m == 16'"

# ---- model, and a storage in the config ----
vectors 2000 16 1 | ingest -q tiny >out
evalset -q -N 100 --save ev tiny
index-add --eval-set ev tiny >out
check "Trials of a build with a storage" "hnsw-build -q --storage f32 tiny -o tiny.hnsw >rec && hnsw-bench -q --seconds 0 --index tiny --at-target rec ev >two && trial-append -q tiny <two && jq -se 'length == 2 and all(.[]; .config.storage == \"f32\" and .provenance != null)' two"
check "without --storage none is recorded" "hnsw-build -q -c 60 tiny -o auto.hnsw >auto && hnsw-bench -q --seconds 0 --index tiny auto ev | jq -e '.config | has(\"storage\") | not'"
check "model proposes a build" "propose --strategy model tiny >a && jq -e '.m >= 8 and .m <= 64 and .ef_construction >= 10 and .ef_construction <= 400' a"
check "always the same one" "for i in 1 2 3; do propose --strategy model tiny | cmp - a || exit 1; done"
check "of a stream too" "trial-list tiny | propose --strategy model --history - | cmp - a"
check "-N: no build twice" "propose --strategy model -N 5 tiny >five; jq -se 'length == 5 and (map({ef_construction, m, storage, rung}) | unique | length) == 5' five && head -n 1 five | cmp - a"
check "--pending goes on from there" "head -n 3 five >three; propose --strategy model --pending three -N 2 tiny >rest; tail -n 2 five | cmp - rest"
check "what was built is not proposed" "propose --strategy model --space storage=f32 -N 20 tiny >f32; jq -se 'length > 1 and all(.[]; .storage == \"f32\" and (.ef_construction != 80 or .m != 16))' f32"
check "rungs first, of a sixteenth of the rows" "propose --strategy model --history - --rows 60000 </dev/null | jq -e '.rung == 3750'"
check "the champion's storage is promoted" "promote tiny <two >out && promoted tiny >c && tail -n 1 two | jq -c .config | cmp - c && jq -e '.storage == \"f32\"' c"
check "and built by activate" "activate -q tiny | jq -e '.config.storage == \"f32\"' && hnsw-info tiny | jq -e '.storage == \"f32\"'"
check "egreedy stays with it" "propose tiny | jq -e '.storage == \"f32\" and .m == 16'"
status 2 "a space that is none" propose --strategy model --space m=64:8 tiny
finish
