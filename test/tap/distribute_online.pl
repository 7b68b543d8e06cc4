# create_distributed_table_concurrently(): what is written while a table is being distributed is neither lost nor doubled, at
# whatever step it is written, also where rows go from one shard to another; writers see no error; killed at a step it leaves
# the local table as it was, and nothing else.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $cluster = CivitasCluster->new(
	workers => 2,
	conf => "citus.recover_2pc_interval = 1000\ncitus.defer_shard_delete_interval = -1\nrestart_after_crash = on\nfsync = off\n");
my $coordinator = $cluster->node(0);
my $dir = $coordinator->basedir;

# What every statement is carried out on: the table that becomes distributed, and one that stays as it is.
sub both
{
	my ($sql) = @_;
	$cluster->sql('BEGIN; ' . $sql =~ s/TABLE/items/gr . '; ' . $sql =~ s/TABLE/model/gr . '; COMMIT');
}

# Asked of the coordinator and, when it is distributed, of a worker.
sub same
{
	my ($name, @nodes) = @_;
	my $rows = 'SELECT count(*), md5(string_agg(t::text, NULL ORDER BY k)) FROM';
	my $expected = $cluster->sql("$rows model t");
	is($cluster->node($_)->safe_psql('postgres', "$rows items t"), $expected, "$name: the rows are right, asked of node $_") for @nodes;
}

sub make_tables
{
	$cluster->sql(q{
		DROP TABLE IF EXISTS items, model;
		CREATE TABLE items (k int PRIMARY KEY, n int NOT NULL, long text, nothing text, doubled int GENERATED ALWAYS AS (n * 2) STORED);
		ALTER TABLE items ALTER COLUMN long SET STORAGE EXTERNAL;
		CREATE INDEX items_n ON items (n);
		CREATE TABLE model (LIKE items INCLUDING ALL);
	});
	both(q{INSERT INTO TABLE SELECT i, 0, CASE WHEN i % 2 = 0 THEN repeat('x', 5000) END FROM generate_series(1, 400) i});
}

# Everything that can happen to a row, to other rows each time.
my $batch = 0;
sub write_batch
{
	my ($distributed) = @_;
	my $first = 10 * $batch++;
	both("INSERT INTO TABLE SELECT 1000 + $first + i, i, repeat('y', 4000) FROM generate_series(1, 10) i");
	both("UPDATE TABLE SET n = n + 1, nothing = 'some' WHERE k BETWEEN $first AND $first + 3");
	both("UPDATE TABLE SET long = repeat('z', 6000) WHERE k BETWEEN $first + 2 AND $first + 4");
	both("UPDATE TABLE SET k = k + 5000 WHERE k BETWEEN $first + 5 AND $first + 6 AND long IS NULL") if !$distributed;
	both("DELETE FROM TABLE WHERE k BETWEEN $first + 7 AND $first + 8");
	both("DELETE FROM TABLE WHERE k = $first + 9; INSERT INTO TABLE VALUES ($first + 9, 7, 'again')");
	# Undone: must not arrive.
	$cluster->sql("BEGIN; UPDATE items SET n = -1; SAVEPOINT a; DELETE FROM items; ROLLBACK");
}

# Starts it, to stand at a step until it is let go.
sub start_at
{
	my ($point) = @_;
	$cluster->prepare_to_hold;
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start([ 'psql', '-X', '-q', '-d', $coordinator->connstr('postgres'), '-c', "SET application_name = 'distributor'",
			'-c', "SET citus.debug_point = '$point:wait'", '-c',
			"SELECT create_distributed_table_concurrently('items', 'k', shard_count => 6, colocate_with => 'none')" ],
		'<', \undef, '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(300));
	$cluster->wait_for_point($point);
	return \%run;
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
			UNION ALL SELECT relname FROM pg_class WHERE relname = 'items' AND $group > 0
				AND NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid::text = 'items')
			UNION ALL SELECT relname FROM pg_class c WHERE relkind = 'r' AND relname ~ '^items_[0-9]+\$' AND NOT EXISTS (
				SELECT FROM pg_dist_placement WHERE groupid = $group AND shardid = substring(relname FROM '[0-9]+\$')::bigint)});
	}
	return $left;
}

# --- written at each step ------------------------------------------------------------------------------

for my $point ('online_published', 'online_caught_up')
{
	make_tables();
	write_batch();
	my $run = start_at($point);
	write_batch() for 1 .. 3;
	is($cluster->sql(q{SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'items'::regclass}), '0', "$point: the table is local yet");
	my ($code, $out, $err) = $cluster->try(0, q{SET lock_timeout = 100; ALTER TABLE items ADD COLUMN other int});
	like($err, qr/lock timeout/, '... and DDL on it waits');
	$cluster->let_go;
	$run->{handle}->finish;
	is($run->{err}, '', "$point: distributed");
	is($cluster->sql(q{SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'items'::regclass}), '6', '... into shards');
	same($point, 0, 1);
	write_batch(1);
	same("$point, written afterwards", 0, 1);
	$cluster->wait_until('all is cleaned up', sub { leftovers() eq '0 ' });
	is(leftovers(), '0 ', '... and nothing is left behind');
}

# --- killed at a step ----------------------------------------------------------------------------------

make_tables();
for my $case ([ 'online_indexed', 'node 1' ], [ 'online_switched', 'session' ])
{
	my ($point, $victim) = @$case;
	my $run = start_at($point);
	write_batch() if $point ne 'online_switched';
	if ($victim eq 'session')
	{
		$cluster->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'distributor'});
	}
	else
	{
		$cluster->node(1)->stop('immediate');
		$cluster->let_go;
	}
	$run->{handle}->finish;
	isnt($run->{err}, '', "$victim killed at $point: an error");
	$cluster->node(1)->start if $victim ne 'session';
	is($cluster->sql(q{SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'items'::regclass}), '0', '... and the table is local');
	write_batch();
	same("$victim killed at $point", 0);
	$cluster->wait_until('all is cleaned up', sub { leftovers() eq '0 ' });
	is(leftovers(), '0 ', '... and nothing is left behind');
}

# --- while clients write -------------------------------------------------------------------------------

$cluster->prepare_to_hold;
$cluster->sql('CREATE TABLE log (k int NOT NULL); UPDATE items SET n = 0');
my $keys = $cluster->sql('SELECT count(*) FROM items WHERE k BETWEEN 1 AND 400');
open my $script, '>', "$dir/writer.sql" or die $!;
print $script q{\set k random(1, 400)
BEGIN;
INSERT INTO log SELECT k FROM items WHERE k = :k;
UPDATE items SET n = n + 1 WHERE k = :k;
COMMIT;
};
close $script;
my @clients;
for my $mode ('prepared', 'simple')
{
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start([ 'pgbench', '-n', '-c', 2, '-j', 1, '-T', 600, '-M', $mode, '-R', 100, '-f', "$dir/writer.sql",
			$coordinator->connstr('postgres') ], '<', \undef, '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(300));
	push @clients, \%run;
}
my $logged = sub { return $cluster->sql('SELECT count(*) FROM log') };
$cluster->wait_until('clients write', sub { $logged->() > 100 });
my ($code, $out, $err) = $cluster->try(0, q{SELECT create_distributed_table_concurrently('items', 'k')});
is($err, '', 'distributed while clients write');
my $before = $logged->();
$cluster->wait_until('clients write on', sub { $logged->() > $before + 100 });
# An interrupted client says so; what it did before that must have been without errors.
$_->{handle}->signal('INT') for @clients;
for my $client (@clients)
{
	eval { $client->{handle}->finish };
	unlike($client->{err}, qr/ERROR|FATAL|abort/, 'no client error');
}
$cluster->wait_until('no client is left', sub {
	$cluster->sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}) eq '0' });
$cluster->settle;
is($cluster->sql('SELECT sum(n) FROM items'), $logged->(), 'every write is there, once');
is($cluster->sql('SELECT count(*) FROM items WHERE k BETWEEN 1 AND 400'), $keys, '... and every row');
is($cluster->sql('SELECT count(*) FROM items i WHERE n <> (SELECT count(*) FROM log l WHERE l.k = i.k)'), '0', '... as it should be');

# --- what cannot be done -------------------------------------------------------------------------------

$cluster->sql(q{CREATE TABLE keyed (k int, v text); ALTER TABLE keyed REPLICA IDENTITY FULL;
	INSERT INTO keyed VALUES (1, 'a'), (2, 'b')});
($code, $out, $err) = $cluster->try(0, q{SET citus.debug_point = 'online_created:error'; SELECT create_distributed_table_concurrently('keyed', 'k')});
like($err, qr/debug point/, 'an error on the way');
is($cluster->sql('SELECT count(*) FROM ONLY keyed'), '2', '... leaves the rows');
($code, $out, $err) = $cluster->try(0, q{SELECT create_distributed_table_concurrently('keyed', 'k')});
is($err, '', '... and the table can be distributed');
is($cluster->sql('SELECT string_agg(k || v, NULL ORDER BY k) FROM keyed'), '1a2b', '... with its rows');

done_testing();
