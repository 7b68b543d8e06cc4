# citus_create_restore_point(): transfers between nodes run from the coordinator and a worker while all nodes are backed up, a
# restore point is created and the load goes on. All nodes restored to that point hold every transfer whole or not
# at all. The creation stands still for a while between two nodes' points: without its lock transfers would be committed there.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use IPC::Run;

my $cluster = CivitasCluster->new(
	workers => 2,
	conf => "citus.recover_2pc_interval = -1\narchive_mode = on\narchive_command = 'cp \"%p\" \"../archives/%f\"'\n");
my @nodes = ($cluster->node(0), $cluster->workers);

$cluster->sql(<<'SQL');
SET client_min_messages = warning;
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, transfers int NOT NULL DEFAULT 0);
SELECT create_distributed_table('accounts', 'id', shard_count => 4);
INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 1000) i;
CREATE TABLE diary (id int);
SELECT create_distributed_table('diary', 'id');
SQL

my $books = 'SELECT sum(balance), sum(transfers) % 2, count(*) FROM accounts';
my $transfers = 'SELECT sum(transfers) / 2 FROM accounts';
my $right = '100000|0|1000';
is($cluster->sql($books), $right, 'the books are right at first');

my ($code, $out, $err) = $cluster->try(1, q{SELECT citus_create_restore_point('p')});
like($err, qr/ERROR:  0A000/, 'not on a worker');
($code, $out, $err) = $cluster->try(0, q{SELECT citus_create_restore_point(repeat('p', 64))});
like($err, qr/ERROR:  22023/, 'not with a name that is too long');
($code, $out, $err) = $cluster->try(0, q{CREATE ROLE visitor; SET ROLE visitor; SELECT citus_create_restore_point('p')});
like($err, qr/ERROR:  42501/, 'for superusers only');

# Two halves of the keys, so that the load has no deadlock of its own.
my $script = $nodes[0]->basedir . '/transfer.sql';
append_to_file($script, <<'PGBENCH');
\set low random(1, 500)
\set high random(501, 1000)
BEGIN;
UPDATE accounts SET balance = balance - 1, transfers = transfers + 1 WHERE id = :low;
UPDATE accounts SET balance = balance + 1, transfers = transfers + 1 WHERE id = :high;
COMMIT;
PGBENCH
my @loads;
for my $i (0, 1)
{
	my $output = $nodes[$i]->basedir . '/pgbench';
	my %load = (out => "$output.out", err => "$output.err");
	$load{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-f', $script, '-c', 2, '-j', 2, '-T', 600, $nodes[$i]->connstr('postgres') ],
		'<', \undef, '>', $load{out}, '2>', $load{err}, IPC::Run::timeout(400));
	push @loads, \%load;
}
$cluster->wait_until('transfers run', sub { $cluster->sql($transfers) > 20 });
$cluster->prepare_to_hold;

$_->backup('base', backup_options => ['--checkpoint=fast']) for @nodes;

# The point: the workers have theirs, the coordinator does not yet.
my $before = $cluster->sql($transfers);
my $point = IPC::Run::start(
	[ 'psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', $nodes[0]->connstr('postgres'),
		'-c', "SET citus.debug_point = 'restore_point:wait'", '-c', q{SELECT citus_create_restore_point('whole')} ],
	'<', \undef, '>', \my $position, '2>', \my $errors, IPC::Run::timeout(300));
$cluster->wait_for_point('restore_point');
my $locked = q{SELECT count(*) FROM pg_locks WHERE relation = 'pg_dist_transaction'::regclass AND mode = 'ExclusiveLock' AND granted};
is($_->safe_psql('postgres', $locked), 1, 'the records of ' . $_->name . ' are locked') for @nodes;
# Commits that were decided before are finished by their sessions; from then on none may be.
my %decided = map { $_ => 1 } map { split /\n/, $_->safe_psql('postgres', 'SELECT gid FROM pg_dist_transaction') } @nodes;
$cluster->wait_until('commits that were decided are finished', sub {
	!grep { $decided{$_} } map { split /\n/, $_->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts') } @nodes });
my @during = $cluster->sql($transfers);
sleep 1;
push @during, $cluster->sql($transfers);
my $reads = $nodes[2]->safe_psql('postgres', 'SELECT count(*) FROM accounts');
is($reads, 1000, 'reads go on while the point is created');
($code, $out, $err) = $cluster->try(2, "SET statement_timeout = '100s'; INSERT INTO diary VALUES (1);");
is($code, 0, '... and transactions of one node are committed') or diag $err;
$cluster->let_go;
$point->finish;
is($errors, '', 'the restore point is created');
like($position, qr{^[0-9A-F]+/[0-9A-F]+$}m, '... and the position of the coordinator returned');
is($during[0], $during[1], 'no transfer is committed meanwhile');

$cluster->wait_until('transfers go on', sub { $cluster->sql($transfers) > $during[1] + 20 });
my $after = $cluster->sql($transfers);
$_->{handle}->signal('TERM') for @loads;
for my $load (@loads)
{
	$load->{handle}->finish;
	unlike(slurp_file($load->{err}), qr/ERROR|FATAL/, 'the load had no error');
}
$cluster->wait_until('the clients are gone', sub {
	!grep { $_->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query ~ 'accounts' AND pid <> pg_backend_pid()
		AND backend_type = 'client backend' AND application_name !~ '^citus_internal'}) > 0 } @nodes });
$cluster->settle;
is($cluster->sql($books), $right, 'the books are right at the end');

# Restore: the same servers at the same ports, from base backup and archive, to the point.
for my $node (@nodes)
{
	my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
	$cluster->wait_until('the WAL is archived', sub { -e $node->archive_dir . "/$last" });
	$node->stop('fast');
	rename $node->data_dir, $node->data_dir . '_before' or die $!;
	system_or_bail('cp', '-a', $node->backup_dir . '/base', $node->data_dir);
	$node->append_conf('postgresql.conf', <<'CONF');
restore_command = 'cp "../archives/%f" "%p"'
recovery_target_name = 'whole'
recovery_target_action = 'promote'
archive_mode = off
CONF
	append_to_file($node->data_dir . '/recovery.signal', '');
}
$_->start for @nodes;
for my $node (@nodes)
{
	$cluster->wait_until('recovery has ended', sub { $node->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 'f' });
	like(slurp_file($node->logfile), qr/recovery stopping at restore point "whole"/, 'stopped at the point');
}
my $prepared = $cluster->prepared_transactions;
note "$prepared parts of transactions are prepared at the point";
$_->safe_psql('postgres', 'SELECT recover_prepared_transactions()') for @nodes;
is($cluster->prepared_transactions, 0, 'nothing stays prepared');
is($_, $right, 'restored: every transfer is whole') for $cluster->everywhere($books);
my $restored = $cluster->sql($transfers);
ok($before <= $restored && $restored <= $during[0] && $restored < $after,
	"... of the moment of the point: $before <= $restored <= $during[0] < $after");
is($cluster->sql('UPDATE accounts SET balance = balance + 1 WHERE id IN (1, 999) RETURNING 1'), "1\n1", '... and it works');

done_testing();
