# Shards are split and tenants isolated while clients write and read rows of all sorts (long values, NULLs, no key): none is lost
# or doubled, no client sees an error. Then the splitting session ends at some of the steps. For kills see online_operations.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use ShardTraffic;
use Test::More;
use Time::HiRes qw(sleep time);

my $cluster = CivitasCluster->new(
	workers => 2,
	conf => "citus.recover_2pc_interval = 1000\ncitus.defer_shard_delete_interval = -1\n"
	  . "restart_after_crash = on\ncitus.node_connection_timeout = 5000\nfsync = off\n");
my $coordinator = $cluster->node(0);
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

# --- traffic while shards are split -------------------------------------------------------------------

my $writer = $cluster->write_file('writer.sql', q{\set k random(1, 200)
BEGIN;
UPDATE counters SET n = n + 1 WHERE k = :k;
UPDATE counters SET long = repeat((n / 10)::text, 3000) WHERE k = :k AND n % 10 = 0 AND n < 100;
INSERT INTO log (k) VALUES (:k);
UPDATE notes SET n = n + 1, nothing = CASE n % 3 WHEN 0 THEN 'some' END WHERE k = :k;
COMMIT;
});
my $reader = $cluster->write_file('reader.sql', q{\set k random(1, 200)
SELECT 1 / (n = (SELECT count(*) FROM log l WHERE l.k = c.k))::int FROM counters c WHERE k = :k;
SELECT 1 / (count(*) = 400)::int FROM counters JOIN notes USING (k);
});
my $seconds = 10;
my $load = ShardTraffic::start_load($cluster, $seconds, [ 0, $writer, 2, 'prepared', 60 ], [ 1, $writer, 2, 'extended', 60 ],
	[ 0, $reader, 1, 'prepared', 10 ], [ 2, $reader, 1, 'simple', 10 ]);
my $end = time + $seconds - 3;
my $splits = 0;
my $failed = '';
while (!$splits || time < $end && $splits < 12)
{
	my $sql = $splits % 3 == 2 ? "SELECT isolate_tenant_to_new_shard('counters', $splits * 17 + 1, 'CASCADE')" : split_sql('auto');
	my ($code, $out, $err) = $cluster->try(0, $sql);
	$failed .= "$sql: $err" if $code != 0;
	last if $code != 0;
	$splits++;
}
my ($errors, $transactions, $longest) = ShardTraffic::end_load($load);
is($failed, '', "$splits splits under load succeed");
cmp_ok($splits, '>=', 1, 'shards were split');
is($errors, '', 'no client error');
note sprintf 'splits: %d; transactions: %d; longest: %.1f ms', $splits, $transactions, $longest;
ok(agree($_), "no row was lost or doubled, says node $_") for 0 .. 2;
is(ShardTraffic::leftovers_of($cluster, qw(counters log notes)), '', 'nothing is left after clean-up');

# --- ended half-way -----------------------------------------------------------------------------------

my $shards = $cluster->sql('SELECT count(*) FROM pg_dist_shard');
for my $case ([ 'move_caught_up', 'auto' ], [ 'split_created', 'auto' ], [ 'move_copied', 'block_writes' ])
{
	my ($point, $mode) = @$case;
	my $run = ShardTraffic::start_at($cluster, $point, split_sql($mode));
	$cluster->sql("SELECT pg_terminate_backend($run->{pid})");
	$run->{handle}->finish;
	like($run->{err}, qr/terminat|closed/, "ended at $point");
	is($cluster->sql('SELECT count(*) FROM pg_dist_shard'), $shards, '... leaves the shards as they were');
	$cluster->sql('UPDATE counters SET n = n + 1; INSERT INTO log (k) SELECT k FROM counters; UPDATE notes SET n = n + 1;'
		  . 'UPDATE counters SET long = repeat((n / 10)::text, 3000)');
	ok(agree(0), '... and the rows right');
	is(ShardTraffic::leftovers_of($cluster, qw(counters log notes)), '', '... and nothing behind');
}

# --- rows get other keys meanwhile ----------------------------------------------------------------------

# In one shard all the time, but not in one of the new ones.
$cluster->sql(q{
	CREATE TABLE renamed (k int PRIMARY KEY, v text, long text);
	ALTER TABLE renamed ALTER COLUMN long SET STORAGE EXTERNAL;
	CREATE TABLE model (LIKE renamed INCLUDING ALL);
	SELECT create_distributed_table('renamed', 'k', shard_count => 1, colocate_with => 'none');
	INSERT INTO renamed SELECT i, 'v', CASE WHEN i % 5 = 0 THEN repeat('x', 3000) END FROM generate_series(1, 200) i;
	INSERT INTO model SELECT * FROM renamed;
});

# A split that begins now, the keys that fit the condition change while it waits; what it says.
sub split_while_keys_change
{
	my ($which) = @_;
	my $shard = $cluster->sql(q{SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'renamed'::regclass});
	my $run = ShardTraffic::start_at($cluster, 'move_caught_up',
		"SELECT citus_split_shard_by_split_points($shard, ARRAY['0'], ARRAY[$nodes[1], $nodes[2]], 'auto')");
	$cluster->sql("UPDATE $_ SET k = k + 1000, v = v || k WHERE $which") for qw(renamed model);
	ShardTraffic::let_go($cluster, $run);
	my $rows = 'SELECT count(*), md5(string_agg(t::text, NULL ORDER BY k)) FROM';
	is($cluster->sql("$rows renamed t"), $cluster->sql("$rows model t"), "keys changed where $which: the rows are right");
	return $run->{err};
}

like(split_while_keys_change('k <= 100 AND long IS NOT NULL'), qr/0A000: +the distribution column of a row with a long value was updated/,
	'... and a long value, which the log does not have, ends the split');
is(split_while_keys_change('k <= 100 AND long IS NULL'), '', '... and the split succeeds');
is($cluster->sql(q{SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'renamed'::regclass}), 2, '... once');
is(ShardTraffic::leftovers_of($cluster, 'renamed'), '', 'nothing is left behind');

# NULL is a key, too: it belongs into the new shard that holds hash 0.
$cluster->sql(q{
	CREATE TABLE nulled (k int, v int);
	ALTER TABLE nulled REPLICA IDENTITY FULL;
	CREATE TABLE nulled_model (k int, v int);
	SELECT create_distributed_table('nulled', 'k', shard_count => 1, colocate_with => 'none');
	INSERT INTO nulled SELECT CASE WHEN i % 3 > 0 THEN i END, i FROM generate_series(1, 90) i;
	INSERT INTO nulled_model SELECT * FROM nulled;
});
{
	my $shard = $cluster->sql(q{SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'nulled'::regclass});
	my $run = ShardTraffic::start_at($cluster, 'move_caught_up',
		"SELECT citus_split_shard_by_split_points($shard, ARRAY['-1', '1000000'], ARRAY[$nodes[1], $nodes[2], $nodes[0]], 'auto')");
	for my $table (qw(nulled nulled_model))
	{
		$cluster->sql("INSERT INTO $table VALUES (NULL, 1000), (1000, NULL), (NULL, NULL)");
		$cluster->sql("UPDATE $table SET k = NULL WHERE v % 3 = 1");
		$cluster->sql("UPDATE $table SET k = v + 500 WHERE k IS NULL AND v % 9 = 0");
		$cluster->sql("UPDATE $table SET v = v + 1 WHERE k IS NULL");
		$cluster->sql("DELETE FROM $table WHERE k IS NULL AND v % 5 = 0");
	}
	ShardTraffic::let_go($cluster, $run);
	is($run->{err}, '', 'a split while keys become NULL and others succeeds');
	my $rows = 'SELECT count(*), md5(string_agg(t::text, NULL ORDER BY t)) FROM';
	is($cluster->sql("$rows nulled t"), $cluster->sql("$rows nulled_model t"), '... with all rows');
	is($cluster->sql("$rows nulled t WHERE k IS NULL"), $cluster->sql("$rows nulled_model t WHERE k IS NULL"), '... NULLs where they are looked for');
	is($cluster->sql(q{SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'nulled'::regclass}), 3, '... in three shards');
}

# --- shards with two placements -------------------------------------------------------------------------

$cluster->sql(q{
	SET citus.shard_replication_factor = 2;
	CREATE TABLE copies (k int PRIMARY KEY, n int NOT NULL);
	SELECT create_distributed_table('copies', 'k', shard_count => 1, colocate_with => 'none');
	INSERT INTO copies SELECT i, 0 FROM generate_series(1, 200) i;
});
my $rows = 200;

# A split that stops at a point while rows are inserted, changed and deleted on all nodes, then goes on or is ended; what it says.
sub split_copies
{
	my ($point, $ended) = @_;
	my ($shard, $middle) = split /\|/, $cluster->sql(q{SELECT shardid, (shardminvalue::bigint + shardmaxvalue::bigint) / 2
		FROM pg_dist_shard WHERE logicalrelid = 'copies'::regclass ORDER BY shardminvalue::int LIMIT 1});
	my $run = ShardTraffic::start_at($cluster, $point,
		"SELECT citus_split_shard_by_split_points($shard, '{$middle}', ARRAY[$nodes[0], $nodes[1]], 'auto')");
	# Once it is decided nobody may write.
	my $writes = 'INSERT INTO copies SELECT max(k) + 1, 0 FROM copies; UPDATE copies SET n = n + 1; DELETE FROM copies WHERE k IN (SELECT min(k) FROM copies)';
	$cluster->node($_)->safe_psql('postgres', $writes) for $point eq 'split_switched' ? () : 0 .. 2;
	$cluster->sql("SELECT pg_terminate_backend($run->{pid})") if $ended;
	ShardTraffic::let_go($cluster, $run);
	$cluster->node($_)->safe_psql('postgres', $writes) for 0 .. 2;
	is(ShardTraffic::leftovers_of($cluster, 'copies'), '', "replicas while a split stands at $point: nothing is left behind");
	is($cluster->sql(q{SELECT count(*) FROM (SELECT shardid FROM run_command_on_placements('copies', 'SELECT md5(string_agg(t::text, NULL ORDER BY k)) FROM %s t')
		GROUP BY shardid HAVING count(*) <> 2 OR count(DISTINCT result) <> 1 OR NOT bool_and(success)) x}), 0, '... they are equal, two of each shard');
	is($cluster->sql('SELECT count(*) FROM copies'), $rows, '... and have all rows');
	return $run->{err};
}

is(split_copies('move_copied'), '', 'a split of shards with two placements succeeds');
like(split_copies('split_switched', 1), qr/terminat|closed/, '... one is ended at the last moment');
is($cluster->sql(q{SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'copies'::regclass}), 2, '... and has changed nothing');
is(split_copies('move_caught_up'), '', '... and one more succeeds');

done_testing();
