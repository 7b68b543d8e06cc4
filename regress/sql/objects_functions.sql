-- Functions, procedures and aggregates are the same on every node, whenever and by whomever they are made or changed.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\getenv top PG_ABS_SRCDIR
\set helper :top /objects_on_nodes.psql
\set schemas functions%
\i :helper
CREATE SCHEMA functions_one;
CREATE SCHEMA "functions Two""s";
SET search_path = functions_one;
SET citus.shard_count = 4;
CREATE FUNCTION plain(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION "Odd ""name"(a int, b text DEFAULT 'it''s', VARIADIC c numeric[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql STABLE COST 7 AS $$ BEGIN RETURN a || b; -- ; comment
END $$;
CREATE FUNCTION standard(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT plain(a); SELECT a + 1; END;
CREATE FUNCTION settings() RETURNS text LANGUAGE sql SET search_path = pg_catalog, functions_one SET work_mem = '1MB' SECURITY DEFINER AS 'SELECT current_setting(''work_mem'')';
CREATE FUNCTION out_of(OUT a int, OUT b text) LANGUAGE sql AS 'SELECT 1, ''b''';
CREATE FUNCTION sets(n int) RETURNS TABLE (x int, y text) ROWS 10 LANGUAGE sql AS 'SELECT i, ''y'' FROM generate_series(1, n) i';
CREATE PROCEDURE "functions Two""s".proc(INOUT a int) LANGUAGE plpgsql AS $$ BEGIN a := a + 1; END $$;
CREATE FUNCTION windowed() RETURNS bigint LANGUAGE internal WINDOW AS 'window_row_number';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = SAFE);
CREATE AGGREGATE moving(float8) (SFUNC = float8_accum, STYPE = float8[], FINALFUNC = float8_avg, INITCOND = '{0,0,0}');
CREATE AGGREGATE ordered(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE AGGREGATE counted(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
:difference;

-- changed in every way
CREATE OR REPLACE FUNCTION plain(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3';
CREATE OR REPLACE FUNCTION "Odd ""name"(a int, b text DEFAULT 'c', VARIADIC c numeric[] DEFAULT '{1}') RETURNS text LANGUAGE sql AS 'SELECT b';
CREATE OR REPLACE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '10', COMBINEFUNC = int4pl);
ALTER FUNCTION plain(int) STRICT PARALLEL SAFE COST 3;
ALTER FUNCTION settings RESET work_mem;
ALTER FUNCTION settings SET datestyle = 'German' SECURITY INVOKER;
ALTER FUNCTION sets(int) ROWS 20 VOLATILE;
ALTER FUNCTION plain(int) RENAME TO "Plain";
ALTER FUNCTION "Plain"(int) SET SCHEMA "functions Two""s";
ALTER PROCEDURE "functions Two""s".proc(int) RENAME TO "Proc";
ALTER AGGREGATE total(int) RENAME TO whole;
ALTER ROUTINE "functions Two""s"."Proc"(int) SET SCHEMA functions_one;
ALTER FUNCTION windowed() DEPENDS ON EXTENSION citus;
ALTER FUNCTION windowed() NO DEPENDS ON EXTENSION citus;
COMMENT ON FUNCTION out_of() IS 'o''ut';
COMMENT ON AGGREGATE whole(int) IS 'whole';
COMMENT ON AGGREGATE ordered(float8 ORDER BY anyelement) IS 'ordered';
COMMENT ON PROCEDURE "Proc" IS 'proc';
CREATE ROLE functions_owner LOGIN;
CREATE ROLE functions_user;
GRANT EXECUTE ON FUNCTION out_of(), settings() TO functions_user;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA functions_one TO functions_owner WITH GRANT OPTION;
REVOKE EXECUTE ON PROCEDURE "Proc" FROM PUBLIC;
ALTER AGGREGATE whole(int) OWNER TO functions_owner;
ALTER FUNCTION out_of() OWNER TO functions_owner;
:difference;

-- in a transaction that is undone in part, in DO, in a function, with IF EXISTS and CASCADE, before and with tables
BEGIN;
CREATE FUNCTION undone() RETURNS int LANGUAGE sql AS 'SELECT 1';
SAVEPOINT one;
CREATE FUNCTION undone_first() RETURNS int LANGUAGE sql AS 'SELECT 1';
ROLLBACK TO one;
CREATE FUNCTION kept() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE t (k int PRIMARY KEY, v int DEFAULT kept());
SELECT create_distributed_table('t', 'k');
INSERT INTO t SELECT i FROM generate_series(1, 10) i;
CREATE FUNCTION of_row(t) RETURNS int LANGUAGE sql AS 'SELECT $1.k';
SELECT sum(of_row(t)), sum("functions Two""s"."Plain"(k)) FROM t;
DROP FUNCTION undone();
COMMIT;
DO $$ BEGIN
	CREATE FUNCTION in_do() RETURNS int LANGUAGE sql AS 'SELECT 1';
	EXECUTE 'CREATE FUNCTION in_execute() RETURNS int LANGUAGE sql AS ''SELECT 1''';
	BEGIN
		CREATE FUNCTION in_block() RETURNS int LANGUAGE sql AS 'SELECT 1';
		RAISE 'no';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
END $$;
CREATE FUNCTION makes() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION made() STABLE; DROP FUNCTION in_do(); END $$;
SELECT makes();
CREATE FUNCTION makes_two() RETURNS void LANGUAGE sql AS 'CREATE FUNCTION made_two() RETURNS int LANGUAGE sql AS ''SELECT 1''; DROP FUNCTION IF EXISTS functions_one.made();';
SELECT makes_two();
DROP FUNCTION IF EXISTS missing();
DROP ROUTINE IF EXISTS in_execute();
CREATE FUNCTION rests(r t) RETURNS int LANGUAGE sql AS 'SELECT 1';
:difference;

-- what rests on a plain table is this node's own until the table is distributed
CREATE TABLE later (k int PRIMARY KEY, v text);
CREATE FUNCTION of_later() RETURNS SETOF later LANGUAGE sql AS 'SELECT * FROM functions_one.later';
CREATE FUNCTION of_later_too(later) RETURNS text LANGUAGE sql AS 'SELECT $1.v';
SELECT count(*) FROM run_command_on_all_nodes($$SELECT 1 FROM pg_proc WHERE proname IN ('of_later', 'of_later_too')$$) WHERE result <> '';
SELECT create_distributed_table('later', 'k');
:difference;
SELECT undistribute_table('later');
ALTER FUNCTION of_later() STABLE;
SELECT count(*) FROM run_command_on_all_nodes($$SELECT 1 FROM pg_proc WHERE proname IN ('of_later', 'of_later_too')$$) WHERE result <> '';
SELECT create_reference_table('later');
:difference;
CREATE TEMP TABLE temporary (a int);
CREATE FUNCTION of_temporary(temporary) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION pg_temp.temporary() RETURNS int LANGUAGE sql AS 'SELECT 1';
DROP TABLE temporary CASCADE;
:difference;

-- by a role that may do little
GRANT CREATE, USAGE ON SCHEMA functions_one TO functions_owner;
SET ROLE functions_owner;
CREATE FUNCTION own(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
ALTER FUNCTION own(int) STABLE;
COMMENT ON FUNCTION own(int) IS 'own';
GRANT EXECUTE ON FUNCTION own(int) TO functions_user;
REVOKE ALL ON FUNCTION own(int) FROM PUBLIC;
ALTER AGGREGATE whole(int) RENAME TO total;
CREATE AGGREGATE own_sum(int) (SFUNC = int4pl, STYPE = int);
CREATE OR REPLACE FUNCTION "Proc"(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION sets(int) COST 3;
DROP FUNCTION sets(int);
CREATE FUNCTION "functions Two""s".no() RETURNS int LANGUAGE sql AS 'SELECT 1';
RESET ROLE;
:difference;

-- not propagated where that is turned off; what needs it brings it
SET citus.enable_metadata_sync = off;
CREATE FUNCTION here() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
SET citus.enable_metadata_sync = on;
SET citus.enable_ddl_propagation = off;
CREATE FUNCTION here_too() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
ALTER FUNCTION sets(int) COST 99;
SET citus.enable_ddl_propagation = on;
SELECT count(*) FROM run_command_on_all_nodes($$SELECT 1 FROM pg_proc WHERE proname IN ('here', 'here_too')$$) WHERE result <> '';
SELECT sum(here()), sum(here_too()) FROM t;
SELECT here() FROM t WHERE k = 1;
UPDATE t SET v = here() WHERE k = 2;
CREATE INDEX ON t ((here() + k));
ALTER FUNCTION sets(int) COST 100;
CREATE FUNCTION uses_here(int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT here_too(); END;
:difference;

-- create_distributed_function()
CREATE FUNCTION placed(a text, b int, OUT c int) LANGUAGE sql AS 'SELECT $2';
SELECT create_distributed_function('placed(text, int)', 'b', colocate_with => 't');
SELECT distribution_argument_index, colocationid = (SELECT colocationid FROM pg_dist_partition WHERE logicalrelid = 't'::regclass) AS with_t, force_delegation
	FROM pg_dist_object WHERE objid = 'placed'::regproc;
SELECT create_distributed_function('placed(text, int)', '$2');
SELECT create_distributed_function('placed(text, int)');
SELECT create_distributed_function('placed(text, int)', 'a', colocate_with => 't');
SELECT create_distributed_function('placed(text, int)', 'c', colocate_with => 't');
SELECT create_distributed_function('placed(text, int)', 'b', colocate_with => 'later');
SELECT create_distributed_function('placed(text, int)', 'b', force_delegation => true);
SELECT create_distributed_function(NULL);
SELECT create_distributed_function('lower(text)');
SET ROLE functions_owner;
SELECT create_distributed_function('placed(text, int)');
RESET ROLE;
SELECT placed('x', 1);

-- dropped
DROP FUNCTION kept() CASCADE;
DROP TABLE t CASCADE;
DROP OWNED BY functions_owner;
:difference;
DROP SCHEMA functions_one, "functions Two""s" CASCADE;
DROP ROLE functions_owner, functions_user;
:difference;
