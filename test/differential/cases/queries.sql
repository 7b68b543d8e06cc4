-- What SELECT can say, over distributed, reference and local tables.
CREATE TABLE a (k int PRIMARY KEY, g int, v text, n numeric, at timestamptz);
CREATE TABLE b (k int, j int, w text);
CREATE TABLE o (id text, k int);
CREATE TABLE r (id int PRIMARY KEY, t text);
CREATE TABLE l (k int, y text);
CREATE TABLE one (k int, x int);
--* SELECT create_distributed_table('a', 'k');
--* SELECT create_distributed_table('b', 'k', colocate_with => 'a');
--* SELECT create_distributed_table('o', 'id');
--* SELECT create_reference_table('r');
--* SELECT create_distributed_table('one', NULL);
INSERT INTO a SELECT i, i % 7, 'v' || i % 5, i / 3.0, '2024-01-01 00:00+00'::timestamptz + i * interval '7 hours' FROM generate_series(1, 60) i;
INSERT INTO b SELECT i % 25, i % 6, 'w' || i % 4 FROM generate_series(1, 80) i;
INSERT INTO o SELECT 'id' || i % 12, i % 30 FROM generate_series(1, 40) i;
INSERT INTO r SELECT i, 'r' || i FROM generate_series(0, 9) i;
INSERT INTO l SELECT i, 'y' || i FROM generate_series(0, 12) i;
INSERT INTO one SELECT i, i * 10 FROM generate_series(1, 15) i;
--* SELECT citus_add_local_table_to_metadata('l');
--ask
-- windows
SELECT k, rank() OVER (PARTITION BY g ORDER BY n DESC), sum(n) OVER w, lag(v, 2, 'none') OVER w, ntile(3) OVER w FROM a WINDOW w AS (PARTITION BY g ORDER BY k);
SELECT k, sum(g) OVER (ORDER BY k ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW), first_value(v) OVER (PARTITION BY k % 3 ORDER BY k RANGE BETWEEN 5 PRECEDING AND CURRENT ROW) FROM a;
SELECT k, count(*) OVER (PARTITION BY k), row_number() OVER (PARTITION BY k ORDER BY j, w) FROM b;
SELECT k, max(w) FILTER (WHERE j > 2) OVER (PARTITION BY k) FROM b WHERE k IN (3, 4);
SELECT g, sum(count(*)) OVER (ORDER BY g) FROM a GROUP BY g;
SELECT k, percent_rank() OVER (PARTITION BY k ORDER BY j) FROM b WHERE k = 7;
SELECT * FROM (SELECT k, j, row_number() OVER (PARTITION BY k ORDER BY j DESC, w) rn FROM b) x WHERE rn <= 2;
-- grouping
SELECT g, v, count(*), grouping(g, v) FROM a GROUP BY GROUPING SETS ((g, v), (g), ()) ;
-- what is computed from an expression that is grouped by
SELECT (g % 3 + 1) * 2, count(*) FROM a GROUP BY g % 3 + 1;
SELECT count(*) FROM a GROUP BY g % 3 + 1 HAVING g % 3 + 1 > 2;
SELECT g % 3 + count(*), avg(n) FROM a GROUP BY g % 3 HAVING (g % 3) * count(*) > 18 ORDER BY (g % 3) * 5;
SELECT upper(v) || '!', max(t) FROM a JOIN r ON r.id = a.g GROUP BY upper(v) HAVING max(r.t) > upper(v) OR upper(v) LIKE '%3';
SELECT c, x FROM (SELECT CASE WHEN g > 3 THEN g ELSE -g END AS x, count(n) AS c FROM a GROUP BY 1) s WHERE c > 8 OR x > 5;
SELECT (g % 3) * 2, rank() OVER (ORDER BY g % 3), sum(count(*)) OVER (PARTITION BY g % 3) FROM a GROUP BY g % 3;
SELECT k + 1, (g % 3) * 2, sum(count(*)) OVER (PARTITION BY g % 3) FROM a GROUP BY k, g % 3;
SELECT upper(r.t), count(*), rank() OVER (ORDER BY r.t) FROM a JOIN r ON r.id = a.g GROUP BY r.id;
-- aggregates that nobody asks for
SELECT 1 FROM (SELECT min(t), max(t) FROM r) s;
SELECT 1 FROM (SELECT min(a.v) FROM a JOIN r ON r.id = a.g) s;
SELECT 2 FROM (SELECT count(*) FROM one) s UNION ALL SELECT 3 FROM (SELECT sum(k) FROM b WHERE k < 0) s;
(SELECT k FROM a WHERE g > 2) UNION ALL (SELECT 5 FROM (SELECT min(x.t), max(x.t) FROM r x JOIN r y ON x.id = y.id) s);
(SELECT k FROM a WHERE g > 2) UNION ALL (SELECT 5 FROM (SELECT max(x.v) FROM a x JOIN b y ON x.k = y.k) s);
SELECT 1 FROM (SELECT min(t) FROM r GROUP BY id % 3) s;
SELECT 1 FROM (SELECT min(v) FROM a GROUP BY g) s;
SELECT count(*) FROM (SELECT max(x.t) FROM r x JOIN r y ON x.id = y.id HAVING count(*) > 100) s;
PREPARE grouped(int) AS SELECT (g % 4 + $1) * 2, count(*) FROM a GROUP BY g % 4 + $1 HAVING g % 4 + $1 > $1;
--again 7
EXECUTE grouped(3);
DEALLOCATE grouped;
SELECT g, v, sum(n) FROM a GROUP BY CUBE (g, v) HAVING sum(n) > 20;
SELECT k, j, count(*) FROM b GROUP BY ROLLUP (k, j);
SELECT k, g, count(*) FROM a GROUP BY k, ROLLUP (g);
SELECT count(DISTINCT g), count(DISTINCT v), sum(DISTINCT g), avg(DISTINCT n) FROM a;
SELECT k, count(DISTINCT j), string_agg(DISTINCT w, ',' ORDER BY w) FROM b GROUP BY k;
SELECT j, count(DISTINCT k), array_agg(DISTINCT k ORDER BY k DESC) FROM b GROUP BY j;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n), mode() WITHIN GROUP (ORDER BY g), percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY k) FROM a;
SELECT g, percentile_cont(0.25) WITHIN GROUP (ORDER BY k) FROM a GROUP BY g;
SELECT rank(20) WITHIN GROUP (ORDER BY k), dense_rank(3, 'v2') WITHIN GROUP (ORDER BY g, v) FROM a;
SELECT stddev(n), variance(g), round(corr(k, g)::numeric, 9), round(regr_slope(k, g)::numeric, 9), bool_and(k > 0), every(g > 3), bit_or(g), bit_xor(k) FROM a;
SELECT json_agg(v ORDER BY k), jsonb_object_agg(k, g), xmlagg(xmlelement(name x, k) ORDER BY k)::text FROM a WHERE k < 6;
SELECT g, json_object_agg(k, v ORDER BY k)::text, array_agg(ROW(k, v)::text ORDER BY k) FROM a GROUP BY g;
SELECT g + 1 AS gg, count(*) FROM a GROUP BY gg HAVING count(*) FILTER (WHERE k > 30) > 2 ORDER BY count(*) DESC, 1;
SELECT sum(n) FROM a HAVING count(*) > 1000;
SELECT 1 FROM a HAVING true;
SELECT max(k) + 1, min(v) || max(v), count(*) * 2.5 FROM a WHERE k > 1000;
-- ... by sorting, also by what is constant
SET enable_hashagg = off;
SELECT g, count(*), sum(n) FROM a GROUP BY g;
SELECT date '2024-09-19' AS d, sum(k) FROM a GROUP BY d;
SELECT 'c' AS c, g % 2 AS odd, sum(j) FROM a JOIN b USING (k) GROUP BY c, odd;
SELECT CASE WHEN false THEN v ELSE 'v' END AS c, round(stddev(a.k), 6), round(stddev(j), 6) FROM b RIGHT JOIN a ON a.k = b.k GROUP BY 1;
SELECT g, sum(n) FROM a WHERE g = 3 GROUP BY g;
SELECT DISTINCT 'c', 1 FROM a;
SELECT DISTINCT g FROM a WHERE g = 3;
SELECT count(*) FROM a GROUP BY ();
RESET enable_hashagg;
-- DISTINCT
SELECT DISTINCT ON (g) g, k, v FROM a ORDER BY g, k DESC;
SELECT DISTINCT ON (k) k, j, w FROM b ORDER BY k, j, w;
SELECT DISTINCT g, v FROM a;
SELECT DISTINCT g % 3, count(*) FROM a GROUP BY g;
-- subqueries
SELECT k, (SELECT count(*) FROM b WHERE b.k = a.k), (SELECT max(w) FROM b WHERE b.j = a.g), (SELECT t FROM r WHERE r.id = a.g) FROM a;
SELECT k FROM a WHERE EXISTS (SELECT FROM b WHERE b.j = a.g AND b.k > a.k) AND NOT EXISTS (SELECT FROM o WHERE o.k = a.k);
SELECT k FROM a WHERE n > ALL (SELECT b.j FROM b WHERE b.k < a.k) ;
SELECT k FROM a WHERE (k, g) IN (SELECT k, j FROM b) OR v = ANY (SELECT 'v' || k FROM o WHERE o.k < 3);
SELECT k FROM a WHERE k NOT IN (SELECT k FROM o WHERE k IS NOT NULL);
SELECT ARRAY(SELECT k FROM b WHERE b.j = x.id ORDER BY k), t FROM r x;
SELECT a.k, x.* FROM a, LATERAL (SELECT b.j, b.w FROM b WHERE b.k = a.k ORDER BY j, w LIMIT 2) x;
SELECT a.k, x.* FROM a LEFT JOIN LATERAL (SELECT o.id FROM o WHERE o.k = a.g ORDER BY id LIMIT 1) x ON true;
SELECT r.id, x.c FROM r, LATERAL (SELECT count(*) c FROM a WHERE a.g = r.id) x;
SELECT (SELECT sum(x.k) FROM (SELECT k FROM a WHERE a.g = l.k LIMIT 3 OFFSET 20) x), y FROM l;
SELECT CASE WHEN (SELECT count(*) FROM o) > 10 THEN 'many' ELSE 'few' END;
-- joins
SELECT * FROM a FULL JOIN b USING (k) WHERE a.k > 50 OR b.j = 1;
SELECT a.k, o.id, r.t FROM a LEFT JOIN o ON o.k = a.g RIGHT JOIN r ON r.id = a.g AND o.id > 'id3';
SELECT count(*) FROM a CROSS JOIN o;
SELECT * FROM one NATURAL JOIN a;
SELECT one.k, count(*) FROM one LEFT JOIN b ON b.j = one.k GROUP BY 1;
SELECT x.k, y.k FROM a x JOIN a y ON x.k = y.g WHERE x.v < y.v;
SELECT a.k, l.y, r.t FROM a JOIN l ON l.k = a.g JOIN r ON r.id = l.k WHERE a.k < 20;
SELECT * FROM (a JOIN b USING (k)) JOIN (o JOIN r ON r.id = o.k) ON o.k = j WHERE k < 8;
-- set operations
SELECT k FROM a UNION SELECT k FROM b EXCEPT SELECT k FROM o;
SELECT g, v FROM a INTERSECT ALL SELECT j, 'v' || j FROM b;
(SELECT k, v FROM a ORDER BY k DESC LIMIT 3) UNION ALL (SELECT k, y FROM l ORDER BY k LIMIT 3) ORDER BY 1, 2;
SELECT count(*) FROM (SELECT k FROM a UNION ALL SELECT k FROM b UNION ALL SELECT id FROM r) u;
SELECT k FROM a WHERE k = 5 UNION ALL SELECT j FROM b WHERE k = 5;
SELECT k FROM a WHERE k = 5 EXCEPT SELECT j FROM b WHERE k = 7;
VALUES (1, 'x'), (2, (SELECT max(v) FROM a));
TABLE one;
SELECT * FROM (VALUES (1), (5), (99)) v (k) LEFT JOIN a USING (k);
-- WITH
WITH x AS (SELECT g, count(*) c FROM a GROUP BY g), y AS (SELECT max(c) m FROM x) SELECT * FROM x, y WHERE c = m;
WITH x AS MATERIALIZED (SELECT * FROM b WHERE k < 5) SELECT x1.k, count(*) FROM x x1 JOIN x x2 USING (k) GROUP BY 1;
WITH RECURSIVE w AS (SELECT k, g, 1 AS d FROM a WHERE k = 60 UNION ALL SELECT a.k, a.g, d + 1 FROM w JOIN a ON a.k = w.g * 3 WHERE d < 5) SELECT * FROM w;
WITH RECURSIVE w (k) AS (SELECT 1 UNION SELECT b.j + w.k FROM w JOIN b ON b.k = w.k WHERE w.k < 20) SELECT * FROM w;
WITH RECURSIVE w (k, p) AS (SELECT 1, 0 UNION ALL SELECT b.j, w.k FROM w JOIN b ON b.k = w.k) CYCLE k SET c USING path SELECT DISTINCT k, p, c FROM w;
WITH RECURSIVE s AS (SELECT k, g FROM a WHERE k < 3 UNION ALL SELECT a.k, a.g FROM s JOIN a ON a.k = s.k + 20) SEARCH DEPTH FIRST BY k SET o SELECT k, g FROM s ORDER BY o;
-- functions in FROM, TABLESAMPLE, LIMIT
SELECT a.k, i FROM a, generate_series(1, a.g) i WHERE a.k < 9;
SELECT * FROM unnest(ARRAY[3, 4, 77]) WITH ORDINALITY u (k, i) LEFT JOIN b USING (k);
SELECT k, unnest(ARRAY[g, k]), generate_series(1, 2) FROM a WHERE k < 4;
SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['a', 'b', 'c'])) f (x, y), r WHERE r.id = x;
SELECT j.x, a.k FROM a, jsonb_to_recordset('[{"x": 3}, {"x": 5}]') j (x int) WHERE a.k = j.x;
SELECT count(*) FROM a TABLESAMPLE SYSTEM (100);
SELECT count(*) FROM a TABLESAMPLE BERNOULLI (100) REPEATABLE (3) JOIN b TABLESAMPLE BERNOULLI (100) USING (k);
SELECT count(*) FROM a TABLESAMPLE BERNOULLI (0);
SELECT k FROM a ORDER BY g, k LIMIT 5 OFFSET 7;
SELECT g, k FROM a ORDER BY g FETCH FIRST 3 ROWS WITH TIES;
SELECT k FROM a ORDER BY k LIMIT (SELECT count(*) FROM r) OFFSET (SELECT 3);
SELECT k FROM a ORDER BY v COLLATE "C" DESC, n NULLS FIRST, k LIMIT 4;
SELECT k FROM a ORDER BY (SELECT max(j) FROM b WHERE b.k = a.k) DESC NULLS LAST, k LIMIT 6;
-- locks
SELECT k FROM a WHERE g = 3 ORDER BY k FOR UPDATE;
SELECT a.k FROM a JOIN b USING (k) WHERE b.j = 1 FOR NO KEY UPDATE OF a SKIP LOCKED;
SELECT id FROM r WHERE id < 3 FOR SHARE NOWAIT;
SELECT k FROM (SELECT * FROM a WHERE k < 4 FOR UPDATE) x;
-- rows as values
SELECT a FROM a WHERE k = 3;
SELECT a FROM a WHERE g = 3;
SELECT (a).v, row_to_json(a)::text FROM a WHERE k < 3;
SELECT a IS NULL, a = a, ROW(k, g) < ROW(3, 4) FROM a WHERE k < 5;
SELECT count(b), count(b.*) FROM a LEFT JOIN b ON b.k = a.k + 20;
SELECT ROW(k, v) FROM a WHERE k < 3;
SELECT ROW(k, v) FROM a WHERE k < 9 ORDER BY k;
SELECT max(ROW(g, k)::text) FROM a;
-- one shard group by constants, IN lists, equivalence
SELECT a.k, b.j, rank() OVER (ORDER BY b.j, b.w) FROM a JOIN b USING (k) WHERE a.k = 7;
SELECT a.k, b.j FROM a JOIN b ON a.k = b.k WHERE b.k IN (7);
SELECT * FROM a WHERE k = ANY ('{5, 6}');
SELECT * FROM a WHERE k IN (1, 2, 3) AND k > 1;
SELECT count(*) FROM a WHERE k = 1 OR k = 2;
SELECT count(*) FROM a WHERE k = 1 AND k = 2;
SELECT count(*) FROM a WHERE NULL;
SELECT * FROM a WHERE k = 5 AND g = (SELECT j FROM b WHERE b.k = 5 ORDER BY j LIMIT 1);
SELECT * FROM a WHERE k = 5::bigint AND n > 1.0;
SELECT * FROM a WHERE k = 5.0;
SELECT * FROM a WHERE k::text = '5';
-- values once a statement
SELECT count(DISTINCT now()), count(DISTINCT statement_timestamp()), bool_and(at < now()) FROM a;
SELECT count(*) FROM a WHERE at BETWEEN '2024-01-03' AND date '2024-01-03' + interval '3 days';
SELECT date_trunc('day', at), extract(dow FROM at), at::date FROM a WHERE k < 4;
SELECT current_user = session_user, count(*) FROM a WHERE current_schema() IS NOT NULL GROUP BY 1;
SELECT count(*) FROM (SELECT random() x FROM a) y WHERE x BETWEEN 0 AND 1;
-- errors are PostgreSQL's
SELECT 1 / (k - 5) FROM a;
SELECT v::int FROM a WHERE k = 3;
SELECT (SELECT k FROM b) FROM a;
SELECT nothing FROM a;
SELECT g FROM a GROUP BY v;
-- a subplan that asks nodes while the rows of local and remote shards stream past it
SELECT a.k, (SELECT min(b.k) FROM b WHERE b.j = a.g) FROM a JOIN b c ON a.k = c.k JOIN (VALUES (1), (4)) z(k) ON z.k = a.k;
SELECT a.k, (SELECT min(b.k) FROM b WHERE b.j = a.g) FROM a JOIN b c ON a.k = c.k JOIN (VALUES (2), (5)) z(k) ON z.k = a.k;
SELECT a.k, (SELECT min(b.k) FROM b WHERE b.j = a.g) FROM a JOIN b c ON a.k = c.k JOIN (VALUES (3), (7), (11)) z(k) ON z.k = a.k;
SELECT a.k, (SELECT count(*) FROM o WHERE o.k = a.g) FROM a JOIN b c ON a.k = c.k JOIN (SELECT i FROM generate_series(1, 20) i) z(k) ON z.k = a.k;
