-- FOR UPDATE and its kin lock rows of shards wherever they lock those of a plain table; in joins that this node does, all that it
-- reads of the table.
SET citus.next_shard_id TO 1943000;
SET citus.shard_count TO 4;
SET client_min_messages TO warning;
CREATE SCHEMA row_locks;
CREATE SCHEMA row_locks_plain;
SET search_path TO row_locks_plain;
CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE u (id int PRIMARY KEY, w int);
CREATE TABLE r (id int PRIMARY KEY, n int);
CREATE VIEW tv AS SELECT * FROM t WHERE v < 80;
SET search_path TO row_locks;
CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE u (id int PRIMARY KEY, w int);
CREATE TABLE r (id int PRIMARY KEY, n int);
CREATE VIEW tv AS SELECT * FROM t WHERE v < 80;
SELECT create_distributed_table('t', 'id');
SELECT create_distributed_table('u', 'id');
SELECT create_reference_table('r');
-- A row that was locked shows it until it is written again.
CREATE FUNCTION public.row_locks_of(path text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := '';
	locked text;
	found_rows int;
	name text;
BEGIN
	PERFORM set_config('search_path', path, true);
	FOREACH name IN ARRAY ARRAY['t', 'u', 'r'] LOOP
		EXECUTE format('DELETE FROM %I', name);
		EXECUTE format('INSERT INTO %I SELECT i, i * 10 FROM generate_series(1, 10) i', name);
	END LOOP;
	EXECUTE query;
	GET DIAGNOSTICS found_rows = ROW_COUNT;
	result := 'rows ' || found_rows;
	FOREACH name IN ARRAY ARRAY['t', 'u', 'r'] LOOP
		EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM (SELECT id, xmax::text AS x FROM %I) x WHERE x <> ''0''', name) INTO locked;
		result := result || ' ' || name || '(' || coalesce(locked, '') || ')';
	END LOOP;
	RETURN result;
END $$;
CREATE TABLE statements (no serial, q text);
INSERT INTO statements (q) VALUES
('SELECT * FROM t WHERE v > 70 FOR UPDATE'),
('SELECT * FROM t WHERE id = 3 FOR NO KEY UPDATE'),
('SELECT * FROM t JOIN u USING (id) WHERE v > 70 FOR UPDATE OF u'),
('SELECT * FROM t JOIN u USING (id) WHERE v > 70 FOR UPDATE'),
('SELECT * FROM t, u WHERE v = w + 10 AND v < 40 FOR SHARE OF t'),
('SELECT * FROM t JOIN r ON n = v WHERE v > 70 FOR UPDATE OF t'),
('SELECT * FROM t JOIN r ON n = v WHERE v > 70 FOR UPDATE OF r'),
('SELECT * FROM tv WHERE v > 60 FOR UPDATE'),
('SELECT * FROM tv JOIN u ON w = v WHERE v > 60 FOR UPDATE OF tv'),
('SELECT * FROM (SELECT * FROM t WHERE v > 70 FOR UPDATE) a, (SELECT * FROM u WHERE w > 80) b WHERE a.v = b.w'),
('SELECT * FROM (SELECT * FROM t WHERE v > 70) a, u WHERE a.v = w FOR UPDATE OF a'),
('SELECT * FROM (SELECT * FROM t a WHERE v > 80 FOR UPDATE) a, (SELECT * FROM t b WHERE v < 30 FOR SHARE) b'),
('SELECT * FROM (SELECT t.id FROM u, t WHERE v = w AND w > 70 FOR UPDATE OF t) a JOIN u USING (id)'),
('SELECT * FROM u WHERE EXISTS (SELECT FROM t WHERE v > 90 FOR UPDATE) AND w > 90'),
('SELECT * FROM u WHERE w > 80 AND EXISTS (SELECT FROM t WHERE v = w FOR UPDATE)'),
('SELECT * FROM u WHERE id IN (SELECT v / 10 FROM t WHERE v > 80 FOR UPDATE)'),
('SELECT (SELECT v FROM t WHERE t.v = u.w FOR UPDATE) FROM u WHERE w > 70'),
('WITH c AS (SELECT * FROM t WHERE v > 70 FOR UPDATE) SELECT * FROM c JOIN u ON w = v WHERE v < 100'),
('WITH c AS (SELECT * FROM t WHERE v > 70 FOR UPDATE) SELECT a.id FROM c a JOIN c b USING (id)'),
('WITH c AS MATERIALIZED (SELECT * FROM t WHERE v > 70 FOR UPDATE OF t) SELECT * FROM u WHERE w > 70'),
('SELECT count(*) FROM (SELECT * FROM t WHERE v > 70 FOR UPDATE) x'),
('SELECT * FROM t CROSS JOIN LATERAL (SELECT * FROM u WHERE w = v FOR UPDATE) x WHERE v > 70'),
('SELECT * FROM r WHERE n < 30 FOR UPDATE'),
('SELECT * FROM (SELECT * FROM r WHERE n < 30 FOR UPDATE) x JOIN t ON t.v = n');
SELECT no, public.row_locks_of('row_locks', q) AS distributed,
	   nullif(public.row_locks_of('row_locks_plain', q), public.row_locks_of('row_locks', q)) AS other_on_plain
FROM row_locks.statements ORDER BY no;
-- What looks like a lock in a value is none.
SELECT * FROM t WHERE v = 10 AND 'x FOR UPDATE SKIP LOCKED' <> 'ON CONFLICT';

DROP FUNCTION public.row_locks_of(text, text);
DROP SCHEMA row_locks, row_locks_plain CASCADE;
