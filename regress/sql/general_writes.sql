-- UPDATE and DELETE that need rows of other nodes, and row locks over several shards.
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA general_writes;
SET search_path TO general_writes;
CREATE TABLE a (k int, v int, t text);
CREATE TABLE b (id text, k int, w int);
CREATE TABLE l (x int, y text);
CREATE TABLE r (x int PRIMARY KEY, y text);
SELECT create_distributed_table('a', 'k');
SELECT create_distributed_table('b', 'id', colocate_with => 'none');
SELECT create_reference_table('r');
INSERT INTO a SELECT g, g % 7, 'a' || g FROM generate_series(1, 50) g;
INSERT INTO b SELECT 'b' || g, g % 20, g FROM generate_series(1, 50) g;
INSERT INTO l SELECT g, 'l' || g FROM generate_series(1, 10) g;
INSERT INTO r SELECT g, 'r' || g FROM generate_series(1, 3) g;
\set QUIET off

-- Tables that are not colocated, local tables. A row that is found twice changes once.
UPDATE a SET v = a.v + 100 FROM b WHERE b.k = a.v AND b.w < 45;
SELECT count(*), sum(v) FROM a;
WITH u AS MATERIALIZED (SELECT 1) UPDATE a SET t = l.y || a.t FROM l, u WHERE l.x = a.k AND a.k = 3 RETURNING a.k, a.t, l.y;
DELETE FROM a USING b WHERE b.w = a.k AND b.w = 2 RETURNING a.*, b.id;
UPDATE a SET (v, t) = (SELECT max(w), max(id) FROM b WHERE b.k = a.k) WHERE k < 12;
SELECT * FROM a WHERE k < 6 ORDER BY k;
DELETE FROM a WHERE k IN (SELECT w FROM b WHERE w > 48);
UPDATE a SET v = 1000 WHERE random() >= 0;
DELETE FROM a WHERE random() < 0;
SELECT count(*), min(v), max(v) FROM a;

-- A local table.
UPDATE l SET y = a.t FROM a WHERE a.k = l.x AND l.x = 5 RETURNING l.*, a.v;
DELETE FROM l WHERE x IN (SELECT k FROM a WHERE k < 9);
SELECT * FROM l ORDER BY x;

-- In a transaction; prepared.
BEGIN;
INSERT INTO a VALUES (1000, 1, 'new');
UPDATE a SET v = a.v + b.w FROM b WHERE b.w = 3 AND a.k >= 1000;
SELECT * FROM a WHERE k = 1000;
ROLLBACK;
PREPARE u(int) AS UPDATE a SET v = $1 + b.w FROM b WHERE b.w = a.k AND b.w = $1 RETURNING a.k, a.v - $1 AS w, b.id;
EXECUTE u(4); EXECUTE u(4); EXECUTE u(4); EXECUTE u(4); EXECUTE u(4); EXECUTE u(5);

-- Row locks.
BEGIN;
SELECT k FROM a WHERE v = 1000 ORDER BY k LIMIT 2 FOR UPDATE;
SELECT a.k, b.w FROM a JOIN b ON a.k = b.w ORDER BY 1 LIMIT 2 FOR SHARE OF a;
SELECT r.x FROM r JOIN b ON b.w = r.x ORDER BY 1 FOR UPDATE OF r;
SELECT count(*) FROM (SELECT k FROM a FOR UPDATE SKIP LOCKED) q;
UPDATE a SET v = 3 WHERE v = 1000;
ROLLBACK;

-- The distribution column keeps its value.
\set QUIET off
UPDATE a SET k = b.w FROM b WHERE b.w = a.k;
UPDATE a SET k = b.w + 1 FROM b WHERE b.w = a.k;
\set QUIET on
SET client_min_messages TO warning;
DROP SCHEMA general_writes CASCADE;
