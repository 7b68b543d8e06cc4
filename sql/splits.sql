-- Splitting shards: src/cluster/split.cpp.

CREATE FUNCTION pg_catalog.citus_split_shard_by_split_points(
        shard_id bigint, split_points text[], node_ids integer[],
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto') RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_split_shard_by_split_points';
CREATE FUNCTION pg_catalog.isolate_tenant_to_new_shard(
        table_name regclass, tenant_id "any", cascade_option text DEFAULT '',
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto') RETURNS bigint
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'isolate_tenant_to_new_shard';

-- Called by the coordinator on all nodes, in its transaction, as the user who must own the table.
CREATE FUNCTION citus_internal.replace_shard(
        relation regclass, shard_id bigint, shard_ids bigint[], min_hashes text[], max_hashes text[],
        placement_ids bigint[], placement_shards bigint[], placement_groups integer[]) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_replace_shard';
