# A transaction that writes on two nodes is atomic whatever crashes, and recovery finishes it. Debug points kill or stop
# the coordinator's session at each step of the commit; workers are killed around it. Errors of workers reach the client
# with their SQLSTATE and names. Secrets stay secret.
use strict;
use warnings;
use CivitasCluster;
use Test::More;
use IPC::Run;

my $cluster = CivitasCluster->new(
	workers => 2,
	conf => "citus.recover_2pc_interval = -1\nrestart_after_crash = on\n");
my $coordinator = $cluster->node(0);
$cluster->sql(q{CREATE TABLE t (k int CONSTRAINT t_key PRIMARY KEY, v text)});
$cluster->sql(q{SELECT create_distributed_table('t', 'k', shard_count => 4)});

# Fresh keys that live on worker 1 and worker 2.
my @keys;
for my $group (1, 2)
{
	push @keys, [ split /\n/, $cluster->sql(
			"SELECT k FROM generate_series(1, 2000) k WHERE EXISTS (SELECT FROM pg_dist_placement p WHERE p.groupid = $group"
			  . " AND p.shardid = get_shard_id_for_distribution_column('t', k)) ORDER BY k LIMIT 100") ];
}
is(scalar @{ $keys[1] }, 100, 'both workers have shards');

my $used = 0;
sub next_keys { $used++; return ($keys[0][$used], $keys[1][$used]); }

sub rows { my @wanted = @_; return $cluster->sql('SELECT count(*) FROM t WHERE k IN (' . join(',', @wanted) . ')'); }

sub two_inserts
{
	my ($first, $second) = @_;
	return "BEGIN; INSERT INTO t VALUES ($first, 'a'); INSERT INTO t VALUES ($second, 'b'); COMMIT;";
}

sub records { return $cluster->sql('SELECT count(*) FROM pg_dist_transaction'); }

# --- the ordinary case -----------------------------------------------------------------------------

$cluster->sql('SELECT recover_prepared_transactions()');
my ($first, $second) = next_keys();
$cluster->sql(two_inserts($first, $second));
is(rows($first, $second), 2, 'committed on both');
is($cluster->prepared_transactions, 0, 'nothing left prepared');
is(records(), 2, 'one record for each node');
is($cluster->sql('SELECT recover_prepared_transactions()'), 0, 'nothing to recover');
is(records(), 0, 'records are deleted when they are not needed any more');

($first) = next_keys();
$cluster->sql("BEGIN; INSERT INTO t VALUES ($first, 'a'); UPDATE t SET v = 'c' WHERE k = $first; COMMIT");
is(records(), 0, 'a single write node needs no two-phase commit');

# --- what the end of a transaction costs -------------------------------------------------------------

# Commands to each node that end the transaction: each is one flush and one reply.
sub ends
{
	my ($node, $statements) = @_;
	my ($code, $out, $err) = $cluster->try($node, "BEGIN; $statements;\nSET LOCAL citus.log_remote_commands = on;\nCOMMIT;");
	is($code, 0, "committed: $statements") or diag $err;
	my %sent;
	push @{ $sent{$2} }, $1 while $err =~ /issuing (PREPARE TRANSACTION|COMMIT PREPARED|COMMIT|ROLLBACK).*\nDETAIL:  on server .*:(\d+)$/mg;
	return join(', ', sort map { join(' ', @$_) } values %sent);
}

my @costs = ((next_keys())[0], next_keys());
is(ends(0, "INSERT INTO t VALUES ($costs[0], 'x')"), 'COMMIT', 'one writing node: one round trip');
is(ends(0, "UPDATE t SET v = 'y' WHERE k = $costs[0]; SELECT v FROM t WHERE k = $costs[2]"), 'COMMIT, COMMIT', 'a node that was read just commits');
is(ends(0, "INSERT INTO t VALUES ($costs[1], 'x'), ($costs[2], 'x')"), join(', ', ('PREPARE TRANSACTION COMMIT PREPARED') x 2),
	'two writing nodes: two round trips each');
is(ends(1, "UPDATE t SET v = 'z' WHERE k IN ($costs[1], $costs[2])"), 'PREPARE TRANSACTION COMMIT PREPARED',
	'rows of the asking node belong to the local transaction');
is(ends(1, "UPDATE t SET v = 'z' WHERE k = $costs[1]"), '', '... and alone need nobody');

# What can still fail here after a node was told to commit is decided in two phases, too.
is(ends(0, "UPDATE t SET v = 'y' WHERE k = $costs[0]; NOTIFY changed"), 'PREPARE TRANSACTION COMMIT PREPARED', 'a notification to be sent');
is(ends(0, "UPDATE t SET v = 'y' WHERE k = $costs[0]; SELECT pg_notify('changed', 'x') WHERE false"), 'COMMIT', '... but not sent');
is(ends(0, "LISTEN changed; UPDATE t SET v = 'y' WHERE k = $costs[0]"), 'PREPARE TRANSACTION COMMIT PREPARED', 'a channel to listen to');
is(ends(0, "CREATE TEMP TABLE mine (v text) ON COMMIT DROP; UPDATE t SET v = 'y' WHERE k = $costs[0]"),
	'PREPARE TRANSACTION COMMIT PREPARED', 'a temporary table to be dropped');
is(ends(0, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM pg_dist_node; UPDATE t SET v = 'y' WHERE k = $costs[0]"), 'COMMIT',
	'serializable: its check is made first');

# The notifications of transactions queue up in the order of their commits, by a lock that lasts to the end of each: one
# that waits for it can be refused, when its commit has begun.
{
	my @k = (next_keys(), next_keys());
	$cluster->prepare_to_hold;
	my $first = $cluster->session(0);
	$first->feed("SET citus.debug_point = 'committed:wait';\nBEGIN; INSERT INTO t VALUES ($k[0], 'a'), ($k[1], 'b'); NOTIFY changed; COMMIT;");
	$cluster->wait_for_point('committed');
	for my $statements ("BEGIN; INSERT INTO t VALUES ($k[2], 'c'); NOTIFY changed; COMMIT;",
		"INSERT INTO t VALUES ($k[2], 'c' || pg_notify('changed', 'x'));")
	{
		my ($code, $out, $err) = $cluster->try(0, "SET lock_timeout = 100; $statements");
		like($err, qr/ERROR:  55P03/, "refused in its commit: $statements");
		is(rows($k[2]), 0, '... is rolled back on the node, too');
	}
	$cluster->let_go;
	$first->finish;
	is(rows(@k), 2, 'the transaction that it waited for is committed');
	ok($cluster->wait_until('nothing is prepared', sub { $cluster->prepared_transactions == 0 }), 'nothing left prepared');
	$cluster->sql('SELECT recover_prepared_transactions()');
}

# --- the coordinator crashes at each step ----------------------------------------------------------

for my $case (
	[ 'before_commit', 0 ], [ 'prepare_sent', 0 ], [ 'prepared', 0 ],
	[ 'committed', 2 ], [ 'commit_prepared_sent', 2 ])
{
	my ($point, $expected) = @$case;
	my @k = next_keys();
	my $position = $cluster->log_position(0);
	my ($code) = $cluster->try(0, "SET citus.debug_point = '$point:crash'; " . two_inserts(@k));
	isnt($code, 0, "crash at $point: the client loses its connection");
	$cluster->wait_for_restart(0, $position);
	ok($cluster->settle, "crash at $point: nothing left prepared");
	is(rows(@k), $expected, "crash at $point: " . ($expected ? 'committed' : 'rolled back'));
	$cluster->sql('SELECT recover_prepared_transactions()');
	is(records(), 0, "crash at $point: no record left");
}

# --- the coordinator crashes while the cluster gets another secret -----------------------------------

# Wherever it stops, nodes understand each other in all directions before anything is recovered, and have one secret after that.
my $current_secret = q{SELECT md5(secret) FROM citus_internal.cluster_secret WHERE current};
my $count = $cluster->sql('SELECT count(*) FROM t');
sub answers { return join ' ', map { $cluster->node($_)->safe_psql('postgres', 'SELECT count(*) FROM t') } 0 .. 2; }
for my $case (
	[ 'secret_accepted', 0 ], [ 'before_commit', 0 ], [ 'prepared', 0 ],
	[ 'committed', 1 ], [ 'commit_prepared_sent', 1 ])
{
	my ($point, $new) = @$case;
	my $before = $cluster->sql($current_secret);
	my $position = $cluster->log_position(0);
	my ($code) = $cluster->try(0, "SET citus.debug_point = '$point:crash'; SELECT citus_rotate_cluster_secret()");
	isnt($code, 0, "crash at $point of a rotation: the client loses its connection");
	$cluster->wait_for_restart(0, $position);
	is(answers(), "$count $count $count", "crash at $point of a rotation: all nodes reach each other");
	ok($cluster->settle, "crash at $point of a rotation: nothing left prepared");
	my %after = map { $_ => 1 } $cluster->everywhere($current_secret);
	is(scalar(keys %after), 1, "crash at $point of a rotation: one secret");
	is(exists $after{$before} ? 0 : 1, $new, "crash at $point of a rotation: " . ($new ? 'a new one' : 'the old one'));
	is(answers(), "$count $count $count", "crash at $point of a rotation: ... which all use");
}
$cluster->sql('SELECT citus_rotate_cluster_secret()');
is(answers(), "$count $count $count", 'a rotation after all that');
$cluster->sql('SELECT recover_prepared_transactions()');

# --- an error at each step that can still fail -----------------------------------------------------

for my $point ('before_commit', 'prepare_sent', 'prepared')
{
	my @k = next_keys();
	my ($code, $out, $err) = $cluster->try(0, "SET citus.debug_point = '$point:error'; " . two_inserts(@k));
	like($err, qr/debug point $point/, "error at $point is reported");
	is(rows(@k), 0, "error at $point: rolled back");
	ok($cluster->wait_until("error at $point: its parts are undone", sub { $cluster->prepared_transactions == 0 }),
		"error at $point: nothing left prepared");
}

# --- a worker crashes while the coordinator stands at a step ----------------------------------------

# A session that stands at a point of its commit.
sub start_waiting
{
	my ($point, @k) = @_;
	$cluster->prepare_to_hold;
	my $session = $cluster->session(0);
	$session->feed("\\set ON_ERROR_STOP on\nSET citus.debug_point = '$point:wait';\n" . two_inserts(@k));
	$cluster->wait_for_point($point);
	return $session;
}

sub let_go
{
	my ($session) = @_;
	$cluster->let_go;
	$session->finish;
	$cluster->prepare_to_hold;
}

my @k = next_keys();
my $run = start_waiting('prepared', @k);
is($cluster->sql('SELECT recover_prepared_transactions()'), 0, 'recovery leaves a running transaction alone');
is($cluster->prepared_transactions, 2, '... and its parts prepared');
let_go($run);
is(rows(@k), 2, '... and it commits');

for my $point ('prepared', 'committed')
{
	@k = next_keys();
	$run = start_waiting($point, @k);
	is($cluster->prepared_transactions, 2, "worker killed at $point: both parts are prepared");
	$cluster->node(2)->stop('immediate');
	let_go($run);
	like($run->{err}, qr/WARNING:  08006: could not finish the committed transaction on node/,
		"worker killed at $point: a warning");
	unlike($run->{err}, qr/ERROR|FATAL|PANIC/, "worker killed at $point: the transaction is committed");
	$cluster->node(2)->start;
	is($cluster->sql('SELECT recover_prepared_transactions()'), 1, "worker killed at $point: recovered");
	is(rows(@k), 2, "worker killed at $point: both rows");
	is($cluster->prepared_transactions, 0, "worker killed at $point: nothing left prepared");
}

@k = next_keys();
$run = start_waiting('before_commit', @k);
$cluster->node(2)->stop('immediate');
let_go($run);
like($run->{err}, qr/ERROR:  08006/, 'worker killed before the commit: error');
$cluster->node(2)->start;
is(rows(@k), 0, 'worker killed before the commit: rolled back everywhere');
is($cluster->prepared_transactions, 0, 'worker killed before the commit: nothing left prepared');

# --- the session is told to stop after the commit was decided ----------------------------------------

for my $call ('pg_cancel_backend', 'pg_terminate_backend')
{
	@k = next_keys();
	$run = start_waiting('committed', @k);
	$cluster->sql(sprintf "SELECT $call(%d)", $cluster->held('committed'));
	let_go($run);
	unlike($run->{err}, qr/ERROR|PANIC/, "$call after the commit: no error for what is committed");
	ok($cluster->wait_until("$call: the parts are finished", sub { $cluster->prepared_transactions == 0 }),
		"$call after the commit: nothing left prepared");
	is(rows(@k), 2, "$call after the commit: both rows");
}

# The postmaster dies while the session waits for a frozen worker to finish its part.
{
	@k = next_keys();
	$run = start_waiting('committed', @k);
	my @frozen = $cluster->processes(2);
	kill 'STOP', @frozen;
	$cluster->let_go;
	$cluster->wait_until('the session goes on', sub { !$cluster->held });
	kill 'KILL', $cluster->postmaster(0);
	$run->finish;
	kill 'CONT', @frozen;
	$cluster->prepare_to_hold;
	unlike($run->{err}, qr/ERROR|PANIC/, 'postmaster killed after the commit: no error for what is committed');
	# Until the processes of the dead server have let go of its shared memory.
	my $start = "pg_ctl -w -D '" . $coordinator->data_dir . "' -l '" . $coordinator->logfile . "' start >/dev/null 2>&1";
	$cluster->wait_until('the dead server is gone', sub { system($start) == 0 });
	ok($cluster->settle, 'postmaster killed after the commit: nothing left prepared');
	is(rows(@k), 2, 'postmaster killed after the commit: both rows');
	unlike(PostgreSQL::Test::Utils::slurp_file($coordinator->logfile), qr/PANIC|cannot abort transaction/, 'no panic in the log');
}

# --- a worker that is down --------------------------------------------------------------------------

@k = next_keys();
$cluster->node(2)->stop('immediate');
my ($code, $out, $err) = $cluster->try(0, two_inserts(@k));
like($err, qr/ERROR:  08006: could not connect to node 127\.0\.0\.1:\d+/, 'worker down: the error names it');
($code, $out, $err) = $cluster->try(0, 'SELECT recover_prepared_transactions()');
is($code, 0, 'worker down: recovery goes on');
like($err, qr/WARNING:  08006/, '... with a warning');
is(rows($k[0]), 0, 'worker down: nothing on the other one');
$cluster->node(2)->start;
$cluster->sql(two_inserts(@k));
is(rows(@k), 2, 'worker back: works again');

# --- the background worker --------------------------------------------------------------------------

$coordinator->append_conf('postgresql.conf', 'citus.recover_2pc_interval = 500');
$coordinator->reload;
@k = next_keys();
my $position = $cluster->log_position(0);
$cluster->try(0, "SET citus.debug_point = 'committed:crash'; " . two_inserts(@k));
$cluster->wait_for_restart(0, $position);
$cluster->wait_until('the background worker has recovered', sub { $cluster->prepared_transactions == 0 });
is(rows(@k), 2, 'recovered in the background');
$cluster->sql('CREATE DATABASE other');
$cluster->sql('DROP DATABASE other');
$coordinator->append_conf('postgresql.conf', 'citus.recover_2pc_interval = -1');
$coordinator->reload;

# --- errors of workers ------------------------------------------------------------------------------

@k = next_keys();
$cluster->sql("INSERT INTO t VALUES ($k[0], 'x')");
($code, $out, $err) = $cluster->try(0, "INSERT INTO t VALUES ($k[0], 'y')");
like($err, qr/ERROR:  23505: duplicate key value violates unique constraint "t_key"/, '23505 as on one server');
like($err, qr/TABLE NAME:  t$/m, '... with the table');
like($err, qr/CONSTRAINT NAME:  t_key$/m, '... and the constraint');
($code, $out, $err) = $cluster->try(0, "SET statement_timeout = 500; SELECT pg_sleep(600) FROM t WHERE k = $k[0]");
like($err, qr/ERROR:  57014/, '57014 as on one server');
$cluster->wait_until('the cancelled statement ended on the worker', sub {
	$cluster->node(1)->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()}) == 0 });

my $conflict = $cluster->session(0);
$conflict->run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT v FROM t WHERE k = $k[0]");
$cluster->sql("UPDATE t SET v = 'other' WHERE k = $k[0]");
$conflict->run("UPDATE t SET v = 'z' WHERE k = $k[0]");
$conflict->finish;
like($conflict->{err}, qr/ERROR:  40001/, '40001 as on one server');

# --- a pipeline is one transaction ------------------------------------------------------------------

@k = next_keys();
$cluster->sql("INSERT INTO t VALUES ($k[1], 'there')");
my $script = $coordinator->basedir . '/pipeline.sql';
open my $pipeline, '>', $script or die $!;
print $pipeline "\\startpipeline\nINSERT INTO t VALUES ($k[0], 'first');\nINSERT INTO t VALUES ($k[1], 'twice');\n\\endpipeline\n";
close $pipeline;
for my $mode (qw(extended prepared))
{
	IPC::Run::run([ 'pgbench', '-n', '-t', 1, '-M', $mode, '-f', $script, $coordinator->connstr('postgres') ],
		'<', \undef, '>', \my $bench_out, '2>', \my $bench_err, IPC::Run::timeout(200));
	like($bench_err, qr/duplicate key/, "$mode pipeline: the second statement fails");
	is(rows($k[0]), 0, "$mode pipeline: the first one is rolled back with it");
}

# --- sessions ---------------------------------------------------------------------------------------

($code, $out, $err) = $cluster->try(0, "SELECT count(*) FROM t WHERE k = $k[0];\n"
	  . "\\! psql -XAtq -d '" . $cluster->node(1)->connstr('postgres')
	  . "' -c \"SELECT pg_terminate_backend(pid, 100000) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%'\" >/dev/null\n"
	  . "SELECT count(*) FROM t WHERE k = $k[0];");
is($code, 0, 'a kept session that its server closed is replaced') or diag($err);

# --- secrets ----------------------------------------------------------------------------------------

$cluster->sql(q{CREATE ROLE guest LOGIN});
$cluster->sql(q{GRANT SELECT ON t TO guest});
my $hba = $cluster->node(1)->data_dir . '/pg_hba.conf';
open my $in, '<', $hba or die $!;
my @lines = <$in>;
close $in;
open my $outfile, '>', $hba or die $!;
print $outfile "host all guest 127.0.0.1/32 scram-sha-256\n", @lines;
close $outfile;
$cluster->node(1)->reload;
$cluster->sql(q{INSERT INTO pg_dist_authinfo VALUES (0, 'guest', 'password=Geheimnis4711')});
($code, $out, $err) = $cluster->try(0, "SET ROLE guest; SELECT v FROM t WHERE k = $k[0]");
like($err, qr/could not connect to node/, 'a wrong password is refused');
unlike($err, qr/Geheimnis4711/, 'no password in the error');
my $log = '';
for my $node (@{ $cluster->{nodes} })
{
	open my $logfile, '<', $node->logfile or die $!;
	$log .= join '', grep { !/pg_dist_authinfo/ } <$logfile>;
	close $logfile;
}
unlike($log, qr/Geheimnis4711/, 'no password in a log');
($code, $out, $err) = $cluster->try(0, q{ALTER SYSTEM SET citus.node_conninfo = 'sslmode=require hostaddr=10.0.0.1'});
like($err, qr/The key "hostaddr" is not allowed here/, 'connection parameters cannot redirect');

done_testing();
