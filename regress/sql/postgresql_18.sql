-- What PostgreSQL 18 (and 17: ON_ERROR, SET EXPRESSION) brought to tables, constraints and COPY. Older servers leave here.
SELECT current_setting('server_version_num')::int < 180000 AS older \gset
\if :older
\quit
\endif
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET citus.shard_count = 4;
SET citus.next_shard_id = 5180000;
CREATE SCHEMA s18;
SET search_path = s18;
CREATE FUNCTION constraints_of(relation regclass) RETURNS TABLE (nodes bigint, constraints text) LANGUAGE sql AS $$
	WITH here AS (SELECT string_agg(concat_ws(' ', conname, contype, CASE WHEN NOT convalidated THEN 'not valid' END, CASE WHEN NOT conenforced THEN 'not enforced' END), ', ' ORDER BY contype, conname)
		FROM pg_constraint WHERE conrelid = relation AND contype IN ('n', 'c', 'f'))
	SELECT 0, * FROM here UNION ALL SELECT count(*), result FROM run_command_on_shards(relation,
		$c$SELECT string_agg(concat_ws(' ', conname, contype, CASE WHEN NOT convalidated THEN 'not valid' END, CASE WHEN NOT conenforced THEN 'not enforced' END), ', ' ORDER BY contype, conname)
			FROM pg_constraint WHERE conrelid = '%s'::regclass AND contype IN ('n', 'c', 'f')$c$) GROUP BY result $$;

-- NOT NULL has names, the same on shards, wherever they come from
CREATE TABLE n (k int, a int CONSTRAINT mine NOT NULL, b int, c int, d int NOT NULL);
SELECT create_distributed_table('n', 'k');
ALTER TABLE n ALTER b SET NOT NULL;
ALTER TABLE n ADD CONSTRAINT later NOT NULL c NOT VALID;
ALTER TABLE n ADD PRIMARY KEY (k);
ALTER TABLE n ADD COLUMN e int NOT NULL DEFAULT 3;
SELECT * FROM constraints_of('n');
INSERT INTO n VALUES (1, 1, 1, NULL, 1);
ALTER TABLE n VALIDATE CONSTRAINT later;
ALTER TABLE n RENAME CONSTRAINT n_b_not_null TO renamed;
ALTER TABLE n DROP CONSTRAINT n_e_not_null;
ALTER TABLE n ALTER CONSTRAINT mine NO INHERIT;
ALTER TABLE n ALTER d DROP NOT NULL;
SELECT * FROM constraints_of('n');
CREATE TABLE p (k int NOT NULL, g int NOT NULL, n int) PARTITION BY RANGE (g);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10);
SELECT create_distributed_table('p', 'k');
CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (10) TO (20);
ALTER TABLE p ALTER n SET NOT NULL;
SELECT * FROM constraints_of('p') UNION ALL SELECT * FROM constraints_of('p_1') UNION ALL SELECT * FROM constraints_of('p_2') ORDER BY 2, 1;

-- not enforced
CREATE TABLE loose (k int PRIMARY KEY, n int, CONSTRAINT positive CHECK (n > 0) NOT ENFORCED);
CREATE TABLE looser (k int, n int, CONSTRAINT there FOREIGN KEY (k) REFERENCES loose NOT ENFORCED);
SELECT create_distributed_table('loose', 'k'), create_distributed_table('looser', 'k', colocate_with => 'loose');
INSERT INTO loose VALUES (1, -1);
INSERT INTO looser VALUES (7, 1);
ALTER TABLE looser ALTER CONSTRAINT there ENFORCED;
DELETE FROM looser;
ALTER TABLE looser ALTER CONSTRAINT there ENFORCED;
INSERT INTO looser VALUES (7, 1);
ALTER TABLE loose ADD CONSTRAINT small CHECK (n < 9) NOT ENFORCED;
SELECT * FROM constraints_of('loose') UNION ALL SELECT * FROM constraints_of('looser') ORDER BY 2, 1;

-- virtual columns: other expressions, moves and splits
CREATE TABLE v (k int PRIMARY KEY, n int, w int GENERATED ALWAYS AS (n * 2), s int GENERATED ALWAYS AS (n + 1) STORED);
SELECT create_distributed_table('v', 'k', colocate_with => 'none');
INSERT INTO v SELECT i, i FROM generate_series(1, 100) i;
ALTER TABLE v ADD COLUMN x int GENERATED ALWAYS AS (k + n) VIRTUAL;
ALTER TABLE v ALTER w SET EXPRESSION AS (n * 3), ALTER s SET EXPRESSION AS (v.n + 2);
ALTER TABLE v ADD CHECK (w < 1000);
CREATE INDEX ON v (w);
INSERT INTO v VALUES (101, 400);
SELECT count(*), sum(w), sum(s), sum(x) FROM v;
SELECT shardid AS shard, nodeport AS source, (SELECT min(nodeport) FROM pg_dist_node WHERE groupid > 0 AND nodeport <> p.nodeport) AS target FROM citus_shards p WHERE table_name = 'v'::regclass ORDER BY 1 LIMIT 1 \gset
SELECT citus_move_shard_placement(:shard, 'localhost', :source, 'localhost', :target, 'force_logical');
SELECT citus_move_shard_placement(:shard, 'localhost', :target, 'localhost', :source, 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-1600000000'], ARRAY(SELECT nodeid FROM pg_dist_node WHERE groupid > 0 ORDER BY 1), 'force_logical');
SELECT count(*), sum(w), sum(s), sum(x) FROM v;
COPY v (k, n) FROM STDIN;
200	1
201	2
\.
COPY (SELECT * FROM v WHERE k >= 200 ORDER BY k) TO STDOUT;
SELECT alter_distributed_table('v', shard_count => 2);
SELECT count(*), sum(w), sum(s), sum(x) FROM v;

-- COPY passes over what it cannot read
RESET client_min_messages;
CREATE TABLE c (k int, n int DEFAULT 5, t text);
SELECT create_distributed_table('c', 'k');
COPY c FROM STDIN (ON_ERROR ignore);
1	1	a
x	2	b
3	y	c
4	4	d
\.
COPY c FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY silent);
x	2	b
5	5	e
\.
COPY c FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 1);
6	6	f
x	2	b
y	2	b
\.
COPY c (k, n) FROM STDIN (FORMAT csv, DEFAULT '\D');
7,\D
\.
COPY c (n, k) FROM STDIN (FORMAT csv, DEFAULT '\D');
\D,8
\.
SELECT * FROM c ORDER BY k;
CREATE MATERIALIZED VIEW m AS SELECT k FROM c WHERE k < 4;
COPY m TO STDOUT;

-- VACUUM and ANALYZE
VACUUM (ONLY_DATABASE_STATS);
VACUUM ONLY c;
ANALYZE ONLY p;
ANALYZE ONLY p, c;

-- keys over time
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE spans (id int, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
CREATE TABLE parts (id int, valid daterange, FOREIGN KEY (id, PERIOD valid) REFERENCES spans (id, PERIOD valid));
SELECT create_distributed_table('spans', 'id'), create_distributed_table('parts', 'id', colocate_with => 'spans');
INSERT INTO spans VALUES (1, '[2020-01-01,2021-01-01)'), (1, '[2021-01-01,2022-01-01)');
INSERT INTO spans VALUES (1, '[2020-06-01,2021-06-01)');
INSERT INTO parts VALUES (1, '[2020-03-01,2021-03-01)');
INSERT INTO parts VALUES (2, '[2020-03-01,2021-03-01)');
CREATE TABLE other (id int, k int, valid daterange, UNIQUE (k, valid WITHOUT OVERLAPS));
SELECT create_distributed_table('other', 'id');

DROP EXTENSION btree_gist CASCADE;
DROP SCHEMA s18 CASCADE;
