-- Extensions are the same on every node, in the same version and schema, with what is made by their scripts.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\getenv top PG_ABS_SRCDIR
\set helper :top /objects_on_nodes.psql
\set schemas hstore%
\i :helper
CREATE SCHEMA hstore_one;
CREATE SCHEMA hstore_two;
SET search_path = hstore_one, hstore_two;
SET citus.shard_count = 4;
CREATE TABLE t (k int, n text);
SELECT create_distributed_table('t', 'k');
INSERT INTO t VALUES (1, 'é'), (2, 'hello');
CREATE EXTENSION hstore VERSION '1.7';
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE EXTENSION unaccent SCHEMA hstore_two;
CREATE EXTENSION earthdistance SCHEMA hstore_one CASCADE;
:difference;
SELECT unaccent(n) FROM t WHERE k = 1;
SELECT ('a=>' || k)::hstore_one.hstore FROM t WHERE k = 1;
SELECT k, hstore('a', n) -> 'a' AS a FROM t ORDER BY k;
ALTER TABLE t ADD COLUMN h hstore DEFAULT 'a=>1';
CREATE FUNCTION f_unaccent(text) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT hstore_two.unaccent('hstore_two.unaccent', $1) $$;
CREATE INDEX ON t (f_unaccent(n));
ALTER EXTENSION hstore UPDATE TO '1.8';
ALTER EXTENSION hstore SET SCHEMA hstore_two;
SELECT h -> 'a' FROM t WHERE k = 1;
SELECT sum((h -> 'a')::int) FROM t;
CREATE FUNCTION member() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER EXTENSION hstore ADD FUNCTION member();
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT e.extname || ' ' || e.extversion FROM pg_extension e JOIN pg_depend d ON d.refobjid = e.oid WHERE d.objid = 'hstore_one.member'::regproc AND d.deptype = 'e'$$);
ALTER EXTENSION hstore DROP FUNCTION member();
DROP FUNCTION member();
COMMENT ON EXTENSION hstore IS 'pairs';
:difference;
-- a member of an extension goes where the extension is
ALTER FUNCTION hstore_two.unaccent(text) COST 99;
-- a version that is nowhere, and one that only this server has would have
CREATE EXTENSION tsm_system_rows VERSION '0.1';
-- the column that depends on it goes everywhere
DROP EXTENSION hstore;
DROP EXTENSION hstore CASCADE;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_extension WHERE extname = 'hstore'$$);
ALTER TABLE t ADD COLUMN h int;
UPDATE t SET h = 7 WHERE k = 1;
SELECT * FROM t ORDER BY k;
-- in a transaction that is undone, and in one that uses it
BEGIN;
CREATE EXTENSION hstore;
ROLLBACK;
BEGIN;
CREATE EXTENSION hstore;
CREATE TABLE u (k int, h hstore);
SELECT create_distributed_table('u', 'k');
INSERT INTO u VALUES (1, 'a=>1');
SELECT h -> 'a' FROM u;
COMMIT;
:difference;
DROP EXTENSION hstore, unaccent, cube CASCADE;
:difference;
DROP SCHEMA hstore_one, hstore_two CASCADE;
:difference;
