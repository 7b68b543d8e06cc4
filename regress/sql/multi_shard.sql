-- Queries over many shards answer like plain tables: aggregates, DISTINCT, sorting, limits, windows.
CREATE SCHEMA multi_shard_plain;
CREATE SCHEMA multi_shard;
SET client_min_messages = warning;
SET citus.shard_count = 6;
-- The rows of a query on plain and on distributed tables: in the order they come where the query asks for one.
CREATE FUNCTION public.multi_shard_rows(path text, query text) RETURNS text LANGUAGE plpgsql AS $$
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
CREATE FUNCTION public.multi_shard_same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plain text := public.multi_shard_rows('multi_shard_plain', query);
	distributed text := public.multi_shard_rows('multi_shard', query);
BEGIN
	PERFORM set_config('search_path', 'multi_shard', true);
	RETURN CASE WHEN plain = distributed THEN 'same'
		ELSE E'plain:\n' || plain || E'\ndistributed:\n' || distributed END;
END $$;
SET search_path = multi_shard_plain;
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
SET search_path = multi_shard;
CREATE TABLE t (LIKE multi_shard_plain.t INCLUDING ALL);
CREATE TABLE u (LIKE multi_shard_plain.u INCLUDING ALL);
CREATE TABLE r (LIKE multi_shard_plain.r INCLUDING ALL);
CREATE TABLE s (LIKE multi_shard_plain.s INCLUDING ALL);
CREATE TABLE e (LIKE multi_shard_plain.e INCLUDING ALL);
CREATE TABLE l AS TABLE multi_shard_plain.l;
SELECT create_distributed_table('t', 'k');
SELECT create_distributed_table('u', 'k', colocate_with => 't');
SELECT create_distributed_table('s', 'sk');
SELECT create_distributed_table('e', 'k', colocate_with => 't');
SELECT create_reference_table('r');
INSERT INTO t SELECT * FROM multi_shard_plain.t;
INSERT INTO u SELECT * FROM multi_shard_plain.u;
INSERT INTO s SELECT * FROM multi_shard_plain.s;
INSERT INTO r SELECT * FROM multi_shard_plain.r;

\pset format unaligned
\pset tuples_only on
SELECT public.multi_shard_same($$SELECT count(*), count(txt), sum(v), sum(n), avg(v), avg(n), avg(f), min(d), max(d), sum(f), bool_or(b), stddev(v), variance(n) FROM t$$);
SELECT public.multi_shard_same($$SELECT v, count(*), avg(n), sum(f) FROM t GROUP BY v ORDER BY v$$);
SELECT public.multi_shard_same($$SELECT v, count(*) FROM t GROUP BY v HAVING count(*) > 42 AND avg(n) > 1 ORDER BY v$$);
SELECT public.multi_shard_same($$SELECT k, count(*), sum(w) FROM u GROUP BY k HAVING count(*)>1 ORDER BY k LIMIT 10$$);
SELECT public.multi_shard_same($$SELECT count(*), sum(v), avg(v), min(v), max(v) FROM e$$);
SELECT public.multi_shard_same($$SELECT v, count(*) FROM e GROUP BY v$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE false$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE k=NULL$$);
SELECT public.multi_shard_same($$SELECT count(DISTINCT v), count(DISTINCT txt), sum(DISTINCT v) FROM t$$);
SELECT public.multi_shard_same($$SELECT v, count(DISTINCT txt) FROM t GROUP BY v ORDER BY v$$);
SELECT public.multi_shard_same($$SELECT k, count(DISTINCT id), array_agg(id ORDER BY id) FROM u GROUP BY k ORDER BY k LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT string_agg(txt, ',' ORDER BY k) FROM t WHERE k < 20$$);
SELECT public.multi_shard_same($$SELECT array_agg(k ORDER BY k) FROM t WHERE k < 20$$);
SELECT public.multi_shard_same($$SELECT v, count(*) FILTER (WHERE b), avg(n) FILTER (WHERE k>100) FROM t GROUP BY v ORDER BY 1$$);
SELECT public.multi_shard_same($$SELECT DISTINCT v FROM t ORDER BY v$$);
SELECT public.multi_shard_same($$SELECT DISTINCT v, b FROM t ORDER BY v DESC, b$$);
SELECT public.multi_shard_same($$SELECT DISTINCT ON (v) v, k FROM t ORDER BY v, k DESC$$);
SELECT public.multi_shard_same($$SELECT k, n FROM t ORDER BY n DESC LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT k, n FROM t ORDER BY n DESC LIMIT 5 OFFSET 7$$);
SELECT public.multi_shard_same($$SELECT k FROM t ORDER BY v, k LIMIT 3$$);
SELECT public.multi_shard_same($$SELECT k, txt FROM t ORDER BY txt NULLS FIRST, k DESC LIMIT 4$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM (SELECT * FROM t LIMIT 17) x$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM (SELECT k FROM t ORDER BY k OFFSET 290) x$$);
SELECT public.multi_shard_same($$SELECT v%3 AS m, sum(n) FROM t GROUP BY m ORDER BY m$$);
SELECT public.multi_shard_same($$SELECT v, b, grouping(v,b), count(*) FROM t GROUP BY ROLLUP(v,b) ORDER BY 1,2,3$$);
SELECT public.multi_shard_same($$SELECT date_trunc('day', d), count(*) FROM t GROUP BY 1 ORDER BY 1 LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT k, rank() OVER (PARTITION BY v ORDER BY n DESC) FROM t ORDER BY k LIMIT 10$$);
SELECT public.multi_shard_same($$SELECT k, sum(w) OVER (PARTITION BY k ORDER BY id) FROM u ORDER BY k, id LIMIT 10$$);
SELECT public.multi_shard_same($$SELECT (SELECT count(*) FROM u WHERE u.k=t.k), k FROM t ORDER BY k DESC LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT k FROM t WHERE n > (SELECT avg(n) FROM t) ORDER BY k LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT k, (SELECT name FROM r WHERE r.id=t.v) FROM t ORDER BY k LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT sub.c, count(*) FROM (SELECT k, count(*) c FROM u GROUP BY k) sub GROUP BY 1 ORDER BY 1$$);
SELECT public.multi_shard_same($$SELECT * FROM t WHERE k=17$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE k IN (1,2,3,500)$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE k = ANY('{1,2,3}'::int[])$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE k=1 OR k=7$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE k=5::bigint$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE k=99999999999$$);
SELECT public.multi_shard_same($$SELECT k FROM t WHERE k BETWEEN 3 AND 7 ORDER BY 1$$);
SELECT public.multi_shard_same($$SELECT * FROM s WHERE sk='key3' ORDER BY k$$);
SELECT public.multi_shard_same($$SELECT sk, sum(x) FROM s GROUP BY sk ORDER BY 2 DESC, 1 LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT sk, x, count(*) FROM s GROUP BY sk, x ORDER BY 1, 2 LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT x, count(DISTINCT sk) FROM s GROUP BY x ORDER BY x$$);
SELECT public.multi_shard_same($$SELECT t FROM t ORDER BY k LIMIT 3$$);
SELECT public.multi_shard_same($$SELECT unnest(arr) FROM u WHERE k=160 ORDER BY 1$$);
SELECT public.multi_shard_same($$SELECT k, unnest(arr) a FROM u ORDER BY 1,2 LIMIT 5$$);
SELECT public.multi_shard_same($$SELECT generate_series(1,3), count(*) FROM t$$);
SELECT public.multi_shard_same($$SELECT * FROM r ORDER BY id$$);
SELECT public.multi_shard_same($$SELECT max(k) - min(k) AS range, count(*)*2 FROM t$$);
SELECT public.multi_shard_same($$SELECT CASE WHEN count(*)>10 THEN 'many' ELSE 'few' END FROM t$$);
SELECT public.multi_shard_same($$SELECT v+1, count(*)+1 FROM t GROUP BY v+1 ORDER BY 1$$);
SELECT public.multi_shard_same($$SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM t$$);
SELECT public.multi_shard_same($$SELECT mode() WITHIN GROUP (ORDER BY v) FROM t$$);
SELECT public.multi_shard_same($$SELECT json_agg(k ORDER BY k) FROM t WHERE k<4$$);
SELECT public.multi_shard_same($$SELECT a.k FROM t a WHERE a.k < 10 AND a.v = (SELECT max(v) FROM t b WHERE b.k <= a.k) ORDER BY 1$$);
SELECT public.multi_shard_same($$SELECT coalesce(txt,'none') c, count(*) FROM t GROUP BY 1 ORDER BY 1 LIMIT 4$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE d > now() - interval '100 years'$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t WHERE txt LIKE 'txt1%' AND upper(txt) > 'A'$$);
SELECT public.multi_shard_same($$SELECT b, v, sum(k) FROM t GROUP BY GROUPING SETS ((b),(v),()) ORDER BY 1,2,3$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t TABLESAMPLE BERNOULLI(100)$$);
SELECT public.multi_shard_same($$SELECT k, v FROM t WHERE v=3 ORDER BY k FETCH FIRST 3 ROWS ONLY$$);
SELECT public.multi_shard_same($$SELECT sum(x.c) FROM (SELECT v, count(*) c FROM t GROUP BY v ORDER BY c LIMIT 3) x$$);
SELECT public.multi_shard_same($$SELECT lag(k) OVER (ORDER BY k) l, k FROM t ORDER BY k LIMIT 3$$);
SELECT public.multi_shard_same($$SELECT row_number() OVER (ORDER BY sum(n)), v FROM t GROUP BY v ORDER BY 1$$);
SELECT public.multi_shard_same($$SELECT sum(k::bigint), avg(k::bigint), sum(v::smallint), avg(f::real) FROM t$$);
SELECT public.multi_shard_same($$SELECT min(txt), max(txt), min(n) FROM t$$);
SELECT public.multi_shard_same($$SELECT bit_and(v), bit_or(v), every(b) FROM t$$);
SELECT public.multi_shard_same($$SELECT avg(d - '2024-01-01') FROM t$$);
SELECT public.multi_shard_same($$SELECT v, avg(d - '2024-01-01') FROM t GROUP BY v ORDER BY 1$$);
SELECT public.multi_shard_same($$SELECT count(*) FROM t GROUP BY ()$$);
SELECT public.multi_shard_same($$SELECT 1 FROM t HAVING count(*) > 5$$);
SELECT public.multi_shard_same($$SELECT 1 FROM e HAVING count(*) > 5$$);
SELECT public.multi_shard_same($$SELECT tableoid::regclass::text = current_schema||'.t' OR true, k FROM t ORDER BY k LIMIT 2$$);
SELECT public.multi_shard_same($$SELECT array_agg(x ORDER BY x) FROM (SELECT DISTINCT v x FROM t) q$$);
SELECT public.multi_shard_same($$SELECT t.k FROM t WHERE t.k = (SELECT min(k) FROM u)$$);

DROP SCHEMA multi_shard CASCADE;
DROP SCHEMA multi_shard_plain CASCADE;
DROP FUNCTION public.multi_shard_same(text), public.multi_shard_rows(text, text);
