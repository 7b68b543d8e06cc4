-- OLD and NEW in RETURNING of MERGE (PostgreSQL 18), by shard groups and as steps.
--from 18
CREATE TABLE t (k int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL);
CREATE TABLE s (k int, n int);
CREATE TABLE o (id text, k int, n int);
CREATE TABLE r (id int PRIMARY KEY, n int);
CREATE TABLE l (k int PRIMARY KEY, a int);
--* SELECT create_distributed_table('t', 'k');
--* SELECT create_distributed_table('s', 'k', colocate_with => 't');
--* SELECT create_distributed_table('o', 'id');
--* SELECT create_reference_table('r');
INSERT INTO t (k, a) SELECT i, i % 5 FROM generate_series(1, 20) i;
INSERT INTO s SELECT i, i % 3 FROM generate_series(15, 25) i;
INSERT INTO o SELECT 'o' || i, i, i % 4 FROM generate_series(10, 30, 3) i;
INSERT INTO r SELECT i, i % 4 FROM generate_series(1, 12) i;
INSERT INTO l SELECT i, i FROM generate_series(1, 12) i;
--* SELECT citus_add_local_table_to_metadata('l');
--ask
MERGE INTO t USING s ON t.k = s.k WHEN MATCHED AND s.n = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET a = t.a + s.n WHEN NOT MATCHED THEN INSERT (k, a) VALUES (s.k, 77) RETURNING merge_action(), old.k, new.k, old.a, new.a, t.a, s.n, new.b, old IS NULL, new IS NULL;
MERGE INTO t USING (SELECT k, a FROM t WHERE k < 8) x ON t.k = x.k WHEN MATCHED AND x.k < 3 THEN DELETE WHEN MATCHED THEN UPDATE SET a = t.a + 1 RETURNING merge_action(), old.a, new.a, t.k;
MERGE INTO t USING (VALUES (3, 5), (3000, 6)) x (k, a) ON t.k = x.k WHEN MATCHED THEN UPDATE SET a = x.a WHEN NOT MATCHED THEN INSERT (k, a) VALUES (x.k, x.a) RETURNING merge_action(), old.k, new.k, old.a, new.a, new.b;
MERGE INTO t USING o ON t.k = o.k WHEN MATCHED AND o.n = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET a = o.n + 100 WHEN NOT MATCHED THEN INSERT (k, a) VALUES (o.k + 5000, 1) RETURNING merge_action(), old.a, new.a, t.k, o.id, o.n;
MERGE INTO t USING o ON t.k = o.k WHEN NOT MATCHED BY SOURCE AND t.k > 3000 THEN DELETE RETURNING old.k, new.k;
MERGE INTO t USING o ON t.k = o.k WHEN NOT MATCHED THEN INSERT (k, a) VALUES (o.k + 7000, 1) RETURNING WITH (OLD AS was, NEW AS is) was.a, is.a, is.b, o.id;
MERGE INTO r USING o ON r.id = o.k WHEN MATCHED THEN UPDATE SET n = r.n + 1 WHEN NOT MATCHED THEN INSERT VALUES (o.k, 1) RETURNING old.n, new.n, r.id;
MERGE INTO l USING t ON l.k = t.k WHEN MATCHED THEN UPDATE SET a = t.a + 50 WHEN NOT MATCHED AND t.k < 16 THEN INSERT VALUES (t.k, t.a) RETURNING old.a, new.a, l.k;
WITH w AS (MERGE INTO t USING o ON t.k = o.k WHEN MATCHED THEN UPDATE SET a = t.a + 1 RETURNING old.a AS before, new.a AS after) SELECT * FROM w;
SELECT * FROM t;
SELECT * FROM r;
SELECT * FROM l;
