-- Statements that one shard answers: which tier plans them, and that they are right.
CREATE SCHEMA router;
SET search_path = router;
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE TABLE t (k int PRIMARY KEY, v int, txt text);
CREATE TABLE u (k int, id int, PRIMARY KEY (k, id));
CREATE TABLE x (k int, v int);
CREATE TABLE r (id int PRIMARY KEY, name text);
CREATE TABLE l (id int);
SELECT create_distributed_table('t', 'k');
SELECT create_distributed_table('u', 'k', colocate_with => 't');
SELECT create_distributed_table('x', 'k', colocate_with => 'none');
SELECT create_reference_table('r');
INSERT INTO t SELECT i, i * 10, 'txt' || i FROM generate_series(1, 10) i;
INSERT INTO u SELECT i % 5, i FROM generate_series(1, 20) i;
INSERT INTO r VALUES (1, 'one'), (2, 'two');

-- The tier of each remote part of a statement, and its number of tasks.
CREATE FUNCTION tiers(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	result text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ '^ *(Tier|Tasks):' THEN
			result := result || trim(line) || ' ';
		END IF;
	END LOOP;
	RETURN trim(result);
END $$;

-- fast path
SELECT tiers('SELECT * FROM t WHERE k = 1');
SELECT tiers('SELECT count(*), max(v) FROM t WHERE k = 1 AND v > 3');
SELECT tiers('SELECT * FROM t WHERE 1 = k AND (v = 1 OR v = 2) ORDER BY v LIMIT 1');
SELECT tiers('SELECT * FROM t WHERE k = 5::bigint');
SELECT tiers('SELECT * FROM t WHERE k = 5000000000');
SELECT tiers('UPDATE t SET v = 1 WHERE k = 1');
SELECT tiers('DELETE FROM t WHERE k = 1');
SELECT tiers('SELECT * FROM r');
-- router
SELECT tiers('SELECT * FROM t, u WHERE t.k = u.k AND t.k = 1');
SELECT tiers('SELECT * FROM t JOIN u USING (k) WHERE k = 1');
SELECT tiers('SELECT * FROM t LEFT JOIN u ON t.k = u.k WHERE t.k = 1');
SELECT tiers('SELECT * FROM t LEFT JOIN u ON u.k = 1 WHERE t.k = 1');
SELECT tiers('SELECT * FROM t WHERE k = 1 AND EXISTS (SELECT 1 FROM u WHERE u.k = t.k)');
SELECT tiers('SELECT * FROM t WHERE k = 1 AND v > (SELECT avg(v) FROM t WHERE k = 1)');
SELECT tiers('SELECT * FROM (SELECT k, count(*) FROM u GROUP BY k) q WHERE k = 2');
SELECT tiers('WITH q AS (SELECT * FROM u WHERE k = 2) SELECT * FROM q JOIN t USING (k)');
SELECT tiers('SELECT k FROM t WHERE k = 2 UNION ALL SELECT k FROM u WHERE k = 2');
SELECT tiers('SELECT * FROM t JOIN r ON r.id = t.v WHERE t.k = 3');
SELECT tiers('SELECT * FROM t WHERE k IN (SELECT k FROM u WHERE k = 4)');
SELECT tiers('WITH d AS (DELETE FROM t WHERE k = 1 RETURNING *) SELECT * FROM d');
-- not the router: an outer join's preserved side is not held by ON, two keys, LIMIT below the restriction
SELECT tiers('SELECT * FROM t LEFT JOIN u ON t.k = u.k AND t.k = 1') <> 'Tier: Router Tasks: 1';
SELECT tiers('SELECT * FROM (SELECT * FROM t ORDER BY v LIMIT 5) q WHERE k = 2') <> 'Tier: Router Tasks: 1';
SELECT tiers('SELECT * FROM t JOIN l ON l.id = t.v WHERE t.k = 1') <> 'Tier: Router Tasks: 1';
SELECT tiers('SELECT * FROM t, x WHERE t.k = 1 AND x.k = 1') <> 'Tier: Router Tasks: 1';

-- answers
SELECT * FROM t WHERE k = 3;
SELECT count(*), sum(v) FROM t WHERE k = NULL;
SELECT count(*) FROM t WHERE k = 5000000000;
SELECT t.k, t.v, u.id FROM t LEFT JOIN u ON t.k = u.k WHERE t.k = 2 ORDER BY id;
SELECT t.k, u.id FROM t LEFT JOIN u ON t.k = u.k AND u.id > 100 WHERE t.k = 2;
SELECT * FROM (SELECT * FROM t ORDER BY v LIMIT 5) q WHERE k = 9;
SELECT t FROM t WHERE k = 2;
SELECT tableoid::regclass, k FROM t WHERE k = 2;
SELECT t.k, r.name FROM t, r WHERE t.k = r.id AND r.id = 2;
SELECT k, now() = transaction_timestamp() AS stable FROM t WHERE k = 2;
SELECT * FROM t WHERE k = 2 FOR UPDATE;
SELECT k, 'router.t t' AS "router.t t", '$1' FROM t "router.t" WHERE k = 2;

-- writes
UPDATE t SET v = v + 1 WHERE k = 2 RETURNING *;
UPDATE t SET v = r.id, txt = r.name FROM r WHERE r.id = t.k AND t.k = 1 RETURNING *;
DELETE FROM t USING u WHERE t.k = u.k AND u.k = 4 RETURNING t.k, t.v;
WITH d AS (DELETE FROM t WHERE k = 10 RETURNING *) SELECT k, v FROM d;
UPDATE t SET k = k WHERE k = 2;
\set VERBOSITY terse
UPDATE t SET k = 3 WHERE k = 2;
\set VERBOSITY default
BEGIN;
UPDATE t SET k = k + 1000;
SELECT min(k) > 1000 AS moved FROM t;
ROLLBACK;
UPDATE t SET v = (random() * 0)::int WHERE k = 2 RETURNING v;
BEGIN;
UPDATE t SET v = random();
UPDATE t SET v = l.id FROM l WHERE t.k = 1;
DELETE FROM t USING x WHERE t.v = x.v;
SELECT k FROM t ORDER BY k FOR UPDATE;
ROLLBACK;
BEGIN;
WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d ORDER BY k;
ROLLBACK;
UPDATE r SET name = name || '!' WHERE id = 1 RETURNING *;
UPDATE r SET name = random()::text;
SELECT count(DISTINCT result) FROM run_command_on_placements('r', 'SELECT string_agg(name, '','' ORDER BY id) FROM %s');
SELECT count(*) FROM t;

-- through an updatable view; backwards in a cursor
CREATE VIEW large AS SELECT k, v FROM t WHERE v > 40;
UPDATE large SET v = v + 1 WHERE k = 5 RETURNING *;
UPDATE large SET v = v + 1;
INSERT INTO large VALUES (50, 500) RETURNING *;
DELETE FROM large WHERE k = 50;
SELECT * FROM large ORDER BY k;
BEGIN;
DECLARE one SCROLL CURSOR FOR SELECT k FROM t WHERE k = 5;
FETCH ALL FROM one;
FETCH BACKWARD 1 FROM one;
DECLARE all_rows SCROLL CURSOR FOR SELECT k FROM t ORDER BY k;
FETCH 3 FROM all_rows;
FETCH BACKWARD 2 FROM all_rows;
COMMIT;
DROP SCHEMA router CASCADE;
