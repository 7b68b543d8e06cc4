-- Foreign keys among distributed and reference tables.
\set SHOW_CONTEXT never
CREATE SCHEMA keys;
SET search_path = keys;
CREATE TABLE companies (id int PRIMARY KEY, name text);
CREATE TABLE kinds (id int PRIMARY KEY);
CREATE TABLE campaigns (id int, company int REFERENCES companies (id) ON DELETE CASCADE, kind int REFERENCES kinds (id), PRIMARY KEY (company, id));
INSERT INTO companies SELECT i, 'c' || i FROM generate_series(1, 10) i;
INSERT INTO kinds VALUES (1), (2);
INSERT INTO campaigns SELECT i, i % 10 + 1, i % 2 + 1 FROM generate_series(1, 40) i;
SELECT create_distributed_table('companies', 'id');
SELECT create_reference_table('kinds');
SELECT create_distributed_table('campaigns', 'company');
SELECT count(*) FROM campaigns;
INSERT INTO campaigns VALUES (100, 99, 1);
INSERT INTO campaigns VALUES (100, 1, 9);
DELETE FROM companies WHERE id = 1;
SELECT count(*) FROM campaigns;
-- added later, with and without a name
CREATE TABLE ads (id int, company int, campaign int, parent int, PRIMARY KEY (company, id));
SELECT create_distributed_table('ads', 'company', colocate_with => 'campaigns');
ALTER TABLE ads ADD FOREIGN KEY (company, campaign) REFERENCES campaigns (company, id);
ALTER TABLE ads ADD CONSTRAINT "own key" FOREIGN KEY (company, parent) REFERENCES ads (company, id) NOT VALID;
INSERT INTO ads VALUES (1, 2, 11, NULL);
INSERT INTO ads VALUES (2, 2, 99, NULL);
INSERT INTO ads VALUES (2, 2, 11, 99);
ALTER TABLE ads VALIDATE CONSTRAINT "own key";
ALTER TABLE ads DROP CONSTRAINT "own key";
-- not possible
ALTER TABLE ads ADD FOREIGN KEY (campaign) REFERENCES companies (id);
CREATE TABLE plain (id int PRIMARY KEY);
ALTER TABLE ads ADD FOREIGN KEY (parent) REFERENCES plain (id);
ALTER TABLE plain ADD FOREIGN KEY (id) REFERENCES companies (id);
ALTER TABLE kinds ADD FOREIGN KEY (id) REFERENCES companies (id);
ALTER TABLE ads ADD FOREIGN KEY (company) REFERENCES companies (id) ON DELETE SET NULL;
SELECT update_distributed_table_colocation('ads', 'none');
SELECT conname, contype FROM pg_constraint WHERE conrelid = 'ads'::regclass AND contype <> 'n' ORDER BY 1;
-- distributed one after the other: meanwhile the key holds, and what would break it is refused
CREATE TABLE owners (id int PRIMARY KEY, name text, code int UNIQUE);
CREATE TABLE pets (owner int REFERENCES owners ON DELETE CASCADE, name text);
INSERT INTO owners VALUES (1, 'a', 1), (2, 'b', 2);
INSERT INTO pets VALUES (1, 'x');
ALTER TABLE owners DROP CONSTRAINT owners_code_key;
SELECT create_distributed_table('owners', 'id');
INSERT INTO pets VALUES (2, 'y');
INSERT INTO pets VALUES (3, 'z');
UPDATE owners SET name = 'c' WHERE id = 1;
INSERT INTO owners VALUES (1, 'd') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
DELETE FROM owners WHERE id = 1;
DELETE FROM owners;
UPDATE owners SET id = 5 WHERE id = 1;
WITH gone AS (DELETE FROM owners RETURNING id) SELECT count(*) FROM gone;
SELECT create_distributed_table('pets', 'owner', colocate_with => 'owners');
DELETE FROM owners WHERE id = 1;
SELECT * FROM pets;
SELECT * FROM owners;
DROP TABLE owners, pets;
DROP TABLE companies;
TRUNCATE companies;
TRUNCATE companies CASCADE;
SELECT count(*) FROM campaigns;
DROP TABLE companies CASCADE;
SELECT conname FROM pg_constraint WHERE conrelid = 'campaigns'::regclass AND contype <> 'n' ORDER BY 1;
INSERT INTO campaigns VALUES (100, 99, 1);
-- actions that name their columns
CREATE TABLE named_columns (t int, id int, parent int, q int DEFAULT 0, PRIMARY KEY (t, id),
	FOREIGN KEY (t, parent) REFERENCES named_columns (t, id) ON DELETE SET NULL (parent), FOREIGN KEY (t, q) REFERENCES named_columns (t, id) ON DELETE SET DEFAULT (q));
SELECT create_distributed_table('named_columns', 't');
INSERT INTO named_columns VALUES (1, 0, NULL, 0), (1, 1, 0, 0), (1, 2, 1, 1);
DELETE FROM named_columns WHERE t = 1 AND id = 1;
SELECT * FROM named_columns ORDER BY 1, 2;
ALTER TABLE named_columns ADD CONSTRAINT k FOREIGN KEY (t, parent) REFERENCES named_columns ON DELETE SET NULL;
ALTER TABLE named_columns ADD CONSTRAINT k FOREIGN KEY (t, parent) REFERENCES named_columns ON DELETE SET NULL (t);
ALTER TABLE named_columns ADD CONSTRAINT k FOREIGN KEY (t, parent) REFERENCES named_columns ON DELETE SET DEFAULT (parent, t);
ALTER TABLE named_columns ADD CONSTRAINT k FOREIGN KEY (t, parent) REFERENCES named_columns ON UPDATE SET NULL ON DELETE SET NULL (parent);
ALTER TABLE named_columns ADD CONSTRAINT k FOREIGN KEY (t, parent) REFERENCES named_columns ON DELETE SET DEFAULT (parent);
SET client_min_messages = warning;
DROP SCHEMA keys CASCADE;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_namespace WHERE nspname = 'keys'$$);
