-- Commands on nodes, shards and placements.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS run_command_tests CASCADE;
CREATE SCHEMA run_command_tests;
SET search_path TO run_command_tests;
RESET client_min_messages;
SELECT :PORT AS coordinator, :PORT + 1 AS worker1 \gset

-- One column of one row, or the command's tag; errors are results.
SELECT nodename, nodeport - :coordinator AS port, success, result FROM run_command_on_workers('SELECT 42');
SELECT success, result FROM run_command_on_workers('SELECT NULL');
SELECT success, result FROM run_command_on_workers('SELECT 1 WHERE false');
SELECT success, result FROM run_command_on_workers('SELECT 1, 2');
SELECT success, result FROM run_command_on_workers('SELECT generate_series(1, 2)');
SELECT success, result FROM run_command_on_workers('SET work_mem TO ''4MB''');
SELECT success, result FROM run_command_on_workers('SELECT 1; SELECT 2');
SELECT success, result FROM run_command_on_workers('SELECT 1/0', parallel => false);
SELECT success, result FROM run_command_on_workers('SELECT 1; SELECT 1/0; SELECT 2');
SELECT success, result FROM run_command_on_workers('nonsense');
SELECT success, result FROM run_command_on_workers('');
SELECT success, result FROM run_command_on_workers('COPY pg_class TO STDOUT');
SELECT success, result FROM run_command_on_workers('SELECT ''ä%s%''');
SELECT success, result FROM run_command_on_workers(NULL);

-- Each command is a transaction of its own, outside of ours.
BEGIN;
SELECT success, result FROM run_command_on_workers('CREATE TABLE run_command_tests_kept ()');
ROLLBACK;
SELECT success, result FROM run_command_on_workers('DROP TABLE run_command_tests_kept');

-- This node too.
SELECT nodeid = citus_coordinator_nodeid() AS coordinator, success, result::int - :coordinator AS port
FROM run_command_on_all_nodes('SHOW port') ORDER BY 3;
SELECT nodeid = citus_coordinator_nodeid() AS coordinator, success, result::int - :coordinator AS port
FROM run_command_on_coordinator('SHOW port');
SELECT success, result FROM run_command_on_all_nodes('SELECT 1/0');

-- Cancel reaches the nodes.
SET statement_timeout TO '300ms';
SELECT * FROM run_command_on_workers('SELECT pg_sleep(600)');
RESET statement_timeout;
-- (They are told at once, and may take a moment.)
DO $$ BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM run_command_on_workers(
			'SELECT count(*) FROM pg_stat_activity WHERE state = ''active'' AND query = ''SELECT pg_sleep(600)''') WHERE result <> '0');
		COMMIT;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
SELECT success, result FROM run_command_on_workers(
	'SELECT count(*) FROM pg_stat_activity WHERE state = ''active'' AND query = ''SELECT pg_sleep(600)''');

-- Shards.
CREATE TABLE t ("the key" int, v int);
CREATE TABLE "Other ""t""" (k int);
CREATE TABLE apart (k text);
CREATE TABLE r (k int);
SELECT create_distributed_table('t', 'the key', shard_count => 4);
SELECT create_distributed_table('"Other ""t"""', 'k', colocate_with => 't');
SELECT create_distributed_table('apart', 'k', shard_count => 3, colocate_with => 'none');
SELECT create_reference_table('r');
INSERT INTO t SELECT i, i FROM generate_series(1, 100) i;
INSERT INTO "Other ""t""" SELECT i FROM generate_series(1, 50) i;
INSERT INTO r VALUES (1);
SELECT count(*), bool_and(success), sum(result::int) FROM run_command_on_shards('t', 'SELECT count(*) FROM %s');
SELECT count(*), bool_and(success), sum(result::int) FROM run_command_on_shards('"Other ""t"""', 'SELECT count(*) FROM %1$s');
SELECT count(*), bool_and(success), sum(result::int) FROM run_command_on_shards('r', 'SELECT count(*) FROM %s');
SELECT count(*), bool_and(success), sum(result::int) FROM run_command_on_placements('r', 'SELECT count(*) FROM %s');
SELECT count(*), bool_and(success), sum(result::int) FROM run_command_on_placements('t', 'SELECT count(*) FROM %s', parallel => false);
SELECT count(*), bool_and(success), sum(result::int)
FROM run_command_on_colocated_placements('t', '"Other ""t"""', 'SELECT count(*) FROM %s a JOIN %s b ON a."the key" = b.k');
SELECT success, result, count(*) FROM run_command_on_shards('t', 'SELECT 1/0 FROM %s') GROUP BY 1, 2;
SELECT * FROM run_command_on_shards('t', 'SELECT %s %s');
SELECT * FROM run_command_on_colocated_placements('t', 'apart', 'SELECT 1');
SELECT * FROM run_command_on_shards('pg_class', 'SELECT 1');
SELECT * FROM run_command_on_shards('no such table', 'SELECT 1');

-- From another node.
\c - - - :worker1
SET search_path TO run_command_tests;
SELECT nodename, nodeport - :coordinator AS port, success, result FROM run_command_on_workers('SELECT 42');
SELECT success, result FROM run_command_on_coordinator('SELECT 43');
SELECT count(*), bool_and(success), sum(result::int) FROM run_command_on_shards('t', 'SELECT count(*) FROM %s');
SELECT count(*), bool_and(success), sum(result::int) FROM run_command_on_placements('r', 'SELECT count(*) FROM %s');
\c - - - :coordinator

SET client_min_messages TO warning;
DROP SCHEMA run_command_tests CASCADE;
