-- What a transaction means does not depend on how many nodes take part: cursors, loops, levels, SET LOCAL, reading
-- what was written, whatever parallelism wrote it.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA semantics;
SET search_path = semantics;
CREATE TABLE t (k int PRIMARY KEY, v int);
CREATE TABLE child (k int, n int, v int, PRIMARY KEY (k, n), FOREIGN KEY (k) REFERENCES t ON DELETE CASCADE);
CREATE TABLE ref (k int PRIMARY KEY, v int);
SELECT create_distributed_table('t', 'k', shard_count => 8);
SELECT create_distributed_table('child', 'k', colocate_with => 't');
SELECT create_reference_table('ref');
INSERT INTO t SELECT i, 0 FROM generate_series(1, 200) i;
INSERT INTO child SELECT i % 200 + 1, i, 0 FROM generate_series(1, 1000) i;
INSERT INTO ref SELECT i, i FROM generate_series(1, 20) i;

-- Cursors show what there was when they were opened.
BEGIN;
DECLARE c CURSOR FOR SELECT k, v FROM t WHERE k <= 5 ORDER BY k;
DECLARE one CURSOR FOR SELECT v FROM t WHERE k = 3;
DECLARE j CURSOR FOR SELECT count(*), sum(t.v) FROM t JOIN child USING (k);
FETCH 1 FROM c;
UPDATE t SET v = v + 1;
DELETE FROM child WHERE k > 100;
FETCH 2 FROM c;
SELECT sum(v) FROM t;
SAVEPOINT s;
UPDATE t SET v = v + 1 WHERE k < 100;
ROLLBACK TO s;
FETCH ALL FROM c;
FETCH one;
FETCH j;
CLOSE c;
SELECT sum(v) FROM t;
ROLLBACK;

-- With scroll, and held over the end of the transaction.
BEGIN;
DECLARE back SCROLL CURSOR FOR SELECT k FROM t WHERE k <= 4 ORDER BY k;
DECLARE held CURSOR WITH HOLD FOR SELECT count(*), sum(v) FROM t;
FETCH LAST FROM back;
FETCH PRIOR FROM back;
UPDATE t SET v = 5 WHERE k = 1;
COMMIT;
FETCH held;
CLOSE held;
UPDATE t SET v = 0 WHERE k = 1;

-- Loops over a query while other statements run in the same transaction, on the same shards.
CREATE FUNCTION walk() RETURNS TABLE (rows int, total bigint) LANGUAGE plpgsql AS $$
DECLARE r record; seen int := 0;
BEGIN
	FOR r IN SELECT k, v FROM semantics.t LOOP
		UPDATE semantics.t SET v = v + 1 WHERE k = r.k;
		IF r.k % 50 = 0 THEN
			BEGIN
				INSERT INTO semantics.t VALUES (r.k, 1);
			EXCEPTION WHEN unique_violation THEN
				seen := seen + 1000;
			END;
			PERFORM count(*) FROM semantics.child;
		END IF;
		seen := seen + 1;
	END LOOP;
	RETURN QUERY SELECT seen, sum(v) FROM semantics.t;
END $$;
SELECT * FROM walk();
DO $$
DECLARE c CURSOR FOR SELECT k FROM semantics.t WHERE k <= 10 ORDER BY k; r record; n int;
BEGIN
	OPEN c;
	DELETE FROM semantics.t WHERE k <= 10;
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		INSERT INTO semantics.t VALUES (r.k, 0);
	END LOOP;
	SELECT count(*) INTO n FROM semantics.t;
	RAISE WARNING '% rows', n;
END $$;

-- Reading what was written.
BEGIN;
UPDATE t SET v = 7 WHERE k = 1;
INSERT INTO child VALUES (1, 5001, 7), (2, 5002, 7), (3, 5003, 7);
UPDATE ref SET v = 70 WHERE k = 7;
SELECT count(*) FROM t JOIN ref ON t.v = ref.k WHERE ref.v = 70;
SELECT count(*) FROM child JOIN ref ON child.v = ref.k WHERE ref.v = 70;
INSERT INTO ref VALUES (21, 21);
UPDATE t SET v = 21 WHERE k IN (SELECT k FROM ref WHERE k = 21);
SELECT count(*) FROM t JOIN ref ON t.v = ref.k WHERE ref.k = 21;
ROLLBACK;

BEGIN;
SELECT count(*) FROM child;
DELETE FROM t WHERE k <= 100;
SELECT count(*) FROM child;
SELECT count(*) FROM child JOIN t USING (k);
ROLLBACK;

BEGIN;
TRUNCATE t CASCADE;
COPY t FROM stdin;
1	10
2	20
3	30
\.
SELECT count(*), sum(v) FROM t;
INSERT INTO child SELECT k, 1, v FROM t;
SELECT count(*), sum(v) FROM child;
UPDATE t SET v = v + 1;
SELECT count(*), sum(v) FROM t JOIN child USING (k, v);
SELECT count(*), sum(t.v - child.v) FROM t JOIN child USING (k);
COPY child FROM stdin;
1	2	0
3	2	0
\.
SELECT k, count(*) FROM child GROUP BY k ORDER BY k;
ROLLBACK;
SELECT count(*) FROM t;

BEGIN;
INSERT INTO t SELECT i, 1 FROM generate_series(1001, 1100) i;
COPY t FROM stdin;
2001	1
2002	1
\.
SELECT count(*) FROM t WHERE v = 1 AND k > 1000;
DELETE FROM t WHERE k > 1000;
SELECT count(*) FROM t WHERE k > 1000;
INSERT INTO t VALUES (1001, 2);
TABLE ref ORDER BY k LIMIT 1;
COMMIT;
SELECT * FROM t WHERE k > 1000;
DELETE FROM t WHERE k > 1000;

-- Levels and modes are those of the nodes, too.
-- A constraint is checked on the node: it sees the node's settings.
CREATE TABLE modes (k int PRIMARY KEY, v text CHECK (v <> current_setting('transaction_isolation')));
SELECT create_distributed_table('modes', 'k', shard_count => 4);
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO modes VALUES (1, 'read committed'), (2, 'serializable');
SAVEPOINT s;
INSERT INTO modes VALUES (3, 'repeatable read');
ROLLBACK TO s;
SELECT count(*) FROM modes;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO modes VALUES (4, 'serializable');
ROLLBACK;
BEGIN READ ONLY;
UPDATE t SET v = 1 WHERE k = 1;
ROLLBACK;
BEGIN;
SELECT count(*) FROM t;
SET TRANSACTION READ ONLY;
UPDATE t SET v = 1;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT count(*) FROM t;
COMMIT;

-- SET LOCAL reaches the nodes where that is wanted.
CREATE TABLE checked (k int PRIMARY KEY, v text CHECK (v <> current_setting('work_mem')));
SELECT create_distributed_table('checked', 'k', shard_count => 4);
INSERT INTO checked VALUES (1, 'a'), (2, 'a'), (3, 'a'), (4, 'a');
SHOW citus.propagate_set_commands;
BEGIN;
SET LOCAL work_mem = '2001kB';
UPDATE checked SET v = '2001kB';
ROLLBACK;
SET citus.propagate_set_commands = local;
BEGIN;
UPDATE checked SET v = '2001kB' WHERE k = 1;
SET LOCAL work_mem = '2001kB';
SAVEPOINT s;
UPDATE checked SET v = '2001kB' WHERE k = 1;
ROLLBACK TO s;
UPDATE checked SET v = '2001kB' WHERE k = 2;
ROLLBACK TO s;
UPDATE checked SET v = 'c';
SET LOCAL work_mem = '2004kB';
UPDATE checked SET v = '2001kB';
SAVEPOINT sub;
UPDATE checked SET v = '2004kB';
-- What a savepoint undoes here is undone there, and the rest stays.
ROLLBACK TO s;
UPDATE checked SET v = '2004kB';
SAVEPOINT sub;
UPDATE checked SET v = '2001kB';
ROLLBACK TO sub;
SAVEPOINT kept;
SET LOCAL work_mem = '2005kB';
RELEASE kept;
UPDATE checked SET v = '2005kB';
ROLLBACK;
-- Neither the next transaction nor a SET of the session.
BEGIN;
UPDATE checked SET v = '2005kB';
SET work_mem = '2006kB';
UPDATE checked SET v = '2006kB';
ROLLBACK;
RESET work_mem;
RESET citus.propagate_set_commands;

-- PREPARE TRANSACTION is refused before anything is lost.
BEGIN;
UPDATE t SET v = 1 WHERE k = 1;
PREPARE TRANSACTION 'mine';
SELECT v FROM t WHERE k = 1;

-- A single writing node needs no two-phase commit, readers just commit, several do.
SELECT recover_prepared_transactions() >= 0 AS recovered;
SELECT count(*) FROM pg_dist_transaction;
BEGIN;
SELECT count(*) FROM t;
UPDATE t SET v = 1 WHERE k = 1;
COMMIT;
SELECT count(*) FROM pg_dist_transaction;
BEGIN;
UPDATE t SET v = 2;
COMMIT;
SELECT count(*) FROM pg_dist_transaction;

-- Locks of changes of many shards, and of replicas.
BEGIN;
UPDATE t SET v = 3;
SELECT count(*) FROM citus_locks WHERE locktype = 'advisory' AND objsubid = 21 AND mode = 'ExclusiveLock';
ROLLBACK;
BEGIN;
SET LOCAL citus.enable_deadlock_prevention = off;
UPDATE t SET v = 3;
SELECT count(*) FROM citus_locks WHERE locktype = 'advisory' AND objsubid = 21;
ROLLBACK;
BEGIN;
UPDATE t SET v = 3 WHERE k = 1;
INSERT INTO t VALUES (5000, 1), (5001, 1), (5002, 1), (5003, 1);
SELECT count(*) FROM citus_locks WHERE locktype = 'advisory' AND objsubid = 21;
ROLLBACK;
BEGIN;
UPDATE ref SET v = 3 WHERE k = 1;
SELECT mode, count(*) > 1 AS each_replica FROM citus_locks WHERE locktype = 'advisory' AND objsubid = 22 GROUP BY 1;
ROLLBACK;
BEGIN;
INSERT INTO ref VALUES (100, 1);
SELECT mode, count(*) > 1 AS each_replica FROM citus_locks WHERE locktype = 'advisory' AND objsubid = 22 GROUP BY 1;
ROLLBACK;
BEGIN;
SET LOCAL citus.all_modifications_commutative = on;
UPDATE ref SET v = 3 WHERE k = 1;
SELECT mode, count(*) > 1 AS each_replica FROM citus_locks WHERE locktype = 'advisory' AND objsubid = 22 GROUP BY 1;
ROLLBACK;

-- A statement that is a transaction of its own is not committed on the node before what its functions have done here.
CREATE TABLE here (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO here VALUES (1);
CREATE FUNCTION twice() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO here VALUES (1); RETURN 7; END $$;
INSERT INTO t VALUES (6000, twice());
INSERT INTO t SELECT 6001, twice();
UPDATE t SET v = twice() WHERE k = 1;
UPDATE t SET v = 7 WHERE k = 1 RETURNING twice();
DELETE FROM t WHERE k = 1 AND v <> twice();
WITH here_too AS (INSERT INTO here VALUES (1)) UPDATE t SET v = 7 WHERE k = 1;
PREPARE change(int) AS UPDATE t SET v = $1 WHERE k = 1;
EXECUTE change(twice());
SELECT k, v FROM t WHERE k = 1 OR v = 7 OR k >= 6000;

DROP SCHEMA semantics CASCADE;
