# Settings that nobody knows, and those of the API that this version does not have, do not keep a server from starting or
# reloading, wherever they are written; SET refuses them.
use strict;
use warnings;
use CivitasCluster;
use Test::More;

my $cluster = CivitasCluster->new(workers => 0, add_nodes => 0, conf => 'citus.shard_count = 7');
my $node = $cluster->node(0);
$cluster->sql('CREATE ROLE reader LOGIN');

$node->append_conf('postgresql.conf', "citus.no_such_setting = 1\ncitus.writable_standby_coordinator = 'on'\ncitus.shard_count = 8");
$node->reload;
ok($cluster->wait_until('the file is read', sub { $cluster->sql('SHOW citus.shard_count') eq '8' }), 'what is known is read again');
my $position = $cluster->log_position(0);
$node->restart;
is($cluster->sql('SHOW citus.shard_count'), '8', 'the server starts');
is($cluster->sql('SHOW citus.writable_standby_coordinator'), 'off', 'what it does not have keeps the value that is true');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $position);
like($log, qr/WARNING:  .*citus\.no_such_setting/, 'the log warns of a name that nobody knows');
like($log, qr/WARNING:  setting "citus\.writable_standby_coordinator" is not there in this version/, '... and of one that is not there');

my ($code, $out, $err) = $cluster->try(0, q{SET citus.no_such_setting = 1});
like($err, qr/ERROR:  42602: invalid configuration parameter name "citus.no_such_setting"/, 'SET refuses it');
for my $statement (q{ALTER SYSTEM SET citus.enable_change_data_capture = on}, q{ALTER ROLE reader SET citus.enable_change_data_capture = on},
	q{ALTER DATABASE postgres SET citus.enable_change_data_capture = on}, q{SELECT set_config('citus.enable_change_data_capture', 'on', false)})
{
	($code, $out, $err) = $cluster->try(0, $statement);
	like($err, qr/ERROR:  0A000: setting "citus.enable_change_data_capture" is not there in this version\nHINT:  ./, $statement);
}

# What was stored before the library knew better.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
$cluster->sql(q{ALTER ROLE reader SET citus.no_such_setting = 1});
$cluster->sql(q{ALTER DATABASE postgres SET citus.enable_change_data_capture = on});
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'citus'");
$node->restart;
is($node->safe_psql('postgres', 'SELECT 1', extra_params => [ '-U', 'reader' ]), '1', 'a role with such a setting can still log in');
$node->command_ok([ 'pg_dumpall', '--globals-only', '-d', $node->connstr('postgres') ], 'pg_dumpall passes');

done_testing();
