-- Rules, triggers, defaults and indexes of a view that rest on what only the coordinator has stay there alone, while the view is
-- on every node; all others are everywhere.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT :PORT AS coordinator, :PORT + 1 AS worker, :PORT + 3 AS third \gset
CREATE SCHEMA own_parts;
SET search_path = own_parts;
SET citus.shard_count = 4;
CREATE TABLE t (k int PRIMARY KEY, v text);
CREATE TABLE plain (k int, v text);
CREATE SEQUENCE numbers;
CREATE VIEW own AS SELECT * FROM plain;
CREATE FUNCTION pg_temp.own_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO own_parts.plain VALUES (new.k, 'own'); RETURN new; END $$;
CREATE FUNCTION pg_temp.own_key(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
-- the parts of own_parts.v, on each node
SELECT $$SELECT (SELECT run_command_on_all_nodes.nodeid = min(nodeid) FROM pg_dist_node) AS coordinator, result, count(*)
	FROM run_command_on_all_nodes($q$SELECT string_agg(part, ' ' ORDER BY part COLLATE "C") FROM (
		SELECT rulename FROM pg_rewrite WHERE ev_class = to_regclass('own_parts.v') UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass('own_parts.v')
		UNION ALL SELECT attname || '=' || pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE adrelid = to_regclass('own_parts.v')) p(part)$q$)
	GROUP BY 1, 2 ORDER BY 1 DESC$$ AS parts \gset
-- a rule that is there before the view can be elsewhere
CREATE VIEW v AS SELECT k, v FROM t;
CREATE RULE early AS ON DELETE TO v DO INSTEAD (DELETE FROM plain WHERE k = old.k; DELETE FROM t WHERE k = old.k);
SELECT create_distributed_table('t', 'k');
:parts;
-- rules
CREATE RULE change AS ON UPDATE TO v DO INSTEAD (UPDATE t SET v = new.v WHERE k = old.k; INSERT INTO plain VALUES (old.k, new.v));
CREATE RULE through AS ON UPDATE TO v DO ALSO UPDATE own SET v = v || '!' WHERE k = old.k;
CREATE RULE shared AS ON UPDATE TO v DO ALSO NOTHING;
COMMENT ON RULE change ON v IS 'of this node';
ALTER RULE change ON v RENAME TO changes;
:parts;
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 6) i;
UPDATE v SET v = 'changed' WHERE k < 3;
SELECT * FROM plain ORDER BY k;
DELETE FROM v WHERE k = 1;
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM plain);
-- from one to the other and back
CREATE OR REPLACE RULE shared AS ON UPDATE TO v DO ALSO INSERT INTO plain VALUES (old.k, 'shared');
:parts;
CREATE OR REPLACE RULE shared AS ON UPDATE TO v DO ALSO NOTHING;
CREATE OR REPLACE RULE changes AS ON UPDATE TO v DO INSTEAD DELETE FROM plain;
:parts;
-- triggers
CREATE TRIGGER own INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION pg_temp.own_trigger();
CREATE TRIGGER shared_trigger INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION instead();
COMMENT ON TRIGGER own ON v IS 'of this node';
ALTER TRIGGER own ON v RENAME TO own_trigger;
INSERT INTO v VALUES (7, 'seven');
:parts;
CREATE OR REPLACE TRIGGER shared_trigger INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION pg_temp.own_trigger();
:parts;
-- defaults
ALTER VIEW v ALTER v SET DEFAULT 'shared';
ALTER VIEW v ALTER k SET DEFAULT nextval('numbers');
:parts;
ALTER VIEW v ALTER v SET DEFAULT 'other', ALTER k SET DEFAULT currval('numbers');
ALTER VIEW v ALTER v SET DEFAULT currval('numbers')::text;
:parts;
ALTER VIEW v ALTER k DROP DEFAULT;
ALTER VIEW v ALTER v SET DEFAULT 'shared';
-- the view itself
CREATE OR REPLACE VIEW v AS SELECT k, v, k + 1 AS next FROM t;
ALTER VIEW v SET (security_barrier = true);
COMMENT ON VIEW v IS 'everywhere';
:parts;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT reloptions::text || obj_description(oid) || (SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = pg_class.oid) FROM pg_class WHERE oid = 'own_parts.v'::regclass$$);
-- in a transaction, which is undone
BEGIN;
CREATE VIEW w AS SELECT k FROM t;
CREATE RULE log AS ON DELETE TO w DO INSTEAD INSERT INTO plain VALUES (old.k, 'log');
DELETE FROM w WHERE k = 3;
DROP RULE log ON w;
DROP VIEW w;
ROLLBACK;
-- views whose rules name each other, and a node that joins
CREATE VIEW other AS SELECT k, v FROM t;
CREATE RULE there AS ON UPDATE TO v DO ALSO UPDATE other SET v = new.v WHERE k = old.k;
CREATE RULE back AS ON DELETE TO other DO INSTEAD DELETE FROM v WHERE k = old.k;
CREATE RULE own AS ON UPDATE TO other DO ALSO DELETE FROM own;
CREATE MATERIALIZED VIEW m AS SELECT k, v FROM t;
CREATE INDEX own_index ON m (pg_temp.own_key(k));
CREATE INDEX shared_index ON m (k);
CREATE INDEX ON m (pg_temp.own_key(k + 1));
COMMENT ON INDEX own_index IS 'of this node';
ALTER INDEX own_index SET (fillfactor = 50);
ALTER INDEX own_index RENAME TO own_key;
SELECT citus_add_node('localhost', :third) > 0 AS added;
:parts;
SELECT result, count(*) FROM run_command_on_all_nodes($$SELECT string_agg(n, ' ' ORDER BY n COLLATE "C") FROM (
	SELECT rulename::text FROM pg_rewrite WHERE ev_class = 'own_parts.other'::regclass
	UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'own_parts.m'::regclass) p(n)$$) GROUP BY 1 ORDER BY 2;
SELECT citus_remove_node('localhost', :third);
DROP INDEX own_key;
DROP MATERIALIZED VIEW m;
DROP VIEW other CASCADE;
DROP TRIGGER own_trigger ON v;
DROP TRIGGER shared_trigger ON v;
DROP FUNCTION pg_temp.own_trigger(), pg_temp.own_key(int);
-- asked from a worker
\c - - - :worker
SET client_min_messages = warning;
SET search_path = own_parts;
ALTER RULE changes ON v RENAME TO change;
COMMENT ON RULE change ON v IS NULL;
CREATE RULE of_worker AS ON INSERT TO v DO ALSO NOTHING;
DROP RULE through ON v;
\c - - - :coordinator
SET client_min_messages = warning;
SET search_path = own_parts;
:parts;
-- what they rest on comes to every node, goes again, comes back
SELECT create_distributed_table('plain', 'k');
:parts;
SELECT undistribute_table('plain');
:parts;
SELECT create_reference_table('plain');
:parts;
DROP RULE change ON v;
DROP RULE early ON v;
DROP RULE shared ON v;
:parts;
DROP SCHEMA own_parts CASCADE;
-- a server that has left keeps the schema
\c - - - :third
SET client_min_messages = warning;
DROP SCHEMA own_parts CASCADE;
