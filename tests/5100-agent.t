#!/bin/sh
# The agent: its queue, its limits, its log, and what it does unattended.
. "$(dirname "$0")/lib.sh"

# Eval sets here are too small to prove anything; what is not promoted then is in 5110.
agent="autotune-agent --trust-stored"
queue=store/primary/_hnsw_agent/queue
events=store/primary/_hnsw_agent/events
today=$(date -u +%Y-%m-%d)

# log_of INDEX: kinds and details, a line each, in order
log_of() {
	cat $events/*/batch_*.jsonl | jq -r --arg x "$1" 'select(.index_name == $x) | .kind + ": " + .detail'
}
# seed INDEX EVALSET: a first Trial, measured
seed() {
	hnsw-build -q -c 20 "$1" -o seed.hnsw | hnsw-bench -q --seconds 0 --index "$1" -s 10 - "$2" | trial-append "$1" >/dev/null
	rm seed.hnsw
}
# At most so many seconds for a condition to come true.
await() {
	for _ in $(seq $(($1 * 20))); do
		! eval "$2" || return 0
		sleep 0.05
	done
	return 1
}

vectors 400 8 1 | ingest docs >out
index-add --metric l2 docs >out
evalset -q -N 30 --save ev docs
index-add --eval-set ev docs >out
vectors 300 8 2 | ingest other >out
index-add --metric l2 other >out
evalset -q -N 30 --save other-ev other
index-add --eval-set other-ev other >out

# ---- once ----
status 1 "nothing to do" $agent once
says "there is nothing to do" "it says so"
check "enqueue" "$agent enqueue docs | jq -e '.index_name == \"docs\" and .reason == \"manual\" and .waiting_already == false'"
check "the same waits once" "$agent enqueue docs | jq -e .waiting_already && ls $queue | test \$(wc -l) -eq 1"
check "a dry run changes nothing" "$agent -n enqueue other && ls $queue | test \$(wc -l) -eq 1"
status 1 "an index without trials" $agent once
says "no trials yet for 'docs': seed with at least one trial first" "is told of"
check "and logged, and done with" "test \"\$(log_of docs)\" = \"trial_error: no trials yet for 'docs': seed with at least one trial first\" && test ! -e $queue"
seed docs ev
$agent enqueue docs >out
check "one trial" "$agent once"
cp out done
check "what it did is told" "jq -se 'map(.kind) == [\"trial_started\", \"trial_completed\", \"promoted\"] and all(.[]; .index_name == \"docs\") and (.[1].detail | test(\"^config=ec[0-9]+/es[0-9]+ recall=[01][.][0-9]{3} p50=[0-9]+us$\"))' done"
check "and in the log" "cat $events/$today/batch_* | tail -n 3 | cmp - done"
check "it is a Trial with a note" "trial-list docs | tail -n 1 | jq -e '.note == \"agent: manual\" and .eval_set == \"ev\" and .provenance.vectors_digest != null'"
check "of what propose would have said" "trial-list docs | head -n 1 | propose --history - | jq -c '[.ef_construction, .ef_search]' >a; trial-list docs | tail -n 1 | jq -c '.config | [.ef_construction, .ef_search]' | cmp - a"
check "without a champion it is promoted" "promoted --full docs | jq -e '.current.promoted_by == \"agent\" and (.current.note | test(\"^auto-promote: recall=[01][.][0-9]{3} p50=[0-9]+us [(]was 0[.]000/0us[)]$\"))'"
check "its files are gone" "test -z \"\$(find store -path '*_hnsw_agent*' -name '*.h*')\""
check "nothing waits" "test ! -e $queue"
status 1 "no wake is due yet" $agent --cycle-interval-secs 3000 once

# ---- limits ----
seed other other-ev
$agent enqueue docs >out
# Longer than any machine takes for this.
slow="$agent --cooldown-between-trials-secs 3000"
status 1 "the cooldown" $slow once
check "is logged once" "$slow once; $slow -q once; log_of docs | grep skipped | grep -qx 'skipped_cooldown: last trial too recent (<3000s)' && log_of docs | grep -c skipped | grep -qx 1"
check "the event waits" "$slow status | jq -e '.queue_depth == 1 and .queue[0].state == \"cooldown\" and .queue[0].wait_secs > 0 and .queue[0].wait_secs <= 3000'"
check "and does not hold up another index" "$agent enqueue other && $slow once | jq -se 'all(.[]; .index_name == \"other\")'"
check "by default it is 30 s" "$agent status | jq -e '.config.cooldown_between_trials_secs == 30'"
status 1 "a limit of trials an hour" $agent --cooldown-between-trials-secs 0 --max-trials-per-hour 2 once
check "is logged once" "$agent --max-trials-per-hour 2 once; log_of docs | tail -n 1 | grep -qx 'skipped_rate_limit: hit cap of 2/hour' && log_of docs | grep -c rate_limit | grep -qx 1"
check "without them it goes on" "HNSW_AGENT_COOLDOWN_BETWEEN_TRIALS_SECS=0 $agent once && test ! -e $queue"
check "a periodic event that meets a limit is dropped" "sleep 1; $slow --cycle-interval-secs 1 once; test ! -e $queue && log_of docs | tail -n 1 | grep -q '^skipped_cooldown' || { log_of other | tail -n 1 | grep -q '^skipped_cooldown'; }"
last=$(promoted --list | jq -rs 'map(select(.current)) | max_by(.current.promoted_at).index_name')
check "a wake is for what was promoted last" "$agent --cycle-interval-secs 1 --cooldown-between-trials-secs 0 once | jq -se 'all(.[]; .index_name == \"$last\")' && trial-list $last | tail -n 1 | jq -e '.note == \"agent: periodic\"'"

# ---- the clock was set back ----
mv $events kept
mkdir -p $events/$today
ahead=$(date -u -d '+20 min' +%Y-%m-%dT%H:%M:%S.000000Z)
echo "{\"at\":\"$ahead\",\"kind\":\"trial_started\",\"index_name\":\"docs\",\"detail\":\"\"}" >$events/$today/batch_00009999999999999999.jsonl
$agent enqueue docs >out
status 1 "a stamp in the future counts as now" $agent once
check "for the limit too" "$agent status | jq -e '.trials_in_last_hour == 1 and .queue[0].state == \"cooldown\"'"
echo "{\"at\":\"2199-01-01T00:00:00Z\",\"kind\":\"trial_started\",\"index_name\":\"docs\"}" >$events/$today/batch_00009999999999999999.jsonl
check "more than a day ahead it is a wrong clock" $agent once
rm -r $events/*
mkdir $events/$today
echo "{\"at\":\"$ahead\",\"kind\":\"trial_started\",\"index_name\":\"docs\",\"detail\":\"\"}" >$events/$today/batch_00009999999999999999.jsonl
$agent enqueue docs >out
status 1 "a clock that was ahead by 20 min" $agent --cooldown-between-trials-secs 2 once
check "holds up one cooldown and no more" "sleep 2.1; $agent --cooldown-between-trials-secs 2 once"
rm -r $events
mv kept $events

# ---- new data ----
fast="$agent --cooldown-between-trials-secs 0"
champion=$(promoted --full docs | jq -r .current.trial_id)
trials=$(trial-list docs | wc -l)
before=$(evalset --info ev | jq -r .vectors_digest)
check "ingest tells the agent" "vectors 20 8 9 n | ingest docs && $agent status | jq -e '.queue_depth == 1 and .queue[0].index_name == \"docs\" and .queue[0].reason == \"dataset_appended(docs)\"'"
check "a dry run does not" "vectors 20 8 10 m | ingest -n other && ls $queue | test \$(wc -l) -eq 1"
check "nor does a dataset without index" "vectors 20 8 10 m | ingest loose && ls $queue | test \$(wc -l) -eq 1"
check "the agent reacts" "$fast --min-recall 0 once"
check "on the new data" "trial-list docs | tail -n +$((trials + 1)) | jq -se 'all(.[]; .note == \"agent: dataset_appended(docs)\" and .metrics.vectors == 420)'"
check "with answers computed again, and kept" "test \$(evalset --info ev | jq -r .vectors_digest) != $before"
check "the champion was measured again" "trial-list docs | jq -se --arg c $champion '(.[] | select(.id == \$c)).config as \$config | .[$trials:] | length == 2 and .[1].config == \$config'"
check "once" "$agent enqueue docs; $fast --min-recall 0 once; trial-list docs | test \$(wc -l) -eq $((trials + 3))"

# ---- the floor ----
vectors 3000 48 7 | ingest hard >out
index-add hard >out
evalset -q -N 50 --save hard-ev hard
index-add --eval-set hard-ev hard >out
hnsw-build -q -m 4 -c 10 hard -o seed.hnsw | hnsw-bench -q --seconds 0 --index hard -s 10 - hard-ev | trial-append >out
rm seed.hnsw
$agent enqueue hard >out
check "below the floor nothing is promoted" "$fast --min-recall 1 once | jq -se 'map(.kind) == [\"trial_started\", \"trial_completed\"]'; status=\$?; promoted hard; test \$? -eq 1 -a \$status -eq 0"

# ---- interrupted behind the Trial ----
rm -rf store/primary/_hnsw_promotions/docs.json
trial trial-1776319628000-1a2b3c4d 111 33 0.95 500 docs >t
mkdir -p $queue
name=00000000000000000007-$(printf '%032d' 7).json
jq -c '{index_name: "docs", reason: "manual", enqueued_at: "2026-11-20T00:00:00Z", started_at: "2026-11-20T00:00:01Z", trial: .}' t >$queue/$name
check "an interrupted event is brought to its end" "$agent --max-trials-per-hour 0 once | jq -se 'map(.kind) == [\"trial_completed\", \"promoted\"] and .[0].trial_id == \"trial-1776319628000-1a2b3c4d\"'"
check "its Trial is there once" "trial-list docs | grep -c 1a2b3c4d | grep -qx 1 && promoted --full docs | jq -e '.current.trial_id == \"trial-1776319628000-1a2b3c4d\"'"
jq -c '{index_name: "docs", reason: "manual", enqueued_at: "2026-11-20T00:00:00Z", started_at: "2026-11-20T00:00:01Z", trial: .}' t >t2; mkdir -p $queue; cp t2 $queue/$name
check "even twice" "$agent --max-trials-per-hour 0 once | jq -se 'map(.kind) == [\"trial_completed\", \"promoted\"]' && promoted --full docs | jq -e '.revision == 1' && trial-list docs | grep -c 1a2b3c4d | grep -qx 1"

# ---- what cannot be done ----
trial b1 80 30 0.9 500 bare | trial-append >out
$agent enqueue bare >out
status 1 "without vectors or eval set" $fast once
check "is an error in the log" "log_of bare | tail -n 1 | grep -q '^trial_error: ' && test ! -e $queue"
vectors 50 8 3 | ingest bare >out
$agent enqueue bare >out
status 1 "without eval set" $fast once
says "there is no eval set 'e'" "is told of"
mkdir -p $queue
echo '{"index_name":7}' >$queue/$name
status 3 "a malformed event" $agent once
says "event '$name'" "is told of"
check "and thrown out" "test ! -e $queue"
check "strange files in the queue are left alone" "mkdir -p $queue && echo x >$queue/notes && $agent status | jq -e '.queue_depth == 0' && rm -r $queue"
for bad in ../x a/b .x ''; do
	status 2 "a bad name: '$bad'" $agent enqueue "$bad"
done
check "a name with blanks and UTF-8" "vectors 100 8 4 | ingest 'größe 1' >o2; index-add --metric l2 'größe 1' >o2; evalset -q -N 10 --save 'größe e' 'größe 1'; index-add --eval-set 'größe e' 'größe 1' >o2; trial g1 80 30 0.9 500 'größe 1' | trial-append >o2; $agent enqueue 'größe 1' && $fast once && trial-list 'größe 1' | test \$(wc -l) -eq 2"

# ---- what may pass ----
fast="$fast --max-trials-per-hour 1000"
put_off() { jq -e '.attempts == 1 and (.retry_at | endswith("Z")) and .reason == "manual"' $queue/*; }
forget() { jq -c 'del(.attempts, .retry_at)' $queue/* >e && cp e $queue/*; }
mkdir shim
cat >shim/hnsw-build <<END
#!/bin/sh
[ -e $dir/calm ] || kill -9 \$\$
exec $bin/hnsw-build "\$@"
END
chmod +x shim/hnsw-build
$agent enqueue docs >out
status 6 "a program that is killed" env PATH="$dir/shim:$PATH" $fast once
says "hnsw-build was killed by signal 9" "is told of"
check "its event is put off" put_off
check "as the log says" "cat $events/*/batch_* | grep trial_error | tail -n 1 | jq -e '.index_name == \"docs\" and (.retry_at | endswith(\"Z\"))' && autotune-agent status --text | grep -q '; again at '"
check "and status" "$agent status | jq -e '.queue[0] | .attempts == 1 and (.state == \"retry\" and .wait_secs == 1 or .state == \"ready\")'"
check "it holds up no other index" "$agent enqueue other; PATH=$dir/shim:\$PATH; touch calm; $fast once | jq -se 'map(.kind)[1] == \"trial_completed\" and all(.[]; .index_name == \"other\")'"
check "and is done in its time" "sleep 1.1; PATH=$dir/shim:\$PATH $fast once | jq -se 'map(.kind) | index(\"trial_completed\")' && test ! -e $queue"
# Whatever the limit cuts short: what was not done is still to be done.
limited() { # ULIMIT_OPTION VALUE...
	option=$1
	shift
	trap '' XFSZ
	for value; do
		[ -e $queue ] || $agent enqueue docs >o2
		(ulimit "$option" "$value" && exec $fast once) >o2 2>&1
		case $? in
		0) ;;
		*) ls $queue/*.json >o2 && forget || return 1 ;;
		esac
	done
	: >"limited$option"
}
check "too many open files: no event is lost" "limited -n 4 5 6 7 8 9 10 12"
check "nor for want of space" "limited -f 0 1 2 32 64 128"
check "to be done afterwards" "rm -rf $queue; $agent enqueue docs && $fast once && test ! -e $queue"

# ---- one at a time ----
$agent enqueue docs >out
hnsw-store lock primary/_hnsw_tuning/docs -- sleep 2 &
sleep 0.3
status 1 "somebody else is tuning the index" $fast once
check "the event waits" "ls $queue | test \$(wc -l) -eq 1"
wait
hnsw-store lock primary/_hnsw_agent/trial -- sleep 1 &
sleep 0.3
status 5 "another agent has a trial in hand" $fast once
wait
check "then it is done" $fast once

# ---- settings ----
printf '\357\273\277cycle_interval_secs = 8\r\n' >store/primary/_hnsw_agent/agent.conf
check "a byte order mark and CRLF in the file of settings" "autotune-agent status | jq -e '.config.cycle_interval_secs == 8'"
echo 'cycle_interval_secs = 7' >store/primary/_hnsw_agent/agent.conf
check "agent.conf in the store" "$agent status | jq -e '.config.cycle_interval_secs == 7 and .config.min_recall == 0.9'"
check "the environment goes before it" "HNSW_AGENT_CYCLE_INTERVAL_SECS=8 $agent status | jq -e '.config.cycle_interval_secs == 8'"
check "the command line before that" "HNSW_AGENT_CYCLE_INTERVAL_SECS=8 $agent --cycle-interval-secs 9 status | jq -e '.config.cycle_interval_secs == 9'"
rm store/primary/_hnsw_agent/agent.conf
printf 'enabled=false\n\nmin_recal=0.9\n' >bad.conf
status 3 "an unknown key" $agent --conf bad.conf status
says "'bad.conf': line 3: unknown setting 'min_recal'" "is told of with its line"
printf '# x\nmin_recall=1.5\n' >bad.conf
status 3 "a value out of range" env HNSW_AGENT_CONF=bad.conf $agent status
says "'bad.conf': line 2: bad value '1.5' for min_recall" "so is that"
status 2 "on the command line" $agent --min-recall 2 status
status 2 "in the environment" env HNSW_AGENT_MAX_TRIALS_PER_HOUR=many $agent status
says "HNSW_AGENT_MAX_TRIALS_PER_HOUR: bad value 'many'" "named"
status 6 "a file that is not there" $agent --conf nowhere status
status 2 "no verb" $agent
status 2 "an unknown one" $agent go
status 6 "no store" $agent -S nowhere status

# ---- run, status, stop ----
check "run is not enabled by itself" $agent run
says "not enabled" "it says so"
status 1 "stop: none runs" $agent stop
check "status: none runs" "$agent status | jq -e '.running == false and .started_at == null and .agents == 0 and .last_event.kind != null'"
check "status --text" "$agent status --text"
prints "no agent is running" "for people"
$fast --enabled run >log 2>run.err &
pid=$!
check "it runs" "await 5 '$agent status | jq -e .running >/dev/null'"
check "since when, and how" "$agent status | jq -e '.agents == 1 and .config.enabled and .config.cooldown_between_trials_secs == 0 and (.started_at | endswith(\"Z\"))'"
check "what is asked for is done" "$agent enqueue docs; await 10 'grep -q trial_completed log'"
check "also what ingest asks for" "vectors 5 8 11 o | ingest other; await 10 'grep -q dataset_appended store/primary/_hnsw_trials/other/*'"
check "SIGTERM: the trial in hand is finished" "$agent enqueue docs; n=\$(grep -c trial_started log); await 10 'test \$(grep -c trial_started log) -gt $(grep -c trial_started log)'; kill -TERM $pid"
wait $pid
report $? "and it ends well"
check "with as many Trials as it began" "test \$(grep -c trial_started log) -eq \$(grep -c trial_completed log) && test ! -e $queue"
$fast --enabled run >log 2>run.err &
pid=$!
await 5 "$agent status | jq -e .running >/dev/null"
check "stop" $agent stop
wait $pid
report $? "it ends"
status 1 "then none runs" $agent stop

# ---- one that is starting, one whose store goes ----
check "run and stop, typed in order" "for i in 1 2 3 4 5; do $fast -q --enabled run >log 2>&1 & $agent stop || exit 1; wait \$! || exit 1; done"
check "a store that is gone" "cp -R store gone; $fast -S gone --enabled run >log 2>run.err & await 5 '$agent -S gone status | jq -e .running >o2' && mv gone went && wait \$!; test \$? -eq 6"
check "is told of" "grep -q \"'_hnsw_agent/agents/1.json' is gone from the store\" run.err && test ! -e gone"
check "a presence of somebody else" "$fast -S went --enabled run >log 2>run.err & await 5 '$agent -S went status | jq -e .running >o2' && echo '{}' >went/primary/_hnsw_agent/agents/1.json && wait \$!; test \$? -eq 6"

# ---- killed ----
$agent enqueue docs >out
$fast once >log 2>&1 &
pid=$!
await 10 'grep -q trial_started log'
kill -9 $pid
wait $pid 2>/dev/null
check "the event is still there" "ls $queue | test \$(wc -l) -eq 1"
check "enqueueing it again changes nothing" "$agent enqueue docs | jq -e .waiting_already"
check "nothing blocks the next start" "$fast once | jq -se 'map(.kind) | .[0] == \"trial_started\" and .[1] == \"trial_completed\"'"
check "nothing is left" "test ! -e $queue && test -z \"\$(find store -path '*_hnsw_agent*' -name '*.h*')\""

# ---- full ----
check "256 events" "for i in \$(seq 256); do $agent enqueue q\$i || exit 1; done | test \$(wc -l) -eq 256"
status 5 "the 257th is refused" $agent enqueue q257
says "the queue is full: 256 events are waiting" "and told so"
check "but ingest goes on" "vectors 3 8 12 p | ingest docs"
says "the queue is full" "and says so"
check "they are done in order" "for i in 1 2 3; do $fast once; done >o2 2>&1; log_of q1 | grep -q trial_error && log_of q2 | grep -q trial_error && log_of q3 | grep -q trial_error && test -z \"\$(log_of q4)\""
check "status --text names them" "$agent status --text | grep -c 'manual, since' | grep -qx 253"

# ---- what an agent left that is not as we write it ----
mkdir -p odd/primary/_hnsw_agent/agents
for said in '{"started_at":"2026-01-01T00:00:00Z"}' '{"config":{}}' '{}' 'x'; do
	echo "$said" >odd/primary/_hnsw_agent/agents/1.json
	for verb in "status" "status --text" "stop"; do
		status 3 "$verb, where one that runs says $said" "hnsw-store -S odd lock primary/_hnsw_agent/agents/1 -- autotune-agent -S odd $verb"
		says "what the agent of slot 1 says: column" "is said"
	done
done
finish
