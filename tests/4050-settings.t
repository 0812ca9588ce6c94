#!/bin/sh
# The promoted config as settings of other engines.
. "$(dirname "$0")/lib.sh"

engines="azure chroma clickhouse duckdb elasticsearch faiss hnswlib lancedb lucene mariadb milvus mongodb opensearch oracle pgvector qdrant redis redis-vset sqlite-vec typesense usearch valkey vespa weaviate"
config() { # M EF_CONSTRUCTION EF_SEARCH
	echo "{\"ef_construction\":$2,\"ef_search\":$3,\"m\":$1}"
}
settings() { # ENGINE M EF_CONSTRUCTION EF_SEARCH [OPTION...]
	engine=$1 asked=$(config "$2" "$3" "$4")
	shift 4
	promoted --format "$engine" --or "$asked" "$@" x
}
status 2 "an engine that is not known" settings none 16 80 60
says "expected one of $(echo "$engines" | sed 's/ /, /g')" "the engines are named"

# ---- every engine has every value, but for what it lacks ----
for e in $engines; do
	case $e in
	azure | sqlite-vec) continue ;;
	mongodb) ec=150 ;;
	*) ec=120 ;;
	esac
	check "$e" "settings $e 17 $ec 61 --metric cosine -q"
	check "it has m, ef_construction and ef_search" "grep -w 17 out && grep -w $ec out && grep -Ew '61|51' out && ! grep '@' out"
	check "nothing was clamped" "! grep 'was measured;' out"
done
status 1 "sqlite-vec has none" settings sqlite-vec 16 80 60
says "it has no HNSW index" "which is said"
status 1 "Azure has no m of 16" settings azure 16 100 100
says "m is 16, expected 4..10; tune within --space 'm=4:10'" "and what to do"
check "but of 8" settings azure 8 100 100
for e in clickhouse mariadb; do
	status 1 "$e has no inner product" settings $e 16 80 60 --metric ip
	says "it has no metric ip" "which is said"
done

# ---- what does not fit is told ----
check "pgvector: m" settings pgvector 128 300 60
prints "-- m = 128 was measured; pgvector takes 100 at most." "a comment"
prints "WITH (m = 100, ef_construction = 300)" "the value that fits"
check "pgvector: ef_construction is at least 2 m" settings pgvector 96 80 60
prints "ef_construction = 192" "what fits"
check "MongoDB" settings mongodb 8 80 60
prints "maxEdges: 16, numEdgeCandidates: 100" "what fits"
check "Faiss: ef_search is at least 2 k" settings faiss 16 80 12
prints "index.hnsw.efSearch = 20" "what fits"
check "ef_search is at least k" settings milvus 16 80 12 -k 50
prints '"ef": 50' "what fits"
check "Vespa: the sum of two" settings vespa 16 80 60 -k 20
prints "targetHits: 20, hnsw.exploreAdditionalHits: 40" "both"

# ---- metric and dimensions are the index's ----
check "an index with a metric" "index-add x --metric l2 --dimensions 7 >out"
check "Faiss" settings faiss 16 80 60
prints "faiss.IndexHNSWFlat(7, 16, faiss.METRIC_L2)" "its metric and dimensions"
check "without a remark" "! test -s err"
check "or as said" settings qdrant 16 80 60 --metric ip
prints '"size": 7, "distance": "Dot"' "so"
check "JSON is JSON" "settings qdrant 16 80 60 | sed -n '/^{/,/^\$/p' | jq -s length | grep -x 2"
for e in elasticsearch opensearch weaviate typesense; do
	check "$e too" "settings $e 16 80 60 --metric cosine | sed -n '/^{/,/^\$/p' | jq -s . >j && test -s j"
done

# ---- of what is promoted ----
status 1 "nothing is" promoted --format pgvector x
trial a 80 30 0.95 100 | trial-append x | promote x >out
check "what is promoted" promoted --format pgvector x
prints "WITH (m = 16, ef_construction = 80);" "its config"
prints "vector_l2_ops" "with the metric of the index"
status 2 "not with --list" promoted --list --format pgvector
status 2 "nor with --full" promoted --full --format pgvector x

# ---- by the engine, where it is installed ----
if python3 -c 'import faiss' 2>/dev/null; then
	check "Faiss takes it" "{ echo 'import faiss'; promoted --format faiss x; echo 'print(index.hnsw.efSearch, index.hnsw.efConstruction, index.d)'; } >f.py && python3 f.py | grep -x '30 80 7'"
fi
finish
