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
-- What has nothing to do with distributed tables goes on.
INSERT INTO version.u VALUES (1);
SELECT count(*) FROM version.u;
ROLLBACK;
SELECT count(*) FROM version.t;
SET client_min_messages = warning;
DROP SCHEMA version CASCADE;
