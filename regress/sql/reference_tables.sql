-- Reference tables and local tables of the metadata.
\set SHOW_CONTEXT never
CREATE SCHEMA refs;
SET search_path = refs;
CREATE TABLE colours (id int PRIMARY KEY, name text UNIQUE);
INSERT INTO colours VALUES (1, 'red'), (2, 'green');
SELECT create_reference_table('colours');
SELECT * FROM colours ORDER BY id;
INSERT INTO colours VALUES (3, 'blue');
UPDATE colours SET name = 'lime' WHERE id = 2;
SELECT DISTINCT result FROM run_command_on_placements('colours', 'SELECT string_agg(name, '','' ORDER BY id) FROM %s');
SELECT count(*) = 3 AS everywhere FROM run_command_on_placements('colours', 'SELECT 1');
INSERT INTO colours VALUES (4, 'red');
DELETE FROM colours WHERE id = 3;
SELECT * FROM colours ORDER BY id;

-- a plain table that references it becomes known
CREATE TABLE things (id int PRIMARY KEY, colour int REFERENCES colours (id));
SELECT table_name, citus_table_type FROM citus_tables WHERE table_name IN ('things'::regclass, 'colours'::regclass) ORDER BY 1;
INSERT INTO things VALUES (1, 1);
INSERT INTO things VALUES (2, 9);
SELECT * FROM things JOIN colours ON colour = colours.id;
DELETE FROM colours WHERE id = 1;
CREATE TABLE plain (id int PRIMARY KEY, colour int);
INSERT INTO plain VALUES (1, 2);
ALTER TABLE plain ADD FOREIGN KEY (colour) REFERENCES colours (id);
SELECT * FROM plain;
INSERT INTO plain VALUES (2, 9);

-- a known local table may be distributed, and the other way round
SELECT create_distributed_table('things', 'id');
SELECT * FROM things;
SELECT undistribute_table('colours');
SELECT undistribute_table('colours', cascade_via_foreign_keys => true);
SELECT * FROM colours ORDER BY id;
SELECT * FROM things;
SELECT * FROM plain;
INSERT INTO things VALUES (3, 9);
SELECT count(*) FROM citus_tables JOIN pg_class c ON c.oid = table_name WHERE relnamespace = 'refs'::regnamespace;

-- by hand
CREATE TABLE by_hand (a int PRIMARY KEY, b text);
CREATE TABLE tied (a int REFERENCES by_hand (a));
INSERT INTO by_hand VALUES (1, 'x');
INSERT INTO tied VALUES (1);
SELECT citus_add_local_table_to_metadata('by_hand');
SELECT citus_add_local_table_to_metadata('by_hand', cascade_via_foreign_keys => true);
SELECT * FROM by_hand JOIN tied USING (a);
INSERT INTO tied VALUES (2);
SELECT remove_local_tables_from_metadata();
SELECT table_name, citus_table_type FROM citus_tables JOIN pg_class c ON c.oid = table_name WHERE relnamespace = 'refs'::regnamespace ORDER BY 1;
DROP TABLE tied;
SELECT undistribute_table('by_hand');
SELECT * FROM by_hand;
-- ANALYZE finds this node's shards too, which are hidden from what clients read of the catalogs.
CREATE TABLE analysed (a int);
SELECT create_reference_table('analysed');
INSERT INTO analysed SELECT generate_series(1, 70);
ANALYZE analysed;
SELECT reltuples FROM pg_class WHERE oid = 'analysed'::regclass;
SET client_min_messages = warning;
DROP SCHEMA refs CASCADE;
