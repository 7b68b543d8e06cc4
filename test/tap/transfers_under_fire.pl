# Runs early
#
# Money moves between accounts on different nodes, with a ledger row in the same transaction, while nodes are killed,
# stopped and frozen, at random and at each named point of the commit. In the end: not a coin more or less, every
# transfer that a client saw committed is there, none is there in part, nothing is left prepared.
#
# Clients are psql processes that run scripts of transfers on the coordinator and on the workers, and print the number
# of each one whose COMMIT succeeded. A script ends with its first error; the client then gets another one.
#
# It goes on until 24 kills and 40 seconds are over and every point was used, or for CIVITAS_MINUTES (scripts/check --minutes).
# CIVITAS_SEED repeats the choices of a run, though not its timing.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use POSIX ':sys_wait_h';
use Time::HiRes qw(sleep time);

my $minutes = $ENV{CIVITAS_MINUTES} || 0;
my $seed = $ENV{CIVITAS_SEED} || int(time);
srand $seed;
note "seed $seed";

my $accounts = 60;
my $start_balance = 1000;
my $cluster = CivitasCluster->new(workers => 2, conf => <<'CONF');
citus.recover_2pc_interval = 2s
citus.node_connection_timeout = 3s
restart_after_crash = on
wal_writer_delay = 10s
CONF
$cluster->sql(<<"SQL");
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE entries (account int NOT NULL, transfer bigint NOT NULL, delta bigint NOT NULL, PRIMARY KEY (account, transfer));
CREATE TABLE ledger (transfer bigint PRIMARY KEY, source int NOT NULL, target int NOT NULL, amount bigint NOT NULL);
SELECT create_distributed_table('accounts', 'id', shard_count => 6);
SELECT create_distributed_table('entries', 'account', colocate_with => 'accounts');
SELECT create_distributed_table('ledger', 'transfer', shard_count => 6);
INSERT INTO accounts SELECT i, $start_balance FROM generate_series(1, $accounts) i;
SQL
# Accounts by node, so that each transfer crosses nodes.
my @on_node;
for my $group (1, 2)
{
	$on_node[$group] = [ split /\n/, $cluster->sql(
			"SELECT id FROM accounts JOIN pg_dist_placement ON shardid = get_shard_id_for_distribution_column('accounts', id)"
			  . " WHERE groupid = $group ORDER BY id") ];
}

# --- clients -----------------------------------------------------------------------------------------

my $begin = time;
my $folder = $cluster->node(0)->basedir;
my $next_transfer = 1;
my (%acknowledged, %errors);

sub pick { my @from = @_; return $from[ rand @from ]; }

# The statements of one transfer, rows locked in one order: a deadlock is not what this is about.
sub transfer
{
	my $number = $next_transfer++;
	my @pair = (pick(@{ $on_node[1] }), pick(@{ $on_node[2] }));
	my $amount = 1 + int rand 20;
	my %delta = ($pair[0] => -$amount, $pair[1] => $amount);
	my @updates = map { "UPDATE accounts SET balance = balance + ($delta{$_}) WHERE id = $_;" } sort { $a <=> $b } @pair;
	my $entries = "INSERT INTO entries VALUES ($pair[0], $number, -$amount), ($pair[1], $number, $amount);";
	my $ledger = "INSERT INTO ledger VALUES ($number, $pair[0], $pair[1], $amount);";
	my $kind = int rand 4;
	my $body =
	    $kind == 0 ? "BEGIN;\n@updates\n$entries\n$ledger\nCOMMIT;"
	  : $kind == 1 ? "BEGIN;\n$ledger\n$updates[0]\nSAVEPOINT s;\nUPDATE accounts SET balance = 0 WHERE id = $pair[1];\nROLLBACK TO s;\n$entries\n$updates[1]\nCOMMIT;"
	  : $kind == 2 ? "DO \$\$ BEGIN @updates $entries $ledger END \$\$;"
	  : "BEGIN;\n$updates[0]\n$updates[1]\nSELECT count(*) FROM accounts;\n$ledger\n$entries\nCOMMIT;";
	return ($number, "$body\n\\echo acknowledged $number\n");
}

sub start_client
{
	my ($client) = @_;
	$client->{run}++;
	my $base = "$folder/client$client->{name}";
	open my $script, '>', "$base.sql" or die $!;
	print $script (transfer())[1] for 1 .. 300;
	close $script;
	$client->{pid} = start_script($cluster->node($client->{node}), $base);
}

# A psql that runs BASE.sql, and writes to BASE.out and BASE.err; its pid.
sub start_script
{
	my ($node, $base) = @_;
	my $connection = $node->connstr('postgres');
	my $pid = fork // die $!;
	return $pid if $pid;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', "$base.out";
	open STDERR, '>', "$base.err";
	$ENV{PGCONNECT_TIMEOUT} = 5;
	{ exec 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $connection, '-f', "$base.sql"; }
	POSIX::_exit(1);
}

sub harvest
{
	my ($client) = @_;
	my $base = "$folder/client$client->{name}";
	$acknowledged{$_} = 1 for slurp_file("$base.out") =~ /^acknowledged (\d+)$/mg;
	my $err = slurp_file("$base.err");
	$errors{$_}++ for $err =~ /(?:ERROR|FATAL|PANIC):  (\w{5}): /g;
	fail("a client saw: $1") if $err =~ /(.*(?:PANIC|XX\d\d\d: ).*)/;
	$client->{pid} = 0;
}

my @clients = map { { name => $_, node => $_ % 3, pid => 0 } } 0 .. 5;

# Gives work to clients that have none.
sub tend
{
	my ($again) = @_;
	for my $client (@clients)
	{
		harvest($client) if $client->{pid} && waitpid($client->{pid}, WNOHANG) > 0;
		if (!$client->{pid} && $again && time > ($client->{rest} // 0))
		{
			start_client($client);
			$client->{rest} = time + 0.5;
		}
	}
}

sub tend_for { my ($seconds) = @_; my $end = time + $seconds; do { tend(1); sleep 0.1 } while time < $end; }

# --- fire --------------------------------------------------------------------------------------------

sub answers { my ($i) = @_; return $cluster->node($i)->psql('postgres', 'SELECT 1', stdout => \my $out, stderr => \my $err, timeout => 10) == 0; }

# A restart after a crash is the server's own business.
sub wait_for_node
{
	my ($i) = @_;
	my $end = time + 120;
	while (time < $end)
	{
		return if eval { answers($i) };
		tend(1);
		sleep 0.1;
	}
	die "node $i does not come back";
}

# Not by the methods of PostgreSQL::Test::Cluster: they take it that a server starts at the first try.
sub pg_ctl
{
	my ($i, @arguments) = @_;
	my $node = $cluster->node($i);
	my $command = join ' ', "pg_ctl -D '" . $node->data_dir . "' -l '" . $node->logfile . "' -w -t 120", @arguments;
	return system("$command >/dev/null 2>&1 </dev/null") == 0;
}

sub kill9 { kill 'KILL', $cluster->postmaster($_) for @_; }

sub start_node
{
	my ($i) = @_;
	# The processes of the dead server may still hold its shared memory.
	for (1 .. 200)
	{
		return wait_for_node($i) if pg_ctl($i, 'start');
		tend_for(0.3);
	}
	die "node $i does not start";
}

my %weapons = (
	kill => sub { kill9(@_); tend_for(rand 1); start_node($_) for @_; },
	stop => sub { pg_ctl($_, '-m immediate stop') for @_; tend_for(rand 1); start_node($_) for @_; },
	# One process of the server: the others restart.
	crash => sub {
		for my $i (@_)
		{
			my ($postmaster, @children) = $cluster->processes($i);
			my @backends = grep { `ps -o args= -p $_` =~ /postgres: .*(?:citus_internal|\[local\])|127\.0\.0\.1/ } @children;
			kill 'KILL', pick(@backends ? @backends : @children);
		}
		tend_for(0.3);
		wait_for_node($_) for @_;
	},
	freeze => sub {
		my @frozen = map { $cluster->processes($_) } @_;
		kill 'STOP', @frozen;
		tend_for(0.5 + rand 2);
		# New ones were made by nobody: the postmaster is frozen, too.
		kill 'CONT', @frozen;
	});
my (%used, %refused);

sub fire
{
	my ($weapon, @nodes) = @_;
	note sprintf('%.1f s: %s %s', time - $begin, $weapon, join(' and ', @nodes));
	$weapons{$weapon}->(@nodes);
	$used{$weapon}++;
}

# A transfer that dies, with its server, at a point of its commit; or waits there while the other nodes are shot at.
my @points = qw(before_commit between_prepares prepare_sent before_record prepared committed commit_prepared_sent);

sub at_point
{
	my ($point, $initiator, $others) = @_;
	note sprintf('%.1f s: %s at %s of node %d', time - $begin, $others ? 'others' : 'crash', $point, $initiator);
	my ($number, $sql) = transfer();
	my $node = $cluster->node($initiator);
	$cluster->prepare_to_hold($initiator);
	my $file = "$folder/point";
	open my $script, '>', "$file.sql" or die $!;
	print $script "SET citus.debug_point = '$point:" . ($others ? 'wait' : 'crash') . "';\n$sql";
	close $script;
	my $pid = start_script($node, $file);
	if ($others)
	{
		tend_for(0.7);
		my $victim = pick(grep { $_ != $initiator } 0 .. 2);
		kill9($victim);
		tend_for(0.3);
		$cluster->let_go($initiator);
		tend_for(0.7);
		start_node($victim);
	}
	# What it says at last must be known before the next one writes to its files.
	my $end = time + 120;
	while (waitpid($pid, WNOHANG) == 0)
	{
		kill 'KILL', $pid if time > $end;
		tend_for(0.1);
	}
	if ($others) { $cluster->prepare_to_hold($initiator); }
	else { wait_for_node($initiator); }
	$acknowledged{$_} = 1 for slurp_file("$file.out") =~ /^acknowledged (\d+)$/mg;
	my $err = slurp_file("$file.err");
	fail("at $point a client saw: $1") if $err =~ /(.*(?:PANIC|XX\d\d\d: ).*)/;
	# Its own server lives: an error means that nothing of it is there.
	$refused{$number} = $point if $others && $err =~ /ERROR:  (?!08007)/;
	$used{"at $point"}++;
}

# --- the run -----------------------------------------------------------------------------------------

$begin = time;
tend_for(2);
my $kills = 0;
my $round = 0;
my $limit = $minutes * 60;
# A slow machine takes longer for the same; five minutes are the end of patience.
sub has_seen_enough
{
	return time - $begin > $limit if $limit;
	return 1 if time - $begin > 300;
	return time - $begin > 40 && $kills >= 24 && keys %acknowledged > 100 && !grep { !$used{"at $_"} } @points;
}
until (has_seen_enough())
{
	my $point = $points[ $round % @points ];
	my $initiator = $round < @points ? $round % 3 : int rand 3;
	at_point($point, $initiator, $round >= @points && rand() < 0.7);
	$kills++;
	tend_for(0.2);
	my @nodes = pick([1], [2], [0], [0], [1], [ 0, 1 ], [ 0, 2 ], [ 1, 2 ]);
	fire((qw(kill stop crash freeze))[ $round % 4 ], @{ $nodes[0] });
	$kills += @{ $nodes[0] } if $round % 4 != 3;
	tend_for($limit ? rand 3 : 0.5);
	$round++;
}
note sprintf('%d rounds, %d kills in %d s', $round, $kills, time - $begin);
my $acknowledged_under_fire = keys %acknowledged;
tend_for(2);

# What still runs ends, by itself.
kill 'TERM', map { $_->{pid} } grep { $_->{pid} } @clients;
my $end = time + 90;
while ((grep { $_->{pid} } @clients) && time < $end) { tend(0); sleep 0.1; }
is(scalar(grep { $_->{pid} } @clients), 0, 'every client has ended');
cmp_ok($kills, '>=', 20, "$kills kills");
is(scalar(grep { !$used{"at $_"} } @points), 0, 'each point of the commit was reached');

sub nowhere { my ($what, $sql) = @_; return ok($cluster->wait_until($what, sub { !grep { $_ > 0 } $cluster->everywhere($sql) }), $what); }

nowhere('no transaction is left open', q{SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'});
ok($cluster->settle, 'no prepared transaction is left') or diag $cluster->everywhere('SELECT * FROM pg_prepared_xacts');
nowhere('no transaction is remembered', 'SELECT count(*) FROM get_all_active_transactions()');
nowhere('no commit record is left', 'SELECT count(*) FROM pg_dist_transaction');

is($cluster->sql('SELECT sum(balance) FROM accounts'), $accounts * $start_balance, 'the sum has not changed');
is($cluster->sql("SELECT count(*) FROM accounts a WHERE balance <> $start_balance + coalesce((SELECT sum(delta) FROM entries e WHERE e.account = a.id), 0)"),
	0, 'every balance is the sum of its entries');
is($cluster->sql('SELECT count(*) FROM (SELECT transfer FROM entries GROUP BY transfer HAVING count(*) <> 2 OR sum(delta) <> 0) x'),
	0, 'no transfer is there in part');
is($cluster->sql('SELECT count(*) FROM (SELECT DISTINCT transfer FROM entries) e FULL JOIN ledger l USING (transfer)'
	  . ' WHERE l.source IS NULL OR e.transfer IS NULL'), 0, 'the ledger and the entries name the same transfers');
my %present = map { $_ => 1 } split /\n/, $cluster->sql('SELECT transfer FROM ledger');
my @missing = grep { !$present{$_} } sort { $a <=> $b } keys %acknowledged;
is("@missing[0 .. (@missing > 20 ? 19 : $#missing)]", '', 'every acknowledged transfer is in the ledger');
is(join(', ', map { "$_ at $refused{$_}" } grep { $present{$_} } keys %refused), '', 'what was an error is not there');
cmp_ok($acknowledged_under_fire, '>', 50, sprintf('%d transfers acknowledged, %d present', scalar(keys %acknowledged), scalar(keys %present)));
note 'errors that clients saw: ', join(', ', map { "$_ $errors{$_} times" } sort keys %errors);
for my $node (0 .. 2)
{
	my $log = slurp_file($cluster->node($node)->logfile);
	my @bad = $log =~ /^(.*PANIC.*)$/mg;
	push @bad, grep { !/debug point/ } $log =~ /^(.*(?:TRAP|XX\d{3}|cannot abort transaction).*)$/mg;
	is(join("\n", @bad), '', "no panic in the log of node $node");
}

done_testing();
