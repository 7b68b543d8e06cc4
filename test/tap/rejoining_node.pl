# A node that left and comes back, or that was prepared by hand, has other versions of what tables rest on: when it joins or
# is activated all of it is what it is on the coordinator, or the node does not become active, with an error that names the object.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CivitasCluster->new(workers => 2, conf => "citus.defer_shard_delete_interval = -1\nfsync = off\n");
my ($host, $port) = split /\|/, $cluster->sql('SELECT nodename, nodeport FROM pg_dist_node ORDER BY nodeid DESC LIMIT 1');
my $leaving = $cluster->node(2);

# What the objects of a schema are, in words that are the same on every node.
my $facts = q{SET search_path = pg_catalog;
	SELECT 'enum', t.typname, string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum JOIN pg_type t ON t.oid = enumtypid GROUP BY 2
	UNION ALL SELECT 'attribute', c.relname, string_agg(attname || ' ' || format_type(atttypid, atttypmod), ',' ORDER BY attnum)
		FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relkind = 'c' AND attnum > 0 AND NOT attisdropped AND relnamespace = 'app'::regnamespace GROUP BY 2
	UNION ALL SELECT 'domain', typname, format_type(typbasetype, typtypmod) || ' ' || typnotnull || ' ' || coalesce(typdefault, '-') || ' ' ||
		coalesce((SELECT string_agg(conname || ' ' || pg_get_constraintdef(oid), ',' ORDER BY conname) FROM pg_constraint WHERE contypid = t.oid), '')
		FROM pg_type t WHERE typtype = 'd' AND typnamespace = 'app'::regnamespace
	UNION ALL SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid) || pg_get_userbyid(proowner) || (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) x, LATERAL (SELECT concat_ws(' ', x.grantee::regrole, x.privilege_type, x.is_grantable)) y(a))
		FROM pg_proc WHERE pronamespace = 'app'::regnamespace
	UNION ALL SELECT 'type rights', typname, (SELECT string_agg(a, ',' ORDER BY a) FROM aclexplode(coalesce(typacl, acldefault('T', typowner))) x, LATERAL (SELECT concat_ws(' ', x.grantee::regrole, x.privilege_type, x.is_grantable)) y(a)) || pg_get_userbyid(typowner) FROM pg_type WHERE typnamespace = 'app'::regnamespace AND typtype IN ('e', 'd')
	UNION ALL SELECT 'schema', nspname, (SELECT string_agg(a, ',' ORDER BY a) FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) x, LATERAL (SELECT concat_ws(' ', x.grantee::regrole, x.privilege_type, x.is_grantable)) y(a)) || pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'app'
	UNION ALL SELECT 'collation', collname, collcollate || ' ' || collisdeterministic FROM pg_collation WHERE collnamespace = 'app'::regnamespace
	UNION ALL SELECT 'sequence', seqrelid::regclass::text, concat_ws(' ', seqincrement, seqcache, seqcycle) FROM pg_sequence WHERE seqrelid = 'app.numbers'::regclass
	UNION ALL SELECT 'class', opcname, (SELECT string_agg(amproc::text, ',' ORDER BY amproc::text) FROM pg_amproc WHERE amprocfamily = opcfamily) FROM pg_opclass WHERE opcnamespace = 'app'::regnamespace
	UNION ALL SELECT 'extension', extname, extversion || ' ' || extnamespace::regnamespace FROM pg_extension WHERE extname = 'citext'
	UNION ALL SELECT 'role', rolname, concat_ws(' ', rolcanlogin, rolcreatedb, rolconnlimit, coalesce(rolvaliduntil, 'infinity'), rolconfig::text, (SELECT rolpassword FROM pg_authid a WHERE a.oid = r.oid)) FROM pg_roles r WHERE rolname ~ '^app_'
	UNION ALL SELECT 'member', roleid::regrole::text, string_agg(member::regrole::text, ',' ORDER BY member::regrole::text) FROM pg_auth_members WHERE roleid::regrole::text ~ 'app_' GROUP BY 2
	UNION ALL SELECT 'setting', coalesce(nullif(setrole, 0)::regrole::text, 'all'), (setdatabase = 0) || setconfig::text FROM pg_db_role_setting
	ORDER BY 1, 2, 3};

sub same
{
	my ($name) = @_;
	my ($coordinator, @others) = $cluster->everywhere($facts);
	is($others[-1], $coordinator, "$name: the node has what the coordinator has");
	return;
}

$cluster->sql(q{
	CREATE ROLE app_owner LOGIN PASSWORD 'one' CONNECTION LIMIT 7 VALID UNTIL '2030-01-01';
	CREATE ROLE app_group;
	CREATE ROLE app_member IN ROLE app_group;
	ALTER ROLE app_owner SET work_mem = '1MB';
	ALTER ROLE app_owner SET search_path = app, public;
	ALTER ROLE app_owner IN DATABASE postgres SET lock_timeout = '1s';
	CREATE SCHEMA app;
	CREATE EXTENSION citext VERSION '1.4' SCHEMA public;
	CREATE TYPE app.mood AS ENUM ('a', 'b');
	CREATE TYPE app.pair AS (x int, m app.mood);
	CREATE DOMAIN app.small AS int DEFAULT 3 CHECK (VALUE < 100);
	CREATE COLLATION app.plain (LOCALE = 'C');
	CREATE SEQUENCE app.numbers;
	CREATE FUNCTION app.first(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
	CREATE FUNCTION app.rated(app.mood) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION app.given() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION app.pair_eq(app.pair, app.pair) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.x = $2.x';
	CREATE FUNCTION app.pair_hash(app.pair) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT hashint4($1.x)';
	CREATE OPERATOR app.= (LEFTARG = app.pair, RIGHTARG = app.pair, FUNCTION = app.pair_eq, HASHES);
	CREATE OPERATOR CLASS app.pair_ops DEFAULT FOR TYPE app.pair USING hash AS OPERATOR 1 app.=, FUNCTION 1 app.pair_hash(app.pair);
	GRANT USAGE ON SCHEMA app TO app_group;
	GRANT USAGE ON TYPE app.mood TO app_group;
	CREATE TABLE app.items (k int PRIMARY KEY, m app.mood, v int DEFAULT app.given(), p app.pair, d app.small, t text COLLATE app.plain,
		n bigint DEFAULT nextval('app.numbers'), c citext, CHECK (app.rated(m) < 5));
	SELECT create_distributed_table('app.items', 'k', shard_count => 4);
	CREATE INDEX ON app.items (app.first(k));
	INSERT INTO app.items SELECT i, 'a' FROM generate_series(1, 8) i;
});
same('at first');

# --- everything changes while the node is away ---------------------------------------------------------

sub leave
{
	my ($how) = @_;
	$cluster->sql("SELECT citus_drain_node('$host', $port, 'block_writes')");
	$cluster->sql("SELECT $how('$host', $port)");
	return;
}
sub come_back
{
	my ($how) = @_;
	return $cluster->try(0, "SELECT $how('$host', $port)");
}

leave('citus_remove_node');
$cluster->sql(q{
	ALTER ROLE app_owner NOLOGIN CREATEDB PASSWORD 'two' CONNECTION LIMIT -1 VALID UNTIL 'infinity';
	ALTER ROLE app_owner RESET work_mem;
	ALTER ROLE app_owner SET datestyle = 'German';
	ALTER ROLE app_owner IN DATABASE postgres RESET lock_timeout;
	REVOKE app_group FROM app_member;
	CREATE ROLE app_late IN ROLE app_group;
	ALTER DATABASE postgres SET statement_timeout = '2h';
	ALTER EXTENSION citext UPDATE TO '1.6';
	ALTER TYPE app.mood ADD VALUE 'c';
	ALTER TYPE app.mood RENAME VALUE 'a' TO 'aa';
	ALTER TYPE app.mood OWNER TO app_owner;
	ALTER TYPE app.pair ADD ATTRIBUTE y text;
	ALTER DOMAIN app.small ADD CONSTRAINT positive CHECK (VALUE > 0);
	ALTER DOMAIN app.small SET DEFAULT 4;
	ALTER SEQUENCE app.numbers INCREMENT BY 5 CYCLE;
	CREATE OR REPLACE FUNCTION app.first(int) RETURNS int IMMUTABLE STRICT LANGUAGE sql AS 'SELECT $1 + 100';
	CREATE OR REPLACE FUNCTION app.given() RETURNS int LANGUAGE sql STABLE AS 'SELECT 2';
	ALTER FUNCTION app.rated SET work_mem = '2MB';
	ALTER FUNCTION app.rated OWNER TO app_owner;
	REVOKE ALL ON FUNCTION app.given() FROM PUBLIC;
	GRANT EXECUTE ON FUNCTION app.given() TO app_late;
	REVOKE ALL ON SCHEMA app FROM app_group;
	GRANT USAGE ON SCHEMA app TO app_late WITH GRANT OPTION;
	REVOKE USAGE ON TYPE app.mood FROM PUBLIC, app_group;
	ALTER SCHEMA app OWNER TO app_owner;
	ALTER TABLE app.items ALTER m SET DEFAULT 'c';
});
my ($code, $out, $err) = come_back('citus_add_node');
is($err, '', 'the node comes back');
same('added again');
$cluster->sql("SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')");
is($leaving->safe_psql('postgres', q{INSERT INTO app.items (k) VALUES (301) RETURNING m, v, d}), 'c|2|4', 'it writes what the coordinator would');
is($cluster->sql(q{SELECT count(*), count(*) FILTER (WHERE m = 'aa') FROM app.items}), '9|8', 'the rows are there');
isnt($leaving->safe_psql('postgres', q{SELECT count(*) FROM pg_dist_placement JOIN pg_dist_local_group USING (groupid)}), '0', '... some of them on this node');
is($leaving->safe_psql('postgres', 'SELECT app.first(1), app.rated($$c$$)'), '101|1', '... with the new functions');

# --- disabled, and what must be replaced --------------------------------------------------------------------

$cluster->sql(q{CREATE FUNCTION app.unused() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE TYPE app.odd AS (i int);
	CREATE VIEW app.seen AS SELECT ROW(1)::app.odd AS odd});
leave('citus_disable_node');
$cluster->sql(q{
	ALTER TABLE app.items DROP COLUMN p, DROP COLUMN t;
	DROP TYPE app.pair CASCADE;
	DROP COLLATION app.plain;
	CREATE COLLATION app.plain (LOCALE = 'POSIX');
	CREATE TYPE app.pair AS (a text, b int);
	CREATE FUNCTION app.pair_eq(app.pair, app.pair) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.b = $2.b';
	CREATE FUNCTION app.pair_hash2(app.pair) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT hashint4($1.b)';
	CREATE OPERATOR app.= (LEFTARG = app.pair, RIGHTARG = app.pair, FUNCTION = app.pair_eq, HASHES);
	CREATE OPERATOR CLASS app.pair_ops DEFAULT FOR TYPE app.pair USING hash AS OPERATOR 1 app.=, FUNCTION 1 app.pair_hash2(app.pair);
	ALTER TABLE app.items ALTER v DROP DEFAULT;
	DROP FUNCTION app.given();
	CREATE FUNCTION app.given() RETURNS bigint LANGUAGE sql AS 'SELECT 3::bigint';
	ALTER TABLE app.items ALTER v SET DEFAULT app.given(), ADD COLUMN p app.pair, ADD COLUMN t text COLLATE app.plain;
	CREATE TABLE app.paired (k app.pair, v int);
	SELECT create_distributed_table('app.paired', 'k', shard_count => 4, colocate_with => 'none');
	INSERT INTO app.paired SELECT ROW('x', i)::app.pair, i FROM generate_series(1, 20) i;
});
# What is typed there would reach all nodes but that one.
($code, $out, $err) = $cluster->try(2, 'CREATE FUNCTION app.typed() RETURNS int LANGUAGE sql AS $$SELECT 1$$');
like($err, qr/55000: node \S+:\d+ is not active/, 'a statement that is typed on the disabled node: an error');
is(join(',', $cluster->everywhere(q{SELECT to_regproc('app.typed') IS NULL})), 't,t,t', '... and nothing is made anywhere');
# What the node had in common with the others goes with it, its own objects stay, and what these rest on.
$leaving->safe_psql('postgres', q{SET citus.enable_ddl_propagation = off;
	CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1'});
$leaving->safe_psql('postgres', 'CREATE TABLE public.own_user (v int DEFAULT app.unused())');
$cluster->sql('DROP FUNCTION app.unused(); DROP VIEW app.seen; DROP TYPE app.odd');
($code, $out, $err) = come_back('citus_activate_node');
is($err, '', 'the node is activated');
is($leaving->safe_psql('postgres', q{SELECT to_regproc('public.own'), to_regproc('app.unused'), to_regclass('app.seen'), to_regtype('app.odd')}),
	'own|app.unused||', 'what was dropped meanwhile is dropped, unless something of the node rests on it');
$leaving->safe_psql('postgres', q{SET citus.enable_ddl_propagation = off;
	DROP TABLE public.own_user; DROP FUNCTION public.own(), app.unused()});
same('activated');
$cluster->sql("SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')");
is($cluster->sql('SELECT count(*), sum(v) FROM app.paired'), '20|210', 'rows of a class that was made anew');
is($cluster->sql(q{SELECT v FROM app.paired WHERE k OPERATOR(app.=) ROW('y', 7)::app.pair}), '7', '... are found');

# --- what cannot be replaced ------------------------------------------------------------------------------

leave('citus_disable_node');
$leaving->safe_psql('postgres', q{CREATE TABLE public.own (p app.pair, m app.mood)});
$cluster->sql(q{ALTER TYPE app.mood ADD VALUE 'b2' BEFORE 'b'});
$cluster->sql(q{ALTER TYPE app.pair ADD ATTRIBUTE more int});
($code, $out, $err) = come_back('citus_activate_node');
like($err, qr/55000: type app\.pair is another one on this node than on the coordinator/, 'a table of the node holds a type: an error that names it');
like($err, qr/column p of table (public\.)?own depends on it/, '... and what holds it');
is($cluster->sql(qq{SELECT isactive FROM pg_dist_node WHERE nodename = '$host' AND nodeport = $port}), 'f', '... and the node is not active');
$leaving->safe_psql('postgres', 'ALTER TABLE public.own DROP COLUMN p');
($code, $out, $err) = come_back('citus_activate_node');
is($err, '', 'without that it is activated');
same('an enum that a table of the node uses');
$leaving->safe_psql('postgres', 'DROP TABLE public.own');

leave('citus_disable_node');
$cluster->sql(q{UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'citext'});
($code, $out, $err) = come_back('citus_activate_node');
like($err, qr/22023: extension "citext" has no update path from version "1\.6" to version "9\.9"/, 'a version that the node does not have');
$cluster->sql(q{UPDATE pg_extension SET extversion = '1.6' WHERE extname = 'citext'});
($code, $out, $err) = come_back('citus_activate_node');
is($err, '', '... and again, in the right version');
same('at last');

# --- a table is made where a node has another function of that name ----------------------------------------

$leaving->safe_psql('postgres', q{SET citus.enable_ddl_propagation = off; CREATE FUNCTION app.later() RETURNS int LANGUAGE sql AS 'SELECT 1'});
$cluster->sql(q{CREATE FUNCTION app.later() RETURNS int LANGUAGE sql AS 'SELECT 2';
	CREATE TABLE app.made (k int PRIMARY KEY, v int DEFAULT app.later());
	SELECT create_distributed_table('app.made', 'k')});
is($leaving->safe_psql('postgres', 'SELECT app.later()'), '2', 'the function is replaced');
done_testing();
