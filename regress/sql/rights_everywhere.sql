-- A role without rights gets 42501 from every kind of statement on every kind of table, wherever it asks; one with just enough gets through.
\set SHOW_CONTEXT never
SELECT min(nodeport) AS worker FROM pg_dist_node WHERE groupid > 0 \gset
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
SET client_min_messages = warning;
SET citus.next_shard_id = 7790000;
SET citus.shard_count = 4;
CREATE SCHEMA rights_everywhere;
SET search_path = rights_everywhere;
CREATE ROLE rights_clerk LOGIN;
CREATE ROLE rights_owner LOGIN;
GRANT USAGE, CREATE ON SCHEMA rights_everywhere TO rights_clerk, rights_owner;
CREATE TABLE hash_t (k int PRIMARY KEY, v int);
CREATE TABLE other_hash (k text, v int);
CREATE TABLE parts (k int, v int, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE ref (k int PRIMARY KEY, v int);
CREATE TABLE single (k int PRIMARY KEY, v int);
CREATE TABLE local_t (k int PRIMARY KEY, v int);
CREATE TABLE mine (k int PRIMARY KEY, v int);
CREATE TABLE plain (k int PRIMARY KEY, v int);
SELECT create_distributed_table('hash_t', 'k');
SELECT create_distributed_table('parts', 'k', colocate_with => 'hash_t');
SELECT create_distributed_table('mine', 'k', colocate_with => 'hash_t');
SELECT create_distributed_table('other_hash', 'k');
SELECT create_distributed_table('single', NULL, colocate_with => 'none');
SELECT create_reference_table('ref');
SELECT citus_add_local_table_to_metadata('local_t');
INSERT INTO hash_t SELECT i, i FROM generate_series(1, 4) i;
INSERT INTO parts SELECT * FROM hash_t;
INSERT INTO ref SELECT * FROM hash_t;
INSERT INTO single SELECT * FROM hash_t;
INSERT INTO local_t SELECT * FROM hash_t;
INSERT INTO mine SELECT * FROM hash_t;
INSERT INTO plain SELECT * FROM hash_t;
ALTER TABLE hash_t OWNER TO rights_owner;
CREATE VIEW view_t AS SELECT * FROM hash_t;
CREATE VIEW invoker_t WITH (security_invoker) AS SELECT * FROM hash_t;
CREATE VIEW owners_t AS SELECT * FROM ref;
ALTER VIEW owners_t OWNER TO rights_owner;
GRANT ALL ON mine TO rights_clerk;
GRANT ALL ON invoker_t, owners_t TO rights_clerk;
-- Runs statements on each of the tables; those that are not refused for want of rights.
CREATE FUNCTION not_denied(targets text[], statements text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	target text;
	statement text;
	found text[] := '{}';
BEGIN
	FOREACH target IN ARRAY targets LOOP
		FOREACH statement IN ARRAY statements LOOP
			BEGIN
				EXECUTE replace(statement, 'TABLE_', target);
				found := found || ('done: ' || replace(statement, 'TABLE_', target));
				RAISE EXCEPTION SQLSTATE 'UUUUU';
			EXCEPTION WHEN insufficient_privilege OR SQLSTATE 'UUUUU' THEN
				NULL;
			WHEN OTHERS THEN
				found := found || (sqlstate || ' ' || sqlerrm || ': ' || replace(statement, 'TABLE_', target));
			END;
		END LOOP;
	END LOOP;
	RETURN found;
END $$;
CREATE FUNCTION read_statements() RETURNS text[] LANGUAGE sql AS $$
SELECT ARRAY[
	'SELECT * FROM TABLE_',
	'SELECT 1 FROM TABLE_',
	'SELECT count(*) FROM TABLE_',
	'SELECT v FROM TABLE_ WHERE k = 1',
	'SELECT x FROM TABLE_ x WHERE k = 1',
	'SELECT FROM TABLE_ LIMIT 1',
	'SELECT v, sum(k) OVER (ORDER BY v) FROM TABLE_ GROUP BY v, k',
	'SELECT * FROM mine JOIN TABLE_ USING (k)',
	'SELECT * FROM mine LEFT JOIN TABLE_ x ON x.v = mine.v',
	'SELECT * FROM mine WHERE k IN (SELECT v FROM TABLE_)',
	'SELECT * FROM mine WHERE EXISTS (SELECT FROM TABLE_ x WHERE x.k = mine.k)',
	'SELECT k, (SELECT max(v) FROM TABLE_) FROM mine WHERE k = 1',
	'SELECT k FROM mine UNION ALL SELECT k FROM TABLE_',
	'WITH x AS MATERIALIZED (SELECT * FROM TABLE_) SELECT count(*) FROM x',
	'WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < (SELECT max(k) FROM TABLE_)) SELECT count(*) FROM x',
	'SELECT * FROM mine, LATERAL (SELECT v FROM TABLE_ x WHERE x.k > mine.k LIMIT 1) y',
	'CREATE TABLE copied AS SELECT * FROM TABLE_',
	'INSERT INTO mine SELECT k + 100, v FROM TABLE_',
	'INSERT INTO mine SELECT v + 100, k FROM TABLE_ ORDER BY v LIMIT 2',
	'INSERT INTO mine VALUES (900, (SELECT max(v) FROM TABLE_))',
	'UPDATE mine SET v = (SELECT max(v) FROM TABLE_)',
	'UPDATE mine SET v = x.v FROM TABLE_ x WHERE x.k = mine.k',
	'UPDATE mine SET v = x.v FROM TABLE_ x WHERE x.v = mine.v',
	'DELETE FROM mine USING TABLE_ x WHERE x.k = mine.k AND x.k = 1',
	'DELETE FROM mine WHERE v IN (SELECT k FROM TABLE_)',
	'MERGE INTO mine USING TABLE_ x ON mine.k = x.k WHEN MATCHED THEN UPDATE SET v = x.v WHEN NOT MATCHED THEN INSERT VALUES (x.k, x.v)',
	'MERGE INTO mine USING TABLE_ x ON mine.k = x.v WHEN MATCHED THEN DELETE',
	'EXPLAIN SELECT * FROM TABLE_',
	'EXPLAIN ANALYZE SELECT v FROM TABLE_ WHERE k = 1'] $$;
CREATE FUNCTION write_statements() RETURNS text[] LANGUAGE sql AS $$
SELECT ARRAY[
	'SELECT k FROM TABLE_ WHERE k = 1 FOR UPDATE',
	'SELECT k FROM TABLE_ FOR SHARE',
	'INSERT INTO TABLE_ VALUES (500, 1)',
	'INSERT INTO TABLE_ VALUES (500, 1), (501, 1)',
	'INSERT INTO TABLE_ (k) VALUES (500) RETURNING k',
	'INSERT INTO TABLE_ SELECT k + 500, v FROM mine',
	'INSERT INTO TABLE_ SELECT k, v FROM mine WHERE k = 1',
	'INSERT INTO TABLE_ SELECT v + 500, k FROM mine ORDER BY v',
	'INSERT INTO TABLE_ SELECT i + 500, i FROM generate_series(1, 2) i',
	'UPDATE TABLE_ SET v = 1',
	'UPDATE TABLE_ SET v = 1 WHERE k = 1',
	'UPDATE TABLE_ SET v = v + 1 WHERE k = 1 RETURNING v',
	'UPDATE TABLE_ x SET v = mine.v FROM mine WHERE x.k = mine.k',
	'UPDATE TABLE_ x SET v = mine.v FROM mine WHERE x.v = mine.v',
	'UPDATE TABLE_ SET k = k + 500 WHERE k = 1',
	'DELETE FROM TABLE_',
	'DELETE FROM TABLE_ WHERE k = 1',
	'DELETE FROM TABLE_ x USING mine WHERE x.v = mine.v',
	'WITH x AS (DELETE FROM TABLE_ RETURNING k) SELECT count(*) FROM x',
	'WITH x AS (UPDATE TABLE_ SET v = 2 WHERE k = 1 RETURNING k) SELECT * FROM x',
	'WITH x AS (INSERT INTO TABLE_ VALUES (500, 1) RETURNING k) INSERT INTO mine SELECT k, k FROM x',
	'EXPLAIN UPDATE TABLE_ SET v = 1',
	'EXPLAIN ANALYZE DELETE FROM TABLE_ WHERE k = 1'] $$;
CREATE FUNCTION table_statements() RETURNS text[] LANGUAGE sql AS $$
SELECT ARRAY[
	'INSERT INTO TABLE_ VALUES (1, 1) ON CONFLICT (k) DO NOTHING',
	'INSERT INTO TABLE_ VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = excluded.v',
	'INSERT INTO TABLE_ SELECT * FROM mine ON CONFLICT (k) DO UPDATE SET v = excluded.v + 1',
	'MERGE INTO TABLE_ x USING mine ON mine.k = x.k WHEN MATCHED THEN UPDATE SET v = mine.v',
	'MERGE INTO TABLE_ x USING mine ON mine.k = x.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (mine.k, mine.v)',
	'MERGE INTO TABLE_ x USING mine ON mine.v = x.v WHEN MATCHED THEN UPDATE SET v = 5',
	'MERGE INTO TABLE_ x USING (VALUES (700)) y (k) ON y.k = x.k WHEN NOT MATCHED THEN INSERT VALUES (y.k, 1)',
	'TRUNCATE TABLE_',
	'LOCK TABLE TABLE_ IN EXCLUSIVE MODE',
	'LOCK TABLE TABLE_ IN ACCESS SHARE MODE',
	'CREATE INDEX ON TABLE_ (v)',
	'ALTER TABLE TABLE_ ADD COLUMN w int',
	'DROP TABLE TABLE_',
	'COMMENT ON TABLE TABLE_ IS ''x'''] $$;
-- Defaults bring the functions to every node.
CREATE TABLE everywhere (k int, a text[] DEFAULT not_denied('{}', read_statements() || write_statements() || table_statements()));
SELECT create_distributed_table('everywhere', 'k');
\set tables '''{hash_t,parts,ref,single,local_t}'''
\set views '''{view_t,invoker_t,owners_t}'''
SET ROLE rights_clerk;
SELECT unnest(not_denied(:tables, read_statements()));
SELECT unnest(not_denied(:tables, write_statements()));
SELECT unnest(not_denied(:tables, table_statements()));
SELECT unnest(not_denied(:views, read_statements()));
SELECT unnest(not_denied(:views, write_statements()));
-- what a function cannot run
\set VERBOSITY sqlstate
SELECT format(statement, target) FROM unnest(:tables::text[] || :views::text[]) target, unnest(ARRAY['COPY %s TO STDOUT', 'COPY (SELECT * FROM %s) TO STDOUT', 'COPY (SELECT v FROM %s WHERE k = 1) TO STDOUT',
	'PREPARE p AS SELECT * FROM %s WHERE k = 1', 'EXECUTE p', 'DEALLOCATE p', 'PREPARE p AS UPDATE %s SET v = 1', 'EXECUTE p', 'DEALLOCATE p',
	'BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM %s ORDER BY v', 'ROLLBACK', 'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM %s WHERE k = 1', 'ROLLBACK']) WITH ORDINALITY statements (statement, n)
	WHERE target NOT IN ('view_t', 'invoker_t', 'owners_t') OR statement NOT LIKE 'COPY \%s%' ORDER BY target, n \gexec
\copy hash_t FROM '/dev/null'
\copy hash_t (k) FROM '/dev/null'
\copy parts FROM '/dev/null'
\copy ref FROM '/dev/null'
\copy single FROM '/dev/null'
\copy local_t FROM '/dev/null'
\set VERBOSITY default
\c - - - :worker
SET client_min_messages = warning;
SET search_path = rights_everywhere;
SET ROLE rights_clerk;
SELECT unnest(not_denied('{hash_t,parts,ref,single}', read_statements()));
SELECT unnest(not_denied('{hash_t,parts,ref,single}', write_statements()));
SELECT unnest(not_denied('{hash_t,parts,ref,single}', array_remove(array_remove(array_remove(array_remove(table_statements(), 'CREATE INDEX ON TABLE_ (v)'), 'ALTER TABLE TABLE_ ADD COLUMN w int'), 'COMMENT ON TABLE TABLE_ IS ''x'''), 'TRUNCATE TABLE_')));
\set VERBOSITY sqlstate
COPY hash_t TO STDOUT;
COPY (SELECT * FROM ref) TO STDOUT;
\copy parts FROM '/dev/null'
PREPARE p AS SELECT * FROM hash_t WHERE k = 1;
EXECUTE p;
PREPARE q AS SELECT count(*) FROM parts;
EXECUTE q;
-- a plan that was made by who may is not for who may not
RESET ROLE;
EXECUTE p;
EXECUTE q;
SET ROLE rights_clerk;
EXECUTE p;
EXECUTE q;
\c - - - :coordinator
SET client_min_messages = warning;
SET search_path = rights_everywhere;
\set VERBOSITY sqlstate
-- a little is not enough for the rest
GRANT SELECT (k), INSERT, UPDATE (v) ON hash_t, ref, parts, plain TO rights_clerk;
SET ROLE rights_clerk;
SELECT unnest(not_denied('{plain,hash_t,ref,parts}', ARRAY[
	'SELECT v FROM TABLE_',
	'SELECT v FROM TABLE_ WHERE k = 1',
	'SELECT x FROM TABLE_ x',
	'SELECT k FROM TABLE_ WHERE v = 1',
	'SELECT k FROM TABLE_ ORDER BY v',
	'SELECT count(v) FROM TABLE_',
	'SELECT * FROM TABLE_ NATURAL JOIN mine',
	'INSERT INTO TABLE_ VALUES (600, 1) RETURNING v',
	'INSERT INTO TABLE_ VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = TABLE_.v + 1',
	'INSERT INTO TABLE_ SELECT 500 + k, v FROM TABLE_',
	'UPDATE TABLE_ SET k = 5',
	'UPDATE TABLE_ SET v = v + 1 WHERE k = 1',
	'UPDATE TABLE_ SET v = 1 WHERE v = 1',
	'UPDATE TABLE_ SET v = 1 RETURNING v',
	'UPDATE TABLE_ x SET v = 1 FROM mine WHERE mine.k = x.v',
	'DELETE FROM TABLE_ WHERE k = 1',
	'MERGE INTO TABLE_ x USING mine ON mine.k = x.v WHEN MATCHED THEN UPDATE SET v = 1',
	'MERGE INTO TABLE_ x USING mine ON mine.k = x.k WHEN MATCHED THEN UPDATE SET v = x.v + 1',
	'MERGE INTO TABLE_ x USING mine ON mine.k = x.k WHEN MATCHED THEN DELETE',
	'MERGE INTO mine USING TABLE_ x ON mine.k = x.k WHEN MATCHED THEN UPDATE SET v = x.v',
	'TRUNCATE TABLE_']));
-- but for these it is
SELECT unnest(not_denied('{hash_t,ref,parts}', ARRAY[
	'SELECT k FROM TABLE_ ORDER BY k',
	'SELECT count(*) FROM TABLE_',
	'SELECT k FROM TABLE_ JOIN mine USING (k) WHERE k = 1',
	'INSERT INTO TABLE_ VALUES (600, 1) RETURNING k',
	'INSERT INTO TABLE_ SELECT k + 600, v FROM mine',
	'INSERT INTO TABLE_ VALUES (1, 1) ON CONFLICT (k) DO NOTHING',
	'INSERT INTO TABLE_ VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = excluded.v',
	'UPDATE TABLE_ SET v = 1',
	'UPDATE TABLE_ SET v = k + 1 WHERE k = 1 RETURNING k',
	'UPDATE TABLE_ x SET v = mine.v FROM mine WHERE mine.k = x.k',
	'MERGE INTO TABLE_ x USING mine ON mine.k = x.k WHEN MATCHED THEN UPDATE SET v = mine.v WHEN NOT MATCHED THEN INSERT VALUES (mine.k, mine.v)',
	'MERGE INTO mine USING TABLE_ x ON mine.k = x.k WHEN MATCHED THEN DELETE']));
RESET ROLE;
-- through a view it is the owner's rights that count, and the view's
GRANT SELECT ON view_t TO rights_clerk;
SET ROLE rights_clerk;
SELECT unnest(not_denied('{view_t}', ARRAY['SELECT * FROM TABLE_', 'SELECT v FROM TABLE_ WHERE k = 1', 'INSERT INTO mine SELECT k + 600, v FROM TABLE_']));
SELECT unnest(not_denied('{view_t}', write_statements()));
SELECT unnest(not_denied('{owners_t}', read_statements()));
RESET ROLE;
DROP SCHEMA rights_everywhere CASCADE;
DROP ROLE rights_clerk, rights_owner;
