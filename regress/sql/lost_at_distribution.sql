-- What a table has, its shards have: the catalogs of shells and shards side by side.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET citus.shard_count = 4;
CREATE SCHEMA kept;
SET search_path = kept;
CREATE ROLE kept_reader;
CREATE COLLATION kept.coll (provider = icu, locale = 'de');

-- 1. one of each
CREATE TABLE cols (
	k int NOT NULL, a text COLLATE kept.coll, b text COMPRESSION pglz DEFAULT 'x', c int, d int, e jsonb, r int4range,
	g int GENERATED ALWAYS AS (c + d) STORED, n numeric(10, 2), v varchar(7),
	CONSTRAINT c_positive CHECK (c > 0), CONSTRAINT whole CHECK (cols IS NOT NULL OR k > 0),
	PRIMARY KEY (k) INCLUDE (d) WITH (fillfactor = 61),
	CONSTRAINT uq UNIQUE NULLS NOT DISTINCT (k, c) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT ex EXCLUDE USING hash (k WITH =) WHERE (c > 5)
) WITH (fillfactor = 77, autovacuum_enabled = off, toast.autovacuum_enabled = off, toast_tuple_target = 256);
ALTER TABLE cols ALTER COLUMN a SET STATISTICS 17, ALTER COLUMN c SET (n_distinct = -0.5, n_distinct_inherited = 7), ALTER COLUMN b SET STORAGE EXTERNAL, ALTER COLUMN e SET STORAGE MAIN;
CREATE INDEX by_expression ON cols USING btree ((c + d), a COLLATE "C" text_pattern_ops DESC NULLS LAST) INCLUDE (b) WITH (fillfactor = 55, deduplicate_items = off) WHERE c > 3;
ALTER INDEX by_expression ALTER COLUMN 1 SET STATISTICS 77;
CREATE INDEX by_gin ON cols USING gin (e jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX by_brin ON cols USING brin (d int4_minmax_multi_ops (values_per_range = 16)) WITH (pages_per_range = 5);
CREATE UNIQUE INDEX "Odd ""unique" ON cols (k, d);
CLUSTER cols USING uq;
ALTER TABLE cols REPLICA IDENTITY USING INDEX cols_pkey;
CREATE STATISTICS pairs (ndistinct, dependencies, mcv) ON c, d FROM cols;
CREATE STATISTICS "Odd ""statistics" ON (c + d), (c * 2) FROM cols;
ALTER STATISTICS pairs SET STATISTICS 33;
INSERT INTO cols VALUES (1, 'a', 'b', 7);
ALTER TABLE cols ADD CONSTRAINT unvalidated CHECK (k <> 0) NOT VALID;
GRANT SELECT, UPDATE (c) ON cols TO kept_reader;
CREATE UNLOGGED TABLE unlogged (k int, t text) WITH (parallel_workers = 3);
ALTER TABLE unlogged REPLICA IDENTITY FULL;
CREATE TABLE tree (k int, c int CHECK (c < 1000), t text) PARTITION BY RANGE (c);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES FROM (0) TO (10) WITH (fillfactor = 42);
CREATE TABLE tree_2 (t text, x int, c int, k int, CONSTRAINT tree_c_check CHECK (c < 1000));
ALTER TABLE tree_2 DROP COLUMN x;
ALTER TABLE tree ATTACH PARTITION tree_2 FOR VALUES FROM (10) TO (20);
CREATE INDEX tree_expression ON tree ((k + c));
ALTER INDEX tree_expression ALTER COLUMN 1 SET STATISTICS 55;
CREATE STATISTICS tree_statistics ON k, c FROM tree;
CREATE STATISTICS tree_1_statistics ON k, c FROM tree_1;
ALTER TABLE tree ALTER COLUMN t SET STATISTICS 5;
CREATE TABLE ref (k int PRIMARY KEY, a int, b int);
CREATE STATISTICS ref_statistics ON a, b FROM ref;
CREATE TABLE loc (k int PRIMARY KEY, a int, b int);
CREATE STATISTICS loc_statistics ON a, b FROM loc;
SELECT create_distributed_table('cols', 'k'), create_distributed_table('unlogged', 'k', colocate_with => 'none'), create_distributed_table('tree', 'k');
SELECT create_reference_table('ref'), citus_add_local_table_to_metadata('loc');
SELECT k, a, b, c FROM cols;

-- 2. what each relation is like, without its shard id
CREATE FUNCTION described(wanted regclass) RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
	SELECT regexp_replace(line, '_1\d{5}\y', '', 'g') FROM (
		SELECT 1, 0, concat_ws(' ', 'table', relname, relkind, relpersistence, relreplident, relispartition, relchecks, am.amname, reloptions,
			(SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid), relhasrules, relrowsecurity,
			pg_get_userbyid(relowner), pg_get_partkeydef(c.oid), pg_get_expr(relpartbound, c.oid), reltablespace)
			FROM pg_class c LEFT JOIN pg_am am ON am.oid = c.relam WHERE c.oid = wanted
		UNION ALL SELECT 2, row_number() OVER (ORDER BY attnum), concat_ws(' ', 'column', attname, format_type(atttypid, atttypmod), attstorage, attcompression, attcollation::regcollation,
			attnotnull, attidentity, attgenerated, coalesce(attstattarget, -1), (SELECT array_agg(o ORDER BY o) FROM unnest(attoptions) o WHERE o !~ '^pg_'), attacl, pg_get_expr(adbin, adrelid))
			FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = wanted AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT 3, row_number() OVER (ORDER BY conname), concat_ws(' ', 'constraint', conname, contype, condeferrable, condeferred, convalidated, connoinherit, pg_get_constraintdef(oid))
			FROM pg_constraint WHERE conrelid = wanted
		UNION ALL SELECT 4, row_number() OVER (ORDER BY indexrelid::regclass::text), concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indnkeyatts, indisunique, indnullsnotdistinct, indisprimary, indisexclusion, indimmediate, indisclustered,
			indisvalid, indcheckxmin, indisready, indisreplident, (SELECT array_agg(coalesce(attstattarget, -1) ORDER BY attnum) FROM pg_attribute WHERE attrelid = indexrelid),
			c.reloptions, c.relispartition)
			FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = wanted
		UNION ALL SELECT 5, row_number() OVER (ORDER BY stxname), concat_ws(' ', 'statistics', coalesce(stxstattarget, -1), pg_get_statisticsobjdef(oid)) FROM pg_statistic_ext WHERE stxrelid = wanted
		UNION ALL SELECT 6, row_number() OVER (ORDER BY inhseqno), concat_ws(' ', 'parent', inhparent::regclass) FROM pg_inherits WHERE inhrelid = wanted) d(part, number, line)
	ORDER BY part, number
$$;
SELECT DISTINCT result FROM run_command_on_workers(pg_get_functiondef('described(regclass)'::regprocedure));
CREATE VIEW described_here AS
	SELECT t.name::regclass AS relation, d AS line FROM unnest(ARRAY['cols', 'unlogged', 'tree', 'tree_1', 'tree_2', 'ref', 'loc']) t(name), described(t.name::regclass) d;
CREATE VIEW differences AS
	WITH there AS MATERIALIZED (SELECT r.relation, result FROM (SELECT DISTINCT relation FROM described_here) r,
		run_command_on_placements(r.relation, $$SELECT string_agg(d, E'\n') FROM kept.described('%s') d$$))
	SELECT DISTINCT relation, CASE WHEN there.line IS NULL THEN 'lost' ELSE 'added' END AS what, coalesce(here.line, there.line) AS line FROM (
		SELECT relation, result, line FROM there JOIN described_here USING (relation)) here
	FULL JOIN (SELECT relation, result, string_to_table(result, E'\n') AS line FROM there) there USING (relation, result, line) WHERE here.line IS NULL OR there.line IS NULL
	ORDER BY 1, 2, 3;
SELECT * FROM differences;
-- and the shells of other nodes
CREATE VIEW shell_differences AS
	SELECT relation, line FROM described_here EXCEPT
	SELECT relation, string_to_table(result, E'\n') FROM (SELECT DISTINCT relation FROM described_here) r,
		run_command_on_workers(format($$SELECT string_agg(d, E'\n') FROM kept.described('kept.%s') d$$, relation))
	ORDER BY 1, 2;
SELECT * FROM shell_differences;
SELECT line FROM described_here WHERE relation = 'cols'::regclass AND line !~ '^constraint \S+ n '; -- NOT NULL is one in newer servers

-- 3. on nodes that get shards later
SELECT nodename AS other_host, nodeport AS other_port FROM pg_dist_node WHERE groupid > 0 ORDER BY groupid LIMIT 1 \gset
SELECT nodename AS source_host, nodeport AS source_port, shardid AS moved FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)
	WHERE logicalrelid = 'cols'::regclass AND nodeport <> :other_port ORDER BY shardid LIMIT 1 \gset
SELECT citus_move_shard_placement(:moved, :'source_host', :source_port, :'other_host', :other_port, 'block_writes');
SELECT citus_move_shard_placement(:moved, :'other_host', :other_port, :'source_host', :source_port, 'force_logical');
SELECT citus_split_shard_by_split_points(:moved, ARRAY[((shardminvalue::int8 + shardmaxvalue::int8) / 2)::text],
	ARRAY(SELECT nodeid FROM pg_dist_node WHERE groupid > 0 ORDER BY groupid), 'block_writes') FROM pg_dist_shard WHERE shardid = :moved;
SELECT isolate_tenant_to_new_shard('cols', 3, 'CASCADE', shard_transfer_mode => 'block_writes') > 0 AS isolated;
SELECT * FROM differences;
SELECT alter_distributed_table('tree', shard_count => 3, cascade_to_colocated => false);
SELECT undistribute_table('cols');
INSERT INTO cols VALUES (2, 'a', 'b', 7);
SELECT create_distributed_table_concurrently('cols', 'k');
SELECT * FROM differences;
INSERT INTO cols VALUES (0, 'a', 'b', 7);
ALTER TABLE cols VALIDATE CONSTRAINT unvalidated;
DROP TABLE cols;
SELECT count(*) FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = stxnamespace WHERE nspname = 'kept' AND stxname ~ 'pairs|Odd';

-- 4. rows that a constraint which is NOT VALID lets be
CREATE TABLE nv (k int, v int);
SELECT create_distributed_table('nv', 'k');
INSERT INTO nv SELECT i, i FROM generate_series(1, 20) i;
ALTER TABLE nv ADD CONSTRAINT small CHECK (v < 5) NOT VALID;
SELECT citus_move_shard_placement(shardid, nodename, nodeport, :'other_host', :other_port, 'block_writes') FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)
	WHERE logicalrelid = 'nv'::regclass AND nodeport <> :other_port ORDER BY shardid LIMIT 1;
SELECT alter_distributed_table('nv', shard_count => 2);
SELECT count(*) FROM nv;
INSERT INTO nv VALUES (1, 9);
ALTER TABLE nv VALIDATE CONSTRAINT small;

-- ... those that are there when a table is distributed, too
CREATE TABLE nv_rows (k int PRIMARY KEY, v int, CONSTRAINT positive CHECK (k > 0));
INSERT INTO nv_rows SELECT i, i FROM generate_series(1, 20) i;
ALTER TABLE nv_rows ADD CONSTRAINT small CHECK (v < 5) NOT VALID;
CREATE TABLE nv_reference (LIKE nv_rows INCLUDING ALL);
ALTER TABLE nv_reference DROP CONSTRAINT small;
INSERT INTO nv_reference SELECT k, v FROM nv_rows;
ALTER TABLE nv_reference ADD CONSTRAINT small CHECK (v < 5) NOT VALID;
CREATE TABLE nv_parts (k int, v int) PARTITION BY RANGE (k);
CREATE TABLE nv_part PARTITION OF nv_parts FOR VALUES FROM (0) TO (100);
INSERT INTO nv_parts SELECT i, i FROM generate_series(1, 20) i;
ALTER TABLE nv_parts ADD CONSTRAINT small CHECK (v < 5) NOT VALID;
CREATE INDEX nv_parts_v ON nv_parts (v);
SELECT create_distributed_table('nv_rows', 'k', shard_count => 4);
SELECT create_reference_table('nv_reference');
SELECT create_distributed_table('nv_parts', 'k', shard_count => 4);
SELECT (SELECT count(*) FROM nv_rows) AS rows, (SELECT count(*) FROM nv_reference) AS reference, (SELECT count(*) FROM nv_parts) AS parts;
SELECT result, count(*) FROM run_command_on_shards('nv_rows',
	$$SELECT string_agg(regexp_replace(conname, '_\d+$', '') || ' ' || convalidated, ', ' ORDER BY conname) FROM pg_constraint WHERE contype = 'c' AND conrelid = '%s'::regclass$$)
	GROUP BY result;
SELECT result, count(*) FROM run_command_on_shards('nv_part',
	$$SELECT string_agg(regexp_replace(conname, '_\d+$', '') || ' ' || convalidated, ', ' ORDER BY conname) FROM pg_constraint WHERE contype = 'c' AND conrelid = '%s'::regclass$$)
	GROUP BY result;
INSERT INTO nv_rows VALUES (30, 9);
INSERT INTO nv_parts VALUES (30, 9);
SELECT result, count(*) FROM run_command_on_shards('nv_part', $$SELECT count(*) FROM pg_index WHERE indrelid = '%s'::regclass$$) GROUP BY result;
DROP TABLE nv_rows, nv_reference, nv_parts;

-- 5. tableoid is another one on every shard
CREATE TABLE oid_column (a int, c bool GENERATED ALWAYS AS (tableoid = 'oid_column'::regclass) STORED);
SELECT create_distributed_table('oid_column', 'a');
SELECT create_reference_table('oid_column');
SELECT citus_add_local_table_to_metadata('oid_column');
CREATE TABLE oid_check (a int CHECK (a > 0), CONSTRAINT by_oid CHECK (NOT (a = 1 AND tableoid::regclass::text = 'oid_check')));
SELECT create_distributed_table('oid_check', 'a');
SELECT create_distributed_table_concurrently('oid_check', 'a');
CREATE TABLE later (a int, b text);
SELECT create_distributed_table('later', 'a');
INSERT INTO later VALUES (1, 'x');
ALTER TABLE later ADD COLUMN d regclass GENERATED ALWAYS AS (tableoid) STORED;
ALTER TABLE later ADD COLUMN d int CHECK (tableoid > 0);
ALTER TABLE later ADD CHECK (later.tableoid > 0);
ALTER TABLE later ADD COLUMN ok int GENERATED ALWAYS AS (a + 1) STORED, ADD CHECK (a > 0);
CREATE TABLE parent (a int, b int) PARTITION BY LIST (b);
SELECT create_distributed_table('parent', 'a');
CREATE TABLE parent_1 PARTITION OF parent (CHECK (tableoid > 0)) FOR VALUES IN (1);
ALTER TABLE parent ADD CHECK (tableoid > 0);
SELECT * FROM later;

-- 6. expressions that name their table, or its whole row
CREATE TABLE named (k int, v text, d text, CHECK (named IS NOT NULL), CHECK (named.k > 0), CHECK (kept.named.k < 1000), CHECK (named.* IS NOT NULL),
	u int GENERATED ALWAYS AS (named.k * 2) STORED, CONSTRAINT no_two EXCLUDE USING btree (k WITH =) WHERE (named.v <> 'x'));
CREATE INDEX ON named (v) WHERE named.v > 'a';
SELECT create_distributed_table('named', 'k');
INSERT INTO named VALUES (1, NULL, 'x');
INSERT INTO named VALUES (1, 'a', 'x');
CREATE INDEX ON named (v) WHERE named.v > 'b';
CREATE INDEX ON named ((named.v || kept.named.d));
CREATE UNIQUE INDEX ON named (k, lower(named.v));
CREATE INDEX CONCURRENTLY ON named (v) WHERE kept.named.v > 'c';
ALTER TABLE named ADD CHECK (named.v <> 'zz'), ADD CONSTRAINT whole CHECK (kept.named.* IS NOT NULL);
ALTER TABLE named ADD CONSTRAINT not_two EXCLUDE USING btree (k WITH =) WHERE (named.v <> 'y');
ALTER TABLE named ADD COLUMN named int CHECK (named < 7), ADD COLUMN w int DEFAULT 5 CHECK (named.w > 0);
INSERT INTO named (k, v, d, named) VALUES (2, 'b', 'y', 7);
INSERT INTO named (k, v, d, named) VALUES (2, 'b', 'y', 6);
ALTER TABLE named ALTER COLUMN d TYPE int USING length(named.d);
SELECT * FROM named ORDER BY k;
CREATE FUNCTION of_row(named) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE FUNCTION of_any(anyelement) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE FUNCTION of_record(record) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
ALTER TABLE named ADD CHECK (of_row(named.*));
ALTER TABLE named ADD CHECK (of_any(named.*)), ADD CHECK (of_record(named.*)), ADD CHECK (to_jsonb(named.*) IS NOT NULL), ADD CHECK (length(named.*::text) < 100);
CREATE INDEX ON named (record_ne(named.*, NULL));
CREATE INDEX CONCURRENTLY ON named (of_record(named.*));
CREATE INDEX CONCURRENTLY ON named (k) WHERE named.* IS NOT NULL;
CREATE INDEX ON named (of_row(named.*));
CREATE INDEX ON named (k) WHERE of_row(named.*);
CREATE TABLE rows_of (k int, v int);
CREATE FUNCTION of_rows(rows_of) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
ALTER TABLE rows_of ADD CHECK (of_rows(rows_of));
SELECT create_distributed_table('rows_of', 'k');
CREATE TABLE named_part (k int, c int, CHECK (named_part.c IS NOT NULL)) PARTITION BY LIST ((named_part.c % 10));
SELECT create_distributed_table('named_part', 'k');
CREATE TABLE named_part_1 PARTITION OF named_part (CHECK (named_part_1 IS NOT NULL)) FOR VALUES IN (1);
INSERT INTO named_part VALUES (1, 11);
SELECT * FROM named_part;
CALL citus_cleanup_orphaned_resources();
DROP SCHEMA kept CASCADE;
DROP ROLE kept_reader;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_namespace WHERE nspname = 'kept'$$);
