# Runs early
#
# A cluster of two workers grows to four and shrinks to two again, by rebalances in the background and by draining: no row is lost,
# whatever happens on the way. The coordinator crashes in the middle of a job, which goes on afterwards; a job is stopped
# in the middle of a move; a task fails and is tried again; an ordinary role moves what it owns.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CivitasCluster->new(
	workers => 4,
	add_nodes => 0,
	conf => "citus.recover_2pc_interval = -1\ncitus.background_task_queue_interval = 300\n"
	  . "citus.max_background_task_executors = 3\nmax_worker_processes = 20\n");
my $coordinator = $cluster->node(0);
my @port = map { $cluster->node($_)->port } 0 .. 4;

$cluster->sql("SELECT citus_set_coordinator_host('127.0.0.1', $port[0])");
$cluster->sql("SELECT citus_add_node('127.0.0.1', $port[$_])") for 1, 2;
$cluster->sql(<<'SQL');
SET client_min_messages = warning;
CREATE ROLE keeper LOGIN;
CREATE SCHEMA house AUTHORIZATION keeper;
SET ROLE keeper;
SET search_path = house;
CREATE TABLE countries (id int PRIMARY KEY, name text);
CREATE TABLE people (id bigint PRIMARY KEY, country int REFERENCES countries, name text, bits bytea);
CREATE TABLE visits (person bigint REFERENCES people, at timestamptz, page text, PRIMARY KEY (person, at));
CREATE TABLE "Odd Names" ("a key" text PRIMARY KEY, v numeric);
CREATE TABLE alone (id int PRIMARY KEY, v text);
CREATE TABLE alone2 (id int PRIMARY KEY, v text);
SELECT create_reference_table('countries');
SELECT create_distributed_table('people', 'id', shard_count => 8);
SELECT create_distributed_table('visits', 'person', colocate_with => 'people');
SELECT create_distributed_table('"Odd Names"', 'a key', shard_count => 4);
SELECT create_distributed_table('alone', NULL, colocate_with => 'none');
SELECT create_distributed_table('alone2', NULL, colocate_with => 'none');
INSERT INTO countries SELECT i, 'country ' || i FROM generate_series(1, 20) i;
INSERT INTO people SELECT i, i % 20 + 1, 'person ' || i, decode(md5(i::text), 'hex') FROM generate_series(1, 2000) i;
INSERT INTO visits SELECT i % 2000 + 1, '2026-01-01'::timestamptz + i * interval '1 min', '/' || i FROM generate_series(1, 5000) i;
INSERT INTO "Odd Names" SELECT 'k' || i, i / 3.0 FROM generate_series(1, 500) i;
INSERT INTO alone SELECT i, 'x' FROM generate_series(1, 100) i;
INSERT INTO alone2 SELECT i, 'y' FROM generate_series(1, 100) i;
SQL

my $checksum = join ' UNION ALL ',
  map { "SELECT '$_', count(*), sum(hashtextextended(t::text, 0)::numeric) FROM house.$_ t" }
  ('countries', 'people', 'visits', '"Odd Names"', 'alone', 'alone2');
my $expected = $cluster->sql($checksum);

# Rows are the same from each of the nodes; every shard has one placement, where its group is.
sub check_rows
{
	my ($what, @nodes) = @_;
	for my $i (@nodes)
	{
		is($cluster->node($i)->safe_psql('postgres', $checksum), $expected, "$what: rows as before, asked of node $i");
	}
	is($cluster->sql(<<'SQL'), 0, "$what: groups are together");
SELECT count(*) FROM (
	SELECT p.colocationid, s.shardminvalue FROM pg_dist_partition p JOIN pg_dist_shard s USING (logicalrelid) JOIN pg_dist_placement l USING (shardid)
	WHERE p.repmodel <> 't' GROUP BY 1, 2 HAVING count(DISTINCT groupid) <> 1) odd
SQL
}

# Shard groups on each worker, by port: "people,odd,alone..".
sub groups_on
{
	my ($i) = @_;
	return $cluster->sql(<<"SQL");
SELECT count(DISTINCT s.shardid) FILTER (WHERE logicalrelid = 'house.people'::regclass) || ',' ||
	count(DISTINCT s.shardid) FILTER (WHERE logicalrelid = 'house."Odd Names"'::regclass) || ',' ||
	count(DISTINCT s.shardid) FILTER (WHERE logicalrelid::text ~ 'alone')
FROM pg_dist_shard s JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) WHERE nodeport = $port[$i]
SQL
}

# Waits until a job has ended, which it must do in this state.
sub end_of_job
{
	my ($number, $state) = @_;
	my $ended;
	$cluster->wait_until("job $number has ended", sub {
		$ended = $cluster->sql("SELECT state FROM citus_job_list() WHERE job_id = $number AND finished_at IS NOT NULL") });
	is($ended, $state, "the job is $state") or diag $cluster->sql('SELECT * FROM pg_dist_background_task ORDER BY task_id');
}

# From here on moves of new processes stop at a debug point until let_go().
sub hold_moves
{
	my ($point) = @_;
	$cluster->prepare_to_hold;
	$coordinator->append_conf('postgresql.conf', "citus.debug_point = '$point:wait'");
	$coordinator->reload;
}

sub let_go
{
	$coordinator->append_conf('postgresql.conf', "citus.debug_point = ''");
	$cluster->let_go;
}

sub leftovers
{
	my $left = '';
	for my $i (@_)
	{
		$left .= $cluster->node($i)->safe_psql('postgres', <<'SQL');
SELECT 'shard ' || c.oid::regclass FROM pg_class c
WHERE relkind = 'r' AND relname ~ '_\d{6,}$' AND NOT EXISTS (
	SELECT FROM pg_dist_placement JOIN pg_dist_local_group USING (groupid) WHERE shardid = substring(relname, '\d+$')::bigint)
UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots
UNION ALL SELECT 'subscription ' || subname FROM pg_subscription
UNION ALL SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts
SQL
	}
	return $left;
}

# What cannot be dropped yet, because somebody uses it still, is dropped later.
sub clean_up
{
	my ($what, @nodes) = @_;
	my $left;
	$cluster->wait_until("$what: cleaned up", sub { $cluster->sql('CALL citus_cleanup_orphaned_resources()'); ($left = leftovers(@nodes)) eq '' });
	is($left, '', "$what: nothing is left behind");
}

check_rows('two nodes', 0, 1, 2);
is(groups_on(1), '4,2,1', 'two nodes share the shards');

# --- two nodes become four; the coordinator crashes in the middle ----------------------------------

$cluster->sql("SELECT citus_add_node('127.0.0.1', $port[$_])") for 3, 4;
is(groups_on(3), '0,0,0', 'new nodes are empty');
hold_moves('move_filled');
my $job = $cluster->sql('SELECT citus_rebalance_start()');
like($job, qr/^\d+$/, 'a rebalance starts');
$cluster->wait_for_point('move_filled');
is($cluster->sql("SELECT state FROM citus_rebalance_status()"), 'running', 'the job runs');
like($cluster->sql("SELECT details -> 'tasks' -> 0 ->> 'command' FROM citus_rebalance_status()"),
	qr/citus_move_shard_placement/, '... and says what it does');
like($cluster->sql(q{SELECT details -> 'tasks' -> 0 FROM citus_rebalance_status(raw => true)}),
	qr/(?=.*"size": \{"source": \d+, "target": \d+\})(?=.*"phase": ")(?=.*"percent": \d)(?=.*"hosts": \{"source": "127\.0\.0\.1:$port[2]|"127\.0\.0\.1:$port[1])(?=.*"LSN")/,
	'... and how far it is');
my ($code, $out, $err) = $cluster->try(0, 'SELECT citus_rebalance_start()');
like($err, qr/ERROR:  55006/, 'one rebalance at a time');
($code, $out, $err) = $cluster->try(0, 'SELECT rebalance_table_shards()');
like($err, qr/ERROR:  55006/, '... in the foreground too');
$coordinator->stop('immediate');
let_go();
$coordinator->start;
check_rows('after the crash', 0, 1);
end_of_job($job, 'finished');
is($cluster->sql("SELECT count(*) FROM pg_dist_background_task WHERE job_id = $job AND status <> 'done'"), 0, 'all of its tasks are done');
is(groups_on($_), '2,1,' . (split /,/, groups_on($_))[2], "node $_ has its quarter") for 1 .. 4;
check_rows('four nodes', 0 .. 4);
is($cluster->sql('SELECT count(*) FROM get_rebalance_table_shards_plan()'), 0, 'nothing is left to move');
is($cluster->sql('SELECT citus_rebalance_start()'), '', '... and no job made for it');

# --- a task fails, and is tried again --------------------------------------------------------------

$cluster->sql("SELECT citus_set_node_property('127.0.0.1', $port[4], 'shouldhaveshards', false)");
$cluster->node(4)->stop('immediate');
($code, $out, $err) = $cluster->try(0, q{SELECT citus_rebalance_start('by_shard_count', drain_only => true, shard_transfer_mode => 'block_writes')});
is($code, 0, 'a rebalance by shard count is planned while a node is down') or diag $err;
$job = $cluster->sql('SELECT job_id FROM citus_rebalance_status()');
$cluster->wait_until('a task has failed',
	sub { $cluster->sql("SELECT count(*) FROM pg_dist_background_task WHERE job_id = $job AND retry_count > 0 AND message ~ '^ERROR: 08006: could not connect'") > 0 });
$cluster->node(4)->start;
end_of_job($job, 'finished');
is(groups_on(4), '0,0,0', 'the node is empty');
check_rows('drained', 0 .. 4);
clean_up('drained', 0 .. 4);
$cluster->sql("SELECT citus_remove_node('127.0.0.1', $port[4])");

# --- a job is stopped in the middle ----------------------------------------------------------------

$cluster->sql("SELECT citus_set_node_property('127.0.0.1', $port[3], 'shouldhaveshards', false)");
hold_moves('move_filled');
$job = $cluster->sql(q{SELECT citus_rebalance_start(drain_only => true)});
$cluster->wait_for_point('move_filled');
$cluster->sql('SELECT citus_rebalance_stop()');
end_of_job($job, 'cancelled');
ok($cluster->wait_until('no move is held', sub { !$cluster->held }), 'stopped: nothing moves any more');
is($cluster->sql("SELECT count(*) FROM pg_dist_background_task WHERE job_id = $job AND status NOT IN ('cancelled', 'unscheduled')"),
	0, 'stopped: no task is left');
let_go();
$coordinator->reload;
clean_up('stopped', 0 .. 3);
isnt(groups_on(3), '0,0,0', 'stopped: the shards are where they were');
check_rows('stopped', 0 .. 3);

# --- the rest by an ordinary role, then in the foreground -------------------------------------------

$job = $cluster->sql(q{SET ROLE keeper; SELECT citus_rebalance_start(drain_only => true, shard_transfer_mode => 'block_writes')});
end_of_job($job, 'finished');
is($cluster->sql("SELECT DISTINCT owner FROM pg_dist_background_task WHERE job_id = $job"), 'keeper', 'tasks of an ordinary role are its own');
is(groups_on(3), '0,0,0', 'an ordinary role has drained the node');
$cluster->sql("SELECT citus_set_node_property('127.0.0.1', $port[3], 'shouldhaveshards', true)");
$cluster->sql(q{SELECT rebalance_table_shards('house.people', max_shard_moves => 2)});
is(groups_on(3), '2,0,0', 'the foreground rebalance moves what it was told');
check_rows('in the foreground', 0 .. 3);
$cluster->sql("SELECT citus_drain_node('127.0.0.1', $port[3], 'block_writes')");
clean_up('drained again', 0 .. 3);
$cluster->sql("SELECT citus_remove_node('127.0.0.1', $port[3])");
is(groups_on($_) =~ /^4,2/, 1, "node $_ has half again") for 1, 2;
check_rows('two nodes again', 0 .. 2);
is($cluster->sql('SELECT count(*) FROM pg_dist_node'), 3, 'two workers again');
is(leftovers(0 .. 4), '', 'nothing is left behind on any of the servers');

done_testing();
