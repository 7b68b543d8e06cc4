-- What the owner of tables can do without a superuser's rights, where the coordinator has shards as well: it does its part as other
-- nodes do theirs. And what a superuser does to another's table is done in the name of its owner.
SET client_min_messages = warning;
SELECT nodename AS host, nodeport AS port, nodeid AS here FROM pg_dist_node WHERE groupid = 0 \gset
SELECT nodeid AS there FROM pg_dist_node WHERE groupid = (SELECT min(groupid) FROM pg_dist_node WHERE groupid > 0) \gset
SELECT citus_set_node_property(:'host', :port, 'shouldhaveshards', true);
CREATE ROLE owner_alone LOGIN;
CREATE SCHEMA owners_alone AUTHORIZATION owner_alone;
SET search_path = owners_alone;
SET ROLE owner_alone;
-- Who evaluates the check: never a superuser.
CREATE FUNCTION is_owner(int) RETURNS boolean LANGUAGE sql AS $$ SELECT current_user = 'owner_alone' $$;
CREATE TABLE p (id int PRIMARY KEY, v int CHECK (owners_alone.is_owner(v)), g int GENERATED ALWAYS AS (v * 2) STORED);
INSERT INTO p SELECT i, i FROM generate_series(1, 100) i;
SELECT create_distributed_table('p', 'id', shard_count => 6);
CREATE TABLE c (id int PRIMARY KEY REFERENCES p, v int);
SELECT create_distributed_table('c', 'id', colocate_with => 'p');
INSERT INTO c SELECT id, v FROM p;
SELECT count(DISTINCT groupid) FROM pg_dist_placement JOIN pg_dist_shard USING (shardid) WHERE logicalrelid = 'p'::regclass;
SELECT alter_distributed_table('p', shard_count => 9, cascade_to_colocated => true);
SELECT count(*), sum(g) FROM p JOIN c USING (id);
SELECT shardid FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) WHERE logicalrelid = 'p'::regclass AND groupid = 0 ORDER BY shardid LIMIT 1 \gset
SELECT citus_move_shard_placement(:shardid, :here, :there, 'force_logical');
SELECT citus_move_shard_placement(:shardid, :there, :here, 'block_writes');
SELECT count(citus_split_shard_by_split_points(:shardid, ARRAY[((shardminvalue::bigint + shardmaxvalue::bigint) / 2)::text], ARRAY[:here, :there], 'block_writes'))
	FROM pg_dist_shard WHERE shardid = :shardid;
SELECT count(*), sum(g) FROM p JOIN c USING (id);
-- Rows that the transaction has written take another way.
BEGIN;
INSERT INTO p VALUES (101, 5);
SELECT alter_distributed_table('p', shard_count => 4, cascade_to_colocated => true);
SELECT count(*) FROM p;
COMMIT;
SELECT undistribute_table('p', cascade_via_foreign_keys => true);
SELECT count(*), sum(g) FROM p;

RESET ROLE;
SELECT create_distributed_table('p', 'id', shard_count => 4);
SELECT count(*), sum(g) FROM p;
SELECT alter_distributed_table('p', shard_count => 3);
BEGIN;
SET LOCAL ROLE owner_alone;
INSERT INTO p VALUES (102, 5);
RESET ROLE;
SELECT alter_distributed_table('p', shard_count => 5);
SELECT undistribute_table('p');
SELECT count(*), sum(g) FROM p;
COMMIT;
SELECT shouldhaveshards FROM pg_dist_node WHERE groupid = 0;
CALL citus_cleanup_orphaned_resources();
DROP SCHEMA owners_alone CASCADE;
DROP ROLE owner_alone;
SELECT citus_set_node_property(:'host', :port, 'shouldhaveshards', false);
