-- Views over the metadata, and sizes, from every node.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS sizes_tests CASCADE;
CREATE SCHEMA sizes_tests;
SET search_path TO sizes_tests;
RESET client_min_messages;
SELECT :PORT AS coordinator, :PORT + 1 AS worker1 \gset

CREATE TABLE d (id int PRIMARY KEY, t text);
CREATE TABLE "R 1" (id int);
CREATE TABLE plain (id int);
SELECT create_distributed_table('d', 'id', shard_count => 4);
SELECT create_reference_table('"R 1"');
INSERT INTO d SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i;

CREATE VIEW tables AS SELECT table_name, citus_table_type, distribution_column, shard_count, table_owner, access_method
FROM citus_tables WHERE table_name::text ~ 'R 1|^(sizes_tests.)?d$' ORDER BY 1;
SELECT * FROM tables;
SELECT table_name, citus_table_type, nodeport - :coordinator AS port, count(*), sum(shard_size) > 0 AS has_size,
	bool_and(shard_name = shard_name(table_name, shardid)) AS named
FROM citus_shards WHERE table_name IN ('d'::regclass, '"R 1"'::regclass) GROUP BY 1, 2, 3 ORDER BY 1, 3;
SELECT count(*), count(DISTINCT nodeport) FROM pg_dist_shard_placement
WHERE shardid IN (SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'd'::regclass);

-- Sums of what the nodes say.
SELECT citus_relation_size('d') = (SELECT sum(result::bigint) FROM run_command_on_placements('d', 'SELECT pg_relation_size(''%s'')')) AS relation,
	citus_table_size('d') = (SELECT sum(result::bigint) FROM run_command_on_placements('d', 'SELECT pg_table_size(''%s'')')) AS tbl,
	citus_total_relation_size('d') = (SELECT sum(result::bigint) FROM run_command_on_placements('d', 'SELECT pg_total_relation_size(''%s'')')) AS total,
	citus_total_relation_size('d', fail_on_error => false) > citus_table_size('d') AS with_indexes;
SELECT citus_relation_size('"R 1"');
SELECT sum(size) = citus_total_relation_size('d') AS same FROM citus_shard_sizes()
WHERE shard_id IN (SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'd'::regclass);
SELECT citus_table_size('plain');
SELECT citus_table_size('no such table');
SELECT citus_table_size(NULL) IS NULL AS strict;

-- A shard that is locked against readers, by this very transaction, has no size; nobody waits.
BEGIN;
ALTER TABLE d ADD COLUMN more int;
SET LOCAL statement_timeout TO '2min';
SELECT citus_table_size('d');
SELECT count(*) FROM tables;
ROLLBACK;

-- Shards are not listed, unless asked for.
\t on
\dt
\t off

SELECT DISTINCT result FROM run_command_on_all_nodes('CREATE ROLE sizes_tester');
GRANT USAGE ON SCHEMA sizes_tests TO sizes_tester;
SET ROLE sizes_tester;
SELECT citus_table_size('d');
SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'd'::regclass;
RESET ROLE;
DROP OWNED BY sizes_tester;
SELECT DISTINCT result FROM run_command_on_all_nodes('DROP ROLE sizes_tester');

\c - - - :worker1
SET search_path TO sizes_tests;
SELECT table_name, citus_table_type, distribution_column, shard_count, table_owner, access_method
FROM citus_tables WHERE table_name IN ('d'::regclass, '"R 1"'::regclass) ORDER BY 1;
SELECT table_name, citus_table_type, nodeport - :coordinator AS port, count(*), sum(shard_size) > 0 AS has_size
FROM citus_shards WHERE table_name IN ('d'::regclass, '"R 1"'::regclass) GROUP BY 1, 2, 3 ORDER BY 1, 3;
SELECT citus_table_size('d') > 100000 AS sized;
\c - - - :coordinator

SET client_min_messages TO warning;
DROP SCHEMA sizes_tests CASCADE;
