#!/bin/sh
# autotune by a goal: what is reached, what cannot be, what is proven, and strategies of one's own.
. "$(dirname "$0")/lib.sh"

vectors 1000 10 1 >v.jsonl
ingest docs v.jsonl >out
evalset -q --metric l2 -N 300 --save ev docs
index-add --metric l2 --eval-set ev docs >out
# promoted_meets R NAME EVALSET: what is promoted was measured on all rows, with a lower bound of R
promoted_meets() {
	promoted --full "$2" | jq -r .current.trial_id >id
	trial-list --eval-set "$3" "$2" | jq -se --rawfile id id --argjson r "$1" 'any(.[]; .id == ($id | rtrimstr("\n")) and .metrics.recall_lcb >= $r and .config.rung == null)'
}
trials() { trial-list "$1" 2>/dev/null | wc -l; }

# ---- a goal is reached ----
check "what would be tried first" "autotune -n --target-recall 0.9 docs | jq -se 'length > 0 and all(.[]; .m and .ef_construction)'"
check "and nothing is done" "test ! -e store/primary/_hnsw_trials"
check "a recall of 0.9" autotune --target-recall 0.9 --max-builds 3 docs
cp err said
check "one line of JSON" "jq -se 'length == 1 and .[0].promoted and .[0].builds <= 3 and .[0].winner.metrics.recall_lcb >= 0.9' out"
check "which is promoted" promoted_meets 0.9 docs ev
for words in "Chosen: M " "true neighbours" "with a certainty of 99 %" "The default (M 16" "Further values of M and ef_construction were not tried: " "The choice is promoted."; do
	check "in words: $words" "tr '\n' ' ' <said | grep -qF '$words'"
done
check "within 80 columns" "awk 'length > 80 && !/^[a-z-]*: / { bad = 1 } END { exit bad }' said"
check "again: nothing is built, nothing changes" "n=\$(trials docs); autotune --target-recall 0.9 --max-builds 0 docs | jq -e '.promoted == false and .builds == 0'; test \$(trials docs) -eq \$n"
check "the same by trial-best" "trial-best --target-recall 0.9 docs | jq -r .id >a; promoted --full docs | jq -r .current.trial_id | cmp - a"
check "another target: builds that are there are timed anew" "autotune -q --target-recall 0.97 --max-builds 2 docs | jq -e '.winner.metrics.recall_lcb >= 0.97'"
check "its champion" promoted_meets 0.97 docs ev
check "-q is silent" "test ! -s err"
check "no target: 0.95" autotune --max-builds 1 docs
says "'docs' has no target of its own (index-add --target-recall): a recall of 0.95" "is told of"
check "the index's own" "index-add --target-recall 0.9 --minimise distances docs >o2; autotune -q --max-builds 1 docs | jq -e '.winner.metrics.recall_lcb >= 0.9'"
check "and what it is" "autotune --max-builds 0 docs 2>&1 >o2 | grep -qF 'no target of its own' && exit 1; autotune --max-builds 0 docs 2>&1 >o2 | tr '\n' ' ' | grep -qF 'the target is 90.0 %'"
check "a share of the queries" "autotune -q --target-queries 0.9 --target-recall 0.8 --confidence 0.9 --max-builds 1 docs | jq -e '.winner.metrics.queries_at_target >= 0.9'"
check "the least memory" "ingest small v.jsonl >o2; index-add --metric l2 --eval-set ev2 small >o2; evalset -q -N 300 --save ev2 small; autotune -q --minimise memory --target-recall 0.8 --max-builds 4 small | jq -e .promoted"
check "only as little as is allowed" "autotune -q --max-memory 1 --target-recall 0.8 --max-builds 1 small | jq -e '.promoted == false'; test \$? -le 1"

# ---- the space ----
ingest wide v.jsonl >out
evalset -q --metric l2 -N 300 --save wide-ev wide
index-add --metric l2 --eval-set wide-ev wide >out
check "beyond the usual bounds" "autotune -q --target-recall 0.9 --space 'ec=450:500 es=10:400 m=4:6' --max-builds 1 wide | jq -e '.winner.config | .ef_construction >= 450 and .m <= 6'"
check "the curves reach as far" "trial-list wide | tail -n 1 | jq -e '.curve.ef_search | max == 400'"
check "what is outside does not count" "autotune -q --target-recall 0.9 --space 'm=8:64' --max-builds 1 wide | jq -e '.winner.config.m >= 8'"
for bad in 'm=2:8' 'es=10:2001' 'ec=9:10' 'ec=50:20' 'm=' 'm=a:b' 'what=1:2' 'storage=f33' 'm=4:8 storage='; do
	status 2 "a space that is none: $bad" autotune --space "$bad" docs
done
status 2 "no recall at all" autotune --target-recall 0 docs
status 2 "more than all" autotune --target-recall 1.1 docs
status 2 "a proof of all" autotune --target-recall 1 docs
status 2 "not a number" autotune --target-recall nan docs
status 2 "an unknown cost" autotune --minimise cost docs
status 2 "a goal and a rule" autotune --by winner --target-recall 0.9 docs
status 2 "a rule that is none" autotune --by recall docs
status 2 "a strategy that is none" autotune --strategy best docs
status 2 "no latency" autotune --max-latency 0 docs
status 2 "a line break" "autotune --space 'm=8:16
es=10:20' docs"

# ---- what cannot be ----
vectors 3000 48 3 >h.jsonl
ingest hard h.jsonl >out
evalset -q --metric l2 -N 300 --save hard-ev hard
index-add --metric l2 --eval-set hard-ev hard >out
status 1 "all infeasible" autotune --target-recall 0.97 --space 'm=4:4 ec=10:12 es=10:20' --max-builds 2 hard
cp err said
check "the answer has the nearest" "jq -e '.promoted == false and .winner.id and (.reason | test(\"nothing that was tried meets the goal\"))' out"
check "what helps is said" "tr '\n' ' ' <said | grep -qF 'What helps: '"
check "nothing is promoted" "! promoted hard"

# ---- proof ----
ingest few v.jsonl >out
evalset -q --metric l2 -N 30 --save few-ev few
index-add --metric l2 --eval-set few-ev few >out
check "a sample that is too small grows" autotune --target-recall 0.95 --max-builds 2 few
says "eval set 'few-ev' has " "which is said"
check "it has more queries, of the same kind, and the old ones" "evalset --info few-ev | jq -e '.queries > 130' && jq -e 'all(.queries[]; .exclude == .id) and (.queries | map(.id) | unique | length) == (.queries | length)' store/primary/_hnsw_evals/few-ev.json"
check "the goal is proven" promoted_meets 0.95 few few-ev
head -n 30 v.jsonl >q.jsonl
ingest given v.jsonl >out
evalset -q --metric l2 --queries q.jsonl --save given-ev given
index-add --metric l2 --eval-set given-ev given >out
check "queries that were given cannot: the first champion goes by its mean" autotune --target-recall 0.95 --max-builds 2 given
says "30 queries prove no recall of 0.95" "with how many it would be"
check "which is marked" "jq -e .promoted out && promoted --full given | jq -e '.current.floor_proven == false'"
status 1 "not the next" autotune --target-recall 0.96 --max-builds 1 given
says "that is not proven" "the reason"
ingest prove v.jsonl >out
index-add --metric l2 prove >out
status 1 "nor the first with --prove" autotune --prove --target-recall 0.95 --max-builds 1 prove ./store/primary/_hnsw_evals/given-ev.json

# ---- strategies of one's own ----
ingest own v.jsonl >out
evalset -q --metric l2 -N 300 --save own-ev own
index-add --metric l2 --eval-set own-ev own >out
cat >proposer <<'END'
#!/bin/sh
n=$(wc -l)
[ "$n" -lt 2 ] || exit 1
echo "{\"ef_construction\":$((40 + n * 10)),\"ef_search\":40,\"m\":12,\"seed\":42}"
END
chmod +x proposer
check "a program proposes" "autotune -q --strategy ./proposer --target-recall 0.9 own | jq -e '.promoted and .winner.config.m == 12'"
check "two builds, and the timing of the least ef_search" "trial-list own | jq -se 'map(.config.ef_construction) | unique == [40,50]'"
check "the same config again and again is tried once" "printf '#!/bin/sh\necho \"{\\\\\"ef_construction\\\\\":60,\\\\\"ef_search\\\\\":40}\"\n' >proposer; n=\$(trials own); autotune -q --strategy ./proposer --target-recall 0.9 own >o2; test \$(trials own) -le \$((n + 2))"
for body in 'exit 3' 'kill -9 $$' 'echo rubbish' 'echo "{}"' 'echo "{\"ef_construction\":5000,\"ef_search\":40}"' 'echo "{\"ef_construction\":NaN,\"ef_search\":40}"'; do
	printf '#!/bin/sh\n%s\n' "$body" >proposer
	n=$(trials own)
	run_command "autotune -q --strategy ./proposer --target-recall 0.9 own"
	rc=$?
	[ $rc -ge 3 ] && [ $rc -le 6 ]
	report $? "one that fails: $body" "status $rc"
	check "is told of, and nothing is built" "grep -q 'strategy' err && test \$(trials own) -eq $n"
done
check "the original's proposer" "autotune -q --strategy egreedy --max-builds 1 --target-recall 0.9 own >o2"

# ---- the journal ----
check "Trials of other vectors do not count" "vectors 40 10 7 n | ingest docs >o2; evalset -q --refresh ev >o2; index-add docs >o2; autotune -q --target-recall 0.9 --max-builds 1 docs | jq -e '.winner.metrics.vectors == 1040'"
check "the champion was measured first" "trial-list --eval-set ev docs | head -n 1 | jq -c '.config | [.m, .ef_construction]' >a; promoted --full docs | jq -c '(.history[-1] // .current) | .config | [.m, .ef_construction]' >b; cat a b; cmp a b || { promoted --full docs | jq -c '.current.config | [.m, .ef_construction]' | cmp - a; }"
check "after a little growth the champion alone is built, if it still does" "ingest grown v.jsonl >o2; index-add --metric l2 --eval-set grown-ev grown >o2; evalset -q -N 300 --save grown-ev grown
	autotune -q --target-recall 0.9 --max-builds 1 grown | jq -e .promoted && vectors 100 10 8 g | ingest grown >o2 && autotune --target-recall 0.9 grown | jq -e '.builds == 1 and .trials == 2'"
check "which is said" "tr '\n' ' ' <err | grep -qF 'what was the cheapest before the index grew still is'"
check "where nothing is promoted the mean will do, elsewhere it is to be proven" "trial-list given >t; trial-best --target-recall 0.999 --champion /dev/null - <t | jq -e .id >o2; test \$? -le 1; trial-best --target-recall 0.9 - <t >a; trial-best --target-recall 0.9 --champion /dev/null - <t | jq -e .id"
check "the champion is preferred among those that are as good" "promoted docs >c; trial-best --target-recall 0.9 --champion c docs | jq -e --slurpfile c c '.config == \$c[0]'"
ingest killed v.jsonl >out
evalset -q --metric l2 -N 300 --save killed-ev killed
index-add --metric l2 --eval-set killed-ev killed >out
check "a killed run goes on" "
	(autotune -q --target-recall 0.9 --max-builds 4 killed >o1 2>&1 & pid=\$!; while ! ls store/primary/_hnsw_trials/killed/* >o2 2>&1; do sleep 0.01; done; kill -9 \$pid; wait \$pid) 2>o2
	autotune -q --wait --target-recall 0.9 --max-builds 4 killed >o3; jq -e .promoted o3"
check "and builds nothing twice" "trial-list killed | jq -se 'group_by([.config.m, .config.ef_construction]) | all(.[]; map(.metrics.build_time_secs) | unique | length == 1)'"
check "one Trial is enough" "ingest one v.jsonl >o2; index-add --metric l2 --eval-set one-ev one >o2; evalset -q -N 300 --save one-ev one; autotune -q --target-recall 0.5 --max-builds 1 one | jq -e .promoted"

# ---- what a script says to the system ----
if [ -e /dev/full ]; then
	status 6 "nobody takes the answer" "autotune -q --target-recall 0.9 --max-builds 0 docs >/dev/full"
	says "cannot write to stdout" "is told of"
	status 6 "of activate either" "activate -q docs >/dev/full"
fi
check "without PATH" "mkdir tmp && env -i PATH=/usr/bin:/bin TMPDIR=$PWD/tmp $bin/autotune -q --target-recall 0.9 --max-builds 0 docs"
status 5 "an interrupted run" "TMPDIR=$PWD/tmp autotune -q --target-recall 0.99 --max-builds 9 --within 0 --space 'ec=300:400 m=60:64' hard & pid=\$!; while test -z \"\$(ls tmp)\"; do sleep 0.01; done; sleep 0.3; kill -HUP \$pid; wait \$pid"
check "leaves nothing" rmdir tmp

# ---- public data ----
if [ -r "$data/labse-sentences/base-30000.f16.npy" ] && [ -z "${SAN:-}" ]; then
	hnsw-convert -N 1000 "$data/labse-sentences/query-2000.f16.npy" -o lq.fbin
	evalset -q --index labse --queries lq.fbin -o labse.json "$data/labse-sentences/base-30000.f16.npy"
	check "labse: a recall of 0.95 in four builds" "autotune --vectors $data/labse-sentences/base-30000.f16.npy --target-recall 0.95 --max-builds 4 labse labse.json | jq -e '.promoted and .builds <= 4 and .winner.metrics.recall_lcb >= 0.95'"
else
	report 0 "labse # SKIP no data, or an instrumented build"
fi
finish
