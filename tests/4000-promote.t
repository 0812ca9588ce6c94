#!/bin/sh
# Promotion: the champion, its history, its gates, and returning.
. "$(dirname "$0")/lib.sh"

p=store/primary/_hnsw_promotions/x.json
for t in "a 20 30 0.96 509" "b 80 30 1.0 873" "c 200 30 1.0 874" "d 81 30 1.0 400" "e 82 30 0.90 100"; do
	# shellcheck disable=SC2086
	trial $t
done | trial-append x >out
status 1 "nothing is promoted" promoted x
check "silently" 'test ! -s out -a ! -s err'
same '{"ef_construction":7,"ef_search":8,"seed":42,"m":32}' "the default instead" promoted --or '{"ef_construction":7,"ef_search":8}' x
status 1 "nothing to roll back" rollback x
says "nothing is promoted for 'x'" "is told of"
status 1 "no such Trial" promote x nobody
says "there is no Trial 'nobody' in the journal of 'x'" "is told of"
check "promote by id" promote --by me --note "first one" x a
check "it prints the file's new state" "promote -n x a >s; jq -e '.revision == 2' s; jq -c . $p | jq -e '.index_name == \"x\" and .current.trial_id == \"a\" and .current.promoted_by == \"me\" and .current.note == \"first one\" and .current.config == {ef_construction: 20, ef_search: 30, seed: 42, m: 16} and .history == [] and .rolled_back == [] and .revision == 1 and (.current.promoted_at | endswith(\"Z\"))'"
same '{"ef_construction":20,"ef_search":30,"seed":42,"m":16}' "promoted prints its config" promoted x
check "promote a Trial on stdin" "trial-best --by recall x | promote x"
check "who defaults to the user" "promoted --full x | jq -e '.current.promoted_by == \"$(id -un)\" and .current.note == null and .current.trial_id == \"d\" and .history[0].trial_id == \"a\"'"
check "rollback returns" "rollback x | jq -e '.current.trial_id == \"a\" and .history == [] and .rolled_back[0].trial_id == \"d\" and .revision == 3'"
check "and once more" "rollback x | jq -e '.current == null and (.rolled_back | map(.trial_id)) == [\"d\",\"a\"] and .revision == 4'"
status 1 "then there is nothing" rollback x
status 1 "nor is anything promoted" promoted x

# ---- gates ----
status 1 "a floor" promote --min-recall 0.97 x a
says "recall=0.9600 is below the floor of 0.97" "is told of"
check "a plain promote has none" promote x e
status 4 "--expect another" promote --expect a x b
says "'x' has e promoted, expected a" "is told of"
check "--expect what is" promote --expect e x b
status 4 "--expect nothing" promote --expect "" x a
status 4 "so for rollback" rollback --expect e x
check "rollback --expect" rollback --expect b x
trial rung 80 30 1.0 1 | jq -c '.config.rung = 50' | trial-append x >out
status 1 "a Trial of a rung is never promoted" promote x rung
says "Trial 'rung' is of a rung of 50 rows, expected one of all rows of the index" "is told of"
status 1 "nor on stdin" "trial-list x | jq -c 'select(.id == \"rung\")' | promote --trust-stored --if-better x"
check "nothing has changed" "promoted --full x | jq -e '.current.trial_id == \"e\"'"
check "if better: it is (recall)" promote --trust-stored --if-better x b
status 1 "not if p50 is higher at equal recall" promote --trust-stored --if-better x c
says "does not beat the champion's recall=1.0000 p50=873.0us" "is told of"
check "if p50 is lower" promote --trust-stored --if-better x d
status 1 "not if recall is lower, however fast" promote --trust-stored --if-better x e
status 1 "nor against itself" promote --trust-stored --if-better x d
check "a pipeline of three" "(trial f 83 30 1.0 500; trial g 84 30 1.0 390; trial h 85 30 1.0 380) | trial-append | promote --trust-stored --if-better x >states"
check "promotes each that is better" "jq -r .current.trial_id states | tr '\n' ' ' | grep -qx 'g h ' && grep -q 'not promoted: f' err"
status 1 "none that is better" "trial i 83 31 0.5 500 | trial-append | promote --trust-stored --if-better x"
check "no champion: the first is promoted" "trial j 83 31 0.5 500 fresh | trial-append | promote --trust-stored --if-better fresh"
check "a champion without a Trial counts as none" "jq -c '.current.trial_id = \"lost\"' store/primary/_hnsw_promotions/fresh.json >l && cp l store/primary/_hnsw_promotions/fresh.json; trial k 83 32 0.4 500 fresh | trial-append | promote --trust-stored --if-better fresh"
says "the champion's Trial 'lost' is not in the journal: counts as none" "which is said"
d1='"provenance":{"vectors_digest":"1","eval_digest":"1"}' d2='"provenance":{"vectors_digest":"2","eval_digest":"1"}' d3='"provenance":{"vectors_digest":"1","eval_digest":"3"}'
(trial p1 80 30 0.9 500 data ",$d1"; trial p2 81 30 0.99 500 data ",$d2"; trial p3 82 30 0.99 500 data ",$d3"; trial p4 83 30 0.99 500 data; trial p5 84 30 0.99 500 data ",$d1") | trial-append data >out
promote --no-pin data p1 >out
for t in p2 p3 p4; do
	status 1 "figures of other data do not compare ($t)" promote --trust-stored --if-better data $t
	says "was measured on other vectors or another eval set" "which is said"
done
check "those of equal data do" promote --trust-stored --if-better data p5
rollback data >out
status 1 "a rolled-back config is not promoted unattended" promote --unattended data p5
says "this config was rolled back on the same vectors" "which is said"
check "all that were rolled back, a line each" "promote --no-pin data p2 >o2 && rollback data >o2 && promoted --rolled-back '' data | jq -c .ef_construction | tr '\n' ' ' | grep -qx '84 81 '"
check "or on these vectors" "promoted --rolled-back 1 data | jq -c .ef_construction | grep -qx 84"
check "by a person it may" promote data p5
check "on other vectors it may" "rollback data >o2; trial q2 84 30 0.99 500 data ',$d2' | trial-append data >o2; promote --unattended data q2"

# ---- the rule at its boundary, in 32-bit floats ----
# beats RECALL P50 CHAMPION_RECALL CHAMPION_P50: whether the first beats the second
beats() {
	n=$count
	(trial c 80 30 "$3" "$4" "b$n"; trial n 81 30 "$1" "$2" "b$n") | trial-append >/dev/null
	promote "b$n" c >/dev/null
	promote -q --trust-stored --if-better "b$n" n >/dev/null 2>&1
}
check "beats: (.99, 600) against (.95, 500)" beats 0.99 600 0.95 500
status 1 "not: (.90, 100) against (.95, 500)" beats 0.90 100 0.95 500
check "beats: (1, 400) against (1, 500)" beats 1.0 400 1.0 500
status 1 "not: (1, 600) against (1, 500)" beats 1.0 600 1.0 500
status 1 "not: equal" beats 1.0 500 1.0 500
check "beats: recall lower by less than 1e-4, faster" beats 0.94991 400 0.95 500
status 1 "not: recall lower by more than 1e-4, faster" beats 0.9498 400 0.95 500
# In 32 bits .95 - .9499 is 0.00010001659, and .0001 - 0 is 1e-4f itself: neither is less.
status 1 "not: recall lower by just 1e-4, faster" beats 0.9499 400 0.95 500
status 1 "not: 0 against 1e-4" beats 0 400 0.0001 500
check "beats: recall greater by the least step" beats 0.95000006 600 0.95 500
status 1 "not: greater by less than a 32-bit step" beats 0.950000001 600 0.95 500

# ---- the file ----
check "the history is capped at 50" "for i in \$(seq 56); do promote x b >/dev/null; promote x c >last; done; jq -e '(.history | length) == 50' last"
check "so is what was rolled back" "for i in \$(seq 55); do rollback x >last || promote x b >last; done; jq -e '(.rolled_back | length) <= 50' last"
check "a file of the original: no revision, nanoseconds, unknown keys" "echo '{\"index_name\":\"old\",\"current\":{\"config\":{\"ef_construction\":80,\"ef_search\":30,\"seed\":null},\"trial_id\":\"trial-1-aaaaaaaa\",\"promoted_at\":\"2026-04-16T15:26:21.123456789Z\",\"promoted_by\":\"j\",\"note\":null,\"x\":1.50},\"history\":[],\"y\":[1e3]}' >store/primary/_hnsw_promotions/old.json; promoted old | grep -qx '{\"ef_construction\":80,\"ef_search\":30,\"seed\":42,\"m\":32}'"
check "is carried on byte by byte" "trial o 1 1 1 1 old | trial-append >o2; promote old o >o2; grep -q '\"promoted_at\":\"2026-04-16T15:26:21.123456789Z\",\"promoted_by\":\"j\",\"note\":null,\"x\":1.50' store/primary/_hnsw_promotions/old.json && grep -q '\"y\":\[1e3\]' store/primary/_hnsw_promotions/old.json && jq -e '.revision == 1 and .current.config.m == 16' store/primary/_hnsw_promotions/old.json"
for bad in '' '{' '[]' '{"current":{}}' '{"current":{"config":{},"trial_id":"x"}}' '{"history":{}}' '{"revision":-1}' 'null' '{}' '{"index_name":"x","current":null}' '{"index_name":null}'; do
	printf '%s' "$bad" >store/primary/_hnsw_promotions/bad.json
	trial o 1 1 1 1 bad | trial-append >out 2>err
	status 3 "a malformed file: $bad" promote bad o
	check "is left as it is" "printf '%s' '$bad' | cmp - store/primary/_hnsw_promotions/bad.json"
done
echo '{"index_name":"x"}' >store/primary/_hnsw_promotions/bad.json
status 3 "a file of another index" promoted bad
says "'_hnsw_promotions/bad.json' has the index_name 'x', expected 'bad'" "is told of"
rm store/primary/_hnsw_promotions/bad.json
check "jq reads it" "jq -e .index_name $p"
check "--list prints all" "promoted --list | jq -r .index_name | sort | tr '\n' ' ' | grep -q 'data fresh old x '"
status 2 "--list with a name" promoted --list x
check "a dry run changes nothing" "cp $p before; promote -n x b >o2 && rollback -n x >o2; cmp before $p"
trial z1 1 1 1 1 many | trial-append many >out
check "twenty at once: none is lost" "for i in \$(seq 20); do promote --by p\$i many z1 >/dev/null & done; wait; promoted --full many | jq -e '(.history | length) == 19 and .revision == 20 and ([.history[].promoted_by, .current.promoted_by] | unique | length) == 20'"
check "of those that expect the same state one wins" "for i in 1 2 3 4 5 6 7 8; do (promote --expect z1 --by w\$i many z1 >/dev/null 2>&1; echo \$?) & done >rcs; wait; sort rcs | uniq -c | awk '{print \$2}' | tr '\n' ' ' | grep -qE '^0( 4)? \$'"
check "readers see whole files" "(for i in \$(seq 40); do promote many z1 >/dev/null; done) & while kill -0 \$! 2>/dev/null; do jq -e .revision store/primary/_hnsw_promotions/many.json >/dev/null || exit 1; done; wait"
# ---- waiting for a lock ----
key=primary/_hnsw_promotions/x.json
hold() { hnsw-store lock --wait 20 -- $key sh -c 'echo >held; kill -STOP $$' & holder=$!; while [ ! -e held ]; do sleep 0.05; done; sleep 0.3; }
trial w1 80 30 0.9 500 x | trial-append >o1
promote x w1 >o1
hold
for c in "promote --wait 1.5 x w1" "rollback --wait 1.5 x"; do
	status 5 "a stopped holder of the lock: $c" "$c"
	says "waiting for '_hnsw_promotions/x.json', locked by another process, $holder (sh), which is stopped" "is said after a second"
	says "'_hnsw_promotions/x.json' is locked by another process, $holder (sh), which is stopped" "and at the end"
done
status 5 "without waiting" promote --wait 0 x w1
kill -CONT $holder
wait $holder
check "then it works" "promote x w1"
rm -f held
mkfifo store/$key.new && mv store/$key.new store/$key
status 6 "a FIFO as promotion file" promoted x
says "not a regular file" "is refused, not waited for"
rm store/$key
status 3 "a promotion file with a rung" "echo '{\"index_name\":\"x\",\"current\":{\"config\":{\"ef_construction\":80,\"ef_search\":30,\"rung\":50},\"trial_id\":\"t\"}}' >store/$key; promoted x"
says "the config is of a rung, expected one of all rows" "is told of"
rm store/$key
finish
