-- The distribution column does not go by a side door; and a table whose metadata is damaged can be dropped and is in
-- nobody's way.
\set SHOW_CONTEXT never
SELECT min(nodeport) AS worker FROM pg_dist_node WHERE groupid > 0 \gset
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE ROLE lost_owner LOGIN;
CREATE SCHEMA lost;
CREATE SCHEMA lost_types;
GRANT ALL ON SCHEMA lost, lost_types TO public;
SET search_path = lost, lost_types;

-- 1. every road to the distribution column
CREATE DOMAIN lost_types.dkey AS int;
CREATE TYPE lost_types.pair AS (x int, y int);
CREATE COLLATION lost_types.coll (locale = 'C');
CREATE TABLE t (k dkey, v int, w dkey);
CREATE TABLE c (k pair, v int);
CREATE TABLE s (k text COLLATE coll, v int);
CREATE TABLE part (k dkey, v int) PARTITION BY LIST (v);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
SELECT create_distributed_table('t', 'k'), create_distributed_table('c', 'k'), create_distributed_table('s', 'k'), create_distributed_table('part', 'k');
INSERT INTO t VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO c VALUES (ROW(1, 2), 1);
DROP DOMAIN dkey;
DROP DOMAIN dkey CASCADE;
DROP TYPE pair CASCADE;
DROP COLLATION coll CASCADE;
DROP SCHEMA lost_types CASCADE;
DROP DOMAIN IF EXISTS nothing, dkey CASCADE;
ALTER TABLE t DROP COLUMN k;
DO $$ BEGIN DROP DOMAIN dkey CASCADE; EXCEPTION WHEN feature_not_supported THEN RAISE WARNING '%', SQLERRM; END $$;
BEGIN;
INSERT INTO t VALUES (3, 3, 3);
SAVEPOINT a;
DROP TYPE pair CASCADE;
ROLLBACK TO a;
COMMIT;
SELECT * FROM t ORDER BY k;
SELECT * FROM c;
-- an extension
CREATE EXTENSION citext SCHEMA lost_types;
CREATE EXTENSION hstore SCHEMA lost_types;
CREATE TABLE ci (k citext, v int);
CREATE TABLE hs (k hstore, v int);
CREATE DOMAIN lost_types.citext_domain AS citext;
CREATE TABLE cd (k citext_domain, v int);
SELECT create_distributed_table('ci', 'k'), create_distributed_table('hs', 'k'), create_distributed_table('cd', 'k');
DROP EXTENSION citext CASCADE;
DROP EXTENSION hstore CASCADE;
DROP TABLE ci, cd;
DROP EXTENSION citext CASCADE;
-- how it is hashed
CREATE TYPE lost_types.box_of AS (x int);
CREATE FUNCTION lost_types.box_eq(box_of, box_of) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT ($1).x = ($2).x';
CREATE FUNCTION lost_types.box_hash(box_of) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).x';
CREATE OPERATOR lost_types.=== (LEFTARG = box_of, RIGHTARG = box_of, FUNCTION = box_eq, HASHES);
CREATE OPERATOR CLASS lost_types.box_ops DEFAULT FOR TYPE box_of USING hash AS OPERATOR 1 ===, FUNCTION 1 box_hash(box_of);
CREATE TABLE boxes (k box_of, v int);
SELECT create_distributed_table('boxes', 'k');
ALTER TYPE box_of ADD ATTRIBUTE y int;
DROP OPERATOR CLASS box_ops USING hash;
DROP FUNCTION box_hash(box_of) CASCADE;
DROP TYPE box_of CASCADE;
DROP TABLE boxes;
DROP OPERATOR CLASS box_ops USING hash;
DROP TYPE box_of CASCADE;
-- composite values are hashed by their attributes
CREATE TYPE lost_types.inside AS (z int);
CREATE TYPE lost_types.trio AS (x int, i inside);
CREATE DOMAIN lost_types.some_trio AS trio;
CREATE TABLE trios (k some_trio, v int);
CREATE TABLE triples (k trio[], v int);
CREATE TABLE of_trios (k int, v trio);
SELECT create_distributed_table('trios', 'k'), create_distributed_table('triples', 'k'), create_distributed_table('of_trios', 'k');
ALTER TYPE trio ADD ATTRIBUTE y int;
ALTER TYPE trio DROP ATTRIBUTE x;
ALTER TYPE trio RENAME ATTRIBUTE x TO xx;
ALTER TYPE inside ADD ATTRIBUTE y int;
DROP TYPE inside CASCADE;
DROP TABLE trios;
DROP TYPE inside CASCADE;
DROP TABLE triples;
ALTER TYPE trio ADD ATTRIBUTE y int;
DROP TYPE inside CASCADE;
DROP TABLE of_trios;
-- what a role owns
RESET search_path;
ALTER DOMAIN lost_types.dkey OWNER TO lost_owner;
DROP OWNED BY lost_owner;
DROP OWNED BY lost_owner CASCADE;
SELECT count(*) FROM lost.t;
-- of columns that are not the distribution column a cascade is fine
CREATE DOMAIN lost_types.other AS int;
ALTER TABLE lost.s ADD COLUMN o lost_types.other;
DROP DOMAIN lost_types.other CASCADE;
SELECT * FROM lost.s;
SELECT DISTINCT result FROM run_command_on_shards('lost.s', $$SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0 AND NOT attisdropped$$);
CREATE EXTENSION citext SCHEMA lost_types;
CREATE TABLE lost.kept (k int, v lost_types.citext, w int, "Odd col" lost_types.citext);
CREATE TABLE lost.kept_ref (k int, v lost_types.citext);
CREATE TABLE lost.kept_parts (k int, v lost_types.citext, w int) PARTITION BY LIST (w);
CREATE TABLE lost.kept_parts_1 PARTITION OF lost.kept_parts FOR VALUES IN (1);
CREATE STATISTICS lost.kept_statistics ON k, w FROM lost.kept;
CREATE STATISTICS lost."Odd stat" ON (k + w), w FROM lost.kept;
SELECT create_distributed_table('lost.kept', 'k'), create_distributed_table('lost.kept_parts', 'k'), create_reference_table('lost.kept_ref');
INSERT INTO lost.kept VALUES (1, 'a', 1, 'b');
DROP STATISTICS lost."Odd stat", lost.kept_statistics;
SELECT DISTINCT result FROM run_command_on_shards('lost.kept', $$SELECT count(*) FROM pg_statistic_ext WHERE stxrelid = '%s'::regclass$$);
DROP EXTENSION citext CASCADE;
SELECT table_name, count(DISTINCT result), min(result) FROM unnest(ARRAY['kept', 'kept_ref', 'kept_parts', 'kept_parts_1']) t(table_name),
	run_command_on_workers(format($$SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'lost.%I'::regclass AND attnum > 0 AND NOT attisdropped$$, table_name)) GROUP BY 1 ORDER BY 1;
ALTER TABLE lost.kept ADD COLUMN v int;
SELECT * FROM lost.kept;
DROP TABLE lost.kept, lost.kept_ref, lost.kept_parts;
-- so is one that takes the table
CREATE SCHEMA lost_both;
CREATE DOMAIN lost_both.dkey AS int;
CREATE TABLE lost_both.z (k lost_both.dkey, v int);
CREATE TABLE lost_both.a (k lost_both.dkey, v int) PARTITION BY LIST (v);
CREATE TABLE lost_both.a_1 PARTITION OF lost_both.a FOR VALUES IN (1);
SELECT create_distributed_table('lost_both.z', 'k'), create_distributed_table('lost_both.a', 'k');
DROP SCHEMA lost_both CASCADE;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'lost_both'$$);
-- asked of a worker
\c - - - :worker
SET client_min_messages = warning;
DROP DOMAIN lost_types.dkey CASCADE;
DROP EXTENSION hstore CASCADE;
DROP COLLATION lost_types.coll CASCADE;
\c - - - :coordinator
SET client_min_messages = warning;
SET search_path = lost, lost_types;
SELECT count(*) FROM t;
SELECT count(*) FROM hs;

-- 2. metadata that is damaged all the same
DROP TABLE t, c, s, part, hs;
DROP EXTENSION hstore;
SELECT result FROM run_command_on_workers('DROP EXTENSION IF EXISTS hstore, citext');
CREATE FUNCTION lost_types.make_damaged() RETURNS void LANGUAGE plpgsql SET search_path = lost AS $$
DECLARE name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['column_gone', 'type_gone', 'no_column', 'no_shards', 'no_placements', 'one_placement', 'gap', 'range_gone', 'strange', 'part', 'sound'] LOOP
		EXECUTE format('CREATE TABLE %I (k int, v int)%s', name, CASE name WHEN 'part' THEN ' PARTITION BY LIST (v)' END);
		IF name = 'part' THEN
			CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1, 2, 3);
		END IF;
		PERFORM create_distributed_table(name, 'k');
		EXECUTE format('INSERT INTO %I SELECT i, i FROM generate_series(1, 3) i', name);
	END LOOP;
	CREATE TABLE ref_no_shards (k int);
	PERFORM create_reference_table('ref_no_shards');
	CREATE TABLE ref_no_placements (k int);
	PERFORM create_reference_table('ref_no_placements');
	CREATE TABLE single_no_shards (k int);
	PERFORM create_distributed_table('single_no_shards', NULL);
END $$;
SET ROLE lost_owner;
SELECT lost_types.make_damaged();
RESET ROLE;
SET allow_system_table_mods = on;
UPDATE pg_attribute SET attisdropped = true, atttypid = 0, attname = '........pg.dropped.1........'
	WHERE attrelid IN ('column_gone'::regclass, 'part'::regclass, 'part_1'::regclass) AND attname = 'k';
UPDATE pg_attribute SET atttypid = 99999 WHERE attrelid = 'type_gone'::regclass AND attname = 'k';
UPDATE pg_dist_partition SET partkey = NULL WHERE logicalrelid = 'no_column'::regclass;
UPDATE pg_dist_partition SET partkey = 'strange' WHERE logicalrelid = 'strange'::regclass;
DELETE FROM pg_dist_placement p USING pg_dist_shard s WHERE s.shardid = p.shardid AND logicalrelid IN ('no_placements'::regclass, 'ref_no_placements'::regclass);
DELETE FROM pg_dist_placement WHERE shardid = (SELECT max(shardid) FROM pg_dist_shard WHERE logicalrelid = 'one_placement'::regclass);
DELETE FROM pg_dist_shard WHERE logicalrelid IN ('no_shards'::regclass, 'ref_no_shards'::regclass, 'single_no_shards'::regclass);
DELETE FROM pg_dist_shard WHERE shardid = (SELECT min(shardid) + 1 FROM pg_dist_shard WHERE logicalrelid = 'gap'::regclass);
UPDATE pg_dist_shard SET shardminvalue = NULL, shardmaxvalue = 'x' WHERE logicalrelid = 'range_gone'::regclass;
\c
SET client_min_messages = warning;
SET search_path = lost, lost_types;
\set VERBOSITY terse
SELECT v FROM column_gone ORDER BY v;
SELECT v FROM part ORDER BY v;
SELECT count(*) FROM type_gone;
SELECT * FROM no_column ORDER BY k;
SELECT * FROM no_column WHERE k = 1;
SELECT s.* FROM sound s JOIN no_column n USING (k) ORDER BY k;
SELECT * FROM strange ORDER BY k;
SELECT * FROM no_shards;
SELECT * FROM no_shards WHERE k = 1;
SELECT count(*) FROM no_placements;
SELECT count(*) FROM no_placements WHERE k = 1;
SELECT count(*) FROM one_placement;
SELECT count(*) FROM gap;
SELECT count(*) FROM range_gone;
SELECT count(*) FROM range_gone WHERE k = 1;
SELECT count(*) FROM ref_no_shards;
SELECT count(*) FROM ref_no_placements;
SELECT count(*) FROM single_no_shards;
SELECT * FROM sound JOIN no_shards USING (k);
SELECT * FROM sound JOIN ref_no_shards USING (k);
INSERT INTO sound SELECT k FROM ref_no_shards;
INSERT INTO column_gone VALUES (1);
INSERT INTO no_column VALUES (1, 1);
INSERT INTO no_column SELECT * FROM sound;
INSERT INTO no_shards VALUES (1, 1);
INSERT INTO ref_no_shards VALUES (1);
UPDATE column_gone SET v = 5;
DELETE FROM gap WHERE k = 1;
\copy no_column FROM '/dev/null'
COPY no_column TO '/dev/null';
COPY column_gone TO '/dev/null';
ALTER TABLE no_column ADD COLUMN x int;
CREATE INDEX ON no_shards (v);
TRUNCATE gap;
VACUUM gap;
SELECT create_distributed_table('no_column', 'k');
SELECT alter_distributed_table('gap', shard_count => 2);
SELECT undistribute_table('gap');
SELECT rebalance_table_shards('gap');
SELECT citus_split_shard_by_split_points(min(shardid), ARRAY['0'], ARRAY[1, 1]) FROM pg_dist_shard WHERE logicalrelid = 'gap'::regclass;
SELECT isolate_tenant_to_new_shard('no_column', 1);
SELECT get_shard_id_for_distribution_column('ref_no_shards', 1);
SELECT get_shard_id_for_distribution_column('no_column', 1);
SELECT get_shard_id_for_distribution_column('column_gone', 1);
-- others go on (PostgreSQL itself cannot analyze a column without a type)
SELECT isolate_tenant_to_new_shard('no_column', 1, 'CASCADE');
DROP TABLE type_gone;
VACUUM (ANALYZE);
ANALYZE;
ANALYZE sound;
VACUUM sound;
BEGIN;
LOCK TABLE column_gone, no_column, strange, no_shards, no_placements, one_placement, gap, range_gone, part, part_1, ref_no_shards, sound IN ACCESS SHARE MODE;
LOCK TABLE column_gone, no_shards, ref_no_shards, sound IN ACCESS EXCLUSIVE MODE;
COMMIT;
SELECT rebalance_table_shards();
SELECT count(*) FROM get_rebalance_table_shards_plan();
SELECT count(*) FROM citus_tables WHERE table_name = 'sound'::regclass;
SELECT count(*) > 0 FROM citus_shards;
CREATE TABLE later (k int, v int);
SELECT create_distributed_table('later', 'k');
SELECT count(*) FROM later JOIN sound USING (k);
CREATE TABLE ref_later (k int);
SELECT create_reference_table('ref_later');
INSERT INTO ref_later VALUES (1);
SELECT * FROM sound JOIN ref_later USING (k);
SELECT undistribute_table('no_column');
SELECT * FROM no_column ORDER BY k;
-- and it can go: by its owner, alone or with all else
SET ROLE lost_owner;
DROP TABLE column_gone;
DROP TABLE no_column;
DROP TABLE no_shards;
DROP TABLE strange, no_placements;
DROP TABLE ref_no_shards, ref_no_placements, single_no_shards;
DROP TABLE part;
RESET ROLE;
DROP TABLE range_gone, gap;
DROP SCHEMA lost CASCADE;
DROP SCHEMA lost_types CASCADE;
SELECT count(*) FROM pg_dist_partition p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.logicalrelid);
SELECT count(*) FROM pg_dist_shard p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.logicalrelid);
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname ~ '^lost'$$);
-- dropping all at once
SET search_path = lost, lost_types;
CREATE SCHEMA lost;
CREATE TABLE column_gone (k int, v int);
SELECT create_distributed_table('column_gone', 'k');
ALTER TABLE column_gone OWNER TO lost_owner;
UPDATE pg_dist_partition SET partkey = NULL WHERE logicalrelid = 'column_gone'::regclass;
DROP OWNED BY lost_owner CASCADE;
DROP ROLE lost_owner;
DROP SCHEMA lost;
DELETE FROM pg_dist_placement p WHERE NOT EXISTS (SELECT FROM pg_dist_shard s WHERE s.shardid = p.shardid);
