-- Plans and texts that are kept: the same statement with other constants, before and after changes.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS statement_cache CASCADE;
DROP SCHEMA IF EXISTS "Other Schema" CASCADE;
CREATE SCHEMA statement_cache;
SET search_path TO statement_cache;
SET citus.shard_count TO 4;
CREATE TABLE t (id bigint PRIMARY KEY, v int, w text, d date);
SELECT create_distributed_table('t', 'id');
INSERT INTO t SELECT i, i * 10, 'w' || i, '2024-01-01'::date + i FROM generate_series(1, 50) i;
\set QUIET off
-- Each constant its own answer.
SELECT v FROM t WHERE id = 1;
SELECT v FROM t WHERE id = 2;
SELECT v FROM t WHERE id = 3;
SELECT v FROM t WHERE id = 4;
SELECT v FROM t WHERE id = 4000;
SELECT v FROM t WHERE 3 = id;
SELECT v FROM t WHERE 4 = id;
SELECT v FROM t WHERE 5 = id;
-- The third of a shape does without planning; so does the next, until names change.
SET client_min_messages TO debug2;
SELECT w, d FROM t WHERE id = 1;
SELECT w, d FROM t WHERE id = 2;
SELECT w, d FROM t WHERE id = 3;
SELECT w, d FROM t WHERE id = 4;
ALTER TABLE t RENAME COLUMN d TO e;
SELECT w, e AS d FROM t WHERE id = 5;
SELECT w, v FROM t WHERE id = 5 AND v = 50;
SET client_min_messages TO warning;
ALTER TABLE t RENAME COLUMN e TO d;
-- Constants of other types, out of range, null.
SELECT v FROM t WHERE id = 5::smallint;
SELECT v FROM t WHERE id = 6::smallint;
SELECT v FROM t WHERE id = 7::smallint;
SELECT v FROM t WHERE id = 99999999999;
SELECT v FROM t WHERE id = 8.0;
SELECT v FROM t WHERE id = '9';
SELECT v FROM t WHERE id = NULL;
SELECT v FROM t WHERE id = 10;
-- Several constants: equal and not, in one order and the other.
SELECT id FROM t WHERE id = 1 AND v = 10 AND w = 'w1';
SELECT id FROM t WHERE id = 2 AND v = 20 AND w = 'w2';
SELECT id FROM t WHERE id = 3 AND v = 30 AND w = 'w3';
SELECT id FROM t WHERE id = 3 AND v = 31 AND w = 'w3';
SELECT id FROM t WHERE id = 4 AND v > 4 AND v < 41;
SELECT id FROM t WHERE id = 5 AND v > 5 AND v < 51;
SELECT id FROM t WHERE id = 5 AND v > 5 AND v < 5;
SELECT id FROM t WHERE id = 6 AND v > 59 AND v < 61;
SELECT v FROM t WHERE id = 7 AND id = 7;
SELECT v FROM t WHERE id = 7 AND id = 8;
SELECT v FROM t WHERE id = 7 OR id = 8 ORDER BY v;
SELECT id FROM t WHERE id = 9 AND d = '2024-01-10';
SELECT id FROM t WHERE id = 10 AND d = '2024-01-11';
SELECT id FROM t WHERE id = 11 AND d = '2024-01-12';
SELECT id FROM t WHERE id = 11 AND d = '2024-01-13';
-- Constants that stay in the text.
SELECT v + 1 AS x, 'one' AS y FROM t WHERE id = 1;
SELECT v + 1 AS x, 'one' AS y FROM t WHERE id = 2;
SELECT v + 1 AS x, 'one' AS y FROM t WHERE id = 3;
SELECT v + 2 AS x, 'one' AS y FROM t WHERE id = 3;
SELECT v + 2 AS x, 'two' AS y FROM t WHERE id = 3;
SELECT v + 2 AS y, 'two' AS x FROM t WHERE id = 3;
-- Aliases and quoting.
SELECT a.v FROM t a WHERE a.id = 1;
SELECT a.v FROM t a WHERE a.id = 2;
SELECT b.v FROM t a(id, b) JOIN t b ON a.id = b.id WHERE b.id = 3;
SELECT "A b".v FROM t "A b" WHERE "A b".id = 3;
SELECT "A b".v FROM t "A b" WHERE "A b".id = 4;
SELECT "A b".v FROM t "A b" WHERE "A b".id = 5;
SELECT w FROM t WHERE id = 1 AND w <> 'it''s $1 \';
SELECT w FROM t WHERE id = 2 AND w <> 'it''s $2 \';
SELECT w FROM t WHERE id = 3 AND w <> 'w3';
-- Changes.
UPDATE t SET v = v + 1 WHERE id = 1;
UPDATE t SET v = v + 2 WHERE id = 2;
UPDATE t SET v = v + 3 WHERE id = 3;
UPDATE t SET v = v + 4, w = 'x' WHERE id = 4 RETURNING id, v, w;
UPDATE t SET v = v + 5, w = 'x' WHERE id = 5 RETURNING id, v, w;
UPDATE t SET v = v + 6, w = 'x' WHERE id = 6 RETURNING id, v, w;
UPDATE t SET v = v + 6, w = 'y' WHERE id = 6 RETURNING id, v, w;
UPDATE t SET v = 7 WHERE id = 7;
UPDATE t SET v = 8 WHERE id = 8;
UPDATE t SET v = 9 WHERE id = 9;
DELETE FROM t WHERE id = 10;
DELETE FROM t WHERE id = 11;
DELETE FROM t WHERE id = 12 RETURNING v;
DELETE FROM t WHERE id = 12 RETURNING v;
SELECT id, v, w FROM t WHERE id <= 13 ORDER BY id;
-- Another search path: another table of the same name.
CREATE SCHEMA "Other Schema";
CREATE TABLE "Other Schema".t (id bigint PRIMARY KEY, v int);
SELECT FROM create_distributed_table('"Other Schema".t', 'id');
INSERT INTO "Other Schema".t SELECT i, -i FROM generate_series(1, 50) i;
SELECT v FROM t WHERE id = 20;
SET search_path TO "Other Schema";
SELECT v FROM t WHERE id = 20;
SELECT v FROM t WHERE id = 21;
SELECT v FROM t WHERE id = 22;
-- Names that change: of the schema, the table, a column; types that change.
ALTER SCHEMA "Other Schema" RENAME TO "Third Schema";
SET search_path TO "Third Schema";
SELECT v FROM t WHERE id = 23;
ALTER TABLE t RENAME TO u;
SELECT v FROM u WHERE id = 23;
SELECT v FROM u WHERE id = 24;
SELECT v FROM u WHERE id = 25;
ALTER TABLE u RENAME COLUMN v TO vv;
SELECT v FROM u WHERE id = 26;
SELECT vv FROM u WHERE id = 26;
SELECT vv FROM u WHERE id = 27;
SELECT vv FROM u WHERE id = 28;
ALTER TABLE u ALTER COLUMN vv TYPE text;
SELECT vv || '!' AS vv FROM u WHERE id = 28;
SELECT vv FROM u WHERE id = 29;
SELECT * FROM u WHERE id = 29;
SELECT * FROM u WHERE id = 30;
ALTER TABLE u ADD COLUMN extra int;
SELECT * FROM u WHERE id = 30;
SELECT undistribute_table('u');
SELECT vv FROM u WHERE id = 30;
SELECT vv FROM u WHERE id = 31;
-- Prepared statements and functions keep texts too.
SET search_path TO statement_cache;
PREPARE p(bigint) AS SELECT v FROM t WHERE id = $1;
EXECUTE p(20); EXECUTE p(21); EXECUTE p(22); EXECUTE p(23); EXECUTE p(24); EXECUTE p(20); EXECUTE p(20);
PREPARE i(bigint, int) AS INSERT INTO t (id, v) VALUES ($1, $2) RETURNING id, v;
EXECUTE i(101, 1); EXECUTE i(102, 2); EXECUTE i(103, 3); EXECUTE i(104, 4); EXECUTE i(105, 5); EXECUTE i(106, 6); EXECUTE i(107, 7);
ALTER SCHEMA statement_cache RENAME TO statement_cache_2;
SET search_path TO statement_cache_2;
EXECUTE p(20); EXECUTE i(108, 8);
ALTER TABLE t RENAME TO tt;
EXECUTE p(20); EXECUTE i(109, 9);
ALTER TABLE tt RENAME TO t;
EXECUTE p(20); EXECUTE i(110, 10);
CREATE FUNCTION read_all() RETURNS bigint LANGUAGE plpgsql AS
$$DECLARE n bigint; s bigint := 0; BEGIN
	FOR i IN 20..45 LOOP
		EXECUTE format('SELECT v FROM t WHERE id = %s', i) INTO n;
		s := s + n;
		SELECT v INTO n FROM t WHERE id = i;
		s := s - n;
	END LOOP;
	RETURN s;
END$$;
SELECT read_all();
SELECT read_all();
-- Rights are those of who asks.
CREATE ROLE statement_cache_reader LOGIN;
GRANT USAGE ON SCHEMA statement_cache_2 TO statement_cache_reader;
SELECT v FROM t WHERE id = 20;
SELECT v FROM t WHERE id = 21;
SET ROLE statement_cache_reader;
SELECT v FROM t WHERE id = 22;
RESET ROLE;
GRANT SELECT (id, v) ON t TO statement_cache_reader;
SELECT w FROM t WHERE id = 21;
SELECT w FROM t WHERE id = 22;
SET ROLE statement_cache_reader;
SELECT v FROM t WHERE id = 22;
SELECT w FROM t WHERE id = 22;
RESET ROLE;
-- More rows of one shard than a TLS record or a buffer holds, read as they are wanted, with other
-- statements on the same node in between.
CREATE TABLE wide (k int, n int, filler text);
SELECT create_distributed_table('wide', 'k', colocate_with => 'none');
INSERT INTO wide SELECT 1, i, repeat('x', 500) FROM generate_series(1, 5000) i;
SELECT count(*), sum(length(filler)) FROM (SELECT filler FROM wide WHERE k = 1 OFFSET 0) q;
BEGIN;
DECLARE c CURSOR FOR SELECT n FROM wide WHERE k = 1 ORDER BY n;
FETCH 2 FROM c;
SELECT v FROM t WHERE id = 20;
MOVE 4000 IN c;
FETCH 2 FROM c;
UPDATE wide SET n = n WHERE k = 1 AND n = 17;
MOVE ALL IN c;
COMMIT;
SELECT n FROM wide WHERE k = 1 ORDER BY n LIMIT 1;
\set QUIET on
SET client_min_messages TO warning;
REVOKE ALL ON t FROM statement_cache_reader;
REVOKE ALL ON SCHEMA statement_cache_2 FROM statement_cache_reader;
DROP SCHEMA statement_cache_2 CASCADE;
DROP SCHEMA "Third Schema" CASCADE;
DROP ROLE statement_cache_reader;
