#!/bin/sh
# Names: what is one and what is not, the same wherever a name is taken.
. "$(dirname "$0")/lib.sh"

vectors 30 4 1 >v.jsonl
evalset -q -N 5 -o e.json v.jsonl
hnsw-build v.jsonl -o i.hnsw >built
long=$(printf '%0200d' 0)

# ---- names that are ----
for name in plain "$(printf 'a\302\240b')" "two words" "  blanks  " "dots.in.it.." "-dash" "ünïcødé 漢字 🙂" "quote'\"\\\$(x)*?[" "meta-x" "$long"; do
	rm -rf store
	export name
	check "accepted everywhere: $(echo "$name" | cut -c 1-30)" '
		ingest --batch-id "$name" -- "$name" v.jsonl >o1 &&
		ingest --batch-id "$name" -- "$name" v.jsonl | jq -e .repeated >o1 &&
		index-add --eval-set "$name" --source "$name" -- "$name" >o1 &&
		test "$(index-list -- "$name" | jq -r .index_name)" = "$name" &&
		evalset -q -N 5 --index "$name" --save "$name" -- "$name" &&
		evalset --info "$name" >o1 && evalset -q --refresh "$name" &&
		autotune -q --trust-stored --grid 20/20 -- "$name" >o1 &&
		test "$(trial-list -- "$name" | jq -r .index_name)" = "$name" &&
		trial-list -- "$name" >t && trial-append -- "$name" <t | cmp - t && trial-best -- "$name" >o1 &&
		trial-compact -- "$name" >o1 && propose -- "$name" >o1 &&
		test "$(promoted --full -- "$name" | jq -r .index_name)" = "$name" &&
		promote -- "$name" "$(jq -r .id t)" >o1 && rollback -- "$name" >o1 &&
		activate -q -- "$name" >o1 && hnsw-search -k 1 -- "$name" v.jsonl >o1 &&
		hnsw-info --check -- "$name" >o1 &&
		index-move -- "$name" "$name" >o1 && hnsw-info --check -- "$name" >o1 && test -d "store/$name" &&
		autotune -q --trust-stored --grid 30/20 -- "$name" >o1 && activate -q -- "$name" >o1 && activate -- "$name" >o1 &&
		trial-plot -- "$name" >o1 &&
		test "$(bucket-list -- "$name" | jq -r .indexes[0])" = "$name" &&
		test "$(promoted --list | jq -r .index_name)" = "$name"'
done

# ---- names that are not ----
rm -rf store
ingest good v.jsonl >o1
index-add good >o1
cp -R store before
# refuse WHAT NAME: every program that takes it as a name, not as a file
refuse() {
	name=$2
	export name
	for command in \
		'ingest -- "$name" v.jsonl' 'ingest --bucket "$name" new v.jsonl' 'ingest --batch-id "$name" new v.jsonl' \
		'index-add -- "$name"' 'index-add --source "$name" good' 'index-add --bucket "$name" good' 'index-add --eval-set "$name" good' \
		'index-list -- "$name"' 'index-move -- "$name" primary' 'index-move good "$name"' \
		'evalset --save "$name" v.jsonl' 'evalset --index "$name" v.jsonl' \
		'trial-append -- "$name" </dev/null' 'trial-list -- "$name"' 'trial-best -- "$name"' 'trial-compact -- "$name"' \
		'propose -- "$name"' 'promote -- "$name" t1' 'rollback -- "$name"' 'promoted -- "$name"' \
		'autotune -- "$name" e' 'activate -- "$name"' 'hnsw-bench --index "$name" i.hnsw e.json'; do
		status 2 "$1: ${command%% --*}" "$command"
	done
	says "name" "which is said"
	check "$1: nothing was written" "diff -r before store"
}
refuse "with a slash" a/b
refuse "out of the store" ../x
refuse "a dot before it" .hidden
refuse "the directory above" ..
refuse "empty" ""
refuse "too long" "${long}0"
refuse "a line feed" "a
b"
refuse "a control character beyond ASCII" "$(printf 'a\302\233b')"
refuse "not UTF-8" "$(printf 'a\377b')"
status 2 "the reserved dataset" ingest meta v.jsonl
status 2 "as a source too" index-add --source meta good
check "an index may have that name" "index-add --source good meta && index-list meta"

# ---- in records ----
for name in a/b ../x .hidden '' '\\u001bc' '\\u009bc' '\\u0080' '\\u009f'; do
	status 3 "a Trial of index '$name'" "trial t1 80 30 0.9 500 | sed 's|\"index_name\":\"x\"|\"index_name\":\"$name\"|' | trial-append"
	check "wrote nothing" "test ! -e store/primary/_hnsw_trials"
done
finish
