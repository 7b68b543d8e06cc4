-- Loaded by CREATE EXTENSION citus; not by hand.
\echo Use "CREATE EXTENSION citus" to load this file. \quit

CREATE SCHEMA citus;
CREATE SCHEMA citus_internal;
GRANT USAGE ON SCHEMA citus, citus_internal TO PUBLIC;
-- Enums of the API. Labels and their order are part of it.
CREATE TYPE citus.distribution_type AS ENUM ('hash', 'range', 'append');
CREATE TYPE citus.shard_transfer_mode AS ENUM ('auto', 'force_logical', 'block_writes');
CREATE TYPE pg_catalog.citus_copy_format AS ENUM ('csv', 'binary', 'text');
CREATE TYPE pg_catalog.citus_job_status AS ENUM
    ('scheduled', 'running', 'finished', 'cancelling', 'cancelled', 'failing', 'failed');
CREATE TYPE pg_catalog.citus_task_status AS ENUM
    ('blocked', 'runnable', 'running', 'done', 'cancelling', 'error', 'unscheduled', 'cancelled');
CREATE TYPE pg_catalog.noderole AS ENUM ('primary', 'secondary', 'unavailable');
-- The metadata catalogs. PostgreSQL does not create tables in pg_catalog; they are made in schema
-- citus and moved there at the end of this file.

-- Checks of what may be stored as connection info: see src/catalog/conninfo.cpp.
CREATE FUNCTION pg_catalog.authinfo_valid(text) RETURNS boolean
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'authinfo_valid';
CREATE FUNCTION pg_catalog.poolinfo_valid(text) RETURNS boolean
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'poolinfo_valid';

-- Nodes -------------------------------------------------------------------------------------------

CREATE SEQUENCE citus.pg_dist_node_nodeid_seq MAXVALUE 2147483647 NO CYCLE;
CREATE SEQUENCE citus.pg_dist_groupid_seq MAXVALUE 2147483647 NO CYCLE;

-- One row per server; a group is a primary with its standbys.
CREATE TABLE citus.pg_dist_node (
    nodeid integer NOT NULL DEFAULT nextval('citus.pg_dist_node_nodeid_seq') PRIMARY KEY,
    groupid integer NOT NULL DEFAULT nextval('citus.pg_dist_groupid_seq'),
    nodename text NOT NULL,
    nodeport integer NOT NULL DEFAULT 5432,
    noderack text NOT NULL DEFAULT 'default',
    hasmetadata boolean NOT NULL DEFAULT false,
    isactive boolean NOT NULL DEFAULT true,
    noderole noderole NOT NULL DEFAULT 'primary',
    nodecluster name NOT NULL DEFAULT 'default',
    metadatasynced boolean DEFAULT false,
    shouldhaveshards boolean NOT NULL DEFAULT true,
    nodeprimarynodeid integer NOT NULL DEFAULT 0,
    CONSTRAINT pg_dist_node_nodename_nodeport_key UNIQUE (nodename, nodeport),
    CONSTRAINT primaries_are_only_allowed_in_the_default_cluster
        CHECK (NOT (nodecluster <> 'default' AND noderole = 'primary'))
);

-- The group of this very server: the one catalog that differs between nodes.
CREATE TABLE citus.pg_dist_local_group (groupid integer NOT NULL PRIMARY KEY);
INSERT INTO citus.pg_dist_local_group VALUES (0);

-- Facts about this server's database; server_id tells two installations apart.
CREATE TABLE citus.pg_dist_node_metadata (metadata jsonb NOT NULL);
INSERT INTO citus.pg_dist_node_metadata VALUES (jsonb_build_object('server_id', gen_random_uuid()));

-- Secrets for connecting to a node (0 = any node) as a role.
CREATE TABLE citus.pg_dist_authinfo (
    nodeid integer NOT NULL,
    rolename name NOT NULL,
    authinfo text NOT NULL CHECK (authinfo_valid(authinfo)),
    PRIMARY KEY (rolename, nodeid)
);
-- For superusers, and not for who may read all tables.
ALTER TABLE citus.pg_dist_authinfo ENABLE ROW LEVEL SECURITY;

-- What the nodes of a cluster know each other by: src/txn/node_proof.cpp. A server begins as a cluster of its own. Not a
-- configuration table of the extension, so no dump holds it; row security keeps out who may read all tables.
CREATE TABLE citus_internal.cluster_secret (
    secret bytea NOT NULL CHECK (octet_length(secret) OPERATOR(pg_catalog.=) 32),
    current boolean NOT NULL,
    valid_until timestamptz NOT NULL
);
ALTER TABLE citus_internal.cluster_secret ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON citus_internal.cluster_secret FROM PUBLIC;
INSERT INTO citus_internal.cluster_secret
    VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), true, 'infinity');

-- Where to connect instead of a node's own address (a pooler).
CREATE TABLE citus.pg_dist_poolinfo (
    nodeid integer NOT NULL PRIMARY KEY,
    poolinfo text NOT NULL CHECK (poolinfo_valid(poolinfo))
);

-- Tables and shards -------------------------------------------------------------------------------

CREATE SEQUENCE citus.pg_dist_colocationid_seq MAXVALUE 2147483647 NO CYCLE;
CREATE SEQUENCE citus.pg_dist_shardid_seq MINVALUE 102008 NO CYCLE;
CREATE SEQUENCE citus.pg_dist_placement_placementid_seq NO CYCLE;

CREATE TABLE citus.pg_dist_partition (
    logicalrelid regclass NOT NULL,
    partmethod "char" NOT NULL,
    partkey text,
    colocationid integer NOT NULL DEFAULT 0,
    repmodel "char" NOT NULL DEFAULT 'c',
    autoconverted boolean DEFAULT false
);
CREATE UNIQUE INDEX pg_dist_partition_logical_relid_index ON citus.pg_dist_partition (logicalrelid);
CREATE INDEX pg_dist_partition_colocationid_index ON citus.pg_dist_partition (colocationid);

CREATE TABLE citus.pg_dist_shard (
    logicalrelid regclass NOT NULL,
    shardid bigint NOT NULL,
    shardstorage "char" NOT NULL,
    shardminvalue text,
    shardmaxvalue text
);
CREATE UNIQUE INDEX pg_dist_shard_shardid_index ON citus.pg_dist_shard (shardid);
CREATE INDEX pg_dist_shard_logical_relid_index ON citus.pg_dist_shard (logicalrelid);

CREATE TABLE citus.pg_dist_placement (
    placementid bigint NOT NULL DEFAULT nextval('citus.pg_dist_placement_placementid_seq'),
    shardid bigint NOT NULL,
    shardstate integer NOT NULL,
    shardlength bigint NOT NULL,
    groupid integer NOT NULL
);
CREATE UNIQUE INDEX pg_dist_placement_placementid_index ON citus.pg_dist_placement (placementid);
CREATE UNIQUE INDEX pg_dist_placement_shardid_index ON citus.pg_dist_placement (shardid, groupid);
CREATE INDEX pg_dist_placement_groupid_index ON citus.pg_dist_placement (groupid);

CREATE TABLE citus.pg_dist_colocation (
    colocationid integer NOT NULL PRIMARY KEY,
    shardcount integer NOT NULL,
    replicationfactor integer NOT NULL,
    distributioncolumntype oid NOT NULL,
    distributioncolumncollation oid NOT NULL
);
CREATE INDEX pg_dist_colocation_configuration_index ON citus.pg_dist_colocation
    (shardcount, replicationfactor, distributioncolumntype, distributioncolumncollation);

-- Colocation groups that colocate_with => 'none' made: tables only join them by name.
CREATE TABLE citus_internal.isolated_colocation (colocationid integer NOT NULL PRIMARY KEY);

CREATE TABLE citus.pg_dist_schema (
    schemaid oid NOT NULL PRIMARY KEY,
    colocationid integer NOT NULL UNIQUE
);

-- Objects other than tables that every node has: see src/ddl.
CREATE TABLE citus.pg_dist_object (
    classid oid NOT NULL,
    objid oid NOT NULL,
    objsubid integer NOT NULL,
    type text,
    object_names text[],
    object_args text[],
    distribution_argument_index integer,
    colocationid integer,
    force_delegation boolean,
    CONSTRAINT pg_dist_object_pkey PRIMARY KEY (classid, objid, objsubid)
);

-- Transactions, clean-up, background jobs ---------------------------------------------------------

-- Commit records of two-phase commit: a row that is committed here decides for (group, gid).
CREATE TABLE citus.pg_dist_transaction (
    groupid integer NOT NULL,
    gid text NOT NULL,
    outer_xid xid8,
    CONSTRAINT pg_dist_transaction_unique_constraint UNIQUE (groupid, gid)
);

CREATE SEQUENCE citus.pg_dist_operationid_seq NO CYCLE;
CREATE SEQUENCE citus.pg_dist_cleanup_recordid_seq NO CYCLE;
CREATE TABLE citus.pg_dist_cleanup (
    record_id bigint NOT NULL DEFAULT nextval('citus.pg_dist_cleanup_recordid_seq') PRIMARY KEY,
    operation_id bigint NOT NULL,
    object_type integer NOT NULL,
    object_name text NOT NULL,
    node_group_id integer NOT NULL,
    policy_type integer NOT NULL
);

CREATE SEQUENCE citus.pg_dist_background_job_job_id_seq NO CYCLE;
CREATE TABLE citus.pg_dist_background_job (
    job_id bigint NOT NULL DEFAULT nextval('citus.pg_dist_background_job_job_id_seq') PRIMARY KEY,
    state citus_job_status NOT NULL DEFAULT 'scheduled',
    job_type name NOT NULL,
    description text NOT NULL,
    started_at timestamptz,
    finished_at timestamptz
);
CREATE SEQUENCE citus.pg_dist_background_task_task_id_seq NO CYCLE;
CREATE TABLE citus.pg_dist_background_task (
    job_id bigint NOT NULL REFERENCES citus.pg_dist_background_job (job_id),
    task_id bigint NOT NULL DEFAULT nextval('citus.pg_dist_background_task_task_id_seq') PRIMARY KEY,
    owner regrole NOT NULL DEFAULT CURRENT_USER::regrole,
    pid integer,
    status citus_task_status NOT NULL DEFAULT 'runnable',
    command text NOT NULL,
    retry_count integer,
    not_before timestamptz,
    message text NOT NULL DEFAULT '',
    nodes_involved integer[],
    CONSTRAINT pg_dist_background_task_job_id_task_id UNIQUE (job_id, task_id)
);
CREATE INDEX pg_dist_background_task_status_task_id_index
    ON citus.pg_dist_background_task (status, task_id);
CREATE TABLE citus.pg_dist_background_task_depend (
    job_id bigint NOT NULL REFERENCES citus.pg_dist_background_job (job_id) ON DELETE CASCADE,
    task_id bigint NOT NULL,
    depends_on bigint NOT NULL,
    PRIMARY KEY (job_id, task_id, depends_on),
    FOREIGN KEY (job_id, task_id)
        REFERENCES citus.pg_dist_background_task (job_id, task_id) ON DELETE CASCADE,
    FOREIGN KEY (job_id, depends_on)
        REFERENCES citus.pg_dist_background_task (job_id, task_id) ON DELETE CASCADE
);
CREATE INDEX pg_dist_background_task_depend_depends_on
    ON citus.pg_dist_background_task_depend (job_id, depends_on);

CREATE TABLE citus.pg_dist_rebalance_strategy (
    name name NOT NULL PRIMARY KEY,
    default_strategy boolean NOT NULL DEFAULT false,
    shard_cost_function regproc NOT NULL,
    node_capacity_function regproc NOT NULL,
    shard_allowed_on_node_function regproc NOT NULL,
    default_threshold real NOT NULL,
    minimum_threshold real NOT NULL DEFAULT 0,
    improvement_threshold real NOT NULL DEFAULT 0
);

-- What other backends remember of the metadata is dropped when a superuser edits these by hand.
CREATE FUNCTION citus_internal.metadata_changed() RETURNS trigger
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'citus_internal_metadata_changed';
REVOKE ALL ON FUNCTION citus_internal.metadata_changed() FROM PUBLIC;
CREATE TRIGGER metadata_changed AFTER INSERT OR UPDATE OR DELETE ON citus.pg_dist_node
    FOR EACH ROW EXECUTE FUNCTION citus_internal.metadata_changed();
CREATE TRIGGER metadata_changed AFTER INSERT OR UPDATE OR DELETE ON citus.pg_dist_local_group
    FOR EACH ROW EXECUTE FUNCTION citus_internal.metadata_changed();
CREATE TRIGGER metadata_changed AFTER INSERT OR UPDATE OR DELETE ON citus.pg_dist_authinfo
    FOR EACH ROW EXECUTE FUNCTION citus_internal.metadata_changed();
CREATE TRIGGER metadata_changed AFTER INSERT OR UPDATE OR DELETE ON citus.pg_dist_partition
    FOR EACH ROW EXECUTE FUNCTION citus_internal.metadata_changed();
CREATE TRIGGER metadata_changed AFTER INSERT OR UPDATE OR DELETE ON citus.pg_dist_shard
    FOR EACH ROW EXECUTE FUNCTION citus_internal.metadata_changed();
CREATE TRIGGER metadata_changed AFTER INSERT OR UPDATE OR DELETE ON citus.pg_dist_placement
    FOR EACH ROW EXECUTE FUNCTION citus_internal.metadata_changed();

-- To pg_catalog, readable by everyone except where secrets are kept --------------------------------

DO $$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT c.relname, c.relkind FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'citus'::regnamespace AND c.relkind IN ('r', 'S')
        ORDER BY c.relkind, c.relname
    LOOP
        IF item.relkind = 'r' THEN
            EXECUTE pg_catalog.format('ALTER TABLE citus.%I SET SCHEMA pg_catalog', item.relname);
            IF item.relname OPERATOR(pg_catalog.<>) ALL (ARRAY['pg_dist_authinfo', 'pg_dist_poolinfo']::name[]) THEN
                EXECUTE pg_catalog.format('GRANT SELECT ON pg_catalog.%I TO PUBLIC', item.relname);
            END IF;
        ELSE
            EXECUTE pg_catalog.format('ALTER SEQUENCE citus.%I SET SCHEMA pg_catalog', item.relname);
            EXECUTE pg_catalog.format('GRANT SELECT ON SEQUENCE pg_catalog.%I TO PUBLIC', item.relname);
        END IF;
    END LOOP;
END
$$;
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
-- How nodes know each other: src/txn/node_proof.cpp, src/cluster/secret.cpp.

CREATE FUNCTION citus_internal.prove_node(token bytea) RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_prove_node';

-- In whose name the statements of the transaction run from here on, said by the node that opened the session.
CREATE FUNCTION citus_internal.act_as(role name, number bigint, proof bytea) RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_act_as';

-- This server's sessions that other nodes opened, and the global pids of the backends that they work for.
CREATE FUNCTION citus_internal.node_sessions(OUT pid integer, OUT global_pid bigint) RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'citus_internal_node_sessions';

CREATE FUNCTION citus_internal.wrap_secret(key bytea, secret bytea) RETURNS bytea
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_wrap_secret';
CREATE FUNCTION citus_internal.unwrap_secret(wrapped bytea) RETURNS bytea
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_unwrap_secret';

-- From now on sessions opened with the secret are those of nodes; this server's own are opened with another one for now.
CREATE FUNCTION citus_internal.accept_secret(wrapped bytea) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    handed bytea := citus_internal.unwrap_secret(wrapped);
BEGIN
    DELETE FROM citus_internal.cluster_secret WHERE valid_until < now();
    -- Long enough for a transaction in doubt to be finished by who hands it over.
    INSERT INTO citus_internal.cluster_secret SELECT handed, false, now() + interval '7 days'
    WHERE NOT EXISTS (SELECT FROM citus_internal.cluster_secret WHERE secret = handed);
END
$$;

-- Sessions are opened with the secret; the one before is accepted for as long as sessions may be on their way.
CREATE FUNCTION citus_internal.use_secret(wrapped bytea) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    handed bytea := citus_internal.unwrap_secret(wrapped);
BEGIN
    UPDATE citus_internal.cluster_secret
    SET current = false, valid_until = least(valid_until, now() + interval '10 minutes')
    WHERE current AND secret <> handed;
    UPDATE citus_internal.cluster_secret SET current = true, valid_until = 'infinity' WHERE secret = handed;
    IF NOT FOUND THEN
        INSERT INTO citus_internal.cluster_secret VALUES (handed, true, 'infinity');
    END IF;
END
$$;

CREATE FUNCTION citus_internal.random_secret() RETURNS bytea
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) $$;

-- A server that leaves a cluster is one of its own again.
CREATE FUNCTION citus_internal.forget_secret() RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM citus_internal.cluster_secret;
    INSERT INTO citus_internal.cluster_secret VALUES (citus_internal.random_secret(), true, 'infinity')
$$;

CREATE FUNCTION pg_catalog.citus_rotate_cluster_secret() RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_rotate_cluster_secret';

REVOKE ALL ON FUNCTION citus_internal.wrap_secret(bytea, bytea), citus_internal.unwrap_secret(bytea),
    citus_internal.accept_secret(bytea), citus_internal.use_secret(bytea), citus_internal.random_secret(),
    citus_internal.forget_secret(), pg_catalog.citus_rotate_cluster_secret() FROM PUBLIC;
-- Commands on nodes, each in a session and a transaction of its own: src/cluster/node_tasks.cpp.

CREATE FUNCTION citus_internal.run_commands(node_ids integer[], commands text[], parallel boolean,
        may_wait boolean DEFAULT false, OUT place integer, OUT success boolean, OUT connected boolean, OUT result text)
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
-- Counters: src/stats/counters.cpp, src/stats/statements.cpp.

CREATE FUNCTION pg_catalog.citus_stat_counters(database_id oid DEFAULT 0, OUT database_id oid,
        OUT connection_establishment_succeeded bigint, OUT connection_establishment_failed bigint,
        OUT connection_reused bigint, OUT query_execution_single_shard bigint,
        OUT query_execution_multi_shard bigint, OUT stats_reset timestamp with time zone)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_stat_counters';

CREATE FUNCTION pg_catalog.citus_stat_counters_reset(database_oid oid DEFAULT 0) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_stat_counters_reset';
REVOKE ALL ON FUNCTION pg_catalog.citus_stat_counters_reset(oid) FROM PUBLIC;

CREATE VIEW citus.citus_stat_counters AS
    SELECT d.oid, d.datname AS name,
        coalesce(c.connection_establishment_succeeded, 0) AS connection_establishment_succeeded,
        coalesce(c.connection_establishment_failed, 0) AS connection_establishment_failed,
        coalesce(c.connection_reused, 0) AS connection_reused,
        coalesce(c.query_execution_single_shard, 0) AS query_execution_single_shard,
        coalesce(c.query_execution_multi_shard, 0) AS query_execution_multi_shard,
        c.stats_reset
    FROM pg_catalog.pg_database d
        LEFT JOIN pg_catalog.citus_stat_counters() c ON c.database_id = d.oid;

CREATE FUNCTION pg_catalog.citus_stat_statements(OUT queryid bigint, OUT userid oid, OUT dbid oid, OUT query text,
        OUT executor bigint, OUT partition_key text, OUT calls bigint)
    RETURNS SETOF record
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_stat_statements';

CREATE FUNCTION pg_catalog.citus_stat_statements_reset() RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_stat_statements_reset';
REVOKE ALL ON FUNCTION pg_catalog.citus_stat_statements_reset() FROM PUBLIC;

CREATE VIEW citus.citus_stat_statements AS
    SELECT s.queryid, s.userid, s.dbid, s.query,
        CASE s.executor WHEN 1 THEN 'adaptive' WHEN 2 THEN 'insert-select' END AS executor,
        s.partition_key, s.calls
    FROM pg_catalog.citus_stat_statements() s;

ALTER VIEW citus.citus_stat_counters SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_stat_statements SET SCHEMA pg_catalog;
GRANT SELECT ON pg_catalog.citus_stat_counters, pg_catalog.citus_stat_statements TO PUBLIC;
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
            ERRCODE = CASE WHEN answer.connected THEN 'insufficient_privilege' ELSE 'connection_failure' END,
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
-- Tables of the metadata: src/ddl.

CREATE FUNCTION pg_catalog.create_distributed_table(
        table_name regclass, distribution_column text,
        distribution_type citus.distribution_type DEFAULT 'hash', colocate_with text DEFAULT 'default',
        shard_count integer DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'create_distributed_table';
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
-- Each partition in a transaction of its own, so nothing of the kind SET .. may be attached here.
CREATE PROCEDURE pg_catalog.alter_old_partitions_set_access_method(
        parent_table_name regclass, older_than timestamptz, new_access_method name)
    LANGUAGE plpgsql
AS $$
DECLARE
    part regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_am WHERE amname = new_access_method AND amtype = 't') THEN
        RAISE EXCEPTION 'access method "%" does not exist', new_access_method USING ERRCODE = 'undefined_object';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table p
        JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
        WHERE p.partrelid = parent_table_name AND p.partstrat = 'r' AND p.partnatts = 1
        AND a.atttypid IN ('pg_catalog.date'::regtype, 'pg_catalog.timestamp'::regtype, 'pg_catalog.timestamptz'::regtype)) THEN
        RAISE EXCEPTION 'table % is not partitioned by ranges of time', parent_table_name USING ERRCODE = 'wrong_object_type';
    END IF;
    FOR part IN
        SELECT c.oid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        JOIN pg_catalog.pg_am m ON m.oid = c.relam,
        LATERAL (SELECT (pg_catalog.regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), $re$ TO \('([^']+)'\)$re$))[1]) b(upper)
        WHERE i.inhparent = parent_table_name AND c.relkind = 'r' AND m.amname <> new_access_method
        AND b.upper::timestamptz <= older_than ORDER BY b.upper::timestamptz
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
-- Schemas, types, functions and so on become what they are on the coordinator; see src/ddl/objects/bring_objects.cpp.
CREATE FUNCTION citus_internal.bring_objects(
        complete boolean, classes text[], identities text[], names text[], statements text[], rights text[],
        statement_counts integer[], right_counts integer[]) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_bring_objects';
CREATE FUNCTION citus_internal.adjust_local_sequence(sequence regclass) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_internal_adjust_local_sequence';
-- In column defaults of the nodes, where every user who may insert needs it; the coordinator checks the right.
CREATE FUNCTION citus_internal.coordinator_nextval(sequence regclass) RETURNS bigint
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_coordinator_nextval';
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
-- Transition states of aggregates, as values that travel: see src/planner/partial_state.cpp.
CREATE FUNCTION citus_internal.partial_transition(internal, text, VARIADIC "any") RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_partial_transition';
CREATE FUNCTION citus_internal.partial_bytes_final(internal) RETURNS bytea
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_partial_bytes';
CREATE FUNCTION citus_internal.partial_text_final(internal) RETURNS text
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_partial_text';

CREATE AGGREGATE citus_internal.partial_bytes(text, VARIADIC "any") (
    SFUNC = citus_internal.partial_transition,
    STYPE = internal,
    FINALFUNC = citus_internal.partial_bytes_final,
    PARALLEL = SAFE
);
CREATE AGGREGATE citus_internal.partial_text(text, VARIADIC "any") (
    SFUNC = citus_internal.partial_transition,
    STYPE = internal,
    FINALFUNC = citus_internal.partial_text_final,
    PARALLEL = SAFE
);

-- What statements check on their way: see src/planner/check_options.cpp.
CREATE FUNCTION citus_internal.unreferenced(referenced boolean, table_name text, constraint_name text, referencing text, columns text, "values" text[])
    RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_unreferenced';
CREATE FUNCTION citus_internal.row_left(shard oid, "row" tid, found tid) RETURNS tid
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'citus_row_left';
CREATE FUNCTION citus_internal.check_option(holds boolean, view_name text, "row" text[]) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_check_option';
CREATE FUNCTION citus_internal.visible_in_view(holds boolean, view_name text) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_visible_in_view';

CREATE FUNCTION citus_internal.shell_oid(shard oid, names text[], oids oid[]) RETURNS oid
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_shell_oid';
CREATE FUNCTION citus_internal.merge_once(count bigint) RETURNS boolean
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'citus_merge_once';
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
-- Rebalancing and background jobs: src/cluster/rebalance.cpp, src/cluster/background_jobs.cpp, src/daemon/job_queue.cpp.

-- Strategies --------------------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.citus_shard_cost_1(bigint) RETURNS real
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT 1::real $$;

-- The bytes of a shard and of those that move with it, and 100 MB, so that empty shards are spread too. Every node is asked.
CREATE FUNCTION pg_catalog.citus_shard_cost_by_disk_size(bigint) RETURNS real
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_shard WHERE shardid = $1) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('shard %s does not exist', $1);
    END IF;
    RETURN (
        WITH wanted AS (
            SELECT s.shardid FROM pg_dist_shard s WHERE s.shardid = $1
            UNION
            SELECT other.shardid
            FROM pg_dist_shard s
                JOIN pg_dist_partition p USING (logicalrelid)
                JOIN pg_dist_partition q ON q.colocationid = p.colocationid AND p.colocationid <> 0
                JOIN pg_dist_shard other ON other.logicalrelid = q.logicalrelid
                    AND other.shardminvalue IS NOT DISTINCT FROM s.shardminvalue
                    AND other.shardmaxvalue IS NOT DISTINCT FROM s.shardmaxvalue
            WHERE s.shardid = $1),
        placed AS (
            SELECT max(z.size) AS size
            FROM citus_internal.placement_sizes(NULL, 'total', true) z JOIN wanted USING (shardid)
            GROUP BY z.shardid)
        SELECT (104857600 + coalesce(sum(size), 0))::real FROM placed);
END
$$;

CREATE FUNCTION pg_catalog.citus_node_capacity_1(integer) RETURNS real
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT 1::real $$;

CREATE FUNCTION pg_catalog.citus_shard_allowed_on_node_true(bigint, integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT true $$;

CREATE FUNCTION pg_catalog.citus_validate_rebalance_strategy_functions(shard_cost_function regproc,
        node_capacity_function regproc, shard_allowed_on_node_function regproc) RETURNS void
    LANGUAGE plpgsql STRICT STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    expected record;
BEGIN
    FOR expected IN
        SELECT v.role, v.func, v.arguments, v.result
        FROM (VALUES
            ('shard_cost_function', shard_cost_function, '{bigint}'::regtype[], 'real'::regtype),
            ('node_capacity_function', node_capacity_function, '{integer}', 'real'),
            ('shard_allowed_on_node_function', shard_allowed_on_node_function, '{bigint,integer}', 'boolean')
        ) v(role, func, arguments, result)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_proc p
            WHERE p.oid = expected.func AND p.prokind = 'f' AND NOT p.proretset
              AND string_to_array(p.proargtypes::text, ' ')::oid[] = expected.arguments::oid[]
              AND p.prorettype = expected.result)
        THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_function_definition',
                MESSAGE = format('%s cannot be the %s of a rebalance strategy', expected.func, expected.role),
                DETAIL = format('It must be a function (%s) that returns %s.',
                    array_to_string(expected.arguments, ', '), expected.result);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION citus_internal.check_rebalance_strategy() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM citus_validate_rebalance_strategy_functions(NEW.shard_cost_function, NEW.node_capacity_function,
        NEW.shard_allowed_on_node_function);
    IF NEW.default_threshold < NEW.minimum_threshold THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('default_threshold %s is below minimum_threshold %s',
                NEW.default_threshold, NEW.minimum_threshold);
    END IF;
    IF NEW.minimum_threshold < 0 OR NEW.improvement_threshold < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'thresholds of a rebalance strategy must not be negative';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.check_rebalance_strategy() FROM PUBLIC;

CREATE UNIQUE INDEX pg_dist_rebalance_strategy_one_default ON pg_catalog.pg_dist_rebalance_strategy (default_strategy)
    WHERE default_strategy;
CREATE TRIGGER check_strategy BEFORE INSERT OR UPDATE ON pg_catalog.pg_dist_rebalance_strategy
    FOR EACH ROW EXECUTE FUNCTION citus_internal.check_rebalance_strategy();

INSERT INTO pg_catalog.pg_dist_rebalance_strategy VALUES
    ('by_shard_count', false, 'pg_catalog.citus_shard_cost_1', 'pg_catalog.citus_node_capacity_1',
     'pg_catalog.citus_shard_allowed_on_node_true', 0, 0, 0),
    ('by_disk_size', true, 'pg_catalog.citus_shard_cost_by_disk_size', 'pg_catalog.citus_node_capacity_1',
     'pg_catalog.citus_shard_allowed_on_node_true', 0.1, 0.01, 0.5);
SELECT pg_catalog.pg_extension_config_dump('pg_catalog.pg_dist_rebalance_strategy',
    'WHERE name NOT IN (''by_shard_count'', ''by_disk_size'')');

CREATE FUNCTION pg_catalog.citus_add_rebalance_strategy(name name, shard_cost_function regproc,
        node_capacity_function regproc, shard_allowed_on_node_function regproc, default_threshold real,
        minimum_threshold real DEFAULT 0, improvement_threshold real DEFAULT 0) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO pg_catalog.pg_dist_rebalance_strategy VALUES
        (name, false, shard_cost_function, node_capacity_function, shard_allowed_on_node_function,
         default_threshold, minimum_threshold, improvement_threshold)
$$;
REVOKE ALL ON FUNCTION pg_catalog.citus_add_rebalance_strategy(name, regproc, regproc, regproc, real, real, real) FROM PUBLIC;

CREATE FUNCTION pg_catalog.citus_set_default_rebalance_strategy(name text) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_rebalance_strategy s WHERE s.name = $1) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('rebalance strategy "%s" does not exist', $1),
            HINT = 'pg_dist_rebalance_strategy lists them.';
    END IF;
    UPDATE pg_dist_rebalance_strategy SET default_strategy = false WHERE default_strategy;
    UPDATE pg_dist_rebalance_strategy s SET default_strategy = true WHERE s.name = $1;
END
$$;
REVOKE ALL ON FUNCTION pg_catalog.citus_set_default_rebalance_strategy(text) FROM PUBLIC;

-- Plans and moves ---------------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.get_rebalance_table_shards_plan(relation regclass DEFAULT NULL, threshold real DEFAULT NULL,
        max_shard_moves integer DEFAULT 1000000, excluded_shard_list bigint[] DEFAULT '{}',
        drain_only boolean DEFAULT false, rebalance_strategy name DEFAULT NULL,
        improvement_threshold real DEFAULT NULL)
    RETURNS TABLE (table_name regclass, shardid bigint, shard_size bigint, sourcename text, sourceport integer,
        targetname text, targetport integer)
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'get_rebalance_table_shards_plan';

CREATE FUNCTION pg_catalog.rebalance_table_shards(relation regclass DEFAULT NULL, threshold real DEFAULT NULL,
        max_shard_moves integer DEFAULT 1000000, excluded_shard_list bigint[] DEFAULT '{}',
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto', drain_only boolean DEFAULT false,
        rebalance_strategy name DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'rebalance_table_shards';

CREATE FUNCTION pg_catalog.citus_drain_node(nodename text, nodeport integer,
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto', rebalance_strategy name DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_drain_node';
REVOKE ALL ON FUNCTION pg_catalog.citus_drain_node(text, integer, citus.shard_transfer_mode, name) FROM PUBLIC;

CREATE FUNCTION pg_catalog.citus_rebalance_start(rebalance_strategy name DEFAULT NULL, drain_only boolean DEFAULT false,
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto',
        parallel_transfer_reference_tables boolean DEFAULT false,
        parallel_transfer_colocated_shards boolean DEFAULT false) RETURNS bigint
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_rebalance_start';
CREATE FUNCTION pg_catalog.citus_rebalance_stop() RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_rebalance_stop';
CREATE FUNCTION pg_catalog.citus_rebalance_wait() RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_rebalance_wait';

-- Background jobs ---------------------------------------------------------------------------------

CREATE FUNCTION citus_internal.jobs_changed() RETURNS trigger
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'citus_internal_jobs_changed';
REVOKE ALL ON FUNCTION citus_internal.jobs_changed() FROM PUBLIC;
CREATE TRIGGER jobs_changed AFTER INSERT OR UPDATE OR DELETE ON pg_catalog.pg_dist_background_job
    FOR EACH STATEMENT EXECUTE FUNCTION citus_internal.jobs_changed();
CREATE TRIGGER jobs_changed AFTER INSERT OR UPDATE OR DELETE ON pg_catalog.pg_dist_background_task
    FOR EACH STATEMENT EXECUTE FUNCTION citus_internal.jobs_changed();

CREATE FUNCTION pg_catalog.citus_job_cancel(jobid bigint) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_job_cancel';
CREATE FUNCTION pg_catalog.citus_job_wait(jobid bigint, desired_status citus_job_status DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_job_wait';

CREATE FUNCTION pg_catalog.citus_job_list()
    RETURNS TABLE (job_id bigint, state citus_job_status, job_type name, description text,
        started_at timestamptz, finished_at timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT j.job_id, j.state, j.job_type, j.description, j.started_at, j.finished_at
    FROM pg_catalog.pg_dist_background_job j
    ORDER BY j.job_id
$$;

-- What a process that moves shards is at, for the details of its task; null when it moves none.
CREATE FUNCTION citus_internal.move_progress(pid integer, raw boolean) RETURNS jsonb
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN count(*) > 0 THEN jsonb_build_object(
        'phase', min(p.status),
        'hosts', jsonb_build_object(
            'source', min(p.sourcename || ':' || p.sourceport), 'target', min(p.targetname || ':' || p.targetport)),
        'size', jsonb_build_object(
            'source', CASE WHEN raw THEN to_jsonb(sum(p.source_shard_size)) ELSE to_jsonb(pg_size_pretty(sum(p.source_shard_size))) END,
            'target', CASE WHEN raw THEN to_jsonb(sum(p.target_shard_size)) ELSE to_jsonb(pg_size_pretty(sum(p.target_shard_size))) END),
        'percent', least(round(100.0 * sum(p.target_shard_size) / nullif(sum(p.source_shard_size), 0)), 100),
        'LSN', jsonb_build_object(
            'source', max(p.source_lsn), 'target', min(p.target_lsn),
            'lag', CASE WHEN raw THEN to_jsonb(max(p.source_lsn) - min(p.target_lsn))
                ELSE to_jsonb(pg_size_pretty(max(p.source_lsn) - min(p.target_lsn))) END)) END
    FROM get_rebalance_progress() p
    WHERE p.sessionid = pid
$$;

-- Tasks that run, failed, or wait to be tried again, and how many there are in each state.
CREATE FUNCTION pg_catalog.citus_job_status(job_id bigint, raw boolean DEFAULT false)
    RETURNS TABLE (job_id bigint, state citus_job_status, job_type name, description text,
        started_at timestamptz, finished_at timestamptz, details jsonb)
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT j.job_id, j.state, j.job_type, j.description, j.started_at, j.finished_at,
        jsonb_build_object(
            'tasks', coalesce((
                SELECT jsonb_agg(jsonb_build_object('task_id', t.task_id, 'state', t.status, 'command', t.command,
                        'retried', coalesce(t.retry_count, 0), 'message', t.message)
                    || coalesce(CASE WHEN t.status IN ('running', 'cancelling') THEN citus_internal.move_progress(t.pid, $2) END, '{}')
                    ORDER BY t.task_id)
                FROM pg_dist_background_task t
                WHERE t.job_id = j.job_id
                  AND (t.status IN ('running', 'cancelling', 'error') OR (t.status = 'runnable' AND t.retry_count > 0))), '[]'),
            'task_state_counts', coalesce((
                SELECT jsonb_object_agg(c.status, c.number)
                FROM (SELECT t.status, count(*) AS number FROM pg_dist_background_task t
                      WHERE t.job_id = j.job_id GROUP BY t.status) c), '{}'))
    FROM pg_dist_background_job j
    WHERE j.job_id = $1
$$;

CREATE FUNCTION pg_catalog.citus_rebalance_status(raw boolean DEFAULT false)
    RETURNS TABLE (job_id bigint, state citus_job_status, job_type name, description text,
        started_at timestamptz, finished_at timestamptz, details jsonb)
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.*
    FROM (SELECT j.job_id FROM pg_dist_background_job j WHERE j.job_type = 'rebalance'
          ORDER BY j.job_id DESC LIMIT 1) newest,
        citus_job_status(newest.job_id, $1) s
$$;

-- The queue's own steps, in its process only. Whoever changes several tasks of a job holds the job's row.

-- What becomes of a task whose attempt failed or was lost: cancelled, tried again after a pause that
-- doubles up to ten minutes, or an error.
CREATE FUNCTION citus_internal.finish_task(task bigint, error text, retriable boolean, pause integer) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_retries constant integer := 10;
BEGIN
    UPDATE pg_dist_background_task t
    SET status = CASE
            WHEN t.status = 'cancelling' THEN 'cancelled'::citus_task_status
            WHEN retriable AND coalesce(t.retry_count, 0) < most_retries THEN 'runnable'
            ELSE 'error' END,
        pid = NULL,
        message = error,
        retry_count = CASE
            WHEN t.status = 'running' AND retriable AND coalesce(t.retry_count, 0) < most_retries
            THEN coalesce(t.retry_count, 0) + 1 ELSE t.retry_count END,
        not_before = clock_timestamp()
            + least(pause * 2.0 ^ coalesce(t.retry_count, 0), 600000) * interval '1 millisecond'
    WHERE t.task_id = task AND t.status IN ('running', 'cancelling');
END
$$;
REVOKE ALL ON FUNCTION citus_internal.finish_task(bigint, text, boolean, integer) FROM PUBLIC;

-- A task should run and no process runs it. Where this server was restarted meanwhile that is no fault of the task: it starts
-- anew at once, and the attempt is not counted. A process that crashed leaves the server's start what it was.
CREATE FUNCTION citus_internal.interrupt_task(task bigint, pause integer) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pg_dist_background_task t
    SET status = 'runnable', pid = NULL, not_before = NULL
    WHERE t.task_id = task AND t.status = 'running' AND t.not_before < pg_postmaster_start_time();
    IF NOT FOUND THEN
        PERFORM citus_internal.finish_task(task, 'interrupted: the process that ran the task has gone', true, pause);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.interrupt_task(bigint, integer) FROM PUBLIC;

-- Tasks become runnable, or never will; jobs get the state that follows from their tasks'.
CREATE FUNCTION citus_internal.settle_jobs() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job record;
    tasks record;
    new_state citus_job_status;
BEGIN
    FOR job IN
        SELECT j.job_id, j.state FROM pg_dist_background_job j
        WHERE j.state NOT IN ('finished', 'cancelled', 'failed')
        ORDER BY j.job_id FOR UPDATE
    LOOP
        WITH RECURSIVE lost AS (
            SELECT d.task_id
            FROM pg_dist_background_task p
                JOIN pg_dist_background_task_depend d ON d.job_id = p.job_id AND d.depends_on = p.task_id
            WHERE p.job_id = job.job_id AND p.status IN ('error', 'cancelled', 'unscheduled')
            UNION
            SELECT d.task_id
            FROM lost JOIN pg_dist_background_task_depend d ON d.job_id = job.job_id AND d.depends_on = lost.task_id)
        UPDATE pg_dist_background_task t SET status = 'unscheduled'
        FROM lost WHERE t.job_id = job.job_id AND t.task_id = lost.task_id AND t.status = 'blocked';

        UPDATE pg_dist_background_task t SET status = 'runnable'
        WHERE t.job_id = job.job_id AND t.status = 'blocked'
          AND NOT EXISTS (
              SELECT FROM pg_dist_background_task_depend d
                  JOIN pg_dist_background_task p ON p.job_id = d.job_id AND p.task_id = d.depends_on
              WHERE d.job_id = t.job_id AND d.task_id = t.task_id AND p.status <> 'done');

        SELECT count(*) AS number,
            count(*) FILTER (WHERE t.status IN ('blocked', 'runnable', 'running', 'cancelling')) AS open,
            count(*) FILTER (WHERE t.status = 'error') AS failed,
            count(*) FILTER (WHERE t.status = 'cancelled') AS cancelled
        INTO tasks
        FROM pg_dist_background_task t WHERE t.job_id = job.job_id;
        -- Its tasks come in a later transaction.
        CONTINUE WHEN tasks.number = 0;
        new_state := CASE
            WHEN job.state = 'cancelling' AND tasks.open > 0 THEN 'cancelling'
            WHEN job.state = 'cancelling' THEN 'cancelled'
            WHEN tasks.failed > 0 AND tasks.open > 0 THEN 'failing'
            WHEN tasks.failed > 0 THEN 'failed'
            WHEN tasks.open > 0 THEN job.state::text
            WHEN tasks.cancelled > 0 THEN 'cancelled'
            ELSE 'finished' END;
        UPDATE pg_dist_background_job j
        SET state = new_state, finished_at = CASE WHEN tasks.open = 0 THEN clock_timestamp() END
        WHERE j.job_id = job.job_id AND j.state <> new_state;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.settle_jobs() FROM PUBLIC;

-- Makes tasks that may start now `running`: at most max_total at a time, at most max_per_node for each node.
CREATE FUNCTION citus_internal.start_tasks(max_total integer, max_per_node integer)
    RETURNS TABLE (task_id bigint, owner regrole)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    jobs bigint[];
    task record;
    running integer;
BEGIN
    SELECT array_agg(j.job_id) INTO jobs
    FROM (SELECT j.job_id FROM pg_dist_background_job j
          WHERE j.state IN ('scheduled', 'running', 'failing')
          FOR UPDATE SKIP LOCKED) j;
    SELECT count(*) INTO running FROM pg_dist_background_task t WHERE t.status IN ('running', 'cancelling');
    FOR task IN
        SELECT t.task_id, t.job_id, t.owner, t.nodes_involved
        FROM pg_dist_background_task t
        WHERE t.status = 'runnable' AND t.job_id = ANY (jobs)
          AND (t.not_before IS NULL OR t.not_before <= clock_timestamp())
        ORDER BY t.task_id
    LOOP
        EXIT WHEN running >= max_total;
        CONTINUE WHEN EXISTS (
            SELECT FROM unnest(task.nodes_involved) node
            WHERE max_per_node <= (
                SELECT count(*) FROM pg_dist_background_task r
                WHERE r.status IN ('running', 'cancelling') AND node = ANY (r.nodes_involved)));
        -- Until the task has ended not_before says which start of this server it began after: see interrupt_task().
        UPDATE pg_dist_background_task t SET status = 'running', pid = NULL, not_before = pg_postmaster_start_time()
        WHERE t.task_id = task.task_id;
        UPDATE pg_dist_background_job j
        SET state = CASE j.state WHEN 'scheduled' THEN 'running' ELSE j.state END,
            started_at = coalesce(j.started_at, clock_timestamp())
        WHERE j.job_id = task.job_id AND (j.state = 'scheduled' OR j.started_at IS NULL);
        running := running + 1;
        task_id := task.task_id;
        owner := task.owner;
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.start_tasks(integer, integer) FROM PUBLIC;
-- Comments on objects whose own part of the script has none: what docs/reference and \df+ show.
COMMENT ON FUNCTION pg_catalog.citus_set_coordinator_host(text,integer,noderole,name) IS
	'Registers this server as the coordinator, under the host name and port by which the workers reach it. Must precede the first citus_add_node(); may be called again after an address change.';
COMMENT ON FUNCTION pg_catalog.citus_add_node(text,integer,integer,noderole,name) IS
	'Adds a server to the cluster and activates it: metadata, table shells and reference tables are copied to it. The server must run the same version of the extension. Returns the node id; a node that is there already keeps its id.';
COMMENT ON FUNCTION pg_catalog.citus_add_inactive_node(text,integer,integer,noderole,name) IS
	'Adds a server without activating it: it gets no metadata and no shards until citus_activate_node().';
COMMENT ON FUNCTION pg_catalog.citus_add_secondary_node(text,integer,text,integer,name) IS
	'Registers a standby of a primary that is in the cluster already.';
COMMENT ON FUNCTION pg_catalog.citus_activate_node(text,integer) IS
	'Activates a node: copies metadata, table shells and reference tables to it, and lets new shards go there.';
COMMENT ON FUNCTION pg_catalog.citus_disable_node(text,integer,boolean) IS
	'Deactivates a node for a while: its reference table replicas are dropped from the metadata and it is not asked any more. Refused while it holds the only placement of a shard.';
COMMENT ON FUNCTION pg_catalog.citus_remove_node(text,integer) IS
	'Removes a node from the cluster. Refused while it holds the only placement of a shard.';
COMMENT ON FUNCTION pg_catalog.citus_pause_node_within_txn(integer, boolean, integer) IS
    'Has traffic to a node''s group wait until the transaction ends; force and lock_cooldown as for citus_update_node().';
COMMENT ON FUNCTION pg_catalog.master_add_secondary_node(text,integer,text,integer,name) IS
    'The same as citus_add_secondary_node().';
COMMENT ON FUNCTION pg_catalog.citus_update_node(integer, text, integer, boolean, integer) IS
    'Changes a node''s host name and port, as a failover does. Traffic to its group waits until the transaction ends; with force, transactions that have used it fail after lock_cooldown milliseconds. A secondary of the group that has the address takes the node''s old one.';
COMMENT ON FUNCTION pg_catalog.citus_set_node_property(text,integer,text,boolean) IS
	'Sets a property of a node; the one that exists is shouldhaveshards: whether new shards go there.';
COMMENT ON FUNCTION pg_catalog.citus_get_active_worker_nodes() IS
	'The active workers: host name and port.';
COMMENT ON FUNCTION pg_catalog.citus_check_cluster_node_health() IS
    'Tries every connection between two nodes; one row for each, false where it failed or the asking node has not been told of the newest changes of nodes, and null where it could not be reached.';
COMMENT ON FUNCTION pg_catalog.citus_check_connection_to_node(text,integer) IS
	'Whether this node can connect to another one.';
COMMENT ON FUNCTION pg_catalog.citus_is_coordinator() IS
	'Whether this server is the coordinator.';
COMMENT ON FUNCTION pg_catalog.citus_coordinator_nodeid() IS
	'The coordinator''s node id, 0 if it is not registered.';
COMMENT ON FUNCTION pg_catalog.citus_nodename_for_nodeid(integer) IS
	'The host name of a node; null if there is none.';
COMMENT ON FUNCTION pg_catalog.citus_nodeport_for_nodeid(integer) IS
	'The port of a node; null if there is none.';
COMMENT ON FUNCTION pg_catalog.get_nodeid_for_groupid(integer) IS
	'The node id of a group''s primary.';
COMMENT ON FUNCTION pg_catalog.citus_is_primary_node() IS
	'Whether this server is a primary.';
COMMENT ON FUNCTION pg_catalog.citus_create_restore_point(text) IS
	'Writes a restore point of this name into the WAL of every node, at one moment: no transaction is committed on one side of it only. Restore all nodes with recovery_target_name, then call recover_prepared_transactions() on each. Commits that span nodes wait meanwhile. Returns the coordinator''s position.';
COMMENT ON FUNCTION pg_catalog.get_rebalance_table_shards_plan(regclass,real,integer,bigint[],boolean,name,real) IS
	'The moves that a rebalance would make now, one row for each shard that moves: those of colocated tables move together. All distributed tables, or the colocation group of one; see rebalance_table_shards() for the arguments.';
COMMENT ON FUNCTION pg_catalog.rebalance_table_shards(regclass,real,integer,bigint[],citus.shard_transfer_mode,boolean,name) IS
	'Moves shards until the nodes are evenly loaded, each move in a transaction of its own, and returns when the last one is done. threshold: a node within this share of the average is even enough; max_shard_moves: the most moves to make; excluded_shard_list: shards that stay; drain_only: only empty the nodes whose shouldhaveshards is false; rebalance_strategy: a row of pg_dist_rebalance_strategy, the default one if null. Cannot run inside a transaction block.';
COMMENT ON FUNCTION pg_catalog.citus_drain_node(text,integer,citus.shard_transfer_mode,name) IS
	'Sets shouldhaveshards of a node to false and moves its shards to the other nodes. It can be removed then.';
COMMENT ON FUNCTION pg_catalog.citus_rebalance_start(name,boolean,citus.shard_transfer_mode,boolean,boolean) IS
	'Plans a rebalance of all distributed tables and schedules it as a background job, whose id it returns; null when there is nothing to move. Moves of one colocation group follow one another unless parallel_transfer_colocated_shards; citus.max_background_task_executors says how many run at a time.';
COMMENT ON FUNCTION pg_catalog.citus_rebalance_status(boolean) IS
	'How far the newest rebalance job is: see citus_job_status().';
COMMENT ON FUNCTION pg_catalog.citus_rebalance_stop() IS
	'Cancels the rebalance job. The move that runs is ended and undone; moves that are done stay.';
COMMENT ON FUNCTION pg_catalog.citus_rebalance_wait() IS
	'Waits until the rebalance job has ended.';
COMMENT ON FUNCTION pg_catalog.citus_job_list() IS
	'The background jobs, oldest first.';
COMMENT ON FUNCTION pg_catalog.citus_job_status(bigint,boolean) IS
	'A background job with details: its tasks that run (for a move its phase, the bytes at source and target, and how far the target lags behind), have failed or wait to be tried again, and how many are in each state. With raw, sizes are bytes.';
COMMENT ON FUNCTION pg_catalog.citus_job_wait(bigint,citus_job_status) IS
	'Waits until a background job has ended, or is in the desired state; an error if it ended otherwise.';
COMMENT ON FUNCTION pg_catalog.citus_job_cancel(bigint) IS
	'Cancels a background job: tasks that have not started never will, one that runs is cancelled. For the owner of its tasks and superusers.';
COMMENT ON FUNCTION pg_catalog.citus_add_rebalance_strategy(name,regproc,regproc,regproc,real,real,real) IS
	'Adds a rebalance strategy: functions that give the cost of a shard, the capacity of a node (relative to the others) and whether a shard may be on a node; the threshold used if none is given, the lowest that may be given, and how much a move must gain as a share of what it moves.';
COMMENT ON FUNCTION pg_catalog.citus_set_default_rebalance_strategy(text) IS
	'Makes a rebalance strategy the one that is used when none is named.';
COMMENT ON FUNCTION pg_catalog.citus_validate_rebalance_strategy_functions(regproc,regproc,regproc) IS
	'Raises an error unless the functions can be those of a rebalance strategy.';
COMMENT ON FUNCTION pg_catalog.citus_shard_cost_1(bigint) IS
	'Cost function of by_shard_count: all shards cost the same.';
COMMENT ON FUNCTION pg_catalog.citus_shard_cost_by_disk_size(bigint) IS
	'Cost function of by_disk_size: bytes of a shard and of those colocated with it, and 100 MB, so that empty shards are spread too.';
COMMENT ON FUNCTION pg_catalog.citus_node_capacity_1(integer) IS
	'Capacity function of the built-in strategies: all nodes are equal.';
COMMENT ON FUNCTION pg_catalog.citus_shard_allowed_on_node_true(bigint,integer) IS
	'Placement function of the built-in strategies: every shard may be on every node.';
COMMENT ON FUNCTION pg_catalog.citus_version() IS
	'The version of the library and how it was built.';
COMMENT ON FUNCTION pg_catalog.create_distributed_table(regclass,text,citus.distribution_type,text,integer) IS
	'Spreads a table over the cluster by the hash of a column. Rows that it has are moved. colocate_with names a table whose shards the new ones go with (''default'': tables of the same column type and shard count; ''none'': a group of its own); shard_count defaults to citus.shard_count. With a null column, the table becomes a single shard.';
COMMENT ON FUNCTION pg_catalog.create_reference_table(regclass) IS
	'Copies a table to every node, for tables that others join with and point to. Rows that it has are kept.';
COMMENT ON FUNCTION pg_catalog.undistribute_table(regclass,boolean) IS
	'Turns a distributed or reference table into an ordinary table of this server again, rows included. cascade_via_foreign_keys takes along what foreign keys connect.';
COMMENT ON FUNCTION pg_catalog.create_distributed_table_concurrently(regclass,text,citus.distribution_type,text,integer) IS
	'create_distributed_table() while others read and write the table, which needs a primary key or another replica identity, and no foreign keys. Not in a transaction block.';
COMMENT ON PROCEDURE pg_catalog.alter_old_partitions_set_access_method(regclass,timestamptz,name) IS
	'Changes the access method of the partitions whose range of time ends at older_than or before, each in a transaction of its own.';
COMMENT ON FUNCTION pg_catalog.alter_distributed_table(regclass,text,integer,text,boolean) IS
	'Changes the distribution column, the shard count or the colocation group of a distributed table. The rows move into new shards while nobody else can use the table; all that depends on it stays. cascade_to_colocated: whether a new shard count or group applies to all tables that are colocated with it.';
COMMENT ON FUNCTION pg_catalog.alter_table_set_access_method(regclass,text) IS
	'Changes the access method of a table, on all nodes where it is distributed: what ALTER TABLE .. SET ACCESS METHOD does.';
COMMENT ON FUNCTION pg_catalog.citus_add_local_table_to_metadata(regclass,boolean) IS
	'Makes a table of the coordinator known to the cluster, so that every node can ask it and foreign keys between it and reference tables work.';
COMMENT ON FUNCTION pg_catalog.truncate_local_data_after_distributing_table(regclass) IS
	'Deletes the rows that a distributed table''s own, local storage still has from the time before it was distributed.';
COMMENT ON FUNCTION pg_catalog.get_shard_id_for_distribution_column(regclass,"any") IS
	'The shard that holds rows with a value, or NULL, in the distribution column.';
COMMENT ON FUNCTION pg_catalog.citus_table_size(regclass) IS
	'Disk space of all placements of a table, in bytes, without indexes.';
COMMENT ON FUNCTION pg_catalog.citus_relation_size(regclass) IS
	'Disk space of the main fork of all placements of a table or index, in bytes.';
COMMENT ON FUNCTION pg_catalog.citus_total_relation_size(regclass,boolean) IS
	'Disk space of all placements of a table with indexes and TOAST, in bytes.';
COMMENT ON FUNCTION pg_catalog.run_command_on_workers(text,boolean) IS
	'Runs a command on every worker, outside of this transaction; a row for each with its first result or its error.';
COMMENT ON FUNCTION pg_catalog.run_command_on_all_nodes(text,boolean,boolean) IS
	'Runs a command on every node, outside of this transaction; a row for each with its first result or its error.';
COMMENT ON FUNCTION pg_catalog.run_command_on_coordinator(text,boolean) IS
	'Runs a command on the coordinator, outside of this transaction.';
COMMENT ON FUNCTION pg_catalog.run_command_on_shards(regclass,text,boolean) IS
	'Runs a command for every shard of a table, with %s standing for the shard''s name, outside of this transaction.';
COMMENT ON FUNCTION pg_catalog.run_command_on_placements(regclass,text,boolean) IS
	'Runs a command for every placement of a table''s shards, with %s standing for the shard''s name, outside of this transaction.';
COMMENT ON FUNCTION pg_catalog.run_command_on_colocated_placements(regclass,regclass,text,boolean) IS
	'Runs a command for every pair of placements of two colocated tables, with two %s standing for the shards'' names, outside of this transaction.';
COMMENT ON FUNCTION pg_catalog.column_name_to_column(regclass,text) IS
	'The form in which pg_dist_partition stores a distribution column.';
COMMENT ON FUNCTION pg_catalog.column_to_column_name(regclass,text) IS
	'The name of a distribution column stored in pg_dist_partition.';
COMMENT ON FUNCTION pg_catalog.shard_name(regclass,bigint,boolean) IS
	'The name of a shard''s table, qualified where needed.';
COMMENT ON FUNCTION pg_catalog.relation_is_a_known_shard(regclass) IS
	'Whether a table is a shard that the metadata knows.';
COMMENT ON FUNCTION pg_catalog.citus_table_is_visible(oid) IS
	'Whether a table is visible in the search path and not hidden as a shard.';
COMMENT ON FUNCTION pg_catalog.role_exists(name) IS
	'Whether a role exists.';
COMMENT ON FUNCTION pg_catalog.authinfo_valid(text) IS
	'Whether a text is usable as authinfo of pg_dist_authinfo.';
COMMENT ON FUNCTION pg_catalog.poolinfo_valid(text) IS
	'Whether a text is usable as poolinfo of pg_dist_poolinfo.';
COMMENT ON TABLE pg_catalog.pg_dist_partition IS
	'The tables of the metadata, one row a table.';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.logicalrelid IS 'the table';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.partmethod IS 'h: hash; n: not distributed by a column (reference, single shard, local); r: range; a: append';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.partkey IS 'the distribution column; column_to_column_name() tells its name';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.colocationid IS 'colocation group, 0 for none';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.repmodel IS 't: a replica on every node with shards; s: by streaming replication of the nodes; c: by statement';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.autoconverted IS 'added to the metadata because of a foreign key, not by a user';
COMMENT ON TABLE pg_catalog.pg_dist_shard IS
	'The shards, one row a shard.';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.logicalrelid IS 'the table it is part of';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.shardid IS 'unique in the cluster; the end of the shard''s name';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.shardstorage IS 't: ordinary table';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.shardminvalue IS 'lowest hash value, inclusive; null where there is one shard';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.shardmaxvalue IS 'highest hash value, inclusive';
COMMENT ON TABLE pg_catalog.pg_dist_placement IS
	'Where the shards are, one row a copy of a shard.';
COMMENT ON COLUMN pg_catalog.pg_dist_placement.placementid IS 'unique in the cluster';
COMMENT ON COLUMN pg_catalog.pg_dist_placement.groupid IS 'the group of pg_dist_node that holds it';
COMMENT ON TABLE pg_catalog.pg_dist_node IS
	'The servers of the cluster.';
COMMENT ON COLUMN pg_catalog.pg_dist_node.nodeid IS 'unique, given out when the node is added';
COMMENT ON COLUMN pg_catalog.pg_dist_node.groupid IS 'a server and its standbys; 0 is the coordinator';
COMMENT ON COLUMN pg_catalog.pg_dist_node.noderack IS 'where it is, for information';
COMMENT ON COLUMN pg_catalog.pg_dist_node.hasmetadata IS 'whether it gets the metadata';
COMMENT ON COLUMN pg_catalog.pg_dist_node.isactive IS 'whether it is in use';
COMMENT ON COLUMN pg_catalog.pg_dist_node.metadatasynced IS 'whether it has been told of all changes of nodes';
COMMENT ON COLUMN pg_catalog.pg_dist_node.shouldhaveshards IS 'whether new shards go there';
COMMENT ON TABLE pg_catalog.pg_dist_colocation IS
	'Colocation groups: tables whose shards line up.';
COMMENT ON COLUMN pg_catalog.pg_dist_colocation.shardcount IS 'shards of each table in it';
COMMENT ON COLUMN pg_catalog.pg_dist_colocation.replicationfactor IS 'placements of each shard, -1 for reference tables';
COMMENT ON COLUMN pg_catalog.pg_dist_colocation.distributioncolumntype IS '0 where there is no distribution column';
COMMENT ON TABLE pg_catalog.pg_dist_object IS
	'Objects (schemas, types, functions, ...) that the cluster keeps on every node.';
COMMENT ON TABLE pg_catalog.pg_dist_local_group IS
	'The group of this server, one row.';
COMMENT ON TABLE pg_catalog.pg_dist_transaction IS
	'Commit records: transactions that were decided to commit and may still be prepared on a node.';
COMMENT ON COLUMN pg_catalog.pg_dist_transaction.groupid IS 'the node where it was prepared';
COMMENT ON COLUMN pg_catalog.pg_dist_transaction.gid IS 'the name that it was prepared under';
COMMENT ON TABLE pg_catalog.pg_dist_authinfo IS
	'How to log in to other nodes: what is added to the connection string, such as password=..., for a role. Superusers only.';
COMMENT ON COLUMN pg_catalog.pg_dist_authinfo.nodeid IS 'the node; 0 for all';
COMMENT ON COLUMN pg_catalog.pg_dist_authinfo.rolename IS 'the role that connects';
COMMENT ON TABLE pg_catalog.pg_dist_poolinfo IS
	'Where poolers in front of nodes listen. It is kept, not used: nodes connect to each other directly.';
COMMENT ON TABLE pg_catalog.pg_dist_node_metadata IS
	'Facts about the cluster as a whole.';
COMMENT ON TABLE pg_catalog.pg_dist_schema IS
	'Schemas whose tables are each one shard.';
COMMENT ON TABLE pg_catalog.pg_dist_cleanup IS
	'What an operation left to be deleted.';
COMMENT ON TABLE pg_catalog.pg_dist_rebalance_strategy IS
	'How the rebalancer judges nodes and shards.';
COMMENT ON TABLE pg_catalog.pg_dist_background_job IS
	'Background jobs.';
COMMENT ON TABLE pg_catalog.pg_dist_background_task IS
	'Steps of background jobs.';
COMMENT ON TABLE pg_catalog.pg_dist_background_task_depend IS
	'Which step waits for which.';
COMMENT ON VIEW pg_catalog.pg_dist_shard_placement IS
	'Placements with the node that holds each; kept for older scripts.';
COMMENT ON VIEW pg_catalog.citus_tables IS
	'The distributed, reference and local tables of the metadata that the current user may see.';
COMMENT ON VIEW pg_catalog.citus_shards IS
	'Every placement of every shard, with its node and its size in bytes.';
COMMENT ON VIEW pg_catalog.citus_schemas IS
	'Schemas whose tables are each one shard.';
COMMENT ON VIEW pg_catalog.citus_nodes IS
	'The active servers with their role.';
COMMENT ON TYPE pg_catalog.noderole IS 'Whether a node is a primary or a standby.';
COMMENT ON TYPE pg_catalog.citus_copy_format IS 'The formats of COPY.';
COMMENT ON TYPE citus.distribution_type IS 'How a table can be distributed.';
COMMENT ON TYPE citus.shard_transfer_mode IS 'How shards are moved.';
COMMENT ON TYPE pg_catalog.citus_job_status IS 'States of a background job.';
COMMENT ON TYPE pg_catalog.citus_task_status IS 'States of a step of a background job.';
COMMENT ON FUNCTION pg_catalog.remove_local_tables_from_metadata() IS
	'Takes tables that were added to the metadata automatically out of it, where no foreign key needs them any more.';
COMMENT ON FUNCTION pg_catalog.distributed_tables_colocated(regclass,regclass) IS
	'Whether two tables are colocated: equal values of their distribution columns are on the same node.';
COMMENT ON FUNCTION pg_catalog.update_distributed_table_colocation(regclass,text) IS
	'Puts a table into another colocation group: that of the table named (whose shards must match), or one of its own for ''none''. No rows move.';
COMMENT ON FUNCTION pg_catalog.get_colocated_table_array(regclass) IS
	'The tables colocated with a table.';
COMMENT ON FUNCTION pg_catalog.get_colocated_shard_array(bigint) IS
	'The shards colocated with a shard.';
COMMENT ON FUNCTION pg_catalog.get_all_active_transactions() IS
	'The backends of this server that belong to a distributed transaction: their own (worker_query false) or another backend''s.';
COMMENT ON FUNCTION pg_catalog.get_global_active_transactions() IS
	'get_all_active_transactions() of all nodes.';
COMMENT ON FUNCTION pg_catalog.check_distributed_deadlocks() IS
	'Looks for deadlocks across nodes now and cancels the youngest transaction of each; whether there were any. The server does so by itself.';
COMMENT ON FUNCTION pg_catalog.citus_stat_activity() IS
	'pg_stat_activity of all nodes; see the view of the same name.';
COMMENT ON VIEW pg_catalog.citus_stat_activity IS
	'pg_stat_activity of all nodes, with the global pid of the backend that each works for.';
COMMENT ON VIEW pg_catalog.citus_dist_stat_activity IS
	'Sessions of clients on all nodes: citus_stat_activity without the sessions of nodes among themselves.';
COMMENT ON FUNCTION pg_catalog.citus_locks() IS 'pg_locks of all nodes; see the view of the same name.';
COMMENT ON VIEW pg_catalog.citus_locks IS
	'pg_locks of all nodes, with the global pid of the backend that each is held or wanted for.';
COMMENT ON VIEW pg_catalog.citus_lock_waits IS
	'Which statement waits for which transaction, wherever in the cluster the wait is.';
COMMENT ON FUNCTION pg_catalog.citus_blocking_pids(integer) IS
	'Like pg_blocking_pids(), also for waits on other nodes: the processes of this node that a process of this node waits for.';
COMMENT ON FUNCTION pg_catalog.citus_isolation_test_session_is_blocked(integer,integer[]) IS
	'Whether a process waits for one of some others, here or on other nodes; for isolation tests.';
COMMENT ON FUNCTION pg_catalog.pg_cancel_backend(bigint) IS
	'Cancels the statement of the backend with a global pid, on whatever node it is.';
COMMENT ON FUNCTION pg_catalog.pg_terminate_backend(bigint,bigint) IS
	'Ends the session of the backend with a global pid, on whatever node it is.';
COMMENT ON FUNCTION pg_catalog.citus_remote_connection_stats() IS
	'Sessions that all backends of this server have to other nodes now, by node and database; kept ones count. citus.max_shared_pool_size limits them.';
COMMENT ON FUNCTION pg_catalog.citus_move_shard_placement(bigint,text,integer,text,integer,citus.shard_transfer_mode) IS
	'Moves a shard, with the shards of all colocated tables that belong to it, from one node to another. Queries go on; writes wait for a moment at the end (auto, force_logical) or all the time (block_writes). The old placement is dropped later.';
COMMENT ON FUNCTION pg_catalog.citus_move_shard_placement(bigint,integer,integer,citus.shard_transfer_mode) IS
	'The same by node ids.';
COMMENT ON FUNCTION pg_catalog.citus_copy_shard_placement(bigint,text,integer,text,integer,citus.shard_transfer_mode) IS
	'Gives a shard, with the shards of all colocated tables that belong to it, one more placement. Works like citus_move_shard_placement(), but the source stays.';
COMMENT ON FUNCTION pg_catalog.citus_copy_shard_placement(bigint,integer,integer,citus.shard_transfer_mode) IS
	'The same by node ids.';
COMMENT ON PROCEDURE pg_catalog.citus_cleanup_orphaned_resources() IS
	'Drops what moves and splits have left: replaced placements that nobody reads any more, and whatever a failure left behind. Runs in the background too, see citus.defer_shard_delete_interval.';
COMMENT ON PROCEDURE pg_catalog.citus_cleanup_orphaned_shards() IS
	'The same as citus_cleanup_orphaned_resources(), under its older name.';
COMMENT ON FUNCTION pg_catalog.citus_local_disk_space_stats() IS
	'Available and total bytes of the file system that holds this server''s data directory.';
COMMENT ON FUNCTION citus_internal.visible_in_view(boolean,text) IS
	'True, or the error that ON CONFLICT DO UPDATE meets a row that the view does not show.';
COMMENT ON FUNCTION citus_internal.unreferenced(boolean,text,text,text,text,text[]) IS
	'True, or the error of a foreign key whose referenced row would move to another shard.';
COMMENT ON FUNCTION citus_internal.row_left(oid,tid,tid) IS
	'Marks a row that this transaction deleted as moved, so that others who wait for it fail with a serialization error; returns the last argument.';
COMMENT ON FUNCTION citus_internal.check_option(boolean,text,text[]) IS
	'True, or the error that a row violates the check option of a view.';
COMMENT ON FUNCTION citus_internal.shell_oid(oid,text[],oid[]) IS
	'Of the named tables, the oid given for the one that a shard belongs to.';
COMMENT ON FUNCTION pg_catalog.get_rebalance_progress() IS
	'Moves, copies and splits of shards that run now, a row for each shard: bytes at the source and at the target, the phase, and, while changes are replicated, the position in the source''s log and how much of it the target has.';
COMMENT ON FUNCTION pg_catalog.citus_stat_counters(oid) IS
	'Sessions and statements counted in a database (0: in each) while citus.enable_stat_counters was on, since the last reset or the server''s start.';
COMMENT ON FUNCTION pg_catalog.citus_stat_counters_reset(oid) IS
	'Sets the counters of a database (0: the current one) to zero.';
COMMENT ON VIEW pg_catalog.citus_stat_counters IS
	'Sessions to other nodes that were made, could not be made, or were found kept, and runs of remote queries over one or several shards, by database.';
COMMENT ON FUNCTION pg_catalog.citus_stat_statements() IS
	'What the view citus_stat_statements shows; executor 1 is adaptive, 2 insert-select.';
COMMENT ON FUNCTION pg_catalog.citus_stat_statements_reset() IS
	'Forgets what citus_stat_statements counted.';
COMMENT ON VIEW pg_catalog.citus_stat_statements IS
	'How often each statement on distributed tables was run by each user, by the value of the distribution column that chose its shard, while citus.stat_statements_track was all. queryid is that of pg_stat_statements, which need not be loaded.';
COMMENT ON FUNCTION pg_catalog.citus_split_shard_by_split_points(bigint,text[],integer[],citus.shard_transfer_mode) IS
	'Cuts a shard, and those of the tables colocated with it, into several. A split point is the last hash of a new shard, so n points make n + 1 shards; node_ids says where each goes, in hash order; where the shard has several placements the first of each goes there unless that node has one already, the others stay where they are. The old shards are dropped later.';
COMMENT ON FUNCTION pg_catalog.isolate_tenant_to_new_shard(regclass,"any",text,citus.shard_transfer_mode) IS
	'Gives one value of the distribution column, or NULL (and what has the same hash) a shard of its own, on the node where it is, and returns that shard. cascade_option ''CASCADE'' is needed where other tables are colocated: their shards are cut as well.';
COMMENT ON FUNCTION citus_internal.merge_once(bigint) IS
	'True, or the error that MERGE would change a row a second time.';
COMMENT ON FUNCTION citus_internal.hold_snapshot(bigint) IS
	'makes the next statement of this session run under the snapshot that the first call with this number took';
COMMENT ON FUNCTION citus_internal.lock_shard_groups(regclass,bigint[],bigint[],boolean) IS
	'locks shard groups of a table, and shards, until the end of the transaction, in the order given; others of the kind may share the locks unless alone is true';
COMMENT ON FUNCTION citus_internal.copy_reference_tables(integer[],citus.shard_transfer_mode) IS
	'Copies the reference tables to those of the nodes that lack them. A rebalance does it before it moves shards there.';
COMMENT ON FUNCTION pg_catalog.citus_rotate_cluster_secret() IS
	'Gives all nodes a new secret to know each other by; every active node must answer. The old one is accepted for ten minutes more. On the coordinator, by superusers.';
COMMENT ON TABLE citus_internal.cluster_secret IS
	'What nodes know each other by. Only superusers see it; no dump holds it.';
COMMENT ON FUNCTION citus_internal.prove_node(bytea) IS
	'Shows that a node of the cluster opened the session; the session ends where the token does not.';
COMMENT ON FUNCTION citus_internal.act_as(name,bigint,bytea) IS
	'Has the rest of the transaction run in the name of a role, in a session that has proven itself, until the next call.';
COMMENT ON FUNCTION citus_internal.node_sessions() IS
	'Sessions of this server that other nodes have opened, with the global pids of the backends that they work for.';
