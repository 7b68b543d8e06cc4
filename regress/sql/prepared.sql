-- Prepared statements: generic plans stay right for any parameter.
CREATE SCHEMA prepared;
SET search_path = prepared;
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE TYPE color AS ENUM ('red', 'green', 'blue');
CREATE TABLE t (k int PRIMARY KEY, v int, c color);
CREATE TABLE u (k int, id int);
SELECT create_distributed_table('t', 'k');
SELECT create_distributed_table('u', 'k', colocate_with => 't');
INSERT INTO t SELECT i, i * 10, (ARRAY['red', 'green', 'blue']::color[])[i % 3 + 1] FROM generate_series(1, 10) i;
INSERT INTO u SELECT i % 5, i FROM generate_series(1, 20) i;

SET plan_cache_mode = force_generic_plan;
PREPARE point(int) AS SELECT v FROM t WHERE k = $1;
EXECUTE point(1);
EXECUTE point(7);
EXECUTE point(99);
EXECUTE point(NULL);
PREPARE counted(int) AS SELECT count(*) FROM t WHERE k = $1;
EXECUTE counted(1);
EXECUTE counted(NULL);
PREPARE wide(bigint) AS SELECT v FROM t WHERE k = $1;
EXECUTE wide(3);
EXECUTE wide(5000000000);
PREPARE two(int, int) AS SELECT t.k, u.id FROM t JOIN u ON t.k = u.k WHERE t.k = $1 AND u.k = $2 ORDER BY 2;
EXECUTE two(2, 2);
EXECUTE two(2, 3);
PREPARE one(int) AS SELECT t.k, u.id FROM t JOIN u ON t.k = u.k WHERE t.k = $1 ORDER BY 2;
EXECUTE one(3);
PREPARE several(int[]) AS SELECT k, v FROM t WHERE k = ANY ($1) ORDER BY k;
EXECUTE several('{1,2,NULL,42}');
EXECUTE several('{}');
EXECUTE several(NULL);
PREPARE first(int) AS SELECT k FROM t ORDER BY k LIMIT $1;
EXECUTE first(2);
EXECUTE first(3);
EXECUTE first(NULL);
PREPARE colored(color) AS SELECT k FROM t WHERE c = $1 ORDER BY k;
EXECUTE colored('red');
EXECUTE colored('blue');
PREPARE one_colored(int, color) AS SELECT k, c FROM t WHERE k = $1 AND c = $2;
EXECUTE one_colored(3, 'red');
PREPARE change(int, int) AS UPDATE t SET v = $2 WHERE k = $1 RETURNING k, v;
EXECUTE change(1, 11);
EXECUTE change(2, 22);
PREPARE change_all(int) AS UPDATE t SET v = v + $1;
EXECUTE change_all(1);
PREPARE add(int, int, color) AS INSERT INTO t VALUES ($1, $2, $3), ($1 + 1, $2 + 1, 'red');
EXECUTE add(100, 1, 'green');
EXECUTE add(200, 2, NULL);
SELECT * FROM t WHERE k >= 100 ORDER BY k;
PREPARE remove(int) AS DELETE FROM t WHERE k >= $1;
EXECUTE remove(200);
SELECT count(*), sum(v) FROM t;

-- a plan goes away with its table's shape
PREPARE whole AS SELECT * FROM t WHERE k = 1;
EXECUTE whole;
CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	x int;
	result bigint := 0;
BEGIN
	FOR i IN 1..10 LOOP
		SELECT v INTO x FROM t WHERE k = i;
		result := result + x;
	END LOOP;
	RETURN result;
END $$;
SELECT total();
RESET plan_cache_mode;
SELECT total();
DEALLOCATE ALL;
DROP SCHEMA prepared CASCADE;
