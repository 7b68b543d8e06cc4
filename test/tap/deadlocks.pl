# Transactions that wait for each other on different nodes: one of them, the youngest, gets 40P01 within twice
# deadlock_timeout times the factor, the others commit. Long queues without a cycle lose nobody. Any node may be the
# initiator of any of the transactions.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use IPC::Run;

my $deadlock_timeout = 0.5;
my $bound = 2 * $deadlock_timeout * 2;
my $cluster = CivitasCluster->new(workers => 3, conf => "deadlock_timeout = 500ms\ncitus.recover_2pc_interval = 1s\n");
$cluster->sql('CREATE TABLE t (k int PRIMARY KEY, v int NOT NULL)');
$cluster->sql(q{SELECT create_distributed_table('t', 'k', shard_count => 6)});
$cluster->sql('INSERT INTO t SELECT k, 0 FROM generate_series(1, 500) k');

# Keys by node.
my %keys;
for my $group (1 .. 3)
{
	$keys{$group} = [ split /\n/, $cluster->sql(
			"SELECT k FROM generate_series(1, 500) k WHERE EXISTS (SELECT FROM pg_dist_placement p WHERE p.groupid = $group"
			  . " AND p.shardid = get_shard_id_for_distribution_column('t', k)) ORDER BY k LIMIT 20") ];
}

# A psql on node $i that is fed statement by statement.
sub session
{
	my ($i) = @_;
	my $s = { in => '', out => '', err => '', node => $i };
	$s->{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=verbose', '-d', $cluster->node($i)->connstr('postgres'), '-f', '-' ],
		'<', \$s->{in}, '>', \$s->{out}, '2>', \$s->{err}, IPC::Run::timeout(120));
	return $s;
}

sub feed { my ($s, $sql) = @_; $s->{in} .= "$sql;\n"; $s->{handle}->pump_nb; }

sub has_said
{
	my ($s, $word) = @_;
	$s->{handle}->pump_nb;
	return index($s->{out}, $word) >= 0;
}

# Runs a statement to its end.
sub run_on
{
	my ($s, $sql) = @_;
	feed($s, "$sql;\n\\echo done_$s");
	for (1 .. 1000) { last if has_said($s, "done_$s"); sleep 0.01; }
	$s->{out} = '';
}

sub update { my ($k) = @_; return "UPDATE t SET v = v + 1 WHERE k = $k"; }

# Each session updates its key, then the next one's: a cycle. The sessions begin in order, so the last one is the youngest.
sub ring
{
	my ($name, $nodes, @k) = @_;
	$cluster->sql('UPDATE t SET v = 0');
	my @sessions = map { session($_) } @$nodes;
	for my $i (0 .. $#sessions)
	{
		run_on($sessions[$i], 'BEGIN; ' . update($k[$i]));
	}
	feed($sessions[$_], update($k[ ($_ + 1) % @k ]) . ";\nCOMMIT;\n\\echo end") for 0 .. $#sessions;
	my $start = time;
	while (time - $start < 30)
	{
		last if @sessions == grep { has_said($_, 'end') } @sessions;
		sleep 0.02;
	}
	my $took = time - $start;
	# Starting the search and the sessions of this test takes a while on a busy machine.
	cmp_ok($took, '<', $bound + 0.5, "$name: over after " . sprintf('%.1f s', $took));
	my @victims = grep { $sessions[$_]{err} =~ /ERROR/ } 0 .. $#sessions;
	is("@victims", $#sessions, "$name: the youngest gives way, nobody else");
	like($sessions[-1]{err}, qr/ERROR:  40P01: .*deadlock/, "$name: with SQLSTATE 40P01");
	is($cluster->sql('SELECT sum(v) FROM t'), 2 * @k - 2, "$name: the others have committed, the victim nothing");
	for (@sessions) { $_->{in} .= "\\q\n"; $_->{handle}->finish; }
}

my ($a, $b, $c) = ($keys{1}[0], $keys{2}[0], $keys{3}[0]);
ring('two nodes', [ 0, 0 ], $a, $b);
ring('three nodes', [ 0, 0, 0 ], $a, $b, $c);
ring('a worker is the initiator', [ 1, 1 ], $a, $b);
ring('different initiators', [ 0, 1 ], $a, $b);
ring('three initiators', [ 1, 2, 3 ], $a, $b, $c);
ring('rows on the initiators themselves', [ 1, 2 ], $a, $b);
ring('rows on the other initiator', [ 2, 1 ], $a, $b);

# --- a local wait is part of it --------------------------------------------------------------------

# The coordinator's session waits for a lock on the coordinator; the error is the same.
{
	$cluster->sql('CREATE TABLE local (k int)');
	my ($old, $young) = (session(0), session(0));
	run_on($old, 'BEGIN; ' . update($a));
	run_on($old, 'LOCK TABLE local');
	run_on($young, 'BEGIN; ' . update($b));
	feed($old, update($b) . ";\nCOMMIT;\n\\echo end");
	feed($young, "LOCK TABLE local;\nCOMMIT;\n\\echo end");
	for (1 .. 1000) { last if has_said($old, 'end') && has_said($young, 'end'); sleep 0.02; }
	is($old->{err}, '', 'a lock of the initiator: the older commits');
	like($young->{err}, qr/ERROR:  40P01: .*deadlock/, 'a lock of the initiator: the younger gives way');
	for ($old, $young) { $_->{in} .= "\\q\n"; $_->{handle}->finish; }
}

# --- an exception block goes on --------------------------------------------------------------------

{
	my ($old, $young) = (session(0), session(0));
	run_on($old, 'BEGIN; ' . update($a));
	run_on($young, 'BEGIN; ' . update($c));
	run_on($young, 'SAVEPOINT s; ' . update($b));
	feed($old, update($b) . ";\nCOMMIT;\n\\echo end");
	feed($young, update($a) . ";\nROLLBACK TO s;\n" . update($c) . ";\nCOMMIT;\n\\echo end");
	for (1 .. 1000) { last if has_said($old, 'end') && has_said($young, 'end'); sleep 0.02; }
	is($old->{err}, '', 'a savepoint: the older commits');
	is(scalar(() = $young->{err} =~ /ERROR:/g), 1, 'a savepoint: the younger goes on after ROLLBACK TO');
	for ($old, $young) { $_->{in} .= "\\q\n"; $_->{handle}->finish; }
}

# --- heavy waiting without a cycle -----------------------------------------------------------------

{
	$cluster->sql('UPDATE t SET v = 0');
	my $rows = "k IN ($a, $b, $c)";
	my $holder = session(0);
	run_on($holder, "BEGIN; " . update($a) . "; " . update($b) . "; " . update($c));
	my @waiting = map { session($_ % 4) } 1 .. 12;
	# All take the rows in the same order.
	feed($_, 'BEGIN; ' . join('; ', map { update($_) } $a, $b, $c) . ";\nSELECT pg_sleep(0.1);\nCOMMIT;\n\\echo end") for @waiting;
	sleep 4 * $deadlock_timeout * 2;
	is($cluster->sql('SELECT check_distributed_deadlocks()'), 'f', 'a queue is no deadlock');
	run_on($holder, 'COMMIT');
	for (1 .. 1500) { last if @waiting == grep { has_said($_, 'end') } @waiting; sleep 0.02; }
	is(join('', map { $_->{err} } @waiting), '', 'nobody of the queue was cancelled');
	is($cluster->sql("SELECT sum(v) FROM t WHERE $rows"), 39, 'all of them have committed');
	for ($holder, @waiting) { $_->{in} .= "\\q\n"; $_->{handle}->finish; }
}

# --- who waits for whom ----------------------------------------------------------------------------

{
	my ($holder, $waiting) = (session(1), session(2));
	run_on($holder, "SET application_name = 'holder'; BEGIN; " . update($c));
	feed($waiting, "SET application_name = 'waiting'");
	feed($waiting, update($c) . ";\n\\echo end");
	my $waits = q{SELECT b.application_name, w.application_name, blocked_statement, waiting_nodeid = w.nodeid, blocking_nodeid = b.nodeid
		FROM citus_lock_waits JOIN citus_dist_stat_activity b ON b.global_pid = blocking_gpid
			JOIN citus_dist_stat_activity w ON w.global_pid = waiting_gpid};
	for (1 .. 100) { last if $cluster->sql($waits) ne ''; sleep 0.1; }
	is($cluster->sql($waits), 'holder|waiting|' . update($c) . ';|t|t', 'the wait is seen from the coordinator');
	is($cluster->node(1)->safe_psql('postgres', $waits), 'holder|waiting|' . update($c) . ';|t|t', '... and from a worker');
	is($cluster->sql("SELECT pg_cancel_backend(global_pid) FROM citus_dist_stat_activity WHERE application_name = 'waiting'"),
		't', 'it can be cancelled from another node');
	for (1 .. 500) { last if has_said($waiting, 'end'); sleep 0.02; }
	like($waiting->{err}, qr/ERROR:  57014/, '... and the statement is told so');
	is($cluster->node(3)->safe_psql('postgres', 'SELECT count(DISTINCT initiator_node_identifier) FROM get_global_active_transactions()'), 1,
		'a worker sees the transactions of all nodes');
	is($cluster->node(3)->safe_psql('postgres', "SELECT pg_terminate_backend(global_pid, 5000) FROM citus_dist_stat_activity WHERE application_name = 'holder'"),
		't', 'a session of a worker can be ended from another worker');
	for (1 .. 100) { last if $cluster->sql("SELECT count(*) FROM citus_locks WHERE mode = 'RowExclusiveLock' AND relation_name LIKE 't%'") == 0; sleep 0.1; }
	is($cluster->sql("SELECT count(*) FROM citus_locks WHERE mode = 'RowExclusiveLock' AND relation_name LIKE 't%'"), 0, '... and its locks are gone');
	$holder->{handle}->kill_kill;
	$waiting->{in} .= "\\q\n";
	$waiting->{handle}->finish;

	# Both on one node, the wait on another.
	my ($one, $other) = (session(0), session(0));
	run_on($one, "SET application_name = 'one'; BEGIN; " . update($c));
	feed($other, "SET application_name = 'other'; " . update($c) . ";\n\\echo end");
	my $pids = q{SELECT citus_blocking_pids(o.pid) = ARRAY[h.pid], citus_isolation_test_session_is_blocked(o.pid, ARRAY[h.pid])
		FROM pg_stat_activity o, pg_stat_activity h WHERE o.application_name = 'other' AND h.application_name = 'one'};
	for (1 .. 50) { last if $cluster->sql($pids) eq 't|t'; sleep 0.1; }
	is($cluster->sql($pids), 't|t', 'blocking processes through another node');
	run_on($one, 'COMMIT');
	for ($one, $other) { $_->{in} .= "\\q\n"; $_->{handle}->finish; }
}

# --- with a node down, and asked by hand -----------------------------------------------------------

# The youngest of a deadlock of two nodes gives way while the third is in trouble.
sub ends_without_third
{
	my ($name) = @_;
	my ($old, $young) = (session(0), session(0));
	run_on($old, 'BEGIN; ' . update($a));
	run_on($young, 'BEGIN; ' . update($b));
	my $start = time;
	feed($old, update($b) . ";\nROLLBACK;\n\\echo end");
	feed($young, update($a) . ";\nROLLBACK;\n\\echo end");
	while (time - $start < 60) { last if has_said($old, 'end') && has_said($young, 'end'); sleep 0.02; }
	cmp_ok(time - $start, '<', 15, "$name: the deadlock ends");
	like($young->{err}, qr/ERROR:  40P01: .*deadlock/, "$name: with SQLSTATE 40P01");
	for ($old, $young) { $_->{in} .= "\\q\n"; $_->{handle}->finish; }
}

# Recovery waits for the frozen node; that must not keep the search waiting.
my $postmaster = (split /\n/, slurp_file($cluster->node(3)->data_dir . '/postmaster.pid'))[0];
kill 'STOP', $postmaster;
sleep 2;
ends_without_third('another node is frozen');
kill 'CONT', $postmaster;
$cluster->node(3)->stop('immediate');
ends_without_third('another node is down');
$cluster->node(3)->start;

$cluster->node($_)->append_conf('postgresql.conf', 'citus.distributed_deadlock_detection_factor = -1') for 0 .. 3;
$cluster->node($_)->reload for 0 .. 3;
{
	sleep 0.5;
	my ($old, $young) = (session(1), session(2));
	run_on($old, 'BEGIN; ' . update($a));
	run_on($young, 'BEGIN; ' . update($b));
	feed($old, update($b) . ";\nROLLBACK;\n\\echo end");
	feed($young, update($a) . ";\nROLLBACK;\n\\echo end");
	sleep 6 * $deadlock_timeout;
	ok(!has_said($old, 'end') && !has_said($young, 'end'), 'the search can be turned off');
	is($cluster->sql('SELECT check_distributed_deadlocks()'), 't', 'the search by hand ends it');
	for (1 .. 1000) { last if has_said($old, 'end') && has_said($young, 'end'); sleep 0.02; }
	is($old->{err}, '', 'by hand: the older is spared');
	like($young->{err}, qr/ERROR:  40P01: .*deadlock/, 'by hand: the younger gives way, on another node');
	for ($old, $young) { $_->{in} .= "\\q\n"; $_->{handle}->finish; }
}

is(join(',', $cluster->everywhere('SELECT count(*) FROM get_all_active_transactions()')), '0,0,0,0',
	'no transaction is remembered after its end');

done_testing();
