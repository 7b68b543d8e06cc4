-- INSERT: values evaluated once, here; defaults, sequences, ON CONFLICT, RETURNING.
CREATE SCHEMA insert_plan;
SET search_path = insert_plan;
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE TABLE t (k int PRIMARY KEY, v int DEFAULT 1 + 1, at date DEFAULT '2024-01-01'::date + 1, txt text);
CREATE TABLE ids (id bigserial, name text, PRIMARY KEY (id));
CREATE TABLE r (id int PRIMARY KEY, v float8, name text);
CREATE TABLE "Odd ""name""" ("The key" text, "select" int, PRIMARY KEY ("The key"));
SELECT create_distributed_table('t', 'k');
SELECT create_distributed_table('ids', 'id');
SELECT create_reference_table('r');
SELECT create_distributed_table('"Odd ""name"""', 'The key');

INSERT INTO t VALUES (1, 10, '2024-05-05', 'a');
INSERT INTO t (k) VALUES (2) RETURNING *;
INSERT INTO t (txt, k) VALUES ('x', 3), ('y', 4), (NULL, 5);
INSERT INTO t (k, v) VALUES (6, DEFAULT), (7, 70);
INSERT INTO t AS target (k, v) VALUES (1, 5) ON CONFLICT (k) DO UPDATE SET v = target.v + excluded.v RETURNING target.k, target.v;
INSERT INTO t (k) VALUES (1) ON CONFLICT DO NOTHING;
INSERT INTO t (k, v) VALUES (1, 0), (8, 80) ON CONFLICT ON CONSTRAINT t_pkey DO UPDATE SET v = -1 WHERE t.v > 0;
INSERT INTO t (k, v) VALUES (length('nine five'), (SELECT 5));
INSERT INTO t (k, v) SELECT k + 100, v FROM t WHERE v > 10;
INSERT INTO t (k, v) SELECT i, random() * 0 FROM generate_series(200, 203) i;
WITH q(k) AS (VALUES (301), (302)) INSERT INTO t (k) SELECT k FROM q;
SELECT * FROM t ORDER BY k;

INSERT INTO ids (name) VALUES ('a'), ('b'), ('c');
INSERT INTO ids (name) SELECT 'n' || i FROM generate_series(1, 5) i;
SELECT count(*), count(DISTINCT id) FROM ids;

-- volatile values are the same on every replica
INSERT INTO r VALUES (1, random(), 'one'), (2, random(), 'two');
INSERT INTO r SELECT i, random(), 'more' FROM generate_series(3, 6) i;
SELECT count(DISTINCT result) AS different FROM run_command_on_all_nodes('SELECT md5(string_agg(v::text, '','' ORDER BY id)) FROM insert_plan.r');

INSERT INTO "Odd ""name""" VALUES ('It''s', 1), (E'back\\slash', 2), ('ünï', 3);
UPDATE "Odd ""name""" SET "select" = 7 WHERE "The key" = 'It''s' RETURNING *;
SELECT "The key", "select" FROM "Odd ""name""" ORDER BY 2;

-- without a key
\set VERBOSITY terse
INSERT INTO t (v) VALUES (1);
INSERT INTO t DEFAULT VALUES;
INSERT INTO t (k, v) VALUES (NULL, 1);
\set VERBOSITY default
-- refused before anything changed
INSERT INTO t (k) VALUES (1) ON CONFLICT (k) DO UPDATE SET k = 5;
\set VERBOSITY terse
INSERT INTO t VALUES (1);
\set VERBOSITY default
INSERT INTO r VALUES (1, 0, 'again') ON CONFLICT (id) DO UPDATE SET v = random();
SELECT count(*) FROM t;
DROP SCHEMA insert_plan CASCADE;
