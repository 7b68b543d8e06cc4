# DDL while the coordinator and a worker run transactions on the same table: nobody waits in a
# circle, nobody fails, no change is lost.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $cluster = CivitasCluster->new(workers => 2);
$cluster->sql(<<'SQL');
SET client_min_messages = warning;
CREATE TABLE accounts (aid int PRIMARY KEY, bid int, balance int);
SELECT create_distributed_table('accounts', 'aid', shard_count => 8);
INSERT INTO accounts SELECT i, i % 20, 0 FROM generate_series(1, 2000) i;
SQL

# Row locks are taken in the order of the keys, so that the load has no deadlock of its own.
my $script = $cluster->node(0)->basedir . '/transfer.sql';
open my $file, '>', $script or die $!;
print $file <<'PGBENCH';
\set one random(1, 2000)
\set other random(1, 2000)
\set low least(:one, :other)
\set high greatest(:one, :other)
BEGIN;
UPDATE accounts SET balance = balance + 1 WHERE aid = :low;
UPDATE accounts SET balance = balance - 1 WHERE aid = :high;
COMMIT;
SELECT count(*), sum(balance) FROM accounts WHERE bid = :one % 20;
PGBENCH
close $file;

# A thread for each client: pgbench waits for PREPARE with the whole thread, and a client that waits behind the DDL must not
# keep another one from ending its transaction. Nobody reads its output before the end: it goes to files, a full pipe would
# stop it in the middle of a transaction.
my @loads;
for my $node (0, 1)
{
	my $output = $cluster->node($node)->basedir . '/pgbench';
	my %load = (out => "$output.out", err => "$output.err");
	$load{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-M', 'prepared', '-f', $script, '-c', 2, '-j', 2, '-T', 10, $cluster->node($node)->connstr('postgres') ],
		'<', \undef, '>', $load{out}, '2>', $load{err}, IPC::Run::timeout(300));
	push @loads, \%load;
}
for my $i (1 .. 3)
{
	for my $ddl ("ALTER TABLE accounts ADD COLUMN c$i int DEFAULT $i", "CREATE INDEX i$i ON accounts (c$i)",
		"ALTER TABLE accounts DROP COLUMN c$i")
	{
		my ($code, $out, $err) = $cluster->try(0, "SET statement_timeout = '100s';\n$ddl;");
		is($code, 0, $ddl) or diag $err;
	}
}
for my $node (0, 1)
{
	my $load = $loads[$node];
	$load->{handle}->finish;
	$load->{$_} = slurp_file($load->{$_}) for 'out', 'err';
	unlike($load->{err}, qr/ERROR/, "no error for the clients of node $node") or diag $load->{err};
	like($load->{out}, qr/transactions actually processed: [1-9]/, "clients of node $node got on");
}
is($cluster->sql('SELECT count(*), sum(balance) FROM accounts'), '2000|0', 'every transfer is whole');

done_testing();
