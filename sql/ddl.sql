-- Tables of the metadata: src/ddl.

CREATE FUNCTION pg_catalog.create_distributed_table(
        table_name regclass, distribution_column text,
        distribution_type citus.distribution_type DEFAULT 'hash', colocate_with text DEFAULT 'default',
        shard_count integer DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'create_distributed_table';
CREATE FUNCTION pg_catalog.create_distributed_function(
        function_name regprocedure, distribution_arg_name text DEFAULT NULL, colocate_with text DEFAULT 'default',
        force_delegation boolean DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'create_distributed_function';
CREATE FUNCTION pg_catalog.create_distributed_table_concurrently(
        table_name regclass, distribution_column text,
        distribution_type citus.distribution_type DEFAULT 'hash', colocate_with text DEFAULT 'default',
        shard_count integer DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'create_distributed_table_concurrently';
CREATE FUNCTION pg_catalog.create_reference_table(table_name regclass) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'create_reference_table';
CREATE FUNCTION pg_catalog.citus_add_local_table_to_metadata(
        table_name regclass, cascade_via_foreign_keys boolean DEFAULT false) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_add_local_table_to_metadata';
CREATE FUNCTION pg_catalog.undistribute_table(
        table_name regclass, cascade_via_foreign_keys boolean DEFAULT false) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'undistribute_table';
CREATE FUNCTION pg_catalog.alter_distributed_table(
        table_name regclass, distribution_column text DEFAULT NULL, shard_count integer DEFAULT NULL,
        colocate_with text DEFAULT NULL, cascade_to_colocated boolean DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'alter_distributed_table';
CREATE FUNCTION pg_catalog.alter_table_set_access_method(table_name regclass, access_method text) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'alter_table_set_access_method';
-- Each partition in a transaction of its own, so no SET search_path may be attached here: operators are named in full.
CREATE PROCEDURE pg_catalog.alter_old_partitions_set_access_method(
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
CREATE FUNCTION pg_catalog.truncate_local_data_after_distributing_table(function_name regclass) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'truncate_local_data_after_distributing_table';

CREATE FUNCTION pg_catalog.remove_local_tables_from_metadata() RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'remove_local_tables_from_metadata';
CREATE FUNCTION pg_catalog.distributed_tables_colocated(table1 regclass, table2 regclass) RETURNS boolean
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'distributed_tables_colocated';
CREATE FUNCTION pg_catalog.update_distributed_table_colocation(table_name regclass, colocate_with text) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'update_distributed_table_colocation';
CREATE FUNCTION pg_catalog.get_colocated_table_array(regclass) RETURNS regclass[]
    LANGUAGE C STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'get_colocated_table_array';
CREATE FUNCTION pg_catalog.get_colocated_shard_array(bigint) RETURNS bigint[]
    LANGUAGE C STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'get_colocated_shard_array';

-- Called by nodes on each other; they act as the current user, on what that user owns.
CREATE FUNCTION citus_internal.create_shards(relation regclass) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_create_shards';
CREATE FUNCTION citus_internal.create_part_of_shards(relation regclass, part integer) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_create_part_of_shards';
CREATE FUNCTION citus_internal.gather_rows(relation regclass, source_nodes integer[], source_tables text[]) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_gather_rows';
CREATE FUNCTION citus_internal.drop_table(relation regclass) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_drop_table';
CREATE FUNCTION citus_internal.apply_ddl(statement text, chosen text[] DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_apply_ddl';
-- Called by other nodes for what a client typed there: what they are to do, groups and commands in turn.
CREATE FUNCTION citus_internal.run_ddl(statement text) RETURNS text[]
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_run_ddl';
-- Schemas, types, functions and so on become what they are on the coordinator; see src/ddl/objects/bring_objects.cpp.
CREATE FUNCTION citus_internal.bring_objects(
        complete boolean, kinds text[], identities text[], names text[], statements text[], rights text[],
        creation_counts integer[], state_counts integer[], right_counts integer[]) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_bring_objects';
CREATE FUNCTION citus_internal.adjust_local_sequence(sequence regclass) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_adjust_local_sequence';
-- On shards, whose owners need it to have triggers there; it does nothing anywhere else.
CREATE FUNCTION citus_internal.shard_trigger() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_shard_trigger';
CREATE FUNCTION citus_internal.take_fired_rows() RETURNS text[]
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_take_fired_rows';
CREATE FUNCTION citus_internal.rows_move(moving boolean) RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_rows_move';
-- In column defaults of the nodes, where every user who may insert needs it; the coordinator checks the right.
CREATE FUNCTION citus_internal.coordinator_nextval(sequence regclass) RETURNS bigint
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_coordinator_nextval';
