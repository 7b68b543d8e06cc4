-- Rights on single columns are enough for what they are enough for in PostgreSQL: nothing of how shards are asked needs more.
\set SHOW_CONTEXT never
SELECT min(nodeport) AS worker FROM pg_dist_node WHERE groupid > 0 \gset
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
SET client_min_messages = warning;
SET citus.next_shard_id = 7750000;
SET citus.shard_count = 4;
CREATE SCHEMA column_rights;
SET search_path = column_rights;
CREATE ROLE column_clerk LOGIN;
GRANT USAGE ON SCHEMA column_rights TO column_clerk;
CREATE TABLE t (a int, b int, c text);
CREATE TABLE s (a int, b int);
CREATE TABLE r (a int PRIMARY KEY, b int);
SELECT create_distributed_table('t', 'a');
SELECT create_distributed_table('s', 'a');
SELECT create_reference_table('r');
INSERT INTO t SELECT i, i, 'x' FROM generate_series(1, 4) i;
INSERT INTO s SELECT i, i FROM generate_series(1, 2) i;
INSERT INTO r SELECT i, i FROM generate_series(1, 2) i;
GRANT SELECT (a, b, c), UPDATE (b) ON t TO column_clerk;
GRANT SELECT (a, b), UPDATE (b) ON r TO column_clerk;
GRANT SELECT ON s TO column_clerk;
SET ROLE column_clerk;
-- whole rows
SELECT t FROM t WHERE a = 1;
SELECT t FROM t ORDER BY t;
SELECT s.a, t FROM s LEFT JOIN t ON t.a = s.a + 3 ORDER BY 1;
SELECT s.a, t FROM s LEFT JOIN t ON t.a = s.a AND t.b > 1 ORDER BY 1;
SELECT s.a, t FROM s LEFT JOIN t ON t.a = s.a AND t.b > 1 WHERE s.a = 1;
SELECT r, to_jsonb(t) FROM t JOIN r USING (a) ORDER BY t.a;
SELECT ctid FROM t;
SELECT tableoid FROM t WHERE a = 1;
-- changes whose rows are found first
WITH u AS (UPDATE t SET b = 6 FROM s WHERE s.a = 1 AND t.a < 3 RETURNING t.a, t, s.b) SELECT * FROM u ORDER BY 1;
WITH u AS (UPDATE t SET b = t.b + s.b FROM s WHERE s.b = t.a - 2 RETURNING t.a, t.b, s.b AS n) SELECT * FROM u ORDER BY 1;
WITH u AS (UPDATE t SET b = (SELECT max(b) FROM s) WHERE a IN (SELECT b FROM s) RETURNING a, b) SELECT * FROM u ORDER BY 1;
UPDATE t SET b = random() * 0 WHERE a = 1 RETURNING a, b;
UPDATE t SET b = 3 WHERE a = 1 AND pg_try_advisory_xact_lock(b) RETURNING a, b;
WITH u AS (UPDATE r SET b = s.b + 1 FROM s WHERE s.a = r.a RETURNING r.a, r.b) SELECT * FROM u ORDER BY 1;
SELECT a, b FROM t ORDER BY a FOR UPDATE;
PREPARE u (int) AS UPDATE t SET b = t.b + $1 FROM s WHERE s.a = 1 AND t.a = 4 RETURNING t.b;
EXECUTE u (1);
EXECUTE u (1);
EXECUTE u (1);
EXECUTE u (1);
EXECUTE u (1);
EXECUTE u (1);
EXECUTE u (1);
RESET ROLE;
EXECUTE u (1);
REVOKE UPDATE (b) ON t FROM column_clerk;
SET ROLE column_clerk;
EXECUTE u (1);
UPDATE t SET b = 6 FROM s WHERE s.a = 1;
RESET ROLE;
GRANT UPDATE (b) ON t TO column_clerk;
REVOKE SELECT (c) ON t FROM column_clerk;
SET ROLE column_clerk;
EXECUTE u (1);
SELECT t FROM t;
UPDATE t SET b = 7 FROM s WHERE s.a = 1 AND t.a = 2 RETURNING t.a, t.b;
UPDATE t SET b = 7 FROM s WHERE s.a = 1 AND t.a = 2 RETURNING t;
UPDATE t SET b = length(t.c) FROM s WHERE s.a = 1;
UPDATE t SET c = 'y' FROM s WHERE s.a = 1;
DELETE FROM t USING s WHERE s.b = t.b;
SELECT current_user;
RESET ROLE;
SELECT a, b, c FROM t ORDER BY a;

-- asked of another node
\c - - - :worker
SET search_path = column_rights;
SET ROLE column_clerk;
WITH u AS (UPDATE t SET b = 8 FROM s WHERE s.a = 1 AND t.a < 3 RETURNING t.a, t.b) SELECT * FROM u ORDER BY 1;
UPDATE t SET c = 'y' FROM s WHERE s.a = 1;
RESET ROLE;

\c - - - :coordinator
SET client_min_messages = warning;
DROP SCHEMA column_rights CASCADE;
DROP ROLE column_clerk;
