# SPDX-License-Identifier: MIT
# What the campaign attacks.  Of every command that changes state: how its directory is prepared
# (a fixture, and shell text), the command, and what must hold of what it leaves, however it ended;
# then the commands that only read, and the pairs that run one beside the other.
#
#	scenario NAME, fixture => NAME, prepare => SHELL, run => COMMAND,
#		again     => COMMAND that is run afterwards, without faults (default: the same)
#		again_ok  => [STATUS...] that it may end with (default: 0)
#		holds     => sub ($try, $done): complain with $try->lost() and the like; $done: the
#			     command had ended with 0, $try->{out} is what it had printed
#		at_last   => sub ($try): the same, after the command was run again
#		most      => points of one kind at most (default: all)
#
# A command is words, without quotes, VARIABLE=VALUE before them, <FILE behind them; HOST is where
# the embedding server listens.
package Scenarios;
use strict;
use warnings;
use JSON::PP;

our (@all, %fixture, @readers, @pairs);
my $json = JSON::PP->new;

sub scenario {
	my ($name, %s) = @_;
	push @all, {name => $name, fixture => 'empty', prepare => ':', again => $s{run}, again_ok => [0],
		most => 0, holds => sub { }, at_last => sub { }, %s};
}

# Shell vocabulary of the preparations.
our $prelude = <<'SH';
trial() { printf '{"id":"%s","index_name":"x","eval_set":"e","config":{"ef_construction":%s,"ef_search":30,"seed":42,"m":16},"metrics":{"build_time_secs":1.5,"search_latency_p50_us":%s,"search_latency_p95_us":900,"search_latency_p99_us":990,"recall_at_k":0.95,"memory_bytes":1000,"vectors":100,"eval_queries":10,"brute_force_latency_us":50.0},"created_at":"2026-04-16T15:26:21.123456Z","note":null}\n' "$1" "${2:-80}" "${3:-500}"; }
rows() { awk -v n="$1" -v seed="$2" -v p="$3" 'BEGIN { srand(seed); for (i = 0; i < n; i++) { printf "{\"id\":\"%s%d\",\"vector\":[", p, i; for (j = 0; j < 8; j++) printf "%s%.6f", j ? "," : "", rand() * 2 - 1; print "]}" } }'; }
SH

%fixture = (
	empty => '',
	trials => 'for i in 0 1 2; do trial b$i; done >base; trial-append <base; promote x b0; promote x b1
		for i in 0 1 2 3 4; do trial n$i; done >new; trial n5 80 400 >better',
	dataset => 'rows 20 1 a >a; rows 10 2 b >b; rows 5 3 c >c; rows 3 4 a >newer
		ingest docs <a; index-add docs; ingest docs <b',
	tuned => 'rows 60 1 a | ingest docs; index-add docs; evalset -q -N 8 --save ev docs
		index-add --eval-set ev docs; rows 1 9 q >query
		hnsw-build -q -t 1 -c 20 docs -o i.hnsw >build
		hnsw-bench --seconds 0 --index docs -s 10 build ev | trial-append docs | promote --no-pin docs
		activate -q -t 1 docs; trial-list docs >trials; rm i.hnsw build',
	files => 'rows 100 1 a >a.jsonl; rows 30 2 b >b.jsonl; rows 10 3 z >z.jsonl
		hnsw-build -q -t 1 --metric l2 a.jsonl -o a.hnsw; hnsw-build -q -t 1 b.jsonl -o b.hnsw',
	texts => 'i=0; while [ $i -lt 12 ]; do echo "text $i"; i=$((i + 1)); done >texts; mkdir -p store/primary',
);

sub lines { return grep { length } split /\n/, $_[0] }
sub acknowledged { my ($t, $done) = @_; return $done || $t->{out} =~ /\n\z/ }

# ---- Trials ----

# The Trials of an index as lines.
sub journal {
	my ($t, $index) = @_;
	my $out = $t->reads("trial-list $index", 'there is no store', 'there is no index') // return;
	return lines($out);
}

sub trials_hold {
	my ($t, $done) = @_;
	my @base = lines($t->file('base'));
	my (%want, %have) = map { $_ => 1 } @base, lines($t->file('new'));
	$have{$_}++ for journal($t, 'x');
	my $whole = $t->{out} =~ s/[^\n]*\z//r;
	$have{$_} or $t->lost("Trial " . substr $_, 0, 20) for @base, lines($whole);
	$want{$_} or $t->lost("a line that nobody wrote: " . substr $_, 0, 60) for keys %have;
	$have{$_} == 1 or $t->lost("a Trial is there twice") for keys %have;
	$t->wrong('status 0, but not all is printed') if $done && $t->{out} ne $t->file('new');
}

scenario 'trial-append-first', prepare => 'for i in 0 1 2 3 4; do trial n$i; done >new',
	run => 'trial-append --batch 2 x <new', holds => \&trials_hold;
scenario 'trial-append', fixture => 'trials', run => 'trial-append --batch 2 x <new', holds => \&trials_hold;

sub compacted {
	my $t = shift;
	my @want = lines($t->file('base'));
	my @have = journal($t, 'x');
	my %have = map { $_ => 1 } @have;
	$have{$_} or $t->lost('a Trial') for @want;
	$t->wrong('the order of the Trials') if "@have" ne "@want";
}
my $batches = 'for i in 0 1 2 3; do trial b$i | trial-append; done >base';
for my $how ('', ' --zstd') {
	scenario 'trial-compact' . $how =~ s/ --/-/r, prepare => $batches, run => "trial-compact$how x",
		holds => \&compacted,
		at_last => sub {
			my @left = $_[0]->files('store/primary/_hnsw_trials/x/');
			$_[0]->rubbish("@left, expected one batch") if @left != 1;
		};
}
scenario 'trial-compact-again', prepare => "$batches; trial-compact x; trial b4 >>base; trial b4 | trial-append",
	run => 'trial-compact --zstd x', holds => \&compacted;

# ---- promotions ----

sub promoted {
	my ($t, $index) = @_;
	my $out = $t->reads("promoted --full $index", 'nothing is promoted', 'there is no store', 'no promotion');
	return defined $out && $out =~ /\S/ ? $json->decode($out) : undef;
}

# One of two Trials is current, the second once that was told; and so is the revision.
sub promotes {
	my ($old, $new, $revision) = @_;
	return sub {
		my ($t, $done) = @_;
		my $p = promoted($t, 'x');
		my $now = $p && $p->{current} ? $p->{current}{trial_id} : '';
		$t->lost("what was promoted: now '$now'") if $now ne $old && $now ne $new;
		$t->lost('an acknowledged promotion') if acknowledged($t, $done) && $now ne $new;
		$t->lost("revision $p->{revision}")
			if $p && $now eq $old && $revision && $p->{revision} != $revision;
	};
}
scenario 'promote', fixture => 'trials', run => 'promote x b2', holds => promotes('b1', 'b2', 2);
scenario 'promote-first', prepare => 'trial b0 >base; trial-append <base', run => 'promote x b0',
	holds => promotes('', 'b0', 0);
scenario 'promote-new-store', prepare => 'trial b0 >base', run => 'promote x <base', holds => promotes('', 'b0', 0);
scenario 'promote-if-better', fixture => 'trials', prepare => 'trial-append <better',
	run => 'promote --if-better --trust-stored x n5', again_ok => [0, 1], holds => promotes('b1', 'n5', 2);
scenario 'rollback', fixture => 'trials', run => 'rollback --expect b1 x', again_ok => [0, 4],
	holds => promotes('b1', 'b0', 2);

# ---- datasets ----

sub count_rows {
	my $out = $_[0]->reads('hnsw-info --vectors docs', 'there is no store', 'no index or dataset') // return 0;
	return $out =~ /"vectors":(\d+)/ ? $1 : 0;
}

sub rows_are {
	my ($old, $new) = @_;
	return sub {
		my ($t, $done) = @_;
		my $n = count_rows($t);
		$t->lost("$n rows, expected $old or $new") if $n != $old && $n != $new;
		$t->lost("an acknowledged batch") if acknowledged($t, $done) && $n != $new;
	};
}
sub triggered {
	$_[0]->lost('the trigger') if !$_[0]->files('store/primary/_hnsw_agent/queue/');
}
scenario 'ingest-first', prepare => 'rows 5 3 c >c', run => 'ingest --batch-id c docs <c', holds => rows_are(0, 5);
scenario 'ingest', fixture => 'dataset', run => 'ingest --batch-id c docs <c', holds => rows_are(30, 35),
	at_last => \&triggered;
scenario 'ingest-without-id', fixture => 'dataset', run => 'ingest docs <c', again_ok => [0, 3],
	holds => rows_are(30, 35);
scenario 'ingest-repeated', fixture => 'dataset', prepare => 'ingest --batch-id c docs <c',
	run => 'ingest --batch-id c docs <c', holds => rows_are(35, 35);
scenario 'ingest-replace', fixture => 'dataset', run => 'ingest --replace docs <newer',
	holds => sub {
		my ($t, $done) = @_;
		rows_are(30, 30)->(@_);
		my $is = $t->reads('hnsw-info --vectors docs') =~ s/"name[^,]*,//r;
		$t->{before} = $is if $t->{pristine};
		$t->lost('the newer rows') if acknowledged($t, $done) && $is eq $t->{before};
	};
scenario 'ingest-texts', fixture => 'texts', prepare => 'sed "s/text \\(.*\\)/{\"id\":\"\\1\",\"text\":\"&\"}/" texts >t',
	run => 'ingest --batch-id c --embedder hash:8 docs <t', holds => rows_are(0, 12);
scenario 'dataset-cache', fixture => 'dataset', run => 'hnsw-info --vectors docs', holds => rows_are(30, 30);

# ---- the registry ----

sub registered {
	my ($old, $new) = @_;
	return sub {
		my ($t, $done) = @_;
		my $out = $t->reads('index-list docs', 'there is no store', 'is not registered') // '';
		my $now = $out =~ /"eval_set":"(\w*)"/ ? $1 : $out ? '' : undef;
		$t->lost('the registration') if !defined $now && defined $old;
		$t->lost('what was acknowledged') if acknowledged($t, $done) && ($now // '-') ne $new;
	};
}
scenario 'index-add-first', run => 'index-add -q --eval-set ev --dimensions 8 docs', holds => registered(undef, 'ev');
scenario 'index-add', fixture => 'dataset', run => 'index-add -q --eval-set ev docs', holds => registered('', 'ev');

sub tuned_holds {
	my $t = shift;
	my %have = map { $_ => 1 } journal($t, 'docs');
	$have{$_} or $t->lost('a Trial') for lines($t->file('trials'));
	my $p = promoted($t, 'docs');
	$t->lost('the promotion') if !$p || !$p->{current};
	my $hits = $t->reads('hnsw-search -k 3 docs <query');
	$t->lost('the served index') if !defined $hits || $hits !~ /"hits":\[\{/;
	$t->reads('evalset --index docs --info ev');
}
scenario 'index-move', fixture => 'tuned', run => 'index-move docs archive', most => 400, holds => sub {
	my ($t, $done) = @_;
	tuned_holds($t);
	my ($bucket) = ($t->reads('index-list docs') // '') =~ /"bucket":"(\w*)"/;
	$t->lost('the move') if acknowledged($t, $done) && ($bucket // '') ne 'archive';
};

# ---- eval sets ----

sub evalset_is {
	my ($command, @of) = @_;
	return sub {
		my ($t, $done) = @_;
		my $out = $t->reads($command, 'there is no', 'No such file', 'no eval set');
		return $of[0] || $done ? $t->lost('the eval set') : () if !defined $out;
		my ($n) = $out =~ /"queries":(\d+)/;
		$t->lost("the eval set: $n queries") if $out && !grep { $n == $_ } @of;
		$t->lost('what was acknowledged') if $done && ($n // 0) != $of[-1];
	};
}
scenario 'evalset-save-first', fixture => 'dataset', run => 'evalset -q -t 1 -N 7 --save ev docs',
	holds => evalset_is('evalset --info ev', 0, 7);
scenario 'evalset-save', fixture => 'dataset', prepare => 'evalset -q -N 5 --save ev docs',
	run => 'evalset -q -t 1 -N 7 --save ev docs', holds => evalset_is('evalset --info ev', 5, 7);
scenario 'evalset-file', fixture => 'dataset', prepare => 'evalset -q -N 5 -o ev.json docs',
	run => 'evalset -q -t 1 -N 7 -o ev.json docs', holds => evalset_is('evalset --info ./ev.json', 5, 7);
scenario 'evalset-hold-out', fixture => 'files', run => 'evalset -q -t 1 -N 7 -o ev.json --hold-out rest.npy a.jsonl',
	holds => sub {
		my ($t, $done) = @_;
		evalset_is('evalset --info ./ev.json', 0, 7)->(@_);
		$t->reads('hnsw-info --vectors rest.npy') if $done || -e "$t->{dir}/rest.npy";
	};
scenario 'evalset-refresh', fixture => 'tuned', prepare => 'rows 6 5 y | ingest docs',
	run => 'evalset -q -t 1 --index docs --refresh ev docs', holds => sub {
		my ($t, $done) = @_;
		my $is = $t->reads('evalset --index docs --info ev') // return $t->lost('the eval set');
		$t->{before} = $is if $t->{pristine};
		$t->lost('the new answers') if $done && $is eq $t->{before};
	};

# ---- index files and vector files ----

# FILE is the one in old/ or the one in new/, the latter when done.
sub file_is {
	my @files = @_;
	return sub {
		my ($t, $done) = @_;
		for (@files) {
			my ($is, $old, $new) = map { $t->file($_) } $_, "old-$_", "new-$_";
			$t->lost("$_: neither the old nor the new file") if $is ne $old && $is ne $new;
			$t->lost("$_: status 0, but not written") if $done && $is ne $new;
		}
	};
}

# A command that writes files, given its words with OUT for the prefix of their names.
sub writes {
	my ($name, $run, $old, @files) = @_;
	(my $new = $run) =~ s/OUT/new-out/g;
	$run =~ s/OUT/out/g;
	scenario $name, fixture => 'files', run => $run, holds => file_is(@files),
		prepare => "$new; " . ($old ? "cp $old $files[0]; cp $old old-$files[0]" : ':');
}
writes 'hnsw-build', 'hnsw-build -q -t 1 a.jsonl -o OUT.hnsw', '', 'out.hnsw';
writes 'hnsw-build-over', 'hnsw-build -q -t 1 a.jsonl -o OUT.hnsw', 'b.hnsw', 'out.hnsw';
writes 'hnsw-build-append', 'hnsw-build -q -t 1 --append a.hnsw z.jsonl -o OUT.hnsw', 'b.hnsw', 'out.hnsw';
writes 'hnsw-build-rungs', 'hnsw-build -q -t 1 --rungs 20,50 a.jsonl -o OUT.hnsw', '', 'out.hnsw', 'out.20.hnsw',
	'out.50.hnsw';
scenario 'hnsw-build-in-place', fixture => 'files', run => 'hnsw-build -q -t 1 --append out.hnsw z.jsonl -o out.hnsw',
	prepare => 'hnsw-build -q -t 1 --append a.hnsw z.jsonl -o new-out.hnsw; cp a.hnsw out.hnsw; cp a.hnsw old-out.hnsw',
	again => 'hnsw-build -q -t 1 --append a.hnsw z.jsonl -o out.hnsw', holds => file_is('out.hnsw');
writes 'hnsw-build-rows', 'hnsw-build -q -t 1 docs -o OUT.hnsw', 'b.hnsw', 'out.hnsw';
$all[-1]{prepare} = "ingest docs <a.jsonl; ingest docs <b.jsonl; $all[-1]{prepare}";
writes 'hnsw-convert-npy', 'hnsw-convert a.jsonl -o OUT.npy', 'b.hnsw', 'out.npy';
writes 'hnsw-convert-text', 'hnsw-convert a.jsonl -o OUT.txt', '', 'out.txt';
writes 'hnsw-convert-ids', 'hnsw-convert a.jsonl -o OUT.hvec', 'b.hnsw', 'out.hvec';
writes 'hnsw-convert-faiss', 'hnsw-convert --labels row a.hnsw -o OUT.faiss', 'b.hnsw', 'out.faiss';
writes 'hnsw-convert-hnswlib', 'hnsw-convert --labels row a.hnsw -o OUT.bin', 'b.hnsw', 'out.bin';
writes 'hnsw-convert-usearch', 'hnsw-convert --labels row a.hnsw -o OUT.usearch', 'b.hnsw', 'out.usearch';
writes 'hnsw-convert-import', 'hnsw-convert a.faiss -o OUT.hnsw', 'b.hnsw', 'out.hnsw';
$all[-1]{prepare} = "hnsw-convert --labels row a.hnsw -o a.faiss; $all[-1]{prepare}";

# ---- embeddings ----

my $embed = 'embed --lines --embedder ollama --url http://HOST --model good --timeout 5 --retries 1 texts';
sub embedded {
	my ($t, $done) = @_;
	$t->lost('rows, though status 0') if $done && lines($t->{out}) != 12;
}
scenario 'embed-cache-first', fixture => 'texts', run => $embed, holds => \&embedded, most => 150;
# The eighth segment: all are merged.
scenario 'embed-cache-merge', fixture => 'texts', run => $embed, holds => \&embedded, most => 150,
	prepare => 'for i in 1 2 3 4 5 6 7; do echo "other $i" >one; ' . ($embed =~ s/texts$/one/r) . '; done';

# ---- the served index, tuning, the agent ----

scenario 'activate', fixture => 'tuned', prepare => 'rows 6 5 y | ingest docs', run => 'activate -q -t 1 docs',
	most => 60, holds => sub {
		my ($t, $done) = @_;
		tuned_holds($t);
		my ($new) = $t->{out} =~ /"generation":"(\w+)"/;
		my ($now) = $t->file('store/primary/_hnsw_active/docs/current.json') =~ /"generation":"(\w+)"/;
		$t->lost('what was activated') if acknowledged($t, $done) && ($now // '') ne ($new // '-');
	}, at_last => sub {
		my %gens = map { m{/(gen_\d+)/} ? ($1 => 1) : () } $_[0]->files('store/primary/_hnsw_active/docs/');
		$_[0]->rubbish(keys(%gens) . ' generations') if keys %gens > 2;
	};
scenario 'autotune', fixture => 'tuned', run => 'autotune -q -t 1 --trust-stored --grid 20/12,30/12 docs',
	most => 60, holds => sub {
		my ($t, $done) = @_;
		tuned_holds($t);
		$t->wrong('status 0 without a result') if $done && $t->{out} !~ /\S/;
	};

my $agent = 'HNSW_AGENT_COOLDOWN_BETWEEN_TRIALS_SECS=0 HNSW_AGENT_MAX_TRIALS_PER_HOUR=100000 autotune-agent -t 1';
sub waiting { return $_[0]->files('store/primary/_hnsw_agent/queue/') }
scenario 'agent-enqueue', fixture => 'tuned', run => 'autotune-agent enqueue docs', holds => sub {
	my ($t, $done) = @_;
	$t->reads('autotune-agent status');
	$t->lost('the event') if acknowledged($t, $done) && !waiting($t);
}, most => 300;
scenario 'agent-once', fixture => 'tuned', prepare => 'autotune-agent enqueue docs',
	run => "$agent --trust-stored once", again_ok => [0, 1], most => 100, holds => sub {
		my ($t, $done) = @_;
		tuned_holds($t);
		$t->reads('autotune-agent status');
		$t->lost('the event') if journal($t, 'docs') < 2 && !waiting($t);
		$t->wrong('status 0 without a Trial') if $done && journal($t, 'docs') < 2;
	}, at_last => sub {
		my $t = shift;
		# After a failure it is tried again later; a periodic wake may come first.
		my $status = $t->reads('autotune-agent status') // '';
		return if waiting($t) && $status =~ /"attempts":[1-9]/;
		$t->lost('the event led to no Trial') if journal($t, 'docs') < 2;
		$t->rubbish('the event is in the queue still') if waiting($t);
	};

# ---- blobs ----

sub blob_is {
	my ($key, $old, $new) = @_;
	return sub {
		my ($t, $done) = @_;
		my $is = $t->reads("hnsw-store get $key", 'there is no');
		my @want = map { $_ eq '-' ? undef : $t->file($_) } $old, $new;
		my $same = sub { defined $_[0] ? defined $is && $is eq $_[0] : !defined $is };
		$t->lost('the blob') if !$same->($want[0]) && !$same->($want[1]);
		# A removal is not synchronised: after a power cut the blob may be there again.
		$t->lost('what status 0 acknowledged') if $done && !$same->($want[1]) && !($t->{cut} && $new eq '-');
	};
}
my $blobs = 'echo old >old; echo new >new; hnsw-store put primary/k/old <old';
scenario 'hnsw-store-put', prepare => $blobs, run => 'hnsw-store put primary/k/old <new',
	holds => blob_is('primary/k/old', 'old', 'new');
scenario 'hnsw-store-create', prepare => $blobs, run => 'hnsw-store put --create primary/j/new <new',
	again_ok => [0, 4], holds => blob_is('primary/j/new', '-', 'new');
scenario 'hnsw-store-delete', prepare => $blobs, run => 'hnsw-store delete primary/k/old',
	holds => blob_is('primary/k/old', 'old', '-'), most => 100;
scenario 'hnsw-store-lock', prepare => $blobs, run => 'hnsw-store lock primary/k/old -- hnsw-store put primary/k/old <new',
	holds => blob_is('primary/k/old', 'old', 'new');

# ---- readers: whatever goes wrong, status 0 means the whole answer ----

# FIXTURE, NAME, COMMAND, whether its output varies
@readers = (
	['trials', 'trial-list', 'trial-list x'],
	['trials', 'trial-list-zstd', 'trial-list x', 0, 'trial-append <new; trial-compact --zstd x'],
	['trials', 'trial-best', 'trial-best x'],
	['trials', 'trial-best-jq', 'trial-best --jq .metrics.recall_at_k x'],
	['trials', 'promoted', 'promoted x'],
	['trials', 'promoted-list', 'promoted --list'],
	['trials', 'propose', 'propose -N 3 x'],
	['dataset', 'index-list', 'index-list'],
	['dataset', 'bucket-list', 'bucket-list'],
	['dataset', 'hnsw-info-vectors', 'hnsw-info --vectors docs'],
	['tuned', 'evalset-info', 'evalset --info ev'],
	['tuned', 'hnsw-info', 'hnsw-info --check docs'],
	['tuned', 'hnsw-search', 'hnsw-search -k 3 docs <query'],
	['tuned', 'hnsw-bench', 'hnsw-bench -q --seconds 0 docs ev', 1],
	['tuned', 'trial-duel', 'trial-duel -q -s 10,12 --seconds 0 docs docs ev', 1],
	['tuned', 'agent-status', 'autotune-agent status'],
	['tuned', 'hnsw-store-get', 'hnsw-store get primary/_hnsw_evals/ev.json'],
	['tuned', 'hnsw-store-list', 'hnsw-store list primary'],
	['tuned', 'activate-dry-run', 'activate -n docs'],
	['files', 'hnsw-convert', 'hnsw-convert a.jsonl'],
	['files', 'hnsw-convert-sample', 'hnsw-convert --sample 5 a.jsonl'],
	['files', 'evalset', 'evalset -q -t 1 -N 7 a.jsonl', 1],
	['texts', 'embed-hash', 'embed --lines --embedder hash:8 texts'],
);

# ---- one beside the other ----

# NAME, FIXTURE, PREPARE, FIRST (it is stopped before each of its calls), SECOND, what must hold:
# sub ($try, $first, $second), which are {status, out}
sub two_done {
	my ($t, $a, $b) = @_;
	my $p = promoted($t, 'x');
	my @is = map { $_ ? $_->{trial_id} : () } $p->{current}, @{$p->{history}};
	for ([$a, 'b2'], [$b, 'b0']) {
		my ($run, $id) = @$_;
		$t->lost("an acknowledged promotion of $id") if $run->{status} eq 0 && !grep { $_ eq $id } @is;
	}
	$t->lost("revision $p->{revision}") if $p->{revision} != 2 + grep { $_->{status} eq 0 } $a, $b;
}
@pairs = (
	['promote|promote', 'trials', ':', 'promote x b2', 'promote x b0', \&two_done],
	['promote|rollback', 'trials', ':', 'promote x b2', 'rollback x', sub {
		my ($t, $a, $b) = @_;
		my $p = promoted($t, 'x');
		$t->lost("revision $p->{revision}") if $p->{revision} != 2 + grep { $_->{status} eq 0 } $a, $b;
	}],
	['trial-list|trial-compact', 'empty', $batches, 'trial-list x', 'trial-compact x', sub {
		my ($t, $a) = @_;
		$t->lost('Trials') if $a->{status} eq 0 && $a->{out} ne $t->file('base');
		$t->wrong("trial-list ended with $a->{status}") if $a->{status} ne 0;
	}],
	['trial-append|trial-compact', 'trials', ':', 'trial-append --batch 2 x <new', 'trial-compact x', sub {
		my ($t, $a) = @_;
		$t->{out} = $a->{out};
		trials_hold($t, $a->{status} eq 0);
	}],
	['trial-compact|trial-append', 'trials', ':', 'trial-compact x', 'trial-append --batch 2 x <new', sub {
		my ($t, $a, $b) = @_;
		$t->{out} = $b->{out};
		trials_hold($t, $b->{status} eq 0);
	}],
	['trial-append|trial-append', 'trials', ':', 'trial-append --batch 2 x <new', 'trial-append x <new', sub {
		my ($t, $a, $b) = @_;
		my %have = map { $_ => 1 } journal($t, 'x');
		$have{$_} or $t->lost('a Trial') for lines($a->{out}), lines($b->{out}), lines($t->file('base'));
	}],
	['index-add|index-add', 'dataset', ':', 'index-add -q --eval-set ev docs', 'index-add -q --model-name m docs', sub {
		my ($t, $a, $b) = @_;
		my $is = $t->reads('index-list docs') // '';
		$t->lost('the eval set') if $a->{status} eq 0 && $is !~ /"eval_set":"ev"/;
		$t->lost('the model') if $b->{status} eq 0 && $is !~ /"model_name":"m"/;
	}],
	(map {
		my ($name, $command, $holds) = @$_;
		["$name|index-move", 'trials', 'index-add -q --dimensions 8 x', $command, 'index-move x archive', sub {
			my ($t, $a, $b) = @_;
			$holds->($t, $a);
			$t->lost('the move') if $b->{status} eq 0 && $t->reads('index-list x') !~ /"bucket":"archive"/;
		}];
	} ['promote', 'promote x b2', sub {
		my ($t, $a) = @_;
		my $p = promoted($t, 'x');
		$t->lost('the promotion') if $a->{status} eq 0 && $p->{current}{trial_id} ne 'b2';
	}], ['rollback', 'rollback x', sub {
		my ($t, $a) = @_;
		my $p = promoted($t, 'x');
		$t->lost('the rollback') if $a->{status} eq 0 && $p->{current}{trial_id} ne 'b0';
	}], ['trial-append', 'trial-append --batch 2 x <new', sub {
		my ($t, $a) = @_;
		$t->{out} = $a->{out};
		trials_hold($t, $a->{status} eq 0);
	}]),
	['index-move|index-move', 'trials', 'index-add -q --dimensions 8 x', 'index-move x archive', 'index-move x other', sub {
		my ($t) = @_;
		$t->{out} = '';
		trials_hold($t, 0);
		my $p = promoted($t, 'x');
		$t->lost('the promotion') if !$p || $p->{current}{trial_id} ne 'b1';
	}],
	['ingest|ingest', 'dataset', ':', 'ingest --batch-id c docs <c', 'ingest --batch-id c docs <c', sub {
		my ($t, $a, $b) = @_;
		my $n = count_rows($t);
		$t->lost("$n rows") if $n != 35;
	}],
	['ingest-first|ingest-first', 'empty', 'rows 5 3 c >c; rows 5 4 d >d', 'ingest docs <c', 'ingest --bucket other docs <d', sub {
		my ($t, $a, $b) = @_;
		my $n = count_rows($t);
		$t->lost("$n rows") if $n != 5 * grep { $_->{status} eq 0 } $a, $b;
	}],
	['append|append', 'files', 'cp a.hnsw out.hnsw', 'hnsw-build -q -t 1 --append out.hnsw z.jsonl -o out.hnsw',
		'hnsw-build -q -t 1 --append out.hnsw b.jsonl -o out.hnsw', sub {
			my ($t, $a, $b) = @_;
			my ($n) = ($t->reads('hnsw-info out.hnsw') // '') =~ /"vectors":(\d+)/;
			$t->lost("$n rows") if $n != 100 + ($a->{status} eq 0 ? 10 : 0) + ($b->{status} eq 0 ? 30 : 0);
		}],
	['enqueue|enqueue', 'tuned', ':', 'autotune-agent enqueue docs', 'autotune-agent enqueue other', sub {
		my ($t, $a, $b) = @_;
		my $want = grep { $_->{status} eq 0 } $a, $b;
		$t->lost('an event') if waiting($t) != $want;
	}],
);

1;
