#!/bin/sh
# Index files that were cut, flipped or made up: refused, or at worst wrong answers; never a
# signal.
. "$(dirname "$0")/lib.sh"

vectors 300 12 1 >v.jsonl
vectors 5 12 2 >q.jsonl
(cat v.jsonl; echo '{"id":"dup","vector":'"$(head -n 1 v.jsonl | jq -c .vector)"'}') | hnsw-build --metric l2 -m 5 - -o g.hnsw >out
size=$(wc -c <g.hnsw)
check "the file is good" hnsw-info --check g.hnsw

for n in 0 1 7 8 31 32 100 400 1000 $((size / 2)) $((size - 1)); do
	head -c "$n" g.hnsw >cut.hnsw
	status 3 "cut to $n bytes" hnsw-search cut.hnsw q.jsonl
	status 3 "so with vectors on disk" hnsw-search --vectors disk cut.hnsw q.jsonl
done
says "'cut.hnsw'" "the file is named"
(cat g.hnsw; echo x) >long.hnsw
status 3 "too long" hnsw-search long.hnsw q.jsonl
says "its header says $size" "with both sizes"
status 3 "something else" hnsw-search v.jsonl q.jsonl
says "is not a file of hnsw-tools" "is told of"
hnsw-convert v.jsonl -o v.hvec
status 3 "another kind of file" hnsw-search ./v.hvec q.jsonl
says "is of kind 'vecs', expected 'hnsw'" "is told of"

# Flip one byte here and there; every flip in a chunk is found by --check, and none of
# them, nor any in the header, ends a search by a signal.
flip() { # OFFSET
	cp g.hnsw f.hnsw
	byte=$(dd if=g.hnsw bs=1 skip="$1" count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
	# shellcheck disable=SC2059
	printf "\\$(printf %o $((byte ^ ${2:-255})))" | dd of=f.hnsw bs=1 seek="$1" conv=notrunc 2>/dev/null
}
# Bytes between chunks, and after the table, mean nothing.
perl -e 'local $/; open my $in, "<:raw", "g.hnsw"; my $f = <$in>; my $n = unpack "V", substr $f, 24, 4; my $at = 32 + 32 * $n + 8;
	for my $i (0 .. $n - 1) { my ($off, $size) = unpack "Q< Q<", substr $f, 40 + 32 * $i, 16; print join("\n", $at .. $off - 1), "\n" if $off > $at; $at = $off + $size }' >gaps
signals=0 unseen=0 n=0
for step in $(awk -v size="$size" 'BEGIN {srand(3); for (i = 0; i < 500; i += 8) print i; for (i = 0; i < 120; i++) print int(rand() * size)}'); do
	flip "$step"
	n=$((n + 1))
	hnsw-info --check f.hnsw >out 2>err
	rc=$?
	[ $rc -le 6 ] || signals=$((signals + 1))
	[ $rc -ne 0 ] || grep -qx "$step" gaps || unseen=$((unseen + 1))
	hnsw-search -k 50 f.hnsw q.jsonl >out 2>err
	[ $? -le 6 ] || signals=$((signals + 1))
done
count=$((count + 1))
[ $signals -eq 0 ] && echo "ok $count - $n flips: none ends by a signal" || { echo "not ok $count - $signals of $n flips end by a signal"; failed=$((failed + 1)); }
count=$((count + 1))
[ $unseen -eq 0 ] && echo "ok $count - the check finds all that are in a chunk" || { echo "not ok $count - the check misses $unseen of $n flips"; failed=$((failed + 1)); }

# A liar whose checksums are right: damage the content, then mend the sums.
lie() { # NAME PERL: what to do to the bytes of chunk NAME in $_
	perl -e '
		use strict;
		my ($name, $code) = @ARGV;
		local $/;
		open my $in, "<:raw", "g.hnsw" or die; my $f = <$in>;
		my $count = unpack "V", substr $f, 24, 4;
		for my $i (0 .. $count - 1) {
			my ($n, $z, $off, $size) = unpack "a4 V Q< Q<", substr $f, 32 + 32 * $i, 24;
			next if $n ne $name;
			local $_ = substr $f, $off, $size;
			eval $code; die $@ if $@;
			substr($f, $off, $size) = $_;
		}
		open my $out, ">:raw", "lie.hnsw" or die; print $out $f;' "$1" "$2"
}
# The header's own sum covers the table only, so contents can lie without it being found
# at once; what searching relies on is checked or bounded.
for case in 'lnk0 $_ = "\xfe\xff\xff\xff" x (length($_) / 4)' 'lnk0 $_ = "\x00\x00\x00\x00" x (length($_) / 4)' \
	'upli $_ = "\x77\x00\x00\x00" x (length($_) / 4)' 'upno $_ = "\xff\xff\xff\x7f" x (length($_) / 4)' \
	'upfi $_ = "\xff\xff\xff\x7f" x (length($_) / 4)' 'upfi $_ = "\x00\x00\x00\x00" x (length($_) / 4)' \
	'nrow $_ = "\xff\xff\xff\xff" x (length($_) / 4)' 'dupn $_ = "\xff\xff\xff\xff" x (length($_) / 4)' \
	'dupr $_ = "\xff\xff\xff\xff" x (length($_) / 4)' 'iden $_ = "\xff" x length($_)' 'iden $_ = "\x00" x length($_)' \
	'vect $_ = "\x00\x00\xc0\x7f" x (length($_) / 4)' \
	'head substr($_, 0, 4) = pack "V", 99' 'head substr($_, 4, 4) = pack "V", 3' 'head substr($_, 8, 4) = pack "V", 1 << 30' 'head substr($_, 16, 4) = pack "V", 4000000000' \
	'head substr($_, 20, 4) = pack "V", 4000000000' 'head substr($_, 40, 4) = pack "V", 31' 'head substr($_, 44, 4) = pack "V", 4000000000' \
	'head substr($_, 48, 4) = pack "V", 4000000000' 'head substr($_, 52, 4) = pack "V", 4000000000' 'head substr($_, 64, 8) = pack "Q<", 1 << 62'; do
	lie "${case%% *}" "${case#* }"
	hnsw-search -k 300 lie.hnsw q.jsonl >out 2>err
	rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 3 ]
	report $? "a lie in ${case%% *}: ${case#* }" "exit status $rc"
	hnsw-search -k 300 --exact lie.hnsw q.jsonl >out 2>err
	rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 3 ]
	report $? "and for an exact search" "exit status $rc"
	hnsw-search -k 300 --vectors disk lie.hnsw q.jsonl >out 2>err
	rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 3 ]
	report $? "and with vectors on disk" "exit status $rc"
	status 3 "the check refuses it" hnsw-info --check lie.hnsw
done
finish
