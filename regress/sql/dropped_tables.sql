-- What dropped tables leave: nothing in the session's memory, no shard that keeps their owner from being dropped.
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE SCHEMA dropped;
SET search_path = dropped;
CREATE PROCEDURE make_and_drop(tables int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..tables LOOP
		CREATE TABLE passing (a int PRIMARY KEY, b int) PARTITION BY LIST (a);
		CREATE TABLE passing_1 PARTITION OF passing FOR VALUES IN (1);
		PERFORM create_distributed_table('passing', 'a');
		INSERT INTO passing VALUES (1, 1);
		DROP TABLE passing;
		COMMIT;
	END LOOP;
END $$;
CREATE VIEW kept AS SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'citus table';
CREATE TABLE stays (a int);
SELECT create_distributed_table('stays', 'a');
CALL make_and_drop(2);
CREATE TABLE looked_up (a int);
SELECT count FROM kept \gset few_
CALL make_and_drop(10);
CREATE TABLE looked_up_too (a int);
SELECT count - :few_count AS more FROM kept;

-- placements that a split has replaced, and that are dropped later
CREATE ROLE dropped_owner LOGIN;
GRANT ALL ON SCHEMA dropped TO dropped_owner;
CREATE PROCEDURE split_one() LANGUAGE plpgsql AS $$
BEGIN
	SET ROLE dropped_owner;
	CREATE TABLE mine (k int, v int);
	PERFORM create_distributed_table('mine', 'k', colocate_with => 'none');
	INSERT INTO mine SELECT i, i FROM generate_series(1, 100) i;
	RESET ROLE;
	COMMIT;
	PERFORM citus_split_shard_by_split_points(min(shardid), ARRAY['-1500000000'], ARRAY(SELECT nodeid FROM pg_dist_node WHERE groupid > 0 ORDER BY groupid), 'block_writes')
		FROM pg_dist_shard WHERE logicalrelid = 'mine'::regclass;
END $$;
CALL split_one();
SELECT count(*) FROM pg_dist_cleanup;
DROP OWNED BY dropped_owner;
SELECT count(*) FROM pg_dist_cleanup;
DROP ROLE dropped_owner;
CREATE ROLE dropped_owner LOGIN;
GRANT ALL ON SCHEMA dropped TO dropped_owner;
CALL split_one();
DROP TABLE mine;
REVOKE ALL ON SCHEMA dropped FROM dropped_owner;
DROP ROLE dropped_owner;
CREATE ROLE dropped_owner LOGIN;
GRANT ALL ON SCHEMA dropped TO dropped_owner;
CALL split_one();
BEGIN;
DROP OWNED BY dropped_owner;
DROP ROLE dropped_owner;
COMMIT;
SELECT count(*) FROM pg_dist_cleanup;
DROP SCHEMA dropped CASCADE;
