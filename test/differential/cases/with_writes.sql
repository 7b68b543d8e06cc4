-- WITH queries that change data, over several shard groups: none sees what another one wrote.
CREATE TABLE t (k int PRIMARY KEY, v text, n int);
CREATE TABLE h (k int, v text, n int, at int);
CREATE TABLE o (id text, k int);
CREATE TABLE r (id int primary key, t text);
CREATE TABLE l (k int, v text);
--* SELECT create_distributed_table('t','k'), create_distributed_table('h','k',colocate_with=>'t'), create_distributed_table('o','id'), create_reference_table('r');
INSERT INTO t SELECT i, 'v'||i, i%10 FROM generate_series(1,20) i;
INSERT INTO r SELECT i, 'r'||i FROM generate_series(0,5) i;
INSERT INTO l SELECT i, 'l'||i FROM generate_series(0,5) i;
--* SELECT citus_add_local_table_to_metadata('l');
--ask
-- move
WITH d AS (DELETE FROM t WHERE n = 3 RETURNING *) INSERT INTO h SELECT d.*, 1 FROM d;
SELECT * FROM h ORDER BY 1;
SELECT count(*) FROM t;
WITH d AS (DELETE FROM t WHERE n = 4 RETURNING *) SELECT count(*), sum(k) FROM d;
-- not seen
WITH d AS (DELETE FROM t WHERE n = 5 RETURNING k) SELECT count(*) FROM t;
WITH d AS (DELETE FROM t WHERE n = 6 RETURNING k) SELECT count(*), count(d.k) FROM t LEFT JOIN d USING (k);
SELECT count(*) FROM t;
-- twice
WITH a AS (UPDATE t SET n = 100 WHERE n = 1 RETURNING *) UPDATE t SET n = n + 1 WHERE n IN (1, 100, 2) RETURNING *;
SELECT * FROM t ORDER BY k;
WITH a AS (UPDATE t SET n = 0 WHERE n = 100 RETURNING *), b AS (UPDATE t SET n = 50 FROM a WHERE t.n = 0 RETURNING t.k, a.k ak) SELECT * FROM b ORDER BY 1;
SELECT * FROM t ORDER BY k;
-- upsert
WITH up AS (UPDATE t SET v = 'up' WHERE k IN (1, 1000) RETURNING k) INSERT INTO t SELECT x, 'ins', 0 FROM (VALUES (1),(1000)) s(x) WHERE NOT EXISTS (SELECT FROM up WHERE up.k = x) RETURNING *;
-- local, reference
WITH d AS (DELETE FROM l WHERE k < 3 RETURNING *) INSERT INTO r SELECT k+100, v FROM d RETURNING *;
WITH i AS (INSERT INTO l SELECT k, v FROM t WHERE k < 3 RETURNING *), j AS (INSERT INTO o SELECT v, k FROM i RETURNING *) SELECT i.*, j.* FROM i JOIN j USING (k) ORDER BY 1;
WITH i AS (INSERT INTO l VALUES (77, 'x') RETURNING *) UPDATE t SET v = i.v FROM i WHERE t.k = i.k - 60 RETURNING *;
WITH RECURSIVE w(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM w WHERE i<5), d AS (DELETE FROM t USING w WHERE t.k = w.i RETURNING t.k), m AS MATERIALIZED (SELECT * FROM r) SELECT d.k, w.i, m.t FROM d JOIN w ON d.k=w.i LEFT JOIN m ON m.id = d.k ORDER BY 1;
WITH d AS (INSERT INTO t VALUES (500,'a',1),(501,'b',2)) UPDATE r SET t = 'zz' WHERE id = 1 RETURNING *;
PREPARE p(int) AS WITH d AS (DELETE FROM t WHERE n = $1 RETURNING *) INSERT INTO h SELECT d.*, $1 FROM d RETURNING k;
EXECUTE p(7);
EXECUTE p(8);
EXECUTE p(9);
EXECUTE p(10);
EXECUTE p(0);EXECUTE p(1);EXECUTE p(2);
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM h);
BEGIN;
WITH d AS (DELETE FROM h RETURNING *) INSERT INTO t SELECT k,v,n FROM d; SELECT count(*) FROM t;
ROLLBACK;

SELECT count(*) FROM t;
UPDATE r SET id = id + 1000, t = md5(id::text) WHERE id IN (SELECT k % 10 FROM t) ;
SELECT count(*), sum(id) FROM r;
DELETE FROM r USING o WHERE true RETURNING r.id;
-- MERGE
INSERT INTO t VALUES (601, 'm1', 1), (602, 'm2', 2), (603, 'm3', 3);
WITH d AS (DELETE FROM t WHERE k > 601 AND k < 700 RETURNING *) MERGE INTO h USING d ON h.k = d.k WHEN MATCHED THEN UPDATE SET v = d.v WHEN NOT MATCHED THEN INSERT VALUES (d.k, d.v, d.n, 5);
WITH d AS (INSERT INTO h VALUES (601, 'new', 1, 1), (777, 'new', 7, 7) RETURNING *) MERGE INTO t USING (SELECT * FROM d) x ON t.k = x.k WHEN MATCHED THEN UPDATE SET k = t.k + 7, v = x.v WHEN NOT MATCHED THEN INSERT VALUES (x.k, x.v, x.n);
WITH d AS (UPDATE r SET t = t || '!' WHERE id < 102 RETURNING *) MERGE INTO l USING d ON l.k = d.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (d.id, d.t);
WITH d AS (DELETE FROM l RETURNING *) MERGE INTO r USING t ON r.id = t.k WHEN MATCHED THEN UPDATE SET t = 'merged' WHEN NOT MATCHED AND t.k > 600 THEN INSERT VALUES (t.k, t.v);
SELECT * FROM t WHERE k > 600 ORDER BY 1;
SELECT * FROM h WHERE k > 600 ORDER BY 1, 2;
SELECT * FROM r ORDER BY 1;
SELECT * FROM l ORDER BY 1;
