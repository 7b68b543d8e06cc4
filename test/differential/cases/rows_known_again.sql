-- UPDATE and DELETE from rows of other nodes: partitioned, reference and local tables.
CREATE TABLE t (k int, g date, v text, n int) PARTITION BY RANGE (g);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE o (id text, k int);
CREATE TABLE r (id int primary key, t text, j json);
CREATE TABLE rn (id int, t text, j json, f float8);
CREATE TABLE lp (k int, v text) PARTITION BY HASH (k);
CREATE TABLE lp0 PARTITION OF lp FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE lp1 PARTITION OF lp FOR VALUES WITH (modulus 2, remainder 1);
--* SELECT create_distributed_table('t','k');
--* SELECT create_distributed_table('o','id');
--* SELECT create_reference_table('r');
--* SELECT create_reference_table('rn');
INSERT INTO t SELECT i, '2020-01-01'::date + i*30, 'v'||i, i%5 FROM generate_series(1,20) i;
INSERT INTO o SELECT 'o'||i, i FROM generate_series(1,20) i;
INSERT INTO r SELECT i, 'r'||i, '{"a":1}' FROM generate_series(0,9) i;
INSERT INTO rn SELECT i%3, 'r'||i%3, '{"a":1}', 'NaN' FROM generate_series(0,9) i;
INSERT INTO lp SELECT i, 'l' FROM generate_series(0,9) i;
--* SELECT citus_add_local_table_to_metadata('lp');
--ask
UPDATE t SET v = o.id FROM o WHERE o.k = t.k AND t.k < 9 RETURNING t.*, o.id;
SELECT * FROM t;
UPDATE t SET g = g + 300 FROM o WHERE o.k = t.k AND t.k in (1,2) RETURNING t.*;
SELECT count(*) FROM t_1;
DELETE FROM t USING o WHERE o.k = t.k AND o.id LIKE '%3' RETURNING t.k, o.id;
DELETE FROM t WHERE n = (SELECT max(k) - 18 FROM o);
SELECT * FROM t;
WITH a AS (UPDATE t SET n = 9 WHERE n = 1 RETURNING *) DELETE FROM t WHERE n IN (9, 0) RETURNING *;
SELECT * FROM t;
UPDATE r SET t = o.id, id = r.id + 1 FROM o WHERE o.k - 1 = r.id RETURNING r.id, r.t, o.k;
SELECT id, t FROM r;
DELETE FROM r WHERE id IN (SELECT k FROM o WHERE k > 5);
SELECT id, t FROM r;
UPDATE rn SET t = t || (SELECT count(*) FROM o), f = id WHERE id IN (SELECT k FROM o);
DELETE FROM rn USING o WHERE rn.id + 2 = o.k;
SELECT id, t, f, j::text FROM rn;
UPDATE lp SET v = o.id FROM o WHERE o.k = lp.k RETURNING lp.*, lp.tableoid::regclass::text;
DELETE FROM lp WHERE k IN (SELECT k FROM o WHERE k > 6);
SELECT * FROM lp;
--0A000
WITH x AS (DELETE FROM r WHERE id = 1 RETURNING *) UPDATE r SET t = 'was ' || x.t FROM x, o WHERE r.id = o.k RETURNING r.id, r.t;
--0A000
WITH x AS (DELETE FROM r WHERE id = 2 RETURNING *) UPDATE r SET t = 'zz' WHERE id < 4 RETURNING r.id, r.t;
SELECT id, t FROM r;
UPDATE r SET t = 'x' WHERE id > (SELECT count(*) FROM o) - 18 RETURNING (SELECT count(*) FROM o);
UPDATE r SET t = 'x' WHERE random() < 2 RETURNING id;
-- the reads open several sessions, the changes take locks in one
BEGIN;
DELETE FROM t USING o AS q1 JOIN r AS q2 ON q1.k = q2.id JOIN t AS q3 ON q1.k = q3.n JOIN o AS q4 ON q4.k = q3.k WHERE t.k = q2.id AND q4.id > 'o1';
UPDATE t SET v = 'locked' FROM o AS q1 JOIN t AS q3 ON q1.k = q3.n WHERE t.k = q1.k;
ROLLBACK;
