# COPY into shards when something goes wrong while rows are on their way: a worker's server or one session goes away, a
# worker stops reading, the client disappears, the source fails at its end. Every time nothing is loaded, memory stays
# bounded, the error says what happened, and the next COPY works.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use IPC::Run;

my $cluster = CivitasCluster->new(workers => 2);
my $coordinator = $cluster->node(0);
$cluster->sql(q{CREATE TABLE t (k int, v text)});
$cluster->sql(q{SELECT create_distributed_table('t', 'k', shard_count => 8)});

# Rows enough for batches to be under way, then nothing until the file is there, then more.
my $more = $coordinator->basedir . '/more';
sub rows { my ($count) = @_; return qq{awk 'BEGIN {for (i = 0; i < $count; i++) printf "%d\\t%0200d\\n", i, i}'}; }
my $rows = rows(100_000);

sub paused_copy
{
	my ($count) = @_;
	unlink $more;
	return "COPY t FROM PROGRAM \$\$$rows; for i in \$(seq 3000); do [ -e '$more' ] && break; sleep 0.1; done; @{[rows($count)]}\$\$";
}
sub go_on { append_to_file($more, ''); return; }

sub start_copy
{
	my ($sql) = @_;
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d',
			$coordinator->connstr('postgres'), '-c', "SET application_name = 'under_test'", '-c', $sql ],
		'<', \undef, '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(300));
	return \%run;
}

# The session on a worker that is inside the COPY's transaction.
sub remote_pid
{
	my ($node) = @_;
	return $cluster->node($node)->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%' AND query LIKE 'COPY %' AND state <> 'idle' LIMIT 1});
}

sub wait_for_batches
{
	for my $node (@_)
	{
		$cluster->wait_until("batches reached node $node", sub { remote_pid($node) ne '' });
	}
}

sub check_nothing_loaded
{
	my ($label) = @_;
	is($cluster->sql('SELECT count(*) FROM t'), 0, "$label: nothing loaded");
	is($cluster->prepared_transactions, 0, "$label: no prepared transaction");
	my ($code) = $cluster->try(0, "BEGIN; COPY t FROM PROGRAM \$\$$rows\$\$; ROLLBACK;");
	is($code, 0, "$label: the next COPY works");
	$cluster->wait_until("$label: no open transaction on a worker", sub {
		my @open = $cluster->everywhere(
			q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%' AND xact_start IS NOT NULL});
		return "@open" eq '0 0 0';
	});
}

# One session on a worker is ended.
my $run = start_copy(paused_copy(100_000));
wait_for_batches(1, 2);
$cluster->node(1)->safe_psql('postgres', 'SELECT pg_terminate_backend(' . remote_pid(1) . ', 100000)');
go_on();
$run->{handle}->finish;
like($run->{err}, qr/ERROR:  (08|57P)/, 'session ended: connection error');
check_nothing_loaded('session ended');

# A worker crashes.
$run = start_copy(paused_copy(100_000));
wait_for_batches(1, 2);
$cluster->node(2)->stop('immediate');
go_on();
$run->{handle}->finish;
my $port = $cluster->node(2)->port;
like($run->{err}, qr/ERROR:  (08|57P)/, 'worker crash: connection error');
like($run->{err}, qr/\b$port\b/, 'worker crash: names the node');
$cluster->node(2)->start;
check_nothing_loaded('worker crash');

# A worker stops reading: the coordinator waits with bounded memory, and a cancel is heard at once.
$run = start_copy(paused_copy(2_000_000));
wait_for_batches(1);
my $stopped = remote_pid(1);
kill 'STOP', $stopped;
go_on();
my $backend = $coordinator->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity WHERE application_name = 'under_test'});
my $processed = q{SELECT coalesce(max(tuples_processed), 0) FROM pg_stat_progress_copy};
my ($before, $after, $same) = (-1, 0, 0);
$cluster->wait_until('the reading stops', sub {
	($before, $after) = ($after, $coordinator->safe_psql('postgres', $processed));
	$same = $after > 0 && $before == $after ? $same + 1 : 0;
	sleep 0.3;
	return $same >= 5;
});
my ($anonymous) = map { /^RssAnon:\s+(\d+)/ ? $1 : () } split /\n/, `cat /proc/$backend/status`;
cmp_ok($anonymous, '<', 150 * 1024, 'stopped worker: memory of the coordinator is bounded (kB)');
cmp_ok($after, '<', 2000000, 'stopped worker: the source waits');
$coordinator->safe_psql('postgres', "SELECT pg_cancel_backend($backend)");
sleep 1;
kill 'CONT', $stopped;
$run->{handle}->finish;
like($run->{err}, qr/57014/, 'stopped worker: cancel is heard');
check_nothing_loaded('stopped worker');

# A worker that was slow for a while: the COPY goes on and ends well.
$run = start_copy('BEGIN; ' . paused_copy(400_000) . '; SELECT count(*) FROM t; ROLLBACK');
wait_for_batches(1);
$stopped = remote_pid(1);
kill 'STOP', $stopped;
go_on();
sleep 2;
kill 'CONT', $stopped;
$run->{handle}->finish;
is($run->{err}, '', 'slow worker: no error');
like($run->{out}, qr/500000/, 'slow worker: every row');

# The source fails after its last row.
my ($code, $out, $err) = $cluster->try(0, "COPY t FROM PROGRAM \$\$$rows; exit 3\$\$");
like($err, qr/38000/, 'failing source: its error');
check_nothing_loaded('failing source');

# The client goes away in the middle of its data.
my ($in, $client_out, $client_err) = ('', '', '');
my $client = IPC::Run::start(
	[ 'psql', '-X', '-q', '-d', $coordinator->connstr('postgres'), '-c', 'COPY t FROM STDIN' ],
	'<', \$in, '>', \$client_out, '2>', \$client_err, IPC::Run::timeout(300));
$in .= "$_\t" . ('x' x 200) . "\n" for 1 .. 20000;
$cluster->wait_until('rows are read', sub { $client->pump_nb; $coordinator->safe_psql('postgres', $processed) > 0 });
$client->kill_kill;
$cluster->wait_until('the backend has gone',
	sub { $coordinator->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query = 'COPY t FROM STDIN'}) eq '0' });
check_nothing_loaded('client gone');

# A default that queries distributed tables needs the very sessions that the COPY writes through.
$cluster->sql(q{CREATE TABLE looked_up (k int PRIMARY KEY, v int)});
$cluster->sql(q{SELECT create_distributed_table('looked_up', 'k', colocate_with => 't')});
$cluster->sql(q{INSERT INTO looked_up SELECT i, i FROM generate_series(1, 100) i});
$cluster->sql(q{CREATE FUNCTION total() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT sum(v) FROM looked_up'});
$cluster->sql(q{CREATE TABLE asking (k int, filler text, total bigint DEFAULT total())});
$cluster->sql(q{SELECT create_distributed_table('asking', 'k', colocate_with => 't')});
($code, $out, $err) = $cluster->try(0,
	q{COPY asking (k, filler) FROM PROGRAM $$for i in $(seq 1 300); do printf "$i\t"; head -c 100000 /dev/zero | tr "\0" x; echo; done$$});
is($err, '', 'a default that queries: no error');
is($cluster->sql('SELECT count(*), min(total), max(total) FROM asking'), '300|5050|5050', 'a default that queries: its answer');

done_testing();
