-- Views and size functions: what the cluster holds, where, and how much of it.
--
-- Sizes are asked of every node outside of the caller's transaction (src/stats/sizes.cpp); they may be asked of any node.

CREATE FUNCTION citus_internal.relation_size(relation oid, kind text) RETURNS bigint
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_relation_size';

-- The shards on this node as (shardid, size) pairs in one array; all tables, or one.
CREATE FUNCTION citus_internal.local_shard_sizes(relation regclass, kind text) RETURNS bigint[]
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(pair.value ORDER BY sizes.shardid, pair.place), '{}')
    FROM (SELECT s.shardid,
                 citus_internal.relation_size(to_regclass(shard_name(s.logicalrelid, s.shardid, false)), kind) AS size
          FROM pg_dist_shard s
              JOIN pg_dist_placement p USING (shardid)
              JOIN pg_dist_local_group g USING (groupid)
          WHERE p.shardstate = 1 AND (relation IS NULL OR s.logicalrelid = relation)) sizes,
        LATERAL (VALUES (1, sizes.shardid), (2, sizes.size)) pair(place, value)
    WHERE sizes.size IS NOT NULL
$$;

-- Sizes of the placements of all tables or one, from all active nodes; a node that does not answer
-- gives a warning, or an error if fail_on_error.
CREATE FUNCTION citus_internal.placement_sizes(relation regclass, kind text, fail_on_error boolean,
        OUT nodeid integer, OUT shardid bigint, OUT size bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    nodes integer[] := ARRAY(
        SELECT n.nodeid FROM pg_dist_node n
        WHERE n.noderole = 'primary' AND n.isactive
          AND n.groupid <> (SELECT groupid FROM pg_dist_local_group)
          AND EXISTS (SELECT FROM pg_dist_placement p JOIN pg_dist_shard s USING (shardid)
                      WHERE p.groupid = n.groupid AND (relation IS NULL OR s.logicalrelid = relation))
        ORDER BY n.nodeid);
    local_node integer := coalesce((
        SELECT n.nodeid FROM pg_dist_node n JOIN pg_dist_local_group USING (groupid)
        WHERE n.noderole = 'primary'), 0);
    command text := format('SELECT citus_internal.local_shard_sizes(%s, %L)',
        coalesce(format('%L::regclass', relation), 'NULL'), kind);
    answer record;
    pairs bigint[];
BEGIN
    pairs := citus_internal.local_shard_sizes(relation, kind);
    RETURN QUERY SELECT local_node, pairs[i], pairs[i + 1] FROM generate_series(1, cardinality(pairs), 2) i;
    FOR answer IN
        SELECT r.* FROM citus_internal.run_commands(nodes, array_fill(command, ARRAY[cardinality(nodes)]), true) r
    LOOP
        IF NOT answer.success THEN
            IF fail_on_error THEN
                RAISE EXCEPTION USING ERRCODE = 'connection_failure', MESSAGE = answer.result;
            END IF;
            RAISE WARNING USING ERRCODE = 'connection_failure', MESSAGE = answer.result;
            CONTINUE;
        END IF;
        pairs := answer.result::bigint[];
        RETURN QUERY SELECT nodes[answer.place], pairs[i], pairs[i + 1]
            FROM generate_series(1, cardinality(pairs), 2) i;
    END LOOP;
END
$$;

CREATE FUNCTION citus_internal.table_size(relation regclass, kind text, fail_on_error boolean) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = relation) THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
            MESSAGE = format('cannot calculate the size because relation %s is not distributed', relation);
    END IF;
    IF NOT has_table_privilege(relation, 'SELECT') THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied for table %s', relation);
    END IF;
    RETURN coalesce((SELECT sum(size)::bigint FROM citus_internal.placement_sizes(relation, kind, fail_on_error)), 0);
END
$$;

CREATE FUNCTION pg_catalog.citus_relation_size(logicalrelid regclass) RETURNS bigint
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT citus_internal.table_size(logicalrelid, 'relation', true) $$;
CREATE FUNCTION pg_catalog.citus_table_size(logicalrelid regclass) RETURNS bigint
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT citus_internal.table_size(logicalrelid, 'table', true) $$;
CREATE FUNCTION pg_catalog.citus_total_relation_size(logicalrelid regclass, fail_on_error boolean DEFAULT true)
    RETURNS bigint
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT citus_internal.table_size(logicalrelid, 'total', fail_on_error) $$;

CREATE FUNCTION pg_catalog.citus_shard_sizes(OUT shard_id integer, OUT size bigint) RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT s.shardid::integer, s.size FROM citus_internal.placement_sizes(NULL, 'total', false) s $$;

-- What a table is called in citus_tables and citus_shards.
CREATE FUNCTION citus_internal.table_type(partition_method "char", replication_model "char", colocation_id integer)
    RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN partition_method <> 'n' THEN 'distributed'
        WHEN replication_model = 't' THEN 'reference'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_dist_schema s WHERE s.colocationid = colocation_id) THEN 'schema'
        WHEN colocation_id <> 0 THEN 'distributed'
        ELSE 'local'
    END
$$;

CREATE VIEW citus.pg_dist_shard_placement AS
    SELECT p.shardid, p.shardstate, p.shardlength, n.nodename, n.nodeport, p.placementid
    FROM pg_catalog.pg_dist_placement p
        JOIN pg_catalog.pg_dist_node n ON n.groupid = p.groupid AND n.noderole = 'primary';

CREATE VIEW citus.citus_nodes AS
    SELECT n.nodename, n.nodeport,
        CASE WHEN n.groupid = 0 THEN 'coordinator' ELSE 'worker' END AS role,
        n.isactive AS active
    FROM pg_catalog.pg_dist_node n
    WHERE n.noderole = 'primary';

CREATE VIEW citus.citus_tables AS
    WITH sizes AS MATERIALIZED (
        SELECT s.logicalrelid, sum(z.size)::bigint AS size
        FROM citus_internal.placement_sizes(NULL, 'total', false) z
            JOIN pg_catalog.pg_dist_shard s USING (shardid)
        GROUP BY s.logicalrelid),
    counts AS (
        SELECT s.logicalrelid, count(*) AS shard_count FROM pg_catalog.pg_dist_shard s GROUP BY s.logicalrelid)
    SELECT p.logicalrelid AS table_name,
        citus_internal.table_type(p.partmethod, p.repmodel, p.colocationid) AS citus_table_type,
        coalesce(column_to_column_name(p.logicalrelid, p.partkey), '<none>') AS distribution_column,
        p.colocationid AS colocation_id,
        pg_size_pretty(coalesce(sizes.size, 0)) AS table_size,
        coalesce(counts.shard_count, 0) AS shard_count,
        pg_get_userbyid(c.relowner) AS table_owner,
        coalesce(a.amname, '<none>') AS access_method
    FROM pg_catalog.pg_dist_partition p
        JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
        LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
        LEFT JOIN sizes ON sizes.logicalrelid = p.logicalrelid
        LEFT JOIN counts ON counts.logicalrelid = p.logicalrelid
    ORDER BY p.logicalrelid::text;

CREATE VIEW citus.citus_shards AS
    WITH sizes AS MATERIALIZED (
        SELECT z.nodeid, z.shardid, z.size FROM citus_internal.placement_sizes(NULL, 'total', false) z)
    SELECT s.logicalrelid AS table_name, s.shardid,
        shard_name(s.logicalrelid, s.shardid) AS shard_name,
        citus_internal.table_type(t.partmethod, t.repmodel, t.colocationid) AS citus_table_type,
        t.colocationid AS colocation_id,
        coalesce(n.nodename, current_setting('citus.local_hostname')) AS nodename,
        coalesce(n.nodeport, current_setting('port')::integer) AS nodeport,
        coalesce(sizes.size, 0) AS shard_size
    FROM pg_catalog.pg_dist_shard s
        JOIN pg_catalog.pg_dist_partition t USING (logicalrelid)
        JOIN pg_catalog.pg_dist_placement p ON p.shardid = s.shardid AND p.shardstate = 1
        -- A lone server need not be registered.
        LEFT JOIN pg_catalog.pg_dist_node n ON n.groupid = p.groupid AND n.noderole = 'primary'
        LEFT JOIN sizes ON sizes.shardid = s.shardid AND sizes.nodeid = coalesce(n.nodeid, 0)
    ORDER BY s.logicalrelid::text, s.shardid, 6, 7;

CREATE VIEW citus.citus_schemas AS
    WITH sizes AS MATERIALIZED (
        SELECT t.colocationid, sum(z.size)::bigint AS size
        FROM citus_internal.placement_sizes(NULL, 'total', false) z
            JOIN pg_catalog.pg_dist_shard s USING (shardid)
            JOIN pg_catalog.pg_dist_partition t USING (logicalrelid)
        GROUP BY t.colocationid)
    SELECT d.schemaid::regnamespace AS schema_name,
        d.colocationid AS colocation_id,
        pg_size_pretty(coalesce(sizes.size, 0)) AS schema_size,
        pg_get_userbyid(n.nspowner) AS schema_owner
    FROM pg_catalog.pg_dist_schema d
        JOIN pg_catalog.pg_namespace n ON n.oid = d.schemaid
        LEFT JOIN sizes ON sizes.colocationid = d.colocationid;

ALTER VIEW citus.pg_dist_shard_placement SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_nodes SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_tables SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_shards SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_schemas SET SCHEMA pg_catalog;
GRANT SELECT ON pg_catalog.pg_dist_shard_placement, pg_catalog.citus_nodes, pg_catalog.citus_tables,
    pg_catalog.citus_shards, pg_catalog.citus_schemas TO PUBLIC;
