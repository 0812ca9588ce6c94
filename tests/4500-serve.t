#!/bin/sh
# Serving: generations, the swap with readers running, what is verified before it, going back.
. "$(dirname "$0")/lib.sh"

vectors 300 32 1 >v.jsonl
ingest docs v.jsonl >o1
index-add --eval-set ev docs >o1
evalset -q -N 40 --save ev docs
for ec in 20 30 40; do trial t$ec $ec 30 0.5 100 docs; done | trial-append >o1
trial poor 10 10 0.5 100 docs | trial-append >o1
active=store/primary/_hnsw_active/docs
serve() { # TRIAL_ID: promote and activate
	promote docs "$1" >o1 && activate -q --keep "${2:-1}" docs
}

# ---- back to the very bytes ----
serve t20 >first 2>o2
serve t30 >second 2>o2
g1=$(jq -r .generation first)
cp "$active/$g1/index.hnsw" kept
head -n 20 v.jsonl | hnsw-search docs >hits30
check "rollback and activate serve the file that was kept" "rollback docs >o1; activate -q docs | jq -e '.generation == \"$g1\" and .config.ef_construction == 20' && cmp kept $active/$g1/index.hnsw"
check "where it is gone, the same bytes are built again" "activate -q docs >o1; rm -r $active/$g1; activate -q docs | jq -e '.config.ef_construction == 20 and .generation != \"$g1\"' && cmp kept \$(hnsw-store path primary/_hnsw_active/docs/\$(jq -r .generation $active/current.json)/index.hnsw)"
check "forward again too" "serve t30 >o2; head -n 20 v.jsonl | hnsw-search docs | cmp - hits30"
for keep in 0 2 1; do
	check "--keep $keep: so many old ones stay, and the served one" "for t in t40 t20 t30; do serve \$t $keep >o2 || exit 1; done; test \$(ls -d $active/gen_* | wc -l) -eq $((keep + 1)) && hnsw-info --check docs"
done

# ---- verified before the swap ----
cp "$active/current.json" before
status 1 "recall below the floor" "promote docs poor >o1; activate --min-recall 1.0 docs"
says "not served: recall 0." "is told of"
check "what was served is served" "cmp before $active/current.json"
status 3 "an eval set of another dimension" "vectors 50 5 1 >w.jsonl; evalset -q -N 10 -o w.json w.jsonl; jq -c '.name = \"ev\" | .index_name = \"docs\"' w.json >store/primary/_hnsw_evals/ev.json; activate docs"
check "is no reason to serve another" "cmp before $active/current.json && evalset -q -N 40 --index docs --save ev docs"
check "a generation that was damaged is not used again" "
	activate -q docs >o1; rollback docs >o1; g=\$(jq -r .previous $active/current.json)
	printf x | dd of=$active/\$g/index.hnsw bs=1 seek=3000 conv=notrunc 2>/dev/null
	activate docs | jq -e --arg g \$g '.generation != \$g' && hnsw-info --check docs"
check "not even the served one" "printf x | dd of=$active/\$(jq -r .generation $active/current.json)/index.hnsw bs=1 seek=3000 conv=notrunc 2>/dev/null; activate docs >o1 && hnsw-info --check docs"
says "is damaged and not used again" "which is said"
status 3 "a pointer that is damaged" "cp $active/current.json p; echo '{' >$active/current.json; hnsw-search docs v.jsonl; s=\$?; cp p $active/current.json; exit \$s"
status 3 "a pointer to nowhere" "jq -c '.generation = \"gen_0\"' p >$active/current.json; hnsw-search docs v.jsonl; s=\$?; cp p $active/current.json; exit \$s"
says "generation 'gen_0' of index 'docs' is gone" "is told of"
status 3 "a pointer out of the store" "jq -c '.generation = \"../../x\"' p >$active/current.json; hnsw-search docs v.jsonl; s=\$?; cp p $active/current.json; exit \$s"

# ---- readers across the swap ----
rm -r "$active"
serve t20 >o1 2>o2
cat >reader <<'END'
n=0
while [ ! -e stop ]; do
	head -n 3 v.jsonl | hnsw-search -k 1 docs >hits.$1 2>>failed || echo "status $?" >>failed
	[ "$(jq -r .hits[0].id hits.$1 | tr '\n' ' ')" = "d0 d1 d2 " ] || cat hits.$1 >>failed
	n=$((n + 1))
done
echo $n >reads.$1
END
check "readers in loops while generations come and go at once" "
	for i in 1 2 3; do sh reader \$i & done
	for t in t30 t40 t20 t30; do serve \$t 0 >/dev/null || echo activate >>failed; done
	>stop; wait; cat failed; test ! -s failed && test \$(cat reads.* | awk '{n += \$1} END {print n}') -gt 8 && test \$(ls -d $active/gen_* | wc -l) -eq 1"
check "and while the pointer moves as fast as it can" "
	rm -f stop reads.*; g=\$(jq -r .generation $active/current.json)
	for i in 1 2 3; do sh reader \$i & done
	for i in \$(seq 100 250); do
		mkdir $active/gen_\$i && cp -l $active/\$g/index.hnsw $active/gen_\$i/ && echo \"{\\\"generation\\\":\\\"gen_\$i\\\"}\" >c.tmp && mv c.tmp $active/current.json && rm -r $active/\$g
		g=gen_\$i
	done
	>stop; wait; cat failed; test ! -s failed"
check "a search that was begun goes on over the swap" "
	rm -r $active; serve t20 >o1; mkfifo q; hnsw-search -k 1 docs <q >r & pid=\$!
	exec 3>q; head -n 1 v.jsonl >&3; i=0; while [ ! -s r ] && [ \$i -lt 500 ]; do sleep 0.01; i=\$((i + 1)); done
	serve t30 0 >o1; sed -n 2p v.jsonl >&3; exec 3>&-; wait \$pid && test \$(wc -l <r) -eq 2"

# ---- what a killed activation left is durable before it is acknowledged ----
traced() { HNSW_TUNING=primary/_hnsw_tuning/$1 hnsw-store lock "primary/_hnsw_tuning/$1" -- sh -x "$(command -v activate)" "$1"; }
check "served already: synced first" "activate -q docs >o1; traced docs >o1 2>trace && grep -q 'is served already' trace && grep -q \"hnsw-store -S ./store sync -- primary/_hnsw_active/docs/\$(jq -r .generation $active/current.json)\$\" trace"
check "used again: synced first" "serve t20 >o1; serve t30 >o1; rollback docs >o1; traced docs >o1 2>trace && grep -q 'reusing gen_' trace && grep -q \"hnsw-store -S ./store sync -- primary/_hnsw_active/docs/\$(jq -r .generation o1)\$\" trace"
check "nothing to sync is no failure" "hnsw-store sync primary/nothing && hnsw-store sync primary/_hnsw_active/docs"

# ---- dying ----
check "kill -9 of an activation: what was served is served, and it can be run again" "
	for d in 0.04 0.1 0.16 0.22; do
		case \$(promoted docs) in *:20,*) promote docs t30 ;; *) promote docs t20 ;; esac >o1
		activate -q docs >o2 & pid=\$!; sleep \$d; kill -9 \$pid; wait \$pid
		hnsw-info --check docs >o2 || exit 1
	done 2>err1
	activate -q docs >o2 && promoted docs >a && jq -c .config $active/current.json | cmp - a"
finish
