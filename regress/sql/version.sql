-- Library and SQL objects of different versions: nothing is done with them.
CREATE SCHEMA version;
CREATE TABLE version.t (k int PRIMARY KEY, v int);
SELECT create_distributed_table('version.t', 'k', shard_count := 2);
CREATE TABLE version.u (k int);
\c
\set VERBOSITY terse
BEGIN;
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'citus';
SAVEPOINT s;
\set VERBOSITY default
SELECT count(*) FROM version.t;
\set VERBOSITY terse
ROLLBACK TO s;
INSERT INTO version.t VALUES (1, 1);
ROLLBACK TO s;
UPDATE version.t SET v = 2 WHERE k = 1;
ROLLBACK TO s;
COPY version.t TO STDOUT;
ROLLBACK TO s;
ALTER TABLE version.t ADD COLUMN w int;
ROLLBACK TO s;
CREATE INDEX ON version.t (v);
ROLLBACK TO s;
SELECT create_distributed_table('version.u', 'k');
ROLLBACK TO s;
SELECT create_reference_table('version.u');
ROLLBACK TO s;
SELECT citus_add_node('localhost', 1);
ROLLBACK TO s;
-- Functions for users: these answer, and harm nothing; all others raise the error, or another one for arguments as these.
DO $$
DECLARE
    f record;
    arguments text;
BEGIN
    FOR f IN
        SELECT p.oid, p.proname, p.prokind, p.proargtypes::oid[] AS types FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
          AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'citus')
          AND p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'p') AND p.proname !~ '^pg_(cancel|terminate)_backend$'
        ORDER BY p.proname COLLATE "C"
    LOOP
        SELECT string_agg(CASE
            WHEN type IN ('regclass'::regtype, 'oid'::regtype) THEN '''version.t''::regclass'
            WHEN type = 'text'::regtype THEN '''k''::text'
            WHEN type = 'name'::regtype THEN '''public''::name'
            WHEN type = 'boolean'::regtype THEN 'true'
            WHEN type = 'regproc'::regtype THEN '''now''::regproc'
            WHEN type = 'timestamptz'::regtype THEN 'now()'
            WHEN type = '"any"'::regtype THEN '1'
            WHEN type = 'bigint[]'::regtype THEN '''{1}''::bigint[]'
            WHEN t.typtype = 'e' THEN quote_literal((SELECT min(enumlabel) FROM pg_enum WHERE enumtypid = type))
            ELSE '1::' || type::regtype END, ',' ORDER BY number)
        INTO arguments FROM unnest(f.types) WITH ORDINALITY a (type, number) JOIN pg_type t ON t.oid = type;
        BEGIN
            EXECUTE CASE f.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT * FROM' END || format(' pg_catalog.%I(%s)', f.proname, arguments);
            RAISE EXCEPTION USING ERRCODE = 'CIV01';
        EXCEPTION
            WHEN SQLSTATE 'CIV01' THEN RAISE INFO '%', f.proname;
            WHEN OTHERS THEN NULL;
        END;
    END LOOP;
END
$$;
ROLLBACK TO s;
-- What has nothing to do with distributed tables goes on.
INSERT INTO version.u VALUES (1);
SELECT count(*) FROM version.u;
ROLLBACK;
SELECT count(*) FROM version.t;
SET client_min_messages = warning;
DROP SCHEMA version CASCADE;
