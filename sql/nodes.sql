-- The nodes of the cluster: src/cluster.

CREATE FUNCTION pg_catalog.citus_set_coordinator_host(host text,
        port integer DEFAULT current_setting('port')::integer,
        node_role noderole DEFAULT 'primary', node_cluster name DEFAULT 'default') RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_set_coordinator_host';
CREATE FUNCTION pg_catalog.citus_add_node(nodename text, nodeport integer, groupid integer DEFAULT -1,
        noderole noderole DEFAULT 'primary', nodecluster name DEFAULT 'default') RETURNS integer
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_add_node';
CREATE FUNCTION pg_catalog.citus_add_inactive_node(nodename text, nodeport integer, groupid integer DEFAULT -1,
        noderole noderole DEFAULT 'primary', nodecluster name DEFAULT 'default') RETURNS integer
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_add_inactive_node';
CREATE FUNCTION pg_catalog.citus_add_secondary_node(nodename text, nodeport integer,
        primaryname text, primaryport integer, nodecluster name DEFAULT 'default') RETURNS integer
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_add_secondary_node';
CREATE FUNCTION pg_catalog.master_add_secondary_node(nodename text, nodeport integer,
        primaryname text, primaryport integer, nodecluster name DEFAULT 'default') RETURNS integer
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_add_secondary_node';
CREATE FUNCTION pg_catalog.citus_activate_node(nodename text, nodeport integer) RETURNS integer
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_activate_node';
CREATE FUNCTION pg_catalog.citus_disable_node(nodename text, nodeport integer,
        synchronous boolean DEFAULT false) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_disable_node';
CREATE FUNCTION pg_catalog.citus_remove_node(nodename text, nodeport integer) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_remove_node';
CREATE FUNCTION pg_catalog.citus_update_node(node_id integer, new_node_name text, new_node_port integer,
        force boolean DEFAULT false, lock_cooldown integer DEFAULT 10000) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_update_node';
CREATE FUNCTION pg_catalog.citus_pause_node_within_txn(node_id integer, force boolean DEFAULT false,
        lock_cooldown integer DEFAULT 10000) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_pause_node_within_txn';
CREATE FUNCTION pg_catalog.citus_set_node_property(nodename text, nodeport integer, property text,
        value boolean) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_set_node_property';

-- One point in the WAL of all nodes to which they can be restored together: src/cluster/restore_point.cpp.
CREATE FUNCTION pg_catalog.citus_create_restore_point(text) RETURNS pg_lsn
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_create_restore_point';

REVOKE ALL ON FUNCTION
    pg_catalog.citus_create_restore_point(text),
    pg_catalog.citus_set_coordinator_host(text, integer, noderole, name),
    pg_catalog.citus_add_node(text, integer, integer, noderole, name),
    pg_catalog.citus_add_inactive_node(text, integer, integer, noderole, name),
    pg_catalog.citus_add_secondary_node(text, integer, text, integer, name),
    pg_catalog.master_add_secondary_node(text, integer, text, integer, name),
    pg_catalog.citus_activate_node(text, integer),
    pg_catalog.citus_disable_node(text, integer, boolean),
    pg_catalog.citus_remove_node(text, integer),
    pg_catalog.citus_update_node(integer, text, integer, boolean, integer),
    pg_catalog.citus_pause_node_within_txn(integer, boolean, integer),
    pg_catalog.citus_set_node_property(text, integer, text, boolean)
FROM PUBLIC;

-- Asking ------------------------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.citus_get_active_worker_nodes(OUT node_name text, OUT node_port bigint)
    RETURNS SETOF record
    LANGUAGE sql STRICT STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.nodename, n.nodeport::bigint FROM pg_catalog.pg_dist_node n
    WHERE n.noderole = 'primary' AND n.isactive AND n.groupid <> 0
    ORDER BY n.nodename, n.nodeport
$$;

CREATE FUNCTION pg_catalog.citus_is_coordinator() RETURNS boolean
    LANGUAGE sql STRICT STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_local_group WHERE groupid = 0) $$;

CREATE FUNCTION pg_catalog.citus_is_primary_node() RETURNS boolean
    LANGUAGE C STRICT STABLE
    AS 'MODULE_PATHNAME', 'citus_is_primary_node';

CREATE FUNCTION pg_catalog.citus_coordinator_nodeid() RETURNS integer
    LANGUAGE sql STRICT STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT nodeid FROM pg_catalog.pg_dist_node WHERE groupid = 0 AND noderole = 'primary' $$;

CREATE FUNCTION pg_catalog.get_nodeid_for_groupid(groupidinput integer) RETURNS integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT nodeid FROM pg_catalog.pg_dist_node WHERE groupid = groupidinput AND noderole = 'primary' $$;

CREATE FUNCTION pg_catalog.citus_nodename_for_nodeid(nodeid integer) RETURNS text
    LANGUAGE sql STRICT STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT n.nodename FROM pg_catalog.pg_dist_node n WHERE n.nodeid = citus_nodename_for_nodeid.nodeid $$;

CREATE FUNCTION pg_catalog.citus_nodeport_for_nodeid(nodeid integer) RETURNS integer
    LANGUAGE sql STRICT STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT n.nodeport FROM pg_catalog.pg_dist_node n WHERE n.nodeid = citus_nodeport_for_nodeid.nodeid $$;

-- Every active node asks for a connection to every active node. NULL: the asking node did not answer; false also for one that
-- has not been told of the newest changes of nodes yet.
CREATE FUNCTION pg_catalog.citus_check_cluster_node_health(
        OUT from_nodename text, OUT from_nodeport integer,
        OUT to_nodename text, OUT to_nodeport integer, OUT result boolean)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    WITH pairs AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY f.nodename, f.nodeport, t.nodename, t.nodeport) AS place,
            f.nodeid, f.metadatasynced, f.nodename AS from_name, f.nodeport AS from_port,
            t.nodename AS to_name, t.nodeport AS to_port,
            format('SELECT citus_check_connection_to_node(%L, %s)', t.nodename, t.nodeport) AS command
        FROM pg_dist_node f, pg_dist_node t
        WHERE f.noderole = 'primary' AND f.isactive AND t.noderole = 'primary' AND t.isactive)
    SELECT p.from_name, p.from_port, p.to_name, p.to_port,
        CASE WHEN r.success THEN r.result::boolean AND p.metadatasynced END
    FROM citus_internal.run_commands(
            ARRAY(SELECT nodeid FROM pairs ORDER BY place),
            ARRAY(SELECT pairs.command FROM pairs ORDER BY place), true) r
        JOIN pairs p USING (place)
    ORDER BY place
$$;
REVOKE ALL ON FUNCTION pg_catalog.citus_check_cluster_node_health() FROM PUBLIC;

-- Called by the coordinator on a node that joins or leaves ------------------------------------------

-- Names this server and database; two addresses that give the same text lead to one server.
CREATE FUNCTION citus_internal.server_identity() RETURNS text
    LANGUAGE C STRICT STABLE
    AS 'MODULE_PATHNAME', 'citus_internal_server_identity';

-- Forgets the cluster: metadata, shells of its tables, shards, and what moves that a crash ended have left: it may be that
-- nobody could clean up here since. Positions of sequences are kept for restore_sequences(), for their values must never be handed out again.
CREATE FUNCTION citus_internal.leave_cluster() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    tables text[] := ARRAY(
        SELECT format('%I.%I', n.nspname, c.relname)
        FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
        ORDER BY c.oid);
    -- Placements and what moves have left; none has the only copy of a row, or the node could not leave.
    shards text[] := ARRAY(
        SELECT DISTINCT shard_name(p.logicalrelid, s.shardid, false)
        FROM pg_dist_partition p JOIN pg_dist_shard s USING (logicalrelid)
            JOIN pg_class c ON c.oid = p.logicalrelid
        WHERE to_regclass(shard_name(p.logicalrelid, s.shardid, false)) IS NOT NULL);
    sequences regclass[] := ARRAY(
        SELECT DISTINCT d.objid::regclass
        FROM pg_dist_partition p JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass
                AND d.refobjid = p.logicalrelid AND d.classid = 'pg_class'::regclass
                AND d.deptype IN ('a', 'i')
            JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S');
    seq regclass;
    position_of jsonb;
    positions jsonb := '{}';
    target text;
BEGIN
    FOREACH seq IN ARRAY sequences LOOP
        EXECUTE format('SELECT jsonb_build_object(%L, jsonb_build_array(last_value, is_called)) FROM %s', seq, seq)
            INTO position_of;
        positions := positions || position_of;
    END LOOP;
    DELETE FROM pg_dist_placement;
    DELETE FROM pg_dist_shard;
    DELETE FROM pg_dist_partition;
    DELETE FROM pg_dist_colocation;
    DELETE FROM pg_dist_object;
    DELETE FROM pg_dist_schema;
    DELETE FROM pg_dist_node;
    UPDATE pg_dist_local_group SET groupid = 0;
    UPDATE pg_dist_node_metadata SET metadata = metadata - 'coordinator_id' - 'nodes_version' ||
        jsonb_build_object('sequences', coalesce(metadata -> 'sequences', '{}') || positions);
    FOREACH target IN ARRAY shards || tables LOOP
        EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', target);
    END LOOP;
    FOR target IN SELECT pubname FROM pg_publication WHERE pubname ~ '^citus_shard_move_publication_' LOOP
        EXECUTE format('DROP PUBLICATION IF EXISTS %I', target);
    END LOOP;
    PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots
    WHERE slot_name ~ '^citus_shard_move_slot_' AND database = current_database() AND NOT active;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.leave_cluster() FROM PUBLIC;

CREATE FUNCTION citus_internal.join_cluster(local_group integer, coordinator_id text, secret bytea) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM citus_internal.leave_cluster();
    PERFORM citus_internal.use_secret(secret);
    UPDATE pg_dist_local_group SET groupid = local_group;
    UPDATE pg_dist_node_metadata SET metadata = metadata || jsonb_build_object('coordinator_id', coordinator_id);
END
$$;
REVOKE ALL ON FUNCTION citus_internal.join_cluster(integer, text, bytea) FROM PUBLIC;

CREATE FUNCTION citus_internal.restore_sequences() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    saved record;
BEGIN
    FOR saved IN
        SELECT s.seqrelid, (j.value ->> 0)::bigint AS last_value, (j.value ->> 1)::boolean AS is_called
        FROM pg_dist_node_metadata m, jsonb_each(coalesce(m.metadata -> 'sequences', '{}')) j
            JOIN pg_sequence s ON s.seqrelid = to_regclass(j.key)
        WHERE (j.value ->> 0)::bigint BETWEEN s.seqmin AND s.seqmax
    LOOP
        PERFORM setval(saved.seqrelid, saved.last_value, saved.is_called);
    END LOOP;
    UPDATE pg_dist_node_metadata SET metadata = metadata - 'sequences';
END
$$;
REVOKE ALL ON FUNCTION citus_internal.restore_sequences() FROM PUBLIC;

-- Holds back statements that want to go to a node group until the end of this transaction. With force, transactions that
-- have used it and still run after lock_cooldown ms fail.
CREATE FUNCTION citus_internal.pause_group(node_group integer, force boolean, lock_cooldown integer) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_pause_group';
REVOKE ALL ON FUNCTION citus_internal.pause_group(integer, boolean, integer) FROM PUBLIC;

-- All nodes, as the coordinator knows them; nothing happens where a newer version was taken already. Placements of groups other
-- than the given ones are gone.
CREATE FUNCTION citus_internal.take_nodes(version bigint, nodes pg_dist_node[], groups_with_placements integer[]) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE pg_dist_node IN SHARE UPDATE EXCLUSIVE MODE;
    IF version <= (SELECT (metadata ->> 'nodes_version')::bigint FROM pg_dist_node_metadata) THEN
        RETURN;
    END IF;
    DELETE FROM pg_dist_node;
    INSERT INTO pg_dist_node SELECT (n).* FROM unnest(nodes) n;
    IF EXISTS (SELECT FROM pg_dist_placement WHERE groupid <> ALL (groups_with_placements)) THEN
        DELETE FROM pg_dist_placement WHERE groupid <> ALL (groups_with_placements);
    END IF;
    UPDATE pg_dist_node_metadata SET metadata = metadata || jsonb_build_object('nodes_version', version);
    PERFORM citus_internal.nodes_taken();
END
$$;
REVOKE ALL ON FUNCTION citus_internal.take_nodes(bigint, pg_dist_node[], integer[]) FROM PUBLIC;

-- After the commit, recovery looks at what was prepared at addresses that have changed.
CREATE FUNCTION citus_internal.nodes_taken() RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_nodes_taken';
REVOKE ALL ON FUNCTION citus_internal.nodes_taken() FROM PUBLIC;

-- How far this server is behind its primary, ms: 0 on a primary, NULL where it is not known because no WAL comes.
CREATE FUNCTION citus_internal.replay_lag() RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN NOT pg_is_in_recovery() THEN 0
        WHEN NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') THEN NULL
        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
        ELSE greatest(0, extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint END
$$;
