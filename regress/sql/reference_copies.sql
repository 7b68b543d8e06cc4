-- A node joins without the rows of reference tables: it reads and writes them on other nodes until its first shard brings
-- copies. Two more servers are there on the ports after those of the workers.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA refs;
SET search_path = refs;
SELECT :PORT AS coordinator, :PORT + 3 AS third, :PORT + 4 AS fourth \gset
CREATE TABLE countries (id int PRIMARY KEY, name text);
CREATE TABLE "Städte" (id int PRIMARY KEY, country int REFERENCES countries, above int REFERENCES "Städte", "the name" text);
INSERT INTO countries SELECT i, 'country ' || i FROM generate_series(1, 300) i;
SELECT create_reference_table('countries');
SELECT create_reference_table('"Städte"');
INSERT INTO "Städte" SELECT i, i, NULL, 'city ' || i FROM generate_series(1, 200) i;
CREATE TABLE people (id int PRIMARY KEY, country int REFERENCES countries);
SELECT create_distributed_table('people', 'id', shard_count => 6);
INSERT INTO people SELECT i, i % 300 + 1 FROM generate_series(1, 600) i;
-- the groups of reference tables and of their equal rows
CREATE VIEW copies AS
    SELECT logicalrelid::text AS "table", count(*) AS nodes, count(*) FILTER (WHERE nodeport = (SELECT nodeport + 3 FROM pg_dist_node WHERE groupid = 0)) AS third,
        count(*) FILTER (WHERE nodeport = (SELECT nodeport + 4 FROM pg_dist_node WHERE groupid = 0)) AS fourth,
        (SELECT count(DISTINCT result) FROM run_command_on_placements(logicalrelid, 'SELECT coalesce(sum(hashtextextended(t::text, 0)), 0) || $$ $$ || count(*) FROM %s t')) AS contents
    FROM pg_dist_partition JOIN pg_dist_shard USING (logicalrelid) JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)
    WHERE partmethod = 'n' AND repmodel = 't' GROUP BY logicalrelid ORDER BY 1;
SELECT citus_add_node('localhost', :third) > 0 AS added;
SELECT * FROM copies;

-- Asked of the new node: everything is there, read or written elsewhere.
\c - - - :third
SET search_path = refs;
SELECT count(*), sum(id) FROM countries;
SELECT c.name, s."the name" FROM "Städte" s JOIN countries c ON c.id = s.country WHERE s.id = 7;
SELECT count(*), count(c.name) FROM people p JOIN countries c ON c.id = p.country;
SELECT count(*) FROM people p LEFT JOIN "Städte" s ON s.country = p.country WHERE s.id IS NULL;
CREATE TEMP TABLE wanted (id int);
INSERT INTO wanted VALUES (3), (5), (1000);
SELECT w.id, c.name FROM wanted w LEFT JOIN countries c USING (id) ORDER BY 1;
SELECT name FROM countries WHERE id = 4 FOR UPDATE;
INSERT INTO countries VALUES (1000, 'asked of the new node');
COPY countries FROM STDIN;
1001	copied
1002	copied
\.
BEGIN;
UPDATE countries SET name = 'changed' WHERE id = 1001;
SELECT name FROM countries WHERE id = 1001;
SAVEPOINT s;
DELETE FROM countries WHERE id = 1001;
SELECT count(*) FROM countries WHERE id = 1001;
ROLLBACK TO s;
COMMIT;
UPDATE "Städte" s SET "the name" = c.name FROM countries c WHERE c.id = s.country AND s.id < 10;
WITH gone AS (DELETE FROM countries WHERE id = 1002 RETURNING *) SELECT count(*) FROM gone;
INSERT INTO people VALUES (1000, 1000);
INSERT INTO people VALUES (1001, 4711);
INSERT INTO "Städte" VALUES (1000, 4711);
DELETE FROM countries WHERE id = 1000;
PREPARE by_id(int) AS SELECT name FROM countries WHERE id = $1;
EXECUTE by_id(1000);
SET citus.show_shards_for_app_name_prefixes = 'pg_regress,psql';
SELECT relname FROM pg_class WHERE relnamespace = 'refs'::regnamespace AND relkind = 'r' AND relname ~ '\d$' AND NOT relname LIKE 'pg_temp%';
\c - - - :coordinator
SET search_path = refs;
SET client_min_messages = warning;
SELECT * FROM copies;

-- New tables: one more reference table is where the others are, a distributed one not on a node without them if they cannot be
-- copied there.
CREATE TABLE moods (id int PRIMARY KEY);
INSERT INTO moods VALUES (1), (2);
SELECT create_reference_table('moods');
BEGIN;
CREATE TABLE visits (id int PRIMARY KEY, country int REFERENCES countries);
SELECT create_distributed_table('visits', 'id', shard_count => 6, colocate_with => 'none');
COMMIT;
SELECT * FROM copies;
SELECT count(*) FROM citus_shards WHERE table_name = 'visits'::regclass AND nodeport = :third;
SELECT nodeid AS third_id FROM pg_dist_node WHERE nodeport = :third \gset
SELECT shardid AS shard, nodeid AS source FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)
    WHERE logicalrelid = 'people'::regclass ORDER BY 1 LIMIT 1 \gset
\set VERBOSITY sqlstate
BEGIN;
INSERT INTO countries VALUES (2000, 'not yet');
SELECT citus_move_shard_placement(:shard, :source, :third_id, 'block_writes');
ROLLBACK;
BEGIN;
SELECT count(*) FROM (SELECT FROM countries FOR UPDATE) x;
SELECT citus_copy_shard_placement(:shard, :source, :third_id, 'block_writes');
ROLLBACK;
\set VERBOSITY default
SELECT citus_internal.copy_reference_tables(ARRAY[NULL]::int[], 'auto');
SELECT citus_internal.copy_reference_tables(ARRAY[-1], 'auto');

-- A rebalance brings them, then shards.
SELECT rebalance_table_shards(rebalance_strategy => 'by_shard_count', threshold => 0);
SELECT * FROM copies;
SELECT count(*) > 0 AS shards FROM citus_shards WHERE table_name = 'people'::regclass AND nodeport = :third;
SELECT success, result FROM run_command_on_workers('SELECT count(*) FROM refs.people JOIN refs.countries c ON c.id = country');
SELECT success, result FROM run_command_on_placements('"Städte"', 'SELECT count(*) FROM pg_constraint WHERE conrelid = %L::regclass AND contype = $$f$$');
INSERT INTO "Städte" VALUES (1000, 4711);
INSERT INTO countries VALUES (4711, 'written everywhere');
INSERT INTO "Städte" VALUES (1000, 4711, 1, 'its city');
SELECT * FROM copies;

-- In the background they are tasks that the moves wait for.
SELECT citus_add_node('localhost', :fourth) > 0 AS added;
SELECT nodeid AS fourth_id FROM pg_dist_node WHERE nodeport = :fourth \gset
BEGIN;
SELECT citus_rebalance_start(rebalance_strategy => 'by_shard_count', parallel_transfer_reference_tables => true) AS job \gset
SELECT replace(command, :fourth_id::text, '(fourth)') AS first, cardinality(nodes_involved) AS nodes FROM pg_dist_background_task WHERE job_id = :job ORDER BY task_id LIMIT 1;
SELECT count(*) > 0 AS moves, bool_and(EXISTS (SELECT FROM pg_dist_background_task_depend d
        WHERE d.task_id = t.task_id AND d.depends_on = (SELECT min(task_id) FROM pg_dist_background_task WHERE job_id = :job))) AS wait
    FROM pg_dist_background_task t WHERE job_id = :job AND command ~ format(', %s, ''auto''\)', :fourth_id);
ROLLBACK;
SELECT * FROM copies;

-- The owner of a shard may move it there, whoever owns the reference tables. Those without a primary key go when writes are blocked.
CREATE TABLE without_key (v text);
SELECT create_reference_table('without_key');
INSERT INTO without_key VALUES ('a'), ('a'), (NULL);
CREATE ROLE refs_owner LOGIN;
GRANT USAGE, CREATE ON SCHEMA refs TO refs_owner;
SET ROLE refs_owner;
CREATE TABLE own (id int PRIMARY KEY);
SELECT create_distributed_table('own', 'id', shard_count => 1, colocate_with => 'none');
RESET ROLE;
SELECT * FROM copies;
SELECT citus_drain_node('localhost', :fourth, 'block_writes');
CALL citus_cleanup_orphaned_resources();
SELECT citus_disable_node('localhost', :fourth);
SELECT * FROM copies;
SELECT citus_activate_node('localhost', :fourth) = :fourth_id AS activated;
SELECT * FROM copies;
SELECT shardid AS shard, nodeid AS source FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)
    WHERE logicalrelid = 'own'::regclass \gset
SET ROLE refs_owner;
SELECT citus_move_shard_placement(:shard, :source, :fourth_id);
SELECT citus_move_shard_placement(:shard, :source, :fourth_id, 'block_writes');
RESET ROLE;
SELECT * FROM copies;
CALL citus_cleanup_orphaned_resources();
SELECT count(*) FROM pg_dist_cleanup;

-- So do a split and a table that is distributed while others write.
DROP TABLE without_key;
SELECT citus_drain_node('localhost', :fourth, 'block_writes');
CALL citus_cleanup_orphaned_resources();
SELECT citus_disable_node('localhost', :fourth), citus_activate_node('localhost', :fourth) = :fourth_id AS activated;
SELECT nodeid AS source FROM pg_dist_placement JOIN pg_dist_node USING (groupid) WHERE shardid = :shard \gset
SELECT citus_split_shard_by_split_points(:shard, ARRAY['0'], ARRAY[:source, :fourth_id]);
SELECT * FROM copies;
DROP TABLE own;
CALL citus_cleanup_orphaned_resources();
SELECT citus_disable_node('localhost', :fourth), citus_activate_node('localhost', :fourth) = :fourth_id AS activated;
SELECT citus_set_node_property('localhost', :fourth, 'shouldhaveshards', true);
CREATE TABLE online (id int PRIMARY KEY);
INSERT INTO online SELECT generate_series(1, 100);
SELECT create_distributed_table_concurrently('online', 'id', shard_count => 6, colocate_with => 'none');
SELECT * FROM copies;
SELECT count(*) > 0 AS shards FROM citus_shards WHERE table_name = 'online'::regclass AND nodeport = :fourth;

SELECT citus_drain_node('localhost', :third, 'block_writes'), citus_drain_node('localhost', :fourth, 'block_writes');
CALL citus_cleanup_orphaned_resources();
SELECT citus_remove_node('localhost', :third), citus_remove_node('localhost', :fourth);
SELECT * FROM copies;
SELECT success, result FROM run_command_on_all_nodes('SELECT count(*) FROM refs.people JOIN refs.countries c ON c.id = country');
SELECT sum(result::int) AS slots_and_publications FROM run_command_on_all_nodes('SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)');
DROP SCHEMA refs CASCADE;
DROP ROLE refs_owner;
-- servers that have left keep the schema
\c - - - :third
DROP SCHEMA refs CASCADE;
DROP ROLE refs_owner;
\c - - - :fourth
DROP SCHEMA refs CASCADE;
DROP ROLE refs_owner;
