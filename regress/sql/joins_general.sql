-- Joins, subqueries, set operations and CTEs over distributed, reference and local tables answer like plain tables.
CREATE SCHEMA joins_general_plain;
CREATE SCHEMA joins_general;
SET client_min_messages = warning;
SET citus.shard_count = 6;
-- The rows of a query on plain and on distributed tables: in the order they come where the query asks for one.
CREATE FUNCTION public.joins_general_rows(path text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line record;
	lines text[] := '{}';
BEGIN
	PERFORM set_config('search_path', path, true);
	FOR line IN EXECUTE query LOOP
		lines := lines || line::text;
	END LOOP;
	IF query !~ 'ORDER BY' THEN
		lines := ARRAY(SELECT x FROM unnest(lines) x ORDER BY x);
	END IF;
	RETURN array_to_string(lines, E'\n');
END $$;
CREATE FUNCTION public.joins_general_same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plain text := public.joins_general_rows('joins_general_plain', query);
	distributed text := public.joins_general_rows('joins_general', query);
BEGIN
	PERFORM set_config('search_path', 'joins_general', true);
	RETURN CASE WHEN plain = distributed THEN 'same'
		ELSE E'plain:\n' || plain || E'\ndistributed:\n' || distributed END;
END $$;
SET search_path = joins_general_plain;
CREATE TABLE t (k int PRIMARY KEY, v int, txt text, n numeric, d timestamptz, f float8, b bool);
CREATE TABLE u (k int, id bigint, w numeric, arr int[], PRIMARY KEY (k, id));
CREATE TABLE r (id int PRIMARY KEY, name text);
CREATE TABLE s (sk text, k int, x int);
CREATE TABLE e (k int, v int);
CREATE TABLE l (id int, lname text);
INSERT INTO t SELECT i, i % 7, CASE WHEN i % 5 = 0 THEN NULL ELSE 'txt' || (i % 13) END, (i * 1.5)::numeric(10,2),
	'2024-01-01 UTC'::timestamptz + i * interval '7 hours', i / 4.0, i % 3 = 0 FROM generate_series(1, 300) i;
INSERT INTO u SELECT i % 200 + 150, i, CASE WHEN i % 11 = 0 THEN NULL ELSE i * 0.25 END, ARRAY[i, i + 1]
	FROM generate_series(1, 400) i;
INSERT INTO r SELECT i, 'name' || i FROM generate_series(0, 9) i;
INSERT INTO s SELECT 'key' || (i % 50), i, i % 4 FROM generate_series(1, 200) i;
INSERT INTO l SELECT i, 'local' || i FROM generate_series(1, 20) i;
SET search_path = joins_general;
CREATE TABLE t (LIKE joins_general_plain.t INCLUDING ALL);
CREATE TABLE u (LIKE joins_general_plain.u INCLUDING ALL);
CREATE TABLE r (LIKE joins_general_plain.r INCLUDING ALL);
CREATE TABLE s (LIKE joins_general_plain.s INCLUDING ALL);
CREATE TABLE e (LIKE joins_general_plain.e INCLUDING ALL);
CREATE TABLE l AS TABLE joins_general_plain.l;
SELECT create_distributed_table('t', 'k');
SELECT create_distributed_table('u', 'k', colocate_with => 't');
SELECT create_distributed_table('s', 'sk');
SELECT create_distributed_table('e', 'k', colocate_with => 't');
SELECT create_reference_table('r');
INSERT INTO t SELECT * FROM joins_general_plain.t;
INSERT INTO u SELECT * FROM joins_general_plain.u;
INSERT INTO s SELECT * FROM joins_general_plain.s;
INSERT INTO r SELECT * FROM joins_general_plain.r;

\pset format unaligned
\pset tuples_only on
SELECT public.joins_general_same($$SELECT t.k, u.id FROM t JOIN u ON t.k=u.k ORDER BY 1,2 LIMIT 10$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t JOIN u USING(k)$$);
SELECT public.joins_general_same($$SELECT count(*), sum(w), count(t.k) FROM t RIGHT JOIN u ON t.k=u.k$$);
SELECT public.joins_general_same($$SELECT count(*), count(u.k), sum(u.w) FROM t LEFT JOIN u ON t.k=u.k AND u.w > 20$$);
SELECT public.joins_general_same($$SELECT count(*), count(t.k), count(u.k) FROM t FULL JOIN u ON t.k=u.k$$);
SELECT public.joins_general_same($$SELECT count(*), count(t.k), count(u.k) FROM t FULL JOIN u USING (k)$$);
SELECT public.joins_general_same($$SELECT r.name, count(*), avg(t.n) FROM t JOIN r ON r.id = t.v GROUP BY r.name ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT r.name, count(t.k) FROM r LEFT JOIN t ON r.id=t.v GROUP BY r.name ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT r.name, count(t.k) FROM t RIGHT JOIN r ON r.id=t.v AND t.b GROUP BY r.name ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT r.name, t.k FROM t LEFT JOIN r ON r.id=t.v+8 ORDER BY t.k LIMIT 12$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t WHERE k IN (SELECT k FROM u WHERE w > 50)$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k=t.k AND u.w > t.n)$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.k=t.k)$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t WHERE k NOT IN (SELECT k FROM u)$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t WHERE v IN (SELECT id FROM r WHERE name > 'name3')$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.id = t.v AND name > 'name3')$$);
SELECT public.joins_general_same($$SELECT count(*) FROM r WHERE id IN (SELECT v FROM t)$$);
SELECT public.joins_general_same($$SELECT count(*) FROM r WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.v=r.id)$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t a JOIN t b ON a.v=b.k$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t a JOIN s ON s.k=a.k$$);
SELECT public.joins_general_same($$SELECT a.k, b.k FROM t a JOIN s b ON b.k=a.k AND b.sk='key7' ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT t.k, lname FROM t JOIN l ON l.id=t.k ORDER BY 1$$);
SELECT public.joins_general_same($$WITH x AS (SELECT v, count(*) c FROM t GROUP BY v) SELECT * FROM x JOIN r ON r.id=x.v ORDER BY 1$$);
SELECT public.joins_general_same($$WITH x AS MATERIALIZED (SELECT * FROM t WHERE k<50), y AS (SELECT * FROM x WHERE b) SELECT count(*), sum(x.v) FROM x, y WHERE x.k=y.k$$);
SELECT public.joins_general_same($$WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<5) SELECT t.k, t.v FROM c JOIN t ON t.k=c.n ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT k FROM t WHERE k<5 UNION SELECT k FROM u WHERE k<153 ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT count(*) FROM (SELECT k FROM t UNION ALL SELECT k FROM u) x$$);
SELECT public.joins_general_same($$SELECT k FROM t INTERSECT SELECT k FROM u ORDER BY 1 LIMIT 5$$);
SELECT public.joins_general_same($$SELECT k FROM t EXCEPT SELECT k FROM u ORDER BY 1 LIMIT 5$$);
SELECT public.joins_general_same($$SELECT sub.k, sub.c, t.v FROM (SELECT k, count(*) c FROM u GROUP BY k) sub JOIN t ON t.k=sub.k ORDER BY 1 LIMIT 8$$);
SELECT public.joins_general_same($$SELECT t.k, x.id FROM t, LATERAL (SELECT id FROM u WHERE u.k=t.k ORDER BY id DESC LIMIT 1) x ORDER BY 1 LIMIT 5$$);
SELECT public.joins_general_same($$SELECT t.k, x.id FROM t LEFT JOIN LATERAL (SELECT id FROM u WHERE u.k=t.k ORDER BY id DESC LIMIT 1) x ON true ORDER BY 1 LIMIT 5$$);
SELECT public.joins_general_same($$SELECT t.*, u.* FROM t LEFT JOIN u ON t.k=u.k WHERE t.k=200 ORDER BY id$$);
SELECT public.joins_general_same($$SELECT t.k,u.id FROM t JOIN u ON t.k=u.k WHERE u.k=201 ORDER BY 2$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t, u WHERE t.k=u.k AND t.k=160$$);
SELECT public.joins_general_same($$SELECT t, u FROM t LEFT JOIN u ON t.k=u.k WHERE t.k IN (3,160) ORDER BY t.k, u.id$$);
SELECT public.joins_general_same($$SELECT count(*) FROM r a, r b WHERE a.id=b.id$$);
SELECT public.joins_general_same($$SELECT t.v, count(*) FROM t JOIN u USING (k) GROUP BY t.v ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT t.k, count(*), max(u.w) FROM t JOIN u USING (k) GROUP BY t.k ORDER BY 1 LIMIT 5$$);
SELECT public.joins_general_same($$SELECT t.k, t.txt, count(u.id) FROM t LEFT JOIN u ON u.k=t.k GROUP BY t.k ORDER BY 3 DESC, 1 LIMIT 5$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t JOIN u ON t.k=u.k JOIN r ON r.id=t.v LEFT JOIN t t2 ON t2.k=u.k AND t2.b$$);
SELECT public.joins_general_same($$SELECT count(*) FROM (t LEFT JOIN u ON t.k=u.k) LEFT JOIN u u2 ON u.k=u2.k$$);
SELECT public.joins_general_same($$SELECT v FROM t ORDER BY v FETCH FIRST 3 ROWS WITH TIES$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t a, t b, t c WHERE a.k=b.k AND b.k=c.v$$);
SELECT public.joins_general_same($$SELECT * FROM (VALUES (1),(2)) x(k) JOIN t USING (k) ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT x.k, t.v FROM generate_series(1,3) x(k) LEFT JOIN t ON t.k=x.k ORDER BY 1$$);
SELECT public.joins_general_same($$SELECT count(*) FROM u WHERE (k,id) IN (SELECT k,id FROM u WHERE w>10)$$);
SELECT public.joins_general_same($$SELECT count(*) FROM t t1 WHERE EXISTS (SELECT 1 FROM t t2 WHERE t2.k=t1.k AND EXISTS (SELECT 1 FROM u WHERE u.k=t2.k))$$);
SELECT public.joins_general_same($$SELECT a.k, b.c FROM (SELECT k FROM t WHERE k<160 AND k > 148) a LEFT JOIN (SELECT k, count(*) c FROM u GROUP BY k) b ON a.k=b.k ORDER BY 1$$);
-- A table that is used many times, under names that are taken already.
SELECT public.joins_general_same((SELECT string_agg(format('SELECT v FROM t WHERE k = %s AND v > %s', 1 + i % n, i), ' UNION ALL ') FROM generate_series(1, 300) i))
FROM (VALUES (1), (5), (300)) x(n);
SELECT public.joins_general_same((SELECT 'SELECT count(*), sum(v) FROM (' || string_agg(format('(SELECT * FROM t AS t_%s WHERE k = 3 ORDER BY v LIMIT %1$s)', i), ' UNION ') || ') q' FROM generate_series(1, 40) i));
SELECT public.joins_general_same($$SELECT count(*), sum(t.v), sum(t_1.v), sum("T 1".v) FROM t, t t_1, t "T 1", (SELECT * FROM t t_1 WHERE k = 3) t_2, (SELECT * FROM t WHERE k = 3) t_1_1
	WHERE t.k = 3 AND t_1.k = 3 AND "T 1".k = 3 AND t.v = t_1.v AND t_2.v = t.v AND t_1_1.v = t_2.v$$);
SELECT public.joins_general_same($$WITH t_1 AS MATERIALIZED (SELECT * FROM t WHERE k = 4) SELECT count(*) FROM t, t_1, LATERAL (SELECT * FROM t WHERE k = t_1.k AND t.v = t_1.v) "as" WHERE t.k = 4$$);

DROP SCHEMA joins_general CASCADE;
DROP SCHEMA joins_general_plain CASCADE;
DROP FUNCTION public.joins_general_same(text), public.joins_general_rows(text, text);
