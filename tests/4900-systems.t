#!/bin/sh
# The list of hnsw-original(7): each command in it works, in its order.
. "$(dirname "$0")/lib.sh"

vectors 300 8 1 >vectors.jsonl
vectors 3 8 2 q >queries.jsonl
echo '{"id":"a","text":"some text"}' >texts.jsonl
awk '/^\.It / { system_ = substr($0, 5) } /^\.Dl / { print system_ "\t" substr($0, 5) }' "$root/man/hnsw-original.7" >table
check "the list is there" "test \$(wc -l <table) -ge 25"
tab=$(printf '\t')
while IFS=$tab read -r system command; do
	program=${command%% *}
	if ! command -v "$program" >/dev/null; then
		echo "$program" >>absent
		continue
	fi
	case $command in
	# It runs until it is stopped, by the next one.
	"autotune-agent --enabled run &") check "$system: $command" "autotune-agent --enabled run >agent.out 2>&1 </dev/null & i=0; until autotune-agent status | jq -e .running >o1; do i=\$((i + 1)); test \$i -lt 100 || exit 1; sleep 0.1; done" ;;
	"autotune-agent stop") check "$system: $command" "$command && i=0; while autotune-agent status | jq -e .running >o1; do i=\$((i + 1)); test \$i -lt 600 || exit 1; sleep 0.1; done" ;;
	"autotune-agent once") check "$system: $command" "$command; test \$? -le 1" ;;
	# These need a server.
	embed*) check "$system: it has the option" "embed --help | grep -q -e --embedder" ;;
	*) check "$system: $command" "$command" ;;
	esac
done <table
: >>absent
check "every program of the list but the agent is there" "! grep -v '^autotune-agent\$' absent"
check "what they did is what the list says" "promoted --full docs | jq -e '.current.promoted_by == \"autotune\" and (.rolled_back | length) == 1' && index-list docs | jq -e '.bucket == \"archive\"' && trial-list docs | test \$(wc -l) -ge 5"
finish
