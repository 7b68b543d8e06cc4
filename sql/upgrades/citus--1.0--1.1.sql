-- Loaded by ALTER EXTENSION citus UPDATE; not by hand.
\echo Use "ALTER EXTENSION citus UPDATE" to load this file. \quit

-- pg_upgrade leaves behind what tables in pg_catalog hold, and gives new oids to all but relations, types and roles. So the
-- metadata waits meanwhile in a table outside of pg_catalog, with names where oids change. While that table has rows, nothing
-- is done with distributed tables: src/catalog/relations.cpp.

CREATE TABLE citus_internal.metadata_copy (
    position bigint NOT NULL PRIMARY KEY,
    catalog name NOT NULL,
    relation regclass, -- of rows about a table
    entry jsonb NOT NULL
);
-- Among the rest are the secrets of pg_dist_authinfo.
ALTER TABLE citus_internal.metadata_copy ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON citus_internal.metadata_copy FROM PUBLIC;
CREATE TRIGGER metadata_changed AFTER INSERT OR UPDATE OR DELETE ON citus_internal.metadata_copy
    FOR EACH ROW EXECUTE FUNCTION citus_internal.metadata_changed();

-- The extension's tables and sequences in pg_catalog, each after those that it refers to.
CREATE FUNCTION citus_internal.metadata_catalogs(OUT catalog name, OUT kind "char") RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.relname, c.relkind
    FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'citus')
      AND c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'S')
    ORDER BY (SELECT count(*) FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f'), c.relname
$$;
REVOKE ALL ON FUNCTION citus_internal.metadata_catalogs() FROM PUBLIC;

CREATE FUNCTION pg_catalog.citus_prepare_pg_upgrade() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1
AS $$
DECLARE
    item record;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'must be superuser to prepare for pg_upgrade';
    END IF;
    -- Statements on distributed tables that run end first; those that come find the copy.
    LOCK TABLE pg_dist_node IN EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM pg_dist_local_group) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the metadata of citus is not restored after pg_upgrade yet',
            HINT = 'Run SELECT citus_finish_pg_upgrade().';
    END IF;
    IF EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database()) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'there are prepared transactions on this server',
            HINT = 'Run SELECT recover_prepared_transactions() on all nodes, and finish others with COMMIT PREPARED or ROLLBACK PREPARED.';
    END IF;
    IF EXISTS (SELECT FROM pg_replication_slots WHERE database = current_database() AND slot_name LIKE 'citus\_%') THEN
        RAISE EXCEPTION USING ERRCODE = 'object_in_use',
            MESSAGE = 'shards of this server are being moved, copied or split',
            HINT = 'Wait for the end of it, or run SELECT citus_rebalance_stop() and CALL citus_cleanup_orphaned_resources() on the coordinator.';
    END IF;

    DELETE FROM citus_internal.metadata_copy;
    FOR item IN SELECT * FROM citus_internal.metadata_catalogs() LOOP
        EXECUTE format('INSERT INTO citus_internal.metadata_copy
            SELECT (SELECT count(*) FROM citus_internal.metadata_copy) + row_number() OVER (), %L, %s, %s FROM pg_catalog.%I r',
            item.catalog,
            CASE WHEN item.catalog IN ('pg_dist_partition', 'pg_dist_shard') THEN 'r.logicalrelid' ELSE 'NULL' END,
            CASE WHEN item.kind = 'S' THEN $e$jsonb_build_object('last_value', r.last_value, 'is_called', r.is_called)$e$
                ELSE CASE item.catalog
                WHEN 'pg_dist_partition' THEN $e$to_jsonb(r) || jsonb_build_object('logicalrelid', r.logicalrelid::oid)$e$
                WHEN 'pg_dist_shard' THEN $e$to_jsonb(r) || jsonb_build_object('logicalrelid', r.logicalrelid::oid)$e$
                WHEN 'pg_dist_colocation' THEN
                    $e$to_jsonb(r) || jsonb_build_object('collation', r.distributioncolumncollation::regcollation)$e$
                WHEN 'pg_dist_schema' THEN $e$to_jsonb(r) || jsonb_build_object('schema', r.schemaid::regnamespace)$e$
                WHEN 'pg_dist_object' THEN
                    $e$to_jsonb(r) || jsonb_build_object('address', to_jsonb(pg_identify_object_as_address(r.classid, r.objid, r.objsubid)))$e$
                WHEN 'pg_dist_rebalance_strategy' THEN
                    $e$to_jsonb(r) || jsonb_build_object('shard_cost', r.shard_cost_function::regprocedure,
                        'node_capacity', r.node_capacity_function::regprocedure,
                        'shard_allowed_on_node', r.shard_allowed_on_node_function::regprocedure)$e$
                WHEN 'pg_dist_background_task' THEN $e$to_jsonb(r) || jsonb_build_object('owner', r.owner::oid)$e$
                ELSE 'to_jsonb(r)' END
            END,
            item.catalog);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION pg_catalog.citus_prepare_pg_upgrade() FROM PUBLIC;

CREATE FUNCTION pg_catalog.citus_finish_pg_upgrade() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item record;
    upgraded boolean;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'must be superuser to finish pg_upgrade';
    END IF;
    LOCK TABLE pg_dist_node IN EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM citus_internal.metadata_copy) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'this database was not prepared with citus_prepare_pg_upgrade()';
    END IF;
    -- The server that the copy is from has it all still.
    upgraded := NOT EXISTS (SELECT FROM pg_dist_local_group);
    IF upgraded THEN
        FOR item IN
            SELECT c.catalog, c.kind FROM citus_internal.metadata_catalogs() WITH ORDINALITY c (catalog, kind, position)
            ORDER BY c.position DESC
        LOOP
            IF item.kind = 'r' THEN
                EXECUTE format('DELETE FROM pg_catalog.%I', item.catalog);
            END IF;
        END LOOP;
        FOR item IN
            SELECT c.catalog, k.kind FROM citus_internal.metadata_copy c LEFT JOIN citus_internal.metadata_catalogs() k USING (catalog)
            GROUP BY c.catalog, k.kind ORDER BY min(c.position)
        LOOP
            IF item.kind = 'S' THEN
                PERFORM setval(format('pg_catalog.%I', item.catalog)::regclass,
                    (entry ->> 'last_value')::bigint, (entry ->> 'is_called')::boolean)
                FROM citus_internal.metadata_copy WHERE catalog = item.catalog;
                CONTINUE;
            END IF;
            EXECUTE format('INSERT INTO pg_catalog.%1$I
                SELECT (jsonb_populate_record(NULL::pg_catalog.%1$I, %2$s)).* FROM citus_internal.metadata_copy c%3$s
                WHERE c.catalog = %1$L ORDER BY c.position',
                item.catalog,
                CASE item.catalog
                    WHEN 'pg_dist_colocation' THEN
                        $e$entry || jsonb_build_object('distributioncolumncollation', (entry ->> 'collation')::regcollation::oid)$e$
                    WHEN 'pg_dist_schema' THEN $e$entry || jsonb_build_object('schemaid', (entry ->> 'schema')::regnamespace::oid)$e$
                    WHEN 'pg_dist_object' THEN
                        $e$entry || jsonb_build_object('classid', o.classid, 'objid', o.objid, 'objsubid', o.objsubid)$e$
                    WHEN 'pg_dist_rebalance_strategy' THEN
                        $e$entry || jsonb_build_object('shard_cost_function', (entry ->> 'shard_cost')::regprocedure::oid,
                            'node_capacity_function', (entry ->> 'node_capacity')::regprocedure::oid,
                            'shard_allowed_on_node_function', (entry ->> 'shard_allowed_on_node')::regprocedure::oid)$e$
                    ELSE 'entry'
                END,
                CASE item.catalog
                    WHEN 'pg_dist_object' THEN
                        $e$, jsonb_to_record(entry -> 'address') AS a (type text, object_names text[], object_args text[]),
                            pg_get_object_address(a.type, a.object_names, a.object_args) o$e$
                    ELSE ''
                END);
        END LOOP;
    END IF;
    DELETE FROM citus_internal.metadata_copy;
    IF upgraded THEN
        -- In this version's own words.
        UPDATE pg_dist_partition p SET partkey = column_name_to_column(p.logicalrelid, a.attname)
        FROM pg_attribute a
        WHERE a.attrelid = p.logicalrelid AND NOT a.attisdropped
          AND a.attnum = substring(p.partkey FROM ' :varattno (\d+) ')::integer;
        -- DROP EXTENSION asks for CASCADE while there are tables that need it.
        INSERT INTO pg_depend (classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype)
        SELECT 'pg_class'::regclass, p.logicalrelid, 0, 'pg_extension'::regclass, e.oid, 0, 'n'
        FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid, pg_extension e
        WHERE e.extname = 'citus' AND NOT EXISTS (SELECT FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = p.logicalrelid AND d.objsubid = 0
              AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'n');
        -- A collation that takes different strings for equal hashes what its library makes of them.
        FOR item IN
            SELECT p.logicalrelid, l.oid::regcollation AS collation
            FROM pg_dist_partition p JOIN pg_dist_colocation c USING (colocationid) JOIN pg_collation l ON l.oid = c.distributioncolumncollation
            WHERE NOT l.collisdeterministic AND l.collversion IS DISTINCT FROM pg_collation_actual_version(l.oid)
            ORDER BY p.logicalrelid::text
        LOOP
            RAISE WARNING USING MESSAGE = format('rows of table %s may belong to other shards now', item.logicalrelid),
                DETAIL = format('Its distribution column has the collation %s, whose library has another version on this server.', item.collation),
                HINT = 'Distribute the table anew: undistribute_table(), then create_distributed_table().';
        END LOOP;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION pg_catalog.citus_finish_pg_upgrade() FROM PUBLIC;

COMMENT ON FUNCTION pg_catalog.citus_prepare_pg_upgrade() IS
	'Copies the metadata to where pg_upgrade keeps it, with names where that changes oids. From then on statements on distributed tables are refused in this database, until citus_finish_pg_upgrade(). By superusers, on every node, before its server is stopped for pg_upgrade.';
COMMENT ON FUNCTION pg_catalog.citus_finish_pg_upgrade() IS
	'Brings the metadata back that citus_prepare_pg_upgrade() has copied. On the server that the copy was made on, where pg_upgrade did not happen, it only ends the preparation.';
COMMENT ON TABLE citus_internal.metadata_copy IS
	'The metadata between citus_prepare_pg_upgrade() and citus_finish_pg_upgrade(); empty otherwise. Only superusers see it.';
COMMENT ON FUNCTION citus_internal.metadata_catalogs() IS
	'The tables and sequences of the extension that pg_upgrade does not keep the contents of.';

-- Triggers on the shards of distributed tables.
CREATE FUNCTION citus_internal.shard_trigger() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_shard_trigger';
CREATE FUNCTION citus_internal.take_fired_rows() RETURNS text[]
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_take_fired_rows';
CREATE FUNCTION citus_internal.rows_move(moving boolean) RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_rows_move';

-- Objects of every kind are told to nodes, statements that are typed on workers go through the coordinator.
DROP FUNCTION citus_internal.bring_objects(boolean, text[], text[], text[], text[], text[], integer[], integer[]);
CREATE FUNCTION citus_internal.bring_objects(
        complete boolean, kinds text[], identities text[], names text[], statements text[], rights text[],
        creation_counts integer[], state_counts integer[], right_counts integer[]) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_bring_objects';
CREATE FUNCTION citus_internal.run_ddl(statement text) RETURNS text[]
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_run_ddl';
CREATE FUNCTION pg_catalog.create_distributed_function(
        function_name regprocedure, distribution_arg_name text DEFAULT NULL, colocate_with text DEFAULT 'default',
        force_delegation boolean DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'create_distributed_function';
COMMENT ON FUNCTION pg_catalog.create_distributed_function(regprocedure,text,text,boolean) IS
	'Records which argument says with which shards the calls of a function belong; colocate_with names a table of these shards. The function is on every node, calls run on the node that is asked, and the statements of the function go to the rows from there.';

-- Errors of other nodes keep their SQLSTATE.
DROP FUNCTION citus_internal.run_commands(integer[], text[], boolean, boolean);
CREATE FUNCTION citus_internal.run_commands(node_ids integer[], commands text[], parallel boolean,
        may_wait boolean DEFAULT false, OUT place integer, OUT success boolean, OUT connected boolean, OUT result text,
        OUT sqlstate text)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_run_commands';
CREATE OR REPLACE FUNCTION citus_internal.signal_backend(global_pid bigint, call text) RETURNS boolean
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

-- Operators are named in full where no search_path can be set.
CREATE OR REPLACE PROCEDURE pg_catalog.alter_old_partitions_set_access_method(
        parent_table_name regclass, older_than timestamptz, new_access_method name)
    LANGUAGE plpgsql
AS $$
DECLARE
    part regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_am WHERE amname OPERATOR(pg_catalog.=) new_access_method AND amtype OPERATOR(pg_catalog.=) 't') THEN
        RAISE EXCEPTION 'access method "%" does not exist', new_access_method USING ERRCODE = 'undefined_object';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table p
        JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) p.partrelid
            AND a.attnum OPERATOR(pg_catalog.=) p.partattrs[0]
        WHERE p.partrelid OPERATOR(pg_catalog.=) parent_table_name AND p.partstrat OPERATOR(pg_catalog.=) 'r'
        AND p.partnatts OPERATOR(pg_catalog.=) 1 AND a.atttypid OPERATOR(pg_catalog.=) ANY (ARRAY[
            'pg_catalog.date', 'pg_catalog.timestamp', 'pg_catalog.timestamptz']::pg_catalog.regtype[])) THEN
        RAISE EXCEPTION 'table % is not partitioned by ranges of time', parent_table_name USING ERRCODE = 'wrong_object_type';
    END IF;
    FOR part IN
        SELECT c.oid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid
        JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) c.relam,
        LATERAL (SELECT (pg_catalog.regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), $re$ TO \('([^']+)'\)$re$))[1]) b(upper)
        WHERE i.inhparent OPERATOR(pg_catalog.=) parent_table_name AND c.relkind OPERATOR(pg_catalog.=) 'r'
        AND m.amname OPERATOR(pg_catalog.<>) new_access_method
        AND b.upper::pg_catalog.timestamptz OPERATOR(pg_catalog.<=) older_than ORDER BY b.upper::pg_catalog.timestamptz
    LOOP
        PERFORM pg_catalog.alter_table_set_access_method(part, new_access_method::text);
        COMMIT;
    END LOOP;
END
$$;
