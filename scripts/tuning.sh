# What autotune needs besides its pipeline: the goal as options, what is in the store, more queries,
# indexes that are kept, and what is told.  It stands after the options were parsed, and sets what the
# pipeline goes by:
#
#   $goal $how $bench $choice $needed   options, one a line: see with()
#   $target $strategy                   the recall to reach, who proposes
#   $evalset $queries $info $rows       what is measured on
#   $champion $current_id               what is promoted now; $tmp/champion has its config
#   $config $how_far                    what is tried now, and how it is measured
#   $tmp/trials $tmp/winner             all Trials that count, and the one that is chosen

# ---- the goal ----

# The options of the index's own goal, then those given: the last of each counts.
goal_lines() {
	meta=$(maybe "${P}index-list" -S "$store" -- "$name") || return
	printf '%s\n' "${meta:-null}" | jq -r --arg known " $goals " '.goal // {} | to_entries[] |
		"--\(.key | gsub("_"; "-"))" as $option | .value | select(. != null and ($known | contains(" \($option) "))) |
		"\($option)=\(tostring | gsub("\n"; " "))"' || return
	printf '%s' "$given"
}

# goal_of OPTION: its value, or nothing
goal_of() {
	printf '%s\n' "$goal" | sed -n "s/^$1=//p" | tail -n 1
}

# with LINES PROGRAM [ARGUMENT...]: run it with these options, one a line
with() {
	lines=$1 program=$2
	shift 2
	IFS=$newline
	set -f
	set -- "$P$program" $lines "$@"
	unset IFS
	set +f
	run "$@"
}

# What each program is told of the goal, or of the grid.
read_goal() {
	goal='' remark=''
	if [ -z "$by" ]; then
		goal=$(goal_lines) || exit
		[ -n "$(goal_of --within)" ] || goal=--within=0.1$newline$goal
		if [ -z "$(goal_of --target-recall)" ]; then
			goal=--target-recall=0.95$newline$goal
			[ -n "$(goal_of --target-queries)" ] ||
				remark="'$name' has no target of its own (index-add --target-recall): a recall of 0.95"
		fi
		target=$(goal_of --target-recall)
		needed=$(printf '%s\n' "$goal" | grep -v -e '^--within=' -e '^--space=')
		choice=$(printf '%s\n' "$goal" | grep -v '^--within=')
		# A curve goes as far as the space does.
		reach=$(goal_of --space | sed -n 's/.*es=\([0-9]*:*[0-9]*\).*/\1/p')
		bench=$(printf '%s\n' "--at-target" "--timed=500" "--seconds=0.1" "-s${reach:-10:200}" "$goal" | grep -E '^-s|^--at-target$|^--(target-.*|confidence|timed|seconds)=')
		how=--strategy=$strategy$newline$goal
	else
		choice=--by=winner needed='' bench='' target=${min_recall:-0.9}
		how=--grid=$grid$newline--m=$m$newline--seed=$seed
	fi
	case $strategy in
	*/*) sound=--strategy=model ;; # a command is not run for a look
	*) sound= ;;
	esac
	with "$how" propose -q --history /dev/null $sound >/dev/null || exit
}

# ---- what there is ----

# A config with the members that may be left out.
norm='def norm: {ef_construction, ef_search, seed: (.seed // 42), m: (.m // 32)} +
	({storage, rung} | with_entries(select(.value != null and .value != "auto" and .value != 0)));'

# The champion is measured first, so that it is never replaced by something worse.
find_champion() {
	promotions=$(maybe "${P}promoted" -S "$store" --full -- "$name") || exit
	champion=$(printf '%s\n' "${promotions:-null}" | jq -c "$norm"'.current | if . then .config | norm else empty end')
	current_id=$(printf '%s\n' "${promotions:-null}" | jq -r '.current.trial_id // ""')
	printf '%s\n' "$champion" >"$tmp/champion" || unwritten champion
	for made in trials winner before; do : >"$tmp/$made"; done
	rows=$(run "${P}hnsw-info" -S "$store" --vectors -- "${vectors:-$name}") || exit
	rows=$(printf '%s\n' "$rows" | jq .vectors)
	how=$how$newline--first=$tmp/champion
	[ -n "$by" ] || how=$how$newline--rows=$rows
}

find_evalset() {
	[ -z "$evalset" ] || return 0
	evalset=$(own_evalset "$name") || exit
	[ -n "$evalset" ] || misuse "index '$name' has no eval set of its own: say which"
}

# refresh_answers [OPTION...]: those of today's vectors; $info tells what they are
refresh_answers() {
	refresh "$name" "$evalset" "${vectors:-$name}" ${threads:+-t $threads} ${metric:+--metric "$metric"} "$@" || return
	info=$(run "${P}evalset" -S "$store" --index "$name" --info "$evalset") || exit
	queries=$(printf '%s\n' "$info" | jq .queries)
	# Vectors of a file tell no metric; the answers are by one.
	[ -z "$vectors" ] || [ -n "$metric" ] || metric=$(printf '%s\n' "$info" | jq -r '.metric // ""')
}

refresh_all() {
	refresh_answers "$@" 2>"$tmp/err"
}

# enlarge OPTION...: more queries, where there are more of their kind
enlarge() {
	had=$queries
	asked refresh_all "$@" || { note "$(said)" && return 1; }
	[ "$queries" -eq "$had" ] || note "$had queries proved too little: eval set '$evalset' has $queries now"
}

# The answers, of as many queries as can prove the target.  If they never will: look for what reaches
# it on average.
find_answers() {
	refresh_answers || exit
	sure=$(goal_of --confidence)
	if [ -z "$by$trust$(goal_of --target-queries)" ] && [ "$sure" != 0.5 ] &&
		! enlarge --prove "$target" --confidence "${sure:-0.99}"; then
		how=$how$newline--confidence=0.5
		bench=$bench$newline--confidence=0.5
	fi
}

# What was measured already here, on the same vectors and the same eval set.
known_trials() {
	maybe "${P}trial-list" -S "$store" --here --eval-set "$evalset" -- "$name" >"$tmp/known" || return
	if [ -n "$by" ]; then
		with "$how" propose -q --history /dev/null -N 100000 >"$tmp/plan" || return
		maybe "${P}trial-list" -S "$store" --here --eval-set "$evalset" --configs "$tmp/plan" -- "$name" >"$tmp/known" || return
	fi
	mv "$tmp/known" "$tmp/trials"
}

# What the index was before teaches the model, see propose(1).
find_older() {
	maybe "${P}trial-list" -S "$store" -- "$name" >"$tmp/journal" || exit
	jq -c --arg now "$digest" 'select(.curve and .config.rung == null and .provenance.vectors_digest != $now)' \
		"$tmp/journal" | tail -n 100 >"$tmp/before" || unwritten before
	rm -f "$tmp/journal"
	how=$how$newline--vectors-digest=$digest
}

# A run that was killed goes on: its Trials count.
find_trials() {
	known_trials || exit
	[ ! -s "$tmp/trials" ] || {
		# Whoever wrote them may have been killed before they were durable.
		"${P}hnsw-store" -S "$store" sync -- "$bucket/_hnsw_trials/$name" || exit
		note "$(wc -l <"$tmp/trials") of the Trials are in the journal already"
	}
	digest=$(printf '%s\n' "$info" | jq -r .vectors_digest)
	[ -n "$by" ] || [ "$strategy" != model ] || find_older
	# What was rolled back on these vectors is not promoted again unattended.
	run "${P}promoted" -S "$store" --rolled-back "$digest" -- "$name" >"$tmp/rolled_back" || exit
}

# ---- programs that may say no ----

# said: what a program complained of
said() {
	sed -n 's/^[^:]*: //p' "$tmp/err" | tail -n 1
}

# asked COMMAND...: whether it says yes; the script ends if it fails
asked() {
	"$@" && return || status=$?
	[ "$status" -ne 1 ] || return 1
	cat "$tmp/err" >&2
	exit "$status"
}

# unpinned: whether what is promoted may be replaced
unpinned() {
	if [ -z "$by" ]; then way=goal; else way=rule; fi
	run "${P}promoted" -S "$store" --unpinned "$way" -- "$name" 2>"$tmp/err"
}

# propose_next [OPTION...]: the configs to try to $tmp/next, the first is to be built now
propose_next() {
	cat "$tmp/before" "$tmp/trials" >"$tmp/history" || unwritten history
	with "$how" propose -q --history "$tmp/history" -N 30 "$@" >"$tmp/next" 2>"$tmp/err"
}

# propose_config: $config is to be tried, and measured with $how_far; or why nothing is, to $why.
# Where the strategy has nothing more, what is the cheapest by its curve alone is measured at last.
propose_config() {
	how_far=$bench
	if ! asked propose_next; then
		why=$(said) how_far=
		[ -z "$by" ] && asked propose_next --strategy=untimed || return 1
	fi
	config=$(head -n 1 "$tmp/next")
	case $config in *'"rung"'*) whole=0 ;; *) whole=1 ;; esac
	if [ $((builds + whole)) -gt "$max_builds" ]; then
		why="--max-builds $max_builds is reached"
	elif [ $(($(date +%s) - begun)) -ge "$max_seconds" ]; then
		why="--max-seconds $max_seconds is reached"
	else
		why=
	fi
	[ -z "$why" ] || return 1
	[ -n "$how_far" ] && [ "$strategy" = model ] || how_far=-s$(printf '%s\n' "$config" | jq .ef_search)
	[ "$whole" -eq 1 ] || how_far=$how_far$newline--seconds=0
	builds=$((builds + whole)) number=$((number + 1))
	tell_next
}

# best [OPTION...]: the best Trial so far to $tmp/winner; or why there is none to $tmp/err and status 1
best() {
	with "$choice" trial-best -q --exclude "$tmp/rolled_back" "$@" - <"$tmp/trials" >"$tmp/winner" 2>"$tmp/err"
}

# What the Trials do not prove, more queries may, where there are more: whether $config is to be
# measured on them.
ask_more_queries() {
	[ -z "$by$trust$(goal_of --target-queries)" ] || return 1
	! asked best || return 1
	more=$(said | sed -n 's/.*: \([0-9]*\) queries are needed.*/\1/p')
	[ "${more:-$((rows + 1))}" -le "$rows" ] && asked best --confidence=0.5 && enlarge -N $((more + more / 5)) || return 1
	config=$(jq -c "$norm"'.config | norm' "$tmp/winner")
	known_trials || exit
}

# ---- indexes ----

file_of() {
	printf '%s\n' "$1" | jq -r '"index-\(.ef_construction)-\(.m // 32)-\(.seed // 42)-\(.storage // "auto")-\(.rung // 0)"'
}

# index_of CONFIG: the index with these parameters, in $tmp/$file.hnsw and its build record
# beside it; built unless it is there.
index_of() {
	file=$(file_of "$1")
	[ ! -s "$tmp/$file.json" ] || return 0
	printf '%s\n' "$1" >"$tmp/config" || unwritten config
	run "${P}hnsw-build" -S "$store" $silent $verbose ${threads:+-t $threads} ${metric:+--metric "$metric"} \
		--config "$tmp/config" -o "$tmp/$file.hnsw" -- "${vectors:-$name}" >"$tmp/build" &&
		mv "$tmp/build" "$tmp/$file.json"
}

# Only the champion's and the best so far may meet in the duel, the latest may serve again.
keep_indexes() {
	kept=$file.hnsw
	asked best || :
	for config in "$champion" "$(jq -c .config "$tmp/winner")"; do
		[ -z "$config" ] || kept="$kept $(file_of "$config").hnsw"
	done
	for built in "$tmp"/index-*.hnsw; do
		case " $kept " in *" ${built##*/} "*) ;; *) rm -f "$built" "${built%.hnsw}.json" ;; esac
	done
}

# side CONFIG FILE: its build record there, for the duel
side() {
	index_of "$1" || exit
	jq -c --argjson config "$1" '.config.ef_search = $config.ef_search' "$tmp/$file.json" >"$tmp/$2" || unwritten "$2"
}

# ---- what is told ----

silent=$quiet
[ -n "$quiet" ] || [ ! -t 2 ] || silent=-q # one live line, of this script
begun=$(date +%s)
builds=0 # those of all rows
number=0
work=0 # rows x ef_construction
why=''
outcome='nothing promoted'
in_place='' # the option of trial-best that makes the choice
unmet='' # whether the explanation tells already why nothing is promoted

# measured_text FILE: config and figures of its Trials
measured_text() {
	jq -r 'def r(d): . * d | round / d;
		"m=\(.config.m // 32) ef_construction=\(.config.ef_construction) ef_search=\(.config.ef_search) recall=\(.metrics.recall_at_k | r(10000)) p50=\(.metrics.search_latency_p50_us | r(10))us"' "$1"
}

# live [TEXT]: on a terminal it replaces the one before
live() {
	[ -z "$quiet" ] || return 0
	if [ -t 2 ]; then
		printf '\r\033[K%.79s' "$(shown "${1:-}")" >&2
	elif [ -n "${1:-}" ]; then
		note "$1"
	fi
}

# What comes now, the best so far, and how long the rest takes, going by the work.
tell_next() {
	[ -z "$quiet" ] || return 0
	# Beyond the third of a strategy's builds it only guesses.
	jq -rs --argjson rows "$rows" --arg by "$by" '
		if $by == "" then map(select(.rung)) + (map(select(.rung | not)) | .[:3]) else . end |
		map((.rung // $rows) * .ef_construction) | "\(length) \(.[0]) \(add)"' "$tmp/next" >"$tmp/facts"
	read -r left weight all <"$tmp/facts"
	text="build $number of about $((number + left - 1)): m=$(jq -rs '.[0] | "\(.m) ef_construction=\(.ef_construction)" +
		if .rung then " (a part of the rows)" else "" end' "$tmp/next")"
	[ ! -s "$tmp/winner" ] || text="$text; best so far: $(measured_text "$tmp/winner" | sed 's/.* recall/recall/')"
	[ "$work" -eq 0 ] || text="$text; about $((($(date +%s) - begun) * all / work)) s left"
	work=$((work + weight))
	live "$text"
}

tell_measured() {
	[ -n "$quiet" ] || [ -t 2 ] || note "  $(measured_text "$tmp/measured" | head -n 1)"
}

# What was chosen and why, in a table and a paragraph.
explain() {
	{
		with "$choice" trial-best --explain --exclude "$tmp/rolled_back" ${in_place:+"$in_place"} - <"$tmp/trials" 2>/dev/null || :
		[ -z "$why" ] || printf 'Further values of M and ef_construction were not tried: %s. ' "${why#nothing is worth trying: }"
		if "$1"; then
			echo "The choice is promoted."
		elif [ -n "$unmet" ]; then
			echo "Nothing is promoted."
		else
			printf 'In the end %s: %s.\n' "$outcome" "$2"
		fi
	} | fold -s -w 80 | sed 's/ $//' >&2 || :
}

# conclude PROMOTED REASON: the answer, and what it means
conclude() {
	# A person does not look for a curve in the answer.
	[ -t 1 ] && brief='del(.winner.curve)' || brief=.
	jq -cn --arg name "$name" --argjson promoted "$1" --arg reason "$2" --argjson builds "$builds" \
		--slurpfile trials "$tmp/trials" --slurpfile winner "$tmp/winner" \
		'{index_name: $name, promoted: $promoted, reason: $reason, trials: ($trials | length), builds: $builds,
		winner: $winner[0]} | '"$brief" >"$tmp/answer" || unwritten answer
	answer "$tmp/answer"
	if [ -z "$by$quiet" ] && [ -s "$tmp/trials" ]; then
		explain "$@"
	elif "$1"; then
		note "promoted $(config_text "$winner"): ${2#*: }"
	else
		note "$outcome: $2"
	fi
}

# finish STATUS PROMOTED REASON
finish() {
	conclude "$2" "$3"
	exit "$1"
}

# Nothing will do: the answer has what comes nearest.
finish_unmet() {
	reason=$(said) unmet=1
	[ -z "$by" ] || reason="no config reaches recall $target"
	[ ! -s "$tmp/rolled_back" ] || reason="$reason, but for what was rolled back"
	"${P}trial-best" --by "${by:-recall}" - <"$tmp/trials" >"$tmp/winner" || :
	finish 1 false "$reason"
}
