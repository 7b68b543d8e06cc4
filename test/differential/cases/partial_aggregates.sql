-- Aggregates whose parts the nodes compute: every transition state that PostgreSQL has. Which of them travel, and in what
-- form, depends on the version of the server; where versions are mixed the answers must be the same.
CREATE TABLE t (k int, g int, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, x text, b bytea, a int[], iv interval, ts timestamptz, o bool, j jsonb, r int4range, p point, bt bit(4), m money, inet inet);
--* SELECT create_distributed_table('t', 'k', shard_count := 6)
INSERT INTO t SELECT i, i % 5, i, i * 7, i * 10000000000, i / 4.0, i / 8.0, i / 100.0, CASE WHEN i % 3 > 0 THEN 'x' || i END, ('y' || i)::bytea, ARRAY[i, i + 1], i * interval '1 hour 1 month', '2024-01-01'::timestamptz + i * interval '1 day', i % 2 = 0, jsonb_build_object('i', i), int4range(i, i + 2), point(i, i), (i % 16)::bit(4), i::numeric::money, ('10.0.0.' || i)::inet FROM generate_series(1, 60) i;
INSERT INTO t (k, g) SELECT i, 5 FROM generate_series(61, 70) i;
INSERT INTO t (k, g, n, f8, i8) VALUES (71, 6, 'NaN', 'NaN', 1), (72, 6, 'Infinity', 'Infinity', 2), (73, 6, 1e30, 1, 9223372036854775807), (74, 6, 1e-30, 1, 9223372036854775807);
CREATE TABLE s (g int, w int);
--* SELECT create_reference_table('s')
INSERT INTO s SELECT i, i * 2 FROM generate_series(0, 4) i;
--ask
SELECT g, count(*), count(n), count(DISTINCT i2), sum(i2), sum(i4), sum(i8), sum(n), sum(iv), sum(m) FROM t GROUP BY g;
SELECT g, sum(f4) BETWEEN 0 AND 1000, sum(f8), avg(f8), round(stddev(f8)::numeric, 6), round(var_pop(f4)::numeric, 4) FROM t WHERE g < 6 GROUP BY g;
SELECT avg(i2), avg(i4), avg(i8), avg(n), avg(iv), sum(i8), sum(n) FROM t;
SELECT g, avg(i2), avg(i4), avg(i8), avg(n), avg(iv) FROM t GROUP BY g;
SELECT g, variance(i2), var_pop(i4), var_samp(i8), stddev(n), stddev_pop(i4), stddev_samp(i8), variance(n), var_pop(n), stddev(i2) FROM t GROUP BY g;
SELECT variance(i2), var_pop(i4), var_samp(i8), stddev_pop(i8), variance(n) FROM t WHERE g < 6;
SELECT g, min(i2), max(i8), min(n), max(x), min(ts), max(iv), min(inet), max(m), max(f4), min(r::text) FROM t GROUP BY g;
SELECT g, min(a), max(a) FROM t GROUP BY g;
SELECT g, bool_and(o), bool_or(o), every(o), bit_and(i2), bit_or(i4), bit_xor(i8), bit_and(bt), bit_or(bt) FROM t GROUP BY g;
SELECT g, round(corr(f8, i4)::numeric, 6), round(covar_pop(f8, i4)::numeric, 4), round(covar_samp(f8, i4)::numeric, 4), regr_count(f8, i4), round(regr_slope(f8, i4)::numeric, 6), round(regr_sxx(f8, i4)::numeric, 4) FROM t WHERE g < 6 GROUP BY g;
SELECT g, string_agg(x, ',' ORDER BY x), string_agg(b, '\x00' ORDER BY b), array_agg(i4 ORDER BY i4), array_agg(a ORDER BY a), json_agg(i2 ORDER BY i2) FROM t GROUP BY g;
SELECT g, length(string_agg(x, ', ')), length(string_agg(b, '\x0000')), cardinality(array_agg(i4)), cardinality(array_agg(a)), jsonb_array_length(jsonb_agg(n)), json_array_length(json_agg(x)) FROM t WHERE g < 5 GROUP BY g;
SELECT length(string_agg(x, ',')), cardinality(array_agg(x)), cardinality(array_agg(n)), count(*), avg(n) FROM t WHERE g < 5;
SELECT g, string_agg(DISTINCT left(x, 2), '-' ORDER BY left(x, 2)), array_agg(DISTINCT i2 % 3 ORDER BY i2 % 3) FROM t GROUP BY g;
SELECT g, jsonb_object_agg(k, x) = jsonb_object_agg(k, x), range_agg(r), range_intersect_agg(int4range(1, 5)), percentile_cont(0.5) WITHIN GROUP (ORDER BY f8), mode() WITHIN GROUP (ORDER BY i2 % 2), rank(3) WITHIN GROUP (ORDER BY i2) FROM t WHERE g < 5 GROUP BY g;
SELECT w, sum(n), avg(i8), length(string_agg(x, '')), cardinality(array_agg(x)) FROM t JOIN s USING (g) GROUP BY w HAVING avg(n) > 0;
SELECT o, g % 2, sum(i8), avg(n), stddev(i4), grouping(o) FROM t WHERE g < 5 GROUP BY GROUPING SETS ((o, g % 2), (o), ());
SELECT sum(n) FILTER (WHERE o), avg(i8) FILTER (WHERE NOT o), length(string_agg(x, '') FILTER (WHERE g = 1)) FROM t;
SELECT * FROM (SELECT k % 7 AS q, avg(i8) AS v, sum(n) AS n FROM t WHERE g < 5 GROUP BY 1) a JOIN (SELECT k % 7 AS q, var_pop(i4) AS w, count(*) FROM t GROUP BY 1) b USING (q);
