# Shards move back and forth while clients write and read: no row is lost or doubled, no client sees an error. What waits for a
# move, and what a move waits for. For kills at each step see online_operations.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use ShardTraffic;
use Test::More;
use Time::HiRes qw(sleep time);
use IPC::Run;

my $cluster = CivitasCluster->new(
	workers => 2,
	conf => "citus.recover_2pc_interval = 1000\ncitus.defer_shard_delete_interval = -1\n"
	  . "restart_after_crash = on\ncitus.node_connection_timeout = 5000\nmax_worker_processes = 20\nfsync = off\n");
my $coordinator = $cluster->node(0);
$cluster->sql(q{
	SET citus.shard_count = 4;
	CREATE TABLE kinds (id int PRIMARY KEY);
	INSERT INTO kinds SELECT generate_series(0, 9);
	SELECT create_reference_table('kinds');
	CREATE TABLE counters (k int PRIMARY KEY, n int NOT NULL, kind int REFERENCES kinds);
	SELECT create_distributed_table('counters', 'k');
	CREATE TABLE log (k int REFERENCES counters, id bigserial, at timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (k, id));
	SELECT create_distributed_table('log', 'k');
	INSERT INTO counters SELECT i, 0, i % 10 FROM generate_series(1, 200) i;
});
my $shard = $cluster->sql(q{SELECT get_shard_id_for_distribution_column('counters', 1)});
my %node_of = map { split /\|/ } split /\n/, $cluster->sql('SELECT groupid, nodeid FROM pg_dist_node');

sub group { return $cluster->sql("SELECT groupid FROM pg_dist_placement WHERE shardid = $shard"); }

sub move_sql
{
	my ($mode) = @_;
	my $from = group();
	my $to = $from == 1 ? 2 : 1;
	return "SELECT citus_move_shard_placement($shard, $node_of{$from}, $node_of{$to}, '$mode')";
}

# What was counted and what was logged agree, on every row.
sub agree
{
	return $cluster->sql('SELECT count(*) FROM counters c WHERE n <> (SELECT count(*) FROM log l WHERE l.k = c.k)') eq '0'
	  && $cluster->sql('SELECT sum(n) FROM counters') eq $cluster->sql('SELECT count(*) FROM log')
	  && $cluster->sql('SELECT count(*), count(DISTINCT k) FROM counters') eq '200|200';
}

# --- traffic while shards move ------------------------------------------------------------------------

my $writer = $cluster->write_file('writer.sql', q{\set k random(1, 200)
BEGIN;
UPDATE counters SET n = n + 1 WHERE k = :k;
INSERT INTO log (k) VALUES (:k);
COMMIT;
});
my $reader = $cluster->write_file('reader.sql', q{\set k random(1, 200)
SELECT 1 / (n = (SELECT count(*) FROM log l WHERE l.k = c.k))::int FROM counters c WHERE k = :k;
SELECT 1 / (count(*) = 200)::int FROM counters JOIN kinds ON kind = id;
});
my $seconds = 12;
my $load = ShardTraffic::start_load($cluster, $seconds, [ 0, $writer, 2, 'prepared', 100 ], [ 1, $writer, 2, 'extended', 100 ],
	[ 0, $reader, 1, 'prepared', 20 ], [ 1, $reader, 1, 'simple', 20 ]);
my $end = time + $seconds - 3;
my $moves = 0;
my $failed = '';
while ($moves < 1 || time < $end)
{
	my ($code, $out, $err) = $cluster->try(0, move_sql($moves % 5 == 4 ? 'force_logical' : 'auto'));
	$failed .= $err if $code != 0;
	last if $code != 0;
	$moves++;
}
my ($errors, $transactions, $longest) = ShardTraffic::end_load($load);
is($failed, '', "$moves moves under load succeed");
cmp_ok($moves, '>=', 1, 'the shard moved');
is($errors, '', 'no client error');
note sprintf 'moves: %d; transactions: %d; longest: %.1f ms', $moves, $transactions, $longest;
ok(agree(), 'no row was lost or doubled');
is(ShardTraffic::leftovers_of($cluster, qw(counters log kinds)), '', 'nothing is left after clean-up');

# --- a long transaction holds a move up, not the other writers ------------------------------------------

my $holder = $coordinator->background_psql('postgres', on_error_stop => 1);
$holder->query_safe('BEGIN; UPDATE counters SET n = n WHERE k = 1');
my $move = IPC::Run::start([ 'psql', '-X', '-q', '-d', $coordinator->connstr('postgres'), '-c', move_sql('auto') ],
	'<', \undef, '>', \my $move_out, '2>', \my $move_err, IPC::Run::timeout(90));
# It waits for the transaction already where the slot begins.
$cluster->wait_until('the move waits', sub { grep { $_ > 0 }
	$cluster->everywhere(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event_type = 'Lock'}) });
my ($written, undef, $refused) = $cluster->try(0, 'UPDATE counters SET n = n WHERE k = 2; UPDATE counters SET n = n WHERE k = 3');
is($written, 0, 'writes go on while a move waits') or diag($refused);
$holder->query_safe('COMMIT');
$holder->quit;
$move->finish;
is($move_err, '', 'the move goes on when the transaction has ended');

# --- a transaction that a move waits for comes to wait for the move --------------------------------------------

# It has written, so the slot waits for it, and wants to change the table, which waits for the move.
$cluster->sql('CALL citus_cleanup_orphaned_resources()');
my $altering = $cluster->session(0);
$altering->run('BEGIN; UPDATE counters SET n = n WHERE k = 1');
my $victim = $cluster->session(0);
$victim->feed(move_sql('auto') . ";\n\\echo ended");
$cluster->wait_until('the move waits', sub { grep { $_ > 0 }
	$cluster->everywhere(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event_type = 'Lock'}) });
$altering->feed("ALTER TABLE counters ADD COLUMN waited int;\nALTER TABLE counters DROP COLUMN waited;\nCOMMIT;\n\\echo altered");
ok($altering->says('altered'), 'the transaction ends');
is($altering->{err}, '', '... well');
ok($victim->says('ended'), 'the move ends');
like($victim->{err}, qr/ERROR:  40P01: .*deadlock.*gives way to those of applications/s, '... it has given way');
$_->finish for $altering, $victim;
ok(agree(), '... the rows are right');
is(ShardTraffic::leftovers_of($cluster, qw(counters log kinds)), '', '... and it leaves nothing behind');
my ($code, $out, $err) = $cluster->try(0, move_sql('auto'));
is($err, '', '... made again, it succeeds');

# --- reading in a transaction, across a move and a clean-up -----------------------------------------------

$cluster->sql('CALL citus_cleanup_orphaned_resources()');
my $session = $cluster->node(1)->background_psql('postgres', on_error_stop => 1);
$session->query_safe('BEGIN; SELECT count(*) FROM counters WHERE k = 2');
$cluster->sql(move_sql('auto'));
$cluster->sql('UPDATE counters SET n = n + 1000 WHERE k = 1');
is($session->query_safe('SELECT n > 999 FROM counters WHERE k = 1'), 't', 'a transaction that has read the table sees the new placement');
$session->query_safe('COMMIT');
$session->quit;
$cluster->sql('UPDATE counters SET n = n - 1000 WHERE k = 1');

# --- a query with several scans, across a move --------------------------------------------------------------

# Counters are read, then the lock holds the query, the shard moves, both tables change, and log is read.
$cluster->sql('CALL citus_cleanup_orphaned_resources()');
my $holder_of_lock = $cluster->session(0);
$holder_of_lock->run('SELECT pg_advisory_lock(1)');
my $two_scans = $cluster->session(0);
$two_scans->start(q{SELECT 'different: ' || count(*) FROM counters c
	WHERE CASE WHEN pg_advisory_lock_shared(1) IS NOT NULL THEN n <> (SELECT count(*) FROM log l WHERE l.k = c.k) END});
$cluster->wait_until('the query is held', sub { $cluster->sql(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) > 0 });
$cluster->sql(move_sql('auto'));
$cluster->sql('UPDATE counters SET n = n + 1; INSERT INTO log (k) SELECT k FROM counters');
$holder_of_lock->run('SELECT pg_advisory_unlock(1)');
ok($two_scans->says('different: 0'), 'each shard group is read in one place');
$_->finish for $holder_of_lock, $two_scans;

# --- DDL and a second move wait for a move ------------------------------------------------------------------

my $mover = ShardTraffic::start_at($cluster, 'move_copied', move_sql('auto'));
($code, $out, $err) = $cluster->try(0, "SET lock_timeout = 500; ALTER TABLE counters ADD COLUMN extra int");
like($err, qr/55P03/, 'DDL waits for a move');
($code, $out, $err) = $cluster->try(0, "SET lock_timeout = 500; GRANT SELECT ON log TO PUBLIC");
like($err, qr/55P03/, 'GRANT waits for a move');
($code, $out, $err) = $cluster->try(0, "SET lock_timeout = 500; " . move_sql('block_writes'));
like($err, qr/55P03/, 'another move of the group waits');
($code, $out, $err) = $cluster->try(0, "CREATE TABLE late (k int PRIMARY KEY); SELECT create_distributed_table('late', 'k', colocate_with => 'log')");
like($err, qr/55006/, 'no table joins the group');
($code, $out, $err) = $cluster->try(0, sprintf q{SET lock_timeout = 500; SELECT citus_remove_node('127.0.0.1', %d)}, $cluster->node(2)->port);
like($err, qr/55P03/, 'no node leaves');
is($cluster->sql('SELECT count(*) FROM get_rebalance_progress()'), 2, 'the progress of both shards is shown');
is($cluster->sql(q{SELECT DISTINCT operation_type, status, source_shard_size > 0, target_shard_size > 0, source_lsn >= target_lsn, sourceport <> targetport
	FROM get_rebalance_progress()}), 'move|Copying Data|t|t|t|t', '... with phase, sizes and positions');
is($cluster->sql('CALL citus_cleanup_orphaned_resources(); SELECT count(*) > 0 FROM pg_dist_cleanup'), 't', 'records of a running move are left alone');
ShardTraffic::let_go($cluster, $mover);
is($mover->{err}, '', 'the move ends well') or diag($mover->{err});
ok(agree(), '... and the rows are right');
$cluster->sql('CALL citus_cleanup_orphaned_resources()');
$cluster->sql('DROP TABLE late');

# --- a full disk ----------------------------------------------------------------------------------------------

sub set_percent_free
{
	my ($percent) = @_;
	my $setting = 'citus.desired_percent_disk_available_after_move';
	$cluster->sql("ALTER SYSTEM SET $setting = $percent");
	$coordinator->reload;
	$cluster->wait_until("$setting is $percent", sub { $cluster->sql("SHOW $setting") eq $percent });
}

my $place = group();
set_percent_free('100');
($code, $out, $err) = $cluster->try(0, move_sql('auto'));
like($err, qr/53100: +not enough disk space on node/, 'a move that would fill the disk is refused');
is(group(), $place, '... and the shard is where it was');
is($cluster->sql('SELECT count(*) FROM pg_dist_cleanup'), 0, '... with nothing made');
set_percent_free('0');
($code, $out, $err) = $cluster->try(0, move_sql('auto'));
is($err, '', 'the check can be turned off');

# --- a move is cancelled --------------------------------------------------------------------------------------

my $before = group();
$cluster->prepare_to_hold;
($code, $out, $err) = $cluster->try(0, "SET statement_timeout = 1500; SET citus.debug_point = 'move_blocked:wait'; " . move_sql('block_writes'));
like($err, qr/57014/, 'a move can be cancelled');
my ($ok, $o, $e) = $cluster->try(0, 'UPDATE counters SET n = n + 1 WHERE k = 1; INSERT INTO log (k) VALUES (1)');
is($ok, 0, 'cancelled: writes work') or diag($e);
is(group(), $before, 'cancelled: the old placement is in use');
ok(agree(), 'cancelled: the rows are right');
is(ShardTraffic::leftovers_of($cluster, qw(counters log kinds)), '', 'cancelled: nothing is left behind');

# --- reference tables are copied to a node that has no shard yet -------------------------------------------------

my $address = $cluster->sql("SELECT format('%L, %s', nodename, nodeport) FROM pg_dist_node WHERE nodeid = $node_of{2}");
$cluster->sql("SELECT citus_drain_node($address); CALL citus_cleanup_orphaned_resources()");
$cluster->sql("SELECT citus_disable_node($address)");
$cluster->sql("SELECT citus_activate_node($address)");
my $kinds = q{SELECT count(*), count(DISTINCT result), min(result) FROM run_command_on_placements('kinds', $$SELECT string_agg(id::text, ' ' ORDER BY id) FROM %s$$)};
is($cluster->sql($kinds), '2|1|0 1 2 3 4 5 6 7 8 9', 'a node that was activated has no copy');
my $copy = "SELECT citus_internal.copy_reference_tables(ARRAY[$node_of{2}], 'auto')";
for my $point (qw(references_created move_copied move_blocked references_switched))
{
	my $killed = ShardTraffic::start_at($cluster, $point, $copy);
	my $log = $cluster->log_position(0);
	kill 'KILL', $killed->{pid};
	$killed->{handle}->finish;
	$cluster->wait_for_restart(0, $log);
	ok($cluster->settle, "copying is killed at $point: nothing is prepared");
	is($cluster->sql($kinds), '2|1|0 1 2 3 4 5 6 7 8 9', '... there is no copy yet');
	is(ShardTraffic::leftovers_of($cluster, qw(counters log kinds)), '', '... and nothing is left behind');
}
my $copier = ShardTraffic::start_at($cluster, 'move_copied', $copy);
$cluster->node($_)->safe_psql('postgres', "INSERT INTO kinds VALUES (10 + $_), (20 + $_)") for 0 .. 2;
$cluster->node($_)->safe_psql('postgres', "DELETE FROM kinds WHERE id = 10 + $_; UPDATE kinds SET id = 30 + $_ WHERE id = 20 + $_") for 0 .. 2;
ShardTraffic::let_go($cluster, $copier);
is($copier->{err}, '', 'reference tables are copied') or diag($copier->{err});
is($cluster->sql($kinds), '3|1|0 1 2 3 4 5 6 7 8 9 30 31 32', '... with what was written meanwhile, asked of any node');
is(ShardTraffic::leftovers_of($cluster, qw(counters log kinds)), '', '... and nothing is left behind');

# --- the background clean-up ------------------------------------------------------------------------------------

$coordinator->append_conf('postgresql.conf', 'citus.defer_shard_delete_interval = 300');
$coordinator->reload;
$cluster->sql(move_sql('auto'));
$cluster->wait_until('the background has cleaned up', sub { $cluster->sql('SELECT count(*) FROM pg_dist_cleanup') eq '0' });
is(ShardTraffic::leftovers_of($cluster, qw(counters log kinds)), '', 'the background leaves nothing behind');

done_testing();
