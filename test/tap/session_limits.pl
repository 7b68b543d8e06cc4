# citus.max_shared_pool_size: many clients share few sessions to each node. Nobody fails, nobody waits for ever, the limit holds,
# waits can be cancelled, kept sessions are given up for those who wait, and what a process had is free when it is gone. A
# node that is out of connections is waited for.
use strict;
use warnings;
use CivitasCluster;
use Test::More;
use Time::HiRes qw(sleep time);
use IPC::Run;

# The background's sessions do not wait: here there are none.
my $cluster = CivitasCluster->new(workers => 2, conf => <<'CONF');
max_connections = 60
restart_after_crash = on
citus.recover_2pc_interval = -1
citus.distributed_deadlock_detection_factor = -1
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

sub most_sessions
{
	return $cluster->sql('SELECT coalesce(max(connection_count_to_node), 0) FROM citus_remote_connection_stats()');
}

# A psql that is fed statement by statement.
sub session
{
	my $s = { in => '', out => '', err => '' };
	$s->{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=verbose', '-d', $coordinator->connstr('postgres'), '-f', '-' ],
		'<', \$s->{in}, '>', \$s->{out}, '2>', \$s->{err}, IPC::Run::timeout(120));
	return $s;
}

sub says
{
	my ($s, $word, $seconds, $quiet) = @_;
	for (1 .. ($seconds // 30) * 50)
	{
		$s->{handle}->pump_nb;
		return 1 if index($s->{out}, $word) >= 0;
		sleep 0.02;
	}
	diag("no $word in: $s->{out} $s->{err}") unless $quiet;
	return 0;
}

sub run_on
{
	my ($s, $sql, $seconds) = @_;
	$s->{out} = '';
	$s->{in} .= "$sql;\n\\echo done\n";
	return says($s, 'done', $seconds);
}

sub finish { my ($s) = @_; $s->{in} .= "\\q\n"; eval { $s->{handle}->finish }; return; }

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
	my $run = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '10', '-j', '1', '-T', '2', '-f', "$scripts/$name.sql", $coordinator->connstr('postgres') ],
		'>', \$out, '2>', \$err, IPC::Run::timeout(120));
	while ($run->pumpable)
	{
		my $now = most_sessions();
		$most = $now if $now > $most;
		$run->pump_nb;
		sleep 0.1;
	}
	ok($run->finish, "$name: nobody failed") or diag("$out $err");
	my ($done) = $out =~ /actually processed: (\d+)/;
	cmp_ok($done // 0, '>=', 10, "$name: $done transactions");
	cmp_ok($most, '<=', 3, "$name: at most $most sessions to a node");
	cmp_ok($most, '>=', 1, "$name: sessions are counted");
}
is(most_sessions(), 0, 'sessions of clients that are gone are not counted')
  or diag($cluster->sql('SELECT * FROM citus_remote_connection_stats()'));

# --- kept sessions are given up --------------------------------------------------------------------------------------
limit_to(1);
my $idle = session();
ok(run_on($idle, "SELECT v FROM t WHERE k = $key"), 'a client keeps a session');
is(most_sessions(), 1, '... which is counted');
my $other = session();
ok(run_on($other, 'SELECT count(*) FROM t', 60), 'another client gets its room');
ok(run_on($idle, 'SELECT count(*) FROM t', 60), 'and the first one gets it back');
ok(run_on($other, "SET ROLE NONE; SELECT v FROM t WHERE k = $key", 60), 'and so on');

# --- how many sessions a statement opens, and which are kept -----------------------------------------------------------
finish($_) for $idle, $other;
limit_to(0);
sub sessions_after
{
	my ($statements) = @_;
	my @lines = split /\n/, $cluster->sql("$statements; SELECT coalesce(max(connection_count_to_node), 0) FROM citus_remote_connection_stats()");
	return $lines[-1];
}
my $count = 'SELECT count(*) FROM t';
my $at_once = 'SET citus.executor_slow_start_interval = 0';
is(sessions_after("$at_once; BEGIN; $count"), 4, 'without an interval each task has a session');
is(sessions_after("$at_once; SET citus.max_adaptive_executor_pool_size = 2; BEGIN; $count"), 2, 'citus.max_adaptive_executor_pool_size holds');
is(sessions_after("SET citus.executor_slow_start_interval = 60000; BEGIN; $count"), 1, 'short tasks share a session');
is(sessions_after("$at_once; $count"), 1, 'one session is kept');
is(sessions_after("$at_once; SET citus.max_cached_conns_per_worker = 3; $count"), 3, 'citus.max_cached_conns_per_worker sessions are');
is(sessions_after("SET citus.max_cached_conns_per_worker = 0; $count"), 0, 'or none');
is(sessions_after("SET citus.max_cached_connection_lifetime = 200; $count; SELECT pg_sleep(0.5)"), 0, 'an old one is not kept');
is(sessions_after("SET citus.max_cached_connection_lifetime = -1; $count; SELECT pg_sleep(0.5)"), 1, 'unless age does not matter');
limit_to(2);
is(sessions_after("$at_once; BEGIN; $count"), 2, 'sessions that are not needed are not opened where there is no room');
limit_to(1);

# --- one client that needs two ---------------------------------------------------------------------------------------
is( $cluster->sql(
		'BEGIN; DECLARE c CURSOR FOR SELECT k FROM t ORDER BY v; FETCH 1 FROM c; SELECT count(*) FROM t;'
		  . ' UPDATE t SET v = 0; FETCH 1 FROM c; SELECT sum(v) FROM t; COMMIT') =~ /1000.*\n0$/s ? 'right' : 'wrong', 'right',
	'a cursor puts its rows aside for the next statement');
cmp_ok(most_sessions(), '<=', 1, 'the limit holds for one transaction');

# --- waiting ----------------------------------------------------------------------------------------------------------
my $holder = session();
ok(run_on($holder, "BEGIN; UPDATE t SET v = v + 1 WHERE k = $key", 60), 'a transaction holds the only session');
my ($code, $out, $err) = $cluster->try(0, "SET statement_timeout = 700; SELECT v FROM t WHERE k = $key;");
isnt($code, 0, 'another statement waits');
like($err, qr/57014/, '... and can be cancelled');
my $waiter = session();
$waiter->{in} .= "SELECT 'rows ' || v FROM t WHERE k = $key;\n";
ok(!says($waiter, 'rows', 1, 'quiet'), 'it waits');
$coordinator->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'});
ok(says($waiter, 'rows 0'), 'until the holder is gone, whose change is undone');
finish($waiter);
eval { $holder->{handle}->finish };
ok($coordinator->poll_query_until('postgres', 'SELECT coalesce(max(connection_count_to_node), 0) = 0 FROM citus_remote_connection_stats()'),
	'nothing is left');

# --- transactions that wait for each other's sessions ----------------------------------------------------------------
my $key2 = $cluster->sql('SELECT k FROM generate_series(1, 100) k WHERE (SELECT groupid FROM pg_dist_placement p WHERE p.shardid = '
	  . q{get_shard_id_for_distribution_column('t', k)) = 2 LIMIT 1});
my ($one, $two) = (session(), session());
ok(run_on($one, "BEGIN; SELECT v FROM t WHERE k = $key"), 'one uses node 1');
ok(run_on($two, "BEGIN; SELECT v FROM t WHERE k = $key2"), 'the other node 2');
$_->{out} = '' for $one, $two;
$one->{in} .= "SELECT 'rows ' || v FROM t WHERE k = $key2;\n";
$two->{in} .= "SELECT 'rows ' || v FROM t WHERE k = $key;\nCOMMIT;\n";
$_->{handle}->pump_nb for $one, $two;
ok(says($two, 'rows') & says($one, 'rows'), 'a circle of waits is broken');
finish($_) for $one, $two;

# --- sessions that die between their look-up and the statement ----------------------------------------------------------
sub lose_session
{
	my ($sql) = @_;
	my $go_on = $coordinator->data_dir . '/citus_debug_continue';
	unlink $go_on;
	my $client = session();
	run_on($client, "SELECT v FROM t WHERE k = $key", 60);
	$client->{in} .= "SET citus.debug_point = 'session_found:wait';\n$sql;\n\\echo end\n";
	$client->{handle}->pump_nb;
	$coordinator->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%/* lose */%' AND pid <> pg_backend_pid()});
	$cluster->node(1)->safe_psql('postgres',
		q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%'});
	open my $file, '>', $go_on or die $!;
	close $file;
	says($client, 'end');
	finish($client);
	unlink $go_on;
	return $client;
}
my $reader = lose_session("SELECT 'rows ' || v /* lose */ FROM t WHERE k = $key");
like($reader->{out}, qr/rows 0/, 'a read is sent again') or diag($reader->{err});
my $writer = lose_session("UPDATE t /* lose */ SET v = 5 WHERE k = $key");
like($writer->{err}, qr/57P01|08006/, 'a change is not');
is($cluster->sql("SELECT v FROM t WHERE k = $key"), 0, 'and was not made');
$reader = lose_session("BEGIN; SELECT 'rows ' || v /* lose */ FROM t WHERE k = $key; COMMIT");
like($reader->{err}, qr/57P01|08006/, 'nor is a part of a transaction');

# --- what is sent is shown -------------------------------------------------------------------------------------------
(undef, undef, $err) = $cluster->try(0, "SET citus.log_remote_commands = on; SELECT v FROM t WHERE k = $key;");
like($err, qr/NOTICE:.*issuing\s+SELECT v\s+FROM public\.t_\d+ t\s+WHERE/s, 'citus.log_remote_commands shows the statement');
like($err, qr/on server \S+\@127\.0\.0\.1:@{[$cluster->node(1)->port]}/, '... and where it goes');

# --- a crash ----------------------------------------------------------------------------------------------------------
my $victim = session();
ok(run_on($victim, 'SELECT pg_backend_pid(), count(*) FROM t'), 'a client with sessions');
my ($pid) = $victim->{out} =~ /(\d+)\|1000/;
kill 'KILL', $pid;
eval { $victim->{handle}->finish };
ok($coordinator->poll_query_until('postgres', 'SELECT true'), 'the server starts again after a crash');
is(most_sessions(), 0, 'and nothing is counted');
is($cluster->sql('SELECT count(*) FROM t'), 1000, 'it works');

# --- a node without connections --------------------------------------------------------------------------------------
limit_to(0);
my $worker = $cluster->node(1);
$worker->append_conf('postgresql.conf', "max_connections = 8\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\n");
$worker->restart;
my @hogs = map {
	IPC::Run::start([ 'psql', '-X', '-q', '-d', $worker->connstr('postgres'), '-c', 'SELECT pg_sleep(5)' ],
		'<', \undef, '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(120))
} 1 .. 12;
my $full = 0;
for (1 .. 100)
{
	(undef, undef, $err) = $cluster->try(1, 'SELECT 1');
	last if $full = $err =~ /too many clients/ ? 1 : 0;
	sleep 0.1;
}
ok($full, 'the worker is full') or diag($err);
my $patient = session();
$patient->{in} .= "SELECT 'rows ' || count(*) FROM t;\n";
ok(!says($patient, 'rows', 1, 'quiet'), 'a statement waits for the worker');
ok(says($patient, 'rows 1000'), 'until it has a connection to spare');
finish($patient);
$_->kill_kill for @hogs;

done_testing();
