#!/bin/sh
# Where the vectors of a dataset come from: no others are mixed with them, texts are embedded alike.
. "$(dirname "$0")/lib.sh"

HNSW_STORE=$dir/store
export HNSW_STORE
jot() { # PREFIX N: texts with ids
	awk -v p="$1" -v n="$2" 'BEGIN {split("red green blue apple pear plum stone river cloud bird", w); for (i = 0; i < n; i++) printf "{\"id\":\"%s%d\",\"text\":\"%s %s %d\"}\n", p, i, w[i % 10 + 1], w[int(i / 10) % 10 + 1], i}'
}
jot a 120 >a
jot b 20 >b
record=$HNSW_STORE/primary/vectors/docs/embedding.json

# ---- the first batch settles it ----
status 0 "a dry run" ingest -n --embedder hash:32 docs a
check "keeps nothing" "test ! -e $record"
status 0 "the first batch" ingest --embedder hash:32 --prefix 'doc: ' --metric cosine docs a
same '["hash",null,"doc: ",null,32,"cosine"]' "what is kept" "jq -c '[.embedder, .model, .prefix, .url, .dimensions, .metric]' $record"
cp $record before
mixed() { # WHAT TEXT [OPTION...]
	what=$1 text=$2
	shift 2
	status 3 "$what" ingest --embedder hash:32 --prefix 'doc: ' "$@" docs b
	says "dataset 'docs' is of embedder 'hash', prefix 'doc: ', dimension 32, metric cosine, not of $text" "both are named"
}
mixed "another dimension" "embedder 'hash', prefix 'doc: ', dimension 16" --embedder hash:16
mixed "another prefix" "embedder 'hash', prefix 'x', dimension 32" --prefix x
mixed "another metric" "embedder 'hash', prefix 'doc: ', dimension 32, metric l2" --metric l2
check "nothing was appended" "hnsw-info --vectors docs | jq -e '.vectors == 120' && cmp $record before"
check "the same goes on" "ingest --embedder hash:32 --prefix 'doc: ' docs b"
vectors 5 32 1 v >v.jsonl
status 0 "vectors of which nothing is said" ingest docs v.jsonl
says "the rows are taken for those of embedder 'hash', prefix 'doc: ', dimension 32, metric cosine, as dataset 'docs' is" "what they are taken for"
vectors 5 32 1 p | ingest plain >out
status 3 "an embedder's among those of which nothing is known" ingest --embedder hash:32 plain b
says "dataset 'plain' is of dimension 32, no known embedder, not of embedder 'hash', dimension 32" "both are named"
rm "$HNSW_STORE/primary/vectors/plain/embedding.json"
check "of before it was kept: it counts as what comes" "ingest --embedder hash:32 plain b && jq -e '.embedder == \"hash\"' $HNSW_STORE/primary/vectors/plain/embedding.json"
mkdir -p "$HNSW_STORE/primary/vectors/never" && echo '{"embedder":"ollama","model":"gone","dimensions":7}' >"$HNSW_STORE/primary/vectors/never/embedding.json"
check "of a first batch that never came" "ingest --embedder hash:8 never b && jq -e '.embedder == \"hash\" and .dimensions == 8' $HNSW_STORE/primary/vectors/never/embedding.json"
for bad in '' '{' '[]' '{"dimensions":-1}' '{"metric":"cubic"}' '{"embedder":7}'; do
	cp $record keep && printf '%s' "$bad" >$record
	status 3 "a record that is none: $bad" ingest docs v.jsonl
	says "vectors/docs/embedding.json" "is named"
	cp keep $record
done

# ---- who follows it ----
same '["hash","hash","doc: ","cosine",32]' "index-add shows it" "index-add docs | jq -c '[.embedder, .model_name, .prefix, .metric, .dimensions]'"
status 3 "an index of another metric" index-add --source docs --metric ip other
says "dataset 'docs' is of embedder 'hash', prefix 'doc: ', dimension 32, metric cosine, not of metric ip" "both are named"
check "is not registered" "test ! -e $HNSW_STORE/primary/vectors/meta/other.json"
vectors 5 32 1 m | ingest --metric l2 made >out
same '"l2"' "a new index has the dataset's metric" "index-add made | jq -c .metric"

embed --embedder hash:32 --prefix 'doc: ' --no-cache b >b.jsonl
evalset -q --queries b.jsonl -k 5 docs -o want.json
check "evalset --texts embeds as the dataset was" "evalset -q --texts b -k 5 docs -o got.json && jq -c '[.queries[] | {id, query_embedding, ground_truth}]' got.json >g && jq -c '[.queries[] | {id, query_embedding, ground_truth}]' want.json | cmp - g"
check "with a prefix of queries" "evalset -q --texts b --prefix 'query: ' -k 5 docs -o q.json && ! jq -c '.queries[].query_embedding' q.json | cmp -s - b.jsonl && jq -e '.queries | all(.ground_truth | length == 5)' q.json"
status 3 "another embedder" evalset -q --texts b --embedder ollama --model m docs
says "the dataset is of embedder 'hash', prefix 'doc: ', dimension 32, metric cosine, not of embedder 'ollama', model 'm'" "both are named"

# An eval set as the original writes it: texts, and no vectors.
jq -c '{name: "bare", index_name: "docs", k: 5, created_at, ground_truth_built: true, queries: [.queries[] | {id, query_text: (.id | ltrimstr("b")), ground_truth: ["a1"], query_embedding: null}]}' want.json |
	jq -c --slurpfile t b '.queries |= map(.id as $id | .query_text = ($t[] | select(.id == $id) | .text))' >bare.json
check "its texts get vectors and answers" "evalset -q --refresh bare.json docs -o got.json && jq -c '[.queries[] | {id, query_embedding, ground_truth}]' got.json | cmp - g"
check "also where it would be fresh" "evalset -q --if-stale --refresh bare.json docs -o got.json && jq -c '[.queries[] | {id, query_embedding, ground_truth}]' got.json | cmp - g"
check "over files, by the index it is for" "hnsw-convert b.jsonl -o b.hvec && evalset -q --refresh bare.json b.hvec -o got.json && jq -e '.queries | all(.ground_truth[0] == .id)' got.json"
jq -c '.index_name = "nobody"' bare.json >lost.json
status 3 "nothing known" evalset -q --refresh lost.json b.hvec
says "the 20 queries of eval set 'bare' have a text and no vector, and no embedder is known: say --embedder" "what is lacking is said"
check "unless it is said" "evalset -q --refresh lost.json --embedder hash --prefix 'doc: ' b.hvec -o got.json && jq -e '.queries | all(.ground_truth[0] == .id)' got.json"
jq -c '.queries[3].query_text = "" | .queries[4].query_text = null' bare.json >some.json
status 0 "queries without anything" evalset -q --refresh some.json docs -o got.json
says "2 of 20 queries have neither a vector nor a text; they get no answers" "are counted, even with -q"
check "query_text is never null" "jq -e '.queries | all(.query_text | type == \"string\")' got.json"
evalset -q --refresh bare.json --save bare docs >out
cp bare.json "$HNSW_STORE/primary/_hnsw_evals/bare.json"
check "autotune embeds them" "autotune -q --min-recall 0 --grid 20/30 docs bare && jq -e '.queries | all(.query_embedding | length == 32)' $HNSW_STORE/primary/_hnsw_evals/bare.json"
cp bare.json "$HNSW_STORE/primary/_hnsw_evals/bare.json"
check "so does the agent" "index-add --eval-set bare docs && autotune-agent --min-recall 0 --cooldown-between-trials-secs 0 enqueue docs && autotune-agent --min-recall 0 --cooldown-between-trials-secs 0 once && jq -e '.queries | all(.query_embedding | length == 32)' $HNSW_STORE/primary/_hnsw_evals/bare.json"

activate -q docs >out
check "hnsw-search --texts embeds as the dataset was" "hnsw-search --texts -k 3 docs b >got && hnsw-search -k 3 docs b.jsonl | cmp - got && hnsw-search --texts -k 3 docs <b | cmp - got"
check "with a prefix of queries" "hnsw-search --texts --prefix 'query: ' -k 3 docs b >other && ! cmp -s other got && test \$(wc -l <other) -eq 20"
status 3 "texts that are none" "echo '{\"id\":\"x\"}' | hnsw-search --texts docs"
says "'stdin' line 1: has no key 'text'" "the line is named"
status 2 "texts for an index of which nothing is known" hnsw-search --texts ./x.hnsw b
status 2 "a prefix of vectors" hnsw-search --prefix x docs b.jsonl

# ---- the ids of the vectors ----
vectors 60 8 4 >ids.jsonl
hnsw-convert ids.jsonl -o noids.fbin
jq -c '.id = "x" + .id' ids.jsonl >other.jsonl
{ tail -n 1 ids.jsonl | jq -c .id; jq -c .id ids.jsonl | head -n 59; } >turned
jq -c --slurpfile t turned '.id = $t[input_line_number - 1]' ids.jsonl >turned.jsonl
hnsw-build -q ids.jsonl -o ids.hnsw >out
evalset -q -N 10 ids.jsonl -o right.json
check "the right ids" "hnsw-bench -q --seconds 0 ids.hnsw right.json"
for set in noids.fbin other.jsonl turned.jsonl; do
	evalset -q -N 10 $set -o wrong.json
	status 3 "the same vectors under other ids: $set" hnsw-bench -q --seconds 0 ids.hnsw wrong.json
	says "the answers were computed over the same vectors under other ids" "is said"
done
jq -c 'del(.ids_digest)' wrong.json >old.json
check "an eval set of before is taken" "hnsw-bench -q --seconds 0 ids.hnsw old.json"
jq -c '.id = (input_line_number - 1 | tostring)' ids.jsonl >rows.jsonl
hnsw-build -q noids.fbin -o rows.hnsw >out
check "row numbers, said or not" "evalset -q -N 10 rows.jsonl -o e.json && hnsw-bench -q --seconds 0 rows.hnsw e.json"
check "other ids are other answers" "evalset -q --if-stale --refresh right.json other.jsonl -o e.json && jq -e '.queries | all(.ground_truth | all(startswith(\"xd\")))' e.json"
for to in fbin fvecs npy; do
	status 2 "a sample in $to" hnsw-convert --sample 10 ids.jsonl -o s.$to
	says "a sample has the ids of its rows, which format $to does not keep" "would lose its ids"
done
finish
