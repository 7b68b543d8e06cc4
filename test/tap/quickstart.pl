# Runs as the caller
# Runs early
#
# scripts/quickstart in an empty folder: a cluster with the demo, whose queries every node answers like the plain
# tables; safe by default; a second run changes nothing; --stop and --destroy do what they say.
use strict;
use warnings;
use Cwd qw(getcwd);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Test::More;

my $source = $ENV{CIVITAS_SOURCE} or die "CIVITAS_SOURCE is not set: run this through scripts/check\n";
my $build = $ENV{CIVITAS_BUILD};
# A short path (sockets live in it), open above so that the servers' user can reach it.
my $parent = tempdir('civitas-qs-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $parent;
my $dir = "$parent/cluster";
my $port = free_ports(8);
chomp(my $server = `bash -c '. "$source/scripts/lib/common.sh"; dirname "\$(find_pg_config)"'`);
my $bindir = "$dir/postgresql$server";

# Ports that nobody else who asks there gets while this test runs.
sub free_ports
{
	my ($count) = @_;
	my ($first) = `bash -c '. "$source/scripts/lib/common.sh"; find_free_ports $count $$'` =~ /^(\d+)$/;
	return $first // die "no free ports\n";
}

# Runs a command; (exit status, standard output and error).
sub run
{
	my (@command) = @_;
	my $pid = open my $pipe, '-|';
	die "cannot fork: $!\n" unless defined $pid;
	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDERR, '>&', \*STDOUT;
		exec @command or exit 127;
	}
	my $output = do { local $/; <$pipe> } // '';
	close $pipe;
	return ($? >> 8, $output);
}

sub quickstart { return run("$source/scripts/quickstart", '--dir', $dir, @_); }

sub sql
{
	my ($node, $sql, @options) = @_;
	my ($status, $output) = run("$bindir/psql", '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', @options,
		'-h', $dir, '-p', $port + $node, '-U', 'postgres', '-d', 'postgres', '-c', $sql);
	chomp $output;
	return $output;
}

sub queries
{
	my ($node, $schema) = @_;
	local $ENV{PGOPTIONS} = "-c search_path=$schema";
	return run("$bindir/psql", '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-h', $dir, '-p', $port + $node,
		'-U', 'postgres', '-d', 'postgres', '-f', "$source/demo/queries.sql");
}

# Does nothing where there is nothing, and refuses what it should.
my ($status, $output) = quickstart('--stop');
is($status, 0, '--stop without a cluster');
like($output, qr/there is no cluster in \Q$dir\E/, '--stop says that there is none');
($status, $output) = quickstart('--workers', '0');
isnt($status, 0, 'no workers');
like($output, qr/--workers must be/, 'no workers: says why');
($status, $output) = quickstart('--surprise');
isnt($status, 0, 'unknown option');
($status, $output) = run("$source/scripts/quickstart", '--dir', '/usr');
isnt($status, 0, 'a folder with other things in it');
like($output, qr/not empty/, 'a folder with other things in it: says why');

# A port that is taken: says which step, why, and where the log is; nothing is started.
my $squatter = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + 1, Proto => 'tcp', Listen => 1);
($status, $output) = quickstart('--port', $port, '--build-dir', $build);
isnt($status, 0, 'a port that is taken');
like($output, qr/step 4 of 7 failed/, 'a port that is taken: the step');
like($output, qr/port ${\($port + 1)} is taken/, 'a port that is taken: the reason');
like($output, qr/the whole log is \S+/, 'a port that is taken: the log');
unlink $1 if $output =~ /the whole log is (\S+)/;
($status, $output) = quickstart('--port', $port + 1, '--build-dir', $build);
isnt($status, 0, 'another port that is taken');
like($output, qr/is taken/, 'after a failure another port may be tried');
unlink $1 if $output =~ /the whole log is (\S+)/;
close $squatter;

# The real thing.
($status, $output) = quickstart('--port', $port, '--build-dir', $build);
is($status, 0, 'quickstart') or BAIL_OUT($output);
note $1 if $output =~ /(Ready after \d+ s)/;
like($output, qr/3 nodes agree with the plain tables/, 'says that the answers were checked');
like($output, qr/connect\s+\S+psql/, 'says how to connect');

is(sql(0, 'SELECT count(*) FROM pg_dist_node WHERE isactive'), 3, 'three active nodes');
cmp_ok(sql(0, 'SELECT count(*) FROM demo.packages'), '>', 1000, 'packages are loaded');
is(sql(0, q{SELECT string_agg(format('%s %s', table_name, citus_table_type), ', ' ORDER BY table_name::text)
	FROM citus_tables WHERE table_name::text LIKE 'demo.%'}),
	'demo.dependencies distributed, demo.maintainers reference, demo.packages distributed, demo.sections reference',
	'tables are spread as the demo says');
is(sql(0, q{SELECT count(DISTINCT colocation_id) FROM citus_tables
	WHERE table_name::text IN ('demo.packages', 'demo.dependencies')}), 1, 'colocated');
cmp_ok(sql(0, q{SELECT count(DISTINCT nodeport) FROM citus_shards WHERE table_name = 'demo.packages'::regclass}),
	'>=', 2, 'shards on every worker');
for my $table (qw(packages dependencies sections maintainers))
{
	my $difference = "SELECT count(*) FROM (TABLE %s.$table EXCEPT ALL TABLE %s.$table) d";
	is(sql(0, sprintf $difference, 'demo', 'plain'), 0, "$table: no row too many");
	is(sql(0, sprintf $difference, 'plain', 'demo'), 0, "$table: no row missing");
}

my ($plain_status, $plain) = queries(0, 'plain');
is($plain_status, 0, 'plain answers');
cmp_ok(scalar(split /\n/, $plain), '>', 30, 'plain answers have rows');
for my $node (0 .. 2)
{
	my ($node_status, $answers) = queries($node, 'demo');
	is($node_status, 0, "node $node answers");
	is($answers, $plain, "node $node answers like the plain tables");
}

# Safe by default.
is((stat $dir)[2] & 0777, 0700, 'the folder is closed to others');
is((stat "$dir/password")[2] & 0777, 0600, 'the password file is closed to others');
open my $password_file, '<', "$dir/password" or die $!;
my $password = <$password_file>;
for my $log (glob "$dir/*.log")
{
	open my $handle, '<', $log or die $!;
	ok(!(grep { index($_, $password) >= 0 } <$handle>), "no password in $log");
}
my @tcp = ("$bindir/psql", '-X', '-At', '-c', 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
($status, $output) = run(@tcp, '-w', "host=localhost port=$port user=postgres dbname=postgres");
isnt($status, 0, 'TCP without a password is refused');
{
	local $ENV{PGPASSFILE} = "$dir/pgpass";
	($status, $output) = run(@tcp, "host=localhost port=$port user=postgres dbname=postgres sslmode=require");
	is($output, "t\n", 'TCP with TLS and the password works');
	($status, $output) = run(@tcp, "host=localhost port=$port user=postgres dbname=postgres sslmode=disable");
	isnt($status, 0, 'TCP without TLS is refused');
}

# A second run does no harm; it starts again what --stop stopped.
my $oid = sql(0, q{SELECT 'demo.packages'::regclass::oid});
($status, $output) = quickstart('--build-dir', $build);
is($status, 0, 'second run') or diag($output);
like($output, qr/3 of 3 were running/, 'second run leaves servers alone');
is(sql(0, q{SELECT 'demo.packages'::regclass::oid}), $oid, 'second run leaves the demo alone');
($status, $output) = quickstart('--port', $port + 5);
isnt($status, 0, 'another port for the same folder is refused');
($status, $output) = quickstart('--stop');
is($status, 0, '--stop') or diag($output);
ok(!-e "$dir/node$_/postmaster.pid", "node $_ is stopped") for 0 .. 2;
ok(-d "$dir/node0", '--stop keeps the data');
($status, $output) = quickstart('--build-dir', $build);
is($status, 0, 'run after --stop') or diag($output);
cmp_ok(sql(1, 'SELECT count(*) FROM demo.packages'), '>', 1000, 'the data is still there');

($status, $output) = quickstart('--destroy');
is($status, 0, '--destroy') or diag($output);
ok(!-e $dir, '--destroy leaves nothing');
ok(!IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port + $_), "nobody listens for node $_") for 0 .. 2;
($status, $output) = quickstart('--destroy');
is($status, 0, '--destroy twice');
done_testing();

# Whatever happened, no server stays.
END
{
	my $saved = $?;
	quickstart('--destroy') if defined $dir && -d $dir;
	$? = $saved;
}
