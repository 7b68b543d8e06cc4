-- UPDATE of the distribution column: rights, replicas, foreign keys, views. What it answers is compared with plain
-- tables in test/differential/cases/moving_rows.sql.
\set VERBOSITY terse
CREATE SCHEMA move_rows;
SET search_path = move_rows;
SET client_min_messages = warning;
CREATE TABLE t (k int PRIMARY KEY, v text, twice int GENERATED ALWAYS AS (length(v) * 2) STORED);
SELECT create_distributed_table('t', 'k', shard_count => 4, colocate_with => 'none');
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 12) i;
-- A generic plan sees where each row belongs.
PREPARE move (int, int) AS UPDATE t SET k = $2 WHERE k = $1 RETURNING *;
SET plan_cache_mode = force_generic_plan;
EXECUTE move (1, 101);
EXECUTE move (101, 1);
EXECUTE move (2, 2);
EXECUTE move (1, 2);
EXECUTE move (1, NULL);
RESET plan_cache_mode;
-- In PL/pgSQL.
DO $$ BEGIN
	FOR i IN 1..8 LOOP UPDATE t SET k = i + 200 WHERE k = i; END LOOP;
	UPDATE t SET k = k - 200 WHERE k > 200;
END $$;
SELECT count(*), sum(k) FROM t;

-- Who moves rows needs the rights to insert and delete, too.
CREATE ROLE mover LOGIN;
GRANT USAGE ON SCHEMA move_rows TO mover;
GRANT SELECT, UPDATE ON t TO mover;
SET ROLE mover;
UPDATE t SET k = k + 1000 WHERE k = 3 RETURNING k, v;
DELETE FROM t;
INSERT INTO t VALUES (1);
RESET ROLE;
GRANT INSERT, DELETE ON t TO mover;
SET ROLE mover;
UPDATE t SET k = k + 1000 WHERE k = 3 RETURNING k, v;
RESET ROLE;
REVOKE UPDATE ON t FROM mover;
SET ROLE mover;
UPDATE t SET k = k + 1000;
RESET ROLE;

-- Through a view with check option.
CREATE VIEW low AS SELECT * FROM t WHERE k < 2000 WITH CHECK OPTION;
UPDATE low SET k = k + 1000 WHERE k > 1000;
UPDATE low SET k = k + 500 WHERE k > 1000 RETURNING k, v;

-- Shards with several placements, where rows are known by their key.
SET citus.shard_replication_factor = 2;
CREATE TABLE replicated (k int, id int, v text, PRIMARY KEY (k, id));
SELECT create_distributed_table('replicated', 'k', shard_count => 4, colocate_with => 'none');
RESET citus.shard_replication_factor;
INSERT INTO replicated SELECT i, i % 3, 'r' || i FROM generate_series(1, 12) i;
WITH moved AS (UPDATE replicated SET k = k + 10, id = 0 WHERE id = 1 RETURNING *) SELECT * FROM moved ORDER BY k;
UPDATE replicated SET k = 7, id = k * 10 + id;
SELECT count(*), min(k), max(k), sum(id) FROM replicated;
SELECT count(DISTINCT result) FROM run_command_on_placements('replicated', 'SELECT count(*) FROM %s WHERE k = 7') WHERE result <> '0';

-- A key that would take the referencing rows along on DELETE does not when the row moves.
CREATE TABLE child (k int REFERENCES t ON DELETE CASCADE, note text);
SELECT create_distributed_table('child', 'k', colocate_with => 't');
INSERT INTO child VALUES (5, 'five'), (6, 'six');
UPDATE t SET k = k + 5000 WHERE k < 8;
UPDATE t SET k = k + 5000 WHERE k = 7 RETURNING k;
DELETE FROM t WHERE k = 6;
SELECT * FROM child;
UPDATE child SET k = 8;
UPDATE child SET k = 6;
SELECT * FROM child;

SELECT count(*) FROM t WHERE k IS NOT NULL;
DROP SCHEMA move_rows CASCADE;
DROP ROLE mover;
