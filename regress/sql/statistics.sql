-- ANALYZE: what the planner knows of a distributed table is what it knows of a plain one.
\set SHOW_CONTEXT never
CREATE SCHEMA statistics_tests;
SET search_path = statistics_tests;
CREATE TABLE plain (id bigint PRIMARY KEY, kind text, gone int, n int, tags int[], "odd Name" numeric);
ALTER TABLE plain DROP COLUMN gone;
CREATE TABLE t (LIKE plain INCLUDING ALL);
SELECT create_distributed_table('t', 'id', shard_count => 4);
CREATE TABLE r (LIKE plain INCLUDING ALL);
SELECT create_reference_table('r');
INSERT INTO plain SELECT i, 'kind ' || i % 7, CASE WHEN i % 4 = 0 THEN NULL ELSE i % 50 END, ARRAY[i % 3], i / 10.0 FROM generate_series(1, 4000) i;
INSERT INTO t SELECT * FROM plain;
INSERT INTO r SELECT * FROM plain;

-- a column list: only those
ANALYZE t (kind);
SELECT attname FROM pg_stats WHERE schemaname = 'statistics_tests';
ANALYZE t;
ANALYZE r;
ANALYZE plain;
-- all rows are in the sample here, so that nothing depends on chance
CREATE VIEW known AS SELECT tablename, attname, inherited, null_frac, avg_width, n_distinct,
  array_length(most_common_freqs, 1) AS common, array_length(histogram_bounds, 1) AS bounds, array_length(most_common_elem_freqs, 1) AS elements
FROM pg_stats WHERE schemaname = 'statistics_tests';
SELECT attname, null_frac, avg_width, n_distinct, common, bounds, elements FROM known WHERE tablename = 't' ORDER BY 1;
SELECT * FROM known WHERE tablename = 't' EXCEPT SELECT 't', attname, inherited, null_frac, avg_width, n_distinct, common, bounds, elements FROM known WHERE tablename = 'plain';
SELECT * FROM known WHERE tablename = 'r' EXCEPT SELECT 'r', attname, inherited, null_frac, avg_width, n_distinct, common, bounds, elements FROM known WHERE tablename = 'plain';
SELECT relname, reltuples FROM pg_class WHERE relnamespace = 'statistics_tests'::regnamespace AND relkind = 'r' ORDER BY 1;

-- estimates follow
CREATE FUNCTION estimate(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
  RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END $$;
SELECT estimate('SELECT * FROM t WHERE kind = ''kind 3'''), estimate('SELECT * FROM plain WHERE kind = ''kind 3''');
SELECT estimate('SELECT * FROM t WHERE n IS NULL'), estimate('SELECT * FROM plain WHERE n IS NULL');

-- the second time rows are replaced
UPDATE t SET kind = 'one' WHERE true;
VACUUM (ANALYZE) t;
SELECT n_distinct, common FROM known WHERE tablename = 't' AND attname = 'kind';
VACUUM (ANALYZE false) t;
ALTER TABLE t ALTER COLUMN n SET STATISTICS 0;
DELETE FROM t WHERE n = 1;
BEGIN;
ANALYZE t;
ROLLBACK;
SELECT estimate('SELECT * FROM t WHERE n = 1');

-- an empty table, and one that the caller may analyze but not read
CREATE TABLE nothing (id int);
SELECT create_distributed_table('nothing', 'id', shard_count => 2);
ANALYZE nothing;
SELECT count(*) FROM known WHERE tablename = 'nothing';
SET client_min_messages = warning;
CREATE ROLE statistics_owner LOGIN;
RESET client_min_messages;
GRANT USAGE ON SCHEMA statistics_tests TO statistics_owner;
ALTER TABLE nothing OWNER TO statistics_owner;
INSERT INTO nothing SELECT generate_series(1, 10);
REVOKE SELECT ON nothing FROM statistics_owner;
SET ROLE statistics_owner;
ANALYZE nothing;
RESET ROLE;
SELECT count(*) FROM known WHERE tablename = 'nothing';

-- partitions: the parent's are those of the whole
CREATE TABLE ev (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE ev1 PARTITION OF ev FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE ev2 PARTITION OF ev FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
SELECT create_distributed_table('ev', 'id', shard_count => 2);
INSERT INTO ev SELECT i, '2020-07-01'::date + i FROM generate_series(1, 300) i;
ANALYZE ev;
SELECT tablename, attname, inherited, n_distinct FROM known WHERE tablename LIKE 'ev%' ORDER BY 1, 2, 3;

-- the whole database: the tables that are the caller's
INSERT INTO ev SELECT i, '2021-02-01' FROM generate_series(1, 100) i;
SET ROLE statistics_owner;
SET client_min_messages = error;
ANALYZE;
RESET client_min_messages;
RESET ROLE;
SELECT relname, reltuples FROM pg_class WHERE relnamespace = 'statistics_tests'::regnamespace AND relname IN ('t', 'nothing', 'ev1', 'ev2') ORDER BY 1;
ANALYZE;
SELECT relname, reltuples FROM pg_class WHERE relnamespace = 'statistics_tests'::regnamespace AND relname IN ('t', 'nothing', 'ev1', 'ev2') ORDER BY 1;
SELECT sum(result::int) FROM run_command_on_placements('ev2', $$SELECT reltuples FROM pg_class WHERE oid = '%s'::regclass$$);
SET client_min_messages = warning;
DROP SCHEMA statistics_tests CASCADE;
DROP ROLE statistics_owner;
