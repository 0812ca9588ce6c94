# What the scripts share: messages, the command line, names in the store.  A script sets
# $prog before and defines usage, option and operand.
set -eu
LC_ALL=C
export LC_ALL
P='@PROGPREFIX@'
trap 'exit 5' INT TERM
quiet=
verbose=
store=${HNSW_STORE:-./store}

say() {
	printf '%s: %s\n' "$prog" "$*" >&2
}

note() {
	[ -n "$quiet" ] || say "$*"
}

# die STATUS MESSAGE
die() {
	status=$1
	shift
	say "$*"
	exit "$status"
}

misuse() {
	say "$*"
	printf "try '%s --help'\n" "$prog" >&2
	exit 2
}

# The options that every script has; others go to option NAME VALUE.
common_option() {
	case $1 in
	-S | --store) store=$2 ;;
	-q | --quiet) quiet=-q ;;
	-v | --verbose) verbose=-v ;;
	-h | --help)
		usage || exit 6
		exit 0
		;;
	-V | --version)
		printf '%s (hnsw-tools) @VERSION@\n' "$prog"
		exit 0
		;;
	*) option "$1" "$2" ;;
	esac
}

takes_value() {
	case " -S --store $valued " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# Parse the words of a command line.  $valued has the options that take a value; options
# may stand anywhere, short ones may be joined.
parse_words() {
	while [ $# -gt 0 ]; do
		word=$1
		shift
		case $word in
		--)
			for word; do operand "$word"; done
			return
			;;
		--*=*)
			takes_value "${word%%=*}" || misuse "unknown option '${word%%=*}', or it takes no value"
			common_option "${word%%=*}" "${word#*=}"
			continue
			;;
		--* | -?) ;;
		-?*)
			rest=${word#??}
			word=${word%"$rest"}
			if takes_value "$word"; then set -- "$rest" "$@"; else set -- "-$rest" "$@"; fi
			;;
		*)
			operand "$word"
			continue
			;;
		esac
		if takes_value "$word"; then
			[ $# -gt 0 ] || misuse "option '$word' needs a value"
			value=$1
			shift
			common_option "$word" "$value"
		else
			common_option "$word" ""
		fi
	done
}

# want_count OPTION VALUE, want_share OPTION VALUE
want_count() {
	case $2 in
	'' | *[!0-9]*) misuse "bad value '$2' for $1: expected a whole number" ;;
	esac
}

want_share() {
	case $2 in
	0 | 1 | 1.0 | 1.00 | 1.000) ;;
	0.*[!0-9]* | .*[!0-9]* | 0. | .) misuse "bad value '$2' for $1: expected a number in 0..1" ;;
	0.* | .*) ;;
	*) misuse "bad value '$2' for $1: expected a number in 0..1" ;;
	esac
}

# A new private directory in $tmp, removed when the script ends, however it ends.
make_tmp() {
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/$prog.XXXXXX") || die 6 "cannot create a temporary directory"
	trap 'rm -rf "$tmp"' EXIT
}

# unwritten FILE: what jq, printf or cat could not write to $tmp/FILE
unwritten() {
	die 6 "cannot write '$tmp/$1'"
}

# The bucket that an index lives in.
bucket_of() {
	meta=$("${P}index-list" -S "$store" -- "$1" 2>/dev/null) && found=0 || found=$?
	case $found in
	0) printf '%s\n' "$meta" | jq -r 'if (.bucket // "") == "" then "primary" else .bucket end' ;;
	# A name that is none, or a record that cannot be read: say so.
	2 | 3) "${P}index-list" -S "$store" -- "$1" ;;
	*) echo primary ;;
	esac
}

# One lock for whatever builds and measures an index: run this script again under it, with
# the words given.  under_lock WAIT_SECONDS NAME BUCKET WORD...
under_lock() {
	lock_wait=$1
	lock_name=$2
	lock_key=$3/_hnsw_tuning/$2
	shift 3
	# That the variable was exported by accident shows in the lock being free.
	if [ "${HNSW_TUNING:-}" = "$lock_name" ] &&
		! "${P}hnsw-store" -S "$store" lock -- "$lock_key" true 2>/dev/null; then
		return
	fi
	HNSW_TUNING=$lock_name
	export HNSW_TUNING
	exec "${P}hnsw-store" -S "$store" lock --wait "$lock_wait" -- "$lock_key" "$0" "$@"
}

# Whether an operand is a file, as the programs see it.
is_file() {
	case $1 in
	*/* | -) return 0 ;;
	esac
	[ -e "$1" ] && [ ! -d "$1" ]
}

# refresh NAME EVALSET VECTORS [OPTION...]: see to it that the answers of an eval set belong
# to the vectors of today.  The set that is to be used then is in $evalset: one in the store is
# replaced there, of a file a copy is made.
refresh() {
	refresh_name=$1
	evalset=$2
	refresh_vectors=$3
	shift 3
	if is_file "$evalset"; then
		"${P}evalset" -q -S "$store" --index "$refresh_name" --if-stale "$@" --refresh "$evalset" \
			-o "$tmp/evalset.json" -- "$refresh_vectors" || return
		evalset=$tmp/evalset.json
	else
		"${P}evalset" -q -S "$store" --index "$refresh_name" --if-stale "$@" --refresh "$evalset" \
			-- "$refresh_vectors"
	fi
}

# same_vectors BUILD INFO: whether a build record is of the vectors that the answers of an eval
# set belong to, as evalset --info tells.
same_vectors() {
	case $2 in
	*'"vectors_digest":""'*) return 0 ;;
	esac
	digest=${2##*'"vectors_digest":"'}
	grep -qF "\"vectors_digest\":\"${digest%%\"*}\"" "$1"
}

# Vectors came while this worked: run the script again under the lock, with the words given.
run_again() {
	runs=$((${HNSW_TUNING_RUNS:-1} + 1))
	[ "$runs" -le 10 ] || die 5 "the vectors of '$name' keep changing"
	note "the vectors of '$name' have changed: starting again"
	rm -rf "$tmp"
	HNSW_TUNING_RUNS=$runs
	export HNSW_TUNING_RUNS
	exec "$0" "$@"
}

# config_text JSON: as people read it
config_text() {
	printf '%s\n' "$1" | jq -r '"ef_construction=\(.ef_construction) ef_search=\(.ef_search) seed=\(.seed // 42) m=\(.m // 32)\(if .storage then " storage=\(.storage)" else "" end)"'
}
