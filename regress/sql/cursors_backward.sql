-- Cursors go backwards where those of plain tables would: declared with SCROLL, or without a word of it.
\set SHOW_CONTEXT never
SELECT min(nodeport) AS worker FROM pg_dist_node WHERE groupid > 0 \gset
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
SET client_min_messages = warning;
SET citus.next_shard_id = 7740000;
SET citus.shard_count = 4;
CREATE SCHEMA backwards;
SET search_path = backwards;
CREATE TABLE t (a int, b int);
SELECT create_distributed_table('t', 'a');
CREATE TABLE r (b int);
SELECT create_reference_table('r');
INSERT INTO t SELECT i % 3, i FROM generate_series(1, 12) i;
INSERT INTO r SELECT generate_series(1, 3);

-- one shard, held over the transaction
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT b FROM t WHERE a = 1 ORDER BY b;
FETCH 2 FROM c;
COMMIT;
FETCH BACKWARD 1 FROM c;
FETCH ALL FROM c;
FETCH BACKWARD ALL FROM c;
FETCH FIRST FROM c;
CLOSE c;

-- several shards, sorted there; constants again, so that the plan might come from the cache
BEGIN;
DECLARE c CURSOR FOR SELECT b FROM t ORDER BY b;
DECLARE d CURSOR FOR SELECT b FROM t WHERE a = 1 AND b > 1;
DECLARE e CURSOR FOR SELECT b FROM t WHERE a = 2 AND b > 2;
DECLARE f CURSOR FOR SELECT b FROM t WHERE a = 2 AND b > 5;
FETCH BACKWARD 1 FROM c;
FETCH 3 FROM c;
FETCH PRIOR FROM c;
MOVE BACKWARD 1 IN c;
FETCH NEXT FROM c;
FETCH LAST FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 4 FROM c;
FETCH RELATIVE -2 FROM c;
MOVE FORWARD ALL IN c;
FETCH PRIOR FROM c;
FETCH FIRST FROM f;
FETCH LAST FROM f;
FETCH PRIOR FROM f;
COMMIT;

-- rows that this node computes with, a limit, a union, a reference table, what is changed in between
BEGIN;
DECLARE c CURSOR FOR SELECT b + nullif(length(current_setting('port')), 0) * 0 AS b FROM t WHERE b > 2 AND pg_backend_pid() > b ORDER BY b LIMIT 6;
DECLARE d CURSOR FOR SELECT b FROM r ORDER BY b;
DECLARE e CURSOR FOR SELECT b FROM t WHERE a = 0 UNION ALL SELECT -b FROM r ORDER BY 1;
DELETE FROM t WHERE b > 3;
UPDATE r SET b = b + 10;
FETCH 4 FROM c;
FETCH BACKWARD 3 FROM c;
FETCH ALL FROM d;
FETCH BACKWARD 2 FROM d;
FETCH ALL FROM e;
FETCH BACKWARD 2 FROM e;
ROLLBACK;

-- what was said
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT b FROM t ORDER BY b;
FETCH LAST FROM c;
FETCH BACKWARD 2 FROM c;
DECLARE d SCROLL CURSOR FOR SELECT count(*), a FROM t GROUP BY a ORDER BY a;
FETCH ALL FROM d;
FETCH BACKWARD 1 FROM d;
DECLARE e NO SCROLL CURSOR FOR SELECT b FROM t WHERE a = 1 ORDER BY b;
FETCH 2 FROM e;
SAVEPOINT s;
FETCH BACKWARD 1 FROM e;
ROLLBACK TO s;
DECLARE f CURSOR FOR SELECT b FROM t WHERE a = 1 ORDER BY b FOR UPDATE;
FETCH 2 FROM f;
FETCH BACKWARD 1 FROM f;
ROLLBACK;

-- of a function, and with parameters
CREATE FUNCTION there_and_back(int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c SCROLL CURSOR FOR SELECT b FROM t WHERE a = $1 ORDER BY b;
	x int;
	y int;
BEGIN
	OPEN c;
	FETCH LAST FROM c INTO x;
	FETCH PRIOR FROM c INTO y;
	CLOSE c;
	RETURN x || ' ' || y;
END $$;
SELECT there_and_back(i) FROM generate_series(0, 2) i;

-- asked of another node
\c - - - :worker
SET search_path = backwards;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT b FROM t WHERE a = 1 ORDER BY b;
DECLARE d CURSOR WITH HOLD FOR SELECT b FROM t ORDER BY b DESC;
FETCH 3 FROM c;
FETCH BACKWARD 1 FROM c;
MOVE 5 IN d;
COMMIT;
FETCH BACKWARD 2 FROM d;
FETCH BACKWARD ALL FROM c;

\c - - - :coordinator
SET client_min_messages = warning;
DROP SCHEMA backwards CASCADE;
