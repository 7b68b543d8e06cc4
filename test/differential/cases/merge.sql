-- MERGE, by shard groups and as steps.
CREATE TABLE t (k int PRIMARY KEY, v text, n int);
CREATE TABLE s (k int, v text, n int);
CREATE TABLE o (id text, k int, n int);
CREATE TABLE r (id int PRIMARY KEY, t text);
CREATE TABLE l (k int PRIMARY KEY, y text);
CREATE TABLE pt (k int, g int, v text) PARTITION BY LIST (g);
CREATE TABLE pt_1 PARTITION OF pt FOR VALUES IN (1);
CREATE TABLE pt_2 PARTITION OF pt FOR VALUES IN (2, 3);
CREATE TABLE d (k int, v text DEFAULT 'def', at date DEFAULT '2024-01-01', w text GENERATED ALWAYS AS (v || '!') STORED);
--* SELECT create_distributed_table('t', 'k');
--* SELECT create_distributed_table('s', 'k', colocate_with => 't');
--* SELECT create_distributed_table('o', 'id');
--* SELECT create_distributed_table('pt', 'k', colocate_with => 't');
--* SELECT create_distributed_table('d', 'k', colocate_with => 't');
--* SELECT create_reference_table('r');
INSERT INTO t SELECT i, 'v' || i, i % 5 FROM generate_series(1, 20) i;
INSERT INTO s SELECT i, 's' || i, i % 3 FROM generate_series(15, 30) i;
INSERT INTO o SELECT 'o' || i, i, i % 4 FROM generate_series(10, 40, 3) i;
INSERT INTO r SELECT i, 'r' || i FROM generate_series(1, 12) i;
INSERT INTO l SELECT i, 'l' || i FROM generate_series(1, 12) i;
INSERT INTO pt SELECT i, 1 + i % 3, 'p' || i FROM generate_series(1, 20) i;
--* SELECT citus_add_local_table_to_metadata('l');
--ask
-- joined on the distribution columns
BEGIN;
MERGE INTO t USING s ON t.k = s.k WHEN MATCHED AND s.n = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v, n = t.n + s.n WHEN NOT MATCHED AND s.k > 25 THEN INSERT (k, v) VALUES (s.k, s.v) WHEN NOT MATCHED THEN INSERT VALUES (s.k, 'new', 0);
SELECT * FROM t;
ROLLBACK;
BEGIN;
MERGE INTO t AS x USING (SELECT k, max(v) AS m, count(*) AS c FROM s GROUP BY k) y ON x.k = y.k WHEN MATCHED THEN UPDATE SET v = y.m || y.c WHEN NOT MATCHED THEN INSERT (k, v, n) VALUES (y.k, y.m, y.c);
SELECT * FROM t;
MERGE INTO t USING r ON t.k = r.id AND t.n < 3 WHEN MATCHED THEN UPDATE SET v = r.t;
MERGE INTO d USING s ON d.k = s.k WHEN NOT MATCHED THEN INSERT (k) VALUES (s.k);
MERGE INTO d USING s ON d.k = s.k AND s.n > 0 WHEN MATCHED THEN UPDATE SET v = DEFAULT, at = current_date - current_date + date '2020-02-02' WHEN NOT MATCHED THEN DO NOTHING;
SELECT * FROM d;
SELECT * FROM t;
ROLLBACK;
-- joined on something else
BEGIN;
MERGE INTO t USING o ON t.k = o.k WHEN MATCHED AND o.n = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = o.id, n = (SELECT count(*) FROM s WHERE s.n = t.n) WHEN NOT MATCHED AND o.n > 1 THEN INSERT VALUES (o.k, o.id, o.n);
SELECT * FROM t;
MERGE INTO t USING (SELECT n, min(k) AS k FROM s GROUP BY n) q ON t.n = q.n AND t.k > 15 WHEN MATCHED AND t.k = 17 THEN DO NOTHING WHEN MATCHED THEN UPDATE SET v = v || q.k WHEN NOT MATCHED THEN INSERT VALUES (1000 + q.n, 'n', q.n);
SELECT * FROM t;
ROLLBACK;
BEGIN;
MERGE INTO t USING (VALUES (1, 'a'), (2, 'b'), (77, 'c')) q (k, v) ON t.k = q.k WHEN MATCHED THEN UPDATE SET v = q.v WHEN NOT MATCHED THEN INSERT (k, v) VALUES (q.k, q.v);
MERGE INTO t USING (SELECT 78 AS k) q ON t.k = q.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (k, n) VALUES (q.k, (SELECT count(*) FROM t));
MERGE INTO t USING (SELECT 78 AS k) q ON t.k = q.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (k) VALUES (q.k);
MERGE INTO t USING s ON t.k = s.k AND s.k = 16 WHEN MATCHED THEN UPDATE SET v = 'sixteen' WHEN NOT MATCHED THEN INSERT VALUES (s.k + 100, s.v);
MERGE INTO t USING s ON t.k = s.k WHEN MATCHED THEN UPDATE SET k = s.k, v = 'same key';
MERGE INTO t USING generate_series(3, 5) i ON t.k = i WHEN MATCHED AND t.v LIKE 'v%' THEN UPDATE SET n = i * 10;
SELECT * FROM t;
ROLLBACK;
-- reference, local and partitioned targets
BEGIN;
MERGE INTO r USING o ON r.id = o.k WHEN MATCHED THEN UPDATE SET t = o.id WHEN NOT MATCHED THEN INSERT VALUES (o.k, o.id);
MERGE INTO r USING l ON r.id = l.k WHEN MATCHED AND l.k < 5 THEN DELETE;
SELECT * FROM r;
MERGE INTO l USING t ON l.k = t.k WHEN MATCHED AND t.n = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET y = t.v WHEN NOT MATCHED AND t.k < 16 THEN INSERT VALUES (t.k, t.v);
MERGE INTO l USING o ON l.k = o.k WHEN NOT MATCHED THEN INSERT VALUES (o.k, o.id);
SELECT * FROM l;
MERGE INTO pt USING s ON pt.k = s.k WHEN MATCHED AND g = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET g = 2, v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1, s.v);
MERGE INTO pt USING o ON pt.k = o.k WHEN MATCHED AND g = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET g = 4 - g WHEN NOT MATCHED THEN INSERT VALUES (o.k, 3, o.id);
SELECT *, tableoid::regclass::text FROM pt;
ROLLBACK;
-- errors
MERGE INTO t USING (VALUES (1), (1)) q (k) ON t.k = q.k WHEN MATCHED THEN UPDATE SET n = 1;
MERGE INTO t USING o ON t.n = o.n WHEN MATCHED THEN DELETE;
MERGE INTO t USING s ON t.n = s.n WHEN MATCHED AND t.k = 4 THEN UPDATE SET v = s.v;
MERGE INTO t USING o ON t.k = o.k WHEN NOT MATCHED THEN INSERT VALUES (1, 'dup', 1);
MERGE INTO t USING o ON t.k = o.k WHEN MATCHED THEN UPDATE SET n = 1 / (t.n - t.n);
MERGE INTO t USING o ON t.k = o.k WHEN MATCHED THEN UPDATE SET k = t.k + 1000;
SELECT count(*), sum(n) FROM t;
PREPARE m (int, text) AS MERGE INTO t USING (SELECT $1 AS k, $2 AS v) q ON t.k = q.k WHEN MATCHED THEN UPDATE SET v = t.v || q.v WHEN NOT MATCHED THEN INSERT VALUES (q.k, q.v, 1);
--again 7
EXECUTE m (500, 'x');
SELECT * FROM t WHERE k = 500;
WITH w AS (SELECT k, id FROM o WHERE n > 0) MERGE INTO t USING w ON t.k = w.k WHEN MATCHED THEN UPDATE SET v = w.id WHEN NOT MATCHED THEN DO NOTHING;
SELECT * FROM t;
-- whole rows of the target
MERGE INTO t USING r ON t.n = r.id WHEN MATCHED AND t::text LIKE '%v%' THEN UPDATE SET v = left(t::text, 20);
MERGE INTO l USING o ON l.k = o.k WHEN MATCHED THEN UPDATE SET y = l::text || (l IS NOT NULL) WHEN NOT MATCHED THEN INSERT VALUES (o.k, 'new');
MERGE INTO pt USING o ON pt.k = o.k WHEN MATCHED THEN UPDATE SET v = (SELECT row_to_json(pt)::text);
SELECT * FROM t;
SELECT * FROM l;
SELECT * FROM pt;
