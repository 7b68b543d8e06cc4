# A crashed node is replaced by its standby in the middle of a commit: names of parts and commit records are in the WAL,
# so the transaction ends the same on every node. And several databases of the same servers recover each their own.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CivitasCluster->new(workers => 2,
	conf => "citus.recover_2pc_interval = -1\nrestart_after_crash = on\n");
my @node = map { $cluster->node($_) } 0 .. 2;

sub make_table
{
	my ($database) = @_;
	$node[0]->safe_psql($database, q{CREATE TABLE t (k int PRIMARY KEY, v text); SELECT create_distributed_table('t', 'k', shard_count => 4)});
	my @keys;
	for my $group (1, 2)
	{
		push @keys, [ split /\n/, $node[0]->safe_psql($database,
				"SELECT k FROM generate_series(1, 500) k JOIN pg_dist_placement p"
				  . " ON p.shardid = get_shard_id_for_distribution_column('t', k) WHERE p.groupid = $group ORDER BY k LIMIT 20") ];
	}
	return @keys;
}

my @keys = make_table('postgres');
my $used = 0;
sub next_keys { $used++; return ($keys[0][$used], $keys[1][$used]); }
sub rows { my @k = @_; return $node[0]->safe_psql('postgres', 'SELECT count(*) FROM t WHERE k IN (' . join(',', @k) . ')'); }
sub two_inserts { my @k = @_; return "BEGIN; INSERT INTO t VALUES ($k[0], 'a'); INSERT INTO t VALUES ($k[1], 'b'); COMMIT;"; }

sub prepared_on { my ($server) = @_; return $server->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'); }

# A session that stands at a point of its commit.
sub start_waiting
{
	my ($point, @k) = @_;
	my $run = $cluster->session(0);
	$run->feed("SET citus.debug_point = '$point:wait';\n" . two_inserts(@k));
	$cluster->wait_for_point($point);
	return $run;
}

sub add_standby
{
	my ($primary, $name) = @_;
	$primary->backup($name);
	my $standby = PostgreSQL::Test::Cluster->new($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	# The copy made for the test forgets who may read what.
	chmod 0600, glob $standby->data_dir . '/*.key';
	$standby->start;
	return $standby;
}

# --- a worker ------------------------------------------------------------------------------------------

my $standby = add_standby($node[2], 'standby_of_worker');
my @committed = next_keys();
my $run = start_waiting('committed', @committed);
$node[2]->wait_for_catchup($standby);
$cluster->kill_server(2);
$cluster->let_go;
$run->finish;
like($run->{err}, qr/WARNING:  08006/, 'worker crashed after the commit: a warning');
unlike($run->{err}, qr/ERROR|FATAL|PANIC/, '... and no error');
$cluster->prepare_to_hold;

$standby->promote;
is(prepared_on($standby), 1, 'the promoted standby holds the part prepared');
my $id = $cluster->sql('SELECT nodeid FROM pg_dist_node WHERE groupid = 2');
$cluster->sql("SELECT citus_update_node($id, '127.0.0.1', " . $standby->port . ')');
is($cluster->sql('SELECT recover_prepared_transactions()'), 1, 'recovery reaches it in the place of the worker');
is(prepared_on($standby), 0, '... and finishes the part');
is(rows(@committed), 2, 'both rows are there');
$node[2] = $cluster->{nodes}[2] = $standby;

my @lost = next_keys();
my $position = $cluster->log_position(0);
$cluster->try(0, "SET citus.debug_point = 'prepared:crash'; " . two_inserts(@lost));
$cluster->wait_for_restart(0, $position);
is($cluster->sql('SELECT recover_prepared_transactions()'), 2, 'without a record the parts are rolled back, also on the promoted node');
is(rows(@lost), 0, '... and no row is there');
my @after = next_keys();
$cluster->sql(two_inserts(@after));
is(rows(@after), 2, 'transactions go on with the promoted node');

# --- several databases -----------------------------------------------------------------------------------

$_->safe_psql('postgres', 'CREATE DATABASE other') for @node;
$_->safe_psql('other', 'CREATE EXTENSION citus') for @node;
$node[0]->safe_psql('other', sprintf(q{SELECT citus_set_coordinator_host('127.0.0.1', %d)}, $node[0]->port));
$node[0]->safe_psql('other', sprintf(q{SELECT citus_add_node('127.0.0.1', %d)}, $_->port)) for @node[ 1, 2 ];
my @other_keys = make_table('other');
my @other = map { $_->[0] } @other_keys;
my @mine = next_keys();
# Both stand prepared without a record when the server goes down, and both with one.
for my $case ([ 'prepared', 0 ], [ 'committed', 2 ])
{
	my ($point, $expected) = @$case;
	$position = $cluster->log_position(0);
	my $first = start_waiting($point, @mine);
	$node[0]->psql('other', "SET citus.debug_point = '$point:crash'; " . two_inserts(@other), stdout => \my $o, stderr => \my $e);
	$first->finish;
	$cluster->wait_for_restart(0, $position);
	$cluster->prepare_to_hold;
	is($cluster->prepared_transactions, 4, "crash at $point: parts of both databases");
	is($cluster->sql('SELECT recover_prepared_transactions()'), 2, '... recovery takes those of its own');
	is($cluster->prepared_transactions, 2, '... and leaves the others');
	is($node[0]->safe_psql('other', 'SELECT recover_prepared_transactions()'), 2, '... to that of their database');
	is(rows(@mine), $expected, "crash at $point: rows of one database");
	is($node[0]->safe_psql('other', 'SELECT count(*) FROM t'), $expected, "crash at $point: rows of the other database");
	is($node[0]->safe_psql('other', 'SELECT recover_prepared_transactions()'), 0, 'nothing is left');
}
$position = $cluster->log_position(0);
$node[0]->psql('other', "SET citus.debug_point = 'committed:crash'; " . two_inserts(map { $_->[1] } @other_keys), stdout => \my $o, stderr => \my $e);
$cluster->wait_for_restart(0, $position);
$node[0]->append_conf('postgresql.conf', 'citus.recover_2pc_interval = 500');
$node[0]->reload;
$cluster->wait_until('the background recovers every database', sub { $cluster->prepared_transactions == 0 });
is($node[0]->safe_psql('other', 'SELECT count(*) FROM t'), 4, 'recovered in the background');

# A database that has lost the extension is left alone, the others are not.
my $dropped = $cluster->log_position(0);
$node[0]->safe_psql('other', 'DROP TABLE t; DROP EXTENSION citus');
my @going_on = next_keys();
$position = $cluster->log_position(0);
$cluster->try(0, "SET citus.debug_point = 'committed:crash'; " . two_inserts(@going_on));
$cluster->wait_for_restart(0, $position);
$cluster->wait_until('recovery goes on where the extension is', sub { $cluster->prepared_transactions == 0 });
is(rows(@going_on), 2, 'recovered after DROP EXTENSION elsewhere');
unlike(slurp_file($node[0]->logfile, $dropped), qr/ ERROR: /, '... where no background worker fails');
$node[0]->append_conf('postgresql.conf', 'citus.recover_2pc_interval = -1');
$node[0]->reload;
$node[0]->safe_psql('postgres', 'DROP DATABASE other');
$_->safe_psql('postgres', 'DROP DATABASE other WITH (FORCE)') for @node[1, 2];

# --- the coordinator ---------------------------------------------------------------------------------------

$standby = add_standby($node[0], 'standby_of_coordinator');
my (@first, @second);
@first = next_keys();
my $decided = start_waiting('committed', @first);
@second = next_keys();
my $undecided = start_waiting('prepared', @second);
$node[0]->wait_for_catchup($standby);
$cluster->kill_server(0);
$_->finish for $decided, $undecided;
$standby->promote;
$node[0] = $cluster->{nodes}[0] = $standby;
$cluster->sql(sprintf(q{SELECT citus_update_node((SELECT nodeid FROM pg_dist_node WHERE groupid = 0), '127.0.0.1', %d)}, $standby->port));
is($cluster->prepared_transactions, 4, 'coordinator crashed: the parts of both transactions');
is($cluster->sql('SELECT recover_prepared_transactions()'), 4, '... are finished by its standby');
is($cluster->prepared_transactions, 0, '... all of them');
is(rows(@first), 2, 'what was committed is there');
is(rows(@second), 0, 'what was not is not');
@after = next_keys();
$cluster->sql(two_inserts(@after));
is(rows(@after), 2, 'transactions go on with the promoted coordinator');
is($node[1]->safe_psql('postgres', 'SELECT nodeport = ' . $standby->port . ' FROM pg_dist_node WHERE groupid = 0'), 't', 'the workers know it');
is($node[1]->safe_psql('postgres', 'SELECT count(*) FROM t'), $cluster->sql('SELECT count(*) FROM t'), '... and answer the same');

done_testing();
