# SPDX-License-Identifier: MIT
# What a disk may hold after a power cut, by the promises of POSIX alone: of a file, what it had
# at its last fsync; of a directory, the names it had at its last fsync, and of each later change
# of a name, perhaps.  A tree is a hash from paths to contents, undef for directories.
package Disk;
use strict;
use warnings;

# What is there, all of it durable.
sub new {
	my ($class, $root) = @_;
	my $self = bless {root => (lstat $root)[1], data => {}, durable => {}, names => {}, kept => {}, changes => []},
		$class;
	$self->scan($root);
	return $self;
}

sub scan {
	my ($self, $path) = @_;
	my $ino = (lstat $path)[1];
	opendir my $d, $path or die "$path: $!";
	for my $name (grep { !/^\.\.?$/ } readdir $d) {
		my $its = (lstat "$path/$name")[1];
		$self->{names}{$ino}{$name} = $self->{kept}{$ino}{$name} = $its;
		if (-d _) {
			$self->{names}{$its} ||= {};
			$self->{kept}{$its} ||= {};
			$self->scan("$path/$name");
		} else {
			$self->{data}{$its} = $self->{durable}{$its} = Tree::content("$path/$name");
		}
	}
}

# A name appears (or, without an inode, goes).
sub name {
	my ($self, @changes) = @_;
	@changes = grep { exists $self->{names}{$_->[0]} } @changes or return;
	apply($self->{names}, \@changes);
	push @{$self->{changes}}, \@changes;
}

sub apply {
	my ($names, $changes) = @_;
	for (@$changes) {
		my ($dir, $name, $ino) = @$_;
		if (defined $ino) { $names->{$dir}{$name} = $ino } else { delete $names->{$dir}{$name} }
	}
}

# One line of the log of fault.so, and the data behind it.
sub play {
	my ($self, $c, $data) = @_;
	my $ino = $c->{ino};
	if ($c->{op} eq 'new' || $c->{op} eq 'create') {
		$self->{data}{$ino} = '';
		delete $self->{durable}{$ino};
		$self->name([$c->{dir}, $c->{name}, $ino]) if $c->{op} eq 'create';
	} elsif ($c->{op} eq 'mkdir') {
		$self->{names}{$ino} = {};
		$self->{kept}{$ino} = {};
		$self->name([$c->{dir}, $c->{name}, $ino]);
	} elsif ($c->{op} eq 'link') {
		$self->name([$c->{dir}, $c->{name}, $ino]);
	} elsif ($c->{op} eq 'unlink') {
		$self->name([$c->{dir}, $c->{name}]);
	} elsif ($c->{op} eq 'rename') {
		$self->name([$c->{dir2}, $c->{name2}, $ino], [$c->{dir}, $c->{name}]);
	} elsif ($c->{op} eq 'sync' && $self->{names}{$ino}) {
		$self->{kept}{$ino} = {%{$self->{names}{$ino}}};
		$_ = [grep { $_->[0] != $ino } @$_] for @{$self->{changes}};
		$self->{changes} = [grep { @$_ } @{$self->{changes}}];
	} elsif (exists $self->{data}{$ino}) {
		my $file = \$self->{data}{$ino};
		if ($c->{op} eq 'sync') {
			$self->{durable}{$ino} = $$file;
		} elsif ($c->{op} eq 'truncate') {
			$$file = substr $$file . "\0" x $c->{at}, 0, $c->{at};
		} elsif ($c->{op} eq 'write') {
			$$file .= "\0" x ($c->{at} - length $$file) if $c->{at} > length $$file;
			substr($$file, $c->{at}, length $data) = $data;
		}
	}
}

# The trees that there may be after a cut now, by what was kept: no change, all, all but one,
# only one; in each, files that were not synchronised have what they had, or zeros.
sub states {
	my $self = shift;
	my @changes = @{$self->{changes}};
	my %state = (none => $self->tree([], 0));
	$state{all} = $self->tree(\@changes, 1) if @changes;
	$state{torn} = $self->tree(\@changes, .5);
	for my $i (@changes > 1 ? 0 .. $#changes : ()) {
		$state{"only $i"} = $self->tree([$changes[$i]], 0);
		$state{"but $i"} = $self->tree([@changes[grep { $_ != $i } 0 .. $#changes]], 0);
	}
	return \%state;
}

# ${share}: of the bytes that were not synchronised, how many there are (as zeros if all).
sub tree {
	my ($self, $changes, $share) = @_;
	my %names = map { $_ => {%{$self->{kept}{$_}}} } keys %{$self->{kept}};
	apply(\%names, $_) for @$changes;
	my %tree;
	my @left = ([$self->{root}, '']);
	while (my $next = shift @left) {
		my ($dir, $path) = @$next;
		for my $name (keys %{$names{$dir}}) {
			my $ino = $names{$dir}{$name};
			if ($names{$ino}) {
				$tree{"$path$name"} = undef;
				push @left, [$ino, "$path$name/"];
				next;
			}
			my ($all, $safe) = ($self->{data}{$ino}, $self->{durable}{$ino});
			$all = '' unless defined $all;
			$safe = '' unless defined $safe;
			my $n = length $all;
			$tree{"$path$name"} = $share == 0 || $all eq $safe ? $safe
				: $share == 1 ? substr $safe . "\0" x $n, 0, $n
				: substr $all, 0, $n / 2;
		}
	}
	return \%tree;
}

# The log of fault.so: pairs of a change and its data.
sub read_log {
	my $text = Tree::content($_[0]);
	my ($at, @log) = (0);
	while ($at < length $text) {
		my $end = index $text, "\n", $at;
		my %c;
		@c{qw(op ino dir name dir2 name2 at len)} = split /\t/, substr($text, $at, $end - $at);
		push @log, [\%c, substr $text, $end + 1, $c{len}];
		$at = $end + 1 + $c{len};
	}
	return @log;
}

package Tree;

sub content {
	open my $f, '<:raw', $_[0] or return '';
	local $/;
	my $text = <$f>;
	return defined $text ? $text : '';
}

sub write {
	my ($tree, $root) = @_;
	mkdir $root;
	for my $path (sort keys %$tree) {
		if (!defined $tree->{$path}) {
			mkdir "$root/$path" or die "$root/$path: $!";
			next;
		}
		open my $f, '>:raw', "$root/$path" or die "$root/$path: $!";
		print $f $tree->{$path};
		close $f or die "$root/$path: $!";
	}
}

sub read {
	my ($root, $below, $tree) = @_;
	$below = '' unless defined $below;
	$tree ||= {};
	opendir my $d, "$root/$below" or return $tree;
	for my $name (grep { !/^\.\.?$/ } readdir $d) {
		my $path = "$below$name";
		lstat "$root/$path" or next;
		$tree->{$path} = -d _ ? undef : content("$root/$path");
		Tree::read($root, "$path/", $tree) if !defined $tree->{$path};
	}
	return $tree;
}

sub remove {
	my $root = shift;
	opendir my $d, $root or return;
	for my $name (grep { !/^\.\.?$/ } readdir $d) {
		lstat "$root/$name";
		if (-d _) { remove("$root/$name") } else { unlink "$root/$name" }
	}
	rmdir $root;
}

1;
