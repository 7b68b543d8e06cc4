-- Triggers: where they fire, what they see, how often.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE SCHEMA triggers;
SET search_path = triggers;
CREATE TABLE t (k int PRIMARY KEY, v int, note text);
CREATE TABLE log (n serial, k int, what text);
SELECT create_distributed_table('t', 'k'), create_reference_table('log');
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	NEW.note := format('%s %s.%s %s %s %s %s', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_RELID::regclass, TG_WHEN, TG_LEVEL, array_to_string(TG_ARGV, ','));
	IF NEW.v = 99 THEN RETURN NULL; END IF;
	RETURN NEW;
END $$;
CREATE FUNCTION log_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO triggers.log (k, what) VALUES (coalesce(NEW.k, OLD.k), format('%s %s %s: %s -> %s', TG_NAME, TG_OP, TG_TABLE_NAME, OLD, NEW));
	RETURN NULL;
END $$;
CREATE FUNCTION log_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO triggers.log (what) VALUES (format('%s %s %s %s', TG_NAME, TG_WHEN, TG_OP, TG_LEVEL));
	RETURN NULL;
END $$;

-- 1. row by row
CREATE TRIGGER noting BEFORE INSERT OR UPDATE OF v ON t FOR EACH ROW EXECUTE FUNCTION note('a', 'b');
CREATE TRIGGER logging AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION log_row();
CREATE TRIGGER rising AFTER UPDATE ON t FOR EACH ROW WHEN (OLD.v IS DISTINCT FROM NEW.v AND NEW.v > 50) EXECUTE FUNCTION log_row();
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO t (k, v) SELECT i, i FROM generate_series(4, 6) i;
INSERT INTO t VALUES (1, 10) ON CONFLICT (k) DO UPDATE SET v = excluded.v;
UPDATE t SET v = 60 WHERE k = 2 RETURNING *;
UPDATE t SET v = 99 WHERE k = 3;
UPDATE t SET note = 'own' WHERE k = 5;
DELETE FROM t WHERE k = 4;
COPY t (k, v) FROM STDIN;
7	7
8	8
\.
MERGE INTO t USING (VALUES (7, 70), (9, 90)) s(k, v) ON t.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v);
SELECT * FROM t ORDER BY k;
SELECT k, what FROM log ORDER BY k, n;
TRUNCATE log;
-- what is rolled back has fired nothing
BEGIN;
SAVEPOINT s;
UPDATE t SET v = v + 1;
ROLLBACK TO s;
INSERT INTO t VALUES (20, 20);
SELECT k, what FROM log;
ROLLBACK;
SELECT count(*) FROM log;
-- a row stays in its shard
CREATE FUNCTION other_key() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.k := NEW.k + 1; RETURN NEW; END';
CREATE TRIGGER other_key BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION other_key();
INSERT INTO t VALUES (30, 1);
DROP TRIGGER other_key ON t;

-- 2. on, off, renamed, gone
ALTER TABLE t DISABLE TRIGGER noting;
UPDATE t SET v = 0, note = 'off' WHERE k = 1 RETURNING note;
ALTER TABLE t ENABLE TRIGGER noting;
UPDATE t SET v = 1, note = 'on' WHERE k = 1 RETURNING note;
ALTER TABLE t DISABLE TRIGGER USER;
UPDATE t SET v = 0, note = 'off' WHERE k = 1 RETURNING note;
ALTER TABLE t ENABLE TRIGGER USER;
ALTER TRIGGER logging ON t RENAME TO logs;
COMMENT ON TRIGGER logs ON t IS 'told';
DROP TRIGGER rising ON t;
SELECT DISTINCT result FROM run_command_on_shards('t', $$SELECT string_agg(tgname || ' ' || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = '%s'::regclass$$);
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT string_agg(tgname || ' ' || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'triggers.t'::regclass$$);
CREATE FUNCTION short_lived() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''short''; RETURN NEW; END';
CREATE TRIGGER short_lived BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION short_lived();
UPDATE t SET v = 2 WHERE k = 1 RETURNING note;
DROP FUNCTION short_lived() CASCADE;
UPDATE t SET v = 3 WHERE k = 1 RETURNING note;
CREATE TRIGGER short_lived BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note('again');
UPDATE t SET v = 4 WHERE k = 1 RETURNING note;
DROP TRIGGER short_lived ON t;
TRUNCATE log;

-- 3. once for the statement
CREATE TRIGGER before_all BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION log_statement();
CREATE TRIGGER after_all AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON t EXECUTE FUNCTION log_statement();
DROP TRIGGER logs ON t;
INSERT INTO t VALUES (40, 1), (41, 1);
INSERT INTO t SELECT i, i FROM generate_series(42, 45) i;
INSERT INTO t VALUES (40, 1) ON CONFLICT (k) DO UPDATE SET v = 7;
UPDATE t SET v = 3 WHERE false;
WITH gone AS (DELETE FROM t WHERE k = 45 RETURNING k) UPDATE t SET v = 0 WHERE k IN (SELECT k - 1 FROM gone);
COPY t (k) FROM STDIN;
50
\.
TRUNCATE t;
SELECT what FROM log ORDER BY n;
DROP TRIGGER before_all ON t;
DROP TRIGGER after_all ON t;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE was text; now text; BEGIN
	IF TG_OP <> 'INSERT' THEN SELECT string_agg(k || ':' || v, ' ' ORDER BY k) INTO was FROM old_rows; END IF;
	IF TG_OP <> 'DELETE' THEN SELECT string_agg(k || ':' || v, ' ' ORDER BY k) INTO now FROM new_rows; END IF;
	RAISE WARNING '% % %: % -> %', TG_NAME, TG_LEVEL, TG_OP, was, now;
	RETURN NULL;
END $$;
CREATE TRIGGER inserted AFTER INSERT ON t REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER updated AFTER UPDATE ON t REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER updated_rows AFTER UPDATE ON t REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER deleted AFTER DELETE ON t REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
UPDATE t SET v = v * 10 WHERE k < 3;
UPDATE t SET v = 0 WHERE false;
DELETE FROM t;

-- 4. what triggers write is the transaction's, wherever it goes
CREATE TABLE far (k int, what text);
SELECT create_distributed_table('far', 'k', colocate_with => 'none');
CREATE FUNCTION to_far() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO triggers.far VALUES (NEW.k + 1000, 'x'), (NEW.k + 1001, 'y'); RETURN NULL; END $$;
DROP TRIGGER inserted ON t;
CREATE TRIGGER to_far AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION to_far();
BEGIN;
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4);
SELECT count(*) FROM far;
ROLLBACK;
SELECT count(*) FROM far;
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4);
SELECT count(*) FROM far;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''row % of %'', NEW.k, TG_TABLE_NAME; END';
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.v < 0) EXECUTE FUNCTION refuse();
BEGIN;
INSERT INTO t VALUES (10, -1);
SELECT count(*) FROM t;
SET CONSTRAINTS refuse IMMEDIATE;
ROLLBACK;
DROP TABLE t;

-- 5. tables with copies of every row, and local ones
CREATE TABLE r (k int PRIMARY KEY, v int);
SELECT create_reference_table('r');
CREATE TRIGGER logging AFTER INSERT OR UPDATE OR DELETE ON r FOR EACH ROW EXECUTE FUNCTION log_row();
TRUNCATE log;
INSERT INTO r VALUES (1, 1), (2, 2);
UPDATE r SET v = 5 WHERE k = 1;
DELETE FROM r;
SELECT what FROM log ORDER BY k, n;
CREATE TRIGGER noting BEFORE INSERT ON r FOR EACH ROW EXECUTE FUNCTION note();
CREATE TABLE l (k int, v int, note text);
CREATE TRIGGER noting BEFORE INSERT ON l FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO l VALUES (1, 1);
SELECT citus_add_local_table_to_metadata('l');
INSERT INTO l VALUES (2, 2);
CREATE TRIGGER logging AFTER INSERT ON l FOR EACH ROW EXECUTE FUNCTION log_row();
TRUNCATE log;
INSERT INTO l VALUES (3, 3);
SELECT * FROM l ORDER BY k;
SELECT what FROM log;

-- 6. there before the table was distributed; columns that were dropped; partitions; moves
CREATE TABLE p (gone int, k int, v int, note text) PARTITION BY RANGE (v);
CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p_high (note text, v int, gone int, k int);
ALTER TABLE p_high DROP COLUMN gone;
ALTER TABLE p DROP COLUMN gone;
ALTER TABLE p ATTACH PARTITION p_high FOR VALUES FROM (10) TO (100);
CREATE TRIGGER noting BEFORE INSERT OR UPDATE ON p FOR EACH ROW EXECUTE FUNCTION note('p');
CREATE TRIGGER logging AFTER INSERT OR UPDATE ON p FOR EACH ROW EXECUTE FUNCTION log_row();
CREATE TRIGGER told AFTER INSERT ON p REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
INSERT INTO p VALUES (1, 1), (2, 20);
TRUNCATE log;
SELECT create_distributed_table('p', 'k', colocate_with => 'none');
SELECT count(*) FROM log;
INSERT INTO p VALUES (3, 3), (4, 40) RETURNING *;
CREATE TABLE p_more PARTITION OF p FOR VALUES FROM (100) TO (200);
CREATE TABLE p_most (k int, v int, note text);
INSERT INTO p_most VALUES (5, 250);
ALTER TABLE p ATTACH PARTITION p_most FOR VALUES FROM (200) TO (300);
INSERT INTO p VALUES (6, 160), (7, 260);
SELECT what FROM log ORDER BY k, n;
SELECT * FROM p ORDER BY k;
TRUNCATE log;
SELECT nodename AS host, nodeport AS port, shardid AS moved FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) WHERE logicalrelid = 'p'::regclass ORDER BY shardid LIMIT 1 \gset
SELECT nodename AS other_host, nodeport AS other_port FROM pg_dist_node WHERE groupid > 0 AND nodeport <> :port ORDER BY groupid LIMIT 1 \gset
SELECT citus_move_shard_placement(:moved, :'host', :port, :'other_host', :other_port, 'block_writes');
SELECT citus_move_shard_placement(:moved, :'other_host', :other_port, :'host', :port, 'force_logical');
SELECT count(*) FROM log;
UPDATE p SET v = v + 1 WHERE k IN (1, 2, 3);
SELECT what FROM log ORDER BY k, n;
SELECT alter_distributed_table('p', shard_count => 3, cascade_to_colocated => false);
INSERT INTO p VALUES (8, 8) RETURNING note;
SELECT undistribute_table('p');
INSERT INTO p VALUES (9, 9) RETURNING note;

-- 7. rules
CREATE TABLE ruled (k int, v int);
CREATE TABLE ruled_log (k int, v int);
CREATE RULE quiet AS ON DELETE TO ruled DO INSTEAD NOTHING;
SELECT create_distributed_table('ruled', 'k', colocate_with => 'none'), create_distributed_table('ruled_log', 'k', colocate_with => 'ruled');
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO ruled_log VALUES (NEW.k, NEW.v);
INSERT INTO ruled VALUES (1, 1), (2, 2);
DELETE FROM ruled;
SELECT * FROM ruled ORDER BY k;
SELECT * FROM ruled_log ORDER BY k;
ALTER RULE also ON ruled RENAME TO log_too;
ALTER TABLE ruled DISABLE RULE log_too;
INSERT INTO ruled VALUES (3, 3);
SELECT count(*) FROM ruled_log;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT string_agg(rulename || ' ' || ev_enabled::text, ' ' ORDER BY rulename) FROM pg_rewrite WHERE ev_class = 'triggers.ruled'::regclass$$);
DROP RULE quiet ON ruled;
DELETE FROM ruled;
CREATE RULE "_RETURN" AS ON SELECT TO ruled DO INSTEAD SELECT 1 AS k, 1 AS v;
DROP SCHEMA triggers CASCADE;
