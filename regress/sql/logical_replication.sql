-- Publications and subscriptions of the user's beside distributed tables: what would lose rows without a word is refused,
-- whichever came first.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
\getenv worker CIVITAS_WORKER_1_PORT
SET citus.shard_count = 4;
CREATE SCHEMA published;
SET search_path = published;
CREATE TABLE d (k int PRIMARY KEY, v text);
CREATE TABLE plain (k int PRIMARY KEY);
CREATE TABLE ref (k int PRIMARY KEY);
SELECT create_distributed_table('d', 'k');
SELECT create_reference_table('ref');

-- A publication that comes later.
CREATE PUBLICATION named FOR TABLE plain, d;
CREATE PUBLICATION named FOR TABLE ref;
CREATE PUBLICATION named FOR ALL TABLES;
CREATE PUBLICATION named FOR TABLES IN SCHEMA published;
CREATE PUBLICATION named FOR TABLES IN SCHEMA CURRENT_SCHEMA;
CREATE PUBLICATION named;
ALTER PUBLICATION named ADD TABLE d (k);
ALTER PUBLICATION named SET TABLE d WHERE (k > 1);
ALTER PUBLICATION named ADD TABLES IN SCHEMA published;
ALTER PUBLICATION named ADD TABLE plain;
ALTER PUBLICATION named SET (publish = 'insert');
SELECT tablename FROM pg_publication_tables WHERE pubname = 'named';
-- On another node as well.
\c - - - :worker
CREATE PUBLICATION there FOR ALL TABLES;
CREATE PUBLICATION there FOR TABLE published.d;
CREATE PUBLICATION there FOR TABLES IN SCHEMA published;
\c - - - :coordinator
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = published;
SET citus.shard_count = 4;

-- ... and one that was there.
SELECT create_distributed_table('plain', 'k');
SELECT create_reference_table('plain');
SELECT citus_add_local_table_to_metadata('plain');
SELECT create_distributed_table_concurrently('plain', 'k');
CREATE TABLE refers (k int PRIMARY KEY REFERENCES plain);
ALTER PUBLICATION named DROP TABLE plain;
SELECT create_distributed_table('plain', 'k');
SELECT undistribute_table('plain');
DROP PUBLICATION named;
DROP TABLE refers;
CREATE SCHEMA other;
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA other;
CREATE TABLE other.t (k int PRIMARY KEY);
SELECT create_distributed_table('other.t', 'k');
ALTER TABLE d SET SCHEMA other;
ALTER TABLE plain SET SCHEMA other;
SELECT create_distributed_table('other.plain', 'k');
ALTER TABLE other.plain SET SCHEMA published;
-- Partitions.
CREATE TABLE parted (k int, day date) PARTITION BY RANGE (day);
SELECT create_distributed_table('parted', 'k');
CREATE TABLE other.first PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE other.second (k int, day date);
ALTER TABLE parted ATTACH PARTITION other.second FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE first PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE plain_parted (k int, day date) PARTITION BY RANGE (day);
CREATE TABLE plain_first PARTITION OF plain_parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE PUBLICATION of_partition FOR TABLE plain_first;
SELECT create_distributed_table('plain_parted', 'k');
DROP PUBLICATION of_partition;
CREATE PUBLICATION of_root FOR TABLE plain_parted;
SELECT create_distributed_table('plain_parted', 'k');
DROP PUBLICATION of_root, of_schema;

-- Replica identity follows to the shards.
CREATE TABLE whole (k int, v text);
ALTER TABLE whole REPLICA IDENTITY FULL;
SELECT create_distributed_table('whole', 'k');
ALTER TABLE d REPLICA IDENTITY FULL;
SELECT DISTINCT result FROM run_command_on_shards('whole', $$SELECT relreplident FROM pg_class WHERE oid = '%s'::regclass$$);
SELECT DISTINCT result FROM run_command_on_shards('d', $$SELECT relreplident FROM pg_class WHERE oid = '%s'::regclass$$);
ALTER TABLE d REPLICA IDENTITY DEFAULT;

-- Subscriptions, to another database of a worker.
\c - - - :worker
CREATE DATABASE civitas_publisher;
\c civitas_publisher
CREATE SCHEMA published;
CREATE TABLE published.d (k int PRIMARY KEY, v text);
CREATE TABLE published.ref (k int PRIMARY KEY);
CREATE TABLE published.plain (k int PRIMARY KEY);
CREATE PUBLICATION pub FOR TABLE published.d;
CREATE PUBLICATION pub_ref FOR TABLE published.ref;
CREATE PUBLICATION pub_plain FOR TABLE published.plain;
\c postgres - - :coordinator
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = published;
SET citus.shard_count = 4;
SELECT format('host=127.0.0.1 port=%s user=postgres dbname=civitas_publisher', :worker) AS source \gset
CREATE SUBSCRIPTION sub CONNECTION :'source' PUBLICATION pub;
CREATE SUBSCRIPTION sub CONNECTION :'source' PUBLICATION pub_plain, pub_ref WITH (slot_name = 'civitas_test');
SELECT count(*) FROM pg_subscription;
\c civitas_publisher - - :worker
-- No slot stays behind; one that was there is kept.
SELECT count(*) FROM pg_replication_slots WHERE database = 'civitas_publisher';
SELECT slot_name FROM pg_create_logical_replication_slot('civitas_test', 'pgoutput');
\c postgres - - :coordinator
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = published;
SET citus.shard_count = 4;
CREATE SUBSCRIPTION sub CONNECTION :'source' PUBLICATION pub WITH (create_slot = false, slot_name = 'civitas_test');
SELECT count(*) FROM pg_subscription;
CREATE SUBSCRIPTION sub CONNECTION :'source' PUBLICATION pub_plain WITH (create_slot = false, slot_name = 'civitas_test', copy_data = false);
ALTER SUBSCRIPTION sub SET PUBLICATION pub WITH (copy_data = false);
ALTER SUBSCRIPTION sub ADD PUBLICATION pub_ref WITH (copy_data = false);
ALTER SUBSCRIPTION sub SET PUBLICATION pub WITH (refresh = false);
ALTER SUBSCRIPTION sub REFRESH PUBLICATION WITH (copy_data = false);
SELECT srrelid::regclass FROM pg_subscription_rel;
-- A table that a subscription writes to.
SELECT create_distributed_table('plain', 'k');
SELECT create_reference_table('plain');
ALTER SUBSCRIPTION sub SET PUBLICATION pub_plain WITH (refresh = false);
DROP SUBSCRIPTION sub;
SELECT create_distributed_table('plain', 'k');

\c - - - :worker
DROP DATABASE civitas_publisher WITH (FORCE);
\c - - - :coordinator
SET client_min_messages = warning;
DROP SCHEMA published CASCADE;
DROP SCHEMA other CASCADE;
