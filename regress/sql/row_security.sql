-- Row-level security: policies of a table hold on its shards, for whoever asks.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE SCHEMA row_security;
SET search_path = row_security;
CREATE ROLE rs_a LOGIN;
CREATE ROLE rs_b LOGIN;
CREATE ROLE rs_owner LOGIN;
GRANT ALL ON SCHEMA row_security TO rs_a, rs_b, rs_owner;
CREATE TABLE m (tid int, id int, who name DEFAULT current_user);
CREATE TABLE f (tid int);
CREATE TABLE r (t int, who text);
INSERT INTO m SELECT i % 4, i, CASE WHEN i % 2 = 0 THEN 'rs_a' ELSE 'rs_b' END FROM generate_series(1, 20) i;
-- there before the table was distributed
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON m USING (who = current_user) WITH CHECK (who = current_user AND id < 100);
SELECT create_distributed_table('m', 'tid'), create_distributed_table('f', 'tid'), create_reference_table('r');
INSERT INTO f VALUES (1), (2);
INSERT INTO r VALUES (1, 'rs_a'), (2, 'rs_b');
GRANT SELECT, INSERT, UPDATE, DELETE ON m, f, r TO rs_a, rs_b;
CREATE VIEW v AS SELECT * FROM m;
CREATE VIEW vi WITH (security_invoker) AS SELECT * FROM m;
GRANT SELECT, INSERT, UPDATE, DELETE ON v, vi TO rs_a;

-- 1. reading
CREATE FUNCTION leaky(int) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN IF $1 % 2 = 1 THEN RAISE WARNING 'saw %', $1; END IF; RETURN true; END $$;
SELECT count(*) FROM m;
SET ROLE rs_a;
SELECT count(*), min(id), max(id) FROM m;
SELECT count(*) FROM m WHERE tid = 2;
SELECT count(*) FROM m WHERE leaky(id);
SELECT count(*), sum(f.tid) FROM m JOIN f USING (tid);
SELECT count(*) FROM m a JOIN m b ON a.id = b.id;
SELECT (SELECT count(*) FROM v) AS owner_sees, (SELECT count(*) FROM vi) AS invoker_sees;
SELECT count(*) FROM v WHERE tid = 1;
SELECT count(*) FROM vi WHERE tid = 1;
COPY (SELECT id FROM m WHERE id < 5 ORDER BY id) TO STDOUT;
PREPARE counted AS SELECT count(*) FROM m WHERE id > 0;
PREPARE at_tenant(int) AS SELECT count(*) FROM m WHERE tid = $1;
EXECUTE counted;
EXECUTE at_tenant(1);
SET ROLE rs_b;
EXECUTE counted;
EXECUTE at_tenant(1);
RESET ROLE;
EXECUTE counted;
EXECUTE at_tenant(1);
SET ROLE rs_a;
EXECUTE counted;
SET row_security = off;
SELECT count(*) FROM m;
RESET row_security;

-- 2. writing
INSERT INTO m (tid, id) VALUES (1, 50) RETURNING *;
INSERT INTO m (tid, id, who) VALUES (1, 51, 'rs_b');
INSERT INTO m (tid, id) VALUES (1, 500);
INSERT INTO m (tid, id) VALUES (1, 52), (2, 53), (3, 54);
INSERT INTO m (tid, id) SELECT tid, 60 FROM f;
INSERT INTO m (tid, id) SELECT 5, id FROM generate_series(70, 71) id;
INSERT INTO m (tid, id) SELECT 5, id FROM generate_series(99, 100) id;
INSERT INTO m (tid, id, who) SELECT tid, id + 20, who FROM m WHERE id < 4 RETURNING *;
INSERT INTO vi (tid, id) VALUES (1, 500);
UPDATE m SET id = id + 1 WHERE tid = 1;
UPDATE m SET id = 55 WHERE id < 100;
UPDATE m SET id = 1000 WHERE tid = 1;
UPDATE m SET who = 'rs_b' WHERE tid = 2;
UPDATE m SET id = 56 FROM f WHERE f.tid = m.tid;
DELETE FROM m WHERE tid = 1;
MERGE INTO m USING f ON m.tid = f.tid WHEN MATCHED THEN UPDATE SET id = 7 WHEN NOT MATCHED THEN INSERT (tid, id) VALUES (f.tid, 8);
SELECT DISTINCT tid, id, who FROM m WHERE tid IN (1, 2) ORDER BY 1, 2;
\copy m (tid, id) FROM '/dev/null'
DELETE FROM m;
SELECT count(*) FROM m;
RESET ROLE;
SELECT count(*), count(DISTINCT who) FROM m;
SET ROLE rs_b;
SELECT count(*) FROM m;
RESET ROLE;

-- 3. conditions on other tables, and on settings
CREATE POLICY listed ON f FOR SELECT USING (EXISTS (SELECT FROM r WHERE r.t = f.tid AND r.who = current_user));
ALTER TABLE f ENABLE ROW LEVEL SECURITY;
SET ROLE rs_a;
SELECT * FROM f;
SET ROLE rs_b;
SELECT * FROM f;
RESET ROLE;
ALTER POLICY listed ON f USING (tid = current_setting('row_security_test.tid', true)::int);
SET ROLE rs_a;
SET row_security_test.tid = 2;
SELECT * FROM f;
BEGIN;
SET LOCAL row_security_test.tid = 1;
SELECT * FROM f;
COMMIT;
SELECT * FROM f;
RESET ROLE;

-- 4. policies come and go
ALTER POLICY listed ON f RENAME TO set_one;
CREATE POLICY narrower ON f AS RESTRICTIVE FOR SELECT TO rs_a USING (tid > 1);
COMMENT ON POLICY narrower ON f IS 'less';
SET ROLE rs_a;
SET row_security_test.tid = 1;
SELECT * FROM f;
SET row_security_test.tid = 2;
SELECT * FROM f;
RESET ROLE;
DROP POLICY narrower ON f;
DROP POLICY set_one ON f;
SET ROLE rs_a;
SELECT count(*) FROM f;
RESET ROLE;
ALTER TABLE f DISABLE ROW LEVEL SECURITY;
SET ROLE rs_a;
SELECT count(*) FROM f;
RESET ROLE;

-- 5. rights on columns; the owner
CREATE TABLE c (k int, a int, b int);
SELECT create_distributed_table('c', 'k');
INSERT INTO c VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO f VALUES (1), (2);
GRANT SELECT (k, a), UPDATE (a) ON c TO rs_a;
ALTER TABLE c ENABLE ROW LEVEL SECURITY;
CREATE POLICY first ON c USING (k = 1);
SET ROLE rs_a;
SELECT k, a FROM c;
UPDATE c SET a = 9 RETURNING k, a;
UPDATE c SET a = 10 WHERE a = (SELECT max(a) FROM c);
UPDATE c SET b = 10;
RESET ROLE;
SELECT * FROM c ORDER BY k;
ALTER TABLE c OWNER TO rs_owner;
SET ROLE rs_owner;
SELECT count(*) FROM c;
ALTER TABLE c FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM c;
INSERT INTO c VALUES (3, 3, 3);
RESET ROLE;
SELECT nodename AS host, nodeport AS port, shardid AS moved FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) WHERE logicalrelid = 'c'::regclass ORDER BY shardid LIMIT 1 \gset
SELECT nodename AS other_host, nodeport AS other_port FROM pg_dist_node WHERE groupid > 0 AND nodeport <> :port ORDER BY groupid LIMIT 1 \gset
SELECT citus_move_shard_placement(:moved, :'host', :port, :'other_host', :other_port, 'block_writes');
SELECT citus_move_shard_placement(:moved, :'other_host', :other_port, :'host', :port, 'force_logical');
SELECT count(*) FROM c;
SELECT DISTINCT result FROM run_command_on_shards('c', $$SELECT concat_ws(' ', relrowsecurity, relforcerowsecurity, (SELECT string_agg(polname || ': ' || pg_get_expr(polqual, polrelid), ' ') FROM pg_policy WHERE polrelid = c.oid)) FROM pg_class c WHERE oid = '%s'::regclass$$);
SET ROLE rs_owner;
SELECT count(*) FROM c;
RESET ROLE;

-- 6. as somebody else, by a view, who the current user is cannot be told
ALTER VIEW v OWNER TO rs_b;
GRANT SELECT ON v TO rs_a;
SET ROLE rs_a;
SELECT count(*) FROM v;
RESET ROLE;
ALTER POLICY mine ON m USING (id > 10) WITH CHECK (true);
SET ROLE rs_a;
SELECT count(*) FROM v;
RESET ROLE;
SELECT undistribute_table('m', cascade_via_foreign_keys => false);
SET ROLE rs_a;
SELECT count(*) FROM m;
RESET ROLE;
DROP SCHEMA row_security CASCADE;
DROP ROLE rs_a, rs_b, rs_owner;
