-- What ALTER TABLE and its kin change, on every node and every shard.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE SCHEMA table_ddl;
CREATE SCHEMA table_ddl_two;
SET search_path = table_ddl_two, table_ddl;
CREATE ROLE table_ddl_owner;
GRANT ALL ON SCHEMA table_ddl TO table_ddl_owner;
CREATE TABLE table_ddl.t (k int PRIMARY KEY, a text, b int);
INSERT INTO t SELECT i, 'x', i FROM generate_series(1, 9) i;
SELECT create_distributed_table('table_ddl.t', 'k', colocate_with => 'none');

-- 1. statistics objects
CREATE STATISTICS pair (ndistinct) ON a, b FROM t;
CREATE STATISTICS upper_lower ON upper(a), lower(a) FROM t;
CREATE STATISTICS IF NOT EXISTS pair ON a, b FROM t;
ALTER STATISTICS upper_lower SET STATISTICS 55;
ALTER STATISTICS upper_lower RENAME TO both_cases;
COMMENT ON STATISTICS both_cases IS 'two expressions';
ALTER STATISTICS both_cases SET SCHEMA table_ddl;
ALTER STATISTICS table_ddl.both_cases OWNER TO table_ddl_owner;
SELECT DISTINCT result FROM run_command_on_shards('t', $$SELECT string_agg(concat_ws(' ', stxnamespace::regnamespace, regexp_replace(stxname, '_\d{6}$', ''), stxstattarget, stxowner::regrole),
	', ' ORDER BY stxname) FROM pg_statistic_ext WHERE stxrelid = '%s'::regclass AND stxowner::regrole <> CURRENT_USER::regrole$$);
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT string_agg(concat_ws(' ', stxnamespace::regnamespace, stxname, stxkind, obj_description(oid, 'pg_statistic_ext')), ', ' ORDER BY stxname)
	FROM pg_statistic_ext WHERE stxrelid = 'table_ddl.t'::regclass$$);
DROP STATISTICS table_ddl.both_cases;
SELECT DISTINCT result FROM run_command_on_shards('t', $$SELECT string_agg(regexp_replace(stxname, '_\d{6}$', ''), ' ') FROM pg_statistic_ext WHERE stxrelid = '%s'::regclass$$);

-- 2. indexes are built again, rows put in order
CREATE INDEX by_b ON t (b);
CREATE FUNCTION positive(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 > 0; END';
CREATE INDEX CONCURRENTLY by_function ON t (b) WHERE positive(b);
CREATE TEMP TABLE files AS SELECT * FROM run_command_on_shards('t', $$SELECT string_agg(pg_relation_filenode(indexrelid)::text, ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = '%s'::regclass$$);
REINDEX INDEX CONCURRENTLY by_b;
REINDEX TABLE CONCURRENTLY t;
REINDEX (CONCURRENTLY off) TABLE t;
REINDEX SCHEMA table_ddl;
SELECT count(*) AS same_files FROM files f JOIN run_command_on_shards('t', $$SELECT string_agg(pg_relation_filenode(indexrelid)::text, ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = '%s'::regclass$$) s
	ON f.shardid = s.shardid AND f.result = s.result;
BEGIN;
REINDEX TABLE CONCURRENTLY t;
ROLLBACK;
CLUSTER t USING by_b;
CLUSTER t;
SELECT DISTINCT result FROM run_command_on_shards('t', $$SELECT regexp_replace(indexrelid::regclass::text, '_\d{6}$', '') FROM pg_index WHERE indrelid = '%s'::regclass AND indisclustered$$);
ALTER TABLE t CLUSTER ON t_pkey;
SELECT DISTINCT result FROM run_command_on_shards('t', $$SELECT regexp_replace(indexrelid::regclass::text, '_\d{6}$', '') FROM pg_index WHERE indrelid = '%s'::regclass AND indisclustered$$);
ALTER TABLE t SET WITHOUT CLUSTER;

-- 3. what tools send
ALTER TABLE t DISABLE TRIGGER ALL;
ALTER TABLE t ENABLE TRIGGER ALL, DISABLE TRIGGER USER;
ALTER TABLE t ENABLE TRIGGER USER;
ALTER TABLE t SET UNLOGGED;
SELECT DISTINCT result FROM run_command_on_shards('t', $$SELECT relpersistence FROM pg_class WHERE oid = '%s'::regclass$$);
ALTER TABLE t SET LOGGED;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT relpersistence FROM pg_class WHERE oid = 'table_ddl.t'::regclass$$);
SELECT DISTINCT result FROM run_command_on_shards('t', $$SELECT relpersistence FROM pg_class WHERE oid = '%s'::regclass$$);

-- 4. SET CONSTRAINTS reaches constraints whose names carry the shard's id
CREATE TABLE u (i int UNIQUE DEFERRABLE, t text, EXCLUDE USING hash (i WITH =) DEFERRABLE);
SELECT create_distributed_table('u', 'i', colocate_with => 'none');
INSERT INTO u VALUES (1, 'one'), (2, 'two');
BEGIN;
SET CONSTRAINTS u_i_key, table_ddl_two.u_i_excl DEFERRED;
INSERT INTO u VALUES (1, 'dup'), (2, 'dup');
DELETE FROM u WHERE t <> 'dup';
COMMIT;
SELECT * FROM u ORDER BY i;
BEGIN;
INSERT INTO u VALUES (3, 'three');
SET CONSTRAINTS u_i_key, u_i_excl DEFERRED;
INSERT INTO u VALUES (1, 'dup');
SAVEPOINT s;
SET CONSTRAINTS u_i_key IMMEDIATE;
ROLLBACK TO s;
DELETE FROM u WHERE i = 1;
SET CONSTRAINTS u_i_key, u_i_excl IMMEDIATE;
INSERT INTO u VALUES (3, 'again');
ROLLBACK;
CREATE TABLE r (i int CONSTRAINT r_key UNIQUE DEFERRABLE);
SELECT create_reference_table('r');
INSERT INTO r VALUES (1);
BEGIN;
SET CONSTRAINTS r_key DEFERRED;
INSERT INTO r VALUES (1);
SET CONSTRAINTS r_key IMMEDIATE;
ROLLBACK;
BEGIN;
SET CONSTRAINTS r_key DEFERRED;
INSERT INTO r VALUES (1), (2);
DELETE FROM r WHERE i = 1;
COMMIT;
SELECT * FROM r;

-- 5. local tables
CREATE TABLE l (k int PRIMARY KEY);
SELECT citus_add_local_table_to_metadata('l');
SELECT citus_add_local_table_to_metadata('l');
SELECT partmethod, autoconverted FROM pg_dist_partition WHERE logicalrelid = 'l'::regclass;
CREATE TABLE looked_up (k int PRIMARY KEY);
SELECT create_reference_table('looked_up');
INSERT INTO looked_up VALUES (1);
-- a foreign key brings tables into the metadata, its end takes them out again
CREATE TABLE pointing (k int PRIMARY KEY, r int REFERENCES looked_up);
CREATE TABLE pointing_later (k int PRIMARY KEY, r int, p int REFERENCES pointing);
ALTER TABLE pointing_later ADD FOREIGN KEY (r) REFERENCES looked_up;
CREATE TABLE asked_for (k int PRIMARY KEY, r int REFERENCES looked_up);
SELECT citus_add_local_table_to_metadata('asked_for');
INSERT INTO pointing VALUES (1, 1);
INSERT INTO pointing VALUES (2, 2);
CREATE VIEW local_tables AS SELECT logicalrelid, autoconverted FROM pg_dist_partition JOIN pg_class c ON c.oid = logicalrelid
	WHERE partmethod = 'n' AND repmodel = 's' AND relnamespace = 'table_ddl_two'::regnamespace ORDER BY relname;
SELECT * FROM local_tables;
DROP TABLE pointing_later;
ALTER TABLE pointing DROP CONSTRAINT pointing_r_fkey;
ALTER TABLE asked_for DROP COLUMN r;
SELECT * FROM local_tables;
SELECT * FROM pointing;
CREATE TABLE again (k int PRIMARY KEY, r int REFERENCES looked_up);
DROP TABLE looked_up CASCADE;
SELECT * FROM local_tables;
DROP SCHEMA table_ddl, table_ddl_two CASCADE;
DROP ROLE table_ddl_owner;
