-- Distributed transactions and global process ids.

CREATE FUNCTION pg_catalog.recover_prepared_transactions() RETURNS integer
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'recover_prepared_transactions';
COMMENT ON FUNCTION pg_catalog.recover_prepared_transactions()
    IS 'commits or rolls back what transactions of this server left prepared on other nodes; returns how many parts';
REVOKE ALL ON FUNCTION pg_catalog.recover_prepared_transactions() FROM PUBLIC;

CREATE FUNCTION pg_catalog.assign_distributed_transaction_id(
        initiator_node_identifier integer,
        transaction_number bigint,
        transaction_stamp timestamp with time zone)
    RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'assign_distributed_transaction_id';
COMMENT ON FUNCTION pg_catalog.assign_distributed_transaction_id(integer, bigint, timestamp with time zone)
    IS 'makes the current transaction a part of a distributed transaction';

CREATE FUNCTION citus_internal.join_transaction(
        initiator_node_identifier integer,
        transaction_number bigint,
        transaction_stamp timestamp with time zone,
        global_pid bigint)
    RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'assign_distributed_transaction_id';
COMMENT ON FUNCTION citus_internal.join_transaction(integer, bigint, timestamp with time zone, bigint)
    IS 'the same, for a transaction that another backend began than the one that it works for';

CREATE FUNCTION pg_catalog.get_current_transaction_id(
        OUT database_id oid,
        OUT process_id integer,
        OUT initiator_node_identifier integer,
        OUT transaction_number bigint,
        OUT transaction_stamp timestamp with time zone)
    RETURNS record
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'get_current_transaction_id';
COMMENT ON FUNCTION pg_catalog.get_current_transaction_id()
    IS 'the distributed transaction that the current transaction belongs to';

CREATE FUNCTION pg_catalog.citus_backend_gpid() RETURNS bigint
    LANGUAGE c STRICT STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'citus_backend_gpid';
COMMENT ON FUNCTION pg_catalog.citus_backend_gpid() IS 'global pid of this session';

CREATE FUNCTION pg_catalog.citus_calculate_gpid(nodeid integer, pid integer) RETURNS bigint
    LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_calculate_gpid';
COMMENT ON FUNCTION pg_catalog.citus_calculate_gpid(integer, integer)
    IS 'global pid of a process of a node';

CREATE FUNCTION pg_catalog.citus_nodeid_for_gpid(global_pid bigint) RETURNS integer
    LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_nodeid_for_gpid';
COMMENT ON FUNCTION pg_catalog.citus_nodeid_for_gpid(bigint) IS 'node id in a global pid';

CREATE FUNCTION pg_catalog.citus_pid_for_gpid(global_pid bigint) RETURNS integer
    LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_pid_for_gpid';
COMMENT ON FUNCTION pg_catalog.citus_pid_for_gpid(bigint) IS 'process id in a global pid';

-- For sessions of other nodes: the statement that follows runs under the snapshot that the first call with this number took.
CREATE FUNCTION citus_internal.hold_snapshot(statement_number bigint) RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_hold_snapshot';

-- Locks shard groups of the relation's colocation (by shard index), then shards (by id), in the order given.
CREATE FUNCTION citus_internal.lock_shard_groups(relation regclass, groups bigint[], shards bigint[], alone boolean)
    RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_lock_shard_groups';

-- Whether the value of a setting is told to the other nodes; null: the table of settings has no row for it.
CREATE FUNCTION citus_internal.setting_travels(name text) RETURNS boolean
    LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_internal_setting_travels';
REVOKE ALL ON FUNCTION citus_internal.setting_travels(text) FROM PUBLIC;
