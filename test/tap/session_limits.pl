# citus.max_shared_pool_size: many clients share few sessions to each node. Nobody fails, nobody waits for ever, the limit holds,
# waits can be cancelled, kept sessions are given up for those who wait, and what a process had is free when it is gone. A
# node that is out of connections is waited for.
use strict;
use warnings;
use CivitasCluster;
use ProtocolClient;
use Test::More;
use Time::HiRes qw(sleep);
use IPC::Run;

# The background's sessions do not wait: here there are none.
my $cluster = CivitasCluster->new(workers => 2, conf => <<'CONF');
max_connections = 60
restart_after_crash = on
citus.recover_2pc_interval = -1
citus.distributed_deadlock_detection_factor = -1
citus.node_connection_timeout = 300s
CONF
my $coordinator = $cluster->node(0);
$cluster->sql('CREATE TABLE t (k int PRIMARY KEY, v int)');
$cluster->sql(q{SELECT create_distributed_table('t', 'k', shard_count => 8)});
$cluster->sql('INSERT INTO t SELECT i, 0 FROM generate_series(1, 1000) i');

sub limit_to
{
	my ($limit) = @_;
	$cluster->sql("ALTER SYSTEM SET citus.max_shared_pool_size = $limit");
	$cluster->sql('SELECT pg_reload_conf()');
	$coordinator->poll_query_until('postgres', "SELECT current_setting('citus.max_shared_pool_size') = '$limit'") or die;
}

my $sessions = 'SELECT coalesce(max(connection_count_to_node), 0) FROM citus_remote_connection_stats()';
sub most_sessions { return $cluster->sql($sessions); }

sub no_session_is_left
{
	my ($what) = @_;
	return ok($cluster->wait_until($what, sub { most_sessions() == 0 }), $what);
}

# Sessions that hold every shard on the workers, so that whoever reads or writes one waits for it there.
sub lock_shards
{
	my @locks;
	for my $i (1, 2)
	{
		my $shards = $cluster->sql("SELECT string_agg('t_' || shardid, ', ' ORDER BY shardid) FROM pg_dist_placement WHERE groupid = $i");
		push @locks, $cluster->session($i);
		$locks[-1]->run("BEGIN; LOCK TABLE $shards");
	}
	return @locks;
}

# Sessions from other nodes that wait for such a lock.
sub waiting_on
{
	my ($i) = @_;
	return $cluster->node($i)->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%' AND wait_event_type = 'Lock'});
}

my $key = $cluster->sql('SELECT k FROM generate_series(1, 100) k WHERE (SELECT groupid FROM pg_dist_placement p WHERE p.shardid = '
	  . q{get_shard_id_for_distribution_column('t', k)) = 1 LIMIT 1});

# --- many clients, few sessions ---------------------------------------------------------------------------------------
my $scripts = $coordinator->basedir;
my %scripts = (
	point => "\\set k random(1, 1000)\nSELECT v FROM t WHERE k = :k;\n",
	many => "SELECT count(*) FROM t;\n",
	update => "\\set k random(1, 1000)\nUPDATE t SET v = v + 1 WHERE k = :k;\n",
	block => "\\set k random(1, 1000)\nBEGIN;\nUPDATE t SET v = v + 1 WHERE k = $key;\nSELECT v FROM t WHERE k = $key;\nEND;\n");
limit_to(3);
for my $name (sort keys %scripts)
{
	open my $file, '>', "$scripts/$name.sql" or die $!;
	print $file $scripts{$name};
	close $file;
	my ($out, $err, $most) = ('', '', 0);
	# Nobody gets on until every client has come and all the room is taken.
	my @locks = lock_shards();
	my $run = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '10', '-j', '1', '-t', '30', '-f', "$scripts/$name.sql", $coordinator->connstr('postgres') ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	$cluster->wait_until("$name: every client is at work", sub {
		$cluster->sql(q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()}) == 10 });
	ok($cluster->wait_until("$name: the room is used", sub { $run->pump_nb; most_sessions() == 3 }), "$name: the room is used");
	$_->finish for @locks;
	while ($run->pumpable)
	{
		my $now = most_sessions();
		$most = $now if $now > $most;
		$run->pump_nb;
		sleep 0.05;
	}
	ok($run->finish, "$name: nobody failed") or diag("$out $err");
	like($out, qr/actually processed: 300\b/, "$name: every transaction was made");
	cmp_ok($most, '<=', 3, "$name: at most $most sessions to a node");
}
no_session_is_left('sessions of clients that are gone are not counted');

# --- kept sessions are given up --------------------------------------------------------------------------------------
limit_to(1);
my $idle = $cluster->session(0);
$idle->run("SELECT v FROM t WHERE k = $key");
is(most_sessions(), 1, 'a session that a client keeps is counted');
my $other = $cluster->session(0);
is($other->run('SELECT count(*) FROM t'), "1000\n", 'another client gets its room');
is($idle->run('SELECT count(*) FROM t'), "1000\n", 'and the first one gets it back');
like($other->run("SET ROLE NONE; SELECT v FROM t WHERE k = $key"), qr/^\d+$/, 'and so on');

# --- how many sessions a statement opens, and which are kept -----------------------------------------------------------
$_->finish for $idle, $other;
no_session_is_left('sessions of clients that have left are not counted');
limit_to(0);
my $count = 'SELECT count(*) FROM t';
my $at_once = 'SET citus.executor_slow_start_interval = 0';

# Sessions to a node after some statements, the last of which finds the shards locked until that many sessions wait for them on
# each node: how fast sessions are opened and tasks done makes no difference.
sub sessions_after
{
	my ($statements, $needed) = @_;
	my @locks = lock_shards();
	my $client = $cluster->session(0);
	$client->start($statements);
	$cluster->wait_until("$needed sessions to each node: $statements", sub { waiting_on(1) >= $needed && waiting_on(2) >= $needed });
	$_->finish for @locks;
	my $opened = $client->run($sessions);
	$client->finish;
	my ($last) = $opened =~ /(\d+)\n\z/;
	return $last;
}
my $never = 'SET citus.executor_slow_start_interval = 2000000000';
is(sessions_after("$at_once; BEGIN; $count", 4), 4, 'without an interval each task has a session');
is(sessions_after("$at_once; SET citus.max_adaptive_executor_pool_size = 2; BEGIN; $count", 2), 2, 'citus.max_adaptive_executor_pool_size holds');
is(sessions_after("$never; BEGIN; $count", 1), 1, 'within the interval tasks share a session');
is(sessions_after("$at_once; $count", 4), 1, 'one session is kept');
is(sessions_after("$at_once; SET citus.max_cached_conns_per_worker = 3; $count", 4), 3, 'citus.max_cached_conns_per_worker sessions are');
is(sessions_after("SET citus.max_cached_conns_per_worker = 0; $count", 1), 0, 'or none');
is($cluster->sql("SET citus.max_cached_connection_lifetime = 200; $count; SELECT pg_sleep(0.5); $sessions"), "1000\n\n0", 'an old one is not kept');
is($cluster->sql("SET citus.max_cached_connection_lifetime = -1; $count; SELECT pg_sleep(0.5); $sessions"), "1000\n\n1", 'unless age does not matter');

# Nodes say how long tasks waited for a processor; whoever asks opens no more sessions where they did.
my $report = 'citus_processor_wait';
my $asking = ProtocolClient->new($cluster->node(1), application_name => 'citus_internal gpid=10000000000');
$asking->query(q{SELECT citus_internal.prove_node('\x} . $cluster->node_token(1, gpid => 10000000000) . q{')});
my $other = ProtocolClient->new($cluster->node(1), application_name => 'psql');
# On a busy machine the first statement may have taken long enough for a report of its own.
my $number = () = ($asking->parameter($report) // '') =~ /^1 /;
$_->query('SELECT pg_sleep(0.01)') for $asking, $other;
SKIP: {
	skip 'the kernel does not tell', 2 if !-r '/proc/self/schedstat';
	$number++;
	like($asking->parameter($report), qr/^$number \d+$/, 'a node tells the other how long a statement waited for a processor');
	$asking->query('SELECT pg_sleep(0.01)');
	$number++;
	like($asking->parameter($report), qr/^$number \d+$/, 'each time');
}
is($other->parameter($report), undef, 'and nobody else');
undef $_ for $asking, $other;
limit_to(2);
is(sessions_after("$at_once; BEGIN; $count", 2), 2, 'sessions that are not needed are not opened where there is no room');
no_session_is_left('... nor remembered');
limit_to(1);

# --- one client that needs two ---------------------------------------------------------------------------------------
is( $cluster->sql(
		'BEGIN; DECLARE c CURSOR FOR SELECT k FROM t ORDER BY v; FETCH 1 FROM c; SELECT count(*) FROM t;'
		  . ' UPDATE t SET v = 0; FETCH 1 FROM c; SELECT sum(v) FROM t; COMMIT') =~ /1000.*\n0$/s ? 'right' : 'wrong', 'right',
	'a cursor puts its rows aside for the next statement');
cmp_ok(most_sessions(), '<=', 1, 'the limit holds for one transaction');

# --- waiting ----------------------------------------------------------------------------------------------------------
my $holder = $cluster->session(0);
$holder->run("BEGIN; UPDATE t SET v = v + 1 WHERE k = $key");
my ($code, $out, $err) = $cluster->try(0, "SET statement_timeout = 700; SELECT v FROM t WHERE k = $key;");
isnt($code, 0, 'another statement waits while a transaction holds the only session');
like($err, qr/57014/, '... and can be cancelled');
my $waiter = $cluster->session(0);
$waiter->start("SELECT 'rows ' || v FROM t WHERE k = $key");
ok($waiter->silent_for(1, 'rows'), 'it waits');
$coordinator->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'});
ok($waiter->says('rows 0'), 'until the holder is gone, whose change is undone');
$_->finish for $waiter, $holder;
no_session_is_left('nothing is left');

# --- transactions that wait for each other's sessions ----------------------------------------------------------------
my $key2 = $cluster->sql('SELECT k FROM generate_series(1, 100) k WHERE (SELECT groupid FROM pg_dist_placement p WHERE p.shardid = '
	  . q{get_shard_id_for_distribution_column('t', k)) = 2 LIMIT 1});
my ($one, $two) = ($cluster->session(0), $cluster->session(0));
$one->run("BEGIN; SELECT v FROM t WHERE k = $key");
$two->run("BEGIN; SELECT v FROM t WHERE k = $key2");
$one->start("SELECT 'rows ' || v FROM t WHERE k = $key2");
$two->start("SELECT 'rows ' || v FROM t WHERE k = $key;\nCOMMIT");
ok($two->says('rows') & $one->says('rows'), 'a circle of waits is broken');
$_->finish for $one, $two;

# --- sessions that die between their look-up and the statement ----------------------------------------------------------
sub lose_session
{
	my ($sql) = @_;
	my $client = $cluster->session(0);
	$client->run("SELECT v FROM t WHERE k = $key");
	$cluster->prepare_to_hold;
	$client->feed("SET citus.debug_point = 'session_found:wait';\n$sql;\n\\echo end");
	$cluster->wait_for_point('session_found');
	is( $cluster->node(1)->safe_psql('postgres',
			q{SELECT bool_and(pg_terminate_backend(pid, 100000)) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%'}),
		't', 'the session is gone before it is used');
	$cluster->let_go;
	$client->says('end');
	$client->finish;
	$cluster->prepare_to_hold;
	return $client;
}
my $reader = lose_session("SELECT 'rows ' || v FROM t WHERE k = $key");
like($reader->{out}, qr/rows 0/, 'a read is sent again') or diag($reader->{err});
my $writer = lose_session("UPDATE t SET v = 5 WHERE k = $key");
like($writer->{err}, qr/57P01|08006/, 'a change is not');
is($cluster->sql("SELECT v FROM t WHERE k = $key"), 0, 'and was not made');
$reader = lose_session("BEGIN; SELECT 'rows ' || v FROM t WHERE k = $key; COMMIT");
like($reader->{err}, qr/57P01|08006/, 'nor is a part of a transaction');

# --- what is sent is shown -------------------------------------------------------------------------------------------
(undef, undef, $err) = $cluster->try(0, "SET citus.log_remote_commands = on; SELECT v FROM t WHERE k = $key;");
like($err, qr/NOTICE:.*issuing\s+SELECT v\s+FROM public\.t_\d+ t\s+WHERE/s, 'citus.log_remote_commands shows the statement');
like($err, qr/on server \S+\@127\.0\.0\.1:@{[$cluster->node(1)->port]}/, '... and where it goes');

# --- a crash ----------------------------------------------------------------------------------------------------------
my $victim = $cluster->session(0);
my ($pid) = $victim->run('SELECT pg_backend_pid(), count(*) FROM t') =~ /(\d+)\|1000/;
my $position = $cluster->log_position(0);
kill 'KILL', $pid;
$victim->finish;
$cluster->wait_for_restart(0, $position);
is(most_sessions(), 0, 'after a crash nothing is counted');
is($cluster->sql('SELECT count(*) FROM t'), 1000, 'it works');

# --- a node without connections --------------------------------------------------------------------------------------
limit_to(0);
my $worker = $cluster->node(1);
$worker->append_conf('postgresql.conf', "max_connections = 8\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\n");
$worker->restart;
my @guests;
for (1 .. 20)
{
	my $guest = $cluster->session(1);
	$guest->start(q{SELECT 'in'});
	$cluster->wait_until('the guest is in or refused', sub { $guest->has_said('in') || $guest->{err} ne '' });
	last if $guest->{err} ne '';
	push @guests, $guest;
}
is(scalar(@guests), 8, 'the worker is full');
my $patient = $cluster->session(0);
$patient->start(q{SELECT 'rows ' || count(*) FROM t});
ok($patient->silent_for(1, 'rows'), 'a statement waits for the worker');
$_->finish for @guests;
ok($patient->says('rows 1000'), 'until it has a connection to spare');
$patient->finish;

done_testing();
