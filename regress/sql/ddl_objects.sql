-- Statements about what distributed tables rest on, and statements that are not for them.
\set SHOW_CONTEXT never
CREATE SCHEMA objects;
SET search_path = objects;
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (x int, y text);
CREATE FUNCTION answer() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 42';
CREATE TABLE t (id int PRIMARY KEY, m mood, d positive, p pair, a int DEFAULT answer(), s serial, b bigserial);
CREATE TABLE plain (id int);
CREATE SEQUENCE plain_seq;
SELECT create_distributed_table('t', 'id', shard_count => 4);
INSERT INTO t (id, m, d, p) SELECT i, 'low', i, ROW(i, 'y')::pair FROM generate_series(1, 10) i;
-- what each node has
CREATE VIEW state AS SELECT concat_ws(' | ',
	(SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum JOIN pg_type y ON y.oid = enumtypid JOIN pg_namespace n ON n.oid = y.typnamespace
		WHERE n.nspname LIKE 'objects%'),
	(SELECT string_agg(t.typname || ':' || t.typowner::regrole, ',' ORDER BY t.typname) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
		LEFT JOIN pg_class c ON c.oid = t.typrelid
		WHERE n.nspname LIKE 'objects%' AND (t.typtype IN ('e', 'd') OR c.relkind = 'c')),
	(SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'c' AND c.relname LIKE 'pair%'),
	(SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint JOIN pg_type y ON y.oid = contypid JOIN pg_namespace n ON n.oid = y.typnamespace WHERE n.nspname LIKE 'objects%'),
	(SELECT string_agg(p.proname || ':' || p.provolatile::text || ':' || p.prosrc, ',' ORDER BY p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname LIKE 'objects%'),
	(SELECT string_agg(c.relname || ':' || q.seqincrement, ',' ORDER BY c.relname) FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid WHERE c.relname LIKE 't\_%')) AS nodes;
SET search_path = pg_catalog, objects;
SELECT pg_get_viewdef('state') AS definition \gset
SET search_path = objects;
CREATE FUNCTION same_everywhere(definition text, OUT one_state bool, OUT state text) LANGUAGE sql AS
	$$ SELECT count(DISTINCT result) = 1 AND bool_and(success), min(result) FROM run_command_on_all_nodes(definition) $$;
DROP VIEW state;
ALTER FUNCTION same_everywhere SET SCHEMA public;
SELECT * FROM public.same_everywhere(:'definition');

ALTER TYPE mood ADD VALUE 'middle' BEFORE 'high';
ALTER TYPE mood RENAME VALUE 'low' TO 'lowest';
INSERT INTO t (id, m, d) VALUES (11, 'middle', 11);
SELECT m, count(*) FROM t GROUP BY m ORDER BY m;
ALTER TYPE mood RENAME TO "Mood two";
ALTER TYPE pair ADD ATTRIBUTE z int;
ALTER TYPE pair RENAME ATTRIBUTE y TO why;
SELECT (p).why, (p).z FROM t WHERE id = 1;
ALTER DOMAIN positive ADD CONSTRAINT small CHECK (VALUE < 1000);
INSERT INTO t (id, d) VALUES (12, 1000);
ALTER DOMAIN positive ADD CONSTRAINT tiny CHECK (VALUE < 5);
ALTER DOMAIN positive RENAME CONSTRAINT small TO smaller;
CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 43';
ALTER FUNCTION answer() RENAME TO "Answer";
ALTER FUNCTION "Answer"() STABLE;
INSERT INTO t (id) VALUES (13);
SELECT a FROM t WHERE id = 13;
SELECT * FROM public.same_everywhere(:'definition');

-- sequences
ALTER SEQUENCE t_s_seq INCREMENT BY 5;
ALTER SEQUENCE t_s_seq RENAME TO t_s_renamed;
ALTER SEQUENCE t_b_seq RESTART WITH 1000 INCREMENT BY 2;
ALTER SEQUENCE t_b_seq MAXVALUE 5000;
ALTER SEQUENCE t_b_seq AS int;
INSERT INTO t (id) VALUES (14);
SELECT s, b FROM t WHERE id = 14;
SELECT nodeport AS worker FROM pg_dist_node WHERE groupid > 0 ORDER BY groupid LIMIT 1 \gset
SELECT current_setting('port') AS coordinator \gset
\c - - - :worker
SET search_path = objects;
SET citus.enable_ddl_from_workers = off;
INSERT INTO t (id) VALUES (15);
SELECT s, b >> 48 > 0 FROM t WHERE id = 15;
ALTER TYPE "Mood two" ADD VALUE 'worker';
ALTER SCHEMA objects RENAME TO elsewhere;
CREATE OR REPLACE FUNCTION "Answer"() RETURNS int LANGUAGE sql AS 'SELECT 44';
DROP FUNCTION "Answer" CASCADE;
DROP TYPE "Mood two" CASCADE;
ALTER SEQUENCE t_s_renamed RESTART;
SET citus.enable_ddl_propagation = off;
CREATE FUNCTION here_only() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE FUNCTION here_only() RETURNS int LANGUAGE sql AS 'SELECT 2';
DROP FUNCTION here_only;
\c - - - :coordinator
SET search_path = objects;
DROP SEQUENCE t_s_renamed;
DROP SEQUENCE t_s_renamed, plain_seq CASCADE;
INSERT INTO t (id, s) VALUES (16, 1);
SELECT * FROM public.same_everywhere(:'definition');

-- undone, wholly and in part
BEGIN;
ALTER TYPE "Mood two" RENAME TO gone;
ALTER DOMAIN positive RENAME TO gone_domain;
SAVEPOINT one;
ALTER FUNCTION "Answer"() RENAME TO gone_too;
ROLLBACK TO one;
ALTER FUNCTION "Answer"() RENAME TO kept;
SELECT count(*) FROM t;
ROLLBACK;
BEGIN;
ALTER FUNCTION "Answer"() RENAME TO gone;
SAVEPOINT one;
ALTER FUNCTION gone() RENAME TO gone_too;
ROLLBACK TO one;
ALTER FUNCTION gone() RENAME TO answer;
COMMIT;
SELECT * FROM public.same_everywhere(:'definition');

-- schemas and roles
CREATE ROLE objects_owner;
GRANT USAGE ON SCHEMA objects TO objects_owner;
GRANT SELECT ON t, plain TO objects_owner;
GRANT UPDATE ON ALL TABLES IN SCHEMA objects TO objects_owner;
GRANT EXECUTE ON FUNCTION answer(), public.same_everywhere(text) TO objects_owner;
GRANT USAGE ON TYPE "Mood two" TO objects_owner;
GRANT USAGE ON SEQUENCE t_b_seq TO objects_owner;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT concat_ws(' ', has_schema_privilege('objects_owner', 'objects', 'USAGE'),
	has_table_privilege('objects_owner', 'objects.t', 'SELECT'), has_table_privilege('objects_owner', 'objects.t', 'UPDATE'),
	has_sequence_privilege('objects_owner', 'objects.t_b_seq', 'USAGE'))$$);
SELECT DISTINCT result FROM run_command_on_shards('t', 'SELECT has_table_privilege(''objects_owner'', ''%s'', ''UPDATE'')');
REVOKE ALL ON ALL TABLES IN SCHEMA objects FROM objects_owner;
REVOKE ALL ON SEQUENCE t_b_seq FROM objects_owner;
REVOKE ALL ON FUNCTION answer(), public.same_everywhere(text) FROM objects_owner;
SELECT DISTINCT result FROM run_command_on_shards('t', 'SELECT has_table_privilege(''objects_owner'', ''%s'', ''UPDATE'')');
ALTER TYPE pair OWNER TO objects_owner;
ALTER TABLE t OWNER TO objects_owner;
SELECT * FROM public.same_everywhere(:'definition');
REASSIGN OWNED BY objects_owner TO CURRENT_USER;
SELECT * FROM public.same_everywhere(:'definition');
SELECT DISTINCT result FROM run_command_on_shards('t', 'SELECT relowner::regrole = current_user::regrole FROM pg_class WHERE oid = ''%s''::regclass');
ALTER SCHEMA objects RENAME TO "objects two";
SELECT count(*) FROM "objects two".t;
SELECT * FROM public.same_everywhere(:'definition');
ALTER SCHEMA "objects two" RENAME TO objects;
ALTER SCHEMA objects OWNER TO objects_owner;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'objects'$$);
ALTER SCHEMA objects OWNER TO CURRENT_USER;
GRANT SELECT (id, a) ON t TO objects_owner;
GRANT INSERT ON t TO objects_owner;
DROP OWNED BY objects_owner;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_shdepend WHERE refobjid = 'objects_owner'::regrole$$);

-- not for distributed tables
CREATE PUBLICATION pu FOR TABLE plain, t;
CREATE PUBLICATION pu FOR TABLE plain;
ALTER PUBLICATION pu ADD TABLE t;
ALTER PUBLICATION pu SET TABLE t;
DROP PUBLICATION pu;
SELECT * FROM public.same_everywhere(:'definition');

-- indexes of several tables in one statement; names that need quotes and are too long
CREATE TABLE "it""s" (id int PRIMARY KEY, v int CHECK (v < 10));
SELECT create_distributed_table('"it""s"', 'id', shard_count => 3, colocate_with => 'none');
CREATE INDEX one ON t (a);
CREATE INDEX two ON "it""s" (v);
DROP INDEX one, two;
SELECT DISTINCT result FROM run_command_on_shards('"it""s"', 'SELECT count(*) FROM pg_index WHERE indrelid = ''%s''::regclass');
SELECT DISTINCT result FROM run_command_on_shards('t', 'SELECT count(*) FROM pg_index WHERE indrelid = ''%s''::regclass');
INSERT INTO "it""s" VALUES (1, 10);
ALTER TABLE "it""s" ADD CONSTRAINT a123456789b123456789c123456789d123456789e123456789f123456789g123456789 UNIQUE (id, v);
INSERT INTO "it""s" VALUES (1, 1), (1, 1);
DROP TABLE "it""s";

-- locks are taken on every node
LOCK TABLE t;
BEGIN;
LOCK TABLE plain, t IN EXCLUSIVE MODE;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'objects.t'::regclass$$);
ROLLBACK;
-- from a worker too; readers and writers lock their own node only
\c - - - :worker
BEGIN;
LOCK TABLE objects.t IN SHARE MODE NOWAIT;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND relation = 'objects.t'::regclass$$);
ROLLBACK;
BEGIN;
LOCK TABLE objects.t IN ACCESS SHARE MODE;
SELECT result, count(*) FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock' AND relation = 'objects.t'::regclass$$) GROUP BY 1 ORDER BY 1;
ROLLBACK;
\c - - - :coordinator
SET search_path = objects;
SET client_min_messages = notice;

-- dropping: one notice, which speaks of tables, not of shards
CREATE TABLE ref (id int PRIMARY KEY);
SELECT create_reference_table('ref');
DROP TYPE pair;
DROP TYPE pair CASCADE;
DROP FUNCTION answer() CASCADE;
INSERT INTO t (id) VALUES (20);
SELECT a FROM t WHERE id = 20;
SELECT * FROM public.same_everywhere(:'definition');
DROP TABLE t;
DROP SCHEMA objects;
DROP SCHEMA objects CASCADE;
DROP SCHEMA IF EXISTS objects CASCADE;
DROP FUNCTION public.same_everywhere;
SELECT DISTINCT result FROM run_command_on_all_nodes('DROP ROLE objects_owner');
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_namespace WHERE nspname = 'objects'$$);
