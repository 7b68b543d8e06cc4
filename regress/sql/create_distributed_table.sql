-- Distributing tables: shards, existing rows, colocation, and the way back.
\set SHOW_CONTEXT never
CREATE SCHEMA creation;
SET search_path = creation;

-- a table with most of what a column can have, and the objects it needs
CREATE SCHEMA "needed things";
CREATE TYPE "needed things".mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN "needed things".percent AS int CONSTRAINT in_range CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE "needed things".pair AS (x int, y text);
CREATE FUNCTION "needed things".twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE everything (
	id int NOT NULL,
	name varchar(20) COLLATE "C" DEFAULT 'it''s %s "x"' NOT NULL,
	price numeric(10, 2) CHECK (price > 0),
	feeling "needed things".mood DEFAULT 'happy',
	share "needed things".percent,
	both_of "needed things".pair,
	doubled int GENERATED ALWAYS AS ("needed things".twice(id)) STORED,
	at timestamptz DEFAULT now(),
	doc text,
	PRIMARY KEY (id, name)
) WITH (fillfactor = 70);
ALTER TABLE everything ALTER COLUMN doc SET STORAGE EXTERNAL;
CREATE INDEX on_expression ON everything (lower(name)) WHERE price > 10;
CREATE UNIQUE INDEX on_both ON everything (id, price) INCLUDE (share);
CREATE STATISTICS ext_stats ON price, share FROM everything;
COMMENT ON TABLE everything IS 'all of it';
COMMENT ON COLUMN everything.price IS 'in cents';
ALTER TABLE everything ALTER COLUMN name SET STATISTICS 50;
ALTER TABLE everything REPLICA IDENTITY FULL;
INSERT INTO everything (id, price, share, both_of) SELECT i, i, i % 100, row(i, 'y'::text)::"needed things".pair FROM generate_series(1, 500) i;
SELECT create_distributed_table('everything', 'id');
SELECT count(*), sum(price), sum(doubled) FROM everything;
SELECT id, name, price, feeling, share, both_of, doubled FROM everything WHERE id = 42;
SELECT count(*) FROM pg_stat_progress_copy;
SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'everything'::regclass;
SELECT rank() OVER (ORDER BY groupid) AS worker, count(*) FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
	WHERE logicalrelid = 'everything'::regclass GROUP BY groupid ORDER BY 1;
SELECT result FROM run_command_on_workers($$SELECT string_agg(indexdef, E'\n' ORDER BY indexname)
	FROM pg_indexes WHERE tablename = 'everything'$$);
SELECT result FROM run_command_on_workers($$SELECT obj_description('creation.everything'::regclass)
	|| ', ' || col_description('creation.everything'::regclass, 3)
	|| ', ' || (SELECT relreplident::text FROM pg_class WHERE oid = 'creation.everything'::regclass)
	|| ', ' || (SELECT reloptions FROM pg_class WHERE oid = 'creation.everything'::regclass)::text$$);
SELECT DISTINCT result FROM run_command_on_shards('everything', 'SELECT string_agg(conname::text, '' '' ORDER BY conname) FROM pg_constraint WHERE conrelid = ''%s''::regclass AND contype = ''c''');

-- colocation
CREATE TABLE a (x int);
CREATE TABLE b (x int);
CREATE TABLE c (x int);
CREATE TABLE d (x text);
CREATE TABLE e (x int);
SELECT create_distributed_table('a', 'x');
SELECT create_distributed_table('b', 'x', colocate_with => 'a');
SELECT create_distributed_table('c', 'x', colocate_with => 'none');
SELECT create_distributed_table('d', 'x');
SELECT create_distributed_table('e', 'x', shard_count => 3);
SELECT distributed_tables_colocated('a', 'b') AS ab, distributed_tables_colocated('a', 'c') AS ac,
	distributed_tables_colocated('a', 'd') AS ad, distributed_tables_colocated('a', 'e') AS ae,
	distributed_tables_colocated('a', 'everything') AS ax;
SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'e'::regclass;
SELECT shardminvalue, shardmaxvalue FROM pg_dist_shard WHERE logicalrelid = 'e'::regclass ORDER BY shardid;
SELECT get_colocated_table_array('b') @> ARRAY['a', 'b']::regclass[] AS together;
SELECT cardinality(get_colocated_shard_array(min(shardid))) = cardinality(get_colocated_table_array('a')) AS lined_up
	FROM pg_dist_shard WHERE logicalrelid = 'a'::regclass;
SELECT update_distributed_table_colocation('b', 'none');
SELECT distributed_tables_colocated('a', 'b');
SELECT update_distributed_table_colocation('b', 'a');
SELECT distributed_tables_colocated('a', 'b');
SELECT update_distributed_table_colocation('e', 'a');
-- one shard
CREATE TABLE single (x int, y int);
INSERT INTO single VALUES (1, 1), (2, 2);
SELECT create_distributed_table('single', NULL);
SELECT * FROM single ORDER BY x;

-- all or nothing
BEGIN;
CREATE TABLE f (x int);
INSERT INTO f VALUES (1);
SELECT create_distributed_table('f', 'x');
INSERT INTO f VALUES (2);
SELECT * FROM f ORDER BY x;
ROLLBACK;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_class WHERE relname ~ '^f(_|$)' AND relnamespace = 'creation'::regnamespace$$);
BEGIN;
CREATE TABLE f (x int);
SAVEPOINT s;
SELECT create_distributed_table('f', 'x');
ROLLBACK TO s;
INSERT INTO f VALUES (3);
COMMIT;
SELECT * FROM f;
SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'f'::regclass;

-- back again
SELECT undistribute_table('everything');
SELECT count(*), sum(price), sum(doubled) FROM everything;
SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'everything'::regclass;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT to_regclass('creation.everything') IS NULL$$);
INSERT INTO everything (id, price) VALUES (501, 1);
SELECT count(*) FROM everything;
-- tablespaces are this node's
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE cdt_elsewhere LOCATION '';
CREATE TABLE elsewhere (k int) TABLESPACE cdt_elsewhere;
SELECT create_distributed_table('elsewhere', 'k');
DROP TABLE elsewhere;
DROP TABLESPACE cdt_elsewhere;
SET client_min_messages = warning;
DROP SCHEMA creation CASCADE;
DROP SCHEMA "needed things" CASCADE;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_namespace WHERE nspname IN ('creation', 'needed things')$$);
