-- Views and materialized views are the same on every node, with their rules, triggers, defaults, rights and options.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\getenv top PG_ABS_SRCDIR
\set helper :top /objects_on_nodes.psql
\set schemas views%
\i :helper
\getenv worker CIVITAS_WORKER_1_PORT
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
CREATE SCHEMA views_one;
CREATE SCHEMA "views Two";
SET search_path = views_one;
SET citus.shard_count = 4;
CREATE TABLE t (k int PRIMARY KEY, v text, n int);
CREATE TABLE plain (k int);
-- before the table is distributed, and after
CREATE VIEW early AS SELECT k, v FROM t WHERE n > 0;
CREATE VIEW of_early AS SELECT count(*) AS c FROM early;
CREATE VIEW of_plain AS SELECT k FROM plain;
CREATE VIEW of_both AS SELECT t.k FROM t JOIN plain USING (k);
SELECT count(*) FROM run_command_on_all_nodes($$SELECT 1 FROM pg_class WHERE relname IN ('early', 'of_plain')$$) WHERE result <> '';
SELECT create_distributed_table('t', 'k');
INSERT INTO t SELECT i, 'v' || i, i % 3 FROM generate_series(1, 10) i;
CREATE VIEW "Odd ""view" WITH (security_barrier, security_invoker = true) AS SELECT k AS "K k", v, n + 1 AS more FROM t WITH CASCADED CHECK OPTION;
CREATE RECURSIVE VIEW counting(i) AS SELECT 1 UNION ALL SELECT i + 1 FROM counting WHERE i < 5;
CREATE TEMP VIEW temporary AS SELECT * FROM t;
CREATE VIEW of_temporary AS SELECT * FROM temporary;
CREATE MATERIALIZED VIEW kept_rows AS SELECT n, count(*) AS c FROM t GROUP BY n;
CREATE MATERIALIZED VIEW empty WITH (fillfactor = 50) AS SELECT k FROM t WITH NO DATA;
CREATE UNIQUE INDEX kept_rows_n ON kept_rows (n);
CREATE INDEX ON empty (k);
DROP VIEW of_both;
SELECT viewname FROM pg_views WHERE schemaname = 'views_one' ORDER BY 1;
DROP VIEW of_plain;
:difference;

-- changed
CREATE OR REPLACE VIEW early AS SELECT k, v, n FROM t WHERE n > 1;
CREATE OR REPLACE VIEW of_early WITH (security_barrier = true) AS SELECT count(*) AS c, sum(n) AS s FROM early;
ALTER VIEW early ALTER COLUMN v SET DEFAULT 'none';
ALTER VIEW early RENAME TO "Early";
ALTER VIEW "Early" RENAME COLUMN n TO nn;
ALTER VIEW of_early RESET (security_barrier);
ALTER VIEW of_early SET (security_invoker = on);
ALTER VIEW of_early SET SCHEMA "views Two";
ALTER TABLE "views Two".of_early RENAME TO "Of";
ALTER MATERIALIZED VIEW kept_rows RENAME TO kept;
ALTER MATERIALIZED VIEW kept RENAME COLUMN c TO counted;
ALTER MATERIALIZED VIEW empty SET (fillfactor = 70);
ALTER MATERIALIZED VIEW empty SET SCHEMA "views Two";
COMMENT ON VIEW "Early" IS 'it''s early';
COMMENT ON COLUMN "Early".nn IS 'nn';
COMMENT ON MATERIALIZED VIEW kept IS 'kept';
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO views_one.t VALUES (NEW.k, NEW.v, 5); RETURN NEW; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON "Early" FOR EACH ROW EXECUTE FUNCTION instead();
CREATE VIEW ruled AS SELECT k, v FROM t;
CREATE RULE away AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE OR REPLACE RULE away AS ON DELETE TO ruled DO INSTEAD DELETE FROM t WHERE k = OLD.k AND k > 5;
CREATE RULE also AS ON UPDATE TO ruled DO INSTEAD NOTHING;
ALTER RULE also ON ruled RENAME TO "Also";
COMMENT ON RULE away ON ruled IS 'away';
CREATE ROLE views_owner LOGIN;
CREATE ROLE views_reader;
GRANT SELECT ON "Early", kept TO views_reader WITH GRANT OPTION;
GRANT SELECT (k), UPDATE (v) ON ruled TO views_reader;
GRANT SELECT ON t, ruled TO views_owner;
GRANT SELECT ON ALL TABLES IN SCHEMA "views Two" TO views_reader;
GRANT USAGE ON SCHEMA views_one TO views_owner;
GRANT DELETE ON t TO views_owner;
ALTER VIEW ruled OWNER TO views_owner;
ALTER MATERIALIZED VIEW kept OWNER TO views_owner;
:difference;
INSERT INTO "Early" VALUES (20, 'twenty');
SELECT * FROM "Early" WHERE k >= 20;
REFRESH MATERIALIZED VIEW CONCURRENTLY kept;
-- asked from a worker
\c - - - :worker
SET client_min_messages = warning;
SET search_path = views_one;
SELECT count(*) FROM "Early";
SELECT * FROM "views Two"."Of";
INSERT INTO "Early" VALUES (21, 'twenty-one');
SELECT * FROM "Odd ""view" WHERE "K k" = 21;
SELECT * FROM counting;
SELECT * FROM kept;
REFRESH MATERIALIZED VIEW kept;
SELECT * FROM kept ORDER BY n;
DELETE FROM ruled;
SELECT count(*) FROM t;
\c - - - :coordinator
SET client_min_messages = warning;
SET search_path = views_one;
-- a view that is everywhere cannot come to rest on a plain table; a table that is plain again takes its views along
CREATE OR REPLACE VIEW ruled AS SELECT k, v FROM t WHERE k IN (SELECT k FROM plain);
SELECT undistribute_table('t');
SELECT count(*) FROM run_command_on_all_nodes($$SELECT 1 FROM pg_class WHERE relname IN ('Early', 'ruled')$$) WHERE result <> '';
CREATE OR REPLACE VIEW ruled AS SELECT k, v FROM t WHERE k IN (SELECT k FROM plain);
CREATE OR REPLACE VIEW ruled AS SELECT k, v FROM t WHERE k > 0;
SELECT create_distributed_table('t', 'k');
:difference;
-- by the owner
\c - views_owner - :coordinator
SET search_path = views_one;
ALTER VIEW ruled ALTER COLUMN v SET DEFAULT 'own';
CREATE VIEW no AS SELECT 1;
DROP VIEW "Early";
DROP RULE "Also" ON ruled;
\c - postgres - :coordinator
SET client_min_messages = warning;
SET search_path = views_one;
:difference;
-- dropped
DROP RULE away ON ruled;
DROP TRIGGER instead ON "Early";
DROP INDEX kept_rows_n;
DROP VIEW "Early" CASCADE;
DROP TABLE t CASCADE;
:difference;
DROP SCHEMA views_one, "views Two" CASCADE;
DROP ROLE views_owner, views_reader;
:difference;
