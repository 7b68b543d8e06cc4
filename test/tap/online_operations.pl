# Runs early
#
# Clients write and read throughout while shards move back and forth, split, tenants are isolated, nodes are drained and filled again:
# no row is lost or doubled, nobody sees an error or a wrong answer. Then the same while one process or server after the
# other is killed at each step of a move and of a split: what was acknowledged is there, the old shards are in use, nothing is left behind.
#
# A few of the 50 operations, and the kills that differ most; all of them, 84 kills, with CIVITAS_LONG set (12 minutes).
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use ShardTraffic;
use Test::More;
use Time::HiRes qw(sleep time);

my $long = $ENV{CIVITAS_LONG};
my $cluster = CivitasCluster->new(
	workers => 3,
	conf => "citus.recover_2pc_interval = 1000\ncitus.defer_shard_delete_interval = 500\nrestart_after_crash = on\n"
	  . "citus.node_connection_timeout = 5000\nfsync = off\n");
my $traffic = ShardTraffic->new($cluster);
my %node_of = map { split /\|/ } split /\n/, $cluster->sql('SELECT groupid, nodeid FROM pg_dist_node');

# A shard of the group, by its place in the order of hashes or of widths, and where it is.
sub shard
{
	my ($place, $order) = @_;
	$order //= 'shardminvalue::int';
	my @shards = split /\n/, $cluster->sql(q{SELECT shardid, shardminvalue, shardmaxvalue, groupid FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
		WHERE logicalrelid = 'counters'::regclass 
		ORDER BY } . $order);
	my %shard;
	@shard{qw(id min max group)} = split /\|/, $shards[ $place % @shards ];
	return \%shard;
}

sub move_sql
{
	my ($place, $mode) = @_;
	my $shard = shard($place);
	my $to = $shard->{group} % 3 + 1;
	return "SELECT citus_move_shard_placement($shard->{id}, $node_of{ $shard->{group} }, $node_of{$to}, '$mode')";
}

my $by_width = 'shardminvalue::bigint - shardmaxvalue::bigint, shardid';

# The widest shard in two or three, one of them beside the old shard.
sub split_sql
{
	my ($number) = @_;
	my $shard = shard(0, $by_width);
	my $pieces = 2 + $number % 2;
	my $points = join ',', map { int($shard->{min} + ($shard->{max} - $shard->{min}) / $pieces * $_) } 1 .. $pieces - 1;
	my $nodes = join ',', map { $node_of{ ($shard->{group} + $_) % 3 + 1 } } 1 .. $pieces - 1;
	return "SELECT citus_split_shard_by_split_points($shard->{id}, '{$points}', '{$nodes,$node_of{ $shard->{group} }}', 'auto')";
}

sub drain_sql { my ($i) = @_; return sprintf q{SELECT citus_drain_node('127.0.0.1', %d)}, $cluster->node($i)->port; }

sub fill_sql
{
	my ($i) = @_;
	return sprintf q{SELECT citus_set_node_property('127.0.0.1', %d, 'shouldhaveshards', true); SELECT rebalance_table_shards('counters', threshold => 0)},
	  $cluster->node($i)->port;
}

# --- 50 operations under load -------------------------------------------------------------------------

# Ten of them, again and again: n counts the rounds.
my @operations = (
	[ 'move', sub { move_sql($_[0], 'auto') } ], [ 'move back', sub { move_sql($_[0], 'force_logical') } ],
	[ 'split', sub { split_sql($_[0]) } ], [ 'drain', sub { drain_sql(1 + $_[0] % 3) } ],
	[ 'isolate', sub { my $key = 1 + $_[0] * 17; "SELECT isolate_tenant_to_new_shard('counters', $key, 'CASCADE')" } ],
	[ 'fill', sub { fill_sql(1 + $_[0] % 3) } ], [ 'move', sub { move_sql($_[0] + 2, 'auto') } ],
	[ 'split', sub { split_sql($_[0] + 3) } ], [ 'move', sub { move_sql($_[0] + 1, 'auto') } ], [ 'move back', sub { move_sql($_[0] + 1, 'auto') } ]);
$traffic->start_writers(4);
$traffic->start_readers(2);
my $begin = time;
my $failed = '';
my $wrong = '';
my $done = 0;
# As many as fit into some seconds without CIVITAS_LONG, but each kind at least once.
while ($done < 50 && $failed eq '' && ($long || $done < @operations || time - $begin < 25))
{
	my ($name, $sql) = @{ $operations[ $done % @operations ] };
	$sql = $sql->(int($done / @operations));
	my ($code, $out, $err) = $cluster->try(0, "SET client_min_messages = warning; $sql");
	$failed .= "$name: $sql: $err" if $code != 0;
	$done++;
	$wrong .= $traffic->disagreement($done % 4);
}
$traffic->stop;
is($failed, '', "$done operations succeed");
is($wrong, '', 'answers are right in between');
is($traffic->errors, '', 'no client saw an error or a wrong answer');
is($traffic->wrong($_), '', "no row was lost or doubled, says node $_") for 0, 2;
cmp_ok($traffic->transactions, '>', 0, 'writers wrote');
cmp_ok($traffic->{reads}, '>', 0, 'readers read');
diag sprintf '%d operations in %d s beside %d transactions and %d reads; longest write transaction: %.1f ms',
  $done, time - $begin, $traffic->transactions, $traffic->{reads}, $traffic->{longest};
is($traffic->leftovers, '', 'nothing is left after clean-up');

# --- kills --------------------------------------------------------------------------------------------

# Victims are found on their node: the process that moves, the one that sends changes, the one that applies them; or the
# node itself dies with all its processes.
my %process = (
	mover => 'pid = %d',
	sender => q{backend_type = 'walsender'},
	applier => q{query LIKE '%%apply_changes%%' AND pid <> pg_backend_pid()});

sub kill_process
{
	my ($i, $victim, $run) = @_;
	my $pid = $cluster->node($i)->safe_psql('postgres', sprintf "SELECT pid FROM pg_stat_activity WHERE $process{$victim} LIMIT 1", $run->{pid});
	return 0 if $pid eq '';
	my $position = $cluster->log_position($i);
	kill 'KILL', $pid;
	$cluster->wait_for_restart($i, $position);
	return 1;
}

# One operation, interrupted at a point; rows and shards must be right afterwards, whichever way it has ended.
sub kill_at
{
	my ($kind, $point, $victim) = @_;
	my $shard = $kind eq 'move' ? shard(0) : shard(0, $by_width);
	my $before = $cluster->sql('SELECT count(*), sum(shardid * groupid) FROM pg_dist_placement');
	$traffic->start_writers(4, 2000);
	my $target = $shard->{group} % 3 + 1;
	my $sql = $kind eq 'move' ? move_sql(0, 'auto') : split_sql(0);
	$target = ($shard->{group} + 1) % 3 + 1 if $kind eq 'split';
	my $run = ShardTraffic::start_at($cluster, $point, $sql);
	my %where = (mover => 0, coordinator => 0, sender => $shard->{group}, source => $shard->{group}, applier => $target, target => $target);
	my $i = $where{$victim};
	my $what = "$kind, $victim killed at $point";
	if ($process{$victim})
	{
		kill_process($i, $victim, $run) or fail("$what: there is no such process");
	}
	else
	{
		$cluster->kill_server($i);
	}
	ShardTraffic::let_go($cluster, $run);
	$cluster->start_killed($i) if !$process{$victim};
	$traffic->tend;
	my $ended = $run->{err} eq '' ? 'succeeded' : 'failed';
	my $after = $cluster->sql('SELECT count(*), sum(shardid * groupid) FROM pg_dist_placement');
	is($after, $before, "$what: it $ended, the old placement is in use") if $ended eq 'failed';
	isnt($run->{err}, '', "$what: it fails") if $victim =~ /^(?:mover|coordinator)$/;
	$traffic->stop;
	my $left = $traffic->leftovers;
	is($left, '', "$what: nothing is left behind");
	is($traffic->wrong, '', "$what: rows are right");
	my ($code, $out, $err) = $cluster->try(0, 'UPDATE counters SET n = n');
	is($err, '', "$what: writes work");
}

my @points = qw(move_published move_copied move_indexed move_applying move_caught_up move_blocked);
my %points = (
	move => [ qw(move_begun move_created), @points, qw(move_filled move_switched) ],
	split => [ 'split_created', @points, qw(split_filled split_switched) ]);
# Between these the changes are streamed.
my %streamed = map { $_ => 1 } qw(move_caught_up move_blocked);
my @cases =
  ([ 'move', 'move_caught_up', 'sender' ], [ 'move', 'move_blocked', 'applier' ], [ 'split', 'split_switched', 'coordinator' ], [ 'split', 'move_blocked', 'source' ]);
if ($long)
{
	@cases = ();
	for my $kind (qw(move split))
	{
		for my $point (@{ $points{$kind} })
		{
			push @cases, [ $kind, $point, $_ ] for grep { !/sender|applier/ || $streamed{$point} } qw(mover sender applier coordinator source target);
		}
	}
}
kill_at(@$_) for @cases;

done_testing();
