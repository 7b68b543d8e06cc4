-- INSERT .. SELECT: into distributed and reference tables, from all kinds of sources.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS insert_select CASCADE;
CREATE SCHEMA insert_select;
SET search_path TO insert_select;
RESET client_min_messages;

CREATE TABLE a (k int PRIMARY KEY, v text, n int DEFAULT 7);
CREATE TABLE b (k int PRIMARY KEY, v text, n int);
CREATE TABLE c (other text PRIMARY KEY, k int);
CREATE TABLE r (k int PRIMARY KEY, v text);
CREATE TABLE l (k int, v text);
SELECT create_distributed_table('a', 'k');
SELECT create_distributed_table('b', 'k', colocate_with => 'a');
SELECT create_distributed_table('c', 'other');
SELECT create_reference_table('r');

\set QUIET off
-- from functions, from local tables
INSERT INTO a SELECT i, 'v' || i FROM generate_series(1, 1000) i;
INSERT INTO l SELECT i, 'local' || i FROM generate_series(2001, 2010) i;
INSERT INTO a (v, k) SELECT v, k FROM l;
\set QUIET on
SELECT count(*), sum(k), min(v), max(v), min(n), max(n) FROM a;
SELECT * FROM a WHERE k = 2005;
-- colocated, repartitioned, reference, local targets
INSERT INTO b SELECT k, v, n FROM a WHERE k % 2 = 0;
INSERT INTO c SELECT v, k FROM a;
INSERT INTO r SELECT k, v FROM a WHERE k <= 20;
INSERT INTO l SELECT k, v FROM b WHERE k <= 10;
SELECT (SELECT count(*) FROM b), (SELECT count(*) FROM c), (SELECT count(*) FROM r), (SELECT count(*) FROM l);
SELECT k FROM c WHERE other = 'v500';
SELECT * FROM b WHERE k = 500;
SELECT DISTINCT result FROM run_command_on_placements('r', 'SELECT count(*) FROM %s');
-- into itself: the rows that it inserts are not its source
INSERT INTO a SELECT k + 10000, v FROM a WHERE k <= 100;
INSERT INTO a SELECT -k, v FROM a WHERE k <= 100 ORDER BY k LIMIT 10;
SELECT count(*) FROM a;
-- aggregates, joins, set operations
INSERT INTO a (k, n) SELECT 20000 + n, count(*) FROM a GROUP BY n;
INSERT INTO a (k, v) SELECT a.k + 30000, b.v FROM a JOIN b USING (k) WHERE a.k <= 50;
INSERT INTO a (k) SELECT 40001 UNION SELECT 40002 UNION SELECT k + 5 FROM a WHERE k = 20007;
SELECT count(*) FROM a WHERE k > 10100;
-- ON CONFLICT, RETURNING
INSERT INTO a (k, v) SELECT i, 'again' FROM generate_series(999, 1001) i ON CONFLICT (k) DO NOTHING;
INSERT INTO a (k, v) SELECT i, 'updated' FROM generate_series(999, 1002) i ON CONFLICT (k) DO UPDATE SET v = excluded.v, n = a.n + 1;
SELECT * FROM a WHERE k BETWEEN 998 AND 1002 ORDER BY k;
INSERT INTO a (k, v) SELECT i, 'returned' FROM generate_series(50000, 50000) i RETURNING k, v, n;
\copy (INSERT INTO a (k, v) SELECT i, 'returned' FROM generate_series(50001, 50005) i RETURNING k + 1, upper(v), n) TO PROGRAM 'LC_ALL=C sort'
\copy (INSERT INTO a AS t (k, v) SELECT k, 'twice' FROM a WHERE k BETWEEN 50000 AND 50002 ON CONFLICT (k) DO UPDATE SET v = t.v || ' ' || excluded.v RETURNING *) TO PROGRAM 'LC_ALL=C sort'
-- more rows than one batch
\set QUIET off
INSERT INTO a (k, v) SELECT i, 'batch' FROM generate_series(100001, 103500) i ON CONFLICT DO NOTHING;
INSERT INTO a (k, v) SELECT i, 'batch' FROM generate_series(103001, 106000) i ON CONFLICT DO NOTHING;
\set QUIET on
SELECT count(*), count(DISTINCT k) FROM a WHERE v = 'batch';
-- a failure in a later batch undoes the earlier ones
INSERT INTO a (k, n) SELECT i, 1 / (109000 - i) FROM generate_series(107001, 110000) i ON CONFLICT DO NOTHING;
SELECT count(*) FROM a WHERE k > 107000;
DELETE FROM a WHERE k > 100000;
INSERT INTO r SELECT k, v FROM l WHERE k BETWEEN 2001 AND 2002 RETURNING k;
-- errors: nothing stays
INSERT INTO a (k) SELECT i FROM generate_series(60000, 60010) i UNION ALL SELECT 1;
\set VERBOSITY terse
INSERT INTO a (k) SELECT NULL FROM generate_series(1, 2);
\set VERBOSITY default
INSERT INTO a (k) SELECT 60000 / (i - 5) FROM generate_series(1, 10) i;
SELECT count(*) FROM a WHERE k >= 60000;
-- transactions
BEGIN;
INSERT INTO a (k) SELECT i FROM generate_series(70001, 70100) i;
SELECT count(*) FROM a WHERE k > 70000;
UPDATE a SET v = 'seen' WHERE k > 70000;
INSERT INTO b (k, v) SELECT k, v FROM a WHERE k > 70000;
ROLLBACK;
SELECT (SELECT count(*) FROM a WHERE k > 70000), (SELECT count(*) FROM b WHERE k > 70000);
-- prepared
PREPARE fill (int, int) AS INSERT INTO a (k, n) SELECT i, $2 FROM generate_series($1, $1 + 9) i;
EXECUTE fill (80000, 1);
EXECUTE fill (80010, 2);
EXECUTE fill (80020, 3);
EXECUTE fill (80030, 4);
EXECUTE fill (80040, 5);
EXECUTE fill (80050, 6);
EXECUTE fill (80060, 7);
SELECT n, count(*) FROM a WHERE k >= 80000 GROUP BY n ORDER BY n;

-- what shard groups do on their own, and what passes through this node
CREATE FUNCTION how(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || statement LOOP
		IF line LIKE '%Citus Insert Select%' THEN RETURN 'through this node'; END IF;
		IF line LIKE '%Tier:%' THEN RETURN trim(line); END IF;
	END LOOP;
END $$;
CREATE TABLE d (k int PRIMARY KEY, v text, n int DEFAULT 7, at timestamptz DEFAULT now(), u uuid DEFAULT gen_random_uuid());
SELECT create_distributed_table('d', 'k', colocate_with => 'a');
TRUNCATE a, b;
INSERT INTO b SELECT i, 'v' || i, i % 10 FROM generate_series(1, 1000) i;
SELECT statement, how('INSERT INTO d (k, v) ' || statement) FROM (VALUES
	('SELECT k, v FROM b'), ('SELECT k, v FROM b ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING k'),
	('SELECT b.k, max(r.v) FROM b JOIN r ON r.k = n GROUP BY b.k'), ('SELECT k, v FROM b WHERE k = 5'), ('SELECT 5, v FROM r LIMIT 1'),
	('SELECT k, v FROM b WHERE n = 1 UNION ALL SELECT k, v FROM b WHERE n = 2'), ('WITH x AS (SELECT * FROM b) SELECT k, v FROM x'),
	('SELECT k, random()::text FROM b'), ('SELECT x.k, (SELECT max(y.v) FROM b y WHERE y.k = x.k) FROM b x'),
	('SELECT x.k, y.v FROM b x LEFT JOIN b y ON y.k = x.k'),
	('SELECT k + 1, v FROM b'), ('SELECT n, v FROM b'), ('SELECT k, v FROM b LIMIT 5'), ('SELECT r.k, b.v FROM r LEFT JOIN b ON b.k = r.k'),
	('SELECT b.k, b.v FROM r LEFT JOIN b ON b.k = r.k'), ('SELECT k, v FROM b UNION ALL SELECT 7, NULL'), ('SELECT k, v FROM b WHERE random() >= 0'),
	('SELECT x.k, y.v FROM b x JOIN b y ON y.n = x.n'), ('SELECT k, max(v) FROM b GROUP BY ROLLUP (k)'), ('SELECT k, v FROM l'),
	('SELECT k, first_value(v) OVER (ORDER BY k) FROM b'), ('SELECT k, v FROM b FOR UPDATE')) s (statement);
\set QUIET off
INSERT INTO d (k, v) SELECT k, v FROM b;
INSERT INTO d (k, v) SELECT k, v || 'x' FROM b ON CONFLICT (k) DO UPDATE SET v = excluded.v, n = d.n + 1;
INSERT INTO d (k, v) SELECT 2005, max(v) FROM b WHERE k < 100 RETURNING k, v, n;
INSERT INTO d (k) SELECT k FROM b WHERE k = 5;
INSERT INTO d (k, v) SELECT b.k + 3000, b.v FROM r LEFT JOIN b ON b.k = r.k WHERE r.k = 1;
\set VERBOSITY terse
INSERT INTO d (k, v) SELECT b.k, b.v FROM r LEFT JOIN b ON b.k = r.k + 5000;
\set VERBOSITY default
\set QUIET on
SELECT count(*), sum(n), max(v), count(DISTINCT at), count(DISTINCT u) = count(*) AS different FROM d;
SELECT * FROM b x WHERE NOT EXISTS (SELECT FROM d WHERE d.k = x.k AND d.v = x.v || 'x');

SET client_min_messages TO warning;
DROP SCHEMA insert_select CASCADE;
