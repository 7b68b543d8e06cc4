-- Moving and copying shards, and cleaning up after it: src/cluster.

CREATE FUNCTION pg_catalog.citus_move_shard_placement(
        shard_id bigint, source_node_name text, source_node_port integer,
        target_node_name text, target_node_port integer,
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto') RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_move_shard_placement';
CREATE FUNCTION pg_catalog.citus_move_shard_placement(
        shard_id bigint, source_node_id integer, target_node_id integer,
        transfer_mode citus.shard_transfer_mode DEFAULT 'auto') RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_move_shard_placement_by_id';
CREATE FUNCTION pg_catalog.citus_copy_shard_placement(
        shard_id bigint, source_node_name text, source_node_port integer,
        target_node_name text, target_node_port integer,
        transfer_mode citus.shard_transfer_mode DEFAULT 'auto') RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_copy_shard_placement';
CREATE FUNCTION pg_catalog.citus_copy_shard_placement(
        shard_id bigint, source_node_id integer, target_node_id integer,
        transfer_mode citus.shard_transfer_mode DEFAULT 'auto') RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_copy_shard_placement_by_id';

CREATE PROCEDURE pg_catalog.citus_cleanup_orphaned_resources()
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'citus_cleanup_orphaned_resources';
CREATE PROCEDURE pg_catalog.citus_cleanup_orphaned_shards()
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'citus_cleanup_orphaned_resources';
REVOKE ALL ON PROCEDURE pg_catalog.citus_cleanup_orphaned_resources() FROM PUBLIC;
REVOKE ALL ON PROCEDURE pg_catalog.citus_cleanup_orphaned_shards() FROM PUBLIC;

CREATE FUNCTION pg_catalog.citus_local_disk_space_stats(
        OUT available_disk_size bigint, OUT total_disk_size bigint) RETURNS record
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_local_disk_space_stats';

-- Copies the reference tables to those of the nodes that lack them; a step of what puts shards there, which is anybody's.
CREATE FUNCTION citus_internal.copy_reference_tables(nodes integer[], transfer_mode citus.shard_transfer_mode) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_copy_reference_tables';

-- Progress of moves and splits that run on this server ---------------------------------------------

CREATE FUNCTION citus_internal.running_transfers(
        OUT pid integer, OUT relation regclass, OUT source_shard bigint, OUT target_shard bigint,
        OUT source_node integer, OUT target_node integer, OUT type text, OUT phase text, OUT slot text)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_running_transfers';

-- Sizes and positions are asked of the nodes; a node that does not answer leaves them null.
CREATE FUNCTION pg_catalog.get_rebalance_progress()
    RETURNS TABLE(sessionid integer, table_name regclass, shardid bigint, shard_size bigint,
        sourcename text, sourceport integer, targetname text, targetport integer, progress bigint,
        source_shard_size bigint, target_shard_size bigint, operation_type text,
        source_lsn pg_lsn, target_lsn pg_lsn, status text)
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    WITH transfers AS MATERIALIZED (
        SELECT row_number() OVER () AS number, * FROM citus_internal.running_transfers()),
    answers AS MATERIALIZED (
        SELECT r.place, CASE WHEN r.success THEN string_to_array(r.result, ' ') END AS parts
        FROM citus_internal.run_commands(
            ARRAY(SELECT n FROM transfers t, unnest(ARRAY[t.source_node, t.target_node]) n ORDER BY t.number, n = t.target_node),
            ARRAY(SELECT format('SET lock_timeout = 200; SELECT concat_ws('' '', coalesce(pg_total_relation_size(to_regclass(%L)), 0), pg_current_wal_lsn(), '
                    || '(SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = %L))',
                    CASE WHEN n <> t.source_node OR t.source_shard <> 0 THEN
                        shard_name(t.relation, CASE WHEN n = t.source_node THEN t.source_shard ELSE t.target_shard END, false)
                    ELSE t.relation::text END,
                    CASE WHEN n = t.source_node THEN t.slot END)
                FROM transfers t, unnest(ARRAY[t.source_node, t.target_node]) n ORDER BY t.number, n = t.target_node),
            true) r)
    SELECT t.pid, t.relation, coalesce(nullif(t.source_shard, 0), t.target_shard), s.parts[1]::bigint,
        sn.nodename, sn.nodeport, tn.nodename, tn.nodeport, 1::bigint,
        s.parts[1]::bigint, d.parts[1]::bigint, t.type,
        CASE WHEN t.slot IS NOT NULL THEN s.parts[2]::pg_lsn END, s.parts[3]::pg_lsn, t.phase
    FROM transfers t
        JOIN pg_dist_node sn ON sn.nodeid = t.source_node JOIN pg_dist_node tn ON tn.nodeid = t.target_node
        LEFT JOIN answers s ON s.place = 2 * t.number - 1
        LEFT JOIN answers d ON d.place = 2 * t.number
    ORDER BY t.number
$$;

-- Called by the coordinator on the nodes, as the owner of the extension ------------------------------

CREATE FUNCTION citus_internal.create_shard_parts(relations regclass[], shard_ids bigint[], part text) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_create_shard_parts';
CREATE FUNCTION citus_internal.pull_shard(
        target text, source_node integer, source text, condition text, snapshot text) RETURNS bigint[]
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_pull_shard';
CREATE FUNCTION citus_internal.wait_for_placement_users(shard_id bigint, group_id integer, name text) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_wait_for_placement_users';
CREATE FUNCTION citus_internal.apply_changes(
        source_node integer, slot text, publication text, mark text, last boolean, published text[], shards text[],
        min_hashes integer[], source_min_hashes integer[], max_hashes integer[], source_max_hashes integer[],
        distribution_columns text[], hash_functions text[]) RETURNS bigint[]
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_apply_changes';
-- Cleans up without a word. Placements whose readers last longer than lock_timeout ms stay, or, with
-- only_replication, all of them.
CREATE FUNCTION citus_internal.clean_up(lock_timeout integer, only_replication boolean) RETURNS integer
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_clean_up';

-- Drops a shard's table, when nobody holds it up: its foreign keys make the drop lock tables that others read, so
-- it gives way and tries again until lock_timeout (ms) has passed.
CREATE FUNCTION citus_internal.drop_placement(name text, lock_timeout integer) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    give_up timestamptz := clock_timestamp() + drop_placement.lock_timeout * interval '1 millisecond';
BEGIN
    LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '100ms', true);
            -- One at a time: a partition must not be dropped on its own while its parent takes it along.
            LOCK TABLE pg_dist_cleanup IN SHARE UPDATE EXCLUSIVE MODE;
            EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', name);
            RETURN;
        -- internal_error: the table that it is a partition of was dropped at the same moment.
        EXCEPTION WHEN lock_not_available OR deadlock_detected OR internal_error THEN
            IF clock_timestamp() > give_up THEN
                RAISE;
            END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$$;

CREATE FUNCTION citus_internal.drop_replication_slot(name text) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    user_pid integer;
BEGIN
    FOR attempt IN 1 .. 100 LOOP
        SELECT active_pid INTO user_pid FROM pg_replication_slots WHERE slot_name = name;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        BEGIN
            PERFORM pg_terminate_backend(user_pid) WHERE user_pid IS NOT NULL;
            PERFORM pg_drop_replication_slot(name);
            RETURN;
        EXCEPTION WHEN object_in_use OR undefined_object THEN
            -- Its user is on the way out, or somebody else has dropped it.
            PERFORM pg_sleep(0.05);
        END;
    END LOOP;
    RAISE EXCEPTION 'replication slot % is in use', name USING ERRCODE = 'object_in_use';
END
$$;

REVOKE ALL ON FUNCTION
    citus_internal.create_shard_parts(regclass[], bigint[], text),
    citus_internal.pull_shard(text, integer, text, text, text),
    citus_internal.wait_for_placement_users(bigint, integer, text),
    citus_internal.apply_changes(integer, text, text, text, boolean, text[], text[], integer[], integer[], integer[], integer[], text[], text[]),
    citus_internal.clean_up(integer, boolean),
    citus_internal.drop_placement(text, integer),
    citus_internal.drop_replication_slot(text)
FROM PUBLIC;

-- Called by the coordinator on the other nodes, in its transaction, as the user who must own the tables.
CREATE FUNCTION citus_internal.change_placements(
        removed bigint[], added bigint[], added_shards bigint[], added_groups integer[]) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_change_placements';
CREATE FUNCTION citus_internal.add_foreign_keys(relations regclass[], shard_ids bigint[]) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_add_foreign_keys';
CREATE FUNCTION citus_internal.ignore_foreign_keys(relation regclass, shard_id bigint) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_ignore_foreign_keys';
