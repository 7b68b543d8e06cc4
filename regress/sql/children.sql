-- Everything that makes a table a partition or an inheritance child of a table of the metadata, or the other way
-- round: right, or refused before anything is lost.
\set SHOW_CONTEXT never
SELECT min(nodeport) AS worker FROM pg_dist_node WHERE groupid > 0 \gset
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE SCHEMA kin;
SET search_path = kin;
CREATE EXTENSION file_fdw;
CREATE FOREIGN DATA WRAPPER kin_wrapper HANDLER file_fdw_handler;
CREATE SERVER kin_server FOREIGN DATA WRAPPER kin_wrapper;

-- 1. distributing what has a foreign table below it
CREATE TABLE pa (k int, n text) PARTITION BY LIST (k);
CREATE TABLE p0 PARTITION OF pa FOR VALUES IN (0);
INSERT INTO pa VALUES (0, 'kept');
CREATE TABLE p1 PARTITION OF pa FOR VALUES IN (1, 2) PARTITION BY LIST (n);
CREATE FOREIGN TABLE pf PARTITION OF p1 FOR VALUES IN ('f') SERVER kin_server OPTIONS (filename '/dev/null');
SELECT create_distributed_table('pa', 'k');
SELECT create_distributed_table('pa', NULL);
SELECT create_distributed_table_concurrently('pa', 'k');
SELECT create_reference_table('pa');
SELECT citus_add_local_table_to_metadata('pa');
SELECT create_distributed_table('pf', 'k');
SELECT create_distributed_table('p1', 'k');
SELECT undistribute_table('pf');
SELECT alter_distributed_table('pf', shard_count => 2);
SELECT truncate_local_data_after_distributing_table('pf');
SELECT alter_table_set_access_method('pf', 'heap');
-- a partition of its own kin that is distributed when it is attached
CREATE TABLE top (k int, n text) PARTITION BY LIST (k);
SELECT create_distributed_table('top', 'k');
ALTER TABLE pa DETACH PARTITION p1;
ALTER TABLE top ATTACH PARTITION p1 FOR VALUES IN (1, 2);
SELECT count(*) FROM pg_dist_partition WHERE logicalrelid::text ~ '^p';
ALTER TABLE p1 DETACH PARTITION pf;
ALTER TABLE top ATTACH PARTITION p1 FOR VALUES IN (1, 2);
SELECT create_distributed_table('pa', 'k');
SELECT * FROM pa;

-- 2. new children of distributed tables
CREATE FOREIGN TABLE pg PARTITION OF pa FOR VALUES IN (5) SERVER kin_server;
ALTER TABLE pa ATTACH PARTITION pf FOR VALUES IN (5);
CREATE TABLE plain_parent (k int, n text);
CREATE TABLE dist (k int, n text);
SELECT create_distributed_table('dist', 'k');
CREATE TABLE heir () INHERITS (dist);
CREATE TABLE heir () INHERITS (plain_parent, dist);
CREATE FOREIGN TABLE heir () INHERITS (dist) SERVER kin_server;
CREATE TEMP TABLE heir () INHERITS (dist);
CREATE UNLOGGED TABLE heir () INHERITS (dist);
CREATE SCHEMA kin_two CREATE TABLE heir () INHERITS (kin.dist);
CREATE TABLE heir (k int, n text);
ALTER TABLE heir INHERIT dist;
ALTER TABLE heir ADD COLUMN x int, INHERIT dist;
ALTER FOREIGN TABLE pf INHERIT dist;
ALTER TABLE dist INHERIT plain_parent;
ALTER TABLE dist INHERIT heir;
CREATE TEMP TABLE temp_heir (k int, n text);
ALTER TABLE temp_heir INHERIT dist;
DO $$ BEGIN EXECUTE 'ALTER TABLE heir INHERIT dist'; EXCEPTION WHEN feature_not_supported THEN RAISE WARNING 'caught: %', SQLERRM; END $$;
BEGIN;
INSERT INTO dist VALUES (1, 'a');
SAVEPOINT s;
ALTER TABLE heir INHERIT dist;
ROLLBACK TO s;
SELECT count(*) FROM dist;
COMMIT;
CREATE TABLE ref (k int, n text);
SELECT create_reference_table('ref');
ALTER TABLE heir INHERIT ref;
CREATE TABLE loc (k int, n text);
SELECT citus_add_local_table_to_metadata('loc');
ALTER TABLE heir INHERIT loc;
-- a table that has children, or is one
CREATE TABLE mother (k int);
CREATE TABLE daughter () INHERITS (mother);
SELECT create_distributed_table('mother', 'k');
SELECT create_distributed_table('daughter', 'k');
SELECT create_distributed_table_concurrently('mother', 'k');
SELECT create_reference_table('daughter');
SELECT citus_add_local_table_to_metadata('mother');
CREATE FOREIGN TABLE foreign_daughter () INHERITS (mother) SERVER kin_server;
DROP TABLE daughter;
SELECT create_distributed_table('mother', 'k');
DROP FOREIGN TABLE foreign_daughter;
SELECT create_distributed_table('mother', 'k');

-- 3. attaching tables of the metadata
CREATE TABLE ev (a int, c text, d int) PARTITION BY RANGE (d);
SELECT create_distributed_table('ev', 'a');
CREATE TABLE by_c (LIKE ev);
SELECT create_distributed_table('by_c', 'c', colocate_with => 'none');
ALTER TABLE ev ATTACH PARTITION by_c FOR VALUES FROM (100) TO (200);
CREATE TABLE by_d (LIKE ev);
SELECT create_distributed_table('by_d', 'd', colocate_with => 'ev');
ALTER TABLE ev ATTACH PARTITION by_d FOR VALUES FROM (100) TO (200);
CREATE TABLE seven (LIKE ev);
SELECT create_distributed_table('seven', 'a', shard_count => 7, colocate_with => 'none');
ALTER TABLE ev ATTACH PARTITION seven FOR VALUES FROM (300) TO (400);
CREATE TABLE alone (LIKE ev);
SELECT create_distributed_table('alone', NULL);
ALTER TABLE ev ATTACH PARTITION alone FOR VALUES FROM (300) TO (400);
CREATE TABLE ref_part (LIKE ev);
SELECT create_reference_table('ref_part');
ALTER TABLE ev ATTACH PARTITION ref_part FOR VALUES FROM (300) TO (400);
CREATE TABLE loc_part (LIKE ev);
SELECT citus_add_local_table_to_metadata('loc_part');
ALTER TABLE ev ATTACH PARTITION loc_part FOR VALUES FROM (300) TO (400);
CREATE TEMP TABLE temp_part (a int, c text, d int);
ALTER TABLE ev ATTACH PARTITION temp_part FOR VALUES FROM (300) TO (400);
CREATE TEMP TABLE temp_part2 PARTITION OF ev FOR VALUES FROM (300) TO (400);
CREATE VIEW a_view AS SELECT * FROM by_c;
ALTER TABLE ev ATTACH PARTITION a_view FOR VALUES FROM (300) TO (400);
CREATE TABLE plain_tree (a int, c text, d int) PARTITION BY RANGE (d);
ALTER TABLE plain_tree ATTACH PARTITION by_d FOR VALUES FROM (300) TO (400);
-- what fits, with its columns in another order
CREATE TABLE fits (d int, x int, a int, c text);
ALTER TABLE fits DROP COLUMN x;
SELECT create_distributed_table('fits', 'a', colocate_with => 'ev');
INSERT INTO fits SELECT 350, i, 'c' || i FROM generate_series(1, 20) i;
ALTER TABLE ev ATTACH PARTITION fits FOR VALUES FROM (300) TO (400);
SELECT count(*) FROM ev WHERE d = 350;
SELECT count(*) FROM ev WHERE a = 3;
-- advice taken
INSERT INTO by_c SELECT i, 'c' || i, 100 FROM generate_series(1, 20) i;
DROP VIEW a_view;
SELECT undistribute_table('by_c');
ALTER TABLE ev ATTACH PARTITION by_c FOR VALUES FROM (100) TO (200);
INSERT INTO seven SELECT i, 'c' || i, 500 FROM generate_series(1, 20) i;
SELECT alter_distributed_table('seven', colocate_with => 'ev');
ALTER TABLE ev ATTACH PARTITION seven FOR VALUES FROM (500) TO (600);
SELECT d, count(*), count(*) FILTER (WHERE a = 3) FROM ev GROUP BY d ORDER BY d;
-- of one tree with partitions of a single shard, or of the coordinator
CREATE TABLE single (k int, n int) PARTITION BY LIST (n);
SELECT create_distributed_table('single', NULL);
CREATE TABLE single_1 PARTITION OF single FOR VALUES IN (1);
CREATE TABLE single_2 (k int, n int);
SELECT create_distributed_table('single_2', NULL, colocate_with => 'none');
ALTER TABLE single ATTACH PARTITION single_2 FOR VALUES IN (2);
SELECT undistribute_table('single_2');
ALTER TABLE single ATTACH PARTITION single_2 FOR VALUES IN (2);
INSERT INTO single VALUES (1, 1), (2, 2);
SELECT * FROM single ORDER BY 1;
CREATE TABLE known (k int, n int) PARTITION BY LIST (n);
SELECT citus_add_local_table_to_metadata('known');
CREATE TABLE known_1 (k int, n int);
SELECT citus_add_local_table_to_metadata('known_1');
ALTER TABLE known ATTACH PARTITION known_1 FOR VALUES IN (1);
CREATE FOREIGN TABLE known_2 PARTITION OF known FOR VALUES IN (2) SERVER kin_server;
INSERT INTO known VALUES (1, 1);
SELECT * FROM known;
-- indexes are attached as well
CREATE INDEX ON ONLY ev (c);
CREATE INDEX seven_c ON seven (c);
ALTER INDEX ev_c_idx ATTACH PARTITION seven_c;

-- 4. partitions made in other ways
CREATE SCHEMA kin_two CREATE TABLE made_with_it PARTITION OF kin.ev FOR VALUES FROM (600) TO (700);
INSERT INTO ev VALUES (1, 'x', 650);
SELECT * FROM kin_two.made_with_it;
SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'kin_two.made_with_it'::regclass;
CREATE TABLE IF NOT EXISTS plain_parent PARTITION OF ev FOR VALUES FROM (700) TO (800);
CREATE TABLE IF NOT EXISTS ev_7 PARTITION OF ev FOR VALUES FROM (700) TO (800);
CREATE TABLE IF NOT EXISTS ev_7 PARTITION OF ev FOR VALUES FROM (700) TO (800);
DO $$ BEGIN FOR i IN 8..9 LOOP EXECUTE format('CREATE TABLE ev_%s PARTITION OF ev FOR VALUES FROM (%s00) TO (%s00)', i, i, i + 1); END LOOP; END $$;
BEGIN;
INSERT INTO ev VALUES (2, 'y', 750), (2, 'y', 850);
CREATE TABLE ev_10 PARTITION OF ev FOR VALUES FROM (1000) TO (1100) PARTITION BY LIST (c);
CREATE TABLE ev_10_x PARTITION OF ev_10 FOR VALUES IN ('x');
INSERT INTO ev VALUES (2, 'x', 1050);
ALTER TABLE ev DETACH PARTITION ev_7;
ALTER TABLE ev ATTACH PARTITION ev_7 FOR VALUES FROM (700) TO (800);
COMMIT;
SELECT tableoid::regclass, * FROM ev WHERE d > 600 ORDER BY d;

-- 5. asked of a worker
\c - - - :worker
SET citus.enable_ddl_from_workers = off;
SET search_path = kin;
SET client_min_messages = warning;
CREATE TABLE heir_here (k int, n text);
ALTER TABLE heir_here INHERIT dist;
CREATE TABLE heir_there () INHERITS (dist);
CREATE TABLE part_here PARTITION OF ev FOR VALUES FROM (2000) TO (2100);
CREATE SCHEMA kin_three CREATE TABLE part_here PARTITION OF kin.ev FOR VALUES FROM (2000) TO (2100);
CREATE TABLE tree_here (a int, c text, d int) PARTITION BY RANGE (d);
ALTER TABLE tree_here ATTACH PARTITION by_c FOR VALUES FROM (2000) TO (2100);
CREATE FOREIGN TABLE foreign_here PARTITION OF ev FOR VALUES FROM (2000) TO (2100) SERVER kin_server;
DROP TABLE heir_here, tree_here;
\c - - - :coordinator
SET client_min_messages = warning;
SELECT relname FROM pg_class WHERE relname ~ 'heir|temp|mother|part' AND relnamespace = 'kin'::regnamespace ORDER BY 1;
DROP SCHEMA kin CASCADE;
DROP SCHEMA kin_two CASCADE;
DROP SERVER kin_server;
DROP FOREIGN DATA WRAPPER kin_wrapper;
DROP EXTENSION file_fdw;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_namespace WHERE nspname ~ '^kin'$$);
