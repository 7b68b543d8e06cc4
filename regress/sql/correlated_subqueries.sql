-- Scalar subqueries about the row around them are joined, not run for each row.
CREATE SCHEMA correlated_subqueries;
SET search_path = correlated_subqueries;
SET citus.shard_count = 4;
CREATE TABLE items (id int PRIMARY KEY, tenant int, price int);
CREATE TABLE tenants (id int PRIMARY KEY, name text);
SELECT create_distributed_table('items', 'id');
SELECT create_reference_table('tenants');
INSERT INTO items SELECT i, i % 3, i FROM generate_series(1, 20) i;
INSERT INTO tenants VALUES (0, 'zero'), (1, 'one');
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
		IF line ~ '->|SubPlan|Aggregate|Join|Key|Cond|Filter' AND line !~ 'Task$' THEN
			RETURN NEXT regexp_replace(line, '_\d{6,}', '_N');
		END IF;
	END LOOP;
END $$;

-- An aggregate: grouped by what is compared.
SELECT plan_of('SELECT id FROM items o WHERE price > (SELECT 1.2 * avg(price) FROM items i WHERE i.tenant = o.tenant)');
-- A row that is the only one.
SELECT plan_of('SELECT id, (SELECT name FROM tenants t WHERE t.id = o.tenant) FROM items o');
-- Left as they are: an outer column compared otherwise, an aggregate that could fail for rows that nobody asks for, more than one row, random numbers.
SELECT bool_or(line ~ 'SubPlan') FROM plan_of('SELECT id FROM items o WHERE price > (SELECT avg(price) FROM items i WHERE i.tenant < o.tenant)') line;
SELECT bool_or(line ~ 'SubPlan') FROM plan_of('SELECT id FROM items o WHERE price > (SELECT max(1 / price) FROM items i WHERE i.tenant = o.tenant)') line;
SELECT bool_or(line ~ 'SubPlan') FROM plan_of('SELECT id FROM items o WHERE price > (SELECT price FROM items i WHERE i.tenant = o.tenant)') line;
SELECT bool_or(line ~ 'SubPlan') FROM plan_of('SELECT id FROM items o WHERE price > (SELECT max(price) FROM items i WHERE i.tenant = o.tenant AND random() < 2)') line;

SELECT id FROM items o WHERE price > (SELECT 1.2 * avg(price) FROM items i WHERE i.tenant = o.tenant) ORDER BY id;
SELECT id, (SELECT name FROM tenants t WHERE t.id = o.tenant), (SELECT count(*) FROM items i WHERE i.tenant = o.id) FROM items o WHERE id < 5 ORDER BY id;
SELECT id FROM items o WHERE price > (SELECT price FROM items i WHERE i.tenant = o.tenant);
DROP SCHEMA correlated_subqueries CASCADE;
