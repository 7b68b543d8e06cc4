# What a cancel between nodes must not hit: the proof by which a session shows that a node opened it, the BEGIN and the
# savepoints that a statement of a transaction needs, and what a session runs after the statement that was cancelled.
#
# The second worker holds each new session in its proof, and shards of the first are locked until one is held there: then
# the first gives all the rows that are wanted, or fails.
use strict;
use warnings;
use CivitasCluster;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

# Nobody but the test opens sessions.
my $cluster = CivitasCluster->new(workers => 2,
	conf => "citus.distributed_deadlock_detection_factor = -1\ncitus.recover_2pc_interval = -1\n"
	  . "citus.max_adaptive_executor_pool_size = 1\n");
my $rows = 20_000;
for my $table ('t', 'written')
{
	$cluster->sql("CREATE TABLE $table (k int PRIMARY KEY, v int)");
	$cluster->sql("SELECT create_distributed_table('$table', 'k', shard_count => 4, colocate_with => "
		  . ($table eq 't' ? q{'none'} : q{'t'}) . ')');
	$cluster->sql("INSERT INTO $table SELECT k, k FROM generate_series(1, $rows) k");
	$cluster->sql("ANALYZE $table");
}
my @key;
for my $group (1, 2)
{
	$key[$group] = $cluster->sql("SELECT k FROM generate_series(1, $rows) k JOIN pg_dist_placement p"
		  . " ON p.shardid = get_shard_id_for_distribution_column('t', k) WHERE p.groupid = $group ORDER BY k LIMIT 1");
}
my $shards = $cluster->sql(q{SELECT string_agg('t_' || shardid, ', ') FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
	WHERE logicalrelid = 't'::regclass AND groupid = 1});

sub hold_proofs
{
	my ($point) = @_;
	$cluster->prepare_to_hold(2);
	$cluster->node(2)->append_conf('postgresql.conf', "citus.debug_point = '$point'");
	$cluster->node(2)->reload;
	$cluster->wait_until('the point is set', sub { $cluster->node(2)->safe_psql('postgres', 'SHOW citus.debug_point') eq $point });
	return;
}

# Starts a statement whose session to the second worker is held in its proof before the first answers.
sub start_held
{
	my ($client, $sql) = @_;
	my $holder = $cluster->session(1);
	$holder->run("BEGIN; LOCK TABLE $shards");
	hold_proofs('proving:wait');
	$client->start($sql);
	$cluster->wait_for_point('proving', 2);
	$holder->run('COMMIT');
	$holder->finish;
	return;
}

my $write = "UPDATE written SET v = -v WHERE k = $key[1]";
my $go_on = "UPDATE written SET v = -v WHERE k = $key[2]; SELECT 'changed ' || count(*) FROM written WHERE v < 0; COMMIT";

# --- a read that has all its rows before another node has accepted the session ------------------------

for my $level ('READ COMMITTED', 'REPEATABLE READ')
{
	my $client = $cluster->session(0);
	# The transaction has written, so it must outlive the cancel.
	$client->run("BEGIN ISOLATION LEVEL $level; $write; SET citus.debug_point = 'read_stopped:wait'");
	$cluster->prepare_to_hold;
	start_held($client, "SELECT 'rows ' || count(*) FROM (SELECT k, v FROM t LIMIT 700) AS wanted");
	$cluster->wait_for_point('read_stopped');
	$cluster->let_go(2);
	$cluster->let_go;
	ok($client->says('rows 700'), "$level: a read ends before a session that it opened has proven itself");
	$client->run('RESET citus.debug_point');
	hold_proofs('');
	is($client->run($go_on), "changed 2\n", '... and the transaction goes on, there as well');
	is($client->{err}, '', '... without an error');
	$client->finish;
	is($cluster->sql('UPDATE written SET v = -v WHERE v < 0 RETURNING k') =~ tr/\n//, 1, '... and is committed');
}

# --- a statement that fails while another node has not accepted the session ---------------------------

{
	my $client = $cluster->session(0);
	$client->run("BEGIN; $write; SAVEPOINT s");
	start_held($client, "SELECT count(*) FROM t WHERE 1 / (k - $key[1]) = 7");
	# Nothing shows that the cancel is held back; where it is not, it comes within this time.
	sleep 1;
	$cluster->let_go(2);
	$cluster->wait_until('the statement has failed', sub { $client->pump; $client->{err} =~ /ERROR/ });
	like($client->{err}, qr/22012/, 'a statement fails before a session that it opened has proven itself');
	hold_proofs('');
	is($client->run("ROLLBACK TO SAVEPOINT s; $go_on"), "changed 2\n", '... and after ROLLBACK TO SAVEPOINT the transaction goes on');
	is(scalar(() = $client->{err} =~ /ERROR/g), 1, '... without another error');
	$client->finish;
}

# Whatever happens, it can be stopped.
my $postmaster;
END { my $code = $?; kill 'CONT', $postmaster if $postmaster; $? = $code; }

# --- a cancel that comes late ---------------------------------------------------------------------------

# The node's postmaster stands still: it takes the request to cancel, and acts upon it when it goes on. By then the session
# that it was meant for must not run anything else.
{
	my $client = $cluster->session(0);
	$client->run('SELECT count(*) FROM t');
	my $gpid = $client->run('SELECT citus_backend_gpid()');
	chomp $gpid;
	my $session = $cluster->node(2)->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'citus_internal gpid=$gpid'");
	like($session, qr/^\d+$/, 'one session to the second worker');
	$postmaster = $cluster->postmaster(2);
	my $holder = $cluster->session(2);
	my $there = $cluster->sql(q{SELECT string_agg('t_' || shardid, ', ') FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
		WHERE logicalrelid = 't'::regclass AND groupid = 2});
	$holder->run("BEGIN; LOCK TABLE $there");
	# It has its rows from the first worker, and cancels what waits for the lock on the second.
	$cluster->prepare_to_hold;
	$client->run(q{SET citus.debug_point = 'read_stopped:wait'});
	kill 'STOP', $postmaster;
	$client->start("SELECT 'rows ' || count(*) FROM (SELECT k, v FROM t LIMIT 700) AS wanted");
	$cluster->wait_for_point('read_stopped');
	$holder->run('COMMIT');
	$cluster->wait_until('the session is idle', sub { $holder->run("SELECT state FROM pg_stat_activity WHERE pid = $session") eq "idle\n" });
	$cluster->let_go;
	ok($client->says('rows 700'), 'a read is cancelled on a node whose postmaster stands still');
	$client->start(q{SELECT 'all ' || count(*) FROM t});
	ok($client->silent_for(1, 'all'), '... and the next statement does not use the session');
	kill 'CONT', $postmaster;
	ok($client->says("all $rows"), '... but one that the late request does not hit');
	is($client->{err}, '', '... so that nothing fails');
	is($cluster->node(2)->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $session"), 0, '... and the first has been given up');
	$holder->finish;
	$client->finish;
}

done_testing();
