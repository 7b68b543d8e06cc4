-- What a session has set holds wherever a part of its statements runs; so do role, database and configuration.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE SCHEMA session_settings;
SET search_path = session_settings;
-- Every setting that a session may change is decided on.
SELECT name FROM pg_settings WHERE context IN ('user', 'superuser', 'superuser-backend', 'backend')
	AND citus_internal.setting_travels(name) IS NULL;
SELECT citus_internal.setting_travels(n) AS travels, n FROM unnest(ARRAY['TimeZone', 'work_mem', 'enable_sort', 'app.tenant', 'plpgsql.extra_errors', 'citus.shard_count', 'no_such']) n;

CREATE TABLE d (k int PRIMARY KEY, t text, day timestamptz, n numeric);
SELECT create_distributed_table('d', 'k', shard_count => 4, colocate_with => 'none');
INSERT INTO d SELECT i, 'a"b', '2024-03-05 12:00+00', 1234.5 FROM generate_series(1, 4) i;

-- The application's own, as functions on the nodes read them.
CREATE FUNCTION tenant(k int) RETURNS text STABLE LANGUAGE plpgsql AS
	$$ BEGIN RETURN coalesce(current_setting('app.tenant', true), 'none') || k; END $$;
SELECT tenant(k) FROM d WHERE k = 1;
SET app.tenant = 'acme';
SELECT tenant(k) FROM d ORDER BY k;
BEGIN;
SET LOCAL app.tenant = 'local';
SELECT tenant(k) FROM d WHERE k = 1;
SAVEPOINT inner_one;
SET app.tenant = 'inner';
SELECT tenant(k) FROM d WHERE k < 3 ORDER BY k;
ROLLBACK TO inner_one;
SELECT tenant(k) FROM d WHERE k < 3 ORDER BY k;
UPDATE d SET t = tenant(k) WHERE k = 1;
COMMIT;
SELECT t, tenant(k) FROM d WHERE k = 1;
SELECT set_config('app.tenant', 'quo''te\', false);
SELECT tenant(k) FROM d WHERE k = 1;
RESET app.tenant;
SELECT tenant(k) FROM d WHERE k = 1;
BEGIN;
SET app.later = 'x';
SELECT tenant(k) FROM d WHERE k = 1;
ROLLBACK;
SELECT tenant(k) FROM d WHERE k = 1;
CREATE FUNCTION with_tenant() RETURNS text LANGUAGE sql SET app.tenant = 'function' AS $$ SELECT tenant(k) FROM d WHERE k = 2 $$;
SELECT with_tenant();
SELECT tenant(k) FROM d WHERE k = 2;

-- An extension's: one that is set before its library is loaded, and after.
SELECT current_setting('plpgsql.extra_errors');
CREATE FUNCTION checked(k int) RETURNS text LANGUAGE plpgsql AS
	$$ DECLARE v int; BEGIN SELECT 1, k INTO v; RETURN current_setting('plpgsql.extra_errors'); END $$;
SELECT checked(k) FROM d WHERE k = 1;
SET plpgsql.extra_errors = 'strict_multi_assignment';
SELECT checked(k) FROM d WHERE k = 1;
RESET plpgsql.extra_errors;
SELECT checked(k) FROM d WHERE k = 1;

-- PostgreSQL's own.
SET quote_all_identifiers = on;
SELECT format('%I', 'a' || k) FROM d WHERE k = 2;
RESET quote_all_identifiers;
SELECT format('%I', 'a' || k) FROM d WHERE k = 2;
SET timezone_abbreviations = 'Australia';
SELECT (to_char(day, 'YYYY') || '-01-01 00:00 EST')::timestamptz AT TIME ZONE 'UTC' FROM d WHERE k = 1;
RESET timezone_abbreviations;
SELECT (to_char(day, 'YYYY') || '-01-01 00:00 EST')::timestamptz AT TIME ZONE 'UTC' FROM d WHERE k = 1;
SET transform_null_equals = on;
CREATE FUNCTION nothing(k int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN nullif(k, k) = NULL; END $$;
SELECT nothing(k) FROM d WHERE k = 1;
SELECT nothing(k) FROM d ORDER BY k LIMIT 1;
RESET transform_null_equals;

-- Triggers and foreign keys that a superuser leaves out.
CREATE TABLE r (k int PRIMARY KEY REFERENCES d);
SELECT create_distributed_table('r', 'k', colocate_with => 'd');
INSERT INTO r VALUES (77);
SET session_replication_role = replica;
INSERT INTO r VALUES (77);
RESET session_replication_role;
INSERT INTO r VALUES (78);
SELECT * FROM r;

-- Languages; the money has its own binary form.
SET lc_time = 'de_DE.UTF-8';
SET lc_numeric = 'de_DE.UTF-8';
SET lc_monetary = 'de_DE.UTF-8';
SELECT to_char(day, 'TMDay, TMMonth'), to_char(n, 'L999G999D99'), n::money FROM d WHERE k = 1;
SELECT count(*) FROM d WHERE to_char(day, 'TMMonth') = 'März';
SELECT DISTINCT to_char(day, 'TMMonth') FROM d;
SELECT k, '1.234,5'::money > n::money AS more FROM d WHERE k = 1 AND to_number('1.234,5' || k, '9G999D99') > 0;
SET lc_time = 'tr_TR.UTF-8';
SELECT to_char(day, 'TMDay, TMMonth') FROM d WHERE k = 1;
RESET lc_time;
RESET lc_numeric;
RESET lc_monetary;
SELECT to_char(day, 'TMDay, TMMonth'), to_char(n, 'L999G999D99'), n::money FROM d WHERE k = 1;

-- What a role's sessions are set to does not hold for sessions between nodes, where the asking node says so.
CREATE ROLE session_settings_reader LOGIN;
GRANT USAGE ON SCHEMA session_settings TO session_settings_reader;
GRANT ALL ON d TO session_settings_reader;
ALTER ROLE session_settings_reader SET default_transaction_read_only = on;
ALTER ROLE session_settings_reader SET default_transaction_isolation = 'serializable';
ALTER ROLE session_settings_reader SET statement_timeout = '1ms';
ALTER ROLE session_settings_reader SET app.tenant = 'of the role ';
SELECT DISTINCT result FROM run_command_on_workers('ALTER ROLE session_settings_reader SET default_transaction_read_only = on');
SELECT DISTINCT result FROM run_command_on_workers($$ALTER ROLE session_settings_reader SET statement_timeout = '1ms'$$);
SELECT DISTINCT result FROM run_command_on_workers($$ALTER ROLE session_settings_reader SET app.tenant = 'of the role '$$);
SET ROLE session_settings_reader;
UPDATE session_settings.d SET n = 1 WHERE k = 2;
SELECT k, n FROM session_settings.d WHERE k = 2 AND pg_sleep(0.05)::text = '';
SELECT session_settings.tenant(k) FROM session_settings.d WHERE k = 2;
RESET ROLE;
DROP OWNED BY session_settings_reader;
DROP ROLE session_settings_reader;
DROP SCHEMA session_settings CASCADE;
