# Between servers: TLS with a certificate of the server's own making, passwords that stay secret, nodes that refuse, and
# a server that has not loaded the library.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CivitasCluster->new(
	workers => 1,
	conf => "log_statement = all\nlog_min_messages = info\ncitus.log_remote_commands = on\nmax_prepared_transactions = 0\n"
	  . "citus.node_connection_timeout = 300s\n");
my $coordinator = $cluster->node(0);
my $worker = $cluster->node(1);

# --- the server's own certificate ------------------------------------------------------------------
is($coordinator->safe_psql('postgres', 'SHOW ssl'), 'on', 'TLS is on without anybody asking');
is($coordinator->safe_psql('postgres', 'SHOW max_prepared_transactions'), '200', 'prepared transactions are possible');
my $data = $coordinator->data_dir;
my $certificate = $coordinator->safe_psql('postgres', 'SHOW ssl_cert_file');
my $key = $coordinator->safe_psql('postgres', 'SHOW ssl_key_file');
$_ = m{^/} ? $_ : "$data/$_" for $certificate, $key;
my $text = `openssl x509 -in $certificate -noout -text`;
like($text, qr/Signature Algorithm: ecdsa-with-SHA256/, 'signed with SHA-256');
like($text, qr/NIST CURVE: P-256/, 'a key on the curve P-256');
is(sprintf('%o', (stat $key)[2] & 07777), '600', 'the key is for the server alone');
is($cluster->sql(q{SELECT result FROM run_command_on_workers('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')}),
	't', 'nodes talk to each other through it');

# --- passwords -------------------------------------------------------------------------------------
my $hba = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
for my $node ($coordinator, $worker)
{
	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf', $hba);
	$node->append_conf('postgresql.conf', "log_statement = none\n");
	$node->reload;
}
my $user = $cluster->sql('SELECT current_user');
$cluster->sql(qq{
	CREATE ROLE app LOGIN PASSWORD 'open-sesame';
	CREATE TABLE t (k int PRIMARY KEY);
	SELECT create_distributed_table('t', 'k');
	GRANT SELECT ON t TO app;
	INSERT INTO pg_dist_authinfo VALUES (0, 'app', 'password=open-sesame')});
is($worker->safe_psql('postgres', q{SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'app'}),
	't', 'the hash of a password reaches the other nodes');
my ($code, $out, $err) = $cluster->try(0, 'SET client_min_messages = error; SET ROLE app; SELECT count(*) FROM t');
is($out, '0', 'the password of pg_dist_authinfo opens the node');

$cluster->sql(q{UPDATE pg_dist_authinfo SET authinfo = 'password=close-sesame'});
for my $query ('SELECT count(*) FROM t', 'SELECT * FROM t WHERE k = 1')
{
	($code, $out, $err) = $cluster->try(0, "SET client_min_messages = error; SET ROLE app; $query");
	like($err, qr/08006: could not connect to node 127\.0\.0\.1:\d+.*password authentication failed for user "app"/s,
		"a wrong password is an error at once: $query");
}
for my $secret (q{password=''open-sesame}, 'pasword=open-sesame', 'open-sesame', 'password=open-sesame host=elsewhere')
{
	($code, $out, $err) = $cluster->try(0, "UPDATE pg_dist_authinfo SET authinfo = '$secret'");
	isnt($code, 0, 'malformed secrets are refused');
	unlike($err =~ s/^LINE.*//mr, qr/sesame/, 'without repeating them');
}
# The server logs statements that fail; what the library itself writes has no secret.
for my $node ($coordinator, $worker)
{
	my @lines = grep { /sesame/ && !/STATEMENT:|statement: |INSERT INTO pg_dist_authinfo|PASSWORD 'open/ } split /\n/, slurp_file($node->logfile);
	is("@lines", '', 'no secret in the log of ' . $node->name);
}
unlike(slurp_file($worker->logfile), qr/sesame/, 'none at all in the log of the other node');

# --- a node without TLS ----------------------------------------------------------------------------
$worker->append_conf('postgresql.conf', "ssl = off\n");
$worker->restart;
is($worker->safe_psql('postgres', 'SHOW ssl'), 'off', 'ssl = off is respected');
($code, $out, $err) = $cluster->try(0, 'SET client_min_messages = error; SELECT count(*) FROM t');
like($err, qr/server does not support SSL.*HINT:\s+Turn ssl on there/s, 'then nodes do not talk, and say why');

# --- a server that has not loaded the library ------------------------------------------------------
my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->start;
$plain->psql('postgres', 'CREATE EXTENSION citus', stderr => \$err);
like($err, qr/ERROR:  citus can only be loaded at server start.*HINT:  Add citus to shared_preload_libraries/s,
	'CREATE EXTENSION says what is missing');
is($plain->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'citus'}), '0', 'and leaves nothing');

done_testing();
