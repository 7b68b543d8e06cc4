-- Views of what the nodes do and wait for; distributed transaction ids; signals by global pid.
CREATE SCHEMA activity;
SET search_path = activity;
SET application_name = 'activity_test';
CREATE TABLE t (k int PRIMARY KEY, v int);
SELECT create_distributed_table('t', 'k', shard_count => 4);
INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i;

-- Without other nodes there is no distributed transaction.
BEGIN;
SELECT transaction_number, transaction_stamp, process_id = pg_backend_pid() AS me FROM get_current_transaction_id();
COMMIT;
-- With them each part knows.
BEGIN;
UPDATE t SET v = 1;
SELECT transaction_number > 0 AS numbered, transaction_stamp = now() AS stamped,
    initiator_node_identifier = citus_nodeid_for_gpid(citus_backend_gpid()) AS here
FROM get_current_transaction_id();
SELECT a.worker_query, count(*), bool_and(a.transaction_number = c.transaction_number) AS same,
    bool_and(a.transaction_stamp = c.transaction_stamp) AS stamp, bool_and(a.global_pid = citus_backend_gpid()) AS gpid
FROM get_global_active_transactions() a, get_current_transaction_id() c
WHERE a.global_pid = citus_backend_gpid()
GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM get_all_active_transactions() WHERE process_id = pg_backend_pid();

-- The part on each worker, and this session itself.
SELECT is_worker_query, count(DISTINCT nodeid) FROM citus_stat_activity
WHERE global_pid = citus_backend_gpid() AND (NOT is_worker_query OR query LIKE '%UPDATE%')
GROUP BY 1 ORDER BY 1;
SELECT application_name, state, pid = pg_backend_pid() AS me, datname = current_database() AS database
FROM citus_dist_stat_activity WHERE application_name = 'activity_test';
SELECT count(DISTINCT nodeid) AS nodes, mode, granted FROM citus_locks
WHERE global_pid = citus_backend_gpid() AND relation_name ~ '^activity\.t_\d+$' GROUP BY 2, 3;
SELECT count(*) FROM citus_lock_waits WHERE blocking_gpid = citus_backend_gpid();
SELECT citus_blocking_pids(pg_backend_pid()), citus_isolation_test_session_is_blocked(pg_backend_pid(), '{1,2}');
SELECT check_distributed_deadlocks();
ROLLBACK;
SELECT count(*) FROM get_global_active_transactions() WHERE global_pid = citus_backend_gpid();

-- An id that is given by hand ends with the transaction.
BEGIN;
SELECT assign_distributed_transaction_id(50, 123, '2026-01-01 00:00:00+00');
SELECT initiator_node_identifier, transaction_number, transaction_stamp = '2026-01-01 00:00:00+00' AS stamp
FROM get_current_transaction_id();
SELECT assign_distributed_transaction_id(50, 124, '2026-01-01 00:00:00+00');
ROLLBACK;
SELECT transaction_number FROM get_current_transaction_id();
SELECT assign_distributed_transaction_id(50, 0, '2026-01-01 00:00:00+00');

-- Signals.
\set VERBOSITY terse
SELECT pg_cancel_backend(NULL::bigint), pg_terminate_backend(NULL::bigint), pg_terminate_backend(1::bigint, NULL);
SELECT pg_cancel_backend(-5::bigint);
SELECT pg_cancel_backend(citus_calculate_gpid(12345, 1));
SELECT pg_cancel_backend(citus_calculate_gpid(nodeid, 1)) FROM pg_dist_node ORDER BY nodeid;
SELECT pg_cancel_backend(citus_backend_gpid());
\set VERBOSITY sqlstate
SELECT pg_terminate_backend(citus_calculate_gpid(nodeid, 1), -5) FROM pg_dist_node WHERE groupid = 1;
\set VERBOSITY default

-- Users see that others are there, not what they do.
CREATE ROLE activity_user LOGIN;
GRANT USAGE ON SCHEMA activity TO activity_user;
SET ROLE activity_user;
SELECT count(*) FROM citus_lock_waits;
SELECT check_distributed_deadlocks();
SELECT citus_internal.end_local_deadlock(1, 1);
SELECT citus_internal.end_deadlock(1, 1);
RESET ROLE;
DROP SCHEMA activity CASCADE;
DROP ROLE activity_user;
