#!/bin/sh
# trial-plot: pictures of a journal.
. "$(dirname "$0")/lib.sh"

(
	trial a 20 10 0.80 100
	trial b 20 20 0.90 150
	trial c 40 20 0.95 200
	trial d 40 20 0.93 300
	trial e 80 60 0.99 800
) >five
check "the journal" "trial-append x <five && promote x c >o2"
check "on the terminal" trial-plot x
cp out picture
check "24 lines of at most 80 characters" "test \$(wc -l <picture) -eq 24 && awk 'length > 80 { exit 1 }' picture"
check "four points of the frontier, one of them the champion" "head -n 20 picture | tr -cd 'o@' | wc -c | grep -qx 4 && grep -q '@' picture"
check "the other Trial" "head -n 19 picture | sed 1d | grep -q ' \\. *$'"
check "a line at the target" "grep -q -- '-----' picture"
check "title, axis and legend" "head -n 1 picture | grep -q '^x, eval set e' && grep -q 'p50 of a search, us' picture && grep -q '@ champion 40/20 m16' picture"
check "the cheapest stands left, the best right" "head -n 20 picture | awk '/o/ { if (!right) right = index(\$0, \"o\"); left = index(\$0, \"o\") } END { exit left >= right }'"
check "the same from stdin" "trial-plot --champion c - <five | cmp - picture"
check "another size" "trial-plot --size 120x40 x | awk 'length > 120 { exit 1 } END { exit NR != 40 }'"
check "one Trial" "head -n 1 five | trial-plot - | grep -q o"
check "all alike" "(trial a 1 1 1 1; trial b 1 1 1 1) | trial-plot - >o2"
check "recall 1 and a target of 1" "trial a 1 1 1.0 5 | trial-plot --target-recall 1 - >o2"
check "thousands" "awk 'BEGIN { srand(1); for (i = 0; i < 3000; i++) printf \"{\\\"id\\\":\\\"t%d\\\",\\\"index_name\\\":\\\"x\\\",\\\"eval_set\\\":\\\"e\\\",\\\"config\\\":{\\\"ef_construction\\\":1,\\\"ef_search\\\":1},\\\"metrics\\\":{\\\"recall_at_k\\\":%f,\\\"search_latency_p50_us\\\":%f}}\\n\", i, rand(), 10 + rand() * 1000 }' >many; trial-plot many </dev/null 2>/dev/null; trial-plot - <many | head -n 20 | grep -q o"
trial f 80 60 0.5 900 x ',"provenance":{"vectors_digest":"1","eval_digest":"1"}' >other
check "Trials on other data than the latest are left out" "cat other five | trial-plot - >o2"
says "1 of 6 Trials left out" "which is said"
check "or not" "cat other five | trial-plot --all - >o2"
check "without any remark" "test ! -s err"
status 1 "figures that no Trial has" trial-plot -x distances x
says "no Trial has 'distances_per_query'" "are told of"
check "distances" "sed 's/\"recall_at_k\"/\"distances_per_query\":123.5,\"recall_at_k\"/' five | trial-plot -x distances - | grep -q 'distances computed for a query'"
check "p99" "trial-plot -x p99 x | grep -q 'p99 of a search'"

# ---- nothing and nonsense ----
status 1 "no index" trial-plot nothing
status 1 "no Trial" "trial-plot - </dev/null"
status 3 "no JSON" "echo x | trial-plot -"
status 2 "no operand" trial-plot
status 2 "an unknown suffix" trial-plot -o x.gif x
for bad in x 10 10x 0800x400 800x0400 1x1 100000x10 10x10x10 -5x10; do
	status 2 "a bad size: $bad" trial-plot --size "$bad" x
done
status 2 "a bad axis" trial-plot -x mood x
status 2 "a target beyond 1" trial-plot --target-recall 1.5 x
check "Trials of rungs are left out" "trial-plot - <five >o1; (cat five; trial r 40 20 1 1 | jq -c '.config.rung = 50 | .provenance.vectors_digest = \"r\"') | trial-plot - >o2; cmp o1 o2"
says "1 of 6 Trials left out" "which is said"
status 1 "nothing but rungs" "trial r 40 20 1 1 | jq -c '.config.rung = 50' | trial-plot -"

# ---- text for a terminal ----
bytes=$(printf 'a\033[2J\302\233b\177\342\200\256c\342\201\246\342\200\250\377\355\240\200\300\200\303\251\360\237\230\200\342\202')
plain=$(printf 'a?[2J?b??c????????\303\251\360\237\230\200??')
check "a title" "trial-plot --title \"\$bytes\" x | head -n 1 >o2 && printf '%s\n' \"\$plain\" | cmp - o2"
check "the names of a record" "trial a 1 1 1 1 | jq -c --arg e \"\$(printf 'a\\033\\302\\233\\nb')\" '.eval_set = \$e' | trial-plot - | head -n 1 | grep -q 'eval set a???b,'"
status 2 "a message" "trial-plot \"--\$(printf '\\033')\""
says "unknown option '--?'" "has none either"
ln -s "$bin/trial-plot" "$(printf 'p\033\302\205q')"
status 2 "its own name" "./p*q"
says "try 'p??q --help'" "too"
rm p*q

# ---- pictures ----
if command -v gnuplot >/dev/null; then
	check "PNG" "trial-plot -o p.png x && head -c 8 p.png | od -An -tx1 | tr -d ' \n' | grep -qx 89504e470d0a1a0a"
	check "SVG, well-formed, with everything in it" "trial-plot -o p.svg x && grep -q '</svg>' p.svg && grep -q 'champion 40/20 m16' p.svg && grep -q 'target 0.9' p.svg && grep -q frontier p.svg"
	check "a title full of traps" "trial-plot --title \"it's \\\"a\\\" \\\`id\\\` @x_1 {/=9 y} \\\\n\" -o t.svg x && grep -q 'it.*s .*a.* .id. @x_1 {/=9 y}' t.svg"
	status 6 "a place that cannot be written" trial-plot -o nowhere/p.png x
	# Text of a record, or of an option, is data to gnuplot, never its language.
	for code in '"`touch hit`"' '"$(touch hit)"' '"e\n!touch hit\n#"' '"e\u0027\nsystem(\"touch hit\")\n#"' \
		'"e\"\nsystem(\"touch hit\")\n#"' '["1+system(\"touch hit\")"]'; do
		text=$(printf '%s' "$code" | jq -r 'if type == "string" then . else tojson end')
		for field in .id .metrics.recall_at_k .metrics.search_latency_p50_us .config.ef_construction .config.ef_search .config.m \
			.config .metrics .provenance .provenance.vectors_digest; do
			sed -n 3p five | jq -c --argjson v "$code" "$field = \$v"
		done >hostile
		# The last line names the picture.
		tail -n 1 five | jq -c --argjson v "$code" '.eval_set = $v | .index_name = $v | .metrics.k = $v' >>hostile
		for suffix in png svg; do
			rm -f h.$suffix
			trial-plot -q --all --champion c -o h.$suffix - <hostile && [ -s h.$suffix ] && [ ! -e hit ] || echo "records: $code $suffix"
			rm -f h.$suffix
			trial-plot --title "$text" --champion "$text" -o h.$suffix - <five && [ -s h.$suffix ] && [ ! -e hit ] ||
				echo "options: $code $suffix"
		done
	done >wrong 2>&1
	check "nothing that a record or an option says is run" "cat wrong; test ! -s wrong -a ! -e hit"
	check "a title is shown as it is" "trial-plot --title '<&> \`id\` \$(id) %s \\n' -o t.svg x && grep -qF '&lt;&amp;> \`id\` \$(id) %s \\n' t.svg"
	check "except for what no terminal and no XML has" "trial-plot --title \"\$(printf 'a\\033b\\302\\233c\\357\\277\\277d\\377e\\303\\251\\nf')\" -o t.svg x && grep -qF \"\$(printf 'a?b?c?d?e\\303\\251?f')\" t.svg"
	mkdir 'a `touch hit`"; system("touch hit")#' && cd 'a `touch hit`"; system("touch hit")#' || exit 1
	check "nor do directories and files" "TMPDIR=. HNSW_STORE=../store trial-plot -o \"it's \\\`touch hit\\\`.svg\" x && test -s \"it's \\\`touch hit\\\`.svg\" && test ! -e hit -a ! -e ../hit"
	cd ..

	# ---- where it is written ----
	check "a name that begins with a dash" "trial-plot -o-p.svg x && test -s ./-p.svg"
	echo precious >kept
	ln -s kept link.png
	check "a link is replaced, not followed" "trial-plot -o link.png x && grep -qx precious kept && test ! -L link.png"
	check "nor one planted beside it" "sh -c 'for i in \$(seq \$\$ \$((\$\$ + 50))); do ln -s kept q.png.\$i; done; exec trial-plot -o q.png x' && grep -qx precious kept"
	rm -f q.png.*
	check "permissions by umask" "(umask 027; trial-plot -o m.png x) && ls -l m.png | grep -q '^-rw-r-----'"
	mkdir d.png
	status 6 "a directory" trial-plot -o d.png x
	says "'d.png': it is a directory" "which is said"
	cp five five.png
	status 2 "the input" "trial-plot -o five.png - <five.png"
	check "which stays" cmp five five.png
	mkdir fake
	printf '#!/bin/sh\nkill -TERM $PPID\nexec "%s" "$@"\n' "$(command -v mv)" >fake/mv
	chmod +x fake/mv
	(PATH=$PWD/fake:$PATH trial-plot -o s.png x) >out 2>err
	check "nothing stays behind" "test -z \"\$(ls -A | grep -e '^\\.trial-plot' -e '\\.png\\.' -e '\\.svg\\.')\""
else
	report 0 "pictures # SKIP no gnuplot"
fi
finish
