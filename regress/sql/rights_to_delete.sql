-- Who may read and delete rows, but not update them, can delete by any plan: also where the rows are found and locked on
-- the nodes first. MERGE that changes no row that it matches locks none.
\set VERBOSITY terse
SET client_min_messages TO warning;
CREATE ROLE deleter LOGIN;
CREATE ROLE reader LOGIN;
CREATE SCHEMA rights_to_delete;
SET search_path TO rights_to_delete;
CREATE TABLE a (k int, v int);
CREATE TABLE b (k int, v int);
CREATE TABLE r (k int, v int);
CREATE TABLE l (k int, v int);
SELECT create_distributed_table('a', 'k', shard_count => 4);
SELECT create_distributed_table('b', 'k', shard_count => 4);
SELECT create_reference_table('r');
INSERT INTO a SELECT i, i % 7 FROM generate_series(1, 50) i;
INSERT INTO b SELECT i, i % 5 FROM generate_series(1, 50) i;
INSERT INTO r SELECT i, i % 5 FROM generate_series(1, 10) i;
INSERT INTO l SELECT i, i % 5 FROM generate_series(1, 10) i;
GRANT USAGE ON SCHEMA rights_to_delete TO deleter, reader;
GRANT SELECT ON a, b, r, l TO deleter, reader;
GRANT DELETE ON a, r, l TO deleter;

SET ROLE deleter;
BEGIN;
WITH gone AS (DELETE FROM a USING b WHERE a.v = b.v AND b.k < 3 RETURNING a.k) SELECT count(*) FROM gone;
DELETE FROM a WHERE v IN (SELECT max(v) FROM b GROUP BY v);
SELECT count(*) FROM a;
MERGE INTO a USING (SELECT v, max(k) AS k FROM b GROUP BY v) m ON a.k = m.k WHEN MATCHED THEN DELETE;
MERGE INTO a USING b m ON a.k = m.k WHEN MATCHED THEN DELETE;
SELECT count(*) FROM a;
DELETE FROM r USING b WHERE r.k = b.v;
DELETE FROM l USING b WHERE l.k = b.v;
SELECT (SELECT count(*) FROM r) AS r, (SELECT count(*) FROM l) AS l;
ROLLBACK;
-- Not more than that.
SELECT k FROM a WHERE v = 1 FOR UPDATE;
UPDATE a SET v = 0 FROM b WHERE a.v = b.v;
MERGE INTO a USING (SELECT v, max(k) AS k FROM b GROUP BY v) m ON a.k = m.v WHEN MATCHED THEN UPDATE SET v = 0;
DELETE FROM b USING a WHERE a.v = b.v;

SET ROLE reader;
MERGE INTO a USING (SELECT v, max(k) AS k FROM b GROUP BY v) m ON a.k = m.v WHEN MATCHED THEN DO NOTHING;
MERGE INTO a USING (SELECT v, max(k) AS k FROM b GROUP BY v) m ON a.k = m.v WHEN NOT MATCHED THEN DO NOTHING;
DELETE FROM a USING b WHERE a.v = b.v;
MERGE INTO a USING (SELECT v, max(k) AS k FROM b GROUP BY v) m ON a.k = m.v WHEN MATCHED THEN DELETE;
RESET ROLE;
SELECT count(*) FROM a;

-- The right can come from a view's owner.
CREATE VIEW deletes AS SELECT * FROM a;
ALTER VIEW deletes OWNER TO deleter;
GRANT SELECT, DELETE ON deletes TO reader;
GRANT CREATE ON SCHEMA rights_to_delete TO deleter;
SET ROLE reader;
BEGIN;
DELETE FROM deletes USING b WHERE deletes.v = b.v AND b.k < 3;
ROLLBACK;
RESET ROLE;
DROP SCHEMA rights_to_delete CASCADE;
DROP ROLE deleter, reader;
