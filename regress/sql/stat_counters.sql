-- citus_stat_counters and citus_stat_statements: what is counted, for whom, reset.
CREATE SCHEMA stat_counters;
SET search_path = stat_counters;
CREATE TABLE t (k int PRIMARY KEY, v text);
SELECT create_distributed_table('t', 'k', shard_count => 4);
CREATE TABLE other (k int PRIMARY KEY, v text);
SELECT create_distributed_table('other', 'k', shard_count => 4);
CREATE TABLE plain (k int);

\d citus_stat_counters
\d citus_stat_statements

-- Nothing is counted while the setting is off.
SELECT citus_stat_counters_reset();
SHOW citus.enable_stat_counters;
SELECT count(*) FROM t;
SELECT query_execution_single_shard, query_execution_multi_shard, connection_reused
    FROM citus_stat_counters WHERE name = current_database();

SET citus.enable_stat_counters = on;
SELECT count(*) FROM t;
SELECT count(*) FROM t WHERE k = 1;
SELECT count(*) FROM t WHERE k = 2;
INSERT INTO t VALUES (1, 'a');
INSERT INTO t VALUES (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f');
UPDATE t SET v = v || '!' WHERE k = 3;
DELETE FROM t WHERE k = 4;
SELECT count(*) FROM plain;
SELECT query_execution_single_shard, query_execution_multi_shard,
        connection_reused > 0 AS reused, connection_establishment_failed
    FROM citus_stat_counters WHERE name = current_database();

-- A node that refuses counts as failed.
SELECT citus_check_connection_to_node('localhost', 1);
SELECT connection_establishment_failed FROM citus_stat_counters(
    (SELECT oid FROM pg_database WHERE datname = current_database()));

-- By database; every database has a row in the view.
SELECT count(*) FROM citus_stat_counters(1);
SELECT count(*) = (SELECT count(*) FROM pg_database) AS all_databases FROM citus_stat_counters;
SELECT citus_stat_counters_reset((SELECT oid FROM pg_database WHERE datname = current_database()));
SELECT query_execution_single_shard, query_execution_multi_shard, connection_establishment_failed, stats_reset <= now() AS reset
    FROM citus_stat_counters WHERE name = current_database();
RESET citus.enable_stat_counters;

-- Statements.
SELECT citus_stat_statements_reset();
SELECT count(*) FROM t WHERE k = 7;
SELECT count(*) FROM citus_stat_statements;
SET citus.stat_statements_track = 'all';
SELECT count(*) FROM t WHERE k = 1;
SELECT count(*) FROM t WHERE k = 1;
SELECT count(*)   FROM t WHERE k = 2;
SELECT max(v) FROM t; SELECT max(v) FROM t;
SELECT max(v) FROM t WHERE k IN (1, 2, 3) AND v <> 'it''s' AND -1 < k;
INSERT INTO t VALUES (8, 'eight'), (9, 'nine');
INSERT INTO t VALUES (10, 'ten');
INSERT INTO other SELECT * FROM t;
INSERT INTO other SELECT k + 100, v FROM t ORDER BY k LIMIT 1;
UPDATE t SET v = 'x' WHERE k = 10;
PREPARE p AS SELECT v FROM t WHERE k = $1;
EXECUTE p(10);
EXECUTE p(10);
EXECUTE p(9);
SELECT count(*) FROM plain;
SELECT 1 FROM (SELECT 2) s;
SET citus.stat_statements_track = 'none';
SELECT regexp_replace(query, '\(\$1 /\*, \.\.\. \*/\) AND v <> \$2 AND \$3', '($1, $2, $3) AND v <> $4 AND $5') AS query, executor, partition_key, calls FROM citus_stat_statements WHERE dbid = (SELECT oid FROM pg_database
        WHERE datname = current_database()) ORDER BY query COLLATE "C", partition_key;
SELECT DISTINCT userid::regrole, executor FROM citus_stat_statements() ORDER BY 1, 2;
SELECT bool_and(queryid <> 0) AS have_ids, count(DISTINCT queryid) FROM citus_stat_statements;

-- Others see that something was run, not what.
CREATE ROLE stat_counters_user;
SET ROLE stat_counters_user;
SELECT DISTINCT query, queryid, partition_key FROM citus_stat_statements;
SELECT citus_stat_statements_reset();
SELECT citus_stat_counters_reset();
SELECT count(*) > 0 AS visible FROM citus_stat_counters;
RESET ROLE;
DROP ROLE stat_counters_user;

SELECT citus_stat_statements_reset();
SELECT count(*) FROM citus_stat_statements;

SET client_min_messages = error;
DROP SCHEMA stat_counters CASCADE;
