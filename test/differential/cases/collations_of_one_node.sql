-- Collations that the statement's node has and the others have not: what needs them is done here.
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN folded AS text COLLATE ci;
CREATE TABLE t (id int PRIMARY KEY, n text, c text COLLATE "C", x text COLLATE ci, v varchar(20) COLLATE "POSIX", f folded, a text[] COLLATE "C");
CREATE TABLE kx (k text COLLATE ci PRIMARY KEY, v int, o text);
CREATE TABLE kx2 (k text COLLATE ci, w int);
CREATE TABLE kc (k text COLLATE "C", v int);
CREATE TABLE kn (k text, v int);
CREATE TABLE kf (k folded, v int);
CREATE TABLE r (n text COLLATE ci, c text COLLATE "C");
CREATE TABLE loc (n text COLLATE ci, c text COLLATE "C");
CREATE TABLE pa (id int, c text COLLATE "C") PARTITION BY LIST (c);
CREATE TABLE pa_a PARTITION OF pa FOR VALUES IN ('a', 'A');
CREATE TABLE pa_b PARTITION OF pa DEFAULT;
--* SELECT create_distributed_table('t', 'id');
--* SELECT create_distributed_table('kx', 'k');
--* SELECT create_distributed_table('kx2', 'k', colocate_with => 'kx');
--* SELECT create_distributed_table('kc', 'k');
--* SELECT create_distributed_table('kn', 'k');
--* SELECT create_distributed_table('kf', 'k');
--* SELECT create_distributed_table('pa', 'id');
--* SELECT create_reference_table('r');
INSERT INTO t SELECT i, s, s, s, s, s, ARRAY[s, upper(s)] FROM unnest('{abc,ABC,a10,a9,B1,Zz,ähm,Ähm,NULL,"",ab c,_x,aBd,zz}'::text[]) WITH ORDINALITY u(s, i);
INSERT INTO kx SELECT s, i, s FROM unnest('{abc,Zz,b1,ähm,"",B2,a10}'::text[]) WITH ORDINALITY u(s, i);
INSERT INTO kx2 SELECT s, i FROM unnest('{ABC,abc,zz,B1,b1,Ähm,"",b3}'::text[]) WITH ORDINALITY u(s, i);
INSERT INTO kc SELECT s, i FROM unnest('{ABC,abc,zz,B1,b1,Ähm,"",b3}'::text[]) WITH ORDINALITY u(s, i);
INSERT INTO kn SELECT s, i FROM unnest('{ABC,aBC,zz,B1,b1,Ähm,"",b3}'::text[]) WITH ORDINALITY u(s, i);
INSERT INTO kf SELECT s, i FROM unnest('{ABC,abc,zz,B1,b1,Ähm,"",b3}'::text[]) WITH ORDINALITY u(s, i);
INSERT INTO r SELECT x, c FROM t WHERE id < 8;
INSERT INTO loc SELECT x, c FROM t WHERE id < 8;
INSERT INTO pa VALUES (1, 'a'), (2, 'A'), (3, 'b'), (4, 'B');
--* SET citus.enable_metadata_sync = off
CREATE COLLATION late (provider = icu, locale = 'en-u-kn-true');
CREATE COLLATION late_ci (provider = icu, locale = 'en-u-ks-level1', deterministic = false);
--* RESET citus.enable_metadata_sync
--coordinator
SELECT n FROM t ORDER BY n COLLATE late, id;
SELECT c FROM t ORDER BY c COLLATE late, id LIMIT 3;
SELECT n COLLATE late FROM t ORDER BY 1 LIMIT 4;
SELECT min(n COLLATE late), max(n COLLATE late) FROM t;
SELECT string_agg(n COLLATE late, ',' ORDER BY n COLLATE late) FROM t GROUP BY id / 100;
SELECT array_agg(n ORDER BY n COLLATE late) FROM t;
SELECT n COLLATE late FROM t UNION SELECT c COLLATE late FROM t ORDER BY 1;
SELECT a.n FROM t a JOIN t b USING (id) ORDER BY a.n COLLATE "C", b.n COLLATE late;
SELECT string_agg(n, ' ') FROM (SELECT n FROM t ORDER BY n COLLATE late, id) q;
SELECT string_agg(c, ' ') FROM (SELECT c FROM t ORDER BY c COLLATE late, id LIMIT 3) q;
SELECT string_agg(k, ' ') FROM (SELECT n COLLATE late AS k FROM t GROUP BY 1 ORDER BY 1) q;
SELECT id FROM t WHERE n COLLATE late_ci = 'AHM';
SELECT id FROM t WHERE id = 7 AND n COLLATE late_ci = 'AHM';
SELECT id FROM t WHERE id = 7 AND n = 'AHM' COLLATE late_ci;
SELECT id, n COLLATE late FROM t WHERE id = 7 ORDER BY 2;
SELECT k, v FROM kn WHERE k = 'aHM' COLLATE late_ci;
SELECT k, v FROM kn WHERE k = 'b3' AND k > 'b21' COLLATE late;
SELECT min(n COLLATE "C"), count(*) FROM r GROUP BY n COLLATE late_ci HAVING max(c COLLATE late) > 'a';
SELECT loc.c, t.id FROM loc JOIN t ON loc.n = t.x COLLATE late_ci;
SELECT count(*) FROM t a JOIN t b ON a.id = b.id AND a.n COLLATE late_ci = b.c;
PREPARE late (text) AS SELECT id FROM t WHERE n COLLATE late_ci = $1;
--again 7
EXECUTE late ('AHM');
UPDATE t SET n = 'late' WHERE n COLLATE late_ci = 'AHM' RETURNING id;
UPDATE t SET n = greatest(n COLLATE late, 'a09') WHERE id = 3 RETURNING n;
UPDATE t SET n = 'again' WHERE id = 4 AND n COLLATE late < 'a10' RETURNING n;
UPDATE r SET c = 'late' WHERE c COLLATE late_ci = 'ABC' RETURNING c;
DELETE FROM t WHERE n COLLATE late_ci = 'ZZ' OR id = 5 RETURNING id COLLATE "C", n;
DELETE FROM t WHERE n COLLATE late_ci = 'A10' OR id = 5 RETURNING id, n COLLATE late;
INSERT INTO t (id, n) VALUES (101, greatest('a9', 'a10' COLLATE late)) RETURNING n COLLATE late > 'a9';
INSERT INTO t (id, n) SELECT id + 200, n FROM t WHERE n COLLATE late_ci > 'a';
--0A000
INSERT INTO kx VALUES ('aBc', 1) ON CONFLICT (k) DO UPDATE SET o = 'c' WHERE kx.o COLLATE late_ci = 'Ä' RETURNING *;
--0A000
INSERT INTO kx VALUES ('aBc', 1) ON CONFLICT (k) DO UPDATE SET o = 'c' WHERE kx.o COLLATE late_ci <> 'Ä' RETURNING *;
MERGE INTO t USING kx ON t.id = kx.v AND t.n COLLATE late_ci = kx.o WHEN MATCHED THEN UPDATE SET c = 'merged';
WITH w AS (UPDATE t SET n = 'w' WHERE id = 6 AND n COLLATE late_ci = 'w' RETURNING id) SELECT * FROM w;
SELECT * FROM t;
SELECT * FROM r;
SELECT * FROM kx;
