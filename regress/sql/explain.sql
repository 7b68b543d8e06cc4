-- EXPLAIN of distributed queries: tier, tasks, the node's own plan.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS explain_tests CASCADE;
CREATE SCHEMA explain_tests;
SET search_path TO explain_tests;
RESET client_min_messages;

CREATE TABLE t (k int PRIMARY KEY, v text);
SELECT create_distributed_table('t', 'k', shard_count => 4, colocate_with => 'none');
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 40) g;

SET citus.explain_analyze_sort_method TO 'taskId';
-- Ports, times, sizes and shard ids differ from run to run.
CREATE FUNCTION show_plan(statement text, options text DEFAULT 'COSTS OFF') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (' || options || ') ' || statement LOOP
		line := regexp_replace(line, 'Node: .*', 'Node: ...');
		line := regexp_replace(line, '_\d{5,}', '_N', 'g');
		line := regexp_replace(line, '(Time|Bytes Received): [0-9.]+', '\1: N', 'g');
		line := regexp_replace(line, 'Sessions Used: \d+', 'Sessions Used: N');
		line := regexp_replace(line, 'rows=(\d+)\.00 ', 'rows=\1 '); -- newer servers count rows per loop so
		RETURN NEXT line;
	END LOOP;
END $$;

SELECT show_plan('SELECT * FROM t WHERE k = 1');
SELECT show_plan('SELECT * FROM t WHERE k = 1', 'COSTS OFF, VERBOSE');
SELECT show_plan('SELECT v FROM t');
SELECT show_plan('SELECT v FROM t WHERE k IN (1, 2)');
SELECT show_plan('UPDATE t SET v = ''x'' WHERE k = 1');
SELECT show_plan('DELETE FROM t');
SELECT show_plan('INSERT INTO t VALUES (100, ''x'')');
SELECT show_plan('SELECT count(*) FROM t', 'COSTS OFF, ANALYZE, BUFFERS OFF, TIMING OFF, SUMMARY OFF');
SELECT show_plan('UPDATE t SET v = ''y'' WHERE k = 1', 'COSTS OFF, ANALYZE, BUFFERS OFF, TIMING OFF, SUMMARY OFF');
SELECT v FROM t WHERE k = 1;

-- All tasks.
SET citus.explain_all_tasks TO on;
SELECT count(*) FROM show_plan('SELECT v FROM t') line WHERE line LIKE '%->  Task%';
RESET citus.explain_all_tasks;

-- JSON that parses.
CREATE FUNCTION json_plan(statement text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON, COSTS OFF) ' || statement INTO plan;
	RETURN plan;
END $$;
SELECT jsonb_path_query_first(json_plan('SELECT * FROM t WHERE k = 1'), '$.**."Remote Plan"[0].Plan."Node Type"');
SELECT jsonb_path_query_first(json_plan('SELECT * FROM t WHERE k = 1'), '$.**.Tier');
EXPLAIN (FORMAT XML, COSTS OFF) SELECT 1 FROM t WHERE false AND k = 1 \g /dev/null
EXPLAIN (FORMAT YAML, COSTS OFF) SELECT 1 FROM t WHERE k = 1 \g /dev/null

-- EXPLAIN changes nothing.
SELECT count(*) FROM t;

SET client_min_messages TO warning;
DROP SCHEMA explain_tests CASCADE;
