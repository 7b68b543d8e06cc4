-- Foreign tables beside distributed ones, in every place of a statement. What foreign data wrappers and other extensions hang on
-- the planner's relations is theirs.
SET citus.next_shard_id TO 1940000;
SET citus.shard_count TO 4;
CREATE SCHEMA foreign_tables;
SET search_path TO foreign_tables, public;
CREATE EXTENSION IF NOT EXISTS postgres_fdw SCHEMA public;
CREATE EXTENSION IF NOT EXISTS file_fdw SCHEMA public;

CREATE TABLE far (a int PRIMARY KEY, t text, g int);
INSERT INTO far SELECT i, 'f' || i, i % 3 FROM generate_series(1, 100) i;
CREATE TABLE far_too (a int, u text);
INSERT INTO far_too SELECT i * 2, 'u' || i FROM generate_series(1, 60) i;
CREATE TABLE far_sink (a int, t text);
DO $$
BEGIN
	EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host ''127.0.0.1'', port %L, dbname %L)',
				   current_setting('port'), current_database());
	EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER loopback OPTIONS (user %L)', current_user);
END $$;
CREATE FOREIGN TABLE f (a int, t text, g int) SERVER loopback OPTIONS (schema_name 'foreign_tables', table_name 'far');
CREATE FOREIGN TABLE f2 (a int, u text) SERVER loopback OPTIONS (schema_name 'foreign_tables', table_name 'far_too');
CREATE FOREIGN TABLE sink (a int, t text) SERVER loopback OPTIONS (schema_name 'foreign_tables', table_name 'far_sink');
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE s (a int) SERVER files OPTIONS (program 'seq 5 24');
CREATE FOREIGN TABLE s2 (a int) SERVER files OPTIONS (program 'seq 1 3 30');

CREATE TABLE d (id int PRIMARY KEY, v int, t text);
CREATE TABLE d2 (id int, w int);
CREATE TABLE r (a int PRIMARY KEY, n text);
CREATE TABLE plain (a int, b int);
SELECT create_distributed_table('d', 'id');
SELECT create_distributed_table('d2', 'id');
SELECT create_reference_table('r');
INSERT INTO d SELECT i, i * 10, 't' || i FROM generate_series(1, 10) i;
INSERT INTO d2 SELECT i % 5, i FROM generate_series(1, 20) i;
INSERT INTO r SELECT i, 'n' || i FROM generate_series(1, 5) i;
INSERT INTO plain SELECT i, i % 4 FROM generate_series(1, 12) i;

-- The same statements beside both wrappers, and beside an extension that has data on every plain relation.
LOAD 'neighbour';
CREATE TABLE statements (no serial, q text);
INSERT INTO statements (q) VALUES
('SELECT count(*) FROM d, (SELECT a FROM f LIMIT 10) x'),
('SELECT count(*) FROM f WHERE a < (SELECT count(*) FROM d)'),
('SELECT count(*), sum(v) FROM f JOIN d ON a = id'),
('SELECT count(*), sum(v) FROM f LEFT JOIN d ON a = id'),
('SELECT count(*), count(f.a) FROM d FULL JOIN f ON a = id'),
('SELECT count(*), count(f.a) FROM d RIGHT JOIN f USING (t)'),
('SELECT count(*) FROM d WHERE EXISTS (SELECT FROM f WHERE f.a = d.id AND f.g = 1)'),
('SELECT count(*) FROM d WHERE id NOT IN (SELECT a FROM f WHERE g = 1)'),
('SELECT count(*) FROM f WHERE a IN (SELECT id FROM d WHERE v > 30)'),
('SELECT string_agg(x, '','' ORDER BY x) FROM (SELECT (SELECT t FROM f WHERE f.a = d.id) x FROM d) q'),
('SELECT string_agg(x, '','' ORDER BY x) FROM (SELECT (SELECT d.t FROM d WHERE f.a = d.id) x FROM f) q'),
('WITH c AS (SELECT * FROM f WHERE g = 0) SELECT count(*) FROM c JOIN d ON c.a = d.id'),
('WITH c AS MATERIALIZED (SELECT * FROM f) SELECT count(*) FROM c JOIN d ON c.a = d.id JOIN c c2 ON c2.a = d.v'),
('WITH c AS MATERIALIZED (SELECT id, sum(v) s FROM d GROUP BY id) SELECT count(*), sum(s) FROM c JOIN f ON c.id = f.a'),
('SELECT count(*), sum(w) FROM f JOIN f2 USING (a) JOIN d2 ON d2.id = f.a'),
('SELECT count(*), sum(w) FROM f JOIN f2 USING (a) LEFT JOIN (d JOIN d2 USING (id)) ON d.id = f.a'),
('SELECT sum(n), count(*) FROM (SELECT g, count(*) n FROM f GROUP BY g) x JOIN d ON x.g = d.id'),
('SELECT x.m, y.m FROM (SELECT max(a) m FROM f) x, (SELECT max(id) m FROM d) y'),
('SELECT g, count(*), sum(v) FROM f JOIN d ON a = id GROUP BY g ORDER BY g'),
('SELECT DISTINCT g FROM f JOIN d ON a = id ORDER BY g LIMIT 2'),
('SELECT a FROM f UNION ALL SELECT id FROM d ORDER BY 1 DESC LIMIT 2'),
('SELECT a FROM f INTERSECT SELECT v FROM d ORDER BY 1'),
('SELECT id FROM d EXCEPT SELECT a FROM f WHERE g < 2 ORDER BY 1'),
('SELECT count(*) FROM d CROSS JOIN LATERAL (SELECT t FROM f WHERE f.a < d.id ORDER BY a LIMIT 2) x'),
('SELECT count(*) FROM f CROSS JOIN LATERAL (SELECT id FROM d WHERE f.a = d.id) x'),
('SELECT count(*), sum(rank) FROM (SELECT rank() OVER (PARTITION BY g ORDER BY id) FROM f JOIN d ON a = id) x'),
('SELECT count(*) FROM f JOIN d ON a = id JOIN r USING (a) JOIN plain p USING (a)'),
('SELECT count(*) FROM f JOIN r USING (a)'),
('SELECT count(*) FROM (SELECT * FROM d ORDER BY id LIMIT 5) x JOIN f ON x.id = f.a'),
('SELECT g, GROUPING(g), count(*) FROM f JOIN d ON a = id GROUP BY ROLLUP (g) ORDER BY 1, 2'),
('SELECT count(*) FROM v_mixed'),
('SELECT count(*) FROM v_mixed JOIN f2 USING (a) JOIN d2 USING (id)'),
('SELECT count(*), sum(id) FROM d JOIN spread ON id = k'),
('SELECT count(*), sum(id) FROM d JOIN heirs ON id = k'),
('SELECT count(*) FROM d JOIN spread ON id = k JOIN f ON k = a'),
('SELECT count(*), sum(a) FROM s JOIN d ON a = id'),
('SELECT count(*), sum(a) FROM d LEFT JOIN s ON a = id'),
('SELECT count(*) FROM d WHERE EXISTS (SELECT FROM s WHERE a = id)'),
('SELECT count(*) FROM s WHERE a > (SELECT max(id) FROM d)'),
('SELECT count(*) FROM s JOIN s2 USING (a) JOIN d ON a = id JOIN f USING (a)'),
('SELECT a FROM s UNION SELECT id FROM d ORDER BY 1 LIMIT 3'),
('SELECT count(*) FROM (SELECT a FROM s LIMIT 3) x, d, (SELECT a FROM s2 OFFSET 2) y'),
('SELECT id FROM d JOIN f ON id = a WHERE id = 3 FOR UPDATE OF d'),
('SELECT (SELECT count(*) FROM f), count(*) FROM d WHERE id = 3'),
('SELECT d.id, f.t FROM d, f WHERE d.id = 4 AND f.a = 4');
CREATE VIEW v_mixed AS SELECT d.id, f.a, f.t FROM d JOIN f ON d.id = f.a;
CREATE TABLE spread (k int, x text) PARTITION BY RANGE (k);
CREATE TABLE spread_1 PARTITION OF spread FOR VALUES FROM (0) TO (5);
CREATE FOREIGN TABLE spread_2 PARTITION OF spread FOR VALUES FROM (5) TO (1000) SERVER loopback
	OPTIONS (schema_name 'foreign_tables', table_name 'far_spread');
CREATE TABLE far_spread (k int, x text);
INSERT INTO spread SELECT i, 'x' || i FROM generate_series(2, 8) i;
CREATE TABLE heirs (k int, x text);
INSERT INTO heirs VALUES (1, 'x');
CREATE FOREIGN TABLE heir () INHERITS (heirs) SERVER loopback OPTIONS (schema_name 'foreign_tables', table_name 'far_spread');

-- Every one of them gives what it gives on plain copies of the distributed tables.
CREATE SCHEMA foreign_tables_plain;
CREATE TABLE foreign_tables_plain.d AS SELECT * FROM d;
CREATE TABLE foreign_tables_plain.d2 AS SELECT * FROM d2;
CREATE TABLE foreign_tables_plain.r AS SELECT * FROM r;
CREATE FUNCTION rows_of(q text, path text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('search_path', path, true);
	EXECUTE format('SELECT string_agg(x::text, '' '') FROM (%s) x', q) INTO result;
	RETURN result;
END $$;
CREATE VIEW foreign_tables_plain.v_mixed AS
	SELECT d.id, f.a, f.t FROM foreign_tables_plain.d JOIN f ON d.id = f.a;
SELECT no, foreign_tables.rows_of(q, 'foreign_tables, public') AS distributed,
	   nullif(foreign_tables.rows_of(q, 'foreign_tables_plain, foreign_tables, public'),
			  foreign_tables.rows_of(q, 'foreign_tables, public')) AS other_on_plain
FROM statements ORDER BY no;
-- Plans that survive, plans for each execution, and the genetic search, which makes and drops relations.
SET plan_cache_mode TO force_generic_plan;
PREPARE p(int) AS SELECT count(*), sum(v) FROM f JOIN d ON a = id WHERE a > $1 AND id < (SELECT max(a) FROM f2);
EXECUTE p(3);
EXECUTE p(8);
SET plan_cache_mode TO force_custom_plan;
EXECUTE p(3);
RESET plan_cache_mode;
SET geqo_threshold TO 2;
SET geqo_seed TO 0.4;
SELECT no, foreign_tables.rows_of(q, 'foreign_tables, public') AS distributed,
	   nullif(foreign_tables.rows_of(q, 'foreign_tables_plain, foreign_tables, public'),
			  foreign_tables.rows_of(q, 'foreign_tables, public')) AS other_on_plain
FROM statements WHERE q ~ 'JOIN.*JOIN' ORDER BY no;
SELECT count(*) FROM d a JOIN d b USING (id) JOIN d2 c USING (id) JOIN d e USING (id) JOIN d2 g USING (id)
	JOIN r ON r.a = e.v / 10 JOIN f ON f.a = e.id JOIN f2 ON f2.a = f.a;
RESET geqo_threshold;
RESET geqo_seed;

-- Writes.
INSERT INTO sink SELECT id, t FROM d WHERE v > 70;
WITH i AS (INSERT INTO sink SELECT d.id, f.t FROM d JOIN f ON id = a WHERE id < 3 RETURNING *) SELECT * FROM i ORDER BY a;
INSERT INTO sink SELECT a, n FROM r WHERE a = 1;
SELECT * FROM far_sink ORDER BY 1, 2;
WITH i AS (INSERT INTO d (id, v, t) SELECT a, g, t FROM f WHERE a BETWEEN 20 AND 22 RETURNING id, v, t) SELECT * FROM i ORDER BY id;
INSERT INTO d SELECT a, 0, 'file' FROM s WHERE a > 22 ON CONFLICT (id) DO NOTHING;
INSERT INTO d SELECT a, 1, 'again' FROM s WHERE a > 23 ON CONFLICT (id) DO UPDATE SET v = excluded.v, t = d.t || excluded.t RETURNING *;
INSERT INTO r SELECT a, t FROM f WHERE a = 50;
UPDATE d SET t = f.t FROM f WHERE f.a = d.id AND d.id < 3;
UPDATE d SET v = (SELECT count(*) FROM s) WHERE id = 3;
UPDATE r SET n = f.t FROM f WHERE f.a = r.a AND r.a = 2;
UPDATE sink SET t = d.t FROM d WHERE sink.a = d.id AND d.id = 8;
SELECT * FROM far_sink ORDER BY 1, 2;
UPDATE sink SET t = (SELECT n FROM r WHERE r.a = sink.a) WHERE a IN (SELECT id FROM d WHERE v < 20) RETURNING a, t, (SELECT count(*) FROM d2);
CREATE VIEW sink_checked AS SELECT * FROM sink WHERE a IN (SELECT a FROM r) WITH CHECK OPTION;
UPDATE sink_checked SET a = 40 FROM d WHERE sink_checked.a = d.id AND d.id = 2;
WITH x AS (UPDATE d SET v = v + 1 WHERE id = 10 RETURNING id) UPDATE sink SET t = 'with' FROM x WHERE a = id;
UPDATE spread SET x = 'u' || v FROM d WHERE k = id AND id IN (3, 4, 7, 8);
UPDATE heirs SET x = 'h' || v FROM d WHERE k = id AND id IN (1, 6);
DELETE FROM spread USING d WHERE k = id AND id = 5;
INSERT INTO spread SELECT id + 100, 'late' FROM d WHERE id = 1;
SELECT tableoid::regclass, * FROM spread ORDER BY k;
SELECT tableoid::regclass, * FROM heirs ORDER BY k, tableoid::regclass::text;
UPDATE plain SET b = d.v FROM d JOIN f ON d.id = f.a WHERE plain.a = d.id AND f.g = 1;
WITH x AS (DELETE FROM d USING f WHERE f.a = d.id AND f.g = 2 AND d.id < 9 RETURNING d.id, f.t) SELECT * FROM x ORDER BY id;
DELETE FROM sink USING d WHERE sink.a = d.id AND d.id = 9;
DELETE FROM d WHERE id IN (SELECT a FROM s WHERE a > 21);
MERGE INTO d USING f ON d.id = f.a WHEN MATCHED AND f.g = 0 THEN UPDATE SET v = -f.a WHEN NOT MATCHED AND f.a > 98 THEN INSERT (id, v) VALUES (f.a, 1);
MERGE INTO d USING (SELECT a FROM s WHERE a < 7) x ON d.id = x.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, t) VALUES (a, 'merged');
MERGE INTO plain USING (SELECT id, f.t FROM d JOIN f ON a = id) x ON plain.a = x.id WHEN MATCHED THEN UPDATE SET b = length(x.t);
WITH moved AS (DELETE FROM d WHERE id > 98 RETURNING *) INSERT INTO sink SELECT id, 'moved' FROM moved;
WITH gone AS (DELETE FROM sink WHERE t = 'moved' RETURNING a) SELECT count(*) FROM gone JOIN f USING (a);
SELECT * FROM d ORDER BY id;
SELECT * FROM r ORDER BY a;
SELECT * FROM plain ORDER BY a;
SELECT * FROM far_sink ORDER BY 1, 2;
-- After an error in the middle of planning nothing is left of it.
\set SHOW_CONTEXT never
CREATE FUNCTION bad(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT count(*) / ($1 - 1) FROM f JOIN d ON a = id); END $$;
SELECT count(*) FROM d JOIN f ON a = id WHERE v < bad(1);
SELECT count(*) FROM f JOIN plain USING (a) WHERE g < 2;
SELECT count(*) FROM d JOIN f ON a = id WHERE v < bad(2);
-- One that a function catches, while the statement around it is still being planned.
CREATE FUNCTION caught(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RETURN bad(1);
EXCEPTION WHEN division_by_zero THEN
	RETURN (SELECT count(*) + 1000 FROM plain JOIN f USING (a));
END $$;
SELECT count(*) FROM d JOIN f ON a = id LEFT JOIN d2 USING (id) WHERE v < caught(1);

\c -
SET client_min_messages TO warning;
DROP SCHEMA foreign_tables, foreign_tables_plain CASCADE;
DROP SERVER loopback CASCADE;
DROP SERVER files CASCADE;
DROP EXTENSION postgres_fdw, file_fdw;
