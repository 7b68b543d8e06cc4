-- SQL functions that the planner makes a part of the statement see the rows of distributed, reference and local tables, wherever
-- they are called, and no plan of anybody's reads the empty table that stands for a distributed one.
SET citus.next_shard_id TO 1941000;
SET citus.shard_count TO 4;
CREATE SCHEMA inlined_functions;
SET search_path TO inlined_functions;
CREATE TABLE f (a int PRIMARY KEY, b text);
CREATE TABLE r (a int PRIMARY KEY, n text);
CREATE TABLE l (a int PRIMARY KEY, n text);
CREATE TABLE plain (a int, n text);
CREATE TABLE late (a int);
CREATE TABLE parts (k int, v int) PARTITION BY RANGE (v);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
SELECT create_distributed_table('f', 'a');
SELECT create_reference_table('r');
SELECT citus_add_local_table_to_metadata('l');
SELECT create_distributed_table('parts', 'k');
INSERT INTO f SELECT i, 'b' || i FROM generate_series(1, 8) i;
INSERT INTO r SELECT i, 'n' || i FROM generate_series(1, 3) i;
INSERT INTO l SELECT i, 'l' || i FROM generate_series(1, 4) i;
INSERT INTO plain SELECT i, 'p' || i FROM generate_series(1, 5) i;
INSERT INTO parts SELECT i, i FROM generate_series(1, 15) i;

CREATE FUNCTION s_f() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT a FROM inlined_functions.f';
CREATE FUNCTION s_one(int) RETURNS SETOF inlined_functions.f LANGUAGE sql STABLE AS 'SELECT * FROM inlined_functions.f WHERE a = $1';
CREATE FUNCTION s_default(int DEFAULT 3, suffix text DEFAULT 'x') RETURNS TABLE (id int, label text) LANGUAGE sql STABLE
	AS 'SELECT a, b || $2 FROM inlined_functions.f WHERE a <= $1';
CREATE FUNCTION s_immutable() RETURNS SETOF int LANGUAGE sql IMMUTABLE AS 'SELECT a FROM inlined_functions.f';
CREATE FUNCTION s_r() RETURNS SETOF inlined_functions.r LANGUAGE sql STABLE AS 'SELECT * FROM inlined_functions.r';
CREATE FUNCTION s_l() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT a FROM inlined_functions.l';
CREATE FUNCTION s_parts() RETURNS SETOF inlined_functions.parts LANGUAGE sql STABLE AS 'SELECT * FROM inlined_functions.parts';
CREATE FUNCTION s_plain() RETURNS SETOF inlined_functions.plain LANGUAGE sql STABLE AS 'SELECT * FROM inlined_functions.plain';
CREATE FUNCTION s_nested(int) RETURNS SETOF int LANGUAGE sql STABLE
	AS 'SELECT o.a FROM inlined_functions.s_one($1) o JOIN inlined_functions.s_f() x(a) USING (a)';
CREATE FUNCTION s_atomic(int) RETURNS TABLE (id int, label text) LANGUAGE sql STABLE
	BEGIN ATOMIC SELECT f.a, f.b FROM inlined_functions.f WHERE f.a > $1; END;
CREATE FUNCTION s_volatile() RETURNS SETOF int LANGUAGE sql AS 'SELECT a FROM inlined_functions.f';
CREATE FUNCTION s_definer() RETURNS SETOF int LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT a FROM inlined_functions.f';
CREATE FUNCTION s_strict(int) RETURNS SETOF int LANGUAGE sql STABLE STRICT AS 'SELECT a FROM inlined_functions.f WHERE a = $1';
CREATE FUNCTION s_sum() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(a) FROM inlined_functions.f';
CREATE FUNCTION s_scalar(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT (SELECT b FROM inlined_functions.f WHERE a = $1)';
CREATE FUNCTION s_calls(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT inlined_functions.s_scalar($1)';
CREATE VIEW v_f AS SELECT x FROM s_f() x;
CREATE VIEW v_fr AS SELECT o.a, o.b, r.n FROM s_atomic(1) o(a, b) JOIN s_r() r USING (a);
CREATE FUNCTION s_view() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT x FROM inlined_functions.v_f';

-- FROM.
SELECT count(*), sum(x) FROM s_f() x;
SELECT * FROM s_one(2);
SELECT * FROM s_default() ORDER BY 1;
SELECT * FROM s_default(suffix => '!') ORDER BY 1;
SELECT q.label, q.id FROM s_default(2, 'y') AS q(id, label) ORDER BY 1;
SELECT count(*) FROM s_immutable();
SELECT count(*), min(n) FROM s_r();
SELECT count(*) FROM s_l();
SELECT count(*), sum(v) FROM s_parts();
SELECT count(*) FROM s_plain() JOIN s_f() x ON x = a;
SELECT * FROM s_nested(3);
SELECT * FROM s_atomic(6) ORDER BY 1;
SELECT count(*) FROM s_view();
SELECT count(*) FROM s_volatile();
SELECT count(*) FROM s_definer();
SELECT count(*) FROM s_strict(3);
SELECT count(*) FROM s_f() WITH ORDINALITY;
SELECT count(*), count(a), count(b) FROM ROWS FROM (s_f(), s_one(1)) AS t(x, a, b);
SELECT x, o.b FROM generate_series(1, 3) x, s_one(x) o ORDER BY 1;
SELECT p.a, o.b FROM plain p LEFT JOIN LATERAL s_one(p.a) o ON o.a < 3 ORDER BY 1;
SELECT f.a, o.b FROM f CROSS JOIN LATERAL s_one(f.a) o WHERE f.a = 4;
SELECT count(*) FROM s_f() x JOIN f ON f.a = x;
SELECT s_f() ORDER BY 1 LIMIT 2;
SELECT * FROM v_fr ORDER BY 1;
SELECT count(*) FROM v_f WHERE x > 3;
-- One shard is enough for a key.
CREATE FUNCTION tiers(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; result text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ '^ *(Tier|Tasks):' THEN result := result || trim(line) || ' '; END IF;
	END LOOP;
	RETURN result;
END $$;
SELECT tiers('SELECT * FROM s_one(2)'), tiers('SELECT count(*) FROM s_nested(3)'), tiers('SELECT count(*) FROM s_one(2) JOIN f USING (a)');
-- Elsewhere.
SELECT a FROM plain WHERE a IN (SELECT s_f()) AND a > 3 ORDER BY 1;
SELECT a FROM plain WHERE a IN (SELECT x FROM s_f() x WHERE x > 4) ORDER BY 1;
SELECT a, (SELECT b FROM s_one(p.a)), s_scalar(a), s_calls(a) FROM plain p WHERE EXISTS (SELECT FROM s_one(p.a + 4)) ORDER BY 1;
SELECT s_sum(), ARRAY(SELECT x FROM s_f() x ORDER BY x DESC LIMIT 2);
WITH c AS (SELECT * FROM s_one(5)), m AS MATERIALIZED (SELECT count(*) n FROM s_f()) SELECT * FROM c, m;
SELECT x FROM s_f() x WHERE x < 2 UNION ALL SELECT a FROM s_r() WHERE a = 3 ORDER BY 1;
SELECT count(*) OVER (), x FROM s_f() x ORDER BY x LIMIT 1;
VALUES ((SELECT count(*) FROM s_f())), ((SELECT count(*) FROM s_plain()));
COPY (SELECT x FROM s_f() x WHERE x < 3 ORDER BY x) TO STDOUT;
CREATE TABLE made AS SELECT x FROM s_f() x;
SELECT count(*) FROM made;
DO $$
DECLARE n int; total int := 0;
BEGIN
	FOR n IN SELECT x FROM inlined_functions.s_f() x LOOP total := total + n; END LOOP;
	RAISE NOTICE 'total %', total;
END $$;
BEGIN;
DECLARE c CURSOR FOR SELECT x FROM s_f() x ORDER BY x;
FETCH 2 FROM c;
COMMIT;
-- Changes.
INSERT INTO plain SELECT x, 'from f' FROM s_f() x WHERE x > 7 RETURNING *;
WITH i AS (INSERT INTO f SELECT a + 10, n FROM s_r() RETURNING *) SELECT * FROM i ORDER BY a;
INSERT INTO r SELECT id + 10, label FROM s_atomic(12) RETURNING *;
INSERT INTO f VALUES (20, (SELECT b FROM s_one(1))) RETURNING *;
INSERT INTO f SELECT 20, 'again' FROM s_one(1) ON CONFLICT (a) DO UPDATE SET b = excluded.b || f.b RETURNING *;
UPDATE plain SET n = o.b FROM s_one(2) o WHERE o.a = plain.a RETURNING plain.*;
UPDATE f SET b = o.n FROM s_r() o WHERE o.a = f.a AND f.a = 3 RETURNING f.*;
UPDATE f SET b = (SELECT count(*) FROM s_f()) WHERE a = 4 RETURNING b, (SELECT count(*) FROM s_plain());
UPDATE r SET n = s_scalar(a) WHERE a = 1 RETURNING *;
WITH d AS (DELETE FROM plain USING s_f() x WHERE x = a AND a < 3 RETURNING a) SELECT * FROM d ORDER BY a;
WITH d AS (DELETE FROM f WHERE a IN (SELECT x FROM s_f() x WHERE x > 10) RETURNING a, (SELECT count(*) FROM s_l()) n) SELECT * FROM d ORDER BY a;
MERGE INTO plain USING s_one(8) o ON o.a = plain.a WHEN MATCHED THEN UPDATE SET n = 'merged';
MERGE INTO f USING s_one(8) o ON o.a = f.a WHEN MATCHED THEN UPDATE SET b = 'merged too';
WITH gone AS (DELETE FROM f USING s_one(7) o WHERE o.a = f.a RETURNING f.a) SELECT gone.a, (SELECT count(*) FROM s_f()) FROM gone;
SELECT * FROM plain ORDER BY a, n;
SELECT * FROM f ORDER BY a;
CREATE VIEW checked AS SELECT * FROM plain WHERE a IN (SELECT x FROM s_f() x) WITH CHECK OPTION;
INSERT INTO checked VALUES (5, 'is there');
INSERT INTO checked VALUES (50, 'is not there');
CREATE VIEW checked_f AS SELECT * FROM f WHERE EXISTS (SELECT FROM s_r() r WHERE r.a = f.a) WITH CHECK OPTION;
INSERT INTO checked_f VALUES (50, 'is not there');
UPDATE checked_f SET b = 'seen' WHERE a = 2 RETURNING *;
-- Prepared, and plans of functions, from before the table was distributed and after the function was changed.
PREPARE p(int) AS SELECT count(*) FROM s_one($1);
EXECUTE p(1);
EXECUTE p(2);
EXECUTE p(99);
SET plan_cache_mode TO force_generic_plan;
EXECUTE p(3);
INSERT INTO late VALUES (1), (2);
CREATE FUNCTION s_late() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT a FROM inlined_functions.late';
CREATE FUNCTION count_late() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM inlined_functions.s_late()); END $$;
PREPARE q AS SELECT count(*) FROM s_late();
EXECUTE q;
SELECT count_late();
SELECT create_distributed_table('late', 'a');
INSERT INTO late VALUES (3);
EXECUTE q;
SELECT count_late();
CREATE OR REPLACE FUNCTION s_late() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT a FROM inlined_functions.late WHERE a > 1';
EXECUTE q;
SELECT count_late();
ALTER TABLE late ADD COLUMN b int;
EXECUTE q;
SELECT undistribute_table('late');
EXECUTE q;
SELECT count_late();
RESET plan_cache_mode;
-- Columns that are gone, and a function that a role may not call or whose table it may not read.
CREATE TABLE dropped (a int, gone int, b text);
SELECT create_distributed_table('dropped', 'a');
ALTER TABLE dropped DROP COLUMN gone;
INSERT INTO dropped VALUES (1, 'one'), (2, 'two');
CREATE FUNCTION s_dropped() RETURNS SETOF inlined_functions.dropped LANGUAGE sql STABLE AS 'SELECT * FROM inlined_functions.dropped';
SELECT * FROM s_dropped() ORDER BY a;
SELECT d FROM s_dropped() d ORDER BY a;
SELECT count(*) FROM s_dropped() d JOIN f USING (a);
CREATE ROLE inlined_functions_reader LOGIN;
GRANT USAGE ON SCHEMA inlined_functions TO inlined_functions_reader;
SET ROLE inlined_functions_reader;
SELECT count(*) FROM s_f();
SELECT count(*) FROM s_definer();
RESET ROLE;
GRANT SELECT ON f TO inlined_functions_reader;
REVOKE EXECUTE ON FUNCTION s_one(int) FROM PUBLIC;
SET ROLE inlined_functions_reader;
SELECT count(*) FROM s_f();
SELECT count(*) FROM s_one(1);
RESET ROLE;

-- Other extensions: one that offers a scan of the table, and one that does not ask us at all.
LOAD 'neighbour';
SET neighbour.scan_all TO on;
SELECT count(*) FROM plain;
SELECT count(*) FROM f;
SELECT count(*) FROM r, plain;
SELECT count(*) FROM plain WHERE a IN (SELECT x FROM s_f() x);
SELECT a FROM f WHERE a = 1;
RESET neighbour.scan_all;
SET neighbour.skip_hooks TO on;
SELECT count(*) FROM plain;
SELECT count(*) FROM f;
SELECT a FROM f WHERE a = 1;
SELECT (SELECT max(a) FROM l), * FROM plain WHERE false;
INSERT INTO f VALUES (100, 'lost');
UPDATE r SET n = 'lost';
DELETE FROM parts WHERE v = 3;
INSERT INTO plain SELECT a FROM r;
SELECT count(*) FROM f TABLESAMPLE SYSTEM (10);
EXPLAIN (COSTS OFF) SELECT count(*) FROM f;
WITH x AS (INSERT INTO f VALUES (100, 'lost') RETURNING a) SELECT * FROM x;
RESET neighbour.skip_hooks;
SELECT count(*) FROM f;
SELECT count(*) FROM parts;

\c -
SET client_min_messages TO warning;
DROP SCHEMA inlined_functions CASCADE;
DROP ROLE inlined_functions_reader;
