-- Transactions over several nodes: atomicity, savepoints, isolation, settings, what is refused.
\set SHOW_CONTEXT never
SET DateStyle = 'ISO';
CREATE SCHEMA transactions;
SET search_path = transactions;
CREATE TABLE accounts (id int CONSTRAINT accounts_key PRIMARY KEY, balance int CHECK (balance >= 0));
SELECT create_distributed_table('accounts', 'id', shard_count => 8);
CREATE TABLE notes (id int PRIMARY KEY, note text);
SELECT create_reference_table('notes');
INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 20) i;
-- A transaction sees its own writes; all of it or nothing of it stays.
BEGIN;
UPDATE accounts SET balance = balance - 10 WHERE id = 1;
UPDATE accounts SET balance = balance + 10 WHERE id = 2;
UPDATE accounts SET balance = balance + 1 WHERE id = 5;
SELECT id, balance FROM accounts WHERE id IN (1, 2, 5) ORDER BY id;
ROLLBACK;
SELECT sum(balance), count(*) FROM accounts;
BEGIN;
UPDATE accounts SET balance = balance - 10 WHERE id = 1;
UPDATE accounts SET balance = balance + 10 WHERE id = 2;
INSERT INTO notes VALUES (1, 'moved ten');
COMMIT;
SELECT id, balance FROM accounts WHERE id IN (1, 2) ORDER BY id;
SELECT * FROM notes;
-- An error takes back what other nodes did.
BEGIN;
UPDATE accounts SET balance = 0 WHERE id = 3;
UPDATE accounts SET balance = balance - 1000 WHERE id = 4;
SELECT 1;
COMMIT;
SELECT id, balance FROM accounts WHERE id IN (3, 4) ORDER BY id;
-- Several statements in one text are one transaction.
UPDATE accounts SET balance = 7 WHERE id = 3\; INSERT INTO accounts VALUES (1, 1);
SELECT balance FROM accounts WHERE id = 3;
-- Savepoints.
BEGIN;
UPDATE accounts SET balance = 1 WHERE id = 6;
SAVEPOINT one;
UPDATE accounts SET balance = 2 WHERE id = 6;
UPDATE accounts SET balance = 2 WHERE id = 7;
SAVEPOINT two;
INSERT INTO accounts VALUES (6, 3);
ROLLBACK TO two;
UPDATE accounts SET balance = 3 WHERE id = 8;
RELEASE two;
SELECT id, balance FROM accounts WHERE id IN (6, 7, 8) ORDER BY id;
ROLLBACK TO one;
SELECT id, balance FROM accounts WHERE id IN (6, 7, 8) ORDER BY id;
UPDATE accounts SET balance = 4 WHERE id = 8;
COMMIT;
SELECT id, balance FROM accounts WHERE id IN (6, 7, 8) ORDER BY id;
-- A first statement inside a savepoint that is rolled back.
BEGIN;
SAVEPOINT first;
UPDATE accounts SET balance = 50 WHERE id = 9;
ROLLBACK TO first;
UPDATE accounts SET balance = 51 WHERE id = 10;
COMMIT;
SELECT id, balance FROM accounts WHERE id IN (9, 10) ORDER BY id;
-- Exception blocks are subtransactions.
DO $$
DECLARE
	errors int := 0;
BEGIN
	FOR i IN 11..14 LOOP
		BEGIN
			UPDATE accounts SET balance = balance - CASE WHEN i % 2 = 0 THEN 200 ELSE 20 END WHERE id = i;
		EXCEPTION WHEN check_violation THEN
			errors := errors + 1;
		END;
	END LOOP;
	RAISE NOTICE '% of 4 refused', errors;
END $$;
SELECT id, balance FROM accounts WHERE id BETWEEN 11 AND 14 ORDER BY id;
-- Functions are part of their caller's transaction.
CREATE FUNCTION spend(who int, amount int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	UPDATE transactions.accounts SET balance = balance - amount WHERE id = who;
	RETURN (SELECT balance FROM transactions.accounts WHERE id = who);
END $$;
SELECT spend(15, 1), spend(16, 2);
SELECT spend(15, 1), spend(16, 2000);
SELECT id, balance FROM accounts WHERE id IN (15, 16) ORDER BY id;
-- Procedures commit in the middle.
CREATE PROCEDURE spend_and_fail() LANGUAGE plpgsql AS $$
BEGIN
	UPDATE transactions.accounts SET balance = 60 WHERE id = 17;
	UPDATE transactions.accounts SET balance = 60 WHERE id = 18;
	COMMIT;
	UPDATE transactions.accounts SET balance = 70 WHERE id = 17;
	UPDATE transactions.accounts SET balance = -1 WHERE id = 18;
END $$;
CALL spend_and_fail();
SELECT id, balance FROM accounts WHERE id IN (17, 18) ORDER BY id;
-- Isolation level and access mode hold on every node.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM accounts WHERE balance >= 0;
SHOW transaction_isolation;
COMMIT;
BEGIN READ ONLY;
SELECT balance FROM accounts WHERE id = 1;
UPDATE accounts SET balance = 0 WHERE id = 1;
ROLLBACK;
-- Local changes and changes elsewhere end together.
CREATE TABLE here (id int PRIMARY KEY);
BEGIN;
INSERT INTO here VALUES (1);
UPDATE accounts SET balance = 33 WHERE id = 19;
ROLLBACK;
SELECT (SELECT count(*) FROM here) AS here, balance FROM accounts WHERE id = 19;
BEGIN;
INSERT INTO here VALUES (1);
UPDATE accounts SET balance = 33 WHERE id = 19;
COMMIT;
SELECT count(*) FROM here;
SELECT balance FROM accounts WHERE id = 19;
-- DDL is part of the transaction.
BEGIN;
ALTER TABLE accounts ADD COLUMN owner text DEFAULT 'nobody';
UPDATE accounts SET owner = 'somebody' WHERE id = 1;
SELECT owner, count(*) FROM accounts GROUP BY owner ORDER BY owner;
ROLLBACK;
SELECT * FROM accounts WHERE id = 1;
-- Session settings reach the nodes, and leave them with the transaction.
SET TimeZone = 'Asia/Tokyo';
SELECT timestamptz '2026-01-01 00:00+00'::text || current_setting('TimeZone') AS there FROM accounts WHERE id = 1;
BEGIN;
SET LOCAL TimeZone = 'America/New_York';
SELECT timestamptz '2026-01-01 00:00+00' AS there FROM accounts WHERE id = 1 AND balance > 0;
ROLLBACK;
SELECT count(*) FROM accounts WHERE to_char(timestamptz '2026-01-01 00:00+00' + balance * interval '0', 'HH24') = '09';
RESET TimeZone;
-- Errors keep their SQLSTATE and names.
\set VERBOSITY sqlstate
INSERT INTO accounts VALUES (1, 5);
UPDATE accounts SET balance = -5 WHERE id = 1;
INSERT INTO accounts VALUES (NULL, 5);
SELECT balance / 0 FROM accounts WHERE id = 1;
BEGIN;
SELECT balance FROM accounts WHERE id = 1;
PREPARE TRANSACTION 'refused';
\set VERBOSITY default
-- Nothing is left behind.
SELECT count(*) FROM pg_prepared_xacts;
SELECT result FROM run_command_on_workers('SELECT count(*) FROM pg_prepared_xacts');
SELECT recover_prepared_transactions();
SELECT count(*) FROM pg_dist_transaction;
CREATE ROLE transactions_user;
SET ROLE transactions_user;
SELECT recover_prepared_transactions();
RESET ROLE;
DROP ROLE transactions_user;
-- Global process ids.
SELECT citus_calculate_gpid(7, 4711), citus_nodeid_for_gpid(70000004711), citus_pid_for_gpid(70000004711);
SELECT citus_pid_for_gpid(citus_backend_gpid()) = pg_backend_pid() AS mine;
SELECT transaction_number FROM get_current_transaction_id();
-- What one session of a node wrote is seen after another has written a reference table there.
SET citus.shard_count = 16;
CREATE TABLE moving (k int PRIMARY KEY, v int);
CREATE TABLE moves (k int, v int);
CREATE TABLE told (k int PRIMARY KEY, v int);
SELECT create_distributed_table('moving', 'k', colocate_with => 'none');
SELECT create_distributed_table('moves', 'k', colocate_with => 'moving');
SELECT create_reference_table('told');
INSERT INTO moving SELECT i, 0 FROM generate_series(1, 20) i;
INSERT INTO moves SELECT i, i FROM generate_series(15, 30) i;
BEGIN;
MERGE INTO moving USING moves ON moving.k = moves.k WHEN MATCHED THEN UPDATE SET k = moving.k + 100;
MERGE INTO told USING moves ON told.k = moves.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (moves.k, moves.v);
SELECT count(*) FROM moving WHERE k > 100;
UPDATE moving SET v = moving.v + 1 FROM moves WHERE moves.k = moving.k - 100 OR moves.k = moving.k;
UPDATE moving SET v = v + 1;
SELECT count(*), sum(v) FROM moving WHERE k > 100;
SELECT count(*) FROM told;
ROLLBACK;
SET client_min_messages = warning;
DROP SCHEMA transactions CASCADE;
