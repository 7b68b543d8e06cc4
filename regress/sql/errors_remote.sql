-- Errors of nodes reach the client unchanged; what was running elsewhere is stopped; sessions stay usable.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS remote_errors CASCADE;
CREATE SCHEMA remote_errors;
SET search_path TO remote_errors;
RESET client_min_messages;

CREATE TABLE t (k int PRIMARY KEY, v int CONSTRAINT small CHECK (v < 1000), u int NOT NULL DEFAULT 0);
SELECT create_distributed_table('t', 'k');
INSERT INTO t SELECT g, g FROM generate_series(1, 100) g;

CREATE FUNCTION diagnose(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m text; t text; c text; s text; n text; col text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS OR query_canceled THEN
	GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, t = TABLE_NAME, c = CONSTRAINT_NAME, s = RETURNED_SQLSTATE,
		n = SCHEMA_NAME, col = COLUMN_NAME;
	RETURN concat_ws(' | ', s, m, n, t, c, col);
END $$;

SELECT diagnose('INSERT INTO t VALUES (1, 1)');
SELECT diagnose('INSERT INTO t VALUES (501, 5000)');
SELECT diagnose('INSERT INTO t (k, v, u) VALUES (502, 5, NULL)');
SELECT diagnose('UPDATE t SET v = v * 100');
SELECT diagnose('UPDATE t SET v = 2000 WHERE k = 7');
SELECT diagnose('SELECT 1 / (v - 50) FROM t WHERE k = 50');
SELECT diagnose('SELECT sum(1 / (v - 50)) FROM t');
SELECT diagnose('SELECT count(*) FROM t WHERE ((v * 0)::text || ''x'')::int = 3');
SELECT diagnose('INSERT INTO t (k) VALUES (NULL)');
SELECT diagnose('INSERT INTO t VALUES (601, 1), (602, 1), (603, 1), (1, 1)');
SELECT count(*), sum(v) FROM t;

-- Outside of a function, with the fields that drivers read.
\set VERBOSITY sqlstate
INSERT INTO t VALUES (2, 2);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE

-- Timeouts stop the nodes too.
SET statement_timeout TO '200ms';
SELECT pg_sleep(600) FROM t WHERE k = 1;
\echo :LAST_ERROR_SQLSTATE
SELECT count(pg_sleep(600)) FROM t;
\echo :LAST_ERROR_SQLSTATE
UPDATE t SET v = v + (pg_sleep(600) IS NULL)::int WHERE k = 1;
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
SELECT count(*), sum(v) FROM t;
-- (They are told at once, and may take a moment.)
DO $$ BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM run_command_on_workers(
			'SELECT count(*) FROM pg_stat_activity WHERE state = ''active'' AND query LIKE ''%pg_sleep(600)%'' AND pid <> pg_backend_pid()') WHERE result <> '0');
		COMMIT;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
SELECT DISTINCT result FROM run_command_on_workers(
	$$SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()$$);

-- A transaction that failed on a node is over; rolling back makes the sessions usable.
BEGIN;
UPDATE t SET v = 1 WHERE k = 1;
INSERT INTO t VALUES (3, 3);
SELECT count(*) FROM t;
ROLLBACK;
SELECT v FROM t WHERE k = 1;

-- A lock that is not to be had.
BEGIN;
SET LOCAL lock_timeout TO '100ms';
SELECT v FROM t WHERE k = 4 FOR UPDATE;
ROLLBACK;

-- What a node says of a part of a cluster operation keeps its SQLSTATE.
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
CREATE TABLE moved (k int PRIMARY KEY);
SELECT create_distributed_table('moved', 'k', shard_count => 1, colocate_with => 'none');
SELECT shardid AS shard, source.nodeport AS source, target.nodeport AS target FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
	JOIN pg_dist_node source USING (groupid) JOIN pg_dist_node target ON target.groupid > 0 AND target.groupid <> source.groupid
	WHERE logicalrelid = 'moved'::regclass \gset
SELECT format('CREATE TABLE remote_errors.moved_%s (x int)', :shard) AS in_the_way, format('DROP TABLE remote_errors.moved_%s', :shard) AS away \gset
\c - - - :target
:in_the_way;
\c - - - :coordinator
\set VERBOSITY sqlstate
SELECT citus_move_shard_placement(:shard, 'localhost', :source, 'localhost', :target, 'block_writes');
\set VERBOSITY default
\c - - - :target
SET client_min_messages TO warning;
:away;
\c - - - :coordinator
\set SHOW_CONTEXT never
SET search_path TO remote_errors;

-- Nothing prepared is left, nothing is open.
SELECT DISTINCT result FROM run_command_on_workers('SELECT count(*) FROM pg_prepared_xacts');

SET client_min_messages TO warning;
DROP SCHEMA remote_errors CASCADE;
