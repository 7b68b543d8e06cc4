# A role that owns one table and may create objects tries everything: every function of the extension with its own and others'
# objects, settings, names that look like others', claimed identities, tokens. What belongs to others stays as it was, nobody's
# rights are borrowed, no server crashes, no secret is seen.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CivitasCluster->new(
	workers => 2,
	conf => "log_statement = all\nlog_min_duration_statement = 0\nlog_parameter_max_length_on_error = -1\n"
	  . "citus.shard_count = 4\ncitus.recover_2pc_interval = -1\ncitus.defer_shard_delete_interval = -1\n");
my @nodes = ($cluster->node(0), $cluster->workers);
my $admin = $cluster->sql('SELECT current_user');

# Runs a script as a role; errors do not end it.
sub as
{
	my ($role, $i, $sql) = @_;
	my ($out, $err) = ('', '');
	my @command = ('psql', '-XqAt', '-d', $cluster->node($i)->connstr('postgres') . " user=$role", '-f', '-');
	$sql = "SET client_min_messages = warning;\n$sql\n";
	IPC::Run::run \@command, '<', \$sql, '>', \$out, '2>', \$err, IPC::Run::timeout(170);
	return ($out, $err);
}

$cluster->sql(q{
	CREATE ROLE mallory LOGIN;
	CREATE ROLE victim LOGIN;
	CREATE ROLE reader LOGIN IN ROLE pg_read_all_data, pg_write_all_data, pg_monitor;
	CREATE SCHEMA m AUTHORIZATION mallory;
	CREATE SCHEMA v AUTHORIZATION victim;
	GRANT CREATE ON SCHEMA public TO mallory;
	GRANT USAGE ON SCHEMA v TO mallory;
	CREATE TABLE v.d (id int PRIMARY KEY, x text);
	CREATE TABLE v.r (id int PRIMARY KEY, x text);
	CREATE TABLE v.l (id int PRIMARY KEY, x text);
	CREATE SEQUENCE v.s;
	SELECT create_distributed_table('v.d', 'id'), create_reference_table('v.r');
	INSERT INTO v.d SELECT i, 'secret ' || i FROM generate_series(1, 100) i;
	INSERT INTO v.r SELECT i, 'secret ' || i FROM generate_series(1, 10) i;
	INSERT INTO v.l SELECT i, 'secret ' || i FROM generate_series(1, 10) i;
	ALTER TABLE v.d OWNER TO victim; ALTER TABLE v.r OWNER TO victim; ALTER TABLE v.l OWNER TO victim;
	SET ROLE mallory;
	CREATE TABLE m.t (id int, x text);
	SELECT create_distributed_table('m.t', 'id');
	INSERT INTO m.t SELECT i, 'mine' FROM generate_series(1, 20) i});

# --- what must stay as it is -------------------------------------------------------------------------
my $metadata = q{
	SELECT md5(string_agg(row::text, '|' ORDER BY row::text)) FROM (
		SELECT to_jsonb(p) FROM pg_dist_partition p WHERE logicalrelid::text LIKE 'v.%'
		UNION ALL SELECT to_jsonb(s) FROM pg_dist_shard s WHERE logicalrelid::text LIKE 'v.%'
		UNION ALL SELECT to_jsonb(p) FROM pg_dist_placement p WHERE shardid IN (SELECT shardid FROM pg_dist_shard WHERE logicalrelid::text LIKE 'v.%')
		UNION ALL SELECT to_jsonb(c) FROM pg_dist_colocation c WHERE colocationid IN (SELECT colocationid FROM pg_dist_partition WHERE logicalrelid::text LIKE 'v.%')
		UNION ALL SELECT to_jsonb(n) FROM pg_dist_node n
		UNION ALL SELECT to_jsonb(g) FROM pg_dist_local_group g
		UNION ALL SELECT to_jsonb(a) FROM pg_dist_authinfo a
		UNION ALL SELECT to_jsonb(i) FROM pg_dist_poolinfo i
		UNION ALL SELECT to_jsonb(s) FROM citus_internal.cluster_secret s
		UNION ALL SELECT to_jsonb(b) FROM pg_dist_rebalance_strategy b
		UNION ALL SELECT to_jsonb(m) FROM pg_dist_node_metadata m
		UNION ALL SELECT to_jsonb(x) FROM (SELECT relname, relkind, relowner::regrole, relacl FROM pg_class WHERE relnamespace = 'v'::regnamespace) x
		UNION ALL SELECT to_jsonb(x) FROM (SELECT rolname, rolsuper, rolcanlogin, rolcreaterole FROM pg_roles) x) q(row)};
my $rows = q{SELECT md5(string_agg(d::text, '|' ORDER BY id)) FROM (TABLE v.d UNION ALL TABLE v.r) d; SELECT count(*) FROM v.d; SELECT count(*) FROM v.r};
my $local = q{SELECT md5(string_agg(l::text, '|' ORDER BY id)) FROM v.l l; SELECT last_value, is_called FROM v.s};
sub state_of_others
{
	return join "\n", (map { $_->safe_psql('postgres', "SET citus.show_shards_for_app_name_prefixes = '*'; $metadata") } @nodes),
	  $cluster->sql($rows), $cluster->sql($local);
}
my $before = state_of_others();
sub nothing_changed { my ($what) = @_; return is(state_of_others(), $before, "others' rows and metadata are as before: $what"); }

# --- every function, with everything ---------------------------------------------------------------------
my %own = (
	regclass => q{'m.t'::regclass}, oid => q{'m.t'::regclass::oid}, text => q{'id'}, name => q{'mallory'}, integer => 1, smallint => 1,
	bigint => q{(SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'm.t'::regclass)}, boolean => 'true', '"char"' => q{'h'},
	bytea => q{'\x00'}, tid => q{'(0,1)'}, interval => q{'0'}, 'timestamp with time zone' => 'now()', real => 0.1, '"any"' => 1,
	anyelement => 1, regproc => q{'now'::regproc}, jsonb => q{'{}'}, regtype => q{'int'::regtype}, 'double precision' => 1);
my %others = (
	%own, regclass => q{'v.d'::regclass}, oid => q{'v.d'::regclass::oid}, text => q{'v.d'}, name => q{'victim'}, integer => 2,
	bigint => q{(SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'v.d'::regclass)}, boolean => 'false', '"char"' => q{'n'});
my %reference = (%others, regclass => q{'v.r'::regclass}, oid => q{'v.r'::regclass::oid}, text => q{'block_writes'}, integer => 0,
	bigint => q{(SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'v.r'::regclass)});

my @functions = split /\n/, $cluster->sql(q{
	SELECT p.oid::regprocedure, p.prokind, n.nspname || '.' || quote_ident(p.proname),
		(SELECT string_agg(format_type(t, NULL), ';' ORDER BY k) FROM unnest(p.proargtypes) WITH ORDINALITY a(t, k))
	FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'citus' JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE p.prorettype <> 'trigger'::regtype AND NOT 'internal'::regtype = ANY (p.proargtypes) AND p.prokind <> 'a'
		-- They end the session that calls them.
		AND p.proname NOT IN ('prove_node') AND NOT (p.proname = 'pg_terminate_backend')
	ORDER BY 1});
cmp_ok(scalar @functions, '>', 150, 'there are functions to try');

# A value of the type; enums have their first label.
my %labels = map { split /\|/ } split /\n/, $cluster->sql(
	q{SELECT format_type(enumtypid, NULL), quote_literal(min(enumlabel)) || '::' || format_type(enumtypid, NULL) FROM pg_enum GROUP BY 1, enumtypid});
sub value
{
	my ($type, $values) = @_;
	return 'NULL' if !defined $values;
	if ($type =~ /^(.*)\[\]$/)
	{
		my $element = value($1, $values);
		return $element eq 'NULL' ? "'{}'::$type" : "ARRAY[$element]::$type";
	}
	return $labels{$type} // (exists $values->{$type} ? "$values->{$type}" . ($type =~ /any/ ? '' : "::$type") : 'NULL');
}

# The table is made anew where it is not distributed any more.
my $own_table = q{
	DO $$ BEGIN
		IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass('m.t')) THEN
			DROP TABLE IF EXISTS m.t;
			CREATE TABLE m.t (id int, x text);
			PERFORM create_distributed_table('m.t', 'id');
		END IF;
	END $$;
};
my @scripts = ('', '');
for my $function (@functions)
{
	my ($signature, $kind, $name, $types) = split /\|/, $function, 4;
	my @types = split /;/, $types // '';
	my %seen;
	for my $values (\%own, \%others, \%reference, undef)
	{
		my @arguments = map { value($_, $values) } @types;
		$arguments[$_] .= $arguments[$_] eq 'NULL' && $types[$_] !~ /any/ ? "::$types[$_]" : '' for 0 .. $#types;
		my $list = join ', ', @arguments;
		next if $seen{$list}++;
		my $call = $kind eq 'p' ? "CALL $name($list);\n" : "SELECT $name($list);\n";
		$scripts[0] .= ($values && $values == \%own ? $own_table : '') . $call;
		$scripts[1] .= $call;
	}
}
my $limits = "SET statement_timeout = '4s'; SET lock_timeout = '1s';\n";
my ($out, $err) = as('mallory', 0, $limits . $scripts[0]);
like($err, qr/permission denied for function|must be owner|for the nodes of the cluster/, 'functions refuse');
nothing_changed('functions called on the coordinator');
(undef, $err) = as('mallory', 1, $limits . $scripts[1]);
nothing_changed('functions called on a worker');
# In a session that calls itself a node's.
as('mallory', $_, "SET application_name = 'citus_internal gpid=10000000001';\n$limits$scripts[1]") for 0, 1;
nothing_changed('functions called under the name of a node');
# In the sessions that run_command_on_workers() and the like open, which are nodes'.
my @internal = grep { /^SELECT citus_internal\.|assign_distributed/ } split /\n/, $scripts[1];
(undef, $err) = as('mallory', 0, $limits . join "\n", map { s/;$//r; }
	map { my $call = s/;\s*$//r; $call =~ s/'/''/g; "SELECT run_command_on_workers('$call');" } @internal);
nothing_changed('internal functions called through run_command_on_workers()');
# In code that a node's session runs for a query of this role.
as('mallory', 0, $own_table . q{
	CREATE FUNCTION m.inside(k int) RETURNS int LANGUAGE plpgsql AS $f$
	DECLARE c refcursor;
	BEGIN
		BEGIN PERFORM citus_internal.drop_table('v.d'); EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN k := (SELECT 1 FROM citus_internal.delete_table_metadata('m.t')); EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN OPEN c FOR SELECT citus_internal.delete_table_metadata('m.t'); FETCH c INTO k; EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN PERFORM assign_distributed_transaction_id(1, 1, now()); EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN EXECUTE 'SELECT citus_internal.apply_ddl(''DROP TABLE m.t'')'; EXCEPTION WHEN OTHERS THEN NULL; END;
		RETURN 1;
	END $f$;
	CREATE TABLE m.checked (id int CHECK (m.inside(id) = 1));
	SELECT create_distributed_table('m.checked', 'id');
	INSERT INTO m.checked SELECT generate_series(1, 8);
	BEGIN; INSERT INTO m.checked VALUES (9); INSERT INTO m.checked VALUES (10); COMMIT;
	SELECT citus_internal.delete_table_metadata('m.t') FROM m.checked WHERE id = 1;
	SELECT citus_internal.delete_table_metadata('m.t') FROM m.t;});
is(join(' ', map { $_->safe_psql('postgres', q{SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'm.t'::regclass}) } @nodes),
	'1 1 1', "a role's own code does not reach internal functions either");
is($cluster->sql('SELECT count(*) FROM m.checked'), '10', '... while it runs on the nodes');
nothing_changed('code in sessions of nodes');

# --- settings ----------------------------------------------------------------------------------------------
my @settings = split /\n/, $cluster->sql(q{SELECT name || '|' || vartype || '|' || coalesce(max_val, '') FROM pg_settings WHERE name LIKE 'citus.%' AND context = 'user' ORDER BY 1});
my $statements = q{SELECT count(*) FROM m.t; INSERT INTO m.t VALUES (1, 'x'); SELECT * FROM v.d; UPDATE v.d SET x = ''; DELETE FROM v.r;
	ALTER TABLE v.d ADD COLUMN y int; DROP TABLE v.r; TRUNCATE v.d; GRANT ALL ON v.d TO mallory; ALTER TABLE m.t ADD COLUMN IF NOT EXISTS y int;
	ALTER TABLE m.t DROP COLUMN IF EXISTS y;};
my $script = $limits . "SET citus.node_connection_timeout = '5s';\n";
for (@settings)
{
	my ($name, $type, $max) = split /\|/, $_, -1;
	my @values = $type eq 'bool' ? ('on', 'off') : $type eq 'integer' ? ($max) : $type eq 'string' ? ('*') : ();
	$script .= "SET $name = '$_'; $statements RESET $name;\n" for @values;
}
as('mallory', 0, $script);
as('mallory', 1, $script);
nothing_changed('settings');
# A client that takes a node's name is a client: its DDL goes everywhere.
as('mallory', 0, "$own_table SET application_name = 'citus_internal gpid=10000000001'; ALTER TABLE m.t ADD COLUMN named int;");
is(join(' ', map { $_->safe_psql('postgres', q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'm.t'::regclass AND attname = 'named'}) } @nodes),
	'1 1 1', 'DDL under the name of a node goes to all nodes');

# --- borrowed identities --------------------------------------------------------------------------------
my $victim = $cluster->session(0);
my $gpid = $victim->run('SELECT citus_backend_gpid()');
($out) = as('mallory', 1, qq{
	SET application_name = 'citus_internal gpid=$gpid';
	SELECT citus_backend_gpid() = $gpid;
	SELECT count(*) FROM citus_stat_activity WHERE global_pid = $gpid AND usename = 'mallory';
	SELECT assign_distributed_transaction_id(1, 12345, now());
	SELECT citus_internal.join_transaction(1, 12345, now(), $gpid);
	SELECT (get_current_transaction_id()).transaction_number;});
is($out, "f\n0\n0\n", 'a claimed global pid or transaction id counts for nothing');

my $token = sub { my ($i, %options) = @_; return "SELECT citus_internal.prove_node('\\x" . $cluster->node_token($i, %options) . q{');}; };
my $proven = "SELECT citus_backend_gpid() = 42;\n";
my $once = $token->(1, role => 'mallory', gpid => 42);
($out) = as('mallory', 1, "$once $proven");
like($out, qr/^t$/m, 'a token is good once');
($out, $err) = as('mallory', 1, "$once $proven");
like($err, qr/FATAL:  the session does not prove.*used before/s, '... and not twice');
unlike($out, qr/^t$/m, '... whatever follows');
for my $bad ([ 'for another role', role => $admin ], [ 'for another database', role => 'mallory', database => 'template1' ],
	[ 'made long ago', role => 'mallory', age => 4000 ], [ 'from the future', role => 'mallory', age => -4000 ],
	[ 'with another secret', role => 'mallory', secret => '00' x 32 ])
{
	my ($what, %options) = @$bad;
	($out, $err) = as('mallory', 1, $token->(1, %options) . $proven);
	like($err, qr/FATAL:  the session does not prove that a node of this cluster opened it/, "a token $what ends the session");
	unlike($out, qr/^t$/m, '... before anything else runs');
}
($out, $err) = as('mallory', 1, "SELECT 1 FROM (SELECT citus_internal.prove_node('\\x" . $cluster->node_token(1, role => 'mallory') . "') OFFSET 0) q;");
like($err, qr/for the nodes of the cluster to call/, 'a token must be the whole statement');
for ([ 'a session for users', 1, qr/for the nodes of the cluster/ ], [ 'a session of a node', 0, qr/must be owner of table d/ ])
{
	my ($what, $users, $expected) = @$_;
	($out, $err) = as('mallory', 1, $token->(1, role => 'mallory', users => $users)
		. "\nSELECT citus_internal.drop_table('v.d'); DISCARD ALL; RESET ALL; SELECT citus_internal.apply_ddl('DROP TABLE v.d');"
		. " SELECT citus_internal.act_as('$admin', 1, '\\x00'); SELECT citus_internal.delete_table_metadata('v.d');"
		. " SELECT citus_internal.change_placements(ARRAY[(SELECT min(placementid) FROM pg_dist_placement)], '{}', '{}', '{}');");
	like($err, $expected, "$what has no more rights than its role");
}
nothing_changed('tokens');

# A role that has a proven session still writes no metadata that does not fit together.
($out, $err) = as('mallory', 1, $token->(1, role => 'mallory') . q{
	SELECT citus_internal.add_table_metadata('m.t', 'h', 'id', 's', false, 99, 1, 1, 'int4'::regtype, 0, '{777777}', '{-2147483648}', '{2147483647}', '{777777}',
		(SELECT array_agg(shardid) FROM (SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'v.d'::regclass LIMIT 1) s), '{1}');
	SELECT citus_internal.add_table_metadata('m.t', 'h', 'id', 's', false, 99, 1, 1, 'int4'::regtype, 0, '{777777}', '{-2147483648}', '{2147483647}', '{777777}', '{102008}', '{1}');
	SELECT citus_internal.add_table_metadata('m.t', 'h', 'id', 's', false, 99, 1, 1, 'int4'::regtype, 0, '{777777}', '{-2147483648}', '{2147483647}', '{777777}', '{777777}', '{9}');
	SELECT citus_internal.add_table_metadata('m.t', 'h', 'id', 's', false, 99, 1, 1, 'int4'::regtype, 0, '{777777}', '{0}', '{2147483647}', '{777777}', '{777777}', '{1}');
	SELECT citus_internal.add_table_metadata('m.t', 'h', 'id', 's', false, 99, 2, 1, 'int4'::regtype, 0, '{777777,777778}', '{-2147483648,-1}', '{0,2147483647}', '{}', '{}', '{}');});
is(scalar(() = $err =~ /does not fit together/g), 4, 'metadata that does not fit together is refused');
nothing_changed('metadata of its own table');

# --- traps for superusers -------------------------------------------------------------------------------
# Whoever calls one of these with a superuser's rights leaves a row, on whatever node.
my $traps = q{
	CREATE TABLE m.caught (who text, how text);
	GRANT ALL ON m.caught TO PUBLIC;
	CREATE FUNCTION m.spring(how text) RETURNS void LANGUAGE plpgsql AS $f$
	BEGIN
		IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user) THEN
			INSERT INTO m.caught VALUES (current_user, how);
		END IF;
	END $f$;
	CREATE FUNCTION m.check_it(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN PERFORM m.spring('check'); RETURN true; END $f$;
	CREATE FUNCTION m.index_it(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN PERFORM m.spring('index'); RETURN $1; END $f$;
	CREATE FUNCTION m.generate_it(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN PERFORM m.spring('generated'); RETURN $1; END $f$;
	CREATE FUNCTION m.default_it() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN PERFORM m.spring('default'); RETURN 1; END $f$;
	CREATE TABLE m.trapped (id int CHECK (m.check_it(id)), a int, g int GENERATED ALWAYS AS (m.generate_it(a)) STORED, d int DEFAULT m.default_it());
	CREATE INDEX ON m.trapped (m.index_it(a));
	INSERT INTO m.trapped SELECT i, i FROM generate_series(1, 40) i;
};
# Operators and functions with the names that the library's SQL uses.
my $shadows = '';
for my $schema ('m', 'public')
{
	for my $pair ([ 'int4', 'int4' ], [ 'int8', 'int8' ], [ 'int4', 'int8' ], [ 'text', 'text' ], [ 'name', 'name' ], [ 'name', 'text' ],
		[ 'oid', 'oid' ], [ 'regclass', 'regclass' ], [ 'regclass', 'oid' ], [ '"char"', '"char"' ], [ 'bool', 'bool' ], [ 'jsonb', 'text' ])
	{
		my ($left, $right) = @$pair;
		my $name = "$schema.shadow_" . ($left . '_' . $right) =~ s/"//gr;
		$shadows .= "CREATE FUNCTION $name($left, $right) RETURNS boolean LANGUAGE plpgsql AS \$f\$ BEGIN PERFORM m.spring('operator $left $right'); RETURN true; END \$f\$;\n"
		  . join '', map { "CREATE OPERATOR $schema.$_ (LEFTARG = $left, RIGHTARG = $right, FUNCTION = $name);\n" } '=', '<>', '<', '>', '<=', '>=', '~', '~~', '->>';
	}
	for my $function ('format(text, text)', 'quote_ident(text)', 'lower(text)', 'shard_name(regclass, bigint)', 'citus_relation_size(regclass)',
		'pg_relation_size(regclass)', 'now()', 'current_database()', 'to_regclass(text)', 'nextval(regclass)', 'array_length(anyarray, int)')
	{
		my ($name) = $function =~ /^(\w+)/;
		$shadows .= "CREATE FUNCTION $schema.$function RETURNS text LANGUAGE plpgsql AS \$f\$ BEGIN PERFORM m.spring('function $name'); RETURN ''; END \$f\$;\n";
	}
	$shadows .= "CREATE TABLE $schema.$_ (LIKE pg_catalog.$_);\n" for 'pg_dist_node', 'pg_dist_partition', 'pg_dist_shard', 'pg_dist_placement';
}
as('mallory', $_, $traps =~ s/CREATE TABLE m\.trapped.*//sr . $shadows) for 1, 2;
(undef, $err) = as('mallory', 0, $traps . $shadows);
my $caught = sub { return join '; ', map { $_->safe_psql('postgres', q{SELECT string_agg(DISTINCT how, ', ') FROM m.caught; DELETE FROM m.caught}) } @nodes; };
is($caught->(), '; ; ', 'traps are set');

# What superusers ask and do, with the traps before everything else.
my $path = 'SET search_path = m, public, pg_catalog;';
for my $i (0, 1)
{
	my ($code, $out, $err) = $cluster->try($i, "$path SELECT count(pg_catalog.citus_total_relation_size('v.d')) FROM pg_catalog.pg_extension;");
	for my $view (map { split /\n/ } $cluster->sql(q{
		SELECT c.oid::regclass FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
			JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'citus' WHERE c.relkind = 'v' AND c.relnamespace = 'pg_catalog'::regnamespace}))
	{
		my $qualified = $view =~ /\./ ? $view : "pg_catalog.$view";
		$cluster->try($i, "$path SET statement_timeout = '20s'; SELECT count(*) FROM (SELECT * FROM $qualified OFFSET 0) q;");
	}
}
is($caught->(), '; ; ', 'views of the extension are not led astray');
my @calls = map { s/^SELECT //r } grep { /^SELECT (?:pg_catalog|citus_internal)\./ } split /\n/, $cluster->sql(q{
	SELECT 'SELECT ' || n.nspname || '.' || p.proname || '()' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'citus'
	WHERE p.pronargs = 0 AND p.prorettype <> 'trigger'::regtype AND p.prokind = 'f'
		AND p.proname NOT IN ('leave_cluster', 'forget_secret', 'citus_stat_statements_reset', 'citus_rebalance_wait', 'citus_prepare_pg_upgrade') ORDER BY 1});
$cluster->try(0, "$path SET statement_timeout = '20s'; SELECT $_;") for @calls;
for my $call (q{citus_table_size('v.d')}, q{citus_relation_size('v.d')}, q{citus_shard_cost_by_disk_size(102008)}, q{get_rebalance_table_shards_plan()},
	q{citus_node_capacity_1(1)}, q{citus_shard_allowed_on_node_true(102008, 1)}, q{citus_nodename_for_nodeid(1)}, q{citus_nodeport_for_nodeid(1)},
	q{get_nodeid_for_groupid(1)}, q{citus_job_list()}, q{citus_job_status(1)}, q{citus_blocking_pids(1)}, q{citus_check_cluster_node_health()},
	q{run_command_on_workers('SELECT 1')}, q{run_command_on_shards('v.d', 'SELECT 1')}, q{pg_cancel_backend(0::bigint)}, q{recover_prepared_transactions()},
	q{check_distributed_deadlocks()})
{
	$cluster->try(0, "$path SET statement_timeout = '20s'; SELECT * FROM pg_catalog.$call;");
}
$cluster->try(0, "$path SET statement_timeout = '20s'; SELECT pg_catalog.citus_prepare_pg_upgrade();");
$cluster->try(0, "$path SET statement_timeout = '20s'; SELECT pg_catalog.citus_finish_pg_upgrade();");
$cluster->try(0, "$path CALL pg_catalog.citus_cleanup_orphaned_resources();");
is($caught->(), '; ; ', 'functions of the extension are not led astray');
# They may have moved shards.
$before = state_of_others();

# Another's table, distributed, moved, split, analysed and gathered again by a superuser.
my $plainly = 'SET search_path = pg_catalog; SET client_min_messages = warning;';
$cluster->sql(qq{$plainly
	SELECT create_distributed_table('m.trapped', 'id', colocate_with => 'none', shard_count => 4);});
is($caught->(), '; ; ', 'create_distributed_table() by a superuser runs nothing of the owner with his rights');
my $shard = $cluster->sql(qq{$plainly SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'm.trapped'::regclass});
my $place = qq{(SELECT nodeid FROM pg_dist_node JOIN pg_dist_placement USING (groupid) WHERE shardid = $shard)};
my $elsewhere = qq{(SELECT min(nodeid) FROM pg_dist_node WHERE groupid NOT IN (0, (SELECT groupid FROM pg_dist_placement WHERE shardid = $shard)))};
$cluster->sql(qq{$plainly SELECT citus_move_shard_placement($shard, $place, $elsewhere, '$_')}) for 'block_writes', 'force_logical';
is($caught->(), '; ; ', 'a move does not');
$cluster->sql(qq{$plainly SELECT citus_split_shard_by_split_points($shard, ARRAY['-2000000000'], ARRAY[$place, $place], 'block_writes')});
is($caught->(), '; ; ', 'a split does not');
$cluster->sql(q{ANALYZE m.trapped; VACUUM m.trapped;});
is($caught->(), '; ; ', 'ANALYZE does not');
$cluster->sql(qq{$plainly SELECT alter_distributed_table('m.trapped', shard_count => 6)});
is($caught->(), '; ; ', 'alter_distributed_table() does not');
$cluster->sql(qq{$plainly SELECT undistribute_table('m.trapped')});
is($caught->(), '; ; ', 'undistribute_table() does not');
is($cluster->sql('SELECT count(*), sum(g) FROM m.trapped'), '40|820', 'all rows are there');
nothing_changed('traps');

# --- secrets ----------------------------------------------------------------------------------------------
$cluster->sql('SELECT citus_rotate_cluster_secret()');
is($cluster->sql(q{SELECT count(*) FROM v.d}), '100', 'nodes understand each other after a rotation');
my @secrets = map { split /\n/, $_->safe_psql('postgres', q{SELECT encode(secret, 'hex') FROM citus_internal.cluster_secret}) } @nodes;
for my $role ('mallory', 'reader')
{
	($out, $err) = as($role, 0, q{SELECT encode(secret, 'hex') FROM citus_internal.cluster_secret; TABLE citus_internal.cluster_secret;
		UPDATE citus_internal.cluster_secret SET secret = decode(repeat('00', 32), 'hex'); DELETE FROM citus_internal.cluster_secret;
		INSERT INTO citus_internal.cluster_secret VALUES (decode(repeat('00', 32), 'hex'), true, 'infinity');
		SELECT citus_internal.unwrap_secret('\x00'); SELECT citus_rotate_cluster_secret(); TRUNCATE citus_internal.cluster_secret;});
	is($out, '', "$role does not see the secret");
}
is_deeply([ map { split /\n/, $_->safe_psql('postgres', q{SELECT encode(secret, 'hex') FROM citus_internal.cluster_secret}) } @nodes ], \@secrets, '... nor changes it');
my $dump = '';
$dump .= `pg_dump -h @{[ $_->host ]} -p @{[ $_->port ]} postgres; pg_dumpall -h @{[ $_->host ]} -p @{[ $_->port ]}` for @nodes;
like($dump, qr/CREATE EXTENSION/, 'there is a dump');
unlike($dump, qr/cluster_secret/, 'it does not hold the secret');
my $seen = join '', map { slurp_file($_->logfile) } @nodes;
my $activity = join '', map { $_->safe_psql('postgres', 'SELECT query FROM pg_stat_activity') } @nodes;
for my $secret (@secrets)
{
	my $bytes = quotemeta pack 'H*', $secret;
	for ([ 'log', $seen ], [ 'dump', $dump ], [ 'list of activities', $activity ])
	{
		my ($where, $text) = @$_;
		ok($text !~ /$secret/i && $text !~ /$bytes/, "no secret in the $where");
	}
}
unlike($activity, qr/prove_node\('/, 'no token in the list of activities');
unlike($seen, qr/was terminated by signal|PANIC:|TRAP:/, 'no server crashed');

done_testing();
