-- UPDATE of the distribution column: rows move between shards.
CREATE TABLE t (k int, v text, n int, g int GENERATED ALWAYS AS (n * 2) STORED, id int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE u (k int PRIMARY KEY, a int CHECK (a <> 13), b text UNIQUE DEFERRABLE);
CREATE TABLE p (k int, id int, note text, PRIMARY KEY (k, id));
CREATE TABLE c (k int, id int, p int, FOREIGN KEY (k, p) REFERENCES p (k, id));
CREATE TABLE d (k int, p int, FOREIGN KEY (k, p) REFERENCES p (k, id) ON DELETE CASCADE);
CREATE TABLE s (id text, k int);
CREATE TABLE r (id int PRIMARY KEY, t text);
CREATE TABLE l (k int, v text);
CREATE TABLE pt (k int, at date, z int) PARTITION BY RANGE (at);
CREATE TABLE pt_a PARTITION OF pt FOR VALUES FROM ('2024-01-01') TO ('2024-06-01');
CREATE TABLE pt_b PARTITION OF pt FOR VALUES FROM ('2024-06-01') TO ('2025-01-01');
CREATE TABLE w (k int, "Odd ""name" numeric(6,2), a int[], j jsonb, f float8, dropped int, ts timestamptz);
ALTER TABLE w DROP COLUMN dropped;
ALTER TABLE u DROP CONSTRAINT u_b_key;
--* SELECT create_distributed_table('t','k'), create_distributed_table('u','k',colocate_with=>'t'), create_distributed_table('p','k',colocate_with=>'t'), create_distributed_table('c','k',colocate_with=>'t'), create_distributed_table('d','k',colocate_with=>'t'), create_distributed_table('s','id'), create_reference_table('r'), create_distributed_table('pt','k',colocate_with=>'t'), create_distributed_table('w','k',shard_count=>5);
INSERT INTO t (k, v, n) SELECT i, 'v' || i, i % 7 FROM generate_series(1, 30) i;
INSERT INTO u SELECT i, i % 5, 'u' || i FROM generate_series(1, 20) i;
INSERT INTO p SELECT i, i % 3, 'p' || i FROM generate_series(1, 20) i;
INSERT INTO c SELECT i, i, i % 3 FROM generate_series(1, 3) i;
INSERT INTO d SELECT i, i % 3 FROM generate_series(4, 6) i;
INSERT INTO s SELECT chr(96 + i), i FROM generate_series(1, 12) i;
INSERT INTO r SELECT i, 'r' || i FROM generate_series(0, 6) i;
INSERT INTO l SELECT i, 'l' || i FROM generate_series(1, 6) i;
INSERT INTO pt SELECT i, date '2024-01-01' + i * 30, i FROM generate_series(1, 11) i;
INSERT INTO w VALUES (1, 1.5, '{1,2,3}', '{"a": [1, null]}', 'NaN', '2024-01-01 00:00+00'), (2, NULL, NULL, NULL, '-0', 'infinity'), (3, 99.99, '{}', '"x"', 'Infinity', NULL);
--* SELECT citus_add_local_table_to_metadata('l');
--ask
-- one row, many rows, all of them
UPDATE t SET k = 1001 WHERE k = 1;
SELECT * FROM t WHERE k IN (1, 1001);
UPDATE t SET k = k + 100 WHERE n = 3 RETURNING *;
UPDATE t SET k = k * 3 + 1, v = v || '!', n = n + 1;
SELECT * FROM t ORDER BY id;
UPDATE t SET k = k WHERE n = 2;
UPDATE t SET k = 7 WHERE n > 4 RETURNING k, v, n, g, t.id * 2 AS twice, now() - now();
SELECT * FROM t WHERE k = 7 ORDER BY id;
UPDATE t SET k = NULL WHERE false;
UPDATE t SET k = -k WHERE false;
UPDATE t SET k = '5' WHERE v IS NULL;
-- RETURNING of other tables, whole rows, subqueries
UPDATE t SET k = t.k + r.id + 1 FROM r WHERE r.id = t.n RETURNING r.t, t.*, r.id + t.k;
UPDATE t SET k = s.k FROM s WHERE t.n = s.k AND s.id < 'd' RETURNING t, s, s.id || t.v;
UPDATE t SET k = l.k * 11 FROM l WHERE t.n = l.k RETURNING l.v, t.v, (SELECT count(*) FROM r WHERE r.id < t.n);
UPDATE t SET k = (SELECT max(k) FROM s) + n WHERE v LIKE 'v1%' RETURNING (SELECT t FROM r WHERE r.id = t.n % 5), k;
UPDATE t SET (k, n) = (SELECT id + 50, id FROM r WHERE r.id = t.n % 6) WHERE n < 4 RETURNING *;
WITH x AS (SELECT k, id FROM t WHERE n = 5) UPDATE t SET k = t.k + 1 FROM x WHERE x.id = t.id RETURNING x.k, t.k;
SELECT * FROM t ORDER BY id;
-- WITH
WITH m AS (UPDATE t SET k = k + 1 WHERE n = 1 RETURNING *) SELECT count(*), sum(k), (SELECT sum(k) FROM t) FROM m;
WITH m AS (UPDATE t SET k = k + 1 WHERE n = 2 RETURNING *) UPDATE t SET k = t.k + 5 FROM m WHERE t.id = m.id + 1 RETURNING t.*;
WITH m AS (UPDATE t SET k = k + 3 WHERE n = 3 RETURNING *) UPDATE t SET k = k + 3, n = n + 10 WHERE n = 3;
SELECT * FROM t ORDER BY id;
-- prepared
PREPARE mv(int, int) AS UPDATE t SET k = $2 WHERE id = $1 RETURNING *;
EXECUTE mv(2, 501);
EXECUTE mv(2, 502);
EXECUTE mv(3, 502);
EXECUTE mv(4, 503);
EXECUTE mv(5, 502);
EXECUTE mv(5, 77);
EXECUTE mv(5, 78);
EXECUTE mv(999, 78);
PREPARE bulk(int) AS UPDATE t SET k = k + $1 WHERE n % 2 = $1;
EXECUTE bulk(1);
EXECUTE bulk(0);
EXECUTE bulk(1);
EXECUTE bulk(1);
EXECUTE bulk(1);
EXECUTE bulk(1);
EXECUTE bulk(1);
SELECT * FROM t ORDER BY id;
-- constraints
UPDATE u SET k = 2 WHERE k = 3;
UPDATE u SET k = 500, a = 13 WHERE k = 3;
UPDATE u SET k = 500, a = 12 WHERE k = 3 RETURNING *;
UPDATE u SET k = k + 1000;
UPDATE u SET k = 1 WHERE k < 2;
SELECT * FROM u ORDER BY k;
UPDATE p SET k = 100 WHERE k = 1;
UPDATE p SET k = 100 WHERE k = 4;
UPDATE p SET k = 100 WHERE k = 10;
UPDATE c SET k = 100, p = 1 WHERE k = 1;
UPDATE c SET k = 101 WHERE k = 2;
UPDATE p SET k = 200 WHERE k = 1;
DELETE FROM d;
UPDATE p SET k = k + 300 WHERE k BETWEEN 4 AND 9;
SELECT * FROM p ORDER BY k, id;
SELECT * FROM c ORDER BY k, id;
-- partitions
UPDATE pt SET k = k + 1 RETURNING *;
UPDATE pt SET k = k * 2, at = at + 30 WHERE at < '2024-10-01' RETURNING *;
UPDATE pt_a SET k = k + 10 RETURNING *;
UPDATE pt SET k = k + 1, at = '2030-01-01' WHERE z = 3;
UPDATE pt_a SET k = k + 1, at = '2024-12-01' WHERE k > 0;
SELECT tableoid::regclass::text LIKE '%pt_a', count(*), sum(k) FROM pt GROUP BY 1;
-- values
UPDATE w SET k = k + 10 RETURNING *;
UPDATE w SET k = k + 10, "Odd ""name" = "Odd ""name" + 0.005, a[2] = 7, j = '{}' RETURNING *;
UPDATE w SET k = k + 10, a[4] = k RETURNING *;
SELECT * FROM w ORDER BY k;
-- text keys
UPDATE s SET id = id || id;
UPDATE s SET id = upper(id) WHERE k % 2 = 0 RETURNING *;
UPDATE s SET id = 'x';
SELECT * FROM s WHERE id = 'x' ORDER BY k;
-- transactions
BEGIN;
UPDATE t SET k = k + 1;
SAVEPOINT a;
UPDATE t SET k = k + 1 WHERE id < 10;
UPDATE u SET k = 1;
ROLLBACK TO a;
UPDATE t SET k = k + 1 WHERE id < 5 RETURNING *;
SELECT count(*), sum(k) FROM t;
ROLLBACK;
SELECT count(*), sum(k) FROM t;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE t SET k = k + 1 WHERE id < 20;
UPDATE t SET k = k + 1 WHERE id < 10;
SELECT count(*), sum(k) FROM t;
COMMIT;
-- MERGE
MERGE INTO t USING r ON t.id = r.id WHEN MATCHED AND r.id < 3 THEN UPDATE SET k = t.k + 1 WHEN MATCHED AND r.id = 4 THEN DELETE WHEN MATCHED THEN UPDATE SET k = r.id, v = r.t;
SELECT * FROM t ORDER BY id;
MERGE INTO u USING s ON u.a = s.k WHEN MATCHED THEN UPDATE SET k = u.k + 2000;
MERGE INTO u USING (SELECT 2505 AS k) x ON u.k = x.k WHEN MATCHED THEN UPDATE SET k = 1 WHEN NOT MATCHED THEN INSERT (k, a) VALUES (x.k, 1);
MERGE INTO u USING (SELECT 2505 AS k) x ON u.k = x.k WHEN MATCHED THEN UPDATE SET k = 2506 WHEN NOT MATCHED THEN INSERT (k, a) VALUES (x.k, 1);
SELECT * FROM u ORDER BY k;
-- a table that has dropped columns, in every way of changing rows
MERGE INTO w USING (VALUES (1), (31), (3)) s(i) ON w.k = s.i WHEN MATCHED THEN UPDATE SET j = '7' WHEN NOT MATCHED THEN INSERT (k, f) VALUES (s.i, 1);
MERGE INTO w USING (VALUES (1), (2), (3)) s(i) ON w.k + 0 = s.i WHEN MATCHED THEN UPDATE SET k = 5 WHEN NOT MATCHED THEN INSERT (k, f) VALUES (s.i + 50, 1);
WITH a AS (UPDATE w SET f = 2 WHERE k = 31 RETURNING *) UPDATE w SET f = 3, k = k + 1 RETURNING w;
WITH a AS (DELETE FROM w WHERE k = 31 RETURNING *) SELECT w, a FROM w LEFT JOIN a ON a.k < w.k ORDER BY w.k;
SELECT w, w.* FROM w ORDER BY 2;
