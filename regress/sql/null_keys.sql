-- NULL in the distribution column: in the shard that holds hash 0, whatever becomes of the shards. What
-- statements answer is compared with plain tables in test/differential.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CALL citus_cleanup_orphaned_resources(); -- of other tests
DROP SCHEMA IF EXISTS null_keys CASCADE;
CREATE SCHEMA null_keys;
SET search_path = null_keys;
SET citus.next_shard_id = 4900000;
SELECT min(nodeid) AS one, max(nodeid) AS two FROM pg_dist_node WHERE groupid > 0 \gset

-- rows that are there already, in a table and its partitions
CREATE TABLE t (k int, v int);
INSERT INTO t SELECT CASE WHEN i % 4 > 0 THEN i END, i FROM generate_series(1, 40) i;
CREATE TABLE p (k int, at int, v int) PARTITION BY RANGE (at);
CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (20);
CREATE TABLE p_rest PARTITION OF p DEFAULT;
INSERT INTO p SELECT k, v, v FROM t;
SELECT create_distributed_table('t', 'k', shard_count => 5, colocate_with => 'none');
SELECT create_distributed_table('p', 'k', colocate_with => 't');
ALTER TABLE t REPLICA IDENTITY FULL;
ALTER TABLE p_low REPLICA IDENTITY FULL;
ALTER TABLE p_rest REPLICA IDENTITY FULL;

-- Where the NULLs are: by the function, by the placements, by what a pruned query finds.
CREATE VIEW facts AS SELECT (SELECT shardminvalue::int <= 0 AND shardmaxvalue::int >= 0 FROM pg_dist_shard
		WHERE shardid = get_shard_id_for_distribution_column('t', NULL::int)) AS holds_0,
	(SELECT string_agg(result, ' ' ORDER BY result) FROM run_command_on_shards('t', 'SELECT count(*) FILTER (WHERE k IS NULL) FROM %s')) AS t_shards,
	(SELECT string_agg(result, ' ' ORDER BY result) FROM run_command_on_shards('p', 'SELECT count(*) FILTER (WHERE k IS NULL) FROM %s')) AS p_shards,
	(SELECT count(*) || ' ' || sum(v) FROM t WHERE k IS NULL) AS t, (SELECT count(*) || ' ' || sum(v) FROM p WHERE k IS NULL) AS p,
	(SELECT count(*) || ' ' || count(k) || ' ' || sum(v) FROM t) AS all_t, (SELECT count(*) || ' ' || count(k) || ' ' || sum(v) FROM p) AS all_p;
SELECT * FROM facts;
SELECT get_shard_id_for_distribution_column('t') = get_shard_id_for_distribution_column('t', NULL::int) AS same,
	get_shard_id_for_distribution_column('t', NULL::text) = get_shard_id_for_distribution_column('t', NULL::int) AS also;

CREATE FUNCTION plan(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; result text = '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
		IF line ~ 'Tier|Tasks:|Pruned' THEN result = concat_ws(', ', nullif(result, ''), btrim(line)); END IF;
	END LOOP;
	RETURN result;
END $$;
-- one task
SELECT plan($q$SELECT * FROM t WHERE k IS NULL$q$);
SELECT plan($q$SELECT * FROM t JOIN p USING (k) WHERE t.k IS NULL$q$);
SELECT plan($q$SELECT t.v FROM t LEFT JOIN p ON t.k = p.k WHERE t.k IS NULL ORDER BY 1$q$);
SELECT plan($q$UPDATE t SET v = v WHERE k IS NULL$q$);
SELECT plan($q$DELETE FROM p WHERE k IS NULL$q$);
SELECT plan($q$INSERT INTO p SELECT k, v FROM t WHERE k IS NULL$q$);
-- two shards; none; all
SELECT plan($q$SELECT count(*) FROM t WHERE k IS NULL OR k = 1$q$);
SELECT plan($q$SELECT * FROM t WHERE k = NULL$q$);
SELECT plan($q$SELECT count(*) FROM t LEFT JOIN p ON t.k = p.k WHERE p.k IS NULL$q$);

-- COPY: lines that are forwarded, rows that are made here, both formats, FORCE_NULL
COPY t FROM PROGRAM $$printf '\\N\t1000\n7\t1001\n'$$;
COPY t (v) FROM PROGRAM $$printf '1002\n'$$;
COPY t FROM PROGRAM $$printf '"",1003\n,1004\n'$$ WITH (FORMAT csv, FORCE_NULL (k));
COPY t FROM PROGRAM $$printf 'x,1005\n'$$ WITH (FORMAT csv, NULL 'x');
COPY t FROM PROGRAM $$printf '\\N\t1006\n'$$ WHERE v > 5;
SELECT current_setting('data_directory') || '/null_keys.binary' AS file \gset
\setenv CIVITAS_FILE :file
COPY (SELECT NULL::int, 1007) TO :'file' (FORMAT binary);
COPY t FROM :'file' (FORMAT binary);
\! rm -f "$CIVITAS_FILE"
SELECT * FROM t WHERE k IS NULL AND v > 999 ORDER BY v;
DELETE FROM t WHERE v > 999;

-- splits and moves, either way
SELECT get_shard_id_for_distribution_column('t', NULL::int) AS nulls \gset
SELECT citus_split_shard_by_split_points(:nulls, ARRAY['1000'], ARRAY[:one, :two], 'block_writes');
SELECT * FROM facts;
SELECT get_shard_id_for_distribution_column('t', NULL::int) AS nulls \gset
SELECT citus_split_shard_by_split_points(:nulls, ARRAY['-500', '500'], ARRAY[:one, :two, :one], 'force_logical');
SELECT * FROM facts;
SELECT isolate_tenant_to_new_shard('t', NULL::int, 'CASCADE', 'force_logical') = get_shard_id_for_distribution_column('t', NULL::int) AS isolated;
SELECT shardminvalue, shardmaxvalue FROM pg_dist_shard WHERE shardid = get_shard_id_for_distribution_column('t', NULL::int);
SELECT * FROM facts;
SELECT isolate_tenant_to_new_shard('t', NULL, 'CASCADE', NULL);
SELECT get_shard_id_for_distribution_column('t', NULL::int) AS nulls \gset
SELECT nodename AS host, nodeport AS port FROM pg_dist_placement JOIN pg_dist_node USING (groupid) WHERE shardid = :nulls \gset
SELECT nodename AS to_host, nodeport AS to_port FROM pg_dist_node WHERE groupid > 0 AND nodeport <> :port ORDER BY nodeport LIMIT 1 \gset
SELECT citus_move_shard_placement(:nulls, :'host', :port, :'to_host', :to_port, 'force_logical');
SELECT * FROM facts;

-- another shard count, another column, and back
SELECT alter_distributed_table('t', shard_count => 3, cascade_to_colocated => true);
SELECT * FROM facts;
UPDATE t SET v = NULL WHERE v IN (4, 5);
SELECT alter_distributed_table('t', distribution_column => 'v', colocate_with => 'none');
SELECT count(*), count(k), count(v) FROM t;
SELECT k FROM t WHERE v IS NULL ORDER BY 1;
SELECT undistribute_table('t');
SELECT count(*), count(k), count(v) FROM t;
SELECT create_distributed_table_concurrently('t', 'k');
SELECT count(*), count(v) FROM t WHERE k IS NULL;

-- NOT NULL is what refuses NULLs, and comes and goes
\set VERBOSITY terse
ALTER TABLE t ALTER COLUMN k SET NOT NULL;
DELETE FROM t WHERE k IS NULL;
ALTER TABLE t ALTER COLUMN k SET NOT NULL;
INSERT INTO t VALUES (NULL, 1);
ALTER TABLE t ALTER COLUMN k DROP NOT NULL;
INSERT INTO t VALUES (NULL, 1) RETURNING *;
\set VERBOSITY default

-- replicas
SET citus.shard_replication_factor = 2;
CREATE TABLE twice (k int, v int);
SELECT create_distributed_table('twice', 'k', shard_count => 3, colocate_with => 'none');
RESET citus.shard_replication_factor;
INSERT INTO twice VALUES (NULL, 1), (1, 2), (NULL, 3);
INSERT INTO twice SELECT NULL, i FROM generate_series(4, 6) i;
UPDATE twice SET v = v + 10 WHERE k IS NULL;
UPDATE twice SET k = NULL WHERE k = 1;
UPDATE twice SET k = v WHERE k IS NULL AND v = 13;
SELECT * FROM twice ORDER BY v;
SELECT count(*), count(DISTINCT result) FROM run_command_on_placements('twice', 'SELECT count(*) FROM %s WHERE k IS NULL') WHERE result <> '0';

SET client_min_messages = warning;
DROP SCHEMA null_keys CASCADE;
CALL citus_cleanup_orphaned_resources();
