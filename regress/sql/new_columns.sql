-- Columns that are added with a default that is no constant.
\set SHOW_CONTEXT never
CREATE SCHEMA added;
SET search_path = added;
CREATE TABLE t (k int PRIMARY KEY);
CREATE TABLE r (k int PRIMARY KEY);
CREATE TABLE p (k int, v int) PARTITION BY LIST (v);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
SELECT create_distributed_table('t', 'k');
SELECT create_reference_table('r');
SELECT create_distributed_table('p', 'k');
INSERT INTO t SELECT generate_series(1, 100);
INSERT INTO r SELECT generate_series(1, 10);
INSERT INTO p SELECT i, 1 FROM generate_series(1, 50) i;

-- one value for all rows that are there, whatever shard they are in; others get their own
BEGIN;
ALTER TABLE t ADD COLUMN made timestamptz NOT NULL DEFAULT now(), ADD COLUMN day date DEFAULT current_date CHECK (day > '2000-01-01'), ADD n int DEFAULT 3;
SELECT count(DISTINCT made) AS moments, bool_and(made = now()) AS of_transaction, bool_and(day = current_date) AS of_day, sum(n) FROM t;
COMMIT;
ALTER TABLE r ADD COLUMN made timestamptz NOT NULL DEFAULT now();
SELECT count(DISTINCT result) FROM run_command_on_placements('r', 'SELECT string_agg(made::text, NULL ORDER BY k) FROM %s');
ALTER TABLE p ADD COLUMN made timestamptz DEFAULT statement_timestamp() - interval '1 day', ADD COLUMN who text DEFAULT current_user, ADD COLUMN half numeric(5, 1) DEFAULT extract(year FROM now()) / 2;
SELECT count(DISTINCT made), bool_and(made < now()), bool_and(who = current_user), count(DISTINCT half) FROM p;
INSERT INTO t (k) VALUES (101);
INSERT INTO r VALUES (11);
INSERT INTO p VALUES (51, 1);
SELECT count(DISTINCT made) FROM t;
SELECT count(DISTINCT made) FROM r;
SELECT count(DISTINCT made) FROM p;
SELECT table_name, column_name, column_default FROM information_schema.columns
WHERE table_schema = 'added' AND column_default IS NOT NULL ORDER BY table_name, ordinal_position;
SELECT DISTINCT result FROM run_command_on_shards('t', $$SELECT string_agg(pg_get_expr(adbin, adrelid), ', ' ORDER BY adnum) FROM pg_attrdef WHERE adrelid = '%s'::regclass$$);
-- also from a function of the user's, whose value is NULL
CREATE FUNCTION nothing() RETURNS int STABLE LANGUAGE sql AS 'SELECT NULL::int';
ALTER TABLE t ADD COLUMN "Odd ""name" int DEFAULT nothing();
SELECT count("Odd ""name"), count(*) FROM t;
-- there already: nothing changes
ALTER TABLE t ADD COLUMN IF NOT EXISTS n timestamptz DEFAULT now();
INSERT INTO t (k) VALUES (102);
SELECT n FROM t WHERE k = 102;

-- a value for each row
ALTER TABLE t ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();
SELECT count(DISTINCT id) FROM t;
INSERT INTO t (k) VALUES (103);
SELECT count(DISTINCT id) FROM t;
CREATE FUNCTION dice() RETURNS float VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN random(); END';
ALTER TABLE p ADD COLUMN chance float DEFAULT dice();
SELECT count(DISTINCT chance) > 40 FROM p;

-- not possible
ALTER TABLE r ADD COLUMN id uuid DEFAULT gen_random_uuid();
CREATE SEQUENCE s;
ALTER TABLE t ADD COLUMN odd nosuchtype DEFAULT now();
ALTER TABLE t ADD COLUMN odd timestamptz DEFAULT nosuchfunction();
ALTER TABLE t ADD COLUMN odd int DEFAULT now();
ALTER TABLE t ADD COLUMN odd date DEFAULT k;
ALTER TABLE t ADD COLUMN early date DEFAULT current_date CHECK (early < '2000-01-01');
SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0;

SET client_min_messages = warning;
DROP SCHEMA added CASCADE;
