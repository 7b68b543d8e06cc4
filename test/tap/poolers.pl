# A node behind PgBouncer: where the pooler shares by session, the sessions of other nodes prove themselves through it, also
# over a server's session that has been another one's before. Where it shares by transaction they do not work, and say so: no
# statement runs half, or as that of a client.
use strict;
use warnings;
use CivitasCluster;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CivitasCluster->new(workers => 2,
	conf => "citus.distributed_deadlock_detection_factor = -1\ncitus.recover_2pc_interval = -1\ncitus.node_conninfo = 'sslmode=prefer'\n");
$cluster->sql(q{CREATE TABLE t (k int PRIMARY KEY, v int); SELECT create_distributed_table('t', 'k', shard_count => 8);
	INSERT INTO t SELECT i, 0 FROM generate_series(1, 400) i; CREATE ROLE guest LOGIN; GRANT SELECT, UPDATE ON t TO guest});
my $node = $cluster->sql('SELECT nodeid FROM pg_dist_node WHERE groupid = 1');
my $pooler;
END { my $code = $?; $pooler->{handle}->kill_kill if $pooler; $? = $code; }

# A pooler in front of the first worker, which is the node's address from then on.
sub pool_by
{
	my ($mode) = @_;
	$pooler->{handle}->kill_kill if $pooler;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $users = $cluster->write_file('users.txt', join '', map { qq{"$_" ""\n} } scalar getpwuid($>), 'guest');
	my $settings = $cluster->write_file("$mode.ini", <<"INI");
[databases]
* = host=127.0.0.1 port=@{[ $cluster->node(1)->port ]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = trust
auth_file = $users
pool_mode = $mode
default_pool_size = 40
INI
	$pooler = { out => '', err => '' };
	$pooler->{handle} = IPC::Run::start([ '/usr/sbin/pgbouncer', $settings ], '<', \undef, '>', \$pooler->{out}, '2>', \$pooler->{err});
	$cluster->wait_until('the pooler listens', sub {
		IPC::Run::run([ 'psql', '-X', '-h', '127.0.0.1', '-p', $port, '-d', 'postgres', '-c', 'SELECT 1' ], '<', \undef, '>', \my $out, '2>', \my $err);
	});
	$cluster->sql("SELECT citus_update_node($node, '127.0.0.1', $port)");
	return;
}

# Changes of all rows by clients one after the other, on the coordinator and on the other worker; how many were committed.
sub change
{
	my ($prefix) = @_;
	my ($done, @errors) = (0);
	for my $turn (1 .. 6)
	{
		my ($code, $out, $err) = $cluster->try($turn % 2 ? 0 : 2, "$prefix BEGIN; UPDATE t SET v = v + 1; SELECT count(*) FROM t WHERE k < 100; COMMIT");
		$done++ if $code == 0;
		push @errors, $err if $code != 0;
	}
	return ($done, @errors);
}

pool_by('session');
my ($done, @errors) = change('');
is($done, 6, 'shared by session: nodes reach each other') or diag @errors;
($done, @errors) = change('SET ROLE guest;');
is($done, 6, '... in the name of a role, too') or diag @errors;
is($cluster->sql('SELECT count(*), min(v), max(v) FROM t'), '400|12|12', '... and all is changed');
is($cluster->sql(q{SELECT string_agg(DISTINCT success::text, ',') FROM run_command_on_workers('SELECT 1')}), 'true', '... commands reach the nodes');

# Two clients by turns, so that sessions of the server change hands between transactions.
pool_by('transaction');
my @half = map { $cluster->session(0) } 0, 1;
# For each of them a row on either worker.
my @rows = split /\n/, $cluster->sql(q{SELECT string_agg(k::text, ', ') FROM (
	SELECT DISTINCT ON (groupid, turn) k, turn FROM (SELECT k, groupid, row_number() OVER (PARTITION BY groupid ORDER BY k) AS turn
		FROM t JOIN pg_dist_placement ON shardid = get_shard_id_for_distribution_column('t', k)) numbered WHERE turn <= 2) chosen GROUP BY turn ORDER BY turn});
for my $turn (1 .. 5)
{
	for my $one (0, 1)
	{
		$half[$one]->run(join '; ', 'BEGIN', map { "UPDATE t SET v = v + 1 WHERE k = $_" } split /, /, $rows[$one]);
	}
	$half[$_]->run('COMMIT') for $turn % 2 ? (0, 1) : (1, 0);
}
my $said = join '', map { $_->{err} } @half;
$_->finish for @half;
pool_by('session');
$cluster->settle;
is($cluster->sql("SELECT min(v) = max(v) FROM t WHERE k IN ($_)"), 't', 'shared by transaction: nothing is done by half') for @rows;
unlike($said, qr/XX000|PANIC|server closed the connection/, '... and errors are such');
diag($said =~ /ERROR/ ? 'some statements failed' : 'no statement failed');

done_testing();
