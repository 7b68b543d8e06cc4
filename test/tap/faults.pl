# Runs early
#
# Every call that changes the cluster is cancelled, timed out, and robbed of a worker in the middle. Whatever happens, the
# cluster is afterwards as before the call or as after it: the same metadata on every node, the right
# rows from every node, no table of a shard that the metadata does not know, no prepared transaction left.
use strict;
use warnings;
use CivitasCluster;
use Test::More;

my $rows = 40000;
my $cluster = CivitasCluster->new(workers => 2);
my $data_file = $cluster->node(0)->basedir . '/rows.txt';
open my $file, '>', $data_file or die $!;
print $file "$_\t" . ('x' x 60) . "\n" for 1 .. $rows;
close $file;
chmod 0644, $data_file;

my $table = 'CREATE TABLE t (k int PRIMARY KEY, v text); ';
my $filled = $table . "INSERT INTO t SELECT i, repeat('x', 60) FROM generate_series(1, $rows) i; ";
my $distributed = $table . q{SELECT create_distributed_table('t', 'k', shard_count => 8); };
my $loaded = $distributed . "COPY t FROM '$data_file'; ";
my $full = "$rows|" . ($rows * ($rows + 1) / 2);

# call: the statement under test. answers: what the probe may say afterwards, before/after the call.
my @calls = (
	{ name => 'create_distributed_table', setup => $filled,
		call => q{SELECT create_distributed_table('t', 'k', shard_count => 8)}, answers => [ $full, $full ] },
	{ name => 'create_reference_table', setup => $filled,
		call => q{SELECT create_reference_table('t')}, answers => [ $full, $full ] },
	{ name => 'undistribute_table', setup => $loaded,
		call => q{SELECT undistribute_table('t')}, answers => [ $full, $full ] },
	{ name => 'citus_add_local_table_to_metadata', setup => $filled,
		call => q{SELECT citus_add_local_table_to_metadata('t')}, answers => [ $full, $full ] },
	{ name => 'COPY', setup => $distributed, call => "COPY t FROM '$data_file'", answers => [ '0|', $full ] },
	{ name => 'multi-shard UPDATE', setup => $loaded, call => 'UPDATE t SET k = k, v = v || v', answers => [ $full, $full ] },
	{ name => 'multi-shard DELETE', setup => $loaded, call => 'DELETE FROM t', answers => [ $full, '0|' ] },
	{ name => 'TRUNCATE', setup => $loaded, call => 'TRUNCATE t', answers => [ $full, '0|' ] },
	{ name => 'CREATE INDEX', setup => $loaded, call => 'CREATE INDEX t_v ON t (v)', answers => [ $full, $full ] },
	{ name => 'ALTER TABLE', setup => $loaded, call => 'ALTER TABLE t ADD COLUMN w int DEFAULT 7', answers => [ $full, $full ] },
	{ name => 'DROP TABLE', setup => $loaded, call => 'DROP TABLE t', answers => [ $full, 'none' ] },
);

my $leftovers = q{
	SELECT count(*) FROM pg_class c
	WHERE c.relkind IN ('r', 'p') AND c.relname ~ '^t_[0-9]+$' AND NOT EXISTS (
		SELECT FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid) JOIN pg_dist_local_group g USING (groupid)
		WHERE c.relname = 't_' || s.shardid)};
my $metadata = q{
	SELECT coalesce(string_agg(format('%s %s %s %s %s', p.partmethod, s.shardid, s.shardminvalue, l.groupid, l.placementid), ','
		ORDER BY s.shardid, l.groupid), 'none')
	FROM pg_dist_partition p JOIN pg_dist_shard s USING (logicalrelid) JOIN pg_dist_placement l USING (shardid)
	WHERE p.logicalrelid::text = 't'};

sub probe
{
	my ($node) = @_;
	my $exists = $cluster->node($node)->safe_psql('postgres', q{SELECT to_regclass('t') IS NOT NULL});
	return 'none' if $exists eq 'f';
	return $cluster->node($node)->safe_psql('postgres', 'SELECT count(*), sum(k) FROM t');
}

# The cluster must be in one of the two states, the same everywhere.
sub check_state
{
	my ($label, $call) = @_;
	ok($cluster->settle, "$label: no prepared transaction");
	my @metadata = $cluster->everywhere($metadata);
	is($metadata[$_], $metadata[0], "$label: metadata of node $_") for 1, 2;
	my $distributed = $metadata[0] ne 'none';
	for my $node ($distributed ? (0 .. 2) : (0))
	{
		my $answer = probe($node);
		ok((grep { $_ eq $answer } @{ $call->{answers} }), "$label: answer from node $node is $answer");
	}
	is(join(',', $cluster->everywhere($leftovers)), '0,0,0', "$label: no stray shard");
}

sub reset_table
{
	my ($call) = @_;
	$cluster->sql('SET client_min_messages = warning; DROP TABLE IF EXISTS t');
	$cluster->sql('SET client_min_messages = warning; ' . $call->{setup}) if $call;
}

for my $call (@calls)
{
	# A worker that is down before the call: an error that names it, nothing changed.
	if ($call->{name} !~ /local_table/)
	{
		reset_table($call);
		$cluster->node(2)->stop('immediate');
		my ($code, $out, $err) = $cluster->try(0, $call->{call});
		isnt($code, 0, "$call->{name}, worker down before: fails");
		like($err, qr/ERROR:  (08|57P)/, "$call->{name}, worker down before: connection error");
		my $port = $cluster->node(2)->port;
		like($err, qr/127\.0\.0\.1.*\b$port\b/s, "$call->{name}, worker down before: names the node");
		$cluster->node(2)->start;
		check_state("$call->{name}, worker down before", $call);
	}

	# Timeouts and cancels at several moments.
	for my $timeout (30, 150)
	{
		reset_table($call);
		my ($code, $out, $err) = $cluster->try(0, "SET statement_timeout = $timeout;\n$call->{call}");
		like($err, qr/57014/, "$call->{name}, timeout $timeout ms: query_canceled") if $code != 0;
		check_state("$call->{name}, timeout $timeout ms", $call);
	}
	for my $delay (0.1)
	{
		reset_table($call);
		$cluster->run_beside($call->{call}, $delay, sub { $cluster->cancel_tested });
		check_state("$call->{name}, cancel after $delay s", $call);
	}

	# A worker crashes in the middle.
	reset_table($call);
	$cluster->run_beside($call->{call}, 0.15, sub { $cluster->node(1)->stop('immediate') });
	$cluster->node(1)->start;
	check_state("$call->{name}, worker crash", $call);
	is($cluster->try(0, 'SELECT 1') + 0, 0, "$call->{name}, worker crash: coordinator answers");
}
reset_table(undef);

# A session whose worker went away between two statements goes on without noticing.
$cluster->sql($distributed);
my ($code, $out, $err) = $cluster->try(0, "SELECT count(*) FROM t;\n\\! sleep 0\nSELECT count(*) FROM t;");
is($code, 0, 'two statements on cached sessions');
$cluster->node(1)->restart;
($code, $out, $err) = $cluster->try(0, 'SELECT count(*) FROM t');
is($code, 0, 'a restarted worker is used again');

done_testing();
