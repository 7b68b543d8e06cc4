-- A cluster of two workers grows to four, by a rebalance, and shrinks to two again, by draining: all tables have the same rows at
-- each step, asked of any node. Two more servers are there on the ports after those of the workers.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA growing;
SET search_path = growing;
SELECT :PORT + 3 AS third, :PORT + 4 AS fourth \gset
CREATE TABLE countries (id int PRIMARY KEY, name text);
SELECT create_reference_table('countries');
CREATE TABLE people (id bigint PRIMARY KEY, country int REFERENCES countries, name text, bits bytea);
SELECT create_distributed_table('people', 'id', shard_count => 8);
CREATE TABLE visits (person bigint REFERENCES people, at timestamptz, page text, length int GENERATED ALWAYS AS (char_length(page)) STORED, PRIMARY KEY (person, at));
SELECT create_distributed_table('visits', 'person', colocate_with => 'people');
CREATE TABLE events (k int, at date, PRIMARY KEY (k, at)) PARTITION BY RANGE (at);
CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_2021 PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
SELECT create_distributed_table('events', 'k', shard_count => 4, colocate_with => 'none');
CREATE TABLE "Odd é" ("a key" text PRIMARY KEY, v numeric);
SELECT create_distributed_table('"Odd é"', 'a key', shard_count => 8, colocate_with => 'none');
CREATE TABLE alone (id int PRIMARY KEY, v text);
SELECT create_distributed_table('alone', NULL, colocate_with => 'none');
INSERT INTO countries SELECT i, 'country ' || i FROM generate_series(1, 20) i;
INSERT INTO people SELECT i, i % 20 + 1, 'person ' || i, decode(md5(i::text), 'hex') FROM generate_series(1, 2000) i;
INSERT INTO visits SELECT i % 2000 + 1, '2026-01-01'::timestamptz + i * interval '1 min', '/' || i FROM generate_series(1, 5000) i;
INSERT INTO events SELECT i, '2020-01-01'::date + i % 700 FROM generate_series(1, 1000) i;
INSERT INTO "Odd é" SELECT 'k' || i, i / 3.0 FROM generate_series(1, 500) i;
INSERT INTO alone SELECT i, 'x' || i FROM generate_series(1, 100) i;

CREATE TABLE before (answer text);
\set checksums 'SELECT string_agg(concat_ws('' '', t, n, h), '', '' ORDER BY t) FROM (SELECT ''countries'' t, count(*) n, sum(hashtextextended(r::text, 0)) h FROM growing.countries r UNION ALL SELECT ''people'', count(*), sum(hashtextextended(r::text, 0)) FROM growing.people r UNION ALL SELECT ''visits'', count(*), sum(hashtextextended(r::text, 0)) FROM growing.visits r UNION ALL SELECT ''events'', count(*), sum(hashtextextended(r::text, 0)) FROM growing.events r UNION ALL SELECT ''odd'', count(*), sum(hashtextextended(r::text, 0)) FROM growing."Odd é" r UNION ALL SELECT ''alone'', count(*), sum(hashtextextended(r::text, 0)) FROM growing.alone r) x'
INSERT INTO before SELECT result FROM run_command_on_coordinator(:'checksums');
SELECT answer ~ 'alone 100 .*countries 20 .*events 1000 .*odd 500 .*people 2000 .*visits 5000 ' AS all_rows FROM before;
-- shards of each table on the nodes, by their ports' order
CREATE VIEW spread AS
    SELECT rank() OVER (ORDER BY nodeport) AS node, count(*) FILTER (WHERE logicalrelid = 'people'::regclass) AS people,
        count(*) FILTER (WHERE logicalrelid = 'visits'::regclass) AS visits, count(*) FILTER (WHERE logicalrelid = 'events_2021'::regclass) AS events,
        count(*) FILTER (WHERE logicalrelid = '"Odd é"'::regclass) AS odd, count(*) FILTER (WHERE logicalrelid = 'countries'::regclass) AS countries
    FROM pg_dist_node n LEFT JOIN (pg_dist_placement JOIN pg_dist_shard USING (shardid)) USING (groupid)
    WHERE groupid <> 0 GROUP BY nodeport ORDER BY nodeport;
SELECT * FROM spread;

-- two become four
SELECT citus_add_node('localhost', :third) > 0 AND citus_add_node('localhost', :fourth) > 0 AS added;
SELECT success, result = (SELECT answer FROM before) AS same FROM run_command_on_all_nodes(:'checksums');
SELECT rebalance_table_shards(rebalance_strategy => 'by_shard_count', threshold => 0);
SELECT * FROM spread;
SELECT success, result = (SELECT answer FROM before) AS same FROM run_command_on_all_nodes(:'checksums');
INSERT INTO visits SELECT i, '2027-01-01', 'from four nodes' FROM generate_series(1, 2000) i;
UPDATE people SET name = upper(name);
TRUNCATE before;
INSERT INTO before SELECT result FROM run_command_on_coordinator(:'checksums');
SELECT success, result = (SELECT answer FROM before) AS same FROM run_command_on_all_nodes(:'checksums');

-- four become two
SELECT citus_drain_node('localhost', :third), citus_drain_node('localhost', :fourth);
SELECT * FROM spread;
SELECT success, result = (SELECT answer FROM before) AS same FROM run_command_on_all_nodes(:'checksums');
CALL citus_cleanup_orphaned_resources();
SELECT count(*) FROM pg_dist_cleanup;
SELECT citus_remove_node('localhost', :third), citus_remove_node('localhost', :fourth);
SELECT * FROM spread;
SELECT success, result = (SELECT answer FROM before) AS same FROM run_command_on_all_nodes(:'checksums');
INSERT INTO visits SELECT i, '2028-01-01', 'two again' FROM generate_series(1, 2000) i;
SELECT count(*), count(DISTINCT person) FROM visits JOIN people ON person = id JOIN countries ON country = countries.id;
SELECT sum(result::int) AS slots_and_publications FROM run_command_on_all_nodes('SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)');

DROP SCHEMA growing CASCADE;
-- servers that have left keep the schema
\c - - - :third
DROP SCHEMA growing CASCADE;
\c - - - :fourth
DROP SCHEMA growing CASCADE;
