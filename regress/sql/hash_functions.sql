-- Hash operator classes that users make: every node hashes by the same function, or nothing is done.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CALL citus_cleanup_orphaned_resources(); -- of other tests
SELECT nodeid AS one, nodeport AS port_one FROM pg_dist_node WHERE groupid > 0 ORDER BY nodeid LIMIT 1 \gset
SELECT max(nodeid) AS two FROM pg_dist_node WHERE groupid > 0 \gset
CREATE SCHEMA hashed;
SET search_path = hashed;
SET citus.next_shard_id = 4900000;
SET citus.shard_count = 4;

-- pairs are equal by their sum
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION pair_eq(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.a + $1.b = $2.a + $2.b';
CREATE FUNCTION pair_hash(pair) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT hashint4($1.a + $1.b)';
CREATE OPERATOR = (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_eq, COMMUTATOR = =, HASHES);
CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =, FUNCTION 1 pair_hash(pair);
-- (for parts of other types the server asks for a B-tree class with the same equality)
CREATE FUNCTION pair_cmp(pair, pair) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT btint4cmp($1.a + $1.b, $2.a + $2.b)';
CREATE FUNCTION pair_lt(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.a + $1.b < $2.a + $2.b';
CREATE FUNCTION pair_gt(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.a + $1.b > $2.a + $2.b';
CREATE OPERATOR < (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_lt, COMMUTATOR = >);
CREATE OPERATOR > (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_gt, COMMUTATOR = <);
CREATE OPERATOR CLASS pair_order DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <, OPERATOR 3 =, OPERATOR 5 >, FUNCTION 1 pair_cmp(pair, pair);
CREATE DOMAIN positive AS pair CHECK ((VALUE).a > 0);
CREATE TYPE nested AS (p pair, t text);
-- where the class was made only for a part of the key: in a domain, an array, a composite
CREATE TABLE plain (k pair, d positive, n nested, l pair[], v int, id int PRIMARY KEY);
INSERT INTO plain SELECT ROW(1, g)::pair, ROW(1, g)::pair, ROW(ROW(1, g), 'x')::nested, ARRAY[ROW(1, g), ROW(2, g)]::pair[], g, g FROM generate_series(1, 100) g;
CREATE FUNCTION sums(OUT name text, OUT answer text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	FOREACH name IN ARRAY ARRAY['by_k', 'by_d', 'by_n', 'by_l'] LOOP
		EXECUTE format('SELECT count(*) || '' '' || sum(v) || '' '' || count(DISTINCT id) FROM %I', name) INTO answer;
		RETURN NEXT;
	END LOOP;
END $$;
CREATE TABLE by_k (LIKE plain);
CREATE TABLE by_d (LIKE plain);
CREATE TABLE by_n (LIKE plain);
CREATE TABLE by_l (LIKE plain);
SELECT create_distributed_table('by_k', 'k', colocate_with => 'none');
SELECT create_distributed_table('by_d', 'd', colocate_with => 'none');
SELECT create_distributed_table('by_n', 'n', colocate_with => 'none');
SELECT create_distributed_table('by_l', 'l', colocate_with => 'none');
INSERT INTO by_k SELECT * FROM plain;
INSERT INTO by_d SELECT * FROM plain;
INSERT INTO by_n SELECT * FROM plain;
INSERT INTO by_l SELECT * FROM plain;
SELECT * FROM sums();
SELECT result FROM run_command_on_workers($$SELECT string_agg(opcname || ' ' || opcdefault, ',' ORDER BY opcname) FROM pg_opclass WHERE opcnamespace = 'hashed'::regnamespace$$);
-- equal without having equal bytes
SELECT count(*) FROM by_k WHERE k = ROW(2, 6)::pair;
SELECT count(*) FROM by_d WHERE d = ROW(2, 6)::pair;

-- each way to hash on a node that was not asked
CREATE FUNCTION halve(name text, mode text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s record;
BEGIN
	FOR s IN SELECT shardid, shardminvalue::bigint + (shardmaxvalue::bigint - shardminvalue::bigint) / 2 AS middle
		FROM pg_dist_shard WHERE logicalrelid = name::regclass ORDER BY shardminvalue::bigint LIMIT 2 LOOP
		PERFORM citus_split_shard_by_split_points(s.shardid, ARRAY[s.middle::text],
			ARRAY(SELECT nodeid FROM pg_dist_node WHERE groupid > 0 ORDER BY nodeid LIMIT 2), mode::citus.shard_transfer_mode);
	END LOOP;
END $$;
SELECT halve(name, 'block_writes') FROM unnest(ARRAY['by_k', 'by_d', 'by_n', 'by_l']) name;
SELECT * FROM sums();
SELECT shardid AS shard FROM pg_dist_shard WHERE logicalrelid = 'by_k'::regclass ORDER BY shardmaxvalue::bigint DESC LIMIT 1 \gset
SELECT citus_split_shard_by_split_points(:shard, ARRAY['1800000000'], ARRAY[:one, :two], 'force_logical');
SELECT isolate_tenant_to_new_shard('by_k', ROW(1, 7)::pair, shard_transfer_mode => 'block_writes') > 0 AS isolated;
SELECT alter_distributed_table('by_k', shard_count => 3, cascade_to_colocated => false);
SELECT alter_distributed_table('by_n', shard_count => 5, cascade_to_colocated => false);
SELECT * FROM sums();
SELECT count(*) FROM by_k WHERE k = ROW(3, 5)::pair;
CREATE TABLE online (k pair, v int, id int PRIMARY KEY);
ALTER TABLE online DROP CONSTRAINT online_pkey, ALTER k SET NOT NULL;
ALTER TABLE online REPLICA IDENTITY FULL;
INSERT INTO online SELECT ROW(1, g)::pair, g, g FROM generate_series(1, 100) g;
SELECT create_distributed_table_concurrently('online', 'k', colocate_with => 'none');
SELECT count(*), sum(v), count(*) FILTER (WHERE k = ROW(2, 6)::pair) FROM online;

-- the function that rows are where they are by stays
DROP OPERATOR CLASS pair_ops USING hash;
CREATE TYPE other AS (a int);
CREATE FUNCTION other_hash(other) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT 1';
CREATE FUNCTION other_eq(other, other) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.a = $2.a';
CREATE OPERATOR = (LEFTARG = other, RIGHTARG = other, FUNCTION = other_eq, HASHES);
CREATE TABLE by_other (k other, v int);
SELECT create_distributed_table('by_other', 'k', colocate_with => 'none');
INSERT INTO by_other SELECT ROW(g)::other, g FROM generate_series(1, 20) g;
CREATE OPERATOR CLASS other_ops DEFAULT FOR TYPE other USING hash AS OPERATOR 1 =, FUNCTION 1 other_hash(other);
CREATE OPERATOR CLASS other_ops FOR TYPE other USING hash AS OPERATOR 1 =, FUNCTION 1 other_hash(other);
SELECT count(*) FROM by_other WHERE k = ROW(7)::other;
SELECT undistribute_table('by_other');
DROP OPERATOR CLASS other_ops USING hash;
CREATE OPERATOR CLASS other_ops DEFAULT FOR TYPE other USING hash AS OPERATOR 1 =, FUNCTION 1 other_hash(other);
SELECT count(*) FROM by_other;

-- nodes that have made a class on their own, which the coordinator does not have
SELECT success FROM run_command_on_workers($$CREATE TYPE hashed.third AS (a int);
	CREATE FUNCTION hashed.third_hash(hashed.third) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT 2';
	CREATE FUNCTION hashed.third_eq(hashed.third, hashed.third) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.a = $2.a';
	CREATE OPERATOR hashed.= (LEFTARG = hashed.third, RIGHTARG = hashed.third, FUNCTION = hashed.third_eq, HASHES);
	CREATE OPERATOR CLASS hashed.third_ops DEFAULT FOR TYPE hashed.third USING hash AS OPERATOR 1 hashed.=, FUNCTION 1 hashed.third_hash(hashed.third)$$);
CREATE TYPE third AS (a int);
CREATE TABLE by_third (k third, v int);
INSERT INTO by_third SELECT ROW(g)::third, g FROM generate_series(1, 20) g;
\set VERBOSITY terse
SELECT create_distributed_table('by_third', 'k', colocate_with => 'none');
\set VERBOSITY default
SELECT count(*) FROM by_third;
SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'by_third'::regclass;

-- a function that is the same in words only: what falls between the new shards is noticed
CREATE TYPE odd AS (a int);
CREATE FUNCTION odd_hash(odd) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$SELECT hashint4($1.a) # coalesce(nullif(current_setting('hashed.mask', true), ''), '0')::int$$;
CREATE FUNCTION odd_eq(odd, odd) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.a = $2.a';
CREATE OPERATOR = (LEFTARG = odd, RIGHTARG = odd, FUNCTION = odd_eq, HASHES);
CREATE OPERATOR CLASS odd_ops DEFAULT FOR TYPE odd USING hash AS OPERATOR 1 =, FUNCTION 1 odd_hash(odd);
SET citus.shard_replication_factor = 1;
CREATE TABLE by_odd (k odd NOT NULL, v int);
ALTER TABLE by_odd REPLICA IDENTITY FULL;
SELECT create_distributed_table('by_odd', 'k', colocate_with => 'none');
INSERT INTO by_odd SELECT ROW(g)::odd, g FROM generate_series(1, 100) g;
SELECT success FROM run_command_on_workers('ALTER DATABASE ' || quote_ident(current_database()) || ' SET hashed.mask = ''1431655765''');
-- what a statement fails with, without addresses
CREATE FUNCTION failure(statement text, OUT state text, OUT message text, OUT detail text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	detail := regexp_replace(detail, 'ode [^ ]*:\d+', 'ode N', 'g');
END $$;
\x on
SELECT * FROM failure($$SELECT halve('by_odd', 'block_writes')$$);
SELECT * FROM failure($$SELECT halve('by_odd', 'force_logical')$$);
\x off
SELECT count(*), sum(v) FROM by_odd;
SELECT success FROM run_command_on_workers('ALTER DATABASE ' || quote_ident(current_database()) || ' RESET hashed.mask');
CALL citus_cleanup_orphaned_resources();
SELECT count(*) FROM pg_dist_cleanup;
SELECT result FROM run_command_on_workers($$SELECT count(*) FROM pg_class WHERE relname ~ '^by_odd_' AND relkind = 'r'$$);
SELECT halve('by_odd', 'block_writes');
SELECT count(*), sum(v) FROM by_odd;

-- a target that swallows rows: nodes whose new tables get a trigger that nobody here knows
CREATE TABLE numbers (v int PRIMARY KEY);
SELECT create_distributed_table('numbers', 'v', shard_count => 2, colocate_with => 'none');
INSERT INTO numbers SELECT generate_series(1, 100);
CREATE TABLE few (v int PRIMARY KEY);
INSERT INTO few SELECT generate_series(1, 100);
SELECT count(*) AS nodes FROM run_command_on_workers($cmd$
	CREATE FUNCTION hashed.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.v % 10 = 3 THEN RETURN NULL; END IF; RETURN NEW; END';
	CREATE FUNCTION hashed.add_trigger() RETURNS event_trigger LANGUAGE plpgsql AS $$
	DECLARE
		r record;
	BEGIN
		FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' AND schema_name = 'hashed' LOOP
			EXECUTE format('CREATE TRIGGER swallow BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION hashed.swallow()', r.objid::regclass);
			EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER swallow', r.objid::regclass);
		END LOOP;
	END $$;
	CREATE EVENT TRIGGER hashed_tables ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION hashed.add_trigger()$cmd$) WHERE success;
SELECT shardid, nodeid AS source FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)
	WHERE logicalrelid = 'numbers'::regclass AND shardminvalue = '0' \gset
\x on
SELECT * FROM failure(format($$SELECT citus_move_shard_placement(%s, %s, %s, 'block_writes')$$, :shardid, :source, :one + :two - :source));
SELECT * FROM failure(format($$SELECT citus_move_shard_placement(%s, %s, %s, 'auto')$$, :shardid, :source, :one + :two - :source));
SELECT * FROM failure(format($$SELECT citus_copy_shard_placement(%s, %s, %s, 'block_writes')$$, :shardid, :source, :one + :two - :source));
SELECT * FROM failure($$SELECT halve('numbers', 'auto')$$);
SELECT * FROM failure($$SELECT isolate_tenant_to_new_shard('numbers', 13, shard_transfer_mode => 'block_writes')$$);
\x off
\set VERBOSITY sqlstate
SELECT create_distributed_table_concurrently('few', 'v', colocate_with => 'none');
\set VERBOSITY default
SELECT count(*), sum(v) FROM numbers;
SELECT count(*), sum(v) FROM few;
SELECT count(*) AS nodes FROM run_command_on_workers('DROP EVENT TRIGGER hashed_tables;
	DROP FUNCTION hashed.add_trigger, hashed.swallow CASCADE') WHERE success;
CALL citus_cleanup_orphaned_resources();
SELECT count(*) FROM pg_dist_cleanup;
SELECT count(*), count(DISTINCT shardid) FROM citus_shards WHERE table_name = 'numbers'::regclass;
SELECT sum(result::int) AS shards FROM run_command_on_workers($$SELECT count(*) FROM pg_class WHERE relname ~ '^(numbers|few)_\d' AND relkind = 'r'$$);
SELECT citus_move_shard_placement(:shardid, :source, :one + :two - :source, 'auto');
SELECT count(*), sum(v) FROM numbers;

DROP SCHEMA hashed CASCADE;
SELECT result FROM run_command_on_workers($$SELECT count(*) FROM pg_opclass o WHERE oid >= 16384 AND opcname ~ 'pair|other|odd'$$);
CALL citus_cleanup_orphaned_resources();
