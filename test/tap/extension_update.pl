# The extension goes from an earlier version to the library's: what an earlier script has made is the same afterwards as what
# today's script makes; until then nothing is done with distributed tables, and superusers are not locked out.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = $ENV{CIVITAS_SOURCE} or die "CIVITAS_SOURCE is not set: run this through scripts/check\n";
my ($version) = slurp_file("$source/citus.control") =~ /^default_version = '(.*)'/m;
my @earlier = map { m{/citus--([0-9.]+)\.sql$} } glob "$source/test/upgrade/citus--*.sql";
ok(@earlier > 0, 'there are scripts of earlier versions');

my $cluster = CivitasCluster->new(workers => 2);
my @node = map { $cluster->node($_) } 0 .. 2;

# Everything that belongs to the extension in a database, without oids.
sub members
{
	my ($database) = @_;
	return $node[0]->safe_psql($database, q{
		SET search_path = pg_catalog;
		CREATE TEMP TABLE member AS SELECT classid, objid, pg_identify_object(classid, objid, objsubid)::text AS name FROM pg_depend
			WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'citus');
		SELECT 'member', name, obj_description(objid, classid::regclass::name) FROM member ORDER BY name COLLATE "C";
		SELECT 'extension', extversion, extrelocatable, extnamespace::regnamespace, extconfig::regclass[], extcondition FROM pg_extension WHERE extname = 'citus';
		SELECT 'function', CASE prokind WHEN 'a' THEN p.oid::regprocedure::text ELSE pg_get_functiondef(p.oid) END, proowner::regrole, coalesce(proacl, acldefault('f', proowner)), procost, prorows
			FROM pg_proc p JOIN member ON objid = p.oid AND classid = 'pg_proc'::regclass ORDER BY p.oid::regprocedure::text COLLATE "C";
		SELECT 'aggregate', aggfnoid::regprocedure, aggkind, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggtranstype::regtype, agginitval
			FROM pg_aggregate JOIN member ON objid = aggfnoid AND classid = 'pg_proc'::regclass ORDER BY aggfnoid::text;
		SELECT 'relation', c.oid::regclass, relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident, reloptions, relowner::regrole,
			coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner)), CASE relkind WHEN 'v' THEN pg_get_viewdef(c.oid) END
			FROM pg_class c JOIN member ON objid = c.oid AND classid = 'pg_class'::regclass ORDER BY c.oid::regclass::text COLLATE "C";
		SELECT 'column', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attcollation::regcollation, attidentity, attgenerated, attstorage,
			attisdropped, attacl, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
			FROM pg_attribute a JOIN member ON objid = attrelid AND classid = 'pg_class'::regclass LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
			WHERE attnum > 0 ORDER BY attrelid::regclass::text COLLATE "C", attnum;
		SELECT 'sequence', seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle
			FROM pg_sequence JOIN member ON objid = seqrelid AND classid = 'pg_class'::regclass ORDER BY seqrelid::regclass::text;
		SELECT 'constraint', conrelid::regclass, conname, pg_get_constraintdef(c.oid) FROM pg_constraint c
			JOIN member ON objid = conrelid AND classid = 'pg_class'::regclass ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";
		SELECT 'index', pg_get_indexdef(indexrelid), indisclustered, indisreplident, coalesce(obj_description(indexrelid, 'pg_class'), '')
			FROM pg_index JOIN member ON objid = indrelid AND classid = 'pg_class'::regclass ORDER BY pg_get_indexdef(indexrelid) COLLATE "C";
		SELECT 'trigger', pg_get_triggerdef(t.oid), tgenabled FROM pg_trigger t JOIN member ON objid = tgrelid AND classid = 'pg_class'::regclass
			WHERE NOT tgisinternal ORDER BY pg_get_triggerdef(t.oid) COLLATE "C";
		SELECT 'policy', polrelid::regclass, polname, polcmd FROM pg_policy JOIN member ON objid = polrelid AND classid = 'pg_class'::regclass ORDER BY 2, 3;
		SELECT 'label', enumtypid::regtype, enumlabel FROM pg_enum JOIN member ON objid = enumtypid AND classid = 'pg_type'::regclass ORDER BY enumtypid::regtype::text, enumsortorder;
		SELECT 'schema', nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace n JOIN member ON objid = n.oid AND classid = 'pg_namespace'::regclass ORDER BY nspname;
		SELECT 'initial rights', pg_identify_object(i.classoid, i.objoid, i.objsubid)::text AS o, initprivs FROM pg_init_privs i
			JOIN member ON objid = i.objoid AND classid = i.classoid ORDER BY pg_identify_object(i.classoid, i.objoid, i.objsubid)::text COLLATE "C";
		SELECT 'strategy', r.* FROM pg_dist_rebalance_strategy r ORDER BY name;
	});
}

$node[0]->safe_psql('postgres', 'CREATE DATABASE fresh');
$node[0]->safe_psql('fresh', 'CREATE EXTENSION citus');
my @fresh = split /\n/, members('fresh');
ok(@fresh > 1000, 'there is much to compare');

for my $from (@earlier)
{
	(my $database = "from_$from") =~ s/\W/_/g;
	$node[0]->safe_psql('postgres', "CREATE DATABASE $database");
	$node[0]->safe_psql($database, "CREATE EXTENSION citus VERSION '$from'");
	my ($status, $out, $err) = $node[0]->psql($database, 'CREATE TABLE t (k int)');
	is($status, 0, "$from: plain tables work before the update");
	($status, $out, $err) = $node[0]->psql($database, "\\set VERBOSITY verbose\nSELECT create_distributed_table('t', 'k')");
	like($err, qr/55000: the loaded citus library is version \Q$version\E, but the extension is version \Q$from\E\nHINT:  Run ALTER EXTENSION citus UPDATE/,
		"$from: distributed ones do not");
	$node[0]->safe_psql($database, 'ALTER EXTENSION citus UPDATE');
	my @updated = split /\n/, members($database);
	my %is_fresh = map { $_ => 1 } @fresh;
	my %is_updated = map { $_ => 1 } @updated;
	is(join("\n", map({ "missing: $_" } grep { !$is_updated{$_} } @fresh), map { "too much: $_" } grep { !$is_fresh{$_} } @updated), '',
		"$from: the catalogs are those of a new extension");
	is(scalar @updated, scalar @fresh, "$from: nothing is there twice");
	$node[0]->safe_psql($database, 'ALTER EXTENSION citus UPDATE');
	$node[0]->safe_psql($database, 'DROP EXTENSION citus');
	is($node[0]->safe_psql($database, q{SELECT count(*) FROM pg_class WHERE relname ~ '^pg_dist_'}), 0, "$from: and can be dropped");
	$node[0]->safe_psql($database, "CREATE EXTENSION citus VERSION '$from'");
	$node[0]->safe_psql($database, 'DROP EXTENSION citus');
	$node[0]->safe_psql($database, 'CREATE EXTENSION citus');
}

# --- a cluster with tables ------------------------------------------------------------------------------

$cluster->sql(q{CREATE TABLE t (k int PRIMARY KEY, v text); SELECT create_distributed_table('t', 'k', shard_count => 4);
	CREATE TABLE r (k int PRIMARY KEY); SELECT create_reference_table('r'); INSERT INTO r SELECT generate_series(1, 10);
	INSERT INTO t SELECT i, i FROM generate_series(1, 100) i});

# What an upgrade to a version that is not there yet looks like: as if this library were older than the SQL objects.
sub set_versions { my ($to) = @_; $_->safe_psql('postgres', "UPDATE pg_extension SET extversion = '$to' WHERE extname = 'citus'") for @node; return; }

set_versions('99.0');
for my $i (0, 1)
{
	for my $sql ('SELECT count(*) FROM t', 'INSERT INTO t VALUES (1000)', 'UPDATE t SET v = 1', 'DELETE FROM t', 'COPY t TO STDOUT', 'TRUNCATE t',
		'SELECT * FROM r', 'ALTER TABLE t ADD COLUMN w int', 'CREATE INDEX ON t (v)', "SELECT undistribute_table('t')",
		"SELECT citus_move_shard_placement(102008, 'localhost', 1, 'localhost', 2)", 'SELECT citus_rebalance_start()', "SELECT citus_add_node('localhost', 1)",
		'SELECT recover_prepared_transactions()', "SELECT run_command_on_workers('SELECT 1')")
	{
		my ($code, $out, $err) = $cluster->try($i, $sql);
		like($err, qr/55000: the loaded citus library is version \Q$version\E, but the extension is version 99\.0/, "node $i: $sql");
	}
}
# One node alone is behind.
$_->safe_psql('postgres', "UPDATE pg_extension SET extversion = '$version' WHERE extname = 'citus'") for @node[ 0, 1 ];
my ($code, $out, $err) = $cluster->try(0, 'SELECT count(*) FROM t');
like($err, qr/the loaded citus library is version \Q$version\E, but the extension is version 99\.0/, 'a node of another version does not answer others');
like($cluster->sql('SELECT citus_version()'), qr/^Civitas \Q$version\E,/, 'citus_version() answers');
is($node[2]->safe_psql('postgres', 'CREATE TABLE plain (k int); INSERT INTO plain VALUES (1); SELECT count(*) FROM plain'), 1, 'plain tables go on');
($code, $out, $err) = $cluster->try(2, q{ALTER EXTENSION citus UPDATE});
like($err, qr/has no update path|no update path/, 'ALTER EXTENSION is PostgreSQL\'s own matter');
set_versions($version);
is($cluster->sql('SELECT count(*), (SELECT count(*) FROM r) FROM t'), '100|10', 'all is there afterwards');

done_testing();
