# Reads go to registered standbys where that is asked for and they are fresh enough; writes never do. A standby coordinator
# answers reads.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CivitasCluster->new(workers => 2, conf => "citus.recover_2pc_interval = 1h\n");

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

$cluster->sql(q{CREATE TABLE t (k int PRIMARY KEY, v int); SELECT create_distributed_table('t', 'k', shard_count => 4); INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g});
my %standby = map { $_ => add_standby($cluster->node($_), "standby$_") } 0 .. 2;
$cluster->node($_)->wait_for_catchup($standby{$_}, 'replay', $cluster->node($_)->lsn('insert')) for 0 .. 2;
my %port = map { $_ => $standby{$_}->port } 0 .. 2;
$cluster->sql(sprintf q{SELECT citus_add_secondary_node('127.0.0.1', %d, '127.0.0.1', %d)}, $port{1}, $cluster->node(1)->port);
$cluster->sql(sprintf q{SELECT master_add_secondary_node('127.0.0.1', %d, '127.0.0.1', %d)}, $port{2}, $cluster->node(2)->port);
$cluster->sql(sprintf q{SELECT citus_add_secondary_node('127.0.0.1', %d, '127.0.0.1', %d)}, $port{0}, $cluster->node(0)->port);
is($cluster->sql(q{SELECT count(*) FROM pg_dist_node WHERE noderole = 'secondary' AND isactive}), 3, 'three secondaries');

# The servers that a statement goes to.
sub ports
{
	my ($settings, $sql, $i) = @_;
	my $plan = $cluster->node($i // 0)->safe_psql('postgres', "$settings; EXPLAIN (COSTS off) $sql");
	my %seen;
	$seen{$_}++ for $plan =~ /Node: 127\.0\.0\.1:(\d+)/g;
	return join ' ', sort keys %seen;
}
my $primaries = join ' ', sort map { $cluster->node($_)->port } 1, 2;
my $standbys = join ' ', sort @port{ 1, 2 };
my $all = "SELECT count(*) FROM t";
my $shown = 'SET citus.explain_all_tasks = on';
my $prefer = "$shown; SET citus.read_from_secondaries = prefer";
is(ports($shown, $all), $primaries, 'reads go to primaries');
is(ports($prefer, $all), $standbys, 'prefer: reads go to standbys');
is(ports("$prefer; BEGIN", $all), $primaries, '... but not in a transaction that may write');
is(ports("$prefer; BEGIN READ ONLY", $all), $standbys, '... in one that only reads they do');
is(ports("$prefer; BEGIN", 'UPDATE t SET v = 1'), $primaries, '... and changes never');
is(ports($prefer, "$all", 1), $port{2}, '... from a worker, too');
is($cluster->sql("$prefer; $all"), 100, '... the rows are there');
is($cluster->sql("$prefer; BEGIN READ ONLY; $all; SELECT sum(v) FROM t; COMMIT"), "100\n0", '... in a transaction');
is($cluster->sql("$prefer; BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ; $all; SELECT sum(v) FROM t; COMMIT"), "100\n0", '... and of one snapshot');
is($cluster->sql("$prefer; UPDATE t SET v = 1 WHERE k = 5; BEGIN; UPDATE t SET v = v + 1 WHERE k = 5; SELECT v FROM t WHERE k = 5; COMMIT"), 2, 'a transaction sees what it wrote');
is($cluster->sql("$prefer; BEGIN READ ONLY; DECLARE c CURSOR FOR SELECT k FROM t ORDER BY k; FETCH 2 FROM c; COMMIT"), "1\n2", 'cursors');
$cluster->node($_)->wait_for_catchup($standby{$_}, 'replay', $cluster->node($_)->lsn('insert')) for 1, 2;
is($cluster->sql("$prefer; SELECT v FROM t WHERE k = 5"), 2, 'a standby shows what it has got');

# --- a standby that lags, or is gone ---------------------------------------------------------------------

$standby{$_}->safe_psql('postgres', 'SELECT pg_wal_replay_pause()') for 1, 2;
$cluster->sql('UPDATE t SET v = 7');
my $strict = "$prefer; SET citus.max_secondary_lag = 0";
is(ports($strict, $all), $primaries, 'prefer: the primary where no standby is fresh enough');
my ($code, $out, $err) = $cluster->try(0, "SET citus.read_from_secondaries = always; SET citus.max_secondary_lag = 0; $all");
like($err, qr/55000.*has no secondary to read from/s, 'always: an error');
is($cluster->sql("SET citus.read_from_secondaries = always; SET citus.max_secondary_lag = '1h'; $all"), 100, 'a lag that is allowed');
$standby{$_}->safe_psql('postgres', 'SELECT pg_wal_replay_resume()') for 1, 2;
$standby{1}->stop('immediate');
is($cluster->sql("$prefer; $all"), 100, 'prefer: a standby that is gone does no harm');
$standby{1}->start;

# --- sessions that only read ------------------------------------------------------------------------------

$cluster->node(0)->append_conf('postgresql.conf', "citus.use_secondary_nodes = always\n");
$cluster->node(0)->reload;
is(ports($shown, $all), $standbys, 'use_secondary_nodes: every read goes to standbys');
is(ports("$shown; BEGIN", $all), $standbys, '... in transactions as well');
($code, $out, $err) = $cluster->try(0, 'UPDATE t SET v = 1');
like($err, qr/25006/, '... and no change is possible');
$cluster->node(0)->append_conf('postgresql.conf', "citus.cluster_name = 'reports'\n");
$cluster->node(0)->reload;
($code, $out, $err) = $cluster->try(0, $all);
like($err, qr/55000.*cluster "reports"/s, '... from those of citus.cluster_name');
$cluster->node(0)->append_conf('postgresql.conf', "citus.cluster_name = 'default'\ncitus.use_secondary_nodes = never\n");
$cluster->node(0)->reload;

# --- a standby coordinator ----------------------------------------------------------------------------------

is($standby{0}->safe_psql('postgres', $all), 100, 'a standby coordinator answers distributed reads');
is($standby{0}->safe_psql('postgres', 'SELECT count(*) FROM pg_dist_node'), 6, '... and local ones');
$standby{0}->psql('postgres', 'UPDATE t SET v = 1', stderr => \$err);
like($err, qr/read-only transaction/, '... and takes no write');
my ($id) = $cluster->sql(sprintf 'SELECT nodeid FROM pg_dist_node WHERE nodeport = %d', $port{1});
$cluster->sql(sprintf q{SELECT citus_remove_node('127.0.0.1', %d)}, $port{1});
is(ports($prefer, $all), join(' ', sort $cluster->node(1)->port, $port{2}), 'a secondary is removed');
done_testing();
