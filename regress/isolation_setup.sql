-- Isolation tests: isolationtester asks the server whether a session waits for another. A session of the coordinator
-- also waits when a node that works for it does, so the question is put to the workers as well. The server's own function
-- is renamed, not replaced: a call by its oid would still run the old one.
ALTER FUNCTION pg_catalog.pg_isolation_test_session_is_blocked(int, int[]) RENAME TO civitas_session_is_blocked_here;

CREATE FUNCTION pg_catalog.pg_isolation_test_session_is_blocked(pid int, others int[])
RETURNS bool LANGUAGE plpgsql VOLATILE STRICT AS $$
BEGIN
	IF pg_catalog.civitas_session_is_blocked_here(pid, others) THEN
		RETURN true;
	END IF;
	RETURN EXISTS (SELECT FROM run_command_on_workers(format($cmd$
		SELECT count(*) FROM pg_stat_activity
		WHERE application_name ~ '^citus_internal gpid=[0-9]*0*%s$'
			AND cardinality(pg_blocking_pids(pid)) > 0
		$cmd$, pid)) WHERE success AND result <> '0');
END
$$;
