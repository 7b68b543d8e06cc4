-- Asking and changing the metadata: src/catalog.

CREATE FUNCTION pg_catalog.citus_version() RETURNS text
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_version';

CREATE FUNCTION pg_catalog.column_name_to_column(table_name regclass, column_name text) RETURNS text
    LANGUAGE C STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'column_name_to_column';
CREATE FUNCTION pg_catalog.column_to_column_name(table_name regclass, column_var_text text) RETURNS text
    LANGUAGE C STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'column_to_column_name';
CREATE FUNCTION pg_catalog.shard_name(object_name regclass, shard_id bigint,
                                      skip_qualify_public boolean DEFAULT true) RETURNS text
    LANGUAGE C STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'shard_name';
CREATE FUNCTION pg_catalog.get_shard_id_for_distribution_column(
        table_name regclass, distribution_value "any" DEFAULT NULL) RETURNS bigint
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'get_shard_id_for_distribution_column';
CREATE FUNCTION pg_catalog.relation_is_a_known_shard(regclass) RETURNS boolean
    LANGUAGE C STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'relation_is_a_known_shard';
CREATE FUNCTION pg_catalog.citus_table_is_visible(oid) RETURNS boolean
    LANGUAGE C STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_table_is_visible';
CREATE FUNCTION pg_catalog.role_exists(name) RETURNS boolean
    LANGUAGE C STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'role_exists';

-- Which shard of a distributed table a row belongs to, in queries of nodes on each other's shards.
-- hash_function: what the node that asks hashes with; another one is an error.
CREATE FUNCTION citus_internal.hash_value(value anyelement, hash_function text) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'citus_internal_hash_value';
-- The same as a condition, which counts the rows that it is asked about.
CREATE FUNCTION citus_internal.is_in_hash_range(value anyelement, hash_function text, min_hash integer, max_hash integer)
    RETURNS boolean
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'citus_internal_is_in_hash_range';
CREATE FUNCTION citus_internal.tested_rows() RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'citus_internal_tested_rows';
REVOKE ALL ON FUNCTION
    citus_internal.is_in_hash_range(anyelement, text, integer, integer),
    citus_internal.tested_rows()
FROM PUBLIC;

-- Called by the coordinator on the other nodes; see metadata_sql.h. The caller must own the table.
CREATE FUNCTION citus_internal.add_table_metadata(
        relation regclass, partition_method "char", distribution_column text, replication_model "char",
        autoconverted boolean, colocation_id integer, colocation_shard_count integer,
        colocation_replication_factor integer, colocation_type oid, colocation_collation oid,
        shard_ids bigint[], min_hashes text[], max_hashes text[],
        placement_ids bigint[], placement_shards bigint[], placement_groups integer[],
        hash_function text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_add_table_metadata';
CREATE FUNCTION citus_internal.delete_table_metadata(relation regclass) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_delete_table_metadata';
