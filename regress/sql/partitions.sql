-- Partitioned tables distribute with their partitions.
\set SHOW_CONTEXT never
CREATE SCHEMA parts;
SET search_path = parts;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
CREATE TABLE ev (tenant int, ts timestamptz NOT NULL, v text, PRIMARY KEY (tenant, ts)) PARTITION BY RANGE (ts);
CREATE TABLE ev1 PARTITION OF ev FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE ev2 PARTITION OF ev FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE INDEX ON ev (v);
INSERT INTO ev SELECT i, '2020-06-01'::timestamptz + i * interval '2 day', 'x' FROM generate_series(1, 200) i;
SELECT create_distributed_table('ev', 'tenant');
SELECT count(*) FROM ev;
SELECT count(*) FROM ev1;
SELECT count(*) FROM ev WHERE tenant = 5;
CREATE TABLE ev3 PARTITION OF ev FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
INSERT INTO ev VALUES (5, '2022-05-05', 'new');
SELECT * FROM ev3;
INSERT INTO ev VALUES (5, '2032-05-05', 'nowhere');
CREATE TABLE ev4 (LIKE ev INCLUDING ALL);
INSERT INTO ev4 VALUES (7, '2023-05-05', 'attached');
ALTER TABLE ev ATTACH PARTITION ev4 FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
SELECT count(*) FROM ev;
ALTER TABLE ev DETACH PARTITION ev4;
SELECT count(*) FROM ev;
SELECT * FROM ev4;
ALTER TABLE ev ATTACH PARTITION ev4 FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
ALTER TABLE ev ADD COLUMN extra int DEFAULT 3;
CREATE INDEX extra_index ON ev (extra);
SELECT count(*), sum(extra) FROM ev;
DROP INDEX extra_index;
-- parts of indexes and constraints keep to the partition after it is detached
CREATE INDEX ON ev (extra);
ALTER TABLE ev ADD UNIQUE (tenant, ts, extra);
ALTER TABLE ev DETACH PARTITION ev1;
ALTER INDEX ev1_extra_idx RENAME TO ev1_by_extra;
ALTER TABLE ev1 RENAME CONSTRAINT ev1_tenant_ts_extra_key TO ev1_key;
SELECT DISTINCT result FROM run_command_on_placements('ev1',
  $$SELECT string_agg(regexp_replace(indexrelid::regclass::text, '\d{6,}', 'N'), ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = '%s'::regclass$$);
DROP INDEX ev1_by_extra;
ALTER TABLE ev1 DROP CONSTRAINT ev1_key;
SELECT DISTINCT result FROM run_command_on_placements('ev1',
  $$SELECT string_agg(regexp_replace(indexrelid::regclass::text, '\d{6,}', 'N'), ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = '%s'::regclass$$);
ALTER TABLE ev ATTACH PARTITION ev1 FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
ALTER TABLE ev DETACH PARTITION ev1;
DROP INDEX ev1_extra_idx;
SELECT DISTINCT result FROM run_command_on_placements('ev1',
  $$SELECT string_agg(regexp_replace(indexrelid::regclass::text, '\d{6,}', 'N'), ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = '%s'::regclass$$);
ALTER TABLE ev ATTACH PARTITION ev1 FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
SELECT count(*), sum(extra) FROM ev;
-- a partition that is partitioned itself
CREATE TABLE deep PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (tenant);
CREATE TABLE deep_a PARTITION OF deep FOR VALUES IN (1);
INSERT INTO ev VALUES (1, '2024-05-05', 'a');
SELECT * FROM deep_a;
DROP TABLE ev2;
SELECT count(*) FROM ev;
SELECT logicalrelid, count(*) FROM pg_dist_shard JOIN pg_class c ON c.oid = logicalrelid WHERE relnamespace = 'parts'::regnamespace GROUP BY 1 ORDER BY 1;
TRUNCATE ev1;
SELECT count(*) FROM ev;
SELECT create_distributed_table('ev1', 'tenant');
SELECT undistribute_table('ev1');
SELECT undistribute_table('ev');
SELECT count(*) FROM ev;
SET client_min_messages = warning;
-- columns in another order
CREATE TABLE m (a int, b int, c text, d int) PARTITION BY RANGE (a);
CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (100) PARTITION BY LIST (c);
CREATE TABLE m1a PARTITION OF m1 FOR VALUES IN ('a');
CREATE TABLE m1b (d int, b int, c text, a int);
SELECT create_distributed_table('m', 'a'), create_distributed_table('m1b', 'd');
ALTER TABLE m1 ATTACH PARTITION m1b FOR VALUES IN ('b');
SELECT alter_distributed_table('m1b', distribution_column => 'a');
ALTER TABLE m1 ATTACH PARTITION m1b FOR VALUES IN ('b');
INSERT INTO m VALUES (1, 2, 'a', 3), (2, 3, 'b', 4);
ALTER TABLE m DROP d;
SELECT * FROM m ORDER BY a;
ALTER TABLE m DROP COLUMN IF EXISTS b, DROP COLUMN IF EXISTS nothing, ADD COLUMN e int DEFAULT 7;
UPDATE m SET e = 8 WHERE a = 2;
SELECT * FROM m1b;
ALTER TABLE m DROP a;
ALTER TABLE m RENAME a TO aa;
ALTER TABLE m RENAME c TO cc;
SELECT * FROM m WHERE aa = 2;
DROP SCHEMA parts CASCADE;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_namespace WHERE nspname = 'parts'$$);
