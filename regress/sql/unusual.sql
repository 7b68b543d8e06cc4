-- Statements that few people write, next to the same on a plain table.
\set SHOW_CONTEXT never
CREATE SCHEMA unusual;
SET search_path = unusual;
CREATE TABLE t (id int PRIMARY KEY, g int);
CREATE TABLE r (id int PRIMARY KEY);
INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 9) i;
CREATE TABLE p AS SELECT * FROM t;
INSERT INTO r VALUES (1);
SET client_min_messages = warning;
SELECT create_distributed_table('t', 'id', shard_count => 4, colocate_with => 'none');
SELECT create_reference_table('r');

-- rows without columns
SELECT FROM t WHERE id = 3;
SELECT FROM p WHERE id = 3;
PREPARE nothing(int) AS SELECT FROM t WHERE id = $1;
EXECUTE nothing(3);
EXECUTE nothing(33);
SELECT FROM r;
SELECT count(*) FROM (SELECT FROM t) s;

-- rows of no named type
SELECT ROW(id, g) FROM t WHERE id = 3;
SELECT x FROM (SELECT id, g FROM t) x WHERE x.id = 3;
SELECT array_agg(ROW(id, g)) FROM t WHERE id = 3;
SELECT ROW(id, g) FROM t WHERE id < 4 ORDER BY id;
SELECT ROW(g, id) FROM t WHERE id < 4 ORDER BY 1 LIMIT 2;
SELECT t FROM t WHERE id = 3;
UPDATE t SET g = 5 WHERE id = 3 RETURNING ROW(id, g);
INSERT INTO t VALUES (20, 1) RETURNING ROW(id, g);
WITH copies AS (INSERT INTO t SELECT id + 100, g FROM t RETURNING ROW(id, g) AS r) SELECT r FROM copies ORDER BY r;
UPDATE t SET g = g WHERE id = 3 RETURNING t;
SELECT count(*), sum(g) FROM t;

-- the current row of a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t WHERE id = 3 FOR UPDATE;
FETCH c;
SAVEPOINT s;
UPDATE t SET g = 7 WHERE CURRENT OF c;
ROLLBACK TO s;
DELETE FROM t WHERE CURRENT OF c;
ROLLBACK;
MERGE INTO t USING p ON t.id = p.id WHEN MATCHED THEN DO NOTHING;
SELECT count(*), sum(g) FROM t;
-- an assignment of nothing but what is generated
CREATE TABLE made (twice int GENERATED ALWAYS AS (id * 2) STORED, id int);
SELECT create_distributed_table('made', 'id', colocate_with => 'none');
INSERT INTO made (id) VALUES (1), (2);
UPDATE made SET twice = DEFAULT WHERE id = 1 RETURNING *;
UPDATE made SET twice = DEFAULT;
UPDATE made SET twice = 5;
SELECT * FROM made ORDER BY id;

-- which partition a row is in
CREATE TABLE parted (id int, v int) PARTITION BY LIST (v);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
SELECT create_distributed_table('parted', 'id', colocate_with => 'none');
INSERT INTO parted VALUES (1, 1);
SELECT tableoid::regclass, * FROM parted;
SELECT tableoid::regclass, * FROM parted WHERE id = 1;
UPDATE parted SET v = 1 WHERE id = 1 RETURNING tableoid::regclass;
SELECT tableoid::regclass, * FROM parted_1;
SELECT parted FROM parted;

-- a table whose rows a cursor is reading
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id;
FETCH c;
SAVEPOINT s;
ALTER TABLE t ADD COLUMN x int;
ROLLBACK TO s;
DROP TABLE t;
ROLLBACK TO s;
TRUNCATE t;
ROLLBACK TO s;
CREATE INDEX ON t (g);
ROLLBACK TO s;
FETCH c;
CLOSE c;
ALTER TABLE t ADD COLUMN x int;
ROLLBACK;
DROP SCHEMA unusual CASCADE;
