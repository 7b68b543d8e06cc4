-- WITH queries that only VALUES, ON CONFLICT or RETURNING read.
CREATE TABLE p (a int PRIMARY KEY, d text, n int);
CREATE TABLE q (a int PRIMARY KEY, d text, n int);
CREATE TABLE o (x int, a int, n int);
CREATE TABLE r (a int PRIMARY KEY, d text, n int);
CREATE TABLE l (a int PRIMARY KEY, d text, n int);
--* SELECT create_distributed_table('p','a'), create_distributed_table('q','a'), create_distributed_table('o', 'x', shard_count => 3), create_reference_table('r')
INSERT INTO p VALUES (1, 'x', 1), (2, 'y', 2);
INSERT INTO q SELECT i, 'q' || i, i FROM generate_series(1, 9) i;
INSERT INTO o SELECT i, i + 3, i FROM generate_series(1, 9) i;
INSERT INTO r SELECT i, 'r' || i, i FROM generate_series(1, 5) i;
INSERT INTO l SELECT i, 'l' || i, i FROM generate_series(1, 5) i;
--ask
WITH aa AS (SELECT 1 a, 2 b) INSERT INTO p VALUES (1, (SELECT b || ' insert' FROM aa WHERE a = 1)) ON CONFLICT (a) DO UPDATE SET d = (SELECT b || ' update' FROM aa WHERE a = 1 LIMIT 1);
WITH aa AS (SELECT 1 a, 2 b) INSERT INTO p VALUES (1, 'z') ON CONFLICT (a) DO UPDATE SET d = (SELECT b || ' update' FROM aa WHERE a = 1 LIMIT 1) RETURNING *;
WITH aa AS MATERIALIZED (SELECT 1 a, 2 b) INSERT INTO p VALUES (1, 'z') ON CONFLICT (a) DO UPDATE SET d = (SELECT aa.b || p.d || excluded.d FROM aa WHERE aa.a = p.a) WHERE p.n < (SELECT b FROM aa);
WITH aa AS MATERIALIZED (SELECT 1 a, 2 b) INSERT INTO p VALUES (1, 'z'), (2, 'y'), (3, 'n') ON CONFLICT (a) DO UPDATE SET d = (SELECT b || ' many' FROM aa) WHERE p.n < (SELECT b + 7 FROM aa) RETURNING *;
WITH aa AS MATERIALIZED (SELECT a, d, n FROM r) INSERT INTO p VALUES (1, 'z', 1), (2, 'y', 2), (4, 'n', 3) ON CONFLICT (a) DO UPDATE SET (d, n) = (SELECT d, n FROM aa WHERE aa.a = excluded.a);
WITH aa AS MATERIALIZED (SELECT a, d, n FROM r), bb AS MATERIALIZED (SELECT max(n) m FROM aa), cc AS (SELECT 5) INSERT INTO p SELECT a, d, n FROM q ON CONFLICT (a) DO UPDATE SET n = (SELECT m FROM bb), d = (SELECT count(*) FROM aa);
WITH aa AS MATERIALIZED (SELECT a, d, n FROM r), bb AS MATERIALIZED (SELECT max(n) m FROM aa) INSERT INTO p SELECT a + (SELECT m FROM bb), d, n FROM q ON CONFLICT (a) DO UPDATE SET n = (SELECT m FROM bb), d = (SELECT count(*) FROM aa) RETURNING a, d, n;
WITH aa AS MATERIALIZED (SELECT 5 m) INSERT INTO p SELECT q.a, m::text, n FROM q, aa ON CONFLICT (a) DO UPDATE SET n = (SELECT m FROM aa);
WITH aa AS MATERIALIZED (SELECT 5 m) INSERT INTO p SELECT q.a, (SELECT m FROM aa)::text, n FROM q WHERE a = 4 ON CONFLICT (a) DO UPDATE SET n = (SELECT m FROM aa), d = excluded.d;
WITH aa AS MATERIALIZED (SELECT 5 m) INSERT INTO p SELECT o.a, (SELECT m FROM aa)::text, n FROM o ON CONFLICT (a) DO UPDATE SET n = (SELECT m + 1 FROM aa), d = excluded.d;
WITH RECURSIVE aa(m) AS (SELECT 1 UNION ALL SELECT m + 1 FROM aa WHERE m < 4) INSERT INTO p SELECT a, d, n FROM o, LATERAL (SELECT 'o') x(d) ON CONFLICT (a) DO UPDATE SET n = (SELECT sum(m) FROM aa);
WITH RECURSIVE aa(m) AS (SELECT 1 UNION ALL SELECT m + 1 FROM aa WHERE m < 4) INSERT INTO p VALUES ((SELECT max(m) FROM aa), 'rec', 1), (5, 'five', 5) ON CONFLICT (a) DO UPDATE SET n = (SELECT sum(m) FROM aa) RETURNING *;
WITH aa AS (SELECT 1 a), bb AS (SELECT 2 b) INSERT INTO p VALUES (1, 'w') ON CONFLICT (a) DO UPDATE SET d = (WITH cc AS (SELECT b FROM bb) SELECT b || '-' || a FROM cc, aa);
WITH aa AS (SELECT 1 a) INSERT INTO p VALUES (1, 'w') ON CONFLICT (a) DO NOTHING;
WITH aa AS MATERIALIZED (SELECT 77 a) INSERT INTO p VALUES ((SELECT a FROM aa), 'seven', (SELECT a FROM aa)) RETURNING *;
WITH aa AS MATERIALIZED (SELECT 7 a) INSERT INTO p VALUES (70, (SELECT a FROM aa)), (71, (SELECT a FROM aa)) RETURNING *;
WITH aa AS MATERIALIZED (SELECT max(a) m FROM q) INSERT INTO p VALUES (80, (SELECT m FROM aa)), (81, (SELECT m FROM aa)) RETURNING *, (SELECT m FROM aa);
WITH aa AS MATERIALIZED (SELECT 5 m) INSERT INTO p VALUES (90, 'x', 1) RETURNING a, (SELECT m FROM aa) AS m;
WITH aa AS MATERIALIZED (SELECT max(a) m FROM o) INSERT INTO p VALUES (91, 'x', 1) RETURNING a, (SELECT m FROM aa) AS m, (SELECT m + p.a FROM aa);
WITH aa AS MATERIALIZED (SELECT max(a) m FROM p) INSERT INTO p VALUES (92, 'x', 1) RETURNING a, (SELECT m FROM aa) AS m, (SELECT m + p.a FROM aa);
WITH aa AS MATERIALIZED (SELECT max(a) m FROM p) UPDATE p SET n = 5 WHERE a = 92 RETURNING a, (SELECT m FROM aa) AS m, (SELECT m + p.a FROM aa);
WITH aa AS MATERIALIZED (SELECT max(a) m FROM p) UPDATE p SET n = (SELECT m FROM aa) RETURNING a, n, (SELECT m FROM aa) AS m, (SELECT m + p.a FROM aa);
WITH aa AS MATERIALIZED (SELECT max(a) m FROM p) DELETE FROM p WHERE a = (SELECT m FROM aa) RETURNING a, n, (SELECT m FROM aa) AS m, (SELECT m + p.a FROM aa);
WITH aa AS MATERIALIZED (SELECT max(a) m FROM o) UPDATE r SET n = (SELECT m FROM aa) RETURNING a, n, (SELECT m FROM aa) AS m;
WITH aa AS MATERIALIZED (SELECT 3 m) INSERT INTO r VALUES (1, 'w', 2), (55, 'n', 3) ON CONFLICT (a) DO UPDATE SET n = (SELECT m FROM aa) RETURNING *;
WITH aa AS MATERIALIZED (SELECT a, n FROM r) INSERT INTO r VALUES (1, 'w', 2), (56, 'n', 3) ON CONFLICT (a) DO UPDATE SET n = (SELECT aa.n + 1 FROM aa WHERE aa.a = excluded.a) RETURNING *;
WITH w AS (DELETE FROM q WHERE a = 3 RETURNING *), aa AS (SELECT 9 nine) INSERT INTO p SELECT a, d, (SELECT nine FROM aa) FROM w ON CONFLICT (a) DO UPDATE SET d = excluded.d, n = excluded.n;
PREPARE ins (int, text) AS WITH aa AS MATERIALIZED (SELECT $1 a, $2 b) INSERT INTO p VALUES ($1, (SELECT b || ' insert' FROM aa WHERE a = $1)) ON CONFLICT (a) DO UPDATE SET d = (SELECT b || ' update' FROM aa);
--again 7
EXECUTE ins (1, 'prep');
PREPARE ins2 (int, text) AS WITH aa AS MATERIALIZED (SELECT $1 a, $2 b) INSERT INTO p VALUES ($1, (SELECT b || ' insert' FROM aa WHERE a = $1)), ($1 + 1, 'x') ON CONFLICT (a) DO UPDATE SET d = (SELECT b || ' update' FROM aa);
--again 7
EXECUTE ins2 (1, 'prep2');
--0A000
WITH aa AS MATERIALIZED (SELECT max(n) m FROM q) INSERT INTO p SELECT a, 'x', 1 FROM o ON CONFLICT (a) DO UPDATE SET n = (SELECT m FROM aa);
--0A000
WITH aa AS MATERIALIZED (SELECT random() m) INSERT INTO p SELECT a, 'x', 1 FROM o ON CONFLICT (a) DO UPDATE SET n = (SELECT m FROM aa);
--0A000
WITH w AS (DELETE FROM q WHERE a = 5 RETURNING *) INSERT INTO p VALUES (1, 'w', 1) ON CONFLICT (a) DO UPDATE SET n = (SELECT max(n) FROM w);
SELECT * FROM p;
SELECT * FROM r;
SELECT * FROM q;
--coordinator
WITH aa AS MATERIALIZED (SELECT a, d, n FROM l) INSERT INTO p SELECT a, d, n FROM aa ON CONFLICT (a) DO UPDATE SET d = excluded.d || 'l';
WITH aa AS MATERIALIZED (SELECT max(n) m FROM p) INSERT INTO l VALUES (1, 'w', 2), (55, 'n', 3) ON CONFLICT (a) DO UPDATE SET n = (SELECT m FROM aa) RETURNING *, (SELECT m FROM aa);
WITH aa AS MATERIALIZED (SELECT max(n) m FROM p) UPDATE l SET n = 1 RETURNING *, (SELECT m FROM aa);
SELECT * FROM p;
SELECT * FROM l;
