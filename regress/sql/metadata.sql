-- The metadata catalogs and the functions that ask them; runs before any table is distributed by name.
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS metadata_tests CASCADE;
CREATE SCHEMA metadata_tests;
SET search_path TO metadata_tests;
RESET client_min_messages;

-- What everybody may read, and what not.
SELECT relname, has_table_privilege('pg_monitor', oid, 'SELECT') AS readable
FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND relname LIKE 'pg\_dist\_%'
ORDER BY relname;

-- Columns as text, and back.
CREATE TABLE columns (a int, "B ""b" text COLLATE "C", gone int, c timestamptz);
ALTER TABLE columns DROP COLUMN gone;
SELECT column_to_column_name('columns', column_name_to_column('columns', name)) = name AS same
FROM unnest(ARRAY['a', 'B "b', 'c']) name;
SELECT column_name_to_column('columns', 'gone');
SELECT column_name_to_column('columns', 'xmin');
SELECT column_to_column_name('columns', 'nonsense');
SELECT column_to_column_name('columns', '{CONST :nonsense}');
SELECT column_name_to_column(0, 'a');
SELECT column_name_to_column(NULL, 'a') IS NULL AS strict;

-- Names of shards: quoted, qualified where it matters, never longer than 63 bytes.
SELECT shard_name('columns', 5), shard_name('columns', 5, false);
CREATE TABLE "Säule mit ""Zitat""" ();
SELECT shard_name('"Säule mit ""Zitat"""', 123456);
CREATE TABLE a23456789b123456789c123456789d123456789e123456789f123456789g123 ();
CREATE TABLE ä2345678ä12345678ä12345678ä12345678ä12345678ä12345678ä12 ();
SELECT shard_name(oid, 102008), octet_length(btrim(split_part(shard_name(oid, 102008), '.', 2), '"')) <= 63 AS fits
FROM pg_class WHERE relnamespace = 'metadata_tests'::regnamespace AND octet_length(relname) > 40 ORDER BY 1;
SELECT shard_name('columns', 0);
SELECT shard_name('columns', -1);

-- A table in the metadata, made by hand: caches follow plain SQL, also within the transaction.
CREATE TABLE t (k int, v text);
CREATE TABLE t_900001 (k int, v text);
CREATE INDEX ON t_900001 (v);
CREATE TABLE t_900009 (k int);
SELECT get_shard_id_for_distribution_column('t', 1);
BEGIN;
INSERT INTO pg_dist_colocation VALUES (900000, 4, 1, 'int'::regtype, 0);
INSERT INTO pg_dist_partition VALUES ('t', 'h', column_name_to_column('t', 'k'), 900000, 's', false);
INSERT INTO pg_dist_shard
SELECT 't', 900001 + i, 't', -2147483648 + i * 1073741824::bigint, -2147483648 + (i + 1) * 1073741824::bigint - 1
FROM generate_series(0, 3) i;
INSERT INTO pg_dist_placement SELECT 900001 + i, 900001 + i, 1, 0, 0 FROM generate_series(0, 3) i;
SELECT k, get_shard_id_for_distribution_column('t', k) FROM generate_series(1, 6) k;
-- Other types go through their text form.
SELECT get_shard_id_for_distribution_column('t', '3'), get_shard_id_for_distribution_column('t', 3::numeric);
SELECT relation AS relname, relation_is_a_known_shard(relation) AS is_shard, citus_table_is_visible(relation) AS visible
FROM unnest(ARRAY['t', 't_900001', 't_900001_v_idx', 't_900009']::regclass[]) relation;
SET LOCAL application_name TO 'somebody else';
SET LOCAL citus.show_shards_for_app_name_prefixes TO 'nobody, somebody';
SELECT citus_table_is_visible('t_900001'::regclass);
SELECT citus_table_is_visible(0) IS NULL AS gone;
SAVEPOINT unequal;
UPDATE pg_dist_shard SET shardmaxvalue = -1073741900 WHERE shardid = 900001;
UPDATE pg_dist_shard SET shardminvalue = -1073741899 WHERE shardid = 900002;
SELECT k, get_shard_id_for_distribution_column('t', k) FROM generate_series(1, 6) k;
UPDATE pg_dist_shard SET shardminvalue = 2147483000 WHERE shardid = 900004;
SELECT count(get_shard_id_for_distribution_column('t', k)) FROM generate_series(1, 1000) k;
ROLLBACK TO unequal;
SELECT get_shard_id_for_distribution_column('t', NULL::int);
ROLLBACK TO unequal;
SELECT get_shard_id_for_distribution_column('t', 'x');
ROLLBACK TO unequal;
SELECT get_shard_id_for_distribution_column('t', 1);
ROLLBACK;
SELECT get_shard_id_for_distribution_column('t', 1);
SELECT relation_is_a_known_shard('t_900001');

-- Connection info: only credentials, and the message never repeats them.
SELECT authinfo_valid('password=secret sslkey=/x sslcert=/y');
SELECT authinfo_valid('password=secret host=elsewhere');
SELECT authinfo_valid('password=secret service=elsewhere');
SELECT authinfo_valid('secret');
SELECT authinfo_valid('postgresql://elsewhere/');
SELECT poolinfo_valid('host=pooler port=6432');
SELECT poolinfo_valid('host=pooler password=secret');
INSERT INTO pg_dist_authinfo VALUES (0, 'nobody', 'dbname=other');
SELECT authinfo_valid(NULL) IS NULL AS strict;

SELECT role_exists('postgres'), role_exists('no such role'), citus_is_coordinator(), citus_is_primary_node();

-- What nodes call on each other is not for users.
CREATE ROLE metadata_tester;
GRANT USAGE ON SCHEMA metadata_tests TO metadata_tester;
SET ROLE metadata_tester;
SELECT citus_internal.delete_table_metadata('t');
SELECT citus_internal.add_table_metadata('t', 'n', NULL, 't', false, 0, 1, 1, 0, 0, '{1}', '{NULL}', '{NULL}', '{}', '{}', '{}');
INSERT INTO pg_dist_partition VALUES ('t', 'n', NULL, 0, 's', false);
SELECT * FROM pg_dist_authinfo;
RESET ROLE;

-- The extension does not go while tables depend on it.
CREATE TABLE kept (k int PRIMARY KEY);
SELECT create_distributed_table('kept', 'k', shard_count => 2, colocate_with => 'none');
DROP EXTENSION citus;
SET client_min_messages TO warning;
DROP EXTENSION citus CASCADE;
INSERT INTO kept VALUES (1), (2), (3);
SELECT count(*) FROM kept;
DROP SCHEMA metadata_tests CASCADE;
SELECT DISTINCT result FROM run_command_on_all_nodes('DROP ROLE metadata_tester');
