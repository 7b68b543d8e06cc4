# Shards are split and tenants isolated while clients write and read: no row is lost or doubled, no client sees an error. Then
# the splitting session or a node is killed at some of the steps: the old shard goes on working, and nothing is left behind.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use IPC::Run;

my $cluster = CivitasCluster->new(
	workers => 2,
	conf => "citus.recover_2pc_interval = 1000\ncitus.defer_shard_delete_interval = -1\n"
	  . "restart_after_crash = on\ncitus.node_connection_timeout = 5000\nfsync = off\n");
my $coordinator = $cluster->node(0);
my $dir = $coordinator->basedir;
# A key, a long value that updates of other columns do not send, a table without a key and with NULLs.
$cluster->sql(q{
	CREATE TABLE counters (k int PRIMARY KEY, n int NOT NULL, long text);
	ALTER TABLE counters ALTER COLUMN long SET STORAGE EXTERNAL;
	SELECT create_distributed_table('counters', 'k', shard_count => 1, colocate_with => 'none');
	CREATE TABLE log (k int REFERENCES counters, id bigserial, at timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (k, id));
	SELECT create_distributed_table('log', 'k', colocate_with => 'counters');
	CREATE TABLE notes (k int, n int, doc json, nothing text);
	ALTER TABLE notes REPLICA IDENTITY FULL;
	SELECT create_distributed_table('notes', 'k', colocate_with => 'counters');
	INSERT INTO counters SELECT i, 0, repeat('0', 3000) FROM generate_series(1, 200) i;
	INSERT INTO notes SELECT i, 0, '{"a": 1}' FROM generate_series(1, 200) i, generate_series(1, 2);
});
my @nodes = split /\n/, $cluster->sql('SELECT nodeid FROM pg_dist_node ORDER BY groupid');

sub file
{
	my ($name, $text) = @_;
	open my $out, '>', "$dir/$name" or die $!;
	print $out $text;
	close $out;
	return "$dir/$name";
}

# Cuts the widest shard in two or three, on nodes that change from call to call.
my $calls = 0;
sub split_sql
{
	my ($mode) = @_;
	my ($shard, $min, $max) = split /\|/, $cluster->sql(q{SELECT shardid, shardminvalue, shardmaxvalue FROM pg_dist_shard
		WHERE logicalrelid = 'counters'::regclass ORDER BY shardmaxvalue::bigint - shardminvalue::bigint DESC, shardid LIMIT 1});
	my $pieces = 2 + $calls++ % 2;
	my $points = join ',', map { "'" . int($min + ($max - $min) / $pieces * $_) . "'" } 1 .. $pieces - 1;
	my $targets = join ',', map { $nodes[($calls + $_) % @nodes] } 1 .. $pieces;
	return "SELECT citus_split_shard_by_split_points($shard, ARRAY[$points], ARRAY[$targets], '$mode')";
}

# What was counted and what was logged agree, on every row, asked of any node.
sub agree
{
	my ($node) = @_;
	my @answers = map { $cluster->node($node)->safe_psql('postgres', $_) } (
		'SELECT count(*), count(DISTINCT k), count(*) FILTER (WHERE length(long) = 3000) FROM counters',
		'SELECT count(*) FROM counters c WHERE n <> (SELECT count(*) FROM log l WHERE l.k = c.k)',
		'SELECT (SELECT sum(n) FROM counters) - (SELECT count(*) FROM log)',
		'SELECT (SELECT sum(n) FROM notes) - 2 * (SELECT count(*) FROM log), (SELECT count(*) FROM notes)',
		q{SELECT count(*) FROM counters WHERE long <> repeat((n / 10)::text, 3000) AND n < 100});
	my $found = join ' ', @answers;
	return 1 if $found eq '200|200|200 0 0 0|400 0';
	diag("node $node: $found");
	return 0;
}

sub leftovers
{
	$cluster->sql('CALL citus_cleanup_orphaned_resources()');
	my $left = $cluster->sql('SELECT count(*) FROM pg_dist_cleanup') . ' ';
	for my $node (@{ $cluster->{nodes} })
	{
		my $group = $node->safe_psql('postgres', 'SELECT groupid FROM pg_dist_local_group');
		$left .= $node->safe_psql('postgres', qq{SET citus.show_shards_for_app_name_prefixes = '*';
			SELECT subname FROM pg_subscription UNION ALL SELECT slot_name FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication
			UNION ALL SELECT gid FROM pg_prepared_xacts
			UNION ALL SELECT relname FROM pg_class c WHERE relkind = 'r' AND relname ~ '^(counters|log|notes)_[0-9]+\$' AND NOT EXISTS (
				SELECT FROM pg_dist_placement WHERE groupid = $group AND shardid = substring(relname FROM '[0-9]+\$')::bigint)
			UNION ALL SELECT 'missing ' || shardid FROM pg_dist_placement WHERE groupid = $group AND NOT EXISTS (
				SELECT FROM pg_class WHERE relkind = 'r' AND relname ~ ('_' || shardid || '\$'))});
	}
	return $left;
}

# --- traffic while shards are split -------------------------------------------------------------------

my $writer = file('writer.sql', q{\set k random(1, 200)
BEGIN;
UPDATE counters SET n = n + 1 WHERE k = :k;
UPDATE counters SET long = repeat((n / 10)::text, 3000) WHERE k = :k AND n % 10 = 0 AND n < 100;
INSERT INTO log (k) VALUES (:k);
UPDATE notes SET n = n + 1, nothing = CASE n % 3 WHEN 0 THEN 'some' END WHERE k = :k;
COMMIT;
});
my $reader = file('reader.sql', q{\set k random(1, 200)
SELECT 1 / (n = (SELECT count(*) FROM log l WHERE l.k = c.k))::int FROM counters c WHERE k = :k;
SELECT 1 / (count(*) = 400)::int FROM counters JOIN notes USING (k);
});
my $seconds = 10;
my @clients;
for my $client ([ 0, $writer, 2, 'prepared', 60 ], [ 1, $writer, 2, 'extended', 60 ], [ 0, $reader, 1, 'prepared', 10 ], [ 2, $reader, 1, 'simple', 10 ])
{
	my ($node, $script, $count, $mode, $rate) = @$client;
	my $number = @clients;
	my %run = (out => "$dir/bench$number.out", err => "$dir/bench$number.err", log => "$dir/bench$number", writes => $script eq $writer);
	$run{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $count, '-j', 1, '-T', $seconds, '-M', $mode, '-R', $rate, '-f', $script, '-l', '--log-prefix', $run{log},
			$cluster->node($node)->connstr('postgres') ], '<', \undef, '>', $run{out}, '2>', $run{err}, IPC::Run::timeout(120));
	push @clients, \%run;
}
my $end = time + $seconds - 3;
my $splits = 0;
my $failed = '';
while (time < $end && $splits < 12)
{
	my $sql = $splits % 3 == 2 ? "SELECT isolate_tenant_to_new_shard('counters', $splits * 17 + 1, 'CASCADE')" : split_sql('auto');
	my ($code, $out, $err) = $cluster->try(0, $sql);
	$failed .= "$sql: $err" if $code != 0;
	last if $code != 0;
	$splits++;
}
$_->{handle}->finish for @clients;
is($failed, '', "$splits splits under load succeed");
cmp_ok($splits, '>=', 1, 'shards were split');
my ($longest, $transactions) = (0, 0);
for my $client (@clients)
{
	is(slurp_file($client->{err}) =~ s/^pgbench \(.*\n//r, '', 'no client error');
	like(slurp_file($client->{out}), qr/number of failed transactions: 0 /, 'no failed transaction');
	for my $log (glob "$client->{log}.*")
	{
		for (split /\n/, slurp_file($log))
		{
			my @field = split / /;
			my $time = $field[2] - ($field[6] // 0);
			$transactions++;
			$longest = $time if $client->{writes} && $time > $longest;
		}
	}
}
note sprintf 'splits: %d; transactions: %d; longest write transaction: %.1f ms', $splits, $transactions, $longest / 1000;
ok(agree($_), "no row was lost or doubled, says node $_") for 0 .. 2;
is(leftovers(), '0 ', 'nothing is left after clean-up');

# --- killed half-way ----------------------------------------------------------------------------------

sub wait_until
{
	my ($what, $condition) = @_;
	for (1 .. 600)
	{
		return 1 if $condition->();
		sleep 0.1;
	}
	fail("waiting until $what");
	return 0;
}

sub start_at
{
	my ($point, $sql) = @_;
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start([ 'psql', '-X', '-q', '-d', $coordinator->connstr('postgres'), '-c', "SET application_name = 'splitter'",
			'-c', "SET citus.debug_point = '$point:wait'", '-c', $sql ],
		'<', \undef, '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(90));
	# It stands there when nothing else of it has been at work for a while.
	wait_until("the split stands at $point", sub {
		return 0 if $cluster->sql(q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'splitter' AND wait_event = 'Extension'
			AND state = 'active' AND state_change < clock_timestamp() - interval '1 s'}) eq '0';
		for my $node (@{ $cluster->{nodes} })
		{
			return 0 if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%'
				AND backend_type = 'client backend' AND (state = 'active' OR state_change > clock_timestamp() - interval '300 ms')}) ne '0';
		}
		return 1;
	});
	return \%run;
}

my $shards = $cluster->sql('SELECT count(*) FROM pg_dist_shard');
# Each step with CIVITAS_LONG set; two that stand for the others without.
my @cases = ([ 'move_caught_up', 'auto', 'session' ], [ 'split_switched', 'auto', 'node 1' ]);
push @cases, [ 'split_created', 'auto', 'session' ], [ 'move_published', 'auto', 'session' ], [ 'move_copied', 'block_writes', 'session' ],
  [ 'move_indexed', 'auto', 'node 1' ], [ 'split_filled', 'auto', 'session' ], [ 'split_switched', 'auto', 'session' ]
  if $ENV{CIVITAS_LONG};
for my $case (@cases)
{
	my ($point, $mode, $victim) = @$case;
	my $run = start_at($point, split_sql($mode));
	if ($victim eq 'session')
	{
		$cluster->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'splitter'});
	}
	else
	{
		$cluster->node(1)->stop('immediate');
		$cluster->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'splitter'});
		$cluster->node(1)->start;
	}
	$run->{handle}->finish;
	like($run->{err}, qr/terminat|closed/, "$victim killed at $point");
	is($cluster->sql('SELECT count(*) FROM pg_dist_shard'), $shards, '... leaves the shards as they were');
	$cluster->sql('UPDATE counters SET n = n + 1; INSERT INTO log (k) SELECT k FROM counters; UPDATE notes SET n = n + 1;'
		  . 'UPDATE counters SET long = repeat((n / 10)::text, 3000)');
	ok(agree(0), '... and the rows right');
	wait_until('all is cleaned up', sub { leftovers() eq '0 ' });
	is(leftovers(), '0 ', '... and nothing behind');
}

done_testing();
