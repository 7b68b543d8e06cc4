-- Prepared statements, cursors, PL/pgSQL, CREATE TABLE AS, savepoints.
CREATE TABLE a (k int PRIMARY KEY, g int, v text);
CREATE TABLE b (k bigint, j int);
CREATE TABLE s (id text PRIMARY KEY, n int);
CREATE TABLE r (id int PRIMARY KEY, t text);
--* SELECT create_distributed_table('a', 'k');
--* SELECT create_distributed_table('b', 'k');
--* SELECT create_distributed_table('s', 'id');
--* SELECT create_reference_table('r');
INSERT INTO a SELECT i, i % 7, 'v' || i FROM generate_series(1, 60) i;
INSERT INTO b SELECT i % 25, i % 6 FROM generate_series(1, 80) i;
INSERT INTO s SELECT 'id' || i, i FROM generate_series(1, 40) i;
INSERT INTO r SELECT i, 'r' || i FROM generate_series(0, 9) i;
-- A scan whose tasks still wait when another one has locked rows of their shard group.
SET citus.force_max_query_parallelization = on;
UPDATE b SET j = s.n FROM s JOIN (SELECT 6 + 5 AS c FROM b y) z ON s.n = z.c WHERE b.k = s.n AND b.j NOT IN (2, 9);
DELETE FROM b USING s JOIN (SELECT 6 + 6 AS c FROM b y) z ON s.n = z.c WHERE b.k = s.n AND b.j NOT IN (2, 9) RETURNING b.*;
RESET citus.force_max_query_parallelization;
SELECT * FROM b;
-- ON CONFLICT: the distribution column from excluded; subqueries read on the shard only what is there in full
INSERT INTO a VALUES (1, 1, 'c'), (61, 2, 'd') ON CONFLICT (k) DO UPDATE SET k = excluded.k, g = excluded.g, v = excluded.v RETURNING *;
INSERT INTO a SELECT k + 1, g, v || '!' FROM a WHERE k < 5 ON CONFLICT (k) DO UPDATE SET (k, v) = ROW (excluded.k, a.v || excluded.v) RETURNING *;
--0A000
INSERT INTO a VALUES (1, 1, 'c') ON CONFLICT (k) DO UPDATE SET k = excluded.k + 100;
--0A000
INSERT INTO a VALUES (1, 1, 'c'), (2, 1, 'c') ON CONFLICT (k) DO UPDATE SET g = (SELECT max(j) FROM b);
--0A000
INSERT INTO r VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET t = (SELECT max(v) FROM a);
INSERT INTO a VALUES (1, 1, 'c'), (2, 1, 'c') ON CONFLICT (k) DO UPDATE SET g = (SELECT max(id) FROM r) RETURNING *;
INSERT INTO r VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET t = (SELECT max(o.t) FROM r o) RETURNING *;
CREATE FUNCTION walk(upto int) RETURNS TABLE (k int, c bigint, t text) LANGUAGE plpgsql AS $$
DECLARE row record; cur refcursor; total int := 0;
BEGIN
	FOR row IN SELECT x.k, x.g FROM a x WHERE x.k <= upto ORDER BY x.k LOOP
		SELECT count(*) INTO c FROM b y WHERE y.k = row.k;
		SELECT z.t INTO t FROM r z WHERE z.id = row.g;
		k := row.k;
		UPDATE s SET n = n + 1 WHERE s.id = 'id' || row.k;
		total := total + row.k;
		RETURN NEXT;
	END LOOP;
	OPEN cur FOR SELECT x.k FROM a x WHERE x.g = 3 ORDER BY x.k;
	FETCH cur INTO k;
	MOVE FORWARD 2 FROM cur;
	FETCH cur INTO c;
	CLOSE cur;
	t := format('cursor %s', total);
	RETURN NEXT;
	BEGIN
		INSERT INTO a VALUES (1, 1, 'twice');
	EXCEPTION WHEN unique_violation THEN
		k := -1; t := 'caught ' || SQLERRM;
		RETURN NEXT;
	END;
	EXECUTE 'SELECT max(k) FROM a WHERE g = $1' INTO k USING 3;
	FOREACH c IN ARRAY ARRAY[1, 2] LOOP
		PERFORM 1 FROM a x WHERE x.k = c;
		IF FOUND THEN t := 'found'; END IF;
		RETURN NEXT;
	END LOOP;
	DELETE FROM s WHERE n > 100;
	GET DIAGNOSTICS k = ROW_COUNT;
	RETURN NEXT;
	RETURN QUERY SELECT x.g, count(*), max(x.v) FROM a x GROUP BY x.g;
END $$;
CREATE FUNCTION one(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT v FROM a WHERE k = $1';
CREATE PROCEDURE fill(n int) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..n LOOP INSERT INTO b VALUES (1000 + i, i); IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF; END LOOP; END $$;
--coordinator
PREPARE by_key (int) AS SELECT * FROM a WHERE k = $1;
--again 7
EXECUTE by_key (5);
EXECUTE by_key (NULL);
PREPARE other_type (bigint, smallint) AS SELECT a.k, b.j FROM a JOIN b ON b.k = a.k WHERE a.k = $1 AND b.j > $2;
--again 7
EXECUTE other_type (7, 1::smallint);
EXECUTE other_type (70000000000, 1::smallint);
PREPARE by_numeric (numeric) AS SELECT count(*) FROM a WHERE k = $1;
--again 7
EXECUTE by_numeric (7.0);
EXECUTE by_numeric (7.5);
PREPARE by_array (int[]) AS SELECT k, v FROM a WHERE k = ANY ($1);
--again 7
EXECUTE by_array ('{1,2,NULL,77}');
EXECUTE by_array ('{}');
EXECUTE by_array (NULL);
PREPARE by_text (varchar, unknown) AS SELECT * FROM s WHERE id = $1 OR id = $2;
--again 7
EXECUTE by_text ('id3', 'id4');
PREPARE change (int, text) AS UPDATE a SET v = v || $2, g = g + length($2) WHERE k = $1 RETURNING *;
--again 7
EXECUTE change (9, 'x');
PREPARE put (int, text) AS INSERT INTO a VALUES ($1, length($2), $2) ON CONFLICT (k) DO UPDATE SET v = a.v || excluded.v RETURNING k, v;
--again 7
EXECUTE put (200, 'p');
PREPARE many (int) AS SELECT g, count(*), max(v) FROM a WHERE k > $1 GROUP BY g ORDER BY g LIMIT $1;
--again 7
EXECUTE many (3);
EXECUTE many (NULL);
PREPARE moment AS SELECT count(*), bool_and(now() = statement_timestamp()) FROM a;
--again 7
EXECUTE moment;
ALTER TABLE a ADD COLUMN extra int DEFAULT 4;
EXECUTE change (9, 'y');
DEALLOCATE by_key;
PREPARE by_key (int) AS SELECT * FROM a WHERE k = $1;
--again 6
EXECUTE by_key (5);
ALTER TABLE a ALTER COLUMN g TYPE bigint;
EXECUTE by_key (5);
EXECUTE many (2);
CREATE INDEX ON a (g);
ALTER TABLE a DROP COLUMN extra;
EXECUTE many (2);
EXECUTE put (201, 'q');
BEGIN;
SAVEPOINT one;
EXECUTE put (202, 'r');
ROLLBACK TO one;
EXECUTE put (202, 's');
SAVEPOINT two;
INSERT INTO a VALUES (1, 1, 'dup');
ROLLBACK TO two;
EXECUTE other_type (7, 1::smallint);
RELEASE one;
COMMIT;
SELECT * FROM a WHERE k > 199;
-- cursors
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k, v FROM a ORDER BY k;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
MOVE 10 FROM c;
FETCH PRIOR FROM c;
FETCH ABSOLUTE 5 FROM c;
FETCH RELATIVE -2 FROM c;
FETCH LAST FROM c;
FETCH FIRST FROM c;
MOVE BACKWARD ALL FROM c;
FETCH ALL FROM c;
UPDATE a SET v = 'changed' WHERE k = 3;
FETCH ABSOLUTE 3 FROM c;
CLOSE c;
DECLARE n NO SCROLL CURSOR FOR SELECT k FROM a ORDER BY k;
FETCH 2 FROM n;
FETCH BACKWARD 1 FROM n;
ROLLBACK;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT g, count(*) FROM a GROUP BY g ORDER BY g;
DECLARE p SCROLL CURSOR WITH HOLD FOR SELECT * FROM a WHERE k = 4;
DECLARE j SCROLL CURSOR FOR SELECT a.k, b.j, s.n FROM a JOIN b ON b.k = a.g JOIN s ON s.n = a.k ORDER BY 1, 2, 3;
DECLARE i INSENSITIVE CURSOR FOR SELECT count(*) FROM b;
FETCH 1 FROM h;
FETCH 2 FROM j;
DECLARE u SCROLL CURSOR FOR SELECT k, v FROM a ORDER BY k;
DECLARE z CURSOR FOR SELECT id, n FROM s;
MOVE 1 FROM z;
INSERT INTO b VALUES (1, 1);
UPDATE a SET v = 'later' WHERE k < 6;
DELETE FROM s WHERE n > 5;
FETCH i;
FETCH 3 FROM u;
FETCH BACKWARD ALL FROM u;
MOVE ALL FROM z;
FETCH 3 FROM j;
FETCH BACKWARD 4 FROM j;
COMMIT;
FETCH 2 FROM h;
FETCH ALL FROM p;
FETCH BACKWARD ALL FROM p;
CLOSE h;
BEGIN;
DECLARE w CURSOR FOR SELECT * FROM a WHERE k = 7 FOR UPDATE;
FETCH w;
--0A000
UPDATE a SET v = 'current' WHERE CURRENT OF w;
ROLLBACK;
-- functions
SELECT * FROM walk(6);
SELECT * FROM walk(6) w JOIN a USING (k);
SELECT one(3), one(k) FROM a WHERE k < 5;
SELECT k FROM a WHERE one(k) = 'v11';
CALL fill(6);
SELECT * FROM b WHERE k > 1000;
DO $$ DECLARE x int; BEGIN SELECT sum(k) INTO STRICT x FROM a; UPDATE r SET t = x::text WHERE id = 1; INSERT INTO s SELECT 'do' || k, k FROM a WHERE k < 4; END $$;
SELECT * FROM r WHERE id = 1;
SELECT * FROM s WHERE id LIKE 'do%';
-- tables and views from queries
CREATE TABLE copy1 AS SELECT g, count(*) AS c FROM a GROUP BY g;
SELECT * FROM copy1;
SELECT a.k, b.j INTO copy2 FROM a JOIN b ON b.k = a.k WHERE a.k < 5;
SELECT * FROM copy2;
CREATE TABLE copy3 (x, y) AS EXECUTE by_array ('{3,4}') WITH DATA;
SELECT * FROM copy3;
CREATE TEMP TABLE copy4 ON COMMIT PRESERVE ROWS AS WITH d AS (DELETE FROM s WHERE n < 5 RETURNING *) SELECT * FROM d;
SELECT * FROM copy4;
SELECT count(*) FROM copy4 JOIN a ON a.k = copy4.n;
CREATE MATERIALIZED VIEW mv AS SELECT g, max(k) m FROM a GROUP BY g;
SELECT * FROM mv JOIN a ON a.k = mv.m;
UPDATE a SET g = g + 1 WHERE k < 30;
REFRESH MATERIALIZED VIEW mv;
SELECT * FROM mv;
CREATE VIEW joined AS SELECT a.k, a.v, count(b.j) AS n FROM a LEFT JOIN b ON b.k = a.k GROUP BY a.k, a.v;
SELECT * FROM joined WHERE k = 7;
SELECT n, count(*) FROM joined GROUP BY n;
CREATE TEMP VIEW tv AS SELECT * FROM joined WHERE n > 2;
SELECT * FROM tv ORDER BY k LIMIT 3;
DROP VIEW tv, joined;
