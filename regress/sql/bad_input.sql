-- Arguments and tables that cannot be distributed: an SQLSTATE each, and nothing left behind.
\set SHOW_CONTEXT never
CREATE SCHEMA bad_input;
SET search_path = bad_input;
SET client_min_messages = warning;
CREATE TABLE good (a int, b text, c int);
CREATE TABLE done (a int PRIMARY KEY, b text);
SELECT create_distributed_table('done', 'a');

-- NULL and foreign arguments
\set VERBOSITY sqlstate
SELECT create_distributed_table(NULL, 'a');
SELECT create_distributed_table('good', 'a', NULL);
SELECT create_distributed_table('good', 'a', colocate_with => NULL);
SELECT create_distributed_table('good', 'a', 'range');
SELECT create_distributed_table('good', 'a', 'append');
SELECT create_distributed_table('missing', 'a');
SELECT create_distributed_table(0::regclass, 'a');
SELECT create_distributed_table(4294967295::oid::regclass, 'a');
SELECT create_distributed_table('good', 'a', colocate_with => 'missing');
SELECT create_distributed_table('good', 'a', colocate_with => 'good');
SELECT create_distributed_table('good', 'b', colocate_with => 'done');
SELECT create_distributed_table('good', 'a', colocate_with => 'done', shard_count => 5);
SELECT create_distributed_table('good', 'a', shard_count => 0);
SELECT create_distributed_table('good', 'a', shard_count => -1);
SELECT create_distributed_table('good', 'a', shard_count => 64001);
SELECT create_distributed_table('good', NULL, shard_count => 4);
SET citus.shard_count = 0;
SET citus.shard_count = 64001;
SET citus.shard_replication_factor = 100;
SELECT create_distributed_table('good', 'a', colocate_with => 'none');
RESET citus.shard_replication_factor;
SELECT create_reference_table(NULL) IS NULL AS null_is_null;
SELECT create_reference_table('missing');
SELECT distributed_tables_colocated(NULL, 'done');
SELECT distributed_tables_colocated('good', 'done');
SELECT get_colocated_table_array('good');
SELECT get_colocated_shard_array(-1);
SELECT undistribute_table('good');
SELECT truncate_local_data_after_distributing_table(NULL);
SELECT truncate_local_data_after_distributing_table('good');
SELECT update_distributed_table_colocation('good', 'none');
SELECT update_distributed_table_colocation('done', 'missing');

-- columns
CREATE TABLE columns (a int, g int GENERATED ALWAYS AS (a + 1) STORED, p point, x xml, j json);
CREATE TYPE size AS ENUM ('small', 'large');
CREATE DOMAIN sizes AS size[];
CREATE TYPE sized AS (n int, s sizes);
CREATE TABLE numbered (e size, d sizes, c sized, r regclass, n int4range);
SELECT create_distributed_table('numbered', 'e');
SELECT create_distributed_table('numbered', 'd');
SELECT create_distributed_table('numbered', 'c');
SELECT create_distributed_table('numbered', 'r');
SELECT create_distributed_table('numbered', 'n');
SELECT create_distributed_table('columns', 'nope');
SELECT create_distributed_table('columns', '');
SELECT create_distributed_table('columns', 'ctid');
SELECT create_distributed_table('columns', 'g');
SELECT create_distributed_table('columns', 'p');
SELECT create_distributed_table('columns', 'x');
SELECT create_distributed_table('columns', 'j');

-- kinds of relations
CREATE TEMPORARY TABLE temporary (a int);
CREATE VIEW a_view AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW a_matview AS SELECT 1 AS a;
CREATE SEQUENCE a_sequence;
CREATE INDEX an_index ON good (a);
CREATE FOREIGN DATA WRAPPER bad_input_wrapper;
CREATE SERVER bad_input_server FOREIGN DATA WRAPPER bad_input_wrapper;
CREATE FOREIGN TABLE a_foreign (a int) SERVER bad_input_server;
CREATE TABLE parent (a int);
CREATE TABLE heir () INHERITS (parent);
CREATE TABLE split (a int) PARTITION BY RANGE (a);
CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (10);
CREATE TYPE row_type AS (a int);
CREATE TABLE typed OF row_type;
SELECT create_distributed_table('temporary', 'a');
SELECT create_distributed_table('a_view', 'a');
SELECT create_distributed_table('a_matview', 'a');
SELECT create_distributed_table('a_sequence', 'a');
SELECT create_distributed_table('an_index', 'a');
SELECT create_distributed_table('a_foreign', 'a');
SELECT create_distributed_table('parent', 'a');
SELECT create_distributed_table('heir', 'a');
SELECT create_distributed_table('split_1', 'a');
SELECT create_distributed_table('typed', 'a');
SELECT create_distributed_table('pg_class', 'relname');
SELECT create_distributed_table('pg_dist_node', 'nodeid');
SELECT create_distributed_table('information_schema.sql_features', 'feature_id');
SELECT create_distributed_table('done', 'a');
SELECT create_reference_table('done');
SELECT create_reference_table('a_view');
SELECT create_reference_table('temporary');
SELECT create_reference_table('split');
SELECT citus_add_local_table_to_metadata('done');
SELECT citus_add_local_table_to_metadata('temporary');

-- what the table carries
CREATE TABLE keyed (a int, b int PRIMARY KEY);
CREATE TABLE uniquely (a int, b int UNIQUE);
CREATE TABLE excluded (a int, b int, EXCLUDE USING btree (b WITH =));
CREATE TABLE pointing (a int, b int REFERENCES keyed (b));
CREATE TABLE crossing (x int PRIMARY KEY, a int REFERENCES done (a));
SELECT create_distributed_table('keyed', 'a');
SELECT create_distributed_table('uniquely', 'a');
SELECT create_distributed_table('excluded', 'a');
SELECT create_distributed_table('pointing', 'a');
SELECT create_distributed_table('crossing', 'x');

-- rights
CREATE ROLE bad_input_user;
GRANT USAGE ON SCHEMA bad_input TO bad_input_user;
SET ROLE bad_input_user;
SELECT create_distributed_table('good', 'a');
SELECT create_reference_table('good');
SELECT undistribute_table('done');
SELECT citus_add_local_table_to_metadata('good');
SELECT truncate_local_data_after_distributing_table('done');
SELECT citus_internal.create_shards('done');
SELECT citus_internal.drop_table('done');
SELECT citus_internal.apply_ddl('DROP TABLE bad_input.done');
RESET ROLE;

-- names
\set VERBOSITY default
CREATE TABLE "Quo""ted 'name'" ("a b" int PRIMARY KEY, "ü" text);
CREATE TABLE "tablé_ñame_ünïcode" ("日本" text PRIMARY KEY);
CREATE TABLE name_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_y (a int PRIMARY KEY);
SELECT create_distributed_table('"Quo""ted ''name''"', 'a b');
SELECT create_distributed_table('"tablé_ñame_ünïcode"', '日本');
SELECT create_distributed_table('name_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_y', 'a');
INSERT INTO "Quo""ted 'name'" VALUES (1, 'x'), (2, 'y');
INSERT INTO "tablé_ñame_ünïcode" VALUES ('東京');
INSERT INTO name_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_y VALUES (1);
SELECT * FROM "Quo""ted 'name'" ORDER BY 1;
SELECT * FROM "tablé_ñame_ünïcode";
SELECT * FROM name_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_y;
CREATE INDEX "an 'index'" ON "Quo""ted 'name'" ("ü");
ALTER TABLE "Quo""ted 'name'" RENAME COLUMN "ü" TO "ö 'x'";
SELECT * FROM "Quo""ted 'name'" ORDER BY 1;

-- nothing was left behind
SELECT logicalrelid FROM pg_dist_partition p JOIN pg_class c ON c.oid = logicalrelid
	WHERE relnamespace = 'bad_input'::regnamespace ORDER BY logicalrelid::text COLLATE "C";
SELECT count(*) FROM pg_dist_shard s WHERE NOT EXISTS (SELECT FROM pg_dist_partition p WHERE p.logicalrelid = s.logicalrelid);
DROP FOREIGN DATA WRAPPER bad_input_wrapper CASCADE;
DROP SCHEMA bad_input CASCADE;
DROP ROLE bad_input_user;
