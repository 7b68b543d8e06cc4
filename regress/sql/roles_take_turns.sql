-- Roles take turns in a transaction: each statement runs in the name of its role, on every node, and sees what the others wrote.
SET client_min_messages = warning;
CREATE ROLE turns_anna LOGIN;
CREATE ROLE turns_bob LOGIN;
CREATE ROLE turns_owner;
CREATE SCHEMA turns;
GRANT USAGE, CREATE ON SCHEMA turns TO turns_anna, turns_bob, turns_owner;
SET search_path = turns;
SET citus.shard_count = 4;

-- b is Bob's to write, o is Anna's to read.
CREATE TABLE b (id int PRIMARY KEY, v int, who text DEFAULT current_user);
CREATE TABLE o (id int PRIMARY KEY, v int);
CREATE TABLE r (id int PRIMARY KEY, v int);
SELECT create_distributed_table('b', 'id');
SELECT create_distributed_table('o', 'id');
SELECT create_reference_table('r');
INSERT INTO b SELECT i, i, 'nobody' FROM generate_series(1, 20) i;
INSERT INTO o SELECT i, i FROM generate_series(1, 20) i;
INSERT INTO r VALUES (1, 1);
GRANT ALL ON b TO turns_bob;
ALTER TABLE o OWNER TO turns_anna;
GRANT SELECT ON b, r TO turns_anna;
GRANT SELECT, UPDATE ON r TO turns_bob;
-- Nobody else may read the whole of it.
CREATE FUNCTION sum_o() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN (SELECT sum(v) FROM turns.o); END';
CREATE FUNCTION one_o(k int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN (SELECT v FROM turns.o WHERE id = k); END';
CREATE FUNCTION change_o(k int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
AS 'DECLARE n int; BEGIN UPDATE turns.o SET v = v + 100 WHERE id = k RETURNING v INTO n; RETURN n; END';
CREATE FUNCTION sum_b() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN (SELECT sum(v) FROM turns.b); END';
CREATE FUNCTION change_b() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
AS 'BEGIN UPDATE turns.b SET v = 0; RETURN 0; END';
ALTER FUNCTION sum_o() OWNER TO turns_anna;
ALTER FUNCTION one_o(int) OWNER TO turns_anna;
ALTER FUNCTION change_o(int) OWNER TO turns_anna;
ALTER FUNCTION sum_b() OWNER TO turns_anna;
ALTER FUNCTION change_b() OWNER TO turns_anna;
CREATE VIEW view_o AS SELECT id, v FROM o;
ALTER VIEW view_o OWNER TO turns_anna;
GRANT ALL ON view_o TO turns_bob;

\c - turns_bob
SET search_path = turns;
-- Bob writes, Anna reads another table, then his.
BEGIN;
INSERT INTO b VALUES (21, 21);
SELECT sum_o(), one_o(5);
SELECT sum_b();
SELECT sum(v), max(who) FROM b;
UPDATE b SET v = v + 1;
SELECT sum_b();
ROLLBACK;
-- Anna writes first, and afterwards Bob may not do what only she may.
BEGIN;
SELECT change_o(5);
INSERT INTO b VALUES (21, 21) RETURNING who;
SAVEPOINT s;
SELECT count(*) FROM o;
ROLLBACK TO s;
SELECT v FROM o WHERE id = 5;
ROLLBACK TO s;
UPDATE o SET v = 0;
ROLLBACK TO s;
SELECT sum(v) FROM view_o;
UPDATE view_o SET v = v + 1 WHERE id = 6 RETURNING v;
SELECT one_o(6), sum_o(), sum_b();
-- A right that Anna lacks.
SELECT change_b();
ROLLBACK TO s;
SELECT sum_o(), sum_b();
COMMIT;
SELECT sum_o(), sum_b();
-- At the other levels, too, in one state of each node.
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE b SET v = v + 1 WHERE id <= 4;
SELECT sum_o(), sum_b();
SELECT change_o(1), change_o(2), change_o(3), change_o(4);
SELECT count(*) FROM o;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT sum_o();
DELETE FROM b WHERE id = 21;
SELECT sum_b();
COMMIT;
-- Reference tables, COPY, cursors.
BEGIN;
UPDATE r SET v = 2;
SELECT sum_o();
COPY b FROM stdin;
22	22	x
23	23	x
\.
SELECT sum_b();
DECLARE c CURSOR FOR SELECT id FROM b ORDER BY id;
FETCH 2 FROM c;
SELECT sum_o();
FETCH 2 FROM c;
SELECT count(*) FROM o;
ROLLBACK;

\c - postgres
SET search_path = turns;
-- SET ROLE, both ways; code of the lesser role, on the nodes, does not get back to the role that the session was opened as.
CREATE FUNCTION sneak(int) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN
	BEGIN EXECUTE 'RESET ROLE'; EXCEPTION WHEN OTHERS THEN NULL; END;
	BEGIN EXECUTE 'SET SESSION AUTHORIZATION postgres'; EXCEPTION WHEN OTHERS THEN NULL; END;
	RETURN current_user;
END $$;
ALTER FUNCTION sneak(int) OWNER TO turns_bob;
CREATE TABLE s (id int CHECK (sneak(id) = 'turns_bob'));
ALTER TABLE s OWNER TO turns_bob;
SELECT create_distributed_table('s', 'id', colocate_with => 'o');
BEGIN;
UPDATE o SET v = v;
SET LOCAL ROLE turns_bob;
INSERT INTO s SELECT generate_series(1, 8);
SAVEPOINT s;
SELECT count(*) FROM o;
ROLLBACK TO s;
INSERT INTO s VALUES (9);
UPDATE b SET v = v + 1 WHERE id = 1;
RESET ROLE;
SELECT sum(v) FROM o;
SET LOCAL SESSION AUTHORIZATION turns_anna;
SELECT sum(v) FROM o;
DELETE FROM b;
ROLLBACK;
-- A role that may not log in, as the owner of a view.
ALTER TABLE o OWNER TO turns_owner;
ALTER VIEW view_o OWNER TO turns_owner;
BEGIN;
UPDATE b SET v = v;
SET LOCAL ROLE turns_bob;
SELECT sum(v) FROM view_o;
ROLLBACK;
-- How strings are written changes nothing about it.
BEGIN;
SET LOCAL standard_conforming_strings = off;
UPDATE b SET v = v;
SET LOCAL ROLE turns_bob;
SELECT sum(v) FROM view_o;
ROLLBACK;

-- Nobody else may say in whose name a statement runs.
SELECT citus_internal.act_as('turns_bob', 1, '');
SET ROLE turns_bob;
SELECT citus_internal.act_as('postgres', 1, '');
RESET ROLE;
SET client_min_messages = error;
DROP SCHEMA turns CASCADE;
DROP ROLE turns_anna, turns_bob, turns_owner;
