# What the scripts share: messages, the command line, the programs they run, names in the store.
# A script sets $prog before and defines usage, option and operand.
set -eu
LC_ALL=C
export LC_ALL
{ true 8<&0; } 2>/dev/null || exec </dev/null
{ true 8>&2; } 2>/dev/null || exec 2>/dev/null
# Why the script ends is said where its messages go, though those of a program may be kept in a
# file or hidden meanwhile.
exec 6>&2

# The programs are beside the script, or beside what it is a link to, or in PATH.
P='@PROGPREFIX@'
for self in "$0" "$(readlink -f -- "$0")"; do
	case $self in
	*/*) [ ! -x "${self%/*}/${P}hnsw-store" ] || { P=${self%/*}/$P && break; } ;;
	esac
done

tmp=
cleaner=
child=
trap 'leave $?' EXIT
for signal in HUP INT TERM; do
	# shellcheck disable=SC2064
	trap "stop $signal" "$signal"
done
trap 'exit 5' PIPE
trap '' XFSZ
quiet=
verbose=
store=${HNSW_STORE:-./store}

# shown TEXT: a line that is fit for a terminal: what is no UTF-8, and each character that
# lib/base/show.h names, as '?'.
shown() {
	case $1 in
	*[!\ -~]*) ;;
	*)
		printf '%s\n' "$1"
		return
		;;
	esac
	printf '%s\n' "$1" | awk '
		BEGIN { for (i = 1; i < 256; i++) byte[sprintf("%c", i)] = i }
		# The length of the character at a place, its number in c; 0: none is there.
		function decode(s, at,   n, i, d) {
			c = byte[substr(s, at, 1)]
			n = c < 128 ? 1 : c < 194 || c > 244 ? 0 : c < 224 ? 2 : c < 240 ? 3 : 4
			if (n > 1) c %= 2 ^ (7 - n)
			for (i = 1; i < n; i++) {
				d = byte[substr(s, at + i, 1)]
				if (d < 128 || d > 191) return 0
				c = c * 64 + d % 64
			}
			return n == 3 && (c < 2048 || (c >= 55296 && c < 57344)) || n == 4 && (c < 65536 || c > 1114111) ? 0 : n
		}
		function obeyed(c) {
			return c < 32 || (c > 126 && c < 160) || c == 1564 || c == 8206 || c == 8207 ||
				(c > 8231 && c < 8239) || (c > 8293 && c < 8298)
		}
		{
			line = line (NR > 1 ? "?" : "")
			for (at = 1; at <= length($0); at += n ? n : 1) {
				n = decode($0, at)
				line = line (n == 0 || obeyed(c) ? "?" : substr($0, at, n))
			}
		}
		END { print line }'
}

prog=$(shown "$prog")

say() {
	shown "$prog: $*" >&2 || :
}

note() {
	[ -n "$quiet" ] || say "$*"
}

# die STATUS MESSAGE
die() {
	status=$1
	shift
	say "$*" 2>&6
	exit "$status"
}

misuse() {
	say "$*"
	shown "try '$prog --help'" >&2
	exit 2
}

stop() {
	die 5 "ended by SIG$1"
}

# However the script ends: what it runs ends first, and nothing of it is left.
leave() {
	trap '' HUP INT TERM PIPE
	if [ -n "$child" ]; then
		kill "$child" 2>/dev/null || :
		wait "$child" 2>/dev/null || :
		[ -z "$tmp" ] || rm -f "$tmp/child"
	fi
	drop_tmp
	case $1 in
	[0-6]) exit "$1" ;;
	141) exit 5 ;; # by SIGPIPE: nobody reads on
	*) ended "a program" "$1" ;;
	esac
}

# ended PROGRAM STATUS: what a status that no program of ours has means
ended() {
	[ "$2" -le 128 ] || die 6 "$1 was killed by signal $(($2 - 128))"
	die 6 "$1 could not be run, or ended with status $2"
}

# run PROGRAM [ARGUMENT...]: unlike a plain command it ends at once when the script is to end, and
# the script ends with status 6 and a message if it was killed.
run() {
	{ "$@" <&8 8<&- 9>&- 6>&- & } 8<&0
	child=$!
	[ -z "$tmp" ] || echo "$child" 2>/dev/null >"$tmp/child" || :
	# The shell has its own word for how a program was killed.
	{ wait "$child"; } 2>/dev/null && status=0 || status=$?
	child=
	[ -z "$tmp" ] || rm -f "$tmp/child"
	[ "$status" -le 6 ] || ended "${1##*/}" "$status"
	return "$status"
}

# maybe PROGRAM [ARGUMENT...]: run it; that it answers with "no" (status 1) is no failure, and
# prints nothing.
maybe() {
	answer=$(exec 6>/dev/null && run "$@" 2>/dev/null) && status=0 || status=$?
	case $status in
	0) [ -z "$answer" ] || printf '%s\n' "$answer" ;;
	1) ;;
	*) run "$@" ;; # again, for what it says
	esac
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
	# Arithmetic of the shell takes a leading 0 for octal.
	'' | *[!0-9]* | 0?* | ???????????????????*) misuse "bad value '$2' for $1: expected a whole number" ;;
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

# A new private directory in $tmp, removed when the script ends, however it ends: who removes it
# reads from a pipe that the script holds open.
make_tmp() {
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/$prog.XXXXXX") || die 6 "cannot create a temporary directory"
	mkfifo "$tmp/alive" || unwritten alive
	exec 9<>"$tmp/alive"
	clean_up >/dev/null 2>&1 &
	cleaner=$!
}

clean_up() {
	trap '' HUP INT TERM PIPE
	trap - EXIT
	exec <"$tmp/alive" 9>&-
	read -r _ || :
	[ ! -s "$tmp/child" ] || kill -9 "$(cat "$tmp/child")" || :
	rm -rf "$tmp"
}

drop_tmp() {
	[ -n "$tmp" ] || return 0
	exec 9>&-
	if [ -n "$cleaner" ]; then wait "$cleaner" || :; else rm -rf "$tmp"; fi
	tmp=
}

# unwritten FILE: what jq, printf or cat could not write to $tmp/FILE
unwritten() {
	die 6 "cannot write '$tmp/$1'"
}

# answer FILE: what the script has to say on stdout
answer() {
	cat -- "$1" 2>/dev/null && return || status=$?
	[ "$status" -ne 141 ] || exit 5
	die 6 "cannot write to stdout"
}

# The bucket that an index lives in.
bucket_of() {
	meta=$(maybe "${P}index-list" -S "$store" -- "$1") || return
	printf '%s\n' "${meta:-null}" | jq -r 'if (.bucket // "") == "" then "primary" else .bucket end'
}

# The eval set of an index that is its own, if there is one.
own_evalset() {
	meta=$(maybe "${P}index-list" -S "$store" -- "$1") || return
	printf '%s\n' "${meta:-null}" | jq -r '.eval_set // empty'
}

# One lock for whatever builds and measures an index: run this script again under it, with
# the words given, and once more if the index was taken to another bucket meanwhile.
# under_lock WAIT_SECONDS NAME BUCKET WORD...
under_lock() {
	lock_wait=$1
	lock_key=$3/_hnsw_tuning/$2
	shift 3
	# That the variable was exported by accident shows in the lock being free.
	if [ "${HNSW_TUNING:-}" = "$lock_key" ]; then
		said=$("${P}hnsw-store" -S "$store" lock -- "$lock_key" true 2>&1) && status=0 || status=$?
		case $status in
		0) ;;
		5) return 0 ;;
		*)
			[ "$status" -le 6 ] || ended hnsw-store "$status"
			printf '%s\n' "$said" >&2
			exit "$status"
			;;
		esac
	fi
	HNSW_TUNING=$lock_key
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
		run "${P}evalset" -q -S "$store" --index "$refresh_name" --if-stale "$@" --refresh "$evalset" \
			-o "$tmp/evalset.json" -- "$refresh_vectors" || return
		evalset=$tmp/evalset.json
	else
		run "${P}evalset" -q -S "$store" --index "$refresh_name" --if-stale "$@" --refresh "$evalset" \
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
	drop_tmp
	HNSW_TUNING_RUNS=$runs
	export HNSW_TUNING_RUNS
	exec "$0" "$@"
}

# config_text JSON: as people read it
config_text() {
	printf '%s\n' "$1" | jq -r '"ef_construction=\(.ef_construction) ef_search=\(.ef_search) seed=\(.seed // 42) m=\(.m // 32)\(if .storage then " storage=\(.storage)" else "" end)"'
}
