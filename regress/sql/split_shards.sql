-- citus_split_shard_by_split_points() and isolate_tenant_to_new_shard(); test/tap has what happens to concurrent writes.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CALL citus_cleanup_orphaned_resources(); -- of other tests
RESET client_min_messages;
CREATE SCHEMA splitting;
SET search_path = splitting;
SET citus.shard_count = 4;
SET citus.next_shard_id = 4600000;
SELECT nodeid AS coordinator FROM pg_dist_node WHERE groupid = 0 \gset
SELECT min(nodeid) AS one, max(nodeid) AS two FROM pg_dist_node WHERE groupid > 0 \gset

-- a group: a foreign key in it, one to a reference table, partitions, odd names, a table without a key
CREATE TABLE kinds (k int PRIMARY KEY);
SELECT create_reference_table('kinds');
INSERT INTO kinds SELECT i FROM generate_series(0, 4) i;
CREATE TABLE "Tenants" ("Tenant Id" bigint PRIMARY KEY, gone int, kind int REFERENCES kinds, doubled bigint GENERATED ALWAYS AS ("Tenant Id" * 2) STORED, note text);
ALTER TABLE "Tenants" DROP COLUMN gone;
CREATE INDEX "by note" ON "Tenants" (lower(note));
CREATE TABLE events (tenant bigint, at date, n int, PRIMARY KEY (tenant, at, n), FOREIGN KEY (tenant) REFERENCES "Tenants") PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE loose (t bigint, x int);
SELECT create_distributed_table('"Tenants"', 'Tenant Id', colocate_with => 'none');
SELECT create_distributed_table('events', 'tenant', colocate_with => '"Tenants"');
SELECT create_distributed_table('loose', 't', colocate_with => '"Tenants"');
INSERT INTO "Tenants" ("Tenant Id", kind, note) SELECT i, i % 5, 'Note ' || i FROM generate_series(1, 500) i;
INSERT INTO events SELECT i, '2025-06-01'::date + (j * 100), j FROM generate_series(1, 500) i, generate_series(1, 4) j;
INSERT INTO loose SELECT i, i FROM generate_series(1, 500) i, generate_series(1, 2);
CREATE ROLE splitting_user LOGIN;
GRANT USAGE ON SCHEMA splitting TO splitting_user;
GRANT SELECT, INSERT ON "Tenants" TO splitting_user;

CREATE VIEW facts AS SELECT (SELECT count(*) || ' ' || sum(hashtext(t::text)) FROM "Tenants" t) AS tenants,
	(SELECT count(*) || ' ' || sum(n) || ' ' || sum(extract(epoch FROM at)) FROM events) AS events,
	(SELECT count(*) || ' ' || sum(hashtext(l::text)) FROM loose l) AS loose,
	(SELECT count(*) FROM "Tenants" t JOIN events ON tenant = "Tenant Id" JOIN loose l ON l.t = tenant) AS joined,
	(SELECT count(DISTINCT n) || ' x ' || max(n) || ' of ' || max(s) FROM (SELECT count(*) AS n, max(shardcount) AS s
		FROM pg_dist_shard JOIN pg_dist_partition p USING (logicalrelid) JOIN pg_dist_colocation c USING (colocationid)
		WHERE logicalrelid IN ('"Tenants"'::regclass, 'events'::regclass, 'events_old'::regclass, 'events_new'::regclass, 'loose'::regclass)
		GROUP BY logicalrelid) x) AS shards;
SELECT * FROM facts;
-- prepared before: fast path, router, several shards
PREPARE one(bigint) AS SELECT kind, doubled, note FROM "Tenants" WHERE "Tenant Id" = $1;
PREPARE joined(bigint) AS SELECT count(*) FROM "Tenants" JOIN events ON tenant = "Tenant Id" WHERE tenant = $1;
PREPARE added(bigint) AS INSERT INTO loose VALUES ($1, 1);
PREPARE changed(bigint) AS UPDATE "Tenants" SET note = note || '!' WHERE "Tenant Id" = $1;
PREPARE summed AS SELECT count(*), sum(x) FROM loose;
SET plan_cache_mode = force_generic_plan;
EXECUTE one(7); EXECUTE joined(7); EXECUTE added(7); EXECUTE changed(7); EXECUTE summed;

-- what is refused, before anything is done
SELECT citus_split_shard_by_split_points(1, ARRAY['0'], ARRAY[:one, :two], 'block_writes');
SELECT shardid AS reference_shard FROM pg_dist_shard WHERE logicalrelid = 'kinds'::regclass \gset
SELECT citus_split_shard_by_split_points(:reference_shard, ARRAY['0'], ARRAY[:one, :two], 'block_writes');
CREATE TABLE single (x int);
SELECT create_distributed_table('single', NULL);
SELECT shardid AS single_shard FROM pg_dist_shard WHERE logicalrelid = 'single'::regclass \gset
SELECT citus_split_shard_by_split_points(:single_shard, ARRAY['0'], ARRAY[:one, :two], 'block_writes');
SELECT shardid AS shard FROM pg_dist_shard WHERE logicalrelid = '"Tenants"'::regclass AND shardminvalue = '-1073741824' \gset
SELECT citus_split_shard_by_split_points(:shard, ARRAY[]::text[], ARRAY[:one], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-1073741825'], ARRAY[:one, :two], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-1'], ARRAY[:one, :two], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['5'], ARRAY[:one, :two], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500', '-600'], ARRAY[:one, :two, :one], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500', '-500'], ARRAY[:one, :two, :one], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[:one], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[:one, :two, :two], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[:one, 99999], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[:one, NULL], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['half'], ARRAY[:one, :two], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['99999999999'], ARRAY[:one, :two], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY[NULL], ARRAY[:one, :two], 'block_writes');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[1, 2], 'soon');
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[:one, :two]);
SET ROLE splitting_user;
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[:one, :two], 'block_writes');
RESET ROLE;
BEGIN;
INSERT INTO loose VALUES (1, 1);
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[:one, :two], 'block_writes');
ROLLBACK;
BEGIN READ ONLY;
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-500'], ARRAY[:one, :two], 'block_writes');
ROLLBACK;
SELECT isolate_tenant_to_new_shard('"Tenants"', 7, shard_transfer_mode => 'block_writes');
SELECT isolate_tenant_to_new_shard('"Tenants"', 7, 'perhaps', shard_transfer_mode => 'block_writes');
SELECT isolate_tenant_to_new_shard('"Tenants"', 'seven'::text, 'CASCADE', shard_transfer_mode => 'block_writes');
SELECT isolate_tenant_to_new_shard('kinds', 7, 'CASCADE', shard_transfer_mode => 'block_writes');
SELECT isolate_tenant_to_new_shard('pg_class', 7, 'CASCADE', shard_transfer_mode => 'block_writes');
SELECT * FROM facts;
SELECT count(*) AS records FROM pg_dist_cleanup;

-- in three, over all nodes
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-700000000', '-300000000'], ARRAY[:one, :coordinator, :two], 'block_writes');
SELECT * FROM facts;
SELECT logicalrelid, shardminvalue, shardmaxvalue, rank() OVER (ORDER BY groupid) - 1 <> 0 AS on_a_worker FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
	WHERE logicalrelid IN ('"Tenants"'::regclass, 'events_new'::regclass) AND shardminvalue::int BETWEEN -1073741824 AND -2 ORDER BY 1, shardminvalue::int;
EXECUTE one(7); EXECUTE joined(7); EXECUTE added(7); EXECUTE changed(7); EXECUTE summed;
-- every row is in the shard that its hash says; every node knows the shards
SELECT bool_and(result = 't') AS rows_in_place FROM pg_dist_shard s, LATERAL (SELECT * FROM run_command_on_shards('"Tenants"', format(
	'SELECT coalesce(bool_and(hashint8("Tenant Id") BETWEEN %s AND %s), true) FROM %%s', s.shardminvalue, s.shardmaxvalue)) r WHERE r.shardid = s.shardid) x
	WHERE s.logicalrelid = '"Tenants"'::regclass;
SELECT DISTINCT result FROM run_command_on_all_nodes($$SELECT string_agg(shardminvalue || '..' || shardmaxvalue || '@' || groupid, ' ' ORDER BY logicalrelid::text, shardminvalue::int) = (
	SELECT '$$ || (SELECT string_agg(shardminvalue || '..' || shardmaxvalue || '@' || groupid, ' ' ORDER BY logicalrelid::text, shardminvalue::int)
		FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) WHERE logicalrelid::text ~ 'Tenants|events|loose') || $$')
	FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) WHERE logicalrelid::text ~ 'Tenants|events|loose'$$);
SELECT DISTINCT result FROM run_command_on_workers($$SELECT (SELECT count(*) || ' ' || sum(hashtext(t::text)) FROM splitting."Tenants" t) || ' ' ||
	(SELECT count(*) FROM splitting."Tenants" JOIN splitting.events ON tenant = "Tenant Id")$$);
SELECT result FROM run_command_on_workers('UPDATE splitting."Tenants" SET note = note || ''?'' WHERE "Tenant Id" IN (7, 8, 9)', parallel => false);
-- what hangs on the new shards
SELECT result, count(*) FROM run_command_on_shards('"Tenants"', $$SELECT string_agg(regexp_replace(conname, '_[0-9]{5,}$', '') || ' ' || contype::text, ', ' ORDER BY contype, conname)
	FROM pg_constraint WHERE conrelid = '%s'::regclass AND contype <> 'n'$$) GROUP BY 1;
SELECT result, count(*) FROM run_command_on_shards('"Tenants"', $$SELECT string_agg(regexp_replace(indexdef, '_[0-9]{5,}', '', 'g'), '; ' ORDER BY indexdef)
	FROM pg_indexes WHERE format('%%I.%%I', schemaname, tablename)::regclass = '%s'::regclass$$) GROUP BY 1;
SELECT result, count(*) FROM run_command_on_shards('events', $$SELECT count(*) FROM pg_partition_tree('%s')$$) GROUP BY 1;
INSERT INTO events VALUES (100000, '2026-01-01', 1);
INSERT INTO "Tenants" VALUES (7, 1);
INSERT INTO "Tenants" VALUES (100001, 77);
SET ROLE splitting_user;
SELECT count(*) FROM splitting."Tenants";
INSERT INTO splitting."Tenants" ("Tenant Id") VALUES (1001);
RESET ROLE;
DELETE FROM "Tenants" WHERE "Tenant Id" = 1001;

-- a tenant alone: twice the same is one shard
SELECT isolate_tenant_to_new_shard('"Tenants"', 7, 'cascade', shard_transfer_mode => 'block_writes') AS alone \gset
SELECT get_shard_id_for_distribution_column('"Tenants"', 7) = :alone AS alone, shardminvalue = shardmaxvalue AS one_hash FROM pg_dist_shard WHERE shardid = :alone;
SELECT isolate_tenant_to_new_shard('"Tenants"', '7', 'CASCADE', shard_transfer_mode => 'block_writes') = :alone;
SELECT citus_split_shard_by_split_points(:alone, ARRAY['0'], ARRAY[:one, :two], 'block_writes');
SELECT isolate_tenant_to_new_shard('events', 8, 'CASCADE', 'block_writes') = get_shard_id_for_distribution_column('events', 8) AS of_events;
SELECT * FROM facts;
EXECUTE one(7); EXECUTE joined(7); EXECUTE added(7); EXECUTE changed(7); EXECUTE summed;
SELECT result FROM run_command_on_shards('"Tenants"', 'SELECT string_agg("Tenant Id"::text, '' '') FROM %s') WHERE shardid = :alone;

-- one that is cut can be moved, truncated, altered, and joined by new tables
SELECT groupid AS here FROM pg_dist_placement WHERE shardid = :alone \gset
SELECT citus_move_shard_placement(:alone, (SELECT nodeid FROM pg_dist_node WHERE groupid = :here), (SELECT max(nodeid) FROM pg_dist_node WHERE groupid NOT IN (0, :here)), 'block_writes');
SELECT count(*) FROM "Tenants" JOIN events ON tenant = "Tenant Id" WHERE tenant = 7;
ALTER TABLE "Tenants" ADD COLUMN more int DEFAULT 5;
CREATE TABLE later (t bigint);
SELECT create_distributed_table('later', 't', colocate_with => 'loose');
INSERT INTO later SELECT i FROM generate_series(1, 500) i;
SELECT count(*), sum(more) FROM "Tenants" JOIN later ON t = "Tenant Id";
TRUNCATE loose;
INSERT INTO loose SELECT i, i FROM generate_series(1, 500) i;
COPY loose FROM stdin;
7	7
8	8
\.
SELECT count(*), sum(x) FROM loose;
CREATE TABLE standard (t bigint);
SELECT create_distributed_table('standard', 't');
SELECT distributed_tables_colocated('standard', 'loose') AS colocated, (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'standard'::regclass) AS shards;

-- rolled back: nothing has changed, and what was made is gone after cleaning up
SELECT shardid AS shard FROM pg_dist_shard WHERE logicalrelid = 'standard'::regclass ORDER BY shardminvalue::int LIMIT 1 \gset
INSERT INTO standard SELECT i FROM generate_series(1, 100) i;
BEGIN;
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-2000000000'], ARRAY[:one, :two], 'block_writes');
SELECT count(*), sum(t), (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'standard'::regclass) AS shards FROM standard;
ROLLBACK;
SELECT count(*), sum(t), (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'standard'::regclass) AS shards FROM standard;
-- in a transaction, with writes after it
BEGIN;
SELECT citus_split_shard_by_split_points(:shard, ARRAY['-2000000000'], ARRAY[:one, :two], 'block_writes');
INSERT INTO standard SELECT i FROM generate_series(101, 200) i;
COMMIT;
SELECT count(*), sum(t), (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'standard'::regclass) AS shards FROM standard;

-- other types of distribution column: text under a collation, uuid, a range, a domain, an array
CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN code AS varchar(10) CHECK (VALUE <> '');
CREATE TABLE by_text (k text COLLATE insensitive, n int);
CREATE TABLE by_uuid (k uuid PRIMARY KEY);
CREATE TABLE by_range (k int4range, n int);
CREATE TABLE by_code (k code, n int);
CREATE TABLE by_array (k int[], n int);
CREATE TABLE by_date (k date, n int);
CREATE TABLE by_truth (k boolean, n int);
SELECT create_distributed_table(t, 'k', shard_count => 1, colocate_with => 'none') FROM unnest(ARRAY['by_text', 'by_uuid', 'by_range', 'by_code', 'by_array', 'by_date', 'by_truth']) t;
INSERT INTO by_text SELECT CASE i % 2 WHEN 0 THEN 'Name ' ELSE 'NAME ' END || i / 2, i FROM generate_series(1, 200) i;
INSERT INTO by_uuid SELECT md5(i::text)::uuid FROM generate_series(1, 200) i;
INSERT INTO by_range SELECT int4range(i, i + 10), i FROM generate_series(1, 200) i;
INSERT INTO by_code SELECT 'c' || i, i FROM generate_series(1, 200) i;
INSERT INTO by_array SELECT ARRAY[i, NULL, -i], i FROM generate_series(1, 200) i;
INSERT INTO by_date SELECT date '2026-01-01' + i, i FROM generate_series(1, 200) i;
INSERT INTO by_truth SELECT i % 2 = 0, i FROM generate_series(1, 200) i;
SELECT logicalrelid, citus_split_shard_by_split_points(shardid, ARRAY['-1000000000', '0'], ARRAY[:one, :two, :one], 'block_writes')
	FROM pg_dist_shard WHERE logicalrelid::text LIKE 'by\_%' ORDER BY logicalrelid::text;
SELECT (SELECT count(*) FROM by_text) AS text, (SELECT count(*) FROM by_text WHERE k = 'name 7') AS name_7, (SELECT count(*) FROM by_uuid) AS uuid,
	(SELECT count(*) FROM by_uuid WHERE k = md5('5')::uuid) AS one_uuid, (SELECT sum(n) FROM by_range WHERE k = '[17, 27)') AS r17,
	(SELECT sum(n) FROM by_code WHERE k = 'c17') AS c17, (SELECT count(*) FROM by_code) AS codes,
	(SELECT sum(n) FROM by_array WHERE k = ARRAY[17, NULL, -17]) AS a17, (SELECT count(*) FROM by_array) AS arrays,
	(SELECT sum(n) FROM by_date WHERE k = '2026-01-18') AS d17, (SELECT count(*) FROM by_date) AS dates, (SELECT count(*) FROM by_truth WHERE k) AS true;

-- while others may write
SELECT logicalrelid, citus_split_shard_by_split_points(shardid, ARRAY['-1700000000', '-1500000000'], ARRAY[:one, :two, :coordinator])
	FROM pg_dist_shard WHERE logicalrelid = 'by_uuid'::regclass AND shardminvalue = '-2147483648';
SELECT isolate_tenant_to_new_shard('by_uuid', md5('5')) = get_shard_id_for_distribution_column('by_uuid', md5('5')) AS alone;
SELECT citus_split_shard_by_split_points(shardid, ARRAY['-1500000000'], ARRAY[:one, :two], 'force_logical')
	FROM pg_dist_shard WHERE logicalrelid = 'by_text'::regclass AND shardminvalue = '-2147483648';
BEGIN;
INSERT INTO by_code VALUES ('more', 1);
SELECT isolate_tenant_to_new_shard('by_uuid', md5('6'));
ROLLBACK;
SELECT (SELECT count(*) FROM by_uuid) AS uuid, (SELECT count(*) FROM by_uuid WHERE k = md5('5')::uuid) AS one_uuid,
	(SELECT count(*) FROM by_text) AS text, (SELECT count(*) FROM by_text WHERE k = 'name 7') AS name_7;

-- the split drops the old shards itself, in its transaction
SET citus.defer_drop_after_shard_split = off;
SELECT shardid AS old FROM pg_dist_shard WHERE logicalrelid = 'by_uuid'::regclass AND shardmaxvalue = '2147483647' \gset
BEGIN;
SELECT citus_split_shard_by_split_points(:old, ARRAY['1000000000'], ARRAY[:one, :two]);
ROLLBACK;
SELECT count(*) FROM by_uuid;
SELECT citus_split_shard_by_split_points(:old, ARRAY['1000000000'], ARRAY[:one, :two]);
SELECT count(*) FROM by_uuid;
SELECT sum(result::int) AS left_over, (SELECT count(*) FROM pg_dist_cleanup WHERE object_name = 'splitting.by_uuid_' || :old) AS recorded
	FROM run_command_on_all_nodes(format('SELECT count(*) FROM pg_class WHERE relname = %L', 'by_uuid_' || :old));
RESET citus.defer_drop_after_shard_split;

-- shards with two placements: a new shard has the node asked for, and the others of the old one; all hold the same
SET citus.shard_replication_factor = 2;
CREATE TABLE copied (k int PRIMARY KEY, v text);
SELECT create_distributed_table('copied', 'k', shard_count => 1, colocate_with => 'none');
CREATE TABLE copied_too (k int, n int, PRIMARY KEY (k, n));
SELECT create_distributed_table('copied_too', 'k', colocate_with => 'copied');
RESET citus.shard_replication_factor;
INSERT INTO copied SELECT i, 'v' || i FROM generate_series(1, 200) i;
INSERT INTO copied_too SELECT i, j FROM generate_series(1, 200) i, generate_series(1, 2) j;
CREATE VIEW copies AS SELECT logicalrelid, shardminvalue, shardmaxvalue, string_agg(CASE nodeid WHEN :coordinator THEN 'coordinator' WHEN :one THEN 'one' ELSE 'two' END, ' ' ORDER BY groupid) AS places,
	(SELECT count(DISTINCT result) FROM run_command_on_placements(logicalrelid, 'SELECT count(*) || md5(string_agg(t::text, NULL ORDER BY t)) FROM %s t') r
		WHERE r.shardid = s.shardid AND success) AS contents
	FROM pg_dist_shard s JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) WHERE logicalrelid::text LIKE 'copied%' GROUP BY 1, 2, 3, shardid;
SELECT shardid AS copied FROM pg_dist_shard WHERE logicalrelid = 'copied'::regclass \gset
SELECT citus_split_shard_by_split_points(:copied, ARRAY['-1000000000', '1000000000'], ARRAY[:one, :coordinator, :two]);
SELECT * FROM copies ORDER BY 1, shardminvalue::int;
SELECT isolate_tenant_to_new_shard('copied', 7, 'CASCADE', 'block_writes') = get_shard_id_for_distribution_column('copied', 7) AS alone;
SET citus.defer_drop_after_shard_split = off;
SELECT citus_split_shard_by_split_points(shardid, ARRAY['1500000000'], ARRAY[:coordinator, :one]) FROM pg_dist_shard
	WHERE logicalrelid = 'copied'::regclass AND shardminvalue = '1000000001';
RESET citus.defer_drop_after_shard_split;
UPDATE copied SET v = v || k WHERE k % 2 = 0;
DELETE FROM copied_too WHERE k % 3 = 0;
SELECT * FROM copies ORDER BY 1, shardminvalue::int;
SELECT count(*), count(DISTINCT k), sum(n) FROM copied JOIN copied_too USING (k);
SELECT DISTINCT result FROM run_command_on_workers('SELECT count(*) || '' '' || sum(n) FROM splitting.copied JOIN splitting.copied_too USING (k)');

-- old shards go
SET client_min_messages = warning;
CALL citus_cleanup_orphaned_resources();
SELECT count(*) AS records FROM pg_dist_cleanup;
SELECT sum(result::int) - (SELECT count(*) FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_class c ON c.oid = logicalrelid WHERE relnamespace = 'splitting'::regnamespace) AS left_over
	FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_class WHERE relnamespace = 'splitting'::regnamespace AND relkind IN ('r', 'p') AND relname ~ '_[0-9]{6,}$'$$);

SET client_min_messages = error;
DROP SCHEMA splitting CASCADE;
DROP ROLE splitting_user;
SELECT sum(result::int) AS left_over FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'splitting')$$);
