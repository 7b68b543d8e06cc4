-- What PostgreSQL 18 has learned: OLD and NEW in RETURNING, virtual columns, keys over time, constraints that are not enforced.
--from 18
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE t (k int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, c int GENERATED ALWAYS AS (a + 1), s int GENERATED ALWAYS AS (a - 1) STORED, v text DEFAULT 'x' NOT NULL);
CREATE TABLE o (id text, k int, n int, w int GENERATED ALWAYS AS (n % 3));
CREATE TABLE r (id int PRIMARY KEY, n int, w int GENERATED ALWAYS AS (n * n));
CREATE TABLE l (k int PRIMARY KEY, n int, w int GENERATED ALWAYS AS (n * 3));
CREATE TABLE pt (k int, g int, n int, w int GENERATED ALWAYS AS (n + k)) PARTITION BY LIST (g);
CREATE TABLE pt_1 PARTITION OF pt FOR VALUES IN (1);
CREATE TABLE pt_2 PARTITION OF pt FOR VALUES IN (2, 3);
CREATE TABLE spans (id int, valid daterange, what text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
CREATE TABLE parts (id int, k int, valid daterange, FOREIGN KEY (id, PERIOD valid) REFERENCES spans (id, PERIOD valid));
CREATE TABLE loose (k int PRIMARY KEY, n int, CONSTRAINT positive CHECK (n > 0) NOT ENFORCED);
CREATE TABLE looser (k int, n int, CONSTRAINT there FOREIGN KEY (k) REFERENCES loose (k) NOT ENFORCED);
CREATE VIEW some AS SELECT k AS key, a, b, 'constant' AS word, a + 1 AS more FROM t WHERE k < 1000;
--* SELECT create_distributed_table('t', 'k');
--* SELECT create_distributed_table('o', 'id');
--* SELECT create_reference_table('r');
--* SELECT create_distributed_table('pt', 'k', colocate_with => 't');
--* SELECT create_distributed_table('spans', 'id', colocate_with => 't');
--* SELECT create_distributed_table('parts', 'id', colocate_with => 't');
--* SELECT create_distributed_table('loose', 'k', colocate_with => 't');
--* SELECT create_distributed_table('looser', 'k', colocate_with => 't');
INSERT INTO t (k, a) SELECT i, i % 5 FROM generate_series(1, 20) i;
INSERT INTO o SELECT 'o' || i, i, i % 4 FROM generate_series(1, 20) i;
INSERT INTO r SELECT i, i % 4 FROM generate_series(1, 12) i;
INSERT INTO l SELECT i, i % 4 FROM generate_series(1, 12) i;
INSERT INTO pt SELECT i, 1 + i % 3, i FROM generate_series(1, 20) i;
--* SELECT citus_add_local_table_to_metadata('l');
--ask
-- virtual columns
SELECT * FROM t;
SELECT k, b, c FROM t WHERE k = 3;
SELECT b, count(*), sum(c) FROM t GROUP BY b;
SELECT b, count(*) FROM t GROUP BY ROLLUP (b) HAVING b IS DISTINCT FROM 4;
SELECT t.k, t.b, o.w FROM t JOIN o ON t.b = o.w;
SELECT t.k, r.w FROM t LEFT JOIN r ON r.w = t.c;
SELECT w, count(*) FROM pt GROUP BY w;
SELECT t, t.b FROM t WHERE t.b > 4;
SELECT max(b), min(c), avg(b) FROM t;
SELECT k, rank() OVER (ORDER BY b, k) FROM t;
SELECT k FROM t WHERE b = (SELECT max(b) FROM t);
WITH x AS MATERIALIZED (SELECT b, c FROM t) SELECT b + c, count(*) FROM x GROUP BY 1;
UPDATE t SET b = 1 WHERE k = 1;
INSERT INTO t (k, a, b) VALUES (900, 1, 2);
INSERT INTO t VALUES (21, 1, DEFAULT, DEFAULT, DEFAULT, 'y') RETURNING *;
INSERT INTO t (k, a) SELECT k + 100, b FROM t WHERE k < 4 RETURNING k, a, b, c, s;
INSERT INTO o (id, n) SELECT 'n' || k, b FROM t WHERE k < 5 RETURNING id, n, w;
DELETE FROM t WHERE b = 8 AND k > 100 RETURNING k, b, c;
UPDATE t SET a = b WHERE k IN (1, 2) RETURNING *;
UPDATE t SET a = t.b + r.w FROM r WHERE r.id = t.k AND r.w > 1 RETURNING t.*, r.w;
UPDATE o SET n = w + 1 WHERE w = 2 RETURNING o.*;
-- OLD and NEW
UPDATE t SET a = a + 1 WHERE k = 3 RETURNING old.a, new.a, a, old.b, new.b, old.s, new.s;
UPDATE t SET a = a + 1 WHERE k = 3 RETURNING new.a;
UPDATE t SET a = a + 1 WHERE k = 3 RETURNING old.a;
--again 3
UPDATE t SET a = a + 1 WHERE k = 4 RETURNING old.a;
--again 3
UPDATE t SET a = a + 1 WHERE k = 4 RETURNING new.a;
--again 3
UPDATE t SET a = a + 1 WHERE k = 4 RETURNING a;
UPDATE t SET a = a + 1 WHERE k > 15 RETURNING WITH (OLD AS before, NEW AS after) before.a, after.a, before.b, after.b;
UPDATE t SET a = r.n FROM r WHERE r.id = t.k RETURNING old.a, new.a, r.n, old.k;
UPDATE t SET a = a + 1 WHERE k IN (SELECT k FROM o WHERE n = 1) RETURNING old.*, new.*;
UPDATE t SET k = k + 5000 WHERE k = 5 RETURNING old.k, new.k, old.a, new.b, old.b;
UPDATE t SET k = k + 5000, a = a + 1 WHERE k BETWEEN 6 AND 9 RETURNING old.k, new.k, k, old.a + new.a, old.v || new.v;
UPDATE o SET id = id || 'x' WHERE n = 2 RETURNING old.id, new.id, old.w;
UPDATE r SET n = n + 1 WHERE id < 4 RETURNING old.n, new.n, old.w, new.w;
UPDATE l SET n = n + 1 WHERE k < 4 RETURNING old.n, new.n, old.w, new.w;
UPDATE pt SET n = n + 1 WHERE k < 4 RETURNING old.n, new.n, old.w, new.w;
UPDATE pt SET g = 1 WHERE k < 6 RETURNING old.g, new.g;
DELETE FROM t WHERE k = 10 RETURNING old.*, new.*;
DELETE FROM t WHERE a = 1 RETURNING old.k, new.k, new IS NULL;
DELETE FROM o USING r WHERE r.id = o.k AND r.n = 3 RETURNING old.id, new.id, r.n;
INSERT INTO t (k, a) VALUES (300, 1) RETURNING old.k, new.k, new.b, old IS NULL;
INSERT INTO t (k, a) VALUES (301, 1), (302, 2) RETURNING old.k, new.k, new.b;
INSERT INTO t (k, a) VALUES (3, 100) ON CONFLICT (k) DO UPDATE SET a = excluded.a RETURNING old.a, new.a, old IS NULL;
INSERT INTO t (k, a) VALUES (303, 7), (3, 8) ON CONFLICT (k) DO UPDATE SET a = excluded.a + t.a RETURNING old.a, new.a, k;
INSERT INTO t (k, a) SELECT k + 10, a FROM t WHERE k < 15 ON CONFLICT (k) DO UPDATE SET a = excluded.a RETURNING old.a, new.a, new.k;
INSERT INTO r (id, n) VALUES (1, 9), (99, 9) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING old.n, new.n, old.w, new.w;
WITH x AS (UPDATE t SET a = a + 1 WHERE k < 10 RETURNING old.a AS o, new.a AS n) SELECT * FROM x;
WITH x AS (DELETE FROM o WHERE n = 1 RETURNING old.k, old.n) INSERT INTO t (k, a) SELECT k + 700, n FROM x RETURNING old.k, new.k, new.a;
UPDATE t SET a = a + 1 WHERE k < 4 RETURNING old.a, (SELECT count(*) FROM r WHERE r.n < old.a), (SELECT max(n) FROM r WHERE r.n < new.a);
UPDATE some SET a = a + 1 WHERE key < 4 RETURNING old.a, new.a, old.word, new.word, old.more, new.more;
INSERT INTO some (key, a) VALUES (800, 1) RETURNING old.word, new.word, old.more, new.more, old.key, new.key;
DELETE FROM some WHERE key = 800 RETURNING old.word, new.word, old.more, new.more;
PREPARE change (int, int) AS UPDATE t SET a = $2 WHERE k = $1 RETURNING old.a, new.a;
--again 7
EXECUTE change (3, 11);
EXECUTE change (2, 12);
DEALLOCATE change;
SELECT * FROM t;
-- keys over time
INSERT INTO spans VALUES (1, '[2020-01-01,2021-01-01)', 'a'), (1, '[2021-01-01,2022-01-01)', 'b'), (2, '[2020-01-01,2021-01-01)', 'c');
INSERT INTO spans VALUES (1, '[2020-06-01,2021-06-01)', 'x');
INSERT INTO spans VALUES (3, 'empty', 'x');
INSERT INTO parts VALUES (1, 1, '[2020-03-01,2021-03-01)');
INSERT INTO parts VALUES (2, 1, '[2020-03-01,2021-03-01)');
DELETE FROM spans WHERE id = 1 AND what = 'b';
UPDATE spans SET valid = '[2020-01-01,2020-06-01)' WHERE id = 2;
UPDATE spans SET valid = '[2020-01-01,2022-06-01)' WHERE id = 1;
INSERT INTO spans VALUES (2, '[2020-01-01,2020-02-01)', 'again') ON CONFLICT DO NOTHING;
SELECT s.id, s.valid, p.valid FROM spans s LEFT JOIN parts p ON p.id = s.id AND p.valid && s.valid;
-- not enforced
INSERT INTO loose VALUES (1, -1), (2, 1);
INSERT INTO looser VALUES (7, 1), (1, 1);
SELECT * FROM looser LEFT JOIN loose USING (k);
-- functions
SELECT k, casefold(v), crc32(v::bytea), crc32c(v::bytea), array_sort(ARRAY[a, k, 1]), array_sort(ARRAY[a, k, 1], true), array_reverse(ARRAY[a, k]), reverse(v::bytea), gamma(a + 1.0), lgamma(a + 1.0) FROM t WHERE a > 0;
SELECT min(ARRAY[a, k]), max(ARRAY[a, k]), min(ROW(a, k)), max(ROW(a, k)), max(v::bytea), min(v::bytea) FROM t;
SELECT a % 2, min(ARRAY[a, k]), max(ROW(a, k)) FROM t GROUP BY a % 2;
SELECT count(DISTINCT uuidv7()), count(DISTINCT uuidv4()) FROM t;
SELECT uuid_extract_version(uuidv7()), count(*) FROM t GROUP BY 1;
SELECT 255::bit(8)::int, a::int2::bytea, (a::int4::bytea)::int4 FROM t WHERE k = 3;
SELECT jsonb_strip_nulls(jsonb_build_object('a', NULL, 'k', jsonb_build_array(k, NULL)), true) FROM t WHERE k < 5;
-- grouping
SELECT a % 2 AS x, count(*) FROM t GROUP BY x HAVING (a % 2) = 1;
SELECT a % 2 AS x, v, count(*) FROM t GROUP BY CUBE (a % 2, v);
SELECT a % 2 AS x, count(*) FROM t GROUP BY GROUPING SETS ((a % 2), ()) HAVING (a % 2) IS NULL OR count(*) > 1;
SELECT 1 AS one, count(*) FROM t GROUP BY ROLLUP (one) HAVING 1 = 1;
SELECT k, (SELECT max(n) FROM r WHERE r.id = t.k) FROM t GROUP BY k;
SELECT x, (SELECT count(*) FROM t f WHERE f.k = x) FROM (SELECT k % 3 AS x FROM t) s GROUP BY x;
SELECT * FROM (SELECT k, count(*) FROM t GROUP BY k) q WHERE k = 3;
SELECT DISTINCT a % 2, sum(count(*)) OVER (ORDER BY a % 2) FROM t GROUP BY a % 2;
SELECT a + 1, count(*) FROM t GROUP BY a + 1 ORDER BY a + 1 LIMIT 2;
SELECT t.k, sum(o.n) FROM t JOIN o ON o.k = t.k GROUP BY t.k HAVING t.k > 3 ORDER BY t.k;
-- joins of a table with itself, semi-joins
SELECT count(*) FROM t x JOIN t y ON x.k = y.k WHERE y.a > 0;
SELECT count(*) FROM t x JOIN t y USING (k) JOIN t z USING (k);
SELECT count(*) FROM t x WHERE EXISTS (SELECT FROM t y WHERE y.k = x.k AND y.a > 1);
SELECT count(*) FROM r WHERE EXISTS (SELECT FROM t WHERE t.a = r.n);
SELECT count(*) FROM r WHERE NOT EXISTS (SELECT FROM t WHERE t.a = r.n);
SELECT count(*) FROM t WHERE k = 1 OR k = 2 OR k = 400;
UPDATE t SET a = y.a FROM t y WHERE t.k = y.k RETURNING t.k;
DELETE FROM t USING t y WHERE t.k = y.k AND y.a = 2 RETURNING t.k, old.a;
