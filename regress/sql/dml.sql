-- INSERT, UPDATE, DELETE of distributed and reference tables, and what a transaction sees of its own.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS dml_tests CASCADE;
CREATE SCHEMA dml_tests;
SET search_path TO dml_tests;
RESET client_min_messages;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE items (id int PRIMARY KEY, name text DEFAULT 'unnamed', price numeric(10,2) CHECK (price >= 0), feeling mood,
	tags text[], data jsonb, added timestamptz);
SELECT create_distributed_table('items', 'id');

-- One row, every kind of value.
INSERT INTO items VALUES (1, 'one', 1.5, 'happy', '{a,"b c"}', '{"k": [1, null]}', '2024-05-06 07:08:09+00');
INSERT INTO items (id) VALUES (2);
INSERT INTO items VALUES (3, 'drei "ß" ''quoted'' \ back', NULL, NULL, NULL, NULL, NULL);
SET timezone TO 'UTC';
SELECT * FROM items WHERE id = 1;
SELECT id, name, price FROM items ORDER BY id;

-- Many rows, RETURNING, the command tag.
\set QUIET off
INSERT INTO items (id, name) SELECT g, 'n' || g FROM generate_series(10, 12) g;
INSERT INTO items (id, name) VALUES (20, 'twenty'), (21, DEFAULT), (22, upper('x' || 22));
UPDATE items SET price = 7 WHERE id = 20;
UPDATE items SET price = 8 WHERE id IN (20, 21, 99);
UPDATE items SET price = 1 WHERE false;
DELETE FROM items WHERE id = 12;
DELETE FROM items WHERE id = 12;
\set QUIET on
INSERT INTO items (id, name) VALUES (30, 'thirty') RETURNING id, name, price, feeling;
-- (Rows of several shards come in any order.)
\pset tuples_only on
INSERT INTO items (id, name) VALUES (31, 'a'), (32, 'b'), (33, 'c') RETURNING id, name \g |LC_ALL=C sort
\pset tuples_only off
UPDATE items SET price = id * 2 WHERE id = 31 RETURNING id, price, 'v' || price AS v;
-- No name of a column means anything.
UPDATE items SET price = id * 2 WHERE id = 31 RETURNING id AS "citus check option", price AS check_option, price > 0 AS remote_scan;
\pset tuples_only on
DELETE FROM items WHERE id BETWEEN 30 AND 33 RETURNING id \g |LC_ALL=C sort
\pset tuples_only off
SELECT count(*), sum(price) FROM items;

-- More values than one statement can carry.
CREATE TABLE wide (k int, a int, b int, c int, d int, e int, f int, g int);
SELECT create_distributed_table('wide', 'k', shard_count => 2);
\set QUIET off
\set QUIET on
DO $$
BEGIN
	EXECUTE (SELECT 'INSERT INTO dml_tests.wide VALUES ' || string_agg(format('(%s,1,2,3,4,5,6,7)', g), ',')
			 FROM generate_series(1, 20000) g);
END $$;
SELECT count(*), count(DISTINCT k), sum(g) FROM wide;

-- Prepared statements.
PREPARE ins(int, text) AS INSERT INTO items (id, name) VALUES ($1, $2) RETURNING id, name;
EXECUTE ins(101, 'a');
EXECUTE ins(102, NULL);
PREPARE get(int) AS SELECT id, name FROM items WHERE id = $1;
EXECUTE get(101); EXECUTE get(102); EXECUTE get(1); EXECUTE get(2); EXECUTE get(3);
EXECUTE get(101); EXECUTE get(102); EXECUTE get(NULL); EXECUTE get(-5);
PREPARE upd(int, numeric) AS UPDATE items SET price = $2 WHERE id = $1 RETURNING price;
EXECUTE upd(101, 1); EXECUTE upd(101, 2); EXECUTE upd(101, 3); EXECUTE upd(101, 4); EXECUTE upd(101, 5);
EXECUTE upd(101, 6.25); EXECUTE upd(102, NULL);
PREPARE del(int[]) AS DELETE FROM items WHERE id = ANY ($1) RETURNING id IN (101, 102) AS deleted;
EXECUTE del('{101,102,NULL}');
DEALLOCATE ALL;

-- ON CONFLICT.
INSERT INTO items (id, name) VALUES (1, 'again') ON CONFLICT DO NOTHING;
INSERT INTO items (id, name) VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET name = excluded.name || '!' RETURNING name;

-- Errors keep their code and their names.
\set VERBOSITY sqlstate
INSERT INTO items (id, name) VALUES (NULL, 'x');
\set VERBOSITY terse
INSERT INTO items (name) VALUES ('x');
\set VERBOSITY default
INSERT INTO items (id) VALUES (1);
INSERT INTO items (id, price) VALUES (50, -1);
INSERT INTO items (id, name) VALUES (51, 'fine'), (52, 'fine'), (1, 'not');
SELECT count(*) FROM items WHERE id BETWEEN 50 AND 52;
-- The distribution column too: the row moves.
BEGIN;
UPDATE items SET id = 5000 WHERE id = 1 RETURNING id, name;
SELECT count(*) FILTER (WHERE id = 1), count(*) FILTER (WHERE id = 5000) FROM items;
ROLLBACK;

-- A transaction sees its own changes, whichever session made them.
BEGIN;
UPDATE items SET price = 100;
SELECT count(*), min(price), max(price) FROM items;
INSERT INTO items (id, price) VALUES (60, 100);
SELECT price FROM items WHERE id = 60;
SELECT count(*) FROM items WHERE price = 100;
SAVEPOINT s;
DELETE FROM items;
SELECT count(*) FROM items;
ROLLBACK TO s;
SELECT count(*) FROM items;
INSERT INTO items (id) VALUES (60);
ROLLBACK;
SELECT count(*) FROM items WHERE price = 100;

BEGIN;
SAVEPOINT a;
INSERT INTO items (id) VALUES (1);
ROLLBACK TO a;
INSERT INTO items (id, name) VALUES (61, 'after');
COMMIT;
SELECT name FROM items WHERE id = 61;

-- In functions, with exception blocks.
CREATE FUNCTION add_item(i int, n text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO dml_tests.items (id, name) VALUES (i, n);
	RETURN 'added';
EXCEPTION WHEN unique_violation THEN
	UPDATE dml_tests.items SET name = n WHERE id = i;
	RETURN 'changed';
END $$;
SELECT add_item(70, 'a'), add_item(71, 'b'), add_item(70, 'c');
SELECT id, name FROM items WHERE id IN (70, 71) ORDER BY id;

-- A loop over a distributed query that changes the table it reads.
CREATE FUNCTION raise_prices() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	r record;
	n int := 0;
BEGIN
	FOR r IN SELECT id FROM dml_tests.items ORDER BY id LOOP
		UPDATE dml_tests.items SET price = coalesce(price, 0) + 1 WHERE id = r.id;
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;
SELECT raise_prices() = (SELECT count(*) FROM items) AS all_of_them;

-- Cursors: other statements run while one is open.
BEGIN;
DECLARE c CURSOR FOR SELECT k FROM wide ORDER BY k;
FETCH 3 FROM c;
UPDATE wide SET a = 2 WHERE k = 5;
SELECT count(*) FROM wide WHERE a = 2;
FETCH 3 FROM c;
CLOSE c;
DECLARE d CURSOR FOR SELECT k FROM wide;
MOVE 10 FROM d;
COMMIT;
SELECT count(*) FROM wide;

-- LIMIT ends a scan early; the session is usable afterwards.
SELECT count(*) FROM (SELECT * FROM wide LIMIT 5) s;
SELECT count(*) FROM wide;
BEGIN;
SELECT count(*) FROM (SELECT * FROM wide LIMIT 5) s;
SELECT count(*) FROM wide;
COMMIT;

-- DDL after reads through several sessions a node, with a cursor open: it does not wait for ourselves.
BEGIN;
SET LOCAL statement_timeout TO '2min';
SET LOCAL citus.remote_task_check_interval TO 1;
SELECT sum(length(repeat(name, 1000))) > 0 AS read FROM items;
DECLARE e CURSOR FOR SELECT id FROM items;
MOVE 1 FROM e;
SAVEPOINT s;
ALTER TABLE items ADD COLUMN extra int;
ROLLBACK TO s;
CLOSE e;
ALTER TABLE items ADD COLUMN extra int;
UPDATE items SET extra = 1;
ALTER TABLE items ALTER COLUMN extra TYPE bigint;
SELECT count(extra) = count(*) AS all_set FROM items;
ROLLBACK;

-- Reference tables: every replica changes.
CREATE TABLE colors (id int PRIMARY KEY, name text UNIQUE);
SELECT create_reference_table('colors');
INSERT INTO colors VALUES (1, 'red'), (2, 'green'), (3, 'blue') RETURNING *;
UPDATE colors SET name = upper(name) WHERE id < 3 RETURNING name;
DELETE FROM colors WHERE id = 3;
INSERT INTO colors VALUES (4, 'RED');
SELECT * FROM colors ORDER BY id;
BEGIN;
UPDATE colors SET name = 'pink' WHERE id = 1;
SELECT * FROM colors ORDER BY id;
SELECT c.name, count(*) FROM items i JOIN colors c ON c.id = i.id GROUP BY 1 ORDER BY 1;
ROLLBACK;
SELECT * FROM colors ORDER BY id;

SET client_min_messages TO warning;
DROP SCHEMA dml_tests CASCADE;
