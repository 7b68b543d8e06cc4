# A change of nodes depends on no other node: whoever is down, frozen or still a standby learns of it later. And traffic to a
# group waits while a transaction that changes its node is open, on every node, and for that group alone.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CivitasCluster->new(workers => 3, conf => "citus.recover_2pc_interval = 1h\ncitus.node_connection_timeout = 5s\n");
my %id = map { split /\|/ } split /\n/, $cluster->sql('SELECT groupid, nodeid FROM pg_dist_node');
my %port = map { $_ => $cluster->node($_)->port } 0 .. 3;
$cluster->sql(q{CREATE TABLE t (k int PRIMARY KEY, v int); SELECT create_distributed_table('t', 'k', shard_count => 6); INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g});

sub key_on
{
	my ($group) = @_;
	return $cluster->sql("SELECT min(k) FROM t JOIN pg_dist_placement p ON p.shardid = get_shard_id_for_distribution_column('t', k) WHERE p.groupid = $group");
}
my %key = map { $_ => key_on($_) } 1 .. 3;

# What node $i says of the address of group $group.
sub address { my ($i, $group) = @_; return $cluster->node($i)->safe_psql('postgres', "SELECT nodename || ':' || nodeport FROM pg_dist_node WHERE groupid = $group AND noderole = 'primary'"); }

sub synced { my ($group) = @_; return $cluster->sql("SELECT metadatasynced FROM pg_dist_node WHERE groupid = $group AND noderole = 'primary'"); }

sub renamed { my ($group, $host) = @_; return "SELECT citus_update_node($id{$group}, '$host', $port{$group}, true, 1000)"; }

# --- nodes that are down --------------------------------------------------------------------------------

$cluster->kill_server($_) for 2, 3;
my ($code, $out, $err) = $cluster->try(0, renamed(1, 'localhost') . ';' . renamed(1, '127.0.0.1') . ';' . renamed(1, 'localhost'));
is($code, 0, 'the address of a node changes while two others are down') or diag $err;
is(address(1, 1), "localhost:" . $port{1}, '... a node that runs knows at once');
is(synced(2) . synced(3), 'ff', '... those that are down are said to be behind');
is($cluster->sql(q{SELECT string_agg(coalesce(result::text, 'none'), ',' ORDER BY from_nodeport, to_nodeport) FROM citus_check_cluster_node_health() WHERE from_nodeport = } . $port{2}),
	'none,none,none,none', '... and health says so');
($code, $out, $err) = $cluster->try(0, 'CREATE INDEX ON t (v)');
my $missing = join '|', @port{ 2, 3 };
like($err, qr/could not connect to node 127\.0\.0\.1:(?:$missing)/, 'DDL says which node is missing');
$cluster->sql("SELECT citus_set_node_property('127.0.0.1', $port{2}, 'shouldhaveshards', false)");
is($cluster->node(1)->safe_psql('postgres', "SELECT shouldhaveshards FROM pg_dist_node WHERE groupid = 2"), 'f', 'properties are set while nodes are down');
$cluster->start_killed($_) for 2, 3;
$cluster->wait_until('all have been told', sub { synced(2) . synced(3) eq 'tt' });
is(address($_, 1), "localhost:" . $port{1}, "node $_ has heard of the address") for 2, 3;
is($cluster->node(3)->safe_psql('postgres', "SELECT shouldhaveshards FROM pg_dist_node WHERE groupid = 2"), 'f', '... and of all the rest');
like(slurp_file($cluster->node(0)->logfile), qr/will be told later of a change of the nodes/, 'the log says who was told later');
$cluster->sql("SELECT citus_set_node_property('127.0.0.1', $port{2}, 'shouldhaveshards', true)");
$cluster->sql(renamed(1, '127.0.0.1'));

# --- a change that nobody sees to its end -----------------------------------------------------------------

my $changes = $cluster->session(0);
$changes->run('BEGIN; SAVEPOINT s; ' . renamed(1, 'nowhere-demoted') . '; ROLLBACK TO s; ' . renamed(3, 'localhost') . '; COMMIT');
is(join(',', map { address($_, 1) . ' ' . address($_, 3) } 0, 1, 2), join(',', ("127.0.0.1:$port{1} localhost:$port{3}") x 3),
	'what a savepoint undid is not told');
$changes->run('BEGIN; ' . renamed(1, 'nowhere-demoted') . '; ROLLBACK');
is($cluster->sql("SELECT count(*) FROM t"), 100, 'after a rollback all is as it was');
$cluster->sql(renamed(3, '127.0.0.1'));

# --- the pause --------------------------------------------------------------------------------------------

sub waiting
{
	my ($i) = @_;
	return $cluster->node($i)->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'waits'});
}

my $kept = $cluster->session(0);
$kept->run("SELECT v FROM t WHERE k = $key{1}");
my $block = $cluster->session(0);
$block->run("BEGIN; SELECT v FROM t WHERE k = $key{2}");
my $touched = $cluster->session(0);
$touched->run("BEGIN; UPDATE t SET v = 5 WHERE k = $key{1}");
my $from_worker = $cluster->session(2);
my $new = $cluster->session(3);

$changes->run('BEGIN; ' . renamed(1, '127.0.0.1-demoted'));
is($cluster->sql("SELECT v FROM t WHERE k = $key{2}"), 0, 'other groups go on');
$touched->run("SELECT v FROM t WHERE k = $key{1}");
like($touched->{err}, qr/40001/, 'a transaction that had used the group fails with 40001');
$touched->run('ROLLBACK');
$kept->start("/* waits */ UPDATE t SET v = v + 1 WHERE k = $key{1}");
$block->start("/* waits */ UPDATE t SET v = v + 1 WHERE k = $key{1}");
$from_worker->start("/* waits */ UPDATE t SET v = v + 1 WHERE k = $key{1}");
$new->start('/* waits */ SELECT count(*) FROM t');
$cluster->wait_until('all wait', sub { waiting(0) == 2 && waiting(2) == 1 && waiting(3) == 1 });
my ($c2, $o2, $e2) = $cluster->try(0, "SET citus.node_pause_timeout = 50; SELECT count(*) FROM t");
like($e2, qr/55P03.*node group 1 is paused/s, 'citus.node_pause_timeout bounds the wait');
$changes->run(renamed(1, 'localhost'));
$changes->run('COMMIT');
$block->run('COMMIT');
$_->run('SELECT 1') for $kept, $from_worker, $new;
is($_->{err}, '', 'no error') for $kept, $block, $from_worker, $new;
my ($gpid) = $kept->run('SELECT citus_backend_gpid()') =~ /(\d+)/;
is($cluster->node(1)->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'citus_internal gpid=$gpid'"), 1,
	'the session to the old place is closed');
$changes->run('BEGIN; ' . renamed(1, '127.0.0.1') . q{; PREPARE TRANSACTION 'x'});
like($changes->{err}, qr/0A000/, 'a change of nodes cannot be prepared');
$changes->run('ROLLBACK');
is($cluster->sql("SELECT v FROM t WHERE k = $key{1}"), 3, 'all went on, and nothing was lost');
is(address($_, 1), "localhost:" . $port{1}, "node $_ knows the new address") for 0 .. 3;
$cluster->sql(renamed(1, '127.0.0.1'));

# --- a swap with a registered secondary ---------------------------------------------------------------------

$cluster->sql("SELECT citus_add_secondary_node('127.0.0.2', $port{1}, '127.0.0.1', $port{1})");
my $second = $cluster->sql("SELECT nodeid FROM pg_dist_node WHERE noderole = 'secondary'");
my $roles = q{SELECT string_agg(nodeid || '@' || nodename, ' ' ORDER BY nodeid) FROM pg_dist_node WHERE groupid = 1};
$cluster->sql("BEGIN; " . renamed(1, '127.0.0.1-demoted') . "; " . renamed(1, '127.0.0.2') . '; COMMIT');
is($cluster->sql($roles), "$id{1}\@127.0.0.2 $second\@127.0.0.1", 'a primary that takes the address of its secondary changes places with it');
$cluster->sql("BEGIN; " . renamed(1, '127.0.0.2-demoted') . "; SELECT citus_update_node($second, '127.0.0.2', $port{1}); " . renamed(1, '127.0.0.1') . '; COMMIT');
is($cluster->sql($roles), "$id{1}\@127.0.0.1 $second\@127.0.0.2", '... in three calls');
$cluster->sql("SELECT citus_update_node($second, '127.0.0.1', $port{1}); SELECT citus_update_node($second, '127.0.0.1', $port{1}); " . renamed(1, '127.0.0.1'));
is($cluster->sql($roles), "$id{1}\@127.0.0.1 $second\@127.0.0.2", '... whoever is named first, and repeatedly');
($code, $out, $err) = $cluster->try(0, "SELECT citus_update_node($id{1}, '127.0.0.1', $port{2})");
like($err, qr/42710/, 'the address of another group stays its own');
is($cluster->sql('SELECT count(*) FROM t'), 100, 'all rows are there');
done_testing();
