-- Statements that change a distributed table.
\set SHOW_CONTEXT never
CREATE SCHEMA changes;
SET search_path = changes;
CREATE TABLE t (id int, v text, n int DEFAULT 7);
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) i;
SELECT create_distributed_table('t', 'id');

-- columns
ALTER TABLE t ADD COLUMN extra int DEFAULT 5;
ALTER TABLE t ADD COLUMN IF NOT EXISTS extra int;
CREATE TYPE late AS ENUM ('x', 'y');
ALTER TABLE t ADD COLUMN kind late DEFAULT 'y';
SELECT sum(extra), min(kind), max(kind) FROM t;
ALTER TABLE t RENAME COLUMN extra TO "Ex tra";
ALTER TABLE t ALTER COLUMN n TYPE bigint USING n * 10;
ALTER TABLE t ALTER COLUMN v SET NOT NULL;
ALTER TABLE t ALTER COLUMN v SET DEFAULT 'none';
INSERT INTO t (id) VALUES (101);
INSERT INTO t (id, v) VALUES (102, NULL);
SELECT * FROM t WHERE id IN (1, 101) ORDER BY id;
ALTER TABLE t DROP COLUMN kind;
SELECT * FROM t WHERE id = 1;
ALTER TABLE t DROP COLUMN id;
ALTER TABLE t ALTER COLUMN id TYPE bigint;

-- constraints and indexes, named and not
ALTER TABLE t ADD PRIMARY KEY (id);
ALTER TABLE t ADD UNIQUE (id, v), ADD CHECK (n > 0);
ALTER TABLE t ADD CONSTRAINT "my check" CHECK (n < 1000);
ALTER TABLE t ADD UNIQUE (v);
ALTER TABLE t ADD CONSTRAINT too_strict CHECK (n > 10000);
INSERT INTO t (id) VALUES (1);
INSERT INTO t (id, n) VALUES (200, -1);
ALTER TABLE t RENAME CONSTRAINT "my check" TO renamed_check;
ALTER TABLE t RENAME CONSTRAINT t_id_v_key TO renamed_key;
ALTER TABLE t DROP CONSTRAINT renamed_check, DROP CONSTRAINT renamed_key;
CREATE INDEX ON t (v);
CREATE INDEX named ON t USING hash (v);
CREATE UNIQUE INDEX ON t (v);
ALTER INDEX named RENAME TO other_name;
CREATE INDEX CONCURRENTLY later ON t (n);
CREATE UNIQUE INDEX CONCURRENTLY failing ON t (id, (n / 0));
DROP INDEX CONCURRENTLY later;
DROP INDEX other_name;
REINDEX TABLE t;
SELECT indexname FROM pg_indexes WHERE schemaname = 'changes' AND tablename = 't' ORDER BY 1;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'changes' AND tablename = 't'$$);
SELECT DISTINCT result FROM run_command_on_shards('t', 'SELECT count(*) FROM pg_index WHERE indrelid = ''%s''::regclass AND indisvalid');

-- names and places
ALTER TABLE t RENAME TO "T two";
SELECT count(*) FROM "T two";
CREATE SCHEMA changes_two;
ALTER TABLE "T two" SET SCHEMA changes_two;
SELECT count(*) FROM changes_two."T two";
SELECT count(*), bool_and(success) FROM run_command_on_shards('changes_two."T two"', 'SELECT 1 FROM %s LIMIT 1');
ALTER TABLE changes_two."T two" SET SCHEMA changes;
ALTER TABLE "T two" RENAME TO t;
COMMENT ON TABLE t IS 'a comment';
SELECT DISTINCT result FROM run_command_on_workers($$SELECT obj_description('changes.t'::regclass)$$);

-- rights and owners
CREATE ROLE ddl_reader;
GRANT USAGE, CREATE ON SCHEMA changes TO ddl_reader;
SELECT count(*) FROM run_command_on_workers('GRANT USAGE, CREATE ON SCHEMA changes TO ddl_reader');
GRANT SELECT ON t TO ddl_reader;
SELECT DISTINCT result FROM run_command_on_shards('t', 'SELECT has_table_privilege(''ddl_reader'', ''%s'', ''SELECT'')');
SET ROLE ddl_reader;
ALTER TABLE t ADD COLUMN mine int;
TRUNCATE t;
CREATE INDEX ON t (n);
DROP TABLE t;
RESET ROLE;
REVOKE SELECT ON t FROM ddl_reader;
ALTER TABLE t OWNER TO ddl_reader;
SELECT DISTINCT result FROM run_command_on_shards('t', 'SELECT relowner::regrole FROM pg_class WHERE oid = ''%s''::regclass');
ALTER TABLE t OWNER TO CURRENT_USER;

-- rows and statistics
VACUUM t;
VACUUM (ANALYZE, FREEZE) t;
ANALYZE t (id, v);
SELECT reltuples FROM pg_class WHERE oid = 't'::regclass;
TRUNCATE t;
SELECT count(*) FROM t;

-- undone
BEGIN;
ALTER TABLE t ADD COLUMN gone int;
CREATE INDEX ON t (gone);
INSERT INTO t (id, gone) VALUES (1, 1);
ROLLBACK;
SELECT * FROM t;
SELECT DISTINCT result FROM run_command_on_shards('t', 'SELECT count(*) FROM pg_attribute WHERE attrelid = ''%s''::regclass AND attname = ''gone''');

-- not possible
CREATE TABLE heir () INHERITS (t);
SELECT * FROM t;

DROP TABLE t;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_class WHERE relnamespace = 'changes'::regnamespace$$);
SET client_min_messages = warning;
DROP SCHEMA changes, changes_two CASCADE;
DROP ROLE ddl_reader;
