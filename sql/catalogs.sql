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
