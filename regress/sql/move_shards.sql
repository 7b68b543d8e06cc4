-- Moving and copying shards: modes, whole groups, errors. Shard, node ids and ports are looked up, not printed.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA moving;
SET search_path = moving;
SET citus.shard_count = 4;
CREATE TABLE colours (id int PRIMARY KEY, name text);
SELECT create_reference_table('colours');
INSERT INTO colours SELECT i, 'colour ' || i FROM generate_series(1, 10) i;
CREATE TABLE things (k int PRIMARY KEY, v text DEFAULT 'x', colour int REFERENCES colours ON DELETE CASCADE, CHECK (k > 0));
SELECT create_distributed_table('things', 'k');
CREATE TABLE "Parts é" (k int REFERENCES things, n int, j jsonb, doubled int GENERATED ALWAYS AS (n * 2) STORED, PRIMARY KEY (k, n));
CREATE INDEX "by n" ON "Parts é" (n) WHERE n > 2;
SELECT create_distributed_table('"Parts é"', 'k');
CREATE TABLE events (k int, at date, PRIMARY KEY (k, at)) PARTITION BY RANGE (at);
CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_2021 PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE INDEX events_at ON events (at);
SELECT create_distributed_table('events', 'k', colocate_with => 'things');
ALTER TABLE things DROP COLUMN v, ADD COLUMN w text COLLATE "C";
INSERT INTO things SELECT i, 1 + i % 10, 'w' || i FROM generate_series(1, 400) i;
INSERT INTO "Parts é" SELECT i, i % 7, '{"a": [1, null]}' FROM generate_series(1, 400) i;
INSERT INTO events SELECT i, '2020-01-01'::date + i % 700 FROM generate_series(1, 400) i;

-- where key 1 of a table is, and another node
CREATE FUNCTION place(relation regclass, OUT shard bigint, OUT here int, OUT there int) LANGUAGE sql SET search_path = pg_catalog AS $$
    SELECT shardid, n.nodeid, (SELECT min(nodeid) FROM pg_dist_node o WHERE o.noderole = 'primary' AND o.isactive
        AND o.groupid <> 0 AND o.groupid NOT IN (SELECT groupid FROM pg_dist_placement x WHERE x.shardid = p.shardid))
    FROM pg_dist_placement p JOIN pg_dist_node n USING (groupid)
    WHERE shardid = get_shard_id_for_distribution_column($1, 1) ORDER BY n.nodeid LIMIT 1 $$;
CREATE VIEW checksums AS
    SELECT 'things' AS t, count(*), md5(string_agg(things::text, '/' ORDER BY k)) FROM things
    UNION ALL SELECT 'parts', count(*), md5(string_agg(p::text, '/' ORDER BY k)) FROM "Parts é" p
    UNION ALL SELECT 'events', count(*), md5(string_agg(e::text, '/' ORDER BY k)) FROM events e;
-- what a shard of key 1 looks like on its node, ids taken out
CREATE FUNCTION definition(relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(result, '_\d{6,}', '', 'g') FROM run_command_on_placements($1, $c$
        SELECT string_agg(x, E'\n' ORDER BY x COLLATE "C") FROM (
            SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '%1$s'::regclass
            UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) || convalidated FROM pg_constraint WHERE conrelid = '%1$s'::regclass
            UNION ALL SELECT relreplident || relispartition::text || relhasindex || (reltuples >= 0) || pg_get_userbyid(relowner) || coalesce(relacl::text, '')
                FROM pg_class WHERE oid = '%1$s'::regclass
            UNION ALL SELECT concat(attname, ' ', format_type(atttypid, atttypmod), attnotnull, attgenerated, atthasdef) FROM pg_attribute
                WHERE attrelid = '%1$s'::regclass AND attnum > 0 AND NOT attisdropped) d(x) $c$)
    WHERE shardid = get_shard_id_for_distribution_column($1, 1) $$;
CREATE FUNCTION leftovers() RETURNS TABLE (node_left bigint) LANGUAGE sql AS $$
    SELECT sum(result::int) FROM run_command_on_all_nodes($c$ SELECT
        (SELECT count(*) FROM pg_subscription) + (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)
        + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'citus\_shard\_%') $c$) $$;
CREATE TABLE before AS SELECT * FROM checksums;
CREATE TABLE definitions AS SELECT t, definition(t) FROM unnest('{things, "\"Parts é\"", events, events_2020}'::regclass[]) t;

-- each mode, there and back, by id and by name
SELECT citus_move_shard_placement(shard, here, there, 'block_writes') FROM place('things');
SELECT * FROM checksums EXCEPT SELECT * FROM before;
SELECT count(DISTINCT groupid) AS together FROM pg_dist_placement JOIN pg_dist_shard USING (shardid)
    WHERE logicalrelid IN ('things'::regclass, '"Parts é"', 'events', 'events_2020', 'events_2021')
    AND shardid = get_shard_id_for_distribution_column(logicalrelid, 1);
SELECT d.t, d.definition, definition(d.t) AS now FROM definitions d WHERE definition(d.t) IS DISTINCT FROM d.definition;
CALL citus_cleanup_orphaned_resources();
SELECT count(*) FROM pg_dist_cleanup;
SELECT citus_move_shard_placement(shard, here, there) FROM place('things');
SELECT * FROM checksums EXCEPT SELECT * FROM before;
SELECT d.t, d.definition, definition(d.t) AS now FROM definitions d WHERE definition(d.t) IS DISTINCT FROM d.definition;
CALL citus_cleanup_orphaned_shards();
SELECT count(*) FROM pg_dist_cleanup;
SELECT * FROM leftovers();
SELECT citus_move_shard_placement(shard, citus_nodename_for_nodeid(here), citus_nodeport_for_nodeid(here),
    citus_nodename_for_nodeid(there), citus_nodeport_for_nodeid(there), shard_transfer_mode => 'force_logical') FROM place('"Parts é"');
SELECT * FROM checksums EXCEPT SELECT * FROM before;

-- to the coordinator and away from it
SELECT citus_move_shard_placement(shard, here, citus_coordinator_nodeid()) FROM place('events');
SELECT * FROM checksums EXCEPT SELECT * FROM before;
UPDATE things SET w = 'changed' WHERE k = 1;
SELECT citus_move_shard_placement(shard, citus_coordinator_nodeid(), there, 'block_writes') FROM place('events_2020');
SELECT w FROM things WHERE k = 1;
UPDATE things SET w = 'w1' WHERE k = 1;
SELECT * FROM checksums EXCEPT SELECT * FROM before;

-- constraints hold on the new place
INSERT INTO "Parts é" VALUES (100000, 1);
INSERT INTO things VALUES (1);
UPDATE things SET colour = 99 WHERE k = 1;
BEGIN;
DELETE FROM "Parts é";
DELETE FROM colours WHERE id = 2;
SELECT count(*) FROM things WHERE colour = 2 OR k = 1;
ROLLBACK;
-- placements that are about to be dropped are out of the way
BEGIN;
DELETE FROM "Parts é";
DELETE FROM colours;
SELECT count(*) FROM things;
ROLLBACK;

-- plans follow: prepared statements and functions, here
PREPARE reader(int) AS SELECT count(*), min(w) FROM things WHERE k = $1;
PREPARE all_of AS SELECT count(*) FROM things JOIN "Parts é" USING (k);
CREATE FUNCTION writer(key int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE things SET w = 'w' || key WHERE k = key; END $$;
SET plan_cache_mode = force_generic_plan;
EXECUTE reader(1);
EXECUTE all_of;
SELECT writer(1);
SELECT citus_move_shard_placement(shard, here, there) FROM place('things');
CALL citus_cleanup_orphaned_resources();
EXECUTE reader(1);
EXECUTE all_of;
SELECT writer(1);
RESET plan_cache_mode;
-- in a transaction that has read the table before
BEGIN;
SELECT count(*) FROM things WHERE k = 1;
SELECT citus_move_shard_placement(shard, here, there) FROM place('things');
UPDATE things SET w = 'in the transaction' WHERE k = 1;
SELECT w FROM things WHERE k = 1;
ROLLBACK;
SELECT w FROM things WHERE k = 1;
SELECT * FROM checksums EXCEPT SELECT * FROM before;
CALL citus_cleanup_orphaned_resources();
SELECT count(*) FROM pg_dist_cleanup;
SELECT * FROM leftovers();

-- several in one transaction: the first stops the writes, the others need nothing else
BEGIN;
SELECT citus_move_shard_placement(s.shardid, h.nodeid, (SELECT min(nodeid) FROM pg_dist_node WHERE groupid NOT IN (0, p.groupid) AND noderole = 'primary'))
    FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid) JOIN pg_dist_node h USING (groupid)
    WHERE logicalrelid = 'things'::regclass ORDER BY shardminvalue::int LIMIT 2;
COMMIT;
SELECT * FROM checksums EXCEPT SELECT * FROM before;

-- dropped at once
SET citus.defer_drop_after_shard_move = off;
CALL citus_cleanup_orphaned_resources();
SELECT citus_move_shard_placement(shard, here, there, 'block_writes') FROM place('things');
SELECT count(*) FROM pg_dist_cleanup;
SELECT * FROM checksums EXCEPT SELECT * FROM before;
RESET citus.defer_drop_after_shard_move;

-- a copy: two placements, both written
SELECT citus_copy_shard_placement(shard, here, there) FROM place('things');
SELECT count(*) FROM pg_dist_placement WHERE shardid = get_shard_id_for_distribution_column('things', 1);
UPDATE things SET w = 'on both' WHERE k = 1;
SELECT result FROM run_command_on_placements('things', 'SELECT w FROM %s WHERE k = 1') WHERE result <> '';
UPDATE things SET w = 'w1' WHERE k = 1;
SELECT * FROM checksums EXCEPT SELECT * FROM before;
-- one of two moves
SELECT citus_move_shard_placement(shard, here, citus_coordinator_nodeid()) FROM place('things');
UPDATE things SET w = 'on both again' WHERE k = 1;
SELECT result FROM run_command_on_placements('things', 'SELECT w FROM %s WHERE k = 1') WHERE result <> '';

-- what is not possible
CREATE TABLE keyless (k int, v text);
SELECT create_distributed_table('keyless', 'k', colocate_with => 'none');
INSERT INTO keyless SELECT i, 'v' FROM generate_series(1, 50) i;
\set VERBOSITY terse
SELECT citus_move_shard_placement(1, here, there) FROM place('keyless');
SELECT citus_move_shard_placement((SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'colours'::regclass), here, there) FROM place('things');
SELECT citus_move_shard_placement(get_shard_id_for_distribution_column('things', 3), citus_coordinator_nodeid(), citus_coordinator_nodeid());
SELECT citus_move_shard_placement(get_shard_id_for_distribution_column('things', 3), citus_coordinator_nodeid(), -1);
SELECT citus_move_shard_placement(get_shard_id_for_distribution_column('things', 3), 'nowhere', 1, 'nowhere', 2);
\set VERBOSITY sqlstate
SELECT citus_move_shard_placement(shard, there, here) FROM place('things');
SELECT citus_copy_shard_placement(shard, here, (SELECT max(nodeid) FROM pg_dist_placement JOIN pg_dist_node USING (groupid) WHERE shardid = shard)) FROM place('things');
BEGIN;
UPDATE things SET w = 'lost?' WHERE k = 1;
SELECT citus_move_shard_placement(shard, here, there, 'block_writes') FROM place('things');
ROLLBACK;
BEGIN;
INSERT INTO things VALUES (100001);
SELECT citus_move_shard_placement(shard, here, there, 'force_logical') FROM place('keyless');
ROLLBACK;
\set VERBOSITY default
SELECT citus_move_shard_placement(shard, here, there) FROM place('keyless');
SELECT citus_move_shard_placement(shard, here, there, 'block_writes') FROM place('keyless');
SELECT count(*) FROM keyless;
SELECT citus_move_shard_placement(shard, here, there, 'force_logical') FROM place('keyless');
SELECT count(*) FROM keyless;
UPDATE keyless SET v = 'w' WHERE k = 1;
ALTER TABLE keyless REPLICA IDENTITY FULL;
SELECT citus_move_shard_placement(shard, here, there) FROM place('keyless');
SELECT count(*) FROM keyless;
CREATE UNLOGGED TABLE fleeting (k int PRIMARY KEY);
SELECT create_distributed_table('fleeting', 'k', colocate_with => 'none');
SELECT citus_move_shard_placement(shard, here, there, 'force_logical') FROM place('fleeting');
SELECT citus_move_shard_placement(shard, here, there, 'block_writes') FROM place('fleeting');

-- owners may, others may not; their own code runs with their own rights
CREATE ROLE mover LOGIN;
GRANT USAGE, CREATE ON SCHEMA moving TO mover;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA moving TO mover;
SET ROLE mover;
SELECT citus_move_shard_placement(shard, here, there) FROM place('keyless');
CREATE FUNCTION who_am_i(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    IF current_setting('is_superuser') = 'on' AND session_user <> current_user AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    THEN RAISE EXCEPTION 'I am %', current_user; END IF;
    RETURN $1; END $$;
CREATE TABLE owned (k int PRIMARY KEY, v int CHECK (moving.who_am_i(v) IS NOT NULL));
SELECT create_distributed_table('owned', 'k', colocate_with => 'none');
CREATE INDEX owned_by ON owned (moving.who_am_i(v));
INSERT INTO owned SELECT i, i FROM generate_series(1, 100) i;
SELECT citus_move_shard_placement(shard, here, there) FROM place('owned');
SELECT citus_move_shard_placement(shard, here, there, 'block_writes') FROM place('owned');
SELECT count(*), sum(v) FROM owned;
CALL citus_cleanup_orphaned_resources();
RESET ROLE;

-- GRANT reaches the shard that has moved
GRANT SELECT ON keyless TO mover;
SELECT citus_move_shard_placement(shard, here, there, 'block_writes') FROM place('keyless');
SET ROLE mover;
SELECT count(*) FROM keyless;
RESET ROLE;

-- single-shard tables
CREATE TABLE single (k int PRIMARY KEY);
SELECT create_distributed_table('single', NULL, colocate_with => 'none');
INSERT INTO single SELECT generate_series(1, 20);
SELECT citus_move_shard_placement(shardid, n.nodeid, (SELECT min(nodeid) FROM pg_dist_node WHERE groupid NOT IN (0, p.groupid) AND noderole = 'primary'))
    FROM pg_dist_shard JOIN pg_dist_placement p USING (shardid) JOIN pg_dist_node n USING (groupid) WHERE logicalrelid = 'single'::regclass;
SELECT count(*) FROM single;

-- what is recorded for a node that has left is forgotten; a record of a placement that is in use does it no harm
INSERT INTO pg_dist_cleanup (operation_id, object_type, object_name, node_group_id, policy_type)
    SELECT nextval('pg_dist_operationid_seq'), type, name, 2147483647, policy FROM (VALUES (1, 'moving.gone_1', 1), (1, 'moving.old_2', 2), (3, 'a_slot', 0), (4, 'a_publication', 0)) r(type, name, policy)
    UNION ALL SELECT nextval('pg_dist_operationid_seq'), 1, 'moving.single_' || shardid, groupid, 2 FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) WHERE logicalrelid = 'single'::regclass;
CALL citus_cleanup_orphaned_resources();
SELECT count(*) FROM pg_dist_cleanup WHERE node_group_id = 2147483647 OR object_name LIKE 'moving.single%';
SELECT count(*) FROM single;

-- nothing is left behind
CALL citus_cleanup_orphaned_resources();
SELECT count(*) FROM pg_dist_cleanup;
SELECT * FROM leftovers();
SELECT * FROM get_rebalance_progress();
SELECT available_disk_size BETWEEN 0 AND total_disk_size AS sane FROM citus_local_disk_space_stats();
DROP SCHEMA moving CASCADE;
SELECT sum(result::int) FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'moving'$$);
DROP ROLE mover;
