-- What the backends of all nodes do and wait for: src/txn/distributed_id.cpp, src/txn/deadlock.cpp.
--
-- Every node is asked outside of the caller's transaction, as the caller; one that does not answer gives a warning.

CREATE FUNCTION citus_internal.local_node_id() RETURNS integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT n.nodeid FROM pg_dist_node n JOIN pg_dist_local_group USING (groupid)
                     WHERE n.noderole = 'primary'), 0)
$$;

-- The rows of a query on every active node, as JSON.
CREATE FUNCTION citus_internal.rows_of_nodes(query text, warn boolean, OUT nodeid integer, OUT "row" jsonb)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
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
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.* FROM citus_internal.rows_of_nodes('SELECT * FROM pg_catalog.get_all_active_transactions()', true) n,
        jsonb_to_record(n."row") AS r(datid oid, process_id integer, initiator_node_identifier integer,
            worker_query boolean, transaction_number bigint, transaction_stamp timestamptz, global_pid bigint)
$$;

-- --- waits ----------------------------------------------------------------------------------------

-- Who waits for whom on this node, for at least min_wait. A backend of a distributed transaction has the global pid of who
-- began it as vertex, other sessions are vertices of their own; the gpids are those of the backends that they work for. The
-- two differ for what began in a session of run_command_on_workers() and the like.
CREATE FUNCTION citus_internal.wait_edges(min_wait interval,
        OUT waiting_vertex bigint, OUT waiting_gpid bigint, OUT waiting_number bigint, OUT waiting_stamp timestamptz,
        OUT waiting_pid integer,
        OUT blocking_vertex bigint, OUT blocking_gpid bigint, OUT blocking_number bigint, OUT blocking_stamp timestamptz,
        OUT blocking_pid integer, OUT wait_start timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    WITH self AS MATERIALIZED (SELECT citus_internal.local_node_id() AS id),
    waits AS MATERIALIZED (
        SELECT l.pid, l.waitstart, l.transactionid, b.pid AS blocking_pid
        FROM pg_locks l, unnest(pg_blocking_pids(l.pid)) b(pid)
        WHERE NOT l.granted AND l.waitstart <= clock_timestamp() - min_wait),
    backends AS MATERIALIZED (
        SELECT a.pid, coalesce(a.leader_pid, a.pid) AS leader,
            coalesce(s.global_pid,
                -- Sessions for replication take no parameters, so they cannot prove themselves: superusers' are believed.
                CASE WHEN a.backend_type = 'walsender' AND (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = a.usesysid)
                    THEN substring(a.application_name, '^citus_internal gpid=(\d{1,18})$')::bigint END,
                citus_calculate_gpid((SELECT id FROM self), coalesce(a.leader_pid, a.pid))) AS gpid
        FROM pg_stat_get_activity(NULL) a LEFT JOIN citus_internal.node_sessions() s ON s.pid = coalesce(a.leader_pid, a.pid)
        WHERE a.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND EXISTS (SELECT FROM waits)),
    known AS MATERIALIZED (
        SELECT b.pid, b.gpid,
            coalesce(t.global_pid, citus_calculate_gpid((SELECT id FROM self), b.leader)) AS vertex,
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

CREATE FUNCTION citus_internal.global_wait_edges(min_wait interval, warn boolean DEFAULT false,
        OUT waiting_vertex bigint, OUT waiting_gpid bigint, OUT waiting_number bigint, OUT waiting_stamp timestamptz,
        OUT waiting_pid integer,
        OUT blocking_vertex bigint, OUT blocking_gpid bigint, OUT blocking_number bigint, OUT blocking_stamp timestamptz,
        OUT blocking_pid integer, OUT wait_start timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.* FROM citus_internal.rows_of_nodes(
            format('SELECT * FROM citus_internal.wait_edges(%L)', min_wait), warn) n,
        jsonb_to_record(n."row") AS r(waiting_vertex bigint, waiting_gpid bigint, waiting_number bigint,
            waiting_stamp timestamptz, waiting_pid integer, blocking_vertex bigint, blocking_gpid bigint,
            blocking_number bigint, blocking_stamp timestamptz, blocking_pid integer, wait_start timestamptz)
$$;

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
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.success AND r.result = 't'
    FROM citus_internal.run_commands(ARRAY[citus_nodeid_for_gpid(global_pid)],
        ARRAY[format('SELECT citus_internal.end_local_deadlock(%s, %s)',
                     citus_pid_for_gpid(global_pid), transaction_number)], false) r
$$;
REVOKE ALL ON FUNCTION citus_internal.end_deadlock(bigint, bigint) FROM PUBLIC;

-- --- activity -------------------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.citus_stat_activity(
        OUT global_pid bigint, OUT nodeid integer, OUT is_worker_query boolean, OUT datid oid, OUT datname name,
        OUT pid integer, OUT leader_pid integer, OUT usesysid oid, OUT usename name, OUT application_name text,
        OUT client_addr inet, OUT client_hostname text, OUT client_port integer,
        OUT backend_start timestamp with time zone, OUT xact_start timestamp with time zone,
        OUT query_start timestamp with time zone, OUT state_change timestamp with time zone,
        OUT wait_event_type text, OUT wait_event text, OUT state text, OUT backend_xid xid, OUT backend_xmin xid,
        OUT query_id bigint, OUT query text, OUT backend_type text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((n."row" ->> 'initiator')::bigint, citus_calculate_gpid(n.nodeid, r.pid)),
        n.nodeid, n."row" ->> 'initiator' IS NOT NULL, r.*
    FROM citus_internal.rows_of_nodes($query$
            SELECT a.*, s.global_pid AS initiator FROM pg_catalog.pg_stat_activity a
                LEFT JOIN citus_internal.node_sessions() s
                    ON s.pid OPERATOR(pg_catalog.=) coalesce(a.leader_pid, a.pid)
        $query$, true) n,
        jsonb_to_record(n."row") AS r(datid oid, datname name, pid integer, leader_pid integer, usesysid oid,
            usename name, application_name text, client_addr inet, client_hostname text, client_port integer,
            backend_start timestamptz, xact_start timestamptz, query_start timestamptz, state_change timestamptz,
            wait_event_type text, wait_event text, state text, backend_xid xid, backend_xmin xid, query_id bigint,
            query text, backend_type text)
$$;

CREATE VIEW citus.citus_stat_activity AS SELECT * FROM pg_catalog.citus_stat_activity();

CREATE VIEW citus.citus_dist_stat_activity AS
    SELECT * FROM pg_catalog.citus_stat_activity() WHERE NOT is_worker_query AND backend_type = 'client backend';

CREATE FUNCTION pg_catalog.citus_locks(
        OUT global_pid bigint, OUT nodeid integer, OUT locktype text, OUT database oid, OUT relation oid,
        OUT relation_name text, OUT page integer, OUT tuple smallint, OUT virtualxid text, OUT transactionid xid,
        OUT classid oid, OUT objid oid, OUT objsubid smallint, OUT virtualtransaction text, OUT pid integer,
        OUT mode text, OUT granted boolean, OUT fastpath boolean, OUT waitstart timestamp with time zone)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    -- A lock of a prepared transaction has no process.
    SELECT coalesce(r.initiator, citus_calculate_gpid(n.nodeid, r.pid)),
        n.nodeid, r.locktype, r.database, r.relation, r.relation_name, r.page, r.tuple, r.virtualxid, r.transactionid,
        r.classid, r.objid, r.objsubid, r.virtualtransaction, r.pid, r.mode, r.granted, r.fastpath, r.waitstart
    FROM citus_internal.rows_of_nodes($query$
            SELECT l.*, s.global_pid AS initiator, CASE WHEN d.oid IS NOT NULL THEN
                    -- The same whatever the search path of the session on the node.
                    pg_catalog.regexp_replace(l.relation::pg_catalog.regclass::text, '^(public|pg_catalog)\.', '')
                END AS relation_name
            FROM pg_catalog.pg_locks l
                LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid
                LEFT JOIN citus_internal.node_sessions() s
                    ON s.pid OPERATOR(pg_catalog.=) coalesce(a.leader_pid, a.pid)
                LEFT JOIN pg_catalog.pg_database d
                    ON d.oid = l.database AND d.datname = pg_catalog.current_database()
        $query$, true) n,
        jsonb_to_record(n."row") AS r(locktype text, database oid, relation oid, relation_name text, page integer,
            tuple smallint, virtualxid text, transactionid xid, classid oid, objid oid, objsubid smallint,
            virtualtransaction text, pid integer, mode text, granted boolean, fastpath boolean, waitstart timestamptz,
            initiator bigint)
$$;

CREATE VIEW citus.citus_locks AS SELECT * FROM pg_catalog.citus_locks();

-- Waits of statements of users for one another, wherever in the cluster they wait.
CREATE VIEW citus.citus_lock_waits AS
    WITH waits AS MATERIALIZED (
        SELECT DISTINCT w.waiting_gpid, w.blocking_gpid FROM citus_internal.global_wait_edges('0', true) w
        WHERE w.waiting_gpid <> w.blocking_gpid),
    activity AS MATERIALIZED (
        SELECT a.global_pid, a.nodeid, a.query FROM pg_catalog.citus_stat_activity() a WHERE NOT a.is_worker_query)
    SELECT w.waiting_gpid, w.blocking_gpid,
        waiting.query AS blocked_statement,
        blocking.query AS current_statement_in_blocking_process,
        citus_nodeid_for_gpid(w.waiting_gpid) AS waiting_nodeid,
        citus_nodeid_for_gpid(w.blocking_gpid) AS blocking_nodeid
    FROM waits w
        JOIN activity waiting ON waiting.global_pid = w.waiting_gpid
        JOIN activity blocking ON blocking.global_pid = w.blocking_gpid;

ALTER VIEW citus.citus_stat_activity SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_dist_stat_activity SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_locks SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_lock_waits SET SCHEMA pg_catalog;
GRANT SELECT ON pg_catalog.citus_stat_activity, pg_catalog.citus_dist_stat_activity, pg_catalog.citus_locks,
    pg_catalog.citus_lock_waits TO PUBLIC;

-- The processes of this node that a process of this node waits for, here or through other nodes.
CREATE FUNCTION pg_catalog.citus_blocking_pids(pBlockedPid integer) RETURNS integer[]
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY(
        SELECT unnest(pg_blocking_pids(pBlockedPid))
        UNION
        SELECT citus_pid_for_gpid(w.blocking_gpid)
        FROM citus_internal.global_wait_edges('0', true) w
        WHERE w.waiting_gpid = citus_calculate_gpid(citus_internal.local_node_id(), pBlockedPid)
          AND citus_nodeid_for_gpid(w.blocking_gpid) = citus_internal.local_node_id()
          AND w.blocking_gpid <> w.waiting_gpid)
$$;

CREATE FUNCTION pg_catalog.citus_isolation_test_session_is_blocked(pBlockedPid integer, pInterestingPids integer[])
    RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT citus_blocking_pids(pBlockedPid) && pInterestingPids $$;

-- --- signals by global pid ------------------------------------------------------------------------

CREATE FUNCTION citus_internal.signal_backend(global_pid bigint, call text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    node integer;
    answer record;
BEGIN
    IF global_pid IS NULL OR call IS NULL THEN
        RETURN NULL;
    END IF;
    IF global_pid < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'invalid global pid';
    END IF;
    node := citus_nodeid_for_gpid(global_pid);
    -- A plain process id is one of this server.
    IF node = 0 THEN
        node := citus_internal.local_node_id();
    ELSIF NOT EXISTS (SELECT FROM pg_dist_node WHERE nodeid = node) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no node with id %s', node),
            DETAIL = 'The node id is the first part of a global pid.';
    END IF;
    call := format(call, citus_pid_for_gpid(global_pid));
    IF node = citus_internal.local_node_id() THEN
        EXECUTE 'SELECT ' || call INTO answer;
        RETURN answer.done;
    END IF;
    SELECT r.* INTO answer FROM citus_internal.run_commands(ARRAY[node], ARRAY['SELECT ' || call], false) r;
    IF NOT answer.success THEN
        RAISE EXCEPTION USING
            ERRCODE = coalesce(answer.sqlstate, 'connection_failure'),
            MESSAGE = answer.result;
    END IF;
    RETURN answer.result = 't';
END
$$;

CREATE FUNCTION pg_catalog.pg_cancel_backend(global_pid bigint) RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT citus_internal.signal_backend(global_pid, 'pg_catalog.pg_cancel_backend(%s) AS done') $$;

CREATE FUNCTION pg_catalog.pg_terminate_backend(global_pid bigint, timeout bigint DEFAULT 0) RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT citus_internal.signal_backend(global_pid,
        'pg_catalog.pg_terminate_backend(%s, ' || timeout || '::bigint) AS done')
$$;
