#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# formats.pl parquet|hdf5|npz|safetensors [KEY=VALUE]... - write a small file of that format to
# standard output.  Value j of row i is ((37 i + 11 j) mod 256 - 128) / 16, which every float holds.
use strict;
use warnings;

my ($kind, %o) = (shift, map { split /=/, $_, 2 } @ARGV);
my ($rows, $dim) = ($o{rows} // 10, $o{dim} // 4);
binmode STDOUT;

sub value { ((37 * $_[0] + 11 * $_[1]) % 256 - 128) / 16 }

# An f16 of a number that is a multiple of 1/16 and below 16.
sub half {
	my $v = abs $_[0];
	return 0 if $v == 0;
	my $e = 0;
	while ($v >= 2) { $v /= 2; $e++ }
	while ($v < 1) { $v *= 2; $e-- }
	return ($_[0] < 0 ? 0x8000 : 0) | ($e + 15) << 10 | ($v - 1) * 1024;
}

my %pack = (float => sub { pack 'f<', $_[0] }, double => sub { pack 'd<', $_[0] },
	half => sub { pack 'S<', half($_[0]) }, big => sub { pack 'f>', $_[0] },
	int => sub { pack 'q<', 16 * $_[0] });

# ---- Parquet ----

# Thrift: a list of [id, type, bytes] as a struct.
sub varint { my ($v, $s) = ($_[0], ''); while ($v > 127) { $s .= chr(128 | $v & 127); $v >>= 7 } $s . chr $v }
sub zigzag { varint($_[0] < 0 ? -2 * $_[0] - 1 : 2 * $_[0]) }
sub structure {
	my ($last, $s) = (0, '');
	for (@_) { my ($id, $type, $bytes) = @$_; $s .= chr($id - $last << 4 | $type) . $bytes; $last = $id }
	return $s . "\0";
}
sub i32 { [$_[0], 5, zigzag($_[1])] }
sub i64 { [$_[0], 6, zigzag($_[1])] }
sub text { [$_[0], 8, varint(length $_[1]) . $_[1]] }
sub list { my ($id, $type, @e) = @_; [$id, 9, (@e < 15 ? chr(@e << 4 | $type) : chr(0xf0 | $type) . varint(scalar @e)) . join '', @e] }
sub object { my $id = shift; [$id, 12, structure(@_)] }

my %codec = (none => 0, snappy => 1, gzip => 2, brotli => 4, zstd => 6, lz4_raw => 7);
# Compressors that know literals, and for what repeats the byte before, copies.
sub snappy {
	my ($in, $out, $literals) = ($_[0], varint(length $_[0]), '');
	my $flush = sub {
		$out .= chr((length($1) - 1) << 2) . $1 while $literals =~ /(.{1,60})/gs;
		$literals = '';
	};
	while ($in =~ /\G(?:(.)\1{4,63}|(.))/gs) {
		$literals .= $1 // $2;
		next if !defined $1;
		my $n = length($&) - 1;
		$flush->();
		$out .= chr(($n - 1) << 2 | 2) . "\1\0";
	}
	$flush->();
	return $out;
}
sub lz4 {
	my ($in, $out, $literals) = ($_[0], '', '');
	my $head = sub { my $n = length $literals; $n < 15 ? '' : "\xff" x (($n - 15) / 255) . chr(($n - 15) % 255) };
	my $nibble = sub { length $literals < 15 ? length $literals : 15 };
	while ($in =~ /\G(?:(.)\1{5,17}|(.))/gs) {
		if (defined $1) {
			$literals .= $1;
			$out .= chr($nibble->() << 4 | length($&) - 5) . $head->() . "$literals\1\0";
			$literals = '';
		} else { $literals .= $2 }
	}
	return $out . chr($nibble->() << 4) . $head->() . $literals;
}
sub filter {
	my ($command, $in) = @_;
	require File::Temp;
	my $file = File::Temp->new;
	binmode $file;
	print $file $in;
	close $file;
	return scalar `$command <$file`;
}
my %compress = (none => sub { $_[0] }, snappy => \&snappy, lz4_raw => \&lz4, brotli => sub { $_[0] },
	gzip => sub { filter('gzip -c', $_[0]) }, zstd => sub { filter('zstd -qc', $_[0]) });

# Levels in runs of equal ones, or packed in groups of eight.
sub levels {
	my ($max, @l) = @_;
	my ($bits, $s) = (length sprintf('%b', $max), '');
	return '' if !$max;
	if ($o{packed}) {
		push @l, (0) x (-@l % 8);
		$s = pack 'b*', join '', map { scalar reverse sprintf "%0${bits}b", $_ } @l;
		return varint(@l / 8 << 1 | 1) . $s;
	}
	while (@l) { my ($v, $n) = ($l[0], 0); while (@l && $l[0] == $v) { shift @l; $n++ } $s .= varint($n << 1) . chr $v }
	return $s;
}

my $file = 'PAR1';
my $codec = $o{codec} // 'none';

sub page {
	my ($type, $id, $body, $plain, @header) = @_;
	$file .= structure(i32(1, $type), i32(2, $plain), i32(3, length $body), object($id, @header)) . $body;
}

sub values_of {
	my ($column, $encoding, $dictionary, @v) = @_;
	if ($encoding == 8) {
		my $bits = length sprintf '%b', scalar(keys %$dictionary) - 1;
		my @n = map { $dictionary->{$_} } @v;
		push @n, (0) x (-@n % 8);
		return chr($bits) . varint(@n / 8 << 1 | 1) . pack 'b*', join '', map { scalar reverse sprintf "%0${bits}b", $_ } @n;
	}
	if ($encoding == 9) {
		my $width = length $v[0];
		return join '', map { my $k = $_; join '', map { substr $_, $k, 1 } @v } 0 .. $width - 1;
	}
	return join '', $column->{lengths} ? map { pack('L<', length $_) . $_ } @v : @v;
}

sub data_page {
	my ($column, $encoding, $dictionary, @e) = @_;
	my $n = $o{encoding_number} // $encoding;
	my $rep = levels($column->{rep}, map { $_->[0] } @e);
	my $def = levels($column->{def}, map { $_->[1] } @e);
	my $values = values_of($column, $encoding, $dictionary, grep { defined } map { $_->[2] } @e);
	if ($o{v2}) {
		my $packed = $compress{$codec}->($values);
		my $starts = grep { $_->[0] == 0 } @e;
		page(3, 8, $rep . $def . $packed, length($rep . $def . $values), i32(1, scalar @e), i32(2, 0),
			i32(3, $starts), i32(4, $n), i32(5, length $def), i32(6, length $rep));
	} else {
		my $plain = join '', (map { length $_ ? pack('L<', length $_) . $_ : '' } $rep, $def), $values;
		page(0, 5, $compress{$codec}->($plain), length $plain, i32(1, scalar @e), i32(2, $n), i32(3, 3), i32(4, 3));
	}
}

# Write the values [rep, def, bytes]... of a column; returns its ColumnChunk.
sub chunk {
	my ($column, @e) = @_;
	my $start = length $file;
	my $encoding = $column->{lengths} || !$column->{rep} ? 'plain' : $o{encoding} // 'plain';
	my (%dictionary, @entries);
	my $first = $encoding =~ /dict|mixed/ ? 8 : $encoding eq 'split' ? 9 : 0;
	if ($first == 8) {
		for (grep { defined } map { $_->[2] } @e) { $dictionary{$_} //= push(@entries, $_) - 1 }
		my $body = join '', @entries;
		page(2, 7, $compress{$codec}->($body), length $body, i32(1, scalar @entries), i32(2, 0), [3, 2, '']);
	}
	my $pages = length $file;
	my $per = $o{page} // 1e9;
	my $n = @e;
	while (@e) {
		data_page($column, $first, \%dictionary, splice @e, 0, $per);
		$first = 0 if $encoding eq 'mixed';
	}
	my @dictionary = $pages > $start ? i64(11, $start) : ();
	my $meta = object(3, i32(1, $column->{type}), list(2, 5, zigzag(0)), list(3, 8, map { varint(length $_) . $_ } split /\./, $column->{path}),
		i32(4, $codec{$codec}), i64(5, $n), i64(6, length($file) - $start), i64(7, length($file) - $start), i64(9, $pages), @dictionary);
	return structure(i64(2, $start), $meta);
}

sub element {
	my ($name, %e) = @_;
	return structure(defined $e{type} ? i32(1, $e{type}) : (), $e{width} ? i32(2, $e{width}) : (),
		defined $e{repetition} ? i32(3, $e{repetition}) : (), text(4, $name), $e{children} ? i32(5, $e{children}) : (),
		defined $e{converted} ? i32(6, $e{converted}) : (), $e{logical} ? object(10, [$e{logical}, 12, "\0"]) : ());
}

sub parquet {
	my %type = (float => 4, double => 5, half => 7, binary => 6, fixed => 7);
	my $type = $o{type} // 'float';
	my $vectors = $type =~ /binary|fixed/ ? undef : $pack{$type};
	my (@columns, @schema);
	my $ids = $o{ids} // 'text';
	if ($ids ne 'none') {
		my %id = (text => [6, 0], int => [2, undef], uuid => [7, undef]);
		my ($t, $converted) = @{$id{$ids}};
		push @columns, {path => 'id', type => $t, rep => 0, def => 1, lengths => $t == 6, id => 1};
		push @schema, element($o{id} // 'id', type => $t, repetition => 1, converted => $converted, $ids eq 'uuid' ? (width => 16, logical => 14) : ());
	}
	for my $name (split /,/, $o{columns} // 'embedding') {
		if ($vectors) {
			push @columns, {path => "$name.list.element", type => $type{$type}, rep => 1, def => 3};
			push @schema, element($name, repetition => 1, children => 1, converted => 3), element('list', repetition => 2, children => 1),
				element('element', type => $type{$type}, repetition => 1, $type eq 'half' ? (width => 2, logical => 15) : ());
		} else {
			push @columns, {path => $name, type => $type{$type}, rep => 0, def => 1, lengths => $type eq 'binary'};
			push @schema, element($name, type => $type{$type}, repetition => 1, $type eq 'fixed' ? (width => 4 * $dim) : ());
		}
	}
	my ($breaks, $at) = split /:/, $o{break} // 'nothing:-1';
	my $levels = sub {
		my ($c, $i) = @_;
		my $bad = $i == $at ? $breaks : '';
		if ($c->{id}) {
			return [0, 0, undef] if $bad eq 'id';
			return [0, 1, $ids eq 'int' ? pack('q<', $i - 3) : $ids eq 'uuid' ? pack('NnnnNn', 0, 0, 0, 0, 0, $i) : "doc-$i"];
		}
		my $n = $bad eq 'ragged' ? $dim - 1 : $dim;
		return [0, 0, undef] if $bad eq 'null';
		return [0, 1, join '', map { pack 'f<', value($i, $_) } 0 .. $n - 1] if !$vectors;
		return [0, 1, undef] if $bad eq 'empty';
		return map { [$_ ? 1 : 0, $bad eq 'value' && $_ == 2 ? (2, undef) : (3, $vectors->($bad eq 'nan' ? 9**9**9 / 9**9**9 : value($i, $_)))] } 0 .. $n - 1;
	};
	my @groups;
	for (my $from = 0; $from < $rows; $from += $o{group} // $rows) {
		my $to = $from + ($o{group} // $rows);
		$to = $rows if $to > $rows;
		my @chunks;
		for my $c (@columns) { push @chunks, chunk($c, map { $levels->($c, $_) } $from .. $to - 1) }
		push @groups, structure(list(1, 12, @chunks), i64(2, 0), i64(3, $to - $from));
	}
	my $top = scalar(@columns);
	my $footer = structure(i32(1, 1), list(2, 12, element('schema', children => $top), @schema), i64(3, $rows), list(4, 12, @groups));
	print $file, $footer, pack('L<', length $footer), 'PAR1';
}

# ---- HDF5 ----

sub hdf5 {
	my $new = ($o{version} // 0) >= 2;
	my $out = "\0" x ($new ? 48 : 96);
	my $put = sub { $out .= "\0" x (-length($out) % 8); my $at = length $out; $out .= $_[0]; $at };
	my $message = sub {
		my ($type, $data) = @_;
		return pack('CSC', $type, length $data, 0) . $data if $new;
		$data .= "\0" x (-length($data) % 8);
		return pack('SSCx3', $type, length $data, 0) . $data;
	};
	my $header = sub {
		my $all = join '', @_;
		# Everything but the first message is continued elsewhere.
		my $rest = join '', @_[1 .. $#_];
		return $put->("OHDR\2\2" . pack('L<', length $all) . $all . "\0" x 4) if $new && !$o{continued};
		return $put->(pack('CxSLLx4', 1, scalar @_, 1, length $all) . $all) if !$o{continued};
		my $block = $put->($new ? "OCHK$rest\0\0\0\0" : $rest);
		my $first = $_[0] . $message->(0x10, pack 'QQ', $block, length($rest) + ($new ? 8 : 0));
		return $put->($new ? "OHDR\2\2" . pack('L<', length $first) . $first . "\0" x 4
			: pack('CxSLLx4', 1, 1 + @_, 1, length $first) . $first);
	};
	my $float = sub { my ($n, $e, $m, $big) = @_; pack 'C C3 L SSCCCCL', 0x11, 0x20 | $big, $n * 8 - 1, 0, $n, 0, $n * 8, $m, $e, 0, $m, 2**($e - 1) - 1 };
	my %types = (float => $float->(4, 8, 23, 0), double => $float->(8, 11, 52, 0), half => $float->(2, 5, 10, 0), big => $float->(4, 8, 23, 1),
		int => pack('C C3 L SS', 0x10, 8, 0, 0, 8, 0, 64), text => pack('C C3 L', 0x13, 0, 0, 0, 4));
	my $set = sub {
		my ($n, $d, $type, $make) = @_;
		my $at = $put->(join '', map { my $i = $_; map { ($pack{$type} // $pack{float})->($make->($i, $_)) } 0 .. $d - 1 } 0 .. $n - 1);
		my $size = length($out) - $at;
		my $shape = $new ? pack('CCCC', 2, 2, 0, 1) . pack('QQ', $n, $d) : pack('CCCx5', 1, 2, 0) . pack('QQ', $n, $d);
		my $layout = $o{chunked} ? pack('CCC', 3, 2, 3) . "\0" x 32 : pack('CC', 3, 1) . pack 'QQ', $at, $size;
		return $header->($message->(1, $shape), $message->(3, $types{$type}), $message->(8, $layout));
	};
	my $type = $o{type} // 'float';
	my %objects = (train => $set->($rows, $dim, $type, \&value), test => $set->(3, $dim, $type, sub { value($_[0] + 1, $_[1]) }));
	# The answers by l2, row by row.
	my @nearest = map {
		my $q = $_ + 1;
		my @d = map { my $i = $_; my $s = 0; $s += (value($i, $_) - value($q, $_))**2 for 0 .. $dim - 1; $s } 0 .. $rows - 1;
		[sort { $d[$a] <=> $d[$b] || $a <=> $b } 0 .. $rows - 1];
	} 0 .. 2;
	$nearest[1] = [reverse @{$nearest[1]}] if $o{wrong};
	my $k = $rows < 5 ? $rows : 5;
	$objects{neighbors} = $set->(3, $k, 'int', sub { $nearest[$_[0]][$_[1]] / 16 });
	my @names = sort keys %objects;
	my $root;
	if ($new) {
		$root = $header->(map { $message->(6, pack('CCC', 1, 0, length $_) . $_ . pack 'Q', $objects{$_}) } @names);
		substr $out, 0, 48, "\x89HDF\r\n\x1a\n" . pack('CCCC', $o{version}, 8, 8, 0) . pack('QQQQ', 0, ~0, length $out, $root) . "\0" x 4;
	} else {
		my ($text, $entries) = ("\0" x 8, '');
		for (@names) {
			$entries .= pack 'QQLx4x16', length $text, $objects{$_}, 0;
			$text .= "$_\0" . "\0" x (-(1 + length $_) % 8);
		}
		my $segment = $put->($text);
		my $heap = $put->("HEAP\0\0\0\0" . pack 'QQQ', length $text, 1, $segment);
		my $node = $put->("SNOD\1\0" . pack('S', scalar @names) . $entries);
		my $tree = $put->("TREE\0\0" . pack('S', 1) . pack('QQQQQ', ~0, ~0, 0, $node, 8));
		$root = $header->($message->(0x11, pack 'QQ', $tree, $heap));
		substr $out, 0, 96, "\x89HDF\r\n\x1a\n" . pack('CCCCCCCC', 0, 0, 0, 0, 0, 8, 8, 0) . pack('SSL', 4, 16, 0) .
			pack('QQQQ', 0, ~0, length $out, ~0) . pack('QQLx4x16', 0, $root, 0);
	}
	print $out;
}

# ---- the small ones ----

sub matrix { my $pack = shift; join '', map { my $i = $_; map { $pack->(value($i, $_)) } 0 .. $dim - 1 } 0 .. $rows - 1 }

sub npz {
	my $head = sprintf "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", $rows, $dim;
	my $npy = "\x93NUMPY\1\0" . pack('S<', 118) . $head . ' ' x (117 - length $head) . "\n" . matrix($pack{float});
	my ($out, $directory, @names) = ('', '', split /,/, $o{columns} // 'emb');
	my ($method, $packed) = (0, $npy);
	if ($o{deflate}) {
		# What gzip makes, without its header and trailer.
		($method, $packed) = (8, substr filter('gzip -nc', $npy), 10, -8);
	}
	for my $name (map { "$_.npy" } @names) {
		my $sizes = pack 'LLL', 0, length $packed, length $npy;
		my $at = length $out;
		my ($extra, $in_directory) = ('', $sizes);
		if ($o{zip64}) {
			$extra = pack 'SSQQ', 1, 16, length $npy, length $packed;
			$in_directory = pack 'LLL', 0, 0xffffffff, 0xffffffff;
		}
		$out .= pack('LSSSSS', 0x04034b50, 45, 0, $method, 0, 0) . $in_directory . pack('SS', length $name, length $extra) . $name . $extra . $packed;
		$directory .= pack('LSSSSSS', 0x02014b50, 45, 45, 0, $method, 0, 0) . $in_directory . pack('SSSSSLL', length $name, length $extra, 0, 0, 0, 0, $at) . $name . $extra;
	}
	print $out, $directory, pack 'LSSSSLLS', 0x06054b50, 0, 0, scalar @names, scalar @names, length $directory, length $out, 0;
}

sub safetensors {
	my %dtype = (float => 'F32', double => 'F64', half => 'F16', bf16 => 'BF16');
	my $type = $o{type} // 'float';
	my $data = matrix($type eq 'bf16' ? sub { substr pack('f<', $_[0]), 2 } : $pack{$type});
	my ($at, @tensors) = (0);
	for (split /,/, $o{columns} // 'emb') {
		push @tensors, sprintf '"%s":{"dtype":"%s","shape":[%d,%d],"data_offsets":[%d,%d]}', $_, $dtype{$type}, $rows, $dim, $at, $at + length $data;
		$at += length $data;
	}
	my $header = '{"__metadata__":{"format":"pt"},' . join(',', @tensors, sprintf '"bias":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}', $at, $at + 4) . '}';
	print pack('Q<', length $header), $header, $data x @tensors, "\0" x 4;
}

my %kinds = (parquet => \&parquet, hdf5 => \&hdf5, npz => \&npz, safetensors => \&safetensors);
($kinds{$kind // ''} or die "formats.pl: no such format\n")->();
