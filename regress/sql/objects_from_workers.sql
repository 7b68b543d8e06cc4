-- Statements that define things, typed on a worker, are carried out as if typed on the coordinator.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\getenv top PG_ABS_SRCDIR
\set helper :top /objects_on_nodes.psql
\set schemas typed%
\i :helper
\getenv worker CIVITAS_WORKER_1_PORT
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
CREATE SCHEMA typed_here;
CREATE TABLE typed_here.t (k int PRIMARY KEY, v text);
SET citus.shard_count = 4;
SELECT create_distributed_table('typed_here.t', 'k');
INSERT INTO typed_here.t SELECT i, 'v' FROM generate_series(1, 10) i;
\c - - - :worker
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA typed;
CREATE ROLE typed_owner LOGIN;
CREATE ROLE typed_secret PASSWORD 'secret';
SET search_path = typed, typed_here;
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE VIEW v AS SELECT count(*) FROM t;
CREATE EXTENSION hstore SCHEMA typed;
SELECT sum(f(k)) FROM t;
-- tables
ALTER TABLE t ADD COLUMN m mood DEFAULT 'a', ADD COLUMN p positive;
CREATE INDEX by_v ON t (v);
ALTER TABLE t ADD CHECK (k > 0), ALTER COLUMN v SET NOT NULL;
ALTER TABLE t RENAME COLUMN v TO "V v";
INSERT INTO t VALUES (11, 'x');
INSERT INTO t VALUES (-1, 'x');
GRANT SELECT ON t, v TO typed_owner;
COMMENT ON TABLE t IS 'typed on a worker';
SELECT * FROM t WHERE k = 11;
TRUNCATE t;
SELECT count(*) FROM t;
-- in one transaction with changes, undone in part
BEGIN;
INSERT INTO t VALUES (1, 'one', 'b');
ALTER TYPE mood RENAME VALUE 'b' TO 'bb';
CREATE FUNCTION undone() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT * FROM t;
SAVEPOINT one;
DROP FUNCTION f(int) CASCADE;
ALTER TABLE t DROP COLUMN m;
ROLLBACK TO one;
ALTER TABLE t ADD COLUMN late int DEFAULT 7;
SELECT * FROM t;
COMMIT;
BEGIN;
DROP TABLE t CASCADE;
CREATE FUNCTION nowhere() RETURNS int LANGUAGE sql AS 'SELECT 1';
ROLLBACK;
SELECT * FROM t;
DO $$ BEGIN CREATE FUNCTION in_do() RETURNS int LANGUAGE sql AS 'SELECT 1'; END $$;
-- errors are those of the coordinator
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER TABLE t DROP COLUMN k;
DROP TYPE mood;
-- this node's own
CREATE TABLE own (a int);
CREATE VIEW of_own AS SELECT * FROM own;
CREATE TEMP TABLE temporary (a int);
CREATE VIEW of_temporary AS SELECT * FROM temporary;
DROP TABLE own, temporary CASCADE;
SET citus.enable_ddl_from_workers = off;
CREATE FUNCTION refused() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER TABLE t ADD COLUMN refused int;
RESET citus.enable_ddl_from_workers;
CREATE INDEX CONCURRENTLY ON t ("V v");
-- by a role without rights
GRANT USAGE, CREATE ON SCHEMA typed TO typed_owner;
GRANT USAGE ON SCHEMA typed_here TO typed_owner;
\c - typed_owner - :worker
SET search_path = typed, typed_here;
CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION own() STABLE;
ALTER FUNCTION f(int) STABLE;
DROP VIEW v;
ALTER TABLE t ADD COLUMN no int;
SELECT citus_internal.run_ddl('DROP TABLE typed_here.t');
\c - postgres - :coordinator
SET client_min_messages = warning;
:difference;
SELECT DISTINCT result FROM run_command_on_shards('typed_here.t', $$SELECT string_agg(attname, ',' ORDER BY attnum) || (SELECT count(*) FROM pg_index WHERE indrelid = '%1$s'::regclass)
	FROM pg_attribute WHERE attrelid = '%1$s'::regclass AND attnum > 0 AND NOT attisdropped$$);
\c - - - :worker
SET client_min_messages = warning;
DROP EXTENSION hstore;
DROP SCHEMA typed, typed_here CASCADE;
DROP OWNED BY typed_owner;
DROP ROLE typed_owner;
\c - - - :coordinator
:difference;
