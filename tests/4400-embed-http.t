#!/bin/sh
# Embedding servers over HTTP: good and bad answers, repetition, limits, the cache.
. "$(dirname "$0")/lib.sh"

unset http_proxy all_proxy HTTP_PROXY ALL_PROXY HNSW_API_KEY OPENAI_API_KEY
perl -MIO::Socket::INET -MJSON::PP -e 1 2>/dev/null || skip_all "no perl with its core modules"
mkdir served
"$root/tests/embed-server" served &
server=$!
trap 'kill $server; cd /; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
n=0
until [ -s served/port ]; do
	n=$((n + 1))
	[ $n -lt 100 ] || skip_all "the server does not start"
	sleep 0.1
done
url=http://127.0.0.1:$(cat served/port)

# ask MODEL [OPTION...]: embed the texts on stdin as plain lines
ask() {
	asked=$1
	shift
	embed --lines --embedder ollama --url "$url" --model "$asked" --timeout 2 --retries 1 "$@"
}
ask_openai() {
	asked=$1
	shift
	embed --lines --embedder openai --url "$url/v1" --model "$asked" --timeout 2 --retries 1 "$@"
}
# Requests that the server has had since served/log was removed.
requests() {
	cat served/log 2>/dev/null | wc -l
}

printf '%s\n' red green blue white black >five
seq 1 100 | sed 's/^/text number /' >many

# ---- good answers ----
same '{"id":"1","text":"green","vector":[5,66.125,103,-1.5]}' "Ollama" "ask good <five | sed -n 2p"
ask good <five >want
check "ids and texts of JSONL" "printf '%s\n' '{\"id\":\"x\",\"text\":\"red\"}' '{\"text\":\"green\"}' | embed --embedder ollama --url $url/api/embed/ --model good | jq -c '[.id, .text, .vector[0]]' | tr -d '\n' | grep -qxF '[\"x\",\"red\",3][\"1\",\"green\",5]'"
for model in good shuffled late plain; do
	check "OpenAI's form: $model" "ask_openai $model <five | cmp - want"
	check "OpenAI's form, base64: $model" "ask_openai $model --encoding base64 <five | cmp - want"
done
check "batches in parallel keep the order" "ask_openai shuffled --batch 7 --parallel 5 <many >a; ask good <many | cmp - a"
check "a dimension is asked for" "ask good --embedder ollama:6 <five | jq -e '.vector | length == 6'"
check "a prefix is sent, not printed" "echo ed | ask good --prefix r | jq -e '.text == \"ed\" and .vector[2] == 114 and .vector[0] == 3'"
check "no text, no request" "rm -f served/log; ask good </dev/null >o && test ! -s o && test ! -e served/log"
rm -f served/log
check "at most three requests at once" "ask slow --batch 5 --parallel 3 <many >o"
check "and three they were" "{ awk '{print \$4, 1}' served/log; awk '{print \$1, -1}' served/slept; } | sort -n | awk '{now += \$2; if (now > most) most = now} END {exit most != 3}'"

# ---- bad answers ----
refused() { # STATUS MODEL TEXT [OPTION...]
	want=$1 model=$2 text=$3
	shift 3
	status "$want" "$model" "ask $model $* <five"
	says "$text" "$model: $text"
	check "$model: nothing is printed" "test ! -s out"
}
refused 3 less "fewer vectors than texts"
refused 3 more "more vectors than texts"
refused 3 uneven "a vector with fewer values than expected"
refused 3 html "answers with 'text/html', expected JSON"
refused 3 error "no key 'embeddings'"
refused 3 cut "bad answer for 5 texts"
refused 3 garbage "HTTP/0.9"
refused 3 endless "answers with more than"
refused 3 missing "answers 404: model 'missing' not found"
refused 3 moved "answers 302"
refused 6 locked "answers 401"
for model in less more uneven digits twice beyond unplaced; do
	status 3 "OpenAI's form: $model" "ask_openai $model --encoding base64 <five"
	says "bad answer for 5 texts" "OpenAI's form: $model is told of"
done
status 3 "another dimension in a later answer" "ask shrink --batch 2 --parallel 1 <five"
says "bad answer for 2 texts, dimension 4: column" "with what was expected"
status 3 "another dimension than was asked for" "ask shrink --embedder ollama:7 --batch 5 <five"

# ---- texts that the server refuses ----
check "a batch that is too large is halved" "ask few --batch 16 <many >a; ask good <many | cmp - a"
rm -f served/log
status 3 "a text that is too long" "{ cat many; echo 'much too long a text for this server'; cat many; } | sed 's/text number //' | ask short --batch 32"
says "'stdin' line 101: $url/api/embed answers 400: the input length exceeds" "is found in its batch"
check "in few requests" "test \$(requests) -lt 24"

# ---- texts on which the server fails, each time ----
long='a text that is much too long'
for at in 1 2 6 9; do
	seq 9 | sed "${at}s/.*/$long/" >nine
	status 3 "500 to text $at of 9" ask fails -S nines --lines --retries 1 nine
	says "'nine' line $at: $url/api/embed answers 500 to the last attempt: input is too large" "its line is named"
	check "and what stands before it is there" "test \$(wc -l <out) -eq $((at - 1)) && jq -es 'map(.text) == [range(1; $at) | tostring]' out"
done
rm -f served/log
status 3 "in small batches" ask fails -S nines --lines --retries 1 --batch 2 nine
check "what was embedded is in the cache: of one alone is asked" "! awk '\$2 != 1' served/log | grep . && test \$(requests) -le 5"
printf '1\n2\n%s\n4\n%s\n6\n' "$long" "$long" >two
for batch in 1 2 6; do
	status 3 "two such texts, batches of $batch" ask fails --lines --retries 0 --batch $batch two
	says "'two' line 3: " "the first is named"
done
status 3 "nothing but such a text" "echo '$long' | ask fails --lines --retries 1"
says "'stdin' line 1: " "is its fault, as the server takes others"
rm -f served/log
status 5 "a server that fails on all" ask broken --lines --retries 1 nine
says "answers 500 to the last attempt" "may be well again"
check "is not asked for ever" "test \$(requests) -le 4"

# ---- texts of which a server has no vector, though it says 200 ----
unfit() { # NUMBER VECTOR ask|ask_openai [OPTION...]: nine texts, that one with this vector
	at=$1 vector=$2 how=$3
	shift 3
	seq 9 | sed "${at}s|.*|is $vector|" >nine
	status 3 "$vector as the vector of text $at of 9" "$how" unfit "$@" nine
	says "'nine' line $at: $url/" "its line is named"
	says "bad answer for 1 text" "with what was expected"
	check "and what stands before it is there" "test \$(wc -l <out) -eq $((at - 1)) && jq -es 'map(.text) == [range(1; $at) | tostring]' out"
}
for vector in '[1,NaN,3,4]' '[1,2,3,nan]' '[-Infinity,2,3,4]' '[1,Infinity,3,4]' '[1,null,3,4]' '[1,1e39,3,4]' '[1,1e400,3,4]' 'null' '[]'; do
	unfit 6 "$vector" ask
	unfit 6 "$vector" ask_openai
done
unfit 4 '"AACAfwAAgH8AAIB/AACAfw=="' ask_openai --encoding base64
for at in 1 2 9; do
	unfit $at '[1,NaN,3,4]' ask -S unfit
done
rm -f served/log
status 3 "in small batches" ask unfit -S unfit --batch 2 nine
check "what was embedded is in the cache: of one alone is asked" "! awk '\$2 != 1' served/log | grep . && test \$(requests) -eq 1"
status 3 "nothing else" "echo 'is [NaN]' | ask unfit"
says "'stdin' line 1: " "is named too"

# ---- what may pass ----
for model in busy once faint; do
	check "asked again: $model" "ask $model <five | cmp - want"
done
check "Retry-After is kept to" "awk '\$1 == \"busy\" {t[++n] = \$4} END {exit !(n == 2 && t[2] - t[1] >= 1)}' served/log"
rm -f served/log
refused 5 down "answers 503 to the last attempt"
check "after as many attempts as there are" "test \$(requests) -eq 2"
refused 5 dying "(attempt 2, no further ones)"
refused 5 away "answers 429"
refused 5 hang "timed out" --timeout 0.2 --retries 0
status 5 "no server" "ask good --url http://127.0.0.1:1 --retries 0 <five"
says "connect" "is told of"
rm -f served/log
status 5 "a deadline" "ask down --retries 100 --deadline 1.5 <five"
check "ends the attempts" "test \$(requests) -le 6"
status 5 "and an attempt" "ask hang --deadline 0.3 <five"
says "the deadline of 0.3 s passed" "is told of"

# ---- API keys ----
key() { # the Authorization of the last request
	tail -n 1 served/log | cut -d' ' -f5-
}
check "no key" "ask good <five >o; test \"\$(key)\" = -"
check "a key from the environment" "HNSW_API_KEY=one OPENAI_API_KEY=two ask_openai good <five >o; test \"\$(key)\" = 'Bearer one'"
check "OpenAI's" "OPENAI_API_KEY=two ask_openai good <five >o; test \"\$(key)\" = 'Bearer two'"
check "which is for no other server" "OPENAI_API_KEY=two ask good <five >o; test \"\$(key)\" = -"
check "a key from a file" "echo three >key; HNSW_API_KEY=one ask good --api-key-file key <five >o; test \"\$(key)\" = 'Bearer three'"
status 6 "a key that is refused" "HNSW_API_KEY=sesame ask_openai locked -v <five"
check "is not printed" "! grep -q sesame err out && grep -q 'Bearer \\*\\*\\*\\*\\*\\*' err"
status 2 "a key that would be two headers" "HNSW_API_KEY=\"\$(printf 'a\r\nX-Other: b')\" ask good <five"
status 3 "an empty key file" ": >key; ask good --api-key-file key <five"
status 6 "no key file" "ask good --api-key-file none <five"

# ---- usage ----
status 2 "no model" "embed --embedder ollama --url $url <five"
status 2 "no URL" "embed --embedder openai --model good <five"
status 2 "no URL at all" "ask good --url 'not one' <five"
status 2 "another scheme" "ask good --url file:///etc/passwd <five"
status 2 "a password in the URL" "ask good --url http://me:sesame@127.0.0.1/ <five"
check "is not printed" "! grep -q sesame err"
status 2 "an option of another embedder" "embed --lines --url $url <five"
status 2 "nor this one" "ask good --encoding base64 <five"
status 2 "nor this" "ask_openai good --truncate <five"

# ---- the cache ----
check "no store, no cache" "test ! -e store"
rm -f served/log
check "vectors are kept" "ask good -S st <many >a && test \$(requests) -gt 0"
rm -f served/log
check "and taken from there" "ask good -S st <many | cmp - a && test ! -e served/log"
check "whatever the batch" "ask good -S st --batch 1 <five | cmp - want && rm served/log && ask good -S st <five | cmp - want && test ! -e served/log"
check "by people too" "jq -e --arg u $url/api/embed '.url == \$u and .model == \"good\"' st/primary/_hnsw_embeddings/*/about.json"
for other in "late" "good --prefix x" "good --embedder ollama:3" "good --truncate" "good --no-cache"; do
	rm -f served/log
	check "not for other vectors: $other" "ask $other -S st <five >o && test \$(requests) -eq 1"
done
rm -f served/log
status 5 "what came before a failure" "ask good -S st2 <five >o; { cat five; echo six; } | ask down -S st2"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	echo "word $i" | ask good -S st3 --retries 5 >>b || break
done
check "small pieces are merged" "test \$(ls st3/primary/_hnsw_embeddings/*/seg_* | wc -l) -lt 8"
rm -f served/log
check "and still found" "seq 1 20 | sed 's/^/word /' | ask good -S st3 | jq -c .vector >c; jq -c .vector b | cmp - c && test ! -e served/log"
check "a part that failed costs only itself" "{ cat many; echo 'much too long a text for this server'; } | ask short -S st4 --batch 10 --parallel 1 >o 2>e; rm served/log; ask short -S st4 --batch 10 <many >o; test ! -e served/log"
for f in st3/primary/_hnsw_embeddings/*/seg_*; do
	printf 'x' | dd of="$f" bs=1 seek=40 conv=notrunc 2>/dev/null
done
check "a damaged cache is left out" "seq 1 20 | sed 's/^/word /' | ask good -S st3 2>e | jq -c .vector | cmp - c; grep -q 'damaged' e && test \$(requests) -eq 1"
ask good -S st6 <many >a
last=$(echo st6/primary/_hnsw_embeddings/*/seg_*)
printf 'x' | dd of="$last" bs=1 seek=$(($(wc -c <"$last") - 1)) conv=notrunc 2>/dev/null
rm -f served/log
check "a damaged vector is asked for again" "ask good -S st6 <many | cmp - a"
check "alone" "awk '{n += \$2} END {exit n != 1}' served/log"
check "a cache that cannot be written is no failure" "mkdir -p st5/primary && : >st5/primary/_hnsw_embeddings && ask good -S st5 <five 2>e | cmp - want && grep -q 'going on without the cache' e"
check "nor is a broken store that nobody named" "mkdir -p broken/store && echo x >broken/store/buckets.json && cd broken && ask good <../five 2>e | cmp - ../want && grep -q 'going on without the cache' e"
status 3 "it is one that was named" "ask good -S broken/store <five"

# ---- evalset and ingest ----
sed 's/.*/{"id":"t-&","text":"&"}/; s/"t-text number /"t/' many >many.jsonl
sed 's/.*/{"id":"&","text":"&"}/' five >five.jsonl
remote="--embedder openai --url $url --model shuffled"
check "texts are embedded while they are ingested" "ingest $remote --batch 8 texts many.jsonl | jq -e '.rows == 100 and .total == 100'"
check "the vectors are those of embed" "ask good <many | jq -c .vector >a; hnsw-convert store/primary/vectors/texts/*.hvec -o b.jsonl && jq -c .vector b.jsonl | cmp - a"
rm -f served/log
check "a batch again costs nothing" "ingest --batch-id b1 $remote texts <five.jsonl && ingest --batch-id b1 $remote texts <five.jsonl | jq -e '.repeated and .total == 105' && test \$(requests) -eq 1"
status 3 "an id that is there" "ingest $remote texts five.jsonl"
says "'five.jsonl' line 1: id 'red' is in dataset 'texts' already" "with file and line"
status 3 "an id twice" "cat five.jsonl five.jsonl | ingest $remote new"
status 3 "a text without id" "echo '{\"text\":\"x\"}' | ingest $remote new"
status 5 "a server that is down" "ingest --embedder ollama --url $url --model down --retries 0 new five.jsonl"
status 3 "another dimension" "sed s/id..../\&x/ five.jsonl | ingest --embedder ollama:3 --url $url --model good texts"
check "appended nothing" "test ! -e store/primary/vectors/new"
check "a dry run writes nothing" "ingest -n -S dry $remote new five.jsonl && test ! -e dry"
check "hash too" "ingest --embedder hash:16 hashed five.jsonl | jq -e '.rows == 5'"

rm -f served/log
check "an eval set of texts" "evalset -q --texts five.jsonl $remote --prefix 'q: ' -k 3 --save e5 texts && jq -e '.queries | length == 5 and all(.[]; (.query_embedding | length) == 4 and (.ground_truth | length) == 3)' store/primary/_hnsw_evals/e5.json"
check "embeds once" "evalset -q --refresh e5 texts && test \$(requests) -eq 1"
check "with its ids and texts" "jq -e '[.queries[] | .id == .query_text] | all' store/primary/_hnsw_evals/e5.json"
jq -c '.queries[1, 3].query_embedding = null' store/primary/_hnsw_evals/e5.json >part.json
check "queries without a vector get one as the dataset's rows did" "evalset -q --refresh part.json texts >o && jq -e '.queries | all(.query_embedding | type == \"array\")' o"
status 3 "unless it is not known how" "jq -c '.queries[].query_embedding = null | .index_name = \"none\"' part.json >all.json; embed --no-cache $remote --lines five | hnsw-convert - -o rows.hvec; evalset -q --refresh all.json rows.hvec"
says "have a text and no vector, and no embedder is known: say --embedder" "is said"
check "and can be given one" "evalset -q --refresh part.json $remote --prefix 'q: ' texts | jq -c '[.queries[] | [.query_embedding, .ground_truth]]' >a; jq -c '[.queries[] | [.query_embedding, .ground_truth]]' store/primary/_hnsw_evals/e5.json | cmp - a"
check "all of them" "jq -c '.queries[].query_embedding = null' part.json | evalset -q --refresh - $remote --prefix 'q: ' texts | jq -c '[.queries[] | [.query_embedding, .ground_truth]]' | cmp - a"
status 3 "of another dimension" "evalset -q --refresh part.json --embedder hash:5 texts"
status 3 "or all of another" "evalset -q --texts five.jsonl --embedder hash:5 texts"
status 2 "an embedder without texts" "evalset --embedder hash -o o.json texts"
status 2 "a URL without an embedder" "ingest --url $url texts five.jsonl"
status 2 "in evalset too" "evalset --url $url --refresh e5"
status 2 "a format of texts" "ingest $remote --format npy texts five.jsonl"
check "-N takes the first" "evalset -q -N 2 --texts five.jsonl $remote texts | jq -e '[.queries[].id] == [\"red\", \"green\"]'"

# ---- secrets ----
check "a token in the URL is sent" "head -n 2 five | embed --lines --embedder ollama --url '$url?token=s3cret#s3cret' --model good --timeout 2 -S secret >o2"
check "and kept nowhere" "! grep -rq s3cret secret"
finish
