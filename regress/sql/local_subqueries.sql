-- Subqueries in FROM, and window functions, that shard groups compute alone; values of subqueries that run once; rights in all of them.
CREATE SCHEMA local_subqueries;
SET search_path = local_subqueries;
SET citus.shard_count = 4;
CREATE TABLE orders (id int, tenant int, price int, PRIMARY KEY (tenant, id));
CREATE TABLE events (tenant int, kind text, n int);
SELECT create_distributed_table('orders', 'tenant');
SELECT create_distributed_table('events', 'tenant');
INSERT INTO orders SELECT i, i % 5, i * 10 FROM generate_series(1, 30) i;
INSERT INTO events SELECT i % 7, 'kind' || i % 3, i FROM generate_series(1, 40) i;
-- The statement for the nodes; without what 16 knows of frames that make no difference.
CREATE FUNCTION sent(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off, VERBOSE) ' || query LOOP
		plan := plan || line || E'\n';
	END LOOP;
	FOR line IN SELECT x[1] FROM regexp_matches(plan, 'Remote SQL: (.*?)\n *(?:->|InitPlan|$)', 'g') x LOOP
		line := regexp_replace(line, '_\d{6,}| ROWS UNBOUNDED PRECEDING', '', 'g');
		line := regexp_replace(line, 'OVER w1 (.*) WINDOW w1 AS (\([^)]*\))', 'OVER \2 \1');
		RETURN NEXT replace(regexp_replace(line, '\s+', ' ', 'g'), ' )', ')');
	END LOOP;
END $$;
SELECT sent('SELECT * FROM (SELECT tenant, id, rank() OVER (PARTITION BY tenant ORDER BY price) AS r FROM orders) s WHERE r > id');
SELECT sent('SELECT r FROM (SELECT tenant, id, rank() OVER (PARTITION BY tenant ORDER BY price) AS r FROM orders) s WHERE r > id ORDER BY tenant, id LIMIT 3');
SELECT sent('SELECT * FROM (SELECT tenant, id, row_number() OVER (PARTITION BY tenant ORDER BY price DESC) AS n FROM orders) s WHERE n <= 2');
SELECT sent('SELECT e.kind, o.total FROM events e JOIN (SELECT tenant, sum(price) AS total FROM orders GROUP BY tenant) o USING (tenant) WHERE o.total > 100');
SELECT regexp_replace(sent('SELECT count(*) FROM orders o WHERE price = (SELECT max(price) FROM orders i WHERE i.tenant = o.tenant)'), 'ON .*HAVING', 'ON .. HAVING');
SELECT sent('SELECT DISTINCT tenant, kind FROM events');
SELECT sent('SELECT id FROM orders WHERE price > (SELECT avg(price) FROM orders)');
-- Rows of several shards in a window, or in a group: not the nodes'.
SELECT sent('SELECT rank() OVER (PARTITION BY kind ORDER BY n) FROM events');
SELECT sent('SELECT o.id, e.s FROM orders o JOIN (SELECT kind, sum(n) AS s FROM events GROUP BY kind) e ON e.s = o.tenant');

SELECT * FROM (SELECT tenant, id, row_number() OVER (PARTITION BY tenant ORDER BY price DESC) AS n FROM orders) s WHERE n <= 2 ORDER BY tenant, n;
SELECT DISTINCT e.kind, o.total FROM events e JOIN (SELECT tenant, sum(price) AS total FROM orders GROUP BY tenant) o USING (tenant) WHERE o.total > 900 ORDER BY 1, 2;

-- Whoever reads tables in a subquery needs the rights to, and keeps his plan no longer than they and the tables last.
CREATE ROLE local_subqueries_reader LOGIN;
GRANT USAGE ON SCHEMA local_subqueries TO local_subqueries_reader;
GRANT SELECT ON orders TO local_subqueries_reader;
GRANT SELECT (tenant) ON events TO local_subqueries_reader;
CREATE VIEW kinds AS SELECT tenant, count(kind) AS c FROM events GROUP BY tenant;
GRANT SELECT ON kinds TO local_subqueries_reader;
SET ROLE local_subqueries_reader;
SELECT count(*) FROM orders JOIN (SELECT tenant, sum(n) AS s FROM events GROUP BY tenant) e USING (tenant) WHERE s > 1;
SELECT count(*) FROM orders JOIN (SELECT tenant, count(*) AS s FROM events GROUP BY tenant) e USING (tenant) WHERE s > 1;
SELECT count(*) FROM orders JOIN (SELECT tenant, row_number() OVER (PARTITION BY tenant ORDER BY n) FROM events) e USING (tenant);
SELECT count(*) FROM orders o WHERE price > (SELECT max(n) FROM events e WHERE e.tenant = o.tenant);
SELECT count(*) FROM orders o WHERE price > (SELECT count(*) FROM events e WHERE e.tenant = o.tenant);
SELECT count(*) FROM orders JOIN kinds USING (tenant) WHERE c > 1;
PREPARE kept AS SELECT count(*) FROM orders JOIN (SELECT tenant, count(*) AS s FROM events GROUP BY tenant) e USING (tenant);
EXECUTE kept;
RESET ROLE;
REVOKE SELECT (tenant) ON events FROM local_subqueries_reader;
SET ROLE local_subqueries_reader;
EXECUTE kept;
SELECT count(*) FROM orders JOIN kinds USING (tenant) WHERE c > 1;
RESET ROLE;
EXECUTE kept;
DROP TABLE events CASCADE;
EXECUTE kept;
DEALLOCATE kept;
SET client_min_messages = warning;
DROP SCHEMA local_subqueries CASCADE;
DROP ROLE local_subqueries_reader;
