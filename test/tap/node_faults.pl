# Adding, activating, disabling and removing a node: cancelled, timed out, or the node goes away in the middle. Whatever
# happens, the nodes of the cluster agree about who is in it and about the tables, a node that is not in
# it knows of no other, every node that is in it gives the right answer, and the call works when it is made again.
use strict;
use warnings;
use CivitasCluster;
use Test::More;

my $cluster = CivitasCluster->new(workers => 2);
my $port = $cluster->node(2)->port;
my $host = $cluster->sql("SELECT nodename FROM pg_dist_node WHERE nodeport = $port");

$cluster->sql("SELECT citus_remove_node('$host', $port)");
$cluster->sql(q{
	CREATE TABLE r (id int PRIMARY KEY, v text);
	INSERT INTO r SELECT i, repeat('r', 80) FROM generate_series(1, 20000) i;
	SELECT create_reference_table('r');
	CREATE TABLE t (id int PRIMARY KEY, r int REFERENCES r);
	SELECT create_distributed_table('t', 'id', shard_count => 4);
	INSERT INTO t SELECT i, i FROM generate_series(1, 1000) i;});

# What a role is here it is on a node that joins, its settings included.
my $role_settings = q{SELECT string_agg(format('%s %s', setdatabase <> 0, setconfig), ', ' ORDER BY setdatabase)
	FROM pg_db_role_setting WHERE setrole = 'reporter'::regrole};
$cluster->sql(q{
	CREATE ROLE reporter LOGIN;
	ALTER ROLE reporter SET search_path TO "My Schema", public;
	ALTER ROLE reporter SET application_name TO 'it''s, me';
	ALTER ROLE reporter IN DATABASE postgres SET work_mem TO '7MB';});

my $nodes = q{SELECT coalesce(string_agg(format('%s %s %s %s %s', nodeport, groupid, isactive, hasmetadata, metadatasynced), ',' ORDER BY nodeport), 'none')
	FROM pg_dist_node};
my $placements = q{SELECT coalesce(string_agg(format('%s %s %s', s.logicalrelid, shardid, groupid), ',' ORDER BY shardid, groupid), 'none')
	FROM pg_dist_placement JOIN pg_dist_shard s USING (shardid)};

my $add = "SELECT citus_add_node('$host', $port)";
my $inactive = "SELECT citus_add_inactive_node('$host', $port)";
my $remove = "SELECT citus_remove_node('$host', $port)";
# before: what leads to the state that the call starts from.
my @calls = (
	{ name => 'citus_add_node', before => [], call => $add },
	{ name => 'citus_activate_node', before => [$inactive], call => "SELECT citus_activate_node('$host', $port)" },
	{ name => 'citus_disable_node', before => [$add], call => "SELECT citus_disable_node('$host', $port, true)" },
	{ name => 'citus_remove_node', before => [$add], call => $remove },
);

sub is_member
{
	return $cluster->sql("SELECT count(*) FROM pg_dist_node WHERE nodeport = $port");
}

sub start_from
{
	my ($call) = @_;
	$cluster->sql($remove) if is_member();
	$cluster->sql($_) for @{ $call->{before} };
}

sub check_state
{
	my ($label) = @_;
	ok($cluster->settle, "$label: no prepared transaction");
	my $active = $cluster->sql("SELECT count(*) FROM pg_dist_node WHERE nodeport = $port AND isactive");
	for my $node ($active ? (1, 2) : (1))
	{
		is($cluster->node($node)->safe_psql('postgres', $_), $cluster->sql($_), "$label: metadata of node $node")
			for $nodes, $placements;
	}
	for my $node ($active ? (0 .. 2) : (0, 1))
	{
		is($cluster->node($node)->safe_psql('postgres', 'SELECT count(*), count(v) FROM t JOIN r ON r.id = t.r'),
			'1000|1000', "$label: answer of node $node");
	}
	if (!is_member())
	{
		is($cluster->node(2)->safe_psql('postgres', 'SELECT count(*) FROM pg_dist_partition'), '0', "$label: a node outside has no metadata");
		is($cluster->node(2)->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname ~ '^[tr](_[0-9]+)?$'}), '0',
			"$label: a node outside has no table");
	}
}

sub check_again
{
	my ($label, $call) = @_;
	start_from($call);
	my ($code, $out, $err) = $cluster->try(0, $call->{call});
	is($code, 0, "$label: works when made again") or diag($err);
	check_state("$label, made again");
}

for my $call (@calls)
{
	for my $timeout (5, 60)
	{
		start_from($call);
		my ($code, $out, $err) = $cluster->try(0, "SET statement_timeout = $timeout;\n$call->{call}");
		like($err, qr/57014/, "$call->{name}, timeout $timeout ms: query_canceled") if $code != 0;
		check_state("$call->{name}, timeout $timeout ms");
	}
	start_from($call);
	$cluster->run_beside($call->{call}, 0.1, sub { $cluster->cancel_tested });
	check_state("$call->{name}, cancel");
	start_from($call);
	$cluster->run_beside($call->{call}, 0.1, sub { $cluster->node(2)->stop('immediate') });
	$cluster->node(2)->start;
	check_again("$call->{name}, node crash", $call);
}
start_from($calls[3]);
is($cluster->node(2)->safe_psql('postgres', $role_settings), $cluster->sql($role_settings), "a role's settings are on the node that joined");

# --- what moves left on a node that leaves ----------------------------------------------------------------

$cluster->sql('ALTER SYSTEM SET citus.defer_shard_delete_interval = -1');
$cluster->node(0)->reload;
$cluster->wait_until('nobody cleans up', sub { $cluster->sql('SHOW citus.defer_shard_delete_interval') eq '-1' });
my $records = 'SELECT count(*) FROM pg_dist_cleanup';
my $shard = $cluster->sql(q{SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 't'::regclass});
# Whether a node has its table.
my $left = "SELECT (to_regclass('t_$shard') IS NOT NULL)::int";

# A shard goes to node 2, and, if it is to leave something there, back again.
sub move_there
{
	my ($and_back) = @_;
	my %id = map { split /\|/ } split /\n/, $cluster->sql('SELECT groupid, nodeid FROM pg_dist_node');
	my $there = $cluster->sql("SELECT groupid FROM pg_dist_node WHERE nodeport = $port");
	$cluster->sql('CALL citus_cleanup_orphaned_resources()');
	for my $way ([ 1, $there ], $and_back ? [ $there, 1 ] : ())
	{
		$cluster->sql("SELECT citus_move_shard_placement($shard, $id{$way->[0]}, $id{$way->[1]}, 'block_writes')");
	}
	return;
}

sub starts_anew
{
	my ($label) = @_;
	is($cluster->node(2)->safe_psql('postgres', $left), '0', "$label: nothing is left on the node");
	move_there(1);
	check_state($label);
}

move_there(1);
is($cluster->sql($records), '1', 'a record for the node');
$cluster->sql("SELECT citus_disable_node('$host', $port, true)");
is($cluster->node(2)->safe_psql('postgres', $left), '1', 'disabled: it still has the old placement');
$cluster->sql('CALL citus_cleanup_orphaned_resources()');
is($cluster->sql($records) . $cluster->node(2)->safe_psql('postgres', $left), '00', 'disabled: the old placement can be dropped');
$cluster->sql("SELECT citus_activate_node('$host', $port)");
starts_anew('disabled and activated');

$cluster->node(2)->stop('immediate');
$cluster->sql("SELECT citus_disable_node('$host', $port, true)");
$cluster->sql('CALL citus_cleanup_orphaned_resources()');
is($cluster->sql($records), '1', 'disabled while it is down: the record stays');
$cluster->node(2)->start;
$cluster->sql("SELECT citus_activate_node('$host', $port)");
starts_anew('disabled while it is down, and activated');

# As if a crash had left a slot as well.
$cluster->node(2)->safe_psql('postgres', q{CREATE PUBLICATION citus_shard_move_publication_1_2_3});
$cluster->node(2)->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('citus_shard_move_slot_1_2_3', 'pgoutput')});
$cluster->node(2)->stop('immediate');
$cluster->sql($remove);
$cluster->sql('CALL citus_cleanup_orphaned_resources()');
is($cluster->sql($records), '0', 'removed while it is down: there is no record any more');
$cluster->node(2)->start;
is($cluster->node(2)->safe_psql('postgres', $left), '1', 'removed while it is down: it has what it had');
$cluster->sql($add);
is($cluster->node(2)->safe_psql('postgres', 'SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)'), '0',
	'added again: no slot and no publication');
starts_anew('removed while it is down, and added');
done_testing();
