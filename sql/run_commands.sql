-- Commands on nodes, each in a session and a transaction of its own: src/cluster/node_tasks.cpp.

CREATE FUNCTION citus_internal.run_commands(node_ids integer[], commands text[], parallel boolean,
        may_wait boolean DEFAULT false, OUT place integer, OUT success boolean, OUT connected boolean, OUT result text,
        OUT sqlstate text)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_run_commands';

CREATE FUNCTION pg_catalog.citus_check_connection_to_node(nodename text, nodeport integer DEFAULT 5432)
    RETURNS boolean
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_check_connection_to_node';
REVOKE ALL ON FUNCTION pg_catalog.citus_check_connection_to_node(text, integer) FROM PUBLIC;

CREATE FUNCTION pg_catalog.run_command_on_workers(command text, parallel boolean DEFAULT true,
        OUT nodename text, OUT nodeport integer, OUT success boolean, OUT result text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    WITH nodes AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY n.nodename, n.nodeport) AS place, n.*
        FROM pg_dist_node n
        WHERE n.noderole = 'primary' AND n.isactive AND n.groupid <> 0)
    SELECT n.nodename, n.nodeport, r.success, r.result
    FROM citus_internal.run_commands(
            ARRAY(SELECT nodeid FROM nodes ORDER BY place),
            ARRAY(SELECT command FROM nodes), parallel, true) r
        JOIN nodes n USING (place)
    ORDER BY place
$$;

-- What run_command_on_all_nodes and _on_coordinator do about a node that cannot be reached.
CREATE FUNCTION citus_internal.node_answer(node_id integer, success boolean, connected boolean,
        result text, warn boolean) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT connected THEN
        IF NOT warn THEN
            RAISE EXCEPTION USING ERRCODE = 'connection_failure', MESSAGE = result;
        END IF;
        RAISE WARNING USING ERRCODE = 'connection_failure', MESSAGE = result;
    END IF;
    RETURN result;
END
$$;

CREATE FUNCTION pg_catalog.run_command_on_all_nodes(command text, parallel boolean DEFAULT true,
        give_warning_for_connection_errors boolean DEFAULT false,
        OUT nodeid integer, OUT success boolean, OUT result text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    WITH nodes AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY n.nodeid) AS place, n.nodeid
        FROM (SELECT nodeid FROM pg_dist_node WHERE noderole = 'primary' AND isactive
              UNION ALL
              SELECT 0 WHERE NOT EXISTS (
                  SELECT FROM pg_dist_node JOIN pg_dist_local_group USING (groupid))) n)
    SELECT n.nodeid, r.success,
        citus_internal.node_answer(n.nodeid, r.success, r.connected, r.result,
                                   give_warning_for_connection_errors)
    FROM citus_internal.run_commands(
            ARRAY(SELECT nodeid FROM nodes ORDER BY place),
            ARRAY(SELECT command FROM nodes), parallel, true) r
        JOIN nodes n USING (place)
    ORDER BY place
$$;

CREATE FUNCTION pg_catalog.run_command_on_coordinator(command text,
        give_warning_for_connection_errors boolean DEFAULT false,
        OUT nodeid integer, OUT success boolean, OUT result text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    WITH node AS MATERIALIZED (
        SELECT nodeid FROM pg_dist_node WHERE groupid = 0 AND noderole = 'primary'
        UNION ALL
        SELECT 0 WHERE NOT EXISTS (SELECT FROM pg_dist_node WHERE groupid = 0 AND noderole = 'primary'))
    SELECT n.nodeid, r.success,
        citus_internal.node_answer(n.nodeid, r.success, r.connected, r.result,
                                   give_warning_for_connection_errors)
    FROM node n, citus_internal.run_commands(ARRAY(SELECT nodeid FROM node), ARRAY[command], false, true) r
$$;

CREATE FUNCTION pg_catalog.run_command_on_placements(table_name regclass, command text,
        parallel boolean DEFAULT true,
        OUT nodename text, OUT nodeport integer, OUT shardid bigint, OUT success boolean, OUT result text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    WITH tasks AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY s.shardid, n.nodeid) AS place,
            coalesce(n.nodeid, 0) AS nodeid,
            coalesce(n.nodename, current_setting('citus.local_hostname')) AS nodename,
            coalesce(n.nodeport, current_setting('port')::integer) AS nodeport, s.shardid,
            format(command, shard_name(table_name, s.shardid, false)) AS command
        FROM pg_dist_shard s
            JOIN pg_dist_placement p ON p.shardid = s.shardid AND p.shardstate = 1
            LEFT JOIN pg_dist_node n ON n.groupid = p.groupid AND n.noderole = 'primary'
        WHERE s.logicalrelid = table_name)
    SELECT t.nodename, t.nodeport, t.shardid, r.success, r.result
    FROM citus_internal.run_commands(
            ARRAY(SELECT nodeid FROM tasks ORDER BY place),
            ARRAY(SELECT tasks.command FROM tasks ORDER BY place), parallel, true) r
        JOIN tasks t USING (place)
    ORDER BY place
$$;

CREATE FUNCTION pg_catalog.run_command_on_shards(table_name regclass, command text,
        parallel boolean DEFAULT true, OUT shardid bigint, OUT success boolean, OUT result text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    WITH tasks AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY s.shardid) AS place, s.shardid, p.nodeid,
            format(command, shard_name(table_name, s.shardid, false)) AS command
        FROM pg_dist_shard s
            CROSS JOIN LATERAL (
                SELECT coalesce(n.nodeid, 0) AS nodeid
                FROM pg_dist_placement p
                    LEFT JOIN pg_dist_node n ON n.groupid = p.groupid AND n.noderole = 'primary'
                WHERE p.shardid = s.shardid AND p.shardstate = 1
                ORDER BY n.groupid LIMIT 1) p
        WHERE s.logicalrelid = table_name)
    SELECT t.shardid, r.success, r.result
    FROM citus_internal.run_commands(
            ARRAY(SELECT nodeid FROM tasks ORDER BY place),
            ARRAY(SELECT tasks.command FROM tasks ORDER BY place), parallel, true) r
        JOIN tasks t USING (place)
    ORDER BY place
$$;

CREATE FUNCTION pg_catalog.run_command_on_colocated_placements(table_name1 regclass, table_name2 regclass,
        command text, parallel boolean DEFAULT true,
        OUT nodename text, OUT nodeport integer, OUT shardid1 bigint, OUT shardid2 bigint,
        OUT success boolean, OUT result text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_partition a JOIN pg_dist_partition b USING (colocationid)
                   WHERE a.logicalrelid = table_name1 AND b.logicalrelid = table_name2
                     AND a.colocationid <> 0) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('tables %s and %s are not co-located', table_name1, table_name2);
    END IF;
    RETURN QUERY
    WITH shards AS MATERIALIZED (
        SELECT s.logicalrelid, s.shardid,
            row_number() OVER (PARTITION BY s.logicalrelid ORDER BY s.shardminvalue::bigint, s.shardid) AS index
        FROM pg_dist_shard s WHERE s.logicalrelid IN (table_name1, table_name2)),
    tasks AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY s1.shardid, n.nodeid) AS place,
            coalesce(n.nodeid, 0) AS nodeid,
            coalesce(n.nodename, current_setting('citus.local_hostname')) AS nodename,
            coalesce(n.nodeport, current_setting('port')::integer) AS nodeport, s1.shardid AS shardid1, s2.shardid AS shardid2,
            format(command, shard_name(table_name1, s1.shardid, false),
                   shard_name(table_name2, s2.shardid, false)) AS command
        FROM shards s1
            JOIN shards s2 ON s2.index = s1.index AND s2.logicalrelid = table_name2
            JOIN pg_dist_placement p1 ON p1.shardid = s1.shardid AND p1.shardstate = 1
            JOIN pg_dist_placement p2 ON p2.shardid = s2.shardid AND p2.shardstate = 1
                AND p2.groupid = p1.groupid
            LEFT JOIN pg_dist_node n ON n.groupid = p1.groupid AND n.noderole = 'primary'
        WHERE s1.logicalrelid = table_name1)
    SELECT t.nodename, t.nodeport, t.shardid1, t.shardid2, r.success, r.result
    FROM citus_internal.run_commands(
            ARRAY(SELECT t.nodeid FROM tasks t ORDER BY t.place),
            ARRAY(SELECT t.command FROM tasks t ORDER BY t.place), parallel, true) r
        JOIN tasks t ON t.place = r.place
    ORDER BY t.place;
END
$$;

-- Sessions of this server to other nodes, over all its backends: src/remote/room.cpp.
CREATE FUNCTION pg_catalog.citus_remote_connection_stats(OUT hostname text, OUT port integer, OUT database_name text,
        OUT connection_count_to_node integer)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_remote_connection_stats';
REVOKE ALL ON FUNCTION pg_catalog.citus_remote_connection_stats() FROM PUBLIC;
