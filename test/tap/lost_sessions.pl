# Sessions between nodes when somebody goes away: a client that vanishes stops its statement on every node; a node that
# is frozen does not keep a statement from being cancelled; a node that starts up or has no free connection is waited
# for; a lost session fails the transaction that used it and nothing else; a stream that the other side leaves
# unread for long is not taken for a lost connection.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use IPC::Run;

my $cluster = CivitasCluster->new(workers => 2,
	conf => "citus.node_conninfo = 'sslmode=require tcp_user_timeout=2000'\nmax_connections = 20\nmax_wal_senders = 2\ncitus.node_connection_timeout = 300s\n");
$cluster->sql('CREATE TABLE t (k int PRIMARY KEY, v int)');
$cluster->sql(q{SELECT create_distributed_table('t', 'k', shard_count => 4)});
$cluster->sql('INSERT INTO t SELECT k, 0 FROM generate_series(1, 400) k');
my @key;
for my $group (1, 2)
{
	$key[$group] = $cluster->sql("SELECT k FROM generate_series(1, 400) k JOIN pg_dist_placement p"
		  . " ON p.shardid = get_shard_id_for_distribution_column('t', k) WHERE p.groupid = $group ORDER BY k LIMIT 1");
}

sub start_psql
{
	my ($node, @commands) = @_;
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=verbose', '-d', $cluster->node($node)->connstr('postgres'), map { ('-c', $_) } @commands ],
		'<', \undef, '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(300));
	return \%run;
}

# Statements of the test that run on a node.
sub running
{
	my ($node) = @_;
	return $cluster->node($node)->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ~ 'repeat|pg_sleep' AND pid <> pg_backend_pid()});
}

# Work on the nodes, a little for each of so many rows that nobody waits for the end: it ends with what the test does to it.
$cluster->sql('CREATE TABLE busy (k int, v int)');
$cluster->sql(q{SELECT create_distributed_table('busy', 'k', colocate_with => 't')});
$cluster->sql('INSERT INTO busy SELECT k, 0 FROM generate_series(1, 40000) k');
my $work = q{SELECT count(*) FROM busy WHERE md5(repeat(v::text, 20000000)) = 'x'};
my $busy = sub { running(1) > 0 && running(2) > 0 };
my $idle = sub { running(0) + running(1) + running(2) == 0 };

# --- a client that goes away -----------------------------------------------------------------------

# Its server looks for it twice a second and tells the other nodes at once, so a second is enough for all of it. A machine
# with other things to do may be late now and then: what counts is that it can be done, so one of many tries is in time.
my ($in_time, $tries) = (1, 20);

# Kills a client; returns how long afterwards something of it was still seen: what a look takes on a slow machine does not count.
sub vanish
{
	my ($name, $client, $gone) = @_;
	$client->{handle}->signal('KILL');
	my $start = time;
	my $took = 0;
	$cluster->wait_until("$name has stopped", sub {
		my $looked = time - $start;
		return 1 if $gone->();
		$took = $looked;
		return 0;
	});
	eval { $client->{handle}->finish };
	return $took;
}

sub stops_in_time
{
	my ($name, $attempt) = @_;
	my @took;
	push @took, $attempt->($name) while @took < $tries && (!@took || $took[-1] >= $in_time);
	return cmp_ok($took[-1], '<', $in_time, "client killed: $name ends on all nodes after " . join ', ', map { sprintf '%.2f s', $_ } @took);
}

for my $case ([ 0, $work, 'a query' ], [ 1, $work, 'a query on a worker' ], [ 0, "BEGIN; UPDATE t SET v = 1 WHERE k = $key[1]; $work", 'a transaction' ])
{
	my ($node, $sql, $what) = @$case;
	stops_in_time($what, sub {
		my ($name) = @_;
		my $run = start_psql($node, $sql);
		$cluster->wait_until("$name runs", $busy);
		my $took = vanish($name, $run, $idle);
		$cluster->wait_until("$name: no transaction open", sub {
			$cluster->node(1)->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'}) == 0 });
		return $took;
	});
}
is($cluster->sql("SELECT v FROM t WHERE k = $key[1]"), 0, 'client killed: its transaction is rolled back');

{
	my $holder = $cluster->session(0);
	$holder->run("BEGIN; UPDATE t SET v = 2 WHERE k = $key[2]");
	my $waits = sub { $cluster->node(2)->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE NOT granted}) > 0 };
	stops_in_time('a wait for a row lock', sub {
		my ($name) = @_;
		my $waiting = start_psql(0, "UPDATE t SET v = 3 WHERE k = $key[2]");
		$cluster->wait_until("$name begins", $waits);
		return vanish($name, $waiting, sub { !$waits->() });
	});
	$holder->run('ROLLBACK');
	$holder->finish;
}

is(join(',', $cluster->everywhere('SHOW client_connection_check_interval')), '500ms,500ms,500ms', 'sessions of clients look for them');
is($cluster->sql(q{SELECT string_agg(DISTINCT result, ',') FROM run_command_on_workers('SHOW client_connection_check_interval')}), '500ms',
	'sessions between nodes look for a lost peer');
is($cluster->sql(q{SELECT string_agg(DISTINCT result, ',') FROM run_command_on_workers('SHOW tcp_keepalives_idle')}), '15',
	'... and keep their connections alive');

# --- a node that is frozen -------------------------------------------------------------------------

for my $how ('cancel', 'terminate')
{
	my $run = start_psql(0, $work);
	$cluster->wait_until('the query runs', $busy);
	my @frozen = $cluster->processes(2);
	kill 'STOP', @frozen;
	my $call = $how eq 'terminate' ? 'pg_terminate_backend' : 'pg_cancel_backend';
	$cluster->sql("SELECT $call(pid) FROM pg_stat_activity WHERE query LIKE '%repeat(%' AND pid <> pg_backend_pid() AND backend_type = 'client backend'");
	eval { $run->{handle}->finish };
	kill 'CONT', @frozen;
	like($run->{err}, $how eq 'terminate' ? qr/57P01/ : qr/57014/, "frozen node: $how ends the query, and is what the client is told");
}
$cluster->wait_until('the node works on', $idle);
is($cluster->sql('SELECT count(*) FROM t'), 400, 'thawed: queries work again');

# --- a lost session inside a transaction ------------------------------------------------------------

{
	my $psql = "psql -XAtq -d '" . $cluster->node(2)->connstr('postgres') . "'";
	my ($code, $out, $err) = $cluster->try(0, <<"SQL");
\\set ON_ERROR_STOP 0
BEGIN;
UPDATE t SET v = 5 WHERE k = $key[2];
\\! $psql -c "SELECT pg_terminate_backend(pid, 100000) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%'" >/dev/null
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
	# A psql that is refused may be gone before it is told anything: whether one gets in is asked of another, without input.
	my @guests;
	my $refused = '';
	for (1 .. 60)
	{
		IPC::Run::run([ 'psql', '-X', '-d', $cluster->node(2)->connstr('postgres'), '-c', 'SELECT 1' ], '<', \undef, '>', \my $out, '2>', \$refused);
		last if $refused ne '';
		my $guest = $cluster->session(2);
		$guest->start(q{SELECT 'in'});
		$cluster->wait_until('the guest is in or gone', sub { $guest->has_said('in') || !$guest->pump || $guest->{err} ne '' });
		push @guests, $guest if $guest->has_said('in');
	}
	like($refused, qr/too many clients/, 'the node has no free connection');
	my $waiting = $cluster->session(0);
	$waiting->start(q{SELECT 'rows ' || count(*) FROM t});
	ok($waiting->silent_for(1, 'rows') && $waiting->{err} eq '', 'no free connection: the query waits');
	$_->finish for @guests;
	ok($waiting->says('rows 400'), '... and goes on when there is one');
	$waiting->finish;
}

# --- a node that starts up ---------------------------------------------------------------------------

{
	my $node = $cluster->node(2);
	$node->stop;
	$node->append_conf('postgresql.conf', 'hot_standby = off');
	$node->append_conf('standby.signal', '');
	$node->start;
	my ($waiting, $writing) = ($cluster->session(0), $cluster->session(0));
	$waiting->start(q{SELECT 'rows ' || count(*) FROM t});
	$writing->start("UPDATE t SET v = 8 WHERE k = $key[2] RETURNING 'changed'");
	ok($waiting->silent_for(1, 'rows') && $writing->silent_for(1, 'changed'), 'node starting up: statements wait');
	is($waiting->{err} . $writing->{err}, '', '... without an error');
	$node->promote;
	ok($waiting->says('rows 400'), '... a query goes on when it is up');
	ok($writing->says('changed'), '... and a change');
	$_->finish for $waiting, $writing;
	my ($code, $out, $err);
	$node->stop;
	$node->append_conf('standby.signal', '');
	$node->start;
	($code, $out, $err) = $cluster->try(0, "SET citus.node_connection_timeout = '1s'; SELECT count(*) FROM t");
	like($err, qr/ERROR:  08006/, 'node starting up: the wait ends with citus.node_connection_timeout');
	$node->promote;
	$cluster->wait_until('the node is up', sub { $node->psql('postgres', 'SELECT 1', stdout => \my $o, stderr => \my $e) == 0 });
}

# --- a stream that is left unread ---------------------------------------------------------------------

{
	my $shard = $cluster->sql("SELECT 't_' || get_shard_id_for_distribution_column('t', $key[2])");
	my $file = $cluster->node(0)->basedir . '/rows.txt';
	open my $rows, '>', $file or die $!;
	print $rows "$_\t$_\n" for 1000 .. 900_000;
	close $rows;
	my $holder = $cluster->session(2);
	$holder->run("BEGIN; LOCK TABLE $shard");
	my $copy = $cluster->session(0);
	$copy->feed("\\copy t FROM '$file'\n\\echo end");
	my $waits = q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%' AND wait_event_type = 'Lock'};
	$cluster->wait_until('the rows wait for the lock', sub { $cluster->node(2)->safe_psql('postgres', $waits) > 0 });
	ok($copy->silent_for(4, 'end'), 'COPY behind a lock for longer than the TCP time-out');
	$holder->finish;
	ok($copy->says('end'), '... ends');
	is($copy->{err}, '', '... without an error');
	$copy->finish;
	is($cluster->sql('SELECT count(*) FROM t'), 899_401, '... loses nothing');
}

done_testing();
