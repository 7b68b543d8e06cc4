# Transactions that wait for each other on different nodes: one of them, the youngest, gets 40P01, the others commit. Long queues without a cycle lose nobody. Any node may be the
# initiator of any of the transactions.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use List::Util qw(min);
use Time::HiRes qw(sleep time);

# Between two looks for deadlocks, s; the quickest of the deadlocks below must not have waited for many of them.
my $interval = 2 * 0.5;
my @took;
my $cluster = CivitasCluster->new(workers => 3,
	conf => "deadlock_timeout = 500ms\ncitus.recover_2pc_interval = 1s\ncitus.node_connection_timeout = 300s\n");
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

sub session { my ($i) = @_; return $cluster->session($i); }

# Whether all of these have come to their end.
sub all_said_end { my @sessions = @_; return @sessions == grep { $_->has_said('end') } @sessions; }

sub update { my ($k) = @_; return "UPDATE t SET v = v + 1 WHERE k = $k"; }

# Each session updates its key, then the next one's: a cycle. The sessions begin in order, so the last one is the youngest.
sub ring
{
	my ($name, $nodes, @k) = @_;
	$cluster->sql('UPDATE t SET v = 0');
	my @sessions = map { session($_) } @$nodes;
	for my $i (0 .. $#sessions)
	{
		$sessions[$i]->run('BEGIN; ' . update($k[$i]));
	}
	my $start = time;
	$sessions[$_]->feed(update($k[ ($_ + 1) % @k ]) . ";\nCOMMIT;\n\\echo end") for 0 .. $#sessions;
	ok($cluster->wait_until("$name: over", sub { all_said_end(@sessions) }), "$name: over");
	push @took, time - $start;
	my @victims = grep { $sessions[$_]{err} =~ /ERROR/ } 0 .. $#sessions;
	is("@victims", $#sessions, "$name: the youngest gives way, nobody else");
	like($sessions[-1]{err}, qr/ERROR:  40P01: .*deadlock/, "$name: with SQLSTATE 40P01");
	is($cluster->sql('SELECT sum(v) FROM t'), 2 * @k - 2, "$name: the others have committed, the victim nothing");
	$_->finish for @sessions;
}

my ($a, $b, $c) = ($keys{1}[0], $keys{2}[0], $keys{3}[0]);
ring('two nodes', [ 0, 0 ], $a, $b);
ring('three nodes', [ 0, 0, 0 ], $a, $b, $c);
ring('a worker is the initiator', [ 1, 1 ], $a, $b);
ring('different initiators', [ 0, 1 ], $a, $b);
ring('three initiators', [ 1, 2, 3 ], $a, $b, $c);
ring('rows on the initiators themselves', [ 1, 2 ], $a, $b);
ring('rows on the other initiator', [ 2, 1 ], $a, $b);

# However slow the machine is, at one time or another it gives the search a second.
my $fastest = min(@took);
for (1 .. 20)
{
	last if $fastest < 5 * $interval;
	ring('again', [ 0, 0 ], $keys{1}[0], $keys{2}[0]);
	$fastest = min(@took);
}
cmp_ok($fastest, '<', 5 * $interval, 'the search comes every second');

# --- a local wait is part of it --------------------------------------------------------------------

# The coordinator's session waits for a lock on the coordinator; the error is the same.
{
	$cluster->sql('CREATE TABLE local (k int)');
	my ($old, $young) = (session(0), session(0));
	$old->run('BEGIN; ' . update($a));
	$old->run('LOCK TABLE local');
	$young->run('BEGIN; ' . update($b));
	$old->feed(update($b) . ";\nCOMMIT;\n\\echo end");
	$young->feed("LOCK TABLE local;\nCOMMIT;\n\\echo end");
	$cluster->wait_until('the deadlock is over', sub { all_said_end($old, $young) });
	is($old->{err}, '', 'a lock of the initiator: the older commits');
	like($young->{err}, qr/ERROR:  40P01: .*deadlock/, 'a lock of the initiator: the younger gives way');
	$_->finish for $old, $young;
}

# --- commands on nodes -----------------------------------------------------------------------------

# Each command of one call is a transaction of its own, which its node begins: two of them wait for each other.
{
	my ($gate_a, $gate_b) = ($keys{1}[1], $keys{2}[1]);
	my ($holder, $caller) = (session(0), session(0));
	$holder->run('BEGIN; ' . update($gate_a) . '; ' . update($gate_b));
	my ($on_a, $on_b) = map { join ' ', map { update($_) . ';' } @$_ } [ $a, $gate_a, $b ], [ $b, $gate_b, $a ];
	$caller->feed(<<"SQL");
SELECT success, result FROM run_command_on_workers(\$c\$ DO \$do\$ BEGIN
	CASE (SELECT groupid FROM pg_dist_local_group) WHEN 1 THEN $on_a WHEN 2 THEN $on_b ELSE NULL; END CASE; END \$do\$ \$c\$) ORDER BY result;
\\echo end
SQL
	for my $node (1, 2)
	{
		my $waits = sub { $cluster->node($node)->safe_psql('postgres', 'SELECT count(*) FROM pg_locks WHERE NOT granted') > 0 };
		$cluster->wait_until("the command on node $node has its first row and waits", $waits);
	}
	$holder->run('COMMIT');
	$cluster->wait_until('the deadlock is over', sub { all_said_end($caller) });
	like($caller->{out}, qr/^t\|DO\nt\|DO\nf\|.*deadlock.*\nend/, 'commands on nodes: one gives way, the others end') or diag $caller->{err};
	$_->finish for $holder, $caller;
}

# A transaction waits for a command of its own, which waits for another transaction that does the same; and for one that
# waits for itself.
{
	$cluster->sql('CREATE TABLE local2 (k int)');
	my ($old, $young) = (session(0), session(0));
	my $read = sub { "SELECT success FROM run_command_on_coordinator('SELECT count(*) FROM $_[0]');\nCOMMIT;\n\\echo end" };
	$old->run('BEGIN; LOCK TABLE local');
	$young->run('BEGIN; LOCK TABLE local2');
	$old->feed($read->('local2'));
	$young->feed($read->('local'));
	$cluster->wait_until('the deadlock is over', sub { all_said_end($old, $young) });
	is($old->{err}, '', 'waits for commands: the older commits');
	like($young->{err}, qr/ERROR:  40P01: .*deadlock/, 'waits for commands: the younger gives way');
	my $alone = session(0);
	$alone->run('BEGIN; LOCK TABLE local');
	$alone->feed($read->('local'));
	$cluster->wait_until('it gives way', sub { all_said_end($alone) });
	like($alone->{err}, qr/ERROR:  40P01: .*deadlock/, 'a transaction that waits for itself gives way');
	$_->finish for $old, $young, $alone;
	is(join(',', $cluster->everywhere('SELECT count(*) FROM get_all_active_transactions()')), '0,0,0,0', 'no transaction is remembered');
}

# --- an exception block goes on --------------------------------------------------------------------

{
	my ($old, $young) = (session(0), session(0));
	$old->run('BEGIN; ' . update($a));
	$young->run('BEGIN; ' . update($c));
	$young->run('SAVEPOINT s; ' . update($b));
	$old->feed(update($b) . ";\nCOMMIT;\n\\echo end");
	$young->feed(update($a) . ";\nROLLBACK TO s;\n" . update($c) . ";\nCOMMIT;\n\\echo end");
	$cluster->wait_until('the deadlock is over', sub { all_said_end($old, $young) });
	is($old->{err}, '', 'a savepoint: the older commits');
	is(scalar(() = $young->{err} =~ /ERROR:/g), 1, 'a savepoint: the younger goes on after ROLLBACK TO');
	$_->finish for $old, $young;
}

# --- heavy waiting without a cycle -----------------------------------------------------------------

{
	$cluster->sql('UPDATE t SET v = 0');
	my $rows = "k IN ($a, $b, $c)";
	my $holder = session(0);
	$holder->run("BEGIN; " . update($a) . "; " . update($b) . "; " . update($c));
	my @waiting = map { session($_ % 4) } 1 .. 12;
	# All take the rows in the same order.
	$_->feed('BEGIN; ' . join('; ', map { update($_) } $a, $b, $c) . ";\nSELECT pg_sleep(0.1);\nCOMMIT;\n\\echo end") for @waiting;
	# Every one of the queue waits for the first row, and the search comes by more than once.
	$cluster->wait_until('the queue stands', sub {
		$cluster->node(1)->safe_psql('postgres',
			q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE%'}) == @waiting });
	sleep 4 * $interval;
	is($cluster->sql('SELECT check_distributed_deadlocks()'), 'f', 'a queue is no deadlock');
	$holder->run('COMMIT');
	$cluster->wait_until('the queue has moved on', sub { all_said_end(@waiting) });
	is(join('', map { $_->{err} } @waiting), '', 'nobody of the queue was cancelled');
	is($cluster->sql("SELECT sum(v) FROM t WHERE $rows"), 39, 'all of them have committed');
	$_->finish for $holder, @waiting;
}

# --- who waits for whom ----------------------------------------------------------------------------

{
	my ($holder, $waiting) = (session(1), session(2));
	$holder->run("SET application_name = 'holder'; BEGIN; " . update($c));
	$waiting->run("SET application_name = 'waiting'");
	$waiting->feed(update($c) . ";\n\\echo end");
	my $waits = q{SELECT b.application_name, w.application_name, blocked_statement, waiting_nodeid = w.nodeid, blocking_nodeid = b.nodeid
		FROM citus_lock_waits JOIN citus_dist_stat_activity b ON b.global_pid = blocking_gpid
			JOIN citus_dist_stat_activity w ON w.global_pid = waiting_gpid};
	$cluster->wait_until('the wait is seen', sub { $cluster->sql($waits) ne '' });
	is($cluster->sql($waits), 'holder|waiting|' . update($c) . ';|t|t', 'the wait is seen from the coordinator');
	is($cluster->node(1)->safe_psql('postgres', $waits), 'holder|waiting|' . update($c) . ';|t|t', '... and from a worker');
	is($cluster->sql("SELECT pg_cancel_backend(global_pid) FROM citus_dist_stat_activity WHERE application_name = 'waiting'"),
		't', 'it can be cancelled from another node');
	$waiting->says('end');
	like($waiting->{err}, qr/ERROR:  57014/, '... and the statement is told so');
	my $initiators = 'SELECT count(DISTINCT initiator_node_identifier) FROM get_global_active_transactions()';
	ok($cluster->wait_until('one transaction is open', sub { $cluster->node(3)->safe_psql('postgres', $initiators) == 1 }),
		'a worker sees the transactions of all nodes');
	is($cluster->node(3)->safe_psql('postgres', "SELECT pg_terminate_backend(global_pid, 100000) FROM citus_dist_stat_activity WHERE application_name = 'holder'"),
		't', 'a session of a worker can be ended from another worker');
	my $locks = q{SELECT count(*) FROM citus_locks WHERE mode = 'RowExclusiveLock' AND relation_name LIKE 't%'};
	ok($cluster->wait_until('its locks are gone', sub { $cluster->sql($locks) == 0 }), '... and its locks are gone');
	$_->finish for $holder, $waiting;

	# Both on one node, the wait on another.
	my ($one, $other) = (session(0), session(0));
	$one->run("SET application_name = 'one'; BEGIN; " . update($c));
	$other->feed("SET application_name = 'other'; " . update($c) . ";\n\\echo end");
	my $pids = q{SELECT citus_blocking_pids(o.pid) = ARRAY[h.pid], citus_isolation_test_session_is_blocked(o.pid, ARRAY[h.pid])
		FROM pg_stat_activity o, pg_stat_activity h WHERE o.application_name = 'other' AND h.application_name = 'one'};
	ok($cluster->wait_until('the wait is seen', sub { $cluster->sql($pids) eq 't|t' }), 'blocking processes through another node');
	$one->run('COMMIT');
	$_->finish for $one, $other;
}

# --- with a node down, and asked by hand -----------------------------------------------------------

# The youngest of a deadlock of two nodes gives way while the third is in trouble.
sub ends_without_third
{
	my ($name) = @_;
	my ($old, $young) = (session(0), session(0));
	$old->run('BEGIN; ' . update($a));
	$young->run('BEGIN; ' . update($b));
	$old->feed(update($b) . ";\nROLLBACK;\n\\echo end");
	$young->feed(update($a) . ";\nROLLBACK;\n\\echo end");
	ok($cluster->wait_until("$name: the deadlock ends", sub { all_said_end($old, $young) }), "$name: the deadlock ends");
	like($young->{err}, qr/ERROR:  40P01: .*deadlock/, "$name: with SQLSTATE 40P01");
	$_->finish for $old, $young;
}

# Recovery waits for the frozen node; that must not keep the search waiting.
my $postmaster = $cluster->postmaster(3);
kill 'STOP', $postmaster;
$cluster->wait_until('recovery waits for it', sub {
	$cluster->sql(q{SELECT count(*) FROM pg_stat_activity WHERE query = 'recovering prepared transactions' AND state = 'active'
		AND now() - query_start > interval '2 s'}) > 0 });
ends_without_third('another node is frozen');
kill 'CONT', $postmaster;
$cluster->node(3)->stop('immediate');
ends_without_third('another node is down');
$cluster->node(3)->start;

# Restarted, they do not look once more before they have seen the change.
for my $node (@{ $cluster->{nodes} })
{
	$node->append_conf('postgresql.conf', 'citus.distributed_deadlock_detection_factor = -1');
	$node->restart;
}
{
	my ($old, $young) = (session(1), session(2));
	$old->run('BEGIN; ' . update($a));
	$young->run('BEGIN; ' . update($b));
	$old->feed(update($b) . ";\nROLLBACK;\n\\echo end");
	$young->feed(update($a) . ";\nROLLBACK;\n\\echo end");
	$cluster->wait_until('both wait', sub { $cluster->sql('SELECT count(*) FROM citus_lock_waits') == 2 });
	ok($old->silent_for(3 * $interval, 'end') && !$young->has_said('end'), 'the search can be turned off');
	is($cluster->sql('SELECT check_distributed_deadlocks()'), 't', 'the search by hand ends it');
	$cluster->wait_until('the deadlock is over', sub { all_said_end($old, $young) });
	is($old->{err}, '', 'by hand: the older is spared');
	like($young->{err}, qr/ERROR:  40P01: .*deadlock/, 'by hand: the younger gives way, on another node');
	$_->finish for $old, $young;
}

ok($cluster->wait_until('no transaction is open', sub {
	!grep { $_ > 0 } $cluster->everywhere('SELECT count(*) FROM get_all_active_transactions()') }), 'no transaction is remembered after its end');

done_testing();
