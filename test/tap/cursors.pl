# A cursor shows what there was when it was opened: also where a node comes to its query late, for a portal of the protocol
# that is read in parts, and in each isolation level.
#
# To be late is arranged: somebody changes rows of a shard and has the shard locked while the cursor is opened.
use strict;
use warnings;
use CivitasCluster;
use ProtocolClient;
use Test::More;

my $cluster = CivitasCluster->new(workers => 2);
$cluster->sql('CREATE TABLE t (k int PRIMARY KEY, v int)');
$cluster->sql(q{SELECT create_distributed_table('t', 'k', shard_count => 8)});
$cluster->sql('CREATE TABLE twice (k int PRIMARY KEY, v int)');
$cluster->sql(q{SELECT create_distributed_table('twice', 'k', colocate_with => 't')});
my $rows = 400;
$cluster->sql("INSERT INTO t SELECT k, 0 FROM generate_series(1, $rows) k");
$cluster->sql("INSERT INTO twice SELECT k, 0 FROM generate_series(1, $rows) k");

# The last shard of the first worker: the one that it comes to last.
my ($shard, $key) = split /\|/, $cluster->sql(<<"SQL");
SELECT s.shardid, min(k) FROM pg_dist_shard s JOIN pg_dist_placement USING (shardid), generate_series(1, $rows) k
WHERE logicalrelid = 't'::regclass AND groupid = 1 AND s.shardid = get_shard_id_for_distribution_column('t', k)
GROUP BY s.shardid ORDER BY s.shardid DESC LIMIT 1
SQL

# Calls `open` while somebody else changes the shard, and `rest` when that is committed.
sub changed_behind
{
	my ($open, $rest) = @_;
	my $other = ProtocolClient->new($cluster->node(1));
	$other->query("BEGIN; LOCK TABLE t_$shard; UPDATE t_$shard SET v = v + 1");
	my @first = $open->();
	$other->query('COMMIT');
	my @rows = (@first, $rest->());
	return sprintf '%d rows, %d of them changed', scalar @rows, scalar grep { $_->[1] != 0 } @rows;
}

for my $level ('READ COMMITTED', 'REPEATABLE READ')
{
	my $client = ProtocolClient->new($cluster->node(0));
	# The sessions are there, so that nothing but the query is missing.
	$client->query('SELECT count(*) FROM t');
	for my $case (
		[ 'a cursor over one shard', 1, "SELECT k, v FROM t WHERE k = $key" ],
		[ 'a cursor over all shards that reads them twice', $rows, 'SELECT a.k, a.v FROM t a JOIN twice b ON a.v = b.v AND a.k = b.k + 0' ],
		[ 'a cursor over all shards in order', $rows, 'SELECT k, v FROM t ORDER BY k' ])
	{
		my ($name, $count, $sql) = @$case;
		# Where rows are fetched when a cursor is declared, it would wait for the lock.
		if ($count == 1)
		{
			$cluster->sql('UPDATE t SET v = 0');
			$client->query("BEGIN ISOLATION LEVEL $level");
			is(changed_behind(sub { $client->query("DECLARE c NO SCROLL CURSOR FOR $sql") }, sub { $client->query('FETCH ALL FROM c') }),
				"$count rows, 0 of them changed", "$name, declared, $level");
			$client->query('COMMIT');
		}
		$cluster->sql('UPDATE t SET v = 0');
		$client->query("BEGIN ISOLATION LEVEL $level");
		is(changed_behind(sub { $client->open_portal('p', $sql) }, sub { my ($more, @all) = $client->fetch('p', 0); @all }),
			"$count rows, 0 of them changed", "$name, a portal, $level");
		$client->sync;
		$client->query('COMMIT');
	}

	# Read in parts: some rows first, then changes by others and by the transaction itself, then the rest.
	$cluster->sql('UPDATE t SET v = 0');
	$client->query("BEGIN ISOLATION LEVEL $level");
	is(changed_behind(
			sub {
				$client->open_portal('p', 'SELECT k, v FROM t');
				my ($more, @some) = $client->fetch('p', 5);
				is(scalar(@some) . ($more ? ', suspended' : ''), '5, suspended', "the first rows of the portal, $level");
				return @some;
			},
			sub {
				$client->sync;
				my @more = $client->query("UPDATE t SET v = 7 WHERE k <> $key AND k <= 50") if $level eq 'READ COMMITTED';
				my ($suspended, @some) = $client->fetch('p', 100);
				my ($again, @rest) = $client->fetch('p', 0);
				return (@some, @rest);
			}),
		"$rows rows, 0 of them changed", "a portal that is read in parts, $level");
	$client->sync;
	is(($client->query('SELECT count(*) FROM t WHERE v = 7'))[0][0] > 0 ? 'seen' : 'not seen', $level eq 'READ COMMITTED' ? 'seen' : 'not seen',
		"a statement after it, $level");
	$client->query('COMMIT');

	# Given up after some rows: the transaction goes on.
	$client->query("BEGIN ISOLATION LEVEL $level");
	$client->open_portal('p', 'SELECT a.k, repeat(md5(a.k::text), 300) FROM t a, generate_series(1, 20)');
	my ($more, @some) = $client->fetch('p', 3);
	is(scalar(@some), 3, "some rows of a portal that is given up, $level");
	$client->sync;
	$client->query('COMMIT');
	is(($client->query('SELECT count(*) FROM t'))[0][0], $rows, "the session goes on, $level");
}

# Outside of a transaction block the portal lasts until the Sync.
my $client = ProtocolClient->new($cluster->node(0));
$cluster->sql('UPDATE t SET v = 0');
is(changed_behind(
		sub { $client->open_portal('p', 'SELECT k, v FROM t'); my ($more, @some) = $client->fetch('p', 5); @some },
		sub { my ($more, @rest) = $client->fetch('p', 0); @rest }),
	"$rows rows, 0 of them changed", 'a portal outside of a transaction block');
$client->sync;
# EXECUTE reads its rows at once, so it asks for no snapshot first.
my ($code, $out, $err) = $cluster->try(0,
	"PREPARE p AS SELECT v FROM t WHERE k = $key; EXECUTE p;\nSET client_min_messages = log; SET citus.log_remote_commands = on;\nEXECUTE p;");
is(join(' ', $err =~ /issuing\s+(\w+)/g), 'BEGIN SELECT SELECT COMMIT', 'EXECUTE sends its statement and what belongs to the transaction') or diag $err;

ok($cluster->wait_until('no transaction is open', sub {
	!grep { $_ > 0 } $cluster->everywhere(q{SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'}) }),
	'no transaction is left open');

done_testing();
