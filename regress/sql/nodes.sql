-- Nodes come, go, and change; afterwards the cluster is as it was.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS nodes_tests CASCADE;
CREATE SCHEMA nodes_tests;
SET search_path TO nodes_tests;
RESET client_min_messages;
SELECT :PORT AS coordinator, :PORT + 1 AS worker1, :PORT + 2 AS worker2 \gset

CREATE VIEW nodes AS
SELECT nodename, nodeport - (SELECT nodeport FROM pg_dist_node WHERE groupid = 0 AND noderole = 'primary') AS port,
	noderole, hasmetadata, isactive, metadatasynced, shouldhaveshards
FROM pg_dist_node ORDER BY 2, 1;
SELECT * FROM nodes;
SELECT node_name, node_port - :coordinator AS port FROM citus_get_active_worker_nodes();
SELECT nodename, nodeport - :coordinator AS port, role, active FROM citus_nodes ORDER BY 2;
SELECT citus_nodename_for_nodeid(citus_coordinator_nodeid()), citus_nodeport_for_nodeid(get_nodeid_for_groupid(0)) - :coordinator AS port;
SELECT citus_nodename_for_nodeid(-1), citus_nodeport_for_nodeid(NULL);
SELECT citus_check_connection_to_node('localhost', :worker1), citus_check_connection_to_node('localhost', 1);
SELECT from_nodeport - :coordinator AS from_node, to_nodeport - :coordinator AS to_node, result
FROM citus_check_cluster_node_health() ORDER BY 1, 2;

-- Nothing comes of bad input.
SELECT citus_add_node('', :worker1);
SELECT citus_add_node('localhost', 0);
SELECT citus_add_node('localhost', 65536);
SELECT citus_add_node(repeat('x', 300), :worker1);
SELECT citus_add_node('localhost', 1, groupid => -2);
SELECT citus_add_node('localhost', 1, noderole => 'secondary');
SELECT citus_add_node('localhost', 1, nodecluster => 'other');
SELECT citus_add_node(NULL, 1) IS NULL AS strict;
SELECT citus_remove_node('localhost', 1);
SELECT citus_disable_node('localhost', 1);
SELECT citus_activate_node('localhost', 1);
SELECT citus_update_node(-1, 'localhost', 1);
SELECT citus_set_node_property('localhost', 1, 'shouldhaveshards', true);
SELECT citus_set_node_property('localhost', :worker1, 'color', true);
SELECT citus_set_coordinator_host('', 1);
SELECT citus_disable_node('localhost', :coordinator);
SELECT citus_remove_node('localhost', :coordinator);
-- Messages with ports in them, as SQLSTATE only: unreachable; this very server under another name.
\set VERBOSITY sqlstate
SELECT citus_add_node('localhost', 1);
SELECT citus_add_node('localhost', 1, groupid => 0);
SELECT citus_add_node('nowhere.invalid', 5432);
SELECT citus_add_node('127.0.0.1', :coordinator);
SELECT citus_set_coordinator_host('localhost', :worker1);
\set VERBOSITY default
SELECT count(*) FROM pg_dist_node;

-- A node that is there already is left alone.
SELECT citus_add_node('localhost', :worker1) = (SELECT nodeid FROM pg_dist_node WHERE nodeport = :worker1) AS same;

-- Tables of all kinds; sequences whose values must not come twice.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE countries (id int PRIMARY KEY, name text, feeling mood DEFAULT 'ok', shout text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE "Städte" (id int PRIMARY KEY, country int REFERENCES countries, above int REFERENCES "Städte", "the ""name""" text);
INSERT INTO countries (id, name) SELECT i, E'name\t' || i FROM generate_series(1, 500) i;
SELECT create_reference_table('countries');
SELECT create_reference_table('"Städte"');
INSERT INTO "Städte" VALUES (1, 1, NULL, E'tab\there'), (2, 2, 1, NULL), (3, 2, 1, E'new\nline \\N');
SELECT citus_set_node_property('localhost', :worker2, 'shouldhaveshards', false);
SELECT success, result FROM run_command_on_all_nodes('SELECT count(*) FROM pg_dist_node WHERE shouldhaveshards');
CREATE TABLE people (id bigserial PRIMARY KEY, country int REFERENCES countries, number bigint GENERATED ALWAYS AS IDENTITY);
SELECT create_distributed_table('people', 'id');
SELECT DISTINCT nodeport - :coordinator AS port FROM pg_dist_shard_placement WHERE shardid IN
	(SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'people'::regclass);

-- Leaving: not with the only placement of a shard; otherwise nothing stays behind on the node.
\set VERBOSITY sqlstate
SELECT citus_remove_node('localhost', :worker1);
SELECT citus_disable_node('localhost', :worker1);
\set VERBOSITY default
SELECT citus_remove_node('localhost', :worker2);
SELECT * FROM nodes;
SELECT count(*) FROM pg_dist_placement WHERE shardid IN (SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'countries'::regclass);
\c - - - :worker2
SELECT citus_is_coordinator(), (SELECT count(*) FROM pg_dist_node) AS nodes, (SELECT count(*) FROM pg_dist_partition) AS tables;
SELECT relname FROM pg_class WHERE relnamespace = 'nodes_tests'::regnamespace AND relkind <> 'i';
\c - - - :coordinator
SET search_path TO nodes_tests;

-- A table of the same name is in the way: nothing of the cluster stays on that node.
SELECT success, result FROM run_command_on_all_nodes('SELECT count(*) FROM pg_dist_node');
\c - - - :worker2
SET client_min_messages TO warning;
CREATE SCHEMA IF NOT EXISTS nodes_tests;
CREATE TABLE nodes_tests.people ();
\c - - - :coordinator
SET search_path TO nodes_tests;
SELECT citus_add_node('localhost', :worker2);
SELECT * FROM nodes;
\c - - - :worker2
SELECT citus_is_coordinator(), (SELECT count(*) FROM pg_dist_node) AS nodes, (SELECT count(*) FROM pg_dist_partition) AS tables;
SELECT relname FROM pg_class WHERE relnamespace = 'nodes_tests'::regnamespace AND relkind <> 'i';
DROP TABLE nodes_tests.people;
\c - - - :coordinator
SET search_path TO nodes_tests;
-- Cancelled, nothing is left either.
SET statement_timeout TO '1ms';
SELECT citus_add_node('localhost', :worker2);
RESET statement_timeout;
SELECT * FROM nodes;

-- Joining: inactive first, then with everything.
SELECT citus_add_inactive_node('localhost', :worker2) > 0 AS added;
SELECT * FROM nodes;
SELECT success, result FROM run_command_on_workers('SELECT count(*) FROM pg_dist_node');
SELECT citus_activate_node('localhost', :worker2) = (SELECT nodeid FROM pg_dist_node WHERE nodeport = :worker2) AS same;
SELECT * FROM nodes;
SELECT success, result FROM run_command_on_all_nodes('SELECT count(*) FROM pg_dist_node');
SELECT count(*) FROM pg_dist_placement WHERE shardid IN (SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'countries'::regclass);
SELECT rebalance_table_shards(max_shard_moves => 0);
SELECT success, result FROM run_command_on_placements('countries', 'SELECT md5(string_agg(t::text, $$,$$ ORDER BY id)) FROM %s t');
SELECT success, result FROM run_command_on_placements('"Städte"', 'SELECT md5(string_agg(t::text, $$,$$ ORDER BY id)) FROM %s t');
SELECT success, result FROM run_command_on_placements('"Städte"',
	'SELECT count(*) FROM pg_constraint WHERE conrelid = %L::regclass AND contype = $$f$$');
\c - - - :worker2
SET search_path TO nodes_tests;
SELECT count(*) FROM countries;
INSERT INTO "Städte" VALUES (4, 1000);
INSERT INTO people (country) VALUES (1) RETURNING id & 65535 AS id, number & 65535 AS number;
\set VERBOSITY sqlstate
SELECT citus_add_node('localhost', 1);
\set VERBOSITY default
\c - - - :coordinator
SET search_path TO nodes_tests;

-- Disabled, it misses what happens; activated again, it has it, and its sequences go on.
SELECT citus_disable_node('localhost', :worker2);
SELECT * FROM nodes;
INSERT INTO countries (id, name) VALUES (1000, 'new');
ALTER TABLE people ADD COLUMN note text;
SELECT citus_activate_node('localhost', :worker2) > 0 AS activated;
SELECT rebalance_table_shards(max_shard_moves => 0);
SELECT success, result FROM run_command_on_placements('countries', 'SELECT md5(string_agg(t::text, $$,$$ ORDER BY id)) FROM %s t');
\c - - - :worker2
SET search_path TO nodes_tests;
INSERT INTO people (country, note) VALUES (1000, 'second') RETURNING id & 65535 AS id, number & 65535 AS number, note;
\c - - - :coordinator
SET search_path TO nodes_tests;
SELECT citus_set_node_property('localhost', :worker2, 'shouldhaveshards', true);

-- Another name for the same server, on all nodes; twice in a transaction as in a switchover.
SELECT nodeid AS node2 FROM pg_dist_node WHERE nodeport = :worker2 \gset
BEGIN;
SELECT citus_update_node(:node2, 'worker-demoted.invalid', :worker2, true, 1000);
SELECT * FROM nodes;
SELECT citus_update_node(:node2, '127.0.0.1', :worker2, true, 1000);
COMMIT;
SELECT DISTINCT success, result FROM run_command_on_all_nodes('SELECT string_agg(nodename, $$,$$ ORDER BY nodeport) FROM pg_dist_node');
SELECT count(*) FROM people;
\set VERBOSITY sqlstate
SELECT citus_update_node(:node2, 'localhost', :worker1);
\set VERBOSITY default
SELECT citus_update_node(:node2, 'localhost', :worker2);
SELECT citus_set_coordinator_host('127.0.0.1', :coordinator);
SELECT DISTINCT success, result FROM run_command_on_all_nodes('SELECT string_agg(nodename, $$,$$ ORDER BY nodeport) FROM pg_dist_node');
SELECT citus_set_coordinator_host('localhost', :coordinator);

-- Rolled back, nothing happened.
BEGIN;
SELECT citus_disable_node('localhost', :worker2);
ROLLBACK;
SELECT * FROM nodes;
SELECT DISTINCT success, result FROM run_command_on_all_nodes('SELECT count(*) FROM pg_dist_node WHERE isactive');

-- Ordinary roles may look, not touch.
CREATE ROLE nodes_tester;
SET ROLE nodes_tester;
SELECT count(*) FROM pg_dist_node;
SELECT citus_add_node('localhost', 1);
SELECT citus_remove_node('localhost', 1);
SELECT citus_update_node(1, 'localhost', 1);
SELECT citus_internal.leave_cluster();
RESET ROLE;
SET client_min_messages TO warning;
DROP SCHEMA nodes_tests CASCADE;
DROP ROLE nodes_tester;

-- The last table in a transaction that changed nodes: its shards go, too.
CREATE TABLE public.last_table (k int);
SELECT create_distributed_table('public.last_table', 'k', shard_count => 2, colocate_with => 'none');
BEGIN;
SELECT citus_set_node_property('localhost', :worker2, 'shouldhaveshards', true);
DROP TABLE public.last_table;
COMMIT;
SELECT success, result FROM run_command_on_all_nodes('SELECT count(*) FROM pg_class WHERE relname ~ ''^last_table''');
