-- Rules and INSTEAD OF triggers of views over distributed tables.
CREATE TABLE t (a int, b text, n int);
CREATE TABLE u (a int PRIMARY KEY, b text, n int);
CREATE TABLE o (x int, a int, c text);
CREATE TABLE r (a int PRIMARY KEY, b text);
CREATE TABLE l (a int, b text);
CREATE TABLE log (what text, a int, b text);
CREATE TABLE dlog (what text, a int, b text);
--* SELECT create_distributed_table('t','a'), create_distributed_table('u','a'), create_distributed_table('o','x',shard_count=>3), create_reference_table('r'), create_distributed_table('dlog','a')
INSERT INTO t SELECT i, 'b' || i, i % 4 FROM generate_series(1, 12) i;
INSERT INTO u SELECT i, 'u' || i, i % 4 FROM generate_series(1, 12) i;
INSERT INTO o SELECT i, i + 2, 'o' || i FROM generate_series(1, 12) i;
INSERT INTO r SELECT i, 'r' || i FROM generate_series(1, 12) i;
INSERT INTO l SELECT i, 'l' || i FROM generate_series(1, 12) i;
--coordinator
-- one action
CREATE VIEW v1 AS SELECT * FROM t;
CREATE RULE d AS ON DELETE TO v1 DO INSTEAD DELETE FROM t WHERE a = old.a;
CREATE RULE u AS ON UPDATE TO v1 DO INSTEAD UPDATE t SET b = new.b, n = new.n WHERE a = old.a;
CREATE RULE i AS ON INSERT TO v1 DO INSTEAD INSERT INTO t VALUES (new.a, new.b || '!', new.n);
DELETE FROM v1 WHERE a = 1;
DELETE FROM v1 WHERE b = 'b2';
UPDATE v1 SET b = 'x' WHERE a = 3;
UPDATE v1 SET b = b || a, n = n + 1;
UPDATE v1 SET n = (SELECT count(*) FROM o);
UPDATE v1 SET n = o.x FROM o WHERE o.a = v1.a;
UPDATE v1 SET n = u.n FROM u WHERE u.a = v1.a AND u.a = 5;
DELETE FROM v1 USING r WHERE r.a = v1.a AND v1.a > 10;
INSERT INTO v1 VALUES (1, 'one', 1);
INSERT INTO v1 (b, a) VALUES ('two', 2), ('two', 22);
INSERT INTO v1 SELECT x + 100, c, 1 FROM o;
INSERT INTO v1 SELECT a + 200, b, n FROM t;
INSERT INTO v1 SELECT a + 300, b FROM l WHERE a < 3;
SELECT * FROM v1;
PREPARE p1 (int, text) AS UPDATE v1 SET b = $2 WHERE a = $1;
--again 7
EXECUTE p1 (3, 'prep');
PREPARE p2 (int, text) AS INSERT INTO v1 VALUES ($1, $2, 1);
--again 7
EXECUTE p2 (3, 'prep');
PREPARE p3 (int) AS DELETE FROM v1 WHERE a = $1 AND b = 'prep!';
EXECUTE p3 (3);
SELECT * FROM t;
-- the view orders, computes, joins, groups
CREATE VIEW v2 AS SELECT * FROM t ORDER BY a;
CREATE RULE u AS ON UPDATE TO v2 DO INSTEAD UPDATE t SET b = new.b WHERE a = old.a;
CREATE RULE d AS ON DELETE TO v2 DO INSTEAD DELETE FROM t WHERE t.a = old.a AND t.n = old.n;
UPDATE v2 SET b = 'ordered' WHERE a = 4;
UPDATE v2 SET b = 'ordered' || a;
DELETE FROM v2 WHERE a > 200;
CREATE VIEW v3 AS SELECT t.a, t.b, o.c, o.x, count(*) OVER () AS total FROM t JOIN o ON o.a = t.a;
CREATE RULE u AS ON UPDATE TO v3 DO INSTEAD (UPDATE t SET b = new.b WHERE a = old.a; UPDATE o SET c = new.c WHERE x = old.x);
CREATE RULE d AS ON DELETE TO v3 DO INSTEAD (DELETE FROM o WHERE x = old.x; DELETE FROM t WHERE a = old.a);
CREATE RULE i AS ON INSERT TO v3 DO INSTEAD (INSERT INTO t VALUES (new.a, new.b, 0); INSERT INTO o VALUES (new.x, new.a, new.c));
UPDATE v3 SET b = 'joined', c = c || '+' WHERE a = 5;
UPDATE v3 SET b = b || total, c = 'c' || total;
INSERT INTO v3 VALUES (500, 'b', 'c', 501), (502, 'b', 'c', 503);
DELETE FROM v3 WHERE a = 500;
DELETE FROM v3 WHERE x = 3;
SELECT * FROM t;
SELECT * FROM o;
-- RETURNING
CREATE VIEW v4 AS SELECT a, b, n FROM u;
CREATE RULE u AS ON UPDATE TO v4 DO INSTEAD UPDATE u SET b = new.b, n = new.n WHERE a = old.a RETURNING u.a, u.b, u.n;
CREATE RULE d AS ON DELETE TO v4 DO INSTEAD DELETE FROM u WHERE a = old.a RETURNING u.*;
CREATE RULE i AS ON INSERT TO v4 DO INSTEAD INSERT INTO u VALUES (new.a, new.b, new.n) RETURNING u.a, u.b, u.n + 1;
UPDATE v4 SET b = 'ret' WHERE a = 4 RETURNING *;
UPDATE v4 SET b = b || n RETURNING a, b;
INSERT INTO v4 VALUES (60, 'sixty', 6) RETURNING n, a;
INSERT INTO v4 SELECT a + 60, b, n FROM t WHERE a < 8 RETURNING *;
DELETE FROM v4 WHERE a > 50 RETURNING a + 1;
WITH w AS (UPDATE v4 SET b = 'with' WHERE a < 3 RETURNING a, b) SELECT * FROM w;
WITH w AS (DELETE FROM v4 WHERE a < 3 RETURNING a, b, n) INSERT INTO v4 SELECT * FROM w RETURNING *;
-- conditional, ALSO, NOTHING
CREATE VIEW v5 AS SELECT * FROM u;
CREATE RULE nothing AS ON DELETE TO v5 DO INSTEAD NOTHING;
CREATE RULE log AS ON DELETE TO v5 DO ALSO INSERT INTO dlog VALUES ('deleted', old.a, old.b);
CREATE RULE log2 AS ON DELETE TO v5 WHERE old.a = 4 DO ALSO INSERT INTO log VALUES ('deleted', old.a, old.b);
CREATE RULE nothing_u AS ON UPDATE TO v5 DO INSTEAD NOTHING;
CREATE RULE few AS ON UPDATE TO v5 WHERE old.a > 5 DO INSTEAD UPDATE u SET b = new.b WHERE a = old.a;
CREATE RULE others AS ON UPDATE TO v5 WHERE old.a <= 5 DO ALSO INSERT INTO log VALUES ('updated', old.a, new.b);
CREATE RULE ins AS ON INSERT TO v5 DO INSTEAD INSERT INTO u AS target VALUES (new.a, new.b, new.n) ON CONFLICT (a) DO UPDATE SET b = excluded.b || target.a;
CREATE RULE ins2 AS ON INSERT TO v5 WHERE new.a > 4 DO ALSO INSERT INTO dlog VALUES ('inserted', new.a, new.b);
DELETE FROM v5 WHERE a < 6;
DELETE FROM v5;
UPDATE v5 SET b = 'cond' WHERE a BETWEEN 4 AND 7;
UPDATE v5 SET b = 'all' || a;
INSERT INTO v5 VALUES (3, 'i', 1), (70, 'i', 1);
INSERT INTO v5 SELECT a, b, n FROM t;
SELECT * FROM u;
SELECT * FROM log;
SELECT * FROM dlog;
-- other targets; several parts of one column
CREATE VIEW v6 AS SELECT a, b, n FROM t WHERE n IS NOT NULL;
CREATE RULE u AS ON UPDATE TO v6 DO INSTEAD (UPDATE r SET b = new.b WHERE a = old.a; UPDATE l SET b = new.b WHERE a = old.a; INSERT INTO log VALUES ('v6', old.a, new.b));
CREATE RULE d AS ON DELETE TO v6 DO INSTEAD (DELETE FROM l WHERE a = old.a; DELETE FROM r WHERE a = old.a; SELECT old.a + 1);
CREATE RULE i AS ON INSERT TO v6 DO INSTEAD (INSERT INTO l VALUES (new.a, new.b); INSERT INTO r VALUES (new.a, new.b) ON CONFLICT DO NOTHING);
UPDATE v6 SET b = 'six' WHERE a = 6;
UPDATE v6 SET b = 'six' || b;
DELETE FROM v6 WHERE a = 7;
INSERT INTO v6 VALUES (1000, 'k', 1);
INSERT INTO v6 SELECT a + 1000, b, n FROM u WHERE a < 5;
SELECT * FROM r;
SELECT * FROM l;
SELECT * FROM log;
CREATE TABLE arr (k int, c int[]);
--* SELECT create_distributed_table('case_rules_and_triggers.arr', 'k')
INSERT INTO arr VALUES (1, '{1,2,3}'), (2, '{4,5,6}');
CREATE VIEW v7 AS SELECT k, c || 9 AS c FROM arr;
CREATE RULE u AS ON UPDATE TO v7 DO INSTEAD UPDATE arr SET c = new.c WHERE k = old.k;
CREATE RULE i AS ON INSERT TO v7 DO INSTEAD INSERT INTO arr VALUES (new.k, new.c);
UPDATE v7 SET c[1] = 10, c[2] = 20 WHERE k = 1;
UPDATE v7 SET c[1] = k, c[2] = 20;
INSERT INTO v7 (k, c[1], c[3]) VALUES (3, 1, 2);
INSERT INTO v7 (k, c[1], c[3]) SELECT k + 3, k, k FROM arr;
SELECT * FROM arr;
-- VALUES of the statement and of the action
CREATE VIEW v12 AS SELECT a, b FROM t;
CREATE RULE i AS ON INSERT TO v12 DO INSTEAD INSERT INTO t VALUES (new.a, new.b, 1), (new.a + 1, new.b, 2);
CREATE RULE i2 AS ON INSERT TO v12 WHERE new.a % 2 = 0 DO ALSO INSERT INTO r VALUES (new.a, 'even'), (new.a + 1, 'odd');
CREATE RULE i3 AS ON INSERT TO v12 WHERE new.a % 2 = 0 DO ALSO INSERT INTO log VALUES ('v12', new.a), ('v12+1', new.a + 1);
INSERT INTO v12 VALUES (5001, 'v');
INSERT INTO v12 VALUES (5004, 'v'), (5007, 'w'), (5010, 'x');
INSERT INTO v12 SELECT a + 6000, b FROM u WHERE a BETWEEN 5 AND 8;
INSERT INTO v12 VALUES (5020, (SELECT max(b) FROM u));
PREPARE p5 (int, text) AS INSERT INTO v12 VALUES ($1, $2), ($1 + 3, $2);
EXECUTE p5 (5030, 'p');
SELECT * FROM t WHERE a > 5000;
SELECT * FROM r;
-- rules of tables: a plain one that writes distributed ones, and a view over such a view
CREATE RULE also AS ON INSERT TO l DO ALSO INSERT INTO t VALUES (new.a, new.b, 55);
CREATE RULE also_d AS ON DELETE TO l DO ALSO DELETE FROM t WHERE a = old.a AND n = 55;
CREATE RULE also_u AS ON UPDATE TO l DO ALSO UPDATE t SET b = new.b WHERE a = old.a AND n = 55;
INSERT INTO l VALUES (2001, 'l'), (2002, 'l');
INSERT INTO l SELECT a + 3000, b FROM u;
UPDATE l SET b = 'x' || a WHERE a = 2001;
DELETE FROM l WHERE a = 2002;
CREATE VIEW v8 AS SELECT a, b FROM v1 WHERE a < 100;
UPDATE v8 SET b = 'v8' WHERE a = 5;
INSERT INTO v8 VALUES (81, 'v8');
DELETE FROM v8 WHERE a = 81;
SELECT * FROM t;
-- INSTEAD OF triggers
CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF tg_op = 'INSERT' THEN
		INSERT INTO case_rules_and_triggers.u VALUES (new.a, new.b, 0); new.n := 77; RETURN new;
	ELSIF tg_op = 'UPDATE' THEN
		UPDATE case_rules_and_triggers.u SET b = new.b WHERE a = old.a;
		IF old.a = 5 THEN RETURN NULL; END IF;
		RETURN new;
	END IF;
	DELETE FROM case_rules_and_triggers.u WHERE a = old.a; RETURN old;
END $$;
CREATE VIEW v9 AS SELECT u.a, u.b, (SELECT count(*) FROM t) n FROM u;
CREATE TRIGGER tg INSTEAD OF INSERT OR UPDATE OR DELETE ON v9 FOR EACH ROW EXECUTE FUNCTION tr();
UPDATE v9 SET b = 'trig' WHERE a = 3;
UPDATE v9 SET b = b || a || n WHERE a < 7 RETURNING a, b;
UPDATE v9 SET b = o.c FROM o WHERE o.a = v9.a RETURNING *;
UPDATE v9 SET b = (SELECT max(c) FROM o) WHERE a IN (SELECT a FROM r WHERE a < 4);
INSERT INTO v9 VALUES (300, 'ins');
INSERT INTO v9 VALUES (3010, 'ins'), (3020, 'ins') RETURNING *;
INSERT INTO v9 SELECT x + 400, c FROM o RETURNING a, n;
DELETE FROM v9 WHERE a = 300;
DELETE FROM v9 USING o WHERE o.x + 400 = v9.a AND o.x < 4 RETURNING v9.*, o.c;
DELETE FROM v9 WHERE a > 405 RETURNING a, (SELECT count(*) FROM o);
WITH w AS (UPDATE v9 SET b = 'w' WHERE a = 3010 RETURNING *) SELECT * FROM w;
WITH w AS (UPDATE t SET b = 'w' WHERE a = 4 RETURNING *) UPDATE v9 SET b = w.b FROM w WHERE w.a = v9.a RETURNING v9.a, v9.b;
PREPARE p4 (int, text) AS UPDATE v9 SET b = $2 WHERE a = $1 RETURNING *;
--again 7
EXECUTE p4 (3, 'prep');
UPDATE v9 SET (b, n) = (SELECT 'multi', 4) WHERE a = 6 RETURNING *;
INSERT INTO v9 VALUES (3011, 'x') ON CONFLICT DO NOTHING;
SELECT * FROM u;
CREATE VIEW v10 AS SELECT a, max(b) AS b FROM t GROUP BY a;
CREATE FUNCTION tr10() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE case_rules_and_triggers.t SET b = new.b WHERE a = old.a; RETURN new; END $$;
CREATE TRIGGER tg INSTEAD OF UPDATE ON v10 FOR EACH ROW EXECUTE FUNCTION tr10();
UPDATE v10 SET b = 'grouped' WHERE a = 4;
UPDATE v10 SET b = 'grouped' || a;
DELETE FROM v10 WHERE a = 4;
CREATE VIEW v11 AS SELECT a, b FROM v9 WHERE a < 5;
UPDATE v11 SET b = 'through' WHERE a = 3 RETURNING *;
SELECT * FROM u;
SELECT * FROM t;
