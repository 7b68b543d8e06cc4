# Shards move back and forth while clients write and read: no row is lost or doubled, no client sees an error. Then a node
# or the moving session is killed at each step of a move: the old placement goes on working, and nothing is left behind.
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
	  . "restart_after_crash = on\ncitus.node_connection_timeout = 5000\nmax_worker_processes = 20\nfsync = off\n");
my $coordinator = $cluster->node(0);
my $dir = $coordinator->basedir;
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

sub file
{
	my ($name, $text) = @_;
	open my $out, '>', "$dir/$name" or die $!;
	print $out $text;
	close $out;
	return "$dir/$name";
}

# What was counted and what was logged agree, on every row.
sub agree
{
	return $cluster->sql('SELECT count(*) FROM counters c WHERE n <> (SELECT count(*) FROM log l WHERE l.k = c.k)') eq '0'
	  && $cluster->sql('SELECT sum(n) FROM counters') eq $cluster->sql('SELECT count(*) FROM log')
	  && $cluster->sql('SELECT count(*), count(DISTINCT k) FROM counters') eq '200|200';
}

sub leftovers
{
	my ($left) = @_;
	$left .= $_->safe_psql('postgres', q{SELECT subname FROM pg_subscription UNION ALL SELECT slot_name FROM pg_replication_slots
		UNION ALL SELECT pubname FROM pg_publication UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'citus\_shard\_%'
		UNION ALL SELECT gid FROM pg_prepared_xacts
		UNION ALL SELECT 'lock ' || l.pid FROM pg_locks l WHERE locktype = 'advisory' AND objsubid > 2})
	  for @{ $cluster->{nodes} };
	# Every shard's table is a placement, and every placement has its table.
	for my $node (@{ $cluster->{nodes} })
	{
		my $group = $node->safe_psql('postgres', 'SELECT groupid FROM pg_dist_local_group');
		$left .= $node->safe_psql('postgres', qq{SET citus.show_shards_for_app_name_prefixes = '*';
			SELECT relname FROM pg_class c WHERE relkind = 'r' AND relname ~ '^(counters|log|kinds)_[0-9]+\$' AND NOT EXISTS (
				SELECT FROM pg_dist_placement WHERE groupid = $group AND shardid = substring(relname FROM '[0-9]+\$')::bigint)
			UNION ALL SELECT 'missing ' || shardid FROM pg_dist_placement WHERE groupid = $group AND NOT EXISTS (
				SELECT FROM pg_class WHERE relkind = 'r' AND relname ~ ('_' || shardid || '\$'))});
	}
	return $left;
}

# --- traffic while shards move ------------------------------------------------------------------------

my $writer = file('writer.sql', q{\set k random(1, 200)
BEGIN;
UPDATE counters SET n = n + 1 WHERE k = :k;
INSERT INTO log (k) VALUES (:k);
COMMIT;
});
my $reader = file('reader.sql', q{\set k random(1, 200)
SELECT 1 / (n = (SELECT count(*) FROM log l WHERE l.k = c.k))::int FROM counters c WHERE k = :k;
SELECT 1 / (count(*) = 200)::int FROM counters JOIN kinds ON kind = id;
});
my $seconds = 12;
my @clients;
for my $client ([ 0, $writer, 2, 'prepared', 100 ], [ 1, $writer, 2, 'extended', 100 ], [ 0, $reader, 1, 'prepared', 20 ], [ 1, $reader, 1, 'simple', 20 ])
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
my $moves = 0;
my $failed = '';
while (time < $end)
{
	my ($code, $out, $err) = $cluster->try(0, move_sql($moves % 5 == 4 ? 'force_logical' : 'auto'));
	$failed .= $err if $code != 0;
	last if $code != 0;
	$moves++;
}
$_->{handle}->finish for @clients;
is($failed, '', "$moves moves under load succeed");
cmp_ok($moves, '>=', 2, 'the shard moved back and forth');
my ($longest, $transactions) = (0, 0);
for my $client (@clients)
{
	my $err = slurp_file($client->{err});
	is($err =~ s/^pgbench \(.*\n//r, '', 'no client error');
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
note sprintf 'moves: %d; transactions: %d; longest write transaction: %.1f ms', $moves, $transactions, $longest / 1000;
ok(agree(), 'no row was lost or doubled');
$cluster->sql('CALL citus_cleanup_orphaned_resources()');
is(leftovers(), '', 'nothing is left after clean-up');

# --- a long transaction holds a move up, not the other writers ------------------------------------------

my $holder = $coordinator->background_psql('postgres', on_error_stop => 1);
$holder->query_safe('BEGIN; UPDATE counters SET n = n WHERE k = 1');
my $move = IPC::Run::start([ 'psql', '-X', '-q', '-d', $coordinator->connstr('postgres'), '-c', move_sql('auto') ],
	'<', \undef, '>', \my $move_out, '2>', \my $move_err, IPC::Run::timeout(90));
# It waits for the transaction already where the slot begins.
sleep 2;
my $began = time;
$cluster->sql("UPDATE counters SET n = n WHERE k = 2; UPDATE counters SET n = n WHERE k = 3");
cmp_ok(time - $began, '<', 10, 'writes go on while a move waits');
$holder->query_safe('COMMIT');
$holder->quit;
$move->finish;
is($move_err, '', 'the move goes on when the transaction has ended');

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

# --- DDL and a second move wait for a move ------------------------------------------------------------------

sub start_at
{
	my ($point, $sql) = @_;
	unlink $coordinator->data_dir . '/citus_debug_continue';
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start([ 'psql', '-X', '-q', '-v', 'VERBOSITY=verbose', '-d', $coordinator->connstr('postgres'),
			'-c', "SET application_name = 'mover'", '-c', "SET citus.debug_point = '$point:wait'", '-c', $sql ],
		'<', \undef, '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(90));
	wait_until("the move stands at $point", sub { $cluster->sql(
		q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mover' AND wait_event = 'Extension' AND state = 'active'
			AND state_change < clock_timestamp() - interval '1 s'}) > 0 && settled() });
	return \%run;
}

# No session of the move is at work any more: it stands at its debug point.
sub settled
{
	for my $node (@{ $cluster->{nodes} })
	{
		return 0 if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%'
			AND backend_type = 'client backend' AND (state = 'active' OR state_change > clock_timestamp() - interval '300 ms')}) > 0;
	}
	return 1;
}

sub let_go
{
	my ($run) = @_;
	open my $file, '>', $coordinator->data_dir . '/citus_debug_continue' or die $!;
	close $file;
	$run->{handle}->finish;
	unlink $coordinator->data_dir . '/citus_debug_continue';
}

my $mover = start_at('move_copied', move_sql('auto'));
my ($code, $out, $err) = $cluster->try(0, "SET lock_timeout = 500; ALTER TABLE counters ADD COLUMN extra int");
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
let_go($mover);
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
	wait_until("$setting is $percent", sub { $cluster->sql("SHOW $setting") eq $percent });
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

# --- kills at each step ---------------------------------------------------------------------------------------

sub wait_for_server
{
	my ($i) = @_;
	wait_until("node $i accepts connections",
		sub { $cluster->node($i)->psql('postgres', 'SELECT 1', stdout => \my $o, stderr => \my $e) == 0 });
}

sub check_after
{
	my ($what, $before) = @_;
	wait_until("$what: nothing is left prepared", sub { $cluster->sql('SELECT recover_prepared_transactions()'); $cluster->prepared_transactions == 0 });
	my ($ok, $o, $e) = $cluster->try(0, 'UPDATE counters SET n = n + 1 WHERE k = 1; INSERT INTO log (k) VALUES (1)');
	is($ok, 0, "$what: writes work") or diag($e);
	is(group(), $before, "$what: the old placement is in use") if defined $before;
	ok(agree(), "$what: the rows are right");
	my $left = '';
	for (1 .. 20)
	{
		$cluster->sql('CALL citus_cleanup_orphaned_resources()');
		last if ($left = leftovers() . $cluster->sql('SELECT string_agg(object_name, $$ $$) FROM pg_dist_cleanup')) eq '';
		sleep 0.5;
	}
	is($left, '', "$what: nothing is left behind");
}

# All steps with CIVITAS_ALL_STEPS set; else those that differ most.
my $all = $ENV{CIVITAS_ALL_STEPS};
for my $point ($all ? qw(move_begun move_created move_published move_copied move_indexed move_applying move_caught_up move_blocked move_filled move_switched)
	: qw(move_created move_applying move_switched))
{
	my $before = group();
	my ($failure) = $cluster->try(0, "SET citus.debug_point = '$point:crash'; " . move_sql('auto'));
	isnt($failure, 0, "coordinator crashes at $point");
	wait_for_server(0);
	check_after("coordinator crashed at $point", $before);
}
for my $case ($all
	? ([ 'move_published', 1 ], [ 'move_published', 2 ], [ 'move_copied', 1 ], [ 'move_copied', 2 ], [ 'move_caught_up', 1 ], [ 'move_caught_up', 2 ],
		[ 'move_blocked', 1 ], [ 'move_blocked', 2 ], [ 'move_filled', 1 ], [ 'move_filled', 2 ], [ 'move_switched', 1 ], [ 'move_switched', 2 ])
	: ([ 'move_caught_up', 1 ], [ 'move_switched', 2 ]))
{
	my ($point, $victim) = @$case;
	my $before = group();
	my $run = start_at($point, move_sql('auto'));
	$cluster->node($victim)->stop('immediate');
	let_go($run);
	$cluster->node($victim)->start;
	my $role = $victim == $before ? 'source' : 'target';
	like($run->{err}, qr/ERROR/, "$role killed at $point: the move fails") if $point ne 'move_copied' && $point ne 'move_published';
	check_after("$role killed at $point", $run->{err} =~ /ERROR/ ? $before : undef);
}
my ($before, $failure) = (group());
($failure, $out, $err) = $cluster->try(0, "SET statement_timeout = 1500; SET citus.debug_point = 'move_blocked:wait'; " . move_sql('block_writes'));
like($err, qr/57014/, 'a move can be cancelled');
check_after('cancelled', $before);

# --- the background clean-up ------------------------------------------------------------------------------------

$coordinator->append_conf('postgresql.conf', 'citus.defer_shard_delete_interval = 300');
$coordinator->reload;
$cluster->sql(move_sql('auto'));
wait_until('the background has cleaned up', sub { $cluster->sql('SELECT count(*) FROM pg_dist_cleanup') eq '0' });
is(leftovers(), '', 'the background leaves nothing behind');

done_testing();
