-- Roles and rights are the same on every node, because queries run there as the role that asks.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT nodeport AS coordinator FROM pg_dist_node WHERE groupid = 0 \gset
SELECT nodeport AS worker1 FROM pg_dist_node WHERE groupid <> 0 ORDER BY nodeport LIMIT 1 \gset
SELECT nodeport AS worker2 FROM pg_dist_node WHERE groupid <> 0 ORDER BY nodeport DESC LIMIT 1 \gset
-- What all nodes say about the roles of this test, if they agree.
CREATE FUNCTION pg_temp.everywhere(query text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT DISTINCT result FROM run_command_on_all_nodes(query) $$;

CREATE ROLE "roles ""größe""" LOGIN PASSWORD 'clear text' CREATEDB CONNECTION LIMIT 5 VALID UNTIL '2030-01-01 00:00+00';
CREATE USER roles_app IN ROLE "roles ""größe""" NOINHERIT;
CREATE ROLE roles_group ROLE roles_app;
CREATE ROLE a23456789b123456789c123456789d123456789e123456789f123456789g123 NOLOGIN;
SELECT pg_temp.everywhere($$SELECT string_agg(format('%s: login %s, inherit %s, createdb %s, limit %s, password %s',
	rolname, rolcanlogin, rolinherit, rolcreatedb, rolconnlimit, left(rolpassword, 13)), e'\n' ORDER BY rolname)
	FROM pg_authid WHERE rolname ~ '^(roles|a23)'$$);
-- The same hash, so that one password opens every node.
SELECT count(*) FROM pg_temp.everywhere($$SELECT rolpassword FROM pg_authid WHERE rolname = 'roles "größe"'$$);
SELECT pg_temp.everywhere($$SELECT string_agg(g.rolname || ' > ' || m.rolname, ', ' ORDER BY g.rolname) FROM pg_auth_members a
	JOIN pg_roles g ON g.oid = roleid JOIN pg_roles m ON m.oid = member WHERE m.rolname = 'roles_app'$$);
DROP ROLE a23456789b123456789c123456789d123456789e123456789f123456789g123;
ALTER ROLE roles_app INHERIT CONNECTION LIMIT 3;
-- since 16 a membership keeps what was said when it was granted
REVOKE "roles ""größe""" FROM roles_app;
GRANT "roles ""größe""" TO roles_app;
ALTER USER roles_app SET work_mem = '7MB';
ALTER ROLE roles_group RENAME TO "roles group";
ALTER GROUP "roles group" DROP USER roles_app;
GRANT "roles group" TO "roles ""größe""" WITH ADMIN OPTION;
ALTER ROLE "roles ""größe""" PASSWORD NULL;
SELECT pg_temp.everywhere($$SELECT string_agg(format('%s: inherit %s, limit %s, password %s, %s', rolname, rolinherit, rolconnlimit,
	rolpassword, (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid)), e'\n' ORDER BY rolname)
	FROM pg_authid r WHERE rolname ~ '^roles'$$);
SELECT pg_temp.everywhere($$SELECT string_agg(format('%s > %s %s', g.rolname, m.rolname, admin_option), ', ' ORDER BY g.rolname) FROM pg_auth_members a
	JOIN pg_roles g ON g.oid = roleid JOIN pg_roles m ON m.oid = member WHERE g.rolname ~ '^roles'$$);

-- All or nothing.
BEGIN;
CREATE ROLE roles_gone;
ROLLBACK;
CREATE ROLE roles_app;
ALTER ROLE roles_nobody LOGIN;
DROP ROLE roles_app, roles_nobody;
-- Not when told so; a role that a node has already is no obstacle.
SET citus.enable_create_role_propagation = off;
CREATE ROLE roles_local;
RESET citus.enable_create_role_propagation;
SELECT result FROM run_command_on_all_nodes($$SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolname IN ('roles_local', 'roles_gone')$$);
DROP ROLE roles_local;
SELECT success FROM run_command_on_workers('CREATE ROLE roles_early');
CREATE ROLE roles_early CREATEDB;
SELECT pg_temp.everywhere($$SELECT rolcreatedb FROM pg_roles WHERE rolname = 'roles_early'$$);
DROP ROLE roles_early;

-- A role that may create roles, and is no superuser.
CREATE ROLE roles_maker LOGIN CREATEROLE;
SET ROLE roles_maker;
CREATE ROLE roles_made LOGIN PASSWORD 'x';
ALTER ROLE roles_made NOLOGIN;
\set VERBOSITY sqlstate
ALTER ROLE roles_made SUPERUSER;
\set VERBOSITY terse
ALTER ROLE roles_maker PASSWORD 'mine';
RESET ROLE;
SET ROLE roles_app;
CREATE ROLE roles_none;
RESET ROLE;
SELECT pg_temp.everywhere($$SELECT string_agg(format('%s %s %s', rolname, rolcanlogin, left(rolpassword, 5)), ', ' ORDER BY rolname)
	FROM pg_authid WHERE rolname IN ('roles_maker', 'roles_made')$$);
SET ROLE roles_maker;
DROP ROLE roles_made;
RESET ROLE;
DROP ROLE roles_maker;
SELECT pg_temp.everywhere($$SELECT count(*) FROM pg_roles WHERE rolname IN ('roles_maker', 'roles_made')$$);

-- Schemas: rights that were there before the table, and later ones.
CREATE SCHEMA roles_early GRANT USAGE ON SCHEMA roles_early TO roles_app;
CREATE SCHEMA "roles ""s";
GRANT USAGE ON SCHEMA "roles ""s" TO "roles ""größe""" WITH GRANT OPTION;
SELECT pg_temp.everywhere($$SELECT string_agg(nspacl::text, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname ~ '^roles'$$);
SET search_path = "roles ""s";
CREATE TYPE mood AS ENUM ('low', 'high');
REVOKE USAGE ON TYPE mood FROM PUBLIC;
GRANT USAGE ON TYPE mood TO roles_app;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
REVOKE EXECUTE ON FUNCTION twice FROM PUBLIC;
CREATE TABLE t (id bigserial PRIMARY KEY, name text, feels mood DEFAULT 'low', n int DEFAULT twice(1));
CREATE TABLE plain (a int);
GRANT SELECT (id), UPDATE (name) ON t TO "roles ""größe""";
SELECT create_distributed_table('t', 'id', shard_count := 4);
-- A list with objects that other nodes do not have.
GRANT SELECT ON plain, t TO roles_app;
GRANT INSERT ON ALL TABLES IN SCHEMA "roles ""s", roles_early TO roles_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA "roles ""s" TO roles_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA "roles ""s" TO roles_app;
SELECT pg_temp.everywhere($$SELECT format('%s %s %s', typacl, proacl, nspacl) FROM pg_type, pg_proc, pg_namespace n
	WHERE typname = 'mood' AND proname = 'twice' AND nspname = 'roles "s' AND typnamespace = n.oid AND pronamespace = n.oid$$);
SET ROLE roles_app;
INSERT INTO t (name) VALUES ('a'), ('b'), ('c');
SELECT count(*), min(feels), sum(n) FROM t;
\c - - - :worker1
SET search_path = "roles ""s";
SET ROLE roles_app;
INSERT INTO t (name) VALUES ('d'), ('e');
SELECT count(*), min(feels), sum(n) FROM t;
\c - - - :coordinator
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE FUNCTION pg_temp.everywhere(query text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT DISTINCT result FROM run_command_on_all_nodes(query) $$;
-- Some columns: what the others default to travels with the row.
REVOKE INSERT ON "roles ""s".t FROM roles_app;
GRANT INSERT (name), UPDATE (n) ON "roles ""s".t TO roles_app;
SET ROLE roles_app;
INSERT INTO "roles ""s".t (name) VALUES ('x') RETURNING name, feels, n;
COPY "roles ""s".t (name) FROM STDIN;
z
\.
INSERT INTO "roles ""s".t (name) SELECT name FROM "roles ""s".t WHERE name = 'z';
UPDATE "roles ""s".t SET n = n + 1 WHERE name = 'z';
INSERT INTO "roles ""s".t (name, n) VALUES ('x', 1);
\copy "roles ""s".t (name, n) FROM '/dev/null'
UPDATE "roles ""s".t SET name = 'x';
RESET ROLE;
ALTER TABLE "roles ""s".t ADD COLUMN later date DEFAULT '2020-02-02', ADD COLUMN empty text;
SET ROLE roles_app;
INSERT INTO "roles ""s".t (name) VALUES ('later') RETURNING feels, n, later, empty;
RESET ROLE;
SELECT pg_temp.everywhere($$SELECT DISTINCT string_agg(column_name || ' ' || privilege_type, ', ' ORDER BY column_name, privilege_type)
	FROM information_schema.column_privileges WHERE grantee = 'roles_app' AND table_name ~ '^t_\d+$' AND privilege_type <> 'SELECT' GROUP BY table_name$$);
REVOKE INSERT (name) ON "roles ""s".t FROM roles_app;
SELECT pg_temp.everywhere($$SELECT DISTINCT string_agg(column_name || ' ' || privilege_type, ', ' ORDER BY column_name, privilege_type)
	FROM information_schema.column_privileges WHERE grantee = 'roles_app' AND table_name ~ '^t_\d+$' AND privilege_type <> 'SELECT' GROUP BY table_name$$);
SET ROLE "roles ""größe""";
SELECT count(id) FROM "roles ""s".t;
SELECT count(name) FROM "roles ""s".t;
RESET ROLE;
GRANT INSERT ON "roles ""s".t TO roles_app;
REVOKE GRANT OPTION FOR USAGE ON SCHEMA "roles ""s" FROM "roles ""größe""";
REVOKE INSERT ON ALL TABLES IN SCHEMA "roles ""s" FROM roles_app;
SET ROLE roles_app;
INSERT INTO "roles ""s".t (name) VALUES ('f');
RESET ROLE;

-- What is on every node is renamed, changed and given away on every node.
ALTER SCHEMA "roles ""s" RENAME TO roles_s;
ALTER SCHEMA roles_s OWNER TO roles_app;
SET search_path = roles_s;
ALTER TYPE mood ADD VALUE 'higher';
ALTER TYPE mood RENAME VALUE 'low' TO 'lowest';
ALTER TYPE mood RENAME TO "Mood";
CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 20';
ALTER FUNCTION twice(int) RENAME TO thrice;
ALTER FUNCTION thrice(int) OWNER TO roles_app;
SELECT pg_temp.everywhere($$SELECT format('%s %s %s %s', nspowner::regrole, enum_range(NULL::roles_s."Mood"), roles_s.thrice(1), proowner::regrole)
	FROM pg_namespace n JOIN pg_proc p ON pronamespace = n.oid WHERE nspname = 'roles_s'$$);
INSERT INTO t (name, feels, n) VALUES ('g', 'higher', DEFAULT);
SELECT name, feels, n FROM t WHERE feels > 'high';
ALTER SCHEMA roles_nobody RENAME TO roles_x;
ALTER TYPE nothing ADD VALUE 'x';

-- Nodes that come later: roles, memberships and rights on schemas.
CREATE TABLE r (k int PRIMARY KEY);
SELECT undistribute_table('t');
SELECT 1 FROM citus_remove_node('localhost', :worker2);
CREATE ROLE roles_late LOGIN PASSWORD 'late' IN ROLE "roles group";
GRANT USAGE ON SCHEMA roles_s TO roles_late;
SELECT create_reference_table('r');
GRANT SELECT ON r TO roles_late;
SELECT 1 FROM citus_add_node('localhost', :worker2);
SELECT pg_temp.everywhere($$SELECT format('%s %s %s %s', r.rolname, rolpassword IS NOT NULL, pg_has_role('roles_late', 'roles group', 'MEMBER'),
	has_schema_privilege('roles_late', 'roles_s', 'USAGE')) FROM pg_authid r WHERE rolname = 'roles_late'$$);

-- An ordinary role makes what it needs.
SELECT current_database() AS database \gset
GRANT CREATE ON DATABASE :"database" TO roles_late;
SET ROLE roles_late;
CREATE SCHEMA roles_own;
CREATE TYPE roles_own.shade AS ENUM ('light', 'dark');
CREATE TABLE roles_own.t (k int PRIMARY KEY, c roles_own.shade DEFAULT 'dark');
SELECT create_distributed_table('roles_own.t', 'k', shard_count := 4);
INSERT INTO roles_own.t SELECT generate_series(1, 10);
ALTER TABLE roles_own.t ADD COLUMN v text;
CREATE INDEX ON roles_own.t (v);
SELECT c, count(*), count(v) FROM roles_own.t GROUP BY 1;
DROP SCHEMA roles_own CASCADE;
RESET ROLE;
-- DROP OWNED and REASSIGN OWNED make a role free to go, on every node.
ALTER TABLE r OWNER TO roles_app;
REASSIGN OWNED BY roles_app TO "roles group";
SELECT pg_temp.everywhere($$SELECT string_agg(DISTINCT relowner::regrole::text, ',') FROM pg_class WHERE relnamespace = 'roles_s'::regnamespace AND relname ~ '^r(_\d+)?$'$$);
DROP OWNED BY roles_app, "roles ""größe""", roles_late;
DROP ROLE roles_app, "roles ""größe""", roles_late;
DROP OWNED BY "roles group" CASCADE;
DROP ROLE "roles group";
DROP SCHEMA roles_early CASCADE;
DROP SCHEMA IF EXISTS roles_s CASCADE;
SELECT pg_temp.everywhere($$SELECT (SELECT count(*) FROM pg_roles WHERE rolname ~ '^roles') + (SELECT count(*) FROM pg_namespace WHERE nspname ~ '^roles')$$);
