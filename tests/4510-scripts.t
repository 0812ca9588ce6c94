#!/bin/sh
# The scripts among other programs: where they find them, what becomes of both when one is killed.
. "$(dirname "$0")/lib.sh"

vectors 300 8 1 | ingest docs >out
index-add --metric l2 docs >out 2>&1
evalset -q -N 40 --save ev docs
index-add --eval-set ev docs >out
trial t1 20 30 0.5 100 docs | trial-append | promote --no-pin docs >out

# fake PROGRAM: one that reads its body from stdin, in a directory of its own with all the others
mkdir -p opt/bin tmp
TMPDIR=$dir/tmp
export TMPDIR
for program in "$bin"/*; do
	case ${program##*/} in
	activate | autotune | trial-plot) cp "$program" opt/bin ;;
	*) ln -s "$program" opt/bin ;;
	esac
done
fake() {
	rm -f "opt/bin/$1"
	{ echo "#!/bin/sh" && cat; } >"opt/bin/$1"
	chmod +x "opt/bin/$1"
}
genuine() { ln -sf "$bin/$1" "opt/bin/$1"; }
# ended: nothing is left of a script, at once or soon
ended() {
	for _ in $(seq 1200); do
		[ -n "$(ls tmp)" ] || grep -lqsa "MARK=$dir" /proc/[0-9]*/environ || return 0
		sleep 0.05
	done
	ls tmp
	return 1
}

# ---- where they are ----
alone="env -i PATH=/usr/bin:/bin TMPDIR=$TMPDIR"
check "programs are beside the script" "$alone opt/bin/activate -q docs | jq -e .generation"
check "by a whole path, too" "$alone $dir/opt/bin/activate -q docs | jq -e .generation"
check "or beside what it is a link to" "mkdir links && ln -s ../opt/bin/activate ../opt/bin/autotune ../opt/bin/trial-plot links && $alone links/activate -q docs | jq -e .generation"
check "so are those of autotune and trial-plot" "$alone links/autotune -n docs && $alone links/trial-plot -q docs"
check "not some other of that name" "mkdir other && printf '#!/bin/sh\nexit 3\n' >other/hnsw-store && chmod +x other/hnsw-store && env -i PATH=$dir/other:/usr/bin:/bin TMPDIR=$TMPDIR opt/bin/activate -q docs"
check "nothing is left" ended
rm -r store/primary/_hnsw_active

# ---- what it prints ----
check "activate -q" opt/bin/activate -q docs
check "is silent" "test ! -s err"
rm -r store/primary/_hnsw_active

# ---- a program that is killed ----
for program in promoted hnsw-info hnsw-build index-list evalset hnsw-bench trial-list; do
	echo 'kill -9 $$' | fake $program
	status 6 "$program is killed under activate" opt/bin/activate -q docs
	says "$program was killed by signal 9" "is told of"
	check "nothing else is said, nothing served or left" "test \$(wc -l <err) -eq 1 && test ! -e store/primary/_hnsw_active/docs/current.json && ended"
	genuine $program
done
# Under its name the script is run.
echo '[ "$3" = lock ] || kill -9 $$; exec '"$bin"'/hnsw-store "$@"' | fake hnsw-store
status 6 "hnsw-store is killed under activate" opt/bin/activate -q docs
says "hnsw-store was killed by signal 9" "is told of"
genuine hnsw-store
for program in hnsw-build hnsw-bench; do
	echo 'kill -9 $$' | fake $program
	status 6 "$program is killed under autotune" opt/bin/autotune -q --grid 20/20 docs
	says "$program was killed by signal 9" "is told of"
	check "nothing is left" ended
	genuine $program
done
echo "exit 6" | fake index-list
status 6 "index-list that fails is no index without an eval set" opt/bin/autotune docs
check "of autotune either" "! grep -q 'of its own' err"
status 6 "nor one in the bucket primary" opt/bin/activate docs
check "nothing was served" "test ! -e store/primary/_hnsw_active/docs/current.json"
genuine index-list

# ---- a script that is killed ----
fake hnsw-build <<'END'
: >"$BEGUN"
exec sleep 60
END
BEGUN=$dir/begun
export BEGUN
killed() { # SIGNAL SCRIPT
	rm -f begun
	# What a shell runs beside itself ignores SIGINT.
	MARK=$dir perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "opt/bin/$2" docs >o2 2>e2 &
	script=$!
	for _ in $(seq 1200); do
		[ ! -e begun ] || break
		sleep 0.05
	done
	kill "-$1" $script
	wait $script
}
for signal in HUP INT TERM; do
	status 5 "SIG$signal while it builds" killed $signal activate
	check "is told of" "grep -q 'ended by SIG$signal' e2"
	check "it ends with what it runs, and leaves nothing" ended
done
for name in activate autotune; do
	status 137 "SIGKILL while $name builds" killed KILL $name
	check "what it ran ends too, and nothing is left" ended
done
genuine hnsw-build
check "it can be run again" "opt/bin/activate -q docs | jq -e .generation && ended"
finish
