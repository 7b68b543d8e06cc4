-- Plans of rebalances, strategies, background jobs. The coordinator serves as the third node.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS rebalance_tests CASCADE;
DROP ROLE IF EXISTS rebalance_owner;
DROP ROLE IF EXISTS rebalance_other;
CREATE SCHEMA rebalance_tests;
CREATE ROLE rebalance_owner LOGIN;
CREATE ROLE rebalance_other LOGIN;
GRANT USAGE, CREATE ON SCHEMA rebalance_tests TO rebalance_owner, rebalance_other;
SET search_path TO rebalance_tests;
RESET client_min_messages;
SELECT :PORT AS coordinator, :PORT + 1 AS worker1, :PORT + 2 AS worker2 \gset

-- Strategies.
SELECT * FROM pg_dist_rebalance_strategy ORDER BY name;
CREATE FUNCTION cost(bigint) RETURNS real LANGUAGE sql AS 'SELECT 2::real';
CREATE FUNCTION no_cost(bigint) RETURNS real LANGUAGE sql AS 'SELECT NULL::real';
CREATE FUNCTION bad_cost(bigint) RETURNS real LANGUAGE sql AS $$ SELECT '-1'::real $$;
CREATE FUNCTION odd_cost(integer) RETURNS real LANGUAGE sql AS 'SELECT 2::real';
CREATE FUNCTION capacity(integer) RETURNS real LANGUAGE sql
	AS 'SELECT CASE groupid WHEN 0 THEN 3 ELSE 1 END::real FROM pg_dist_node WHERE nodeid = $1';
CREATE FUNCTION allowed(bigint, integer) RETURNS boolean LANGUAGE sql
	AS 'SELECT groupid <> 0 FROM pg_dist_node WHERE nodeid = $2';
SELECT citus_add_rebalance_strategy('odd', 'odd_cost', 'capacity', 'allowed', 0);
SELECT citus_add_rebalance_strategy('odd', 'cost', 'allowed', 'allowed', 0);
SELECT citus_add_rebalance_strategy('odd', 'cost', 'capacity', 'capacity', 0);
SELECT citus_add_rebalance_strategy('odd', 'cost', 'capacity', 'allowed', 0.1, 0.2);
SELECT citus_add_rebalance_strategy('odd', 'cost', 'capacity', 'allowed', 0.1, 0.1, -1);
SELECT citus_add_rebalance_strategy('by_shard_count', 'cost', 'capacity', 'allowed', 0);
SELECT citus_validate_rebalance_strategy_functions('cost', 'capacity', 'allowed');
SELECT citus_validate_rebalance_strategy_functions('count', 'capacity', 'allowed');
SELECT citus_add_rebalance_strategy('own', 'cost', 'capacity', 'citus_shard_allowed_on_node_true', 0.2, 0.1);
SELECT citus_add_rebalance_strategy('picky', 'cost', 'citus_node_capacity_1', 'allowed', 0);
SELECT citus_add_rebalance_strategy('null', 'no_cost', 'citus_node_capacity_1', 'allowed', 0);
SELECT citus_add_rebalance_strategy('bad', 'bad_cost', 'citus_node_capacity_1', 'allowed', 0);
SELECT citus_set_default_rebalance_strategy('nosuch');
SELECT citus_set_default_rebalance_strategy('own');
SELECT name FROM pg_dist_rebalance_strategy WHERE default_strategy;
UPDATE pg_dist_rebalance_strategy SET default_strategy = true WHERE name = 'picky';
SELECT citus_set_default_rebalance_strategy('by_disk_size');
SELECT citus_shard_cost_1(1), citus_node_capacity_1(1), citus_shard_allowed_on_node_true(1, 1);

-- Plans.
CREATE TABLE a (k int PRIMARY KEY, v text);
CREATE TABLE b (k int PRIMARY KEY REFERENCES a);
CREATE TABLE alone (k int);
CREATE TABLE ref (k int PRIMARY KEY);
CREATE TABLE plain (k int);
SELECT create_distributed_table('a', 'k', shard_count => 6, colocate_with => 'none');
SELECT create_distributed_table('b', 'k', colocate_with => 'a');
SELECT create_distributed_table('alone', NULL, colocate_with => 'none');
SELECT create_reference_table('ref');
INSERT INTO a SELECT i, repeat('x', i % 50) FROM generate_series(1, 2000) i;
INSERT INTO b SELECT i FROM generate_series(1, 2000, 3) i;

CREATE FUNCTION plan(variadic text[]) RETURNS TABLE (table_name regclass, moves bigint, source integer, target integer, sizes boolean)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT p.table_name, count(*), sourceport - %1$s, targetport - %1$s, bool_and(shard_size > 0)
		FROM get_rebalance_table_shards_plan(%2$s) p GROUP BY 1, 3, 4 ORDER BY 1, 3, 4',
		(SELECT nodeport FROM pg_dist_node WHERE groupid = 0 AND noderole = 'primary'), array_to_string($1, ', '));
END $$;
SELECT * FROM plan('''a''');
SELECT * FROM plan('''b''', 'threshold => 0', 'rebalance_strategy => ''by_shard_count''');
SELECT citus_set_node_property('localhost', :coordinator, 'shouldhaveshards', true);
SELECT * FROM plan('''a''', 'rebalance_strategy => ''by_shard_count''');
SELECT * FROM plan('''b''', 'rebalance_strategy => ''by_disk_size''');
SELECT * FROM plan('''a''', 'rebalance_strategy => ''own''');
SELECT * FROM plan('''a''', 'rebalance_strategy => ''own''', 'threshold => 0.05');
SELECT * FROM plan('''a''', 'rebalance_strategy => ''picky''');
SELECT * FROM plan('''a''', 'rebalance_strategy => ''by_shard_count''', 'drain_only => true');
SELECT * FROM plan('''a''', 'rebalance_strategy => ''by_shard_count''', 'max_shard_moves => 1');
SELECT * FROM plan('''a''', 'rebalance_strategy => ''by_shard_count''', 'max_shard_moves => 0');
SELECT * FROM plan('''a''', 'rebalance_strategy => ''by_shard_count''',
	'excluded_shard_list => ARRAY(SELECT shardid FROM pg_dist_shard WHERE logicalrelid = ''b''::regclass)');
SELECT * FROM plan('''alone''', 'rebalance_strategy => ''by_shard_count''');

-- Draining: one node, then all but the coordinator, then all.
SELECT citus_set_node_property('localhost', :worker2, 'shouldhaveshards', false);
SELECT * FROM plan('''a''', 'drain_only => true');
SELECT citus_set_node_property('localhost', :worker1, 'shouldhaveshards', false);
SELECT * FROM plan('''a''', 'drain_only => true');
-- One of the tables cannot move while writes go on: nothing is begun.
SELECT citus_rebalance_start(drain_only => true);
SELECT rebalance_table_shards('alone', drain_only => true);
SELECT count(*) FROM pg_dist_background_task;
SET client_min_messages TO error;
SELECT * FROM plan('''a''', 'drain_only => true', 'rebalance_strategy => ''picky''');
SELECT citus_set_node_property('localhost', :coordinator, 'shouldhaveshards', false);
SELECT * FROM plan('''a''', 'drain_only => true');
RESET client_min_messages;
SELECT citus_set_node_property('localhost', :worker1, 'shouldhaveshards', true);
SELECT citus_set_node_property('localhost', :worker2, 'shouldhaveshards', true);

-- Bad input changes nothing.
SELECT * FROM get_rebalance_table_shards_plan('plain');
SELECT * FROM get_rebalance_table_shards_plan('ref');
SELECT * FROM get_rebalance_table_shards_plan('a', -0.1);
SELECT * FROM get_rebalance_table_shards_plan('a', 'NaN');
SELECT * FROM get_rebalance_table_shards_plan('a', max_shard_moves => -1);
SELECT * FROM get_rebalance_table_shards_plan('a', excluded_shard_list => '{NULL}');
SELECT * FROM get_rebalance_table_shards_plan('a', excluded_shard_list => '{1}');
SELECT * FROM get_rebalance_table_shards_plan('a', rebalance_strategy => 'nosuch');
SELECT * FROM get_rebalance_table_shards_plan('a', improvement_threshold => -1);
\set VERBOSITY sqlstate
SELECT * FROM get_rebalance_table_shards_plan('a', rebalance_strategy => 'null');
SELECT * FROM get_rebalance_table_shards_plan('a', rebalance_strategy => 'bad');
\set VERBOSITY default
SELECT rebalance_table_shards('a', shard_transfer_mode => NULL);
BEGIN;
SELECT rebalance_table_shards('a');
ROLLBACK;
SELECT citus_drain_node('nosuch', 1);
SELECT citus_rebalance_wait();
SELECT citus_rebalance_stop();
SELECT citus_job_wait(-1);
SELECT citus_job_wait(NULL);
SELECT citus_job_cancel(-1);
SELECT * FROM citus_job_status(-1);
SELECT citus_shard_cost_by_disk_size(-1);

-- Rights: everyone may look at plans, owners move their tables, superusers everything.
SET ROLE rebalance_other;
SELECT count(*) FROM get_rebalance_table_shards_plan('a');
SELECT rebalance_table_shards('a');
SELECT citus_rebalance_start();
SELECT citus_drain_node('localhost', :worker1);
SELECT citus_add_rebalance_strategy('mine', 'cost', 'capacity', 'allowed', 0);
SELECT citus_set_default_rebalance_strategy('own');
RESET ROLE;

-- Jobs: tasks run as their owners, in the order of their dependencies.
CREATE FUNCTION make_job(owner regrole, variadic commands text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	job bigint;
BEGIN
	INSERT INTO pg_dist_background_job (job_type, description) VALUES ('test', 'a test') RETURNING job_id INTO job;
	INSERT INTO pg_dist_background_task (job_id, owner, command) SELECT job, $1, c FROM unnest(commands) c;
	RETURN job;
END $$;
CREATE FUNCTION tasks(job bigint) RETURNS TABLE (owner regrole, status citus_task_status, command text, retried integer, message text)
LANGUAGE sql AS 'SELECT owner, status, command, retry_count, message FROM pg_dist_background_task WHERE job_id = $1 ORDER BY task_id';
CREATE TABLE diary (entry text);
GRANT INSERT ON diary TO rebalance_owner;
SELECT make_job('rebalance_owner', 'INSERT INTO rebalance_tests.diary SELECT current_user', 'TABLE rebalance_tests.diary', 'VACUUM rebalance_tests.plain') AS job \gset
SELECT citus_job_wait(:job);
SELECT state, job_type, description, started_at <= finished_at AS times FROM citus_job_list() WHERE job_id = :job;
SELECT * FROM tasks(:job);
SELECT * FROM diary;
SELECT details -> 'task_state_counts' FROM citus_job_status(:job);
\set VERBOSITY sqlstate
SELECT citus_job_wait(:job, 'running');
SELECT citus_job_wait(:job, 'finished');
SET client_min_messages TO warning;
SELECT citus_job_cancel(:job);
RESET client_min_messages;
\set VERBOSITY default

-- A task that lost its process: to a restart of the server, which costs it no attempt, or not; while being cancelled.
BEGIN;
SELECT make_job('rebalance_owner', 'SELECT 1') AS job \gset
UPDATE pg_dist_background_task SET status = 'running', not_before = pg_postmaster_start_time() - interval '1 minute' WHERE job_id = :job;
SELECT citus_internal.interrupt_task(task_id, 1000) FROM pg_dist_background_task WHERE job_id = :job;
SELECT status, retry_count, message, not_before FROM pg_dist_background_task WHERE job_id = :job;
UPDATE pg_dist_background_task SET status = 'running', not_before = pg_postmaster_start_time() WHERE job_id = :job;
SELECT citus_internal.interrupt_task(task_id, 1000) FROM pg_dist_background_task WHERE job_id = :job;
SELECT status, retry_count, message, not_before > now() FROM pg_dist_background_task WHERE job_id = :job;
UPDATE pg_dist_background_task SET status = 'cancelling', not_before = pg_postmaster_start_time() - interval '1 minute' WHERE job_id = :job;
SELECT citus_internal.interrupt_task(task_id, 1000) FROM pg_dist_background_task WHERE job_id = :job;
SELECT status FROM pg_dist_background_task WHERE job_id = :job;
ROLLBACK;

-- Tasks of one colocation group follow one another unless they need not.
BEGIN;
SET LOCAL client_min_messages TO warning;
SELECT citus_set_node_property('localhost', :worker2, 'shouldhaveshards', false);
SELECT citus_rebalance_start('by_shard_count', drain_only => true, shard_transfer_mode => 'block_writes') AS job \gset
SELECT count(*) > 1 AS tasks, count(*) FILTER (WHERE status = 'runnable') < count(*) AS some_wait FROM pg_dist_background_task WHERE job_id = :job;
ROLLBACK;
BEGIN;
SET LOCAL client_min_messages TO warning;
SELECT citus_set_node_property('localhost', :worker2, 'shouldhaveshards', false);
SELECT citus_rebalance_start('by_shard_count', drain_only => true, shard_transfer_mode => 'block_writes', parallel_transfer_colocated_shards => true) AS job \gset
SELECT count(*) > 1 AS tasks, count(*) FILTER (WHERE status = 'runnable') < count(*) AS some_wait FROM pg_dist_background_task WHERE job_id = :job;
ROLLBACK;

-- A task that fails for good takes along those that depend on it, not the others.
BEGIN;
SELECT make_job(current_user::regrole, 'SELECT 1/0', 'SELECT 2') AS job \gset
INSERT INTO pg_dist_background_task (job_id, status, command) VALUES (:job, 'blocked', 'SELECT 3'), (:job, 'blocked', 'SELECT 4');
INSERT INTO pg_dist_background_task_depend
SELECT :job, t.task_id, (SELECT min(task_id) FROM pg_dist_background_task WHERE job_id = :job)
FROM pg_dist_background_task t WHERE t.job_id = :job AND command = 'SELECT 3';
INSERT INTO pg_dist_background_task_depend
SELECT :job, t.task_id, (SELECT task_id FROM pg_dist_background_task WHERE job_id = :job AND command = 'SELECT 2')
FROM pg_dist_background_task t WHERE t.job_id = :job AND command = 'SELECT 4';
COMMIT;
SELECT citus_job_wait(:job);
SELECT citus_job_wait(:job, 'failed');
SELECT * FROM tasks(:job);
SELECT jsonb_path_query_array(details, '$.tasks[*].message'), details -> 'task_state_counts' FROM citus_job_status(:job);

-- Cancelling: by the owner, not by others; what runs ends.
SELECT make_job('rebalance_owner', 'SELECT pg_sleep(600)', 'SELECT 1') AS job \gset
SELECT citus_job_wait(:job, 'running');
SET ROLE rebalance_other;
\set VERBOSITY sqlstate
SELECT citus_job_cancel(:job);
\set VERBOSITY default
SET ROLE rebalance_owner;
SELECT citus_job_cancel(:job);
SELECT citus_job_wait(:job, 'cancelled');
RESET ROLE;
SELECT owner, status, command FROM tasks(:job);

-- A job is not waited for where it cannot begin, nor started for a role that has no sessions.
BEGIN;
SELECT make_job(current_user::regrole, 'SELECT 1') AS job \gset
SELECT citus_job_wait(:job);
ROLLBACK;
CREATE ROLE rebalance_nologin;
GRANT USAGE, CREATE ON SCHEMA rebalance_tests TO rebalance_nologin;
BEGIN;
ALTER TABLE a OWNER TO rebalance_nologin;
ALTER TABLE b OWNER TO rebalance_nologin;
ALTER TABLE alone OWNER TO rebalance_nologin;
SELECT citus_set_node_property('localhost', :worker2, 'shouldhaveshards', false);
SET LOCAL ROLE rebalance_nologin;
SELECT citus_rebalance_start('by_shard_count', drain_only => true, shard_transfer_mode => 'block_writes');
ROLLBACK;
DROP OWNED BY rebalance_nologin;
DROP ROLE rebalance_nologin;

-- A user's temporary table does not pass for a catalog.
SET ROLE rebalance_owner;
CREATE TEMPORARY TABLE pg_dist_background_job (job_id bigint, state text);
INSERT INTO pg_temp.pg_dist_background_job VALUES (-5, 'running');
SELECT citus_job_cancel(-5);
RESET ROLE;
DROP TABLE pg_temp.pg_dist_background_job;

-- On a worker.
\c - - - :worker1
SELECT count(*) FROM get_rebalance_table_shards_plan();
SELECT citus_rebalance_start();
SELECT rebalance_table_shards();
\c - - - :coordinator

SET client_min_messages TO warning;
DELETE FROM pg_dist_rebalance_strategy WHERE name IN ('own', 'picky', 'null', 'bad');
DELETE FROM pg_dist_background_task_depend;
DELETE FROM pg_dist_background_task;
DELETE FROM pg_dist_background_job;
DROP SCHEMA rebalance_tests CASCADE;
DROP ROLE rebalance_owner, rebalance_other;
