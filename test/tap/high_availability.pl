# The real parts, unmodified: etcd, Patroni, HAProxy and PgBouncer as deploy/civitas runs them. No client notices a switchover of
# a worker, a crash loses nothing, and what was running at the time goes on or leaves nothing behind.
#
# Runs alone: three groups of two servers, and the leases of etcd, want the machine for themselves.
use strict;
use warnings;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $source = $ENV{CIVITAS_SOURCE};
my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $parts = `$source/scripts/haroot $ENV{TESTDIR}/haroot 2>$ENV{TESTDIR}/haroot.log`;
if ($? != 0)
{
	plan skip_all => 'patroni, etcd, haproxy and pgbouncer are not installed, and Debian\'s archive is out of reach';
}
while ($parts =~ /^export (\w+)='(.*)'$/mg)
{
	my ($name, $value) = ($1, $2);
	$ENV{$name} = $value;
}
$ENV{CIVITAS_BINDIR} = (grep { -x "$_/postgres" } split /:/, $ENV{PATH})[0];
$ENV{CIVITAS_NO_SYSTEMD} = 1;
$ENV{CIVITAS_CLUSTER} = "$folder/cluster.yaml";
$ENV{HOME} = $folder;

my $base = 20000 + ($$ * 16) % 10000;
my $net = '127.0.' . (2 + $$ % 250);
my $data = "$folder/d";
my %address = (c1 => "$net.11", c2 => "$net.12", w1a => "$net.21", w1b => "$net.22", w2a => "$net.31", w2b => "$net.32");
my %port = (postgresql => $base, patroni => $base + 1, etcd => $base + 2, etcd_peers => $base + 3,
	coordinator => $base + 4, workers => $base + 5, pgbouncer => $base + 6);
append_to_file($ENV{CIVITAS_CLUSTER}, <<"YAML");
name: ha
directory: $data
hosts: {@{[ join ', ', map { "$_: $address{$_}" } sort keys %address ]}}
groups:
  0: [c1, c2]
  1: [w1a, w1b]
  2: [w2a, w2b]
etcd: [c1, w1a, w2a]
proxies: [c1]
ports: {@{[ join ', ', map { "$_: $port{$_}" } sort keys %port ]}}
database: app
failover: {ttl: 20, loop_wait: 2, retry_timeout: 3}
parameters: {max_connections: 100, shared_buffers: 32MB, citus.recover_2pc_interval: 1h}
YAML

sub civitas
{
	my (@arguments) = @_;
	my ($out, $err) = ('', '');
	my $good = IPC::Run::run([ "$source/deploy/civitas", @arguments ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	diag("civitas @arguments: $out$err") unless $good;
	return wantarray ? ($good, $out . $err) : $good;
}

# A test that is told to stop takes its servers along.
$SIG{$_} = sub { exit 1 } for qw(TERM INT);

END
{
	my $status = $?;
	civitas('destroy') if $data && -d $data;
	$? = $status;
}

my $password;

# Rows of a query: at an address and port, by default HAProxy's for the coordinator. undef: it failed.
sub query
{
	my ($sql, $host, $at) = @_;
	$host //= $address{c1};
	$at //= $port{coordinator};
	local $ENV{PGPASSWORD} = $password;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', "host=$host port=$at user=postgres dbname=app connect_timeout=5", '-f', '-' ],
		'<', \$sql, '>', \$out, '2>', \$err, IPC::Run::timeout(120)) or return undef;
	chomp $out;
	return $out;
}

sub wait_until
{
	my ($what, $condition, $seconds) = @_;
	my $end = time + ($seconds // 120);
	while (time < $end)
	{
		return 1 if eval { $condition->() };
		sleep 0.1;
	}
	fail("waiting until $what");
	return 0;
}

sub state_of
{
	my ($member) = @_;
	my $text = `/usr/bin/python3 -c "import urllib.request, urllib.error
try: print(urllib.request.urlopen('http://$address{$member}:$port{patroni}/patroni', timeout=2).read().decode())
except urllib.error.HTTPError as error: print(error.read().decode())
except OSError: print('{}')"`;
	return decode_json($text || '{}');
}

sub leads { my ($member) = @_; my $state = state_of($member); return ($state->{role} // '') =~ /master|primary/ && $state->{state} eq 'running'; }
sub leader { my (@members) = @_; return (grep { leads($_) } @members)[0]; }
my %group = (0 => [ 'c1', 'c2' ], 1 => [ 'w1a', 'w1b' ], 2 => [ 'w2a', 'w2b' ]);

# All members of a group run, one leads, another may take over at any time (it is synchronous); the coordinator has the leader's address,
# and everybody has been told.
sub settled
{
	my ($number) = @_;
	return wait_until("group $number is settled", sub {
		my $leader = leader(@{ $group{$number} }) or return 0;
		my @states = map { state_of($_) } @{ $group{$number} };
		return 0 if grep { ($_->{state} // '') ne 'running' } @states;
		return 0 unless grep { $_->{sync_standby} } @states;
		return query("SELECT nodename FROM pg_dist_node WHERE groupid = $number AND noderole = 'primary'") eq $address{$leader}
		  && query('SELECT bool_and(metadatasynced) FROM pg_dist_node') eq 't';
	});
}

sub prepared
{
	my $count = 0;
	for my $number (keys %group)
	{
		my $leader = leader(@{ $group{$number} }) or return -1;
		$count += query('SELECT count(*) FROM pg_prepared_xacts', $address{$leader}, $port{postgresql}) // return -1;
	}
	return $count;
}

my @inserted;
my $first_key = 0;

# Runs clients while $during is called.
sub with_clients
{
	my ($clients, $during) = @_;
	my ($in, $out, $err) = ('', '', '');
	$first_key += 10_000_000;
	$in = encode_json({ password => $password, database => 'app', first_key => $first_key, clients => $clients }) . "\n";
	my $handle = IPC::Run::start([ '/usr/bin/python3', "$ENV{TESTDIR}/t/lib/ha_clients.py" ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	$handle->pump_nb;
	my $end = time + 2;
	$handle->pump_nb, sleep 0.05 while time < $end;
	$during->();
	$end = time + 3;
	$handle->pump_nb, sleep 0.05 while time < $end;
	$handle->finish;
	diag($err) if $err;
	my $report = decode_json($out);
	push @inserted, @{ $report->{inserted} };
	return @{ $report->{clients} };
}

sub client { my ($kind, $member) = @_; return { kind => $kind, host => $address{$member}, port => $member eq 'c1' ? $port{coordinator} : $port{postgresql} }; }

# All that was acknowledged is there, and no transfer was done by half.
sub check_rows
{
	my ($label) = @_;
	is(query('SELECT sum(balance), count(*) FROM accounts'), '0|200', "$label: nothing is half");
	my $missing = query('SELECT count(*) FROM unnest(ARRAY[' . join(',', @inserted) . ']::bigint[]) k WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = k)');
	is($missing, '0', "$label: nothing is lost");
	ok(wait_until('nothing is prepared', sub { prepared() == 0 }), "$label: nothing stays prepared");
	return;
}

sub no_errors
{
	my ($label, @clients) = @_;
	for my $client (@clients)
	{
		is($client->{error_count}, 0, "$label: no error for $client->{kind}") or diag(join "\n", map { join ' ', map { $_ // '' } @$_ } @{ $client->{errors} });
		ok($client->{statements} > 0 && !$client->{stuck}, "$label: $client->{kind} went on");
	}
	my ($longest) = sort { $b <=> $a } map { $_->{gap} } @clients;
	note("$label: longest time without an answer $longest s");
	return;
}

# --- bootstrap --------------------------------------------------------------------------------------

my $begun = time;
ok(civitas('up'), 'the cluster comes up');
note(sprintf 'bootstrap took %.1f s', time - $begun);
($password) = slurp_file("$data/secrets.yaml") =~ /^superuser: (.*)$/m;
ok(wait_until('HAProxy knows the leader', sub { (query('SELECT 1') // '') eq '1' }), 'HAProxy leads to the coordinator');
is(query('SELECT pg_is_in_recovery()', $address{c1}, $port{pgbouncer}), 'f', 'PgBouncer as well');
is(query('SELECT count(*) > 0 FROM pg_dist_local_group WHERE groupid > 0', $address{c1}, $port{workers}), 't', '... and to workers');
is(query('SELECT count(*) FROM pg_dist_authinfo'), 1, 'Patroni has left the password for nodes');
ok((civitas('up'))[1] !~ /started|reloaded/, 'a second up does nothing');
ok(civitas('status'), 'status finds nothing wrong');
ok(query(q{CREATE TABLE accounts (id int PRIMARY KEY, balance bigint); SELECT create_distributed_table('accounts', 'id', shard_count => 6);
	CREATE TABLE events (id bigint PRIMARY KEY); SELECT create_distributed_table('events', 'id', shard_count => 6)}) ne '', 'tables');
ok(settled($_), "group $_ is settled") for 0 .. 2;
query('INSERT INTO accounts SELECT g, 0 FROM generate_series(1, 200) g');

# --- a switchover of a worker under load ---------------------------------------------------------------

my $other = leader(@{ $group{2} });
my @kinds = map { client($_, 'c1') } qw(prepared insert copy transfer read total);
my @all = (@kinds, client('transfer', $other), client('read', $other));
no_errors('switchover of a worker', with_clients(\@all, sub { ok(civitas('switchover', 1), 'a worker is switched over') }));
ok(settled(1), 'its group is settled');
check_rows('switchover of a worker');

# --- with the standby registered --------------------------------------------------------------------------

my $leader = leader(@{ $group{1} });
my ($follower) = grep { $_ ne $leader } @{ $group{1} };
query("SELECT citus_add_secondary_node('$address{$follower}', $port{postgresql}, '$address{$leader}', $port{postgresql})");
no_errors('switchover with a registered secondary', with_clients([ @kinds[ 0, 3, 4 ] ], sub { civitas('switchover', 1, '--to', $follower) }));
ok(settled(1), 'its group is settled');
is(query(q{SELECT string_agg(noderole || ' ' || nodename, ', ' ORDER BY noderole) FROM pg_dist_node WHERE groupid = 1}),
	"primary $address{$follower}, secondary $address{$leader}", 'the two have changed places');
query("SELECT citus_remove_node('$address{$leader}', $port{postgresql})");

# --- a move across a switchover ------------------------------------------------------------------------------

query('INSERT INTO events SELECT g FROM generate_series(-200000, -1) g');
my $shard = query(q{SELECT min(shardid) FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) WHERE logicalrelid = 'events'::regclass AND groupid = 1});
my %id = map { split /\|/ } split /\n/, query(q{SELECT groupid, nodeid FROM pg_dist_node WHERE noderole = 'primary'});
{
	local $ENV{PGPASSWORD} = $password;
	my ($out, $err) = ('', '');
	my $move = IPC::Run::start([ 'psql', '-XqAt', '-d', "host=$address{c1} port=$port{coordinator} user=postgres dbname=app", '-c',
		"SELECT citus_move_shard_placement($shard, $id{1}, $id{2}, 'force_logical')" ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(200));
	no_errors('switchover during a move', with_clients([ client('read', 'c1') ], sub { civitas('switchover', 1) }));
	$move->finish;
	note("the move ended with: $err");
}
ok(settled(1), 'after a move its group is settled');
my $left = q{SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'citus%') + (SELECT count(*) FROM pg_publication WHERE pubname LIKE 'citus%')};
ok(wait_until('nothing of the move is left', sub {
	query('CALL citus_cleanup_orphaned_resources()');
	return query('SELECT count(*) FROM pg_dist_cleanup') eq '0'
	  && !grep { query($left, $address{ leader(@{ $group{$_} }) }, $port{postgresql}) ne '0' } 1, 2;
}), 'a move across a switchover leaves no slot and no publication');
is(query('SELECT count(*) FROM events WHERE id < 0'), '200000', '... and all rows');
check_rows('a move across a switchover');

# --- a crash ------------------------------------------------------------------------------------------------

$leader = leader(@{ $group{1} });
($follower) = grep { $_ ne $leader } @{ $group{1} };
my ($lost, $first_write);
with_clients([ @kinds[ 0, 2, 3 ], client('transfer', $other) ], sub {
	my ($patroni) = slurp_file("$data/$leader/patroni.process") =~ /^(\d+)/;
	my ($postmaster) = slurp_file("$data/$leader/data/postmaster.pid") =~ /^(\d+)/;
	kill 'STOP', $patroni, $postmaster;
	kill 'KILL', $patroni, $postmaster, split ' ', `ps -o pid= --ppid $postmaster`;
	my $key = query("SELECT min(id) FROM accounts JOIN pg_dist_placement p ON p.shardid = get_shard_id_for_distribution_column('accounts', id) WHERE groupid = 1", $address{$other}, $port{postgresql});
	$lost = time;
	$key = 1 unless $key;
	wait_until('the standby leads', sub { leads($follower) });
	my $known = time;
	wait_until('its group is written to', sub { defined query("UPDATE accounts SET balance = balance WHERE id IN (SELECT id FROM accounts ORDER BY id)") });
	$first_write = time - $known;
});
note(sprintf 'crash: %.1f s to the first write, %.1f s of them after the new leader', time - $lost, $first_write);
check_rows('a crash');
ok(civitas('up'), 'the crashed member is started again');
ok(settled(1), '... and joins as a standby');

# --- the coordinator ------------------------------------------------------------------------------------------

my $worker = leader(@{ $group{2} });
my @at_workers = with_clients([ client('read', $worker), client('insert', $worker), client('read', 'c1'), client('insert', 'c1') ], sub { civitas('switchover', 0) });
no_errors('switchover of the coordinator, at a worker', @at_workers[ 0, 1 ]);
ok(wait_until('HAProxy follows', sub { (query('SELECT pg_is_in_recovery()') // '') eq 'f' }), 'HAProxy leads to the new coordinator');
ok(settled(0), 'the nodes know the new coordinator');
check_rows('switchover of the coordinator');
ok(civitas('down'), 'the cluster goes down');
done_testing();
