-- What the backends of all nodes do and wait for: src/txn/distributed_id.cpp, src/txn/deadlock.cpp.
--
-- Every node is asked outside of the caller's transaction, as the caller; one that does not answer gives a warning.

CREATE FUNCTION citus_internal.local_node_id() RETURNS integer
    LANGUAGE sql STABLE SET search_path = pg_catalog
AS $$
    SELECT coalesce((SELECT n.nodeid FROM pg_dist_node n JOIN pg_dist_local_group USING (groupid)
                     WHERE n.noderole = 'primary'), 0)
$$;

-- The rows of a query on every active node, as JSON.
CREATE FUNCTION citus_internal.rows_of_nodes(query text, warn boolean, OUT nodeid integer, OUT "row" jsonb)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog
AS $$
DECLARE
    nodes integer[] := ARRAY(
        SELECT n.nodeid FROM pg_dist_node n
        WHERE n.noderole = 'primary' AND n.isactive
          AND n.groupid <> (SELECT groupid FROM pg_dist_local_group)
        ORDER BY n.nodeid);
    command text := format('SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(q)), ''[]'') FROM (%s) q', query);
    local_rows jsonb;
    answer record;
BEGIN
    EXECUTE command INTO local_rows;
    RETURN QUERY SELECT citus_internal.local_node_id(), r.value FROM jsonb_array_elements(local_rows) r;
    FOR answer IN
        SELECT r.* FROM citus_internal.run_commands(nodes, array_fill(command, ARRAY[cardinality(nodes)]), true) r
    LOOP
        IF answer.success THEN
            RETURN QUERY SELECT nodes[answer.place], r.value FROM jsonb_array_elements(answer.result::jsonb) r;
        ELSIF warn THEN
            RAISE WARNING USING ERRCODE = 'connection_failure', MESSAGE = answer.result;
        END IF;
    END LOOP;
END
$$;

-- --- distributed transactions ---------------------------------------------------------------------

CREATE FUNCTION pg_catalog.get_all_active_transactions(
        OUT datid oid, OUT process_id integer, OUT initiator_node_identifier integer, OUT worker_query boolean,
        OUT transaction_number bigint, OUT transaction_stamp timestamp with time zone, OUT global_pid bigint)
    RETURNS SETOF record
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'get_all_active_transactions';

CREATE FUNCTION pg_catalog.get_global_active_transactions(
        OUT datid oid, OUT process_id integer, OUT initiator_node_identifier integer, OUT worker_query boolean,
        OUT transaction_number bigint, OUT transaction_stamp timestamp with time zone, OUT global_pid bigint)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog
AS $$
    SELECT r.* FROM citus_internal.rows_of_nodes('SELECT * FROM pg_catalog.get_all_active_transactions()', true) n,
        jsonb_to_record(n."row") AS r(datid oid, process_id integer, initiator_node_identifier integer,
            worker_query boolean, transaction_number bigint, transaction_stamp timestamptz, global_pid bigint)
$$;

-- --- waits ----------------------------------------------------------------------------------------

-- Who waits for whom on this node, for at least min_wait. A backend of a distributed transaction has its initiator's
-- global pid as vertex, other sessions are vertices of their own; the gpids are those of the initiators.
CREATE FUNCTION citus_internal.wait_edges(min_wait interval,
        OUT waiting_vertex bigint, OUT waiting_gpid bigint, OUT waiting_number bigint, OUT waiting_stamp timestamptz,
        OUT waiting_pid integer,
        OUT blocking_vertex bigint, OUT blocking_gpid bigint, OUT blocking_number bigint, OUT blocking_stamp timestamptz,
        OUT blocking_pid integer, OUT wait_start timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog
AS $$
    WITH waits AS MATERIALIZED (
        SELECT l.pid, l.waitstart, l.transactionid, b.pid AS blocking_pid
        FROM pg_locks l, unnest(pg_blocking_pids(l.pid)) b(pid)
        WHERE NOT l.granted AND l.waitstart <= clock_timestamp() - min_wait),
    backends AS MATERIALIZED (
        SELECT a.pid, coalesce(a.leader_pid, a.pid) AS leader,
            coalesce(substring(a.application_name FROM '^citus_internal gpid=(\d{1,18})$')::bigint,
                     citus_calculate_gpid(citus_internal.local_node_id(), coalesce(a.leader_pid, a.pid))) AS gpid
        FROM pg_stat_get_activity(NULL) a
        WHERE a.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND EXISTS (SELECT FROM waits)),
    known AS MATERIALIZED (
        SELECT b.pid, coalesce(t.global_pid, b.gpid) AS gpid,
            coalesce(t.global_pid, citus_calculate_gpid(citus_internal.local_node_id(), b.leader)) AS vertex,
            coalesce(t.transaction_number, 0) AS number, t.transaction_stamp AS stamp
        FROM backends b LEFT JOIN get_all_active_transactions() t ON t.process_id = b.leader
        UNION ALL
        -- Locks of a prepared part belong to its transaction.
        SELECT -w.pid, g.gpid, g.gpid, split_part(p.gid, '_', 5)::bigint, NULL
        FROM (SELECT DISTINCT pid, transactionid FROM waits WHERE blocking_pid = 0) w
            JOIN pg_prepared_xacts p ON p.transaction = w.transactionid AND p.gid ~ '^citus_\d+_\d+_\d+_\d+_\d+$',
            LATERAL (
                SELECT citus_calculate_gpid(coalesce((
                        SELECT n.nodeid FROM pg_dist_node n
                        WHERE n.groupid = split_part(p.gid, '_', 2)::integer AND n.noderole = 'primary'), 0),
                    split_part(p.gid, '_', 4)::integer) AS gpid) g)
    SELECT DISTINCT w.vertex, w.gpid, w.number, w.stamp, w.pid, b.vertex, b.gpid, b.number, b.stamp, greatest(b.pid, 0),
        waits.waitstart
    FROM waits
        JOIN known w ON w.pid = waits.pid
        JOIN known b ON b.pid = CASE waits.blocking_pid WHEN 0 THEN -waits.pid ELSE waits.blocking_pid END
$$;
REVOKE ALL ON FUNCTION citus_internal.wait_edges(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citus_internal.wait_edges(interval) TO pg_monitor;

CREATE FUNCTION citus_internal.global_wait_edges(min_wait interval, warn boolean DEFAULT false,
        OUT waiting_vertex bigint, OUT waiting_gpid bigint, OUT waiting_number bigint, OUT waiting_stamp timestamptz,
        OUT waiting_pid integer,
        OUT blocking_vertex bigint, OUT blocking_gpid bigint, OUT blocking_number bigint, OUT blocking_stamp timestamptz,
        OUT blocking_pid integer, OUT wait_start timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog
AS $$
    SELECT r.* FROM citus_internal.rows_of_nodes(
            format('SELECT * FROM citus_internal.wait_edges(%L)', min_wait), warn) n,
        jsonb_to_record(n."row") AS r(waiting_vertex bigint, waiting_gpid bigint, waiting_number bigint,
            waiting_stamp timestamptz, waiting_pid integer, blocking_vertex bigint, blocking_gpid bigint,
            blocking_number bigint, blocking_stamp timestamptz, blocking_pid integer, wait_start timestamptz)
$$;
REVOKE ALL ON FUNCTION citus_internal.global_wait_edges(interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citus_internal.global_wait_edges(interval, boolean) TO pg_monitor;

-- --- deadlocks ------------------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.check_distributed_deadlocks() RETURNS boolean
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'check_distributed_deadlocks';
REVOKE ALL ON FUNCTION pg_catalog.check_distributed_deadlocks() FROM PUBLIC;

CREATE FUNCTION citus_internal.end_local_deadlock(pid integer, transaction_number bigint) RETURNS boolean
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_end_local_deadlock';
REVOKE ALL ON FUNCTION citus_internal.end_local_deadlock(integer, bigint) FROM PUBLIC;

CREATE FUNCTION citus_internal.end_deadlock(global_pid bigint, transaction_number bigint) RETURNS boolean
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog
AS $$
    SELECT r.success AND r.result = 't'
    FROM citus_internal.run_commands(ARRAY[citus_nodeid_for_gpid(global_pid)],
        ARRAY[format('SELECT citus_internal.end_local_deadlock(%s, %s)',
                     citus_pid_for_gpid(global_pid), transaction_number)], false) r
$$;
REVOKE ALL ON FUNCTION citus_internal.end_deadlock(bigint, bigint) FROM PUBLIC;
