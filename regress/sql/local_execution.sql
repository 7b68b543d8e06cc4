-- Shards on the node that is asked: read and written in this process.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS local_tests CASCADE;
CREATE SCHEMA local_tests;
SET search_path TO local_tests;
SELECT 1 AS done FROM citus_set_node_property('localhost', current_setting('port')::int, 'shouldhaveshards', true);
RESET client_min_messages;

CREATE TABLE t (k int PRIMARY KEY, v text, n int CHECK (n < 1000));
SELECT create_distributed_table('t', 'k', shard_count => 6, colocate_with => 'none');
SELECT count(DISTINCT groupid) AS nodes, count(*) FILTER (WHERE groupid = 0) > 0 AS some_here
FROM pg_dist_placement JOIN pg_dist_shard USING (shardid) WHERE logicalrelid = 't'::regclass;

INSERT INTO t SELECT g, 'v' || g, g FROM generate_series(1, 100) g;
SELECT count(*), sum(n), min(v), max(v) FROM t;
SELECT count(*) FROM (SELECT * FROM t ORDER BY k) s;

-- Each key in turn: local and remote shards alike.
CREATE FUNCTION touch_all() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	found_rows bigint := 0;
	got int;
BEGIN
	FOR i IN 1 .. 100 LOOP
		UPDATE local_tests.t SET n = n + 1 WHERE k = i RETURNING n INTO got;
		IF got = i + 1 THEN
			found_rows := found_rows + 1;
		END IF;
	END LOOP;
	RETURN found_rows;
END $$;
SELECT touch_all();
SELECT sum(n) FROM t;

\set QUIET off
UPDATE t SET n = n - 1;
INSERT INTO t VALUES (201, 'a', 1), (202, 'b', 2), (203, 'c', 3), (204, 'd', 4), (205, 'e', 5), (206, 'f', 6);
DELETE FROM t WHERE k > 200;
\set QUIET on

-- Own writes, rollback.
BEGIN;
DELETE FROM t WHERE k <= 50;
SELECT count(*), sum(n) FROM t;
INSERT INTO t SELECT g, 'again', 0 FROM generate_series(1, 10) g;
SELECT count(*), sum(n) FROM t;
SAVEPOINT s;
UPDATE t SET n = -1;
SELECT count(*), sum(n) FROM t;
ROLLBACK TO s;
SELECT count(*), sum(n) FROM t;
ROLLBACK;
SELECT count(*), sum(n) FROM t;

-- Errors speak of the table, wherever the shard is.
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m text; t text; c text; s text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, t = TABLE_NAME, c = CONSTRAINT_NAME, s = RETURNED_SQLSTATE;
	RETURN concat_ws(' | ', s, m, t, c);
END $$;
SELECT DISTINCT try(format('INSERT INTO local_tests.t VALUES (%s, ''dup'', 0)', k)) FROM generate_series(1, 30) k;
SELECT DISTINCT try(format('UPDATE local_tests.t SET n = 5000 WHERE k = %s', k)) FROM generate_series(1, 30) k;
SELECT count(*), sum(n) FROM t;

-- Prepared, on every shard.
PREPARE get(int) AS SELECT v FROM t WHERE k = $1;
EXECUTE get(1); EXECUTE get(2); EXECUTE get(3); EXECUTE get(4); EXECUTE get(5); EXECUTE get(6); EXECUTE get(7); EXECUTE get(8);
DEALLOCATE get;

-- Reference tables are read here.
CREATE TABLE r (k int PRIMARY KEY, label text);
SELECT create_reference_table('r');
INSERT INTO r SELECT g, 'label ' || g FROM generate_series(1, 3) g;
SELECT * FROM r ORDER BY k;
SELECT count(*) FROM t JOIN r USING (k);
SET citus.enable_local_execution TO off;
SELECT * FROM r ORDER BY k;
SELECT count(*) FROM t;
RESET citus.enable_local_execution;
SELECT count(DISTINCT result) FROM run_command_on_placements('r', 'SELECT sum(hashtext(label)) FROM %s');

SET client_min_messages TO warning;
DROP SCHEMA local_tests CASCADE;
SELECT 1 AS done FROM citus_set_node_property('localhost', current_setting('port')::int, 'shouldhaveshards', false);
