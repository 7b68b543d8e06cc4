-- Nodes that cannot join: the error names them and nothing is left behind.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT :PORT AS coordinator, :PORT + 1 AS worker1, :PORT + 2 AS worker2, :PORT + 9 AS nobody \gset
SELECT 1 FROM citus_remove_node('localhost', :worker2);
CREATE SCHEMA nodes_refused;
-- Ports differ from run to run.
CREATE FUNCTION nodes_refused.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
	port int = (SELECT nodeport FROM pg_dist_node WHERE groupid = 0);
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN replace(replace(replace(format('%s: %s (%s)', SQLSTATE, SQLERRM, hint), (port + 2)::text, '<worker2>'),
		(port + 9)::text, '<nobody>'), port::text, '<coordinator>');
END $$;
CREATE FUNCTION nodes_refused.try_add() RETURNS TABLE (answer text, nodes bigint) LANGUAGE sql AS $$
	SELECT nodes_refused.try(format('SELECT citus_add_node(''localhost'', %s)', nodeport + 2)), (SELECT count(*) FROM pg_dist_node)
	FROM pg_dist_node WHERE groupid = 0 $$;

\c - - - :worker2
DROP EXTENSION citus;
\c - - - :coordinator
SELECT * FROM nodes_refused.try_add();
\c - - - :worker2
CREATE EXTENSION citus;
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'citus';
\c - - - :coordinator
SELECT * FROM nodes_refused.try_add();
\c - - - :worker2
UPDATE pg_extension SET extversion = '1.1' WHERE extname = 'citus';
SELECT citus_set_coordinator_host('localhost', :worker2);
\c - - - :coordinator
-- A coordinator of its own.
SELECT * FROM nodes_refused.try_add();
\c - - - :worker2
SELECT citus_remove_node('localhost', :worker2);
CREATE TABLE own (k int PRIMARY KEY);
SELECT create_reference_table('own');
\c - - - :coordinator
SELECT * FROM nodes_refused.try_add();
\c - - - :worker2
DROP TABLE own;
\c - - - :coordinator
-- Nobody there, no such host, this very server, and what is no address at all.
SELECT nodes_refused.try(format('SELECT citus_add_node(''localhost'', %s)', :nobody));
SELECT nodes_refused.try(format('SELECT citus_add_node(''127.0.0.1'', %s)', :coordinator));
-- A node of the cluster by another name.
SELECT replace(nodes_refused.try(format('SELECT citus_add_node(''127.0.0.1'', %s)', :worker1)), :'worker1', '<worker1>');
SELECT nodes_refused.try('SELECT citus_add_node(''no such "host"'', 5432)');
SELECT nodes_refused.try('SELECT citus_add_node('''', 5432)');
SELECT nodes_refused.try('SELECT citus_add_node(''localhost'', 0)');
SELECT nodes_refused.try('SELECT citus_add_node(''localhost'', 65536)');
SELECT nodes_refused.try('SELECT citus_add_node(repeat(''x'', 300), 5432)');
SELECT citus_add_node(NULL, 5432) IS NULL AS nothing;
SELECT nodes_refused.try(format('SELECT citus_activate_node(''localhost'', %s)', :worker2));
SELECT nodes_refused.try(format('SELECT citus_disable_node(''localhost'', %s)', :worker2));
SELECT nodes_refused.try(format('SELECT citus_remove_node(''localhost'', %s)', :worker2));
SELECT nodes_refused.try(format('SELECT citus_remove_node(''localhost'', %s)', :coordinator));
SELECT nodes_refused.try('SELECT citus_update_node(0, ''localhost'', 5432)');
SELECT count(*), bool_and(isactive) AS active FROM pg_dist_node;
-- Twice is once.
SELECT citus_add_node('localhost', :worker2) = citus_add_node('localhost', :worker2) AS same;
SELECT DISTINCT result FROM run_command_on_all_nodes('SELECT count(*) FROM pg_dist_node WHERE isactive AND metadatasynced');
SET client_min_messages = warning;
DROP SCHEMA nodes_refused CASCADE;
