-- Values survive the way between the nodes, in every tier, in both directions.
CREATE TYPE color AS ENUM ('red', 'green', 'blue');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN short AS text COLLATE "C" CHECK (length(VALUE) < 20);
CREATE TYPE deep AS (p pair, c color[], d positive);
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = floatmultirange);
CREATE TABLE t (k int PRIMARY KEY, f8 float8, f4 float4, n numeric, n2 numeric(10, 3), i2 int2, i8 int8, s text, c char(5), vc varchar(10), b bytea,
  d date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, bo bool, u uuid, j json, jb jsonb, x xml, ia int[], ta text[], na numeric[][], col color, p pair,
  pa pair[], dom positive, sh short, dp deep, ir int4range, nr numrange, tr tstzrange, im int4multirange, fr floatrange, fm floatmultirange, ip inet, ci cidr, mac macaddr, bt bit(5), vb varbit, pt point, bx box,
  poly polygon, m money, tsv tsvector, tsq tsquery, o oid, rc regtype, nm name, lsn pg_lsn, jp jsonpath, ch "char");
CREATE TABLE e (c color, v text);
CREATE TABLE nd (n numeric, v text);
CREATE TABLE pk (p pair, v text);
CREATE TABLE ts (s short, v int);
CREATE TABLE loc (k int, j jsonb, p pair, c color);
--* SELECT create_distributed_table('t', 'k');
--* SELECT create_distributed_table('e', 'v');
--* SELECT create_distributed_table('nd', 'n');
--* SELECT create_distributed_table('ts', 's');
--* SELECT create_distributed_table('loc', 'k', colocate_with => 't');
--* SELECT create_reference_table('pk');
CREATE TABLE long (k int, d date, pad text);
--* SELECT create_distributed_table('long', 'k', shard_count => 4);
INSERT INTO long SELECT i, '2024-03-31', repeat('x', 50000) FROM generate_series(1, 1000) i;
--ask
INSERT INTO t (k, f8, f4, n, n2, i2, i8, s, c, vc, b) VALUES (1, 'NaN', '-Infinity', 'NaN', 1.5, -32768, -9223372036854775808, '', 'ab', 'x', '\x00ff'),
  (2, '-0', '0', '1.50', '-0.001', 32767, 9223372036854775807, E'tab\tnew\nline \\ '' "', 'abcde', ' sp ', ''), (3, 'Infinity', 1e-45, '-Infinity', NULL, 0, 0, 'ünïcödé 😀 中文', 'é', NULL, E'\\x5c'),
  (4, 0.1::float8 + 0.2, 0.1, 1e100, 12345.678, 1, 1, repeat('long', 500), NULL, '', decode(repeat('ab', 3000), 'hex')), (5, 1e308, 1.5e38, '0.00000000000000000001000', 0, NULL, NULL, NULL, '', 'NULL', NULL);
INSERT INTO t (k, d, ti, tz, ts, tstz, iv) VALUES (11, 'infinity', '24:00', '12:30:45.123456+05:30', '-infinity', 'infinity', '1 year -2 mons 3 days -04:05:06.789'), (12, '4713-01-01 BC', '00:00:00.000001', '00:00-12', '2024-02-29 23:59:59.999999', '2024-03-31 01:30:00 Europe/Berlin', '-1 day'),
  (13, '5874897-12-31', NULL, NULL, '294276-12-31', '0044-03-15 12:00 BC', '0');
INSERT INTO t (k, bo, u, j, jb, x) VALUES (21, true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b":1,  "a" : [1,2.50,"x\u0041"], "a":null}', '{"b":1, "a":[1,2.50,"x\u0041", 1e400]}', '<a b="1">&lt;x</a>'), (22, false, NULL, 'null', 'null', NULL), (23, NULL, NULL, '"\""', '"é\n"', 'text');
INSERT INTO t (k, ia, ta, na, col, p, pa, dom, sh, dp) VALUES (31, '{1,NULL,3}', ARRAY['a,b', 'c"d', NULL, 'NULL', '', E'\\'], '{{1.0,2.00},{NaN,NULL}}', 'green', ROW(1, 'x,"y"'), ARRAY[ROW(1, NULL), NULL, ROW(NULL, '(")')]::pair[], 5, 'dom', ROW(ROW(7, 'in'), '{blue,red}', 9)),
  (32, '[3:4]={5,6}', '{}', '{}', 'blue', ROW(NULL, NULL), '{}', NULL, NULL, NULL), (33, NULL, ARRAY[['a', 'b'], ['c', 'd']], NULL, NULL, NULL, NULL, 1, 'ü', ROW(NULL, NULL, NULL));
INSERT INTO t (k, ir, nr, tr, im, fr, fm) VALUES (41, '[1,5)', '(1.50,2.000]', '[2024-01-01,infinity)', '{[1,3),[7,9)}', '[1.5,2.5]', '{[1,2],(3,4)}'), (42, 'empty', '(,)', 'empty', '{}', 'empty', '{}'), (43, '[,3)', '[1,1]', '[,2024-01-01)', NULL, NULL, NULL);
INSERT INTO t (k, ip, ci, mac, bt, vb, pt, bx, poly, m) VALUES (51, '10.1.2.3/8', '10.0.0.0/8', '08:00:2b:01:02:03', '10101', '1', '(1.5,-2)', '(1,1),(0,0)', '((0,0),(1,1),(1,0))', '12.34'), (52, '::1', '::/0', NULL, NULL, '', '(NaN,Infinity)', NULL, NULL, '-0.01');
INSERT INTO t (k, tsv, tsq, nm, lsn, jp, ch) VALUES (61, 'fat:1A cat:2,3', 'fat & !cat', 'name', '16/B374D848', '$.a[*] ? (@ > 1)', 'q');
SELECT * FROM t;
SELECT * FROM t WHERE k = 4;
SELECT * FROM t WHERE k = 31;
SELECT t FROM t WHERE k IN (1, 2, 3, 21, 31, 41, 51);
SELECT t FROM t WHERE k = 31;
SELECT x.* FROM t x LEFT JOIN t y ON x.k = y.k + 1;
SELECT min(f8), max(f8), max(n), min(n), sum(i8) FILTER (WHERE i8 < 10 AND i8 >= 0), max(s COLLATE "C"), min(d), max(tstz), max(iv), max(col), max(ip), min(m) FROM t;
SELECT n, f8, count(*) FROM t GROUP BY n, f8;
SELECT DISTINCT col, dom, sh, p, ir, jb FROM t;
SELECT k, n::text, n2::text, n + 0.10, n2 * 2 FROM t WHERE k < 6;
SELECT array_agg(n ORDER BY k), array_agg(col ORDER BY k), array_agg(p ORDER BY k) FROM t WHERE k IN (2, 4, 31, 32);
SELECT string_agg(s, '|' ORDER BY k), jsonb_agg(jb ORDER BY k), range_agg(ir ORDER BY k), json_agg(p ORDER BY k) FROM t WHERE k IN (1, 2, 21, 31, 41, 43);
SELECT k FROM t WHERE f8 = 'NaN' OR n = 'NaN';
SELECT k FROM t WHERE f8 = 0 OR col = 'green' OR jb @> '{"b": 1}' OR ia @> '{3}' OR ir && '[4,9)' OR u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' OR tsv @@ 'cat' OR p = ROW(1, 'x,"y"')::pair;
SELECT k, s, ts, tstz, d, iv, col FROM t ORDER BY s COLLATE "C", ts, tstz, d, iv, col NULLS FIRST, k;
SELECT k, (p).b, (dp).p.a, (dp).c[1], ta[2], jb -> 'a' ->> 1, j -> 'a', upper(ir), lower(nr), extract(epoch FROM iv) FROM t;
-- back again
UPDATE t SET s = x.s || '!', n = x.n, f8 = x.f8, jb = x.jb, p = x.p, pa = x.pa, col = x.col, tr = x.tr, im = x.im, dp = x.dp, na = x.na, b = x.b FROM t x WHERE x.k = t.k - 1 RETURNING t.k, t.s, t.n, t.f8, t.jb, t.p, t.pa, t.col, t.tr, t.im, t.dp, t.na, t.b;
INSERT INTO t SELECT k + 100, f8, f4, n, n2, i2, i8, s, c, vc, b, d, ti, tz, ts, tstz, iv, bo, u, j, jb, x, ia, ta, na, col, p, pa, dom, sh, dp, ir, nr, tr, im, fr, fm, ip, ci, mac, bt, vb, pt, bx, poly, m, tsv, tsq, o, rc, nm, lsn, jp, ch FROM t WHERE k < 100;
INSERT INTO t SELECT * FROM t WHERE k = 131 ON CONFLICT (k) DO UPDATE SET pa = excluded.pa || t.pa, dp = excluded.dp, col = 'red', n = excluded.n RETURNING *;
SELECT count(*) FROM t x JOIN t y ON y.k = x.k + 100 WHERE (x.f8, x.n, x.s, x.b, x.tstz, x.iv, x.jb, x.ta, x.na, x.col, x.p, x.pa, x.dp, x.tr, x.im, x.fm, x.ip, x.bt, x.tsv) IS DISTINCT FROM (y.f8, y.n, y.s, y.b, y.tstz, y.iv, y.jb, y.ta, y.na, y.col, y.p, y.pa, y.dp, y.tr, y.im, y.fm, y.ip, y.bt, y.tsv);
INSERT INTO loc SELECT k, jb, p, col FROM t WHERE k < 50 RETURNING *;
DELETE FROM t USING loc WHERE loc.k = t.k - 100 AND loc.c IS NOT NULL RETURNING t.k, t.col, loc.p, loc.j;
-- keys of other types
INSERT INTO e VALUES ('red', 'r'), ('green', 'g'), ('blue', 'b');
SELECT * FROM e WHERE c = 'green';
SELECT * FROM e WHERE c IN ('red', 'blue') ORDER BY c DESC;
SELECT e.v, t.k FROM e JOIN t ON t.col = e.c WHERE t.k < 100;
UPDATE e SET c = 'green' WHERE c > 'red' RETURNING *;
INSERT INTO nd VALUES (1.0, 'a'), (1.00, 'b'), ('NaN', 'c'), (0, 'd'), (-0.0, 'e'), (1e50, 'f');
SELECT * FROM nd WHERE n = 1;
SELECT * FROM nd WHERE n = 1.000;
SELECT * FROM nd WHERE n = 'NaN';
SELECT n, count(*) FROM nd GROUP BY n;
SELECT x.v, y.v FROM nd x JOIN nd y ON x.n = y.n;
INSERT INTO pk VALUES (ROW(1, 'a'), 'x'), (ROW(NULL, 'b'), 'y'), (NULL, 'z');
SELECT * FROM pk;
SELECT t.k, pk.v FROM t JOIN pk ON (t.p).a = (pk.p).a WHERE t.k < 100;
INSERT INTO ts VALUES ('a', 1), ('ä', 2), ('Z', 3), ('😀', 4);
SELECT * FROM ts ORDER BY s;
SELECT * FROM ts WHERE s = 'ä';
SELECT max(s), min(s) FROM ts;
INSERT INTO ts VALUES (repeat('x', 30), 1);
INSERT INTO t (k, dom) VALUES (900, -1);
INSERT INTO t (k, col) SELECT 901, v::color FROM e WHERE v = 'r';
INSERT INTO t (k, vc) VALUES (902, 'longer than ten');
UPDATE t SET dom = dom - 5 WHERE dom IS NOT NULL;
-- settings of the session
SET TimeZone = 'Asia/Kathmandu';
SELECT k, tstz, tstz::text, tstz::date, tz FROM t WHERE k < 20;
SELECT tstz::text, count(*) FROM t GROUP BY 1;
SET DateStyle = 'German, DMY';
SET IntervalStyle = 'sql_standard';
SELECT d::text, ts::text, iv::text FROM t WHERE k = 12;
SELECT k FROM t WHERE d = '01.01.4713 BC';
INSERT INTO t (k, d) VALUES (950, '03.04.2024') RETURNING d::text;
SET extra_float_digits = -10;
SELECT f8::text, f4::text, sum(f8) OVER () FROM t WHERE k = 4;
SELECT f8::text FROM t WHERE k IN (4, 5);
SET bytea_output = 'escape';
SELECT b::text FROM t WHERE k IN (1, 3);
SET default_text_search_config = 'english';
SELECT to_tsvector(s) @@ to_tsquery('longs'), to_tsvector('the cats') FROM t WHERE k = 1;
SELECT count(*) FROM t WHERE to_tsvector(coalesce(s, 'cats')) @@ to_tsquery('cat');
SET lc_monetary = 'C';
SELECT m::text FROM t WHERE k > 50 AND k < 60;
SET xmloption = 'document';
INSERT INTO t (k, x) VALUES (970, 'not a document');
SET array_nulls = off;
INSERT INTO t (k, ta) VALUES (960, '{NULL}') RETURNING ta;
SELECT count(*) FROM t WHERE ta = '{NULL}';
INSERT INTO t (k, ta) VALUES (961, ARRAY['a', NULL, 'NULL']);
SELECT k, ta[1] IS NULL, ta[2] IS NULL, ta[3] IS NULL FROM t WHERE k IN (960, 961);
SELECT k, ia, ta, col, dp FROM t WHERE k BETWEEN 20 AND 90 OR k > 950;
SELECT count(*) FROM t WHERE k NOT IN (17, 21, NULL::int);
INSERT INTO t (k, ta, ia) SELECT k + 10, ta, ARRAY[k, NULL] FROM t WHERE k IN (960, 961);
INSERT INTO loc (k, j) SELECT k, to_jsonb(ta) FROM t WHERE k IN (960, 961, 970, 971);
COPY t (k, ta) FROM PROGRAM 'printf "980\t{NULL,a}\n981\t{NULL}\n"';
SET array_nulls = on;
SELECT k, ta, ta[1] IS NULL, ta[2] IS NULL FROM t WHERE k >= 960;
SELECT k, j FROM loc WHERE k >= 960;
-- Settings that go out with a statement which is stopped before its end: they must be sent again.
SET DateStyle = 'SQL, DMY';
SELECT 1 WHERE EXISTS (SELECT FROM long, generate_series(1, 2) g WHERE pad || g <> 'y');
SELECT d, count(*) FROM long WHERE d::text = '31/03/2024' GROUP BY d;
BEGIN;
SET TimeZone = 'Asia/Kolkata';
SELECT 1 WHERE EXISTS (SELECT FROM long, generate_series(1, 2) g WHERE pad || g <> 'y');
SELECT d, count(*) FROM long WHERE d::timestamptz::text = '31/03/2024 00:00:00 IST' GROUP BY d;
SAVEPOINT s;
SET DateStyle = 'ISO, MDY';
SELECT 1 WHERE EXISTS (SELECT FROM long, generate_series(1, 2) g WHERE pad || g <> 'y');
ROLLBACK TO s;
SELECT d, count(*) FROM long WHERE d::timestamptz::text = '31/03/2024 00:00:00 IST' GROUP BY d;
COMMIT;
SELECT d, count(*) FROM long WHERE d::timestamptz::text = '31/03/2024 00:00:00 IST' GROUP BY d;
RESET DateStyle;
RESET TimeZone;
