-- Default rights, settings and rights of the database, rights on parameters, event triggers, comments on roles.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\getenv top PG_ABS_SRCDIR
\set helper :top /objects_on_nodes.psql
\set schemas database%
\i :helper
CREATE SCHEMA database_one;
CREATE ROLE database_owner LOGIN;
CREATE ROLE database_user;
SET search_path = database_one;
ALTER DEFAULT PRIVILEGES IN SCHEMA database_one GRANT SELECT ON TABLES TO database_user;
ALTER DEFAULT PRIVILEGES FOR ROLE database_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE database_owner GRANT USAGE ON TYPES TO database_user WITH GRANT OPTION;
CREATE VIEW readable AS SELECT 1 AS a;
:difference;
ALTER DEFAULT PRIVILEGES IN SCHEMA database_one REVOKE SELECT ON TABLES FROM database_user;
:difference;
-- settings
SELECT current_database() AS database \gset
ALTER DATABASE :"database" SET work_mem = '7MB';
ALTER DATABASE :"database" SET search_path = '$user', public, "odd one";
ALTER DATABASE :"database" CONNECTION LIMIT 50;
COMMENT ON DATABASE :"database" IS 'it''s the database';
COMMENT ON ROLE database_user IS 'user';
GRANT TEMPORARY ON DATABASE :"database" TO database_user;
GRANT SET, ALTER SYSTEM ON PARAMETER log_min_duration_statement TO database_user;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT concat_ws(' | ', (SELECT setconfig::text FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = d.oid), datconnlimit,
	shobj_description(d.oid, 'pg_database'), shobj_description('database_user'::regrole, 'pg_authid'), has_parameter_privilege('database_user', 'log_min_duration_statement', 'SET'),
	has_database_privilege('database_user', d.oid, 'TEMPORARY')) FROM pg_database d WHERE datname = current_database()$$);
ALTER DATABASE :"database" RESET work_mem;
ALTER DATABASE :"database" RESET ALL;
ALTER DATABASE :"database" CONNECTION LIMIT -1;
COMMENT ON DATABASE :"database" IS NULL;
REVOKE ALL ON PARAMETER log_min_duration_statement FROM database_user;
REVOKE ALL ON DATABASE :"database" FROM database_user;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT concat_ws(' | ', (SELECT setconfig::text FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = d.oid), datconnlimit,
	shobj_description(d.oid, 'pg_database'), has_parameter_privilege('database_user', 'log_min_duration_statement', 'SET')) FROM pg_database d WHERE datname = current_database()$$);
-- another database is this server's own
CREATE DATABASE database_other;
ALTER DATABASE database_other SET work_mem = '9MB';
COMMENT ON DATABASE database_other IS 'other';
DROP DATABASE database_other;
-- event triggers run where the statement was typed, once
CREATE TABLE log (tag text, object text);
SELECT create_reference_table('log');
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO database_one.log SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands(); END $$;
CREATE EVENT TRIGGER database_note ON ddl_command_end WHEN TAG IN ('CREATE FUNCTION', 'CREATE TYPE', 'ALTER TABLE') EXECUTE FUNCTION note();
:difference;
CREATE FUNCTION noted() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE noted_type AS ENUM ('a');
CREATE TABLE t (k int);
SELECT create_distributed_table('t', 'k', shard_count => 4);
ALTER TABLE t ADD COLUMN m noted_type;
SELECT * FROM log ORDER BY 1, 2;
ALTER EVENT TRIGGER database_note DISABLE;
CREATE FUNCTION not_noted() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER EVENT TRIGGER database_note ENABLE ALWAYS;
ALTER EVENT TRIGGER database_note RENAME TO "database Note";
COMMENT ON EVENT TRIGGER "database Note" IS 'note';
:difference;
SELECT count(*) FROM log;
DROP EVENT TRIGGER "database Note";
:difference;
DROP SCHEMA database_one CASCADE;
DROP OWNED BY database_owner;
:difference;
DROP OWNED BY database_user;
DROP ROLE database_owner, database_user;
:difference;
