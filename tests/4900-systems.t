#!/bin/sh
# The table "every system of the original" in README: each command in it works, in its order.
. "$(dirname "$0")/lib.sh"

vectors 300 8 1 >vectors.jsonl
vectors 3 8 2 q >queries.jsonl
echo '{"id":"a","text":"some text"}' >texts.jsonl
sed -n '/^## Every system/,/^## What/s/^| \(.*\) | `\(.*\)` |$/\1\t\2/p' "$root/README.md" >table
check "the table is there" "test \$(wc -l <table) -ge 25"
tab=$(printf '\t')
while IFS=$tab read -r system command; do
	program=${command%% *}
	if ! command -v "$program" >/dev/null; then
		echo "$program" >>absent
		continue
	fi
	case $command in
	# It runs until it is stopped, and does not start unless it is enabled; it is stopped when none runs.
	"autotune-agent run") check "$system: $command" "$command" ;;
	"autotune-agent stop") status 1 "$system: $command" "$command" ;;
	"autotune-agent once") check "$system: $command" "$command; test \$? -le 1" ;;
	# These need a server.
	embed*) check "$system: it has the option" "embed --help | grep -q -e --embedder" ;;
	*) check "$system: $command" "$command" ;;
	esac
done <table
: >>absent
check "every program of the table but the agent is there" "! grep -v '^autotune-agent\$' absent"
check "what they did is what the table says" "promoted --full docs | jq -e '.current.promoted_by == \"autotune\" and (.rolled_back | length) == 1' && index-list docs | jq -e '.bucket == \"archive\"' && trial-list docs | test \$(wc -l) -ge 5"
finish
