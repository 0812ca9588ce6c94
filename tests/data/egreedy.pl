#!/usr/bin/perl
# The egreedy rule once more, written from its description alone and with Perl's big
# integers: reads Trials as JSON lines, prints the proposals.
#
#	egreedy.pl [-n COUNT] [-c CHAMPION_ID] [-p PENDING_FILE] <history
use strict;
use warnings;
use Math::BigInt;
use JSON::PP;

my ($count, $champion_id, $pending) = (1, undef, undef);
while (@ARGV) {
	my $o = shift;
	$count = shift if $o eq '-n';
	$champion_id = shift if $o eq '-c';
	$pending = shift if $o eq '-p';
}
my $json = JSON::PP->new;
my $two64 = Math::BigInt->new(2)->bpow(64);
my (%seen, %tried, $last, $champion);
my $length = 0;
while (my $line = <STDIN>) {
	my $t = eval { $json->decode($line) } or next;
	next if $seen{$t->{id}}++;
	my $c = $t->{config};
	$length++;
	$last = $c;
	$champion = $c if defined $champion_id && $t->{id} eq $champion_id;
	$tried{"$c->{ef_construction}/$c->{ef_search}"} = 1;
}
if (defined $pending) {
	open my $in, '<', $pending or die;
	while (<$in>) {
		my $c = $json->decode($_);
		$tried{"$c->{ef_construction}/$c->{ef_search}"} = 1;
	}
}
my $base = $champion // $last // {ef_construction => 80, ef_search => 30, m => 16};
my $m = exists $base->{m} ? $base->{m} : 32;

sub clamp { my ($v, $lo, $hi) = @_; return $v < $lo ? $lo : $v > $hi ? $hi : $v }

for my $item (1 .. $count) {
	# rng = (length * 0x9E3779B97F4A7C15 mod 2^64) | 1
	my $rng = Math::BigInt->new($length)->bmul(Math::BigInt->from_hex('9E3779B97F4A7C15'))->bmod($two64)->bior(1);
	my $next = sub {
		$rng->bxor($rng->copy->blsft(13)->bmod($two64));
		$rng->bxor($rng->copy->brsft(7));
		$rng->bxor($rng->copy->blsft(17)->bmod($two64));
		return $rng->copy;
	};
	my $found;
	for my $attempt (1 .. 32) {
		my ($ec, $es);
		if ($next->()->bmod(100)->numify < 25) {
			$ec = 10 + $next->()->bmod(391)->numify;
			$es = 10 + $next->()->bmod(191)->numify;
		} else {
			$ec = $base->{ef_construction} + (-40, -20, -10, 10, 20, 40)[$next->()->bmod(6)->numify];
			$es = $base->{ef_search} + (-20, -10, -5, 5, 10, 20)[$next->()->bmod(6)->numify];
		}
		$ec = clamp($ec, 10, 400);
		$es = clamp($es, 10, 200);
		next if $tried{"$ec/$es"};
		$found = "$ec/$es";
		print qq({"ef_construction":$ec,"ef_search":$es,"seed":42,"m":$m}\n);
		last;
	}
	last if !defined $found;
	$tried{$found} = 1;
	$length++;
}
