-- Assignments to tables with replicas, single shards, keys of arrays and composites; from functions; with other changes.
CREATE TYPE pair AS (x int, y int);
CREATE TABLE t (k int, a int[], c pair, b int, d int, j jsonb);
CREATE TABLE rep (k int, a int[], c pair, b int, d int);
CREATE TABLE rep2 (k int PRIMARY KEY, a int[], c pair, b int, d int);
CREATE TABLE one (k int PRIMARY KEY, a int[], c pair, b int, d int);
CREATE TABLE ml (k int PRIMARY KEY, a int[], c pair, b int, d int);
CREATE TABLE ck (k pair, a int[], v int);
CREATE TABLE ak (k int[], a int[], v int);
CREATE VIEW ov AS SELECT d, c, b, a, k FROM rep2 WHERE b < 1000;
--* SELECT create_distributed_table('t','k'), create_distributed_table('one', NULL, colocate_with => 'none'), create_distributed_table('ck','k'), create_distributed_table('ak','k')
--* SET citus.shard_replication_factor = 2
--* SELECT create_distributed_table('rep','k', colocate_with => 'none', shard_count => 3), create_distributed_table('rep2','k', colocate_with => 'none', shard_count => 3)
--* RESET citus.shard_replication_factor
--* SELECT citus_add_local_table_to_metadata('ml')
INSERT INTO t SELECT i, array[i], (i,i)::pair, i, i, '{}' FROM generate_series(1,9) i;
INSERT INTO rep SELECT k,a,c,b,d FROM t;
INSERT INTO rep2 SELECT k,a,c,b,d FROM t;
INSERT INTO one SELECT k,a,c,b,d FROM t;
INSERT INTO ml SELECT k,a,c,b,d FROM t;
INSERT INTO ck SELECT c,a,b FROM t;
INSERT INTO ak SELECT a,a,b FROM t;
--coordinator
UPDATE rep SET (d, b) = (SELECT 1, 2), a[1] = 5, a[2] = 6, c.x = 3, c.y = 4;
UPDATE rep SET (d, b) = (SELECT 10, max(d) FROM t WHERE t.k = rep.k), a[1] = 7, a[2] = k;
UPDATE rep2 SET (d, b) = (SELECT 1, 2), a[1] = 5, a[2] = 6, c.x = 3, c.y = 4;
UPDATE rep2 SET (d, b) = (SELECT 10, max(d) FROM t WHERE t.k = rep2.k), a[1] = 7, a[2] = k;
UPDATE rep2 SET a[1] = t.b, a[2] = t.d, c.x = t.b, c.y = 0 FROM t WHERE t.k = rep2.k RETURNING rep2.*;
UPDATE rep2 SET k = k + 100, a[1] = 1, a[2] = 2, (d, b) = (SELECT 5, 6) WHERE k < 4;
UPDATE one SET (d, b) = (SELECT 1, 2), a[1] = 5, a[2] = 6, c.x = 3, c.y = 4;
UPDATE one SET (d, b) = (SELECT 10, max(d) FROM t WHERE t.k = one.k), a[1] = 7, a[2] = k;
UPDATE ml SET (d, b) = (SELECT 1, 2), a[1] = 5, a[2] = 6, c.x = 3, c.y = 4;
UPDATE ml SET (d, b) = (SELECT 10, max(d) FROM t WHERE t.k = ml.k), a[1] = 7, a[2] = k;
INSERT INTO one (k, a[1], a[2], c.x, c.y) VALUES (1, 2, 3, 4, 5), (50, 1, 2, 3, 4) ON CONFLICT (k) DO UPDATE SET a[1] = 11, a[2] = 12, (d, b) = (SELECT 8, 9);
INSERT INTO ml (k, a[1], a[2], c.x, c.y) VALUES (1, 2, 3, 4, 5), (50, 1, 2, 3, 4) ON CONFLICT (k) DO UPDATE SET a[1] = 11, a[2] = 12, (d, b) = (SELECT 8, 9);
INSERT INTO rep2 (k, a[1], a[2], c.x, c.y) VALUES (101, 2, 3, 4, 5), (50, 1, 2, 3, 4) ON CONFLICT (k) DO UPDATE SET a[1] = 11, a[2] = 12, (d, b) = (SELECT 8, 9);
INSERT INTO ov (k, a[1], a[2], c.x, c.y, b) VALUES (101, 2, 3, 4, 5, 6) ON CONFLICT (k) DO UPDATE SET a[1] = 11, a[2] = 12, (d, b) = (SELECT 8, 9);
INSERT INTO ov (k, a[1], a[2], c.x, c.y, b) SELECT k, 2, 3, 4, 5, 6 FROM t ON CONFLICT (k) DO UPDATE SET a[1] = 11, a[2] = excluded.a[1], (b, d) = (SELECT 8, excluded.b);
UPDATE ck SET k.x = 100, k.y = 200 WHERE v = 1;
UPDATE ck SET k.x = 100 + v, k.y = v, a[1] = 4, a[2] = v;
UPDATE ck SET k.x = NULL, k.y = NULL WHERE v = 5;
UPDATE ck SET k.x = (SELECT max(b) FROM t), k.y = v WHERE v > 7;
INSERT INTO ck (k.x, k.y, a[2], v) VALUES (9, 8, 7, 6), (8, 7, 6, 5);
INSERT INTO ck (k.x, k.y, a[2], v) SELECT b, d, k, 77 FROM t;
INSERT INTO ck (k.y, v) VALUES (9, 8) RETURNING *;
UPDATE ak SET k[1] = 5, k[2] = v, a[3] = 4;
UPDATE ak SET k[1] = 6, k[2] = 8 WHERE k = '{5,3}';
INSERT INTO ak (k[2], k[1], v) VALUES (9, 8, 7);
SELECT * FROM rep;
SELECT * FROM rep2;
SELECT * FROM one;
SELECT * FROM ml;
SELECT * FROM ck;
SELECT * FROM ak;
SELECT * FROM ck WHERE k = (9,8)::pair;
CREATE FUNCTION f(p int, q int) RETURNS SETOF t LANGUAGE plpgsql AS $$ DECLARE v int = q; BEGIN
 UPDATE t SET (d, b) = (SELECT v, p), a[p] = v, a[v] = p, j['x'] = to_jsonb(v), j['y'] = to_jsonb(p);
 RETURN QUERY UPDATE t SET (b, d) = (SELECT d, t.b), c.x = v, c.y = p WHERE k = p RETURNING t.*; END $$;
SELECT * FROM f(2, 3);
SELECT * FROM f(2, 3);
SELECT * FROM t;
CREATE FUNCTION g(p int, q int) RETURNS SETOF t LANGUAGE sql AS $$ UPDATE t SET (d, b) = (SELECT p, q), a[p] = q, a[q] = p RETURNING *; $$;
SELECT * FROM g(2, 3);
CREATE FUNCTION h(p int, q int) RETURNS SETOF t LANGUAGE sql BEGIN ATOMIC UPDATE t SET (d, b) = (SELECT p, q), a[p] = q, a[q] = p, c.x = 1, c.y = 2 RETURNING *; END;
SELECT * FROM h(5, 3);
SELECT * FROM t;
BEGIN;
DECLARE cur CURSOR FOR SELECT * FROM t;
UPDATE t SET (d, b) = (SELECT count(*), t.k FROM t x WHERE x.k <= t.k);
WITH RECURSIVE w(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM w WHERE n < 5) UPDATE t SET (d, b) = (SELECT max(n), min(n) FROM w), a[1] = (SELECT sum(n) FROM w), a[2] = 1;
COMMIT;
SELECT * FROM t;
WITH w AS (INSERT INTO t (k, a[1], a[2]) VALUES (100, 1, 2), (101, 3, 4) RETURNING *), v AS (UPDATE t SET a[1] = 9, a[2] = 8 WHERE k < 4 RETURNING *), z AS (DELETE FROM t WHERE k = 5 RETURNING *) SELECT 'w', k, a FROM w UNION ALL SELECT 'v', k, a FROM v UNION ALL SELECT 'z', k, a FROM z;
WITH w AS (UPDATE t SET a[1] = 9, a[2] = 8 WHERE k < 4 RETURNING *) UPDATE t SET a[1] = w.k, a[3] = w.b FROM w WHERE t.k = w.k + 3 RETURNING t.k, t.a;
SELECT * FROM t;
