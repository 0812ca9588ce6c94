# Shell vocabulary of the tests: each test is a script that says `. "$(dirname "$0")/lib.sh"`,
# works in a fresh directory of its own, prints TAP, and ends with `finish`.
#
#   check WHAT COMMAND...           it succeeds
#   status N WHAT COMMAND...        it exits with N; never by a signal
#   same WANT WHAT COMMAND...       it succeeds and prints just WANT
#   says TEXT WHAT                  the last command's stderr has TEXT
#   prints TEXT WHAT                the last command's stdout has TEXT
#   skip_all WHY                    leave the whole test out
#
# A COMMAND of one word is run by eval in a shell of its own, so pipes can be written in
# quotes.
# Its output is in the files out and err.
set -u
LC_ALL=C
TZ=UTC
export LC_ALL TZ
unset HNSW_STORE HNSW_KERNEL HNSW_TUNING
unset HNSW_AGENT_CONF HNSW_AGENT_ENABLED HNSW_AGENT_CYCLE_INTERVAL_SECS HNSW_AGENT_MIN_RECALL
unset HNSW_AGENT_TARGET_RECALL HNSW_AGENT_TARGET_QUERIES HNSW_AGENT_MINIMISE HNSW_AGENT_SPACE
unset HNSW_AGENT_MAX_MEMORY HNSW_AGENT_MAX_BUILD HNSW_AGENT_MAX_LATENCY HNSW_AGENT_CONFIDENCE
unset HNSW_AGENT_STRATEGY HNSW_AGENT_MIN_NEW_ROWS HNSW_AGENT_PROVE
unset HNSW_AGENT_COOLDOWN_BETWEEN_TRIALS_SECS HNSW_AGENT_MAX_TRIALS_PER_HOUR HNSW_AGENT_TRUST_STORED
root=$(cd "$(dirname "$0")/.." && pwd)
bin=${HNSW_BIN:-$root/bin}
bin=$(cd "$bin" && pwd)
PATH=$bin:$PATH
export PATH
data=${HNSW_TEST_DATA:-$root/../shared/data}
count=0
failed=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/hnsw-test.XXXXXX")
trap 'cd /; chmod -R u+w "$dir" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir" || exit 1

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

run_command() {
	if [ $# -eq 1 ]; then
		(eval "$1") >out.new 2>err.new
	else
		"$@" >out.new 2>err.new
	fi
	set -- $?
	mv out.new out
	mv err.new err
	return "$1"
}

report() { # STATUS WHAT [REMARK...]
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
		return
	fi
	echo "not ok $count - $2"
	failed=$((failed + 1))
	shift 2
	{
		[ $# -eq 0 ] || printf '%s\n' "$@"
		echo "stdout:"
		head -c 2000 out
		echo "stderr:"
		head -c 2000 err
	} | sed 's/^/# /'
}

check() {
	what=$1
	shift
	run_command "$@"
	rc=$?
	report "$rc" "$what" "exit status $rc: $*"
}

status() {
	want=$1 what=$2
	shift 2
	run_command "$@"
	rc=$?
	[ "$rc" -eq "$want" ]
	report $? "$what" "exit status $rc, expected $want: $*"
}

same() {
	want=$1 what=$2
	shift 2
	run_command "$@"
	rc=$?
	[ "$rc" -eq 0 ] && [ "$(cat out)" = "$want" ]
	report $? "$what" "exit status $rc, expected output: $want" "command: $*"
}

says() {
	grep -qF -e "$1" err
	report $? "$2" "expected on stderr: $1"
}

prints() {
	grep -qF -e "$1" out
	report $? "$2" "expected on stdout: $1"
}

finish() {
	echo "1..$count"
	[ "$failed" -eq 0 ]
	exit
}

# For awk: the rand() of some begins anew whatever the seed.
random='function random() { return (random_x = random_x * 16807 % 2147483647) / 2147483647 }
	function seed_random(seed) { random_x = (seed * 1103515245 + 12345) % 2147483647 }'

# vectors ROWS DIM SEED [PREFIX]: deterministic JSONL with ids
vectors() {
	awk -v n="$1" -v d="$2" -v seed="$3" -v p="${4:-d}" "$random"'
	BEGIN {
		seed_random(seed)
		for (i = 0; i < n; i++) {
			printf "{\"id\":\"%s%d\",\"vector\":[", p, i
			for (j = 0; j < d; j++) printf "%s%.6f", j ? "," : "", random() * 2 - 1
			print "]}"
		}
	}'
}

# trial ID EF_CONSTRUCTION EF_SEARCH RECALL P50 [INDEX [EXTRA]]: a Trial as a line
trial() {
	printf '{"id":"%s","index_name":"%s","eval_set":"e","config":{"ef_construction":%s,"ef_search":%s,"seed":42,"m":16},"metrics":{"build_time_secs":1.5,"search_latency_p50_us":%s,"search_latency_p95_us":%s,"search_latency_p99_us":%s,"recall_at_k":%s,"memory_bytes":1000,"vectors":100,"eval_queries":10,"brute_force_latency_us":50.0},"created_at":"2026-04-16T15:26:21.123456Z","note":null%s}\n' \
		"$1" "${6:-x}" "$2" "$3" "$5" "$(echo "$5" | awk '{print $1 * 1.5}')" "$(echo "$5" | awk '{print $1 * 2}')" "$4" "${7:-}"
}
