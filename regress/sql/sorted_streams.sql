-- Sorted rows of the tasks are merged, not sorted again; a read that ends early leaves its transaction as it was.
CREATE SCHEMA sorted_streams;
SET search_path = sorted_streams;
CREATE TABLE t (k int PRIMARY KEY, g int, v text);
SELECT create_distributed_table('t', 'k', shard_count => 8);
INSERT INTO t SELECT i, CASE WHEN i % 10 = 0 THEN NULL ELSE i % 7 END, chr(65 + i % 26) || i FROM generate_series(1, 20000) i;
ANALYZE t;
CREATE TABLE plain AS SELECT * FROM t;

-- The plan here, without the tasks' own.
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        EXIT WHEN line LIKE '%Tasks Shown%';
        RETURN NEXT line;
    END LOOP;
END
$$;
SELECT plan_of('SELECT k FROM t ORDER BY k');
SELECT plan_of('SELECT k, v FROM t ORDER BY g DESC, v COLLATE "C" NULLS FIRST, k LIMIT 3');
SELECT plan_of('SELECT g, count(*) FROM t GROUP BY g ORDER BY 2');
SELECT plan_of('SELECT a.k FROM t a JOIN t b USING (k) ORDER BY b.v DESC NULLS LAST');

SELECT k, g, v FROM t ORDER BY g DESC, v COLLATE "C", k LIMIT 5;
SELECT k, g, v FROM t ORDER BY g DESC NULLS LAST, v COLLATE "C" DESC, k LIMIT 5;
SELECT k, g FROM t ORDER BY g NULLS FIRST, k OFFSET 1998 LIMIT 4;
SELECT k FROM t ORDER BY k DESC OFFSET 19997;
SELECT k FROM t WHERE k = 17 ORDER BY k;
SELECT k FROM t WHERE false ORDER BY k;

-- The same order as a plain table gives, in memory and through files; with parameters, twice.
CREATE FUNCTION same(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    here text[];
    there text[];
    row_text text;
BEGIN
    FOR row_text IN EXECUTE format('SELECT x::text FROM (%s) x', replace(query, 'TABLE', 't')) LOOP
        there := there || row_text;
    END LOOP;
    FOR row_text IN EXECUTE format('SELECT x::text FROM (%s) x', replace(query, 'TABLE', 'plain')) LOOP
        here := here || row_text;
    END LOOP;
    RETURN here = there AND array_length(here, 1) > 0;
END
$$;
SELECT same('SELECT k, g FROM TABLE ORDER BY g, v DESC');
SELECT same('SELECT k, v FROM TABLE WHERE k % 3 = 1 ORDER BY g DESC, k OFFSET 10');
SET work_mem = '64kB';
SELECT same('SELECT k, g FROM TABLE ORDER BY g, v DESC');
SELECT same('SELECT k, repeat(v, 50) FROM TABLE WHERE k < 3000 ORDER BY v');
SELECT same('SELECT k, repeat(v, 3000) FROM TABLE WHERE k < 300 ORDER BY v');
SELECT same('SELECT v FROM TABLE ORDER BY v OFFSET 3 LIMIT 9000');
PREPARE sorted(int) AS SELECT k FROM t WHERE k > $1 ORDER BY k LIMIT 3;
EXECUTE sorted(10);
EXECUTE sorted(19998);
RESET work_mem;

-- Cursors: forwards, backwards, beside other statements.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k FROM t ORDER BY k;
FETCH 2 FROM c;
SELECT count(*) FROM t;
FETCH 2 FROM c;
FETCH BACKWARD 2 FROM c;
MOVE LAST IN c;
FETCH BACKWARD 2 FROM c;
COMMIT;

-- A cursor that is closed early, in a transaction with changes and savepoints.
BEGIN;
UPDATE t SET v = 'changed' WHERE k = 1;
DECLARE c CURSOR FOR SELECT k, v, repeat(v, 100) FROM t;
MOVE 1 IN c;
CLOSE c;
SELECT v FROM t WHERE k = 1;
SAVEPOINT s;
UPDATE t SET v = 'undone' WHERE k = 2;
DECLARE c CURSOR FOR SELECT k, v, repeat(v, 100) FROM t;
MOVE 1 IN c;
DECLARE d CURSOR FOR SELECT k, v, repeat(v, 100) FROM t WHERE k > 0;
MOVE 1 IN d;
CLOSE c;
SELECT v FROM t WHERE k = 2;
ROLLBACK TO s;
SELECT count(*) FROM (SELECT repeat(v, 100) FROM t LIMIT 3) x;
SELECT EXISTS (SELECT repeat(v, 100) FROM t);
SELECT v = 'C2' AS undone FROM t WHERE k = 2;
COMMIT;
SELECT v FROM t WHERE k IN (1, 2) ORDER BY k;

-- An error of a row that nobody asked for is not an error.
BEGIN;
DECLARE c CURSOR FOR SELECT 1 / (k - 20000), repeat(v, 100) FROM t WHERE k > 10;
MOVE 1 IN c;
CLOSE c;
INSERT INTO t VALUES (-1, -1, 'after');
COMMIT;
SELECT v FROM t WHERE k = -1;

SET client_min_messages = error;
DROP SCHEMA sorted_streams CASCADE;
