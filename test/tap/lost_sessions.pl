# Sessions between nodes when somebody goes away: a client that vanishes stops its statement on every node; a node that
# is frozen does not keep a statement from being cancelled; a node that starts up or has no free connection is waited
# for; a lost session fails the transaction that used it and nothing else; a stream that the other side leaves
# unread for long is not taken for a lost connection.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use IPC::Run;

my $cluster = CivitasCluster->new(workers => 2,
	conf => "citus.node_conninfo = 'sslmode=require tcp_user_timeout=2000'\nmax_connections = 20\nmax_wal_senders = 2\n");
$cluster->sql('CREATE TABLE t (k int PRIMARY KEY, v int)');
$cluster->sql(q{SELECT create_distributed_table('t', 'k', shard_count => 4)});
$cluster->sql('INSERT INTO t SELECT k, 0 FROM generate_series(1, 400) k');
my @key;
for my $group (1, 2)
{
	$key[$group] = $cluster->sql("SELECT k FROM generate_series(1, 400) k JOIN pg_dist_placement p"
		  . " ON p.shardid = get_shard_id_for_distribution_column('t', k) WHERE p.groupid = $group ORDER BY k LIMIT 1");
}

sub wait_until
{
	my ($what, $condition) = @_;
	my $start = time;
	while (time - $start < 30)
	{
		return time - $start if $condition->();
		sleep 0.05;
	}
	fail("waiting until $what");
	return 30;
}

sub start_psql
{
	my ($node, @commands) = @_;
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=verbose', '-d', $cluster->node($node)->connstr('postgres'), map { ('-c', $_) } @commands ],
		'<', \undef, '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(90));
	return \%run;
}

# Statements of the test that run on a node.
sub running
{
	my ($node) = @_;
	return $cluster->node($node)->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ~ 'repeat|pg_sleep' AND pid <> pg_backend_pid()});
}

# A good while of work for each row, on the nodes.
my $work = q{SELECT count(*) FROM t WHERE md5(repeat(v::text, 20000000)) = 'x'};
my $busy = sub { running(1) > 0 && running(2) > 0 };
my $idle = sub { running(0) + running(1) + running(2) == 0 };

# --- a client that goes away -----------------------------------------------------------------------

for my $case ([ 0, $work, 'a query' ], [ 1, $work, 'a query on a worker' ], [ 0, "BEGIN; UPDATE t SET v = 1 WHERE k = $key[1]; $work", 'a transaction' ])
{
	my ($node, $sql, $name) = @$case;
	my $run = start_psql($node, $sql);
	wait_until("$name runs", $busy);
	$run->{handle}->signal('KILL');
	my $took = wait_until("$name has stopped", $idle);
	cmp_ok($took, '<', 5, sprintf("client killed: $name stops on all nodes after %.1f s", $took));
	eval { $run->{handle}->finish };
	wait_until("$name: no transaction open", sub {
		$cluster->node(1)->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'}) == 0 });
}
is($cluster->sql("SELECT v FROM t WHERE k = $key[1]"), 0, 'client killed: its transaction is rolled back');

{
	my $holder = start_psql(0, "BEGIN; UPDATE t SET v = 2 WHERE k = $key[2]; SELECT pg_sleep(20); COMMIT");
	wait_until('the row is locked', sub { $cluster->node(2)->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'}) > 0 });
	my $waiting = start_psql(0, "UPDATE t SET v = 3 WHERE k = $key[2]");
	my $waits = sub { $cluster->node(2)->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE NOT granted}) > 0 };
	wait_until('the second one waits', $waits);
	$waiting->{handle}->signal('KILL');
	my $took = wait_until('it waits no more', sub { !$waits->() });
	cmp_ok($took, '<', 5, sprintf('client killed: a wait for a row lock ends after %.1f s', $took));
	$cluster->sql(q{SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE '%SELECT pg_sleep(20)%' AND pid <> pg_backend_pid()});
	eval { $_->{handle}->finish } for $holder, $waiting;
}

is($cluster->sql(q{SELECT string_agg(DISTINCT result, ',') FROM run_command_on_workers('SHOW client_connection_check_interval')}), '500ms',
	'sessions between nodes look for a lost peer');
is($cluster->sql(q{SELECT string_agg(DISTINCT result, ',') FROM run_command_on_workers('SHOW tcp_keepalives_idle')}), '15',
	'... and keep their connections alive');

# --- a node that is frozen -------------------------------------------------------------------------

sub processes
{
	my ($node) = @_;
	my $postmaster = (split /\n/, slurp_file($cluster->node($node)->data_dir . '/postmaster.pid'))[0];
	return ($postmaster, split ' ', `ps -o pid= --ppid $postmaster`);
}

for my $how ('cancel', 'terminate')
{
	my $run = start_psql(0, $work);
	wait_until('the query runs', $busy);
	my @frozen = processes(2);
	kill 'STOP', @frozen;
	my $start = time;
	my $call = $how eq 'terminate' ? 'pg_terminate_backend' : 'pg_cancel_backend';
	$cluster->sql("SELECT $call(pid) FROM pg_stat_activity WHERE query LIKE '%repeat(%' AND pid <> pg_backend_pid() AND backend_type = 'client backend'");
	eval { $run->{handle}->finish };
	my $took = time - $start;
	kill 'CONT', @frozen;
	cmp_ok($took, '<', 20, sprintf("frozen node: $how ends the query after %.1f s", $took));
	like($run->{err}, $how eq 'terminate' ? qr/57P01/ : qr/57014/, "frozen node: $how is what the client is told");
}
wait_until('the node works on', $idle);
is($cluster->sql('SELECT count(*) FROM t'), 400, 'thawed: queries work again');

# --- a lost session inside a transaction ------------------------------------------------------------

{
	my $psql = "psql -XAtq -d '" . $cluster->node(2)->connstr('postgres') . "'";
	my ($code, $out, $err) = $cluster->try(0, <<"SQL");
\\set ON_ERROR_STOP 0
BEGIN;
UPDATE t SET v = 5 WHERE k = $key[2];
\\! $psql -c "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%'" >/dev/null
UPDATE t SET v = 6 WHERE k = $key[2];
ROLLBACK;
BEGIN;
UPDATE t SET v = 7 WHERE k = $key[2];
COMMIT;
SELECT 'value ' || v FROM t WHERE k = $key[2];
SQL
	like($err, qr/ERROR:  (08006|57P01)/, 'session lost in a transaction: a clear error');
	is(scalar(() = $err =~ /ERROR:/g), 1, '... just one');
	like($out, qr/^value 7$/m, '... and after ROLLBACK the session goes on');
}

# --- a node without a free connection ---------------------------------------------------------------

{
	my @guests;
	for (1 .. 40)
	{
		my $guest = start_psql(2, 'SELECT 1', 'SELECT pg_sleep(300)');
		push @guests, $guest;
		wait_until('the guest is in or refused', sub { $guest->{handle}->pump_nb; $guest->{out} =~ /1/ || $guest->{err} ne '' });
		last if $guest->{err} =~ /too many clients/;
	}
	like($guests[-1]{err}, qr/too many clients/, 'the node has no free connection');
	my $waiting = start_psql(0, 'SELECT count(*) FROM t');
	sleep 1;
	$waiting->{handle}->pump_nb;
	is("$waiting->{out}$waiting->{err}", '', 'no free connection: the query waits');
	$_->{handle}->signal('KILL') for @guests;
	$waiting->{handle}->finish;
	is($waiting->{out}, "400\n", '... and goes on when there is one') or diag $waiting->{err};
	eval { $_->{handle}->finish } for @guests;
}

# --- a node that starts up ---------------------------------------------------------------------------

{
	my $node = $cluster->node(2);
	$node->stop;
	$node->append_conf('postgresql.conf', 'hot_standby = off');
	$node->append_conf('standby.signal', '');
	$node->start;
	my $waiting = start_psql(0, 'SELECT count(*) FROM t');
	my $writing = start_psql(0, "UPDATE t SET v = 8 WHERE k = $key[2]");
	sleep 1.5;
	$_->{handle}->pump_nb for $waiting, $writing;
	is(join('', map { $_->{out} . $_->{err} } $waiting, $writing), '', 'node starting up: statements wait');
	$node->promote;
	$_->{handle}->finish for $waiting, $writing;
	is($waiting->{out}, "400\n", '... a query goes on when it is up') or diag $waiting->{err};
	is($writing->{err}, '', '... and a change');
	my ($code, $out, $err);
	$node->stop;
	$node->append_conf('standby.signal', '');
	$node->start;
	my $start = time;
	($code, $out, $err) = $cluster->try(0, "SET citus.node_connection_timeout = '1s'; SELECT count(*) FROM t");
	like($err, qr/ERROR:  08006/, 'node starting up: the wait ends with citus.node_connection_timeout');
	cmp_ok(time - $start, '<', 15, '... in time');
	$node->promote;
	wait_until('the node is up', sub { $node->psql('postgres', 'SELECT 1', stdout => \my $o, stderr => \my $e) == 0 });
}

# --- a stream that is left unread ---------------------------------------------------------------------

{
	my $shard = $cluster->sql("SELECT 't_' || get_shard_id_for_distribution_column('t', $key[2])");
	my $file = $cluster->node(0)->basedir . '/rows.txt';
	open my $rows, '>', $file or die $!;
	print $rows "$_\t$_\n" for 1000 .. 900_000;
	close $rows;
	my $holder = start_psql(2, "BEGIN; LOCK TABLE $shard; SELECT pg_sleep(4); COMMIT");
	wait_until('the shard is locked', sub { running(2) > 0 });
	my $start = time;
	my ($code, $out, $err) = $cluster->try(0, "\\copy t FROM '$file'");
	is($code, 0, 'COPY behind a lock for longer than the TCP time-out') or diag $err;
	cmp_ok(time - $start, '>', 2.5, '... which it was');
	$holder->{handle}->finish;
	is($cluster->sql('SELECT count(*) FROM t'), 899_401, '... loses nothing');
}

done_testing();
