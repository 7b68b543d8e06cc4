-- Functions with an effect on the session or the server, or that tell of them, run on the node that was asked, also in statements on one shard.
SELECT min(nodeport) AS worker FROM pg_dist_node WHERE groupid > 0 \gset
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
SET client_min_messages = warning;
SET citus.next_shard_id = 7730000;
SET citus.shard_count = 4;
CREATE SCHEMA session_functions;
SET search_path = session_functions;
CREATE TABLE jobs (id int PRIMARY KEY, tenant text);
SELECT create_distributed_table('jobs', 'id');
CREATE TABLE ref (id int PRIMARY KEY, v text);
SELECT create_reference_table('ref');
INSERT INTO jobs SELECT i, 'acme' FROM generate_series(1, 10) i;
INSERT INTO ref VALUES (1, 'r');

-- advisory locks are held and released here
CREATE VIEW held AS SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT pg_try_advisory_lock(id) FROM jobs WHERE id = 5;
SELECT * FROM held;
SELECT pg_advisory_unlock(5);
BEGIN;
SELECT pg_advisory_xact_lock(id, 7), pg_try_advisory_lock_shared(id), pg_advisory_xact_lock_shared(id) FROM jobs WHERE id = 5;
SELECT * FROM held;
SELECT pg_advisory_unlock_all() FROM jobs WHERE id = 5;
SELECT * FROM held;
COMMIT;
SELECT * FROM held;
BEGIN;
UPDATE jobs SET tenant = 'taken' WHERE id = 5 AND pg_try_advisory_xact_lock(id) RETURNING id, tenant;
UPDATE ref SET v = 'taken' WHERE pg_try_advisory_xact_lock(id, 1) RETURNING v;
SELECT count(*) FROM jobs WHERE id = 6 AND EXISTS (SELECT FROM pg_advisory_xact_lock(jobs.id));
DECLARE c CURSOR FOR SELECT pg_try_advisory_xact_lock(id, 2) FROM jobs WHERE id = 7;
FETCH ALL FROM c;
SELECT * FROM held;
ROLLBACK;
PREPARE lock (int) AS SELECT pg_try_advisory_xact_lock(id) FROM jobs WHERE id = $1;
BEGIN;
EXECUTE lock (1);
EXECUTE lock (2);
EXECUTE lock (3);
EXECUTE lock (4);
EXECUTE lock (5);
EXECUTE lock (6);
EXECUTE lock (7);
SELECT * FROM held;
ROLLBACK;
-- statements that come again with other constants
BEGIN;
SELECT pg_try_advisory_xact_lock(id) FROM jobs WHERE id = 1;
SELECT pg_try_advisory_xact_lock(id) FROM jobs WHERE id = 2;
SELECT pg_try_advisory_xact_lock(id) FROM jobs WHERE id = 3;
SELECT pg_try_advisory_xact_lock(id) FROM jobs WHERE id = 4;
SELECT * FROM held;
ROLLBACK;

-- settings
SELECT set_config('app.tenant', tenant, false) FROM jobs WHERE id = 1;
SELECT current_setting('app.tenant');
SELECT current_setting(v || 'pp.tenant') FROM (SELECT left(tenant, 1) FROM jobs WHERE id = 1) j(v);
INSERT INTO jobs SELECT id + 100, set_config('app.copied', tenant || id, false) FROM jobs WHERE id = 2 RETURNING tenant;
SELECT current_setting('app.copied');
WITH w AS (UPDATE jobs SET tenant = 'w' WHERE id = 1 RETURNING set_config('app.with', tenant, false)) SELECT * FROM w;
SELECT current_setting('app.with');
MERGE INTO jobs USING (VALUES (1)) v(i) ON id = i WHEN MATCHED THEN UPDATE SET tenant = set_config('app.merge', tenant || 'm', false);
SELECT current_setting('app.merge');
SELECT set_config('app.ref', v, false) FROM ref;
SELECT current_setting('app.ref');
COPY (SELECT set_config('app.copy', tenant, false) FROM jobs WHERE id = 2) TO STDOUT;
SELECT current_setting('app.copy');
-- without columns: computed once, here, and sent
INSERT INTO jobs VALUES (3, '') ON CONFLICT (id) DO UPDATE SET tenant = current_setting('app.copy') || 3 RETURNING tenant;
INSERT INTO jobs VALUES (3, '') ON CONFLICT (id) DO UPDATE SET tenant = current_setting(excluded.tenant);
INSERT INTO jobs VALUES (3, '') ON CONFLICT (id) DO UPDATE SET tenant = set_config('app.never', 'set', false);
INSERT INTO jobs VALUES (3, '') ON CONFLICT (id) DO UPDATE SET tenant = 'now' WHERE pg_try_advisory_lock(jobs.id);
SELECT current_setting('app.never', true), tenant FROM jobs WHERE id = 3;

-- random numbers follow this session's seed
SELECT setseed(0.3);
CREATE TEMP TABLE first AS SELECT random();
SELECT setseed(0.3) FROM jobs WHERE id = 1;
SELECT random = (SELECT random() FROM jobs WHERE id = 1) FROM first;
SELECT setseed(0.3);
UPDATE jobs SET tenant = random() WHERE id = 4;
SELECT random::text = tenant FROM first, jobs WHERE id = 4;

-- processes, transactions, sequences, large objects, waiting
SELECT pg_backend_pid() = (SELECT pg_backend_pid()) FROM jobs WHERE id = 1;
UPDATE jobs SET tenant = pg_backend_pid() WHERE id = 1 RETURNING tenant = pg_backend_pid()::text;
SELECT pg_stat_get_backend_pid(id) IS NULL FROM jobs WHERE id = 10 AND pg_cancel_backend(-id) IS NULL;
BEGIN;
SELECT pg_current_xact_id() = txid_current()::text::xid8, txid_status(txid_current() + id * 0) FROM jobs WHERE id = 1;
SELECT count(*) FROM jobs JOIN pg_locks ON pid = pg_backend_pid() AND locktype = 'virtualxid' WHERE id = 1;
COMMIT;
CREATE SEQUENCE s;
SELECT nextval('s'), tenant IS NOT NULL FROM jobs WHERE id = 1;
SELECT currval('s'), lastval(), setval('s', id) FROM jobs WHERE id = 3;
SELECT lo_create(id + 900000) FROM jobs WHERE id = 1;
SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 900001;
SELECT lo_unlink(id + 900000) FROM jobs WHERE id = 1;
SELECT pg_sleep(0), pg_logical_emit_message(true, 'test', tenant) IS NOT NULL FROM jobs WHERE id = 1;

-- functions of users
CREATE FUNCTION speaks(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''app.said'', ''said '' || $1, false); RETURN $1; END';
CREATE FUNCTION reads(int) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN current_setting(''app.said'') || $1; END';
CREATE TABLE uses (id int PRIMARY KEY, v int DEFAULT speaks(0), w text DEFAULT reads(0));
SET app.said = 'nothing';
SELECT create_distributed_table('uses', 'id', colocate_with => 'jobs');
INSERT INTO uses VALUES (1, 1, '');
SELECT speaks(id) FROM uses WHERE id = 1;
SELECT reads(id) FROM uses WHERE id = 1;
UPDATE uses SET v = speaks(id + 1) WHERE id = 1 RETURNING v, reads(v);
DELETE FROM uses WHERE id = 1 AND speaks(3) = 3 RETURNING reads(0);

-- where each form of a statement is done
CREATE FUNCTION tier(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
		IF line ~ 'Tier:' THEN RETURN trim(line); END IF;
	END LOOP;
	RETURN 'no tier';
END $$;
SELECT q, tier(q) FROM unnest(ARRAY[
	$$SELECT * FROM jobs WHERE id = 1 AND tenant = current_setting('app.tenant')$$,
	$$SELECT now(), current_user, pg_backend_pid(), tenant FROM jobs WHERE id = 1$$,
	$$SELECT gen_random_uuid(), clock_timestamp(), pg_column_size(tenant) FROM jobs WHERE id = 1$$,
	$$SELECT tenant::timestamptz, tenant::int[], format('%s', id), to_char(now(), tenant) FROM jobs WHERE id = 1$$,
	$$UPDATE jobs SET tenant = gen_random_uuid() WHERE id = 1$$,
	$$SELECT random() FROM jobs WHERE id = 1$$,
	$$SELECT tenant::regclass FROM jobs WHERE id = 1$$,
	$$SELECT has_table_privilege(tenant, 'SELECT') FROM jobs WHERE id = 1$$,
	$$SELECT pg_notify('c', tenant) FROM jobs WHERE id = 1$$,
	$$SELECT * FROM jobs, pg_lock_status() WHERE id = 1$$,
	$$SELECT * FROM jobs, pg_show_all_settings() WHERE id = 1$$,
	$$SELECT pg_read_file(tenant) FROM jobs WHERE id = 1$$,
	$$SELECT query_to_xml(tenant, true, true, '') FROM jobs WHERE id = 1$$,
	$$UPDATE jobs SET tenant = current_query() WHERE id = 1$$,
	$$DELETE FROM jobs WHERE id = 1 AND pg_advisory_unlock(id)$$,
	$$SELECT speaks(id) FROM uses WHERE id = 1$$,
	$$SELECT reads(id) FROM uses WHERE id = 1$$
]) q;

-- asked of another node
\c - - - :worker
SET search_path = session_functions;
SELECT pg_try_advisory_lock(id) FROM jobs WHERE id < 9;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT set_config('app.tenant', 'of ' || id, false) FROM jobs WHERE id = 8;
SELECT current_setting('app.tenant');
SELECT DISTINCT pg_backend_pid() = (SELECT pg_backend_pid()) FROM jobs WHERE id = 1 OR id = 2;
UPDATE jobs SET tenant = 'worker' WHERE id = 8 AND pg_advisory_unlock(id) RETURNING id;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();

\c - - - :coordinator
SET client_min_messages = warning;
DROP SCHEMA session_functions CASCADE;
